/* test_map.c: the map: written, read back, read by others' tools, damaged, replaced. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <cdb.h>
#include <sodium.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "bytes.h"
#include "map.h"
#include "map_build.h"
#include "map_sample.h"
#include "private_state.h"

#define NOW 2000 /* behind SAMPLE_EXPIRED */
#define PEERS_IN_MANY 100
#define HOSTS_IN_MANY 10000
/* the header; a name, a number and a place of each account, of both groups; two names, a key, an address of
 * each host; three more addresses */
#define RECORDS (1 + 3 * (SAMPLE_ACCOUNTS + 2) + 4 * SAMPLE_HOSTS + 3)

_Static_assert(MAP_SUPERSEDED % 4 == 0, "the superseded word is aligned");

static struct sample sample;
static bool private_state; /* map_open has a root-owned directory to read from */
static char dir[64], path[80], temp[96];

/* A map in memory of exactly its size. */
static struct map in_memory(struct span bytes) {
	struct span copy = bytes_copy(bytes.p, bytes.n);

	return (struct map){copy.p, copy.n};
}

static void drop(struct map *map) {
	bytes_free(span_of(map->base, map->size));
	*map = (struct map){0};
}

static struct map built(void) {
	struct err err = {0};
	struct span bytes;

	if (!map_build(&sample.roster, path, &err))
		fail_msg("%s", err.text);
	bytes = bytes_of_file(path);
	return (struct map){bytes.p, bytes.n};
}

static void write_file(const char *name, struct span bytes, mode_t mode) {
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void need_private_state(void) {
	if (private_state)
		return;
	printf("map_open needs a root-owned directory, and there are no private mounts here\n");
	skip();
}

static bool by_name(const struct map *map, const char *name, struct map_card *card) {
	return map_card(map, MAP_NAME, span_str(name), NOW, card);
}

static bool by_addr(const struct map *map, const char *text, struct map_card *card) {
	struct addr addr = sample_addr(text);

	return map_card(map, MAP_ADDR, addr_span(&addr), NOW, card);
}

static void assert_span(struct span found, const void *p, size_t n) {
	assert_int_equal(found.n, n);
	assert_memory_equal(found.p, p, n);
}

static void assert_text(struct span found, const char *text) {
	assert_span(found, text, strlen(text));
}

/* All that the record of db1.clinic-b must say. */
static bool is_db1(const struct map_card *card) {
	const struct addr *addrs = sample.addrs[SAMPLE_DB1_B];
	struct span logins = card->logins, login, account, keys;

	return card->sn == 7 && span_is(card->name, "db1.clinic-b.mesh.internal") &&
	       span_is(card->alias, "db1." SAMPLE_AID_B ".mesh.internal") &&
	       span_is(card->aid, SAMPLE_AID_B) && span_is(card->said, SAMPLE_SAID) &&
	       span_eq(card->v4, span_of("\x0a\x4d\x02\x05\x0a\x4d\x02\x06", 8)) && card->v6.n == 32 &&
	       memcmp(card->v6.p, addrs[0].bytes, 16) == 0 &&
	       memcmp(card->v6.p + 16, addrs[3].bytes, 16) == 0 &&
	       map_login_next(&logins, &login, &account, &keys) && span_is(login, "alice") &&
	       span_is(account, "alice") && span_is(keys, SAMPLE_SSH_1 SAMPLE_SSH_2) &&
	       map_login_next(&logins, &login, &account, &keys) && span_is(login, "bob") &&
	       span_is(account, "rsmith") && span_is(keys, SAMPLE_SSH_BOB) &&
	       !map_login_next(&logins, &login, &account, &keys);
}

static void names_find_hosts(void **state) {
	struct map map = built();
	struct map_card host;

	(void)state;
	assert_true(by_name(&map, "db1.clinic-b.mesh.internal", &host) && is_db1(&host));
	assert_true(by_name(&map, "db1." SAMPLE_AID_B ".mesh.internal", &host) && is_db1(&host));
	assert_true(by_name(&map, "DB1.Clinic-B.MESH.internal", &host) && is_db1(&host));
	assert_true(by_name(&map, "db1.clinic-b.mesh.internal.", &host) && is_db1(&host));
	assert_true(by_name(&map, "db1.edp1vhcw_wc4m__fj53-cjabnzzasd-amtaswezq-pc2.mesh.internal", &host) ==
		    false);
	assert_true(by_name(&map, "db1.edp1vhcw_wc4m__fj53-cjabnzzasd-amtasyweq-pc2.mesh.internal", &host) &&
		    is_db1(&host));
	assert_true(by_name(&map, "db1.clinic-a.mesh.internal", &host));
	assert_text(host.alias, "db1." SAMPLE_AID_A ".mesh.internal");
	assert_int_equal(host.v4.n, 0);
	drop(&map);
}

/* A new SSH key: in a card's list it is "LOGIN:KEY"; the text is ssh-keygen's. */
static void make_ssh_key(char list[static 64], char ssh[static MAP_SSH_KEY + 1]) {
	uint8_t wire[64];
	char key[CESR_TEXT];
	size_t n = 0;
	FILE *in = popen(
		"d=$(mktemp -d) && ssh-keygen -q -t ed25519 -N '' -f $d/k && cat $d/k.pub; rm -r $d", "r");

	assert_non_null(in);
	if (!fgets(ssh, MAP_SSH_KEY + 1, in)) {
		printf("needs ssh-keygen\n");
		skip();
	}
	while (fgetc(in) != EOF)
		;
	assert_int_equal(pclose(in), 0);
	assert_int_equal(sodium_base642bin(wire, sizeof wire, ssh + strlen("ssh-ed25519 "),
				 strlen(ssh) - strlen("ssh-ed25519 "), NULL, &n, NULL,
				 sodium_base64_VARIANT_ORIGINAL),
		0);
	assert_int_equal(n, 51);
	snprintf(list, 64, "[\"alice:%s\"]", cesr_encode(CESR_ED25519, wire + n - CESR_RAW, key));
}

static void ssh_keys_are_written_as_ssh_keygen_does(void **state) {
	char list[64], ssh[MAP_SSH_KEY + 1];
	struct span logins, login, account, keys;
	struct map_card host;
	struct map map;

	(void)state;
	for (int i = 0; i < 3; i++) {
		make_ssh_key(list, ssh);
		sample_init(&sample);
		sample.hosts[SAMPLE_DB1_B].loginkeys = span_str(list);
		map = built();
		assert_true(by_name(&map, "db1.clinic-b.mesh.internal", &host));
		logins = host.logins;
		assert_true(map_login_next(&logins, &login, &account, &keys));
		assert_text(login, "alice");
		assert_text(keys, ssh);
		assert_true(map_login_next(&logins, &login, &account, &keys));
		assert_text(login, "bob");
		assert_text(keys, "");
		drop(&map);
	}
	sample_init(&sample);
}

static void other_names_find_nothing(void **state) {
	static const char *const names[] = {"", ".", "db1", "db1.clinic-b", "mesh.internal",
		"clinic-b.mesh.internal", "db2.clinic-b.mesh.internal", "db1.clinic-b.mesh.internal..",
		".db1.clinic-b.mesh.internal", "db1.clinic-b.mesh.interna", "xdb1.clinic-b.mesh.internal",
		"db1.clinic-b.mesh.internal.org", "db1.clinic-b@mesh.internal"};
	char longer[400];
	struct map map = built();
	struct map_card host;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (by_name(&map, names[i], &host))
			fail_msg("'%s' found something", names[i]);
	memset(longer, 'a', sizeof longer);
	for (size_t n = 0; n <= sizeof longer; n++)
		assert_false(map_card(&map, MAP_NAME, span_of(longer, n), NOW, &host));
	drop(&map);
}

static void addresses_find_hosts(void **state) {
	struct map map = built();
	struct map_card host;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(map_card(&map, MAP_ADDR, addr_span(&sample.addrs[SAMPLE_DB1_B][i]), NOW, &host));
		assert_true(is_db1(&host));
	}
	assert_true(by_addr(&map, "::ffff:10.77.2.5", &host) && is_db1(&host));
	assert_false(by_addr(&map, "10.77.2.7", &host));
	assert_false(by_addr(&map, "a4d:205::", &host));
	assert_false(by_addr(&map, "::10.77.2.5", &host));
	drop(&map);
}

