/* issue.h: issues a host's card: the card, the event that seals it, both into the store. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ISSUE_H
#define VERIMESH_ISSUE_H

#include "identity.h"
#include "options.h"
#include "policy.h"
#include "store.h"

/* Microseconds past its `from` for which a card that brings another key is not replaced (DESIGN.md 8). */
#define ISSUE_OVERLAP INT64_C(3600000000)

/* What this host's card says of its keys: they grow from the seed, or the interface has its own (Adopt). */
bool issue_own_keys(const struct policy *policy, const uint8_t seed[static SEED_BYTES],
	uint8_t key[static WG_KEY_BYTES], char journal[static CESR_TEXT], struct err *err);

/* Issues the card that the options ask for, durably: with this host's own keys, if policy says that it is
 * this host's. Voids the last card of the same host in the same event. A card without a key (policy NULL)
 * withdraws the host, which must have one that is not withdrawn; another one is refused while the host
 * changes its key (DESIGN.md 8). said gets its SAID. */
bool issue_card(struct store *store, const struct policy *policy, const struct identity *identity,
	struct options *options, char said[static CESR_TEXT], struct err *err);

/* Puts the event that anchors these seals (JSON maps), and the cards that they name, into the store,
 * durably.
 */
bool issue_sealed(struct store *store, const struct identity *identity, const char *seals, struct span cards,
	struct err *err);

/* The own organisation's log; NULL, an error, when the store has lost it. */
const struct kel *store_own_kel(struct store *store, const char *aid, struct err *err);

/* Hands own bytes to the book; they must all be accepted. */
bool book_own(struct book *book, const void *bytes, size_t n, struct err *err);

#endif
