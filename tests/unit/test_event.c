/* test_event.c: one message body: field order, types, canonical values, SAID; seals. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sodium.h>
#include <cmocka.h>

#include "builder.h"
#include "bytes.h"
#include "event.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DIGEST "\"EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"" /* BLAKE3 of nothing */
#define OTHER "\"EHOa0Lj8t5cKh1C6pDWjCxqh2iS7wJqR7mMIZq0dmf2T\""
#define KEY_D "\"DAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""
#define KEY_B "\"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* ---- one right body of every kind ---- */

enum sample {
	ICP,
	ICP_D,
	ICP_B,
	DIP,
	ROT,
	DRT,
	IXN,
	RCT,
	VCP_KERIPY,
	VCP_KERIOX,
	ISS,
	REV,
	SAMPLES,
};

static const char *const sample_names[] = {"icp", "icp of a D", "icp of a B", "dip", "rot", "drt", "ixn",
	"rct", "vcp of keripy", "vcp of keriox", "iss", "rev"};

static struct draft registry_sample(enum sample which) {
	static const char *const ilks[] = {"vcp", "vcp", "iss", "rev"};
	struct draft d = draft_head(ilks[which - VCP_KERIPY], BLANK, which == VCP_KERIPY ? BLANK : DIGEST);

	if (which == VCP_KERIPY)
		draft_add(&d, "ii", DIGEST);
	draft_add(&d, "s", which == REV ? "\"1\"" : "\"0\"");
	if (which == VCP_KERIOX)
		draft_add(&d, "ii", DIGEST);
	if (which == VCP_KERIPY || which == VCP_KERIOX) {
		draft_add(&d, "c", "[\"NB\"]");
		draft_add(&d, "bt", "\"0\"");
		draft_add(&d, "b", "[]");
	}
	if (which == VCP_KERIPY)
		draft_add(&d, "n", "\"0AAUiJMii_rPXXCiLTEEaDT7\"");
	if (which == ISS || which == REV)
		draft_add(&d, "ri", DIGEST);
	if (which == REV)
		draft_add(&d, "p", DIGEST);
	if (which == ISS || which == REV)
		draft_add(&d, "dt", "\"2026-01-01T00:00:00.000000+00:00\"");
	return d;
}

static struct draft sample(enum sample which) {
	struct id boss = {.name = "boss", .aid = "EHOa0Lj8t5cKh1C6pDWjCxqh2iS7wJqR7mMIZq0dmf2T"};
	struct id plain = {.name = "plain", .nkeys = 2, .nwitnesses = 2};
	struct draft d;
	char said[SAID];

	if (which >= VCP_KERIPY)
		return registry_sample(which);
	if (which == ICP_D || which == ICP_B) {
		plain = (struct id){.name = "basic", .prefix = which == ICP_D ? "D" : "B"};
		return draft_icp(&plain);
	}
	if (which == DIP || which == DRT)
		plain.delegator = &boss;
	d = draft_icp(&plain);
	if (which == ICP || which == DIP)
		return d;
	struct text body = id_state(&plain, d);
	body_field(&body, "d", said);
	text_free(&body);
	if (which == ROT || which == DRT)
		return draft_rot(&plain);
	if (which == IXN)
		return draft_ixn(&plain, "[{\"d\":" DIGEST "},{\"x\":[1,\"é\",{}]}]");
	d = draft_head("rct", said, plain.aid);
	draft_add(&d, "s", "\"0\"");
	return d;
}

/* Parses a copy with nothing behind it; the spans of *event are then dead. */
static bool parses(const struct text *body, struct event *event, struct err *err) {
	struct span exact = bytes_copy(body->p, body->n);
	bool good;

	*err = (struct err){0};
	good = event_parse(exact, event, err);
	assert_int_equal(err->text[0] == 0, good);
	bytes_free(exact);
	return good;
}

