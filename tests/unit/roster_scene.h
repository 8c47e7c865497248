/* roster_scene.h: three organisations, what they say, and the roster that comes of it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_ROSTER_SCENE_H
#define VERIMESH_TEST_ROSTER_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "card_builder.h"

#include "roster.h"

#define NOW 1767225600 /* 2026-01-01 */
#define CONF_LINES "[Interface]\nSelf = a\nHost = h1\n"

/* a is this host's own organisation, this host its h1. */
struct scene {
	struct id a, b, c;
	struct text stream;
	struct book book;
	struct ledger ledger;
	struct policy policy;
	struct roster roster;
	struct text reports; /* a line each */
	const struct setting *setting;
};

/* What the roster depends on besides the stream and the ledger. */
struct setting {
	const char *interface, *a, *b, *c; /* lines in those sections; NULL: none */
	uint8_t own_key;		   /* of the interface, out of one byte; 0: not known */
	uint8_t foreign_key;		   /* of a peer that verimesh did not add */
	const char *foreign_prefix;	   /* that this peer has */
	uint8_t handshake;		   /* the key that had one */
	uint8_t unknown_key;		   /* of no peer of the interface */
	bool down;			   /* there is no interface */
	bool holds;			   /* this host has the identity of a */
	int64_t now;			   /* 0: NOW */
};

/* A tunnel key out of one byte. */
static inline void raw_key(uint8_t byte, uint8_t raw[static WG_KEY_BYTES]) {
	memset(raw, 0, WG_KEY_BYTES);
	raw[0] = byte;
	raw[1] = 1;
}

static inline bool is_key(const uint8_t key[static WG_KEY_BYTES], uint8_t byte) {
	uint8_t raw[WG_KEY_BYTES];

	raw_key(byte, raw);
	return byte && memcmp(key, raw, sizeof raw) == 0;
}

static inline char *tunnel_key(uint8_t byte, char text[static SAID]) {
	uint8_t raw[WG_KEY_BYTES];

	raw_key(byte, raw);
	return cesr_encode(CESR_X25519, raw, text);
}

/* Appends what stands between < and >: `b` or `b/LABEL` are what is derived from names, `b!` is an AID, a
 * number is a tunnel key. */
static inline void expand_one(const struct scene *s, struct text *out, struct span name) {
	const struct id *org = name.p[0] == 'a' ? &s->a : name.p[0] == 'b' ? &s->b : &s->c;
	struct prefix prefix = derived_prefix(org->aid);
	uint8_t key[WG_KEY_BYTES];
	char text[PREFIX_TEXT];
	struct addr addr;

	if (name.p[0] < 'a') {
		raw_key((uint8_t)atoi((const char *)name.p), key);
		wg_key_encode(key, text);
	} else if (name.n == 1) {
		prefix_format(&prefix, text);
	} else if (name.p[1] == '!') {
		snprintf(text, sizeof text, "%s", org->aid);
	} else {
		addr = derived_addr(org->aid, span_from(name, 2));
		addr_format(&addr, text);
	}
	text_add(out, "%s", text);
}

static inline struct text expand(const struct scene *s, const char *text) {
	struct text out = {0};

	text_add(&out, "%s", "");
	for (; text && *text; text++)
		if (*text == '<') {
			struct span name = span_of(text + 1, strcspn(text, ">") - 1);

			expand_one(s, &out, name);
			text += name.n + 1;
		} else {
			text_bytes(&out, text, 1);
		}
	return out;
}

static inline struct scene *begin(void) {
	struct scene *s = calloc(1, sizeof *s);

	assert_non_null(s);
	s->a.name = "a";
	s->b.name = "b";
	s->c.name = "c";
	incept(&s->stream, &s->a, "");
	incept(&s->stream, &s->b, "");
	incept(&s->stream, &s->c, "");
	text_add(&s->reports, "%s", "");
	return s;
}

static inline void end(struct scene *s) {
	roster_free(&s->roster);
	policy_free(&s->policy);
	book_free(&s->book);
	ledger_free(&s->ledger);
	text_free(&s->stream);
	text_free(&s->reports);
	free(s);
}

/* An organisation issues a card, with further fields or NULL, that replaces the one in `said`, if there is
 * one, and gets its place. */
static inline void replace(struct scene *s, struct id *org, const char *label, uint8_t tunnel,
	const char *more, char said[static SAID]) {
	struct text fields = expand(s, more), attributes = {0};
	char key[SAID], new[SAID], seal[SEAL];

	text_add(&attributes, "\"host\":\"%s\",\"key\":\"%s\"%s", label, tunnel_key(tunnel, key), fields.p);
	add_card(&s->stream, org, NULL, attributes.p, new);
	interact(&s->stream, org, said[0] ? event_seal(said, "1", new, seal) : anchor_seal(new, seal));
	memcpy(said, new, SAID);
	text_free(&fields);
	text_free(&attributes);
}

static inline void issue(
	struct scene *s, struct id *org, const char *label, uint8_t tunnel, const char *more) {
	char said[SAID] = "";

	replace(s, org, label, tunnel, more, said);
}

static inline void note_claim(void *ctx, const struct err *claim) {
	struct scene *s = ctx;

	assert_int_equal(claim->status, ERR_NO);
	assert_null(strchr(claim->text, '\n'));
	text_add(&s->reports, "%s\n", claim->text);
}

