/* base64.c: base64 without a branch or a table look-up that depends on the data; see base64.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base64.h"

/* The two characters in which the alphabets differ: those of 62 and 63. */
struct alphabet {
	unsigned plus, slash;
};

static const struct alphabet url = {'-', '_'}, standard = {'+', '/'};

/* All ones below bit 24 if lo <= c <= hi, else 0; all of them at most 255. */
static unsigned within(unsigned c, unsigned lo, unsigned hi) {
	return ((lo - 1 - c) & (c - hi - 1)) >> 8;
}

static char to_char(unsigned v, const struct alphabet *a) {
	return (char)((within(v, 0, 25) & (v + 'A')) | (within(v, 26, 51) & (v - 26 + 'a')) |
		      (within(v, 52, 61) & (v - 52 + '0')) | (within(v, 62, 62) & a->plus) |
		      (within(v, 63, 63) & a->slash));
}

/* More than 63 for a character that is not in the alphabet. */
static unsigned from_char(char text, const struct alphabet *a) {
	unsigned c = (unsigned char)text;

	/* Each value plus one, so that nothing at all becomes the largest number. */
	return ((within(c, 'A', 'Z') & (c - 'A' + 1)) | (within(c, 'a', 'z') & (c - 'a' + 27)) |
		       (within(c, '0', '9') & (c - '0' + 53)) | (within(c, a->plus, a->plus) & 63) |
		       (within(c, a->slash, a->slash) & 64)) -
	       1;
}

static void encode(const uint8_t *raw, size_t n, char *text, const struct alphabet *a) {
	for (; n >= 3; n -= 3, raw += 3, text += 4) {
		unsigned bits = (unsigned)raw[0] << 16 | (unsigned)raw[1] << 8 | raw[2];

		for (int i = 0; i < 4; i++)
			text[i] = to_char(bits >> (18 - 6 * i) & 63, a);
	}
}

static bool decode(const char *text, size_t n, uint8_t *raw, const struct alphabet *a) {
	unsigned bad = n % 4;

	for (; n >= 4; n -= 4, text += 4, raw += 3) {
		unsigned bits = 0;

		for (int i = 0; i < 4; i++) {
			unsigned v = from_char(text[i], a);

			bad |= v >> 6;
			bits = bits << 6 | (v & 63);
		}
		raw[0] = (uint8_t)(bits >> 16);
		raw[1] = (uint8_t)(bits >> 8);
		raw[2] = (uint8_t)bits;
	}
	return bad == 0;
}

void base64url_encode(const uint8_t *raw, size_t n, char *text) {
	encode(raw, n, text, &url);
}

bool base64url_decode(const char *text, size_t n, uint8_t *raw) {
	return decode(text, n, raw, &url);
}

void wg_key_encode(const uint8_t key[static WG_KEY_BYTES], char text[static WG_KEY_TEXT]) {
	uint8_t padded[WG_KEY_BYTES + 1] = {0};

	memcpy(padded, key, WG_KEY_BYTES);
	encode(padded, sizeof padded, text, &standard);
	text[WG_KEY_TEXT - 2] = '=';
	text[WG_KEY_TEXT - 1] = 0;
	explicit_bzero(padded, sizeof padded);
}

bool wg_key_decode(const char *text, size_t n, uint8_t key[static WG_KEY_BYTES]) {
	char chars[WG_KEY_TEXT - 1];
	uint8_t padded[WG_KEY_BYTES + 1];
	bool good;

	if (n != sizeof chars || text[n - 1] != '=')
		return false;
	memcpy(chars, text, n);
	chars[n - 1] = 'A';
	good = decode(chars, n, padded, &standard) && padded[WG_KEY_BYTES] == 0;
	if (good)
		memcpy(key, padded, WG_KEY_BYTES);
	explicit_bzero(chars, sizeof chars);
	explicit_bzero(padded, sizeof padded);
	return good;
}
