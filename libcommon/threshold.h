/* threshold.h: signing thresholds: a number, or weights in exact rationals. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_THRESHOLD_H
#define VERIMESH_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "span.h"

/* A threshold (facts/keri.md, Thresholds) over n keys of which those with a flag
 * count. 1: met, 0: not met, -1: malformed, or it cannot be met by all n. err says why. */
int threshold_met(struct span text, const bool *flags, size_t n, struct err *err);

/* One that is a number: text in lower-case hex, or a JSON integer. */
bool threshold_number(struct span text, uint64_t *number);

#endif
