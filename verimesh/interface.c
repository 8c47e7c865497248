/* interface.c: makes and removes the mesh interface, gives it addresses and routes; see interface.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "interface.h"
#include "netlink.h"
#include "paths.h"
#include "run.h"
#include "tunnel.h"
#include "verimesh.h"

/* By this number, as their protocol, our routes are told from others', and as their metric, which for a
 * single address has no effect, our addresses. */
#define OURS 118

#define NOTES_MAX ((size_t)64 << 20)
#define MARK_SIZE 96
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* ---- whose interface it is ---- */

static const char *const suffixes[] = {"up", "peers", "clock", "ring"};

static bool file_of(const char *root, const char *name, const char *suffix, char path[static PATH_MAX],
	struct err *err) {
	char file[IFNAMSIZ + 8];

	snprintf(file, sizeof file, "%.15s.%.7s", name, suffix);
	return file_path(path, root, PATH_RUN, file, err);
}

/* What no other interface has: indexes start anew with each boot and in each network namespace, and of
 * those the kernel uses inodes again. Without a cookie (before Linux 5.14) the inode must do. */
static bool make_mark(const char *name, char mark[static MARK_SIZE]) {
	unsigned index = if_nametoindex(name);
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t n = sizeof cookie;
	char boot[40] = "";
	struct stat ns = {0};

	if (!file || !fgets(boot, sizeof boot, file))
		boot[0] = 0;
	if (file)
		fclose(file);
	if (fd >= 0) {
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &n);
		close(fd);
	}
	stat("/proc/self/ns/net", &ns);
	snprintf(mark, MARK_SIZE, "%u %.36s %ju %" PRIu64 "\n", index, boot, (uintmax_t)ns.st_ino, cookie);
	return index;
}

bool interface_noted(const char *root, const char *name, const char *suffix, char **text) {
	char path[PATH_MAX], mark[MARK_SIZE];
	uint8_t *data;
	size_t n;

	*text = NULL;
	if (!file_of(root, name, suffix, path, NULL) || !file_read(path, NOTES_MAX, &data, &n, NULL))
		return false;
	if (make_mark(name, mark) && strncmp((char *)data, mark, strlen(mark)) == 0)
		*text = strdup((char *)data + strlen(mark));
	free(data);
	return true;
}

bool interface_note(const char *root, const char *name, const char *suffix, const char *text, mode_t mode,
	struct err *err) {
	char path[PATH_MAX], dir[PATH_MAX], mark[MARK_SIZE], *all = NULL;
	bool good;

	if (!make_mark(name, mark) || asprintf(&all, "%s%s", mark, text) < 0)
		return err_set(err, ERR_ENV, "%s: went, or no memory is left", name);
	good = file_path(dir, root, PATH_RUN, NULL, err) && file_mkdir(dir, 0755, err) &&
	       file_of(root, name, suffix, path, err) && file_replace(path, span_str(all), mode, err);
	free(all);
	return good;
}

bool interface_marked(const char *root, const char *name, const char *suffix) {
	char *text;
	bool marked;

	interface_noted(root, name, suffix, &text);
	marked = text;
	free(text);
	return marked;
}

bool interface_other(const char *root, const char *name, bool live, char other[static IFNAMSIZ]) {
	const struct dirent *entry;
	char path[PATH_MAX], *dot;
	bool found = false;
	DIR *dir;

	if (!file_path(path, root, PATH_RUN, NULL, NULL) || !(dir = opendir(path)))
		return false;
	while (!found && (entry = readdir(dir))) {
		dot = strrchr(entry->d_name, '.');
		if (!dot ||
			!span_copy(span_of(entry->d_name, (size_t)(dot - entry->d_name)), other, IFNAMSIZ) ||
			strcmp(other, name) == 0)
			continue;
		for (size_t i = 0; !found && i < sizeof suffixes / sizeof *suffixes; i++)
			found = strcmp(dot + 1, suffixes[i]) == 0 &&
				(!live || interface_marked(root, other, suffixes[i]));
	}
	closedir(dir);
	return found;
}

/* ---- making and removing ---- */

