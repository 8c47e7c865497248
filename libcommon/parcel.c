/* parcel.c: packs a roster and unpacks it with care; see parcel.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "parcel.h"

#define FIRST_ID 1000 /* IdRange has no lower number */

/* In front of the hosts and the accounts. */
struct head {
	size_t nhosts, naccounts, self; /* self: its place, or nhosts */
	unsigned refused;
};

/* A host and an account as they are in memory; what they point to follows a host, or is in this. */
struct packed_host {
	size_t peer;
	struct roster_host host;
};

struct packed_account {
	size_t peer, login;
	struct account account;
};

static void put(FILE *out, const void *items, size_t size, size_t n) {
	if (n)
		fwrite(items, size, n, out);
}

bool parcel_make(FILE *out, const struct roster *roster) {
	const struct policy_peer *peers = roster->policy->peers;
	struct head head;

	memset(&head, 0, sizeof head);
	head.nhosts = roster->nhosts;
	head.naccounts = roster->naccounts;
	head.self = roster->self ? (size_t)(roster->self - roster->hosts) : roster->nhosts;
	head.refused = roster->refused;
	fwrite(&head, sizeof head, 1, out);
	for (const struct roster_host *h = roster->hosts; h < roster->hosts + roster->nhosts; h++) {
		struct packed_host packed = {(size_t)(h->peer - peers), *h};

		fwrite(&packed, sizeof packed, 1, out);
		put(out, h->addrs, sizeof *h->addrs, h->naddrs);
		put(out, h->routes, sizeof *h->routes, h->nroutes);
		put(out, h->logins, sizeof *h->logins, h->nlogins);
		put(out, h->loginkeys.p, 1, h->loginkeys.n);
	}
	for (const struct account *a = roster->accounts; a < roster->accounts + roster->naccounts; a++) {
		struct packed_account packed = {
			(size_t)(a->peer - peers), (size_t)(a->login - a->peer->logins), *a};

		fwrite(&packed, sizeof packed, 1, out);
	}
	return fflush(out) == 0 && !ferror(out);
}

/* Takes n things of this size. */
static bool take(struct span *rest, size_t n, size_t size, struct span *out) {
	if (n > rest->n / size)
		return false;
	*out = span_cut(*rest, 0, n * size);
	*rest = span_from(*rest, n * size);
	return true;
}

/* Takes an array of n, malloc'd; NULL: there are fewer, or no memory is left. */
static void *take_array(struct span *rest, size_t n, size_t size) {
	struct span bytes;
	void *copy = take(rest, n, size, &bytes) ? calloc(n + 1, size) : NULL;

	if (copy && n)
		memcpy(copy, bytes.p, bytes.n);
	return copy;
}

static bool is_text(const char *text, size_t size) {
	return memchr(text, 0, size);
}

static bool is_bool(const bool *value) {
	uint8_t byte;

	memcpy(&byte, value, sizeof byte);
	return byte <= 1;
}

static bool is_said(const char said[static CESR_TEXT]) {
	return is_text(said, CESR_TEXT) && cesr_is_aid(span_str(said));
}

static bool is_key_or_none(const char text[static WG_KEY_TEXT]) {
	size_t n = strnlen(text, WG_KEY_TEXT);

	return n == 0 || n == WG_KEY_TEXT - 1;
}

static bool is_addr(const struct addr *addr) {
	return addr->family == AF_INET || addr->family == AF_INET6;
}

/* The host's own by its name, or within what its peer may have. */
static bool may_have(const struct roster_host *host, const struct prefix *prefix) {
	struct addr derived = derived_addr(host->peer->aid, span_str(host->label));
	struct prefix own = prefix_host(&derived);

	for (size_t i = 0; i < host->peer->nallowed; i++)
		if (prefix_contains(&host->peer->allowed[i], prefix))
			return true;
	return prefix_contains(&own, prefix);
}

