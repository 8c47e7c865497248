/* map.c: reads the map: a bounds-checked cdb reader and the records in it; see map.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "map.h"
#include "paths.h"

#define TABLES 2048	      /* bytes of the cdb's table of hash tables, 256 times 8 */
#define VALUE_MAX (64U << 20) /* more no roster gives; answers of such sizes cannot overflow */

/* Takes n bytes off the front; false when fewer are left. Inline: every lookup takes some twenty things. */
static inline bool take(struct span *rest, uint64_t n, struct span *out) {
	if (n > rest->n)
		return false;
	*out = span_of(rest->p, (size_t)n);
	*rest = span_of(rest->p + n, rest->n - (size_t)n);
	return true;
}

/* Takes a little-endian number; of the cdb's own ones, of 32 bits each, two at once. */
static inline bool take_number(struct span *rest, uint64_t *out) {
	struct span bytes;

	if (!take(rest, sizeof *out, &bytes))
		return false;
	memcpy(out, bytes.p, sizeof *out);
	*out = le64toh(*out);
	return true;
}

static inline bool take_part(struct span *rest, struct span *out) {
	uint64_t n;

	return take_number(rest, &n) && take(rest, n, out);
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

static bool record_at(const struct map *map, size_t at, struct span *key, struct span *value) {
	struct span rest = span_from(span_of(map->base, map->size), at);
	uint64_t sizes; /* of the value, of the key */

	return take_number(&rest, &sizes) && sizes >> 32 <= VALUE_MAX && take(&rest, (uint32_t)sizes, key) &&
	       take(&rest, sizes >> 32, value);
}

/* Looks a record up as cdb does: the low byte of the hash chooses a table, the rest of it the slot
 * where the search starts. It ends at an empty slot, at the file's end, or after as many steps as there
 * are slots. */
static bool find(const struct map *map, enum map_type type, struct span what, struct span *value) {
	uint8_t key[MAP_KEY_MAX];
	size_t key_n = map_record_key(type, what, key);
	struct span file = span_of(map->base, map->size), rest, found;
	uint64_t table, slots, slot;
	uint32_t hash = 5381;

	for (size_t i = 0; i < key_n; i++)
		hash = ((hash << 5) + hash) ^ key[i];
	rest = span_from(file, hash % 256 * 8);
	if (key_n == 0 || !take_number(&rest, &table))
		return false;
	slots = table >> 32;
	for (uint64_t i = 0; i < slots; i++) {
		rest = span_from(file, (size_t)((uint32_t)table + ((hash >> 8) + i) % slots * 8));
		if (!take_number(&rest, &slot) || slot >> 32 == 0)
			return false;
		if ((uint32_t)slot == hash && record_at(map, (size_t)(slot >> 32), &found, value) &&
			span_eq(found, span_of(key, key_n)))
			return true;
	}
	return false;
}

bool map_header(const struct map *map, struct map_header *out) {
	struct span *rest = &out->prefixes, key; /* they are what is left */
	uint64_t version, size;

	return record_at(map, TABLES, &key, rest) && span_is(key, MAP_HEADER_KEY) &&
	       take_number(rest, &version) && version >> 32 == MAP_VERSION && take_number(rest, &size) &&
	       size == map->size && take_part(rest, &out->interface) && take_part(rest, &out->domain);
}

bool map_superseded(const struct map *map) {
	const void *word = map->base + MAP_SUPERSEDED;

	return __atomic_load_n((const uint32_t *)word, __ATOMIC_ACQUIRE) != 0;
}

int map_open(struct map *map, const char *path) {
	struct map_header header;
	struct stat st;
	void *base;
	int fd = path_open_trusted(path, O_RDONLY, S_IFREG, &st);

	*map = (struct map){0};
	if (fd < 0)
		return errno;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (base == MAP_FAILED)
		return errno;
	*map = (struct map){base, (size_t)st.st_size};
	if (map_header(map, &header))
		return 0;
	map_close(map);
	return EINVAL;
}

void map_close(struct map *map) {
	if (map->base)
		munmap((void *)(uintptr_t)map->base, map->size);
	*map = (struct map){0};
}

bool map_in_mesh(const struct map *map, const struct addr *addr) {
	struct map_header header;
	struct prefix prefix;
	struct span bytes;

	if (!map_header(map, &header))
		return false;
	while (take(&header.prefixes, sizeof prefix, &bytes)) {
		memcpy(&prefix, bytes.p, sizeof prefix);
		if (prefix.bits <= addr_size(addr) * 8 && prefix_covers(&prefix, addr))
			return true;
	}
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
		if (folded(name.p[before + i]) != header.domain.p[i])
			return false;
	return before == 0 || name.p[before - 1] == '.';
}

/* Takes the record's expiry; false when it is over. */
static bool is_live(struct span *rest, int64_t now) {
	uint64_t expires;

	return take_number(rest, &expires) && now < (int64_t)expires;
}

bool map_card(
	const struct map *map, enum map_type type, struct span what, int64_t now, struct map_card *out) {
	struct span *rest = &out->logins; /* they are what is left */

	return find(map, type, type == MAP_NAME ? undotted(what) : what, rest) && is_live(rest, now) &&
	       take_number(rest, &out->sn) && take_part(rest, &out->name) && take_part(rest, &out->alias) &&
	       take_part(rest, &out->aid) && take_part(rest, &out->said) && take_part(rest, &out->v4) &&
	       take_part(rest, &out->v6);
}

static bool read_account(struct span rest, int64_t now, struct map_account *out) {
	uint64_t numbers = 0;
	bool good = is_live(&rest, now) && take_number(&rest, &numbers);

	for (size_t i = 0; good && i < MAP_TEXTS; i++)
		good = take_part(&rest, &out->texts[i]);
	out->id = (uint32_t)numbers;
	out->gid = (uint32_t)(numbers >> 32);
	return good;
}

bool map_account(
	const struct map *map, enum map_type type, struct span what, int64_t now, struct map_account *out) {
	struct span value;

	return find(map, type, what, &value) && read_account(value, now, out);
}

bool map_account_next(
	const struct map *map, enum map_type type, int64_t now, uint32_t *place, struct map_account *out) {
	bool more = true, found = false;
	struct span value;

	while (more && !found) {
		uint32_t key = htole32(*place);

		more = find(map, type, span_of(&key, sizeof key), &value);
		found = more && read_account(value, now, out);
		*place += more;
	}
	return found;
}

bool map_login_next(struct span *logins, struct span *login, struct span *account, struct span *keys) {
	return take_part(logins, login) && take_part(logins, account) && take_part(logins, keys);
}
