/* keyring_build.c: makes and fills the mesh's ring in the kernel keyring; see keyring_build.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "keyring.h"
#include "keyring_build.h"
#include "paths.h"

/* Who came out of root's session by su without pam_keyinit still possesses what is in uid 0's user keyring:
 * of a secret he gets no right. */
#define SECRET KEY_USR_ALL

/* Bytes of the serials in one ring of peer keys: one over 16,383 keys leaks quota when it is cleared. */
#define FULL (16000 * (long)sizeof(int32_t))

/* What an interface has. */
struct place {
	char name[64], path[PATH_MAX]; /* of the ring, and of the file with its serial */
	int32_t ring;		       /* 0: none */
};

/* A peer key that the roster wants. */
struct want {
	char name[WG_KEY_TEXT]; /* first, to search by it */
	const struct roster_host *host;
	const char *said; /* its card */
	bool there;
};

struct sync {
	int32_t ring;
	int32_t into;	    /* the ring of peer keys that is being filled; 0: none yet */
	unsigned next;	    /* number of the one behind it */
	struct want *wants; /* sorted by name */
	size_t nwants;
	const struct policy *policy;
	time_t now;
	struct err *err;
	bool good; /* else err is filled */
};

/* Turns errno into one line. */
static bool fail(struct err *err, const char *what) {
	const char *mend = "";

	if (errno == EDQUOT)
		mend = ": raise kernel.keys.root_maxkeys and root_maxbytes (sysctl)";
	else if (errno == ENOSYS || errno == EPERM)
		mend = ": allow add_key and keyctl here (a container's seccomp profile?)";
	return err_set(err, ERR_ENV, "kernel keyring: %s: %m%s", what, mend);
}

/* The serials in a ring; the caller frees *ids. */
static bool list(int32_t ring, int32_t **ids, size_t *n) {
	void *data = NULL;
	int bytes = keyctl_read_alloc(ring, &data);

	*ids = bytes < 0 ? NULL : data;
	*n = bytes < 0 ? 0 : (size_t)bytes / sizeof **ids;
	return bytes >= 0;
}

/* As keyring_link makes them: root's alone, and usable, neither expired nor revoked. */
static bool is_ours(int32_t id, const char *type, struct keyring_key *key) {
	return keyring_describe(id, key) == 0 && strcmp(key->type, type) == 0 && key->uid == 0 &&
	       (key->permissions | KEY_POS_ALL) == KEYRING_OURS;
}

/* Finds the ring in uid 0's user keyring itself (a search goes into nested rings too). A ring of its
 * name that is not ours is an error. */
static bool find(const char *root, const char *interface, struct place *place, struct err *err) {
	struct keyring_key key;
	char file[64];
	int32_t *ids;
	size_t n;

	place->ring = 0;
	snprintf(place->name, sizeof place->name, "verimesh:%s", interface);
	snprintf(file, sizeof file, "%s.ring", interface);
	if (getuid() != 0 || geteuid() != 0)
		return err_set(err, ERR_ENV, "kernel keyring: needs root");
	if (!file_path(place->path, root, PATH_RUN, file, err))
		return false;
	if (!list(KEY_SPEC_USER_KEYRING, &ids, &n))
		return fail(err, "uid 0's user keyring");
	for (size_t i = 0; i < n && !place->ring; i++)
		if (keyring_describe(ids[i], &key) == 0 && strcmp(key.type, "keyring") == 0 &&
			strcmp(key.name, place->name) == 0)
			place->ring = ids[i];
	free(ids);
	if (!place->ring || is_ours(place->ring, "keyring", &key))
		return true;
	return err_set(err, ERR_ENV,
		"kernel keyring: %s is there, but not as verimesh makes it (uid %" PRIu32
		", permissions %08" PRIx32 "): see who made it, then `keyctl unlink %" PRId32 " @u`",
		place->name, key.uid, key.permissions, place->ring);
}

/* Whether the file with the serial is as it must be. */
static bool is_written(const char *root, const char *interface, const struct place *place, int32_t ring) {
	struct stat st;
	int32_t there;

	return stat(place->path, &st) == 0 && (st.st_mode & 07777) == 0644 &&
	       keyring_open(root, interface, &there) == 0 && there == ring;
}

