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
	const struct book *book;
	bool found;
	bool waiting; /* the files have been read: what is told now is what waits in vain */
	struct verdict verdict;
};

/* What waits for its delegator's seal has lost it to a recovery since: it is not accepted, and no damage.
 * Nor is a last event that lost its receipts to a crash. */
static bool is_damage(const struct damage *damage, const struct verdict *verdict) {
	const struct book_log *log = damage->waiting ? book_log(damage->book, verdict->aid) : NULL;

	return !log || verdict->sn > log->kel.count ||
	       (verdict->sn == log->kel.count && verdict->kind == VERDICT_UNDERWITNESSED &&
		       verdict->sn != log->stored_sn);
}

static void note_damage(void *ctx, const struct verdict *verdict) {
	struct damage *damage = ctx;

	if (damage->found || !is_damage(damage, verdict))
		return;
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

/* A crash cuts only the end off: where a message is cut off, no other one follows. */
static bool message_follows(struct span cut) {
	static const char start[] = "{\"v\":\"";
	struct cesr_message message;

	while (cut.n > 1) {
		const uint8_t *p = memmem(cut.p + 1, cut.n - 1, start, sizeof start - 1);
		struct span rest;

		if (!p)
			return false;
		rest = cut = span_from(cut, (size_t)(p - cut.p));
		if (cesr_message(&rest, &message, NULL) == CESR_ITEM && (!rest.n || rest.p[0] == '{'))
			return true;
	}
	return false;
}

/* How much of a file counts. A crash while it was appended to can leave zeros at its end, a message that
 * is cut off, or an event that is cut off where its attachments start; and, the first time, bodies
 * without an event. *sn: of the last event that counts. */
static size_t whole(struct span file, uint64_t *sn) {
	struct cesr_message message;
	enum cesr_step step;
	struct event event;
	struct span rest;
	size_t at = 0;

	*sn = UINT64_MAX;
	while (file.n && !file.p[file.n - 1])
		file.n--;
	for (rest = file; (step = cesr_message(&rest, &message, NULL)) == CESR_ITEM; at = file.n - rest.n) {
		bool key_event =
			!message.acdc && event_parse(message.body, &event, NULL) && event.ilk <= EVENT_IXN;

		if (key_event && !message.attachments.n && rest.n == 0) {
			file.n = at;
			break;
		}
		if (key_event)
			*sn = event.sn;
	}
	if (step == CESR_TRUNCATED && message_follows(rest))
		return file.n; /* for book_read to refuse */
	if (step == CESR_TRUNCATED)
		file.n = at;
	return step == CESR_BAD || *sn != UINT64_MAX ? file.n : 0;
}

static bool load_file(struct store *store, const char *aid, struct err *err) {
	struct damage *damage = store->book.ctx;
	struct book_log *log;
	uint8_t *data;
	uint64_t sn;
	size_t n;

	if (!store_read(store->root, aid, &data, &n, err))
		return false;
	n = whole(span_of(data, n), &sn);
	store->book.events = 0;
	if (n)
		book_read(&store->book, span_of(data, n));
	free(data);
	log = book_log(&store->book, aid);
	if (n && !log && !damage->found) {
		damage->found = true;
		snprintf(damage->verdict.reason, sizeof damage->verdict.reason, "no log of this name");
	}
	if (damage->found)
		return err_set(err, ERR_ENV,
			PATH_STORE "/%s" SUFFIX ": damaged at event %llu: %s; restore it from a backup", aid,
			(unsigned long long)damage->verdict.event, damage->verdict.reason);
	if (log) {
		log->stored = n;
		log->stored_sn = sn;
	}
	return true;
}

static void mark_stored(const void *node, VISIT visit, void *ctx) {
	(void)ctx;
	if (visit == postorder || visit == leaf)
		(*(struct book_body *const *)node)->stored = true;
}

/* Events for which a file's log waits in vain. */
static bool finish(struct store *store, struct err *err) {
	struct damage *damage = store->book.ctx;

	damage->waiting = true;
	book_finish(&store->book);
	return !damage->found ||
	       err_set(err, ERR_ENV,
		       PATH_STORE "/%s" SUFFIX ": damaged at sn %llu: %s; restore it from a backup",
		       damage->verdict.aid, (unsigned long long)damage->verdict.sn, damage->verdict.reason);
}

static bool load_all(struct store *store, struct err *err) {
	char path[PATH_MAX], aid[CESR_TEXT];
	struct dirent *entry;
	bool good = true;
	DIR *dir;

	if (!file_path(path, store->root, PATH_STORE, NULL, err))
		return false;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path);
	while (good && (errno = 0, entry = readdir(dir))) {
		if (strlen(entry->d_name) != CESR_CHARS + strlen(SUFFIX) ||
			strcmp(entry->d_name + CESR_CHARS, SUFFIX) != 0)
			continue;
		snprintf(aid, sizeof aid, "%.44s", entry->d_name);
		good = load_file(store, aid, err);
	}
	if (good && errno)
		good = err_set(err, ERR_ENV, "%s: %m", path);
	closedir(dir);
	return good && finish(store, err);
}

