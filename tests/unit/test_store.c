/* test_store.c: what was committed comes back; a crash leaves the old or the new; damage is told. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "bytes.h"
#include "card_builder.h"
#include "cards.h"
#include "file.h"
#include "paths.h"
#include "store.h"

#define PATH 200
#define KEY "\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\""
#define DB1 "\"host\":\"db1\"," KEY
#define NOBODY "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"

static char root[] = "/dev/shm/verimesh-test-XXXXXX";

/* In memory where that can be: the same files are written thousands of times. */
static int make_root(void **state) {
	(void)state;
	umask(077);
	if (mkdtemp(root))
		return sodium_init() < 0;
	strcpy(root, "/tmp/verimesh-test-XXXXXX");
	return sodium_init() < 0 || !mkdtemp(root);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
	(void)st;
	(void)flag;
	return ftw->level ? remove(path) : 0;
}

/* Every test starts without a store. */
static int empty_root(void **state) {
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int remove_root(void **state) {
	return empty_root(state) || rmdir(root);
}

static const char *file_of(const char *aid, char path[static PATH]) {
	snprintf(path, PATH, "%s" PATH_STORE "/%s.cesr", root, aid);
	return path;
}

/* What file_replace writes beside, until it is whole. */
static const char *file_beside(const char *aid, char path[static PATH]) {
	snprintf(path, PATH, "%s" PATH_STORE "/%s.cesr.new", root, aid);
	return path;
}

static struct span read_file(const char *aid) {
	char path[PATH];

	return bytes_of_file(file_of(aid, path));
}

static void write_path(const char *path, struct span content) {
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (content.n)
		fwrite(content.p, 1, content.n, f);
	assert_int_equal(fclose(f), 0);
}

static void write_file(const char *aid, struct span content) {
	char path[PATH];

	write_path(file_of(aid, path), content);
}

static void open_store(struct store *store, bool writing) {
	struct err err;

	if (!store_open(store, root, writing, &err))
		fail_msg("%s", err.text);
}

/* Reads a stream into the store, as import does. */
static void import(struct span stream) {
	struct store store;
	struct err err;

	open_store(&store, true);
	book_read(&store.book, stream);
	book_finish(&store.book);
	if (!store_commit(&store, &err))
		fail_msg("%s", err.text);
	store_close(&store);
}

static void import_text(struct text *stream) {
	import(text_span(stream));
	text_free(stream);
}

/* How many events of it the store has. */
static uint64_t count_of(const char *aid) {
	const struct kel *kel;
	struct store store;
	uint64_t count;

	open_store(&store, false);
	kel = book_kel(&store.book, aid);
	count = kel ? kel->count : 0;
	store_close(&store);
	return count;
}

/* The card in force for db1; "" for none. */
static void card_of(const char *aid, char said[static SAID]) {
	const struct cards_entry *last;
	struct cards_entry *entries;
	const struct kel *kel;
	struct store store;
	size_t n;

	said[0] = 0;
	open_store(&store, false);
	kel = book_kel(&store.book, aid);
	if (kel) {
		assert_true(cards_list(&store.book, kel, &entries, &n, NULL));
		last = cards_last(entries, n, span_str("db1"));
		if (last && !last->voided)
			span_copy(last->card.said, said, SAID);
		free(entries);
	}
	store_close(&store);
}

static void assert_card(const char *aid, const char *expected) {
	char said[SAID];

	card_of(aid, said);
	assert_string_equal(said, expected);
}

/* An organisation with a card, and one that replaces it, as streams. */
struct scene {
	struct id org;
	struct text first, second;
	char old[SAID], new[SAID];
};

static struct scene replaced(unsigned nwitnesses) {
	struct scene s = {.org = {.name = "org", .nwitnesses = nwitnesses}};
	char text[SEAL];

	incept(&s.first, &s.org, "");
	issue_card(&s.first, &s.org, DB1, s.old);
	add_card(NULL, &s.org, NULL, DB1 ",\"logins\":[\"alice\"]", s.new);
	interact(&s.second, &s.org, event_seal(s.old, "1", s.new, text));
	add_card(&s.second, &s.org, NULL, DB1 ",\"logins\":[\"alice\"]", s.new);
	return s;
}

static void drop(struct scene *s) {
	text_free(&s->first);
	text_free(&s->second);
}

/* ---- what was committed comes back ---- */

static void commit_then_open_gives_the_same(void **state) {
	struct scene s = replaced(0);
	struct id other = {.name = "other", .nwitnesses = 2};
	struct text stream = {0};

	(void)state;
	incept(&stream, &other, "");
	text_join(&stream, &s.first);
	rotate(&stream, &other, "");
	import_text(&stream);
	assert_int_equal(count_of(s.org.aid), 2);
	assert_int_equal(count_of(other.aid), 2);
	assert_card(s.org.aid, s.old);
	import(text_span(&s.second));
	assert_int_equal(count_of(s.org.aid), 3);
	assert_card(s.org.aid, s.new);
	drop(&s);
}

static void a_file_only_grows(void **state) {
	struct scene s = replaced(0);
	struct span before, after;

	(void)state;
	import(text_span(&s.first));
	before = read_file(s.org.aid);
	import(text_span(&s.second));
	after = read_file(s.org.aid);
	assert_int_equal(before.n, s.first.n);
	assert_int_equal(after.n, before.n + s.second.n);
	assert_memory_equal(before.p, after.p, before.n);
	bytes_free(before);
	/* known, it changes nothing */
	import(text_span(&s.second));
	import(text_span(&s.first));
	before = read_file(s.org.aid);
	assert_true(span_eq(before, after));
	bytes_free(before);
	bytes_free(after);
	drop(&s);
}

static void what_was_not_committed_is_forgotten(void **state) {
	struct scene s = replaced(0);
	struct store store;

	(void)state;
	import(text_span(&s.first));
	open_store(&store, true);
	book_read(&store.book, text_span(&s.second));
	assert_true(book_finish(&store.book));
	store_close(&store);
	assert_card(s.org.aid, s.old);
	drop(&s);
}

static void only_sealed_bodies_are_kept(void **state) {
	struct id org = {.name = "org"};
	struct text stream = {0}, bodies = {0};
	char sealed[SAID], loose[SAID], text[SEAL];
	struct store store;

	(void)state;
	incept(&stream, &org, "");
	add_card(&bodies, &org, NULL, DB1, sealed);
	add_card(&bodies, &org, NULL, "\"host\":\"loose\"," KEY, loose);
	interact(&stream, &org, anchor_seal(sealed, text));
	import_text(&stream);
	assert_card(org.aid, "");
	import_text(&bodies); /* it may come later than its seal */
	assert_card(org.aid, sealed);
	open_store(&store, false);
	assert_non_null(book_body(&store.book, sealed));
	assert_null(book_body(&store.book, loose));
	store_close(&store);
}

static void files_have_their_modes(void **state) {
	static const struct {
		const char *path;
		mode_t mode;
	} files[] = {{PATH_STATE, 0755}, {PATH_STORE, 0755}, {PATH_LOCK, 0600}};
	struct scene s = replaced(0);
	char path[PATH];
	struct stat st;

	(void)state;
	import(text_span(&s.first));
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", root, files[i].path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, files[i].mode);
	}
	assert_int_equal(stat(file_of(s.org.aid, path), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	drop(&s);
}

static void reading_makes_nothing(void **state) {
	struct store store;
	char path[PATH];

	(void)state;
	open_store(&store, false);
	assert_int_equal(store.book.nlogs, 0);
	store_close(&store);
	snprintf(path, sizeof path, "%s/var", root);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Most rules about good and bad logs are vectors: what import takes of one is what comes back. */
static void vectors_come_back(void **state) {
	static const char *const names[] = {"good/a2_basic_transferable_D_prefix", "good/b_multisig_kt2",
		"good/c2_weighted_nested", "good/d_nontransferable_B", "good/e2_witness_B_indexed",
		"good/e3_witness_rotation_br_ba", "good/e5_separate_rct_messages", "bad/sig_bit_flip",
		"bad/insufficient_receipts", "bad/duplicitous_rot_same_sn", "bad/truncated_in_attachment"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct book book = {.forgiving = true};
		char path[PATH];
		struct span stream;

		snprintf(path, sizeof path, "tests/vectors/kel/%s.cesr", names[i]);
		stream = bytes_of_file(path);
		book_read(&book, stream);
		book_finish(&book);
		import(stream);
		for (size_t k = 0; k < book.nlogs; k++)
			assert_int_equal(count_of(book.logs[k]->kel.aid), book.logs[k]->kel.count);
		book_free(&book);
		bytes_free(stream);
	}
}

/* ---- crashes ---- */

/* The new file was written to its n-th byte, beside the old one. */
static void crash(const struct scene *s, struct span old, struct span new, size_t n) {
	char path[PATH];

	write_file(s->org.aid, old);
	write_path(file_beside(s->org.aid, path), span_cut(new, 0, n));
	assert_card(s->org.aid, s->old);
	import(text_span(&s->second));
	assert_card(s->org.aid, s->new);
	assert_int_equal(count_of(s->org.aid), 3);
}

static void a_crash_leaves_the_old_or_the_new(void **state) {
	struct scene s = replaced(2);
	struct span old, new;

	(void)state;
	import(text_span(&s.first));
	old = read_file(s.org.aid);
	import(text_span(&s.second));
	new = read_file(s.org.aid);
	for (size_t n = 0; n <= new.n; n += 5)
		crash(&s, old, new, n);
	bytes_free(old);
	bytes_free(new);
	drop(&s);
}

/* Of two files only the delegator's is sure to be there. */
static void a_delegate_without_its_delegator_is_unknown(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss};
	struct text stream = {0}, dels = {0};
	char path[PATH];

	(void)state;
	incept(&stream, &boss, "");
	say_delegated(&stream, &dels, &boss, &del, draft_icp(&del));
	text_join(&stream, &dels);
	text_free(&dels);
	import(text_span(&stream));
	assert_int_equal(count_of(del.aid), 1);
	assert_int_equal(unlink(file_of(boss.aid, path)), 0);
	assert_int_equal(count_of(del.aid), 0);
	import_text(&stream);
	assert_int_equal(count_of(del.aid), 1);
}

/* ---- damage ---- */

/* Nothing of it is believed, and the others are not hurt. */
static void assert_damaged(const char *aid, const char *what) {
	char name[PATH];
	struct store store;
	struct err err;

	for (int writing = 0; writing < 2; writing++) {
		if (!store_open(&store, root, writing, &err))
			fail_msg("%s: %s", what, err.text);
		if (!store.damage.text[0] || book_kel(&store.book, aid))
			fail_msg("not noticed: %s", what);
		snprintf(name, sizeof name, "%s" PATH_STORE "/%s.cesr: damaged at ", root, aid);
		if (!strstr(store.damage.text, name) ||
			!strstr(store.damage.text, "; restore it, or remove it and import again"))
			fail_msg("%s: %s", what, store.damage.text);
		store_close(&store);
	}
}

/* Any bit of the messages before the last one. */
static void a_damaged_middle_is_told(void **state) {
	struct scene s = replaced(2);
	struct id other = {.name = "other"};
	struct text stream = {0};
	struct span file;
	size_t last;
	char what[32];

	(void)state;
	import(text_span(&s.first));
	interact(&stream, &s.org, ""); /* not the one of s.second */
	s.org.sn = 2;
	last = s.first.n;
	incept(&stream, &other, "");
	text_free(&stream);
	import(text_span(&s.second));
	file = read_file(s.org.aid);
	for (size_t i = 0; i < last; i++) {
		uint8_t *byte = (uint8_t *)(uintptr_t)file.p + i;

		*byte ^= (uint8_t)(1 << i % 7);
		write_file(s.org.aid, file);
		snprintf(what, sizeof what, "byte %zu", i);
		assert_damaged(s.org.aid, what);
		*byte ^= (uint8_t)(1 << i % 7);
	}
	write_file(s.org.aid, file);
	assert_card(s.org.aid, s.new);
	bytes_free(file);
	drop(&s);
}

static void a_missing_middle_is_told(void **state) {
	struct scene s = replaced(0);
	struct span file;
	struct text without = {0};
	struct cesr_message message;

	(void)state;
	import(text_span(&s.first));
	import(text_span(&s.second));
	file = read_file(s.org.aid);
	for (size_t skip = 0; skip < 3; skip++) {
		struct span rest = file;
		size_t events = 0;

		while (cesr_message(&rest, &message, NULL) == CESR_ITEM)
			if (message.acdc || events++ != skip) {
				text_bytes(&without, message.body.p, message.body.n);
				text_bytes(&without, message.attachments.p, message.attachments.n);
			}
		write_file(s.org.aid, text_span(&without));
		text_free(&without);
		if (skip == 2)
			assert_card(s.org.aid, s.old); /* the last one: an old state */
		else
			assert_damaged(s.org.aid, "an event is missing");
	}
	bytes_free(file);
	drop(&s);
}

/* A delegator that recovers and seals the same delegate anew, whose events behind differ: what was stored
 * before contradicts what is stored now. That is their affair, and nobody else's. */
static void two_who_contradict_themselves_hurt_nobody_else(void **state) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss}, fork, twin;
	struct text first = {0}, second = {0}, dels = {0}, twins = {0}, seals = {0}, body;
	struct scene s = replaced(0);
	struct draft recovery;
	struct store store;
	char path[PATH];

	(void)state;
	import(text_span(&s.first));
	say(&first, &boss, draft_icp(&boss));
	fork = boss;
	body = id_state(&del, draft_icp(&del));
	say(&first, &boss, draft_sealing(&boss, &del));
	text_add(&seals, "[{\"i\":\"%s\",\"s\":\"0\",\"d\":\"%s\"}]", del.aid, del.said);
	recovery = draft_rot(&fork);
	draft_set(&recovery, "a", seals.p);
	say(&second, &fork, recovery);
	text_join(&dels, &body);
	add_signatures(&dels, &del, text_span(&body));
	add_source_seal(&dels, 1, boss.said);
	text_join(&twins, &body);
	add_signatures(&twins, &del, text_span(&body));
	add_source_seal(&twins, 1, fork.said);
	twin = del;
	say(&dels, &del, draft_ixn(&del, "[]"));
	say(&twins, &twin, draft_ixn(&twin, "[{}]"));
	text_join(&first, &dels);
	text_join(&second, &twins);
	import_text(&first);
	import_text(&second);
	/* in whatever order the files come */
	for (int i = 0; i < 4; i++) {
		const char *aid = i % 2 ? boss.aid : del.aid;
		struct span file = read_file(aid);

		open_store(&store, i % 2);
		assert_non_null(strstr(store.damage.text, del.aid));
		assert_null(book_kel(&store.book, del.aid));
		assert_non_null(book_kel(&store.book, boss.aid));
		store_close(&store);
		assert_int_equal(unlink(file_of(aid, path)), 0);
		write_file(aid, file);
		bytes_free(file);
	}
	assert_card(s.org.aid, s.old);
	import(text_span(&s.second));
	assert_card(s.org.aid, s.new);
	text_free(&dels);
	text_free(&twins);
	text_free(&seals);
	text_free(&body);
	drop(&s);
}

