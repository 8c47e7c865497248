/* import.c: `verimesh import`: verifies a stream together with the store, and adds what holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "card.h"
#include "confine.h"
#include "import.h"
#include "store.h"
#include "stream.h"
#include "verimesh.h"

/* What a reader works on. */
struct import {
	struct store store;
	const struct policy *policy;
	const char *resolved;
	const struct import_stream *streams;
	size_t n;
	size_t *at;	      /* which one it reads, for who survives it */
	const bool *left;     /* those that are to be left out */
	struct verdict first; /* of a Source's stream */
	uint64_t more;	      /* verdicts of it that were not printed */
	struct progress progress;
	bool complete;
};

static void show_progress(void *ctx, uint64_t events) {
	progress_show(&((struct import *)ctx)->progress, events);
}

static void print(struct import *import, const struct verdict *verdict) {
	progress_end(&import->progress);
	print_verdict(import->streams[*import->at].name, verdict);
}

static void show_verdict(void *ctx, const struct verdict *verdict) {
	struct import *import = ctx;
	const struct book_log *log = book_log(&import->store.book, verdict->aid);
	bool freezes = verdict->kind == VERDICT_DUPLICITOUS && log && log->frozen;
	struct verdict shown = *verdict;

	if (freezes)
		snprintf(shown.reason, sizeof shown.reason, "%.400s; frozen until verimesh import --resolve",
			verdict->reason);
	if (!import->policy || (freezes && log->wanted))
		print(import, &shown);
	else if (import->more++ == 0)
		import->first = shown;
}

/* A Source that sends nonsense does not fill anybody's log. */
static void show_first(struct import *import) {
	size_t n = strlen(import->first.reason);

	if (import->more > 1)
		snprintf(import->first.reason + n, sizeof import->first.reason - n, "; and %llu more",
			(unsigned long long)import->more - 1);
	if (import->more)
		print(import, &import->first);
	import->more = 0;
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

/* One stream, into the book. Whose Source showed his log has heard from it now (DESIGN.md 5.5, MaxAge). */
static bool read_stream(struct import *import, const struct import_stream *stream, struct err *err) {
	struct store *store = &import->store;
	struct book *book = &store->book;
	struct book_log *log = stream->aid ? book_log(book, stream->aid) : NULL;

	if (log)
		log->shown = false;
	book_read(book, stream->bytes);
	import->complete = book_finish(book) && import->complete;
	show_first(import);
	progress_end(&import->progress);
	if (book->starved && import->n > 1)
		abort(); /* the others are read without it */
	if (book->starved)
		return err_set(err, ERR_ENV, "%s: out of memory; nothing was changed", stream->name);
	log = stream->aid ? book_log(book, stream->aid) : NULL;
	return !log || !log->shown ||
	       ledger_put(&store->ledger, LEDGER_ANSWERED, stream->aid, "-", (uint64_t)time(NULL)) ||
	       err_set(err, ERR_ENV, "out of memory");
}

static bool read_streams(struct import *import, struct err *err) {
	const struct store *store = &import->store;

	for (size_t i = 0; i < import->n; i++) {
		*import->at = i;
		if (!import->left[i] && !read_stream(import, &import->streams[i], err))
			return false;
	}
	return !store->resolved || (import->complete && book_kel(&store->book, store->resolved)) ||
	       err_set(err, ERR_NO, "%s: does not settle %s; nothing was changed", import->streams[0].name,
		       store->resolved);
}

/* Cards are complained of where a person put them. */
static bool commit(struct import *import, struct err *err) {
	struct complaint complaint = {.name = import->streams[0].name};
	const struct book *book = &import->store.book;
	size_t *before = calloc(book->nlogs + 1, sizeof *before);
	bool by_hand = !import->policy, good;

	if (!before)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < book->nlogs; i++)
		before[i] = book->logs[i]->file.size;
	if (by_hand)
		twalk_r(book->body_tree, complain, &complaint);
	good = store_commit(&import->store, err);
	complaint.committed = true;
	if (good && by_hand)
		twalk_r(book->body_tree, complain, &complaint);
	show_added(book, before);
	free(before);
	return good;
}

