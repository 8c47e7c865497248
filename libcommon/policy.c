/* policy.c: reads verimesh.conf; see policy.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "paths.h"
#include "policy.h"

#define FILE_MAX ((size_t)16 << 20)
#define SOURCE_MAX 2000
#define ID_MAX 4294967293 /* the two above mean nobody and none */

#define DIGIT "0123456789"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGIT "_.-"
#define SPACE " \t\r\v\f"
#define CONTROL "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37\177"

#define LABEL_RULE "1 to 40 of a-z 0-9 -, no - at either end"
#define PATH_RULE "an absolute path of at most 255 characters, no : nor control characters"
#define DURATION_RULE "a number of s, m, h or d, as in 90s or 5m, not 0"

#define bad(r, ...) err_set(&(r)->err, ERR_USAGE, __VA_ARGS__)
#define no_memory(err) err_set(err, ERR_ENV, "%m")

struct reader {
	struct policy *policy;
	struct policy_peer *peer; /* whose section this is; NULL: [Interface] */
	const char *key;	  /* of the setting, as written */
	void *field;		  /* that it fills */
	unsigned line;
	unsigned section; /* line of this section's header; 0: none yet */
	void *seen;	  /* tree of texts: what may stand once only */
	struct err err;	  /* what is wrong, without the line */
};

/* How the text of a key becomes a field of the policy or the peer. */
struct setting {
	const char *key;		    /* "Uid.LOGIN" stands for every key that starts with "Uid." */
	enum { ONCE, REPEATS, WORDS } form; /* WORDS: repeats, and set is called for each word */
	/* False with an empty r->err: a value that is not allowed. */
	bool (*set)(struct reader *r, const char *value);
	size_t field;	      /* its offset */
	const char *standard; /* what holds when the key is absent */
	const char *allowed;
};

static char *trim(char *s) {
	char *end = s + strlen(s);

	while (end > s && strchr(SPACE, end[-1]))
		end--;
	*end = 0;
	return s + strspn(s, SPACE);
}

