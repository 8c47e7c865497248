/* roster.c: cards and policy become hosts; conflicts are refused; see roster.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "cards.h"
#include "event.h"
#include "file.h"
#include "owners.h"
#include "roster.h"

#define CLOCK_SET 1767225600 /* 2026-01-01: no clock that is right is before it */
#define OVERLAP 3600	     /* seconds that a replaced key stays at most behind `from` (DESIGN.md 8) */

/* What is under way. */
struct builder {
	struct roster *roster;
	const struct policy *policy;
	const struct roster_sources *in;
	struct owners owners;
	struct claim *claims; /* of all hosts */
	size_t nclaims;
	struct account *account; /* the first that is not of a peer before */
	/* of the peer under way: */
	int64_t lapse; /* when it lapses, or NEVER */
};

/* An address or a route that a host may claim. */
struct claim {
	struct prefix prefix;
	bool route;
	size_t host;
};

static void count_refused(void *ctx, const struct err *claim) {
	struct builder *b = ctx;

	b->roster->refused++;
	b->in->report(b->in->ctx, claim);
}

__attribute__((format(printf, 3, 4))) static void refuse(
	struct builder *b, const struct roster_host *host, const char *fmt, ...) {
	struct err claim;
	va_list args;

	va_start(args, fmt);
	err_vset(&claim, ERR_NO, fmt, args);
	va_end(args);
	err_at(&claim, "%s.%s", host->label, host->peer->name);
	count_refused(b, &claim);
}

/* ---- who may claim what (DESIGN.md 5.3) ---- */

/* Whether a peer that is none of ours has just this prefix; that is then reported (DESIGN.md 6, Adopt). */
static bool is_foreign(struct builder *b, const struct roster_host *host, const struct prefix *prefix) {
	char text[PREFIX_TEXT];

	if (!b->in->is_foreign_prefix || !b->in->is_foreign_prefix(b->in->interface, prefix))
		return false;
	refuse(b, host,
		"claims %s, which a peer of %s has that verimesh did not add; take it from one of them",
		prefix_format(prefix, text), b->policy->interface);
	return true;
}

/* Whether a host may have an address or route; if not, the claim is reported. */
static bool may_claim(struct builder *b, const struct roster_host *host, const struct prefix *prefix) {
	const struct policy_peer *owner = owners_allowed(&b->owners, prefix);
	const struct policy_peer *derived = owners_derived(&b->owners, prefix);
	char text[PREFIX_TEXT];

	prefix_format(prefix, text);
	if (derived)
		refuse(b, host, "claims %s, which only follows from names of %s; leave it out of its card",
			text, derived->name);
	else if (!owner)
		refuse(b, host, "claims %s, which no AllowedIPs holds; add it to [Peer %s] if it is theirs",
			text, host->peer->name);
	else if (owner != host->peer)
		refuse(b, host, "claims %s, which AllowedIPs give to %s; narrow those or the card", text,
			owner->name);
	else
		return !is_foreign(b, host, prefix);
	return false;
}

static bool in_mesh(const struct builder *b, const struct addr *addr) {
	struct prefix host = prefix_host(addr);

	return owners_allowed(&b->owners, &host) || owners_derived(&b->owners, &host);
}

/* ---- one host ---- */

static bool is_self(const struct policy *policy, const struct policy_peer *peer, struct span label) {
	return strcmp(peer->name, policy->self) == 0 && span_is(label, policy->host);
}

static bool add_claim(struct builder *b, const struct roster_host *host, struct prefix prefix, bool route) {
	const struct claim claim = {prefix, route, b->roster->nhosts - 1};

	if (!may_claim(b, host, &prefix))
		return true;
	return array_append(&b->claims, &b->nclaims, &claim, sizeof claim);
}

