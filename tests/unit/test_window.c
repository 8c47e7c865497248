/* test_window.c: what is read ahead of a stream, and which signatures are checked ahead. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <sodium.h>
#include <cmocka.h>

#include "book.h"
#include "builder.h"
#include "bytes.h"
#include "vectors.h"
#include "window.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DIGEST "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi"

static struct window window; /* too large for a stack */

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* ---- filling ---- */

/* Ends the window where the stream starts with it; NULL: nowhere. */
static const char *stop;

static bool stops(void *ctx, struct span stream) {
	(void)ctx;
	return stop && span_starts(stream, stop);
}

/* All is wanted, as of the log of its identifier in the book that ctx is; nothing without a book. */
static bool wants(void *ctx, const struct event *event, const struct kel **kel) {
	struct book_log *log;
	char aid[CESR_TEXT];

	span_copy(event->aid, aid, sizeof aid);
	log = ctx ? book_log(ctx, aid) : NULL;
	*kel = log ? &log->kel : NULL;
	return ctx;
}

static enum cesr_step fill(
	struct span *stream, bool last, struct book *book, struct cesr_message *bad, struct err *err) {
	return window_fill(&window, stream, last, &(struct window_reader){book, stops, wants}, bad, err);
}

static void expect_span(struct span a, struct span b) {
	assert_ptr_equal(a.p, b.p);
	assert_int_equal(a.n, b.n);
}

static void expect_message(const struct window_message *m, const struct cesr_message *message) {
	struct event event;
	bool parsed = !message->acdc && event_parse(message->body, &event, NULL);

	expect_span(m->message.body, message->body);
	expect_span(m->message.attachments, message->attachments);
	assert_int_equal(m->message.acdc, message->acdc);
	assert_int_equal(m->parsed, parsed);
	assert_int_equal(m->checked.n, 0);
	assert_false(m->checked.trusted);
	if (!parsed)
		return;
	assert_int_equal(m->event.ilk, event.ilk);
	assert_true(m->event.sn == event.sn);
	expect_span(m->event.body, event.body);
	expect_span(m->event.said, event.said);
	expect_span(m->event.aid, event.aid);
	expect_span(m->event.prior, event.prior);
	expect_span(m->event.keys, event.keys);
	expect_span(m->event.witnesses, event.witnesses);
}

/* Message for message as cesr_message and event_parse, to the same end. */
static void expect_cut(const char *name, struct span stream) {
	struct cesr_message message, bad;
	struct err err = {0}, other = {0};
	struct span rest = stream;
	enum cesr_step step, wants;

	(void)name;
	do {
		step = fill(&stream, true, NULL, &bad, &err);
		for (size_t i = 0; i < window.n; i++) {
			assert_int_equal(cesr_message(&rest, &message, NULL), CESR_ITEM);
			expect_message(&window.list[i], &message);
		}
		expect_span(stream, rest);
		assert_true(step != CESR_ITEM || window.n == WINDOW_MAX);
	} while (step == CESR_ITEM);
	wants = cesr_message(&rest, &message, &other);
	assert_int_equal(step, wants);
	expect_span(bad.body, message.body);
	assert_int_equal(bad.acdc, message.acdc);
	assert_string_equal(err.text, other.text);
}

static void it_cuts_and_parses_as_one_by_one(void **state) {
	struct id id = {.name = "one"};
	struct text stream = {0};

	(void)state;
	assert_true(each_vector(expect_cut) > 50);
	/* more than a window holds */
	say(&stream, &id, draft_icp(&id));
	for (int i = 0; i < 2 * WINDOW_MAX; i++)
		say(&stream, &id, draft_ixn(&id, "[]"));
	expect_cut("long", text_span(&stream));
	text_add(&stream, "x");
	expect_cut("bad in the end", text_span(&stream));
	text_free(&stream);
}

