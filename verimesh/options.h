/* options.h: LABEL and options of init, issue and withdraw. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_OPTIONS_H
#define VERIMESH_OPTIONS_H

#include "base64.h"
#include "card.h"
#include "cesr.h"
#include "verimesh.h"

/* What was given: the command's own words, and keys out of files. options_free releases the rest. */
struct options {
	char *self, *aid;	  /* --self, --aid; NULL if not given */
	bool seal;		  /* --seal */
	struct card_content card; /* whole but for the issuer; key only with --key */
	uint8_t key[WG_KEY_BYTES];
	char rosenpass[CESR_TEXT], journal[CESR_TEXT];
	char **words;				 /* all lists of the card */
	char (*keys)[LOGIN_MAX + 1 + CESR_TEXT]; /* loginkeys and hostkeys in them */
	size_t nkeys;
};

enum options_verb { FOR_INIT, FOR_ISSUE, FOR_WITHDRAW };

/* Reads LABEL and the verb's options out of the command's words. Returns 0; else what is wrong was printed:
 * the exit status, and *options is empty. */
int options_read(struct options *options, const struct command *command, enum options_verb verb);

/* The error for --key where the card is this very host's. */
bool options_own_key(struct err *err);

/* Reads the time that --NAME gives: 10m, 12h, 30d from now on, or 2026-01-31T12:00:00Z, or as KERI writes
 * it. In microseconds since 1970. */
bool options_time(const char *name, const char *arg, int64_t now, int64_t *micros, struct err *err);

/* Microseconds since 1970. */
int64_t now_micros(void);

void options_free(struct options *options);

#endif