/* The derived address is the host's own; for the others it may have rivals. */
static bool read_claims(struct builder *b, struct roster_host *host, const struct card *card) {
	struct span addrs = card->addrs, routes = card->routes, text;
	bool good = true;
	struct prefix prefix;
	struct addr addr;

	host->addrs = calloc(event_count_texts(addrs) + 1, sizeof *host->addrs);
	host->routes = calloc(event_count_texts(routes) + 1, sizeof *host->routes);
	if (!host->addrs || !host->routes)
		return false;
	host->addrs[0] = derived_addr(host->peer->aid, card->host);
	prefix = prefix_host(&host->addrs[0]);
	if (is_foreign(b, host, &prefix))
		return true; /* without addresses it is taken out */
	host->naddrs = 1;
	while (good && event_next_text(&addrs, &text))
		good = !addr_parse_canonical(text, &addr) || addr_eq(&addr, &host->addrs[0]) ||
		       add_claim(b, host, prefix_host(&addr), false);
	while (good && event_next_text(&routes, &text))
		good = !prefix_parse(text, &prefix) || add_claim(b, host, prefix, true);
	return good;
}

/* A login that the card names again counts once. */
static bool is_listed(const struct roster_host *host, const char *login) {
	for (size_t i = 0; i < host->nlogins; i++)
		if (strcmp(host->logins[i].login, login) == 0)
			return true;
	return false;
}

static bool read_logins(struct builder *b, struct roster_host *host, const struct card *card) {
	struct span logins = card->logins, text;

	host->loginkeys = card->loginkeys;
	host->logins = calloc(event_count_texts(logins) + 1, sizeof *host->logins);
	if (!host->logins)
		return false;
	while (event_next_text(&logins, &text)) {
		const struct policy_login *rule = policy_login(host->peer, text);
		struct roster_login *login = &host->logins[host->nlogins];

		if (!rule || is_listed(host, rule->login))
			continue;
		if (host->peer->accounts && !rule->written &&
			!accounts_find(b->roster->accounts, b->roster->naccounts, rule))
			continue;
		if (rule->root) {
			refuse(b, host, "login %s would be uid 0; write %s=%s if that is meant", rule->login,
				rule->login, rule->account);
			continue;
		}
		memcpy(login->login, rule->login, sizeof login->login);
		memcpy(login->account, rule->account, sizeof login->account);
		host->nlogins++;
	}
	return true;
}

/* The card's endpoint; none (family 0) when it lies in the mesh. */
static void read_endpoint(struct builder *b, const struct roster_host *host, const struct card *card,
	struct addr *endpoint, uint16_t *port) {
	char text[ADDR_TEXT];

	*endpoint = (struct addr){0};
	if (!card->endpoint.p || !endpoint_parse(card->endpoint, endpoint, port))
		return;
	if (in_mesh(b, endpoint)) {
		refuse(b, host, "endpoint %s lies in the mesh itself; issue its card with one outside",
			addr_format(endpoint, text));
		*endpoint = (struct addr){0};
	}
}

static int64_t seconds(int64_t micros) {
	return micros == NEVER ? NEVER : micros / 1000000;
}

static int64_t earlier(int64_t a, int64_t b) {
	return a < b ? a : b;
}

/* The host of a card; before: the one that it replaced in step, or NULL. */
static bool add_host(struct builder *b, const struct policy_peer *peer, const struct kel *kel,
	const struct cards_entry *entry, const struct cards_entry *before) {
	const struct card *card = &entry->card;
	const struct cards_entry *next = entry->successor;
	struct roster_host *host, new = {.peer = peer, .sn = kel->count - 1, .place = entry->place};

	if (!array_append(&b->roster->hosts, &b->roster->nhosts, &new, sizeof new))
		return false;
	host = &b->roster->hosts[b->roster->nhosts - 1];
	host->expires = seconds(card->until);
	memcpy(host->key, card->key, sizeof host->key);
	span_copy(card->host, host->label, sizeof host->label);
	span_copy(card->said, host->said, sizeof host->said);
	host->self = is_self(b->policy, peer, card->host);
	read_endpoint(b, host, card, &host->endpoint, &host->endpoint_port);
	if (before)
		wg_key_encode(before->card.key, host->before);
	if (next) {
		host->next.from = seconds(next->card.from);
		memcpy(host->next.key, next->card.key, sizeof host->next.key);
		read_endpoint(b, host, &next->card, &host->next.endpoint, &host->next.endpoint_port);
		span_copy(next->card.said, host->next.said, sizeof host->next.said);
		host->next.place = next->place;
		host->expires = earlier(host->expires, host->next.from + OVERLAP);
		host->expires = earlier(host->expires, seconds(next->card.until));
	}
	if (!host->self) {
		host->expires = earlier(host->expires, b->lapse);
		host->lapsed = b->lapse <= b->in->now;
	}
	return read_claims(b, host, card) && read_logins(b, host, card);
}

