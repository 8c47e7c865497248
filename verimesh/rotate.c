/* rotate.c: `verimesh rotate`: the next key signs, and this host's tunnel key follows (DESIGN.md 7, 8). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "event.h"
#include "file.h"
#include "issue.h"
#include "paths.h"
#include "sources.h"

#define SECOND INT64_C(1000000)
#define LAST INT64_C(253402300799000000) /* 9999-12-31T23:59:59: no card ends behind it */

/* What a rotation works on. */
struct rotation {
	const char *root;
	struct policy policy;
	struct identity identity; /* as it is behind it: the seed to which the log commits, and a next one */
	const char *next;	  /* --next: the file with that seed; NULL: where it is put */
	int64_t now, from;	  /* microseconds; from 0: at once */
	bool at;		  /* --at was given */
	bool seals_anew;	  /* --seal: by a new passphrase */
	uint64_t sn; /* of its event; with --recover, interactions from there on are superseded */
	bool recovers;
	char request[CESR_TEXT]; /* digest of the call's words */
	struct store store;
	const struct kel *kel;
	char *events;		      /* that this host made */
	struct cards_entry *standing; /* the cards that the log anchors before sn */
	/* All of them; of those from sn on, which are superseded, what this host made stands again. */
	struct cards_entry *superseded;
	size_t nstanding, nsuperseded;
	char *seals; /* of its event, which are written to */
	FILE *out;
	uint8_t *card; /* this host's new one, or NULL */
	size_t ncard;
	uint8_t tunnel[WG_KEY_BYTES]; /* this host's next secret */
	bool has_tunnel;
};

/* ---- what was asked for ---- */

static const struct option names[] = {{"at", required_argument, NULL, 'a'},
	{"next", required_argument, NULL, 'n'}, {"recover", required_argument, NULL, 'r'},
	{"seal", no_argument, NULL, 's'}, {0}};

static bool take_option(struct rotation *r, int id, char *arg, struct err *err) {
	char *end;

	switch (id) {
	case 'a':
		r->at = true;
		r->from = 0;
		return strcmp(arg, "now") == 0 || options_time("at", arg, r->now, &r->from, err);
	case 'n':
		r->next = arg;
		return true;
	case 's':
		return r->seals_anew = true;
	case 'r':
		r->recovers = true;
		errno = 0;
		r->sn = strtoull(arg, &end, 10);
		return (*arg >= '0' && *arg <= '9' && !*end && errno == 0) ||
		       err_set(err, ERR_USAGE, "--recover %s: no number of an event", arg);
	default:
		return err_set(err, ERR_USAGE, "unknown option or no value: %s", arg);
	}
}

/* That a call is made again is told by its words. */
static bool digest_request(struct rotation *r, const struct command *command, struct err *err) {
	uint8_t *words = NULL;
	size_t n = 0;
	bool good = true;

	for (int i = 0; good && i < command->nargs; i++)
		good = array_bytes(&words, &n, command->args[i], strlen(command->args[i]) + 1);
	if (good)
		cesr_digest(span_of(words, n), r->request);
	free(words);
	return good || err_set(err, ERR_ENV, "out of memory");
}

static bool take_options(struct rotation *r, const struct command *command, struct err *err) {
	int id;

	if (!digest_request(r, command, err))
		return false;
	opterr = 0;
	optind = 1;
	while ((id = getopt_long(command->nargs, command->args, "", names, NULL)) != -1)
		if (!take_option(r, id, optarg ? optarg : command->args[optind - 1], err))
			return false;
	return optind == command->nargs || err_set(err, ERR_USAGE, "takes no words but options");
}

/* ---- the next seed ---- */

/* Its passphrase, if it is sealed, seals what comes, too, unless there is to be another one. */
static bool read_next(struct rotation *r, struct err *err) {
	if (identity_read_next(r->root, r->next, &r->identity, err))
		return !r->seals_anew || passphrase_get(PASSPHRASE_NEW, &r->identity.passphrase, err);
	if (errno == ENOENT && !r->next)
		err_set(err, ERR_ENV,
			PATH_IDENTITY "/next: not there; give the file into which it was taken offline: "
				      "verimesh rotate --next FILE");
	return false;
}

static bool check_next(const struct rotation *r, struct err *err) {
	return identity_is_next(r->kel, r->identity.seed) ||
	       err_set(err, ERR_NO,
		       "%s: is not the key to which the log commits since event sn %llu; bring the one that "
		       "was made then",
		       r->next ? r->next : PATH_IDENTITY "/next",
		       (unsigned long long)kel_current(r->kel)->ev.sn);
}

/* ---- the cards ---- */

static bool made_here(const struct rotation *r, uint64_t sn) {
	char said[CESR_TEXT];

	return kel_said(r->kel, sn, said) && strstr(r->events, said);
}

