/* test_rules_seals.c: each rule for what one log seals for another, or for a registry, kept and broken
 * alone. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sodium.h>
#include <cmocka.h>

#include "cards.h"
#include "rule_bench.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define REFUSED VERDICT_REFUSED
#define TRUNCATED VERDICT_TRUNCATED
#define DUPLICITOUS VERDICT_DUPLICITOUS

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* Both kinds of cases must be there, or a rule is not tested. */
static void expect_both(const char *rule, bool kept, bool broken) {
	if (!kept || !broken)
		fail_msg("%s: no case that %s", rule, kept ? "breaks it" : "keeps it");
}

/* ---- Delegation ---- */

/* A delegator, boss, and a delegate whose log follows a script. Each event of his that needs it is sealed in
 * boss's next event; the last one is bent, sealed and signed as the case says. A line without a rule is of
 * the one above. */
static const struct delegated {
	const char *rule, *script, *bends;
	const char *seals;  /* `a` of boss's event; NULL: the right seal */
	const char *source; /* what -G says, of boss's log; NULL: that event; "": there is none */
	/* What else is bent in boss's log: his traits; r: he rotates where he sealed; cut: the event that
	 * seals is missing, none: all are. */
	const char *boss;
	int verdict;
	const char *reason;
} delegations[] = {
	{"fields of dip: as of icp, then di", "i", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "i", "-di", NULL, NULL, NULL, REFUSED, "field \"di\" expected"},
	{NULL, "i", "~a", NULL, NULL, NULL, REFUSED, "field \"a\" expected"},
	{NULL, "i", "+x=1", NULL, NULL, NULL, REFUSED, "a field too many"},
	{"fields of drt: as of rot", "ir", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "ir", "~ba", NULL, NULL, NULL, REFUSED, "field \"ba\" expected"},
	{NULL, "ir", "+di='<x>'", NULL, NULL, NULL, REFUSED, "a field too many"},
	{"i of a delegated identifier is a digest, and d", "i", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "i", "i='<k0.0>'", NULL, NULL, NULL, REFUSED, "i of a delegated inception is no digest"},
	{NULL, "i", "i='<b0.0>'", NULL, NULL, NULL, REFUSED, "i of a delegated inception is no digest"},
	{NULL, "i", "i='<x>'", NULL, NULL, NULL, REFUSED, "i differs from d"},
	{NULL, "i", "d='<x>'; i='<x>'", NULL, NULL, NULL, REFUSED, "d is not the digest of the body"},
	{"di is the delegator", "i", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "i", "di='<x>'", NULL, NULL, NULL, REFUSED, "the delegator's event 1 is missing"},
	{NULL, "i", "di='<c0.0>'", NULL, NULL, NULL, REFUSED, "di is no identifier"},
	{NULL, "i", "di=''", NULL, NULL, NULL, REFUSED, "di is no identifier"},
	{"dip and drt carry -G, ixn need not", "irx", NULL, NULL, "", NULL, GOOD, ""},
	{NULL, "i", NULL, NULL, "", NULL, REFUSED, "delegated without a source seal"},
	{NULL, "ir", NULL, NULL, "", NULL, REFUSED, "delegated without a source seal"},
	{"it names the event that the delegator's log has at that sn", "i", NULL, NULL, "<g1><e1>", NULL,
		GOOD, ""},
	{NULL, "ir", NULL, NULL, "<g2><e2>", "[\"EO\"]", GOOD, ""},
	{NULL, "i", NULL, NULL, "<g0><e1>", NULL, REFUSED, "another event 0"},
	{NULL, "i", NULL, NULL, "<g2><e1>", NULL, REFUSED, "the delegator's event 2 is missing"},
	{NULL, "i", NULL, NULL, "<g1><e0>", NULL, REFUSED, "another event 1"},
	{NULL, "i", NULL, NULL, "<g1><x>", NULL, REFUSED, "another event 1"},
	{NULL, "ir", NULL, NULL, "<g1><e1>", NULL, REFUSED, "the delegator's event 1 does not seal it"},
	{NULL, "i", NULL, NULL, "<g0><e0>", NULL, REFUSED, "the delegator's event 0 does not seal it"},
	{NULL, "i", NULL, NULL, "0AAAAAAAAAAAAIAAAAAAAAAA<e1>", NULL, REFUSED,
		"no canonical counter or item"},
	{"the seal is exactly {i, s, d} of the delegated event", "i", NULL,
		"[{'i':'<i>','s':'0','d':'<e0>'}]", NULL, NULL, GOOD, ""},
	{NULL, "i", NULL, "[{},{'d':'<e0>'},{'i':'<i>','s':'0','d':'<e0>'},1]", NULL, NULL, GOOD, ""},
	{NULL, "i", NULL, "[{'i':'<i>','s':'1','d':'<e0>'}]", NULL, NULL, REFUSED,
		"event 1 does not seal it"},
	{NULL, "i", NULL, "[{'i':'<i>','s':'00','d':'<e0>'}]", NULL, NULL, REFUSED,
		"event 1 does not seal it"},
	{NULL, "i", NULL, "[{'i':'<i>','s':0,'d':'<e0>'}]", NULL, NULL, REFUSED, "event 1 does not seal it"},
	{NULL, "i", NULL, "[{'i':'<x>','s':'0','d':'<e0>'}]", NULL, NULL, REFUSED,
		"event 1 does not seal it"},
	{NULL, "i", NULL, "[{'i':'<i>','s':'0','d':'<x>'}]", NULL, NULL, REFUSED,
		"event 1 does not seal it"},
	{NULL, "i", NULL, "[{'i':'<i>','s':'0','d':'<e0>','x':1}]", NULL, NULL, REFUSED, "does not seal it"},
	{NULL, "i", NULL, "[{'s':'0','i':'<i>','d':'<e0>'}]", NULL, NULL, REFUSED,
		"event 1 does not seal it"},
	{NULL, "i", NULL, "[{'x':{'i':'<i>','s':'0','d':'<e0>'}}]", NULL, NULL, REFUSED, "does not seal it"},
	{NULL, "i", NULL, "[{'d':'<e0>'}]", NULL, NULL, REFUSED, "event 1 does not seal it"},
	{NULL, "i", NULL, "[]", NULL, NULL, REFUSED, "event 1 does not seal it"},
	{NULL, "ir", NULL, "[{'i':'<i>','s':'1','d':'<e0>'}]", NULL, NULL, REFUSED,
		"event 2 does not seal it"},
	{"without the delegator's log it is not accepted", "i", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "i", NULL, NULL, NULL, "none", REFUSED, "the delegator's event 1 is missing"},
	{NULL, "i", NULL, NULL, NULL, "cut", REFUSED, "the delegator's event 1 is missing"},
	{NULL, "ir", NULL, NULL, NULL, "cut", REFUSED, "the delegator's event 2 is missing"},
	{"a delegator with DND may not delegate", "i", NULL, NULL, NULL, "[\"NB\",\"DN\",\"dnd\"]", GOOD,
		""},
	{NULL, "i", NULL, NULL, NULL, "[\"DND\"]", REFUSED, "DND"},
	{NULL, "i", NULL, NULL, NULL, "[\"EO\",\"DND\"]", REFUSED, "DND"},
	{"a delegated identifier rotates by drt", "ir", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "ir", "t='rot'", NULL, NULL, NULL, REFUSED, "rot on a delegated identifier"},
	{NULL, "ir", "t='rot'", NULL, "", NULL, REFUSED, "rot on a delegated identifier"},
	{"a drt is signed like a rot", "ir", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "ir", "k=['<k7.0>']", NULL, NULL, NULL, REFUSED, "signing threshold not met"},
	{NULL, "ir", "p='<x>'", NULL, NULL, NULL, REFUSED, "p is not the event at sn 0"},
	{NULL, "irr", "1:n=[]; 1:nt='0'", NULL, NULL, NULL, REFUSED, "nothing may follow"},
	{"what a superseded event of the delegator sealed is not accepted", "ir", NULL, NULL, NULL, NULL,
		GOOD, ""},
	{NULL, "i", NULL, NULL, NULL, "r", REFUSED, "the source seal names another event 1"},
	{NULL, "ir", NULL, NULL, NULL, "r", REFUSED, "the source seal names another event 2"},
	{"a drt supersedes ixn, but no drt", "ixxx/1r", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "ixxx/3r", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "ixrx/3r", NULL, NULL, NULL, NULL, GOOD, ""},
	{NULL, "irx/1r", "a=[1]", NULL, NULL, NULL, DUPLICITOUS, "another event was accepted at sn 1"},
	{NULL, "irr/1r", "a=[1]", NULL, NULL, NULL, DUPLICITOUS, "another event was accepted at sn 1"},
	{NULL, "ixrx/1r", NULL, NULL, NULL, NULL, DUPLICITOUS, "another event was accepted at sn 1"},
	{NULL, "irx/1r", "a=[1]", NULL, "", NULL, REFUSED, "delegated without a source seal"},
	{NULL, "irx/1r", "a=[1]", "[]", NULL, NULL, REFUSED, "does not seal it"},
	{NULL, "ixx/1r", NULL, NULL, "", NULL, REFUSED, "delegated without a source seal"},
	{"EO holds for a delegate", "ir", "0:c=['EO']", NULL, NULL, NULL, GOOD, ""},
	{NULL, "ix", "0:c=['EO']", NULL, "", NULL, REFUSED, "EO"},
};

