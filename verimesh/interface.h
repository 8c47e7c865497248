/* interface.h: the mesh interface: made and removed, its addresses and routes (DESIGN.md 6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_INTERFACE_H
#define VERIMESH_INTERFACE_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>

#include "err.h"
#include "roster.h"

enum interface_state {
	INTERFACE_NONE,	   /* there is none of that name */
	INTERFACE_OURS,	   /* `up` made it */
	INTERFACE_SHARED,  /* somebody else did, and Adopt = yes */
	INTERFACE_FOREIGN, /* somebody else did */
};

enum interface_state interface_state(const char *root, const char *name, bool adopt);

/* The file root + PATH_RUN/NAME.SUFFIX, which says that verimesh has the interface up: "up" for one that it
 * made, "peers" for what it added. Each starts with the interface's index. */
bool interface_file(
	const char *root, const char *name, const char *suffix, char path[static PATH_MAX], struct err *err);

/* Whether there is such a file for the interface of that name that is there now. */
bool interface_marked(const char *root, const char *name, const char *suffix);

/* Finds an interface of another name that verimesh has up. */
bool interface_earlier(const char *root, const char *name, char earlier[static IFNAMSIZ]);

/* Makes the interface: by the kernel, else by wireguard-go. Marks it as ours. */
bool interface_make(const char *root, const char *name, struct err *err);

bool interface_set_up(const char *name, struct err *err);

/* Removes one that is ours, and its files. */
bool interface_remove(const char *root, const char *name, struct err *err);

/* Gives it this host's addresses, and a route for every prefix of the policy's peers, with its first
 * address of that family as the source; takes away those that verimesh gave it before. Ours are told by a
 * number of their own, and others are left as they are: a prefix to which another interface has the route
 * already is a problem. Only differences are carried out. Each problem is printed. Returns the exit status.
 */
int interface_sync(const struct roster *roster);

#endif
