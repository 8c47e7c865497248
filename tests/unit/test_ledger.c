/* test_ledger.c: what was given stays given; the file is read as it was written, or not at all. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "bytes.h"
#include "file.h"
#include "ledger.h"
#include "paths.h"

#define A "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define B "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define KEY_1 "hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8="
#define KEY_2 "4Tq8QZN6RB8zIsH0C8dF7ageWa6ynm7cgCKLSTOG0Ro="
#define LOGIN_32 "a234567890123456789012345678901_"

static char root[] = "/tmp/verimesh-test-XXXXXX";
static char path[64];
static struct file_dir dir; /* where it stands */

static int make_root(void **state) {
	(void)state;
	if (!mkdtemp(root))
		return 1;
	snprintf(path, sizeof path, "%s" PATH_STATE, root);
	if (!file_mkdir(path, 0755, NULL))
		return 1;
	snprintf(path, sizeof path, "%s" PATH_LEDGER, root);
	return !file_dir_open(&dir, root, PATH_STATE, NULL);
}

static int remove_root(void **state) {
	(void)state;
	file_dir_close(&dir);
	while (strlen(path) > strlen(root)) {
		*strrchr(path, '/') = 0;
		if (rmdir(path) != 0)
			return 1;
	}
	return 0;
}

static int no_file(void **state) {
	(void)state;
	unlink(path);
	return 0;
}

static void write_file(struct span content) {
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (content.n)
		fwrite(content.p, 1, content.n, f);
	assert_int_equal(fclose(f), 0);
}

static struct ledger open_ledger(void) {
	struct ledger ledger;
	struct err err;

	if (!ledger_open(&ledger, &dir, &err))
		fail_msg("%s", err.text);
	return ledger;
}

static struct ledger open_text(const char *text) {
	write_file(span_str(text));
	return open_ledger();
}

static void save(struct ledger *ledger) {
	struct err err;

	if (!ledger_save(ledger, &dir, &err))
		fail_msg("%s", err.text);
}

static void assert_file(const char *expected) {
	struct span content = bytes_of_file(path);

	if (!span_is(content, expected))
		fail_msg("the file is:\n%.*sand not:\n%s", SPAN_ARG(content), expected);
	bytes_free(content);
}

/* 0: none. */
static uint64_t number_of(
	const struct ledger *ledger, enum ledger_kind kind, const char *aid, const char *name) {
	uint64_t number = 0;

	assert_true(ledger_find(ledger, kind, aid, name, &number) == (number != 0));
	return number;
}

/* "AID NAME", "" for nobody. */
static void assert_owner(
	const struct ledger *ledger, enum ledger_kind kind, uint64_t number, const char *expected) {
	const char *aid = "", *name = "";
	char owner[100] = "";

	if (ledger_owner(ledger, kind, number, &aid, &name))
		snprintf(owner, sizeof owner, "%s %s", aid, name);
	assert_string_equal(owner, expected);
}

static bool knows_a(void *ctx, const char *aid) {
	(void)ctx;
	return strcmp(aid, A) == 0;
}

/* ---- what is written is read ---- */

static void without_a_file_it_is_empty(void **state) {
	struct ledger ledger = open_ledger();

	(void)state;
	assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 0);
	assert_owner(&ledger, LEDGER_UID, 1000, "");
	ledger_free(&ledger);
	ledger = open_text("");
	assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_1), 0);
	ledger_free(&ledger);
}

static void what_was_put_comes_back(void **state) {
	static const char text[] = "uid " A " alice 1997202310\n"
				   "gid " A " - 2074118273\n"
				   "key " A " " KEY_1 " 1767225600\n"
				   "uid " B " " LOGIN_32 " 4294967293\n"
				   "gid " B " - 1\n"
				   "src " A " - 1767225601\n";
	struct ledger ledger = {0};

	(void)state;
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1997202310));
	assert_true(ledger_put(&ledger, LEDGER_GID, A, "-", 2074118273));
	assert_true(ledger_claim(&ledger, A, KEY_1, 1767225600));
	assert_true(ledger_put(&ledger, LEDGER_UID, B, LOGIN_32, UINT32_C(4294967293)));
	assert_true(ledger_put(&ledger, LEDGER_GID, B, "-", 1));
	assert_true(ledger_put(&ledger, LEDGER_ANSWERED, A, "-", 1767225601));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 1997202310);
		assert_int_equal(number_of(&ledger, LEDGER_GID, A, "-"), 2074118273);
		assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_1), 1767225600);
		assert_int_equal(number_of(&ledger, LEDGER_UID, B, LOGIN_32), UINT32_C(4294967293));
		assert_int_equal(number_of(&ledger, LEDGER_UID, B, "alice"), 0);
		assert_int_equal(number_of(&ledger, LEDGER_KEY, B, KEY_1), 0);
		assert_int_equal(number_of(&ledger, LEDGER_ANSWERED, A, "-"), 1767225601);
		assert_int_equal(number_of(&ledger, LEDGER_ANSWERED, B, "-"), 0);
		assert_owner(&ledger, LEDGER_UID, 1997202310, A " alice");
		assert_owner(&ledger, LEDGER_GID, 1997202310, "");
		assert_owner(&ledger, LEDGER_GID, 1, B " -");
		save(&ledger);
		assert_file(text);
		ledger_free(&ledger);
		ledger = open_ledger();
	}
	ledger_free(&ledger);
}

