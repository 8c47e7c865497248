/* vectors.h: the logs of tests/vectors/kel, one after the other. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_VECTORS_H
#define VERIMESH_TEST_VECTORS_H

#include <glob.h>

#include "bytes.h"

/* Shows each to f, in memory of exactly its size. Returns how many there are. */
static inline size_t each_vector(void (*f)(const char *name, struct span stream)) {
	glob_t found;
	size_t n;

	if (glob("tests/vectors/kel/*/*.cesr", 0, NULL, &found) != 0)
		abort();
	n = found.gl_pathc;
	for (size_t i = 0; i < n; i++) {
		struct span stream = bytes_of_file(found.gl_pathv[i]);

		f(found.gl_pathv[i], stream);
		bytes_free(stream);
	}
	globfree(&found);
	return n;
}

#endif
