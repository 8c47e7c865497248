/* test_identity.c: the embedded DKMS: its events hold for any verifier, its files are root's alone. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "book.h"
#include "bytes.h"
#include "cards.h"
#include "../../verimesh/identity.c"
#include "../../verimesh/sealed.c"

#define PATH 160

static char root[] = "/tmp/verimesh-test-XXXXXX";

static int make_root(void **state) {
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static const char *in(const char *name, char out[static PATH]) {
	snprintf(out, PATH, "%s" PATH_IDENTITY "%s%s", root, *name ? "/" : "", name);
	return out;
}

/* The host as it was before init. */
static void forget(void) {
	static const char *const names[] = {
		"aid", "seed", "next", "tunnel", "tunnel.next", "hostseed", "events", ""};
	char path[PATH];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (remove(in(names[i], path)) != 0)
			assert_int_equal(errno, ENOENT);
}

static int remove_root(void **state) {
	static const char *const dirs[] = {"/var/lib/verimesh", "/var/lib", "/var", ""};
	char path[PATH];

	(void)state;
	forget();
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s%s", root, dirs[i]);
		if (rmdir(path) != 0)
			return -1;
	}
	return 0;
}

static void write_text(const char *name, const char *text) {
	char path[PATH];
	FILE *f = fopen(in(name, path), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(fclose(f), 0);
}

static void read_text(const char *name, char text[static 64]) {
	char path[PATH];
	FILE *f = fopen(in(name, path), "r");

	assert_non_null(f);
	text[fread(text, 1, 63, f)] = 0;
	fclose(f);
}

/* The bytes of a hexadecimal or base64 value of golden.json. */
static void golden(const char *name, uint8_t *out, size_t n) {
	struct span file = bytes_of_file("tests/vectors/card/golden.json");
	char key[64], text[100];
	const char *at, *end;

	snprintf(key, sizeof key, "\"%s\": \"", name);
	at = memmem(file.p, file.n, key, strlen(key));
	assert_non_null(at);
	at += strlen(key);
	end = memchr(at, '"', file.n - (size_t)(at - (const char *)file.p));
	assert_non_null(end);
	assert_true(span_copy(span_of(at, (size_t)(end - at)), text, sizeof text));
	bytes_free(file);
	if (strlen(text) == 2 * n)
		assert_int_equal(sodium_hex2bin(out, n, text, 2 * n, NULL, NULL, NULL), 0);
	else
		assert_true(wg_key_decode(text, strlen(text), out));
}

/* ---- what grows from the seed ---- */

static void the_golden_keys_come_out(void **state) {
	uint8_t seed[SEED_BYTES], journal_seed[SEED_BYTES], expected[32], secret[32], key[32];
	uint8_t pair[crypto_sign_SECRETKEYBYTES];
	char journal[CESR_TEXT], text[CESR_TEXT];

	(void)state;
	golden("seed_hex", seed, sizeof seed);
	golden("secret_hex", expected, sizeof expected);
	derive_tunnel(seed, "db1", secret);
	assert_memory_equal(secret, expected, sizeof secret);
	golden("public_wg", expected, sizeof expected);
	tunnel_public(secret, key);
	assert_memory_equal(key, expected, sizeof key);
	golden("journal_seed_hex", journal_seed, sizeof journal_seed);
	crypto_sign_seed_keypair(key, pair, journal_seed);
	derive_journal(seed, "db1", journal);
	assert_string_equal(journal, cesr_encode(CESR_ED25519, key, text));
}

static void each_host_and_each_seed_has_its_own(void **state) {
	uint8_t seed[SEED_BYTES] = {1}, one[32], other[32];

	(void)state;
	derive_tunnel(seed, "db1", one);
	derive_tunnel(seed, "db2", other);
	assert_memory_not_equal(one, other, sizeof one);
	derive_tunnel(seed, "db", other);
	assert_memory_not_equal(one, other, sizeof one);
	seed[31] = 1;
	derive_tunnel(seed, "db1", other);
	assert_memory_not_equal(one, other, sizeof one);
}

/* ---- the identity's life ---- */

static void make(struct identity *identity, char **event, size_t *n) {
	struct err err;

	if (!identity_make(identity, event, n, &err))
		fail_msg("%s", err.text);
}

static void read_all(struct book *book, const char *event, size_t n) {
	book_read(book, span_of(event, n));
	assert_true(book_finish(book));
}

static void its_inception_is_accepted(void **state) {
	struct book book = {0};
	struct identity identity;
	const struct kel *kel;
	uint8_t key[CESR_RAW], pair[crypto_sign_SECRETKEYBYTES], digest[CESR_RAW];
	char *event, text[64], key_text[CESR_TEXT];
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	read_all(&book, event, n);
	free(event);
	assert_int_equal(book.nlogs, 1);
	kel = book_kel(&book, identity.aid);
	assert_non_null(kel);
	assert_int_equal(kel->count, 1);
	assert_int_equal(identity.aid[0], 'E');
	assert_int_equal(kel_current(kel)->nkeys, 1);
	assert_int_equal(kel_current(kel)->nwitnesses, 0);
	crypto_sign_seed_keypair(key, pair, identity.seed);
	assert_memory_equal(kel_current(kel)->keys[0].raw, key, sizeof key);
	/* pre-rotated: the next seed's public key is committed to */
	assert_int_equal(kel_current(kel)->nnext, 1);
	crypto_sign_seed_keypair(key, pair, identity.next);
	cesr_digest(span_str(cesr_encode(CESR_ED25519, key, key_text)), text);
	assert_true(cesr_decode(span_str(text), CESR_BLAKE3, digest));
	assert_memory_equal(kel_current(kel)->next[0], digest, sizeof digest);
	assert_false(kel_abandoned(kel));
	book_free(&book);
	forget();
}

static void it_counts_only_once_adopted(void **state) {
	struct identity identity, loaded = {0};
	char aid[CESR_TEXT], text[64], *event;
	struct err err;
	size_t n;

	(void)state;
	assert_true(identity_aid(root, aid, &err));
	assert_string_equal(aid, "");
	assert_false(identity_load(root, &loaded, &err));
	assert_string_equal(
		err.text, PATH_IDENTITY ": this host holds no identity; make one with verimesh init");
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_aid(root, aid, &err));
	assert_string_equal(aid, "");
	assert_true(identity_adopt(root, &identity, NULL, &err));
	assert_true(identity_aid(root, aid, &err));
	assert_string_equal(aid, identity.aid);
	assert_true(identity_load(root, &loaded, &err));
	assert_string_equal(loaded.aid, identity.aid);
	assert_memory_equal(loaded.seed, identity.seed, SEED_BYTES);
	/* the next seed is on its way to somewhere else: it is not needed here */
	assert_true(sodium_is_zero(loaded.next, SEED_BYTES));
	read_text("next", text);
	assert_true(wg_key_decode(text, WG_KEY_TEXT - 1, loaded.next));
	assert_memory_equal(loaded.next, identity.next, SEED_BYTES);
	identity_wipe(&loaded);
	for (size_t i = 0; i < sizeof loaded; i++)
		assert_int_equal(((uint8_t *)&loaded)[i], 0);
	forget();
}

