/* paths.h: where things stand on a host (DESIGN.md 5); all below --root DIR when that is given. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_PATHS_H
#define VERIMESH_PATHS_H

#include <sys/stat.h>

#define PATH_CONF "/etc/verimesh/verimesh.conf"
#define PATH_STATE "/var/lib/verimesh"
#define PATH_MAP PATH_STATE "/peers.cdb"
#define PATH_IDENTITY PATH_STATE "/identity"
#define PATH_LOCK PATH_STATE "/lock"
#define PATH_RUN "/run/verimesh"

/* In PATH_STATE. */
#define NAME_STORE "kel"
#define SUFFIX_LOG ".cesr" /* of an AID in it, and of what contradicts its log */
#define SUFFIX_EVIDENCE ".duplicity"
#define NAME_LEDGER "ledger"
#define NAME_VERIFIED "verified"
#define PATH_STORE PATH_STATE "/" NAME_STORE
#define PATH_LEDGER PATH_STATE "/" NAME_LEDGER

/* Opens a file of this type (S_IFREG, S_IFSOCK with O_PATH) that is uid 0's, as is its directory, and
 * both writable by nobody else. A link in the file's place is not followed, a pipe not waited for. The
 * descriptor and *st, or -1 with errno: EPERM not as said, EINVAL a path without a directory. */
int path_open_trusted(const char *path, int flags, mode_t type, struct stat *st);

#endif
