/* test_keyring.c: the ring in the real kernel keyring: made, filled, read, attacked, removed. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <keyutils.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "keyring.h"
#include "keyring_build.h"
#include "paths.h"
#include "rootless.h"

#define OURS (KEY_POS_ALL | KEY_USR_ALL)
#define AID "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define SAID "EBfdlu8R27Fbx-ehrqwImnK-8Cm79sqbAQ4MmvEAYqao"

/* Each test has an interface name, a directory and a ring of its own. */
struct world {
	char interface[16], name[64], root[64], serial[128];
	int32_t ring;
	struct policy policy;
	struct policy_peer peer;
	struct roster roster;
	struct roster_host hosts[512];
};

/* Where the worlds are, for what a failed test leaves. */
static struct { char interface[16], root[64]; } places[64];

static bool real_root;	/* not root of a user namespace */
static bool ready;	/* uid 0, one way or the other */
static unsigned worlds; /* made so far */

static void need_root(void) {
	if (!ready)
		skip();
}

static void need_real_root(const char *why) {
	need_root();
	if (real_root)
		return;
	printf("needs real root: %s\n", why);
	skip();
}

static void key_of(size_t i, uint8_t key[static WG_KEY_BYTES]) {
	memset(key, 0, WG_KEY_BYTES);
	key[0] = (uint8_t)(i >> 16);
	key[1] = (uint8_t)(i >> 8);
	key[2] = (uint8_t)i;
	key[31] = 7;
}

static void fill_host(const struct world *w, struct roster_host *host, size_t i) {
	memset(host, 0, sizeof *host);
	host->peer = &w->peer;
	snprintf(host->label, sizeof host->label, "db%zu", i);
	snprintf(host->said, sizeof host->said, SAID);
	key_of(i, host->key);
	host->sn = i;
	host->expires = NEVER;
}

/* The first n hosts are in the roster. */
static void set_hosts(struct world *w, size_t n) {
	for (size_t i = 0; i < n; i++)
		fill_host(w, &w->hosts[i], i);
	w->roster.nhosts = n;
}

static void world_begin(struct world *w) {
	struct err err = {0};

	need_root();
	memset(w, 0, sizeof *w);
	snprintf(w->interface, sizeof w->interface, "vt%x-%u", getpid() & 0xffffff, worlds++);
	snprintf(w->name, sizeof w->name, "verimesh:%s", w->interface);
	snprintf(w->root, sizeof w->root, "/tmp/verimesh-keyring-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	assert_true(worlds <= sizeof places / sizeof *places);
	memcpy(places[worlds - 1].interface, w->interface, sizeof w->interface);
	memcpy(places[worlds - 1].root, w->root, sizeof w->root);
	snprintf(w->serial, sizeof w->serial, "%s" PATH_RUN "/%s.ring", w->root, w->interface);
	snprintf(w->policy.domain, sizeof w->policy.domain, "mesh.internal");
	snprintf(w->peer.name, sizeof w->peer.name, "clinic-b");
	snprintf(w->peer.aid, sizeof w->peer.aid, AID);
	w->roster.policy = &w->policy;
	w->roster.hosts = w->hosts;
	if (!keyring_make(w->root, w->interface, &w->ring, &err))
		fail_msg("%s", err.text);
}

static int remove_dirs(const char *root) {
	static const char *const dirs[] = {PATH_RUN, "/run", ""};
	char path[128];
	int rc = 0;

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		snprintf(path, sizeof path, "%s%s", root, dirs[i]);
		rc |= rmdir(path);
	}
	return rc;
}

static void world_end(struct world *w) {
	struct err err = {0};

	if (!keyring_remove(w->root, w->interface, &err))
		fail_msg("%s", err.text);
	assert_return_code(remove_dirs(w->root), errno);
}

/* What failed tests left. */
static int clean_up(void **state) {
	char name[64];

	(void)state;
	for (unsigned i = 0; i < worlds; i++) {
		snprintf(name, sizeof name, "verimesh:%s", places[i].interface);
		keyctl_unlink((int32_t)keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", name, 0),
			KEY_SPEC_USER_KEYRING);
		keyring_remove(places[i].root, places[i].interface, NULL);
		remove_dirs(places[i].root);
	}
	return 0;
}

static void sync_ok(struct world *w) {
	struct err err = {0};

	if (!keyring_sync(w->ring, &w->roster, &err))
		fail_msg("%s", err.text);
}

static int lookup(const struct world *w, size_t i, char payload[static KEYRING_PAYLOAD]) {
	uint8_t key[WG_KEY_BYTES];
	char name[WG_KEY_TEXT];

	key_of(i, key);
	wg_key_encode(key, name);
	return keyring_read(w->ring, name, payload);
}

static int lookup_rc(const struct world *w, size_t i) {
	char payload[KEYRING_PAYLOAD];
	int rc = lookup(w, i, payload);

	assert_true((rc == 0) == (payload[0] != 0));
	return rc;
}

/* The serial of a host's key, by the kernel's own search. */
static int32_t serial_of(const struct world *w, size_t i) {
	uint8_t key[WG_KEY_BYTES];
	char name[WG_KEY_TEXT];

	key_of(i, key);
	wg_key_encode(key, name);
	return (int32_t)keyctl_search(w->ring, "user", name, 0);
}

/* Field n of a key's line in /proc/keys; 3 is its time left ("perm": for ever). */
static void proc_field(int32_t id, unsigned n, char field[static 32]) {
	char line[512];
	unsigned serial;
	FILE *f = fopen("/proc/keys", "re");

	assert_non_null(f);
	field[0] = 0;
	while (!field[0] && fgets(line, sizeof line, f))
		if (sscanf(line, "%x", &serial) == 1 && (int32_t)serial == id) {
			char *word = strtok(line, " ");

			for (unsigned i = 0; i < n; i++)
				word = strtok(NULL, " ");
			snprintf(field, 32, "%s", word);
		}
	fclose(f);
}

static int32_t new_key(int32_t ring, const char *type, const char *name, const void *p, size_t n) {
	int32_t id = add_key(type, name, p, n, KEY_SPEC_PROCESS_KEYRING);

	assert_true(id > 0);
	assert_return_code(keyctl_setperm(id, OURS), errno);
	assert_return_code(keyctl_link(id, ring), errno);
	assert_return_code(keyctl_unlink(id, KEY_SPEC_PROCESS_KEYRING), errno);
	return id;
}

