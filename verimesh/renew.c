/* renew.c: own cards that end are issued again; see renew.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "cards.h"
#include "event.h"
#include "issue.h"
#include "renew.h"
#include "sources.h"
#include "verimesh.h"

/* What a renewal is made of: the cards, one behind the other, and the seals of its event. */
struct renewal {
	uint8_t *cards, *seals;
	size_t ncards, nseals;
};

/* From when on the card is due, in microseconds. */
static int64_t due(const struct cards_entry *entry) {
	const struct card *card = &entry->card;
	int64_t half = card->issued + (card->until - card->issued) / 2;

	if (!entry->last || entry->voided || !card->has_key || card->registry.n || card->until == NEVER ||
		card->until <= card->issued)
		return NEVER;
	return half > card->from + ISSUE_OVERLAP ? half : card->from + ISSUE_OVERLAP;
}

/* Writes over the value of the first field of this name. */
static void put(uint8_t *body, size_t n, const char *name, const char *value) {
	uint8_t *field = memmem(body, n, name, strlen(name));

	memcpy(field + strlen(name), value, strlen(value));
}

/* The same card, issued now: SAIDs have one length, times too, and before these fields no text is free. */
static bool reissue(uint8_t *body, const struct card *old, int64_t now, struct card *card, struct err *err) {
	size_t n = old->body.n;
	char text[TIME_TEXT];

	memcpy(body, old->body.p, n);
	put(body, n, "\"dt\":\"", time_format(now, text));
	put(body, n, "\"until\":\"", time_format(now + old->until - old->issued, text));
	put(body, n, "\"d\":\"", EVENT_BLANK_SAID);
	event_fill((char *)body, n);
	return card_parse(span_of(body, n), card, err);
}

static bool add(struct renewal *renewal, const struct card *old, int64_t now, struct err *err) {
	uint8_t *body = malloc(old->body.n);
	struct card card;
	char seal[128];
	bool good;
	int n;

	if (!body)
		return err_set(err, ERR_ENV, "out of memory");
	good = reissue(body, old, now, &card, err) || err_at(err, "%.*s", SPAN_ARG(old->host));
	if (good) {
		n = snprintf(seal, sizeof seal, "%s{\"i\":\"%.44s\",\"s\":\"1\",\"d\":\"%.44s\"}",
			renewal->nseals ? "," : "", (const char *)old->said.p, (const char *)card.said.p);
		good = (array_bytes(&renewal->seals, &renewal->nseals, seal, (size_t)n) &&
			       array_bytes(&renewal->cards, &renewal->ncards, body, old->body.n)) ||
		       err_set(err, ERR_ENV, "out of memory");
	}
	free(body);
	return good;
}

/* Those that are due by now. One that cannot be issued again is told, left out, and stops no other. */
static bool add_due(struct renewal *renewal, struct cards_entry *entries, size_t n, int64_t now,
	int64_t *next, struct err *err) {
	for (size_t i = 0; i < n; i++) {
		int64_t when = due(&entries[i]);

		if (when <= now && !add(renewal, &entries[i].card, now, err)) {
			if (err->status == ERR_ENV)
				return false;
			problem(err);
			entries[i].last = false;
		}
		if (when > now && when / 1000000 < *next)
			*next = when / 1000000 + 1;
	}
	return !renewal->nseals || array_bytes(&renewal->seals, &renewal->nseals, "", 1) ||
	       err_set(err, ERR_ENV, "out of memory");
}

static bool seal(struct store *store, const struct policy *policy, const struct kel *kel,
	const struct renewal *renewal, struct err *err) {
	struct identity identity = {0};
	bool good = sources_agree(store->root, policy, kel->aid, UINT64_MAX, err) &&
		    identity_unlock(store->root, PASSPHRASE_CREDENTIAL, &identity, err) &&
		    issue_identity(store, &identity, err) &&
		    issue_sealed(store, &identity, (const char *)renewal->seals,
			    span_of(renewal->cards, renewal->ncards), err);

	identity_wipe(&identity);
	return good;
}

static bool renew(
	struct store *store, const struct policy *policy, const char *aid, int64_t *next, struct err *err) {
	const struct kel *kel = store_own_kel(store, aid, err);
	struct renewal renewal = {0};
	struct cards_entry *entries;
	int64_t now = now_micros();
	bool good;
	size_t n;

	/* a rotation that was cut off is settled by who comes first */
	if (!kel || !identity_settle(store->root, kel, err) ||
		!cards_list(&store->book, kel, &entries, &n, err))
		return false;
	good = add_due(&renewal, entries, n, now, next, err) &&
	       (!renewal.nseals || seal(store, policy, kel, &renewal, err));
	for (size_t i = 0; good && i < n; i++)
		if (due(&entries[i]) <= now)
			printf("%.*s.%s: card renewed\n", SPAN_ARG(entries[i].card.host), policy->self);
	free(renewal.cards);
	free(renewal.seals);
	free(entries);
	return good;
}

bool renew_cards(const char *root, int64_t *next, struct err *err) {
	struct policy policy;
	struct store store;
	char aid[CESR_TEXT];
	bool good;

	if (!identity_aid(root, aid, err))
		return false;
	if (!aid[0])
		return true;
	if (!policy_load(root, &policy, err))
		return false;
	good = policy_imply_self(&policy, aid, err) && store_open(&store, root, true, err);
	if (good) {
		good = renew(&store, &policy, aid, next, err);
		store_close(&store);
	}
	policy_free(&policy);
	return good;
}
