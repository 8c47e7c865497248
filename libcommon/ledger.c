/* ledger.c: what this host must not forget; see ledger.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "base64.h"
#include "cesr.h"
#include "file.h"
#include "ledger.h"
#include "paths.h"

#define LEDGER_MAX ((size_t)1 << 30)
#define NAME_TEXT WG_KEY_TEXT /* longer than any login */
#define LINE_TEXT 128

struct ledger_entry {
	enum ledger_kind kind;
	char aid[CESR_TEXT], name[NAME_TEXT];
	uint64_t number;
	bool claimed; /* a key, by ledger_claim */
};

static const char *const kinds[] = {[LEDGER_KEY] = "key",
	[LEDGER_MET] = "met",
	[LEDGER_ANSWERED] = "src",
	[LEDGER_UID] = "uid",
	[LEDGER_GID] = "gid"};

/* Whether the number of this kind is a time, else an account's. */
static bool is_time(enum ledger_kind kind) {
	return kind < LEDGER_UID;
}

static int compare_owners(const void *a, const void *b) {
	const struct ledger_entry *x = a, *y = b;
	int order = (x->kind > y->kind) - (x->kind < y->kind);

	if (!order)
		order = strcmp(x->aid, y->aid);
	return order ? order : strcmp(x->name, y->name);
}

static int compare_numbers(const void *a, const void *b) {
	const struct ledger_entry *x = a, *y = b;
	int order = (x->kind > y->kind) - (x->kind < y->kind);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

static struct ledger_entry *find(
	void *const *tree, const struct ledger_entry *like, int (*compare)(const void *, const void *)) {
	struct ledger_entry **node = tfind(like, tree, compare);

	return node ? *node : NULL;
}

/* The last entry of an owner is in force; the first owner of a number keeps it. */
static bool index_entry(struct ledger *ledger, struct ledger_entry *entry) {
	struct ledger_entry **node = tsearch(entry, &ledger->by_owner, compare_owners);

	if (!node)
		return false;
	*node = entry;
	return is_time(entry->kind) || tsearch(entry, &ledger->by_number, compare_numbers);
}

static bool add(struct ledger *ledger, const struct ledger_entry *content) {
	struct ledger_entry *entry = malloc(sizeof *entry);

	if (!entry || !array_append(&ledger->entries, &ledger->n, &entry, sizeof entry)) {
		free(entry);
		return false;
	}
	*entry = *content;
	return index_entry(ledger, entry);
}

static int write_line(const struct ledger_entry *entry, char line[static LINE_TEXT]) {
	return snprintf(line, LINE_TEXT, "%s %s %s %" PRIu64 "\n", kinds[entry->kind], entry->aid,
		entry->name, entry->number);
}

/* A number that somebody can have: what is no id in passwd, or would be root, is damage. */
static bool is_possible(const struct ledger_entry *entry) {
	if (is_time(entry->kind))
		return entry->number <= INT64_MAX;
	return entry->number > 0 && entry->number < UINT32_MAX - 1;
}

/* Takes the first line of a text, which is just what would be written of it. */
static bool parse(struct span *text, struct ledger_entry *entry) {
	const uint8_t *end = memchr(text->p, '\n', text->n);
	size_t n = end ? (size_t)(end + 1 - text->p) : text->n;
	char kind[4], line[LINE_TEXT], written[LINE_TEXT];

	*entry = (struct ledger_entry){0};
	if (!span_copy(span_cut(*text, 0, n), line, sizeof line) ||
		sscanf(line, "%3s %44s %44s %" SCNu64, kind, entry->aid, entry->name, &entry->number) != 4)
		return false;
	*text = span_from(*text, n);
	while (entry->kind < LEDGER_GID && strcmp(kind, kinds[entry->kind]) != 0)
		entry->kind++;
	write_line(entry, written);
	return strcmp(line, written) == 0 && cesr_is_aid(span_str(entry->aid)) && is_possible(entry);
}

/* text has a NUL behind it. */
static bool read_lines(struct ledger *ledger, struct span text, const char *path, struct err *err) {
	struct ledger_entry entry;

	for (unsigned number = 1; text.n > 0; number++) {
		if (!parse(&text, &entry))
			return err_set(
				err, ERR_ENV, "%s:%u: damaged; restore it from a backup", path, number);
		if (!add(ledger, &entry))
			return err_set(err, ERR_ENV, "out of memory");
	}
	return true;
}

bool ledger_open(struct ledger *ledger, const struct file_dir *state, struct err *err) {
	char path[PATH_MAX];
	struct err unread;
	uint8_t *data;
	bool good;
	size_t n;

	*ledger = (struct ledger){0};
	if (!file_path(path, state->path, "", NAME_LEDGER, err))
		return false;
	if (!file_dir_read(state, NAME_LEDGER, LEDGER_MAX, &data, &n, &unread))
		return errno == ENOENT || err_set(err, unread.status, "%s", unread.text);
	good = read_lines(ledger, span_of(data, n), path, err);
	free(data);
	if (!good)
		ledger_free(ledger);
	return good;
}

bool ledger_save(struct ledger *ledger, const struct file_dir *state, struct err *err) {
	char line[LINE_TEXT], *text;
	FILE *out;
	size_t n;

	if (!ledger->changed)
		return true;
	out = open_memstream(&text, &n);
	if (!out)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < ledger->n; i++)
		fwrite(line, 1, (size_t)write_line(ledger->entries[i], line), out);
	if (fclose(out) != 0)
		err_set(err, ERR_ENV, "out of memory");
	else if (file_dir_put(state, NAME_LEDGER, span_of(text, n), 0644, err))
		ledger->changed = false;
	free(text);
	return !ledger->changed;
}

