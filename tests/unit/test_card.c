/* test_card.c: tunnel cards as DESIGN.md 5.2 and 5.3 say, or refused. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bytes.h"
#include "card.h"
#include "event.h"

#define VECTORS "tests/vectors/card/"
#define AID "EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP"
#define KEY "CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_"
#define ED "DDuOuwveR3w2Lh1eVdMnbW6wu9HI1LAFhVmGIkLWaFu5"
#define DT "\"dt\":\"2026-01-01T00:00:00.000000+00:00\""
#define DT_HOST DT ",\"host\":\"db1\""
#define DT_HOST_KEY DT_HOST ",\"key\":\"" KEY "\""
#define SECOND INT64_C(1000000)

/* ---- golden cards ---- */

/* The value of a name in golden.json; in "card_1" and the like when `in` is given. */
static const char *golden(const char *in, const char *name, char *out, size_t size) {
	struct span file = bytes_of_file(VECTORS "golden.json");
	char *text = strndup((const char *)file.p, file.n), key[64];
	const char *at = text;

	bytes_free(file);
	assert_non_null(text);
	if (in) {
		snprintf(key, sizeof key, "\"%s\": {", in);
		at = strstr(at, key);
		assert_non_null(at);
	}
	snprintf(key, sizeof key, "\"%s\": \"", name);
	at = strstr(at, key);
	assert_non_null(at);
	at += strlen(key);
	assert_true(span_copy(span_of(at, strcspn(at, "\"")), out, size));
	free(text);
	return out;
}

/* The number-th card of a golden stream, parsed; bytes_free the stream. */
static struct span golden_card(const char *file, size_t number, struct card *card) {
	char path[128];
	struct cesr_message message;
	struct span stream, rest;
	struct err err = {0};
	size_t seen = 0;

	snprintf(path, sizeof path, VECTORS "%s", file);
	rest = stream = bytes_of_file(path);
	while (cesr_message(&rest, &message, &err) == CESR_ITEM)
		if (message.acdc && seen++ == number) {
			if (!card_parse(message.body, card, &err))
				fail_msg("%s: %s", path, err.text);
			return stream;
		}
	fail_msg("%s: no card %zu", path, number);
	return stream;
}

static void assert_span(struct span s, const char *text) {
	if (!span_is(s, text))
		fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(s), text);
}

static void assert_list(struct span list, const char *const *texts) {
	struct span text;

	for (; *texts; texts++) {
		assert_true(event_next_text(&list, &text));
		assert_span(text, *texts);
	}
	assert_false(event_next_text(&list, &text));
	assert_int_equal(list.n, 0);
}

static void assert_key(const struct card *card, const char *golden_name) {
	char text[WG_KEY_TEXT], expected[WG_KEY_TEXT];

	assert_true(card->has_key);
	wg_key_encode(card->key, text);
	assert_string_equal(text, golden(golden_name, "key_wg", expected, sizeof expected));
}

static void the_schema_is_the_one_in_packaging(void **state) {
	struct span schema = bytes_of_file("packaging/schema/tunnel-card.schema.json");
	char text[CESR_TEXT], said[CESR_TEXT];
	const uint8_t *id = memmem(schema.p, schema.n, CARD_SCHEMA, CESR_CHARS);

	(void)state;
	assert_string_equal(golden(NULL, "schema_said", text, sizeof text), CARD_SCHEMA);
	assert_true(span_starts(schema, "{\"$id\":\"" CARD_SCHEMA "\","));
	if (schema.p[schema.n - 1] == '\n')
		schema.n--;
	cesr_said(schema, span_of(id, CESR_CHARS), span_of(NULL, 0), said);
	assert_string_equal(said, CARD_SCHEMA);
	bytes_free(schema);
}

