/* test_blake3.c: the official vectors, and every way of feeding them. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "blake3.h"
#include "bytes.h"

#define VECTORS "tests/vectors/blake3.txt"
#define LONGEST 102400

static uint8_t input[LONGEST];

static int fill_input(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof input; i++)
		input[i] = (uint8_t)(i % 251);
	return 0;
}

static void hash(const uint8_t *data, size_t n, uint8_t out[BLAKE3_BYTES]) {
	struct blake3 h;

	blake3_init(&h);
	blake3_update(&h, data, n);
	blake3_final(&h, out);
}

static void official_vectors(void **state) {
	FILE *f = fopen(VECTORS, "r");
	char want[65], got[65];
	uint8_t out[BLAKE3_BYTES];
	int vectors = 0;
	size_t n;

	(void)state;
	assert_non_null(f);
	while (fscanf(f, "%zu %64s", &n, want) == 2) {
		struct span exact;

		assert_true(n <= LONGEST);
		exact = bytes_copy(input, n);
		hash(exact.p, n, out);
		bytes_free(exact);
		for (size_t i = 0; i < sizeof out; i++)
			snprintf(got + 2 * i, 3, "%02x", out[i]);
		assert_string_equal(got, want);
		vectors++;
	}
	fclose(f);
	assert_int_equal(vectors, 35);
}

/* Lengths at which a block, a chunk or a subtree is just short of full, full, or just over. */
static const size_t lengths[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 1087, 1088, 1089,
	2047, 2048, 2049, 3071, 3072, 3073, 4096, 4097};

#define COUNT (sizeof lengths / sizeof lengths[0])

static void split_in_two_anywhere(void **state) {
	uint8_t want[BLAKE3_BYTES], got[BLAKE3_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		hash(input, lengths[i], want);
		for (size_t cut = 0; cut <= lengths[i]; cut++) {
			struct blake3 h;

			blake3_init(&h);
			blake3_update(&h, input, cut);
			blake3_update(&h, input + cut, lengths[i] - cut);
			blake3_final(&h, got);
			assert_memory_equal(got, want, sizeof want);
		}
	}
}

static void split_in_equal_pieces(void **state) {
	static const size_t pieces[] = {1, 2, 3, 7, 63, 64, 65, 127, 128, 1000, 1023, 1024, 1025};
	uint8_t want[BLAKE3_BYTES], got[BLAKE3_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		hash(input, lengths[i], want);
		for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
			struct blake3 h;

			blake3_init(&h);
			for (size_t at = 0; at < lengths[i]; at += pieces[k]) {
				size_t left = lengths[i] - at;

				blake3_update(&h, input + at, left < pieces[k] ? left : pieces[k]);
				blake3_update(&h, NULL, 0);
			}
			blake3_final(&h, got);
			assert_memory_equal(got, want, sizeof want);
		}
	}
}

static void any_alignment(void **state) {
	static uint8_t moved[1025 + 8];
	uint8_t want[BLAKE3_BYTES], got[BLAKE3_BYTES];

	(void)state;
	hash(input, 1025, want);
	for (size_t at = 0; at < 8; at++) {
		memcpy(moved + at, input, 1025);
		hash(moved + at, 1025, got);
		assert_memory_equal(got, want, sizeof want);
	}
}

static void a_state_can_be_used_again(void **state) {
	struct blake3 h;
	uint8_t want[BLAKE3_BYTES], got[BLAKE3_BYTES];

	(void)state;
	hash(input, 100, want);
	memset(&h, 0xff, sizeof h);
	for (int i = 0; i < 2; i++) {
		blake3_init(&h);
		blake3_update(&h, input, 100);
		blake3_final(&h, got);
		assert_memory_equal(got, want, sizeof want);
		blake3_init(&h);
		blake3_update(&h, input, 5000);
		blake3_final(&h, got);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(official_vectors),
		cmocka_unit_test(split_in_two_anywhere),
		cmocka_unit_test(split_in_equal_pieces),
		cmocka_unit_test(any_alignment),
		cmocka_unit_test(a_state_can_be_used_again),
	};

	return cmocka_run_group_tests(tests, fill_input, NULL);
}
