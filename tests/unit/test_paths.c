/* test_paths.c: only what root alone can have put there is opened. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "private_state.h"

#define FILE_PATH PATH_STATE "/file"

static bool private_state;

static void need_private_state(void) {
	if (private_state)
		return;
	printf("a root-owned directory is needed, and there are no private mounts here\n");
	skip();
}

/* 0, or errno. */
static int try(const char *path, int flags, mode_t type) {
	struct stat st;
	int fd = path_open_trusted(path, flags, type, &st);

	if (fd < 0)
		return errno;
	assert_int_equal(st.st_mode & S_IFMT, type);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return 0;
}

static int try_file(void) {
	return try(FILE_PATH, O_RDONLY, S_IFREG);
}

static int make_file(void **state) {
	int fd = private_state ? open(FILE_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;

	(void)state;
	if (fd >= 0)
		close(fd);
	return 0;
}

static int remove_file(void **state) {
	(void)state;
	if (private_state)
		unlink(FILE_PATH);
	return 0;
}

static void nobody_else_may_write(void **state) {
	static const mode_t writable[] = {0020, 0002, 0022};

	(void)state;
	need_private_state();
	assert_int_equal(try_file(), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(FILE_PATH, 0644 | writable[i]), 0);
		assert_int_equal(try_file(), EPERM);
		assert_int_equal(chmod(FILE_PATH, 0600), 0);
		assert_int_equal(chmod(PATH_STATE, 01755 | writable[i]), 0);
		assert_int_equal(try_file(), EPERM);
		assert_int_equal(chmod(PATH_STATE, 0755), 0);
		assert_int_equal(try_file(), 0);
	}
}

static void both_must_be_roots(void **state) {
	(void)state;
	need_private_state();
	if (chown(FILE_PATH, 65534, 0) != 0) {
		printf("an ordinary user cannot give a file away, not even in a user namespace\n");
		skip();
	}
	assert_int_equal(try_file(), EPERM);
	assert_int_equal(chown(FILE_PATH, 0, 65534), 0);
	assert_int_equal(try_file(), 0);
	assert_int_equal(chown(PATH_STATE, 65534, 0), 0);
	assert_int_equal(try_file(), EPERM);
	assert_int_equal(chown(PATH_STATE, 0, 0), 0);
}

static void the_type_must_be_right(void **state) {
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = FILE_PATH};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	need_private_state();
	assert_int_equal(try(FILE_PATH, O_PATH, S_IFSOCK), EPERM);
	assert_int_equal(rename(FILE_PATH, FILE_PATH ".real"), 0);
	assert_int_equal(try_file(), ENOENT);
	assert_int_equal(symlink(FILE_PATH ".real", FILE_PATH), 0);
	assert_int_equal(try_file(), ELOOP);
	assert_int_equal(try(FILE_PATH, O_PATH, S_IFREG), EPERM);
	unlink(FILE_PATH);
	unlink(FILE_PATH ".real");
	assert_int_equal(mkfifo(FILE_PATH, 0644), 0);
	assert_int_equal(try_file(), EPERM);
	unlink(FILE_PATH);
	assert_int_equal(mkdir(FILE_PATH, 0755), 0);
	assert_int_equal(try_file(), EPERM);
	rmdir(FILE_PATH);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(try(FILE_PATH, O_PATH, S_IFSOCK), 0);
	assert_int_equal(try(FILE_PATH, O_PATH, S_IFREG), EPERM);
	close(fd);
}

static void a_path_has_a_directory(void **state) {
	char longest[PATH_MAX + 10];

	(void)state;
	memset(longest, '/', sizeof longest);
	longest[sizeof longest - 1] = 0;
	assert_int_equal(try("", O_RDONLY, S_IFREG), EINVAL);
	assert_int_equal(try("file", O_RDONLY, S_IFREG), EINVAL);
	assert_int_equal(try(longest, O_RDONLY, S_IFREG), EINVAL);
	assert_int_equal(try("/nowhere/file", O_RDONLY, S_IFREG), ENOENT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_else_may_write, make_file, remove_file),
		cmocka_unit_test_setup_teardown(both_must_be_roots, make_file, remove_file),
		cmocka_unit_test_setup_teardown(the_type_must_be_right, make_file, remove_file),
		cmocka_unit_test(a_path_has_a_directory),
	};

	private_state = private_state_enter();
	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