static void golden_1_has_every_field(void **state) {
	char said[CESR_TEXT], host_key[CESR_TEXT], alice[CESR_TEXT], loginkey[64];
	struct card card;
	struct span stream = golden_card("golden-1-issued.cesr", 0, &card);
	const char *const addrs[] = {"10.77.2.5", NULL};
	const char *const logins[] = {"alice", "bob", NULL};
	const char *const hostkeys[] = {golden(NULL, "host_ssh_key", host_key, CESR_TEXT), NULL};
	const char *const loginkeys[] = {loginkey, NULL};

	(void)state;
	snprintf(loginkey, sizeof loginkey, "alice:%s", golden(NULL, "alice_ssh_key", alice, CESR_TEXT));
	assert_span(card.said, golden("card_1", "said", said, CESR_TEXT));
	assert_span(card.issuer, AID);
	assert_null(card.registry.p);
	assert_span(card.host, "db1");
	assert_key(&card, "card_1");
	assert_int_equal(card.from, 0);
	assert_true(card.until == NEVER);
	assert_span(card.endpoint, "198.51.100.7:51820");
	assert_list(card.addrs, addrs);
	assert_list(card.logins, logins);
	assert_list(card.loginkeys, loginkeys);
	assert_list(card.hostkeys, hostkeys);
	assert_null(card.routes.p);
	assert_null(card.journal.p);
	assert_null(card.rosenpass.p);
	bytes_free(stream);
}

static void golden_2_starts_later(void **state) {
	struct card card;
	struct span stream = golden_card("golden-2-replaced.cesr", 1, &card);
	char said[CESR_TEXT];
	int64_t from;

	(void)state;
	assert_span(card.said, golden("card_2", "said", said, CESR_TEXT));
	assert_key(&card, "card_2");
	assert_true(time_parse(span_str("2026-02-01T00:10:00.000000+00:00"), &from));
	assert_true(card.from == from);
	bytes_free(stream);
}

static void golden_3_withdraws(void **state) {
	struct card card;
	struct span stream = golden_card("golden-3-withdrawn.cesr", 2, &card);
	char said[CESR_TEXT];

	(void)state;
	assert_span(card.said, golden("card_3", "said", said, CESR_TEXT));
	assert_span(card.host, "db1");
	assert_false(card.has_key);
	bytes_free(stream);
}

static void the_golden_address_comes_out(void **state) {
	char text[ADDR_TEXT], expected[ADDR_TEXT];
	struct addr addr = derived_addr(AID, span_str("db1")), other;
	struct prefix prefix = derived_prefix(AID);

	(void)state;
	assert_string_equal(
		addr_format(&addr, text), golden(NULL, "derived_address", expected, sizeof expected));
	assert_int_equal(prefix.bits, 48);
	assert_true(prefix_covers(&prefix, &addr));
	for (size_t i = 6; i < 16; i++)
		assert_int_equal(prefix.addr.bytes[i], 0);
	other = derived_addr(AID, span_str("db2"));
	assert_true(prefix_covers(&prefix, &other));
	assert_false(addr_eq(&addr, &other));
	other = derived_addr("EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2", span_str("db1"));
	assert_false(prefix_covers(&prefix, &other));
}

/* ---- one field bent ---- */

/* A body out of what stands before `a`, and `a`; SAID and size are filled in. bytes_free it. */
static struct span body_of(const char *head, const char *a) {
	size_t size = strlen(head) + strlen(a) + 200;
	char *text = malloc(size);
	struct span body;
	int n;

	assert_non_null(text);
	n = snprintf(text, size, "{\"v\":\"ACDC10JSON000000_\",\"d\":\"%s\",%s,\"a\":%s}", EVENT_BLANK_SAID,
		head, a);
	event_fill(text, (size_t)n);
	body = bytes_copy(text, (size_t)n);
	free(text);
	return body;
}

#define HEAD "\"i\":\"" AID "\",\"s\":\"" CARD_SCHEMA "\""

static bool parses(const char *head, const char *a, struct err *err) {
	struct span body = body_of(head, a);
	struct card card;
	bool good = card_parse(body, &card, err);

	bytes_free(body);
	return good;
}

static void assert_taken(const char *a) {
	struct err err = {0};

	if (!parses(HEAD, a, &err))
		fail_msg("%s: %s", a, err.text);
}

static void assert_refused(const char *a) {
	struct err err = {0};

	if (parses(HEAD, a, &err))
		fail_msg("taken: %s", a);
	assert_int_equal(err.status, ERR_NO);
	assert_true(err.text[0]);
}

