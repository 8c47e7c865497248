/* test_cards.c: a card counts when its issuer's log anchors it, and as long as nothing voids it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bytes.h"
#include "cards.h"
#include "card_builder.h"

#define GOLDEN "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define CARD_1 "EHrpaxeZMQKxs10HsHFVU4ytlHyqs_rTlCvFWkaWIcEi"
#define CARD_2 "EEmUDF3lPIkFzLBrW0ZhLno8iNJuF_IGVRhT2q9mdmlC"
#define CARD_3 "EO249hmr2chQY7DDTa5Oa-c14IXpgPytj0wcOum4CkxX"
#define NOBODY "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define KEY "\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\""
#define DB1 "\"host\":\"db1\"," KEY
#define DB2 "\"host\":\"db2\"," KEY

/* What was read: the book and the cards of one issuer in it. */
struct outcome {
	struct book book;
	struct cards_entry *entries;
	size_t n;
};

static void print_verdict(void *ctx, const struct verdict *verdict) {
	(void)ctx;
	print_error("event %d: %s\n", (int)verdict->event, verdict->reason);
}

static struct outcome read_cards(struct span stream, const char *aid) {
	struct outcome o = {.book = {.keep = true, .report = print_verdict}};
	const struct kel *kel;
	struct err err;

	book_read(&o.book, stream);
	assert_true(book_finish(&o.book));
	kel = book_kel(&o.book, aid);
	assert_non_null(kel);
	assert_true(cards_list(&o.book, kel, &o.entries, &o.n, &err));
	return o;
}

static void drop(struct outcome *o) {
	free(o->entries);
	book_free(&o->book);
}

static struct outcome read_golden(const char *path) {
	struct span stream = bytes_of_file(path);
	struct outcome o = read_cards(stream, GOLDEN);

	bytes_free(stream);
	return o;
}

/* The stream ends here. */
static struct outcome read_all(struct text *stream, const struct id *id) {
	struct outcome o = read_cards(text_span(stream), id->aid);

	text_free(stream);
	return o;
}

static const struct cards_entry *entry_of(const struct outcome *o, const char *said) {
	for (size_t i = 0; i < o->n; i++)
		if (span_is(o->entries[i].card.said, said))
			return &o->entries[i];
	return NULL;
}

static const struct cards_entry *last_of(const struct outcome *o, const char *host) {
	return cards_last(o->entries, o->n, span_str(host));
}

/* The last card of the host is in force. */
static bool in_force(const struct outcome *o, const char *host, const char *said) {
	const struct cards_entry *last = last_of(o, host);

	return last && span_is(last->card.said, said) && !last->voided && last->card.has_key;
}

static bool counts(const struct outcome *o, const char *said) {
	return entry_of(o, said) != NULL;
}

/* ---- golden streams ---- */

static void golden_1_is_in_force(void **state) {
	struct outcome o = read_golden("tests/vectors/card/golden-1-issued.cesr");

	(void)state;
	assert_int_equal(o.n, 1);
	assert_true(in_force(&o, "db1", CARD_1));
	assert_null(last_of(&o, "db2"));
	drop(&o);
}

static void golden_2_replaces_it(void **state) {
	struct outcome o = read_golden("tests/vectors/card/golden-2-replaced.cesr");

	(void)state;
	assert_int_equal(o.n, 2);
	assert_true(in_force(&o, "db1", CARD_2));
	assert_true(entry_of(&o, CARD_1)->voided);
	assert_false(entry_of(&o, CARD_1)->last);
	assert_true(entry_of(&o, CARD_1)->place < entry_of(&o, CARD_2)->place);
	/* until its `from`, or the first handshake after */
	assert_ptr_equal(entry_of(&o, CARD_1)->successor, entry_of(&o, CARD_2));
	assert_null(entry_of(&o, CARD_2)->successor);
	drop(&o);
}

