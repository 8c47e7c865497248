/* owners.h: which peer may claim an address or a route (DESIGN.md 5.3). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_OWNERS_H
#define VERIMESH_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "policy.h"

struct owners_entry {
	struct prefix prefix;
	const struct policy_peer *peer;
};

/* An index of the mesh prefixes of a policy, which it points into. */
struct owners {
	struct owners_entry
		*allowed; /* AllowedIPs, sorted by prefix; of equal ones the first in rank only */
	size_t nallowed;
	uint32_t bits[2][5];	      /* which lengths stand there, of IPv4 and of IPv6: a bit each */
	struct owners_entry *derived; /* the derived /48 of each peer, sorted */
	size_t nderived;
};

/* Every peer of the policy has an AID. False: out of memory. owners_free releases it. */
bool owners_build(struct owners *owners, const struct policy *policy);
void owners_free(struct owners *owners);

/* The peer whose AllowedIPs hold `prefix` by the longest prefix; equal ones: the own organisation,
 * then the section that stands first. NULL when none does. */
const struct policy_peer *owners_allowed(const struct owners *owners, const struct prefix *prefix);

/* The peer whose derived /48 `prefix` touches, NULL for none. */
const struct policy_peer *owners_derived(const struct owners *owners, const struct prefix *prefix);

#endif
