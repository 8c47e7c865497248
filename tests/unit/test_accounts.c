/* test_accounts.c: every account has a number of its own, the same on every host, for ever. */
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

#include "accounts.h"
#include "builder.h"
#include "bytes.h"
#include "file.h"
#include "paths.h"

#define PATH 100
#define GOLDEN "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define NOBODY "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define YES "Accounts = yes\n"
/* one number only: every uid and every gid collides */
#define NARROW "IdRange = 5000-5000\n"

static char root[] = "/tmp/verimesh-test-XXXXXX";
static struct file_dir dir; /* where the ledger stands */
static const char *const files[] = {"/etc/passwd", "/etc/group", PATH_LEDGER};
static const char *const dirs[] = {"/etc", PATH_STATE, "/var/lib", "/var", ""};

static char *path_of(const char *file, char path[static PATH]) {
	snprintf(path, PATH, "%s%s", root, file);
	return path;
}

static int make_root(void **state) {
	char path[PATH];

	(void)state;
	return sodium_init() < 0 || !mkdtemp(root) || !file_mkdir(path_of("/etc", path), 0755, NULL) ||
	       !file_mkdir(path_of(PATH_STATE, path), 0755, NULL) ||
	       !file_dir_open(&dir, root, PATH_STATE, NULL);
}

/* Every test starts without files. */
static int empty_root(void **state) {
	char path[PATH];

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		remove(path_of(files[i], path));
	return 0;
}

static int remove_root(void **state) {
	char path[PATH];
	int bad = empty_root(state);

	file_dir_close(&dir);

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		bad |= rmdir(path_of(dirs[i], path));
	return bad;
}

/* Two organisations, b and c, whose logs are known; what came of a configuration, line by line. */
struct scene {
	struct id b, c;
	struct book book;
	struct text accounts, reports, ledger;
};

static struct scene begin(void) {
	struct scene s = {.b = {.name = "b"}, .c = {.name = "c"}, .book = {.keep = true}};
	struct text stream = {0};
	struct span golden = bytes_of_file("tests/vectors/card/golden-1-issued.cesr");

	say(&stream, &s.b, draft_icp(&s.b));
	say(&stream, &s.c, draft_icp(&s.c));
	text_bytes(&stream, golden.p, golden.n);
	book_read(&s.book, text_span(&stream));
	assert_true(book_finish(&s.book));
	bytes_free(golden);
	text_free(&stream);
	return s;
}

static void end(struct scene *s) {
	text_free(&s->accounts);
	text_free(&s->reports);
	text_free(&s->ledger);
	book_free(&s->book);
}

/* `$b` and `$c` become the AIDs of b and c. */
static struct text expand(const struct scene *s, const char *text) {
	struct text out = {0};

	text_add(&out, "%s", "");
	for (; text && *text; text++)
		if (*text == '$')
			text_add(&out, "%s", *++text == 'b' ? s->b.aid : s->c.aid);
		else
			text_bytes(&out, text, 1);
	return out;
}

static void write_file(const char *file, struct span content) {
	char path[PATH];
	FILE *f = fopen(path_of(file, path), "w");

	assert_non_null(f);
	if (content.n)
		fwrite(content.p, 1, content.n, f);
	assert_int_equal(fclose(f), 0);
}

static void write_ledger(const struct scene *s, const char *lines) {
	struct text text = expand(s, lines);

	write_file(PATH_LEDGER, text_span(&text));
	text_free(&text);
}

static void note_report(void *ctx, const struct err *claim) {
	struct scene *s = ctx;

	assert_int_equal(claim->status, ERR_NO);
	text_add(&s->reports, "%s\n", claim->text);
}

static void note_accounts(struct scene *s, const struct account *list, size_t n) {
	for (size_t i = 0; i < n; i++) {
		text_add(&s->accounts, "%s %u:%u\n", list[i].login->account, list[i].uid, list[i].gid);
		assert_ptr_equal(accounts_find(list, n, list[i].login), &list[i]);
	}
}

/* What the ledger says after it was saved. */
static void note_ledger(struct scene *s) {
	char path[PATH];

	if (access(path_of(PATH_LEDGER, path), F_OK) == 0) {
		struct span content = bytes_of_file(path);

		text_bytes(&s->ledger, content.p, content.n);
		bytes_free(content);
	}
}