/* Whether there was a handshake with this key: remembered, because an interface that is made anew forgets.
 */
static bool was_met(struct builder *b, const char *aid, const uint8_t key[static WG_KEY_BYTES]) {
	char text[WG_KEY_TEXT];
	uint64_t when;

	wg_key_encode(key, text);
	if (ledger_find(b->in->ledger, LEDGER_MET, aid, text, &when))
		return true;
	if (!b->in->had_handshake || !b->in->had_handshake(b->in->interface, key))
		return false;
	ledger_put(b->in->ledger, LEDGER_MET, aid, text, (uint64_t)b->in->now);
	return true;
}

/* Whether a replaced card stays in force: until the new key's first handshake, an hour past `from` at most,
 * and past `from` only if its key was ever here; this very host swaps at `from` (DESIGN.md 8). */
static bool stays(struct builder *b, const struct policy_peer *peer, const struct cards_entry *entry) {
	const struct card *next = &entry->successor->card;
	int64_t from = seconds(next->from);

	if (seconds(entry->card.until) <= b->in->now)
		return false;
	if (is_self(b->policy, peer, next->host))
		return b->in->now < from;
	if (b->in->now >= from && !(b->in->has_peer && b->in->has_peer(b->in->interface, entry->card.key)))
		return false;
	return b->in->now < from + OVERLAP && !was_met(b, peer->aid, next->key);
}

/* When a peer lapses (DESIGN.md 5.5). One of whom no answer is known starts now, and so does one that
 * answered in times to come: the clock was set back. */
static int64_t find_lapse(struct builder *b, const struct policy_peer *peer) {
	const uint64_t now = (uint64_t)b->in->now;
	uint64_t answered;

	if (peer->nsources == 0 || (b->in->own_aid && strcmp(peer->aid, b->in->own_aid) == 0))
		return NEVER;
	if (!ledger_find(b->in->ledger, LEDGER_ANSWERED, peer->aid, "-", &answered) || answered > now) {
		/* not while the clock was not set since the start */
		if (now >= CLOCK_SET)
			ledger_put(b->in->ledger, LEDGER_ANSWERED, peer->aid, "-", now);
		answered = now;
	}
	return (int64_t)answered + b->policy->max_age;
}

/* Settles when the peer under way lapses, and with it its accounts. */
static void settle_lapse(struct builder *b, const struct policy_peer *peer) {
	const struct account *end = b->roster->accounts + b->roster->naccounts;
	char text[TIME_TEXT];
	struct err err;

	b->lapse = find_lapse(b, peer);
	for (; b->account < end && b->account->peer == peer; b->account++)
		b->account->expires = b->lapse;
	if (b->lapse > b->in->now)
		return;
	err_set(&err, ERR_NO,
		"%s: lapsed at %.19sZ, MaxAge after a Source answered; see that one does, then verimesh "
		"fetch %s",
		peer->name, time_format(b->lapse * 1000000, text), peer->name);
	count_refused(b, &err);
}

static bool add_peer(struct builder *b, const struct policy_peer *peer, struct err *err) {
	const struct kel *kel = book_kel(b->in->book, peer->aid);
	struct cards_entry *entries;
	bool good = true;
	size_t n;

	if (!kel)
		return true;
	settle_lapse(b, peer);
	if (!cards_list(b->in->book, kel, &entries, &n, err))
		return false;
	for (size_t i = 0; good && i < n; i++) {
		const struct cards_entry *last = &entries[i];
		const struct cards_entry *before = i && entries[i - 1].successor ? &entries[i - 1] : NULL;

		if (!last->last || last->voided || !last->card.has_key ||
			seconds(last->card.until) <= b->in->now)
			continue;
		if (before && stays(b, peer, before))
			good = add_host(b, peer, kel, before, NULL);
		else
			good = add_host(b, peer, kel, last, before);
		if (!good)
			err_set(err, ERR_ENV, "out of memory");
	}
	free(entries);
	return good;
}

