/* test_kel.c: key events against key state: every rule kept, and each broken alone. */
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
#include "kel.h"
#include "threshold.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DIGEST "\"EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\""

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* ---- applying ---- */

/* Applies a body and attachments, in memory of exactly their size; err gets the reason. */
static enum kel_outcome apply_to(struct kel *kel, const struct text *body, struct span attachments,
	const struct kel *delegator, struct err *err) {
	struct span exact = bytes_copy(body->p, body->n);
	struct span attached = bytes_copy(attachments.p, attachments.n);
	struct kel_progress progress = {0};
	enum kel_outcome outcome;
	struct event event;

	*err = (struct err){0};
	if (!event_parse(exact, &event, err))
		fail_msg("%s: %s", err->text, body->p);
	outcome = kel_apply(kel, &event, attached, delegator, &progress, err);
	kel_progress_free(&progress);
	bytes_free(exact);
	bytes_free(attached);
	return outcome;
}

static void expect(struct kel *kel, const struct text *body, const struct text *attachments,
	const struct kel *delegator, enum kel_outcome want, const char *reason) {
	struct err err;
	enum kel_outcome got = apply_to(kel, body, text_span(attachments), delegator, &err);

	if (got != want || !strstr(err.text, reason))
		fail_msg("outcome %d, not %d; \"%s\", not \"%s\": %s", got, want, err.text, reason, body->p);
}

/* States the next event of id: with all that it needs. */
static void expect_event(struct kel *kel, struct id *id, struct draft d, const struct kel *delegator,
	enum kel_outcome want, const char *reason) {
	struct text body = id_state(id, d), attachments = {0};

	add_attachments(&attachments, id, text_span(&body));
	expect(kel, &body, &attachments, delegator, want, reason);
	text_free(&body);
	text_free(&attachments);
}

static void accept(struct kel *kel, struct id *id, struct draft d) {
	expect_event(kel, id, d, NULL, KEL_ACCEPTED, "");
	assert_true(kel->count == id->sn);
}

/* The same on a copy of the identity: what comes next is still the same. */
static void refuse(struct kel *kel, const struct id *id, struct draft d, const char *reason) {
	struct id copy = *id;
	uint64_t count = kel->count;

	expect_event(kel, &copy, d, NULL, KEL_REFUSED, reason);
	assert_true(kel->count == count);
}

/* An inception alone: with one field bent, accepted (reason NULL) or refused. */
static void try_icp(const struct id *id, const char *field, const char *value, const char *reason) {
	struct id copy = *id;
	struct kel kel = {0};
	struct draft d = draft_icp(&copy);

	if (field)
		draft_set(&d, field, value);
	if (reason)
		refuse(&kel, &copy, d, reason);
	else
		accept(&kel, &copy, d);
	kel_free(&kel);
}

/* A rotation behind a right inception, likewise. */
static void try_rot(const struct id *id, const char *field, const char *value, const char *reason) {
	struct id copy = *id;
	struct kel kel = {0};
	struct draft d;

	accept(&kel, &copy, draft_icp(&copy));
	d = draft_rot(&copy);
	if (field)
		draft_set(&d, field, value);
	if (reason)
		refuse(&kel, &copy, d, reason);
	else
		accept(&kel, &copy, d);
	kel_free(&kel);
}

static char *join(struct text *text, const char *a, const char *b) {
	text->n = 0;
	text_add(text, "%s%s", a, b);
	return text->p;
}

/* ---- thresholds ---- */

#define MET 1
#define UNMET 0
#define WRONG (-1)

