/* identity.c: the embedded DKMS: Ed25519, pre-rotated, BLAKE3, no witnesses; see identity.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "file.h"
#include "identity.h"
#include "paths.h"

#define EVENTS "events"		      /* SAIDs of those that this host made */
#define STAGED_EVENT "rotation.event" /* SAID of the one for which STAGED is complete, and the request */
#define AGAIN 3600 /* seconds for which a request that was cut off is the same when it is made again */
#define EVENTS_MAX ((size_t)64 << 20)

/* ---- files ---- */

static bool write_file(
	const char *root, const char *dir, const char *name, const char *text, struct err *err) {
	char path[PATH_MAX], *line;
	int n = asprintf(&line, "%s\n", text);
	bool good;

	if (n < 0)
		return err_set(err, ERR_ENV, "out of memory");
	good = file_path(path, root, dir, NULL, err) && file_mkdir(path, 0700, err) &&
	       file_path(path, root, dir, name, err) && file_replace(path, span_str(line), 0600, err);
	sodium_memzero(line, (size_t)n);
	free(line);
	return good;
}

static bool damaged(const char *path, struct err *err) {
	return err_set(err, ERR_ENV, "%s: damaged; restore it from a backup", path);
}

bool identity_closed(const char *root, const char *name, struct err *err) {
	char path[PATH_MAX];
	struct stat st;
	bool foreign;

	if (!file_path(path, root, PATH_IDENTITY, name, err))
		return false;
	if (stat(path, &st) != 0)
		return err_set(err, ERR_ENV, "%s: %m", path);
	foreign = st.st_uid != 0 && st.st_uid != geteuid();
	errno = EPERM;
	return (!foreign && !(st.st_mode & (S_IRWXG | S_IRWXO))) ||
	       err_set(err, ERR_ENV, "%s: %s; %s %s" PATH_IDENTITY, path,
		       foreign ? "is another user's" : "others may read or write it",
		       foreign ? "chown -R root" : "chmod -R go=", root);
}

/* Reads a file that holds one line, without its end. Not there: errno ENOENT. */
static bool read_line(const char *path, char text[static SEALED_LINE], struct err *err) {
	uint8_t *data;
	bool good;
	size_t n;

	if (!file_read(path, SEALED_LINE, &data, &n, err))
		return false;
	good = n && data[n - 1] == '\n' && span_copy(span_of(data, n - 1), text, SEALED_LINE);
	sodium_memzero(data, n);
	free(data);
	errno = 0;
	return good || damaged(path, err);
}

/* Such a file of PATH_IDENTITY, of 44 characters. */
static bool read_file(const char *root, const char *name, char text[static CESR_TEXT], struct err *err) {
	char path[PATH_MAX], line[SEALED_LINE];

	return identity_closed(root, NULL, err) && identity_closed(root, name, err) &&
	       file_path(path, root, PATH_IDENTITY, name, err) && read_line(path, line, err) &&
	       ((strlen(line) == CESR_CHARS && span_copy(span_str(line), text, CESR_TEXT)) ||
		       damaged(path, err));
}

/* A secret as wg prints one, or a seed, sealed if there is a passphrase. */
static bool take_secret(const char *line, const char *path, const struct passphrase *passphrase,
	uint8_t secret[static SEED_BYTES], struct err *err) {
	if (passphrase && seed_is_sealed(span_str(line)))
		return seed_open(passphrase, span_str(line), secret, err) || err_at(err, "%s", path);
	return wg_key_decode(line, strlen(line), secret) || damaged(path, err);
}

static bool read_secret(const char *path, const struct passphrase *passphrase,
	uint8_t secret[static SEED_BYTES], struct err *err) {
	char line[SEALED_LINE];
	bool good = read_line(path, line, err) && take_secret(line, path, passphrase, secret, err);

	sodium_memzero(line, sizeof line);
	return good;
}

/* Within PATH_IDENTITY, durably. */
static bool move(const char *root, const char *from, const char *to, struct err *err) {
	char old[PATH_MAX], new[PATH_MAX];

	return file_path(old, root, PATH_IDENTITY, from, err) &&
	       file_path(new, root, PATH_IDENTITY, to, err) && file_rename(old, new, err);
}

