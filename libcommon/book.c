/* book.c: verifies what arrives in any order; see book.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "book.h"
#include "card.h"
#include "event.h"

/* What a tree holds starts with its key, 44 characters and a NUL: struct kel (so struct book_log),
 * struct book_body, struct receipt. */
static int compare(const void *a, const void *b)
{
	return memcmp(a, b, CESR_TEXT);
}

_Static_assert(offsetof(struct book_log, kel.aid) == 0, "a log starts with its key");
_Static_assert(offsetof(struct book_body, said) == 0, "a body starts with its key");

/* Receipts that came before their event. */
struct receipt {
	char said[CESR_TEXT];
	uint8_t *bytes;
	size_t n;
};

static void *find_node(void *const *tree, struct span text)
{
	char key[CESR_TEXT];
	void **node = NULL;

	if (span_copy(text, key, sizeof key) && text.n == CESR_CHARS)
		node = tfind(key, tree, compare);
	return node ? *node : NULL;
}

/* Capacity is always the power of two above n, so that appending costs amortised constant time. */
static size_t capacity(size_t n)
{
	size_t size = 64;

	while (size <= n)
		size *= 2;
	return size;
}

static bool append(uint8_t **buf, size_t *n, struct span more)
{
	if (!*buf || capacity(*n) != capacity(*n + more.n)) {
		uint8_t *grown = realloc(*buf, capacity(*n + more.n));

		if (!grown)
			return false;
		*buf = grown;
	}
	if (more.n)
		memcpy(*buf + *n, more.p, more.n);
	*n += more.n;
	return true;
}

/* ---- verdicts ---- */

static struct verdict verdict_on(
	enum verdict_kind kind, uint64_t event, const struct event *ev, const char *reason)
{
	struct verdict v = {.kind = kind, .event = event, .sn = ev ? ev->sn : UINT64_MAX};

	if (ev)
		span_copy(ev->aid, v.aid, sizeof v.aid);
	snprintf(v.reason, sizeof v.reason, "%s", reason);
	return v;
}

static struct verdict verdict_on_pending(const struct pending *p)
{
	struct event ev;

	event_parse(span_of(p->body, p->nbody), &ev, NULL);
	return verdict_on(p->why == KEL_NO_RECEIPTS ? VERDICT_UNDERWITNESSED : VERDICT_REFUSED,
		p->event, &ev, p->reason);
}

/* The waiting event that came first, NULL for none. */
static const struct pending *first_waiting(const struct book *book)
{
	const struct pending *found = NULL;

	for (size_t i = 0; i < book->nlogs; i++)
		for (const struct pending *p = book->logs[i]->waiting; p; p = p->next)
			if (!found || p->event < found->event)
				found = p;
	return found;
}

/* Returns false: strict input stops here. */
static bool refuse(struct book *book, struct verdict verdict)
{
	const struct pending *earlier = book->forgiving ? NULL : first_waiting(book);
	struct verdict other;

	if (earlier && earlier->event < verdict.event) {
		other = verdict_on_pending(earlier);
		if (verdict.kind == VERDICT_TRUNCATED)
			other.kind = VERDICT_TRUNCATED;
		verdict = other;
	}
	book->failed = true;
	if (book->report)
		book->report(book->ctx, &verdict);
	return book->forgiving;
}

static bool no_memory(struct book *book)
{
	book->forgiving = false;
	return refuse(book, verdict_on(VERDICT_REFUSED, book->events, NULL, "out of memory"));
}

/* ---- logs ---- */

struct book_log *book_log(const struct book *book, const char *aid)
{
	return find_node(&book->log_tree, span_str(aid));
}

/* Finds the log or makes an empty one. */
static struct book_log *open_log(struct book *book, struct span aid)
{
	struct book_log *log = find_node(&book->log_tree, aid);
	size_t size = book->logs_size ? book->logs_size * 2 : 16;
	void *grown = book->logs;

	if (log)
		return log;
	if (book->nlogs == book->logs_size) {
		grown = reallocarray(book->logs, size, sizeof *book->logs);
		if (!grown)
			return NULL;
		book->logs = grown;
		book->logs_size = size;
	}
	log = calloc(1, sizeof *log);
	if (!log)
		return NULL;
	log->first = UINT64_MAX;
	span_copy(aid, log->kel.aid, sizeof log->kel.aid);
	if (!tsearch(log, &book->log_tree, compare)) {
		free(log);
		return NULL;
	}
	return book->logs[book->nlogs++] = log;
}