static void thresholds(void **state) {
	static const struct {
		const char *text;
		const char *flags; /* one digit for each key */
		int want;
	} cases[] = {
		/* numbers: hex as strings, decimal as JSON integers */
		{"\"1\"", "1", MET},
		{"\"1\"", "0", UNMET},
		{"\"2\"", "0110", MET},
		{"\"2\"", "0100", UNMET},
		{"\"3\"", "111", MET},
		{"1", "1", MET},
		{"2", "01", UNMET},
		{"\"a\"", "1111111111", MET},
		{"\"a\"", "1111111110", UNMET},
		{"10", "1111111111", MET},
		{"\"10\"", "1111111111", WRONG},
		{"\"0\"", "1", WRONG},
		{"0", "1", WRONG},
		{"\"2\"", "1", WRONG},
		{"2", "1", WRONG},
		{"\"01\"", "11", WRONG},
		{"01", "11", WRONG},
		{"\"\"", "1", WRONG},
		{"\"A\"", "1111111111", WRONG},
		{"\"-1\"", "1", WRONG},
		{"-1", "1", WRONG},
		{"1.0", "1", WRONG},
		{"1e0", "1", WRONG},
		{"true", "1", WRONG},
		{"null", "1", WRONG},
		{"{}", "1", WRONG},
		{"\"ffffffffffffffff\"", "1", WRONG},
		{"\"10000000000000001\"", "1", WRONG},
		{"18446744073709551617", "1", WRONG},
		{"\"1/1\"", "1", WRONG},
		/* weights */
		{"[\"1\"]", "1", MET},
		{"[\"1\"]", "0", UNMET},
		{"[\"1\",\"0\"]", "10", MET},
		{"[\"1\",\"0\"]", "01", UNMET},
		{"[\"1/2\",\"1/2\",\"1/2\"]", "101", MET},
		{"[\"1/2\",\"1/2\",\"1/2\"]", "001", UNMET},
		{"[\"1/3\",\"1/3\",\"1/3\"]", "111", MET},
		{"[\"1/3\",\"1/3\",\"1/3\"]", "110", UNMET},
		{"[\"1/3\",\"1/3\",\"1/6\",\"1/6\"]", "1111", MET},
		{"[\"1/3\",\"1/3\",\"1/6\",\"1/6\"]", "1110", UNMET},
		{"[\"2/4\",\"3/6\"]", "11", MET},
		{"[\"1/1\"]", "1", MET},
		{"[\"0/7\",\"1\"]", "01", MET},
		{"[\"333333333/999999999\",\"2/3\"]", "11", MET},
		{"[\"333333332/999999999\",\"2/3\"]", "11", WRONG},
		/* seven sevenths, and eleven elevenths but one */
		{"[\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\"]", "1111111", MET},
		{"[\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\",\"1/7\"]", "1111110", UNMET},
		{"[\"1/2\",\"1/4\"]", "11", WRONG},
		{"[\"0\"]", "1", WRONG},
		{"[\"0\",\"0\"]", "11", WRONG},
		{"[]", "1", WRONG},
		{"[]", "", WRONG},
		{"[\"1\"]", "11", WRONG},
		{"[\"1\",\"1\"]", "1", WRONG},
		{"[\"2\"]", "1", WRONG},
		{"[\"3/2\"]", "1", WRONG},
		{"[\"1/0\"]", "1", WRONG},
		{"[\"0/0\"]", "1", WRONG},
		{"[\"01/2\",\"1\"]", "11", WRONG},
		{"[\"1/02\",\"1\"]", "11", WRONG},
		{"[\"1/\",\"1\"]", "11", WRONG},
		{"[\"/2\",\"1\"]", "11", WRONG},
		{"[\"1/2/2\",\"1\"]", "11", WRONG},
		{"[\"-1/2\",\"1\"]", "11", WRONG},
		{"[\"0.5\",\"1\"]", "11", WRONG},
		{"[\"\",\"1\"]", "11", WRONG},
		{"[\" 1\"]", "1", WRONG},
		{"[\"1/1000000000\",\"1\"]", "11", WRONG},
		{"[1]", "1", WRONG},
		{"[\"1\",1]", "11", WRONG},
		{"[{\"1\":[\"1\"]}]", "1", WRONG},
		/* denominators whose common one is too large */
		{"[\"1/999999937\",\"1/999999929\",\"1/999999893\",\"1\"]", "0001", WRONG},
		/* clauses, all of which must be met */
		{"[[\"1\"]]", "1", MET},
		{"[[\"1/2\",\"1/2\"],[\"1\"]]", "111", MET},
		{"[[\"1/2\",\"1/2\"],[\"1\"]]", "110", UNMET},
		{"[[\"1/2\",\"1/2\"],[\"1\"]]", "011", UNMET},
		{"[[\"1/2\",\"1/2\"],[\"1\",\"1\"]]", "1101", MET},
		{"[[\"1/2\",\"1/2\",\"1/2\"],[\"1/3\",\"1/3\",\"1/3\"]]", "101111", MET},
		{"[[\"1/2\",\"1/2\"],[\"1/2\"]]", "111", WRONG},
		{"[[\"1/2\",\"1/2\"],[\"1\"]]", "11", WRONG},
		{"[[\"1/2\",\"1/2\"],[\"1\"]]", "1111", WRONG},
		{"[[\"1\"],[]]", "1", WRONG},
		{"[[]]", "1", WRONG},
		{"[[\"1\"],\"1\"]", "11", WRONG},
		{"[\"1\",[\"1\"]]", "11", WRONG},
		{"[[[\"1\"]]]", "1", WRONG},
		{"[[\"1\"]", "1", WRONG},
		{"[[\"1\"]]x", "1", WRONG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span exact = bytes_copy(cases[i].text, strlen(cases[i].text));
		bool flags[16] = {false};
		size_t n = strlen(cases[i].flags);
		struct err err = {0};
		int got;

		for (size_t k = 0; k < n; k++)
			flags[k] = cases[i].flags[k] == '1';
		got = threshold_met(exact, flags, n, &err);
		if (got != cases[i].want)
			fail_msg("%s of %s: %d", cases[i].text, cases[i].flags, got);
		assert_int_equal(err.text[0] != 0, got != MET);
		bytes_free(exact);
	}
}

static void thresholds_of_an_event(void **state) {
	static const struct id two = {.name = "two", .nkeys = 2};
	static const struct id witnessed = {.name = "w", .nwitnesses = 3};

	(void)state;
	try_icp(&two, "kt", "\"2\"", NULL);
	try_icp(&two, "kt", "2", NULL);
	try_icp(&two, "kt", "[\"1/2\",\"1/2\"]", NULL);
	try_icp(&two, "kt", "\"3\"", "kt: threshold");
	try_icp(&two, "kt", "\"0\"", "kt: threshold");
	try_icp(&two, "kt", "[\"1/2\",\"1/4\"]", "kt: weights cannot reach 1");
	try_icp(&two, "kt", "[\"1\"]", "kt: not as many weights as keys");
	try_icp(&two, "nt", "\"2\"", NULL);
	try_icp(&two, "nt", "2", NULL);
	try_icp(&two, "nt", "[[\"1\"],[\"1\"]]", NULL);
	try_icp(&two, "nt", "\"3\"", "nt: threshold");
	try_icp(&two, "nt", "\"0\"", "nt: threshold");
	try_icp(&two, "nt", "[\"1/2\",\"1/4\"]", "nt: weights cannot reach 1");
	try_icp(&two, "n", "[]", "nt without next keys must be 0");
	try_icp(&witnessed, "bt", "\"1\"", NULL);
	try_icp(&witnessed, "bt", "3", NULL);
	try_icp(&witnessed, "bt", "\"0\"", "bt: threshold");
	try_icp(&witnessed, "bt", "\"4\"", "bt: threshold");
	try_icp(&witnessed, "bt", "[\"1\",\"1\",\"1\"]", "bt is no number");
	try_icp(&two, "bt", "0", NULL);
	try_icp(&two, "bt", "\"1\"", "bt without witnesses must be 0");
	try_rot(&two, "kt", "\"2\"", NULL);
	try_rot(&two, "kt", "\"3\"", "kt: threshold");
	try_rot(&two, "nt", "\"0\"", "nt: threshold");
	try_rot(&witnessed, "bt", "\"0\"", "bt: threshold");
}

/* ---- lists ---- */

static void keys(void **state) {
	static const struct id two = {.name = "two", .nkeys = 2};
	struct key first = key_of("two", 0, 0), second = key_of("two", 0, 1);
	char d[PRIMITIVE], d2[PRIMITIVE], b[PRIMITIVE], c[PRIMITIVE], pad[PRIMITIVE];
	struct text list = {0};

	(void)state;
	key_text("D", &first, d);
	key_text("D", &second, d2);
	key_text("B", &first, b);
	key_text("C", &first, c);
	memcpy(pad, d, sizeof pad);
	pad[1] = (char)(pad[1] == 'A' ? 'Q' : pad[1] == 'B' ? 'R' : 'Z');
	text_add(&list, "[\"%s\",\"%s\"]", d, d2);
	try_icp(&two, "k", list.p, NULL);
	list.n = 0;
	text_add(&list, "[\"%s\",\"%s\"]", b, d2); /* an E may list B keys */
	try_icp(&two, "k", list.p, NULL);
	try_icp(&two, "k", "[]", "0 keys");
	list.n = 0;
	text_add(&list, "[\"%s\",\"%s\"]", d, d);
	try_icp(&two, "k", list.p, "key 1 is listed twice");
	list.n = 0;
	text_add(&list, "[\"%s\",\"%s\"]", d, b);
	try_icp(&two, "k", list.p, "key 1 is listed twice");
	list.n = 0;
	text_add(&list, "[\"%s\",\"%s\"]", c, d2);
	try_icp(&two, "k", list.p, "key 0 is no Ed25519 key");
	list.n = 0;
	text_add(&list, "[\"%s\",\"%s\"]", d2, pad);
	try_icp(&two, "k", list.p, "key 1 is no Ed25519 key");
	try_icp(&two, "k", "[" DIGEST "]", "key 0 is no Ed25519 key");
	try_icp(&two, "k", "[\"\"]", "key 0 is no Ed25519 key");
	text_free(&list);
}

static void next_keys(void **state) {
	static const struct id one = {.name = "one"};
	struct kel kel = {0};
	struct id id = one;
	struct draft d;

	(void)state;
	try_icp(&one, "n", "[" DIGEST "]", NULL);
	try_icp(&one, "n", "[\"\"]", "next key 0 is no BLAKE3 digest");
	try_icp(&one, "n", "[" DIGEST ",\"DAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]",
		"next key 1 is no BLAKE3 digest");
	/* none at all, in each way that nt may say so */
	for (int i = 0; i < 2; i++) {
		d = draft_icp(&one);
		draft_set(&d, "nt", i ? "0" : "\"0\"");
		draft_set(&d, "n", "[]");
		id = one;
		accept(&kel, &id, d);
		assert_false(kel_abandoned(&kel));
		refuse(&kel, &id, draft_ixn(&id, "[]"), "no next keys");
		refuse(&kel, &id, draft_rot(&id), "no next keys");
		kel_free(&kel);
	}
}

/* A list of n texts, and the events that hold it. */
static struct text long_list(const char *owner, const char *code, unsigned n, bool digests) {
	struct text list = {0};
	char text[PRIMITIVE], digest[PRIMITIVE];

	for (unsigned i = 0; i < n; i++) {
		uint8_t pub[32] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)owner[0]};

		primitive(code, pub, sizeof pub, text);
		if (digests)
			digest_of(text, strlen(text), digest);
		text_add(&list, "%s\"%s\"", i ? "," : "[", digests ? digest : text);
	}
	text_add(&list, "]");
	return list;
}

static void lists_up_to_their_limit(void **state) {
	struct id many = {.name = "many", .nkeys = KEL_LIST_MAX, .kt = "\"400\"", .nt = "\"400\""};
	struct id one = {.name = "one"};
	struct kel kel = {0};
	struct text list;
	struct draft d;

	(void)state;
	/* as many keys as may be, all of which must sign, and a rotation of all */
	accept(&kel, &many, draft_icp(&many));
	accept(&kel, &many, draft_rot(&many));
	assert_int_equal(kel_current(&kel)->nkeys, KEL_LIST_MAX);
	assert_int_equal(kel_current(&kel)->nnext, KEL_LIST_MAX);
	kel_free(&kel);
	/* one too many */
	list = long_list("k", "D", KEL_LIST_MAX + 1, false);
	try_icp(&one, "k", list.p, "1025 keys");
	text_free(&list);
	list = long_list("k", "D", KEL_LIST_MAX, true);
	try_icp(&one, "n", list.p, NULL);
	text_free(&list);
	list = long_list("k", "D", KEL_LIST_MAX + 1, true);
	try_icp(&one, "n", list.p, "1025 next keys");
	text_free(&list);
	list = long_list("k", "B", KEL_WITNESSES_MAX + 1, false);
	try_icp(&one, "b", list.p, "too many witnesses");
	text_free(&list);
	/* witnesses: none too many at first, one too many by a rotation */
	one.nwitnesses = KEL_WITNESSES_MAX;
	accept(&kel, &one, draft_icp(&one));
	assert_int_equal(kel_current(&kel)->nwitnesses, KEL_WITNESSES_MAX);
	d = draft_rot(&one);
	list = witness_list(KEL_WITNESSES_MAX, KEL_WITNESSES_MAX + 1);
	draft_set(&d, "ba", list.p);
	text_free(&list);
	refuse(&kel, &one, d, "too many witnesses");
	kel_free(&kel);
}

