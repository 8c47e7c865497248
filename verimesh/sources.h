/* sources.h: what Sources show (DESIGN.md 5.5, 7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SOURCES_H
#define VERIMESH_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "policy.h"

/* Who asks Sources. */
struct sources_asker {
	const char *const *urls;
	size_t n;
	uint32_t seconds; /* that all of them together may make us wait; at least 10 and at most 60 count */
	/* Takes each Source's answer, in the order in which they come, or why there is none: then data is
	 * NULL. data is malloc'd, the callee's. */
	void (*answer)(void *ctx, size_t source, uint8_t *data, size_t n, const char *error);
	void (*idle)(void *ctx); /* for a second none came; or NULL */
	void *ctx;
};

/* Asks them: files with the rights of who calls, those of the network, all at the same time, by a process
 * that has no others but to speak with it. False when not all were asked. */
bool sources_ask(const struct sources_asker *asker, struct err *err);

/* Refuses to add to the own log where a Source shows a longer one, or another one: this host was restored
 * from a backup, and what it signed would fork the identity. One that shows what the own log superseded is
 * only old. recover: interactions from that sn on are about to be superseded, so that another one there is
 * no trouble; UINT64_MAX: none. A Source that cannot be asked, or whose answer does not verify, shows
 * nothing. */
bool sources_agree(
	const char *root, const struct policy *policy, const char *aid, uint64_t recover, struct err *err);

#endif
