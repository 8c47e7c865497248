/* test_addr.c: addresses and prefixes as text and as bytes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "addr.h"
#include "bytes.h"
#include "card.h" /* canonical text */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool parse(const char *text, struct addr *a) {
	struct span exact = bytes_copy(text, strlen(text));
	bool good = addr_parse(exact, a);

	bytes_free(exact);
	return good;
}

static bool parse_prefix(const char *text, struct prefix *p) {
	struct span exact = bytes_copy(text, strlen(text));
	bool good = prefix_parse(exact, p);

	bytes_free(exact);
	return good;
}

static struct addr addr(const char *text) {
	struct addr a;

	if (!parse(text, &a))
		fail_msg("%s is no address", text);
	return a;
}

static struct prefix prefix(const char *text) {
	struct prefix p;

	if (!parse_prefix(text, &p))
		fail_msg("%s is no prefix", text);
	return p;
}

/* Text, its canonical form (NULL: no address), and whether it is that form itself. */
static const struct {
	const char *text, *canonical;
} addresses[] = {
	{"10.77.2.5", "10.77.2.5"},
	{"0.0.0.0", "0.0.0.0"},
	{"255.255.255.255", "255.255.255.255"},
	{"fd8c:c948:ee32:5c7e:c895:91b5:44a2:8638", "fd8c:c948:ee32:5c7e:c895:91b5:44a2:8638"},
	{"FD8C:C948::1", "fd8c:c948::1"},
	{"fd00:0:0:0:0:0:0:1", "fd00::1"},
	{"fd00::0001", "fd00::1"},
	{"fd00:0:1::1", "fd00:0:1::1"},
	{"::", "::"},
	{"::1", "::1"},
	{"::ffff:10.77.2.5", "10.77.2.5"},
	{"::ffff:a4d:205", "10.77.2.5"},
	{"", NULL},
	{"10.77.2", NULL},
	{"10.77.2.256", NULL},
	{"10.77.2.05", NULL},
	{"0x0a.1.1.1", NULL},
	{"1", NULL},
	{" 10.77.2.5", NULL},
	{"10.77.2.5 ", NULL},
	{"10.77.2.5:22", NULL},
	{"10.77.2.5/32", NULL},
	{"[fd00::1]", NULL},
	{"fe80::1%eth0", NULL},
	{"fd00::1::2", NULL},
	{"fd00:12345::", NULL},
	{"1:2:3:4:5:6:7:8:9", NULL},
	{"localhost", NULL},
	{"fd8c:c948:ee32:5c7e:c895:91b5:44a2:8638:ffff:ffff:ffff", NULL},
};

static void only_numbers_are_addresses(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		char text[ADDR_TEXT];
		struct addr a;

		if (parse(addresses[i].text, &a) != (addresses[i].canonical != NULL))
			fail_msg("\"%s\"", addresses[i].text);
		if (addresses[i].canonical)
			assert_string_equal(addr_format(&a, text), addresses[i].canonical);
		else
			assert_int_equal(a.family, 0);
	}
	assert_false(addr_parse(span_of("10.0.0.1\0", 9), &(struct addr){0}));
}

static void canonical_is_one_text(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct span text = span_str(addresses[i].text);
		bool same = addresses[i].canonical && span_is(text, addresses[i].canonical);
		struct addr a;

		assert_int_equal(addr_parse_canonical(text, &a), same);
	}
}

static void no_address_has_no_text(void **state) {
	char text[ADDR_TEXT] = "x";
	struct addr none = {0};

	(void)state;
	assert_string_equal(addr_format(&none, text), "");
}

static void mapped_addresses_are_ipv4(void **state) {
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 77, [14] = 2, [15] = 5};
	struct addr v4 = addr("10.77.2.5"), a = addr_from_bytes(AF_INET6, mapped);

	(void)state;
	assert_true(addr_eq(&a, &v4));
	assert_int_equal(a.family, AF_INET);
	assert_int_equal(addr_size(&a), 4);
	mapped[0] = 1;
	a = addr_from_bytes(AF_INET6, mapped);
	assert_int_equal(a.family, AF_INET6);
	assert_int_equal(addr_size(&a), 16);
	a = addr_from_bytes(AF_INET, mapped + 12);
	assert_true(addr_eq(&a, &v4));
}

static void socket_addresses(void **state) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(22)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3};
	struct sockaddr unix_one = {.sa_family = AF_UNIX};
	struct addr want = addr("198.51.100.7"), a;

	(void)state;
	in.sin_addr.s_addr = htonl(0xc6336407);
	assert_true(addr_from_sockaddr((struct sockaddr *)&in, &a));
	assert_true(addr_eq(&a, &want));
	assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.7", &in6.sin6_addr), 1);
	assert_true(addr_from_sockaddr((struct sockaddr *)&in6, &a));
	assert_true(addr_eq(&a, &want));
	assert_int_equal(inet_pton(AF_INET6, "fd00::7", &in6.sin6_addr), 1);
	assert_true(addr_from_sockaddr((struct sockaddr *)&in6, &a));
	want = addr("fd00::7");
	assert_true(addr_eq(&a, &want));
	assert_false(addr_from_sockaddr(&unix_one, &a));
	assert_int_equal(a.family, 0);
}

static void equal_needs_family_and_bytes(void **state) {
	struct addr v4 = addr("1.2.3.4"), other = addr("1.2.3.5"), v6 = addr("102:304::");

	(void)state;
	assert_memory_equal(v4.bytes, v6.bytes, 16);
	assert_false(addr_eq(&v4, &v6));
	assert_false(addr_eq(&v4, &other));
	assert_true(addr_eq(&v4, &v4));
}

