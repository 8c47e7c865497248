/* policy.h: verimesh.conf, what this host's administrator allows (DESIGN.md 5.5). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_POLICY_H
#define VERIMESH_POLICY_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "cesr.h"
#include "err.h"

#define LABEL_MAX 40 /* characters of a host label or petname (DESIGN.md 5.2, 5.4) */
#define LOGIN_MAX 32 /* characters of a login or account */
#define DOMAIN_MAX 100

/* One word of `Logins`: this login of the peer becomes that account here. */
struct policy_login {
	char login[LOGIN_MAX + 1];
	char account[LOGIN_MAX + LABEL_MAX + 2]; /* as written, or login@peer with Accounts = yes */
	bool written;				 /* `login=account` stands in the file */
};

/* A number settled by hand: `Uid.LOGIN = N`. */
struct policy_uid {
	char login[LOGIN_MAX + 1];
	uint32_t uid;
};

struct policy_peer {
	char name[LABEL_MAX + 1];
	char aid[CESR_TEXT]; /* "" only in the section of the own organisation */
	struct policy_login *logins;
	size_t nlogins;
	struct prefix *allowed;
	size_t nallowed;
	char **sources;
	size_t nsources;
	struct policy_uid *uids;
	size_t nuids;
	uint32_t gid; /* 0: not settled by hand */
	bool accounts;
	unsigned line; /* of the section; 0: implied */
};

struct policy {
	char interface[IFNAMSIZ];
	char self[LABEL_MAX + 1];
	char host[LABEL_MAX + 1];
	char domain[DOMAIN_MAX + 1];
	char home[256], shell[256];
	uint16_t port;
	bool adopt;
	uint32_t fetch_every, max_age; /* seconds */
	uint32_t id_low, id_high;      /* inclusive */
	struct policy_peer *peers;     /* in the order of the file */
	size_t npeers;
};

/* Reads a configuration's text; name is for errors ("FILE:LINE: WHAT"). On failure *policy is
 * empty; else the caller frees it with policy_free. */
bool policy_parse(struct span text, const char *name, struct policy *policy, struct err *err);

/* Reads it from root + PATH_CONF. */
bool policy_load(const char *root, struct policy *policy, struct err *err);

void policy_free(struct policy *policy);

/* Adds the section of the own organisation if the file has none, and its AID if it has no AID
 * (DESIGN.md 5.5: implied where this host holds the identity). An AID that differs, or that folded
 * equals another peer's, is an error. The implied section comes first. */
bool policy_imply_self(struct policy *policy, const char *aid, struct err *err);

/* NULL when there is none. */
const struct policy_peer *policy_peer(const struct policy *policy, const char *name);
const struct policy_peer *policy_peer_by_aid(const struct policy *policy, const char *aid);

/* The peer whose AllowedIPs hold `prefix` by the longest prefix; equal ones: the own organisation,
 * then the section that stands first. NULL when none does. */
const struct policy_peer *policy_owner(const struct policy *policy, const struct prefix *prefix);

/* The account that a login of this peer may have, NULL for none. */
const struct policy_login *policy_login(const struct policy_peer *peer, struct span login);

/* [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most LABEL_MAX (DESIGN.md 5.2). */
bool label_valid(struct span text);
/* [a-z_][a-z0-9_-]{0,31} (DESIGN.md 5.2). */
bool login_valid(struct span text);

#endif
