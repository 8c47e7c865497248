/* accounts.h: accounts login@peer and their numbers, where a peer has Accounts = yes (DESIGN.md 5.6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ACCOUNTS_H
#define VERIMESH_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book.h"
#include "err.h"
#include "ledger.h"
#include "locals.h"
#include "policy.h"

struct account {
	const struct policy_peer *peer; /* they point into the policy */
	const struct policy_login *login;
	uint32_t uid, gid;
	int64_t expires; /* when its peer lapses, seconds since 1970, or NEVER: roster_build's to say */
};

typedef void accounts_report(void *ctx, const struct err *claim);

/* Gives each login that is listed without `=` its numbers: those settled by hand, else those that the ledger
 * has, else the derived ones; the ledger learns them. Each account that cannot be is handed to report, with
 * the mend, and left out: a number that is another's or a local account's, a petname that is a local user or
 * group, or stands behind the @ of one. Peers without a log have none. *list is malloc'd, in the order of
 * the policy. False: no memory; *list is then to be freed, too. */
bool accounts_build(const struct locals *locals, const struct policy *policy, const struct book *book,
	struct ledger *ledger, accounts_report *report, void *ctx, struct account **list, size_t *n,
	struct err *err);

/* The account of a login that is listed without `=`; NULL when it was refused. */
const struct account *accounts_find(const struct account *list, size_t n, const struct policy_login *login);

#endif
