/* gate.c: decides whether a remote login may happen; see gate.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gate.h"
#include "keyring.h"
#include "map.h"
#include "netlink.h"
#include "paths.h"
#include "tunnel.h"

#define SESSION "session:%s" /* the key of a session's record */
#define PUBLICKEY "publickey "

/* What the conditions hand on to those behind them. */
struct gate {
	const struct gate_request *request;
	struct gate_decision *decision;
	char address[ADDR_TEXT]; /* the remote end, as text */
	char account[64];	 /* as text that stays within its field */
	char *detail;		 /* of the condition that is being looked at */
	struct map map;
	unsigned ifindex; /* 0: there is no such interface */
	int owner;	  /* what tunnel_owner returned, with the next two */
	uint8_t key[WG_KEY_BYTES];
	struct prefix by;
	struct span logins;
};

void gate_quote(char *text) {
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			*text = '?';
}

/* Notes a condition's detail, cut to fit. Returns met. */
static bool __attribute__((format(printf, 3, 4))) say(struct gate *g, bool met, const char *fmt, ...) {
	va_list args;

	va_start(args, fmt);
	vsnprintf(g->detail, sizeof g->decision->details[0], fmt, args);
	va_end(args);
	return met;
}

static bool check_map(struct gate *g) {
	struct map_header header;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s" PATH_MAP, g->request->root);
	int rc = (size_t)n < sizeof path ? map_open(&g->map, path) : ENAMETOOLONG;

	if (rc == 0 && (!map_header(&g->map, &header) ||
			       !span_copy(header.interface, g->decision->interface, IFNAMSIZ)))
		rc = EINVAL;
	return say(g, rc == 0, "map %s: %s", path,
		rc == 0	       ? "read"
		: rc == EPERM  ? "not root's alone"
		: rc == EINVAL ? "damaged, or of another version"
			       : strerror(rc));
}

/* Reads a key of the ring; else says which it was. */
static bool read_ring(
	struct gate *g, const char *what, const char *name, char text[static KEYRING_PAYLOAD]) {
	int32_t ring;
	int rc = keyring_open(g->request->root, g->decision->interface, &ring);

	if (rc != 0)
		return say(g, false, "keyring verimesh:%s: %s", g->decision->interface, strerror(rc));
	rc = keyring_read(ring, name, text);
	return rc == 0 || say(g, false, "%s%s in the keyring: %s", what, name, strerror(rc));
}

static bool check_record(struct gate *g) {
	char name[64], text[KEYRING_PAYLOAD], account[96], more;
	struct gate_decision *d = g->decision;

	snprintf(name, sizeof name, SESSION, g->request->session);
	if (!read_ring(g, "", name, text))
		return false;
	if (sscanf(text, "%95s %32s %255s %44s %c", account, d->login, d->host, d->key, &more) != 4)
		return say(g, false, "%s in the keyring: damaged", name);
	return say(g, strcmp(account, g->request->account) == 0, "%s is of account %s", name, account);
}

/* Fails only where certainly no peer owns the address: all else is for the next condition. */
static bool check_mesh(struct gate *g) {
	const bool in_prefix = map_in_mesh(&g->map, &g->request->remote);
	bool owned;

	g->ifindex = if_nametoindex(g->decision->interface);
	g->owner = errno;
	if (g->ifindex)
		g->owner = tunnel_owner(g->decision->interface, &g->request->remote, g->key, &g->by);
	owned = g->request->remote.family && g->owner != (g->ifindex ? ENOENT : ENODEV);
	return say(g, in_prefix || owned, "%s is %s", g->address,
		in_prefix ? "in a mesh prefix"
		: owned	  ? "in no mesh prefix, but maybe a peer's"
			  : "outside the mesh");
}

static bool check_owner(struct gate *g) {
	char by[PREFIX_TEXT];
	bool single;

	if (g->owner == ENOENT)
		return say(g, false, "%s is owned by no peer of %s", g->address, g->decision->interface);
	if (g->owner != 0)
		return say(g, false, "%s: %s", g->decision->interface, strerror(g->owner));
	single = g->by.bits == prefix_host(&g->request->remote).bits;
	wg_key_encode(g->key, g->decision->key);
	return say(g, single, "%s is %s by %s to peer %s", g->address, single ? "given" : "only routed",
		prefix_format(&g->by, by), g->decision->key);
}

