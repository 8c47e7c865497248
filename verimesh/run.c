/* run.c: runs wg, ip and wireguard-go; see run.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* A file in memory that holds the input, read from its start. */
static int input_file(struct span input) {
	int fd = memfd_create("verimesh", MFD_CLOEXEC);

	while (fd >= 0 && input.n) {
		ssize_t wrote = write(fd, input.p, input.n);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0) {
			close(fd);
			return -1;
		}
		input = span_from(input, (size_t)wrote);
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void wipe_file(int fd, size_t n) {
	void *page = n ? mmap(NULL, n, PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (page == MAP_FAILED)
		return;
	sodium_memzero(page, n);
	munmap(page, n);
}

/* posix_spawnp would search the caller's PATH. */
static bool spawn(const char *const argv[], int in, int out, pid_t *pid) {
	static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	static char *const environment[] = {
		(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL};
	posix_spawn_file_actions_t actions;
	int error = ENOENT;
	char path[64];

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	for (size_t i = 0; error == ENOENT && i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dirs[i], argv[0]);
		error = posix_spawn(pid, path, &actions, NULL, (char *const *)argv, environment);
	}
	posix_spawn_file_actions_destroy(&actions);
	errno = error;
	return error == 0;
}

/* Turns the program's complaint into an error. */
static bool complain(const char *program, const char *said, int status, struct err *err) {
	char text[256];

	snprintf(text, sizeof text, "%.*s", (int)strcspn(said, "\n"), said);
	if (!text[0])
		snprintf(text, sizeof text, WIFEXITED(status) ? "exit status %d" : "killed by signal %d",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return err_set(err, ERR_ENV, "%s: %s", program, text);
}

static bool succeeded(const char *program, pid_t pid, int out, char *said, size_t size, struct err *err) {
	pid_t ended;
	ssize_t n;
	int status;

	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	n = pread(out, said, size - 1, 0);
	said[n > 0 ? n : 0] = 0;
	if (ended < 0) /* SIGCHLD was ignored by who started us: what came of it is not known */
		return err_set(err, ERR_ENV, "%s: %m", program);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || complain(program, said, status, err);
}

bool run_said(const char *const argv[], struct span input, char *said, size_t size, struct err *err) {
	int in = input_file(input), out = memfd_create("verimesh", MFD_CLOEXEC);
	bool good = false;
	pid_t pid;

	said[0] = 0;
	if (in < 0 || out < 0)
		err_set(err, ERR_ENV, "%s: %m", argv[0]);
	else if (!spawn(argv, in, out, &pid))
		err_set(err, ERR_ENV, "%s: %m; install wireguard-tools and iproute2", argv[0]);
	else
		good = succeeded(argv[0], pid, out, said, size, err);
	if (in >= 0) {
		wipe_file(in, input.n);
		close(in);
	}
	if (out >= 0)
		close(out);
	return good;
}

bool run(const char *const argv[], struct span input, struct err *err) {
	char said[256];

	return run_said(argv, input, said, sizeof said, err);
}
