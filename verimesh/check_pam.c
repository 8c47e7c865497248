/* check_pam.c: whether PAM's stacks ask pam_verimesh.so, and as they must. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"
#include "file.h"

#define PAM_D "/etc/pam.d"
#define OURS "pam_verimesh.so"

struct pam_line {
	const char *type, *control, *module; /* of @include the control is the file */
	char *options;
};

static bool next_pam_line(struct text *text, struct pam_line *line) {
	while (text_next(text)) {
		line->options = text->line;
		line->type = next_word(&line->options);
		line->type += *line->type == '-';
		line->control = next_word(&line->options);
		line->module = next_word(&line->options);
		if (*line->type)
			return true;
	}
	return false;
}

static bool has_option(const struct pam_line *line, const char *option) {
	char *copy = strdup(line->options), *rest = copy;
	const char *word = "";
	bool has = false;

	while (copy && !has && *(word = next_word(&rest)))
		has = strcmp(word, option) == 0;
	free(copy);
	return has;
}

/* What may keep a stack from coming to our module. */
struct detour {
	char by[64], where[WHERE_SIZE];
	int lines; /* that it may skip yet; INT_MAX: all; 0 and less: none */
};

/* A stack up to our module. */
struct stack {
	const struct check *c;
	const char *type;
	char where[WHERE_SIZE]; /* our module stands there; "" nowhere */
	char control[64];
	bool ignores_outside, session, ssh_key; /* options that it has */
	struct detour detour;
	bool loginuid;		   /* pam_loginuid.so stands before it */
	char user_env[WHERE_SIZE]; /* so does a pam_env.so that lets users set the environment */
	unsigned included;	   /* files */
};

/* How many lines a module may skip: a number in its control, for whatever result; INT_MAX: all. */
static int skips(const char *control) {
	int most = 0, n;

	if (strcasecmp(control, "sufficient") == 0 || strstr(control, "=done"))
		return INT_MAX;
	for (const char *p = control; *control == '[' && (p = strchr(p, '=')); p++) {
		n = atoi(p + 1);
		most = n > most ? n : most;
	}
	return most;
}

static void see_module(struct stack *stack, const struct text *text, const struct pam_line *line) {
	int n = skips(line->control);

	if (strstr(line->module, OURS)) {
		text_where(text, stack->where);
		snprintf(stack->control, sizeof stack->control, "%s", line->control);
		stack->ignores_outside = has_option(line, "outside=ignore");
		stack->session = has_option(line, "session");
		stack->ssh_key = has_option(line, "require_ssh_key");
		return;
	}
	if (stack->detour.lines != INT_MAX)
		stack->detour.lines--;
	if (n > 0 && n > stack->detour.lines) {
		stack->detour.lines = n;
		snprintf(stack->detour.by, sizeof stack->detour.by, "%s", line->module);
		text_where(text, stack->detour.where);
	}
	stack->loginuid = stack->loginuid || strstr(line->module, "pam_loginuid.so");
	if (strstr(line->module, "pam_env.so") && has_option(line, "user_readenv=1"))
		text_where(text, stack->user_env);
}

static bool read_stack(struct stack *stack, const char *service) {
	struct text text;
	struct pam_line line;
	bool there = text_open(&text, stack->c->root, PAM_D, service);

	while (!stack->where[0] && next_pam_line(&text, &line)) {
		bool all = strcmp(line.type, "@include") == 0, sub = strcmp(line.control, "substack") == 0;
		struct detour before = stack->detour;

		if (!all && strcasecmp(line.type, stack->type) != 0)
			continue;
		if (sub && before.lines > 0)
			stack->detour.lines = INT_MAX;
		if (!all && !sub && strcmp(line.control, "include") != 0)
			see_module(stack, &text, &line);
		else if (stack->included++ < INCLUDED_MAX)
			read_stack(stack, all ? line.control : line.module);
		if (!sub || stack->where[0])
			continue;
		stack->detour = before; /* what ends a substack leads back here, and it counts as one line */
		stack->detour.lines -= before.lines != INT_MAX;
	}
	text_close(&text);
	return there;
}

bool pam_asks(
	const struct check *c, const char *service, char where[static WHERE_SIZE], bool *ignores_outside) {
	struct stack stack = {.c = c, .type = "account"};

	read_stack(&stack, service);
	memcpy(where, stack.where, WHERE_SIZE);
	*ignores_outside = stack.ignores_outside;
	return stack.where[0];
}

/* A refusal, which is this code, must count. */
static bool is_binding(const char *control, const char *code) {
	const char *denied = strstr(control, code);
	const char *action = denied ? denied : strstr(control, "default=");

	if (*control != '[')
		return strcasecmp(control, "required") == 0 || strcasecmp(control, "requisite") == 0;
	action = action ? strchr(action, '=') + 1 : "";
	return strncmp(action, "die", 3) == 0 || strncmp(action, "bad", 3) == 0;
}

