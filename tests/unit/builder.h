/* builder.h: makes KERI logs from fixed seeds, right in all but what a test bends. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_BUILDER_H
#define VERIMESH_TEST_BUILDER_H

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blake3.h"
#include "span.h"

/* ---- text ---- */

/* Text that grows, with a NUL behind it. */
struct text {
	char *p;
	size_t n, size;
};

static inline void text_room(struct text *t, size_t n) {
	if (t->n + n + 1 <= t->size)
		return;
	t->size = (t->n + n + 1) * 2;
	t->p = realloc(t->p, t->size);
	if (!t->p)
		abort();
}

/* Not inline: gcc 12 warns of sizes that cannot be. */
__attribute__((noinline, unused)) static void text_bytes(struct text *t, const void *p, size_t n) {
	text_room(t, n);
	if (n)
		memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = 0;
}

__attribute__((format(printf, 2, 0))) static inline void text_args(
	struct text *t, const char *fmt, va_list args) {
	char *more;
	int n = vasprintf(&more, fmt, args);

	if (n < 0)
		abort();
	text_bytes(t, more, (size_t)n);
	free(more);
}

__attribute__((format(printf, 2, 3))) static inline void text_add(struct text *t, const char *fmt, ...) {
	va_list args;

	va_start(args, fmt);
	text_args(t, fmt, args);
	va_end(args);
}

/* more may be t itself. */
static inline void text_join(struct text *t, const struct text *more) {
	text_room(t, more->n);
	text_bytes(t, more->p, more->n);
}

static inline void text_free(struct text *t) {
	free(t->p);
	*t = (struct text){0};
}

static inline struct span text_span(const struct text *t) {
	return span_of(t->p, t->n);
}

/* ---- keys and primitives ---- */

struct key {
	uint8_t pub[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
};

/* The same key in every run. */
static inline struct key key_of(const char *owner, unsigned round, unsigned number) {
	uint8_t seed[crypto_sign_SEEDBYTES];
	char name[64];
	struct key key;

	snprintf(name, sizeof name, "%s/%u/%u", owner, round, number);
	crypto_generichash(seed, sizeof seed, (const uint8_t *)name, strlen(name), NULL, 0);
	crypto_sign_seed_keypair(key.pub, key.secret, seed);
	return key;
}

#define PRIMITIVE 93 /* the longest one, and a NUL */
#define SAID 45

/* CESR by libsodium: zero bytes in front to a multiple of three, and the code, hard or soft, over
 * the characters that are zero by that. */
static inline char *primitive(const char *code, const uint8_t *raw, size_t n, char *text) {
	uint8_t padded[72] = {0};
	size_t lead = (strlen(code) * 6 + 7) / 8;

	while ((lead + n) % 3)
		lead++;
	memcpy(padded + lead, raw, n);
	sodium_bin2base64(
		text, (lead + n) / 3 * 4 + 1, padded, lead + n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	memcpy(text, code, strlen(code));
	return text;
}

static inline char *key_text(const char *code, const struct key *key, char *text) {
	return primitive(code, key->pub, sizeof key->pub, text);
}

static inline char *digest_of(const void *p, size_t n, char *text) {
	struct blake3 h;
	uint8_t raw[BLAKE3_BYTES];

	blake3_init(&h);
	blake3_update(&h, p, n);
	blake3_final(&h, raw);
	return primitive("E", raw, sizeof raw, text);
}

/* The number in n characters of base64. */
static inline char *number_text(unsigned number, size_t n, char *text) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	text[n] = 0;
	while (n-- > 0) {
		text[n] = digits[number % 64];
		number /= 64;
	}
	return text;
}

/* ---- attachments ---- */

static inline void add_counter(struct text *to, char group, unsigned count) {
	char digits[3];

	text_add(to, "-%c%s", group, number_text(count, 2, digits));
}

/* An indexed signature; code A, B, 2A or 2B. */
static inline void add_signature(struct text *to, struct span body, const struct key *key, const char *code,
	unsigned index, unsigned ondex) {
	uint8_t sig[crypto_sign_BYTES];
	char soft[8], one[3], two[3], text[PRIMITIVE];
	bool big = code[0] == '2';

	crypto_sign_detached(sig, NULL, body.p, body.n, key->secret);
	snprintf(soft, sizeof soft, "%s%s%s", code, number_text(index, big ? 2 : 1, one),
		big ? number_text(ondex, 2, two) : "");
	text_add(to, "%s", primitive(soft, sig, sizeof sig, text));
}

/* Without its counter: witness and signature. */
static inline void add_couple(struct text *to, struct span body, const struct key *witness) {
	uint8_t sig[crypto_sign_BYTES];
	char key[PRIMITIVE], text[PRIMITIVE];

	crypto_sign_detached(sig, NULL, body.p, body.n, witness->secret);
	text_add(to, "%s%s", key_text("B", witness, key), primitive("0B", sig, sizeof sig, text));
}

static inline void add_source_seal(struct text *to, uint64_t sn, const char *said) {
	uint8_t raw[16] = {0};
	char text[PRIMITIVE];

	for (size_t i = 0; i < 8; i++)
		raw[15 - i] = (uint8_t)(sn >> 8 * i);
	text_add(to, "-GAB%s%s", primitive("0A", raw, sizeof raw, text), said);
}

/* A frame around what is there; code "-V", "-0V" or "--V". Frees inner. */
static inline void add_frame(struct text *to, const char *code, struct text *inner) {
	char digits[6];

	number_text((unsigned)(inner->n / 4), strlen(code) == 2 ? 2 : 5, digits);
	text_add(to, "%s%s", code, digits);
	text_join(to, inner);
	text_free(inner);
}

/* ---- bodies ---- */

#define VERSION "\"KERI10JSON000000_\""
#define BLANK "\"############################################\""

/* The fields of a body in order, each value as raw JSON. */
struct draft {
	size_t n;
	struct draft_field {
		char name[8];
		struct text value;
	} field[20];
};

static inline size_t draft_find(const struct draft *d, const char *name) {
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->field[i].name, name) == 0)
			return i;
	abort();
}

