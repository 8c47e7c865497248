/* nss_verimesh.c: hosts, accounts and groups for glibc, out of the map (DESIGN.md 5.4, 5.6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every entry point keeps to, for it runs in other people's processes: it reads one file at a
 * fixed path and nothing else, allocates nothing of its own, waits for nobody, and leaves errno alone
 * but where glibc takes it for the answer. All of an answer is in the caller's buffer.
 */
#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <time.h>

#include "shared_map.h"

#define ENTRY __attribute__((visibility("default"))) enum nss_status

/* One question, where in the caller's memory the answer goes, and how it ended. */
struct query {
	char *buffer;
	size_t size;
	int *errnop, *h_errnop; /* the second is NULL but for hosts */
	int32_t *ttl;		/* or NULL */
	const char *name;	/* NULL: asked for by address, number or place */
	enum nss_status status;

	/* a host */
	struct span addr; /* 4 or 16 bytes */
	int family;	  /* of the answer in *host */
	struct hostent *host;
	struct gaih_addrtuple **list; /* instead of that, for both families */

	/* an account or a group, or whether there is one */
	enum map_type type;
	uint32_t id;
	_Atomic uint32_t *place; /* NULL: not the next one of all */
	struct passwd *user;
	struct group *group;
};

static enum nss_status answer(const struct query *q, enum nss_status status, int h_error) {
	if (q->h_errnop)
		*q->h_errnop = h_error;
	return status;
}

/* Puts texts as strings into the caller's buffer, behind room for so many bytes from the first place on that
 * is aligned for pointers. That place, and where the strings are; NULL when all that does not fit. */
static void *put(const struct query *q, size_t bytes, size_t n, const struct span texts[], char *out[]) {
	size_t skip = -(uintptr_t)q->buffer % alignof(char *), need = skip + bytes;
	char *end;

	for (size_t i = 0; i < n; i++)
		need += texts[i].n + 1;
	if (q->size < need)
		return NULL;
	end = q->buffer + skip + bytes;
	for (size_t i = 0; i < n; i++) {
		out[i] = memcpy(end, texts[i].p, texts[i].n);
		end += texts[i].n;
		*end++ = 0;
	}
	return q->buffer + skip;
}

/* Answers with the map, or UNAVAIL when there is none to be trusted. */
static enum nss_status look_up(struct query *q, shared_map_user *ask) {
	int saved = errno;

	q->status = answer(q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	shared_map_use(ask, q);
	errno = saved;
	if (q->status == NSS_STATUS_TRYAGAIN)
		*q->errnop = ERANGE;
	if (q->status == NSS_STATUS_SUCCESS && q->ttl)
		*q->ttl = 0; /* a card may be withdrawn at any moment */
	return q->status;
}

/* ---- hosts ---- */

/* Answers with addresses of one family: two lists of pointers, the addresses, the names. */
static enum nss_status give_host(const struct query *q, const struct map_card *card) {
	struct span names[] = {card->name, card->alias};
	struct span addrs = q->addr.p ? q->addr : q->family == AF_INET ? card->v4 : card->v6;
	size_t width = q->family == AF_INET ? 4 : 16, n = addrs.n / width;
	size_t pointers = 1 + 1 + n + 1; /* both lists end with NULL */
	char *strings[2], **list = put(q, pointers * sizeof *list + n * width, 2, names, strings);

