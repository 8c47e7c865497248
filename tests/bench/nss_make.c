/* nss_make.c: what the NSS bench looks things up in: maps, whose making it measures, and files. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "map_build.h"
#include "nss_names.h"

#define ROUNDS 3

/* Goals, for a million records. */
#define SECONDS_GOAL 2.0
#define MEMORY_GOAL 512.0 /* MiB */

__attribute__((noreturn)) static void give_up(const char *what) {
	perror(what);
	exit(2);
}

static void *some(size_t n, size_t size) {
	void *p = calloc(n, size);

	if (!p)
		give_up("memory");
	return p;
}

/* ---- a roster ---- */

struct scene {
	struct policy policy;
	struct roster roster;
};

static void fill_host(struct roster_host *host, const struct policy_peer *peer, unsigned i) {
	host->peer = peer;
	bench_label(i, host->label);
	memset(host->said, 'E', sizeof host->said - 1);
	host->sn = 7;
	host->expires = NEVER;
	host->naddrs = 1;
	host->addrs = some(1, sizeof *host->addrs);
	host->addrs[0] = bench_addr(i);
	memcpy(host->key, host->addrs[0].bytes, 16);
	host->nlogins = 1;
	host->logins = some(1, sizeof *host->logins);
	snprintf(host->logins[0].login, sizeof host->logins[0].login, "u%u", i);
	bench_user(i, host->logins[0].account);
}

/* It lives as long as the process. */
static void fill(struct scene *s, unsigned hosts) {
	struct policy_login *logins = some(hosts, sizeof *logins);
	struct roster_host *list = some(hosts, sizeof *list);
	struct account *accounts = some(hosts, sizeof *accounts);
	unsigned peers = (hosts + BENCH_EACH - 1) / BENCH_EACH;

	s->policy = (struct policy){
		.interface = "verimesh0",
		.domain = BENCH_DOMAIN,
		.home = "/home/%u@%p",
		.shell = "/bin/bash",
		.peers = some(peers, sizeof *s->policy.peers),
		.npeers = peers,
	};
	for (unsigned i = 0; i < hosts; i++) {
		struct policy_peer *peer = &s->policy.peers[i / BENCH_EACH];

		bench_group(i, peer->name);
		bench_aid(i, peer->aid);
		snprintf(logins[i].login, sizeof logins[i].login, "u%u", i);
		bench_user(i, logins[i].account);
		accounts[i] = (struct account){peer, &logins[i], bench_uid(i), bench_gid(i), NEVER};
		fill_host(&list[i], peer, i);
	}
	s->roster = (struct roster){&s->policy, list, hosts, accounts, hosts, NULL, 0};
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The most that this process had in memory so far, MiB. */
static double mebibytes(void) {
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

/* ---- memory ---- */

/* A figure of a file in /proc, MiB; 0 when it is not there. */
static double read_figure(const char *path, const char *name) {
	FILE *file = fopen(path, "re");
	unsigned long kb = 0;
	char line[256];

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtoul(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return (double)kb / 1024;
}

/* Files that are memory only are no process's, so another process looks at what this one and all those files
 * take, every two milliseconds. */
static pid_t watch(double *most) {
	double files = read_figure("/proc/meminfo", "Shmem:");
	char status[64];
	pid_t pid;

	snprintf(status, sizeof status, "/proc/%d/status", (int)getpid());
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		double now =
			read_figure(status, "RssAnon:") + read_figure("/proc/meminfo", "Shmem:") - files;

		if (now > *most)
			*most = now;
		usleep(2000);
	}
}

/* Writes peers.cdb and says what that cost. True when the goals are met. */
static bool make_map(const char *dir, unsigned hosts) {
	double least = 0, roster_memory, *most;
	char path[PATH_MAX];
	struct scene scene;
	struct err err;
	struct stat st;
	pid_t watcher;
	bool met;

	most = mmap(NULL, sizeof *most, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (most == MAP_FAILED)
		give_up("memory");
	fill(&scene, hosts);
	roster_memory = mebibytes();
	snprintf(path, sizeof path, "%s/peers.cdb", dir);
	watcher = watch(most);
	for (int i = 0; i < ROUNDS; i++) {
		double start = seconds();

		if (!map_build(&scene.roster, path, &err)) {
			fprintf(stderr, "bench: %s\n", err.text);
			exit(2);
		}
		if (i == 0 || seconds() - start < least)
			least = seconds() - start;
	}
	kill(watcher, SIGKILL);
	waitpid(watcher, NULL, 0);
	if (mebibytes() > *most)
		*most = mebibytes();
	met = least < SECONDS_GOAL && *most < MEMORY_GOAL;
	printf("%9lu %9u %9.1f %9.3f %9.0f %9.0f  %s\n", bench_records(hosts), hosts,
		stat(path, &st) == 0 ? (double)st.st_size / (1 << 20) : 0, least, roster_memory, *most,
		met ? "met" : "MISSED");
	return met;
}

/* ---- the same as files ---- */

static FILE *create(const char *dir, const char *name) {
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "we");
	if (!file)
		give_up(path);
	return file;
}

/* So many lines each; between the groups of the organisations stand others. */
static void make_files(const char *dir, unsigned lines) {
	FILE *hosts = create(dir, "hosts"), *passwd = create(dir, "passwd"), *group = create(dir, "group");
	char name[BENCH_NAME], text[ADDR_TEXT];

	for (unsigned i = 0; i < lines; i++) {
		struct addr addr = bench_addr(i);

		bench_host(i, name);
		fprintf(hosts, "%s %s\n", addr_format(&addr, text), name);
		bench_user(i, name);
		fprintf(passwd, "%s:*:%u:%u::/home/%s:/bin/bash\n", name, bench_uid(i), bench_gid(i), name);
		bench_group(i, name);
		if (i % BENCH_EACH == 0)
			fprintf(group, "%s:*:%u:\n", name, bench_gid(i));
		else
			fprintf(group, "g%u:*:%u:\n", i, 2 * BENCH_IDS + i);
	}
	if (fclose(hosts) != 0 || fclose(passwd) != 0 || fclose(group) != 0)
		give_up(dir);
}

/* usage: nss_make map|files DIR HOSTS    Exits 1 if making the map missed a goal. */
int main(int argc, char **argv) {
	unsigned hosts = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

	if (hosts == 0)
		return 2;
	if (strcmp(argv[1], "map") == 0)
		return make_map(argv[2], hosts) ? 0 : 1;
	make_files(argv[2], hosts);
	return 0;
}
