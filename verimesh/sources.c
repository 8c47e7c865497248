/* sources.c: asks Sources, and whether they know the own log as this host does; see sources.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "book.h"
#include "confine.h"
#include "file.h"
#include "sources.h"
#include "store.h"
#include "verimesh.h"

#define BODY_MAX ((size_t)32 << 20) /* bytes of an answer */
#define AT_ONCE 16		    /* Sources that are asked at the same time */
#define CONNECT_TIME 10L	    /* seconds */
#define TIME_LEAST 10
#define TIME_MOST 60
#define GRACE 5		  /* more seconds, before the process that asks is given up */
#define SPEED_LEAST 1024L /* bytes a second, over CONNECT_TIME */
#define REDIRECTS 3L
#define ROOM (64 << 20) /* bytes of answers that wait between the processes */

/* In front of an answer, on its way from the process that asks. */
struct head {
	uint32_t source;
	char error[CURL_ERROR_SIZE]; /* "": none, and n bytes follow */
	uint64_t n;
};

static long seconds_for_one(const struct sources_asker *asker) {
	if (asker->seconds < TIME_LEAST)
		return TIME_LEAST;
	return asker->seconds > TIME_MOST ? TIME_MOST : (long)asker->seconds;
}

static bool is_file(const char *url) {
	return strncmp(url, "file:", 5) == 0;
}

/* ---- the process that asks: it has no rights but to speak with the network ---- */

/* A Source that is being asked. */
struct transfer {
	CURL *curl;
	uint32_t source;
	uint8_t *data;
	size_t n;
	bool large; /* larger than what is taken */
	char error[CURL_ERROR_SIZE];
};

struct client {
	const struct sources_asker *asker;
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

	t->large = n * one > BODY_MAX - t->n;
	if (t->large)
		return 0;
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
	CURL *curl = t->curl;

	curl_easy_reset(curl);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		curl_easy_setopt(curl, limits[i].option, limits[i].value);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, seconds_for_one(client->asker));
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
	t->large = false;
	t->error[0] = 0;
	return curl_multi_add_handle(client->multi, curl) == CURLM_OK;
}

/* Asks the next Source, if there is one. False: it cannot. */
static bool ask_next(struct client *client, struct transfer *t) {
	const struct sources_asker *asker = client->asker;

	while (client->next < asker->n && is_file(asker->urls[client->next]))
		client->next++;
	if (client->next == asker->n)
		return true;
	t->source = (uint32_t)client->next++;
	return ask(client, t, asker->urls[t->source]);
}