/* ---- basic identifiers ---- */

static void basic_identifiers(void **state) {
	struct id d_id = {.name = "basic", .prefix = "D"}, b_id = {.name = "basic", .prefix = "B"};
	struct key other = key_of("basic", 0, 1);
	struct kel kel = {0};
	struct text list = {0};
	char text[PRIMITIVE];

	(void)state;
	try_icp(&d_id, NULL, NULL, NULL);
	try_rot(&d_id, NULL, NULL, NULL);
	try_icp(&b_id, NULL, NULL, NULL);
	/* i is not k[0] */
	text_add(&list, "\"%s\"", key_text("D", &other, text));
	try_icp(&d_id, "i", list.p, "i is not the one key");
	list.n = 0;
	text_add(&list, "\"%s\"", key_text("B", &other, text));
	try_icp(&b_id, "i", list.p, "i is not the one key");
	/* the same raw key in the other code is another identifier */
	other = key_of("basic", 0, 0);
	list.n = 0;
	text_add(&list, "\"%s\"", key_text("B", &other, text));
	try_icp(&d_id, "i", list.p, "i is not the one key");
	/* two keys */
	d_id.nkeys = 2;
	try_icp(&d_id, NULL, NULL, "i is not the one key");
	d_id.nkeys = 1;
	try_icp(&d_id, "kt", "\"2\"", "kt: threshold");
	/* a B has no next keys, no witnesses, no seals, no second event */
	try_icp(&b_id, "a", "[{\"d\":" DIGEST "}]", "non-transferable identifier with n, b or a");
	try_icp(&b_id, "a", "[\"\"]", "non-transferable identifier with n, b or a");
	try_icp(&b_id, "a", "[{}]", "non-transferable identifier with n, b or a");
	try_icp(&b_id, "a", "[1]", "non-transferable identifier with n, b or a");
	b_id.nwitnesses = 1;
	try_icp(&b_id, NULL, NULL, "non-transferable identifier with n, b or a");
	b_id.nwitnesses = 0;
	b_id.prefix = "D";
	struct draft with_next = draft_icp(&b_id);
	list.n = 0;
	text_add(&list, "\"%s\"", key_text("B", &other, text));
	draft_set(&with_next, "i", list.p);
	join(&list, "", "");
	text_add(&list, "[\"%s\"]", text);
	draft_set(&with_next, "k", list.p);
	refuse(&kel, &b_id, with_next, "non-transferable identifier with n, b or a");
	b_id.prefix = "B";
	accept(&kel, &b_id, draft_icp(&b_id));
	refuse(&kel, &b_id, draft_ixn(&b_id, "[]"), "nothing may follow");
	refuse(&kel, &b_id, draft_rot(&b_id), "nothing may follow");
	kel_free(&kel);
	text_free(&list);
}

/* ---- signatures ---- */

/* One signature: by key `number` of a round, or of nobody; how it is written. */
struct made {
	unsigned round, number;
	const char *code;
	unsigned index, ondex;
	bool wrong;
};

/* Applies an event that these alone sign. */
static void signed_by(struct kel *kel, const struct id *id, struct draft d, const struct made *made,
	size_t n, enum kel_outcome want, const char *reason) {
	struct id copy = *id;
	struct text body = id_state(&copy, d), attachments = {0};

	for (size_t i = 0; i < n; i++) {
		struct key key = key_of(id->name, made[i].round, made[i].number);

		/* each in a group of its own, every other one in a frame */
		struct text group = {0};

		add_counter(&group, 'A', 1);
		add_signature(&group, made[i].wrong ? span_str("another message") : text_span(&body), &key,
			made[i].code, made[i].index, made[i].ondex);
		if (i % 2)
			add_frame(&attachments, i % 4 == 1 ? "-V" : "--V", &group);
		else
			text_join(&attachments, &group);
		text_free(&group);
	}
	expect(kel, &body, &attachments, NULL, want, reason);
	text_free(&body);
	text_free(&attachments);
}

