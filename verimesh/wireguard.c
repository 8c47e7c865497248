/* wireguard.c: makes, fills and removes the mesh interface; see wireguard.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "paths.h"
#include "run.h"
#include "tunnel.h"
#include "wireguard.h"

#define KEEPALIVE 25 /* seconds (DESIGN.md 6) */
#define MTU "1420"   /* what is left of 1500 behind IPv6, UDP and WireGuard */

/* ---- whose interface it is ---- */

/* The mark of `up`: a file in /run/verimesh that holds the interface's index. */
static bool mark_path(const char *root, const char *interface, char path[static PATH_MAX], struct err *err) {
	char name[IFNAMSIZ + 4];

	snprintf(name, sizeof name, "%.15s.up", interface);
	return file_path(path, root, PATH_RUN, name, err);
}

enum wireguard_state wireguard_state(const char *root, const char *interface) {
	unsigned index = if_nametoindex(interface);
	char path[PATH_MAX], *end;
	uint8_t *data;
	size_t n;

	if (index == 0)
		return WIREGUARD_NONE;
	if (!mark_path(root, interface, path, NULL) || !file_read(path, 16, &data, &n, NULL))
		return WIREGUARD_FOREIGN;
	if (strtoul((char *)data, &end, 10) != index || *end != '\n')
		index = 0;
	free(data);
	return index ? WIREGUARD_OURS : WIREGUARD_FOREIGN;
}

struct counter {
	const struct roster *roster;
	size_t unknown;
};

static void count_unknown(void *ctx, const struct tunnel_peer *peer) {
	struct counter *counter = ctx;

	for (size_t i = 0; i < counter->roster->nhosts; i++)
		if (memcmp(counter->roster->hosts[i].key, peer->key, WG_KEY_BYTES) == 0)
			return;
	counter->unknown++;
}

bool wireguard_refuse_foreign(const struct roster *roster, const char *interface, struct err *err) {
	struct counter counter = {.roster = roster};
	struct tunnel_visitor visitor = {.ctx = &counter, .peer = count_unknown};

	if (tunnel_read(interface, &visitor) != 0)
		return err_set(err, ERR_ENV,
			"%s is there, and verimesh up did not make it; choose another Name", interface);
	return err_set(err, ERR_ENV,
		"%s has %zu peers that verimesh does not know, and verimesh up did not make it; "
		"choose another Name",
		interface, counter.unknown);
}

/* ---- making and removing ---- */

/* wireguard-go answers a moment after it went into the background. */
static bool wait_until_readable(const char *interface, struct err *err) {
	static const struct tunnel_visitor nothing = {0};
	static const struct timespec pause = {.tv_nsec = 10000000};

	for (unsigned tries = 0; tries < 500; tries++) {
		if (tunnel_read(interface, &nothing) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_ENV, "%s: was made but does not answer", interface);
}

bool wireguard_make(const char *root, const char *interface, struct err *err) {
	const char *const add[] = {"ip", "link", "add", interface, "type", "wireguard", NULL};
	const char *const user[] = {"wireguard-go", interface, NULL};
	char path[PATH_MAX], dir[PATH_MAX], mark[16];
	struct span nothing = {0};

	if (!mark_path(root, interface, path, err) || !file_path(dir, root, PATH_RUN, NULL, err) ||
		!file_mkdir(dir, 0755, err))
		return false;
	if (!run(add, nothing, err) && !run(user, nothing, err))
		return err_set(err, ERR_ENV,
			"%s: this kernel has no WireGuard and wireguard-go cannot make it either; "
			"install one",
			interface);
	if (!wait_until_readable(interface, err))
		return false;
	snprintf(mark, sizeof mark, "%u\n", if_nametoindex(interface));
	return file_replace(path, span_str(mark), 0644, err);
}

bool wireguard_remove(const char *root, const char *interface, struct err *err) {
	const char *const del[] = {"ip", "link", "del", interface, NULL};
	char path[PATH_MAX];

	if (!run(del, span_of(NULL, 0), err) || !mark_path(root, interface, path, err))
		return false;
	return unlink(path) == 0 || errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path);
}