/* They may be all that is left of an identity: nothing may take their place. */
static void seeds_without_an_aid_are_kept(void **state) {
	struct identity identity;
	char aid[CESR_TEXT], path[PATH], *event;
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, NULL, &err));
	assert_int_equal(unlink(in("aid", path)), 0);
	assert_false(identity_aid(root, aid, &err));
	assert_string_equal(aid, "");
	assert_int_equal(err.status, ERR_ENV);
	assert_non_null(strstr(err.text, "/seed: is there without its aid; restore"));
	forget();
}

static void no_two_are_alike(void **state) {
	struct identity one, other;
	char *event;
	size_t n;

	(void)state;
	make(&one, &event, &n);
	free(event);
	make(&other, &event, &n);
	free(event);
	assert_string_not_equal(one.aid, other.aid);
	assert_memory_not_equal(one.seed, other.seed, SEED_BYTES);
	assert_memory_not_equal(one.next, other.next, SEED_BYTES);
	assert_memory_not_equal(one.seed, one.next, SEED_BYTES);
	forget();
}

/* Twenty interactions, so that sn needs a second digit. */
static void its_seals_are_accepted(void **state) {
	char said[2][CESR_TEXT], seals[200], *event;
	struct book book = {.keep = true};
	struct identity identity;
	const struct kel *kel;
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	read_all(&book, event, n);
	free(event);
	kel = book_kel(&book, identity.aid);
	for (size_t i = 0; i < 20; i++) {
		cesr_digest(span_of(&i, sizeof i), said[i % 2]);
		if (i)
			snprintf(seals, sizeof seals, "{\"i\":\"%s\",\"s\":\"1\",\"d\":\"%s\"}",
				said[(i + 1) % 2], said[i % 2]);
		else
			snprintf(seals, sizeof seals, "{\"d\":\"%s\"}", said[i % 2]);
		assert_true(identity_seal(&identity, kel, seals, &event, &n, &err));
		read_all(&book, event, n);
		free(event);
		assert_int_equal(kel->count, i + 2);
		assert_int_equal(kel->nseals, i + 1);
		assert_string_equal(kel->seals[i].d, said[i % 2]);
		assert_int_equal(kel->seals[i].kind, i ? SEAL_EVENT : SEAL_DIGEST);
		if (i) {
			assert_string_equal(kel->seals[i].i, said[(i + 1) % 2]);
			assert_int_equal(kel->seals[i].s, 1);
		}
	}
	book_free(&book);
	forget();
}

