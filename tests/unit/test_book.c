/* test_book.c: streams of several logs, in any order, whole, cut short and tampered with. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
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

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DIGEST "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi"

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* ---- reading ---- */

struct result {
	struct book book;
	bool complete;
	size_t n;
	struct verdict verdicts[8];
};

static void note(void *ctx, const struct verdict *verdict) {
	struct result *r = ctx;

	if (r->n < COUNT(r->verdicts))
		r->verdicts[r->n] = *verdict;
	r->n++;
}

/* Feeds a stream that is gone, and was never longer, as soon as it was read. */
static void feed(struct result *r, const struct text *stream) {
	struct span exact = bytes_copy(stream->p, stream->n);

	book_read(&r->book, exact);
	bytes_free(exact);
}

static void open_result(struct result *r, bool forgiving) {
	*r = (struct result){.book = {.forgiving = forgiving, .keep = true, .report = note, .ctx = r}};
}

static void run(struct result *r, const struct text *stream, bool forgiving) {
	open_result(r, forgiving);
	feed(r, stream);
	r->complete = book_finish(&r->book);
	assert_int_equal(r->complete, r->n == 0);
}

static void expect_verdict(const struct result *r, size_t at, enum verdict_kind kind, uint64_t event,
	const char *aid, uint64_t sn, const char *reason) {
	const struct verdict *v = &r->verdicts[at];

	if (r->n <= at)
		fail_msg("%zu verdicts, none on \"%s\"", r->n, reason);
	if (v->kind != kind || v->event != event || strcmp(v->aid, aid) != 0 || v->sn != sn ||
		!strstr(v->reason, reason))
		fail_msg("kind %d, event %llu, aid %s, sn %llu: %s", v->kind, (unsigned long long)v->event,
			v->aid, (unsigned long long)v->sn, v->reason);
}

/* How many events of it are accepted. */
static void expect_count(const struct result *r, const char *aid, uint64_t count) {
	const struct kel *kel = book_kel(&r->book, aid);

	assert_int_equal(kel ? kel->count : 0, count);
}

/* All of the stream is accepted; the identity's log is where it should be. */
static void expect_good(const struct text *stream, const struct id *id) {
	char said[CESR_TEXT];
	struct result r;

	run(&r, stream, false);
	if (r.n)
		fail_msg("event %llu: %s", (unsigned long long)r.verdicts[0].event, r.verdicts[0].reason);
	expect_count(&r, id->aid, id->sn);
	assert_true(kel_said(book_kel(&r.book, id->aid), id->sn - 1, said));
	assert_string_equal(said, id->said);
	book_free(&r.book);
}

/* The stream is refused; count events of the identity were accepted until then. */
static void expect_bad(const struct text *stream, const char *aid, uint64_t count, enum verdict_kind kind,
	uint64_t event, uint64_t sn, const char *reason) {
	struct result r;

	run(&r, stream, false);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, kind, event, sn == UINT64_MAX ? "" : aid, sn, reason);
	expect_count(&r, aid, count);
	book_free(&r.book);
}

#define READABLE(sn) (sn)
#define UNREADABLE UINT64_MAX

/* A message with the controller's signatures only; its receipts go to *receipts, as rct. */
static void say_unwitnessed(struct text *stream, struct text *receipts, struct id *id, struct draft d,
	unsigned from, unsigned to) {
	struct text body = id_state(id, d);

	text_join(stream, &body);
	add_signatures(stream, id, text_span(&body));
	if (receipts) {
		add_rct(receipts, id->aid, id->sn - 1, id->said);
		add_receipts(receipts, text_span(&body), from, to);
	}
	text_free(&body);
}

/* ---- plain streams ---- */

static void a_log(void **state) {
	struct id id = {.name = "one"};
	struct text stream = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	expect_good(&stream, &id);
	for (int i = 0; i < 5; i++) {
		say(&stream, &id, draft_ixn(&id, "[]"));
		say(&stream, &id, draft_rot(&id));
	}
	expect_good(&stream, &id);
	text_free(&stream);
}

static void nothing_is_refused(void **state) {
	struct text stream = {0};

	(void)state;
	expect_bad(&stream, "", 0, VERDICT_REFUSED, 0, UNREADABLE, "empty");
}

static void input_stops_at_the_first_refusal(void **state) {
	struct id id = {.name = "one"}, other = {.name = "other"}, copy;
	struct text stream = {0};
	struct draft d;
	struct result r;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	say(&stream, &id, draft_ixn(&id, "[]"));
	copy = id;
	d = draft_ixn(&copy, "[]");
	draft_set(&d, "p", "\"" DIGEST "\"");
	say(&stream, &copy, d);
	say(&stream, &id, draft_ixn(&id, "[]"));
	say(&stream, &other, draft_icp(&other));
	run(&r, &stream, false);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_REFUSED, 2, id.aid, 2, "p is not the event at sn 1");
	expect_count(&r, id.aid, 2);
	expect_count(&r, other.aid, 0);
	assert_null(book_kel(&r.book, other.aid));
	book_free(&r.book);
	text_free(&stream);
}

static void what_is_no_message(void **state) {
	static const char *const junk[] = {" ", "\n", "{}", "[", "x", "-AAB", "{\"v\":\"KERI20JSON",
		"{\"v\":\"KERI10CBOR000100_\"", "{\"v\":\"KERI10MGPK000100_\"",
		"{\"v\":\"KERI10JSON00000A_\"", "{\"v\":\"XXXX10JSON0000ff_\"", "\xff"};

	(void)state;
	for (size_t i = 0; i < COUNT(junk); i++) {
		struct id id = {.name = "one"};
		struct text stream = {0};

		text_add(&stream, "%s", junk[i]);
		expect_bad(&stream, "", 0, VERDICT_REFUSED, 0, UNREADABLE, "");
		stream.n = 0;
		say(&stream, &id, draft_icp(&id));
		text_add(&stream, "%s", junk[i]);
		/* an attachment counter without its items belongs to the message before it */
		if (junk[i][0] == '-')
			expect_bad(&stream, id.aid, 0, VERDICT_TRUNCATED, 0, READABLE(0), "");
		else
			expect_bad(&stream, id.aid, 1, VERDICT_REFUSED, 1, UNREADABLE, "");
		text_free(&stream);
	}
}

/* The order of two logs in a stream is free, as long as each has its own. */
static void logs_may_be_mixed(void **state) {
	struct id a = {.name = "a"}, b = {.name = "b"};
	struct text stream = {0};

	(void)state;
	say(&stream, &a, draft_icp(&a));
	say(&stream, &b, draft_icp(&b));
	for (int i = 0; i < 4; i++) {
		say(&stream, &b, draft_rot(&b));
		say(&stream, &a, draft_ixn(&a, "[]"));
	}
	expect_good(&stream, &a);
	expect_good(&stream, &b);
	text_free(&stream);
}