static void signatures_of_an_inception(void **state) {
	static const struct id id = {.name = "three", .nkeys = 3, .kt = "\"2\""};
	static const struct {
		struct made made[4];
		size_t n;
		bool good;
	} cases[] = {
		{{{0, 0, "A", 0, 0, false}, {0, 1, "A", 1, 1, false}}, 2, true},
		{{{0, 2, "A", 2, 2, false}, {0, 0, "A", 0, 0, false}}, 2, true},
		/* any code will do for the current keys */
		{{{0, 0, "B", 0, 0, false}, {0, 1, "2A", 1, 7, false}}, 2, true},
		{{{0, 0, "2B", 0, 0, false}, {0, 1, "2A", 1, 1, false}}, 2, true},
		/* too few */
		{{{0, 0, "A", 0, 0, false}}, 1, false},
		{{{0}}, 0, false},
		/* the same index counts once, in whatever code */
		{{{0, 0, "A", 0, 0, false}, {0, 0, "A", 0, 0, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 0, "2A", 0, 0, false}}, 2, false},
		{{{0, 0, "B", 0, 0, false}, {0, 0, "2B", 0, 0, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 0, "2A", 0, 1, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 0, "B", 0, 0, false}}, 2, false},
		/* another's key, another's place, a place that is not there */
		{{{0, 0, "A", 0, 0, false}, {1, 1, "A", 1, 1, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 1, "A", 2, 2, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 1, "A", 3, 3, false}}, 2, false},
		{{{0, 0, "A", 0, 0, false}, {0, 1, "2A", 4095, 4095, false}}, 2, false},
		/* a signature that does not verify */
		{{{0, 0, "A", 0, 0, false}, {0, 1, "A", 1, 1, true}}, 2, false},
		/* which is ignored, if the others suffice, even at the same index */
		{{{0, 2, "A", 2, 2, true}, {0, 0, "A", 0, 0, false}, {0, 1, "A", 1, 1, false}}, 3, true},
		{{{0, 0, "A", 0, 0, true}, {0, 0, "A", 0, 0, false}, {0, 9, "A", 9, 9, true},
			 {0, 1, "A", 1, 1, false}},
			4, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kel kel = {0};

		signed_by(&kel, &id, draft_icp(&id), cases[i].made, cases[i].n,
			cases[i].good ? KEL_ACCEPTED : KEL_REFUSED,
			cases[i].good ? "" : "signing threshold not met");
		kel_free(&kel);
	}
}

/* Signatures in witness groups, couples and the like are none of the controller's. */
static void only_the_controller_group_counts(void **state) {
	static const struct id one = {.name = "one"};
	struct key key = key_of("one", 0, 0);

	(void)state;
	for (int form = 0; form < 3; form++) {
		struct id id = one;
		struct text body = id_state(&id, draft_icp(&id)), attachments = {0};
		struct kel kel = {0};

		if (form == 0) {
			add_counter(&attachments, 'B', 1);
			add_signature(&attachments, text_span(&body), &key, "A", 0, 0);
		} else if (form == 1) {
			add_counter(&attachments, 'C', 1);
			add_couple(&attachments, text_span(&body), &key);
		} else { /* a signature by another identifier that has the same key */
			add_counter(&attachments, 'H', 1);
			text_add(&attachments, "%s", id.aid);
			add_signatures(&attachments, &id, text_span(&body));
		}
		expect(&kel, &body, &attachments, NULL, KEL_REFUSED, "signing threshold not met: 0 of 1");
		text_free(&body);
		text_free(&attachments);
		kel_free(&kel);
	}
}

/* A public key of low order, with which one signature fits every message. */
static void no_key_of_low_order(void **state) {
	struct id one = {.name = "one"};
	uint8_t identity[32] = {1}, sig[64] = {1};
	struct draft d = draft_icp(&one);
	struct text body, list = {0}, attachments = {0};
	struct kel kel = {0};
	char text[PRIMITIVE];

	(void)state;
	text_add(&list, "[\"%s\"]", primitive("D", identity, sizeof identity, text));
	draft_set(&d, "k", list.p);
	body = id_state(&one, d);
	text_add(&attachments, "-AAB%s", primitive("AA", sig, sizeof sig, text));
	expect(&kel, &body, &attachments, NULL, KEL_REFUSED, "signing threshold not met");
	text_free(&list);
	text_free(&body);
	text_free(&attachments);
}

/* Of many wrong signatures only so many are tried. */
/* Of a long body, which each of them would have hashed. */
static void wrong_signatures_are_not_tried_for_ever(void **state) {
	static const struct id one = {.name = "one"};
	struct key right = key_of("one", 0, 0), wrong = key_of("one", 0, 1);
	char seals[20000];

	(void)state;
	memset(seals, 'x', sizeof seals);
	memcpy(seals, "[{\"x\":\"", 7);
	memcpy(seals + sizeof seals - 5, "\"}]", 4);
	for (unsigned n = 60; n <= 70; n += 10) {
		struct id id = one;
		struct draft d = draft_icp(&id);
		struct text body, attachments = {0};
		struct kel kel = {0};

		draft_set(&d, "a", seals);
		body = id_state(&id, d);
		add_counter(&attachments, 'A', n + 1);
		for (unsigned i = 0; i < n; i++)
			add_signature(&attachments, text_span(&body), &wrong, "A", 0, 0);
		add_signature(&attachments, text_span(&body), &right, "A", 0, 0);
		expect(&kel, &body, &attachments, NULL, n < 64 ? KEL_ACCEPTED : KEL_REFUSED, "");
		text_free(&body);
		text_free(&attachments);
		kel_free(&kel);
	}
}

/* ---- rotation ---- */

/* Three keys, two of the next three needed; the rotation signed as a case says. k of the rotation
 * is the next three, or a list of this test. */
static void signatures_of_a_rotation(void **state) {
	static const struct id start_id = {.name = "three", .nkeys = 3, .kt = "\"2\"", .nt = "\"2\""};
	static const struct {
		struct made made[4];
		size_t n;
		const char *kt, *reason;
	} cases[] = {
		{{{1, 0, "A", 0, 0, false}, {1, 1, "A", 1, 1, false}}, 2, "\"2\"", NULL},
		{{{1, 0, "2A", 0, 0, false}, {1, 2, "2A", 2, 2, false}}, 2, "\"2\"", NULL},
		/* the new threshold alone is not met */
		{{{1, 0, "A", 0, 0, false}, {1, 1, "A", 1, 1, false}}, 2, "\"3\"",
			"signing threshold not met: 2 of 3"},
		/* the prior next threshold alone is not met */
		{{{1, 0, "A", 0, 0, false}}, 1, "\"1\"", "next key commitment not met: 1 of 2"},
		{{{1, 0, "A", 0, 0, false}, {1, 1, "B", 1, 1, false}}, 2, "\"2\"",
			"next key commitment not met: 1 of 2"},
		{{{1, 0, "A", 0, 0, false}, {1, 1, "2B", 1, 0, false}}, 2, "\"2\"",
			"next key commitment not met: 1 of 2"},
		{{{1, 0, "B", 0, 0, false}, {1, 1, "B", 1, 1, false}, {1, 2, "B", 2, 2, false}}, 3, "\"2\"",
			"next key commitment not met: 0 of 2"},
		/* an ondex counts once, and only with the key that it commits to */
		{{{1, 0, "A", 0, 0, false}, {1, 0, "2A", 0, 0, false}, {1, 1, "B", 1, 1, false}}, 3, "\"2\"",
			"next key commitment not met: 1 of 2"},
		{{{1, 0, "2A", 0, 1, false}, {1, 1, "2A", 1, 0, false}}, 2, "\"2\"",
			"next key commitment not met: 0 of 2"},
		{{{1, 0, "A", 0, 0, false}, {1, 0, "2A", 0, 1, false}, {1, 1, "B", 1, 1, false}}, 3, "\"2\"",
			"next key commitment not met: 1 of 2"},
		{{{1, 0, "A", 0, 0, false}, {1, 1, "2A", 1, 4095, false}}, 2, "\"2\"",
			"next key commitment not met: 1 of 2"},
		/* a wrong signature exposes nothing */
		{{{1, 0, "A", 0, 0, false}, {1, 1, "A", 1, 1, true}, {1, 1, "B", 1, 1, false}}, 3, "\"2\"",
			"next key commitment not met: 1 of 2"},
		/* the current-only and the exposing signature of one key may come in any order */
		{{{1, 1, "B", 1, 1, false}, {1, 0, "B", 0, 0, false}, {1, 1, "A", 1, 1, false},
			 {1, 0, "2A", 0, 0, false}},
			4, "\"2\"", NULL},
		/* the old keys sign nothing */
		{{{0, 0, "A", 0, 0, false}, {0, 1, "A", 1, 1, false}}, 2, "\"2\"",
			"signing threshold not met: 0 of 2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct id id = start_id;
		struct kel kel = {0};
		struct draft d;

		accept(&kel, &id, draft_icp(&id));
		d = draft_rot(&id);
		draft_set(&d, "kt", cases[i].kt);
		signed_by(&kel, &id, d, cases[i].made, cases[i].n,
			cases[i].reason ? KEL_REFUSED : KEL_ACCEPTED,
			cases[i].reason ? cases[i].reason : "");
		kel_free(&kel);
	}
}

/* k of a rotation, from keys of any round. */
static void set_keys(struct draft *d, const struct id *id, const unsigned (*keys)[2], size_t n) {
	struct text list = {0};
	char text[PRIMITIVE];

	for (size_t i = 0; i < n; i++) {
		struct key key = key_of(id->name, keys[i][0], keys[i][1]);

		text_add(&list, "%s\"%s\"", i ? "," : "[", key_text("D", &key, text));
	}
	text_add(&list, "]");
	draft_set(d, "k", list.p);
	text_free(&list);
}

/* The committed keys may be joined by new ones, reordered, and some of them held in reserve. */
static void partial_rotation_and_reserve(void **state) {
	static const struct id start_id = {.name = "three", .nkeys = 3, .kt = "\"2\"", .nt = "\"2\""};
	/* k: a new key, committed key 2, committed key 0; key 1 stays in reserve */
	static const unsigned mixed[][2] = {{7, 0}, {1, 2}, {1, 0}};
	static const struct made good[] = {{1, 2, "2A", 1, 2, false}, {1, 0, "2A", 2, 0, false}};
	static const struct made by_index[] = {{1, 2, "A", 1, 1, false}, {1, 0, "A", 2, 2, false}};
	static const struct made new_key[] = {{7, 0, "A", 0, 0, false}, {1, 2, "2A", 1, 2, false}};
	struct id id = start_id;
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	d = draft_rot(&id);
	set_keys(&d, &id, mixed, 3);
	signed_by(&kel, &id, d, by_index, 2, KEL_REFUSED, "next key commitment not met: 0 of 2");
	/* a key that is listed but does not sign counts for nothing */
	d = draft_rot(&id);
	set_keys(&d, &id, mixed, 3);
	signed_by(&kel, &id, d, new_key, 2, KEL_REFUSED, "next key commitment not met: 1 of 2");
	/* the reserve key comes back in the next rotation, if it is committed to again */
	d = draft_rot(&id);
	set_keys(&d, &id, mixed, 3);
	draft_set(&d, "nt", "\"1\"");
	signed_by(&kel, &id, d, good, 2, KEL_ACCEPTED, "");
	assert_true(kel.count == 2);
	kel_free(&kel);
}

/* One stolen next key does not do for two. */
static void one_key_for_one_commitment(void **state) {
	static const struct id start_id = {.name = "three", .nkeys = 3, .kt = "\"2\"", .nt = "\"2\""};
	static const unsigned twice[][2] = {{1, 0}, {1, 0}};
	static const unsigned stolen[][2] = {{1, 0}, {7, 0}};
	static const struct made made[] = {{1, 0, "2A", 0, 0, false}, {1, 0, "2A", 1, 0, false}};
	static const struct made both[] = {{1, 0, "2A", 0, 0, false}, {7, 0, "2A", 1, 0, false}};
	struct id id = start_id;
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	d = draft_rot(&id);
	set_keys(&d, &id, twice, 2);
	signed_by(&kel, &id, d, made, 2, KEL_REFUSED, "key 1 is listed twice");
	d = draft_rot(&id);
	set_keys(&d, &id, stolen, 2);
	signed_by(&kel, &id, d, both, 2, KEL_REFUSED, "next key commitment not met: 1 of 2");
	kel_free(&kel);
}

static void weighted_next_keys(void **state) {
	static const struct id start_id = {.name = "three",
		.nkeys = 3,
		.kt = "[\"1/2\",\"1/2\",\"1/2\"]",
		.nt = "[[\"1/2\",\"1/2\"],[\"1\"]]"};
	static const struct made two[] = {{1, 0, "A", 0, 0, false}, {1, 2, "A", 2, 2, false}};
	static const struct made all[] = {
		{1, 0, "A", 0, 0, false}, {1, 2, "A", 2, 2, false}, {1, 1, "A", 1, 1, false}};
	struct id id = start_id;
	struct kel kel = {0};

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	signed_by(&kel, &id, draft_rot(&id), two, 2, KEL_REFUSED,
		"next key commitment not met: the weights do not reach 1");
	signed_by(&kel, &id, draft_rot(&id), all, 3, KEL_ACCEPTED, "");
	kel_free(&kel);
}

/* The digest is that of the 44 characters, not of the raw key. */
static void commitment_is_to_the_text(void **state) {
	struct id id = {.name = "one"};
	struct key next = key_of("one", 1, 0);
	struct kel kel = {0};
	struct text list = {0};
	struct draft d = draft_icp(&id);
	char text[PRIMITIVE];

	(void)state;
	text_add(&list, "[\"%s\"]", digest_of(next.pub, sizeof next.pub, text));
	draft_set(&d, "n", list.p);
	accept(&kel, &id, d);
	refuse(&kel, &id, draft_rot(&id), "next key commitment not met: 0 of 1");
	kel_free(&kel);
	/* nor of the key in another code */
	id = (struct id){.name = "one"};
	d = draft_icp(&id);
	key_text("B", &next, text);
	list.n = 0;
	digest_of(text, strlen(text), text);
	text_add(&list, "[\"%s\"]", text);
	draft_set(&d, "n", list.p);
	accept(&kel, &id, d);
	refuse(&kel, &id, draft_rot(&id), "next key commitment not met: 0 of 1");
	kel_free(&kel);
	text_free(&list);
}

static void abandonment(void **state) {
	struct id id = {.name = "one"};
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	assert_false(kel_abandoned(&kel));
	d = draft_rot(&id);
	draft_set(&d, "n", "[]");
	refuse(&kel, &id, d, "nt without next keys must be 0");
	d = draft_rot(&id);
	draft_set(&d, "n", "[]");
	draft_set(&d, "nt", "\"0\"");
	accept(&kel, &id, d);
	assert_true(kel_abandoned(&kel));
	refuse(&kel, &id, draft_ixn(&id, "[]"), "abandoned");
	refuse(&kel, &id, draft_rot(&id), "abandoned");
	kel_free(&kel);
}

/* ---- order ---- */

static void order(void **state) {
	struct id id = {.name = "one"}, before;
	struct kel kel = {0};
	struct draft d;

	(void)state;
	/* nothing stands before the inception */
	before = id;
	before.sn = 1;
	strcpy(before.aid, "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi");
	strcpy(before.said, before.aid);
	expect_event(&kel, &before, draft_ixn(&before, "[]"), NULL, KEL_GAP, "before it is missing");
	before.sn = 0;
	refuse(&kel, &before, draft_ixn(&before, "[]"), "sn 0 that is no inception");
	refuse(&kel, &before, draft_rot(&before), "sn 0 that is no inception");
	d = draft_icp(&id);
	draft_set(&d, "s", "\"1\"");
	refuse(&kel, &id, d, "an inception with an sn other than 0");
	accept(&kel, &id, draft_icp(&id));
	accept(&kel, &id, draft_ixn(&id, "[]"));
	/* a gap, the largest one, and a step back */
	before = id;
	before.sn++;
	expect_event(&kel, &before, draft_ixn(&before, "[]"), NULL, KEL_GAP, "before it is missing");
	before.sn = INT64_MAX;
	expect_event(&kel, &before, draft_ixn(&before, "[]"), NULL, KEL_GAP, "before it is missing");
	before = id;
	before.sn = 0;
	refuse(&kel, &before, draft_ixn(&before, "[]"), "sn 0 that is no inception");
	refuse(&kel, &before, draft_rot(&before), "sn 0 that is no inception");
	/* p: another event, and one further back */
	d = draft_ixn(&id, "[]");
	draft_set(&d, "p", DIGEST);
	refuse(&kel, &id, d, "p is not the event at sn 1");
	before = id;
	strcpy(before.said, before.aid);
	refuse(&kel, &before, draft_ixn(&before, "[]"), "p is not the event at sn 1");
	refuse(&kel, &before, draft_rot(&before), "p is not the event at sn 1");
	accept(&kel, &id, draft_ixn(&id, "[]"));
	accept(&kel, &id, draft_rot(&id));
	kel_free(&kel);
}

static void the_same_event_again_has_no_effect(void **state) {
	struct id id = {.name = "one"};
	struct text bodies[4], nothing = {0};
	struct kel kel = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct text attachments = {0};

		bodies[i] = id_state(&id, i == 0   ? draft_icp(&id)
					  : i == 2 ? draft_rot(&id)
						   : draft_ixn(&id, "[]"));
		add_attachments(&attachments, &id, text_span(&bodies[i]));
		expect(&kel, &bodies[i], &attachments, NULL, KEL_ACCEPTED, "");
		text_free(&attachments);
	}
	for (size_t i = 0; i < COUNT(bodies); i++) {
		expect(&kel, &bodies[i], &nothing, NULL, KEL_KNOWN, "");
		text_free(&bodies[i]);
	}
	assert_true(kel.count == 4);
	kel_free(&kel);
}

/* ---- duplicity and recovery ---- */

static void another_event_that_verifies_is_duplicity(void **state) {
	struct id id = {.name = "one"}, at[4];
	struct kel kel = {0};
	struct draft d;
	char said[CESR_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(at); i++) { /* icp ixn rot ixn */
		at[i] = id;
		accept(&kel, &id, i == 0 ? draft_icp(&id) : i == 2 ? draft_rot(&id) : draft_ixn(&id, "[]"));
	}
	expect_event(&kel, &at[1], draft_ixn(&at[1], "[{}]"), NULL, KEL_DUPLICITOUS,
		"another event was accepted at sn 1");
	at[1].sn--;
	strcpy(at[1].said, at[1].aid);
	/* a rot at or below the last establishment event is no recovery */
	expect_event(&kel, &at[1], draft_rot(&at[1]), NULL, KEL_DUPLICITOUS,
		"another event was accepted at sn 1");
	d = draft_rot(&at[2]);
	draft_set(&d, "a", "[{}]");
	expect_event(&kel, &at[2], d, NULL, KEL_DUPLICITOUS, "another event was accepted at sn 2");
	/* an ixn never supersedes */
	expect_event(&kel, &at[3], draft_ixn(&at[3], "[1]"), NULL, KEL_DUPLICITOUS,
		"another event was accepted at sn 3");
	/* the first seen stands */
	assert_true(kel.count == 4);
	assert_true(kel_said(&kel, 3, said));
	assert_string_equal(said, id.said);
	kel_free(&kel);
}

static void another_event_that_does_not_verify_is_none(void **state) {
	struct id id = {.name = "one"}, at;
	struct text body, attachments = {0};
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	at = id;
	accept(&kel, &id, draft_ixn(&id, "[]"));
	accept(&kel, &id, draft_rot(&id));
	/* not signed; signed by the keys of today; on another prior event; of a broken rule */
	body = id_state(&(struct id){.name = "one"}, draft_ixn(&at, "[{}]"));
	expect(&kel, &body, &attachments, NULL, KEL_REFUSED, "signing threshold not met");
	text_free(&body);
	d = draft_ixn(&at, "[{}]");
	at.round = 1;
	refuse(&kel, &at, d, "signing threshold not met");
	at.round = 0;
	d = draft_ixn(&at, "[{}]");
	draft_set(&d, "p", DIGEST);
	refuse(&kel, &at, d, "p is not the event at sn 0");
	d = draft_rot(&at);
	draft_set(&d, "kt", "\"2\"");
	refuse(&kel, &at, d, "kt: threshold");
	text_free(&attachments);
	kel_free(&kel);
}

/* Two inceptions of one basic identifier. */
static void basic_identifiers_can_be_duplicitous_at_once(void **state) {
	struct id id = {.name = "basic", .prefix = "D"}, again = id;
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	d = draft_icp(&again);
	draft_set(&d, "a", "[{}]");
	expect_event(&kel, &again, d, NULL, KEL_DUPLICITOUS, "another event was accepted at sn 0");
	kel_free(&kel);
}

/* The second step of a recovery: what is superseded is taken back, the event then accepted. */
static void recover(struct kel *kel, struct id *id, struct draft d) {
	struct text body = id_state(id, d), attachments = {0};

	add_attachments(&attachments, id, text_span(&body));
	expect(kel, &body, &attachments, NULL, KEL_RECOVERS, "");
	assert_true(kel_supersede(kel, id->sn - 1));
	expect(kel, &body, &attachments, NULL, KEL_ACCEPTED, "");
	assert_true(kel->count == id->sn);
	text_free(&body);
	text_free(&attachments);
}

static void a_rot_supersedes_interactions(void **state) {
	static const char seal[] = "[{\"d\":" DIGEST "}]";
	struct id id = {.name = "one"}, at[6], fork;
	struct text superseded[2], nothing = {0};
	struct kel kel = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(at); i++) { /* icp ixn rot ixn ixn ixn */
		at[i] = id;
		accept(&kel, &id, i == 0 ? draft_icp(&id) : i == 2 ? draft_rot(&id) : draft_ixn(&id, seal));
	}
	assert_int_equal(kel.nseals, 4);
	fork = at[4];
	superseded[0] = id_state(&fork, draft_ixn(&at[4], seal));
	superseded[1] = id_state(&fork, draft_ixn(&at[5], seal));
	fork = at[4];
	/* p must be right */
	strcpy(fork.said, at[3].said);
	refuse(&kel, &fork, draft_rot(&fork), "p is not the event at sn 3");
	fork = at[4];
	recover(&kel, &fork, draft_rot(&fork));
	/* the seals of what was superseded count no more */
	assert_int_equal(kel.nseals, 2);
	assert_int_equal(kel.seals[1].sn, 3);
	/* what was superseded stays known, wherever it stood */
	for (size_t i = 0; i < 2; i++) {
		expect(&kel, &superseded[i], &nothing, NULL, KEL_KNOWN, "");
		text_free(&superseded[i]);
	}
	/* but it can be continued no more, and it cannot be recovered from twice */
	refuse(&kel, &id, draft_ixn(&at[5], "[1]"), "p is not the event at sn 4");
	expect_event(&kel, &at[4], draft_ixn(&at[4], "[1]"), NULL, KEL_DUPLICITOUS, "another event");
	accept(&kel, &fork, draft_ixn(&fork, "[]"));
	accept(&kel, &fork, draft_rot(&fork));
	kel_free(&kel);
}