static void enqueue(struct book *book, struct book_log *log)
{
	if (log->in_queue)
		return;
	log->in_queue = true;
	log->queued = book->queue;
	book->queue = log;
}

static bool add_delegate(struct book_log *delegator, struct book_log *delegate)
{
	void *grown;

	for (size_t i = 0; i < delegator->ndelegates; i++)
		if (delegator->delegates[i] == delegate)
			return true;
	grown = reallocarray(delegator->delegates, delegator->ndelegates + 1, sizeof(void *));
	if (!grown)
		return false;
	delegator->delegates = grown;
	delegator->delegates[delegator->ndelegates++] = delegate;
	return true;
}

/* Events whose anchor in the delegator's log was superseded are no longer accepted. */
static void cut_delegates(struct book *book, struct book_log *log)
{
	char said[CESR_TEXT];

	for (size_t i = 0; i < log->ndelegates; i++) {
		struct book_log *delegate = log->delegates[i];

		for (size_t e = 0; e < delegate->kel.nests; e++) {
			struct kel_est *est = &delegate->kel.ests[e];

			if (!est->anchor[0] || (kel_said(&log->kel, est->anchor_sn, said) &&
						       strcmp(said, est->anchor) == 0))
				continue;
			kel_rollback(&delegate->kel, est->ev.sn);
			cut_delegates(book, delegate);
		}
	}
}

/* Keeps an accepted message for the store and lets what waited for it go on. */
static bool accepted(struct book *book, struct book_log *log, struct span body,
	struct span attachments, uint64_t cut)
{
	if (cut != UINT64_MAX)
		cut_delegates(book, log);
	enqueue(book, log);
	for (size_t i = 0; i < log->ndelegates; i++)
		if (log->delegates[i]->waiting)
			enqueue(book, log->delegates[i]);
	return !book->record || (append(&log->fresh, &log->nfresh, body) &&
					append(&log->fresh, &log->nfresh, attachments));
}

/* ---- events ---- */

static void free_pending(struct pending *p)
{
	free(p->body);
	free(p->attachments);
	free(p);
}

static enum kel_outcome apply(struct book *book, struct book_log *log, const struct event *event,
	struct span attachments, struct kel_progress *progress, uint64_t *cut, struct err *err)
{
	struct span name =
		event->ilk == EVENT_DIP ? event->delegator : span_str(log->kel.delegator);
	struct book_log *delegator = find_node(&book->log_tree, name);

	return kel_apply(&log->kel, event, attachments, delegator ? &delegator->kel : NULL,
		progress, cut, err);
}

static bool waits(enum kel_outcome outcome)
{
	return outcome == KEL_NO_RECEIPTS || outcome == KEL_NO_DELEGATOR;
}

/* An event that failed for good. Forgiving: nothing more of this identifier. */
static bool reject(struct book *book, struct book_log *log, uint64_t number,
	const struct event *event, enum kel_outcome outcome, const struct err *err)
{
	log->closed = true;
	return refuse(
		book, verdict_on(outcome == KEL_DUPLICITOUS ? VERDICT_DUPLICITOUS : VERDICT_REFUSED,
			      number, event, err->text));
}

static bool try_pending(struct book *book, struct book_log *log, struct pending **link, bool *moved)
{
	struct pending *p = *link;
	struct span attachments = span_of(p->attachments, p->nattachments);
	struct err err = {0};
	enum kel_outcome outcome;
	struct event event;
	uint64_t cut;
	bool go_on = true;

	*moved = false;
	if (!event_parse(span_of(p->body, p->nbody), &event, &err))
		return no_memory(book); /* it was parsed before: cannot be */
	outcome = apply(book, log, &event, attachments, &p->progress, &cut, &err);
	if (waits(outcome) || outcome == KEL_GAP) {
		p->why = outcome;
		snprintf(p->reason, sizeof p->reason, "%s", err.text);
		return true;
	}
	*moved = true;
	*link = p->next;
	if (outcome == KEL_ACCEPTED) {
		if (!accepted(book, log, event.body, attachments, cut))
			go_on = no_memory(book);
	} else if (outcome != KEL_KNOWN) {
		go_on = reject(book, log, p->event, &event, outcome, &err);
	}
	free_pending(p);
	return go_on;
}

