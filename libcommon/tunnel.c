/* tunnel.c: reads a WireGuard device by generic netlink or by its UAPI socket; see tunnel.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tunnel.h"

#define PATIENCE 2 /* seconds */
#define SOCKET_DIR "/var/run/wireguard"
#define ATTRIBUTES 16 /* more than a nest of WireGuard's has kinds of */
#define DONE (-1)     /* no errno value: all is read */

/* A device half read: facts are gathered until what they belong to can be told. */
struct reading {
	const struct tunnel_visitor *visitor;
	struct tunnel_device device;
	struct tunnel_peer peer;
	bool device_told, in_peer, peer_told;
};

static void tell(struct reading *r) {
	const struct tunnel_visitor *v = r->visitor;

	if (!r->device_told && v->device)
		v->device(v->ctx, &r->device);
	if (r->in_peer && !r->peer_told && v->peer)
		v->peer(v->ctx, &r->peer);
	r->device_told = r->peer_told = true;
}

/* The same key again is a further piece of the same peer. */
static void begin_peer(struct reading *r, const uint8_t key[static WG_KEY_BYTES]) {
	if (r->in_peer && memcmp(r->peer.key, key, WG_KEY_BYTES) == 0)
		return;
	tell(r);
	r->peer = (struct tunnel_peer){0};
	memcpy(r->peer.key, key, WG_KEY_BYTES);
	r->in_peer = true;
	r->peer_told = false;
}

/* Not by addr_from_bytes: to WireGuard an IPv4-mapped prefix is one of IPv6, and here it must not
 * answer for IPv4. */
static bool tell_prefix(struct reading *r, int family, const void *bytes, unsigned bits) {
	struct prefix prefix = {.addr.family = (uint8_t)family, .bits = (uint8_t)bits};

	if ((family != AF_INET && family != AF_INET6) || bits > addr_size(&prefix.addr) * 8)
		return false;
	memcpy(prefix.addr.bytes, bytes, addr_size(&prefix.addr));
	tell(r);
	if (r->visitor->prefix)
		r->visitor->prefix(r->visitor->ctx, &r->peer, &prefix);
	return true;
}

/* --- generic netlink --- */

