/* test_confine.c: who reads a stream has no rights, and who writes for him writes nothing but the store. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "../../verimesh/confine.c"

#define AID "EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2"
#define FILES 3 /* that the directory has: kel, identity, identity/next */

/* The state directory, and one for every user beside it. */
static char dir[] = "/tmp/verimesh-test-XXXXXX";
static struct file_dir state;

static const char *in(const char *name) {
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void put_file(const char *name, const char *text) {
	FILE *out = fopen(in(name), "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static int make_dir(void **unused) {
	struct err err;

	(void)unused;
	if (!mkdtemp(dir) || mkdir(in("kel"), 0755) != 0 || mkdir(in("identity"), 0777) != 0 ||
		chmod(in("identity"), 0777) != 0 || chmod(dir, 0755) != 0)
		return -1;
	put_file("identity/next", "secret");
	return file_dir_open(&state, dir, "", &err) ? 0 : -1;
}

static int remove_dir(void **unused) {
	char command[PATH_MAX + 16];

	(void)unused;
	file_dir_close(&state);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command); /* NOLINT(cert-env33-c): of our own name */
}

static int count_files(const char *path) {
	char below[PATH_MAX];
	struct dirent *entry;
	DIR *d = opendir(path);
	int n = 0;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.') {
			snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
			n += 1 + (entry->d_type == DT_DIR ? count_files(below) : 0);
		}
	if (d)
		closedir(d);
	return n;
}

static bool has_text(const char *name, const char *text) {
	uint8_t *data;
	struct err err;
	bool same;
	size_t n;

	if (!file_read(in(name), 1000, &data, &n, &err))
		return false;
	same = strcmp((char *)data, text) == 0;
	free(data);
	return same;
}

/* A case that cannot run: valgrind makes calls of its own, which a reader is refused. */
static bool is_possible(void) {
	const char *preload = getenv("LD_PRELOAD");

	if (preload && strstr(preload, "vgpreload")) {
		printf("valgrind makes system calls of its own\n");
		return false;
	}
	return true;
}

/* ---- rights ---- */

/* What /proc says of this process, on the line that starts so. */
static bool status_is(const char *name, const char *wanted) {
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		found = strncmp(line, name, strlen(name)) == 0 && strcmp(line + strlen(name), wanted) == 0;
	}
	if (file)
		fclose(file);
	if (!found)
		fprintf(stderr, "not %s%s\n", name, wanted);
	return found;
}

static int look_at_itself(void *ctx) {
	const char *none = "\t0000000000000000", *nobody = "\t65534\t65534\t65534\t65534";
	bool good = status_is("CapEff:", none) && status_is("CapPrm:", none) && status_is("CapInh:", none) &&
		    status_is("CapAmb:", none) && status_is("NoNewPrivs:", "\t1") &&
		    status_is("Seccomp:", "\t2");

	if (*(const bool *)ctx)
		good = good && status_is("CapBnd:", none) && status_is("Uid:", nobody) &&
		       status_is("Gid:", nobody) && status_is("Groups:", "\t ");
	return good ? 0 : 1;
}

/* Not of a user namespace that has nobody else. */
static bool is_root(void) {
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned long first, outside, n = 0;
	bool found = map && fscanf(map, "%lu %lu %lu", &first, &outside, &n) == 3;

	if (map)
		fclose(map);
	return geteuid() == 0 && found && n > NOBODY;
}

static void a_reader_has_no_rights(void **unused) {
	bool root = is_root() && getpwnam(ACCOUNT) == NULL;
	struct err err = {0};

	(void)unused;
	if (!is_possible())
		skip();
	assert_int_equal(confined(&state, -1, look_at_itself, &root, &err), 0);
}

