/* mend.h: makes bent messages whole again: sizes, digests and signatures, so that what was bent is
 * looked at, and not only that it was. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_FUZZ_MEND_H
#define VERIMESH_FUZZ_MEND_H

#include <stdio.h>
#include <stdlib.h>

#include "builder.h"
#include "event.h"

#define VERSION_SIZE 6 /* digits of a body's size */
#define VERSION_AT 16  /* where they stand */
#define SIG_TEXT 86    /* characters of a signature behind those of its code */

/* Gives a body its true size and its SAID, `i` too where it was the same; not a receipt's, which is
 * another event's. Returns where the SAID stands, NULL when there is none. old gets the one before. */
static inline char *mend_body_from(uint8_t *body, size_t n, char old[static CESR_TEXT]) {
	char *said = n < 24 ? NULL : memmem(body, n, "\"d\":\"", 5), *aid;
	size_t left;

	if (!said)
		return NULL;
	said += 5;
	left = n - (size_t)(said - (char *)body);
	if (left < CESR_CHARS || memmem(body, n, "\"t\":\"rct\"", 9))
		return NULL;
	memcpy(old, said, CESR_CHARS);
	old[CESR_CHARS] = 0;
	aid = said + CESR_CHARS + strlen("\",\"i\":\"");
	if (left >= (size_t)(aid - said) + CESR_CHARS && memcmp(aid, old, CESR_CHARS) == 0)
		memcpy(aid, EVENT_BLANK_SAID, CESR_CHARS);
	memcpy(said, EVENT_BLANK_SAID, CESR_CHARS);
	event_fill((char *)body, n);
	return said;
}

static inline void mend_body(uint8_t *body, size_t n) {
	char old[CESR_TEXT];

	mend_body_from(body, n, old);
}

/* ---- whole streams, of identities that builder.h makes ---- */

#define MEND_NAMES 4 /* identities, of this many keys in this many rounds */
#define MEND_ROUNDS 5
#define MEND_NUMBERS 3
#define MEND_WITNESSES 8
#define MEND_KEYS (MEND_NAMES * MEND_ROUNDS * MEND_NUMBERS + MEND_WITNESSES)

static const char *const mend_names[MEND_NAMES] = {"one", "two", "boss", "del"};

/* All keys that there are; NULL when this is none of them. */
static inline const struct key *mend_key(const uint8_t pub[static CESR_RAW]) {
	static struct key keys[MEND_KEYS];
	static size_t n;

	for (size_t i = n; i < MEND_KEYS - MEND_WITNESSES; i++)
		keys[n++] = key_of(mend_names[i % MEND_NAMES], (unsigned)(i / MEND_NAMES % MEND_ROUNDS),
			(unsigned)(i / MEND_NAMES / MEND_ROUNDS));
	while (n < MEND_KEYS) {
		keys[n] = key_of("witness", 0, (unsigned)(MEND_KEYS - n - 1));
		n++;
	}
	for (size_t i = 0; i < MEND_KEYS; i++)
		if (memcmp(keys[i].pub, pub, CESR_RAW) == 0)
			return &keys[i];
	return NULL;
}

/* The key at this place of a list. */
static inline const struct key *mend_listed(struct span list, size_t index) {
	uint8_t raw[CESR_RAW];
	struct span text;

	for (size_t i = 0; event_next_text(&list, &text); i++)
		if (i == index)
			return text.n && cesr_decode(text, (char)text.p[0], raw) ? mend_key(raw) : NULL;
	return NULL;
}

struct mend_message {
	struct cesr_message msg;
	struct event event;
};

#define MEND_MESSAGES 64

static inline size_t mend_split(uint8_t *data, size_t size, struct mend_message *messages) {
	struct span stream = span_of(data, size);
	size_t n = 0;

	while (n < MEND_MESSAGES && cesr_message(&stream, &messages[n].msg, NULL) == CESR_ITEM) {
		event_parse(messages[n].msg.body, &messages[n].event, NULL);
		n++;
	}
	return n;
}

/* Every SAID anew, and wherever it is named. */
static inline void mend_saids(uint8_t *data, size_t size) {
	struct span stream = span_of(data, size);
	struct cesr_message msg;
	char old[CESR_TEXT];

	while (cesr_message(&stream, &msg, NULL) == CESR_ITEM) {
		char *said = mend_body_from(data + (msg.body.p - data), msg.body.n, old), *named;

		if (!said || memcmp(said, old, CESR_CHARS) == 0)
			continue;
		while ((named = memmem(data, size, old, CESR_CHARS)))
			memcpy(named, said, CESR_CHARS);
	}
}

/* Signs message number `at` anew, with the keys that its own event lists, or the last one of its log. */
static inline void mend_signatures(uint8_t *data, const struct mend_message *messages, size_t at) {
	const struct mend_message *m = &messages[at], *signed_event = m;
	struct span keys = m->event.keys;
	struct cesr_reader reader;
	struct cesr_item item;

	for (size_t i = at; i-- > 0;) {
		const struct event *other = &messages[i].event;

		if (!keys.p && span_eq(other->aid, m->event.aid))
			keys = other->keys;
		if (m->event.ilk == EVENT_RCT && span_eq(other->said, m->event.said))
			signed_event = &messages[i];
	}
	cesr_reader_init(&reader, m->msg.attachments);
	while (cesr_next(&reader, &item, NULL) == CESR_ITEM) {
		const struct key *key = NULL;
		struct key witness;
		uint8_t sig[crypto_sign_BYTES];
		char text[PRIMITIVE];

		if (item.kind == CESR_CONTROLLER_SIG)
			key = mend_listed(keys, item.index);
		else if (item.kind == CESR_COUPLE)
			key = mend_key(item.key);
		else if (item.kind == CESR_WITNESS_SIG && item.index < MEND_WITNESSES) {
			witness = key_of("witness", 0, item.index);
			key = &witness;
		}
		if (!key)
			continue;
		crypto_sign_detached(
			sig, NULL, signed_event->msg.body.p, signed_event->msg.body.n, key->secret);
		primitive("0B", sig, sizeof sig, text);
		memcpy(data + (reader.rest.p - data) - SIG_TEXT, text + 2, SIG_TEXT);
	}
}

/* A seal names an event that stands behind it, whose SAID changes first: chains of such are short. */
#define MEND_PASSES 3

static inline void mend_stream(uint8_t *data, size_t size) {
	struct mend_message messages[MEND_MESSAGES];
	size_t n;

	for (int i = 0; i < MEND_PASSES; i++)
		mend_saids(data, size);
	n = mend_split(data, size, messages);
	for (size_t i = 0; i < n; i++)
		mend_signatures(data, messages, i);
}

#endif
