/* verified.h: what was verified of the logs on disk, kept so that it need not be done again. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_VERIFIED_H
#define VERIMESH_VERIFIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "book.h"
#include "file.h"
#include "span.h"

/* One log. As it stands in the file, up to `seals`; byte order and sizes are this machine's. */
struct verified_log {
	char aid[CESR_TEXT];
	uint8_t rests;		/* 1: it may rest (book.h), and what follows is there */
	struct book_file file;	/* as it was */
	uint64_t count, nseals; /* events; seals of theirs */
	uint64_t nbodies;	/* bytes of the bodies that its file has */
	struct span seals, bodies;
};

/* The file NAME_VERIFIED of the state directory. It saves time and nothing else: without it, or when it is
 * damaged, of another version or of another owner than root or the caller, all is verified anew. A digest of
 * its own guards it against accidents; against people it is as safe as the map is, by its permissions. */
struct verified {
	uint8_t *data;
	struct verified_log *logs; /* sorted by AID */
	size_t n;
	struct timespec written; /* when its content was, by the clock that gives files their ctime */
};

/* Reads it; it is empty when there is none that can be used. */
void verified_read(struct verified *verified, const struct file_dir *state);
void verified_free(struct verified *verified);

/* NULL when it is not there. */
const struct verified_log *verified_find(const struct verified *verified, const char *aid);

/* Puts a log that rests, and its bodies, into the book. False: out of memory. */
bool verified_rest(const struct verified_log *log, struct book *book);

/* Writes what the book has of logs that are whole in the store; before: where those that rest came from.
 * Nothing hangs on its success. */
void verified_write(const struct verified *before, const struct book *book, const struct file_dir *state);

#endif
