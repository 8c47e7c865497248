/* hostile.h: streams that are made to cost more than their length. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_HOSTILE_H
#define VERIMESH_TEST_HOSTILE_H

#include "builder.h"
#include "card.h"
#include "event.h"

#define DIGEST "EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi"

static void add_event(struct text *stream, struct id *id, struct draft d, struct text *field) {
	if (field) {
		draft_set(&d, "a", field->p);
		text_free(field);
	}
	say(stream, id, d);
}

static void nested(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	struct text a = {0};

	text_add(&a, "[");
	for (unsigned i = 0; i < n; i++)
		text_add(&a, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],");
	text_add(&a, "{}]");
	add_event(stream, &id, draft_icp(&id), &a);
}

static void nested_too_deeply(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	struct text a = {0};

	for (unsigned i = 0; i < n; i++)
		text_add(&a, "[");
	for (unsigned i = 0; i < n; i++)
		text_add(&a, "]");
	add_event(stream, &id, draft_icp(&id), &a);
}

/* Each name is compared with those before it in its map. */
static void full_maps(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	struct text a = {0};

	text_add(&a, "[");
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < 256; k++)
			text_add(&a, "%s\"%03u\":0%s", k ? "," : "{", k, k == 255 ? "}," : "");
	text_add(&a, "{}]");
	add_event(stream, &id, draft_icp(&id), &a);
}

/* An inception with groups in front of its signatures. */
static void with_groups(struct text *stream, unsigned n, const struct text *group) {
	struct id id = {.name = "one"};
	struct text body = id_state(&id, draft_icp(&id));

	text_join(stream, &body);
	for (unsigned i = 0; i < n; i++)
		text_join(stream, group);
	add_signatures(stream, &id, text_span(&body));
	text_free(&body);
}

static void empty_groups(struct text *stream, unsigned n) {
	with_groups(stream, n, &(struct text){.p = (char[]){"-AAA"}, .n = 4});
}

static void empty_frames(struct text *stream, unsigned n) {
	with_groups(stream, n, &(struct text){.p = (char[]){"-VAA"}, .n = 4});
}

static void huge_counts(struct text *stream, unsigned n) {
	with_groups(stream, n, &(struct text){.p = (char[]){"--V_____-A__"}, .n = 12});
}

static void wrong_signatures(struct text *stream, unsigned n) {
	struct id other = {.name = "other"};
	struct text group = {0};

	add_signatures(&group, &other, span_str("another message"));
	with_groups(stream, n, &group);
	text_free(&group);
}

static void repeated_signatures(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	struct text group = {0}, body = id_state(&id, draft_icp(&id));

	add_signatures(&group, &id, text_span(&body));
	with_groups(stream, n, &group);
	text_free(&group);
	text_free(&body);
}

static void identifiers(struct text *stream, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		struct id id = {.name = name};

		snprintf(name, sizeof name, "%u", i);
		say(stream, &id, draft_icp(&id));
	}
}

static void receipts_of_unknown_events(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	char said[PRIMITIVE];

	say(stream, &id, draft_icp(&id));
	for (unsigned i = 0; i < n; i++) {
		add_rct(stream, id.aid, 1, digest_of(&i, sizeof i, said));
		add_receipts(stream, span_str("another message"), 0, 1);
	}
}

/* They wait for the receipts of their inceptions. */
static void unreceipted_identifiers(struct text *stream, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		struct id id = {.name = name, .nwitnesses = 1};
		struct text body;

		snprintf(name, sizeof name, "%u", i);
		body = id_state(&id, draft_icp(&id));
		text_join(stream, &body);
		add_signatures(stream, &id, text_span(&body));
		text_free(&body);
	}
}

/* Makes a list of one as long as it may be, with values of this code. */
static void lengthen(struct draft *d, const char *name, char code) {
	struct text list = {0}, *value = &d->field[draft_find(d, name)].value;
	char text[PRIMITIVE];

	text_add(&list, "%.*s", (int)value->n - 1, value->p);
	for (unsigned i = 1; i < 1024; i++)
		text_add(&list, ",\"%c%s\"", code, digest_of(&i, sizeof i, text) + 1);
	text_add(&list, "]");
	draft_set(d, name, list.p);
	text_free(&list);
}