static int collect(const struct nlattr *attr, void *data) {
	const struct nlattr **found = data;

	if (mnl_attr_get_type(attr) < ATTRIBUTES)
		found[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* Copies an attribute of n bytes or more; false when there is none. */
static bool take(const struct nlattr *attr, void *out, size_t n) {
	if (!attr || mnl_attr_get_payload_len(attr) < n)
		return false;
	memcpy(out, mnl_attr_get_payload(attr), n);
	return true;
}

static int nested_prefix(const struct nlattr *nest, void *data) {
	const struct nlattr *found[ATTRIBUTES] = {0};
	uint8_t bytes[16], bits;
	uint16_t family;

	mnl_attr_parse_nested(nest, collect, found);
	if (!take(found[WGALLOWEDIP_A_FAMILY], &family, sizeof family) ||
		!take(found[WGALLOWEDIP_A_IPADDR], bytes, family == AF_INET ? 4 : 16) ||
		!take(found[WGALLOWEDIP_A_CIDR_MASK], &bits, sizeof bits) ||
		!tell_prefix(data, family, bytes, bits))
		return MNL_CB_ERROR;
	return MNL_CB_OK;
}

static void peer_facts(struct tunnel_peer *peer, const struct nlattr *const *found) {
	const struct nlattr *end = found[WGPEER_A_ENDPOINT];
	char host[64], port[8];

	/* a struct __kernel_timespec: seconds first */
	take(found[WGPEER_A_LAST_HANDSHAKE_TIME], &peer->handshake, sizeof peer->handshake);
	if (end && getnameinfo(mnl_attr_get_payload(end), mnl_attr_get_payload_len(end), host, sizeof host,
			   port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(peer->endpoint, sizeof peer->endpoint, strchr(host, ':') ? "[%s]:%s" : "%s:%s",
			host, port);
}

static int nested_peer(const struct nlattr *nest, void *data) {
	const struct nlattr *found[ATTRIBUTES] = {0}, *attr;
	struct reading *r = data;
	uint8_t key[WG_KEY_BYTES];

	mnl_attr_parse_nested(nest, collect, found);
	if (!take(found[WGPEER_A_PUBLIC_KEY], key, sizeof key))
		return MNL_CB_ERROR;
	begin_peer(r, key);
	if (!r->peer_told && r->visitor->peer)
		peer_facts(&r->peer, found);
	tell(r);
	attr = found[WGPEER_A_ALLOWEDIPS];
	return attr ? mnl_attr_parse_nested(attr, nested_prefix, r) : MNL_CB_OK;
}

static int device_message(const struct nlmsghdr *message, void *data) {
	const struct nlattr *found[ATTRIBUTES] = {0}, *attr;
	struct reading *r = data;

	mnl_attr_parse(message, sizeof(struct genlmsghdr), collect, found);
	take(found[WGDEVICE_A_PUBLIC_KEY], r->device.public_key, sizeof r->device.public_key);
	take(found[WGDEVICE_A_LISTEN_PORT], &r->device.port, sizeof r->device.port);
	tell(r);
	attr = found[WGDEVICE_A_PEERS];
	return attr ? mnl_attr_parse_nested(attr, nested_peer, r) : MNL_CB_OK;
}

static int family_message(const struct nlmsghdr *message, void *data) {
	const struct nlattr *found[ATTRIBUTES] = {0};

	mnl_attr_parse(message, sizeof(struct genlmsghdr), collect, found);
	return take(found[CTRL_ATTR_FAMILY_ID], data, sizeof(uint16_t)) ? MNL_CB_OK : MNL_CB_ERROR;
}

/* NLMSG_ERROR, and NLMSG_DONE in which a dump says how it went (libmnl's own handler does not
 * look): both start with 0 or an errno value, mostly negative. */
static int end_message(const struct nlmsghdr *message, void *data) {
	int code = EPROTO;

	(void)data;
	if (mnl_nlmsg_get_payload_len(message) >= sizeof code)
		memcpy(&code, mnl_nlmsg_get_payload(message), sizeof code);
	errno = abs(code);
	return code ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* Sends a request with one attribute, a string, and reads the answer. Generic netlink answers while
 * it is asked: nothing to wait for is an error. */
static int ask(struct mnl_socket *nl, struct nlmsghdr how, uint8_t command, uint16_t attr, const char *text,
	mnl_cb_t answer, void *data) {
	_Alignas(struct nlmsghdr) char buf[16384] = "";
	mnl_cb_t ends[] = {[NLMSG_ERROR] = end_message, [NLMSG_DONE] = end_message};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
	int rc = MNL_CB_OK;
	ssize_t n;

	message->nlmsg_type = how.nlmsg_type;
	message->nlmsg_flags = NLM_F_REQUEST | how.nlmsg_flags;
	header->cmd = command;
	header->version = 1; /* of nlctrl and of WireGuard */
	mnl_attr_put_strz(message, attr, text);
	n = mnl_socket_sendto(nl, message, message->nlmsg_len);
	while (n >= 0 && rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof buf);
		errno = n < 0 ? errno : EPROTO;
		if (n >= 0)
			rc = mnl_cb_run2(buf, (size_t)n, 0, mnl_socket_get_portid(nl), answer, data, ends,
				MNL_ARRAY_SIZE(ends));
	}
	explicit_bzero(buf, sizeof buf);
	return n < 0 || rc < 0 ? errno : 0;
}

static int read_netlink(const char *interface, struct reading *r) {
	struct nlmsghdr family = {.nlmsg_type = GENL_ID_CTRL, .nlmsg_flags = NLM_F_ACK};
	struct nlmsghdr device = {.nlmsg_flags = NLM_F_DUMP};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int rc;

	if (!nl)
		return errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 ? 0 : errno;
	if (rc == 0)
		rc = ask(nl, family, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME, family_message,
			&device.nlmsg_type);
	if (rc == 0)
		rc = ask(nl, device, WG_CMD_GET_DEVICE, WGDEVICE_A_IFNAME, interface, device_message, r);
	mnl_socket_close(nl);
	return rc;
}

/* --- the UAPI socket: lines of NAME=VALUE --- */

static bool parse_number(const char *text, uint64_t max, uint64_t *value) {
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && errno == 0 && *value <= max;
}

static bool parse_hex_key(const char *text, uint8_t key[static WG_KEY_BYTES]) {
	static const char digits[] = "0123456789abcdef";

	if (strspn(text, digits) != 2 * WG_KEY_BYTES || text[2 * WG_KEY_BYTES])
		return false;
	memset(key, 0, WG_KEY_BYTES);
	for (size_t i = 0; i < 2 * WG_KEY_BYTES; i++)
		key[i / 2] = (uint8_t)(key[i / 2] << 4 | (strchr(digits, text[i]) - digits));
	return true;
}

static bool uapi_prefix(struct reading *r, char *text) {
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	char *bits = strchr(text, '/');
	uint8_t bytes[16];
	uint64_t n;

	if (!bits || !parse_number(bits + 1, 128, &n))
		return false;
	*bits = 0;
	return inet_pton(family, text, bytes) == 1 && tell_prefix(r, family, bytes, (unsigned)n);
}

/* 0, DONE, or an errno value. What is not asked for, or not known, is passed over. */
static int uapi_line(struct reading *r, char *line) {
	char *value = strchr(line, '=');
	uint8_t key[WG_KEY_BYTES];
	uint64_t port;
	bool good = true;

	if (!value)
		return EPROTO;
	*value++ = 0;
	if (strcmp(line, "errno") == 0) {
		tell(r);
		return strcmp(value, "0") == 0 ? DONE : EPROTO;
	}
	if (strcmp(line, "public_key") == 0) {
		good = parse_hex_key(value, key);
		if (good)
			begin_peer(r, key);
	} else if (strcmp(line, "allowed_ip") == 0) {
		good = r->in_peer && uapi_prefix(r, value);
	} else if (strcmp(line, "endpoint") == 0) {
		good = span_copy(span_str(value), r->peer.endpoint, sizeof r->peer.endpoint);
	} else if (strcmp(line, "last_handshake_time_sec") == 0) {
		good = parse_number(value, INT64_MAX, &r->peer.handshake);
	} else if (strcmp(line, "listen_port") == 0) {
		good = parse_number(value, UINT16_MAX, &port);
		r->device.port = (uint16_t)port;
	}
	return good ? 0 : EPROTO;
}

/* Reads lines until one says DONE. */
static int uapi_lines(struct reading *r, int fd) {
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	char buf[1024], *end;
	size_t n = 0;
	ssize_t got;
	struct timespec now;
	time_t deadline = 0, left;
	int rc = 0;

	while (rc == 0) {
		end = memchr(buf, '\n', n);
		if (end) {
			*end = 0;
			rc = strlen(buf) == (size_t)(end - buf) ? uapi_line(r, buf) : EPROTO;
			n -= (size_t)(end + 1 - buf);
			memmove(buf, end + 1, n);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		deadline = deadline ? deadline : now.tv_sec + PATIENCE;
		left = deadline - now.tv_sec;
		if (left <= 0 || poll(&readable, 1, (int)left * 1000) == 0) {
			rc = ETIMEDOUT;
			break;
		}
		got = recv(fd, buf + n, sizeof buf - n, MSG_DONTWAIT);
		if (got > 0)
			n += (size_t)got;
		else if (got == 0 || errno != EAGAIN)
			rc = EPROTO; /* it closed early, or the line does not end */
	}
	explicit_bzero(buf, sizeof buf);
	return rc == DONE ? 0 : rc;
}

/* Only a socket that root alone can have put there. */
static int read_uapi(const char *interface, struct reading *r) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat dir, sock;
	int fd, rc;

	snprintf(address.sun_path, sizeof address.sun_path, SOCKET_DIR "/%s.sock", interface);
	if (lstat(SOCKET_DIR, &dir) != 0 || lstat(address.sun_path, &sock) != 0)
		return errno == ENOENT ? ENODEV : errno;
	if (!S_ISDIR(dir.st_mode) || dir.st_uid != 0 || dir.st_mode & (S_IWGRP | S_IWOTH) ||
		!S_ISSOCK(sock.st_mode) || sock.st_uid != 0)
		return EPERM;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
		send(fd, "get=1\n\n", 7, MSG_NOSIGNAL) == 7)
		rc = uapi_lines(r, fd);
	else
		rc = errno;
	close(fd);
	return rc;
}

int tunnel_read(const char *interface, const struct tunnel_visitor *visitor) {
	struct reading r = {.visitor = visitor};
	int saved = errno, rc = ENODEV;

	/* the UAPI socket belongs to no network namespace: the interface must be one of this */
	if (strlen(interface) < IFNAMSIZ && !strchr(interface, '/') && if_nametoindex(interface)) {
		rc = read_netlink(interface, &r);
		if (rc == ENODEV || rc == EOPNOTSUPP || rc == ENOENT) {
			r.device.userspace = true;
			rc = read_uapi(interface, &r);
		}
	}
	errno = saved;
	return rc;
}

/* The best answer so far to: whose is addr? */
struct search {
	const struct addr *addr;
	uint8_t *key;
	struct prefix *by;
	bool found;
};

static void look_at(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix) {
	struct search *s = ctx;

	if (!prefix_covers(prefix, s->addr) || (s->found && prefix->bits <= s->by->bits))
		return;
	s->found = true;
	*s->by = *prefix;
	memcpy(s->key, peer->key, WG_KEY_BYTES);
}

int tunnel_owner(const char *interface, const struct addr *addr, uint8_t key[static WG_KEY_BYTES],
	struct prefix *by) {
	struct search s;
	const struct tunnel_visitor visitor = {.ctx = &s, .prefix = look_at};
	int rc = EINTR;

	for (int tries = 3; tries > 0 && rc == EINTR; tries--) {
		s = (struct search){.addr = addr, .key = key, .by = by};
		rc = tunnel_read(interface, &visitor);
	}
	return rc == 0 && !s.found ? ENOENT : rc;
}
