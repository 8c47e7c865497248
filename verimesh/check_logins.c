/* check_logins.c: what sshd and sudo are told, and whether this very shell could come again. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "check.h"
#include "file.h"
#include "mend.h"

/* ---- sshd and sudo ---- */

#define SSHD_CONFIG "/etc/ssh/sshd_config"

/* sshd's first word on UsePAM. */
struct use_pam {
	const char *root;
	char where[WHERE_SIZE], value[256];
	unsigned included; /* files */
};

static bool find_use_pam(struct use_pam *use, const char *path);

static bool find_in_included(struct use_pam *use, const char *pattern) {
	const bool absolute = *pattern == '/';
	char path[PATH_MAX];
	glob_t list = {0};
	bool done = false;

	if (file_path(path, use->root, absolute ? pattern : "/etc/ssh", absolute ? NULL : pattern, NULL) &&
		glob(path, 0, NULL, &list) == 0)
		for (size_t i = 0; !done && i < list.gl_pathc && use->included++ < INCLUDED_MAX; i++)
			done = find_use_pam(use, list.gl_pathv[i]);
	globfree(&list);
	return done;
}

/* What stands below a Match is not about UsePAM. */
static bool find_use_pam(struct use_pam *use, const char *path) {
	char word[32], pattern[256];
	bool done = false;
	struct text text;

	text_open(&text, "", path, NULL);
	while (!done && text_next(&text)) {
		if (sscanf(text.line, " %31[^ \t=]%*[ \t=\"]%255[^ \t\"]", word, use->value) != 2)
			continue;
		if (strcasecmp(word, "Match") == 0)
			break;
		text_where(&text, use->where);
		snprintf(pattern, sizeof pattern, "%s", use->value);
		done = strcasecmp(word, "Include") == 0 ? find_in_included(use, pattern)
							: strcasecmp(word, "UsePAM") == 0;
	}
	text_close(&text);
	return done;
}

void check_sshd(struct check *c) {
	struct use_pam use = {.root = c->root};
	char path[PATH_MAX];

	if (!file_path(path, c->root, SSHD_CONFIG, NULL, NULL) || access(path, R_OK) != 0) {
		c->skipped = SSHD_CONFIG " cannot be read";
		return;
	}
	if (!find_use_pam(&use, path)) {
		snprintf(use.where, sizeof use.where, "%s", path);
		use.value[0] = 0;
	}
	if (strcasecmp(use.value, "yes") != 0)
		found(c,
			"%s: sshd does not ask PAM, so pam_verimesh.so admits and refuses nobody; write "
			"UsePAM yes "
			"and have sshd read it (systemctl reload ssh)",
			use.where);
}

/* The last word on pam_rhost in a file of sudo's; where: of it, "" when that is none, or no. */
static void find_pam_rhost(const char *path, char where[static WHERE_SIZE]) {
	struct text text;
	char *words;

	text_open(&text, "", path, NULL);
	while (text_next(&text)) {
		words = text.line + strspn(text.line, BLANK);
		if (strncmp(words, "Defaults", strlen("Defaults")) != 0)
			continue;
		for (const char *word; (word = strsep(&words, BLANK ","));)
			if (strcmp(word, "!pam_rhost") == 0)
				where[0] = 0;
			else if (strcmp(word, "pam_rhost") == 0)
				text_where(&text, where);
	}
	text_close(&text);
}

void check_sudo(struct check *c) {
	char path[PATH_MAX], asked[WHERE_SIZE], where[WHERE_SIZE] = "";
	bool ignores_outside;
	glob_t list = {0};

	if (!pam_asks(c, "sudo", asked, &ignores_outside))
		return;
	if (is_there(c->root, "/etc/pam.d/sudo-i") && !pam_asks(c, "sudo-i", where, &ignores_outside))
		found(c,
			"%s/etc/pam.d/sudo-i: does not ask pam_verimesh.so, as %s does, and sudo -i asks "
			"it; "
			"write the same line there",
			c->root, asked);
	where[0] = 0;
	if (file_path(path, c->root, "/etc/sudoers{,.d/*}", NULL, NULL) &&
		glob(path, GLOB_BRACE, NULL, &list) == 0)
		for (size_t i = 0; i < list.gl_pathc; i++)
			if (!strpbrk(strrchr(list.gl_pathv[i], '/'), ".~")) /* which sudo does not read */
				find_pam_rhost(list.gl_pathv[i], where);
	globfree(&list);
	if (where[0])
		found(c,
			"%s: by pam_rhost sudo is a login from this host's own name, which %s does not "
			"admit; "
			"remove pam_rhost",
			where, asked);
}

/* ---- this very shell ---- */

/* A file of a process; malloc'd, NULL when it cannot be read. */
static char *process_text(pid_t pid, const char *name, size_t *n) {
	char path[64];
	uint8_t *data;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return file_read(path, 1 << 22, &data, n, NULL) ? (char *)data : NULL;
}

/* A variable in the environment that a process was started with; "" for none. name ends in =. */
static void read_variable(pid_t pid, const char *name, char value[static 256]) {
	size_t n, length = strlen(name);
	char *all = process_text(pid, "environ", &n);

	value[0] = 0;
	for (const char *p = all; p && p < all + n; p += strlen(p) + 1)
		if (strncmp(p, name, length) == 0)
			snprintf(value, 256, "%s", p + length);
	free(all);
}

static pid_t parent_of(pid_t pid) {
	size_t n;
	char *status = process_text(pid, "status", &n);
	const char *line = status ? strstr(status, "\nPPid:") : NULL;
	pid_t parent = line ? (pid_t)atoi(line + strlen("\nPPid:")) : 0;

	free(status);
	return parent;
}

/* The connection that sshd gave this process or one above it: sudo and su may have taken it out of the
 * environment. user: as whom it was. */
static bool find_connection(char connection[static 256], char user[static 256]) {
	char text[256];

	connection[0] = user[0] = 0;
	for (pid_t pid = getpid(); pid > 0; pid = parent_of(pid)) {
		read_variable(pid, "SSH_CONNECTION=", text);
		if (!text[0])
			continue;
		if (connection[0] && strcmp(connection, text) != 0)
			break;
		memcpy(connection, text, sizeof text);
		read_variable(pid, "USER=", user);
	}
	return connection[0] && user[0];
}

void check_shell(struct check *c) {
	char connection[256], user[256], mend[MEND_SIZE], asked[WHERE_SIZE];
	bool ignores_outside;
	struct gate_request request = {.root = c->root, .account = user, .fd = -1};
	struct gate_decision decision;

	if (!find_connection(connection, user))
		return;
	connection[strcspn(connection, " ")] = 0;
	addr_parse(span_str(connection), &request.remote);
	gate_decide(&request, &decision);
	pam_asks(c, "sshd", asked, &ignores_outside);
	if (decision.verdict == GATE_ADMIT || (decision.verdict == GATE_OUTSIDE && ignores_outside))
		return;
	gate_mend(c->open ? &c->mesh : NULL, &request, &decision, mend);
	found(c, "this shell: %s, from where %s came, would be refused the next time: %s; %s", connection,
		user, decision.reason, mend);
}
