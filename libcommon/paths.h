/* paths.h: where things stand on a host (DESIGN.md 5); all below --root DIR when that is given. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_PATHS_H
#define VERIMESH_PATHS_H

#define PATH_CONF "/etc/verimesh/verimesh.conf"
#define PATH_STATE "/var/lib/verimesh"
#define PATH_MAP PATH_STATE "/peers.cdb"
#define PATH_STORE PATH_STATE "/kel"
#define PATH_IDENTITY PATH_STATE "/identity"
#define PATH_LOCK PATH_STATE "/lock"
#define PATH_RUN "/run/verimesh"

#endif
