/* confine.h: what anybody may have made is read by a process without rights. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CONFINE_H
#define VERIMESH_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "file.h"

enum confinement {
	CONFINE_READER, /* reads and computes; the kernel refuses every other call */
	CONFINE_CLIENT, /* speaks with the network, too */
};

/* This process, a new child of parent, gives up what rights it has: root becomes the account _verimesh where
 * there is one, else nobody, without groups or capabilities; an ordinary user stays who he is. Of what is
 * open it keeps standard output and error and the n descriptors of keep (-1: none). It has no terminal, no
 * keyring of anybody's, and ends with its parent. False: it has rights left, and must not go on. */
bool confine(enum confinement kind, pid_t parent, const int *keep, size_t n, struct err *err);

/* Runs work in a child that is a CONFINE_READER and keeps `out` (-1: nothing), and returns its status; -1
 * when there is none, for it could not be made, or died of what it read, or was not heard of for a quarter
 * of an hour (err). What it prints is as if this process did. What it puts into *state, this process writes
 * for it, but only under the names that the store has there; state NULL: it writes nothing. */
int confined(struct file_dir *state, int out, int (*work)(void *ctx), void *ctx, struct err *err);

#endif