static void write_serial(const struct world *w, const char *text) {
	int fd;

	unlink(w->serial);
	fd = open(w->serial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void write_number(const struct world *w, int32_t serial) {
	char text[16];

	snprintf(text, sizeof text, "%" PRId32, serial);
	write_serial(w, text);
}

static int open_rc(const struct world *w) {
	int32_t ring = -1;
	int rc = keyring_open(w->root, w->interface, &ring);

	if (rc == 0)
		assert_int_equal(ring, w->ring);
	return rc;
}

/* A change of the world under which the ring is not believed; undone by write_number or setperm. */
static void assert_serial_refused(const struct world *w, int32_t serial, int rc) {
	write_number(w, serial);
	assert_int_equal(open_rc(w), rc);
	write_number(w, w->ring);
	assert_int_equal(open_rc(w), 0);
}

/* --- making --- */

static void an_ordinary_user_is_told_that_it_needs_root(void **state) {
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct err err = {0};
		int32_t ring;

		if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		_exit(keyring_make("/nowhere", "verimesh0", &ring, &err) ||
			!strstr(err.text, "needs root") || err.status != ERR_ENV ||
			keyring_remove("/nowhere", "verimesh0", &err));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void the_ring_is_roots_and_the_serial_file_names_it(void **state) {
	struct world w;
	struct keyring_key key;
	struct stat st;
	char text[32] = "", expect[32];
	int fd;

	(void)state;
	world_begin(&w);
	assert_int_equal(keyring_describe(w.ring, &key), 0);
	assert_string_equal(key.type, "keyring");
	assert_string_equal(key.name, w.name);
	assert_int_equal(key.uid, 0);
	assert_int_equal(key.permissions, OURS);
	assert_int_equal(OURS, 0x3f3f0000);
	fd = open(w.serial, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_return_code(fstat(fd, &st), errno);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	snprintf(expect, sizeof expect, "%" PRId32 "\n", w.ring);
	assert_string_equal(text, expect);
	assert_int_equal(open_rc(&w), 0);
	assert_int_equal(keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", w.name, 0), w.ring);
	world_end(&w);
}

static void a_good_ring_is_used_again_and_a_stale_serial_rewritten(void **state) {
	struct world w;
	struct err err = {0};
	int32_t again = 0, twin;

	(void)state;
	world_begin(&w);
	write_serial(&w, "1\n");
	assert_true(keyring_make(w.root, w.interface, &again, &err));
	assert_int_equal(again, w.ring);
	assert_int_equal(open_rc(&w), 0);
	twin = new_key(w.ring, "keyring", w.name, NULL, 0);
	write_number(&w, twin);
	assert_true(keyring_make(w.root, w.interface, &again, &err));
	assert_int_equal(again, w.ring);
	assert_int_equal(open_rc(&w), 0);
	unlink(w.serial);
	assert_true(keyring_make(w.root, w.interface, &again, &err));
	assert_int_equal(again, w.ring);
	assert_int_equal(open_rc(&w), 0);
	world_end(&w);
}

static void a_revoked_ring_is_made_anew(void **state) {
	struct world w;
	struct err err = {0};
	int32_t old;

	(void)state;
	world_begin(&w);
	old = w.ring;
	assert_return_code(keyctl_revoke(old), errno);
	assert_int_equal(open_rc(&w), EKEYREVOKED);
	assert_true(keyring_make(w.root, w.interface, &w.ring, &err));
	assert_int_not_equal(w.ring, old);
	assert_int_equal(open_rc(&w), 0);
	world_end(&w);
}

static void a_ring_that_is_not_as_we_make_it_is_not_taken_over(void **state) {
	struct world w;
	struct err err = {0};
	char mend[64];
	int32_t ring;

	(void)state;
	world_begin(&w);
	assert_return_code(keyctl_setperm(w.ring, OURS | KEY_OTH_SEARCH), errno);
	assert_false(keyring_make(w.root, w.interface, &ring, &err));
	snprintf(mend, sizeof mend, "`keyctl unlink %" PRId32 " @u`", w.ring);
	assert_non_null(strstr(err.text, mend));
	assert_non_null(strstr(err.text, w.name));
	assert_false(keyring_remove(w.root, w.interface, &err));
	assert_return_code(keyctl_setperm(w.ring, OURS), errno);
	world_end(&w);
}

static void a_ring_of_another_user_is_not_taken_over(void **state) {
	struct world w;
	struct err err = {0};
	int32_t ring;

	(void)state;
	need_real_root("a ring is given to another user");
	world_begin(&w);
	assert_return_code(keyctl_setperm(w.ring, OURS | KEY_OTH_VIEW | KEY_OTH_SEARCH), errno);
	assert_return_code(keyctl_chown(w.ring, 65534, (gid_t)-1), errno);
	assert_int_equal(open_rc(&w), EPERM);
	assert_false(keyring_make(w.root, w.interface, &ring, &err));
	assert_non_null(strstr(err.text, "uid 65534"));
	assert_return_code(keyctl_unlink(w.ring, KEY_SPEC_USER_KEYRING), errno);
	world_end(&w);
}

static void a_ring_inside_another_ring_is_not_ours(void **state) {
	struct world w;
	struct err err = {0};
	int32_t nested, outer;
	char name[64];

	(void)state;
	world_begin(&w);
	nested = w.ring;
	snprintf(name, sizeof name, "outer:%s", w.interface);
	outer = new_key(KEY_SPEC_USER_KEYRING, "keyring", name, NULL, 0);
	assert_return_code(keyctl_link(nested, outer), errno);
	assert_return_code(keyctl_unlink(nested, KEY_SPEC_USER_KEYRING), errno);
	assert_true(keyring_make(w.root, w.interface, &w.ring, &err));
	assert_int_not_equal(w.ring, nested);
	assert_return_code(keyctl_unlink(outer, KEY_SPEC_USER_KEYRING), errno);
	world_end(&w);
}

/* systemd's KeyringMode=private: an empty session keyring, so that root possesses nothing. */
static void it_works_without_possession(void **state) {
	struct world w;
	int status;
	pid_t child;

	(void)state;
	need_root();
	child = fork();
	if (child == 0) {
		if (keyctl_join_session_keyring(NULL) < 0)
			_exit(2);
		world_begin(&w);
		set_hosts(&w, 3);
		sync_ok(&w);
		w.hosts[0].sn = 99;
		w.roster.nhosts = 2;
		sync_ok(&w);
		status = lookup_rc(&w, 0) || lookup_rc(&w, 1) || lookup_rc(&w, 2) != ENOKEY;
		world_end(&w);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* --- filling --- */

static void peers_of_the_roster_are_found_and_others_not(void **state) {
	struct world w;
	char payload[KEYRING_PAYLOAD];

	(void)state;
	world_begin(&w);
	set_hosts(&w, 5);
	w.hosts[3].self = true;
	w.hosts[4].expires = time(NULL);
	sync_ok(&w);
	assert_int_equal(lookup(&w, 2, payload), 0);
	assert_string_equal(payload, AID " 2 " SAID " db2.clinic-b.mesh.internal");
	assert_int_equal(lookup_rc(&w, 0), 0);
	assert_int_equal(lookup_rc(&w, 1), 0);
	assert_int_equal(lookup_rc(&w, 3), ENOKEY);
	assert_int_equal(lookup_rc(&w, 4), ENOKEY);
	assert_int_equal(lookup_rc(&w, 5), ENOKEY);
	world_end(&w);
}

static void the_longest_payload_fits(void **state) {
	struct world w;
	char payload[KEYRING_PAYLOAD], host[KEYRING_PAYLOAD];

	(void)state;
	world_begin(&w);
	set_hosts(&w, 1);
	w.hosts[0].sn = UINT64_MAX;
	memset(w.hosts[0].label, 'l', LABEL_MAX);
	memset(w.peer.name, 'p', LABEL_MAX);
	memset(w.policy.domain, 'd', DOMAIN_MAX);
	sync_ok(&w);
	assert_int_equal(lookup(&w, 0, payload), 0);
	snprintf(host, sizeof host, AID " 18446744073709551615 " SAID " %s.%s.%s", w.hosts[0].label,
		w.peer.name, w.policy.domain);
	assert_string_equal(payload, host);
	world_end(&w);
}

static void every_key_is_closed_to_others(void **state) {
	struct world w;
	struct keyring_key key;
	struct err err = {0};
	int32_t ids[3];

	(void)state;
	world_begin(&w);
	set_hosts(&w, 1);
	sync_ok(&w);
	assert_true(keyring_put(w.ring, "tunnel", span_str("secret"), &err));
	ids[0] = serial_of(&w, 0);
	ids[1] = (int32_t)keyctl_search(w.ring, "keyring", "peers:0", 0);
	ids[2] = (int32_t)keyctl_search(w.ring, "user", "tunnel", 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(keyring_describe(ids[i], &key), 0);
		assert_int_equal(key.uid, 0);
		/* a secret is not even for who possesses root's keyring */
		assert_int_equal(key.permissions, i < 2 ? 0x3f3f0000 : 0x3f0000);
	}
	world_end(&w);
}

static void an_unchanged_key_stays_and_a_changed_one_is_replaced(void **state) {
	struct world w;
	char payload[KEYRING_PAYLOAD];
	int32_t serials[3];

	(void)state;
	world_begin(&w);
	set_hosts(&w, 3);
	sync_ok(&w);
	for (size_t i = 0; i < 3; i++)
		serials[i] = serial_of(&w, i);
	fill_host(&w, &w.hosts[0], 2);
	fill_host(&w, &w.hosts[2], 0);
	w.hosts[1].sn = 7;
	sync_ok(&w);
	assert_int_equal(serial_of(&w, 0), serials[0]);
	assert_int_not_equal(serial_of(&w, 1), serials[1]);
	assert_int_equal(serial_of(&w, 2), serials[2]);
	assert_int_equal(lookup(&w, 1, payload), 0);
	assert_string_equal(payload, AID " 7 " SAID " db1.clinic-b.mesh.internal");
	world_end(&w);
}

static void a_withdrawn_key_is_itself_revoked(void **state) {
	struct world w;
	struct keyring_key key;
	int32_t id;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 3);
	sync_ok(&w);
	id = serial_of(&w, 1);
	assert_return_code(keyctl_link(id, KEY_SPEC_PROCESS_KEYRING), errno);
	fill_host(&w, &w.hosts[1], 2);
	w.roster.nhosts = 2;
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 0), 0);
	assert_int_equal(lookup_rc(&w, 1), ENOKEY);
	assert_int_equal(lookup_rc(&w, 2), 0);
	assert_int_equal(keyring_describe(id, &key), EKEYREVOKED);
	keyctl_unlink(id, KEY_SPEC_PROCESS_KEYRING);
	world_end(&w);
}

static void timeouts_follow_the_expiry_anew_every_time(void **state) {
	struct world w;
	char left[32];

	(void)state;
	world_begin(&w);
	set_hosts(&w, 3);
	w.hosts[1].expires = time(NULL) + 5 * 86400 + 60;
	w.hosts[2].expires = INT64_MAX - 1;
	sync_ok(&w);
	proc_field(serial_of(&w, 0), 3, left);
	assert_string_equal(left, "perm");
	proc_field(serial_of(&w, 1), 3, left);
	assert_string_equal(left, "5d");
	proc_field(serial_of(&w, 2), 3, left); /* the most that the kernel takes */
	assert_string_equal(left, "7101w");
	w.hosts[0].expires = time(NULL) + 3 * 86400 + 60;
	w.hosts[1].expires = time(NULL) + 2 * 86400 + 60;
	w.hosts[1].sn = 9;
	w.hosts[2].expires = NEVER;
	sync_ok(&w);
	proc_field(serial_of(&w, 0), 3, left);
	assert_string_equal(left, "3d");
	proc_field(serial_of(&w, 1), 3, left);
	assert_string_equal(left, "2d");
	proc_field(serial_of(&w, 2), 3, left);
	assert_string_equal(left, "perm");
	world_end(&w);
}

static void an_expired_key_is_refused_and_comes_back_when_the_roster_says_so(void **state) {
	struct world w;
	int rc = 0;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 2);
	w.hosts[0].expires = time(NULL) + 2;
	sync_ok(&w);
	for (int i = 0; rc == 0 && i < 500; i++) {
		usleep(10 * 1000);
		rc = lookup_rc(&w, 0);
	}
	assert_true(rc == EKEYEXPIRED || rc == ENOKEY);
	assert_in_range(time(NULL), w.hosts[0].expires, w.hosts[0].expires + 1); /* with the map's records */
	assert_int_equal(lookup_rc(&w, 1), 0);
	w.hosts[0].expires = time(NULL) + 1000;
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 0), 0);
	world_end(&w);
}

/* Whoever holds on to the key holds nothing. */
static void a_lapsed_peers_keys_are_revoked_and_come_back(void **state) {
	struct keyring_key key;
	struct world w;
	int32_t id;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 2);
	for (size_t i = 0; i < 2; i++)
		w.hosts[i].expires = time(NULL) + 1000;
	sync_ok(&w);
	id = serial_of(&w, 0);
	assert_return_code(keyctl_link(id, KEY_SPEC_PROCESS_KEYRING), errno);
	w.hosts[0].lapsed = true;
	w.hosts[0].expires = time(NULL) - 1;
	sync_ok(&w);
	assert_int_equal(keyring_describe(id, &key), EKEYREVOKED);
	assert_int_equal(lookup_rc(&w, 0), ENOKEY);
	assert_int_equal(lookup_rc(&w, 1), 0);
	w.hosts[0].lapsed = false;
	w.hosts[0].expires = time(NULL) + 1000;
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 0), 0);
	keyctl_unlink(id, KEY_SPEC_PROCESS_KEYRING);
	world_end(&w);
}

