/* show.c: `verimesh show`: whose a name, key, address or login is, and how we know. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cards.h"
#include "keyring.h"
#include "show.h"
#include "verimesh.h"

#define NAME_SIZE (LABEL_MAX + CESR_TEXT + DOMAIN_MAX + 3) /* LABEL.AID.DOMAIN and a NUL */
#define SECOND 1000000					   /* in microseconds */

/* What was asked, and what answers. */
struct view {
	const char *word; /* NULL: every host */
	bool json, is_key;
	uint8_t key[WG_KEY_BYTES]; /* the word, where that is a key */
	struct mesh mesh;
	struct err why_not; /* nothing is found: the last claim of such a host that was refused */
	const struct roster_host *owner; /* of the word, where that is an address */
	struct prefix by;		 /* the route by which it is; or family 0 */
};

int host_keyring(const struct mesh *mesh, const struct roster_host *host) {
	char text[KEYRING_PAYLOAD], name[WG_KEY_TEXT];
	int32_t ring;
	int rc = keyring_open(mesh->root, mesh->policy.interface, &ring);

	wg_key_encode(host->key, name);
	if (rc == 0)
		rc = keyring_read(ring, name, text);
	return rc == 0 && !strstr(text, host->said) ? ESTALE : rc;
}

/* ---- whom a word means ---- */

/* A label, a petname, an AID, or a name of any length, in any case. */
static bool is_name(
	const struct policy *policy, const struct policy_peer *peer, const char *label, const char *word) {
	const char *const of[] = {peer->name, peer->aid};
	size_t n = strlen(word), domain = strlen(policy->domain) + 1;
	char name[NAME_SIZE];

	for (size_t i = 0; i < 2; i++) {
		size_t all = (size_t)snprintf(name, sizeof name, "%s.%s.%s", label, of[i], policy->domain);

		if (strcasecmp(of[i], word) == 0 ||
			((n == all || n == all - domain) && strncasecmp(name, word, n) == 0))
			return true;
	}
	return strcasecmp(label, word) == 0;
}

static bool is_login(const struct roster_host *host, const char *word) {
	char name[LOGIN_MAX + LABEL_MAX + 2];

	for (size_t i = 0; i < host->nlogins; i++) {
		snprintf(name, sizeof name, "%s@%s", host->logins[i].login, host->peer->name);
		if (strcmp(host->logins[i].login, word) == 0 || strcmp(host->logins[i].account, word) == 0 ||
			strcmp(name, word) == 0)
			return true;
	}
	return false;
}

/* The host to which an address leads: its own, or by the longest route. */
static void find_owner(struct view *v, const struct addr *addr) {
	const struct roster *roster = &v->mesh.roster;

	for (const struct roster_host *host = roster->hosts; host < roster->hosts + roster->nhosts; host++) {
		for (size_t i = 0; i < host->naddrs; i++)
			if (addr_eq(&host->addrs[i], addr)) {
				v->owner = host;
				v->by = (struct prefix){0};
				return;
			}
		for (size_t i = 0; i < host->nroutes; i++)
			if (prefix_covers(&host->routes[i], addr) &&
				(!v->owner || host->routes[i].bits > v->by.bits)) {
				v->owner = host;
				v->by = host->routes[i];
			}
	}
}

static bool is_meant(const struct view *v, const struct roster_host *host) {
	return !v->word || host == v->owner || (v->is_key && memcmp(host->key, v->key, WG_KEY_BYTES) == 0) ||
	       (v->is_key && host->next.from && memcmp(host->next.key, v->key, WG_KEY_BYTES) == 0) ||
	       is_name(&v->mesh.policy, host->peer, host->label, v->word) || is_login(host, v->word);
}

/* Keeps a refused claim of the host that is asked for: it starts with LABEL.PEER or PEER. */
static void keep_refused(void *ctx, const struct err *what) {
	struct view *v = ctx;
	char label[LABEL_MAX + 1] = "", name[LABEL_MAX + 1];
	_Static_assert(LABEL_MAX == 40, "what sscanf reads fits");
	bool host = sscanf(what->text, "%40[^.:].%40[^:]", label, name) == 2;
	const struct policy_peer *peer = policy_peer(&v->mesh.policy, host ? name : label);

	if (v->word && peer && is_name(&v->mesh.policy, peer, host ? label : "", v->word))
		v->why_not = *what;
}

