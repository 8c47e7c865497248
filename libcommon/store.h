/* store.h: verified logs on disk, one append-only file for each identifier. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_STORE_H
#define VERIMESH_STORE_H

#include <stdbool.h>

#include "book.h"
#include "err.h"
#include "ledger.h"
#include "verified.h"

/* NAME_STORE in the state directory holds AID.cesr for each identifier: its accepted events with their
 * attachments in the order of acceptance, and its own cards and the registry events that they seal. A file
 * only grows, and is replaced whole: a crash at any moment leaves the old or the new one. Beside it,
 * AID.duplicity holds a message that contradicts it; as long as it is there the log is frozen. */
struct store {
	const char *root;
	struct file_dir state; /* root + PATH_STATE */
	int lock;	       /* held while the store is open for writing, else -1 */
	struct book book;
	struct ledger ledger;
	struct verified verified; /* as it was read */
	bool stale;		  /* it is not what the store is now */
	struct err damage;	  /* text "": none; else the first file that does not verify */
	const char *resolved;	  /* whose log is to be replaced, or NULL */
};

/* Takes the lock that every writer holds (DESIGN.md 6: one writer at a time), waiting for another,
 * and makes the directories. The lock ends when the descriptor is closed; -1 on failure. */
int store_lock(const char *root, struct err *err);

/* Reads the store and verifies what is new in it since it was verified last. Logs that did not change rest:
 * see book_awake. writing: takes the lock first. An identifier whose file does not verify is unknown until
 * the file is restored, and noted in store->damage; the others are not hurt. On failure nothing is left
 * open. */
bool store_open(struct store *store, const char *root, bool writing, struct err *err);

/* The two halves of it. Between them the caller may give up all rights, if somebody else writes for him (see
 * file_dir). resolved: not NULL, the log of this frozen AID is left out, and the next commit replaces it and
 * releases the AID (DESIGN.md 6, import --resolve); one that is not frozen is an error. It stays the
 * caller's. When store_load fails, store_close is the caller's. */
bool store_enter(struct store *store, const char *root, bool writing, struct err *err);
bool store_load(struct store *store, const char *resolved, struct err *err);

/* Writes what the book accepted since store_open, durably, identifier by identifier, and notes in the ledger
 * since when an identifier claims a tunnel key (DESIGN.md 5.3). */
bool store_commit(struct store *store, struct err *err);

/* Forgets what was not committed and drops the lock. */
void store_close(struct store *store);

/* The bytes of one identifier's file: *data is malloc'd. */
bool store_read(const struct store *store, const char *aid, uint8_t **data, size_t *n, struct err *err);

#endif
