/* test_rules.c: who owns what, every rule broken alone: what is refused, in which words, what stays. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "roster_scene.h"

#define ALLOW_B "AllowedIPs = 10.2.0.0/16\n"
#define ALLOW_C "AllowedIPs = 10.3.0.0/16\n"
#define KEEP_OWN "; issue its card with a key of its own\n"
#define NARROW "IdRange = 5000-5000"

/* Cards in the order of issue; <…> as in expand. hosts: as describe has them, in the order of the file,
 * which is c, b, a. reports: the lines that must be given, no other. */
static const struct rule {
	const char *what;
	struct {
		char org;
		const char *label;
		uint8_t key;
		const char *more;
	} cards[4];
	struct setting setting;
	const char *hosts, *reports;
} rules[] = {
	/* ---- addresses: the longest AllowedIPs (DESIGN.md 5.3) ---- */
	{"an address in no AllowedIPs",
		{{'b', "db1", 1, ",\"addr\":[\"10.2.0.5\",\"10.3.0.5\",\"fe80::1\"]"}}, {.b = ALLOW_B},
		"db1.b 10.2.0.5\n",
		"db1.b: claims 10.3.0.5/32, which no AllowedIPs holds; add it to [Peer b] if it is theirs\n"
		"db1.b: claims fe80::1/128, which no AllowedIPs holds; add it to [Peer b] if it is "
		"theirs\n"},
	{"addresses without AllowedIPs", {{'b', "db1", 1, ",\"addr\":[\"10.2.0.5\"]"}}, {0}, "db1.b\n",
		"db1.b: claims 10.2.0.5/32, which no AllowedIPs holds; add it to [Peer b] if it is "
		"theirs\n"},
	{"an address in another's AllowedIPs", {{'b', "db1", 1, ",\"addr\":[\"10.3.0.5\"]"}},
		{.b = ALLOW_B, .c = ALLOW_C}, "db1.b\n",
		"db1.b: claims 10.3.0.5/32, which AllowedIPs give to c; narrow those or the card\n"},
	{"an address in another's longer prefix",
		{{'b', "db1", 1, ",\"addr\":[\"10.2.3.5\",\"10.2.4.5\"]"},
			{'c', "web", 2, ",\"addr\":[\"10.2.3.6\",\"10.2.4.6\"]"}},
		{.b = ALLOW_B, .c = "AllowedIPs = 10.2.3.0/24"}, "web.c 10.2.3.6\ndb1.b 10.2.4.5\n",
		"web.c: claims 10.2.4.6/32, which AllowedIPs give to b; narrow those or the card\n"
		"db1.b: claims 10.2.3.5/32, which AllowedIPs give to c; narrow those or the card\n"},
	{"even in one's own, if another's is longer", {{'b', "db1", 1, ",\"addr\":[\"10.2.3.5\"]"}},
		{.b = ALLOW_B, .c = "AllowedIPs = 10.2.3.5"}, "db1.b\n",
		"db1.b: claims 10.2.3.5/32, which AllowedIPs give to c; narrow those or the card\n"},
	{"equal prefixes: the section that stands first",
		{{'a', "ha", 1, ",\"addr\":[\"10.2.0.1\"]"}, {'b', "hb", 2, ",\"addr\":[\"10.2.0.1\"]"},
			{'c', "hc", 3, ",\"addr\":[\"10.2.0.1\"]"}},
		{.b = ALLOW_B, .c = ALLOW_B}, "hc.c 10.2.0.1\nhb.b\nha.a\n",
		"hb.b: claims 10.2.0.1/32, which AllowedIPs give to c; narrow those or the card\n"
		"ha.a: claims 10.2.0.1/32, which AllowedIPs give to c; narrow those or the card\n"},
	{"equal prefixes: the own organisation before all",
		{{'a', "ha", 1, ",\"addr\":[\"10.2.0.1\"]"}, {'b', "hb", 2, ",\"addr\":[\"10.2.0.1\"]"},
			{'c', "hc", 3, ",\"addr\":[\"10.2.0.1\"]"}},
		{.a = ALLOW_B, .b = ALLOW_B, .c = ALLOW_B}, "hc.c\nhb.b\nha.a 10.2.0.1\n",
		"hc.c: claims 10.2.0.1/32, which AllowedIPs give to a; narrow those or the card\n"
		"hb.b: claims 10.2.0.1/32, which AllowedIPs give to a; narrow those or the card\n"},
	{"a mapped address is no text of a card: it has no effect",
		{{'b', "db1", 1, ",\"addr\":[\"::ffff:10.2.0.5\"]"}}, {.b = ALLOW_B}, "", ""},

	/* ---- routes ---- */
	{"routes in no AllowedIPs, wider, and in another's longer prefix; nested ones are no conflict",
		{{'b', "db1", 1,
			",\"routes\":[\"10.2.0.0/16\",\"10.2.3.0/24\",\"10.2.3.128/25\",\"10.0.0.0/8\","
			"\"10.2.0.0/15\",\"10.2.8.0/24\"]"}},
		{.b = ALLOW_B, .c = "AllowedIPs = 10.2.3.0/24"}, "db1.b 10.2.0.0/16 10.2.8.0/24\n",
		"db1.b: claims 10.2.3.0/24, which AllowedIPs give to c; narrow those or the card\n"
		"db1.b: claims 10.2.3.128/25, which AllowedIPs give to c; narrow those or the card\n"
		"db1.b: claims 10.0.0.0/8, which no AllowedIPs holds; add it to [Peer b] if it is theirs\n"
		"db1.b: claims 10.2.0.0/15, which no AllowedIPs holds; add it to [Peer b] if it is "
		"theirs\n"},
	{"a route /0 makes a card that has no effect",
		{{'b', "db1", 1, ",\"routes\":[\"0.0.0.0/0\"]"}, {'b', "db2", 2, ",\"routes\":[\"::/0\"]"},
			{'b', "db3", 3, ",\"routes\":[\"10.2.0.0/15\"]"}},
		{.b = "AllowedIPs = 0.0.0.0/1 128.0.0.0/1 ::/1 8000::/1"}, "db3.b 10.2.0.0/15\n", ""},

	/* ---- derived addresses ---- */
	{"another's derived address", {{'b', "db1", 1, ",\"addr\":[\"<c/web>\"]"}},
		{.b = "AllowedIPs = fd00::/8 <c/web>/128"}, "db1.b\n",
		"db1.b: claims <c/web>/128, which only follows from names of c; leave it out of its card\n"},
	{"that of a host of one's own organisation", {{'b', "db1", 1, ",\"addr\":[\"<b/db2>\"]"}},
		{.b = "AllowedIPs = fd00::/8"}, "db1.b\n",
		"db1.b: claims <b/db2>/128, which only follows from names of b; leave it out of its card\n"},
	{"one's own may be written: it is there anyway", {{'b', "db1", 1, ",\"addr\":[\"<b/db1>\"]"}}, {0},
		"db1.b\n", ""},
	{"a /48 that others' are derived from", {{'b', "db1", 1, ",\"routes\":[\"<c>\"]"}},
		{.b = "AllowedIPs = <c>"}, "db1.b\n",
		"db1.b: claims <c>, which only follows from names of c; leave it out of its card\n"},
	{"one's own /48", {{'b', "db1", 1, ",\"routes\":[\"<b>\"]"}}, {.b = "AllowedIPs = <b>"}, "db1.b\n",
		"db1.b: claims <b>, which only follows from names of b; leave it out of its card\n"},
	{"a route to a derived address", {{'b', "db1", 1, ",\"routes\":[\"<c/web>/128\"]"}},
		{.b = "AllowedIPs = <c/web>"}, "db1.b\n",
		"db1.b: claims <c/web>/128, which only follows from names of c; leave it out of its card\n"},

	/* ---- one owner within a peer: the later card ---- */
	{"an address of two hosts of a peer",
		{{'b', "zz", 1, ",\"addr\":[\"10.2.0.1\",\"10.2.0.9\"]"},
			{'b', "mm", 2, ",\"addr\":[\"10.2.0.1\"]"},
			{'b', "aa", 3, ",\"addr\":[\"10.2.0.2\"]"}},
		{.b = ALLOW_B}, "aa.b 10.2.0.2\nmm.b 10.2.0.1\nzz.b 10.2.0.9\n",
		"zz.b: claims 10.2.0.1/32, which is mm.b's by a later card; issue one of them anew\n"},
	{"a route of two hosts of a peer",
		{{'b', "zz", 1, ",\"routes\":[\"10.2.8.0/24\",\"10.2.9.0/24\"]"},
			{'b', "aa", 2, ",\"routes\":[\"10.2.8.0/24\",\"10.2.9.0/25\"]"}},
		{.b = ALLOW_B}, "aa.b 10.2.8.0/24 10.2.9.0/25\nzz.b 10.2.9.0/24\n",
		"zz.b: claims 10.2.8.0/24, which is aa.b's by a later card; issue one of them anew\n"},
	/* WireGuard gives an address to one peer, whether a card calls it address or route */
	{"an address of one, a route to it of another",
		{{'b', "zz", 1, ",\"addr\":[\"10.2.0.1\"]"},
			{'b', "aa", 2, ",\"routes\":[\"10.2.0.1/32\"]"}},
		{.b = ALLOW_B}, "aa.b 10.2.0.1/32\nzz.b\n",
		"zz.b: claims 10.2.0.1/32, which is aa.b's by a later card; issue one of them anew\n"},
	{"and the other way round",
		{{'b', "zz", 1, ",\"routes\":[\"10.2.0.1/32\"]"},
			{'b', "aa", 2, ",\"addr\":[\"10.2.0.1\"]"}},
		{.b = ALLOW_B}, "aa.b 10.2.0.1\nzz.b\n",
		"zz.b: claims 10.2.0.1/32, which is aa.b's by a later card; issue one of them anew\n"},
	{"both of one host, each twice",
		{{'b', "db1", 1,
			",\"addr\":[\"10.2.0.1\",\"10.2.0.1\"],\"routes\":[\"10.2.0.1/32\",\"10.2.0.1/"
			"32\"]"}},
		{.b = ALLOW_B}, "db1.b 10.2.0.1 10.2.0.1/32\n", ""},
	/* on every host alike, so that all agree whose address it is */
	{"this host has no better claim",
		{{'a', "h1", 1, ",\"addr\":[\"10.1.0.1\"]"}, {'a', "h2", 2, ",\"addr\":[\"10.1.0.1\"]"}},
		{.a = "AllowedIPs = 10.1.0.0/16"}, "h1.a\nh2.a 10.1.0.1\n",
		"h1.a: claims 10.1.0.1/32, which is h2.a's by a later card; issue one of them anew\n"},

	/* ---- endpoints ---- */
	{"an endpoint in AllowedIPs",
		{{'b', "db1", 1, ",\"endpoint\":\"10.3.0.1:51820\""},
			{'b', "db2", 2, ",\"endpoint\":\"10.2.0.1:51820\""},
			{'b', "db3", 3, ",\"endpoint\":\"192.0.2.1:51820\""}},
		{.b = ALLOW_B, .c = ALLOW_C}, "db1.b\ndb2.b\ndb3.b @192.0.2.1:51820\n",
		"db1.b: endpoint 10.3.0.1 lies in the mesh itself; issue its card with one outside\n"
		"db2.b: endpoint 10.2.0.1 lies in the mesh itself; issue its card with one outside\n"},
	{"an endpoint in a derived /48", {{'b', "db1", 1, ",\"endpoint\":\"[<c/x>]:51820\""}}, {0},
		"db1.b\n",
		"db1.b: endpoint <c/x> lies in the mesh itself; issue its card with one outside\n"},

	/* ---- tunnel keys ---- */
	{"a key of two peers, seen at the same time: the earlier section",
		{{'b', "db1", 1, ",\"addr\":[\"10.2.0.1\"],\"routes\":[\"10.2.7.0/24\",\"10.2.8.0/24\"]"},
			{'c', "web", 1, NULL},
			/* what a refused host claims besides is nobody's loss */
			{'b', "db2", 2, ",\"addr\":[\"10.2.0.1\"],\"routes\":[\"10.2.8.0/24\"]"}},
		{.b = ALLOW_B}, "web.c\ndb2.b 10.2.0.1 10.2.8.0/24\n",
		"db1.b: claims tunnel key <1>, which is web.c's" KEEP_OWN},
	{"the own organisation before all", {{'a', "h2", 1, NULL}, {'c', "web", 1, NULL}}, {0}, "h2.a\n",
		"web.c: claims tunnel key <1>, which is h2.a's" KEEP_OWN},
	{"a key of several hosts of a peer: the later card",
		{{'b', "zz", 1, NULL}, {'b', "aa", 1, NULL}, {'b', "mm", 1, NULL}}, {0}, "mm.b\n",
		"aa.b: claims tunnel key <1>, which is mm.b's" KEEP_OWN
		"zz.b: claims tunnel key <1>, which is mm.b's" KEEP_OWN},
	{"this host's before that of a later card", {{'a', "h1", 1, NULL}, {'a', "h2", 1, NULL}}, {0},
		"h1.a\n", "h2.a: claims tunnel key <1>, which is h1.a's" KEEP_OWN},
	{"the interface's own key", {{'c', "web", 1, NULL}, {'a', "h2", 1, NULL}, {'b', "db1", 2, NULL}},
		{.own_key = 1}, "db1.b\n",
		"h2.a: claims tunnel key <1>, which is this host's" KEEP_OWN
		"web.c: claims tunnel key <1>, which is this host's" KEEP_OWN},
	{"the interface's own key, with its own card",
		{{'c', "web", 1, NULL}, {'a', "h1", 1, NULL}, {'a', "h2", 1, NULL}, {'b', "db1", 2, NULL}},
		{.own_key = 1}, "db1.b\nh1.a\n",
		"h2.a: claims tunnel key <1>, which is this host's" KEEP_OWN
		"web.c: claims tunnel key <1>, which is this host's" KEEP_OWN},

	/* ---- an interface that others use, too (DESIGN.md 6, Adopt) ---- */
	{"the key of a foreign peer", {{'b', "db1", 1, NULL}, {'b', "db2", 2, NULL}, {'a', "h1", 3, NULL}},
		{.foreign_key = 1}, "db2.b\nh1.a\n",
		"db1.b: claims tunnel key <1>, which is that of a peer that verimesh did not add; take that "
		"peer off the interface\n"},
	{"this host's own key is no peer's", {{'a', "h1", 1, NULL}}, {.foreign_key = 1}, "h1.a\n", ""},
	{"the address of a foreign peer", {{'b', "db1", 1, ",\"addr\":[\"10.2.0.1\",\"10.2.0.2\"]"}},
		{.b = ALLOW_B, .foreign_prefix = "10.2.0.1/32"}, "db1.b 10.2.0.2\n",
		"db1.b: claims 10.2.0.1/32, which a peer of verimesh0 has that verimesh did not add; take "
		"it "
		"from one of them\n"},
	{"the route of a foreign peer", {{'b', "db1", 1, ",\"routes\":[\"10.2.8.0/24\",\"10.2.9.0/24\"]"}},
		{.b = ALLOW_B, .interface = "Name = wg0", .foreign_prefix = "10.2.8.0/24"},
		"db1.b 10.2.9.0/24\n",
		"db1.b: claims 10.2.8.0/24, which a peer of wg0 has that verimesh did not add; take it from "
		"one of them\n"},
	{"a derived address that a foreign peer has", {{'b', "db1", 1, NULL}, {'b', "db2", 2, NULL}},
		{.foreign_prefix = "<b/db1>/128"}, "db2.b\n",
		"db1.b: claims <b/db1>/128, which a peer of verimesh0 has that verimesh did not add; take "
		"it "
		"from one of them\n"},
	{"a host that is out takes no key along", {{'c', "db1", 1, NULL}, {'b', "db1", 1, NULL}},
		{.foreign_prefix = "<c/db1>/128"}, "db1.b\n",
		"db1.c: claims <c/db1>/128, which a peer of verimesh0 has that verimesh did not add; take "
		"it from one of them\n"},

	/* ---- logins and accounts (DESIGN.md 5.5, 5.6) ---- */
	{"logins: those of card and policy, nobody without Logins",
		{{'b', "db1", 1, ",\"logins\":[\"alice\",\"bob\",\"carol\"]"},
			{'c', "web", 2, ",\"logins\":[\"alice\"]"}},
		{.b = "Logins = bob=verimesh-nobody dave alice"},
		"web.c\ndb1.b alice=alice bob=verimesh-nobody\n", ""},
	{"a login that is named twice", {{'b', "db1", 1, ",\"logins\":[\"alice\",\"bob\",\"alice\"]"}},
		{.b = "Logins = alice bob=b2"}, "db1.b alice=alice bob=b2\n", ""},
	{"uid 0 that is not written", {{'b', "db1", 1, ",\"logins\":[\"toor\",\"alice\",\"bob\"]"}},
		{.b = "Logins = toor alice=toor bob=root"}, "db1.b alice=toor bob=root\n",
		"db1.b: login toor would be uid 0; write toor=toor if that is meant\n"},
	{"with Accounts = yes it is another account", {{'b', "db1", 1, ",\"logins\":[\"alice\",\"root\"]"}},
		{.b = "Logins = alice root\nAccounts = yes"}, "db1.b alice=alice@b root=root@b\n", ""},
	{"two logins with one uid: the refused account has no login either",
		{{'b', "db1", 1, ",\"logins\":[\"alice\",\"bob\",\"zoe\"]"}},
		{.interface = NARROW, .b = "Logins = bob alice zoe=zoe\nAccounts = yes"},
		"db1.b bob=bob@b zoe=zoe\n",
		"b: uid 5000 for login alice is given to bob of <b!>; set Uid.alice to a free one\n"},
	{"two peers with one gid: the later section's accounts are refused",
		{{'b', "db1", 1, ",\"logins\":[\"alice\",\"bob\"]"},
			{'c', "web", 2, ",\"logins\":[\"alice\"]"}},
		{.interface = NARROW,
			.b = "Logins = alice bob=bob\nAccounts = yes",
			.c = "Logins = alice\nAccounts = yes"},
		"web.c alice=alice@c\ndb1.b bob=bob\n",
		"b: gid 5000 for its group is given to <c!>; set Gid to a free one\n"},
};

