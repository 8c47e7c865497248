/* test_sealed.c: a sealed seed opens by its passphrase alone; that comes from where it should, unseen. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "../../verimesh/sealed.c"

static const struct passphrase right = {"correct horse battery staple"};
static uint8_t seed[SEED_BYTES];

/* ---- what it seals ---- */

/* A line that costs little, as another machine may have written it. */
static void cheap(char line[static SEALED_LINE]) {
	uint8_t key[crypto_secretbox_KEYBYTES];
	struct box box = {.salt = {1}, .nonce = {2}};
	struct err err;
	int n = snprintf(line, SEALED_LINE, MARK "1 8 ");

	assert_true(stretch(&right, &box, 1, 8, key, &err));
	crypto_secretbox_easy(box.sealed, seed, SEED_BYTES, box.nonce, key);
	sodium_bin2base64(line + n, SEALED_LINE - (size_t)n, (uint8_t *)&box, sizeof box,
		sodium_base64_VARIANT_ORIGINAL);
}

static void it_comes_back_by_the_same_passphrase_alone(void **state) {
	static const char *const wrong[] = {"", "correct horse battery stapl",
		"correct horse battery staple ", "Correct horse battery staple"};
	char line[SEALED_LINE], other[SEALED_LINE];
	struct passphrase passphrase = {0};
	uint8_t back[SEED_BYTES];
	struct err err;

	(void)state;
	assert_true(seed_seal(&right, seed, line, &err));
	assert_true(seed_seal(&right, seed, other, &err));
	assert_string_not_equal(line, other);
	assert_true(seed_is_sealed(span_str(line)));
	assert_non_null(strstr(line, "argon2id 3 65536 "));
	assert_true(seed_open(&right, span_str(line), back, &err));
	assert_memory_equal(back, seed, sizeof seed);
	cheap(line);
	assert_true(seed_open(&right, span_str(line), back, &err));
	assert_memory_equal(back, seed, sizeof seed);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		strcpy(passphrase.text, wrong[i]);
		assert_false(seed_open(&passphrase, span_str(line), back, &err));
		assert_string_equal(err.text, "wrong passphrase");
		assert_int_equal(err.status, ERR_NO);
	}
}

/* Whatever is changed in the line, it does not open, and asks no more of us than it may. */
static void no_other_line_opens(void **state) {
	static const char *const lines[] = {"", "argon2id", "argon2id ", "argon2id 1 8", "argon2id 0 8 ",
		"argon2id 17 8 ", "argon2id 1 7 ", "argon2id 1 1048577 ", "argon2id -1 8 ",
		"argon2id 4294967297 8 ", "argon2id +1 8 ", "argon2id 01 8 ", "argon2id  1 8 ",
		"argon2i 1 8 "};
	char line[SEALED_LINE], bent[SEALED_LINE + 1];
	uint8_t back[SEED_BYTES];
	struct err err;
	size_t n;

	(void)state;
	cheap(line);
	n = strlen(line);
	for (size_t i = strlen("argon2id 1 8 "); i < n; i++)
		for (const char *c = "Aa0+/= \n-_"; *c; c++) {
			strcpy(bent, line);
			bent[i] = *c;
			assert_int_equal(seed_open(&right, span_str(bent), back, &err), *c == line[i]);
		}
	for (size_t i = 0; i < n; i++)
		assert_false(seed_open(&right, span_of(line, i), back, &err));
	snprintf(bent, sizeof bent, "%sA", line);
	assert_false(seed_open(&right, span_str(bent), back, &err));
	snprintf(bent, sizeof bent, "%s ", line);
	assert_false(seed_open(&right, span_str(bent), back, &err));
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		snprintf(bent, sizeof bent, "%s%s", lines[i], line + strlen("argon2id 1 8 "));
		if (seed_open(&right, span_str(bent), back, &err))
			fail_msg("opens: %s", bent);
		assert_int_equal(err.status, ERR_ENV);
		assert_string_equal(err.text, "damaged; restore it from a backup");
	}
	assert_false(seed_is_sealed(span_str("wJXhO2DJCWDWQRzxdBGWlR4hb+LXJRmd6nUHlvHZqz0=")));
}

