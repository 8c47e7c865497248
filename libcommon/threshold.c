/* threshold.c: signing thresholds: a number, or weights in exact rationals; see threshold.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "threshold.h"
#include "event.h"
#include "json.h"

static uint64_t gcd(uint64_t a, uint64_t b) {
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static bool read_decimal(struct span text, uint64_t *number) {
	*number = 0;
	if (text.n == 0 || text.n > 9 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text.p[i] - '0');
	}
	return true;
}

/* "0", "1" or "n/d" with n <= d. */
static bool read_weight(struct span text, uint64_t *num, uint64_t *den) {
	const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	size_t at = slash ? (size_t)(slash - text.p) : text.n;

	*den = 1;
	if (!read_decimal(span_cut(text, 0, at), num))
		return false;
	if (slash && (!read_decimal(span_from(text, at + 1), den) || *den == 0))
		return false;
	return *num <= *den;
}

/* One clause: a list of weights for the keys from *key on. Sums exactly, over the lowest common
 * denominator. all and some tell whether all of its keys, and those with a flag, reach 1. */
static bool read_clause(struct span list, const bool *flags, size_t n, size_t *key, bool *all, bool *some) {
	unsigned __int128 sum_all = 0, sum_some = 0;
	uint64_t num, den, common = 1;
	struct span rest = list, text;

	while (event_next_text(&rest, &text)) {
		if (!read_weight(text, &num, &den))
			return false;
		den /= gcd(common, den);
		if (__builtin_mul_overflow(common, den, &common) || common > INT64_MAX)
			return false;
	}
	if (rest.n)
		return false;
	for (rest = list; event_next_text(&rest, &text); ++*key) {
		if (*key >= n || !read_weight(text, &num, &den))
			return false;
		num *= common / den;
		sum_all += num;
		if (flags[*key])
			sum_some += num;
	}
	*all = sum_all >= common;
	*some = sum_some >= common;
	return true;
}

static int weighted(struct span list, const bool *flags, size_t n, struct err *err) {
	bool all = true, some = true, met = true;
	size_t key = 0;
	struct json j;

	json_init(&j, list);
	json_open(&j, '[');
	if (json_peek(&j) != '[') {
		if (!read_clause(list, flags, n, &key, &all, &met))
			goto malformed;
	} else {
		while (json_next(&j, ']')) {
			bool reachable;

			if (json_peek(&j) != '[' ||
				!read_clause(json_value(&j), flags, n, &key, &reachable, &some))
				goto malformed;
			all = all && reachable;
			met = met && some;
		}
		if (!json_done(&j))
			goto malformed;
	}
	if (key != n || !all) {
		err_set(err, ERR_NO, key != n ? "not as many weights as keys" : "weights cannot reach 1");
		return -1;
	}
	if (!met)
		err_set(err, ERR_NO, "the weights do not reach 1");
	return met;
malformed:
	err_set(err, ERR_NO, "malformed weights");
	return -1;
}

bool threshold_number(struct span text, uint64_t *number) {
	if (text.n >= 2 && text.p[0] == '"')
		return event_number(span_cut(text, 1, text.n - 2), number);
	return read_decimal(text, number);
}

int threshold_met(struct span text, const bool *flags, size_t n, struct err *err) {
	uint64_t needed, have = 0;

	if (text.n && text.p[0] == '[')
		return weighted(text, flags, n, err);
	if (!threshold_number(text, &needed) || needed < 1 || needed > n) {
		err_set(err, ERR_NO, "threshold %.*s of %zu", SPAN_ARG(span_cut(text, 0, 24)), n);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		have += flags[i];
	if (have >= needed)
		return 1;
	err_set(err, ERR_NO, "%llu of %llu", (unsigned long long)have, (unsigned long long)needed);
	return 0;
}
