/* test_roster.c: what cards claim and policy allows becomes hosts; conflicts are refused, loudly.
 */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "card_builder.h"

/* The roster is compiled in here, so that passwd is the test's: toor has uid 0, too. */
static struct passwd *test_getpwnam_(const char *name) {
	static struct passwd toor = {.pw_name = (char *)"toor", .pw_uid = 0};

	return strcmp(name, "toor") == 0 ? &toor : NULL;
}

#define getpwnam test_getpwnam_
#include "../../libcommon/roster.c"

#define NOW 1767225600 /* 2026-01-01 */
#define REPORTS 16

/* Three organisations, a this host's own; what they say, and what came of it. */
struct scene {
	struct id a, b, c;
	struct text stream;
	struct book book;
	struct ledger ledger;
	struct policy policy;
	struct roster roster;
	unsigned nreports;
	char reports[REPORTS][512];
};

static void note_claim(void *ctx, const struct err *claim) {
	struct scene *s = ctx;

	assert_true(s->nreports < REPORTS);
	assert_int_equal(claim->status, ERR_NO);
	assert_null(strchr(claim->text, '\n'));
	memcpy(s->reports[s->nreports++], claim->text, sizeof claim->text);
}

static struct scene *begin(void) {
	struct scene *s = calloc(1, sizeof *s);

	assert_non_null(s);
	s->a.name = "a";
	s->b.name = "b";
	s->c.name = "c";
	incept(&s->stream, &s->a, "");
	incept(&s->stream, &s->b, "");
	incept(&s->stream, &s->c, "");
	return s;
}

/* A tunnel key out of one byte. */
static char *tunnel_key(uint8_t byte, char text[static SAID]) {
	uint8_t raw[CESR_RAW] = {byte, 1};

	return cesr_encode(CESR_X25519, raw, text);
}

/* An organisation issues a card: tunnel is one byte of its key, more further fields or "". */
static void issue(struct scene *s, struct id *org, const char *label, uint8_t tunnel, const char *more) {
	char attributes[4096], text[SAID], said[SAID];

	snprintf(attributes, sizeof attributes, "\"host\":\"%s\",\"key\":\"%s\"%s", label,
		tunnel_key(tunnel, text), more);
	issue_card(&s->stream, org, attributes, said);
}

/* Ends the stream and builds the roster with these lines in the peers' sections. */
static void build_at(
	struct scene *s, const char *a, const char *b, const char *c, const uint8_t *own_key, int64_t now) {
	char conf[4096];
	struct err err;
	int n = snprintf(conf, sizeof conf,
		"[Interface]\nSelf = a\nHost = h1\n[Peer c]\nAID = %s\n%s\n[Peer b]\nAID = %s\n%s\n"
		"[Peer a]\nAID = %s\n%s\n",
		s->c.aid, c, s->b.aid, b, s->a.aid, a);

	s->book.keep = true;
	book_read(&s->book, text_span(&s->stream));
	assert_true(book_finish(&s->book));
	if (!policy_parse(span_of(conf, (size_t)n), "conf", &s->policy, &err))
		fail_msg("%s", err.text);
	if (!roster_build(&s->roster,
		    &(struct roster_sources){.root = "",
			    .policy = &s->policy,
			    .book = &s->book,
			    .ledger = &s->ledger,
			    .own_key = own_key,
			    .now = now,
			    .report = note_claim,
			    .ctx = s},
		    &err))
		fail_msg("%s", err.text);
	assert_int_equal(s->roster.refused, s->nreports);
}

static void build(struct scene *s, const char *a, const char *b, const char *c) {
	build_at(s, a, b, c, NULL, NOW);
}

static void end(struct scene *s) {
	roster_free(&s->roster);
	policy_free(&s->policy);
	book_free(&s->book);
	ledger_free(&s->ledger);
	text_free(&s->stream);
	free(s);
}

/* LABEL.PEER; NULL when the roster has no such host. */
static const struct roster_host *find(const struct scene *s, const char *name) {
	char text[100];

	for (size_t i = 0; i < s->roster.nhosts; i++) {
		const struct roster_host *host = &s->roster.hosts[i];

		snprintf(text, sizeof text, "%s.%s", host->label, host->peer->name);
		if (strcmp(text, name) == 0)
			return host;
	}
	return NULL;
}