/* ---- configuration traits ---- */

static void establishment_only(void **state) {
	static const char *const traits[] = {"[\"EO\"]", "[\"NB\",\"EO\"]"};

	(void)state;
	for (size_t i = 0; i < COUNT(traits); i++) {
		struct id id = {.name = "one", .traits = traits[i]};
		struct kel kel = {0};

		accept(&kel, &id, draft_icp(&id));
		refuse(&kel, &id, draft_ixn(&id, "[]"), "EO");
		accept(&kel, &id, draft_rot(&id));
		refuse(&kel, &id, draft_ixn(&id, "[]"), "EO");
		kel_free(&kel);
	}
}

/* ---- witnesses ---- */

static void witness_lists(void **state) {
	static const struct id three = {.name = "w", .nwitnesses = 3};
	char w0[PRIMITIVE], w1[PRIMITIVE], w3[PRIMITIVE], d[PRIMITIVE];
	struct key key = key_of("witness", 0, 5);
	struct text list = {0};

	(void)state;
	witness_text(0, w0);
	witness_text(1, w1);
	witness_text(3, w3);
	key_text("D", &key, d);
#define TEXTS(...) (list.n = 0, text_add(&list, __VA_ARGS__), list.p)
	try_icp(&three, "b", TEXTS("[\"%s\",\"%s\",\"%s\"]", w0, w1, w1), "a witness is named twice");
	try_icp(&three, "b", TEXTS("[\"%s\",\"%s\",\"%s\"]", w0, w1, d),
		"a witness is no non-transferable Ed25519 key");
	try_icp(&three, "b", "[\"\"]", "a witness is no non-transferable Ed25519 key");
	try_icp(&three, "b", "[" DIGEST "]", "a witness is no non-transferable Ed25519 key");
	try_rot(&three, "br", TEXTS("[\"%s\"]", w3), "br names no present witness");
	try_rot(&three, "br", TEXTS("[\"%s\",\"%s\"]", w1, w1), "br names no present witness");
	try_rot(&three, "br", TEXTS("[\"%s\"]", d), "br names no present witness");
	try_rot(&three, "br", "[\"\"]", "br names no present witness");
	try_rot(&three, "ba", TEXTS("[\"%s\"]", w0), "a witness is named twice");
	try_rot(&three, "ba", TEXTS("[\"%s\",\"%s\"]", w3, w3), "a witness is named twice");
	try_rot(&three, "ba", TEXTS("[\"%s\"]", d), "a witness is no non-transferable");
	/* cut and added in one event */
	struct kel kel = {0};
	struct id id = three;
	struct draft rot;
	accept(&kel, &id, draft_icp(&id));
	rot = draft_rot(&id);
	draft_set(&rot, "br", TEXTS("[\"%s\"]", w1));
	draft_set(&rot, "ba", TEXTS("[\"%s\"]", w1));
	refuse(&kel, &id, rot, "a witness is named twice");
	/* bt against the new list: all cut */
	rot = draft_rot(&id);
	draft_set(&rot, "bt", "\"2\"");
	draft_set(&rot, "br", TEXTS("[\"%s\",\"%s\"]", w0, w1));
	refuse(&kel, &id, rot, "bt: threshold \"2\" of 1");
	kel_free(&kel);
	text_free(&list);
}

