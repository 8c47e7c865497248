/* watch.c: `verimesh watch`: stays, and has children fetch, sync and renew when it is time to. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fetch.h"
#include "file.h"
#include "paths.h"
#include "renew.h"
#include "sync.h"
#include "verimesh.h"

/* Milliseconds. */
#define QUIET 200     /* a sync follows a change after so long without another, */
#define LONGEST 1000  /* but at the latest after so long */
#define RETRY 5000    /* the first wait when no Source answered; it doubles */
#define EVERY 300000  /* FetchEvery, until a configuration says another one */
#define LIMIT 1800000 /* a job that is under way for so long hangs, and is ended, */
#define GRACE 10000   /* by force after so long */
#define LOOK 100      /* how often to look for handshakes while a key is pending, */
#define LOOK_CLOSE 10 /* and from CLOSE_BEFORE its time to CLOSE_AFTER it */
#define CLOSE_BEFORE 1000
#define CLOSE_AFTER 5000

#define MOST_TEXT (1 << 20) /* bytes of what a job prints that are told */
#define MOST_SWAPS 1024	    /* hosts that change their key at once without a gap; more wait for a sync */

/* What a sync tells of the state it made. */
struct told {
	uint32_t fetch_every; /* seconds; 0: the configuration cannot be read */
	bool synced;	      /* the rest is known */
	size_t hosts, peers;
	int64_t next; /* when the next thing ends, begins or is due: seconds since 1970, or NEVER */
	char interface[IFNAMSIZ];
	bool adopt;
	size_t nswaps;
	struct wireguard_swap swaps[MOST_SWAPS];
};

/* The problems of one round of a job. */
struct lines {
	char *text;
	size_t n;   /* of the text; a NUL ends each line */
	void *tree; /* tsearch(3): of the lines */
};

struct watch;
struct job {
	const char *name;
	int (*run)(const char *root, struct told *told);
	void (*after)(struct watch *w, int status);
	int64_t at;	    /* when to start it, milliseconds as of now_ms; NEVER: not at all */
	pid_t pid;	    /* 0: it is not under way */
	int64_t limit;	    /* while it is: when to end it */
	bool late;	    /* it was asked to end, because it hangs */
	int problems;	    /* while it is: the file in memory that takes what it prints of them */
	struct lines said;  /* in its last round that came to its end */
	struct lines broke; /* in the last one since that did not */
};

struct watch {
	const char *root;
	int inotify, signals, timer;
	int state_dir;	   /* inotify's number of PATH_STATE */
	struct told *told; /* shared with the child that syncs */
	struct told last;  /* by the last sync that came to its end */
	int64_t look;	   /* when to look whether a pending key is in use, NEVER without one */
	struct job fetch, sync;
	int64_t every;	 /* FetchEvery in milliseconds */
	int64_t silent;	 /* how long to wait because no Source answered; 0: one did */
	bool blind;	 /* the last sync could not read the configuration */
	int64_t changed; /* since when there are changes that no sync has seen; 0: none */
	bool tells;	 /* the sync under way follows a change */
	enum { STARTING, RELOADING, READY, ENDING } state;
	int64_t dog, dog_every; /* when systemd's watchdog hears of us, NEVER without one; and how often */
	char summary[64], fetched[64];
};

