/* map.c: reads the map: a bounds-checked cdb reader and the records in it; see map.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "map.h"

#define TABLES 2048	      /* bytes of the cdb's table of hash tables, 256 times 8 */
#define VALUE_MAX (64U << 20) /* more no roster gives; sums of such lengths cannot overflow */

/* Takes n bytes off the front; false when fewer are left. */
static bool take(struct span *rest, size_t n, struct span *out) {
	*out = span_cut(*rest, 0, n);
	*rest = span_from(*rest, n);
	return out->n == n;
}

/* Takes a little-endian number of up to 8 bytes. */
static bool take_number(struct span *rest, size_t size, uint64_t *out) {
	struct span bytes;

	*out = 0;
	if (!take(rest, size, &bytes))
		return false;
	memcpy(out, bytes.p, size);
	*out = le64toh(*out);
	return true;
}

/* Takes two numbers of 4 bytes: all that cdb itself is made of. */
static bool take_pair(struct span *rest, uint32_t *first, uint32_t *second) {
	uint64_t both;
	bool ok = take_number(rest, sizeof both, &both);

	*first = (uint32_t)both;
	*second = (uint32_t)(both >> 32);
	return ok;
}

static bool take_part(struct span *rest, struct span *out) {
	uint64_t n;

	return take_number(rest, 4, &n) && take(rest, (size_t)n, out);
}

