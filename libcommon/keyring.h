/* keyring.h: the mesh's ring in the kernel keyring, as the modules read it (DESIGN.md 5.8). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_KEYRING_H
#define VERIMESH_KEYRING_H

#include <stdint.h>

#include "base64.h"

/* bytes, enough for every text that verimesh writes, NUL included */
#define KEYRING_PAYLOAD 320

/* Finds the ring of an interface by the serial in root + PATH_RUN/INTERFACE.ring, and believes it only
 * when it is a keyring, uid 0's, named verimesh:INTERFACE, closed to group and other. Never through @u
 * or @s. 0 and *ring, or an errno value: as path_open_trusted, EPERM not believed, or what keyctl gave
 * (EKEYEXPIRED, EKEYREVOKED, ENOKEY). */
int keyring_open(const char *root, const char *interface, int32_t *ring);

/* Reads the text of the `user` key `name` of the ring or of a ring in it. The key must be uid 0's and
 * closed to group and other. 0, or an errno value (and text is ""): EPERM not believed, EMSGSIZE it
 * does not fit, or what keyctl gave. */
int keyring_read(int32_t ring, const char *name, char text[static KEYRING_PAYLOAD]);

/* The same for a peer's key: its text is "AID SN SAID HOST". */
int keyring_peer(int32_t ring, const uint8_t key[static WG_KEY_BYTES], char text[static KEYRING_PAYLOAD]);

/* What KEYCTL_DESCRIBE says of a key or ring. */
struct keyring_key {
	char type[16], name[64];
	uint32_t uid, permissions;
};

/* 0, or an errno value: EPERM when type or name do not fit (it is none of ours), or what keyctl gave. */
int keyring_describe(int32_t id, struct keyring_key *key);

#endif
