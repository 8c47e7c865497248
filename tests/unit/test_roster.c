/* test_roster.c: which cards make a host, when, and whose a tunnel key is. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "roster_scene.h"

static void assert_hosts(const struct scene *s, const char *expected) {
	struct text hosts = describe(s);

	assert_string_equal(hosts.p, expected);
	text_free(&hosts);
}

static void assert_nothing_refused(const struct scene *s) {
	assert_string_equal(s->reports.p, "");
}

/* ---- hosts ---- */

static void a_card_becomes_a_host(void **state) {
	struct scene *s = begin();
	const struct roster_host *host;
	char key[SAID], text[ADDR_TEXT];
	struct span list, entry;

	(void)state;
	interact(&s->stream, &s->b, "");
	issue(s, &s->b, "db1", 9,
		",\"until\":\"2026-01-01T00:00:10.900000+00:00\",\"addr\":[\"10.2.0.5\"],"
		"\"routes\":[\"10.2.8.0/24\"],\"endpoint\":\"[2001:db8::7]:51820\","
		"\"logins\":[\"alice\"],\"loginkeys\":[\"alice:DCKMhwdpedi5L7SZIWuu4FBlgBc4n-"
		"6y6iNiqKpHEYGB\"]");
	build(s, &(struct setting){.b = "AllowedIPs = 10.2.0.0/16\nLogins = alice=ann bob"});
	assert_nothing_refused(s);
	assert_int_equal(s->roster.nhosts, 1);
	host = find(s, "db1.b");
	assert_non_null(host);
	assert_string_equal(host->peer->aid, s->b.aid);
	assert_string_equal(cesr_encode(CESR_X25519, host->key, key), tunnel_key(9, text));
	assert_int_equal(host->sn, 2);
	assert_true(host->expires == NOW + 10);
	list = host->loginkeys;
	assert_true(event_next_text(&list, &entry));
	assert_true(span_is(entry, "alice:DCKMhwdpedi5L7SZIWuu4FBlgBc4n-6y6iNiqKpHEYGB"));
	assert_false(event_next_text(&list, &entry));
	assert_hosts(s, "db1.b 10.2.0.5 10.2.8.0/24 @2001:db8::7:51820 alice=ann\n");
	assert_false(host->self);
	assert_null(s->roster.self);
	end(s);
}

static void this_host_is_found(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "h1", 1, NULL);
	issue(s, &s->a, "h2", 2, NULL);
	issue(s, &s->a, "h1", 3, NULL);
	build(s, &(struct setting){0});
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
	issue(s, &other, "db1", 1, NULL);
	build(s, &(struct setting){0});
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
	issue(s, &s->a, "h1", 1, NULL);
	build(s, &(struct setting){0});
	assert_int_equal(s->roster.nhosts, 1);
	end(s);
}

static void only_the_card_in_force_makes_a_host(void **state) {
	struct scene *s = begin();
	char said[SAID], seal[SEAL];

	(void)state;
	issue(s, &s->b, "replaced", 1, NULL);
	issue(s, &s->b, "replaced", 2, NULL);
	issue(s, &s->b, "withdrawn", 3, NULL);
	issue_card(&s->stream, &s->b, "\"host\":\"withdrawn\"", said);
	issue(s, &s->b, "void", 4, NULL);
	issue(s, &s->b, "void", 5, NULL);
	issue_card(&s->stream, &s->b,
		"\"host\":\"void\",\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\"", said);
	interact(&s->stream, &s->b, event_seal(said, "1", s->a.aid, seal));
	build(s, &(struct setting){0});
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

		issue(s, &s->b, "short", 1, NULL);
		issue(s, &s->b, "short", 2, ",\"until\":\"2026-01-01T00:00:10.000000+00:00\"");
		issue(s, &s->b, "long", 3, NULL);
		build(s, &(struct setting){.now = cases[i].now});
		assert_int_equal(s->roster.nhosts, cases[i].hosts);
		assert_non_null(find(s, "long.b"));
		assert_true(find(s, "long.b")->expires == NEVER);
		assert_nothing_refused(s);
		end(s);
	}
}

