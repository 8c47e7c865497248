/* test_pam.c: the PAM module in the real Linux-PAM, by the cases in tests/modules/pam. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file holds cases. A case is a list of lines, done one after the other, in a world of its own: a
 * mesh of this host (10.77.1.1, fd77:2::1) and db1 of clinic-b (10.77.2.5, 10.77.2.6, fd77:2::5,
 * routes 10.80.0.0/16; its login alice is alice here, bob is rsmith) with real WireGuard between
 * them, beside it a plain link (192.0.2.1, 192.0.2.2), and a map, a keyring and a syslog.
 *
 *   case TEXT              names the case
 *   tunnel                 it needs WireGuard: skipped where there is none
 *   option TEXT            an option of the module (root=DIR is always there)
 *   user, rhost, ruser TEXT    the items; without a text: empty; without the line: not set
 *   env NAME=VALUE         in the PAM environment
 *   long WORD TEXT         one of these four with 64 kB, the text over and over (of env: the value)
 *   answer TEXT            to the question for the user's name
 *   again                  it will be answered later (PAM_CONV_AGAIN)
 *   uid N                  the real uid; the effective one stays 0
 *   silent                 PAM_SILENT from now on
 *   connect FROM TO        a TCP connection from db1 (127.0.0.1: from here) that this process has
 *                          accepted; connect6 with a socket of IPv6
 *   run SHELL, far SHELL   here or on db1, with $IF, $ROOT, $MAP, $RING (serial), $KEY (db1's)
 *                          and $SESSION; all, and $AID, in env too, with $SSH1, $SSH2 (SSH keys of
 *                          alice) and $SSHBOB
 *   version N              the map says that it is of this version
 *   session [none]         this process is of a new audit session, $SESSION, or of none
 *   handle N               what is called from now on is called by handle N (0 to 3) while the case lasts;
 *                          without it each call has one of its own
 *   call PHASE CODE        account, auth, setcred, open or close, and what the module must answer
 *   log PRIORITY TEXT      and must have logged, line by line, to LOG_AUTHPRIV; knows $AID too
 *   say TEXT               and must have told the user
 *   has NAME=VALUE         and must have left in the PAM environment
 *   lacks NAME             and must not have
 *
 * \xNN is a byte. Empty lines and lines that start with # do not count.
 */
#include <endian.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <security/pam_appl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <syslog.h>
#include <cmocka.h>

#include "bytes.h"
#include "keyring_build.h"
#include "map.h"
#include "map_build.h"
#include "map_sample.h"
#include "paths.h"
#include "sandbox.h"

#define CASES "tests/modules/pam/*.case"
#define ROOT "/run/host"
#define MAP ROOT PATH_MAP
#define SERVICE "verimesh-test"
#define SERVICES "/run/pam.d"
#define CASES_MAX 256
#define LINES_MAX 16
#define LINE_MAX_BYTES 1024
#define HANDLES_MAX 4
#define NO_SESSION "4294967295"

/* Lines that came in, and how many of them a case has asked for. */
struct lines {
	char text[LINES_MAX][LINE_MAX_BYTES];
	size_t n, asked;
};

/* What the lines of a case have made of it so far. */
struct world {
	char place[128]; /* FILE:LINE, for messages */
	struct sandbox net;
	struct sample sample;
	const char *interface;
	char key[WG_KEY_TEXT];
	int32_t ring;
	pid_t tunnels[2]; /* userspace WireGuards */
	char options[512];
	const char *user, *rhost, *ruser, *env, *answer;
	char session[16];			      /* the audit session, as the kernel says it */
	char env_text[LINE_MAX_BYTES], *kept;	      /* of env and of long */
	pam_handle_t *handles[HANDLES_MAX], **handle; /* NULL: each call has its own */
	char *left;				      /* the last call's PAM environment, a line each */
	uid_t uid;
	bool later; /* the question is answered later */
	int flags, fds[4];
	size_t nfds;
	struct lines logged, said;
};

/* A case: a part of its file's text. */
struct script {
	char name[200];
	const char *file;
	unsigned line; /* of its first line */
	char *text;
};

static struct world w;
static char module[PATH_MAX]; /* absolute */
static int syslog_fd = -1;
static bool tunnels; /* there is WireGuard for this user */

