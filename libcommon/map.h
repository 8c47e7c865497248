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
 *	'H'	"map"		superseded:u32 version:u32 size:u64 interface domain prefixes
 *	'n'	name, alias	expires:i64 sn:u64 name alias aid said v4 v6 logins
 *	'a'	4 or 16 bytes	the same
 *	'k'	tunnel key	the same
 *	'u'	account		expires:i64 uid:u32 gid:u32 and the texts of passwd(5)
 *	'i', 'U'	uid, place	the same
 *	'g'	group		expires:i64 gid:u32 gid:u32 name password and three empty texts
 *	'j', 'G'	gid, place	the same
 *
 * A key is the byte of its type and what follows it; names of hosts are folded to lower case, the domain
 * is written so. Numbers are little-endian and not aligned (but for the superseded word); every other part
 * of a value is its length:u64 and its bytes, only prefixes and logins run to the end of the value. uid,
 * gid, place: u32; accounts and groups are counted from 0 each. size: of the file.
 * v4, v6: addresses, 4 and 16 bytes each. prefixes: each a struct prefix, which is bytes only. logins: of
 * each the login, the account, and its SSH public keys as sshd writes them, "ssh-ed25519 AAAA...". */
#define MAP_VERSION 2
#define MAP_HEADER_KEY "Hmap" /* with its type */
#define MAP_SUPERSEDED 2060   /* behind the cdb's tables (2048), two lengths (8) and that key */
#define MAP_KEY_MAX 256	      /* bytes of a key with its type */
#define MAP_SSH_KEY 80	      /* characters of an Ed25519 key's text */

enum map_type {
	MAP_HEADER = 'H',
	MAP_NAME = 'n',
	MAP_ADDR = 'a',
	MAP_KEY = 'k',
	MAP_USER = 'u',
	MAP_UID = 'i',
	MAP_USERS = 'U',
	MAP_GROUP = 'g',
	MAP_GID = 'j',
	MAP_GROUPS = 'G'
};

/* The key of a record; names are folded (DESIGN.md 5.4). Its length, or 0 when it is too long. */
size_t map_record_key(enum map_type type, struct span what, uint8_t key[static MAP_KEY_MAX]);

/* A mapped file; every access is checked against size. Whatever its bytes are, no call faults. The
 * file is replaced by rename, never cut, so its pages stay. */
struct map {
	const uint8_t *base;
	size_t size;
};

/* What the header says. */
struct map_header {
	struct span interface, domain;
	struct span prefixes; /* of the mesh */
};

/* A host's live card, as a name, an address or its tunnel key finds it. */
struct map_card {
	uint64_t sn;	   /* of the key state */
	struct span name;  /* LABEL.PEER.DOMAIN, true case */
	struct span alias; /* LABEL.AID.DOMAIN */
	struct span aid, said;
	struct span v4, v6; /* the host's own addresses, 4 and 16 bytes each; the derived one first */
	struct span logins; /* for map_login_next */
};

#define MAP_TEXTS 5

/* An account or a group (DESIGN.md 5.6). */
struct map_account {
	uint32_t id, gid;	      /* of a group both are its gid */
	struct span texts[MAP_TEXTS]; /* name, password, gecos, home, shell; of a group the first two */
};

/* Maps the file. 0, or what is wrong: ENOENT and the like from open; EPERM: not a regular file, not
 * uid 0's, or it or its directory writable by others (DESIGN.md 5.7); EINVAL: not a map of this
 * version, or truncated. Keeps no descriptor. */
int map_open(struct map *map, const char *path);
void map_close(struct map *map);

/* True once the writer has put another file in this one's place (of a map that map_open gave). */
bool map_superseded(const struct map *map);

/* False when the file is not a whole map of this version. */
bool map_header(const struct map *map, struct map_header *out);

/* The lookups. A record does not exist from the second on that it expires (now: seconds since 1970). */

/* By name (MAP_NAME: without case, DESIGN.md 5.4; a trailing dot is ignored), address (MAP_ADDR: 4 or 16
 * bytes) or tunnel key (MAP_KEY). */
bool map_card(
	const struct map *map, enum map_type type, struct span what, int64_t now, struct map_card *out);

/* By name as it is written (MAP_USER, MAP_GROUP) or number (MAP_UID, MAP_GID). what: as in the key. */
bool map_account(
	const struct map *map, enum map_type type, struct span what, int64_t now, struct map_account *out);

/* Goes through all of them (MAP_USERS, MAP_GROUPS) from *place, which is set behind the one that it found;
 * false at the end. */
bool map_account_next(
	const struct map *map, enum map_type type, int64_t now, uint32_t *place, struct map_account *out);

/* Takes the next admitted login off *logins; false at the end. keys: its SSH public keys, MAP_SSH_KEY bytes
 * each. */
bool map_login_next(struct span *logins, struct span *login, struct span *account, struct span *keys);

/* True when addr lies in a mesh prefix. */
bool map_in_mesh(const struct map *map, const struct addr *addr);
/* True when name is DOMAIN or ends in ".DOMAIN". */
bool map_in_domain(const struct map *map, struct span name);

#endif
