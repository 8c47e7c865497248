/* fuzz_ledger.c: fuzzes how the ledger is read; what is taken is what was written. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "fuzz.h"
#include "ledger.h"
#include "paths.h"

static char root[] = "/tmp/fuzz-ledger-XXXXXX", path[PATH_MAX];
static struct file_dir place;

static void remove_root(void) {
	char dir[PATH_MAX];

	unlink(path);
	for (size_t n = strlen(PATH_STATE); n > 0;
		n = (size_t)((char *)memrchr(PATH_STATE, '/', n) - PATH_STATE)) {
		snprintf(dir, sizeof dir, "%s%.*s", root, (int)n, PATH_STATE);
		rmdir(dir);
	}
	rmdir(root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
	(void)argc;
	(void)argv;
	assert(mkdtemp(root) && file_path(path, root, PATH_STATE, NULL, NULL));
	assert(file_mkdir(path, 0700, NULL) && file_dir_open(&place, root, PATH_STATE, NULL));
	assert(file_path(path, root, PATH_LEDGER, NULL, NULL));
	return atexit(remove_root);
}

static struct span read_back(uint8_t **data) {
	size_t n;

	assert(file_read(path, SIZE_MAX, data, &n, NULL));
	return span_of(*data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = {0};
	struct ledger ledger;
	uint8_t *back;

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (!ledger_open(&ledger, &place, &err)) {
		assert(err.text[0]);
		return 0;
	}
	ledger.changed = true;
	assert(ledger_save(&ledger, &place, &err));
	assert(span_eq(read_back(&back), span_of(data, size)));
	free(back);
	ledger_free(&ledger);
	return 0;
}