static void tunnel_keys_find_cards(void **state) {
	struct map map = built();
	struct map_card card;
	uint8_t key[WG_KEY_BYTES];

	(void)state;
	assert_true(
		map_card(&map, MAP_KEY, span_of(sample.hosts[SAMPLE_DB1_B].key, WG_KEY_BYTES), NOW, &card));
	assert_true(is_db1(&card));
	assert_true(
		map_card(&map, MAP_KEY, span_of(sample.hosts[SAMPLE_WEB_B].key, WG_KEY_BYTES), NOW, &card));
	assert_int_equal(card.logins.n, 0);
	memcpy(key, sample.hosts[SAMPLE_DB1_B].key, sizeof key);
	key[31] ^= 1;
	assert_false(map_card(&map, MAP_KEY, span_of(key, WG_KEY_BYTES), NOW, &card));
	drop(&map);
}

/* It says what the one in force does, which is what its names and addresses still lead to. */
static void a_key_to_come_finds_the_card_in_force(void **state) {
	struct roster_host *host = &sample.hosts[SAMPLE_DB1_B];
	struct map_card card;
	uint8_t key[WG_KEY_BYTES];
	struct map map;

	(void)state;
	memcpy(key, host->key, sizeof key);
	key[31] ^= 1;
	memcpy(host->next.key, key, sizeof key);
	host->next.from = NOW;
	map = built();
	assert_true(map_card(&map, MAP_KEY, span_of(key, WG_KEY_BYTES), NOW, &card) && is_db1(&card));
	assert_true(map_card(&map, MAP_KEY, span_of(host->key, WG_KEY_BYTES), NOW, &card) && is_db1(&card));
	drop(&map);
	host->next = (struct roster_next){0};
	map = built();
	assert_false(map_card(&map, MAP_KEY, span_of(key, WG_KEY_BYTES), NOW, &card));
	drop(&map);
}

static void header_names_interface_domain_and_prefixes(void **state) {
	char expected[5][PREFIX_TEXT], text[PREFIX_TEXT];
	struct prefix prefix = derived_prefix(SAMPLE_AID_A);
	struct map map = built();
	struct map_header header;

	(void)state;
	prefix_format(&prefix, expected[0]);
	prefix = derived_prefix(SAMPLE_AID_B);
	prefix_format(&prefix, expected[1]);
	for (size_t i = 0; i < 3; i++)
		prefix_format(&sample.allowed[i], expected[2 + i]);
	assert_true(map_header(&map, &header));
	assert_text(header.interface, "verimesh0");
	assert_text(header.domain, "mesh.internal");
	assert_int_equal(header.prefixes.n, 5 * sizeof prefix);
	for (size_t i = 0; i < 5; i++) {
		memcpy(&prefix, header.prefixes.p + i * sizeof prefix, sizeof prefix);
		assert_string_equal(prefix_format(&prefix, text), expected[i]);
	}
	drop(&map);
}

