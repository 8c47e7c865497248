/* roster.c: cards and policy become hosts; conflicts are refused; see roster.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cards.h"
#include "event.h"
#include "roster.h"

/* What is under way: the roster and where refused claims go. */
struct builder {
	struct roster *roster;
	const struct policy *policy;
	void (*report)(void *ctx, const struct err *claim);
	void *ctx;
	struct prefix *derived; /* by peer */
	size_t size;		/* hosts that there is room for */
	size_t *places;		/* by host: the place of its card in its log */
};

__attribute__((format(printf, 3, 4))) static void refuse(
	struct builder *b, const struct roster_host *host, const char *fmt, ...)
{
	struct err claim;
	char what[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	err_set(&claim, ERR_NO, "%s.%s: %s", host->label, host->peer->name, what);
	b->roster->refused++;
	if (b->report)
		b->report(b->ctx, &claim);
}

/* ---- who may claim what (DESIGN.md 5.3) ---- */

static bool overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_contains(a, b) || prefix_contains(b, a);
}

/* The peer whose derived /48 a prefix touches, NULL for none. */
static const struct policy_peer *derived_peer(const struct builder *b, const struct prefix *prefix)
{
	for (size_t i = 0; i < b->policy->npeers; i++)
		if (overlaps(&b->derived[i], prefix))
			return &b->policy->peers[i];
	return NULL;
}

/* Whether a host may have an address or route; if not, the claim is reported. */
static bool may_claim(
	struct builder *b, const struct roster_host *host, const struct prefix *prefix)
{
	const struct policy_peer *owner = policy_owner(b->policy, prefix);
	const struct policy_peer *derived = derived_peer(b, prefix);
	char text[PREFIX_TEXT];

	prefix_format(prefix, text);
	if (prefix->bits == 0)
		refuse(b, host, "claims %s: a default route is never taken", text);
	else if (derived)
		refuse(b, host,
			"claims %s, which only follows from names of %s; leave it out of its card",
			text, derived->name);
	else if (!owner)
		refuse(b, host,
			"claims %s, which no AllowedIPs holds; add it to [Peer %s] if it is theirs",
			text, host->peer->name);
	else if (owner != host->peer)
		refuse(b, host, "claims %s, which AllowedIPs give to %s; narrow those or the card",
			text, owner->name);
	else
		return true;
	return false;
}

static bool in_mesh(const struct builder *b, const struct addr *addr)
{
	struct prefix host = prefix_host(addr);

	return policy_owner(b->policy, &host) || derived_peer(b, &host);
}

/* ---- one host ---- */

static size_t count_texts(struct span list)
{
	struct span text;
	size_t n = 0;

	while (event_next_text(&list, &text))
		n++;
	return n;
}

static bool has_addr(const struct roster_host *host, const struct addr *addr)
{
	for (size_t i = 0; i < host->naddrs; i++)
		if (addr_eq(&host->addrs[i], addr))
			return true;
	return false;
}

static bool read_addrs(struct builder *b, struct roster_host *host, const struct card *card)
{
	struct span addrs = card->addrs, routes = card->routes, text;
	struct prefix prefix;
	struct addr addr;

	host->addrs = calloc(count_texts(addrs) + 1, sizeof *host->addrs);
	host->routes = calloc(count_texts(routes) + 1, sizeof *host->routes);
	if (!host->addrs || !host->routes)
		return false;
	host->addrs[host->naddrs++] = derived_addr(host->peer->aid, card->host);
	while (event_next_text(&addrs, &text)) {
		if (!addr_parse_canonical(text, &addr) || has_addr(host, &addr))
			continue;
		prefix = prefix_host(&addr);
		if (may_claim(b, host, &prefix))
			host->addrs[host->naddrs++] = addr;
	}
	while (event_next_text(&routes, &text))
		if (prefix_parse(text, &prefix) && may_claim(b, host, &prefix))
			host->routes[host->nroutes++] = prefix;
	return true;
}

/* An account with uid 0 only by a written login=account (DESIGN.md 5.5). */
static bool is_unwritten_root(const struct policy_login *rule)
{
	struct passwd entry, *found = NULL;
	char buf[4096];

	return !rule->written && getpwnam_r(rule->account, &entry, buf, sizeof buf, &found) == 0 &&
	       found && found->pw_uid == 0;
}

