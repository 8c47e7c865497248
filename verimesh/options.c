/* options.c: LABEL and options of init, issue and withdraw; see options.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "file.h"
#include "options.h"

#define SECOND INT64_C(1000000)
#define DEFAULT_LIFE (30 * 86400 * SECOND) /* DESIGN.md 5.5 */
#define REPEATING 4			   /* of the options: the first ones */

static const struct option names[] = {
	{"addr", required_argument, NULL, 'a'},
	{"route", required_argument, NULL, 'r'},
	{"login", required_argument, NULL, 'l'},
	{"hostkey", required_argument, NULL, 'h'},
	{"endpoint", required_argument, NULL, 'e'},
	{"key", required_argument, NULL, 'k'},
	{"journal", required_argument, NULL, 'j'},
	{"from", required_argument, NULL, 'f'},
	{"until", required_argument, NULL, 'u'},
	{"rosenpass", required_argument, NULL, 'p'},
	{"self", required_argument, NULL, 's'},
	{"aid", required_argument, NULL, 'i'},
	{"seal", no_argument, NULL, 'S'},
	{0},
};

/* Room for as many words in each list as there are in the call, and a NULL. */
static bool make_lists(struct options *o, int nargs, struct err *err) {
	char ***lists[] = {
		&o->card.addrs, &o->card.routes, &o->card.logins, &o->card.loginkeys, &o->card.hostkeys};
	size_t each = (size_t)nargs + 1;

	o->words = calloc(5 * each, sizeof *o->words);
	o->keys = calloc(each, sizeof *o->keys);
	if (!o->words || !o->keys)
		return err_set(err, ERR_ENV, "out of memory");
	for (size_t i = 0; i < 5; i++)
		*lists[i] = o->words + i * each;
	return true;
}

/* What the card would take for the end of its string. */
static bool is_plain(const char *text, struct err *err) {
	return !strpbrk(text, "\"\\") || err_set(err, ERR_USAGE, "%s: holds a quote or a backslash", text);
}

static bool add(char **list, char *text, struct err *err) {
	while (*list)
		list++;
	*list = text;
	return is_plain(text, err);
}