static void mesh_and_domain_have_their_borders(void **state) {
	static const char *const in[] = {"10.77.2.0", "10.77.2.255", "10.99.0.1", "fd77:2::1",
		"fd77:2:7fff:ffff::", "::ffff:10.77.2.9"};
	static const char *const out[] = {"10.77.1.255", "10.77.3.0", "10.99.0.2",
		"fd77:2:8000::", "fd77:3::", "::", "0.0.0.0", "192.0.2.1"};
	static const char *const ours[] = {"mesh.internal", "MESH.Internal.", "x.mesh.internal",
		"a.b.c.d.mesh.internal.", ".mesh.internal"};
	static const char *const others[] = {"", ".", "internal", "xmesh.internal", "mesh.internal.org",
		"mesh.internal..", "x.mesh.internat", "localhost"};
	struct map map = built();
	struct addr addr = sample.addrs[SAMPLE_WEB_B][0];

	(void)state;
	assert_true(map_in_mesh(&map, &addr));
	addr.bytes[15] ^= 1;
	assert_true(map_in_mesh(&map, &addr));
	addr.bytes[5] ^= 1;
	assert_false(map_in_mesh(&map, &addr));
	for (size_t i = 0; i < sizeof in / sizeof *in; i++)
		assert_true((addr = sample_addr(in[i]), map_in_mesh(&map, &addr)));
	for (size_t i = 0; i < sizeof out / sizeof *out; i++)
		assert_false((addr = sample_addr(out[i]), map_in_mesh(&map, &addr)));
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		assert_true(map_in_domain(&map, span_str(ours[i])));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(map_in_domain(&map, span_str(others[i])));
	drop(&map);
}

/* In the place of the first prefix: each a family, 16 bytes, and the bits. */
static void bad_prefixes_cover_nothing(void **state) {
	static const uint8_t bad[][2] = {
		{AF_INET, 33}, {AF_INET, 255}, {AF_INET6, 129}, {AF_INET6, 255}, {0, 0}};
	struct addr zero[] = {{.family = AF_INET}, {.family = AF_INET6}};
	struct map map = built();
	struct map_header header;
	uint8_t *bytes;

	(void)state;
	assert_true(map_header(&map, &header));
	bytes = (uint8_t *)(uintptr_t)header.prefixes.p;
	memset(bytes, 0, sizeof(struct prefix));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bytes[0] = bad[i][0];
		bytes[17] = bad[i][1];
		assert_false(map_in_mesh(&map, &zero[0]));
		assert_false(map_in_mesh(&map, &zero[1]));
	}
	bytes[0] = AF_INET6;
	bytes[17] = 128;
	assert_true(map_in_mesh(&map, &zero[1]));
	drop(&map);
}

static void own_section_without_identity_gives_no_prefix(void **state) {
	struct map map;
	struct map_header header;

	(void)state;
	sample.peers[0].aid[0] = 0;
	sample.roster.nhosts = 0;
	map = built();
	assert_true(map_header(&map, &header));
	assert_int_equal(header.prefixes.n, 4 * sizeof(struct prefix));
	sample_init(&sample);
	drop(&map);
}

static void records_end_at_their_expiry(void **state) {
	struct span name = span_str("old.clinic-b.mesh.internal");
	const struct roster_host *old = &sample.hosts[SAMPLE_OLD_B];
	struct map map = built();
	struct map_card host, card;

	(void)state;
	assert_true(map_card(&map, MAP_NAME, name, SAMPLE_EXPIRED - 1, &host));
	assert_true(map_card(&map, MAP_ADDR, addr_span(&old->addrs[0]), SAMPLE_EXPIRED - 1, &host));
	assert_true(map_card(&map, MAP_KEY, span_of(old->key, WG_KEY_BYTES), SAMPLE_EXPIRED - 1, &card));
	assert_false(map_card(&map, MAP_NAME, name, SAMPLE_EXPIRED, &host));
	assert_false(map_card(&map, MAP_ADDR, addr_span(&old->addrs[0]), SAMPLE_EXPIRED, &host));
	assert_false(map_card(&map, MAP_KEY, span_of(old->key, WG_KEY_BYTES), SAMPLE_EXPIRED, &card));
	assert_true(map_card(&map, MAP_NAME, span_str("web.clinic-b.mesh.internal"), NEVER - 1, &host));
	drop(&map);
}

static bool account(const struct map *map, enum map_type type, const char *name, struct map_account *out) {
	return map_account(map, type, span_str(name), NOW, out);
}

static bool numbered(const struct map *map, enum map_type type, uint32_t number, struct map_account *out) {
	uint32_t le = htole32(number);

	return map_account(map, type, span_of(&le, sizeof le), NOW, out);
}

static bool is_carol(const struct map_account *a) {
	return a->id == SAMPLE_GID + 2 && a->gid == SAMPLE_GID && span_is(a->texts[0], "carol@clinic-b") &&
	       span_is(a->texts[1], "*") && span_is(a->texts[2], "") &&
	       span_is(a->texts[3], "/home/carol@clinic-b") && span_is(a->texts[4], "/bin/bash");
}

static void names_and_numbers_find_accounts(void **state) {
	struct map map = built();
	struct map_account a;

	(void)state;
	assert_true(account(&map, MAP_USER, "carol@clinic-b", &a) && is_carol(&a));
	assert_true(numbered(&map, MAP_UID, SAMPLE_GID + 2, &a) && is_carol(&a));
	assert_true(account(&map, MAP_GROUP, "clinic-b", &a));
	assert_true(numbered(&map, MAP_GID, SAMPLE_GID, &a));
	assert_true(a.id == SAMPLE_GID && a.gid == SAMPLE_GID);
	assert_text(a.texts[0], "clinic-b");
	assert_text(a.texts[1], "*");
	drop(&map);
}