static void many_hosts(void **state) {
	struct scene *s = begin();
	char label[16], more[64];

	(void)state;
	for (unsigned i = 0; i < 25; i++) {
		snprintf(label, sizeof label, "h%u", i);
		snprintf(more, sizeof more, ",\"addr\":[\"10.2.0.%u\"]", i + 1);
		issue(s, &s->b, label, (uint8_t)(i + 1), more);
	}
	build(s, &(struct setting){.b = "AllowedIPs = 10.2.0.0/16"});
	assert_int_equal(s->roster.nhosts, 25);
	assert_int_equal(find(s, "h7.b")->addrs[1].bytes[3], 8);
	assert_nothing_refused(s);
	end(s);
}

/* ---- rotation: one key after the other (DESIGN.md 8) ---- */

#define FROM (NOW + 600) /* seconds */
#define LIMIT (FROM + 3600)

/* `"NAME":"TIME"` behind a comma; "" for time 0. */
static char *time_field(const char *name, int64_t when, char text[static 64]) {
	char time[TIME_TEXT];

	text[0] = 0;
	if (when)
		snprintf(text, 64, ",\"%s\":\"%s\"", name, time_format(when * 1000000, time));
	return text;
}

/* A host with key 1 replaced by itself with key 2. */
static void change_key(struct scene *s, struct id *org, const char *label, int64_t from, int64_t old_until,
	int64_t new_until) {
	char said[SAID] = "", start[64], end_of[64], more[400];

	snprintf(more, sizeof more,
		"%s,\"addr\":[\"10.2.0.1\"],\"endpoint\":\"192.0.2.1:1\",\"logins\":[\"alice\"]",
		time_field("until", old_until, end_of));
	replace(s, org, label, 1, more, said);
	snprintf(more, sizeof more,
		"%s%s,\"addr\":[\"10.2.0.2\"],\"endpoint\":\"192.0.2.2:2\",\"logins\":[\"bob\"]",
		time_field("from", from, start), time_field("until", new_until, end_of));
	replace(s, org, label, 2, more, said);
}

#define SECTION "AllowedIPs = 10.2.0.0/16\nLogins = alice bob"
#define OLD " 10.2.0.1 @192.0.2.1:1 alice=alice"
#define NEW " 10.2.0.2 @192.0.2.2:2 bob=bob"