static void check_account(struct check *c, const char *service) {
	struct stack stack = {.c = c, .type = "account"};
	char mend[256];

	read_stack(&stack, service);
	snprintf(mend, sizeof mend,
		"make `account required " OURS "%s` the first account line of " PAM_D "/%s",
		stack.session ? " session" : "", service);
	if (!stack.where[0])
		found(c, "%s" PAM_D "/%s: does not ask " OURS "; %s", c->root, service, mend);
	else if (stack.detour.lines > 0)
		found(c, "%s: %s may skip " OURS "; %s", stack.detour.where, stack.detour.by, mend);
	else if (!is_binding(stack.control, "perm_denied="))
		found(c, "%s: " OURS " is but %s; %s", stack.where, stack.control, mend);
	if (stack.ssh_key)
		found(c, "%s: require_ssh_key has no effect here; write it behind the session line of sshd",
			stack.where);
}

/* The session stack: users must not say who they are, and asks, where another service asks for the record of
 * a login, lives by what this one leaves. */
static void check_session(struct check *c, const char *asks) {
	struct stack stack = {.c = c, .type = "session"};

	if (!read_stack(&stack, "sshd"))
		return;
	if (stack.ssh_key && stack.detour.lines > 0)
		found(c, "%s: %s may skip " OURS " and its require_ssh_key; move it behind %s",
			stack.detour.where, stack.detour.by, stack.where);
	else if (stack.ssh_key && !is_binding(stack.control, "session_err="))
		found(c, "%s: " OURS " is but %s, and require_ssh_key refuses nobody; make it required",
			stack.where, stack.control);
	if (stack.where[0] && stack.user_env[0])
		found(c, "%s: lets users set the environment before " OURS " reads it; move it behind %s",
			stack.user_env, stack.where);
	if (asks[0] && !stack.where[0])
		found(c,
			"%s: asks for records of logins, which %s" PAM_D
			"/sshd does not leave; write `session "
			"required " OURS "` there, behind pam_loginuid.so",
			asks, c->root);
	else if (asks[0] && !stack.loginuid)
		found(c,
			"%s: leaves no record, which %s asks for; write `session required pam_loginuid.so` "
			"before it",
			stack.where, asks);
}

/* As pam_verimesh.c has them; with any other it refuses everybody. */
static bool is_option_of_ours(const char *word) {
	static const char *const options[] = {"debug", "local=deny", "local=ignore", "outside=deny",
		"outside=ignore", "require_ssh_key", "session"};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (strcmp(word, options[i]) == 0)
			return true;
	return strncmp(word, "root=/", strlen("root=/")) == 0 && !strstr(word, "..");
}

/* Looks at the lines of a service that name our module. asks becomes where one asks for records. True: one
 * of them is to refuse accounts. */
static bool check_lines(struct check *c, const char *service, char asks[static WHERE_SIZE]) {
	char where[WHERE_SIZE], *word;
	struct pam_line line;
	struct text text;
	bool account = false;

	text_open(&text, c->root, PAM_D, service);
	while (next_pam_line(&text, &line)) {
		if (!strstr(line.module, OURS))
			continue;
		text_where(&text, where);
		account = account || strcasecmp(line.type, "account") == 0;
		if (strcasecmp(line.type, "auth") == 0)
			printf("note %s: in auth it lets any user of an admitted host be the account\n",
				where);
		if (has_option(&line, "session"))
			snprintf(asks, WHERE_SIZE, "%s", where);
		while (*(word = next_word(&line.options)))
			if (!is_option_of_ours(word))
				found(c,
					"%s: unknown option %s, with which " OURS
					" refuses everybody; remove it",
					where, word);
	}
	text_close(&text);
	return account;
}

/* What editors and package managers leave behind is no service. */
static int is_service(const struct dirent *entry) {
	return !strpbrk(entry->d_name, ".~");
}

void check_pam(struct check *c) {
	char path[PATH_MAX], asks[WHERE_SIZE] = "";
	struct dirent **list;
	int n;

	if (is_there(c->root, PAM_D "/sshd"))
		check_account(c, "sshd");
	else
		c->skipped = "no " PAM_D "/sshd";
	n = file_path(path, c->root, PAM_D, NULL, NULL) ? scandir(path, &list, is_service, alphasort) : -1;
	for (int i = 0; i < n; i++) {
		if (check_lines(c, list[i]->d_name, asks) && strcmp(list[i]->d_name, "sshd") != 0)
			check_account(c, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	check_session(c, asks);
	if (!is_there(c->root, PAM_MODULE))
		found(c, OURS ": is not installed; install it, or nobody logs in");
}
