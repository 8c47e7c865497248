/* book.c: verifies what arrives in any order; see book.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "book.h"
#include "card.h"
#include "event.h"
#include "tree.h"

_Static_assert(offsetof(struct book_log, kel.aid) == 0, "a log starts with its key");
_Static_assert(offsetof(struct book_body, said) == 0, "a body starts with its key");

/* How often an event may be accepted anew: each time costs all of it, and the recovery and the new anchor
 * that bring it about may be short. */
#define REOPENED_MAX 8

static bool append(uint8_t **buf, size_t *n, struct span more) {
	return array_bytes(buf, n, more.p, more.n);
}

/* ---- verdicts ---- */

static struct verdict verdict_on(
	enum verdict_kind kind, uint64_t event, const struct event *ev, const char *reason) {
	struct verdict v = {.kind = kind, .event = event, .sn = ev ? ev->sn : UINT64_MAX};

	if (ev)
		span_copy(ev->aid, v.aid, sizeof v.aid);
	snprintf(v.reason, sizeof v.reason, "%s", reason);
	return v;
}

static struct verdict verdict_on_pending(const struct pending *p) {
	return verdict_on(p->why == KEL_NO_RECEIPTS ? VERDICT_UNDERWITNESSED : VERDICT_REFUSED, p->number,
		&p->event, p->reason);
}

static const struct pending *first_waiting(const struct book *book) {
	const struct pending *p, *found = NULL;

	for (size_t i = 0; i < book->nlogs; i++) {
		p = pending_first(&book->logs[i]->waiting);
		if (p && (!found || p->number < found->number))
			found = p;
	}
	return found;
}

