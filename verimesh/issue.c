/* issue.c: `verimesh issue` and `withdraw`: a host's card, which takes the place of its last one. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "cards.h"
#include "issue.h"
#include "paths.h"
#include "sources.h"
#include "wireguard.h"

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

const struct kel *store_own_kel(struct store *store, const char *aid, struct err *err) {
	const struct kel *kel = book_awake(&store->book, aid);

	if (!kel)
		err_set(err, ERR_ENV, PATH_STORE ": no log of %s; restore it from a backup", aid);
	return kel;
}

bool issue_may_replace(const struct cards_entry *last, int64_t now, const char *instead, struct err *err) {
	char until[TIME_TEXT];

	return !last || last->card.from <= now - ISSUE_OVERLAP ||
	       err_set(err, ERR_NO, "%.*s: changes its key; wait until %s, or %s", SPAN_ARG(last->card.host),
		       time_format(last->card.from + ISSUE_OVERLAP, until), instead);
}

/* Fills in the seal: it voids the last card of the same host, if there is one to void. */
static bool draft_seal(
	struct draft *draft, const struct book *book, const struct card_content *card, struct err *err) {
	const struct kel *kel = book_kel(book, card->issuer);
	const struct cards_entry *last;
	struct cards_entry *entries = NULL;
	bool good = true;
	size_t n = 0;

	if (kel && !cards_list(book, kel, &entries, &n, err))
		return false;
	last = cards_last(entries, n, span_str(card->host));
	if (last && last->voided)
		last = NULL;
	if (!card->key && !(last && last->card.has_key))
		good = err_set(err, ERR_NO, "%s: has no card to withdraw", card->host);
	else if (card->key && !issue_may_replace(last, card->issued, "withdraw it", err))
		good = false;
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
	if (!card_write(&card, &draft->body, &draft->n, err))
		return false;
	if (card_check_said(span_of(draft->body, draft->n), draft->said, err) &&
		draft_seal(draft, book, &card, err))
		return true;
	free(draft->body);
	return false;
}

bool issue_own_keys(const struct policy *policy, const uint8_t seed[static SEED_BYTES],
	uint8_t key[static WG_KEY_BYTES], char journal[static CESR_TEXT], struct err *err) {
	uint8_t secret[WG_KEY_BYTES];

	derive_journal(seed, policy->host, journal);
	if (policy->adopt)
		return wireguard_public(policy->interface, key, err);
	derive_tunnel(seed, policy->host, secret);
	tunnel_public(secret, key);
	sodium_memzero(secret, sizeof secret);
	return true;
}

static bool settle_keys(const struct policy *policy, const struct identity *identity,
	struct options *options, struct err *err) {
	struct card_content *card = &options->card;

	if (strcmp(card->host, policy->host) != 0)
		return card->key ||
		       err_set(err, ERR_USAGE,
			       "%s: is not this host (Host in verimesh.conf); give its --key", card->host);
	if (card->key)
		return options_own_key(err);
	if (!issue_own_keys(policy, identity->seed, options->key, options->journal, err))
		return false;
	card->key = options->key;
	if (!card->journal)
		card->journal = options->journal;
	return true;
}

bool issue_identity(struct store *store, struct identity *identity, struct err *err) {
	const struct kel *kel;

	return identity_need(store->root, identity->aid, err) &&
	       (kel = store_own_kel(store, identity->aid, err)) && identity_settle(store->root, kel, err) &&
	       identity_load(store->root, identity, err);
}

bool issue_event(struct store *store, const struct identity *identity, struct span event, struct span cards,
	struct err *err) {
	return identity_note(store->root, identity, err) && book_own(&store->book, event.p, event.n, err) &&
	       (!cards.n || book_own(&store->book, cards.p, cards.n, err)) && store_commit(store, err);
}

