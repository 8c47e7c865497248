/* fetch.c: `verimesh fetch`: asks the Sources of peers, and imports what they show; see fetch.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "confine.h"
#include "fetch.h"
#include "file.h"
#include "identity.h"
#include "import.h"
#include "paths.h"
#include "policy.h"
#include "verimesh.h"

#define BODY_MAX ((size_t)32 << 20)  /* bytes of an answer */
#define BATCH_MAX ((size_t)64 << 20) /* bytes of answers that are imported together */
#define AT_ONCE 16		     /* Sources that are asked at the same time */
#define CONNECT_TIME 10L	     /* seconds */
#define TIME_LEAST 10		     /* seconds for an answer, or FetchEvery, but not more than */
#define TIME_MOST 60
#define SPEED_LEAST 1024L /* bytes a second, over 10 of them */
#define REDIRECTS 3L
#define CLEAR "\033[K" /* what an earlier line left behind the cursor */

/* One Source of one peer. */
struct source {
	const struct policy_peer *peer;
	const char *url;
	uint8_t *data; /* its answer, malloc'd, until it is imported */
	size_t n;
};

struct fetch {
	const char *root;
	struct policy policy;
	struct source *sources;
	size_t n;
	size_t held;	       /* bytes that wait to be imported */
	size_t asked, answers; /* Sources that were asked, that answered */
	bool terminal;	       /* standard error is one */
	int status;
};

/* In front of an answer, on its way from the process that asks. */
struct head {
	uint32_t source;
	char error[CURL_ERROR_SIZE]; /* "": none, and n bytes follow */
	uint64_t n;
};

static bool is_file(const struct source *source) {
	return strncmp(source->url, "file:", 5) == 0;
}

/* ---- the process that asks: it has no rights but to speak with the network ---- */

/* A Source that is being asked. */
struct transfer {
	CURL *curl;
	uint32_t source;
	uint8_t *data;
	size_t n;
	char error[CURL_ERROR_SIZE];
};

struct client {
	const struct fetch *fetch;
	CURLM *multi;
	struct transfer transfers[AT_ONCE];
	size_t next; /* Source to be asked */
	int out;
};

/* False: the parent is gone. */
static bool hand_over(const struct client *client, const struct transfer *t, const char *error) {
	struct head head = {.source = t->source, .n = error ? 0 : t->n};

	snprintf(head.error, sizeof head.error, "%s", error ? error : "");
	return file_send(client->out, &head, sizeof head) && file_send(client->out, t->data, head.n);
}

static size_t take_bytes(char *bytes, size_t one, size_t n, void *ctx) {
	struct transfer *t = ctx;

	if (n * one > BODY_MAX - t->n) {
		snprintf(t->error, sizeof t->error, "shows more than %zu MiB", BODY_MAX >> 20);
		return 0;
	}
	return array_bytes(&t->data, &t->n, bytes, n * one) ? n * one : 0;
}

static bool ask(struct client *client, struct transfer *t, const char *url) {
	const struct {
		CURLoption option;
		long value;
	} limits[] = {
		{CURLOPT_FOLLOWLOCATION, 1},
		{CURLOPT_MAXREDIRS, REDIRECTS},
		{CURLOPT_FAILONERROR, 1},
		{CURLOPT_CONNECTTIMEOUT, CONNECT_TIME},
		{CURLOPT_LOW_SPEED_LIMIT, SPEED_LEAST},
		{CURLOPT_LOW_SPEED_TIME, CONNECT_TIME},
		{CURLOPT_NOSIGNAL, 1},
	};
	long every = client->fetch->policy.fetch_every;
	CURL *curl = t->curl;

	curl_easy_reset(curl);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		curl_easy_setopt(curl, limits[i].option, limits[i].value);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT,
		every < TIME_LEAST  ? TIME_LEAST
		: every > TIME_MOST ? TIME_MOST
				    : every);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* what is asked for in private is not taken in public */
	curl_easy_setopt(
		curl, CURLOPT_REDIR_PROTOCOLS_STR, strncmp(url, "https:", 6) == 0 ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "verimesh/" VERIMESH_VERSION);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
	t->n = 0;
	t->error[0] = 0;
	return curl_multi_add_handle(client->multi, curl) == CURLM_OK;
}