static void other_names_and_numbers_find_no_account(void **state) {
	static const char *const users[] = {"", "@", "carol", "carol@", "@clinic-b", "Carol@clinic-b",
		"carol@Clinic-b", "carol@clinic-a", "carol@clinic-b ", "clinic-b", "root", "alice@clinic-b"};
	static const char *const groups[] = {"", "clinic", "Clinic-b", "carol@clinic-b", "root"};
	static const uint32_t numbers[] = {0, 1, SAMPLE_GID + 3, 0x42424171, UINT32_MAX};
	struct map map = built();
	struct map_account a;

	(void)state;
	for (size_t i = 0; i < sizeof users / sizeof *users; i++)
		assert_false(account(&map, MAP_USER, users[i], &a));
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		assert_false(account(&map, MAP_GROUP, groups[i], &a));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		assert_false(
			numbered(&map, MAP_UID, numbers[i], &a) || numbered(&map, MAP_GID, numbers[i], &a));
	assert_false(numbered(&map, MAP_UID, SAMPLE_GID, &a));
	assert_false(numbered(&map, MAP_GID, SAMPLE_GID + 1, &a));
	drop(&map);
}

static void homes_know_login_and_petname(void **state) {
	struct map map;
	struct map_account a;

	(void)state;
	snprintf(sample.policy.home, sizeof sample.policy.home, "/srv/%%p/%%u/%%%%u/%%u");
	map = built();
	assert_true(account(&map, MAP_USER, "dave@clinic-b", &a));
	assert_text(a.texts[3], "/srv/clinic-b/dave/%u/dave");
	sample_init(&sample);
	drop(&map);
}

/* The accounts' or groups' names, one behind the other. */
static const char *names_of_all(const struct map *map, enum map_type type) {
	static char names[1000];
	struct map_account a;
	uint32_t place = 0;

	names[0] = 0;
	while (map_account_next(map, type, NOW, &place, &a))
		snprintf(names + strlen(names), sizeof names - strlen(names), "%.*s ", SPAN_ARG(a.texts[0]));
	assert_false(map_account_next(map, type, NOW, &place, &a));
	return names;
}

static void all_accounts_one_by_one(void **state) {
	struct map map = built();

	(void)state;
	assert_string_equal(names_of_all(&map, MAP_USERS), "erin@clinic-a dave@clinic-b carol@clinic-b ");
	assert_string_equal(names_of_all(&map, MAP_GROUPS), "clinic-a clinic-b ");
	drop(&map);
	sample.roster.naccounts = 0;
	map = built();
	assert_string_equal(names_of_all(&map, MAP_USERS), "");
	assert_string_equal(names_of_all(&map, MAP_GROUPS), "");
	sample_init(&sample);
	drop(&map);
}

/* With their group; the lists pass over them. */
static void accounts_end_at_their_expiry(void **state) {
	static const struct {
		size_t first, n; /* of the sample's accounts, who all end */
		const char *user, *group, *users, *groups;
		uint32_t uid, gid;
	} peers[] = {
		{0, 1, "erin@clinic-a", "clinic-a", "dave@clinic-b carol@clinic-b ", "clinic-b ", 1880000001,
			1880000000},
		{1, 2, "carol@clinic-b", "clinic-b", "erin@clinic-a ", "clinic-a ", SAMPLE_GID + 2,
			SAMPLE_GID},
	};
	struct map_account a;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const size_t peer = i / 2;
		const bool left = i % 2;
		struct map map;

		for (size_t k = 0; k < peers[peer].n; k++)
			sample.accounts[peers[peer].first + k].expires = NOW + left;
		map = built();
		assert_true(account(&map, MAP_USER, peers[peer].user, &a) == left);
		assert_true(numbered(&map, MAP_UID, peers[peer].uid, &a) == left);
		assert_true(account(&map, MAP_GROUP, peers[peer].group, &a) == left);
		assert_true(numbered(&map, MAP_GID, peers[peer].gid, &a) == left);
		assert_true((strcmp(names_of_all(&map, MAP_USERS), peers[peer].users) == 0) != left);
		assert_true((strcmp(names_of_all(&map, MAP_GROUPS), peers[peer].groups) == 0) != left);
		sample_init(&sample);
		drop(&map);
	}
}

static void a_list_leads_on_in_a_new_map(void **state) {
	struct map map = built();
	struct map_account a;
	uint32_t place = 0;

	(void)state;
	assert_true(map_account_next(&map, MAP_USERS, NOW, &place, &a));
	assert_text(a.texts[0], "erin@clinic-a");
	drop(&map);
	sample.roster.naccounts = 2;
	map = built();
	assert_true(map_account_next(&map, MAP_USERS, NOW, &place, &a));
	assert_text(a.texts[0], "dave@clinic-b");
	assert_false(map_account_next(&map, MAP_USERS, NOW, &place, &a));
	drop(&map);
	sample_init(&sample);
}

/* Every record that libcdb finds by its own search is one that we find, and the other way round. */
static void libcdb_finds_every_record(void **state) {
	struct map map = built();
	struct cdb cdb;
	unsigned position, records = 0;
	uint8_t key[MAP_KEY_MAX];
	struct map_card host, card;
	struct map_account a;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(cdb_init(&cdb, fd), 0);
	for (cdb_seqinit(&position, &cdb); cdb_seqnext(&position, &cdb) > 0; records++) {
		struct addr addr;

		assert_int_equal(cdb_readkey(&cdb, key), 0);
		assert_true(cdb_find(&cdb, key, cdb_keylen(&cdb)) > 0);
		if (key[0] == MAP_NAME)
			assert_true(
				map_card(&map, MAP_NAME, span_of(key + 1, cdb_keylen(&cdb) - 1), 0, &host));
		if (key[0] == MAP_ADDR) {
			addr = addr_from_bytes(cdb_keylen(&cdb) == 5 ? AF_INET : AF_INET6, key + 1);
			assert_true(map_card(&map, MAP_ADDR, addr_span(&addr), 0, &host));
		}
		if (key[0] == MAP_KEY)
			assert_true(map_card(&map, MAP_KEY, span_of(key + 1, WG_KEY_BYTES), 0, &card));
		if (strchr("uiUgjG", key[0]))
			assert_true(map_account(
				&map, (enum map_type)key[0], span_of(key + 1, cdb_keylen(&cdb) - 1), 0, &a));
	}
	assert_int_equal(records, RECORDS);
	cdb_free(&cdb);
	close(fd);
	drop(&map);
}