static bool read_logins(struct builder *b, struct roster_host *host, const struct card *card)
{
	struct span logins = card->logins, text;

	host->logins = calloc(count_texts(logins) + 1, sizeof *host->logins);
	if (!host->logins)
		return false;
	while (event_next_text(&logins, &text)) {
		const struct policy_login *rule = policy_login(host->peer, text);
		struct roster_login *login = &host->logins[host->nlogins];

		if (!rule)
			continue;
		if (is_unwritten_root(rule)) {
			refuse(b, host, "login %s would be uid 0; write %s=%s if that is meant",
				rule->login, rule->login, rule->account);
			continue;
		}
		memcpy(login->login, rule->login, sizeof login->login);
		memcpy(login->account, rule->account, sizeof login->account);
		host->nlogins++;
	}
	return true;
}

static void read_endpoint(struct builder *b, struct roster_host *host, const struct card *card)
{
	char text[ADDR_TEXT];

	if (!card->endpoint.p ||
		!endpoint_parse(card->endpoint, &host->endpoint, &host->endpoint_port))
		return;
	if (in_mesh(b, &host->endpoint)) {
		refuse(b, host,
			"endpoint %s lies in the mesh itself; a tunnel cannot reach it there",
			addr_format(&host->endpoint, text));
		host->endpoint = (struct addr){0};
	}
}

static bool grow(struct builder *b)
{
	size_t size = b->size ? b->size * 2 : 64;
	void *hosts, *places;

	if (b->roster->nhosts < b->size)
		return true;
	hosts = reallocarray(b->roster->hosts, size, sizeof *b->roster->hosts);
	if (hosts)
		b->roster->hosts = hosts;
	places = reallocarray(b->places, size, sizeof *b->places);
	if (places)
		b->places = places;
	if (!hosts || !places)
		return false;
	b->size = size;
	return true;
}

static bool add_host(struct builder *b, const struct policy_peer *peer, const struct kel *kel,
	const struct cards_entry *entry)
{
	const struct card *card = &entry->card;
	struct roster_host *host;

	if (!grow(b))
		return false;
	b->places[b->roster->nhosts] = entry->place;
	host = &b->roster->hosts[b->roster->nhosts++];
	*host = (struct roster_host){.peer = peer, .sn = kel->count - 1};
	host->expires = card->until == NEVER ? NEVER : card->until / 1000000;
	memcpy(host->key, card->key, sizeof host->key);
	span_copy(card->host, host->label, sizeof host->label);
	span_copy(card->said, host->said, sizeof host->said);
	host->self = strcmp(peer->name, b->policy->self) == 0 &&
		     strcmp(host->label, b->policy->host) == 0;
	read_endpoint(b, host, card);
	return read_addrs(b, host, card) && read_logins(b, host, card);
}

static bool add_peer(struct builder *b, const struct policy_peer *peer, const struct book *book,
	int64_t now, struct err *err)
{
	const struct kel *kel = book_kel(book, peer->aid);
	struct cards_entry *entries;
	bool good = true;
	size_t n;

	if (!kel)
		return true;
	if (!cards_list(book, kel, &entries, &n, err))
		return false;
	for (size_t i = 0; good && i < n; i++)
		if (entries[i].last && !entries[i].voided && entries[i].card.has_key &&
			(entries[i].card.until == NEVER || entries[i].card.until / 1000000 > now))
			good = add_host(b, peer, kel, &entries[i]) ||
			       err_set(err, ERR_ENV, "out of memory");
	free(entries);
	return good;
}

/* ---- what two hosts claim ---- */

/* A claim to a key or an address, for sorting. */
struct rival {
	uint8_t what[WG_KEY_BYTES]; /* the key, or family and bytes of the address */
	size_t host, rank;	    /* a lower rank wins */
	size_t addr;		    /* which of the host's addresses */
};

