/* test_file.c: files are read whole, and replaced or grown without a moment in between. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "file.h"

#define PATH 128
#define LARGE 300000

static char dir[] = "/tmp/verimesh-test-XXXXXX";

static int make_dir(void **state) {
	(void)state;
	umask(077);
	return mkdtemp(dir) ? 0 : -1;
}

/* Path of a name in the test's directory. */
static const char *in(const char *name, char out[static PATH]) {
	snprintf(out, PATH, "%s/%s", dir, name);
	return out;
}

static void remove_all(const char *path) {
	DIR *d = opendir(path);
	struct dirent *entry;
	char inside[PATH_MAX];

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' && (!entry->d_name[1] || entry->d_name[1] == '.'))
			continue;
		snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
		if (unlink(inside) != 0)
			remove_all(inside);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int remove_dir(void **state) {
	(void)state;
	remove_all(dir);
	return access(dir, F_OK) == 0;
}

static void write_file(const char *path, const char *text) {
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void assert_content(const char *path, const char *text) {
	struct err err;
	uint8_t *data;
	size_t n;

	if (!file_read(path, LARGE, &data, &n, &err))
		fail_msg("%s", err.text);
	assert_int_equal(n, strlen(text));
	assert_string_equal((const char *)data, text);
	free(data);
}

static mode_t mode_of(const char *path) {
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void a_path_is_joined(void **state) {
	char out[PATH_MAX], longest[PATH_MAX];
	struct err err;

	(void)state;
	assert_true(file_path(out, "", "/etc/verimesh", NULL, &err));
	assert_string_equal(out, "/etc/verimesh");
	assert_true(file_path(out, "/root", "/etc/verimesh", "verimesh.conf", &err));
	assert_string_equal(out, "/root/etc/verimesh/verimesh.conf");
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_true(file_path(out, "", longest, NULL, &err));
	assert_int_equal(strlen(out), PATH_MAX - 1);
	assert_false(file_path(out, "", longest, "", &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_non_null(strstr(err.text, "File name too long"));
}

static void reads_a_file_whole(void **state) {
	char path[PATH];
	uint8_t *data;
	size_t n;

	(void)state;
	write_file(in("whole", path), "four");
	for (size_t max = 4; max < 7; max++) {
		assert_true(file_read(path, max, &data, &n, NULL));
		assert_int_equal(n, 4);
		assert_memory_equal(data, "four", 5);
		free(data);
	}
	write_file(path, "");
	assert_true(file_read(path, 0, &data, &n, NULL));
	assert_int_equal(n, 0);
	assert_int_equal(data[0], 0);
	free(data);
}

static void too_large_is_refused(void **state) {
	char path[PATH];
	struct err err;
	uint8_t *data;
	size_t n;

	(void)state;
	write_file(in("large", path), "four");
	for (size_t max = 0; max < 4; max++) {
		assert_false(file_read(path, max, &data, &n, &err));
		assert_null(data);
		assert_int_equal(n, 0);
		assert_int_equal(err.status, ERR_ENV);
		assert_non_null(strstr(err.text, "File too large"));
		assert_memory_equal(err.text, path, strlen(path));
	}
}

static void a_missing_file_is_told_apart(void **state) {
	char path[PATH];
	struct err err;
	uint8_t *data;
	size_t n;

	(void)state;
	assert_false(file_read(in("missing", path), 10, &data, &n, &err));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(err.status, ERR_ENV);
}

static void links_and_pipes_are_read(void **state) {
	char path[PATH], target[PATH];
	int ends[2];

	(void)state;
	write_file(in("target", target), "x");
	assert_int_equal(symlink(target, in("link", path)), 0);
	assert_content(path, "x");
	assert_content("/dev/null", "");
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "piped", 5), 5);
	close(ends[1]);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
	assert_content(path, "piped");
	close(ends[0]);
}

static void a_directory_is_not_read(void **state) {
	struct err err;
	uint8_t *data;
	size_t n;

	(void)state;
	assert_false(file_read(dir, 10, &data, &n, &err));
	assert_non_null(strstr(err.text, ": Is a directory"));
	assert_null(data);
}

/* Larger than a pipe holds, so that it comes in many pieces. */
static void reads_a_pipe_to_its_end(void **state) {
	static uint8_t large[LARGE];
	struct err err;
	uint8_t *data;
	size_t n;
	int ends[2];

	(void)state;
	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (uint8_t)(i * 7);
	for (size_t max = LARGE - 1; max <= LARGE + 1; max++) {
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (child == 0) {
			signal(SIGPIPE, SIG_DFL);
			close(ends[0]);
			_exit(write(ends[1], large, sizeof large) < 0);
		}
		close(ends[1]);
		assert_int_equal(file_read_fd(ends[0], "-", max, &data, &n, &err), max >= LARGE);
		close(ends[0]);
		if (max >= LARGE) {
			assert_int_equal(n, LARGE);
			assert_memory_equal(data, large, LARGE);
			assert_int_equal(data[n], 0);
		} else {
			assert_string_equal(err.text, "-: File too large");
		}
		free(data);
	}
}

static void a_read_error_is_an_error(void **state) {
	struct err err;
	uint8_t *data;
	size_t n;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_false(file_read_fd(fd, "stdin", 10, &data, &n, &err));
	assert_string_equal(err.text, "stdin: Is a directory");
	close(fd);
	assert_false(file_read_fd(fd, "stdin", 10, &data, &n, &err));
	assert_null(data);
}

static void replace_gives_content_and_mode(void **state) {
	char path[PATH], beside[PATH];

	(void)state;
	in("replaced", path);
	in("replaced.new", beside);
	assert_true(file_replace(path, span_str("one"), 0644, NULL));
	assert_content(path, "one");
	assert_int_equal(mode_of(path), 0644);
	assert_true(file_replace(path, span_str(""), 0600, NULL));
	assert_content(path, "");
	assert_int_equal(mode_of(path), 0600);
	assert_int_not_equal(access(beside, F_OK), 0);
}

static void who_has_the_old_file_open_keeps_it(void **state) {
	char path[PATH], buf[4] = "";
	int fd;

	(void)state;
	assert_true(file_replace(in("open", path), span_str("old"), 0600, NULL));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file_replace(path, span_str("new"), 0600, NULL));
	assert_int_equal(read(fd, buf, 3), 3);
	assert_string_equal(buf, "old");
	close(fd);
}

/* What a crash, or an enemy, left beside is removed, not followed and not written into. */
static void leftovers_do_no_harm(void **state) {
	char path[PATH], beside[PATH], target[PATH];

	(void)state;
	in("victim", path);
	in("victim.new", beside);
	write_file(in("innocent", target), "innocent");
	assert_int_equal(symlink(target, beside), 0);
	assert_true(file_replace(path, span_str("data"), 0600, NULL));
	assert_content(path, "data");
	assert_content(target, "innocent");
	assert_int_equal(link(target, beside), 0);
	assert_true(file_replace(path, span_str("more"), 0600, NULL));
	assert_content(path, "more");
	assert_content(target, "innocent");
}

/* Runs one of them where no file may grow over four bytes, as on a full disk. */
static bool on_a_full_disk(bool (*replace)(const char *), const char *path) {
	struct rlimit old, small;
	bool good;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	good = replace(path);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	return good;
}

static bool replace_by_much(const char *path) {
	return file_replace(path, span_str("longer than four"), 0600, NULL);
}

static void a_failed_replace_leaves_the_old(void **state) {
	char path[PATH], beside[PATH];
	struct err err;

	(void)state;
	in("kept", path);
	in("kept.new", beside);
	assert_true(file_replace(path, span_str("old"), 0600, NULL));
	assert_false(on_a_full_disk(replace_by_much, path));
	assert_content(path, "old");
	assert_int_not_equal(access(beside, F_OK), 0);
	assert_false(file_replace(dir, span_str("x"), 0600, NULL));
	assert_false(file_replace(in("no/such/dir", path), span_str("x"), 0600, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_non_null(strstr(err.text, "No such file"));
}

static void mkdir_makes_those_above(void **state) {
	char path[PATH];
	struct err err;

	(void)state;
	assert_true(file_mkdir(in("a/b/c", path), 0700, &err));
	assert_int_equal(mode_of(path), 0700);
	assert_int_equal(mode_of(in("a/b", path)), 0755);
	assert_true(file_mkdir(in("a/b/d", path), 0755, &err));
	assert_int_equal(mode_of(path), 0755);
	assert_true(file_mkdir(path, 0700, &err));
	assert_int_equal(mode_of(path), 0755);
	assert_true(file_mkdir("/", 0755, &err));
	write_file(in("a/file", path), "");
	assert_false(file_mkdir(path, 0700, &err));
	assert_false(file_mkdir(in("a/file/x", path), 0700, &err));
	assert_int_equal(err.status, ERR_ENV);
	assert_false(file_mkdir("", 0700, &err));
}

static void no_descriptor_stays_open(void **state) {
	char path[PATH];
	uint8_t *data;
	size_t n;
	int before = dup(0), after;

	(void)state;
	close(before);
	file_replace(in("fd", path), span_str("x"), 0600, NULL);
	file_replace(in("no/such", path), span_str("x"), 0600, NULL);
	file_replace(dir, span_str("x"), 0600, NULL);
	file_replace(in("fd", path), span_str("xx"), 0600, NULL);
	assert_false(file_read(path, 1, &data, &n, NULL));
	assert_true(file_read(path, 2, &data, &n, NULL));
	free(data);
	assert_false(file_read(dir, 1, &data, &n, NULL));
	file_mkdir(in("fd-dir", path), 0700, NULL);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_joined),
		cmocka_unit_test(reads_a_file_whole),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(a_missing_file_is_told_apart),
		cmocka_unit_test(links_and_pipes_are_read),
		cmocka_unit_test(a_directory_is_not_read),
		cmocka_unit_test(reads_a_pipe_to_its_end),
		cmocka_unit_test(a_read_error_is_an_error),
		cmocka_unit_test(replace_gives_content_and_mode),
		cmocka_unit_test(who_has_the_old_file_open_keeps_it),
		cmocka_unit_test(leftovers_do_no_harm),
		cmocka_unit_test(a_failed_replace_leaves_the_old),
		cmocka_unit_test(mkdir_makes_those_above),
		cmocka_unit_test(no_descriptor_stays_open),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