/* Each key is compared with those before it in its list. */
static void key_lists(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};

	for (unsigned i = 0; i < n; i++) {
		struct draft d = i ? draft_rot(&id) : draft_icp(&id);

		lengthen(&d, "k", 'D');
		lengthen(&d, "n", 'E');
		say(stream, &id, d);
	}
}

/* Each of a rotation's bodies is new to the log of another identifier, which has no inception. */
static void events_of_nobody(struct text *stream, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		struct id id = {.name = "one", .sn = 1};
		char said[PRIMITIVE];

		memcpy(id.aid, digest_of(&i, sizeof i, said), SAID);
		memcpy(id.said, DIGEST, SAID);
		say(stream, &id, draft_ixn(&id, "[]"));
	}
}

static void wrong_receipts_of_a_long_event(struct text *stream, unsigned n) {
	struct id id = {.name = "one", .nwitnesses = 1};
	struct text a = {0}, body;
	struct draft d = draft_icp(&id);

	text_add(&a, "[\"%0*u\"]", (int)n * 100, 0);
	draft_set(&d, "a", a.p);
	body = id_state(&id, d);
	text_join(stream, &body);
	add_signatures(stream, &id, text_span(&body));
	for (unsigned i = 0; i < n; i++) {
		add_rct(stream, id.aid, 0, id.said);
		add_receipts(stream, span_str("another message"), 0, 1);
	}
	text_free(&body);
	text_free(&a);
}

/* A list of witnesses that every rotation leaves in the log whole. */
static void witness_lists(struct text *stream, unsigned n) {
	struct id id = {.name = "one", .nwitnesses = 128, .bt = "\"1\""};

	for (unsigned i = 0; i < n; i++) {
		struct text body = id_state(&id, i ? draft_rot(&id) : draft_icp(&id));

		text_join(stream, &body);
		add_signatures(stream, &id, text_span(&body));
		add_receipts(stream, text_span(&body), 0, 1);
		text_free(&body);
	}
}

/* An event with many seals, the last one that of the delegate, who is looked up with every receipt. */
static void receipts_of_one_of_many_delegates(struct text *stream, unsigned n) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss, .nwitnesses = 1};
	struct text a = {0}, body;

	say(stream, &boss, draft_icp(&boss));
	body = id_state(&del, draft_icp(&del));
	text_add(&a, "[");
	for (unsigned i = 0; i < n; i++)
		text_add(&a, "{\"i\":\"%s\",\"s\":\"0\",\"d\":\"%.36s%08x\"},", del.aid, del.said, i);
	text_add(&a, "{\"i\":\"%s\",\"s\":\"0\",\"d\":\"%s\"}]", del.aid, del.said);
	add_event(stream, &boss, draft_ixn(&boss, "[]"), &a);
	text_join(stream, &body);
	add_signatures(stream, &del, text_span(&body));
	add_source_seal(stream, 1, boss.said);
	for (unsigned i = 0; i < n; i++) {
		add_rct(stream, del.aid, 0, del.said);
		text_add(stream, "-AAA");
	}
	text_free(&body);
}

static void many_delegates_of_one_event(struct text *stream, unsigned n) {
	struct id boss = {.name = "boss"};
	struct text a = {0}, messages = {0};

	say(stream, &boss, draft_icp(&boss));
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		struct id del = {.name = name, .delegator = &boss, .anchor_sn = 1};
		struct text body;

		snprintf(name, sizeof name, "%u", i);
		body = id_state(&del, draft_icp(&del));
		text_add(&a, "%s{\"i\":\"%s\",\"s\":\"0\",\"d\":\"%s\"}", i ? "," : "[", del.aid, del.said);
		text_join(&messages, &body);
		add_signatures(&messages, &del, text_span(&body));
		/* the name of the event that seals it is not known yet */
		add_source_seal(&messages, 1, DIGEST);
		text_free(&body);
	}
	text_add(&a, "]");
	add_event(stream, &boss, draft_ixn(&boss, "[]"), &a);
	for (char *p = messages.p; (p = strstr(p, DIGEST));)
		memcpy(p, boss.said, strlen(boss.said));
	text_join(stream, &messages);
	text_free(&messages);
}

