/* span.h: a bounds-checked view of bytes that somebody else owns. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SPAN_H
#define VERIMESH_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* n bytes at p; p may be NULL when n is 0. Valid as long as the owner keeps the bytes. */
struct span {
	const uint8_t *p;
	size_t n;
};

/* For printf: `%.*s` with SPAN_ARG(span). */
#define SPAN_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), (const char *)((s).n ? (s).p : (const uint8_t *)"")

static inline struct span span_of(const void *p, size_t n) {
	return (struct span){p, n};
}

static inline struct span span_str(const char *text) {
	return (struct span){(const uint8_t *)text, strlen(text)};
}

static inline bool span_eq(struct span a, struct span b) {
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *text) {
	return span_eq(a, span_str(text));
}

/* n bytes from offset at; both are cut to what is there. */
static inline struct span span_cut(struct span s, size_t at, size_t n) {
	if (at > s.n)
		at = s.n;
	if (n > s.n - at)
		n = s.n - at;
	return (struct span){s.n ? s.p + at : s.p, n};
}

/* All from offset at. */
static inline struct span span_from(struct span s, size_t at) {
	return span_cut(s, at, SIZE_MAX);
}

static inline bool span_starts(struct span s, const char *text) {
	return span_eq(span_cut(s, 0, strlen(text)), span_str(text));
}

/* Copies s into buf as a C string. False (and an empty string) if it does not fit or holds a NUL.
 */
static inline bool span_copy(struct span s, char *buf, size_t size) {
	bool fits = s.n < size && (s.n == 0 || !memchr(s.p, 0, s.n));

	if (fits && s.n)
		memcpy(buf, s.p, s.n);
	buf[fits ? s.n : 0] = 0;
	return fits;
}

#endif