static void compare(
	const struct scene *s, const char *what, const char *of, const char *got, const char *expected) {
	struct text text = expand(s, expected);

	if (strcmp(got, text.p) != 0)
		fail_msg("%s: %s:\n%sand not\n%s", what, of, got, text.p);
	text_free(&text);
}

static void every_rule(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct rule *rule = &rules[i];
		struct scene *s = begin();
		struct text hosts;

		for (size_t c = 0; c < 4 && rule->cards[c].label; c++)
			issue(s,
				rule->cards[c].org == 'a'   ? &s->a
				: rule->cards[c].org == 'b' ? &s->b
							    : &s->c,
				rule->cards[c].label, rule->cards[c].key, rule->cards[c].more);
		build(s, &rule->setting);
		hosts = describe(s);
		compare(s, rule->what, "hosts", hosts.p, rule->hosts);
		compare(s, rule->what, "reports", s->reports.p, rule->reports);
		text_free(&hosts);
		end(s);
	}
}

/* ---- whatever they say ---- */

#define COUNT(list) (unsigned)(sizeof(list) / sizeof *(list))

static unsigned roll(unsigned sides) {
	return (unsigned)random() % sides;
}

/* Up to four of these, or nothing. */
static void add_list(struct text *to, const char *field, const char *const *pool, unsigned size) {
	unsigned n = roll(5);

	if (n == 0)
		return;
	text_add(to, ",\"%s\":[", field);
	for (unsigned i = 0; i < n; i++)
		text_add(to, "%s\"%s\"", i ? "," : "", pool[roll(size)]);
	text_add(to, "]");
}

