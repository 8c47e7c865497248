/* world.h: several identities that by chance rotate, seal, delegate, recover, fork and give up; in pieces.
 */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_WORLD_H
#define VERIMESH_TEST_WORLD_H

#include "card_builder.h"
#include "chance.h"

#define KEY "\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\""
#define VCP                                                                                  \
	"{\"v\":\"KERI10JSON000000_\",\"t\":\"vcp\",\"d\":" BLANK ",\"i\":" BLANK            \
	",\"ii\":\"%s\",\"s\":\"0\",\"c\":[\"NB\"],\"bt\":\"0\",\"b\":[],\"n\":\"0AAUiJMii_" \
	"rPXXCiLTEEaDT7\"}"
#define ISS                                                       \
	"{\"v\":\"KERI10JSON000000_\",\"t\":\"iss\",\"d\":" BLANK \
	",\"i\":\"%s\",\"s\":\"0\",\"ri\":\"%s\",\"dt\":\"2026-01-01T00:00:00.000000+00:00\"}"

enum { PLAIN, WITNESSED, BOSS, DEL, SUB, MEMBERS }; /* SUB is DEL's delegate, DEL is BOSS's */

struct member {
	struct id id;
	struct id before; /* the last interaction, while nothing but a recovery came behind it */
	bool may_recover;
	struct id sealed; /* DEL, SUB: behind the last event that the delegator sealed, and that event */
	struct text body;
	char registry[SAID], card[SAID]; /* "": none yet */
};

#define PIECES_MAX 400

struct world {
	struct chance *chance;
	struct member members[MEMBERS];
	struct text pieces[PIECES_MAX]; /* a message, or a few, each */
	size_t n;
	unsigned marks; /* makes cards differ */
	/* BOSS, DEL or SUB: the only one of them that does. What a delegate's recovery superseded, and
	 * whether it is back when the delegator's own recovery takes that one back, depends on what is read
	 * first. */
	size_t recovers;
};

static inline struct text *new_piece(struct world *w) {
	if (w->n == PIECES_MAX)
		abort();
	return &w->pieces[w->n++];
}

static inline void world_delegate(struct world *w, struct member *m, struct draft d) {
	struct member *delegator = m == &w->members[DEL] ? &w->members[BOSS] : &w->members[DEL];
	struct text *seal = new_piece(w), *own = new_piece(w), all = {0};
	struct cesr_message message;
	struct span rest;

	delegator->before = delegator->id;
	delegator->may_recover = true;
	say_delegated(seal, &all, &delegator->id, &m->id, d);
	rest = text_span(&all);
	if (cesr_message(&rest, &message, NULL) != CESR_ITEM)
		abort();
	text_free(&m->body);
	text_bytes(&m->body, message.body.p, message.body.n);
	m->sealed = m->id;
	text_join(own, &all);
	text_free(&all);
}

static inline void world_interact(struct world *w, struct member *m, const char *seals) {
	m->before = m->id;
	m->may_recover = true;
	interact(new_piece(w), &m->id, seals);
}

static inline void world_rotate(struct world *w, struct member *m) {
	m->may_recover = false;
	if (m->id.delegator)
		world_delegate(w, m, draft_rot(&m->id));
	else
		rotate(new_piece(w), &m->id, "{}");
}

/* A card, its body before or behind the event that seals it; it may replace the one before. */
static inline void world_card(struct world *w, struct member *m) {
	bool first = chance_below(w->chance, 2), voids = m->card[0] && chance_below(w->chance, 2);
	struct text body = {0};
	char said[SAID], seal[SEAL], attributes[200];

	snprintf(attributes, sizeof attributes, "\"host\":\"db%zu\"," KEY ",\"logins\":[\"l%u\"]",
		chance_below(w->chance, 2), w->marks++);
	add_card(&body, &m->id, NULL, attributes, said);
	if (first)
		text_join(new_piece(w), &body);
	world_interact(w, m, voids ? event_seal(m->card, "1", said, seal) : anchor_seal(said, seal));
	if (!first)
		text_join(new_piece(w), &body);
	memcpy(m->card, said, sizeof said);
	text_free(&body);
}

/* A registry, or a card in it, or the end of that card. */
static inline void world_registry(struct world *w, struct member *m) {
	struct text *bodies = new_piece(w);
	char said[SAID], iss[SAID], seal[SEAL], attributes[200];

	if (!m->registry[0]) {
		add_body(bodies, m->registry, VCP, m->id.aid);
		world_interact(w, m, event_seal(m->registry, "0", m->registry, seal));
		return;
	}
	snprintf(attributes, sizeof attributes, "\"host\":\"reg%zu\"," KEY ",\"logins\":[\"l%u\"]",
		chance_below(w->chance, 2), w->marks++);
	add_card(bodies, &m->id, m->registry, attributes, said);
	add_body(chance_below(w->chance, 2) ? bodies : new_piece(w), iss, ISS, said, m->registry);
	world_interact(w, m, event_seal(said, "0", iss, seal));
	if (chance_below(w->chance, 3) == 0)
		world_interact(w, m, event_seal(said, "1", iss, seal));
}

