/* nss_names.h: the hosts, accounts and groups of the NSS bench: ten hosts and accounts an organisation. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_BENCH_NSS_NAMES_H
#define VERIMESH_BENCH_NSS_NAMES_H

#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "card.h"

#define BENCH_DOMAIN "mesh.internal"
#define BENCH_EACH 10		   /* hosts and accounts of an organisation */
#define BENCH_IDS 1000000000	   /* what uids and gids start at */
#define BENCH_NAME (LABEL_MAX + 1) /* bytes of any name, its NUL included */

/* A host has four records and an account three, as has an organisation's group. */
static inline unsigned long bench_records(unsigned hosts) {
	return hosts * 7UL + (hosts + BENCH_EACH - 1) / BENCH_EACH * 3UL;
}

static inline void bench_label(unsigned i, char out[static BENCH_NAME]) {
	snprintf(out, BENCH_NAME, "h%u", i);
}

static inline void bench_group(unsigned i, char out[static BENCH_NAME]) {
	snprintf(out, BENCH_NAME, "o%u", i / BENCH_EACH);
}

static inline void bench_host(unsigned i, char out[static BENCH_NAME]) {
	snprintf(out, BENCH_NAME, "h%u.o%u." BENCH_DOMAIN, i, i / BENCH_EACH);
}

static inline void bench_user(unsigned i, char out[static BENCH_NAME]) {
	snprintf(out, BENCH_NAME, "u%u@o%u", i, i / BENCH_EACH);
}

static inline uint32_t bench_uid(unsigned i) {
	return BENCH_IDS + i;
}

static inline uint32_t bench_gid(unsigned i) {
	return BENCH_IDS + i / BENCH_EACH;
}

static inline void bench_aid(unsigned i, char out[static CESR_TEXT]) {
	snprintf(out, CESR_TEXT, "E%043u", i / BENCH_EACH);
}

/* The only address of a host is the derived one, as it is by default; so getaddrinfo has nothing to sort. */
static inline struct addr bench_addr(unsigned i) {
	char label[BENCH_NAME], aid[CESR_TEXT];

	bench_label(i, label);
	bench_aid(i, aid);
	return derived_addr(aid, span_str(label));
}

#endif
