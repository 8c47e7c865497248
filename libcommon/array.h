/* array.h: arrays that grow, at amortised constant cost an element. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ARRAY_H
#define VERIMESH_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
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

#endif
