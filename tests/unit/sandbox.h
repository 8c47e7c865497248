/* sandbox.h: gives a test program mounts and a network of its own, with a far end, and root. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_SANDBOX_H
#define VERIMESH_TESTS_SANDBOX_H

#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "addr.h"
#include "rootless.h"

/* Two network namespaces joined by a veth pair, near0 (192.0.2.1) and far0 (192.0.2.2). */
struct sandbox {
	int here, far; /* the namespaces */
};

/* Starts a process in a network namespace that ends with this one. Returns as fork. */
static inline pid_t sandbox_fork(int ns) {
	pid_t child = fork();

	if (child == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setns(ns, CLONE_NEWNET) != 0))
		_exit(1);
	return child;
}

static inline void sandbox_kill(pid_t child) {
	if (child > 0 && kill(child, SIGKILL) == 0)
		waitpid(child, NULL, 0);
}

/* Runs a shell script in a network namespace. */
static inline bool __attribute__((format(printf, 2, 3))) sandbox_run(int ns, const char *format, ...) {
	char script[4096];
	pid_t child;
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(script, sizeof script, format, args);
	va_end(args);
	fflush(NULL);
	child = sandbox_fork(ns);
	if (child == 0) {
		execl("/bin/sh", "sh", "-ec", script, NULL);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Makes the namespaces anew; this process is in `here` then. */
static inline bool sandbox_network(struct sandbox *s) {
	*s = (struct sandbox){-1, -1};
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	s->far = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->far < 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	s->here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return s->here >= 0 &&
	       sandbox_run(s->here,
		       "ip link add near0 type veth peer name far0 netns /proc/%d/fd/%d\n"
		       "ip -batch - <<END\n"
		       "link set lo up\n"
		       "link set near0 up\n"
		       "addr add 192.0.2.1/24 dev near0\n"
		       "END\n",
		       getpid(), s->far) &&
	       sandbox_run(s->far, "ip -batch - <<END\n"
				   "link set lo up\n"
				   "link set far0 up\n"
				   "addr add 192.0.2.2/24 dev far0\n"
				   "END\n");
}

static inline void sandbox_leave(struct sandbox *s) {
	close(s->far);
	close(s->here);
}

/* The process becomes root of private mounts, with an empty /run, and can make networks. False
 * where that is not possible. */
static inline bool sandbox_enter(void) {
	const char *old = getenv("PATH");
	struct sandbox net;
	char path[4096];

	snprintf(path, sizeof path, "/usr/sbin:/usr/bin:/sbin:/bin:%s", old ? old : "");
	if (setenv("PATH", path, 1) != 0 || (geteuid() != 0 && !rootless_enter()) ||
		unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0 ||
		!sandbox_network(&net)) {
		perror("no namespaces here");
		return false;
	}
	sandbox_leave(&net);
	return true;
}

static inline socklen_t sandbox_sockaddr(
	int family, const char *text, in_port_t port, struct sockaddr_storage *out) {
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	memset(out, 0, sizeof *out);
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		in->sin_port = port;
	else
		in6->sin6_port = port;
	if (inet_pton(family, text, family == AF_INET ? (void *)&in->sin_addr : &in6->sin6_addr) != 1)
		abort();
	return family == AF_INET ? sizeof *in : sizeof *in6;
}

/* A process in namespace ns connects from one address to another and holds on until the other end
 * hangs up. */
static inline pid_t sandbox_call(int ns, const char *from, const char *to, in_port_t port) {
	const int family = strchr(to, ':') ? AF_INET6 : AF_INET;
	struct sockaddr_storage name;
	pid_t child = sandbox_fork(ns);
	socklen_t n;
	char byte;
	int fd;

	if (child != 0)
		return child;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	n = sandbox_sockaddr(family, from, 0, &name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, n) != 0)
		_exit(1);
	n = sandbox_sockaddr(family, to, port, &name);
	if (connect(fd, (struct sockaddr *)&name, n) != 0)
		_exit(2);
	while (read(fd, &byte, 1) > 0)
		;
	_exit(0);
}

/* A TCP connection that was accepted in this process: from, in namespace ns, to an address here,
 * by a listener of the family (AF_INET6: it takes both). -1 when it does not come about. */
static inline int sandbox_accept(int ns, int family, const char *from, const char *to) {
	const struct timeval patience = {.tv_sec = 5};
	struct sockaddr_storage name;
	int fd = -1, off = 0, listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sandbox_sockaddr(family, family == AF_INET ? "0.0.0.0" : "::", 0, &name);

	if (family == AF_INET6)
		setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
		bind(listener, (struct sockaddr *)&name, n) == 0 && listen(listener, 1) == 0 &&
		getsockname(listener, (struct sockaddr *)&name, &n) == 0 &&
		sandbox_call(ns, from, to, ((struct sockaddr_in *)&name)->sin_port) > 0)
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return fd;
}

#endif
