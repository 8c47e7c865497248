/* roster.c: cards and policy become hosts; conflicts are refused; see roster.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
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
	struct claim *claims;	/* of all hosts */
	size_t nclaims, claims_size, hosts_size;
};

/* An address or a route that a host may claim. */
struct claim {
	struct prefix prefix;
	bool route;
	size_t host;
};

/* Makes room for one more in an array; false without memory. */
static bool grow(void *array, size_t *size, size_t n, size_t element) {
	size_t wanted = n ? 2 * n : 64;
	void *p;

	if (n < *size)
		return true;
	memcpy(&p, array, sizeof p);
	p = reallocarray(p, wanted, element);
	if (!p)
		return false;
	memcpy(array, &p, sizeof p);
	*size = wanted;
	return true;
}

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

static bool add_claim(struct builder *b, const struct roster_host *host, struct prefix prefix, bool route) {
	if (!may_claim(b, host, &prefix))
		return true;
	if (!grow(&b->claims, &b->claims_size, b->nclaims, sizeof *b->claims))
		return false;
	b->claims[b->nclaims++] = (struct claim){prefix, route, b->roster->nhosts - 1};
	return true;
}

/* The derived address is the host's own; for the others it may have rivals. */
static bool read_claims(struct builder *b, struct roster_host *host, const struct card *card) {
	struct span addrs = card->addrs, routes = card->routes, text;
	bool good = true;
	struct prefix prefix;
	struct addr addr;

	host->addrs = calloc(count_texts(addrs) + 1, sizeof *host->addrs);
	host->routes = calloc(count_texts(routes) + 1, sizeof *host->routes);
	if (!host->addrs || !host->routes)
		return false;
	host->addrs[host->naddrs++] = derived_addr(host->peer->aid, card->host);
	while (good && event_next_text(&addrs, &text))
		good = !addr_parse_canonical(text, &addr) || addr_eq(&addr, &host->addrs[0]) ||
		       add_claim(b, host, prefix_host(&addr), false);
	while (good && event_next_text(&routes, &text))
		good = !prefix_parse(text, &prefix) || add_claim(b, host, prefix, true);
	return good;
}

/* An account with uid 0 only by a written login=account (DESIGN.md 5.5); so one of which it cannot be
 * found out, too. */