static void the_key_in_force(void **state) {
	static const struct {
		const char *what;
		int64_t now, from, old_until, new_until;
		uint8_t handshake; /* of that key */
		const char *of_b, *of_this_host;
		int64_t expires;
	} cases[] = {
		{"no from: at once", NOW, 0, 0, 0, 0, NEW, NEW, NEVER},
		{"before from", NOW, FROM, 0, 0, 0, OLD " >2", OLD " >2", LIMIT},
		{"just before from", FROM - 1, FROM, 0, 0, 0, OLD " >2", OLD " >2", LIMIT},
		{"at from this host swaps", FROM, FROM, 0, 0, 0, OLD " >2", NEW, LIMIT},
		{"just before the limit", LIMIT - 1, FROM, 0, 0, 0, OLD " >2", NEW, LIMIT},
		{"at the limit", LIMIT, FROM, 0, 0, 0, NEW, NEW, NEVER},
		{"long after", LIMIT + 86400, FROM, 0, 0, 0, NEW, NEW, NEVER},
		{"a handshake", FROM, FROM, 0, 0, 2, NEW, NEW, NEVER},
		{"a handshake of the old key", FROM, FROM, 0, 0, 1, OLD " >2", NEW, LIMIT},
		/* its clock is ahead of this host's; this host swaps by its own */
		{"a handshake before from", FROM - 1, FROM, 0, 0, 2, NEW, OLD " >2", NEVER},
		{"the old card ends first", NOW, FROM, NOW + 300, 0, 0, OLD " >2", OLD " >2", NOW + 300},
		{"it has ended", NOW + 300, FROM, NOW + 300, 0, 0, NEW, NEW, NEVER},
		{"it ends within the hour", FROM + 9, FROM, FROM + 10, 0, 0, OLD " >2", NEW, FROM + 10},
		{"it ends after the limit", NOW, FROM, LIMIT + 1, 0, 0, OLD " >2", OLD " >2", LIMIT},
		{"the new card ends first", NOW, FROM, 0, NOW + 300, 0, OLD " >2", OLD " >2", NOW + 300},
		{"the new card ends within the hour", FROM, FROM, 0, FROM + 5, 0, OLD " >2", NEW, FROM + 5},
		{"the new card has ended", NOW + 300, FROM, 0, NOW + 300, 0, NULL, NULL, 0},
		{"the new card ends behind", LIMIT, FROM, 0, LIMIT + 9, 0, NEW, NEW, LIMIT + 9},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		const char *expected = i % 2 ? cases[i / 2].of_this_host : cases[i / 2].of_b;
		const char *name = i % 2 ? "h1.a" : "db1.b";
		struct scene *s = begin();
		const struct roster_host *host;
		struct text hosts;
		char line[100] = "";

		change_key(s, i % 2 ? &s->a : &s->b, i % 2 ? "h1" : "db1", cases[i / 2].from,
			cases[i / 2].old_until, cases[i / 2].new_until);
		build(s, &(struct setting){
				 .a = i % 2 ? SECTION : "",
				 .b = i % 2 ? "" : SECTION,
				 .own_key = i % 2 ? 1 : 0,
				 .now = cases[i / 2].now,
				 .handshake = cases[i / 2].handshake,
			 });
		hosts = describe(s);
		if (expected)
			snprintf(line, sizeof line, "%s%s\n", name, expected);
		if (strcmp(hosts.p, line) != 0)
			fail_msg("%s: %snot %s", cases[i / 2].what, hosts.p, line);
		host = find(s, name);
		if (host && !host->self && host->expires != cases[i / 2].expires)
			fail_msg("%s: expires %jd", cases[i / 2].what, (intmax_t)host->expires - NOW);
		if (host)
			assert_true(is_key(host->key, strstr(expected, "bob") ? 2 : 1));
		assert_nothing_refused(s);
		text_free(&hosts);
		end(s);
	}
}

/* An interface that is made anew has no handshakes; the replaced key must not come back with it. */
static void a_handshake_is_not_forgotten(void **state) {
	static const uint8_t handshakes[] = {0, 2, 0};
	static const char *const expected[] = {"db1.b" OLD " >2\n", "db1.b" NEW "\n", "db1.b" NEW "\n"};
	struct scene *s = begin();

	(void)state;
	change_key(s, &s->b, "db1", FROM, 0, 0);
	build(s, &(struct setting){.b = SECTION, .now = FROM});
	for (size_t i = 0; i < 3; i++) {
		struct setting setting = {.b = SECTION, .now = FROM, .handshake = handshakes[i]};

		roster_free(&s->roster);
		s->setting = &setting;
		build_roster(s);
		assert_hosts(s, expected[i]);
	}
	end(s);
}

/* One that missed the rotation has no use for a key that its host has no more: it would have to wait for the
 * limit. Before the time it is the one that the host has. */
