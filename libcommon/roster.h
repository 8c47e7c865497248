/* roster.h: all hosts that cards claim and policy allows, after conflicts were refused. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ROSTER_H
#define VERIMESH_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"
#include "book.h"
#include "card.h"
#include "cesr.h"
#include "err.h"
#include "policy.h"

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
	size_t place;			/* of its card in the log */
	uint64_t sn;			/* of the key state by which the card counts */
	int64_t expires;		/* seconds since 1970 (wall clock), or NEVER */
	struct addr *addrs;		/* the derived address first (DESIGN.md 5.3) */
	size_t naddrs;
	struct prefix *routes;
	size_t nroutes;
	struct addr endpoint; /* family 0: none */
	uint16_t endpoint_port;
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

/* Builds it from the logs and cards of the book, as of now (seconds since 1970). Every peer of the
 * policy has an AID. own_key: the tunnel key of this host's interface, which no other host may
 * have; NULL while there is none. Each claim that is refused is handed to report, with both claims
 * and the mend (DESIGN.md 5.3 to 5.6), and left out. False only when memory runs out. The roster
 * points into the policy; roster_free releases it. */
bool roster_build(struct roster *roster, const struct policy *policy, const struct book *book,
	const uint8_t *own_key, int64_t now, void (*report)(void *ctx, const struct err *claim), void *ctx,
	struct err *err);

void roster_free(struct roster *roster);

#endif
