/* wireguard.h: what a WireGuard interface has, and its key, port and peers, set through wg. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_WIREGUARD_H
#define VERIMESH_WIREGUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base64.h"
#include "card.h"
#include "err.h"
#include "interface.h"
#include "roster.h"
#include "tunnel.h"

enum interface_state {
	INTERFACE_NONE,	   /* there is none of that name */
	INTERFACE_OURS,	   /* `up` made it */
	INTERFACE_SHARED,  /* somebody else did, and Adopt = yes */
	INTERFACE_FOREIGN, /* somebody else did */
};

struct wireguard_peer {
	struct tunnel_peer live;
	size_t first, nprefixes; /* its prefixes, sorted, among those of all */
	bool ours;		 /* up made the interface, or verimesh added the peer */
};

/* What verimesh noted of a peer that it added. */
struct wireguard_note {
	uint8_t key[WG_KEY_BYTES];
	char endpoint[ENDPOINT_TEXT]; /* of its card, at the last sync; "-": none */
};

/* An interface as it was read, and what verimesh noted of it. wireguard_free releases it. */
struct wireguard {
	enum interface_state state;
	int error; /* errno value: why it could not be read; 0: what follows is what it has */
	uint16_t port;
	struct wireguard_peer *peers; /* sorted by key */
	size_t npeers;
	struct prefix *prefixes;
	size_t nprefixes;
	struct prefix *foreign; /* prefixes of the peers that are not ours, sorted */
	size_t nforeign;

	bool in_use;		      /* `up` made it, or adopted it, or the one that had its name before */
	struct wireguard_note *notes; /* sorted by key */
	size_t nnotes;
	char *text; /* what they say; NULL when there are none of this interface */
};

/* Reads the interface of that name, and the notes. A device that cannot be read is told by
 * wireguard->error (of INTERFACE_NONE: 0); false only without memory. */
bool wireguard_read(
	struct wireguard *wireguard, const char *root, const char *interface, bool adopt, struct err *err);
void wireguard_free(struct wireguard *wireguard);

/* The peer of this key, NULL for none. */
const struct wireguard_peer *wireguard_find(
	const struct wireguard *wireguard, const uint8_t key[static WG_KEY_BYTES]);

/* Whether a peer that is not ours has just this prefix. */
bool wireguard_has_foreign(const struct wireguard *wireguard, const struct prefix *prefix);

/* Brings the interface in line with the roster (all hosts but this one) by what differs: sessions of
 * unchanged peers go on, a peer that roams keeps its endpoint, and peers that are not ours are left as
 * they are. secret NULL: key and port are left, too; where the key was another one, each peer of which it is
 * known where it is hears of it at once, those of keys to come, too. Peers that verimesh has added are noted
 * in PATH_RUN/INTERFACE.peers; where that fails, none is added to an interface that `up` did not make. Goes
 * on after a failure; each is printed, and so is, dry, what would be done. Returns the exit status. */
int wireguard_sync(struct wireguard *wireguard, const char *root, const struct roster *roster,
	const uint8_t *secret, bool dry);

/* A host that is about to change its key (DESIGN.md 8). */
struct wireguard_swap {
	uint8_t key[WG_KEY_BYTES], next[WG_KEY_BYTES];
	int64_t from; /* seconds since 1970 */
};

/* Gives the addresses and routes of each host whose next key had its first handshake to that key's peer, by
 * one `wg set`, which takes them from the peer of the old key; of peers that are ours. A problem with that
 * is printed, one with reading is not. Returns the exit status, and how many hosts these are. */
int wireguard_move(const char *root, const char *interface, bool adopt, const struct wireguard_swap *swaps,
	size_t n, size_t *moved);

/* Takes away what verimesh added to an interface that it did not make. Prints and returns as
 * wireguard_sync. */
int wireguard_release(const char *root, const char *interface);

/* The public key of an interface. */
bool wireguard_public(const char *interface, uint8_t key[static WG_KEY_BYTES], struct err *err);

/* The error for an interface that up did not make: how many peers verimesh does not know. */
bool wireguard_refuse(const struct wireguard *wireguard, const struct roster *roster, struct err *err);

#endif