/* Behind the derived address, "A B C"; then its routes. */
static void assert_prefixes(const struct scene *s, const char *name, const char *expected) {
	const struct roster_host *host = find(s, name);
	char text[1024] = "", one[PREFIX_TEXT];
	struct addr derived;

	assert_non_null(host);
	derived = derived_addr(host->peer->aid, span_str(host->label));
	assert_true(addr_eq(&host->addrs[0], &derived));
	for (size_t i = 1; i < host->naddrs; i++) {
		strcat(text, text[0] ? " " : "");
		strcat(text, addr_format(&host->addrs[i], one));
	}
	for (size_t i = 0; i < host->nroutes; i++) {
		strcat(text, text[0] ? " " : "");
		strcat(text, prefix_format(&host->routes[i], one));
	}
	assert_string_equal(text, expected);
}

/* The only thing that was refused. */
static void assert_report(const struct scene *s, const char *text) {
	assert_int_equal(s->nreports, 1);
	assert_string_equal(s->reports[0], text);
}

static void assert_nothing_refused(const struct scene *s) {
	if (s->nreports)
		fail_msg("%s", s->reports[0]);
}

/* ---- hosts ---- */

static void a_card_becomes_a_host(void **state) {
	struct scene *s = begin();
	const struct roster_host *host;
	char key[SAID], text[ADDR_TEXT];

	(void)state;
	interact(&s->stream, &s->b, "");
	issue(s, &s->b, "db1", 9,
		",\"until\":\"2026-01-01T00:00:10.900000+00:00\",\"addr\":[\"10.2.0.5\"],"
		"\"routes\":[\"10.2.8.0/24\"],\"endpoint\":\"[2001:db8::7]:51820\","
		"\"logins\":[\"alice\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16\nLogins = alice=ann bob", "");
	assert_nothing_refused(s);
	assert_int_equal(s->roster.nhosts, 1);
	host = find(s, "db1.b");
	assert_non_null(host);
	assert_string_equal(host->peer->aid, s->b.aid);
	assert_string_equal(cesr_encode(CESR_X25519, host->key, key), tunnel_key(9, text));
	assert_int_equal(host->sn, 2);
	assert_true(host->expires == NOW + 10);
	assert_prefixes(s, "db1.b", "10.2.0.5 10.2.8.0/24");
	assert_string_equal(addr_format(&host->endpoint, text), "2001:db8::7");
	assert_int_equal(host->endpoint_port, 51820);
	assert_int_equal(host->nlogins, 1);
	assert_string_equal(host->logins[0].login, "alice");
	assert_string_equal(host->logins[0].account, "ann");
	assert_false(host->self);
	assert_null(s->roster.self);
	end(s);
}

static void this_host_is_found(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "h1", 1, "");
	issue(s, &s->a, "h2", 2, "");
	issue(s, &s->a, "h1", 3, "");
	build(s, "", "", "");
	assert_int_equal(s->roster.nhosts, 3);
	assert_ptr_equal(s->roster.self, find(s, "h1.a"));
	assert_true(s->roster.self->self);
	assert_false(find(s, "h1.b")->self || find(s, "h2.a")->self);
	end(s);
}

static void who_is_no_peer_has_no_hosts(void **state) {
	struct scene *s = begin();
	struct id other = {.name = "other"};

	(void)state;
	incept(&s->stream, &other, "");
	issue(s, &other, "db1", 1, "");
	build(s, "", "", "");
	assert_int_equal(s->roster.nhosts, 0);
	assert_nothing_refused(s);
	end(s);
}

static void of_an_unknown_peer_nothing_is_known(void **state) {
	struct scene *s = begin();

	(void)state;
	text_free(&s->stream);
	s->a = (struct id){.name = "a"};
	incept(&s->stream, &s->a, "");
	issue(s, &s->a, "h1", 1, "");
	build(s, "", "", "");
	assert_int_equal(s->roster.nhosts, 1);
	end(s);
}