/* What stands at the end of a part may have more signatures behind it. */
static void a_message_that_may_go_on_is_left(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1};
	struct text stream = {0};
	struct cesr_message bad;
	size_t ends[4] = {0};

	(void)state;
	for (size_t i = 1; i < COUNT(ends); i++) {
		say(&stream, &id, i == 1 ? draft_icp(&id) : draft_ixn(&id, "[]"));
		ends[i] = stream.n;
	}
	for (size_t n = 0; n <= stream.n; n++) {
		struct span exact = bytes_copy(stream.p, n), part = exact;
		enum cesr_step step = fill(&part, false, NULL, &bad, NULL);
		size_t whole = 0;

		while (whole + 1 < COUNT(ends) && ends[whole + 1] < n)
			whole++;
		assert_int_equal(window.n, whole);
		assert_int_equal(step, n ? CESR_TRUNCATED : CESR_END);
		assert_int_equal(part.n, n - ends[whole]);
		bytes_free(exact);
	}
	text_free(&stream);
}

/* The first message of a window is read, whatever it is. */
static void it_ends_where_its_reader_stops(void **state) {
	struct id id = {.name = "one"}, other = {.name = "other"};
	struct text stream = {0};
	struct cesr_message bad;
	struct span rest;
	char begin[48];

	(void)state;
	for (int i = 0; i < 2; i++) {
		say(&stream, &other, i ? draft_ixn(&other, "[]") : draft_icp(&other));
		say(&stream, &id, i ? draft_ixn(&id, "[]") : draft_icp(&id));
	}
	snprintf(begin, sizeof begin, "%.38s", stream.p);
	stop = begin;
	rest = text_span(&stream);
	/* both inceptions start like that */
	assert_int_equal(fill(&rest, true, NULL, &bad, NULL), CESR_ITEM);
	assert_int_equal(window.n, 1);
	assert_int_equal(fill(&rest, true, NULL, &bad, NULL), CESR_END);
	assert_int_equal(window.n, 3);
	assert_int_equal(rest.n, 0);
	stop = NULL;
	text_free(&stream);
}

/* ---- guesses ---- */

/* Message `at` of the window was checked ahead with as many signatures, and all are good. */
static void expect_guessed(size_t at, size_t n) {
	const struct window_message *m = &window.list[at];

	if (m->checked.n != n)
		fail_msg("message %zu: %zu signatures were checked, not %zu", at, m->checked.n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(m->checked.list[i].good);
		expect_span(m->checked.list[i].body, m->event.body);
	}
}

/* Fills the window with all of the stream, which goes on what the book has. */
static void fill_all(const struct text *stream, struct book *book) {
	struct span rest = text_span(stream);
	struct cesr_message bad;

	assert_int_equal(fill(&rest, true, book, &bad, NULL), CESR_END);
}

/* Two keys sign each event, and two witnesses. */
static void keys_of_every_kind_of_event(void **state) {
	struct id boss = {.name = "boss", .nkeys = 2, .nwitnesses = 2};
	struct id del = {.name = "del", .nkeys = 2, .nwitnesses = 2, .delegator = &boss};
	struct id fixed = {.name = "fixed", .prefix = "B"};
	struct text stream = {0}, message = {0};
	struct book book = {0};

	(void)state;
	say(&stream, &boss, draft_icp(&boss));
	say(&stream, &boss, draft_rot(&boss));
	say_delegated(&stream, &message, &boss, &del, draft_icp(&del));
	text_join(&stream, &message);
	message.n = 0;
	say_delegated(&stream, &message, &boss, &del, draft_rot(&del));
	text_join(&stream, &message);
	say(&stream, &del, draft_ixn(&del, "[]"));
	say(&stream, &boss, draft_rot(&boss));
	fill_all(&stream, &book);
	assert_int_equal(window.n, 8);
	for (size_t i = 0; i < window.n; i++)
		expect_guessed(i, 4);
	message.n = 0;
	say(&message, &fixed, draft_icp(&fixed));
	fill_all(&message, &book);
	expect_guessed(0, 1);
	/* nobody asks for what nobody wants */
	fill_all(&stream, NULL);
	for (size_t i = 0; i < window.n; i++)
		expect_guessed(i, 0);
	text_free(&message);
	text_free(&stream);
	book_free(&book);
}

