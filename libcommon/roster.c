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
	const uint8_t *own_key; /* of this host's interface, or NULL */
	void (*report)(void *ctx, const struct err *claim);
	void *ctx;
	struct prefix *derived; /* by peer */
	size_t size;		/* hosts that there is room for */
	size_t *places;		/* by host: the place of its card in its log */
};

__attribute__((format(printf, 3, 4))) static void refuse(
	struct builder *b, const struct roster_host *host, const char *fmt, ...) {
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

static bool overlaps(const struct prefix *a, const struct prefix *b) {
	return prefix_contains(a, b) || prefix_contains(b, a);
}

/* The peer whose derived /48 a prefix touches, NULL for none. */
static const struct policy_peer *derived_peer(const struct builder *b, const struct prefix *prefix) {
	for (size_t i = 0; i < b->policy->npeers; i++)
		if (overlaps(&b->derived[i], prefix))
			return &b->policy->peers[i];
	return NULL;
}

/* Whether a host may have an address or route; if not, the claim is reported. */
static bool may_claim(struct builder *b, const struct roster_host *host, const struct prefix *prefix) {
	const struct policy_peer *owner = policy_owner(b->policy, prefix);
	const struct policy_peer *derived = derived_peer(b, prefix);
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
		return true;
	return false;
}

static bool in_mesh(const struct builder *b, const struct addr *addr) {
	struct prefix host = prefix_host(addr);

	return policy_owner(b->policy, &host) || derived_peer(b, &host);
}

/* ---- one host ---- */

static size_t count_texts(struct span list) {
	struct span text;
	size_t n = 0;

	while (event_next_text(&list, &text))
		n++;
	return n;
}

static bool has_addr(const struct roster_host *host, const struct addr *addr) {
	for (size_t i = 0; i < host->naddrs; i++)
		if (addr_eq(&host->addrs[i], addr))
			return true;
	return false;
}

static bool read_addrs(struct builder *b, struct roster_host *host, const struct card *card) {
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
static bool is_unwritten_root(const struct policy_login *rule) {
	const struct passwd *found = rule->written ? NULL : getpwnam(rule->account);

	return found && found->pw_uid == 0;
}

static bool read_logins(struct builder *b, struct roster_host *host, const struct card *card) {
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

static void read_endpoint(struct builder *b, struct roster_host *host, const struct card *card) {
	char text[ADDR_TEXT];

	if (!card->endpoint.p || !endpoint_parse(card->endpoint, &host->endpoint, &host->endpoint_port))
		return;
	if (in_mesh(b, &host->endpoint)) {
		refuse(b, host, "endpoint %s lies in the mesh itself; a tunnel cannot reach it there",
			addr_format(&host->endpoint, text));
		host->endpoint = (struct addr){0};
	}
}

static bool grow(struct builder *b) {
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
	const struct cards_entry *entry) {
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
	host->self = strcmp(peer->name, b->policy->self) == 0 && strcmp(host->label, b->policy->host) == 0;
	read_endpoint(b, host, card);
	return read_addrs(b, host, card) && read_logins(b, host, card);
}

static bool add_peer(struct builder *b, const struct policy_peer *peer, const struct book *book, int64_t now,
	struct err *err) {
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
			good = add_host(b, peer, kel, &entries[i]) || err_set(err, ERR_ENV, "out of memory");
	free(entries);
	return good;
}

/* ---- what two hosts claim ---- */

/* A claim to a key, an address or a route, for sorting. */
struct rival {
	uint8_t what[WG_KEY_BYTES]; /* the key, or family, bits and bytes of the prefix */
	uint64_t rank;		    /* a lower one wins */
	size_t host, claim;	    /* which of its addresses, and behind them its routes */
};

static int compare_rivals(const void *a, const void *b) {
	const struct rival *x = a, *y = b;
	int order = memcmp(x->what, y->what, sizeof x->what);

	return order ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

static bool same_claim(const struct rival *a, const struct rival *b) {
	return memcmp(a->what, b->what, sizeof a->what) == 0;
}

/* Within one peer the later anchored card wins (DESIGN.md 5.3). */
static uint64_t rank_card(const struct builder *b, size_t i) {
	return (UINT64_C(1) << 40) - 1 - b->places[i];
}

/* Between peers the own organisation wins, then the section that stands first; this very host
 * before all. */
static uint64_t rank_key(const struct builder *b, size_t i) {
	const struct roster_host *host = &b->roster->hosts[i];
	uint64_t section = (uint64_t)(host->peer - b->policy->peers) + 1;

	if (host->self)
		return 0;
	if (strcmp(host->peer->name, b->policy->self) == 0)
		section = 0;
	return (section << 40) + rank_card(b, i);
}

/* A host without addresses is one that drop_refused takes out. */
static void mark_host(struct roster_host *host) {
	host->naddrs = host->nroutes = 0;
}

static void refuse_key(struct builder *b, struct roster_host *host, const struct roster_host *owner) {
	char text[WG_KEY_TEXT];

	wg_key_encode(host->key, text);
	if (owner)
		refuse(b, host,
			"claims tunnel key %s, which is %s.%s's; issue its card with a key of its "
			"own",
			text, owner->label, owner->peer->name);
	else
		refuse(b, host,
			"claims tunnel key %s, which is this host's; issue its card with a key of "
			"its own",
			text);
	mark_host(host);
}

static void refuse_keys(struct builder *b, struct rival *rivals) {
	struct roster_host *hosts = b->roster->hosts;
	size_t n = b->roster->nhosts, winner = 0;

	for (size_t i = 0; i < n; i++) {
		rivals[i] = (struct rival){.host = i, .rank = rank_key(b, i)};
		memcpy(rivals[i].what, hosts[i].key, WG_KEY_BYTES);
	}
	qsort(rivals, n, sizeof *rivals, compare_rivals);
	for (size_t i = 0; i < n; i++) {
		struct roster_host *host = &hosts[rivals[i].host];

		if (b->own_key && !host->self && memcmp(host->key, b->own_key, WG_KEY_BYTES) == 0)
			refuse_key(b, host, NULL);
		else if (i && same_claim(&rivals[i], &rivals[winner]))
			refuse_key(b, host, &hosts[rivals[winner].host]);
		else
			winner = i;
	}
}

/* Where a claim stands, so that it can be taken out. */
static struct addr *claim_addr(struct roster_host *host, size_t claim) {
	return claim < host->naddrs ? &host->addrs[claim] : &host->routes[claim - host->naddrs].addr;
}

/* The address itself as a prefix, or the route. */
static struct prefix claim_prefix(const struct roster_host *host, size_t claim) {
	return claim < host->naddrs ? prefix_host(&host->addrs[claim]) : host->routes[claim - host->naddrs];
}

/* The derived address, which comes first, has no rivals. */
static size_t list_claims(const struct builder *b, struct rival *rivals) {
	size_t n = 0;

	for (size_t i = 0; i < b->roster->nhosts; i++) {
		const struct roster_host *host = &b->roster->hosts[i];

		for (size_t claim = 1; claim < host->naddrs + host->nroutes; claim++, n++) {
			struct prefix prefix = claim_prefix(host, claim);

			rivals[n] = (struct rival){.host = i, .rank = rank_card(b, i), .claim = claim};
			rivals[n].what[0] = prefix.addr.family;
			rivals[n].what[1] = prefix.bits;
			memcpy(rivals[n].what + 2, prefix.addr.bytes, sizeof prefix.addr.bytes);
		}
	}
	return n;
}

/* Only one peer may claim a prefix at all, so these are cards of one issuer. */
static void refuse_claims(struct builder *b, struct rival *rivals) {
	struct roster_host *hosts = b->roster->hosts;
	size_t n = list_claims(b, rivals), winner = 0;
	char text[PREFIX_TEXT];

	qsort(rivals, n, sizeof *rivals, compare_rivals);
	for (size_t i = 1; i < n; i++) {
		struct roster_host *loser = &hosts[rivals[i].host], *other = &hosts[rivals[winner].host];
		struct prefix prefix = claim_prefix(loser, rivals[i].claim);

		if (!same_claim(&rivals[i], &rivals[winner])) {
			winner = i;
		} else if (loser != other) {
			refuse(b, loser,
				"claims %s, which is %s.%s's by a later card; issue one of them "
				"anew",
				prefix_format(&prefix, text), other->label, other->peer->name);
			claim_addr(loser, rivals[i].claim)->family = 0; /* for drop_refused */
		}
	}
}

static void free_host(struct roster_host *host) {
	free(host->addrs);
	free(host->routes);
	free(host->logins);
}

static void drop_refused_claims(struct roster_host *host) {
	size_t addrs = 0, routes = 0;

	for (size_t i = 0; i < host->naddrs; i++)
		if (host->addrs[i].family)
			host->addrs[addrs++] = host->addrs[i];
	for (size_t i = 0; i < host->nroutes; i++)
		if (host->routes[i].addr.family)
			host->routes[routes++] = host->routes[i];
	host->naddrs = addrs;
	host->nroutes = routes;
}

static void drop_refused(struct roster *roster) {
	size_t kept = 0;

	for (size_t i = 0; i < roster->nhosts; i++) {
		if (roster->hosts[i].naddrs == 0) {
			free_host(&roster->hosts[i]);
			continue;
		}
		drop_refused_claims(&roster->hosts[i]);
		roster->hosts[kept++] = roster->hosts[i];
	}
	roster->nhosts = kept;
}

static bool refuse_rivals(struct builder *b) {
	struct rival *rivals;
	size_t n = b->roster->nhosts;

	for (size_t i = 0; i < b->roster->nhosts; i++)
		n += b->roster->hosts[i].naddrs + b->roster->hosts[i].nroutes;
	rivals = calloc(n + 1, sizeof *rivals);
	if (!rivals)
		return false;
	refuse_keys(b, rivals);
	refuse_claims(b, rivals);
	free(rivals);
	drop_refused(b->roster);
	return true;
}

bool roster_build(struct roster *roster, const struct policy *policy, const struct book *book,
	const uint8_t *own_key, int64_t now, void (*report)(void *ctx, const struct err *claim), void *ctx,
	struct err *err) {
	struct builder b = {
		.roster = roster, .policy = policy, .own_key = own_key, .report = report, .ctx = ctx};
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

void roster_free(struct roster *roster) {
	for (size_t i = 0; i < roster->nhosts; i++)
		free_host(&roster->hosts[i]);
	free(roster->hosts);
	*roster = (struct roster){0};
}