/* The draft is refused, for this reason. */
static void expect_refused(struct draft *d, const char *reason) {
	struct text body = draft_body(d);
	struct event event;
	struct err err;

	if (parses(&body, &event, &err) || !strstr(err.text, reason))
		fail_msg("expected \"%s\", got \"%s\": %s", reason, err.text, body.p);
	text_free(&body);
}

static void expect_good(struct draft *d) {
	struct text body = draft_body(d);
	struct event event;
	struct err err;

	if (!parses(&body, &event, &err))
		fail_msg("%s: %s", err.text, body.p);
	text_free(&body);
}

static void expect_field(struct span got, const struct draft *d, const char *name) {
	for (size_t i = 0; i < d->n; i++) {
		const struct text *value = &d->field[i].value;

		if (strcmp(d->field[i].name, name) != 0 || strcmp(value->p, BLANK) == 0)
			continue;
		if (got.n && (got.p[0] == '[' || got.p[0] == '"'))
			assert_true(span_eq(got, text_span(value)));
		else
			assert_true(span_eq(got, span_of(value->p + 1, value->n - 2)));
		return;
	}
}

static void every_kind_is_read(void **state) {
	static const enum event_ilk ilks[] = {EVENT_ICP, EVENT_ICP, EVENT_ICP, EVENT_DIP, EVENT_ROT,
		EVENT_DRT, EVENT_IXN, EVENT_RCT, EVENT_VCP, EVENT_VCP, EVENT_ISS, EVENT_REV};

	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft d = sample(which), same = sample(which);
		struct text body = draft_body(&same);
		struct err err = {0};
		struct event event;

		if (!event_parse(text_span(&body), &event, &err))
			fail_msg("%s: %s", sample_names[which], err.text);
		assert_int_equal(event.ilk, ilks[which]);
		assert_ptr_equal(event.body.p, body.p);
		assert_int_equal(event.body.n, body.n);
		assert_int_equal(event.said.n, SAID - 1);
		assert_int_equal(event.aid.n, SAID - 1);
		expect_field(event.aid, &d, "i");
		expect_field(event.prior, &d, "p");
		expect_field(event.delegator, &d, which >= VCP_KERIPY ? "ii" : "di");
		expect_field(event.registry, &d, "ri");
		expect_field(event.kt, &d, "kt");
		expect_field(event.nt, &d, "nt");
		expect_field(event.bt, &d, "bt");
		expect_field(event.keys, &d, "k");
		if (which < VCP_KERIPY)
			expect_field(event.next, &d, "n");
		expect_field(event.witnesses, &d, "b");
		expect_field(event.witnesses, &d, "ba");
		expect_field(event.cuts, &d, "br");
		expect_field(event.traits, &d, "c");
		expect_field(event.seals, &d, "a");
		while (d.n)
			draft_drop(&d, 0);
		text_free(&body);
	}
}

static void a_missing_field_is_refused(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft all = sample(which);
		size_t n = all.n;

		for (size_t i = 0; i < n; i++) {
			struct draft d = i ? sample(which) : all;

			/* without the n of keripy a vcp is keriox's, if its order were that */
			draft_drop(&d, i);
			expect_refused(&d, i < 2 ? "" : "expected");
		}
	}
}

static void swapped_fields_are_refused(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft all = sample(which);
		size_t n = all.n;

		for (size_t i = 0; i + 1 < n; i++) {
			struct draft d = i ? sample(which) : all;

			draft_swap(&d, i);
			expect_refused(&d, "");
		}
	}
}

static void a_field_too_many_is_refused(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft all = sample(which);
		size_t n = all.n;

		/* a new one and a second one of each, at every place */
		for (size_t i = 0; i < n; i++)
			for (size_t at = 0; at <= n; at++) {
				struct draft d = i || at ? sample(which) : all;

				draft_add(&d, i ? d.field[i].name : "zz", "%s",
					i ? d.field[i].value.p : "\"\"");
				for (size_t k = n; k > at; k--)
					draft_swap(&d, k - 1);
				expect_refused(&d, at == n ? "a field too many" : "");
			}
	}
}