/* Asks the next Source, if there is one. False: it cannot. */
static bool ask_next(struct client *client, struct transfer *t) {
	const struct fetch *fetch = client->fetch;

	while (client->next < fetch->n && is_file(&fetch->sources[client->next]))
		client->next++;
	if (client->next == fetch->n)
		return true;
	t->source = (uint32_t)client->next++;
	return ask(client, t, fetch->sources[t->source].url);
}

static bool finish(struct client *client, const CURLMsg *message) {
	struct transfer *t;
	const char *error = NULL;
	bool good;

	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
	if (message->data.result != CURLE_OK)
		error = t->error[0] ? t->error : curl_easy_strerror(message->data.result);
	good = hand_over(client, t, error);
	free(t->data);
	t->data = NULL;
	curl_multi_remove_handle(client->multi, t->curl);
	return good && ask_next(client, t);
}

static bool run_client(struct client *client) {
	bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == 0 && (client->multi = curl_multi_init());
	const CURLMsg *message;
	int running = 1, left;

	for (size_t i = 0; good && i < AT_ONCE; i++) {
		client->transfers[i].curl = curl_easy_init();
		good = client->transfers[i].curl && ask_next(client, &client->transfers[i]);
	}
	while (good && running) {
		good = curl_multi_perform(client->multi, &running) == CURLM_OK;
		message = curl_multi_info_read(client->multi, &left);
		if (good && running && !message)
			good = curl_multi_poll(client->multi, NULL, 0, 1000, NULL) == CURLM_OK;
		for (; good && message; message = curl_multi_info_read(client->multi, &left)) {
			good = finish(client, message);
			running = 1; /* another may have begun */
		}
	}
	return good;
}

/* ---- this process ---- */

/* Makes the process that asks; *in is where its answers come from. -1 with err. */
static pid_t start_client(const struct fetch *fetch, int *in, struct err *err) {
	struct client client = {.fetch = fetch};
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		err_set(err, ERR_ENV, "pipe: %m");
		return -1;
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		client.out = ends[1];
		if (!confine(CONFINE_CLIENT, err))
			problem(err);
		else if (run_client(&client))
			_exit(0);
		_exit(ERR_ENV);
	}
	if (pid < 0)
		err_set(err, ERR_ENV, "fork: %m");
	close(ends[1]);
	*in = ends[0];
	if (pid < 0)
		close(*in);
	return pid;
}

/* On a terminal, one line that is rewritten. */
static void show_progress(const struct fetch *fetch) {
	if (fetch->terminal)
		fprintf(stderr, "\r%zu of %zu Sources" CLEAR, fetch->asked, fetch->n);
}

static void end_progress(const struct fetch *fetch) {
	if (fetch->terminal)
		fputs("\r" CLEAR, stderr);
}

static void complain(struct fetch *fetch, const struct source *source, const char *what) {
	struct err err;

	end_progress(fetch);
	err_set(&err, ERR_NO, "%s: %s: %s", source->peer->name, source->url, what);
	problem(&err);
	if (!fetch->status)
		fetch->status = ERR_NO;
}

/* Imports the answers that are here. */
static void import_held(struct fetch *fetch) {
	struct import_stream *streams = calloc(fetch->n, sizeof *streams);
	int status = streams ? 0 : ERR_ENV;
	size_t n = 0;

	for (size_t i = 0; streams && i < fetch->n; i++) {
		const struct source *source = &fetch->sources[i];

		if (source->data)
			streams[n++] = (struct import_stream){
				source->url, span_of(source->data, source->n), source->peer->aid};
	}
	end_progress(fetch);
	if (n)
		status = import_streams(fetch->root, NULL, streams, n);
	if (status > fetch->status)
		fetch->status = status;
	for (size_t i = 0; i < fetch->n; i++) {
		free(fetch->sources[i].data);
		fetch->sources[i].data = NULL;
	}
	free(streams);
	fetch->held = 0;
}

