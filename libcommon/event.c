/* event.c: reads one KERI message body; see event.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "event.h"
#include "json.h"

/* Where a field of this name goes, and what may stand there. */
enum field_kind {
	FIELD_SAID,
	FIELD_AID,
	FIELD_DIGEST,
	FIELD_SN,
	FIELD_VALUE, /* anything */
	FIELD_LIST,  /* a list of anything */
	FIELD_TEXTS, /* a list of strings */
	FIELD_TEXT,
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t place; /* offset of a struct span in struct event, where the kind has one */
};

#define FIELD(name, kind, member) \
	{ name, kind, offsetof(struct event, member) }
#define HEAD                      \
	{"d", FIELD_SAID, 0}, {   \
		"i", FIELD_AID, 0 \
	}
#define SN \
	{ "s", FIELD_SN, 0 }
#define PRIOR FIELD("p", FIELD_DIGEST, prior)
#define KEYS                                                                                       \
	FIELD("kt", FIELD_VALUE, kt), FIELD("k", FIELD_TEXTS, keys), FIELD("nt", FIELD_VALUE, nt), \
		FIELD("n", FIELD_TEXTS, next), FIELD("bt", FIELD_VALUE, bt)
#define INCEPTION                                                                            \
	HEAD, SN, KEYS, FIELD("b", FIELD_TEXTS, witnesses), FIELD("c", FIELD_TEXTS, traits), \
		FIELD("a", FIELD_LIST, seals)
#define ROTATION                                                                                    \
	HEAD, SN, PRIOR, KEYS, FIELD("br", FIELD_TEXTS, cuts), FIELD("ba", FIELD_TEXTS, witnesses), \
		FIELD("a", FIELD_LIST, seals)
#define REGISTRY FIELD("ri", FIELD_DIGEST, registry)
#define DATED \
	{ "dt", FIELD_TEXT, 0 }
#define BACKERS \
	FIELD("c", FIELD_TEXTS, traits), FIELD("bt", FIELD_VALUE, bt), FIELD("b", FIELD_TEXTS, witnesses)

/* Field order of facts/keri.md, after v and t. */
static const struct shape {
	const char *name;
	enum event_ilk ilk;
	struct field fields[14];
} shapes[] = {
	{"icp", EVENT_ICP, {INCEPTION}},
	{"dip", EVENT_DIP, {INCEPTION, FIELD("di", FIELD_TEXT, delegator)}},
	{"rot", EVENT_ROT, {ROTATION}},
	{"drt", EVENT_DRT, {ROTATION}},
	{"ixn", EVENT_IXN, {HEAD, SN, PRIOR, FIELD("a", FIELD_LIST, seals)}},
	{"rct", EVENT_RCT, {HEAD, SN}},
	{"vcp", EVENT_VCP,
		{HEAD, FIELD("ii", FIELD_TEXT, delegator), SN, BACKERS, FIELD("n", FIELD_TEXT, next)}},
	{"vcp", EVENT_VCP, {HEAD, SN, FIELD("ii", FIELD_TEXT, delegator), BACKERS}},
	{"iss", EVENT_ISS, {HEAD, SN, REGISTRY, DATED}},
	{"rev", EVENT_REV, {HEAD, SN, REGISTRY, PRIOR, DATED}},
};

