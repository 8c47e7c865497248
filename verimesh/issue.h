/* issue.h: issues a host's card: the card, the event that seals it, both into the store. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ISSUE_H
#define VERIMESH_ISSUE_H

#include "identity.h"
#include "options.h"
#include "policy.h"
#include "store.h"

/* The card's keys are this very host's: they grow from the identity, or the interface has its own (Adopt).
 */
bool issue_own_keys(const struct policy *policy, const struct identity *identity, struct options *options,
	struct err *err);

/* Issues a card and adds it to the store's book; store_commit is the caller's. Voids the last card of the
 * same host in the same event. A card without a key withdraws the host, which must have one that is not
 * withdrawn; another one is refused while the host changes its key (DESIGN.md 8). said gets its SAID. */
bool issue_card(struct store *store, const struct identity *identity, const struct card_content *card,
	char said[static CESR_TEXT], struct err *err);

/* Issues the card that the options ask for, durably. said gets its SAID. */
typedef bool issue_work(
	const char *root, struct options *options, char said[static CESR_TEXT], struct err *err);

/* A verb that issues a card: by work, or, with --aid, only prints what another DKMS is to anchor. done: what
 * to call it before its SAID. Returns the exit status. */
int issue_verb(const struct command *command, enum options_verb verb, issue_work *work, const char *done);

/* The own organisation's log; NULL, an error, when the store has lost it. */
const struct kel *store_own_kel(const struct store *store, const char *aid, struct err *err);

/* Hands own bytes to the book; they must all be accepted. */
bool book_own(struct book *book, const void *bytes, size_t n, struct err *err);

#endif