static void events_out_of_order_are_refused(void **state) {
	struct id id = {.name = "one"};
	struct text first = {0}, second = {0};

	(void)state;
	say(&first, &id, draft_icp(&id));
	say(&second, &id, draft_ixn(&id, "[]"));
	text_join(&second, &first);
	expect_bad(&second, id.aid, 0, VERDICT_REFUSED, 0, READABLE(1), "before it is missing");
	text_free(&first);
	text_free(&second);
}

/* ---- receipts ---- */

static void receipts_in_messages(void **state) {
	struct id id = {.name = "w", .nwitnesses = 3, .bt = "\"2\""};
	struct text events = {0}, receipts[4] = {0}, stream = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(receipts); i++)
		say_unwitnessed(&events, &receipts[i], &id,
			i == 0	 ? draft_icp(&id)
			: i == 2 ? draft_rot(&id)
				 : draft_ixn(&id, "[]"),
			0, 2);
	expect_bad(&events, id.aid, 0, VERDICT_UNDERWITNESSED, 0, READABLE(0), "0 of 2");
	/* after all events, in order; in reverse */
	for (int backwards = 0; backwards < 2; backwards++) {
		stream.n = 0;
		text_join(&stream, &events);
		for (size_t i = 0; i < COUNT(receipts); i++)
			text_join(&stream, &receipts[backwards ? COUNT(receipts) - 1 - i : i]);
		expect_good(&stream, &id);
	}
	/* all before the events */
	stream.n = 0;
	for (size_t i = 0; i < COUNT(receipts); i++)
		text_join(&stream, &receipts[i]);
	text_join(&stream, &events);
	expect_good(&stream, &id);
	/* twice: no effect */
	text_join(&stream, &stream);
	expect_good(&stream, &id);
	/* one missing: what follows waits in vain */
	stream.n = 0;
	text_join(&stream, &events);
	for (size_t i = 0; i < COUNT(receipts); i++)
		if (i != 1)
			text_join(&stream, &receipts[i]);
	expect_bad(&stream, id.aid, 1, VERDICT_UNDERWITNESSED, 1, READABLE(1), "0 of 2");
	for (size_t i = 0; i < COUNT(receipts); i++)
		text_free(&receipts[i]);
	text_free(&events);
	text_free(&stream);
}

/* Two of three: one attached, one in a message before, one after; by couples, too. */
static void receipts_from_everywhere_add_up(void **state) {
	for (int missing = 0; missing < 4; missing++) {
		struct id id = {.name = "w", .nwitnesses = 3};
		struct text body = id_state(&id, draft_icp(&id)), stream = {0};
		struct key last = key_of("witness", 0, 2);

		add_rct(&stream, id.aid, 0, id.said);
		add_receipts(&stream, text_span(&body), 0, missing == 1 ? 0 : 1);
		text_join(&stream, &body);
		add_signatures(&stream, &id, text_span(&body));
		if (missing != 2)
			add_receipts(&stream, text_span(&body), 1, 2);
		add_rct(&stream, id.aid, 0, id.said);
		add_counter(&stream, 'C', 1);
		add_couple(&stream, missing == 3 ? span_str("another message") : text_span(&body), &last);
		if (missing)
			expect_bad(&stream, id.aid, 0, VERDICT_UNDERWITNESSED, 1, READABLE(0), "2 of 3");
		else
			expect_good(&stream, &id);
		text_free(&body);
		text_free(&stream);
	}
	(void)state;
}

/* A witness counts once, be its receipts attached, in messages before or after. */
static void a_witness_counts_once_everywhere(void **state) {
	struct id id = {.name = "w", .nwitnesses = 3, .bt = "\"2\""};
	struct text body = id_state(&id, draft_icp(&id)), stream = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		add_rct(&stream, id.aid, 0, id.said);
		add_receipts(&stream, text_span(&body), 0, 1);
	}
	text_join(&stream, &body);
	add_signatures(&stream, &id, text_span(&body));
	add_receipts(&stream, text_span(&body), 0, 1);
	for (int i = 0; i < 2; i++) {
		add_rct(&stream, id.aid, 0, id.said);
		add_receipts(&stream, text_span(&body), 0, 1);
	}
	expect_bad(&stream, id.aid, 0, VERDICT_UNDERWITNESSED, 2, READABLE(0), "1 of 2");
	text_free(&body);
	text_free(&stream);
}

/* Receipts of an event that comes twice, one with each copy. */
static void receipts_of_two_copies_add_up(void **state) {
	struct id id = {.name = "w", .nwitnesses = 2};
	struct text body = id_state(&id, draft_icp(&id)), stream = {0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		text_join(&stream, &body);
		add_signatures(&stream, &id, text_span(&body));
		add_receipts(&stream, text_span(&body), i, i + 1);
	}
	expect_good(&stream, &id);
	text_free(&body);
	text_free(&stream);
}

static void receipts_of_nothing_are_no_refusal(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, unknown = {.name = "unknown"};
	struct text stream = {0}, body;

	(void)state;
	body = id_state(&unknown, draft_icp(&unknown));
	say(&stream, &id, draft_icp(&id));
	add_rct(&stream, unknown.aid, 0, unknown.said);
	add_receipts(&stream, text_span(&body), 0, 1);
	/* a receipt of the accepted event, and one with nothing attached */
	add_rct(&stream, id.aid, 0, id.said);
	add_receipts(&stream, text_span(&body), 0, 1);
	add_rct(&stream, id.aid, 0, id.said);
	expect_good(&stream, &id);
	text_free(&body);
	text_free(&stream);
}

/* ---- who waits, and who does not ---- */

static void one_waits_the_other_goes_on(void **state) {
	struct id a = {.name = "a", .nwitnesses = 1}, b = {.name = "b"};
	struct text stream = {0}, receipt = {0};
	struct result r;

	(void)state;
	say_unwitnessed(&stream, &receipt, &a, draft_icp(&a), 0, 1);
	say(&stream, &b, draft_icp(&b));
	say(&stream, &a, draft_ixn(&a, "[]"));
	say(&stream, &b, draft_ixn(&b, "[]"));
	run(&r, &stream, false);
	expect_verdict(&r, 0, VERDICT_UNDERWITNESSED, 0, a.aid, 0, "0 of 1");
	expect_count(&r, a.aid, 0);
	expect_count(&r, b.aid, 2);
	book_free(&r.book);
	text_join(&stream, &receipt);
	expect_good(&stream, &a);
	expect_good(&stream, &b);
	text_free(&stream);
	text_free(&receipt);
}