#define FIXED 16 /* bytes of a value before its first text: expiry and numbers, or the header's */

/* What the reader gives for a record is its value in the file's own bytes, from the first text to the last.
 */
static struct span whole(struct span first, struct span last) {
	const uint8_t *start = first.p - sizeof(uint64_t) - FIXED;

	return span_of(start, (size_t)(last.p + last.n - start));
}

/* The value that the reader finds for a key. */
static struct span value_of(const struct map *map, struct span key) {
	enum map_type type = (enum map_type)key.p[0];
	struct map_header header;
	struct map_account a;
	struct map_card card;

	if (type == MAP_HEADER && map_header(map, &header))
		return whole(header.interface, header.prefixes);
	if (strchr("nak", (int)type) && map_card(map, type, span_from(key, 1), 0, &card))
		return whole(card.name, card.logins);
	if (strchr("uiUgjG", (int)type) && map_account(map, type, span_from(key, 1), 0, &a))
		return whole(a.texts[0], a.texts[MAP_TEXTS - 1]);
	return (struct span){0};
}

/* The output of a shell command in which $MAP is the map; it must succeed. */
static struct span output_of(const char *command) {
	static uint8_t buf[1 << 20];
	FILE *out;
	size_t n;

	setenv("MAP", path, 1);
	out = popen(command, "re");
	assert_non_null(out);
	n = fread(buf, 1, sizeof buf, out);
	if (pclose(out) != 0)
		fail_msg("%s", command);
	return bytes_copy(buf, n);
}

static void need_cdb_tool(void) {
	if (system("command -v cdb >/dev/null") == 0)
		return;
	printf("the cdb tool (package tinycdb) is not installed\n");
	skip();
}

/* Asks the tool for a key, which it takes as an argument, so not for one with a NUL in it. */
static void assert_tool_finds(struct span key, struct span value) {
	struct span found;
	char text[MAP_KEY_MAX];

	if (memchr(key.p, 0, key.n) || key.n >= sizeof text)
		return;
	memcpy(text, key.p, key.n);
	text[key.n] = 0;
	setenv("KEY", text, 1);
	found = output_of("cdb -q \"$MAP\" \"$KEY\"");
	assert_true(span_eq(found, value));
	bytes_free(found);
}

/* Takes a record off the tool's dump: +KEYSIZE,VALUESIZE:KEY->VALUE and the end of the line. */
static bool take_dumped(struct span *dump, struct span *key, struct span *value) {
	size_t key_n, value_n;
	char *end;

	if (dump->n == 0 || dump->p[0] != '+')
		return false;
	key_n = strtoul((const char *)dump->p + 1, &end, 10);
	assert_int_equal(*end, ',');
	value_n = strtoul(end + 1, &end, 10);
	assert_int_equal(*end, ':');
	*dump = span_from(*dump, (size_t)((const uint8_t *)end + 1 - dump->p));
	*key = span_cut(*dump, 0, key_n);
	*value = span_cut(*dump, key_n + 2, value_n);
	*dump = span_from(*dump, key_n + 2 + value_n + 1);
	return true;
}

/* Every record that tinycdb's own tool dumps is found by the reader and by the tool, with that value. */
static void cdb_tool_reads_the_same(void **state) {
	struct span dump, rest, key, value;
	unsigned records = 0;
	struct map map;

	(void)state;
	need_cdb_tool();
	map = built();
	dump = rest = output_of("cdb -d \"$MAP\"");
	for (; take_dumped(&rest, &key, &value); records++) {
		assert_true(span_eq(value_of(&map, key), value));
		assert_tool_finds(key, value);
	}
	assert_true(span_is(rest, "\n"));
	assert_int_equal(records, RECORDS);
	bytes_free(dump);
	drop(&map);
}

/* Of the dump the tool makes the same file, byte for byte: tables, order and all. */
static void cdb_tool_writes_the_same(void **state) {
	struct span made;
	struct map map;

	(void)state;
	need_cdb_tool();
	map = built();
	made = output_of(
		"cdb -d \"$MAP\" | cdb -c -t - \"$MAP.made\" && cat \"$MAP.made\" && rm \"$MAP.made\"");
	assert_true(span_eq(made, span_of(map.base, map.size)));
	bytes_free(made);
	drop(&map);
}

static bool finds_only_truth(const struct map *map) {
	const struct sample *s = &sample;
	struct map_card host, card;
	bool truth = true;

	if (by_name(map, "db1.clinic-b.mesh.internal", &host))
		truth = truth && is_db1(&host);
	if (by_name(map, "db1." SAMPLE_AID_B ".mesh.internal", &host))
		truth = truth && is_db1(&host);
	for (size_t i = 0; i < 4; i++)
		if (map_card(map, MAP_ADDR, addr_span(&s->addrs[SAMPLE_DB1_B][i]), NOW, &host))
			truth = truth && is_db1(&host);
	if (map_card(map, MAP_KEY, span_of(s->hosts[SAMPLE_DB1_B].key, WG_KEY_BYTES), NOW, &card))
		truth = truth && is_db1(&card);
	truth = truth && !by_name(map, "db2.clinic-b.mesh.internal", &host);
	return truth && !by_name(map, "old.clinic-b.mesh.internal", &host);
}

/* Touches every byte of an answer. */
static void read_all(const struct map_card *card) {
	const struct span parts[] = {
		card->name, card->alias, card->aid, card->said, card->v4, card->v6, card->logins};
	struct span logins = card->logins, login, account, keys;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes_free(bytes_copy(parts[i].p, parts[i].n));
	while (map_login_next(&logins, &login, &account, &keys)) {
		bytes_free(bytes_copy(login.p, login.n));
		bytes_free(bytes_copy(account.p, account.n));
		bytes_free(bytes_copy(keys.p, keys.n));
	}
}

