/* cards.c: which cards of an issuer count; see cards.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "cards.h"
#include "event.h"

static bool registry_sealed(const struct book *book, const struct kel *kel, struct span registry)
{
	for (size_t i = 0; i < kel->nseals; i++) {
		const struct seal *seal = &kel->seals[i];
		const struct book_body *body;
		struct event vcp;

		if (seal->sn == 0 || seal->kind != SEAL_EVENT || seal->s != 0 ||
			!span_is(registry, seal->i))
			continue;
		body = book_body(book, seal->d);
		if (body && !body->acdc && event_parse(span_of(body->bytes, body->n), &vcp, NULL) &&
			vcp.ilk == EVENT_VCP && vcp.sn == 0 && span_eq(vcp.aid, registry) &&
			span_is(vcp.delegator, kel->aid))
			return true;
	}
	return false;
}

/* The SAID of the card that a seal anchors, if it is one that can: {d}, {i,s:"1",d}, or the
 * issuance {i,s:"0",d} of a registry that is sealed too; registry is then filled. */
static const char *anchored_said(const struct book *book, const struct kel *kel,
	const struct seal *seal, struct span *registry)
{
	const struct book_body *body;
	struct event iss;

	*registry = span_of(NULL, 0);
	if (seal->sn == 0)
		return NULL; /* an inception anchors nothing */
	if (seal->kind == SEAL_DIGEST || seal->s == 1)
		return seal->d;
	body = seal->s == 0 ? book_body(book, seal->d) : NULL;
	if (!body || body->acdc || !event_parse(span_of(body->bytes, body->n), &iss, NULL) ||
		iss.ilk != EVENT_ISS || iss.sn != 0 || !span_is(iss.aid, seal->i) ||
		!registry_sealed(book, kel, iss.registry))
		return NULL;
	*registry = iss.registry;
	return seal->i;
}

static bool anchors(
	const struct book *book, const struct kel *kel, size_t place, struct cards_entry *entry)
{
	struct span registry;
	const char *said = anchored_said(book, kel, &kel->seals[place], &registry);
	const struct book_body *body = said ? book_body(book, said) : NULL;

	*entry = (struct cards_entry){.place = place};
	return body && body->acdc &&
	       card_parse(span_of(body->bytes, body->n), &entry->card, NULL) &&
	       span_is(entry->card.issuer, kel->aid) && span_eq(entry->card.registry, registry);
}

static int compare_spans(struct span a, struct span b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_places(const struct cards_entry *a, const struct cards_entry *b)
{
	return (a->place > b->place) - (a->place < b->place);
}

static int by_said(const void *a, const void *b)
{
	const struct cards_entry *x = a, *y = b;
	int order = compare_spans(x->card.said, y->card.said);

	return order ? order : compare_places(x, y);
}

static int by_said_only(const void *a, const void *b)
{
	const struct cards_entry *x = a, *y = b;

	return compare_spans(x->card.said, y->card.said);
}

static int by_host(const void *a, const void *b)
{
	const struct cards_entry *x = a, *y = b;
	int order = compare_spans(x->card.host, y->card.host);

	return order ? order : compare_places(x, y);
}

/* A card sealed twice has its first place. entries are sorted by SAID; returns how many are left.
 */
static size_t drop_repeated(struct cards_entry *entries, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || !span_eq(entries[kept - 1].card.said, entries[i].card.said))
			entries[kept++] = entries[i];
	return kept;
}

/* A seal {i,s,d} whose i is a card and whose s is not "0" voids that card, wherever it stands. */
static void mark_voided(const struct kel *kel, struct cards_entry *entries, size_t n)
{
	for (size_t i = 0; i < kel->nseals; i++) {
		const struct seal *seal = &kel->seals[i];
		struct cards_entry key = {.card.said = span_str(seal->i)}, *entry;

		if (seal->sn == 0 || seal->kind != SEAL_EVENT || seal->s == 0)
			continue;
		entry = bsearch(&key, entries, n, sizeof *entries, by_said_only);
		if (entry)
			entry->voided = true;
	}
}

bool cards_list(const struct book *book, const struct kel *kel, struct cards_entry **entries,
	size_t *n, struct err *err)
{
	struct cards_entry *list = calloc(kel->nseals + 1, sizeof *list);
	size_t count = 0;

	if (!list)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < kel->nseals; i++)
		if (anchors(book, kel, i, &list[count]))
			count++;
	qsort(list, count, sizeof *list, by_said);
	count = drop_repeated(list, count);
	mark_voided(kel, list, count);
	qsort(list, count, sizeof *list, by_host);
	for (size_t i = 0; i < count; i++)
		list[i].last = i + 1 == count || !span_eq(list[i].card.host, list[i + 1].card.host);
	*entries = list;
	*n = count;
	return true;
}

const struct cards_entry *cards_last(const struct cards_entry *entries, size_t n, struct span host)
{
	for (size_t i = 0; i < n; i++)
		if (entries[i].last && span_eq(entries[i].card.host, host))
			return &entries[i];
	return NULL;
}