static void the_head_has_its_fields_in_order(void **state) {
	static const struct {
		const char *head;
		bool good;
	} cases[] = {
		{HEAD, true},
		{"\"i\":\"" AID "\",\"ri\":\"" AID "\",\"s\":\"" CARD_SCHEMA "\"", true},
		{"\"s\":\"" CARD_SCHEMA "\",\"i\":\"" AID "\"", false},
		{"\"i\":\"" AID "\",\"s\":\"" AID "\"", false},
		{"\"i\":\"" AID "\"", false},
		{"\"s\":\"" CARD_SCHEMA "\"", false},
		{"\"i\":\"" AID "\",\"s\":\"" CARD_SCHEMA "\",\"ri\":\"" AID "\"", false},
		{"\"i\":\"" AID "\",\"ri\":\"\",\"s\":\"" CARD_SCHEMA "\"", false},
		{"\"i\":\"" AID "\",\"ri\":\"" KEY "\",\"s\":\"" CARD_SCHEMA "\"", false},
		{"\"u\":\"x\",\"i\":\"" AID "\",\"s\":\"" CARD_SCHEMA "\"", false},
		{"\"i\":1,\"s\":\"" CARD_SCHEMA "\"", false},
		{HEAD ",\"e\":{}", false},
		{HEAD ",\"s\":\"" CARD_SCHEMA "\"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (parses(cases[i].head, "{" DT_HOST_KEY "}", NULL) != cases[i].good)
			fail_msg("%s", cases[i].head);
}

static void nothing_stands_behind_the_attributes(void **state) {
	(void)state;
	assert_refused("{" DT_HOST "},\"r\":{}");
	assert_refused("{" DT_HOST "},\"a\":{" DT_HOST "}");
	assert_refused("\"" AID "\""); /* the compact form: attributes by their SAID alone */
	assert_refused("[" DT_HOST "]");
	assert_refused("{}");
	assert_refused("null");
}

static void the_digest_is_of_these_bytes(void **state) {
	struct span body = body_of(HEAD, "{" DT_HOST_KEY "}");
	uint8_t *bytes = (uint8_t *)(uintptr_t)body.p;
	struct card card;

	(void)state;
	for (size_t i = 0; i < body.n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			assert_false(card_parse(body, &card, NULL));
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	assert_true(card_parse(body, &card, NULL));
	for (size_t n = 0; n < body.n; n++) {
		struct span cut = bytes_copy(body.p, n);

		assert_false(card_parse(cut, &card, NULL));
		bytes_free(cut);
	}
	bytes_free(body);
}

static void the_least_a_card_can_be(void **state) {
	(void)state;
	assert_taken("{" DT_HOST "}");
	assert_taken("{" DT_HOST_KEY "}");
	assert_refused("{" DT "}");
	assert_refused("{\"host\":\"db1\"}");
	assert_refused("{\"host\":\"db1\"," DT "}");
	assert_refused("{" DT ",\"key\":\"" KEY "\"}");
}

static void the_fields_in_their_order(void **state) {
	static const char *const fields[] = {
		"\"key\":\"" KEY "\"",
		"\"from\":\"2026-01-01T00:00:00.000000+00:00\"",
		"\"until\":\"2027-01-01T00:00:00.000000+00:00\"",
		"\"addr\":[\"10.77.2.5\"]",
		"\"routes\":[\"10.80.0.0/16\"]",
		"\"endpoint\":\"198.51.100.7:51820\"",
		"\"logins\":[\"alice\"]",
		"\"loginkeys\":[\"alice:" ED "\"]",
		"\"hostkeys\":[\"" ED "\"]",
		"\"journal\":\"" ED "\"",
		"\"rosenpass\":\"" AID "\"",
	};
	const size_t n = sizeof fields / sizeof fields[0];
	char all[2000] = "{" DT_HOST, two[500];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		snprintf(two, sizeof two, "{" DT_HOST ",%s}", fields[i]);
		assert_taken(two);
		snprintf(two, sizeof two, "{" DT ",%s,\"host\":\"db1\"}", fields[i]);
		assert_refused(two);
		for (size_t k = 0; k < n; k++) {
			snprintf(two, sizeof two, "{" DT_HOST ",%s,%s}", fields[i], fields[k]);
			(i < k ? assert_taken : assert_refused)(two);
		}
		strcat(strcat(all, ","), fields[i]);
	}
	assert_taken(strcat(all, "}"));
}

static void an_unknown_field_is_refused(void **state) {
	static const char *const places[] = {
		"{\"x\":\"\"," DT_HOST_KEY "}",
		"{" DT ",\"x\":\"\",\"host\":\"db1\"}",
		"{" DT_HOST_KEY ",\"x\":\"\"}",
		"{" DT_HOST_KEY ",\"psk\":\"" ED "\"}",
		"{" DT_HOST_KEY ",\"Addr\":[\"10.77.2.5\"]}",
		"{" DT_HOST_KEY ",\"addr\":[\"10.77.2.5\"],\"addr\":[\"10.77.2.5\"]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		assert_refused(places[i]);
}

static void values_are_of_their_type(void **state) {
	static const char *const names[] = {"key", "from", "until", "addr", "routes", "endpoint", "logins",
		"loginkeys", "hostkeys", "journal", "rosenpass"};
	static const char *const wrong[] = {"null", "1", "true", "{}", "\"\"", "[1]", "[\"\"]",
		"[[\"10.77.2.5\"]]", "[null]", "{\"0\":\"10.77.2.5\"}", "\"x\"", "[\"x \"]"};
	char a[300];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
			snprintf(a, sizeof a, "{" DT_HOST ",\"%s\":%s}", names[i], wrong[k]);
			assert_refused(a);
		}
	assert_refused("{\"dt\":1,\"host\":\"db1\"}");
	assert_refused("{" DT ",\"host\":1}");
	assert_refused("{" DT ",\"host\":[\"db1\"]}");
	assert_refused("{" DT_HOST ",\"addr\":\"10.77.2.5\"}");
	assert_refused("{" DT_HOST ",\"endpoint\":[\"198.51.100.7:51820\"]}");
}

static void a_label_is_a_dns_label(void **state) {
	static const struct {
		const char *label;
		bool good;
	} cases[] = {
		{"a", true},
		{"0", true},
		{"db-1", true},
		{"a--b", true},
		{"a234567890123456789012345678901234567890", true},
		{"a2345678901234567890123456789012345678901", false},
		{"", false},
		{"-", false},
		{"-a", false},
		{"a-", false},
		{"DB1", false},
		{"d_b", false},
		{"db1.x", false},
		{"db1 ", false},
		{"d\303\266", false},
	};
	char a[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(a, sizeof a, "{" DT ",\"host\":\"%s\"}", cases[i].label);
		(cases[i].good ? assert_taken : assert_refused)(a);
	}
}

static void labels_and_logins_have_their_letters(void **state) {
	static const struct {
		const char *text;
		bool label, login;
	} cases[] = {{"a", true, true}, {"0", true, false}, {"a-b", true, true}, {"a-", false, true},
		{"-a", false, false}, {"", false, false}, {"_", false, true}, {"a_b", false, true},
		{"A", false, false}, {"a.b", false, false}, {"a b", false, false},
		{"\xc3\xa4", false, false}, {"abcdefghijklmnopqrstuvwxyz012345", true, true},
		{"abcdefghijklmnopqrstuvwxyz0123456", true, false},
		{"abcdefghijklmnopqrstuvwxyz01234567890123", true, false},
		{"abcdefghijklmnopqrstuvwxyz012345678901234", false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(label_valid(span_str(cases[i].text)), cases[i].label);
		assert_int_equal(login_valid(span_str(cases[i].text)), cases[i].login);
	}
	assert_false(label_valid(span_of("a\0b", 3)));
	assert_false(login_valid(span_of("a\0", 2)));
	assert_false(label_valid(span_of(NULL, 0)));
}

static void single_values_are_canonical(void **state) {
	static const struct {
		const char *name, *value;
		bool good;
	} cases[] = {
		{"key", KEY, true},
		{"key", ED, false},
		{"key", "BIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_", false},
		{"key", "hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=", false},
		{"key", KEY "A", false},
		{"journal", KEY, false},
		{"journal", "BDuOuwveR3w2Lh1eVdMnbW6wu9HI1LAFhVmGIkLWaFu5", false},
		{"rosenpass", ED, false},
		{"endpoint", "[2001:db8::7]:51820", true},
		{"endpoint", "198.51.100.7:1", true},
		{"endpoint", "198.51.100.7:65535", true},
		{"endpoint", "198.51.100.7:65536", false},
		{"endpoint", "198.51.100.7:99999", false},
		{"endpoint", "198.51.100.7:4294967297", false},
		{"endpoint", "198.51.100.7:0", false},
		{"endpoint", "198.51.100.7:051820", false},
		{"endpoint", "198.51.100.7:", false},
		{"endpoint", "198.51.100.7:+1", false},
		{"endpoint", "198.51.100.7: 1", false},
		{"endpoint", "198.51.100.7", false},
		{"endpoint", ":51820", false},
		{"endpoint", "198.51.100.07:51820", false},
		{"endpoint", "[198.51.100.7]:51820", false},
		{"endpoint", "2001:db8::7:51820", false},
		{"endpoint", "[2001:db8::7]51820", false},
		{"endpoint", "[2001:db8::7:51820", false},
		{"endpoint", "[2001:DB8::7]:51820", false},
		{"endpoint", "[2001:db8:0::7]:51820", false},
		{"endpoint", "[fe80::1%eth0]:51820", false},
		{"endpoint", "[::ffff:198.51.100.7]:51820", false},
		{"endpoint", "[]:51820", false},
		{"endpoint", "[", false},
		{"endpoint", "]:1", false},
		{"endpoint", "vpn.example.org:51820", false},
	};
	char a[300];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(a, sizeof a, "{" DT_HOST ",\"%s\":\"%s\"}", cases[i].name, cases[i].value);
		(cases[i].good ? assert_taken : assert_refused)(a);
	}
}

static void list_values_are_canonical(void **state) {
	static const struct {
		const char *name, *value;
		bool good;
	} cases[] = {
		{"addr", "\"10.77.2.5\",\"fd00::1\"", true},
		{"addr", "", true},
		{"addr", "\"10.77.2.05\"", false},
		{"addr", "\"10.77.2\"", false},
		{"addr", "\"10.77.2.5/32\"", false},
		{"addr", "\"FD00::1\"", false},
		{"addr", "\"fd00:0::1\"", false},
		{"addr", "\"::ffff:10.77.2.5\"", false},
		{"addr", "\"fe80::1%eth0\"", false},
		{"addr", "\"10.77.2.5\",1", false},
		{"addr", "\"10.77.2.5\\u0000\"", false},
		{"routes", "\"10.80.0.0/16\",\"fd00:1::/32\",\"10.1.1.1/32\"", true},
		{"routes", "\"0.0.0.0/0\"", false},
		{"routes", "\"::/0\"", false},
		{"routes", "\"10.80.0.1/16\"", false},
		{"routes", "\"10.80.0.0\"", false},
		{"routes", "\"10.80.0.0/016\"", false},
		{"routes", "\"10.80.0.0/33\"", false},
		{"routes", "\"fd00:1::/129\"", false},
		{"routes", "\"FD00::/16\"", false},
		{"routes", "\"::ffff:10.80.0.0/112\"", false},
		{"logins", "\"_\",\"a-b_c9\",\"a2345678901234567890123456789012\"", true},
		{"logins", "\"a23456789012345678901234567890123\"", false},
		{"logins", "\"9a\"", false},
		{"logins", "\"-a\"", false},
		{"logins", "\"Alice\"", false},
		{"logins", "\"al ice\"", false},
		{"logins", "\"alice@x\"", false},
		{"logins", "\"a.b\"", false},
		{"loginkeys", "\"alice:" ED "\",\"alice:" ED "\"", true},
		{"loginkeys", "\"" ED "\"", false},
		{"loginkeys", "\":" ED "\"", false},
		{"loginkeys", "\"alice:" KEY "\"", false},
		{"loginkeys", "\"alice:\"", false},
		{"loginkeys", "\"alice\"", false},
		{"loginkeys", "\"Alice:" ED "\"", false},
		{"loginkeys", "\"alice:" ED ":" ED "\"", false},
		{"hostkeys", "\"" ED "\"", true},
		{"hostkeys", "\"" KEY "\"", false},
		{"hostkeys", "\"ssh-ed25519 AAAA\"", false},
	};
	char a[400];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(a, sizeof a, "{" DT_HOST ",\"%s\":[%s]}", cases[i].name, cases[i].value);
		(cases[i].good ? assert_taken : assert_refused)(a);
	}
}

static void lists_have_their_limits(void **state) {
	static const struct {
		const char *name, *value;
		size_t most;
	} cases[] = {
		{"addr", "\"10.77.2.5\"", 16},
		{"routes", "\"10.80.0.0/16\"", 64},
		{"logins", "\"alice\"", 256},
		{"loginkeys", "\"alice:" ED "\"", 512},
		{"hostkeys", "\"" ED "\"", 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t n = cases[i].most; n <= cases[i].most + 1; n++) {
			char *a = calloc(n + 4, 80);

			assert_non_null(a);
			strcat(strcat(strcat(a, "{" DT_HOST ",\""), cases[i].name), "\":[");
			for (size_t k = 0; k < n; k++)
				strcat(strcat(a, k ? "," : ""), cases[i].value);
			strcat(a, "]}");
			(n > cases[i].most ? assert_refused : assert_taken)(a);
			free(a);
		}
}

static void a_digest_of_the_block_is_checked(void **state) {
	char a[300], said[CESR_TEXT];

	(void)state;
	snprintf(a, sizeof a, "{\"d\":\"%s\"," DT_HOST_KEY "}", EVENT_BLANK_SAID);
	cesr_digest(span_str(a), said);
	memcpy(strstr(a, EVENT_BLANK_SAID), said, CESR_CHARS);
	assert_taken(a);
	a[strlen(a) - 3] ^= 1;
	assert_refused(a);
	assert_refused("{\"d\":\"" AID "\"," DT_HOST_KEY "}");
	assert_refused("{\"d\":\"\"," DT_HOST_KEY "}");
	assert_refused("{\"d\":\"E\"," DT_HOST_KEY "}");
	assert_refused("{\"d\":null," DT_HOST_KEY "}");
	snprintf(a, sizeof a, "{" DT_HOST_KEY ",\"d\":\"%s\"}", said);
	assert_refused(a);
}

/* SAIDs of ACDCs of any schema are checked, in any shape that starts with v and d. */
static void the_said_of_any_acdc(void **state) {
	struct span body = body_of("\"u\":\"x\",\"e\":[1,2]", "\"other\"");
	char said[CESR_TEXT];
	struct err err = {0};
	struct card card;

	(void)state;
	assert_true(card_check_said(body, said, NULL));
	assert_memory_equal(said, body.p + strlen("{\"v\":\"ACDC10JSON000000_\",\"d\":\""), 44);
	assert_false(card_parse(body, &card, &err));
	assert_string_equal(err.text, "not of the tunnel card's schema");
	bytes_free(body);
	assert_false(card_check_said(span_str("{\"v\":\"ACDC10JSON000000_\"}"), said, NULL));
	assert_false(card_check_said(span_str("{\"d\":\"" AID "\"}"), said, NULL));
	assert_false(card_check_said(span_of(NULL, 0), said, NULL));
	assert_false(card_check_said(span_str("[]"), said, NULL));
}

/* ---- times ---- */

static void times_are_read(void **state) {
	static const struct {
		const char *text;
		int64_t micros;
	} cases[] = {
		{"1970-01-01T00:00:00.000000+00:00", 0},
		{"1970-01-01T00:00:00.000001+00:00", 1},
		{"2026-01-01T00:00:00.000000+00:00", 1767225600 * SECOND},
		{"2026-01-01T00:00:00.000000-00:00", 1767225600 * SECOND},
		{"2026-01-01T01:30:00.000000+01:30", 1767225600 * SECOND},
		{"2025-12-31T12:01:00.000000-11:59", 1767225600 * SECOND},
		{"2024-02-29T23:59:59.999999+00:00", 1709251199 * SECOND + 999999},
		{"2000-02-29T00:00:00.000000+00:00", 951782400 * SECOND},
		{"9999-12-31T23:59:59.999999+00:00", INT64_C(253402300799) * SECOND + 999999},
	};
	int64_t micros;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(time_parse(span_str(cases[i].text), &micros));
		assert_true(micros == cases[i].micros);
	}
}

static void what_is_no_time_is_refused(void **state) {
	static const char *const cases[] = {
		"",
		"2026-01-01",
		"2026-01-01T00:00:00+00:00",
		"2026-01-01T00:00:00Z",
		"2026-01-01T00:00:00.000+00:00",
		"2026-01-01T00:00:00.000000Z",
		"2026-01-01T00:00:00.000000+0000",
		"2026-01-01T00:00:00.000000+00:00 ",
		" 2026-01-01T00:00:00.00000+00:00",
		"2026-01-01 00:00:00.000000+00:00",
		"2026-01-01t00:00:00.000000+00:00",
		"2026-01-01T00:00:00,000000+00:00",
		"2026-01-01T00:00:00.000000 00:00",
		"2026-01-01T00:00:00.000000+00.00",
		"2026/01/01T00:00:00.000000+00:00",
		"2026-00-01T00:00:00.000000+00:00",
		"2026-13-01T00:00:00.000000+00:00",
		"2026-01-00T00:00:00.000000+00:00",
		"2026-01-32T00:00:00.000000+00:00",
		"2026-02-29T00:00:00.000000+00:00",
		"2100-02-29T00:00:00.000000+00:00",
		"2026-02-30T00:00:00.000000+00:00",
		"2026-04-31T00:00:00.000000+00:00",
		"2026-01-01T24:00:00.000000+00:00",
		"2026-01-01T00:60:00.000000+00:00",
		"2026-01-01T23:59:60.000000+00:00",
		"2026-01-01T00:00:00.000000+24:00",
		"2026-01-01T00:00:00.000000+00:60",
		"1969-12-31T23:59:59.999999+00:00",
		"0000-01-01T00:00:00.000000+00:00",
		"+026-01-01T00:00:00.000000+00:00",
		"2026-01-01T00:00:00.00000x+00:00",
		"2026-01-01T00:00:00.-00001+00:00",
	};
	char text[33];
	int64_t micros;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (time_parse(span_str(cases[i]), &micros))
			fail_msg("%s", cases[i]);
	for (size_t i = 0; i < 32; i++) { /* a NUL or another byte in any place */
		memcpy(text, "2026-01-01T00:00:00.000000+00:00", sizeof text);
		text[i] = 0;
		assert_false(time_parse(span_of(text, 32), &micros));
		text[i] = ':' + 1;
		assert_false(time_parse(span_of(text, 32), &micros));
	}
}

static void times_come_back(void **state) {
	static const int64_t cases[] = {0, 1, 999999, SECOND, 951782399 * SECOND + 1, 1767225600 * SECOND,
		INT64_C(4102444800) * SECOND - 1, INT64_C(253402300799) * SECOND + 999999};
	char text[TIME_TEXT];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(strlen(time_format(cases[i], text)), TIME_TEXT - 1);
		assert_true(time_parse(span_str(text), &back));
		assert_true(back == cases[i]);
	}
	assert_string_equal(time_format(1, text), "1970-01-01T00:00:00.000001+00:00");
}