static const struct {
	const char *text, *canonical;
} prefixes[] = {
	{"10.77.2.0/24", "10.77.2.0/24"},
	{"10.77.2.0/23", "10.77.2.0/23"},
	{"10.77.2.5", NULL},
	{"10.77.2.5/32", "10.77.2.5/32"},
	{"0.0.0.0/0", "0.0.0.0/0"},
	{"128.0.0.0/1", "128.0.0.0/1"},
	{"::/0", "::/0"},
	{"fd00::/8", "fd00::/8"},
	{"FD00::/8", NULL},
	{"fd00:0::/8", NULL},
	{"fd8c:c948:ee32::/48", "fd8c:c948:ee32::/48"},
	{"fd00::1", NULL},
	{"fd00::1/128", "fd00::1/128"},
	{"fd00::2/127", "fd00::2/127"},
	{"::ffff:10.0.0.1/32", NULL},
	{"::ffff:10.0.0.1/128", NULL},
	{"::ffff:10.0.0.0/8", NULL},
	{"::ffff:10.0.0.0/104", NULL},
	{"10.77.2.5/24", NULL},
	{"10.77.3.0/23", NULL},
	{"fd00::1/64", NULL},
	{"fd00::1/127", NULL},
	{"10.77.2.0/33", NULL},
	{"fd00::/129", NULL},
	{"10.77.2.0/", NULL},
	{"10.77.2.0/024", NULL},
	{"10.77.2.0/00", NULL},
	{"10.77.2.0/+24", NULL},
	{"10.77.2.0/-1", NULL},
	{"10.77.2.0/24 ", NULL},
	{"10.77.2.0/2 4", NULL},
	{"10.77.2.0/24/24", NULL},
	{"10.77.2.0/4294967320", NULL},
	{"10.77.2.0/255.255.255.0", NULL},
	{"fd00::/19", "fd00::/19"},
	{"fd00::/a", NULL},
	{"fd00::/:", NULL},
	{"0.0.0.0/", NULL},
	{"::/0000", NULL},
	{"/24", NULL},
	{"", NULL},
};

static void prefix_texts(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		char text[PREFIX_TEXT];
		struct prefix p;

		if (parse_prefix(prefixes[i].text, &p) != (prefixes[i].canonical != NULL))
			fail_msg("\"%s\"", prefixes[i].text);
		if (prefixes[i].canonical)
			assert_string_equal(prefix_format(&p, text), prefixes[i].canonical);
	}
}

static const struct {
	const char *prefix, *inside, *outside;
} covers[] = {
	{"10.77.2.0/24", "10.77.2.255", "10.77.3.0"},
	{"10.77.2.0/23", "10.77.3.255", "10.77.4.0"},
	{"10.77.2.5/32", "10.77.2.5", "10.77.2.4"},
	{"128.0.0.0/1", "255.1.2.3", "127.255.255.255"},
	{"0.0.0.0/0", "255.255.255.255", "::"},
	{"fd00::/8", "fdff::1", "fe00::"},
	{"fd00::2/127", "fd00::3", "fd00::4"},
	{"fd00::1/128", "fd00::1", "fd00::"},
	{"::/0", "ffff::", "1.2.3.4"},
};

static void a_prefix_covers_its_addresses(void **state) {
	(void)state;
	for (size_t i = 0; i < COUNT(covers); i++) {
		struct prefix p = prefix(covers[i].prefix);
		struct addr in = addr(covers[i].inside), out = addr(covers[i].outside);

		assert_true(prefix_covers(&p, &in));
		assert_false(prefix_covers(&p, &out));
	}
}

static void every_length_ends_at_its_bit(void **state) {
	(void)state;
	for (unsigned bits = 1; bits <= 128; bits++) {
		struct addr a = {.family = AF_INET6};
		struct prefix p = {a, (uint8_t)bits};

		if (bits < 128) {
			a.bytes[bits / 8] = (uint8_t)(0x80 >> bits % 8);
			assert_true(prefix_covers(&p, &a));
		}
		a.bytes[(bits - 1) / 8] |= (uint8_t)(0x80 >> (bits - 1) % 8);
		assert_false(prefix_covers(&p, &a));
	}
}

static void prefixes_nest(void **state) {
	struct prefix outer = prefix("10.0.0.0/8"), inner = prefix("10.77.2.0/24");
	struct prefix beside = prefix("11.0.0.0/24"), all = prefix("0.0.0.0/0"), v6 = prefix("::/0");
	struct addr a = addr("10.77.2.5");
	struct prefix host = prefix_host(&a);

	(void)state;
	assert_true(prefix_contains(&outer, &inner));
	assert_true(prefix_contains(&outer, &outer));
	assert_true(prefix_contains(&all, &outer));
	assert_true(prefix_contains(&inner, &host));
	assert_int_equal(host.bits, 32);
	assert_false(prefix_contains(&inner, &outer));
	assert_false(prefix_contains(&outer, &beside));
	assert_false(prefix_contains(&v6, &outer));
	a = addr("fd00::1");
	host = prefix_host(&a);
	assert_int_equal(host.bits, 128);
	assert_true(prefix_contains(&v6, &host));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_numbers_are_addresses),
		cmocka_unit_test(canonical_is_one_text),
		cmocka_unit_test(no_address_has_no_text),
		cmocka_unit_test(mapped_addresses_are_ipv4),
		cmocka_unit_test(socket_addresses),
		cmocka_unit_test(equal_needs_family_and_bytes),
		cmocka_unit_test(prefix_texts),
		cmocka_unit_test(a_prefix_covers_its_addresses),
		cmocka_unit_test(every_length_ends_at_its_bit),
		cmocka_unit_test(prefixes_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
