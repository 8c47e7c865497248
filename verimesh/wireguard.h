/* wireguard.h: makes, fills and removes the mesh interface, through ip and wg. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_WIREGUARD_H
#define VERIMESH_WIREGUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base64.h"
#include "err.h"
#include "roster.h"

/* Whether there is such an interface, and whether `up` made it. */
enum wireguard_state { WIREGUARD_NONE, WIREGUARD_OURS, WIREGUARD_FOREIGN };

enum wireguard_state wireguard_state(const char *root, const char *interface);

/* Makes the interface: by the kernel, else by wireguard-go. Marks it as ours. */
bool wireguard_make(const char *root, const char *interface, struct err *err);

/* Gives it the key, the port and the peers of the roster (all hosts but this one), this host's
 * addresses, and a route for every prefix of the peers. Sessions of unchanged peers go on. */
bool wireguard_sync(const struct roster *roster, const uint8_t secret[static WG_KEY_BYTES], struct err *err);

/* Removes the interface, if it is there, and the mark. */
bool wireguard_remove(const char *root, const char *interface, struct err *err);

/* The error for an interface that up did not make: how many peers verimesh does not know. */
bool wireguard_refuse_foreign(const struct roster *roster, const char *interface, struct err *err);

#endif
