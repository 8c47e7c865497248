/* options.c: LABEL and options of init, issue and withdraw; see options.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "file.h"
#include "options.h"

#define SECOND INT64_C(1000000)
#define DEFAULT_LIFE (30 * 86400 * SECOND)	   /* DESIGN.md 5.5 */
#define LAST_TIME (INT64_C(253402300800) * SECOND) /* the year 10000 cannot be written */

enum option_id {
	OPT_ADDR,
	OPT_ROUTE,
	OPT_LOGIN,
	OPT_LOGINKEY,
	OPT_HOSTKEY,
	OPT_LISTS,
	OPT_ENDPOINT = OPT_LISTS,
	OPT_KEY,
	OPT_JOURNAL,
	OPT_FROM,
	OPT_UNTIL,
	OPT_ROSENPASS,
	OPT_SELF,
	OPT_AID
};

static const struct option names[] = {
	{"addr", required_argument, NULL, OPT_ADDR},
	{"route", required_argument, NULL, OPT_ROUTE},
	{"endpoint", required_argument, NULL, OPT_ENDPOINT},
	{"login", required_argument, NULL, OPT_LOGIN},
	{"hostkey", required_argument, NULL, OPT_HOSTKEY},
	{"key", required_argument, NULL, OPT_KEY},
	{"journal", required_argument, NULL, OPT_JOURNAL},
	{"from", required_argument, NULL, OPT_FROM},
	{"until", required_argument, NULL, OPT_UNTIL},
	{"rosenpass", required_argument, NULL, OPT_ROSENPASS},
	{"self", required_argument, NULL, OPT_SELF},
	{"aid", required_argument, NULL, OPT_AID},
	{0},
};

static char ***list_of(struct options *o, enum option_id id) {
	char ***lists[OPT_LISTS] = {
		&o->card.addrs, &o->card.routes, &o->card.logins, &o->card.loginkeys, &o->card.hostkeys};

	return lists[id];
}

static bool add(struct options *o, enum option_id id, const char *text, struct err *err) {
	char ***list = list_of(o, id), **grown;
	size_t n = o->nlists[id];

	grown = reallocarray(*list, n + 2, sizeof *grown);
	if (!grown)
		return err_set(err, ERR_ENV, "out of memory");
	*list = grown;
	grown[n + 1] = NULL;
	grown[n] = strdup(text);
	if (!grown[n])
		return err_set(err, ERR_ENV, "out of memory");
	o->nlists[id]++;
	return true;
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
	if (!good)
		return err_set(err, ERR_USAGE,
			"%s: no Ed25519 public key of SSH (make one with ssh-keygen -t ed25519)", path);
	cesr_encode(CESR_ED25519, blob + sizeof head - 1, text);
	return true;
}

/* NAME or NAME=KEYFILE. A name that is given again only adds a key. */
static bool add_login(struct options *o, char *arg, struct err *err) {
	char *file = strchr(arg, '='), key[CESR_TEXT], both[LOGIN_MAX + 1 + CESR_TEXT];
	bool listed = false;

	if (file)
		*file++ = 0;
	if (!login_valid(span_str(arg)))
		return err_set(err, ERR_USAGE, "--login %s: no login; letters a-z, digits, _ and -", arg);
	for (size_t i = 0; i < o->nlists[OPT_LOGIN]; i++)
		listed = listed || strcmp(o->card.logins[i], arg) == 0;
	if (!listed && !add(o, OPT_LOGIN, arg, err))
		return false;
	if (!file)
		return true;
	if (!read_ssh_key(file, key, err))
		return false;
	snprintf(both, sizeof both, "%s:%s", arg, key);
	return add(o, OPT_LOGINKEY, both, err);
}

int64_t now_micros(void) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

