/* nss_module.h: the NSS module as its tests load it, with a map of theirs in its place. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_NSS_MODULE_H
#define VERIMESH_TESTS_NSS_MODULE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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
#define WEB_B_ALIAS "web." SAMPLE_AID_B ".mesh.internal"
#define CAROL "carol@clinic-b"
#define OURS 4711   /* errno, and what results are, before a call */
#define POISON 0xa5 /* what stands in results and buffers before it */
#define BUFFER 4096 /* enough for every answer of the sample */

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

static inline void need_private_state(void) {
	if (private_state)
		return;
	printf("the module reads " PATH_MAP ", and there are no private mounts here\n");
	skip();
}

static inline bool in_valgrind(void) {
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static inline bool in_sanitizer(void) {
	return dlsym(RTLD_DEFAULT, "__asan_init") || dlsym(RTLD_DEFAULT, "__tsan_init");
}

/* ---- calls ---- */

enum entry { NAME, NAME2, NAME3, NAME4, NAME4_FIRST, ADDR, ADDR2, ENTRIES };

/* One call for a host: by name, or by address (text of it). */
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

static inline enum nss_status call_by_name(
	const struct call *c, char *buffer, size_t size, struct answer *a) {
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

static inline enum nss_status call_by_addr(
	const struct call *c, char *buffer, size_t size, struct answer *a) {
	uint8_t raw[16];
	socklen_t n = c->family == AF_INET ? 4 : 16;

	assert_int_equal(inet_pton(c->family, c->what, raw), 1);
	if (c->entry == ADDR)
		return module.by_addr(raw, n, c->family, &a->host, buffer, size, &a->error, &a->h_error);
	return module.by_addr2(raw, n, c->family, &a->host, buffer, size, &a->error, &a->h_error, &a->ttl);
}

/* Makes the call; errno must survive it. */
static inline void call(const struct call *c, char *buffer, size_t size, struct answer *a) {
	memset(a, POISON, sizeof *a);
	a->error = a->h_error = a->ttl = OURS;
	errno = OURS;
	a->status = c->entry < ADDR ? call_by_name(c, buffer, size, a) : call_by_addr(c, buffer, size, a);
	assert_int_equal(errno, OURS);
}

static inline void assert_status(const struct call *c, enum nss_status status, int h_error) {
	char buffer[BUFFER];
	struct answer a;

	call(c, buffer, sizeof buffer, &a);
	if (a.status != status || a.h_error != h_error)
		fail_msg("entry %d, '%s': status %d (not %d), h_errno %d (not %d)", c->entry, c->what,
			a.status, status, a.h_error, h_error);
	assert_int_equal(a.error, OURS);
}

static inline void assert_found(void) {
	assert_status(&(struct call){NAME2, DB1_B, AF_INET}, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

static inline struct addr db1_addr(size_t i) {
	return sample.addrs[SAMPLE_DB1_B][i];
}

static inline const char *db1_derived(void) {
	static char text[ADDR_TEXT];
	struct addr addr = db1_addr(0);

	return addr_format(&addr, text);
}

/* ---- answers ---- */

/* n bytes at p lie in the buffer, aligned for what they are. */
static inline void assert_inside(
	const void *p, size_t n, size_t alignment, const char *buffer, size_t size) {
	const char *at = p;

	assert_true(at >= buffer && n <= size && (size_t)(at - buffer) <= size - n);
	assert_int_equal((uintptr_t)p % alignment, 0);
}

static inline void assert_string_inside(const char *text, const char *is, const char *buffer, size_t size) {
	assert_inside(text, strlen(is) + 1, 1, buffer, size);
	assert_string_equal(text, is);
}

static inline void check_user(const struct passwd *pw, const char *name, const char *buffer, size_t size) {
	char home[100];

	snprintf(home, sizeof home, "/home/%s", name);
	assert_string_inside(pw->pw_name, name, buffer, size);
	assert_string_inside(pw->pw_passwd, "*", buffer, size);
	assert_string_inside(pw->pw_gecos, "", buffer, size);
	assert_string_inside(pw->pw_dir, home, buffer, size);
	assert_string_inside(pw->pw_shell, "/bin/bash", buffer, size);
}

static inline void check_group(const struct group *gr, const char *name, const char *buffer, size_t size) {
	assert_string_inside(gr->gr_name, name, buffer, size);
	assert_string_inside(gr->gr_passwd, "*", buffer, size);
	assert_inside(gr->gr_mem, sizeof *gr->gr_mem, sizeof(char *), buffer, size);
	assert_null(gr->gr_mem[0]);
}

/* ---- the map ---- */

/* What the writer does before it replaces the map, for what is done to it here by other hands. */
static inline void supersede(void) {
	int fd = open(PATH_MAP, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	assert_int_equal(pwrite(fd, "\1", 1, MAP_SUPERSEDED), 1);
	close(fd);
}

static inline void put_map(const uint8_t *p, size_t n) {
	FILE *file;

	supersede();
	unlink(PATH_MAP);
	file = fopen(PATH_MAP, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(PATH_MAP, 0644), 0);
}

static inline void build_map(void) {
	struct err err = {0};

	if (!map_build(&sample.roster, PATH_MAP, &err))
		fail_msg("%s", err.text);
}

static inline void remove_map(void) {
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
}

/* The sample as it was, in force again. */
static inline void restore_map(void) {
	sample_init(&sample);
	build_map();
}

/* ---- what a process has ---- */

static inline size_t descriptors(void) {
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* How many maps are mapped; with gone, those that were replaced. */
static inline size_t mapped(bool gone) {
	char line[PATH_MAX + 100];
	FILE *maps = fopen("/proc/self/maps", "re");
	size_t n = 0;

	while (fgets(line, sizeof line, maps))
		n += strstr(line, "peers.cdb") && (!gone || strstr(line, "(deleted)"));
	fclose(maps);
	return n;
}

/* ---- the module ---- */

/* dlsym gives an object pointer; POSIX says that it converts. */
static inline bool load(void *handle, const char *name, void *function) {
	void *symbol = dlsym(handle, name);

	memcpy(function, &symbol, sizeof symbol);
	return symbol != NULL;
}

static inline bool load_all(void *so) {
	return load(so, "_nss_verimesh_gethostbyname_r", &module.by_name) &&
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
	       load(so, "_nss_verimesh_initgroups_dyn", &module.initgroups);
}

/* The module stands in the folder above this program's. glibc finds it loaded by its soname. */
static inline void *open_module(void) {
	ssize_t n = readlink("/proc/self/exe", build, sizeof build - sizeof "/libnss_verimesh.so.2");
	char path[PATH_MAX + 30];

	if (n < 0)
		return NULL;
	build[n] = 0;
	*strrchr(build, '/') = 0;
	*strrchr(build, '/') = 0;
	snprintf(path, sizeof path, "%s/libnss_verimesh.so.2", build);
	return dlopen(path, RTLD_NOW);
}

static inline int nss_set_up(void **state) {
	void *so;

	(void)state;
	sample_init(&sample);
	private_state = private_state_enter();
	if (private_state)
		build_map();
	so = open_module();
	if (so && load_all(so))
		return 0;
	fprintf(stderr, "%s\n", dlerror());
	return -1;
}

#endif