static void another_field_name_is_refused(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft all = sample(which);
		size_t n = all.n;

		for (size_t i = 0; i < n; i++) {
			struct draft d = i ? sample(which) : all;

			d.field[i].name[0] = (char)(d.field[i].name[0] - 'a' + 'A');
			expect_refused(&d, "");
		}
	}
}

/* Values that are wrong for any identifier, in any kind that has the field. */
static const struct bad_value {
	const char *field, *value, *reason;
} bad_values[] = {
	{"t", "\"\"", "not supported"},
	{"t", "\"rpy\"", "not supported"},
	{"t", "\"xip\"", "not supported"},
	{"t", "\"bis\"", "not supported"},
	{"t", "\"brv\"", "not supported"},
	{"t", "\"vrt\"", "not supported"},
	{"t", "\"icp \"", "not supported"},
	{"t", "\"ICP\"", "not supported"},
	{"t", "1", "string"},
	{"d", "\"\"", "d is no BLAKE3 digest"},
	{"d", KEY_D, "d is no BLAKE3 digest"},
	{"d", "1", "string"},
	/* a digest of another kind, and one with a pad bit set */
	{"d", "\"FK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"", "d is no BLAKE3 digest"},
	{"d", "\"Ea8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"", "d is no BLAKE3 digest"},
	{"i", "\"\"", "i is no identifier"},
	{"i", "\"CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "i is no identifier"},
	{"i", "\"EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJ\"", "i is no identifier"},
	{"i", "\"EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJiA\"", "i is no identifier"},
	{"i", "\"EK8TSbn1+aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"", "i is no identifier"},
	{"i", "null", "string"},
	{"s", "\"\"", "s is no canonical sequence number"},
	{"s", "\"00\"", "s is no canonical sequence number"},
	{"s", "\"01\"", "s is no canonical sequence number"},
	{"s", "\"A\"", "s is no canonical sequence number"},
	{"s", "\"g\"", "s is no canonical sequence number"},
	{"s", "\"-1\"", "s is no canonical sequence number"},
	{"s", "\" 1\"", "s is no canonical sequence number"},
	{"s", "\"0x1\"", "s is no canonical sequence number"},
	{"s", "\"8000000000000000\"", "s is no canonical sequence number"},
	{"s", "\"ffffffffffffffff\"", "s is no canonical sequence number"},
	{"s", "\"10000000000000000\"", "s is no canonical sequence number"},
	{"s", "1", "string"},
	{"p", "\"\"", "p is no BLAKE3 digest"},
	{"p", KEY_D, "p is no BLAKE3 digest"},
	{"p", "null", "string"},
	{"ri", "\"\"", "ri is no BLAKE3 digest"},
	{"ri", KEY_D, "ri is no BLAKE3 digest"},
	{"k", "{}", "k is no list"},
	{"k", KEY_D, "k is no list"},
	{"k", "[1]", "k holds something other than strings"},
	{"k", "[" KEY_D ",[]]", "k holds something other than strings"},
	{"k", "[" KEY_D ",{}]", "k holds something other than strings"},
	{"k", "[" KEY_D ",null]", "k holds something other than strings"},
	{"k", "[" KEY_D ",]", "value"},
	{"k", "[," KEY_D "]", "value"},
	{"k", "[" KEY_D " ]", "comma"},
	{"br", "null", "br is no list"},
	{"br", "[1]", "br holds something other than strings"},
	{"ba", "{}", "ba is no list"},
	{"ba", "[[]]", "ba holds something other than strings"},
	{"b", "\"\"", "b is no list"},
	{"b", "[{}]", "b holds something other than strings"},
	{"c", "\"EO\"", "c is no list"},
	{"c", "[1]", "c holds something other than strings"},
	{"c", "[\"E\\u004f\"]", "escape"},
	{"a", "{}", "a is no list"},
	{"a", "\"\"", "a is no list"},
	{"a", "[{\"x\":1,\"x\":2}]", "twice"},
	{"a", "[{\"x\": 1}]", "value"},
	{"a", "[\"\xff\"]", "UTF-8"},
	{"a", "[\"\n\"]", "control"},
	{"a", "[1,]", "value"},
	{"a", "[", "value"},
	{"a", "[01]", "comma"},
	{"di", "\"\"", "di is no identifier"},
	{"di", "\"CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "di is no identifier"},
	{"di", "1", "string"},
	{"ii", "1", "string"},
	{"dt", "1", "string"},
};

static void each_field_alone(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(bad_values); i++) {
		const struct bad_value *bad = &bad_values[i];
		int tried = 0;

		for (enum sample which = 0; which < SAMPLES; which++) {
			struct draft d = sample(which);
			bool has = false;

			for (size_t k = 0; k < d.n; k++)
				has = has || strcmp(d.field[k].name, bad->field) == 0;
			if (has) {
				draft_set(&d, bad->field, bad->value);
				expect_refused(&d, bad->reason);
				tried++;
			}
			while (d.n)
				draft_drop(&d, 0);
		}
		assert_true(tried > 0);
	}
}

/* n is a list in key events, a text in keripy's vcp. */
static void next_keys_are_a_list(void **state) {
	struct draft d = sample(ICP);

	(void)state;
	draft_set(&d, "n", "\"\"");
	expect_refused(&d, "n is no list");
	d = sample(ROT);
	draft_set(&d, "n", "[1]");
	expect_refused(&d, "n holds something other than strings");
	d = sample(VCP_KERIPY);
	draft_set(&d, "n", "[]");
	expect_refused(&d, "");
}

/* Opaque values: their rules need the key state. */
static void what_is_for_the_key_state_is_passed_over(void **state) {
	static const struct {
		const char *field, *value;
	} values[] = {
		{"kt", "1"},
		{"kt", "[[\"1/2\"],{}]"},
		{"nt", "null"},
		{"bt", "1e9"},
		{"k", "[]"},
		{"k", "[\"\"]"},
		{"n", "[\"x\"]"},
		{"c", "[\"EO\",\"EO\",\"?\"]"},
		{"a", "[]"},
		{"a", "[1,\"x\",null,[[]],{\"d\":1}]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct draft d = sample(ICP);

		draft_set(&d, values[i].field, values[i].value);
		expect_good(&d);
	}
}

static void sequence_numbers(void **state) {
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{"0", 0},
		{"9", 9},
		{"a", 10},
		{"f", 15},
		{"10", 16},
		{"c8", 200},
		{"7ffffffffffffffe", INT64_MAX - 1},
		{"7fffffffffffffff", INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct draft d = sample(IXN);
		struct text body, raw = {0};
		struct event event;
		struct err err;
		uint64_t value;

		text_add(&raw, "\"%s\"", good[i].text);
		draft_set(&d, "s", raw.p);
		body = draft_body(&d);
		assert_true(parses(&body, &event, &err));
		assert_true(event.sn == good[i].value);
		assert_true(event_number(span_str(good[i].text), &value));
		assert_true(value == good[i].value);
		text_free(&raw);
		text_free(&body);
	}
}

/* ---- SAID ---- */

static void said_is_the_digest_of_the_bytes(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft d = sample(which);
		struct text body;
		struct event event;
		struct err err;
		char *seal;

		if (which == RCT) {
			draft_set(&d, "d", OTHER); /* not its own */
			expect_good(&d);
			continue;
		}
		/* another digest; for inceptions in d and i alike */
		draft_set(&d, "d", OTHER);
		if (which == ICP || which == DIP || which == VCP_KERIPY)
			draft_set(&d, "i", OTHER);
		expect_refused(&d, "d is not the digest of the body");
		/* a changed byte */
		d = sample(which);
		body = draft_body(&d);
		seal = strchr(body.p, ']');
		if (!seal)
			seal = strstr(body.p, "2026") + 2;
		*seal = *seal == ']' ? ',' : '3';
		assert_false(parses(&body, &event, &err));
		text_free(&body);
	}
}

static void inception_binds_its_prefix(void **state) {
	struct draft d = sample(ICP);
	char said[SAID];
	struct text body;

	(void)state;
	/* d right, with i another one: i is no more than a field then */
	draft_set(&d, "i", OTHER);
	expect_refused(&d, "i differs from d");
	d = sample(DIP);
	draft_set(&d, "i", OTHER);
	expect_refused(&d, "i differs from d");
	d = sample(DIP);
	draft_set(&d, "i", KEY_D);
	expect_refused(&d, "i of a delegated inception is no digest");
	d = sample(DIP);
	draft_set(&d, "i", KEY_B);
	expect_refused(&d, "i of a delegated inception is no digest");
	/* i is d, but it was not blank when d was taken */
	d = sample(ICP);
	body = draft_body(&d);
	body_field(&body, "d", said);
	text_free(&body);
	d = sample(ICP);
	draft_set(&d, "i", "\"\"");
	draft_find(&d, "i");
	d.field[draft_find(&d, "i")].value.n = 0;
	text_add(&d.field[draft_find(&d, "i")].value, "\"%s\"", said);
	expect_refused(&d, "i differs from d");
	/* basic: only d is taken out */
	d = sample(ICP_D);
	body = draft_body(&d);
	assert_null(strstr(body.p, BLANK));
	text_free(&body);
}

/* ---- registries ---- */

static void registries(void **state) {
	struct draft d = sample(VCP_KERIPY);

	(void)state;
	/* in keripy's order i is d */
	draft_set(&d, "i", OTHER);
	expect_refused(&d, "i differs from d");
	d = sample(VCP_KERIPY);
	draft_set(&d, "i", KEY_D);
	expect_refused(&d, "i differs from d");
	/* in keriox's order it is not */
	d = sample(VCP_KERIOX);
	draft_set(&d, "i", BLANK);
	expect_refused(&d, "i equals d");
	/* backers of their own are not supported */
	for (enum sample which = VCP_KERIPY; which <= VCP_KERIOX; which++) {
		d = sample(which);
		draft_set(&d, "b", "[" KEY_B "]");
		expect_refused(&d, "backers");
		d = sample(which);
		draft_set(&d, "bt", "\"1\"");
		expect_refused(&d, "backers");
		d = sample(which);
		draft_set(&d, "bt", "0");
		expect_good(&d);
		d = sample(which);
		draft_set(&d, "s", "\"1\"");
		expect_refused(&d, "sn");
	}
	d = sample(ISS);
	draft_set(&d, "s", "\"1\"");
	expect_refused(&d, "sn");
	d = sample(REV);
	draft_set(&d, "s", "\"0\"");
	expect_refused(&d, "sn");
}

/* ---- what can be said of a body that is refused ---- */

static void aid_and_sn_as_far_as_they_were_read(void **state) {
	static const struct {
		const char *field, *value;
		bool aid, sn;
	} bent[] = {
		{"t", "\"xxx\"", false, false},
		{"d", "\"\"", false, false},
		{"i", "\"x\"", false, false},
		{"s", "\"00\"", true, false},
		{"p", "\"\"", true, true},
		{"a", "{}", true, true},
		{"d", OTHER, true, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bent); i++) {
		struct draft d = sample(IXN);
		struct text body;
		struct event event;
		struct err err;

		draft_set(&d, bent[i].field, bent[i].value);
		body = draft_body(&d);
		assert_false(parses(&body, &event, &err));
		assert_int_equal(event.aid.n != 0, bent[i].aid);
		assert_int_equal(event.sn == 1, bent[i].sn);
		assert_int_equal(event.sn == UINT64_MAX, !bent[i].sn);
		text_free(&body);
	}
}

/* ---- every byte ---- */

static void no_prefix_of_a_body_is_a_body(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft d = sample(which);
		struct text body = draft_body(&d), cut = body;
		struct event event;
		struct err err;

		for (cut.n = 0; cut.n < body.n; cut.n++)
			assert_false(parses(&cut, &event, &err));
		text_add(&body, " ");
		assert_false(parses(&body, &event, &err));
		text_free(&body);
	}
}

static void no_changed_bit_is_taken(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft d = sample(which);
		struct text body = draft_body(&d);
		struct event event;
		struct err err;

		if (which != RCT) /* has no SAID of its own */
			for (size_t i = 0; i < body.n * 8; i++) {
				body.p[i / 8] ^= (char)(1 << i % 8);
				assert_false(parses(&body, &event, &err));
				body.p[i / 8] ^= (char)(1 << i % 8);
			}
		text_free(&body);
	}
}

/* A blank or a line's end between any two tokens, everything else consistent. */
static void no_white_space(void **state) {
	(void)state;
	for (enum sample which = 0; which < SAMPLES; which++) {
		struct draft d = sample(which);
		struct text whole = {0};
		bool quoted = false;

		/* joined by hand: size and SAID are still open */
		for (size_t i = 0; i < d.n; i++) {
			text_add(&whole, "%s\"%s\":", i ? "," : "{", d.field[i].name);
			text_join(&whole, &d.field[i].value);
		}
		text_add(&whole, "}");
		while (d.n)
			draft_drop(&d, 0);
		for (size_t i = 0; i < whole.n; i++) {
			struct text body = {0};
			struct event event;
			struct err err;

			quoted ^= whole.p[i] == '"';
			if (quoted)
				continue;
			text_add(
				&body, "%.*s%c%s", (int)i + 1, whole.p, i % 2 ? ' ' : '\n', whole.p + i + 1);
			body_complete(&body);
			assert_false(parses(&body, &event, &err));
			text_free(&body);
		}
		text_free(&whole);
	}
}

/* ---- seals ---- */

static void seals_by_their_exact_fields(void **state) {
	static const char d44[] = "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi";
	static const char i44[] = "EHOa0Lj8t5cKh1C6pDWjCxqh2iS7wJqR7mMIZq0dmf2T";
	static const struct {
		const char *text;
		enum seal_kind kind;
		const char *i, *d;
		uint64_t s;
	} seals[] = {
		{"{\"d\":" DIGEST "}", SEAL_DIGEST, "", d44, UINT64_MAX},
		{"{\"i\":" OTHER ",\"s\":\"0\",\"d\":" DIGEST "}", SEAL_EVENT, i44, d44, 0},
		{"{\"i\":" OTHER ",\"s\":\"1f\",\"d\":" DIGEST "}", SEAL_EVENT, i44, d44, 31},
		{"{\"i\":" OTHER ",\"s\":\"01\",\"d\":" DIGEST "}", SEAL_EVENT, i44, d44, UINT64_MAX},
		{"{\"i\":\"x\",\"s\":\"1\",\"d\":\"y\"}", SEAL_EVENT, "", "", 1},
		{"{\"d\":\"y\"}", SEAL_DIGEST, "", "", UINT64_MAX},
		{"{\"i\":" OTHER ",\"s\":1,\"d\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER ",\"s\":\"1\",\"d\":null}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER ",\"d\":" DIGEST ",\"s\":\"1\"}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER ",\"s\":\"1\"}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER ",\"d\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"s\":\"1\",\"d\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"d\":" DIGEST ",\"x\":\"\"}", SEAL_OTHER, "", "", 0},
		{"{\"x\":\"\",\"d\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER ",\"s\":\"1\",\"d\":" DIGEST ",\"x\":\"\"}", SEAL_OTHER, "", "", 0},
		{"{\"rd\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"bi\":" OTHER ",\"d\":" DIGEST "}", SEAL_OTHER, "", "", 0},
		{"{\"i\":" OTHER "}", SEAL_OTHER, "", "", 0},
		{"{}", SEAL_OTHER, "", "", 0},
		{"[{\"d\":" DIGEST "}]", SEAL_OTHER, "", "", 0},
		{DIGEST, SEAL_OTHER, "", "", 0},
		{"null", SEAL_OTHER, "", "", 0},
		{"-1.5e3", SEAL_OTHER, "", "", 0},
	};
	struct text list = {0};
	struct span exact, rest;
	struct seal seal;

	(void)state;
	text_add(&list, "[");
	for (size_t i = 0; i < COUNT(seals); i++)
		text_add(&list, "%s%s", i ? "," : "", seals[i].text);
	text_add(&list, "]");
	exact = rest = bytes_copy(list.p, list.n);
	for (size_t i = 0; i < COUNT(seals); i++) {
		assert_true(event_next_seal(&rest, &seal));
		assert_int_equal(seal.kind, seals[i].kind);
		assert_string_equal(seal.i, seals[i].i);
		assert_string_equal(seal.d, seals[i].d);
		if (seal.kind != SEAL_OTHER)
			assert_true(seal.s == seals[i].s);
	}
	assert_false(event_next_seal(&rest, &seal));
	assert_false(event_next_seal(&rest, &seal));
	bytes_free(exact);
	text_free(&list);
}

static void texts_of_a_list(void **state) {
	static const struct {
		const char *list;
		const char *texts[3];
	} lists[] = {
		{"[]", {NULL}},
		{"[\"\"]", {"", NULL}},
		{"[\"a\",\"b,]\"]", {"a", "b,]", NULL}},
		{"[\"a\\\"\",\"\"]", {"a\\\"", "", NULL}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct span exact = bytes_copy(lists[i].list, strlen(lists[i].list));
		struct span rest = exact, text;

		for (size_t k = 0; lists[i].texts[k]; k++) {
			assert_true(event_next_text(&rest, &text));
			assert_true(span_is(text, lists[i].texts[k]));
		}
		assert_false(event_next_text(&rest, &text));
		assert_int_equal(rest.n, 0);
		assert_false(event_next_text(&rest, &text));
		bytes_free(exact);
	}
}

static void filling_completes_a_body(void **state) {
	char body[] = "{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\"" EVENT_BLANK_SAID
		      "\",\"i\":\"" EVENT_BLANK_SAID "\"}";
	struct text want = {0};

	(void)state;
	text_add(&want, "%s", body);
	body_complete(&want);
	event_fill(body, strlen(body));
	assert_string_equal(body, want.p);
	text_free(&want);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_read),
		cmocka_unit_test(a_missing_field_is_refused),
		cmocka_unit_test(swapped_fields_are_refused),
		cmocka_unit_test(a_field_too_many_is_refused),
		cmocka_unit_test(another_field_name_is_refused),
		cmocka_unit_test(each_field_alone),
		cmocka_unit_test(next_keys_are_a_list),
		cmocka_unit_test(what_is_for_the_key_state_is_passed_over),
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(said_is_the_digest_of_the_bytes),
		cmocka_unit_test(inception_binds_its_prefix),
		cmocka_unit_test(registries),
		cmocka_unit_test(aid_and_sn_as_far_as_they_were_read),
		cmocka_unit_test(no_prefix_of_a_body_is_a_body),
		cmocka_unit_test(no_changed_bit_is_taken),
		cmocka_unit_test(no_white_space),
		cmocka_unit_test(seals_by_their_exact_fields),
		cmocka_unit_test(texts_of_a_list),
		cmocka_unit_test(filling_completes_a_body),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