/* 10m, 12h, 30d from now on, or 2026-01-31T12:00:00Z, or as KERI writes it. */
static bool read_time(const char *name, const char *arg, int64_t now, int64_t *micros, struct err *err) {
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t digits = strspn(arg, "0123456789");
	const char *text = arg;
	char keri[TIME_TEXT], letter;

	for (size_t i = 0; i < 4; i++)
		if (digits && digits < 9 && arg[digits] == units[i].letter && !arg[digits + 1]) {
			*micros = now + strtol(arg, NULL, 10) * units[i].seconds * SECOND;
			if (*micros < LAST_TIME)
				return true;
		}
	if (strlen(arg) == 20 && sscanf(arg, "%*19[0-9T:-]%c", &letter) == 1 && letter == 'Z') {
		snprintf(keri, sizeof keri, "%.19s.000000+00:00", arg);
		text = keri;
	}
	return (time_parse(span_str(text), micros) && *micros > 0 && *micros < LAST_TIME) ||
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

static bool take_list(struct options *o, enum option_id id, char *arg, struct err *err) {
	char key[CESR_TEXT];
	struct prefix prefix;
	struct addr addr;

	switch (id) {
	case OPT_ADDR:
		if (!addr_parse_canonical(span_str(arg), &addr))
			return err_set(err, ERR_USAGE, "--addr %s: no IP address in canonical form", arg);
		return add(o, id, arg, err);
	case OPT_ROUTE:
		if (!prefix_parse(span_str(arg), &prefix) || prefix.bits == 0)
			return err_set(err, ERR_USAGE, "--route %s: no prefix such as 10.80.0.0/16", arg);
		return add(o, id, arg, err);
	case OPT_LOGIN:
		return add_login(o, arg, err);
	default:
		return read_ssh_key(arg, key, err) && add(o, OPT_HOSTKEY, key, err);
	}
}

static bool take_value(struct options *o, enum option_id id, char *arg, int64_t now, struct err *err) {
	uint8_t raw[CESR_RAW];
	struct addr addr;
	uint16_t port;

	switch (id) {
	case OPT_ENDPOINT:
		o->card.endpoint = arg;
		return endpoint_parse(span_str(arg), &addr, &port) ||
		       err_set(err, ERR_USAGE, "--endpoint %s: neither IPV4:PORT nor [IPV6]:PORT", arg);
	case OPT_KEY:
		o->card.key = o->key;
		return wg_key_decode(arg, strlen(arg), o->key) ||
		       err_set(err, ERR_USAGE, "--key: no WireGuard public key as wg prints it");
	case OPT_JOURNAL:
		o->card.journal = arg;
		return cesr_decode(span_str(arg), CESR_ED25519, raw) ||
		       err_set(err, ERR_USAGE, "--journal: no key as verimesh key prints it (D...)");
	case OPT_FROM:
		return read_time("from", arg, now, &o->card.from, err);
	case OPT_UNTIL:
		if (strcmp(arg, "never") != 0)
			return read_time("until", arg, now, &o->card.until, err);
		o->card.until = NEVER;
		return true;
	case OPT_ROSENPASS:
		o->card.rosenpass = o->rosenpass;
		return read_digest(arg, o->rosenpass, err);
	case OPT_AID:
		o->aid = arg;
		return cesr_is_aid(span_str(arg)) || err_set(err, ERR_USAGE, "--aid %s: no AID", arg);
	default:
		o->self = arg;
		return label_valid(span_str(arg)) ||
		       err_set(err, ERR_USAGE, "--self %s: no petname; letters a-z, digits and -", arg);
	}
}

static bool takes(enum options_verb verb, int id) {
	switch (id) {
	case OPT_SELF:
		return verb == FOR_INIT;
	case OPT_AID:
		return verb != FOR_INIT;
	default:
		return id != '?' && verb != FOR_WITHDRAW;
	}
}

static bool take_options(struct options *o, const struct command *command, enum options_verb verb,
	int64_t now, struct err *err) {
	unsigned seen = 0;
	bool good = true;
	int id, name;

	opterr = 0;
	optind = 1;
	while (good && (id = getopt_long(command->nargs, command->args, "", names, &name)) != -1) {
		if (!takes(verb, id))
			return err_set(
				err, ERR_USAGE, "unknown option or no value: %s", command->args[optind - 1]);
		if (id < OPT_LISTS)
			good = take_list(o, (enum option_id)id, optarg, err);
		else if (seen & 1U << id)
			good = err_set(err, ERR_USAGE, "--%s: may be given once", names[name].name);
		else
			good = take_value(o, (enum option_id)id, optarg, now, err);
		seen |= 1U << id;
	}
	return good;
}

static bool take_all(
	struct options *o, const struct command *command, enum options_verb verb, struct err *err) {
	int64_t now = now_micros();

	o->card.until = verb == FOR_WITHDRAW ? NEVER : now + DEFAULT_LIFE;
	if (!take_options(o, command, verb, now, err))
		return false;
	if (o->card.until <= now)
		return err_set(err, ERR_USAGE, "--until: lies in the past");
	if (verb == FOR_INIT && o->card.key)
		return options_own_key(err);
	if (verb == FOR_ISSUE && o->aid && !o->card.key)
		return err_set(err, ERR_USAGE, "--aid: needs --key, the host's");
	if (optind + 1 != command->nargs)
		return err_set(err, ERR_USAGE, "one LABEL is needed");
	o->label = command->args[optind];
	o->card.host = o->label;
	return label_valid(span_str(o->label)) ||
	       err_set(err, ERR_USAGE, "%s: no label; letters a-z, digits and -, at most %d", o->label,
		       LABEL_MAX);
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
	for (enum option_id id = 0; id < OPT_LISTS; id++) {
		char **list = *list_of(o, id);

		for (size_t i = 0; list && list[i]; i++)
			free(list[i]);
		free(list);
	}
	*o = (struct options){0};
}
