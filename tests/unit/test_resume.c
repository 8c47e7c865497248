/* test_resume.c: what was verified is not verified again; the answers are those of a store without that. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <search.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "bytes.h"
#include "cards.h"
#include "cesr.h"
#include "file.h"
#include "paths.h"
#include "store.h"
#include "world.h"

#define PATH PATH_MAX
#define WORLDS 4
#define STEPS 40

/* Every check of a signature comes by here. */
static unsigned checked;

int crypto_sign_verify_detached(
	const unsigned char *sig, const unsigned char *m, unsigned long long n, const unsigned char *pk) {
	__atomic_add_fetch(&checked, 1, __ATOMIC_RELAXED);
	return crypto_sign_ed25519_verify_detached(sig, m, n, pk);
}

/* ---- stores ---- */

static char base[] = "/dev/shm/verimesh-resume-XXXXXX";
static char root[64]; /* of tests that need but one */

static int make_base(void **state) {
	(void)state;
	umask(022);
	if (!mkdtemp(base)) {
		strcpy(base, "/tmp/verimesh-resume-XXXXXX");
		if (!mkdtemp(base))
			return -1;
	}
	snprintf(root, sizeof root, "%s/one", base);
	return sodium_init() < 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
	(void)st;
	(void)flag;
	return ftw->level ? remove(path) : 0;
}

static int empty_base(void **state) {
	(void)state;
	return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int remove_base(void **state) {
	return empty_base(state) || rmdir(base);
}

static char *path_in(const char *where, const char *path, char out[static PATH]) {
	assert_true(file_path(out, where, path, NULL, NULL));
	return out;
}

static char *file_in(const char *where, const char *name, char out[static PATH]) {
	assert_true(file_path(out, where, PATH_STORE, name, NULL));
	return out;
}

static char *log_path(const char *aid, char out[static PATH]) {
	char name[64];

	snprintf(name, sizeof name, "%s.cesr", aid);
	return file_in(root, name, out);
}

static void write_path(const char *path, struct span content) {
	FILE *f = fopen(path, "w");

	if (!f)
		fail_msg("%s", path);
	if (content.n)
		fwrite(content.p, 1, content.n, f);
	assert_int_equal(fclose(f), 0);
}

static void open_store(struct store *store, const char *where, bool writing) {
	struct err err;

	if (!store_open(store, where, writing, &err))
		fail_msg("%s", err.text);
}

static void note_verdict(void *ctx, const struct verdict *verdict) {
	text_add(ctx, "%d %s %" PRIu64 " %" PRIu64 " %s\n", (int)verdict->kind, verdict->aid, verdict->event,
		verdict->sn, verdict->reason);
}

/* As the command does; *verdicts gets what was refused, if it is not NULL. False if anything was. */
static bool import_to(const char *where, struct span stream, struct text *verdicts) {
	struct span exact = bytes_copy(stream.p, stream.n);
	struct store store;
	struct err err;
	bool complete;

	open_store(&store, where, true);
	store.book.report = verdicts ? note_verdict : NULL;
	store.book.ctx = verdicts;
	book_read(&store.book, exact);
	complete = book_finish(&store.book);
	bytes_free(exact);
	if (!store_commit(&store, &err))
		fail_msg("%s", err.text);
	store_close(&store);
	return complete;
}

static bool import(const struct text *stream) {
	return import_to(root, text_span(stream), NULL);
}

/* As kernels before 6.13 count it, a moment in which a file may change and keep its ctime. */
static void let_a_moment_pass(void) {
	nanosleep(&(struct timespec){.tv_nsec = 12000000}, NULL);
}

/* A moment later the logs of the last run rest, too. */
static void let_rest(void) {
	let_a_moment_pass();
	import_to(root, span_of(NULL, 0), NULL);
}

/* ---- answers ---- */

static int compare_strings(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a store's files, sorted. */
static size_t list_files(const char *where, char *names[static 64]) {
	char path[PATH];
	DIR *dir = opendir(path_in(where, PATH_STORE, path));
	struct dirent *entry;
	size_t n = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && n < 64)
			names[n++] = strdup(entry->d_name);
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof *names, compare_strings);
	return n;
}

static void free_names(char **names, size_t n) {
	while (n > 0)
		free(names[--n]);
}

static void tell_cards(struct text *to, const struct book *book, const struct kel *kel) {
	struct cards_entry *entries;
	size_t n;

	assert_true(cards_list(book, kel, &entries, &n, NULL));
	for (size_t i = 0; i < n; i++)
		text_add(to, "card %.*s at %zu%s%s%s\n", SPAN_ARG(entries[i].card.said), entries[i].place,
			entries[i].voided ? " voided" : "", entries[i].last ? " last" : "",
			entries[i].voider ? entries[i].voider->d : "");
	free(entries);
}

