/* key.c: `verimesh key`: the keys of a host whose organisation's identity another host holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"
#include "paths.h"
#include "policy.h"
#include "store.h"
#include "verimesh.h"
#include "wireguard.h"

/* What is printed. */
struct keys {
	uint8_t tunnel[WG_KEY_BYTES];
	char journal[CESR_TEXT];
};

static bool refuse_waiting(struct err *err) {
	return err_set(err, ERR_NO,
		PATH_IDENTITY
		"/tunnel.next: waits for a card with what verimesh key prints; issue it and sync");
}

/* Whether keys may be made here, and new ones now. */
static bool may_make(const char *root, const struct policy *policy, bool renew, struct err *err) {
	uint8_t next[WG_KEY_BYTES];
	char aid[CESR_TEXT];

	if (!identity_aid(root, aid, err))
		return false;
	if (aid[0])
		return err_set(err, ERR_NO,
			PATH_IDENTITY ": holds %s; this host's keys grow from the identity", aid);
	if (renew && policy->adopt)
		return err_set(err, ERR_NO, "%s: has its own key (Adopt = yes); renew it where it is made",
			policy->interface);
	if (!renew || !tunnel_secret_read(root, true, next, err))
		return !renew || errno == ENOENT;
	sodium_memzero(next, sizeof next);
	return refuse_waiting(err);
}

static bool settle_seed(const char *root, bool renew, uint8_t seed[static SEED_BYTES], struct err *err) {
	if (!renew && host_seed_read(root, seed, err))
		return true;
	if (!renew && errno != ENOENT)
		return false;
	randombytes_buf(seed, SEED_BYTES);
	return host_seed_write(root, seed, err);
}

/* The seed's tunnel secret becomes this host's, or its next one beside one that is in use. Made good, too,
 * after a crash behind a new seed. */
static bool settle_tunnel(const char *root, const uint8_t secret[static WG_KEY_BYTES], struct err *err) {
	uint8_t there[WG_KEY_BYTES];
	bool same;

	for (int next = 0; next < 2; next++) {
		if (!tunnel_secret_read(root, next, there, err))
			return errno == ENOENT && tunnel_secret_write(root, next, secret, err);
		same = sodium_memcmp(there, secret, sizeof there) == 0;
		sodium_memzero(there, sizeof there);
		if (same)
			return true;
	}
	return refuse_waiting(err);
}

static bool make_keys(
	const char *root, const struct policy *policy, bool renew, struct keys *keys, struct err *err) {
	uint8_t seed[SEED_BYTES], secret[WG_KEY_BYTES];
	bool good;

	if (!may_make(root, policy, renew, err))
		return false;
	good = settle_seed(root, renew, seed, err);
	if (good) {
		derive_journal(seed, policy->host, keys->journal);
		derive_tunnel(seed, policy->host, secret);
		tunnel_public(secret, keys->tunnel);
		good = policy->adopt ? wireguard_public(policy->interface, keys->tunnel, err)
				     : settle_tunnel(root, secret, err);
		sodium_memzero(secret, sizeof secret);
	}
	sodium_memzero(seed, sizeof seed);
	return good;
}

int verb_key(const struct command *command) {
	bool good, renew = command->nargs == 2 && strcmp(command->args[1], "--renew") == 0;
	char text[WG_KEY_TEXT];
	struct policy policy;
	struct keys keys;
	struct err err;
	int lock;

	if (command->nargs != 1 && !renew)
		return usage(command, "takes no words but --renew");
	if (!policy_load(command->root, &policy, &err))
		return problem(&err);
	lock = store_lock(command->root, &err);
	good = lock >= 0 && make_keys(command->root, &policy, renew, &keys, &err);
	if (lock >= 0)
		close(lock);
	policy_free(&policy);
	if (!good)
		return problem(&err);
	wg_key_encode(keys.tunnel, text);
	printf("--key %s --journal %s\n", text, keys.journal);
	return 0;
}
