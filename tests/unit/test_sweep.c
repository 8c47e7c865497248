/* test_sweep.c: a good log with every bit flipped, cut off at every byte, every byte put out of place. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* ---- logs ---- */

/* What may be changed and is accepted all the same, to the same key state. Everything else of a log is
 * under a signature, or is one. */
struct place {
	const char *name;
	size_t begin, end; /* in the stream */
	size_t taken;	   /* changes there that were accepted */
};

#define PLACES 16

struct log {
	struct id id;
	char said[2][SAID]; /* of the events */
	struct text stream;
	size_t starts[3];	    /* of the events, and the end */
	size_t groups[32], ngroups; /* where a group of attachments ends */
	struct place places[PLACES];
	size_t nplaces;
};

static void add_place(struct log *log, const char *name, size_t begin, size_t n) {
	assert_true(log->nplaces < PLACES);
	log->places[log->nplaces++] = (struct place){name, begin, begin + n, 0};
}

/* What was appended since then may change. */
static void may_change(struct log *log, const char *name, size_t begin) {
	add_place(log, name, begin, log->stream.n - begin);
}

/* The group that was appended ends here. */
static void end_group(struct log *log) {
	assert_true(log->ngroups < COUNT(log->groups));
	log->groups[log->ngroups++] = log->stream.n;
}

static void log_free(struct log *log) {
	text_free(&log->stream);
}

static struct text begin_event(struct log *log, size_t number, struct draft d) {
	struct text body = id_state(&log->id, d);

	memcpy(log->said[number], log->id.said, SAID);
	log->starts[number] = log->stream.n;
	text_join(&log->stream, &body);
	end_group(log);
	return body;
}

static void end_log(struct log *log) {
	log->starts[2] = log->stream.n;
}

/* One key that signs everything, one witness, and nothing more. */
static struct log tight_log(bool rotates, bool framed) {
	struct log log = {.id = {.name = "one", .nwitnesses = 1, .prefix = framed ? "D" : NULL}};
	struct text body, frame = {0};

	for (size_t i = 0; i < 2; i++) {
		struct draft d = i == 0	   ? draft_icp(&log.id)
				 : rotates ? draft_rot(&log.id)
					   : draft_ixn(&log.id, "[{\"d\":\"" DIGEST "\"}]");

		body = begin_event(&log, i, d);
		if (framed) {
			add_attachments(&frame, &log.id, text_span(&body));
			add_frame(&log.stream, i ? "-0V" : "-V", &frame);
		} else {
			add_signatures(&log.stream, &log.id, text_span(&body));
			end_group(&log);
			add_receipts(&log.stream, text_span(&body), 0, 1);
		}
		end_group(&log);
		text_free(&body);
	}
	end_log(&log);
	return log;
}

static void add_number(struct text *to) {
	uint8_t raw[16] = {0};
	char text[PRIMITIVE];

	text_add(to, "%s", primitive("0A", raw, sizeof raw, text));
}

/* -E, -G and -I, of which a plain event needs none, and -D, -F, -H, signed by others. */
static void add_loose_groups(struct log *log, struct span body) {
	struct key stranger = key_of("stranger", 0, 0);
	struct text *to = &log->stream;
	size_t at;

	add_counter(to, 'E', 1);
	at = to->n;
	add_number(to);
	text_add(to, "1AAG2026-01-01T00c00c00d000000p00c00");
	may_change(log, "-E: when somebody first saw the event", at);
	end_group(log);
	add_counter(to, 'G', 1);
	at = to->n;
	add_number(to);
	text_add(to, DIGEST);
	may_change(log, "-G: the source seal of an event that is not delegated", at);
	end_group(log);
	add_counter(to, 'I', 1);
	at = to->n;
	text_add(to, DIGEST);
	add_number(to);
	text_add(to, DIGEST);
	may_change(log, "-I: a seal of another event", at);
	end_group(log);
	add_counter(to, 'D', 1);
	at = to->n;
	text_add(to, DIGEST);
	add_number(to);
	text_add(to, DIGEST);
	add_signature(to, body, &stranger, "A", 0, 0);
	may_change(log, "-D: the receipt of somebody who is no witness", at);
	end_group(log);
	add_counter(to, 'H', 1);
	at = to->n;
	text_add(to, DIGEST);
	may_change(log, "-H: who else signed", at);
	add_counter(to, 'A', 1);
	at = to->n;
	add_signature(to, body, &stranger, "A", 0, 0);
	may_change(log, "-H: what else was signed", at);
	end_group(log);
}

