/* test_base64.c: both alphabets, against RFC 4648 and against libsodium. */
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

#define URL sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define STANDARD sodium_base64_VARIANT_ORIGINAL

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* The same bytes in every run. */
static void random_bytes(uint8_t *p, size_t n, uint8_t number) {
	uint8_t seed[randombytes_SEEDBYTES] = {number};

	randombytes_buf_deterministic(p, n, seed);
}

/* What libsodium makes of a text, for ASCII; above it, libsodium 1.0.18 takes the sign of a char
 * for a value, and the right answer is no. */
static bool sodium_decodes(const char *text, size_t n, uint8_t *raw, size_t raw_n, int variant) {
	size_t got = 0;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] > 0x7f)
			return false;
	return sodium_base642bin(raw, raw_n, text, n, NULL, &got, NULL, variant) == 0 && got == raw_n;
}

static void rfc_4648_vectors(void **state) {
	static const struct {
		const char *raw, *text;
	} vectors[] = {
		{"", ""},
		{"foo", "Zm9v"},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "-_-_"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		size_t n = strlen(vectors[i].raw), chars = strlen(vectors[i].text);
		char text[9] = "";
		uint8_t raw[7] = {0};

		base64url_encode((const uint8_t *)vectors[i].raw, n, text);
		assert_string_equal(text, vectors[i].text);
		assert_true(base64url_decode(vectors[i].text, chars, raw));
		assert_memory_equal(raw, vectors[i].raw, n + 1);
	}
}

static void every_sextet_has_its_character(void **state) {
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t raw[48];
	char text[64];

	(void)state;
	assert_true(base64url_decode(alphabet, 64, raw));
	for (size_t i = 0; i < 64; i++) {
		unsigned bits = (unsigned)raw[i * 6 / 8] << 8 | (i < 63 ? raw[i * 6 / 8 + 1] : 0);

		assert_int_equal(bits >> (10 - i * 6 % 8) & 63, i);
	}
	base64url_encode(raw, sizeof raw, text);
	assert_memory_equal(text, alphabet, sizeof text);
}

static void as_libsodium_writes_it(void **state) {
	(void)state;
	for (uint8_t round = 1; round < 200; round++) {
		size_t n = round % 34 * 3, chars = n / 3 * 4;
		uint8_t raw[99], back[99];
		char want[133], got[133] = "";

		random_bytes(raw, n, round);
		sodium_bin2base64(want, sizeof want, raw, n, URL);
		base64url_encode(raw, n, got);
		assert_string_equal(got, want);
		assert_true(base64url_decode(got, chars, back));
		assert_memory_equal(back, raw, n);
	}
}

static void each_byte_at_each_place_as_libsodium(void **state) {
	uint8_t raw[6], want[6], got[6];
	char text[9];

	(void)state;
	random_bytes(raw, sizeof raw, 1);
	for (size_t at = 0; at < 8; at++)
		for (int c = 0; c < 256; c++) {
			struct span exact;
			bool good;

			sodium_bin2base64(text, sizeof text, raw, sizeof raw, URL);
			text[at] = (char)c;
			good = sodium_decodes(text, 8, want, sizeof want, URL);
			exact = bytes_copy(text, 8);
			assert_int_equal(base64url_decode((const char *)exact.p, 8, got), good);
			bytes_free(exact);
			if (good)
				assert_memory_equal(got, want, sizeof want);
		}
}

static void only_whole_quartets(void **state) {
	uint8_t raw[6];

	(void)state;
	for (size_t n = 0; n <= 8; n++)
		assert_int_equal(base64url_decode("Zm9vYmFy", n, raw), n % 4 == 0);
	assert_false(base64url_decode("Zm8=", 4, raw));
}

static void wireguard_keys_as_libsodium(void **state) {
	(void)state;
	for (uint8_t round = 0; round < 200; round++) {
		uint8_t key[WG_KEY_BYTES], back[WG_KEY_BYTES];
		char want[WG_KEY_TEXT], got[WG_KEY_TEXT];

		random_bytes(key, sizeof key, round);
		sodium_bin2base64(want, sizeof want, key, sizeof key, STANDARD);
		wg_key_encode(key, got);
		assert_string_equal(got, want);
		assert_true(wg_key_decode(got, 44, back));
		assert_memory_equal(back, key, sizeof key);
	}
}

/* That includes the last character before '=', of which only a quarter is canonical. */
static void each_byte_at_each_place_of_a_key(void **state) {
	uint8_t key[WG_KEY_BYTES], want[WG_KEY_BYTES], got[WG_KEY_BYTES];
	char text[WG_KEY_TEXT];
	int good_last = 0;

	(void)state;
	random_bytes(key, sizeof key, 7);
	for (size_t at = 0; at < 44; at++)
		for (int c = 0; c < 256; c++) {
			struct span exact;
			bool good;

			sodium_bin2base64(text, sizeof text, key, sizeof key, STANDARD);
			text[at] = (char)c;
			good = sodium_decodes(text, 44, want, sizeof want, STANDARD);
			exact = bytes_copy(text, 44);
			assert_int_equal(wg_key_decode((const char *)exact.p, 44, got), good);
			bytes_free(exact);
			if (good)
				assert_memory_equal(got, want, sizeof want);
			good_last += good && at == 42;
		}
	assert_int_equal(good_last, 16);
}

static void only_44_characters_are_a_key(void **state) {
	static const char text[] = "hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=A===";
	uint8_t key[WG_KEY_BYTES], untouched[WG_KEY_BYTES];

	(void)state;
	memset(key, 0x5a, sizeof key);
	memcpy(untouched, key, sizeof key);
	for (size_t n = 0; n < sizeof text; n++) {
		if (n == 44)
			continue;
		assert_false(wg_key_decode(text, n, key));
		assert_memory_equal(key, untouched, sizeof key);
	}
	assert_false(wg_key_decode("hu29hnQZTzZEqYg_MN0mHVKXzr7LXL4-p9grKGJMgz8=", 44, key));
	assert_memory_equal(key, untouched, sizeof key);
	assert_true(wg_key_decode(text, 44, key));
	assert_int_equal(key[0], 0x86);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_4648_vectors),
		cmocka_unit_test(every_sextet_has_its_character),
		cmocka_unit_test(as_libsodium_writes_it),
		cmocka_unit_test(each_byte_at_each_place_as_libsodium),
		cmocka_unit_test(only_whole_quartets),
		cmocka_unit_test(wireguard_keys_as_libsodium),
		cmocka_unit_test(each_byte_at_each_place_of_a_key),
		cmocka_unit_test(only_44_characters_are_a_key),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
