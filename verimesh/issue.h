/* issue.h: issues a host's card: the card, the event that seals it, both into the store. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ISSUE_H
#define VERIMESH_ISSUE_H

#include "identity.h"
#include "options.h"
#include "store.h"

/* Issues the card that the options ask for and adds it to the store's book; store_commit is the
 * caller's. Voids the last card of the same host in the same event. own: the label is this very
 * host, whose keys grow from the identity's seed. said gets the card's SAID. */
bool issue_card(struct store *store, const struct identity *identity, struct options *options, bool own,
	char said[static CESR_TEXT], struct err *err);

/* The own organisation's log; NULL, an error, when the store has lost it. */
const struct kel *store_own_kel(const struct store *store, const char *aid, struct err *err);

/* Writes this host's tunnel secret, as its card in the store names it: after store_commit. */
bool write_own_secret(const char *root, const struct identity *identity, const char *label, struct err *err);

/* Hands own bytes to the book; they must all be accepted. */
bool book_own(struct book *book, const void *bytes, size_t n, struct err *err);

/* Microseconds since 1970. */
int64_t now_micros(void);

#endif
