/* test_nss_process.c: the NSS module in processes of every kind: what it takes from them, and leaves. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "nss_module.h"

#define ROOM "/var/lib/room" /* a root directory without anything in it */

/* Calls every entry point for what there is; how many of them end in this status. */
static int all_that_end_in(enum nss_status status) {
	static const struct call calls[] = {{NAME, DB1_B, AF_INET}, {NAME2, DB1_B, AF_INET6},
		{NAME3, DB1_B_ALIAS, AF_INET}, {NAME4, DB1_B, AF_UNSPEC}, {NAME4_FIRST, DB1_B, AF_UNSPEC},
		{ADDR, "10.77.2.5", AF_INET}, {ADDR2, "fd77:2::5", AF_INET6}};
	char buffer[BUFFER];
	gid_t list[1], *groups = list;
	long n = 1, size = 1;
	struct passwd pw;
	struct group gr;
	struct answer a;
	int error, ends = 0;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		ends += (calls[i].entry < ADDR ? call_by_name : call_by_addr)(
				&calls[i], buffer, BUFFER, &a) == status;
	module.setpwent(0);
	module.setgrent(0);
	ends += module.getpwnam(CAROL, &pw, buffer, BUFFER, &error) == status;
	ends += module.getpwuid(SAMPLE_GID + 2, &pw, buffer, BUFFER, &error) == status;
	ends += module.getpwent(&pw, buffer, BUFFER, &error) == status;
	ends += module.getgrnam("clinic-b", &gr, buffer, BUFFER, &error) == status;
	ends += module.getgrgid(SAMPLE_GID, &gr, buffer, BUFFER, &error) == status;
	ends += module.getgrent(&gr, buffer, BUFFER, &error) == status;
	ends += module.initgroups(CAROL, SAMPLE_GID, &n, &size, &groups, -1, &error) == status;
	module.endpwent();
	module.endgrent();
	return ends;
}

#define ENTRY_POINTS 14

static bool all_found(void) {
	return all_that_end_in(NSS_STATUS_SUCCESS) == ENTRY_POINTS;
}

static bool none_available(void) {
	return all_that_end_in(NSS_STATUS_UNAVAIL) == ENTRY_POINTS;
}

