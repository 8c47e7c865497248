/* locals.c: reads this system's own accounts; see locals.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "file.h"
#include "locals.h"

struct reading {
	struct locals *locals;
	const struct policy *policy;
};

static int compare_ids(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* A name login@peer counts as one of the peer's, for it would stand before the account of that name. */
static bool add(const struct reading *r, struct locals_ids *ids, const char *name, uint32_t id) {
	const char *at = strrchr(name, '@');
	const struct policy_peer *peer = policy_peer(r->policy, at ? at + 1 : name);

	if (peer)
		r->locals->petname_taken[peer - r->policy->peers] = true;
	return array_append(&ids->list, &ids->n, &id, sizeof id);
}

static void read_users(const struct reading *r, FILE *in) {
	struct passwd *user;

	while ((user = fgetpwent(in)) && add(r, &r->locals->users, user->pw_name, user->pw_uid))
		;
}

static void read_groups(const struct reading *r, FILE *in) {
	struct group *group;

	while ((group = fgetgrent(in)) && add(r, &r->locals->groups, group->gr_name, group->gr_gid))
		;
}

/* Out of the files, because this tool never asks its own NSS module. */
static bool read_file(const struct reading *r, const char *root, const char *file,
	void (*read)(const struct reading *r, FILE *in), struct err *err) {
	char path[PATH_MAX];
	FILE *in;
	bool good;

	if (!file_path(path, root, file, NULL, err))
		return false;
	in = fopen(path, "re");
	if (!in)
		return errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path);
	read(r, in);
	good = feof(in) || err_set(err, ERR_ENV, "%s: %m", path);
	fclose(in);
	return good;
}

static void sort(struct locals_ids *ids) {
	if (ids->n)
		qsort(ids->list, ids->n, sizeof *ids->list, compare_ids);
}

/* The same of a system below another root: by its file. */
static bool is_root_below(const char *root, const char *account) {
	const struct passwd *user;
	char path[PATH_MAX];
	bool found = false;
	FILE *in;

	if (!file_path(path, root, "/etc/passwd", NULL, NULL))
		return true;
	in = fopen(path, "re");
	if (!in)
		return errno != ENOENT;
	while (!found && (user = fgetpwent(in)))
		found = user->pw_uid == 0 && strcmp(user->pw_name, account) == 0;
	fclose(in);
	return found;
}

/* An account with uid 0 only by a written login=account (DESIGN.md 5.5); so one of which it cannot be
 * found out, too. */
static bool is_unwritten_root(
	const char *root, const struct policy_peer *peer, const struct policy_login *rule) {
	const struct passwd *found;

	if (rule->written || peer->accounts)
		return false;
	if (root[0])
		return is_root_below(root, rule->account);
	errno = 0;
	found = getpwnam(rule->account);
	return found ? found->pw_uid == 0 : errno != 0 && errno != ENOENT && errno != ESRCH;
}

bool locals_read(struct locals *locals, const char *root, struct policy *policy, struct err *err) {
	const struct reading r = {locals, policy};
	bool any = false;

	*locals = (struct locals){.petname_taken = calloc(policy->npeers + 1, sizeof(bool))};
	if (!locals->petname_taken)
		return err_set(err, ERR_ENV, "out of memory");
	for (struct policy_peer *peer = policy->peers; peer < policy->peers + policy->npeers; peer++) {
		any = any || peer->accounts;
		for (size_t i = 0; i < peer->nlogins; i++)
			peer->logins[i].root = is_unwritten_root(root, peer, &peer->logins[i]);
	}
	if (any && !(read_file(&r, root, "/etc/passwd", read_users, err) &&
			   read_file(&r, root, "/etc/group", read_groups, err))) {
		locals_free(locals);
		return false;
	}
	sort(&locals->users);
	sort(&locals->groups);
	return true;
}

void locals_free(struct locals *locals) {
	free(locals->users.list);
	free(locals->groups.list);
	free(locals->petname_taken);
	*locals = (struct locals){0};
}

bool locals_have(const struct locals_ids *ids, uint64_t number) {
	uint32_t id = (uint32_t)number;

	return ids->n && bsearch(&id, ids->list, ids->n, sizeof id, compare_ids);
}