static void a_key_that_was_never_here(void **state) {
	static const struct {
		struct setting setting;
		const char *hosts;
	} cases[] = {
		{{.unknown_key = 1, .now = FROM - 1}, OLD " >2\n"},
		{{.unknown_key = 1, .now = FROM}, NEW "\n"},
		{{.unknown_key = 2, .now = FROM}, OLD " >2\n"},
		{{.down = true, .now = FROM - 1}, OLD " >2\n"},
		{{.down = true, .now = FROM}, NEW "\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct setting setting = cases[i].setting;
		struct scene *s = begin();
		char line[100];

		setting.b = SECTION;
		change_key(s, &s->b, "db1", FROM, 0, 0);
		build(s, &setting);
		snprintf(line, sizeof line, "db1.b%s", cases[i].hosts);
		assert_hosts(s, line);
		end(s);
	}
}

/* Sessions go on with the key that replaced theirs in step, and only then. */
static void the_key_before(void **state) {
	static const struct {
		int64_t now, from;
		bool before;
	} cases[] = {{FROM, 0, false}, {FROM - 1, FROM, false}, {FROM, FROM, false}, {LIMIT, FROM, true}};
	uint8_t key[WG_KEY_BYTES];
	char text[WG_KEY_TEXT];

	(void)state;
	raw_key(1, key);
	wg_key_encode(key, text);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *s = begin();

		change_key(s, &s->b, "db1", cases[i].from, 0, 0);
		build(s, &(struct setting){.b = SECTION, .now = cases[i].now});
		assert_string_equal(find(s, "db1.b")->before, cases[i].before ? text : "");
		end(s);
	}
}

static void what_comes_next(void **state) {
	struct scene *s = begin();
	const struct roster_next *next;
	char text[ADDR_TEXT];

	(void)state;
	change_key(s, &s->b, "db1", FROM, 0, 0);
	build(s, &(struct setting){.b = SECTION});
	next = &find(s, "db1.b")->next;
	assert_true(is_key(next->key, 2));
	assert_int_equal(next->from, FROM);
	assert_true(cesr_is_aid(span_str(next->said)));
	assert_string_not_equal(next->said, find(s, "db1.b")->said);
	assert_string_equal(addr_format(&next->endpoint, text), "192.0.2.2");
	assert_int_equal(next->endpoint_port, 2);
	end(s);
}

