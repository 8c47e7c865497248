/* addr.h: IP addresses and prefixes, without names and without a network. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ADDR_H
#define VERIMESH_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "span.h"

#define ADDR_TEXT 46   /* longest text of an address, NUL included */
#define PREFIX_TEXT 50 /* the same with "/128" */

/* family is AF_INET or AF_INET6 (0: none); bytes in network order, the rest zero, so that
 * equal addresses are equal bytes. An IPv4-mapped IPv6 address is always held as IPv4. */
struct addr {
	uint8_t family;
	uint8_t bytes[16];
};

/* All addresses whose first bits are those of addr; the bits behind are zero. */
struct prefix {
	struct addr addr;
	uint8_t bits; /* 0 to 32, 0 to 128 */
};

/* For qsort and bsearch: equal prefixes are equal bytes. */
_Static_assert(sizeof(struct prefix) == 18, "family, address and bits, without gaps");
static inline int prefix_compare(const void *a, const void *b) {
	return memcmp(a, b, sizeof(struct prefix));
}

/* 4 or 16. */
static inline size_t addr_size(const struct addr *a) {
	return a->family == AF_INET ? 4 : 16;
}

static inline struct span addr_span(const struct addr *a) {
	return span_of(a->bytes, addr_size(a));
}

static inline bool addr_eq(const struct addr *a, const struct addr *b) {
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* From raw bytes of the family; IPv4-mapped IPv6 becomes IPv4 (DESIGN.md 5.9). */
struct addr addr_from_bytes(int family, const void *bytes);

/* From a socket address. False when it is neither IPv4 nor IPv6. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);

/* From any numeric text that inet_pton takes (no scope, no name, no port). */
bool addr_parse(struct span text, struct addr *out);

/* Canonical text. Returns buf. */
char *addr_format(const struct addr *a, char buf[static ADDR_TEXT]);

/* "10.77.2.0/24"; returns buf. */
char *prefix_format(const struct prefix *p, char buf[static PREFIX_TEXT]);

/* /32 or /128 */
struct prefix prefix_host(const struct addr *a);

bool prefix_covers(const struct prefix *p, const struct addr *a);

/* inner lies in (or equals) outer. */
bool prefix_contains(const struct prefix *outer, const struct prefix *inner);

#endif