static void only_the_card_in_force_makes_a_host(void **state) {
	struct scene *s = begin();
	char said[SAID], seal[SEAL];

	(void)state;
	issue(s, &s->b, "replaced", 1, "");
	issue(s, &s->b, "replaced", 2, "");
	issue(s, &s->b, "withdrawn", 3, "");
	issue_card(&s->stream, &s->b, "\"host\":\"withdrawn\"", said);
	issue(s, &s->b, "void", 4, "");
	issue(s, &s->b, "void", 5, "");
	issue_card(&s->stream, &s->b,
		"\"host\":\"void\",\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\"", said);
	interact(&s->stream, &s->b, event_seal(said, "1", s->a.aid, seal));
	build(s, "", "", "");
	assert_int_equal(s->roster.nhosts, 1);
	assert_int_equal(find(s, "replaced.b")->key[0], 2);
	end(s);
}

static void a_card_ends(void **state) {
	static const struct {
		int64_t now;
		size_t hosts;
	} cases[] = {{NOW - 1, 2}, {NOW + 9, 2}, {NOW + 10, 1}, {NOW + 100, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene *s = begin();

		issue(s, &s->b, "short", 1, "");
		issue(s, &s->b, "short", 2, ",\"until\":\"2026-01-01T00:00:10.000000+00:00\"");
		issue(s, &s->b, "long", 3, "");
		build_at(s, "", "", "", NULL, cases[i].now);
		assert_int_equal(s->roster.nhosts, cases[i].hosts);
		assert_non_null(find(s, "long.b"));
		assert_true(find(s, "long.b")->expires == NEVER);
		assert_nothing_refused(s);
		end(s);
	}
}

/* ---- addresses ---- */

static void outside_AllowedIPs_is_refused(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"addr\":[\"10.2.0.5\",\"10.3.0.5\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_prefixes(s, "db1.b", "10.2.0.5");
	assert_report(s, "db1.b: claims 10.3.0.5/32, which no AllowedIPs holds; add it to "
			 "[Peer b] if it is theirs");
	end(s);
}

static void the_longest_prefix_owns(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"addr\":[\"10.2.3.5\",\"10.2.4.5\"]");
	issue(s, &s->c, "web", 2, ",\"addr\":[\"10.2.3.6\",\"10.2.4.6\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "AllowedIPs = 10.2.3.0/24");
	assert_prefixes(s, "db1.b", "10.2.4.5");
	assert_prefixes(s, "web.c", "10.2.3.6");
	assert_int_equal(s->nreports, 2);
	assert_string_equal(s->reports[0], "web.c: claims 10.2.4.6/32, which AllowedIPs give to "
					   "b; narrow those or the card");
	assert_string_equal(s->reports[1], "db1.b: claims 10.2.3.5/32, which AllowedIPs give to "
					   "c; narrow those or the card");
	end(s);
}

/* c stands first in the file; the own organisation stands last, and wins all the same. */
static void equal_prefixes_go_to_the_own_then_the_first_section(void **state) {
	const char *same = "AllowedIPs = 10.2.0.0/16";

	(void)state;
	for (int own = 0; own < 2; own++) {
		struct scene *s = begin();

		issue(s, &s->a, "ha", 1, ",\"addr\":[\"10.2.0.1\"]");
		issue(s, &s->b, "hb", 2, ",\"addr\":[\"10.2.0.1\"]");
		issue(s, &s->c, "hc", 3, ",\"addr\":[\"10.2.0.1\"]");
		build(s, own ? same : "", same, same);
		assert_int_equal(s->nreports, 2);
		assert_prefixes(s, "ha.a", own ? "10.2.0.1" : "");
		assert_prefixes(s, "hb.b", "");
		assert_prefixes(s, "hc.c", own ? "" : "10.2.0.1");
		end(s);
	}
}

static void routes_obey_the_same_rules(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1,
		",\"routes\":[\"10.2.0.0/16\",\"10.2.3.0/24\",\"10.2.3.128/25\",\"10.0.0.0/8\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "AllowedIPs = 10.2.3.0/24");
	/* nested prefixes are no conflict: routing follows the longest */
	assert_prefixes(s, "db1.b", "10.2.0.0/16");
	assert_int_equal(s->nreports, 3);
	end(s);
}

static void derived_addresses_cannot_be_claimed(void **state) {
	struct scene *s = begin();
	struct addr victim = derived_addr(s->c.aid, span_str("web"));
	struct addr own = derived_addr(s->b.aid, span_str("db1"));
	struct addr sibling = derived_addr(s->b.aid, span_str("db2"));
	struct prefix wide = derived_prefix(s->c.aid);
	char more[300], text[3][ADDR_TEXT], route[PREFIX_TEXT], allowed[200];

	(void)state;
	snprintf(more, sizeof more, ",\"addr\":[\"%s\",\"%s\",\"%s\"],\"routes\":[\"%s\",\"fd00::/8\"]",
		addr_format(&victim, text[0]), addr_format(&own, text[1]), addr_format(&sibling, text[2]),
		prefix_format(&wide, route));
	issue(s, &s->b, "db1", 1, more);
	snprintf(allowed, sizeof allowed, "AllowedIPs = fd00::/8, %s/128", text[0]);
	build(s, "", allowed, "");
	/* its own derived address may be written: it has it anyway */
	assert_prefixes(s, "db1.b", "");
	assert_int_equal(s->nreports, 4);
	snprintf(more, sizeof more,
		"db1.b: claims %s/128, which only follows from names of c; leave it out of its "
		"card",
		text[0]);
	assert_string_equal(s->reports[0], more);
	end(s);
}

static void a_claim_within_a_peer_goes_to_the_later_card(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "zz", 1, ",\"addr\":[\"10.2.0.1\",\"10.2.0.9\"]");
	issue(s, &s->b, "mm", 2, ",\"addr\":[\"10.2.0.1\"]");
	issue(s, &s->b, "aa", 3, ",\"addr\":[\"10.2.0.2\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_prefixes(s, "zz.b", "10.2.0.9");
	assert_prefixes(s, "mm.b", "10.2.0.1");
	assert_prefixes(s, "aa.b", "10.2.0.2");
	assert_report(s, "zz.b: claims 10.2.0.1/32, which is mm.b's by a later card; issue one of "
			 "them anew");
	end(s);
}

static void so_does_a_route(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "zz", 1, ",\"routes\":[\"10.2.8.0/24\",\"10.2.9.0/24\"]");
	issue(s, &s->b, "aa", 2, ",\"routes\":[\"10.2.8.0/24\",\"10.2.9.0/25\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_prefixes(s, "zz.b", "10.2.9.0/24");
	assert_prefixes(s, "aa.b", "10.2.8.0/24 10.2.9.0/25");
	assert_report(s, "zz.b: claims 10.2.8.0/24, which is aa.b's by a later card; issue one of "
			 "them anew");
	end(s);
}

/* WireGuard gives an address to one peer, whether a card calls it address or route. */
static void an_address_and_a_route_to_it_are_one_claim(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "zz", 1, ",\"addr\":[\"10.2.0.1\"]");
	issue(s, &s->b, "aa", 2, ",\"routes\":[\"10.2.0.1/32\"]");
	issue(s, &s->c, "both", 3, ",\"addr\":[\"10.3.0.1\"],\"routes\":[\"10.3.0.1/32\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "AllowedIPs = 10.3.0.0/16");
	assert_prefixes(s, "zz.b", "");
	assert_prefixes(s, "aa.b", "10.2.0.1/32");
	assert_prefixes(s, "both.c", "10.3.0.1 10.3.0.1/32");
	assert_int_equal(s->nreports, 1);
	end(s);
}

/* On every host alike, so that all agree whose address it is. */
static void this_host_has_no_better_claim_to_an_address(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->a, "h1", 1, ",\"addr\":[\"10.1.0.1\"]");
	issue(s, &s->a, "h2", 2, ",\"addr\":[\"10.1.0.1\"]");
	build(s, "AllowedIPs = 10.1.0.0/16", "", "");
	assert_prefixes(s, "h1.a", "");
	assert_prefixes(s, "h2.a", "10.1.0.1");
	end(s);
}

