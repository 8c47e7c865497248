/* run.h: runs wg, ip and wireguard-go. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_RUN_H
#define VERIMESH_RUN_H

#include <stdbool.h>

#include "err.h"
#include "span.h"

/* Runs a program of the system's own directories with a fixed environment and waits for it. input
 * becomes its standard input (in memory, wiped afterwards: it may hold a secret). False when it cannot
 * be started or fails: err names the program and has the first line of its complaint. */
bool run(const char *const argv[], struct span input, struct err *err);

/* The same, and said becomes all that it printed, complaints or not, cut to the size. */
bool run_said(const char *const argv[], struct span input, char *said, size_t size, struct err *err);

#endif