/* Its receipts come later, in another form. */
static inline void world_late_receipts(struct world *w, struct member *m) {
	struct text *event = new_piece(w), *receipts = new_piece(w), body;

	m->may_recover = false;
	body = id_state(&m->id, draft_ixn(&m->id, "[{}]"));
	text_join(event, &body);
	add_signatures(event, &m->id, text_span(&body));
	add_receipts(event, text_span(&body), 0, 1);
	add_rct(receipts, m->id.aid, m->id.sn - 1, m->id.said);
	if (chance_below(w->chance, 2)) {
		struct key key = key_of("witness", 0, 1);

		add_counter(receipts, 'C', 1);
		add_couple(receipts, text_span(&body), &key);
	} else {
		add_receipts(receipts, text_span(&body), 1, 3);
	}
	text_free(&body);
}

/* What the recovered delegator had sealed last it may seal again. */
static inline void world_recover(struct world *w, struct member *m) {
	struct member *del = m == &w->members[BOSS] ? &w->members[DEL] : &w->members[SUB];
	bool again = m->id.delegator == NULL && m == &w->members[BOSS] && del->body.n &&
		     chance_below(w->chance, 2);
	struct text *rotation, *event;
	char seal[SEAL], sn[20];

	m->id = m->before;
	m->may_recover = false;
	if (m->id.delegator) {
		world_delegate(w, m, draft_rot(&m->id));
		return;
	}
	rotation = new_piece(w);
	if (!again) {
		rotate(rotation, &m->id, "{}");
		return;
	}
	snprintf(sn, sizeof sn, "%" PRIx64, del->sealed.sn - 1);
	rotate(rotation, &m->id, event_seal(del->id.aid, sn, del->sealed.said, seal));
	event = new_piece(w);
	text_join(event, &del->body);
	add_signatures(event, &del->sealed, text_span(&del->body));
	add_source_seal(event, m->id.sn - 1, m->id.said);
	del->id = del->sealed;
	del->may_recover = false;
}

/* Another event where one was. */
static inline void world_fork(struct world *w, struct member *m) {
	struct id twin = m->before;

	interact(new_piece(w), &twin, "{\"d\":\"nothing\"}");
}

static inline void world_give_up(struct world *w, struct member *m) {
	struct draft d = draft_rot(&m->id);

	draft_set(&d, "nt", "\"0\"");
	draft_set(&d, "n", "[]");
	m->may_recover = false;
	say(new_piece(w), &m->id, d);
}

static inline void world_step(struct world *w) {
	struct member *m = &w->members[chance_below(w->chance, MEMBERS)];
	char seal[SEAL];

	switch (chance_below(w->chance, 16)) {
	case 0:
	case 1:
	case 2:
		world_rotate(w, m);
		break;
	case 3:
	case 4:
	case 5:
		world_card(w, m);
		break;
	case 6:
	case 7:
		world_registry(w, m);
		break;
	case 8:
		if (m == &w->members[WITNESSED])
			world_late_receipts(w, m);
		break;
	case 9:
	case 10:
		if (m->may_recover && (m < &w->members[BOSS] || m == &w->members[w->recovers]))
			world_recover(w, m);
		break;
	case 11:
		if (m->may_recover && chance_below(w->chance, 4) == 0)
			world_fork(w, m);
		break;
	case 12:
		if (m == &w->members[PLAIN] && chance_below(w->chance, 6) == 0)
			world_give_up(w, m);
		break;
	case 13: /* somebody else's card */
		if (w->members[PLAIN].card[0])
			world_interact(w, m, anchor_seal(w->members[PLAIN].card, seal));
		break;
	default:
		world_interact(w, m, "{}");
	}
}

static inline void world_shuffle(struct world *w) {
	for (size_t i = 1; i < w->n; i++)
		if (chance_below(w->chance, 5) == 0) {
			struct text other = w->pieces[i - 1];

			w->pieces[i - 1] = w->pieces[i];
			w->pieces[i] = other;
		}
}

/* *w must stay where it is. */
static inline void world_make(struct world *w, struct chance *chance, size_t steps) {
	static const char *const names[MEMBERS] = {"plain", "witnessed", "boss", "del", "sub"};

	*w = (struct world){.chance = chance, .recovers = BOSS + chance_below(chance, 3)};
	for (size_t i = 0; i < MEMBERS; i++)
		w->members[i].id.name = names[i];
	w->members[WITNESSED].id.nwitnesses = 3;
	w->members[WITNESSED].id.bt = "\"2\"";
	w->members[DEL].id.delegator = &w->members[BOSS].id;
	w->members[SUB].id.delegator = &w->members[DEL].id;
	for (size_t i = 0; i < DEL; i++)
		incept(new_piece(w), &w->members[i].id, "");
	world_delegate(w, &w->members[DEL], draft_icp(&w->members[DEL].id));
	world_delegate(w, &w->members[SUB], draft_icp(&w->members[SUB].id));
	for (size_t i = 0; i < steps; i++)
		world_step(w);
	world_shuffle(w);
}

static inline void world_free(struct world *w) {
	for (size_t i = 0; i < w->n; i++)
		text_free(&w->pieces[i]);
	for (size_t i = 0; i < MEMBERS; i++)
		text_free(&w->members[i].body);
}

#endif