struct pair {
	struct bench boss, del;
};

/* An event of boss's with these seals; EO: a rotation. */
static void seal(struct pair *p, const char *form) {
	struct text seals = expand(&p->del, form, strlen(form)), bends = {0};
	bool rotates = p->boss.id.traits && strstr(p->boss.id.traits, "EO");

	text_add(&bends, "a=%s", seals.p);
	bench_event(&p->boss, rotates ? 'r' : 'x', bends.p, NULL, true);
	text_free(&seals);
	text_free(&bends);
}

/* The delegate's next event, boss's that seals it, and -G that says so. */
static void delegate(struct pair *p, char letter, const struct delegated *c, bool last) {
	struct text body = bench_body(&p->del, letter, c->bends, last), words = {0}, source;
	char form[80];

	if (letter != 'x') {
		snprintf(form, sizeof form, "[{'i':'<i>','s':'%x','d':'<e%u>'}]", (unsigned)p->del.id.sn - 1,
			(unsigned)p->del.id.sn - 1);
		seal(p, last && c->seals ? c->seals : form);
	}
	snprintf(form, sizeof form, "<g%u><e%u>", (unsigned)p->boss.id.sn - 1, (unsigned)p->boss.id.sn - 1);
	if (last && c->source)
		snprintf(form, sizeof form, "%s", c->source);
	source = expand(&p->boss, form, strlen(form));
	text_add(&words, "-A1 A0");
	if (source.n && letter != 'x')
		text_add(&words, " =-GAB%s", source.p);
	attach(&p->del, &body, words.p);
	if (!last)
		p->del.standing = p->del.id;
	text_free(&body);
	text_free(&words);
	text_free(&source);
}