/* --- what comes in --- */

static void take_line(struct lines *lines, const char *text) {
	assert_true(lines->n < LINES_MAX);
	snprintf(lines->text[lines->n++], LINE_MAX_BYTES, "%s", text);
}

static void expect_line(struct lines *lines, const char *text) {
	if (lines->asked == lines->n)
		fail_msg("%s: there is no line: %s", w.place, text);
	if (strcmp(lines->text[lines->asked], text) != 0)
		fail_msg("%s:\n%s\ninstead of\n%s", w.place, lines->text[lines->asked], text);
	lines->asked++;
}

/* Nothing came that the case does not name. */
static void expect_no_more(struct lines *lines) {
	if (lines->asked < lines->n)
		fail_msg("%s: not expected: %s", w.place, lines->text[lines->asked]);
	*lines = (struct lines){0};
}

/* "<85>Nov 22 12:00:00 test_pam: pam_verimesh(SERVICE:PHASE): TEXT" is "notice TEXT". */
static void take_syslog(const char *phase, const char *message) {
	static const char *const priorities[] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};
	char from[64], line[LINE_MAX_BYTES];
	const char *text;
	int priority = -1;

	snprintf(from, sizeof from, ": pam_verimesh(" SERVICE ":%s): ", phase);
	/* libpam's, once a process */
	if (strstr(message, "PAM audit_log_acct_message() failed"))
		return;
	text = strstr(message, from);
	if (text && sscanf(message, "<%d>", &priority) == 1 && (priority & LOG_FACMASK) == LOG_AUTHPRIV)
		snprintf(line, sizeof line, "%s %s", priorities[LOG_PRI(priority)], text + strlen(from));
	else
		snprintf(line, sizeof line, "%s", message);
	take_line(&w.logged, line);
}

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *ctx) {
	const bool asked = messages[0]->msg_style == PAM_PROMPT_ECHO_ON;

	(void)ctx;
	assert_int_equal(n, 1);
	if (messages[0]->msg_style == PAM_ERROR_MSG)
		take_line(&w.said, messages[0]->msg);
	if (asked && !w.answer)
		return w.later ? PAM_CONV_AGAIN : PAM_CONV_ERR;
	*responses = calloc(1, sizeof **responses);
	assert_non_null(*responses);
	if (asked)
		(*responses)->resp = strdup(w.answer);
	return PAM_SUCCESS;
}

/* --- the words of a case --- */

static void do_tunnel(char *text) {
	(void)text;
	if (tunnels)
		return;
	printf("needs WireGuard: by the kernel, or wireguard-go and /dev/net/tun\n");
	skip();
}

static void do_option(char *text) {
	size_t n = strlen(w.options);

	snprintf(w.options + n, sizeof w.options - n, " %s", text);
}

static void do_uid(char *text) {
	w.uid = (uid_t)strtoul(text, NULL, 10);
	if (setresuid(w.uid, 0, 0) == 0 && setresuid(0, 0, 0) == 0)
		return;
	printf("needs root: an ordinary user has one uid only\n");
	skip();
}

static void do_long(char *text) {
	static const struct {
		const char *word, **keep;
	} items[] = {{"rhost", &w.rhost}, {"ruser", &w.ruser}, {"user", &w.user}, {"env", &w.env}};
	char *value = strchr(text, ' ') + 1, *part = strchr(value, '=');
	size_t n = 0, size = 65536 + LINE_MAX_BYTES;

	part = part ? part + 1 : value;
	free(w.kept);
	w.kept = malloc(size);
	assert_non_null(w.kept);
	n = (size_t)snprintf(w.kept, size, "%.*s", (int)(part - value), value);
	while (n < 65536)
		n += (size_t)snprintf(w.kept + n, size - n, "%s", part);
	for (size_t i = 0; i < sizeof items / sizeof *items; i++)
		if (strncmp(text, items[i].word, strlen(items[i].word)) == 0)
			*items[i].keep = w.kept;
}

static void do_again(char *text) {
	(void)text;
	w.answer = NULL;
	w.later = true;
}

static void do_silent(char *text) {
	(void)text;
	w.flags = (int)PAM_SILENT;
}

