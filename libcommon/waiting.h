/* waiting.h: events that wait for another one, and what hangs on an event that is not there yet. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_WAITING_H
#define VERIMESH_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cesr.h"
#include "event.h"
#include "kel.h"
#include "span.h"

struct book_log;
struct pending;
LIST_HEAD(pending_list, pending);

/* An accepted event of one log that an event of another log, its delegator's, seals. */
struct delegation {
	struct delegation *next;
	struct book_log *log;
	uint64_t sn, number;
};

/* What hangs on one SAID. Everything waits for an event by its SAID: the event after it, those that it seals
 * as the delegator's, its receipts; so each is found at once, and tried only when there is news for it. */
struct slip {
	char said[CESR_TEXT];
	uint8_t *receipts; /* that came before the event; malloc'd */
	size_t nreceipts;
	struct pending *event;	     /* the event itself, while it waits */
	struct pending_list waiting; /* for the event to be accepted */
	struct delegation *delegations;
	unsigned reopened; /* how often the event lost its anchor after it was accepted */
};

/* An event that verifies as far as it can, and waits for receipts, for its delegator, or for an event before
 * it. */
struct pending {
	LIST_ENTRY(pending) place; /* among the waiting ones of its log */
	LIST_ENTRY(pending) turn;  /* in the slip of what it waits for, or among the ready */
	bool has_turn;
	struct book_log *log;
	struct slip *slip;
	uint64_t number; /* of the event in its stream */
	uint8_t *body, *attachments;
	size_t nbody, nattachments;
	struct event event; /* points into body */
	struct kel_progress progress;
	enum kel_outcome why;
	char reason[128];
};

/* Zero-initialised it is empty. */
struct waiting {
	void *slips;		   /* tree.h */
	struct pending_list ready; /* to be tried again, the first one next */
};

/* NULL when there is none. */
struct slip *slip_find(const struct waiting *waiting, struct span said);
/* Makes one where there is none. NULL: out of memory. */
struct slip *slip_open(struct waiting *waiting, struct span said);
/* Those that waited for its event are tried next, the one that came first first. */
void slip_wake(struct waiting *waiting, struct slip *slip);

/* Keeps copies of an event and its attachments, in the list of its log. NULL: out of memory. */
struct pending *pending_add(struct waiting *waiting, struct pending_list *list, struct book_log *log,
	uint64_t number, const struct event *event, struct span attachments);
/* Takes it out of all lists. */
void pending_free(struct pending *p);

/* It waits for the event before it or for its delegator's event; else only news of it helps. False: out of
 * memory. */
bool pending_wait(struct waiting *waiting, struct pending *p, enum kel_outcome why, const char *reason);
/* It is not to be tried, unless told again. */
void pending_leave(struct pending *p);
/* More attachments came: it is tried next. False: out of memory. */
bool pending_attach(struct waiting *waiting, struct pending *p, struct span attachments);

/* The one of a log that came first; NULL for none. */
const struct pending *pending_first(const struct pending_list *list);

/* Notes that the acceptance of a log's event hangs on another's. False: out of memory. */
bool delegation_add(
	struct waiting *waiting, const char *anchor, struct book_log *log, uint64_t sn, uint64_t number);

/* Frees the slips. What waits is freed before. */
void waiting_free(struct waiting *waiting);

#endif
