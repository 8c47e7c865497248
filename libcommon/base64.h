/* base64.h: base64 of keys, in time that does not depend on the bytes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_BASE64_H
#define VERIMESH_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WG_KEY_BYTES 32
#define WG_KEY_TEXT 45 /* 44 characters and a NUL */

/* RFC 4648 section 5 (URL-safe alphabet), no padding: n bytes, a multiple of 3, become
 * 4 * n / 3 characters at text, without a NUL. */
void base64url_encode(const uint8_t *raw, size_t n, char *text);

/* The reverse: n characters, a multiple of 4. False on any other character. */
bool base64url_decode(const char *text, size_t n, uint8_t *raw);

/* A WireGuard key as `wg` prints it: standard alphabet, 43 characters and "=". */
void wg_key_encode(const uint8_t key[static WG_KEY_BYTES], char text[static WG_KEY_TEXT]);

/* n characters of text; false unless they are the one canonical text of a key. */
bool wg_key_decode(const char *text, size_t n, uint8_t key[static WG_KEY_BYTES]);

#endif
