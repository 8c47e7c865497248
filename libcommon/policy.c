/* policy.c: reads verimesh.conf; see policy.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "file.h"
#include "paths.h"
#include "policy.h"

#define FILE_MAX ((size_t)16 << 20)
#define SOURCE_MAX 2000
#define ID_MAX 4294967293 /* the two above mean nobody and none */

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define SPACE " \t\r\v\f"
#define CONTROL                                  \
	"\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17" \
	"\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37\177"

#define SECTIONS "[Interface], [Peer NAME]"
#define LABEL_RULE "1 to 40 of a-z 0-9 -, no - at either end"
#define LOGIN_RULE "LOGIN being [a-z_][a-z0-9_-]{0,31}"
#define PATH_RULE "an absolute path of at most 255 characters, no : nor control characters"
#define DURATION_RULE "a number of s, m, h or d, as in 90s or 5m, not 0"

/* For printf: as much of what the file says as an error needs. */
#define QUOTE(s) SPAN_ARG(span_cut(s, 0, 80))

#define bad(r, ...) err_set(&(r)->err, ERR_USAGE, __VA_ARGS__)

struct reader {
	struct policy *policy;
	struct policy_peer *peer; /* whose section this is; NULL: [Interface] */
	struct span key;	  /* of the setting, as written */
	void *field;		  /* that it fills */
	unsigned line;
	unsigned section;   /* line of this section's header; 0: none yet */
	unsigned interface; /* line of [Interface]; 0: none yet */
	void *seen;	    /* tree of struct seen */
	struct err err;	    /* what is wrong, without the line */
};

/* What may stand once only, and where it stands. */
struct seen {
	unsigned line;
	char text[72];
};

/* How the text of a key becomes a field of the policy or the peer. */
struct setting {
	const char *key;		    /* "Uid.LOGIN" stands for every key that starts with "Uid." */
	enum { ONCE, REPEATS, WORDS } form; /* WORDS: repeats, and set is called for each word */
	/* False with an empty r->err: a value that is not allowed. */
	bool (*set)(struct reader *r, struct span value);
	size_t field; /* its offset */
	const char *allowed;
	const char *standard; /* what holds when the key is absent */
};

static bool no_memory(struct err *err) {
	return err_set(err, ERR_ENV, "%s", strerror(ENOMEM));
}

static bool has(const char *set, uint8_t c) {
	return c && strchr(set, c);
}