static bool is_frozen(const char *aid) {
	struct store store;
	bool frozen;

	open_store(&store, false);
	frozen = book_log(&store.book, aid)->frozen;
	store_close(&store);
	return frozen;
}

/* Duplicity freezes; but whoever stole an old signing key can still sign an interaction behind the rotation
 * that cut him off, and must freeze nobody with it. What does not verify freezes nobody either. */
static void only_duplicity_freezes(void **state) {
	struct id org = {.name = "org"}, thief, twin, forger;
	struct text stream = {0}, late = {0}, forged = {0}, fork = {0}, body;

	(void)state;
	incept(&stream, &org, "");
	thief = org;
	rotate(&stream, &org, "");
	import_text(&stream);
	interact(&late, &thief, "{}");
	import_text(&late);
	assert_false(is_frozen(org.aid));

	twin = forger = org;
	interact(&stream, &org, "");
	import_text(&stream);
	body = id_state(&forger, draft_ixn(&forger, "[{}]"));
	text_join(&forged, &body);
	add_signatures(&forged, &forger, span_str("another message"));
	import_text(&forged);
	assert_false(is_frozen(org.aid));
	interact(&fork, &twin, "{}");
	import_text(&fork);
	assert_true(is_frozen(org.aid));
	interact(&stream, &org, "");
	import_text(&stream);
	assert_int_equal(count_of(org.aid), 3);
	text_free(&body);
}

