/* import.c: `verimesh import`: verifies a stream together with the store, and adds what holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "card.h"
#include "store.h"
#include "stream.h"
#include "verimesh.h"

/* The name of the stream, the book that it goes into, and how far it is. */
struct import {
	const char *name;
	const struct book *book;
	struct progress progress;
};

static void show_progress(void *ctx, uint64_t events) {
	progress_show(&((struct import *)ctx)->progress, events);
}

static void show_verdict(void *ctx, const struct verdict *verdict) {
	struct import *import = ctx;
	const struct book_log *log = book_log(import->book, verdict->aid);
	struct verdict shown = *verdict;

	if (verdict->kind == VERDICT_DUPLICITOUS && log && log->frozen)
		snprintf(shown.reason, sizeof shown.reason, "%.400s; frozen until verimesh import --resolve",
			verdict->reason);
	progress_end(&import->progress);
	print_verdict(import->name, &shown);
}

/* One line for each identifier of which something was added. */
static void show_added(const struct book *book, const size_t *before) {
	for (size_t i = 0; i < book->nlogs; i++)
		if (book->logs[i]->file.size != before[i])
			printf("%s: sn %llu, %zu bytes added\n", book->logs[i]->kel.aid,
				(unsigned long long)book->logs[i]->kel.count - 1,
				book->logs[i]->file.size - before[i]);
}

/* A card that cannot count is no refusal (DESIGN.md 6), but nobody would see why it has no effect. Before
 * the commit: new bodies that are no tunnel card; after it: those that no log seals. */
struct complaint {
	const char *name;
	bool committed;
};

static void complain(const void *node, VISIT visit, void *ctx) {
	const struct complaint *complaint = ctx;
	const struct book_body *body = *(struct book_body *const *)node;
	struct err err = {0};
	struct card card;

	if ((visit != postorder && visit != leaf) || !body->acdc || body->stored)
		return;
	if (card_parse(span_of(body->bytes, body->n), &card, &err) != complaint->committed)
		return;
	if (complaint->committed)
		err_set(&err, ERR_NO, "no log seals it; left out");
	err_at(&err, "%s: card %s", complaint->name, body->said);
	problem(&err);
}

static bool take(
	struct store *store, const char *name, struct span stream, bool *complete, struct err *err) {
	struct complaint complaint = {.name = name};
	struct book *book = &store->book;
	struct import import = {.name = name, .book = book};
	size_t *before;
	bool good;

	book->report = show_verdict;
	book->progress = show_progress;
	book->ctx = &import;
	book_read(book, stream);
	*complete = book_finish(book);
	progress_end(&import.progress);
	if (book->starved)
		return err_set(err, ERR_ENV, "%s: out of memory; nothing was changed", name);
	if (store->resolved && (!*complete || !book_kel(book, store->resolved)))
		return err_set(
			err, ERR_NO, "%s: does not settle %s; nothing was changed", name, store->resolved);
	before = calloc(book->nlogs + 1, sizeof *before);
	if (!before)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < book->nlogs; i++)
		before[i] = book->logs[i]->file.size;
	twalk_r(book->body_tree, complain, &complaint);
	good = store_commit(store, err);
	if (good) {
		complaint.committed = true;
		twalk_r(book->body_tree, complain, &complaint);
		show_added(book, before);
	}
	free(before);
	return good;
}

/* [--resolve AID] FILE */
static bool read_words(const struct command *command, const char **aid, const char **name) {
	*name = command->args[command->nargs - 1];
	*aid = command->nargs == 4 ? command->args[2] : NULL;
	if (command->nargs == 4)
		return strcmp(command->args[1], "--resolve") == 0 && !is_option(*name) &&
		       cesr_is_aid(span_str(*aid));
	return command->nargs == 2 && !is_option(*name);
}

int verb_import(const struct command *command) {
	bool good, complete = false, damaged = false;
	const char *aid, *name;
	struct store store;
	uint8_t *data;
	struct err err;
	size_t n;

	if (!read_words(command, &aid, &name))
		return usage(command, "one FILE, or - for standard input; before it perhaps --resolve AID");
	if (!stream_read(name, &data, &n, &err))
		return problem(&err);
	good = aid ? store_resolve(&store, command->root, aid, &err)
		   : store_open(&store, command->root, true, &err);
	if (good) {
		good = take(&store, name, span_of(data, n), &complete, &err);
		damaged = store.damage.text[0];
		if (damaged)
			problem(&store.damage);
		store_close(&store);
	}
	free(data);
	if (!good)
		return problem(&err);
	return damaged ? ERR_ENV : complete ? 0 : ERR_NO;
}
