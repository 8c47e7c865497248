/* roster.h: all hosts that cards claim and policy allows, after conflicts were refused. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ROSTER_H
#define VERIMESH_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"
#include "cesr.h"
#include "policy.h"

#define NEVER INT64_MAX /* an expiry that does not come */

/* One login of a host that policy admits: who it becomes here. */
struct roster_login {
	char login[LOGIN_MAX + 1];
	char account[LOGIN_MAX + LABEL_MAX + 2];
};

struct roster_host {
	const struct policy_peer *peer; /* whose host it is; points into the policy */
	char label[LABEL_MAX + 1];	/* its label, as the card has it */
	uint8_t key[WG_KEY_BYTES];	/* its tunnel key */
	char said[CESR_TEXT];		/* its card */
	uint64_t sn;			/* of the key state by which the card counts */
	int64_t expires;		/* seconds since 1970 (wall clock), or NEVER */
	struct addr *addrs;		/* the derived address first (DESIGN.md 5.3) */
	size_t naddrs;
	struct prefix *routes;
	size_t nroutes;
	char endpoint[64]; /* "" for none */
	struct roster_login *logins;
	size_t nlogins;
	bool self; /* this very host */
};

struct roster {
	const struct policy *policy;
	struct roster_host *hosts;
	size_t nhosts;
	const struct roster_host *self; /* this host's own entry, NULL when it has no card */
	unsigned refused;		/* claims that were refused */
};

#endif
