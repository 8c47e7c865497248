/* waiting.c: events that wait for another one; see waiting.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "tree.h"
#include "waiting.h"

_Static_assert(offsetof(struct slip, said) == 0, "a slip starts with its name");

struct slip *slip_find(const struct waiting *waiting, struct span said) {
	return tree_find(&waiting->slips, said);
}

struct slip *slip_open(struct waiting *waiting, struct span said) {
	struct slip *slip = slip_find(waiting, said);

	if (slip)
		return slip;
	slip = calloc(1, sizeof *slip);
	if (!slip)
		return NULL;
	span_copy(said, slip->said, sizeof slip->said);
	if (tree_add(&waiting->slips, slip))
		return slip;
	free(slip);
	return NULL;
}

void pending_leave(struct pending *p) {
	if (p->has_turn)
		LIST_REMOVE(p, turn);
	p->has_turn = false;
}

static void take_turn(struct pending *p, struct pending_list *list) {
	pending_leave(p);
	LIST_INSERT_HEAD(list, p, turn);
	p->has_turn = true;
}

void slip_wake(struct waiting *waiting, struct slip *slip) {
	struct pending *p;

	/* both lists are filled from the front */
	while ((p = LIST_FIRST(&slip->waiting)))
		take_turn(p, &waiting->ready);
}

bool pending_wait(struct waiting *waiting, struct pending *p, enum kel_outcome why, const char *reason) {
	struct span said = {0};
	struct slip *slip;

	p->why = why;
	snprintf(p->reason, sizeof p->reason, "%s", reason);
	if (why == KEL_GAP)
		said = p->event.prior;
	else if (why == KEL_NO_DELEGATOR)
		said = span_str(p->progress.est.anchor);
	if (said.n == 0)
		return true;
	slip = slip_open(waiting, said);
	if (slip)
		take_turn(p, &slip->waiting);
	return slip;
}

bool pending_attach(struct waiting *waiting, struct pending *p, struct span attachments) {
	take_turn(p, &waiting->ready);
	return array_bytes(&p->attachments, &p->nattachments, attachments.p, attachments.n);
}

void pending_free(struct pending *p) {
	pending_leave(p);
	if (p->slip) {
		p->slip->event = NULL;
		LIST_REMOVE(p, place);
	}
	kel_progress_free(&p->progress);
	free(p->body);
	free(p->attachments);
	free(p);
}

struct pending *pending_add(struct waiting *waiting, struct pending_list *list, struct book_log *log,
	uint64_t number, const struct event *event, struct span attachments) {
	struct pending *p = calloc(1, sizeof *p);
	struct slip *slip = slip_open(waiting, event->said);

	if (!p || !slip || !array_bytes(&p->body, &p->nbody, event->body.p, event->body.n) ||
		!array_bytes(&p->attachments, &p->nattachments, attachments.p, attachments.n) ||
		!event_parse(span_of(p->body, p->nbody), &p->event, NULL)) {
		if (p)
			pending_free(p);
		return NULL;
	}
	p->log = log;
	p->number = number;
	p->slip = slip;
	slip->event = p;
	LIST_INSERT_HEAD(list, p, place);
	return p;
}

const struct pending *pending_first(const struct pending_list *list) {
	const struct pending *p, *found = NULL;

	for (p = LIST_FIRST(list); p; p = LIST_NEXT(p, place))
		if (!found || p->number < found->number)
			found = p;
	return found;
}

bool delegation_add(
	struct waiting *waiting, const char *anchor, struct book_log *log, uint64_t sn, uint64_t number) {
	struct slip *slip = slip_open(waiting, span_str(anchor));
	struct delegation *d = calloc(1, sizeof *d);

	if (!slip || !d) {
		free(d);
		return false;
	}
	*d = (struct delegation){slip->delegations, log, sn, number};
	slip->delegations = d;
	return true;
}

static void free_slip(void *node) {
	struct slip *slip = node;
	struct delegation *d;

	while ((d = slip->delegations)) {
		slip->delegations = d->next;
		free(d);
	}
	free(slip->receipts);
	free(slip);
}

void waiting_free(struct waiting *waiting) {
	tdestroy(waiting->slips, free_slip);
	*waiting = (struct waiting){0};
}