static void golden_3_withdraws_the_host(void **state) {
	struct outcome o = read_golden("tests/vectors/card/golden-3-withdrawn.cesr");

	(void)state;
	assert_int_equal(o.n, 3);
	assert_true(span_is(last_of(&o, "db1")->card.said, CARD_3));
	assert_false(last_of(&o, "db1")->card.has_key);
	assert_true(entry_of(&o, CARD_1)->voided);
	assert_true(entry_of(&o, CARD_2)->voided);
	assert_true(!entry_of(&o, CARD_1)->successor && !entry_of(&o, CARD_2)->successor);
	drop(&o);
}

/* A source must not be able to hide a withdrawal by leaving out a body. */
static void golden_4_withholds_the_successor(void **state) {
	struct outcome o = read_golden("tests/vectors/card/golden-4-successor-withheld.cesr");

	(void)state;
	assert_int_equal(o.n, 1);
	assert_true(span_is(last_of(&o, "db1")->card.said, CARD_1));
	assert_true(last_of(&o, "db1")->voided);
	assert_null(last_of(&o, "db1")->successor);
	drop(&o);
}

/* ---- anchors ---- */

/* One organisation and its stream, after the inception. */
struct scene {
	struct id org;
	struct text stream;
};

static struct scene start(void) {
	struct scene scene = {.org = {.name = "org"}};

	incept(&scene.stream, &scene.org, "");
	return scene;
}

static struct outcome finish(struct scene *scene) {
	return read_all(&scene->stream, &scene->org);
}

/* Adds a card's body; nothing anchors it yet. */
static void card_of(struct scene *s, const char *attributes, char said[static SAID]) {
	add_card(&s->stream, &s->org, NULL, attributes, said);
}

/* Adds an interaction with these seals. */
static void seal(struct scene *s, const char *seals) {
	interact(&s->stream, &s->org, seals);
}

static void anchor(struct scene *s, const char *card) {
	char text[SEAL];

	seal(s, anchor_seal(card, text));
}

static void seal_event(struct scene *s, const char *i, const char *number, const char *d) {
	char text[SEAL];

	seal(s, event_seal(i, number, d, text));
}

/* Adds a card and its anchor. */
static void issue(struct scene *s, const char *attributes, char said[static SAID]) {
	issue_card(&s->stream, &s->org, attributes, said);
}

static void a_body_may_stand_anywhere(void **state) {
	(void)state;
	for (int place = 0; place < 3; place++) {
		struct scene known = start(), s = {.org = {.name = "org"}};
		char card[SAID];
		struct outcome o;

		add_card(place == 0 ? &s.stream : NULL, &known.org, NULL, DB1, card);
		incept(&s.stream, &s.org, "");
		if (place == 1)
			card_of(&s, DB1, card);
		anchor(&s, card);
		if (place == 2)
			card_of(&s, DB1, card);
		o = finish(&s);
		assert_int_equal(o.n, 1);
		assert_true(in_force(&o, "db1", card));
		drop(&o);
		text_free(&known.stream);
	}
}

static void without_an_anchor_it_does_not_count(void **state) {
	char card[SAID], other[SAID];
	struct scene s = start();
	struct outcome o;

	(void)state;
	card_of(&s, DB1, card);
	issue(&s, DB2, other);
	o = finish(&s);
	assert_false(counts(&o, card));
	assert_true(counts(&o, other));
	assert_null(last_of(&o, "db1"));
	drop(&o);
}

/* An identifier that is its own key could seal a card there; others cannot even write one. */
static void an_inception_neither_anchors_nor_voids(void **state) {
	struct scene s = {.org = {.name = "basic", .prefix = "D"}};
	char in_inception[SAID], later[SAID], text[2 * SEAL], one[SEAL];
	struct key first = key_of(s.org.name, 0, 0);
	struct outcome o;

	(void)state;
	key_text("D", &first, s.org.aid);
	card_of(&s, DB1, in_inception);
	card_of(&s, DB2, later);
	snprintf(text, sizeof text, "%s,", anchor_seal(in_inception, one));
	strcat(text, event_seal(later, "1", NOBODY, one));
	incept(&s.stream, &s.org, text);
	anchor(&s, later);
	o = finish(&s);
	assert_false(counts(&o, in_inception));
	assert_true(in_force(&o, "db2", later));
	drop(&o);
}

