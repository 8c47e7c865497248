/* test_cesr.c: one text for each value, attachments to the last byte, messages out of a stream. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sodium.h>
#include <cmocka.h>

#include "bytes.h"
#include "cesr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define URL sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* Primitives whose value is zero, so that all but their code is 'A'. */
#define A10 "AAAAAAAAAA"
#define A22 A10 A10 "AA"
#define A43 A10 A10 A10 A10 "AAA"
#define A86 A43 A43
#define KEY_B "B" A43
#define KEY_D "D" A43
#define DIGEST "E" A43
#define SN "0A" A22
#define SN_MAX "0A" A10 "AH__________" /* 2^63 - 1 */
#define SN_OVER "0A" A10 "AIAAAAAAAAAA"
#define SN_WIDE "0A" A10 "AQAAAAAAAAAA" /* 2^64 */
#define COUPLE_SIG "0B" A86
#define SIG "AA" A86
#define SIG_B "BA" A86
#define SIG_2A "2AAAAA" A86
#define SIG_2B "2BAAAA" A86
#define DATE "1AAG2026-01-01T00c00c00d000000p00c00"

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* The same bytes in every run. */
static void random_bytes(uint8_t *p, size_t n, uint8_t number) {
	uint8_t seed[randombytes_SEEDBYTES] = {number};

	randombytes_buf_deterministic(p, n, seed);
}

/* CESR as the specification has it, by libsodium: zero bytes in front to a multiple of three, then
 * the code over the characters that are zero by that. */
static char *encode(const char *code, const uint8_t *raw, size_t n, char *text) {
	uint8_t padded[72] = {0};
	size_t lead = (strlen(code) * 6 + 7) / 8;

	while ((lead + n) % 3)
		lead++;
	memcpy(padded + lead, raw, n);
	sodium_bin2base64(text, (lead + n) / 3 * 4 + 1, padded, lead + n, URL);
	memcpy(text, code, strlen(code));
	return text;
}

static void primitives_have_one_text(void **state) {
	static const char codes[] = {CESR_ED25519N, CESR_X25519, CESR_ED25519, CESR_BLAKE3};

	(void)state;
	for (uint8_t round = 0; round < 50; round++) {
		uint8_t raw[CESR_RAW], back[CESR_RAW];
		const char code[2] = {codes[round % sizeof codes], 0};
		char want[93], got[CESR_TEXT];

		random_bytes(raw, sizeof raw, round);
		assert_ptr_equal(cesr_encode(code[0], raw, got), got);
		assert_string_equal(got, encode(code, raw, sizeof raw, want));
		assert_true(cesr_decode(span_str(got), code[0], back));
		assert_memory_equal(back, raw, sizeof raw);
	}
}

/* Only the other texts of right form are taken at any place, and each as another value. */
static void each_byte_at_each_place_of_a_primitive(void **state) {
	uint8_t raw[CESR_RAW], got[CESR_RAW], untouched[CESR_RAW];
	char text[CESR_TEXT], again[CESR_TEXT];
	int taken = 0;

	(void)state;
	random_bytes(raw, sizeof raw, 1);
	memset(untouched, 0x5a, sizeof untouched);
	for (size_t at = 0; at < CESR_CHARS; at++)
		for (int c = 0; c < 256; c++) {
			struct span exact;

			cesr_encode(CESR_ED25519, raw, text);
			text[at] = (char)c;
			exact = bytes_copy(text, CESR_CHARS);
			memcpy(got, untouched, sizeof got);
			if (cesr_decode(exact, CESR_ED25519, got)) {
				assert_string_equal(cesr_encode(CESR_ED25519, got, again), text);
				taken++;
			} else {
				assert_memory_equal(got, untouched, sizeof got);
			}
			bytes_free(exact);
		}
	/* The code; of the second character a quarter, for two pad bits; the rest. */
	assert_int_equal(taken, 1 + 16 + 42 * 64);
}

static void a_primitive_is_as_long_as_it_is(void **state) {
	static const char text[] = KEY_D "AAAA";
	uint8_t raw[CESR_RAW];

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		struct span exact = bytes_copy(text, n);

		assert_int_equal(cesr_decode(exact, CESR_ED25519, raw), n == CESR_CHARS);
		assert_false(cesr_decode(exact, CESR_BLAKE3, raw));
		bytes_free(exact);
	}
}

