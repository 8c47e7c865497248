/* map_build.h: writes the roster as a map file (DESIGN.md 5.7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_MAP_BUILD_H
#define VERIMESH_MAP_BUILD_H

#include "err.h"
#include "roster.h"

/* Marks the map at path superseded and puts the new one in its place, as file_replace does. On failure
 * the old map stays, and stays unmarked. Mode 0644. */
bool map_build(const struct roster *roster, const char *path, struct err *err);

#endif