static void a_thousand_lines_come_back(void **state) {
	struct ledger ledger = {0};
	char login[16];

	(void)state;
	for (unsigned i = 1; i <= 1000; i++) {
		snprintf(login, sizeof login, "l%u", i);
		assert_true(ledger_put(&ledger, LEDGER_UID, i % 2 ? A : B, login, 5000 + i));
	}
	save(&ledger);
	ledger_free(&ledger);
	ledger = open_ledger();
	for (unsigned i = 1; i <= 1000; i++) {
		snprintf(login, sizeof login, "l%u", i);
		assert_int_equal(number_of(&ledger, LEDGER_UID, i % 2 ? A : B, login), 5000 + i);
	}
	ledger_free(&ledger);
}

/* ---- what was given stays given ---- */

static void a_replaced_number_stays_given(void **state) {
	struct ledger ledger = open_text("uid " A " alice 1000\n");

	(void)state;
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 2000));
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 3000));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 3000);
		for (uint64_t number = 1000; number <= 3000; number += 1000)
			assert_owner(&ledger, LEDGER_UID, number, A " alice");
		save(&ledger);
		ledger_free(&ledger);
		ledger = open_ledger();
	}
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1000));
	assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 1000);
	assert_owner(&ledger, LEDGER_UID, 3000, A " alice");
	ledger_free(&ledger);
}

/* At each fetch of ten thousand peers the file stays as long as it is. */
static void an_answer_takes_the_place_of_the_one_before(void **state) {
	struct ledger ledger = open_text("src " A " - 1000\nuid " A " alice 1000\n");

	(void)state;
	for (uint64_t now = 2000; now <= 3000; now += 500) {
		assert_true(ledger_put(&ledger, LEDGER_ANSWERED, A, "-", now));
		assert_true(ledger_put(&ledger, LEDGER_ANSWERED, B, "-", now + 1));
		assert_int_equal(number_of(&ledger, LEDGER_ANSWERED, A, "-"), now);
		assert_int_equal(number_of(&ledger, LEDGER_ANSWERED, B, "-"), now + 1);
	}
	assert_false(ledger_has_claims(&ledger));
	assert_true(ledger_put(&ledger, LEDGER_ANSWERED, A, "-", 1)); /* the clock was set back */
	ledger_drop_claims(&ledger, knows_a, NULL);
	save(&ledger);
	assert_file("src " A " - 1\nuid " A " alice 1000\nsrc " B " - 3001\n");
	assert_int_equal(unlink(path), 0);
	assert_true(ledger_put(&ledger, LEDGER_ANSWERED, A, "-", 1));
	save(&ledger);
	assert_int_not_equal(access(path, F_OK), 0);
	ledger_free(&ledger);
}

/* Of several numbers the last is in force; of several owners the first has the number. */
static void lines_that_repeat(void **state) {
	static const char text[] = "uid " A " alice 1000\n"
				   "uid " A " alice 1000\n"
				   "uid " A " alice 1001\n"
				   "uid " B " bob 1000\n"
				   "gid " A " - 7\ngid " A " - 8\n"
				   "key " A " " KEY_1 " 5\nkey " A " " KEY_1 " 6\n";
	struct ledger ledger = open_text(text);

	(void)state;
	assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 1001);
	assert_int_equal(number_of(&ledger, LEDGER_UID, B, "bob"), 1000);
	assert_owner(&ledger, LEDGER_UID, 1000, A " alice");
	assert_int_equal(number_of(&ledger, LEDGER_GID, A, "-"), 8);
	assert_owner(&ledger, LEDGER_GID, 7, A " -");
	assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_1), 6);
	ledger_free(&ledger);
}

/* ---- files ---- */