static void fold(char *text) {
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Copies text made of these characters, none of `not_first` in front. */
static bool copy(const char *text, const char *letters, const char *not_first, char *out, size_t size) {
	return *text && !text[strspn(text, letters)] && !strchr(not_first, *text) &&
	       span_copy(span_str(text), out, size);
}

/* Decimal, without sign or leading zero; moves *text behind it. */
static bool number(const char **text, uint32_t low, uint32_t high, uint32_t *out) {
	char *end;
	unsigned long long value = strtoull(*text, &end, 10);

	if (**text < '1' || **text > '9' || value < low || value > high)
		return false;
	*text = end;
	*out = (uint32_t)value;
	return true;
}

static bool append(struct err *err, void *array, size_t *n, const void *element, size_t size) {
	return array_append(array, n, element, size) || no_memory(err);
}

static int seen_order(const void *a, const void *b) {
	return strcasecmp(a, b);
}

/* Notes that this stands in the section (0: in the file); an error when it does already, whatever the
 * case. */
static bool once(struct reader *r, unsigned section, const char *kind, const char *text) {
	char *seen = NULL, **found = NULL;

	if (asprintf(&seen, "%u %s %s", section, kind, text) >= 0)
		found = tsearch(seen, &r->seen, seen_order);
	if (found && *found == seen)
		return true;
	free(seen);
	return found ? bad(r, "%s %.80s stands twice", kind, text) : no_memory(&r->err);
}

/* wg-quick's rule; a leading - would be an option to ip and wg. */
static bool set_interface(struct reader *r, const char *value) {
	return strcmp(value, ".") != 0 && strcmp(value, "..") != 0 &&
	       copy(value, NAME_CHARS "=+", "-", r->field, IFNAMSIZ);
}

static bool set_label(struct reader *r, const char *value) {
	return label_valid(span_str(value)) && span_copy(span_str(value), r->field, LABEL_MAX + 1);
}

static bool set_domain(struct reader *r, const char *value) {
	bool ok = span_copy(span_str(value), r->field, DOMAIN_MAX + 1);
	const char *label = r->field;
	size_t n;

	fold(r->field);
	do {
		n = strcspn(label, ".");
		ok = ok && label_valid(span_of(label, n));
		label += n;
	} while (*label++);
	return ok;
}

static bool set_port(struct reader *r, const char *value) {
	uint32_t port;

	if (!number(&value, 1, UINT16_MAX, &port) || *value)
		return false;
	*(uint16_t *)r->field = (uint16_t)port;
	return true;
}

static bool set_yes(struct reader *r, const char *value) {
	*(bool *)r->field = strcmp(value, "yes") == 0;
	return *(bool *)r->field || strcmp(value, "no") == 0;
}

static bool set_duration(struct reader *r, const char *value) {
	static const uint32_t seconds[] = {['s'] = 1, ['m'] = 60, ['h'] = 3600, ['d'] = 86400};
	uint32_t unit = 1, n;

	if (!number(&value, 1, UINT32_MAX, &n))
		return false;
	if (*value && strchr("smhd", *value))
		unit = seconds[(unsigned char)*value++];
	*(uint32_t *)r->field = n * unit;
	return !*value && n <= UINT32_MAX / unit;
}

/* 65534 is nobody; 65535 meant none when numbers had 16 bits. */
static bool set_range(struct reader *r, const char *value) {
	struct policy *p = r->policy;

	return number(&value, 1000, ID_MAX, &p->id_low) && *value++ == '-' &&
	       number(&value, p->id_low, ID_MAX, &p->id_high) && !*value &&
	       (p->id_high < 65534 || p->id_low > 65535);
}

static bool set_path(struct reader *r, const char *value) {
	const char *after_percent = r->field == r->policy->home ? "up%" : "";
	bool ok = *value == '/' && !value[strcspn(value, CONTROL ":")] &&
		  span_copy(span_str(value), r->field, sizeof r->policy->home);

	for (const char *p = value; ok && (p = strchr(p, '%')); p += 2)
		ok = p[1] && strchr(after_percent, p[1]);
	return ok;
}

static bool set_aid(struct reader *r, const char *value) {
	return cesr_is_aid(span_str(value)) && span_copy(span_str(value), r->field, CESR_TEXT) &&
	       once(r, 0, "AID", value);
}

static bool add_login(struct reader *r, const char *word) {
	struct policy_peer *peer = r->peer;
	struct span login = span_of(word, strcspn(word, "="));
	struct policy_login entry = {.written = word[login.n] != 0, .line = r->line};

	/* accounts were there before verimesh: more characters than in a login */
	return login_valid(login) && span_copy(login, entry.login, sizeof entry.login) &&
	       copy(entry.written ? word + login.n + 1 : entry.login, NAME_CHARS, DIGIT ".-", entry.account,
		       LOGIN_MAX + 1) &&
	       once(r, r->section, "login", entry.login) &&
	       append(&r->err, &peer->logins, &peer->nlogins, &entry, sizeof entry);
}

/* A network, or a single address. */
static bool add_allowed(struct reader *r, const char *word) {
	struct prefix prefix;
	struct addr addr;

	if (addr_parse_canonical(span_str(word), &addr))
		prefix = prefix_host(&addr);
	else if (!prefix_parse(span_str(word), &prefix) || prefix.bits == 0)
		return false;
	return append(&r->err, &r->peer->allowed, &r->peer->nallowed, &prefix, sizeof prefix);
}

static bool add_source(struct reader *r, const char *value) {
	static const char *const starts[] = {"https://", "http://", "file:///", "file:/"};
	size_t n = 0;

	for (size_t i = 0; !n && i < sizeof starts / sizeof *starts; i++)
		n = span_starts(span_str(value), starts[i]) ? strlen(starts[i]) : 0;
	return n && value[n] && value[n] != '/' && strlen(value) <= SOURCE_MAX &&
	       !value[strcspn(value, CONTROL " ")] &&
	       append(&r->err, &r->peer->sources, &r->peer->nsources, &value, sizeof value);
}

static bool read_id(const char *value, uint32_t *id) {
	return number(&value, 1, ID_MAX, id) && !*value;
}

static bool set_id(struct reader *r, const char *value) {
	return read_id(value, r->field);
}

static bool add_uid(struct reader *r, const char *value) {
	struct policy_peer *peer = r->peer;
	struct span login = span_str(r->key + strlen("Uid."));
	struct policy_uid uid;

	return login_valid(login) && span_copy(login, uid.login, sizeof uid.login) &&
	       read_id(value, &uid.uid) && append(&r->err, &peer->uids, &peer->nuids, &uid, sizeof uid);
}

/* clang-format off */
#define AT(field) offsetof(struct policy, field)
static const struct setting host_settings[] = {
	{"Name", ONCE, set_interface, AT(interface), "verimesh0",
		"1 to 15 of A-Z a-z 0-9 _ = + . -, no - at the start, not . or .."},
	{"Self", ONCE, set_label, AT(self), NULL, LABEL_RULE},
	{"Host", ONCE, set_label, AT(host), NULL, LABEL_RULE},
	{"Domain", ONCE, set_domain, AT(domain), "mesh.internal", "labels joined by dots, at most 100 characters"},
	{"ListenPort", ONCE, set_port, AT(port), "51820", "1 to 65535"},
	{"Adopt", ONCE, set_yes, AT(adopt), "no", "yes or no"},
	{"FetchEvery", ONCE, set_duration, AT(fetch_every), "5m", DURATION_RULE},
	{"MaxAge", ONCE, set_duration, AT(max_age), "24h", DURATION_RULE},
	{"IdRange", ONCE, set_range, 0, "1879048192-2130706431",
		"LOW-HIGH within 1000-4294967293, 65534 and 65535 outside"},
	{"Home", ONCE, set_path, AT(home), "/home/%u@%p", PATH_RULE "; %u is the login, %p the petname, %% a %"},
	{"Shell", ONCE, set_path, AT(shell), "/bin/bash", PATH_RULE " nor %"},
	{0},
};
#undef AT
#define AT(field) offsetof(struct policy_peer, field)
static const struct setting peer_settings[] = {
	{"AID", ONCE, set_aid, AT(aid), NULL, "44 characters of CESR with code B, D or E"},
	{"Logins", WORDS, add_login, 0, NULL, "LOGIN or LOGIN=ACCOUNT, such as alice or bob=rsmith"},
	{"AllowedIPs", WORDS, add_allowed, 0, NULL, "such as 10.77.2.0/24 or fd00:1::/32, no host bits, not /0"},
	{"Source", REPEATS, add_source, 0, NULL, "https://HOST, http://HOST or file:/PATH, no spaces"},
	{"Accounts", ONCE, set_yes, AT(accounts), NULL, "yes or no"},
	{"Uid.LOGIN", ONCE, add_uid, 0, NULL, "1 to 4294967293, for a login such as alice"},
	{"Gid", ONCE, set_id, AT(gid), NULL, "1 to 4294967293"},
	{0},
};
/* clang-format on */

static bool apply(struct reader *r, const struct setting *s, const char *value) {
	r->field = (r->peer ? (uint8_t *)r->peer : (uint8_t *)r->policy) + s->field;
	if (!s->set(r, value) && !*r->err.text)
		bad(r, "bad value \"%.80s\" of %.80s; allowed: %s", value, r->key, s->allowed);
	return !*r->err.text;
}

static bool read_setting(struct reader *r, char *line) {
	const struct setting *s = r->peer ? peer_settings : host_settings;
	char *value = strchr(line, '='), *word;

	if (!r->section || !value)
		return bad(r, "misplaced \"%.80s\"; allowed: [Interface], [Peer NAME], KEY = VALUE", line);
	*value++ = 0;
	r->key = trim(line);
	while (s->key && strncasecmp(r->key, s->key, strcspn(s->key, ".") + 1) != 0)
		s++;
	if (!s->key)
		return bad(r, "unknown key \"%.80s\" in %s", r->key, r->peer ? "[Peer]" : "[Interface]");
	if (s->form == ONCE && !once(r, r->section, "key", r->key))
		return false;
	if (s->form != WORDS)
		return apply(r, s, trim(value));
	while ((word = strsep(&value, SPACE ",")))
		if (*word && !apply(r, s, word))
			return false;
	return true;
}

static bool read_section(struct reader *r, const char *line) {
	char word[16] = "", name[LABEL_MAX + 2] = "";
	struct policy_peer peer = {.line = r->line};
	struct policy *p = r->policy;
	int behind_word = 0, end = 0;

	r->section = r->line;
	r->peer = NULL;
	sscanf(line, "[ %15[A-Za-z] %n%41[a-z0-9-] ]%n", word, &behind_word, name, &end);
	if (strcasecmp(word, "Interface") == 0 && strcmp(line + behind_word, "]") == 0)
		return once(r, 0, "section", word);
	if (!end || line[end] || strcasecmp(word, "Peer") != 0 || !label_valid(span_str(name)))
		return bad(r, "bad section \"%.80s\"; allowed: [Interface], [Peer NAME], NAME " LABEL_RULE,
			line);
	memcpy(peer.name, name, sizeof peer.name);
	if (!once(r, 0, "petname", name) || !append(&r->err, &p->peers, &p->npeers, &peer, sizeof peer))
		return false;
	r->peer = &p->peers[p->npeers - 1];
	return true;
}

static bool read_line(struct reader *r, char *line) {
	r->line++;
	for (char *p = line; (p = strchr(p, '#')); p++)
		if (p == line || strchr(SPACE, p[-1]))
			*p = 0;
	line = trim(line);
	if (!*line)
		return true;
	return *line == '[' ? read_section(r, line) : read_setting(r, line);
}

/* Accounts may stand behind Logins, so only the end of a section says which account is meant. */
static bool finish_peer(struct reader *r, struct policy_peer *peer) {
	r->line = peer->line;
	if (!*peer->aid && strcmp(peer->name, r->policy->self) != 0)
		return bad(r, "[Peer %s] has no AID; only [Peer %s], that of Self, may have none",
			peer->name, r->policy->self);
	for (size_t i = 0; i < peer->nlogins; i++) {
		struct policy_login *l = &peer->logins[i];

		r->line = l->line;
		if (!l->written && peer->accounts)
			snprintf(l->account, sizeof l->account, "%s@%s", l->login, peer->name);
		else if (!l->written && strcmp(l->account, "root") == 0)
			return bad(r, "login root needs its account in writing, as in root=root");
	}
	return true;
}

static bool finish(struct reader *r) {
	struct policy *p = r->policy;
	char name[256] = "";

	if (!*p->self)
		return bad(r, "no Self; set it in [Interface] to the own organisation's petname");
	if (!*p->host) {
		if (gethostname(name, sizeof name - 1) == 0)
			fold(name);
		name[strcspn(name, ".")] = 0;
		r->field = p->host;
		if (!set_label(r, name))
			return bad(r, "host name \"%s\" is no label; set Host in [Interface]", name);
	}
	for (size_t i = 0; i < p->npeers; i++)
		if (!finish_peer(r, &p->peers[i]))
			return false;
	return true;
}

bool policy_parse(struct span text, const char *name, struct policy *policy, struct err *err) {
	struct reader r = {.policy = policy};
	char *rest, *line;
	size_t n;
	bool ok;

	*policy = (struct policy){0};
	if (span_starts(text, "\xef\xbb\xbf")) /* byte order mark, from Windows */
		text = span_from(text, 3);
	policy->text = rest = strndup(text.n ? (const char *)text.p : "", text.n);
	ok = rest || no_memory(&r.err);
	n = ok ? strlen(rest) : 0;
	for (const struct setting *s = host_settings; ok && s->key; s++)
		ok = !s->standard || apply(&r, s, s->standard);
	while (ok && (line = strsep(&rest, "\n")))
		ok = read_line(&r, line);
	if (ok && n < text.n)
		ok = bad(&r, "a NUL byte; allowed: plain text");
	ok = ok && finish(&r);
	tdestroy(r.seen, free);
	if (ok)
		return true;
	policy_free(policy);
	if (err)
		*err = r.err;
	return err_at(err, "%s:%u", name, r.line);
}

bool policy_load(const char *root, struct policy *policy, struct err *err) {
	char path[PATH_MAX];
	uint8_t *text;
	size_t n;
	bool ok;

	*policy = (struct policy){0};
	if (!file_path(path, root, PATH_CONF, NULL, err))
		return false;
	if (!file_read(path, FILE_MAX, &text, &n, err))
		return errno == ENOENT &&
		       err_set(err, ERR_ENV,
			       "%s: is missing; write it, or let `verimesh init` on the first host", path);
	ok = policy_parse(span_of(text, n), path, policy, err);
	free(text);
	return ok;
}

void policy_free(struct policy *policy) {
	for (size_t i = 0; i < policy->npeers; i++) {
		free(policy->peers[i].logins);
		free(policy->peers[i].allowed);
		free(policy->peers[i].sources);
		free(policy->peers[i].uids);
	}
	free(policy->peers);
	free(policy->text);
	*policy = (struct policy){0};
}

static bool is_self(const struct policy *policy, const struct policy_peer *peer) {
	return strcmp(peer->name, policy->self) == 0;
}

bool policy_imply_self(struct policy *policy, const char *aid, struct err *err) {
	struct policy_peer *own = NULL, implied = {0};

	for (size_t i = 0; i < policy->npeers; i++) {
		struct policy_peer *p = &policy->peers[i];

		if (is_self(policy, p))
			own = p;
		if (is_self(policy, p) ? *p->aid && strcmp(p->aid, aid) != 0 : strcasecmp(p->aid, aid) == 0)
			return err_set(err, ERR_USAGE,
				PATH_CONF ":%u: [Peer %s] has AID %s, but the identity here is %s of %s",
				p->line, p->name, p->aid, aid, policy->self);
	}
	if (!own) {
		memcpy(implied.name, policy->self, sizeof implied.name);
		if (!append(err, &policy->peers, &policy->npeers, &implied, sizeof implied))
			return err_at(err, PATH_CONF);
		own = policy->peers;
		memmove(own + 1, own, (policy->npeers - 1) * sizeof *own);
		*own = implied;
	}
	span_copy(span_str(aid), own->aid, sizeof own->aid);
	return true;
}

const struct policy_peer *policy_peer(const struct policy *policy, const char *name) {
	for (size_t i = 0; i < policy->npeers; i++)
		if (strcmp(policy->peers[i].name, name) == 0)
			return &policy->peers[i];
	return NULL;
}

const struct policy_login *policy_login(const struct policy_peer *peer, struct span login) {
	for (size_t i = 0; i < peer->nlogins; i++)
		if (span_is(login, peer->logins[i].login))
			return &peer->logins[i];
	return NULL;
}
