/* fuzz_verify.c: fuzzes all that `verify` and `import` do with a stream, and what must hold of it.
 *
 * Random changes alone end at a digest or a signature that is not right any more. So the mutator
 * below changes one part of a stream and then mends the rest: sizes, SAIDs wherever they are named,
 * and signatures, as whoever holds the keys could. A part of all inputs stays unmended. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>

#include "cards.h"
#include "fuzz.h"
#include "mend.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
	(void)argc;
	(void)argv;
	return sodium_init() < 0;
}

/* ---- mutation ---- */

/* Puts another text in the place of `old` bytes at `at`; the new size, or the old when it is too long. */
static size_t splice(
	uint8_t *data, size_t size, size_t max, size_t at, size_t old, const void *text, size_t n) {
	if (size - old + n > max)
		return size;
	memmove(data + at + n, data + at + old, size - at - old);
	memcpy(data + at, text, n);
	return size - old + n;
}

/* Changes some bytes, which may become a few more. */
static size_t bend(uint8_t *data, size_t size, size_t max, size_t at, size_t n) {
	uint8_t *copy = malloc(n + 64);

	assert(copy);
	memcpy(copy, data + at, n);
	size = splice(data, size, max, at, n, copy, LLVMFuzzerMutate(copy, n, n + 64));
	free(copy);
	return size;
}

/* A string somewhere in a body: what stands between a quote and the next one. */
static struct span pick_string(struct span body, unsigned seed) {
	struct span rest = span_from(body, VERSION_AT + VERSION_SIZE + seed % (body.n - VERSION_AT));
	const uint8_t *quote = rest.n ? memchr(rest.p, '"', rest.n) : NULL, *end;

	if (!quote)
		return span_of(body.p + body.n, 0);
	rest = span_from(rest, (size_t)(quote - rest.p) + 1);
	end = rest.n ? memchr(rest.p, '"', rest.n) : NULL;
	return span_cut(rest, 0, end ? (size_t)(end - rest.p) : 0);
}

/* Puts a copy of one message elsewhere. */
static size_t repeat(uint8_t *data, size_t size, size_t max, struct span message, size_t at) {
	uint8_t *copy = malloc(message.n);

	assert(copy);
	memcpy(copy, message.p, message.n);
	size = splice(data, size, max, at, 0, copy, message.n);
	free(copy);
	return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
	static struct mend_message messages[MEND_MESSAGES];
	size_t n = mend_split(data, size, messages), before = size, body_at, all;
	const struct mend_message *m;
	struct span string, body;
	char digits[VERSION_SIZE + 1];

	if (seed % 8 == 0 || n == 0)
		return LLVMFuzzerMutate(data, size, max);
	m = &messages[seed / 8 % n];
	body = m->msg.body;
	body_at = (size_t)(body.p - data);
	all = body.n + m->msg.attachments.n;
	seed /= MEND_MESSAGES * 8;
	switch (seed % 5) {
	case 0:
		string = pick_string(body, seed / 5);
		size = bend(data, size, max, (size_t)(string.p - data), string.n);
		break;
	case 1:
		size = bend(data, size, max, body_at + VERSION_AT + VERSION_SIZE,
			body.n - VERSION_AT - VERSION_SIZE);
		break;
	case 2:
		return mend_stream(data, size),
		       bend(data, size, max, body_at + body.n, m->msg.attachments.n);
	case 3:
		size = splice(data, size, max, body_at, all, "", 0);
		break;
	default:
		size = repeat(data, size, max, span_of(body.p, all),
			(size_t)(messages[seed / 5 % n].msg.body.p - data));
	}
	if (seed % 5 < 2) {
		snprintf(digits, sizeof digits, "%06zx", body.n + size - before);
		memcpy(data + body_at + VERSION_AT, digits, VERSION_SIZE);
	}
	mend_stream(data, size);
	return size;
}

/* ---- what must hold ---- */

struct run {
	struct book book;
	size_t verdicts;
	bool complete;
};

static void note(void *ctx, const struct verdict *verdict) {
	struct run *run = ctx;

	run->verdicts++;
	assert(verdict->reason[0]);
	assert(verdict->event <= run->book.events);
}

static void read_all(struct run *run, struct span stream) {
	run->verdicts = 0;
	book_read(&run->book, stream);
	run->complete = book_finish(&run->book);
	assert(run->complete == (run->verdicts == 0));
}

static void start(struct run *run, bool forgiving, struct span stream) {
	*run = (struct run){
		.book = {.forgiving = forgiving, .keep = true, .record = forgiving, .report = note}};
	run->book.ctx = run;
	read_all(run, stream);
}

/* A key state is whole. */
static void check_state(const struct kel *kel) {
	const struct kel_est *est = kel_current(kel);
	char said[CESR_TEXT];

	assert(est && est->nkeys > 0 && est->ev.sn < kel->count && est->bt <= est->nwitnesses);
	for (uint64_t sn = 0; sn < kel->count; sn++)
		assert(kel_said(kel, sn, said));
	assert(!kel_abandoned(kel) || est->ev.sn + 1 == kel->count);
	for (size_t i = 0; i < kel->nseals; i++)
		assert(kel->seals[i].sn < kel->count);
}

/* Every log of one is in the other, and says the same. */
static void check_equal(const struct book *a, const struct book *b) {
	for (size_t i = 0; i < a->nlogs; i++) {
		const struct kel *kel = &a->logs[i]->kel, *other = book_kel(b, kel->aid);

		if (kel->count == 0)
			continue;
		check_state(kel);
		assert(other && other->count == kel->count);
		assert(memcmp(other->saids, kel->saids, kel->count * CESR_RAW) == 0);
	}
}

/* How many cards count. */
static size_t count_cards(const struct book *book) {
	struct cards_entry *entries;
	size_t n, all = 0;

	for (size_t i = 0; i < book->nlogs; i++) {
		assert(cards_list(book, &book->logs[i]->kel, &entries, &n, NULL));
		for (size_t k = 0; k < n; k++)
			assert(cards_last(entries, n, entries[k].card.host));
		all += n;
		free(entries);
	}
	return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span stream = span_of(data, size);
	struct run strict, forgiving;
	size_t cards;

	start(&strict, false, stream);
	start(&forgiving, true, stream);
	assert(strict.verdicts <= 1);
	cards = count_cards(&strict.book);
	assert(count_cards(&forgiving.book) == cards || !strict.complete);
	check_equal(&strict.book, &strict.book);
	check_equal(&forgiving.book, &forgiving.book);
	assert(forgiving.complete || !strict.complete);
	if (strict.complete) {
		check_equal(&strict.book, &forgiving.book);
		read_all(&strict, stream); /* once more: no effect */
		assert(strict.complete);
		check_equal(&forgiving.book, &strict.book);
		assert(count_cards(&strict.book) == cards);
	}
	book_free(&strict.book);
	book_free(&forgiving.book);
	return 0;
}
