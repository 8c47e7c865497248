/* blake3.h: BLAKE3-256, plain hashing only; the digest of KERI (facts: CESR code E). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_BLAKE3_H
#define VERIMESH_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE3_BYTES 32

/* State of a hash under way; no secret is ever hashed with it, so nothing needs wiping. */
struct blake3 {
	uint32_t cv[8];	       /* chaining value of the chunk under way */
	uint32_t stack[54][8]; /* chaining values of finished subtrees, one per bit of chunks */
	uint64_t chunks;       /* chunks finished */
	uint8_t block[64];
	uint8_t block_len; /* bytes in block */
	uint8_t blocks;	   /* blocks of this chunk compressed so far */
	uint8_t depth;	   /* entries on the stack */
};

void blake3_init(struct blake3 *h);
void blake3_update(struct blake3 *h, const void *data, size_t n);
/* May be called once, after which h must be initialised again. */
void blake3_final(struct blake3 *h, uint8_t out[static BLAKE3_BYTES]);

#endif