bool store_open(struct store *store, const char *root, bool writing, struct err *err) {
	struct damage damage = {.book = &store->book};

	*store = (struct store){.root = root, .lock = -1};
	store->book = (struct book){.forgiving = true, .keep = true, .report = note_damage, .ctx = &damage};
	if (writing)
		store->lock = store_lock(root, err);
	if ((writing && store->lock < 0) || !load_all(store, err)) {
		store_close(store);
		return false;
	}
	twalk_r(store->book.body_tree, mark_stored, NULL);
	store->book.record = true;
	store->book.report = NULL;
	store->book.ctx = NULL;
	return true;
}

/* Writes the bodies that a seal names, if they are there and not stored yet. */
static void write_bodies(const struct book *book, const struct seal *seal, FILE *out) {
	const char *saids[] = {seal->d, seal->i};

	for (size_t i = 0; i < 2; i++) {
		struct book_body *body = book_body(book, saids[i]);

		if (!body || body->stored)
			continue;
		fwrite(body->bytes, 1, body->n, out);
		body->stored = true;
	}
}

/* The bodies stand before the event that seals them: a crash must not leave an event that voids a card,
 * and lose the card in its place. */
static void write_fresh(const struct book *book, const struct book_log *log, FILE *out) {
	struct span rest = span_of(log->fresh, log->nfresh), start = rest;
	struct cesr_message message;
	struct event event;
	struct seal seal;

	for (; cesr_message(&rest, &message, NULL) == CESR_ITEM; start = rest) {
		if (event_parse(message.body, &event, NULL))
			while (event_next_seal(&event.seals, &seal))
				write_bodies(book, &seal, out);
		fwrite(start.p, 1, start.n - rest.n, out);
	}
	/* those that came after their event */
	for (size_t i = 0; i < log->kel.nseals; i++)
		write_bodies(book, &log->kel.seals[i], out);
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
	write_fresh(&store->book, log, out);
	if (fclose(out) != 0)
		err_set(err, ERR_ENV, "out of memory");
	else if (log->stored + n > STORE_FILE_MAX)
		err_set(err, ERR_ENV, "%s: would not be read again: over 1 GiB", path);
	else
		good = n == 0 || file_append(path, (off_t)log->stored, span_of(text, n), 0644, err);
	if (good) {
		log->stored += n;
		log->nfresh = 0;
	}
	free(text);
	return good;
}

/* Delegators first, so that a crash leaves no delegate without its delegator. */
static bool commit_chain(struct store *store, struct book_log *log, struct err *err) {
	struct book_log *list = log;

	for (log->next_cut = NULL; log->kel.delegator[0]; list = log) {
		struct book_log *delegator = book_log(&store->book, log->kel.delegator);

		if (!delegator || !delegator->nfresh)
			break;
		delegator->next_cut = log;
		log = delegator;
	}
	for (; list; list = list->next_cut)
		if (!commit_log(store, list, err))
			return false;
	return true;
}

bool store_commit(struct store *store, struct err *err) {
	for (size_t i = 0; i < store->book.nlogs; i++)
		if (store->book.logs[i]->kel.count && !commit_chain(store, store->book.logs[i], err))
			return false;
	return true;
}

void store_close(struct store *store) {
	book_free(&store->book);
	if (store->lock >= 0)
		close(store->lock);
	store->lock = -1;
}
