/* check.c: `verimesh check`: what is wrong with this installation, and the mend; changes nothing. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "file.h"
#include "identity.h"
#include "keyring.h"
#include "map.h"
#include "map_build.h"
#include "options.h"
#include "owners.h"
#include "paths.h"
#include "show.h"
#include "verimesh.h"

/* Seconds that a clock may be off. */
#define SLACK 10

void found(struct check *c, const char *fmt, ...) {
	struct err err;
	va_list args;

	va_start(args, fmt);
	err_vset(&err, ERR_NO, fmt, args);
	va_end(args);
	if (strcmp(err.text, c->last.text) != 0)
		problem(&err);
	c->last = err;
	c->findings++;
}

static void found_claim(void *ctx, const struct err *what) {
	found(ctx, "%s", what->text);
}

bool is_there(const char *root, const char *pattern) {
	char path[PATH_MAX];
	glob_t list = {0};
	bool there = false;

	if (file_path(path, root, pattern, NULL, NULL) && glob(path, GLOB_BRACE, NULL, &list) == 0)
		for (size_t i = 0; i < list.gl_pathc; i++)
			there |= access(list.gl_pathv[i], F_OK) == 0;
	globfree(&list);
	return there;
}

static void check_configuration(struct check *c) {
	struct err err;

	c->open = mesh_open(&c->mesh, c->root, false, found_claim, c, &err);
	if (!c->open)
		found(c, "%s", err.text);
}

/* ---- permissions ---- */