static void connect_by(int family, const char *text) {
	char from[64], to[64];
	int ns, fd;

	assert_int_equal(sscanf(text, "%63s %63s", from, to), 2);
	assert_true(w.nfds < sizeof w.fds / sizeof *w.fds);
	ns = strcmp(from, "127.0.0.1") == 0 ? w.net.here : w.net.far;
	fd = sandbox_accept(ns, family, from, to);
	if (fd < 0)
		fail_msg("%s: no connection: %s", w.place, strerror(errno));
	w.fds[w.nfds++] = fd;
}

static void do_connect(char *text) {
	connect_by(strchr(text, ':') ? AF_INET6 : AF_INET, text);
}

static void do_connect6(char *text) {
	connect_by(AF_INET6, text);
}

static void run(int ns, const char *script) {
	if (!sandbox_run(ns, "IF=%s ROOT=" ROOT " MAP=" MAP " RING=%d KEY='%s' SESSION=%s\n%s", w.interface,
		    w.ring, w.key, w.session, script))
		fail_msg("%s: failed: %s", w.place, script);
}

static void do_run(char *text) {
	run(w.net.here, text);
}

static void do_far(char *text) {
	run(w.net.far, text);
}

/* The version stands behind the superseded word. */
static void do_version(char *text) {
	uint32_t version = htole32((uint32_t)strtoul(text, NULL, 10));
	FILE *out = fopen(MAP, "r+b");

	assert_non_null(out);
	assert_int_equal(fseek(out, MAP_SUPERSEDED + 4, SEEK_SET), 0);
	assert_int_equal(fwrite(&version, sizeof version, 1, out), 1);
	assert_int_equal(fclose(out), 0);
}

static void do_handle(char *text) {
	unsigned long i = strtoul(text, NULL, 10);

	assert_true(i < HANDLES_MAX);
	w.handle = &w.handles[i];
}

/* What pam_loginuid does. False where this user cannot, having done it once. */
static bool take_session(const char *loginuid) {
	char before[sizeof w.session];
	FILE *file = fopen("/proc/self/loginuid", "w");
	bool written = file && fputs(loginuid, file) >= 0 && fflush(file) == 0;

	if (file)
		fclose(file);
	memcpy(before, w.session, sizeof before);
	file = fopen("/proc/self/sessionid", "r");
	written = file && fscanf(file, "%15s", w.session) == 1 && written;
	if (file)
		fclose(file);
	return written && strcmp(loginuid, NO_SESSION) == 0 ? strcmp(w.session, NO_SESSION) == 0
							    : strcmp(w.session, before) != 0;
}

static void do_session(char *text) {
	if (take_session(strcmp(text, "none") == 0 ? NO_SESSION : "2001"))
		return;
	printf("needs audit sessions: root, and a kernel that has them\n");
	skip();
}

/* The module's own code is the stack's; where it ignores the call the next module speaks. */
static void write_service(void) {
	static const char *const types[][2] = {{"auth", "auth=cred_unavail cred=cred_unavail"},
		{"account", "acct=cred_unavail"},
		{"session", "open_session=cred_unavail close_session=cred_unavail"}};
	FILE *out = fopen(SERVICES "/" SERVICE, "w");

	assert_non_null(out);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		fprintf(out,
			"%s [success=done ignore=ignore default=die] %s root=" ROOT "%s\n"
			"%s required pam_debug.so %s\n",
			types[i][0], module, w.options, types[i][0], types[i][1]);
	assert_int_equal(fclose(out), 0);
}

static void begin_handle(pam_handle_t **pamh) {
	static const struct pam_conv conv = {converse, NULL};

	if (!*pamh)
		assert_int_equal(pam_start_confdir(SERVICE, w.user, &conv, SERVICES, pamh), PAM_SUCCESS);
	if (w.rhost)
		assert_int_equal(pam_set_item(*pamh, PAM_RHOST, w.rhost), PAM_SUCCESS);
	if (w.ruser)
		assert_int_equal(pam_set_item(*pamh, PAM_RUSER, w.ruser), PAM_SUCCESS);
	if (w.env)
		assert_int_equal(pam_putenv(*pamh, w.env), PAM_SUCCESS);
}