/* The next seed signs, and another one is committed to; what an earlier seed signs does not hold then. */
static void its_rotations_are_accepted(void **state) {
	struct book book = {.keep = true};
	struct identity identity, before;
	const struct kel *kel;
	uint8_t other[SEED_BYTES];
	char *event;
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	read_all(&book, event, n);
	free(event);
	kel = book_kel(&book, identity.aid);
	for (uint64_t sn = 1; sn < 18; sn++) {
		before = identity;
		assert_true(identity_is_next(kel, identity.next));
		assert_false(identity_is_next(kel, identity.seed));
		memcpy(identity.seed, identity.next, SEED_BYTES);
		randombytes_buf(identity.next, SEED_BYTES);
		assert_true(identity_rotate(&identity, kel, sn, "", &event, &n, &err));
		read_all(&book, event, n);
		free(event);
		assert_int_equal(kel->count, sn + 1);
		assert_true(span_is(kel_current(kel)->ev.said, identity.made));
		assert_true(identity_is_next(kel, identity.next));
		assert_false(identity_seal(&before, kel, "", &event, &n, &err));
		assert_non_null(
			strstr(err.text, "/seed: is not the key that signs this log now; it was restored "
					 "from before a rotation"));
	}
	randombytes_buf(other, sizeof other);
	assert_false(identity_is_next(kel, other));
	book_free(&book);
	forget();
}

/* ---- files ---- */

static mode_t mode_of(const char *name) {
	char path[PATH];
	struct stat st;

	assert_int_equal(lstat(in(name, path), &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	return st.st_mode & 07777;
}

static void secrets_are_closed_to_others_under_any_umask(void **state) {
	static const mode_t masks[] = {0, 022, 077};
	static const char *const names[] = {"aid", "seed", "next", "tunnel"};

	(void)state;
	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		mode_t before = umask(masks[i]);
		struct identity identity;
		char *event;
		size_t n;

		make(&identity, &event, &n);
		free(event);
		assert_true(identity_adopt(root, &identity, "db1", NULL));
		umask(before);
		assert_int_equal(mode_of(""), 0700);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(mode_of(names[k]), 0600);
		forget();
	}
}

/* What others may read or write is not used, whatever it is; the line says how to mend it. */
static void what_is_open_to_others_is_refused(void **state) {
	static const char *const names[] = {"", "aid", "seed", "tunnel", "tunnel.next", "hostseed"};
	static const mode_t modes[] = {0710, 0704, 0702, 0640, 0604, 0620, 0602, 0601};
	struct identity identity;
	char *event, path[PATH];
	uint8_t seed[SEED_BYTES];
	struct err err, expected;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, "db1", &err));
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_TUNNEL_NEXT, identity.seed, &err));
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_HOST, identity.seed, &err));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (size_t k = 0; k < sizeof modes / sizeof modes[0]; k++) {
			bool one = false;

			assert_int_equal(chmod(in(names[i], path), modes[k] | (*names[i] ? 0 : 0700)), 0);
			err_set(&expected, ERR_ENV,
				"%s: others may read or write it; chmod -R go= %s" PATH_IDENTITY, path,
				root);
			if (i < 3)
				one = identity_load(root, &identity, &err);
			else
				one = secret_read(root, names[i], seed, &err);
			assert_false(one);
			assert_string_equal(err.text, expected.text);
			assert_int_not_equal(errno, ENOENT);
			assert_int_equal(chmod(path, *names[i] ? 0600 : 0700), 0);
		}
	assert_true(identity_load(root, &identity, &err));
	forget();
}