static int read_attribute(const struct nlattr *attr, void *oif) {
	if (mnl_attr_get_type(attr) == RTA_OIF && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
		*(uint32_t *)oif = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int read_route(const struct nlmsghdr *message, void *oif) {
	mnl_attr_parse(message, sizeof(struct rtmsg), read_attribute, oif);
	return MNL_CB_STOP;
}

/* Gives the index of the interface by which the kernel sends to an address. `from` is the local end
 * of the connection, for rules that route by it; family 0: not known. 0, or an errno value. */
static int find_route(const struct addr *to, const struct addr *from, uint32_t *oif) {
	alignas(struct nlmsghdr) char buf[4096] = {0};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	message->nlmsg_type = RTM_GETROUTE;
	message->nlmsg_flags = NLM_F_REQUEST;
	route->rtm_family = to->family;
	route->rtm_dst_len = prefix_host(to).bits;
	mnl_attr_put(message, RTA_DST, addr_size(to), to->bytes);
	if (from->family == to->family) {
		route->rtm_src_len = route->rtm_dst_len;
		mnl_attr_put(message, RTA_SRC, addr_size(from), from->bytes);
	}
	return netlink_ask(NETLINK_ROUTE, buf, sizeof buf, read_route, oif);
}

static bool check_route(struct gate *g) {
	struct sockaddr_storage local = {0};
	socklen_t size = sizeof local;
	struct addr from = {0};
	char name[IFNAMSIZ];
	uint32_t oif = 0;
	int fd = g->request->fd, rc = 0;

	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&local, &size) != 0)
		rc = errno;
	addr_from_sockaddr((struct sockaddr *)&local, &from);
	if (rc == 0)
		rc = find_route(&g->request->remote, &from, &oif);
	if (rc != 0)
		return say(g, false, "no route to %s: %s", g->address, strerror(rc));
	return say(g, oif == g->ifindex, "the reply to %s leaves through %s", g->address,
		if_indextoname(oif, name) ? name : "no interface");
}

/* Gives the index of the interface on which a connection arrived, as the kernel tells it while the
 * option for packet information is on. A peer in IPv4, mapped or not, has it at the IPv4 level, one
 * in IPv6 only at its own. 0, or an errno value. */
static int find_ingress(int fd, int family, unsigned *ifindex) {
	const bool v4 = family == AF_INET;
	const int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	const int option = v4 ? IP_PKTINFO : IPV6_2292PKTINFO;
	const int answer = v4 ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS;
	const size_t at =
		v4 ? offsetof(struct in_pktinfo, ipi_ifindex) : offsetof(struct in6_pktinfo, ipi6_ifindex);
	alignas(struct cmsghdr) char control[512];
	struct msghdr message = {.msg_control = control};
	int before, on = 1, rc = 0;
	socklen_t before_n = sizeof before, n = sizeof control;

	if (getsockopt(fd, level, option, &before, &before_n) != 0 ||
		setsockopt(fd, level, option, &on, sizeof on) != 0)
		return errno;
	if (getsockopt(fd, level, answer, control, &n) != 0)
		rc = errno;
	if (setsockopt(fd, level, option, &before, before_n) != 0)
		rc = errno;
	message.msg_controllen = rc == 0 ? n : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == level && c->cmsg_type == option &&
			c->cmsg_len >= CMSG_LEN(at + sizeof *ifindex))
			memcpy(ifindex, CMSG_DATA(c) + at, sizeof *ifindex);
	return rc;
}

static bool check_ingress(struct gate *g) {
	char name[IFNAMSIZ];
	unsigned ifindex = 0;
	int rc = find_ingress(g->request->fd, g->request->remote.family, &ifindex);

	if (rc != 0)
		return say(g, false, "where %s came from: %s", g->address, strerror(rc));
	return say(g, ifindex == g->ifindex, "the connection of %s arrived on %s", g->address,
		if_indextoname(ifindex, name) ? name : "no interface");
}

static bool check_key(struct gate *g) {
	char payload[KEYRING_PAYLOAD], host[256] = "";

	if (!read_ring(g, "key ", g->decision->key, payload))
		return false;
	sscanf(payload, "%*s %*s %*s %255s", host);
	/* of a record, nothing else ties the two together */
	return say(g, !g->request->session || strcmp(host, g->decision->host) == 0, "the keyring says: %s",
		payload);
}