static bool finish(struct client *client, const CURLMsg *message) {
	struct transfer *t;
	const char *error = NULL;
	char *took;
	bool good;

	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
	took = strstr(t->error, " after ");
	if (took) /* so many ms, others each time: watch tells what is new */
		*took = 0;
	if (t->large)
		error = "shows more than 32 MiB";
	else if (message->data.result != CURLE_OK)
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
static pid_t start_client(const struct sources_asker *asker, int *in, struct err *err) {
	const struct timeval patience = {.tv_sec = seconds_for_one(asker) + GRACE};
	struct client client = {.asker = asker};
	pid_t parent = getpid(), pid;
	int ends[2], room = ROOM;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		err_set(err, ERR_ENV, "socketpair: %m");
		return -1;
	}
	/* while we import, it can go on; and it cannot keep us waiting in the middle of an answer */
	if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		client.out = ends[1];
		if (!confine(CONFINE_CLIENT, parent, &client.out, 1, err))
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

/* One answer of the process that asks. False when that is to be left: it ended, or is not itself any more.
 */
static bool receive(const struct sources_asker *asker, int in) {
	uint8_t *data = NULL;
	struct head head;

	if (!file_receive(in, &head, sizeof head) || head.source >= asker->n || head.n > BODY_MAX ||
		is_file(asker->urls[head.source]))
		return false;
	head.error[sizeof head.error - 1] = 0;
	if (!head.error[0]) {
		data = malloc(head.n + 1);
		if (!data || !file_receive(in, data, head.n)) {
			free(data);
			return false;
		}
	}
	asker->answer(asker->ctx, head.source, data, head.n, head.error);
	return true;
}

/* Waits for an answer; one of those who are asked must end within the time that each has. False: the process
 * that asks is held up. */
static bool comes(const struct sources_asker *asker, int in) {
	struct pollfd answer = {.fd = in, .events = POLLIN};

	for (long left = seconds_for_one(asker) + GRACE; left > 0; left--) {
		if (poll(&answer, 1, 1000) != 0)
			return true;
		if (asker->idle)
			asker->idle(asker->ctx);
	}
	return false;
}

/* Each Source answers once. */
static bool ask_network(const struct sources_asker *asker, size_t n, struct err *err) {
	size_t answers = 0;
	int in;
	pid_t pid = start_client(asker, &in, err);

	if (pid < 0)
		return false;
	while (answers < n && comes(asker, in) && receive(asker, in))
		answers++;
	close(in);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return answers == n ||
	       err_set(err, ERR_ENV, "the process that asks Sources died; some were not asked");
}

static void ask_file(const struct sources_asker *asker, size_t source) {
	const char *path = asker->urls[source] + strlen("file:");
	struct stat st = {0};
	struct err err = {0};
	uint8_t *data = NULL;
	size_t n = 0;
	int fd;

	path += strncmp(path, "//", 2) == 0 ? 2 : 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nor wait for a pipe */
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
		err_set(&err, ERR_ENV, "is no regular file");
	else if (fd < 0)
		err_set(&err, ERR_ENV, "%m");
	else
		file_read_fd(fd, path, BODY_MAX, &data, &n, &err);
	if (fd >= 0)
		close(fd);
	asker->answer(asker->ctx, source, data, n, err.text);
}

bool sources_ask(const struct sources_asker *asker, struct err *err) {
	size_t network = 0;

	for (size_t i = 0; i < asker->n; i++)
		if (is_file(asker->urls[i]))
			ask_file(asker, i);
		else
			network++;
	return !network || ask_network(asker, network, err);
}

/* ---- the own log ---- */

/* An answer that is compared with the own log; what comes of it is seen by who asked, too. */
struct comparison {
	struct store store;
	const char *aid, *source;
	uint64_t recover; /* interactions from there on are about to be superseded */
	struct span answer;
	struct err *err; /* text "": they agree */
};

/* Where the two part. One that only lacks what is behind it, or that a rotation of the other supersedes from
 * there on, is old. */
static void check_fork(struct comparison *c, const struct kel *kel, const struct kel *shown) {
	uint64_t sn = 0;

	while (sn < kel->count && sn < shown->count &&
		memcmp(kel->saids[sn], shown->saids[sn], CESR_RAW) == 0)
		sn++;
	if (sn == shown->count || (kel_est_at(kel, sn) && kel_current(shown)->ev.sn < sn))
		return;
	if (sn == kel->count || (kel_est_at(shown, sn) && kel_current(kel)->ev.sn < sn))
		err_set(c->err, ERR_NO,
			"%s: has sn %" PRIu64 " of the own log, this host only sn %" PRIu64
			"; verimesh import it first",
			c->source, shown->count - 1, sn - 1);
	else if (sn < c->recover || kel_current(kel)->ev.sn >= sn || kel_current(shown)->ev.sn >= sn)
		err_set(c->err, ERR_NO,
			"%s: has another event at sn %" PRIu64
			" of the own log; find out which one holds; if it is the one here, run verimesh "
			"rotate --at now --recover %" PRIu64,
			c->source, sn, sn);
}

static int compare(void *ctx) {
	struct comparison *c = ctx;
	struct book book = {.forgiving = true};
	const struct kel *shown, *kel;

	if (!store_load(&c->store, NULL, c->err))
		return 0;
	c->err->text[0] = 0;
	kel = book_awake(&c->store.book, c->aid);
	book_read(&book, c->answer);
	book_finish(&book);
	shown = book_kel(&book, c->aid);
	if (!kel || !shown)
		return 0;
	check_fork(c, kel, shown);
	return 0;
}

/* The own peer's Sources while they are asked. */
struct own {
	const struct policy_peer *peer;
	struct comparison comparison;
};

static void take_own(void *ctx, size_t source, uint8_t *data, size_t n, const char *error) {
	struct own *own = ctx;
	struct comparison *c = &own->comparison;

	(void)error;
	c->source = own->peer->sources[source];
	c->answer = span_of(data, n);
	if (data && !c->err->text[0])
		confined(NULL, c->store.state.fd, compare, c, NULL); /* it only looks */
	free(data);
}

bool sources_agree(
	const char *root, const struct policy *policy, const char *aid, uint64_t recover, struct err *err) {
	const struct policy_peer *peer = policy_peer(policy, policy->self);
	struct own own = {.peer = peer};
	struct sources_asker asker = {.seconds = TIME_LEAST, .answer = take_own, .ctx = &own};
	struct err *shared;
	bool good;

	if (!peer || !peer->nsources)
		return true;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return err_set(err, ERR_ENV, "out of memory");
	good = store_enter(&own.comparison.store, root, false, err);
	own.comparison.aid = aid;
	own.comparison.recover = recover;
	own.comparison.err = shared;
	asker.urls = peer->sources;
	asker.n = peer->nsources;
	if (good) {
		good = sources_ask(&asker, err);
		store_close(&own.comparison.store);
	}
	shared->text[sizeof shared->text - 1] = 0;
	if (good && shared->text[0])
		good = err_set(err, shared->status, "%s", shared->text);
	munmap(shared, sizeof *shared);
	return good;
}