/* Applies with the controller's signatures and these receipts: letters of what each is. */
static void receipts_of(struct kel *kel, const struct id *id, struct draft d, const char *receipts,
	enum kel_outcome want, const char *reason) {
	struct id copy = *id;
	struct text body = id_state(&copy, d), attachments = {0};
	struct span span = text_span(&body);

	add_signatures(&attachments, &copy, span);
	/* form, witness, place; -B with A, a, 2A, -C, and wrong ones */
	for (const char *r = receipts; *r; r += 3) {
		unsigned witness = (unsigned)(r[1] - '0'), place = (unsigned)(r[2] - '0');
		struct key key = key_of("witness", 0, witness);
		struct span what = r[0] == 'x' ? span_str("another message") : span;
		struct text group = {0};

		if (r[0] == 'C') {
			add_counter(&group, 'C', 1);
			add_couple(&group, what, &key);
		} else {
			add_counter(&group, 'B', 1);
			add_signature(&group, what, &key,
				r[0] == '2'   ? "2A"
				: r[0] == 'b' ? "B"
				: r[0] == 'd' ? "2B"
					      : "A",
				place, r[0] == '2' ? place : 0);
		}
		if (place % 2)
			add_frame(&attachments, "-0V", &group);
		else
			text_join(&attachments, &group);
		text_free(&group);
	}
	expect(kel, &body, &attachments, NULL, want, reason);
	text_free(&body);
	text_free(&attachments);
}

