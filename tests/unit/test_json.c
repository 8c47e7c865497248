/* test_json.c: the reader takes canonical JSON and nothing else. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bytes.h"
#include "json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* A text with its length, so that it may hold a NUL. */
#define TEXT(s) \
	{ s, sizeof(s) - 1 }

struct text {
	const char *p;
	size_t n;
};

static bool is_value(const void *p, size_t n) {
	struct span exact = bytes_copy(p, n), raw;
	struct json j;
	bool good;

	json_init(&j, exact);
	raw = json_value(&j);
	good = json_done(&j);
	if (good)
		assert_true(raw.p == exact.p && raw.n == exact.n);
	if (j.error)
		assert_true(raw.p == NULL && raw.n == 0 && json_peek(&j) == 0);
	bytes_free(exact);
	return good;
}

static const struct text good_values[] = {
	TEXT("null"),
	TEXT("true"),
	TEXT("false"),
	TEXT("0"),
	TEXT("-0"),
	TEXT("7"),
	TEXT("-12"),
	TEXT("1234567890123456789012345678901234567890"),
	TEXT("0.5"),
	TEXT("-1.25e+10"),
	TEXT("1E5"),
	TEXT("1e-5"),
	TEXT("\"\""),
	TEXT("\"plain text\""),
	TEXT("\"/ and ' and \x7f\""),
	TEXT("\"\\\" \\\\ \\b \\f \\n \\r \\t\""),
	TEXT("\"\\u0000\\u0007\\u000b\\u000e\\u000f\\u0010\\u001f\""),
	TEXT("\"\xc2\x80 \xdf\xbf\""),
	TEXT("\"\xe0\xa0\x80 \xec\xbf\xbf \xed\x80\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\""),
	TEXT("\"\xf0\x90\x80\x80 \xf1\x80\x80\x80 \xf3\xbf\xbf\xbf \xf4\x8f\xbf\xbf\""),
	TEXT("[]"),
	TEXT("[1]"),
	TEXT("[1,\"a\",[],{},null]"),
	TEXT("{}"),
	TEXT("{\"\":0}"),
	TEXT("{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}"),
	TEXT("{\"a\":1,\"A\":2,\"aa\":3,\"\":4}"),
	TEXT("{\"d\":\"\xe2\x82\xac\"}"),
};

