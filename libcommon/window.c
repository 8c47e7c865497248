/* window.c: reads ahead in a stream; see window.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "window.h"

/* What follows these on one event waits for its turn: a few wrong ones may end it (kel.c). */
#define AHEAD_MAX 64

static bool is_est(const struct event *event) {
	return event->ilk < EVENT_IXN;
}

/* The last establishment event among the first n messages that is the identifier's; NULL: none. */
static const struct event *find_est(const struct window *window, size_t n, struct span aid, size_t *at) {
	while (n-- > 0) {
		const struct window_message *m = &window->list[n];

		if (m->parsed && is_est(&m->event) && span_eq(m->event.aid, aid)) {
			*at = n;
			return &m->event;
		}
	}
	return NULL;
}

static bool is_empty(struct span list) {
	struct span text;

	return !event_next_text(&list, &text);
}

/* A list may be longer than any that is accepted, and is walked for each signature. */
static bool decode_at(struct span list, size_t index, char code, uint8_t raw[static CESR_RAW]) {
	struct span text;

	if (index >= KEL_LIST_MAX)
		return false;
	do
		if (!event_next_text(&list, &text))
			return false;
	while (index-- > 0);
	return cesr_decode(text, code, raw) ||
	       (code == CESR_ED25519 && cesr_decode(text, CESR_ED25519N, raw));
}

/* What the signatures of message number `at` are checked with. */
struct guess {
	const struct event *keys, *witnesses; /* the events that list them, or else the log */
	const struct kel_est *force;
};

static struct guess make_guess(const struct window *window, size_t at, const struct kel *kel) {
	struct span aid = window->list[at].event.aid;
	struct guess guess = {.force = kel ? kel_current(kel) : NULL};

	guess.keys = find_est(window, at + 1, aid, &at);
	guess.witnesses = guess.keys;
	while (guess.witnesses && guess.witnesses->ilk > EVENT_DIP && is_empty(guess.witnesses->cuts) &&
		is_empty(guess.witnesses->witnesses))
		guess.witnesses = find_est(window, at, aid, &at);
	return guess;
}

static bool guess_key(
	const struct guess *guess, const struct cesr_item *item, uint8_t raw[static CESR_RAW]) {
	const struct kel_est *force = guess->force;
	bool known = true;

	if (item->kind == CESR_COUPLE)
		memcpy(raw, item->key, CESR_RAW);
	else if (item->kind == CESR_CONTROLLER_SIG && guess->keys)
		return decode_at(guess->keys->keys, item->index, CESR_ED25519, raw);
	else if (item->kind == CESR_WITNESS_SIG && guess->witnesses)
		return guess->witnesses->ilk <= EVENT_DIP &&
		       decode_at(guess->witnesses->witnesses, item->index, CESR_ED25519N, raw);
	else if (item->kind == CESR_CONTROLLER_SIG && force && item->index < force->nkeys)
		memcpy(raw, force->keys[item->index].raw, CESR_RAW);
	else if (item->kind == CESR_WITNESS_SIG && force && item->index < force->nwitnesses)
		memcpy(raw, force->witnesses[item->index], CESR_RAW);
	else
		known = false;
	return known;
}

static void check_ahead(struct window *window, size_t at, const struct kel *kel) {
	struct window_message *m = &window->list[at];
	struct guess guess = make_guess(window, at, kel);
	struct crew *crew = &window->crew;
	struct cesr_reader reader;
	struct cesr_item item;
	uint8_t key[CESR_RAW];

	m->checked.list = &crew->list[crew->n];
	cesr_reader_init(&reader, m->message.attachments);
	for (int i = 0; i < AHEAD_MAX && crew->n < CREW_MAX && cesr_next(&reader, &item, NULL) == CESR_ITEM;
		i++)
		if (guess_key(&guess, &item, key)) {
			crew_add(crew, item.sig, m->event.body, key);
			m->checked.n++;
		}
}

static enum cesr_step read_one(struct window_message *m, struct span *stream, bool last, struct err *err) {
	struct span rest = *stream;
	enum cesr_step step = cesr_message(&rest, &m->message, err);

	if (step == CESR_ITEM && rest.n == 0 && !last)
		return CESR_TRUNCATED; /* more attachments may follow */
	if (step == CESR_ITEM) {
		*stream = rest;
		m->parsed = !m->message.acdc && event_parse(m->message.body, &m->event, NULL);
		m->checked = (struct signatures){0};
	}
	return step;
}

enum cesr_step window_fill(struct window *window, struct span *stream, bool last,
	const struct window_reader *reader, struct cesr_message *bad, struct err *err) {
	enum cesr_step step = CESR_ITEM;
	const struct kel *kel;

	window->n = 0;
	crew_begin(&window->crew);
	while (window->n < WINDOW_MAX && window->crew.n < CREW_MAX) {
		struct window_message *m = &window->list[window->n];

		if (window->n && reader->stops(reader->ctx, *stream))
			break;
		step = read_one(m, stream, last, err);
		if (step != CESR_ITEM) {
			*bad = m->message;
			break;
		}
		if (m->parsed && m->event.ilk <= EVENT_IXN && reader->wants(reader->ctx, &m->event, &kel))
			check_ahead(window, window->n, kel);
		window->n++;
	}
	crew_end(&window->crew);
	return step;
}