static void play_pair(struct pair *p, const struct delegated *c) {
	*p = (struct pair){.boss = {.id = {.name = "boss"}}, .del = {.id = {.name = "del"}}};
	if (c->boss && c->boss[0] == '[')
		p->boss.id.traits = c->boss;
	p->del.id.delegator = &p->boss.id;
	p->del.standing = p->del.id;
	bench_event(&p->boss, 'i', NULL, NULL, false);
	for (const char *s = c->script; *s; s++)
		if (*s == '/')
			p->del.id = p->del.at[*++s - '0'];
		else
			delegate(p, *s, c, s[1] == 0);
	if (!c->boss)
		return;
	if (strcmp(c->boss, "r") == 0) {
		p->boss.id = p->boss.at[p->boss.id.sn - 1];
		bench_event(&p->boss, 'r', NULL, NULL, true);
	} else if (strcmp(c->boss, "cut") == 0) {
		p->boss.stream.n = p->boss.last;
		p->boss.bodies--;
	} else if (strcmp(c->boss, "none") == 0) {
		p->boss.stream.n = 0;
		p->boss.bodies = 0;
	}
}

/* Reads both logs; the delegator's first, or the delegate's. The verdict and its reason are given for the
 * one; in the other order an event that waits for the delegator's may be named before the one that is bent.
 */
