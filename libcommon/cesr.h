/* cesr.h: CESR text primitives and attachments, canonical only: one text for each value. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CESR_H
#define VERIMESH_CESR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blake3.h"
#include "err.h"
#include "span.h"

#define CESR_RAW 32   /* bytes of a key or digest */
#define CESR_CHARS 44 /* characters of one */
#define CESR_TEXT 45  /* with a NUL */
#define CESR_SIG_RAW 64
#define CESR_SIG_CHARS 88

/* Codes of 44 characters (facts/keri.md, CESR). */
#define CESR_ED25519N 'B'
#define CESR_X25519 'C'
#define CESR_ED25519 'D'
#define CESR_BLAKE3 'E'

/* The reverse of wg_key_encode: false unless text is the one canonical text of a key. */
bool wg_key_decode(const char *text, size_t n, uint8_t key[static CESR_RAW]);

/* Decodes a key or digest of this one code. False, raw untouched, when text is not the one
 * canonical text of such a value (length, code, alphabet, pad bits). */
bool cesr_decode(struct span text, char code, uint8_t raw[static CESR_RAW]);

/* Whether text is an identifier: a key or a digest, code B, D or E. */
bool cesr_is_aid(struct span text);

/* 44 characters and a NUL. Returns text. */
char *cesr_encode(char code, const uint8_t raw[static CESR_RAW], char text[static CESR_TEXT]);

/* An indexed signature of the current and next key lists, index = ondex, 0 to 63 (code A). */
void cesr_encode_indexed(
	unsigned index, const uint8_t sig[static CESR_SIG_RAW], char text[static CESR_SIG_CHARS + 1]);

/* BLAKE3-256 of n bytes as text, code E. Returns text. */
char *cesr_digest(struct span data, char text[static CESR_TEXT]);

/* SAID of a body (facts/keri.md, SAID): its BLAKE3-256 with the value at each of the two places
 * taken as 44 '#'. A place is a span inside body, 44 long, or empty for none; in body order. */
void cesr_said(struct span body, struct span place1, struct span place2, char text[static CESR_TEXT]);

/* What an attachment carries, one primitive or tuple at a time: the letter of its group. What the other
 * groups hold is checked, and of no further use here. */
enum cesr_kind {
	CESR_CONTROLLER_SIG = 'A', /* indexed signature by a key of the event's k */
	CESR_WITNESS_SIG = 'B',	   /* indexed signature by a witness */
	CESR_COUPLE = 'C',	   /* key (code B) and signature (0B) */
	CESR_SOURCE_SEAL = 'G',	   /* sn and digest of the anchoring event */
};

struct cesr_item {
	char kind;
	uint32_t index;		   /* signatures: place in the list of keys or witnesses */
	uint32_t ondex;		   /* place in the prior next list; UINT32_MAX: current keys only */
	uint8_t key[CESR_RAW];	   /* couple: the witness */
	uint8_t sig[CESR_SIG_RAW]; /* signature or couple */
	uint64_t sn;		   /* source seal */
	char digest[CESR_TEXT];	   /* source seal */
};

/* Walks the attachments that stand behind a message body. Groups may stand flat or inside one
 * -V (or -0V, --V) frame at a time; a frame ends exactly where it says. Nothing is allocated and no
 * count is believed beyond the bytes that are there. */
struct cesr_reader {
	struct span rest; /* what is still to be read */
	size_t frame;	  /* bytes left of the frame, if it tells the truth; SIZE_MAX: no frame */
	uint32_t left;	  /* items left in the group */
	char group;	  /* its code letter */
};

enum cesr_step {
	CESR_ITEM,	/* *item is filled */
	CESR_END,	/* rest is empty or starts with something that is no '-': a body, or junk */
	CESR_BAD,	/* err says why */
	CESR_TRUNCATED, /* the bytes end inside a counter, a group or a frame, and all were good */
};

void cesr_reader_init(struct cesr_reader *r, struct span bytes);
enum cesr_step cesr_next(struct cesr_reader *r, struct cesr_item *item, struct err *err);

/* One message of a stream: a JSON body and what is attached to it. */
struct cesr_message {
	struct span body;
	struct span attachments;
	bool acdc; /* protocol ACDC, else KERI */
};

/* Takes the next message from *stream, advancing it past body and attachments. CESR_ITEM: *msg is
 * filled and its attachments are well formed; CESR_END: the stream is empty; CESR_BAD: bytes that
 * start no body, a version string other than KERI10JSON/ACDC10JSON, or a bad attachment;
 * CESR_TRUNCATED: a declared size or count past the end, or an end inside a body or its
 * attachments. On BAD and TRUNCATED msg->body is what could be read of the body (empty: not even
 * that), and err says why. The body's JSON is not looked at beyond its version string. A lone
 * prefix of a version string at the end is truncated. */
enum cesr_step cesr_message(struct span *stream, struct cesr_message *msg, struct err *err);

#endif