static void nothing_is_written_when_nothing_changed(void **state) {
	struct ledger ledger = open_text("uid " A " alice 1000\nkey " A " " KEY_1 " 5\n");

	(void)state;
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1000));
	assert_true(ledger_claim(&ledger, A, KEY_1, 99));
	assert_int_equal(unlink(path), 0);
	save(&ledger);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1001));
	save(&ledger);
	assert_file("uid " A " alice 1000\nkey " A " " KEY_1 " 5\nuid " A " alice 1001\n");
	assert_int_equal(unlink(path), 0);
	save(&ledger);
	assert_int_not_equal(access(path, F_OK), 0);
	ledger_free(&ledger);
}

/* Another file takes its place: who reads the old one reads it to its end. */
static void it_is_replaced_whole(void **state) {
	struct ledger ledger = open_text("uid " A " alice 1000\n");
	struct stat before, after;
	char beside[80];

	(void)state;
	snprintf(beside, sizeof beside, "%s.new", path);
	assert_int_equal(stat(path, &before), 0);
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "bob", 1001));
	save(&ledger);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 07777, 0644);
	assert_int_not_equal(access(beside, F_OK), 0);
	ledger_free(&ledger);
}

static void what_cannot_be_written_is_told_and_tried_again(void **state) {
	struct ledger ledger = {0};
	struct err err;

	(void)state;
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1000));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(ledger_save(&ledger, &dir, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_non_null(strstr(err.text, path));
	ledger_free(&ledger);
	assert_false(ledger_open(&ledger, &dir, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(rmdir(path), 0);
	assert_true(ledger_put(&ledger, LEDGER_UID, A, "alice", 1000));
	save(&ledger);
	assert_file("uid " A " alice 1000\n");
	ledger_free(&ledger);
}

/* ---- damage ---- */

static void a_damaged_line_is_told(void **state) {
	static const char *const lines[] = {"\n", " \n", "uid\n", "uid " A "\n", "uid " A " alice\n",
		"uid " A " alice \n",
		/* kinds */
		"Uid " A " alice 1000\n", "pid " A " alice 1000\n", "uids " A " alice 1000\n",
		"uid" A " alice 1000\n", "u " A " alice 1000\n", "# uid " A " alice 1000\n",
		/* numbers */
		"uid " A " alice x\n", "uid " A " alice -1\n", "uid " A " alice +1000\n",
		"uid " A " alice 01000\n", "uid " A " alice 0x10\n", "uid " A " alice 1000.\n",
		"uid " A " alice 0\n", "gid " A " - 0\n", "uid " A " alice 4294967294\n",
		"gid " A " - 4294967295\n", "uid " A " alice 4294967296\n",
		"uid " A " alice 18446744073709551616\n", "uid " A " alice -18446744073709550616\n",
		"key " A " " KEY_1 " 9223372036854775808\n", "key " A " " KEY_1 " -1\n",
		"key " A " " KEY_1 " 99999999999999999999999\n", "src " A " - 9223372036854775808\n",
		/* names */
		"uid " A " " KEY_1 "a 1000\n", "uid " A "1234 1000\n", "uid " A "a alice 1000\n",
		"uid EGw6m53qIwpwmE5qWvOz alice 1000\n", "uid alice " A " 1000\n",
		"uid " A " alice bob 1000\n",
		/* space */
		" uid " A " alice 1000\n", "uid  " A " alice 1000\n", "uid " A "  alice 1000\n",
		"uid " A " alice  1000\n", "uid " A " alice 1000 \n", "uid\t" A " alice 1000\n",
		"uid\n" A " alice 1000\n", "uid " A " alice 1000\r\n", "uid " A " alice 1000x\n",
		"uid " A " alice 1000"};
	char text[400], expected[200];
	struct ledger ledger;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		for (int before = 0; before < 3; before++) {
			snprintf(text, sizeof text, "%s%s%s", before ? "uid " A " zoe 999\n" : "",
				before > 1 ? "uid " A " zoe 998\n" : "", lines[i]);
			write_file(span_str(text));
			snprintf(expected, sizeof expected, "%s:%d: damaged; restore it from a backup", path,
				before + 1);
			if (ledger_open(&ledger, &dir, &err))
				fail_msg("taken: %s", lines[i]);
			assert_int_equal(err.status, ERR_ENV);
			assert_string_equal(err.text, expected);
			assert_int_equal(ledger.n, 0);
			assert_null(ledger.by_owner);
		}
}

static void every_cut_is_told(void **state) {
	static const char text[] = "uid " A " alice 1000\nkey " A " " KEY_1 " 5\n";
	size_t first = strcspn(text, "\n") + 1;
	struct ledger ledger;

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		bool whole = n == 0 || n == first || n == strlen(text);

		write_file(span_of(text, n));
		if (ledger_open(&ledger, &dir, NULL) != whole)
			fail_msg("cut at %zu", n);
		ledger_free(&ledger);
	}
}

static void a_nul_byte_is_damage(void **state) {
	char text[] = "uid " A " alice 1000\nuid " A " bob 1001\n";
	char expected[200];
	struct ledger ledger;
	struct err err;

	(void)state;
	for (size_t at = 0; at < strlen("uid " A " alice 1000\n"); at++) {
		struct span content = span_of(text, sizeof text - 1);
		char byte = text[at];

		text[at] = 0;
		write_file(content);
		assert_false(ledger_open(&ledger, &dir, &err));
		snprintf(expected, sizeof expected, "%s:1: damaged; restore it from a backup", path);
		assert_string_equal(err.text, expected);
		text[at] = byte;
	}
}

/* ---- claims ---- */

static void claims_not_made_again_are_dropped(void **state) {
	struct ledger ledger = open_text("key " A " " KEY_1 " 1\nuid " A " alice 1000\n"
					 "key " A " " KEY_2 " 2\nkey " B " " KEY_2 " 3\n");

	(void)state;
	assert_true(ledger_has_claims(&ledger));
	assert_true(ledger_claim(&ledger, A, KEY_2, 9));
	ledger_drop_claims(&ledger, knows_a, NULL);
	assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_1), 0);
	assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_2), 2);
	assert_int_equal(number_of(&ledger, LEDGER_KEY, B, KEY_2), 3);
	assert_int_equal(number_of(&ledger, LEDGER_UID, A, "alice"), 1000);
	save(&ledger);
	assert_file("uid " A " alice 1000\nkey " A " " KEY_2 " 2\nkey " B " " KEY_2 " 3\n");
	/* each time anew */
	assert_true(ledger_claim(&ledger, A, KEY_1, 9));
	ledger_drop_claims(&ledger, knows_a, NULL);
	save(&ledger);
	assert_file("uid " A " alice 1000\nkey " B " " KEY_2 " 3\nkey " A " " KEY_1 " 9\n");
	ledger_free(&ledger);
}