static int64_t clock_usec(clockid_t clock) {
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* It goes on while the system sleeps, so that what is overdue then is done at once. */
static int64_t now_ms(void) {
	return clock_usec(CLOCK_BOOTTIME) / 1000;
}

/* Up to a tenth more or less, so that a thousand hosts do not ask in the same second. */
static int64_t jittered(int64_t ms) {
	return ms * (900 + randombytes_uniform(201)) / 1000;
}

static int64_t earlier(int64_t a, int64_t b) {
	return a < b ? a : b;
}

/* ---- sd_notify(3) ---- */

__attribute__((format(printf, 1, 2))) static void notify(const char *format, ...) {
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[256];
	va_list args;
	int fd;

	if (!path || !span_copy(span_str(path), to.sun_path, sizeof to.sun_path))
		return;
	if (*path == '@')
		to.sun_path[0] = 0;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}

static int64_t watchdog_every(void) {
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	return usec && (!pid || atoi(pid) == getpid()) ? strtoll(usec, NULL, 10) / 2000 : 0;
}

/* ---- what the children do ---- */

static int fetch_all_peers(const char *root, struct told *told) {
	(void)told;
	return fetch_all(root, NULL, 0);
}

/* When the first host ends, or starts to use its next key, of others a second later; of those whose swap is
 * not told, again soon. since: before the roster was built, for a moment may have come in the meantime. */
static int64_t next_moment(const struct roster *roster, int64_t since) {
	int64_t next = NEVER;
	size_t nswaps = 0;

	for (size_t i = 0; i < roster->nhosts; i++) {
		const struct roster_host *host = &roster->hosts[i];

		if (host->expires > since)
			next = earlier(next, host->expires);
		if (host->next.from && host->next.from + !host->self > since)
			next = earlier(next, host->next.from + !host->self);
		else if (host->next.from && ++nswaps > MOST_SWAPS)
			next = time(NULL) + 1;
	}
	return next;
}

/* The keys that hosts are about to change, for who looks whether they did. */
static void tell_swaps(struct told *told, const struct mesh *mesh) {
	memcpy(told->interface, mesh->policy.interface, sizeof told->interface);
	told->adopt = mesh->policy.adopt;
	for (size_t i = 0; mesh->wireguard.in_use && i < mesh->roster.nhosts; i++) {
		const struct roster_host *host = &mesh->roster.hosts[i];
		struct wireguard_swap *swap = &told->swaps[told->nswaps];

		if (!host->next.from || host->self || told->nswaps == MOST_SWAPS)
			continue;
		memcpy(swap->key, host->key, sizeof swap->key);
		memcpy(swap->next, host->next.key, sizeof swap->next);
		swap->from = host->next.from;
		told->nswaps++;
	}
}

/* What was renewed changes the store, so that another sync follows. */
static int sync_and_renew(const char *root, struct told *told) {
	const int64_t since = time(NULL);
	struct policy policy;
	struct mesh mesh;
	struct err err;
	int status;

	if (policy_load(root, &policy, &err)) {
		told->fetch_every = policy.fetch_every;
		policy_free(&policy);
	}
	if (!mesh_open(&mesh, root, true, mesh_print, NULL, &err))
		return problem(&err);
	status = mesh_sync(&mesh);
	*told = (struct told){.fetch_every = mesh.policy.fetch_every,
		.synced = true,
		.hosts = mesh.roster.nhosts,
		.peers = mesh.policy.npeers,
		.next = next_moment(&mesh.roster, since)};
	tell_swaps(told, &mesh);
	mesh_close(&mesh);
	if (!renew_cards(root, &told->next, &err))
		status = problem(&err);
	return status;
}

/* ---- what they say ---- */

static int compare_lines(const void *a, const void *b) {
	return strcmp(a, b);
}

/* Whether it was told as a problem, and is not mended. */
static bool is_told(const struct watch *w, const char *line) {
	const struct lines *told[] = {&w->fetch.said, &w->fetch.broke, &w->sync.said, &w->sync.broke};
	bool found = false;

	for (size_t i = 0; !found && i < sizeof told / sizeof told[0]; i++)
		found = tfind(line, &told[i]->tree, compare_lines);
	return found;
}

static void keep_node(void *line) {
	(void)line;
}

static void free_lines(struct lines *lines) {
	tdestroy(lines->tree, keep_node);
	free(lines->text);
}

/* Takes what a job printed, and prints what was not told yet. */
static void read_lines(const struct watch *w, const struct job *job, struct lines *lines) {
	struct stat st;
	char *line;

	if (fstat(job->problems, &st) == 0 && st.st_size > MOST_TEXT)
		(void)!ftruncate(job->problems, MOST_TEXT);
	lseek(job->problems, 0, SEEK_SET);
	file_read_fd(job->problems, job->name, MOST_TEXT, (uint8_t **)&lines->text, &lines->n, NULL);
	for (size_t at = 0; at < lines->n; at += strlen(line) + 1) {
		line = lines->text + at;
		*strchrnul(line, '\n') = 0;
		for (char *p = line; *p; p++)
			if (*p < ' ' || *p > '~')
				*p = '?';
		if (!is_told(w, line) && !tfind(line, &lines->tree, compare_lines))
			fprintf(stderr, "%s\n", line);
		tsearch(line, &lines->tree, compare_lines);
	}
}

/* Puts other problems into the place of these, and tells which are mended. */
static void replace_lines(const struct watch *w, struct lines *lines, struct lines by) {
	static const char prefix[] = "verimesh: ";
	struct lines before = *lines;
	const char *line;

	*lines = by;
	for (size_t at = 0; at < before.n; at += strlen(line) + 1) {
		line = before.text + at;
		if (!is_told(w, line))
			printf("mended: %s\n",
				line + (span_starts(span_str(line), prefix) ? strlen(prefix) : 0));
	}
	free_lines(&before);
}

/* Tells of each problem when it comes and when it is gone, not at every round. A round that broke off says
 * nothing of those before. */
static void tell(const struct watch *w, struct job *job, bool broke) {
	struct lines lines = {0};

	read_lines(w, job, &lines);
	replace_lines(w, broke ? &job->broke : &job->said, lines);
	if (!broke)
		replace_lines(w, &job->broke, (struct lines){0});
}

/* ---- children ---- */

/* In the child. It ends with its parent, and has the signals as anybody. What it forks has no hold of told.
 */
__attribute__((noreturn)) static void work(const struct watch *w, const struct job *job, pid_t parent) {
	sigset_t none;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent || dup2(job->problems, STDERR_FILENO) < 0 ||
		madvise(w->told, sizeof *w->told, MADV_DONTFORK) != 0)
		_exit(ERR_ENV);
	status = job->run(w->root, w->told);
	(void)fflush(stdout);
	_exit(status);
}

