/* keyring.c: reads the mesh's ring in the kernel keyring; see keyring.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
		!name || strlen(text + name) >= sizeof key->name)
		return EPERM;
	strcpy(key->name, text + name);
	return 0;
}

/* Is this serial root's key of that type and name, and nobody else's to touch? */
static int believe(int32_t id, const char *type, const char *name) {
	struct keyring_key key;
	int rc = keyring_describe(id, &key);

	if (rc == 0 && (strcmp(key.type, type) != 0 || strcmp(key.name, name) != 0 || key.uid != 0 ||
			       key.permissions & GROUP_AND_OTHER))
		rc = EPERM;
	return rc;
}

/* The digits of a positive serial, and at most a line end behind them. */
static bool parse_serial(const char *text, int32_t *serial) {
	size_t n = strspn(text, "0123456789");
	long value = strtol(text, NULL, 10);

	*serial = (int32_t)value;
	return n > 0 && text[0] != '0' && value <= INT32_MAX && (!text[n] || strcmp(text + n, "\n") == 0);
}

static int read_serial(const char *path, int32_t *serial) {
	char text[16] = "";
	struct stat st;
	ssize_t n;
	int rc = EPERM, fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ELOOP ? EPERM : errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
		!(st.st_mode & (S_IWGRP | S_IWOTH))) {
		n = read(fd, text, sizeof text - 1);
		if (n > 0 && strlen(text) == (size_t)n && parse_serial(text, serial))
			rc = 0;
	}
	close(fd);
	return rc;
}

int keyring_open(const char *root, const char *interface, int32_t *ring) {
	char path[PATH_MAX], name[64];
	int rc = ENAMETOOLONG, saved = errno;
	int n = snprintf(path, sizeof path, "%s" PATH_RUN "/%s.ring", root, interface);

	if ((size_t)n < sizeof path &&
		(size_t)snprintf(name, sizeof name, "verimesh:%s", interface) < sizeof name)
		rc = read_serial(path, ring);
	if (rc == 0)
		rc = believe(*ring, "keyring", name);
	errno = saved;
	return rc;
}

int keyring_read(int32_t ring, const char *name, void *out, size_t size, size_t *n) {
	int rc, saved = errno;
	int32_t id = (int32_t)keyctl_search(ring, "user", name, 0);
	long got;

	rc = id < 0 ? errno : believe(id, "user", name);
	if (rc == 0) {
		got = keyctl_read(id, out, size);
		if (got < 0)
			rc = errno;
		else if ((size_t)got > size)
			rc = EMSGSIZE;
		else
			*n = (size_t)got;
	}
	errno = saved;
	return rc;
}

int keyring_peer(
	int32_t ring, const uint8_t key[static WG_KEY_BYTES], char payload[static KEYRING_PAYLOAD]) {
	char name[WG_KEY_TEXT];
	size_t n = 0;
	int rc;

	wg_key_encode(key, name);
	rc = keyring_read(ring, name, payload, KEYRING_PAYLOAD - 1, &n);
	payload[n] = 0;
	return rc;
}
