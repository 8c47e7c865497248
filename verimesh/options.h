/* options.h: LABEL and options of init, issue and withdraw. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_OPTIONS_H
#define VERIMESH_OPTIONS_H

#include "base64.h"
#include "card.h"
#include "cesr.h"
#include "verimesh.h"

/* What was given, which makes a card. options_free releases the lists. */
struct options {
	char *self, *aid;	  /* --self, --aid; NULL if not given */
	struct card_content card; /* whole but for the issuer; key only with --key */
	uint8_t key[WG_KEY_BYTES];
	char rosenpass[CESR_TEXT], journal[CESR_TEXT];
	char **words; /* of all lists, malloc'd each */
	size_t nwords;
};

enum options_verb { FOR_INIT, FOR_ISSUE, FOR_WITHDRAW };

/* Reads LABEL and the verb's options out of the command's words. Returns 0; else what is wrong was printed:
 * the exit status, and *options is empty. */
int options_read(struct options *options, const struct command *command, enum options_verb verb);

/* The error for --key where the card is this very host's. */
bool options_own_key(struct err *err);

/* Microseconds since 1970. */
int64_t now_micros(void);

void options_free(struct options *options);

#endif