static uint8_t folded(uint8_t c) {
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

size_t map_record_key(enum map_type type, struct span what, uint8_t key[static MAP_KEY_MAX]) {
	if (what.n >= MAP_KEY_MAX)
		return 0;
	key[0] = (uint8_t)type;
	for (size_t i = 0; i < what.n; i++)
		key[i + 1] = type == MAP_NAME ? folded(what.p[i]) : what.p[i];
	return what.n + 1;
}

/* FNV-1a by words of eight bytes. Each step maps different sums to different sums, so that one
 * changed word is never lost. */
uint64_t map_sum(struct span body) {
	uint64_t sum = body.n, word;
	struct span head;

	while (body.n) {
		take(&body, body.n < sizeof word ? body.n : sizeof word, &head);
		take_number(&head, head.n, &word);
		sum = (sum ^ word) * 0x100000001b3;
	}
	return sum;
}

/* The value of the record at this offset, if it has this key. */
static bool record_at(const struct map *map, uint32_t at, struct span key, struct span *value) {
	struct span rest = span_from(span_of(map->base, map->size), at), found;
	uint32_t key_n, value_n;

	return take_pair(&rest, &key_n, &value_n) && value_n <= VALUE_MAX && take(&rest, key_n, &found) &&
	       span_eq(found, key) && take(&rest, value_n, value);
}

/* Verifies the sum of a record that was found, and its expiry. */
static bool take_expiry(struct span *value, int64_t now, int64_t *expires) {
	uint64_t sum, number;

	if (!take_number(value, sizeof sum, &sum) || sum != map_sum(*value) ||
		!take_number(value, sizeof number, &number))
		return false;
	*expires = (int64_t)number;
	return now < *expires;
}

/* Looks a record up as cdb does: the low byte of the hash chooses a table, the rest of it the slot
 * where the search starts. It ends at an empty slot, or after as many steps as there are slots.
 * *body is set to what stands behind the expiry. */
static bool find(const struct map *map, enum map_type type, struct span what, int64_t now, int64_t *expires,
	struct span *body) {
	uint8_t key[MAP_KEY_MAX];
	size_t key_n = map_record_key(type, what, key);
	struct span file = span_of(map->base, map->size), table, slot;
	uint32_t hash = 5381, slots, slot_hash, at;

	for (size_t i = 0; i < key_n; i++)
		hash = ((hash << 5) + hash) ^ key[i];
	table = span_cut(file, hash % 256 * 8, 8);
	if (key_n == 0 || !take_pair(&table, &at, &slots) || slots > file.n / 8)
		return false;
	table = span_cut(file, at, slots * (size_t)8);
	for (uint32_t i = 0; i < slots; i++) {
		slot = span_from(table, ((hash >> 8) + (size_t)i) % slots * 8);
		if (!take_pair(&slot, &slot_hash, &at) || at == 0)
			return false;
		if (slot_hash == hash && record_at(map, at, span_of(key, key_n), body))
			return take_expiry(body, now, expires);
	}
	return false;
}

/* Reads the file's first record. The sum is verified once, by map_open. */
static bool read_header(const struct map *map, bool verify, struct map_header *out) {
	uint64_t superseded, sum, version;
	struct span *rest = &out->prefixes; /* they are what is left */

	return record_at(map, TABLES, span_str(MAP_HEADER_KEY), rest) && take_number(rest, 4, &superseded) &&
	       take_number(rest, sizeof sum, &sum) && (!verify || sum == map_sum(*rest)) &&
	       take_number(rest, 4, &version) && version == MAP_VERSION &&
	       take_part(rest, &out->interface) && take_part(rest, &out->domain);
}

bool map_header(const struct map *map, struct map_header *out) {
	return read_header(map, false, out);
}

bool map_superseded(const struct map *map) {
	const void *word = map->base + MAP_SUPERSEDED;

	return __atomic_load_n((const uint32_t *)word, __ATOMIC_ACQUIRE) != 0;
}

/* Opens what is of this type, uid 0's, and writable by nobody else; -1 with errno. */
static int open_trusted(int dir, const char *name, int flags, mode_t type, struct stat *st) {
	int fd = openat(dir, name, flags | O_CLOEXEC);

	if (fd < 0 || (fstat(fd, st) == 0 && st->st_uid == 0 &&
			      (st->st_mode & (S_IFMT | S_IWGRP | S_IWOTH)) == type))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* The last of the hash tables, which stand at the end, ends with the file. */
static bool whole(const struct map *map) {
	struct span heads = span_cut(span_of(map->base, map->size), 0, TABLES);
	uint64_t end = 0;
	uint32_t at, slots;

	while (take_pair(&heads, &at, &slots))
		if (at + slots * UINT64_C(8) > end)
			end = at + slots * UINT64_C(8);
	return end == map->size;
}

/* Maps the open file; 0 or an errno value. */
static int map_file(struct map *map, int fd, off_t size) {
	struct map_header header;
	void *base;

	if (size < TABLES || (uintmax_t)size > UINT32_MAX)
		return EINVAL;
	base = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return errno;
	*map = (struct map){base, (size_t)size};
	if (whole(map) && read_header(map, true, &header))
		return 0;
	map_close(map);
	return EINVAL;
}

int map_open(struct map *map, const char *path) {
	const char *slash = strrchr(path, '/');
	int saved = errno, dir, fd = -1, rc;
	char dir_path[PATH_MAX];
	struct stat st;

	*map = (struct map){0};
	if (!slash || !span_copy(span_of(path, (size_t)(slash - path) + 1), dir_path, PATH_MAX))
		return EINVAL;
	dir = open_trusted(AT_FDCWD, dir_path, O_PATH | O_DIRECTORY, S_IFDIR, &st);
	if (dir >= 0) /* a pipe in its place must not hang the process */
		fd = open_trusted(dir, slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, S_IFREG, &st);
	rc = fd >= 0 ? map_file(map, fd, st.st_size) : errno;
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	errno = saved;
	return rc;
}

void map_close(struct map *map) {
	if (map->base)
		munmap((void *)(uintptr_t)map->base, map->size);
	*map = (struct map){0};
}

bool map_prefix_next(struct span *prefixes, struct prefix *out) {
	struct span head, bytes;

	*out = (struct prefix){0};
	if (!take(prefixes, 2, &head) || (head.p[0] != 4 && head.p[0] != 6))
		return false;
	out->addr.family = head.p[0] == 4 ? AF_INET : AF_INET6;
	out->bits = head.p[1];
	if (out->bits > addr_size(&out->addr) * 8 || !take(prefixes, (out->bits + 7U) / 8, &bytes))
		return false;
	if (bytes.n)
		memcpy(out->addr.bytes, bytes.p, bytes.n);
	return true;
}

bool map_in_mesh(const struct map *map, const struct addr *addr) {
	struct map_header header;
	struct prefix prefix;

	if (!map_header(map, &header))
		return false;
	while (map_prefix_next(&header.prefixes, &prefix))
		if (prefix_covers(&prefix, addr))
			return true;
	return false;
}

static struct span undotted(struct span name) {
	return span_cut(name, 0, name.n - (name.n && name.p[name.n - 1] == '.'));
}

bool map_in_domain(const struct map *map, struct span name) {
	struct map_header header;
	size_t before;

	name = undotted(name);
	if (!map_header(map, &header) || header.domain.n == 0 || name.n < header.domain.n)
		return false;
	before = name.n - header.domain.n;
	for (size_t i = 0; i < header.domain.n; i++)
		if (folded(name.p[before + i]) != folded(header.domain.p[i]))
			return false;
	return before == 0 || name.p[before - 1] == '.';
}

/* Both lists of addresses, whole ones only. */
static bool take_addrs(struct span *rest, struct span *v4, struct span *v6) {
	return take_part(rest, v4) && take_part(rest, v6) && v4->n % 4 == 0 && v6->n % 16 == 0;
}

static bool find_host(
	const struct map *map, enum map_type type, struct span what, int64_t now, struct map_host *out) {
	struct span rest;

	return find(map, type, what, now, &out->expires, &rest) && take_part(&rest, &out->name) &&
	       take_part(&rest, &out->alias) && take_addrs(&rest, &out->v4, &out->v6);
}

bool map_by_name(const struct map *map, struct span name, int64_t now, struct map_host *out) {
	return find_host(map, MAP_NAME, undotted(name), now, out);
}

bool map_by_addr(const struct map *map, const struct addr *addr, int64_t now, struct map_host *out) {
	return find_host(map, MAP_ADDR, span_of(addr->bytes, addr_size(addr)), now, out);
}

bool map_by_key(
	const struct map *map, const uint8_t key[static WG_KEY_BYTES], int64_t now, struct map_card *out) {
	struct span *rest = &out->logins; /* they are what is left */

	return find(map, MAP_KEY, span_of(key, WG_KEY_BYTES), now, &out->expires, rest) &&
	       take_number(rest, sizeof out->sn, &out->sn) && take_part(rest, &out->peer) &&
	       take_part(rest, &out->label) && take_part(rest, &out->name) && take_part(rest, &out->aid) &&
	       take_part(rest, &out->said) && take_addrs(rest, &out->v4, &out->v6);
}

bool map_login_next(struct span *logins, struct span *login, struct span *account) {
	return take_part(logins, login) && take_part(logins, account);
}