static bool card_why_not(const struct policy_peer *peer, const struct kel *kel,
	const struct cards_entry *entry, struct err *err) {
	const struct card *card = &entry->card;
	char end[TIME_TEXT], what[64];

	if (!card->has_key)
		snprintf(what, sizeof what, "withdrawn");
	else if (entry->voided)
		snprintf(what, sizeof what, "its last card is void");
	else if (card->until != NEVER && card->until / SECOND <= time(NULL))
		snprintf(what, sizeof what, "its last card ended at %.19sZ", time_format(card->until, end));
	else
		return false;
	err_set(err, ERR_NO, "%.*s.%s: %s (card %.*s, anchored by event sn %" PRIu64 ")",
		SPAN_ARG(card->host), peer->name, what, SPAN_ARG(card->said), kel->seals[entry->place].sn);
	return true;
}

bool host_why_not(const struct mesh *mesh, const char *name, struct err *err) {
	bool known = false;

	for (size_t i = 0; i < mesh->policy.npeers && !known; i++) {
		const struct policy_peer *peer = &mesh->policy.peers[i];
		const struct kel *kel = book_kel(&mesh->store.book, peer->aid);
		struct cards_entry *entries;
		char label[LABEL_MAX + 1];
		size_t n;

		if (!kel || !cards_list(&mesh->store.book, kel, &entries, &n, NULL))
			continue;
		for (size_t k = 0; k < n && !known; k++)
			known = entries[k].last && span_copy(entries[k].card.host, label, sizeof label) &&
				is_name(&mesh->policy, peer, label, name) &&
				card_why_not(peer, kel, &entries[k], err);
		free(entries);
	}
	return known;
}

/* ---- what is said of a host: members of a JSON object, or lines of the same names ---- */

/* One fact; no value holds what JSON would escape. */
static void fact(bool json, const char *name, const char *value) {
	const char *quote = value[0] ? "\"" : "";

	if (json)
		printf(",\"%s\":%s%s%s", name, quote, value[0] ? value : "null", quote);
	else if (value[0])
		printf("  %-13s %s\n", name, value);
}

static void number(bool json, const char *name, uint64_t value) {
	printf(json ? ",\"%s\":%" PRIu64 : "  %-13s %" PRIu64 "\n", name, value);
}

/* In microseconds; 0 is no time. */
static void moment(bool json, const char *name, int64_t micros) {
	char text[TIME_TEXT] = "";

	if (micros != 0 && micros != NEVER)
		time_format(micros, text);
	fact(json, name, micros == NEVER && !json ? "never" : text);
}

static void endpoint(bool json, const char *name, const struct addr *addr, uint16_t port) {
	char text[ENDPOINT_TEXT];

	fact(json, name, addr->family ? endpoint_format(addr, port, text) : "");
}

/* An item of a list; the first one begins it, list_end ends it. */
static void list_item(bool json, const char *name, size_t i, const char *text) {
	if (i == 0)
		printf(json ? ",\"%s\":[" : "  %-13s", name);
	printf(json ? "%s\"%s\"" : "%s %s", json && i ? "," : "", text);
}

static void list_end(bool json, const char *name, size_t n) {
	if (json && n == 0)
		printf(",\"%s\":[]", name);
	else if (n)
		fputs(json ? "]" : "\n", stdout);
}