/* Among equally long items. */
static bool has(struct span list, struct span item) {
	for (; list.n >= item.n; list = span_from(list, item.n))
		if (memcmp(list.p, item.p, item.n) == 0)
			return true;
	return false;
}

static bool check_card(struct gate *g) {
	const struct addr *remote = &g->request->remote;
	struct gate_decision *d = g->decision;
	enum map_type type = g->request->session ? MAP_NAME : MAP_KEY;
	struct span what = g->request->session ? span_str(d->host) : span_of(g->key, WG_KEY_BYTES);
	struct map_card card;

	if (!map_card(&g->map, type, what, time(NULL), &card))
		return say(g, false, "the map has no live card for key %s", d->key);
	span_copy(card.name, d->host, sizeof d->host);
	span_copy(card.aid, d->aid, sizeof d->aid);
	span_copy(card.said, d->said, sizeof d->said);
	d->sn = card.sn;
	g->logins = card.logins;
	if (g->request->session)
		return say(g, true, "card %s is of %s", d->said, d->host);
	if (!has(remote->family == AF_INET ? card.v4 : card.v6, addr_span(remote)))
		return say(g, false, "%s is no address of %s", g->address, d->host);
	return say(g, true, "card %s gives %s to %s", d->said, g->address, d->host);
}

/* Every public key that was shown must be among the login's, and there must be one (SSH_AUTH_INFO_0: a line
 * for each method). */
static bool shows_key(struct span keys, const char *shown) {
	bool found = false;

	for (size_t n; *shown; shown += n + (shown[n] == '\n')) {
		n = strcspn(shown, "\n");
		if (strncmp(shown, PUBLICKEY, strlen(PUBLICKEY)) != 0)
			continue;
		found = n == strlen(PUBLICKEY) + MAP_SSH_KEY &&
			has(keys, span_of(shown + strlen(PUBLICKEY), MAP_SSH_KEY));
		if (!found)
			return false;
	}
	return found;
}

static bool check_login(struct gate *g) {
	const struct gate_request *r = g->request;
	struct gate_decision *d = g->decision;
	struct span login, account, keys;

	while (map_login_next(&g->logins, &login, &account, &keys))
		if (span_is(account, r->account) && (!r->session || span_is(login, d->login)) &&
			(!r->ssh_auth || shows_key(keys, r->ssh_auth)) &&
			span_copy(login, d->login, sizeof d->login))
			return say(g, true, "login %s of %s becomes %s", d->login, d->host, g->account);
	return say(g, false, "no login of %s becomes %s%s", d->host, g->account,
		r->ssh_auth ? " by the SSH key that was shown" : "");
}

static const struct {
	const char *name;
	bool (*check)(struct gate *);
} conditions[GATE_CONDITIONS] = {
	[GATE_MAP] = {"map to be believed", check_map},
	[GATE_RECORD] = {"record of the session", check_record},
	[GATE_MESH] = {"address on the mesh", check_mesh},
	[GATE_OWNER] = {"address owned by one peer", check_owner},
	[GATE_ROUTE] = {"reply leaves through the interface", check_route},
	[GATE_INGRESS] = {"connection arrived on the interface", check_ingress},
	[GATE_KEY] = {"tunnel key in the keyring", check_key},
	[GATE_CARD] = {"live card with key and address", check_card},
	[GATE_LOGIN] = {"login that becomes the account", check_login},
};

const char *gate_condition_name(enum gate_condition condition) {
	return conditions[condition].name;
}

/* A record stands for where the login came from. */
static bool applies(const struct gate_request *request, enum gate_condition condition) {
	if (request->session)
		return condition <= GATE_RECORD || condition > GATE_INGRESS;
	return condition != GATE_RECORD && (condition != GATE_INGRESS || request->fd >= 0);
}

int gate_record(const struct gate_request *request, const struct gate_decision *decision,
	const char *session, int32_t *record) {
	char name[64], text[KEYRING_PAYLOAD];
	int n = snprintf(text, sizeof text, "%s %s %s %s", request->account, decision->login, decision->host,
		decision->key);
	int32_t ring;
	int rc = keyring_open(request->root, decision->interface, &ring);

	if (rc != 0)
		return rc;
	if (n >= KEYRING_PAYLOAD)
		return EMSGSIZE;
	snprintf(name, sizeof name, SESSION, session);
	*record = keyring_link(ring, "user", name, span_str(text), KEYRING_OURS, 0);
	return *record < 0 ? errno : 0;
}

