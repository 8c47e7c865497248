/* floor.c: an NSS module that looks nothing up: the least that any module costs. Never installed. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#define ENTRY __attribute__((visibility("default"))) enum nss_status

/* What each answer holds: pointers that end with NULL, an address, strings, all in the caller's buffer. */
struct answer {
	char *list[4];
	struct gaih_addrtuple tuple;
	uint8_t addr[16];
	char name[32], alias[32], password[2], gecos[1], home[16], shell[16];
};

static const struct answer constant = {
	.tuple = {.family = AF_INET6, .addr = {0xfd}},
	.addr = {0xfd},
	.name = "host.organisation.mesh.internal",
	.alias = "host.another-name.mesh.internal",
	.password = "*",
	.home = "/home/somebody",
	.shell = "/bin/bash",
};

static struct answer *give(char *buffer, size_t size, int *errnop) {
	size_t skip = -(uintptr_t)buffer % alignof(struct answer);

	if (size < skip + sizeof constant) {
		*errnop = ERANGE;
		return NULL;
	}
	return memcpy(buffer + skip, &constant, sizeof constant);
}

static enum nss_status give_host(
	struct hostent *host, char *buffer, size_t size, int *errnop, int *h_errnop) {
	struct answer *a = give(buffer, size, errnop);

	*h_errnop = a ? NETDB_SUCCESS : NETDB_INTERNAL;
	if (!a)
		return NSS_STATUS_TRYAGAIN;
	a->list[0] = a->alias;
	a->list[2] = (char *)a->addr;
	*host = (struct hostent){a->name, a->list, AF_INET6, sizeof a->addr, a->list + 2};
	return NSS_STATUS_SUCCESS;
}

/* What the bench asks that is nobody's does not start as what is somebody's. */
static enum nss_status refuse(int *h_errnop) {
	*h_errnop = NO_RECOVERY;
	return NSS_STATUS_UNAVAIL;
}

ENTRY _nss_vmfloor_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, int *errnop, int *h_errnop) {
	(void)family;
	return *name == 'h' ? give_host(host, buffer, size, errnop, h_errnop) : refuse(h_errnop);
}

ENTRY _nss_vmfloor_gethostbyname4_r(const char *name, struct gaih_addrtuple **list, char *buffer,
	size_t size, int *errnop, int *h_errnop, int32_t *ttl) {
	struct answer *a = give(buffer, size, errnop);

	(void)name, (void)ttl;
	*h_errnop = a ? NETDB_SUCCESS : NETDB_INTERNAL;
	if (!a)
		return NSS_STATUS_TRYAGAIN;
	a->tuple.name = a->name;
	*list = &a->tuple;
	return NSS_STATUS_SUCCESS;
}

ENTRY _nss_vmfloor_gethostbyaddr_r(const uint8_t *addr, socklen_t n, int family, struct hostent *host,
	char *buffer, size_t size, int *errnop, int *h_errnop) {
	(void)n, (void)family;
	return *addr == 0xfd ? give_host(host, buffer, size, errnop, h_errnop) : refuse(h_errnop);
}

static enum nss_status give_user(struct passwd *pw, char *buffer, size_t size, int *errnop) {
	struct answer *a = give(buffer, size, errnop);

	if (!a)
		return NSS_STATUS_TRYAGAIN;
	*pw = (struct passwd){a->name, a->password, 1, 1, a->gecos, a->home, a->shell};
	return NSS_STATUS_SUCCESS;
}

ENTRY _nss_vmfloor_getpwnam_r(const char *name, struct passwd *pw, char *buffer, size_t size, int *errnop) {
	(void)name;
	return give_user(pw, buffer, size, errnop);
}

ENTRY _nss_vmfloor_getpwuid_r(uid_t uid, struct passwd *pw, char *buffer, size_t size, int *errnop) {
	(void)uid;
	return give_user(pw, buffer, size, errnop);
}

ENTRY _nss_vmfloor_getgrnam_r(const char *name, struct group *gr, char *buffer, size_t size, int *errnop) {
	struct answer *a = give(buffer, size, errnop);

	(void)name;
	if (!a)
		return NSS_STATUS_TRYAGAIN;
	*gr = (struct group){a->name, a->password, 1, a->list};
	return NSS_STATUS_SUCCESS;
}
