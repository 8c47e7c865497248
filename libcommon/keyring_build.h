/* keyring_build.h: makes and fills the mesh's ring in the kernel keyring (DESIGN.md 5.8). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_KEYRING_BUILD_H
#define VERIMESH_KEYRING_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "roster.h"
#include "span.h"

/* Finds or makes the ring verimesh:INTERFACE in uid 0's user keyring, sets its permissions and
 * writes its serial to root + PATH_RUN/INTERFACE.ring (0644). A ring of that name which is not as
 * verimesh makes it is an error, never taken over. Needs real uid 0: error "needs root" else. */
bool keyring_make(const char *root, const char *interface, int32_t *ring, struct err *err);

/* Puts a secret (`identity`, `tunnel`, `tunnel.next`) into the ring, replacing one of that name in
 * one step; what was there stays when it fails. */
bool keyring_put(int32_t ring, const char *name, struct span secret, struct err *err);

/* Revokes and unlinks the secret of that name. No such key is no error. */
bool keyring_drop(int32_t ring, const char *name, struct err *err);

/* Makes the peer keys of the ring those of the roster (the keys in force, and to come, of all hosts but this
 * one, and not of the expired ones, a lapsed peer's among them): adds and replaces what is missing or
 * differs, sets timeouts anew (the host's expiry, as in the map; none without one), revokes and unlinks the
 * others. Records of sessions name the key that replaced theirs in step (DESIGN.md 5.9, 8). After a failure
 * (uid 0's key quota is full) it goes on: withdrawals take effect, what was there stays. */
bool keyring_sync(int32_t ring, const struct roster *roster, struct err *err);

/* Revokes every key and the ring, and removes the serial file: the interface is going down. No ring
 * is no error. */
bool keyring_remove(const char *root, const char *interface, struct err *err);

#endif