/* It names the card that is to come, and the host as it is named now. */
static void a_key_to_come_is_there_beside_the_one_in_force(void **state) {
	static const char next_said[] = "EBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
	char payload[KEYRING_PAYLOAD], expected[KEYRING_PAYLOAD], left[32];
	struct world w;
	int32_t id;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 2);
	key_of(9, w.hosts[1].next.key);
	w.hosts[1].next.from = time(NULL) + 1000;
	w.hosts[1].expires = time(NULL) + 3 * 86400 + 60;
	memcpy(w.hosts[1].next.said, next_said, sizeof next_said);
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 1), 0);
	assert_int_equal(lookup(&w, 9, payload), 0);
	snprintf(expected, sizeof expected, AID " 1 %s db1.clinic-b.mesh.internal", next_said);
	assert_string_equal(payload, expected);
	id = serial_of(&w, 9);
	proc_field(id, 3, left);
	assert_string_equal(left, "3d");
	/* then it is the one in force, and no instant without it */
	key_of(9, w.hosts[1].key);
	memcpy(w.hosts[1].said, next_said, sizeof next_said);
	w.hosts[1].next = (struct roster_next){0};
	sync_ok(&w);
	assert_int_equal(serial_of(&w, 9), id);
	assert_int_equal(lookup_rc(&w, 1), ENOKEY);
	w.hosts[1].expires = time(NULL) - 1;
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 9), ENOKEY);
	world_end(&w);
}

