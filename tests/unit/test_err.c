/* test_err.c: an error is one printable line, whatever it quotes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "err.h"

static void set_says_what_and_returns_false(void **state) {
	struct err err;

	(void)state;
	assert_false(err_set(&err, ERR_USAGE, "%s:%d: %s", "verimesh.conf", 7, "unknown key"));
	assert_int_equal(err.status, ERR_USAGE);
	assert_string_equal(err.text, "verimesh.conf:7: unknown key");
	assert_false(err_set(&err, ERR_ENV, "x"));
	assert_int_equal(err.status, ERR_ENV);
	assert_string_equal(err.text, "x");
}

static void at_puts_the_place_in_front(void **state) {
	struct err err;

	(void)state;
	err_set(&err, ERR_NO, "what");
	assert_false(err_at(&err, "peer %s", "clinic-b"));
	assert_string_equal(err.text, "peer clinic-b: what");
	err_at(&err, "fetch");
	assert_string_equal(err.text, "fetch: peer clinic-b: what");
	assert_int_equal(err.status, ERR_NO);
}

static void nobody_needs_to_ask_for_the_error(void **state) {
	(void)state;
	assert_false(err_set(NULL, ERR_NO, "what"));
	assert_false(err_at(NULL, "where"));
}

static void hostile_bytes_are_not_printed(void **state) {
	struct err err;

	(void)state;
	err_set(&err, ERR_NO, "%s", "a\nb\tc\x1b[31m\x7f\xc3\xa9 ~");
	assert_string_equal(err.text, "a?b?c?[31m??? ~");
	err_at(&err, "%s", "\r\x01");
	assert_string_equal(err.text, "??: a?b?c?[31m??? ~");
}

static void long_text_is_cut(void **state) {
	struct err err;
	char huge[2000];

	(void)state;
	memset(huge, 'x', sizeof huge - 1);
	huge[sizeof huge - 1] = 0;
	err_set(&err, ERR_NO, "%s", huge);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	err_at(&err, "where");
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	assert_memory_equal(err.text, "where: xxx", 10);
	err_set(&err, ERR_NO, "what");
	err_at(&err, "%s", huge);
	assert_true(strlen(err.text) < sizeof err.text);
	assert_string_equal(err.text + strlen(err.text) - 6, ": what");
}

static void errno_survives(void **state) {
	struct err err;

	(void)state;
	errno = ENOENT;
	err_set(&err, ERR_ENV, "%s: %m", "file");
	assert_string_equal(err.text, "file: No such file or directory");
	assert_int_equal(errno, ENOENT);
	err_at(&err, "import");
	assert_int_equal(errno, ENOENT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_says_what_and_returns_false),
		cmocka_unit_test(at_puts_the_place_in_front),
		cmocka_unit_test(nobody_needs_to_ask_for_the_error),
		cmocka_unit_test(hostile_bytes_are_not_printed),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(errno_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