static void an_identifier_is_a_key_or_a_digest(void **state) {
	char text[] = "?" A43;

	(void)state;
	for (int c = 0; c < 256; c++) {
		text[0] = (char)c;
		assert_int_equal(cesr_is_aid(span_of(text, CESR_CHARS)), c == 'B' || c == 'D' || c == 'E');
		assert_false(cesr_is_aid(span_of(text, CESR_CHARS - 1)));
	}
}

static void indexed_signatures_round_trip(void **state) {
	(void)state;
	for (unsigned index = 0; index < 64; index++) {
		static const char digits[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
		char code[3] = {'A', digits[index], 0}, want[93], text[5 + CESR_SIG_CHARS] = "-AAB";
		uint8_t sig[CESR_SIG_RAW];
		struct cesr_reader r;
		struct cesr_item item;

		random_bytes(sig, sizeof sig, (uint8_t)index);
		cesr_encode_indexed(index, sig, text + 4);
		assert_string_equal(text + 4, encode(code, sig, sizeof sig, want));
		cesr_reader_init(&r, span_str(text));
		assert_int_equal(cesr_next(&r, &item, NULL), CESR_ITEM);
		assert_int_equal(item.kind, CESR_CONTROLLER_SIG);
		assert_int_equal(item.index, index);
		assert_int_equal(item.ondex, index);
		assert_memory_equal(item.sig, sig, sizeof sig);
		assert_int_equal(cesr_next(&r, &item, NULL), CESR_END);
	}
}

static void digests_are_blake3(void **state) {
	char text[CESR_TEXT];

	(void)state;
	/* The first official vector: of nothing. */
	assert_string_equal(
		cesr_digest(span_of(NULL, 0), text), "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi");
}

static const char step_letters[] = {
	[CESR_ITEM] = 'I', [CESR_END] = 'E', [CESR_BAD] = 'B', [CESR_TRUNCATED] = 'T'};

/* Reads all of it; returns one letter for each step: k controller signature, w witness signature,
 * c couple, g source seal, o other; E end, B bad, T truncated. */
static const char *read_all(const char *text, size_t n, char *steps, size_t size) {
	static const char kinds[] = {[CESR_CONTROLLER_SIG] = 'k',
		[CESR_WITNESS_SIG] = 'w',
		[CESR_COUPLE] = 'c',
		[CESR_SOURCE_SEAL] = 'g',
		['I'] = 0};
	struct span exact = bytes_copy(text, n);
	struct err err = {.text = ""};
	struct cesr_reader r;
	struct cesr_item item;
	enum cesr_step step;
	size_t i = 0;

	cesr_reader_init(&r, exact);
	while ((step = cesr_next(&r, &item, &err)) == CESR_ITEM && i < size - 2)
		steps[i++] = kinds[(size_t)item.kind] ? kinds[(size_t)item.kind] : 'o';
	steps[i++] = step_letters[step];
	steps[i] = 0;
	assert_int_equal(err.text[0] != 0, step == CESR_BAD || step == CESR_TRUNCATED);
	if (step == CESR_END && r.rest.n)
		assert_int_not_equal(r.rest.p[0], '-');
	bytes_free(exact);
	return steps;
}

static const struct attachment {
	const char *text, *steps;
} attachments[] = {
	/* Every group. */
	{"", "E"},
	{"-AAB" SIG, "kE"},
	{"-AAC" SIG SIG_B, "kkE"},
	{"-AAD" SIG_2A SIG_2B SIG, "kkkE"},
	{"-BAB" SIG, "wE"},
	{"-BAC" SIG_B SIG_2A, "wwE"},
	{"-CAB" KEY_B COUPLE_SIG, "cE"},
	{"-CAC" KEY_B COUPLE_SIG KEY_B COUPLE_SIG, "ccE"},
	{"-DAB" KEY_D SN DIGEST SIG, "oE"},
	{"-DAC" DIGEST SN_MAX DIGEST SIG_2B KEY_B SN DIGEST SIG_B, "ooE"},
	{"-EAB" SN DATE, "oE"},
	{"-EAC" SN_MAX DATE SN "1AAG2026-12-31T23c59c59d999999-05c30", "ooE"},
	{"-FAB" DIGEST SN DIGEST "-AAC" SIG SIG_2A, "oE"},
	{"-FAC" DIGEST SN DIGEST "-AAB" SIG KEY_D SN DIGEST "-AAA", "ooE"},
	{"-GAB" SN DIGEST, "gE"},
	{"-GAC" SN DIGEST SN_MAX DIGEST, "ggE"},
	{"-HAB" DIGEST "-AAB" SIG, "oE"},
	{"-HAC" DIGEST "-AAB" SIG_B KEY_D "-AAB" SIG, "ooE"},
	{"-IAB" DIGEST SN DIGEST, "oE"},
	{"-AAA", "E"},
	/* Several groups, also of one code. */
	{"-AAB" SIG "-AAB" SIG "-CAB" KEY_B COUPLE_SIG "-BAB" SIG "-GAB" SN DIGEST, "kkcwgE"},
	/* Frames: -V counts quadlets. */
	{"-VAA", "E"},
	{"-VAX-AAB" SIG, "kE"},
	{"-0VAAAAX-AAB" SIG, "kE"},
	{"--VAAAAX-AAB" SIG, "kE"},
	{"-VAn-AAB" SIG "-EAB" SN DATE, "koE"},
	{"-VAX-AAB" SIG "-VAX-BAB" SIG, "kwE"},
	{"-AAB" SIG "-VAX-BAB" SIG "-CAB" KEY_B COUPLE_SIG, "kwcE"},
	{"-VAj-HAB" DIGEST "-AAB" SIG, "oE"},
	{"-0VAAAAA--VAAAAA-VAA-AAB" SIG, "kE"},
	/* The end of the attachments is what starts no group. */
	{"-AAB" SIG "{", "kE"},
	{"-VAX-AAB" SIG "{\"v\":", "kE"},
	{"-AAB" SIG "A", "kE"},
	{"x", "E"},
	/* Counters that are none. */
	{"-JAB" SIG, "B"},
	{"-zAB" SIG, "B"},
	{"-aAB" SIG, "B"},
	{"-1AB" SIG, "B"},
	{"-_AAAAAB" SIG, "B"},
	{"-0AAAAAB" SIG, "B"},
	{"--AAAAAB" SIG, "B"},
	{"-LAB" SIG, "B"},
	{"-A=B" SIG, "B"},
	{"-A+B" SIG, "B"},
	{"-A/B" SIG, "B"},
	{"-AB=" SIG, "B"},
	{"-VA!" SIG, "B"},
	{"-0V!AAAX-AAB" SIG, "B"},
	{"- AB" SIG, "B"},
	/* What a group may hold. */
	{"-AAB0B" A86, "B"},
	{"-AABCA" A86, "B"},
	{"-AAB2CAAAA" A86, "B"},
	{"-AAB3AAAAA" A86, "B"},
	{"-AABA!" A86, "B"},
	{"-AABAAQ" A43 A22 A10 A10, "B"},
	{"-AABAAE" A43 A22 A10 A10, "B"},  /* the lowest pad bit */
	{"-AABAAD" A43 A22 A10 A10, "kE"}, /* the highest of the value */
	{"-CAB" KEY_D COUPLE_SIG, "B"},
	{"-CAB" DIGEST COUPLE_SIG, "B"},
	{"-CABC" A43 COUPLE_SIG, "B"},
	{"-CAB" KEY_B SIG, "B"},
	{"-CAB" KEY_B "0A" A86, "B"},
	{"-CABBQ" A22 A10 A10 COUPLE_SIG, "B"},
	{"-DABC" A43 SN DIGEST SIG, "B"},
	{"-DABA" A43 SN DIGEST SIG, "B"},
	{"-DAB" KEY_D DIGEST SN SIG, "B"},
	{"-DAB" KEY_D SN KEY_D SIG, "B"},
	{"-DAB" KEY_D SN DIGEST COUPLE_SIG, "B"},
	{"-DAB" SIG SIG, "B"},
	{"-EAB" SN DIGEST, "B"},
	{"-EAB" DATE SN, "B"},
	{"-EAB" SN "1AAG2026-01-01 00c00c00d000000p00c00", "B"},
	{"-EAB" SN "1AAG2026-01-01T00:00c00d000000p00c00", "B"},
	{"-EAB" SN "1AAG2026-01-01T00c00c00.000000p00c00", "B"},
	{"-EAB" SN "1AAG2026-01-01T00c00c00d000000+00c00", "B"},
	{"-EAB" SN "1AAF2026-01-01T00c00c00d000000p00c00", "B"},
	{"-EAB" SN_OVER DATE, "B"},
	{"-FAB" DIGEST SN DIGEST "-BAB" SIG, "B"},
	{"-FAB" DIGEST SN DIGEST SIG, "B"},
	{"-GAB" SN_OVER DIGEST, "B"},
	{"-GAB" SN_WIDE DIGEST, "B"},
	{"-GAB0A__________H__________w" DIGEST, "B"},
	{"-GAB0B" A22 DIGEST, "B"},
	{"-GAB" SN KEY_D, "B"},
	{"-GAB" SN "F" A43, "B"},
	{"-HAB" DIGEST "-VAX-AAB" SIG, "B"},
	{"-HAB" SN "-AAB" SIG, "B"},
	{"-IAB" DIGEST DIGEST SN, "B"},
	{"-AAB2BAAAB" A86, "B"},
	/* A frame ends where it says: not within a group, not within another message. */
	{"-VAW-AAB" SIG, "B"},
	{"-VAY-AAB" SIG "{\"v\":\"", "kB"},
	{"-VAB-AAB" SIG, "B"},
	{"-VAB-AAB", "B"},
	{"-VAY-AAC" SIG "AAAA", "kB"},
	{"-VAA-AAC" SIG "{" A86, "kB"},
	{"-VAX-AAC" SIG SIG, "kB"},
	{"-VAY-VAX-AAB" SIG, "B"},
	{"-VAX" KEY_B "{" A43, "B"},
	{"-VACAAAA", "B"},
	/* What is declared and not there. */
	{"-A__" SIG, "kT"},
	{"-A__" SIG SIG SIG, "kkkT"},
	{"-VPo-AAB" SIG, "kT"},
	{"-V__", "T"},
	{"-0V_____-AAB" SIG, "kT"},
	{"-VAX-AAB" SIG "-VAX-AAB", "kT"},
	{"-HAB" DIGEST "-A__" SIG, "T"},
	/* A bad byte counts more than the end behind it. */
	{"-A__" SIG "{\"v\":\"KERI10JSON00012b_\"", "kB"},
	{"-A__" SIG "AAAA!", "kB"},
	{"-A__" SIG "AAB", "kT"},
	{"-A__" SIG "AAQ", "kB"},
	{"-A__" SIG "2BAAAB", "kB"},
	{"-A__" SIG "2C", "kB"},
	{"-A__" SIG "3", "kB"},
	{"-VPo-AAB" SIG "A", "kB"},
	{"-VPo-AAB" SIG "-J", "kB"},
	{"-G__0AAA", "T"},
	{"-G__0AAI", "B"},
	{"-G__0A" A10 "AI", "B"},
	{"-G__0A" A10 "AH", "T"},
	{"-G__0AB", "B"},
	{"-E__" SN "1AAF20", "B"},
	{"-E__" SN "1AAG20:", "B"},
	{"-C__D", "B"},
	{"-", "T"},
	{"--", "T"},
	{"--V", "T"},
	{"-0", "T"},
	{"-0V", "T"},
	{"-0VAAA", "T"},
	{"-A", "T"},
	{"-AA", "T"},
	{"-0A", "B"},
	{"-A!", "B"},
	{"-!", "B"},
};

static void attachments_are_taken_or_refused(void **state) {
	char steps[64];

	(void)state;
	for (size_t i = 0; i < COUNT(attachments); i++) {
		const char *text = attachments[i].text;

		read_all(text, strlen(text), steps, sizeof steps);
		if (strcmp(steps, attachments[i].steps) != 0)
			fail_msg("%s: %s, not %s", text, steps, attachments[i].steps);
	}
}

/* The good ones of the table. */
static bool is_good(const struct attachment *a) {
	size_t n = strlen(a->text);

	return n && a->steps[strlen(a->steps) - 1] == 'E' && a->text[0] == '-' && !strchr(a->text, '{') &&
	       a->text[n - 1] != 'x' && n % 4 == 0;
}

/* Where a flat group of the table ends, or a frame, by the sizes that the specification gives. */
static size_t group_size(const char *p) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	bool big = p[1] == '0' || p[1] == '-';
	size_t at = big ? 8 : 4, n = (size_t)(strchr(digits, p[at - 1]) - digits);

	if (p[big + 1] == 'V')
		return at + 4 * n;
	for (; n > 0; n--) {
		size_t sigs = 0;

		switch (p[1]) {
		case 'C':
			at += 44 + 88;
			break;
		case 'D':
			at += 44 + 24 + 44;
			sigs = 1;
			break;
		case 'E':
			at += 24 + 36;
			break;
		case 'F':
			at += 44 + 24 + 44 + 4;
			sigs = (size_t)(strchr(digits, p[at - 1]) - digits);
			break;
		case 'G':
			at += 24 + 44;
			break;
		case 'H':
			at += 44 + 4;
			sigs = (size_t)(strchr(digits, p[at - 1]) - digits);
			break;
		case 'I':
			at += 44 + 24 + 44;
			break;
		default:
			sigs = 1;
		}
		for (; sigs > 0; sigs--)
			at += p[at] == '2' ? 92 : 88;
	}
	return at;
}