/* The verdict names the lowest event not accepted, though another stopped the input. */
static void the_lowest_event_is_named(void **state) {
	struct id a = {.name = "a", .nwitnesses = 1}, b = {.name = "b"}, copy;
	struct text stream = {0}, cut;
	struct draft d;
	struct result r;

	(void)state;
	say(&stream, &b, draft_icp(&b));
	say_unwitnessed(&stream, NULL, &a, draft_icp(&a), 0, 0);
	copy = b;
	d = draft_ixn(&copy, "[]");
	draft_set(&d, "p", "\"" DIGEST "\"");
	say(&stream, &copy, d);
	run(&r, &stream, false);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_UNDERWITNESSED, 1, a.aid, 0, "0 of 1");
	expect_count(&r, b.aid, 1);
	book_free(&r.book);
	/* a cut stays a cut */
	cut = stream;
	cut.n -= 10;
	run(&r, &cut, false);
	expect_verdict(&r, 0, VERDICT_TRUNCATED, 1, a.aid, 0, "0 of 1");
	book_free(&r.book);
	text_free(&stream);
}

/* An event that is refused once its receipts come. */
static void refused_after_waiting(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, copy;
	struct text stream = {0}, receipt = {0};
	struct draft d;

	(void)state;
	say_unwitnessed(&stream, &receipt, &id, draft_icp(&id), 0, 1);
	copy = id;
	d = draft_rot(&copy);
	draft_set(&d, "kt", "\"2\"");
	say(&stream, &copy, d);
	expect_bad(&stream, id.aid, 0, VERDICT_UNDERWITNESSED, 0, READABLE(0), "0 of 1");
	text_join(&stream, &receipt);
	expect_bad(&stream, id.aid, 1, VERDICT_REFUSED, 1, READABLE(1), "kt: threshold");
	text_free(&stream);
	text_free(&receipt);
}

/* While something of a log waits, an event behind a gap waits with it. */
static void a_gap_behind_one_that_waits(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1};
	struct text first = {0}, receipt = {0}, second = {0}, third = {0}, stream = {0};

	(void)state;
	say_unwitnessed(&first, &receipt, &id, draft_icp(&id), 0, 1);
	say(&second, &id, draft_ixn(&id, "[]"));
	say(&third, &id, draft_ixn(&id, "[]"));
	text_join(&stream, &first);
	text_join(&stream, &third);
	text_join(&stream, &receipt);
	expect_bad(&stream, id.aid, 1, VERDICT_REFUSED, 1, READABLE(2), "before it is missing");
	text_join(&stream, &second);
	expect_good(&stream, &id);
	text_free(&first);
	text_free(&receipt);
	text_free(&second);
	text_free(&third);
	text_free(&stream);
}

/* What waits may be completed by the next stream, until the end of the input. */
static void several_streams(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1};
	struct text first = {0}, receipt = {0}, second = {0};
	struct result r;

	(void)state;
	say_unwitnessed(&first, &receipt, &id, draft_icp(&id), 0, 1);
	say(&second, &id, draft_ixn(&id, "[]"));
	open_result(&r, false);
	feed(&r, &first);
	feed(&r, &second);
	expect_count(&r, id.aid, 0);
	feed(&r, &receipt);
	expect_count(&r, id.aid, 2);
	assert_true(book_finish(&r.book));
	/* after the end it is forgotten, and the state is what it was */
	say_unwitnessed(&first, NULL, &id, draft_ixn(&id, "[]"), 0, 0);
	feed(&r, &first);
	assert_false(book_finish(&r.book));
	expect_verdict(&r, 0, VERDICT_UNDERWITNESSED, 1, id.aid, 2, "0 of 1");
	first.n = 0;
	say(&first, &id, draft_ixn(&id, "[]"));
	feed(&r, &first);
	assert_false(book_finish(&r.book));
	expect_verdict(&r, 1, VERDICT_REFUSED, 0, id.aid, 3, "before it is missing");
	expect_count(&r, id.aid, 2);
	book_free(&r.book);
	text_free(&first);
	text_free(&receipt);
	text_free(&second);
}

/* ---- the same again ---- */

static void replays(void **state) {
	struct id id = {.name = "w", .nwitnesses = 2}, fork;
	struct text stream = {0}, messages[6] = {0};

	(void)state;
	for (size_t i = 0; i < 4; i++) { /* icp ixn ixn ixn */
		if (i == 2)
			fork = id;
		say(&messages[i], &id, i ? draft_ixn(&id, "[]") : draft_icp(&id));
	}
	/* superseding the last two, and going on */
	say(&messages[4], &fork, draft_rot(&fork));
	say(&messages[5], &fork, draft_ixn(&fork, "[]"));
	for (size_t i = 0; i < COUNT(messages); i++)
		text_join(&stream, &messages[i]);
	expect_good(&stream, &fork);
	/* the whole log twice: what was superseded is no news either, wherever it stood */
	text_join(&stream, &stream);
	expect_good(&stream, &fork);
	/* and each of its messages again behind every one */
	stream.n = 0;
	for (size_t i = 0; i < COUNT(messages); i++)
		for (size_t k = 0; k <= i; k++)
			text_join(&stream, &messages[i - k]);
	expect_good(&stream, &fork);
	for (size_t i = 0; i < COUNT(messages); i++)
		text_free(&messages[i]);
	text_free(&stream);
}

/* ---- duplicity and recovery ---- */

static void duplicity(void **state) {
	struct id id = {.name = "one"}, at;
	struct text stream = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	at = id;
	say(&stream, &id, draft_rot(&id));
	say(&stream, &id, draft_ixn(&id, "[]"));
	size_t n = stream.n;
	struct id other = at;
	struct draft d = draft_rot(&other);
	draft_set(&d, "a", "[{}]");
	say(&stream, &other, d);
	expect_bad(&stream, id.aid, 3, VERDICT_DUPLICITOUS, 3, READABLE(1), "at sn 1");
	/* with a wrong signature it is merely refused */
	stream.n = n;
	other = at;
	d = draft_rot(&other);
	draft_set(&d, "a", "[{}]");
	struct text body = id_state(&other, d);
	text_join(&stream, &body);
	add_signatures(&stream, &other, span_str("another message"));
	expect_bad(&stream, id.aid, 3, VERDICT_REFUSED, 3, READABLE(1), "threshold not met");
	text_free(&body);
	text_free(&stream);
}