static void add_time(struct text *to, const char *field, int from_now) {
	char time[TIME_TEXT];

	text_add(to, ",\"%s\":\"%s\"", field, time_format((NOW + from_now) * INT64_C(1000000), time));
}

/* What stands in a card behind its key; few values, so that they meet. */
static struct text invent_fields(void) {
	static const char *const addrs[] = {"10.2.0.1", "10.2.0.2", "10.2.1.1", "10.2.1.200", "10.3.0.1",
		"fd77::1", "192.0.2.1", "<a/h1>", "<b/h2>", "<c/h0>"};
	static const char *const routes[] = {"10.2.0.0/16", "10.2.1.0/24", "10.2.1.128/25", "10.0.0.0/8",
		"10.2.0.1/32", "10.2.1.1/32", "fd77::/64", "<b>", "<c/h0>/128", "fc00::/7"};
	static const char *const endpoints[] = {
		"192.0.2.9:1", "10.2.1.9:2", "[<c/h0>]:3", "[2001:db8::1]:4"};
	static const char *const logins[] = {"l0", "l1", "l2", "l3", "toor"};
	struct text fields = {0};

	text_add(&fields, "%s", "");
	if (roll(2))
		add_time(&fields, "from", (int)roll(6000) - 4000);
	if (roll(4) == 0)
		add_time(&fields, "until", (int)roll(6000) - 500);
	add_list(&fields, "addr", addrs, COUNT(addrs));
	add_list(&fields, "routes", routes, COUNT(routes));
	if (roll(2))
		text_add(&fields, ",\"endpoint\":\"%s\"", endpoints[roll(COUNT(endpoints))]);
	add_list(&fields, "logins", logins, COUNT(logins));
	return fields;
}