static uint64_t sn_of(const struct rotation *r, const struct cards_entry *entry) {
	return r->kel->seals[entry->place].sn;
}

/* Lists the cards before the event, and those that it supersedes. */
static bool list_cards(struct rotation *r, struct err *err) {
	struct kel before = *r->kel;

	while (before.nseals && before.seals[before.nseals - 1].sn >= r->sn)
		before.nseals--;
	return cards_list(&r->store.book, &before, &r->standing, &r->nstanding, err) &&
	       cards_list(&r->store.book, r->kel, &r->superseded, &r->nsuperseded, err);
}

/* The card of this host's that is superseded, and stands again by the new event: its last one of the label.
 * NULL: none. */
static const struct cards_entry *carried(const struct rotation *r, struct span label) {
	const struct cards_entry *found = NULL;

	for (size_t i = 0; i < r->nsuperseded; i++)
		if (sn_of(r, &r->superseded[i]) >= r->sn && span_eq(r->superseded[i].card.host, label) &&
			made_here(r, sn_of(r, &r->superseded[i])))
			found = &r->superseded[i];
	return found;
}

/* What another did to a card, who has the key, would stand for ever once a rotation stood behind it. */
static bool is_known(const struct rotation *r, const struct cards_entry *entry, struct err *err) {
	const uint64_t sn = sn_of(r, entry);
	const struct card *card = &entry->card;
	char recover[96] = "";

	if (!entry->last || carried(r, card->host) || (made_here(r, sn) && !entry->voided))
		return true;
	if (!entry->voided && sn > kel_current(r->kel)->ev.sn)
		snprintf(recover, sizeof recover,
			", or supersede the event: verimesh rotate --at now --recover %llu",
			(unsigned long long)sn);
	return err_set(err, ERR_NO,
		"%.*s.%s: card %.44s was not %s by this host; issue or withdraw %.*s here, if that is "
		"right or a backup was restored%s",
		SPAN_ARG(card->host), r->policy.self, (const char *)card->said.p,
		entry->voided ? "voided" : "issued", SPAN_ARG(card->host), recover);
}

/* An event of another's may seal what nobody shows us yet. */
static bool is_known_seal(const struct rotation *r, const struct seal *seal, struct err *err) {
	if (seal->sn <= kel_current(r->kel)->ev.sn || seal->sn >= r->sn || made_here(r, seal->sn) ||
		book_card(&r->store.book, seal->d))
		return true;
	return err_set(err, ERR_NO,
		"%s: event sn %llu, which this host did not make, seals %s, which is no card that is here; "
		"supersede it: verimesh rotate --at now --recover %llu",
		r->policy.self, (unsigned long long)seal->sn, seal->d, (unsigned long long)seal->sn);
}

/* Tells of all that somebody else did. */
static bool check_known(const struct rotation *r, struct err *err) {
	unsigned unknown = 0;

	for (size_t i = 0; i < r->nstanding; i++)
		if (!is_known(r, &r->standing[i], err))
			unknown += problem(err) > 0;
	for (size_t i = 0; i < r->kel->nseals; i++)
		if (!is_known_seal(r, &r->kel->seals[i], err))
			unknown += problem(err) > 0;
	return !unknown || err_set(err, ERR_NO, "%s: keys not rotated", r->policy.self);
}

/* Adds what anchors a card, and voids that of its host which stands before. */
static void add_seal(struct rotation *r, struct span host, const char *said) {
	const struct cards_entry *last = cards_last(r->standing, r->nstanding, host);

	fputs(ftell(r->out) > 0 ? ",{" : "{", r->out);
	if (last && !last->voided)
		fprintf(r->out, "\"i\":\"%.44s\",\"s\":\"1\",", (const char *)last->card.said.p);
	fprintf(r->out, "\"d\":\"%.44s\"}", said);
}

/* A card's value as a string, in a copy of its body: behind it stands its quote, which ends it. */
static char *text_in(char *copy, const struct card *card, struct span value) {
	char *text = value.p ? copy + (value.p - card->body.p) : NULL;

	if (text)
		text[value.n] = 0;
	return text;
}

static char **list_in(char *copy, const struct card *card, struct span list, char ***words) {
	char **first = *words;
	struct span value;

	while (event_next_text(&list, &value))
		*(*words)++ = text_in(copy, card, value);
	(*words)++;
	return first;
}