static void tell_seals(struct text *to, const struct kel *kel) {
	for (size_t i = 0; i < kel->nseals; i++)
		text_add(to, "seal %d %s %s %" PRIu64 " in %" PRIu64 "\n", (int)kel->seals[i].kind,
			kel->seals[i].i, kel->seals[i].d, kel->seals[i].s, kel->seals[i].sn);
}

static void count_node(const void *node, VISIT visit, void *n) {
	(void)node;
	*(size_t *)n += visit == postorder || visit == leaf;
}

static void tell_events(struct text *to, const struct kel *kel) {
	char said[CESR_TEXT];
	size_t nsuperseded = 0;

	for (uint64_t sn = 0; sn < kel->count; sn++) {
		assert_true(kel_said(kel, sn, said));
		text_add(to, "event %s\n", said);
	}
	for (size_t i = 0; i < kel->nests; i++) {
		text_add(to, "%" PRIu64 " anchor %s ", kel->ests[i].ev.sn, kel->ests[i].anchor);
		text_bytes(to, kel->ests[i].body, kel->ests[i].ev.body.n);
		text_add(to, " %zu witnesses\n", kel->ests[i].nwitnesses);
	}
	twalk_r(kel->superseded, count_node, &nsuperseded);
	text_add(to, "delegator '%s', %zu superseded, %d %d\n", kel->delegator, nsuperseded, kel->est_only,
		kel->no_delegation);
}

static void tell_log(struct text *to, struct book *book, const char *aid) {
	const struct kel *kel = book_kel(book, aid);

	text_add(to, "%s: %s\n", aid, kel ? "known" : "unknown");
	for (int awake = 0; kel && awake < 2; awake++) {
		text_add(to, "count %" PRIu64 "%s\n", kel->count,
			book_log(book, aid)->frozen ? " frozen" : "");
		tell_seals(to, kel);
		tell_cards(to, book, kel);
		kel = book_awake(book, aid);
	}
	if (kel)
		tell_events(to, kel);
}

/* All that a store says, while its logs rest and when they were woken. */
static struct text answers_of(const char *where) {
	struct text answers = {0};
	struct store store;
	char *names[64];
	size_t n = list_files(where, names);

	text_add(&answers, "answers:\n");
	open_store(&store, where, false);
	for (size_t i = 0; i < n; i++) {
		char *suffix = strchr(names[i], '.');

		if (!suffix || strcmp(suffix, ".cesr") != 0)
			continue;
		*suffix = 0;
		tell_log(&answers, &store.book, names[i]);
	}
	if (store.damage.text[0])
		text_add(&answers, "damaged\n");
	store_close(&store);
	free_names(names, n);
	return answers;
}

/* All that its files have. */
static struct text files_of(const char *where) {
	struct text files = {0};
	char path[PATH], *names[64];
	size_t n = list_files(where, names);

	text_add(&files, "files:\n");
	for (size_t i = 0; i < n; i++) {
		struct span file;

		file = bytes_of_file(file_in(where, names[i], path));
		text_add(&files, "\n%s\n", names[i]);
		text_bytes(&files, file.p, file.n);
		bytes_free(file);
	}
	free_names(names, n);
	return files;
}

static void drop_verified(const char *where) {
	char path[PATH];

	unlink(path_in(where, PATH_STATE "/" NAME_VERIFIED, path));
}

/* What the same files say to who knows nothing of what was verified. */
static struct text fresh_answers_of(const char *where) {
	char path[PATH], aside[PATH];
	struct text answers;
	bool moved;

	path_in(where, PATH_STATE "/" NAME_VERIFIED, path);
	path_in(where, PATH_STATE "/aside", aside);
	moved = rename(path, aside) == 0;
	answers = answers_of(where);
	if (moved)
		assert_int_equal(rename(aside, path), 0);
	return answers;
}

static void assert_same(const struct text *a, const struct text *b, const char *what) {
	size_t at = 0, from;

	while (at < a->n && at < b->n && a->p[at] == b->p[at])
		at++;
	if (at == a->n && at == b->n)
		return;
	from = at > 200 ? at - 200 : 0;
	fail_msg("%s:\n%.*s\n---- instead of ----\n%.*s", what, a->n - from > 400 ? 400 : (int)(a->n - from),
		a->p + from, b->n - from > 400 ? 400 : (int)(b->n - from), b->p + from);
}

static void expect_fresh_answers(const char *where, const char *what) {
	struct text fresh = fresh_answers_of(where), answers = answers_of(where);

	assert_same(&answers, &fresh, what);
	text_free(&answers);
	text_free(&fresh);
}

/* ---- what may happen to a store between two runs ---- */

static struct span read_verified(const char *where) {
	char path[PATH];

	path_in(where, PATH_STATE "/" NAME_VERIFIED, path);
	return access(path, F_OK) == 0 ? bytes_of_file(path) : span_of(NULL, 0);
}

static void write_verified(const char *where, struct span content) {
	char path[PATH];

	write_path(path_in(where, PATH_STATE "/" NAME_VERIFIED, path), content);
}