/* The file of a frozen identifier is gone: what takes its place is not for a stream to say. */
static void a_frozen_log_without_its_file_stays_frozen(void **state) {
	struct id org = {.name = "org"}, twin;
	struct text stream = {0}, again = {0}, fork = {0};
	char path[PATH];

	(void)state;
	incept(&stream, &org, "");
	text_join(&again, &stream);
	twin = org;
	interact(&stream, &org, "");
	interact(&fork, &twin, "{}");
	text_join(&again, &fork);
	import_text(&stream);
	import_text(&fork);
	assert_int_equal(unlink(file_of(org.aid, path)), 0);
	import_text(&again);
	assert_int_equal(count_of(org.aid), 0);
	assert_true(is_frozen(org.aid));
}

/* Whatever stands in the place of one file, the others are read. */
static void a_file_that_cannot_be_read_hurts_nobody_else(void **state) {
	struct id org = {.name = "org"}, other = {.name = "other"};
	struct text stream = {0}, more = {0};
	struct store store;
	char path[PATH];

	(void)state;
	incept(&stream, &org, "");
	incept(&more, &other, "");
	import_text(&stream);
	import_text(&more);
	for (int kind = 0; kind < 3; kind++) {
		remove(file_of(org.aid, path));
		if (kind == 0)
			assert_int_equal(mkdir(path, 0755), 0);
		else if (kind == 1)
			assert_int_equal(mkfifo(path, 0644), 0);
		else
			assert_int_equal(symlink("/dev/zero", path), 0);
		open_store(&store, true);
		assert_non_null(strstr(store.damage.text, org.aid));
		assert_null(book_kel(&store.book, org.aid));
		assert_non_null(book_kel(&store.book, other.aid));
		store_close(&store);
	}
	remove(path);
}