/* Runs a function in a child; it ends well if that returns true. */
static void assert_in_child(bool (*works)(void)) {
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		alarm(60);
		_exit(works() ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	build_map();
	assert_found();
}

/* As supersede, with what was open before. */
static bool mark(int fd) {
	return pwrite(fd, "\1", 1, MAP_SUPERSEDED) == 1;
}

static int open_map(void) {
	return open(PATH_MAP, O_WRONLY | O_CLOEXEC);
}

static void the_map_is_mapped_once(void **state) {
	size_t before = descriptors();

	(void)state;
	need_private_state();
	for (int i = 0; i < 100; i++) {
		if (i % 10 == 0)
			build_map();
		assert_true(all_found());
		assert_int_equal(mapped(false), 1);
		assert_int_equal(mapped(true), 0);
	}
	assert_int_equal(descriptors(), before);
}

/* Whatever is there now is answered, without anything that a process would have to do for it. */
static void a_new_map_is_seen_at_once(void **state) {
	(void)state;
	need_private_state();
	for (int i = 0; i < 10; i++) {
		sample.roster.nhosts = i % 2 ? SAMPLE_HOSTS : 1;
		sample.roster.naccounts = i % 2 ? SAMPLE_ACCOUNTS : 0;
		build_map();
		assert_int_equal(
			all_that_end_in(i % 2 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND), ENTRY_POINTS);
	}
}

/* A map that was marked and never replaced, because the writer died, is served, and not kept. */
static void a_marked_map_is_served(void **state) {
	(void)state;
	need_private_state();
	supersede();
	for (int i = 0; i < 3; i++)
		assert_true(all_found());
	assert_int_equal(mapped(false), 1);
	build_map();
	assert_found();
	assert_int_equal(mapped(true), 0);
}

/* The kernel kills a process in strict mode that calls anything but read, write and exit. */
static bool strict(void) {
	if (!all_found())
		return false;
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	for (int i = 0; i < 10; i++)
		if (!all_found())
			syscall(SYS_exit, 1);
	syscall(SYS_exit, 0);
	return false;
}

static void lookups_call_no_system(void **state) {
	(void)state;
	need_private_state();
	if (in_valgrind() || dlsym(RTLD_DEFAULT, "__tsan_init")) {
		printf("valgrind and ThreadSanitizer make system calls of their own\n");
		skip();
	}
	assert_in_child(strict);
}

static bool in_a_root_without_it(void) {
	int map = open_map();

	return all_found() && chroot(ROOM) == 0 && chdir("/") == 0 && all_found() && mark(map) &&
	       none_available() && none_available() && mapped(false) == 0;
}

static bool in_a_root_of_its_own(void) {
	return chroot(ROOM) == 0 && chdir("/") == 0 && all_found();
}

/* What was mapped before stays in use; what is behind the new root counts from then on. */
static void a_chroot_has_the_map_that_it_has(void **state) {
	char room_map[] = ROOM PATH_MAP;
	struct err err = {0};

	(void)state;
	need_private_state();
	assert_int_equal(mkdir(ROOM, 0755), 0);
	assert_int_equal(mkdir(ROOM "/proc", 0755), 0);
	assert_int_equal(mount("/proc", ROOM "/proc", "none", MS_BIND | MS_REC, NULL), 0);
	assert_in_child(in_a_root_without_it);
	assert_int_equal(mkdir(ROOM "/var", 0755), 0);
	assert_int_equal(mkdir(ROOM "/var/lib", 0755), 0);
	assert_int_equal(mkdir(ROOM PATH_STATE, 0755), 0);
	if (!map_build(&sample.roster, room_map, &err))
		fail_msg("%s", err.text);
	remove_map();
	assert_in_child(in_a_root_of_its_own);
	assert_int_equal(umount2(ROOM "/proc", MNT_DETACH), 0);
}

static bool without_descriptors(void) {
	supersede();
	if (syscall(SYS_close_range, 0U, ~0U, 0U) != 0 || !all_found())
		return false;
	for (int round = 0; round < 3; round++) {
		build_map();
		if (!all_found())
			return false;
		for (int fd = 0; fd < 100; fd++)
			if (fcntl(fd, F_GETFD) != -1)
				return false;
	}
	return true;
}

static void closed_descriptors_stay_closed(void **state) {
	(void)state;
	need_private_state();
	if (in_valgrind()) {
		printf("valgrind has descriptors of its own\n");
		skip();
	}
	assert_in_child(without_descriptors);
}

/* Sets a limit to a number; what it was before comes back with restore. */
static bool limit(__rlimit_resource_t resource, rlim_t number) {
	struct rlimit now;

	return getrlimit(resource, &now) == 0 &&
	       setrlimit(resource, &(struct rlimit){number, now.rlim_max}) == 0;
}

/* A map that is there goes on; another cannot be opened, until there is room again. */
static bool survives_limit(__rlimit_resource_t resource) {
	struct rlimit before;
	int map = open_map(), error;
	bool good;

	if (!all_found() || getrlimit(resource, &before) != 0 || !limit(resource, 0))
		return false;
	good = all_found() && mark(map);
	errno = OURS;
	good = good && none_available();
	error = errno;
	return setrlimit(resource, &before) == 0 && good && error == OURS && all_found() &&
	       mapped(false) == 1;
}

static bool survives_no_descriptors(void) {
	return survives_limit(RLIMIT_NOFILE);
}

static bool survives_no_memory(void) {
	return survives_limit(RLIMIT_AS);
}

static void no_descriptor_to_be_had_means_no_map(void **state) {
	(void)state;
	need_private_state();
	assert_in_child(survives_no_descriptors);
}

static void no_memory_to_be_had_means_no_map(void **state) {
	(void)state;
	need_private_state();
	if (in_valgrind() || in_sanitizer()) {
		printf("valgrind and the sanitizers need the memory themselves\n");
		skip();
	}
	assert_in_child(survives_no_memory);
}

/* glibc may close a module; this one stays, with what it has mapped. */
static void closing_it_changes_nothing(void **state) {
	void *so;

	(void)state;
	need_private_state();
	for (int i = 0; i < 5; i++) {
		so = open_module();
		assert_non_null(so);
		assert_true(all_found());
		assert_int_equal(dlclose(so), 0);
		assert_int_equal(dlclose(so), 0);
		assert_true(all_found());
		assert_int_equal(mapped(false), 1);
		assert_non_null(open_module());
	}
}

static volatile sig_atomic_t interruptions, wrong;

static void look_up_in_between(int signal) {
	(void)signal;
	interruptions++;
	wrong += !all_found();
}

/* A signal's handler that looks up in the middle of a lookup finds nothing locked. */
static bool interrupted(void) {
	const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};

	if (signal(SIGPROF, look_up_in_between) == SIG_ERR || setitimer(ITIMER_PROF, &often, NULL) != 0)
		return false;
	for (int i = 0; i < 2000 || interruptions < 20; i++) {
		if (i % 4 == 0)
			build_map();
		/* the handler changes the places in both lists */
		wrong += all_that_end_in(NSS_STATUS_SUCCESS) < ENTRY_POINTS - 2;
	}
	setitimer(ITIMER_PROF, &never, NULL);
	build_map();
	return wrong == 0 && all_found() && mapped(false) == 1 && mapped(true) == 0;
}

static void a_signal_in_between_waits_for_nothing(void **state) {
	(void)state;
	need_private_state();
	if (in_valgrind() || in_sanitizer()) {
		printf("valgrind and the sanitizers put signals off\n");
		skip();
	}
	assert_in_child(interrupted);
}

static bool has_memory_of_its_own(void) {
	return mapped(false) == 1 && all_found() && mapped(false) == 1 && (build_map(), all_found()) &&
	       mapped(false) == 1 && mapped(true) == 0;
}

static void a_child_goes_on_by_itself(void **state) {
	(void)state;
	need_private_state();
	assert_true(all_found());
	for (int i = 0; i < 5; i++)
		assert_in_child(has_memory_of_its_own);
	assert_int_equal(mapped(false), 1);
	assert_int_equal(mapped(true), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_is_mapped_once),
		cmocka_unit_test(a_new_map_is_seen_at_once),
		cmocka_unit_test(a_marked_map_is_served),
		cmocka_unit_test(lookups_call_no_system),
		cmocka_unit_test(a_chroot_has_the_map_that_it_has),
		cmocka_unit_test(closed_descriptors_stay_closed),
		cmocka_unit_test(no_descriptor_to_be_had_means_no_map),
		cmocka_unit_test(no_memory_to_be_had_means_no_map),
		cmocka_unit_test(closing_it_changes_nothing),
		cmocka_unit_test(a_signal_in_between_waits_for_nothing),
		cmocka_unit_test(a_child_goes_on_by_itself),
	};

	return cmocka_run_group_tests_name("nss process", tests, nss_set_up, NULL);
}
