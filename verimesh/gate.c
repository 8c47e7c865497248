/* gate.c: `verimesh gate`: the decision on a remote login, explained; changes nothing. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "event.h"
#include "mend.h"
#include "paths.h"
#include "verimesh.h"

/* ---- the mend ---- */

/* The host that has an address, of whomever the interface says it is. */
static const struct roster_host *host_of_address(const struct roster *roster, const struct addr *addr) {
	for (size_t i = 0; i < roster->nhosts; i++)
		for (size_t k = 0; k < roster->hosts[i].naddrs; k++)
			if (addr_eq(&roster->hosts[i].addrs[k], addr))
				return &roster->hosts[i];
	return NULL;
}

static const struct roster_host *host_of_card(const struct roster *roster, const char *said) {
	for (size_t i = 0; i < roster->nhosts; i++)
		if (strcmp(roster->hosts[i].said, said) == 0)
			return &roster->hosts[i];
	return NULL;
}

/* No single peer has the address. */
static void mend_owner(const struct mesh *mesh, const struct gate_request *request,
	const struct gate_decision *decision, char mend[static MEND_SIZE]) {
	const struct roster_host *host = mesh ? host_of_address(&mesh->roster, &request->remote) : NULL;
	char address[ADDR_TEXT];

	addr_format(&request->remote, address);
	if (!if_nametoindex(decision->interface))
		snprintf(mend, MEND_SIZE, "verimesh up");
	else if (mesh && mesh->wireguard.error)
		snprintf(mend, MEND_SIZE, "see verimesh check on %s", decision->interface);
	else if (host && host->self)
		snprintf(mend, MEND_SIZE, "log in without the mesh: %s is this very host's", address);
	else if (host)
		snprintf(mend, MEND_SIZE, "verimesh sync");
	else
		snprintf(mend, MEND_SIZE,
			"have the card of that host name it (verimesh issue ... --addr %s), then verimesh "
			"import and sync",
			address);
}

/* The card's login that is to become the account: of that name, else the first. */
static bool choose_login(const struct card *card, const char *account, char login[static LOGIN_MAX + 1]) {
	struct span rest = card->logins, text;

	login[0] = 0;
	while (event_next_text(&rest, &text))
		if (!login[0] || span_is(text, account))
			span_copy(text, login, LOGIN_MAX + 1);
	return login[0];
}

static void mend_login(const struct mesh *mesh, const struct gate_request *request,
	const struct gate_decision *decision, char mend[static MEND_SIZE]) {
	const struct roster_host *host = mesh ? host_of_card(&mesh->roster, decision->said) : NULL;
	const struct policy_login *listed;
	char login[LOGIN_MAX + 1];
	const char *meant;

	if (!host) {
		snprintf(mend, MEND_SIZE, "verimesh sync");
		return;
	}
	if (!choose_login(book_card(&mesh->store.book, host->said), request->account, login)) {
		snprintf(mend, MEND_SIZE,
			"have its card say who logs in from there (verimesh issue %s ... --login NAME), "
			"then "
			"verimesh import and sync",
			host->label);
		return;
	}
	meant = strcmp(login, request->account) == 0 ? "" : "if that is meant, ";
	listed = policy_login(host->peer, span_str(login));
	if (host->peer->line)
		snprintf(mend, MEND_SIZE,
			"%sset %s=%s in Logins of [Peer %s] (" PATH_CONF ":%u), then verimesh sync", meant,
			login, request->account, host->peer->name, listed ? listed->line : host->peer->line);
	else
		snprintf(mend, MEND_SIZE,
			"%swrite [Peer %s] and below it Logins = %s=%s into " PATH_CONF
			", then verimesh sync",
			meant, host->peer->name, login, request->account);
}

