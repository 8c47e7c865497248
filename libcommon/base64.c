/* base64.c: base64 without a branch or a table look-up that depends on the data; see base64.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>

#include "base64.h"

/* All ones below bit 24 if lo <= v <= hi, else 0; all of them at most 255. */
static unsigned within(unsigned v, unsigned lo, unsigned hi) {
	return ((lo - 1 - v) & (v - hi - 1)) >> 8;
}

static char to_char(unsigned v) {
	return (char)((within(v, 0, 25) & (v + 'A')) | (within(v, 26, 51) & (v - 26 + 'a')) |
		      (within(v, 52, 61) & (v - 52 + '0')) | (within(v, 62, 62) & '+') |
		      (within(v, 63, 63) & '/'));
}

void wg_key_encode(const uint8_t key[static WG_KEY_BYTES], char text[static WG_KEY_TEXT]) {
	size_t i = 0;

	for (; i < WG_KEY_TEXT - 2; i++) {
		const uint8_t *p = key + i * 6 / 8;
		unsigned next = p + 1 < key + WG_KEY_BYTES ? p[1] : 0;

		text[i] = to_char(((unsigned)*p << 8 | next) >> (10 - i * 6 % 8) & 63);
	}
	text[i++] = '=';
	text[i] = 0;
}