static bool reads_as(const struct pair *p, const struct delegated *c, bool boss_first, const char *what) {
	struct text stream = {0};
	struct bench_result r;
	bool good;

	text_join(&stream, boss_first ? &p->boss.stream : &p->del.stream);
	text_join(&stream, boss_first ? &p->del.stream : &p->boss.stream);
	bench_read(&r, &stream);
	if (boss_first || c->verdict == GOOD) {
		good = is_verdict(&r, what, c->verdict, p->boss.bodies + p->del.bent, c->reason) &&
		       is_state(&r, what, c->verdict == GOOD ? &p->del.id : &p->del.standing);
	} else {
		const struct kel *kel = book_kel(&r.book, p->del.id.aid);

		good = r.n == 1 && (!kel || kel->count <= p->del.standing.sn);
		if (!good)
			print_error("%s: accepted when the delegate's log comes first\n", what);
	}
	book_free(&r.book);
	text_free(&stream);
	return good;
}

static bool delegation_holds(const char *name, const struct delegated *c) {
	struct text what = {0};
	struct pair p;
	bool good;

	play_pair(&p, c);
	text_add(&what, "%s: %s, %s, %s, %s, %s", name, c->script, c->bends ? c->bends : "as it should be",
		c->seals ? c->seals : "sealed", c->source ? c->source : "so",
		c->boss ? c->boss : "all of boss's");
	good = reads_as(&p, c, true, what.p);
	good = reads_as(&p, c, false, what.p) && good;
	text_free(&what);
	bench_free(&p.boss);
	bench_free(&p.del);
	return good;
}

static void every_rule_of_delegation(void **state) {
	size_t failed = 0;

	(void)state;
	for (size_t i = 0, first = 0; i < COUNT(delegations); i++) {
		bool kept = false, broken = false;

		if (delegations[i].rule)
			first = i;
		failed += !delegation_holds(delegations[first].rule, &delegations[i]);
		for (size_t k = first; k <= i; k++) {
			kept = kept || delegations[k].verdict < 0;
			broken = broken || delegations[k].verdict >= 0;
		}
		if (i + 1 == COUNT(delegations) || delegations[i + 1].rule)
			expect_both(delegations[first].rule, kept, broken);
	}
	assert_int_equal(failed, 0);
}

/* ---- Credentials ---- */

#define IGNORED (-3) /* no refusal; the card does not count */
#define VOID (-4)    /* it counts, and is void */

#define SEAL_VCP "{'i':'<R>','s':'0','d':'<V>'}"
#define SEAL_ISS "{'i':'<C>','s':'0','d':'<S>'}"
#define SEAL_REV "{'i':'<C>','s':'1','d':'<T>'}"

/* A registry, R, whose inception is V; a card in it, C, whose issuance is S, whose revocation T. Each body
 * is bent as said, and sealed in an event of its own. A line without a rule is of the one above. */
