/* pam_verimesh.c: the PAM module: a login from the mesh passes the gate, or not (DESIGN.md 5.9). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "gate.h"

#define ENTRY __attribute__((visibility("default")))

struct options {
	bool debug, ignore_outside, deny_local;
	const char *root;
};

/* Copies text for the log: cut to fit, and without anything that could pass for another field. */
static void quote(char *out, size_t size, const char *text) {
	snprintf(out, size, "%s", text);
	for (; *out; out++)
		if (*out <= ' ' || *out > '~')
			*out = '?';
}

static bool set_option(struct options *options, const char *text) {
	const struct {
		const char *text;
		bool *option, value;
	} words[] = {
		{"debug", &options->debug, true},
		{"local=deny", &options->deny_local, true},
		{"local=ignore", &options->deny_local, false},
		{"outside=deny", &options->ignore_outside, false},
		{"outside=ignore", &options->ignore_outside, true},
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i].text) == 0) {
			*words[i].option = words[i].value;
			return true;
		}
	if (strncmp(text, "root=/", strlen("root=/")) != 0 || strstr(text, ".."))
		return false;
	options->root = text + strlen("root=");
	return true;
}

static bool set_options(pam_handle_t *pamh, int argc, const char **argv, struct options *options) {
	char text[64];

	for (int i = 0; i < argc; i++)
		if (!set_option(options, argv[i])) {
			quote(text, sizeof text, argv[i]);
			pam_syslog(pamh, LOG_ERR, "unknown option or value: %s", text);
			return false;
		}
	return true;
}

/* One line a decision. What the module has no say in is told only to those who debug. */
static void report(pam_handle_t *pamh, const struct options *options, int rc, const char *account,
	const char *from, const struct gate_decision *d) {
	const char *word = rc == PAM_SUCCESS ? "admitted" : rc == PAM_IGNORE ? "ignored" : "refused";
	int priority = rc == PAM_SUCCESS ? LOG_INFO : rc == PAM_IGNORE ? LOG_DEBUG : LOG_NOTICE;
	char who[512] = "";

	for (enum gate_condition c = 0; options->debug && c < GATE_CONDITIONS; c++)
		if (d->answers[c] != GATE_NOT_ASKED)
			pam_syslog(pamh, LOG_DEBUG, "%s: %s: %s", gate_condition_name(c),
				d->answers[c] == GATE_MET ? "yes" : "no", d->details[c]);
	if (d->aid[0])
		snprintf(who, sizeof who, " host=%s aid=%s sn=%" PRIu64, d->host, d->aid, d->sn);
	if (priority != LOG_DEBUG || options->debug)
		pam_syslog(pamh, priority, "%s account=%s from=%s%s%s%s: %s", word, account, from, who,
			d->key[0] ? " key=" : "", d->key, d->reason);
}

/* Where the login comes from and what the gate says; refused is what this phase calls a refusal. */
static int decide(pam_handle_t *pamh, const struct options *options, const char *user, int refused) {
	const char *connection = pam_getenv(pamh, "SSH_CONNECTION");
	const void *item = NULL;
	const char *rhost, *ruser;
	struct gate_request request = {.root = options->root, .account = user};
	struct gate_decision decision = {.verdict = GATE_REFUSE};
	char account[64], from[64];
	enum gate_remote remote;
	int rc = refused;

	if (pam_get_item(pamh, PAM_RUSER, &item) != PAM_SUCCESS)
		return PAM_SERVICE_ERR;
	ruser = item;
	if (pam_get_item(pamh, PAM_RHOST, &item) != PAM_SUCCESS)
		return PAM_SERVICE_ERR;
	rhost = item;
	/* a caller who is named, or is not root, could have handed a socket in */
	remote = gate_remote_end(
		rhost, connection, getuid() == 0 && (!ruser || !*ruser), &request.remote, &request.fd);
	quote(account, sizeof account, user);
	quote(from, sizeof from, rhost && *rhost ? rhost : connection ? connection : "-");
	if (remote == GATE_REMOTE_ADDR)
		addr_format(&request.remote, from);
	if (remote == GATE_REMOTE_NONE)
		strcpy(decision.reason, "there is no remote end");
	else if (remote == GATE_REMOTE_REFUSE)
		strcpy(decision.reason, "sockets, SSH_CONNECTION and PAM_RHOST do not give one remote end");
	else
		gate_decide(&request, &decision);
	if (decision.verdict == GATE_ADMIT)
		rc = PAM_SUCCESS;
	else if (remote == GATE_REMOTE_NONE ? !options->deny_local
					    : decision.verdict == GATE_OUTSIDE && options->ignore_outside)
		rc = PAM_IGNORE;
	report(pamh, options, rc, account, from, &decision);
	return rc;
}

static int pass(pam_handle_t *pamh, int flags, int argc, const char **argv, int refused) {
	struct options options = {.root = ""};
	const char *user = NULL;
	int rc = PAM_SERVICE_ERR, saved = errno;

	if (set_options(pamh, argc, argv, &options))
		rc = pam_get_user(pamh, &user, NULL);
	if (rc == PAM_SUCCESS)
		rc = user && *user ? decide(pamh, &options, user, refused) : PAM_USER_UNKNOWN;
	if (rc == refused && !((unsigned)flags & PAM_SILENT))
		pam_error(pamh, "This login is not admitted here.");
	errno = saved;
	return rc;
}

ENTRY int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	return pass(pamh, flags, argc, argv, PAM_PERM_DENIED);
}

ENTRY int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	return pass(pamh, flags, argc, argv, PAM_AUTH_ERR);
}

/* Nothing is to be set. Not IGNORE: Linux-PAM goes the way that auth went, and where this module is
 * alone on it there would be no answer at all. */
ENTRY int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
