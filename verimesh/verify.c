/* verify.c: `verimesh verify`: verifies a stream, prints key states, touches nothing. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stream.h"
#include "verimesh.h"

/* How far it is, and the one verdict of a strict book. */
struct outcome {
	struct progress progress;
	bool refused;
	struct verdict verdict;
};

static void note_verdict(void *ctx, const struct verdict *verdict) {
	struct outcome *outcome = ctx;

	outcome->refused = true;
	outcome->verdict = *verdict;
}

static void show(void *ctx, uint64_t events) {
	progress_show(&((struct outcome *)ctx)->progress, events);
}

static int by_first(const void *a, const void *b) {
	const struct book_log *x = *(struct book_log *const *)a, *y = *(struct book_log *const *)b;

	return (x->first > y->first) - (x->first < y->first);
}

/* A text that may hold anything printable, as a JSON string. */
static void print_json_text(const char *text) {
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_json_state(const struct kel *kel) {
	const struct kel_est *est = kel_current(kel);
	const struct event *ev = &est->ev;
	char text[CESR_TEXT];

	kel_said(kel, kel->count - 1, text);
	printf("{\"aid\":\"%s\",\"sn\":%llu,\"said\":\"%s\"", kel->aid, (unsigned long long)kel->count - 1,
		text);
	printf(",\"kt\":%.*s,\"keys\":%.*s", (int)ev->kt.n, ev->kt.p, (int)ev->keys.n, ev->keys.p);
	printf(",\"nt\":%.*s,\"next\":%.*s", (int)ev->nt.n, ev->nt.p, (int)ev->next.n, ev->next.p);
	printf(",\"bt\":%.*s,\"witnesses\":[", (int)ev->bt.n, ev->bt.p);
	for (size_t i = 0; i < est->nwitnesses; i++)
		printf("%s\"%s\"", i ? "," : "", cesr_encode(CESR_ED25519N, est->witnesses[i], text));
	printf("],\"delegator\":%s%s%s", kel->delegator[0] ? "\"" : "",
		kel->delegator[0] ? kel->delegator : "null", kel->delegator[0] ? "\"" : "");
	printf(",\"abandoned\":%s}\n", kel_abandoned(kel) ? "true" : "false");
}

static void print_state(const struct kel *kel) {
	const struct kel_est *est = kel_current(kel);
	char said[CESR_TEXT];

	kel_said(kel, kel->count - 1, said);
	printf("%s\n  sn %llu, event %s\n  %zu key%s, %zu witness%s%s%s%s\n", kel->aid,
		(unsigned long long)kel->count - 1, said, est->nkeys, est->nkeys == 1 ? "" : "s",
		est->nwitnesses, est->nwitnesses == 1 ? "" : "es",
		kel->delegator[0] ? ", delegated by " : "", kel->delegator,
		kel_abandoned(kel) ? ", abandoned" : "");
}

static void print_json_verdict(const struct verdict *v) {
	static const char *const kinds[] = {"refused", "truncated", "duplicitous", "underwitnessed"};

	printf("{\"verdict\":\"%s\",\"aid\":", kinds[v->kind]);
	if (v->aid[0])
		printf("\"%s\"", v->aid);
	else
		printf("null");
	printf(",\"event\":%llu,\"sn\":", (unsigned long long)v->event);
	if (v->sn != UINT64_MAX)
		printf("%llu", (unsigned long long)v->sn);
	else
		printf("null");
	printf(",\"reason\":");
	print_json_text(v->reason);
	puts("}");
}

int verb_verify(const struct command *command) {
	bool first = command->nargs > 1 && strcmp(command->args[1], "--json") == 0;
	bool json = first || (command->nargs > 2 && strcmp(command->args[2], "--json") == 0);
	const char *name = command->args[first ? 2 : 1];
	struct outcome outcome = {.progress.terminal = isatty(STDERR_FILENO)};
	struct book book = {.report = note_verdict, .progress = show, .ctx = &outcome};
	struct err err;
	bool good;

	if (command->nargs != (json ? 3 : 2) || is_option(name))
		return usage(command, "one FILE, or - for standard input");
	good = stream_verify(name, &book, &err);
	progress_end(&outcome.progress);
	if (good && book.starved)
		good = err_set(&err, ERR_ENV, "%s: out of memory", name);
	if (!good) {
		book_free(&book);
		return problem(&err);
	}
	book_finish(&book);
	if (book.nlogs)
		qsort(book.logs, book.nlogs, sizeof *book.logs, by_first);
	for (size_t i = 0; i < book.nlogs; i++)
		if (book.logs[i]->kel.count)
			(json ? print_json_state : print_state)(&book.logs[i]->kel);
	if (outcome.refused && json)
		print_json_verdict(&outcome.verdict);
	else if (outcome.refused)
		print_verdict(name, &outcome.verdict);
	book_free(&book);
	return outcome.refused ? ERR_NO : 0;
}
