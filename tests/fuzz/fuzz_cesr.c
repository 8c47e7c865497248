/* fuzz_cesr.c: fuzzes how streams are cut into messages, attachments and primitives. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <sodium.h>

#include "base64.h"
#include "cesr.h"
#include "fuzz.h"

/* Reads attachments to their end, in no more steps than bytes. */
static enum cesr_step read_items(struct span *bytes) {
	struct cesr_reader reader;
	struct cesr_item item;
	struct err err = {0};
	enum cesr_step step;
	size_t steps = 0;

	cesr_reader_init(&reader, *bytes);
	while ((step = cesr_next(&reader, &item, &err)) == CESR_ITEM)
		assert(++steps <= bytes->n);
	assert(reader.rest.n <= bytes->n);
	assert(step == CESR_END || err.text[0]);
	*bytes = reader.rest;
	return step;
}

static enum cesr_step read_stream(struct span stream) {
	struct cesr_message msg;
	struct err err = {0};
	enum cesr_step step;
	struct span before = stream;

	for (; (step = cesr_message(&stream, &msg, &err)) == CESR_ITEM; before = stream) {
		assert(msg.body.p == before.p && msg.body.n > 0);
		assert(msg.attachments.n == 0 || msg.attachments.p == msg.body.p + msg.body.n);
		assert(msg.body.n + msg.attachments.n + stream.n == before.n);
		assert(read_items(&msg.attachments) == CESR_END && msg.attachments.n == 0);
	}
	assert(step == CESR_END || err.text[0]);
	return step;
}

/* One text for each value: what is read is written back the same. */
static void check_canonical(struct span text) {
	static const char codes[] = {CESR_ED25519N, CESR_X25519, CESR_ED25519, CESR_BLAKE3};
	char back[CESR_TEXT], key[WG_KEY_TEXT];
	uint8_t raw[CESR_RAW];

	for (size_t i = 0; i < sizeof codes; i++)
		if (cesr_decode(text, codes[i], raw))
			assert(span_is(text, cesr_encode(codes[i], raw, back)));
	if (wg_key_decode((const char *)text.p, text.n, raw)) {
		wg_key_encode(raw, key);
		assert(span_is(text, key));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span all = span_of(data, size), items = all;
	enum cesr_step whole = read_stream(all);

	/* whatever is cut off a good stream, it is cut short and not bad */
	if (whole == CESR_END && size > 0)
		assert(read_stream(span_cut(all, 0, size - 1 - data[size / 2] % size)) != CESR_BAD);
	read_items(&items);
	for (size_t at = 0; at < size && at < 8; at++)
		check_canonical(span_cut(all, at * CESR_CHARS, CESR_CHARS));
	return 0;
}
