/* shared_map.h: the map, mapped once for all threads of a process (DESIGN.md 5.7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SHARED_MAP_H
#define VERIMESH_SHARED_MAP_H

#include "map.h"

typedef void shared_map_user(const struct map *map, void *ctx);

/* Calls use with the map that is in force; not at all when there is none to be trusted. Without a system
 * call as long as that is the one of the call before. One that was replaced is unmapped when its last user
 * comes back; meanwhile, and in the child of a process that forked while another thread was in here, calls
 * map it for themselves: nobody waits for anybody. Keeps no descriptor, allocates nothing, is not to be
 * cancelled, may change errno. */
void shared_map_use(shared_map_user *use, void *ctx);

#endif