/* The evidence is there before anything else of the log is written. */
static void evidence_comes_first(void **state) {
	struct id org = {.name = "org"}, twin;
	struct text stream = {0}, fork = {0};
	struct store store;
	char path[PATH];
	struct err err;

	(void)state;
	incept(&stream, &org, "");
	import_text(&stream);
	twin = org;
	interact(&fork, &org, "");
	interact(&fork, &twin, "{}");
	open_store(&store, true);
	book_read(&store.book, text_span(&fork));
	assert_false(book_finish(&store.book));
	/* the log cannot be written */
	assert_int_equal(mkdir(file_beside(org.aid, path), 0755), 0);
	assert_false(store_commit(&store, &err));
	store_close(&store);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(count_of(org.aid), 1);
	assert_true(is_frozen(org.aid));
	text_free(&fork);
}

static void other_files_are_no_logs(void **state) {
	struct scene s = replaced(0);
	struct span file;
	char path[PATH];
	struct store store;

	(void)state;
	import(text_span(&s.first));
	file = read_file(s.org.aid);
	write_file(NOBODY, file); /* a copy under another name */
	assert_damaged(NOBODY, "a log of another name");
	write_file(NOBODY, span_of(NULL, 0));
	assert_damaged(NOBODY, "an empty file");
	assert_int_equal(unlink(file_of(NOBODY, path)), 0);
	write_file("README", span_str("nothing of ours"));
	write_file("EDP1vHcw_wc4M__Fj53", file);
	assert_int_equal(count_of(s.org.aid), 2);
	assert_int_equal(mkdir(file_of(NOBODY, path), 0700), 0);
	open_store(&store, false);
	assert_int_equal(store.damage.status, ERR_ENV);
	assert_non_null(strstr(store.damage.text, path));
	store_close(&store);
	bytes_free(file);
	drop(&s);
}