/* Lets events go on that waited for what was accepted, until nothing moves. */
static bool settle(struct book *book)
{
	while (book->queue) {
		struct book_log *log = book->queue;
		struct pending **link = &log->waiting;

		book->queue = log->queued;
		log->in_queue = false;
		while (*link) {
			bool moved;

			if (!try_pending(book, log, link, &moved))
				return false;
			/* what it makes possible may stand before it */
			if (moved)
				link = &log->waiting;
			else
				link = &(*link)->next;
		}
	}
	return true;
}

static bool wait_for_more(struct book_log *log, uint64_t number, const struct event *event,
	struct span attachments, const struct kel_progress *progress, enum kel_outcome why,
	const struct err *err)
{
	struct pending *p = calloc(1, sizeof *p), **link = &log->waiting;

	if (!p)
		return false;
	p->event = number;
	p->progress = *progress;
	p->why = why;
	snprintf(p->reason, sizeof p->reason, "%s", err->text);
	if (!append(&p->body, &p->nbody, event->body) ||
		!append(&p->attachments, &p->nattachments, attachments)) {
		free_pending(p);
		return false;
	}
	while (*link)
		link = &(*link)->next;
	*link = p;
	return true;
}

/* Merges receipts that came before the event; *owned is then the caller's to free. */
static bool with_receipts(
	struct book *book, const struct event *event, struct span *attachments, uint8_t **owned)
{
	struct receipt *early = find_node(&book->receipt_tree, event->said);
	size_t n = 0;

	*owned = NULL;
	if (!early)
		return true;
	if (!append(owned, &n, *attachments) || !append(owned, &n, span_of(early->bytes, early->n)))
		return false;
	*attachments = span_of(*owned, n);
	tdelete(early, &book->receipt_tree, compare);
	free(early->bytes);
	free(early);
	return true;
}

static bool take_event(
	struct book *book, uint64_t number, const struct event *event, struct span attachments)
{
	struct book_log *log = open_log(book, event->aid), *delegator;
	struct kel_progress progress = {0};
	enum kel_outcome outcome = KEL_REFUSED;
	uint8_t *owned = NULL;
	struct err err = {0};
	uint64_t cut;
	bool go_on = true;

	if (!log || !with_receipts(book, event, &attachments, &owned)) {
		free(owned);
		return no_memory(book);
	}
	if (log->closed)
		goto out;
	if (log->first == UINT64_MAX && (event->ilk == EVENT_ICP || event->ilk == EVENT_DIP))
		log->first = number;
	if (event->ilk == EVENT_DIP) {
		delegator = open_log(book, event->delegator);
		if (!delegator || !add_delegate(delegator, log)) {
			go_on = no_memory(book);
			goto out;
		}
	}
	outcome = apply(book, log, event, attachments, &progress, &cut, &err);
	if (outcome == KEL_ACCEPTED)
		go_on = accepted(book, log, event->body, attachments, cut) ? settle(book)
									   : no_memory(book);
	else if (waits(outcome) || (outcome == KEL_GAP && log->waiting))
		go_on = wait_for_more(log, number, event, attachments, &progress, outcome, &err) ||
			no_memory(book);
	else if (outcome != KEL_KNOWN)
		go_on = reject(book, log, number, event, outcome, &err);
out:
	free(owned);
	return go_on;
}

static bool take_receipt(struct book *book, const struct event *event, struct span attachments)
{
	struct book_log *log = find_node(&book->log_tree, event->aid);
	struct receipt *early;
	struct event waiting;
	char said[CESR_TEXT];

	for (struct pending *p = log ? log->waiting : NULL; p; p = p->next) {
		if (!event_parse(span_of(p->body, p->nbody), &waiting, NULL) ||
			!span_eq(waiting.said, event->said))
			continue;
		if (!append(&p->attachments, &p->nattachments, attachments))
			return no_memory(book);
		enqueue(book, log);
		return settle(book);
	}
	if (log && kel_said(&log->kel, event->sn, said) && span_is(event->said, said))
		return true; /* accepted already: no effect */
	early = find_node(&book->receipt_tree, event->said);
	if (!early) {
		early = calloc(1, sizeof *early);
		if (!early)
			return no_memory(book);
		span_copy(event->said, early->said, sizeof early->said);
		if (!tsearch(early, &book->receipt_tree, compare)) {
			free(early);
			return no_memory(book);
		}
	}
	return append(&early->bytes, &early->n, attachments) || no_memory(book);
}