static inline bool scene_foreign_key(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	return is_key(key, ((struct scene *)interface)->setting->foreign_key);
}

static inline bool scene_foreign_prefix(void *interface, const struct prefix *prefix) {
	struct scene *s = interface;
	struct text foreign = expand(s, s->setting->foreign_prefix);
	char text[PREFIX_TEXT];
	bool same = strcmp(prefix_format(prefix, text), foreign.p) == 0;

	text_free(&foreign);
	return same;
}

static inline bool scene_peer(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	return !is_key(key, ((struct scene *)interface)->setting->unknown_key);
}

static inline bool scene_handshake(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	return is_key(key, ((struct scene *)interface)->setting->handshake);
}

/* c stands first in the file, the own organisation last. */
static inline void read_conf(struct scene *s) {
	const struct setting *setting = s->setting;
	struct text conf = {0}, lines;
	const struct {
		const struct id *org;
		const char *lines;
	} peers[] = {{&s->c, setting->c}, {&s->b, setting->b}, {&s->a, setting->a}};
	struct err err;

	text_add(&conf, CONF_LINES "%s\n", setting->interface ? setting->interface : "");
	for (size_t i = 0; i < 3; i++) {
		lines = expand(s, peers[i].lines);
		text_add(&conf, "[Peer %s]\nAID = %s\n%s\n", peers[i].org->name, peers[i].org->aid, lines.p);
		text_free(&lines);
	}
	if (!policy_parse(text_span(&conf), "conf", &s->policy, &err))
		fail_msg("%s", err.text);
	text_free(&conf);
}

static inline void build_roster(struct scene *s) {
	const struct setting *setting = s->setting;
	uint8_t own[WG_KEY_BYTES];
	struct err err;
	struct locals locals;
	size_t lines = 0;

	raw_key(setting->own_key, own);
	if (!locals_read(&locals, "tests/vectors/root", &s->policy, &err))
		fail_msg("%s", err.text);
	if (!roster_build(&s->roster,
		    &(struct roster_sources){.locals = &locals,
			    .policy = &s->policy,
			    .book = &s->book,
			    .ledger = &s->ledger,
			    .own_aid = setting->holds ? s->a.aid : NULL,
			    .own_key = setting->own_key ? own : NULL,
			    .now = setting->now ? setting->now : NOW,
			    .interface = s,
			    .is_foreign_key = setting->foreign_key ? scene_foreign_key : NULL,
			    .is_foreign_prefix = setting->foreign_prefix ? scene_foreign_prefix : NULL,
			    .has_peer = setting->down ? NULL : scene_peer,
			    .had_handshake = setting->handshake ? scene_handshake : NULL,
			    .report = note_claim,
			    .ctx = s},
		    &err))
		fail_msg("%s", err.text);
	locals_free(&locals);
	for (const char *p = s->reports.p; *p; p++)
		lines += *p == '\n';
	assert_int_equal(s->roster.refused, lines);
}

/* Ends the stream and builds the roster. */
static inline void build(struct scene *s, const struct setting *setting) {
	s->setting = setting;
	s->book.keep = true;
	book_read(&s->book, text_span(&s->stream));
	assert_true(book_finish(&s->book));
	read_conf(s);
	build_roster(s);
}

/* LABEL.PEER; NULL when the roster has no such host. */
static inline const struct roster_host *find(const struct scene *s, const char *name) {
	char text[100];

	for (size_t i = 0; i < s->roster.nhosts; i++) {
		const struct roster_host *host = &s->roster.hosts[i];

		snprintf(text, sizeof text, "%s.%s", host->label, host->peer->name);
		if (strcmp(text, name) == 0)
			return host;
	}
	return NULL;
}

/* A line: LABEL.PEER, its addresses behind the derived one, routes, @endpoint, login=account, >next key. */
static inline void describe_host(struct text *out, const struct roster_host *host) {
	char text[PREFIX_TEXT];

	text_add(out, "%s.%s", host->label, host->peer->name);
	for (size_t i = 1; i < host->naddrs; i++)
		text_add(out, " %s", addr_format(&host->addrs[i], text));
	for (size_t i = 0; i < host->nroutes; i++)
		text_add(out, " %s", prefix_format(&host->routes[i], text));
	if (host->endpoint.family)
		text_add(out, " @%s:%u", addr_format(&host->endpoint, text), host->endpoint_port);
	for (size_t i = 0; i < host->nlogins; i++)
		text_add(out, " %s=%s", host->logins[i].login, host->logins[i].account);
	if (host->next.from)
		text_add(out, " >%u", host->next.key[0]);
	text_add(out, "\n");
}

/* All hosts; each has its derived address first. */
static inline struct text describe(const struct scene *s) {
	struct text out = {0};

	text_add(&out, "%s", "");
	for (size_t i = 0; i < s->roster.nhosts; i++) {
		const struct roster_host *host = &s->roster.hosts[i];
		struct addr derived = derived_addr(host->peer->aid, span_str(host->label));

		assert_true(addr_eq(&host->addrs[0], &derived));
		describe_host(&out, host);
	}
	return out;
}

#endif
