/* kel.c: verifies key events against key state; see kel.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "json.h"
#include "kel.h"

/* ---- thresholds ---- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static bool read_decimal(struct span text, uint64_t *number)
{
	*number = 0;
	if (text.n == 0 || text.n > 9 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text.p[i] - '0');
	}
	return true;
}

/* "0", "1" or "n/d" with n <= d. */
static bool read_weight(struct span text, uint64_t *num, uint64_t *den)
{
	const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	size_t at = slash ? (size_t)(slash - text.p) : text.n;

	*den = 1;
	if (!read_decimal(span_cut(text, 0, at), num))
		return false;
	if (slash && (!read_decimal(span_from(text, at + 1), den) || *den == 0))
		return false;
	return *num <= *den;
}

/* One clause: a list of weights for the keys from *key on. Sums exactly, over the lowest common
 * denominator. all and some tell whether all of its keys, and those with a flag, reach 1. */
static bool read_clause(
	struct span list, const bool *flags, size_t n, size_t *key, bool *all, bool *some)
{
	unsigned __int128 sum_all = 0, sum_some = 0;
	uint64_t num, den, common = 1;
	struct span rest = list, text;

	while (event_next_text(&rest, &text)) {
		if (!read_weight(text, &num, &den))
			return false;
		den /= gcd(common, den);
		if (__builtin_mul_overflow(common, den, &common) || common > INT64_MAX)
			return false;
	}
	if (rest.n)
		return false;
	for (rest = list; event_next_text(&rest, &text); ++*key) {
		if (*key >= n || !read_weight(text, &num, &den))
			return false;
		num *= common / den;
		sum_all += num;
		if (flags[*key])
			sum_some += num;
	}
	*all = sum_all >= common;
	*some = sum_some >= common;
	return true;
}

static int weighted(struct span list, const bool *flags, size_t n, struct err *err)
{
	bool all = true, some = true, met = true;
	size_t key = 0;
	struct json j;

	json_init(&j, list);
	json_open(&j, '[');
	if (json_peek(&j) != '[') {
		if (!read_clause(list, flags, n, &key, &all, &met))
			goto malformed;
	} else {
		while (json_next(&j, ']')) {
			bool reachable;

			if (json_peek(&j) != '[' ||
				!read_clause(json_value(&j), flags, n, &key, &reachable, &some))
				goto malformed;
			all = all && reachable;
			met = met && some;
		}
		if (!json_done(&j))
			goto malformed;
	}
	if (key != n || !all) {
		err_set(err, ERR_NO,
			key != n ? "not as many weights as keys" : "weights cannot reach 1");
		return -1;
	}
	if (!met)
		err_set(err, ERR_NO, "the weights do not reach 1");
	return met;
malformed:
	err_set(err, ERR_NO, "malformed weights");
	return -1;
}

