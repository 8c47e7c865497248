/* card.c: tunnel cards; see card.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <endian.h>
#include <time.h>

#include "card.h"
#include "event.h"
#include "json.h"

/* ---- times ---- */

static bool digits(struct span text, size_t at, size_t n, int *number) {
	*number = 0;
	for (size_t i = at; i < at + n; i++) {
		if (i >= text.n || text.p[i] < '0' || text.p[i] > '9')
			return false;
		*number = *number * 10 + (text.p[i] - '0');
	}
	return true;
}

bool time_parse(struct span text, int64_t *micros) {
	static const char form[] = "0000-00-00T00:00:00.000000+00:00";
	int year, month, day, hour, minute, second, fraction, off_hour, off_minute;
	struct tm tm = {0}, back;
	time_t seconds;
	int64_t offset;

	if (text.n != sizeof form - 1)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (form[i] != '0' && form[i] != (char)text.p[i] && !(i == 26 && text.p[i] == '-'))
			return false;
	if (!digits(text, 0, 4, &year) || !digits(text, 5, 2, &month) || !digits(text, 8, 2, &day) ||
		!digits(text, 11, 2, &hour) || !digits(text, 14, 2, &minute) ||
		!digits(text, 17, 2, &second) || !digits(text, 20, 6, &fraction) ||
		!digits(text, 27, 2, &off_hour) || !digits(text, 30, 2, &off_minute))
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	seconds = timegm(&tm);
	/* a date that does not exist comes back as another one */
	if (year < 1970 || !gmtime_r(&seconds, &back) || back.tm_mon != month - 1 || back.tm_hour != hour ||
		back.tm_min != minute || back.tm_sec != second || off_hour > 23 || off_minute > 59)
		return false;
	offset = (off_hour * 60 + off_minute) * 60;
	*micros = (seconds - (text.p[26] == '-' ? -offset : offset)) * 1000000 + fraction;
	return true;
}

char *time_format(int64_t micros, char text[static TIME_TEXT]) {
	time_t seconds = (time_t)(micros / 1000000);
	char date[24] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, TIME_TEXT, "%.19s.%06u+00:00", date, (unsigned)(micros % 1000000));
	return text;
}

/* ---- names ---- */

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"

/* Every byte is one of these letters. */
static bool only(struct span text, const char *letters) {
	for (size_t i = 0; i < text.n; i++)
		if (!memchr(letters, text.p[i], strlen(letters)))
			return false;
	return true;
}

bool label_valid(struct span text) {
	return text.n > 0 && text.n <= LABEL_MAX && only(text, LOWER DIGIT "-") && text.p[0] != '-' &&
	       text.p[text.n - 1] != '-';
}

bool login_valid(struct span text) {
	return text.n > 0 && text.n <= LOGIN_MAX && only(text, LOWER DIGIT "_-") &&
	       only(span_cut(text, 0, 1), LOWER "_");
}

/* ---- addresses ---- */

static void digest(const char *aid, struct span label, uint8_t out[static BLAKE3_BYTES]) {
	struct blake3 h;

	blake3_init(&h);
	blake3_update(&h, aid, strlen(aid));
	if (label.n) {
		blake3_update(&h, "/", 1);
		blake3_update(&h, label.p, label.n);
	}
	blake3_final(&h, out);
}

struct prefix derived_prefix(const char *aid) {
	struct prefix prefix = {.addr = {.family = AF_INET6, .bytes = {0xfd}}, .bits = 48};
	uint8_t out[BLAKE3_BYTES];

	digest(aid, span_of(NULL, 0), out);
	memcpy(prefix.addr.bytes + 1, out, 5);
	return prefix;
}

uint64_t derived_number(const char *aid, struct span login) {
	uint8_t out[BLAKE3_BYTES];
	uint64_t number;

	digest(aid, login, out);
	memcpy(&number, out, sizeof number);
	return be64toh(number);
}

struct addr derived_addr(const char *aid, struct span label) {
	struct addr addr = derived_prefix(aid).addr;
	uint8_t out[BLAKE3_BYTES];

	digest(aid, label, out);
	memcpy(addr.bytes + 6, out, 10);
	return addr;
}

bool addr_parse_canonical(struct span text, struct addr *out) {
	char copy[ADDR_TEXT];

	return addr_parse(text, out) && span_is(text, addr_format(out, copy));
}

bool prefix_parse(struct span text, struct prefix *out) {
	char copy[PREFIX_TEXT], *slash;
	unsigned long bits;

	if (!span_copy(text, copy, sizeof copy) || !(slash = strchr(copy, '/')))
		return false;
	*slash = 0;
	bits = strtoul(slash + 1, NULL, 10);
	if (!addr_parse(span_str(copy), &out->addr) || bits > addr_size(&out->addr) * 8)
		return false;
	out->bits = (uint8_t)bits;
	for (size_t bit = bits; bit < addr_size(&out->addr) * 8; bit++)
		out->addr.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	/* Host bits, another number of bits, and text behind it do not come back. */
	return span_is(text, prefix_format(out, copy));
}

