/* test_nss.c: the NSS module by its entry points: what it answers, and what it does not. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <stdalign.h>
#include <time.h>

#include "nss_module.h"

/* This host itself is one of the mesh, by both its names and its address. */
static void own_hosts_are_found(void **state) {
	static const char *const names[] = {"db1.clinic-a.mesh.internal",
		"db1." SAMPLE_AID_A ".mesh.internal", "DB1.CLINIC-A.MESH.INTERNAL",
		"db1.clinic-a.mesh.internal."};
	char text[ADDR_TEXT];

	(void)state;
	need_private_state();
	addr_format(&sample.addrs[SAMPLE_DB1_A][0], text);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_status(&(struct call){NAME2, names[i], AF_INET6}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
		assert_status(&(struct call){NAME4, names[i], AF_UNSPEC}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	}
	assert_status(&(struct call){ADDR, text, AF_INET6}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

static void unknown_names_of_ours_are_not_found(void **state) {
	static const char *const names[] = {"db2.clinic-b.mesh.internal", "mesh.internal",
		"clinic-b.mesh.internal", "MESH.INTERNAL.", "a.b.c.mesh.internal",
		"old.clinic-b.mesh.internal" /* lapsed */};

	(void)state;
	need_private_state();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (enum entry entry = NAME; entry < ADDR; entry++)
			assert_status(&(struct call){entry, names[i], AF_INET}, NSS_STATUS_NOTFOUND,
				HOST_NOT_FOUND);
}

static void other_names_are_not_ours(void **state) {
	static const char *const names[] = {
		"", ".", "localhost", "db1", "example.org", "xmesh.internal", "mesh.internal.org"};
	char longest[2000];

	(void)state;
	need_private_state();
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = 0;
	for (enum entry entry = NAME; entry < ADDR; entry++) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			assert_status(
				&(struct call){entry, names[i], AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY);
		assert_status(&(struct call){entry, longest, AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	}
}

static void known_name_without_that_family_has_no_data(void **state) {
	(void)state;
	need_private_state();
	assert_status(&(struct call){NAME, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA);
	assert_status(&(struct call){NAME2, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA);
	assert_status(&(struct call){NAME3, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA);
	assert_status(&(struct call){NAME3, WEB_B, AF_INET6}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_status(&(struct call){NAME4, WEB_B, AF_UNSPEC}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

static void addresses_of_the_mesh_are_ours(void **state) {
	struct addr lapsed = sample.addrs[SAMPLE_OLD_B][0];
	char text[ADDR_TEXT];

	(void)state;
	need_private_state();
	addr_format(&lapsed, text);
	for (enum entry entry = ADDR; entry <= ADDR2; entry++) {
		const struct call ours[] = {{entry, "10.77.2.7", AF_INET}, {entry, "fd77:2::6", AF_INET6},
			{entry, "::ffff:10.77.2.7", AF_INET6}, {entry, text, AF_INET6}};
		const struct call others[] = {{entry, "10.77.3.1", AF_INET}, {entry, "127.0.0.1", AF_INET},
			{entry, "::1", AF_INET6}, {entry, "::10.77.2.5", AF_INET6},
			{entry, "2001:db8::1", AF_INET6}};

		for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
			assert_status(&ours[i], NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
		for (size_t i = 0; i < sizeof others / sizeof *others; i++)
			assert_status(&others[i], NSS_STATUS_UNAVAIL, NO_RECOVERY);
	}
}

static void other_families_are_not_ours(void **state) {
	char buffer[BUFFER];
	uint8_t raw[32] = {0};
	struct hostent host;
	int error = OURS, h_error;
	struct addr addr;

	(void)state;
	need_private_state();
	for (int family = -1; family < 12; family++) {
		if (family != AF_INET && family != AF_INET6)
			assert_status(&(struct call){NAME3, DB1_B, family}, NSS_STATUS_UNAVAIL, NO_RECOVERY);
		addr = db1_addr(family == AF_INET);
		memcpy(raw, addr.bytes, sizeof addr.bytes);
		for (socklen_t n = 0; n < sizeof raw; n++)
			if (!(family == AF_INET && n == 4) && !(family == AF_INET6 && n == 16))
				assert_int_equal(module.by_addr2(raw, n, family, &host, buffer, BUFFER,
							 &error, &h_error, NULL),
					NSS_STATUS_UNAVAIL);
	}
	assert_int_equal(error, OURS);
}

static void assert_account_status(
	enum nss_status status, enum nss_status wanted, const int *error, const char *what) {
	if (status != wanted)
		fail_msg("'%s': status %d (not %d)", what, status, wanted);
	assert_int_equal(*error, wanted == NSS_STATUS_UNAVAIL ? ENOENT : OURS);
	assert_int_equal(errno, OURS);
}

#define ACCOUNT_ENTRIES 7

/* Asks for what there is by one of the entry points. */
static enum nss_status ask_for_account(int entry, int *error) {
	char buffer[BUFFER];
	gid_t list[1], *groups_of = list;
	long n = 1, size = 1;
	struct passwd pw;
	struct group gr;

	switch (entry) {
	case 0:
		return module.getpwnam(CAROL, &pw, buffer, BUFFER, error);
	case 1:
		return module.getpwuid(SAMPLE_GID + 2, &pw, buffer, BUFFER, error);
	case 2:
		return module.getpwent(&pw, buffer, BUFFER, error);
	case 3:
		return module.getgrnam("clinic-b", &gr, buffer, BUFFER, error);
	case 4:
		return module.getgrgid(SAMPLE_GID, &gr, buffer, BUFFER, error);
	case 5:
		return module.getgrent(&gr, buffer, BUFFER, error);
	default:
		return module.initgroups(CAROL, SAMPLE_GID, &n, &size, &groups_of, -1, error);
	}
}

static void assert_accounts(enum nss_status wanted, const char *why) {
	for (int entry = 0; entry < ACCOUNT_ENTRIES; entry++) {
		int error = errno = OURS;

		assert_account_status(ask_for_account(entry, &error), wanted, &error, why);
	}
}

/* Every entry point says UNAVAIL, and nothing else is touched. */
static void assert_no_map(const char *why) {
	const struct call calls[] = {{NAME, DB1_B, AF_INET}, {NAME2, DB1_B, AF_INET6},
		{NAME3, DB1_B, AF_INET}, {NAME4, DB1_B, AF_UNSPEC},
		{NAME4, "unknown.mesh.internal", AF_UNSPEC}, {ADDR, "10.77.2.5", AF_INET},
		{ADDR2, "10.77.2.7", AF_INET}};

	print_message("%s\n", why);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		assert_status(&calls[i], NSS_STATUS_UNAVAIL, NO_RECOVERY);
	assert_accounts(NSS_STATUS_UNAVAIL, why);
	assert_int_equal(module.setpwent(0), NSS_STATUS_SUCCESS);
	assert_int_equal(module.setgrent(0), NSS_STATUS_SUCCESS);
	assert_int_equal(module.endpwent(), NSS_STATUS_SUCCESS);
	assert_int_equal(module.endgrent(), NSS_STATUS_SUCCESS);
}

/* Who cannot be ours is not looked for, with no file opened for it. */
static void local_users_need_no_map(void **state) {
	static const char *const names[] = {"root", "alice", "", "clinic-b", "a.b.c"};
	char buffer[BUFFER];
	gid_t list[1], *groups_of = list;
	long n = 1, size = 1;
	struct passwd pw;
	int error;

	(void)state;
	need_private_state();
	remove_map();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		error = errno = OURS;
		assert_account_status(module.getpwnam(names[i], &pw, buffer, BUFFER, &error),
			NSS_STATUS_NOTFOUND, &error, names[i]);
		assert_account_status(module.initgroups(names[i], 0, &n, &size, &groups_of, -1, &error),
			NSS_STATUS_NOTFOUND, &error, names[i]);
	}
	build_map();
}

static void bad_maps_are_unavailable(void **state) {
	struct span good;
	uint8_t *bytes;

	(void)state;
	need_private_state();
	good = bytes_of_file(PATH_MAP);
	assert_true(good.n > 2048);
	bytes = (uint8_t *)(uintptr_t)good.p;
	supersede();
	assert_int_equal(rename(PATH_MAP, PATH_MAP ".away"), 0);
	assert_no_map("missing");
	assert_int_equal(mkfifo(PATH_MAP, 0644), 0);
	assert_no_map("a pipe");
	assert_int_equal(unlink(PATH_MAP), 0);
	assert_int_equal(symlink(PATH_MAP ".away", PATH_MAP), 0);
	assert_no_map("a symbolic link");
	assert_int_equal(unlink(PATH_MAP), 0);
	put_map(bytes, 0);
	assert_no_map("empty");
	put_map(bytes, good.n - 1);
	assert_no_map("truncated by a byte");
	put_map(bytes, 2048);
	assert_no_map("truncated");
	bytes[MAP_SUPERSEDED + 4] ^= 2;
	put_map(bytes, good.n);
	assert_no_map("another version");
	bytes[MAP_SUPERSEDED + 4] ^= 2;
	put_map(bytes, good.n);
	assert_status(&(struct call){NAME, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_int_equal(unlink(PATH_MAP ".away"), 0);
	bytes_free(good);
	build_map();
}

static void maps_that_others_can_write_are_unavailable(void **state) {
	(void)state;
	need_private_state();
	supersede();
	assert_int_equal(chmod(PATH_MAP, 0664), 0);
	assert_no_map("writable by the group");
	assert_int_equal(chmod(PATH_MAP, 0646), 0);
	assert_no_map("writable by others");
	assert_int_equal(chmod(PATH_MAP, 0644), 0);
	assert_int_equal(chmod(PATH_STATE, 0775), 0);
	assert_no_map("in a directory writable by the group");
	assert_int_equal(chmod(PATH_STATE, 0757), 0);
	assert_no_map("in a directory writable by others");
	assert_int_equal(chmod(PATH_STATE, 0755), 0);
	assert_status(&(struct call){NAME, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	build_map();
}

static void maps_of_other_owners_are_unavailable(void **state) {
	(void)state;
	need_private_state();
	if (chown(PATH_MAP, 65534, 0) != 0) {
		printf("an ordinary user cannot give a file away, not even in a user namespace\n");
		skip();
	}
	supersede();
	assert_no_map("somebody else's");
	assert_int_equal(chown(PATH_MAP, 0, 0), 0);
	assert_int_equal(chown(PATH_STATE, 65534, 0), 0);
	assert_no_map("in somebody else's directory");
	assert_int_equal(chown(PATH_STATE, 0, 0), 0);
	build_map();
}

/* Whatever is answered is in the buffer. */
static void look_at_hosts(char *buffer) {
	const struct call calls[] = {{NAME, DB1_B, AF_INET}, {NAME2, DB1_B, AF_INET6},
		{NAME4, DB1_B, AF_UNSPEC}, {ADDR, "10.77.2.5", AF_INET}};
	struct answer a;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		call(&calls[i], buffer, BUFFER, &a);
		assert_true(a.status >= NSS_STATUS_TRYAGAIN && a.status <= NSS_STATUS_SUCCESS);
		if (a.status != NSS_STATUS_SUCCESS)
			continue;
		for (const struct gaih_addrtuple *t = calls[i].entry == NAME4 ? a.list : NULL; t;
			t = t->next) {
			assert_inside(t, sizeof *t, alignof(char *), buffer, BUFFER);
			assert_inside(t->name, strlen(t->name) + 1, 1, buffer, BUFFER);
		}
		for (char **p = calls[i].entry == NAME4 ? NULL : a.host.h_addr_list; p && *p; p++)
			assert_inside(*p, (size_t)a.host.h_length, 4, buffer, BUFFER);
	}
}

static void look_at_accounts(char *buffer) {
	struct passwd pw;
	struct group gr;
	int error;

	module.setpwent(0);
	module.setgrent(0);
	for (int i = 0; i < 6; i++) {
		enum nss_status status =
			i == 0	 ? module.getpwnam(CAROL, &pw, buffer, BUFFER, &error)
			: i == 1 ? module.getpwuid(SAMPLE_GID + 2, &pw, buffer, BUFFER, &error)
				 : module.getpwent(&pw, buffer, BUFFER, &error);
		const char *texts[] = {pw.pw_name, pw.pw_passwd, pw.pw_gecos, pw.pw_dir, pw.pw_shell};

		for (size_t k = 0; status == NSS_STATUS_SUCCESS && k < 5; k++)
			assert_inside(texts[k], strlen(texts[k]) + 1, 1, buffer, BUFFER);
	}
	for (int i = 0; i < 5; i++) {
		enum nss_status status = i == 0	  ? module.getgrnam("clinic-b", &gr, buffer, BUFFER, &error)
					 : i == 1 ? module.getgrgid(SAMPLE_GID, &gr, buffer, BUFFER, &error)
						  : module.getgrent(&gr, buffer, BUFFER, &error);

		if (status == NSS_STATUS_SUCCESS) {
			assert_inside(gr.gr_name, strlen(gr.gr_name) + 1, 1, buffer, BUFFER);
			assert_inside(gr.gr_mem, sizeof *gr.gr_mem, alignof(char *), buffer, BUFFER);
		}
	}
}

/* Damage that the header does not show. */
static void damage_does_no_harm(void **state) {
	static const uint8_t changes[] = {0x01, 0x21, 0xff};
	char *buffer = malloc(BUFFER);
	struct span good;
	uint8_t *bytes;

	(void)state;
	if (!private_state)
		free(buffer);
	need_private_state();
	good = bytes_of_file(PATH_MAP);
	assert_true(good.n > 2048);
	bytes = (uint8_t *)(uintptr_t)good.p;
	for (size_t i = 0; i < good.n * sizeof changes; i++) {
		bytes[i / sizeof changes] ^= changes[i % sizeof changes];
		put_map(bytes, good.n);
		look_at_hosts(buffer);
		look_at_accounts(buffer);
		bytes[i / sizeof changes] ^= changes[i % sizeof changes];
	}
	bytes_free(good);
	free(buffer);
	build_map();
}

/* ---- what is not there, or not any more ---- */

static void an_empty_map_has_nobody(void **state) {
	(void)state;
	need_private_state();
	sample.roster.nhosts = 0;
	sample.roster.naccounts = 0;
	build_map();
	for (enum entry entry = NAME; entry < ADDR; entry++)
		assert_status(&(struct call){entry, DB1_B, AF_INET}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
	assert_status(&(struct call){ADDR, "10.77.2.5", AF_INET}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
	assert_status(&(struct call){ADDR2, db1_derived(), AF_INET6}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
	assert_status(&(struct call){NAME4, "localhost", AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	assert_accounts(NSS_STATUS_NOTFOUND, "nobody");
	/* and without any peer, so that no address is ours */
	sample.policy.npeers = 0;
	build_map();
	assert_status(&(struct call){ADDR, "10.77.2.5", AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	assert_status(&(struct call){NAME, DB1_B, AF_INET}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
	restore_map();
}

/* In the map in force, and without a new one, they end with their second. */
static void hosts_end_at_their_expiry(void **state) {
	const struct call calls[] = {{NAME, DB1_B, AF_INET}, {NAME2, DB1_B_ALIAS, AF_INET6},
		{NAME3, DB1_B, AF_INET}, {NAME4, DB1_B, AF_UNSPEC}, {NAME4_FIRST, DB1_B, AF_UNSPEC},
		{ADDR, "10.77.2.5", AF_INET}, {ADDR2, "fd77:2::5", AF_INET6}};
	time_t end = time(NULL) + 2, before;
	char buffer[BUFFER];
	struct answer a;

	(void)state;
	need_private_state();
	sample.hosts[SAMPLE_DB1_B].expires = end;
	build_map();
	do {
		before = time(NULL);
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
			call(&calls[i], buffer, sizeof buffer, &a);
			if (time(NULL) < end)
				assert_int_equal(a.status, NSS_STATUS_SUCCESS);
			if (before >= end) {
				assert_int_equal(a.status, NSS_STATUS_NOTFOUND);
				assert_int_equal(a.h_error, HOST_NOT_FOUND);
			}
		}
		usleep(10000);
	} while (before < end);
	restore_map();
}

/* The writer gives accounts no end, others may. */
static void expire(uint8_t *bytes, size_t n, enum map_type type, struct span what) {
	const struct map map = {bytes, n};
	struct map_account a;

	assert_true(map_account(&map, type, what, 0, &a));
	memset((uint8_t *)(uintptr_t)a.texts[0].p - 24, 0, sizeof(int64_t));
}

static void expired_accounts_do_not_exist(void **state) {
	uint32_t uid = htole32(SAMPLE_GID + 2), gid = htole32(SAMPLE_GID), place;
	struct span map;
	uint8_t *bytes;

	(void)state;
	need_private_state();
	map = bytes_of_file(PATH_MAP);
	bytes = (uint8_t *)(uintptr_t)map.p;
	expire(bytes, map.n, MAP_USER, span_str(CAROL));
	expire(bytes, map.n, MAP_UID, span_of(&uid, sizeof uid));
	expire(bytes, map.n, MAP_GROUP, span_str("clinic-b"));
	expire(bytes, map.n, MAP_GID, span_of(&gid, sizeof gid));
	for (uint32_t i = 0; i < SAMPLE_ACCOUNTS; i++) {
		place = htole32(i);
		expire(bytes, map.n, MAP_USERS, span_of(&place, sizeof place));
		if (i < 2)
			expire(bytes, map.n, MAP_GROUPS, span_of(&place, sizeof place));
	}
	put_map(bytes, map.n);
	module.setpwent(0);
	module.setgrent(0);
	assert_accounts(NSS_STATUS_NOTFOUND, "expired");
	bytes_free(map);
	build_map();
}

static void lists_pass_over_what_is_expired(void **state) {
	const uint32_t first = 0;
	char buffer[BUFFER];
	struct passwd pw;
	struct group gr;
	struct span map;
	int error;

	(void)state;
	need_private_state();
	map = bytes_of_file(PATH_MAP);
	expire((uint8_t *)(uintptr_t)map.p, map.n, MAP_USERS, span_of(&first, sizeof first));
	expire((uint8_t *)(uintptr_t)map.p, map.n, MAP_GROUPS, span_of(&first, sizeof first));
	put_map(map.p, map.n);
	module.setpwent(0);
	module.setgrent(0);
	assert_int_equal(module.getpwent(&pw, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	check_user(&pw, "dave@clinic-b", buffer, BUFFER);
	assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	check_group(&gr, "clinic-b", buffer, BUFFER);
	module.endpwent();
	module.endgrent();
	bytes_free(map);
	build_map();
}

/* ---- accounts and groups ---- */

static void unknown_accounts_are_not_found(void **state) {
	static const char *const names[] = {"", "@", "root", "carol", "Carol@clinic-b", "carol@clinic-a",
		"carol@clinic-b.mesh.internal", "alice@clinic-b", "@clinic-b", "carol@", "Clinic-b"};
	static const uint32_t numbers[] = {0, 1, 1000, SAMPLE_GID + 7, UINT32_MAX};
	char buffer[BUFFER], longest[2000];
	struct passwd pw;
	struct group gr;
	int error = OURS;

	(void)state;
	need_private_state();
	memset(longest, '@', sizeof longest);
	longest[sizeof longest - 1] = 0;
	errno = OURS;
	for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
		const char *name = i < sizeof names / sizeof *names ? names[i] : longest;

		assert_account_status(module.getpwnam(name, &pw, buffer, BUFFER, &error),
			NSS_STATUS_NOTFOUND, &error, name);
		assert_account_status(module.getgrnam(name, &gr, buffer, BUFFER, &error),
			NSS_STATUS_NOTFOUND, &error, name);
	}
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		assert_account_status(module.getpwuid(numbers[i], &pw, buffer, BUFFER, &error),
			NSS_STATUS_NOTFOUND, &error, "uid");
		assert_account_status(module.getgrgid(numbers[i], &gr, buffer, BUFFER, &error),
			NSS_STATUS_NOTFOUND, &error, "gid");
	}
}

static void lists_have_all_accounts_and_end(void **state) {
	static const char *const users[] = {"erin@clinic-a", "dave@clinic-b", CAROL};
	static const char *const groups[] = {"clinic-a", "clinic-b"};
	char buffer[BUFFER];
	struct passwd pw;
	struct group gr;
	int error;

	(void)state;
	need_private_state();
	for (int round = 0; round < 3; round++) {
		assert_int_equal(round % 2 ? module.endpwent() : module.setpwent(round), NSS_STATUS_SUCCESS);
		assert_int_equal(round % 2 ? module.endgrent() : module.setgrent(round), NSS_STATUS_SUCCESS);
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(module.getpwent(&pw, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
			check_user(&pw, users[i], buffer, BUFFER);
		}
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
			check_group(&gr, groups[i], buffer, BUFFER);
		}
		for (int i = 0; i < 2; i++) {
			assert_int_equal(module.getpwent(&pw, buffer, BUFFER, &error), NSS_STATUS_NOTFOUND);
			assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_NOTFOUND);
		}
	}
	module.endpwent();
	module.endgrent();
}

/* One list does not move the other; a new map in between is gone on with. */
static void lists_are_read_side_by_side(void **state) {
	char buffer[BUFFER];
	struct passwd pw;
	struct group gr;
	int error;

	(void)state;
	need_private_state();
	module.setpwent(0);
	module.setgrent(0);
	assert_int_equal(module.getpwent(&pw, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	module.setgrent(1);
	build_map();
	assert_int_equal(module.getpwnam(CAROL, &pw, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	assert_int_equal(module.getpwent(&pw, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	check_user(&pw, "dave@clinic-b", buffer, BUFFER);
	assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	check_group(&gr, "clinic-a", buffer, BUFFER);
	module.endpwent();
	assert_int_equal(module.getgrent(&gr, buffer, BUFFER, &error), NSS_STATUS_SUCCESS);
	check_group(&gr, "clinic-b", buffer, BUFFER);
	module.endgrent();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_hosts_are_found),
		cmocka_unit_test(unknown_names_of_ours_are_not_found),
		cmocka_unit_test(other_names_are_not_ours),
		cmocka_unit_test(known_name_without_that_family_has_no_data),
		cmocka_unit_test(addresses_of_the_mesh_are_ours),
		cmocka_unit_test(other_families_are_not_ours),
		cmocka_unit_test(local_users_need_no_map),
		cmocka_unit_test(bad_maps_are_unavailable),
		cmocka_unit_test(maps_that_others_can_write_are_unavailable),
		cmocka_unit_test(maps_of_other_owners_are_unavailable),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(an_empty_map_has_nobody),
		cmocka_unit_test(hosts_end_at_their_expiry),
		cmocka_unit_test(expired_accounts_do_not_exist),
		cmocka_unit_test(lists_pass_over_what_is_expired),
		cmocka_unit_test(unknown_accounts_are_not_found),
		cmocka_unit_test(lists_have_all_accounts_and_end),
		cmocka_unit_test(lists_are_read_side_by_side),
	};

	return cmocka_run_group_tests_name("nss", tests, nss_set_up, NULL);
}