__attribute__((format(printf, 3, 4))) static inline void draft_add(
	struct draft *d, const char *name, const char *fmt, ...) {
	struct draft_field *field = &d->field[d->n++];
	va_list args;

	*field = (struct draft_field){0};
	snprintf(field->name, sizeof field->name, "%s", name);
	va_start(args, fmt);
	text_args(&field->value, fmt, args);
	va_end(args);
}

static inline void draft_set(struct draft *d, const char *name, const char *raw) {
	struct text *value = &d->field[draft_find(d, name)].value;

	value->n = 0;
	text_bytes(value, raw, strlen(raw));
}

static inline void draft_drop(struct draft *d, size_t at) {
	text_free(&d->field[at].value);
	memmove(&d->field[at], &d->field[at + 1], (--d->n - at) * sizeof d->field[0]);
}

/* Swaps it with the one behind it. */
static inline void draft_swap(struct draft *d, size_t at) {
	struct draft_field field = d->field[at];

	d->field[at] = d->field[at + 1];
	d->field[at + 1] = field;
}

/* Writes size and SAID where they are left open, as VERSION and BLANK. */
static inline void body_complete(struct text *body) {
	char digits[7], said[PRIMITIVE], *blank;

	snprintf(digits, sizeof digits, "%06zx", body->n);
	blank = memmem(body->p, body->n, VERSION, strlen(VERSION));
	if (blank)
		memcpy(blank + strlen("\"KERI10JSON"), digits, 6);
	digest_of(body->p, body->n, said);
	while ((blank = memmem(body->p, body->n, BLANK, strlen(BLANK))))
		memcpy(blank + 1, said, strlen(said));
}

/* The body, complete; the draft is used up. */
static inline struct text draft_body(struct draft *d) {
	struct text body = {0};

	for (size_t i = 0; i < d->n; i++) {
		text_add(&body, "%s\"%s\":", i ? "," : "{", d->field[i].name);
		text_join(&body, &d->field[i].value);
		text_free(&d->field[i].value);
	}
	text_add(&body, "}");
	d->n = 0;
	body_complete(&body);
	return body;
}

/* Copies the characters of a body's string field: SAID, AID or the like. */
static inline char *body_field(const struct text *body, const char *name, char *text) {
	char sought[16];
	const char *at;
	size_t n;

	snprintf(sought, sizeof sought, "\"%s\":\"", name);
	at = memmem(body->p, body->n, sought, strlen(sought));
	if (!at)
		abort();
	at += strlen(sought);
	n = strcspn(at, "\"");
	if (n >= SAID)
		n = SAID - 1;
	memcpy(text, at, n);
	text[n] = 0;
	return text;
}

/* ---- identities ---- */