static const struct credential {
	const char *rule;
	bool keriox, revoked;
	char event;		  /* what is bent: v, s, t, c as above; or a: how all are anchored */
	const char *bends, *seal; /* NULL: as it should be; an empty seal: none */
	int verdict;
	const char *reason;
} credentials[] = {
	{"keripy's vcp: v t d i ii s c bt b n, i is d", false, false, 'v', NULL, NULL, GOOD, ""},
	{NULL, false, false, 'v', "~ii", NULL, REFUSED, "a field too many"},
	{NULL, false, false, 'v', "-c", NULL, REFUSED, "vcp: field \"c\" expected"},
	{NULL, false, false, 'v', "+x=1", NULL, REFUSED, "a field too many"},
	{NULL, false, false, 'v', "i='<x>'", NULL, REFUSED, "i differs from d"},
	{NULL, false, false, 'v', "-n", NULL, REFUSED, "vcp: field \"n\" expected"},
	{"keriox's vcp: v t d i s ii c bt b, i is not d", true, false, 'v', NULL, NULL, GOOD, ""},
	{NULL, true, false, 'v', "~s", NULL, REFUSED, "vcp: field \"n\" expected"},
	{NULL, true, false, 'v', "+n='0A'", NULL, REFUSED, "a field too many"},
	{NULL, true, false, 'v', "i='############################################'", NULL, REFUSED,
		"i equals d"},
	{"iss: v t d i s ri dt", false, false, 's', NULL, NULL, GOOD, ""},
	{NULL, false, false, 's', "~s", NULL, REFUSED, "iss: field \"s\" expected"},
	{NULL, false, false, 's', "-dt", NULL, REFUSED, "iss: field \"dt\" expected"},
	{NULL, false, false, 's', "+p='<x>'", NULL, REFUSED, "a field too many"},
	{NULL, false, false, 's', "t='bis'", NULL, REFUSED, "type \"bis\" is not supported"},
	{NULL, false, false, 's', "s='1'", NULL, REFUSED, "sn 1 of a registry event"},
	{"rev: v t d i s ri p dt", false, true, 't', NULL, NULL, VOID, ""},
	{NULL, false, true, 't', "~ri", NULL, REFUSED, "rev: field \"ri\" expected"},
	{NULL, false, true, 't', "-p", NULL, REFUSED, "rev: field \"p\" expected"},
	{NULL, false, true, 't', "t='brv'", NULL, REFUSED, "type \"brv\" is not supported"},
	{NULL, false, true, 't', "s='0'", NULL, REFUSED, "sn 0 of a registry event"},
	{"registry events have the protocol KERI", false, false, 's', "v='KERI10JSON<z0>_'", NULL, GOOD, ""},
	{NULL, false, false, 's', "v='ACDC10JSON<z0>_'", NULL, REFUSED, "d is no BLAKE3 digest"},
	{NULL, false, false, 's', "v='TELS10JSON<z0>_'", NULL, REFUSED, "version string"},
	{"a registry has no backers", false, false, 'v', "bt=0", NULL, GOOD, ""},
	{NULL, false, false, 'v', "b=['<w0>']", NULL, REFUSED, "a registry with backers is not supported"},
	{NULL, false, false, 'v', "bt='1'", NULL, REFUSED, "a registry with backers is not supported"},
	{NULL, true, false, 'v', "b=['<w0>']", NULL, REFUSED, "a registry with backers is not supported"},
	{"d is computed from the bytes, whatever is sealed", false, false, 's', NULL, NULL, GOOD, ""},
	{NULL, false, false, 'v', "d='<x>'; i='<x>'", NULL, REFUSED, "d is not the digest of the body"},
	{NULL, true, false, 'v', "d='<x>'", NULL, REFUSED, "d is not the digest of the body"},
	{NULL, false, false, 's', "d='<x>'", NULL, REFUSED, "d is not the digest of the body"},
	{NULL, false, true, 't', "d='<x>'", NULL, REFUSED, "d is not the digest of the body"},
	{"a credential has the protocol ACDC", false, false, 'c', NULL, NULL, GOOD, ""},
	{NULL, false, false, 'c', "v='KERI10JSON<z0>_'", NULL, REFUSED, "no type"},
	{NULL, false, false, 'c', "v='ACDC20JSON<z0>_'", NULL, REFUSED, "version string"},
	{NULL, false, false, 'c', "v='ACDC10JSON<Z0>_'", NULL, REFUSED, "version string"},
	{"its d is the digest of its bytes", false, false, 'c', NULL, NULL, GOOD, ""},
	{NULL, false, false, 'c', "d='<x>'", NULL, REFUSED, "d is not the digest"},
	{"it names its issuer and its registry", false, false, 'c', "i='<i>'; ri='<R>'", NULL, GOOD, ""},
	{NULL, false, false, 'c', "i='<x>'", NULL, IGNORED, ""},
	{NULL, false, false, 'c', "ri='<x>'", NULL, IGNORED, ""},
	{NULL, false, false, 'c', "-ri", NULL, IGNORED, ""},
	{NULL, true, false, 'c', "ri='<V>'", NULL, IGNORED, ""},
	{"a registry is its issuer's", false, false, 'v', "ii='<i>'", NULL, GOOD, ""},
	{NULL, false, false, 'v', "ii='<x>'", NULL, IGNORED, ""},
	{"it is sealed by {i, s, d}, i the registry, d the event", false, false, 'v', NULL, SEAL_VCP, GOOD,
		""},
	{NULL, true, false, 'v', NULL, SEAL_VCP, GOOD, ""},
	{NULL, false, false, 'v', NULL, "", IGNORED, ""},
	{NULL, false, false, 'v', NULL, "{'d':'<V>'}", IGNORED, ""},
	{NULL, false, false, 'v', NULL, "{'i':'<x>','s':'0','d':'<V>'}", IGNORED, ""},
	{NULL, true, false, 'v', NULL, "{'i':'<V>','s':'0','d':'<V>'}", IGNORED, ""},
	{NULL, true, false, 'v', "i='<x>'", NULL, IGNORED, ""},
	{NULL, false, false, 'v', NULL, "{'i':'<R>','s':'1','d':'<V>'}", IGNORED, ""},
	{NULL, false, false, 'v', NULL, "{'i':'<R>','s':'0','d':'<x>'}", IGNORED, ""},
	{NULL, false, false, 'v', NULL, "{'i':'<R>','s':'0','d':'<V>','x':1}", IGNORED, ""},
	{"an iss is sealed by {i, s, d}, i the card, d the event", false, false, 's', NULL, SEAL_ISS, GOOD,
		""},
	{NULL, false, false, 's', NULL, "", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'d':'<S>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'d':'<C>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'i':'<R>','s':'0','d':'<S>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'i':'<S>','s':'0','d':'<S>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'i':'<C>','s':'1','d':'<S>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'i':'<C>','s':'0','d':'<V>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'i':'<C>','s':'0','d':'<x>'}", IGNORED, ""},
	{NULL, false, false, 's', NULL, "{'s':'0','i':'<C>','d':'<S>'}", IGNORED, ""},
	{"an iss is of that card, in that registry", false, false, 's', "i='<C>'; ri='<R>'", NULL, GOOD, ""},
	{NULL, false, false, 's', "i='<x>'", NULL, IGNORED, ""},
	{NULL, false, false, 's', "ri='<x>'", NULL, IGNORED, ""},
	{NULL, true, false, 's', "ri='<V>'", NULL, IGNORED, ""},
	{"a rev is sealed by {i, s, d}, i the card", false, true, 't', NULL, SEAL_REV, VOID, ""},
	{NULL, false, true, 't', NULL, "", GOOD, ""},
	{NULL, false, true, 't', NULL, "{'i':'<x>','s':'1','d':'<T>'}", GOOD, ""},
	{NULL, false, true, 't', NULL, "{'i':'<R>','s':'1','d':'<T>'}", GOOD, ""},
	{NULL, false, true, 't', NULL, "{'d':'<T>'}", GOOD, ""},
	{"they are anchored in ixn or rot that stand", false, true, 'a', "x", NULL, VOID, ""},
	{NULL, false, true, 'a', "r", NULL, VOID, ""},
	{NULL, true, true, 'a', "r", NULL, VOID, ""},
	{NULL, false, false, 'a', "r", NULL, GOOD, ""},
	{NULL, false, true, 'a', "superseded", NULL, GOOD, ""},
	{NULL, false, false, 'a', "superseded", NULL, IGNORED, ""},
};