/* Equal without case. */
static bool same(struct span a, struct span b) {
	return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

static struct span trim(struct span s) {
	while (s.n && has(SPACE, s.p[s.n - 1]))
		s.n--;
	while (s.n && has(SPACE, s.p[0]))
		s = span_from(s, 1);
	return s;
}

static void fold(char *text) {
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Takes the text before the first byte of set, and that byte, off *rest. */
static struct span take(struct span *rest, const char *set) {
	struct span all = *rest;
	size_t n = 0;

	while (n < all.n && !has(set, all.p[n]))
		n++;
	*rest = span_from(all, n + 1);
	return span_cut(all, 0, n);
}

/* 1 to max characters, one of first and then of rest. */
static bool made_of(struct span text, size_t max, const char *first, const char *rest) {
	if (!text.n || text.n > max || !has(first, text.p[0]))
		return false;
	for (size_t i = 1; i < text.n; i++)
		if (!has(rest, text.p[i]))
			return false;
	return true;
}

/* No byte of it is in set. */
static bool without(struct span text, const char *set) {
	size_t n = text.n;

	return take(&text, set).n == n;
}

static bool dns_label(struct span text, size_t max) {
	return made_of(text, max, LOWER DIGIT, LOWER DIGIT "-") && text.p[text.n - 1] != '-';
}

/* Decimal, without sign or leading zero. */
static bool number(struct span text, uint32_t low, uint32_t high, uint32_t *out) {
	uint64_t value = 0;

	if (!made_of(text, 10, "123456789", DIGIT))
		return false;
	for (size_t i = 0; i < text.n; i++)
		value = value * 10 + (uint64_t)(text.p[i] - '0');
	*out = (uint32_t)value;
	return value >= low && value <= high;
}

/* Puts an element behind the n of *(T **)array, whose room doubles at each power of two. */
static bool append(struct err *err, void *array, size_t *n, const void *element, size_t size) {
	void *p;

	memcpy(&p, array, sizeof p);
	if ((*n & (*n - 1)) == 0)
		p = reallocarray(p, *n ? 2 * *n : 1, size);
	if (!p)
		return no_memory(err);
	memcpy(array, &p, sizeof p);
	memcpy((uint8_t *)p + (*n)++ * size, element, size);
	return true;
}

static int seen_order(const void *a, const void *b) {
	return strcmp(((const struct seen *)a)->text, ((const struct seen *)b)->text);
}

/* Notes that this stands in the section (0: in the file); an error, ending in rule, when it does
 * already, whatever the case. */
static bool once(struct reader *r, unsigned section, const char *kind, struct span text, const char *rule) {
	struct seen *seen = calloc(1, sizeof *seen), **found;

	if (!seen)
		return no_memory(&r->err);
	snprintf(seen->text, sizeof seen->text, "%s %u %.*s", kind, section, SPAN_ARG(text));
	fold(seen->text);
	seen->line = r->line;
	found = tsearch(seen, &r->seen, seen_order);
	if (found && *found == seen)
		return true;
	free(seen);
	if (!found)
		return no_memory(&r->err);
	return bad(r, "%s %.*s stands in line %u already; %s", kind, QUOTE(text), (*found)->line, rule);
}

/* wg-quick's rule; a leading - would be an option to ip and wg. */
static bool set_interface(struct reader *r, struct span value) {
	return made_of(value, IFNAMSIZ - 1, LOWER UPPER DIGIT "_=+.", LOWER UPPER DIGIT "_=+.-") &&
	       !span_is(value, ".") && !span_is(value, "..") && span_copy(value, r->field, IFNAMSIZ);
}

static bool set_label(struct reader *r, struct span value) {
	return label_valid(value) && span_copy(value, r->field, LABEL_MAX + 1);
}

static bool set_domain(struct reader *r, struct span value) {
	struct span rest;
	bool ok = value.n && value.p[value.n - 1] != '.' && span_copy(value, r->field, DOMAIN_MAX + 1);

	fold(r->field);
	for (rest = span_str(r->field); ok && rest.n;)
		ok = dns_label(take(&rest, "."), 63);
	return ok;
}

static bool set_port(struct reader *r, struct span value) {
	uint32_t port;

	if (!number(value, 1, UINT16_MAX, &port))
		return false;
	*(uint16_t *)r->field = (uint16_t)port;
	return true;
}

static bool set_yes(struct reader *r, struct span value) {
	*(bool *)r->field = span_is(value, "yes");
	return *(bool *)r->field || span_is(value, "no");
}

static bool set_duration(struct reader *r, struct span value) {
	static const uint32_t seconds[] = {['s'] = 1, ['m'] = 60, ['h'] = 3600, ['d'] = 86400};
	uint32_t unit = 1, n;

	if (value.n && has("smhd", value.p[value.n - 1]))
		unit = seconds[value.p[--value.n]];
	if (!number(value, 1, UINT32_MAX / unit, &n))
		return false;
	*(uint32_t *)r->field = n * unit;
	return true;
}

/* 65534 is nobody; 65535 meant none when numbers had 16 bits. */
static bool set_range(struct reader *r, struct span value) {
	struct policy *p = r->policy;
	struct span high = value, low = take(&high, "-");

	return number(low, 1000, ID_MAX, &p->id_low) && number(high, p->id_low, ID_MAX, &p->id_high) &&
	       (p->id_high < 65534 || p->id_low > 65535);
}

static bool set_path(struct reader *r, struct span value) {
	bool home = r->field == r->policy->home;
	bool ok = span_starts(value, "/") && without(value, home ? CONTROL ":" : CONTROL ":%") &&
		  span_copy(value, r->field, sizeof r->policy->home);

	for (size_t i = 0; ok && i < value.n; i++)
		if (value.p[i] == '%')
			ok = ++i < value.n && has("up%", value.p[i]);
	return ok;
}

static bool set_aid(struct reader *r, struct span value) {
	uint8_t raw[CESR_RAW];

	return (cesr_decode(value, CESR_ED25519N, raw) || cesr_decode(value, CESR_ED25519, raw) ||
		       cesr_decode(value, CESR_BLAKE3, raw)) &&
	       span_copy(value, r->field, CESR_TEXT) &&
	       once(r, 0, "AID", value, "one section each, case aside");
}

static bool add_login(struct reader *r, struct span word) {
	struct policy_peer *peer = r->peer;
	struct span account = word, login = take(&account, "=");
	struct policy_login entry = {.written = login.n < word.n, .line = r->line};

	if (!entry.written)
		account = login;
	/* accounts were there before verimesh: more characters than in a login */
	return login_valid(login) && span_copy(login, entry.login, sizeof entry.login) &&
	       made_of(account, LOGIN_MAX, LOWER UPPER "_", LOWER UPPER DIGIT "_.-") &&
	       span_copy(account, entry.account, sizeof entry.account) &&
	       once(r, r->section, "login", login, "one account each") &&
	       append(&r->err, &peer->logins, &peer->nlogins, &entry, sizeof entry);
}

/* A network, or a single address; the error about another text of one says how to write it. */
static bool add_allowed(struct reader *r, struct span word) {
	struct span bits = word, head = take(&bits, "/");
	struct prefix prefix;
	struct addr a;
	char text[PREFIX_TEXT];
	uint32_t n, all;

	if (!addr_parse(head, &a))
		return false;
	n = all = (uint32_t)addr_size(&a) * 8;
	if (head.n < word.n && !number(bits, 1, all, &n))
		return false;
	for (uint32_t bit = n; bit < all; bit++)
		a.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	prefix = (struct prefix){a, (uint8_t)n};
	if (!span_is(word, prefix_format(&prefix, text)) && !addr_parse_canonical(word, &a))
		return bad(r, "AllowedIPs \"%.*s\" must be written %s", QUOTE(word), text);
	return append(&r->err, &r->peer->allowed, &r->peer->nallowed, &prefix, sizeof prefix);
}

static bool add_source(struct reader *r, struct span value) {
	static const char *const starts[] = {"https://", "http://", "file:///", "file:/"};
	struct policy_peer *peer = r->peer;
	size_t n = 0;
	char *copy;

	for (size_t i = 0; !n && i < sizeof starts / sizeof *starts; i++)
		n = span_starts(value, starts[i]) ? strlen(starts[i]) : 0;
	if (!n || value.n == n || value.p[n] == '/' || value.n > SOURCE_MAX || !without(value, CONTROL " "))
		return false;
	copy = strndup((const char *)value.p, value.n);
	if (!copy)
		return no_memory(&r->err);
	if (append(&r->err, &peer->sources, &peer->nsources, &copy, sizeof copy))
		return true;
	free(copy);
	return false;
}

static bool set_id(struct reader *r, struct span value) {
	return number(value, 1, ID_MAX, r->field);
}

static bool add_uid(struct reader *r, struct span value) {
	struct policy_peer *peer = r->peer;
	struct span login = span_from(r->key, strlen("Uid."));
	struct policy_uid uid;

	return login_valid(login) && span_copy(login, uid.login, sizeof uid.login) &&
	       number(value, 1, ID_MAX, &uid.uid) &&
	       append(&r->err, &peer->uids, &peer->nuids, &uid, sizeof uid);
}

/* clang-format off */
#define AT(field) offsetof(struct policy, field)
static const struct setting host_settings[] = {
	{"Name", ONCE, set_interface, AT(interface),
		"1 to 15 of A-Z a-z 0-9 _ = + . -, no - at the start, not . or ..", "verimesh0"},
	{"Self", ONCE, set_label, AT(self), LABEL_RULE, NULL},
	{"Host", ONCE, set_label, AT(host), LABEL_RULE, NULL},
	{"Domain", ONCE, set_domain, AT(domain),
		"labels of a-z 0-9 - joined by dots, at most 100 characters", "mesh.internal"},
	{"ListenPort", ONCE, set_port, AT(port), "1 to 65535", "51820"},
	{"Adopt", ONCE, set_yes, AT(adopt), "yes or no", "no"},
	{"FetchEvery", ONCE, set_duration, AT(fetch_every), DURATION_RULE, "5m"},
	{"MaxAge", ONCE, set_duration, AT(max_age), DURATION_RULE, "24h"},
	{"IdRange", ONCE, set_range, 0, "LOW-HIGH within 1000-4294967293, 65534 and 65535 outside",
		"1879048192-2130706431"},
	{"Home", ONCE, set_path, AT(home), PATH_RULE "; %u is the login, %p the petname, %% a %",
		"/home/%u@%p"},
	{"Shell", ONCE, set_path, AT(shell), PATH_RULE " nor %", "/bin/bash"},
	{0},
};
#undef AT
#define AT(field) offsetof(struct policy_peer, field)
static const struct setting peer_settings[] = {
	{"AID", ONCE, set_aid, AT(aid), "44 characters of CESR with code B, D or E", NULL},
	{"Logins", WORDS, add_login, 0,
		"LOGIN or LOGIN=ACCOUNT, " LOGIN_RULE ", ACCOUNT [A-Za-z_][A-Za-z0-9_.-]{0,31}", NULL},
	{"AllowedIPs", WORDS, add_allowed, 0, "networks like 10.77.2.0/24 or fd00:1::/32, not /0", NULL},
	{"Source", REPEATS, add_source, 0,
		"one https://HOST, http://HOST or file:/PATH, at most 2000 characters, no spaces", NULL},
	{"Accounts", ONCE, set_yes, AT(accounts), "yes or no", NULL},
	{"Uid.LOGIN", ONCE, add_uid, 0, "1 to 4294967293, " LOGIN_RULE, NULL},
	{"Gid", ONCE, set_id, AT(gid), "1 to 4294967293", NULL},
	{0},
};
/* clang-format on */

static bool unknown_key(struct reader *r, const struct setting *s) {
	char allowed[128];
	size_t n = 0;

	for (; s->key; s++)
		n += (size_t)snprintf(allowed + n, sizeof allowed - n, " %s", s->key);
	return bad(r, "unknown key \"%.*s\" in %s; allowed:%s", QUOTE(r->key),
		r->peer ? "[Peer]" : "[Interface]", allowed);
}

static bool apply(struct reader *r, const struct setting *s, struct span value) {
	r->field = (r->peer ? (uint8_t *)r->peer : (uint8_t *)r->policy) + s->field;
	if (!s->set(r, value) && !*r->err.text)
		bad(r, "bad value \"%.*s\" of %.*s; allowed: %s", QUOTE(value), QUOTE(r->key), s->allowed);
	return !*r->err.text;
}

static bool read_setting(struct reader *r, struct span line) {
	const struct setting *all = r->peer ? peer_settings : host_settings, *s = all;
	struct span value = line, word = take(&value, "=");

	r->key = trim(word);
	if (!r->section || word.n == line.n)
		return bad(
			r, "misplaced \"%.*s\"; allowed: " SECTIONS " and, below, KEY = VALUE", QUOTE(line));
	for (size_t n; s->key; s++) {
		n = strcspn(s->key, ".") + 1; /* up to the dot, or all of it */
		if (same(span_cut(r->key, 0, n), span_cut(span_str(s->key), 0, n)))
			break;
	}
	if (!s->key)
		return unknown_key(r, all);
	if (s->form == ONCE && !once(r, r->section, "key", r->key, "only Logins, AllowedIPs, Source repeat"))
		return false;
	if (s->form != WORDS)
		return apply(r, s, trim(value));
	while (value.n) {
		word = take(&value, SPACE ",");
		if (word.n && !apply(r, s, word))
			return false;
	}
	return true;
}

static bool read_section(struct reader *r, struct span line) {
	struct span name = trim(span_cut(line, 1, line.n - 2)), word = take(&name, SPACE);
	struct policy_peer peer = {.line = r->line};
	struct policy *p = r->policy;
	bool closed = line.p[line.n - 1] == ']';

	name = trim(name);
	r->section = r->line;
	r->peer = NULL;
	if (closed && same(word, span_str("Interface")) && !name.n) {
		r->interface = r->line;
		return once(r, 0, "section", word, "one is allowed");
	}
	if (!closed || !same(word, span_str("Peer")) || !label_valid(name))
		return bad(r, "bad section \"%.*s\"; allowed: " SECTIONS ", NAME being " LABEL_RULE,
			QUOTE(line));
	span_copy(name, peer.name, sizeof peer.name);
	if (!once(r, 0, "petname", name, "one section each") ||
		!append(&r->err, &p->peers, &p->npeers, &peer, sizeof peer))
		return false;
	r->peer = &p->peers[p->npeers - 1];
	return true;
}

static bool read_line(struct reader *r, struct span line) {
	r->line++;
	if (line.n && memchr(line.p, 0, line.n))
		return bad(r, "a NUL byte; allowed: plain text");
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || has(SPACE, line.p[i - 1])))
			line.n = i;
	line = trim(line);
	if (!line.n)
		return true;
	return line.p[0] == '[' ? read_section(r, line) : read_setting(r, line);
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

	r->line = r->interface ? r->interface : 1;
	if (!*p->self)
		return bad(r, "no Self; set it in [Interface] to the own organisation's petname");
	if (!*p->host) {
		if (gethostname(name, sizeof name - 1) == 0)
			fold(name);
		r->field = p->host;
		if (!set_label(r, span_of(name, strcspn(name, "."))))
			return bad(r, "host name \"%s\" gives no Host; set " LABEL_RULE, name);
	}
	for (size_t i = 0; i < p->npeers; i++)
		if (!finish_peer(r, &p->peers[i]))
			return false;
	return true;
}

