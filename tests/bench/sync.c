/* sync.c: what a sync of unchanged peers costs, as a ratio to `wg show IF dump`. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../verimesh/sync.h"
#include "../../verimesh/verimesh.h"

#define ROUNDS 21
#define GOAL 2.0

static struct mesh mesh;
static const char *interface;

/* Of the command's main.c. */
int problem(const struct err *err) {
	fprintf(stderr, "bench: %s\n", err->text);
	return (int)err->status;
}

int usage(const struct command *command, const char *what) {
	(void)command;
	(void)what;
	return ERR_USAGE;
}

static bool run_quietly(const char *const argv[]) {
	posix_spawn_file_actions_t actions;
	int status = 1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) == 0)
		waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&actions);
	return status == 0;
}

static bool dump(void) {
	const char *const argv[] = {"wg", "show", interface, "dump", NULL};

	return run_quietly(argv);
}

/* All that a sync does about the interface: reads it, and finds nothing to do. */
static bool sync_interface(void) {
	struct err err;

	wireguard_free(&mesh.wireguard);
	return wireguard_read(&mesh.wireguard, mesh.root, interface, mesh.policy.adopt, &err) &&
	       wireguard_sync(&mesh.wireguard, mesh.root, &mesh.roster, mesh.secret, false) == 0 &&
	       interface_sync(&mesh.roster, true, false) == 0;
}

static bool sync_all(void) {
	const char *const argv[] = {"verimesh", "sync", NULL};

	return run_quietly(argv);
}

static double milliseconds(bool (*work)(void)) {
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (!work()) {
		fputs("bench: what is measured failed\n", stderr);
		exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
}

static int compare_numbers(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* By turns, so that what slows this machine down slows down both. Returns the ratio of the medians. */
static double compare(const char *name, bool (*work)(void)) {
	double floor[ROUNDS], cost[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		floor[i] = milliseconds(dump);
		cost[i] = milliseconds(work);
	}
	qsort(floor, ROUNDS, sizeof *floor, compare_numbers);
	qsort(cost, ROUNDS, sizeof *cost, compare_numbers);
	printf("%-28s %7.1f ms   wg show dump %7.1f ms   ratio %5.2f\n", name, cost[ROUNDS / 2],
		floor[ROUNDS / 2], cost[ROUNDS / 2] / floor[ROUNDS / 2]);
	return cost[ROUNDS / 2] / floor[ROUNDS / 2];
}

/* usage: sync INTERFACE    on a host where that is up and in sync */
int main(int argc, char **argv) {
	double ratio;
	struct err err;

	if (argc != 2)
		return ERR_USAGE;
	interface = argv[1];
	if (!mesh_open(&mesh, "", true, mesh_print, NULL, &err))
		return problem(&err);
	printf("%zu peers, nothing differs; medians of %d rounds\n", mesh.wireguard.npeers, ROUNDS);
	ratio = compare("sync, the interface's part", sync_interface);
	mesh_close(&mesh);
	compare("verimesh sync, all of it", sync_all);
	printf("goal: a ratio under %.0f for the interface's part: %s\n", GOAL,
		ratio < GOAL ? "met" : "missed");
	return ratio < GOAL ? 0 : 1;
}