/* An identity and where its log is. Zero is "": one key, no witnesses, prefix by digest. */
struct id {
	const char *name;	  /* its keys are key_of(name, round, number) */
	unsigned nkeys;		  /* in every round; 0: one */
	const char *kt, *nt, *bt; /* raw JSON; NULL: "1", and bt the number of witnesses */
	unsigned nwitnesses;	  /* key_of("witness", 0, number) */
	const char *traits;	  /* raw JSON; NULL: none */
	const char *prefix;	  /* "D" or "B": the key itself; NULL: digest */
	const struct id *delegator;
	uint64_t anchor_sn; /* the delegator's event that seals the next message */
	char anchor[SAID];

	char aid[SAID], said[SAID]; /* identifier; last event */
	uint64_t sn;		    /* of the next event */
	unsigned round;		    /* of the keys in force */
};

static inline unsigned id_nkeys(const struct id *id) {
	return id->nkeys ? id->nkeys : 1;
}

/* Raw lists of keys and of their digests. */
static inline struct text keys_list(const struct id *id, unsigned round) {
	const char *code = id->prefix ? id->prefix : "D";
	struct text list = {0};
	char text[PRIMITIVE];

	for (unsigned i = 0; i < id_nkeys(id); i++) {
		struct key key = key_of(id->name, round, i);

		text_add(&list, "%s\"%s\"", i ? "," : "[", key_text(code, &key, text));
	}
	text_add(&list, "]");
	return list;
}

static inline struct text digests_list(const struct id *id, unsigned round) {
	struct text list = {0};
	char text[PRIMITIVE], digest[PRIMITIVE];

	for (unsigned i = 0; i < id_nkeys(id); i++) {
		struct key key = key_of(id->name, round, i);

		key_text("D", &key, text);
		text_add(&list, "%s\"%s\"", i ? "," : "[", digest_of(text, strlen(text), digest));
	}
	text_add(&list, "]");
	return list;
}

static inline char *witness_text(unsigned number, char *text) {
	struct key key = key_of("witness", 0, number);

	return key_text("B", &key, text);
}

/* Raw list of witnesses from number `from` to before `to`. */
static inline struct text witness_list(unsigned from, unsigned to) {
	struct text list = {0};
	char text[PRIMITIVE];

	text_add(&list, "[");
	for (unsigned i = from; i < to; i++)
		text_add(&list, "%s\"%s\"", i > from ? "," : "", witness_text(i, text));
	text_add(&list, "]");
	return list;
}

static inline void draft_add_text(struct draft *d, const char *name, struct text value) {
	draft_add(d, name, "%s", value.p);
	text_free(&value);
}

static inline struct draft draft_head(const char *ilk, const char *said, const char *aid) {
	struct draft d = {0};

	draft_add(&d, "v", VERSION);
	draft_add(&d, "t", "\"%s\"", ilk);
	draft_add(&d, "d", said[0] == '"' ? "%s" : "\"%s\"", said);
	draft_add(&d, "i", aid[0] == '"' ? "%s" : "\"%s\"", aid);
	return d;
}

static inline void draft_keys(struct draft *d, const struct id *id, unsigned round) {
	bool fixed = id->prefix && id->prefix[0] == 'B';

	draft_add(d, "kt", "%s", id->kt ? id->kt : "\"1\"");
	draft_add_text(d, "k", keys_list(id, round));
	draft_add(d, "nt", "%s", fixed ? "\"0\"" : id->nt ? id->nt : "\"1\"");
	if (fixed)
		draft_add(d, "n", "[]");
	else
		draft_add_text(d, "n", digests_list(id, round + 1));
	if (id->bt)
		draft_add(d, "bt", "%s", id->bt);
	else
		draft_add(d, "bt", "\"%x\"", id->nwitnesses);
}

/* The next event as it should be: icp or dip. */
static inline struct draft draft_icp(const struct id *id) {
	char key[PRIMITIVE];
	struct key first = key_of(id->name, 0, 0);
	struct draft d = draft_head(id->delegator ? "dip" : "icp", BLANK,
		id->prefix ? key_text(id->prefix, &first, key) : BLANK);

	draft_add(&d, "s", "\"0\"");
	draft_keys(&d, id, 0);
	draft_add_text(&d, "b", witness_list(0, id->nwitnesses));
	draft_add(&d, "c", "%s", id->traits ? id->traits : "[]");
	draft_add(&d, "a", "[]");
	if (id->delegator)
		draft_add(&d, "di", "\"%s\"", id->delegator->aid);
	return d;
}

