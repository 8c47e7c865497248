/* export.c: `verimesh export`: own log and cards as one CESR stream. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"
#include "store.h"
#include "verimesh.h"

int verb_export(const struct command *command) {
	char aid[CESR_TEXT] = "";
	struct store store;
	uint8_t *data = NULL;
	struct err err;
	bool good;
	size_t n;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!identity_aid(command->root, aid, &err))
		return problem(&err);
	if (!aid[0]) {
		err_set(&err, ERR_ENV, "this host holds no identity; make one with verimesh init");
		return problem(&err);
	}
	if (!store_open(&store, command->root, false, &err))
		return problem(&err);
	good = store_read(command->root, aid, &data, &n, &err);
	if (good && book_log(&store.book, aid)) {
		/* only what was verified just now, not a tail that a crash cut off */
		fwrite(data, 1, book_log(&store.book, aid)->stored, stdout);
		good = fflush(stdout) == 0 || err_set(&err, ERR_ENV, "standard output: %m");
	}
	free(data);
	store_close(&store);
	return good ? 0 : problem(&err);
}