/* A fork that lacks receipts proves nothing, until they come. */
static void duplicity_needs_receipts(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, fork;
	struct text stream = {0}, receipt = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	fork = id;
	say(&stream, &id, draft_ixn(&id, "[]"));
	say_unwitnessed(&stream, &receipt, &fork, draft_ixn(&fork, "[{}]"), 0, 1);
	say(&stream, &id, draft_ixn(&id, "[]"));
	expect_bad(&stream, id.aid, 3, VERDICT_UNDERWITNESSED, 2, READABLE(1), "0 of 1");
	text_join(&stream, &receipt);
	expect_bad(&stream, id.aid, 3, VERDICT_DUPLICITOUS, 2, READABLE(1), "at sn 1");
	text_free(&stream);
	text_free(&receipt);
}

static void recovery(void **state) {
	struct id id = {.name = "one"}, fork;
	struct text stream = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	say(&stream, &id, draft_ixn(&id, "[]"));
	fork = id;
	say(&stream, &id, draft_ixn(&id, "[]"));
	say(&stream, &id, draft_ixn(&id, "[]"));
	say(&stream, &fork, draft_rot(&fork));
	say(&stream, &fork, draft_ixn(&fork, "[{}]"));
	expect_good(&stream, &fork);
	/* what was superseded cannot be continued */
	say(&stream, &id, draft_ixn(&id, "[]"));
	expect_bad(&stream, id.aid, 4, VERDICT_REFUSED, 6, READABLE(4), "p is not");
	text_free(&stream);
}

/* A recovery waits for its receipts, and what follows it waits with it. */
static void a_recovery_that_waits(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, fork;
	struct text stream = {0}, receipt = {0};

	(void)state;
	say(&stream, &id, draft_icp(&id));
	fork = id;
	for (int i = 0; i < 4; i++)
		say(&stream, &id, draft_ixn(&id, "[]"));
	say_unwitnessed(&stream, &receipt, &fork, draft_rot(&fork), 0, 1);
	say(&stream, &fork, draft_ixn(&fork, "[{}]"));
	say(&stream, &fork, draft_rot(&fork));
	/* meanwhile the log goes on */
	say(&stream, &id, draft_ixn(&id, "[]"));
	expect_bad(&stream, id.aid, 6, VERDICT_UNDERWITNESSED, 5, READABLE(1), "0 of 1");
	text_join(&stream, &receipt);
	expect_good(&stream, &fork);
	text_free(&stream);
	text_free(&receipt);
}

/* ---- delegation ---- */

/* boss and del, and each one's messages. */
struct pair {
	struct id boss, del;
	struct text bosss, dels, stream;
};

static void pair_make(struct pair *p) {
	*p = (struct pair){.boss = {.name = "boss"}, .del = {.name = "del"}};
	p->del.delegator = &p->boss;
	say(&p->bosss, &p->boss, draft_icp(&p->boss));
	say_delegated(&p->bosss, &p->dels, &p->boss, &p->del, draft_icp(&p->del));
}

static void pair_free(struct pair *p) {
	text_free(&p->bosss);
	text_free(&p->dels);
	text_free(&p->stream);
}

static struct text *both(struct pair *p, bool boss_first) {
	p->stream.n = 0;
	text_join(&p->stream, boss_first ? &p->bosss : &p->dels);
	text_join(&p->stream, boss_first ? &p->dels : &p->bosss);
	return &p->stream;
}

static void delegator_before_and_after(void **state) {
	struct pair p;

	(void)state;
	pair_make(&p);
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	say_delegated(&p.bosss, &p.dels, &p.boss, &p.del, draft_rot(&p.del));
	say(&p.bosss, &p.boss, draft_rot(&p.boss));
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	for (int first = 0; first < 2; first++) {
		expect_good(both(&p, first), &p.del);
		expect_good(both(&p, first), &p.boss);
	}
	/* without the delegator */
	expect_bad(&p.dels, p.del.aid, 0, VERDICT_REFUSED, 0, READABLE(0), "event 1 is missing");
	/* order of the states: by the first inception body */
	struct result r;
	run(&r, both(&p, false), false);
	assert_true(book_log(&r.book, p.del.aid)->first == 0);
	assert_true(book_log(&r.book, p.boss.aid)->first == 4);
	book_free(&r.book);
	pair_free(&p);
}

static void a_chain_of_delegators(void **state) {
	struct id ids[6] = {
		{.name = "0"}, {.name = "1"}, {.name = "2"}, {.name = "3"}, {.name = "4"}, {.name = "5"}};
	struct text messages[COUNT(ids)] = {0}, stream = {0};

	(void)state;
	say(&messages[0], &ids[0], draft_icp(&ids[0]));
	for (size_t i = 1; i < COUNT(ids); i++) {
		ids[i].delegator = &ids[i - 1];
		say_delegated(&messages[i - 1], &messages[i], &ids[i - 1], &ids[i], draft_icp(&ids[i]));
	}
	for (size_t i = 0; i < COUNT(ids); i++)
		text_join(&stream, &messages[i]);
	expect_good(&stream, &ids[5]);
	stream.n = 0;
	for (size_t i = COUNT(ids); i-- > 0;)
		text_join(&stream, &messages[i]);
	for (size_t i = 0; i < COUNT(ids); i++)
		expect_good(&stream, &ids[i]);
	/* without the third, the rest is not accepted */
	stream.n = 0;
	for (size_t i = 0; i < COUNT(ids); i++)
		if (i != 2)
			text_join(&stream, &messages[i]);
	expect_bad(&stream, ids[3].aid, 0, VERDICT_REFUSED, 4, READABLE(0), "missing");
	for (size_t i = 0; i < COUNT(ids); i++)
		text_free(&messages[i]);
	text_free(&stream);
}

static void without_a_source_seal(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del"};
	struct text body, stream = {0};

	(void)state;
	del.delegator = &boss;
	say(&stream, &boss, draft_icp(&boss));
	body = id_state(&del, draft_icp(&del));
	say(&stream, &boss, draft_sealing(&boss, &del));
	text_join(&stream, &body);
	add_signatures(&stream, &del, text_span(&body));
	expect_bad(&stream, del.aid, 0, VERDICT_REFUSED, 2, READABLE(0), "without a source seal");
	/* it may come with a receipt */
	add_rct(&stream, del.aid, 0, del.said);
	add_source_seal(&stream, 1, boss.said);
	expect_good(&stream, &del);
	text_free(&body);
	text_free(&stream);
}

/* Only what lacks receipts and nothing else is called underwitnessed. */
static void delegator_and_receipts_missing(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .nwitnesses = 1};
	struct text bosss = {0}, dels = {0}, body;

	(void)state;
	del.delegator = &boss;
	say(&bosss, &boss, draft_icp(&boss));
	body = id_state(&del, draft_icp(&del));
	say(&bosss, &boss, draft_sealing(&boss, &del));
	text_join(&dels, &body);
	add_signatures(&dels, &del, text_span(&body));
	add_source_seal(&dels, 1, boss.said);
	expect_bad(&dels, del.aid, 0, VERDICT_REFUSED, 0, READABLE(0), "event 1 is missing");
	text_join(&dels, &bosss);
	expect_bad(&dels, del.aid, 0, VERDICT_UNDERWITNESSED, 0, READABLE(0), "0 of 1");
	add_rct(&dels, del.aid, 0, del.said);
	add_receipts(&dels, text_span(&body), 0, 1);
	expect_good(&dels, &del);
	text_free(&body);
	text_free(&bosss);
	text_free(&dels);
}