static void start(struct watch *w, struct job *job) {
	pid_t parent = getpid();
	struct err err;

	job->at = NEVER;
	job->limit = now_ms() + LIMIT;
	job->late = false;
	job->problems = memfd_create(job->name, MFD_CLOEXEC);
	job->pid = job->problems < 0 ? -1 : fork();
	if (job->pid == 0)
		work(w, job, parent);
	if (job->pid > 0)
		return;
	err_set(&err, ERR_ENV, "%s: %m", job->name);
	problem(&err);
	if (job->problems >= 0)
		close(job->problems);
	job->pid = 0;
	job->at = now_ms() + RETRY;
}

/* ---- what comes of them ---- */

static void after_fetch(struct watch *w, int status) {
	char text[TIME_TEXT];

	if (status != FETCH_SILENT)
		w->silent = 0;
	else
		w->silent = earlier(w->silent ? 2 * w->silent : RETRY, w->every);
	w->fetch.at = earlier(w->fetch.at, now_ms() + jittered(w->silent ? w->silent : w->every));
	w->sync.at = now_ms();
	snprintf(w->fetched, sizeof w->fetched, "%s %.19sZ", w->silent ? "no Source answered" : "fetched",
		time_format(clock_usec(CLOCK_REALTIME), text));
}

static void note_summary(struct watch *w, int status) {
	char text[sizeof w->summary];

	snprintf(text, sizeof text, "%zu hosts of %zu peers", w->told->hosts, w->told->peers);
	if (status <= ERR_NO && (w->tells || strcmp(text, w->summary) != 0))
		printf("synced: %s\n", text);
	memcpy(w->summary, text, sizeof text);
}

/* Has the timer wake us then, in seconds since 1970, and whenever the clock is set. A moment later, because
 * time(3) is behind the clock by up to a tick. */
static void wake_at(struct watch *w, int64_t when) {
	struct itimerspec at = {.it_value = {.tv_sec = when, .tv_nsec = 20000000}};

	timerfd_settime(w->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL);
}

/* ---- keys that are pending (DESIGN.md 8) ---- */

/* How long until the next look. */
static int64_t look_again(const struct told *told) {
	int64_t now = clock_usec(CLOCK_REALTIME) / 1000;

	for (size_t i = 0; i < told->nswaps; i++)
		if (now >= told->swaps[i].from * 1000 - CLOSE_BEFORE &&
			now < told->swaps[i].from * 1000 + CLOSE_AFTER)
			return LOOK_CLOSE;
	return LOOK;
}