static void a_card_with_bad_times_is_refused(void **state) {
	(void)state;
	assert_refused("{\"dt\":\"2026-01-01\",\"host\":\"db1\"}");
	assert_refused("{" DT_HOST ",\"from\":\"never\"}");
	assert_refused("{" DT_HOST ",\"until\":\"2026-02-30T00:00:00.000000+00:00\"}");
	assert_taken("{" DT_HOST ",\"until\":\"2026-02-28T00:00:00.000000+05:30\"}");
}

/* ---- writing ---- */

static char *addrs[] = {(char *)"10.77.2.5", (char *)"fd00::1", NULL};
static char *routes[] = {(char *)"10.80.0.0/16", NULL};
static char *logins[] = {(char *)"alice", (char *)"bob", NULL};
static char *loginkeys[] = {(char *)"alice:" ED, NULL};
static char *hostkeys[] = {(char *)ED, NULL};

static struct card_content full(void) {
	static const uint8_t key[WG_KEY_BYTES] = {1, 2, 3, [31] = 0xff};

	return (struct card_content){.issuer = AID,
		.host = "db1",
		.key = key,
		.issued = 1767225600 * SECOND + 5,
		.from = 1767225600 * SECOND + 6,
		.until = 1767225600 * SECOND + 7,
		.addrs = addrs,
		.routes = routes,
		.logins = logins,
		.loginkeys = loginkeys,
		.hostkeys = hostkeys,
		.endpoint = "198.51.100.7:51820",
		.journal = ED,
		.rosenpass = AID};
}

