/* cards.h: which cards of an issuer are anchored, voided, and the last of their host. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CARDS_H
#define VERIMESH_CARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book.h"
#include "card.h"
#include "err.h"

/* A card whose SAID and schema are right and that its issuer's log anchors (DESIGN.md 5.2). */
struct cards_entry {
	struct card card;	   /* its spans point into the book */
	size_t place;		   /* the seal that anchors it first; a higher one is later in the log */
	bool voided;		   /* some seal of the log voids it */
	const struct seal *voider; /* which, of one that was in force before, if all of them name one card */
	bool last;		   /* no card of its host is anchored later */
	/* A voided card that stays in force while its host changes its key (DESIGN.md 8): the card that
	 * replaces it, the last of the host, which has a `from`. Else NULL. */
	const struct cards_entry *successor;
};

/* All of them, by host and then by place. *entries is malloc'd, the caller's. A host is in force by
 * its last card alone, if that is not voided, has a key and has not ended; and, until that starts to
 * hold, by the one whose successor it is. */
bool cards_list(const struct book *book, const struct kel *kel, struct cards_entry **entries, size_t *n,
	struct err *err);

/* The last card of a host; NULL when it has none (entries of cards_list). */
const struct cards_entry *cards_last(const struct cards_entry *entries, size_t n, struct span host);

#endif
