/* sources.h: what the Sources of the own organisation show (DESIGN.md 7). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SOURCES_H
#define VERIMESH_SOURCES_H

#include <stdbool.h>

#include "err.h"
#include "kel.h"
#include "policy.h"

/* Refuses to add to the own log where a Source shows a longer one, or another one: this host was restored
 * from a backup, and what it signed would fork the identity. Of Sources only files are asked, and one that
 * cannot be read shows nothing. */
bool sources_agree(const struct policy *policy, const struct kel *kel, struct err *err);

#endif