static void take_env(pam_handle_t *pamh) {
	char **list = pam_getenvlist(pamh);
	size_t n;
	FILE *out;

	free(w.left);
	w.left = NULL;
	out = open_memstream(&w.left, &n);
	assert_non_null(out);
	for (size_t i = 0; list && list[i]; i++) {
		fprintf(out, "\n%s\n", list[i]);
		free(list[i]);
	}
	free(list);
	fclose(out);
}

static const struct {
	const char *name, *type;
	int (*call)(pam_handle_t *pamh, int flags);
} phases[] = {
	{"account", "account", pam_acct_mgmt},
	{"auth", "auth", pam_authenticate},
	{"close", "session", pam_close_session},
	{"open", "session", pam_open_session},
	{"setcred", "setcred", pam_setcred},
};

static const struct {
	const char *name;
	int code;
} codes[] = {
	{"auth_err", PAM_AUTH_ERR},
	{"conv_err", PAM_CONV_ERR},
	{"ignore", PAM_CRED_UNAVAIL},
	{"incomplete", PAM_INCOMPLETE},
	{"perm_denied", PAM_PERM_DENIED},
	{"service_err", PAM_SERVICE_ERR},
	{"session_err", PAM_SESSION_ERR},
	{"success", PAM_SUCCESS},
	{"user_unknown", PAM_USER_UNKNOWN},
};

#define PHASES (sizeof phases / sizeof *phases)
#define CODES (sizeof codes / sizeof *codes)

/* The codes that each phase can answer, in their order: + for some case, - for none. */
static const char possible[PHASES][CODES + 1] = {
	"-+++++-++", /* account */
	"++++-+-++", /* auth */
	"-------+-", /* close */
	"-+++-++++", /* open */
	"-------+-", /* setcred */
};

static char answered[PHASES][CODES + 1]; /* the same, as the cases have had it so far */

