/* issue.c: `verimesh issue`: issues a host's card, or replaces it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cards.h"
#include "issue.h"
#include "paths.h"
#include "policy.h"
#include "verimesh.h"

int64_t now_micros(void) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note_own_verdict(void *ctx, const struct verdict *verdict) {
	struct err *err = ctx;

	err_set(err, ERR_ENV, "own event %s sn %llu: %s", verdict->aid, (unsigned long long)verdict->sn,
		verdict->reason);
}

bool book_own(struct book *book, const void *bytes, size_t n, struct err *err) {
	bool good;

	book->report = note_own_verdict;
	book->ctx = err;
	book_read(book, span_of(bytes, n));
	good = book_finish(book);
	book->report = NULL;
	return good;
}

const struct kel *store_own_kel(const struct store *store, const char *aid, struct err *err) {
	const struct kel *kel = book_kel(&store->book, aid);

	if (!kel)
		err_set(err, ERR_ENV, PATH_STORE ": no log of %s; restore it from a backup", aid);
	return kel;
}

/* said gets the last card of the host; "" when there is none to void. */
static bool find_replaced(const struct book *book, const struct kel *kel, const char *label,
	char said[static CESR_TEXT], struct err *err) {
	const struct cards_entry *last;
	struct cards_entry *entries;
	size_t n;

	said[0] = 0;
	if (!cards_list(book, kel, &entries, &n, err))
		return false;
	last = cards_last(entries, n, span_str(label));
	if (last && !last->voided)
		span_copy(last->card.said, said, CESR_TEXT);
	free(entries);
	return true;
}

static bool seal_card(struct store *store, const struct identity *identity, const char *label,
	struct span card, char said[static CESR_TEXT], struct err *err) {
	const struct kel *kel = store_own_kel(store, identity->aid, err);
	char replaced[CESR_TEXT], *event;
	bool good;
	size_t n;

	if (!kel || !card_check_said(card, said, err) ||
		!find_replaced(&store->book, kel, label, replaced, err) ||
		!identity_seal(identity, kel, said, replaced[0] ? replaced : NULL, &event, &n, err))
		return false;
	good = book_own(&store->book, event, n, err) && book_own(&store->book, card.p, card.n, err);
	free(event);
	return good;
}

bool issue_card(struct store *store, const struct identity *identity, struct options *options, bool own,
	char said[static CESR_TEXT], struct err *err) {
	struct card_content *card = &options->card;
	uint8_t secret[WG_KEY_BYTES], *body;
	bool good;
	size_t n;

	if (own) {
		derive_tunnel(identity->seed, options->label, secret);
		tunnel_public(secret, options->key);
		sodium_memzero(secret, sizeof secret);
		card->key = options->key;
	}
	if (own && !card->journal) {
		derive_journal(identity->seed, options->label, options->journal);
		card->journal = options->journal;
	}
	if (!card->key)
		return err_set(err, ERR_USAGE,
			"%s: is not this host (Host in verimesh.conf); give its --key", options->label);
	card->issuer = identity->aid;
	card->issued = now_micros();
	if (!card_write(card, &body, &n, err)) {
		/* each option was looked at: there are too many of one */
		if (err->status == ERR_NO)
			err->status = ERR_USAGE;
		return err_at(err, "card of %s", options->label);
	}
	good = seal_card(store, identity, options->label, span_of(body, n), said, err);
	free(body);
	return good;
}

bool write_own_secret(
	const char *root, const struct identity *identity, const char *label, struct err *err) {
	uint8_t secret[WG_KEY_BYTES];
	bool good;

	derive_tunnel(identity->seed, label, secret);
	good = tunnel_secret_write(root, false, secret, err);
	sodium_memzero(secret, sizeof secret);
	return good;
}

int verb_issue(const struct command *command) {
	struct identity identity = {0};
	struct policy policy = {0};
	struct options options;
	struct store store;
	char said[CESR_TEXT];
	struct err err;
	bool good, own;

	if (!options_read(&options, command->args, command->nargs, false, now_micros(), &err))
		return err.status == ERR_USAGE ? usage(command, err.text) : problem(&err);
	good = policy_load(command->root, &policy, &err);
	own = good && strcmp(options.label, policy.host) == 0;
	if (own && options.card.key)
		good = options_own_key(&err);
	good = good && store_open(&store, command->root, true, &err);
	if (good) {
		good = identity_load(command->root, &identity, &err) &&
		       issue_card(&store, &identity, &options, own, said, &err) &&
		       store_commit(&store, &err) &&
		       (!own || write_own_secret(command->root, &identity, options.label, &err));
		store_close(&store);
	}
	identity_wipe(&identity);
	policy_free(&policy);
	if (good)
		printf("%s: card %s\nverimesh sync makes it known on this host, verimesh export to "
		       "others.\n",
			options.label, said);
	options_free(&options);
	return good ? 0 : problem(&err);
}