/* Host 1 has key 9 now. */
static void a_record_names_the_key_that_replaced_its_own_in_step(void **state) {
	static const struct {
		const char *host;
		size_t before, key, then;
	} cases[] = {
		{"db1.clinic-b", 1, 1, 9},
		{"db1.clinic-b", 9999, 1, 1}, /* it was replaced at once */
		{"db1.clinic-b", 1, 5, 5},
		{"db1.clinic-b", 1, 9, 9},
		{"db2.clinic-b", 1, 1, 1},
		{"xdb1.clinic-b", 1, 1, 1},
		{"db1.clinic-b", 0, 0, 9},
	};
	char before[KEYRING_PAYLOAD], then[KEYRING_PAYLOAD], text[WG_KEY_TEXT];
	uint8_t key[WG_KEY_BYTES];
	struct world w;
	int32_t id;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		world_begin(&w);
		set_hosts(&w, 3);
		key_of(9, w.hosts[1].key);
		key_of(cases[i].before, key);
		if (cases[i].before != 9999)
			wg_key_encode(key, w.hosts[1].before);
		key_of(cases[i].key, key);
		wg_key_encode(key, text);
		snprintf(before, sizeof before, "ann alice %s.mesh.internal %s", cases[i].host, text);
		id = new_key(w.ring, "user", "session:7", before, strlen(before));
		new_key(w.ring, "user", "session:8", "x", 1);
		sync_ok(&w);
		key_of(cases[i].then, key);
		wg_key_encode(key, text);
		snprintf(before, sizeof before, "ann alice %s.mesh.internal %s", cases[i].host, text);
		assert_int_equal(keyring_read(w.ring, "session:7", then), 0);
		assert_string_equal(then, before);
		/* it is the same key, which close_session revokes */
		assert_int_equal(keyctl_search(w.ring, "user", "session:7", 0), id);
		assert_return_code(keyctl_revoke(id), errno);
		sync_ok(&w);
		assert_int_equal(keyring_read(w.ring, "session:7", then), ENOKEY);
		assert_int_equal(keyring_read(w.ring, "session:8", then), 0);
		assert_string_equal(then, "x");
		world_end(&w);
	}
}

static void a_foreign_key_or_ring_among_the_peers_is_thrown_out(void **state) {
	struct world w;
	int32_t peers, ring;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 1);
	sync_ok(&w);
	peers = (int32_t)keyctl_search(w.ring, "keyring", "peers:0", 0);
	new_key(peers, "user", "junk", "x", 1);
	ring = new_key(w.ring, "keyring", "more", NULL, 0);
	new_key(ring, "user", "hidden", "x", 1);
	ring = new_key(w.ring, "keyring", "peers:0x", NULL, 0);
	new_key(ring, "user", "other", "x", 1);
	assert_return_code(keyctl_setperm(serial_of(&w, 0), OURS | KEY_OTH_VIEW), errno);
	assert_int_equal(lookup_rc(&w, 0), EPERM);
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 0), 0);
	assert_int_equal(keyctl_search(w.ring, "user", "junk", 0), -1);
	assert_int_equal(keyctl_search(w.ring, "user", "hidden", 0), -1);
	assert_int_equal(keyctl_search(w.ring, "user", "other", 0), -1);
	world_end(&w);
}

/* There a reader would find it before or behind the right one. */
static void a_peer_key_outside_the_rings_of_peers_is_thrown_out(void **state) {
	static const char *const others[] = {
		"session:4294967295", "tunnel.next", "psk:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAc="};
	struct world w;
	uint8_t key[WG_KEY_BYTES];
	char name[WG_KEY_TEXT];
	struct keyring_key described;
	int32_t planted;

	(void)state;
	world_begin(&w);
	key_of(9, key);
	wg_key_encode(key, name);
	planted = new_key(w.ring, "user", name, "x", 1);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		new_key(w.ring, "user", others[i], "x", 1);
	assert_return_code(keyctl_link(planted, KEY_SPEC_PROCESS_KEYRING), errno);
	assert_int_equal(lookup_rc(&w, 9), 0);
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 9), ENOKEY);
	assert_int_equal(keyring_describe(planted, &described), EKEYREVOKED);
	keyctl_unlink(planted, KEY_SPEC_PROCESS_KEYRING);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_true(keyctl_search(w.ring, "user", others[i], 0) > 0);
	world_end(&w);
}

