/* sync.h: store and policy into map, keyring and WireGuard; what sync, up and down share. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_SYNC_H
#define VERIMESH_SYNC_H

#include "base64.h"
#include "policy.h"
#include "roster.h"
#include "store.h"
#include "wireguard.h"

typedef void mesh_report(void *ctx, const struct err *what);

/* All that a sync works on. mesh_close ends its life. */
struct mesh {
	const char *root;
	struct policy policy;
	struct locals locals;
	struct store store;
	struct wireguard wireguard; /* the interface, as it was read first */
	struct roster roster;
	char aid[CESR_TEXT];	   /* of the identity that this host holds, or "" */
	bool holds;		   /* that is certain: to an ordinary user the map said it */
	bool has_secret, has_next; /* this host has a tunnel key; one that waits for its card */
	uint8_t secret[WG_KEY_BYTES], next[WG_KEY_BYTES];
	struct err unread; /* why they could not be read, or text "" */
	bool damaged;	   /* a file of the store is */
	void *parcel;	   /* what a roster that was built apart points into; NULL: nothing */
	size_t nparcel;
	bool strange_key; /* the own card names another key than the interface has */
};

/* Reads configuration, identity, store, this host's secrets and the interface, and builds the roster. Each
 * refused claim, each peer that lapsed or of whom there is no log, a key that is not the own card's and a
 * damaged store are handed to report. A secret that waited takes its place when the own card names it.
 * writing: takes the lock, for a sync. Else an ordinary user may, for whom neither secrets nor the interface
 * can be read, and nothing changes on disk. On failure nothing is left open. */
bool mesh_open(
	struct mesh *mesh, const char *root, bool writing, mesh_report *report, void *ctx, struct err *err);

/* The report that prints. */
void mesh_print(void *ctx, const struct err *what);

void mesh_close(struct mesh *mesh);

/* Brings the map, the keyring and, where the interface is up, WireGuard in line with the roster.
 * Goes on after a failure, so that a withdrawal takes effect wherever it can; each failure is
 * printed. Returns the exit status, ERR_NO when nothing failed but claims were refused or peers lapsed. */
int mesh_sync(struct mesh *mesh);

/* The part of it for the interface; dry: what would be done is printed as a problem. */
int mesh_sync_interface(struct mesh *mesh, bool dry);

/* False: this host has no tunnel key, and needs one. */
bool mesh_has_key(const struct mesh *mesh, struct err *err);

/* False: an interface of an earlier Name is up, and would go on with what was right then. */
bool mesh_only_name(const struct mesh *mesh, struct err *err);

#endif