/* Gives some files another time, and some another inode. */
static void touch_files(const char *where, struct chance *chance) {
	char path[PATH], beside[PATH], *names[64];
	size_t n = list_files(where, names);

	for (size_t i = 0; i < n; i++) {
		file_in(where, names[i], path);
		file_in(where, "copy", beside);
		if (chance_below(chance, 3) == 0) {
			assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
		} else if (chance_below(chance, 3) == 0) {
			struct span file = bytes_of_file(path);

			write_path(beside, file);
			assert_int_equal(rename(beside, path), 0);
			bytes_free(file);
		}
	}
	free_names(names, n);
}

static void bend_verified(const char *where, struct chance *chance) {
	struct span content = read_verified(where);

	if (content.n && chance_below(chance, 2))
		write_verified(where, span_cut(content, 0, chance_below(chance, content.n)));
	else if (content.n) {
		((uint8_t *)(uintptr_t)content.p)[chance_below(chance, content.n)] ^=
			(uint8_t)(1 << chance_below(chance, 8));
		write_verified(where, content);
	}
	bytes_free(content);
}

#define RUNS_MAX 100

/* What a store was behind each run. */
struct history {
	struct span verified[RUNS_MAX];
	struct text files[RUNS_MAX];
	size_t n;
};

static void remember(struct history *history, const char *where) {
	if (history->n == RUNS_MAX)
		return;
	history->verified[history->n] = read_verified(where);
	history->files[history->n++] = files_of(where);
}

static void forget(struct history *history) {
	for (size_t i = 0; i < history->n; i++) {
		bytes_free(history->verified[i]);
		text_free(&history->files[i]);
	}
}

enum { WITHOUT, KEPT, DROPPED, TOUCHED, BENT, OLDER, STORES };
static const char *const stores[STORES] = {"without", "kept", "dropped", "touched", "bent", "older"};

static char *store_root(size_t i, char out[static PATH]) {
	assert_true(file_path(out, base, "", stores[i], NULL));
	return out;
}

static void disturb(size_t i, const struct history *history, struct chance *chance) {
	bool now = chance_below(chance, 2);
	char where[PATH];

	store_root(i, where);
	if (i == WITHOUT || (i == DROPPED && now))
		drop_verified(where);
	else if (i == TOUCHED && now)
		touch_files(where, chance);
	else if (i == BENT && now)
		bend_verified(where, chance);
	else if (i == OLDER && now && history->n)
		write_verified(where, history->verified[chance_below(chance, history->n)]);
}

/* ---- worlds ---- */

static struct text sorted_lines(struct text *text) {
	struct text sorted = {0};
	char *lines[1000], *rest = text->p;
	size_t n = 0;

	while (rest && *rest && n < 1000)
		lines[n++] = strsep(&rest, "\n");
	qsort(lines, n, sizeof *lines, compare_strings);
	for (size_t i = 0; i < n; i++)
		text_add(&sorted, "%s\n", lines[i]);
	text_free(text);
	return sorted;
}

/* One run for all stores. */
static void run_all(const struct text *stream, struct history *histories, struct chance *chance) {
	struct text expected = {0}, files = {0};
	bool rested = chance_below(chance, 2);

	let_a_moment_pass();
	for (size_t i = 0; i < STORES; i++) {
		struct text verdicts = {0}, same;
		char where[PATH];

		store_root(i, where);
		if (rested)
			import_to(where, span_of(NULL, 0), NULL);
		disturb(i, &histories[i], chance);
		import_to(where, text_span(stream), &verdicts);
		verdicts = sorted_lines(&verdicts);
		same = files_of(where);
		if (i == 0) {
			expected = verdicts;
			files = same;
		} else {
			assert_same(&verdicts, &expected, stores[i]);
			assert_same(&same, &files, stores[i]);
			text_free(&verdicts);
			text_free(&same);
		}
		expect_fresh_answers(where, stores[i]);
		remember(&histories[i], where);
	}
	text_free(&expected);
	text_free(&files);
}

static void run_pieces(struct world *w, struct history *histories) {
	struct text stream = {0}, all = {0};

	for (size_t i = 0; i < w->n; i++) {
		text_join(&stream, &w->pieces[i]);
		text_join(&all, &w->pieces[i]);
		if (chance_below(w->chance, 4) && i + 1 < w->n)
			continue;
		run_all(&stream, histories, w->chance);
		if (chance_below(w->chance, 3) == 0)
			run_all(&stream, histories, w->chance);
		text_free(&stream);
	}
	for (int i = 0; i < 2; i++)
		run_all(&all, histories, w->chance);
	text_free(&all);
}