/* ---- where it comes from ---- */

/* Asks with this as standard input; the rest of that is what the next reader finds. */
static bool ask_input(const char *input, size_t n, enum passphrase_from from, struct passphrase *out,
	char rest[static 64], struct err *err) {
	int ends[2], before = dup(STDIN_FILENO);
	ssize_t left;
	bool good;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], input, n), n);
	close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	*out = (struct passphrase){0};
	good = passphrase_get(from, out, err);
	left = read(STDIN_FILENO, rest, 63);
	rest[left < 0 ? 0 : left] = 0;
	assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
	close(before);
	return good;
}

static void it_is_one_line_of_the_input(void **state) {
	char rest[64], longest[PASSPHRASE_MAX + 3];
	struct passphrase out;
	struct err err;

	(void)state;
	assert_true(ask_input("one line\nthe next\n", 18, PASSPHRASE_OLD, &out, rest, &err));
	assert_string_equal(out.text, "one line");
	assert_string_equal(rest, "the next\n");
	assert_true(ask_input("no end", 6, PASSPHRASE_NEW, &out, rest, &err));
	assert_string_equal(out.text, "no end");
	memset(longest, 'x', sizeof longest);
	longest[PASSPHRASE_MAX] = '\n';
	assert_true(ask_input(longest, PASSPHRASE_MAX + 1, PASSPHRASE_OLD, &out, rest, &err));
	assert_int_equal(strlen(out.text), PASSPHRASE_MAX);
	longest[PASSPHRASE_MAX] = 'x';
	longest[PASSPHRASE_MAX + 1] = '\n';
	assert_false(ask_input(longest, PASSPHRASE_MAX + 2, PASSPHRASE_OLD, &out, rest, &err));
	assert_false(ask_input("", 0, PASSPHRASE_OLD, &out, rest, &err));
	assert_false(ask_input("\n", 1, PASSPHRASE_OLD, &out, rest, &err));
	assert_false(ask_input("a\0b\n", 4, PASSPHRASE_OLD, &out, rest, &err));
	assert_string_equal(err.text, "passphrase: empty, with a NUL, or longer than 1023 bytes");
	/* nobody is asked who is not there */
	assert_false(ask_input("one\n", 4, PASSPHRASE_CREDENTIAL, &out, rest, &err));
	assert_string_equal(rest, "one\n");
	assert_non_null(strstr(err.text, "systemd credential verimesh.passphrase"));
}

/* A piece of it that came before the input failed is not it: nobody would know what was sealed. */
static void a_part_of_a_line_is_refused(void **state) {
	int ends[2], before = dup(STDIN_FILENO);
	struct passphrase out = {0};
	struct err err;
	bool good;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], "par", 3), 3);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	good = passphrase_get(PASSPHRASE_NEW, &out, &err);
	assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
	close(before);
	close(ends[0]);
	close(ends[1]);
	assert_false(good);
	assert_int_equal(err.status, ERR_ENV);
	assert_string_equal(out.text, "");
}