bool secret_write(const char *root, const char *dir, const char *name,
	const uint8_t secret[static SEED_BYTES], struct err *err) {
	char text[WG_KEY_TEXT];
	bool good;

	wg_key_encode(secret, text);
	good = write_file(root, dir, name, text, err);
	sodium_memzero(text, sizeof text);
	return good;
}

/* The path of a secret that only root can have read or written. */
static bool find_secret(const char *root, const char *name, char path[static PATH_MAX], struct err *err) {
	return identity_closed(root, NULL, err) && identity_closed(root, name, err) &&
	       file_path(path, root, PATH_IDENTITY, name, err);
}

bool secret_read(const char *root, const char *name, uint8_t secret[static SEED_BYTES], struct err *err) {
	char path[PATH_MAX];

	return find_secret(root, name, path, err) && read_secret(path, NULL, secret, err);
}

static bool write_seed(const char *root, const char *dir, const char *name, const struct identity *identity,
	const uint8_t seed[static SEED_BYTES], struct err *err) {
	char line[SEALED_LINE];

	if (!identity->passphrase.text[0])
		return secret_write(root, dir, name, seed, err);
	return seed_seal(&identity->passphrase, seed, line, err) && write_file(root, dir, name, line, err);
}

/* One that waited for a card that will not be in force any more. */
static bool drop_next(const char *root, struct err *err) {
	char path[PATH_MAX];

	return file_path(path, root, PATH_IDENTITY, SECRET_TUNNEL_NEXT, err) &&
	       (unlink(path) == 0 || errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path));
}

bool tunnel_secret_promote(const char *root, const char *name, struct err *err) {
	return move(root, name, SECRET_TUNNEL, err) && drop_next(root, err);
}

bool identity_write_tunnel(const char *root, const char *dir, const struct identity *identity,
	const char *label, struct err *err) {
	uint8_t secret[WG_KEY_BYTES];
	bool good;

	derive_tunnel(identity->seed, label, secret);
	good = secret_write(root, dir, SECRET_TUNNEL, secret, err) && drop_next(root, err);
	sodium_memzero(secret, sizeof secret);
	return good;
}

bool identity_aid(const char *root, char aid[static CESR_TEXT], struct err *err) {
	uint8_t raw[CESR_RAW];

	aid[0] = 0;
	if (read_file(root, "aid", aid, err))
		return cesr_decode(span_str(aid), CESR_BLAKE3, raw) || damaged(PATH_IDENTITY "/aid", err);
	if (errno != ENOENT)
		return false;
	return (!identity_closed(root, "seed", NULL) && errno == ENOENT) ||
	       err_set(err, ERR_ENV,
		       "%s" PATH_IDENTITY "/seed: is there without its aid; restore that from a backup",
		       root);
}

bool identity_need(const char *root, char aid[static CESR_TEXT], struct err *err) {
	return identity_aid(root, aid, err) &&
	       (aid[0] ||
		       err_set(err, ERR_ENV,
			       PATH_IDENTITY ": this host holds no identity; make one with verimesh init"));
}

bool identity_load(const char *root, struct identity *identity, struct err *err) {
	char path[PATH_MAX];

	identity->held = true;
	return identity_need(root, identity->aid, err) && find_secret(root, "seed", path, err) &&
	       read_secret(path, &identity->passphrase, identity->seed, err);
}

/* Asks for the passphrase of a line that needs one. */
static bool unlock(const char *line, enum passphrase_from from, struct identity *identity, struct err *err) {
	return !seed_is_sealed(span_str(line)) || passphrase_get(from, &identity->passphrase, err);
}

bool identity_read_next(const char *root, const char *path, struct identity *identity, struct err *err) {
	char there[PATH_MAX], line[SEALED_LINE];
	bool good;

	if (!path && !find_secret(root, "next", there, err))
		return false;
	good = read_line(path ? path : there, line, err);
	if (good) {
		good = unlock(line, PASSPHRASE_OLD, identity, err) &&
		       take_secret(line, path ? path : there, &identity->passphrase, identity->seed, err);
		errno = 0;
	}
	sodium_memzero(line, sizeof line);
	return good;
}

