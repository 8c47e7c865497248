/* identity.h: this organisation's own identity, the embedded DKMS (DESIGN.md 7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_IDENTITY_H
#define VERIMESH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base64.h"
#include "cesr.h"
#include "err.h"
#include "kel.h"
#include "sealed.h"

#define STAGED "rotation" /* in PATH_IDENTITY: what identity_stage made */

/* An identity that this host holds. identity_wipe ends its life. */
struct identity {
	char aid[CESR_TEXT];
	uint8_t seed[SEED_BYTES]; /* signs now */
	uint8_t next[SEED_BYTES]; /* signs after a rotation; all zero unless it was just made */
	char made[CESR_TEXT];	  /* SAID of the event that it made last; "" for none since it was loaded */
	bool held;		  /* by this host, in PATH_IDENTITY */
	struct passphrase passphrase; /* that seals the seeds at rest, if any */
};

/* Whether a file of PATH_IDENTITY (name NULL: the directory) is closed to others: what they could read is no
 * secret any more, what they could write is not ours. Not there: errno ENOENT. */
bool identity_closed(const char *root, const char *name, struct err *err);

/* The AID of the identity that this host holds; "" when it holds none. Seeds without an AID are an
 * error, because they may be all that is left of one. */
bool identity_aid(const char *root, char aid[static CESR_TEXT], struct err *err);

/* The same; holding none is an error that says what to do. */
bool identity_need(const char *root, char aid[static CESR_TEXT], struct err *err);

/* Gets the passphrase if the signing seed, or one that is staged, is sealed. */
bool identity_unlock(
	const char *root, enum passphrase_from from, struct identity *identity, struct err *err);

/* Whether it is; false, too, of one that cannot be read. */
bool identity_is_sealed(const char *root);

/* Reads AID and signing seed into one that is zero-initialised, or has what identity_unlock got; holding
 * none is such an error, too. */
bool identity_load(const char *root, struct identity *identity, struct err *err);

/* Makes fresh seeds and the inception event: *event is malloc'd, with its signature. */
bool identity_make(struct identity *identity, char **event, size_t *n, struct err *err);

/* Writes one just made, and the tunnel secret of this host, if it has a label: all at once, so that it is
 * held from now on or, after a crash, not at all. A directory that holds anything is not replaced. */
bool identity_adopt(const char *root, const struct identity *identity, const char *label, struct err *err);

void identity_wipe(struct identity *identity);

/* The next event of the log: an interaction that anchors what `seals`, JSON maps, say. *event is malloc'd,
 * with its signature, the caller's. A seed that is not the one that signs this log now is an error. */
bool identity_seal(struct identity *identity, const struct kel *kel, const char *seals, char **event,
	size_t *n, struct err *err);

/* The rotation at sn (kel->count, or an interaction's, which it then supersedes with all behind it) by which
 * identity->seed, to which the log committed, signs from now on, and identity->next is committed to. As
 * identity_seal. */
bool identity_rotate(struct identity *identity, const struct kel *kel, uint64_t sn, const char *seals,
	char **event, size_t *n, struct err *err);

/* Whether the log commits to this seed: a rotation may make it the one that signs. */
bool identity_is_next(const struct kel *kel, const uint8_t seed[static SEED_BYTES]);

/* Notes that this host made identity->made, before anybody sees it. Of one that it does not hold yet,
 * identity_adopt does. */
bool identity_note(const char *root, const struct identity *identity, struct err *err);

/* SAIDs of all events that this host made, a line each: others in its log were made by another who has its
 * keys. *text is malloc'd, the caller's. Not there is an error with its mend. */
bool identity_events(const char *root, char **text, struct err *err);

/* Makes ready what is to hold once the log has the event identity->made: the seeds, and the tunnel's next
 * secret (NULL: it keeps what it has). All at once or, after a crash, not at all. request: a digest of what
 * was asked for. */
bool identity_stage(const char *root, const struct identity *identity, const uint8_t *tunnel,
	const char *request, struct err *err);

/* Whether something is staged whose event the log has, and whether that was the same request, not an hour
 * ago: that is then done. */
bool identity_was_asked(const char *root, const struct kel *kel, const char *request, bool *known,
	bool *done, struct err *err);

/* Puts what is staged in force if the log has its event; else forgets it. After a crash at any moment it
 * does what is left to do. */
bool identity_settle(const char *root, const struct kel *kel, struct err *err);

/* X25519 secret of a host's tunnel, grown from its host seed (DESIGN.md 7). The caller wipes it. */
void derive_tunnel(
	const uint8_t seed[static SEED_BYTES], const char *label, uint8_t secret[static WG_KEY_BYTES]);
/* Public half of it. */
void tunnel_public(const uint8_t secret[static WG_KEY_BYTES], uint8_t key[static WG_KEY_BYTES]);
/* Public key that signs a host's journal, as CESR text. */
void derive_journal(const uint8_t seed[static SEED_BYTES], const char *label, char text[static CESR_TEXT]);

/* Secrets of PATH_IDENTITY, as wg prints one, so that `up` needs nothing else. */
#define SECRET_HOST "hostseed" /* what this host's keys grow from where another holds the identity */
#define SECRET_TUNNEL "tunnel"
#define SECRET_TUNNEL_NEXT "tunnel.next" /* takes its place when the card that names it is in force */
#define SECRET_STAGED STAGED "/" SECRET_TUNNEL_NEXT /* the same, until its rotation is settled */

/* Reading: errno ENOENT when there is none. dir: PATH_IDENTITY, or where one is in the making. */
bool secret_read(const char *root, const char *name, uint8_t secret[static SEED_BYTES], struct err *err);
bool secret_write(const char *root, const char *dir, const char *name,
	const uint8_t secret[static SEED_BYTES], struct err *err);

/* Reads the next seed, from the file or pipe into which it was taken offline, or, path NULL, from where it
 * is put, as the one that identity->seed is to be. Asks for its passphrase if it is sealed, and keeps that.
 * Not there: errno ENOENT. */
bool identity_read_next(const char *root, const char *path, struct identity *identity, struct err *err);

/* Writes the tunnel secret that grows from an identity; one that waited for its card is gone then. */
bool identity_write_tunnel(const char *root, const char *dir, const struct identity *identity,
	const char *label, struct err *err);

/* The next one, by its name, takes its place. */
bool tunnel_secret_promote(const char *root, const char *name, struct err *err);

#endif
