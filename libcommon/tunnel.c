/* tunnel.c: reads a WireGuard device by generic netlink or by its UAPI socket; see tunnel.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "netlink.h"
#include "paths.h"
#include "tunnel.h"

#define PATIENCE 2 /* seconds */
#define SOCKET_DIR "/var/run/wireguard"
#define DONE (-1) /* no errno value: all is read */

/* A device half read. */
struct reading {
	tunnel_visit *visit;
	void *ctx;
	struct tunnel_peer peer;
	bool in_peer;
	uint16_t port;
};

static void tell(const struct reading *r, const struct prefix *prefix) {
	if (r->visit && r->in_peer)
		r->visit(r->ctx, &r->peer, prefix);
}

/* The same key again is a further piece of the same peer, which netlink continues in its next message. */
static void begin_peer(struct reading *r, const uint8_t key[static WG_KEY_BYTES]) {
	if (r->in_peer && memcmp(r->peer.key, key, WG_KEY_BYTES) == 0)
		return;
	tell(r, NULL);
	r->in_peer = true;
	r->peer = (struct tunnel_peer){0};
	memcpy(r->peer.key, key, WG_KEY_BYTES);
}

/* Not by addr_from_bytes: to WireGuard an IPv4-mapped prefix is one of IPv6, and here it must not
 * answer for IPv4. */
static bool tell_prefix(const struct reading *r, int family, const void *bytes, uint64_t bits) {
	struct prefix prefix = {.addr.family = (uint8_t)family, .bits = (uint8_t)bits};

	if (bits > addr_size(&prefix.addr) * 8)
		return false;
	memcpy(prefix.addr.bytes, bytes, addr_size(&prefix.addr));
	tell(r, &prefix);
	return true;
}

/* --- generic netlink --- */

static struct span payload(const struct nlattr *attr) {
	return span_of(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
}

/* The payload of the attribute of a type among those; empty when there is none. */
static struct span find(struct span among, uint16_t type) {
	const void *at = among.p;
	const struct nlattr *attr = at;

	for (; mnl_attr_ok(attr, (int)(among.p + among.n - (const uint8_t *)attr));
		attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) == type)
			return payload(attr);
	return span_of(NULL, 0);
}

static struct span attributes(const struct nlmsghdr *message) {
	struct span all = span_of(mnl_nlmsg_get_payload(message), mnl_nlmsg_get_payload_len(message));

	return span_from(all, sizeof(struct genlmsghdr));
}

/* Copies what there is of the attribute's first n bytes: a number is in this host's byte order. */
static void get_value(struct span among, uint16_t type, void *value, size_t n) {
	struct span bytes = span_cut(find(among, type), 0, n);

	if (bytes.n)
		memcpy(value, bytes.p, bytes.n);
}

/* Only the first of a peer's pieces has one. */
static void get_endpoint(struct span among, struct tunnel_peer *peer) {
	struct sockaddr_in6 sa = {0};

	get_value(among, WGPEER_A_ENDPOINT, &sa, sizeof sa);
	if (sa.sin6_family && addr_from_sockaddr((struct sockaddr *)&sa, &peer->endpoint))
		peer->endpoint_port = ntohs(sa.sin6_port); /* which is where that of IPv4 is */
}

static int read_prefix(const struct nlattr *nest, void *r) {
	struct span bytes = find(payload(nest), WGALLOWEDIP_A_IPADDR);
	struct span bits = find(payload(nest), WGALLOWEDIP_A_CIDR_MASK);
	int family = bytes.n == 4 ? AF_INET : AF_INET6;

	if ((bytes.n != 4 && bytes.n != 16) || bits.n != 1 || !tell_prefix(r, family, bytes.p, *bits.p))
		return MNL_CB_ERROR;
	return MNL_CB_OK;
}

