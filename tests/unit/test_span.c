/* test_span.c: a span never shows more than its bytes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"

static const struct span none = {NULL, 0};

static void equal_means_same_bytes(void **state) {
	(void)state;
	assert_true(span_eq(span_str("ab"), span_of("abc", 2)));
	assert_false(span_eq(span_str("ab"), span_str("abc")));
	assert_false(span_eq(span_str("ab"), span_str("ac")));
	assert_false(span_eq(span_of("a\0b", 3), span_of("a\0c", 3)));
	assert_true(span_eq(none, span_str("")));
	assert_true(span_is(none, ""));
	assert_true(span_is(span_of("mesh!", 4), "mesh"));
	assert_false(span_is(span_of("mesh", 3), "mesh"));
	assert_false(span_is(span_of("mesh\0", 5), "mesh"));
}

static void cut_keeps_to_what_is_there(void **state) {
	struct span s = span_str("0123456789");

	(void)state;
	assert_true(span_is(span_cut(s, 2, 3), "234"));
	assert_true(span_is(span_cut(s, 8, 3), "89"));
	assert_true(span_is(span_cut(s, 10, 1), ""));
	assert_true(span_is(span_cut(s, 11, 1), ""));
	assert_true(span_is(span_cut(s, SIZE_MAX, SIZE_MAX), ""));
	assert_true(span_is(span_cut(s, 1, SIZE_MAX), "123456789"));
	assert_true(span_is(span_from(s, 7), "789"));
	assert_true(span_is(span_from(s, 99), ""));
	assert_int_equal(span_cut(none, 0, 5).n, 0);
	assert_int_equal(span_from(none, 3).n, 0);
}

static void starts_with_a_text(void **state) {
	(void)state;
	assert_true(span_starts(span_str("verimesh"), "veri"));
	assert_true(span_starts(span_str("veri"), "veri"));
	assert_true(span_starts(none, ""));
	assert_false(span_starts(span_str("ver"), "veri"));
	assert_false(span_starts(span_str("xveri"), "veri"));
	assert_false(span_starts(none, "v"));
}

static void copy_fits_whole_or_not_at_all(void **state) {
	struct span exact = bytes_copy("abc", 3);
	char buf[4] = "xyz";

	(void)state;
	assert_true(span_copy(exact, buf, sizeof buf));
	assert_string_equal(buf, "abc");
	assert_false(span_copy(exact, buf, 3));
	assert_string_equal(buf, "");
	assert_false(span_copy(span_of("a\0", 2), buf, sizeof buf));
	assert_string_equal(buf, "");
	assert_true(span_copy(none, buf, 1));
	assert_string_equal(buf, "");
	bytes_free(exact);
}

static void prints_no_more_than_its_bytes(void **state) {
	struct span exact = bytes_copy("abc", 3);
	char buf[5000], large[5000];

	(void)state;
	snprintf(buf, sizeof buf, "<%.*s>", SPAN_ARG(exact));
	assert_string_equal(buf, "<abc>");
	snprintf(buf, sizeof buf, "<%.*s>", SPAN_ARG(none));
	assert_string_equal(buf, "<>");
	memset(large, 'x', sizeof large);
	snprintf(buf, sizeof buf, "%.*s", SPAN_ARG(span_of(large, sizeof large)));
	assert_int_equal(strlen(buf), 4096);
	bytes_free(exact);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_means_same_bytes),
		cmocka_unit_test(cut_keeps_to_what_is_there),
		cmocka_unit_test(starts_with_a_text),
		cmocka_unit_test(copy_fits_whole_or_not_at_all),
		cmocka_unit_test(prints_no_more_than_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
