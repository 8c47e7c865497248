/* cards.c: which cards of an issuer count; see cards.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "cards.h"
#include "event.h"

/* What the cards of one issuer are read from. */
struct source {
	const struct book *book;
	const struct kel *kel;
	const char **registries; /* sealed ones, sorted; they point into the log's seals */
	size_t nregistries;
};

/* {i,s:"0",d} of a registry's inception by the issuer; never in an inception of the log. */
static bool seals_registry(const struct source *source, const struct seal *seal) {
	const struct event *vcp = book_event(source->book, seal->d);

	return vcp && seal->sn > 0 && seal->kind == SEAL_EVENT && seal->s == 0 && vcp->ilk == EVENT_VCP &&
	       span_is(vcp->aid, seal->i) && span_is(vcp->delegator, source->kel->aid);
}

static int compare_texts(const void *a, const void *b) {
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool list_registries(struct source *source) {
	const struct kel *kel = source->kel;

	source->registries = calloc(kel->nseals + 1, sizeof *source->registries);
	if (!source->registries)
		return false;
	for (size_t i = 0; i < kel->nseals; i++)
		if (seals_registry(source, &kel->seals[i]))
			source->registries[source->nregistries++] = kel->seals[i].i;
	qsort(source->registries, source->nregistries, sizeof *source->registries, compare_texts);
	return true;
}

static bool registry_sealed(const struct source *source, struct span registry) {
	char text[CESR_TEXT], *key = text;

	return span_copy(registry, text, sizeof text) &&
	       bsearch(&key, source->registries, source->nregistries, sizeof key, compare_texts);
}

/* The SAID of the card that a seal anchors, if it is one that can: {d}, {i,s:"1",d}, or the
 * issuance {i,s:"0",d} of a registry that is sealed too; registry is then filled. */
static const char *anchored_said(
	const struct source *source, const struct seal *seal, struct span *registry) {
	const struct event *iss;

	*registry = span_of(NULL, 0);
	if (seal->sn == 0)
		return NULL; /* an inception anchors nothing */
	if (seal->kind == SEAL_DIGEST || seal->s == 1)
		return seal->d;
	iss = book_event(source->book, seal->d);
	if (seal->s != 0 || !iss || iss->ilk != EVENT_ISS || !span_is(iss->aid, seal->i) ||
		!registry_sealed(source, iss->registry))
		return NULL;
	*registry = iss->registry;
	return seal->i;
}

static bool anchors(const struct source *source, size_t place, struct cards_entry *entry) {
	struct span registry;
	const char *said = anchored_said(source, &source->kel->seals[place], &registry);
	const struct card *card = said ? book_card(source->book, said) : NULL;

	if (!card || !span_is(card->issuer, source->kel->aid) || !span_eq(card->registry, registry))
		return false;
	*entry = (struct cards_entry){.card = *card, .place = place};
	return true;
}

static int compare_spans(struct span a, struct span b) {
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_places(const struct cards_entry *a, const struct cards_entry *b) {
	return (a->place > b->place) - (a->place < b->place);
}

static int by_said(const void *a, const void *b) {
	const struct cards_entry *x = a, *y = b;
	int order = compare_spans(x->card.said, y->card.said);

	return order ? order : compare_places(x, y);
}

static int by_said_only(const void *a, const void *b) {
	const struct cards_entry *x = a, *y = b;

	return compare_spans(x->card.said, y->card.said);
}

static int by_host(const void *a, const void *b) {
	const struct cards_entry *x = a, *y = b;
	int order = compare_spans(x->card.host, y->card.host);

	return order ? order : compare_places(x, y);
}

/* A card sealed twice has its first place. entries are sorted by SAID; returns how many are left.
 */
static size_t drop_repeated(struct cards_entry *entries, size_t n) {
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || !span_eq(entries[kept - 1].card.said, entries[i].card.said))
			entries[kept++] = entries[i];
	return kept;
}

/* A seal {i,s,d} whose i is a card and whose s is not "0" voids that card, wherever it stands. */
static void mark_voided(const struct kel *kel, struct cards_entry *entries, size_t n) {
	for (size_t i = 0; i < kel->nseals; i++) {
		const struct seal *seal = &kel->seals[i];
		struct cards_entry key = {.card.said = span_str(seal->i)}, *entry;

		if (seal->sn == 0 || seal->kind != SEAL_EVENT || seal->s == 0)
			continue;
		entry = bsearch(&key, entries, n, sizeof *entries, by_said_only);
		if (!entry)
			continue;
		/* of two that do not agree none lets it stay (DESIGN.md 8) */
		if (!entry->voided)
			entry->voider = i > entry->place ? seal : NULL;
		else if (entry->voider && strcmp(entry->voider->d, seal->d) != 0)
			entry->voider = NULL;
		entry->voided = true;
	}
}

/* A replaced card stays in force meanwhile only if it was in force until its successor replaced it, and that
 * brings another key from some time on (DESIGN.md 8). entries are the cards of one host. */
static void find_successor(struct cards_entry *entries, size_t n) {
	const struct cards_entry *last = &entries[n - 1];
	struct cards_entry *before;

	if (n < 2)
		return;
	before = &entries[n - 2];
	if (before->voider && before->card.has_key && !last->voided && last->card.has_key &&
		last->card.from && span_is(last->card.said, before->voider->d) &&
		memcmp(before->card.key, last->card.key, WG_KEY_BYTES) != 0)
		before->successor = last;
}

bool cards_list(const struct book *book, const struct kel *kel, struct cards_entry **entries, size_t *n,
	struct err *err) {
	struct source source = {.book = book, .kel = kel};
	struct cards_entry *list = calloc(kel->nseals + 1, sizeof *list);
	size_t count = 0;

	if (!list || !list_registries(&source)) {
		free(list);
		return err_set(err, ERR_ENV, "out of memory");
	}
	for (size_t i = 0; i < kel->nseals; i++)
		if (anchors(&source, i, &list[count]))
			count++;
	free(source.registries);
	qsort(list, count, sizeof *list, by_said);
	count = drop_repeated(list, count);
	mark_voided(kel, list, count);
	qsort(list, count, sizeof *list, by_host);
	for (size_t i = 0, first = 0; i < count; i++) {
		list[i].last = i + 1 == count || !span_eq(list[i].card.host, list[i + 1].card.host);
		if (list[i].last) {
			find_successor(list + first, i + 1 - first);
			first = i + 1;
		}
	}
	*entries = list;
	*n = count;
	return true;
}

const struct cards_entry *cards_last(const struct cards_entry *entries, size_t n, struct span host) {
	for (size_t i = 0; i < n; i++)
		if (entries[i].last && span_eq(entries[i].card.host, host))
			return &entries[i];
	return NULL;
}