static void a_seal_in_the_wrong_place(void **state) {
	struct pair p;
	struct text body;

	(void)state;
	pair_make(&p);
	/* an event of the delegator that seals nothing */
	p.dels.n = 0;
	p.del = (struct id){.name = "del", .delegator = &p.boss};
	body = id_state(&p.del, draft_icp(&p.del));
	text_join(&p.dels, &body);
	add_signatures(&p.dels, &p.del, text_span(&body));
	add_source_seal(&p.dels, 0, p.boss.aid);
	for (int first = 0; first < 2; first++)
		expect_bad(both(&p, first), p.del.aid, 0, VERDICT_REFUSED, first ? 2 : 0, READABLE(0),
			"event 0 does not seal it");
	text_free(&body);
	pair_free(&p);
}

/* The delegator recovers from the event that sealed; then what it sealed is no longer accepted, in
 * whatever order the two logs are read. */
static void the_anchor_is_superseded(void **state) {
	struct pair p;
	struct id fork;

	(void)state;
	pair_make(&p);
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	fork = p.boss;
	say_delegated(&p.bosss, &p.dels, &p.boss, &p.del, draft_rot(&p.del));
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	expect_good(both(&p, true), &p.del);
	say(&p.bosss, &fork, draft_rot(&fork));
	expect_bad(both(&p, true), p.del.aid, 2, VERDICT_REFUSED, 6, READABLE(2), "another event 2");
	expect_bad(both(&p, false), p.del.aid, 2, VERDICT_REFUSED, 2, READABLE(2), "superseded");
	pair_free(&p);
}

/* From the inception on nothing is left, and so for those that the delegate sealed itself. */
static void the_anchor_of_a_chain_is_superseded(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del"}, sub = {.name = "sub"}, fork;
	struct text stream = {0}, subs = {0}, dels = {0}, bosss = {0};
	struct result r;

	(void)state;
	del.delegator = &boss;
	sub.delegator = &del;
	say(&bosss, &boss, draft_icp(&boss));
	fork = boss;
	say_delegated(&bosss, &dels, &boss, &del, draft_icp(&del));
	say_delegated(&dels, &subs, &del, &sub, draft_icp(&sub));
	say_delegated(&bosss, &dels, &boss, &del, draft_rot(&del));
	say(&subs, &sub, draft_ixn(&sub, "[]"));
	text_join(&stream, &subs);
	text_join(&stream, &dels);
	text_join(&stream, &bosss);
	expect_good(&stream, &sub);
	say(&stream, &fork, draft_rot(&fork));
	run(&r, &stream, false);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_REFUSED, 0, sub.aid, 0, "superseded");
	expect_count(&r, boss.aid, 2);
	expect_count(&r, del.aid, 0);
	expect_count(&r, sub.aid, 0);
	assert_null(book_kel(&r.book, sub.aid));
	book_free(&r.book);
	text_free(&stream);
	text_free(&subs);
	text_free(&dels);
	text_free(&bosss);
}

/* The recovery seals the same event anew: it comes again, with another source seal. */
static void anchored_again(void **state) {
	struct pair p;
	struct id fork;
	struct text body, seals = {0};
	struct draft d;

	(void)state;
	p = (struct pair){.boss = {.name = "boss"}, .del = {.name = "del"}};
	p.del.delegator = &p.boss;
	say(&p.bosss, &p.boss, draft_icp(&p.boss));
	fork = p.boss;
	body = id_state(&p.del, draft_icp(&p.del));
	say(&p.bosss, &p.boss, draft_sealing(&p.boss, &p.del));
	text_add(&seals, "[{\"i\":\"%s\",\"s\":\"0\",\"d\":\"%s\"}]", p.del.aid, p.del.said);
	d = draft_rot(&fork);
	draft_set(&d, "a", seals.p);
	say(&p.bosss, &fork, d);
	for (int i = 0; i < 2; i++) {
		text_join(&p.dels, &body);
		add_signatures(&p.dels, &p.del, text_span(&body));
		add_source_seal(&p.dels, 1, i ? fork.said : p.boss.said);
	}
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	expect_good(both(&p, true), &p.del);
	expect_good(both(&p, false), &p.del);
	text_free(&seals);
	text_free(&body);
	pair_free(&p);
}

/* Another event at the same sn, sealed by the recovery, takes the place: no duplicity. */
static void the_place_is_free_again(void **state) {
	struct pair p;
	struct id fork, del;
	struct text body, seals = {0};
	struct draft d;
	struct result r;

	(void)state;
	pair_make(&p);
	fork = p.boss;
	del = p.del;
	say_delegated(&p.bosss, &p.dels, &p.boss, &p.del, draft_rot(&p.del));
	say(&p.dels, &p.del, draft_ixn(&p.del, "[]"));
	d = draft_rot(&del);
	draft_set(&d, "a", "[{}]");
	body = id_state(&del, d);
	text_add(&seals, "[{\"i\":\"%s\",\"s\":\"1\",\"d\":\"%s\"}]", del.aid, del.said);
	d = draft_rot(&fork);
	draft_set(&d, "a", seals.p);
	say(&p.bosss, &fork, d);
	text_join(&p.dels, &body);
	add_signatures(&p.dels, &del, text_span(&body));
	add_source_seal(&p.dels, 2, fork.said);
	say(&p.dels, &del, draft_ixn(&del, "[{}]"));
	for (int first = 0; first < 2; first++) {
		run(&r, both(&p, first), true);
		expect_count(&r, del.aid, 3);
		assert_int_equal(r.n, 1); /* the first one, which is no longer accepted */
		expect_verdict(&r, 0, VERDICT_REFUSED, first ? 5 : 1, del.aid, 1, "");
		book_free(&r.book);
	}
	text_free(&seals);
	text_free(&body);
	pair_free(&p);
}

/* ---- forgiving ---- */

