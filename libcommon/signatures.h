/* signatures.h: Ed25519 signatures, checked on all cores before it is their event's turn. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SIGNATURES_H
#define VERIMESH_SIGNATURES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesr.h"
#include "span.h"

struct signature {
	uint8_t key[CESR_RAW];
	uint8_t raw[CESR_SIG_RAW];
	struct span body; /* what is signed; the caller keeps it */
	bool good;
};

/* What is known of the signatures on one event before it is verified. */
struct signatures {
	const struct signature *list; /* that were checked */
	size_t n;
	bool trusted; /* all are good: the event was verified before, and its bytes are the same */
};

/* Whether it is a good one: looked up, where it was checked (known may be NULL), or checked now. */
bool signature_good(const struct signatures *known, const uint8_t raw[static CESR_SIG_RAW], struct span body,
	const uint8_t key[static CESR_RAW]);

#define CREW_MAX 512

/* Signatures that are checked together. Zero-initialised it is empty; it must not move while in use. */
struct crew {
	struct signature list[CREW_MAX];
	size_t n;	/* added */
	size_t begun;	/* taken by a thread */
	size_t threads; /* that help */
	int cores;	/* for this process; with one, checking ahead gains nothing */
	bool complete;	/* no more will be added */
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t helpers[15];
};

void crew_begin(struct crew *crew);

/* Adds one while there is room (n < CREW_MAX). From some number on, other threads start on what is there.
 */
void crew_add(struct crew *crew, const uint8_t raw[static CESR_SIG_RAW], struct span body,
	const uint8_t key[static CESR_RAW]);

/* Checks what nobody has begun and waits for the others: then all of the list is known. */
void crew_end(struct crew *crew);

#endif
