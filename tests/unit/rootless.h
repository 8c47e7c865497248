/* rootless.h: lets a test that needs uid 0 run as an ordinary user, in a user namespace. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_ROOTLESS_H
#define VERIMESH_TESTS_ROOTLESS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static inline bool rootless_write(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Makes a user namespace in which this process is uid 0 and gid 0, the only ones there are. */
static inline bool rootless_enter(void) {
	char uids[64], gids[64];

	snprintf(uids, sizeof uids, "0 %ju 1", (uintmax_t)geteuid());
	snprintf(gids, sizeof gids, "0 %ju 1", (uintmax_t)getegid());
	if (unshare(CLONE_NEWUSER) == 0 && rootless_write("/proc/self/setgroups", "deny") &&
		rootless_write("/proc/self/uid_map", uids) && rootless_write("/proc/self/gid_map", gids))
		return true;
	perror("no user namespace for an ordinary user here");
	return false;
}

#endif
