/* test_nss.c: the NSS module by its entry points, in real glibc, and through getent. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "bytes.h"
#include "map.h"
#include "map_build.h"
#include "map_sample.h"
#include "private_state.h"

#define DB1_B "db1.clinic-b.mesh.internal"
#define DB1_B_ALIAS "db1." SAMPLE_AID_B ".mesh.internal"
#define WEB_B "web.clinic-b.mesh.internal"
#define OURS 4711      /* errno before a call */
#define GUARD 0xa5     /* what stands around the buffer */
#define GUARD_BYTES 64 /* before it and behind it */
#define BUFFER 4096    /* enough for every answer here */
#define LOOKUPS 200    /* at least, of each thread */

typedef enum nss_status by_name_fn(const char *, struct hostent *, char *, size_t, int *, int *);
typedef enum nss_status by_name2_fn(const char *, int, struct hostent *, char *, size_t, int *, int *);
typedef enum nss_status by_name3_fn(
	const char *, int, struct hostent *, char *, size_t, int *, int *, int32_t *, char **);
typedef enum nss_status by_name4_fn(
	const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *);
typedef enum nss_status by_addr_fn(
	const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *);
typedef enum nss_status by_addr2_fn(
	const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *, int32_t *);

static struct {
	by_name_fn *by_name;
	by_name2_fn *by_name2;
	by_name3_fn *by_name3;
	by_name4_fn *by_name4;
	by_addr_fn *by_addr;
	by_addr2_fn *by_addr2;
	nss_getpwnam_r *getpwnam;
	nss_getpwuid_r *getpwuid;
	nss_setpwent *setpwent;
	nss_getpwent_r *getpwent;
	nss_endpwent *endpwent;
	nss_getgrnam_r *getgrnam;
	nss_getgrgid_r *getgrgid;
	nss_setgrent *setgrent;
	nss_getgrent_r *getgrent;
	nss_endgrent *endgrent;
	nss_initgroups_dyn *initgroups;
} module;

static struct sample sample;
static bool private_state;
static char build[PATH_MAX]; /* the folder with the module */

enum entry { NAME, NAME2, NAME3, NAME4, NAME4_FIRST, ADDR, ADDR2, ENTRIES };

/* One call: by name, or by address (text of it). */
struct call {
	enum entry entry;
	const char *what;
	int family;
};

struct answer {
	enum nss_status status;
	int error, h_error; /* *errnop, *h_errnop */
	struct hostent host;
	struct gaih_addrtuple first, *list; /* NAME4_FIRST: the caller's own first tuple */
	int32_t ttl;
	char *canonical;
};

static void need_private_state(void) {
	if (private_state)
		return;
	printf("the module reads " PATH_MAP ", and there are no private mounts here\n");
	skip();
}

static enum nss_status call_by_name(const struct call *c, char *buffer, size_t size, struct answer *a) {
	switch (c->entry) {
	case NAME:
		return module.by_name(c->what, &a->host, buffer, size, &a->error, &a->h_error);
	case NAME2:
		return module.by_name2(c->what, c->family, &a->host, buffer, size, &a->error, &a->h_error);
	case NAME3:
		return module.by_name3(c->what, c->family, &a->host, buffer, size, &a->error, &a->h_error,
			&a->ttl, &a->canonical);
	default:
		a->list = c->entry == NAME4_FIRST ? &a->first : NULL;
		return module.by_name4(c->what, &a->list, buffer, size, &a->error, &a->h_error, &a->ttl);
	}
}

static enum nss_status call_by_addr(const struct call *c, char *buffer, size_t size, struct answer *a) {
	uint8_t raw[16];
	socklen_t n = c->family == AF_INET ? 4 : 16;

	assert_int_equal(inet_pton(c->family, c->what, raw), 1);
	if (c->entry == ADDR)
		return module.by_addr(raw, n, c->family, &a->host, buffer, size, &a->error, &a->h_error);
	return module.by_addr2(raw, n, c->family, &a->host, buffer, size, &a->error, &a->h_error, &a->ttl);
}

/* Makes the call; errno must survive it. */
static void call(const struct call *c, char *buffer, size_t size, struct answer *a) {
	*a = (struct answer){.error = OURS, .h_error = OURS, .ttl = OURS};
	errno = OURS;
	a->status = c->entry < ADDR ? call_by_name(c, buffer, size, a) : call_by_addr(c, buffer, size, a);
	assert_int_equal(errno, OURS);
}

static void assert_status(const struct call *c, enum nss_status status, int h_error) {
	char buffer[BUFFER];
	struct answer a;

	call(c, buffer, sizeof buffer, &a);
	if (a.status != status || a.h_error != h_error)
		fail_msg("entry %d, '%s': status %d (not %d), h_errno %d (not %d)", c->entry, c->what,
			a.status, status, a.h_error, h_error);
	assert_int_equal(a.error, OURS);
}

static struct addr db1_addr(size_t i) {
	return sample.addrs[SAMPLE_DB1_B][i];
}

static const char *db1_derived(void) {
	static char text[ADDR_TEXT];
	struct addr addr = db1_addr(0);

	return addr_format(&addr, text);
}

/* n bytes at p lie in the buffer, aligned for what they are. */
static void assert_inside(const void *p, size_t n, size_t alignment, const char *buffer, size_t size) {
	const char *at = p;

	assert_true(at >= buffer && n <= size && (size_t)(at - buffer) <= size - n);
	assert_int_equal((uintptr_t)p % alignment, 0);
}