static void forgiving_goes_on_with_others(void **state) {
	struct id a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c", .nwitnesses = 1}, copy;
	struct text stream = {0};
	struct draft d;
	struct result r;

	(void)state;
	say(&stream, &a, draft_icp(&a));
	copy = a;
	d = draft_ixn(&copy, "[]");
	draft_set(&d, "p", "\"" DIGEST "\"");
	say(&stream, &copy, d);
	say(&stream, &a, draft_ixn(&a, "[]")); /* right, but of a refused log */
	say(&stream, &b, draft_icp(&b));
	d = draft_icp(&b);
	draft_set(&d, "d", "\"\"");
	struct text body = draft_body(&d); /* no event at all */
	text_join(&stream, &body);
	say_unwitnessed(&stream, NULL, &c, draft_icp(&c), 0, 0);
	say(&stream, &b, draft_ixn(&b, "[]"));
	run(&r, &stream, true);
	assert_int_equal(r.n, 3);
	expect_verdict(&r, 0, VERDICT_REFUSED, 1, a.aid, 1, "p is not the event at sn 0");
	expect_verdict(&r, 1, VERDICT_REFUSED, 4, "", UINT64_MAX, "d is no BLAKE3 digest");
	expect_verdict(&r, 2, VERDICT_UNDERWITNESSED, 5, c.aid, 0, "0 of 1");
	expect_count(&r, a.aid, 1);
	expect_count(&r, b.aid, 2);
	expect_count(&r, c.aid, 0);
	/* the next stream may have more of all */
	stream.n = 0;
	a.sn = 1, strcpy(a.said, a.aid);
	say(&stream, &a, draft_ixn(&a, "[]"));
	feed(&r, &stream);
	assert_true(book_finish(&r.book));
	expect_count(&r, a.aid, 2);
	book_free(&r.book);
	text_free(&body);
	text_free(&stream);
}

/* After duplicity nothing more is taken of the identifier, not even what had been waiting. */
static void duplicity_ends_what_waits(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, fork;
	struct text stream = {0}, receipt = {0};
	struct result r;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	fork = id;
	say(&stream, &id, draft_ixn(&id, "[]"));
	say_unwitnessed(&stream, &receipt, &id, draft_ixn(&id, "[]"), 0, 1);
	say(&stream, &fork, draft_ixn(&fork, "[{}]"));
	text_join(&stream, &receipt);
	run(&r, &stream, true);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_DUPLICITOUS, 3, id.aid, 1, "at sn 1");
	expect_count(&r, id.aid, 2);
	book_free(&r.book);
	text_free(&stream);
	text_free(&receipt);
}

static void forgiving_stops_where_messages_end(void **state) {
	struct id a = {.name = "a"}, b = {.name = "b"};
	struct text stream = {0};
	struct result r;

	(void)state;
	say(&stream, &a, draft_icp(&a));
	text_add(&stream, "x");
	say(&stream, &b, draft_icp(&b));
	run(&r, &stream, true);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_REFUSED, 1, "", UINT64_MAX, "");
	expect_count(&r, a.aid, 1);
	expect_count(&r, b.aid, 0);
	book_free(&r.book);
	text_free(&stream);
}

/* Accepted messages are kept as they came, once, with the receipts that completed them. */
static void messages_are_recorded(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1}, fork;
	struct text stream = {0}, want = {0}, receipt = {0}, messages[4] = {0};
	struct book_log *log;
	struct result r;

	(void)state;
	say(&messages[0], &id, draft_icp(&id));
	fork = id;
	say(&messages[1], &id, draft_ixn(&id, "[]"));
	say_unwitnessed(&messages[2], &receipt, &fork, draft_rot(&fork), 0, 1);
	say_unwitnessed(&messages[3], NULL, &fork, draft_ixn(&fork, "[]"), 0, 0);
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < COUNT(messages); k++)
			text_join(&stream, &messages[k]);
	text_join(&stream, &receipt);
	open_result(&r, true);
	r.book.record = true;
	feed(&r, &stream);
	book_finish(&r.book);
	expect_count(&r, id.aid, 2);
	log = book_log(&r.book, id.aid);
	/* what was recorded is a log by itself */
	text_bytes(&want, log->fresh, log->nfresh);
	assert_memory_equal(want.p, messages[0].p, messages[0].n);
	assert_memory_equal(want.p + messages[0].n, messages[1].p, messages[1].n);
	fork.sn--;
	book_free(&r.book);
	run(&r, &want, false);
	assert_true(r.complete);
	expect_count(&r, id.aid, 2);
	assert_int_equal(r.book.events, 0);
	book_free(&r.book);
	text_free(&stream);
	text_free(&want);
	text_free(&receipt);
	for (size_t k = 0; k < COUNT(messages); k++)
		text_free(&messages[k]);
}

/* ---- other bodies ---- */

static void acdcs_are_checked_by_their_said(void **state) {
	static const char form[] = "{\"v\":\"ACDC10JSON00005b_\",\"d\":" BLANK ",\"a\":\"anything\"}";
	struct id id = {.name = "one"};
	struct text stream = {0}, body = {0};
	char said[PRIMITIVE];
	struct result r;

	(void)state;
	text_add(&body, "%s", form);
	assert_int_equal(body.n, 0x5b);
	digest_of(body.p, body.n, said);
	memcpy(strstr(body.p, BLANK) + 1, said, strlen(said));
	say(&stream, &id, draft_icp(&id));
	text_join(&stream, &body);
	run(&r, &stream, false);
	assert_true(r.complete);
	assert_non_null(book_body(&r.book, said));
	assert_true(book_body(&r.book, said)->acdc);
	book_free(&r.book);
	*strstr(stream.p + stream.n - 12, "y") = 'x';
	expect_bad(&stream, "", 0, VERDICT_REFUSED, 1, UNREADABLE, "d is not the digest");
	text_free(&body);
	text_free(&stream);
}

/* The bodies of a registry may stand anywhere; they count by their SAID alone. */
static void registry_events_are_kept(void **state) {
	static const char *const ilks[] = {"iss", "rev"};
	struct id id = {.name = "one"};
	struct text stream = {0};
	char saids[2][SAID];
	struct result r;

	(void)state;
	for (size_t i = 0; i < COUNT(ilks); i++) {
		struct draft d = draft_head(ilks[i], BLANK, DIGEST);

		draft_add(&d, "s", i ? "\"1\"" : "\"0\"");
		draft_add(&d, "ri", "\"" DIGEST "\"");
		if (i)
			draft_add(&d, "p", "\"%s\"", saids[0]);
		draft_add(&d, "dt", "\"2026-01-01T00:00:00.000000+00:00\"");
		struct text body = draft_body(&d);
		body_field(&body, "d", saids[i]);
		text_join(&stream, &body);
		add_source_seal(&stream, 1, DIGEST);
		text_free(&body);
	}
	say(&stream, &id, draft_icp(&id));
	run(&r, &stream, false);
	assert_true(r.complete);
	expect_count(&r, id.aid, 1);
	for (size_t i = 0; i < COUNT(ilks); i++) {
		assert_non_null(book_body(&r.book, saids[i]));
		assert_false(book_body(&r.book, saids[i])->acdc);
	}
	assert_null(book_body(&r.book, id.said));
	book_free(&r.book);
	text_free(&stream);
}

