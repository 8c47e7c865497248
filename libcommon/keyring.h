/* keyring.h: the mesh's ring in the kernel keyring, as the modules read it (DESIGN.md 5.8). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_KEYRING_H
#define VERIMESH_KEYRING_H

#include <stdint.h>

#include "span.h"

/* bytes, enough for every text that verimesh writes, NUL included */
#define KEYRING_PAYLOAD 384

/* Finds the ring of an interface by the serial in root + PATH_RUN/INTERFACE.ring, and believes it only
 * when it is a keyring, uid 0's, named verimesh:INTERFACE, closed to group and other. Never through @u
 * or @s. 0 and *ring, or an errno value: as path_open_trusted, EPERM not believed, or what keyctl gave
 * (EKEYEXPIRED, EKEYREVOKED, ENOKEY). */
int keyring_open(const char *root, const char *interface, int32_t *ring);

/* Reads the text of the `user` key `name` of the ring or of a ring in it. The key must be uid 0's and
 * closed to group and other. 0, or an errno value (and text is ""): EPERM not believed, EMSGSIZE it
 * does not fit, or what keyctl gave. A peer's key is named by its base64, and its text is "AID SN SAID
 * HOST". */
int keyring_read(int32_t ring, const char *name, char text[static KEYRING_PAYLOAD]);

/* Makes a key and links it into the ring when it is complete, in place of one of that type and name, so that
 * a reader sees the old or the new one. timeout: seconds, 0: none. Its serial, or -1 with errno. */
int32_t keyring_link(int32_t ring, const char *type, const char *name, struct span payload,
	uint32_t permissions, unsigned timeout);

/* All rights for possessor and user: under systemd's KeyringMode=private root possesses nothing. */
#define KEYRING_OURS 0x3f3f0000

/* What KEYCTL_DESCRIBE says of a key or ring. */
struct keyring_key {
	char type[16], name[64];
	uint32_t uid, permissions;
};

/* 0, or an errno value: EPERM when type or name do not fit (it is none of ours), or what keyctl gave. */
int keyring_describe(int32_t id, struct keyring_key *key);

#endif