/* One run of sync. With err NULL it has to be good. */
static bool run(struct scene *s, const char *interface, const char *peers, struct err *err) {
	struct text *const results[] = {&s->accounts, &s->reports, &s->ledger};
	struct text sections = expand(s, peers), conf = {0};
	struct account *list = NULL;
	struct locals locals = {0};
	struct policy policy;
	struct ledger ledger;
	struct err own;
	size_t n = 0;
	bool good;

	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		text_free(results[i]);
		text_add(results[i], "%s", "");
	}
	text_add(
		&conf, "[Interface]\nSelf = a\nHost = h1\n%s%s", interface ? interface : NARROW, sections.p);
	if (!policy_parse(text_span(&conf), "conf", &policy, &own) || !ledger_open(&ledger, &dir, &own))
		fail_msg("%s", own.text);
	good = locals_read(&locals, root, &policy, &own) &&
	       accounts_build(&locals, &policy, &s->book, &ledger, note_report, s, &list, &n, &own);
	if (good) {
		note_accounts(s, list, n);
		assert_true(ledger_save(&ledger, &dir, NULL));
		note_ledger(s);
	} else if (err) {
		*err = own;
	} else {
		fail_msg("%s", own.text);
	}
	free(list);
	locals_free(&locals);
	ledger_free(&ledger);
	policy_free(&policy);
	text_free(&conf);
	text_free(&sections);
	return good;
}

static void assert_lines(const struct scene *s, const char *what, const char *of, const struct text *got,
	const char *expected) {
	struct text text = expand(s, expected);

	if (strcmp(got->p, text.p) != 0)
		fail_msg("%s: %s are\n%sand not\n%s", what, of, got->p, text.p);
	text_free(&text);
}

/* ---- numbers ---- */

static uint32_t golden_number(const char *name) {
	struct span json = bytes_of_file("tests/vectors/card/golden.json");
	char sought[32];
	const char *at;
	uint32_t number;

	snprintf(sought, sizeof sought, "\"%s\": ", name);
	at = memmem(json.p, json.n, sought, strlen(sought));
	assert_non_null(at);
	number = (uint32_t)strtoul(at + strlen(sought), NULL, 10);
	bytes_free(json);
	return number;
}

/* The same on every host, whatever stands besides. */
static void golden_numbers(void **state) {
	static const char *const interfaces[] = {"", "IdRange = 1879048192-2130706431\n"};
	static const char *const peers[] = {
		"[Peer g]\nAID = " GOLDEN "\n" YES "Logins = alice\n",
		"[Peer b]\nAID = $b\n" YES "Logins = alice\n"
		"[Peer g]\nAID = " GOLDEN "\nLogins = bob=bob alice zoe=root\n" YES,
	};
	char expected[64];

	(void)state;
	snprintf(expected, sizeof expected, "alice@g %u:%u\n", golden_number("uid_alice"),
		golden_number("gid"));
	for (int i = 0; i < 4; i++) {
		struct scene s = begin();

		run(&s, interfaces[i / 2], peers[i % 2], NULL);
		assert_non_null(strstr(s.accounts.p, expected));
		assert_string_equal(s.reports.p, "");
		end(&s);
		empty_root(state);
	}
}

static void the_range_is_inclusive(void **state) {
	struct scene s = begin();
	unsigned seen[3] = {0};
	char conf[200];

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		snprintf(conf, sizeof conf, "[Peer b]\nAID = $b\n" YES "Gid = 9\nLogins = l%u\n", i);
		empty_root(state);
		run(&s, "IdRange = 1000-1002\n", conf, NULL);
		seen[strtoul(strchr(s.accounts.p, ' '), NULL, 10) - 1000]++;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_int_equal(seen[0] + seen[1] + seen[2], 60);
	end(&s);
}

/* ---- who gets which, and what is refused ---- */

#define B "[Peer b]\nAID = $b\n"
#define C "[Peer c]\nAID = $c\n"

