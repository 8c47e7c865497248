/* array.h: arrays that grow, at amortised constant cost an element. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ARRAY_H
#define VERIMESH_ARRAY_H

#include <stddef.h>
#include <stdlib.h>

/* Makes room for element n of a malloc'd array of *size elements of so many bytes. Returns the array, which
 * may have moved; NULL without memory: then it stays as it was. */
static inline void *array_grow(void *items, size_t *size, size_t n, size_t bytes) {
	size_t wanted = n ? 2 * n : 4;
	void *grown;

	if (n < *size)
		return items;
	grown = reallocarray(items, wanted, bytes);
	if (grown)
		*size = wanted;
	return grown;
}

#endif
