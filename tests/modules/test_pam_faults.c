/* test_pam_faults.c: every system call and every allocation of the PAM module fails, one after the other. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scene is a login that is admitted, refused for one reason alone, or of the console. It is repeated in
 * the real Linux-PAM with the first system call failing, with the second one, … to the last, for each way
 * to fail. Whatever fails: who is refused is refused; the console is left alone; who is admitted is, or is
 * refused; errno, descriptors, mappings and memory are as they were, and there is no record that the
 * session's end does not take away.
 */
#include <dirent.h>
#include <keyutils.h>
#include <security/pam_appl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <syslog.h>
#include <cmocka.h>

#include "pam_world.h"
#include "system_calls.h"

#define SERVICE "verimesh-test"
#define SERVICES "/run/pam.d"
#define IGNORED PAM_CRED_UNAVAIL /* of the next module, when this one has no say */
#define KEPT_ERRNO 12345
#define COMPLAINTS_MAX 20
#define PATIENCE 100 /* seconds for all of a scene */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif

enum phase { ACCOUNT, AUTH, OPEN, CLOSE };

struct scene {
	const char *name;
	enum phase phase;
	int expected; /* code when nothing fails */
	const char *options, *user, *rhost, *ruser, *env;
	const char *far;    /* a script on db1, before the connection */
	const char *from;   /* the connection's other end; NULL: there is none */
	const char *broken; /* a script behind all else */
	bool session;	    /* a login's record is there */
	bool asks_libc;	 /* for a user; it keeps what it likes, and without memory Linux-PAM asks for ever */
	int64_t expires; /* of db1's card, else never */
};

/* Shared with the child that plays the scene: where it is, if it does not come back. */
struct progress {
	unsigned at;
	int fault;
	long nr; /* of the call that failed, -1 for none */
	unsigned complaints;
};

static struct world w;
static char module[PATH_MAX]; /* absolute */
static int syslog_fd = -1;
static struct progress *progress;
static bool here, tunnels, sessions;
static int connection = -1; /* the service's */
static char session_id[16];
static char logged[4096]; /* in the last run */

#define EXPORTED __attribute__((visibility("default")))

/* --- memory --- */

#ifdef WATCHED
#define SWEPT_FOR_MEMORY 1 /* one says for all that it cannot be */
size_t __sanitizer_get_current_allocated_bytes(void);

static size_t allocated(void) {
	return __sanitizer_get_current_allocated_bytes();
}
#else
#define SWEPT_FOR_MEMORY SCENES
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

/* Counts blocks that are there, and allocations since the count was armed: that number `fails_at`, and those
 * behind it with `all_fail`, has no memory. */
static atomic_long blocks;
static bool armed, all_fail, has_failed;
static unsigned asked_for, fails_at;

static size_t allocated(void) {
	return (size_t)blocks;
}

static bool has_memory(void) {
	bool fails = armed && (all_fail ? asked_for >= fails_at : asked_for == fails_at);

	asked_for += armed;
	has_failed = has_failed || fails;
	if (fails)
		errno = ENOMEM;
	return !fails;
}

EXPORTED void *malloc(size_t size) {
	void *p = has_memory() ? __libc_malloc(size) : NULL;

	blocks += p != NULL;
	return p;
}

EXPORTED void *calloc(size_t nmemb, size_t size) {
	void *p = has_memory() ? __libc_calloc(nmemb, size) : NULL;

	blocks += p != NULL;
	return p;
}

EXPORTED void *realloc(void *ptr, size_t size) {
	void *p = has_memory() ? __libc_realloc(ptr, size) : NULL;

	blocks += p && !ptr;
	return p;
}

EXPORTED void free(void *ptr) {
	blocks -= ptr != NULL;
	__libc_free(ptr);
}
#endif

/* --- one run of a scene --- */

/* What the module is asked by, and what it answers. */
struct run {
	const struct scene *scene;
	pam_handle_t *pamh;
	int rc, left_errno;
};

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *ctx) {
	(void)messages, (void)ctx;
	*responses = calloc((size_t)n, sizeof **responses);
	return *responses ? PAM_SUCCESS : PAM_CONV_ERR;
}

static atomic_int modules_errno; /* what they left */

