/* test_replay.c: the store is read back to the same key states, in whatever order its files come. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <sodium.h>
#include <cmocka.h>

#include "builder.h"
#include "bytes.h"
#include "store.h"

#define PAIRS 8 /* so that some delegators are read before their delegates, and some after */

static int start(void **state) {
	static char root[] = "/tmp/replay-XXXXXX";

	*state = mkdtemp(root);
	return sodium_init() < 0 || !*state;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int end(void **state) {
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void import(const char *root, const struct text *stream) {
	struct span exact = bytes_copy(stream->p, stream->n);
	struct store store;
	struct err err;

	if (!store_open(&store, root, true, &err))
		fail_msg("%s", err.text);
	book_read(&store.book, exact);
	book_finish(&store.book);
	bytes_free(exact);
	assert_true(store_commit(&store, &err));
	store_close(&store);
}

/* What the store says of an identifier: its accepted events, and the last one. */
static void expect_state(const char *root, const struct id *id, uint64_t count, const char *last) {
	const struct kel *kel;
	char said[CESR_TEXT];
	struct store store;
	struct err err;

	if (!store_open(&store, root, false, &err))
		fail_msg("%s", err.text);
	kel = book_kel(&store.book, id->aid);
	assert_int_equal(kel ? kel->count : 0, count);
	if (count) {
		assert_true(kel_said(kel, count - 1, said));
		assert_string_equal(said, last);
	}
	store_close(&store);
}

/* A recovery of a delegator takes back what he had sealed before. The delegate's file has it still;
 * that is no damage, and what was sealed anew instead counts. */
static void what_lost_its_anchor_is_no_damage(void **state) {
	const char *root = *state;

	for (unsigned i = 0; i < PAIRS; i++) {
		char names[2][16];
		struct text first = {0}, second = {0}, third = {0}, dels = {0}, seals = {0}, body;
		struct id boss = {.name = names[0]}, del = {.name = names[1]}, boss_fork, del_fork;
		struct draft d;

		snprintf(names[0], sizeof names[0], "boss %u", i);
		snprintf(names[1], sizeof names[1], "del %u", i);
		del.delegator = &boss;
		say(&first, &boss, draft_icp(&boss));
		say_delegated(&first, &dels, &boss, &del, draft_icp(&del));
		boss_fork = boss;
		del_fork = del;
		say_delegated(&first, &dels, &boss, &del, draft_rot(&del));
		say(&dels, &del, draft_ixn(&del, "[]"));
		text_join(&first, &dels);
		import(root, &first);
		expect_state(root, &del, 3, del.said);
		/* the recovery */
		d = draft_rot(&del_fork);
		draft_set(&d, "a", "[{}]");
		body = id_state(&del_fork, d);
		text_add(&seals, "[{\"i\":\"%s\",\"s\":\"1\",\"d\":\"%s\"}]", del_fork.aid, del_fork.said);
		d = draft_rot(&boss_fork);
		draft_set(&d, "a", seals.p);
		say(&second, &boss_fork, d);
		import(root, &second);
		expect_state(root, &boss, 3, boss_fork.said);
		expect_state(root, &del, 1, del.aid);
		/* what it seals instead */
		text_join(&third, &body);
		add_signatures(&third, &del_fork, text_span(&body));
		add_source_seal(&third, 2, boss_fork.said);
		say(&third, &del_fork, draft_ixn(&del_fork, "[{}]"));
		import(root, &third);
		expect_state(root, &del, 3, del_fork.said);
		text_free(&first);
		text_free(&second);
		text_free(&third);
		text_free(&dels);
		text_free(&seals);
		text_free(&body);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lost_its_anchor_is_no_damage),
	};

	return cmocka_run_group_tests(tests, start, end);
}
