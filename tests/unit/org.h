/* org.h: organisations for tests: key event logs and cards, signed, in the order a test wants. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_ORG_H
#define VERIMESH_TESTS_ORG_H

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "book.h"
#include "card.h"
#include "cesr.h"
#include "event.h"

#define ORG_EVENTS 32

/* Zero-initialised but for its number, it has no log yet. */
struct org {
	unsigned number;       /* says its keys */
	bool basic;	       /* its identifier is its first key, so that its inception can seal a card */
	unsigned keys;	       /* rotations so far */
	unsigned long long sn; /* of the next event */
	char aid[CESR_TEXT];
	char saids[ORG_EVENTS][CESR_TEXT]; /* of its events, by sn */
};

/* A stream under way. Zero-initialised it is empty; free text. */
struct org_stream {
	char *text;
	size_t n;
};

/* NULL: nowhere. */
static inline void org_write(struct org_stream *out, const void *bytes, size_t n) {
	if (!out)
		return;
	out->text = realloc(out->text, out->n + n);
	if (!out->text)
		abort();
	memcpy(out->text + out->n, bytes, n);
	out->n += n;
}

static inline void org_keypair(const struct org *org, unsigned keys,
	uint8_t secret[static crypto_sign_SECRETKEYBYTES], char text[static CESR_TEXT]) {
	uint8_t seed[32] = {(uint8_t)org->number, (uint8_t)(org->number >> 8), (uint8_t)keys};
	uint8_t public[CESR_RAW];

	crypto_sign_seed_keypair(public, secret, seed);
	cesr_encode(CESR_ED25519, public, text);
}

/* Writes a body with its size and SAID filled in; said gets that. */
__attribute__((format(printf, 3, 4))) static inline struct span org_body(
	struct org_stream *out, char said[static CESR_TEXT], const char *fmt, ...) {
	static char text[1 << 17];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text)
		abort();
	event_fill(text, (size_t)n);
	memcpy(said, strstr(text, "\"d\":\"") + 5, CESR_CHARS);
	said[CESR_CHARS] = 0;
	org_write(out, text, (size_t)n);
	return span_of(text, (size_t)n);
}

/* Writes the signature of the keys in force behind the body just written. */
static inline void org_sign(const struct org *org, struct org_stream *out, struct span body) {
	uint8_t secret[crypto_sign_SECRETKEYBYTES], sig[CESR_SIG_RAW];
	char text[CESR_SIG_CHARS + 1], key[CESR_TEXT];

	org_keypair(org, org->keys, secret, key);
	crypto_sign_detached(sig, NULL, body.p, body.n, secret);
	cesr_encode_indexed(0, sig, text);
	org_write(out, "-AAB", 4);
	org_write(out, text, CESR_SIG_CHARS);
}

/* The keys after those in force, as a digest. */
static inline const char *org_next(const struct org *org, unsigned keys, char text[static CESR_TEXT]) {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	char key[CESR_TEXT];

	org_keypair(org, keys, secret, key);
	return cesr_digest(span_str(key), text);
}

/* Inception; seals: what stands in `a`, without the brackets. */
static inline void org_incept(struct org *org, struct org_stream *out, const char *seals) {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	char key[CESR_TEXT], next[CESR_TEXT];
	struct span body;

	org_keypair(org, 0, secret, key);
	memcpy(org->aid, key, sizeof org->aid);
	body = org_body(out, org->saids[0],
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"0\","
		"\"kt\":\"1\",\"k\":[\"%s\"],\"nt\":\"1\",\"n\":[\"%s\"],\"bt\":\"0\",\"b\":[],"
		"\"c\":[],\"a\":[%s]}",
		EVENT_BLANK_SAID, org->basic ? key : EVENT_BLANK_SAID, key, org_next(org, 1, next), seals);
	org_sign(org, out, body);
	if (!org->basic)
		memcpy(org->aid, org->saids[0], sizeof org->aid);
	org->sn = 1;
}

/* Interaction. */
static inline void org_seal(struct org *org, struct org_stream *out, const char *seals) {
	struct span body = org_body(out, org->saids[org->sn],
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"ixn\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%"
		"llx\",\"p\":\"%s\",\"a\":[%s]}",
		EVENT_BLANK_SAID, org->aid, org->sn, org->saids[org->sn - 1], seals);

	org_sign(org, out, body);
	org->sn++;
}

/* Rotation; at an sn of before it supersedes the interactions from there on. */
static inline void org_rotate(
	struct org *org, struct org_stream *out, unsigned long long sn, const char *seals) {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	char key[CESR_TEXT], next[CESR_TEXT];
	struct span body;

	org->keys++;
	org_keypair(org, org->keys, secret, key);
	body = org_body(out, org->saids[sn],
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"rot\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%"
		"llx\",\"p\":\"%s\",\"kt\":\"1\",\"k\":[\"%s\"],\"nt\":\"1\",\"n\":[\"%s\"],"
		"\"bt\":\"0\",\"br\":[],\"ba\":[],\"a\":[%s]}",
		EVENT_BLANK_SAID, org->aid, sn, org->saids[sn - 1], key, org_next(org, org->keys + 1, next),
		seals);
	org_sign(org, out, body);
	org->sn = sn + 1;
}

/* A card: registry NULL or its SAID; attributes: what stands behind `dt` in `a`, from `host` on. */
static inline void org_card(const struct org *org, struct org_stream *out, const char *registry,
	const char *attributes, char said[static CESR_TEXT]) {
	org_body(out, said,
		"{\"v\":\"ACDC10JSON000000_\",\"d\":\"%s\",\"i\":\"%s\",%s%s%s\"s\":\"" CARD_SCHEMA
		"\",\"a\":{\"dt\":\"2026-01-01T00:00:00.000000+00:00\",%s}}",
		EVENT_BLANK_SAID, org->aid, registry ? "\"ri\":\"" : "", registry ? registry : "",
		registry ? "\"," : "", attributes);
}

/* The seals of DESIGN.md 5.2; text has room for one. */
#define ORG_SEAL 160
static inline char *org_anchor(const char *card, char text[static ORG_SEAL]) {
	snprintf(text, ORG_SEAL, "{\"d\":\"%s\"}", card);
	return text;
}

static inline char *org_event_seal(const char *i, const char *s, const char *d, char text[static ORG_SEAL]) {
	snprintf(text, ORG_SEAL, "{\"i\":\"%s\",\"s\":\"%s\",\"d\":\"%s\"}", i, s, d);
	return text;
}

/* Anchors a new card in an interaction: the two messages, card last. */
static inline void org_issue(
	struct org *org, struct org_stream *out, const char *attributes, char said[static CESR_TEXT]) {
	char seal[ORG_SEAL];

	org_card(org, NULL, NULL, attributes, said);
	org_seal(org, out, org_anchor(said, seal));
	org_card(org, out, NULL, attributes, said);
}

/* A tunnel key in CESR, out of one byte. */
static inline char *org_key(uint8_t byte, char text[static CESR_TEXT]) {
	uint8_t raw[CESR_RAW] = {byte, 1};

	return cesr_encode(CESR_X25519, raw, text);
}

#endif