/* A log whose first events stand in the book already. */
static void a_log_that_goes_on(void **state) {
	struct id id = {.name = "one", .nkeys = 2, .nwitnesses = 2};
	struct text stream = {0};
	struct book book = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	say(&stream, &id, draft_rot(&id));
	book_read(&book, text_span(&stream));
	stream.n = 0;
	say(&stream, &id, draft_ixn(&id, "[]"));
	say(&stream, &id, draft_rot(&id));
	say(&stream, &id, draft_ixn(&id, "[]"));
	fill_all(&stream, &book);
	for (size_t i = 0; i < 3; i++)
		expect_guessed(i, 4);
	/* without the book the keys of the first event are not known, and no witnesses */
	book_free(&book);
	fill_all(&stream, &book);
	expect_guessed(0, 0);
	expect_guessed(1, 2);
	expect_guessed(2, 2);
	text_free(&stream);
	book_free(&book);
}

static void signatures_of_every_kind(void **state) {
	struct id id = {.name = "one", .nkeys = 2, .nwitnesses = 2};
	struct key first = key_of("one", 0, 0), second = key_of("one", 0, 1), witness;
	struct text stream = {0}, body = id_state(&id, draft_icp(&id));
	struct book book = {0};

	(void)state;
	text_join(&stream, &body);
	add_counter(&stream, 'A', 3);
	add_signature(&stream, text_span(&body), &second, "2A", 1, 7);
	add_signature(&stream, text_span(&body), &first, "B", 0, 0);
	add_signature(&stream, text_span(&body), &second, "2B", 1, 0);
	add_counter(&stream, 'C', 2);
	for (unsigned i = 0; i < 2; i++) {
		witness = key_of("witness", 0, i);
		add_couple(&stream, text_span(&body), &witness);
	}
	add_counter(&stream, 'B', 1);
	witness = key_of("witness", 0, 1);
	add_signature(&stream, text_span(&body), &witness, "2A", 1, 1);
	fill_all(&stream, &book);
	expect_guessed(0, 6);
	text_free(&body);
	text_free(&stream);
}

/* Whose list of witnesses a rotation changes is not guessed; couples name them. */
static void witnesses_that_change(void **state) {
	struct id id = {.name = "one", .nwitnesses = 1};
	struct text stream = {0}, added = witness_list(1, 2);
	struct book book = {0};
	struct draft d;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	d = draft_rot(&id);
	draft_set(&d, "ba", added.p);
	draft_set(&d, "bt", "\"2\"");
	id.nwitnesses = 2;
	say(&stream, &id, d);
	say(&stream, &id, draft_rot(&id));
	say(&stream, &id, draft_ixn(&id, "[]"));
	fill_all(&stream, &book);
	expect_guessed(0, 2);
	for (size_t i = 1; i < 4; i++)
		expect_guessed(i, 1);
	book_read(&book, text_span(&stream));
	assert_false(book.failed);
	assert_int_equal(book_kel(&book, id.aid)->count, 4);
	text_free(&added);
	text_free(&stream);
	book_free(&book);
}

/* ---- wrong guesses ---- */

/* Reads the streams, one after the other with an end between, and expects so many events of the log. */
static void expect_count(const struct text *streams, size_t n, const char *aid, uint64_t count) {
	for (int forgiving = 0; forgiving < 2; forgiving++) {
		struct book book = {.forgiving = forgiving};

		for (size_t i = 0; i < n; i++) {
			book_read(&book, text_span(&streams[i]));
			book_finish(&book);
		}
		assert_int_equal(book_kel(&book, aid)->count, count);
		book_free(&book);
	}
}

/* Whoever has none of the keys rotates to his own, which is refused, and goes on with these where the
 * rotation stands, and where the log is. */
static void keys_of_a_refused_rotation_count_for_nothing(void **state) {
	struct id id = {.name = "one"}, thief, beside;
	struct text streams[2] = {{0}};

	(void)state;
	say(&streams[0], &id, draft_icp(&id));
	thief = id;
	thief.name = "thief";
	beside = thief;
	say(&streams[0], &thief, draft_rot(&thief));
	say(&streams[0], &thief, draft_ixn(&thief, "[]"));
	beside.round = thief.round;
	say(&streams[0], &beside, draft_ixn(&beside, "[]"));
	fill_all(&streams[0], &(struct book){0});
	for (size_t i = 0; i < 4; i++)
		expect_guessed(i, 1); /* each is signed with the keys that were guessed */
	beside.sn--;
	memcpy(beside.said, id.said, SAID);
	say(&streams[1], &beside, draft_ixn(&beside, "[]"));
	expect_count(streams, 2, id.aid, 1);
	text_free(&streams[0]);
	text_free(&streams[1]);
}

