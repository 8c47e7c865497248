/* fuzz_policy.c: fuzzes how verimesh.conf is read. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "policy.h"

static void check_good(struct policy *policy) {
	static const char aid[] = "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2";
	struct err err = {0};

	assert(policy->self[0] && policy->interface[0] && policy->domain[0]);
	assert(policy->id_low <= policy->id_high && policy->fetch_every > 0 && policy->max_age > 0);
	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];

		assert(policy_peer(policy, peer->name) == peer);
		for (size_t k = 0; k < peer->nlogins; k++)
			assert(policy_login(peer, span_str(peer->logins[k].login)));
	}
	if (policy_imply_self(policy, aid, &err))
		assert(policy_peer(policy, policy->self));
	else
		assert(err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct err err = {0};
	struct policy policy;

	if (policy_parse(span_of(data, size), "fuzz", &policy, &err))
		check_good(&policy);
	else
		assert(err.text[0] && !policy.peers);
	policy_free(&policy);
	return 0;
}