/* Writes the files that files_of told. */
static void write_files(const char *where, const struct text *files) {
	struct span rest = text_span(files);
	FILE *f = NULL;
	char path[PATH], aid[64];

	while (rest.n) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;
		bool name = n > 44 && n < 60 && rest.p[44] == '.';

		if (name) {
			if (f)
				fclose(f);
			assert_true(span_copy(span_cut(rest, 0, n), aid, sizeof aid));
			f = fopen(file_in(where, aid, path), "w");
			assert_non_null(f);
		} else if (f && n) {
			fwrite(rest.p, 1, n, f);
		}
		rest = span_from(rest, n + 1);
	}
	if (f)
		fclose(f);
}

/* The files of one moment with what was verified at another, as from backups. */
static void mix_moments(const struct history *history, struct chance *chance) {
	char where[PATH], path[PATH];
	size_t files = chance_below(chance, history->n), verified = chance_below(chance, history->n);

	assert_true(file_path(where, base, "", "mixed", NULL));
	assert_true(file_mkdir(path_in(where, PATH_STORE, path), 0755, NULL));
	write_files(where, &history->files[files]);
	write_verified(where, history->verified[verified]);
	expect_fresh_answers(where, "mixed");
	import_to(where, span_of(NULL, 0), NULL);
	expect_fresh_answers(where, "mixed, and verified");
	nftw(where, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Random worlds, cut at random: with what was verified before, with a part of it, or with what was verified
 * at another moment, files and answers are those of a store that has none of it. */
static void the_answers_are_those_of_a_fresh_store(void **state) {
	static struct world w;

	for (int i = 0; i < WORLDS; i++) {
		struct chance chance = chance_begin();
		struct history histories[STORES] = {0};

		world_make(&w, &chance, STEPS);
		run_pieces(&w, histories);
		for (int k = 0; k < 20; k++)
			mix_moments(&histories[KEPT], &chance);
		for (size_t k = 0; k < STORES; k++)
			forget(&histories[k]);
		world_free(&w);
		empty_base(state);
	}
}

/* ---- the same again ---- */

static struct text log_of(const char *name, unsigned nwitnesses, size_t rotations) {
	struct id id = {.name = name, .nwitnesses = nwitnesses};
	struct text stream = {0};
	char said[SAID];

	incept(&stream, &id, "");
	issue_card(&stream, &id, "\"host\":\"db1\"," KEY, said);
	for (size_t i = 0; i < rotations; i++)
		rotate(&stream, &id, "{}");
	return stream;
}

static void assert_unchanged(const struct stat *before, const char *path) {
	struct stat after;

	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before->st_ino);
	assert_int_equal(after.st_ctim.tv_sec, before->st_ctim.tv_sec);
	assert_int_equal(after.st_ctim.tv_nsec, before->st_ctim.tv_nsec);
}

static size_t count_resting(const struct book *book) {
	size_t n = 0;

	for (size_t i = 0; i < book->nlogs; i++)
		n += book->logs[i]->resting;
	return n;
}

/* What the store has is skipped, log by log, and no file is touched. */
static void what_is_known_changes_nothing(void **state) {
	struct text stream = log_of("one", 0, 3), more = log_of("two", 2, 3);
	char aid[SAID], path[PATH], verified[PATH];
	struct stat before[2];
	struct store store;
	struct span file;

	(void)state;
	body_field(&more, "i", aid);
	text_join(&stream, &more);
	assert_true(import(&stream));
	text_free(&stream);
	/* what is exported: the files */
	file = bytes_of_file(log_path(aid, path));
	text_bytes(&stream, file.p, file.n);
	bytes_free(file);
	text_free(&more);
	more = log_of("one", 0, 3);
	body_field(&more, "i", aid);
	file = bytes_of_file(log_path(aid, path));
	text_bytes(&stream, file.p, file.n);
	bytes_free(file);
	let_rest();
	assert_int_equal(stat(path, &before[0]), 0);
	assert_int_equal(stat(path_in(root, PATH_STATE "/" NAME_VERIFIED, verified), &before[1]), 0);
	open_store(&store, root, true);
	assert_int_equal(count_resting(&store.book), 2);
	book_read(&store.book, text_span(&stream));
	assert_int_equal(count_resting(&store.book), 2);
	assert_true(book_finish(&store.book));
	assert_true(store_commit(&store, NULL));
	store_close(&store);
	assert_unchanged(&before[0], path);
	assert_unchanged(&before[1], verified);
	text_free(&stream);
	text_free(&more);
}

/* ---- what is not verified ---- */

static void nothing_is_checked_twice(void **state) {
	struct id org = {.name = "org"}, other = {.name = "other", .nwitnesses = 2};
	struct text stream = {0}, late = {0}, own = {0}, body;
	char said[SAID];

	(void)state;
	incept(&stream, &org, "");
	issue_card(&stream, &org, "\"host\":\"db1\"," KEY, said);
	incept(&stream, &other, "");
	rotate(&stream, &other, "");
	checked = 0;
	assert_true(import(&stream));
	assert_int_equal(checked, 2 + 2 * 3);
	checked = 0;
	assert_true(import(&stream));
	assert_int_equal(checked, 0);
	/* not at its start, so that the log is woken */
	incept(&own, &(struct id){.name = "new"}, "");
	checked = 0;
	assert_true(import(&own));
	assert_int_equal(checked, 1);
	rotate(&own, &org, "");
	checked = 0;
	assert_true(import(&own));
	assert_int_equal(checked, 1);
	/* the whole log again, with an event behind it */
	interact(&stream, &other, "");
	checked = 0;
	assert_true(import(&stream));
	assert_int_equal(checked, 3);
	/* an event in one run and its receipts in the same, as a message of their own */
	body = id_state(&other, draft_ixn(&other, "[]"));
	text_join(&late, &body);
	add_signatures(&late, &other, text_span(&body));
	add_rct(&late, other.aid, other.sn - 1, other.said);
	add_receipts(&late, text_span(&body), 0, 2);
	checked = 0;
	assert_true(import(&late));
	assert_int_equal(checked, 3);
	checked = 0;
	expect_fresh_answers(root, "all");
	assert_true(checked > 0); /* by the fresh one */
	text_free(&stream);
	text_free(&own);
	text_free(&late);
	text_free(&body);
}

/* A delegator and its delegate are read each time, but not checked. */
static void delegates_are_not_checked_twice(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss};
	struct text stream = {0}, dels = {0}, more = {0};
	struct span file;
	char path[PATH];

	(void)state;
	incept(&stream, &boss, "");
	say_delegated(&stream, &dels, &boss, &del, draft_icp(&del));
	text_join(&stream, &dels);
	assert_true(import(&stream));
	checked = 0;
	assert_true(import(&stream));
	assert_int_equal(checked, 0);
	text_free(&dels);
	interact(&dels, &del, "");
	assert_true(import(&dels));
	assert_int_equal(checked, 1);
	/* what came by another way, as when an import was killed, is checked but once, too */
	file = bytes_of_file(log_path(del.aid, path));
	text_bytes(&more, file.p, file.n);
	interact(&more, &del, "");
	write_path(path, text_span(&more));
	checked = 0;
	import(&stream);
	assert_true(checked > 0);
	checked = 0;
	import(&stream);
	assert_int_equal(checked, 0);
	bytes_free(file);
	text_free(&more);
	text_free(&stream);
	text_free(&dels);
}

