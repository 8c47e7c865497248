/* base64.h: the text of a WireGuard key, in time that does not depend on the bytes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_BASE64_H
#define VERIMESH_BASE64_H

#include <stdint.h>

#define WG_KEY_BYTES 32
#define WG_KEY_TEXT 45 /* 44 characters and a NUL */

/* A WireGuard key as `wg` prints it. The modules need this without libsodium; the reverse is
 * wg_key_decode in cesr.h. */
void wg_key_encode(const uint8_t key[static WG_KEY_BYTES], char text[static WG_KEY_TEXT]);

#endif
