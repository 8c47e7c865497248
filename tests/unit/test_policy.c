/* test_policy.c: verimesh.conf is read as DESIGN.md 5.5 says, or refused with file, line and mend.
 */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* The reader is compiled in here, so that its allocations can fail and the host has any name. */
static int allocations_left = -1; /* until they fail; -1: never */
static const char *host_name = "db1.example.org";

static bool may_allocate(void) {
	if (allocations_left > 0)
		allocations_left--;
	else if (allocations_left == 0)
		errno = ENOMEM;
	return allocations_left != 0;
}

__attribute__((format(printf, 2, 3))) static int test_asprintf_(char **out, const char *format, ...) {
	va_list args;
	int n;

	if (!may_allocate())
		return -1;
	va_start(args, format);
	n = vasprintf(out, format, args);
	va_end(args);
	return n;
}

static void *test_reallocarray_(void *p, size_t n, size_t size) {
	return may_allocate() ? reallocarray(p, n, size) : NULL;
}

static char *test_strndup_(const char *text, size_t n) {
	return may_allocate() ? strndup(text, n) : NULL;
}

static void *test_tsearch_(const void *key, void **root, int (*order)(const void *, const void *)) {
	return may_allocate() ? tsearch(key, root, order) : NULL;
}

static int test_gethostname_(char *name, size_t size) {
	if (!host_name)
		return -1;
	snprintf(name, size, "%s", host_name);
	return 0;
}

#undef asprintf
#define asprintf test_asprintf_
#define reallocarray test_reallocarray_
#define strndup test_strndup_
#define tsearch test_tsearch_
#define gethostname test_gethostname_
#include "../../libcommon/policy.c"
#undef asprintf
#undef reallocarray
#undef strndup
#undef tsearch
#undef gethostname

#define AID_A "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define AID_B "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define AID_B_FOLDED "EDP1vHCw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define AID_C "DDuOuwveR3w2Lh1eVdMnbW6wu9HI1LAFhVmGIkLWaFu5"

#define HEAD "[Interface]\nSelf = a\nHost = h\n" /* lines 1 to 3 */
#define PEER HEAD "[Peer b]\nAID = " AID_B "\n"	 /* lines 1 to 5 */

#define LABEL "1 to 40 of a-z 0-9 -, no - at either end"
#define SECTION "; allowed: [Interface], [Peer NAME]"
#define NAME "; allowed: 1 to 15 of A-Z a-z 0-9 _ = + . -, no - at the start, not . or .."
#define DOMAIN "; allowed: labels joined by dots, at most 100 characters"
#define DURATION "; allowed: a number of s, m, h or d, as in 90s or 5m, not 0"
#define RANGE "; allowed: LOW-HIGH within 1000-4294967293, 65534 and 65535 outside"
#define PATH "; allowed: an absolute path of at most 255 characters, no : nor control characters"
#define HOME PATH "; %u is the login, %p the petname, %% a %"
#define LOGINS " of Logins; allowed: LOGIN or LOGIN=ACCOUNT, such as alice or bob=rsmith"
#define NETWORK " of AllowedIPs; allowed: such as 10.77.2.0/24 or fd00:1::/32, no host bits, not /0"
#define URL " of Source; allowed: https://HOST, http://HOST or file:/PATH, no spaces"
#define UID "; allowed: 1 to 4294967293, for a login such as alice"

static const char example[] =
	"[Interface]\n"
	"Name = verimesh0\n"
	"Self = clinic-a              # petname of this host's own organisation\n"
	"Host = db1                   # this host's label in it (default: the short host name)\n"
	"Domain = mesh.internal\n"
	"ListenPort = 51820\n"
	"Adopt = no                   # yes: share an interface made by wg-quick, networkd\n"
	"FetchEvery = 5m\n"
	"MaxAge = 24h                 # a peer with a Source lapses when no Source answered\n"
	"IdRange = 1879048192-2130706431\n"
	"Home = /home/%u@%p\n"
	"Shell = /bin/bash\n"
	"\n"
	"[Peer clinic-b]\n"
	"AID = " AID_B "\n"
	"Logins = alice bob=rsmith    # admitted logins: `alice` to account alice\n"
	"AllowedIPs = 10.77.2.0/24\n"
	"Source = https://dkms.clinic-b.example/oobi/\xe2\x80\xa6   # or file:/path; may repeat\n"
	"Accounts = no                # yes: logins listed without `=` get login@peer\n"
	"Uid.alice = 1900000000       # settles a number by hand; so does Gid = N\n";

static struct policy read_bytes(struct span text) {
	struct policy policy;
	struct err err = {0};

	if (!policy_parse(text, "t", &policy, &err))
		fail_msg("%s: %.*s", err.text, SPAN_ARG(text));
	return policy;
}

static struct policy read_text(const char *text) {
	return read_bytes(span_str(text));
}

static bool is_empty(const struct policy *policy) {
	static const struct policy empty;

	return memcmp(policy, &empty, sizeof empty) == 0;
}