static int call(size_t phase) {
	pam_handle_t *own = NULL, **pamh = w.handle ? w.handle : &own;
	char message[LINE_MAX_BYTES];
	ssize_t n;
	int rc;

	begin_handle(pamh);
	assert_return_code(setresuid(w.uid, 0, 0), errno);
	rc = phases[phase].call(*pamh, w.flags);
	assert_return_code(setresuid(0, 0, 0), errno);
	take_env(*pamh);
	if (own)
		pam_end(own, rc);
	while ((n = recv(syslog_fd, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
		message[n] = 0;
		take_syslog(phases[phase].type, message);
	}
	return rc;
}

static void do_call(char *text) {
	char phase[16], expected[16];
	const char *code = "another";
	size_t p = 0;
	int rc;

	assert_int_equal(sscanf(text, "%15s %15s", phase, expected), 2);
	while (strcmp(phases[p].name, phase) != 0)
		assert_true(++p < PHASES);
	expect_no_more(&w.logged);
	expect_no_more(&w.said);
	write_service();
	rc = call(p);
	/* libpam's audit takes no PAM_RHOST of 64 kB: this code of it stands for whatever the module gave */
	if (rc == PAM_SYSTEM_ERR && w.rhost && w.rhost == w.kept)
		return;
	for (size_t i = 0; i < CODES; i++)
		if (codes[i].code == rc) {
			code = codes[i].name;
			answered[p][i] = '+';
		}
	if (strcmp(code, expected) != 0)
		fail_msg("%s: code %s (%d), not %s; logged: %s", w.place, code, rc, expected,
			w.logged.n ? w.logged.text[w.logged.n - 1] : "nothing");
}

/* Puts values in the place of $NAMEs. */
static void expand(const char *text, char *out, size_t size) {
	const struct {
		const char *name, *value;
	} names[] = {{"$AID", SAMPLE_AID_B}, {"$IF", w.interface}, {"$KEY", w.key}, {"$MAP", MAP},
		{"$SESSION", w.session}, {"$SSHBOB", SAMPLE_SSH_BOB}, {"$SSH1", SAMPLE_SSH_1},
		{"$SSH2", SAMPLE_SSH_2}};
	size_t n = 0;

	while (*text && n < size - 1) {
		out[n] = *text++;
		for (size_t i = 0; out[n] == '$' && i < sizeof names / sizeof *names; i++)
			if (strncmp(text, names[i].name + 1, strlen(names[i].name) - 1) == 0) {
				text += strlen(names[i].name) - 1;
				n += (size_t)snprintf(out + n, size - n, "%s", names[i].value) - 1;
			}
		n++;
	}
	out[n] = 0;
}

static void do_log(char *text) {
	char expected[LINE_MAX_BYTES];

	expand(text, expected, sizeof expected);
	expect_line(&w.logged, expected);
}

static void do_say(char *text) {
	expect_line(&w.said, text);
}

static void do_env(char *text) {
	expand(text, w.env_text, sizeof w.env_text);
	w.env = w.env_text;
}

static bool was_left(const char *text) {
	return w.left && strstr(w.left, text);
}

static void do_has(char *text) {
	char value[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 2];

	expand(text, value, sizeof value);
	snprintf(line, sizeof line, "\n%s\n", value);
	if (!was_left(line))
		fail_msg("%s: not in the environment: %s: %s", w.place, value, w.left ? w.left : "");
}

static void do_lacks(char *text) {
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof line, "\n%s=", text);
	if (was_left(line))
		fail_msg("%s: in the environment: %s", w.place, w.left);
}

/* \xNN is that byte. */
static void unescape(char *text) {
	char *out = text;
	unsigned byte;

	for (; *text; out++)
		if (sscanf(text, "\\x%2x", &byte) == 1) {
			*out = (char)byte;
			text += 4;
		} else {
			*out = *text++;
		}
	*out = 0;
}

static void do_line(char *line) {
	static const struct {
		const char *word;
		void (*run)(char *text);
		const char **keep;
	} words[] = {
		{"again", do_again, NULL},
		{"answer", NULL, &w.answer},
		{"call", do_call, NULL},
		{"connect", do_connect, NULL},
		{"connect6", do_connect6, NULL},
		{"env", do_env, NULL},
		{"far", do_far, NULL},
		{"handle", do_handle, NULL},
		{"has", do_has, NULL},
		{"lacks", do_lacks, NULL},
		{"log", do_log, NULL},
		{"long", do_long, NULL},
		{"option", do_option, NULL},
		{"rhost", NULL, &w.rhost},
		{"ruser", NULL, &w.ruser},
		{"run", do_run, NULL},
		{"say", do_say, NULL},
		{"session", do_session, NULL},
		{"silent", do_silent, NULL},
		{"tunnel", do_tunnel, NULL},
		{"uid", do_uid, NULL},
		{"user", NULL, &w.user},
		{"version", do_version, NULL},
	};
	char *text = line + strcspn(line, " ");

	if (*text)
		*text++ = 0;
	unescape(text);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(line, words[i].word) == 0) {
			if (words[i].run)
				words[i].run(text);
			else
				*words[i].keep = text;
			return;
		}
	fail_msg("%s: unknown word: %s", w.place, line);
}

static void run_case(void **state) {
	const struct script *script = *state;
	unsigned number = script->line;
	char *line = script->text, *end;

	for (; *line; line = end, number++) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		snprintf(w.place, sizeof w.place, "%s:%u", script->file, number);
		if (*line && *line != '#')
			do_line(line);
	}
	expect_no_more(&w.logged);
	expect_no_more(&w.said);
}

/* The cases together have had every answer of every phase. */
static void test_every_answer(void **state) {
	(void)state;
	if (!tunnels) {
		printf("needs WireGuard: cases that it would admit were left out\n");
		skip();
	}
	for (size_t p = 0; p < PHASES; p++)
		for (size_t i = 0; i < CODES; i++)
			if ((possible[p][i] == '+') != (answered[p][i] == '+'))
				fail_msg("%s %s: %s", phases[p].name, codes[i].name,
					answered[p][i] ? "is not in the list" : "no case has it");
}

/* --- the world of a case --- */

