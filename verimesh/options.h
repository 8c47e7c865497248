/* options.h: the card options of init and issue. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_OPTIONS_H
#define VERIMESH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base64.h"
#include "card.h"
#include "cesr.h"
#include "err.h"

/* What was given. The lists are malloc'd and NULL-terminated; options_free releases them. */
struct options {
	char *label;
	char *self;		  /* --self, NULL if not given */
	struct card_content card; /* issuer and issued are not set; key only with --key */
	uint8_t key[WG_KEY_BYTES];
	char rosenpass[CESR_TEXT], journal[CESR_TEXT];
	size_t nlists[5];
};

/* Reads LABEL and options out of args[1..]. with_self: --self is one of them. now: microseconds
 * since 1970. A wrong call has status ERR_USAGE in err; *options is then empty. */
bool options_read(
	struct options *options, char **args, int nargs, bool with_self, int64_t now, struct err *err);

/* The error for --key where the card is this very host's. */
bool options_own_key(struct err *err);

void options_free(struct options *options);

#endif