static void assert_string_inside(const char *text, const char *is, const char *buffer, size_t size) {
	assert_inside(text, strlen(is) + 1, 1, buffer, size);
	assert_string_equal(text, is);
}

/* The answer for db1.clinic-b; its exact size. */
static size_t check_host(const struct call *c, const struct answer *a, const char *buffer, size_t size) {
	const struct hostent *h = &a->host;
	size_t width = c->family == AF_INET ? 4 : 16, n = c->entry < ADDR ? 2 : 1;
	uint8_t raw[16];

	assert_string_inside(h->h_name, DB1_B, buffer, size);
	assert_inside(h->h_aliases, 2 * sizeof(char *), alignof(char *), buffer, size);
	assert_string_inside(h->h_aliases[0], DB1_B_ALIAS, buffer, size);
	assert_null(h->h_aliases[1]);
	assert_int_equal(h->h_addrtype, c->family);
	assert_int_equal(h->h_length, width);
	assert_inside(h->h_addr_list, (n + 1) * sizeof(char *), alignof(char *), buffer, size);
	for (size_t i = 0; i < n; i++) {
		struct addr addr = db1_addr(c->family == AF_INET ? 1 + i : 3 * i);

		assert_inside(h->h_addr_list[i], width, alignof(struct in6_addr), buffer, size);
		if (c->entry < ADDR)
			memcpy(raw, addr.bytes, width);
		else
			inet_pton(c->family, c->what, raw);
		assert_memory_equal(h->h_addr_list[i], raw, width);
	}
	assert_null(h->h_addr_list[n]);
	if (c->entry == NAME3)
		assert_ptr_equal(a->canonical, h->h_name);
	return (n + 3) * sizeof(char *) + n * width + sizeof DB1_B + sizeof DB1_B_ALIAS;
}

static size_t check_list(const struct call *c, const struct answer *a, const char *buffer, size_t size) {
	static const size_t order[] = {0, 3, 1, 2}; /* the derived address first, IPv6, IPv4 */
	const struct gaih_addrtuple *tuple = a->list;

	for (size_t i = 0; i < 4; i++, tuple = tuple->next) {
		struct addr addr = db1_addr(order[i]);

		if (i > 0 || c->entry == NAME4)
			assert_inside(tuple, sizeof *tuple, alignof(struct gaih_addrtuple), buffer, size);
		else
			assert_ptr_equal(tuple, &a->first);
		assert_string_inside(tuple->name, DB1_B, buffer, size);
		assert_int_equal(tuple->family, addr.family);
		assert_memory_equal(tuple->addr, addr.bytes, addr_size(&addr));
		assert_int_equal(tuple->scopeid, 0);
	}
	assert_null(tuple);
	return 4 * sizeof *tuple + sizeof DB1_B;
}

/* Bytes lost to alignment in a buffer that starts so many bytes behind an aligned place. */
static size_t lost(size_t skew) {
	return (alignof(char *) - skew % alignof(char *)) % alignof(char *);
}

/* One call with one buffer: whatever comes of it stays inside. The size that the answer takes, 0 if
 * the buffer was too small. */
static size_t try_buffer(const struct call *c, size_t skew, size_t size) {
	size_t all = GUARD_BYTES + skew + size + GUARD_BYTES, taken = 0;
	char *memory = aligned_alloc(64, (all + 63) / 64 * 64);
	char *buffer = memory + GUARD_BYTES + skew;
	bool list = c->entry == NAME4 || c->entry == NAME4_FIRST;
	struct answer a;

	memset(memory, GUARD, all);
	call(c, buffer, size, &a);
	for (size_t i = 0; i < GUARD_BYTES + skew; i++)
		assert_int_equal((uint8_t)memory[i], GUARD);
	for (size_t i = 0; i < GUARD_BYTES; i++)
		assert_int_equal((uint8_t)buffer[size + i], GUARD);
	if (a.status == NSS_STATUS_TRYAGAIN) {
		assert_int_equal(a.error, ERANGE);
		assert_int_equal(a.h_error, NETDB_INTERNAL);
		assert_memory_equal(&a.host, &(struct hostent){0}, sizeof a.host);
		assert_ptr_equal(a.list, c->entry == NAME4_FIRST ? &a.first : NULL);
		assert_int_equal(a.ttl, OURS);
	} else {
		assert_int_equal(a.status, NSS_STATUS_SUCCESS);
		assert_int_equal(a.error, OURS);
		assert_int_equal(a.h_error, NETDB_SUCCESS);
		taken = list ? check_list(c, &a, buffer, size) : check_host(c, &a, buffer, size);
		if (c->entry >= NAME3 && c->entry != ADDR)
			assert_int_equal(a.ttl, 0);
	}
	free(memory);
	return taken;
}

/* From no buffer at all: too small up to the exact size, large enough from there on. */
static void sweep(const struct call *c) {
	for (size_t skew = 0; skew < 8; skew++) {
		size_t size = 0, taken;

		while ((taken = try_buffer(c, skew, size)) == 0)
			assert_true(++size < BUFFER);
		assert_int_equal(size, lost(skew) + taken);
		for (size_t more = 1; more < 32; more++)
			assert_int_equal(try_buffer(c, skew, size + more), taken);
	}
}