static int read_peer(const struct nlattr *nest, void *data) {
	struct span all = payload(nest), key = find(all, WGPEER_A_PUBLIC_KEY);
	struct span prefixes = find(all, WGPEER_A_ALLOWEDIPS);
	struct reading *r = data;
	struct tunnel_peer *peer = &r->peer;

	if (key.n != WG_KEY_BYTES)
		return MNL_CB_ERROR;
	begin_peer(r, key.p);
	/* a struct __kernel_timespec: seconds first */
	get_value(all, WGPEER_A_LAST_HANDSHAKE_TIME, &peer->handshake, sizeof peer->handshake);
	get_value(all, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &peer->keepalive, sizeof peer->keepalive);
	get_endpoint(all, peer);
	return mnl_attr_parse_payload(prefixes.p, prefixes.n, read_prefix, r);
}

static int read_device(const struct nlmsghdr *message, void *data) {
	struct span peers = find(attributes(message), WGDEVICE_A_PEERS);
	struct reading *r = data;

	get_value(attributes(message), WGDEVICE_A_LISTEN_PORT, &r->port, sizeof r->port);
	return mnl_attr_parse_payload(peers.p, peers.n, read_peer, r);
}

static int read_family(const struct nlmsghdr *message, void *family) {
	struct span id = find(attributes(message), CTRL_ATTR_FAMILY_ID);

	if (id.n != sizeof(uint16_t))
		return MNL_CB_ERROR;
	memcpy(family, id.p, id.n);
	return MNL_CB_STOP;
}

/* A request of generic netlink with one attribute, a string. */
static int ask(uint16_t type, uint16_t flags, uint8_t command, uint16_t attr, const char *text,
	mnl_cb_t answer, void *data) {
	/* libmnl 1.0.4 does not write the padding of an attribute */
	_Alignas(struct nlmsghdr) char buf[16384] = {0};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof *header);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	header->cmd = command;
	header->version = 1; /* of nlctrl and of WireGuard */
	mnl_attr_put_strz(message, attr, text);
	return netlink_ask(NETLINK_GENERIC, buf, sizeof buf, answer, data);
}

static int read_netlink(const char *interface, struct reading *r) {
	uint16_t family = 0;
	int rc = ask(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME, read_family,
		&family);

	return rc ? rc
		  : ask(family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WGDEVICE_A_IFNAME, interface, read_device, r);
}

/* --- the UAPI socket: lines of NAME=VALUE --- */

static bool parse_number(const char *text, uint64_t max, uint64_t *value) {
	char *end;

	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *value <= max;
}

