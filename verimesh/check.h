/* check.h: what the checks of `verimesh check` share. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CHECK_H
#define VERIMESH_CHECK_H

#include "lines.h"
#include "sync.h"

struct check {
	const char *root;
	struct mesh mesh;
	bool open;	     /* mesh is */
	const char *skipped; /* why the check under way cannot be made, or NULL */
	unsigned findings;
	struct err last; /* of them */
};

/* One finding: WHERE: WHAT; MEND. What two checks in turn stumble over is said once. */
void found(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Is there a file below the root, and no dangling link? Braces and wildcards count. */
bool is_there(const char *root, const char *pattern);

/* What the system is told. */
void check_nsswitch(struct check *c);
void check_pam(struct check *c);
void check_sshd(struct check *c);
void check_sudo(struct check *c);
void check_shell(struct check *c);

/* Whether a service's account stack asks pam_verimesh.so; where: the line, ignores_outside: its option. */
bool pam_asks(
	const struct check *c, const char *service, char where[static WHERE_SIZE], bool *ignores_outside);

/* Where the modules are installed. */
#define MODULE_DIRS "{/usr,}/lib{,64,/*-linux-*}"
#define NSS_MODULE MODULE_DIRS "/libnss_verimesh.so.2"
#define PAM_MODULE MODULE_DIRS "/security/pam_verimesh.so"

#endif
