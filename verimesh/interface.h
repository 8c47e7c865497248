/* interface.h: the mesh interface: made and removed, its addresses and routes (DESIGN.md 6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_INTERFACE_H
#define VERIMESH_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "roster.h"

/* What verimesh notes of an interface that it has up is in root + PATH_RUN/NAME.SUFFIX: "up" for one that it
 * made, "peers" for what it added. The first line marks this very interface. */
bool interface_note(const char *root, const char *name, const char *suffix, const char *text, mode_t mode,
	struct err *err);

/* False: there is no such file. *text, the caller's, is what stands in it behind the mark; NULL when that is
 * not the mark of the interface that has the name now. */
bool interface_noted(const char *root, const char *name, const char *suffix, char **text);

/* Whether there are such notes of the interface that has the name now. */
bool interface_marked(const char *root, const char *name, const char *suffix);

/* Finds another name of which something is left in PATH_RUN. live: whose interface verimesh has up. */
bool interface_other(const char *root, const char *name, bool live, char other[static IFNAMSIZ]);

/* Makes the interface: by the kernel, else by wireguard-go. Marks it as ours. It is up before it has a key,
 * for only then it sends what it is to send at once. */
bool interface_make(const char *root, const char *name, struct err *err);

/* Removes one that `up` made, and the notes of any. */
bool interface_remove(const char *root, const char *name, struct err *err);

/* Sets the link up, if it is ours, and leaves one of others' that is down; gives it this host's addresses,
 * and a route for every prefix of the policy's peers, with its first address of that family as the source;
 * takes away those that verimesh gave it before. What it gave is told by a number of its own, and other
 * addresses and routes are left as they are: a prefix to which another interface has the route already is a
 * problem. Only differences are carried out, or, dry, told. Each problem is printed. Returns the exit
 * status. */
int interface_sync(const struct roster *roster, bool ours, bool dry);

/* Prints the first of the lines that a sync would have the program carry out. Returns ERR_NO. */
int interface_differs(const char *name, const char *program, const char *words);

#endif
