/* check_names.c: whether name lookups come to verimesh, and in which order. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "check.h"

/* What stands there for a database. */
struct services {
	char where[WHERE_SIZE];
	bool files;	 /* stands before verimesh */
	bool module;	 /* so is verimesh named */
	bool returns;	 /* and lets nobody behind it answer for what it does not know */
	char before[64]; /* what stands before it and does that */
};

static bool is_final(const char *action) {
	return strcasestr(action, "!UNAVAIL=return") ||
	       (strcasestr(action, "NOTFOUND=return") && !strcasestr(action, "!NOTFOUND"));
}

static void read_words(struct services *s, char *words) {
	const char *word, *last = "";

	while (!s->module && *(word = next_word(&words))) {
		/* mdns*_minimal answers for .local alone */
		bool final = *word == '[' && is_final(word) && !strstr(last, "_minimal");

		s->module = strcmp(word, "verimesh") == 0;
		s->files = s->files || strcmp(word, "files") == 0;
		if (final || strcmp(word, "dns") == 0 || strcmp(word, "resolve") == 0)
			snprintf(s->before, sizeof s->before, "%s%s%s", final ? last : "", final ? " " : "",
				word);
		last = word;
	}
	s->returns = s->module && is_final(next_word(&words));
}

static void read_services(const struct check *c, const char *database, struct services *s) {
	size_t n = strlen(database);
	struct text text;

	*s = (struct services){0};
	if (!text_open(&text, c->root, "/etc/nsswitch.conf", NULL))
		text.rest = NULL;
	snprintf(s->where, sizeof s->where, "%s", text.path);
	while (text_next(&text)) {
		char *line = text.line + strspn(text.line, BLANK);

		if (strncmp(line, database, n) != 0 || line[n + strspn(line + n, BLANK)] != ':')
			continue;
		*s = (struct services){0};
		text_where(&text, s->where);
		read_words(s, strchr(line, ':') + 1);
	}
	text_close(&text);
}

static void check_hosts(struct check *c) {
	char what[128] = "";
	struct services s;

	read_services(c, "hosts", &s);
	if (!s.module)
		snprintf(what, sizeof what, "does not name verimesh");
	else if (s.before[0])
		snprintf(what, sizeof what, "has verimesh behind %s", s.before);
	else if (!s.returns)
		snprintf(what, sizeof what, "lets names that verimesh does not know go on to dns");
	if (what[0])
		found(c, "%s: hosts %s; write hosts: files verimesh [NOTFOUND=return] dns", s.where, what);
}

/* What was there before comes first: an account of the mesh takes nobody's place. */
static void check_database(struct check *c, const char *database) {
	char what[128] = "";
	struct services s;

	read_services(c, database, &s);
	if (!s.module)
		snprintf(what, sizeof what, "does not name verimesh");
	else if (!s.files)
		snprintf(what, sizeof what, "has verimesh before files");
	else if (s.before[0])
		snprintf(what, sizeof what, "has verimesh behind %s", s.before);
	if (what[0])
		found(c, "%s: %s %s; write %s: files verimesh", s.where, database, what, database);
}

void check_nsswitch(struct check *c) {
	bool accounts = false;

	for (size_t i = 0; i < c->mesh.policy.npeers; i++)
		accounts = accounts || c->mesh.policy.peers[i].accounts;
	check_hosts(c);
	if (accounts) {
		check_database(c, "passwd");
		check_database(c, "group");
	}
	if (!is_there(c->root, NSS_MODULE))
		found(c, "libnss_verimesh.so.2: is not installed; install it, then ldconfig");
}
