/* map_build.c: writes the roster as a map file; see map_build.h, and map.h for the format. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <cdb.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "card.h"
#include "file.h"
#include "map.h"
#include "map_build.h"

#define NAME_SIZE (LABEL_MAX + CESR_TEXT + DOMAIN_MAX + 3) /* LABEL.AID.DOMAIN and a NUL */
#define SIZE_AT (MAP_SUPERSEDED + 8)

static void put_number(FILE *out, uint64_t value) {
	uint64_t le = htole64(value);

	fwrite(&le, sizeof le, 1, out);
}

static void put_text(FILE *out, const char *text) {
	put_number(out, strlen(text));
	fputs(text, out);
}

/* Is this entry of a card, "LOGIN:KEY", of that login? */
static bool read_loginkey(struct span text, const char *login, uint8_t key[static CESR_RAW]) {
	size_t n = strlen(login);

	return span_starts(text, login) && text.n > n && text.p[n] == ':' &&
	       cesr_decode(span_from(text, n + 1), CESR_ED25519, key);
}

static void put_loginkeys(FILE *out, struct span list, const char *login) {
	uint8_t wire[] = "\0\0\0\x0bssh-ed25519\0\0\0\x20................................";
	uint8_t *key = wire + sizeof wire - 1 - CESR_RAW;
	char base64[sodium_base64_ENCODED_LEN(sizeof wire - 1, sodium_base64_VARIANT_ORIGINAL)];
	struct span rest = list, text;
	uint64_t n = 0;

	while (event_next_text(&rest, &text))
		n += read_loginkey(text, login, key);
	put_number(out, n * MAP_SSH_KEY);
	while (event_next_text(&list, &text))
		if (read_loginkey(text, login, key))
			fprintf(out, "ssh-ed25519 %s",
				sodium_bin2base64(base64, sizeof base64, wire, sizeof wire - 1,
					sodium_base64_VARIANT_ORIGINAL));
}

static void put_addrs(FILE *out, const struct roster_host *host, int family) {
	size_t n = 0;

	for (size_t i = 0; i < host->naddrs; i++)
		n += host->addrs[i].family == family;
	put_number(out, n * (family == AF_INET ? 4 : 16));
	for (size_t i = 0; i < host->naddrs; i++)
		if (host->addrs[i].family == family)
			fwrite(host->addrs[i].bytes, addr_size(&host->addrs[i]), 1, out);
}

/* Adds a record. False with errno. */
static bool add(struct cdb_make *cdb, enum map_type type, struct span key, const char *value, size_t n) {
	uint8_t record_key[MAP_KEY_MAX];
	size_t key_n = map_record_key(type, key, record_key);

	return cdb_make_add(cdb, record_key, (unsigned)key_n, value, (unsigned)n) == 0;
}

static bool add_header(struct cdb_make *cdb, const struct policy *policy) {
	struct prefix derived;
	char *value = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&value, &n);
	bool good;

	if (!out)
		return false;
	put_number(out, (uint64_t)MAP_VERSION << 32); /* not superseded */
	put_number(out, 0);			      /* for map_build to fill */
	put_text(out, policy->interface);
	put_text(out, policy->domain);
	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];

		derived = derived_prefix(peer->aid);
		if (peer->aid[0])
			fwrite(&derived, sizeof derived, 1, out);
		for (size_t j = 0; j < peer->nallowed; j++)
			fwrite(&peer->allowed[j], sizeof peer->allowed[j], 1, out);
	}
	good = fflush(out) == 0 && !ferror(out) && add(cdb, MAP_HEADER, span_str("map"), value, n);
	fclose(out);
	free(value);
	return good;
}

static bool add_host(struct cdb_make *cdb, const struct roster_host *host, const char *domain) {
	char name[NAME_SIZE], alias[NAME_SIZE], *value = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&value, &n);
	bool good;

	if (!out)
		return false;
	snprintf(name, sizeof name, "%s.%s.%s", host->label, host->peer->name, domain);
	snprintf(alias, sizeof alias, "%s.%s.%s", host->label, host->peer->aid, domain);
	put_number(out, (uint64_t)host->expires);
	put_number(out, host->sn);
	put_text(out, name);
	put_text(out, alias);
	put_text(out, host->peer->aid);
	put_text(out, host->said);
	put_addrs(out, host, AF_INET);
	put_addrs(out, host, AF_INET6);
	for (size_t i = 0; i < host->nlogins; i++) {
		put_text(out, host->logins[i].login);
		put_text(out, host->logins[i].account);
		put_loginkeys(out, host->loginkeys, host->logins[i].login);
	}
	good = fflush(out) == 0 && !ferror(out) && add(cdb, MAP_NAME, span_str(name), value, n) &&
	       add(cdb, MAP_NAME, span_str(alias), value, n) &&
	       add(cdb, MAP_KEY, span_of(host->key, WG_KEY_BYTES), value, n);
	/* it gets the addresses at its first handshake, before there is another map (DESIGN.md 8) */
	if (good && host->next.from)
		good = add(cdb, MAP_KEY, span_of(host->next.key, WG_KEY_BYTES), value, n);
	for (size_t i = 0; good && i < host->naddrs; i++)
		good = add(
			cdb, MAP_ADDR, span_of(host->addrs[i].bytes, addr_size(&host->addrs[i])), value, n);
	fclose(out);
	free(value);
	return good;
}

