/* owners.c: which peer may claim an address or a route; see owners.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "card.h"
#include "owners.h"

/* Equal ones by rank: the own organisation, then in the order of the sections. */
static int compare_entries(const void *a, const void *b, void *ctx) {
	const struct owners_entry *x = a, *y = b;
	const struct policy *policy = ctx;
	bool own_x = strcmp(x->peer->name, policy->self) == 0,
	     own_y = strcmp(y->peer->name, policy->self) == 0;
	int order = prefix_compare(&x->prefix, &y->prefix);

	if (!order)
		order = own_y - own_x;
	return order ? order : (x->peer > y->peer) - (x->peer < y->peer);
}

static void sort(struct owners_entry *entries, size_t *n, const struct policy *policy) {
	size_t kept = 0;

	qsort_r(entries, *n, sizeof *entries, compare_entries, (void *)policy);
	for (size_t i = 0; i < *n; i++)
		if (!kept || prefix_compare(&entries[kept - 1].prefix, &entries[i].prefix) != 0)
			entries[kept++] = entries[i];
	*n = kept;
}

bool owners_build(struct owners *owners, const struct policy *policy) {
	size_t n = 0;

	*owners = (struct owners){0};
	for (size_t i = 0; i < policy->npeers; i++)
		n += policy->peers[i].nallowed;
	owners->allowed = calloc(n + 1, sizeof *owners->allowed);
	owners->derived = calloc(policy->npeers + 1, sizeof *owners->derived);
	if (!owners->allowed || !owners->derived) {
		owners_free(owners);
		return false;
	}
	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];

		owners->derived[owners->nderived++] = (struct owners_entry){derived_prefix(peer->aid), peer};
		for (size_t k = 0; k < peer->nallowed; k++) {
			struct prefix prefix = peer->allowed[k];

			owners->allowed[owners->nallowed++] = (struct owners_entry){prefix, peer};
			owners->bits[prefix.addr.family == AF_INET6][prefix.bits / 32] |=
				UINT32_C(1) << prefix.bits % 32;
		}
	}
	sort(owners->allowed, &owners->nallowed, policy);
	sort(owners->derived, &owners->nderived, policy);
	return true;
}

void owners_free(struct owners *owners) {
	free(owners->allowed);
	free(owners->derived);
	*owners = (struct owners){0};
}

/* The same prefix, shorter. */
static struct prefix shorten(struct prefix prefix, uint8_t bits) {
	for (size_t i = bits; i < prefix.bits; i++)
		prefix.addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	prefix.bits = bits;
	return prefix;
}

const struct policy_peer *owners_allowed(const struct owners *owners, const struct prefix *prefix) {
	const uint32_t *lengths = owners->bits[prefix->addr.family == AF_INET6];

	for (uint8_t bits = prefix->bits; bits > 0; bits--) {
		struct owners_entry asked = {.prefix = shorten(*prefix, bits)}, *found;

		if (!(lengths[bits / 32] >> bits % 32 & 1))
			continue;
		found = bsearch(&asked, owners->allowed, owners->nallowed, sizeof asked, prefix_compare);
		if (found)
			return found->peer;
	}
	return NULL;
}

const struct policy_peer *owners_derived(const struct owners *owners, const struct prefix *prefix) {
	const struct prefix asked = prefix->bits > 48 ? shorten(*prefix, 48) : *prefix;
	size_t low = 0, high = owners->nderived;

	/* the first that is not below it: itself, or the first in it if there is any */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&owners->derived[middle].prefix.addr, &asked.addr, sizeof asked.addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == owners->nderived || !prefix_contains(&asked, &owners->derived[low].prefix))
		return NULL;
	return owners->derived[low].peer;
}
