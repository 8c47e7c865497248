/* file.c: whole files, read safely and replaced without a moment in between; see file.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
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

bool file_read_fd(int fd, const char *name, size_t max, uint8_t **data, size_t *n, struct err *err) {
	uint8_t *bytes = NULL, *larger;
	size_t used = 0, size = 0, next = FIRST_SIZE;
	struct stat st;
	ssize_t got = -1;

	*data = NULL;
	*n = 0;
	/* The first piece holds all of a file, and any secret: growing leaves no copy of one behind. */
	if (fstat(fd, &st) == 0 && st.st_size >= FIRST_SIZE && (size_t)st.st_size <= max)
		next = (size_t)st.st_size + 1;
	while (got != 0 && used <= max) {
		/* One byte more than max shows that there is more, and holds the NUL. */
		if (used == size) {
			size = next > max ? max + 1 : next;
			next = 2 * size;
			larger = realloc(bytes, size);
			if (!larger)
				goto failed;
			bytes = larger;
		}
		got = read(fd, bytes + used, size - used);
		if (got < 0 && errno != EINTR)
			goto failed;
		used += got > 0 ? (size_t)got : 0;
	}
	if (used <= max) {
		bytes[used] = 0;
		*data = bytes;
		*n = used;
		return true;
	}
	errno = EFBIG;
failed:
	fail(err, name);
	if (bytes)
		explicit_bzero(bytes, used);
	free(bytes);
	return false;
}

bool file_read(const char *path, size_t max, uint8_t **data, size_t *n, struct err *err) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;

	*data = NULL;
	*n = 0;
	if (fd < 0)
		return fail(err, path);
	good = file_read_fd(fd, path, max, data, n, err);
	close(fd);
	return good;
}

bool file_send(int fd, const void *data, size_t n) {
	const uint8_t *at = data;
	ssize_t done;

	for (; n; at += done, n -= (size_t)done) {
		done = write(fd, at, n);
		if (done < 0 && errno != EINTR)
			return false;
		done = done < 0 ? 0 : done;
	}
	return true;
}

bool file_receive(int fd, void *data, size_t n) {
	uint8_t *at = data;
	ssize_t done;

	for (; n; at += done, n -= (size_t)done) {
		done = read(fd, at, n);
		if (done == 0 || (done < 0 && errno != EINTR))
			return false;
		done = done < 0 ? 0 : done;
	}
	return true;
}

/* Makes the entry of path in its directory durable. */
static bool sync_parent(const char *path) {
	char copy[PATH_MAX];
	int fd = -1;
	bool good;

	if (file_path(copy, "", path, NULL, NULL))
		fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = fsync(fd) == 0;
	close(fd);
	return good;
}

bool file_rename(const char *from, const char *to, struct err *err) {
	return (rename(from, to) == 0 && sync_parent(to)) || fail(err, to);
}

bool file_write_beside(
	const char *path, struct span data, mode_t mode, char beside[static PATH_MAX], struct err *err) {
	bool good;
	int fd;

	if (!file_path(beside, path, ".new", NULL, err))
		return false;
	/* One fixed name, so that a crash leaves at most one, which the next writer removes. */
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, beside);
	good = fchmod(fd, mode) == 0 && file_send(fd, data.p, data.n) && fsync(fd) == 0;
	good = close(fd) == 0 && good;
	if (good)
		return true;
	fail(err, path);
	unlink(beside);
	return false;
}

bool file_replace(const char *path, struct span data, mode_t mode, struct err *err) {
	char beside[PATH_MAX];

	if (!file_write_beside(path, data, mode, beside, err))
		return false;
	if (file_rename(beside, path, err))
		return true;
	unlink(beside);
	return false;
}

bool file_dir_open(struct file_dir *dir, const char *root, const char *path, struct err *err) {
	*dir = (struct file_dir){.fd = -1};
	if (!file_path(dir->path, root, path, NULL, err))
		return false;
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir->fd >= 0 || errno == ENOENT || fail(err, dir->path);
}

void file_dir_close(struct file_dir *dir) {
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
}

int file_dir_at(const struct file_dir *dir, const char *name) {
	struct stat st;
	int fd;

	errno = ENOENT;
	fd = dir->fd < 0 ? -1 : openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

bool file_dir_read(const struct file_dir *dir, const char *name, size_t max, uint8_t **data, size_t *n,
	struct err *err) {
	char path[PATH_MAX];
	bool good;
	int fd;

	*data = NULL;
	*n = 0;
	if (!file_path(path, dir->path, "", name, err))
		return false;
	fd = file_dir_at(dir, name);
	if (fd < 0)
		return errno == EINVAL ? err_set(err, ERR_ENV, "%s: is no regular file", path)
				       : fail(err, path);
	good = file_read_fd(fd, path, max, data, n, err);
	close(fd);
	return good;
}

bool file_dir_put(
	const struct file_dir *dir, const char *name, struct span data, mode_t mode, struct err *err) {
	char path[PATH_MAX];

	if (dir->put)
		return dir->put(dir->ctx, name, data, mode, err);
	if (!file_path(path, dir->path, "", name, err))
		return false;
	return data.p ? file_replace(path, data, mode, err) : unlink(path) == 0 || fail(err, path);
}

/* One directory; one that is there already is left as it is. */
static bool make_dir(const char *path, mode_t mode, struct err *err) {
	struct stat st;
	bool good;

	if (mkdir(path, mode) == 0)
		good = chmod(path, mode) == 0 && sync_parent(path);
	else
		good = errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	return good || fail(err, path);
}

bool file_mkdir(const char *path, mode_t mode, struct err *err) {
	char dir[PATH_MAX], *slash = dir;

	if (!file_path(dir, "", path, NULL, err))
		return false;
	for (slash += *dir == '/'; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		if (!make_dir(dir, 0755, err))
			return false;
	}
	return make_dir(path, mode, err);
}
