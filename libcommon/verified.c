/* verified.c: keeps what was verified; see verified.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "paths.h"
#include "verified.h"

#define FIXED offsetof(struct verified_log, seals) /* bytes of a log before its seals */
#define FILE_SIZE_MAX ((size_t)1 << 30)

/* Another version verifies for itself. The last part is to be counted up when rules or format change. */
static const char magic[32] = "verimesh " VERIMESH_VERSION " verified 1";

struct body_head {
	uint64_t n, acdc;
	char said[CESR_TEXT + 3];
};

static bool take(struct span *rest, uint64_t n, struct span *out) {
	*out = span_cut(*rest, 0, (size_t)n);
	*rest = span_from(*rest, (size_t)n);
	return out->n == n;
}

/* ---- reading ---- */

static bool take_log(struct span *rest, struct verified_log *log) {
	struct span fixed;

	if (!take(rest, FIXED, &fixed))
		return false;
	memcpy(log, fixed.p, FIXED);
	log->aid[CESR_CHARS] = log->file.digest[CESR_CHARS] = 0;
	return log->nseals <= rest->n && take(rest, log->nseals * sizeof(struct seal), &log->seals) &&
	       take(rest, log->nbodies, &log->bodies);
}

static bool read_logs(struct verified *verified, struct span rest) {
	char digest[CESR_TEXT];
	struct verified_log log;
	struct span head, whole = span_cut(rest, 0, rest.n < CESR_CHARS ? 0 : rest.n - CESR_CHARS);

	if (!span_eq(span_from(rest, whole.n), span_str(cesr_digest(whole, digest))) ||
		!take(&whole, sizeof magic, &head) || memcmp(head.p, magic, sizeof magic) != 0)
		return false;
	while (whole.n)
		if (!take_log(&whole, &log) ||
			!array_append(&verified->logs, &verified->n, &log, sizeof log))
			return false;
	return true;
}

/* The digest keeps accidents away, this what somebody else may have put there. */
static bool is_own(int fd, struct timespec *written) {
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
		(st.st_mode & (S_IWGRP | S_IWOTH)))
		return false;
	*written = st.st_mtim;
	return true;
}

void verified_read(struct verified *verified, const struct file_dir *state) {
	int fd = file_dir_at(state, NAME_VERIFIED);
	size_t n;

	*verified = (struct verified){0};
	if (fd < 0)
		return;
	if (!is_own(fd, &verified->written) ||
		!file_read_fd(fd, NAME_VERIFIED, FILE_SIZE_MAX, &verified->data, &n, NULL) ||
		!read_logs(verified, span_of(verified->data, n)))
		verified_free(verified);
	close(fd);
}

void verified_free(struct verified *verified) {
	free(verified->data);
	free(verified->logs);
	*verified = (struct verified){0};
}

static int compare_aids(const void *aid, const void *log) {
	return strcmp(aid, ((const struct verified_log *)log)->aid);
}

const struct verified_log *verified_find(const struct verified *verified, const char *aid) {
	return verified->n ? bsearch(aid, verified->logs, verified->n, sizeof *verified->logs, compare_aids)
			   : NULL;
}

bool verified_rest(const struct verified_log *log, struct book *book) {
	struct seal *seals = malloc(log->seals.n + 1);
	struct span rest = log->bodies, part;
	struct book_log *resting;
	struct book_body *body;
	struct body_head head;

	if (!seals)
		return false;
	if (log->seals.n)
		memcpy(seals, log->seals.p, log->seals.n);
	for (size_t i = 0; i < log->nseals; i++)
		seals[i].i[CESR_CHARS] = seals[i].d[CESR_CHARS] = 0;
	resting = book_rest(book, log->aid, log->count, seals, (size_t)log->nseals);
	if (!resting) {
		free(seals);
		return false;
	}
	resting->file = log->file;
	while (take(&rest, sizeof head, &part)) {
		memcpy(&head, part.p, sizeof head);
		head.said[CESR_CHARS] = 0;
		take(&rest, head.n, &part);
		body = book_body(book, head.said);
		if (!body)
			body = book_put_body(book, head.said, head.acdc, part);
		if (!body)
			return false;
		body->stored = true;
	}
	return true;
}

