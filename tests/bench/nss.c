/* nss.c: what lookups cost in each of the scenes that nss.sh has set, beside a module that answers a
 * constant. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nss_names.h"

#define ROUNDS 31
#define COLD_ROUNDS 201
#define BATCH 4e6 /* ns that a scene works on end */

/* Goals: times the floor; times faster than files; kB. */
#define SMALL_GOAL 1.10
#define LARGE_GOAL 1.30
#define COLD_GOAL 1.15
#define FILES_GOAL 200.0
#define MEMORY_GOAL 100.0

/* Hosts that make a thousand records, and a million; and those that files are judged with. */
#define SMALL 137
#define LARGE 137000
#define FILES 10000

enum work {
	BY_NAME,
	FOR_CONNECT,
	BY_ADDR,
	BY_USER,
	BY_UID,
	BY_GROUP,
	OTHER_NAME, /* whose answer is that it is nobody's here */
	OTHER_ADDR,
	HOT, /* as many as were hot */
	COLD_HOST = HOT,
	COLD_USER,
	WORKS
};

static const struct {
	const char *title, *column;
} works[WORKS] = {
	{"gethostbyname2_r", "byname2"},
	{"getaddrinfo", "addrinfo"},
	{"gethostbyaddr_r", "byaddr"},
	{"getpwnam_r", "pwnam"},
	{"getpwuid_r", "pwuid"},
	{"getgrnam_r", "grnam"},
	{"gethostbyname2_r of a name in DNS", "in DNS"},
	{"gethostbyaddr_r of an address there", "addr"},
	{"gethostbyname2_r", ""},
	{"getpwnam_r", ""},
};

#define HOSTS (1U << BY_NAME | 1U << FOR_CONNECT | 1U << BY_ADDR)
#define ACCOUNTS (1U << BY_USER | 1U << BY_UID | 1U << BY_GROUP)
#define OTHERS (1U << OTHER_NAME | 1U << OTHER_ADDR)
#define COLD (1U << COLD_HOST | 1U << COLD_USER)

/* How many names a scene looks up, by turns, chosen at random from all that there are; and what it can do.
 * Where lookups take long there are fewer. */
static const struct kind {
	const char *name, *title;
	unsigned names, works;
} kinds[] = {
	{"floor", "a constant", 1000, HOSTS | ACCOUNTS | OTHERS | COLD},
	{"verimesh", "verimesh", 1000, HOSTS | ACCOUNTS | OTHERS | COLD},
	{"files", "files", 20, HOSTS | ACCOUNTS | COLD},
	{"dnsmasq", "dnsmasq", 100, HOSTS},
	{"resolved", "systemd-resolved", 100, HOSTS},
	{"nscd", "nscd, warm", 100, HOSTS | ACCOUNTS},
};

struct order {
	enum work work; /* or WORKS: measure memory */
	unsigned calls;
};

struct reply {
	double ns; /* a call; cold: of processor time, a process over one that looks nothing up */
	unsigned long module, module_private, map, map_private, tables; /* kB */
};

struct scene {
	const struct kind *kind;
	unsigned hosts;
	char *dir;
	int orders, replies; /* to and from its process */
	unsigned calls[HOT];
	double ns[WORKS][COLD_ROUNDS]; /* of each round */
};

static bool missed;

__attribute__((noreturn)) static void give_up(const char *what) {
	perror(what);
	exit(2);
}

static double nanoseconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- in a scene's process ---- */

struct question {
	char host[BENCH_NAME], user[BENCH_NAME], group[BENCH_NAME];
	struct addr addr;
	uint32_t uid;
};

/* This process on one processor; daemons may have the other. */
static void keep_to_one(void) {
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* The files and the daemons of this scene are the host's, for this process and what it starts. */
static void enter(const char *dir) {
	static const char *const mounts[][2] = {{"etc", "/etc"}, {"run", "/run"}, {"lib", "/var/lib"}};

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
		give_up("a namespace");
	for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s", dir, mounts[i][0]);
		if (mount(path, mounts[i][1], "none", MS_BIND, NULL) != 0)
			give_up(path);
	}
}

static unsigned questions(const struct scene *s) {
	return s->kind->names < s->hosts ? s->kind->names : s->hosts;
}

static struct question *choose(unsigned n, unsigned hosts) {
	struct question *list = calloc(n, sizeof *list);

	if (!list)
		give_up("memory");
	srandom(1);
	for (unsigned k = 0; k < n; k++) {
		unsigned i = (unsigned)((unsigned long)random() % hosts);

		bench_host(i, list[k].host);
		bench_user(i, list[k].user);
		bench_group(i, list[k].group);
		list[k].addr = bench_addr(i);
		list[k].uid = bench_uid(i);
	}
	return list;
}