static void refused(struct span text, const char *error) {
	struct policy policy;
	struct err err = {0};

	if (policy_parse(text, "t", &policy, &err))
		fail_msg("accepted: %.*s", SPAN_ARG(text));
	assert_string_equal(err.text, error);
	assert_int_equal(err.status, ERR_USAGE);
	assert_true(is_empty(&policy));
	assert_false(policy_parse(text, "t", &policy, NULL));
}

static bool network_is(const struct prefix *prefix, const char *text) {
	char buf[PREFIX_TEXT];

	return strcmp(prefix_format(prefix, buf), text) == 0;
}

static void the_example_of_the_design_means_what_it_says(void **state) {
	struct policy p = read_text(example);
	const struct policy_peer *b = p.peers;

	(void)state;
	assert_string_equal(p.interface, "verimesh0");
	assert_string_equal(p.self, "clinic-a");
	assert_string_equal(p.host, "db1");
	assert_string_equal(p.domain, "mesh.internal");
	assert_int_equal(p.port, 51820);
	assert_false(p.adopt);
	assert_int_equal(p.fetch_every, 300);
	assert_int_equal(p.max_age, 86400);
	assert_int_equal(p.id_low, 1879048192);
	assert_int_equal(p.id_high, 2130706431);
	assert_string_equal(p.home, "/home/%u@%p");
	assert_string_equal(p.shell, "/bin/bash");
	assert_int_equal(p.npeers, 1);
	assert_string_equal(b->name, "clinic-b");
	assert_string_equal(b->aid, AID_B);
	assert_int_equal(b->line, 14);
	assert_int_equal(b->nlogins, 2);
	assert_string_equal(b->logins[0].login, "alice");
	assert_string_equal(b->logins[0].account, "alice");
	assert_false(b->logins[0].written);
	assert_string_equal(b->logins[1].login, "bob");
	assert_string_equal(b->logins[1].account, "rsmith");
	assert_true(b->logins[1].written);
	assert_int_equal(b->logins[1].line, 16);
	assert_int_equal(b->nallowed, 1);
	assert_true(network_is(b->allowed, "10.77.2.0/24"));
	assert_int_equal(b->nsources, 1);
	assert_string_equal(b->sources[0], "https://dkms.clinic-b.example/oobi/\xe2\x80\xa6");
	assert_false(b->accounts);
	assert_int_equal(b->nuids, 1);
	assert_string_equal(b->uids[0].login, "alice");
	assert_int_equal(b->uids[0].uid, 1900000000);
	assert_int_equal(b->gid, 0);
	policy_free(&p);
	assert_true(is_empty(&p));
}

static void everything_but_self_and_aid_has_a_default(void **state) {
	struct policy p = read_text("[Interface]\nSelf=a\n[Peer b]\nAID=" AID_B "\n[Peer a]");

	(void)state;
	assert_string_equal(p.interface, "verimesh0");
	assert_string_equal(p.host, "db1");
	assert_string_equal(p.domain, "mesh.internal");
	assert_int_equal(p.port, 51820);
	assert_false(p.adopt);
	assert_int_equal(p.fetch_every, 300);
	assert_int_equal(p.max_age, 86400);
	assert_int_equal(p.id_low, 1879048192);
	assert_int_equal(p.id_high, 2130706431);
	assert_string_equal(p.home, "/home/%u@%p");
	assert_string_equal(p.shell, "/bin/bash");
	assert_int_equal(p.npeers, 2);
	for (size_t i = 0; i < p.npeers; i++) {
		const struct policy_peer *peer = &p.peers[i];

		assert_int_equal(peer->nlogins + peer->nallowed + peer->nsources + peer->nuids, 0);
		assert_false(peer->accounts);
		assert_int_equal(peer->gid, 0);
	}
	assert_string_equal(p.peers[1].aid, "");
	policy_free(&p);
}

