/* pam_verimesh.c: the PAM module: a login from the mesh passes the gate, or not (DESIGN.md 5.9). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <keyutils.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "gate.h"

#define RECORD "verimesh_record" /* the name of a handle's data: the serial of what it left in the ring */

#define ENTRY __attribute__((visibility("default")))

struct options {
	bool debug, ignore_outside, deny_local, session, require_ssh_key;
	const char *root;
};

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
		{"require_ssh_key", &options->require_ssh_key, true},
		{"session", &options->session, true},
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
			snprintf(text, sizeof text, "%s", argv[i]);
			gate_quote(text);
			pam_syslog(pamh, LOG_ERR, "unknown option or value: %s", text);
			return false;
		}
	return true;
}

/* What a phase asks the gate, and what came of it. */
struct login {
	struct gate_request request;
	struct gate_decision decision;
	enum gate_remote remote;
	char from[64];	  /* the remote end, for the log */
	char session[16]; /* the audit session of this process, "" for none */
};

/* One line a decision. What the module has no say in is told only to those who debug. */
static void report(pam_handle_t *pamh, const struct options *options, int rc, const struct login *login) {
	const char *word = rc == PAM_SUCCESS ? "admitted" : rc == PAM_IGNORE ? "ignored" : "refused";
	int priority = rc == PAM_SUCCESS ? LOG_INFO : rc == PAM_IGNORE ? LOG_DEBUG : LOG_NOTICE;
	const struct gate_decision *d = &login->decision;
	char account[64], who[512] = "";

	for (enum gate_condition c = 0; options->debug && c < GATE_CONDITIONS; c++)
		if (d->answers[c] != GATE_NOT_ASKED)
			pam_syslog(pamh, LOG_DEBUG, "%s: %s: %s", gate_condition_name(c),
				d->answers[c] == GATE_MET ? "yes" : "no", d->details[c]);
	snprintf(account, sizeof account, "%s", login->request.account);
	gate_quote(account);
	if (d->aid[0])
		snprintf(who, sizeof who, " host=%s aid=%s sn=%" PRIu64, d->host, d->aid, d->sn);
	if (priority != LOG_DEBUG || options->debug)
		pam_syslog(pamh, priority, "%s account=%s from=%s%s%s%s: %s", word, account, login->from,
			who, d->key[0] ? " key=" : "", d->key, d->reason);
}

/* pam_loginuid gives the number once, and what the process starts inherits it. */
static void read_session(char id[static 16]) {
	FILE *in = fopen("/proc/self/sessionid", "re");

	if (!in || fscanf(in, "%15[0-9]", id) != 1 || strcmp(id, "4294967295") == 0)
		id[0] = 0;
	if (in)
		fclose(in);
}

/* Puts the question: where the login comes from, or with `session`, when there is no remote end, whose
 * record decides. PAM_SUCCESS: it is put, and nothing decided yet. */
static int put_question(
	pam_handle_t *pamh, const struct options *options, bool opening, struct login *login) {
	/* when a session opens, users may have had their say in the environment */
	const char *connection = opening ? NULL : pam_getenv(pamh, "SSH_CONNECTION");
	struct gate_request *request = &login->request;
	const void *rhost_item = NULL, *ruser_item = NULL;
	const char *rhost, *ruser, *keys;
	const struct passwd *pw;
	int rc = pam_get_user(pamh, &request->account, NULL);

	if (rc == PAM_CONV_AGAIN)
		return PAM_INCOMPLETE; /* the service calls again with the answer */
	if (rc != PAM_SUCCESS)
		return rc;
	if (!request->account || !*request->account)
		return PAM_USER_UNKNOWN;
	if (pam_get_item(pamh, PAM_RUSER, &ruser_item) != PAM_SUCCESS ||
		pam_get_item(pamh, PAM_RHOST, &rhost_item) != PAM_SUCCESS)
		return PAM_SERVICE_ERR;
	rhost = rhost_item ? rhost_item : "";
	ruser = ruser_item ? ruser_item : "";
	/* a caller who is named, or is not root, could have handed a socket in */
	login->remote =
		gate_remote_end(rhost, connection, getuid() == 0 && !*ruser, &request->remote, &request->fd);
	snprintf(login->from, sizeof login->from, "%s", *rhost ? rhost : connection ? connection : "-");
	if (!*rhost) /* of a connection, where it comes from */
		login->from[strcspn(login->from, " ")] = 0;
	gate_quote(login->from);
	if (login->remote == GATE_REMOTE_ADDR)
		addr_format(&request->remote, login->from);
	read_session(login->session);
	if (login->remote == GATE_REMOTE_NONE && options->session) {
		pw = *ruser ? NULL : pam_modutil_getpwuid(pamh, getuid());
		request->account = pw ? pw->pw_name : ruser;
		request->session = login->session;
	} else if (opening && options->require_ssh_key) {
		keys = pam_getenv(pamh, "SSH_AUTH_INFO_0");
		request->ssh_auth = keys ? keys : "";
	}
	request->root = options->root;
	return PAM_SUCCESS;
}