static void an_address_named_twice_counts_once(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1,
		",\"addr\":[\"10.2.0.1\",\"10.2.0.1\"],\"routes\":[\"10.2.0.1/32\",\"10.2.0.1/32\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_prefixes(s, "db1.b", "10.2.0.1 10.2.0.1/32");
	assert_nothing_refused(s);
	end(s);
}

/* ---- keys ---- */

static void a_key_of_two_peers_belongs_to_the_first_section(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"addr\":[\"10.2.0.1\"],\"routes\":[\"10.2.7.0/24\",\"10.2.8.0/24\"]");
	issue(s, &s->c, "web", 1, "");
	issue(s, &s->b, "db2", 2, ",\"addr\":[\"10.2.0.1\"],\"routes\":[\"10.2.8.0/24\"]");
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_int_equal(s->roster.nhosts, 2);
	assert_null(find(s, "db1.b"));
	assert_non_null(find(s, "web.c"));
	/* what a refused host claims besides is nobody's loss */
	assert_prefixes(s, "db2.b", "10.2.0.1 10.2.8.0/24");
	assert_report(s, "db1.b: claims tunnel key AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, "
			 "which is web.c's; issue its card with a key of its own");
	end(s);
}

static void the_own_organisation_comes_before_all(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->a, "h2", 1, "");
	issue(s, &s->c, "web", 1, "");
	build(s, "", "", "");
	assert_non_null(find(s, "h2.a"));
	assert_null(find(s, "web.c"));
	end(s);
}

