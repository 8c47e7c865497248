/* sealed.h: seeds at rest, sealed by a passphrase (DESIGN.md 7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SEALED_H
#define VERIMESH_SEALED_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "span.h"

#define SEED_BYTES 32
#define PASSPHRASE_MAX 1023
#define SEALED_LINE 192 /* room for a sealed seed as text, and a NUL */

/* Text "": there is none. Whoever has one wipes it. */
struct passphrase {
	char text[PASSPHRASE_MAX + 1];
};

enum passphrase_from {
	PASSPHRASE_CREDENTIAL, /* nobody is there to be asked */
	PASSPHRASE_OLD,	       /* a person is, if there is no credential */
	PASSPHRASE_NEW,	       /* he chooses one, and types it twice */
};

/* Gets it: from the systemd credential `verimesh.passphrase`, a file in $CREDENTIALS_DIRECTORY; else, if
 * somebody may be asked, from his terminal, where it does not show, if standard input is one; else from the
 * first line of standard input. */
bool passphrase_get(enum passphrase_from from, struct passphrase *out, struct err *err);

/* A line of text that seed_open reads, without its end: Argon2id, then XSalsa20-Poly1305. */
bool seed_seal(const struct passphrase *passphrase, const uint8_t seed[static SEED_BYTES],
	char line[static SEALED_LINE], struct err *err);

bool seed_is_sealed(struct span line);

/* Another passphrase is an answer of no, a damaged line a failure. */
bool seed_open(const struct passphrase *passphrase, struct span line, uint8_t seed[static SEED_BYTES],
	struct err *err);

#endif