static struct text registry_body(struct bench *b, char event, const struct credential *c) {
	struct draft d = draft_head(event == 'v'   ? "vcp"
				    : event == 's' ? "iss"
						   : "rev",
		BLANK,
		event != 'v' ? b->names['C' - 'A']
		: c->keriox  ? b->names['R' - 'A']
			     : BLANK);

	if (event == 'v' && !c->keriox)
		draft_add(&d, "ii", "\"%s\"", b->id.aid);
	draft_add(&d, "s", event == 't' ? "\"1\"" : "\"0\"");
	if (event == 'v') {
		if (c->keriox)
			draft_add(&d, "ii", "\"%s\"", b->id.aid);
		draft_add(&d, "c", "[\"NB\"]");
		draft_add(&d, "bt", "\"0\"");
		draft_add(&d, "b", "[]");
		if (!c->keriox)
			draft_add(&d, "n", "\"0AAUiJMii_rPXXCiLTEEaDT7\"");
	} else {
		draft_add(&d, "ri", "\"%s\"", b->names['R' - 'A']);
		if (event == 't')
			draft_add(&d, "p", "\"%s\"", b->names['S' - 'A']);
		draft_add(&d, "dt", "\"2026-01-01T00:00:00.000000+00:00\"");
	}
	if (event == c->event)
		bend(&d, b, c->bends, true);
	return draft_body(&d);
}

/* The event of the issuer that has the seal. */
static void anchor(struct bench *b, char event, const struct credential *c, const char *form) {
	const char *how = c->event == 'a' ? c->bends : "x";
	struct text one, bends = {0};

	if (event == c->event && c->seal)
		form = c->seal;
	one = expand(b, form, strlen(form));
	text_add(&bends, "a=[%s]", one.p);
	bench_event(b, *how == 'r' ? 'r' : 'x', bends.p, NULL, true);
	text_free(&one);
	text_free(&bends);
	/* the last one, once more without */
	if (*how == 's' && event == (c->revoked ? 't' : 's')) {
		b->id = b->at[b->id.sn - 1];
		bench_event(b, 'r', NULL, NULL, true);
	}
}

