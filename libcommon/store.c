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
#include <time.h>
#include <unistd.h>

#include "base64.h"
#include "cards.h"
#include "file.h"
#include "paths.h"
#include "store.h"

#define STORE_FILE_MAX ((size_t)1 << 30)
#define SUFFIX ".cesr"
#define EVIDENCE ".duplicity"

/* What was wrong with a file, while the store is read. */
struct damage {
	struct store *store;
	const char *aid; /* whose file is being read */
	bool finishing;	 /* the files have been read: what is told now is what waits in vain */
};

/* Nothing of the identifier is believed, for what was accepted before may have been withdrawn behind it. */
static void note(struct store *store, const char *aid, const struct verdict *verdict, const char *what) {
	struct book_log *log = book_log(&store->book, aid);

	if (log)
		log->damaged = true;
	if (!store->damage.text[0])
		err_set(&store->damage, ERR_ENV,
			"%s" PATH_STORE "/%s" SUFFIX
			": damaged at event %llu: %s; restore it, or remove it and import again",
			store->root, aid, (unsigned long long)verdict->event, what);
}

static void note_damage(void *ctx, const struct verdict *verdict) {
	struct damage *damage = ctx;

	/* what lost its delegator's seal to a recovery since is not accepted, but no damage */
	if (damage->finishing && verdict->kind != VERDICT_UNDERWITNESSED)
		return;
	note(damage->store, damage->finishing ? verdict->aid : damage->aid, verdict, verdict->reason);
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

static bool file_name(
	const char *root, const char *aid, const char *suffix, char path[static PATH_MAX], struct err *err) {
	char name[CESR_CHARS + sizeof EVIDENCE];

	snprintf(name, sizeof name, "%.44s%.10s", aid, suffix);
	return file_path(path, root, PATH_STORE, name, err);
}

bool store_read(const char *root, const char *aid, uint8_t **data, size_t *n, struct err *err) {
	char path[PATH_MAX];

	return file_name(root, aid, SUFFIX, path, err) && file_read(path, STORE_FILE_MAX, data, n, err);
}

static bool load_file(struct store *store, const char *aid, struct err *err) {
	struct damage *damage = store->book.ctx;
	struct book_log *log;
	uint8_t *data;
	size_t n;

	if (!store_read(store->root, aid, &data, &n, err))
		return false;
	damage->aid = aid;
	store->book.events = 0;
	book_read(&store->book, span_of(data, n));
	free(data);
	log = book_log(&store->book, aid);
	if (log)
		log->stored = n;
	else
		note(store, aid, &(struct verdict){0}, "no log of this name");
	return true;
}

static void mark_stored(const void *node, VISIT visit, void *ctx) {
	(void)ctx;
	if (visit == postorder || visit == leaf)
		(*(struct book_body *const *)node)->stored = true;
}

/* Only now, because a frozen log takes nothing. */
static bool note_frozen(struct store *store, struct err *err) {
	char path[PATH_MAX];

	for (size_t i = 0; i < store->book.nlogs; i++) {
		struct book_log *log = store->book.logs[i];

		if (!file_name(store->root, log->kel.aid, EVIDENCE, path, err))
			return false;
		log->frozen = access(path, F_OK) == 0;
	}
	return true;
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
		if (!store->resolved || strcmp(store->resolved, aid) != 0)
			good = load_file(store, aid, err);
	}
	if (good && errno)
		good = err_set(err, ERR_ENV, "%s: %m", path);
	closedir(dir);
	((struct damage *)store->book.ctx)->finishing = true;
	book_finish(&store->book);
	return good && note_frozen(store, err);
}

static bool open_store(
	struct store *store, const char *root, bool writing, const char *resolved, struct err *err) {
	struct damage damage = {.store = store};

	*store = (struct store){.root = root, .lock = -1, .resolved = resolved};
	store->book = (struct book){.forgiving = true, .keep = true, .report = note_damage, .ctx = &damage};
	if (writing)
		store->lock = store_lock(root, err);
	if ((writing && store->lock < 0) || !ledger_open(&store->ledger, root, err) ||
		!load_all(store, err)) {
		store_close(store);
		return false;
	}
	twalk_r(store->book.body_tree, mark_stored, NULL);
	store->book.record = true;
	store->book.report = NULL;
	store->book.ctx = NULL;
	return true;
}

bool store_open(struct store *store, const char *root, bool writing, struct err *err) {
	return open_store(store, root, writing, NULL, err);
}

bool store_resolve(struct store *store, const char *root, const char *aid, struct err *err) {
	char path[PATH_MAX];

	if (!open_store(store, root, true, aid, err))
		return false;
	if (file_name(root, aid, EVIDENCE, path, err) &&
		(access(path, F_OK) == 0 || err_set(err, ERR_NO, "%s: is not frozen", aid)))
		return true;
	store_close(store);
	return false;
}

/* A card stands in its issuer's file and an event in that of who made the registry, whoever else seals them:
 * damage to one file hurts nobody else. Of a registry that is not known nobody can say whose it is. */