static const struct text bad_values[] = {
	TEXT(""),
	TEXT(" 1"),
	TEXT("1 "),
	TEXT("1\n"),
	TEXT("[1, 2]"),
	TEXT("[ ]"),
	TEXT("{ }"),
	TEXT("{\"a\" :1}"),
	TEXT("{\"a\": 1}"),
	TEXT("\xef\xbb\xbf{}"),
	TEXT("nul"),
	TEXT("nulll"),
	TEXT("True"),
	TEXT("NaN"),
	TEXT("Infinity"),
	TEXT("undefined"),
	TEXT("'a'"),
	TEXT("a"),
	TEXT("-"),
	TEXT("+1"),
	TEXT("01"),
	TEXT("-01"),
	TEXT("00"),
	TEXT("1."),
	TEXT(".5"),
	TEXT("1.e5"),
	TEXT("1e"),
	TEXT("1e+"),
	TEXT("1e+-5"),
	TEXT("1e5.5"),
	TEXT("0x10"),
	TEXT("--1"),
	TEXT("[01]"),
	TEXT("1 2"),
	TEXT("\""),
	TEXT("\"a"),
	TEXT("\"a\"b"),
	TEXT("\"\\"),
	TEXT("\"\\\""),
	TEXT("\"\\u"),
	TEXT("\"\\u001"),
	TEXT("\"\\u001\""),
	TEXT("\"\\/\""),
	TEXT("\"\\x41\""),
	TEXT("\"\\'\""),
	TEXT("\"\\0\""),
	TEXT("\"\\\n\""),
	TEXT("\"\\B\""),
	TEXT("\"\\U0001\""),
	TEXT("\"\\u0041\""),
	TEXT("\"\\u0020\""),
	TEXT("\"\\u007f\""),
	TEXT("\"\\u001F\""),
	TEXT("\"\\u000B\""),
	TEXT("\"\\u0008\""),
	TEXT("\"\\u0009\""),
	TEXT("\"\\u000a\""),
	TEXT("\"\\u000c\""),
	TEXT("\"\\u000d\""),
	TEXT("\"\\u0022\""),
	TEXT("\"\\u005c\""),
	TEXT("\"\\u00e9\""),
	TEXT("\"\\ud83d\\ude00\""),
	TEXT("\"\\ud800\""),
	TEXT("\"\n\""),
	TEXT("\"\t\""),
	TEXT("\"\x1f\""),
	TEXT("\"\0\""),
	TEXT("\"\x80\""),
	TEXT("\"\xbf\""),
	TEXT("\"\xc0\x80\""),
	TEXT("\"\xc1\xbf\""),
	TEXT("\"\xc2\""),
	TEXT("\"\xc2\x41\""),
	TEXT("\"\xc2\xc0\""),
	TEXT("\"\xe0\x9f\xbf\""),
	TEXT("\"\xe0\xa0\""),
	TEXT("\"\xe1\x80\x41\""),
	TEXT("\"\xed\xa0\x80\""),
	TEXT("\"\xed\xbf\xbf\""),
	TEXT("\"\xf0\x8f\xbf\xbf\""),
	TEXT("\"\xf0\x90\x80\""),
	TEXT("\"\xf1\x80\x80\x41\""),
	TEXT("\"\xf4\x90\x80\x80\""),
	TEXT("\"\xf5\x80\x80\x80\""),
	TEXT("\"\xf8\x88\x80\x80\x80\""),
	TEXT("\"\xfe\""),
	TEXT("\"\xff\""),
	TEXT("\"\xc2"),
	TEXT("\"\xf0\x90\x80"),
	TEXT("["),
	TEXT("[1"),
	TEXT("[1,"),
	TEXT("[1,]"),
	TEXT("[,1]"),
	TEXT("[,]"),
	TEXT("[1,,2]"),
	TEXT("[1 2]"),
	TEXT("[1}"),
	TEXT("[1:2]"),
	TEXT("[]]"),
	TEXT("]"),
	TEXT("[[]"),
	TEXT("{"),
	TEXT("{\"a\""),
	TEXT("{\"a\":"),
	TEXT("{\"a\":1"),
	TEXT("{\"a\":1,"),
	TEXT("{\"a\":1,}"),
	TEXT("{,\"a\":1}"),
	TEXT("{\"a\":1,,\"b\":2}"),
	TEXT("{\"a\":1]"),
	TEXT("{\"a\"}"),
	TEXT("{\"a\",1}"),
	TEXT("{\"a\"1}"),
	TEXT("{\"a\":}"),
	TEXT("{a:1}"),
	TEXT("{1:2}"),
	TEXT("{null:2}"),
	TEXT("{\"a\":1;\"b\":2}"),
	TEXT("{}{}"),
	TEXT("{\"a\":1,\"a\":1}"),
	TEXT("{\"a\":1,\"b\":2,\"a\":3}"),
	TEXT("{\"\":1,\"\":1}"),
	TEXT("{\"x\":{\"a\":1,\"a\":2}}"),
	TEXT("[{\"a\":{\"b\":[{\"c\":1,\"c\":1}]}}]"),
	TEXT("{\"\\n\":1,\"\\n\":1}"),
	TEXT("// comment\n1"),
	TEXT("[1/**/]"),
};

static void values_are_taken_or_refused(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(good_values); i++)
		if (!is_value(good_values[i].p, good_values[i].n))
			fail_msg("refused: %s", good_values[i].p);
	for (size_t i = 0; i < COUNT(bad_values); i++)
		if (is_value(bad_values[i].p, bad_values[i].n))
			fail_msg("taken: %s", bad_values[i].p);
}

/* Numbers have no end of their own, so a shorter one is a number too. */
static void no_beginning_of_a_value_is_one(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(good_values); i++)
		if (strchr("\"[{tfn", good_values[i].p[0]))
			for (size_t n = 0; n < good_values[i].n; n++)
				assert_false(is_value(good_values[i].p, n));
}

static void each_byte_that_may_stand_in_a_string(void **state) {
	(void)state;
	for (int c = 0; c < 256; c++) {
		const char text[] = {'"', (char)c, '"'}, escape[] = {'"', '\\', (char)c, '"'};

		assert_int_equal(is_value(text, 3), c >= ' ' && c < 128 && c != '"' && c != '\\');
		assert_int_equal(is_value(escape, 4), c && strchr("\"\\bfnrt", c));
	}
}