static void keep(void *entry) {
	(void)entry; /* the list frees them */
}

void ledger_free(struct ledger *ledger) {
	tdestroy(ledger->by_owner, keep);
	tdestroy(ledger->by_number, keep);
	for (size_t i = 0; i < ledger->n; i++)
		free(ledger->entries[i]);
	free(ledger->entries);
	*ledger = (struct ledger){0};
}

static struct ledger_entry make(enum ledger_kind kind, const char *aid, const char *name, uint64_t number) {
	struct ledger_entry entry = {.kind = kind, .number = number};

	span_copy(span_str(aid), entry.aid, sizeof entry.aid);
	span_copy(span_str(name), entry.name, sizeof entry.name);
	return entry;
}

bool ledger_find(const struct ledger *ledger, enum ledger_kind kind, const char *aid, const char *name,
	uint64_t *number) {
	struct ledger_entry like = make(kind, aid, name, 0), *entry;

	entry = find(&ledger->by_owner, &like, compare_owners);
	if (entry)
		*number = entry->number;
	return entry;
}

bool ledger_owner(const struct ledger *ledger, enum ledger_kind kind, uint64_t number, const char **aid,
	const char **name) {
	struct ledger_entry like = {.kind = kind, .number = number}, *entry;

	entry = find(&ledger->by_number, &like, compare_numbers);
	if (entry) {
		*aid = entry->aid;
		*name = entry->name;
	}
	return entry;
}

bool ledger_put(
	struct ledger *ledger, enum ledger_kind kind, const char *aid, const char *name, uint64_t number) {
	struct ledger_entry entry = make(kind, aid, name, number), *there;

	there = find(&ledger->by_owner, &entry, compare_owners);
	if (there && there->number == number)
		return true;
	ledger->changed = true;
	if (!there || !is_time(kind))
		return add(ledger, &entry);
	there->number = number;
	return true;
}

bool ledger_claim(struct ledger *ledger, const char *aid, const char *key, uint64_t now) {
	struct ledger_entry entry = make(LEDGER_KEY, aid, key, now), *there;

	entry.claimed = true;
	there = find(&ledger->by_owner, &entry, compare_owners);
	if (there) {
		there->claimed = true;
		return true;
	}
	ledger->changed = true;
	return add(ledger, &entry);
}

bool ledger_has_claims(const struct ledger *ledger) {
	size_t i = 0;

	while (i < ledger->n && ledger->entries[i]->kind != LEDGER_KEY)
		i++;
	return i < ledger->n;
}

/* Whether an entry is of a claim that is made no longer. */
static bool is_gone(const struct ledger *ledger, const struct ledger_entry *entry,
	bool (*is_known)(void *ctx, const char *aid), void *ctx) {
	struct ledger_entry claim = *entry;

	claim.kind = LEDGER_KEY; /* it stands before what hangs on it */
	if (entry->kind == LEDGER_MET)
		return !find(&ledger->by_owner, &claim, compare_owners);
	return entry->kind == LEDGER_KEY && !entry->claimed && is_known(ctx, entry->aid);
}

void ledger_drop_claims(struct ledger *ledger, bool (*is_known)(void *ctx, const char *aid), void *ctx) {
	size_t kept = 0;

	for (size_t i = 0; i < ledger->n; i++) {
		struct ledger_entry *entry = ledger->entries[i];

		if (!is_gone(ledger, entry, is_known, ctx)) {
			entry->claimed = false;
			ledger->entries[kept++] = entry;
			continue;
		}
		/* of a line that stood twice the last one is in the tree */
		if (find(&ledger->by_owner, entry, compare_owners) == entry)
			tdelete(entry, &ledger->by_owner, compare_owners);
		free(entry);
		ledger->changed = true;
	}
	ledger->n = kept;
}