static int compare_rivals(const void *a, const void *b)
{
	const struct rival *x = a, *y = b;
	int order = memcmp(x->what, y->what, sizeof x->what);

	return order ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Within one peer the later anchored card wins (DESIGN.md 5.3); between peers the own organisation,
 * then the section that stands first; this host before all. */
static size_t rank(const struct builder *b, size_t i)
{
	const struct roster_host *host = &b->roster->hosts[i];
	size_t section = (size_t)(host->peer - b->policy->peers) + 1;

	if (host->self)
		return 0;
	if (strcmp(host->peer->name, b->policy->self) == 0)
		section = 0;
	return (section << 40) + (((size_t)1 << 40) - 1 - b->places[i]);
}

static void refuse_keys(struct builder *b, struct rival *rivals)
{
	struct roster_host *hosts = b->roster->hosts;
	size_t n = b->roster->nhosts;
	char text[WG_KEY_TEXT];

	for (size_t i = 0; i < n; i++) {
		rivals[i] = (struct rival){.host = i, .rank = rank(b, i)};
		memcpy(rivals[i].what, hosts[i].key, WG_KEY_BYTES);
	}
	qsort(rivals, n, sizeof *rivals, compare_rivals);
	for (size_t i = 1, winner = 0; i < n; i++) {
		struct roster_host *loser = &hosts[rivals[i].host],
				   *other = &hosts[rivals[winner].host];

		if (memcmp(rivals[i].what, rivals[winner].what, WG_KEY_BYTES) != 0) {
			winner = i;
			continue;
		}
		wg_key_encode(loser->key, text);
		refuse(b, loser,
			"claims tunnel key %s, which is %s.%s's; issue its card with a key of its "
			"own",
			text, other->label, other->peer->name);
		loser->naddrs = 0; /* marks it for drop_refused */
	}
}

static void refuse_addrs(struct builder *b, struct rival *rivals)
{
	struct roster_host *hosts = b->roster->hosts;
	char text[ADDR_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < b->roster->nhosts; i++)
		for (size_t a = 1; a < hosts[i].naddrs; a++, n++) {
			rivals[n] = (struct rival){.host = i, .rank = rank(b, i), .addr = a};
			rivals[n].what[0] = hosts[i].addrs[a].family;
			memcpy(rivals[n].what + 1, hosts[i].addrs[a].bytes, 16);
		}
	qsort(rivals, n, sizeof *rivals, compare_rivals);
	for (size_t i = 1, winner = 0; i < n; i++) {
		struct roster_host *loser = &hosts[rivals[i].host],
				   *other = &hosts[rivals[winner].host];

		if (memcmp(rivals[i].what, rivals[winner].what, WG_KEY_BYTES) != 0) {
			winner = i;
			continue;
		}
		refuse(b, loser,
			"claims %s, which is %s.%s's by a later card; issue one of them anew",
			addr_format(&loser->addrs[rivals[i].addr], text), other->label,
			other->peer->name);
		loser->addrs[rivals[i].addr].family = 0; /* marks it for drop_refused */
	}
}

static void free_host(struct roster_host *host)
{
	free(host->addrs);
	free(host->routes);
	free(host->logins);
}

static void drop_refused(struct roster *roster)
{
	size_t kept = 0;

	for (size_t i = 0; i < roster->nhosts; i++) {
		struct roster_host *host = &roster->hosts[i];
		size_t addrs = 0;

		if (host->naddrs == 0) {
			free_host(host);
			continue;
		}
		for (size_t a = 0; a < host->naddrs; a++)
			if (host->addrs[a].family)
				host->addrs[addrs++] = host->addrs[a];
		host->naddrs = addrs;
		roster->hosts[kept++] = *host;
	}
	roster->nhosts = kept;
}

static bool refuse_rivals(struct builder *b)
{
	struct rival *rivals;
	size_t n = b->roster->nhosts;

	for (size_t i = 0; i < b->roster->nhosts; i++)
		n += b->roster->hosts[i].naddrs;
	rivals = calloc(n + 1, sizeof *rivals);
	if (!rivals)
		return false;
	refuse_keys(b, rivals);
	refuse_addrs(b, rivals);
	free(rivals);
	drop_refused(b->roster);
	return true;
}

bool roster_build(struct roster *roster, const struct policy *policy, const struct book *book,
	int64_t now, void (*report)(void *ctx, const struct err *claim), void *ctx, struct err *err)
{
	struct builder b = {.roster = roster, .policy = policy, .report = report, .ctx = ctx};
	bool good;

	*roster = (struct roster){.policy = policy};
	b.derived = calloc(policy->npeers + 1, sizeof *b.derived);
	good = b.derived || err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; good && i < policy->npeers; i++)
		b.derived[i] = derived_prefix(policy->peers[i].aid);
	for (size_t i = 0; good && i < policy->npeers; i++)
		good = add_peer(&b, &policy->peers[i], book, now, err);
	if (good && !refuse_rivals(&b))
		good = err_set(err, ERR_ENV, "out of memory");
	free(b.places);
	free(b.derived);
	if (!good) {
		roster_free(roster);
		return false;
	}
	for (size_t i = 0; i < roster->nhosts; i++)
		if (roster->hosts[i].self)
			roster->self = &roster->hosts[i];
	return true;
}

void roster_free(struct roster *roster)
{
	for (size_t i = 0; i < roster->nhosts; i++)
		free_host(&roster->hosts[i]);
	free(roster->hosts);
	*roster = (struct roster){0};
}