/* This host's new card: what the old one says, but for the keys and the times. */
static bool write_card(struct rotation *r, const struct card *old, struct err *err) {
	const struct span lists[] = {old->addrs, old->routes, old->logins, old->loginkeys, old->hostkeys};
	size_t nwords = sizeof lists / sizeof lists[0];
	uint8_t key[WG_KEY_BYTES];
	char journal[CESR_TEXT], *copy = malloc(old->body.n), **words, **rest;
	struct card_content card = {
		.issuer = r->identity.aid, .key = key, .journal = journal, .issued = r->now};
	bool good;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		nwords += event_count_texts(lists[i]);
	words = rest = calloc(nwords, sizeof *words);
	if (copy && words) {
		memcpy(copy, old->body.p, old->body.n);
		card.addrs = list_in(copy, old, old->addrs, &rest);
		card.routes = list_in(copy, old, old->routes, &rest);
		card.logins = list_in(copy, old, old->logins, &rest);
		card.loginkeys = list_in(copy, old, old->loginkeys, &rest);
		card.hostkeys = list_in(copy, old, old->hostkeys, &rest);
		card.host = text_in(copy, old, old->host);
		card.endpoint = text_in(copy, old, old->endpoint);
		card.rosenpass = text_in(copy, old, old->rosenpass);
	}
	card.from = r->policy.adopt ? 0 : r->from;
	card.until = old->until;
	if (card.until != NEVER) {
		card.until += (card.from ? card.from : r->now) - old->issued;
		card.until = card.until < LAST ? card.until : LAST;
	}
	good = (copy && words) || err_set(err, ERR_ENV, "out of memory");
	good = good && issue_own_keys(&r->policy, r->identity.seed, key, journal, err) &&
	       (card_write(&card, &r->card, &r->ncard, err) || err_at(err, "%s", r->policy.host));
	free(words);
	free(copy);
	return good;
}

static bool renew_own(
	struct rotation *r, const struct cards_entry *entry, char said[static CESR_TEXT], struct err *err) {
	if (!r->policy.adopt) {
		derive_tunnel(r->identity.seed, r->policy.host, r->tunnel);
		r->has_tunnel = true;
	}
	return (!r->from || issue_may_replace(entry, r->now, "verimesh rotate --at now", err)) &&
	       write_card(r, &entry->card, err) && card_check_said(span_of(r->card, r->ncard), said, err);
}

/* Gathers what the event seals: this host's new card, and what stood in events that it supersedes. */
static bool gather(struct rotation *r, struct err *err) {
	const struct span own = span_str(r->policy.host);
	const struct cards_entry *last = carried(r, own);
	char said[CESR_TEXT];
	size_t size;

	if (!check_known(r, err))
		return false;
	if (!last)
		last = cards_last(r->standing, r->nstanding, own);
	if (last && (last->voided || !last->card.has_key))
		last = NULL;
	if (last && !renew_own(r, last, said, err))
		return false;
	r->out = open_memstream(&r->seals, &size);
	if (!r->out)
		return err_set(err, ERR_ENV, "out of memory");
	if (last)
		add_seal(r, own, said);
	for (const struct cards_entry *e = r->superseded; e < r->superseded + r->nsuperseded; e++)
		if (e == carried(r, e->card.host) && !(last && span_eq(e->card.host, own)))
			add_seal(r, e->card.host, (const char *)e->card.said.p);
	return fclose(r->out) == 0 || err_set(err, ERR_ENV, "out of memory");
}

/* ---- the event ---- */

static bool check_recover(const struct rotation *r, struct err *err) {
	const uint64_t first = kel_current(r->kel)->ev.sn + 1;

	if (r->sn >= first && r->sn < r->kel->count)
		return true;
	if (first == r->kel->count)
		return err_set(err, ERR_NO, "--recover %llu: there are no events since the last rotation",
			(unsigned long long)r->sn);
	return err_set(err, ERR_NO,
		"--recover %llu: only events since the last rotation can be superseded: %llu to %llu",
		(unsigned long long)r->sn, (unsigned long long)first, (unsigned long long)r->kel->count - 1);
}

/* Seeds that are staged for an event that is refused go again; where it is not certain that the log on disk
 * has it, the next call finds out. */
static bool put_event(struct rotation *r, struct err *err) {
	struct span cards = span_of(r->card, r->ncard);
	char *event;
	bool good;
	size_t n;

	if (!identity_rotate(&r->identity, r->kel, r->sn, r->seals, &event, &n, err))
		return false;
	good = identity_stage(r->root, &r->identity, r->has_tunnel ? r->tunnel : NULL, r->request, err) &&
	       issue_event(&r->store, &r->identity, span_of(event, n), cards, err);
	r->kel = book_awake(&r->store.book, r->identity.aid);
	if (!good && !span_is(kel_current(r->kel)->ev.said, r->identity.made))
		identity_settle(r->root, r->kel, NULL);
	free(event);
	return good;
}

static bool check_frozen(const struct rotation *r, struct err *err) {
	const char *aid = r->identity.aid;

	return !book_log(&r->store.book, aid)->frozen ||
	       err_set(err, ERR_NO,
		       "%s: two versions of an event of the own log were seen, and it is frozen; first run "
		       "verimesh export > own.cesr, then verimesh import --resolve %s own.cesr",
		       r->policy.self, aid);
}

