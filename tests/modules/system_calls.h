/* system_calls.h: lets one system call of a function fail, whichever, and tells which it was. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TESTS_SYSTEM_CALLS_H
#define VERIMESH_TESTS_SYSTEM_CALLS_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

/*
 * The function runs in a thread, whose every system call the kernel holds (seccomp's user notification)
 * until this thread says what comes of it. The thread asks for work by a system call, too: that one that
 * no program here makes. Only what is called from libc counts: a sanitizer's own calls do not.
 */
#define CALLS_ASK_FOR_WORK SYS_getppid

/* What befalls the call, instead of an errno value. */
enum { CALLS_SHORT = -1 }; /* one byte only is read or written */

struct calls {
	void (*work)(void *ctx);
	void *ctx;
	/* asked of the call that is about to fail, while all is as it finds it */
	bool (*may_fail)(void *ctx, const struct seccomp_data *call, int fault);
	atomic_int listener; /* -1: not yet */
	int failure;	     /* an errno value: why there is no listener */
	uint64_t asked;	     /* the thread that waits for work, as the kernel calls it */
	uintptr_t libc, libc_end;
	/* of the last run */
	unsigned made;		 /* how many calls */
	struct seccomp_data hit; /* the one that failed */
	bool forgiven;		 /* what may_fail said of it */
};

static inline int calls_find_libc(struct dl_phdr_info *info, size_t size, void *data) {
	struct calls *c = data;

	(void)size;
	for (int i = 0; strstr(info->dlpi_name, "/libc.so") && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
			c->libc = info->dlpi_addr + p->p_vaddr;
			c->libc_end = c->libc + p->p_memsz;
		}
	}
	return 0;
}

static inline int calls_thread(void *data) {
	struct sock_filter hold = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	struct sock_fprog program = {1, &hold};
	struct calls *c = data;
	int listener = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		listener = (int)syscall(
			SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	c->failure = errno;
	atomic_store(&c->listener, listener < 0 ? -2 : listener);
	if (listener < 0)
		return 0;
	for (;;) {
		syscall(CALLS_ASK_FOR_WORK);
		c->work(c->ctx);
	}
}

static inline struct seccomp_notif calls_next(const struct calls *c) {
	struct seccomp_notif call;

	do
		memset(&call, 0, sizeof call);
	while (ioctl(c->listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0);
	return call;
}

static inline void calls_answer(const struct calls *c, uint64_t id, int64_t value, int error) {
	struct seccomp_notif_resp answer = {.id = id, .val = value, .error = -error};

	ioctl(c->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static inline void calls_let_pass(const struct calls *c, uint64_t id) {
	struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	ioctl(c->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Work, ctx and may_fail are set. The process has to end by _exit: the thread never does. False, and
 * c->failure, where it cannot be. */
static inline bool calls_begin(struct calls *c) {
	thrd_t thread;

	c->listener = -1;
	dl_iterate_phdr(calls_find_libc, c);
	if (thrd_create(&thread, calls_thread, c) != thrd_success)
		return false;
	while (atomic_load(&c->listener) == -1)
		usleep(100);
	if (c->listener < 0)
		return false;
	c->asked = calls_next(c).id;
	return true;
}

/* Whether the call can be cut short. */
static inline bool calls_moves_bytes(const struct seccomp_data *call) {
	return call->nr == SYS_read || call->nr == SYS_write || call->nr == SYS_sendto ||
	       call->nr == SYS_recvfrom || call->nr == SYS_recvmsg;
}

/* Not what has no way to fail; nor with what, of a directory, says that all is read. */
static inline bool calls_can_fail(const struct seccomp_data *call, int fault) {
	return call->nr != SYS_getuid && call->nr != SYS_getpid && call->nr != SYS_clock_gettime &&
	       (call->nr != SYS_getdents64 || fault != ENOENT) &&
	       (fault != CALLS_SHORT || calls_moves_bytes(call));
}

/* Does in this thread, which has the same memory and descriptors, what the call was to do with one byte. */
static inline int64_t calls_do_short(const struct seccomp_data *call) {
	const __u64 *a = call->args;
	struct msghdr message;
	struct iovec byte;
	int64_t value;

	if (call->nr == SYS_recvmsg) {
		memcpy(&message, (void *)(uintptr_t)a[1], sizeof message);
		byte = (struct iovec){message.msg_iov->iov_base, 1};
		message.msg_iov = &byte;
		value = recvmsg((int)a[0], &message, (int)a[2]);
		message.msg_iov = ((struct msghdr *)(uintptr_t)a[1])->msg_iov;
		memcpy((void *)(uintptr_t)a[1], &message, sizeof message);
		return value;
	}
	return syscall(call->nr, a[0], a[1], a[2] > 0 ? 1UL : 0UL, a[3], a[4], a[5]);
}

/* What gives something back has done so, whatever it answers. */
static inline void calls_fail(const struct calls *c, const struct seccomp_notif *call, int fault) {
	const struct seccomp_data *d = &call->data;
	int64_t value = 0;

	if (d->nr == SYS_close || d->nr == SYS_munmap)
		syscall(d->nr, d->args[0], d->args[1]);
	if (fault == CALLS_SHORT) {
		value = calls_do_short(d);
		fault = value < 0 ? errno : 0;
	}
	calls_answer(c, call->id, value, fault);
}

/* Does the work once. The call `at`, counted from 0, fails; with `all`, every one from it on. False when
 * there were not as many (nor, for CALLS_SHORT, one that could be cut). */
static inline bool calls_run(struct calls *c, unsigned at, int fault, bool all) {
	struct seccomp_notif call;
	bool hit = false, counts;

	c->made = 0;
	calls_let_pass(c, c->asked);
	while (call = calls_next(c), call.data.nr != CALLS_ASK_FOR_WORK) {
		counts = call.data.instruction_pointer >= c->libc &&
			 call.data.instruction_pointer < c->libc_end;
		if (counts && fault && (all ? c->made >= at : c->made == at) &&
			calls_can_fail(&call.data, fault)) {
			if (!hit) {
				c->hit = call.data;
				c->forgiven = c->may_fail(c->ctx, &call.data, fault);
			}
			hit = true;
			calls_fail(c, &call, fault);
		} else {
			calls_let_pass(c, call.id);
		}
		c->made += counts;
	}
	c->asked = call.id;
	return hit;
}

#endif
