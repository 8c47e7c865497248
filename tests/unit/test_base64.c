/* test_base64.c: WireGuard keys as text, against libsodium and to the last bit. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sodium.h>
#include <cmocka.h>

#include "base64.h"
#include "bytes.h"
#include "cesr.h"

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* The same bytes in every run. */
static void random_bytes(uint8_t *p, size_t n, uint8_t number) {
	uint8_t seed[randombytes_SEEDBYTES] = {number};

	randombytes_buf_deterministic(p, n, seed);
}

static void keys_are_written_as_libsodium_does(void **state) {
	(void)state;
	for (uint8_t round = 0; round < 200; round++) {
		uint8_t key[WG_KEY_BYTES], back[WG_KEY_BYTES];
		char want[WG_KEY_TEXT], got[WG_KEY_TEXT];

		random_bytes(key, sizeof key, round);
		sodium_bin2base64(want, sizeof want, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
		wg_key_encode(key, got);
		assert_string_equal(got, want);
		assert_true(wg_key_decode(got, 44, back));
		assert_memory_equal(back, key, sizeof key);
	}
}

/* Each character of the alphabet comes. */
static void every_sextet_has_its_character(void **state) {
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (unsigned v = 0; v < 64; v++) {
		uint8_t key[WG_KEY_BYTES] = {(uint8_t)(v << 2)};
		char text[WG_KEY_TEXT];

		wg_key_encode(key, text);
		assert_int_equal(text[0], alphabet[v]);
	}
}

/* Only other texts of right form are taken, each as another key. */
static void one_text_for_each_key(void **state) {
	uint8_t key[WG_KEY_BYTES], got[WG_KEY_BYTES];
	char text[WG_KEY_TEXT], again[WG_KEY_TEXT];
	int taken = 0;

	(void)state;
	random_bytes(key, sizeof key, 7);
	for (size_t at = 0; at < 44; at++)
		for (int c = 0; c < 256; c++) {
			struct span exact;

			wg_key_encode(key, text);
			text[at] = (char)c;
			exact = bytes_copy(text, 44);
			if (wg_key_decode((const char *)exact.p, 44, got)) {
				wg_key_encode(got, again);
				assert_memory_equal(again, text, 44);
				taken++;
			}
			bytes_free(exact);
		}
	/* All characters; of the last before '=' a quarter, for two pad bits; '='. */
	assert_int_equal(taken, 42 * 64 + 16 + 1);
}

static void only_44_characters_are_a_key(void **state) {
	static const char text[] = "hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=A===";
	uint8_t key[WG_KEY_BYTES];

	(void)state;
	for (size_t n = 0; n < sizeof text; n++)
		assert_int_equal(wg_key_decode(text, n, key), n == 44);
	assert_false(wg_key_decode("hu29hnQZTzZEqYg_MN0mHVKXzr7LXL4-p9grKGJMgz8=", 44, key));
	assert_false(wg_key_decode("hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8", 43, key));
	assert_true(wg_key_decode(text, 44, key));
	assert_int_equal(key[0], 0x86);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_written_as_libsodium_does),
		cmocka_unit_test(every_sextet_has_its_character),
		cmocka_unit_test(one_text_for_each_key),
		cmocka_unit_test(only_44_characters_are_a_key),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
