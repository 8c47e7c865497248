/* policy.h: verimesh.conf, what this host's administrator allows (DESIGN.md 5.5). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Beyond that section: keys and section words match without case, as in wg; values, yes and no
 * match as written. White space around keys, values and names does not count, a carriage return is
 * white space, a byte order mark is skipped, a NUL byte is refused.
 *   Name        [A-Za-z0-9_=+.-]{1,15}, not . or .., no - at the start
 *   Domain      labels joined by dots; kept in lower case
 *   FetchEvery, MaxAge   seconds, or a number and s, m, h, d; 1 to UINT32_MAX seconds
 *   IdRange     within 1000 to 4294967293 and without 65534 and 65535 (nobody)
 *   Home        %u login, %p petname, %% a %; no other %. Shell: no %
 *   Logins, AllowedIPs   words apart by white space or commas, possibly none
 *   AllowedIPs  canonical text; an address without /n is that one host
 *   Source      one in a line; file:/PATH or file:///PATH, http(s)://HOST..., no white space
 *   Uid, Gid    1 to 4294967293
 */
#ifndef VERIMESH_POLICY_H
#define VERIMESH_POLICY_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "card.h"
#include "cesr.h"
#include "err.h"

#define DOMAIN_MAX 100

/* One word of `Logins`: this login of the peer becomes that account here. The account root stands
 * only where it is written. */
struct policy_login {
	char login[LOGIN_MAX + 1];
	char account[LOGIN_MAX + LABEL_MAX + 2]; /* as written, or login@peer with Accounts = yes */
	bool written;				 /* `login=account` stands in the file */
	bool root;				 /* it would be uid 0 without that: locals_read's to say */
	unsigned line;				 /* where it is listed */
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
	const char **sources; /* the strings are the policy's text */
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
	char *text; /* what the file said */
};

/* Reads a configuration's text, in time n log n; name is for errors ("FILE:LINE: WHAT"). On failure
 * *policy is empty (err: ERR_USAGE, or ERR_ENV without memory); else the caller frees it with
 * policy_free. Without Host this machine's short host name is asked for. */
bool policy_parse(struct span text, const char *name, struct policy *policy, struct err *err);

/* Reads it from root + PATH_CONF, at most 16 MiB. A file that is not there: errno ENOENT. */
bool policy_load(const char *root, struct policy *policy, struct err *err);

void policy_free(struct policy *policy);

/* Adds the section of the own organisation if the file has none, and its AID if it has no AID
 * (DESIGN.md 5.5: implied where this host holds the identity). An AID that differs, or that folded
 * equals another peer's, is an error that leaves *policy as it was. The implied section comes
 * first; pointers to peers from before are void. */
bool policy_imply_self(struct policy *policy, const char *aid, struct err *err);

/* NULL when there is none. */
const struct policy_peer *policy_peer(const struct policy *policy, const char *name);

/* The account that a login of this peer may have, NULL for none. */
const struct policy_login *policy_login(const struct policy_peer *peer, struct span login);

#endif