static void check_owner(struct check *c, const char *path) {
	const uid_t owner = c->root[0] ? geteuid() : 0;
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	if (st.st_uid != owner)
		found(c, "%s: is another user's, who so decides who logs in; chown root %s", path, path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		found(c, "%s: others may write it, and so decide who logs in; chmod go-w %s", path, path);
}

/* The directory of what is there counts as well; that of many is looked at once. */
static void check_owners(struct check *c, const char *pattern) {
	char path[PATH_MAX], dir[PATH_MAX], last[PATH_MAX] = "";
	glob_t list = {0};

	if (file_path(path, c->root, pattern, NULL, NULL) && glob(path, GLOB_BRACE, NULL, &list) == 0)
		for (size_t i = 0; i < list.gl_pathc; i++) {
			if (!realpath(list.gl_pathv[i], path)) /* /lib may be a link to /usr/lib */
				continue;
			snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
			if (strcmp(dir, last) != 0)
				check_owner(c, dir);
			snprintf(last, sizeof last, "%s", dir);
			check_owner(c, path);
		}
	globfree(&list);
}

/* The identity and the map have checks of their own. */
static void check_permissions(struct check *c) {
	static const char *const patterns[] = {PATH_CONF, PATH_STATE "/{kel,ledger,lock,verified}",
		PATH_STORE "/*", PATH_RUN "/*", "/run/wireguard/*", NSS_MODULE, PAM_MODULE};

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		check_owners(c, patterns[i]);
}

/* ---- this host's own ---- */

static void check_identity(struct check *c) {
	const struct dirent *entry;
	char path[PATH_MAX];
	struct err err;
	DIR *list = NULL;

	if (file_path(path, c->root, PATH_IDENTITY, NULL, NULL))
		list = opendir(path);
	if (!list) {
		c->skipped = "this host has none";
		return;
	}
	if (!identity_closed(c->root, NULL, &err))
		found(c, "%s", err.text);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.' && !identity_closed(c->root, entry->d_name, &err))
			found(c, "%s", err.text);
	closedir(list);
	if (is_there(c->root, PATH_IDENTITY "/next"))
		printf("note " PATH_IDENTITY "/next: holds the next signing key; take it offline\n");
}

static void check_own_card(struct check *c) {
	const struct policy *policy = &c->mesh.policy;
	const struct roster_host *self = c->mesh.roster.self;
	char name[2 * LABEL_MAX + 2], end[TIME_TEXT];
	const struct card *card;
	struct err err;

	snprintf(name, sizeof name, "%s.%s", policy->host, policy->self);
	if (!self) {
		err_set(&err, ERR_NO, "%s: has no card in force", name);
		host_why_not(&c->mesh, name, &err);
		found(c, "%s; verimesh issue %s", err.text, policy->host);
		return;
	}
	if (!mesh_has_key(&c->mesh, &err))
		found(c, "%s", err.text);
	card = book_card(&c->mesh.store.book, self->said);
	if (card->until != NEVER && card->until - now_micros() < (card->until - card->issued) / 4)
		found(c, "%s: its card ends at %.19sZ; verimesh issue %s", name,
			time_format(card->until, end), policy->host);
}

/* ---- Sources ---- */

/* Whether the host of an URL is one of the mesh, by address or by name. */
static bool is_in_mesh(const struct owners *owners, const struct policy *policy, const char *url) {
	const char *start = strstr(url, "://");
	size_t domain = strlen(policy->domain), n;
	char text[256], *host = text;
	struct prefix prefix;
	struct addr addr;

	if (!start || !span_copy(span_of(start + 3, strcspn(start + 3, "/?#")), text, sizeof text))
		return false;
	if (strchr(host, '@'))
		host = strrchr(host, '@') + 1;
	if (*host == '[')
		*strchrnul(++host, ']') = 0;
	else
		*strchrnul(host, ':') = 0;
	if (addr_parse(span_str(host), &addr)) {
		prefix = prefix_host(&addr);
		return owners_allowed(owners, &prefix) || owners_derived(owners, &prefix);
	}
	n = strlen(host);
	return n > domain && host[n - domain - 1] == '.' &&
	       strcasecmp(host + n - domain, policy->domain) == 0;
}

static void check_sources(struct check *c) {
	const struct policy *policy = &c->mesh.policy;
	struct owners owners;

	if (!owners_build(&owners, policy)) {
		c->skipped = "out of memory";
		return;
	}
	for (const struct policy_peer *peer = policy->peers; peer < policy->peers + policy->npeers; peer++)
		for (size_t k = 0; k < peer->nsources; k++)
			if (is_in_mesh(&owners, policy, peer->sources[k]))
				found(c,
					PATH_CONF
					":%u: Source %s of %s lies in the mesh itself; give one that "
					"is reached outside the tunnel",
					peer->line, peer->sources[k], peer->name);
	owners_free(&owners);
}

/* ---- what sync makes ---- */

static void check_map(struct check *c) {
	char path[PATH_MAX];
	uint8_t *made;
	struct map map;
	struct err err;
	size_t n;
	int rc;

	if (!file_path(path, c->root, PATH_MAP, NULL, &err) ||
		!map_make(&c->mesh.roster, path, &made, &n, &err)) {
		found(c, "%s", err.text);
		return;
	}
	rc = map_open(&map, path);
	if (rc == EPERM)
		found(c, "%s: is not root's alone; chown root and chmod go-w it and its directory", path);
	else if (rc)
		found(c, "%s: %s; verimesh sync", path, rc == EINVAL ? "is damaged" : strerror(rc));
	else if (!span_eq(span_of(map.base, map.size), span_of(made, n)))
		found(c, "%s: is not what the store and the configuration give; verimesh sync", path);
	map_close(&map);
	munmap(made, n);
}

static bool is_known(const struct roster *roster, const uint8_t key[static WG_KEY_BYTES]) {
	for (size_t i = 0; i < roster->nhosts; i++)
		if (memcmp(roster->hosts[i].key, key, WG_KEY_BYTES) == 0 ||
			(roster->hosts[i].next.from &&
				memcmp(roster->hosts[i].next.key, key, WG_KEY_BYTES) == 0))
			return true;
	return false;
}

/* Peers of others: where the interface is verimesh's, all that it does not know; where it is shared, those
 * that take an address of the mesh. */
static void check_foreign(struct check *c) {
	const struct wireguard *wireguard = &c->mesh.wireguard;
	const char *name = c->mesh.policy.interface;
	char text[WG_KEY_TEXT + PREFIX_TEXT];
	struct owners owners;

	for (size_t i = 0; wireguard->state == INTERFACE_OURS && i < wireguard->npeers; i++)
		if (!is_known(&c->mesh.roster, wireguard->peers[i].live.key)) {
			wg_key_encode(wireguard->peers[i].live.key, text);
			found(c, "%s: has a peer that verimesh does not know, %s; verimesh sync removes it",
				name, text);
		}
	if (!wireguard->nforeign || !owners_build(&owners, &c->mesh.policy))
		return;
	for (size_t i = 0; i < wireguard->nforeign; i++)
		if (owners_allowed(&owners, &wireguard->foreign[i]) ||
			owners_derived(&owners, &wireguard->foreign[i]))
			found(c,
				"%s: a peer that verimesh does not know has %s, which is in the mesh; take "
				"it "
				"from that peer, or narrow AllowedIPs",
				name, prefix_format(&wireguard->foreign[i], text));
	owners_free(&owners);
}

static const char *mend_unreadable(const struct wireguard *wireguard) {
	if (wireguard->error == EPERM)
		return "let /run/wireguard and its socket there be root's alone";
	return wireguard->state == INTERFACE_OURS ? "verimesh down, then verimesh up"
						  : "choose another Name";
}

static void check_interface(struct check *c) {
	const struct wireguard *wireguard = &c->mesh.wireguard;
	const char *name = c->mesh.policy.interface;
	struct err err;

	if (!mesh_only_name(&c->mesh, &err))
		found(c, "%s", err.text);
	if (wireguard->state == INTERFACE_NONE) {
		found(c, "%s: is not there; verimesh up", name);
	} else if (wireguard->error) {
		found(c, "%s: is no WireGuard interface that can be read: %s; %s", name,
			strerror(wireguard->error), mend_unreadable(wireguard));
	} else if (wireguard->state == INTERFACE_SHARED && !wireguard->in_use) {
		found(c, "%s: is not shared yet; verimesh up", name);
	} else {
		check_foreign(c);
		if (mesh_sync_interface(&c->mesh, true) != 0)
			c->findings++;
	}
}

/* What the file with the ring's serial leads to, which is not believed. */
static void check_foreign_ring(struct check *c) {
	char path[PATH_MAX], file[32], name[32];
	struct keyring_key key;
	int32_t ring = 0;
	uint8_t *text;
	size_t n;

	snprintf(file, sizeof file, "%s.ring", c->mesh.policy.interface);
	snprintf(name, sizeof name, "verimesh:%s", c->mesh.policy.interface);
	if (file_path(path, c->root, PATH_RUN, file, NULL) && file_read(path, 64, &text, &n, NULL)) {
		ring = (int32_t)strtol((char *)text, NULL, 10);
		free(text);
	}
	if (ring <= 0 || keyring_describe(ring, &key) != 0)
		found(c, "%s: names no ring of verimesh's; verimesh sync", path);
	else if (strcmp(key.type, "keyring") != 0 || strcmp(key.name, name) != 0 || key.uid != 0)
		found(c, "%s: names the %s %s of uid %u, not root's keyring %s; verimesh sync", path,
			key.type, key.name, key.uid, name);
	else if ((key.permissions & 0xffff) != 0)
		found(c,
			"kernel keyring: %s is open to others (permissions %08x); see who made it so, then "
			"keyctl unlink %d @u and verimesh sync",
			name, key.permissions, ring);
	else
		found(c, "%s: is not root's alone; verimesh sync", path);
}

static void check_keyring(struct check *c) {
	const struct roster *roster = &c->mesh.roster;
	int32_t ring;
	int rc = keyring_open(c->root, c->mesh.policy.interface, &ring);

	if (rc == EPERM)
		check_foreign_ring(c);
	else if (rc)
		found(c, "kernel keyring: ring verimesh:%s: %s; verimesh sync", c->mesh.policy.interface,
			strerror(rc));
	for (size_t i = 0; rc == 0 && i < roster->nhosts; i++) {
		const struct roster_host *host = &roster->hosts[i];

		rc = host->self || host->lapsed ? 0 : host_keyring(&c->mesh, host);
		if (rc) /* one stands for all */
			found(c, "kernel keyring: lacks the key of %s.%s; verimesh sync", host->label,
				host->peer->name);
	}
}

/* ---- the clock, by which cards begin and end ---- */

static void check_clock(struct check *c) {
	const struct roster_host *self = c->mesh.roster.self;
	const struct card *card = self ? book_card(&c->mesh.store.book, self->said) : NULL;
	int64_t jump = clock_jump(c->root, c->mesh.policy.interface);
	char path[PATH_MAX];
	struct stat map;

	if (!file_path(path, c->root, PATH_MAP, NULL, NULL) || stat(path, &map) != 0)
		map.st_mtime = 0;
	if (jump > SLACK || jump < -SLACK)
		found(c, "clock: was set %s by %lld s since the last sync; set it right, then verimesh sync",
			jump > 0 ? "forward" : "back", (long long)(jump > 0 ? jump : -jump));
	else if (map.st_mtime > time(NULL) + SLACK)
		found(c, "clock: is behind, %s is of a time to come; set it right, then verimesh sync",
			path);
	else if (card && card->issued > now_micros() + SLACK * 1000000)
		found(c,
			"clock: is behind, %s.%s's card was issued at a time to come; set it right, or "
			"verimesh "
			"issue %s",
			self->label, self->peer->name, self->label);
	if (clock_is_loose())
		printf("note the clock: nothing keeps it right (NTP), and cards begin and end by it\n");
}

/* ---- programs ---- */

static void check_programs(struct check *c) {
	char module[sizeof(struct utsname)];
	struct utsname system;

	if (!is_there("", "{/usr,}/{sbin,bin}/wg"))
		found(c, "wg: is not installed; install wireguard-tools");
	if (!is_there("", "{/usr,}/{sbin,bin}/ip"))
		found(c, "ip: is not installed; install iproute2");
	uname(&system);
	snprintf(module, sizeof module, "/lib/modules/%s/kernel/drivers/net/wireguard", system.release);
	if (!is_there("", "/sys/module/wireguard") && !is_there("", module) &&
		!is_there("", "{/usr,}/{sbin,bin}/wireguard-go"))
		found(c, "WireGuard: this kernel has none; install wireguard-go");
}

/* ---- all of them ---- */

static const struct {
	const char *what;
	void (*run)(struct check *c);
	bool mesh, root; /* what it needs */
} checks[] = {
	{"configuration, store and claims", check_configuration, false, false},
	{"permissions", check_permissions, false, false},
	{"identity files", check_identity, false, true},
	{"own card", check_own_card, true, true},
	{"Sources", check_sources, true, false},
	{"peer map", check_map, true, true},
	{"interface", check_interface, true, true},
	{"kernel keyring", check_keyring, true, true},
	{"clock", check_clock, true, false},
	{"name service", check_nsswitch, false, false},
	{"PAM", check_pam, false, false},
	{"sshd", check_sshd, false, false},
	{"sudo", check_sudo, false, true},
	{"this shell's connection", check_shell, false, true},
	{"programs", check_programs, false, false},
};

int verb_check(const struct command *command) {
	struct check c = {.root = command->root};

	if (command->nargs != 1)
		return usage(command, "takes no words");
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		unsigned before = c.findings;

		c.skipped = NULL;
		if (checks[i].root && geteuid() != 0)
			c.skipped = "needs root";
		else if (checks[i].mesh && !c.open)
			c.skipped = "needs the configuration";
		else
			checks[i].run(&c);
		if (c.skipped)
			printf("skipped: %s: %s\n", checks[i].what, c.skipped);
		else if (c.findings == before)
			printf("ok   %s\n", checks[i].what);
	}
	if (c.open)
		mesh_close(&c.mesh);
	return c.findings ? ERR_NO : 0;
}
