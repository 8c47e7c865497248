/* accounts.c: accounts login@peer and their numbers; see accounts.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounts.h"
#include "array.h"
#include "card.h"
#include "file.h"

/* Numbers of local users or groups, sorted. */
struct local {
	uint32_t *ids;
	size_t n;
};

struct builder {
	const struct policy *policy;
	struct ledger *ledger;
	accounts_report *report;
	void *ctx;
	struct local users, groups;
	bool *petname_taken; /* by peer: a local user or group has that name */
	struct account *list;
	size_t n;
	bool out_of_memory;
};

static int compare_ids(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* A name login@peer counts as one of the peer's, for it would stand before the account of that name. */
static bool add_local(struct builder *b, struct local *local, const char *name, uint32_t id) {
	const char *at = strrchr(name, '@');
	const struct policy_peer *peer = policy_peer(b->policy, at ? at + 1 : name);

	if (peer)
		b->petname_taken[peer - b->policy->peers] = true;
	return array_append(&local->ids, &local->n, &id, sizeof id);
}

static void read_users(struct builder *b, FILE *in) {
	struct passwd *user;

	while ((user = fgetpwent(in)) && add_local(b, &b->users, user->pw_name, user->pw_uid))
		;
}

static void read_groups(struct builder *b, FILE *in) {
	struct group *group;

	while ((group = fgetgrent(in)) && add_local(b, &b->groups, group->gr_name, group->gr_gid))
		;
}

/* Out of the files, because this tool never asks its own NSS module. */
static bool read_local(struct builder *b, const char *root, const char *file,
	void (*read)(struct builder *b, FILE *in), struct err *err) {
	char path[PATH_MAX];
	FILE *in;
	bool good;

	if (!file_path(path, root, file, NULL, err))
		return false;
	in = fopen(path, "re");
	if (!in)
		return errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path);
	read(b, in);
	good = feof(in) || err_set(err, ERR_ENV, "%s: %m", path);
	fclose(in);
	return good;
}

static void sort(struct local *local) {
	if (local->n)
		qsort(local->ids, local->n, sizeof *local->ids, compare_ids);
}

static bool is_local(const struct local *local, uint64_t number) {
	uint32_t id = (uint32_t)number;

	return local->n && bsearch(&id, local->ids, local->n, sizeof id, compare_ids);
}

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
	return is_local(*want->login ? &b->users : &b->groups, number);
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

	if (b->petname_taken[peer - b->policy->peers]) {
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

static bool build(struct builder *b, const char *root, const struct book *book, struct err *err) {
	size_t most = 1;

	for (size_t i = 0; i < b->policy->npeers; i++)
		if (b->policy->peers[i].accounts)
			most += b->policy->peers[i].nlogins;
	b->list = calloc(most, sizeof *b->list);
	b->petname_taken = calloc(b->policy->npeers + 1, sizeof *b->petname_taken);
	if (!b->list || !b->petname_taken)
		return err_set(err, ERR_ENV, "out of memory");
	if (!read_local(b, root, "/etc/passwd", read_users, err) ||
		!read_local(b, root, "/etc/group", read_groups, err))
		return false;
	sort(&b->users);
	sort(&b->groups);
	for (size_t i = 0; i < b->policy->npeers; i++)
		if (b->policy->peers[i].accounts && book_kel(book, b->policy->peers[i].aid))
			add_peer(b, &b->policy->peers[i]);
	return !b->out_of_memory || err_set(err, ERR_ENV, "out of memory");
}

bool accounts_build(const char *root, const struct policy *policy, const struct book *book,
	struct ledger *ledger, accounts_report *report, void *ctx, struct account **list, size_t *n,
	struct err *err) {
	struct builder b = {.policy = policy, .ledger = ledger, .report = report, .ctx = ctx};
	bool any = false, good = true;

	for (size_t i = 0; i < policy->npeers; i++)
		any = any || policy->peers[i].accounts;
	if (any)
		good = build(&b, root, book, err);
	free(b.users.ids);
	free(b.groups.ids);
	free(b.petname_taken);
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
