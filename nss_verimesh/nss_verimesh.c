/* nss_verimesh.c: host lookups of glibc, answered from the map (DESIGN.md 5.4). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every entry point keeps to, for it runs in other people's processes: it reads one file at a
 * fixed path and nothing else, allocates and keeps nothing, takes no lock, and leaves errno alone
 * but for ERANGE. All of an answer is in the caller's buffer.
 */
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <stdalign.h>
#include <time.h>

#include "map.h"
#include "paths.h"

#define ENTRY __attribute__((visibility("default"))) enum nss_status

/* One question, and where in the caller's memory the answer goes. */
struct query {
	char *buffer;
	size_t size;
	int *errnop, *h_errnop;
	int32_t *ttl;	       /* or NULL */
	struct span name, raw; /* the name, or the address: 4 or 16 bytes */
	int family;	       /* of the answer in *host */
	struct hostent *host;
	struct gaih_addrtuple **list; /* else NULL: the answer for both families */
};

static enum nss_status answer(const struct query *q, enum nss_status status, int h_error) {
	*q->h_errnop = h_error;
	return status;
}

/* The first place in the caller's buffer that is aligned for pointers, if need bytes fit in from
 * there; else NULL. */
static void *room(const struct query *q, size_t need) {
	size_t skip = -(uintptr_t)q->buffer % alignof(char *);

	return q->size >= skip && q->size - skip >= need ? q->buffer + skip : NULL;
}

/* Copies text as a string to the place behind which *end is set. */
static char *put_text(char **end, struct span text) {
	char *start = *end;

	memcpy(start, text.p, text.n);
	start[text.n] = 0;
	*end = start + text.n + 1;
	return start;
}

/* Answers with addresses of one family: two lists of pointers, the addresses, the names. */
static enum nss_status give_host(const struct query *q, const struct map_card *card, struct span addrs) {
	size_t width = q->family == AF_INET ? 4 : 16, n = addrs.n / width;
	size_t pointers = (1 + 1 + n + 1) * sizeof(char *); /* both lists end with NULL */
	char **aliases = room(q, pointers + addrs.n + card->name.n + 1 + card->alias.n + 1), *end;