/* ---- cut off at every byte ---- */

static void truncation_at_every_byte(void **state) {
	struct id id = {.name = "w", .nwitnesses = 2};
	struct text stream = {0};
	size_t ends[4], signed_only[4];

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct text attachments = {0}, body = id_state(&id, i == 0   ? draft_icp(&id)
								    : i == 2 ? draft_rot(&id)
									     : draft_ixn(&id, "[]"));

		text_join(&stream, &body);
		if (i % 2) {
			add_attachments(&attachments, &id, text_span(&body));
			add_frame(&stream, i == 1 ? "-V" : "-0V", &attachments);
			signed_only[i] = 0;
		} else {
			add_signatures(&stream, &id, text_span(&body));
			signed_only[i] = stream.n;
			add_receipts(&stream, text_span(&body), 0, 2);
		}
		ends[i] = stream.n;
		text_free(&body);
	}
	expect_good(&stream, &id);
	for (size_t n = 0, at = 0; n < stream.n; n++) {
		struct text cut = {stream.p, n, stream.size};
		struct result r;

		run(&r, &cut, false);
		if (n == 0) {
			expect_verdict(&r, 0, VERDICT_REFUSED, 0, "", UINT64_MAX, "empty");
		} else if (n == ends[at]) {
			assert_true(r.complete);
			at++;
		} else if (n == signed_only[at]) {
			expect_verdict(&r, 0, VERDICT_UNDERWITNESSED, at, id.aid, at, "0 of 2");
		} else if (r.n != 1 || r.verdicts[0].kind != VERDICT_TRUNCATED ||
			   r.verdicts[0].event != at) {
			fail_msg("cut at %zu: %zu verdicts, %s", n, r.n, r.n ? r.verdicts[0].reason : "");
		}
		expect_count(&r, id.aid, at);
		book_free(&r.book);
	}
	text_free(&stream);
}

/* ---- cost ---- */

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double time_of(const struct text *stream, const struct id *id) {
	double before = seconds();

	expect_good(stream, id);
	return seconds() - before;
}

#define MANY 3000

/* However a stream is arranged, it costs about what it costs in order: each event is tried when
 * there is news for it, and not with every other one. */
static void hostile_orders_cost_no_more(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1};
	struct text first = {0}, receipt = {0}, *rest = calloc(MANY, sizeof *rest);
	struct text *receipts = calloc(MANY, sizeof *receipts), stream = {0};
	double in_order, limit;

	(void)state;
	assert_true(rest && receipts);
	say_unwitnessed(&first, &receipt, &id, draft_icp(&id), 0, 1);
	for (size_t i = 0; i < MANY; i++)
		say_unwitnessed(&rest[i], &receipts[i], &id, draft_ixn(&id, "[]"), 0, 1);
	/* in order */
	text_join(&stream, &first);
	text_join(&stream, &receipt);
	for (size_t i = 0; i < MANY; i++) {
		text_join(&stream, &rest[i]);
		text_join(&stream, &receipts[i]);
	}
	in_order = time_of(&stream, &id);
	limit = in_order * 5 + 0.2;
	/* backwards, all receipts behind all events, the first one last of all */
	stream.n = 0;
	text_join(&stream, &first);
	for (size_t i = MANY; i-- > 0;)
		text_join(&stream, &rest[i]);
	for (size_t i = MANY; i-- > 0;)
		text_join(&stream, &receipts[i]);
	text_join(&stream, &receipt);
	assert_true(time_of(&stream, &id) < limit);
	/* the same with the receipts in order */
	stream.n = 0;
	text_join(&stream, &first);
	for (size_t i = 0; i < MANY; i++)
		text_join(&stream, &rest[i]);
	for (size_t i = 0; i < MANY; i++)
		text_join(&stream, &receipts[i]);
	text_join(&stream, &receipt);
	assert_true(time_of(&stream, &id) < limit);
	/* everything twice while nothing can be accepted */
	text_join(&stream, &stream);
	assert_true(time_of(&stream, &id) < 2 * limit);
	for (size_t i = 0; i < MANY; i++) {
		text_free(&rest[i]);
		text_free(&receipts[i]);
	}
	free(rest);
	free(receipts);
	text_free(&first);
	text_free(&receipt);
	text_free(&stream);
}

/* Receipts that are wrong, or of no use, and many of them, for one long event. */
static void wrong_receipts_of_a_long_event_cost_no_more(void **state) {
	struct id id = {.name = "w", .nwitnesses = 1};
	struct text seals = {0}, stream = {0}, body;
	struct draft d;
	double before;

	(void)state;
	text_add(&seals, "[{}");
	while (seals.n < 1 << 20)
		text_add(&seals, ",\"%01024d\"", 0);
	text_add(&seals, "]");
	d = draft_icp(&id);
	draft_set(&d, "a", seals.p);
	body = id_state(&id, d);
	text_join(&stream, &body);
	add_signatures(&stream, &id, text_span(&body));
	for (int i = 0; i < MANY; i++) {
		add_rct(&stream, id.aid, 0, id.said);
		add_receipts(&stream, span_str("another message"), 0, 1);
	}
	before = seconds();
	expect_bad(&stream, id.aid, 0, VERDICT_UNDERWITNESSED, 0, READABLE(0), "0 of 1");
	/* 3,000 times a megabyte would take some ten seconds */
	text_free(&seals);
	assert_true(seconds() - before < 5);
	text_free(&body);
	text_free(&stream);
}

/* Superseded events that come again and again. */
static void recoveries_cost_no_more(void **state) {
	struct id id = {.name = "one"}, fork;
	struct text stream = {0}, superseded = {0};
	double once;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	for (size_t i = 0; i < MANY / 2; i++) {
		size_t at = superseded.n;

		fork = id;
		say(&superseded, &fork, draft_ixn(&fork, "[]"));
		text_bytes(&stream, superseded.p + at, superseded.n - at);
		say(&stream, &id, draft_rot(&id));
	}
	once = time_of(&stream, &id);
	for (int i = 0; i < 3; i++)
		text_join(&stream, &superseded);
	assert_true(time_of(&stream, &id) < once * 3 + 0.2);
	text_free(&stream);
	text_free(&superseded);
}