/* The line of a seed of ours; false where there is none to be read. */
static bool peek(const char *root, const char *name, char line[static SEALED_LINE]) {
	char path[PATH_MAX];

	return file_path(path, root, PATH_IDENTITY, name, NULL) && read_line(path, line, NULL);
}

bool identity_is_sealed(const char *root) {
	char line[SEALED_LINE];
	bool sealed = peek(root, "seed", line) && seed_is_sealed(span_str(line));

	sodium_memzero(line, sizeof line);
	return sealed;
}

bool identity_unlock(
	const char *root, enum passphrase_from from, struct identity *identity, struct err *err) {
	char line[SEALED_LINE];
	bool good = (!peek(root, STAGED "/seed", line) && !peek(root, "seed", line)) ||
		    unlock(line, from, identity, err);

	sodium_memzero(line, sizeof line);
	return good;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A directory and the files in it. Not there is no error. */
static bool remove_dir(const char *path, struct err *err) {
	return nftw(path, remove_one, 2, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ||
	       err_set(err, ERR_ENV, "%s: %m", path);
}

bool identity_adopt(const char *root, const struct identity *identity, const char *label, struct err *err) {
	static const char dir[] = PATH_IDENTITY ".new";
	char from[PATH_MAX], to[PATH_MAX];

	return file_path(from, root, dir, NULL, err) && file_path(to, root, PATH_IDENTITY, NULL, err) &&
	       /* what one that was killed left behind is no part of this identity */
	       remove_dir(from, err) && (!label || identity_write_tunnel(root, dir, identity, label, err)) &&
	       write_seed(root, dir, "next", identity, identity->next, err) &&
	       write_seed(root, dir, "seed", identity, identity->seed, err) &&
	       (!identity->made[0] || write_file(root, dir, EVENTS, identity->made, err)) &&
	       write_file(root, dir, "aid", identity->aid, err) && file_rename(from, to, err);
}

void identity_wipe(struct identity *identity) {
	sodium_memzero(identity, sizeof *identity);
}

bool identity_events(const char *root, char **text, struct err *err) {
	char path[PATH_MAX];
	size_t n;

	if (identity_closed(root, EVENTS, err) && file_path(path, root, PATH_IDENTITY, EVENTS, err) &&
		file_read(path, EVENTS_MAX, (uint8_t **)text, &n, err))
		return true;
	return errno != ENOENT ? false
			       : err_set(err, ERR_ENV,
					 PATH_IDENTITY
					 "/" EVENTS ": is lost; restore it from a backup, or make it empty "
					 "and issue every card anew");
}

bool identity_note(const char *root, const struct identity *identity, struct err *err) {
	char *before, *after;
	bool good;

	if (!identity->held)
		return true;
	if (!identity_events(root, &before, err))
		return false;
	good = asprintf(&after, "%s%s", before, identity->made) >= 0 ||
	       err_set(err, ERR_ENV, "out of memory");
	free(before);
	if (good) {
		good = write_file(root, PATH_IDENTITY, EVENTS, after, err);
		free(after);
	}
	return good;
}

bool identity_stage(const char *root, const struct identity *identity, const uint8_t *tunnel,
	const char *request, struct err *err) {
	static const char dir[] = PATH_IDENTITY "/" STAGED;
	char path[PATH_MAX], both[2 * CESR_TEXT];

	snprintf(both, sizeof both, "%s %s", identity->made, request);
	return file_path(path, root, dir, NULL, err) && remove_dir(path, err) &&
	       write_seed(root, dir, "next", identity, identity->next, err) &&
	       write_seed(root, dir, "seed", identity, identity->seed, err) &&
	       (!tunnel || secret_write(root, dir, SECRET_TUNNEL_NEXT, tunnel, err)) &&
	       write_file(root, PATH_IDENTITY, STAGED_EVENT, both, err);
}

/* Whether something is staged, for which event of the log's, and on what request. False: it cannot be read.
 */
static bool read_staged(const char *root, const struct kel *kel, bool *known, char request[static CESR_TEXT],
	struct err *err) {
	char path[PATH_MAX], line[SEALED_LINE];

	*known = false;
	if (!identity_closed(root, NULL, err) || !identity_closed(root, STAGED_EVENT, err) ||
		!file_path(path, root, PATH_IDENTITY, STAGED_EVENT, err) || !read_line(path, line, err))
		return errno == ENOENT;
	if (strlen(line) != 2 * CESR_CHARS + 1)
		return damaged(path, err);
	*known = span_eq(kel_current(kel)->ev.said, span_of(line, CESR_CHARS));
	return span_copy(span_str(line + CESR_CHARS + 1), request, CESR_TEXT);
}

bool identity_was_asked(const char *root, const struct kel *kel, const char *request, bool *known,
	bool *done, struct err *err) {
	char path[PATH_MAX], staged[CESR_TEXT];
	struct stat st;

	if (!read_staged(root, kel, known, staged, err) ||
		!file_path(path, root, PATH_IDENTITY, STAGED_EVENT, err))
		return false;
	*done = *known && strcmp(staged, request) == 0 && stat(path, &st) == 0 &&
		st.st_mtime > time(NULL) - AGAIN;
	return true;
}

bool identity_settle(const char *root, const struct kel *kel, struct err *err) {
	static const char *const names[] = {SECRET_TUNNEL_NEXT, "next", "seed"};
	char path[PATH_MAX], from[32], request[CESR_TEXT];
	bool known;

	if (!read_staged(root, kel, &known, request, err))
		return false;
	/* one that was killed here before has moved some of them */
	for (size_t i = 0; known && i < sizeof names / sizeof names[0]; i++) {
		snprintf(from, sizeof from, STAGED "/%s", names[i]);
		if (!move(root, from, names[i], err) && errno != ENOENT)
			return false;
	}
	/* what says that there is something to do goes last */
	return file_path(path, root, PATH_IDENTITY, STAGED, err) && remove_dir(path, err) &&
	       file_path(path, root, PATH_IDENTITY, STAGED_EVENT, err) &&
	       (unlink(path) == 0 || errno == ENOENT || err_set(err, ERR_ENV, "%s: %m", path));
}

/* ---- events ---- */

/* Completes the body, which asprintf made, and puts its signature behind it. */
static bool sign(char *body, int size, const uint8_t seed[static SEED_BYTES], char **event, size_t *n,
	struct err *err) {
	uint8_t public[CESR_RAW], secret[crypto_sign_SECRETKEYBYTES], sig[CESR_SIG_RAW];
	char text[CESR_SIG_CHARS + 1];
	size_t length = (size_t)size;

	if (size < 0)
		return err_set(err, ERR_ENV, "out of memory");
	event_fill(body, length);
	crypto_sign_seed_keypair(public, secret, seed);
	crypto_sign_detached(sig, NULL, (const uint8_t *)body, length, secret);
	sodium_memzero(secret, sizeof secret);
	cesr_encode_indexed(0, sig, text);
	size = asprintf(event, "%s-AAB%s", body, text);
	free(body);
	*n = (size_t)size;
	return size >= 0 || err_set(err, ERR_ENV, "out of memory");
}

static void public_raw(const uint8_t seed[static SEED_BYTES], uint8_t public[static CESR_RAW]) {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(public, secret, seed);
	sodium_memzero(secret, sizeof secret);
}

static void public_text(const uint8_t seed[static SEED_BYTES], char text[static CESR_TEXT]) {
	uint8_t public[CESR_RAW];

	public_raw(seed, public);
	cesr_encode(CESR_ED25519, public, text);
}

/* Signs the body, and notes its SAID, which every event of ours has behind the same words. */
static bool make_event(
	struct identity *identity, char *body, int size, char **event, size_t *n, struct err *err) {
	if (!sign(body, size, identity->seed, event, n, err))
		return false;
	memcpy(identity->made, *event + strlen("{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\""),
		CESR_CHARS);
	identity->made[CESR_CHARS] = 0;
	return true;
}

/* What an event before commits to. */
static void next_digest(const uint8_t seed[static SEED_BYTES], char digest[static CESR_TEXT]) {
	char key[CESR_TEXT];

	public_text(seed, key);
	cesr_digest(span_str(key), digest);
}

bool identity_make(struct identity *identity, char **event, size_t *n, struct err *err) {
	char key[CESR_TEXT], digest[CESR_TEXT], *body;
	int size;

	*identity = (struct identity){0};
	randombytes_buf(identity->seed, sizeof identity->seed);
	randombytes_buf(identity->next, sizeof identity->next);
	public_text(identity->seed, key);
	next_digest(identity->next, digest);
	size = asprintf(&body,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"0\","
		"\"kt\":\"1\",\"k\":[\"%s\"],\"nt\":\"1\",\"n\":[\"%s\"],"
		"\"bt\":\"0\",\"b\":[],\"c\":[],\"a\":[]}",
		EVENT_BLANK_SAID, EVENT_BLANK_SAID, key, digest);
	if (!make_event(identity, body, size, event, n, err))
		return false;
	memcpy(identity->aid, identity->made,
		sizeof identity->aid); /* an inception's identifier is its SAID */
	return true;
}

bool identity_seal(struct identity *identity, const struct kel *kel, const char *seals, char **event,
	size_t *n, struct err *err) {
	const struct kel_est *est = kel_current(kel);
	char prior[CESR_TEXT], *body;
	uint8_t public[CESR_RAW];
	int size;

	public_raw(identity->seed, public);
	if (est->nkeys != 1 || memcmp(est->keys[0].raw, public, sizeof public) != 0)
		return err_set(err, ERR_NO,
			PATH_IDENTITY "/seed: is not the key that signs this log now; it was restored from "
				      "before a rotation: restore the whole of " PATH_IDENTITY
				      " as it was after that");
	kel_said(kel, kel->count - 1, prior);
	size = asprintf(&body,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"ixn\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%llx\","
		"\"p\":\"%s\",\"a\":[%s]}",
		EVENT_BLANK_SAID, identity->aid, (unsigned long long)kel->count, prior, seals);
	return make_event(identity, body, size, event, n, err);
}

bool identity_is_next(const struct kel *kel, const uint8_t seed[static SEED_BYTES]) {
	const struct kel_est *est = kel_current(kel);
	char digest[CESR_TEXT];
	uint8_t raw[CESR_RAW];

	next_digest(seed, digest);
	return est->nnext == 1 && cesr_decode(span_str(digest), CESR_BLAKE3, raw) &&
	       memcmp(est->next[0], raw, sizeof raw) == 0;
}

bool identity_rotate(struct identity *identity, const struct kel *kel, uint64_t sn, const char *seals,
	char **event, size_t *n, struct err *err) {
	char key[CESR_TEXT], digest[CESR_TEXT], prior[CESR_TEXT], *body;
	int size;

	public_text(identity->seed, key);
	next_digest(identity->next, digest);
	kel_said(kel, sn - 1, prior);
	size = asprintf(&body,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"rot\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%llx\","
		"\"p\":\"%s\",\"kt\":\"1\",\"k\":[\"%s\"],\"nt\":\"1\",\"n\":[\"%s\"],"
		"\"bt\":\"0\",\"br\":[],\"ba\":[],\"a\":[%s]}",
		EVENT_BLANK_SAID, identity->aid, (unsigned long long)sn, prior, key, digest, seals);
	return make_event(identity, body, size, event, n, err);
}

/* ---- what grows from the host seed ---- */

static void derive(const char *purpose, const uint8_t seed[static SEED_BYTES], const char *label,
	uint8_t out[static SEED_BYTES]) {
	crypto_generichash_state state;

	crypto_generichash_init(&state, seed, SEED_BYTES, SEED_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose) + 1);
	crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
	crypto_generichash_final(&state, out, SEED_BYTES);
	sodium_memzero(&state, sizeof state);
}

void derive_tunnel(
	const uint8_t seed[static SEED_BYTES], const char *label, uint8_t secret[static WG_KEY_BYTES]) {
	derive("verimesh tunnel v1", seed, label, secret);
}

void tunnel_public(const uint8_t secret[static WG_KEY_BYTES], uint8_t key[static WG_KEY_BYTES]) {
	crypto_scalarmult_base(key, secret);
}

void derive_journal(const uint8_t seed[static SEED_BYTES], const char *label, char text[static CESR_TEXT]) {
	uint8_t journal[SEED_BYTES];

	derive("verimesh journal v1", seed, label, journal);
	public_text(journal, text);
	sodium_memzero(journal, sizeof journal);
}