/* Where a host uses its next key, that gets its addresses now, and the rest by a sync. */
static void look(struct watch *w) {
	const struct told *told = &w->last;
	size_t moved;
	int status;

	if (w->look > now_ms())
		return;
	status = wireguard_move(w->root, told->interface, told->adopt, told->swaps, told->nswaps, &moved);
	if (moved)
		w->sync.at = now_ms();
	w->look = now_ms() + (status ? RETRY : look_again(told));
}

static void after_sync(struct watch *w, int status) {
	const struct told *told = w->told;
	int64_t now = now_ms();
	bool ready;

	w->blind = !told->fetch_every;
	if (!w->blind)
		w->every = (int64_t)told->fetch_every * 1000;
	if (told->synced) {
		note_summary(w, status);
		w->last = *told;
		w->look = told->nswaps ? now_ms() : NEVER;
	}
	wake_at(w, told->synced ? told->next : NEVER);
	if (!told->synced)
		w->sync.at = earlier(w->sync.at, now + jittered(w->every));
	if (!w->blind) /* FetchEvery may be another */
		w->fetch.at = earlier(w->fetch.at, now + jittered(w->every));
	ready = w->state == STARTING ||
		(w->state == RELOADING && (w->blind || (!w->fetch.pid && w->fetch.at > now)));
	if (ready)
		w->state = READY;
	notify("%sSTATUS=%s%s; %s", ready ? "READY=1\n" : "", told->synced ? "" : "the last sync failed; ",
		w->summary, w->fetched);
}

static void reap(struct watch *w, struct job *job) {
	int status = W_EXITCODE(ERR_ENV, 0), code = ERR_ENV;

	if (!job->pid || waitpid(job->pid, &status, WNOHANG) == 0)
		return;
	job->pid = 0;
	if (WIFEXITED(status))
		code = WEXITSTATUS(status);
	else if (job->late)
		dprintf(job->problems, "verimesh: %s: hung for %d minutes and was ended\n", job->name,
			LIMIT / 60000);
	else
		dprintf(job->problems, "verimesh: %s: killed by signal %d\n", job->name, WTERMSIG(status));
	tell(w, job, code == ERR_USAGE || code == ERR_ENV);
	close(job->problems);
	job->after(w, code);
}

/* ---- what wakes us ---- */

static void reload(struct watch *w) {
	w->fetch.at = w->sync.at = now_ms();
	w->silent = 0;
	w->state = RELOADING;
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_usec(CLOCK_MONOTONIC));
}

static void take_signals(struct watch *w) {
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP && w->state != ENDING) {
			reload(w);
		} else if (info.ssi_signo != SIGCHLD) {
			w->state = ENDING;
		} else {
			reap(w, &w->fetch);
			reap(w, &w->sync);
		}
	}
}

/* Watches the directories, for files are replaced by rename; one that is there and watched stays so. Of the
 * state, which each sync writes, only the directories in it, which may come later. */
static bool watch_dirs(struct watch *w, struct err *err) {
	static const char *const dirs[] = {"/etc/verimesh", PATH_STORE, PATH_IDENTITY, PATH_STATE};
	const uint32_t mask = IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE | IN_DELETE | IN_MOVE_SELF |
			      IN_DELETE_SELF | IN_ONLYDIR;
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		if (!file_path(path, w->root, dirs[i], NULL, err))
			return false;
		w->state_dir = inotify_add_watch(w->inotify, path, mask);
		if (w->state_dir < 0 && errno != ENOENT)
			return err_set(err, ERR_ENV, "%s: cannot be watched: %m", path);
	}
	return true;
}

static void take_changes(struct watch *w) {
	_Alignas(struct inotify_event) char buffer[4096];
	const struct inotify_event *event;
	int64_t now = now_ms();
	bool changed = false;
	ssize_t n;

	while ((n = read(w->inotify, buffer, sizeof buffer)) > 0)
		for (char *at = buffer; at < buffer + n; at += sizeof *event + event->len) {
			event = (const struct inotify_event *)at;
			changed |= event->wd != w->state_dir || event->mask & IN_ISDIR;
		}
	if (!changed)
		return;
	if (!w->changed)
		w->changed = now;
	w->sync.at = earlier(now + QUIET, w->changed + LONGEST);
}