/* Linux-PAM tells the kernel's audit of it when the modules are done: here as if that had none. */
EXPORTED int audit_open(void) {
	modules_errno = errno;
	errno = EPROTONOSUPPORT;
	return -1;
}

static void call(void *ctx) {
	static int (*const phases[])(pam_handle_t *, int) = {
		[ACCOUNT] = pam_acct_mgmt,
		[AUTH] = pam_authenticate,
		[OPEN] = pam_open_session,
		[CLOSE] = pam_close_session,
	};
	struct run *run = ctx;

	modules_errno = 0;
	errno = KEPT_ERRNO;
	run->rc = phases[run->scene->phase](run->pamh, 0);
	run->left_errno = modules_errno ? modules_errno : errno;
}

/* The scene goes on: what else fails is worth knowing. */
static void complain(const struct scene *scene, const char *what) {
	const char *how = progress->fault > 0		   ? strerror(progress->fault)
			  : progress->fault == CALLS_SHORT ? "cut short"
							   : "nothing fails";

	if (++progress->complaints <= COMPLAINTS_MAX)
		printf("%s: %s (%s; call %u, of number %ld: %s)\n", scene->name, what, how, progress->at,
			progress->nr, logged);
}

/* The scene cannot go on. */
static void __attribute__((noreturn)) give_up(const struct scene *scene, const char *what) {
	complain(scene, what);
	fflush(stdout);
	_exit(1);
}

static pam_handle_t *begin_handle(const struct scene *scene) {
	static const struct pam_conv conv = {converse, NULL};
	const struct {
		int type;
		const char *value;
	} items[] = {{PAM_RHOST, scene->rhost}, {PAM_RUSER, scene->ruser}};
	pam_handle_t *pamh = NULL;

	if (pam_start_confdir(SERVICE, scene->user, &conv, SERVICES, &pamh) != PAM_SUCCESS)
		give_up(scene, "no handle");
	for (size_t i = 0; i < sizeof items / sizeof *items; i++)
		if (items[i].value)
			pam_set_item(pamh, items[i].type, items[i].value);
	if (scene->rhost && scene->from)
		pam_putenv(pamh, "SSH_CONNECTION=10.77.2.5 40000 10.77.1.1 22");
	if (scene->env)
		pam_putenv(pamh, scene->env);
	if (scene->phase == CLOSE && pam_open_session(pamh, 0) != PAM_SUCCESS)
		give_up(scene, "cannot be opened");
	return pamh;
}

/* What a process has: memory, descriptors, maps of the mesh, a record, an option of its connection. */
struct belongings {
	size_t allocated, descriptors, maps;
	bool record;
	int option;
};