static void a_key_within_a_peer_belongs_to_the_later_card(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "zz", 1, "");
	issue(s, &s->b, "aa", 1, "");
	issue(s, &s->b, "mm", 1, "");
	build(s, "", "", "");
	assert_int_equal(s->roster.nhosts, 1);
	assert_non_null(find(s, "mm.b"));
	assert_int_equal(s->nreports, 2);
	end(s);
}

static void the_own_key_is_refused_to_all_others(void **state) {
	const uint8_t own[WG_KEY_BYTES] = {1, 1};

	(void)state;
	for (int card = 0; card < 2; card++) {
		struct scene *s = begin();

		issue(s, &s->c, "web", 1, "");
		if (card)
			issue(s, &s->a, "h1", 1, "");
		issue(s, &s->a, "h2", 1, "");
		issue(s, &s->b, "db1", 2, "");
		build_at(s, "", "", "", own, NOW);
		assert_null(find(s, "web.c"));
		assert_null(find(s, "h2.a"));
		assert_non_null(find(s, "db1.b"));
		assert_int_equal(s->nreports, 2);
		for (unsigned i = 0; i < 2; i++)
			assert_non_null(strstr(s->reports[i], "which is this host's; issue"));
		assert_int_equal(s->roster.self != NULL, card);
		end(s);
	}
}

/* ---- endpoints, logins ---- */

static void an_endpoint_inside_the_mesh_is_left_out(void **state) {
	struct scene *s = begin();
	struct addr derived = derived_addr(s->c.aid, span_str("x"));
	char more[200], text[ADDR_TEXT];

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"endpoint\":\"10.3.0.1:51820\"");
	snprintf(more, sizeof more, ",\"endpoint\":\"[%s]:51820\"", addr_format(&derived, text));
	issue(s, &s->b, "db2", 2, more);
	issue(s, &s->b, "db3", 3, ",\"endpoint\":\"192.0.2.1:51820\"");
	build(s, "", "", "AllowedIPs = 10.3.0.0/16");
	assert_int_equal(find(s, "db1.b")->endpoint.family, 0);
	assert_int_equal(find(s, "db2.b")->endpoint.family, 0);
	assert_int_equal(find(s, "db3.b")->endpoint.family, AF_INET);
	assert_int_equal(s->nreports, 2);
	assert_string_equal(s->reports[0], "db1.b: endpoint 10.3.0.1 lies in the mesh itself; a "
					   "tunnel cannot reach it there");
	end(s);
}