static void what_is_another_users_is_refused(void **state) {
	struct identity identity;
	char *event, path[PATH];
	struct err err, expected;
	size_t n;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, "db1", &err));
	assert_int_equal(chown(in("seed", path), 65534, 0), 0);
	assert_false(identity_load(root, &identity, &err));
	err_set(&expected, ERR_ENV, "%s: is another user's; chown -R root %s" PATH_IDENTITY, path, root);
	assert_string_equal(err.text, expected.text);
	forget();
}

static void the_host_seed_comes_back(void **state) {
	uint8_t seed[SEED_BYTES], back[SEED_BYTES];
	struct err err;

	(void)state;
	assert_false(secret_read(root, SECRET_HOST, back, &err));
	assert_int_equal(errno, ENOENT);
	randombytes_buf(seed, sizeof seed);
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_HOST, seed, &err));
	assert_int_equal(mode_of("hostseed"), 0600);
	assert_true(secret_read(root, SECRET_HOST, back, &err));
	assert_memory_equal(seed, back, sizeof seed);
	forget();
}

/* One that was killed while it wrote left a directory beside, which counts for nothing. */
static void adopting_is_all_or_nothing(void **state) {
	uint8_t secret[WG_KEY_BYTES], expected[WG_KEY_BYTES];
	struct identity identity, loaded = {0};
	char aid[CESR_TEXT], *event, path[PATH], beside[PATH + 8];
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, "db1", &err));
	snprintf(beside, sizeof beside, "%s.new", in("", path));
	assert_int_equal(rename(path, beside), 0);
	assert_true(identity_aid(root, aid, &err));
	assert_string_equal(aid, "");
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, "db2", &err));
	assert_int_equal(access(beside, F_OK), -1);
	assert_true(identity_load(root, &loaded, &err));
	assert_string_equal(loaded.aid, identity.aid);
	assert_memory_equal(loaded.seed, identity.seed, SEED_BYTES);
	assert_true(secret_read(root, SECRET_TUNNEL, secret, &err));
	derive_tunnel(identity.seed, "db2", expected);
	assert_memory_equal(secret, expected, sizeof secret);
	/* an interface that is shared needs no secret of ours: nor does it get one of before */
	assert_int_equal(rename(path, beside), 0);
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, NULL, &err));
	assert_false(secret_read(root, SECRET_TUNNEL, secret, &err));
	assert_int_equal(errno, ENOENT);
	assert_true(identity_load(root, &loaded, &err));
	assert_memory_equal(loaded.seed, identity.seed, SEED_BYTES);
	/* a second one does not take its place */
	make(&identity, &event, &n);
	free(event);
	assert_false(identity_adopt(root, &identity, "db2", &err));
	assert_true(identity_aid(root, aid, &err));
	assert_string_equal(aid, loaded.aid);
	for (size_t i = 0; i < 5; i++) {
		static const char *const names[] = {"/aid", "/seed", "/next", "/tunnel", "/events"};
		char file[PATH + 20];

		snprintf(file, sizeof file, "%s%s", beside, names[i]);
		assert_int_equal(unlink(file), 0);
	}
	assert_int_equal(rmdir(beside), 0);
	forget();
}

static void nothing_else_is_left_behind(void **state) {
	struct identity identity;
	char *event, path[PATH];
	struct dirent *entry;
	size_t n, files = 0;
	DIR *dir;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	assert_true(identity_adopt(root, &identity, NULL, NULL));
	dir = opendir(in("", path));
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		files += entry->d_name[0] != '.';
	closedir(dir);
	assert_int_equal(files, 4);
	forget();
}

