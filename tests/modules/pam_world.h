/* pam_world.h: a mesh of this host and db1 of clinic-b for the PAM module, with all that it asks. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_PAM_WORLD_H
#define VERIMESH_TESTS_PAM_WORLD_H

#include <errno.h>
#include <keyutils.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "keyring.h"
#include "keyring_build.h"
#include "map_build.h"
#include "map_sample.h"
#include "paths.h"
#include "sandbox.h"

#define WORLD_ROOT "/run/host" /* what the module's root=DIR is */
#define WORLD_MAP WORLD_ROOT PATH_MAP

/* This host is 10.77.1.1, db1 10.77.2.5 and 10.77.2.6 and, by a route, 10.80.0.0/16; its login alice is
 * alice here, bob is rsmith. Real WireGuard is between them, and beside it a plain link (192.0.2.1,
 * 192.0.2.2). Points into itself: not to be copied. */
struct world {
	struct sandbox net;
	struct sample sample;
	const char *interface;
	char key[WG_KEY_TEXT]; /* db1's */
	int32_t ring;
	pid_t tunnels[2]; /* userspace WireGuards */
};

/* Once, behind sandbox_enter: /run/wireguard, and a /dev with little in it, in which /dev/log is the
 * caller's socket. That, or -1. */
static inline int world_take_dev(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	struct sandbox net;
	int fd;

	if (!sandbox_network(&net) ||
		!sandbox_run(net.here, "mkdir /run/dev /run/wireguard\n"
				       "mount --rbind /dev /run/dev\n"
				       "mount -t tmpfs -o mode=755 dev /dev\n"
				       "mkdir /dev/net\n"
				       "for f in null zero random urandom net/tun; do\n"
				       "    [ ! -e /run/dev/$f ] || { >/dev/$f; mount --bind "
				       "/run/dev/$f /dev/$f; }\n"
				       "done\n"
				       "ln -s /proc/self/fd /dev/fd\n"))
		return -1;
	sandbox_leave(&net);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

/* Starts a userspace WireGuard; 0 when it does not come up. */
static inline pid_t world_start_tunnel(int ns, const char *interface) {
	char path[64];
	pid_t child;

	snprintf(path, sizeof path, "/run/wireguard/%s.sock", interface);
	unlink(path); /* left by one that was killed */
	child = sandbox_fork(ns);
	if (child == 0) {
		if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
			execlp("wireguard-go", "wireguard-go", "-f", interface, NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && waitpid(child, NULL, WNOHANG) == 0; i++) {
		if (access(path, F_OK) == 0)
			return child;
		usleep(2000);
	}
	return 0;
}

/* The kernel's WireGuard, else one in userspace. */
static inline bool world_make_interface(int ns, const char *interface, pid_t *tunnel) {
	if (sandbox_run(ns, "ip link add %s type wireguard 2>/dev/null", interface))
		return true;
	*tunnel = world_start_tunnel(ns, interface);
	return *tunnel > 0;
}

static inline bool world_configure_tunnel(const struct world *w) {
	return sandbox_run(w->net.here,
		       "IF=%s\n"
		       "umask 077\n"
		       "cd /run\n"
		       "wg genkey >near.key\n"
		       "wg genkey >far.key\n"
		       "wg pubkey <near.key >near.pub\n"
		       "wg pubkey <far.key >far.pub\n"
		       "wg set $IF private-key near.key listen-port 51820 \\\n"
		       "    peer $(cat far.pub) endpoint 192.0.2.2:51820 \\\n"
		       "    allowed-ips 10.77.2.5,10.77.2.6,10.80.0.0/16\n"
		       "ip -batch - <<END\n"
		       "link set $IF up\n"
		       "addr add 10.77.1.1/32 dev $IF\n"
		       "route add 10.77.2.0/24 dev $IF\n"
		       "route add 10.80.0.0/16 dev $IF\n"
		       "END\n"
		       "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done\n",
		       w->interface) &&
	       sandbox_run(w->net.far, "cd /run\n"
				       "wg set far1 private-key far.key listen-port 51820 \\\n"
				       "    peer $(cat near.pub) endpoint 192.0.2.1:51820 \\\n"
				       "    allowed-ips 10.77.1.1\n"
				       "ip -batch - <<END\n"
				       "link set far1 up\n"
				       "addr add 10.77.2.5/32 dev far1\n"
				       "addr add 10.77.2.6/32 dev far1\n"
				       "addr add 10.80.0.9/32 dev far1\n"
				       "route add 10.77.1.1/32 dev far1\n"
				       "END\n");
}

/* db1's key in the roster is the one that its end of the tunnel has. */
static inline bool world_take_key(struct world *w) {
	struct roster_host *db1 = &w->sample.hosts[SAMPLE_DB1_B];
	struct span text = bytes_of_file("/run/far.pub");
	bool good = text.n == WG_KEY_TEXT && wg_key_decode((const char *)text.p, WG_KEY_TEXT - 1, db1->key);

	bytes_free(text);
	wg_key_encode(db1->key, w->key);
	return good;
}

/* Writes the map and the keys of the sample as it is now. */
static inline bool world_sync(struct world *w) {
	struct err err = {0};

	if (map_build(&w->sample.roster, WORLD_MAP, &err) &&
		keyring_make(WORLD_ROOT, w->interface, &w->ring, &err) &&
		keyring_sync(w->ring, &w->sample.roster, &err))
		return true;
	printf("%s\n", err.text);
	return false;
}

/* False, and world_leave is still due, where there is no WireGuard for this user. */
static inline bool world_make(struct world *w) {
	memset(w, 0, sizeof *w);
	sample_init(&w->sample);
	w->interface = w->sample.policy.interface;
	snprintf(w->sample.policy.interface, IFNAMSIZ, "vf%x", (unsigned)getpid() & 0xffffff);
	return sandbox_network(&w->net) && world_make_interface(w->net.here, w->interface, &w->tunnels[0]) &&
	       world_make_interface(w->net.far, "far1", &w->tunnels[1]) && world_configure_tunnel(w) &&
	       world_take_key(w) && sandbox_run(w->net.here, "mkdir -p " WORLD_ROOT PATH_STATE) &&
	       world_sync(w);
}

static inline bool world_leave(struct world *w) {
	struct err err = {0};

	for (size_t i = 0; i < 2; i++)
		sandbox_kill(w->tunnels[i]);
	keyctl_setperm(w->ring, KEYRING_OURS); /* a test may have changed it */
	if (!keyring_remove(WORLD_ROOT, w->interface, &err) ||
		!sandbox_run(w->net.here, "rm -rf " WORLD_ROOT))
		return false;
	sandbox_leave(&w->net);
	return true;
}

/* A new audit session, as pam_loginuid makes one, and its number. False where this user cannot. */
static inline bool world_take_session(char id[static 16]) {
	char before[16] = "";
	FILE *file = fopen("/proc/self/sessionid", "r");
	bool good = file && fscanf(file, "%15s", before) == 1;

	if (file)
		fclose(file);
	good = good && (rootless_write("/proc/self/loginuid", "4294967295") || true) &&
	       rootless_write("/proc/self/loginuid", "2001");
	file = fopen("/proc/self/sessionid", "r");
	good = file && fscanf(file, "%15s", id) == 1 && good && strcmp(id, before) != 0;
	if (file)
		fclose(file);
	return good;
}

/* The built module's absolute path. */
static inline bool world_find_module(char module[static PATH_MAX]) {
	const char *build = getenv("B");
	char path[PATH_MAX - 32];

	snprintf(path, sizeof path, "%s/pam_verimesh.so", build ? build : "build");
	if (realpath(path, module))
		return true;
	perror(path);
	return false;
}

#endif