static size_t count_descriptors(void) {
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static size_t count_maps(void) {
	static char text[1 << 18]; /* no memory that would count */
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t n = 0, count = 0;
	ssize_t got;

	while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	text[n] = 0;
	for (const char *at = text; (at = strstr(at, "/peers.cdb")); at++)
		count++;
	return count;
}

static int32_t find_record(void) {
	char name[64];

	snprintf(name, sizeof name, "session:%s", session_id);
	return (int32_t)keyctl_search(w.ring, "user", name, 0);
}

static struct belongings look(void) {
	struct belongings b = {allocated(), count_descriptors(), count_maps(), find_record() > 0, 0};
	socklen_t n = sizeof b.option;

	if (connection >= 0)
		getsockopt(connection, IPPROTO_IP, IP_PKTINFO, &b.option, &n);
	return b;
}

static void read_log(void) {
	size_t n = 0;
	ssize_t got;

	while (n < sizeof logged - 1 &&
		(got = recv(syslog_fd, logged + n, sizeof logged - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	logged[n] = 0;
}

/* Ends what call() began: the session, too, and the log, whose socket libc keeps. */
static void end_handle(struct run *run) {
	if (run->scene->phase == OPEN && run->rc == PAM_SUCCESS)
		pam_close_session(run->pamh, 0);
	pam_end(run->pamh, run->rc);
	run->pamh = NULL;
	closelog();
}

/* Where this module has no say, errno is the next one's. */
static void judge(const struct run *run, bool may_succeed) {
	const struct scene *scene = run->scene;

	if (run->rc == PAM_SUCCESS && (scene->expected != PAM_SUCCESS || !may_succeed))
		complain(scene, "success");
	if (scene->expected == IGNORED && run->rc != IGNORED)
		complain(scene, "the console is refused");
	if (scene->expected != IGNORED && run->rc == IGNORED)
		complain(scene, "a remote end is let pass");
	if (run->left_errno != KEPT_ERRNO && scene->expected != IGNORED)
		complain(scene, "errno is changed");
}

/* Every decision is logged, and a session without a record, too. */
static void judge_log(const struct run *run, bool log_fails) {
	const struct scene *scene = run->scene;
	const char *word = run->rc == PAM_SUCCESS ? "admitted" : "refused";

	if (log_fails)
		return;
	if (scene->expected != IGNORED && scene->phase != CLOSE && !strstr(logged, word))
		complain(scene, "the decision is not logged");
	if (scene->phase == OPEN && run->rc == PAM_SUCCESS && find_record() < 0 &&
		!strstr(logged, "no record"))
		complain(scene, "there is no record, and no word of that");
	if (scene->phase == CLOSE && find_record() > 0 && !strstr(logged, "record"))
		complain(scene, "the record stays, and no word of that");
}

static void expect_same(const struct scene *scene, const struct belongings *before) {
	struct belongings after = look();

	if (after.allocated != before->allocated && !scene->asks_libc)
		complain(scene, "memory is left");
	if (after.descriptors != before->descriptors)
		complain(scene, "a descriptor is left open");
	if (after.maps != before->maps)
		complain(scene, "a mapping is left");
	if (after.record != before->record)
		complain(scene, "a record is left, or lost");
	if (after.option != before->option)
		complain(scene, "the connection's option is changed");
}

/* --- system calls --- */

/* The file that a call names, or that its descriptor is of. */
static bool is_about(const struct seccomp_data *call, const char *file) {
	const bool named = call->nr == SYS_openat || call->nr == SYS_newfstatat;
	char link[32], name[PATH_MAX] = "";

	if (named && *(const char *)(uintptr_t)call->args[1])
		return strncmp((const char *)(uintptr_t)call->args[1], file, strlen(file)) == 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", (int)call->args[0]);
	return readlink(link, name, sizeof name - 1) > 0 && strstr(name, strrchr(file, '/'));
}

/* The socket that a call makes or uses, as far as it is known. */
static bool is_socket(const struct seccomp_data *call, int family, int type) {
	int is_family = (int)call->args[0], is_type = (int)call->args[1] & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	socklen_t n = sizeof is_type;

	return (call->nr == SYS_socket ||
		       (getsockopt((int)call->args[0], SOL_SOCKET, SO_TYPE, &is_type, &n) == 0 &&
			       getsockopt((int)call->args[0], SOL_SOCKET, SO_DOMAIN, &is_family, &n) ==
				       0)) &&
	       is_family == family && is_type == type;
}

/* The log's, and what glibc asks names of interfaces by. */
static bool is_datagrams(const struct seccomp_data *call) {
	return is_socket(call, AF_UNIX, SOCK_DGRAM);
}

#ifndef SYS_poll
#define SYS_poll SYS_ppoll
#endif

/* Calls without which a login is admitted all the same. */
static bool may_fail(void *ctx, const struct seccomp_data *call, int fault) {
	const struct scene *scene = ((struct run *)ctx)->scene;

	switch (call->nr) {
	case SYS_close: /* the module has had what it wanted from it */
	case SYS_munmap:
	case SYS_poll: /* whether there is something to read shows when it is read */
		return true;
	case SYS_ioctl: /* the interface's name, for the log only */
		return call->args[1] == SIOCGIFNAME;
	case SYS_getsockopt: /* who is not the service's connection */
	case SYS_getpeername:
		return (int)call->args[0] != connection;
	case SYS_keyctl: /* the session ends anyhow; a new record is in the ring, and not only there */
		return scene->phase == CLOSE || call->args[0] == KEYCTL_UNLINK;
	default:
		break;
	}
	/* the session's number is for its record; `session` reads it whole or refuses, but not how large it
	 * is nor in how many pieces it comes */
	if (is_about(call, "/proc/self/sessionid") || is_about(call, "/etc/localtime"))
		return scene->from || call->nr != SYS_openat;
	if (is_datagrams(call))
		return true;
	/* WireGuard is asked again when that was interrupted, at its socket when netlink does not know it,
	 * and its answer comes in any number of pieces */
	if (is_about(call, "/var/run/wireguard") || is_socket(call, AF_UNIX, SOCK_STREAM))
		return fault == EINTR ||
		       (call->nr == SYS_recvfrom && (fault == EAGAIN || fault == CALLS_SHORT));
	return is_socket(call, AF_NETLINK, SOCK_RAW) && (fault == EINTR || fault == ENOENT);
}

static const int faults[] = {EPERM, EIO, ENOMEM, EMFILE, EINTR, EAGAIN, ENOSYS, ENOENT, CALLS_SHORT};

/* What the module could not put back, or take away, as that was what failed. */
static void undo_failure(const struct seccomp_data *call) {
	const int off = 0;

	if (call->nr == SYS_setsockopt)
		setsockopt(connection, IPPROTO_IP, IP_PKTINFO, &off, sizeof off);
	if (call->nr == SYS_keyctl && call->args[0] == KEYCTL_REVOKE)
		keyctl_revoke((key_serial_t)call->args[1]);
}

static void sweep_calls(const struct scene *scene) {
	struct run run = {.scene = scene};
	struct belongings before;
	struct calls calls = {.work = call, .ctx = &run, .may_fail = may_fail};
	bool hit;

	if (!calls_begin(&calls))
		give_up(scene, strerror(calls.failure));
	for (int i = 0; i < 2; i++) { /* the first time, libraries keep what they need */
		run.pamh = begin_handle(scene);
		calls_run(&calls, 0, 0, false);
		if (run.rc != scene->expected)
			give_up(scene, pam_strerror(run.pamh, run.rc));
		end_handle(&run);
	}
	printf("%s: %u calls\n", scene->name, calls.made);
	before = look();
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		progress->at = 0;
		progress->fault = faults[i];
		do {
			run.pamh = begin_handle(scene);
			read_log();
			hit = calls_run(&calls, progress->at, faults[i], false);
			read_log();
			progress->nr = hit ? calls.hit.nr : -1;
			/* without a record sudo and su refuse */
			judge(&run, !hit || calls.forgiven || strstr(logged, "no record of session"));
			judge_log(&run, hit && calls.forgiven);
			end_handle(&run);
			if (hit)
				undo_failure(&calls.hit);
			expect_same(scene, &before);
			progress->at++;
		} while (calls.made >= progress->at);
	}
}

#ifndef WATCHED
/* --- memory that runs out --- */

/* One run in which an allocation fails, and with `all` every one behind it; -1: none does. Number 0 is
 * Linux-PAM's own, before it calls the module. */
static bool run_short_of_memory(struct run *run, int at, bool all) {
	run->pamh = begin_handle(run->scene);
	read_log();
	fails_at = (unsigned)at;
	all_fail = all;
	has_failed = false;
	asked_for = 0;
	armed = at >= 0;
	call(run);
	armed = false;
	read_log();
	judge(run, true);
	end_handle(run);
	return has_failed;
}

static void sweep_memory(const struct scene *scene) {
	struct run run = {.scene = scene};
	struct belongings before;

	for (int i = 0; i < 2; i++)
		run_short_of_memory(&run, -1, false);
	if (run.rc != scene->expected)
		give_up(scene, "goes wrong");
	before = look();
	for (int all = 0; all < 2; all++)
		for (progress->at = 1; run_short_of_memory(&run, (int)progress->at, all); progress->at++)
			expect_same(scene, &before);
	printf("%s: %u allocations\n", scene->name, progress->at);
}
#endif

/* --- scenes --- */

#define LOGIN .user = "alice", .rhost = "10.77.2.5", .from = "10.77.2.5"
#define CLEVER .options = "outside=ignore"

static const struct scene scenes[] = {
	{"admitted in account", ACCOUNT, PAM_SUCCESS, LOGIN},
	{"admitted in auth", AUTH, PAM_SUCCESS, LOGIN},
	{"admitted, a session opens", OPEN, PAM_SUCCESS, LOGIN, .options = "require_ssh_key",
		.env = "SSH_AUTH_INFO_0=publickey " SAMPLE_SSH_1},
	{"admitted, its session closes", CLOSE, PAM_SUCCESS, LOGIN},
	{"sudo in an admitted session", ACCOUNT, PAM_SUCCESS, .options = "session", .user = "root",
		.ruser = "alice", .session = true},
	{"console in account", ACCOUNT, IGNORED, .user = "alice"},
	{"console in auth", AUTH, IGNORED, .user = "alice"},
	{"console, a session opens", OPEN, IGNORED, .user = "alice"},
	{"no map", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER, .broken = "rm $MAP"},
	{"outside", ACCOUNT, PAM_PERM_DENIED, .user = "alice", .rhost = "192.0.2.2", .from = "192.0.2.2"},
	{"nobody's address", ACCOUNT, PAM_PERM_DENIED, .user = "alice", .rhost = "10.77.2.9", CLEVER},
	{"peer removed", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER, .broken = "wg set $IF peer $KEY remove"},
	{"routed, outside every mesh prefix", ACCOUNT, PAM_PERM_DENIED, .user = "alice",
		.rhost = "10.80.0.9", CLEVER},
	{"route beside the tunnel", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER,
		.broken = "ip route add 10.77.2.5/32 via 192.0.2.2"},
	{"route beside the tunnel, by a rule", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER,
		.broken = "ip route add default via 192.0.2.2 table 100\n"
			  "ip rule add from 10.77.1.1 lookup 100"},
	{"arrived beside the tunnel", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER,
		.far = "ip route replace 10.77.1.1/32 via 192.0.2.1"},
	{"key revoked", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER,
		.broken = "keyctl revoke $(keyctl search $RING user \"$KEY\")"},
	{"ring open to others", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER,
		.broken = "keyctl setperm $RING 0x3f3f0001"},
	{"card expired", ACCOUNT, PAM_PERM_DENIED, LOGIN, CLEVER, .expires = SAMPLE_EXPIRED},
	{"no address of the card", ACCOUNT, PAM_PERM_DENIED, .user = "alice", .rhost = "10.77.2.9", CLEVER,
		.broken = "wg set $IF peer $KEY allowed-ips 10.77.2.9"},
	{"another's account", ACCOUNT, PAM_PERM_DENIED, .user = "mallory", .rhost = "10.77.2.5",
		.from = "10.77.2.5", CLEVER},
	{"another SSH key", OPEN, PAM_SESSION_ERR, LOGIN, .options = "require_ssh_key",
		.env = "SSH_AUTH_INFO_0=publickey " SAMPLE_SSH_BOB},
	{"remote ends that disagree", ACCOUNT, PAM_PERM_DENIED, .user = "alice", .rhost = "10.77.2.6",
		.from = "10.77.2.5", CLEVER},
	{"sudo without a record", ACCOUNT, PAM_PERM_DENIED, .options = "session", .user = "root",
		.ruser = "alice"},
	{"sudo by another's record", ACCOUNT, PAM_PERM_DENIED, .options = "session", .user = "root",
		.ruser = "rsmith", .session = true},
	{"sudo of the real user", ACCOUNT, PAM_PERM_DENIED, .options = "session", .user = "root",
		.session = true, .asks_libc = true},
};
#define SCENES (sizeof scenes / sizeof *scenes)

static void write_service(const char *options) {
	static const char *const types[][2] = {{"auth", "auth=cred_unavail"},
		{"account", "acct=cred_unavail"},
		{"session", "open_session=cred_unavail close_session=cred_unavail"}};
	FILE *out = fopen(SERVICES "/" SERVICE, "w");

	assert_non_null(out);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		fprintf(out,
			"%s [success=done ignore=ignore default=die] %s root=" WORLD_ROOT " %s\n"
			"%s required pam_debug.so %s\n",
			types[i][0], module, options ? options : "", types[i][0], types[i][1]);
	assert_int_equal(fclose(out), 0);
}

static void run_script(int ns, const char *script) {
	if (script && !sandbox_run(ns, "IF=%s MAP=" WORLD_MAP " RING=%d KEY='%s'\n%s", w.interface, w.ring,
			      w.key, script))
		fail_msg("failed: %s", script);
}

/* The login whose session is asked for; its handle stays. */
static pam_handle_t *log_in(void) {
	static const struct scene login = {"the login before", OPEN, PAM_SUCCESS, LOGIN};
	pam_handle_t *pamh;

	write_service("");
	pamh = begin_handle(&login);
	assert_int_equal(pam_open_session(pamh, 0), PAM_SUCCESS);
	closelog();
	return pamh;
}

static void play(const struct scene *scene, void (*sweep)(const struct scene *)) {
	pam_handle_t *login = NULL;
	int status;
	pid_t child;

	*progress = (struct progress){.nr = -1};
	run_script(w.net.far, scene->far);
	if (scene->session)
		login = log_in();
	if (scene->from) {
		connection = sandbox_accept(w.net.far, AF_INET, scene->from,
			strcmp(scene->from, "192.0.2.2") == 0 ? "192.0.2.1" : "10.77.1.1");
		assert_return_code(connection, errno);
	}
	if (scene->expires) {
		w.sample.hosts[SAMPLE_DB1_B].expires = scene->expires;
		assert_true(world_sync(&w));
	}
	run_script(w.net.here, scene->broken);
	write_service(scene->options);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		alarm(PATIENCE);
		sweep(scene);
		if (login)
			pam_end(login, PAM_SUCCESS);
		fflush(stdout);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (login)
		pam_end(login, PAM_SUCCESS);
	if (WIFSIGNALED(status))
		fail_msg("%s: signal %d at call %u, failing by %d", scene->name, WTERMSIG(status),
			progress->at, progress->fault);
	assert_int_equal(status, 0);
	assert_int_equal(progress->complaints, 0);
}

static void need(bool there, const char *what) {
	if (there)
		return;
	printf("%s\n", what);
	skip();
}

static void need_world(const struct scene *scene) {
	need(here, "needs ip, and root or user namespaces for everybody");
	need(tunnels || scene->expected == IGNORED,
		"needs WireGuard: by the kernel, or wireguard-go and /dev/net/tun");
	need(sessions || (!scene->session && (scene->phase < OPEN || scene->expected != PAM_SUCCESS)),
		"needs audit sessions: root, and a kernel that has them");
}

static bool in_valgrind(void) {
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static void every_system_call(void **state) {
	const struct scene *scene = *state;

	need_world(scene);
	need(!in_valgrind(), "valgrind makes system calls of its own: done without it");
	play(scene, sweep_calls);
}

static void every_allocation(void **state) {
#ifdef WATCHED
	(void)state;
	printf("a sanitizer allocates here: done without it\n");
	skip();
#else
	const struct scene *scene = *state;

	need_world(scene);
	play(scene, sweep_memory);
#endif
}

/* Else what watches the memory of this program would not see what the module does with it. */
static void module_is_built_as_this_program(void **state) {
	struct span file = bytes_of_file(module);
	bool watched = memmem(file.p, file.n, "__asan_report", strlen("__asan_report"));

	(void)state;
	bytes_free(file);
#ifdef WATCHED
	assert_true(watched);
#else
	assert_false(watched);
#endif
}

static int set_up(void **state) {
	(void)state;
	if (here) {
		tunnels = world_make(&w);
		sessions = world_take_session(session_id);
	}
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	if (connection >= 0)
		close(connection);
	connection = -1;
	return here && !world_leave(&w);
}

int main(void) {
	static struct CMUnitTest tests[2 * SCENES + 1];
	static char names[2 * SCENES][128];
	size_t n = 0;

	if (!world_find_module(module))
		return 1;
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	here = sandbox_enter();
	if (here)
		syslog_fd = world_take_dev();
	here = here && syslog_fd >= 0 && mkdir(SERVICES, 0755) == 0;
	for (size_t i = 0; i < SCENES + SWEPT_FOR_MEMORY; i++) {
		const struct scene *scene = &scenes[i % SCENES];

		if (i >= SCENES && scene->asks_libc)
			continue;
		snprintf(names[n], sizeof names[n], "every %s fails: %s",
			i < SCENES ? "system call" : "allocation", scene->name);
		tests[n] = (struct CMUnitTest){names[n], i < SCENES ? every_system_call : every_allocation,
			set_up, tear_down, (void *)(uintptr_t)scene};
		n++;
	}
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(module_is_built_as_this_program);
	return _cmocka_run_group_tests("pam_verimesh", tests, n, NULL, NULL);
}
