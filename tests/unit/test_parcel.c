/* test_parcel.c: a roster comes out of its parcel as it went in, and nothing else does. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parcel.h"
#include "roster_scene.h"

static const struct locals none;

/* What a scene's roster looks like in a parcel. */
static struct span packed(const struct roster *roster) {
	char *bytes = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&bytes, &n);

	assert_non_null(out);
	assert_true(parcel_make(out, roster));
	assert_int_equal(fclose(out), 0);
	return span_of(bytes, n);
}

/* Of db1 a key is to come, of x one went. */
static struct scene *begin_scene(void) {
	char db1[SAID] = "", x[SAID] = "";
	struct scene *s = begin();

	issue(s, &s->a, "h1", 3, NULL);
	replace(s, &s->b, "db1", 9,
		",\"addr\":[\"10.2.0.5\",\"10.2.0.6\"],\"routes\":[\"10.2.8.0/24\"],"
		"\"endpoint\":\"[2001:db8::7]:51820\",\"logins\":[\"alice\",\"bob\"],"
		"\"loginkeys\":[\"alice:DCKMhwdpedi5L7SZIWuu4FBlgBc4n-6y6iNiqKpHEYGB\"]",
		db1);
	replace(s, &s->b, "db1", 10, ",\"from\":\"2026-01-01T00:10:00.000000+00:00\"", db1);
	replace(s, &s->c, "x", 11, NULL, x);
	replace(s, &s->c, "x", 12, ",\"from\":\"2025-12-31T00:00:00.000000+00:00\",\"logins\":[\"carol\"]",
		x);
	build(s, &(struct setting){.b = "AllowedIPs = 10.2.0.0/16\nLogins = alice=ann bob",
			 .c = "Logins = carol\nAccounts = yes"});
	assert_int_equal(s->roster.nhosts, 3);
	assert_int_equal(s->roster.naccounts, 1);
	assert_true(find(s, "db1.b")->next.from && find(s, "x.c")->before[0]);
	return s;
}

static void it_comes_out_as_it_went_in(void **state) {
	struct scene *s = begin_scene();
	struct roster there = s->roster;
	struct span parcel = packed(&there);
	struct text before = describe(s), after;

	(void)state;
	assert_true(parcel_open(&s->roster, &s->policy, &none, parcel));
	after = describe(s);
	assert_string_equal(after.p, before.p);
	assert_ptr_equal(s->roster.self, find(s, "h1.a"));
	assert_int_equal(s->roster.refused, there.refused);
	assert_int_equal(s->roster.naccounts, 1);
	assert_ptr_equal(s->roster.accounts[0].login, there.accounts[0].login);
	assert_int_equal(s->roster.accounts[0].uid, there.accounts[0].uid);
	for (size_t i = 0; i < there.nhosts; i++) {
		const struct roster_host *was = &there.hosts[i], *is = &s->roster.hosts[i];

		assert_ptr_equal(is->peer, was->peer);
		assert_memory_equal(is->key, was->key, sizeof is->key);
		assert_string_equal(is->said, was->said);
		assert_string_equal(is->before, was->before);
		assert_memory_equal(&is->next, &was->next, sizeof is->next);
		assert_true(is->expires == was->expires && is->sn == was->sn && is->place == was->place);
		assert_true(span_eq(is->loginkeys, was->loginkeys));
		assert_int_equal(is->naddrs, was->naddrs);
		assert_memory_equal(is->addrs, was->addrs, is->naddrs * sizeof *is->addrs);
	}
	roster_free(&there);
	free((void *)(uintptr_t)parcel.p);
	text_free(&before);
	text_free(&after);
	end(s);
}

static void an_empty_one_too(void **state) {
	struct scene *s = begin();
	struct roster there;
	struct span parcel;

	(void)state;
	build(s, &(struct setting){0});
	there = s->roster;
	parcel = packed(&there);
	assert_true(parcel_open(&s->roster, &s->policy, &none, parcel));
	assert_int_equal(s->roster.nhosts, 0);
	assert_null(s->roster.self);
	roster_free(&there);
	free((void *)(uintptr_t)parcel.p);
	end(s);
}

/* In a place of exactly that size, so that a step beyond it is seen. */
static bool opens(const struct policy *policy, const uint8_t *bytes, size_t n) {
	uint8_t *copy = malloc(n + !n);
	struct roster roster;
	bool good;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	good = parcel_open(&roster, policy, &none, span_of(copy, n));
	for (size_t i = 0; good && i < roster.nhosts; i++) {
		struct span list = roster.hosts[i].loginkeys, text;

		while (event_next_text(&list, &text))
			;
		assert_true(roster.hosts[i].self || !roster.hosts[i].self);
	}
	if (good)
		roster_free(&roster);
	else
		assert_true(!roster.hosts && !roster.accounts);
	free(copy);
	return good;
}

static void no_part_of_one_is_one(void **state) {
	struct scene *s = begin_scene();
	struct span parcel = packed(&s->roster);

	(void)state;
	for (size_t n = 0; n < parcel.n; n++)
		assert_false(opens(&s->policy, parcel.p, n));
	free((void *)(uintptr_t)parcel.p);
	end(s);
}