static void what_is_written_is_read(void **state) {
	struct card_content content = full();
	struct card card;
	uint8_t *body;
	struct err err;
	size_t n;

	(void)state;
	if (!card_write(&content, &body, &n, &err))
		fail_msg("%s", err.text);
	assert_true(card_parse(span_of(body, n), &card, &err));
	assert_span(card.issuer, AID);
	assert_span(card.host, "db1");
	assert_true(card.has_key);
	assert_memory_equal(card.key, content.key, WG_KEY_BYTES);
	assert_true(card.from == content.from);
	assert_true(card.until == content.until);
	assert_list(card.addrs, (const char *const *)addrs);
	assert_list(card.routes, (const char *const *)routes);
	assert_list(card.logins, (const char *const *)logins);
	assert_list(card.loginkeys, (const char *const *)loginkeys);
	assert_list(card.hostkeys, (const char *const *)hostkeys);
	assert_span(card.endpoint, content.endpoint);
	assert_span(card.journal, ED);
	assert_span(card.rosenpass, AID);
	free(body);
}

static void what_is_written_is_one_message(void **state) {
	struct card_content content = full();
	struct cesr_message message;
	struct span stream;
	uint8_t *body;
	size_t n;

	(void)state;
	assert_true(card_write(&content, &body, &n, NULL));
	stream = span_of(body, n);
	assert_int_equal(cesr_message(&stream, &message, NULL), CESR_ITEM);
	assert_true(message.acdc);
	assert_int_equal(message.body.n, n);
	assert_int_equal(stream.n, 0);
	free(body);
}

