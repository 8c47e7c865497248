/* json.c: strict pull reader of canonical JSON; see json.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

static bool fail(struct json *j, const char *why) {
	if (!j->error)
		j->error = why;
	return false;
}

static bool at(const struct json *j, char c) {
	return !j->error && j->p < j->end && *j->p == (unsigned char)c;
}

static bool skip(struct json *j, char c) {
	if (!at(j, c))
		return false;
	j->p++;
	return true;
}

static bool expect(struct json *j, char c, const char *why) {
	return skip(j, c) || fail(j, why);
}

static bool skip_text(struct json *j, const char *text) {
	size_t n = strlen(text);

	if (j->error || (size_t)(j->end - j->p) < n || memcmp(j->p, text, n) != 0)
		return false;
	j->p += n;
	return true;
}

void json_init(struct json *j, struct span text) {
	const uint8_t *p = text.p ? text.p : (const uint8_t *)"";

	*j = (struct json){.start = p, .p = p, .end = p + text.n, .first = true};
}

void json_open(struct json *j, char brace) {
	if (!expect(j, brace, brace == '{' ? "a map must stand here" : "a list must stand here"))
		return;
	if (++j->depth > JSON_DEPTH)
		fail(j, "nested too deeply");
	j->first = true;
}

static bool skip_close(struct json *j, char brace) {
	if (j->depth == 0 || !skip(j, brace))
		return false;
	j->depth--;
	j->first = false;
	return true;
}

void json_close(struct json *j, char brace) {
	if (!skip_close(j, brace))
		fail(j, brace == '}' ? "the map must end here" : "the list must end here");
}

/* Reads the comma before every member or element but the first. */
static bool skip_comma(struct json *j) {
	bool good = j->first ? !j->error : skip(j, ',');

	j->first = false;
	return good;
}

bool json_optional(struct json *j, const char *name) {
	struct json before = *j;

	if (skip_comma(j) && skip(j, '"') && skip_text(j, name) && skip_text(j, "\":"))
		return true;
	*j = before;
	return false;
}

void json_field(struct json *j, const char *name) {
	if (!json_optional(j, name))
		fail(j, "another field than the one that must stand here");
}

bool json_next(struct json *j, char closing) {
	if (skip_close(j, closing))
		return false;
	return skip_comma(j) || fail(j, "a comma or the end must stand here");
}

struct span json_key(struct json *j) {
	struct span name = json_string(j);

	expect(j, ':', "a colon must stand here");
	return j->error ? span_of(NULL, 0) : name;
}

/* Bytes of the UTF-8 sequence at p (RFC 3629), 0 if there is none. */
static size_t utf8(const uint8_t *p, size_t n) {
	/* The first byte's range decides the length and what the second may be: that keeps out
	 * overlong forms, surrogates and what lies above U+10FFFF. */
	static const struct {
		uint8_t low, high, bytes, second_low, second_high;
	} forms[] = {
		{0x00, 0x7f, 1, 0x80, 0xbf},
		{0xc2, 0xdf, 2, 0x80, 0xbf},
		{0xe0, 0xe0, 3, 0xa0, 0xbf},
		{0xe1, 0xec, 3, 0x80, 0xbf},
		{0xed, 0xed, 3, 0x80, 0x9f},
		{0xee, 0xef, 3, 0x80, 0xbf},
		{0xf0, 0xf0, 4, 0x90, 0xbf},
		{0xf1, 0xf3, 4, 0x80, 0xbf},
		{0xf4, 0xf4, 4, 0x80, 0x8f},
	};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		size_t bytes = forms[i].bytes;

		if (p[0] < forms[i].low || p[0] > forms[i].high)
			continue;
		if (n < bytes)
			return 0;
		if (bytes > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high))
			return 0;
		for (size_t k = 2; k < bytes; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return bytes;
	}
	return 0;
}

/* Reads an escape, after its backslash: only what cannot stand for itself, and in one spelling. */
static void skip_escape(struct json *j) {
	struct span left = span_of(j->p, (size_t)(j->end - j->p));

	if (left.n >= 1 && memchr("\"\\bfnrt", left.p[0], 7))
		j->p++;
	else if (span_starts(left, "u00") && left.n >= 5 &&
		 ((left.p[3] == '0' && memchr("01234567bef", left.p[4], 11)) ||
			 (left.p[3] == '1' && memchr("0123456789abcdef", left.p[4], 16))))
		j->p += 5;
	else
		fail(j, "an escape that is not canonical");
}

struct span json_string(struct json *j) {
	const uint8_t *start;

	if (!expect(j, '"', "a string must stand here"))
		return span_of(NULL, 0);
	for (start = j->p; !at(j, '"');) {
		size_t n = j->p < j->end ? utf8(j->p, (size_t)(j->end - j->p)) : 0;

		if (j->p == j->end)
			fail(j, "the end inside a string");
		else if (n == 0)
			fail(j, "not UTF-8");
		else if (*j->p < ' ')
			fail(j, "a control character in a string");
		else if (!skip(j, '\\'))
			j->p += n;
		else
			skip_escape(j);
		if (j->error)
			return span_of(NULL, 0);
	}
	j->p++;
	return span_of(start, (size_t)(j->p - 1 - start));
}

static bool skip_digits(struct json *j) {
	const uint8_t *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > start;
}

static bool skip_number(struct json *j) {
	skip(j, '-');
	if (!skip(j, '0') && !skip_digits(j))
		return false;
	if (skip(j, '.') && !skip_digits(j))
		return false;
	if (!skip(j, 'e') && !skip(j, 'E'))
		return true;
	if (!skip(j, '+'))
		skip(j, '-');
	return skip_digits(j);
}

static void skip_value(struct json *j);

static void skip_map(struct json *j) {
	struct span names[JSON_MEMBERS];
	size_t n = 0;

	json_open(j, '{');
	while (!j->error && json_next(j, '}')) {
		struct span name = json_key(j);

		for (size_t i = 0; i < n; i++)
			if (span_eq(names[i], name))
				fail(j, "a name that stands twice in a map");
		if (n == JSON_MEMBERS) {
			fail(j, "too many members in a map");
			return;
		}
		names[n++] = name;
		skip_value(j);
	}
}

static void skip_list(struct json *j) {
	json_open(j, '[');
	while (!j->error && json_next(j, ']'))
		skip_value(j);
}

/* Recursion ends at JSON_DEPTH, because json_open fails there. */
static void skip_value(struct json *j) {
	if (j->error)
		return;
	switch (json_peek(j)) {
	case '"':
		json_string(j);
		break;
	case '{':
		skip_map(j);
		break;
	case '[':
		skip_list(j);
		break;
	default:
		if (!skip_text(j, "true") && !skip_text(j, "false") && !skip_text(j, "null") &&
			!skip_number(j))
			fail(j, "a value must stand here");
	}
}

struct span json_value(struct json *j) {
	const uint8_t *start = j->p;

	skip_value(j);
	return j->error ? span_of(NULL, 0) : span_of(start, (size_t)(j->p - start));
}

char json_peek(const struct json *j) {
	return j->error || j->p == j->end ? 0 : (char)*j->p;
}

bool json_done(const struct json *j) {
	return !j->error && j->p == j->end;
}