bool issue_sealed(struct store *store, struct identity *identity, const char *seals, struct span cards,
	struct err *err) {
	const struct kel *kel = store_own_kel(store, identity->aid, err);
	char *event;
	bool good;
	size_t n;

	if (!kel || !identity_seal(identity, kel, seals, &event, &n, err))
		return false;
	good = issue_event(store, identity, span_of(event, n), cards, err);
	free(event);
	return good;
}

bool issue_card(struct store *store, const struct policy *policy, struct identity *identity,
	struct options *options, char said[static CESR_TEXT], struct err *err) {
	struct draft draft;
	bool good;

	if (!store_own_kel(store, identity->aid, err) ||
		(policy && !settle_keys(policy, identity, options, err)) ||
		!draft_make(&draft, &store->book, identity->aid, &options->card, err))
		return false;
	memcpy(said, draft.said, CESR_TEXT);
	good = issue_sealed(store, identity, draft.seal, span_of(draft.body, draft.n), err);
	free(draft.body);
	return good;
}

/* In the open store. */
static bool seal_card(struct store *store, const struct policy *policy, struct identity *identity,
	struct options *options, struct err *err) {
	const char *label = options->card.host;
	char said[CESR_TEXT];
	bool good = issue_identity(store, identity, err) &&
		    issue_card(store, policy, identity, options, said, err);

	if (good && policy && !policy->adopt && strcmp(label, policy->host) == 0)
		good = identity_write_tunnel(store->root, PATH_IDENTITY, identity, label, err);
	if (good)
		printf("%s: %s %s\n"
		       "verimesh sync makes it known on this host, verimesh export to others.\n",
			label, policy ? "card" : "withdrawn by card", said);
	return good;
}

/* In this host's own log. Sources and persons are asked before others have to wait. */
static bool issue_own(const char *root, bool withdraw, struct options *options, struct err *err) {
	struct identity identity = {0};
	struct policy policy = {0};
	char aid[CESR_TEXT];
	struct store store;
	bool good, configured = policy_load(root, &policy, err);

	good = (withdraw || configured) && identity_need(root, aid, err) &&
	       (!configured || sources_agree(root, &policy, aid, UINT64_MAX, err)) &&
	       identity_unlock(root, PASSPHRASE_OLD, &identity, err) && store_open(&store, root, true, err);
	if (good) {
		good = seal_card(&store, withdraw ? NULL : &policy, &identity, options, err);
		store_close(&store);
	}
	identity_wipe(&identity);
	policy_free(&policy);
	return good;
}

/* For an organisation with its own DKMS: the card to stdout, the seal to anchor to stderr (DESIGN.md 6). */
static bool print_draft(const struct store *store, const struct options *options, struct err *err) {
	struct draft draft;

	/* a log that cannot be read may have a card that must be voided */
	if (!book_kel(&store->book, options->aid) && store->damage.text[0]) {
		*err = store->damage;
		return false;
	}
	if (!draft_make(&draft, &store->book, options->aid, &options->card, err))
		return false;
	fwrite(draft.body, 1, draft.n, stdout);
	fprintf(stderr, "%s\n", draft.seal);
	free(draft.body);
	return true;
}

/* For another log than this host's own. */
static bool draft(const char *root, const struct options *options, struct err *err) {
	struct store store;
	bool good;

	if (!store_open(&store, root, false, err))
		return false;
	good = print_draft(&store, options, err);
	store_close(&store);
	return good;
}

static int issue(const struct command *command, enum options_verb verb) {
	struct options options;
	int status = options_read(&options, command, verb);
	struct err err;
	bool good;

	if (status != 0)
		return status;
	good = options.aid ? draft(command->root, &options, &err)
			   : issue_own(command->root, verb == FOR_WITHDRAW, &options, &err);
	options_free(&options);
	return good ? 0 : problem(&err);
}

int verb_issue(const struct command *command) {
	return issue(command, FOR_ISSUE);
}

int verb_withdraw(const struct command *command) {
	return issue(command, FOR_WITHDRAW);
}