	if (n == 0)
		return answer(q, NSS_STATUS_NOTFOUND, NO_DATA);
	if (!list)
		return answer(q, NSS_STATUS_TRYAGAIN, NETDB_INTERNAL);
	list[0] = strings[1];
	list[1] = list[2 + n] = NULL;
	for (size_t i = 0; i < n; i++)
		list[2 + i] = memcpy((char *)(list + pointers) + i * width, addrs.p + i * width, width);
	*q->host = (struct hostent){strings[0], list, q->family, (int)width, list + 2};
	return answer(q, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

/* Answers with all addresses: an array of linked tuples, the name. */
static enum nss_status give_list(const struct query *q, const struct map_card *card) {
	size_t n6 = card->v6.n / 16, n = n6 + card->v4.n / 4;
	struct gaih_addrtuple *list;
	char *name;

	list = put(q, n * sizeof *list, 1, &card->name, &name);
	if (n == 0)
		return answer(q, NSS_STATUS_NOTFOUND, NO_DATA);
	if (!list)
		return answer(q, NSS_STATUS_TRYAGAIN, NETDB_INTERNAL);
	for (size_t i = 0; i < n; i++) {
		bool six = i < n6;

		list[i] = (struct gaih_addrtuple){&list[i + 1], name, six ? AF_INET6 : AF_INET, {0}, 0};
		memcpy(list[i].addr, six ? card->v6.p + i * 16 : card->v4.p + (i - n6) * 4, six ? 16 : 4);
	}
	list[n - 1].next = NULL;
	/* getaddrinfo brings the first tuple along, nscd does not */
	if (*q->list)
		**q->list = *list;
	else
		*q->list = list;
	return answer(q, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

/* Answers by DESIGN.md 5.4: what is ours and unknown is NOTFOUND, so that it stays out of DNS. */
static void ask_host(const struct map *map, void *query) {
	struct query *q = query;
	struct map_card card;
	struct addr addr;
	bool found, ours;

	if (q->name) {
		found = map_card(map, MAP_NAME, span_str(q->name), time(NULL), &card);
		ours = found || map_in_domain(map, span_str(q->name));
	} else {
		addr = addr_from_bytes(q->family, q->addr.p);
		found = map_card(map, MAP_ADDR, addr_span(&addr), time(NULL), &card);
		ours = found || map_in_mesh(map, &addr);
	}
	if (found && q->list)
		q->status = give_list(q, &card);
	else if (found)
		q->status = give_host(q, &card);
	else if (ours)
		q->status = answer(q, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
}

ENTRY _nss_verimesh_gethostbyname3_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, int *errnop, int *h_errnop, int32_t *ttl, char **canonical) {
	struct query q = {buffer, size, errnop, h_errnop, ttl, name, .family = family, .host = host};

	if (family != AF_INET && family != AF_INET6)
		return answer(&q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	if (look_up(&q, ask_host) == NSS_STATUS_SUCCESS && canonical)
		*canonical = host->h_name;
	return q.status;
}

ENTRY _nss_verimesh_gethostbyname2_r(const char *name, int af, struct hostent *host, char *buffer,
	size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyname3_r(name, af, host, buffer, size, errnop, h_errnop, NULL, NULL);
}

/* Without a family it is IPv4, as everywhere in glibc. */
ENTRY _nss_verimesh_gethostbyname_r(
	const char *name, struct hostent *host, char *buffer, size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyname2_r(name, AF_INET, host, buffer, size, errnop, h_errnop);
}

ENTRY _nss_verimesh_gethostbyname4_r(const char *name, struct gaih_addrtuple **list, char *buffer,
	size_t size, int *errnop, int *h_errnop, int32_t *ttl) {
	return look_up(&(struct query){buffer, size, errnop, h_errnop, ttl, name, .list = list}, ask_host);
}

ENTRY _nss_verimesh_gethostbyaddr2_r(const void *addr, socklen_t n, int family, struct hostent *host,
	char *buffer, size_t size, int *errnop, int *h_errnop, int32_t *ttl) {
	struct query q = {buffer, size, errnop, h_errnop, ttl, .addr = span_of(addr, n), .family = family,
		.host = host};

	if (!(family == AF_INET && n == 4) && !(family == AF_INET6 && n == 16))
		return answer(&q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	return look_up(&q, ask_host);
}

ENTRY _nss_verimesh_gethostbyaddr_r(const void *addr, socklen_t n, int family, struct hostent *host,
	char *buffer, size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyaddr2_r(addr, n, family, host, buffer, size, errnop, h_errnop, NULL);
}

/* ---- accounts and groups ---- */

/* How far the lists of all accounts and all groups were read: one of each in a process, as with every
 * database of glibc, which lets one thread in at a time. */
static _Atomic uint32_t users, groups;

static enum nss_status give_account(const struct query *q, const struct map_account *a) {
	char *text[MAP_TEXTS], **members = put(q, sizeof *members, MAP_TEXTS, a->texts, text);

	if (!members)
		return NSS_STATUS_TRYAGAIN;
	*members = NULL; /* a primary group lists nobody, as everywhere */
	if (q->user)
		*q->user = (struct passwd){text[0], text[1], a->id, a->gid, text[2], text[3], text[4]};
	else
		*q->group = (struct group){text[0], text[1], a->gid, members};
	return NSS_STATUS_SUCCESS;
}

static void ask_account(const struct map *map, void *query) {
	struct query *q = query;
	uint32_t id = htole32(q->id), place = q->place ? *q->place : 0;
	struct span what = q->name ? span_str(q->name) : span_of(&id, sizeof id);
	struct map_account a;

	if (!(q->place ? map_account_next(map, q->type, time(NULL), &place, &a)
		       : map_account(map, q->type, what, time(NULL), &a)))
		q->status = NSS_STATUS_NOTFOUND;
	else
		q->status = q->user || q->group ? give_account(q, &a) : NSS_STATUS_SUCCESS;
	if (q->place && q->status == NSS_STATUS_SUCCESS)
		*q->place = place;
}

/* What is unknown is NOTFOUND, and nothing more: getpwnam_r and its like hand on what errno was with an
 * UNAVAIL, so that has one that they know. */
static enum nss_status find(struct query *q, enum map_type type) {
	q->type = type;
	if (type == MAP_USER && !strchr(q->name, '@'))
		return NSS_STATUS_NOTFOUND;
	if (look_up(q, ask_account) == NSS_STATUS_UNAVAIL)
		*q->errnop = ENOENT;
	return q->status;
}

ENTRY _nss_verimesh_getpwnam_r(const char *name, struct passwd *pw, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .name = name, .user = pw}, MAP_USER);
}

ENTRY _nss_verimesh_getpwuid_r(uid_t uid, struct passwd *pw, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .id = uid, .user = pw}, MAP_UID);
}

ENTRY _nss_verimesh_getpwent_r(struct passwd *pw, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .place = &users, .user = pw}, MAP_USERS);
}

ENTRY _nss_verimesh_endpwent(void) {
	users = 0;
	return NSS_STATUS_SUCCESS;
}

ENTRY _nss_verimesh_setpwent(int stay_open) {
	(void)stay_open;
	return _nss_verimesh_endpwent();
}

ENTRY _nss_verimesh_getgrnam_r(const char *name, struct group *gr, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .name = name, .group = gr}, MAP_GROUP);
}

ENTRY _nss_verimesh_getgrgid_r(gid_t gid, struct group *gr, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .id = gid, .group = gr}, MAP_GID);
}

ENTRY _nss_verimesh_getgrent_r(struct group *gr, char *buffer, size_t size, int *errnop) {
	return find(&(struct query){buffer, size, errnop, .place = &groups, .group = gr}, MAP_GROUPS);
}

ENTRY _nss_verimesh_endgrent(void) {
	groups = 0;
	return NSS_STATUS_SUCCESS;
}

ENTRY _nss_verimesh_setgrent(int stay_open) {
	(void)stay_open;
	return _nss_verimesh_endgrent();
}

/* A user of ours is in no group but its primary one, which glibc has already. That is the whole answer, so
 * SUCCESS: nobody need go through all groups. */
ENTRY _nss_verimesh_initgroups_dyn(
	const char *user, gid_t primary, long *n, long *size, gid_t **list, long limit, int *errnop) {
	(void)primary, (void)n, (void)size, (void)list, (void)limit;
	return find(&(struct query){.errnop = errnop, .name = user}, MAP_USER);
}
