/* test_nss_threads.c: threads and forked processes look up in the NSS module while the map is replaced. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "nss_module.h"

#define THREADS 8
#define MAPS 1000 /* one after the other; fewer where every access is watched */
#define MAPS_WATCHED 60
#define ANY UINT32_MAX /* an answer that does not say which map it is from */
#define V4 0x0a4d8000  /* 10.77.128.0: the address in the first map, and one more in each */
#define CHILDREN 8     /* at a time */
#define CHILD_ROUNDS 5 /* of each kind, of a forked process */

/* Shared with the forked processes: which map is in force, and that there will be no other. */
static struct {
	_Atomic uint32_t generation;
	atomic_bool done;
	atomic_size_t wrong, lookups;
} * plan;

/* A map of a generation says so in each of its answers. */
static void build_generation(uint32_t generation) {
	uint32_t v4 = htobe32(V4 + generation);

	sample.addrs[SAMPLE_DB1_B][1] = addr_from_bytes(AF_INET, &v4);
	sample.accounts[2].uid = SAMPLE_GID + 1000 + generation;
	sample.accounts[1].gid = sample.accounts[2].gid = SAMPLE_GID + generation;
	snprintf(sample.policy.shell, sizeof sample.policy.shell, "/bin/%u", generation);
	build_map();
	plan->generation = generation;
}

/* What a thread has seen; nothing that it sees later is older. */
struct seen {
	uint32_t generation;
	size_t wrong, lookups;
};

static void count(struct seen *seen, bool right, uint32_t generation, uint32_t at_least) {
	seen->lookups++;
	seen->wrong += !right || generation < at_least || generation < seen->generation;
	if (generation != ANY)
		seen->generation = generation;
}

static void see_host(struct seen *seen) {
	uint32_t at_least = plan->generation, v4 = 0;
	const struct gaih_addrtuple *t;
	struct addr derived = db1_addr(0);
	char buffer[BUFFER];
	struct answer a;
	bool right;

	right = call_by_name(&(struct call){NAME4, DB1_B, AF_UNSPEC}, buffer, sizeof buffer, &a) ==
			NSS_STATUS_SUCCESS &&
		memcmp(a.list->addr, derived.bytes, 16) == 0 && strcmp(a.list->name, DB1_B) == 0;
	for (t = right ? a.list : NULL; t && t->family != AF_INET; t = t->next)
		;
	if (t)
		memcpy(&v4, t->addr, sizeof v4);
	count(seen, right && t, be32toh(v4) - V4, at_least);
}

/* The derived address is there in every map; the other one of a map that was replaced is not. */
static void see_address(struct seen *seen) {
	uint32_t at_least = plan->generation, old = htobe32(V4 + at_least - 1);
	struct addr derived = db1_addr(0);
	struct hostent host;
	char buffer[BUFFER];
	int error, h_error;
	bool right;

	right = module.by_addr(&old, 4, AF_INET, &host, buffer, sizeof buffer, &error, &h_error) ==
			NSS_STATUS_NOTFOUND &&
		h_error == HOST_NOT_FOUND;
	right = module.by_addr(derived.bytes, 16, AF_INET6, &host, buffer, sizeof buffer, &error,
			&h_error) == NSS_STATUS_SUCCESS &&
		right && strcmp(host.h_name, DB1_B) == 0 && strcmp(host.h_aliases[0], DB1_B_ALIAS) == 0 &&
		memcmp(host.h_addr_list[0], derived.bytes, 16) == 0;
	count(seen, right, ANY, at_least);
}

static void see_user(struct seen *seen) {
	uint32_t at_least = plan->generation;
	struct passwd pw;
	char buffer[BUFFER], shell[32];
	int error;
	bool right = module.getpwnam(CAROL, &pw, buffer, sizeof buffer, &error) == NSS_STATUS_SUCCESS;

	if (right) {
		snprintf(shell, sizeof shell, "/bin/%u", pw.pw_gid - SAMPLE_GID);
		right = pw.pw_uid == pw.pw_gid + 1000 && strcmp(pw.pw_shell, shell) == 0 &&
			strcmp(pw.pw_name, CAROL) == 0;
	}
	count(seen, right, right ? pw.pw_gid - SAMPLE_GID : 0, at_least);
}

static void see_group(struct seen *seen) {
	uint32_t at_least = plan->generation;
	struct group gr;
	char buffer[BUFFER];
	int error;
	bool right = module.getgrnam("clinic-b", &gr, buffer, sizeof buffer, &error) == NSS_STATUS_SUCCESS &&
		     strcmp(gr.gr_name, "clinic-b") == 0 && !gr.gr_mem[0];

	count(seen, right, right ? gr.gr_gid - SAMPLE_GID : 0, at_least);
}

static void see_all(struct seen *seen) {
	see_host(seen);
	see_user(seen);
	see_group(seen);
	see_address(seen);
}