static bool is_good_host(const struct roster_host *host) {
	const struct policy_login *admitted;
	struct prefix prefix;

	if (!is_text(host->label, sizeof host->label) || !label_valid(span_str(host->label)))
		return false;
	for (size_t i = 0; i < host->naddrs; i++) {
		if (!is_addr(&host->addrs[i]))
			return false;
		prefix = prefix_host(&host->addrs[i]);
		if (!may_have(host, &prefix))
			return false;
	}
	for (size_t i = 0; i < host->nroutes; i++)
		if (!is_addr(&host->routes[i].addr) ||
			host->routes[i].bits > addr_size(&host->routes[i].addr) * 8 ||
			!may_have(host, &host->routes[i]))
			return false;
	for (size_t i = 0; i < host->nlogins; i++) {
		const struct roster_login *login = &host->logins[i];

		admitted = is_text(login->login, sizeof login->login) &&
					   is_text(login->account, sizeof login->account)
				   ? policy_login(host->peer, span_str(login->login))
				   : NULL;
		if (!admitted || admitted->root || strcmp(admitted->account, login->account) != 0)
			return false;
	}
	return is_bool(&host->self) && is_bool(&host->lapsed) && is_said(host->said) &&
	       (!host->endpoint.family || is_addr(&host->endpoint)) &&
	       (!host->next.from || is_said(host->next.said)) &&
	       (!host->next.endpoint.family || is_addr(&host->next.endpoint)) &&
	       is_key_or_none(host->before);
}

static bool take_host(struct span *rest, struct roster *roster) {
	struct roster_host *host = &roster->hosts[roster->nhosts];
	struct packed_host packed;
	struct span bytes;

	if (!take(rest, 1, sizeof packed, &bytes))
		return false;
	memcpy(&packed, bytes.p, sizeof packed);
	if (packed.peer >= roster->policy->npeers)
		return false;
	*host = packed.host;
	host->peer = &roster->policy->peers[packed.peer];
	host->addrs = take_array(rest, host->naddrs, sizeof *host->addrs);
	host->routes = take_array(rest, host->nroutes, sizeof *host->routes);
	host->logins = take_array(rest, host->nlogins, sizeof *host->logins);
	roster->nhosts++; /* from now on roster_free knows it */
	return host->addrs && host->routes && host->logins &&
	       take(rest, host->loginkeys.n, 1, &host->loginkeys) && is_good_host(host);
}

/* Settled by hand, or neither the system's (DESIGN.md 5.5, IdRange) nor a local user's or group's. */
static bool is_free(uint32_t number, uint32_t by_hand, const struct locals_ids *taken) {
	return number && (number == by_hand || (number >= FIRST_ID && !locals_have(taken, number)));
}

static bool take_account(struct span *rest, const struct locals *locals, struct roster *roster) {
	struct account *account = &roster->accounts[roster->naccounts];
	struct packed_account packed;
	uint32_t by_hand = 0;
	struct span bytes;

	if (!take(rest, 1, sizeof packed, &bytes))
		return false;
	memcpy(&packed, bytes.p, sizeof packed);
	if (packed.peer >= roster->policy->npeers ||
		packed.login >= roster->policy->peers[packed.peer].nlogins)
		return false;
	*account = packed.account;
	account->peer = &roster->policy->peers[packed.peer];
	account->login = &account->peer->logins[packed.login];
	roster->naccounts++;
	for (size_t i = 0; i < account->peer->nuids; i++)
		if (strcmp(account->peer->uids[i].login, account->login->login) == 0)
			by_hand = account->peer->uids[i].uid;
	return account->peer->accounts && !account->login->written &&
	       is_free(account->uid, by_hand, &locals->users) &&
	       is_free(account->gid, account->peer->gid, &locals->groups);
}

static bool take_all(struct roster *roster, const struct locals *locals, struct span rest) {
	struct span bytes;
	struct head head;
	bool good;

	if (!take(&rest, 1, sizeof head, &bytes))
		return false;
	memcpy(&head, bytes.p, sizeof head);
	/* none is smaller in the parcel than here */
	if (head.nhosts > rest.n / sizeof *roster->hosts ||
		head.naccounts > rest.n / sizeof *roster->accounts)
		return false;
	roster->hosts = calloc(head.nhosts + 1, sizeof *roster->hosts);
	roster->accounts = calloc(head.naccounts + 1, sizeof *roster->accounts);
	good = roster->hosts && roster->accounts && head.self <= head.nhosts;
	while (good && roster->nhosts < head.nhosts)
		good = take_host(&rest, roster);
	while (good && roster->naccounts < head.naccounts)
		good = take_account(&rest, locals, roster);
	roster->refused = head.refused;
	if (good && head.self < head.nhosts)
		roster->self = &roster->hosts[head.self];
	return good && rest.n == 0;
}

bool parcel_open(
	struct roster *roster, const struct policy *policy, const struct locals *locals, struct span bytes) {
	*roster = (struct roster){.policy = policy};
	if (take_all(roster, locals, bytes))
		return true;
	roster_free(roster);
	return false;
}