/* Cards of a few hosts, some in place of the one before, some withdrawn. */
static void invent_cards(struct scene *s) {
	static const char *const labels[] = {"h0", "h1", "h2", "h3"};
	struct id *orgs[] = {&s->a, &s->b, &s->c};
	char said[3][4][SAID] = {0}, withdrawal[40];

	for (unsigned i = 10 + roll(15); i > 0; i--) {
		unsigned org = roll(3), host = roll(4);
		struct text fields;

		if (roll(8) == 0) {
			snprintf(withdrawal, sizeof withdrawal, "\"host\":\"%s\"", labels[host]);
			issue_card(&s->stream, orgs[org], withdrawal, said[org][host]);
			continue;
		}
		if (roll(4) == 0)
			said[org][host][0] = 0;
		fields = invent_fields();
		replace(s, orgs[org], labels[host], (uint8_t)(1 + roll(12)), fields.p, said[org][host]);
		text_free(&fields);
	}
}

static struct text invent_section(void) {
	static const char *const allowed[] = {"10.2.0.0/16", "10.2.1.0/24", "10.2.1.128/25", "10.0.0.0/8",
		"fd77::/64", "fd00::/8", "10.2.0.2", "10.3.0.0/16"};
	static const char *const logins[] = {"l0", "l1=ann", "l2", "l3", "toor", "toor=toor"};
	struct text lines = {0};