/* Every scalar value of Unicode, and nothing else, has one form in UTF-8. */
static void all_of_utf8(void **state) {
	(void)state;
	for (unsigned c = 0; c < 0x120000; c++) {
		struct {
			unsigned char p[4];
			size_t n;
		} forms[3] = {
			{{(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 63))}, 2},
			{{(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)),
				 (uint8_t)(0x80 | (c & 63))},
				3},
			{{(uint8_t)(0xf0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)),
				 (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))},
				4},
		};
		size_t right = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

		for (size_t i = 0; i < 3; i++) {
			char text[6] = "\"";
			struct json j;
			bool fits = c < (i == 0 ? 0x800u : i == 1 ? 0x10000u : 0x200000u);
			bool good = forms[i].n == right && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

			if (!fits)
				continue;
			memcpy(text + 1, forms[i].p, forms[i].n);
			text[forms[i].n + 1] = '"';
			json_init(&j, span_of(text, forms[i].n + 2));
			json_string(&j);
			if (json_done(&j) != good)
				fail_msg("U+%04x in %zu bytes", c, forms[i].n);
		}
	}
}

/* n times open, then n times close. */
static bool nested(size_t n, const char *open, const char *close) {
	size_t a = strlen(open), b = strlen(close);
	char *text = malloc(n * (a + b) + 1);
	bool good;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		memcpy(text + i * a, open, a);
		memcpy(text + n * a + (open[a - 1] == ':') + i * b, close, b);
	}
	if (open[a - 1] == ':')
		text[n * a] = '0';
	good = is_value(text, n * (a + b) + (open[a - 1] == ':'));
	free(text);
	return good;
}

static void depth_has_a_limit(void **state) {
	(void)state;
	for (size_t n = 1; n <= JSON_DEPTH; n++) {
		assert_true(nested(n, "[", "]"));
		assert_true(nested(n, "{\"a\":", "}"));
	}
	for (size_t n = JSON_DEPTH + 1; n < 100000; n = n * 2 + 1) {
		assert_false(nested(n, "[", "]"));
		assert_false(nested(n, "{\"a\":", "}"));
		assert_false(nested(n, "[", ""));
	}
	assert_true(is_value("[[],[],[[]]]", 12));
}

/* What was opened by hand counts. */
static void depth_counts_from_the_outside(void **state) {
	char text[2 * (JSON_DEPTH + 1)];

	(void)state;
	for (size_t n = JSON_DEPTH; n <= JSON_DEPTH + 1; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		for (size_t outer = 0; outer < n; outer++) {
			struct json j;

			json_init(&j, span_of(text, 2 * n));
			for (size_t i = 0; i < outer; i++)
				json_open(&j, '[');
			json_value(&j);
			for (size_t i = 0; i < outer; i++)
				json_close(&j, ']');
			assert_int_equal(json_done(&j), n == JSON_DEPTH);
		}
	}
}

static bool map_of(size_t members) {
	char *text = malloc(members * 16 + 2);
	size_t n = 1;
	bool good;

	assert_non_null(text);
	text[0] = '{';
	for (size_t i = 0; i < members; i++)
		n += (size_t)sprintf(text + n, "%s\"%zu\":0", i ? "," : "", i);
	text[n++] = '}';
	good = is_value(text, n);
	free(text);
	return good;
}

static void members_have_a_limit(void **state) {
	(void)state;
	assert_true(map_of(JSON_MEMBERS));
	assert_false(map_of(JSON_MEMBERS + 1));
	assert_false(map_of(100 * JSON_MEMBERS));
}

static void fields_come_in_order(void **state) {
	static const char text[] = "{\"v\":\"x\",\"t\":[\"1\",\"2\"],\"e\":[],\"n\":7}";
	struct span exact = bytes_copy(text, strlen(text)), s;
	struct json j;

	(void)state;
	json_init(&j, exact);
	json_open(&j, '{');
	json_field(&j, "v");
	assert_true(span_is(json_string(&j), "x"));
	json_field(&j, "t");
	json_open(&j, '[');
	assert_true(json_next(&j, ']'));
	assert_true(span_is(json_string(&j), "1"));
	assert_true(json_next(&j, ']'));
	assert_true(span_is(json_string(&j), "2"));
	assert_false(json_next(&j, ']'));
	json_field(&j, "e");
	json_open(&j, '[');
	json_close(&j, ']');
	json_field(&j, "n");
	assert_int_equal(json_peek(&j), '7');
	s = json_value(&j);
	assert_true(span_is(s, "7"));
	assert_false(json_done(&j));
	json_close(&j, '}');
	assert_true(json_done(&j));
	assert_int_equal(json_peek(&j), 0);
	bytes_free(exact);
}