/* One lookup. False when the answer is wrong, which the floor's may be. */
static bool ask(enum work work, const struct question *q, bool lenient) {
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	static const uint8_t elsewhere[16] = {0x20, 1, 0xd, 0xb8};
	char buffer[4096];
	struct hostent host, *found = NULL;
	struct passwd user, *pw = NULL;
	struct group group, *gr = NULL;
	struct addrinfo *list;
	struct addr addr;
	int h_error;

	switch (work) {
	case BY_NAME:
		gethostbyname2_r(q->host, AF_INET6, &host, buffer, sizeof buffer, &found, &h_error);
		return found && (lenient || memcmp(host.h_addr_list[0], q->addr.bytes, 16) == 0);
	case FOR_CONNECT:
		if (getaddrinfo(q->host, NULL, &hints, &list) != 0)
			return false;
		lenient = lenient || (addr_from_sockaddr(list->ai_addr, &addr) && addr_eq(&addr, &q->addr));
		freeaddrinfo(list);
		return lenient;
	case BY_ADDR:
		gethostbyaddr_r(q->addr.bytes, 16, AF_INET6, &host, buffer, sizeof buffer, &found, &h_error);
		return found && (lenient || strcmp(host.h_name, q->host) == 0);
	case BY_USER:
		getpwnam_r(q->user, &user, buffer, sizeof buffer, &pw);
		return pw && (lenient || pw->pw_uid == q->uid);
	case BY_UID:
		getpwuid_r(q->uid, &user, buffer, sizeof buffer, &pw);
		return pw && (lenient || strcmp(pw->pw_name, q->user) == 0);
	case BY_GROUP:
		getgrnam_r(q->group, &group, buffer, sizeof buffer, &gr);
		return gr && (lenient || strcmp(gr->gr_name, q->group) == 0);
	case OTHER_NAME:
		gethostbyname2_r(
			"www.example.org", AF_INET6, &host, buffer, sizeof buffer, &found, &h_error);
		return !found;
	default:
		gethostbyaddr_r(elsewhere, 16, AF_INET6, &host, buffer, sizeof buffer, &found, &h_error);
		return !found;
	}
}

/* ns of processor time that a process takes from its start to its end, which others' work hardly changes. */
static double run(const char *const argv[]) {
	struct rusage usage;
	int status = 1;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0 ||
		wait4(pid, &status, 0, &usage) != pid || status != 0)
		give_up(argv[1] ? argv[2] : argv[0]);
	return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
	       ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static void measure_memory(const struct question *q, struct reply *reply) {
	char command[PATH_MAX];
	FILE *pipe;

	snprintf(command, sizeof command, "./nss_once memory %s %s %s", q->host, q->user, q->group);
	pipe = popen(command, "re");
	if (!pipe || fscanf(pipe, "%lu %lu %lu %lu %lu", &reply->module, &reply->module_private, &reply->map,
			     &reply->map_private, &reply->tables) != 5)
		give_up(command);
	pclose(pipe);
}

/* ns a call. What is hot is so before the time is taken, whoever was on this processor meanwhile. */
static double look_up(const struct scene *s, enum work work, const struct question *list, unsigned calls) {
	bool lenient = strcmp(s->kind->name, "floor") == 0;
	unsigned n = questions(s), before = calls < n ? calls : n;
	double start = nanoseconds();

	for (unsigned i = 0; i < before + calls; i++) {
		if (i == before)
			start = nanoseconds();
		if (ask(work, &list[i % n], lenient))
			continue;
		fprintf(stderr, "bench: %s: %s failed\n", s->dir, works[work].title);
		_exit(2);
	}
	return (nanoseconds() - start) / calls;
}

/* ns that a process takes which looks one thing up, over one that does not. */
static double look_up_once(enum work work, const struct question *q) {
	const char *const nothing[] = {"./nss_once", NULL};
	const char *const once[] = {"./nss_once", work == COLD_HOST ? "host" : "user",
		work == COLD_HOST ? q->host : q->user, NULL};

	run(nothing);
	run(once);
	return run(once) - run(nothing);
}

/* Does what it is told to, until nobody is left to tell it. */
__attribute__((noreturn)) static void serve(const struct scene *s, int orders, int replies) {
	struct question *list = choose(questions(s), s->hosts);
	struct order order;

	enter(s->dir);
	while (read(orders, &order, sizeof order) == sizeof order) {
		struct reply reply = {0};

		if (order.work == WORKS)
			measure_memory(list, &reply);
		else if (order.work >= HOT)
			reply.ns = look_up_once(order.work, list);
		else
			reply.ns = look_up(s, order.work, list, order.calls);
		if (write(replies, &reply, sizeof reply) != sizeof reply)
			break;
	}
	_exit(0);
}