/* Where it is in force by, and how that is known. */
static void tell_card(const struct view *v, const struct roster_host *host) {
	const struct book *book = &v->mesh.store.book;
	const struct book_log *log = book_log(book, host->peer->aid);
	const struct card *card = book_card(book, host->said);
	uint64_t anchor = log->kel.seals[host->place].sn;
	char said[CESR_TEXT], key[WG_KEY_TEXT];

	kel_said(&log->kel, log->kel.count - 1, said);
	number(v->json, "sn", log->kel.count - 1);
	fact(v->json, "said", said);
	fact(v->json, "delegator", log->kel.delegator);
	number(v->json, "witnesses", kel_current(&log->kel)->nwitnesses);
	if (v->json)
		printf(",\"frozen\":%s", log->frozen ? "true" : "false");
	else if (log->frozen)
		fact(false, "frozen", "it showed two versions of an event; see verimesh import --resolve");
	fact(v->json, "card", host->said);
	kel_said(&log->kel, anchor, said);
	printf(v->json ? ",\"anchor\":{\"sn\":%" PRIu64 ",\"said\":\"%s\"}"
		       : "  anchor        sn %" PRIu64 ", %s\n",
		anchor, said);
	wg_key_encode(host->key, key);
	fact(v->json, "key", key);
	wg_key_encode(host->next.key, key);
	fact(v->json, "next", host->next.from ? key : "");
	moment(v->json, "from", host->next.from ? host->next.from * SECOND : card->from);
	moment(v->json, "until", card->until);
	moment(v->json, "lapsed", host->lapsed ? host->expires * SECOND : 0);
}

static void tell_addresses(bool json, const struct roster_host *host) {
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < host->naddrs; i++)
		list_item(json, "addresses", i, addr_format(&host->addrs[i], text));
	list_end(json, "addresses", host->naddrs);
	for (size_t i = 0; i < host->nroutes; i++)
		list_item(json, "routes", i, prefix_format(&host->routes[i], text));
	list_end(json, "routes", host->nroutes);
}

static void tell_logins(bool json, const struct roster *roster, const struct roster_host *host) {
	fputs(json ? ",\"logins\":[" : "", stdout);
	for (size_t i = 0; i < host->nlogins; i++) {
		const struct roster_login *login = &host->logins[i];
		const struct policy_login *rule = policy_login(host->peer, span_str(login->login));
		const struct account *account = accounts_find(roster->accounts, roster->naccounts, rule);

		printf(json ? "%s{\"login\":\"%s\",\"account\":\"%s\"" : "%s  login         %s: account %s",
			json && i ? "," : "", login->login, login->account);
		if (account)
			printf(json ? ",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32 "}"
				    : ", uid %" PRIu32 ", gid %" PRIu32 "\n",
				account->uid, account->gid);
		else
			fputs(json ? ",\"uid\":null,\"gid\":null}" : "\n", stdout);
	}
	fputs(json ? "]" : "", stdout);
}

/* When the latest handshake was, or why that cannot be told. */
static const char *handshake(
	const struct view *v, const struct roster_host *host, char text[static TIME_TEXT]) {
	const struct wireguard *wireguard = &v->mesh.wireguard;
	const struct wireguard_peer *peer = wireguard_find(wireguard, host->key);

	if (host->self)
		return "this host";
	if (wireguard->state == INTERFACE_NONE)
		return "down";
	if (wireguard->error)
		return geteuid() ? "needs root" : "unreadable";
	if (!peer)
		return "no peer";
	return peer->live.handshake ? time_format((int64_t)peer->live.handshake * SECOND, text) : "never";
}

static void tell_live(const struct view *v, const struct roster_host *host) {
	static const struct wireguard_peer none;
	const struct wireguard_peer *found = wireguard_find(&v->mesh.wireguard, host->key);
	const struct tunnel_peer *peer = found ? &found->live : &none.live;
	bool known = !host->self && geteuid() == 0, has = known && host_keyring(&v->mesh, host) == 0;
	char text[TIME_TEXT];

	endpoint(v->json, "endpoint", &host->endpoint, host->endpoint_port);
	fact(v->json, "handshake", v->json && !peer->handshake ? "" : handshake(v, host, text));
	endpoint(v->json, "live_endpoint", &peer->endpoint, peer->endpoint_port);
	if (v->json)
		printf(",\"keyring\":%s}\n", !known ? "null" : has ? "true" : "false");
	else if (!host->self)
		fact(false, "keyring", !known ? "needs root" : has ? "has the key" : "has not the key");
}

