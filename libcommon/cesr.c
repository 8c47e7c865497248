/* cesr.c: CESR primitives, attachments and messages, canonical only; see cesr.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "cesr.h"

#define MAX_CHARS 92
#define MIN_BODY 25 /* {"v":"KERI10JSON000019_"} */

/* A WireGuard key may be secret: in time that does not depend on it. */
bool wg_key_decode(const char *text, size_t n, uint8_t key[static CESR_RAW]) {
	size_t got;

	/* libsodium 1.0.18 takes the sign of a char for a value. */
	for (size_t i = 0; i < n; i++)
		if (text[i] & 0x80)
			return false;
	if (sodium_base642bin(key, CESR_RAW, text, n, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	return got == CESR_RAW;
}

/* What CESR carries is public. libsodium's constant time would cost as much as all else that is done to
 * an event beside verifying its signatures. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* clang-format off */
/* The reverse: the place of a character there; 64: it has none. */
static const uint8_t sextets[256] = {
	[0 ... '-' - 1] = 64, ['-'] = 62, ['.' ... '/'] = 64,
	['0'] = 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, [':' ... '@'] = 64,
	['A'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	['[' ... '^'] = 64, ['_'] = 63, ['`'] = 64,
	['a'] = 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45,
	46, 47, 48, 49, 50, 51,
	['{' ... 255] = 64,
};
/* clang-format on */

/* The base64 of n bytes, a multiple of three, and a NUL. */
static void to_url(const uint8_t *raw, size_t n, char *text) {
	for (size_t i = 0; i < n; i += 3, text += 4) {
		unsigned v = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];

		text[0] = alphabet[v >> 18];
		text[1] = alphabet[v >> 12 & 63];
		text[2] = alphabet[v >> 6 & 63];
		text[3] = alphabet[v & 63];
	}
	*text = 0;
}

/* The bytes of n characters, a multiple of four. False: they are not all of the alphabet. */
static bool from_url(const char *text, size_t n, uint8_t *raw) {
	unsigned seen = 0;

	for (size_t i = 0; i < n; i += 4, raw += 3) {
		unsigned a = sextets[(uint8_t)text[i]], b = sextets[(uint8_t)text[i + 1]];
		unsigned c = sextets[(uint8_t)text[i + 2]], d = sextets[(uint8_t)text[i + 3]];

		seen |= a | b | c | d;
		raw[0] = (uint8_t)(a << 2 | b >> 4);
		raw[1] = (uint8_t)(b << 4 | c >> 2);
		raw[2] = (uint8_t)(c << 6 | d);
	}
	return seen < 64;
}

/* Decodes a text that is a multiple of four long. Its first `code` characters are no value: with
 * zeros ('A') in their place it is the base64 of the value behind as many zero bits as are needed, so
 * that every other pad is refused. */
static bool decode(struct span text, size_t code, uint8_t *raw) {
	char chars[MAX_CHARS];
	uint8_t bytes[MAX_CHARS / 4 * 3];
	size_t lead = (code * 6 + 7) / 8, n = text.n / 4 * 3;

	memcpy(chars, text.p, text.n);
	memset(chars, 'A', code);
	if (!from_url(chars, text.n, bytes) || !sodium_is_zero(bytes, lead))
		return false;
	memcpy(raw, bytes + lead, n - lead);
	return true;
}

bool cesr_decode(struct span text, char code, uint8_t raw[static CESR_RAW]) {
	return text.n == CESR_CHARS && text.p[0] == (uint8_t)code && decode(text, 1, raw);
}

bool cesr_is_aid(struct span text) {
	uint8_t raw[CESR_RAW];

	return cesr_decode(text, CESR_BLAKE3, raw) || cesr_decode(text, CESR_ED25519, raw) ||
	       cesr_decode(text, CESR_ED25519N, raw);
}

char *cesr_encode(char code, const uint8_t raw[static CESR_RAW], char text[static CESR_TEXT]) {
	uint8_t bytes[CESR_CHARS / 4 * 3] = {0};

	memcpy(bytes + sizeof bytes - CESR_RAW, raw, CESR_RAW);
	to_url(bytes, sizeof bytes, text);
	text[0] = code;
	return text;
}

void cesr_encode_indexed(
	unsigned index, const uint8_t sig[static CESR_SIG_RAW], char text[static CESR_SIG_CHARS + 1]) {
	uint8_t bytes[CESR_SIG_CHARS / 4 * 3] = {0};

	/* Six bits of code, which is A, that is zero; six bits of index; four of padding. */
	bytes[0] = (uint8_t)(index >> 4 & 3);
	bytes[1] = (uint8_t)(index << 4);
	memcpy(bytes + sizeof bytes - CESR_SIG_RAW, sig, CESR_SIG_RAW);
	to_url(bytes, sizeof bytes, text);
}

void cesr_said(struct span body, struct span place1, struct span place2, char text[static CESR_TEXT]) {
	static const char dummy[] = "############################################";
	const struct span places[] = {place1, place2};
	struct blake3 h;
	uint8_t raw[CESR_RAW];

	blake3_init(&h);
	for (size_t i = 0; i < 2; i++) {
		if (places[i].n == 0)
			continue;
		blake3_update(&h, body.p, (size_t)(places[i].p - body.p));
		blake3_update(&h, dummy, CESR_CHARS);
		body = span_from(body, (size_t)(places[i].p - body.p) + CESR_CHARS);
	}
	blake3_update(&h, body.p, body.n);
	blake3_final(&h, raw);
	cesr_encode(CESR_BLAKE3, raw, text);
}

char *cesr_digest(struct span data, char text[static CESR_TEXT]) {
	cesr_said(data, span_of(NULL, 0), span_of(NULL, 0), text);
	return text;
}

void cesr_reader_init(struct cesr_reader *r, struct span bytes) {
	*r = (struct cesr_reader){.rest = bytes, .frame = SIZE_MAX};
}

/* Copies what may be read next, at most n characters, over text; the rest of text stays. So a
 * primitive that the end cuts short is judged as if the best were to follow: if even so it is bad,
 * then a bad byte stands before the end. */
static void look(const struct cesr_reader *r, size_t n, char *text) {
	struct span there = span_cut(span_cut(r->rest, 0, r->frame), 0, n);

	if (there.n)
		memcpy(text, there.p, there.n);
}

/* Moves past n characters that were found good. */
static enum cesr_step advance(struct cesr_reader *r, size_t n) {
	if (n > r->frame && r->frame <= r->rest.n)
		return CESR_BAD;
	if (n > r->rest.n)
		return CESR_TRUNCATED;
	r->rest = span_from(r->rest, n);
	if (r->frame != SIZE_MAX)
		r->frame -= n;
	return CESR_ITEM;
}

/* A number of up to five characters. */
static bool number(const char *text, size_t n, uint32_t *out) {
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t sextet = sextets[(uint8_t)text[i]];

		if (sextet == 64)
			return false;
		*out = *out << 6 | sextet;
	}
	return true;
}

/* A primitive of this code, `chars` long. */
static enum cesr_step read_primitive(struct cesr_reader *r, const char *code, size_t chars, uint8_t *raw) {
	char text[MAX_CHARS];
	size_t width = strlen(code);

	memset(text, 'A', sizeof text);
	memcpy(text, code, width);
	look(r, chars, text);
	if (memcmp(text, code, width) != 0 || !decode(span_of(text, chars), width, raw))
		return CESR_BAD;
	return advance(r, chars);
}

/* A 128-bit number that must be below 2^63: its first ten characters are zeros, like a longer code. */
static enum cesr_step read_sn(struct cesr_reader *r, uint64_t *sn) {
	uint8_t raw[9] = {0};
	enum cesr_step step = read_primitive(r, "0AAAAAAAAAAA", 24, raw);

	*sn = 0;
	for (size_t i = 0; i < sizeof raw; i++)
		*sn = *sn << 8 | raw[i];
	return raw[0] || *sn > INT64_MAX ? CESR_BAD : step;
}

/* An indexed signature: A and B with an index of one character, 2A and 2B with index and ondex of
 * two each. */
static enum cesr_step read_signature(struct cesr_reader *r, struct cesr_item *item) {
	char text[MAX_CHARS];
	size_t big, width, chars;

	memset(text, 'A', sizeof text);
	look(r, 2, text);
	big = text[0] == '2';
	width = big ? 2 : 1;
	chars = big ? MAX_CHARS : CESR_SIG_CHARS;
	look(r, chars, text);
	if ((text[big] != 'A' && text[big] != 'B') || !number(text + 1 + big, width, &item->index) ||
		!number(big ? text + 4 : text + 1, width, &item->ondex) ||
		!decode(span_of(text, chars), big ? 6 : 2, item->sig))
		return CESR_BAD;
	if (text[big] == 'B') {
		if (big && item->ondex != 0)
			return CESR_BAD;
		item->ondex = UINT32_MAX;
	}
	return advance(r, chars);
}

/* -X and two characters of count, X one of letters; or, where V may stand, -0V or --V and five. */
static enum cesr_step read_counter(
	struct cesr_reader *r, const char *letters, char *letter, uint32_t *count) {
	char text[] = "-AAAAAAA";
	size_t big;

	look(r, 2, text);
	big = text[1] == '0' || text[1] == '-';
	if (big)
		text[2] = 'V';
	look(r, big ? 8 : 4, text);
	*letter = text[1 + big];
	if (text[0] != '-' || !memchr(letters, *letter, strlen(letters)) || (big && *letter != 'V') ||
		!number(text + 2 + big, big ? 5 : 2, count))
		return CESR_BAD;
	return advance(r, big ? 8 : 4);
}

/* The signatures that nest in an item are checked, and of no use here. */
static enum cesr_step read_nested(struct cesr_reader *r, struct cesr_item *item) {
	uint32_t left = 0;
	char letter;
	enum cesr_step step = read_counter(r, "A", &letter, &left);

	for (; step == CESR_ITEM && left > 0; left--)
		step = read_signature(r, item);
	return step;
}

static enum cesr_step read_part(struct cesr_reader *r, char part, struct cesr_item *item) {
	uint8_t raw[CESR_RAW] = {0};
	char code[] = "E";
	enum cesr_step step;

	switch (part) {
	case 'p': /* an identifier: a key or a digest */
		look(r, 1, code);
		return memchr("BDE", code[0], 3) ? read_primitive(r, code, CESR_CHARS, raw) : CESR_BAD;
	case 'n':
		return read_sn(r, &item->sn);
	case 'd':
		step = read_primitive(r, "E", CESR_CHARS, raw);
		cesr_encode(CESR_BLAKE3, raw, item->digest);
		return step;
	case 't': /* a date-time: nobody asks what it says */
		return read_primitive(r, "1AAG", 36, raw);
	case 'k':
		return read_primitive(r, "B", CESR_CHARS, item->key);
	case 'c':
		return read_primitive(r, "0B", CESR_SIG_CHARS, item->sig);
	case 's':
		return read_signature(r, item);
	default:
		return read_nested(r, item);
	}
}

static enum cesr_step read_item(struct cesr_reader *r, struct cesr_item *item) {
	/* What an item of -A to -I is made of, in the letters of read_part. */
	static const char *const parts[] = {"s", "s", "kc", "pnds", "nt", "pndN", "nd", "pN", "pnd"};
	enum cesr_step step = CESR_ITEM;

	item->kind = r->group;
	r->left--;
	for (const char *part = parts[r->group - 'A']; *part && step == CESR_ITEM; part++)
		step = read_part(r, *part, item);
	return step;
}

/* Opens the next group, or a frame around the next ones. */
static enum cesr_step read_group(struct cesr_reader *r) {
	enum cesr_step step;
	uint32_t count;
	char group;

	if (r->frame == 0)
		r->frame = SIZE_MAX;
	if (r->frame == SIZE_MAX && (r->rest.n == 0 || r->rest.p[0] != '-'))
		return CESR_END;
	step = read_counter(r, "ABCDEFGHIV", &group, &count);
	if (step != CESR_ITEM)
		return step;
	if (group != 'V') {
		r->group = group;
		r->left = count;
	} else if (r->frame == SIZE_MAX) {
		r->frame = (size_t)count * 4;
	} else {
		return CESR_BAD;
	}
	return CESR_ITEM;
}

enum cesr_step cesr_next(struct cesr_reader *r, struct cesr_item *item, struct err *err) {
	enum cesr_step step = CESR_ITEM;

	*item = (struct cesr_item){0};
	while (step == CESR_ITEM && r->left == 0)
		step = read_group(r);
	if (step == CESR_ITEM)
		step = read_item(r, item);
	if (step == CESR_BAD)
		err_set(err, ERR_NO, "attachment: no canonical counter or item at \"%.*s\"",
			SPAN_ARG(span_cut(r->rest, 0, 16)));
	else if (step == CESR_TRUNCATED)
		err_set(err, ERR_NO, "attachment: ends too early; get the whole stream");
	return step;
}

/* Reads the version string at the start of a stream that is not empty, and the size in it. What the end
 * cuts off is taken for the best that could follow. */
static bool read_version(struct span stream, bool *acdc, size_t *size) {
	static const char keri[] = "{\"v\":\"KERI10JSONffffff_\"", other[] = "{\"v\":\"ACDC10JSONffffff_\"";
	char text[sizeof keri];
	const char *form;

	*acdc = stream.n > 6 && stream.p[6] == 'A';
	form = *acdc ? other : keri;
	memcpy(text, form, sizeof text);
	memcpy(text, stream.p, stream.n < sizeof text ? stream.n : sizeof text - 1);
	*size = strtoul(text + 16, NULL, 16);
	return memcmp(text, form, 16) == 0 && strspn(text + 16, "0123456789abcdef") == 6 &&
	       strcmp(text + 22, form + 22) == 0 && *size >= MIN_BODY;
}

enum cesr_step cesr_message(struct span *stream, struct cesr_message *msg, struct err *err) {
	struct cesr_reader r;
	struct cesr_item item;
	size_t size;
	enum cesr_step step;

	*msg = (struct cesr_message){0};
	if (stream->n == 0)
		return CESR_END;
	if (!read_version(*stream, &msg->acdc, &size)) {
		err_set(err, ERR_NO, "body: starts with no version string KERI10JSON or ACDC10JSON");
		return CESR_BAD;
	}
	msg->body = span_cut(*stream, 0, size);
	if (size > stream->n) {
		err_set(err, ERR_NO, "body: ends too early; get the whole stream");
		return CESR_TRUNCATED;
	}
	cesr_reader_init(&r, span_from(*stream, size));
	do
		step = cesr_next(&r, &item, err);
	while (step == CESR_ITEM);
	if (step != CESR_END)
		return step;
	msg->attachments = span_cut(*stream, size, stream->n - size - r.rest.n);
	*stream = r.rest;
	return CESR_ITEM;
}
