/* keyring_build.c: makes and fills the mesh's ring in the kernel keyring; see keyring_build.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "keyring.h"
#include "keyring_build.h"
#include "paths.h"

/* All rights for possessor and user: under systemd's KeyringMode=private root possesses nothing. */
#define OURS (KEY_POS_ALL | KEY_USR_ALL)

#define SHARD_KEYS 16000 /* a ring over 16,383 keys leaks quota when it is cleared */
#define SHARDS 64	 /* more keys than the kernel lets uid 0 have */
#define RING_NAME 64

/* A ring of peer keys. */
struct shard {
	int32_t id; /* 0: not made yet */
	size_t n;   /* keys in it */
};

/* A peer key that the roster wants. */
struct want {
	const struct roster_host *host;
	bool there;
};

struct sync {
	struct shard shards[SHARDS];
	struct want *wants; /* sorted by key */
	size_t nwants;
	const char *domain;
	time_t now;
	struct err *err;
	bool failed; /* err is filled */
};

/* Turns errno into one line. */
static bool fail(struct err *err, const char *what) {
	const char *mend = "";

	if (errno == EDQUOT)
		mend = ": raise kernel.keys.root_maxkeys and root_maxbytes (sysctl)";
	else if (errno == EACCES)
		mend = ": see who made it (keyctl show @u) and unlink it";
	else if (errno == ENOSYS || errno == EPERM)
		mend = ": allow add_key and keyctl here (a container's seccomp profile?)";
	return err_set(err, ERR_ENV, "kernel keyring: %s: %m%s", what, mend);
}

/* Makes a key and links it into the ring when it is complete, in place of one of that type and
 * name, so that a reader sees the old or the new one. It is made in the thread keyring because only
 * a possessor may set the permissions of a new key. timeout 0: none. */
static int32_t put(int32_t ring, const char *type, const char *name, struct span payload, unsigned timeout) {
	int32_t id = add_key(type, name, payload.p, payload.n, KEY_SPEC_THREAD_KEYRING);
	bool done;
	int saved;

	if (id < 0)
		return -1;
	done = keyctl_setperm(id, OURS) == 0 && keyctl_set_timeout(id, timeout) == 0 &&
	       keyctl_link(id, ring) == 0;
	saved = errno;
	keyctl_unlink(id, KEY_SPEC_THREAD_KEYRING);
	errno = saved;
	return done ? id : -1;
}

/* The serials in a ring; the caller frees *ids. */
static bool list(int32_t ring, int32_t **ids, size_t *n) {
	void *data = NULL;
	int bytes = keyctl_read_alloc(ring, &data);

	*ids = bytes < 0 ? NULL : data;
	*n = bytes < 0 ? 0 : (size_t)bytes / sizeof **ids;
	return bytes >= 0;
}

/* As put makes them, and usable: neither expired nor revoked. */
static bool is_ours(int32_t id, const char *type, struct keyring_key *key) {
	return keyring_describe(id, key) == 0 && strcmp(key->type, type) == 0 && key->uid == 0 &&
	       key->permissions == OURS;
}

/* Finds verimesh:INTERFACE in uid 0's user keyring itself (a search goes into nested rings too).
 * *ring is 0 when there is none, or only a dead one. */
static bool find_ring(const char *name, int32_t *ring, struct err *err) {
	int32_t *ids, id = (int32_t)keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", name, 0);
	struct keyring_key key = {0};
	size_t n, i = 0;

	*ring = 0;
	if (id < 0 && (errno == ENOKEY || errno == EKEYREVOKED || errno == EKEYEXPIRED))
		return true;
	if (id < 0)
		return fail(err, name);
	if (!list(KEY_SPEC_USER_KEYRING, &ids, &n))
		return fail(err, "uid 0's user keyring");
	while (i < n && ids[i] != id)
		i++;
	free(ids);
	if (i == n)
		return true;
	if (!is_ours(id, "keyring", &key))
		return err_set(err, ERR_ENV,
			"kernel keyring: %s is there, but not as verimesh makes it (uid %" PRIu32
			", permissions %08" PRIx32 "): see who made it, then `keyctl unlink %" PRId32 " @u`",
			name, key.uid, key.permissions, id);
	*ring = id;
	return true;
}