/* Starts a userspace WireGuard; 0 when it does not come up. */
static pid_t start_tunnel(int ns, const char *interface) {
	char path[64];
	pid_t child;

	snprintf(path, sizeof path, "/run/wireguard/%s.sock", interface);
	unlink(path); /* left by one that was killed */
	child = sandbox_fork(ns);
	if (child == 0) {
		if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
			execlp("wireguard-go", "wireguard-go", "-f", interface, NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && waitpid(child, NULL, WNOHANG) == 0; i++) {
		if (access(path, F_OK) == 0)
			return child;
		usleep(2000);
	}
	return 0;
}

/* The kernel's WireGuard, else one in userspace. */
static bool make_interface(int ns, const char *interface, pid_t *tunnel) {
	if (sandbox_run(ns, "ip link add %s type wireguard 2>/dev/null", interface))
		return true;
	*tunnel = start_tunnel(ns, interface);
	return *tunnel > 0;
}

static bool make_interfaces(void) {
	return make_interface(w.net.here, w.interface, &w.tunnels[0]) &&
	       make_interface(w.net.far, "far1", &w.tunnels[1]);
}

static bool configure_tunnel(void) {
	return sandbox_run(w.net.here,
		       "IF=%s\n"
		       "umask 077\n"
		       "cd /run\n"
		       "wg genkey >near.key\n"
		       "wg genkey >far.key\n"
		       "wg pubkey <near.key >near.pub\n"
		       "wg pubkey <far.key >far.pub\n"
		       "wg set $IF private-key near.key listen-port 51820 \\\n"
		       "    peer $(cat far.pub) endpoint 192.0.2.2:51820 \\\n"
		       "    allowed-ips 10.77.2.5,10.77.2.6,fd77:2::5,10.80.0.0/16\n"
		       "ip -batch - <<END\n"
		       "link set $IF up\n"
		       "addr add 10.77.1.1/32 dev $IF\n"
		       "addr add fd77:2::1/128 dev $IF nodad\n"
		       "route add 10.77.2.0/24 dev $IF\n"
		       "route add 10.80.0.0/16 dev $IF\n"
		       "route add fd77:2::/64 dev $IF\n"
		       "END\n"
		       "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done\n",
		       w.interface) &&
	       sandbox_run(w.net.far, "cd /run\n"
				      "wg set far1 private-key far.key listen-port 51820 \\\n"
				      "    peer $(cat near.pub) endpoint 192.0.2.1:51820 \\\n"
				      "    allowed-ips 10.77.1.1,fd77:2::1\n"
				      "ip -batch - <<END\n"
				      "link set far1 up\n"
				      "addr add 10.77.2.5/32 dev far1\n"
				      "addr add 10.77.2.6/32 dev far1\n"
				      "addr add 10.80.0.9/32 dev far1\n"
				      "addr add fd77:2::5/128 dev far1 nodad\n"
				      "route add 10.77.1.1/32 dev far1\n"
				      "route add fd77:2::1/128 dev far1\n"
				      "END\n");
}

/* db1's key in the roster is the one that its end of the tunnel has. */
static void take_key(void) {
	struct roster_host *db1 = &w.sample.hosts[SAMPLE_DB1_B];
	struct span text;

	if (tunnels) {
		text = bytes_of_file("/run/far.pub");
		assert_int_equal(text.n, WG_KEY_TEXT);
		assert_true(wg_key_decode((const char *)text.p, WG_KEY_TEXT - 1, db1->key));
		bytes_free(text);
	}
	wg_key_encode(db1->key, w.key);
}

static void make_network(void) {
	w = (struct world){0};
	sample_init(&w.sample);
	w.interface = w.sample.policy.interface;
	snprintf(w.sample.policy.interface, IFNAMSIZ, "vp%x", (unsigned)getpid() & 0xffffff);
	assert_true(sandbox_network(&w.net));
}

static int set_up(void **state) {
	struct err err = {0};

	(void)state;
	make_network();
	take_session(NO_SESSION); /* else the one that it has stays */
	assert_true(!tunnels || (make_interfaces() && configure_tunnel()));
	take_key();
	assert_true(sandbox_run(w.net.here, "mkdir -p " ROOT PATH_STATE));
	if (!map_build(&w.sample.roster, MAP, &err) || !keyring_make(ROOT, w.interface, &w.ring, &err) ||
		!keyring_sync(w.ring, &w.sample.roster, &err))
		fail_msg("%s", err.text);
	return 0;
}

static int tear_down(void **state) {
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < HANDLES_MAX; i++)
		if (w.handles[i])
			pam_end(w.handles[i], PAM_SUCCESS);
	free(w.left);
	free(w.kept);
	for (size_t i = 0; i < w.nfds; i++)
		close(w.fds[i]);
	for (size_t i = 0; i < 2; i++)
		sandbox_kill(w.tunnels[i]);
	assert_true(keyring_remove(ROOT, w.interface, &err));
	assert_true(sandbox_run(w.net.here, "rm -rf " ROOT));
	sandbox_leave(&w.net);
	return 0;
}