static void a_second_copy_of_a_key_is_revoked(void **state) {
	struct world w;
	int32_t ring, copy;
	uint8_t key[WG_KEY_BYTES];
	char name[WG_KEY_TEXT];
	struct keyring_key described;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 1);
	sync_ok(&w);
	ring = new_key(w.ring, "keyring", "peers:1", NULL, 0);
	key_of(0, key);
	wg_key_encode(key, name);
	copy = new_key(ring, "user", name, "old", 3);
	assert_return_code(keyctl_link(copy, KEY_SPEC_PROCESS_KEYRING), errno);
	sync_ok(&w);
	assert_int_equal(keyring_describe(copy, &described), EKEYREVOKED);
	keyctl_unlink(copy, KEY_SPEC_PROCESS_KEYRING);
	w.roster.nhosts = 0;
	sync_ok(&w);
	assert_int_equal(lookup_rc(&w, 0), ENOKEY);
	world_end(&w);
}

static void a_large_mesh_is_split_over_several_rings(void **state) {
	const size_t n = 16010;
	struct world w;
	struct roster_host *hosts;
	size_t found = 0;

	(void)state;
	need_real_root("the key quota of others is 200");
	world_begin(&w);
	hosts = calloc(n, sizeof *hosts);
	assert_non_null(hosts);
	for (size_t i = 0; i < n; i++)
		fill_host(&w, &hosts[i], i);
	w.roster = (struct roster){.policy = &w.policy, .hosts = hosts, .nhosts = n};
	sync_ok(&w);
	for (size_t i = 0; i < n; i++)
		found += lookup_rc(&w, i) == 0;
	assert_int_equal(found, n);
	assert_int_equal(keyctl_read((int32_t)keyctl_search(w.ring, "keyring", "peers:0", 0), NULL, 0),
		16000 * sizeof(int32_t));
	assert_int_equal(keyctl_read((int32_t)keyctl_search(w.ring, "keyring", "peers:1", 0), NULL, 0),
		10 * sizeof(int32_t));
	sync_ok(&w);
	w.roster.nhosts = 1;
	sync_ok(&w);
	for (size_t i = 1; i < n; i++)
		assert_int_equal(lookup_rc(&w, i), ENOKEY);
	assert_int_equal(lookup_rc(&w, 0), 0);
	free(hosts);
	world_end(&w);
}

/* Adds keys until there is no room for one more, also not when the kernel has freed what is unlinked. */
static void use_up_the_quota(void) {
	unsigned n = 0, rounds = 0;
	char name[16];

	while (rounds < 3) {
		snprintf(name, sizeof name, "f%u", n++);
		if (add_key("user", name, "", 1, KEY_SPEC_PROCESS_KEYRING) > 0) {
			rounds = 0;
		} else {
			usleep(50 * 1000);
			rounds++;
		}
	}
}

/* One line, with the mend. */
static bool names_the_mend(const struct err *err) {
	return strstr(err->text, "kernel.keys.root_maxkeys") && !strchr(err->text, '\n') &&
	       err->status == ERR_ENV;
}

/* What the kernel has under that name. */
static bool is_secret(const struct world *w, const char *name, const char *is, size_t n) {
	int32_t id = (int32_t)keyctl_search(w->ring, "user", name, 0);
	char out[16];

	return keyctl_read(id, out, sizeof out) == (long)n && memcmp(out, is, n) == 0;
}

/* With a full quota: secrets stay, no ring is half made. */
static int put_into_a_full_quota(struct world *w) {
	struct err err = {0};
	char serial[160];
	int32_t ring;
	int bad;

	use_up_the_quota();
	bad = keyring_put(w->ring, "tunnel", span_str("newer"), &err) || !names_the_mend(&err);
	bad |= keyring_put(w->ring, "tunnel.next", span_str("next"), &err) || !names_the_mend(&err);
	bad |= !is_secret(w, "tunnel", "older", 5) || is_secret(w, "tunnel.next", "next", 4);
	bad |= keyring_make(w->root, "vtfull", &ring, &err) || !names_the_mend(&err);
	snprintf(serial, sizeof serial, "%s" PATH_RUN "/vtfull.ring", w->root);
	bad |= access(serial, F_OK) == 0;
	bad |= !keyring_make(w->root, w->interface, &ring, &err) || ring != w->ring;
	bad |= !keyring_drop(w->ring, "tunnel", &err) || is_secret(w, "tunnel", "older", 5);
	keyctl_clear(KEY_SPEC_PROCESS_KEYRING);
	return bad;
}

/* In a user namespace of an own user, whose quota is 200 keys and 20,000 bytes. */
static int fill_the_quota(void) {
	struct world w;
	struct err err = {0};
	int bad;

	if (setresgid(64321, 64321, 64321) || setresuid(64321, 64321, 64321) || prctl(PR_SET_DUMPABLE, 1) ||
		!rootless_enter())
		return 77;
	world_begin(&w);
	set_hosts(&w, 3);
	sync_ok(&w);
	set_hosts(&w, 300);
	w.hosts[1].label[0] = 'x';
	w.hosts[2].self = true;
	bad = !keyring_put(w.ring, "tunnel", span_str("older"), &err);
	bad |= keyring_sync(w.ring, &w.roster, &err) || !names_the_mend(&err);
	bad |= lookup_rc(&w, 0) != 0;	   /* what was there stays, */
	bad |= lookup_rc(&w, 1) != 0;	   /* also what is to change, */
	bad |= lookup_rc(&w, 2) != ENOKEY; /* and a withdrawal takes effect */
	bad |= put_into_a_full_quota(&w);
	set_hosts(&w, 3);
	bad |= !keyring_sync(w.ring, &w.roster, &err) || lookup_rc(&w, 2) != 0;
	world_end(&w);
	return bad;
}

