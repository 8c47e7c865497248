/* wireguard.c: makes, fills and removes the mesh interface; see wireguard.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <ifaddrs.h>
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

static void count_unknown(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix) {
	struct counter *counter = ctx;

	if (prefix)
		return;
	for (size_t i = 0; i < counter->roster->nhosts; i++)
		if (memcmp(counter->roster->hosts[i].key, peer->key, WG_KEY_BYTES) == 0)
			return;
	counter->unknown++;
}

bool wireguard_refuse_foreign(const struct roster *roster, const char *interface, struct err *err) {
	struct counter counter = {.roster = roster};

	if (tunnel_read(interface, count_unknown, &counter, NULL) != 0)
		return err_set(err, ERR_ENV,
			"%s: is there, and verimesh up did not make it; choose another Name", interface);
	return err_set(err, ERR_ENV,
		"%s: %s has %zu peers that verimesh does not know, and verimesh up did not make it; "
		"choose another Name, or remove it (ip link del)",
		interface, interface, counter.unknown);
}

/* ---- making and removing ---- */

/* wireguard-go answers a moment after it went into the background. */
static bool wait_until_readable(const char *interface, struct err *err) {
	static const struct timespec pause = {.tv_nsec = 10000000};

	for (unsigned tries = 0; tries < 500; tries++) {
		if (tunnel_read(interface, NULL, NULL, NULL) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_ENV, "%s: was made but does not answer", interface);
}

/* One that just went takes its socket along a moment later, and until then a new one cannot start. */
static void wait_for_old_socket(const char *interface) {
	static const struct timespec pause = {.tv_nsec = 10000000};
	char path[64];

	snprintf(path, sizeof path, "/var/run/wireguard/%.15s.sock", interface);
	for (unsigned tries = 0; tries < 200 && access(path, F_OK) == 0; tries++)
		nanosleep(&pause, NULL);
}

static bool add_link(const char *interface, struct err *err) {
	const char *const kernel[] = {"ip", "link", "add", interface, "type", "wireguard", NULL};
	const char *const user[] = {"wireguard-go", interface, NULL};
	struct span nothing = {0};
	struct err why;

	if (run(kernel, nothing, &why))
		return true;
	wait_for_old_socket(interface);
	if (run(user, nothing, err))
		return true;
	return err_at(err, "%s: neither the kernel makes it (%s) nor wireguard-go", interface, why.text);
}

static bool delete_link(const char *interface, struct err *err) {
	const char *const del[] = {"ip", "link", "del", interface, NULL};

	return run(del, span_of(NULL, 0), err);
}

bool wireguard_make(const char *root, const char *interface, struct err *err) {
	char path[PATH_MAX], dir[PATH_MAX], mark[16];

	if (!mark_path(root, interface, path, err) || !file_path(dir, root, PATH_RUN, NULL, err) ||
		!file_mkdir(dir, 0755, err) || !add_link(interface, err))
		return false;
	if (wait_until_readable(interface, err)) {
		snprintf(mark, sizeof mark, "%u\n", if_nametoindex(interface));
		if (file_replace(path, span_str(mark), 0644, err))
			return true;
	}
	/* without its mark, nobody would know that it is ours */
	delete_link(interface, NULL);
	return false;
}

bool wireguard_remove(const char *root, const char *interface, struct err *err) {
	char path[PATH_MAX];

	if (!mark_path(root, interface, path, err))
		return false;
	if (if_nametoindex(interface) && !delete_link(interface, err))
		return false;
	wait_for_old_socket(interface);
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

static void write_peers(FILE *out, const struct roster *roster) {
	for (size_t i = 0; i < roster->nhosts; i++)
		if (!roster->hosts[i].self)
			write_peer(out, roster, &roster->hosts[i]);
}

/* What a writer says about the roster, in memory: *text is malloc'd. */
static bool write_text(void (*write)(FILE *out, const struct roster *roster), const struct roster *roster,
	char **text, size_t *n, struct err *err) {
	FILE *out = open_memstream(text, n);

	if (out) {
		write(out, roster);
		if (fclose(out) == 0)
			return true;
		free(*text);
	}
	*text = NULL;
	return err_set(err, ERR_ENV, "out of memory");
}

/* The secret is written last, and in one place, because memory that grows leaves copies behind. */
static bool sync_peers(
	const struct roster *roster, const uint8_t secret[static WG_KEY_BYTES], struct err *err) {
	static const char head[] = "[Interface]\nListenPort = %u\nPrivateKey = %s\n";
	const char *const syncconf[] = {"wg", "syncconf", roster->policy->interface, "/dev/stdin", NULL};
	char *peers, *text, key[WG_KEY_TEXT];
	size_t n, size;
	bool good;
	int at;

	if (!write_text(write_peers, roster, &peers, &n, err))
		return false;
	size = sizeof head + sizeof key + n;
	text = malloc(size);
	if (!text) {
		free(peers);
		return err_set(err, ERR_ENV, "out of memory");
	}
	wg_key_encode(secret, key);
	at = snprintf(text, size, head, roster->policy->port, key);
	memcpy(text + at, peers, n);
	good = run(syncconf, span_of(text, (size_t)at + n), err);
	sodium_memzero(key, sizeof key);
	sodium_memzero(text, size);
	free(text);
	free(peers);
	return good;
}

static bool has_addr(const struct roster_host *host, const struct addr *addr) {
	for (size_t i = 0; i < host->naddrs; i++)
		if (addr_eq(&host->addrs[i], addr))
			return true;
	return false;
}

/* One that `up` gave: a /32 or /128, and no link-local one of the kernel's. */
static bool is_single(const struct ifaddrs *entry, struct addr *addr) {
	struct addr mask;
	bool single = entry->ifa_addr && entry->ifa_netmask && addr_from_sockaddr(entry->ifa_addr, addr) &&
		      addr_from_sockaddr(entry->ifa_netmask, &mask);

	for (size_t i = 0; single && i < addr_size(addr); i++)
		single = mask.bytes[i] == 0xff;
	return single;
}

/* This host's addresses; those that its card does not give it any more go. */
static void write_addrs(FILE *out, const struct roster_host *self, const char *interface) {
	struct ifaddrs *list = NULL;
	struct prefix prefix;
	struct addr addr;
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < self->naddrs; i++) {
		prefix = prefix_host(&self->addrs[i]);
		fprintf(out, "address replace %s dev %s\n", prefix_format(&prefix, text), interface);
	}
	getifaddrs(&list);
	for (struct ifaddrs *i = list; i; i = i->ifa_next)
		if (strcmp(i->ifa_name, interface) == 0 && is_single(i, &addr) && !has_addr(self, &addr)) {
			prefix = prefix_host(&addr);
			fprintf(out, "address del %s dev %s\n", prefix_format(&prefix, text), interface);
		}
	freeifaddrs(list);
}

/* Addresses and routes, for `ip -batch`. */
static void write_batch(FILE *out, const struct roster *roster) {
	const struct policy *policy = roster->policy;
	const char *name = policy->interface;
	struct prefix prefix;
	char text[PREFIX_TEXT];

	if (roster->self)
		write_addrs(out, roster->self, name);
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
	char *text;
	bool good;
	size_t n;

	if (!sync_peers(roster, secret, err) || !write_text(write_batch, roster, &text, &n, err))
		return false;
	good = run(batch, span_of(text, n), err);
	free(text);
	return good;
}
