/* json.c: strict pull reader of canonical JSON; see json.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

static bool fail(struct json *j, const char *why) {
	if (!j->error)
		j->error = why;
	return false;
}

void json_init(struct json *j, struct span text) {
	*j = (struct json){.rest = text, .first = true};
}

char json_peek(const struct json *j) {
	return j->error || j->rest.n == 0 ? 0 : (char)j->rest.p[0];
}

bool json_done(const struct json *j) {
	return !j->error && j->rest.n == 0;
}

/* What was read since then; empty on error. */
static struct span since(const struct json *j, struct span then) {
	return j->error ? span_of(NULL, 0) : span_cut(then, 0, then.n - j->rest.n);
}

/* Reads this byte if it comes next. */
static bool skip_byte(struct json *j, char byte) {
	if (json_peek(j) != byte)
		return false;
	j->rest = span_from(j->rest, 1);
	return true;
}

/* Reads this text, a short one, if it comes next. */
static bool skip(struct json *j, const char *text) {
	size_t n = 0;

	if (j->error)
		return false;
	for (; text[n]; n++)
		if (n == j->rest.n || j->rest.p[n] != (uint8_t)text[n])
			return false;
	j->rest = span_from(j->rest, n);
	return true;
}

void json_open(struct json *j, char brace) {
	if (!skip_byte(j, brace))
		fail(j, "another value than the map or list that must stand here");
	else if (++j->depth > JSON_DEPTH)
		fail(j, "nested too deeply");
	j->first = true;
}

static bool skip_close(struct json *j, char brace) {
	if (j->depth == 0 || !skip_byte(j, brace))
		return false;
	j->depth--;
	j->first = false;
	return true;
}

void json_close(struct json *j, char brace) {
	if (!skip_close(j, brace))
		fail(j, "more than may stand in this map or list");
}

/* Reads the comma before every member or element but the first. */
static bool skip_comma(struct json *j) {
	bool good = j->first ? !j->error : skip_byte(j, ',');

	j->first = false;
	return good;
}

bool json_optional(struct json *j, const char *name) {
	struct json before = *j;

	if (skip_comma(j) && skip_byte(j, '"') && skip(j, name) && skip_byte(j, '"') && skip_byte(j, ':'))
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

/* Bytes of the UTF-8 sequence that comes next (RFC 3629), 0 if there is none. */
static size_t utf8(struct span s) {
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* else it would be shorter */
	uint8_t first = s.n ? s.p[0] : 0xff;
	size_t more = (size_t)(first >= 0xc0) + (first >= 0xe0) + (first >= 0xf0);
	uint32_t c = first & (0x3fU >> more);

	if ((first & 0xc0) == 0x80 || first >= 0xf8 || more >= s.n)
		return 0;
	for (size_t i = 1; i <= more; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3f);
	}
	return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : more + 1;
}

/* Reads an escape: only what cannot stand for itself, and in one spelling. */
static void skip_escape(struct json *j) {
	struct span left = span_from(j->rest, 1);

	if (left.n >= 1 && memchr("\"\\bfnrt", left.p[0], 7))
		j->rest = span_from(left, 1);
	else if (span_starts(left, "u00") && left.n >= 5 &&
		 ((left.p[3] == '0' && memchr("01234567bef", left.p[4], 11)) ||
			 (left.p[3] == '1' && memchr("0123456789abcdef", left.p[4], 16))))
		j->rest = span_from(left, 5);
	else
		fail(j, "an escape that is not canonical");
}

/* How many bytes come first that stand for themselves in a string, by eights: no quote, no backslash,
 * no control character, nothing of a longer sequence of UTF-8. */
static size_t plain(struct span s) {
	const uint64_t each = UINT64_MAX / 255;
	size_t n = 0;

	for (uint64_t w; s.n - n >= sizeof w; n += sizeof w) {
		memcpy(&w, s.p + n, sizeof w);
		/* A difference has its byte's highest bit where it was less than what is taken from it. */
		if ((w | (w - each * ' ') | ((w ^ each * '"') - each) | ((w ^ each * '\\') - each)) &
			each * 0x80)
			break;
	}
	while (n < s.n && s.p[n] >= ' ' && s.p[n] < 0x80 && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

struct span json_string(struct json *j) {
	struct span start, text;

	if (!skip_byte(j, '"'))
		fail(j, "a string must stand here");
	start = j->rest;
	while (!j->error) {
		size_t n;

		j->rest = span_from(j->rest, plain(j->rest));
		if (json_peek(j) == '"')
			break;
		n = utf8(j->rest);
		if (n == 0 || j->rest.p[0] < ' ')
			fail(j, "a control character, no UTF-8, or the end in a string");
		else if (json_peek(j) == '\\')
			skip_escape(j);
		else
			j->rest = span_from(j->rest, n);
	}
	text = since(j, start);
	skip_byte(j, '"');
	return text;
}

static bool skip_digits(struct json *j) {
	size_t before = j->rest.n;

	while (json_peek(j) >= '0' && json_peek(j) <= '9')
		j->rest = span_from(j->rest, 1);
	return j->rest.n < before;
}

static bool skip_number(struct json *j) {
	skip_byte(j, '-');
	if (!skip_byte(j, '0') && !skip_digits(j))
		return false;
	if (skip_byte(j, '.') && !skip_digits(j))
		return false;
	if (!skip_byte(j, 'e') && !skip_byte(j, 'E'))
		return true;
	if (!skip_byte(j, '+'))
		skip_byte(j, '-');
	return skip_digits(j);
}

static void skip_value(struct json *j);

static void skip_map(struct json *j) {
	struct span names[JSON_MEMBERS];

	json_open(j, '{');
	for (size_t n = 0; json_next(j, '}'); n++) {
		if (n == JSON_MEMBERS) {
			fail(j, "too many members in a map");
			return;
		}
		names[n] = json_string(j);
		for (size_t i = 0; i < n; i++)
			if (span_eq(names[i], names[n]))
				fail(j, "a name that stands twice in a map");
		if (!skip_byte(j, ':'))
			fail(j, "a colon must stand here");
		skip_value(j);
	}
}

/* Recursion ends at JSON_DEPTH, because json_open fails there. */
static void skip_value(struct json *j) {
	switch (json_peek(j)) {
	case '"':
		json_string(j);
		break;
	case '{':
		skip_map(j);
		break;
	case '[':
		json_open(j, '[');
		while (json_next(j, ']'))
			skip_value(j);
		break;
	default:
		if (!skip(j, "true") && !skip(j, "false") && !skip(j, "null") && !skip_number(j))
			fail(j, "a value must stand here");
	}
}

struct span json_value(struct json *j) {
	struct span start = j->rest;

	skip_value(j);
	return since(j, start);
}