static bool has(const char *name, const uint8_t seed[static SEED_BYTES]) {
	uint8_t there[SEED_BYTES];

	return secret_read(root, name, there, NULL) && memcmp(there, seed, SEED_BYTES) == 0;
}

/* What is staged takes its place if the log has the event, and else nothing of it is left; and so it is
 * wherever that was cut off before: after any number of its steps. */
static void what_is_staged_is_settled_by_the_log(void **state) {
	static const char *const names[] = {SECRET_TUNNEL_NEXT, "next", "seed"};
	static const char asked[] = "EAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	static const char other[] = "EBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

	(void)state;
	for (size_t steps = 0; steps < 10; steps++) {
		struct book book = {.keep = true};
		struct identity old, new;
		char *event, path[PATH], from[64];
		bool staged, done, known = steps < 5;
		uint8_t tunnel[SEED_BYTES];
		struct err err;
		size_t n;

		make(&old, &event, &n);
		read_all(&book, event, n);
		free(event);
		assert_true(identity_adopt(root, &old, "db1", &err));
		new = old;
		new.held = true;
		memcpy(new.seed, old.next, SEED_BYTES);
		randombytes_buf(new.next, SEED_BYTES);
		randombytes_buf(tunnel, sizeof tunnel);
		assert_true(identity_rotate(&new, book_kel(&book, old.aid), 1, "", &event, &n, &err));
		/* what an earlier one left that was killed before it was staged is no part of it */
		assert_int_equal(mkdir(in(STAGED, path), 0700), 0);
		write_text(STAGED "/other", "left");
		assert_true(identity_stage(root, &new, tunnel, asked, &err));
		assert_int_not_equal(access(in(STAGED "/other", path), F_OK), 0);
		assert_true(has("seed", old.seed) && has("next", old.next) && has(SECRET_STAGED, tunnel));
		if (known)
			read_all(&book, event, n);
		free(event);
		for (size_t i = 0; i < steps % 5 && i < 3; i++) {
			snprintf(from, sizeof from, STAGED "/%s", names[i]);
			if (known)
				assert_true(move(root, from, names[i], &err));
			else
				assert_int_equal(unlink(in(from, path)), 0);
		}
		if (steps % 5 == 4)
			assert_int_equal(rmdir(in(STAGED, path)), 0);
		assert_true(identity_was_asked(root, book_kel(&book, old.aid), asked, &staged, &done, &err));
		assert_int_equal(staged, known);
		assert_int_equal(done, known);
		assert_true(identity_was_asked(root, book_kel(&book, old.aid), other, &staged, &done, &err));
		assert_int_equal(staged, known);
		assert_false(done);
		assert_true(identity_settle(root, book_kel(&book, old.aid), &err));
		assert_true(has("seed", known ? new.seed : old.seed));
		assert_true(has("next", known ? new.next : old.next));
		assert_int_equal(has(SECRET_TUNNEL_NEXT, tunnel), known);
		assert_int_not_equal(access(in(STAGED, path), F_OK), 0);
		assert_int_not_equal(access(in(STAGED_EVENT, path), F_OK), 0);
		book_free(&book);
		forget();
	}
}