static void whatever_its_bytes_are_nothing_is_out_of_bounds(void **state) {
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct scene *s = begin_scene();
	struct span parcel = packed(&s->roster);
	uint8_t *bytes = (uint8_t *)(uintptr_t)parcel.p;

	(void)state;
	for (size_t i = 0; i < parcel.n; i++) {
		uint8_t was = bytes[i];

		for (size_t k = 0; k < sizeof values; k++) {
			bytes[i] = values[k];
			opens(&s->policy, bytes, parcel.n);
		}
		bytes[i] = was;
	}
	assert_true(opens(&s->policy, bytes, parcel.n));
	free(bytes);
	end(s);
}

/* Who took the process over that reads cannot let in more people than the policy does. */
static void only_logins_that_the_policy_admits(void **state) {
	static const struct {
		const char *login, *account;
	} cases[] = {{"alice", "root"}, {"alice", "bob"}, {"mallory", "ann"}, {"bob", "ann"}};
	struct scene *s = begin_scene();
	struct roster_login *login = find(s, "db1.b")->logins, was = *login;
	struct span parcel;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(login->login, sizeof login->login, "%s", cases[i].login);
		snprintf(login->account, sizeof login->account, "%s", cases[i].account);
		parcel = packed(&s->roster);
		assert_false(opens(&s->policy, parcel.p, parcel.n));
		free((void *)(uintptr_t)parcel.p);
	}
	*login = was;
	parcel = packed(&s->roster);
	assert_true(opens(&s->policy, parcel.p, parcel.n));
	/* nor to an account that would be root's without anybody having written so */
	s->policy.peers[find(s, "db1.b")->peer - s->policy.peers].logins[1].root = true;
	assert_false(opens(&s->policy, parcel.p, parcel.n));
	free((void *)(uintptr_t)parcel.p);
	end(s);
}

static bool repacked_opens(const struct scene *s, const struct locals *locals) {
	struct span parcel = packed(&s->roster);
	struct roster roster;
	bool good = parcel_open(&roster, &s->policy, locals, parcel);

	if (good)
		roster_free(&roster);
	free((void *)(uintptr_t)parcel.p);
	return good;
}

/* Nor make anybody one of the system's own, or a neighbour. */
static void only_numbers_that_are_free(void **state) {
	struct scene *s = begin_scene();
	struct account *account = &s->roster.accounts[0], was = *account;
	uint32_t taken = was.uid;
	struct locals locals = {0};

	(void)state;
	assert_true(repacked_opens(s, &locals));
	account->uid = 33;
	assert_false(repacked_opens(s, &locals));
	account->uid = 0;
	assert_false(repacked_opens(s, &locals));
	*account = was;
	account->gid = 6;
	assert_false(repacked_opens(s, &locals));
	*account = was;
	locals.users = (struct locals_ids){&taken, 1};
	assert_false(repacked_opens(s, &locals));
	locals = (struct locals){0};
	s->policy.peers[was.peer - s->policy.peers].accounts = false;
	assert_false(repacked_opens(s, &locals));
	end(s);
}

/* Nor take a neighbour's addresses. */
static void only_addresses_that_the_policy_admits(void **state) {
	struct scene *s = begin_scene();
	struct roster_host *host = (struct roster_host *)(uintptr_t)find(s, "db1.b");

	(void)state;
	for (size_t i = 0; i < host->naddrs; i++) {
		struct addr was = host->addrs[i];

		host->addrs[i].bytes[0] ^= 1;
		assert_false(repacked_opens(s, &none));
		host->addrs[i] = was;
	}
	assert_int_equal(host->nroutes, 1);
	host->routes[0].bits = 1;
	assert_false(repacked_opens(s, &none));
	host->routes[0].bits = 24;
	assert_true(repacked_opens(s, &none));
	end(s);
}

/* Nor break what is written of a key that is to come, or that went. */
static void only_keys_and_cards_that_can_be(void **state) {
	struct scene *s = begin_scene();
	struct roster_host *db1 = (struct roster_host *)(uintptr_t)find(s, "db1.b"),
			   *x = (struct roster_host *)(uintptr_t)find(s, "x.c");
	char was = x->before[3];

	(void)state;
	x->before[3] = 0;
	assert_false(repacked_opens(s, &none));
	x->before[3] = was;
	x->before[WG_KEY_TEXT - 1] = 'A';
	assert_false(repacked_opens(s, &none));
	x->before[WG_KEY_TEXT - 1] = 0;
	assert_true(repacked_opens(s, &none));
	db1->next.said[3] = ' ';
	assert_false(repacked_opens(s, &none));
	memset(db1->next.said, 'E', sizeof db1->next.said);
	assert_false(repacked_opens(s, &none));
	end(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_out_as_it_went_in),
		cmocka_unit_test(an_empty_one_too),
		cmocka_unit_test(no_part_of_one_is_one),
		cmocka_unit_test(whatever_its_bytes_are_nothing_is_out_of_bounds),
		cmocka_unit_test(only_logins_that_the_policy_admits),
		cmocka_unit_test(only_numbers_that_are_free),
		cmocka_unit_test(only_addresses_that_the_policy_admits),
		cmocka_unit_test(only_keys_and_cards_that_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
