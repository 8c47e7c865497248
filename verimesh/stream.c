/* stream.c: reads the streams that verbs are given, and shows how far it came; see stream.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "stream.h"

#define WHOLE_MAX ((size_t)64 << 20)   /* bytes of a stream that is held whole */
#define MESSAGE_MAX ((size_t)64 << 20) /* bytes of a message with its attachments */
#define PART ((size_t)1 << 20)
#define CLEAR "\033[K" /* what an earlier line left behind the cursor */
#define STANDARD_INPUT "standard input"

/* Seconds since the first call, in a clock that nobody sets. */
static double elapsed(struct progress *progress) {
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (progress->start == 0)
		progress->start = seconds;
	return seconds - progress->start;
}

void progress_show(struct progress *progress, uint64_t events) {
	double seconds = elapsed(progress);

	if (!progress->terminal || seconds < progress->next)
		return;
	if (progress->next > 0) {
		fprintf(stderr, "\r%" PRIu64 " events, %.0f a second" CLEAR, events,
			(double)events / seconds);
		progress->shown = true;
	}
	progress->next = seconds < 1 ? 1 : seconds + 0.2;
}

void progress_end(struct progress *progress) {
	if (progress->shown)
		fprintf(stderr, "\r" CLEAR);
	progress->shown = false;
}

bool stream_read(const char *name, uint8_t **data, size_t *n, struct err *err) {
	if (strcmp(name, "-") == 0)
		return file_read_fd(STDIN_FILENO, STANDARD_INPUT, WHOLE_MAX, data, n, err);
	return file_read(name, WHOLE_MAX, data, n, err);
}

/* Reads until the buffer is full or the stream ends. False with errno. */
static bool fill(int fd, uint8_t *buf, size_t size, size_t *used) {
	ssize_t got = 1;

	while (got != 0 && *used < size) {
		got = read(fd, buf + *used, size - *used);
		if (got < 0 && errno != EINTR)
			return false;
		*used += got > 0 ? (size_t)got : 0;
	}
	return true;
}

/* Reads part after part into *buf, which holds what a part left of a message, and grows with it. */
static bool read_parts(int fd, struct book *book, uint8_t **buf) {
	size_t size = 0, used = 0, left = 0;
	struct span part;
	uint8_t *larger;

	do {
		if (left == size) {
			size = size ? 2 * size : PART;
			larger = size <= MESSAGE_MAX ? realloc(*buf, size) : NULL;
			if (!larger) {
				errno = size <= MESSAGE_MAX ? ENOMEM : EFBIG;
				return false;
			}
			*buf = larger;
		}
		memmove(*buf, *buf + used - left, left);
		used = left;
		if (!fill(fd, *buf, size, &used))
			return false;
		part = span_of(*buf, used);
		if (!book_read_part(book, &part, used < size))
			break;
		left = part.n;
	} while (used == size);
	return true;
}

bool stream_verify(const char *name, struct book *book, struct err *err) {
	bool standard = strcmp(name, "-") == 0, good;
	int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = NULL;

	good = fd >= 0 && read_parts(fd, book, &buf);
	if (!good)
		err_set(err, ERR_ENV, "%s: %m", standard ? STANDARD_INPUT : name);
	free(buf);
	if (fd >= 0 && !standard)
		close(fd);
	return good;
}