	text_add(&lines, "Accounts = %s\nAllowedIPs =", roll(2) ? "yes" : "no");
	for (unsigned i = roll(4); i > 0; i--)
		text_add(&lines, " %s", allowed[roll(COUNT(allowed))]);
	text_add(&lines, "\nLogins =");
	for (unsigned i = 0; i < COUNT(logins) - 1; i++)
		if (roll(2))
			text_add(&lines, " %s", logins[i]);
	return lines;
}

/* The same messages in another order: events of one log stay in order among themselves. */
static void shuffle(struct text *stream) {
	struct {
		struct span bytes;
		char of[SAID]; /* whose log; "" for a card */
	} messages[100], moved;
	struct text shuffled = {0};
	struct cesr_message message;
	struct span rest = text_span(stream);
	size_t n = 0, to;

	while (cesr_message(&rest, &message, NULL) == CESR_ITEM) {
		struct text body = {(char *)(uintptr_t)message.body.p, message.body.n, 0};

		assert_true(n < COUNT(messages));
		messages[n].of[0] = 0;
		messages[n].bytes = span_of(message.body.p, message.body.n + message.attachments.n);
		if (!message.acdc)
			body_field(&body, "i", messages[n].of);
		n++;
	}
	/* one after the other goes to a place not before its log's last event */
	for (size_t i = 0; i < n; i++) {
		to = i;
		while (to > 0 && roll(8) &&
			(!messages[i].of[0] || strcmp(messages[to - 1].of, messages[i].of) != 0))
			to--;
		moved = messages[i];
		memmove(&messages[to + 1], &messages[to], (i - to) * sizeof messages[0]);
		messages[to] = moved;
	}
	for (size_t i = 0; i < n; i++)
		text_bytes(&shuffled, messages[i].bytes.p, messages[i].bytes.n);
	text_free(stream);
	*stream = shuffled;
}