static void an_optional_field_may_be_absent(void **state) {
	static const struct {
		const char *text;
		bool a, b, done;
	} cases[] = {
		{"{\"a\":1,\"b\":2}", true, true, true},
		{"{\"a\":1}", true, false, true},
		{"{\"b\":2}", false, true, true},
		{"{}", false, false, true},
		{"{\"b\":2,\"a\":1}", false, true, false},
		{"{\"a\":1,\"a\":1}", true, false, false},
		{"{\"ab\":1}", false, false, false},
		{"{,\"a\":1}", false, false, false},
		{"{\"a\"}", false, false, false},
		{"{\"a\":1\"b\":2}", true, false, false},
		{"{\"a\":1,}", true, false, false},
		{"{\"a", false, false, false},
		{"{", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span exact = bytes_copy(cases[i].text, strlen(cases[i].text));
		struct json j;
		bool a, b;

		json_init(&j, exact);
		json_open(&j, '{');
		a = json_optional(&j, "a");
		if (a)
			json_value(&j);
		b = json_optional(&j, "b");
		if (b)
			json_value(&j);
		json_close(&j, '}');
		if (a != cases[i].a || b != cases[i].b || json_done(&j) != cases[i].done)
			fail_msg("%s", cases[i].text);
		bytes_free(exact);
	}
}

static void another_field_is_an_error(void **state) {
	static const char *const texts[] = {"{\"b\":1}", "{\"aa\":1}", "{\"\":1}", "{}", "{", "{\"a\"1}",
		"{,\"a\":1}", "{\"\\u0061\":1}", "{a:1}", "[\"a\":1]"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct json j;

		json_init(&j, span_str(texts[i]));
		json_open(&j, '{');
		json_field(&j, "a");
		assert_non_null(j.error);
	}
}

static void close_wants_the_end(void **state) {
	static const struct {
		const char *text;
		char open, close;
		bool good;
	} cases[] = {
		{"[]", '[', ']', true},
		{"{}", '{', '}', true},
		{"[1]", '[', ']', false},
		{"[}", '[', ']', false},
		{"[", '[', ']', false},
		{"{,}", '{', '}', false},
		{"{\"a\":1}", '{', '}', false},
	};
	struct json j;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_init(&j, span_str(cases[i].text));
		json_open(&j, cases[i].open);
		json_close(&j, cases[i].close);
		assert_int_equal(json_done(&j), cases[i].good);
	}
	json_init(&j, span_str("]"));
	json_close(&j, ']');
	assert_non_null(j.error);
	json_init(&j, span_str("]"));
	assert_false(json_next(&j, ']') && j.error);
}

static void the_first_error_stays(void **state) {
	struct json j;
	const char *error;
	struct span rest;

	(void)state;
	json_init(&j, span_str("{\"a\":1}"));
	json_open(&j, '[');
	error = j.error;
	rest = j.rest;
	assert_non_null(error);
	json_open(&j, '{');
	json_field(&j, "a");
	assert_false(json_optional(&j, "a"));
	assert_false(json_next(&j, '}'));
	assert_int_equal(json_string(&j).n, 0);
	assert_int_equal(json_value(&j).n, 0);
	assert_int_equal(json_peek(&j), 0);
	json_close(&j, '}');
	assert_false(json_done(&j));
	assert_ptr_equal(j.error, error);
	assert_ptr_equal(j.rest.p, rest.p);
	assert_int_equal(j.rest.n, rest.n);
}

static void the_error_is_at_its_place(void **state) {
	static const struct {
		const char *text;
		size_t at;
	} cases[] = {
		{"[1,x]", 3},
		{"[1 ,2]", 2},
		{"\"ab\\q\"", 3},
		{"\"ab\xff\"", 3},
		{"\"ab", 3},
		{"{\"a\"}", 4},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json j;

		json_init(&j, span_str(cases[i].text));
		json_value(&j);
		assert_non_null(j.error);
		assert_int_equal(strlen(cases[i].text) - j.rest.n, cases[i].at);
	}
}

static void nothing_at_all_is_no_value(void **state) {
	struct json j;

	(void)state;
	json_init(&j, span_of(NULL, 0));
	assert_int_equal(json_peek(&j), 0);
	assert_true(json_done(&j));
	json_value(&j);
	assert_non_null(j.error);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken_or_refused),
		cmocka_unit_test(no_beginning_of_a_value_is_one),
		cmocka_unit_test(each_byte_that_may_stand_in_a_string),
		cmocka_unit_test(all_of_utf8),
		cmocka_unit_test(depth_has_a_limit),
		cmocka_unit_test(depth_counts_from_the_outside),
		cmocka_unit_test(members_have_a_limit),
		cmocka_unit_test(fields_come_in_order),
		cmocka_unit_test(an_optional_field_may_be_absent),
		cmocka_unit_test(another_field_is_an_error),
		cmocka_unit_test(close_wants_the_end),
		cmocka_unit_test(the_first_error_stays),
		cmocka_unit_test(the_error_is_at_its_place),
		cmocka_unit_test(nothing_at_all_is_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
