/* pam.c: what a whole PAM transaction costs with the gate in it, beside what else could stand there. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netdb.h>
#include <netinet/in.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS "/var/run/wireguard"
#define ROUNDS 60  /* processes of a kind, of which the fastest counts */
#define REPEATS 10 /* transactions of each, behind its first */
#define FEW 10	   /* peers, up to which a ratio is the goal */
#define RATIO_GOAL 2.0
#define MORE_GOAL 2.0 /* ms */

static char remote[NI_MAXHOST];
static const char *interface;

__attribute__((noreturn)) static void give_up(const char *what) {
	fprintf(stderr, "bench: %s\n", what);
	exit(2);
}

static double microseconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- what is measured: each succeeds, or says at what it failed --- */

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *ctx) {
	(void)n, (void)messages, (void)responses, (void)ctx;
	return PAM_CONV_ERR; /* nobody is asked anything */
}

/* As sshd has it: the process holds the connection, and PAM_RHOST names its other end. */
static const char *transact(const char *service, bool session) {
	const struct pam_conv conversation = {.conv = converse};
	const char *failed = NULL;
	pam_handle_t *pamh;

	if (pam_start(service, "alice", &conversation, &pamh) != PAM_SUCCESS)
		return "pam_start";
	if (pam_set_item(pamh, PAM_RHOST, remote) != PAM_SUCCESS ||
		pam_set_item(pamh, PAM_TTY, "ssh") != PAM_SUCCESS)
		failed = "pam_set_item";
	else if (pam_authenticate(pamh, 0) != PAM_SUCCESS)
		failed = "pam_authenticate";
	else if (pam_acct_mgmt(pamh, 0) != PAM_SUCCESS)
		failed = "pam_acct_mgmt";
	else if (session && pam_open_session(pamh, 0) != PAM_SUCCESS)
		failed = "pam_open_session";
	else if (session && pam_close_session(pamh, 0) != PAM_SUCCESS)
		failed = "pam_close_session";
	pam_end(pamh, PAM_SUCCESS);
	return failed;
}

static const char *log_in(const char *service) {
	return transact(service, false);
}

static const char *log_in_and_out(const char *service) {
	return transact(service, true);
}

/* All that a userspace WireGuard says of a device, and nothing done with it: the floor of whoever asks. */
static const char *read_device(const char *name) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *failed = NULL;
	char buf[16384];
	ssize_t n = 1;

	snprintf(address.sun_path, sizeof address.sun_path, SOCKETS "/%s.sock", name);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
		write(fd, "get=1\n\n", 7) != 7 || shutdown(fd, SHUT_WR) != 0)
		failed = "the device's socket";
	while (!failed && n > 0)
		n = read(fd, buf, sizeof buf);
	close(fd);
	return failed;
}

/* --- how --- */

/* What a process pays first, when nothing is loaded, and what it pays at best from then on. */
struct cost {
	double first, again;
};

static double take(const char *(*work)(const char *), const char *what) {
	double start = microseconds();
	const char *failed = work(what);

	if (failed) {
		fprintf(stderr, "bench: %s: ", what);
		give_up(failed);
	}
	return microseconds() - start;
}

static void lower(double *least, double value) {
	if (*least == 0 || value < *least)
		*least = value;
}

static void measure(const char *(*work)(const char *), const char *what, struct cost *least) {
	struct cost cost = {0};
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) != 0)
		give_up("pipe");
	pid = fork();
	if (pid == 0) {
		cost.first = take(work, what);
		for (int i = 0; i < REPEATS; i++)
			lower(&cost.again, take(work, what));
		_exit(write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 2);
	}
	close(ends[1]);
	if (pid < 0 || read(ends[0], &cost, sizeof cost) != sizeof cost || waitpid(pid, &status, 0) != pid ||
		status != 0)
		exit(2);
	close(ends[0]);
	lower(&least->first, cost.first);
	lower(&least->again, cost.again);
}

/* The connection of a login, which stays open for as long as this process lasts. Says where it waits. */
static void await_login(const char *address) {
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	struct addrinfo *here;
	int listener, fd;

	if (getaddrinfo(address, "2222", &hints, &here) != 0)
		give_up("no address");
	listener = socket(here->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, here->ai_addr, here->ai_addrlen) != 0 || listen(listener, 1) != 0)
		give_up("cannot listen");
	freeaddrinfo(here);
	fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
	close(listener);
	if (fd < 0 || getnameinfo((struct sockaddr *)&peer, size, remote, sizeof remote, NULL, 0,
			      NI_NUMERICHOST) != 0)
		give_up("nobody came");
}

static bool is_userspace(void) {
	char path[64];

	snprintf(path, sizeof path, SOCKETS "/%s.sock", interface);
	return access(path, F_OK) == 0;
}

static void judge(unsigned peers, struct cost ours, struct cost floor) {
	double ratio = ours.again / floor.again, more = (ours.again - floor.again) / 1e3;
	double ratio1 = ours.first / floor.first, more1 = (ours.first - floor.first) / 1e3;

	if (peers <= FEW)
		printf("goal: at most %.1f times pam_permit: %.2f again, %.2f at first: %s\n", RATIO_GOAL,
			ratio, ratio1, ratio <= RATIO_GOAL && ratio1 <= RATIO_GOAL ? "met" : "missed");
	else
		printf("goal: under %.0f ms more than pam_permit: %.2f again, %.2f at first: %s\n",
			MORE_GOAL, more, more1, more < MORE_GOAL && more1 < MORE_GOAL ? "met" : "missed");
}

/* usage: pam PEERS INTERFACE ADDRESS    where the services stand that pam.sh writes. Waits for a connection
 * to the address, port 2222, which then is that of the login. */
int main(int argc, char **argv) {
	static const struct {
		const char *text, *service;
	} rivals[] = {
		{"pam_permit", "bench-permit"},
		{"pam_verimesh", "bench-verimesh"},
		{"pam_access", "bench-access"},
		{"pam_unix", "bench-unix"},
		{"pam_exec /bin/true", "bench-exec"},
	};
	enum { PERMIT, VERIMESH, RIVALS = sizeof rivals / sizeof rivals[0] };
	struct cost login[RIVALS] = {0}, session[RIVALS] = {0}, floor = {0};
	unsigned peers;
	size_t turn;

	if (argc != 4)
		give_up("usage: pam PEERS INTERFACE ADDRESS");
	peers = (unsigned)strtoul(argv[1], NULL, 10);
	interface = argv[2];
	await_login(argv[3]);
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < RIVALS; i++) {
			turn = (round + i) % RIVALS; /* nobody is always behind the same */
			measure(log_in, rivals[turn].service, &login[turn]);
			measure(log_in_and_out, rivals[turn].service, &session[turn]);
		}
		if (is_userspace())
			measure(read_device, interface, &floor);
	}
	printf("%u peers; least of %d processes, µs: the first of a process, and once all is loaded\n%-34s "
	       "%15s "
	       "%23s\n",
		peers, ROUNDS, "", "a login", "and a session");
	for (size_t i = 0; i < RIVALS; i++)
		printf("%-28s %10.0f %10.0f %12.0f %10.0f   %6.2f times\n", rivals[i].text, login[i].first,
			login[i].again, session[i].first, session[i].again,
			login[i].again / login[PERMIT].again);
	if (is_userspace())
		printf("%-28s %10.0f %10.0f   of this in pam_verimesh, once a phase\n",
			"wireguard-go's answer alone", floor.first, floor.again);
	judge(peers, login[VERIMESH], login[PERMIT]);
	return 0;
}