/* Signatures and receipts of which one would do, and groups that verification does not need. */
static struct log loose_log(void) {
	struct log log = {.id = {.name = "one", .nkeys = 2, .nwitnesses = 2, .bt = "\"1\""}};
	struct key witness;
	struct text body;
	size_t at;

	body = begin_event(&log, 0, draft_icp(&log.id));
	at = log.stream.n + 4;
	add_signatures(&log.stream, &log.id, text_span(&body));
	may_change(&log, "-A: one of two signatures, one is needed", at);
	end_group(&log);
	at = log.stream.n + 4;
	add_receipts(&log.stream, text_span(&body), 0, 2);
	may_change(&log, "-B: one of two receipts, one is needed", at);
	end_group(&log);
	add_loose_groups(&log, text_span(&body));
	text_free(&body);
	body = begin_event(&log, 1, draft_rot(&log.id));
	at = log.stream.n + 4;
	add_signatures(&log.stream, &log.id, text_span(&body));
	may_change(&log, "-A: one of two signatures of a rotation, one is needed", at);
	end_group(&log);
	add_counter(&log.stream, 'C', 2);
	at = log.stream.n;
	for (unsigned i = 0; i < 2; i++) {
		witness = key_of("witness", 0, i);
		add_couple(&log.stream, text_span(&body), &witness);
	}
	may_change(&log, "-C: one of two couples, one is needed", at);
	end_group(&log);
	text_free(&body);
	end_log(&log);
	return log;
}

/* ---- reading ---- */

struct result {
	struct book book;
	bool complete;
	size_t n;
	struct verdict last;
};

static void note(void *ctx, const struct verdict *verdict) {
	struct result *r = ctx;

	r->last = *verdict;
	r->n++;
}

static struct result run(const char *p, size_t n) {
	struct result r = {.book = {.report = note}};
	struct span exact = bytes_copy(p, n);

	r.book.ctx = &r;
	book_read(&r.book, exact);
	bytes_free(exact);
	r.complete = book_finish(&r.book);
	r.book.ctx = NULL;
	assert_int_equal(r.n, !r.complete);
	return r;
}

static uint64_t accepted(const struct result *r, const struct log *log) {
	const struct kel *kel = book_kel(&r->book, log->id.aid);

	return kel ? kel->count : 0;
}

/* Both events were accepted, as they were stated. */
static void expect_state(const struct result *r, const struct log *log) {
	const struct kel *kel = book_kel(&r->book, log->id.aid);
	char said[CESR_TEXT];

	assert_true(kel && kel->count == 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(kel_said(kel, i, said));
		assert_string_equal(said, log->said[i]);
	}
}

/* ---- changes of one byte ---- */

/* Reads the log with another byte in this place. It is refused, or the place may change. */
static void change(struct log *log, size_t at, char byte) {
	char before = log->stream.p[at];
	struct place *place = NULL;
	struct result r;

	log->stream.p[at] = byte;
	r = run(log->stream.p, log->stream.n);
	log->stream.p[at] = before;
	if (!r.complete) {
		assert_true(accepted(&r, log) <= 2 - (at < log->starts[1]));
		book_free(&r.book);
		return;
	}
	for (size_t i = 0; i < log->nplaces; i++)
		if (at >= log->places[i].begin && at < log->places[i].end)
			place = &log->places[i];
	if (!place)
		fail_msg("byte %zu, '%c', may be %02x: …%.*s", at, before, (uint8_t)byte, 24,
			log->stream.p + (at < 12 ? 0 : at - 12));
	place->taken++;
	expect_state(&r, log);
	book_free(&r.book);
}

/* Places that do not change after all are not to be listed. */
static void expect_all_taken(const struct log *log) {
	for (size_t i = 0; i < log->nplaces; i++)
		if (log->places[i].taken == 0)
			fail_msg("no change is accepted in \"%s\"", log->places[i].name);
}

