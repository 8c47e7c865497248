/* bytes.h: inputs of tests in memory of exactly their size, so that a read past the end shows. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_BYTES_H
#define VERIMESH_TEST_BYTES_H

#include <stdio.h>
#include <stdlib.h>

#include "span.h"

/* A copy of n bytes with nothing behind it; bytes_free it. An empty one has no memory at all. */
static inline struct span bytes_copy(const void *p, size_t n) {
	uint8_t *copy = n ? malloc(n) : NULL;

	if (n && !copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	return span_of(copy, n);
}

static inline void bytes_free(struct span s) {
	free((void *)(uintptr_t)s.p);
}

/* A file of tests/vectors whole; a missing one ends the test program. */
static inline struct span bytes_of_file(const char *path) {
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		abort();
	}
	n = fread(buf, 1, sizeof buf, f);
	fclose(f);
	return bytes_copy(buf, n);
}

#endif