/* True where nothing, or one or more whole groups end. */
static bool is_boundary(const char *text, size_t cut) {
	size_t at = 0;

	while (at < cut)
		at += group_size(text + at);
	return at == cut;
}

static void cut_anywhere_is_truncated(void **state) {
	char steps[64];
	int good = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(attachments); i++) {
		const struct attachment *a = &attachments[i];

		if (!is_good(a))
			continue;
		good++;
		for (size_t n = 0; n < strlen(a->text); n++) {
			size_t items;

			read_all(a->text, n, steps, sizeof steps);
			items = strlen(steps) - 1;
			assert_memory_equal(steps, a->steps, items);
			if (steps[items] != (is_boundary(a->text, n) ? 'E' : 'T'))
				fail_msg("%.*s: %s", (int)n, a->text, steps);
		}
	}
	assert_true(good > 25);
}

/* Also where the end follows at once: what is bad is bad before it is short. */
static void a_bad_byte_anywhere_is_bad(void **state) {
	static const char bytes[] = {'!', '=', '+', '{', '\n', 0, (char)0x80, (char)0xff};
	char steps[64], text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(attachments); i++) {
		const struct attachment *a = &attachments[i];
		size_t whole = strlen(a->text);

		if (!is_good(a))
			continue;
		for (size_t at = 0; at < whole; at++)
			for (size_t k = 0; k < 2 * sizeof bytes; k++) {
				memcpy(text, a->text, whole);
				text[at] = bytes[k / 2];
				read_all(text, k % 2 ? at + 1 : whole, steps, sizeof steps);
				if (steps[strlen(steps) - 1] != (is_boundary(a->text, at) ? 'E' : 'B'))
					fail_msg("%s, byte %zu: %s", a->text, at, steps);
			}
	}
}