/* The rotation waits for its receipts, and what stands behind it with it: nothing of it is accepted. */
static void keys_of_a_waiting_rotation_count_for_nothing(void **state) {
	struct id id = {.name = "one", .nwitnesses = 1}, beside;
	struct text stream = {0}, body;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	beside = id;
	body = id_state(&id, draft_rot(&id));
	text_join(&stream, &body);
	add_signatures(&stream, &id, text_span(&body));
	/* signed with the keys of the rotation, beside it */
	beside.round = id.round;
	say(&stream, &beside, draft_ixn(&beside, "[]"));
	fill_all(&stream, &(struct book){0});
	expect_guessed(2, 2);
	expect_count(&stream, 1, id.aid, 1);
	text_free(&body);
	text_free(&stream);
}

/* ---- cost ---- */

static double seconds_of(const struct text *stream) {
	struct timespec from, to;
	double best = 1e9, took;

	for (int i = 0; i < 3; i++) {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		fill_all(stream, &(struct book){0});
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
		best = took < best ? took : best;
	}
	return best;
}

#define LONG_LIST 40000

/* A rotation with long lists, and short events of the same identifier (own), or of another one. */
static void behind_long_lists(struct text *stream, const char *field, char code, bool own) {
	struct id id = {.name = "one"}, other;
	struct key key = key_of("one", 0, 0);
	struct text list = {0}, signatures = {0}, body;
	struct draft d;

	memcpy(id.aid, DIGEST, SAID);
	memcpy(id.said, DIGEST, SAID);
	id.sn = 1;
	d = draft_rot(&id);
	for (int i = 0; i < LONG_LIST; i++)
		text_add(&list, "%s\"x\"", i ? "," : "[");
	text_add(&list, "]");
	draft_set(&d, field, list.p);
	say(stream, &id, d);
	other = id;
	other.aid[1] = 'J';
	add_counter(&signatures, code, 64);
	for (int i = 0; i < 64; i++)
		add_signature(&signatures, span_str("anything"), &key, "2A", 4095, 0);
	for (int i = 0; i < 200; i++) {
		body = id_state(own ? &id : &other, draft_ixn(own ? &id : &other, "[]"));
		text_join(stream, &body);
		text_join(stream, &signatures);
		text_free(&body);
	}
	text_free(&signatures);
	text_free(&list);
}

/* However long the lists are, to look for a key that is not there costs about nothing. */
static void long_lists_cost_no_more(void **state) {
	static const char *const fields[] = {"k", "br", "ba"};

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct text own = {0}, other = {0};
		double took, least;

		behind_long_lists(&own, fields[i], i ? 'B' : 'A', true);
		behind_long_lists(&other, fields[i], i ? 'B' : 'A', false);
		assert_int_equal(own.n, other.n);
		took = seconds_of(&own);
		least = seconds_of(&other);
		print_message("%s: %.1f ms, else %.1f ms\n", fields[i], took * 1e3, least * 1e3);
		assert_true(took < 3 * least + 0.01);
		text_free(&own);
		text_free(&other);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_cuts_and_parses_as_one_by_one),
		cmocka_unit_test(a_message_that_may_go_on_is_left),
		cmocka_unit_test(it_ends_where_its_reader_stops),
		cmocka_unit_test(keys_of_every_kind_of_event),
		cmocka_unit_test(a_log_that_goes_on),
		cmocka_unit_test(signatures_of_every_kind),
		cmocka_unit_test(witnesses_that_change),
		cmocka_unit_test(keys_of_a_refused_rotation_count_for_nothing),
		cmocka_unit_test(keys_of_a_waiting_rotation_count_for_nothing),
		cmocka_unit_test(long_lists_cost_no_more),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
