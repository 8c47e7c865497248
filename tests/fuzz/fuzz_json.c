/* fuzz_json.c: fuzzes the JSON reader: what it takes once it takes again, and in pieces. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>

#include "fuzz.h"
#include "json.h"

static struct span whole_value(struct span text) {
	struct json j;
	struct span value;

	json_init(&j, text);
	value = json_value(&j);
	if (j.error)
		assert(value.n == 0);
	else
		assert(value.n > 0 && value.n + j.rest.n == text.n);
	return value;
}

/* Element by element the reader must find what it found when it passed over the whole. */
static void walk(struct span value) {
	struct json j;

	json_init(&j, value);
	if (json_peek(&j) == '"') {
		assert(json_string(&j).n == value.n - 2);
	} else if (json_peek(&j) == '[') {
		json_open(&j, '[');
		while (json_next(&j, ']'))
			walk(json_value(&j));
	} else {
		json_value(&j);
	}
	assert(json_done(&j));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span value = whole_value(span_of(data, size));

	if (value.n) {
		assert(span_eq(whole_value(value), value));
		walk(value);
	}
	return 0;
}