static bool check_root(struct err *err) {
	if (getuid() == 0 && geteuid() == 0)
		return true;
	return err_set(err, ERR_ENV, "kernel keyring: needs root");
}

static bool write_serial(const char *root, const char *interface, int32_t ring, struct err *err) {
	char path[PATH_MAX], file[RING_NAME], text[16];
	int32_t there;

	if (keyring_open(root, interface, &there) == 0 && there == ring)
		return true;
	snprintf(file, sizeof file, "%s.ring", interface);
	snprintf(text, sizeof text, "%" PRId32 "\n", ring);
	return file_path(path, root, PATH_RUN, NULL, err) && file_mkdir(path, 0755, err) &&
	       file_path(path, root, PATH_RUN, file, err) && file_replace(path, span_str(text), 0644, err);
}

bool keyring_make(const char *root, const char *interface, int32_t *ring, struct err *err) {
	char name[RING_NAME];

	snprintf(name, sizeof name, "verimesh:%s", interface);
	if (!check_root(err) || !find_ring(name, ring, err))
		return false;
	if (*ring == 0)
		*ring = put(KEY_SPEC_USER_KEYRING, "keyring", name, span_of(NULL, 0), 0);
	if (*ring < 0)
		return fail(err, name);
	return write_serial(root, interface, *ring, err);
}

bool keyring_put(int32_t ring, const char *name, struct span secret, struct err *err) {
	return put(ring, "user", name, secret, 0) > 0 || fail(err, name);
}

bool keyring_get(int32_t ring, const char *name, uint8_t *out, size_t size, size_t *n, struct err *err) {
	int rc = keyring_read(ring, name, out, size, n);

	if (rc == 0)
		return true;
	return err_set(err, rc == ENOKEY ? ERR_NO : ERR_ENV, "kernel keyring: %s: %s: run `verimesh sync`",
		name, strerror(rc));
}

static int compare_wants(const void *a, const void *b) {
	const struct want *x = a, *y = b;

	return memcmp(x->host->key, y->host->key, WG_KEY_BYTES);
}

/* Takes the wanted hosts from the roster, sorted by key. */
static bool list_wants(struct sync *sync, const struct roster *roster) {
	sync->wants = calloc(roster->nhosts + 1, sizeof *sync->wants);
	if (!sync->wants)
		return err_set(sync->err, ERR_ENV, "kernel keyring: out of memory");
	for (size_t i = 0; i < roster->nhosts; i++)
		if (!roster->hosts[i].self && roster->hosts[i].expires > sync->now)
			sync->wants[sync->nwants++].host = &roster->hosts[i];
	qsort(sync->wants, sync->nwants, sizeof *sync->wants, compare_wants);
	return true;
}

/* The wanted host that a serial in one of the rings stands for, or NULL. */
static struct want *find_want(const struct sync *sync, int32_t id) {
	struct keyring_key key;
	struct roster_host host;
	struct want probe = {.host = &host};

	if (!is_ours(id, "user", &key) || !wg_key_decode(key.name, strlen(key.name), host.key))
		return NULL;
	return bsearch(&probe, sync->wants, sync->nwants, sizeof probe, compare_wants);
}

/* The error is that of the first failure. */
static void note_failure(struct sync *sync, const char *what) {
	if (!sync->failed)
		fail(sync->err, what);
	sync->failed = true;
}

/* Puts a host's key into a ring; one that says the same already (id, or 0) gets its time only. */
static void put_peer(struct sync *sync, int32_t ring, int32_t id, const struct roster_host *host) {
	char name[WG_KEY_TEXT], payload[KEYRING_PAYLOAD], there[KEYRING_PAYLOAD];
	int n = snprintf(payload, sizeof payload, "%s %" PRIu64 " %s %s.%s.%s", host->peer->aid, host->sn,
		host->said, host->label, host->peer->name, sync->domain);
	unsigned timeout = 0;

	if (host->expires != NEVER)
		timeout = (unsigned)MIN(host->expires - sync->now, INT32_MAX);
	if (id && keyctl_read(id, there, sizeof there) == n && memcmp(there, payload, (size_t)n) == 0 &&
		keyctl_set_timeout(id, timeout) == 0)
		return;
	wg_key_encode(host->key, name);
	if (put(ring, "user", name, span_of(payload, (size_t)n), timeout) < 0)
		note_failure(sync, host->label);
}

