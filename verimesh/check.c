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

#define BLANK " \t"

struct check {
	const char *root;
	struct mesh mesh;
	bool open;	     /* mesh is */
	const char *skipped; /* why the check under way cannot be made, or NULL */
	unsigned findings;
	struct err last; /* of them */
};

/* One finding: WHERE: WHAT; MEND. What two checks in turn stumble over is said once. */
__attribute__((format(printf, 2, 3))) static void found(struct check *c, const char *fmt, ...) {
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

/* Is there a file below the root, and no dangling link? Braces and wildcards count. */
static bool is_there(const char *root, const char *pattern) {
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
	char path[PATH_MAX];
	struct stat st;
	struct err err;

	if (file_path(path, c->root, PATH_CONF, NULL, NULL) && stat(path, &st) == 0 &&
		st.st_mode & (S_IWGRP | S_IWOTH))
		found(c, "%s: others may write it, and so decide who logs in; chmod go-w %s", path, path);
	c->open = mesh_open(&c->mesh, c->root, false, found_claim, c, &err);
	if (!c->open)
		found(c, "%s", err.text);
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

static void check_interface(struct check *c) {
	const struct wireguard *wireguard = &c->mesh.wireguard;
	const char *name = c->mesh.policy.interface;
	struct err err;

	if (!mesh_only_name(&c->mesh, &err))
		found(c, "%s", err.text);
	if (wireguard->state == INTERFACE_NONE)
		found(c, "%s: is not there; verimesh up", name);
	else if (wireguard->state == INTERFACE_SHARED && !wireguard->in_use)
		found(c, "%s: is not shared yet; verimesh up", name);
	else if (mesh_sync_interface(&c->mesh, true) != 0)
		c->findings++;
}

static void check_keyring(struct check *c) {
	const struct roster *roster = &c->mesh.roster;
	int32_t ring;
	int rc = keyring_open(c->root, c->mesh.policy.interface, &ring);

	if (rc)
		found(c, "kernel keyring: ring verimesh:%s: %s; verimesh sync", c->mesh.policy.interface,
			rc == EPERM ? "is not as verimesh makes it" : strerror(rc));
	for (size_t i = 0; rc == 0 && i < roster->nhosts; i++) {
		const struct roster_host *host = &roster->hosts[i];

		rc = host->self ? 0 : host_keyring(&c->mesh, host);
		if (rc) /* one stands for all */
			found(c, "kernel keyring: lacks the key of %s.%s; verimesh sync", host->label,
				host->peer->name);
	}
}

/* ---- what the system is told ---- */

/* A text file below the root, malloc'd; NULL, an error, when it cannot be read. */
static char *read_text(const struct check *c, const char *dir, const char *name) {
	char path[PATH_MAX];
	uint8_t *data;
	size_t n;

	if (!file_path(path, c->root, dir, name, NULL) || !file_read(path, 1 << 20, &data, &n, NULL))
		return NULL;
	return (char *)data;
}

/* Takes the next line without its comment. */
static char *next_line(char **rest) {
	char *line = strsep(rest, "\n");

	if (line)
		line[strcspn(line, "#")] = 0;
	return line;
}

/* Takes the next word; one in brackets may hold blanks. */
static char *next_word(char **rest) {
	char *word = *rest + strspn(*rest, BLANK);
	char *end = *word == '[' ? strchrnul(word, ']') : word + strcspn(word, BLANK);

	end += *end == ']';
	*rest = *end ? end + 1 : end;
	*end = 0;
	return word;
}

/* The services that nsswitch.conf names for a database, in *text; NULL when there are none. */
static char *find_services(char *text, const char *database) {
	char *line, *found = NULL;
	size_t n = strlen(database);

	while ((line = next_line(&text))) {
		line += strspn(line, BLANK);
		if (strncmp(line, database, n) == 0 && line[n + strspn(line + n, BLANK)] == ':')
			found = strchr(line, ':') + 1;
	}
	return found;
}

static void check_hosts(struct check *c) {
	char *text = read_text(c, "/etc", "nsswitch.conf"), *word, *hosts = find_services(text, "hosts");
	bool dns = false, module = false, returns = false;
	const char *what = NULL;

	while (hosts && !module && *(word = next_word(&hosts))) {
		module = strcmp(word, "verimesh") == 0;
		dns = dns || strcmp(word, "dns") == 0 || strcmp(word, "resolve") == 0;
	}
	if (module)
		returns = strcasestr(next_word(&hosts), "[NOTFOUND=return") != NULL;
	if (!module)
		what = "does not name verimesh";
	else if (dns)
		what = "has verimesh behind dns";
	else if (!returns)
		what = "lets names that verimesh does not know go on to dns";
	if (what)
		found(c, "%s/etc/nsswitch.conf: hosts %s; write hosts: files verimesh [NOTFOUND=return] dns",
			c->root, what);
	free(text);
}

/* What was there before comes first: an account of the mesh takes nobody's place. */
static void check_database(struct check *c, const char *database) {
	char *text = read_text(c, "/etc", "nsswitch.conf"), *word, *services = find_services(text, database);
	bool files = false, module = false;

	while (services && !module && *(word = next_word(&services))) {
		module = strcmp(word, "verimesh") == 0;
		files = files || strcmp(word, "files") == 0;
	}
	if (!module || !files)
		found(c, "%s/etc/nsswitch.conf: %s %s; write %s: files verimesh", c->root, database,
			module ? "has verimesh before files" : "does not name verimesh", database);
	free(text);
}

static void check_nsswitch(struct check *c) {
	bool accounts = false;

	for (size_t i = 0; i < c->mesh.policy.npeers; i++)
		accounts = accounts || c->mesh.policy.peers[i].accounts;
	check_hosts(c);
	if (accounts) {
		check_database(c, "passwd");
		check_database(c, "group");
	}
	if (!is_there(c->root, "{/usr,}/lib{,64,/*-linux-*}/libnss_verimesh.so.2"))
		found(c, "libnss_verimesh.so.2: is not installed; install it, then ldconfig");
}

/* An account stack up to our module. */
struct stack {
	bool module;
	char control[64];  /* of the module */
	char ender[64];	   /* a module before it that may end the stack; or "" */
	unsigned included; /* files */
	int jumped;	   /* lines that one before may still jump over, if above 0 */
};

static void see_module(struct stack *stack, const char *control, const char *module) {
	const char *jump = strstr(control, "success=");

	if (strstr(module, "pam_verimesh.so")) {
		stack->module = true;
		snprintf(stack->control, sizeof stack->control, "%s", control);
	} else {
		stack->jumped = jump && atoi(jump + 8) > 0 ? atoi(jump + 8) : stack->jumped - 1;
		if (strcasecmp(control, "sufficient") == 0 || strstr(control, "=done"))
			snprintf(stack->ender, sizeof stack->ender, "%s", module);
	}
}

static bool read_stack(const struct check *c, const char *service, struct stack *stack) {
	char *text = read_text(c, "/etc/pam.d", service), *rest = text, *line;
	bool there = text;

	while (!stack->module && (line = next_line(&rest))) {
		const char *type = next_word(&line), *control = next_word(&line), *module;

		type += *type == '-';
		if (strcmp(type, "@include") != 0 && strcasecmp(type, "account") != 0)
			continue;
		module = *type == '@' ? control : next_word(&line);
		if (*type != '@' && strcmp(control, "include") != 0 && strcmp(control, "substack") != 0)
			see_module(stack, control, module);
		else if (stack->included++ < 64)
			read_stack(c, module, stack);
	}
	free(text);
	return there;
}

static void check_pam(struct check *c) {
	struct stack stack = {0};
	const char *control = stack.control;
	char what[128] = "";

	if (!read_stack(c, "sshd", &stack)) {
		c->skipped = "no /etc/pam.d/sshd";
		return;
	}
	if (!stack.module)
		snprintf(what, sizeof what, "does not ask pam_verimesh.so");
	else if (stack.ender[0])
		snprintf(what, sizeof what, "%s may end it before pam_verimesh.so", stack.ender);
	else if (stack.jumped > 0)
		snprintf(what, sizeof what, "a success before pam_verimesh.so jumps over it");
	else if (strcasecmp(control, "required") != 0 && strcasecmp(control, "requisite") != 0 &&
		 !strstr(control, "default=die") && !strstr(control, "default=bad"))
		snprintf(what, sizeof what, "pam_verimesh.so is but %s", control);
	if (what[0])
		found(c,
			"%s/etc/pam.d/sshd: %s; make `account required pam_verimesh.so` its first account "
			"line",
			c->root, what);
	if (!is_there(c->root, "{/usr,}/lib{,64,/*-linux-*}/security/pam_verimesh.so"))
		found(c, "pam_verimesh.so: is not installed; install it, or nobody logs in");
}

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
	{"identity files", check_identity, false, true},
	{"own card", check_own_card, true, true},
	{"Sources", check_sources, true, false},
	{"peer map", check_map, true, true},
	{"interface", check_interface, true, true},
	{"kernel keyring", check_keyring, true, true},
	{"name service", check_nsswitch, false, false},
	{"PAM stack of sshd", check_pam, false, false},
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