static void take_time(struct watch *w) {
	uint64_t times;

	/* it fails when the clock was set, which is worth a sync, too */
	if (read(w->timer, &times, sizeof times) >= 0 || errno == ECANCELED)
		w->sync.at = now_ms();
}

static void end_late(struct job *job, int64_t now) {
	if (!job->pid || job->limit > now)
		return;
	kill(job->pid, job->late ? SIGKILL : SIGTERM);
	job->late = true;
	job->limit = now + GRACE;
}

static void start_due(struct watch *w) {
	int64_t now = now_ms();

	end_late(&w->sync, now);
	end_late(&w->fetch, now);

	if (!w->sync.pid && w->sync.at <= now) {
		watch_dirs(w, NULL);
		w->tells = w->changed;
		w->changed = 0;
		*w->told = (struct told){0};
		start(w, &w->sync);
	}
	if (!w->fetch.pid && !w->blind && w->fetch.at <= now)
		start(w, &w->fetch);
	look(w);
	if (w->dog <= now) {
		w->dog = now + w->dog_every;
		notify("WATCHDOG=1");
	}
}

static void wait_for_more(struct watch *w) {
	struct pollfd fds[] = {{.fd = w->inotify, .events = POLLIN}, {.fd = w->signals, .events = POLLIN},
		{.fd = w->timer, .events = POLLIN}};
	int64_t until = earlier(w->dog, w->look), wait;

	until = earlier(until, w->sync.pid ? w->sync.limit : w->sync.at);
	if (w->fetch.pid || !w->blind)
		until = earlier(until, w->fetch.pid ? w->fetch.limit : w->fetch.at);
	wait = earlier(until - now_ms(), INT_MAX);
	poll(fds, 3, wait > 0 ? (int)wait : 0);
	take_signals(w);
	take_changes(w);
	take_time(w);
}

/* ---- the verb ---- */

/* One at a time. The lock is this process's, and no child has it. */
static bool lock(const char *root, struct err *err) {
	struct flock lock = {.l_type = F_WRLCK};
	char path[PATH_MAX];
	int fd;

	if (!file_path(path, root, PATH_STORE, NULL, err) || !file_mkdir(path, 0755, err) ||
		!file_path(path, root, PATH_STATE, "watch.lock", err))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, ERR_ENV, "%s: %m", path);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return true;
	fcntl(fd, F_GETLK, &lock);
	close(fd);
	return err_set(err, ERR_ENV, "%s: verimesh watch is running already, process %d", path, lock.l_pid);
}

static bool set_up(struct watch *w, struct err *err) {
	sigset_t taken;

	sigemptyset(&taken);
	sigaddset(&taken, SIGCHLD);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGTERM);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	w->signals = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	w->told = mmap(NULL, sizeof *w->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->signals < 0 || w->inotify < 0 || w->timer < 0 || w->told == MAP_FAILED)
		return err_set(err, ERR_ENV, "watch: %m");
	w->dog_every = watchdog_every();
	w->dog = w->dog_every ? 0 : NEVER;
	return lock(w->root, err) && watch_dirs(w, err);
}

/* What a child that is ended leaves undone, the next watch does. */
static void end(struct job *job) {
	if (job->pid && kill(job->pid, SIGTERM) == 0)
		waitpid(job->pid, NULL, 0);
	free_lines(&job->said);
	free_lines(&job->broke);
}

int verb_watch(const struct command *command) {
	struct watch w = {.root = command->root,
		.fetch = {.name = "fetch", .run = fetch_all_peers, .after = after_fetch},
		.sync = {.name = "sync", .run = sync_and_renew, .after = after_sync},
		.look = NEVER,
		.every = EVERY,
		.blind = true,
		.summary = "nothing synced yet",
		.fetched = "nothing fetched yet"};
	struct err err;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!set_up(&w, &err))
		return problem(&err);
	setlinebuf(stdout);
	while (w.state != ENDING) {
		start_due(&w);
		wait_for_more(&w);
	}
	notify("STOPPING=1");
	end(&w.fetch);
	end(&w.sync);
	return 0;
}
