/* map_build.h: writes the roster as a map file (DESIGN.md 5.7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_MAP_BUILD_H
#define VERIMESH_MAP_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "roster.h"

/* The map as bytes, the same ones for the same roster: *data is to be unmapped. path is for errors. */
bool map_make(const struct roster *roster, const char *path, uint8_t **data, size_t *n, struct err *err);

/* Writes the new map beside the one at path, marks that superseded and puts the new one in its place, as
 * file_replace does. On failure the old map stays, and stays unmarked. Mode 0644. */
bool map_build(const struct roster *roster, const char *path, struct err *err);

#endif