/* Whose a prefix is, found by looking at all. */
static const struct policy_peer *owner_of(const struct policy *policy, const struct prefix *prefix) {
	const struct policy_peer *owner = NULL;
	int best = 0;

	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];
		bool own = strcmp(peer->name, policy->self) == 0;

		for (size_t k = 0; k < peer->nallowed; k++) {
			/* a bit for the own organisation; of equal ones the first stays */
			int rank = 2 * peer->allowed[k].bits + own;

			if (prefix_contains(&peer->allowed[k], prefix) && rank > best) {
				owner = peer;
				best = rank;
			}
		}
	}
	return owner;
}

static bool touches_derived(const struct policy *policy, const struct prefix *prefix) {
	for (size_t i = 0; i < policy->npeers; i++) {
		struct prefix derived = derived_prefix(policy->peers[i].aid);

		if (prefix_contains(prefix, &derived) || prefix_contains(&derived, prefix))
			return true;
	}
	return false;
}

/* The n-th prefix of a host as WireGuard will have it: addresses, then routes. */
static bool prefix_at(const struct roster_host *host, size_t n, struct prefix *prefix) {
	if (n < host->naddrs)
		*prefix = prefix_host(&host->addrs[n]);
	else if (n - host->naddrs < host->nroutes)
		*prefix = host->routes[n - host->naddrs];
	else
		return false;
	return true;
}

