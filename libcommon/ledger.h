/* ledger.h: what this host must not forget: tunnel keys first seen, Sources that answered, numbers given
 * (DESIGN.md 5.3, 5.5, 5.6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_LEDGER_H
#define VERIMESH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file.h"

/* The file NAME_LEDGER of the state directory, a text of lines `KIND AID NAME NUMBER` in the order of their
 * making. */
enum ledger_kind {
	LEDGER_KEY, /* NAME: a tunnel key that AID claims, base64; NUMBER: since when, seconds since 1970 */
	LEDGER_MET, /* the same of a key that a host changed to, when its first handshake was seen */
	LEDGER_ANSWERED, /* NAME: "-"; NUMBER: when a Source of AID last answered, seconds since 1970 */
	LEDGER_UID,	 /* NAME: a login; NUMBER: its uid, now or once */
	LEDGER_GID,	 /* NAME: "-"; NUMBER: the gid of its peer, now or once */
};

/* Zero-initialised it is empty. */
struct ledger {
	void *by_owner;	 /* tsearch(3): by kind, AID and name; of several numbers the one given last */
	void *by_number; /* by kind and number; of uids and gids only */
	struct ledger_entry **entries; /* in the order of the file */
	size_t n;
	bool changed;
};

/* Reads it; none is an empty one. A damaged one is an error. On failure *ledger is empty. */
bool ledger_open(struct ledger *ledger, const struct file_dir *state, struct err *err);

/* Writes it, if it was changed. */
bool ledger_save(struct ledger *ledger, const struct file_dir *state, struct err *err);

void ledger_free(struct ledger *ledger);

/* The number that is in force for this owner; false when there is none. */
bool ledger_find(const struct ledger *ledger, enum ledger_kind kind, const char *aid, const char *name,
	uint64_t *number);

/* To whom this uid or gid was ever given; false: to nobody. */
bool ledger_owner(const struct ledger *ledger, enum ledger_kind kind, uint64_t number, const char **aid,
	const char **name);

/* Puts a number in force. Of uids and gids what was in force before stays given; a time takes the place of
 * the one before. False: out of memory. */
bool ledger_put(
	struct ledger *ledger, enum ledger_kind kind, const char *aid, const char *name, uint64_t number);

/* Notes that an identifier claims a tunnel key: since now, unless it did before. False: out of memory. */
bool ledger_claim(struct ledger *ledger, const char *aid, const char *key, uint64_t now);

/* Whether there is any claim: of a ledger that was lost, sync brings back all but those. */
bool ledger_has_claims(const struct ledger *ledger);

/* Forgets the claims that were not made by ledger_claim since ledger_open or the last call, of the
 * identifiers whose claims are known. */
void ledger_drop_claims(struct ledger *ledger, bool (*is_known)(void *ctx, const char *aid), void *ctx);

#endif