bool event_number(struct span text, uint64_t *number) {
	uint64_t value = 0;

	if (text.n == 0 || text.n > 16 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*number = value;
	return value <= INT64_MAX;
}

static bool is_digest(struct span text) {
	uint8_t raw[CESR_RAW];

	return cesr_decode(text, CESR_BLAKE3, raw);
}

/* So that event_next_text, later, can only end at the list's end. */
static bool only_texts(struct span list) {
	struct span text;

	while (event_next_text(&list, &text))
		;
	return list.n == 0;
}

/* Reads one field's value. False with err's text filled; a JSON error is left to the caller. */
static bool read_field(struct json *j, const struct field *field, struct event *event, struct err *err) {
	struct span *place = (struct span *)((char *)event + field->place);
	struct span text;

	switch (field->kind) {
	case FIELD_SAID:
		event->said = json_string(j);
		return is_digest(event->said) || err_set(err, ERR_NO, "d is no BLAKE3 digest");
	case FIELD_AID:
		event->aid = json_string(j);
		if (cesr_is_aid(event->aid))
			return true;
		event->aid.n = 0;
		return err_set(err, ERR_NO, "i is no identifier");
	case FIELD_SN:
		text = json_string(j);
		if (event_number(text, &event->sn))
			return true;
		event->sn = UINT64_MAX;
		return err_set(err, ERR_NO, "s is no canonical sequence number");
	case FIELD_DIGEST:
		*place = json_string(j);
		return is_digest(*place) || err_set(err, ERR_NO, "%s is no BLAKE3 digest", field->name);
	case FIELD_TEXT:
		text = json_string(j);
		if (field->place)
			*place = text;
		return true;
	case FIELD_TEXTS:
	case FIELD_LIST:
		if (json_peek(j) != '[')
			return err_set(err, ERR_NO, "%s is no list", field->name);
		*place = json_value(j);
		return field->kind == FIELD_LIST || j->error || only_texts(*place) ||
		       err_set(err, ERR_NO, "%s holds something other than strings", field->name);
	case FIELD_VALUE:
		*place = json_value(j);
		return true;
	}
	return false;
}

static bool read_fields(struct json *j, const struct shape *shape, struct event *event, struct err *err) {
	for (const struct field *f = shape->fields; f < shape->fields + 14 && f->name; f++) {
		json_field(j, f->name);
		if (j->error)
			return err_set(err, ERR_NO, "%s: field \"%s\" expected", shape->name, f->name);
		if (!read_field(j, f, event, err) && !j->error)
			return false;
		if (j->error)
			return err_set(err, ERR_NO, "field \"%s\": %s", f->name, j->error);
	}
	json_close(j, '}');
	return json_done(j) ||
	       err_set(err, ERR_NO, "%s", j->error ? "a field too many" : "bytes behind the body");
}

/* Only registries without backers of their own; sn 0, and 1 for a revocation. */
static bool check_registry(const struct event *event, struct err *err) {
	bool vcp = event->ilk == EVENT_VCP;

	if (event->sn != (event->ilk == EVENT_REV))
		return err_set(err, ERR_NO, "sn %llu of a registry event", (unsigned long long)event->sn);
	if (vcp && (!span_is(event->witnesses, "[]") ||
			   (!span_is(event->bt, "\"0\"") && !span_is(event->bt, "0"))))
		return err_set(err, ERR_NO, "a registry with backers is not supported");
	/* keriox's have no nonce, and an i of their own */
	if (vcp && !event->next.p && span_eq(event->aid, event->said))
		return err_set(err, ERR_NO, "i equals d in a registry without n");
	return true;
}

/* d is the digest of the bytes; of an inception's i, too, when that is a digest. */
static bool check_said(const struct event *event, struct err *err) {
	bool vcp = event->ilk == EVENT_VCP;
	bool inception = event->ilk == EVENT_ICP || event->ilk == EVENT_DIP;
	bool digest = event->aid.n && event->aid.p[0] == CESR_BLAKE3;
	bool both = vcp ? event->next.p != NULL : inception && digest;
	char said[CESR_TEXT];

	if (event->ilk > EVENT_RCT && !check_registry(event, err))
		return false;
	if (both && !span_eq(event->aid, event->said))
		return err_set(err, ERR_NO, "i differs from d");
	if (event->ilk == EVENT_DIP && !both)
		return err_set(err, ERR_NO, "i of a delegated inception is no digest");
	if (event->ilk == EVENT_DIP && !cesr_is_aid(event->delegator))
		return err_set(err, ERR_NO, "di is no identifier");
	cesr_said(event->body, event->said, both ? event->aid : span_of(NULL, 0), said);
	return span_is(event->said, said) || err_set(err, ERR_NO, "d is not the digest of the body");
}

bool event_parse(struct span body, struct event *event, struct err *err) {
	const uint8_t *furthest = NULL;
	struct err why, nearest;
	struct event tried;
	struct json j, rest;
	struct span ilk;

	*event = (struct event){.body = body, .sn = UINT64_MAX};
	json_init(&j, body);
	json_open(&j, '{');
	json_field(&j, "v");
	json_string(&j);
	json_field(&j, "t");
	ilk = json_string(&j);
	if (j.error)
		return err_set(err, ERR_NO, "no type: %s", j.error);
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		if (!span_is(ilk, shapes[i].name))
			continue;
		tried = (struct event){.body = body, .sn = UINT64_MAX, .ilk = shapes[i].ilk};
		rest = j;
		if (read_fields(&rest, &shapes[i], &tried, &why)) {
			*event = tried;
			return event->ilk == EVENT_RCT || check_said(event, err);
		}
		/* of two shapes, the one that fits better tells what is wrong */
		if (furthest && rest.rest.p <= furthest)
			continue;
		furthest = rest.rest.p;
		*event = tried;
		nearest = why;
	}
	if (!furthest)
		return err_set(err, ERR_NO, "type \"%.*s\" is not supported", SPAN_ARG(span_cut(ilk, 0, 8)));
	if (err)
		*err = nearest;
	return false;
}