static bool has_prefix(const struct roster_host *host, const struct prefix *sought) {
	struct prefix prefix;

	for (size_t i = 0; prefix_at(host, i, &prefix); i++)
		if (memcmp(&prefix, sought, sizeof prefix) == 0)
			return true;
	return false;
}

static void check_prefixes(const struct scene *s, const struct roster_host *host) {
	const struct addr derived = derived_addr(host->peer->aid, span_str(host->label));
	struct prefix prefix;

	assert_true(addr_eq(&host->addrs[0], &derived));
	for (size_t i = 0; prefix_at(host, i, &prefix); i++) {
		if (i > 0) {
			assert_ptr_equal(owner_of(&s->policy, &prefix), host->peer);
			assert_false(touches_derived(&s->policy, &prefix));
		}
		for (const struct roster_host *other = s->roster.hosts; other < host; other++)
			assert_false(has_prefix(other, &prefix));
	}
	for (int next = 0; next < 2; next++) {
		prefix = prefix_host(next ? &host->next.endpoint : &host->endpoint);
		if (prefix.addr.family)
			assert_false(owner_of(&s->policy, &prefix) || touches_derived(&s->policy, &prefix));
	}
}

static void check_keys(const struct scene *s, const struct roster_host *host) {
	for (size_t i = 0; i < s->roster.nhosts; i++) {
		const struct roster_host *other = &s->roster.hosts[i];
		bool same = other == host;

		assert_true(same || memcmp(host->key, other->key, WG_KEY_BYTES) != 0);
		if (!other->next.from)
			continue;
		assert_int_not_equal(memcmp(host->key, other->next.key, WG_KEY_BYTES), 0);
		assert_true(same || !host->next.from ||
			    memcmp(host->next.key, other->next.key, WG_KEY_BYTES) != 0);
	}
	assert_true(host->self || !is_key(host->key, s->setting->own_key));
	assert_true(host->self || !host->next.from || !is_key(host->next.key, s->setting->own_key));
	assert_true(host->expires > NOW);
}