static void a_full_quota_is_said_and_hurts_nobody(void **state) {
	int status;
	pid_t child;

	(void)state;
	need_real_root("the quota of this user is not the test's to fill");
	child = fork();
	if (child == 0)
		_exit(fill_the_quota());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("no user namespace to have a small quota in\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void secrets_are_put_and_replaced(void **state) {
	struct world w;
	struct err err = {0};

	(void)state;
	world_begin(&w);
	assert_true(keyring_put(w.ring, "tunnel", span_of("\0\1\2", 3), &err));
	assert_true(is_secret(&w, "tunnel", "\0\1\2", 3));
	assert_true(keyring_put(w.ring, "tunnel", span_str("12345678"), &err));
	assert_true(is_secret(&w, "tunnel", "12345678", 8));
	sync_ok(&w);
	assert_true(is_secret(&w, "tunnel", "12345678", 8));
	assert_false(keyring_put(w.ring, "tunnel", span_of(NULL, 0), &err));
	world_end(&w);
}

static void a_dropped_secret_is_revoked_and_gone(void **state) {
	struct world w;
	struct err err = {0};
	struct keyring_key key;
	int32_t id;

	(void)state;
	world_begin(&w);
	assert_true(keyring_put(w.ring, "tunnel", span_str("old"), &err));
	assert_true(keyring_put(w.ring, "tunnel.next", span_str("new"), &err));
	id = (int32_t)keyctl_search(w.ring, "user", "tunnel.next", 0);
	assert_return_code(keyctl_link(id, KEY_SPEC_PROCESS_KEYRING), errno);
	assert_true(keyring_drop(w.ring, "tunnel.next", &err));
	assert_int_equal(keyring_describe(id, &key), EKEYREVOKED);
	keyctl_unlink(id, KEY_SPEC_PROCESS_KEYRING);
	assert_int_equal(keyctl_search(w.ring, "user", "tunnel.next", 0), -1);
	assert_int_equal(errno, ENOKEY);
	assert_true(keyring_drop(w.ring, "tunnel.next", &err));
	assert_true(keyring_drop(w.ring, "identity", &err));
	assert_true(is_secret(&w, "tunnel", "old", 3));
	assert_return_code(keyctl_revoke((int32_t)keyctl_search(w.ring, "user", "tunnel", 0)), errno);
	assert_true(keyring_drop(w.ring, "tunnel", &err));
	assert_return_code(keyctl_revoke(w.ring), errno);
	assert_true(keyring_drop(w.ring, "tunnel", &err));
	world_end(&w);
}

static void remove_revokes_everything(void **state) {
	struct world w;
	struct err err = {0};
	struct keyring_key key;
	int32_t peer, secret, ring;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 2);
	sync_ok(&w);
	assert_true(keyring_put(w.ring, "identity", span_str("seed"), &err));
	ring = w.ring;
	peer = serial_of(&w, 1);
	secret = (int32_t)keyctl_search(ring, "user", "identity", 0);
	assert_return_code(keyctl_link(peer, KEY_SPEC_PROCESS_KEYRING), errno);
	assert_return_code(keyctl_link(secret, KEY_SPEC_PROCESS_KEYRING), errno);
	assert_return_code(keyctl_link(ring, KEY_SPEC_PROCESS_KEYRING), errno);
	assert_true(keyring_remove(w.root, w.interface, &err));
	assert_int_equal(keyring_describe(peer, &key), EKEYREVOKED);
	assert_int_equal(keyring_describe(secret, &key), EKEYREVOKED);
	assert_int_equal(keyring_describe(ring, &key), EKEYREVOKED);
	keyctl_unlink(peer, KEY_SPEC_PROCESS_KEYRING);
	keyctl_unlink(secret, KEY_SPEC_PROCESS_KEYRING);
	keyctl_unlink(ring, KEY_SPEC_PROCESS_KEYRING);
	assert_int_equal(open_rc(&w), ENOENT);
	assert_int_equal(keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", w.name, 0), -1);
	world_end(&w);
}

/* --- reading --- */

static void a_serial_file_is_believed_only_when_root_alone_could_write_it(void **state) {
	struct world w;
	char other[160];

	(void)state;
	world_begin(&w);
	assert_return_code(chmod(w.serial, 0664), errno);
	assert_int_equal(open_rc(&w), EPERM);
	assert_return_code(chmod(w.serial, 0646), errno);
	assert_int_equal(open_rc(&w), EPERM);
	assert_return_code(chmod(w.serial, 0600), errno);
	assert_int_equal(open_rc(&w), 0);
	if (real_root) {
		assert_return_code(chown(w.serial, 65534, 0), errno);
		assert_int_equal(open_rc(&w), EPERM);
		assert_return_code(chown(w.serial, 0, 0), errno);
	}
	snprintf(other, sizeof other, "%s.real", w.serial);
	assert_return_code(rename(w.serial, other), errno);
	assert_int_equal(open_rc(&w), ENOENT);
	assert_return_code(symlink(other, w.serial), errno);
	assert_int_equal(open_rc(&w), ELOOP);
	unlink(w.serial);
	unlink(other);
	assert_return_code(mkfifo(w.serial, 0600), errno);
	assert_int_equal(open_rc(&w), EPERM);
	unlink(w.serial);
	assert_return_code(mkdir(w.serial, 0700), errno);
	assert_int_equal(open_rc(&w), EPERM);
	rmdir(w.serial);
	world_end(&w);
}

static void the_serial_file_is_where_root_alone_could_put_it(void **state) {
	static const struct {
		mode_t mode;
		int rc;
	} rows[] = {{0755, 0}, {0700, 0}, {0775, EPERM}, {0757, EPERM}, {01777, EPERM}};
	struct world w;
	char dir[128], other[128];

	(void)state;
	world_begin(&w);
	snprintf(dir, sizeof dir, "%s" PATH_RUN, w.root);
	snprintf(other, sizeof other, "%s/elsewhere", w.root);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_return_code(chmod(dir, rows[i].mode), errno);
		assert_int_equal(open_rc(&w), rows[i].rc);
	}
	assert_return_code(chmod(dir, 0755), errno);
	if (real_root) {
		assert_return_code(chown(dir, 65534, 0), errno);
		assert_int_equal(open_rc(&w), EPERM);
		assert_return_code(chown(dir, 0, 0), errno);
	}
	assert_return_code(rename(dir, other), errno);
	assert_int_equal(open_rc(&w), ENOENT);
	assert_return_code(rename(other, dir), errno);
	assert_int_equal(open_rc(&w), 0);
	world_end(&w);
}