static void read_accounts(const struct map *map) {
	static const enum map_type types[] = {MAP_USERS, MAP_GROUPS};
	struct map_account a = {0};
	uint32_t place = 0;

	account(map, MAP_USER, "carol@clinic-b", &a);
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < MAP_TEXTS; k++)
			bytes_free(bytes_copy(a.texts[k].p, a.texts[k].n));
		a = (struct map_account){0};
		map_account_next(map, types[i % 2], NOW, &place, &a);
	}
}

/* Makes every lookup; the sanitizers see what is read outside. */
static void look_around(const struct map *map) {
	struct addr addr = sample_addr("192.0.2.1");
	struct map_card card;

	map_in_mesh(map, &addr);
	map_in_domain(map, span_str("db1.clinic-b.mesh.internal"));
	if (by_name(map, "db1.clinic-b.mesh.internal", &card))
		read_all(&card);
	if (by_name(map, "db1." SAMPLE_AID_B ".mesh.internal", &card))
		read_all(&card);
	for (size_t i = 0; i < 4; i++)
		if (map_card(map, MAP_ADDR, addr_span(&sample.addrs[SAMPLE_DB1_B][i]), NOW, &card))
			read_all(&card);
	if (map_card(map, MAP_KEY, span_of(sample.hosts[SAMPLE_DB1_B].key, WG_KEY_BYTES), NOW, &card))
		read_all(&card);
	read_accounts(map);
}

static void damage_does_no_harm(void **state) {
	static const uint8_t changes[] = {0x01, 0x20, 0x80, 0xff};
	struct map good = built(), bad = in_memory(span_of(good.base, good.size));
	uint8_t *bytes = (uint8_t *)(uintptr_t)bad.base;

	(void)state;
	assert_true(finds_only_truth(&good));
	for (size_t at = 0; at < bad.size; at++)
		for (size_t i = 0; i < sizeof changes; i++) {
			bytes[at] ^= changes[i];
			look_around(&bad);
			bytes[at] ^= changes[i];
		}
	drop(&good);
	drop(&bad);
}

/* Whole words, so that offsets and lengths point anywhere, also far outside. */
static void wild_offsets_stay_inside(void **state) {
	static const uint32_t words[] = {
		0, 1, 8, 2047, 2048, 2049, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	struct map good = built(), bad;
	uint32_t word, size = (uint32_t)good.size;

	(void)state;
	for (size_t at = 0; at + 4 <= good.size; at += at < 2048 ? 4 : 1)
		for (size_t i = 0; i <= sizeof words / sizeof *words; i++) {
			word = htole32(i < sizeof words / sizeof *words ? words[i] : size - 1);
			bad = in_memory(span_of(good.base, good.size));
			memcpy((uint8_t *)(uintptr_t)bad.base + at, &word, sizeof word);
			look_around(&bad);
			drop(&bad);
		}
	drop(&good);
}

static void truncation_is_never_believed(void **state) {
	struct map good = built(), bad;

	(void)state;
	for (size_t n = 0; n < good.size; n++) {
		bad = in_memory(span_of(good.base, n));
		assert_true(finds_only_truth(&bad));
		look_around(&bad);
		drop(&bad);
	}
	drop(&good);
}

/* The tables of a cdb may be full, which no writer makes: a search then ends after one round. */
static void full_tables_end(void **state) {
	struct map map = built();
	struct map_card host;
	uint8_t *bytes = (uint8_t *)(uintptr_t)map.base;
	const uint32_t slots = htole32((uint32_t)((map.size - 2048) / 8));

	(void)state;
	memset(bytes + 2048, 0xff, map.size - 2048);
	for (size_t i = 0; i < 256; i++) {
		memcpy(bytes + i * 8, &(uint32_t){htole32(2048)}, 4);
		memcpy(bytes + i * 8 + 4, &slots, 4);
	}
	assert_false(by_name(&map, "db1.clinic-b.mesh.internal", &host));
	drop(&map);
}

static void opens_what_root_alone_can_write(void **state) {
	struct map map = {0};
	struct map_card host;
	struct stat st;
	mode_t mask;

	(void)state;
	need_private_state();
	mask = umask(0077);
	map = built();
	drop(&map);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(map_open(&map, path), 0);
	assert_false(map_superseded(&map));
	assert_true(by_name(&map, "db1.clinic-b.mesh.internal", &host) && is_db1(&host));
	map_close(&map);
	assert_null(map.base);
	map_close(&map);
}

static void assert_refused(const char *file, int code) {
	struct map map;
	int next = dup(0);

	close(next);
	assert_int_equal(map_open(&map, file), code);
	assert_null(map.base);
	assert_int_equal(dup(0), next); /* no descriptor was kept */
	close(next);
}

static void others_must_not_be_able_to_write(void **state) {
	static const mode_t bad[] = {0664, 0646, 0666};
	struct map map;

	(void)state;
	need_private_state();
	map = built();
	drop(&map);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_refused(path, EPERM);
	}
	assert_int_equal(chmod(path, 0644), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(dir, bad[i] | 0111), 0);
		assert_refused(path, EPERM);
	}
	assert_int_equal(chmod(dir, 01777), 0);
	assert_refused(path, EPERM);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(map_open(&map, path), 0);
	map_close(&map);
}

static void owner_must_be_root(void **state) {
	struct map map;

	(void)state;
	need_private_state();
	map = built();
	drop(&map);
	if (chown(path, 65534, 0) != 0) {
		printf("an ordinary user cannot give a file away, not even in a user namespace\n");
		skip();
	}
	assert_refused(path, EPERM);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chown(dir, 65534, 0), 0);
	assert_refused(path, EPERM);
	assert_int_equal(chown(dir, 0, 0), 0);
	assert_int_equal(map_open(&map, path), 0);
	map_close(&map);
}

