/* clock.h: whether the clock was set since the last sync: by it cards end. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CLOCK_H
#define VERIMESH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* Notes in PATH_RUN/INTERFACE.clock how the clock stands to the time since boot, which nobody sets. The
 * interface must be there; the note is of this one (interface.h). */
bool clock_note(const char *root, const char *interface, struct err *err);

/* Seconds by which the clock was set forward since then; back, if negative; 0: it was not, or there is no
 * note. */
int64_t clock_jump(const char *root, const char *interface);

/* Nothing keeps the clock right, as the kernel knows it. */
bool clock_is_loose(void);

#endif