/* Asks the gate; refused is what this phase calls a refusal. The one place where a login succeeds. */
static int decide(pam_handle_t *pamh, const struct options *options, int refused, struct login *login) {
	const struct gate_request *request = &login->request;
	struct gate_decision *decision = &login->decision;
	bool ignore = false;
	int rc = refused;

	if (login->remote == GATE_REMOTE_REFUSE) {
		strcpy(decision->reason, "sockets, SSH_CONNECTION and PAM_RHOST do not give one remote end");
	} else if (request->session && !*request->session) {
		strcpy(decision->reason, "this process is of no audit session");
	} else if (login->remote == GATE_REMOTE_NONE && !request->session) {
		strcpy(decision->reason, "there is no remote end");
		ignore = !options->deny_local;
	} else {
		gate_decide(request, decision);
		ignore = decision->verdict == GATE_OUTSIDE && options->ignore_outside;
	}
	if (decision->verdict == GATE_ADMIT)
		rc = PAM_SUCCESS;
	else if (ignore)
		rc = PAM_IGNORE;
	report(pamh, options, rc, login);
	return rc;
}

/* Revokes what this handle has left, once. */
static void revoke_record(pam_handle_t *pamh) {
	const void *record = NULL;

	if (pam_get_data(pamh, RECORD, &record) != PAM_SUCCESS || !record)
		return;
	if (keyctl_revoke((int32_t)(intptr_t)record) != 0 && errno != ENOKEY && errno != EKEYREVOKED)
		pam_syslog(pamh, LOG_ERR, "the session's record stays: %s", strerror(errno));
	pam_set_data(pamh, RECORD, NULL, NULL);
}

/* Leaves the record that `session` asks for. Without it sudo and su refuse, so that this need not. */
static void leave_record(pam_handle_t *pamh, const struct login *login) {
	int32_t record;
	int rc;

	if (!login->session[0])
		return;
	rc = gate_record(&login->request, &login->decision, login->session, &record);
	if (rc == 0)
		revoke_record(pamh); /* of a session before, opened by the same handle */
	if (rc == 0 && pam_set_data(pamh, RECORD, (void *)(intptr_t)record, NULL) != PAM_SUCCESS) {
		keyctl_revoke(record);
		rc = ENOMEM;
	}
	if (rc != 0)
		pam_syslog(pamh, LOG_ERR, "no record of session %s: %s", login->session, strerror(rc));
}

/* Tells the session of an admitted remote login where that comes from. */
static void tell_session(pam_handle_t *pamh, const struct login *login) {
	const struct gate_decision *d = &login->decision;
	const char *const facts[][2] = {
		{"VERIMESH_AID", d->aid}, {"VERIMESH_HOST", d->host}, {"VERIMESH_LOGIN", d->login}};
	char text[300];

	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		snprintf(text, sizeof text, "%s=%s", facts[i][0], facts[i][1]);
		pam_putenv(pamh, text);
	}
	leave_record(pamh, login);
}

static int pass(pam_handle_t *pamh, int flags, int argc, const char **argv, int refused) {
	const bool opening = refused == PAM_SESSION_ERR;
	struct options options = {.root = ""};
	struct login login = {0};
	int rc = PAM_SERVICE_ERR, saved = errno;

	if (set_options(pamh, argc, argv, &options))
		rc = put_question(pamh, &options, opening, &login);
	if (rc == PAM_SUCCESS)
		rc = decide(pamh, &options, refused, &login);
	if (rc == PAM_SUCCESS && opening && login.remote == GATE_REMOTE_ADDR)
		tell_session(pamh, &login);
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

ENTRY int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	return pass(pamh, flags, argc, argv, PAM_SESSION_ERR);
}

ENTRY int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	int saved = errno;

	(void)flags, (void)argc, (void)argv;
	revoke_record(pamh);
	errno = saved;
	return PAM_SUCCESS;
}

/* Nothing is to be set. Not IGNORE: Linux-PAM goes the way that auth went, and where this module is
 * alone on it there would be no answer at all. */
ENTRY int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
