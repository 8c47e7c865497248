/* store.c: verified logs on disk; see store.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "paths.h"
#include "store.h"

#define STORE_FILE_MAX ((size_t)1 << 30)
#define SUFFIX ".cesr"

/* What a damaged file gave, while the store is read. */
struct damage {
	bool found;
	struct verdict verdict;
};

static void note_damage(void *ctx, const struct verdict *verdict) {
	struct damage *damage = ctx;

	damage->found = true;
	damage->verdict = *verdict;
}

int store_lock(const char *root, struct err *err) {
	char path[PATH_MAX];
	int fd;

	if (!file_path(path, root, PATH_STORE, NULL, err) || !file_mkdir(path, 0755, err) ||
		!file_path(path, root, PATH_LOCK, NULL, err))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err_set(err, ERR_ENV, "%s: %m", path);
	} else if (flock(fd, LOCK_EX) != 0) {
		err_set(err, ERR_ENV, "%s: cannot be locked: %m", path);
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool file_name(const char *root, const char *aid, char path[static PATH_MAX], struct err *err) {
	char name[CESR_CHARS + sizeof SUFFIX];

	snprintf(name, sizeof name, "%.44s" SUFFIX, aid);
	return file_path(path, root, PATH_STORE, name, err);
}

bool store_read(const char *root, const char *aid, uint8_t **data, size_t *n, struct err *err) {
	char path[PATH_MAX];

	return file_name(root, aid, path, err) && file_read(path, STORE_FILE_MAX, data, n, err);
}

/* Reads one file into the book. A tail that is no whole message is left out (a crash while it was
 * appended); anything else that is wrong is damage. */
static bool load_file(struct store *store, const char *aid, struct err *err) {
	struct damage *damage = store->book.ctx;
	struct book_log *log;
	uint8_t *data;
	size_t n;

	if (!store_read(store->root, aid, &data, &n, err))
		return false;
	store->book.events = 0;
	if (n) /* empty: a crash came before the first byte */
		book_read(&store->book, span_of(data, n));
	free(data);
	if (damage->found && damage->verdict.kind != VERDICT_TRUNCATED)
		return err_set(err, ERR_ENV,
			"%s/%s" SUFFIX ": damaged at event %llu: %s; restore it from a backup", PATH_STORE,
			aid, (unsigned long long)damage->verdict.event, damage->verdict.reason);
	damage->found = store->book.failed = false;
	log = book_log(&store->book, aid);
	if (log)
		log->stored = n ? store->book.valid : 0;
	return true;
}

static void mark_stored(const void *node, VISIT visit, void *ctx) {
	(void)ctx;
	if (visit == postorder || visit == leaf)
		(*(struct book_body *const *)node)->stored = true;
}

static bool load_all(struct store *store, struct err *err) {
	char path[PATH_MAX];
	struct dirent *entry;
	bool good = true;
	DIR *dir;

	if (!file_path(path, store->root, PATH_STORE, NULL, err))
		return false;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path);
	while (good && (entry = readdir(dir))) {
		char aid[CESR_TEXT];

		if (strlen(entry->d_name) != CESR_CHARS + strlen(SUFFIX) ||
			strcmp(entry->d_name + CESR_CHARS, SUFFIX) != 0)
			continue;
		snprintf(aid, sizeof aid, "%.44s", entry->d_name);
		good = load_file(store, aid, err);
	}
	closedir(dir);
	/* what waits has lost its delegator's seal to a recovery since: not accepted, and no damage */
	book_finish(&store->book);
	return good;
}

bool store_open(struct store *store, const char *root, bool writing, struct err *err) {
	struct damage damage = {0};

	*store = (struct store){.root = root, .lock = -1};
	store->book = (struct book){.keep = true, .report = note_damage, .ctx = &damage};
	if (writing)
		store->lock = store_lock(root, err);
	if ((writing && store->lock < 0) || !load_all(store, err)) {
		store_close(store);
		return false;
	}
	twalk_r(store->book.body_tree, mark_stored, NULL);
	store->book.record = true;
	store->book.forgiving = true;
	store->book.report = NULL;
	store->book.ctx = NULL;
	return true;
}

/* Appends to *out the bodies that the log seals and that are not stored yet. */
static void write_bodies(const struct book *book, const struct kel *kel, FILE *out) {
	for (size_t i = 0; i < kel->nseals; i++) {
		const char *saids[] = {kel->seals[i].d, kel->seals[i].i};

		for (size_t k = 0; k < 2; k++) {
			struct book_body *body = book_body(book, saids[k]);

			if (!body || body->stored)
				continue;
			fwrite(body->bytes, 1, body->n, out);
			body->stored = true;
		}
	}
}

static bool commit_log(struct store *store, struct book_log *log, struct err *err) {
	char path[PATH_MAX], *text = NULL;
	bool good = false;
	size_t n = 0;
	FILE *out;

	if (!file_name(store->root, log->kel.aid, path, err))
		return false;
	out = open_memstream(&text, &n);
	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	if (log->nfresh)
		fwrite(log->fresh, 1, log->nfresh, out);
	write_bodies(&store->book, &log->kel, out);
	if (fclose(out) != 0)
		err_set(err, ERR_ENV, "out of memory");
	else
		good = n == 0 || file_append(path, (off_t)log->stored, span_of(text, n), 0644, err);
	if (good) {
		log->stored += n;
		log->nfresh = 0;
	}
	free(text);
	return good;
}

bool store_commit(struct store *store, struct err *err) {
	for (size_t i = 0; i < store->book.nlogs; i++)
		if (store->book.logs[i]->kel.count && !commit_log(store, store->book.logs[i], err))
			return false;
	return true;
}

void store_close(struct store *store) {
	book_free(&store->book);
	if (store->lock >= 0)
		close(store->lock);
	store->lock = -1;
}
