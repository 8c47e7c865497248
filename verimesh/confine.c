/* confine.c: gives up rights, and writes for who has none; see confine.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <keyutils.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cesr.h"
#include "confine.h"
#include "paths.h"

#define ACCOUNT "_verimesh"
#define NOBODY 65534
#define PUT_MAX ((size_t)1 << 30) /* bytes of a file */
#define PATIENCE (15 * 60 * 1000) /* milliseconds */
#define CONFINE_FAILED 126	  /* exit status, which no verb has */

/* ---- without rights ---- */

/* By the file alone: who reads a stream must not wait for a directory service. */
static void find_account(uid_t *uid, gid_t *gid) {
	FILE *in = fopen("/etc/passwd", "re");
	const struct passwd *account;

	*uid = *gid = NOBODY;
	while (in && (account = fgetpwent(in)))
		if (strcmp(account->pw_name, ACCOUNT) == 0 && account->pw_uid) {
			*uid = account->pw_uid;
			*gid = account->pw_gid;
		}
	if (in)
		fclose(in);
}

static bool leave_root(void) {
	uid_t uid;
	gid_t gid;

	find_account(&uid, &gid);
	for (int i = 0; prctl(PR_CAPBSET_DROP, i) == 0; i++)
		continue;
	if (setresgid(gid, gid, gid) != 0)
		return errno ==
		       EINVAL; /* a user namespace without it, whose root is somebody without rights */
	return setgroups(0, NULL) == 0 && setresuid(uid, uid, uid) == 0;
}

static bool drop_capabilities(void) {
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capset, &head, none) == 0;
}

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCH AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

/* What reading, memory, threads and the end of them need. */
static const unsigned short calls[] = {SYS_read, SYS_pread64, SYS_write, SYS_writev, SYS_lseek, SYS_close,
	SYS_fstat, SYS_newfstatat, SYS_statx, SYS_getdents64, SYS_faccessat,
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
	SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_set_robust_list,
	SYS_rseq, SYS_sched_getaffinity, SYS_sched_yield, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_sigaltstack, SYS_clock_gettime, SYS_getrandom, SYS_restart_syscall, SYS_exit,
	SYS_exit_group};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

#define ALLOW SECCOMP_RET_ALLOW
#define DENY (SECCOMP_RET_ERRNO | EPERM)

/* The calls of the list get one answer, all others the other. On other machines than those named there is no
 * filter: there the account alone must do. */
static bool filter_calls(const struct sock_filter *start, size_t nstart, const unsigned short *list,
	size_t n, uint32_t listed, uint32_t others) {
#ifdef ARCH
	const struct sock_filter head[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
	};
	struct sock_filter code[256];
	struct sock_fprog program = {.filter = code};
	size_t at = sizeof head / sizeof head[0];

	memcpy(code, head, sizeof head);
	if (nstart)
		memcpy(code + at, start, nstart * sizeof *start);
	at += nstart;
	for (size_t i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)UNLESS(list[i], 1);
		code[at++] = (struct sock_filter)RETURN(listed);
	}
	code[at++] = (struct sock_filter)RETURN(others);
	program.len = (unsigned short)at;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
	return true;
#endif
}

static bool filter_reader(void) {
	static const struct sock_filter start[] = {
		/* only a thread; the C library starts one by clone where there is no clone3, whose flags
		 * cannot be looked at */
		UNLESS(SYS_clone3, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		UNLESS(SYS_clone, 4),
		LOAD(args[0]), /* its low half, as all these machines are little-endian */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
		RETURN(ALLOW),
		RETURN(DENY),
		/* only to read: an ordinary user, and root of a small user namespace, has files */
		UNLESS(SYS_openat, 4),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 1),
		RETURN(DENY),
		RETURN(ALLOW),
		/* what readdir asks, and nothing that others would see */
		UNLESS(SYS_fcntl, 4),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, F_GETFL, 0, 1),
		RETURN(DENY),
		RETURN(ALLOW),
	};

	return filter_calls(
		start, sizeof start / sizeof start[0], calls, sizeof calls / sizeof calls[0], ALLOW, DENY);
}

/* What no resolver and no TLS library needs. */
static bool filter_client(void) {
	static const unsigned short denied[] = {SYS_keyctl, SYS_add_key, SYS_request_key, SYS_ptrace,
		SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kill, SYS_tkill,
		SYS_tgkill, SYS_execve, SYS_execveat, SYS_bpf, SYS_userfaultfd, SYS_io_uring_setup,
		SYS_perf_event_open, SYS_unshare, SYS_setns, SYS_mount};

	return filter_calls(NULL, 0, denied, sizeof denied / sizeof denied[0], DENY, ALLOW);
}

/* Fork leaves everything open. */
static bool close_others(const int *keep, size_t n) {
	unsigned from = STDERR_FILENO + 1, next;

	for (bool good = true;; from = next + 1) {
		next = UINT_MAX;
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			good = close_range(from, next - 1, 0) == 0;
		if (!good || next == UINT_MAX)
			return good;
	}
}

/* No terminal whose keys it could press, no input, and no session's keyring, which gives who has it rights.
 */
static bool leave_session(void) {
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO;

	if (fd > STDIN_FILENO)
		close(fd);
	setsid();
	/* where that cannot be, or a quota is full, the filter still keeps it from all keyrings */
	return good && (keyctl_join_session_keyring(NULL) >= 0 || errno == ENOSYS || errno == EPERM ||
			       errno == EDQUOT);
}