/* ---- other bytes ---- */

static bool is_believed(const char *aid) {
	struct store store;
	bool believed;

	open_store(&store, root, false);
	believed = book_kel(&store.book, aid);
	assert_true(believed || store.damage.text[0]);
	store_close(&store);
	return believed;
}

/* Writes into a file as it is, and leaves it its size and its time of change of its content. */
static void overwrite(const char *path, size_t at, uint8_t byte) {
	struct stat st;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
	close(fd);
}

static void any_byte_is_missed(void **state) {
	struct text stream = log_of("org", 2, 2);
	char aid[SAID], path[PATH];
	struct span file;

	(void)state;
	body_field(&stream, "i", aid);
	assert_true(import(&stream));
	file = bytes_of_file(log_path(aid, path));
	assert_true(file.n == stream.n);
	let_rest();
	for (size_t i = 0; i < file.n; i += 1 + i % 3) {
		overwrite(path, i, file.p[i] ^ 1);
		if (is_believed(aid))
			fail_msg("byte %zu", i);
		overwrite(path, i, file.p[i]);
		if (i % 50 == 0)
			assert_true(import(&stream));
		assert_true(is_believed(aid));
	}
	bytes_free(file);
	text_free(&stream);
}

/* It may have changed behind its verification: see let_a_moment_pass. */
static void a_file_of_the_same_moment_is_read(void **state) {
	struct text stream = log_of("org", 0, 2);
	struct timespec times[2];
	char aid[SAID], path[PATH];
	struct store store;
	struct stat st;

	(void)state;
	body_field(&stream, "i", aid);
	assert_true(import(&stream));
	let_rest();
	open_store(&store, root, false);
	assert_int_equal(count_resting(&store.book), 1);
	store_close(&store);
	assert_int_equal(stat(log_path(aid, path), &st), 0);
	times[0] = times[1] = st.st_ctim;
	assert_int_equal(
		utimensat(AT_FDCWD, path_in(root, PATH_STATE "/" NAME_VERIFIED, path), times, 0), 0);
	open_store(&store, root, false);
	assert_int_equal(count_resting(&store.book), 0);
	store_close(&store);
	text_free(&stream);
}

/* Whose log that is. */
static bool forged_is_refused(const char *aid, const struct text *file, uint64_t count) {
	char path[PATH];
	const struct kel *kel;
	struct store store;
	bool refused;

	write_path(log_path(aid, path), text_span(file));
	expect_fresh_answers(root, "forged");
	open_store(&store, root, false);
	kel = book_kel(&store.book, aid);
	refused = !kel || kel->count <= count;
	store_close(&store);
	return refused;
}

