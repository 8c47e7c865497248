/* withdraw.c: `verimesh withdraw`: a card without a key takes the place of a host's last one. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "issue.h"

static bool withdraw(
	const char *root, struct card_content *card, char said[static CESR_TEXT], struct err *err) {
	struct identity identity;
	struct store store;
	bool good;

	if (!store_open(&store, root, true, err))
		return false;
	good = identity_load(root, &identity, err) && issue_card(&store, &identity, card, said, err) &&
	       store_commit(&store, err);
	identity_wipe(&identity);
	store_close(&store);
	return good;
}

int verb_withdraw(const struct command *command) {
	struct options options;
	int status = options_read(&options, command, FOR_WITHDRAW);
	char said[CESR_TEXT];
	struct err err;

	if (status != 0)
		return status;
	if (options.aid)
		status = issue_elsewhere(command->root, &options);
	else if (!withdraw(command->root, &options.card, said, &err))
		status = problem(&err);
	else
		printf("%s: withdrawn by card %s\n" ISSUE_NEXT, options.label, said);
	options_free(&options);
	return status;
}