static void every_buffer_by_name(void **state) {
	(void)state;
	need_private_state();
	sweep(&(struct call){NAME, DB1_B, AF_INET});
	sweep(&(struct call){NAME2, DB1_B, AF_INET});
	sweep(&(struct call){NAME2, DB1_B_ALIAS, AF_INET6});
	sweep(&(struct call){NAME3, DB1_B, AF_INET});
	sweep(&(struct call){NAME3, "DB1.Clinic-B.mesh.INTERNAL.", AF_INET6});
	sweep(&(struct call){NAME4, DB1_B, AF_UNSPEC});
	sweep(&(struct call){NAME4_FIRST, DB1_B_ALIAS, AF_UNSPEC});
}

static void every_buffer_by_address(void **state) {
	(void)state;
	need_private_state();
	sweep(&(struct call){ADDR, "10.77.2.5", AF_INET});
	sweep(&(struct call){ADDR, db1_derived(), AF_INET6});
	sweep(&(struct call){ADDR2, "10.77.2.6", AF_INET});
	sweep(&(struct call){ADDR2, "fd77:2::5", AF_INET6});
	sweep(&(struct call){ADDR2, "::ffff:10.77.2.5", AF_INET6});
}

/* No pointer for the time to live or the canonical name is a pointer to leave alone. */
static void optional_results_may_be_null(void **state) {
	char buffer[BUFFER];
	struct hostent host;
	struct gaih_addrtuple *list = NULL;
	int error, h_error;
	struct addr addr = db1_addr(1);

	(void)state;
	need_private_state();
	assert_int_equal(
		module.by_name3(DB1_B, AF_INET, &host, buffer, BUFFER, &error, &h_error, NULL, NULL),
		NSS_STATUS_SUCCESS);
	assert_int_equal(
		module.by_name4(DB1_B, &list, buffer, BUFFER, &error, &h_error, NULL), NSS_STATUS_SUCCESS);
	assert_int_equal(
		module.by_addr2(addr.bytes, 4, AF_INET, &host, buffer, BUFFER, &error, &h_error, NULL),
		NSS_STATUS_SUCCESS);
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

/* What glibc's own callers hand in: errno itself. */
static void errno_itself_gets_only_erange(void **state) {
	char buffer[BUFFER];
	struct hostent host;
	int h_error;

	(void)state;
	need_private_state();
	errno = OURS;
	module.by_name2(DB1_B, AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	module.by_name2(WEB_B, AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	module.by_name2("localhost", AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	assert_int_equal(errno, OURS);
	module.by_name2(DB1_B, AF_INET, &host, buffer, 8, &errno, &h_error);
	assert_int_equal(errno, ERANGE);
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
}

/* What the writer does before it replaces the map, for what is done to it here by other hands. */
static void supersede(void) {
	int fd = open(PATH_MAP, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	assert_int_equal(pwrite(fd, "\1", 1, MAP_SUPERSEDED), 1);
	close(fd);
}

static void put_map(const uint8_t *p, size_t n) {
	FILE *file;

	supersede();
	unlink(PATH_MAP);
	file = fopen(PATH_MAP, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(PATH_MAP, 0644), 0);
}

static void build_map(void) {
	struct err err = {0};

	if (!map_build(&sample.roster, PATH_MAP, &err))
		fail_msg("%s", err.text);
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

/* Damage that the header does not show: whatever is answered is in the buffer, and errno as it was. */
static void damage_does_no_harm(void **state) {
	const struct call calls[] = {
		{NAME, DB1_B, AF_INET}, {NAME4, DB1_B, AF_UNSPEC}, {ADDR, "10.77.2.5", AF_INET}};
	char buffer[BUFFER];
	struct answer a;
	struct span good;
	uint8_t *bytes;

	(void)state;
	need_private_state();
	good = bytes_of_file(PATH_MAP);
	assert_true(good.n > 2048);
	bytes = (uint8_t *)(uintptr_t)good.p;
	for (size_t at = 0; at < good.n; at++) {
		bytes[at] ^= 0x21;
		put_map(bytes, good.n);
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
			call(&calls[i], buffer, sizeof buffer, &a);
			assert_true(a.status == NSS_STATUS_SUCCESS || a.status == NSS_STATUS_TRYAGAIN ||
				    a.status == NSS_STATUS_NOTFOUND || a.status == NSS_STATUS_UNAVAIL);
			if (a.status != NSS_STATUS_SUCCESS)
				continue;
			for (struct gaih_addrtuple *tuple = a.list; tuple; tuple = tuple->next)
				assert_inside(tuple, sizeof *tuple, alignof(char *), buffer, sizeof buffer);
			for (char **p = a.list ? NULL : a.host.h_addr_list; p && *p; p++)
				assert_inside(*p, 4, 4, buffer, sizeof buffer);
			assert_inside(a.list ? a.list->name : a.host.h_name, 1, 1, buffer, sizeof buffer);
		}
		bytes[at] ^= 0x21;
	}
	bytes_free(good);
	build_map();
}

static size_t descriptors(void) {
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* How many maps are mapped; with gone, those that were replaced. */
static size_t mapped(bool gone) {
	char line[PATH_MAX + 100];
	FILE *maps = fopen("/proc/self/maps", "re");
	size_t n = 0;

	while (fgets(line, sizeof line, maps))
		n += strstr(line, "peers.cdb") && (!gone || strstr(line, "(deleted)"));
	fclose(maps);
	return n;
}

static void *look_until_cancelled(void *always) {
	const struct call c = {NAME4, DB1_B, AF_UNSPEC};
	char buffer[BUFFER];
	struct answer a;

	while (always) {
		call_by_name(&c, buffer, sizeof buffer, &a);
		pthread_testcancel();
	}
	return NULL;
}

static void the_map_is_mapped_once(void **state) {
	size_t before = descriptors();

	(void)state;
	need_private_state();
	for (int i = 0; i < 100; i++) {
		if (i % 10 == 0)
			build_map();
		assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
		assert_int_equal(mapped(false), 1);
		assert_int_equal(mapped(true), 0);
	}
	assert_int_equal(descriptors(), before);
}

/* Whatever is there now is answered, without anything that a process would have to do for it. */
static void a_new_map_is_seen_at_once(void **state) {
	(void)state;
	need_private_state();
	for (int i = 0; i < 10; i++) {
		sample.roster.nhosts = i % 2 ? SAMPLE_HOSTS : 1;
		build_map();
		assert_status(&(struct call){NAME4, DB1_B, AF_UNSPEC},
			i % 2 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND,
			i % 2 ? NETDB_SUCCESS : HOST_NOT_FOUND);
	}
}

/* A map that was marked and never replaced, because the writer died, is served, and not kept. */
static void a_marked_map_is_served(void **state) {
	(void)state;
	need_private_state();
	supersede();
	for (int i = 0; i < 3; i++)
		assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_int_equal(mapped(false), 1);
	build_map();
	assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_int_equal(mapped(true), 0);
}

/* The kernel kills a process in strict mode that calls anything but read, write and exit. */
static void lookups_call_no_system(void **state) {
	const char *preload = getenv("LD_PRELOAD");
	char buffer[BUFFER];
	struct passwd user;
	struct answer a;
	int status, error;
	pid_t child;

	(void)state;
	need_private_state();
	if ((preload && strstr(preload, "vgpreload")) || dlsym(RTLD_DEFAULT, "__tsan_init")) {
		printf("valgrind and ThreadSanitizer make system calls of their own\n");
		skip();
	}
	assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		for (int i = 0; i < 10; i++) {
			call_by_name(&(struct call){NAME4, DB1_B, AF_UNSPEC}, buffer, sizeof buffer, &a);
			module.getpwnam("carol@clinic-b", &user, buffer, sizeof buffer, &error);
			module.getpwuid(1, &user, buffer, sizeof buffer, &error);
			module.getpwent(&user, buffer, sizeof buffer, &error);
		}
		syscall(SYS_exit, 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void nothing_is_left_by_cancelled_threads(void **state) {
	size_t before = descriptors();
	pthread_t thread;

	(void)state;
	need_private_state();
	if (dlsym(RTLD_DEFAULT, "__asan_init")) {
		printf("AddressSanitizer does not survive pthread_cancel\n");
		skip();
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(pthread_create(&thread, NULL, look_until_cancelled, &module), 0);
		usleep((useconds_t)(i * 5));
		assert_int_equal(pthread_cancel(thread), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	assert_int_equal(descriptors(), before);
	build_map();
	assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_int_equal(mapped(true), 0);
}

static atomic_bool done;

/* Until it is done. The number of lookups that went wrong. */
static void *look_up_often(void *failures) {
	const struct call c = {NAME4, DB1_B, AF_UNSPEC};
	char buffer[BUFFER];
	struct answer a;

	for (int i = 0; i < LOOKUPS || !done; i++) {
		enum nss_status status = call_by_name(&c, buffer, sizeof buffer, &a);
		struct addr addr = db1_addr(0);

		if (status != NSS_STATUS_SUCCESS || memcmp(a.list->addr, addr.bytes, 16) != 0)
			++*(size_t *)failures;
	}
	return NULL;
}

/* Threads look up and processes fork while the map is replaced: every answer is right. */
static void threads_forks_and_a_writer(void **state) {
	size_t failures[8] = {0}, child_failures = 0;
	pthread_t threads[8];
	int status;
	pid_t child;

	(void)state;
	need_private_state();
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up_often, &failures[i]), 0);
	for (int i = 0; i < 50; i++) {
		build_map();
		child = fork();
		if (child == 0) {
			alarm(60);
			done = true;
			look_up_often(&child_failures);
			_exit(child_failures == 0 ? 0 : 1);
		}
		build_map();
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	done = true;
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(failures[i], 0);
	}
	assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
	assert_int_equal(mapped(false), 1);
	assert_int_equal(mapped(true), 0);
}

/* ---- accounts and groups ---- */

#define CAROL "carol@clinic-b"

enum kind { PWNAM, PWUID, PWENT, GRNAM, GRGID, GRENT, KINDS };

/* Asks for carol or for the group clinic-b; of all, for what comes first. */
static enum nss_status ask(
	enum kind kind, struct passwd *pw, struct group *gr, char *buffer, size_t size, int *error) {
	switch (kind) {
	case PWNAM:
		return module.getpwnam(CAROL, pw, buffer, size, error);
	case PWUID:
		return module.getpwuid(SAMPLE_GID + 2, pw, buffer, size, error);
	case PWENT:
		return module.getpwent(pw, buffer, size, error);
	case GRNAM:
		return module.getgrnam("clinic-b", gr, buffer, size, error);
	case GRGID:
		return module.getgrgid(SAMPLE_GID, gr, buffer, size, error);
	default:
		return module.getgrent(gr, buffer, size, error);
	}
}

static void check_user(const struct passwd *pw, const char *name, const char *buffer, size_t size) {
	char home[100];

	snprintf(home, sizeof home, "/home/%s", name);
	assert_string_inside(pw->pw_name, name, buffer, size);
	assert_string_inside(pw->pw_passwd, "*", buffer, size);
	assert_string_inside(pw->pw_gecos, "", buffer, size);
	assert_string_inside(pw->pw_dir, home, buffer, size);
	assert_string_inside(pw->pw_shell, "/bin/bash", buffer, size);
}

static void check_group(const struct group *gr, const char *name, const char *buffer, size_t size) {
	assert_string_inside(gr->gr_name, name, buffer, size);
	assert_string_inside(gr->gr_passwd, "*", buffer, size);
	assert_inside(gr->gr_mem, sizeof *gr->gr_mem, alignof(char *), buffer, size);
	assert_null(gr->gr_mem[0]);
}

static void check_account(
	enum kind kind, const struct passwd *pw, const struct group *gr, const char *buffer, size_t size) {
	if (kind < GRNAM) {
		check_user(pw, kind == PWENT ? "erin@clinic-a" : CAROL, buffer, size);
		assert_int_equal(pw->pw_uid, kind == PWENT ? 1880000001 : SAMPLE_GID + 2);
		assert_int_equal(pw->pw_gid, kind == PWENT ? 1880000000 : SAMPLE_GID);
	} else {
		check_group(gr, kind == GRENT ? "clinic-a" : "clinic-b", buffer, size);
		assert_int_equal(gr->gr_gid, kind == GRENT ? 1880000000 : SAMPLE_GID);
	}
}

/* One call with one buffer; false: it was too small. */
static bool try_account(enum kind kind, size_t skew, size_t size) {
	size_t all = GUARD_BYTES + skew + size + GUARD_BYTES;
	char *memory = aligned_alloc(64, (all + 63) / 64 * 64);
	char *buffer = memory + GUARD_BYTES + skew;
	struct passwd pw = {0};
	struct group gr = {0};
	enum nss_status status;
	int error = OURS;

	memset(memory, GUARD, all);
	errno = OURS;
	status = ask(kind, &pw, &gr, buffer, size, &error);
	assert_int_equal(errno, OURS);
	for (size_t i = 0; i < GUARD_BYTES + skew; i++)
		assert_int_equal((uint8_t)memory[i], GUARD);
	for (size_t i = 0; i < GUARD_BYTES; i++)
		assert_int_equal((uint8_t)buffer[size + i], GUARD);
	if (status == NSS_STATUS_TRYAGAIN) {
		assert_int_equal(error, ERANGE);
		assert_memory_equal(&pw, &(struct passwd){0}, sizeof pw);
		assert_memory_equal(&gr, &(struct group){0}, sizeof gr);
	} else {
		assert_int_equal(status, NSS_STATUS_SUCCESS);
		assert_int_equal(error, OURS);
		check_account(kind, &pw, &gr, buffer, size);
	}
	free(memory);
	return status == NSS_STATUS_SUCCESS;
}

/* What does not fit is asked for again, and is there when it fits; of a list it is not passed over. */
static void every_buffer_for_accounts(void **state) {
	(void)state;
	need_private_state();
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (size_t skew = 0; skew < 8; skew++) {
			size_t size = 0;

			module.setpwent(0);
			module.setgrent(0);
			while (!try_account(kind, skew, size))
				assert_true(++size < 200);
			for (size_t more = 1; more < 32; more++) {
				module.setpwent(1);
				module.setgrent(1);
				assert_true(try_account(kind, skew, size + more));
			}
		}
	assert_int_equal(module.endpwent(), NSS_STATUS_SUCCESS);
	assert_int_equal(module.endgrent(), NSS_STATUS_SUCCESS);
}

static void assert_account_status(
	enum nss_status status, enum nss_status wanted, const int *error, const char *what) {
	if (status != wanted)
		fail_msg("'%s': status %d (not %d)", what, status, wanted);
	assert_int_equal(*error, wanted == NSS_STATUS_UNAVAIL ? ENOENT : OURS);
	assert_int_equal(errno, OURS);
}

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

static void without_a_map_there_are_no_accounts(void **state) {
	char buffer[BUFFER];
	struct passwd pw;
	struct group gr;

	(void)state;
	need_private_state();
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		int error = OURS;

		errno = OURS;
		assert_account_status(
			ask(kind, &pw, &gr, buffer, BUFFER, &error), NSS_STATUS_UNAVAIL, &error, "");
		assert_int_equal(module.setpwent(0), NSS_STATUS_SUCCESS);
	}
	build_map();
}

/* The account's only group is what glibc brings along. */
static void nobody_is_in_further_groups(void **state) {
	static const char *const others[] = {"root", "carol", "carol@clinic-a", "clinic-b", ""};
	gid_t *list = calloc(1, sizeof *list);
	long n = 1, size = 1;
	int error = OURS;

	(void)state;
	if (!private_state)
		free(list);
	need_private_state();
	*list = SAMPLE_GID;
	errno = OURS;
	assert_account_status(module.initgroups(CAROL, SAMPLE_GID, &n, &size, &list, -1, &error),
		NSS_STATUS_SUCCESS, &error, CAROL);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_account_status(module.initgroups(others[i], 0, &n, &size, &list, -1, &error),
			NSS_STATUS_NOTFOUND, &error, others[i]);
	assert_true(n == 1 && size == 1 && *list == SAMPLE_GID);
	free(list);
}

static void glibc_finds_accounts(void **state) {
	struct passwd *pw, user, *found;
	struct group *gr;
	gid_t list[4] = {0};
	char buffer[BUFFER];
	int n = 4;

	(void)state;
	need_private_state();
	__nss_configure_lookup("passwd", "files verimesh");
	__nss_configure_lookup("group", "files verimesh");
	__nss_configure_lookup("initgroups", "files verimesh");
	pw = getpwnam(CAROL);
	assert_non_null(pw);
	assert_int_equal(pw->pw_uid, SAMPLE_GID + 2);
	pw = getpwuid(SAMPLE_GID + 2);
	assert_non_null(pw);
	assert_string_equal(pw->pw_dir, "/home/" CAROL);
	gr = getgrgid(SAMPLE_GID);
	assert_non_null(gr);
	assert_string_equal(gr->gr_name, "clinic-b");
	assert_non_null(getgrnam("clinic-a"));
	assert_int_equal(getgrouplist(CAROL, SAMPLE_GID, list, &n), 1);
	assert_int_equal(list[0], SAMPLE_GID);
	assert_int_equal(getpwnam_r("nobody@clinic-b", &user, buffer, sizeof buffer, &found), 0);
	assert_null(found);
	errno = EIO; /* which must not come out as what went wrong */
	assert_int_equal(getpwuid_r(SAMPLE_GID + 7, &user, buffer, sizeof buffer, &found), 0);
	assert_null(found);
	assert_int_equal(getpwnam_r(CAROL, &user, buffer, 10, &found), ERANGE);
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
	errno = EIO;
	assert_int_equal(getpwuid_r(SAMPLE_GID + 2, &user, buffer, sizeof buffer, &found), ENOENT);
	build_map();
}

/* Behind those of the files, whatever the size of the buffer is that glibc begins with. */
static void glibc_lists_accounts(void **state) {
	size_t users = 0, ours = 0, group_lines = 0;
	struct passwd *pw;
	struct group *gr;

	(void)state;
	need_private_state();
	memset(sample.policy.home, 'h', sizeof sample.policy.home - 1);
	memcpy(sample.policy.home,
		"/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p", 72);
	build_map();
	__nss_configure_lookup("passwd", "files verimesh");
	__nss_configure_lookup("group", "files verimesh");
	for (setpwent(); (pw = getpwent()); users++)
		ours += strchr(pw->pw_name, '@') != NULL;
	endpwent();
	assert_int_equal(ours, SAMPLE_ACCOUNTS);
	assert_true(users > ours);
	for (setgrent(); (gr = getgrent());)
		group_lines += strncmp(gr->gr_name, "clinic-", 7) == 0;
	endgrent();
	assert_int_equal(group_lines, 2);
	sample_init(&sample);
	build_map();
}

static void glibc_resolves_names(void **state) {
	const struct addrinfo both = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
	const struct addrinfo four = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
	struct addrinfo *list;
	struct hostent *host;
	size_t n = 0;

	(void)state;
	need_private_state();
	__nss_configure_lookup("hosts", "verimesh");
	assert_int_equal(getaddrinfo(DB1_B_ALIAS, NULL, &both, &list), 0);
	assert_string_equal(list->ai_canonname, DB1_B);
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		n++;
	assert_int_equal(n, 4);
	freeaddrinfo(list);
	assert_int_equal(getaddrinfo(DB1_B, NULL, &four, &list), 0);
	assert_int_equal(list->ai_family, AF_INET);
	freeaddrinfo(list);
	assert_int_equal(getaddrinfo(WEB_B, NULL, &four, &list), EAI_NODATA);
	assert_int_equal(getaddrinfo("db2.clinic-b.mesh.internal", NULL, &both, &list), EAI_NONAME);
	host = gethostbyname(DB1_B);
	assert_non_null(host);
	assert_int_equal(host->h_addrtype, AF_INET);
	assert_string_equal(host->h_aliases[0], DB1_B_ALIAS);
	host = gethostbyname2(DB1_B, AF_INET6);
	assert_non_null(host);
	assert_int_equal(host->h_addrtype, AF_INET6);
	assert_null(gethostbyname(WEB_B));
	assert_int_equal(h_errno, NO_DATA);
}

static void glibc_resolves_addresses(void **state) {
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct addr addr = db1_addr(1);
	char name[NI_MAXHOST];
	struct hostent *host;

	(void)state;
	need_private_state();
	__nss_configure_lookup("hosts", "verimesh");
	host = gethostbyaddr(addr.bytes, 4, AF_INET);
	assert_non_null(host);
	assert_string_equal(host->h_name, DB1_B);
	memcpy(&in.sin_addr, addr.bytes, 4);
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in, sizeof in, name, sizeof name, NULL, 0, NI_NAMEREQD), 0);
	assert_string_equal(name, DB1_B);
	addr = db1_addr(0);
	memcpy(&in6.sin6_addr, addr.bytes, 16);
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in6, sizeof in6, name, sizeof name, NULL, 0, NI_NAMEREQD),
		0);
	assert_string_equal(name, DB1_B);
	in6.sin6_addr.s6_addr[15] ^= 1;
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in6, sizeof in6, name, sizeof name, NULL, 0, NI_NAMEREQD),
		EAI_NONAME);
}

/* glibc's callers begin with a kilobyte and grow it: a host with many addresses. */
static void glibc_grows_its_buffers(void **state) {
	static struct addr addrs[400];
	struct roster_host *db1 = &sample.hosts[SAMPLE_DB1_B];
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	struct hostent *host;
	size_t n = 0;

	(void)state;
	need_private_state();
	addrs[0] = db1->addrs[0];
	for (size_t i = 1; i < 400; i++) {
		addrs[i] = sample_addr("10.77.2.0");
		addrs[i].bytes[2] = (uint8_t)(i / 256);
		addrs[i].bytes[3] = (uint8_t)i;
	}
	db1->addrs = addrs;
	db1->naddrs = 400;
	build_map();
	sample_init(&sample);
	__nss_configure_lookup("hosts", "verimesh");
	assert_int_equal(getaddrinfo(DB1_B, NULL, &hints, &list), 0);
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		n++;
	freeaddrinfo(list);
	assert_int_equal(n, 400);
	host = gethostbyname(DB1_B);
	for (n = 0; host->h_addr_list[n]; n++)
		assert_memory_equal(host->h_addr_list[n], addrs[n + 1].bytes, 4);
	assert_int_equal(n, 399);
	build_map();
}

static bool resolves(const char *name) {
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

/* /etc/hosts stands for what comes behind the module: DNS. */
static void mesh_names_stay_out_of_what_comes_behind(void **state) {
	const char *const hosts = "/var/lib/hosts";
	FILE *file;

	(void)state;
	need_private_state();
	file = fopen(hosts, "we");
	fputs("192.0.2.1 db2.clinic-b.mesh.internal " DB1_B "\n192.0.2.2 outside.example\n", file);
	fclose(file);
	assert_int_equal(mount(hosts, "/etc/hosts", "none", MS_BIND, NULL), 0);
	__nss_configure_lookup("hosts", "verimesh [NOTFOUND=return] files");
	assert_true(resolves("outside.example"));
	assert_true(resolves(DB1_B));
	assert_false(resolves("db2.clinic-b.mesh.internal"));
	assert_null(gethostbyaddr("\x0a\x4d\x02\x07", 4, AF_INET));
	assert_non_null(gethostbyaddr("\xc0\x00\x02\x02", 4, AF_INET));
	__nss_configure_lookup("hosts", "verimesh files");
	assert_true(resolves("db2.clinic-b.mesh.internal"));
	__nss_configure_lookup("hosts", "verimesh [NOTFOUND=return] files");
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
	assert_true(resolves("db2.clinic-b.mesh.internal")); /* no map: nothing is ours */
	build_map();
	assert_false(resolves("db2.clinic-b.mesh.internal"));
	assert_int_equal(umount2("/etc/hosts", MNT_DETACH), 0);
}

/* Runs getent with the module alone for a database; its exit status, and its first line. */
static int getent(const char *database, const char *arguments, char *line, int size) {
	char command[PATH_MAX + 300];
	FILE *out;

	snprintf(command, sizeof command, "LD_LIBRARY_PATH='%s' getent -s %s:verimesh %s", build, database,
		arguments);
	out = popen(command, "re");
	assert_non_null(out);
	if (!fgets(line, size, out))
		line[0] = 0;
	return WEXITSTATUS(pclose(out));
}

static void need_plain_module(void) {
	need_private_state();
	if (!dlsym(RTLD_DEFAULT, "__asan_init") && !dlsym(RTLD_DEFAULT, "__tsan_init"))
		return;
	printf("getent cannot load a module built with a sanitizer\n");
	skip();
}

static void getent_finds_hosts(void **state) {
	char line[1000], expected[1000];

	(void)state;
	need_plain_module();
	snprintf(expected, sizeof expected, "%s %s %s\n", db1_derived(), DB1_B, DB1_B_ALIAS);
	assert_int_equal(getent("hosts", "hosts " DB1_B, line, sizeof line), 0);
	assert_string_equal(line, expected);
	assert_int_equal(getent("hosts", "hosts " DB1_B_ALIAS, line, sizeof line), 0);
	assert_string_equal(line, expected);
	snprintf(expected, sizeof expected, "%-15s %s %s\n", "10.77.2.5", DB1_B, DB1_B_ALIAS);
	assert_int_equal(getent("hosts", "hosts 10.77.2.5", line, sizeof line), 0);
	assert_string_equal(line, expected);
	assert_int_equal(getent("hosts", "ahostsv4 " DB1_B_ALIAS, line, sizeof line), 0);
	assert_non_null(strstr(line, DB1_B));
	assert_int_equal(getent("hosts", "hosts db2.clinic-b.mesh.internal", line, sizeof line), 2);
	assert_int_equal(getent("hosts", "hosts 10.77.2.7", line, sizeof line), 2);
	assert_int_equal(getent("hosts", "hosts localhost", line, sizeof line), 2);
}

static void getent_finds_accounts(void **state) {
	char line[1000];

	(void)state;
	need_plain_module();
	assert_int_equal(getent("passwd", "passwd " CAROL, line, sizeof line), 0);
	assert_string_equal(line, CAROL ":*:1900000002:1900000000::/home/" CAROL ":/bin/bash\n");
	assert_int_equal(getent("passwd", "passwd 1900000002", line, sizeof line), 0);
	assert_int_equal(strncmp(line, CAROL ":", sizeof CAROL), 0);
	assert_int_equal(getent("passwd", "passwd | sort", line, sizeof line), 0);
	assert_int_equal(strncmp(line, CAROL ":", sizeof CAROL), 0);
	assert_int_equal(getent("group", "group clinic-b", line, sizeof line), 0);
	assert_string_equal(line, "clinic-b:*:1900000000:\n");
	assert_int_equal(getent("group", "group 1900000000", line, sizeof line), 0);
	assert_int_equal(getent("group", "group", line, sizeof line), 0);
	assert_string_equal(line, "clinic-a:*:1880000000:\n");
	assert_int_equal(getent("initgroups", "initgroups " CAROL, line, sizeof line), 0);
	assert_int_equal(strcspn(line, " "), strlen(CAROL));
	assert_int_equal(getent("passwd", "passwd carol", line, sizeof line), 2);
	assert_int_equal(getent("passwd", "passwd 1900000007", line, sizeof line), 2);
	assert_int_equal(getent("group", "group clinic-c", line, sizeof line), 2);
}

/* dlsym gives an object pointer; POSIX says that it converts. */
static bool load(void *handle, const char *name, void *function) {
	void *symbol = dlsym(handle, name);

	memcpy(function, &symbol, sizeof symbol);
	return symbol != NULL;
}

/* The module stands in the folder above this program's. glibc finds it loaded by its soname. */
static bool load_module(void) {
	ssize_t n = readlink("/proc/self/exe", build, sizeof build - sizeof "/libnss_verimesh.so.2");
	char path[PATH_MAX + 30];
	void *so;

	if (n < 0)
		return false;
	build[n] = 0;
	*strrchr(build, '/') = 0;
	*strrchr(build, '/') = 0;
	snprintf(path, sizeof path, "%s/libnss_verimesh.so.2", build);
	so = dlopen(path, RTLD_NOW);
	if (so && load(so, "_nss_verimesh_gethostbyname_r", &module.by_name) &&
		load(so, "_nss_verimesh_gethostbyname2_r", &module.by_name2) &&
		load(so, "_nss_verimesh_gethostbyname3_r", &module.by_name3) &&
		load(so, "_nss_verimesh_gethostbyname4_r", &module.by_name4) &&
		load(so, "_nss_verimesh_gethostbyaddr_r", &module.by_addr) &&
		load(so, "_nss_verimesh_gethostbyaddr2_r", &module.by_addr2) &&
		load(so, "_nss_verimesh_getpwnam_r", &module.getpwnam) &&
		load(so, "_nss_verimesh_getpwuid_r", &module.getpwuid) &&
		load(so, "_nss_verimesh_setpwent", &module.setpwent) &&
		load(so, "_nss_verimesh_getpwent_r", &module.getpwent) &&
		load(so, "_nss_verimesh_endpwent", &module.endpwent) &&
		load(so, "_nss_verimesh_getgrnam_r", &module.getgrnam) &&
		load(so, "_nss_verimesh_getgrgid_r", &module.getgrgid) &&
		load(so, "_nss_verimesh_setgrent", &module.setgrent) &&
		load(so, "_nss_verimesh_getgrent_r", &module.getgrent) &&
		load(so, "_nss_verimesh_endgrent", &module.endgrent) &&
		load(so, "_nss_verimesh_initgroups_dyn", &module.initgroups))
		return true;
	fprintf(stderr, "%s\n", dlerror());
	return false;
}

static int set_up(void **state) {
	(void)state;
	sample_init(&sample);
	private_state = private_state_enter();
	if (private_state)
		build_map();
	return load_module() ? 0 : -1;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_buffer_by_name),
		cmocka_unit_test(every_buffer_by_address),
		cmocka_unit_test(optional_results_may_be_null),
		cmocka_unit_test(unknown_names_of_ours_are_not_found),
		cmocka_unit_test(other_names_are_not_ours),
		cmocka_unit_test(known_name_without_that_family_has_no_data),
		cmocka_unit_test(addresses_of_the_mesh_are_ours),
		cmocka_unit_test(other_families_are_not_ours),
		cmocka_unit_test(errno_itself_gets_only_erange),
		cmocka_unit_test(bad_maps_are_unavailable),
		cmocka_unit_test(maps_that_others_can_write_are_unavailable),
		cmocka_unit_test(maps_of_other_owners_are_unavailable),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(the_map_is_mapped_once),
		cmocka_unit_test(a_new_map_is_seen_at_once),
		cmocka_unit_test(a_marked_map_is_served),
		cmocka_unit_test(lookups_call_no_system),
		cmocka_unit_test(nothing_is_left_by_cancelled_threads),
		cmocka_unit_test(threads_forks_and_a_writer),
		cmocka_unit_test(every_buffer_for_accounts),
		cmocka_unit_test(unknown_accounts_are_not_found),
		cmocka_unit_test(lists_have_all_accounts_and_end),
		cmocka_unit_test(without_a_map_there_are_no_accounts),
		cmocka_unit_test(nobody_is_in_further_groups),
		cmocka_unit_test(glibc_finds_accounts),
		cmocka_unit_test(glibc_lists_accounts),
		cmocka_unit_test(glibc_resolves_names),
		cmocka_unit_test(glibc_resolves_addresses),
		cmocka_unit_test(glibc_grows_its_buffers),
		cmocka_unit_test(mesh_names_stay_out_of_what_comes_behind),
		cmocka_unit_test(getent_finds_hosts),
		cmocka_unit_test(getent_finds_accounts),
	};

	return cmocka_run_group_tests_name("nss", tests, set_up, NULL);
}