static const struct {
	const char *what, *interface, *passwd, *group, *ledger, *peers;
	const char *accounts, *reports;
} cases[] = {
	{.what = "an account", .peers = B YES "Logins = alice", .accounts = "alice@b 5000:5000\n"},
	{.what = "Accounts before Logins or behind",
		.peers = B "Logins = alice\n" YES,
		.accounts = "alice@b 5000:5000\n"},
	{.what = "Accounts = no", .peers = B "Accounts = no\nLogins = alice\n" C "Logins = bob"},
	{.what = "a written login has none", .peers = B YES "Logins = alice=ann bob=bob", .accounts = ""},
	{.what = "and is in nobody's way",
		.peers = B YES "Logins = alice=ann zoe=zoe dave",
		.accounts = "dave@b 5000:5000\n"},
	{.what = "nor are numbers for it",
		.peers = B YES "Uid.alice = 5000\nLogins = alice=ann bob",
		.accounts = "bob@b 5000:5000\n"},
	{.what = "who has no log has none", .peers = "[Peer d]\nAID = " NOBODY "\n" YES "Logins = alice"},
	/* settled by hand */
	{.what = "Uid", .peers = B YES "Logins = alice\nUid.alice = 7", .accounts = "alice@b 7:5000\n"},
	{.what = "Uid of another",
		.peers = B YES "Logins = alice\nUid.bob = 7",
		.accounts = "alice@b 5000:5000\n"},
	{.what = "Gid", .peers = B YES "Logins = alice\nGid = 7", .accounts = "alice@b 5000:7\n"},
	{.what = "the highest",
		.peers = B YES "Logins = alice\nGid = 4294967293\nUid.alice = 4294967293",
		.accounts = "alice@b 4294967293:4294967293\n"},
	/* collisions of two */
	{.what = "two logins",
		.peers = B YES "Logins = alice bob",
		.accounts = "alice@b 5000:5000\n",
		.reports = "b: uid 5000 for login bob is given to alice of $b; set Uid.bob to a free one\n"},
	{.what = "two logins, mended",
		.peers = B YES "Logins = alice bob\nUid.bob = 5001",
		.accounts = "alice@b 5000:5000\nbob@b 5001:5000\n"},
	{.what = "two logins, badly mended",
		.peers = B YES "Logins = alice bob\nUid.bob = 5000",
		.accounts = "alice@b 5000:5000\n",
		.reports = "b: uid 5000 for login bob is given to alice of $b; set Uid.bob to a free one\n"},
	{.what = "two groups",
		.peers = C YES "Logins = alice\n" B YES "Logins = bob\nUid.bob = 7",
		.accounts = "alice@c 5000:5000\n",
		.reports = "b: gid 5000 for its group is given to $c; set Gid to a free one\n"},
	{.what = "two groups, mended: then the logins collide",
		.peers = C YES "Logins = alice\n" B YES "Gid = 7\nLogins = alice",
		.accounts = "alice@c 5000:5000\n",
		.reports = "b: uid 5000 for login alice is given to alice of $c; set Uid.alice to a free "
			   "one\n"},
	{.what = "uids and gids do not collide",
		.peers = B YES "Gid = 7\nUid.alice = 8\nLogins = alice\n" C YES
			       "Gid = 8\nUid.alice = 7\nLogins = alice",
		.accounts = "alice@b 8:7\nalice@c 7:8\n"},
	/* local users and groups */
	{.what = "a local user's uid",
		.passwd = "root:x:0:0::/root:/bin/sh\nzoe:x:5000:100::/:/bin/sh\n",
		.group = "root:x:0:\n",
		.peers = B YES "Logins = alice bob\nUid.bob = 7",
		.accounts = "bob@b 7:5000\n",
		.reports = "b: uid 5000 for login alice is that of a local user; set Uid.alice to a free "
			   "one\n"},
	{.what = "a local group's gid",
		.passwd = "zoe:x:7:5000::/:/bin/sh\n",
		.group = "zoes:x:5000:zoe\n",
		.peers = B YES "Logins = alice",
		.reports = "b: gid 5000 for its group is that of a local group; set Gid to a free one\n"},
	{.what = "one settled by hand",
		.passwd = "zoe:x:7:100::/:/bin/sh\n",
		.group = "zoes:x:8:zoe\n",
		.peers = B YES "Logins = alice\nUid.alice = 7\n" C YES "Gid = 8\nLogins = alice",
		.reports = "b: uid 7 for login alice is that of a local user; set Uid.alice to a free one\n"
			   "c: gid 8 for its group is that of a local group; set Gid to a free one\n"},
	{.what = "one that was given before the local user came",
		.passwd = "zoe:x:5000:100::/:/bin/sh\n",
		.ledger = "gid $b - 5000\nuid $b alice 5000\n",
		.peers = B YES "Logins = alice",
		.reports = "b: uid 5000 for login alice is that of a local user; set Uid.alice to a free "
			   "one\n"},
	{.what = "behind lines that cannot be read",
		.passwd = "\n#\nbroken\n+::::::\n:x:1:1:::\nx:y\nzoe:x:5000:100::/:/bin/sh",
		.group = "+:::\nx\nzoes:x:5000:",
		.peers = B YES "Gid = 7\nLogins = alice\n" C YES "Logins = alice",
		.reports =
			"b: uid 5000 for login alice is that of a local user; set Uid.alice to a free one\n"
			"c: gid 5000 for its group is that of a local group; set Gid to a free one\n"},
	{.what = "a petname that is a local user",
		.passwd = "b:x:7:100::/:/bin/sh\n",
		.peers = B YES "Logins = alice\n" C YES "Logins = zoe",
		.accounts = "zoe@c 5000:5000\n",
		.reports = "b: is the name of a local user or group; rename the section, or set Accounts = "
			   "no\n"},
	{.what = "a petname that is a local group",
		.group = "c:x:7:\n",
		.peers = B YES "Logins = alice\n" C YES "Logins = zoe",
		.accounts = "alice@b 5000:5000\n",
		.reports = "c: is the name of a local user or group; rename the section, or set Accounts = "
			   "no\n"},
	{.what = "a petname that is a number",
		.peers = "[Peer 1000]\nAID = $b\n" YES "Logins = alice\n" C YES "Logins = zoe",
		.accounts = "zoe@c 5000:5000\n",
		.reports = "1000: would be a group named by a number; rename the section, or set Accounts = "
			   "no\n"},
	{.what = "a local user of such a name",
		.passwd = "alice@b:x:0:0::/:/bin/sh\n",
		.peers = B YES "Logins = alice\n" C YES "Logins = zoe",
		.accounts = "zoe@c 5000:5000\n",
		.reports = "b: is the name of a local user or group; rename the section, or set Accounts = "
			   "no\n"},
	{.what = "with Accounts = no it does not matter",
		.passwd = "b:x:7:100::/:/bin/sh\n",
		.group = "b:x:7:\n",
		.peers = B "Logins = alice\n" C YES "Logins = zoe",
		.accounts = "zoe@c 5000:5000\n"},
	/* what was given */
	{.what = "a number given before",
		.ledger = "uid $b alice 7\ngid $b - 8\n",
		.peers = B YES "Logins = alice bob",
		.accounts = "alice@b 7:8\nbob@b 5000:8\n"},
	{.what = "one that lies outside of the range by now",
		.interface = "IdRange = 6000-6000\n",
		.ledger = "uid $b alice 5000\ngid $b - 5000\n",
		.peers = B YES "Logins = alice bob",
		.accounts = "alice@b 5000:5000\nbob@b 6000:5000\n"},
	{.what = "by hand stands above what was given",
		.ledger = "uid $b alice 7\ngid $b - 8\n",
		.peers = B YES "Logins = alice\nUid.alice = 9\nGid = 10",
		.accounts = "alice@b 9:10\n"},
	{.what = "a replaced number is nobody else's",
		.ledger = "uid $b alice 5000\nuid $b alice 7\ngid $b - 5000\ngid $b - 8\n",
		.peers = B YES "Logins = bob alice\n" C YES "Logins = alice",
		.accounts = "alice@b 7:8\n",
		.reports = "b: uid 5000 for login bob is given to alice of $b; set Uid.bob to a free one\n"
			   "c: gid 5000 for its group is given to $b; set Gid to a free one\n"},
	{.what = "nor is it by hand",
		.ledger = "uid $b alice 5000\nuid $b alice 7\n",
		.peers = B YES "Logins = bob alice\nUid.bob = 5000",
		.accounts = "alice@b 7:5000\n",
		.reports = "b: uid 5000 for login bob is given to alice of $b; set Uid.bob to a free one\n"},
	{.what = "but its owner can have it back",
		.ledger = "uid $b alice 5000\nuid $b alice 7\n",
		.peers = B YES "Logins = alice\nUid.alice = 5000",
		.accounts = "alice@b 5000:5000\n"},
	{.what = "a number of who is no peer any more",
		.ledger = "uid " NOBODY " dave 5000\ngid " NOBODY " - 5000\n",
		.peers = B YES "Logins = alice\n" C YES "Gid = 7\nLogins = alice",
		.reports = "b: gid 5000 for its group is given to " NOBODY "; set Gid to a free one\n"
			   "c: uid 5000 for login alice is given to dave of " NOBODY
			   "; set Uid.alice to a free one\n"},
};

