/* map.h: reads the compiled roster, one read-only cdb file (DESIGN.md 5.7). libc only: it runs in
 * other people's processes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_MAP_H
#define VERIMESH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"
#include "span.h"

/* The format, for the reader and for map_build.c. The file is a cdb (cr.yp.to/cdb/cdb.txt). Its
 * first record is the header, so that the superseded word always stands at MAP_SUPERSEDED.
 *
 *	type	key		value
 *	'H'	"map"		superseded:u32 sum:u64 version:u32 interface domain prefixes
 *	'n'	name, alias	sum:u64 expires:i64 name alias v4 v6
 *	'a'	4 or 16 bytes	the same
 *	'k'	tunnel key	sum:u64 expires:i64 sn:u64 peer label name aid said v4 v6 logins
 *
 * A key is the byte of its type and what follows it; names are folded to lower case. Numbers are
 * little-endian and not aligned (but for the superseded word); every other part of a value is its
 * length:u32 and its bytes. v4, v6: addresses, 4 and 16 bytes each. prefixes and logins run to the
 * end of the value: for each prefix 4 or 6 (u8), bits:u8 and the (bits + 7) / 8 bytes that count;
 * for each login the login and the account. sum: map_sum of all that stands behind it. */
#define MAP_VERSION 1
#define MAP_HEADER_KEY "Hmap" /* with its type */
#define MAP_SUPERSEDED 2060   /* behind the cdb's tables (2048), two lengths (8) and that key */
#define MAP_KEY_MAX 256	      /* bytes of a key with its type */

enum map_type {
	MAP_HEADER = 'H',
	MAP_NAME = 'n',
	MAP_ADDR = 'a',
	MAP_KEY = 'k',
};

/* The key of a record; names are folded (DESIGN.md 5.4). Its length, or 0 when it is too long. */
size_t map_record_key(enum map_type type, struct span what, uint8_t key[static MAP_KEY_MAX]);

/* A sum that always differs when one byte does. It finds damage; it does not stop an attacker: the
 * file's owner and mode do that. */
uint64_t map_sum(struct span body);

/* A mapped file; every access is checked against size. Damaged bytes give "not found", never a
 * fault. The file is replaced by rename, never cut, so its pages stay. */
struct map {
	const uint8_t *base;
	size_t size;
};

/* What the header says. */
struct map_header {
	struct span interface, domain;
	struct span prefixes; /* mesh prefixes, for map_prefix_next */
};

/* A host as a name or an address finds it. */
struct map_host {
	int64_t expires;   /* seconds since 1970 */
	struct span name;  /* LABEL.PEER.DOMAIN, true case */
	struct span alias; /* LABEL.AID.DOMAIN */
	struct span v4;	   /* 4 bytes each */
	struct span v6;	   /* 16 bytes each; the derived address first */
};

/* A card as a tunnel key finds it. */
struct map_card {
	int64_t expires;
	uint64_t sn;		       /* of the key state */
	struct span peer, label, name; /* name: LABEL.PEER.DOMAIN */
	struct span aid, said;	       /* 44 characters each */
	struct span v4, v6;	       /* the host's own addresses, as in map_host */
	struct span logins;	       /* for map_login_next */
};

/* Maps the file. 0, or what is wrong: ENOENT and the like from open; EPERM: not a regular file, not
 * uid 0's, or it or its directory writable by others (DESIGN.md 5.7); EINVAL: not a map of this
 * version, or truncated, or its header is damaged. Keeps no descriptor. errno is preserved. */
int map_open(struct map *map, const char *path);
void map_close(struct map *map);

/* True once the writer has put another file in this one's place (of a map that map_open gave). */
bool map_superseded(const struct map *map);

bool map_header(const struct map *map, struct map_header *out);
/* Takes the next prefix off *prefixes; false at the end. */
bool map_prefix_next(struct span *prefixes, struct prefix *out);

/* The lookups. From the second `expires` on a record does not exist (now: seconds since 1970).
 * Names match without case (DESIGN.md 5.4); a trailing dot is ignored. */
bool map_by_name(const struct map *map, struct span name, int64_t now, struct map_host *out);
bool map_by_addr(const struct map *map, const struct addr *addr, int64_t now, struct map_host *out);
bool map_by_key(
	const struct map *map, const uint8_t key[static WG_KEY_BYTES], int64_t now, struct map_card *out);

/* Takes the next admitted login off *logins; false at the end. */
bool map_login_next(struct span *logins, struct span *login, struct span *account);

/* True when addr lies in a mesh prefix. */
bool map_in_mesh(const struct map *map, const struct addr *addr);
/* True when name is DOMAIN or ends in ".DOMAIN". */
bool map_in_domain(const struct map *map, struct span name);

#endif