/* ---- scenes ---- */

/* dir: KIND-HOSTS, below this directory. */
static void start(struct scene *s, char *dir) {
	int orders[2], replies[2];
	char *dash = strchr(dir, '-');

	s->dir = dir;
	for (size_t i = 0; dash && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(kinds[i].name, dir, (size_t)(dash - dir)) == 0)
			s->kind = &kinds[i];
	s->hosts = dash ? (unsigned)strtoul(dash + 1, NULL, 10) : 0;
	if (!s->kind || s->hosts == 0 || pipe2(orders, O_CLOEXEC) != 0 || pipe2(replies, O_CLOEXEC) != 0)
		give_up(dir);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(orders[1]);
		serve(s, orders[0], replies[1]);
	}
	close(orders[0]);
	close(replies[1]);
	s->orders = orders[1];
	s->replies = replies[0];
}

static struct reply tell(const struct scene *s, enum work work, unsigned calls) {
	struct order order = {work, calls};
	struct reply reply;

	if (write(s->orders, &order, sizeof order) != sizeof order ||
		read(s->replies, &reply, sizeof reply) != sizeof reply)
		exit(2); /* it has said why */
	return reply;
}

static bool can(const struct scene *s, enum work work) {
	return s->kind->works >> work & 1;
}

/* Each name once; which shows how many calls make a batch. */
static void warm(struct scene *list, size_t n) {
	for (struct scene *s = list; s < list + n; s++)
		for (enum work work = 0; work < HOT; work++) {
			if (!can(s, work))
				continue;
			tell(s, work, questions(s));
			s->calls[work] = 1 + (unsigned)(BATCH / tell(s, work, questions(s)).ns);
		}
}

/* By turns, so that what slows this machine down slows down all of them; and by chance, since whoever comes
 * after a long file finds the processor's caches full of it. */
static void measure(struct scene *turns[], size_t n, enum work work, int round) {
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)random() % i;
		struct scene *last = turns[i - 1];

		turns[i - 1] = turns[j];
		turns[j] = last;
	}
	for (size_t i = 0; i < n; i++)
		if (can(turns[i], work))
			turns[i]->ns[work][round] =
				tell(turns[i], work, work < HOT ? turns[i]->calls[work] : 1).ns;
}

/* ---- the tables ---- */

static int compare_numbers(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const struct scene *s, enum work work) {
	double sorted[COLD_ROUNDS];
	size_t n = work < HOT ? ROUNDS : COLD_ROUNDS;

	memcpy(sorted, s->ns[work], n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_numbers);
	return sorted[n / 2];
}

static const struct scene *find(const struct scene *list, size_t n, const char *kind, unsigned hosts) {
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].kind->name, kind) == 0 && list[i].hosts == hosts)
			return &list[i];
	fprintf(stderr, "bench: no scene %s-%u\n", kind, hosts);
	exit(2);
}

static void print_title(const struct scene *s) {
	if (strcmp(s->kind->name, "verimesh") == 0)
		printf("%-16s %9u %7lu", s->kind->title, s->hosts, bench_records(s->hosts));
	else
		printf("%-16s %9u %7s", s->kind->title, s->hosts, "");
}

static void print_row(const struct scene *s, enum work from, enum work to, double unit) {
	print_title(s);
	for (enum work work = from; work < to; work++)
		if (can(s, work))
			printf(" %9.*f", unit > 1 ? 1 : 0, median(s, work) / unit);
		else
			printf(" %9s", "-");
	putchar('\n');
}

static void print_figures(const struct scene *list, size_t n) {
	printf("\nhot, ns a call: medians of %d rounds of %.0f ms, among up to 1,000 names\n%-16s %9s %7s",
		ROUNDS, BATCH / 1e6, "", "hosts", "records");
	for (enum work work = 0; work < HOT; work++)
		printf(" %9s", works[work].column);
	putchar('\n');
	for (size_t i = 0; i < n; i++)
		print_row(&list[i], 0, HOT, 1);
	printf("\ncold, us of processor time: medians of %d processes that look one thing up, over one that "
	       "does not\n%-34s %9s %9s\n",
		COLD_ROUNDS, "", "host", "passwd");
	for (size_t i = 0; i < n; i++)
		if (can(&list[i], COLD_HOST))
			print_row(&list[i], COLD_HOST, WORKS, 1e3);
}