static void host_defaults_to_the_short_host_name_or_must_be_set(void **state) {
	static const struct {
		const char *name, *host, *error;
	} cases[] = {
		{"db1", "db1", NULL},
		{"DB1.Example.org", "db1", NULL},
		{"my_host.example.org", NULL,
			"t:4: host name \"my_host\" is no label; set Host in [Interface]"},
		{"", NULL, "t:4: host name \"\" is no label; set Host in [Interface]"},
		{NULL, NULL, "t:4: host name \"\" is no label; set Host in [Interface]"},
		{"a-name-of-forty-one-characters-is-too-long", NULL,
			"t:4: host name \"a-name-of-forty-one-characters-is-too-long\" is no label; "
			"set Host in [Interface]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		host_name = cases[i].name;
		if (cases[i].host) {
			struct policy p = read_text("\n[Interface]\nSelf = a\n");

			assert_string_equal(p.host, cases[i].host);
			policy_free(&p);
		} else {
			refused(span_str("\n[Interface]\nSelf = a\n"), cases[i].error);
		}
	}
	host_name = "no_label";
	policy_free(&(struct policy[]){read_text(HEAD)}[0]);
	host_name = "db1.example.org";
}

static void what_is_wrong_is_named_with_its_line_and_its_mend(void **state) {
	static const struct {
		const char *text, *error;
	} cases[] = {
		/* structure */
		{"", "t:1: no Self; set it in [Interface] to the own organisation's petname"},
		{"\n\n[Interface]\nHost = h",
			"t:4: no Self; set it in [Interface] to the own organisation's petname"},
		{"Self = a", "t:1: misplaced \"Self = a\"" SECTION ", KEY = VALUE"},
		{HEAD "Adopt", "t:4: misplaced \"Adopt\"" SECTION ", KEY = VALUE"},
		{HEAD "[Peers b]", "t:4: bad section \"[Peers b]\"" SECTION ", NAME " LABEL},
		{HEAD "[Interface", "t:4: bad section \"[Interface\"" SECTION ", NAME " LABEL},
		{HEAD "[Interfaces", "t:4: bad section \"[Interfaces\"" SECTION ", NAME " LABEL},
		{HEAD "[", "t:4: bad section \"[\"" SECTION ", NAME " LABEL},
		{HEAD "[]", "t:4: bad section \"[]\"" SECTION ", NAME " LABEL},
		{HEAD "[Peer]", "t:4: bad section \"[Peer]\"" SECTION ", NAME " LABEL},
		{HEAD "[Peer b c]", "t:4: bad section \"[Peer b c]\"" SECTION ", NAME " LABEL},
		{HEAD "[Peer B]", "t:4: bad section \"[Peer B]\"" SECTION ", NAME " LABEL},
		{HEAD "[Peer -b]", "t:4: bad section \"[Peer -b]\"" SECTION ", NAME " LABEL},
		{HEAD "[Interface x]", "t:4: bad section \"[Interface x]\"" SECTION ", NAME " LABEL},
		{HEAD "[Interface]", "t:4: section Interface stands twice"},
		{PEER "\n[Peer b]", "t:7: petname b stands twice"},
		{HEAD "MTU = 1420", "t:4: unknown key \"MTU\" in [Interface]"},
		{PEER "Self = a", "t:6: unknown key \"Self\" in [Peer]"},
		{PEER "Uid = 5000", "t:6: unknown key \"Uid\" in [Peer]"},
		{HEAD " = 1", "t:4: unknown key \"\" in [Interface]"},
		{HEAD "\x1b[31m = 1", "t:4: unknown key \"?[31m\" in [Interface]"},
		{HEAD "Host = h", "t:4: key Host stands twice"},
		{HEAD "HOST = i", "t:4: key HOST stands twice"},
		{PEER "AID = " AID_B, "t:6: key AID stands twice"},
		{PEER "Uid.x = 5\nUid.y = 6\nUid.x = 5", "t:8: key Uid.x stands twice"},
		{HEAD "[Peer b]\nLogins = x\n[Peer c]\nAID = " AID_C,
			"t:4: [Peer b] has no AID; only [Peer a], that of Self, may have none"},
		/* values of the host */
		{HEAD "Name = has/slash", "t:4: bad value \"has/slash\" of Name" NAME},
		{HEAD "Name = sixteen-letters-", "t:4: bad value \"sixteen-letters-\" of Name" NAME},
		{HEAD "Name = -h", "t:4: bad value \"-h\" of Name" NAME},
		{HEAD "Name = .", "t:4: bad value \".\" of Name" NAME},
		{HEAD "Name = ..", "t:4: bad value \"..\" of Name" NAME},
		{HEAD "Name = wg 0", "t:4: bad value \"wg 0\" of Name" NAME},
		{HEAD "Name =", "t:4: bad value \"\" of Name" NAME},
		{HEAD "Name = wg0#1", "t:4: bad value \"wg0#1\" of Name" NAME},
		{"[Interface]\nSelf = Clinic", "t:2: bad value \"Clinic\" of Self; allowed: " LABEL},
		{"[Interface]\nself = a-", "t:2: bad value \"a-\" of self; allowed: " LABEL},
		{"[Interface]\nHost = db1.a", "t:2: bad value \"db1.a\" of Host; allowed: " LABEL},
		{HEAD "Domain =", "t:4: bad value \"\" of Domain" DOMAIN},
		{HEAD "Domain = .", "t:4: bad value \".\" of Domain" DOMAIN},
		{HEAD "Domain = mesh.", "t:4: bad value \"mesh.\" of Domain" DOMAIN},
		{HEAD "Domain = .mesh", "t:4: bad value \".mesh\" of Domain" DOMAIN},
		{HEAD "Domain = a..b", "t:4: bad value \"a..b\" of Domain" DOMAIN},
		{HEAD "Domain = a-.b", "t:4: bad value \"a-.b\" of Domain" DOMAIN},
		{HEAD "Domain = m_sh", "t:4: bad value \"m_sh\" of Domain" DOMAIN},
		{HEAD "ListenPort = 0", "t:4: bad value \"0\" of ListenPort; allowed: 1 to 65535"},
		{HEAD "ListenPort = 65536", "t:4: bad value \"65536\" of ListenPort; allowed: 1 to 65535"},
		{HEAD "ListenPort = -1", "t:4: bad value \"-1\" of ListenPort; allowed: 1 to 65535"},
		{HEAD "ListenPort = 4294967297",
			"t:4: bad value \"4294967297\" of ListenPort; allowed: 1 to 65535"},
		{HEAD "Adopt = Yes", "t:4: bad value \"Yes\" of Adopt; allowed: yes or no"},
		{HEAD "Adopt = true", "t:4: bad value \"true\" of Adopt; allowed: yes or no"},
		{HEAD "FetchEvery = 0", "t:4: bad value \"0\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = 0m", "t:4: bad value \"0m\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = m", "t:4: bad value \"m\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = 5 m", "t:4: bad value \"5 m\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = 1h30m", "t:4: bad value \"1h30m\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = 5w", "t:4: bad value \"5w\" of FetchEvery" DURATION},
		{HEAD "FetchEvery = -5m", "t:4: bad value \"-5m\" of FetchEvery" DURATION},
		{HEAD "MaxAge = 4294967296", "t:4: bad value \"4294967296\" of MaxAge" DURATION},
		{HEAD "MaxAge = 49711d", "t:4: bad value \"49711d\" of MaxAge" DURATION},
		{HEAD "MaxAge = 99999999999s", "t:4: bad value \"99999999999s\" of MaxAge" DURATION},
		{HEAD "IdRange = 70000", "t:4: bad value \"70000\" of IdRange" RANGE},
		{HEAD "IdRange = 80000-70000", "t:4: bad value \"80000-70000\" of IdRange" RANGE},
		{HEAD "IdRange = 999-1999", "t:4: bad value \"999-1999\" of IdRange" RANGE},
		{HEAD "IdRange = 60000-65534", "t:4: bad value \"60000-65534\" of IdRange" RANGE},
		{HEAD "IdRange = 65535-70000", "t:4: bad value \"65535-70000\" of IdRange" RANGE},
		{HEAD "IdRange = 70000-4294967294", "t:4: bad value \"70000-4294967294\" of IdRange" RANGE},
		{HEAD "IdRange = 1000-2000-3000", "t:4: bad value \"1000-2000-3000\" of IdRange" RANGE},
		{HEAD "Home = home", "t:4: bad value \"home\" of Home" HOME},
		{HEAD "Home =", "t:4: bad value \"\" of Home" HOME},
		{HEAD "Home = /home/%h", "t:4: bad value \"/home/%h\" of Home" HOME},
		{HEAD "Home = /home/%", "t:4: bad value \"/home/%\" of Home" HOME},
		{HEAD "Home = /a:b", "t:4: bad value \"/a:b\" of Home" HOME},
		{HEAD "Home = /a\tb", "t:4: bad value \"/a?b\" of Home" HOME},
		{HEAD "Shell = bash", "t:4: bad value \"bash\" of Shell" PATH " nor %"},
		{HEAD "Shell = /bin/%u", "t:4: bad value \"/bin/%u\" of Shell" PATH " nor %"},
		{HEAD "Shell = /a\x7f", "t:4: bad value \"/a?\" of Shell" PATH " nor %"},
		/* values of a peer */
		{HEAD "[Peer b]\nAID = " AID_B "x",
			"t:5: bad value \"" AID_B "x\" of AID; allowed: 44 characters of CESR with "
			"code B, D or E"},
		{HEAD "[Peer b]\nAID = CDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2",
			"t:5: bad value \"CDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2\" of AID; "
			"allowed: 44 characters of CESR with code B, D or E"},
		{HEAD "[Peer b]\nAID =", "t:5: bad value \"\" of AID; allowed: 44 characters of "
					 "CESR with code B, D or E"},
		{PEER "[Peer c]\nAID = " AID_B, "t:7: AID " AID_B " stands twice"},
		{PEER "[Peer c]\nAID = " AID_B_FOLDED, "t:7: AID " AID_B_FOLDED " stands twice"},
		{PEER "Logins = Alice", "t:6: bad value \"Alice\"" LOGINS},
		{PEER "Logins = x al:ce", "t:6: bad value \"al:ce\"" LOGINS},
		{PEER "Logins = 1x", "t:6: bad value \"1x\"" LOGINS},
		{PEER "Logins = x=", "t:6: bad value \"x=\"" LOGINS},
		{PEER "Logins = =x", "t:6: bad value \"=x\"" LOGINS},
		{PEER "Logins = x = y", "t:6: bad value \"=\"" LOGINS},
		{PEER "Logins = x=y=z", "t:6: bad value \"x=y=z\"" LOGINS},
		{PEER "Logins = x=y@c", "t:6: bad value \"x=y@c\"" LOGINS},
		{PEER "Logins = x=-y", "t:6: bad value \"x=-y\"" LOGINS},
		{PEER "Logins = x y x", "t:6: login x stands twice"},
		{PEER "Logins = x\nLogins = x=y", "t:7: login x stands twice"},
		{PEER "Logins = x\nLogins = root\nGid = 5",
			"t:7: login root needs its account in writing, as in root=root"},
		{PEER "AllowedIPs = 10.77.2.5/24", "t:6: bad value \"10.77.2.5/24\"" NETWORK},
		{PEER "AllowedIPs = 10.0.0.0/8, FD00:0::1/64", "t:6: bad value \"FD00:0::1/64\"" NETWORK},
		{PEER "AllowedIPs = fd00:0::/16", "t:6: bad value \"fd00:0::/16\"" NETWORK},
		{PEER "AllowedIPs = ::ffff:10.0.0.1", "t:6: bad value \"::ffff:10.0.0.1\"" NETWORK},
		{PEER "AllowedIPs = 0.0.0.0/0", "t:6: bad value \"0.0.0.0/0\"" NETWORK},
		{PEER "AllowedIPs = ::/0", "t:6: bad value \"::/0\"" NETWORK},
		{PEER "AllowedIPs = 10.0.0.0/33", "t:6: bad value \"10.0.0.0/33\"" NETWORK},
		{PEER "AllowedIPs = 10.0.0.0/08", "t:6: bad value \"10.0.0.0/08\"" NETWORK},
		{PEER "AllowedIPs = 10.0.0.0/", "t:6: bad value \"10.0.0.0/\"" NETWORK},
		{PEER "AllowedIPs = 10.0.0/8", "t:6: bad value \"10.0.0/8\"" NETWORK},
		{PEER "AllowedIPs = fd00::/129", "t:6: bad value \"fd00::/129\"" NETWORK},
		{PEER "AllowedIPs = db1", "t:6: bad value \"db1\"" NETWORK},
		{PEER "Source =", "t:6: bad value \"\"" URL},
		{PEER "Source = ftp://x/", "t:6: bad value \"ftp://x/\"" URL},
		{PEER "Source = https://", "t:6: bad value \"https://\"" URL},
		{PEER "Source = https:///x", "t:6: bad value \"https:///x\"" URL},
		{PEER "Source = https://x/ https://y/", "t:6: bad value \"https://x/ https://y/\"" URL},
		{PEER "Source = file:x", "t:6: bad value \"file:x\"" URL},
		{PEER "Source = file:/", "t:6: bad value \"file:/\"" URL},
		{PEER "Source = file://host/x", "t:6: bad value \"file://host/x\"" URL},
		{PEER "Source = file:/a\x1f", "t:6: bad value \"file:/a?\"" URL},
		{PEER "Accounts = on", "t:6: bad value \"on\" of Accounts; allowed: yes or no"},
		{PEER "Uid.x = 0", "t:6: bad value \"0\" of Uid.x" UID},
		{PEER "Uid.x = 4294967294", "t:6: bad value \"4294967294\" of Uid.x" UID},
		{PEER "Uid.X = 5000", "t:6: bad value \"5000\" of Uid.X" UID},
		{PEER "Uid. = 5000", "t:6: bad value \"5000\" of Uid." UID},
		{PEER "Gid = 0", "t:6: bad value \"0\" of Gid; allowed: 1 to 4294967293"},
		{PEER "Gid = 0x10", "t:6: bad value \"0x10\" of Gid; allowed: 1 to 4294967293"},
		{PEER "Gid = 5\nGid = 5", "t:7: key Gid stands twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refused(span_str(cases[i].text), cases[i].error);
	refused(span_of(HEAD "\0", sizeof HEAD), "t:4: a NUL byte; allowed: plain text");
	refused(span_of(HEAD "# \0\n", sizeof HEAD + 3), "t:4: a NUL byte; allowed: plain text");
}

static void lengths_are_bounded(void **state) {
	static const struct {
		const char *before;
		char fill;
		size_t most;
	} cases[] = {
		{HEAD "Name = ", 'x', 15},
		{"[Interface]\nSelf = ", 'x', 40},
		{"[Interface]\nSelf = a\nHost = ", 'x', 40},
		{HEAD "Domain = ", 'x', 40},
		{HEAD "Domain = abcdefghijklmnopqrstuvwxyz0123456789.", 'x', 40},
		{HEAD "Home = /", 'x', 254},
		{HEAD "Shell = /", 'x', 254},
		{PEER "Logins = ", 'x', 32},
		{PEER "Logins = x=", 'X', 32},
		{PEER "Source = file:/", 'x', 1994},
		{PEER "Source = https://", 'x', 1992},
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t head = strlen(cases[i].before);
		struct policy policy;
		struct err err = {0};

		memcpy(text, cases[i].before, head);
		memset(text + head, cases[i].fill, cases[i].most + 1);
		policy = read_bytes(span_of(text, head + cases[i].most));
		policy_free(&policy);
		assert_false(policy_parse(span_of(text, head + cases[i].most + 1), "t", &policy, &err));
		assert_non_null(strstr(err.text, ": bad value \""));
	}
	snprintf(text, sizeof text, HEAD "Domain = %040d.%040d.%018d\n", 0, 0, 0);
	policy_free(&(struct policy[]){read_text(text)}[0]);
	snprintf(text, sizeof text, HEAD "Domain = %040d.%040d.%019d\n", 0, 0, 0);
	assert_false(policy_parse(span_str(text), "t", &(struct policy){0}, NULL));
}

static void values_at_their_bounds_are_taken(void **state) {
	static const struct {
		const char *text;
		uint32_t seconds;
	} durations[] = {{"1", 1}, {"90s", 90}, {"1m", 60}, {"1h", 3600}, {"2d", 172800},
		{"4294967295", UINT32_MAX}, {"49710d", 4294944000}};
	static const char *const good[] = {"Name = wg-0_a=b+c.d", "Name = ...", "ListenPort = 1",
		"ListenPort = 65535", "IdRange = 1000-65533", "IdRange = 65536-4294967293",
		"IdRange = 2000-2000", "Home = /srv/100%%/%p/%u",
		"Home = /a b\xc3\xa4,=", "Shell = /usr/bin/zsh"};
	char text[128];
	struct policy p;

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		snprintf(text, sizeof text, HEAD "MaxAge = %s", durations[i].text);
		p = read_text(text);
		assert_int_equal(p.max_age, durations[i].seconds);
		policy_free(&p);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(text, sizeof text, HEAD "%s", good[i]);
		p = read_text(text);
		policy_free(&p);
	}
	p = read_text("[Interface]\nSelf = a\nHost = 0\nDomain = Mesh.Example.ORG\nAdopt = yes\n"
		      "IdRange = 1000-65533\nListenPort = 65535\n"
		      "[Peer b]\nAID = " AID_C "\nGid = 1\nUid.x = 4294967293\nUid.y = 1\n"
		      "Source = file:/srv/b.cesr\nSource = file:///srv/b.cesr\n"
		      "Source = http://[fd00::1]:80/x#y\n"
		      "AllowedIPs = 10.0.0.1, fd00::1,192.0.2.0/31\n");
	assert_string_equal(p.domain, "mesh.example.org");
	assert_true(p.adopt);
	assert_int_equal(p.id_low, 1000);
	assert_int_equal(p.id_high, 65533);
	assert_int_equal(p.port, 65535);
	assert_int_equal(p.peers[0].gid, 1);
	assert_int_equal(p.peers[0].nuids, 2);
	assert_int_equal(p.peers[0].uids[0].uid, 4294967293);
	assert_string_equal(p.peers[0].uids[1].login, "y");
	assert_int_equal(p.peers[0].nsources, 3);
	assert_string_equal(p.peers[0].sources[1], "file:///srv/b.cesr");
	assert_string_equal(p.peers[0].sources[2], "http://[fd00::1]:80/x#y");
	assert_int_equal(p.peers[0].nallowed, 3);
	assert_true(network_is(&p.peers[0].allowed[0], "10.0.0.1/32"));
	assert_true(network_is(&p.peers[0].allowed[1], "fd00::1/128"));
	assert_true(network_is(&p.peers[0].allowed[2], "192.0.2.0/31"));
	policy_free(&p);
}

static void layout_is_wg_s_and_windows_editors_do_no_harm(void **state) {
	struct policy p = read_text("\xef\xbb\xbf# comment\r\n\r\n"
				    "\t[interface]  # comment\r\n"
				    "self=a\r\n"
				    "  HOST\t=\th\t# comment\r\n"
				    "#Host = i\r\n"
				    "[ PEER  b ]\r\n"
				    "aid=" AID_B "\r\n"
				    "uid.x = 7\r\n"
				    "Logins = x,  y=Y.1\tz, # w\r\n"
				    "LOGINS =\r\n"
				    "Logins = v");

	(void)state;
	assert_string_equal(p.self, "a");
	assert_string_equal(p.host, "h");
	assert_int_equal(p.npeers, 1);
	assert_int_equal(p.peers[0].line, 7);
	assert_int_equal(p.peers[0].uids[0].uid, 7);
	assert_string_equal(p.peers[0].uids[0].login, "x");
	assert_int_equal(p.peers[0].nlogins, 4);
	assert_string_equal(p.peers[0].logins[2].login, "z");
	assert_string_equal(p.peers[0].logins[3].login, "v");
	policy_free(&p);
}

static void list_keys_add_up(void **state) {
	struct policy p = read_text(PEER "Logins = x, y=Y.1\nSource = file:/1\n"
					 "AllowedIPs = 10.0.0.0/8 fd00::/16\nLogins =\n"
					 "Logins = z\nSource = file:/2\nAllowedIPs = 10.0.0.0/8\n");
	const struct policy_peer *b = p.peers;

	(void)state;
	assert_int_equal(b->nlogins, 3);
	assert_string_equal(b->logins[1].account, "Y.1");
	assert_string_equal(b->logins[2].login, "z");
	assert_int_equal(b->nsources, 2);
	assert_string_equal(b->sources[1], "file:/2");
	assert_int_equal(b->nallowed, 3);
	policy_free(&p);
}

static void logins_become_the_accounts_that_are_listed(void **state) {
	struct policy p = read_text(HEAD "[Peer b]\nLogins = alice bob=rsmith root eve=root\n"
					 "AID = " AID_B "\nAccounts = yes\n"
					 "[Peer c]\nAccounts = no\nAID = " AID_C "\n"
					 "Logins = alice bob=alice root=root\n");
	const struct policy_peer *b = policy_peer(&p, "b"), *c = policy_peer(&p, "c");

	(void)state;
	assert_string_equal(policy_login(b, span_str("alice"))->account, "alice@b");
	assert_string_equal(policy_login(b, span_str("bob"))->account, "rsmith");
	assert_string_equal(policy_login(b, span_str("root"))->account, "root@b");
	assert_string_equal(policy_login(b, span_str("eve"))->account, "root");
	assert_true(policy_login(b, span_str("eve"))->written);
	assert_string_equal(policy_login(c, span_str("alice"))->account, "alice");
	assert_string_equal(policy_login(c, span_str("bob"))->account, "alice");
	assert_string_equal(policy_login(c, span_str("root"))->account, "root");
	assert_null(policy_login(c, span_str("eve")));
	assert_null(policy_login(c, span_str("alic")));
	assert_null(policy_login(c, span_str("alicea")));
	assert_null(policy_login(c, span_of("alice\0", 6)));
	assert_null(policy_login(c, span_str("Alice")));
	assert_null(policy_login(c, span_str("")));
	policy_free(&p);
	p = read_text(PEER);
	assert_null(policy_login(p.peers, span_str("alice")));
	policy_free(&p);
}

static void peers_are_found_by_petname(void **state) {
	struct policy p = read_text("[Peer b]\nAID = " AID_B "\n[Peer a]\n"
				    "[Interface]\nSelf = a\n[Peer c]\nAID = " AID_C);

	(void)state;
	assert_ptr_equal(policy_peer(&p, "a"), &p.peers[1]);
	assert_ptr_equal(policy_peer(&p, "c"), &p.peers[2]);
	assert_null(policy_peer(&p, "d"));
	assert_null(policy_peer(&p, "C"));
	policy_free(&p);
}

static void the_own_organisation_is_implied(void **state) {
	static const struct {
		const char *text, *error;
	} cases[] = {
		{PEER, NULL},
		{PEER "[Peer a]\nAllowedIPs = 10.0.0.0/8", NULL},
		{PEER "[Peer a]\nAID = " AID_A, NULL},
		{HEAD, NULL},
		{PEER "[Peer a]\nAID = " AID_C, "/etc/verimesh/verimesh.conf:6: [Peer a] has AID " AID_C
						", but the identity here is " AID_A " of a"},
		{HEAD "[Peer b]\nAID = " AID_A, "/etc/verimesh/verimesh.conf:4: [Peer b] has AID " AID_A
						", but the identity here is " AID_A " of a"},
		{HEAD "[Peer b]\nAID = EGW6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP",
			"/etc/verimesh/verimesh.conf:4: [Peer b] has AID "
			"EGW6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP, but the identity here is " AID_A
			" of a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct policy p = read_text(cases[i].text);
		bool had = policy_peer(&p, "a");
		size_t n = p.npeers;
		struct err err = {0};

		if (cases[i].error) {
			assert_false(policy_imply_self(&p, AID_A, &err));
			assert_string_equal(err.text, cases[i].error);
			assert_int_equal(p.npeers, n);
		} else {
			assert_true(policy_imply_self(&p, AID_A, &err));
			assert_true(policy_imply_self(&p, AID_A, &err)); /* once is enough */
			assert_int_equal(p.npeers, n + !had);
			assert_string_equal(policy_peer(&p, "a")->aid, AID_A);
			assert_true(had || (policy_peer(&p, "a") == p.peers && !p.peers->line));
			assert_true(n == had || policy_peer(&p, "b")->line == 4);
		}
		policy_free(&p);
	}
}

/* A policy, or an empty one and an error that names a line. */
static void either_way(const char *text, size_t n) {
	char *copy = malloc(n ? n : 1); /* its end is watched by the sanitizers and valgrind */
	struct policy policy;
	struct err err = {0};

	assert_non_null(copy);
	memcpy(copy, text, n);
	if (policy_parse(span_of(copy, n), "t", &policy, &err)) {
		assert_true(label_valid(span_str(policy.self)));
		assert_true(label_valid(span_str(policy.host)));
		assert_true(policy.port && policy.fetch_every && policy.max_age);
		policy_free(&policy);
	} else {
		assert_memory_equal(err.text, "t:", 2);
		assert_in_range(strtoul(err.text + 2, NULL, 10), 1, 21);
	}
	assert_true(is_empty(&policy));
	free(copy);
}

static void damaged_text_gives_a_policy_or_an_error(void **state) {
	static const char bytes[] = "\0\n\r\t #=[]%.,:/-@0aA\x7f\xff";
	char text[sizeof example];

	(void)state;
	for (size_t n = 0; n < sizeof example; n++)
		either_way(example, n);
	for (size_t at = 0; at < sizeof example - 1; at++)
		for (size_t i = 0; i < sizeof bytes - 1; i++) {
			memcpy(text, example, sizeof text);
			text[at] = bytes[i];
			either_way(text, sizeof text - 1);
		}
}

static void without_memory_nothing_is_left_behind(void **state) {
	static const char text[] = PEER "Logins = x y=z\nAllowedIPs = 10.0.0.0/8 fd00::/16\n"
					"Source = file:/1\nSource = file:/2\nUid.x = 5\nUid.y = 6\n";
	struct policy p;
	struct err err;
	int n = 0;

	(void)state;
	for (;; n++) {
		err = (struct err){0};
		allocations_left = n;
		if (policy_parse(span_str(text), "t", &p, &err))
			break;
		assert_non_null(strstr(err.text, ": Cannot allocate memory"));
		assert_int_equal(err.status, ERR_ENV);
		assert_true(is_empty(&p));
	}
	assert_in_range(n, 20, 40);
	allocations_left = 0;
	assert_false(policy_imply_self(&p, AID_A, &err));
	assert_string_equal(err.text, PATH_CONF ": Cannot allocate memory");
	assert_int_equal(p.npeers, 1);
	allocations_left = -1;
	policy_free(&p);
}

/* Processor time to read n peers, each with an address, or one peer with n logins. */
static clock_t time_to_read(unsigned n, bool peers) {
	char *text, aid[CESR_TEXT];
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct policy p;
	clock_t start;

	assert_non_null(out);
	fputs(peers ? HEAD : PEER "Logins =", out);
	for (unsigned i = 0; i < n; i++) {
		if (peers)
			fprintf(out, "[Peer p%u]\nAID = %s\n", i, cesr_digest(span_of(&i, sizeof i), aid));
		else
			fprintf(out, " l%u", i);
	}
	assert_int_equal(fclose(out), 0);
	start = clock();
	p = read_bytes(span_of(text, size));
	start = clock() - start;
	assert_int_equal(peers ? p.npeers : p.peers->nlogins, n);
	policy_free(&p);
	free(text);
	return start;
}

static void a_hundred_thousand_peers_take_a_moment(void **state) {
	(void)state;
	for (int peers = 0; peers < 2; peers++) {
		clock_t tenth = time_to_read(10000, peers), all = time_to_read(100000, peers);

		if (all > 40 * tenth + CLOCKS_PER_SEC) /* a square would take 100 times as long */
			fail_msg("%ld and %ld ticks", (long)tenth, (long)all);
	}
}

static void write_conf(const char *path, const char *text) {
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void the_file_below_root_is_read(void **state) {
	char root[] = "/tmp/verimesh-policy-XXXXXX", etc[64], path[128], error[256];
	struct policy p;
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(etc, sizeof etc, "%s/etc/verimesh", root);
	snprintf(path, sizeof path, "%s" PATH_CONF, root);
	assert_true(file_mkdir(etc, 0755, &err));

	assert_false(policy_load(root, &p, &err));
	assert_int_equal(errno, ENOENT);
	snprintf(error, sizeof error, "%s: is missing; write it, or let `verimesh init` on the first host",
		path);
	assert_string_equal(err.text, error);
	assert_int_equal(err.status, ERR_ENV);
	assert_true(is_empty(&p));

	write_conf(path, PEER "AllowedIPs = 10.0.0.1/8\n");
	assert_false(policy_load(root, &p, &err));
	snprintf(error, sizeof error, "%s:6: bad value \"10.0.0.1/8\"" NETWORK, path);
	assert_string_equal(err.text, error);
	assert_int_equal(err.status, ERR_USAGE);
	assert_true(is_empty(&p));

	write_conf(path, example);
	assert_true(policy_load(root, &p, &err));
	assert_string_equal(p.peers[0].name, "clinic-b");
	policy_free(&p);

	assert_int_equal(truncate(path, (16 << 20) + 1), 0);
	assert_false(policy_load(root, &p, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_true(is_empty(&p));

	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(etc), 0);
	*strrchr(etc, '/') = 0;
	assert_int_equal(rmdir(etc), 0);
	assert_int_equal(rmdir(root), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_design_means_what_it_says),
		cmocka_unit_test(everything_but_self_and_aid_has_a_default),
		cmocka_unit_test(host_defaults_to_the_short_host_name_or_must_be_set),
		cmocka_unit_test(what_is_wrong_is_named_with_its_line_and_its_mend),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(values_at_their_bounds_are_taken),
		cmocka_unit_test(layout_is_wg_s_and_windows_editors_do_no_harm),
		cmocka_unit_test(list_keys_add_up),
		cmocka_unit_test(logins_become_the_accounts_that_are_listed),
		cmocka_unit_test(peers_are_found_by_petname),
		cmocka_unit_test(the_own_organisation_is_implied),
		cmocka_unit_test(damaged_text_gives_a_policy_or_an_error),
		cmocka_unit_test(without_memory_nothing_is_left_behind),
		cmocka_unit_test(a_hundred_thousand_peers_take_a_moment),
		cmocka_unit_test(the_file_below_root_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
