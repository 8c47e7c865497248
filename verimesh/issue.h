/* issue.h: issues a host's card: the card, the event that seals it, both into the store. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ISSUE_H
#define VERIMESH_ISSUE_H

#include "cards.h"
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
bool issue_card(struct store *store, const struct policy *policy, struct identity *identity,
	struct options *options, char said[static CESR_TEXT], struct err *err);

/* Puts the event that anchors these seals (JSON maps), and the cards that they name, into the store,
 * durably.
 */
bool issue_sealed(struct store *store, struct identity *identity, const char *seals, struct span cards,
	struct err *err);

/* The same with an event of ours that is made already; it is noted first. */
bool issue_event(struct store *store, const struct identity *identity, struct span event, struct span cards,
	struct err *err);

/* The identity that this host holds, for an event in the open store; a rotation that was cut off is settled
 * first. */
bool issue_identity(struct store *store, struct identity *identity, struct err *err);

/* Refuses to replace a card (the last of its host, or NULL) while the host changes its key (DESIGN.md 8).
 * now: microseconds; instead: what the administrator may do. */
bool issue_may_replace(const struct cards_entry *last, int64_t now, const char *instead, struct err *err);

/* The own organisation's log; NULL, an error, when the store has lost it. */
const struct kel *store_own_kel(struct store *store, const char *aid, struct err *err);

/* Hands own bytes to the book; they must all be accepted. */
bool book_own(struct book *book, const void *bytes, size_t n, struct err *err);

#endif