static void garbage_is_told(void **state) {
	char path[PATH];
	static const char *const contents[] = {"x", "{}", "{\"v\":\"KERI20JSON", "\n", "{\"v\":\"K\1"};
	struct scene s = replaced(0);

	(void)state;
	import(text_span(&s.first));
	for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
		struct text file = {0};

		text_add(&file, "%s", contents[i]);
		write_file(NOBODY, text_span(&file));
		assert_damaged(NOBODY, contents[i]);
		assert_int_equal(unlink(file_of(NOBODY, path)), 0);
		text_free(&file);
		text_bytes(&file, s.first.p, s.first.n);
		text_add(&file, "%s", contents[i]);
		write_file(s.org.aid, text_span(&file));
		assert_damaged(s.org.aid, contents[i]);
		write_file(s.org.aid, text_span(&s.first));
		text_free(&file);
	}
	drop(&s);
}

/* ---- claims to tunnel keys ---- */

#define WG_KEY "hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8="

/* Since when the ledger has the claim to that key; 0: it has none. */
static uint64_t claimed_since(const char *aid) {
	struct store store;
	uint64_t since = 0;

	open_store(&store, false);
	ledger_find(&store.ledger, LEDGER_KEY, aid, WG_KEY, &since);
	store_close(&store);
	return since;
}

