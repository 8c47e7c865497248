/* sealed.c: seeds at rest, sealed by a passphrase; see sealed.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "file.h"
#include "sealed.h"

#define MARK "argon2id "
#define CREDENTIAL "verimesh.passphrase"

/* RFC 9106, 4: the option for where memory is short. */
#define PASSES 3U
#define KIBIBYTES 65536U

/* What a line may ask of us. */
#define MOST_PASSES 16
#define MOST_KIBIBYTES (1UL << 20)

/* ---- where it comes from ---- */

/* Without the end of its line. False: empty, too long, or with a NUL. */
static bool take(struct passphrase *out, const uint8_t *data, size_t n, struct err *err) {
	n -= n && data[n - 1] == '\n';
	return (n && n <= PASSPHRASE_MAX && !memchr(data, 0, n) &&
		       span_copy(span_of(data, n), out->text, sizeof out->text)) ||
	       err_set(err, ERR_USAGE, "passphrase: empty, with a NUL, or longer than %d bytes",
		       PASSPHRASE_MAX);
}

/* Not there: errno ENOENT. */
static bool from_credential(struct passphrase *out, struct err *err) {
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	uint8_t *data;
	bool good;
	size_t n;

	errno = ENOENT;
	if (!dir || !file_path(path, dir, "", CREDENTIAL, err) ||
		!file_read(path, PASSPHRASE_MAX + 1, &data, &n, err))
		return false;
	good = take(out, data, n, err) || err_at(err, "%s", path);
	sodium_memzero(data, n);
	free(data);
	errno = 0;
	return good;
}

/* No byte behind its line is taken, which may be for another program. */
static bool from_input(struct passphrase *out, struct err *err) {
	uint8_t line[PASSPHRASE_MAX + 2];
	ssize_t got = 1;
	size_t n = 0;
	bool good;

	while (got == 1 && n < sizeof line && !(n && line[n - 1] == '\n')) {
		got = read(STDIN_FILENO, line + n, 1);
		n += got == 1;
	}
	/* what came before a failure is a part of it, and would seal as well as the whole */
	good = got < 0 ? err_set(err, ERR_ENV, "passphrase: standard input: %m") : take(out, line, n, err);
	sodium_memzero(line, sizeof line);
	return good;
}