static void receipts(void **state) {
	static const struct id id = {.name = "w", .nwitnesses = 3, .bt = "\"2\""};
	static const struct {
		const char *receipts, *missing;
	} cases[] = {
		{"B00B11", NULL},
		{"B22B00", NULL},
		{"C00C10", NULL},
		{"B00C10", NULL},
		{"200b11", NULL},
		{"d00211", NULL},
		{"", "0 of 2"},
		{"B00", "1 of 2"},
		/* once for each witness, whatever carried it */
		{"B00B00", "1 of 2"},
		{"B00200", "1 of 2"},
		{"B00b00", "1 of 2"},
		{"B00d00", "1 of 2"},
		{"B00C00", "1 of 2"},
		{"C00C00", "1 of 2"},
		/* by no witness, at another's place, at no place */
		{"B00C50", "1 of 2"},
		{"B00B12", "1 of 2"},
		{"B00B33", "1 of 2"},
		{"B00B13", "1 of 2"},
		/* over another message: ignored */
		{"B00x11", "1 of 2"},
		{"B00x11B11", NULL},
		{"x22C00B11", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kel kel = {0};

		receipts_of(&kel, &id, draft_icp(&id), cases[i].receipts,
			cases[i].missing ? KEL_NO_RECEIPTS : KEL_ACCEPTED,
			cases[i].missing ? cases[i].missing : "");
		kel_free(&kel);
	}
}

/* The new list is (old minus br, in order), then ba; and it is that list that must receipt. */
static void receipts_of_the_new_list(void **state) {
	/* witnesses afterwards: 0 2 3 4 */
	static const struct {
		const char *receipts, *missing;
	} cases[] = {
		{"C00C10", "1 of 2"}, /* 1 was cut */
		{"B00B11", "1 of 2"},
		{"B00B22", "1 of 2"}, /* 2 moved up */
		{"B21B43", NULL},
	};
	static const unsigned want[] = {0, 2, 3, 4};
	struct id id = {.name = "w", .nwitnesses = 3, .bt = "\"2\""};
	struct text cut = witness_list(1, 2), add = witness_list(3, 5);
	const struct kel_est *est;
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	for (size_t i = 0; i < COUNT(cases); i++) {
		d = draft_rot(&id);
		draft_set(&d, "br", cut.p);
		draft_set(&d, "ba", add.p);
		receipts_of(&kel, &id, d, cases[i].receipts,
			cases[i].missing ? KEL_NO_RECEIPTS : KEL_ACCEPTED,
			cases[i].missing ? cases[i].missing : "");
	}
	est = kel_current(&kel);
	assert_int_equal(est->nwitnesses, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		struct key key = key_of("witness", 0, want[i]);

		assert_memory_equal(est->witnesses[i], key.pub, sizeof key.pub);
	}
	assert_true(est->bt == 2);
	/* and so for the interactions that follow */
	assert_true(kel_said(&kel, 1, id.said));
	id.sn = 2;
	id.round = 1;
	receipts_of(&kel, &id, draft_ixn(&id, "[]"), "C10C00", KEL_NO_RECEIPTS, "1 of 2");
	receipts_of(&kel, &id, draft_ixn(&id, "[]"), "C30C00", KEL_ACCEPTED, "");
	text_free(&cut);
	text_free(&add);
	kel_free(&kel);
}

/* Receipts that come bit by bit cost only themselves, and none is counted again. */
static void receipts_bit_by_bit(void **state) {
	struct id id = {.name = "w", .nwitnesses = 3, .bt = "\"3\""};
	struct text body = id_state(&id, draft_icp(&id)), attachments = {0};
	struct kel_progress progress = {0};
	struct kel kel = {0};
	struct event event;
	struct err err;

	(void)state;
	assert_true(event_parse(text_span(&body), &event, &err));
	add_signatures(&attachments, &id, text_span(&body));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(kel_apply(&kel, &event, text_span(&attachments), NULL, &progress, &err),
			KEL_NO_RECEIPTS);
		assert_int_equal(progress.read, attachments.n);
		assert_non_null(strchr(err.text, (char)('0' + i)));
		for (unsigned k = 0; k <= i; k++)
			add_receipts(&attachments, text_span(&body), k, k + 1);
	}
	assert_int_equal(
		kel_apply(&kel, &event, text_span(&attachments), NULL, &progress, &err), KEL_ACCEPTED);
	kel_progress_free(&progress);
	kel_free(&kel);
	text_free(&body);
	text_free(&attachments);
}

/* ---- delegation ---- */

/* A delegator with two events, and a delegate that his second one seals. */
struct pair {
	struct id boss, del;
	struct kel boss_kel, kel;
	struct text body; /* dip */
};

static void pair_make(struct pair *pair, const char *traits) {
	*pair = (struct pair){.boss = {.name = "boss", .traits = traits}, .del = {.name = "del"}};
	pair->del.delegator = &pair->boss;
	accept(&pair->boss_kel, &pair->boss, draft_icp(&pair->boss));
	pair->body = id_state(&pair->del, draft_icp(&pair->del));
	accept(&pair->boss_kel, &pair->boss, draft_sealing(&pair->boss, &pair->del));
}

static void pair_free(struct pair *pair) {
	text_free(&pair->body);
	kel_free(&pair->kel);
	kel_free(&pair->boss_kel);
}

/* The dip with this source seal. */
static void pair_expect(struct pair *pair, uint64_t sn, const char *said, const struct kel *delegator,
	enum kel_outcome want, const char *reason) {
	struct text attachments = {0};

	add_signatures(&attachments, &pair->del, text_span(&pair->body));
	if (said)
		add_source_seal(&attachments, sn, said);
	expect(&pair->kel, &pair->body, &attachments, delegator, want, reason);
	text_free(&attachments);
}

static void delegated_inception(void **state) {
	struct pair pair;

	(void)state;
	pair_make(&pair, NULL);
	pair_expect(&pair, 0, NULL, &pair.boss_kel, KEL_NO_DELEGATOR, "without a source seal");
	pair_expect(&pair, 1, pair.boss.said, NULL, KEL_NO_DELEGATOR, "event 1 is missing");
	pair_expect(&pair, 2, pair.boss.said, &pair.boss_kel, KEL_NO_DELEGATOR, "event 2 is missing");
	pair_expect(&pair, INT64_MAX, pair.boss.said, &pair.boss_kel, KEL_NO_DELEGATOR, "is missing");
	/* his event, but not at that sn; his event, but one without the seal */
	pair_expect(&pair, 0, pair.boss.said, &pair.boss_kel, KEL_NO_DELEGATOR, "another event 0");
	pair_expect(&pair, 1, pair.boss.aid, &pair.boss_kel, KEL_NO_DELEGATOR, "another event 1");
	pair_expect(&pair, 0, pair.boss.aid, &pair.boss_kel, KEL_REFUSED,
		"the delegator's event 0 does not seal it");
	pair_expect(&pair, 1, pair.boss.said, &pair.boss_kel, KEL_ACCEPTED, "");
	assert_string_equal(pair.kel.delegator, pair.boss.aid);
	pair_free(&pair);
}