/* The ledger's only line. */
static void remember(const char *aid, const char *key, unsigned since) {
	struct text line = {0};
	char path[PATH];

	snprintf(path, sizeof path, "%s" PATH_LEDGER, root);
	text_add(&line, "key %s %s %u\n", aid, key, since);
	write_path(path, text_span(&line));
	text_free(&line);
}

static void a_claim_is_noted_when_it_is_first_seen(void **state) {
	struct scene s = replaced(0);
	uint64_t before = (uint64_t)time(NULL), since;

	(void)state;
	import(text_span(&s.first));
	since = claimed_since(s.org.aid);
	assert_true(since >= before && since <= (uint64_t)time(NULL));
	remember(s.org.aid, WG_KEY, 5);
	import(text_span(&s.first));
	assert_int_equal(claimed_since(s.org.aid), 5);
	/* another card, the same claim */
	import(text_span(&s.second));
	assert_int_equal(claimed_since(s.org.aid), 5);
	drop(&s);
}

static void a_claim_withdrawn_and_made_again_is_new(void **state) {
	struct scene s = replaced(0);
	struct text again = {0};
	char gone[SAID], seal[SEAL], said[SAID];

	(void)state;
	import(text_span(&s.first));
	import(text_span(&s.second));
	remember(s.org.aid, WG_KEY, 5);
	add_card(NULL, &s.org, NULL, "\"host\":\"db1\"", gone);
	interact(&again, &s.org, event_seal(s.new, "1", gone, seal));
	import_text(&again);
	/* the body that withdraws it was left out: void all the same */
	assert_int_equal(claimed_since(s.org.aid), 0);
	issue_card(&again, &s.org, DB1 ",\"logins\":[\"bob\"]", said);
	import_text(&again);
	assert_true(claimed_since(s.org.aid) > 5);
	drop(&s);
}

/* While a host changes its key it claims both. */
static void in_the_overlap_both_keys_are_claimed(void **state) {
	static const char next[] =
		"\"host\":\"db1\",\"key\":\"COE6vEGTekQfMyLB9AvHRe2oHlmusp5u3IAii0kzhtEa\","
		"\"from\":\"2999-01-01T00:00:00.000000+00:00\"";
	static const char next_key[] = "4Tq8QZN6RB8zIsH0C8dF7ageWa6ynm7cgCKLSTOG0Ro=";
	struct scene s = replaced(0);
	char said[SAID], seal[SEAL];
	struct text stream = {0};
	struct store store;
	uint64_t since;

	(void)state;
	import(text_span(&s.first));
	import(text_span(&s.second));
	add_card(&stream, &s.org, NULL, next, said);
	interact(&stream, &s.org, event_seal(s.new, "1", said, seal));
	import_text(&stream);
	assert_true(claimed_since(s.org.aid) > 0);
	open_store(&store, false);
	assert_true(ledger_find(&store.ledger, LEDGER_KEY, s.org.aid, next_key, &since));
	store_close(&store);
	drop(&s);
}

/* Others may seal a card too, and be read first: that changes neither whose claim it is nor in whose file
 * the card is kept. */
static void a_card_is_its_issuers_whoever_seals_it(void **state) {
	struct id org = {.name = "org"}, others[8] = {0};
	struct text stream = {0}, card = {0};
	char name[sizeof others / sizeof *others][4], said[SAID], seal[SEAL], path[PATH];

	(void)state;
	incept(&stream, &org, "");
	add_card(&card, &org, NULL, DB1, said);
	interact(&stream, &org, anchor_seal(said, seal));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(name[i], sizeof name[i], "o%zu", i);
		others[i].name = name[i];
		incept(&stream, &others[i], "");
		interact(&stream, &others[i], anchor_seal(said, seal));
	}
	import_text(&stream);
	import_text(&card);
	assert_card(org.aid, said);
	assert_true(claimed_since(org.aid) > 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_int_equal(claimed_since(others[i].aid), 0);
		assert_int_equal(unlink(file_of(others[i].aid, path)), 0);
	}
	assert_card(org.aid, said);
}