static void every_rule(void **state) {
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene s = begin();

		if (cases[i].passwd)
			write_file("/etc/passwd", span_str(cases[i].passwd));
		if (cases[i].group)
			write_file("/etc/group", span_str(cases[i].group));
		if (cases[i].ledger)
			write_ledger(&s, cases[i].ledger);
		/* a second run finds what the first one gave */
		for (int again = 0; again < 2; again++) {
			run(&s, cases[i].interface, cases[i].peers, NULL);
			assert_lines(&s, cases[i].what, "accounts", &s.accounts, cases[i].accounts);
			assert_lines(&s, cases[i].what, "reports", &s.reports, cases[i].reports);
		}
		end(&s);
		empty_root(state);
	}
}

/* ---- for ever ---- */

/* What is given is written down, and the next run obeys it, whoever has gone and come meanwhile. */
static void a_number_outlives_its_section(void **state) {
	static const struct {
		const char *peers, *accounts, *reports, *ledger;
	} runs[] = {
		{B YES "Logins = alice", "alice@b 5000:5000\n", "", "gid $b - 5000\nuid $b alice 5000\n"},
		{B YES "Logins = bob", "",
			"b: uid 5000 for login bob is given to alice of $b; set Uid.bob to "
			"a free one\n",
			"gid $b - 5000\nuid $b alice 5000\n"},
		{C YES "Logins = alice\nGid = 7", "",
			"c: uid 5000 for login alice is given to alice of $b; "
			"set Uid.alice to a free one\n",
			"gid $b - 5000\nuid $b alice 5000\ngid $c - 7\n"},
		{C YES "Logins = alice\nUid.alice = 8", "alice@c 8:7\n", "",
			"gid $b - 5000\nuid $b alice 5000\ngid $c - 7\nuid $c alice 8\n"},
		{B YES "Logins = alice\nUid.alice = 9\nGid = 10", "alice@b 9:10\n", "",
			"gid $b - 5000\nuid $b alice 5000\ngid $c - 7\nuid $c alice 8\ngid $b - 10\nuid $b "
			"alice 9\n"},
		/* its petname is the administrator's, its numbers are the AID's */
		{"[Peer x]\nAID = $b\n" YES "Logins = alice", "alice@x 9:10\n", "",
			"gid $b - 5000\nuid $b alice 5000\ngid $c - 7\nuid $c alice 8\ngid $b - 10\nuid $b "
			"alice 9\n"},
	};
	struct scene s = begin();
	char run_name[16];

	(void)state;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		snprintf(run_name, sizeof run_name, "run %zu", i);
		run(&s, NARROW, runs[i].peers, NULL);
		assert_lines(&s, run_name, "accounts", &s.accounts, runs[i].accounts);
		assert_lines(&s, run_name, "reports", &s.reports, runs[i].reports);
		assert_lines(&s, run_name, "ledger", &s.ledger, runs[i].ledger);
	}
	end(&s);
}

/* ---- files ---- */

static void what_cannot_be_read_is_an_error(void **state) {
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene s = begin();
		char path[PATH];
		struct err err;

		assert_int_equal(mkdir(path_of(files[i], path), 0700), 0);
		assert_false(run(&s, NARROW, B YES "Logins = alice", &err));
		assert_int_equal(err.status, ERR_ENV);
		strcat(path, ": Is a directory");
		assert_string_equal(err.text, path);
		/* nobody needs it otherwise */
		run(&s, NARROW, B "Logins = alice", NULL);
		end(&s);
		empty_root(state);
	}
}

#define test(f) cmocka_unit_test_teardown(f, empty_root)

int main(void) {
	const struct CMUnitTest tests[] = {
		test(golden_numbers),
		test(the_range_is_inclusive),
		test(every_rule),
		test(a_number_outlives_its_section),
		test(what_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
