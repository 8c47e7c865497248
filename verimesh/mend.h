/* mend.h: what is to be done about a login that the gate refuses. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_MEND_H
#define VERIMESH_MEND_H

#include "gate.h"
#include "sync.h"

#define MEND_SIZE 400

/* Writes what the administrator may do to have the login admitted, in one line. mesh: NULL when the
 * configuration cannot be read. False: nothing is to be mended. */
bool gate_mend(const struct mesh *mesh, const struct gate_request *request,
	const struct gate_decision *decision, char mend[static MEND_SIZE]);

#endif