/* A registry's events stand in the file of who made it, though another one sealed them first. */
static void a_registry_is_its_makers_whoever_seals_it(void **state) {
	struct id org = {.name = "org"}, other = {.name = "other"};
	struct text bodies = {0}, mine = {0}, theirs = {0};
	char vcp[SAID], iss[SAID], said[SAID], seal[SEAL], path[PATH];

	(void)state;
	incept(&mine, &org, "");
	incept(&theirs, &other, "");
	add_body(&bodies, vcp,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"vcp\",\"d\":" BLANK ",\"i\":" BLANK
		",\"ii\":\"%s\",\"s\":\"0\",\"c\":[\"NB\"],\"bt\":\"0\",\"b\":[],"
		"\"n\":\"0AAUiJMii_rPXXCiLTEEaDT7\"}",
		org.aid);
	add_card(&bodies, &org, vcp, DB1, said);
	add_body(&bodies, iss,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"iss\",\"d\":" BLANK
		",\"i\":\"%s\",\"s\":\"0\",\"ri\":\"%s\",\"dt\":\"2026-01-01T00:00:00.000000+00:00\"}",
		said, vcp);
	interact(&theirs, &other, event_seal(vcp, "0", vcp, seal));
	interact(&theirs, &other, event_seal(said, "0", iss, seal));
	interact(&mine, &org, event_seal(vcp, "0", vcp, seal));
	interact(&mine, &org, event_seal(said, "0", iss, seal));
	text_join(&theirs, &bodies);
	import_text(&theirs);
	text_join(&mine, &bodies);
	import_text(&mine);
	assert_card(org.aid, said);
	assert_int_equal(unlink(file_of(other.aid, path)), 0);
	assert_card(org.aid, said);
	text_free(&bodies);
}

/* A card that is sealed but was not there, too, is something new. */
static void a_frozen_log_gets_no_cards(void **state) {
	struct id org = {.name = "org"}, twin;
	struct text stream = {0}, card = {0}, fork = {0};
	char said[SAID], seal[SEAL];

	(void)state;
	incept(&stream, &org, "");
	add_card(&card, &org, NULL, DB1, said);
	twin = org;
	interact(&stream, &org, anchor_seal(said, seal));
	interact(&fork, &twin, "{}");
	import_text(&stream);
	import_text(&fork);
	assert_true(is_frozen(org.aid));
	import_text(&card);
	assert_card(org.aid, "");
}

/* A damaged log, or one that is not there, has not withdrawn anything. */
static void claims_of_the_unknown_are_kept(void **state) {
	struct scene s = replaced(0);

	(void)state;
	import(text_span(&s.first));
	remember(NOBODY, WG_KEY, 7);
	import(text_span(&s.second));
	assert_int_equal(claimed_since(NOBODY), 7);
	remember(s.org.aid, WG_KEY, 8);
	write_file(s.org.aid, span_str("damaged"));
	import(span_of(NULL, 0));
	assert_int_equal(claimed_since(s.org.aid), 8);
	drop(&s);
}

static void a_lost_ledger_is_learned_anew(void **state) {
	struct scene s = replaced(0);
	char path[PATH];

	(void)state;
	import(text_span(&s.first));
	snprintf(path, sizeof path, "%s" PATH_LEDGER, root);
	assert_int_equal(unlink(path), 0);
	import(text_span(&s.first));
	assert_true(claimed_since(s.org.aid) > 0);
	/* sync was first, and noted what it gave */
	write_path(path, span_str("gid " NOBODY " - 1000\n"));
	import(text_span(&s.first));
	assert_true(claimed_since(s.org.aid) > 0);
	drop(&s);
}