static void only_regular_files_are_opened(void **state) {
	char other[96];
	struct map map;

	(void)state;
	need_private_state();
	map = built();
	drop(&map);
	snprintf(other, sizeof other, "%s/other", dir);
	assert_refused(other, ENOENT);
	assert_int_equal(symlink(path, other), 0);
	assert_refused(other, ELOOP);
	unlink(other);
	assert_int_equal(mkfifo(other, 0644), 0);
	assert_refused(other, EPERM);
	unlink(other);
	assert_int_equal(mkdir(other, 0755), 0);
	assert_refused(other, EPERM);
	rmdir(other);
	write_file(other, span_of(NULL, 0), 0644);
	assert_refused(other, EINVAL);
	unlink(other);
	assert_refused("/dev/null", EPERM);
	assert_refused("peers.cdb", EINVAL);
	assert_refused("", EINVAL);
	assert_refused("/nowhere/peers.cdb", ENOENT);
}

/* Of the header the key, the version and the file's size must be right. */
static void only_whole_maps_are_opened(void **state) {
	struct map good, bad, map;
	uint8_t *bytes;

	(void)state;
	need_private_state();
	good = built();
	for (size_t n = 0; n < good.size; n++) {
		write_file(path, span_of(good.base, n), 0644);
		assert_refused(path, EINVAL);
	}
	bad = in_memory(span_of(good.base, good.size));
	bytes = (uint8_t *)(uintptr_t)bad.base;
	for (size_t at = MAP_SUPERSEDED - 4; at < MAP_SUPERSEDED + 16; at++) {
		bytes[at] ^= 4;
		write_file(path, span_of(bytes, bad.size), 0644);
		bytes[at] ^= 4;
		if (at < MAP_SUPERSEDED || at >= MAP_SUPERSEDED + 4) {
			assert_refused(path, EINVAL);
		} else {
			assert_int_equal(map_open(&map, path), 0);
			map_close(&map);
		}
	}
	drop(&bad);
	bytes = calloc(1, good.size + 1);
	memcpy(bytes, good.base, good.size);
	write_file(path, span_of(bytes, good.size + 1), 0644);
	assert_refused(path, EINVAL);
	free(bytes);
	drop(&good);
}

static void other_versions_are_refused(void **state) {
	struct map map;
	uint8_t *version;

	(void)state;
	need_private_state();
	map = built();
	version = (uint8_t *)(uintptr_t)map.base + MAP_SUPERSEDED + 4;
	for (*version = 0; *version < 4; ++*version) {
		write_file(path, span_of(map.base, map.size), 0644);
		if (*version != MAP_VERSION)
			assert_refused(path, EINVAL);
	}
	*version = MAP_VERSION;
	write_file(path, span_of(map.base, map.size), 0644);
	drop(&map);
	assert_int_equal(map_open(&map, path), 0);
	map_close(&map);
}

static void readers_see_that_they_are_superseded(void **state) {
	struct map old, new;
	struct map_card host;

	(void)state;
	need_private_state();
	new = built();
	drop(&new);
	assert_int_equal(map_open(&old, path), 0);
	assert_false(map_superseded(&old));
	new = built();
	drop(&new);
	assert_true(map_superseded(&old));
	assert_true(by_name(&old, "db1.clinic-b.mesh.internal", &host) && is_db1(&host));
	assert_int_equal(map_open(&new, path), 0);
	assert_false(map_superseded(&new));
	map_close(&old);
	map_close(&new);
}

/* The writer died between mark and rename: what is there is served. */
static void marked_map_in_its_place_is_served(void **state) {
	struct map map;
	int fd;

	(void)state;
	need_private_state();
	map = built();
	drop(&map);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\1", 1, MAP_SUPERSEDED), 1);
	close(fd);
	assert_int_equal(map_open(&map, path), 0);
	assert_true(map_superseded(&map));
	assert_true(finds_only_truth(&map));
	map_close(&map);
}

static void build_fails(const char *file, const char *text) {
	struct err err = {0};

	assert_false(map_build(&sample.roster, file, &err));
	assert_int_equal(err.status, ERR_ENV);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void failed_write_changes_nothing(void **state) {
	struct rlimit old, small = {3000, RLIM_INFINITY};
	struct map before, after;

	(void)state;
	before = built();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t n = 0; n < before.size; n += 500) {
		small.rlim_cur = n;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		build_fails(path, "peers.cdb: File too large");
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(access(temp, F_OK), -1);
		after = (struct map){bytes_of_file(path).p, before.size};
		assert_memory_equal(before.base, after.base, before.size);
		drop(&after);
	}
	signal(SIGXFSZ, SIG_DFL);
	drop(&before);
	build_fails("/nowhere/peers.cdb", "/nowhere/peers.cdb.new: No such file or directory");
}