static void what_hangs_on_a_claim_goes_with_it(void **state) {
	struct ledger ledger = open_text("key " A " " KEY_1 " 1\nkey " A " " KEY_2 " 2\n"
					 "met " A " " KEY_1 " 5\nmet " A " " KEY_2 " 6\n");

	(void)state;
	assert_true(ledger_claim(&ledger, A, KEY_2, 9));
	ledger_drop_claims(&ledger, knows_a, NULL);
	assert_int_equal(number_of(&ledger, LEDGER_MET, A, KEY_2), 6);
	save(&ledger);
	assert_file("key " A " " KEY_2 " 2\nmet " A " " KEY_2 " 6\n");
	ledger_free(&ledger);
}

static void a_claim_that_stands_twice(void **state) {
	for (int claimed = 0; claimed < 2; claimed++) {
		struct ledger ledger = open_text("key " A " " KEY_1 " 5\nkey " A " " KEY_1 " 6\n");

		(void)state;
		assert_true(!claimed || ledger_claim(&ledger, A, KEY_1, 9));
		ledger_drop_claims(&ledger, knows_a, NULL);
		assert_int_equal(number_of(&ledger, LEDGER_KEY, A, KEY_1), claimed ? 6 : 0);
		save(&ledger);
		assert_file(claimed ? "key " A " " KEY_1 " 6\n" : "");
		ledger_free(&ledger);
	}
}

#define test(f) cmocka_unit_test_teardown(f, no_file)

int main(void) {
	const struct CMUnitTest tests[] = {
		test(without_a_file_it_is_empty),
		test(what_was_put_comes_back),
		test(a_thousand_lines_come_back),
		test(a_replaced_number_stays_given),
		test(an_answer_takes_the_place_of_the_one_before),
		test(lines_that_repeat),
		test(nothing_is_written_when_nothing_changed),
		test(it_is_replaced_whole),
		test(what_cannot_be_written_is_told_and_tried_again),
		test(a_damaged_line_is_told),
		test(every_cut_is_told),
		test(a_nul_byte_is_damage),
		test(claims_not_made_again_are_dropped),
		test(what_hangs_on_a_claim_goes_with_it),
		test(a_claim_that_stands_twice),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