static void a_serial_is_a_positive_decimal(void **state) {
	static const char *const texts[] = {"", "\n", "0", "-3", "-4", "-5", "x", "x12", "2147483648",
		"99999999999999999999", "4294967292"};
	struct world w;
	char text[32];

	(void)state;
	world_begin(&w);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_serial(&w, texts[i]);
		if (open_rc(&w) != EPERM)
			fail_msg("\"%s\" gave %d", texts[i], open_rc(&w));
	}
	snprintf(text, sizeof text, "%" PRId32 "\n", w.ring);
	write_serial(&w, text);
	assert_int_equal(open_rc(&w), 0);
	write_number(&w, w.ring);
	assert_int_equal(open_rc(&w), 0);
	world_end(&w);
}

static void a_serial_of_anything_else_is_not_believed(void **state) {
	struct world w;
	int32_t id;
	char name[300];

	(void)state;
	world_begin(&w);
	id = new_key(w.ring, "user", w.name, "x", 1);
	assert_serial_refused(&w, id, EPERM);
	id = new_key(w.ring, "keyring", "verimesh:", NULL, 0);
	assert_serial_refused(&w, id, EPERM);
	snprintf(name, sizeof name, "%s.", w.name);
	id = new_key(w.ring, "keyring", name, NULL, 0);
	assert_serial_refused(&w, id, EPERM);
	snprintf(name, sizeof name, "%s;%0*d", w.name, 200, 0);
	id = new_key(w.ring, "keyring", name, NULL, 0);
	assert_serial_refused(&w, id, EPERM);
	assert_return_code(keyctl_invalidate(id), errno);
	write_number(&w, id);
	assert_int_not_equal(open_rc(&w), 0);
	write_number(&w, w.ring);
	for (uint32_t bit = 1; bit <= KEY_GRP_SETATTR; bit <<= 1) {
		if (!(bit & (KEY_GRP_ALL | KEY_OTH_ALL)))
			continue;
		assert_return_code(keyctl_setperm(w.ring, OURS | bit), errno);
		assert_int_equal(open_rc(&w), EPERM);
	}
	assert_return_code(keyctl_setperm(w.ring, OURS), errno);
	assert_int_equal(open_rc(&w), 0);
	world_end(&w);
}