/* Its host keeps the key that it has. */
static void a_next_key_is_refused_alone(void **state) {
	static const struct {
		const char *what;
		char org; /* whose host has key 2, too; 0: nobody's */
		const char *label;
		bool later; /* its card is later than that of db1 */
		struct setting setting;
		const char *hosts, *reports;
	} cases[] = {
		{"it is this host's", 'a', "h1", true, {.own_key = 2}, "db1.b" OLD "\nh1.a\n",
			"db1.b: claims tunnel key <2>, which is this host's; issue its card with a key of "
			"its "
			"own\n"},
		{"it is a foreign peer's", 0, NULL, false, {.foreign_key = 2}, "db1.b" OLD "\n",
			"db1.b: claims tunnel key <2>, which is that of a peer that verimesh did not add; "
			"take "
			"that peer off the interface\n"},
		{"it is that of an earlier section", 'c', "web", true, {0}, "web.c\ndb1.b" OLD "\n",
			"db1.b: claims tunnel key <2>, which is web.c's; issue its card with a key of its "
			"own\n"},
		/* until it is in force */
		{"it is that of a host of the same peer", 'b', "db2", true, {0}, "db1.b" OLD "\ndb2.b\n",
			"db1.b: claims tunnel key <2>, which is db2.b's; issue its card with a key of its "
			"own\n"},
		{"even by an earlier card", 'b', "db2", false, {0}, "db1.b" OLD "\ndb2.b\n",
			"db1.b: claims tunnel key <2>, which is db2.b's; issue its card with a key of its "
			"own\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *s = begin();
		struct id *org = cases[i].org == 'a' ? &s->a : cases[i].org == 'b' ? &s->b : &s->c;
		struct setting setting = cases[i].setting;
		struct text reports = expand(s, cases[i].reports), hosts;

		if (cases[i].org && !cases[i].later)
			issue(s, org, cases[i].label, 2, NULL);
		change_key(s, &s->b, "db1", FROM, 0, 0);
		if (cases[i].org && cases[i].later)
			issue(s, org, cases[i].label, 2, NULL);
		setting.b = SECTION;
		build(s, &setting);
		hosts = describe(s);
		if (strcmp(hosts.p, cases[i].hosts) != 0 || strcmp(s->reports.p, reports.p) != 0)
			fail_msg("%s:\n%s%s", cases[i].what, hosts.p, s->reports.p);
		text_free(&hosts);
		text_free(&reports);
		end(s);
	}
}

/* A host whose current key another one is going to have loses nothing by that; of two that are going to
 * have it the later card decides. */
static void two_that_are_to_have_one_key(void **state) {
	char first[SAID] = "", second[SAID] = "", from[64];
	struct scene *s = begin();

	(void)state;
	replace(s, &s->b, "db1", 1, NULL, first);
	replace(s, &s->b, "db2", 3, NULL, second);
	replace(s, &s->b, "db2", 2, time_field("from", FROM, from), second);
	replace(s, &s->b, "db1", 2, time_field("from", FROM, from), first);
	build(s, &(struct setting){0});
	assert_hosts(s, "db1.b >2\ndb2.b\n");
	end(s);
}

/* ---- a key of two peers: who was seen first (DESIGN.md 5.3) ---- */

static void remember(struct scene *s, const struct id *org, int64_t seconds_ago) {
	char key[WG_KEY_TEXT];
	uint8_t raw[WG_KEY_BYTES];

	raw_key(1, raw);
	wg_key_encode(raw, key);
	assert_true(ledger_claim(&s->ledger, org->aid, key, (uint64_t)(NOW - seconds_ago)));
}

#define UNSEEN (-1)

static void the_first_seen_has_the_key(void **state) {
	static const struct {
		const char *what;
		int64_t a, b, c; /* seconds ago that the claim was seen */
		const char *interface, *hosts;
	} cases[] = {
		{"nobody's is known: the own organisation", UNSEEN, UNSEEN, UNSEEN, NULL, "hx.a\n"},
		{"b was seen long before all", 0, 86400, 0, NULL, "hx.b\n"},
		{"b was seen, the others were not", UNSEEN, 86400, UNSEEN, NULL, "hx.b\n"},
		{"c was seen first, and stands first", 0, 86400, 90000, NULL, "hx.c\n"},
		{"b was seen just more than two FetchEvery before c", 0, 90601, 90000, NULL, "hx.b\n"},
		{"b was seen two FetchEvery before c: the earlier section", 0, 90600, 90000, NULL, "hx.c\n"},
		{"c was seen two FetchEvery before b", 0, 90000, 90600, NULL, "hx.c\n"},
		{"FetchEvery = 1s", 0, 90003, 90000, "FetchEvery = 1s", "hx.b\n"},
		{"FetchEvery = 1s, exactly", 0, 90002, 90000, "FetchEvery = 1s", "hx.c\n"},
		{"seen at once with the own organisation", 90000, 90600, 90600, NULL, "hx.a\n"},
		{"seen before the own organisation", 90000, 90700, 90601, NULL, "hx.c\n"},
		{"the window begins with the first: a is out of it", 89000, 90000, 89500, NULL, "hx.c\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *s = begin();
		struct id *orgs[] = {&s->a, &s->b, &s->c};
		const int64_t ago[] = {cases[i].a, cases[i].b, cases[i].c};
		struct text hosts;

		for (size_t k = 0; k < 3; k++) {
			issue(s, orgs[k], "hx", 1, NULL);
			if (ago[k] != UNSEEN)
				remember(s, orgs[k], ago[k]);
		}
		build(s, &(struct setting){.interface = cases[i].interface});
		hosts = describe(s);
		if (strcmp(hosts.p, cases[i].hosts) != 0)
			fail_msg("%s: %s", cases[i].what, hosts.p);
		assert_int_equal(s->roster.refused, 2);
		text_free(&hosts);
		end(s);
	}
}

/* What another claims at last cannot take this host off. */
static void this_hosts_own_key_is_its_own_whoever_was_seen(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->a, "h1", 1, NULL);
	issue(s, &s->b, "db1", 1, NULL);
	remember(s, &s->b, 90000);
	build(s, &(struct setting){0});
	assert_hosts(s, "h1.a\n");
	end(s);
}

/* A claim that has lapsed is no live one; made again, it is the one that was seen first. */
static void a_lapsed_claim_gives_way_until_it_is_renewed(void **state) {
	static const char lapsed[] = ",\"until\":\"2025-12-31T00:00:00.000000+00:00\"";

	(void)state;
	for (int renewed = 0; renewed < 2; renewed++) {
		struct scene *s = begin();
		char said[SAID] = "";

		replace(s, &s->b, "db1", 1, lapsed, said);
		if (renewed)
			replace(s, &s->b, "db1", 1, NULL, said);
		issue(s, &s->c, "web", 1, NULL);
		remember(s, &s->b, 90000);
		remember(s, &s->c, 3600);
		build(s, &(struct setting){0});
		assert_hosts(s, renewed ? "db1.b\n" : "web.c\n");
		end(s);
	}
}

/* A claim to a key that is to come counts from when it was seen, too: who copies it out of the log does not
 * get it. */
static void a_next_key_is_claimed(void **state) {
	struct scene *s = begin();
	char said[SAID] = "", from[64];
	struct text reports;

	(void)state;
	replace(s, &s->b, "db1", 2, NULL, said);
	replace(s, &s->b, "db1", 1, time_field("from", FROM, from), said);
	issue(s, &s->c, "web", 1, NULL);
	remember(s, &s->b, 3600);
	remember(s, &s->c, 60);
	build(s, &(struct setting){0});
	assert_hosts(s, "db1.b >1\n");
	reports =
		expand(s, "web.c: claims tunnel key <1>, which is db1.b's; issue its card with a key of its "
			  "own\n");
	assert_string_equal(s->reports.p, reports.p);
	text_free(&reports);
	end(s);
}

/* ---- freshness: a peer whose Sources are silent lapses (DESIGN.md 5.5) ---- */

#define SOURCE "Source = https://dkms.example/oobi\n"
#define HOUR "MaxAge = 1h\n"
#define UNKNOWN (-1)
#define ISSUED ",\"addr\":[\"10.2.0.5\"],\"endpoint\":\"192.0.2.1:1\",\"logins\":[\"alice\"]"

static void answer(struct scene *s, const struct id *org, int64_t when) {
	assert_true(ledger_put(&s->ledger, LEDGER_ANSWERED, org->aid, "-", (uint64_t)when));
}

static int64_t answered(const struct scene *s, const struct id *org) {
	uint64_t when;

	return ledger_find(&s->ledger, LEDGER_ANSWERED, org->aid, "-", &when) ? (int64_t)when : UNKNOWN;
}

static void a_peer_with_a_source_lapses(void **state) {
	static const struct {
		const char *what, *interface, *source;
		int64_t answered, until; /* 0: no end */
		int64_t expires;
		bool lapsed;
		int64_t noted; /* in the ledger */
	} cases[] = {
		{"no Source", HOUR, "", NOW - 99999, 0, NEVER, false, NOW - 99999},
		{"no Source, unknown", HOUR, "", UNKNOWN, 0, NEVER, false, UNKNOWN},
		{"just now", HOUR, SOURCE, NOW, 0, NOW + 3600, false, NOW},
		{"at the last moment", HOUR, SOURCE, NOW - 3599, 0, NOW + 1, false, NOW - 3599},
		{"too late", HOUR, SOURCE, NOW - 3600, 0, NOW, true, NOW - 3600},
		{"long ago", HOUR, SOURCE, 0, 0, 3600, true, 0},
		{"a day, if nothing is said", NULL, SOURCE, NOW - 86399, 0, NOW + 1, false, NOW - 86399},
		{"one day", NULL, SOURCE, NOW - 86400, 0, NOW, true, NOW - 86400},
		{"of two Sources one will do", HOUR, SOURCE SOURCE, NOW, 0, NOW + 3600, false, NOW},
		{"as long as can be", "MaxAge = 4294967295\n", SOURCE, NOW, 0, NOW + INT64_C(4294967295),
			false, NOW},
		{"its card ends before", HOUR, SOURCE, NOW, NOW + 9, NOW + 9, false, NOW},
		{"its card ends behind", HOUR, SOURCE, NOW, NOW + 9999, NOW + 3600, false, NOW},
		{"its card would end", HOUR, SOURCE, NOW - 3601, NOW + 9, NOW - 1, true, NOW - 3601},
		{"from now on", HOUR, SOURCE, UNKNOWN, 0, NOW + 3600, false, NOW},
		{"the clock was set back", HOUR, SOURCE, NOW + 1, 0, NOW + 3600, false, NOW},
		{"by years", HOUR, SOURCE, NOW + 99999999, 0, NOW + 3600, false, NOW},
		{"no time at all", HOUR, SOURCE, INT64_MAX, 0, NOW + 3600, false, NOW},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene *s = begin();
		const struct roster_host *host;
		char end_of[64], card[200], section[200], at[TIME_TEXT], report[200] = "";

		snprintf(card, sizeof card, "%s" ISSUED, time_field("until", cases[i].until, end_of));
		snprintf(section, sizeof section, "%sAllowedIPs = 10.2.0.0/16\nLogins = alice",
			cases[i].source);
		issue(s, &s->b, "db1", 1, card);
		issue(s, &s->c, "web", 2, NULL);
		if (cases[i].answered != UNKNOWN)
			answer(s, &s->b, cases[i].answered);
		s->ledger.changed = false;
		build(s, &(struct setting){.interface = cases[i].interface, .b = section});
		/* what WireGuard needs stays in any case */
		assert_hosts(s, "web.c\ndb1.b 10.2.0.5 @192.0.2.1:1 alice=alice\n");
		host = find(s, "db1.b");
		if (host->expires != cases[i].expires || host->lapsed != cases[i].lapsed)
			fail_msg("%s: lapsed %d, expires %jd", cases[i].what, host->lapsed,
				(intmax_t)host->expires);
		assert_true(find(s, "web.c")->expires == NEVER && !find(s, "web.c")->lapsed);
		if (cases[i].lapsed)
			snprintf(report, sizeof report,
				"b: lapsed at %.19sZ, MaxAge after a Source answered; see that one does, "
				"then "
				"verimesh fetch b\n",
				time_format(cases[i].expires * 1000000, at));
		assert_string_equal(s->reports.p, report);
		if (answered(s, &s->b) != cases[i].noted)
			fail_msg("%s: noted %jd", cases[i].what, (intmax_t)answered(s, &s->b));
		assert_true(s->ledger.changed == (cases[i].answered != cases[i].noted));
		end(s);
	}
}

/* Where a clock starts in 1970 and is set a little later, nobody lapses by that. */
static void a_clock_that_was_not_set_mends_nothing(void **state) {
	struct scene *s = begin();

	(void)state;
	issue(s, &s->b, "db1", 1, NULL);
	answer(s, &s->b, NOW - 60);
	s->ledger.changed = false;
	build(s, &(struct setting){.interface = HOUR, .b = SOURCE, .now = 100});
	assert_false(find(s, "db1.b")->lapsed);
	assert_false(s->ledger.changed);
	assert_int_equal(answered(s, &s->b), NOW - 60);
	end(s);
}

/* There is no need of a host; the accounts of others stay. */
static void accounts_lapse_with_their_peer(void **state) {
	struct scene *s = begin();

	(void)state;
	answer(s, &s->b, NOW - 7200);
	answer(s, &s->a, NOW - 60);
	build(s, &(struct setting){.interface = HOUR,
			 .a = SOURCE "Accounts = yes\nLogins = dave",
			 .b = SOURCE "Accounts = yes\nLogins = alice bob=rsmith carol",
			 .c = "Accounts = yes\nLogins = erin zoe=root"});
	assert_int_equal(s->roster.naccounts, 4);
	for (size_t i = 0; i < 4; i++) {
		static const struct {
			const char *account;
			int64_t expires;
		} expected[] = {{"erin@c", NEVER}, {"alice@b", NOW - 3600}, {"carol@b", NOW - 3600},
			{"dave@a", NOW + 3540}};

		assert_string_equal(s->roster.accounts[i].login->account, expected[i].account);
		assert_true(s->roster.accounts[i].expires == expected[i].expires);
	}
	assert_int_equal(s->roster.refused, 1);
	end(s);
}

/* A host keeps its own name; and who holds the identity has the log of all its hosts at first hand. */
static void the_own_organisation_lapses_where_its_identity_is_not(void **state) {
	(void)state;
	for (int holds = 0; holds < 2; holds++) {
		struct scene *s = begin();

		issue(s, &s->a, "h1", 1, NULL);
		issue(s, &s->a, "h2", 2, NULL);
		issue(s, &s->b, "db1", 3, NULL);
		answer(s, &s->a, NOW - 7200);
		answer(s, &s->b, NOW - 7200);
		build(s, &(struct setting){.interface = HOUR,
				 .a = SOURCE "Accounts = yes\nLogins = dave",
				 .b = SOURCE,
				 .holds = holds});
		assert_true(find(s, "h1.a")->expires == NEVER && !find(s, "h1.a")->lapsed);
		assert_true(find(s, "h2.a")->expires == (holds ? NEVER : NOW - 3600));
		assert_true(find(s, "h2.a")->lapsed == !holds);
		assert_true(s->roster.accounts[0].expires == (holds ? NEVER : NOW - 3600));
		assert_true(find(s, "db1.b")->lapsed);
		assert_int_equal(s->roster.refused, holds ? 1 : 2);
		end(s);
	}
}

/* Nor is it told: that there is no log is told. */
static void without_a_log_nothing_lapses(void **state) {
	struct scene *s = begin();

	(void)state;
	text_free(&s->stream);
	s->a = (struct id){.name = "a"};
	incept(&s->stream, &s->a, "");
	answer(s, &s->c, NOW - 7200);
	build(s, &(struct setting){.interface = HOUR, .b = SOURCE, .c = SOURCE});
	assert_nothing_refused(s);
	assert_true(answered(s, &s->b) == UNKNOWN);
	end(s);
}

/* The replaced key ends with its peer, too, and the one to come is still that. */
static void a_peer_lapses_between_two_keys(void **state) {
	struct scene *s = begin();
	char said[SAID] = "", from[64];

	(void)state;
	replace(s, &s->b, "db1", 1, NULL, said);
	replace(s, &s->b, "db1", 2, time_field("from", NOW + 600, from), said);
	answer(s, &s->b, NOW - 3000);
	build(s, &(struct setting){.interface = HOUR, .b = SOURCE});
	assert_hosts(s, "db1.b >2\n");
	assert_true(find(s, "db1.b")->expires == NOW + 600 && !find(s, "db1.b")->lapsed);
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
		cmocka_unit_test(many_hosts),
		cmocka_unit_test(the_key_in_force),
		cmocka_unit_test(a_handshake_is_not_forgotten),
		cmocka_unit_test(a_key_that_was_never_here),
		cmocka_unit_test(the_key_before),
		cmocka_unit_test(what_comes_next),
		cmocka_unit_test(a_next_key_is_refused_alone),
		cmocka_unit_test(two_that_are_to_have_one_key),
		cmocka_unit_test(the_first_seen_has_the_key),
		cmocka_unit_test(this_hosts_own_key_is_its_own_whoever_was_seen),
		cmocka_unit_test(a_lapsed_claim_gives_way_until_it_is_renewed),
		cmocka_unit_test(a_next_key_is_claimed),
		cmocka_unit_test(a_peer_with_a_source_lapses),
		cmocka_unit_test(accounts_lapse_with_their_peer),
		cmocka_unit_test(a_clock_that_was_not_set_mends_nothing),
		cmocka_unit_test(the_own_organisation_lapses_where_its_identity_is_not),
		cmocka_unit_test(without_a_log_nothing_lapses),
		cmocka_unit_test(a_peer_lapses_between_two_keys),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
