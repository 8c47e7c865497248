/* chance.h: numbers by chance, from a seed that is printed: with SEED= it is that one again. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_CHANCE_H
#define VERIMESH_TEST_CHANCE_H

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

struct chance {
	uint64_t state;
};

static inline struct chance chance_begin(void) {
	const char *given = getenv("SEED");
	struct chance chance = {given ? strtoull(given, NULL, 10) : randombytes_random()};

	printf("SEED=%" PRIu64 "\n", chance.state);
	return chance;
}

/* From 0 to below n. SplitMix64. */
static inline size_t chance_below(struct chance *chance, size_t n) {
	uint64_t z = chance->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

#endif