static void a_damaged_ledger_is_told(void **state) {
	char path[PATH], expected[PATH + 80];
	struct scene s = replaced(0);
	struct store store;
	struct err err;

	(void)state;
	import(text_span(&s.first));
	snprintf(path, sizeof path, "%s" PATH_LEDGER, root);
	snprintf(expected, sizeof expected, "%s:1: damaged; restore it from a backup", path);
	write_path(path, span_str("key\n"));
	assert_false(store_open(&store, root, true, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_string_equal(err.text, expected);
	drop(&s);
}

/* ---- one writer at a time ---- */

static void a_second_writer_waits(void **state) {
	struct scene s = replaced(0);
	struct store store;
	int ends[2], status;
	char byte = 0;
	pid_t child;

	(void)state;
	import(text_span(&s.first));
	open_store(&store, true);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		struct store second;
		bool good;

		close(store.lock);
		good = store_open(&second, root, true, NULL) &&
		       book_kel(&second.book, s.org.aid)->count == 3;
		_exit(write(ends[1], good ? "y" : "n", 1) != 1);
	}
	close(ends[1]);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	assert_int_equal(read(ends[0], &byte, 1), -1);
	/* it sees what was committed meanwhile */
	book_read(&store.book, text_span(&s.second));
	assert_true(book_finish(&store.book));
	assert_true(store_commit(&store, NULL));
	/* a reader does not wait */
	assert_int_equal(count_of(s.org.aid), 3);
	store_close(&store);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	close(ends[0]);
	drop(&s);
}

static void the_lock_is_not_inherited(void **state) {
	struct store store;

	(void)state;
	open_store(&store, true);
	assert_true(store.lock >= 0);
	assert_true(fcntl(store.lock, F_GETFD) & FD_CLOEXEC);
	store_close(&store);
	assert_int_equal(store.lock, -1);
}

static void what_cannot_be_written_is_told(void **state) {
	struct scene s = replaced(0);
	struct store store;
	struct err err;
	char path[PATH];

	(void)state;
	open_store(&store, true);
	book_read(&store.book, text_span(&s.first));
	assert_true(book_finish(&store.book));
	assert_int_equal(mkdir(file_of(s.org.aid, path), 0700), 0);
	assert_false(store_commit(&store, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_non_null(strstr(err.text, path));
	store_close(&store);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof path, "%s" PATH_LOCK, root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_false(store_open(&store, root, true, &err));
	assert_non_null(strstr(err.text, path));
	drop(&s);
}

/* Nobody's log keeps others from being written, nor from having been heard of. */
static void what_cannot_be_written_stops_no_other(void **state) {
	struct id orgs[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
	struct text stream = {0};
	struct store store;
	struct err err;
	char path[PATH];
	uint64_t when;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		incept(&stream, &orgs[i], "");
	open_store(&store, true);
	book_read(&store.book, text_span(&stream));
	assert_true(book_finish(&store.book));
	assert_true(ledger_put(&store.ledger, LEDGER_ANSWERED, orgs[0].aid, "-", 7));
	assert_int_equal(mkdir(file_beside(orgs[1].aid, path), 0700), 0);
	assert_false(store_commit(&store, &err));
	assert_int_equal(err.status, ERR_ENV);
	store_close(&store);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(count_of(orgs[0].aid), 1);
	assert_int_equal(count_of(orgs[1].aid), 0);
	assert_int_equal(count_of(orgs[2].aid), 1);
	open_store(&store, false);
	assert_true(ledger_find(&store.ledger, LEDGER_ANSWERED, orgs[0].aid, "-", &when) && when == 7);
	store_close(&store);
	import_text(&stream);
	assert_int_equal(count_of(orgs[1].aid), 1);
}

#define test(f) cmocka_unit_test_setup(f, empty_root)

int main(void) {
	const struct CMUnitTest tests[] = {
		test(commit_then_open_gives_the_same),
		test(a_file_only_grows),
		test(what_was_not_committed_is_forgotten),
		test(only_sealed_bodies_are_kept),
		test(files_have_their_modes),
		test(reading_makes_nothing),
		test(vectors_come_back),
		test(a_crash_leaves_the_old_or_the_new),
		test(a_delegate_without_its_delegator_is_unknown),
		test(a_damaged_middle_is_told),
		test(a_missing_middle_is_told),
		test(two_who_contradict_themselves_hurt_nobody_else),
		test(only_duplicity_freezes),
		test(a_frozen_log_without_its_file_stays_frozen),
		test(a_file_that_cannot_be_read_hurts_nobody_else),
		test(evidence_comes_first),
		test(other_files_are_no_logs),
		test(garbage_is_told),
		test(a_claim_is_noted_when_it_is_first_seen),
		test(a_claim_withdrawn_and_made_again_is_new),
		test(in_the_overlap_both_keys_are_claimed),
		test(a_card_is_its_issuers_whoever_seals_it),
		test(a_registry_is_its_makers_whoever_seals_it),
		test(a_frozen_log_gets_no_cards),
		test(claims_of_the_unknown_are_kept),
		test(a_lost_ledger_is_learned_anew),
		test(a_damaged_ledger_is_told),
		test(a_second_writer_waits),
		test(the_lock_is_not_inherited),
		test(what_cannot_be_written_is_told),
		test(what_cannot_be_written_stops_no_other),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
