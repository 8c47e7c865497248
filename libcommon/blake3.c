/* blake3.c: BLAKE3-256 in portable C, one block at a time; see blake3.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "blake3.h"

#define BLOCK_BYTES 64
#define CHUNK_BLOCKS 16

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

static const uint32_t iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static inline uint32_t rotate(uint32_t x, unsigned n) {
	return x >> n | x << (32 - n);
}

static inline __attribute__((always_inline)) void mix(
	uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y) {
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 7);
}

/* The words of a round in the order of its permutation: constants, so that the compiler can keep
 * the whole state in registers. */
#define ROUND(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
	do {                                                  \
		mix(v, 0, 4, 8, 12, w[a], w[b]);              \
		mix(v, 1, 5, 9, 13, w[c], w[d]);              \
		mix(v, 2, 6, 10, 14, w[e], w[f]);             \
		mix(v, 3, 7, 11, 15, w[g], w[h]);             \
		mix(v, 0, 5, 10, 15, w[i], w[j]);             \
		mix(v, 1, 6, 11, 12, w[k], w[l]);             \
		mix(v, 2, 7, 8, 13, w[m], w[n]);              \
		mix(v, 3, 4, 9, 14, w[o], w[p]);              \
	} while (0)

static void compress(uint32_t cv[8], const uint32_t w[16], uint64_t counter, uint32_t len, uint32_t flags) {
	uint32_t v[16] = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7], iv[0], iv[1], iv[2], iv[3],
		(uint32_t)counter, (uint32_t)(counter >> 32), len, flags};

	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
	ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1);
	ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6);
	ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4);
	ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7);
	ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13);
	for (int i = 0; i < 8; i++)
		cv[i] = v[i] ^ v[i + 8];
}

/* Takes the block that stands in h into the chaining value of its chunk. */
static void take_block(struct blake3 *h, uint32_t flags) {
	uint32_t w[16];

	memset(h->block + h->block_len, 0, BLOCK_BYTES - h->block_len);
	for (int i = 0; i < 16; i++) {
		const uint8_t *b = h->block + 4 * i;

		w[i] = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	}
	compress(h->cv, w, h->chunks, h->block_len, flags | (h->blocks == 0 ? CHUNK_START : 0));
	h->blocks++;
	h->block_len = 0;
}

/* Joins the subtree on top of the stack with the one in h->cv. */
static void take_parent(struct blake3 *h, uint32_t flags) {
	uint32_t w[16];

	memcpy(w, h->stack[--h->depth], sizeof h->cv);
	memcpy(w + 8, h->cv, sizeof h->cv);
	memcpy(h->cv, iv, sizeof iv);
	compress(h->cv, w, 0, BLOCK_BYTES, PARENT | flags);
}

void blake3_init(struct blake3 *h) {
	/* The stack, most of the state, is written before it is read. */
	memcpy(h->cv, iv, sizeof iv);
	h->chunks = 0;
	h->block_len = h->blocks = h->depth = 0;
}

void blake3_update(struct blake3 *h, const void *data, size_t n) {
	const uint8_t *p = data;

	while (n > 0) {
		size_t room = BLOCK_BYTES - h->block_len, part = n < room ? n : room;

		/* A full block waits until more comes: the last one is hashed differently. */
		if (room == 0) {
			take_block(h, h->blocks == CHUNK_BLOCKS - 1 ? CHUNK_END : 0);
			if (h->blocks == CHUNK_BLOCKS) {
				h->blocks = 0;
				for (uint64_t done = ++h->chunks; done % 2 == 0; done /= 2)
					take_parent(h, 0);
				memcpy(h->stack[h->depth++], h->cv, sizeof h->cv);
				memcpy(h->cv, iv, sizeof iv);
			}
			continue;
		}
		memcpy(h->block + h->block_len, p, part);
		h->block_len = (uint8_t)(h->block_len + part);
		p += part;
		n -= part;
	}
}

void blake3_final(struct blake3 *h, uint8_t out[static BLAKE3_BYTES]) {
	take_block(h, CHUNK_END | (h->depth == 0 ? ROOT : 0));
	while (h->depth > 0)
		take_parent(h, h->depth == 1 ? ROOT : 0);
	for (int i = 0; i < BLAKE3_BYTES; i++)
		out[i] = (uint8_t)(h->cv[i / 4] >> i % 4 * 8);
}
