/* locals.h: what this system's own accounts leave to those of the mesh (DESIGN.md 5.5, 5.6). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_LOCALS_H
#define VERIMESH_LOCALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "policy.h"

/* Numbers of users or groups, sorted. */
struct locals_ids {
	uint32_t *list;
	size_t n;
};

/* Zero-initialised there are none. */
struct locals {
	struct locals_ids users, groups;
	bool *petname_taken; /* by peer: a user or group has that name */
};

/* Reads them, before the rights to do so are given up: which logins of the policy would be uid 0 without
 * being written, and, when a peer has Accounts = yes, whose numbers and petnames are taken. root: "" or the
 * directory where etc/passwd and etc/group are. False: no memory, or those files cannot be read; there is
 * nothing to free. */
bool locals_read(struct locals *locals, const char *root, struct policy *policy, struct err *err);
void locals_free(struct locals *locals);

bool locals_have(const struct locals_ids *ids, uint64_t number);

#endif