static bool is_unwritten_root(const struct policy_login *rule) {
	const struct passwd *found;

	if (rule->written)
		return false;
	errno = 0;
	found = getpwnam(rule->account);
	return found ? found->pw_uid == 0 : errno != 0 && errno != ENOENT && errno != ESRCH;
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

static bool add_host(struct builder *b, const struct policy_peer *peer, const struct kel *kel,
	const struct cards_entry *entry) {
	const struct card *card = &entry->card;
	struct roster_host *host;

	if (!grow(&b->roster->hosts, &b->hosts_size, b->roster->nhosts, sizeof *host))
		return false;
	host = &b->roster->hosts[b->roster->nhosts++];
	*host = (struct roster_host){.peer = peer, .sn = kel->count - 1, .place = entry->place};
	host->expires = card->until == NEVER ? NEVER : card->until / 1000000;
	memcpy(host->key, card->key, sizeof host->key);
	span_copy(card->host, host->label, sizeof host->label);
	span_copy(card->said, host->said, sizeof host->said);
	host->self = strcmp(peer->name, b->policy->self) == 0 && strcmp(host->label, b->policy->host) == 0;
	read_endpoint(b, host, card);
	return read_claims(b, host, card) && read_logins(b, host, card);
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

/* A tunnel key that is claimed. */
struct rival {
	uint8_t key[WG_KEY_BYTES];
	uint64_t rank; /* a lower one wins */
	struct roster_host *host;
};

static int compare_rivals(const void *a, const void *b) {
	const struct rival *x = a, *y = b;
	int order = memcmp(x->key, y->key, sizeof x->key);

	return order ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Within one peer the later anchored card wins (DESIGN.md 5.3); between peers the own organisation, then
 * the section that stands first; this very host before all. */
static uint64_t rank(const struct builder *b, const struct roster_host *host) {
	uint64_t section = (uint64_t)(host->peer - b->policy->peers) + 1;

	if (host->self)
		return 0;
	if (strcmp(host->peer->name, b->policy->self) == 0)
		section = 0;
	return ((section + 1) << 40) - 1 - host->place;
}

/* A host without addresses is one that drop_refused takes out. */
static void refuse_key(struct builder *b, struct roster_host *host, const struct roster_host *owner) {
	char key[WG_KEY_TEXT], name[2 * LABEL_MAX + 2] = "this host";

	wg_key_encode(host->key, key);
	if (owner)
		snprintf(name, sizeof name, "%s.%s", owner->label, owner->peer->name);
	refuse(b, host, "claims tunnel key %s, which is %s's; issue its card with a key of its own", key,
		name);
	host->naddrs = 0;
}

static bool refuse_keys(struct builder *b) {
	struct rival *rivals = calloc(b->roster->nhosts + 1, sizeof *rivals), *winner = rivals;
	size_t n = b->roster->nhosts;

	if (!rivals)
		return false;
	for (size_t i = 0; i < n; i++) {
		rivals[i].host = &b->roster->hosts[i];
		rivals[i].rank = rank(b, rivals[i].host);
		memcpy(rivals[i].key, rivals[i].host->key, WG_KEY_BYTES);
	}
	qsort(rivals, n, sizeof *rivals, compare_rivals);
	for (struct rival *r = rivals; r < rivals + n; r++) {
		if (b->own_key && !r->host->self && memcmp(r->key, b->own_key, WG_KEY_BYTES) == 0)
			refuse_key(b, r->host, NULL);
		else if (r > rivals && memcmp(r->key, winner->key, WG_KEY_BYTES) == 0)
			refuse_key(b, r->host, winner->host);
		else
			winner = r;
	}
	free(rivals);
	return true;
}

/* By prefix; only one peer may claim one at all, and of that the later anchored card comes first. */
static int compare_claims(const void *a, const void *b, void *ctx) {
	const struct claim *x = a, *y = b;
	const struct roster_host *hosts = ctx;
	int order = memcmp(&x->prefix, &y->prefix, sizeof x->prefix);
	size_t px = hosts[x->host].place, py = hosts[y->host].place;

	if (!order)
		order = (px < py) - (px > py);
	return order ? order : x->route - y->route;
}

_Static_assert(sizeof(struct prefix) == 18, "prefixes are compared as bytes");

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

	if (b->nclaims)
		qsort_r(b->claims, b->nclaims, sizeof *b->claims, compare_claims, hosts);
	for (const struct claim *c = b->claims; c < b->claims + b->nclaims; c++) {
		bool rivals = winner && memcmp(&c->prefix, &winner->prefix, sizeof c->prefix) == 0;

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

bool roster_build(struct roster *roster, const struct roster_sources *sources, struct err *err) {
	const struct policy *policy = sources->policy;
	struct builder b = {.roster = roster,
		.policy = policy,
		.own_key = sources->own_key,
		.report = sources->report,
		.ctx = sources->ctx};
	bool good;

	*roster = (struct roster){.policy = policy};
	b.derived = calloc(policy->npeers + 1, sizeof *b.derived);
	good = b.derived || err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; good && i < policy->npeers; i++)
		b.derived[i] = derived_prefix(policy->peers[i].aid);
	for (size_t i = 0; good && i < policy->npeers; i++)
		good = add_peer(&b, &policy->peers[i], sources->book, sources->now, err);
	if (good && !refuse_keys(&b))
		good = err_set(err, ERR_ENV, "out of memory");
	if (good) {
		share_claims(&b);
		drop_refused(roster);
	}
	free(b.claims);
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
