/* array.h: arrays that grow, at amortised constant cost an element. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ARRAY_H
#define VERIMESH_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for element n of a malloc'd array of n elements, which only this file's functions make grow:
 * the room doubles at each power of two. Returns the array, which may have moved; NULL without memory: then
 * it stays as it was. */
static inline void *array_room(void *items, size_t n, size_t bytes) {
	return n & (n - 1) ? items : reallocarray(items, n ? 2 * n : 1, bytes);
}

/* Puts an element behind the *n of the array *(T **)array. False: out of memory. */
static inline bool array_append(void *array, size_t *n, const void *element, size_t bytes) {
	char *items;

	memcpy(&items, array, sizeof items);
	items = array_room(items, *n, bytes);
	if (!items)
		return false;
	memcpy(array, &items, sizeof items);
	memcpy(items + (*n)++ * bytes, element, bytes);
	return true;
}

/* Puts m bytes behind the n of a malloc'd buffer that only this function makes grow. False: out of memory.
 */
static inline bool array_bytes(uint8_t **bytes, size_t *n, const void *more, size_t m) {
	size_t had = *bytes ? 64 : 0, needs = 64;
	uint8_t *grown;

	/* the room is the power of two above what is there */
	while (had && had <= *n)
		had *= 2;
	while (needs <= *n + m)
		needs *= 2;
	if (needs > had) {
		grown = realloc(*bytes, needs);
		if (!grown)
			return false;
		*bytes = grown;
	}
	if (m)
		memcpy(*bytes + *n, more, m);
	*n += m;
	return true;
}

#endif
