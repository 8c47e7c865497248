/* main.c: the administrator's command: finds the verb, --root and --help. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "verimesh.h"

#define OWN_DKMS                                                                             \
	"--aid AID, for an organisation with its own DKMS: prints the card, and on stderr\n" \
	"the seal to anchor in its log; changes nothing."

static const struct verb {
	const char *name;
	int (*run)(const struct command *command);
	const char *usage;
	const char *help;
} verbs[] = {
	{"init", verb_init, "LABEL [--self PETNAME] [--seal] [card options]",
		"Makes this organisation's identity and its first card, for this host.\n"
		"--seal: its seeds are sealed at rest by a passphrase, which is asked for: by the systemd\n"
		"credential verimesh.passphrase, on the terminal, or as a line of standard input.\n"
		"Writes /etc/verimesh/verimesh.conf where there is none."},
	{"key", verb_key, "[--renew]",
		"Makes the seed of this host where another host holds the identity, and prints\n"
		"the public keys that grow from it, for `verimesh issue` there.\n"
		"--renew: new ones, which this host takes once their card is in force."},
	{"issue", verb_issue, "LABEL [--aid AID] [card options]",
		"Issues the card of a host, or replaces it: what is not given is left out.\n"
		"Another host than this one needs --key.\n" OWN_DKMS},
	{"withdraw", verb_withdraw, "LABEL [--aid AID]",
		"Issues a card that takes a host out of the mesh, and voids its last one.\n" OWN_DKMS},
	{"rotate", verb_rotate, "[--at TIME|now] [--next FILE] [--recover SN] [--seal]",
		"Makes the next key, to which the log commits, the one that signs, and gives this host\n"
		"a tunnel key that grows from it. Lists every live card, and stops at one that this host\n"
		"did not issue. Others keep the old tunnel key until they met the new one.\n"
		"  --at TIME      when this host starts to use it (default: in two FetchEvery);\n"
		"                 now: at once, and the old one ends, as it must if it was stolen\n"
		"  --next FILE    the next seed, where it was taken offline\n"
		"  --recover SN   supersedes what was anchored since the last rotation, from event SN on,\n"
		"                 by somebody who has the key; what this host issued stands again\n"
		"  --seal         seals the seeds from here on by a new passphrase\n"
		"Times: as for issue. Run again after a crash, it finishes what was begun."},
	{"export", verb_export, "", "Prints this organisation's log and cards as one CESR stream."},
	{"verify", verb_verify, "[--json] FILE|-",
		"Verifies a stream and prints the key states. Touches nothing."},
	{"import", verb_import, "[--resolve AID] FILE|-",
		"Verifies a stream and adds what holds to the store. An identifier that shows two\n"
		"versions of an event is frozen: nothing new of it is taken until --resolve replaces\n"
		"its log by that of FILE."},
	{"fetch", verb_fetch, "[PEER...]",
		"Asks the Sources of these peers, without a name of all, and does the same with what\n"
		"they show. Sources that disagree show two versions, too."},
	{"sync", verb_sync, "", "Compiles store and policy into the map, the keyring and WireGuard."},
	{"up", verb_up, "", "Makes the interface, then does what sync does."},
	{"down", verb_down, "", "Removes the interface and the keys in the kernel keyring."},
	{"watch", verb_watch, "",
		"Stays, and keeps this host up to date: fetches every FetchEvery, syncs when the store,\n"
		"the configuration or the identity change or a card ends, and, where the identity is,\n"
		"renews each card that is past half of its life, also if it ended meanwhile.\n"
		"SIGHUP: fetches and syncs at once."},
	{"show", verb_show, "[--json] [NAME|AID|KEY|ADDRESS|LOGIN]",
		"Says whose a name, key, address or login is, and how we know. Without one: a table.\n\n"
		"--json: one object a line for each host, of these members; null: none, or not known:\n"
		"  name alias aid peer label         the host\n"
		"  sn said delegator witnesses       key state of its organisation, by the last event\n"
		"  frozen                            whether that showed two versions of an event\n"
		"  card anchor:{sn said}             its card, and the event that anchors it\n"
		"  key next from until               tunnel key, the next one, from when, the card's end\n"
		"  lapsed                            since when its peer is: no Source answered for MaxAge\n"
		"  addresses:[] routes:[] endpoint   what is its own, the derived address first\n"
		"  logins:[{login account uid gid}]  who may log in from there, and as whom\n"
		"  handshake live_endpoint keyring   what is live; root only"},
	{"check", verb_check, "",
		"Says what is wrong with this installation, and the mend; of the rest that it is ok.\n"
		"Changes nothing. Some of it only root can see."},
	{"gate", verb_gate, "--user ACCOUNT --from ADDRESS",
		"Says whether such a login may happen, and why. Changes nothing.\n"
		"Exit status 0: admitted, 1: not."},
};

static const char card_options[] =
	"Card options (those marked * may repeat):\n"
	"  --addr ADDRESS*         one more address of the host\n"
	"  --route PREFIX*         a prefix that is reached through it\n"
	"  --endpoint IP:PORT      where its WireGuard listens\n"
	"  --login NAME[=KEYFILE]* who logs in from it, with the SSH public key file\n"
	"  --hostkey FILE*         its SSH host key (ssh_host_ed25519_key.pub)\n"
	"  --key KEY               its tunnel public key, as wg prints it\n"
	"  --journal KEY           the key that signs its journal\n"
	"  --from TIME             when it starts to use the key\n"
	"  --until TIME|never      when the card ends (default: in 30 days)\n"
	"  --rosenpass FILE        its Rosenpass public key\n"
	"Times: 2026-01-31T12:00:00Z, or from now on: 10m, 12h, 30d.\n";

static void help(const struct verb *verb) {
	bool card = verb && (verb->run == verb_init || verb->run == verb_issue);

	if (verb)
		printf("verimesh %s %s\n\n%s\n%s%s", verb->name, verb->usage, verb->help, card ? "\n" : "",
			card ? card_options : "");
	else
		puts("verimesh VERB ...: one root of trust for tunnels, names and logins\n");
	for (size_t i = 0; !verb && i < sizeof verbs / sizeof verbs[0]; i++)
		printf("  verimesh %-8s %s\n", verbs[i].name, verbs[i].usage);
	puts("\nEvery verb takes --root DIR (all paths are below DIR) and --help.");
	if (!verb)
		puts("verimesh --version prints the version.");
}

int problem(const struct err *err) {
	fprintf(stderr, "verimesh: %s\n", err->text);
	return (int)err->status;
}

int usage(const struct command *command, const char *what) {
	fprintf(stderr, "verimesh: %s: %s (see verimesh %s --help)\n", command->args[0], what,
		command->args[0]);
	return ERR_USAGE;
}

void print_verdict(const char *where, const struct verdict *v) {
	static const char *const kinds[] = {"refused", "truncated", "duplicitous", "underwitnessed"};
	char at[64] = "";

	if (v->sn != UINT64_MAX)
		snprintf(at, sizeof at, " sn %llu", (unsigned long long)v->sn);
	fprintf(stderr, "verimesh: %s: event %llu%s%s%s: %s: %s\n", where, (unsigned long long)v->event,
		v->aid[0] ? " of " : "", v->aid, at, kinds[v->kind], v->reason);
}

/* Takes --root DIR and --help out of the words. False: it was --root without a directory. */
static bool take_common(struct command *command, char root[static PATH_MAX], bool *wants_help) {
	int kept = 0;

	for (int i = 0; i < command->nargs; i++) {
		char *arg = command->args[i], *dir = NULL;

		if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			*wants_help = true;
			continue;
		}
		if (strcmp(arg, "--root") == 0)
			dir = i + 1 < command->nargs ? command->args[++i] : (char *)"";
		else if (strncmp(arg, "--root=", 7) == 0)
			dir = arg + 7;
		else
			command->args[kept++] = arg;
		if (dir && !realpath(dir, root))
			return false;
		if (dir)
			command->root = strcmp(root, "/") == 0 ? "" : root;
	}
	command->args[kept] = NULL;
	command->nargs = kept;
	return true;
}