/* One that was cut off behind its event is not done again when the same is asked for. What else is asked for
 * was meant for the keys of before: it is to be asked again. */
static bool finish(struct rotation *r, bool *done, struct err *err) {
	unsigned long long sn = kel_current(r->kel)->ev.sn;
	bool known;

	if (!identity_was_asked(r->root, r->kel, r->request, &known, done, err) || *done)
		return *done;
	if (!identity_settle(r->root, r->kel, err))
		return false;
	return !known || err_set(err, ERR_NO,
				 "%s: a rotation that was cut off is complete now, as event sn %llu; if you "
				 "mean another "
				 "one, run this again",
				 r->policy.self, sn);
}

/* In the open store. */
static bool rotate(struct rotation *r, struct err *err) {
	bool done;

	r->kel = store_own_kel(&r->store, r->identity.aid, err);
	if (!r->kel || !finish(r, &done, err))
		return false;
	if (done)
		return true;
	r->now = now_micros();
	if (!r->at) /* in two FetchEvery, at a whole second */
		r->from = (r->now / SECOND + 1 + 2 * (int64_t)r->policy.fetch_every) * SECOND;
	if (!r->recovers)
		r->sn = r->kel->count;
	randombytes_buf(r->identity.next, SEED_BYTES);
	return check_frozen(r, err) && check_next(r, err) && (!r->recovers || check_recover(r, err)) &&
	       identity_events(r->root, &r->events, err) && list_cards(r, err) && gather(r, err) &&
	       put_event(r, err);
}

/* ---- what comes of it ---- */

/* Cards that a recovery took back, and that do not stand again. */
static void print_superseded(const struct rotation *r, const struct cards_entry *now, size_t n) {
	for (const struct cards_entry *e = r->superseded; e < r->superseded + r->nsuperseded; e++) {
		const struct cards_entry *last = cards_last(now, n, e->card.host);

		if (e->last && e->card.has_key && (!last || last->voided))
			printf("%.*s.%s: card %.44s is superseded, and the host gone\n",
				SPAN_ARG(e->card.host), r->policy.self, (const char *)e->card.said.p);
	}
}

static bool print_cards(const struct rotation *r, struct err *err) {
	struct cards_entry *entries;
	char key[WG_KEY_TEXT], from[TIME_TEXT];
	size_t n;

	if (!cards_list(&r->store.book, r->kel, &entries, &n, err))
		return false;
	printf("%s: event sn %llu rotates the keys of %s\n", r->policy.self,
		(unsigned long long)kel_current(r->kel)->ev.sn, r->identity.aid);
	for (const struct cards_entry *e = entries; e < entries + n; e++) {
		if (!e->last || e->voided || !e->card.has_key || e->card.until <= r->now)
			continue;
		wg_key_encode(e->card.key, key);
		printf("%.*s.%s: key %s", SPAN_ARG(e->card.host), r->policy.self, key);
		if (e->card.from > r->now)
			printf(" from %.19sZ", time_format(e->card.from, from));
		printf(", card %.44s\n", (const char *)e->card.said.p);
	}
	print_superseded(r, entries, n);
	free(entries);
	puts("Take " PATH_IDENTITY "/next offline: it holds the next signing key.\n"
	     "verimesh export makes it known to others; verimesh watch, or sync at that time, changes "
	     "keys.");
	return true;
}

static bool run(struct rotation *r, struct err *err) {
	bool good;

	if (!identity_need(r->root, r->identity.aid, err) || !policy_load(r->root, &r->policy, err) ||
		!policy_imply_self(&r->policy, r->identity.aid, err))
		return false;
	/* Sources and the administrator are asked before others have to wait */
	if (!sources_agree(r->root, &r->policy, r->identity.aid, r->recovers ? r->sn : UINT64_MAX, err) ||
		!read_next(r, err) || !store_open(&r->store, r->root, true, err))
		return false;
	good = rotate(r, err) && print_cards(r, err);
	/* told before it is settled, so that who runs it again, because this was cut off, is told, too */
	(void)fflush(stdout);
	good = good && identity_settle(r->root, r->kel, err);
	store_close(&r->store);
	return good;
}

int verb_rotate(const struct command *command) {
	struct rotation r = {.root = command->root, .now = now_micros(), .identity.held = true};
	struct err err;
	bool good = take_options(&r, command, &err);

	if (!good && err.status == ERR_USAGE)
		return usage(command, err.text);
	good = good && run(&r, &err);
	policy_free(&r.policy);
	free(r.events);
	free(r.standing);
	free(r.superseded);
	free(r.seals);
	free(r.card);
	sodium_memzero(&r, sizeof r);
	return good ? 0 : problem(&err);
}
