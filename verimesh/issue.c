/* issue.c: `verimesh issue`: issues a host's card, or replaces it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cards.h"
#include "issue.h"
#include "paths.h"
#include "wireguard.h"

#define OVERLAP INT64_C(3600000000) /* microseconds past `from` (DESIGN.md 8) */

/* A card, and the seal that is to anchor it. */
struct draft {
	uint8_t *body; /* malloc'd */
	size_t n;
	char said[CESR_TEXT];
	char seal[128];
};

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

/* Fills in the seal: it voids the last card of the same host, if there is one to void. */
static bool draft_seal(
	struct draft *draft, const struct book *book, const struct card_content *card, struct err *err) {
	const struct kel *kel = book_kel(book, card->issuer);
	const struct cards_entry *last = NULL;
	struct cards_entry *entries = NULL;
	char until[TIME_TEXT];
	bool good = true;
	size_t n;

	if (kel && !cards_list(book, kel, &entries, &n, err))
		return false;
	if (kel)
		last = cards_last(entries, n, span_str(card->host));
	if (last && last->voided)
		last = NULL;
	if (!card->key && !(last && last->card.has_key))
		good = err_set(err, ERR_NO, "%s: has no card to withdraw", card->host);
	else if (card->key && last && last->card.from > card->issued - OVERLAP)
		good = err_set(err, ERR_NO, "%s: changes its key; wait until %s, or withdraw it", card->host,
			time_format(last->card.from + OVERLAP, until));
	else if (last)
		snprintf(draft->seal, sizeof draft->seal, "{\"i\":\"%.44s\",\"s\":\"1\",\"d\":\"%s\"}",
			(const char *)last->card.said.p, draft->said);
	else
		snprintf(draft->seal, sizeof draft->seal, "{\"d\":\"%s\"}", draft->said);
	free(entries);
	return good;
}

/* On failure there is nothing to free. */
static bool draft_make(struct draft *draft, const struct book *book, const char *issuer,
	const struct card_content *content, struct err *err) {
	struct card_content card = *content;

	card.issuer = issuer;
	card.issued = now_micros();
	if (!card_write(&card, &draft->body, &draft->n, err)) {
		/* each option was looked at: there are too many of one */
		if (err->status == ERR_NO)
			err->status = ERR_USAGE;
		return err_at(err, "card of %s", card.host);
	}
	if (card_check_said(span_of(draft->body, draft->n), draft->said, err) &&
		draft_seal(draft, book, &card, err))
		return true;
	free(draft->body);
	return false;
}

bool issue_card(struct store *store, const struct identity *identity, const struct card_content *card,
	char said[static CESR_TEXT], struct err *err) {
	const struct kel *kel = store_own_kel(store, identity->aid, err);
	struct draft draft;
	char *event;
	bool good;
	size_t n;

	if (!kel || !draft_make(&draft, &store->book, identity->aid, card, err))
		return false;
	memcpy(said, draft.said, CESR_TEXT);
	good = identity_seal(identity, kel, draft.seal, &event, &n, err);
	if (good) {
		good = book_own(&store->book, event, n, err) &&
		       book_own(&store->book, draft.body, draft.n, err);
		free(event);
	}
	free(draft.body);
	return good;
}

/* For an organisation with its own DKMS: the card to stdout, the seal to anchor to stderr (DESIGN.md 6). */
static bool print_draft(const char *root, const struct options *options, struct err *err) {
	struct draft draft;
	struct store store;
	bool good;

	if (!store_open(&store, root, false, err))
		return false;
	/* a log that cannot be read may have a card that must be voided */
	good = book_kel(&store.book, options->aid) || !store.damage.text[0];
	if (!good)
		*err = store.damage;
	good = good && draft_make(&draft, &store.book, options->aid, &options->card, err);
	store_close(&store);
	if (!good)
		return false;
	fwrite(draft.body, 1, draft.n, stdout);
	fprintf(stderr, "%s\n", draft.seal);
	free(draft.body);
	return true;
}

int issue_verb(const struct command *command, enum options_verb verb, issue_work *work, const char *done) {
	struct options options;
	int status = options_read(&options, command, verb);
	char said[CESR_TEXT];
	struct err err;

	if (status != 0)
		return status;
	if (options.aid ? !print_draft(command->root, &options, &err)
			: !work(command->root, &options, said, &err))
		status = problem(&err);
	else if (!options.aid)
		printf("%s: %s %s\n"
		       "verimesh sync makes it known on this host, verimesh export to others.\n",
			options.label, done, said);
	options_free(&options);
	return status;
}

bool issue_own_keys(const struct policy *policy, const struct identity *identity, struct options *options,
	struct err *err) {
	uint8_t secret[WG_KEY_BYTES];

	if (policy->adopt) {
		if (!wireguard_public(policy->interface, options->key, err))
			return false;
	} else {
		derive_tunnel(identity->seed, options->label, secret);
		tunnel_public(secret, options->key);
		sodium_memzero(secret, sizeof secret);
	}
	options->card.key = options->key;
	if (!options->card.journal) {
		derive_journal(identity->seed, options->label, options->journal);
		options->card.journal = options->journal;
	}
	return true;
}

/* As the card in the store names it: after store_commit. */
static bool write_secret(
	const char *root, const struct identity *identity, const char *label, struct err *err) {
	uint8_t secret[WG_KEY_BYTES];
	bool good;

	derive_tunnel(identity->seed, label, secret);
	good = tunnel_secret_write(root, false, secret, err);
	sodium_memzero(secret, sizeof secret);
	return good;
}

static bool issue_sealed(const char *root, const struct policy *policy, struct options *options,
	char said[static CESR_TEXT], struct err *err) {
	const char *label = options->label;
	bool own = strcmp(label, policy->host) == 0;
	struct identity identity;
	struct store store;
	bool good;

	if (own && options->card.key)
		return options_own_key(err);
	if (!store_open(&store, root, true, err))
		return false;
	good = identity_load(root, &identity, err) &&
	       (!own || issue_own_keys(policy, &identity, options, err)) &&
	       (options->card.key ||
		       err_set(err, ERR_USAGE,
			       "%s: is not this host (Host in verimesh.conf); give its --key", label)) &&
	       issue_card(&store, &identity, &options->card, said, err) && store_commit(&store, err) &&
	       (!own || policy->adopt || write_secret(root, &identity, label, err));
	identity_wipe(&identity);
	store_close(&store);
	return good;
}

static bool issue(const char *root, struct options *options, char said[static CESR_TEXT], struct err *err) {
	struct policy policy;
	bool good;

	if (!policy_load(root, &policy, err))
		return false;
	good = issue_sealed(root, &policy, options, said, err);
	policy_free(&policy);
	return good;
}

int verb_issue(const struct command *command) {
	return issue_verb(command, FOR_ISSUE, issue, "card");
}