/* A ring of that name which a caller made for himself, and opened to everybody. */
static void a_callers_own_ring_is_not_believed(void **state) {
	struct world w;
	int ready_pipe[2], done_pipe[2];
	int32_t id = 0;
	pid_t child;

	(void)state;
	need_real_root("another user makes the ring");
	world_begin(&w);
	assert_return_code(pipe2(ready_pipe, O_CLOEXEC), errno);
	assert_return_code(pipe2(done_pipe, O_CLOEXEC), errno);
	child = fork();
	if (child == 0) {
		if (setresuid(65534, 65534, 65534) == 0) {
			id = add_key("keyring", w.name, NULL, 0, KEY_SPEC_PROCESS_KEYRING);
			keyctl_setperm(id, 0x3f3f3f3f);
		}
		if (write(ready_pipe[1], &id, sizeof id) != sizeof id)
			_exit(1);
		close(done_pipe[1]);
		_exit(read(done_pipe[0], &id, 1) != 0);
	}
	assert_int_equal(read(ready_pipe[0], &id, sizeof id), sizeof id);
	assert_true(id > 0);
	assert_serial_refused(&w, id, EPERM);
	for (size_t i = 0; i < 2; i++) {
		close(ready_pipe[i]);
		close(done_pipe[i]);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	world_end(&w);
}

static void a_secret_that_is_there_stays(void **state) {
	struct world w;
	struct err err;
	int32_t id;

	(void)state;
	world_begin(&w);
	assert_true(keyring_put(w.ring, "tunnel", span_str("a secret"), &err));
	id = (int32_t)keyctl_search(w.ring, "user", "tunnel", 0);
	assert_true(keyring_put(w.ring, "tunnel", span_str("a secret"), &err));
	assert_int_equal(keyctl_search(w.ring, "user", "tunnel", 0), id);
	assert_true(keyring_put(w.ring, "tunnel", span_str("a secreT"), &err));
	assert_int_not_equal(keyctl_search(w.ring, "user", "tunnel", 0), id);
	world_end(&w);
}

/* So that withdrawals take effect while /run is full. */
static void a_serial_that_is_right_is_not_written(void **state) {
	struct world w;
	struct err err;
	struct stat before, after;
	int32_t ring;

	(void)state;
	world_begin(&w);
	assert_return_code(stat(w.serial, &before), errno);
	assert_true(keyring_make(w.root, w.interface, &ring, &err));
	assert_return_code(stat(w.serial, &after), errno);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_return_code(chmod(w.serial, 0600), errno);
	assert_true(keyring_make(w.root, w.interface, &ring, &err));
	assert_return_code(stat(w.serial, &after), errno);
	assert_int_equal(after.st_mode & 07777, 0644);
	world_end(&w);
}

/* su without pam_keyinit leaves root's session keyring to whom root became: he possesses what hangs on it.
 */
static void whom_root_becomes_reads_no_secret(void **state) {
	struct world w;
	struct err err;
	int32_t id;
	pid_t child;
	int status;

	(void)state;
	need_real_root("root becomes another user");
	world_begin(&w);
	assert_true(keyring_put(w.ring, "tunnel", span_str("a secret"), &err));
	id = (int32_t)keyctl_search(w.ring, "user", "tunnel", 0);
	assert_true(id > 0);
	child = fork();
	if (child == 0) {
		char text[16];

		if (keyctl_join_session_keyring(NULL) < 0 ||
			keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING) != 0 ||
			setresuid(65534, 65534, 65534) != 0 ||
			keyctl_describe(w.ring, text, sizeof text) < 0) /* the ring he does possess */
			_exit(2);
		_exit(keyctl_read(id, text, sizeof text) < 0 && errno == EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	world_end(&w);
}

static void an_expired_ring_is_refused(void **state) {
	struct world w;
	int rc = 0;

	(void)state;
	world_begin(&w);
	assert_return_code(keyctl_set_timeout(w.ring, 1), errno);
	for (int i = 0; rc == 0 && i < 40; i++) {
		usleep(100 * 1000);
		rc = open_rc(&w);
	}
	assert_true(rc == EKEYEXPIRED || rc == ENOKEY);
	keyctl_unlink(w.ring, KEY_SPEC_USER_KEYRING);
	world_end(&w);
}

/* Once the kernel has let go of it, which takes it a moment. */
static void an_unlinked_ring_is_refused(void **state) {
	struct world w;
	int rc = 0;

	(void)state;
	world_begin(&w);
	assert_return_code(keyctl_unlink(w.ring, KEY_SPEC_USER_KEYRING), errno);
	for (int i = 0; rc == 0 && i < 400; i++) {
		usleep(10 * 1000);
		rc = open_rc(&w);
	}
	assert_int_equal(rc, ENOKEY);
	world_end(&w);
}

static void a_key_that_others_could_touch_is_refused(void **state) {
	struct world w;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 1);
	sync_ok(&w);
	for (uint32_t bit = 1; bit <= KEY_GRP_SETATTR; bit <<= 1) {
		if (!(bit & (KEY_GRP_ALL | KEY_OTH_ALL)))
			continue;
		assert_return_code(keyctl_setperm(serial_of(&w, 0), OURS | bit), errno);
		assert_int_equal(lookup_rc(&w, 0), EPERM);
	}
	assert_return_code(keyctl_setperm(serial_of(&w, 0), OURS), errno);
	assert_int_equal(lookup_rc(&w, 0), 0);
	if (real_root) {
		assert_return_code(keyctl_setperm(serial_of(&w, 0), KEY_POS_ALL | KEY_USR_ALL), errno);
		assert_return_code(keyctl_chown(serial_of(&w, 0), 65534, (gid_t)-1), errno);
		assert_int_not_equal(lookup_rc(&w, 0), 0);
	}
	world_end(&w);
}

static void a_revoked_key_is_refused(void **state) {
	struct world w;

	(void)state;
	world_begin(&w);
	set_hosts(&w, 2);
	sync_ok(&w);
	assert_return_code(keyctl_revoke(serial_of(&w, 0)), errno);
	assert_int_equal(lookup_rc(&w, 0), EKEYREVOKED);
	assert_int_equal(lookup_rc(&w, 1), 0);
	world_end(&w);
}

static void a_key_of_another_type_or_length_is_refused(void **state) {
	struct world w;
	uint8_t key[WG_KEY_BYTES];
	char name[WG_KEY_TEXT], payload[KEYRING_PAYLOAD];

	(void)state;
	world_begin(&w);
	key_of(5, key);
	wg_key_encode(key, name);
	memset(payload, 'x', sizeof payload);
	new_key(w.ring, "logon", "a:b", "x", 1);
	new_key(w.ring, "keyring", name, NULL, 0);
	assert_int_equal(lookup_rc(&w, 5), ENOKEY);
	new_key(w.ring, "user", name, payload, KEYRING_PAYLOAD - 1);
	assert_int_equal(lookup(&w, 5, payload), 0);
	assert_int_equal(strlen(payload), KEYRING_PAYLOAD - 1);
	new_key(w.ring, "user", name, payload, KEYRING_PAYLOAD);
	assert_int_equal(lookup_rc(&w, 5), EMSGSIZE);
	world_end(&w);
}

int main(void) {
	const struct CMUnitTest before[] = {
		cmocka_unit_test(an_ordinary_user_is_told_that_it_needs_root),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ring_is_roots_and_the_serial_file_names_it),
		cmocka_unit_test(a_good_ring_is_used_again_and_a_stale_serial_rewritten),
		cmocka_unit_test(a_revoked_ring_is_made_anew),
		cmocka_unit_test(a_ring_that_is_not_as_we_make_it_is_not_taken_over),
		cmocka_unit_test(a_ring_of_another_user_is_not_taken_over),
		cmocka_unit_test(a_ring_inside_another_ring_is_not_ours),
		cmocka_unit_test(it_works_without_possession),
		cmocka_unit_test(peers_of_the_roster_are_found_and_others_not),
		cmocka_unit_test(the_longest_payload_fits),
		cmocka_unit_test(every_key_is_closed_to_others),
		cmocka_unit_test(an_unchanged_key_stays_and_a_changed_one_is_replaced),
		cmocka_unit_test(a_withdrawn_key_is_itself_revoked),
		cmocka_unit_test(timeouts_follow_the_expiry_anew_every_time),
		cmocka_unit_test(an_expired_key_is_refused_and_comes_back_when_the_roster_says_so),
		cmocka_unit_test(a_lapsed_peers_keys_are_revoked_and_come_back),
		cmocka_unit_test(a_key_to_come_is_there_beside_the_one_in_force),
		cmocka_unit_test(a_record_names_the_key_that_replaced_its_own_in_step),
		cmocka_unit_test(a_foreign_key_or_ring_among_the_peers_is_thrown_out),
		cmocka_unit_test(a_peer_key_outside_the_rings_of_peers_is_thrown_out),
		cmocka_unit_test(a_second_copy_of_a_key_is_revoked),
		cmocka_unit_test(a_large_mesh_is_split_over_several_rings),
		cmocka_unit_test(a_full_quota_is_said_and_hurts_nobody),
		cmocka_unit_test(secrets_are_put_and_replaced),
		cmocka_unit_test(a_dropped_secret_is_revoked_and_gone),
		cmocka_unit_test(remove_revokes_everything),
		cmocka_unit_test(a_serial_file_is_believed_only_when_root_alone_could_write_it),
		cmocka_unit_test(the_serial_file_is_where_root_alone_could_put_it),
		cmocka_unit_test(a_serial_is_a_positive_decimal),
		cmocka_unit_test(a_serial_of_anything_else_is_not_believed),
		cmocka_unit_test(a_callers_own_ring_is_not_believed),
		cmocka_unit_test(a_secret_that_is_there_stays),
		cmocka_unit_test(a_serial_that_is_right_is_not_written),
		cmocka_unit_test(whom_root_becomes_reads_no_secret),
		cmocka_unit_test(an_expired_ring_is_refused),
		cmocka_unit_test(an_unlinked_ring_is_refused),
		cmocka_unit_test(a_key_that_others_could_touch_is_refused),
		cmocka_unit_test(a_revoked_key_is_refused),
		cmocka_unit_test(a_key_of_another_type_or_length_is_refused),
	};
	int failed = cmocka_run_group_tests_name("keyring, before", before, NULL, NULL);

	real_root = getuid() == 0;
	ready = real_root || rootless_enter();
	return failed + cmocka_run_group_tests_name("keyring", tests, NULL, clean_up);
}
