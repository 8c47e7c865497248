/* book.h: logs, receipts, registry events and cards that arrive in any order, verified together. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_BOOK_H
#define VERIMESH_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "card.h"
#include "cesr.h"
#include "err.h"
#include "event.h"
#include "kel.h"
#include "span.h"
#include "waiting.h"
#include "window.h"

enum verdict_kind {
	VERDICT_REFUSED,
	VERDICT_TRUNCATED,
	VERDICT_DUPLICITOUS,
	VERDICT_UNDERWITNESSED,
};

/* Why an event was not accepted (DESIGN.md 6, verify). */
struct verdict {
	enum verdict_kind kind;
	uint64_t event;	     /* bodies before it in the stream */
	char aid[CESR_TEXT]; /* "" when unreadable */
	uint64_t sn;	     /* UINT64_MAX when unreadable */
	char reason[512];
};

/* What a log's file in the store was when it was verified; all 0: there is none. */
struct book_file {
	uint64_t size, inode, changed; /* changed: its ctime, in ns */
	uint64_t messages;	       /* bodies in it */
	char digest[CESR_TEXT];	       /* of it */
};

/* One identifier in the book. */
struct book_log {
	struct kel kel;
	uint64_t first; /* event number of its first inception body; UINT64_MAX: none yet */
	struct pending_list waiting;
	uint64_t cut;		   /* while in the list of logs to cut: from where on */
	struct book_log *next_cut; /* next in it */
	bool in_cut;
	bool closed;	/* nothing more is taken from this stream */
	uint8_t *fresh; /* messages accepted while `record` was set */
	size_t nfresh;
	struct book_file file;
	/* What is in the file was verified before and not read again: `wake` does when it is needed. Neither
	 * a delegate nor a delegator rests, for a recovery of one log then reaches all that hang on it. */
	bool resting;
	bool delegates; /* some other log hangs on it */
	bool doubted;	/* its file has events that nobody verified, for they waited in vain */
	/* Two versions of an event were seen: nothing new is taken (DESIGN.md 6, import). The other
	 * version's message, when that was in this run and `record` set. */
	bool frozen;
	uint8_t *evidence;
	size_t nevidence;
	bool shown;		   /* a stream had an event of it that holds; whoever asks clears it */
	bool wanted;		   /* for whoever asks */
	bool damaged;		   /* its file there does not verify: nothing of it is believed */
	struct book_body **bodies; /* that its file has; of one that rests, none */
	size_t nbodies;
};

/* A body that is no key event: an ACDC or a registry event. Its SAID was checked. */
struct book_body {
	char said[CESR_TEXT];
	bool acdc;
	bool stored; /* the store has it */
	uint8_t *bytes;
	size_t n;
	enum { BODY_UNREAD, BODY_READ, BODY_BAD } state; /* of what follows, for book_card, book_event */
	union {
		struct card card;
		struct event event;
	};
};

struct book {
	bool forgiving;		/* go on with other identifiers after a refusal (import) */
	bool keep;		/* keep bodies, for cards and the store */
	bool record;		/* keep accepted messages in `fresh` */
	bool trusted;		/* what is read was verified before, in this order: signatures are good */
	struct book_log *file;	/* whose file in the store is read; NULL: it is a stream */
	struct book_log **logs; /* in no order */
	size_t nlogs;
	void *log_tree, *body_tree; /* tree.h */
	struct book_log *last;	    /* that was asked for: of one log, events mostly come together */
	struct waiting waiting;
	struct window *window, *inner; /* on what is read; of a stream that is read within another */
	/* Reads the file of a log that rested, while another stream is being read. */
	void (*wake)(void *ctx, struct book_log *log);
	void *waker; /* its ctx */
	bool waking;
	uint64_t events; /* bodies read since the last book_finish */
	void (*report)(void *ctx, const struct verdict *verdict);
	void (*progress)(void *ctx, uint64_t events); /* now and then; or NULL */
	void *ctx;
	bool unsettled; /* since the last book_finish, some event waited or some log was closed */
	bool failed;	/* something since the last book_finish was not accepted */
	bool starved;	/* memory ran out: what the book has is not what was read */
};

/* Zero-initialised, with the flags and the report set, a book is empty. Reads a stream, or the next part of
 * one: *part is advanced past what was read, and what is left of it (a message that may go on behind it, if
 * it is not the last) is to be the start of the next part. Several streams may follow each other, and what
 * waits at the end of one may be completed by the next. Strict (not forgiving): input stops at the first
 * refusal and one verdict is reported, on the lowest event not accepted. Forgiving: a verdict for each
 * identifier or message that failed; input stops only where the stream cannot be cut into messages any more.
 * False where it stops. */
bool book_read_part(struct book *book, struct span *part, bool last);
void book_read(struct book *book, struct span stream);

/* The end of the input: what still waits is reported and forgotten. So is a delegated event that
 * had been accepted until its anchor was superseded. True when everything since the last end was
 * accepted. */
bool book_finish(struct book *book);

/* Puts a log to rest: `count` events were verified, and seals, which are taken over, are theirs. A log of
 * this AID is not there yet. NULL: out of memory; seals are then the caller's. */
struct book_log *book_rest(
	struct book *book, const char *aid, uint64_t count, struct seal *seals, size_t nseals);

/* Puts a body whose SAID was checked, and that is not there. NULL: out of memory. */
struct book_body *book_put_body(struct book *book, const char *said, bool acdc, struct span bytes);

/* Notes that the log's file has the body. False: out of memory. */
bool book_note_stored(struct book_log *log, struct book_body *body);

/* Reads a log's file in the store, whose first bytes were verified before: their signatures are good. Key
 * events of others are refused in it, with a verdict that names nobody. Returns how many bodies it has. */
uint64_t book_read_file(struct book *book, const char *aid, struct span file, size_t verified);

/* NULL when nothing of it was accepted, or its file in the store is damaged. The log may rest. */
const struct kel *book_kel(const struct book *book, const char *aid);
/* The same, with its events. */
const struct kel *book_awake(struct book *book, const char *aid);
struct book_log *book_log(const struct book *book, const char *aid);
/* Makes one where there is none. NULL: out of memory. */
struct book_log *book_open(struct book *book, const char *aid);

/* The body with this SAID; NULL when it is not there. */
struct book_body *book_body(const struct book *book, const char *said);

/* The tunnel card, the registry event, with this SAID; NULL when it is not there or is none. Each is read
 * once, however often it is sealed: a seal is short, and what it names may be long. */
const struct card *book_card(const struct book *book, const char *said);
const struct event *book_event(const struct book *book, const char *said);

void book_free(struct book *book);

#endif