bool policy_parse(struct span text, const char *name, struct policy *policy, struct err *err) {
	struct reader r = {.policy = policy};
	bool ok = true;

	*policy = (struct policy){0};
	for (const struct setting *s = host_settings; ok && s->key; s++)
		ok = !s->standard || apply(&r, s, span_str(s->standard));
	if (span_starts(text, "\xef\xbb\xbf")) /* byte order mark, from Windows */
		text = span_from(text, 3);
	while (ok && text.n)
		ok = read_line(&r, take(&text, "\n"));
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
	if (!file_read(path, FILE_MAX, &text, &n, err)) {
		if (errno == ENOENT)
			err_set(err, ERR_ENV, "%s: is missing; `verimesh init` writes it", path);
		return false;
	}
	ok = policy_parse(span_of(text, n), path, policy, err);
	free(text);
	return ok;
}

void policy_free(struct policy *policy) {
	for (size_t i = 0; i < policy->npeers; i++) {
		struct policy_peer *peer = &policy->peers[i];

		for (size_t j = 0; j < peer->nsources; j++)
			free(peer->sources[j]);
		free(peer->sources);
		free(peer->logins);
		free(peer->allowed);
		free(peer->uids);
	}
	free(policy->peers);
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
		if (is_self(policy, p) ? *p->aid && strcmp(p->aid, aid) != 0
				       : same(span_str(p->aid), span_str(aid)))
			return err_set(err, ERR_USAGE,
				PATH_CONF ":%u: [Peer %s] has AID %s, but the identity here, "
					  "Self = %s, has %s; correct AID or Self",
				p->line, p->name, p->aid, policy->self, aid);
	}
	if (!own) {
		if (!append(err, &policy->peers, &policy->npeers, &implied, sizeof implied))
			return err_at(err, PATH_CONF);
		own = policy->peers;
		memmove(own + 1, own, (policy->npeers - 1) * sizeof *own);
		*own = implied;
		span_copy(span_str(policy->self), own->name, sizeof own->name);
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

const struct policy_peer *policy_peer_by_aid(const struct policy *policy, const char *aid) {
	for (size_t i = 0; *aid && i < policy->npeers; i++)
		if (strcmp(policy->peers[i].aid, aid) == 0)
			return &policy->peers[i];
	return NULL;
}

const struct policy_peer *policy_owner(const struct policy *policy, const struct prefix *prefix) {
	const struct policy_peer *owner = NULL;
	int best = 0; /* twice the bits, and one more for the own organisation */

	for (size_t i = 0; i < policy->npeers; i++) {
		const struct policy_peer *peer = &policy->peers[i];

		for (size_t j = 0; j < peer->nallowed; j++) {
			int rank = 2 * peer->allowed[j].bits + is_self(policy, peer);

			if (rank > best && prefix_contains(&peer->allowed[j], prefix)) {
				owner = peer;
				best = rank;
			}
		}
	}
	return owner;
}

const struct policy_login *policy_login(const struct policy_peer *peer, struct span login) {
	for (size_t i = 0; i < peer->nlogins; i++)
		if (span_is(login, peer->logins[i].login))
			return &peer->logins[i];
	return NULL;
}
