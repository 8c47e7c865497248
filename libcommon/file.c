/* file.c: whole files, read safely and replaced without a moment in between; see file.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define FIRST_SIZE 4096

static bool fail(struct err *err, const char *path) {
	return err_set(err, ERR_ENV, "%s: %m", path);
}

bool file_path(
	char out[static PATH_MAX], const char *root, const char *path, const char *name, struct err *err) {
	int n = snprintf(out, PATH_MAX, "%s%s%s%s", root, path, name ? "/" : "", name ? name : "");

	if (n >= 0 && n < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return err_set(err, ERR_ENV, "%.64s...: %m", path);
}

/* What is read may be a secret, so no copy is left behind. */
static bool grow(uint8_t **data, size_t n, size_t size) {
	uint8_t *larger = malloc(size);

	if (!larger)
		return false;
	if (n)
		memcpy(larger, *data, n);
	if (*data)
		explicit_bzero(*data, n);
	free(*data);
	*data = larger;
	return true;
}

bool file_read_fd(int fd, const char *name, size_t max, uint8_t **data, size_t *n, struct err *err) {
	struct stat st;
	uint8_t *bytes = NULL;
	size_t used = 0, size = 0, next = FIRST_SIZE;
	ssize_t got = -1;
	bool good = false;

	*data = NULL;
	*n = 0;
	if (fstat(fd, &st) != 0)
		goto out;
	if (st.st_size > 0 && (size_t)st.st_size <= max)
		next = (size_t)st.st_size + 1;
	while (got != 0 && used <= max) {
		/* One byte more than max shows that there is more, and holds the NUL. */
		if (used == size) {
			next = next > max ? max + 1 : next;
			if (!grow(&bytes, used, next))
				goto out;
			size = next;
			next *= 2;
		}
		got = read(fd, bytes + used, size - used);
		if (got < 0 && errno != EINTR)
			goto out;
		used += got > 0 ? (size_t)got : 0;
	}
	good = used <= max;
	if (!good)
		errno = EFBIG;
out:
	if (!good) {
		fail(err, name);
		if (bytes)
			explicit_bzero(bytes, used);
		free(bytes);
		return false;
	}
	bytes[used] = 0;
	*data = bytes;
	*n = used;
	return true;
}

/* A regular file, or what a caller of open would not expect: a device, a pipe, a link. */
static int open_regular(const char *path, int flags, mode_t mode, struct stat *st, struct err *err) {
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		err_set(err, ERR_ENV, "%s: not a regular file", path);
		errno = EINVAL;
		return -1;
	}
	if (fd < 0)
		fail(err, path);
	return fd;
}

bool file_read(const char *path, size_t max, uint8_t **data, size_t *n, struct err *err) {
	struct stat st;
	int fd = open_regular(path, O_RDONLY, 0, &st, err);
	bool good;

	*data = NULL;
	*n = 0;
	if (fd < 0)
		return false;
	good = file_read_fd(fd, path, max, data, n, err);
	close(fd);
	return good;
}

static bool write_all(int fd, struct span data, off_t at) {
	while (data.n > 0) {
		ssize_t done = pwrite(fd, data.p, data.n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		data = span_from(data, (size_t)done);
		at += done;
	}
	return fsync(fd) == 0;
}

/* Makes the entry of path in its directory durable. */
static bool sync_parent(const char *path) {
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;
	bool good;

	if (!span_copy(span_of(path, slash ? (size_t)(slash - path) + 1 : 0), dir, sizeof dir)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = fsync(fd) == 0;
	close(fd);
	return good;
}

bool file_replace(const char *path, struct span data, mode_t mode, struct err *err) {
	char beside[PATH_MAX];
	bool good;
	int fd;

	if (!file_path(beside, path, ".new", NULL, err))
		return false;
	/* One fixed name, so that a crash leaves at most one, which the next writer removes. */
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, beside);
	good = fchmod(fd, mode) == 0 && write_all(fd, data, 0);
	good = close(fd) == 0 && good;
	good = good && rename(beside, path) == 0 && sync_parent(path);
	if (!good) {
		fail(err, path);
		unlink(beside);
	}
	return good;
}

bool file_append(const char *path, off_t at, struct span data, mode_t mode, struct err *err) {
	struct stat st;
	int fd = open_regular(path, O_WRONLY | O_CREAT, 0600, &st, err);
	bool good, new;

	if (fd < 0)
		return false;
	new = st.st_size == 0;
	if (st.st_size < at) {
		err_set(err, ERR_ENV, "%s: is %lld bytes long, %lld were expected", path,
			(long long)st.st_size, (long long)at);
		close(fd);
		return false;
	}
	good = (!new || fchmod(fd, mode) == 0) && ftruncate(fd, at) == 0 && write_all(fd, data, at) &&
	       (!new || sync_parent(path));
	if (!good)
		fail(err, path);
	close(fd);
	return good;
}

bool file_mkdir(const char *path, mode_t mode, struct err *err) {
	char dir[PATH_MAX];
	struct stat st;

	if (!file_path(dir, "", path, NULL, err))
		return false;
	for (char *p = dir + (*dir == '/');; p++) {
		bool last = *p == 0;

		if (*p != '/' && !last)
			continue;
		*p = 0;
		if (mkdir(dir, last ? mode : 0755) == 0) {
			if ((last && chmod(dir, mode) != 0) || !sync_parent(dir))
				return fail(err, dir);
		} else if (errno != EEXIST || stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
			return fail(err, dir);
		}
		if (last)
			return true;
		*p = '/';
	}
}
