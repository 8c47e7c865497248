/* event.h: one KERI message body, bytes to struct: key events, receipts, registry events. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_EVENT_H
#define VERIMESH_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cesr.h"
#include "err.h"
#include "span.h"

enum event_ilk {
	EVENT_ICP,
	EVENT_DIP,
	EVENT_ROT,
	EVENT_DRT,
	EVENT_IXN, /* up to here: key events */
	EVENT_RCT,
	EVENT_VCP,
	EVENT_ISS,
	EVENT_REV,
};

/* All spans point into the body; the caller keeps it. A field that the ilk does not have is empty.
 */
struct event {
	struct span body;
	enum event_ilk ilk;
	uint64_t sn;		   /* 0 to 2^63 - 1 */
	struct span said;	   /* d, 44 characters; rct: the receipted event's */
	struct span aid;	   /* i, 44 characters, code B, D or E */
	struct span prior;	   /* p, 44 characters */
	struct span delegator;	   /* di; vcp: ii, the issuer */
	struct span registry;	   /* ri */
	struct span kt, nt, bt;	   /* raw values */
	struct span keys, next;	   /* raw lists: k, n; keripy's vcp: the text n */
	struct span witnesses;	   /* b, or ba of a rotation */
	struct span cuts;	   /* br */
	struct span traits, seals; /* raw lists: c, a */
};

/* Reads a body whose version string cesr_message has checked: field order, types, canonical values,
 * and, except for rct, that its SAID is the digest of its bytes (facts/keri.md, Messages and
 * SAID). What depends on key state is for kel.h. On failure err says why, and event->aid and ->sn
 * are filled as far as they were read (aid.n 0, sn UINT64_MAX if not). */
bool event_parse(struct span body, struct event *event, struct err *err);

/* Seals (maps of `a`). */
enum seal_kind {
	SEAL_OTHER,  /* opaque */
	SEAL_DIGEST, /* exactly {d} */
	SEAL_EVENT,  /* exactly {i, s, d} */
};

struct seal {
	enum seal_kind kind;
	char i[CESR_TEXT]; /* "" when it is not 44 characters */
	char d[CESR_TEXT];
	uint64_t s;  /* UINT64_MAX when it is no canonical number */
	uint64_t sn; /* of the event that it stands in */
};

/* Walks `a`: *list starts as event.seals and shrinks; false at its end. */
bool event_next_seal(struct span *list, struct seal *seal);

/* Walks a list of strings: the next one's characters; false at its end. */
bool event_next_text(struct span *list, struct span *text);

/* How many it has. */
size_t event_count_texts(struct span list);

/* What stands for a SAID until event_fill. */
#define EVENT_BLANK_SAID "############################################"

/* Completes a new body of n bytes that starts with a version string: writes its size there, and
 * its SAID over every blank one. */
void event_fill(char *body, size_t n);

/* A number as KERI writes it: lower-case hex without leading zeros, below 2^63. */
bool event_number(struct span text, uint64_t *number);

#endif
