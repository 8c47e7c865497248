/* identity.c: the embedded DKMS: Ed25519, pre-rotated, BLAKE3, no witnesses; see identity.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event.h"
#include "file.h"
#include "identity.h"
#include "paths.h"

/* ---- files ---- */

static bool write_file(
	const char *root, const char *dir, const char *name, const char *text, struct err *err) {
	char path[PATH_MAX], line[CESR_TEXT + 1];
	bool good;

	snprintf(line, sizeof line, "%s\n", text);
	good = file_path(path, root, dir, NULL, err) && file_mkdir(path, 0700, err) &&
	       file_path(path, root, dir, name, err) && file_replace(path, span_str(line), 0600, err);
	sodium_memzero(line, sizeof line);
	return good;
}

static bool damaged(const char *root, const char *name, struct err *err) {
	return err_set(
		err, ERR_ENV, "%s" PATH_IDENTITY "/%s: damaged; restore it from a backup", root, name);
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

/* Reads a file that holds one line of 44 characters. Not there: errno ENOENT. */
static bool read_file(const char *root, const char *name, char text[static CESR_TEXT], struct err *err) {
	char path[PATH_MAX];
	uint8_t *data;
	bool good;
	size_t n;

	if (!identity_closed(root, NULL, err) || !identity_closed(root, name, err) ||
		!file_path(path, root, PATH_IDENTITY, name, err) || !file_read(path, 128, &data, &n, err))
		return false;
	good = n == CESR_CHARS + 1 && data[CESR_CHARS] == '\n' &&
	       span_copy(span_of(data, CESR_CHARS), text, CESR_TEXT);
	sodium_memzero(data, n);
	free(data);
	errno = 0;
	return good || damaged(root, name, err);
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

bool secret_read(const char *root, const char *name, uint8_t secret[static SEED_BYTES], struct err *err) {
	char text[CESR_TEXT];
	bool good = read_file(root, name, text, err) &&
		    (wg_key_decode(text, strlen(text), secret) || damaged(root, name, err));

	sodium_memzero(text, sizeof text);
	return good;
}

bool tunnel_secret_promote(const char *root, struct err *err) {
	char from[PATH_MAX], to[PATH_MAX];

	return file_path(from, root, PATH_IDENTITY, SECRET_TUNNEL_NEXT, err) &&
	       file_path(to, root, PATH_IDENTITY, SECRET_TUNNEL, err) && file_rename(from, to, err);
}

bool identity_write_tunnel(const char *root, const char *dir, const struct identity *identity,
	const char *label, struct err *err) {
	uint8_t secret[WG_KEY_BYTES];
	bool good;

	derive_tunnel(identity->seed, label, secret);
	good = secret_write(root, dir, SECRET_TUNNEL, secret, err);
	sodium_memzero(secret, sizeof secret);
	return good;
}

bool identity_aid(const char *root, char aid[static CESR_TEXT], struct err *err) {
	uint8_t raw[CESR_RAW];

	aid[0] = 0;
	if (read_file(root, "aid", aid, err))
		return cesr_decode(span_str(aid), CESR_BLAKE3, raw) || damaged(root, "aid", err);
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
	*identity = (struct identity){0};
	return identity_need(root, identity->aid, err) && secret_read(root, "seed", identity->seed, err);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

bool identity_adopt(const char *root, const struct identity *identity, const char *label, struct err *err) {
	static const char dir[] = PATH_IDENTITY ".new";
	char from[PATH_MAX], to[PATH_MAX];

	if (!file_path(from, root, dir, NULL, err) || !file_path(to, root, PATH_IDENTITY, NULL, err))
		return false;
	/* what one that was killed left behind is no part of this identity */
	if (nftw(from, remove_one, 2, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return err_set(err, ERR_ENV, "%s: %m", from);
	return (!label || identity_write_tunnel(root, dir, identity, label, err)) &&
	       secret_write(root, dir, "next", identity->next, err) &&
	       secret_write(root, dir, "seed", identity->seed, err) &&
	       write_file(root, dir, "aid", identity->aid, err) && file_rename(from, to, err);
}

void identity_wipe(struct identity *identity) {
	sodium_memzero(identity, sizeof *identity);
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

static void public_text(const uint8_t seed[static SEED_BYTES], char text[static CESR_TEXT]) {
	uint8_t public[CESR_RAW], secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(public, secret, seed);
	sodium_memzero(secret, sizeof secret);
	cesr_encode(CESR_ED25519, public, text);
}

bool identity_make(struct identity *identity, char **event, size_t *n, struct err *err) {
	char key[CESR_TEXT], next_key[CESR_TEXT], digest[CESR_TEXT], *body;
	int size;

	randombytes_buf(identity->seed, sizeof identity->seed);
	randombytes_buf(identity->next, sizeof identity->next);
	public_text(identity->seed, key);
	public_text(identity->next, next_key);
	cesr_digest(span_str(next_key), digest);
	size = asprintf(&body,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"0\","
		"\"kt\":\"1\",\"k\":[\"%s\"],\"nt\":\"1\",\"n\":[\"%s\"],"
		"\"bt\":\"0\",\"b\":[],\"c\":[],\"a\":[]}",
		EVENT_BLANK_SAID, EVENT_BLANK_SAID, key, digest);
	if (!sign(body, size, identity->seed, event, n, err))
		return false;
	/* an inception's identifier is its SAID, which stands where every event has it */
	memcpy(identity->aid, *event + strlen("{\"v\":\"KERI10JSON000000_\",\"t\":\"icp\",\"d\":\""),
		CESR_CHARS);
	identity->aid[CESR_CHARS] = 0;
	return true;
}

bool identity_seal(const struct identity *identity, const struct kel *kel, const char *seals, char **event,
	size_t *n, struct err *err) {
	char prior[CESR_TEXT], *body;
	int size;

	kel_said(kel, kel->count - 1, prior);
	size = asprintf(&body,
		"{\"v\":\"KERI10JSON000000_\",\"t\":\"ixn\",\"d\":\"%s\",\"i\":\"%s\",\"s\":\"%llx\","
		"\"p\":\"%s\",\"a\":[%s]}",
		EVENT_BLANK_SAID, identity->aid, (unsigned long long)kel->count, prior, seals);
	return sign(body, size, identity->seed, event, n, err);
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
