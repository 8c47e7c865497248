/* addr.c: IP addresses and prefixes; see addr.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <stdio.h>

#include "addr.h"

struct addr addr_from_bytes(int family, const void *bytes) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct addr a = {0};

	if (family == AF_INET6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
		family = AF_INET;
		bytes = (const uint8_t *)bytes + sizeof mapped;
	}
	a.family = (uint8_t)family;
	memcpy(a.bytes, bytes, addr_size(&a));
	return a;
}

bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out) {
	const uint8_t *p = (const uint8_t *)sa;

	*out = (struct addr){0};
	if (sa->sa_family == AF_INET)
		*out = addr_from_bytes(AF_INET, p + offsetof(struct sockaddr_in, sin_addr));
	else if (sa->sa_family == AF_INET6)
		*out = addr_from_bytes(AF_INET6, p + offsetof(struct sockaddr_in6, sin6_addr));
	return out->family != 0;
}

bool addr_parse(struct span text, struct addr *out) {
	char copy[ADDR_TEXT];
	uint8_t bytes[16];
	int family;

	*out = (struct addr){0};
	span_copy(text, copy, sizeof copy); /* what does not fit is empty: no address */
	family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, copy, bytes) != 1)
		return false;
	*out = addr_from_bytes(family, bytes);
	return true;
}

char *addr_format(const struct addr *a, char buf[static ADDR_TEXT]) {
	if (!a->family || !inet_ntop(a->family, a->bytes, buf, ADDR_TEXT))
		buf[0] = 0;
	return buf;
}

char *prefix_format(const struct prefix *p, char buf[static PREFIX_TEXT]) {
	char text[ADDR_TEXT];

	snprintf(buf, PREFIX_TEXT, "%s/%u", addr_format(&p->addr, text), p->bits);
	return buf;
}

struct prefix prefix_host(const struct addr *a) {
	return (struct prefix){*a, (uint8_t)(addr_size(a) * 8)};
}

bool prefix_covers(const struct prefix *p, const struct addr *a) {
	size_t whole = p->bits / 8;

	if (p->addr.family != a->family || memcmp(p->addr.bytes, a->bytes, whole) != 0)
		return false;
	return p->bits % 8 == 0 ||
	       ((p->addr.bytes[whole] ^ a->bytes[whole]) & (0xff00 >> p->bits % 8) & 0xff) == 0;
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner) {
	return outer->bits <= inner->bits && prefix_covers(outer, &inner->addr);
}