static void forge(struct text *to, struct id *id, struct draft d) {
	struct text body = id_state(id, d);

	text_join(to, &body);
	add_signatures(to, id, span_str("another message"));
	text_free(&body);
}

static void a_forged_tail_or_middle_is_refused(void **state) {
	struct id org = {.name = "org"}, fork;
	struct text stream = {0}, tail = {0}, middle = {0};

	(void)state;
	incept(&stream, &org, "");
	fork = org;
	text_join(&middle, &stream);
	forge(&middle, &fork, draft_ixn(&fork, "[{}]"));
	interact(&middle, &fork, "");
	interact(&stream, &org, "");
	interact(&stream, &org, "");
	assert_true(import(&stream));
	text_join(&tail, &stream);
	forge(&tail, &org, draft_rot(&org));
	assert_true(forged_is_refused(org.aid, &tail, 3));
	assert_true(forged_is_refused(org.aid, &middle, 1));
	text_free(&stream);
	text_free(&tail);
	text_free(&middle);
}

/* An event behind one that waits was not looked at: the delegator's seal must not bring it in. */
static void expect_not_brought_in(bool in_bosses_file) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss},
		  other = {.name = "other"};
	struct text first = {0}, seal = {0}, dels = {0}, file = {0}, others = {0};
	struct store store;
	char path[PATH];

	incept(&first, &boss, "");
	incept(&others, &other, "");
	say_delegated(&seal, &dels, &boss, &del, draft_icp(&del));
	forge(&dels, &del, draft_ixn(&del, "[]"));
	assert_true(import(&first));
	assert_true(import(&others));
	text_join(&file, in_bosses_file ? &first : &dels);
	if (in_bosses_file)
		text_join(&file, &dels);
	write_path(log_path(in_bosses_file ? boss.aid : del.aid, path), text_span(&file));
	for (int i = 0; i < 3; i++)
		import(&others); /* reads it, and keeps what was verified */
	write_path(log_path(boss.aid, path), text_span(&first));
	if (in_bosses_file)
		write_path(path, text_span(&file));
	import(&seal);
	expect_fresh_answers(root, "forged behind one that waits");
	open_store(&store, root, false);
	assert_true(!book_kel(&store.book, del.aid) || book_kel(&store.book, del.aid)->count < 2);
	store_close(&store);
	text_free(&first);
	text_free(&seal);
	text_free(&dels);
	text_free(&file);
	text_free(&others);
}

static void what_waits_is_not_trusted(void **state) {
	(void)state;
	expect_not_brought_in(false);
}

static void what_waits_in_anothers_file_is_not_trusted(void **state) {
	(void)state;
	expect_not_brought_in(true);
}

/* What one file says of another's log, readable or not, damages the one that it stands in. */
static void a_file_speaks_for_its_own_log(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss};
	struct text stream = {0}, dels = {0}, more = {0}, file = {0};
	struct store store;
	char path[PATH];

	(void)state;
	incept(&stream, &boss, "");
	say_delegated(&stream, &dels, &boss, &del, draft_icp(&del));
	interact(&more, &del, "");
	text_join(&file, &stream);
	text_join(&stream, &dels);
	assert_true(import(&stream));
	text_join(&file, &more);
	for (int i = 0; i < 3; i++) {
		write_path(log_path(boss.aid, path),
			span_cut(text_span(&file), 0, file.n - (i == 1 ? 200 : 0)));
		assert_false(is_believed(boss.aid));
		open_store(&store, root, false);
		assert_false(book_log(&store.book, del.aid)->damaged);
		store_close(&store);
		write_path(path, span_cut(text_span(&file), 0, file.n - more.n));
		assert_true(is_believed(del.aid));
		file.p[file.n - more.n + 60] = '!'; /* then it cannot be read */
	}
	text_free(&stream);
	text_free(&dels);
	text_free(&more);
	text_free(&file);
}

/* ---- the file itself ---- */

/* Gives it a right digest. */
static void seal_verified(struct span content) {
	char digest[CESR_TEXT];

	if (content.n < CESR_CHARS)
		return;
	cesr_digest(span_cut(content, 0, content.n - CESR_CHARS), digest);
	memcpy((uint8_t *)(uintptr_t)content.p + content.n - CESR_CHARS, digest, CESR_CHARS);
	write_verified(root, content);
}

/* What it would say of a log, were it believed. */
static uint64_t count_at_rest(const char *aid) {
	struct store store;
	uint64_t count;

	open_store(&store, root, false);
	count = book_kel(&store.book, aid)->count;
	store_close(&store);
	return count;
}

#define MAGIC 32

