/* kel.c: verifies key events against key state; see kel.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <search.h>
#include <stdlib.h>

#include "array.h"
#include "kel.h"
#include "threshold.h"

/* Signatures that may fail on one event before no more are tried: else a stream of wrong ones would have a
 * long body hashed for each. */
static size_t wrong_max(struct span body) {
	size_t max = body.n ? ((size_t)1 << 20) / body.n : 0;

	return max > 64 ? max : 64;
}

/* ---- what an establishment event sets ---- */

static void est_free(struct kel_est *est) {
	free(est->body);
	free(est->keys);
	free(est->next);
	free(est->witnesses);
	*est = (struct kel_est){0};
}

static bool out_of_memory(struct err *err) {
	return err_set(err, ERR_ENV, "out of memory");
}

static bool read_keys(struct kel_est *est, struct err *err) {
	struct span list = est->ev.keys, text;

	est->nkeys = event_count_texts(list);
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

static bool read_next(struct kel_est *est, struct err *err) {
	struct span list = est->ev.next, text;

	est->nnext = event_count_texts(list);
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

static bool find(uint8_t (*list)[CESR_RAW], size_t n, const uint8_t raw[static CESR_RAW], size_t *at) {
	for (*at = 0; *at < n; ++*at)
		if (memcmp(list[*at], raw, CESR_RAW) == 0)
			return true;
	return false;
}

/* The new list: the old one minus the cuts, in order, then the added ones (facts/keri.md,
 * Witnesses). */
static bool read_witnesses(struct kel_est *est, const struct kel_est *prior, struct err *err) {
	size_t room = event_count_texts(est->ev.witnesses), at;
	struct span cuts = est->ev.cuts, adds = est->ev.witnesses, text;
	uint8_t raw[CESR_RAW];

	if (room > KEL_WITNESSES_MAX)
		return err_set(err, ERR_NO, "too many witnesses");
	room += prior ? prior->nwitnesses : 0;
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
		memmove(est->witnesses[at], est->witnesses[at + 1], (est->nwitnesses - at) * CESR_RAW);
	}
	while (event_next_text(&adds, &text)) {
		if (est->nwitnesses >= KEL_WITNESSES_MAX)
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

static bool read_thresholds(struct kel_est *est, struct err *err) {
	bool all[KEL_LIST_MAX];
	struct span bt = est->ev.bt, nt = est->ev.nt;

	memset(all, true, sizeof all);
	if (threshold_met(est->ev.kt, all, est->nkeys, err) != 1)
		return err_at(err, "kt");
	if (est->nnext == 0 && !span_is(nt, "\"0\"") && !span_is(nt, "0"))
		return err_set(err, ERR_NO, "nt without next keys must be 0");
	if (est->nnext && threshold_met(nt, all, est->nnext, err) != 1)
		return err_at(err, "nt");
	if (est->nwitnesses && threshold_met(bt, all, est->nwitnesses, err) != 1)
		return err_at(err, "bt");
	if (est->nwitnesses == 0 && !span_is(bt, "\"0\"") && !span_is(bt, "0"))
		return err_set(err, ERR_NO, "bt without witnesses must be 0");
	if (bt.n && bt.p[0] == '[')
		return err_set(err, ERR_NO, "bt is no number");
	return threshold_number(bt, &est->bt);
}

/* Basic identifiers: i is the one key; a non-transferable one has no more than its inception. */
static bool check_basic(const struct kel_est *est, struct err *err) {
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
static bool est_build(
	struct kel_est *est, const struct event *event, const struct kel_est *prior, struct err *err) {
	*est = (struct kel_est){.body = malloc(event->body.n)};
	if (!est->body)
		return out_of_memory(err);
	memcpy(est->body, event->body.p, event->body.n);
	if (event_parse(span_of(est->body, event->body.n), &est->ev, err) && read_keys(est, err) &&
		read_next(est, err) && read_witnesses(est, prior, err) && read_thresholds(est, err) &&
		(prior || check_basic(est, err)))
		return true;
	est_free(est);
	return false;
}

/* ---- signatures ---- */

/* Signatures count once per index, next commitments once per ondex (facts/keri.md, Thresholds),
 * whatever code or group carried them. */
struct tally {
	const struct kel_est *est, *prior; /* prior: NULL unless next commitments count */
	const struct signatures *known;
	bool signed_by[KEL_LIST_MAX];
	bool exposed[KEL_LIST_MAX];
	size_t wrong;
};

static bool commits_to(const struct kel_est *prior, uint32_t ondex, const struct kel_key *key) {
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

static void count_signature(struct tally *tally, const struct cesr_item *item, struct span body) {
	const struct kel_key *key = &tally->est->keys[item->index];
	bool exposes = commits_to(tally->prior, item->ondex, key) && !tally->exposed[item->ondex];

	if (tally->signed_by[item->index] && !exposes)
		return;
	if (!signature_good(tally->known, item->sig, body, key->raw)) {
		tally->wrong++; /* ignored while the valid ones suffice */
		return;
	}
	tally->signed_by[item->index] = true;
	if (exposes)
		tally->exposed[item->ondex] = true;
}

/* The verified signatures meet kt by index and, for a rotation, the prior nt by ondex. */
static bool check_signatures(const struct event *event, struct span attachments, const struct kel_est *est,
	const struct kel_est *prior, const struct signatures *known, struct err *err) {
	struct tally tally = {.est = est, .prior = prior, .known = known};
	struct cesr_reader reader;
	struct cesr_item item;

	cesr_reader_init(&reader, attachments);
	while (tally.wrong < wrong_max(event->body) && cesr_next(&reader, &item, NULL) == CESR_ITEM)
		if (item.kind == CESR_CONTROLLER_SIG && item.index < est->nkeys)
			count_signature(&tally, &item, event->body);
	if (threshold_met(est->ev.kt, tally.signed_by, est->nkeys, err) != 1)
		return err_at(err, "signing threshold not met");
	if (prior && threshold_met(prior->ev.nt, tally.exposed, prior->nnext, err) != 1)
		return err_at(err, "next key commitment not met");
	return true;
}

/* Receipts count once per witness. */
static void count_receipt(const struct event *event, const struct kel_est *force, size_t witness,
	const struct cesr_item *item, struct kel_progress *progress) {
	uint8_t bit = (uint8_t)(1 << witness % 8);

	if (witness >= force->nwitnesses || progress->witnessed[witness / 8] & bit ||
		progress->wrong >= wrong_max(event->body))
		return;
	if (signature_good(progress->known, item->sig, event->body, force->witnesses[witness]))
		progress->witnessed[witness / 8] |= bit;
	else
		progress->wrong++;
}

/* Looks for receipts and source seals in the attachments that came since the last time. */
static void read_attachments(const struct event *event, struct span attachments, const struct kel_est *force,
	struct kel_progress *progress) {
	bool delegated = event->ilk == EVENT_DIP || event->ilk == EVENT_DRT;
	struct cesr_reader reader;
	struct cesr_item item;
	size_t witness;

	if (!delegated && force->nwitnesses == 0)
		return; /* there is nothing to be looked for */
	cesr_reader_init(&reader, span_from(attachments, progress->read));
	while (cesr_next(&reader, &item, NULL) == CESR_ITEM) {
		if (item.kind == CESR_WITNESS_SIG) {
			count_receipt(event, force, item.index, &item, progress);
		} else if (item.kind == CESR_COUPLE) {
			if (find(force->witnesses, force->nwitnesses, item.key, &witness))
				count_receipt(event, force, witness, &item, progress);
		} else if (item.kind == CESR_SOURCE_SEAL && delegated) {
			progress->est.anchor_sn = item.sn;
			memcpy(progress->est.anchor, item.digest, sizeof item.digest);
		}
	}
	progress->read = attachments.n;
}

static bool check_receipts(
	const struct kel_est *force, const struct kel_progress *progress, struct err *err) {
	uint64_t have = 0;

	for (size_t i = 0; i < sizeof progress->witnessed; i++)
		have += (uint64_t)__builtin_popcount(progress->witnessed[i]);
	return have >= force->bt || err_set(err, ERR_NO, "receipts missing: %llu of %llu",
					    (unsigned long long)have, (unsigned long long)force->bt);
}

/* ---- delegation ---- */

/* How many of the accepted seals stand before sn. */
static size_t seals_before(const struct kel *kel, uint64_t sn) {
	size_t low = 0, high = kel->nseals;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kel->seals[middle].sn < sn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int compare_seals(const struct seal *a, const struct seal *b) {
	int order = strcmp(a->d, b->d);

	if (!order)
		order = strcmp(a->i, b->i);
	return order ? order : (a->s > b->s) - (a->s < b->s);
}

/* Whether the event at sn has the seal {i, s, d} of this event. It may have many, for many delegates. */
static bool seals_event(const struct kel *log, uint64_t sn, const struct event *event) {
	size_t low = seals_before(log, sn), high = seals_before(log, sn + 1);
	struct seal wanted = {.s = event->sn};

	span_copy(event->aid, wanted.i, sizeof wanted.i);
	span_copy(event->said, wanted.d, sizeof wanted.d);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_seals(&wanted, &log->seals[log->by_name[middle]]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* dip and drt: the event named by -G is in the delegator's log, and its `a` seals this event. */
static enum kel_outcome check_delegation(
	const struct event *event, const struct kel *delegator, const struct kel_est *est, struct err *err) {
	unsigned long long sn = est->anchor_sn;
	char said[CESR_TEXT];

	if (!est->anchor[0]) {
		err_set(err, ERR_NO, "delegated without a source seal");
		return KEL_NO_DELEGATOR; /* one may still come with a receipt */
	}
	if (delegator && delegator->no_delegation) {
		err_set(err, ERR_NO, "the delegator may not delegate (DND)");
		return KEL_REFUSED;
	}
	if (!delegator || !kel_said(delegator, sn, said)) {
		err_set(err, ERR_NO, "the delegator's event %llu is missing", sn);
		return KEL_NO_DELEGATOR;
	}
	if (strcmp(said, est->anchor) != 0) {
		err_set(err, ERR_NO, "the source seal names another event %llu than the delegator's", sn);
		return KEL_NO_DELEGATOR; /* a recovery of his may still bring it */
	}
	if (seals_event(delegator, sn, event))
		return KEL_ACCEPTED;
	err_set(err, ERR_NO, "the delegator's event %llu does not seal it", sn);
	return KEL_REFUSED;
}

/* ---- events ---- */

static bool is_est(const struct event *event) {
	return event->ilk != EVENT_IXN;
}

static size_t ests_before(const struct kel *kel, uint64_t sn) {
	size_t low = 0, high = kel->nests;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kel->ests[middle].ev.sn < sn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What kind of event may stand behind prior, the establishment event in force; NULL: at sn 0. */
static bool check_ilk(
	const struct kel *kel, const struct event *event, const struct kel_est *prior, struct err *err) {
	bool delegated = kel->delegator[0] != 0;

	if (event->ilk == EVENT_ICP || event->ilk == EVENT_DIP)
		return true;
	if (!prior)
		return err_set(err, ERR_NO, "sn 0 that is no inception");
	if (event->ilk == EVENT_ROT && delegated)
		return err_set(err, ERR_NO, "rot on a delegated identifier");
	if (event->ilk == EVENT_DRT && !delegated)
		return err_set(err, ERR_NO, "drt on an identifier without delegator");
	if (event->ilk == EVENT_IXN && kel->est_only)
		return err_set(err, ERR_NO, "ixn although the configuration says EO");
	return prior->nnext || err_set(err, ERR_NO, "abandoned: no next keys, nothing may follow");
}

/* Verifies an event against the state at its prior event. ACCEPTED: it holds, and progress->est is
 * built for an establishment event. */
static enum kel_outcome verify(const struct kel *kel, const struct event *event, struct span attachments,
	const struct kel *delegator, struct kel_progress *progress, struct err *err) {
	bool rotation = event->ilk == EVENT_ROT || event->ilk == EVENT_DRT;
	size_t before = ests_before(kel, event->sn);
	const struct kel_est *prior = before ? &kel->ests[before - 1] : NULL;
	const struct kel_est *force = is_est(event) ? &progress->est : prior;
	enum kel_outcome outcome = KEL_ACCEPTED;

	if (!check_ilk(kel, event, prior, err))
		return KEL_REFUSED;
	if (is_est(event) && !progress->est.body && !est_build(&progress->est, event, prior, err))
		return KEL_REFUSED;
	if (!progress->signed_by_controller &&
		!check_signatures(event, attachments, force, rotation ? prior : NULL, progress->known, err))
		return KEL_REFUSED;
	progress->signed_by_controller = true;
	read_attachments(event, attachments, force, progress);
	if (event->ilk == EVENT_DIP || event->ilk == EVENT_DRT)
		outcome = check_delegation(event, delegator, force, err);
	if (outcome == KEL_ACCEPTED && !check_receipts(force, progress, err))
		outcome = KEL_NO_RECEIPTS;
	return outcome;
}

static int compare_places(const void *a, const void *b, void *seals) {
	const struct seal *list = seals;

	return compare_seals(&list[*(const size_t *)a], &list[*(const size_t *)b]);
}

static bool add_seals(struct kel *kel, const struct event *event) {
	size_t first = kel->nseals, *by_name;
	struct span list = event->seals;
	struct seal seal, *seals;

	while (event_next_seal(&list, &seal)) {
		if (!seal.i[0] && !seal.d[0])
			continue; /* opaque, or names nothing */
		seals = array_room(kel->seals, kel->nseals, sizeof *seals);
		if (seals)
			kel->seals = seals;
		by_name = array_room(kel->by_name, kel->nseals, sizeof *by_name);
		if (by_name)
			kel->by_name = by_name;
		if (!seals || !by_name)
			return false;
		seal.sn = event->sn;
		kel->seals[kel->nseals] = seal;
		kel->by_name[kel->nseals] = kel->nseals;
		kel->nseals++;
	}
	if (kel->nseals > first)
		qsort_r(kel->by_name + first, kel->nseals - first, sizeof *kel->by_name, compare_places,
			kel->seals);
	return true;
}

void kel_rollback(struct kel *kel, uint64_t sn) {
	while (kel->nests && kel->ests[kel->nests - 1].ev.sn >= sn)
		est_free(&kel->ests[--kel->nests]);
	while (kel->nseals && kel->seals[kel->nseals - 1].sn >= sn)
		kel->nseals--;
	if (kel->count > sn)
		kel->count = sn;
}

static int compare_saids(const void *a, const void *b) {
	return memcmp(a, b, CESR_RAW);
}

static bool add_superseded(struct kel *kel, const uint8_t raw[static CESR_RAW]) {
	uint8_t *said = malloc(CESR_RAW), **node;

	if (!said)
		return false;
	memcpy(said, raw, CESR_RAW);
	node = tsearch(said, &kel->superseded, compare_saids);
	if (!node || *node != said)
		free(said);
	return node;
}

bool kel_supersede(struct kel *kel, uint64_t sn) {
	for (uint64_t i = sn; i < kel->count; i++)
		if (!add_superseded(kel, kel->saids[i]))
			return false;
	kel_rollback(kel, sn);
	return true;
}

bool kel_late(struct kel *kel, const struct event *event, bool verified) {
	uint8_t said[CESR_RAW], prior[CESR_RAW];
	bool goes_on = cesr_decode(event->prior, CESR_BLAKE3, prior) &&
		       tfind(prior, &kel->superseded, compare_saids);

	if (event->ilk != EVENT_IXN || !(goes_on || kel_est_at(kel, event->sn)))
		return false;
	return !(goes_on || verified) ||
	       (cesr_decode(event->said, CESR_BLAKE3, said) && add_superseded(kel, said));
}

static void read_traits(struct kel *kel, const struct event *event) {
	struct span list = event->traits, trait;

	while (event_next_text(&list, &trait)) {
		if (span_is(trait, "EO"))
			kel->est_only = true;
		if (span_is(trait, "DND"))
			kel->no_delegation = true;
	}
}

/* Takes est over. */
static bool advance(struct kel *kel, const struct event *event, struct kel_est *est) {
	struct kel_est *ests = array_room(kel->ests, kel->nests, sizeof *ests);
	void *saids = array_room(kel->saids, (size_t)kel->count, CESR_RAW);
	size_t nseals = kel->nseals;

	if (ests)
		kel->ests = ests;
	if (saids)
		kel->saids = saids;
	if (!ests || !saids || !add_seals(kel, event)) {
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
static bool recovers(const struct kel *kel, const struct event *event) {
	return (event->ilk == EVENT_ROT || event->ilk == EVENT_DRT) &&
	       event->sn > kel->ests[kel->nests - 1].ev.sn;
}

bool kel_knows(const struct kel *kel, const struct event *event) {
	uint8_t said[CESR_RAW];

	return cesr_decode(event->said, CESR_BLAKE3, said) &&
	       ((event->sn < kel->count && memcmp(kel->saids[event->sn], said, CESR_RAW) == 0) ||
		       tfind(said, &kel->superseded, compare_saids));
}

enum kel_outcome kel_apply(struct kel *kel, const struct event *event, struct span attachments,
	const struct kel *delegator, struct kel_progress *progress, struct err *err) {
	unsigned long long sn = event->sn;
	enum kel_outcome outcome;
	char said[CESR_TEXT];

	if ((event->ilk == EVENT_ICP || event->ilk == EVENT_DIP) && sn > 0) {
		err_set(err, ERR_NO, "an inception with an sn other than 0");
		return KEL_REFUSED;
	}
	if (kel_knows(kel, event))
		return KEL_KNOWN;
	if (sn > kel->count) {
		err_set(err, ERR_NO, "the event before it is missing");
		return KEL_GAP;
	}
	if (sn && (!kel_said(kel, sn - 1, said) || !span_is(event->prior, said))) {
		err_set(err, ERR_NO, "p is not the event at sn %llu", sn - 1);
		return KEL_REFUSED;
	}
	outcome = verify(kel, event, attachments, delegator, progress, err);
	if (outcome != KEL_ACCEPTED)
		return outcome;
	if (sn < kel->count && recovers(kel, event))
		return KEL_RECOVERS;
	if (sn < kel->count) {
		err_set(err, ERR_NO, "another event was accepted at sn %llu", sn);
		return KEL_DUPLICITOUS;
	}
	if (advance(kel, event, &progress->est))
		return KEL_ACCEPTED;
	out_of_memory(err);
	return KEL_REFUSED;
}

void kel_progress_free(struct kel_progress *progress) {
	est_free(&progress->est);
}

void kel_free(struct kel *kel) {
	kel_rollback(kel, 0);
	free(kel->ests);
	free(kel->saids);
	tdestroy(kel->superseded, free);
	free(kel->seals);
	free(kel->by_name);
	*kel = (struct kel){0};
}

const struct kel_est *kel_current(const struct kel *kel) {
	return kel->nests ? &kel->ests[kel->nests - 1] : NULL;
}

const struct kel_est *kel_est_at(const struct kel *kel, uint64_t sn) {
	size_t at = ests_before(kel, sn);

	return at < kel->nests && kel->ests[at].ev.sn == sn ? &kel->ests[at] : NULL;
}

bool kel_said(const struct kel *kel, uint64_t sn, char text[static CESR_TEXT]) {
	if (sn >= kel->count)
		return false;
	cesr_encode(CESR_BLAKE3, kel->saids[sn], text);
	return true;
}

bool kel_abandoned(const struct kel *kel) {
	const struct kel_est *est = kel_current(kel);

	return est && est->ev.sn > 0 && est->nnext == 0;
}