static void what_is_not_given_is_left_out(void **state) {
	char *none[] = {NULL};
	struct card_content content = {.issuer = AID, .host = "db1", .until = NEVER, .addrs = none};
	const char *end = ",\"a\":{\"dt\":\"1970-01-01T00:00:00.000000+00:00\",\"host\":\"db1\"}}";
	struct card card;
	uint8_t *body;
	size_t n;

	(void)state;
	assert_true(card_write(&content, &body, &n, NULL));
	assert_true(card_parse(span_of(body, n), &card, NULL));
	assert_false(card.has_key);
	assert_memory_equal(body + n - strlen(end), end, strlen(end));
	free(body);
}

/* Nothing that is put in a string may end it: such a card would say something else. */
static void hostile_content_is_not_written(void **state) {
	static const char *const hostile[] = {"\"", "\\", "db1\",\"key\":\"C", "a\nb", "\x7f", "\xff",
		"db1\\", "", "\",\"addr\":[\"10.0.0.1\"],\"x\":\""};
	struct card_content content;
	char *list[] = {NULL, NULL};
	struct err err;
	uint8_t *body;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		const char **texts[] = {
			&content.host, &content.endpoint, &content.journal, &content.rosenpass};
		char ***lists[] = {&content.addrs, &content.routes, &content.logins, &content.loginkeys,
			&content.hostkeys};

		list[0] = (char *)hostile[i];
		for (size_t k = 0; k < 4; k++) {
			content = full();
			*texts[k] = hostile[i];
			assert_false(card_write(&content, &body, &n, &err));
			assert_null(body);
			assert_int_equal(err.status, ERR_NO);
		}
		for (size_t k = 0; k < 5; k++) {
			content = full();
			*lists[k] = list;
			assert_false(card_write(&content, &body, &n, &err));
			assert_null(body);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_schema_is_the_one_in_packaging),
		cmocka_unit_test(golden_1_has_every_field),
		cmocka_unit_test(golden_2_starts_later),
		cmocka_unit_test(golden_3_withdraws),
		cmocka_unit_test(the_golden_address_comes_out),
		cmocka_unit_test(the_head_has_its_fields_in_order),
		cmocka_unit_test(nothing_stands_behind_the_attributes),
		cmocka_unit_test(the_digest_is_of_these_bytes),
		cmocka_unit_test(the_least_a_card_can_be),
		cmocka_unit_test(the_fields_in_their_order),
		cmocka_unit_test(an_unknown_field_is_refused),
		cmocka_unit_test(values_are_of_their_type),
		cmocka_unit_test(a_label_is_a_dns_label),
		cmocka_unit_test(labels_and_logins_have_their_letters),
		cmocka_unit_test(single_values_are_canonical),
		cmocka_unit_test(list_values_are_canonical),
		cmocka_unit_test(lists_have_their_limits),
		cmocka_unit_test(a_digest_of_the_block_is_checked),
		cmocka_unit_test(the_said_of_any_acdc),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(times_come_back),
		cmocka_unit_test(a_card_with_bad_times_is_refused),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_written_is_one_message),
		cmocka_unit_test(what_is_not_given_is_left_out),
		cmocka_unit_test(hostile_content_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