/* "ssh-ed25519 AAAA… comment" as ssh-keygen writes it, to CESR text. */
static bool read_ssh_key(const char *path, char text[static CESR_TEXT], struct err *err) {
	static const char head[] = "\0\0\0\x0bssh-ed25519\0\0\0\x20";
	uint8_t blob[sizeof head - 1 + CESR_RAW + 1], *data;
	const char *end, *prefix = "ssh-ed25519 ";
	size_t n, size = 0;
	bool good;

	if (!file_read(path, 16384, &data, &n, err))
		return false;
	good = span_starts(span_of(data, n), prefix) &&
	       sodium_base642bin(blob, sizeof blob, (const char *)data + strlen(prefix), n - strlen(prefix),
		       NULL, &size, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       size == sizeof blob - 1 && memcmp(blob, head, sizeof head - 1) == 0 && strchr(" \r\n", *end);
	free(data);
	if (good)
		cesr_encode(CESR_ED25519, blob + sizeof head - 1, text);
	return good ||
	       err_set(err, ERR_USAGE, "%s: no Ed25519 public key of SSH; see ssh-keygen -t ed25519", path);
}

/* NAME or NAME=KEYFILE. A name that is given again only adds a key. */
static bool add_login(struct options *o, char *arg, struct err *err) {
	char *file = strchr(arg, '='), **listed = o->card.logins, key[CESR_TEXT], *both;

	if (file)
		*file++ = 0;
	if (!login_valid(span_str(arg)))
		return err_set(err, ERR_USAGE, "--login %s: no login; letters a-z, digits, _ and -", arg);
	while (*listed && strcmp(*listed, arg) != 0)
		listed++;
	if (!*listed && !add(o->card.logins, arg, err))
		return false;
	if (!file)
		return true;
	if (!read_ssh_key(file, key, err))
		return false;
	both = o->keys[o->nkeys++];
	snprintf(both, sizeof *o->keys, "%s:%s", arg, key);
	return add(o->card.loginkeys, both, err);
}

int64_t now_micros(void) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

bool options_time(const char *name, const char *arg, int64_t now, int64_t *micros, struct err *err) {
	static const int64_t seconds[] = {['s'] = 1, ['m'] = 60, ['h'] = 3600, ['d'] = 86400};
	size_t digits = strspn(arg, "0123456789");
	char keri[TIME_TEXT];

	if (digits && digits < 9 && strlen(arg) == digits + 1 && strchr("smhd", arg[digits])) {
		*micros = now + strtol(arg, NULL, 10) * seconds[(unsigned char)arg[digits]] * SECOND;
		return true;
	}
	if (strlen(arg) == 20 && arg[19] == 'Z') {
		snprintf(keri, sizeof keri, "%.19s.000000+00:00", arg);
		arg = keri;
	}
	return time_parse(span_str(arg), micros) ||
	       err_set(err, ERR_USAGE, "--%s %s: no time; such as 2026-01-31T12:00:00Z or 30d", name, arg);
}

static bool read_digest(const char *path, char text[static CESR_TEXT], struct err *err) {
	uint8_t *data;
	size_t n;

	if (!file_read(path, (size_t)8 << 20, &data, &n, err))
		return false;
	cesr_digest(span_of(data, n), text);
	free(data);
	return true;
}

/* A label, a petname. */
static bool is_name(const char *text, struct err *err) {
	return label_valid(span_str(text)) ||
	       err_set(err, ERR_USAGE, "%s: no name; letters a-z, digits and -, at most %d", text,
		       LABEL_MAX);
}

/* Reads what a card does not hold as it is given; the rest is looked at when the card is written. */
static bool take_option(struct options *o, int id, char *arg, struct err *err) {
	char *key;

	switch (id) {
	case 'a':
		return add(o->card.addrs, arg, err);
	case 'r':
		return add(o->card.routes, arg, err);
	case 'l':
		return add_login(o, arg, err);
	case 'h':
		key = o->keys[o->nkeys++];
		return read_ssh_key(arg, key, err) && add(o->card.hostkeys, key, err);
	case 'e':
		o->card.endpoint = arg;
		return is_plain(arg, err);
	case 'k':
		o->card.key = o->key;
		return wg_key_decode(arg, strlen(arg), o->key) ||
		       err_set(err, ERR_USAGE, "--key: no WireGuard public key as wg prints it");
	case 'j':
		o->card.journal = arg;
		return is_plain(arg, err);
	case 'f':
		return options_time("from", arg, o->card.issued, &o->card.from, err);
	case 'u':
		if (strcmp(arg, "never") != 0)
			return options_time("until", arg, o->card.issued, &o->card.until, err);
		o->card.until = NEVER;
		return true;
	case 'p':
		o->card.rosenpass = o->rosenpass;
		return read_digest(arg, o->rosenpass, err);
	case 'i':
		o->aid = arg;
		return cesr_is_aid(span_str(arg)) || err_set(err, ERR_USAGE, "--aid %s: no AID", arg);
	case 'S':
		return o->seal = true;
	default:
		o->self = arg;
		return is_name(arg, err);
	}
}

/* --self and --seal are for init, --aid for the others, and the rest for who issues. */
static bool takes(enum options_verb verb, int id) {
	if (id == 's' || id == 'S' || id == 'i')
		return (id != 'i') == (verb == FOR_INIT);
	return id != '?' && verb != FOR_WITHDRAW;
}

static bool take_options(
	struct options *o, const struct command *command, enum options_verb verb, struct err *err) {
	unsigned seen = 0;
	int id, name;

	opterr = 0;
	optind = 1;
	while ((id = getopt_long(command->nargs, command->args, "", names, &name)) != -1) {
		if (!takes(verb, id))
			return err_set(
				err, ERR_USAGE, "unknown option or no value: %s", command->args[optind - 1]);
		if (name >= REPEATING && seen & 1U << name)
			return err_set(err, ERR_USAGE, "--%s: may be given once", names[name].name);
		seen |= 1U << name;
		if (!take_option(o, id, optarg, err))
			return false;
	}
	return true;
}

/* What others would refuse in it is wrong in the call. */
static bool try_card(const struct card_content *card, struct err *err) {
	uint8_t *body = NULL;
	size_t n;
	bool good = card_write(card, &body, &n, err);

	free(body);
	if (!good && err->status == ERR_NO)
		err->status = ERR_USAGE;
	return good;
}

static bool take_all(
	struct options *o, const struct command *command, enum options_verb verb, struct err *err) {
	o->card.issuer = "";
	o->card.issued = now_micros();
	o->card.until = verb == FOR_WITHDRAW ? NEVER : o->card.issued + DEFAULT_LIFE;
	if (!make_lists(o, command->nargs, err) || !take_options(o, command, verb, err))
		return false;
	if (o->card.until <= o->card.issued)
		return err_set(err, ERR_USAGE, "--until: lies in the past");
	if (verb == FOR_INIT && o->card.key)
		return options_own_key(err);
	if (o->aid && verb == FOR_ISSUE && !o->card.key)
		return err_set(err, ERR_USAGE, "--aid: needs --key, the host's");
	if (optind + 1 != command->nargs)
		return err_set(err, ERR_USAGE, "one LABEL is needed");
	o->card.host = command->args[optind];
	return is_name(o->card.host, err) && try_card(&o->card, err);
}

int options_read(struct options *o, const struct command *command, enum options_verb verb) {
	struct err err;

	*o = (struct options){0};
	if (take_all(o, command, verb, &err))
		return 0;
	options_free(o);
	return err.status == ERR_USAGE ? usage(command, err.text) : problem(&err);
}

bool options_own_key(struct err *err) {
	return err_set(err, ERR_USAGE, "--key: is for other hosts; this one has its own");
}

void options_free(struct options *o) {
	free(o->words);
	free(o->keys);
	*o = (struct options){0};
}