/* Whose log is kept, whoever shows it. */
static bool want_peers(struct import *import, struct err *err) {
	const struct policy *policy = import->policy;

	for (size_t i = 0; policy && i < policy->npeers; i++) {
		struct book_log *log = policy->peers[i].aid[0]
					       ? book_open(&import->store.book, policy->peers[i].aid)
					       : NULL;

		if (log)
			log->wanted = true;
		else if (policy->peers[i].aid[0])
			return err_set(err, ERR_ENV, "out of memory");
	}
	return true;
}

/* Nothing of the others is believed, nor written. */
static void leave_strangers(struct book *book) {
	for (size_t i = 0; i < book->nlogs; i++) {
		struct book_log *log = book->logs[i];

		if (log->wanted || log->file.size)
			while ((log = book_log(book, log->kel.delegator)) && !log->wanted)
				log->wanted = true;
	}
	for (size_t i = 0; i < book->nlogs; i++)
		if (!book->logs[i]->wanted && !book->logs[i]->file.size)
			book->logs[i]->damaged = true;
}

static int read_and_commit(void *ctx) {
	struct import *import = ctx;
	struct store *store = &import->store;
	struct err err;

	if (!store_load(store, import->resolved, &err))
		return problem(&err);
	store->book.report = show_verdict;
	store->book.progress = show_progress;
	store->book.ctx = import;
	if (!want_peers(import, &err) || !read_streams(import, &err))
		return problem(&err);
	if (import->policy)
		leave_strangers(&store->book);
	if (!commit(import, &err))
		return problem(&err);
	if (store->damage.text[0])
		return problem(&store->damage);
	return import->complete ? 0 : ERR_NO;
}

/* A stream that its reader does not survive hurts no other one: they are read again, without it. */
static int read_all(struct import *import, bool *left) {
	struct err err;
	int status;
	size_t at;

	import->left = left;
	import->complete = true;
	*import->at = import->n;
	while ((status = confined(&import->store.state, -1, read_and_commit, import, &err)) < 0) {
		at = *import->at;
		err_at(&err, "%s", import->streams[at < import->n ? at : 0].name);
		status = problem(&err);
		if (at >= import->n || left[at])
			break; /* it was none of them */
		left[at] = true;
		import->complete = false;
	}
	return status;
}

int import_streams(const char *root, const struct policy *policy, const char *resolved,
	const struct import_stream *streams, size_t n) {
	struct import import = {.policy = policy, .resolved = resolved, .streams = streams, .n = n};
	bool *left = calloc(n, sizeof *left);
	int status = ERR_ENV;
	struct err err;

	import.progress.terminal = isatty(STDERR_FILENO);
	import.at = mmap(NULL, sizeof *import.at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!left || import.at == MAP_FAILED) {
		err_set(&err, ERR_ENV, "out of memory");
		problem(&err);
	} else if (store_enter(&import.store, root, true, &err)) {
		status = read_all(&import, left);
		store_close(&import.store);
	} else {
		problem(&err);
	}
	if (import.at != MAP_FAILED)
		munmap(import.at, sizeof *import.at);
	free(left);
	return status;
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
	struct import_stream stream = {0};
	const char *resolved;
	uint8_t *data;
	struct err err;
	int status;

	if (!read_words(command, &resolved, &stream.name))
		return usage(command, "one FILE, or - for standard input; before it perhaps --resolve AID");
	if (!stream_read(stream.name, &data, &stream.bytes.n, &err))
		return problem(&err);
	stream.bytes.p = data;
	status = import_streams(command->root, NULL, resolved, &stream, 1);
	free(data);
	return status;
}
