/* test_hostile.c: whatever a stream is made of, twice as much of it costs about twice as much. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <sodium.h>
#include <cmocka.h>

#include "book.h"
#include "cards.h"
#include "hostile.h"

/* ---- what work is counted ---- */

struct cost {
	size_t bytes; /* of the stream */
	/* that were looked at, by all threads */
	_Atomic size_t signatures, signed_bytes;
	size_t memory;	/* in use when all is read */
	double seconds; /* of this process on a processor */
};

static struct cost counted;
static int (*checker)(
	const unsigned char *, const unsigned char *, unsigned long long, const unsigned char *);

/* In the place of libsodium's, for the code under test. */
int crypto_sign_verify_detached(
	const unsigned char *sig, const unsigned char *m, unsigned long long mlen, const unsigned char *pk) {
	counted.signatures++;
	counted.signed_bytes += mlen;
	return checker(sig, m, mlen, pk);
}

/* The address sanitizer's allocator counts for itself. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static size_t memory_in_use(void) {
	struct mallinfo2 info = mallinfo2();

	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : info.uordblks + info.hblkhd;
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What sync does with every log. */
static void list_cards(const struct book *book) {
	struct cards_entry *entries;
	struct err err;
	size_t n;

	for (size_t i = 0; i < book->nlogs; i++) {
		assert_true(cards_list(book, &book->logs[i]->kel, &entries, &n, &err));
		free(entries);
	}
}

static struct cost cost_of(const struct text *stream, bool forgiving) {
	struct book book = {.forgiving = forgiving, .keep = true, .record = forgiving};
	size_t before = memory_in_use();
	double start = seconds();

	counted = (struct cost){.bytes = stream->n};
	book_read(&book, text_span(stream));
	counted.memory = memory_in_use() - before;
	list_cards(&book);
	book_free(&book);
	counted.seconds = seconds() - start;
	return counted;
}

/* ---- the test ---- */

#define TIMES 4

/* An event of b bytes may have 1,024 signatures and as many next keys exposed, but a stream of such
 * is long: what is left is a factor that no input can raise. */
#define HASHED_MAX 100 /* times the bytes of the stream, signed bytes looked at */
#define MEMORY_MAX 16  /* times the bytes of the stream */

static void expect_linear(const struct hostile *h, const struct cost *one, const struct cost *many) {
	print_message("%-36s %8zu bytes: %4zu signatures, %3.0f bytes hashed and %4.1f of memory a byte, "
		      "%4.0f ns\n",
		h->name, many->bytes, many->signatures, (double)many->signed_bytes / (double)many->bytes,
		(double)many->memory / (double)many->bytes, many->seconds * 1e9 / (double)many->bytes);
	assert_true(many->signatures <= one->signatures * (TIMES + 1) + 64);
	assert_true(many->signed_bytes <= many->bytes * HASHED_MAX);
	assert_true(many->memory <= many->bytes * MEMORY_MAX + (1 << 16));
	/* linear: 4 times; quadratic: 16 times */
	assert_true(many->seconds <= one->seconds * 2 * TIMES + 0.005);
}

/* The least of some runs, because others use the processor's caches, too. */
static struct cost least(const struct text *stream, bool forgiving) {
	struct cost best = cost_of(stream, forgiving);

	for (int i = 0; i < 2; i++) {
		struct cost again = cost_of(stream, forgiving);

		if (again.seconds < best.seconds)
			best = again;
	}
	return best;
}

static void costs_grow_with_the_stream(bool forgiving) {
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		const struct hostile *h = &hostile[i];
		struct text small = {0}, large = {0};
		struct cost one, many;

		h->make(&small, h->n);
		h->make(&large, h->n * TIMES);
		one = least(&small, forgiving);
		many = least(&large, forgiving);
		expect_linear(h, &one, &many);
		text_free(&small);
		text_free(&large);
	}
}

static void costs_of_verify(void **state) {
	(void)state;
	costs_grow_with_the_stream(false);
}

static void costs_of_import(void **state) {
	(void)state;
	costs_grow_with_the_stream(true);
}

static int start(void **state) {
	(void)state;
	*(void **)&checker = dlsym(RTLD_NEXT, "crypto_sign_verify_detached");
	return sodium_init() < 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_of_verify),
		cmocka_unit_test(costs_of_import),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