bool confine(enum confinement kind, pid_t parent, const int *keep, size_t n, struct err *err) {
	bool good = leave_session() && close_others(keep, n) && (geteuid() != 0 || leave_root()) &&
		    drop_capabilities();

	/* a change of name forgets both of these */
	good = good && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && getppid() == parent &&
	       (kind == CONFINE_READER ? filter_reader() : filter_client());
	return good ||
	       err_set(err, ERR_ENV, "cannot give up rights: %m; it needs CAP_SETUID and CAP_SETGID");
}

/* ---- writing for who has none ---- */

struct request {
	char name[64];
	uint64_t n; /* bytes that follow; UINT64_MAX: the file is to go */
};

/* file_dir's put, in the child. */
static bool ask(void *ctx, const char *name, struct span data, mode_t mode, struct err *err) {
	struct request request = {.n = data.p ? data.n : UINT64_MAX};
	struct err answer = {.text = "the process that writes is gone"};
	const int *fd = ctx;

	(void)mode; /* all have the same */
	snprintf(request.name, sizeof request.name, "%s", name);
	if (!file_send(*fd, &request, sizeof request) || !file_send(*fd, data.p, data.n) ||
		!file_receive(*fd, &answer, sizeof answer))
		answer.status = ERR_ENV;
	return !answer.status || err_set(err, answer.status, "%s", answer.text);
}

/* "ledger", "verified", "kel/AID.cesr" and "kel/AID.duplicity". */
static bool is_stores(const char *name) {
	struct span rest = span_str(name), aid;

	if (strcmp(name, NAME_LEDGER) == 0 || strcmp(name, NAME_VERIFIED) == 0)
		return true;
	aid = span_cut(rest, strlen(NAME_STORE "/"), CESR_CHARS);
	rest = span_from(rest, strlen(NAME_STORE "/") + CESR_CHARS);
	return span_starts(span_str(name), NAME_STORE "/") && cesr_is_aid(aid) &&
	       (span_is(rest, SUFFIX_LOG) || span_is(rest, SUFFIX_EVIDENCE));
}

/* False when the other end is to be left. */
static bool answer(int fd, const struct file_dir *state) {
	struct pollfd request_comes = {.fd = fd, .events = POLLIN};
	struct request request;
	struct err result = {0};
	uint8_t *data = NULL;
	bool good;

	if (poll(&request_comes, 1, PATIENCE) <= 0 || !state || !file_receive(fd, &request, sizeof request))
		return false;
	request.name[sizeof request.name - 1] = 0;
	good = is_stores(request.name) &&
	       (request.n <= PUT_MAX || (request.n == UINT64_MAX && strstr(request.name, SUFFIX_EVIDENCE)));
	if (good && request.n != UINT64_MAX) {
		data = malloc(request.n + 1);
		good = data && file_receive(fd, data, request.n);
	}
	if (good) {
		file_dir_put(state, request.name, span_of(data, data ? request.n : 0), 0644, &result);
		good = send(fd, &result, sizeof result, MSG_NOSIGNAL) == sizeof result;
	}
	free(data);
	return good;
}

/* What the child came to. */
static int end_of(pid_t pid, struct err *err) {
	pid_t ended;
	int status;

	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (ended == pid && WIFEXITED(status) && WEXITSTATUS(status) != CONFINE_FAILED)
		return WEXITSTATUS(status);
	if (ended == pid && WIFEXITED(status))
		err_set(err, ERR_ENV,
			"the process that reads cannot give up its rights; it needs CAP_SETUID and "
			"CAP_SETGID");
	else if (ended == pid)
		err_set(err, ERR_ENV, "the process that read it died: %s", strsignal(WTERMSIG(status)));
	else
		err_set(err, ERR_ENV, "the process that read it is lost: %m");
	return -1;
}

/* What a child is given. */
struct task {
	struct file_dir *state;
	int channel, out;
	pid_t parent;
	int (*work)(void *ctx);
	void *ctx;
};

static _Noreturn void be_child(const struct task *task) {
	int channel = task->channel, status = ERR_ENV;
	const int keep[] = {channel, task->out, task->state ? task->state->fd : -1};
	const struct rlimit time = {PATIENCE / 1000, PATIENCE / 1000};
	struct err err;

	if (task->state) {
		task->state->put = ask;
		task->state->ctx = &channel;
	}
	if (setrlimit(RLIMIT_CPU, &time) != 0 ||
		!confine(CONFINE_READER, task->parent, keep, sizeof keep / sizeof keep[0], &err))
		_exit(CONFINE_FAILED);
	status = task->work(task->ctx);
	(void)fflush(NULL);
	_exit(status);
}

int confined(struct file_dir *state, int out, int (*work)(void *ctx), void *ctx, struct err *err) {
	const struct timeval patience = {.tv_sec = PATIENCE / 1000};
	struct task task = {state, -1, out, getpid(), work, ctx};
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		err_set(err, ERR_ENV, "socketpair: %m");
		return -1;
	}
	task.channel = ends[1];
	/* nor may it keep us waiting in the middle of a request */
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_child(&task);
	if (pid < 0)
		err_set(err, ERR_ENV, "fork: %m");
	close(ends[1]);
	while (pid > 0 && answer(ends[0], state))
		continue;
	close(ends[0]);
	if (pid > 0)
		kill(pid, SIGKILL); /* it has ended, or is to */
	return pid < 0 ? -1 : end_of(pid, err);
}
