/* withdraw.c: `verimesh withdraw`: a card without a key takes the place of a host's last one. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "issue.h"

static bool withdraw(
	const char *root, struct options *options, char said[static CESR_TEXT], struct err *err) {
	struct identity identity;
	struct store store;
	bool good;

	if (!store_open(&store, root, true, err))
		return false;
	good = identity_load(root, &identity, err) &&
	       issue_card(&store, &identity, &options->card, said, err) && store_commit(&store, err);
	identity_wipe(&identity);
	store_close(&store);
	return good;
}

int verb_withdraw(const struct command *command) {
	return issue_verb(command, FOR_WITHDRAW, withdraw, "withdrawn by card");
}