/* A file that is a mount point can be written, but not replaced. */
static void failed_rename_takes_the_mark_back(void **state) {
	struct map map;

	(void)state;
	need_private_state();
	map = built();
	drop(&map);
	assert_int_equal(mount(path, path, "none", MS_BIND, NULL), 0);
	assert_int_equal(map_open(&map, path), 0);
	build_fails(path, "peers.cdb: Device or resource busy");
	assert_false(map_superseded(&map));
	assert_int_equal(access(temp, F_OK), -1);
	map_close(&map);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void leftovers_and_strangers_are_replaced(void **state) {
	char junk[4096];
	struct map map;
	int stranger;

	(void)state;
	memset(junk, 'x', sizeof junk);
	unlink(path);
	write_file(path, span_of(junk, sizeof junk), 0600);
	write_file(temp, span_of(junk, sizeof junk), 0600);
	stranger = open(path, O_RDONLY | O_CLOEXEC);
	map = built();
	assert_true(finds_only_truth(&map));
	assert_int_equal(access(temp, F_OK), -1);
	memset(junk, 0, sizeof junk);
	assert_int_equal(pread(stranger, junk, sizeof junk, 0), sizeof junk);
	for (size_t i = 0; i < sizeof junk; i++)
		assert_int_equal(junk[i], 'x'); /* no mark was written to what is no map */
	close(stranger);
	drop(&map);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	map = built();
	assert_true(finds_only_truth(&map));
	drop(&map);
}

static void many_fill(
	struct sample *many, struct policy_peer *peers, struct roster_host *hosts, struct addr (*addrs)[2]) {
	for (uint32_t i = 0; i < PEERS_IN_MANY; i++) {
		memcpy(peers[i].aid, SAMPLE_AID_A, CESR_TEXT);
		peers[i].aid[10] = (char)('0' + i / 10);
		peers[i].aid[11] = (char)('0' + i % 10);
		snprintf(peers[i].name, sizeof peers[i].name, "peer-%" PRIu32, i);
	}
	for (uint32_t i = 0; i < HOSTS_IN_MANY; i++) {
		char label[16];
		uint32_t v4 = htobe32(0x0a000000 + i);

		snprintf(label, sizeof label, "host%" PRIu32, i);
		sample_host(&hosts[i], &peers[i % PEERS_IN_MANY], label, addrs[i]);
		addrs[i][1] = addr_from_bytes(AF_INET, &v4);
		hosts[i].naddrs = 2;
	}
	many->policy.peers = peers;
	many->policy.npeers = PEERS_IN_MANY;
	many->roster.hosts = hosts;
	many->roster.nhosts = HOSTS_IN_MANY;
}

static void ten_thousand_hosts(void **state) {
	static struct policy_peer peers[PEERS_IN_MANY];
	static struct roster_host hosts[HOSTS_IN_MANY];
	static struct addr addrs[HOSTS_IN_MANY][2];
	struct stat st;
	struct map map;
	struct map_card host, card;
	int fd;

	(void)state;
	many_fill(&sample, peers, hosts, addrs);
	assert_true(map_build(&sample.roster, path, NULL));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	map.size = (size_t)st.st_size;
	map.base = mmap(NULL, map.size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	for (size_t i = 0; i < HOSTS_IN_MANY; i++) {
		char name[200];

		snprintf(name, sizeof name, "HOST%zu.peer-%zu.mesh.internal", i, i % PEERS_IN_MANY);
		assert_true(by_name(&map, name, &host));
		assert_span(host.v6, addrs[i][0].bytes, 16);
		snprintf(name, sizeof name, "host%zu.%s.mesh.internal", i, hosts[i].peer->aid);
		assert_true(by_name(&map, name, &host));
		assert_span(host.v4, addrs[i][1].bytes, 4);
		assert_text(host.alias, name);
		assert_true(map_card(&map, MAP_ADDR, addr_span(&addrs[i][1]), NOW, &host));
		assert_text(host.alias, name);
		assert_true(map_card(&map, MAP_KEY, span_of(hosts[i].key, WG_KEY_BYTES), NOW, &card));
		assert_text(card.alias, name);
	}
	munmap((void *)(uintptr_t)map.base, map.size);
	sample_init(&sample);
}

static int set_up(void **state) {
	(void)state;
	sample_init(&sample);
	private_state = private_state_enter();
	snprintf(dir, sizeof dir, "%s", private_state ? PATH_STATE : "/tmp/verimesh-map-XXXXXX");
	if (!private_state && !mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/peers.cdb", dir);
	snprintf(temp, sizeof temp, "%s.new", path);
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	unlink(path);
	return private_state ? 0 : rmdir(dir);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_find_hosts),
		cmocka_unit_test(ssh_keys_are_written_as_ssh_keygen_does),
		cmocka_unit_test(other_names_find_nothing),
		cmocka_unit_test(addresses_find_hosts),
		cmocka_unit_test(tunnel_keys_find_cards),
		cmocka_unit_test(a_key_to_come_finds_the_card_in_force),
		cmocka_unit_test(header_names_interface_domain_and_prefixes),
		cmocka_unit_test(mesh_and_domain_have_their_borders),
		cmocka_unit_test(bad_prefixes_cover_nothing),
		cmocka_unit_test(own_section_without_identity_gives_no_prefix),
		cmocka_unit_test(records_end_at_their_expiry),
		cmocka_unit_test(names_and_numbers_find_accounts),
		cmocka_unit_test(other_names_and_numbers_find_no_account),
		cmocka_unit_test(homes_know_login_and_petname),
		cmocka_unit_test(all_accounts_one_by_one),
		cmocka_unit_test(accounts_end_at_their_expiry),
		cmocka_unit_test(a_list_leads_on_in_a_new_map),
		cmocka_unit_test(libcdb_finds_every_record),
		cmocka_unit_test(cdb_tool_reads_the_same),
		cmocka_unit_test(cdb_tool_writes_the_same),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(wild_offsets_stay_inside),
		cmocka_unit_test(truncation_is_never_believed),
		cmocka_unit_test(full_tables_end),
		cmocka_unit_test(opens_what_root_alone_can_write),
		cmocka_unit_test(others_must_not_be_able_to_write),
		cmocka_unit_test(owner_must_be_root),
		cmocka_unit_test(only_regular_files_are_opened),
		cmocka_unit_test(only_whole_maps_are_opened),
		cmocka_unit_test(other_versions_are_refused),
		cmocka_unit_test(readers_see_that_they_are_superseded),
		cmocka_unit_test(marked_map_in_its_place_is_served),
		cmocka_unit_test(failed_write_changes_nothing),
		cmocka_unit_test(failed_rename_takes_the_mark_back),
		cmocka_unit_test(leftovers_and_strangers_are_replaced),
		cmocka_unit_test(ten_thousand_hosts),
	};

	return cmocka_run_group_tests_name("map", tests, set_up, tear_down);
}