static int digit(char c) {
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static bool parse_key(struct reading *r, const char *text) {
	uint8_t key[WG_KEY_BYTES];

	if (strspn(text, "0123456789abcdef") != 2 * WG_KEY_BYTES || text[2 * WG_KEY_BYTES])
		return false;
	for (size_t i = 0; i < WG_KEY_BYTES; i++)
		key[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
	begin_peer(r, key);
	return true;
}

static bool parse_prefix(const struct reading *r, char *text) {
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	char *slash = strchr(text, '/');
	uint8_t bytes[16];
	uint64_t bits;

	if (!r->in_peer || !slash || !parse_number(slash + 1, 128, &bits))
		return false;
	*slash = 0;
	return inet_pton(family, text, bytes) == 1 && tell_prefix(r, family, bytes, bits);
}

/* "198.51.100.7:51820" or "[fe80::1%eth0]:51820". One of another form is none. */
static void parse_endpoint(struct tunnel_peer *peer, const char *text) {
	const bool v6 = *text == '[';
	struct span address = span_of(text + v6, strcspn(text + v6, v6 ? "%]" : ":"));
	const char *colon = strchr(text + v6 + address.n, ':');

	if (colon && addr_parse(address, &peer->endpoint))
		peer->endpoint_port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

/* 0, DONE, or an errno value. What is not asked for, or not known, is passed over. At end is the newline. */
static int parse_line(struct reading *r, char *line, char *end) {
	char *value = memchr(line, '=', (size_t)(end - line));
	struct span name;
	bool good = true;

	if (!value)
		return EPROTO;
	name = span_of(line, (size_t)(value++ - line));
	*end = 0;
	if (span_is(name, "errno"))
		return strcmp(value, "0") == 0 ? DONE : EPROTO;
	if (span_is(name, "public_key"))
		good = parse_key(r, value);
	else if (span_is(name, "allowed_ip"))
		good = parse_prefix(r, value);
	else if (span_is(name, "last_handshake_time_sec"))
		good = parse_number(value, INT64_MAX, &r->peer.handshake);
	else if (span_is(name, "persistent_keepalive_interval"))
		r->peer.keepalive = (uint16_t)strtoul(value, NULL, 10);
	else if (span_is(name, "listen_port"))
		r->port = (uint16_t)strtoul(value, NULL, 10);
	else if (span_is(name, "endpoint"))
		parse_endpoint(&r->peer, value);
	return good ? 0 : EPROTO;
}

/* Parses the whole lines among the n bytes and moves what is left of them to the start. */
static int parse_lines(struct reading *r, char *buf, size_t *n) {
	char *line = buf, *end;
	int rc = memchr(buf, 0, *n) ? EPROTO : 0;

	while (rc == 0 && (end = memchr(line, '\n', *n)) != NULL) {
		rc = parse_line(r, line, end);
		*n -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	memmove(buf, line, *n);
	return rc;
}

/* Reads lines until one says DONE. */
static int read_lines(struct reading *r, int fd) {
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct timespec start, now;
	char buf[16384];
	size_t n = 0;
	ssize_t got;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (rc == 0) {
		poll(&readable, 1, PATIENCE * 1000);
		got = recv(fd, buf + n, sizeof buf - n, MSG_DONTWAIT);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= PATIENCE) {
			rc = ETIMEDOUT;
		} else if (got > 0) {
			n += (size_t)got;
			rc = parse_lines(r, buf, &n);
		} else if (got == 0 || errno != EAGAIN) {
			rc = EPROTO; /* it closed early, or the line does not end */
		}
	}
	explicit_bzero(buf, sizeof buf);
	return rc == DONE ? 0 : rc;
}

static int read_uapi(const char *interface, struct reading *r) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, rc;

	snprintf(address.sun_path, sizeof address.sun_path, SOCKET_DIR "/%s.sock", interface);
	fd = path_open_trusted(address.sun_path, O_PATH, S_IFSOCK, &st);
	if (fd < 0)
		return errno == ENOENT ? ENODEV : errno;
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	errno = EPROTO; /* it does not take the whole question */
	rc = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
			     send(fd, "get=1\n\n", 7, MSG_NOSIGNAL) == 7
		     ? read_lines(r, fd)
		     : errno;
	close(fd);
	return rc;
}

int tunnel_read(const char *interface, tunnel_visit *visit, void *ctx, uint16_t *port) {
	struct reading r = {.visit = visit, .ctx = ctx};
	int rc;

	/* the UAPI socket belongs to no network namespace: the interface must be one of this */
	if (!if_nametoindex(interface))
		return ENODEV;
	rc = read_netlink(interface, &r);
	if (rc == ENODEV || rc == EOPNOTSUPP || rc == ENOENT)
		rc = read_uapi(interface, &r);
	if (rc == 0)
		tell(&r, NULL);
	if (port)
		*port = r.port;
	return rc;
}

/* The best answer so far to: whose is addr? */
struct search {
	const struct addr *addr;
	uint8_t *key;
	struct prefix *by; /* family 0: nobody's */
};

static void look_at(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix) {
	struct search *s = ctx;

	if (!prefix || !prefix_covers(prefix, s->addr) ||
		(s->by->addr.family && prefix->bits <= s->by->bits))
		return;
	*s->by = *prefix;
	memcpy(s->key, peer->key, WG_KEY_BYTES);
}

int tunnel_owner(const char *interface, const struct addr *addr, uint8_t key[static WG_KEY_BYTES],
	struct prefix *by) {
	struct search s = {addr, key, by};
	int rc = EINTR;

	for (int tries = 3; tries > 0 && rc == EINTR; tries--) {
		*by = (struct prefix){0};
		rc = tunnel_read(interface, look_at, &s, NULL);
	}
	if (rc == 0)
		return by->addr.family ? 0 : ENOENT;
	return rc == ENOENT ? EPROTO : rc; /* not known is not nobody's */
}