/* A registry event and its seal. name: what it is called. */
static void add_registry_event(
	struct bench *b, char event, const struct credential *c, char name, const char *form) {
	struct text body = registry_body(b, event, c);
	uint64_t number = b->bodies++, bent = b->bent;

	body_field(&body, "d", b->names[name - 'A']);
	if (event == 'v' && !c->keriox)
		memcpy(b->names['R' - 'A'], b->names[name - 'A'], SAID);
	text_join(&b->stream, &body);
	text_free(&body);
	anchor(b, event, c, form);
	b->bent = event == c->event ? number : bent;
}

/* The card, which the issuance seals. */
static void add_credential(struct bench *b, const struct credential *c) {
	struct draft d = {0};
	struct text body;

	draft_add(&d, "v", "%s", VERSION);
	draft_add(&d, "d", "%s", BLANK);
	draft_add(&d, "i", "\"%s\"", b->id.aid);
	draft_add(&d, "ri", "\"%s\"", b->names['R' - 'A']);
	draft_add(&d, "s", "\"%s\"", CARD_SCHEMA);
	draft_add(&d, "a", "{\"dt\":\"2026-01-01T00:00:00.000000+00:00\",\"host\":\"database-one\"}");
	if (c->event == 'c') {
		bend(&d, b, c->bends, true);
		b->bent = b->bodies;
	}
	if (!c->bends || c->event != 'c' || !strstr(c->bends, "v="))
		bend(&d, b, "v='ACDC10JSON<z0>_'", true);
	body = draft_body(&d);
	body_field(&body, "d", b->names['C' - 'A']);
	text_join(&b->stream, &body);
	b->bodies++;
	text_free(&body);
}

static int credential_outcome(const struct bench_result *r, const struct bench *b) {
	const struct kel *kel = book_kel(&r->book, b->id.aid);
	struct cards_entry *entries;
	int outcome = IGNORED;
	struct err err;
	size_t n;

	assert_non_null(kel);
	assert_true(cards_list(&r->book, kel, &entries, &n, &err));
	for (size_t i = 0; i < n; i++)
		if (span_is(entries[i].card.said, b->names['C' - 'A']))
			outcome = entries[i].voided ? VOID : GOOD;
	free(entries);
	return outcome;
}

static bool credential_holds(const char *name, const struct credential *c) {
	struct bench b = {.id = {.name = "org"}};
	struct bench_result r;
	struct text what = {0};
	bool good;

	text_add(&what, "%s: %s, %c, %s, %s", name, c->keriox ? "keriox" : "keripy", c->event,
		c->bends ? c->bends : "as it should be", c->seal ? c->seal : "sealed");
	bench_event(&b, 'i', NULL, NULL, false);
	digest_of("registry", 8, b.names['R' - 'A']);
	add_registry_event(&b, 'v', c, 'V', SEAL_VCP);
	add_credential(&b, c);
	add_registry_event(&b, 's', c, 'S', SEAL_ISS);
	if (c->revoked)
		add_registry_event(&b, 't', c, 'T', SEAL_REV);
	bench_read(&r, &b.stream);
	good = is_verdict(&r, what.p, c->verdict, b.bent, c->reason);
	if (good && c->verdict < 0 && credential_outcome(&r, &b) != c->verdict) {
		print_error("%s: %d, not %d\n", what.p, credential_outcome(&r, &b), c->verdict);
		good = false;
	}
	book_free(&r.book);
	text_free(&what);
	bench_free(&b);
	return good;
}

/* Its first case keeps a rule, some other does not. */
static void every_rule_of_credentials(void **state) {
	size_t failed = 0;

	(void)state;
	for (size_t i = 0, first = 0; i < COUNT(credentials); i++) {
		bool broken = false;

		if (credentials[i].rule)
			first = i;
		failed += !credential_holds(credentials[first].rule, &credentials[i]);
		for (size_t k = first; k <= i; k++)
			broken = broken || credentials[k].verdict != credentials[first].verdict;
		if (i + 1 == COUNT(credentials) || credentials[i + 1].rule)
			expect_both(credentials[first].rule, credentials[first].verdict < 0, broken);
	}
	assert_int_equal(failed, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_of_delegation),
		cmocka_unit_test(every_rule_of_credentials),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