/* ---- writing ---- */

/* Without what happens to stand between and behind the parts of one. */
static void put_seal(FILE *out, const struct seal *seal) {
	struct seal clean;

	memset(&clean, 0, sizeof clean);
	clean.kind = seal->kind;
	clean.s = seal->s;
	clean.sn = seal->sn;
	memcpy(clean.i, seal->i, strlen(seal->i));
	memcpy(clean.d, seal->d, strlen(seal->d));
	fwrite(&clean, sizeof clean, 1, out);
}

static void put_body(FILE *out, const struct book_body *body) {
	struct body_head head;

	memset(&head, 0, sizeof head);
	head.n = body->n;
	head.acdc = body->acdc;
	memcpy(head.said, body->said, sizeof body->said);
	fwrite(&head, sizeof head, 1, out);
	fwrite(body->bytes, 1, body->n, out);
}

static size_t body_size(const struct book_body *body) {
	return sizeof(struct body_head) + body->n;
}

static void write_awake(const struct book_log *log, FILE *out) {
	const struct kel *kel = &log->kel;
	struct verified_log fixed;
	size_t nbodies = 0;

	memset(&fixed, 0, sizeof fixed);
	memcpy(fixed.aid, kel->aid, sizeof fixed.aid);
	fixed.file = log->file;
	fixed.rests = !kel->delegator[0] && !log->delegates;
	if (fixed.rests) {
		fixed.count = kel->count;
		fixed.nseals = kel->nseals;
		nbodies = log->nbodies;
	}
	for (size_t i = 0; i < nbodies; i++)
		fixed.nbodies += body_size(log->bodies[i]);
	fwrite(&fixed, FIXED, 1, out);
	for (size_t i = 0; i < fixed.nseals; i++)
		put_seal(out, &kel->seals[i]);
	for (size_t i = 0; i < nbodies; i++)
		put_body(out, log->bodies[i]);
}

static void write_resting(const struct verified_log *log, FILE *out) {
	fwrite(log, FIXED, 1, out);
	fwrite(log->seals.p, 1, log->seals.n, out);
	fwrite(log->bodies.p, 1, log->bodies.n, out);
}

static int by_aid(const void *a, const void *b) {
	return strcmp((*(struct book_log *const *)a)->kel.aid, (*(struct book_log *const *)b)->kel.aid);
}

static bool write_logs(const struct verified *before, const struct book *book, FILE *out) {
	struct book_log **logs = calloc(book->nlogs + 1, sizeof *logs);

	if (!logs)
		return false;
	if (book->nlogs) {
		memcpy(logs, book->logs, book->nlogs * sizeof *logs);
		qsort(logs, book->nlogs, sizeof *logs, by_aid);
	}
	for (size_t i = 0; i < book->nlogs; i++) {
		if (logs[i]->resting)
			write_resting(verified_find(before, logs[i]->kel.aid), out);
		else if (logs[i]->kel.count && logs[i]->file.size && !logs[i]->damaged && !logs[i]->doubted)
			write_awake(logs[i], out);
	}
	free(logs);
	return true;
}

void verified_write(const struct verified *before, const struct book *book, const struct file_dir *state) {
	char digest[CESR_TEXT], *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	bool good;

	if (!out)
		return;
	fwrite(magic, sizeof magic, 1, out);
	good = write_logs(before, book, out) && fflush(out) == 0;
	if (good) {
		fputs(cesr_digest(span_of(text, n), digest), out);
		good = fflush(out) == 0 && !ferror(out);
	}
	if (good)
		file_dir_put(state, NAME_VERIFIED, span_of(text, n), 0644, NULL);
	fclose(out);
	free(text);
}
