/* test_owners.c: an address belongs to the peer with the longest prefix; derived ones to nobody else. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "owners.h"

#define HEAD "[Interface]\nSelf = a\nHost = db1\n"
#define AID_A "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define AID_B "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define AID_C "EIMwJjaS2DG8SaQXJW8ppKYDgllMoAheSTiFzVfgonZa"

static struct policy read_policy(const char *text) {
	struct policy policy;
	struct err err;

	if (!policy_parse(span_str(text), "conf", &policy, &err))
		fail_msg("%s", err.text);
	return policy;
}

static void an_address_belongs_to_the_longest_prefix(void **state) {
	static const struct {
		const char *prefix, *owner;
	} cases[] = {
		{"10.9.0.0/16", "b"}, {"10.1.0.0/16", "c"}, {"10.1.2.0/24", "b"}, /* nested back */
		{"10.1.2.3/32", "b"}, {"10.1.2.128/32", "d"},			  /* one host of it */
		{"10.1.2.128/31", "b"},						  /* but not a wider claim */
		{"10.0.0.0/7", NULL}, {"10.0.0.0/8", "b"}, {"11.0.0.0/32", NULL},
		{"10.5.0.0/24", "c"},	/* a tie: the section that stands first */
		{"10.6.0.0/24", "a"},	/* a tie: the own organisation */
		{"192.0.2.1/32", "a"},	/* even against an earlier section */
		{"fd00:1::1/128", "d"}, /* */
		{"fd00:2::1/128", "c"}, /* */
		{"fe80::1/128", NULL},	/* */
		{"a09::/16", NULL},	/* the bytes of 10.9 in the other family */
	};
	struct policy p = read_policy(HEAD
		"[Peer b]\nAID = " AID_B "\nAllowedIPs = 10.0.0.0/8 10.1.2.0/24 192.0.2.0/24\n"
		"[Peer c]\nAID = " AID_C "\nAllowedIPs = 10.1.0.0/16 10.5.0.0/24 10.6.0.0/24 fd00::/16\n"
		"[Peer d]\nAID = " AID_A "\nAllowedIPs = fd00:1::/32, 10.5.0.0/24, 10.1.2.128\n"
		"[Peer a]\nAllowedIPs = 192.0.2.0/24 10.6.0.0/24\n");

	struct owners owners;

	(void)state;
	assert_true(owners_build(&owners, &p));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct policy_peer *owner;
		struct prefix prefix;

		assert_true(prefix_parse(span_str(cases[i].prefix), &prefix));
		owner = owners_allowed(&owners, &prefix);
		if (!owner != !cases[i].owner || (owner && strcmp(owner->name, cases[i].owner) != 0))
			fail_msg("%s belongs to %s", cases[i].prefix, owner ? owner->name : "nobody");
	}
	owners_free(&owners);
	policy_free(&p);
}

/* fd8c:c948:ee32::/48 is that of AID_A (tests/vectors/card/golden.json). */
static void what_touches_a_derived_prefix_is_its_peers(void **state) {
	static const struct {
		const char *prefix, *peer;
	} cases[] = {
		{"fd8c:c948:ee32:5c7e:c895:91b5:44a2:8638/128", "d"},
		{"fd8c:c948:ee32::/48", "d"},
		{"fd8c:c948:ee32:8000::/49", "d"},
		{"fd8c:c948:ee32::/47", "d"},
		{"fd8c:c948::/32", "d"},
		{"fd8c:c948:ee31::/48", NULL},
		{"fd8c:c948:ee33::/48", NULL},
		{"fd8c:c948:ee33::1/128", NULL},
		{"fe80::/16", NULL},
		{"10.0.0.0/8", NULL},
	};
	struct policy p = read_policy(
		HEAD "[Peer b]\nAID = " AID_B "\n[Peer c]\nAID = " AID_C "\n[Peer d]\nAID = " AID_A "\n");
	struct owners owners;

	(void)state;
	assert_true(owners_build(&owners, &p));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct policy_peer *peer;
		struct prefix prefix;

		assert_true(prefix_parse(span_str(cases[i].prefix), &prefix));
		peer = owners_derived(&owners, &prefix);
		if (!peer != !cases[i].peer || (peer && strcmp(peer->name, cases[i].peer) != 0))
			fail_msg("%s touches what is derived for %s", cases[i].prefix,
				peer ? peer->name : "nobody");
	}
	owners_free(&owners);
	policy_free(&p);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_belongs_to_the_longest_prefix),
		cmocka_unit_test(what_touches_a_derived_prefix_is_its_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