/* A list is taken apart from the front: what is left of it starts with a comma or the bracket. */
static struct json resume(struct span list) {
	struct json j;

	json_init(&j, list);
	if (json_peek(&j) == '[') {
		json_open(&j, '[');
	} else {
		j.first = false;
		j.depth = 1;
	}
	return j;
}

bool event_next_text(struct span *list, struct span *text) {
	struct json j = resume(*list);

	if (!json_next(&j, ']')) {
		*list = j.rest;
		return false;
	}
	*text = json_string(&j);
	if (!j.error)
		*list = j.rest;
	return !j.error;
}

size_t event_count_texts(struct span list) {
	struct span text;
	size_t n = 0;

	while (event_next_text(&list, &text))
		n++;
	return n;
}

/* A seal counts only as a map of exactly the fields named, all strings (DESIGN.md 5.2). */
static void read_seal(struct span text, struct seal *seal) {
	struct span i = {0}, s = {0}, d;
	struct json j;
	bool event;

	*seal = (struct seal){.kind = SEAL_OTHER};
	json_init(&j, text);
	json_open(&j, '{');
	event = json_optional(&j, "i");
	if (event) {
		i = json_string(&j);
		json_field(&j, "s");
		s = json_string(&j);
	}
	json_field(&j, "d");
	d = json_string(&j);
	json_close(&j, '}');
	if (!json_done(&j))
		return;
	seal->kind = event ? SEAL_EVENT : SEAL_DIGEST;
	if (i.n == CESR_CHARS)
		span_copy(i, seal->i, sizeof seal->i);
	if (d.n == CESR_CHARS)
		span_copy(d, seal->d, sizeof seal->d);
	if (!event_number(s, &seal->s))
		seal->s = UINT64_MAX;
}

bool event_next_seal(struct span *list, struct seal *seal) {
	struct json j = resume(*list);
	struct span value;

	if (!json_next(&j, ']'))
		return false;
	value = json_value(&j);
	*list = j.rest;
	if (j.error)
		return false;
	read_seal(value, seal);
	return true;
}

void event_fill(char *body, size_t n) {
	char size[7], said[CESR_TEXT], *blank = body;

	snprintf(size, sizeof size, "%06zx", n);
	memcpy(body + strlen("{\"v\":\"KERI10JSON"), size, 6);
	cesr_digest(span_of(body, n), said);
	while ((blank = memmem(blank, n - (size_t)(blank - body), EVENT_BLANK_SAID, CESR_CHARS)))
		memcpy(blank, said, CESR_CHARS);
}