/* Reads a line of the terminal, unless a signal comes first. Bytes, or -1. */
static ssize_t type_line(int tty, int signals, uint8_t *line, size_t size) {
	struct pollfd fds[] = {{.fd = tty, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -1;
	return fds[1].revents ? -1 : read(tty, line, size);
}

/* What ends us while nothing shows does so when the terminal is as it was. */
static bool from_terminal(int tty, const char *prompt, struct passphrase *out, struct err *err) {
	uint8_t line[PASSPHRASE_MAX + 2] = {0};
	struct termios before, quiet;
	sigset_t fatal, mask;
	ssize_t n = -1;
	int signals;
	bool good;

	sigemptyset(&fatal);
	sigaddset(&fatal, SIGINT);
	sigaddset(&fatal, SIGTERM);
	sigaddset(&fatal, SIGHUP);
	sigaddset(&fatal, SIGQUIT);
	sigaddset(&fatal, SIGTSTP);
	sigprocmask(SIG_BLOCK, &fatal, &mask);
	signals = signalfd(-1, &fatal, SFD_CLOEXEC);
	if (signals >= 0 && tcgetattr(tty, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		quiet.c_lflag |= ICANON | ECHONL;
		/* in this order: what is typed once the prompt stands neither shows nor is flushed */
		if (tcsetattr(tty, TCSAFLUSH, &quiet) == 0 && dprintf(tty, "%s: ", prompt) > 0)
			n = type_line(tty, signals, line, sizeof line);
		tcsetattr(tty, TCSAFLUSH, &before);
	}
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &mask, NULL); /* a signal that came takes effect here */
	good = n < 0 ? err_set(err, ERR_ENV, "passphrase: cannot be read from the terminal")
		     : take(out, line, (size_t)n, err);
	sodium_memzero(line, sizeof line);
	return good;
}

static bool from_person(int tty, bool new, struct passphrase *out, struct err *err) {
	struct passphrase again = {0};
	bool good = from_terminal(
		tty, new ? "New passphrase of the identity" : "Passphrase of the identity", out, err);

	if (good && new) {
		good = from_terminal(tty, "The same again", &again, err) &&
		       (strcmp(again.text, out->text) == 0 ||
			       err_set(err, ERR_NO, "passphrase: the two are not the same; try again"));
		sodium_memzero(&again, sizeof again);
	}
	return good;
}

bool passphrase_get(enum passphrase_from from, struct passphrase *out, struct err *err) {
	bool good;
	int tty;

	if (from_credential(out, err))
		return true;
	if (errno != ENOENT)
		return false;
	if (from == PASSPHRASE_CREDENTIAL)
		return err_set(err, ERR_ENV,
			"the identity is sealed, and there is nobody to ask: give its passphrase as the "
			"systemd "
			"credential " CREDENTIAL);
	if (!isatty(STDIN_FILENO))
		return from_input(out, err);
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0) /* a terminal that is not ours to be stopped by */
		tty = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	good = from_person(tty, from == PASSPHRASE_NEW, out, err);
	close(tty);
	return good;
}

/* ---- what it seals ---- */

/* What stands in a line, as base64. */
struct box {
	uint8_t salt[crypto_pwhash_SALTBYTES], nonce[crypto_secretbox_NONCEBYTES];
	uint8_t sealed[crypto_secretbox_MACBYTES + SEED_BYTES];
};

static bool stretch(const struct passphrase *passphrase, const struct box *box, unsigned passes,
	unsigned long kibibytes, uint8_t key[static crypto_secretbox_KEYBYTES], struct err *err) {
	return crypto_pwhash(key, crypto_secretbox_KEYBYTES, passphrase->text, strlen(passphrase->text),
		       box->salt, passes, kibibytes * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0 ||
	       err_set(err, ERR_ENV, "passphrase: %lu MiB of memory are needed to try it", kibibytes / 1024);
}

bool seed_seal(const struct passphrase *passphrase, const uint8_t seed[static SEED_BYTES],
	char line[static SEALED_LINE], struct err *err) {
	uint8_t key[crypto_secretbox_KEYBYTES];
	struct box box;
	int n = snprintf(line, SEALED_LINE, MARK "%u %u ", PASSES, KIBIBYTES);

	randombytes_buf(box.salt, sizeof box.salt);
	randombytes_buf(box.nonce, sizeof box.nonce);
	if (!stretch(passphrase, &box, PASSES, KIBIBYTES, key, err))
		return false;
	crypto_secretbox_easy(box.sealed, seed, SEED_BYTES, box.nonce, key);
	sodium_memzero(key, sizeof key);
	sodium_bin2base64(line + n, SEALED_LINE - (size_t)n, (const uint8_t *)&box, sizeof box,
		sodium_base64_VARIANT_ORIGINAL);
	return true;
}

bool seed_is_sealed(struct span line) {
	return span_starts(line, MARK);
}

/* Only as seed_seal writes it: no text has two readings. */
static bool read_box(struct span line, unsigned *passes, unsigned long *kibibytes, struct box *box) {
	char text[SEALED_LINE], again[SEALED_LINE], base64[SEALED_LINE];
	size_t n;

	return span_copy(line, text, sizeof text) &&
	       sscanf(text, MARK "%u %lu %191s", passes, kibibytes, base64) == 3 && *passes >= 1 &&
	       *passes <= MOST_PASSES && *kibibytes >= 8 && *kibibytes <= MOST_KIBIBYTES &&
	       snprintf(again, sizeof again, MARK "%u %lu %s", *passes, *kibibytes, base64) <
		       (int)sizeof again &&
	       strcmp(text, again) == 0 &&
	       sodium_base642bin((uint8_t *)box, sizeof *box, base64, strlen(base64), NULL, &n, NULL,
		       sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       n == sizeof *box;
}

bool seed_open(const struct passphrase *passphrase, struct span line, uint8_t seed[static SEED_BYTES],
	struct err *err) {
	uint8_t key[crypto_secretbox_KEYBYTES];
	unsigned long kibibytes;
	unsigned passes;
	struct box box;
	bool good;

	if (!read_box(line, &passes, &kibibytes, &box))
		return err_set(err, ERR_ENV, "damaged; restore it from a backup");
	if (!stretch(passphrase, &box, passes, kibibytes, key, err))
		return false;
	good = crypto_secretbox_open_easy(seed, box.sealed, sizeof box.sealed, box.nonce, key) == 0;
	sodium_memzero(key, sizeof key);
	return good || err_set(err, ERR_NO, "wrong passphrase");
}
