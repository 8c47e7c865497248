/* init.c: `verimesh init`: this organisation's identity, its first card, a commented configuration. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "issue.h"
#include "paths.h"

#define DEFAULT_SELF "self"

/* What a newcomer edits; every key of DESIGN.md 5.5 stands in it, defaults as comments. *text is
 * malloc'd. */
static bool make_conf(const struct options *options, char **text, size_t *n, struct err *err) {
	char **addr = options->card.addrs, **route = options->card.routes;
	const char *self = options->self ? options->self : DEFAULT_SELF;
	FILE *out = open_memstream(text, n);

	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	fprintf(out,
		"# Verimesh on this host. verimesh sync puts changes in force.\n\n"
		"[Interface]\n"
		"Self = %s\n"
		"Host = %s\n"
		"#Name = verimesh0\n"
		"#Domain = mesh.internal\n"
		"#ListenPort = 51820\n"
		"#Adopt = no\n"
		"#FetchEvery = 5m\n"
		"#MaxAge = 24h\n"
		"#IdRange = 1879048192-2130706431\n"
		"#Home = /home/%%u@%%p\n"
		"#Shell = /bin/bash\n",
		self, options->card.host);
	if (*addr || *route)
		fprintf(out,
			"\n# What hosts of this organisation may claim beside their derived "
			"addresses.\n[Peer %s]\n",
			self);
	for (; *addr; addr++)
		fprintf(out, "AllowedIPs = %s\n", *addr);
	for (; *route; route++)
		fprintf(out, "AllowedIPs = %s\n", *route);
	fputs("\n# One section for each organisation that this host meshes with.\n"
	      "#[Peer clinic-b]\n"
	      "#AID = E...                       # printed by their verimesh init\n"
	      "#AllowedIPs = 10.77.2.0/24        # what their hosts may claim\n"
	      "#Logins = alice bob=rsmith        # who of theirs may log in here\n"
	      "#Source = https://dkms.clinic-b.example/oobi/E...\n"
	      "#Accounts = no\n",
		out);
	return fclose(out) == 0 || err_set(err, ERR_ENV, "out of memory");
}

/* Reads the configuration; *conf stays NULL, unless there is none and this one is to be written. LABEL
 * must be this host. */
static bool read_conf(const char *root, const struct options *options, struct policy *policy, char **conf,
	struct err *err) {
	const struct policy_peer *own;
	size_t n;

	if (!policy_load(root, policy, err) &&
		(err->status != ERR_ENV || errno != ENOENT || !make_conf(options, conf, &n, err) ||
			!policy_parse(span_of(*conf, n), PATH_CONF, policy, err)))
		return false;
	if (strcmp(policy->host, options->card.host) != 0)
		return err_set(err, ERR_USAGE, "%s" PATH_CONF ": Host is %s, not %s; make them agree", root,
			policy->host, options->card.host);
	if (options->self && strcmp(policy->self, options->self) != 0)
		return err_set(err, ERR_USAGE, "%s" PATH_CONF ": Self is %s, not %s; make them agree", root,
			policy->self, options->self);
	own = policy_peer(policy, policy->self);
	if (own && own->aid[0])
		return err_set(err, ERR_USAGE,
			"%s" PATH_CONF
			":%u: [Peer %s] has an AID already; remove it there to make a new identity",
			root, own->line, own->name);
	return true;
}

static bool write_conf(const char *root, const char *conf, struct err *err) {
	char path[PATH_MAX], dir[PATH_MAX];

	return !conf || (file_path(path, root, PATH_CONF, NULL, err) &&
				file_path(dir, root, "/etc/verimesh", NULL, err) &&
				file_mkdir(dir, 0755, err) && file_replace(path, span_str(conf), 0644, err));
}

/* The identity counts only when it is adopted, which comes last: an init that fails or is killed before may
 * be repeated. */
static bool make_identity(struct store *store, const struct policy *policy, struct identity *identity,
	struct options *options, const char *conf, char said[static CESR_TEXT], struct err *err) {
	char *event;
	bool good;
	size_t n;

	if (!identity_make(identity, &event, &n, err))
		return false;
	if (options->seal && !passphrase_get(PASSPHRASE_NEW, &identity->passphrase, err)) {
		free(event);
		return false;
	}
	good = book_own(&store->book, event, n, err);
	free(event);
	return good && issue_card(store, policy, identity, options, said, err) &&
	       write_conf(store->root, conf, err) &&
	       identity_adopt(store->root, identity, policy->adopt ? NULL : policy->host, err);
}

static bool refuse_second(const char *root, struct err *err) {
	char aid[CESR_TEXT], path[PATH_MAX];

	if (!identity_aid(root, aid, err) || !file_path(path, root, PATH_IDENTITY, NULL, err))
		return false;
	if (aid[0])
		return err_set(
			err, ERR_ENV, PATH_IDENTITY ": holds %s already; use verimesh issue for cards", aid);
	return rmdir(path) == 0 || errno == ENOENT ||
	       err_set(err, ERR_ENV,
		       "%s: holds the keys of verimesh key; move it away to make an identity here", path);
}

int verb_init(const struct command *command) {
	struct identity identity = {0};
	struct policy policy = {0};
	struct options options;
	int status = options_read(&options, command, FOR_INIT);
	struct store store;
	char said[CESR_TEXT], *conf = NULL;
	struct err err;
	bool good;

	if (status != 0)
		return status;
	good = store_open(&store, command->root, true, &err);
	if (good) {
		good = refuse_second(command->root, &err) &&
		       read_conf(command->root, &options, &policy, &conf, &err) &&
		       make_identity(&store, &policy, &identity, &options, conf, said, &err);
		store_close(&store);
	}
	if (good)
		printf("identity %s\nhost     %s.%s.%s, card %s\n\n"
		       "Others need this identity for their [Peer %s] section, and what verimesh export "
		       "prints.\n"
		       "It has no witnesses: a fork would show only to those who have two Sources.\n"
		       "Take " PATH_IDENTITY "/next offline: it holds the next signing key.\n",
			identity.aid, options.card.host, policy.self, policy.domain, said, policy.self);
	identity_wipe(&identity);
	policy_free(&policy);
	options_free(&options);
	free(conf);
	return good ? 0 : problem(&err);
}