static void pause_a_moment(void) {
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* wireguard-go answers a moment after it went into the background. */
static bool wait_until_readable(const char *name, struct err *err) {
	for (unsigned tries = 0; tries < 500; tries++) {
		if (tunnel_read(name, NULL, NULL, NULL) == 0)
			return true;
		pause_a_moment();
	}
	return err_set(err, ERR_ENV, "%s: was made but does not answer", name);
}

/* One that just went takes its socket along a moment later, and until then a new one cannot start. */
static void wait_for_old_socket(const char *name) {
	char path[64];

	snprintf(path, sizeof path, "/var/run/wireguard/%.15s.sock", name);
	for (unsigned tries = 0; tries < 200 && access(path, F_OK) == 0; tries++)
		pause_a_moment();
}

static bool add_link(const char *name, struct err *err) {
	const char *const kernel[] = {"ip", "link", "add", name, "type", "wireguard", NULL};
	const char *const user[] = {"wireguard-go", name, NULL};
	struct span nothing = {0};
	struct err why;

	if (run(kernel, nothing, &why))
		return true;
	wait_for_old_socket(name);
	if (run(user, nothing, err))
		return true;
	return err_at(err, "%s: neither the kernel makes it (%s) nor wireguard-go", name, why.text);
}

static bool delete_link(const char *name, struct err *err) {
	const char *const del[] = {"ip", "link", "del", name, NULL};

	return run(del, span_of(NULL, 0), err);
}

bool interface_make(const char *root, const char *name, struct err *err) {
	const char *const up[] = {"ip", "link", "set", "dev", name, "up", NULL};

	if (!add_link(name, err))
		return false;
	if (wait_until_readable(name, err) && interface_note(root, name, "up", "", 0644, err) &&
		run(up, span_of(NULL, 0), err))
		return true;
	/* without its mark, nobody would know that it is ours */
	delete_link(name, NULL);
	return false;
}

bool interface_remove(const char *root, const char *name, struct err *err) {
	char path[PATH_MAX];

	if (interface_marked(root, name, "up")) {
		if (!delete_link(name, err))
			return false;
		wait_for_old_socket(name);
	}
	for (size_t i = 0; strcmp(suffixes[i], "ring") != 0; i++)
		if (!file_of(root, name, suffixes[i], path, err) || (unlink(path) != 0 && errno != ENOENT))
			return err_set(err, ERR_ENV, "%s: %m", path);
	return true;
}

/* ---- addresses and routes ---- */

struct wanted {
	struct prefix prefix;
	bool here;
	uint32_t elsewhere; /* the interface that has the route; 0: none */
};

/* What there is to do; the lines that take away are written as what is there is read. */
struct plan {
	const char *name;
	unsigned index;
	struct wanted *addrs, *routes; /* sorted */
	size_t naddrs, nroutes;
	bool set_up;		/* the link itself, first */
	struct addr sources[2]; /* of what this host sends, by IPv4 and IPv6; family 0: none */
	FILE *lines;		/* for `ip -batch` */
	char *text;
	size_t size;
};

static int compare_wanted(const void *a, const void *b) {
	const struct wanted *x = a, *y = b;

	return prefix_compare(&x->prefix, &y->prefix);
}

static struct wanted *find_wanted(struct wanted *list, size_t n, const struct prefix *prefix) {
	struct wanted key = {.prefix = *prefix};

	return n ? bsearch(&key, list, n, sizeof key, compare_wanted) : NULL;
}

static const struct addr *source_to(const struct plan *plan, const struct prefix *prefix) {
	return &plan->sources[prefix->addr.family == AF_INET6];
}

static void write_line(struct plan *plan, const char *verb, const struct prefix *prefix, const char *mark) {
	char text[PREFIX_TEXT];

	fprintf(plan->lines, "%s %s dev %s %s %d\n", verb, prefix_format(prefix, text), plan->name, mark,
		OURS);
}

/* Without its source the kernel might take another address of the interface, which no peer lets in. */
static void write_route(struct plan *plan, const struct prefix *prefix) {
	const struct addr *source = source_to(plan, prefix);
	char text[ADDR_TEXT], mark[16 + ADDR_TEXT] = "proto";

	if (source->family)
		snprintf(mark, sizeof mark, "src %s proto", addr_format(source, text));
	write_line(plan, "route add", prefix, mark);
}

static uint32_t number_in(const struct nlattr *attr) {
	return attr && mnl_attr_validate(attr, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attr) : 0;
}

/* Reads an address of the attribute's size, as the kernel has it. */
static bool prefix_in(int family, const struct nlattr *attr, uint8_t bits, struct prefix *prefix) {
	*prefix = (struct prefix){.addr.family = (uint8_t)family, .bits = bits};
	if ((family != AF_INET && family != AF_INET6) || bits > addr_size(&prefix->addr) * 8)
		return false;
	if (attr && mnl_attr_get_payload_len(attr) == addr_size(&prefix->addr))
		memcpy(prefix->addr.bytes, mnl_attr_get_payload(attr), addr_size(&prefix->addr));
	return true;
}

/* Attributes by their type. */
struct attributes {
	const struct nlattr *of[RTA_MAX + 1];
};

static int collect(const struct nlattr *attr, void *all) {
	if (mnl_attr_get_type(attr) <= RTA_MAX)
		((struct attributes *)all)->of[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* An address that is there, by whatever prefix length and hand, is there. */
static int see_address(const struct nlmsghdr *message, void *data) {
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	struct plan *plan = data;
	struct attributes all = {0};
	struct prefix prefix, host;
	struct wanted *wanted;

	mnl_attr_parse(message, sizeof *head, collect, &all);
	if (head->ifa_index != plan->index ||
		!prefix_in(head->ifa_family, all.of[IFA_LOCAL] ? all.of[IFA_LOCAL] : all.of[IFA_ADDRESS],
			head->ifa_prefixlen, &prefix))
		return MNL_CB_OK;
	host = prefix_host(&prefix.addr);
	wanted = find_wanted(plan->addrs, plan->naddrs, &host);
	if (wanted)
		wanted->here = true;
	else if (number_in(all.of[IFA_RT_PRIORITY]) == OURS)
		write_line(plan, "address del", &prefix, "metric");
	return MNL_CB_OK;
}

/* The interface of a route; of several the first. */
static uint32_t route_interface(const struct nlattr *oif, const struct nlattr *hops) {
	const struct rtnexthop *first = hops ? mnl_attr_get_payload(hops) : NULL;

	if (first && mnl_attr_get_payload_len(hops) >= sizeof *first)
		return (uint32_t)first->rtnh_ifindex;
	return number_in(oif);
}

static bool has_source(const struct attributes *all, const struct addr *source) {
	const struct nlattr *attr = all->of[RTA_PREFSRC];

	if (!attr || !source->family)
		return !attr && !source->family;
	return mnl_attr_get_payload_len(attr) == addr_size(source) &&
	       memcmp(mnl_attr_get_payload(attr), source->bytes, addr_size(source)) == 0;
}

static int see_route(const struct nlmsghdr *message, void *data) {
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct plan *plan = data;
	struct attributes all = {0};
	struct wanted *wanted;
	struct prefix prefix;
	uint32_t interface;
	bool ours;

	mnl_attr_parse(message, sizeof *head, collect, &all);
	if (head->rtm_type != RTN_UNICAST || head->rtm_table != RT_TABLE_MAIN ||
		!prefix_in(head->rtm_family, all.of[RTA_DST], head->rtm_dst_len, &prefix))
		return MNL_CB_OK;
	interface = route_interface(all.of[RTA_OIF], all.of[RTA_MULTIPATH]);
	ours = interface == plan->index && head->rtm_protocol == OURS;
	wanted = find_wanted(plan->routes, plan->nroutes, &prefix);
	if (ours && !(wanted && has_source(&all, source_to(plan, &prefix))))
		write_line(plan, "route del", &prefix, "proto");
	else if (wanted && interface == plan->index)
		wanted->here = true;
	else if (wanted)
		wanted->elsewhere = interface;
	return MNL_CB_OK;
}

/* Reads all that there is of a kind. 0, or an errno value: EINTR when it changed meanwhile. */
static int dump(uint16_t type, mnl_cb_t see, struct plan *plan) {
	_Alignas(struct nlmsghdr) char buf[32768] = {0};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(message, sizeof(struct rtmsg)); /* of any family */
	return netlink_ask(NETLINK_ROUTE, buf, sizeof buf, see, plan);
}

/* Without IPv6 what is in force of IPv4 goes on. */
static bool has_ipv6(const char *name) {
	char path[80], byte = '1';
	FILE *file;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%.15s/disable_ipv6", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	byte = (char)fgetc(file);
	fclose(file);
	return byte == '0';
}

/* Sorts a list and leaves out what stands there twice, and IPv6 where there is none. */
static void tidy(struct wanted *list, size_t *n, bool v6) {
	size_t kept = 0;

	qsort(list, *n, sizeof *list, compare_wanted);
	for (size_t i = 0; i < *n; i++)
		if ((v6 || list[i].prefix.addr.family == AF_INET) &&
			(!kept || compare_wanted(&list[kept - 1], &list[i]) != 0))
			list[kept++] = list[i];
	*n = kept;
}

/* What this host's own card routes lies behind it, not in the tunnel. */
static bool is_behind(const struct roster_host *self, const struct prefix *prefix) {
	for (size_t i = 0; self && i < self->nroutes; i++)
		if (prefix_contains(&self->routes[i], prefix))
			return true;
	return false;
}

static bool list_wanted(struct plan *plan, const struct roster *roster, bool v6) {
	const struct roster_host *self = roster->self;
	const struct policy *policy = roster->policy;
	size_t n = policy->npeers;
	struct addr *source;

	for (size_t i = 0; i < policy->npeers; i++)
		n += policy->peers[i].nallowed;
	plan->addrs = calloc(self ? self->naddrs + 1 : 1, sizeof *plan->addrs);
	plan->routes = calloc(n + 1, sizeof *plan->routes);
	if (!plan->addrs || !plan->routes)
		return false;
	for (size_t i = 0; self && i < self->naddrs; i++) {
		plan->addrs[plan->naddrs].prefix = prefix_host(&self->addrs[i]);
		source = &plan->sources[self->addrs[i].family == AF_INET6];
		if (!source->family)
			*source = self->addrs[i];
		plan->naddrs++;
	}
	for (size_t i = 0; i < policy->npeers; i++) {
		plan->routes[plan->nroutes++].prefix = derived_prefix(policy->peers[i].aid);
		for (size_t k = 0; k < policy->peers[i].nallowed; k++)
			if (!is_behind(self, &policy->peers[i].allowed[k]))
				plan->routes[plan->nroutes++].prefix = policy->peers[i].allowed[k];
	}
	tidy(plan->addrs, &plan->naddrs, v6);
	tidy(plan->routes, &plan->nroutes, v6);
	return true;
}

/* What an earlier try found. */
static void forget(struct wanted *list, size_t n) {
	for (size_t i = 0; i < n; i++)
		list[i] = (struct wanted){.prefix = list[i].prefix};
}

/* Writes the lines that take away, and finds what is there. */
static int look(struct plan *plan) {
	int rc;

	plan->lines = open_memstream(&plan->text, &plan->size);
	if (!plan->lines)
		return ENOMEM;
	if (plan->set_up)
		fprintf(plan->lines, "link set dev %s up\n", plan->name);
	forget(plan->addrs, plan->naddrs);
	forget(plan->routes, plan->nroutes);
	/* routes first: the kernel takes those away by itself whose source goes */
	rc = dump(RTM_GETROUTE, see_route, plan);
	if (rc == 0)
		rc = dump(RTM_GETADDR, see_address, plan);
	if (rc == 0)
		return 0;
	fclose(plan->lines);
	free(plan->text);
	plan->lines = NULL;
	plan->text = NULL;
	return rc;
}

/* Writes the lines that add. */
static int add_missing(struct plan *plan) {
	char text[PREFIX_TEXT], rival[IFNAMSIZ];
	struct err err;
	int status = 0;

	/* an IPv6 address may be the source of a route only when no duplicates are looked for any more */
	for (size_t i = 0; i < plan->naddrs; i++)
		if (!plan->addrs[i].here)
			write_line(plan, "address add", &plan->addrs[i].prefix,
				plan->addrs[i].prefix.addr.family == AF_INET6 ? "nodad metric" : "metric");
	for (size_t i = 0; i < plan->nroutes; i++) {
		const struct wanted *route = &plan->routes[i];

		if (route->here)
			continue;
		if (!route->elsewhere || !if_indextoname(route->elsewhere, rival)) {
			write_route(plan, &route->prefix);
			continue;
		}
		prefix_format(&route->prefix, text);
		err_set(&err, ERR_NO,
			"%s: %s has the route to %s; narrow AllowedIPs, or remove that route (ip route del "
			"%s dev %s) and run verimesh sync",
			plan->name, rival, text, text, rival);
		status = problem(&err);
	}
	return status;
}

/* What ip complained of: a reason, and then in a line of its own by which line of the batch. */
static int report_failures(const struct plan *plan, char *said, struct err *why) {
	char *reason = said, *line, *rest = said;
	const char *failed;
	struct err err;
	unsigned n;
	int status = 0;

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "Command failed -:%u", &n) != 1) {
			reason = line;
			continue;
		}
		for (failed = plan->text; n > 1 && *failed; n--)
			failed += strcspn(failed, "\n") + 1;
		err_set(&err, ERR_ENV, "%s: ip %.*s: %s; mend that and run verimesh sync", plan->name,
			(int)strcspn(failed, "\n"), failed, reason);
		status = problem(&err);
	}
	return status ? status : problem(why);
}