/* Finds the rings of peer keys. A reader's search goes into every ring below, so that rings which
 * are not as they should be are thrown out. */
static void find_shards(struct sync *sync, int32_t ring) {
	struct keyring_key key;
	int32_t *ids;
	unsigned shard;
	size_t n;

	if (!list(ring, &ids, &n))
		note_failure(sync, "the ring");
	for (size_t i = 0; i < n; i++) {
		if (is_ours(ids[i], "user", &key))
			continue;
		if (is_ours(ids[i], "keyring", &key) && sscanf(key.name, "peers:%u", &shard) == 1 &&
			shard < SHARDS && !sync->shards[shard].id)
			sync->shards[shard].id = ids[i];
		else
			keyctl_unlink(ids[i], ring);
	}
	free(ids);
}

/* Keeps the keys of a ring that the roster wants, and revokes the others. */
static void sweep(struct sync *sync, struct shard *shard) {
	struct want *want;
	int32_t *ids;
	size_t n;

	if (!list(shard->id, &ids, &n))
		note_failure(sync, "peer keys");
	for (size_t i = 0; i < n; i++) {
		want = find_want(sync, ids[i]);
		if (want && !want->there) {
			want->there = true;
			shard->n++;
			put_peer(sync, shard->id, ids[i], want->host);
			continue;
		}
		keyctl_revoke(ids[i]);
		if (keyctl_unlink(ids[i], shard->id) != 0)
			note_failure(sync, "a withdrawn key");
	}
	free(ids);
}

/* Adds the key of a host that has none, to the first ring with room. */
static void add_peer(struct sync *sync, int32_t ring, const struct roster_host *host) {
	struct shard *shard = sync->shards;
	char name[RING_NAME];

	while (shard->n == SHARD_KEYS && shard < &sync->shards[SHARDS - 1])
		shard++;
	if (shard->id == 0) {
		snprintf(name, sizeof name, "peers:%td", shard - sync->shards);
		shard->id = put(ring, "keyring", name, span_of(NULL, 0), 0);
	}
	if (shard->id < 0) {
		note_failure(sync, "a ring of peer keys");
		return;
	}
	shard->n++;
	put_peer(sync, shard->id, 0, host);
}

bool keyring_sync(int32_t ring, const struct roster *roster, struct err *err) {
	struct sync sync = {.domain = roster->policy->domain, .now = time(NULL), .err = err};

	if (!list_wants(&sync, roster))
		return false;
	find_shards(&sync, ring);
	for (size_t i = 0; i < SHARDS; i++)
		if (sync.shards[i].id)
			sweep(&sync, &sync.shards[i]);
	for (size_t i = 0; i < sync.nwants; i++)
		if (!sync.wants[i].there)
			add_peer(&sync, ring, sync.wants[i].host);
	free(sync.wants);
	return !sync.failed;
}

/* Revokes a ring and what is in it: revoking a ring alone does not do that. */
static void revoke_all(int32_t ring) {
	struct keyring_key key;
	int32_t *ids;
	size_t n;

	list(ring, &ids, &n);
	for (size_t i = 0; i < n; i++)
		if (keyring_describe(ids[i], &key) == 0 && strcmp(key.type, "keyring") == 0)
			revoke_all(ids[i]);
		else
			keyctl_revoke(ids[i]);
	free(ids);
	keyctl_revoke(ring);
}

bool keyring_remove(const char *root, const char *interface, struct err *err) {
	char path[PATH_MAX], name[RING_NAME], file[RING_NAME];
	int32_t ring;

	snprintf(name, sizeof name, "verimesh:%s", interface);
	snprintf(file, sizeof file, "%s.ring", interface);
	if (!check_root(err) || !find_ring(name, &ring, err) || !file_path(path, root, PATH_RUN, file, err))
		return false;
	if (ring) {
		revoke_all(ring);
		if (keyctl_unlink(ring, KEY_SPEC_USER_KEYRING) != 0)
			return fail(err, name);
	}
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set(err, ERR_ENV, "%s: %m", path);
	return true;
}