void gate_decide(const struct gate_request *request, struct gate_decision *decision) {
	struct gate g = {.request = request, .decision = decision};
	enum gate_condition c;
	char text[ADDR_TEXT];
	int saved = errno;

	*decision = (struct gate_decision){.verdict = GATE_REFUSE};
	snprintf(g.address, sizeof g.address, "%s",
		request->remote.family ? addr_format(&request->remote, text) : "what is no address");
	snprintf(g.account, sizeof g.account, "%s", request->account);
	gate_quote(g.account);
	for (c = 0; c < GATE_CONDITIONS; c++) {
		if (!applies(request, c))
			continue;
		g.detail = decision->details[c];
		decision->answers[c] = conditions[c].check(&g) ? GATE_MET : GATE_FAILED;
		if (decision->answers[c] != GATE_MET)
			break;
	}
	if (c == GATE_CONDITIONS)
		decision->verdict = GATE_ADMIT;
	else if (c == GATE_MESH)
		decision->verdict = GATE_OUTSIDE;
	snprintf(decision->reason, sizeof decision->reason, "%s", g.detail);
	map_close(&g.map);
	errno = saved;
}

/* 0, ENOTCONN for what is no connection by IP, or why there is no telling. */
static int socket_peer(int fd, struct addr *peer) {
	struct sockaddr_storage end = {0};
	socklen_t end_size = sizeof end, type_size = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0)
		return errno == ENOTSOCK || errno == EBADF ? ENOTCONN : errno;
	if (type != SOCK_STREAM)
		return ENOTCONN;
	if (getpeername(fd, (struct sockaddr *)&end, &end_size) != 0)
		return errno;
	return addr_from_sockaddr((struct sockaddr *)&end, peer) ? 0 : ENOTCONN;
}

/* Looks through the process's descriptors for the connected socket whose peer is *end, or, where
 * that has no family, whose peer is the only distinct one, which *end becomes. *fd stays when there
 * is no connected socket at all. 0, or an errno value: ENOTUNIQ when there are only others, or no telling.
 */
static int find_socket(struct addr *end, int *fd) {
	const bool wanted = end->family != 0;
	DIR *descriptors = opendir("/proc/self/fd");
	const struct dirent *entry;
	int number, found = -1, others = 0, rc = 0;
	struct addr peer = {0};

	if (!descriptors)
		return errno;
	while (rc == 0) {
		errno = 0;
		entry = readdir(descriptors);
		if (!entry)
			break;
		number = (int)strtol(entry->d_name, NULL, 10);
		rc = entry->d_name[0] == '.' ? ENOTCONN : socket_peer(number, &peer);
		if (rc == ENOTCONN) {
			rc = 0;
			continue;
		}
		if (rc == 0 && !end->family)
			*end = peer;
		if (rc == 0 && !addr_eq(&peer, end))
			others++;
		else if (found < 0)
			found = number;
	}
	if (rc == 0)
		rc = errno;
	closedir(descriptors);
	if (rc == 0 && others && (found < 0 || !wanted))
		rc = ENOTUNIQ;
	if (rc == 0)
		*fd = found;
	return rc;
}

enum gate_remote gate_remote_end(
	const char *rhost, const char *connection, bool sockets, struct addr *out, int *fd) {
	const bool spoken = connection || (rhost && *rhost);
	struct addr by_rhost = {0};

	*out = by_rhost;
	*fd = -1;
	if (connection)
		addr_parse(span_of(connection, strcspn(connection, " ")), out);
	if (rhost && addr_parse(span_str(rhost), &by_rhost)) {
		if (out->family && !addr_eq(out, &by_rhost))
			return GATE_REMOTE_REFUSE;
		*out = by_rhost;
	}
	/* but a console, of which nothing speaks, stays open when sockets cannot be looked for */
	if (sockets && find_socket(out, fd) != 0 && (spoken || out->family))
		return GATE_REMOTE_REFUSE;
	if (out->family)
		return GATE_REMOTE_ADDR;
	return spoken ? GATE_REMOTE_OUTSIDE : GATE_REMOTE_NONE;
}
