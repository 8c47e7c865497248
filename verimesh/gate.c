/* gate.c: `verimesh gate`: the decision on a remote login, explained; changes nothing. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "gate.h"
#include "verimesh.h"

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

static void explain(const struct gate_decision *decision) {
	static const char *const marks[] = {"-  ", "yes", "NO "};

	for (enum gate_condition i = 0; i < GATE_CONDITIONS; i++)
		if (i != GATE_RECORD) /* a login from an address has none yet */
			printf("  %s %s%s%s\n", marks[decision->answers[i]], gate_condition_name(i),
				decision->details[i][0] ? ": " : "", decision->details[i]);
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
		return usage(command, "--from needs an IP address");
	gate_decide(&request, &decision);
	printf("%s from %s: %s: %s\n", request.account, from, verdicts[decision.verdict], decision.reason);
	explain(&decision);
	if (geteuid() != 0 &&
		(decision.answers[GATE_OWNER] == GATE_FAILED || decision.answers[GATE_KEY] == GATE_FAILED)) {
		err_set(&err, ERR_ENV,
			"gate: cannot tell: only root may look at the interface and the keyring");
		return problem(&err);
	}
	return decision.verdict == GATE_ADMIT ? 0 : ERR_NO;
}
