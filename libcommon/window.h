/* window.h: the next messages of a stream, read and their signatures checked before it is their turn. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_WINDOW_H
#define VERIMESH_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "cesr.h"
#include "err.h"
#include "event.h"
#include "kel.h"
#include "signatures.h"
#include "span.h"

#define WINDOW_MAX 256

struct window_message {
	struct cesr_message message;
	bool parsed;	    /* event holds: it is no ACDC, and well formed */
	struct event event; /* points into the stream */
	struct signatures checked;
};

/* Zero-initialised it is empty. */
struct window {
	struct window_message list[WINDOW_MAX];
	size_t n;
	struct crew crew;
};

/* Asked about what is read; ctx is theirs. */
struct window_reader {
	void *ctx;
	/* The window is to end before this part of the stream, for it may not have to be read. */
	bool (*stops)(void *ctx, struct span stream);
	/* An event's signatures are going to be asked for; *kel is then the log that it continues, as it is
	 * before the window, or NULL. */
	bool (*wants)(void *ctx, const struct event *event, const struct kel **kel);
};

/* Fills the window with the next messages of *stream and advances it past them. Which keys an event is
 * signed with is guessed; a wrong guess costs time, for what was not checked here is checked in turn. last:
 * nothing follows the stream; else a message that may go on behind its end is left. CESR_ITEM: there is
 * more. Any other step, as of cesr_message: what stands behind the window's messages is that; *bad is then
 * its. */
enum cesr_step window_fill(struct window *window, struct span *stream, bool last,
	const struct window_reader *reader, struct cesr_message *bad, struct err *err);

#endif