/* ---- what two hosts claim ---- */

/* A tunnel key that is claimed. */
struct rival {
	uint8_t key[WG_KEY_BYTES];
	struct roster_host *host;
	bool next;    /* the key that it is going to have */
	size_t place; /* of the card that claims it */
	int64_t seen;
};

/* By key; this very host before all, the own organisation, then by section; within one peer who has it
 * before who is going to have it, then the later anchored card (DESIGN.md 5.3). */
static int compare_rivals(const void *a, const void *b, void *ctx) {
	const struct rival *x = a, *y = b;
	const struct roster_host *p = x->host, *q = y->host;
	const struct policy *policy = ctx;
	bool own_p = strcmp(p->peer->name, policy->self) == 0,
	     own_q = strcmp(q->peer->name, policy->self) == 0;
	int order = memcmp(x->key, y->key, sizeof x->key);

	if (!order)
		order = q->self - p->self;
	if (!order)
		order = own_q - own_p;
	if (!order)
		order = (p->peer > q->peer) - (p->peer < q->peer);
	if (!order)
		order = x->next - y->next;
	return order ? order : (x->place < y->place) - (x->place > y->place);
}

static struct rival make_rival(const struct builder *b, struct roster_host *host, bool next) {
	struct rival rival = {.host = host, .next = next, .place = next ? host->next.place : host->place};
	char text[WG_KEY_TEXT];
	uint64_t seen;

	memcpy(rival.key, next ? host->next.key : host->key, WG_KEY_BYTES);
	wg_key_encode(rival.key, text);
	rival.seen = b->in->now;
	if (ledger_find(b->in->ledger, LEDGER_KEY, host->peer->aid, text, &seen))
		rival.seen = (int64_t)seen;
	return rival;
}

/* A host without addresses is one that drop_refused takes out. */
static void refuse_key(struct builder *b, const struct rival *rival, const char *owner, const char *mend) {
	char key[WG_KEY_TEXT];

	wg_key_encode(rival->key, key);
	refuse(b, rival->host, "claims tunnel key %s, which is %s; %s", key, owner, mend);
	if (rival->next)
		rival->host->next = (struct roster_next){0};
	else
		rival->host->naddrs = 0;
}

/* The one of n rivals for a key that this host saw first; those that it saw within two FetchEvery of each
 * other count as seen at once. */
static const struct rival *first_seen(const struct builder *b, const struct rival *rivals, size_t n) {
	int64_t first = rivals->seen;

	if (rivals->host->self)
		return rivals;
	for (size_t i = 1; i < n; i++)
		if (rivals[i].seen < first)
			first = rivals[i].seen;
	while (rivals->seen - first > 2 * (int64_t)b->policy->fetch_every)
		rivals++;
	return rivals;
}

/* All rivals for one key. */
static void settle_key(struct builder *b, const struct rival *rivals, size_t n) {
	const char *own_mend = "issue its card with a key of its own";
	const struct rival *winner = first_seen(b, rivals, n);
	bool own = b->in->own_key && memcmp(rivals->key, b->in->own_key, WG_KEY_BYTES) == 0;
	bool foreign = b->in->is_foreign_key && b->in->is_foreign_key(b->in->interface, rivals->key);
	char owner[2 * LABEL_MAX + 32];

	snprintf(owner, sizeof owner, "%s.%s's", winner->host->label, winner->host->peer->name);
	for (size_t i = 0; i < n; i++)
		if (own && !rivals[i].host->self)
			refuse_key(b, &rivals[i], "this host's", own_mend);
		else if (foreign && !rivals[i].host->self)
			refuse_key(b, &rivals[i], "that of a peer that verimesh did not add",
				"take that peer off the interface");
		else if (&rivals[i] != winner)
			refuse_key(b, &rivals[i], owner, own_mend);
}