/* No core dump and no debugger of the same user ever sees a secret. */
static void forbid_dumps(void) {
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Else the first file that is opened would take the place of a standard stream, and its output. */
static bool open_standard_streams(void) {
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	return fd >= 0;
}

static int run_verb(const struct verb *verb, const struct command *command) {
	forbid_dumps();
	/* ignored, as we may have inherited it, nobody would hear of a child; a limit is told as an error */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_IGN);
	umask(022);
	if (sodium_init() < 0) {
		fprintf(stderr, "verimesh: libsodium cannot start: no source of random numbers\n");
		return ERR_ENV;
	}
	return verb->run(command);
}

static const struct verb *find_verb(const char *name) {
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	return NULL;
}

static int dispatch(int argc, char **argv) {
	struct command command = {.root = "", .args = argv + 1, .nargs = argc - 1};
	const struct verb *verb;
	bool wants_help = false;
	char root[PATH_MAX];
	struct err err;

	if (!take_common(&command, root, &wants_help)) {
		err_set(&err, ERR_USAGE, "--root: needs a directory that is there");
		return problem(&err);
	}
	if (!command.nargs && !wants_help) {
		err_set(&err, ERR_USAGE, "no verb: see verimesh --help");
		return problem(&err);
	}
	if (!command.nargs) {
		help(NULL);
		return 0;
	}
	if (strcmp(command.args[0], "--version") == 0) {
		puts("verimesh " VERIMESH_VERSION);
		return 0;
	}
	verb = find_verb(command.args[0]);
	if (!verb) {
		err_set(&err, ERR_USAGE, "%s: no such verb (see verimesh --help)", command.args[0]);
		return problem(&err);
	}
	if (!wants_help)
		return run_verb(verb, &command);
	help(verb);
	return 0;
}

int main(int argc, char **argv) {
	struct err err;
	int status;

	if (!open_standard_streams())
		return ERR_ENV;
	status = dispatch(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	err_set(&err, ERR_ENV, "standard output: cannot be written");
	return problem(&err);
}