static void somebody_elses_is_ignored(void **state) {
	struct text stream = log_of("org", 0, 2);
	struct verified_log *log;
	struct span content;
	char aid[SAID], path[PATH], aside[PATH];

	(void)state;
	body_field(&stream, "i", aid);
	assert_true(import(&stream));
	let_rest();
	content = read_verified(root);
	log = malloc(sizeof *log);
	assert_non_null(log);
	memcpy(log, content.p + MAGIC, offsetof(struct verified_log, seals));
	log->count = 77;
	memcpy((uint8_t *)(uintptr_t)content.p + MAGIC, log, offsetof(struct verified_log, seals));
	free(log);
	path_in(root, PATH_STATE "/" NAME_VERIFIED, path);
	seal_verified(content);
	assert_int_equal(count_at_rest(aid), 77); /* so much for who may write it */
	for (mode_t bit = S_IWOTH; bit <= S_IWGRP; bit <<= 3) {
		assert_int_equal(chmod(path, 0644 | bit), 0);
		assert_int_equal(count_at_rest(aid), 4);
	}
	assert_int_equal(chmod(path, 0644), 0);
	path_in(root, PATH_STATE "/elsewhere", aside);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(count_at_rest(aid), 4);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(count_at_rest(aid), 4);
	assert_int_equal(unlink(path), 0);
	seal_verified(content);
	assert_int_equal(count_at_rest(aid), 77);
	bytes_free(content);
	text_free(&stream);
	if (geteuid() != 0) {
		print_message("only root can give it another owner\n");
		skip();
	}
	assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
	assert_int_equal(count_at_rest(aid), 4);
}

/* Whatever is in it, reading it is safe. */
static void anything_may_stand_in_it(void **state) {
	struct text stream = log_of("org", 2, 2), more = log_of("other", 0, 1);
	struct chance chance = chance_begin();
	struct span good;

	(void)state;
	text_join(&stream, &more);
	assert_true(import(&stream));
	let_rest();
	good = read_verified(root);
	for (int i = 0; i < 1500; i++) {
		struct span bent = bytes_copy(
			good.p, good.n - chance_below(&chance, 2) * chance_below(&chance, good.n));
		uint8_t *p = (uint8_t *)(uintptr_t)bent.p;
		struct store store;

		for (size_t k = chance_below(&chance, 4); k > 0 && bent.n; k--) {
			size_t at = chance_below(&chance, bent.n), n = 1 + chance_below(&chance, 60);

			memset(p + at, chance_below(&chance, 2) ? 0xff : (int)chance_below(&chance, 256),
				n < bent.n - at ? n : bent.n - at);
		}
		write_verified(root, bent);
		seal_verified(bent);
		open_store(&store, root, true);
		book_read(&store.book, text_span(&more));
		for (size_t k = 0; k < store.book.nlogs; k++) {
			struct text told = {0};

			tell_log(&told, &store.book, store.book.logs[k]->kel.aid);
			text_free(&told);
		}
		assert_true(store_commit(&store, NULL));
		store_close(&store);
		bytes_free(bent);
	}
	bytes_free(good);
	text_free(&stream);
	text_free(&more);
}

/* ---- bodies ---- */

/* Nobody knew whose it is when it was stored: in the file of him who sealed it first. That file rests, and
 * the other one, whose it is, is read anew. */
static void a_body_in_anothers_file_is_found(void **state) {
	struct id org = {.name = "org"}, other = {.name = "other"};
	struct text theirs = {0}, mine = {0}, registry = {0}, card = {0}, answers;
	char vcp[SAID], iss[SAID], said[SAID], seal[SEAL], path[PATH];

	(void)state;
	incept(&theirs, &other, "");
	incept(&mine, &org, "");
	add_body(&registry, vcp, VCP, org.aid);
	add_card(&card, &org, vcp, "\"host\":\"db1\"," KEY, said);
	add_body(&theirs, iss, ISS, said, vcp);
	interact(&theirs, &other, event_seal(said, "0", iss, seal));
	assert_true(import(&theirs));
	interact(&mine, &org, event_seal(vcp, "0", vcp, seal));
	interact(&mine, &org, event_seal(said, "0", iss, seal));
	text_join(&mine, &registry);
	text_join(&mine, &card);
	assert_true(import(&mine));
	let_rest();
	answers = answers_of(root);
	assert_non_null(memmem(answers.p, answers.n, "card ", 5));
	text_free(&answers);
	expect_fresh_answers(root, "both rest");
	assert_int_equal(utimensat(AT_FDCWD, log_path(org.aid, path), NULL, 0), 0);
	expect_fresh_answers(root, "one rests");
	text_free(&theirs);
	text_free(&mine);
	text_free(&registry);
	text_free(&card);
}

/* ---- while somebody reads ---- */

