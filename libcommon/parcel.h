/* parcel.h: a roster on its way from the process that built it, without rights, to the one that acts on it.
 */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_PARCEL_H
#define VERIMESH_PARCEL_H

#include <stdbool.h>
#include <stdio.h>

#include "roster.h"

/* Writes it, for parcel_open in a process that was forked from the same one. False: not all of it. */
bool parcel_make(FILE *out, const struct roster *roster);

/* Rebuilds it from bytes that may be anybody's: nothing in it is out of bounds, and no login is in it that
 * the policy, which is the same, does not admit. The roster points into the policy and into bytes;
 * roster_free releases the rest. False: it is not whole. */
bool parcel_open(
	struct roster *roster, const struct policy *policy, const struct locals *locals, struct span bytes);

#endif
