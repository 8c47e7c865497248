/* tree.h: search trees of what has a SAID or an AID as its name, on tsearch(3). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TREE_H
#define VERIMESH_TREE_H

#include <search.h>
#include <stdbool.h>
#include <string.h>

#include "cesr.h"
#include "span.h"

/* Each element starts with its name: CESR_CHARS characters and a NUL. */
static inline int tree_compare(const void *a, const void *b) {
	return memcmp(a, b, CESR_TEXT);
}

/* NULL when it is not there. */
static inline void *tree_find(void *const *tree, struct span name) {
	char key[CESR_TEXT];
	void **node = NULL;

	if (span_copy(name, key, sizeof key) && name.n == CESR_CHARS)
		node = tfind(key, tree, tree_compare);
	return node ? *node : NULL;
}

/* An element whose name is not there yet. False: out of memory. */
static inline bool tree_add(void **tree, void *element) {
	return tsearch(element, tree, tree_compare);
}

#endif