/* --- all cases --- */

/* A /dev with little in it, so that /dev/log is this test's. */
static bool take_dev(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	struct sandbox net;

	if (!sandbox_network(&net) ||
		!sandbox_run(net.here, "mkdir /run/dev " SERVICES " /run/wireguard\n"
				       "echo 'account required pam_deny.so' >" SERVICES "/other\n"
				       "mount --rbind /dev /run/dev\n"
				       "mount -t tmpfs -o mode=755 dev /dev\n"
				       "mkdir /dev/net\n"
				       "for f in null zero random urandom net/tun; do\n"
				       "    [ ! -e /run/dev/$f ] || { >/dev/$f; mount --bind "
				       "/run/dev/$f /dev/$f; }\n"
				       "done\n"
				       "ln -s /proc/self/fd /dev/fd\n"))
		return false;
	sandbox_leave(&net);
	syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(syslog_fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static bool find_module(void) {
	const char *build = getenv("B");
	char path[PATH_MAX - 32];

	snprintf(path, sizeof path, "%s/pam_verimesh.so", build ? build : "build");
	if (realpath(path, module))
		return true;
	perror(path);
	return false;
}

/* Sees once whether there can be a tunnel at all. */
static int try_tunnel(void **state) {
	(void)state;
	make_network();
	tunnels = make_interfaces();
	for (size_t i = 0; i < 2; i++)
		sandbox_kill(w.tunnels[i]);
	sandbox_leave(&w.net);
	return 0;
}

static size_t read_cases(const char *file, struct script *scripts, size_t n) {
	struct span bytes = bytes_of_file(file);
	char *line = strndup((const char *)bytes.p, bytes.n), *end;
	const char *base = strrchr(file, '/') + 1;

	assert_non_null(line);
	bytes_free(bytes);
	for (unsigned number = 1; *line; line = end, number++) {
		end = line + strcspn(line, "\n");
		end += *end == '\n';
		if (strncmp(line, "case ", 5) != 0)
			continue;
		assert_true(n < CASES_MAX);
		snprintf(scripts[n].name, sizeof scripts[n].name, "%.*s: %.*s", (int)strcspn(base, "."),
			base, (int)strcspn(line + 5, "\n"), line + 5);
		scripts[n].file = file;
		scripts[n].line = number + 1;
		scripts[n++].text = end;
		*line = 0; /* the end of the case before */
	}
	return n;
}

static void not_here(void **state) {
	(void)state;
	printf("needs ip, and root or user namespaces for everybody\n");
	skip();
}

int main(void) {
	static struct CMUnitTest tests[CASES_MAX + 1];
	static struct script scripts[CASES_MAX];
	size_t n = 0;
	glob_t files;
	bool here;
	int failed;

	if (!find_module() || glob(CASES, 0, NULL, &files) != 0)
		return 1;
	for (size_t i = 0; i < files.gl_pathc; i++)
		n = read_cases(files.gl_pathv[i], scripts, n);
	/* the process's environment is the user's: nothing in it counts */
	setenv("SSH_CONNECTION", "10.77.2.5 40000 10.77.1.1 22", 1);
	here = sandbox_enter() && take_dev();
	for (size_t i = 0; i < n; i++)
		tests[i] =
			here ? (struct CMUnitTest){scripts[i].name, run_case, set_up, tear_down, &scripts[i]}
			     : (struct CMUnitTest){scripts[i].name, not_here, NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){
		"every answer of every phase", here ? test_every_answer : not_here, NULL, NULL, NULL};
	failed = _cmocka_run_group_tests("pam_verimesh", tests, n, here ? try_tunnel : NULL, NULL);
	globfree(&files);
	return failed;
}