static const char *judge(bool met) {
	missed = missed || !met;
	return met ? "met" : "MISSED";
}

/* Judges a median by the floor's. */
static void judge_cost(
	const char *what, const struct scene *s, const struct scene *floor, enum work work, double goal) {
	double figure = median(s, work), least = median(floor, work);

	printf("%-17s %-35s %9.0f ns %9.0f ns %7.3f ", what, works[work].title, figure, least,
		figure / least);
	if (goal > 0)
		printf("%6.2f  %s\n", goal, judge(figure <= least * goal));
	else
		puts("  none");
}

static void judge_files(const struct scene *s, const struct scene *files, enum work work) {
	double figure = median(s, work), slow = median(files, work);

	printf("%-17s %-35s %9.0f ns %9.0f ns %7.0f %6.0f  %s\n", "files, 10k hosts", works[work].title,
		figure, slow, slow / figure, FILES_GOAL, judge(slow > figure * FILES_GOAL));
}

/* What a process costs the machine: the module's pages, the map's private ones, the page tables for it. The
 * map's other pages are the page cache's, of which the kernel maps as many around one as it likes. */
static void judge_memory(const char *what, const struct scene *s, const struct scene *floor) {
	struct reply figure = tell(s, WORKS, 1), least = tell(floor, WORKS, 1);
	unsigned long tables = figure.tables > least.tables ? figure.tables - least.tables : 0;
	unsigned long cost = figure.module + figure.map_private + tables;

	printf("%-17s module %2lu (private %2lu), page tables %3lu %9lu kB %9lu kB %7.3f %6.0f  %s\n", what,
		figure.module, figure.module_private, tables, cost, least.module,
		(double)cost / (double)least.module, MEMORY_GOAL, judge((double)cost < MEMORY_GOAL));
	printf("%-17s mapped from the page cache, shared by all %11lu kB\n", "",
		figure.map - figure.map_private);
}

static void judge_all(const struct scene *list, size_t n) {
	const struct scene *least = find(list, n, "floor", SMALL), *floor = find(list, n, "floor", LARGE),
			   *small = find(list, n, "verimesh", SMALL),
			   *large = find(list, n, "verimesh", LARGE);

	printf("\n%-53s %12s %12s %7s %6s\n", "goals", "figure", "floor", "ratio", "goal");
	for (enum work work = 0; work < OTHER_NAME; work++)
		judge_cost("hot, 1k records", small, least, work, SMALL_GOAL);
	for (enum work work = 0; work < OTHER_NAME; work++)
		judge_cost("hot, 1M records", large, floor, work, LARGE_GOAL);
	for (enum work work = OTHER_NAME; work < HOT; work++)
		judge_cost("hot, 1M records", large, floor, work, 0);
	for (enum work work = HOT; work < WORKS; work++)
		judge_cost("cold, 1k records", small, least, work, COLD_GOAL);
	for (enum work work = HOT; work < WORKS; work++)
		judge_cost("cold, 1M records", large, floor, work, COLD_GOAL);
	judge_files(find(list, n, "verimesh", FILES), find(list, n, "files", FILES), BY_NAME);
	judge_files(find(list, n, "verimesh", FILES), find(list, n, "files", FILES), BY_USER);
	judge_memory("kB, 1k records", small, floor);
	judge_memory("kB, 1M records", large, floor);
}

/* For the plot: KIND HOSTS NS. */
static void write_plot(const struct scene *list, size_t n, const char *path) {
	FILE *file = fopen(path, "we");

	if (!file)
		give_up(path);
	for (size_t i = 0; i < n; i++)
		fprintf(file, "%s %u %.0f\n", list[i].kind->name, list[i].hosts, median(&list[i], BY_NAME));
	if (fclose(file) != 0)
		give_up(path);
}

/* usage: nss PLOT KIND-HOSTS...    where nss.sh has set these scenes */
int main(int argc, char **argv) {
	size_t n = argc > 2 ? (size_t)argc - 2 : 0;
	struct scene *list = calloc(n + 1, sizeof *list), **turns = calloc(n + 1, sizeof *turns);

	if (n == 0 || !list || !turns)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	keep_to_one();
	for (size_t i = 0; i < n; i++) {
		start(&list[i], argv[i + 2]);
		turns[i] = &list[i];
	}
	warm(list, n);
	for (enum work work = 0; work < WORKS; work++)
		for (int round = 0; round < (work < HOT ? ROUNDS : COLD_ROUNDS); round++)
			measure(turns, n, work, round);
	print_figures(list, n);
	judge_all(list, n);
	write_plot(list, n, argv[1]);
	free(turns);
	free(list);
	return missed;
}
