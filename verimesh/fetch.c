/* fetch.c: `verimesh fetch`: asks the Sources of peers, and imports what they show; see fetch.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "array.h"
#include "fetch.h"
#include "identity.h"
#include "import.h"
#include "paths.h"
#include "policy.h"
#include "sources.h"
#include "verimesh.h"

#define BATCH_MAX ((size_t)64 << 20) /* bytes of answers that are imported together */
#define CLEAR "\033[K"		     /* what an earlier line left behind the cursor */

/* Whose Source it is, and its answer until that is imported. */
struct source {
	const struct policy_peer *peer;
	uint8_t *data; /* malloc'd */
	size_t n;
};

struct fetch {
	const char *root;
	struct policy policy;
	struct source *sources;
	const char **urls; /* of them */
	size_t n;
	size_t held;	       /* bytes that wait to be imported */
	size_t asked, answers; /* Sources that were asked, that answered */
	bool terminal;	       /* standard error is one */
	int status;
};

/* On a terminal, one line that is rewritten. */
static void show_progress(const struct fetch *fetch) {
	if (fetch->terminal)
		fprintf(stderr, "\r%zu of %zu Sources" CLEAR, fetch->asked, fetch->n);
}

static void end_progress(const struct fetch *fetch) {
	if (fetch->terminal)
		fputs("\r" CLEAR, stderr);
}

static void complain(struct fetch *fetch, size_t source, const char *what) {
	struct err err;

	end_progress(fetch);
	err_set(&err, ERR_NO, "%s: %s: %s", fetch->sources[source].peer->name, fetch->urls[source], what);
	problem(&err);
	if (!fetch->status)
		fetch->status = ERR_NO;
}

/* Imports the answers that are here: while others make us wait, those who answered need not. */
static void import_held(void *ctx) {
	struct fetch *fetch = ctx;
	struct import_stream *streams = fetch->held ? calloc(fetch->n, sizeof *streams) : NULL;
	int status = fetch->held && !streams ? ERR_ENV : 0;
	size_t n = 0;

	for (size_t i = 0; streams && i < fetch->n; i++) {
		const struct source *source = &fetch->sources[i];

		if (source->data)
			streams[n++] = (struct import_stream){
				fetch->urls[i], span_of(source->data, source->n), source->peer->aid};
	}
	end_progress(fetch);
	if (n)
		status = import_streams(fetch->root, &fetch->policy, NULL, streams, n);
	if (status > fetch->status)
		fetch->status = status;
	for (size_t i = 0; fetch->held && i < fetch->n; i++) {
		free(fetch->sources[i].data);
		fetch->sources[i].data = NULL;
	}
	free(streams);
	fetch->held = 0;
}

static void take(void *ctx, size_t source, uint8_t *data, size_t n, const char *error) {
	struct fetch *fetch = ctx;
	struct source *into = &fetch->sources[source];

	fetch->asked++;
	show_progress(fetch);
	if (!data) {
		complain(fetch, source, error);
		return;
	}
	free(into->data); /* a Source that answers twice is asked by something odd */
	into->data = data;
	into->n = n;
	fetch->answers++;
	fetch->held += n + 1;
	if (fetch->held > BATCH_MAX)
		import_held(fetch);
}

static bool add_sources(struct fetch *fetch, const struct policy_peer *peer, struct err *err) {
	const struct source source = {.peer = peer};
	size_t n = fetch->n;

	for (size_t i = 0; i < peer->nsources; i++, n = fetch->n)
		if (!array_append(&fetch->urls, &n, &peer->sources[i], sizeof peer->sources[i]) ||
			!array_append(&fetch->sources, &fetch->n, &source, sizeof source))
			return err_set(err, ERR_ENV, "out of memory");
	return true;
}

/* Those of the peers that were named, or of all of whom it is known who they are. */
static bool list_sources(struct fetch *fetch, char **peers, int n, struct err *err) {
	const struct policy *policy = &fetch->policy;
	const struct policy_peer *peer;
	bool good = true;

	for (size_t i = 0; good && n == 0 && i < policy->npeers; i++)
		good = !policy->peers[i].aid[0] || add_sources(fetch, &policy->peers[i], err);
	for (int i = 0; good && i < n; i++) {
		peer = policy_peer(policy, peers[i]);
		if (!peer || !peer->nsources)
			good = err_set(err, ERR_USAGE, PATH_CONF ": %s [Peer %s]%s",
				peer ? "no Source in" : "no", peers[i], peer ? "" : "; add it");
		else
			good = add_sources(fetch, peer, err);
	}
	return good;
}

static bool open_policy(struct fetch *fetch, struct err *err) {
	char aid[CESR_TEXT];

	return policy_load(fetch->root, &fetch->policy, err) && identity_aid(fetch->root, aid, err) &&
	       (!aid[0] || policy_imply_self(&fetch->policy, aid, err));
}

static bool ask_sources(struct fetch *fetch, char **peers, int n, struct err *err) {
	struct sources_asker asker = {.answer = take, .idle = import_held, .ctx = fetch};

	if (!open_policy(fetch, err) || !list_sources(fetch, peers, n, err))
		return false;
	asker.urls = fetch->urls;
	asker.n = fetch->n;
	asker.seconds = fetch->policy.fetch_every;
	return sources_ask(&asker, err);
}

int fetch_all(const char *root, char **peers, int n) {
	struct fetch fetch = {.root = root, .terminal = isatty(STDERR_FILENO)};
	struct err err;

	if (!ask_sources(&fetch, peers, n, &err))
		fetch.status = problem(&err);
	import_held(&fetch);
	free(fetch.sources);
	free(fetch.urls);
	policy_free(&fetch.policy);
	return fetch.n && !fetch.answers && fetch.status == ERR_NO ? FETCH_SILENT : fetch.status;
}

int verb_fetch(const struct command *command) {
	int status;

	for (int i = 1; i < command->nargs; i++)
		if (is_option(command->args[i]))
			return usage(command, "takes names of peers");
	status = fetch_all(command->root, command->args + 1, command->nargs - 1);
	return status == FETCH_SILENT ? ERR_NO : status;
}