static void logins_are_those_of_card_and_policy(void **state) {
	struct scene *s = begin();
	const struct roster_host *host;

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"logins\":[\"alice\",\"bob\",\"carol\"]");
	issue(s, &s->c, "web", 2, ",\"logins\":[\"alice\"]");
	build(s, "", "Logins = bob=verimesh-nobody dave alice", "");
	host = find(s, "db1.b");
	assert_int_equal(host->nlogins, 2);
	assert_string_equal(host->logins[0].login, "alice");
	assert_string_equal(host->logins[0].account, "alice");
	assert_string_equal(host->logins[1].login, "bob");
	assert_string_equal(host->logins[1].account, "verimesh-nobody");
	assert_int_equal(find(s, "web.c")->nlogins, 0);
	assert_nothing_refused(s);
	end(s);
}

static void accounts_are_named_after_the_peer(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"logins\":[\"alice\",\"root\"]");
	build(s, "", "Logins = alice root\nAccounts = yes", "");
	assert_string_equal(find(s, "db1.b")->logins[0].account, "alice@b");
	assert_string_equal(find(s, "db1.b")->logins[1].account, "root@b");
	assert_nothing_refused(s);
	end(s);
}

static void uid_0_only_in_writing(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, ",\"logins\":[\"toor\",\"alice\",\"bob\"]");
	build(s, "", "Logins = toor alice=toor bob=root", "");
	assert_int_equal(find(s, "db1.b")->nlogins, 2);
	assert_string_equal(find(s, "db1.b")->logins[0].account, "toor");
	assert_string_equal(find(s, "db1.b")->logins[1].account, "root");
	assert_report(s, "db1.b: login toor would be uid 0; write toor=toor if that is meant");
	end(s);
}

/* ---- many ---- */

static void many_hosts(void **state) {
	struct scene *s = begin();

	(void)state;
	for (unsigned i = 0; i < 25; i++) {
		char label[16], more[64];

		snprintf(label, sizeof label, "h%u", i);
		snprintf(more, sizeof more, ",\"addr\":[\"10.2.0.%u\"]", i + 1);
		issue(s, &s->b, label, (uint8_t)(i + 1), more);
	}
	build(s, "", "AllowedIPs = 10.2.0.0/16", "");
	assert_int_equal(s->roster.nhosts, 25);
	assert_prefixes(s, "h7.b", "10.2.0.8");
	assert_nothing_refused(s);
	end(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_becomes_a_host),
		cmocka_unit_test(this_host_is_found),
		cmocka_unit_test(who_is_no_peer_has_no_hosts),
		cmocka_unit_test(of_an_unknown_peer_nothing_is_known),
		cmocka_unit_test(only_the_card_in_force_makes_a_host),
		cmocka_unit_test(a_card_ends),
		cmocka_unit_test(outside_AllowedIPs_is_refused),
		cmocka_unit_test(the_longest_prefix_owns),
		cmocka_unit_test(equal_prefixes_go_to_the_own_then_the_first_section),
		cmocka_unit_test(routes_obey_the_same_rules),
		cmocka_unit_test(derived_addresses_cannot_be_claimed),
		cmocka_unit_test(a_claim_within_a_peer_goes_to_the_later_card),
		cmocka_unit_test(so_does_a_route),
		cmocka_unit_test(an_address_and_a_route_to_it_are_one_claim),
		cmocka_unit_test(this_host_has_no_better_claim_to_an_address),
		cmocka_unit_test(an_address_named_twice_counts_once),
		cmocka_unit_test(a_key_of_two_peers_belongs_to_the_first_section),
		cmocka_unit_test(the_own_organisation_comes_before_all),
		cmocka_unit_test(a_key_within_a_peer_belongs_to_the_later_card),
		cmocka_unit_test(the_own_key_is_refused_to_all_others),
		cmocka_unit_test(an_endpoint_inside_the_mesh_is_left_out),
		cmocka_unit_test(logins_are_those_of_card_and_policy),
		cmocka_unit_test(accounts_are_named_after_the_peer),
		cmocka_unit_test(uid_0_only_in_writing),
		cmocka_unit_test(many_hosts),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