bool endpoint_parse(struct span text, struct addr *addr, uint16_t *port) {
	bool v6 = text.n && text.p[0] == '[';
	const uint8_t *end = text.n ? memrchr(text.p, ':', text.n) : NULL;
	struct span host, digit;
	unsigned number = 0;

	if (!end)
		return false;
	host = span_cut(text, 0, (size_t)(end - text.p));
	digit = span_from(text, host.n + 1);
	if (v6) {
		if (host.n < 2 || host.p[host.n - 1] != ']')
			return false;
		host = span_cut(host, 1, host.n - 2);
	}
	if (digit.n == 0 || digit.n > 5 || digit.p[0] == '0')
		return false;
	for (size_t i = 0; i < digit.n; i++) {
		if (digit.p[i] < '0' || digit.p[i] > '9')
			return false;
		number = number * 10 + (unsigned)(digit.p[i] - '0');
	}
	*port = (uint16_t)number;
	return number <= UINT16_MAX && addr_parse_canonical(host, addr) && (addr->family == AF_INET6) == v6;
}

char *endpoint_format(const struct addr *addr, uint16_t port, char text[static ENDPOINT_TEXT]) {
	char bare[ADDR_TEXT];

	snprintf(text, ENDPOINT_TEXT, addr->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		addr_format(addr, bare), port);
	return text;
}

/* ---- the values of a card ---- */

static bool addr_valid(struct span text) {
	struct addr addr;

	return addr_parse_canonical(text, &addr);
}

static bool route_valid(struct span text) {
	struct prefix prefix;

	return prefix_parse(text, &prefix) && prefix.bits > 0;
}

static bool endpoint_valid(struct span text) {
	struct addr addr;
	uint16_t port;

	return endpoint_parse(text, &addr, &port);
}

static bool ed25519_valid(struct span text) {
	uint8_t raw[CESR_RAW];

	return cesr_decode(text, CESR_ED25519, raw);
}

static bool digest_valid(struct span text) {
	uint8_t raw[CESR_RAW];

	return cesr_decode(text, CESR_BLAKE3, raw);
}

static bool loginkey_valid(struct span text) {
	const uint8_t *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
	size_t at = colon ? (size_t)(colon - text.p) : text.n;

	return login_valid(span_cut(text, 0, at)) && ed25519_valid(span_from(text, at + 1));
}

/* The optional fields of `a` that are one string or a list of strings, in their order. */
static const struct value {
	const char *name;
	bool (*valid)(struct span text);
	size_t most; /* elements of a list; 0: a single string */
	size_t place;
} values[] = {
	{"addr", addr_valid, CARD_ADDRS_MAX, offsetof(struct card, addrs)},
	{"routes", route_valid, CARD_ROUTES_MAX, offsetof(struct card, routes)},
	{"endpoint", endpoint_valid, 0, offsetof(struct card, endpoint)},
	{"logins", login_valid, CARD_LOGINS_MAX, offsetof(struct card, logins)},
	{"loginkeys", loginkey_valid, CARD_LOGINKEYS_MAX, offsetof(struct card, loginkeys)},
	{"hostkeys", ed25519_valid, CARD_HOSTKEYS_MAX, offsetof(struct card, hostkeys)},
	{"journal", ed25519_valid, 0, offsetof(struct card, journal)},
	{"rosenpass", digest_valid, 0, offsetof(struct card, rosenpass)},
};

static bool read_value(struct json *j, const struct value *value, struct card *card, struct err *err) {
	struct span *place = (struct span *)((char *)card + value->place);
	struct span text, rest;
	size_t n = 0;

	if (!json_optional(j, value->name))
		return true;
	if (!value->most) {
		*place = json_string(j);
		return value->valid(*place) || err_set(err, ERR_NO, "bad \"%s\"", value->name);
	}
	if (json_peek(j) != '[')
		return err_set(err, ERR_NO, "\"%s\" is no list", value->name);
	*place = rest = json_value(j);
	for (; event_next_text(&rest, &text); n++)
		if (n == value->most || !value->valid(text))
			return err_set(err, ERR_NO, "bad or too many in \"%s\": %.*s", value->name,
				SPAN_ARG(span_cut(text, 0, 64)));
	return rest.n == 0 || err_set(err, ERR_NO, "\"%s\" holds no strings", value->name);
}

static bool read_time(struct json *j, const char *name, bool needed, int64_t *micros, struct err *err) {
	if (needed)
		json_field(j, name);
	else if (!json_optional(j, name))
		return true;
	return time_parse(json_string(j), micros) || err_set(err, ERR_NO, "bad \"%s\"", name);
}

/* `d` of the block, optional and checked when present: its own digest. */
static bool check_block(struct span block, struct span said, struct err *err) {
	char text[CESR_TEXT];

	if (!said.p)
		return true;
	cesr_said(block, said, span_of(NULL, 0), text);
	return span_is(said, text) || err_set(err, ERR_NO, "d of the block is not its digest");
}