/* No other text of the same place is taken for the same item. */
static void one_text_for_each_item(void **state) {
	static const char *const groups[] = {"-AAB" SIG, "-AAB" SIG_B, "-BAB" SIG_2A, "-AAB" SIG_2B,
		"-CAB" KEY_B COUPLE_SIG, "-GAB" SN DIGEST};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(groups); i++)
		for (size_t at = 4; at < strlen(groups[i]); at++)
			for (int c = '-'; c <= 'z'; c++) {
				struct cesr_item item, original;
				struct cesr_reader r;

				if (c == groups[i][at])
					continue;
				cesr_reader_init(&r, span_str(groups[i]));
				assert_int_equal(cesr_next(&r, &original, NULL), CESR_ITEM);
				memcpy(text, groups[i], strlen(groups[i]) + 1);
				text[at] = (char)c;
				cesr_reader_init(&r, span_str(text));
				if (cesr_next(&r, &item, NULL) == CESR_ITEM && r.rest.n == 0)
					assert_memory_not_equal(&item, &original, sizeof item);
			}
}

/* Index and ondex of each code, and the values of the rest. */
static void items_have_their_values(void **state) {
	static const struct {
		const char *code;
		uint32_t index, ondex;
	} codes[] = {
		{"AA", 0, 0},
		{"A_", 63, 63},
		{"Bb", 27, UINT32_MAX},
		{"2AAAAB", 0, 1},
		{"2AABAA", 1, 0},
		{"2AABAB", 1, 1},
		{"2A__A_", 4095, 63},
		{"2AA___", 63, 4095},
		{"2BBAAA", 64, UINT32_MAX},
		{"2B__AA", 4095, UINT32_MAX},
	};
	uint8_t sig[CESR_SIG_RAW], key[CESR_RAW];
	char text[512], part[93];
	struct cesr_item item;
	struct cesr_reader r;

	(void)state;
	random_bytes(sig, sizeof sig, 1);
	random_bytes(key, sizeof key, 2);
	for (size_t i = 0; i < COUNT(codes); i++) {
		snprintf(text, sizeof text, "-BAB%s", encode(codes[i].code, sig, sizeof sig, part));
		cesr_reader_init(&r, span_str(text));
		assert_int_equal(cesr_next(&r, &item, NULL), CESR_ITEM);
		assert_int_equal(item.kind, CESR_WITNESS_SIG);
		assert_int_equal(item.index, codes[i].index);
		assert_int_equal(item.ondex, codes[i].ondex);
		assert_memory_equal(item.sig, sig, sizeof sig);
		assert_int_equal(cesr_next(&r, &item, NULL), CESR_END);
	}
	snprintf(text, sizeof text, "-CAB%s", encode("B", key, sizeof key, part));
	strcat(text, encode("0B", sig, sizeof sig, part));
	cesr_reader_init(&r, span_str(text));
	assert_int_equal(cesr_next(&r, &item, NULL), CESR_ITEM);
	assert_int_equal(item.kind, CESR_COUPLE);
	assert_memory_equal(item.key, key, sizeof key);
	assert_memory_equal(item.sig, sig, sizeof sig);
	encode("E", key, sizeof key, part);
	snprintf(text, sizeof text, "-GAB%s%s", SN_MAX, part);
	cesr_reader_init(&r, span_str(text));
	assert_int_equal(cesr_next(&r, &item, NULL), CESR_ITEM);
	assert_int_equal(item.kind, CESR_SOURCE_SEAL);
	assert_true(item.sn == INT64_MAX);
	assert_string_equal(item.digest, part);
	cesr_reader_init(&r, span_str("-GAB0A" A22 "ABC" DIGEST));
	assert_int_equal(cesr_next(&r, &item, NULL), CESR_BAD);
	cesr_reader_init(&r, span_str("-GAB0A" A10 A10 "BC" DIGEST));
	assert_int_equal(cesr_next(&r, &item, NULL), CESR_ITEM);
	assert_int_equal(item.sn, 66);
}

