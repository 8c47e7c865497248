/* key.c: `verimesh key`: the keys of a host whose organisation's identity another host holds. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "issue.h"
#include "paths.h"

static bool refuse_waiting(struct err *err) {
	return err_set(err, ERR_NO,
		PATH_IDENTITY
		"/tunnel.next: waits for a card with what verimesh key prints; issue it and sync");
}

/* Whether keys may be made here, and new ones now. */
static bool may_make(const char *root, const struct policy *policy, bool renew, struct err *err) {
	char aid[CESR_TEXT];

	if (!identity_aid(root, aid, err))
		return false;
	if (aid[0])
		return err_set(err, ERR_NO,
			PATH_IDENTITY ": holds %s; this host's keys grow from the identity", aid);
	if (renew && policy->adopt)
		return err_set(err, ERR_NO, "%s: has its own key (Adopt = yes); renew it where it is made",
			policy->interface);
	if (!renew || !identity_closed(root, SECRET_TUNNEL_NEXT, err))
		return !renew || errno == ENOENT;
	return refuse_waiting(err);
}

static bool settle_seed(const char *root, bool renew, uint8_t seed[static SEED_BYTES], struct err *err) {
	if (!renew && secret_read(root, SECRET_HOST, seed, err))
		return true;
	if (!renew && errno != ENOENT)
		return false;
	randombytes_buf(seed, SEED_BYTES);
	return secret_write(root, PATH_IDENTITY, SECRET_HOST, seed, err);
}

/* The seed's tunnel secret becomes this host's, or its next one beside one that is in use. Made good, too,
 * after a crash behind a new seed. */
static bool settle_tunnel(const char *root, const uint8_t secret[static WG_KEY_BYTES], struct err *err) {
	static const char *const names[] = {SECRET_TUNNEL, SECRET_TUNNEL_NEXT};
	uint8_t there[WG_KEY_BYTES];
	bool same;

	for (size_t i = 0; i < 2; i++) {
		if (!secret_read(root, names[i], there, err))
			return errno == ENOENT && secret_write(root, PATH_IDENTITY, names[i], secret, err);
		same = sodium_memcmp(there, secret, sizeof there) == 0;
		sodium_memzero(there, sizeof there);
		if (same)
			return true;
	}
	return refuse_waiting(err);
}

static bool print_keys(const char *root, const struct policy *policy, const uint8_t seed[static SEED_BYTES],
	struct err *err) {
	uint8_t key[WG_KEY_BYTES], secret[WG_KEY_BYTES];
	char journal[CESR_TEXT], text[WG_KEY_TEXT];
	bool good;

	derive_tunnel(seed, policy->host, secret);
	good = (policy->adopt || settle_tunnel(root, secret, err)) &&
	       issue_own_keys(policy, seed, key, journal, err);
	sodium_memzero(secret, sizeof secret);
	if (!good)
		return false;
	wg_key_encode(key, text);
	printf("--key %s --journal %s\n", text, journal);
	return true;
}

int verb_key(const struct command *command) {
	bool good, renew = command->nargs == 2 && strcmp(command->args[1], "--renew") == 0;
	uint8_t seed[SEED_BYTES];
	struct policy policy;
	struct err err;
	int lock;

	if (command->nargs != 1 && !renew)
		return usage(command, "takes no words but --renew");
	if (!policy_load(command->root, &policy, &err))
		return problem(&err);
	lock = store_lock(command->root, &err);
	good = lock >= 0 && may_make(command->root, &policy, renew, &err) &&
	       settle_seed(command->root, renew, seed, &err) &&
	       print_keys(command->root, &policy, seed, &err);
	sodium_memzero(seed, sizeof seed);
	if (lock >= 0)
		close(lock);
	policy_free(&policy);
	return good ? 0 : problem(&err);
}