/* Keeps an answer, malloc'd, to be imported with others. */
static void hold(struct fetch *fetch, struct source *source, uint8_t *data, size_t n) {
	source->data = data;
	source->n = n;
	fetch->answers++;
	fetch->held += n + 1;
	if (fetch->held > BATCH_MAX)
		import_held(fetch);
}

/* One answer of the process that asks. False when that is to be left: it ended, or is not itself any more.
 */
static bool receive(struct fetch *fetch, int in) {
	struct source *source;
	uint8_t *data = NULL;
	struct head head;

	if (!file_receive(in, &head, sizeof head) || head.source >= fetch->n || head.n > BODY_MAX)
		return false;
	head.error[sizeof head.error - 1] = 0;
	source = &fetch->sources[head.source];
	if (source->data || is_file(source))
		return false;
	fetch->asked++;
	show_progress(fetch);
	if (head.error[0]) {
		complain(fetch, source, head.error);
		return true;
	}
	data = malloc(head.n + 1);
	if (!data || !file_receive(in, data, head.n)) {
		free(data);
		return false;
	}
	hold(fetch, source, data, head.n);
	return true;
}

/* Those of the network. */
static bool fetch_remote(struct fetch *fetch, struct err *err) {
	struct pollfd answer = {.events = POLLIN};
	pid_t pid = start_client(fetch, &answer.fd, err);
	int status = 0;

	if (pid < 0)
		return false;
	do
		/* while the others make us wait, those who answered need not */
		if (fetch->held && poll(&answer, 1, 1000) == 0)
			import_held(fetch);
	while (receive(fetch, answer.fd));
	end_progress(fetch);
	close(answer.fd);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status == 0 ||
	       err_set(err, ERR_ENV, "the process that asks Sources died; some were not asked");
}

static void fetch_file(struct fetch *fetch, struct source *source) {
	const char *path = source->url + strlen("file:");
	struct stat st = {0};
	struct err err = {0};
	uint8_t *data;
	size_t n;
	int fd;

	path += strncmp(path, "//", 2) == 0 ? 2 : 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nor wait for a pipe */
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
		err_set(&err, ERR_ENV, "is no regular file");
	else if (fd < 0)
		err_set(&err, ERR_ENV, "%m");
	else if (file_read_fd(fd, path, BODY_MAX, &data, &n, &err))
		hold(fetch, source, data, n);
	if (fd >= 0)
		close(fd);
	if (err.text[0])
		complain(fetch, source, err.text);
}

static bool add_sources(struct fetch *fetch, const struct policy_peer *peer, struct err *err) {
	struct source source = {.peer = peer};

	for (size_t i = 0; i < peer->nsources; i++) {
		source.url = peer->sources[i];
		if (!array_append(&fetch->sources, &fetch->n, &source, sizeof source))
			return err_set(err, ERR_ENV, "out of memory");
	}
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

static bool fetch_sources(struct fetch *fetch, char **peers, int n, struct err *err) {
	bool remote = false;

	if (!open_policy(fetch, err) || !list_sources(fetch, peers, n, err))
		return false;
	for (size_t i = 0; i < fetch->n; i++)
		if (is_file(&fetch->sources[i]))
			fetch_file(fetch, &fetch->sources[i]);
		else
			remote = true;
	return !remote || fetch_remote(fetch, err);
}

int fetch_all(const char *root, char **peers, int n) {
	struct fetch fetch = {.root = root, .terminal = isatty(STDERR_FILENO)};
	struct err err;

	if (!fetch_sources(&fetch, peers, n, &err))
		fetch.status = problem(&err);
	if (fetch.held)
		import_held(&fetch);
	free(fetch.sources);
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