bool keyring_make(const char *root, const char *interface, int32_t *ring, struct err *err) {
	char dir[PATH_MAX], serial[16];
	struct place place;

	if (!find(root, interface, &place, err))
		return false;
	*ring = place.ring;
	if (!*ring)
		*ring = keyring_link(
			KEY_SPEC_USER_KEYRING, "keyring", place.name, span_of(NULL, 0), KEYRING_OURS, 0);
	if (*ring < 0)
		return fail(err, place.name);
	snprintf(serial, sizeof serial, "%" PRId32 "\n", *ring);
	return is_written(root, interface, &place, *ring) ||
	       (file_path(dir, root, PATH_RUN, NULL, err) && file_mkdir(dir, 0755, err) &&
		       file_replace(place.path, span_str(serial), 0644, err));
}

/* Whether the ring has that secret already. */
static bool has_secret(int32_t ring, const char *name, struct span secret) {
	struct keyring_key key;
	uint8_t there[KEYRING_PAYLOAD];
	int32_t id = (int32_t)keyctl_search(ring, "user", name, 0);
	bool same = id > 0 && is_ours(id, "user", &key) && key.permissions == SECRET &&
		    keyctl_read(id, (char *)there, sizeof there) == (long)secret.n &&
		    memcmp(there, secret.p, secret.n) == 0;

	explicit_bzero(there, sizeof there);
	return same;
}

bool keyring_put(int32_t ring, const char *name, struct span secret, struct err *err) {
	return has_secret(ring, name, secret) || keyring_link(ring, "user", name, secret, SECRET, 0) > 0 ||
	       fail(err, name);
}

bool keyring_drop(int32_t ring, const char *name, struct err *err) {
	int32_t id = (int32_t)keyctl_search(ring, "user", name, 0);

	if (id < 0)
		return errno == ENOKEY || errno == EKEYREVOKED || fail(err, name);
	return (keyctl_revoke(id) == 0 && keyctl_unlink(id, ring) == 0) || fail(err, name);
}

/* Of wants, and of a bare name with a want. */
static int compare_names(const void *a, const void *b) {
	return strcmp(a, b);
}

static void add_want(struct sync *sync, const struct roster_host *host,
	const uint8_t key[static WG_KEY_BYTES], const char *said) {
	struct want *want = &sync->wants[sync->nwants++];

	wg_key_encode(key, want->name);
	want->host = host;
	want->said = said;
}

/* Takes the wanted hosts from the roster. A key that is to come is there before its first handshake gives it
 * the addresses (DESIGN.md 8). */
static bool list_wants(struct sync *sync, const struct roster *roster) {
	const struct roster_host *host = roster->hosts;

	sync->wants = calloc(2 * roster->nhosts + 1, sizeof *sync->wants);
	if (!sync->wants)
		return err_set(sync->err, ERR_ENV, "kernel keyring: out of memory");
	for (; host < roster->hosts + roster->nhosts; host++) {
		if (host->self || host->expires <= sync->now)
			continue;
		add_want(sync, host, host->key, host->said);
		if (host->next.from)
			add_want(sync, host, host->next.key, host->next.said);
	}
	qsort(sync->wants, sync->nwants, sizeof *sync->wants, compare_names);
	return true;
}

/* Puts a host's key into a ring; one that says the same already (id, or 0) gets its time only. */
static void put_peer(struct sync *sync, int32_t ring, int32_t id, const struct want *want) {
	const struct roster_host *host = want->host;
	char payload[KEYRING_PAYLOAD], there[KEYRING_PAYLOAD];
	int n = snprintf(payload, sizeof payload, "%s %" PRIu64 " %s %s.%s.%s", host->peer->aid, host->sn,
		want->said, host->label, host->peer->name, sync->policy->domain);
	unsigned timeout = host->expires == NEVER ? 0 : (unsigned)MIN(host->expires - sync->now, UINT32_MAX);

	if (id && keyctl_read(id, there, sizeof there) == n && memcmp(there, payload, (size_t)n) == 0 &&
		keyctl_set_timeout(id, timeout) == 0)
		return;
	if (keyring_link(ring, "user", want->name, span_of(payload, (size_t)n), KEYRING_OURS, timeout) < 0)
		sync->good = fail(sync->err, host->label);
}

/* A login goes on when its host changed its key in step: its record names the new one then (DESIGN.md 8).
 * One that just ended is revoked. */
