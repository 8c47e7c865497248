/* show.h: what show and check look at beside the roster. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SHOW_H
#define VERIMESH_SHOW_H

#include "sync.h"

/* 0 when the kernel keyring has the host's key with its card; ESTALE: with another card; or as
 * keyring_open and keyring_read. */
int host_keyring(const struct mesh *mesh, const struct roster_host *host);

/* Why no card of a host is in force, by any of its names: withdrawn, void or ended. False when no
 * card tells; err is then left as it was. */
bool host_why_not(const struct mesh *mesh, const char *name, struct err *err);

#endif
