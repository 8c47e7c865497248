/* stream.h: reads the streams that verbs are given, and shows how far it came. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_STREAM_H
#define VERIMESH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book.h"
#include "err.h"

/* Reads FILE, or standard input for "-", whole. *data is malloc'd. */
bool stream_read(const char *name, uint8_t **data, size_t *n, struct err *err);

/* Reads the same into the book, part by part, so that a stream of any length takes little memory.
 * What it holds is for the book to report; book_finish is the caller's. False: it cannot be read. */
bool stream_verify(const char *name, struct book *book, struct err *err);

/* Shows on a terminal how far a long verification is, in one line that is rewritten. Zero-initialised it has
 * not begun, and shows nothing. The first second shows nothing. */
struct progress {
	bool terminal;	    /* standard error is one */
	double start, next; /* seconds */
	bool shown;
};
void progress_show(struct progress *progress, uint64_t events);
/* Wipes the line, so that another can be printed. */
void progress_end(struct progress *progress);

#endif