static void renew_record(const struct sync *sync, int32_t id) {
	char text[KEYRING_PAYLOAD], end[KEYRING_PAYLOAD];
	long n = keyctl_read(id, text, sizeof text);

	for (const struct want *want = sync->wants; want < sync->wants + sync->nwants; want++) {
		const struct roster_host *host = want->host;
		long end_n;

		if (!host->before[0] || want->said != host->said)
			continue;
		end_n = snprintf(end, sizeof end, " %s.%s.%s %s", host->label, host->peer->name,
			sync->policy->domain, host->before);
		if (n < end_n || n > (long)sizeof text || memcmp(text + n - end_n, end, (size_t)end_n) != 0)
			continue;
		memcpy(text + n - strlen(want->name), want->name, strlen(want->name));
		keyctl_update(id, text, (size_t)n);
		return;
	}
}

/* Before any key is revoked. */
static void renew_records(const struct sync *sync) {
	struct keyring_key key;
	int32_t *ids;
	size_t n;

	list(sync->ring, &ids, &n);
	for (size_t i = 0; i < n; i++)
		if (is_ours(ids[i], "user", &key) && strncmp(key.name, "session:", 8) == 0)
			renew_record(sync, ids[i]);
	free(ids);
}

/* Would a reader take a key of this name for a peer's? */
static bool is_peer_name(const char *name) {
	return strlen(name) == WG_KEY_TEXT - 1;
}

/* Sweeps the ring and the rings of peer keys in it: there, keys that the roster wants are kept, others
 * revoked. A reader's search goes into every ring, so that other rings are thrown out, and peer keys that
 * stand in the ring itself. */
static void sweep(struct sync *sync, int32_t ring) {
	const bool top = ring == sync->ring;
	struct keyring_key key;
	int32_t *ids;
	size_t n;

	if (!list(ring, &ids, &n))
		sync->good = fail(sync->err, "peer keys");
	for (size_t i = 0; i < n; i++) {
		bool user = is_ours(ids[i], "user", &key);
		struct want *want = NULL;

		if (user && !top)
			want = bsearch(key.name, sync->wants, sync->nwants, sizeof *want, compare_names);
		if (want && !want->there) {
			want->there = true;
			put_peer(sync, ring, ids[i], want);
		} else if (top && is_ours(ids[i], "keyring", &key) && strncmp(key.name, "peers:", 6) == 0) {
			sweep(sync, ids[i]);
		} else if (!top || !user || is_peer_name(key.name)) {
			if (!top || user)
				keyctl_revoke(ids[i]);
			if (keyctl_unlink(ids[i], ring) != 0)
				sync->good = fail(sync->err, "a withdrawn key");
		}
	}
	free(ids);
}

/* Makes sure that there is room in the ring that is being filled. */
static bool find_room(struct sync *sync) {
	char name[24];

	while (sync->into <= 0 || keyctl_read(sync->into, NULL, 0) >= FULL) {
		snprintf(name, sizeof name, "peers:%u", sync->next++);
		sync->into = (int32_t)keyctl_search(sync->ring, "keyring", name, 0);
		if (sync->into < 0)
			sync->into =
				keyring_link(sync->ring, "keyring", name, span_of(NULL, 0), KEYRING_OURS, 0);
		if (sync->into < 0) {
			sync->good = fail(sync->err, name);
			return false;
		}
	}
	return true;
}

bool keyring_sync(int32_t ring, const struct roster *roster, struct err *err) {
	struct sync sync = {.ring = ring, .policy = roster->policy, .err = err, .good = true};

	sync.now = time(NULL);
	if (!list_wants(&sync, roster))
		return false;
	renew_records(&sync);
	sweep(&sync, ring);
	for (size_t i = 0; i < sync.nwants; i++)
		if (!sync.wants[i].there && find_room(&sync))
			put_peer(&sync, sync.into, 0, &sync.wants[i]);
	free(sync.wants);
	return sync.good;
}

static int revoke_one(int32_t parent, int32_t id, char *description, int n, void *data) {
	(void)parent, (void)description, (void)n, (void)data;
	return keyctl_revoke(id) == 0;
}

bool keyring_remove(const char *root, const char *interface, struct err *err) {
	struct place place;

	if (!find(root, interface, &place, err))
		return false;
	if (place.ring) {
		recursive_key_scan(place.ring, revoke_one, NULL); /* it alone would leave what is in it */
		if (keyctl_unlink(place.ring, KEY_SPEC_USER_KEYRING) != 0)
			return fail(err, place.name);
	}
	return unlink(place.path) == 0 || errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", place.path);
}
