/* map_build.c: writes the roster as a map file; see map_build.h, and map.h for the format. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <cdb.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "card.h"
#include "map.h"
#include "map_build.h"

#define NAME_SIZE (LABEL_MAX + CESR_TEXT + DOMAIN_MAX + 3) /* LABEL.AID.DOMAIN and a NUL */

/* A host and the names that its records carry. */
struct entry {
	const struct roster_host *host;
	char name[NAME_SIZE], alias[NAME_SIZE];
};

/* Writes what stands behind the sum in a record. */
typedef void body_writer(FILE *out, const void *what);

static void put_u32(FILE *out, size_t value) {
	uint32_t le = htole32((uint32_t)value);

	fwrite(&le, sizeof le, 1, out);
}

static void put_u64(FILE *out, uint64_t value) {
	uint64_t le = htole64(value);

	fwrite(&le, sizeof le, 1, out);
}

static void put_text(FILE *out, const char *text) {
	put_u32(out, strlen(text));
	fputs(text, out);
}

static void put_addrs(FILE *out, const struct roster_host *host, int family) {
	size_t n = 0;

	for (size_t i = 0; i < host->naddrs; i++)
		n += host->addrs[i].family == family;
	put_u32(out, n * (family == AF_INET ? 4 : 16));
	for (size_t i = 0; i < host->naddrs; i++)
		if (host->addrs[i].family == family)
			fwrite(host->addrs[i].bytes, addr_size(&host->addrs[i]), 1, out);
}

static void put_prefix(FILE *out, const struct prefix *prefix) {
	fputc(prefix->addr.family == AF_INET ? 4 : 6, out);
	fputc(prefix->bits, out);
	fwrite(prefix->addr.bytes, (prefix->bits + 7U) / 8, 1, out);
}

static void write_header(FILE *out, const void *what) {
	const struct policy *policy = what;

	put_u32(out, MAP_VERSION);
	put_text(out, policy->interface);
	put_text(out, policy->domain);
	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];
		struct prefix derived = derived_prefix(peer->aid);

		if (peer->aid[0])
			put_prefix(out, &derived);
		for (size_t j = 0; j < peer->nallowed; j++)
			put_prefix(out, &peer->allowed[j]);
	}
}

static void write_host(FILE *out, const void *what) {
	const struct entry *entry = what;

	put_u64(out, (uint64_t)entry->host->expires);
	put_text(out, entry->name);
	put_text(out, entry->alias);
	put_addrs(out, entry->host, AF_INET);
	put_addrs(out, entry->host, AF_INET6);
}

static void write_card(FILE *out, const void *what) {
	const struct entry *entry = what;
	const struct roster_host *host = entry->host;

	put_u64(out, (uint64_t)host->expires);
	put_u64(out, host->sn);
	put_text(out, host->peer->name);
	put_text(out, host->label);
	put_text(out, entry->name);
	put_text(out, host->peer->aid);
	put_text(out, host->said);
	put_addrs(out, host, AF_INET);
	put_addrs(out, host, AF_INET6);
	for (size_t i = 0; i < host->nlogins; i++) {
		put_text(out, host->logins[i].login);
		put_text(out, host->logins[i].account);
	}
}

/* Adds one record. False with errno. */
static bool add(
	struct cdb_make *cdb, enum map_type type, struct span key, body_writer *write, const void *what) {
	uint8_t record_key[MAP_KEY_MAX];
	size_t key_n = map_record_key(type, key, record_key), n = 0, body;
	char *value = NULL;
	FILE *out = open_memstream(&value, &n);
	uint64_t sum;
	bool ok;

	if (!out)
		return false;
	if (type == MAP_HEADER)
		put_u32(out, 0); /* not superseded */
	put_u64(out, 0);	 /* the sum's place */
	body = (size_t)ftell(out);
	write(out, what);
	ok = !ferror(out);
	ok = fclose(out) == 0 && ok;
	if (ok) {
		sum = htole64(map_sum(span_of(value + body, n - body)));
		memcpy(value + body - sizeof sum, &sum, sizeof sum);
		ok = cdb_make_add(cdb, record_key, (unsigned)key_n, value, (unsigned)n) == 0;
	}
	free(value);
	return ok;
}