static bool belongs(const struct book *book, const struct book_log *log, const struct book_body *body) {
	const struct card *card = book_card(book, body->said);
	const struct event *event = book_event(book, body->said);
	char registry[CESR_TEXT];

	if (body->acdc)
		return card && span_is(card->issuer, log->kel.aid);
	if (event && event->ilk != EVENT_VCP && span_copy(event->registry, registry, sizeof registry))
		event = book_event(book, registry);
	return !event || event->ilk != EVENT_VCP || span_is(event->delegator, log->kel.aid);
}

/* Writes the bodies that a seal names, if they are there and not stored yet. */
static void write_bodies(
	const struct book *book, const struct book_log *log, const struct seal *seal, FILE *out) {
	const char *saids[] = {seal->d, seal->i};

	for (size_t i = 0; i < 2; i++) {
		struct book_body *body = book_body(book, saids[i]);

		if (!body || body->stored || !belongs(book, log, body))
			continue;
		fwrite(body->bytes, 1, body->n, out);
		body->stored = true;
	}
}

/* What the log's file lacks: *text is malloc'd. */
static bool write_new(
	const struct book *book, const struct book_log *log, char **text, size_t *n, struct err *err) {
	FILE *out = open_memstream(text, n);

	if (out) {
		if (log->nfresh)
			fwrite(log->fresh, 1, log->nfresh, out);
		/* of one that was frozen before, nothing new is taken */
		for (size_t i = 0; i < log->kel.nseals && (!log->frozen || log->nevidence); i++)
			write_bodies(book, log, &log->kel.seals[i], out);
	}
	return (out && fclose(out) == 0) || err_set(err, ERR_ENV, "out of memory");
}

/* Replaces the log's file by itself and what is new behind it. */
static bool replace(
	const struct store *store, const struct book_log *log, struct span new, struct err *err) {
	char path[PATH_MAX];
	uint8_t *old = NULL, *all;
	size_t n = 0;
	bool good;

	if (!file_name(store->root, log->kel.aid, SUFFIX, path, err) ||
		(log->stored && !store_read(store->root, log->kel.aid, &old, &n, err)))
		return false;
	all = realloc(old, n + new.n);
	if (!all || n + new.n > STORE_FILE_MAX) {
		free(all ? all : old);
		return err_set(err, ERR_ENV, "%s: would be too large to be read again", path);
	}
	memcpy(all + n, new.p, new.n);
	good = file_replace(path, span_of(all, n + new.n), 0644, err);
	free(all);
	return good;
}

static bool commit_log(struct store *store, struct book_log *log, struct err *err) {
	char *text = NULL;
	size_t n = 0;
	bool good = write_new(&store->book, log, &text, &n, err) &&
		    (n == 0 || replace(store, log, span_of(text, n), err));

	if (good) {
		log->stored += n;
		log->nfresh = 0;
	}
	free(text);
	return good;
}

/* Keeps the first message that contradicts the log; or, when that was replaced, drops it. */
static bool commit_evidence(struct store *store, const struct book_log *log, struct err *err) {
	char path[PATH_MAX];

	if (!file_name(store->root, log->kel.aid, EVIDENCE, path, err))
		return false;
	if (log->nevidence)
		return file_replace(path, span_of(log->evidence, log->nevidence), 0644, err);
	if (!store->resolved || strcmp(store->resolved, log->kel.aid) != 0)
		return true;
	return unlink(path) == 0 || err_set(err, ERR_ENV, "%s: %m", path);
}

/* A claim to a tunnel key: that of a host's last card, or of one that stays in force meanwhile. */
static bool claims_key(const struct cards_entry *entry) {
	return entry->card.has_key && ((entry->last && !entry->voided) || entry->successor);
}

/* Notes since when the identifier claims the tunnel keys that it does. */
static bool note_keys(struct store *store, const struct kel *kel, struct err *err) {
	struct cards_entry *entries;
	char key[WG_KEY_TEXT];
	bool good = true;
	size_t n;

	if (!cards_list(&store->book, kel, &entries, &n, err))
		return false;
	for (size_t i = 0; good && i < n; i++) {
		wg_key_encode(entries[i].card.key, key);
		good = !claims_key(&entries[i]) ||
		       ledger_claim(&store->ledger, kel->aid, key, (uint64_t)time(NULL));
	}
	free(entries);
	return good || err_set(err, ERR_ENV, "out of memory");
}

static bool is_known(void *ctx, const char *aid) {
	return book_kel(&((struct store *)ctx)->book, aid);
}

bool store_commit(struct store *store, struct err *err) {
	for (size_t i = 0; i < store->book.nlogs; i++) {
		struct book_log *log = store->book.logs[i];

		if (!book_kel(&store->book, log->kel.aid))
			continue;
		if (!commit_log(store, log, err) || !commit_evidence(store, log, err) ||
			!note_keys(store, &log->kel, err))
			return false;
	}
	ledger_drop_claims(&store->ledger, is_known, store);
	return ledger_save(&store->ledger, store->root, err);
}

void store_close(struct store *store) {
	book_free(&store->book);
	ledger_free(&store->ledger);
	if (store->lock >= 0)
		close(store->lock);
	store->lock = -1;
}