static bool take_body(struct book *book, const char *said, bool acdc, struct span bytes)
{
	struct book_body *body;

	if (!book->keep || find_node(&book->body_tree, span_str(said)))
		return true;
	body = calloc(1, sizeof *body);
	if (!body || !append(&body->bytes, &body->n, bytes)) {
		free(body);
		return no_memory(book);
	}
	body->acdc = acdc;
	memcpy(body->said, said, sizeof body->said);
	if (tsearch(body, &book->body_tree, compare))
		return true;
	free(body->bytes);
	free(body);
	return no_memory(book);
}

static bool take_message(struct book *book, uint64_t number, const struct cesr_message *message)
{
	char said[CESR_TEXT];
	struct err err = {0};
	struct event event;

	if (message->acdc) {
		if (!card_check_said(message->body, said, &err))
			return refuse(book, verdict_on(VERDICT_REFUSED, number, NULL, err.text));
		return take_body(book, said, true, message->body);
	}
	if (!event_parse(message->body, &event, &err))
		return refuse(book, verdict_on(VERDICT_REFUSED, number, &event, err.text));
	if (event.ilk == EVENT_RCT)
		return take_receipt(book, &event, message->attachments);
	if (event.ilk > EVENT_RCT) {
		span_copy(event.said, said, sizeof said);
		return take_body(book, said, false, message->body);
	}
	return take_event(book, number, &event, message->attachments);
}

/* ---- a stream ---- */

/* The end of the input: whatever still waits is not accepted. */
static void give_up_waiting(struct book *book)
{
	const struct pending *first = first_waiting(book);

	if (first && !book->forgiving && !book->failed)
		refuse(book, verdict_on_pending(first));
	for (size_t i = 0; i < book->nlogs; i++) {
		struct book_log *log = book->logs[i];

		if (log->waiting && book->forgiving && !log->closed)
			refuse(book, verdict_on_pending(log->waiting));
		log->closed = false;
		while (log->waiting) {
			struct pending *p = log->waiting;

			log->waiting = p->next;
			free_pending(p);
		}
	}
}

static void read_messages(struct book *book, struct span stream)
{
	size_t whole = stream.n;
	struct cesr_message message;
	struct err err = {0};

	for (;; book->events++) {
		struct event event = {.sn = UINT64_MAX};
		enum cesr_step step = cesr_message(&stream, &message, &err);

		if (step == CESR_END && book->events > 0)
			return;
		if (step != CESR_ITEM) {
			if (message.body.n && !message.acdc)
				event_parse(message.body, &event, NULL);
			refuse(book, verdict_on(step == CESR_TRUNCATED ? VERDICT_TRUNCATED
								       : VERDICT_REFUSED,
					     book->events, &event,
					     step == CESR_END ? "empty" : err.text));
			return;
		}
		book->valid = whole - stream.n;
		if (!take_message(book, book->events, &message))
			return;
	}
}

void book_read(struct book *book, struct span stream)
{
	book->valid = 0;
	read_messages(book, stream);
}

bool book_finish(struct book *book)
{
	bool complete;

	give_up_waiting(book);
	complete = !book->failed;
	book->failed = false;
	book->events = 0;
	while (book->queue) {
		book->queue->in_queue = false;
		book->queue = book->queue->queued;
	}
	return complete;
}

const struct kel *book_kel(const struct book *book, const char *aid)
{
	struct book_log *log = book_log(book, aid);

	return log && log->kel.count ? &log->kel : NULL;
}

struct book_body *book_body(const struct book *book, const char *said)
{
	return find_node(&book->body_tree, span_str(said));
}

static void free_node(void *node)
{
	struct book_body *body = node;

	free(body->bytes);
	free(body);
}

static void free_receipt(void *node)
{
	struct receipt *receipt = node;

	free(receipt->bytes);
	free(receipt);
}

static void keep_node(void *node)
{
	(void)node; /* the logs are in the list, too */
}

void book_free(struct book *book)
{
	book->report = NULL;
	book_finish(book);
	tdestroy(book->log_tree, keep_node);
	tdestroy(book->body_tree, free_node);
	tdestroy(book->receipt_tree, free_receipt);
	for (size_t i = 0; i < book->nlogs; i++) {
		kel_free(&book->logs[i]->kel);
		free(book->logs[i]->delegates);
		free(book->logs[i]->fresh);
		free(book->logs[i]);
	}
	free(book->logs);
	*book = (struct book){0};
}