static bool settle_keys(struct builder *b) {
	struct rival *rivals = calloc(2 * b->roster->nhosts + 1, sizeof *rivals);
	size_t n = 0;

	if (!rivals)
		return false;
	for (size_t i = 0; i < b->roster->nhosts; i++) {
		struct roster_host *host = &b->roster->hosts[i];

		if (host->naddrs == 0)
			continue; /* it is out already */
		rivals[n++] = make_rival(b, host, false);
		if (host->next.from)
			rivals[n++] = make_rival(b, host, true);
	}
	qsort_r(rivals, n, sizeof *rivals, compare_rivals, (void *)b->policy);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && memcmp(rivals[i].key, rivals[end].key, WG_KEY_BYTES) == 0;)
			end++;
		settle_key(b, rivals + i, end - i);
	}
	free(rivals);
	return true;
}

/* By prefix; only one peer may claim one at all, and of that the later anchored card comes first. */
static int compare_claims(const void *a, const void *b, void *ctx) {
	const struct claim *x = a, *y = b;
	const struct roster_host *hosts = ctx;
	int order = prefix_compare(&x->prefix, &y->prefix);
	size_t px = hosts[x->host].place, py = hosts[y->host].place;

	if (!order)
		order = (px < py) - (px > py);
	return order ? order : x->route - y->route;
}

static void take_claim(struct roster_host *host, const struct claim *claim) {
	if (claim->route)
		host->routes[host->nroutes++] = claim->prefix;
	else
		host->addrs[host->naddrs++] = claim->prefix.addr;
}

/* Gives each address and route to its host; one whose key was refused gets none. */
static void share_claims(struct builder *b) {
	struct roster_host *hosts = b->roster->hosts;
	const struct claim *winner = NULL;
	char text[PREFIX_TEXT];

	if (b->nclaims == 0)
		return;
	qsort_r(b->claims, b->nclaims, sizeof *b->claims, compare_claims, hosts);
	for (const struct claim *c = b->claims; c < b->claims + b->nclaims; c++) {
		bool rivals = winner && prefix_compare(&c->prefix, &winner->prefix) == 0;

		if (hosts[c->host].naddrs == 0)
			continue;
		if (rivals && c->host != winner->host) {
			refuse(b, &hosts[c->host],
				"claims %s, which is %s.%s's by a later card; issue one of them anew",
				prefix_format(&c->prefix, text), hosts[winner->host].label,
				hosts[winner->host].peer->name);
		} else if (!rivals || c->route != winner->route) {
			take_claim(&hosts[c->host], c);
			winner = c;
		}
	}
}

static void free_host(struct roster_host *host) {
	free(host->addrs);
	free(host->routes);
	free(host->logins);
}

static void drop_refused(struct roster *roster) {
	size_t kept = 0;

	for (size_t i = 0; i < roster->nhosts; i++) {
		if (roster->hosts[i].naddrs == 0) {
			free_host(&roster->hosts[i]);
			continue;
		}
		roster->hosts[kept++] = roster->hosts[i];
	}
	roster->nhosts = kept;
}

static bool fill(struct builder *b, struct err *err) {
	struct roster *roster = b->roster;

	if (!accounts_build(b->in->locals, b->policy, b->in->book, b->in->ledger, count_refused, b,
		    &roster->accounts, &roster->naccounts, err))
		return false;
	b->account = roster->accounts;
	if (!owners_build(&b->owners, b->policy))
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < b->policy->npeers; i++)
		if (!add_peer(b, &b->policy->peers[i], err))
			return false;
	if (!settle_keys(b))
		return err_set(err, ERR_ENV, "out of memory");
	share_claims(b);
	drop_refused(roster);
	for (size_t i = 0; i < roster->nhosts; i++)
		if (roster->hosts[i].self)
			roster->self = &roster->hosts[i];
	return true;
}

bool roster_build(struct roster *roster, const struct roster_sources *sources, struct err *err) {
	struct builder b = {.roster = roster, .policy = sources->policy, .in = sources};
	bool good;

	*roster = (struct roster){.policy = sources->policy};
	good = fill(&b, err);
	owners_free(&b.owners);
	free(b.claims);
	if (!good)
		roster_free(roster);
	return good;
}

void roster_free(struct roster *roster) {
	for (size_t i = 0; i < roster->nhosts; i++)
		free_host(&roster->hosts[i]);
	free(roster->hosts);
	free(roster->accounts);
	*roster = (struct roster){0};
}
