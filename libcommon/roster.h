/* roster.h: all hosts that cards claim and policy allows, after conflicts were refused. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ROSTER_H
#define VERIMESH_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounts.h"
#include "addr.h"
#include "base64.h"
#include "book.h"
#include "card.h"
#include "cesr.h"
#include "err.h"
#include "ledger.h"
#include "locals.h"
#include "policy.h"

/* One login of a host that policy admits: who it becomes here. */
struct roster_login {
	char login[LOGIN_MAX + 1];
	char account[LOGIN_MAX + LABEL_MAX + 2];
};

/* The key that a host is going to have (DESIGN.md 8): its peer has no addresses until then. */
struct roster_next {
	uint8_t key[WG_KEY_BYTES];
	int64_t from;	      /* seconds since 1970; 0: there is none */
	char said[CESR_TEXT]; /* its card */
	size_t place;	      /* of its card in the log */
	struct addr endpoint;
	uint16_t endpoint_port;
};

struct roster_host {
	const struct policy_peer *peer; /* whose host it is; points into the policy */
	char label[LABEL_MAX + 1];	/* its label, as the card has it */
	uint8_t key[WG_KEY_BYTES];	/* its tunnel key */
	char said[CESR_TEXT];		/* its card */
	size_t place;			/* of its card in the log */
	uint64_t sn;			/* of the key state by which the card counts */
	int64_t expires;		/* seconds since 1970 (wall clock), or NEVER */
	bool lapsed;			/* its peer did, when it expired; WireGuard keeps it */
	struct addr *addrs;		/* the derived address first (DESIGN.md 5.3) */
	size_t naddrs;
	struct prefix *routes;
	size_t nroutes;
	struct addr endpoint; /* family 0: none */
	uint16_t endpoint_port;
	struct roster_login *logins;
	size_t nlogins;
	struct span loginkeys; /* SSH keys of logins, the card's list; points into the book */
	struct roster_next next;
	char before[WG_KEY_TEXT]; /* the key that `key` replaced in step, base64 (DESIGN.md 8); "": none */
	bool self;		  /* this very host */
};

struct roster {
	const struct policy *policy;
	struct roster_host *hosts;
	size_t nhosts;
	struct account *accounts; /* in the order of the policy */
	size_t naccounts;
	const struct roster_host *self; /* this host's own entry, NULL when it has no card */
	unsigned refused;		/* claims that were refused, and peers that lapsed */
};

/* What it is built from; what may be left out is NULL. */
struct roster_sources {
	const struct policy *policy; /* every peer has an AID */
	const struct locals *locals; /* read for this policy */
	const struct book *book;
	struct ledger *ledger;	/* learns numbers given and who lapses from now; to be saved by the caller */
	const char *own_aid;	/* of the identity that this host holds: it has that log at first hand */
	const uint8_t *own_key; /* tunnel key of this host's interface, which no other host may have */
	int64_t now;		/* seconds since 1970 */

	/* What the interface has, asked of whoever read it. NULL while it is down. */
	void *interface;
	bool (*is_foreign_key)(void *interface, const uint8_t key[static WG_KEY_BYTES]);
	bool (*is_foreign_prefix)(void *interface, const struct prefix *prefix);
	bool (*has_peer)(void *interface, const uint8_t key[static WG_KEY_BYTES]);
	bool (*had_handshake)(void *interface, const uint8_t key[static WG_KEY_BYTES]);

	/* Takes each claim that is refused, with both claims and the mend (DESIGN.md 5.3 to 5.6), and each
	 * peer that lapsed. */
	void (*report)(void *ctx, const struct err *claim);
	void *ctx;
};

/* Builds it as of now; what is refused is left out. A peer with a Source lapses MaxAge after one answered
 * (LEDGER_ANSWERED, or now where that is not known or yet to come), this very host and the organisation
 * whose identity it holds do not: hosts and accounts expire then, and stay in the roster (DESIGN.md 5.5).
 * False only when memory runs out or local accounts cannot be read. The roster points into the policy;
 * roster_free releases it. */
bool roster_build(struct roster *roster, const struct roster_sources *sources, struct err *err);

void roster_free(struct roster *roster);

#endif