static void a_rotation_anchors_and_keeps_cards(void **state) {
	char before[SAID], in[SAID], text[SEAL];
	struct scene s = start();
	struct outcome o;

	(void)state;
	issue(&s, DB1, before);
	card_of(&s, DB2, in);
	rotate(&s.stream, &s.org, anchor_seal(in, text));
	o = finish(&s);
	assert_true(in_force(&o, "db1", before));
	assert_true(in_force(&o, "db2", in));
	drop(&o);
}

static void what_was_superseded_neither_anchors_nor_voids(void **state) {
	char kept[SAID], lost[SAID];
	struct scene s = start();
	struct id recovered;
	struct outcome o;

	(void)state;
	issue(&s, DB1, kept);
	recovered = s.org;
	issue(&s, DB2, lost);
	seal_event(&s, kept, "1", NOBODY);
	rotate(&s.stream, &recovered, "");
	o = finish(&s);
	assert_true(in_force(&o, "db1", kept));
	assert_false(counts(&o, lost));
	drop(&o);
}

static void only_the_issuers_own_log_anchors(void **state) {
	struct scene s = start();
	struct id other = {.name = "other"};
	char card[SAID], text[SEAL];
	struct outcome o;

	(void)state;
	incept(&s.stream, &other, "");
	add_card(&s.stream, &other, NULL, DB1, card);
	anchor(&s, card);
	o = read_cards(text_span(&s.stream), other.aid);
	assert_int_equal(o.n, 0);
	drop(&o);
	o = finish(&s);
	assert_int_equal(o.n, 0);
	drop(&o);

	/* nor can another log void it */
	s = start();
	issue(&s, DB1, card);
	other = (struct id){.name = "other"};
	incept(&s.stream, &other, "");
	interact(&s.stream, &other, event_seal(card, "1", NOBODY, text));
	o = finish(&s);
	assert_true(in_force(&o, "db1", card));
	drop(&o);
}

static void what_is_no_card_does_not_count(void **state) {
	static const char *const schemas[] = {GOLDEN, CARD_SCHEMA};
	struct scene s = start();
	char said[SAID];
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		add_body(&s.stream, said,
			"{\"v\":\"ACDC10JSON000000_\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%s\","
			"\"a\":{\"dt\":\"2026-01-01T00:00:00.000000+00:00\",\"host\":\"%s\"}}",
			EVENT_BLANK_SAID, s.org.aid, schemas[i], i == 0 ? "db1" : "DB1");
		anchor(&s, said);
	}
	anchor(&s, s.org.aid); /* an event */
	anchor(&s, NOBODY);
	seal(&s, "{\"d\":\"\"},{\"d\":\"x\"},{},[],\"\",1,null");
	o = finish(&s);
	assert_int_equal(o.n, 0);
	drop(&o);
}

/* A seal counts only as a map of exactly the fields named, all strings. */
static void a_seal_has_exactly_its_fields(void **state) {
	static const char *const anchors[] = {
		"{\"d\":\"%s\",\"x\":\"\"}",
		"{\"x\":\"\",\"d\":\"%s\"}",
		"{\"D\":\"%s\"}",
		"{\"s\":\"1\",\"d\":\"%s\"}",
		"{\"i\":\"" CARD_1 "\",\"d\":\"%s\"}",
		"{\"s\":\"1\",\"i\":\"" CARD_1 "\",\"d\":\"%s\"}",
		"{\"d\":\"%s\",\"i\":\"" CARD_1 "\",\"s\":\"1\"}",
		"{\"i\":\"" CARD_1 "\",\"s\":1,\"d\":\"%s\"}",
		"{\"i\":\"" CARD_1 "\",\"s\":\"2\",\"d\":\"%s\"}",
		"{\"i\":\"" CARD_1 "\",\"s\":\"0\",\"d\":\"%s\"}",
		"{\"i\":\"" CARD_1 "\",\"s\":\"01\",\"d\":\"%s\"}",
		"{\"i\":\"" CARD_1 "\",\"s\":\"1\",\"d\":\"%s\",\"x\":\"\"}",
		"{\"i\":null,\"s\":\"1\",\"d\":\"%s\"}",
		"[\"%s\"]",
		"\"%s\"",
		"{\"d\":[\"%s\"]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof anchors / sizeof anchors[0]; i++) {
		char card[SAID], text[200], *at;
		struct scene s = start();
		struct outcome o;

		card_of(&s, DB1, card);
		snprintf(text, sizeof text, "%s", anchors[i]);
		at = strstr(text, "%s");
		memmove(at + CESR_CHARS, at + 2, strlen(at + 2) + 1);
		memcpy(at, card, CESR_CHARS);
		seal(&s, text);
		o = finish(&s);
		if (o.n)
			fail_msg("%s", text);
		drop(&o);
	}
}