/* The number on a line of /proc/self/status. */
static int status_number(const char *name) {
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");
	int number = -1;

	while (file && number < 0 && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			number = atoi(line + strlen(name));
	if (file)
		fclose(file);
	return number;
}

static int look_at_what_it_holds(void *ctx) {
	char byte;
	DIR *fds = opendir("/proc/self/fd");
	int n = 0;

	while (fds && readdir(fds))
		n++;
	if (fds)
		closedir(fds);
	if (n != *(const int *)ctx || read(STDIN_FILENO, &byte, 1) != 0)
		return 1;
	return status_number("NSsid:") == status_number("NSpid:") ? 0 : 2;
}

/* Neither a descriptor of who called, nor his input, his terminal's session, his keyrings. */
static void a_reader_holds_nothing_of_others(void **unused) {
	int lock = open(in("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), pair[2];
	int n = 2 + 3 + 2 +
		1; /* . and .., the standard streams, the channel and the state, the list itself */
	struct err err = {0};

	(void)unused;
	assert_return_code(lock, errno);
	assert_return_code(pipe2(pair, O_CLOEXEC), errno);
	if (!is_possible())
		skip();
	assert_int_equal(confined(&state, -1, look_at_what_it_holds, &n, &err), 0);
	n++;
	assert_int_equal(confined(&state, pair[1], look_at_what_it_holds, &n, &err), 0);
	n -= 2;
	assert_int_equal(confined(NULL, -1, look_at_what_it_holds, &n, &err), 0);
	close(lock);
	close(pair[0]);
	close(pair[1]);
	unlink(in("lock"));
}

static int search_root_keyring(void *ctx) {
	long id = 0;
	struct err err;
	pid_t parent = *(const pid_t *)ctx;

	if (!confine(CONFINE_CLIENT, parent, NULL, 0, &err))
		return 1;
	id = keyctl_search(KEY_SPEC_SESSION_KEYRING, "user", "verimesh-test", 0);
	if (id >= 0 || errno != EPERM)
		return 2;
	return syscall(SYS_add_key, "user", "verimesh-test-2", "x", 1, KEY_SPEC_SESSION_KEYRING) >= 0 ? 3
												      : 0;
}

/* Who asks Sources is no possessor of what root's session possesses. */
static void a_client_has_no_keys(void **unused) {
	pid_t parent = getpid(), child = fork();
	int status;

	(void)unused;
	if (child == 0)
		_exit(search_root_keyring(&parent));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A request on whatever it holds. */
static int put_somewhere(void *ctx) {
	const struct request request = {.name = "ledger", .n = 4};
	bool sent = false;

	(void)ctx;
	for (int fd = 3; fd < 64; fd++)
		sent = (file_send(fd, &request, sizeof request) && file_send(fd, "text", 4)) || sent;
	return sent ? 0 : 1;
}

static void without_a_directory_nothing_is_written(void **unused) {
	struct err err = {0};

	(void)unused;
	state.put = NULL;
	if (!is_possible())
		skip();
	(void)confined(NULL, state.fd, put_somewhere, NULL, &err);
	assert_int_equal(count_files(dir), FILES);
	/* with one it is */
	(void)confined(&state, -1, put_somewhere, NULL, &err);
	state.put = NULL;
	assert_true(has_text("ledger", "text"));
	assert_int_equal(unlink(in("ledger")), 0);
}

static bool is_refused(long result) {
	return result == -1 && errno == EPERM;
}

static int call_what_it_must_not(void *ctx) {
	const char *name = in("identity/next");
	char *const argv[] = {"true", NULL};

	(void)ctx;
	if (!is_refused(open(name, O_WRONLY | O_CLOEXEC)) || !is_refused(open(name, O_RDWR | O_CLOEXEC)) ||
		!is_refused(open(in("identity/new"), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)) ||
		!is_refused(open(name, O_RDONLY | O_TRUNC | O_CLOEXEC)) ||
		!is_refused(open(in("identity"), O_RDWR | O_TMPFILE | O_CLOEXEC, 0644)))
		return 1;
	if (!is_refused(unlink(name)) || !is_refused(rename(name, in("identity/other"))) ||
		!is_refused(chmod(name, 0666)) || !is_refused(truncate(name, 0)))
		return 2;
	if (!is_refused(socket(AF_INET, SOCK_STREAM, 0)) || !is_refused(fork()) ||
		!is_refused(execv("/bin/true", argv)) || !is_refused(kill(getppid(), 0)))
		return 3;
	return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0;
}

static void a_reader_can_only_read(void **unused) {
	struct err err = {0};

	(void)unused;
	if (!is_possible())
		skip();
	assert_int_equal(chmod(in("identity/next"), 0666), 0);
	assert_int_equal(confined(&state, -1, call_what_it_must_not, NULL, &err), 0);
	assert_true(has_text("identity/next", "secret"));
	assert_int_equal(count_files(dir), FILES);
}

/* ---- what is written for it ---- */

static int put(void *ctx) {
	struct err err;

	return state.put(state.ctx, ctx, span_str("text"), 0644, &err) ? 0 : 1;
}

static int take_away(void *ctx) {
	struct err err;

	return state.put(state.ctx, ctx, span_of(NULL, 0), 0644, &err) ? 0 : 1;
}

static void the_files_of_the_store_are_written(void **unused) {
	const char *const names[] = {"ledger", "verified", "kel/" AID ".cesr", "kel/" AID ".duplicity"};
	struct err err = {0};
	struct stat st;
	bool settled;

	(void)unused;
	if (!is_possible())
		skip();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(confined(&state, -1, put, (void *)(uintptr_t)names[i], &err), 0);
		state.put = NULL;
		assert_true(has_text(names[i], "text"));
		assert_int_equal(stat(in(names[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0644);
		/* only what showed two versions goes, when it is settled */
		settled = strstr(names[i], SUFFIX_EVIDENCE);
		assert_int_equal(
			confined(&state, -1, take_away, (void *)(uintptr_t)names[i], &err) == 0, settled);
		state.put = NULL;
		assert_int_equal(access(in(names[i]), F_OK) != 0, settled);
		assert_true(settled || unlink(in(names[i])) == 0);
	}
	assert_int_equal(count_files(dir), FILES);
}

static void no_other_file_is(void **unused) {
	const char *const names[] = {"", ".", "/", "peers.cdb", "lock", "ledger/", "ledger2", "./ledger",
		"../ledger", "verified.new", "identity/next", "/etc/passwd", "kel", "kel/", "kel/.cesr",
		"kel/../x.cesr", "kel/x.cesr", "kel/" AID, "kel/" AID ".new", "kel/" AID ".cesr/",
		"kel/" AID ".cesr.new", "kel/../" AID ".cesr", "kel/" AID AID ".cesr", "KEL/" AID ".cesr",
		"kel/../../../../../../../../../../tmp/verimesh.cesr",
		"kel/EDP1vHcw_wc4M__Fj53-cJaBnZZASd/aMTaSyWEQ-PC2.cesr"};
	struct err err = {0};

	(void)unused;
	if (!is_possible())
		skip();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_not_equal(confined(&state, -1, put, (void *)(uintptr_t)names[i], &err), 0);
		assert_int_not_equal(confined(&state, -1, take_away, (void *)(uintptr_t)names[i], &err), 0);
		assert_true(has_text("identity/next", "secret"));
		assert_int_equal(count_files(dir), FILES);
	}
}

/* What a reader sends that is not itself any more. */
static int send_raw(void *ctx) {
	const int *fd = state.ctx;
	const struct span *bytes = ctx;

	return file_send(*fd, bytes->p, bytes->n) ? 0 : 1;
}

static void requests_that_lie_change_nothing(void **unused) {
	struct request request = {.name = "ledger", .n = PUT_MAX + 1};
	struct span bytes = span_of((const uint8_t *)&request, sizeof request);
	struct err err = {0};

	(void)unused;
	if (!is_possible())
		skip();
	(void)confined(&state, -1, send_raw, &bytes, &err);
	request.n = UINT64_MAX - 1;
	(void)confined(&state, -1, send_raw, &bytes, &err);
	request.n = 1000; /* and ends before */
	(void)confined(&state, -1, send_raw, &bytes, &err);
	bytes.n -= 1;
	(void)confined(&state, -1, send_raw, &bytes, &err);
	memset(request.name, 'x', sizeof request.name);
	bytes.n += 1;
	(void)confined(&state, -1, send_raw, &bytes, &err);
	assert_int_equal(count_files(dir), FILES);
}

/* ---- how it ends ---- */

static int give(void *ctx) {
	return *(const int *)ctx;
}

static int crash(void *ctx) {
	(void)ctx;
	signal(SIGILL, SIG_DFL); /* cmocka's */
	__builtin_trap();
}

static void how_it_ended_is_told(void **unused) {
	int status = 42;
	struct err err = {0};

	(void)unused;
	if (!is_possible())
		skip();
	assert_int_equal(confined(&state, -1, give, &status, &err), 42);
	assert_string_equal(err.text, "");
	assert_int_equal(confined(&state, -1, crash, NULL, &err), -1);
	assert_memory_equal(err.text, "the process that read it died: ", 31);
	assert_int_equal(err.status, ERR_ENV);
}

static int wait_for_ever(void *ctx) {
	char byte;

	while (read(*(const int *)ctx, &byte, 1) >= 0)
		continue;
	return 0;
}

/* The other end of a pipe that only the processes have is closed when the last of them is gone. */
static void it_ends_with_its_parent(void **unused) {
	int held[2], never[2], status;
	struct err err;
	pid_t parent;
	char byte;

	(void)unused;
	assert_int_equal(pipe2(held, O_CLOEXEC), 0);
	assert_int_equal(pipe2(never, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		close(held[0]);
		confined(&state, -1, wait_for_ever, &never[0], &err);
		_exit(0);
	}
	close(held[1]);
	usleep(200000);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(read(held[0], &byte, 1), 0);
	close(held[0]);
	close(never[0]);
	close(never[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_has_no_rights),
		cmocka_unit_test(a_reader_holds_nothing_of_others),
		cmocka_unit_test(a_client_has_no_keys),
		cmocka_unit_test(without_a_directory_nothing_is_written),
		cmocka_unit_test(a_reader_can_only_read),
		cmocka_unit_test(the_files_of_the_store_are_written),
		cmocka_unit_test(no_other_file_is),
		cmocka_unit_test(requests_that_lie_change_nothing),
		cmocka_unit_test(how_it_ended_is_told),
		cmocka_unit_test(it_ends_with_its_parent),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
