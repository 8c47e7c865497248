/* keyring.c: reads the mesh's ring in the kernel keyring; see keyring.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keyring.h"
#include "paths.h"

#define GROUP_AND_OTHER (KEY_GRP_ALL | KEY_OTH_ALL)

int keyring_describe(int32_t id, struct keyring_key *key) {
	char text[256];
	long n = keyctl_describe(id, text, sizeof text);
	int name = 0;

	if (n < 0)
		return errno;
	if ((size_t)n > sizeof text ||
		sscanf(text, "%15[^;];%u;%*d;%x;%n", key->type, &key->uid, &key->permissions, &name) != 3 ||
		!name || !span_copy(span_str(text + name), key->name, sizeof key->name))
		return EPERM;
	return 0;
}

/* Is this serial root's key of that type and name, and nobody else's to touch? */
static int believe(int32_t id, const char *type, const char *name) {
	struct keyring_key key = {0};
	int rc = keyring_describe(id, &key);

	if (rc == 0 && (strcmp(key.type, type) != 0 || strcmp(key.name, name) != 0 || key.uid != 0 ||
			       key.permissions & GROUP_AND_OTHER))
		rc = EPERM;
	return rc;
}

int keyring_open(const char *root, const char *interface, int32_t *ring) {
	char path[PATH_MAX], name[64], text[16] = "";
	struct stat st;
	ssize_t n;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s" PATH_RUN "/%s.ring", root, interface) >= sizeof path ||
		(size_t)snprintf(name, sizeof name, "verimesh:%s", interface) >= sizeof name)
		return ENAMETOOLONG;
	fd = path_open_trusted(path, O_RDONLY, S_IFREG, &st);
	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	*ring = n > 0 ? (int32_t)strtol(text, NULL, 10) : 0; /* not @u nor @s, which are negative */
	return *ring > 0 ? believe(*ring, "keyring", name) : EPERM;
}

int keyring_read(int32_t ring, const char *name, char text[static KEYRING_PAYLOAD]) {
	int32_t id = (int32_t)keyctl_search(ring, "user", name, 0);
	int rc = id < 0 ? errno : believe(id, "user", name);
	long n = 0;

	if (rc == 0) {
		n = keyctl_read(id, text, KEYRING_PAYLOAD - 1);
		if (n < 0)
			rc = errno;
		else if (n >= KEYRING_PAYLOAD)
			rc = EMSGSIZE;
	}
	text[rc == 0 ? n : 0] = 0;
	return rc;
}

int32_t keyring_link(int32_t ring, const char *type, const char *name, struct span payload,
	uint32_t permissions, unsigned timeout) {
	/* only a possessor may set the permissions of a new key */
	int32_t id = add_key(type, name, payload.p, payload.n, KEY_SPEC_THREAD_KEYRING);
	bool done = id > 0 && keyctl_setperm(id, permissions) == 0 && keyctl_set_timeout(id, timeout) == 0 &&
		    keyctl_link(id, ring) == 0;

	if (id > 0)
		keyctl_unlink(id, KEY_SPEC_THREAD_KEYRING);
	return done ? id : -1;
}