/* Returns false: strict input stops here. */
static bool refuse(struct book *book, struct verdict verdict) {
	const struct pending *earlier = book->forgiving ? NULL : first_waiting(book);
	struct verdict other;

	if (earlier && earlier->number < verdict.event) {
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

static bool no_memory(struct book *book) {
	book->starved = true;
	book->forgiving = false;
	return refuse(book, verdict_on(VERDICT_REFUSED, book->events, NULL, "out of memory"));
}

/* ---- logs ---- */

struct book_log *book_log(const struct book *book, const char *aid) {
	return tree_find(&book->log_tree, span_str(aid));
}

/* Brings back the events of a log that rests. What waits is left as it is. */
static void rouse(struct book *book, struct book_log *log) {
	struct book outer = *book;
	char aid[CESR_TEXT];

	if (!log || !log->resting)
		return;
	memcpy(aid, log->kel.aid, sizeof aid);
	kel_free(&log->kel);
	memcpy(log->kel.aid, aid, sizeof aid);
	log->resting = false;
	book->forgiving = true;
	book->record = false;
	book->progress = NULL;
	book->window = outer.inner;
	book->inner = NULL;
	book->waking = true;
	book->wake(book->waker, log);
	free(book->inner);
	book->inner = book->window;
	book->window = outer.window;
	book->forgiving = outer.forgiving;
	book->record = outer.record;
	book->trusted = outer.trusted;
	book->report = outer.report;
	book->progress = outer.progress;
	book->ctx = outer.ctx;
	book->events = outer.events;
	book->failed = outer.failed;
	book->waking = outer.waking;
}

static struct book_log *find_log(struct book *book, struct span aid) {
	if (!book->last || !span_is(aid, book->last->kel.aid))
		book->last = tree_find(&book->log_tree, aid);
	return book->last;
}

/* Finds the log or makes an empty one. */
static struct book_log *open_log(struct book *book, struct span aid) {
	struct book_log *log = find_log(book, aid);

	if (log)
		return log;
	log = calloc(1, sizeof *log);
	if (!log)
		return NULL;
	log->first = UINT64_MAX;
	span_copy(aid, log->kel.aid, sizeof log->kel.aid);
	if (!array_append(&book->logs, &book->nlogs, &log, sizeof log)) {
		free(log);
		return NULL;
	}
	if (tree_add(&book->log_tree, log))
		return log;
	book->nlogs--;
	free(log);
	return NULL;
}

/* ---- delegation ---- */

/* Remembers what the acceptance of a delegated event hangs on. */
static bool note_delegation(
	struct book *book, struct book_log *log, uint64_t number, const struct event *event) {
	const struct kel_est *est = kel_est_at(&log->kel, event->sn);
	struct book_log *delegator;

	if (!est || !est->anchor[0])
		return true;
	delegator = book_log(book, log->kel.delegator);
	if (delegator)
		delegator->delegates = true;
	return delegation_add(&book->waiting, est->anchor, log, event->sn, number);
}

/* The delegated events that the event at sn seals wait again, for another anchor; their logs join
 * the list of those to cut. */
static bool cut_delegates(struct book *book, struct book_log *log, uint64_t sn, struct book_log **list) {
	struct delegation *d;
	struct slip *slip;
	char said[CESR_TEXT];
	bool good = true;

	kel_said(&log->kel, sn, said);
	slip = slip_find(&book->waiting, span_str(said));
	while (slip && (d = slip->delegations)) {
		struct book_log *other = d->log;
		const struct kel_est *est = kel_est_at(&other->kel, d->sn);
		struct pending *p;

		slip->delegations = d->next;
		if (est && strcmp(est->anchor, said) == 0 && !(other->in_cut && other->cut <= d->sn)) {
			p = pending_add(&book->waiting, &other->waiting, other, d->number, &est->ev,
				span_of(NULL, 0));
			book->unsettled = true;
			good = good && p &&
			       pending_wait(&book->waiting, p, KEL_NO_DELEGATOR,
				       "the delegator's event that sealed it was superseded");
			if (p)
				p->slip->reopened++;
			other->cut = d->sn;
			if (!other->in_cut) {
				other->in_cut = true;
				other->next_cut = *list;
				*list = other;
			}
		}
		free(d);
	}
	return good;
}

/* A recovery of a log takes back its events from sn on, the delegated events of other logs that
 * these sealed, and so on. */
static bool cut(struct book *book, struct book_log *recovered, uint64_t sn) {
	struct book_log *log, *list = recovered;
	bool good = true;

	recovered->cut = sn;
	recovered->next_cut = NULL;
	while ((log = list)) {
		list = log->next_cut;
		log->in_cut = false;
		for (uint64_t i = log->cut; i < log->kel.count; i++)
			good = cut_delegates(book, log, i, &list) && good;
		if (log == recovered)
			good = kel_supersede(&log->kel, log->cut) && good;
		else
			kel_rollback(&log->kel, log->cut);
	}
	return good;
}

/* ---- events ---- */

static enum kel_outcome apply(struct book *book, struct book_log *log, const struct event *event,
	struct span attachments, struct kel_progress *progress, struct err *err) {
	struct span name = event->ilk == EVENT_DIP ? event->delegator : span_str(log->kel.delegator);
	struct book_log *other = tree_find(&book->log_tree, name);
	const struct kel *delegator = other ? &other->kel : NULL;
	struct slip *prior = slip_find(&book->waiting, event->prior);
	enum kel_outcome outcome;

	if (prior && prior->event && prior->event->log == log) {
		err_set(err, ERR_NO, "the event before it waits");
		return KEL_GAP;
	}
	if (log->frozen && !kel_knows(&log->kel, event)) {
		err_set(err, ERR_NO, "frozen by duplicity; see verimesh import --resolve");
		return KEL_REFUSED;
	}
	outcome = kel_apply(&log->kel, event, attachments, delegator, progress, err);
	if (outcome != KEL_RECOVERS)
		return outcome;
	if (cut(book, log, event->sn))
		return kel_apply(&log->kel, event, attachments, delegator, progress, err);
	err_set(err, ERR_ENV, "out of memory");
	return KEL_REFUSED;
}

/* Keeps an accepted message for the store and lets what waited for it go on. */
static bool accepted(struct book *book, struct book_log *log, uint64_t number, const struct event *event,
	struct span attachments) {
	struct slip *slip = slip_find(&book->waiting, event->said);

	if (slip)
		slip_wake(&book->waiting, slip);
	return note_delegation(book, log, number, event) &&
	       (!book->record || (append(&log->fresh, &log->nfresh, event->body) &&
					 append(&log->fresh, &log->nfresh, attachments)));
}

static bool waits(enum kel_outcome outcome) {
	return outcome == KEL_NO_RECEIPTS || outcome == KEL_NO_DELEGATOR;
}

/* An event that failed for good. Forgiving: nothing more of this identifier. But who holds a log without
 * what its recovery superseded meets that in every whole copy; and whoever once had an old key can still
 * make more of it. So such a one is told, and neither freezes nor keeps from taking what follows. */
static bool reject(struct book *book, struct book_log *log, uint64_t number, const struct event *event,
	struct span attachments, enum kel_outcome outcome, const struct err *err) {
	bool late;

	if (err->status == ERR_ENV)
		return no_memory(book);
	late = kel_late(&log->kel, event, outcome == KEL_DUPLICITOUS);
	log->closed = !late;
	book->unsettled = true;
	if (outcome == KEL_DUPLICITOUS && book->record && !late) {
		log->frozen = true;
		if (!append(&log->evidence, &log->nevidence, event->body) ||
			!append(&log->evidence, &log->nevidence, attachments))
			return no_memory(book);
	}
	return refuse(book, verdict_on(outcome == KEL_DUPLICITOUS ? VERDICT_DUPLICITOUS : VERDICT_REFUSED,
				    number, event, err->text));
}

static const struct signatures verified_before = {.trusted = true};

static bool try_pending(struct book *book, struct pending *p) {
	struct span attachments = span_of(p->attachments, p->nattachments);
	enum kel_outcome outcome = KEL_REFUSED;
	struct err err = {0};
	bool go_on = true;

	pending_leave(p);
	if (p->log->closed)
		return true;
	if (p->slip->reopened <= REOPENED_MAX)
		outcome = apply(book, p->log, &p->event, attachments, &p->progress, &err);
	else
		err_set(&err, ERR_NO, "anchored anew too often");
	if (waits(outcome) || outcome == KEL_GAP)
		return pending_wait(&book->waiting, p, outcome, err.text) || no_memory(book);
	if (outcome == KEL_ACCEPTED)
		go_on = accepted(book, p->log, p->number, &p->event, attachments) || no_memory(book);
	else if (outcome != KEL_KNOWN)
		go_on = reject(book, p->log, p->number, &p->event, attachments, outcome, &err);
	pending_free(p);
	return go_on;
}

/* Tries what is ready until nothing moves. */
static bool settle(struct book *book) {
	struct pending *p;

	/* what waits belongs to the stream that is being read, not to the log that is woken meanwhile */
	while (!book->waking && (p = LIST_FIRST(&book->waiting.ready)))
		if (!try_pending(book, p))
			return false;
	return true;
}

/* More attachments for an event that waits. */
static bool add_attachments(struct book *book, struct pending *p, struct span attachments) {
	if (!pending_attach(&book->waiting, p, attachments))
		return no_memory(book);
	if (!book->trusted)
		p->progress.known = NULL;
	return settle(book);
}

/* Merges receipts that came before the event; *owned is then the caller's to free. */
static bool with_receipts(struct slip *slip, struct span *attachments, uint8_t **owned) {
	size_t n = 0;

	*owned = NULL;
	if (!slip || !slip->receipts)
		return true;
	if (!append(owned, &n, *attachments) || !append(owned, &n, span_of(slip->receipts, slip->nreceipts)))
		return false;
	*attachments = span_of(*owned, n);
	free(slip->receipts);
	slip->receipts = NULL;
	slip->nreceipts = 0;
	return true;
}

/* An event that is not waiting. */
static bool take_new_event(struct book *book, struct book_log *log, uint64_t number,
	const struct event *event, struct span attachments, const struct signatures *checked) {
	struct kel_progress progress = {.known = checked};
	enum kel_outcome outcome;
	struct pending *p;
	struct err err = {0};

	outcome = apply(book, log, event, attachments, &progress, &err);
	if (waits(outcome) || (outcome == KEL_GAP && !LIST_EMPTY(&log->waiting))) {
		p = pending_add(&book->waiting, &log->waiting, log, number, event, attachments);
		book->unsettled = true;
		if (!p) {
			kel_progress_free(&progress);
			return no_memory(book);
		}
		p->progress = progress;
		if (checked != &verified_before)
			p->progress.known = NULL; /* it will be gone */
		return pending_wait(&book->waiting, p, outcome, err.text) || no_memory(book);
	}
	kel_progress_free(&progress);
	log->shown = log->shown || outcome == KEL_ACCEPTED || outcome == KEL_KNOWN;
	if (outcome == KEL_ACCEPTED)
		return accepted(book, log, number, event, attachments) ? settle(book) : no_memory(book);
	return outcome == KEL_KNOWN || reject(book, log, number, event, attachments, outcome, &err);
}

static bool take_event(struct book *book, uint64_t number, const struct event *event,
	struct span attachments, const struct signatures *checked) {
	struct book_log *log = open_log(book, event->aid);
	struct slip *slip = slip_find(&book->waiting, event->said);
	uint8_t *owned = NULL;
	bool go_on;

	if (!log)
		return no_memory(book);
	rouse(book, log);
	if (event->ilk == EVENT_DIP)
		rouse(book, tree_find(&book->log_tree, event->delegator));
	if (!settle(book))
		return false;
	if (log->closed)
		return true;
	if (log->first == UINT64_MAX && (event->ilk == EVENT_ICP || event->ilk == EVENT_DIP))
		log->first = number;
	if (slip && slip->event)
		return add_attachments(book, slip->event, attachments);
	if (book->trusted && !(slip && slip->receipts))
		checked = &verified_before;
	go_on = with_receipts(slip, &attachments, &owned)
			? take_new_event(book, log, number, event, attachments, checked)
			: no_memory(book);
	free(owned);
	return go_on;
}

static bool take_receipt(struct book *book, const struct event *event, struct span attachments) {
	struct book_log *log = tree_find(&book->log_tree, event->aid);
	struct slip *slip;
	char said[CESR_TEXT];

	rouse(book, log);
	if (log && kel_said(&log->kel, event->sn, said) && span_is(event->said, said))
		return true; /* accepted already: no effect */
	slip = slip_open(&book->waiting, event->said);
	if (!slip)
		return no_memory(book);
	if (slip->event)
		return add_attachments(book, slip->event, attachments);
	return append(&slip->receipts, &slip->nreceipts, attachments) || no_memory(book);
}

struct book_body *book_put_body(struct book *book, const char *said, bool acdc, struct span bytes) {
	struct book_body *body = calloc(1, sizeof *body);

	if (!body || !append(&body->bytes, &body->n, bytes)) {
		free(body);
		return NULL;
	}
	body->acdc = acdc;
	memcpy(body->said, said, sizeof body->said);
	if (tree_add(&book->body_tree, body))
		return body;
	free(body->bytes);
	free(body);
	return NULL;
}

bool book_note_stored(struct book_log *log, struct book_body *body) {
	body->stored = true;
	return array_append(&log->bodies, &log->nbodies, &body, sizeof body);
}

static bool take_body(struct book *book, const char *said, bool acdc, struct span bytes) {
	struct book_body *body = book_body(book, said);

	if (!book->keep)
		return true;
	if (!body)
		body = book_put_body(book, said, acdc, bytes);
	return (body && (!book->file || book_note_stored(book->file, body))) || no_memory(book);
}

/* last: the stream ends behind it. */
static bool take_message(struct book *book, uint64_t number, const struct window_message *in, bool last) {
	const struct cesr_message *message = &in->message;
	const struct event *event = &in->event;
	struct book_log *log;
	struct event unread;
	char said[CESR_TEXT];
	struct err err = {0};

	if (message->acdc) {
		if (!card_check_said(message->body, said, &err))
			return refuse(book, verdict_on(VERDICT_REFUSED, number, NULL, err.text));
		return take_body(book, said, true, message->body);
	}
	if (!in->parsed) {
		event_parse(message->body, &unread, &err);
		event = &unread;
	}
	if (book->file && event->ilk <= EVENT_RCT && !span_is(event->aid, book->file->kel.aid))
		return refuse(book, verdict_on(VERDICT_REFUSED, number, NULL, "an event of another log"));
	if (!in->parsed) {
		log = tree_find(&book->log_tree, event->aid);
		if (log)
			log->closed = book->unsettled = true;
		return refuse(book, verdict_on(VERDICT_REFUSED, number, event, err.text));
	}
	if (event->ilk == EVENT_RCT)
		return take_receipt(book, event, message->attachments);
	if (event->ilk > EVENT_RCT) {
		span_copy(event->said, said, sizeof said);
		return take_body(book, said, false, message->body);
	}
	if (last && message->attachments.n == 0)
		return refuse(
			book, verdict_on(VERDICT_TRUNCATED, number, event, "ends before its signatures"));
	return take_event(book, number, event, message->attachments, &in->checked);
}

/* ---- a stream ---- */

/* The end of the input: whatever still waits is not accepted. */
static void give_up_waiting(struct book *book) {
	const struct pending *first;

	if (!book->unsettled)
		return; /* of many streams most are good: the logs need not be looked through for each */
	book->unsettled = false;
	first = first_waiting(book);
	if (first && !book->forgiving && !book->failed)
		refuse(book, verdict_on_pending(first));
	for (size_t i = 0; i < book->nlogs; i++) {
		struct book_log *log = book->logs[i];

		first = pending_first(&log->waiting);
		if (first && book->forgiving && !log->closed)
			refuse(book, verdict_on_pending(first));
		log->closed = false;
		for (struct pending *p = LIST_FIRST(&log->waiting), *next; p; p = next) {
			next = LIST_NEXT(p, place);
			pending_free(p);
		}
	}
}

/* The log that rests of which a stream's next message is the inception; its fields stand at fixed places
 * (facts/keri.md, Messages). */
static struct book_log *find_resting(const struct book *book, struct span stream) {
	struct book_log *log = NULL;

	if (book->wake && span_eq(span_cut(stream, 23, 17), span_str("\",\"t\":\"icp\",\"d\":\"")) &&
		span_eq(span_cut(stream, 84, 7), span_str("\",\"i\":\"")))
		log = tree_find(&book->log_tree, span_cut(stream, 91, CESR_CHARS));
	return log && log->resting ? log : NULL;
}

/* See window.h. */
static bool may_be_skipped(void *ctx, struct span stream) {
	return find_resting(ctx, stream);
}

/* Skips a log that is, byte by byte, what its file has. */
static bool skip_known(struct book *book, struct span *stream, bool last) {
	struct book_log *log = find_resting(book, *stream);
	struct span rest = span_from(*stream, log ? log->file.size : 0);
	char digest[CESR_TEXT];

	/* the last message must end there, too, and not go on with more signatures */
	if (!log || stream->n < log->file.size || !(rest.n ? rest.p[0] == '{' : last))
		return false;
	cesr_digest(span_cut(*stream, 0, log->file.size), digest);
	if (strcmp(digest, log->file.digest) != 0)
		return false;
	log->shown = true;
	*stream = rest;
	book->events += log->file.messages;
	return true;
}

/* See window.h: of an event that is known, or comes too late, nobody will ask for the signatures. */
static bool is_wanted(void *ctx, const struct event *event, const struct kel **kel) {
	struct book *book = ctx;
	struct book_log *log = find_log(book, event->aid);

	if (book->window->crew.cores == 1)
		return false; /* they may as well be checked in turn */
	rouse(book, log);
	*kel = log ? &log->kel : NULL;
	return !book->trusted && !(log && (log->closed || log->frozen || kel_knows(&log->kel, event)));
}

bool book_read_part(struct book *book, struct span *part, bool last) {
	const struct window_reader reader = {book, may_be_skipped, is_wanted};
	struct event event = {.sn = UINT64_MAX};
	enum cesr_step step = CESR_ITEM;
	struct cesr_message bad;
	struct err err = {0};

	if (!book->window)
		book->window = calloc(1, sizeof *book->window);
	if (!book->window)
		return no_memory(book);
	while (step == CESR_ITEM) {
		const struct window *window = book->window;

		while (skip_known(book, part, last))
			continue;
		step = window_fill(book->window, part, last, &reader, &bad, &err);
		for (size_t i = 0; i < window->n; i++, book->events++)
			if (!take_message(book, book->events, &window->list[i],
				    last && part->n == 0 && i + 1 == window->n))
				return false;
		if (book->progress)
			book->progress(book->ctx, book->events);
	}
	if (!last && (step == CESR_END || step == CESR_TRUNCATED))
		return true;
	if (step == CESR_END && book->events > 0)
		return true;
	if (bad.body.n && !bad.acdc && !book->file)
		event_parse(bad.body, &event, NULL);
	refuse(book, verdict_on(step == CESR_TRUNCATED ? VERDICT_TRUNCATED : VERDICT_REFUSED, book->events,
			     &event, step == CESR_END ? "empty" : err.text));
	return false;
}

void book_read(struct book *book, struct span stream) {
	book_read_part(book, &stream, true);
}

uint64_t book_read_file(struct book *book, const char *aid, struct span file, size_t verified) {
	const struct book outer = *book;
	struct span part = span_cut(file, 0, verified);

	book->events = 0;
	book->file = open_log(book, span_str(aid));
	if (!book->file) {
		no_memory(book);
		return 0;
	}
	book->trusted = true;
	if (part.n == 0 || book_read_part(book, &part, verified == file.n)) {
		book->trusted = false;
		if (file.n > verified)
			book_read(book, span_from(file, verified - part.n));
	}
	book->trusted = outer.trusted;
	book->file = outer.file;
	return book->events;
}

bool book_finish(struct book *book) {
	bool complete;

	give_up_waiting(book);
	complete = !book->failed;
	book->failed = false;
	book->events = 0;
	return complete;
}

const struct kel *book_kel(const struct book *book, const char *aid) {
	struct book_log *log = book_log(book, aid);

	return log && log->kel.count && !log->damaged ? &log->kel : NULL;
}

const struct kel *book_awake(struct book *book, const char *aid) {
	rouse(book, book_log(book, aid));
	return book_kel(book, aid);
}

struct book_log *book_open(struct book *book, const char *aid) {
	return open_log(book, span_str(aid));
}

struct book_log *book_rest(
	struct book *book, const char *aid, uint64_t count, struct seal *seals, size_t nseals) {
	struct book_log *log = open_log(book, span_str(aid));

	if (!log)
		return NULL;
	log->kel.count = count;
	log->kel.seals = seals;
	log->kel.nseals = nseals;
	log->resting = true;
	return log;
}

struct book_body *book_body(const struct book *book, const char *said) {
	return tree_find(&book->body_tree, span_str(said));
}

/* A body of this kind that was read, now or before, and is good. */
static const struct book_body *read_body(const struct book *book, const char *said, bool acdc) {
	struct book_body *body = book_body(book, said);
	struct span bytes;

	if (!body || body->acdc != acdc)
		return NULL;
	bytes = span_of(body->bytes, body->n);
	if (body->state == BODY_UNREAD)
		body->state = (acdc ? card_parse(bytes, &body->card, NULL)
				    : event_parse(bytes, &body->event, NULL))
				      ? BODY_READ
				      : BODY_BAD;
	return body->state == BODY_READ ? body : NULL;
}

const struct card *book_card(const struct book *book, const char *said) {
	const struct book_body *body = read_body(book, said, true);

	return body ? &body->card : NULL;
}

const struct event *book_event(const struct book *book, const char *said) {
	const struct book_body *body = read_body(book, said, false);

	return body ? &body->event : NULL;
}

static void free_node(void *node) {
	struct book_body *body = node;

	free(body->bytes);
	free(body);
}

static void keep_node(void *node) {
	(void)node; /* the logs are in the list, too */
}

void book_free(struct book *book) {
	book->report = NULL;
	book_finish(book);
	tdestroy(book->log_tree, keep_node);
	tdestroy(book->body_tree, free_node);
	waiting_free(&book->waiting);
	for (size_t i = 0; i < book->nlogs; i++) {
		kel_free(&book->logs[i]->kel);
		free(book->logs[i]->fresh);
		free(book->logs[i]->evidence);
		free(book->logs[i]->bodies);
		free(book->logs[i]);
	}
	free(book->logs);
	free(book->window);
	free(book->inner);
	*book = (struct book){0};
}