static void sum_up(const struct seen *seen) {
	plan->wrong += seen->wrong;
	plan->lookups += seen->lookups;
}

static void *thread_looks_up(void *none) {
	struct seen seen = {0};

	while (!plan->done)
		see_all(&seen);
	sum_up(&seen);
	return none;
}

/* In the child of a process with threads, of which some were in the module: nothing grows. */
static void child_looks_up(void) {
	size_t maps = mapped(false), files = descriptors();
	struct seen seen = {0};

	alarm(60);
	for (int i = 0; i < CHILD_ROUNDS; i++)
		see_all(&seen);
	sum_up(&seen);
	_exit(mapped(false) <= maps + 1 && descriptors() == files ? 0 : 1);
}

static void reap(pid_t child) {
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void threads_forks_and_a_writer(void **state) {
	uint32_t maps = in_valgrind() || in_sanitizer() ? MAPS_WATCHED : MAPS;
	pid_t children[CHILDREN] = {0};
	pthread_t threads[THREADS];
	size_t files;

	(void)state;
	need_private_state();
	files = descriptors();
	sample.allowed[0] = sample_prefix("10.77.0.0/16");
	build_generation(1);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_looks_up, NULL), 0);
	for (uint32_t i = 0; i < maps; i++) {
		if (children[i % CHILDREN])
			reap(children[i % CHILDREN]);
		children[i % CHILDREN] = fork();
		if (children[i % CHILDREN] == 0)
			child_looks_up();
		build_generation(2 + i);
	}
	for (size_t i = 0; i < CHILDREN; i++)
		reap(children[i]);
	plan->done = true;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	print_message("%zu lookups\n", plan->lookups);
	assert_int_equal(plan->wrong, 0);
	assert_true(plan->lookups >= (size_t)maps * CHILD_ROUNDS * 4);
	restore_map();
	assert_found();
	assert_int_equal(mapped(false), 1);
	assert_int_equal(mapped(true), 0);
	assert_int_equal(descriptors(), files);
}

/* ---- cancelled threads ---- */

static void *look_until_cancelled(void *always) {
	char buffer[BUFFER];
	struct answer a;

	while (always) {
		call_by_name(&(struct call){NAME4, DB1_B, AF_UNSPEC}, buffer, sizeof buffer, &a);
		pthread_testcancel();
	}
	return NULL;
}

/* As POSIX has it for what is no more than a cancellation point: deferred. */
static void nothing_is_left_by_cancelled_threads(void **state) {
	pthread_t thread;
	size_t before;

	(void)state;
	need_private_state();
	if (dlsym(RTLD_DEFAULT, "__asan_init")) {
		printf("AddressSanitizer does not survive pthread_cancel\n");
		skip();
	}
	before = descriptors();
	for (int i = 0; i < 200; i++) {
		assert_int_equal(pthread_create(&thread, NULL, look_until_cancelled, &module), 0);
		if (i % 10 == 0)
			build_map();
		usleep((useconds_t)(i * 5));
		assert_int_equal(pthread_cancel(thread), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	assert_int_equal(descriptors(), before);
	build_map();
	assert_found();
	assert_int_equal(mapped(false), 1);
	assert_int_equal(mapped(true), 0);
}

/* Is to be cancelled before it looks up, and is so behind that: what the lookup opens, it closes. */
static void *look_up_cancelled(void *ended) {
	char buffer[BUFFER];
	struct answer a;

	pthread_cancel(pthread_self());
	a.status = call_by_name(&(struct call){NAME4, DB1_B, AF_UNSPEC}, buffer, sizeof buffer, &a);
	*(atomic_bool *)ended = a.status == NSS_STATUS_SUCCESS;
	pthread_testcancel();
	return NULL;
}

static void a_lookup_is_no_cancellation_point(void **state) {
	size_t before = descriptors();
	pthread_t thread;
	void *result;

	(void)state;
	need_private_state();
	if (dlsym(RTLD_DEFAULT, "__asan_init")) {
		printf("AddressSanitizer does not survive pthread_cancel\n");
		skip();
	}
	for (int i = 0; i < 10; i++) {
		atomic_bool ended = false;

		if (i % 2 == 0)
			build_map();
		assert_int_equal(pthread_create(&thread, NULL, look_up_cancelled, &ended), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_ptr_equal(result, PTHREAD_CANCELED);
		assert_true(ended);
		assert_int_equal(mapped(false), 1);
		assert_int_equal(mapped(true), 0);
	}
	assert_int_equal(descriptors(), before);
}

static int set_up(void **state) {
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return plan == MAP_FAILED ? -1 : nss_set_up(state);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_forks_and_a_writer),
		cmocka_unit_test(nothing_is_left_by_cancelled_threads),
		cmocka_unit_test(a_lookup_is_no_cancellation_point),
	};

	return cmocka_run_group_tests_name("nss threads", tests, set_up, NULL);
}