/* A stream of one body and what follows; the body is as long as it says. */
static const struct {
	const char *text;
	enum cesr_step step;
	size_t body;
	const char *what;
} streams[] = {
	{"", CESR_END, 0, "empty"},
	{"{\"v\":\"KERI10JSON000019_\"}", CESR_ITEM, 25, "smallest"},
	{"{\"v\":\"KERI10JSON000019_\"}-AAB" SIG, CESR_ITEM, 25, "with a signature"},
	{"{\"v\":\"ACDC10JSON000019_\"}", CESR_ITEM, 25, "credential"},
	{"{\"v\":\"KERI10JSON00001a_\" }", CESR_ITEM, 26, "JSON is not looked at"},
	{"{\"v\":\"KERI10JSON000018_\"}", CESR_BAD, 0, "size below the smallest"},
	{"{\"v\":\"KERI10JSON000000_\"}", CESR_BAD, 0, "no size"},
	{"{\"v\":\"KERI10JSON00001A_\"}-", CESR_BAD, 0, "upper case"},
	{"{\"v\":\"KERI10JSON0x0019_\"}", CESR_BAD, 0, "no digit"},
	{"{\"v\":\"KERI20JSON000019_\"}", CESR_BAD, 0, "version 2"},
	{"{\"v\":\"KERICAAJSONAAAB.\"}", CESR_BAD, 0, "version 2 as CESR has it"},
	{"{\"v\":\"KERI10CBOR000019_\"}", CESR_BAD, 0, "CBOR"},
	{"{\"v\":\"KERI10MGPK000019_\"}", CESR_BAD, 0, "MGPK"},
	{"{\"v\":\"AERI10JSON000019_\"}", CESR_BAD, 0, "unknown protocol"},
	{"{\"v\":\"ACDC10JSON000019.\"}", CESR_BAD, 0, "other end"},
	{"{\"v\":\"KERI10JSON000019_ }", CESR_BAD, 0, "no quote"},
	{"{ \"v\":\"KERI10JSON00001a_\"}", CESR_BAD, 0, "white space"},
	{"{\"t\":\"icp\"}", CESR_BAD, 0, "no version first"},
	{"\n", CESR_BAD, 0, "a line end"},
	{"-AAB" SIG, CESR_BAD, 0, "an attachment to nothing"},
	{"{\"v\":\"KERI10JSON00001a_\"}", CESR_TRUNCATED, 25, "one byte short"},
	{"{\"v\":\"KERI10JSONffffff_\"}-AAB" SIG, CESR_TRUNCATED, 117, "far too large"},
	{"{\"v\":\"KERI10JSON000019_\"}-A__" SIG, CESR_TRUNCATED, 25, "count too large"},
	{"{\"v\":\"KERI10JSON000019_\"}-A__" SIG "{", CESR_BAD, 25, "count into the next"},
	{"{\"v\":\"KERI10JSON000019_\"}-zAB" SIG, CESR_BAD, 25, "unknown group"},
};