static void a_credential_comes_before_all(void **state) {
	char dir[] = "/tmp/verimesh-test-XXXXXX", path[64], rest[64];
	struct passphrase out;
	struct err err;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/" CREDENTIAL, dir);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	assert_true(ask_input("asked\n", 6, PASSPHRASE_OLD, &out, rest, &err));
	assert_string_equal(out.text, "asked");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("of the credential\n", file);
	assert_int_equal(fclose(file), 0);
	for (int from = PASSPHRASE_CREDENTIAL; from <= PASSPHRASE_NEW; from++) {
		assert_true(ask_input("asked\n", 6, (enum passphrase_from)from, &out, rest, &err));
		assert_string_equal(out.text, "of the credential");
		assert_string_equal(rest, "asked\n");
	}
	/* one that is no passphrase is not passed over */
	assert_int_equal(truncate(path, 0), 0);
	assert_false(ask_input("asked\n", 6, PASSPHRASE_OLD, &out, rest, &err));
	assert_non_null(strstr(err.text, "passphrase: empty"));
	unlink(path);
	rmdir(dir);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* A person at a terminal, and the child that asks him. */
struct talk {
	int terminal;
	pid_t child;
	char heard[512];
	size_t n;
};

static struct talk talk_begin(enum passphrase_from from) {
	struct talk talk = {0};

	talk.child = forkpty(&talk.terminal, NULL, NULL, NULL);
	if (talk.child == 0) {
		struct passphrase out = {0};
		struct err err;
		bool good;

		/* whoever runs the tests may have it ignored */
		(void)signal(SIGHUP, SIG_DFL);
		good = passphrase_get(from, &out, &err);
		printf("[%s]\n", good ? out.text : err.text);
		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	return talk;
}

static void hear(struct talk *talk, const char *what) {
	while (!strstr(talk->heard, what)) {
		ssize_t n = read(talk->terminal, talk->heard + talk->n, sizeof talk->heard - 1 - talk->n);

		if (n <= 0)
			fail_msg("heard only: %s", talk->heard);
		talk->n += (size_t)n;
	}
}

static bool echoes(const struct talk *talk) {
	struct termios now;

	assert_int_equal(tcgetattr(talk->terminal, &now), 0);
	return now.c_lflag & ECHO;
}

static void type(struct talk *talk, const char *what) {
	assert_false(echoes(talk));
	assert_int_equal(write(talk->terminal, what, strlen(what)), strlen(what));
}

static int talk_end(struct talk *talk) {
	int status;

	assert_int_equal(waitpid(talk->child, &status, 0), talk->child);
	assert_true(echoes(talk));
	close(talk->terminal);
	return status;
}

static void a_terminal_does_not_show_it(void **state) {
	struct talk talk = talk_begin(PASSPHRASE_OLD);

	(void)state;
	hear(&talk, "Passphrase of the identity: ");
	type(&talk, "hidden\n");
	hear(&talk, "]");
	assert_non_null(strstr(talk.heard, "[hidden]"));
	*strstr(talk.heard, "[hidden]") = 0;
	assert_null(strstr(talk.heard, "hidden"));
	assert_int_equal(talk_end(&talk), 0);
}

static void a_new_one_is_typed_twice(void **state) {
	for (int same = 0; same < 2; same++) {
		struct talk talk = talk_begin(PASSPHRASE_NEW);

		(void)state;
		hear(&talk, "New passphrase of the identity: ");
		type(&talk, "hidden\n");
		hear(&talk, "The same again: ");
		type(&talk, same ? "hidden\n" : "bidden\n");
		hear(&talk, "]");
		assert_non_null(
			strstr(talk.heard, same ? "[hidden]" : "[passphrase: the two are not the same"));
		assert_int_equal(WEXITSTATUS(talk_end(&talk)), !same);
	}
}

static void a_signal_leaves_the_terminal_as_it_was(void **state) {
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct talk talk = talk_begin(PASSPHRASE_OLD);
		int status;

		hear(&talk, "Passphrase of the identity: ");
		if (signals[i] == SIGINT) {
			type(&talk, "hid\003");
		} else {
			type(&talk, "hid");
			kill(talk.child, signals[i]);
		}
		status = talk_end(&talk);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
}

int main(void) {
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_back_by_the_same_passphrase_alone),
		cmocka_unit_test(no_other_line_opens),
		cmocka_unit_test(it_is_one_line_of_the_input),
		cmocka_unit_test(a_part_of_a_line_is_refused),
		cmocka_unit_test(a_credential_comes_before_all),
		cmocka_unit_test(a_terminal_does_not_show_it),
		cmocka_unit_test(a_new_one_is_typed_twice),
		cmocka_unit_test(a_signal_leaves_the_terminal_as_it_was),
	};

	if (sodium_init() < 0)
		return 1;
	randombytes_buf(seed, sizeof seed);
	unsetenv("CREDENTIALS_DIRECTORY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