static void check_logins(const struct scene *s, const struct roster_host *host) {
	const struct roster *roster = &s->roster;

	for (size_t i = 0; i < host->nlogins; i++) {
		const struct policy_login *rule = policy_login(host->peer, span_str(host->logins[i].login));

		assert_non_null(rule);
		assert_string_equal(host->logins[i].account, rule->account);
		assert_true(rule->written || strcmp(rule->account, "toor") != 0);
		if (strchr(rule->account, '@'))
			assert_non_null(accounts_find(roster->accounts, roster->naccounts, rule));
	}
}

static void check_numbers(const struct roster *roster) {
	for (size_t i = 0; i < roster->naccounts; i++) {
		const struct account *x = &roster->accounts[i];

		assert_true(x->uid >= 5000 && x->uid <= 5005 && x->gid >= 5000 && x->gid <= 5005);
		for (const struct account *y = roster->accounts; y < x; y++) {
			assert_int_not_equal(x->uid, y->uid);
			assert_true((x->gid == y->gid) == (x->peer == y->peer));
		}
	}
}

/* All of it in words, and what was refused. */
static struct text tell(const struct scene *s) {
	struct text out = describe(s);

	for (size_t i = 0; i < s->roster.nhosts; i++) {
		const struct roster_host *host = &s->roster.hosts[i];

		text_add(&out, "%u %s %jd %d %jd %zu\n", host->key[0], host->said, (intmax_t)host->expires,
			host->lapsed, (intmax_t)host->next.from, host->place);
	}
	for (size_t i = 0; i < s->roster.naccounts; i++)
		text_add(&out, "%s %u:%u\n", s->roster.accounts[i].login->account, s->roster.accounts[i].uid,
			s->roster.accounts[i].gid);
	text_join(&out, &s->reports);
	return out;
}

static void one_world(void) {
	struct text sections[] = {invent_section(), invent_section(), invent_section()}, told[2];
	const struct setting setting = {.interface = "IdRange = 5000-5005",
		.a = sections[0].p,
		.b = sections[1].p,
		.c = sections[2].p,
		.own_key = (uint8_t)roll(13)};
	struct scene *first = begin(), *second = begin();

	invent_cards(first);
	second->stream.n = 0;
	text_join(&second->stream, &first->stream);
	shuffle(&second->stream);
	build(first, &setting);
	build(second, &setting);
	for (size_t i = 0; i < first->roster.nhosts; i++) {
		check_prefixes(first, &first->roster.hosts[i]);
		check_keys(first, &first->roster.hosts[i]);
		check_logins(first, &first->roster.hosts[i]);
	}
	check_numbers(&first->roster);
	told[0] = tell(first);
	told[1] = tell(second);
	assert_string_equal(told[0].p, told[1].p);
	end(first);
	end(second);
	for (size_t i = 0; i < 3; i++)
		text_free(&sections[i]);
	text_free(&told[0]);
	text_free(&told[1]);
}

/* Nothing is given twice, nobody has what is another's, and the order of arrival does not matter. The
 * first thing that a failed run has printed is the SEED that repeats it. */
static void nothing_is_given_twice(void **state) {
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	time_t end_at = time(NULL) + 3;

	(void)state;
	print_message("SEED=%u\n", seed);
	srandom(seed);
	for (unsigned i = 0; i < 20 || time(NULL) < end_at; i++)
		one_world();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule),
		cmocka_unit_test(nothing_is_given_twice),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