	if (n == 0)
		return answer(q, NSS_STATUS_NOTFOUND, NO_DATA);
	if (!aliases)
		return answer(q, NSS_STATUS_TRYAGAIN, NETDB_INTERNAL);
	end = (char *)aliases + pointers;
	memcpy(end, addrs.p, addrs.n);
	for (size_t i = 0; i < n; i++, end += width)
		aliases[2 + i] = end;
	aliases[2 + n] = NULL;
	aliases[0] = put_text(&end, card->alias);
	aliases[1] = NULL;
	q->host->h_name = put_text(&end, card->name);
	q->host->h_aliases = aliases;
	q->host->h_addrtype = q->family;
	q->host->h_length = (int)width;
	q->host->h_addr_list = aliases + 2;
	return answer(q, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

/* Answers with all addresses: an array of linked tuples, the name. */
static enum nss_status give_list(const struct query *q, const struct map_card *card) {
	size_t n6 = card->v6.n / 16, n = n6 + card->v4.n / 4;
	struct gaih_addrtuple *list = room(q, n * sizeof *list + card->name.n + 1);
	char *name, *end;

	if (n == 0)
		return answer(q, NSS_STATUS_NOTFOUND, NO_DATA);
	if (!list)
		return answer(q, NSS_STATUS_TRYAGAIN, NETDB_INTERNAL);
	end = (char *)(list + n);
	name = put_text(&end, card->name);
	for (size_t i = 0; i < n; i++) {
		list[i] = (struct gaih_addrtuple){.next = &list[i + 1], .name = name};
		if (i < n6) {
			list[i].family = AF_INET6;
			memcpy(list[i].addr, card->v6.p + i * 16, 16);
		} else {
			list[i].family = AF_INET;
			memcpy(list[i].addr, card->v4.p + (i - n6) * 4, 4);
		}
	}
	list[n - 1].next = NULL;
	/* getaddrinfo brings the first tuple along, nscd does not */
	if (*q->list)
		**q->list = list[0];
	else
		*q->list = list;
	return answer(q, NSS_STATUS_SUCCESS, NETDB_SUCCESS);
}

/* Answers by DESIGN.md 5.4: what is ours and unknown is NOTFOUND, so that it stays out of DNS. */
static enum nss_status ask(const struct map *map, const struct query *q) {
	int64_t now = time(NULL);
	struct map_card card;
	struct addr addr;
	bool found, ours;

	if (q->name.p) {
		found = map_by_name(map, q->name, now, &card);
		ours = found || map_in_domain(map, q->name);
	} else {
		addr = addr_from_bytes(q->family, q->raw.p);
		found = map_by_addr(map, &addr, now, &card);
		ours = found || map_in_mesh(map, &addr);
	}
	if (!ours)
		return answer(q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	if (!found)
		return answer(q, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND);
	if (q->list)
		return give_list(q, &card);
	if (q->raw.p)
		return give_host(q, &card, q->raw);
	return give_host(q, &card, q->family == AF_INET ? card.v4 : card.v6);
}

/* Answers with the map, or UNAVAIL when there is none to be trusted. */
static enum nss_status look_up(const struct query *q) {
	enum nss_status status = answer(q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	struct map map;
	int cancel, saved = errno;

	/* a thread cancelled inside would leave its descriptor or mapping behind */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (map_open(&map, PATH_MAP) == 0) {
		status = ask(&map, q);
		map_close(&map);
	}
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
	if (status == NSS_STATUS_TRYAGAIN)
		*q->errnop = ERANGE;
	if (status == NSS_STATUS_SUCCESS && q->ttl)
		*q->ttl = 0; /* a card may be withdrawn at any moment */
	return status;
}

ENTRY _nss_verimesh_gethostbyname3_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, int *errnop, int *h_errnop, int32_t *ttl, char **canonical) {
	struct query q = {
		buffer, size, errnop, h_errnop, ttl, .name = span_str(name), .family = family, .host = host};
	enum nss_status status;

	if (family != AF_INET && family != AF_INET6)
		return answer(&q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	status = look_up(&q);
	if (status == NSS_STATUS_SUCCESS && canonical)
		*canonical = host->h_name;
	return status;
}

ENTRY _nss_verimesh_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyname3_r(
		name, family, host, buffer, size, errnop, h_errnop, NULL, NULL);
}

/* Without a family it is IPv4, as everywhere in glibc. */
ENTRY _nss_verimesh_gethostbyname_r(
	const char *name, struct hostent *host, char *buffer, size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyname3_r(
		name, AF_INET, host, buffer, size, errnop, h_errnop, NULL, NULL);
}

ENTRY _nss_verimesh_gethostbyname4_r(const char *name, struct gaih_addrtuple **list, char *buffer,
	size_t size, int *errnop, int *h_errnop, int32_t *ttl) {
	struct query q = {buffer, size, errnop, h_errnop, ttl, .name = span_str(name), .list = list};

	return look_up(&q);
}

ENTRY _nss_verimesh_gethostbyaddr2_r(const void *addr, socklen_t len, int family, struct hostent *host,
	char *buffer, size_t size, int *errnop, int *h_errnop, int32_t *ttl) {
	struct query q = {buffer, size, errnop, h_errnop, ttl, .raw = span_of(addr, len), .family = family,
		.host = host};

	if (!(family == AF_INET && len == 4) && !(family == AF_INET6 && len == 16))
		return answer(&q, NSS_STATUS_UNAVAIL, NO_RECOVERY);
	return look_up(&q);
}

ENTRY _nss_verimesh_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *host,
	char *buffer, size_t size, int *errnop, int *h_errnop) {
	return _nss_verimesh_gethostbyaddr2_r(addr, len, family, host, buffer, size, errnop, h_errnop, NULL);
}