static inline struct draft draft_rot(const struct id *id) {
	struct draft d = draft_head(id->delegator ? "drt" : "rot", BLANK, id->aid);

	draft_add(&d, "s", "\"%" PRIx64 "\"", id->sn);
	draft_add(&d, "p", "\"%s\"", id->said);
	draft_keys(&d, id, id->round + 1);
	draft_add(&d, "br", "[]");
	draft_add(&d, "ba", "[]");
	draft_add(&d, "a", "[]");
	return d;
}

/* seals is a raw list. */
static inline struct draft draft_ixn(const struct id *id, const char *seals) {
	struct draft d = draft_head("ixn", BLANK, id->aid);

	draft_add(&d, "s", "\"%" PRIx64 "\"", id->sn);
	draft_add(&d, "p", "\"%s\"", id->said);
	draft_add(&d, "a", "%s", seals);
	return d;
}

static inline bool draft_is(const struct draft *d, const char *ilk) {
	const struct text *t = &d->field[draft_find(d, "t")].value;

	return t->n == strlen(ilk) + 2 && memcmp(t->p + 1, ilk, strlen(ilk)) == 0;
}

/* Completes the body and moves the identity on to behind it. */
static inline struct text id_state(struct id *id, struct draft d) {
	bool inception = draft_is(&d, "icp") || draft_is(&d, "dip");
	bool rotation = draft_is(&d, "rot") || draft_is(&d, "drt");
	struct text body = draft_body(&d);

	body_field(&body, "d", id->said);
	if (inception)
		body_field(&body, "i", id->aid);
	id->sn++;
	id->round += rotation;
	return body;
}

/* -A: signatures by all keys in force. */
static inline void add_signatures(struct text *to, const struct id *id, struct span body) {
	add_counter(to, 'A', id_nkeys(id));
	for (unsigned i = 0; i < id_nkeys(id); i++) {
		struct key key = key_of(id->name, id->round, i);

		add_signature(to, body, &key, i < 64 ? "A" : "2A", i, i);
	}
}

/* -B: receipts by witnesses from number `from` to before `to`, which have these places. */
static inline void add_receipts(struct text *to, struct span body, unsigned from, unsigned to_number) {
	add_counter(to, 'B', to_number - from);
	for (unsigned i = from; i < to_number; i++) {
		struct key key = key_of("witness", 0, i);

		add_signature(to, body, &key, i < 64 ? "A" : "2A", i, i);
	}
}

/* All that the message of a body needs. */
static inline void add_attachments(struct text *to, const struct id *id, struct span body) {
	add_signatures(to, id, body);
	if (id->nwitnesses)
		add_receipts(to, body, 0, id->nwitnesses);
	if (id->anchor[0])
		add_source_seal(to, id->anchor_sn, id->anchor);
}

/* States the next event: body and attachments, appended to the stream. */
static inline void say(struct text *stream, struct id *id, struct draft d) {
	struct text body = id_state(id, d);

	text_join(stream, &body);
	add_attachments(stream, id, text_span(&body));
	text_free(&body);
}

/* The delegator's event that seals the last event of an identity. */
static inline struct draft draft_sealing(const struct id *delegator, const struct id *id) {
	struct text seals = {0};
	struct draft d;

	text_add(&seals, "[{\"i\":\"%s\",\"s\":\"%" PRIx64 "\",\"d\":\"%s\"}]", id->aid, id->sn - 1,
		id->said);
	d = draft_ixn(delegator, seals.p);
	text_free(&seals);
	return d;
}

/* Names the delegator's last event as the one that seals this one's. */
static inline void anchor_in(struct id *id, const struct id *delegator) {
	id->anchor_sn = delegator->sn - 1;
	memcpy(id->anchor, delegator->said, sizeof id->anchor);
}

/* A delegated event: the delegator's that seals it goes to *seals, its own message to *stream. */
static inline void say_delegated(
	struct text *seals, struct text *stream, struct id *delegator, struct id *id, struct draft d) {
	struct text body = id_state(id, d);

	say(seals, delegator, draft_sealing(delegator, id));
	anchor_in(id, delegator);
	text_join(stream, &body);
	add_attachments(stream, id, text_span(&body));
	id->anchor[0] = 0;
	text_free(&body);
}

/* A receipt message for the event of this SAID; its attachments follow. */
static inline void add_rct(struct text *stream, const char *aid, uint64_t sn, const char *said) {
	struct draft d = draft_head("rct", said, aid);
	struct text body;

	draft_add(&d, "s", "\"%" PRIx64 "\"", sn);
	body = draft_body(&d);
	text_join(stream, &body);
	text_free(&body);
}

#endif
