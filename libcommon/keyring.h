/* keyring.h: the mesh's ring in the kernel keyring, as the modules read it (DESIGN.md 5.8). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_KEYRING_H
#define VERIMESH_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base64.h"

#define KEYRING_PAYLOAD 256 /* bytes, enough for every payload that verimesh writes, NUL included \
			     */

/* Finds the ring of an interface by the serial in root + PATH_RUN/INTERFACE.ring, and believes it
 * only when it is a keyring, uid 0's, named verimesh:INTERFACE, closed to group and other. Never
 * through @u or @s. 0 and *ring, or an errno value: ENOENT no serial file, EPERM not believed, or
 * what keyctl gave (EKEYEXPIRED, EKEYREVOKED, ENOKEY). errno is preserved. */
int keyring_open(const char *root, const char *interface, int32_t *ring);

/* Looks for a peer's key in the ring. The key must be uid 0's and closed to group and other.
 * 0 and the payload ("AID SN SAID HOST", NUL-terminated), or an errno value. */
int keyring_peer(
	int32_t ring, const uint8_t key[static WG_KEY_BYTES], char payload[static KEYRING_PAYLOAD]);

#endif