static void messages_come_one_by_one(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(streams); i++) {
		struct span exact = bytes_copy(streams[i].text, strlen(streams[i].text)), s = exact;
		struct err err = {.text = ""};
		struct cesr_message msg;
		enum cesr_step step = cesr_message(&s, &msg, &err);

		if (step != streams[i].step || msg.body.n != streams[i].body)
			fail_msg("%s: %c, %zu", streams[i].what, step_letters[step], msg.body.n);
		assert_int_equal(err.text[0] != 0, step == CESR_BAD || step == CESR_TRUNCATED);
		if (msg.body.n)
			assert_ptr_equal(msg.body.p, exact.p);
		if (step == CESR_ITEM) {
			assert_int_equal(msg.attachments.n, exact.n - msg.body.n);
			assert_int_equal(msg.acdc, exact.p[6] == 'A');
			assert_int_equal(s.n, 0);
			assert_int_equal(cesr_message(&s, &msg, &err), CESR_END);
		}
		bytes_free(exact);
	}
}

static void each_byte_of_a_version_string(void **state) {
	static const char good[] = "{\"v\":\"KERI10JSON000019_\"}";
	char text[sizeof good + 9];

	(void)state;
	for (size_t at = 0; at < 24; at++)
		for (int c = 0; c < 256; c++) {
			struct span s = span_of(text, 34);
			struct cesr_message msg;
			bool hex = at >= 16 && at < 22 && c && strchr("0123456789abcdef", c);
			enum cesr_step step;

			memset(text, '}', sizeof text);
			memcpy(text, good, 25);
			text[at] = (char)c;
			step = cesr_message(&s, &msg, NULL);
			if (c == good[at] || (at == 21 && c >= '9' && hex))
				assert_int_equal(step, CESR_ITEM);
			else if (hex && at < 21 && c > '0' + (at == 20))
				assert_int_equal(step, CESR_TRUNCATED);
			else
				assert_int_equal(step, CESR_BAD);
		}
}