/* ---- filling ---- */

static void write_peer(FILE *out, const struct roster *roster, const struct roster_host *host) {
	char text[PREFIX_TEXT], key[WG_KEY_TEXT];
	bool v6 = host->endpoint.family == AF_INET6;
	struct prefix one;

	wg_key_encode(host->key, key);
	fprintf(out, "\n[Peer]\nPublicKey = %s\nAllowedIPs = ", key);
	for (size_t i = 0; i < host->naddrs; i++) {
		one = prefix_host(&host->addrs[i]);
		fprintf(out, "%s%s", i ? ", " : "", prefix_format(&one, text));
	}
	for (size_t i = 0; i < host->nroutes; i++)
		fprintf(out, ", %s", prefix_format(&host->routes[i], text));
	fputc('\n', out);
	if (host->endpoint.family)
		fprintf(out, "Endpoint = %s%s%s:%u\n", v6 ? "[" : "", addr_format(&host->endpoint, text),
			v6 ? "]" : "", host->endpoint_port);
	/* a host that nobody can reach by itself keeps its tunnels open (DESIGN.md 6) */
	if (!roster->self || !roster->self->endpoint.family)
		fprintf(out, "PersistentKeepalive = %d\n", KEEPALIVE);
}

static bool sync_peers(
	const struct roster *roster, const uint8_t secret[static WG_KEY_BYTES], struct err *err) {
	const char *const syncconf[] = {"wg", "syncconf", roster->policy->interface, "/dev/stdin", NULL};
	char *text = NULL, key[WG_KEY_TEXT];
	bool good = false;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	wg_key_encode(secret, key);
	fprintf(out, "[Interface]\nPrivateKey = %s\nListenPort = %u\n", key, roster->policy->port);
	sodium_memzero(key, sizeof key);
	for (size_t i = 0; i < roster->nhosts; i++)
		if (!roster->hosts[i].self)
			write_peer(out, roster, &roster->hosts[i]);
	if (fclose(out) == 0)
		good = run(syncconf, span_of(text, n), err);
	else
		err_set(err, ERR_ENV, "out of memory");
	if (text)
		sodium_memzero(text, n);
	free(text);
	return good;
}

/* Addresses and routes, for `ip -batch`. */
static void write_batch(FILE *out, const struct roster *roster) {
	const struct policy *policy = roster->policy;
	const char *name = policy->interface;
	struct prefix prefix;
	char text[PREFIX_TEXT];

	for (size_t i = 0; roster->self && i < roster->self->naddrs; i++) {
		prefix = prefix_host(&roster->self->addrs[i]);
		fprintf(out, "address replace %s dev %s\n", prefix_format(&prefix, text), name);
	}
	fprintf(out, "link set dev %s mtu " MTU " up\n", name);
	for (size_t i = 0; i < policy->npeers; i++) {
		prefix = derived_prefix(policy->peers[i].aid);
		fprintf(out, "route replace %s dev %s\n", prefix_format(&prefix, text), name);
		for (size_t k = 0; k < policy->peers[i].nallowed; k++)
			fprintf(out, "route replace %s dev %s\n",
				prefix_format(&policy->peers[i].allowed[k], text), name);
	}
}

bool wireguard_sync(
	const struct roster *roster, const uint8_t secret[static WG_KEY_BYTES], struct err *err) {
	const char *const batch[] = {"ip", "-batch", "-", NULL};
	char *text = NULL;
	bool good = false;
	size_t n = 0;
	FILE *out;

	if (!sync_peers(roster, secret, err))
		return false;
	out = open_memstream(&text, &n);
	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	write_batch(out, roster);
	if (fclose(out) == 0)
		good = run(batch, span_of(text, n), err);
	else
		err_set(err, ERR_ENV, "out of memory");
	free(text);
	return good;
}