static void the_seal_is_exactly_of_the_event(void **state) {
	/* <i> and <d>: AID and SAID of the dip; <x>: another's */
	static const struct {
		const char *form;
		bool good;
	} forms[] = {
		{"[{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<d>\"}]", true},
		{"[{},{\"d\":\"<d>\"},{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<d>\"},1]", true},
		{"[{\"i\":\"<i>\",\"s\":\"1\",\"d\":\"<d>\"}]", false},
		{"[{\"i\":\"<i>\",\"s\":\"00\",\"d\":\"<d>\"}]", false},
		{"[{\"i\":\"<i>\",\"s\":0,\"d\":\"<d>\"}]", false},
		{"[{\"i\":\"<x>\",\"s\":\"0\",\"d\":\"<d>\"}]", false},
		{"[{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<x>\"}]", false},
		{"[{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<d>\",\"x\":\"\"}]", false},
		{"[{\"s\":\"0\",\"i\":\"<i>\",\"d\":\"<d>\"}]", false},
		{"[[{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<d>\"}]]", false},
		{"[{\"a\":{\"i\":\"<i>\",\"s\":\"0\",\"d\":\"<d>\"}}]", false},
		{"[{\"d\":\"<d>\"}]", false},
		{"[]", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct text seals = {0};
		struct pair pair;

		pair_make(&pair, NULL);
		for (const char *c = forms[i].form; *c; c++) {
			if (*c != '<') {
				text_add(&seals, "%c", *c);
				continue;
			}
			text_add(&seals, "%s",
				c[1] == 'i'   ? pair.del.aid
				: c[1] == 'd' ? pair.del.said
					      : pair.boss.aid);
			c += 2;
		}
		accept(&pair.boss_kel, &pair.boss, draft_ixn(&pair.boss, seals.p));
		pair_expect(&pair, 2, pair.boss.said, &pair.boss_kel,
			forms[i].good ? KEL_ACCEPTED : KEL_REFUSED,
			forms[i].good ? "" : "the delegator's event 2 does not seal it");
		text_free(&seals);
		pair_free(&pair);
	}
}

static void delegated_rotation(void **state) {
	struct pair pair;
	struct text body, attachments = {0};
	struct draft d;

	(void)state;
	pair_make(&pair, NULL);
	pair_expect(&pair, 1, pair.boss.said, &pair.boss_kel, KEL_ACCEPTED, "");
	/* rot on a delegated identifier */
	d = draft_rot(&pair.del);
	draft_set(&d, "t", "\"rot\"");
	refuse(&pair.kel, &pair.del, d, "rot on a delegated identifier");
	/* ixn needs no seal */
	accept(&pair.kel, &pair.del, draft_ixn(&pair.del, "[]"));
	body = id_state(&pair.del, draft_rot(&pair.del));
	add_attachments(&attachments, &pair.del, text_span(&body));
	expect(&pair.kel, &body, &attachments, &pair.boss_kel, KEL_NO_DELEGATOR, "without a source seal");
	accept(&pair.boss_kel, &pair.boss, draft_sealing(&pair.boss, &pair.del));
	add_source_seal(&attachments, 2, pair.boss.said);
	expect(&pair.kel, &body, &attachments, &pair.boss_kel, KEL_ACCEPTED, "");
	assert_string_equal(kel_est_at(&pair.kel, 2)->anchor, pair.boss.said);
	assert_null(kel_est_at(&pair.kel, 1));
	/* the last of several source seals counts */
	text_free(&body);
	attachments.n = 0;
	body = id_state(&pair.del, draft_rot(&pair.del));
	add_attachments(&attachments, &pair.del, text_span(&body));
	accept(&pair.boss_kel, &pair.boss, draft_sealing(&pair.boss, &pair.del));
	add_source_seal(&attachments, 1, pair.boss.aid);
	add_source_seal(&attachments, 3, pair.boss.said);
	expect(&pair.kel, &body, &attachments, &pair.boss_kel, KEL_ACCEPTED, "");
	text_free(&body);
	text_free(&attachments);
	pair_free(&pair);
}

static void drt_on_a_plain_identifier(void **state) {
	struct id id = {.name = "one"};
	struct kel kel = {0};
	struct draft d;

	(void)state;
	accept(&kel, &id, draft_icp(&id));
	d = draft_rot(&id);
	draft_set(&d, "t", "\"drt\"");
	refuse(&kel, &id, d, "drt on an identifier without delegator");
	/* a source seal on a plain rot means nothing */
	strcpy(id.anchor, id.aid);
	accept(&kel, &id, draft_rot(&id));
	assert_string_equal(kel_current(&kel)->anchor, "");
	kel_free(&kel);
}

static void a_delegator_that_may_not(void **state) {
	struct pair pair;

	(void)state;
	pair_make(&pair, "[\"DND\"]");
	pair_expect(&pair, 1, pair.boss.said, &pair.boss_kel, KEL_REFUSED, "DND");
	pair_free(&pair);
	pair_make(&pair, "[\"DN\",\"dnd\",\"\"]");
	pair_expect(&pair, 1, pair.boss.said, &pair.boss_kel, KEL_ACCEPTED, "");
	pair_free(&pair);
}

/* What only receipts are missing for is another matter than what is not delegated. */
static void receipts_and_delegation_both_missing(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .nwitnesses = 1};
	struct text body, attachments = {0};
	struct kel boss_kel = {0}, kel = {0};

	(void)state;
	del.delegator = &boss;
	accept(&boss_kel, &boss, draft_icp(&boss));
	body = id_state(&del, draft_icp(&del));
	add_signatures(&attachments, &del, text_span(&body));
	expect(&kel, &body, &attachments, &boss_kel, KEL_NO_DELEGATOR, "without a source seal");
	accept(&boss_kel, &boss, draft_sealing(&boss, &del));
	add_source_seal(&attachments, 1, boss.said);
	expect(&kel, &body, &attachments, &boss_kel, KEL_NO_RECEIPTS, "0 of 1");
	add_receipts(&attachments, text_span(&body), 0, 1);
	expect(&kel, &body, &attachments, &boss_kel, KEL_ACCEPTED, "");
	text_free(&body);
	text_free(&attachments);
	kel_free(&kel);
	kel_free(&boss_kel);
}

static void rollback(void **state) {
	struct id id = {.name = "one"}, at[5];
	struct kel kel = {0};
	char said[CESR_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(at); i++) { /* icp ixn rot ixn rot */
		at[i] = id;
		accept(&kel, &id,
			i == 0		   ? draft_icp(&id)
			: i == 2 || i == 4 ? draft_rot(&id)
					   : draft_ixn(&id, "[{\"d\":" DIGEST "}]"));
	}
	kel_rollback(&kel, 3);
	assert_true(kel.count == 3);
	assert_int_equal(kel.nests, 2);
	assert_int_equal(kel.nseals, 1);
	assert_false(kel_said(&kel, 3, said));
	assert_null(kel_est_at(&kel, 4));
	assert_non_null(kel_est_at(&kel, 2));
	/* and the same again, or something else */
	accept(&kel, &at[3], draft_ixn(&at[3], "[]"));
	kel_rollback(&kel, 0);
	assert_true(kel.count == 0);
	assert_null(kel_current(&kel));
	accept(&kel, &at[0], draft_icp(&at[0]));
	kel_free(&kel);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds),
		cmocka_unit_test(thresholds_of_an_event),
		cmocka_unit_test(keys),
		cmocka_unit_test(next_keys),
		cmocka_unit_test(lists_up_to_their_limit),
		cmocka_unit_test(basic_identifiers),
		cmocka_unit_test(signatures_of_an_inception),
		cmocka_unit_test(only_the_controller_group_counts),
		cmocka_unit_test(no_key_of_low_order),
		cmocka_unit_test(wrong_signatures_are_not_tried_for_ever),
		cmocka_unit_test(signatures_of_a_rotation),
		cmocka_unit_test(partial_rotation_and_reserve),
		cmocka_unit_test(one_key_for_one_commitment),
		cmocka_unit_test(weighted_next_keys),
		cmocka_unit_test(commitment_is_to_the_text),
		cmocka_unit_test(abandonment),
		cmocka_unit_test(order),
		cmocka_unit_test(the_same_event_again_has_no_effect),
		cmocka_unit_test(another_event_that_verifies_is_duplicity),
		cmocka_unit_test(another_event_that_does_not_verify_is_none),
		cmocka_unit_test(basic_identifiers_can_be_duplicitous_at_once),
		cmocka_unit_test(a_rot_supersedes_interactions),
		cmocka_unit_test(establishment_only),
		cmocka_unit_test(witness_lists),
		cmocka_unit_test(receipts),
		cmocka_unit_test(receipts_of_the_new_list),
		cmocka_unit_test(receipts_bit_by_bit),
		cmocka_unit_test(delegated_inception),
		cmocka_unit_test(the_seal_is_exactly_of_the_event),
		cmocka_unit_test(delegated_rotation),
		cmocka_unit_test(drt_on_a_plain_identifier),
		cmocka_unit_test(a_delegator_that_may_not),
		cmocka_unit_test(receipts_and_delegation_both_missing),
		cmocka_unit_test(rollback),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
