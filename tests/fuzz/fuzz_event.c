/* fuzz_event.c: fuzzes how one message body is read: key events, receipts, registry events. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>

#include "event.h"
#include "fuzz.h"
#include "mend.h"

/* A field lies in the body, or is absent. */
static void check_inside(const struct event *event, struct span field) {
	const uint8_t *begin = event->body.p, *end = begin + event->body.n;

	assert(field.n == 0 || (field.p >= begin && field.p + field.n <= end));
}

static void check_good(const struct event *event) {
	const struct span fields[] = {event->said, event->aid, event->prior, event->delegator,
		event->registry, event->kt, event->nt, event->bt, event->keys, event->next, event->witnesses,
		event->cuts, event->traits, event->seals};
	const struct span lists[] = {event->keys, event->witnesses, event->cuts, event->traits};
	struct span rest, text;
	struct seal seal;

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		check_inside(event, fields[i]);
	assert(event->said.n == CESR_CHARS && event->aid.n == CESR_CHARS && event->sn <= INT64_MAX);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		rest = lists[i];
		while (event_next_text(&rest, &text))
			check_inside(event, text);
		assert(rest.n == 0);
	}
	rest = event->seals;
	while (event_next_seal(&rest, &seal))
		assert(rest.n < event->seals.n);
}

static void check_body(struct span body) {
	struct err err = {0};
	struct event event;

	if (event_parse(body, &event, &err))
		check_good(&event);
	else
		assert(err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span stream = span_of(data, size);
	struct cesr_message msg;
	uint8_t *copy;

	/* a stream's first body, or all of it */
	if (cesr_message(&stream, &msg, NULL) == CESR_BAD || msg.body.n == 0)
		msg.body = span_of(data, size);
	check_body(msg.body);
	copy = malloc(msg.body.n + 1);
	assert(copy);
	memcpy(copy, msg.body.p, msg.body.n);
	mend_body(copy, msg.body.n);
	check_body(span_of(copy, msg.body.n));
	free(copy);
	return 0;
}