static bool add_host(struct cdb_make *cdb, const struct roster_host *host, const char *domain) {
	struct entry entry = {.host = host};
	bool ok;

	snprintf(entry.name, NAME_SIZE, "%s.%s.%s", host->label, host->peer->name, domain);
	snprintf(entry.alias, NAME_SIZE, "%s.%s.%s", host->label, host->peer->aid, domain);
	ok = add(cdb, MAP_NAME, span_str(entry.name), write_host, &entry) &&
	     add(cdb, MAP_NAME, span_str(entry.alias), write_host, &entry) &&
	     add(cdb, MAP_KEY, span_of(host->key, WG_KEY_BYTES), write_card, &entry);
	for (size_t i = 0; ok && i < host->naddrs; i++)
		ok = add(cdb, MAP_ADDR, span_of(host->addrs[i].bytes, addr_size(&host->addrs[i])),
			write_host, &entry);
	return ok;
}

/* Writes the whole map to a file just made. False with errno. */
static bool write_map(const struct roster *roster, int fd) {
	struct cdb_make cdb;
	bool ok =
		cdb_make_start(&cdb, fd) == 0 &&
		add(&cdb, MAP_HEADER, span_from(span_str(MAP_HEADER_KEY), 1), write_header, roster->policy);

	for (size_t i = 0; ok && i < roster->nhosts; i++)
		ok = add_host(&cdb, &roster->hosts[i], roster->policy->domain);
	/* finish frees what the library holds, so it is called in any case */
	ok = cdb_make_finish(&cdb) == 0 && ok;
	return ok && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

/* Sets the superseded word of the map at fd, -1 for none. */
static bool mark(int fd, uint32_t superseded) {
	uint32_t le = htole32(superseded);

	return fd < 0 || pwrite(fd, &le, sizeof le, MAP_SUPERSEDED) == sizeof le;
}

/* Opens the map that readers may have mapped; *fd is -1 when there is none. False with errno. */
static bool open_old(const char *path, int *fd) {
	char key[sizeof MAP_HEADER_KEY - 1];

	*fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return errno == ENOENT || errno == ELOOP;
	/* whatever else stands there is not written to */
	if (pread(*fd, key, sizeof key, MAP_SUPERSEDED - sizeof key) != sizeof key ||
		memcmp(key, MAP_HEADER_KEY, sizeof key) != 0) {
		close(*fd);
		*fd = -1;
	}
	return true;
}

/* Puts the finished file in the old one's place. False with errno, and nothing has changed. */
static bool replace(const char *temp, const char *path) {
	char copy[PATH_MAX];
	int dir, old = -1;
	bool ok;

	dir = open(dirname(strcpy(copy, temp)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = dir >= 0 && open_old(path, &old) && mark(old, 1);
	if (ok && rename(temp, path) != 0) {
		int saved = errno;

		mark(old, 0);
		errno = saved;
		ok = false;
	}
	/* Nothing to do when this fails: a crash leaves the old map or the new one, both whole. */
	if (ok)
		fsync(dir);
	if (old >= 0)
		close(old);
	if (dir >= 0)
		close(dir);
	return ok;
}

bool map_build(const struct roster *roster, const char *path, struct err *err) {
	char temp[PATH_MAX];
	bool ok;
	int fd;

	if (strlen(path) >= sizeof temp - sizeof ".new")
		return err_set(err, ERR_ENV, "%s: %s", path, strerror(ENAMETOOLONG));
	snprintf(temp, sizeof temp, "%s.new", path);
	unlink(temp); /* left by a writer that died */
	fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, ERR_ENV, "%s: %s", temp, strerror(errno));
	ok = write_map(roster, fd);
	if (!ok)
		err_set(err, ERR_ENV, "%s: %s", temp, strerror(errno));
	else if (!replace(temp, path))
		ok = err_set(err, ERR_ENV, "%s: %s", path, strerror(errno));
	close(fd);
	if (!ok)
		unlink(temp);
	return ok;
}
