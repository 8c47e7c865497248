/* interface.c: makes and removes the mesh interface, gives it addresses and routes; see interface.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- whose interface it is ---- */

bool interface_file(const char *root, const char *name, const char *suffix, char path[static PATH_MAX],
	struct err *err) {
	char file[IFNAMSIZ + 8];

	snprintf(file, sizeof file, "%.15s.%.7s", name, suffix);
	return file_path(path, root, PATH_RUN, file, err);
}

bool interface_marked(const char *root, const char *name, const char *suffix) {
	unsigned index = if_nametoindex(name);
	char path[PATH_MAX], text[16] = "";
	FILE *file = NULL;

	if (index && interface_file(root, name, suffix, path, NULL))
		file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof text, file) || strtoul(text, NULL, 10) != index)
		index = 0;
	fclose(file);
	return index != 0;
}

enum interface_state interface_state(const char *root, const char *name, bool adopt) {
	if (!if_nametoindex(name))
		return INTERFACE_NONE;
	if (interface_marked(root, name, "up"))
		return INTERFACE_OURS;
	return adopt ? INTERFACE_SHARED : INTERFACE_FOREIGN;
}

bool interface_earlier(const char *root, const char *name, char earlier[static IFNAMSIZ]) {
	const struct dirent *entry;
	char path[PATH_MAX], *dot;
	bool found = false;
	DIR *dir;

	if (!file_path(path, root, PATH_RUN, NULL, NULL) || !(dir = opendir(path)))
		return false;
	while (!found && (entry = readdir(dir))) {
		dot = strrchr(entry->d_name, '.');
		if (!dot || (strcmp(dot, ".up") != 0 && strcmp(dot, ".peers") != 0) ||
			!span_copy(span_of(entry->d_name, (size_t)(dot - entry->d_name)), earlier, IFNAMSIZ))
			continue;
		found = strcmp(earlier, name) != 0 && interface_marked(root, earlier, dot + 1);
	}
	closedir(dir);
	return found;
}

/* ---- making and removing ---- */

/* wireguard-go answers a moment after it went into the background. */
static bool wait_until_readable(const char *name, struct err *err) {
	static const struct timespec pause = {.tv_nsec = 10000000};

	for (unsigned tries = 0; tries < 500; tries++) {
		if (tunnel_read(name, NULL, NULL, NULL) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_ENV, "%s: was made but does not answer", name);
}

/* One that just went takes its socket along a moment later, and until then a new one cannot start. */
static void wait_for_old_socket(const char *name) {
	static const struct timespec pause = {.tv_nsec = 10000000};
	char path[64];

	snprintf(path, sizeof path, "/var/run/wireguard/%.15s.sock", name);
	for (unsigned tries = 0; tries < 200 && access(path, F_OK) == 0; tries++)
		nanosleep(&pause, NULL);
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

bool interface_set_up(const char *name, struct err *err) {
	const char *const up[] = {"ip", "link", "set", name, "up", NULL};

	return run(up, span_of(NULL, 0), err);
}

bool interface_make(const char *root, const char *name, struct err *err) {
	char path[PATH_MAX], dir[PATH_MAX], mark[16];

	if (!interface_file(root, name, "up", path, err) || !file_path(dir, root, PATH_RUN, NULL, err) ||
		!file_mkdir(dir, 0755, err) || !add_link(name, err))
		return false;
	if (wait_until_readable(name, err)) {
		snprintf(mark, sizeof mark, "%u\n", if_nametoindex(name));
		if (file_replace(path, span_str(mark), 0644, err))
			return true;
	}
	/* without its mark, nobody would know that it is ours */
	delete_link(name, NULL);
	return false;
}

bool interface_remove(const char *root, const char *name, struct err *err) {
	char mark[PATH_MAX], peers[PATH_MAX];

	if (!interface_file(root, name, "up", mark, err) || !interface_file(root, name, "peers", peers, err))
		return false;
	if (if_nametoindex(name) && !delete_link(name, err))
		return false;
	wait_for_old_socket(name);
	unlink(peers);
	return unlink(mark) == 0 || errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", mark);
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
	struct addr sources[2]; /* of what this host sends, by IPv4 and IPv6; family 0: none */
	FILE *lines;		/* for `ip -batch` */
	char *text;
	size_t size;
};

_Static_assert(sizeof(struct prefix) == 18, "prefixes are compared as bytes");

static int compare_wanted(const void *a, const void *b) {
	const struct wanted *x = a, *y = b;

	return memcmp(&x->prefix, &y->prefix, sizeof x->prefix);
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
			plan->routes[plan->nroutes++].prefix = policy->peers[i].allowed[k];
	}
	tidy(plan->addrs, &plan->naddrs, v6);
	tidy(plan->routes, &plan->nroutes, v6);
	return true;
}

/* Writes the lines that take away, and finds what is there. */
static int look(struct plan *plan) {
	int rc;

	plan->lines = open_memstream(&plan->text, &plan->size);
	if (!plan->lines)
		return ENOMEM;
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

static int carry_out(struct plan *plan) {
	const char *const batch[] = {"ip", "-force", "-batch", "-", NULL};
	char said[16384];
	struct err err;

	if (fclose(plan->lines) != 0) {
		err_set(&err, ERR_ENV, "out of memory");
		return problem(&err);
	}
	if (plan->size == 0 || run_said(batch, span_of(plan->text, plan->size), said, sizeof said, &err))
		return 0;
	return report_failures(plan, said, &err);
}

int interface_sync(const struct roster *roster) {
	const char *name = roster->policy->interface;
	struct plan plan = {.name = name, .index = if_nametoindex(name)};
	bool v6 = has_ipv6(name);
	int rc = EINTR, status = 0, failed;
	struct err err;

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
		failed = carry_out(&plan);
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