int kel_threshold(struct span text, const bool *flags, size_t n, struct err *err)
{
	uint64_t needed, have = 0;
	struct span digits = text;

	if (text.n && text.p[0] == '[')
		return weighted(text, flags, n, err);
	if (text.n >= 2 && text.p[0] == '"') {
		if (!event_number(span_cut(text, 1, text.n - 2), &needed))
			digits.n = 0;
	} else if (!read_decimal(digits, &needed)) {
		digits.n = 0;
	}
	if (digits.n == 0 || needed < 1 || needed > n) {
		err_set(err, ERR_NO, "threshold %.*s of %zu", SPAN_ARG(span_cut(text, 0, 24)), n);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		have += flags[i];
	if (have >= needed)
		return 1;
	err_set(err, ERR_NO, "%llu of %llu", (unsigned long long)have, (unsigned long long)needed);
	return 0;
}

/* ---- what an establishment event sets ---- */

static void est_free(struct kel_est *est)
{
	free(est->body);
	free(est->keys);
	free(est->next);
	free(est->witnesses);
	*est = (struct kel_est){0};
}

static size_t list_length(struct span list)
{
	struct span text;
	size_t n = 0;

	while (event_next_text(&list, &text))
		n++;
	return n;
}

static bool out_of_memory(struct err *err)
{
	return err_set(err, ERR_ENV, "out of memory");
}

static bool read_keys(struct kel_est *est, struct err *err)
{
	struct span list = est->ev.keys, text;

	est->nkeys = list_length(list);
	if (est->nkeys < 1 || est->nkeys > KEL_LIST_MAX)
		return err_set(err, ERR_NO, "%zu keys", est->nkeys);
	est->keys = calloc(est->nkeys, sizeof *est->keys);
	if (!est->keys)
		return out_of_memory(err);
	for (size_t i = 0; event_next_text(&list, &text); i++) {
		struct kel_key *key = &est->keys[i];

		key->code = text.n ? (char)text.p[0] : 0;
		if ((key->code != CESR_ED25519 && key->code != CESR_ED25519N) ||
			!cesr_decode(text, key->code, key->raw))
			return err_set(err, ERR_NO, "key %zu is no Ed25519 key", i);
		for (size_t k = 0; k < i; k++)
			if (memcmp(est->keys[k].raw, key->raw, CESR_RAW) == 0)
				return err_set(err, ERR_NO, "key %zu is listed twice", i);
	}
	return true;
}

static bool read_next(struct kel_est *est, struct err *err)
{
	struct span list = est->ev.next, text;

	est->nnext = list_length(list);
	if (est->nnext > KEL_LIST_MAX)
		return err_set(err, ERR_NO, "%zu next keys", est->nnext);
	est->next = calloc(est->nnext + 1, sizeof *est->next);
	if (!est->next)
		return out_of_memory(err);
	for (size_t i = 0; event_next_text(&list, &text); i++)
		if (!cesr_decode(text, CESR_BLAKE3, est->next[i]))
			return err_set(err, ERR_NO, "next key %zu is no BLAKE3 digest", i);
	return true;
}

static bool find(
	uint8_t (*list)[CESR_RAW], size_t n, const uint8_t raw[static CESR_RAW], size_t *at)
{
	for (*at = 0; *at < n; ++*at)
		if (memcmp(list[*at], raw, CESR_RAW) == 0)
			return true;
	return false;
}

/* The new list: the old one minus the cuts, in order, then the added ones (facts/keri.md,
 * Witnesses). */
static bool read_witnesses(struct kel_est *est, const struct kel_est *prior, struct err *err)
{
	size_t room = list_length(est->ev.witnesses) + (prior ? prior->nwitnesses : 0), at;
	struct span cuts = est->ev.cuts, adds = est->ev.witnesses, text;
	uint8_t raw[CESR_RAW];

	est->witnesses = calloc(room + 1, sizeof *est->witnesses);
	if (!est->witnesses)
		return out_of_memory(err);
	if (prior) {
		est->nwitnesses = prior->nwitnesses;
		memcpy(est->witnesses, prior->witnesses, prior->nwitnesses * CESR_RAW);
	}
	/* looking each one up in what is left of the old list finds cuts named twice, too */
	while (event_next_text(&cuts, &text)) {
		if (!cesr_decode(text, CESR_ED25519N, raw) ||
			!find(est->witnesses, est->nwitnesses, raw, &at))
			return err_set(err, ERR_NO, "br names no present witness");
		est->nwitnesses--;
		memmove(est->witnesses[at], est->witnesses[at + 1],
			(est->nwitnesses - at) * CESR_RAW);
	}
	while (event_next_text(&adds, &text)) {
		if (est->nwitnesses >= KEL_LIST_MAX)
			return err_set(err, ERR_NO, "too many witnesses");
		if (!cesr_decode(text, CESR_ED25519N, raw))
			return err_set(err, ERR_NO, "a witness is no non-transferable Ed25519 key");
		if (find(est->witnesses, est->nwitnesses, raw, &at) ||
			(prior && find(prior->witnesses, prior->nwitnesses, raw, &at)))
			return err_set(err, ERR_NO, "a witness is named twice");
		memcpy(est->witnesses[est->nwitnesses++], raw, CESR_RAW);
	}
	return true;
}

static bool read_thresholds(struct kel_est *est, struct err *err)
{
	bool all[KEL_LIST_MAX];
	struct span bt = est->ev.bt, nt = est->ev.nt;

	memset(all, true, sizeof all);
	if (kel_threshold(est->ev.kt, all, est->nkeys, err) != 1)
		return err_at(err, "kt");
	if (est->nnext == 0 && !span_is(nt, "\"0\"") && !span_is(nt, "0"))
		return err_set(err, ERR_NO, "nt without next keys must be 0");
	if (est->nnext && kel_threshold(nt, all, est->nnext, err) != 1)
		return err_at(err, "nt");
	if (est->nwitnesses && kel_threshold(bt, all, est->nwitnesses, err) != 1)
		return err_at(err, "bt");
	if (est->nwitnesses == 0 && !span_is(bt, "\"0\"") && !span_is(bt, "0"))
		return err_set(err, ERR_NO, "bt without witnesses must be 0");
	if (bt.n && bt.p[0] == '[')
		return err_set(err, ERR_NO, "bt is no number");
	if (bt.n && bt.p[0] == '"')
		return event_number(span_cut(bt, 1, bt.n - 2), &est->bt);
	return read_decimal(bt, &est->bt);
}

/* Basic identifiers: i is the one key; a non-transferable one has no more than its inception. */
static bool check_basic(const struct kel_est *est, struct err *err)
{
	const struct event *ev = &est->ev;
	struct span keys = ev->keys, key;
	bool fixed = ev->aid.p[0] == CESR_ED25519N;

	if (ev->aid.p[0] == CESR_BLAKE3)
		return true;
	if (est->nkeys != 1 || !event_next_text(&keys, &key) || !span_eq(key, ev->aid))
		return err_set(err, ERR_NO, "i is not the one key");
	if (fixed && (est->nnext || est->nwitnesses || !span_is(ev->seals, "[]")))
		return err_set(err, ERR_NO, "a non-transferable identifier with n, b or a");
	return true;
}

/* Builds what `event` sets on top of prior (NULL for an inception). On failure *est is empty. */
static bool est_build(struct kel_est *est, const struct event *event, const struct kel_est *prior,
	struct err *err)
{
	*est = (struct kel_est){.body = malloc(event->body.n)};
	if (!est->body)
		return out_of_memory(err);
	memcpy(est->body, event->body.p, event->body.n);
	if (event_parse(span_of(est->body, event->body.n), &est->ev, err) && read_keys(est, err) &&
		read_next(est, err) && read_witnesses(est, prior, err) &&
		read_thresholds(est, err) && (prior || check_basic(est, err)))
		return true;
	est_free(est);
	return false;
}

/* ---- signatures ---- */

/* Signatures count once per index, next commitments once per ondex (facts/keri.md, Thresholds),
 * whatever code or group carried them. */
struct tally {
	const struct kel_est *est, *prior; /* prior: NULL unless next commitments count */
	bool signed_by[KEL_LIST_MAX];
	bool exposed[KEL_LIST_MAX];
};

static bool commits_to(const struct kel_est *prior, uint32_t ondex, const struct kel_key *key)
{
	char text[CESR_TEXT];
	struct blake3 h;
	uint8_t digest[CESR_RAW];

	if (!prior || ondex >= prior->nnext)
		return false;
	blake3_init(&h);
	blake3_update(&h, cesr_encode(key->code, key->raw, text), CESR_CHARS);
	blake3_final(&h, digest);
	return memcmp(digest, prior->next[ondex], CESR_RAW) == 0;
}

static void count_signature(struct tally *tally, const struct cesr_item *item, struct span body)
{
	const struct kel_key *key = &tally->est->keys[item->index];
	bool exposes = commits_to(tally->prior, item->ondex, key) && !tally->exposed[item->ondex];

	if (tally->signed_by[item->index] && !exposes)
		return;
	if (crypto_sign_verify_detached(item->sig, body.p, body.n, key->raw) != 0)
		return; /* an extra invalid signature is ignored while the valid ones suffice */
	tally->signed_by[item->index] = true;
	if (exposes)
		tally->exposed[item->ondex] = true;
}

/* The verified signatures meet kt by index and, for a rotation, the prior nt by ondex. */
static bool check_signatures(const struct event *event, struct span attachments,
	const struct kel_est *est, const struct kel_est *prior, struct err *err)
{
	struct tally tally = {.est = est, .prior = prior};
	struct cesr_reader reader;
	struct cesr_item item;

	cesr_reader_init(&reader, attachments);
	while (cesr_next(&reader, &item, err) == CESR_ITEM)
		if (item.kind == CESR_CONTROLLER_SIG && item.index < est->nkeys)
			count_signature(&tally, &item, event->body);
	if (kel_threshold(est->ev.kt, tally.signed_by, est->nkeys, err) != 1)
		return err_at(err, "signing threshold not met");
	if (prior && kel_threshold(prior->ev.nt, tally.exposed, prior->nnext, err) != 1)
		return err_at(err, "next key commitment not met");
	return true;
}

/* Receipts count once per witness. Looks only at attachments that came since the last time. */
static bool check_receipts(const struct event *event, struct span attachments,
	const struct kel_est *est, struct kel_progress *progress, struct err *err)
{
	struct cesr_reader reader;
	struct cesr_item item;
	uint64_t have = 0;
	size_t at;

	if (est->bt == 0)
		return true;
	cesr_reader_init(&reader, span_from(attachments, progress->read));
	while (cesr_next(&reader, &item, NULL) == CESR_ITEM) {
		if (item.kind == CESR_WITNESS_SIG)
			at = item.index;
		else if (item.kind != CESR_COUPLE ||
			 !find(est->witnesses, est->nwitnesses, item.key, &at))
			continue;
		if (at < est->nwitnesses && !(progress->witnessed[at / 8] & 1 << at % 8) &&
			crypto_sign_verify_detached(
				item.sig, event->body.p, event->body.n, est->witnesses[at]) == 0)
			progress->witnessed[at / 8] |= (uint8_t)(1 << at % 8);
	}
	progress->read = attachments.n;
	for (size_t i = 0; i < sizeof progress->witnessed; i++)
		have += (uint64_t)__builtin_popcount(progress->witnessed[i]);
	return have >= est->bt || err_set(err, ERR_NO, "receipts missing: %llu of %llu",
					  (unsigned long long)have, (unsigned long long)est->bt);
}

/* ---- delegation ---- */

static bool seals_event(const struct kel *log, uint64_t sn, const struct event *event)
{
	for (size_t i = log->nseals; i-- > 0 && log->seals[i].sn >= sn;)
		if (log->seals[i].sn == sn && log->seals[i].kind == SEAL_EVENT &&
			log->seals[i].s == event->sn && span_is(event->aid, log->seals[i].i) &&
			span_is(event->said, log->seals[i].d))
			return true;
	return false;
}

/* dip and drt: the event named by -G is in the delegator's log, and its `a` seals this event. */
static enum kel_outcome check_delegation(const struct event *event, struct span attachments,
	const struct kel *delegator, struct kel_est *est, struct err *err)
{
	struct cesr_reader reader;
	struct cesr_item item;
	bool named = false;
	char said[CESR_TEXT];

	cesr_reader_init(&reader, attachments);
	while (!named && cesr_next(&reader, &item, NULL) == CESR_ITEM)
		named = item.kind == CESR_SOURCE_SEAL;
	if (!named) {
		err_set(err, ERR_NO, "delegated without a source seal");
		return KEL_NO_DELEGATOR; /* one may still come with a receipt */
	}
	if (!delegator || item.sn >= delegator->count) {
		err_set(err, ERR_NO, "the delegator's event %llu is missing",
			(unsigned long long)item.sn);
		return KEL_NO_DELEGATOR;
	}
	if (delegator->no_delegation)
		err_set(err, ERR_NO, "the delegator may not delegate (DND)");
	else if (!kel_said(delegator, item.sn, said) || strcmp(said, item.digest) != 0)
		err_set(err, ERR_NO, "the source seal names no event of the delegator");
	else if (!seals_event(delegator, item.sn, event))
		err_set(err, ERR_NO, "the delegator's event %llu does not seal it",
			(unsigned long long)item.sn);
	else {
		est->anchor_sn = item.sn;
		memcpy(est->anchor, item.digest, sizeof est->anchor);
		return KEL_ACCEPTED;
	}
	return KEL_REFUSED;
}

/* ---- events ---- */

static bool is_est(const struct event *event)
{
	return event->ilk != EVENT_IXN;
}

/* The establishment event in force for an event at sn, that is, before it. */
static const struct kel_est *est_before(const struct kel *kel, uint64_t sn)
{
	const struct kel_est *found = NULL;

	for (size_t i = kel->nests; i-- > 0 && !found;)
		if (kel->ests[i].ev.sn < sn)
			found = &kel->ests[i];
	return found;
}

static bool check_ilk(const struct kel *kel, const struct event *event, const struct kel_est *prior,
	struct err *err)
{
	bool delegated = kel->delegator[0] != 0;

	switch (event->ilk) {
	case EVENT_ICP:
	case EVENT_DIP:
		return true;
	case EVENT_ROT:
	case EVENT_DRT:
		if (event->sn == 0)
			break;
		if (delegated != (event->ilk == EVENT_DRT))
			return err_set(err, ERR_NO,
				delegated ? "rot on a delegated identifier"
					  : "drt on an identifier without delegator");
		return prior->nnext || err_set(err, ERR_NO, "the identifier was abandoned");
	case EVENT_IXN:
		if (event->sn == 0)
			break;
		if (kel->est_only)
			return err_set(err, ERR_NO, "ixn although the configuration says EO");
		return prior->nnext || err_set(err, ERR_NO, "the identifier was abandoned");
	default:
		break;
	}
	return err_set(err, ERR_NO, "sn 0 that is no inception");
}

/* Verifies an event against the state at its prior event. ACCEPTED: it holds, and *est is built for
 * an establishment event; the caller frees it. */
static enum kel_outcome verify(const struct kel *kel, const struct event *event,
	struct span attachments, const struct kel *delegator, struct kel_progress *progress,
	struct kel_est *est, struct err *err)
{
	const struct kel_est *prior = est_before(kel, event->sn);
	const struct kel_est *force = is_est(event) ? est : prior;
	bool rotation = event->ilk == EVENT_ROT || event->ilk == EVENT_DRT;
	enum kel_outcome outcome = KEL_REFUSED;

	*est = (struct kel_est){0};
	if (!check_ilk(kel, event, prior, err))
		return KEL_REFUSED;
	if (is_est(event) && !est_build(est, event, prior, err))
		return KEL_REFUSED;
	if (!progress->signed_by_controller &&
		!check_signatures(event, attachments, force, rotation ? prior : NULL, err))
		goto out;
	progress->signed_by_controller = true;
	outcome = KEL_NO_RECEIPTS;
	if (!check_receipts(event, attachments, force, progress, err))
		goto out;
	outcome = KEL_ACCEPTED;
	if (event->ilk == EVENT_DIP || event->ilk == EVENT_DRT)
		outcome = check_delegation(event, attachments, delegator, est, err);
out:
	if (outcome != KEL_ACCEPTED)
		est_free(est);
	return outcome;
}

/* Makes room for one more element of a growing array. */
static bool grow(void *array, size_t *size, size_t count, size_t element)
{
	void **items = array, *more;
	size_t wanted = count < 8 ? 8 : count * 2;

	if (count < *size)
		return true;
	more = reallocarray(*items, wanted, element);
	if (!more)
		return false;
	*items = more;
	*size = wanted;
	return true;
}

static bool add_seals(struct kel *kel, const struct event *event)
{
	struct span list = event->seals;
	struct seal seal;

	while (event_next_seal(&list, &seal)) {
		if (seal.kind == SEAL_OTHER)
			continue;
		if (!grow(&kel->seals, &kel->seals_size, kel->nseals, sizeof *kel->seals))
			return false;
		seal.sn = event->sn;
		kel->seals[kel->nseals++] = seal;
	}
	return true;
}

void kel_rollback(struct kel *kel, uint64_t sn)
{
	while (kel->nests && kel->ests[kel->nests - 1].ev.sn >= sn)
		est_free(&kel->ests[--kel->nests]);
	while (kel->nseals && kel->seals[kel->nseals - 1].sn >= sn)
		kel->nseals--;
	if (kel->count > sn)
		kel->count = sn;
}

/* Remembers what a recovery superseded, so that seeing it again is no duplicity. */
static bool supersede(struct kel *kel, uint64_t sn)
{
	size_t more = (size_t)(kel->count - sn);
	void *list = reallocarray(kel->superseded, kel->nsuperseded + more, CESR_RAW);

	if (!list)
		return false;
	kel->superseded = list;
	memcpy(kel->superseded + kel->nsuperseded, kel->saids + sn, more * CESR_RAW);
	kel->nsuperseded += more;
	kel_rollback(kel, sn);
	return true;
}

static void read_traits(struct kel *kel, const struct event *event)
{
	struct span list = event->traits, trait;

	while (event_next_text(&list, &trait)) {
		if (span_is(trait, "EO"))
			kel->est_only = true;
		if (span_is(trait, "DND"))
			kel->no_delegation = true;
	}
}

/* Takes est over. */
static bool advance(struct kel *kel, const struct event *event, struct kel_est *est)
{
	struct kel_est *ests = kel->ests;
	size_t nseals = kel->nseals;

	if (is_est(event)) {
		ests = reallocarray(kel->ests, kel->nests + 1, sizeof *ests);
		if (!ests)
			return false;
		kel->ests = ests;
	}
	if (!grow(&kel->saids, &kel->saids_size, (size_t)kel->count, CESR_RAW) ||
		!add_seals(kel, event)) {
		kel->nseals = nseals;
		return false;
	}
	if (event->sn == 0) {
		span_copy(event->aid, kel->aid, sizeof kel->aid);
		span_copy(event->delegator, kel->delegator, sizeof kel->delegator);
		read_traits(kel, event);
	}
	cesr_decode(event->said, CESR_BLAKE3, kel->saids[kel->count++]);
	if (is_est(event)) {
		kel->ests[kel->nests++] = *est;
		*est = (struct kel_est){0};
	}
	return true;
}

/* A rot supersedes interactions from its sn on (facts/keri.md, Order, duplicity, recovery). */
static bool recovers(const struct kel *kel, const struct event *event)
{
	return (event->ilk == EVENT_ROT || event->ilk == EVENT_DRT) &&
	       event->sn > kel->ests[kel->nests - 1].ev.sn;
}

static bool known(const struct kel *kel, const struct event *event)
{
	uint8_t said[CESR_RAW];
	size_t at;

	return cesr_decode(event->said, CESR_BLAKE3, said) &&
	       (memcmp(kel->saids[event->sn], said, CESR_RAW) == 0 ||
		       find(kel->superseded, kel->nsuperseded, said, &at));
}

enum kel_outcome kel_apply(struct kel *kel, const struct event *event, struct span attachments,
	const struct kel *delegator, struct kel_progress *progress, uint64_t *cut, struct err *err)
{
	enum kel_outcome outcome;
	struct kel_est est;
	char said[CESR_TEXT];
	bool again;

	*cut = UINT64_MAX;
	if ((event->ilk == EVENT_ICP || event->ilk == EVENT_DIP) && event->sn > 0) {
		err_set(err, ERR_NO, "an inception with an sn other than 0");
		return KEL_REFUSED;
	}
	if (event->sn > kel->count || (event->sn == kel->count && event->sn && !kel->count)) {
		err_set(err, ERR_NO, "the event before it is missing");
		return KEL_GAP;
	}
	again = event->sn < kel->count;
	if (again && known(kel, event))
		return KEL_KNOWN;
	if (event->sn && event->ilk >= EVENT_ROT &&
		(!kel_said(kel, event->sn - 1, said) || !span_is(event->prior, said))) {
		err_set(err, ERR_NO, "p is not the event at sn %llu",
			(unsigned long long)event->sn - 1);
		return KEL_REFUSED;
	}
	outcome = verify(kel, event, attachments, delegator, progress, &est, err);
	if (outcome != KEL_ACCEPTED)
		return outcome;
	if (again && !recovers(kel, event)) {
		est_free(&est);
		err_set(err, ERR_NO, "another event was accepted at sn %llu",
			(unsigned long long)event->sn);
		return KEL_DUPLICITOUS;
	}
	if ((again && !supersede(kel, event->sn)) || !advance(kel, event, &est)) {
		est_free(&est);
		out_of_memory(err);
		return KEL_REFUSED;
	}
	if (again)
		*cut = event->sn;
	return KEL_ACCEPTED;
}

void kel_free(struct kel *kel)
{
	kel_rollback(kel, 0);
	free(kel->ests);
	free(kel->saids);
	free(kel->superseded);
	free(kel->seals);
	*kel = (struct kel){0};
}

const struct kel_est *kel_current(const struct kel *kel)
{
	return kel->nests ? &kel->ests[kel->nests - 1] : NULL;
}

bool kel_said(const struct kel *kel, uint64_t sn, char text[static CESR_TEXT])
{
	if (sn >= kel->count)
		return false;
	cesr_encode(CESR_BLAKE3, kel->saids[sn], text);
	return true;
}

bool kel_abandoned(const struct kel *kel)
{
	const struct kel_est *est = kel_current(kel);

	return est && est->ev.sn > 0 && est->nnext == 0;
}