/* The delegator supersedes what sealed a long event and seals it anew, again and again. */
static void a_long_event_anchored_anew(struct text *stream, unsigned n) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss}, fork;
	struct text a = {0}, body;
	struct draft d;

	say(stream, &boss, draft_icp(&boss));
	text_add(&a, "[\"%0*u\"]", (int)n * 1000, 0);
	d = draft_icp(&del);
	draft_set(&d, "a", a.p);
	body = id_state(&del, d);
	for (unsigned i = 0; i < n; i++) {
		fork = boss;
		say(stream, &fork, draft_sealing(&fork, &del));
		if (i == 0)
			text_join(stream, &body);
		else
			add_rct(stream, del.aid, 0, del.said);
		add_signatures(stream, &del, text_span(&body));
		add_source_seal(stream, fork.sn - 1, fork.said);
		say(stream, &boss, draft_rot(&boss));
	}
	text_free(&body);
	text_free(&a);
}

/* An ACDC whose SAID is right. Returns it. */
static char *add_acdc(struct text *stream, const char *rest, char *said) {
	struct text body = {0};

	text_add(&body, "{\"v\":\"ACDC10JSON000000_\",\"d\":" BLANK "%s}", rest);
	event_fill(body.p, body.n);
	snprintf(said, SAID, "%s", body.p + 30);
	text_join(stream, &body);
	text_free(&body);
	return said;
}

static void small_bodies(struct text *stream, unsigned n) {
	char number[24], said[SAID];

	for (unsigned i = 0; i < n; i++) {
		snprintf(number, sizeof number, ",\"n\":%u", i);
		add_acdc(stream, number, said);
	}
}

static void a_long_card_sealed_often(struct text *stream, unsigned n) {
	struct id id = {.name = "one"};
	struct text rest = {0}, a = {0};
	char said[SAID];

	say(stream, &id, draft_icp(&id));
	text_add(&rest, ",\"i\":\"%s\",\"s\":\"" CARD_SCHEMA "\",\"a\":{\"dt\":\"%0*u\"}", id.aid,
		(int)n * 50, 0);
	add_acdc(stream, rest.p, said);
	for (unsigned i = 0; i < n; i++)
		text_add(&a, "%s{\"d\":\"%s\"}", i ? "," : "[", said);
	text_add(&a, "]");
	add_event(stream, &id, draft_ixn(&id, "[]"), &a);
	text_free(&rest);
}

static const struct hostile {
	const char *name;
	void (*make)(struct text *stream, unsigned n); /* appends it */
	unsigned n;				       /* makes a stream that is read in milliseconds */
} hostile[] = {
	{"nested lists", nested, 1000},
	{"lists nested too deeply", nested_too_deeply, 50000},
	{"full maps", full_maps, 30},
	{"empty groups", empty_groups, 50000},
	{"empty frames", empty_frames, 50000},
	{"huge counts", huge_counts, 10000},
	{"wrong signatures", wrong_signatures, 2000},
	{"repeated signatures", repeated_signatures, 2000},
	{"identifiers", identifiers, 200},
	{"identifiers without receipts", unreceipted_identifiers, 200},
	{"lists of keys", key_lists, 5},
	{"receipts of unknown events", receipts_of_unknown_events, 500},
	{"events of nobody", events_of_nobody, 500},
	{"wrong receipts of a long event", wrong_receipts_of_a_long_event, 500},
	{"witness lists", witness_lists, 50},
	{"receipts of one of many delegates", receipts_of_one_of_many_delegates, 2000},
	{"many delegates of one event", many_delegates_of_one_event, 200},
	{"small bodies", small_bodies, 1000},
	{"a long card sealed often", a_long_card_sealed_often, 500},
	{"a long event anchored anew", a_long_event_anchored_anew, 50},
};

#endif
