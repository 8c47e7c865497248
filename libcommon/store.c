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

#include "array.h"
#include "base64.h"
#include "cards.h"
#include "file.h"
#include "paths.h"
#include "store.h"

#define STORE_FILE_MAX ((size_t)1 << 30)
#define FILE_TEXT 64 /* of a file's name */

/* Nothing of the identifier is believed, for what was accepted before may have been withdrawn behind it. */
static void note(struct store *store, const char *aid, const struct verdict *verdict, const char *what) {
	struct book_log *log = book_log(&store->book, aid);

	if (log)
		log->damaged = true;
	if (!store->damage.text[0])
		err_set(&store->damage, ERR_ENV,
			"%s/" NAME_STORE "/%s" SUFFIX_LOG
			": damaged at event %llu: %s; restore it, or remove it and import again",
			store->state.path, aid, (unsigned long long)verdict->event, what);
}

/* What was wrong with a file, while it is read. */
struct reading {
	struct store *store;
	const char *aid; /* whose file it is */
};

static void note_damage(void *ctx, const struct verdict *verdict) {
	struct reading *reading = ctx;

	/* what waited, and is decided on now, stands in another file */
	note(reading->store, verdict->aid[0] ? verdict->aid : reading->aid, verdict, verdict->reason);
}

/* What waits in vain, when all files were read. */
static void note_waiting(void *ctx, const struct verdict *verdict) {
	/* what lost its delegator's seal to a recovery since is not accepted, but no damage */
	if (verdict->kind == VERDICT_UNDERWITNESSED)
		note(ctx, verdict->aid, verdict, verdict->reason);
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

/* In the state directory; returns name. */
static const char *file_name(const char *aid, const char *suffix, char name[static FILE_TEXT]) {
	snprintf(name, FILE_TEXT, NAME_STORE "/%.44s%.10s", aid, suffix);
	return name;
}

bool store_read(const struct store *store, const char *aid, uint8_t **data, size_t *n, struct err *err) {
	char name[FILE_TEXT];

	return file_dir_read(&store->state, file_name(aid, SUFFIX_LOG, name), STORE_FILE_MAX, data, n, err);
}

static uint64_t nanoseconds(const struct timespec *t) {
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

/* False with errno. */
static bool stat_file(const struct store *store, const char *aid, struct book_file *file) {
	char name[FILE_TEXT];
	struct stat st;

	if (fstatat(store->state.fd, file_name(aid, SUFFIX_LOG, name), &st, 0) != 0)
		return false;
	file->size = (uint64_t)st.st_size;
	file->inode = st.st_ino;
	file->changed = nanoseconds(&st.st_ctim);
	return true;
}

static bool is_same(const struct book_file *a, const struct book_file *b) {
	return a->size == b->size && a->inode == b->inode && a->changed == b->changed;
}

/* How much of a file was verified before, and is still the same. */
static size_t verified_part(const struct verified_log *before, struct span data) {
	char digest[CESR_TEXT];

	if (!before || before->file.size > data.n)
		return 0;
	cesr_digest(span_cut(data, 0, before->file.size), digest);
	return strcmp(digest, before->file.digest) == 0 ? before->file.size : 0;
}

static void load_file(struct store *store, const char *aid) {
	const struct verified_log *before = verified_find(&store->verified, aid);
	struct reading reading = {store, aid};
	struct book_file file = {0};
	struct err unread;
	struct book_log *log;
	struct span data;
	uint8_t *bytes;

	/* looked at first: what is put there meanwhile is another file the next time, too */
	stat_file(store, aid, &file);
	if (!store_read(store, aid, &bytes, &data.n, &unread)) {
		if (!store->damage.text[0])
			store->damage = unread;
		return; /* it is unknown; the others are not hurt */
	}
	data.p = bytes;
	store->book.report = note_damage;
	store->book.ctx = &reading;
	file.messages = book_read_file(&store->book, aid, data, verified_part(before, data));
	cesr_digest(data, file.digest);
	file.size = data.n;
	store->stale = store->stale || !before || before->rests || !is_same(&file, &before->file);
	free(bytes);
	log = book_log(&store->book, aid);
	if (log)
		log->file = file;
	if (!log || log->first == UINT64_MAX)
		note(store, aid, &(struct verdict){0}, "no log of this name");
}

static bool changed_meanwhile(const struct store *store, const char *aid, struct err *err) {
	return err_set(err, ERR_ENV, "%s/" NAME_STORE "/%s" SUFFIX_LOG ": changed meanwhile; try again",
		store->state.path, aid);
}

/* Reads what rested, and not what a writer added since. */
static bool load_rested(struct store *store, struct book_log *log, struct err *err) {
	struct reading reading = {store, log->kel.aid};
	struct span data;
	uint8_t *bytes;
	bool same;

	if (!store_read(store, log->kel.aid, &bytes, &data.n, err))
		return false;
	data.p = bytes;
	same = verified_part(verified_find(&store->verified, log->kel.aid), data);
	store->book.report = note_damage;
	store->book.ctx = &reading;
	if (same)
		book_read_file(
			&store->book, log->kel.aid, span_cut(data, 0, log->file.size), log->file.size);
	free(bytes);
	return same || changed_meanwhile(store, log->kel.aid, err);
}

/* For the book: a log that rested is needed. */
static void wake(void *ctx, struct book_log *log) {
	struct store *store = ctx;
	bool frozen = log->frozen;
	struct err err;

	log->frozen = false; /* or it would take nothing */
	if (!load_rested(store, log, &err)) {
		log->damaged = true;
		if (!store->damage.text[0])
			store->damage = err;
	}
	log->frozen = frozen;
}

/* The log may rest, and its file is what it was: it need not be read. A clock that ticks slowly may have
 * given it the same time again, until it gave another one to what was written behind it. */
static bool may_rest(struct store *store, const struct verified_log *before) {
	struct book_file file;

	return before && before->rests && stat_file(store, before->aid, &file) &&
	       is_same(&file, &before->file) && file.changed != nanoseconds(&store->verified.written);
}

/* The identifiers that the directory has files of. */
struct names {
	char (*list)[CESR_TEXT];
	size_t n;
};

static bool add_name(struct names *names, const char aid[static CESR_TEXT], struct err *err) {
	return array_append(&names->list, &names->n, aid, CESR_TEXT) ||
	       err_set(err, ERR_ENV, "out of memory");
}

/* One name of the directory. */
static bool take_name(
	struct store *store, const char *name, struct names *logs, struct names *frozen, struct err *err) {
	const struct verified_log *before;
	char aid[CESR_TEXT];

	if (!span_copy(span_cut(span_str(name), 0, CESR_CHARS), aid, sizeof aid) ||
		!cesr_is_aid(span_str(aid)))
		return true;
	if (store->resolved && strcmp(store->resolved, aid) == 0)
		return true;
	if (strcmp(name + CESR_CHARS, SUFFIX_EVIDENCE) == 0)
		return add_name(frozen, aid, err);
	if (strcmp(name + CESR_CHARS, SUFFIX_LOG) != 0)
		return true;
	before = verified_find(&store->verified, aid);
	if (may_rest(store, before))
		return verified_rest(before, &store->book) || err_set(err, ERR_ENV, "out of memory");
	return add_name(logs, aid, err);
}

static bool read_names(struct store *store, struct names *logs, struct names *frozen, struct err *err) {
	int fd = openat(store->state.fd, NAME_STORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	bool good = true;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	if (!dir)
		return store->state.fd < 0 || errno == ENOENT ||
		       err_set(err, ERR_ENV, "%s/" NAME_STORE ": %m", store->state.path);
	while (good && (errno = 0, entry = readdir(dir)))
		good = take_name(store, entry->d_name, logs, frozen, err);
	if (good && errno)
		good = err_set(err, ERR_ENV, "%s/" NAME_STORE ": %m", store->state.path);
	closedir(dir);
	return good;
}

/* The logs that rest are in the book first: a delegate finds its delegator. Who is frozen is noted last: a
 * frozen log takes nothing. */
static bool load_all(struct store *store, struct err *err) {
	struct names logs = {0}, frozen = {0};
	bool good = read_names(store, &logs, &frozen, err);

	for (size_t i = 0; good && i < logs.n; i++)
		load_file(store, logs.list[i]);
	for (size_t i = 0; i < store->book.nlogs; i++)
		store->book.logs[i]->doubted = !LIST_EMPTY(&store->book.logs[i]->waiting);
	store->book.report = note_waiting;
	store->book.ctx = store;
	book_finish(&store->book);
	for (size_t i = 0; i < frozen.n; i++) {
		struct book_log *log = book_open(&store->book, frozen.list[i]);

		if (log)
			log->frozen = true;
		else
			good = err_set(err, ERR_ENV, "out of memory");
	}
	free(logs.list);
	free(frozen.list);
	return good;
}

bool store_enter(struct store *store, const char *root, bool writing, struct err *err) {
	*store = (struct store){.root = root, .lock = -1, .state.fd = -1};
	if (writing)
		store->lock = store_lock(root, err);
	if ((!writing || store->lock >= 0) && file_dir_open(&store->state, root, PATH_STATE, err))
		return true;
	store_close(store);
	return false;
}

bool store_load(struct store *store, const char *resolved, struct err *err) {
	char name[FILE_TEXT];

	store->book = (struct book){.forgiving = true, .keep = true, .wake = wake, .waker = store};
	store->resolved = resolved;
	if (resolved && faccessat(store->state.fd, file_name(resolved, SUFFIX_EVIDENCE, name), F_OK, 0) != 0)
		return err_set(err, ERR_NO, "%s: is not frozen", resolved);
	verified_read(&store->verified, &store->state);
	if (!ledger_open(&store->ledger, &store->state, err) || !load_all(store, err))
		return false;
	store->book.record = true;
	store->book.report = NULL;
	store->book.ctx = NULL;
	if (store->lock >= 0 && store->stale)
		verified_write(&store->verified, &store->book, &store->state);
	return true;
}

bool store_open(struct store *store, const char *root, bool writing, struct err *err) {
	if (!store_enter(store, root, writing, err))
		return false;
	if (store_load(store, NULL, err))
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

/* Adds the bodies that a seal names, if they are there and not stored yet. */
static bool add_bodies(
	const struct book *book, struct book_log *log, const struct seal *seal, uint8_t **bytes, size_t *n) {
	const char *saids[] = {seal->d, seal->i};

	for (size_t i = 0; i < 2; i++) {
		struct book_body *body = book_body(book, saids[i]);

		if (!body || body->stored || !belongs(book, log, body))
			continue;
		if (!array_bytes(bytes, n, body->bytes, body->n) || !book_note_stored(log, body))
			return false;
	}
	return true;
}

/* What the log's file lacks: *bytes is malloc'd, and NULL when that is nothing. */
static bool list_new(
	const struct book *book, struct book_log *log, uint8_t **bytes, size_t *n, struct err *err) {
	bool good = !log->nfresh || array_bytes(bytes, n, log->fresh, log->nfresh);

	/* of one that was frozen before, nothing new is taken */
	for (size_t i = 0; good && i < log->kel.nseals && (!log->frozen || log->nevidence); i++)
		good = add_bodies(book, log, &log->kel.seals[i], bytes, n);
	return good || err_set(err, ERR_ENV, "out of memory");
}

static uint64_t count_messages(struct span stream) {
	struct cesr_message message;
	uint64_t n = 0;

	while (cesr_message(&stream, &message, NULL) == CESR_ITEM)
		n++;
	return n;
}

/* Replaces the log's file by itself and what is new behind it. */
static bool replace(const struct store *store, struct book_log *log, struct span new, struct err *err) {
	char name[FILE_TEXT], digest[CESR_TEXT];
	uint8_t *old = NULL, *all;
	size_t n = 0;
	bool good;

	if ((log->file.size && !store_read(store, log->kel.aid, &old, &n, err)))
		return false;
	if (log->file.size && strcmp(cesr_digest(span_of(old, n), digest), log->file.digest) != 0) {
		free(old);
		return changed_meanwhile(store, log->kel.aid, err);
	}
	all = realloc(old, n + new.n);
	if (!all || n + new.n > STORE_FILE_MAX) {
		free(all ? all : old);
		return err_set(err, ERR_ENV, "%s: would be too large to be read again", log->kel.aid);
	}
	memcpy(all + n, new.p, new.n);
	good = file_dir_put(&store->state, file_name(log->kel.aid, SUFFIX_LOG, name),
		span_of(all, n + new.n), 0644, err);
	if (good) {
		log->file.messages += count_messages(new);
		cesr_digest(span_of(all, n + new.n), log->file.digest);
		if (!stat_file(store, log->kel.aid, &log->file))
			log->file.inode = 0; /* it will be read again */
	}
	free(all);
	return good;
}

static bool commit_log(struct store *store, struct book_log *log, struct err *err) {
	uint8_t *bytes = NULL;
	size_t n = 0;
	bool good = list_new(&store->book, log, &bytes, &n, err) &&
		    (n == 0 || replace(store, log, span_of(bytes, n), err));

	if (good && n) {
		log->nfresh = 0;
		store->stale = true;
	}
	free(bytes);
	return good;
}

/* Keeps the first message that contradicts the log; or, when that was replaced, drops it. */
static bool commit_evidence(struct store *store, const struct book_log *log, struct err *err) {
	bool resolved = store->resolved && strcmp(store->resolved, log->kel.aid) == 0;
	char name[FILE_TEXT];

	return (!log->nevidence && !resolved) ||
	       file_dir_put(&store->state, file_name(log->kel.aid, SUFFIX_EVIDENCE, name),
		       span_of(log->evidence, log->nevidence), 0644, err);
}

/* A crash in between leaves the log frozen. */
static bool commit_both(struct store *store, struct book_log *log, struct err *err) {
	if (log->nevidence)
		return commit_evidence(store, log, err) && commit_log(store, log, err);
	return commit_log(store, log, err) && commit_evidence(store, log, err);
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

/* Of a log that rests nobody looked at the claims. */
static bool is_known(void *ctx, const char *aid) {
	const struct book_log *log = book_log(&((struct store *)ctx)->book, aid);

	return book_kel(&((struct store *)ctx)->book, aid) && !log->resting;
}

static void find_new(const void *node, VISIT visit, void *found) {
	if ((visit == postorder || visit == leaf) && !(*(struct book_body *const *)node)->stored)
		*(bool *)found = true;
}

static bool is_new(const struct book *book, const char *said) {
	const struct book_body *body = book_body(book, said);

	return body && !body->stored;
}

/* Wakes the logs that rest and seal one of the bodies that came. */
static void wake_sealing(struct book *book) {
	bool found = false;

	twalk_r(book->body_tree, find_new, &found);
	for (size_t i = 0; found && i < book->nlogs; i++) {
		const struct kel *kel = &book->logs[i]->kel;

		for (size_t j = 0; book->logs[i]->resting && j < kel->nseals; j++)
			if (is_new(book, kel->seals[j].d) || is_new(book, kel->seals[j].i))
				book_awake(book, kel->aid);
	}
}

/* What cannot be written is as if it had not come; the others go on. */
static bool commit_logs(struct store *store, bool all, struct err *err) {
	bool good = true;

	for (size_t i = 0; i < store->book.nlogs; i++) {
		struct book_log *log = store->book.logs[i];

		if (log->kel.count == 0 || log->damaged)
			continue;
		if (!log->resting && !commit_both(store, log, good ? err : NULL))
			log->damaged = true;
		else if ((all || !log->resting) && !note_keys(store, &log->kel, good ? err : NULL))
			return false;
		good = good && !log->damaged;
	}
	return good;
}

bool store_commit(struct store *store, struct err *err) {
	/* none yet, or it was lost */
	bool all = !ledger_has_claims(&store->ledger), good;

	wake_sealing(&store->book);
	good = commit_logs(store, all, err);
	if (store->stale)
		verified_write(&store->verified, &store->book, &store->state);
	ledger_drop_claims(&store->ledger, is_known, store);
	return ledger_save(&store->ledger, &store->state, good ? err : NULL) && good;
}

void store_close(struct store *store) {
	book_free(&store->book);
	ledger_free(&store->ledger);
	verified_free(&store->verified);
	file_dir_close(&store->state);
	if (store->lock >= 0)
		close(store->lock);
	store->lock = -1;
}