static void print_host(const struct view *v, const struct roster_host *host) {
	const char *domain = v->mesh.policy.domain;
	char text[NAME_SIZE];

	printf(v->json ? "{\"name\":\"%s.%s.%s\"" : "%s.%s.%s\n", host->label, host->peer->name, domain);
	if (host == v->owner && v->by.addr.family && !v->json)
		printf("  %-13s to %s, by %s\n", "route", v->word, prefix_format(&v->by, text));
	snprintf(text, sizeof text, "%s.%s.%s", host->label, host->peer->aid, domain);
	fact(v->json, "alias", text);
	fact(v->json, "aid", host->peer->aid);
	fact(v->json, "peer", host->peer->name);
	fact(v->json, "label", host->label);
	tell_card(v, host);
	tell_addresses(v->json, host);
	tell_logins(v->json, &v->mesh.roster, host);
	tell_live(v, host);
}

/* One line of the table; of times the minute. */
static void print_row(const struct view *v, const struct roster_host *host) {
	char text[TIME_TEXT], end[TIME_TEXT] = "never", addr[ADDR_TEXT];

	if (host->expires != NEVER)
		time_format(host->expires * SECOND, end);
	printf("  %-12s handshake %-16.16s  %s %-16.16s ", host->label, handshake(v, host, text),
		host->lapsed ? "lapse" : "until", end);
	for (size_t i = 0; i < host->naddrs && i < 3; i++)
		printf(" %s", addr_format(&host->addrs[i], addr));
	puts(host->naddrs > 3 ? " ..." : "");
}

/* All peers, and the hosts of each, which stand together in the roster. */
static void print_table(const struct view *v) {
	const struct roster_host *host = v->mesh.roster.hosts, *end = host + v->mesh.roster.nhosts;
	const struct policy *policy = &v->mesh.policy;

	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];
		const struct kel *kel = book_kel(&v->mesh.store.book, peer->aid);

		if (kel)
			printf("%s  %s  sn %" PRIu64 "%s\n", peer->name, peer->aid, kel->count - 1,
				book_log(&v->mesh.store.book, peer->aid)->frozen ? "  frozen" : "");
		else
			printf("%s  %s\n", peer->name, peer->aid[0] ? "no log yet" : "needs root");
		for (; host < end && host->peer == peer; host++)
			print_row(v, host);
	}
}

static int show(struct view *v) {
	const struct roster *roster = &v->mesh.roster;
	struct addr addr;
	size_t found = 0;

	if (v->word && addr_parse(span_str(v->word), &addr))
		find_owner(v, &addr);
	v->is_key = v->word && wg_key_decode(v->word, strlen(v->word), v->key);
	if (!v->word && !v->json)
		print_table(v);
	for (size_t i = 0; i < roster->nhosts && (v->word || v->json); i++)
		if (is_meant(v, &roster->hosts[i]) &&
			book_awake(&v->mesh.store.book, roster->hosts[i].peer->aid)) {
			if (found++ && !v->json)
				putchar('\n');
			print_host(v, &roster->hosts[i]);
		}
	if (v->mesh.store.damage.text[0])
		return problem(&v->mesh.store.damage);
	if (!v->word || found)
		return 0;
	host_why_not(&v->mesh, v->word, &v->why_not);
	return problem(&v->why_not);
}

int verb_show(const struct command *command) {
	struct view v = {0};
	struct err err;
	int status;

	for (int i = 1; i < command->nargs; i++) {
		char *word = command->args[i];

		if (strcmp(word, "--json") == 0 && !v.json)
			v.json = true;
		else if (word[0] && !is_option(word) && !v.word)
			v.word = word;
		else
			return usage(command, "takes --json and one word");
		if (v.word == word && word[1] && word[strlen(word) - 1] == '.')
			word[strlen(word) - 1] = 0; /* a name may end in a dot */
	}
	if (v.word)
		err_set(&v.why_not, ERR_NO, "%s: no host in force has this name, key, address or login",
			v.word);
	if (!mesh_open(&v.mesh, command->root, false, keep_refused, &v, &err))
		return problem(&err);
	status = show(&v);
	mesh_close(&v.mesh);
	return status;
}