bool gate_mend(const struct mesh *mesh, const struct gate_request *request,
	const struct gate_decision *decision, char mend[static MEND_SIZE]) {
	char address[ADDR_TEXT];
	enum gate_condition failed = 0;

	while (failed < GATE_CONDITIONS && decision->answers[failed] != GATE_FAILED)
		failed++;
	switch (failed) {
	case GATE_MESH:
		snprintf(mend, MEND_SIZE,
			"come through the tunnel, to an address of the mesh; or write outside=ignore behind "
			"pam_verimesh.so in /etc/pam.d/sshd");
		break;
	case GATE_OWNER:
		mend_owner(mesh, request, decision, mend);
		break;
	case GATE_ROUTE:
		snprintf(mend, MEND_SIZE, "take away the other route (ip route get %s), then verimesh sync",
			addr_format(&request->remote, address));
		break;
	case GATE_LOGIN:
		mend_login(mesh, request, decision, mend);
		break;
	default:
		snprintf(mend, MEND_SIZE, "verimesh sync");
	}
	return failed < GATE_CONDITIONS;
}

/* ---- the verb ---- */

static bool read_options(const struct command *command, struct gate_request *request, const char **from) {
	static const struct option names[] = {
		{"user", required_argument, NULL, 'u'}, {"from", required_argument, NULL, 'f'}, {0}};
	int id;

	opterr = 0;
	optind = 1;
	while ((id = getopt_long(command->nargs, command->args, "", names, NULL)) != -1) {
		if (id == 'u' && !request->account)
			request->account = optarg;
		else if (id == 'f' && !*from)
			*from = optarg;
		else
			return false;
	}
	return optind == command->nargs && request->account && request->account[0] && *from;
}

static void no_report(void *ctx, const struct err *what) {
	(void)ctx, (void)what;
}

static void explain_mend(const struct gate_request *request, const struct gate_decision *decision) {
	char mend[MEND_SIZE];
	struct mesh mesh;
	struct err err;
	bool open = mesh_open(&mesh, request->root, false, no_report, NULL, &err);

	if (gate_mend(open ? &mesh : NULL, request, decision, mend))
		printf("  mend %s\n", mend);
	if (open)
		mesh_close(&mesh);
}

/* Who is not root sees neither the interface nor the keyring. */
static bool needs_root(const struct gate_decision *decision) {
	return geteuid() != 0 &&
	       (decision->answers[GATE_OWNER] == GATE_FAILED || decision->answers[GATE_KEY] == GATE_FAILED);
}

/* A line for each condition, in three columns: its answer, its name, what was found. */
static void explain(const struct gate_request *request, const struct gate_decision *decision) {
	static const char *const marks[] = {"-", "yes", "no"};

	for (enum gate_condition i = 0; i < GATE_CONDITIONS; i++)
		if (i != GATE_RECORD) /* a login from an address has none yet */
			printf("  %-4s %-36s %s\n", marks[decision->answers[i]], gate_condition_name(i),
				decision->answers[i] == GATE_NOT_ASKED ? "-" : decision->details[i]);
	if (decision->verdict != GATE_ADMIT && !needs_root(decision))
		explain_mend(request, decision);
	if (!request->root[0] && !getpwnam(request->account))
		printf("  note this host has no account %s, so that sshd refuses it\n", request->account);
}

int verb_gate(const struct command *command) {
	static const char *const verdicts[] = {"refused", "admitted", "outside the mesh"};
	struct gate_request request = {.root = command->root, .fd = -1};
	struct gate_decision decision;
	struct err err;
	const char *from = NULL;

	if (!read_options(command, &request, &from))
		return usage(command, "needs --user ACCOUNT and --from ADDRESS");
	if (!addr_parse(span_str(from), &request.remote))
		return usage(command, "--from needs an IP address: the gate resolves no name");
	gate_decide(&request, &decision);
	printf("%s from %s: %s: %s\n", request.account, from, verdicts[decision.verdict], decision.reason);
	explain(&request, &decision);
	if (needs_root(&decision)) {
		err_set(&err, ERR_ENV,
			"gate: cannot tell: only root may look at the interface and the keyring");
		return problem(&err);
	}
	return decision.verdict == GATE_ADMIT ? 0 : ERR_NO;
}
