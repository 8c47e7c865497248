/* card_builder.h: on top of builder.h, cards, registry events, and the seals that anchor them. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_CARD_BUILDER_H
#define VERIMESH_TEST_CARD_BUILDER_H

#include "builder.h"
#include "card.h"
#include "event.h"

#define SEAL 160 /* a seal of DESIGN.md 5.2, and a NUL */

/* Appends a body, its size and SAID filled in; said gets that. NULL: nowhere. */
__attribute__((format(printf, 3, 4))) static inline void add_body(
	struct text *to, char said[static SAID], const char *fmt, ...) {
	struct text body = {0};
	va_list args;

	va_start(args, fmt);
	text_args(&body, fmt, args);
	va_end(args);
	event_fill(body.p, body.n);
	body_field(&body, "d", said);
	if (to)
		text_join(to, &body);
	text_free(&body);
}

/* A card: registry NULL or its SAID; attributes: what stands behind `dt` in `a`, from `host` on. */
static inline void add_card(struct text *to, const struct id *issuer, const char *registry,
	const char *attributes, char said[static SAID]) {
	add_body(to, said,
		"{\"v\":\"ACDC10JSON000000_\",\"d\":" BLANK ",\"i\":\"%s\",%s%s%s\"s\":\"" CARD_SCHEMA
		"\",\"a\":{\"dt\":\"2026-01-01T00:00:00.000000+00:00\",%s}}",
		issuer->aid, registry ? "\"ri\":\"" : "", registry ? registry : "", registry ? "\"," : "",
		attributes);
}

/* {d} */
static inline char *anchor_seal(const char *card, char text[static SEAL]) {
	snprintf(text, SEAL, "{\"d\":\"%s\"}", card);
	return text;
}

/* {i,s,d} */
static inline char *event_seal(const char *i, const char *s, const char *d, char text[static SEAL]) {
	snprintf(text, SEAL, "{\"i\":\"%s\",\"s\":\"%s\",\"d\":\"%s\"}", i, s, d);
	return text;
}

/* These say an event that has seals, the elements of `a` without its brackets. */
static inline void say_with(struct text *to, struct id *id, struct draft d, const char *seals) {
	struct text list = {0};

	text_add(&list, "[%s]", seals);
	draft_set(&d, "a", list.p);
	text_free(&list);
	say(to, id, d);
}

static inline void incept(struct text *to, struct id *id, const char *seals) {
	say_with(to, id, draft_icp(id), seals);
}

static inline void rotate(struct text *to, struct id *id, const char *seals) {
	say_with(to, id, draft_rot(id), seals);
}

static inline void interact(struct text *to, struct id *id, const char *seals) {
	say_with(to, id, draft_ixn(id, "[]"), seals);
}

/* Anchors a new card in an interaction: the two messages, card last. */
static inline void issue_card(
	struct text *to, struct id *issuer, const char *attributes, char said[static SAID]) {
	char text[SEAL];

	add_card(NULL, issuer, NULL, attributes, said);
	interact(to, issuer, anchor_seal(said, text));
	add_card(to, issuer, NULL, attributes, said);
}

#endif