/* %u is the login, %p the petname, %% a %. */
static void put_home(FILE *out, const char *home, const struct account *account) {
	char text[sizeof account->peer->name * sizeof((struct policy *)0)->home] = "", *end = text;

	for (; *home; home++)
		if (*home != '%' || *++home == '%')
			*end++ = *home;
		else
			end = stpcpy(end, *home == 'u' ? account->login->login : account->peer->name);
	put_text(out, text);
}

/* Adds an account, or its group. The password is one that nothing typed ever is: "x" would send pam_unix to
 * a shadow that is not there, and that refuses every login; an empty one would be none. */
static bool add_account(struct cdb_make *cdb, const struct account *account, bool group, uint32_t place,
	const struct policy *policy) {
	const char *name = group ? account->peer->name : account->login->account;
	uint32_t id = group ? account->gid : account->uid, id_key = htole32(id), place_key = htole32(place);
	char *value = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&value, &n);
	bool good;

	if (!out)
		return false;
	put_number(out, (uint64_t)account->expires);
	put_number(out, (uint64_t)account->gid << 32 | id);
	put_text(out, name);
	put_text(out, "*");
	put_text(out, "");
	put_home(out, group ? "" : policy->home, account);
	put_text(out, group ? "" : policy->shell);
	good = fflush(out) == 0 && !ferror(out) &&
	       add(cdb, group ? MAP_GROUP : MAP_USER, span_str(name), value, n) &&
	       add(cdb, group ? MAP_GID : MAP_UID, span_of(&id_key, sizeof id_key), value, n) &&
	       add(cdb, group ? MAP_GROUPS : MAP_USERS, span_of(&place_key, sizeof place_key), value, n);
	fclose(out);
	free(value);
	return good;
}

/* Those of one peer stand together in the roster. */
static bool add_accounts(struct cdb_make *cdb, const struct roster *roster) {
	uint32_t groups = 0;
	bool good = true;

	for (uint32_t i = 0; good && i < roster->naccounts; i++) {
		const struct account *account = &roster->accounts[i];

		if (i == 0 || account->peer != account[-1].peer)
			good = add_account(cdb, account, true, groups++, roster->policy);
		good = good && add_account(cdb, account, false, i, roster->policy);
	}
	return good;
}

/* Writes the whole map, but for its size. False with errno. */
static bool write_map(const struct roster *roster, int fd) {
	struct cdb_make cdb;
	bool good = cdb_make_start(&cdb, fd) == 0 && add_header(&cdb, roster->policy) &&
		    add_accounts(&cdb, roster);

	for (size_t i = 0; good && i < roster->nhosts; i++)
		good = add_host(&cdb, &roster->hosts[i], roster->policy->domain);
	/* finish frees what the library holds, so it is called in any case */
	return cdb_make_finish(&cdb) == 0 && good;
}

/* Sets the superseded word of the map at path, which readers may have mapped. False with errno. */
static bool mark(const char *path, uint32_t superseded) {
	char key[sizeof MAP_HEADER_KEY - 1];
	uint32_t le = htole32(superseded);
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool good;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP;
	/* whatever else stands there is not written to */
	good = pread(fd, key, sizeof key, MAP_SUPERSEDED - sizeof key) != sizeof key ||
	       memcmp(key, MAP_HEADER_KEY, sizeof key) != 0 ||
	       pwrite(fd, &le, sizeof le, MAP_SUPERSEDED) == sizeof le;
	close(fd);
	return good;
}

bool map_make(const struct roster *roster, const char *path, uint8_t **data, size_t *n, struct err *err) {
	int fd = memfd_create("map", MFD_CLOEXEC);
	void *base = MAP_FAILED;
	struct stat st;
	uint64_t size;

	if (fd >= 0 && write_map(roster, fd) && fstat(fd, &st) == 0)
		base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		err_set(err, ERR_ENV, "%s: %m", path);
	if (fd >= 0)
		close(fd);
	if (base == MAP_FAILED)
		return false;
	*data = base;
	*n = (size_t)st.st_size;
	size = htole64(*n);
	memcpy(*data + SIZE_AT, &size, sizeof size);
	return true;
}

bool map_build(const struct roster *roster, const char *path, struct err *err) {
	char beside[PATH_MAX];
	uint8_t *data;
	size_t n;
	bool good;

	if (!map_make(roster, path, &data, &n, err))
		return false;
	good = file_write_beside(path, span_of(data, n), 0644, beside, err);
	munmap(data, n);
	if (!good)
		return false;
	/* from here on to the rename, readers look for it at each call */
	if (mark(path, 1))
		good = file_rename(beside, path, err);
	else
		good = err_set(err, ERR_ENV, "%s: %m", path);
	if (!good) {
		unlink(beside);
		mark(path, 0);
	}
	return good;
}