/* A reader takes no lock: what rested and is woken is what it was when he began, or damaged. */
static void who_wakes_a_log_sees_it_as_it_rested(void **state) {
	struct id org = {.name = "org"}, fork;
	struct text stream = {0}, recovery = {0}, other = log_of("org", 0, 5);
	const struct kel *kel;
	struct store store;
	char path[PATH], said[SAID];

	(void)state;
	incept(&stream, &org, "");
	fork = org;
	issue_card(&stream, &org, "\"host\":\"db1\"," KEY, said);
	interact(&stream, &org, "{}");
	assert_true(import(&stream));
	let_rest();
	rotate(&recovery, &fork, "{}");
	open_store(&store, root, false);
	assert_int_equal(count_resting(&store.book), 1);
	assert_true(import(&recovery));
	kel = book_awake(&store.book, org.aid);
	assert_non_null(kel);
	assert_int_equal(kel->count, 3);
	assert_int_equal(kel->nseals, 1);
	store_close(&store);
	open_store(&store, root, false);
	assert_int_equal(book_kel(&store.book, org.aid)->count, 2);
	store_close(&store);

	let_rest();
	open_store(&store, root, false);
	assert_int_equal(count_resting(&store.book), 1);
	write_path(log_path(org.aid, path), text_span(&other));
	assert_null(book_awake(&store.book, org.aid));
	assert_non_null(strstr(store.damage.text, org.aid));
	store_close(&store);
	text_free(&stream);
	text_free(&recovery);
	text_free(&other);
}

/* ---- duplicity ---- */

static bool is_frozen(const char *aid, bool rests, uint64_t count) {
	const struct book_log *log;
	struct store store;
	bool frozen;

	let_rest();
	open_store(&store, root, false);
	log = book_log(&store.book, aid);
	assert_int_equal(log->resting, rests);
	assert_int_equal(log->kel.count, count);
	frozen = log->frozen;
	store_close(&store);
	return frozen;
}

/* Another prefix is no update. The log rests, frozen, until it is replaced; one that only grew the same
 * again is no longer. */
static void a_frozen_log_rests(void **state) {
	struct id org = {.name = "org"}, twin;
	struct text stream = {0}, fork = {0}, more = {0}, verdicts = {0};
	char path[PATH], name[64];
	struct span evidence;
	struct store store;
	struct err err;

	(void)state;
	incept(&stream, &org, "");
	twin = org;
	text_join(&fork, &stream);
	interact(&stream, &org, "");
	interact(&fork, &twin, "{}");
	interact(&fork, &twin, "{}");
	assert_true(import(&stream));
	assert_false(is_frozen(org.aid, true, 2));
	assert_false(import_to(root, text_span(&fork), &verdicts));
	assert_true(span_starts(text_span(&verdicts), "2 "));
	assert_true(is_frozen(org.aid, true, 2));
	snprintf(name, sizeof name, "%s.duplicity", org.aid);
	evidence = bytes_of_file(file_in(root, name, path));
	assert_true(memmem(fork.p, fork.n, evidence.p, evidence.n));
	interact(&more, &org, "");
	for (int i = 0; i < 3; i++) {
		assert_false(import(&more));
		assert_false(import(&fork));
		assert_true(import(&stream));
		assert_true(is_frozen(org.aid, true, 2));
	}
	expect_fresh_answers(root, "frozen");
	/* it wakes, and is frozen all the same */
	open_store(&store, root, true);
	assert_int_equal(book_awake(&store.book, org.aid)->count, 2);
	assert_true(book_log(&store.book, org.aid)->frozen);
	store_close(&store);

	if (!store_enter(&store, root, true, &err) || !store_load(&store, org.aid, &err))
		fail_msg("%s", err.text);
	book_read(&store.book, text_span(&fork));
	assert_true(book_finish(&store.book));
	assert_true(store_commit(&store, &err));
	store_close(&store);
	assert_false(is_frozen(org.aid, true, 3));
	assert_int_equal(access(path, F_OK), -1);
	expect_fresh_answers(root, "released");
	interact(&fork, &twin, "");
	assert_true(import(&fork));
	assert_false(is_frozen(org.aid, true, 4));
	assert_true(store_enter(&store, root, true, &err));
	assert_false(store_load(&store, org.aid, &err));
	store_close(&store);
	bytes_free(evidence);
	text_free(&stream);
	text_free(&fork);
	text_free(&more);
	text_free(&verdicts);
}

#define test(f) cmocka_unit_test_setup(f, empty_base)

int main(void) {
	const struct CMUnitTest tests[] = {
		test(the_answers_are_those_of_a_fresh_store),
		test(what_is_known_changes_nothing),
		test(nothing_is_checked_twice),
		test(delegates_are_not_checked_twice),
		test(any_byte_is_missed),
		test(a_file_of_the_same_moment_is_read),
		test(a_forged_tail_or_middle_is_refused),
		test(what_waits_is_not_trusted),
		test(what_waits_in_anothers_file_is_not_trusted),
		test(a_file_speaks_for_its_own_log),
		test(somebody_elses_is_ignored),
		test(anything_may_stand_in_it),
		test(a_body_in_anothers_file_is_found),
		test(who_wakes_a_log_sees_it_as_it_rested),
		test(a_frozen_log_rests),
	};

	return cmocka_run_group_tests(tests, make_base, remove_base);
}
