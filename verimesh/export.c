/* export.c: `verimesh export`: own log and cards as one CESR stream. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"
#include "issue.h"
#include "verimesh.h"

int verb_export(const struct command *command) {
	char aid[CESR_TEXT];
	struct store store;
	uint8_t *data = NULL;
	struct err err;
	bool good;
	size_t n;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!identity_need(command->root, aid, &err) || !store_open(&store, command->root, false, &err))
		return problem(&err);
	good = store_own_kel(&store, aid, &err) && store_read(&store, aid, &data, &n, &err);
	if (good) /* only what was verified just now, not a tail that a crash cut off */
		fwrite(data, 1, book_log(&store.book, aid)->file.size, stdout);
	free(data);
	store_close(&store);
	return good ? 0 : problem(&err);
}