/* Who took a recovered log in without what the recovery superseded goes on by a whole copy. */
static void a_whole_copy_of_a_recovered_log(void **state) {
	struct id id = {.name = "one"}, thief, owner;
	struct text whole = {0}, without = {0}, after = {0};
	struct result r;

	(void)state;
	say(&whole, &id, draft_icp(&id));
	text_join(&without, &whole);
	thief = owner = id;
	for (int i = 0; i < 3; i++)
		say(&whole, &thief, draft_ixn(&thief, "[]"));
	say(&after, &owner, draft_rot(&owner));
	text_join(&without, &after);
	say(&after, &owner, draft_ixn(&owner, "[]"));
	text_join(&whole, &after);
	open_result(&r, true);
	r.book.record = true;
	feed(&r, &without);
	feed(&r, &whole);
	assert_false(book_finish(&r.book));
	/* the first is told as what it is, the others can have no effect */
	expect_verdict(&r, 0, VERDICT_DUPLICITOUS, 3, id.aid, 1, "another event");
	expect_count(&r, id.aid, 3);
	assert_false(book_log(&r.book, id.aid)->frozen);
	book_free(&r.book);
	text_free(&whole);
	text_free(&without);
	text_free(&after);
}

/* Forgiving, too, nothing more is taken of an identifier whose event could not be read. */
static void an_event_that_cannot_be_read_ends_its_log(void **state) {
	struct id id = {.name = "one"}, other = {.name = "other"};
	struct text stream = {0}, bad = {0};
	struct result r;
	char *at;

	(void)state;
	say(&stream, &id, draft_icp(&id));
	say(&bad, &id, draft_ixn(&id, "[]"));
	at = strstr(bad.p, "\"s\":\"1\"");
	assert_non_null(at);
	at[5] = 'X';
	text_join(&stream, &bad);
	say(&stream, &id, draft_rot(&id));
	say(&stream, &other, draft_icp(&other));
	run(&r, &stream, true);
	assert_int_equal(r.n, 1);
	expect_count(&r, id.aid, 1);
	expect_count(&r, other.aid, 1);
	book_free(&r.book);
	text_free(&stream);
	text_free(&bad);
}

/* Wrong signatures are ignored while the right one is there, be they many; only of a long body do too many
 * of them end it (test_kel.c). */
static void many_wrong_signatures_are_ignored(void **state) {
	struct id id = {.name = "one"};
	struct text stream = {0}, body = id_state(&id, draft_icp(&id));

	(void)state;
	text_join(&stream, &body);
	for (int i = 0; i < 300; i++)
		add_signatures(&stream, &id, span_str("another message"));
	add_signatures(&stream, &id, text_span(&body));
	expect_good(&stream, &id);
	text_free(&stream);
	text_free(&body);
}

/* ---- depth ---- */

static void *run_on_a_small_stack(void *ctx) {
	struct result *r = ctx;
	struct text *stream = r->book.ctx;

	run(r, stream, false);
	return NULL;
}

/* A long chain of delegations whose first anchor is superseded: on a stack of 256 KB. */
static void a_long_chain_is_taken_back(void **state) {
	struct id *ids = calloc(MANY, sizeof *ids), fork;
	struct text stream = {0};
	pthread_attr_t attr;
	pthread_t thread;
	struct result r;

	(void)state;
	assert_non_null(ids);
	ids[0].name = "first";
	say(&stream, &ids[0], draft_icp(&ids[0]));
	fork = ids[0];
	for (size_t i = 1; i < MANY; i++) {
		struct text message = {0};

		ids[i] = (struct id){.name = "same", .delegator = &ids[i - 1]};
		say_delegated(&stream, &message, &ids[i - 1], &ids[i], draft_icp(&ids[i]));
		text_join(&stream, &message);
		text_free(&message);
	}
	say(&stream, &fork, draft_rot(&fork));
	r.book.ctx = &stream;
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, 256 << 10), 0);
	assert_int_equal(pthread_create(&thread, &attr, run_on_a_small_stack, &r), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	assert_int_equal(r.n, 1);
	expect_verdict(&r, 0, VERDICT_REFUSED, 2, ids[1].aid, 0, "superseded");
	expect_count(&r, ids[0].aid, 2);
	expect_count(&r, ids[1].aid, 0);
	expect_count(&r, ids[MANY - 1].aid, 0);
	book_free(&r.book);
	free(ids);
	text_free(&stream);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log),
		cmocka_unit_test(nothing_is_refused),
		cmocka_unit_test(input_stops_at_the_first_refusal),
		cmocka_unit_test(what_is_no_message),
		cmocka_unit_test(logs_may_be_mixed),
		cmocka_unit_test(events_out_of_order_are_refused),
		cmocka_unit_test(receipts_in_messages),
		cmocka_unit_test(receipts_from_everywhere_add_up),
		cmocka_unit_test(a_witness_counts_once_everywhere),
		cmocka_unit_test(receipts_of_two_copies_add_up),
		cmocka_unit_test(receipts_of_nothing_are_no_refusal),
		cmocka_unit_test(one_waits_the_other_goes_on),
		cmocka_unit_test(the_lowest_event_is_named),
		cmocka_unit_test(refused_after_waiting),
		cmocka_unit_test(a_gap_behind_one_that_waits),
		cmocka_unit_test(several_streams),
		cmocka_unit_test(replays),
		cmocka_unit_test(duplicity),
		cmocka_unit_test(duplicity_needs_receipts),
		cmocka_unit_test(recovery),
		cmocka_unit_test(a_recovery_that_waits),
		cmocka_unit_test(delegator_before_and_after),
		cmocka_unit_test(a_chain_of_delegators),
		cmocka_unit_test(without_a_source_seal),
		cmocka_unit_test(delegator_and_receipts_missing),
		cmocka_unit_test(a_seal_in_the_wrong_place),
		cmocka_unit_test(the_anchor_is_superseded),
		cmocka_unit_test(the_anchor_of_a_chain_is_superseded),
		cmocka_unit_test(anchored_again),
		cmocka_unit_test(the_place_is_free_again),
		cmocka_unit_test(forgiving_goes_on_with_others),
		cmocka_unit_test(duplicity_ends_what_waits),
		cmocka_unit_test(forgiving_stops_where_messages_end),
		cmocka_unit_test(messages_are_recorded),
		cmocka_unit_test(acdcs_are_checked_by_their_said),
		cmocka_unit_test(registry_events_are_kept),
		cmocka_unit_test(truncation_at_every_byte),
		cmocka_unit_test(hostile_orders_cost_no_more),
		cmocka_unit_test(wrong_receipts_of_a_long_event_cost_no_more),
		cmocka_unit_test(recoveries_cost_no_more),
		cmocka_unit_test(many_wrong_signatures_are_ignored),
		cmocka_unit_test(a_whole_copy_of_a_recovered_log),
		cmocka_unit_test(an_event_that_cannot_be_read_ends_its_log),
		cmocka_unit_test(a_long_chain_is_taken_back),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
