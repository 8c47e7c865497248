/* verify.c: what verify and import cost beside the signatures themselves, in time and in memory. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "card_builder.h"
#include "hostile.h"

#define STREAM "stream.cesr"
#define ROOT "root"

/* Goals: of the time of the bare signatures, of the first import's, MiB; how much more a byte of a hostile
 * stream may cost in one four times as long. */
#define LONG_GOAL 1.05
#define MANY_GOAL 1.10
#define TWO_GOAL 0.60
#define AGAIN_GOAL 0.03
#define MEMORY_GOAL 32.0
#define FLAT_GOAL 1.5

#define HOSTILE_TIMES 8 /* as long as the tests have them */

static char command[PATH_MAX];
static bool missed;

__attribute__((noreturn)) static void give_up(const char *what) {
	perror(what);
	exit(2);
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- processes ---- */

struct cost {
	double seconds, busy; /* passed; on a processor */
	double mebibytes;     /* most in memory */
	int status;
};

static struct cost least(struct cost a, struct cost b) {
	if (b.seconds < a.seconds)
		a.seconds = b.seconds;
	if (b.busy < a.busy)
		a.busy = b.busy;
	return a;
}

/* This process on the first so many processors of those it may use. */
static void keep_to(int processors) {
	cpu_set_t may, set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof may, &may) != 0)
		give_up("sched_getaffinity");
	for (size_t i = 0; i < CPU_SETSIZE && processors > 0; i++) {
		if (!CPU_ISSET(i, &may))
			continue;
		CPU_SET(i, &set);
		processors--;
	}
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		give_up("sched_setaffinity");
}