static void flip_every_bit(struct log log) {
	for (size_t at = 0; at < log.stream.n; at++)
		for (int bit = 0; bit < 8; bit++)
			change(&log, at, (char)(log.stream.p[at] ^ 1 << bit));
	expect_all_taken(&log);
	log_free(&log);
}

static void no_flipped_bit_of_a_tight_log_is_accepted(void **state) {
	(void)state;
	flip_every_bit(tight_log(false, false));
	flip_every_bit(tight_log(true, true));
}

static void flipped_bits_are_accepted_where_nothing_is_signed(void **state) {
	(void)state;
	flip_every_bit(loose_log());
}

/* What has a meaning to JSON, in a version string or in CESR, where it does not belong. */
static void put_out_of_place(struct log log) {
	static const char structural[] = "{}[]:,\"\\-#0A";

	for (size_t at = 0; at < log.stream.n; at++)
		for (size_t i = 0; i < sizeof structural - 1; i++)
			if (log.stream.p[at] != structural[i])
				change(&log, at, structural[i]);
	expect_all_taken(&log);
	log_free(&log);
}

static void no_character_stands_in_for_another(void **state) {
	struct log log = tight_log(true, true);

	(void)state;
	/* empty, with the groups behind it: these may stand in a frame or not */
	add_place(&log, "-V: size of a frame", log.groups[0] + 2, 2);
	add_place(&log, "-0V, which is --V, too", log.groups[2] + 1, 1);
	add_place(&log, "-0V: size of a frame", log.groups[2] + 3, 5);
	put_out_of_place(log);
	put_out_of_place(loose_log());
}

/* B, which is A without a next key: the code of a signature is not signed. It matters only where a
 * next key is exposed. */
static void a_signature_may_say_current_keys_only(void **state) {
	struct log log = tight_log(false, false);

	(void)state;
	for (size_t i = 0; i < COUNT(log.groups) && i < log.ngroups; i++)
		if (log.stream.p[log.groups[i]] == '-') {
			log.places[log.nplaces++] = (struct place){
				"code of a signature", log.groups[i] + 4, log.groups[i] + 5, 0};
			change(&log, log.groups[i] + 4, 'B');
		}
	assert_int_equal(log.nplaces, 4);
	expect_all_taken(&log);
	log_free(&log);
	/* but a rotation's signature must expose a next key */
	log = tight_log(true, false);
	change(&log, log.groups[3] + 4, 'B');
	log_free(&log);
}

/* ---- cut off at every byte ---- */

/* Between two groups the rest may be missing and the event complete, or not; elsewhere the end always
 * shows. Either way what was accepted are the events before it. */
static void cut_everywhere(struct log log) {
	for (size_t n = 1; n < log.stream.n; n++) {
		struct result r = run(log.stream.p, n);
		uint64_t whole = n >= log.starts[1];
		bool between = false;

		for (size_t i = 0; i < log.ngroups; i++)
			between = between || log.groups[i] == n;
		if (r.complete)
			assert_true(between && accepted(&r, &log) > 0);
		else if (between)
			assert_true(
				r.last.kind == VERDICT_TRUNCATED || r.last.kind == VERDICT_UNDERWITNESSED);
		else if (r.last.kind != VERDICT_TRUNCATED || r.last.event != whole - (n == log.starts[1]))
			fail_msg("cut at %zu: %s", n, r.last.reason);
		assert_true(accepted(&r, &log) == whole + (r.complete && n != log.starts[1]));
		book_free(&r.book);
	}
	log_free(&log);
}

static void truncation_at_every_byte(void **state) {
	(void)state;
	cut_everywhere(tight_log(true, false));
	cut_everywhere(tight_log(false, true));
	cut_everywhere(loose_log());
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_flipped_bit_of_a_tight_log_is_accepted),
		cmocka_unit_test(flipped_bits_are_accepted_where_nothing_is_signed),
		cmocka_unit_test(no_character_stands_in_for_another),
		cmocka_unit_test(a_signature_may_say_current_keys_only),
		cmocka_unit_test(truncation_at_every_byte),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
