/* import.h: verifies streams together with the store, and adds what holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_IMPORT_H
#define VERIMESH_IMPORT_H

#include "policy.h"
#include "span.h"

/* One stream, and where it is from. */
struct import_stream {
	const char *name; /* for messages */
	struct span bytes;
	const char *aid; /* whose Source showed it; NULL: a person brought it */
};

/* Takes the store's lock, reads the streams in order, each with all before, in a process without rights, and
 * adds what holds in one go; notes when a Source showed its identifier's log. resolved: the frozen AID that
 * the stream is to settle, or NULL. Prints what was added, and each problem. Returns the exit status.
 * policy: NULL for what a person brought. Of what Sources show only logs are kept that are of its peers, of
 * their delegators, or in the store already, for anybody can make others without end; and of a stream one
 * problem is printed, and how many more there were, besides each peer's duplicity. */
int import_streams(const char *root, const struct policy *policy, const char *resolved,
	const struct import_stream *streams, size_t n);

#endif