/* Every file of a pattern, at least so many. */
static void for_files(const char *pattern, size_t least, void (*check)(const char *, struct span)) {
	glob_t found;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= least);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct span stream = bytes_of_file(found.gl_pathv[i]);

		check(found.gl_pathv[i], stream);
		bytes_free(stream);
	}
	globfree(&found);
}

/* The 44 characters of the first field of this name, given as "\"d\":\"". */
static struct span place(struct span body, const char *name) {
	const uint8_t *p = memmem(body.p, body.n, name, strlen(name));

	return p ? span_cut(body, (size_t)(p - body.p) + strlen(name), 44) : span_of(NULL, 0);
}

static void check_saids(const char *path, struct span stream) {
	static const struct span none;
	struct cesr_message msg;
	char said[CESR_TEXT], other[CESR_TEXT];
	enum cesr_step step;

	while ((step = cesr_message(&stream, &msg, NULL)) == CESR_ITEM) {
		struct span d = place(msg.body, "\"d\":\""), i = place(msg.body, "\"i\":\"");

		if (memmem(msg.body.p, msg.body.n, "\"t\":\"rct\"", 9))
			continue;
		cesr_said(msg.body, d, span_eq(d, i) ? i : none, said);
		cesr_said(msg.body, d, span_eq(d, i) ? none : i, other);
		if (!span_is(d, said) || span_is(d, other))
			fail_msg("%s: %s", path, said);
	}
	assert_int_equal(step, CESR_END);
}

