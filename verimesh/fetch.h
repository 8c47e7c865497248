/* fetch.h: asks the Sources of peers for their logs and cards (DESIGN.md 5.5). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_FETCH_H
#define VERIMESH_FETCH_H

#define FETCH_SILENT 4 /* no exit status: there are Sources, and none could be asked */

/* Asks the Sources of these peers, n 0: of all, and imports what they show (import.h) as it comes, so that a
 * slow one holds nobody up. Prints each problem. Returns the exit status, or FETCH_SILENT. */
int fetch_all(const char *root, char **peers, int n);

#endif