/* ---- order ---- */

static void the_last_anchored_card_of_a_host_wins(void **state) {
	char first[SAID], second[SAID], third[SAID], text[2 * SEAL];
	char one[SEAL];
	struct scene s = start();
	struct outcome o;

	(void)state;
	/* in the reverse order of their bodies, two of them in one event */
	card_of(&s, DB1 ",\"logins\":[\"c\"]", third);
	card_of(&s, DB1 ",\"logins\":[\"b\"]", second);
	card_of(&s, DB1 ",\"logins\":[\"a\"]", first);
	anchor(&s, first);
	snprintf(text, sizeof text, "%s,", anchor_seal(second, one));
	seal(&s, strcat(text, anchor_seal(third, one)));
	o = finish(&s);
	assert_int_equal(o.n, 3);
	assert_true(in_force(&o, "db1", third));
	assert_true(entry_of(&o, first)->place < entry_of(&o, second)->place);
	assert_true(entry_of(&o, second)->place < entry_of(&o, third)->place);
	assert_false(entry_of(&o, first)->last || entry_of(&o, second)->last);
	drop(&o);
}

static void a_card_sealed_twice_has_its_first_place(void **state) {
	char first[SAID], second[SAID];
	struct scene s = start();
	struct outcome o;

	(void)state;
	issue(&s, DB1 ",\"logins\":[\"a\"]", first);
	issue(&s, DB1 ",\"logins\":[\"b\"]", second);
	anchor(&s, first);
	seal_event(&s, NOBODY, "1", first);
	o = finish(&s);
	assert_int_equal(o.n, 2);
	assert_true(in_force(&o, "db1", second));
	drop(&o);
}

static void hosts_do_not_touch_each_other(void **state) {
	char one[SAID], two[SAID], gone[SAID];
	struct scene s = start();
	struct outcome o;

	(void)state;
	issue(&s, DB1, one);
	issue(&s, DB2, two);
	card_of(&s, "\"host\":\"db2\"", gone);
	seal_event(&s, two, "1", gone);
	o = finish(&s);
	assert_true(in_force(&o, "db1", one));
	assert_true(span_is(last_of(&o, "db2")->card.said, gone));
	assert_false(in_force(&o, "db2", gone));
	assert_null(last_of(&o, "db"));
	assert_null(last_of(&o, "db11"));
	drop(&o);
}

/* ---- voids ---- */

