/* import.c: `verimesh import`: verifies a stream together with the store, and adds what holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"
#include "verimesh.h"

static void show_verdict(void *ctx, const struct verdict *verdict) {
	print_verdict(ctx, verdict);
}

/* One line for each identifier of which something was added. */
static void show_added(const struct book *book, const size_t *before) {
	for (size_t i = 0; i < book->nlogs; i++)
		if (book->logs[i]->stored != before[i])
			printf("%s: sn %llu, %zu bytes added\n", book->logs[i]->kel.aid,
				(unsigned long long)book->logs[i]->kel.count - 1,
				book->logs[i]->stored - before[i]);
}

static bool import(
	struct store *store, const char *name, struct span stream, bool *complete, struct err *err) {
	struct book *book = &store->book;
	size_t *before;
	bool good;

	book->report = show_verdict;
	book->ctx = (void *)name;
	book_read(book, stream);
	*complete = book_finish(book);
	before = calloc(book->nlogs + 1, sizeof *before);
	if (!before)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < book->nlogs; i++)
		before[i] = book->logs[i]->stored;
	good = store_commit(store, err);
	if (good)
		show_added(book, before);
	free(before);
	return good;
}

int verb_import(const struct command *command) {
	const char *name = command->args[1];
	bool good, complete = false;
	struct store store;
	uint8_t *data;
	struct err err;
	size_t n;

	if (command->nargs != 2 || is_option(name))
		return usage(command, "one FILE, or - for standard input");
	if (!read_stream(name, &data, &n, &err))
		return problem(&err);
	good = store_open(&store, command->root, true, &err);
	if (good) {
		good = import(&store, name, span_of(data, n), &complete, &err);
		store_close(&store);
	}
	free(data);
	if (!good)
		return problem(&err);
	return complete ? 0 : ERR_NO;
}