static void known_saids_come_out(void **state) {
	(void)state;
	for_files("tests/vectors/card/golden-*.cesr", 4, check_saids);
	for_files("tests/vectors/kel/good/*.cesr", 20, check_saids);
}

/* Whatever is cut off: the messages before are as they were, nothing is bad, and a message comes
 * without all its attachments only where one of its groups ends. */
static void check_cuts(const char *path, struct span stream) {
	if (stream.n > 20000)
		return;
	for (size_t n = 0; n < stream.n; n++) {
		struct span exact = bytes_copy(stream.p, n), cut = exact, whole = stream;
		struct cesr_message part, full;
		enum cesr_step step = CESR_ITEM;

		while ((step = cesr_message(&cut, &part, NULL)) == CESR_ITEM) {
			assert_int_equal(cesr_message(&whole, &full, NULL), CESR_ITEM);
			assert_true(span_eq(part.body, full.body));
			assert_true(part.attachments.n <= full.attachments.n);
			if (part.attachments.n < full.attachments.n) {
				assert_int_equal(cut.n, 0);
				assert_true(
					is_boundary((const char *)full.attachments.p, part.attachments.n));
			}
		}
		if (step != CESR_END && step != CESR_TRUNCATED)
			fail_msg("%s, %zu bytes: %c", path, n, step_letters[step]);
		bytes_free(exact);
	}
}

static void cut_streams_are_truncated(void **state) {
	(void)state;
	for_files("tests/vectors/card/golden-*.cesr", 4, check_cuts);
	for_files("tests/vectors/kel/good/*.cesr", 20, check_cuts);
}

/* Of hostile streams it is asked only that they end, and are read no further than they go. */
static void check_ends(const char *path, struct span stream) {
	size_t left = stream.n + 1;
	struct cesr_message msg;
	struct err err;

	while (cesr_message(&stream, &msg, &err) == CESR_ITEM) {
		if (stream.n >= left)
			fail_msg("%s", path);
		left = stream.n;
	}
}

static void bad_streams_end(void **state) {
	(void)state;
	for_files("tests/vectors/kel/bad/*.cesr", 60, check_ends);
}

static enum cesr_step last_step(const char *path) {
	struct span exact = bytes_of_file(path), stream = exact;
	struct cesr_message msg;
	enum cesr_step step;

	do
		step = cesr_message(&stream, &msg, NULL);
	while (step == CESR_ITEM);
	bytes_free(exact);
	return step;
}

static void truncated_is_told_from_bad(void **state) {
	static const struct {
		const char *name;
		enum cesr_step step;
	} files[] = {
		{"truncated_in_attachment", CESR_TRUNCATED},
		{"frame_length_lie_long", CESR_TRUNCATED},
		{"counter_max_4095", CESR_TRUNCATED},
		{"version_size_huge", CESR_TRUNCATED},
		{"counter_D_todo", CESR_BAD},
		{"unknown_counter_code", CESR_BAD},
		{"leading_garbage", CESR_BAD},
		{"trailing_garbage", CESR_BAD},
		{"version_major_9", CESR_BAD},
		{"version_unknown_proto", CESR_BAD},
		{"version_uppercase_hex", CESR_BAD},
		{"empty_stream", CESR_END},
	};
	char path[128];

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, "tests/vectors/kel/bad/%s.cesr", files[i].name);
		if (last_step(path) != files[i].step)
			fail_msg("%s", path);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primitives_have_one_text),
		cmocka_unit_test(each_byte_at_each_place_of_a_primitive),
		cmocka_unit_test(a_primitive_is_as_long_as_it_is),
		cmocka_unit_test(an_identifier_is_a_key_or_a_digest),
		cmocka_unit_test(indexed_signatures_round_trip),
		cmocka_unit_test(digests_are_blake3),
		cmocka_unit_test(attachments_are_taken_or_refused),
		cmocka_unit_test(cut_anywhere_is_truncated),
		cmocka_unit_test(a_bad_byte_anywhere_is_bad),
		cmocka_unit_test(one_text_for_each_item),
		cmocka_unit_test(items_have_their_values),
		cmocka_unit_test(messages_come_one_by_one),
		cmocka_unit_test(each_byte_of_a_version_string),
		cmocka_unit_test(known_saids_come_out),
		cmocka_unit_test(cut_streams_are_truncated),
		cmocka_unit_test(bad_streams_end),
		cmocka_unit_test(truncated_is_told_from_bad),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