static void any_s_but_0_voids(void **state) {
	static const struct {
		const char *s;
		bool voids;
	} cases[] = {
		{"0", false},
		{"1", true},
		{"2", true},
		{"a", true},
		{"00", true},
		{"01", true},
		{"", true},
		{"x", true},
		{"-0", true},
		{"10000000000000000000", true},
		{"0000000000000000", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int before = 0; before < 2; before++) {
			char card[SAID];
			struct scene s = start();
			struct outcome o;

			card_of(&s, DB1, card);
			if (before)
				seal_event(&s, card, cases[i].s, NOBODY);
			anchor(&s, card);
			if (!before)
				seal_event(&s, card, cases[i].s, "not even a digest");
			o = finish(&s);
			assert_int_equal(o.n, 1);
			if (o.entries[0].voided != cases[i].voids)
				fail_msg("s \"%s\"", cases[i].s);
			drop(&o);
		}
}

static void a_seal_of_another_shape_voids_nothing(void **state) {
	static const char *const shapes[] = {
		"{\"i\":\"%s\",\"s\":1,\"d\":\"" NOBODY "\"}",
		"{\"i\":\"%s\",\"s\":\"1\"}",
		"{\"i\":\"%s\",\"d\":\"" NOBODY "\"}",
		"{\"i\":\"%s\",\"s\":\"1\",\"d\":null}",
		"{\"i\":\"%s\",\"s\":\"1\",\"d\":\"" NOBODY "\",\"x\":\"\"}",
		"{\"i\":\"%sA\",\"s\":\"1\",\"d\":\"" NOBODY "\"}",
		"{\"s\":\"1\",\"i\":\"%s\",\"d\":\"" NOBODY "\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		char card[SAID], text[200], *at;
		struct scene s = start();
		struct outcome o;

		issue(&s, DB1, card);
		snprintf(text, sizeof text, "%s", shapes[i]);
		at = strstr(text, "%s");
		memmove(at + CESR_CHARS, at + 2, strlen(at + 2) + 1);
		memcpy(at, card, CESR_CHARS);
		seal(&s, text);
		o = finish(&s);
		if (!in_force(&o, "db1", card))
			fail_msg("%s", text);
		drop(&o);
	}
}

static void a_void_last_card_revives_no_other(void **state) {
	char first[SAID], second[SAID];
	struct scene s = start();
	struct outcome o;

	(void)state;
	issue(&s, DB1 ",\"logins\":[\"a\"]", first);
	issue(&s, DB1 ",\"logins\":[\"b\"]", second);
	seal_event(&s, second, "1", NOBODY);
	anchor(&s, first);
	anchor(&s, second);
	o = finish(&s);
	assert_false(entry_of(&o, first)->voided);
	assert_false(entry_of(&o, first)->last);
	assert_true(span_is(last_of(&o, "db1")->card.said, second));
	assert_true(last_of(&o, "db1")->voided);
	drop(&o);
}

/* ---- the overlap of two keys ---- */

#define KEY_2 "\"key\":\"COE6vEGTekQfMyLB9AvHRe2oHlmusp5u3IAii0kzhtEa\""
#define FROM ",\"from\":\"2026-02-01T00:10:00.000000+00:00\""

/* Cards by their letters: K is replaced, S is its successor, T another of their host, O one like S of
 * another issuer; X is nothing at all. */
struct cast {
	char said['Z'][SAID];
};

/* Says what a script says, a word an interaction: `K` anchors card K, `K1S` is the seal {K,"1",S}. */
static void perform(struct scene *s, const struct cast *cast, const char *script) {
	for (const char *word = script; *word; word += strcspn(word, " "), word += *word == ' ') {
		const char *card = cast->said[(unsigned char)word[0]];

		if (strcspn(word, " ") == 1)
			anchor(s, card);
		else
			seal_event(s, card, (char[]){word[1], 0}, cast->said[(unsigned char)word[2]]);
	}
}

/* The cards, the bodies of those named in `present`; what the script makes of them. */
static struct outcome play(const char *k, const char *s_attributes, const char *present, const char *script,
	struct cast *cast) {
	struct id other = {.name = "other"};
	struct scene s = start();
	const struct {
		char letter;
		const char *attributes;
		const struct id *issuer;
	} cards[] = {{'K', k, &s.org}, {'S', s_attributes, &s.org}, {'O', s_attributes, &other},
		{'T', DB1 ",\"logins\":[\"t\"]", &s.org}};

	incept(&s.stream, &other, "");
	*cast = (struct cast){.said = {['X'] = NOBODY}};
	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
		add_card(strchr(present, cards[i].letter) ? &s.stream : NULL, cards[i].issuer, NULL,
			cards[i].attributes, cast->said[(unsigned char)cards[i].letter]);
	perform(&s, cast, script);
	return finish(&s);
}

/* DESIGN.md 8: "if and only if", each condition broken alone. */
static void a_replaced_card_stays_only_for_its_successor(void **state) {
	static const char key_2[] = "\"host\":\"db1\"," KEY_2 FROM;
	static const struct {
		const char *what, *k, *s, *present, *script;
		bool stays;
	} cases[] = {
		{"as rotate does it", DB1, key_2, "KS", "K K1S", true},
		{"the seal stands twice", DB1, key_2, "KS", "K K1S K1S", true},
		{"any s but 0 voids", DB1, key_2, "KS", "K S K2S", true},
		{"whatever was before", DB1, key_2, "KST", "T K K1S", true},
		{"the successor's body is missing", DB1, key_2, "K", "K K1S", false},
		{"it is not the last", DB1, key_2, "KST", "K K1S T", false},
		{"nor after a seal in its favour", DB1, key_2, "KST", "K K1S S1T", false},
		{"it is not anchored behind", DB1, key_2, "KS", "S K K1S", false},
		{"the same key", DB1, "\"host\":\"db1\"," KEY FROM, "KS", "K K1S", false},
		{"no from", DB1, "\"host\":\"db1\"," KEY_2, "KS", "K K1S", false},
		{"no key", DB1, "\"host\":\"db1\"" FROM, "KS", "K K1S", false},
		{"voided before", DB1, key_2, "KS", "K K1X K1S", false},
		{"voided before by what is no card", DB1, key_2, "KS", "K K2K K1S", false},
		{"voided before it was anchored", DB1, key_2, "KS", "K2S K S", false},
		{"and after that anew", DB1, key_2, "KS", "K2S K S K1S", false},
		{"voided for two successors", DB1, key_2, "KST", "K K1S K2T", false},
		{"a withdrawal behind", DB1, key_2, "KS", "K K1S K1X", false},
		{"the successor is void", DB1, key_2, "KS", "K K1S S1X", false},
		{"and was before it was anchored", DB1, key_2, "KS", "S1X K K1S", false},
		{"K had no key", "\"host\":\"db1\"", key_2, "KS", "K K1S", false},
		{"K was not the last any more", DB1, key_2, "KST", "K T K1S", false},
		{"another label", DB1, "\"host\":\"db2\"," KEY_2 FROM, "KS", "K K1S", false},
		{"another issuer", DB1, key_2, "KO", "K K1O", false},
		{"s is 0, which voids nothing", DB1, key_2, "KS", "K K0S S", false},
		{"K was never anchored", DB1, key_2, "KS", "K1S", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cast cast;
		struct outcome o = play(cases[i].k, cases[i].s, cases[i].present, cases[i].script, &cast);
		const struct cards_entry *k = entry_of(&o, cast.said['K']);
		const struct cards_entry *successor = k ? k->successor : NULL;

		if (successor != (cases[i].stays ? entry_of(&o, cast.said['S']) : NULL))
			fail_msg("%s: %s", cases[i].what, successor ? "stays" : "is gone");
		for (size_t e = 0; e < o.n; e++)
			if (&o.entries[e] != k && o.entries[e].successor)
				fail_msg("%s: another one stays", cases[i].what);
		drop(&o);
	}
}

/* ---- registries ---- */

/* What may be wrong with a card issued through a registry. */
enum flaw {
	SOUND,
	KERIOX, /* no flaw: their registries have an i of their own, and no n */
	REGISTRY_NOT_SEALED,
	REGISTRY_SEALED_LATER_SN,
	REGISTRY_WITHHELD,
	REGISTRY_OF_ANOTHER,
	REGISTRY_IS_NO_VCP,
	ISS_NOT_SEALED,
	ISS_SEALED_WITH_1,
	ISS_SEALED_FOR_ANOTHER,
	ISS_WITHHELD,
	ISS_OF_ANOTHER_CARD,
	ISS_OF_ANOTHER_REGISTRY,
	ISS_IS_A_REVOCATION,
	CARD_OF_ANOTHER_REGISTRY,
	CARD_WITHOUT_REGISTRY,
	SEALED_AS_A_CARD,
	SEALED_AS_A_SUCCESSOR,
	FLAWS
};

static void write_registry(
	struct scene *s, enum flaw flaw, char registry[static SAID], char vcp[static SAID]) {
	struct text *out = flaw == REGISTRY_WITHHELD ? NULL : &s->stream;
	const char *owner = flaw == REGISTRY_OF_ANOTHER ? NOBODY : s->org.aid;

	if (flaw == KERIOX) {
		add_body(out, vcp,
			"{\"v\":\"KERI10JSON000000_\",\"t\":\"vcp\",\"d\":\"%s\",\"i\":\"%s\","
			"\"s\":\"0\",\"ii\":\"%s\",\"c\":[\"NB\"],\"bt\":\"0\",\"b\":[]}",
			EVENT_BLANK_SAID, CARD_3, owner);
		memcpy(registry, CARD_3, SAID);
		return;
	}
	add_body(out, vcp,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"vcp\",\"d\":\"%s\",\"i\":\"%s\","
		"\"ii\":\"%s\",\"s\":\"0\",\"c\":[\"NB\"],\"bt\":\"0\",\"b\":[],\"n\":\"0A\"}",
		EVENT_BLANK_SAID, EVENT_BLANK_SAID, owner);
	memcpy(registry, vcp, SAID);
	if (flaw == REGISTRY_IS_NO_VCP)
		add_body(out, vcp,
			"{\"v\":\"KERI10JSON000000_\",\"t\":\"iss\",\"d\":\"%s\",\"i\":\"%s\","
			"\"s\":\"0\",\"ri\":\"%s\",\"dt\":\"\"}",
			EVENT_BLANK_SAID, registry, CARD_1);
}

static void write_iss(
	struct scene *s, enum flaw flaw, const char *card, const char *registry, char iss[static SAID]) {
	if (flaw == ISS_IS_A_REVOCATION) {
		add_body(&s->stream, iss,
			"{\"v\":\"KERI10JSON000000_\",\"t\":\"rev\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"1\","
			"\"ri\":\"%s\",\"p\":\"%s\",\"dt\":\"2026-01-01T00:00:00.000000+00:00\"}",
			EVENT_BLANK_SAID, card, registry, CARD_1);
		return;
	}
	add_body(flaw == ISS_WITHHELD ? NULL : &s->stream, iss,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"iss\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"0\","
		"\"ri\":\"%s\",\"dt\":\"2026-01-01T00:00:00.000000+00:00\"}",
		EVENT_BLANK_SAID, flaw == ISS_OF_ANOTHER_CARD ? CARD_1 : card,
		flaw == ISS_OF_ANOTHER_REGISTRY ? CARD_1 : registry);
}

/* A registry, a card of it and its issuance. */
static struct scene through_registry(enum flaw flaw, char card[static SAID]) {
	struct scene s = start();
	char registry[SAID], vcp[SAID], iss[SAID];
	const char *named = registry;

	write_registry(&s, flaw, registry, vcp);
	if (flaw != REGISTRY_NOT_SEALED)
		seal_event(&s, registry, flaw == REGISTRY_SEALED_LATER_SN ? "1" : "0", vcp);
	if (flaw == CARD_OF_ANOTHER_REGISTRY)
		named = CARD_1;
	if (flaw == CARD_WITHOUT_REGISTRY)
		named = NULL;
	add_card(&s.stream, &s.org, named, DB1, card);
	write_iss(&s, flaw, card, registry, iss);
	if (flaw == SEALED_AS_A_CARD)
		anchor(&s, card);
	else if (flaw == SEALED_AS_A_SUCCESSOR)
		seal_event(&s, NOBODY, "1", card);
	else if (flaw != ISS_NOT_SEALED)
		seal_event(&s, flaw == ISS_SEALED_FOR_ANOTHER ? NOBODY : card,
			flaw == ISS_SEALED_WITH_1 ? "1" : "0", iss);
	return s;
}

static void a_card_of_a_registry_counts_only_through_it(void **state) {
	(void)state;
	for (enum flaw flaw = SOUND; flaw < FLAWS; flaw++) {
		char card[SAID];
		struct scene s = through_registry(flaw, card);
		struct outcome o = finish(&s);
		bool good = flaw == SOUND || flaw == KERIOX;

		if (counts(&o, card) != good || in_force(&o, "db1", card) != good)
			fail_msg("flaw %d: %s", (int)flaw, good ? "refused" : "taken");
		drop(&o);
	}
}

/* rev, whether its body is there or not. */
static void a_revoked_card_is_void(void **state) {
	char card[SAID];
	struct scene s = through_registry(SOUND, card);
	struct outcome o;

	(void)state;
	seal_event(&s, card, "1", NOBODY);
	o = finish(&s);
	assert_true(counts(&o, card));
	assert_false(in_force(&o, "db1", card));
	drop(&o);
}

/* By a revocation as by a seal that names what replaces it; the one leaves no time for that. */
static void a_card_of_a_registry_stays_for_its_successor_too(void **state) {
	static const char next[] = "\"host\":\"db1\"," KEY_2 FROM;

	(void)state;
	for (int revoked = 0; revoked < 2; revoked++) {
		char card[SAID], successor[SAID], rev[SAID];
		struct scene s = through_registry(SOUND, card);
		struct outcome o;

		card_of(&s, next, successor);
		if (revoked) {
			write_iss(&s, ISS_IS_A_REVOCATION, card, CARD_1, rev);
			seal_event(&s, card, "1", rev);
			anchor(&s, successor);
		} else {
			seal_event(&s, card, "1", successor);
		}
		o = finish(&s);
		assert_true(entry_of(&o, card)->voided);
		assert_true(in_force(&o, "db1", successor));
		assert_ptr_equal(entry_of(&o, card)->successor, revoked ? NULL : entry_of(&o, successor));
		drop(&o);
	}
}

static void an_inception_opens_no_registry(void **state) {
	struct scene s = {.org = {.name = "basic", .prefix = "D"}};
	char registry[SAID], card[SAID], iss[SAID], text[SEAL];
	struct key first = key_of(s.org.name, 0, 0);
	struct outcome o;

	(void)state;
	key_text("D", &first, s.org.aid);
	write_registry(&s, SOUND, registry, iss);
	add_card(&s.stream, &s.org, registry, DB1, card);
	write_iss(&s, SOUND, card, registry, iss);
	incept(&s.stream, &s.org, event_seal(registry, "0", registry, text));
	seal_event(&s, card, "0", iss);
	o = finish(&s);
	assert_int_equal(o.n, 0);
	drop(&o);
}

static void no_card_at_all(void **state) {
	struct scene s = start();
	struct outcome o = finish(&s);

	(void)state;
	assert_int_equal(o.n, 0);
	assert_null(last_of(&o, "db1"));
	drop(&o);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_1_is_in_force),
		cmocka_unit_test(golden_2_replaces_it),
		cmocka_unit_test(golden_3_withdraws_the_host),
		cmocka_unit_test(golden_4_withholds_the_successor),
		cmocka_unit_test(a_body_may_stand_anywhere),
		cmocka_unit_test(without_an_anchor_it_does_not_count),
		cmocka_unit_test(an_inception_neither_anchors_nor_voids),
		cmocka_unit_test(a_rotation_anchors_and_keeps_cards),
		cmocka_unit_test(what_was_superseded_neither_anchors_nor_voids),
		cmocka_unit_test(only_the_issuers_own_log_anchors),
		cmocka_unit_test(what_is_no_card_does_not_count),
		cmocka_unit_test(a_seal_has_exactly_its_fields),
		cmocka_unit_test(the_last_anchored_card_of_a_host_wins),
		cmocka_unit_test(a_card_sealed_twice_has_its_first_place),
		cmocka_unit_test(hosts_do_not_touch_each_other),
		cmocka_unit_test(any_s_but_0_voids),
		cmocka_unit_test(a_seal_of_another_shape_voids_nothing),
		cmocka_unit_test(a_void_last_card_revives_no_other),
		cmocka_unit_test(a_replaced_card_stays_only_for_its_successor),
		cmocka_unit_test(a_card_of_a_registry_counts_only_through_it),
		cmocka_unit_test(a_revoked_card_is_void),
		cmocka_unit_test(a_card_of_a_registry_stays_for_its_successor_too),
		cmocka_unit_test(an_inception_opens_no_registry),
		cmocka_unit_test(no_card_at_all),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
