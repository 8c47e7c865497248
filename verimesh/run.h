/* run.h: runs wg, ip and wireguard-go. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_RUN_H
#define VERIMESH_RUN_H

#include <stdbool.h>

#include "err.h"
#include "span.h"

/* Runs a program of the system's own directories with a fixed environment and waits for it. input
 * becomes its standard input (in memory, wiped afterwards: it may hold a secret); its output is
 * thrown away. False when it cannot be started or fails: err names the program and has the first
 * line of its complaint. */
bool run(const char *const argv[], struct span input, struct err *err);

#endif