static bool read_attributes(struct span block, struct card *card, struct err *err) {
	struct span said = {0}, key;
	struct json j;

	json_init(&j, block);
	json_open(&j, '{');
	if (json_optional(&j, "d"))
		said = json_string(&j);
	if (!read_time(&j, "dt", true, &card->issued, err))
		return false;
	json_field(&j, "host");
	card->host = json_string(&j);
	if (!label_valid(card->host))
		return err_set(err, ERR_NO, "bad \"host\"");
	card->has_key = json_optional(&j, "key");
	if (card->has_key) {
		key = json_string(&j);
		if (!cesr_decode(key, CESR_X25519, card->key))
			return err_set(err, ERR_NO, "bad \"key\"");
	}
	if (!read_time(&j, "from", false, &card->from, err) ||
		!read_time(&j, "until", false, &card->until, err))
		return false;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (!read_value(&j, &values[i], card, err))
			return false;
	json_close(&j, '}');
	return json_done(&j) ? check_block(block, said, err)
			     : err_set(err, ERR_NO, "a field that does not belong there");
}

/* v, d, i, ri, s: the fields before `a`. */
static struct json read_head(struct span body, struct card *card, struct span *schema) {
	struct json j;

	*card = (struct card){.body = body, .until = NEVER};
	json_init(&j, body);
	json_open(&j, '{');
	json_field(&j, "v");
	json_string(&j);
	json_field(&j, "d");
	card->said = json_string(&j);
	json_field(&j, "i");
	card->issuer = json_string(&j);
	if (json_optional(&j, "ri"))
		card->registry = json_string(&j);
	json_field(&j, "s");
	*schema = json_string(&j);
	return j;
}

bool card_check_said(struct span body, char said[static CESR_TEXT], struct err *err) {
	struct span d;
	struct json j;

	json_init(&j, body);
	if (json_value(&j).n == 0 || !json_done(&j))
		return err_set(err, ERR_NO, "the body is no canonical JSON: %s",
			j.error ? j.error : "bytes behind it");
	json_init(&j, body);
	json_open(&j, '{');
	json_field(&j, "v");
	json_string(&j);
	json_field(&j, "d");
	d = json_string(&j);
	if (j.error || !digest_valid(d))
		return err_set(err, ERR_NO, "d is no BLAKE3 digest");
	cesr_said(body, d, span_of(NULL, 0), said);
	return span_is(d, said) || err_set(err, ERR_NO, "d is not the digest of the body");
}

bool card_parse(struct span body, struct card *card, struct err *err) {
	char said[CESR_TEXT];
	struct span schema, block;
	struct json j;

	if (!card_check_said(body, said, err))
		return false;
	j = read_head(body, card, &schema);
	if (j.error || !span_is(schema, CARD_SCHEMA))
		return err_set(err, ERR_NO, "not of the tunnel card's schema");
	if (card->registry.p && !digest_valid(card->registry))
		return err_set(err, ERR_NO, "bad \"ri\"");
	json_field(&j, "a");
	if (json_peek(&j) != '{')
		return err_set(err, ERR_NO, "\"a\" is no map");
	block = json_value(&j);
	json_close(&j, '}');
	if (!json_done(&j))
		return err_set(err, ERR_NO, "a field that does not belong there");
	return read_attributes(block, card, err);
}

/* ---- writing ---- */

static void write_list(FILE *out, const char *name, char **list) {
	if (!list || !list[0])
		return;
	fprintf(out, ",\"%s\":[", name);
	for (size_t i = 0; list[i]; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", list[i]);
	fputc(']', out);
}

static void write_text(FILE *out, const char *name, const char *text) {
	if (text)
		fprintf(out, ",\"%s\":\"%s\"", name, text);
}

static void write_body(FILE *out, const struct card_content *content) {
	char text[CESR_TEXT], when[TIME_TEXT];

	fprintf(out, "{\"v\":\"ACDC10JSON000000_\",\"d\":\"%.44s\",\"i\":\"%s\",\"s\":\"" CARD_SCHEMA "\"",
		EVENT_BLANK_SAID, content->issuer);
	fprintf(out, ",\"a\":{\"dt\":\"%s\",\"host\":\"%s\"", time_format(content->issued, when),
		content->host);
	if (content->key)
		write_text(out, "key", cesr_encode(CESR_X25519, content->key, text));
	if (content->from)
		write_text(out, "from", time_format(content->from, when));
	if (content->until != NEVER)
		write_text(out, "until", time_format(content->until, when));
	write_list(out, "addr", content->addrs);
	write_list(out, "routes", content->routes);
	write_text(out, "endpoint", content->endpoint);
	write_list(out, "logins", content->logins);
	write_list(out, "loginkeys", content->loginkeys);
	write_list(out, "hostkeys", content->hostkeys);
	write_text(out, "journal", content->journal);
	write_text(out, "rosenpass", content->rosenpass);
	fputs("}}", out);
}

bool card_write(const struct card_content *content, uint8_t **body, size_t *n, struct err *err) {
	struct card card;
	FILE *out = open_memstream((char **)body, n);

	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	write_body(out, content);
	if (fclose(out) != 0 || !*body)
		return err_set(err, ERR_ENV, "out of memory");
	event_fill((char *)*body, *n);
	if (card_parse(span_of(*body, *n), &card, err))
		return true;
	free(*body);
	*body = NULL;
	return false;
}
