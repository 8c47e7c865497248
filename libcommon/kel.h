/* kel.h: verifies key events against key state; the only place that accepts a key. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_KEL_H
#define VERIMESH_KEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesr.h"
#include "err.h"
#include "event.h"
#include "signatures.h"

#define KEL_LIST_MAX 1024 /* keys, next digests of one identifier */
/* Every rotation leaves its whole list of witnesses in the log, also when it names but one that
 * changes: this bounds what a short stream can make of that. */
#define KEL_WITNESSES_MAX 128

struct kel_key {
	char code; /* CESR_ED25519 or CESR_ED25519N */
	uint8_t raw[CESR_RAW];
};

/* What an establishment event (icp, dip, rot, drt) sets. Owned by the kel. */
struct kel_est {
	uint8_t *body; /* the event's bytes; ev points into them */
	struct event ev;
	char anchor[CESR_TEXT]; /* dip, drt: the delegator's event that seals it (-G); else "" */
	uint64_t anchor_sn;
	struct kel_key *keys;
	size_t nkeys;
	uint8_t (*next)[CESR_RAW]; /* digests of the next keys */
	size_t nnext;
	uint8_t (*witnesses)[CESR_RAW]; /* the whole list as of this event */
	size_t nwitnesses;
	uint64_t bt; /* receipts needed */
};

/* One identifier's verified log. Zero-initialised it is empty; kel_free releases it. Of one that rests
 * (book.h) only aid, delegator, count and seals are there. */
struct kel {
	char aid[CESR_TEXT];
	char delegator[CESR_TEXT];  /* "" unless delegated */
	uint64_t count;		    /* events accepted and not superseded: sn 0 to count - 1 */
	uint8_t (*saids)[CESR_RAW]; /* their digests, by sn */
	void *superseded;	    /* tsearch(3): digests of superseded events */
	struct kel_est *ests;	    /* establishment events, in order; the last is in force */
	size_t nests;
	struct seal *seals; /* of the accepted events, in order, opaque ones left out */
	size_t nseals;
	size_t *by_name;	      /* the same, of each event by what they seal */
	bool est_only, no_delegation; /* configuration traits EO, DND */
};

enum kel_outcome {
	KEL_ACCEPTED,
	KEL_KNOWN,	  /* accepted before, be it superseded since: no effect */
	KEL_RECOVERS,	  /* verifies, and supersedes events: kel_supersede, then apply it again */
	KEL_NO_RECEIPTS,  /* verifies, but receipts are missing: waits */
	KEL_NO_DELEGATOR, /* verifies, but the delegator's event was not seen yet: waits */
	KEL_GAP,	  /* its prior event has not been seen */
	KEL_DUPLICITOUS,  /* verifies, and another event was accepted at its sn */
	KEL_REFUSED,
};

/* How far the verification of a waiting event came, so that more attachments cost only themselves.
 * Zero-initialised for a new event; kel_progress_free releases it. */
struct kel_progress {
	const struct signatures *known; /* what was checked ahead, for the next call; or NULL */
	struct kel_est est;		/* what the event sets; its anchor is what the attachments claim */
	bool signed_by_controller;
	size_t read;  /* bytes of the attachments whose receipts and source seals were looked at */
	size_t wrong; /* receipts that do not verify */
	uint8_t witnessed[KEL_WITNESSES_MAX / 8];
};

/* Verifies a key event with its attachments and, when it is accepted, advances the state. delegator
 * is the log of the identifier that the event (or the log) names as its delegator, NULL if there is
 * none yet. attachments may only grow between calls with one progress; of several source seals the
 * last one counts. On any outcome but ACCEPTED, KNOWN and RECOVERS err says why in a few words.
 * Rules: facts/keri.md; recovery: Order, duplicity, recovery. */
enum kel_outcome kel_apply(struct kel *kel, const struct event *event, struct span attachments,
	const struct kel *delegator, struct kel_progress *progress, struct err *err);

void kel_progress_free(struct kel_progress *progress);

/* The event was accepted before, be it superseded since. */
bool kel_knows(const struct kel *kel, const struct event *event);

/* Takes back all events from sn on, for a recovery. They stay known. False: out of memory. */
bool kel_supersede(struct kel *kel, uint64_t sn);

/* Whether an event that was not accepted is an interaction on a branch that a rotation superseded. One that
 * was verified, or goes on from such a one, is then known, as those are that came before the rotation. */
bool kel_late(struct kel *kel, const struct event *event, bool verified);

/* Takes back all events from sn on, because the delegator's seal on that one was superseded. */
void kel_rollback(struct kel *kel, uint64_t sn);

void kel_free(struct kel *kel);

/* The establishment event in force; NULL while the log is empty. */
const struct kel_est *kel_current(const struct kel *kel);

/* The establishment event at sn; NULL when there is none. */
const struct kel_est *kel_est_at(const struct kel *kel, uint64_t sn);

/* SAID of the accepted event at sn, as text; false when there is none. */
bool kel_said(const struct kel *kel, uint64_t sn, char text[static CESR_TEXT]);

/* Nothing may follow: the last rotation committed to no next keys. */
bool kel_abandoned(const struct kel *kel);

#endif
