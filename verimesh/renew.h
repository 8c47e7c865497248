/* renew.h: own cards that end are issued again, in time, where the identity is (DESIGN.md 5.5). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_RENEW_H
#define VERIMESH_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* Issues again, in one event, each own card that is past half of its life: the same content, from now on for
 * as long as it was. One that ended meanwhile too: no host is lost because this one was off. What has no
 * `until`, is void or withdrawn stays so, and a host that changes its key is left alone until it has
 * (DESIGN.md 8). Refused if a Source shows a longer log (DESIGN.md 7). Takes the store's lock. Prints what
 * was renewed. *next becomes the moment (seconds since 1970) at which another one is due, if that is
 * earlier. */
bool renew_cards(const char *root, int64_t *next, struct err *err);

#endif