static double in_use(const struct timeval *t) {
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* Waits for a process that started then. The memory of one that was forked starts with this one's, which
 * is why whatever is large here is done in another. */
static struct cost cost_of(pid_t pid, double start) {
	struct rusage usage;
	struct cost cost;
	int status;

	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		give_up("a process");
	cost.seconds = seconds() - start;
	cost.busy = in_use(&usage.ru_utime) + in_use(&usage.ru_stime);
	cost.mebibytes = (double)usage.ru_maxrss / 1024;
	cost.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return cost;
}

/* `verimesh --root DIR VERB STREAM` on so many processors. */
static struct cost run(const char *verb, int processors) {
	const char *const argv[] = {"verimesh", "--root", ROOT, verb, STREAM, NULL};
	double start = seconds();
	pid_t pid = fork();
	int null;

	if (pid == 0) {
		keep_to(processors);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execv(command, (char *const *)argv);
		_exit(127);
	}
	return cost_of(pid, start);
}

static struct cost run_well(const char *verb, int processors) {
	struct cost cost = run(verb, processors);

	if (cost.status != 0) {
		fprintf(stderr, "bench: %s failed\n", verb);
		exit(2);
	}
	return cost;
}

/* ---- streams ---- */

struct shape {
	unsigned logs, events; /* of each log */
	unsigned rotations;    /* each event that is a multiple of this; 0: none */
	unsigned opaque;       /* bytes that an interaction holds */
};

static void write_text(FILE *file, struct text *text) {
	if (fwrite(text->p, 1, text->n, file) != text->n)
		give_up(STREAM);
	text->n = 0;
}

static void write_log(FILE *file, const struct shape *shape, unsigned number) {
	struct text message = {0}, seals = {0};
	char name[16];
	struct id id = {.name = name};

	snprintf(name, sizeof name, "%u", number);
	text_add(&seals, "{\"d\":\"%s\"%s", DIGEST, shape->opaque ? ",\"x\":\"" : "");
	for (unsigned i = 0; i < shape->opaque; i++)
		text_bytes(&seals, "x", 1);
	text_add(&seals, shape->opaque ? "\"}" : "}");
	incept(&message, &id, "");
	for (unsigned i = 1; i < shape->events; i++) {
		if (shape->rotations && i % shape->rotations == 0)
			rotate(&message, &id, "");
		else
			interact(&message, &id, seals.p);
		write_text(file, &message);
	}
	write_text(file, &message);
	text_free(&seals);
	text_free(&message);
}

static void write_logs(FILE *file, const void *shape) {
	for (unsigned i = 0; i < ((const struct shape *)shape)->logs; i++)
		write_log(file, shape, i);
}

struct enemy {
	const struct hostile *hostile;
	unsigned n;
};

static void write_hostile(FILE *file, const void *what) {
	const struct enemy *enemy = what;
	struct text text = {0};

	enemy->hostile->make(&text, enemy->n);
	write_text(file, &text);
	text_free(&text);
}

static double stream_bytes(void) {
	struct stat st;

	if (stat(STREAM, &st) != 0)
		give_up(STREAM);
	return (double)st.st_size;
}

/* Makes the stream anew. Returns its bytes. */
static double make(void (*write_it)(FILE *, const void *), const void *what) {
	double start = seconds();
	pid_t pid = fork();
	FILE *file;

	if (pid == 0) {
		file = fopen(STREAM, "we");
		if (!file)
			give_up(STREAM);
		write_it(file, what);
		_exit(fclose(file) == 0 ? 0 : 2);
	}
	if (cost_of(pid, start).status != 0)
		exit(2);
	return stream_bytes();
}

/* ---- the floor: signatures, and nothing else ---- */

struct signature {
	struct span body;
	uint8_t key[CESR_RAW], sig[CESR_SIG_RAW];
};

/* The signatures of a stream whose events have one each. */
static struct signature *signatures(struct span stream, size_t *n) {
	struct signature *list = NULL, next = {0};
	struct cesr_message message;
	struct cesr_reader reader;
	struct cesr_item item;
	struct event event;
	struct span key;

	*n = 0;
	while (cesr_message(&stream, &message, NULL) == CESR_ITEM) {
		if (!event_parse(message.body, &event, NULL))
			give_up("a body");
		if (event_next_text(&event.keys, &key))
			cesr_decode(key, CESR_ED25519, next.key);
		cesr_reader_init(&reader, message.attachments);
		cesr_next(&reader, &item, NULL);
		memcpy(next.sig, item.sig, sizeof next.sig);
		next.body = message.body;
		if (!array_append(&list, n, &next, sizeof next))
			give_up("memory");
	}
	return list;
}

static double verify_bare(void) {
	int fd = open(STREAM, O_RDONLY | O_CLOEXEC);
	struct signature *list;
	struct stat st;
	size_t n;
	double start;
	void *data;

	if (fd < 0 || fstat(fd, &st) != 0)
		give_up(STREAM);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		give_up(STREAM);
	list = signatures(span_of(data, (size_t)st.st_size), &n);
	start = seconds();
	for (size_t i = 0; i < n; i++)
		if (crypto_sign_verify_detached(list[i].sig, list[i].body.p, list[i].body.n, list[i].key))
			give_up("a signature");
	return seconds() - start;
}

/* Seconds on one processor. */
static double bare(void) {
	double *result, seconds_passed;
	pid_t pid;

	result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		give_up("memory");
	pid = fork();
	if (pid == 0) {
		keep_to(1);
		*result = verify_bare();
		_exit(0);
	}
	if (cost_of(pid, 0).status != 0)
		exit(2);
	seconds_passed = *result;
	munmap(result, sizeof *result);
	return seconds_passed;
}

/* ---- the table ---- */

static const char *judge(bool met) {
	missed = missed || !met;
	return met ? "met" : "MISSED";
}

static void print_ratio(const char *what, double cost, double floor, const char *of, double goal) {
	printf("%-38s %8.1f ms  %8.1f ms  %-15s %6.3f %5.2f  %s\n", what, cost * 1e3, floor * 1e3, of,
		cost / floor, goal, judge(cost <= floor * goal));
}

static void print_memory(const char *what, double mebibytes, double bytes) {
	printf("%-38s %8.1f MiB %8.1f MiB %-15s %6s %5.0f  %s\n", what, mebibytes, bytes / (1 << 20),
		"the stream", "", MEMORY_GOAL, judge(mebibytes < MEMORY_GOAL));
}

/* ---- what is measured ---- */

/* By turns, so that what slows this machine down slows down all of them. */
static void bench_verify(const char *name, const struct shape *shape, double goal, int rounds) {
	double bytes = make(write_logs, shape), floor = bare();
	struct cost one = run_well("verify", 1), two = run_well("verify", 2);

	for (int i = 1; i < rounds; i++) {
		double again = bare();

		floor = again < floor ? again : floor;
		one = least(one, run_well("verify", 1));
		two = least(two, run_well("verify", 2));
	}
	puts(name);
	print_ratio("  verify, one processor", one.seconds, floor, "bare signatures", goal);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		print_ratio("  verify, two", two.seconds, floor, "bare signatures", TWO_GOAL);
	else
		puts("  verify, two: not measured, there is but one");
	print_memory("  memory", two.mebibytes, bytes);
}

/* Of the stream that is there: all of it is new, and then all of it is known. */
static void bench_import(void) {
	struct cost first = run_well("import", 2), again = run_well("import", 2);

	for (int i = 0; i < 2; i++)
		again = least(again, run_well("import", 2));
	print_ratio("  import of what is known", again.seconds, first.seconds, "first import", AGAIN_GOAL);
	printf("%-38s %8.1f MiB\n", "  memory of the first import", first.mebibytes);
}

static void bench_memory(const char *name, const struct shape *shape) {
	double bytes = make(write_logs, shape);

	puts(name);
	print_memory("  memory", run_well("verify", 2).mebibytes, bytes);
}

#define SIZES 3 /* each twice the one before */

/* What a stream is made of must not raise what a byte of it costs, however long it is. */
static void bench_hostile(const struct hostile *h) {
	struct cost cost[SIZES];
	double bytes[SIZES];

	for (int i = 0; i < SIZES; i++) {
		const struct enemy enemy = {h, (h->n * HOSTILE_TIMES) << i};

		bytes[i] = make(write_hostile, &enemy);
		cost[i] = least(run("verify", 2), run("verify", 2));
		if (cost[i].status != 0 && cost[i].status != ERR_NO)
			give_up(h->name);
	}
	printf("%-34s %6.1f MB %8.1f %8.1f %8.1f %7.1f MiB  %s\n", h->name, bytes[2] / 1e6,
		cost[0].busy * 1e9 / bytes[0], cost[1].busy * 1e9 / bytes[1], cost[2].busy * 1e9 / bytes[2],
		cost[2].mebibytes, judge(cost[2].busy <= cost[0].busy * 4 * FLAT_GOAL + 0.005));
}

/* usage: verify VERIMESH    in an empty directory */
int main(int argc, char **argv) {
	static const struct shape long_logs = {10, 201, 20, 0}, many_logs = {10000, 5, 0, 0},
				  interactions = {1, 50001, 0, 0}, large = {1, 12500, 0, 16000};

	if (argc != 2 || !realpath(argv[1], command) || mkdir(ROOT, 0755) != 0 || sodium_init() < 0)
		give_up("usage: verify VERIMESH");
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%-38s %8s     %8s     %-15s %6s %5s\n", "the least of some runs", "figure", "floor", "",
		"ratio", "goal");
	bench_verify("10 logs of 201 events", &long_logs, LONG_GOAL, 25);
	bench_verify("10,000 logs of 5 events", &many_logs, MANY_GOAL, 3);
	bench_import();
	bench_memory("a log of 50,000 interactions", &interactions);
	bench_memory("a log of 200 MB", &large);
	printf("\n%-34s %9s %27s %11s\n", "hostile streams of N, 2N, 4N bytes", "4N", "ns a byte", "memory");
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
		bench_hostile(&hostile[i]);
	puts(missed ? "\na goal was missed" : "\nall goals met");
	return missed;
}
