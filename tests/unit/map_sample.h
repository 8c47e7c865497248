/* map_sample.h: a roster of two organisations, with accounts, for tests of the map and of what reads it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_MAP_SAMPLE_H
#define VERIMESH_TESTS_MAP_SAMPLE_H

#include <assert.h>

#include "card.h"
#include "roster.h"

#define SAMPLE_AID_A "EBfdlu8R27Fbx-ehrqwImnK-8Cm79sqbAQ4MmvEAYqao"
#define SAMPLE_AID_B "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define SAMPLE_SAID "EIMwJjaS2DG8SaQXJW8ppKYDgllMoAheSTiFzVfgonZa"
/* alice's two SSH keys as ssh-keygen has them and as the card does, and one of bob's */
#define SAMPLE_SSH_1 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICKMhwdpedi5L7SZIWuu4FBlgBc4n+6y6iNiqKpHEYGB"
#define SAMPLE_SSH_2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfMe+A4ewKAM6FrY0Ac186zhuzfZsVgoIZzWBJCygbp"
#define SAMPLE_SSH_BOB "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define SAMPLE_LOGINKEYS                                           \
	"[\"alice:DCKMhwdpedi5L7SZIWuu4FBlgBc4n-6y6iNiqKpHEYGB\"," \
	"\"bob:DAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\","    \
	"\"alice:DGfMe-A4ewKAM6FrY0Ac186zhuzfZsVgoIZzWBJCygbp\","  \
	"\"alic:DGfMe-A4ewKAM6FrY0Ac186zhuzfZsVgoIZzWBJCygbp\"]"
#define SAMPLE_EXPIRED 1000 /* seconds since 1970, when the host `old` lapsed */

#define SAMPLE_ACCOUNTS 3
#define SAMPLE_GID \
	1900000000 /* of clinic-b; dave and carol have the next numbers, erin of clinic-a 1880000000 */

enum { SAMPLE_DB1_A, SAMPLE_DB1_B, SAMPLE_WEB_B, SAMPLE_OLD_B, SAMPLE_HOSTS };

/* Points into itself: not to be copied. */
struct sample {
	struct policy policy;
	struct policy_peer peers[2];
	struct prefix allowed[3];
	struct roster roster;
	struct roster_host hosts[SAMPLE_HOSTS];
	struct addr addrs[SAMPLE_HOSTS][4];
	struct roster_login logins[2];
	struct policy_login rules[SAMPLE_ACCOUNTS];
	struct account accounts[SAMPLE_ACCOUNTS];
};

static inline struct addr sample_addr(const char *text) {
	struct addr addr;

	if (!addr_parse(span_str(text), &addr))
		abort();
	return addr;
}

static inline struct prefix sample_prefix(const char *text) {
	struct prefix prefix;

	if (!prefix_parse(span_str(text), &prefix))
		abort();
	return prefix;
}

/* A host with its derived address. */
static inline void sample_host(
	struct roster_host *host, const struct policy_peer *peer, const char *label, struct addr *addrs) {
	*host = (struct roster_host){
		.peer = peer,
		.sn = 7,
		.expires = NEVER,
		.addrs = addrs,
		.naddrs = 1,
		.said = SAMPLE_SAID,
	};
	snprintf(host->label, sizeof host->label, "%s", label);
	addrs[0] = derived_addr(peer->aid, span_str(label));
	memcpy(host->key, addrs[0].bytes, 16);
	memcpy(host->key + 16, addrs[0].bytes, 16);
}

static inline void sample_hosts(struct sample *s) {
	sample_host(&s->hosts[SAMPLE_DB1_A], &s->peers[0], "db1", s->addrs[SAMPLE_DB1_A]);
	sample_host(&s->hosts[SAMPLE_DB1_B], &s->peers[1], "db1", s->addrs[SAMPLE_DB1_B]);
	sample_host(&s->hosts[SAMPLE_WEB_B], &s->peers[1], "web", s->addrs[SAMPLE_WEB_B]);
	sample_host(&s->hosts[SAMPLE_OLD_B], &s->peers[1], "old", s->addrs[SAMPLE_OLD_B]);
	s->addrs[SAMPLE_DB1_B][1] = sample_addr("10.77.2.5");
	s->addrs[SAMPLE_DB1_B][2] = sample_addr("10.77.2.6");
	s->addrs[SAMPLE_DB1_B][3] = sample_addr("fd77:2::5");
	s->hosts[SAMPLE_DB1_B].naddrs = 4;
	s->logins[0] = (struct roster_login){"alice", "alice"};
	s->logins[1] = (struct roster_login){"bob", "rsmith"};
	s->hosts[SAMPLE_DB1_B].logins = s->logins;
	s->hosts[SAMPLE_DB1_B].nlogins = 2;
	s->hosts[SAMPLE_DB1_B].loginkeys = span_str(SAMPLE_LOGINKEYS);
	s->hosts[SAMPLE_OLD_B].expires = SAMPLE_EXPIRED;
	s->hosts[SAMPLE_DB1_A].self = true;
}

static inline void sample_account(struct sample *s, size_t i, const char *login, size_t peer, uint32_t uid) {
	struct policy_login *rule = &s->rules[i];

	snprintf(rule->login, sizeof rule->login, "%s", login);
	snprintf(rule->account, sizeof rule->account, "%.32s@%.40s", login, s->peers[peer].name);
	s->accounts[i] = (struct account){&s->peers[peer], rule, uid, uid / 1000 * 1000, NEVER};
}

/* db1 of clinic-a, this host; of clinic-b: db1 (4 addresses, 2 logins, 3 SSH keys), web (only its derived
 * address), old (lapsed). Accounts of erin of clinic-a, of dave and carol of clinic-b. */
static inline void sample_init(struct sample *s) {
	memset(s, 0, sizeof *s);
	s->policy = (struct policy){
		.interface = "verimesh0",
		.self = "clinic-a",
		.host = "db1",
		.domain = "mesh.internal",
		.home = "/home/%u@%p",
		.shell = "/bin/bash",
		.peers = s->peers,
		.npeers = 2,
	};
	s->peers[0] = (struct policy_peer){.name = "clinic-a", .aid = SAMPLE_AID_A};
	s->peers[1] = (struct policy_peer){.name = "clinic-b", .aid = SAMPLE_AID_B};
	s->allowed[0] = sample_prefix("10.77.2.0/24");
	s->allowed[1] = sample_prefix("fd77:2::/33");
	s->allowed[2] = sample_prefix("10.99.0.1/32");
	s->peers[1].allowed = s->allowed;
	s->peers[1].nallowed = 3;
	sample_hosts(s);
	sample_account(s, 0, "erin", 0, 1880000001);
	sample_account(s, 1, "dave", 1, SAMPLE_GID + 1);
	sample_account(s, 2, "carol", 1, SAMPLE_GID + 2);
	s->roster = (struct roster){
		.policy = &s->policy,
		.hosts = s->hosts,
		.nhosts = SAMPLE_HOSTS,
		.accounts = s->accounts,
		.naccounts = SAMPLE_ACCOUNTS,
		.self = &s->hosts[SAMPLE_DB1_A],
	};
}

#endif
