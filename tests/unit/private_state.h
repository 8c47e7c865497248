/* private_state.h: gives a test program a /var/lib of its own in which it is root. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_PRIVATE_STATE_H
#define VERIMESH_TESTS_PRIVATE_STATE_H

#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "paths.h"
#include "rootless.h"

static inline bool private_state_try(void) {
	if (geteuid() != 0 && !rootless_enter())
		return false;
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("tmpfs", "/var/lib", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0 &&
		mkdir(PATH_STATE, 0755) == 0 && chmod(PATH_STATE, 0755) == 0)
		return true;
	perror("no private mounts here");
	return false;
}

/* False, and nothing has changed, where the kernel denies it; a child tries it first, for a process
 * cannot go back. */
static inline bool private_state_enter(void) {
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(private_state_try() ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0 && private_state_try();
}

#endif
