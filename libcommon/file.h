/* file.h: reads and replaces whole files so that a crash leaves the old or the new one. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_FILE_H
#define VERIMESH_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "span.h"

/* root + path (+ "/" + name), root "" for none. False with ENAMETOOLONG in err when it does not fit. */
bool file_path(
	char out[static PATH_MAX], const char *root, const char *path, const char *name, struct err *err);

/* Reads a file whole, at most max bytes; what the administrator names may be a link or a pipe, and our
 * own directories are root's. *data is malloc'd, the caller's, with a NUL behind the n bytes. A file
 * that is not there: false, errno ENOENT. */
bool file_read(const char *path, size_t max, uint8_t **data, size_t *n, struct err *err);

/* The same from an open descriptor (a pipe, a terminal); name is for the error. */
bool file_read_fd(int fd, const char *name, size_t max, uint8_t **data, size_t *n, struct err *err);

/* All n bytes to or from a descriptor, through signals; false with errno, or where it ends. */
bool file_send(int fd, const void *data, size_t n);
bool file_receive(int fd, void *data, size_t n);

/* Writes beside path, durably; beside is then where. On failure nothing is left there. */
bool file_write_beside(
	const char *path, struct span data, mode_t mode, char beside[static PATH_MAX], struct err *err);

/* The same, and puts it in path's place. */
bool file_replace(const char *path, struct span data, mode_t mode, struct err *err);

/* Renames within a directory, and fsyncs that. */
bool file_rename(const char *from, const char *to, struct err *err);

/* A directory of ours, open, so that who has no rights but to read in it finds his files by name. Where put
 * is set, another process, which has them, writes for him. */
struct file_dir {
	char path[PATH_MAX]; /* for messages, too */
	int fd;		     /* -1: it is not there */
	bool (*put)(void *ctx, const char *name, struct span data, mode_t mode, struct err *err);
	void *ctx;
};

/* Opens root + path; one that is not there is no error. */
bool file_dir_open(struct file_dir *dir, const char *root, const char *path, struct err *err);
void file_dir_close(struct file_dir *dir);

/* Opens a regular file to read; -1 with errno: EINVAL another thing is in its place, and not waited for. */
int file_dir_at(const struct file_dir *dir, const char *name);

/* As file_read. */
bool file_dir_read(const struct file_dir *dir, const char *name, size_t max, uint8_t **data, size_t *n,
	struct err *err);

/* As file_replace; data.p NULL: removes it, durably only with what is replaced next. */
bool file_dir_put(
	const struct file_dir *dir, const char *name, struct span data, mode_t mode, struct err *err);

/* Makes a directory, with this mode, and those above it, with 0755; what is there stays as it is. */
bool file_mkdir(const char *path, mode_t mode, struct err *err);

#endif