static int carry_out(struct plan *plan, bool dry) {
	const char *const batch[] = {"ip", "-force", "-batch", "-", NULL};
	char said[16384];
	struct err err;

	if (fclose(plan->lines) != 0) {
		err_set(&err, ERR_ENV, "out of memory");
		return problem(&err);
	}
	if (plan->size && dry)
		return interface_differs(plan->name, "ip", plan->text);
	if (!plan->size || run_said(batch, span_of(plan->text, plan->size), said, sizeof said, &err))
		return 0;
	return report_failures(plan, said, &err);
}

int interface_differs(const char *name, const char *program, const char *words) {
	size_t n = strcspn(words, "\n");
	struct err err;

	err_set(&err, ERR_NO, "%s: differs; verimesh sync will run: %s %.*s%s", name, program, (int)n, words,
		words[n] && words[n + 1] ? " ..." : "");
	return problem(&err);
}

static bool is_down(const char *name) {
	struct ifreq request = {0};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool down;

	snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
	down = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP);
	if (fd >= 0)
		close(fd);
	return down;
}

int interface_sync(const struct roster *roster, bool ours, bool dry) {
	const char *name = roster->policy->interface;
	bool down = is_down(name);
	struct plan plan = {.name = name, .index = if_nametoindex(name), .set_up = ours && down};
	bool v6 = has_ipv6(name);
	int rc = EINTR, status = 0, failed;
	struct err err;

	if (down && !ours && roster->policy->npeers > 0) {
		err_set(&err, ERR_ENV, "%s: is down; set it up (ip link set %s up) and run verimesh sync",
			name, name);
		return problem(&err);
	}
	if (!v6 && roster->policy->npeers > 0) {
		err_set(&err, ERR_NO,
			"%s: IPv6 is disabled here, so that only IPv4 addresses of the mesh work; set "
			"sysctl net.ipv6.conf.%s.disable_ipv6=0 and run verimesh sync",
			name, name);
		status = problem(&err);
	}
	if (!list_wanted(&plan, roster, v6))
		rc = ENOMEM;
	for (int tries = 3; tries > 0 && rc == EINTR; tries--)
		rc = look(&plan);
	if (rc == 0) {
		failed = add_missing(&plan);
		status = failed ? failed : status;
		failed = carry_out(&plan, dry);
		status = failed ? failed : status;
	} else {
		err_set(&err, ERR_ENV, "%s: its addresses and routes cannot be read: %s", name,
			strerror(rc));
		status = problem(&err);
	}
	free(plan.text);
	free(plan.addrs);
	free(plan.routes);
	return status;
}