/* Noted before anybody sees it, one behind the other; of an identity that is yet to be held, with it. */
static void its_events_are_noted(void **state) {
	struct identity identity;
	char *event, *text, first[CESR_TEXT], expected[4 * CESR_TEXT];
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	memcpy(first, identity.made, sizeof first);
	assert_true(identity_note(root, &identity, &err));
	assert_false(identity_events(root, &text, &err));
	assert_true(identity_adopt(root, &identity, NULL, &err));
	assert_true(identity_load(root, &identity, &err));
	for (int c = 'A'; c < 'C'; c++) {
		memset(identity.made, c, CESR_CHARS);
		assert_true(identity_note(root, &identity, &err));
	}
	assert_true(identity_events(root, &text, &err));
	snprintf(expected, sizeof expected, "%s\n%.44s\n%.44s\n", first,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
	assert_string_equal(text, expected);
	free(text);
	forget();
}

static void a_damaged_file_is_named(void **state) {
	static const char *const contents[] = {"", "\n", "A", "\xff\xff",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"DAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"A///////////////////////////////////////////\n",
		"A___________________________________________ \n"};
	static const char *const names[] = {"aid", "seed"};
	struct identity identity, loaded = {0};
	char *event, aid[CESR_TEXT];
	uint8_t secret[32];
	struct err err;
	size_t n;

	(void)state;
	make(&identity, &event, &n);
	free(event);
	for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++)
		for (size_t k = 0; k < 2; k++) {
			assert_true(identity_adopt(root, &identity, NULL, &err));
			write_text(names[k], contents[i]);
			assert_false(identity_load(root, &loaded, &err));
			assert_int_equal(err.status, ERR_ENV);
			assert_non_null(strstr(err.text, PATH_IDENTITY));
			assert_non_null(strstr(err.text, names[k]));
			assert_non_null(strstr(err.text, "damaged; restore it from a backup"));
			write_text("tunnel", contents[i]);
			assert_false(secret_read(root, SECRET_TUNNEL, secret, &err));
			assert_int_not_equal(errno, ENOENT);
			assert_non_null(strstr(err.text, "tunnel: damaged; restore"));
			forget();
		}
	assert_true(identity_adopt(root, &identity, NULL, &err));
	write_text("aid", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
	assert_false(identity_aid(root, aid, &err));
	forget();
}

static void the_tunnel_secret_comes_back(void **state) {
	uint8_t secret[32], back[32];
	struct err err;

	(void)state;
	assert_false(secret_read(root, SECRET_TUNNEL, back, &err));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(err.status, ERR_ENV);
	randombytes_buf(secret, sizeof secret);
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_TUNNEL, secret, &err));
	assert_true(secret_read(root, SECRET_TUNNEL, back, &err));
	assert_memory_equal(secret, back, sizeof secret);
	forget();
}

static void the_next_tunnel_secret_takes_its_place(void **state) {
	uint8_t secret[32] = {1}, next[32] = {2}, back[32];
	struct err err;

	(void)state;
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_TUNNEL, secret, &err));
	assert_false(secret_read(root, SECRET_TUNNEL_NEXT, back, &err));
	assert_int_equal(errno, ENOENT);
	assert_false(tunnel_secret_promote(root, SECRET_TUNNEL_NEXT, &err));
	assert_true(secret_write(root, PATH_IDENTITY, SECRET_TUNNEL_NEXT, next, &err));
	assert_true(secret_read(root, SECRET_TUNNEL, back, &err));
	assert_memory_equal(secret, back, sizeof secret);
	assert_true(secret_read(root, SECRET_TUNNEL_NEXT, back, &err));
	assert_memory_equal(next, back, sizeof next);
	assert_true(tunnel_secret_promote(root, SECRET_TUNNEL_NEXT, &err));
	assert_true(secret_read(root, SECRET_TUNNEL, back, &err));
	assert_memory_equal(next, back, sizeof next);
	assert_false(secret_read(root, SECRET_TUNNEL_NEXT, back, &err));
	assert_int_equal(errno, ENOENT);
	forget();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_golden_keys_come_out),
		cmocka_unit_test(each_host_and_each_seed_has_its_own),
		cmocka_unit_test(its_inception_is_accepted),
		cmocka_unit_test(it_counts_only_once_adopted),
		cmocka_unit_test(seeds_without_an_aid_are_kept),
		cmocka_unit_test(no_two_are_alike),
		cmocka_unit_test(its_seals_are_accepted),
		cmocka_unit_test(its_rotations_are_accepted),
		cmocka_unit_test(what_is_staged_is_settled_by_the_log),
		cmocka_unit_test(its_events_are_noted),
		cmocka_unit_test(secrets_are_closed_to_others_under_any_umask),
		cmocka_unit_test(what_is_open_to_others_is_refused),
		cmocka_unit_test(what_is_another_users_is_refused),
		cmocka_unit_test(the_host_seed_comes_back),
		cmocka_unit_test(adopting_is_all_or_nothing),
		cmocka_unit_test(nothing_else_is_left_behind),
		cmocka_unit_test(a_damaged_file_is_named),
		cmocka_unit_test(the_tunnel_secret_comes_back),
		cmocka_unit_test(the_next_tunnel_secret_takes_its_place),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, make_root, remove_root);
}
