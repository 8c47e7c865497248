/* accounts.c: accounts login@peer and their numbers; see accounts.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounts.h"
#include "array.h"
#include "card.h"
#include "file.h"

struct builder {
	const struct policy *policy;
	struct ledger *ledger;
	accounts_report *report;
	void *ctx;
	const struct locals *locals;
	struct account *list;
	size_t n;
	bool out_of_memory;
};

__attribute__((format(printf, 3, 4))) static void refuse(
	struct builder *b, const struct policy_peer *peer, const char *fmt, ...) {
	struct err claim;
	va_list args;

	va_start(args, fmt);
	err_vset(&claim, ERR_NO, fmt, args);
	va_end(args);
	err_at(&claim, "%s", peer->name);
	b->report(b->ctx, &claim);
}

/* What is wanted: a number of a peer's login, or, with login "", of the peer's group. */
struct want {
	const struct policy_peer *peer;
	const char *login;
	uint64_t by_hand; /* 0: not settled by hand */
};

static const char *ledger_name(const struct want *want) {
	return *want->login ? want->login : "-";
}

/* Whose the number is besides; false: nobody's. */
static bool is_taken(
	const struct builder *b, const struct want *want, uint64_t number, char whose[static 100]) {
	const enum ledger_kind kind = *want->login ? LEDGER_UID : LEDGER_GID;
	const char *aid, *login;

	if (ledger_owner(b->ledger, kind, number, &aid, &login) &&
		(strcmp(aid, want->peer->aid) != 0 || strcmp(login, ledger_name(want)) != 0)) {
		snprintf(whose, 100, "is given to %s%s%s", *want->login ? login : "",
			*want->login ? " of " : "", aid);
		return true;
	}
	/* also its own one: a local user may have come since */
	snprintf(whose, 100, "is that of a local %s", *want->login ? "user" : "group");
	return locals_have(*want->login ? &b->locals->users : &b->locals->groups, number);
}

/* Settles one number; 0: it is refused. */
static uint32_t settle(struct builder *b, const struct want *want) {
	const enum ledger_kind kind = *want->login ? LEDGER_UID : LEDGER_GID;
	const uint64_t range = (uint64_t)b->policy->id_high - b->policy->id_low + 1;
	const char *aid = want->peer->aid;
	uint64_t number = want->by_hand;
	char whose[100];

	if (!number && !ledger_find(b->ledger, kind, aid, ledger_name(want), &number))
		number = b->policy->id_low + derived_number(aid, span_str(want->login)) % range;
	if (!is_taken(b, want, number, whose)) {
		b->out_of_memory =
			b->out_of_memory || !ledger_put(b->ledger, kind, aid, ledger_name(want), number);
		return (uint32_t)number;
	}
	if (*want->login)
		refuse(b, want->peer, "uid %" PRIu64 " for login %s %s; set Uid.%s to a free one", number,
			want->login, whose, want->login);
	else
		refuse(b, want->peer, "gid %" PRIu64 " for its group %s; set Gid to a free one", number,
			whose);
	return 0;
}

static void add_peer(struct builder *b, const struct policy_peer *peer) {
	uint32_t gid;

	if (b->locals->petname_taken[peer - b->policy->peers]) {
		refuse(b, peer,
			"is the name of a local user or group; rename the section, or set Accounts = no");
		return;
	}
	if (strspn(peer->name, "0123456789") == strlen(peer->name)) {
		/* chgrp and its like look for a name first */
		refuse(b, peer,
			"would be a group named by a number; rename the section, or set Accounts = no");
		return;
	}
	gid = settle(b, &(struct want){.peer = peer, .login = "", .by_hand = peer->gid});
	for (size_t i = 0; gid && i < peer->nlogins; i++) {
		struct want want = {.peer = peer, .login = peer->logins[i].login};
		struct account account = {.peer = peer, .login = &peer->logins[i], .gid = gid};

		if (account.login->written)
			continue;
		for (size_t k = 0; k < peer->nuids; k++)
			if (strcmp(peer->uids[k].login, want.login) == 0)
				want.by_hand = peer->uids[k].uid;
		account.uid = settle(b, &want);
		if (account.uid)
			b->list[b->n++] = account;
	}
}

static bool build(struct builder *b, const struct book *book, struct err *err) {
	size_t most = 1;

	for (size_t i = 0; i < b->policy->npeers; i++)
		if (b->policy->peers[i].accounts)
			most += b->policy->peers[i].nlogins;
	b->list = calloc(most, sizeof *b->list);
	if (!b->list)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < b->policy->npeers; i++)
		if (b->policy->peers[i].accounts && book_kel(book, b->policy->peers[i].aid))
			add_peer(b, &b->policy->peers[i]);
	return !b->out_of_memory || err_set(err, ERR_ENV, "out of memory");
}

bool accounts_build(const struct locals *locals, const struct policy *policy, const struct book *book,
	struct ledger *ledger, accounts_report *report, void *ctx, struct account **list, size_t *n,
	struct err *err) {
	struct builder b = {
		.policy = policy, .locals = locals, .ledger = ledger, .report = report, .ctx = ctx};
	bool good = build(&b, book, err);

	*list = b.list;
	*n = b.n;
	return good;
}

const struct account *accounts_find(const struct account *list, size_t n, const struct policy_login *login) {
	for (size_t i = 0; i < n; i++)
		if (list[i].login == login)
			return &list[i];
	return NULL;
}
