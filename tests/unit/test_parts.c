/* test_parts.c: a stream says the same whole, part by part, and with every signature checked in its turn. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sodium.h>
#include <cmocka.h>

/* With a switch between what was checked ahead and the check itself. */
#define signature_good signature_looked_up
#include "../../libcommon/signatures.c"
#undef signature_good

#include "book.h"
#include "builder.h"
#include "bytes.h"
#include "chance.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

static bool ahead; /* what was checked ahead counts */

/* In the place of the one of signatures.c, for the code under test. */
bool signature_good(const struct signatures *known, const uint8_t raw[static CESR_SIG_RAW], struct span body,
	const uint8_t key[static CESR_RAW]) {
	return signature_looked_up(ahead ? known : NULL, raw, body, key);
}

/* ---- what a stream says ---- */

/* How much of a bad attachment is quoted hangs on how much of it was there. */
static void note(void *ctx, const struct verdict *v) {
	const char *quote = strstr(v->reason, " at \"");

	text_add(ctx, "verdict %d on %" PRIu64 ", %s at %" PRIu64 ": %.*s\n", v->kind, v->event, v->aid,
		v->sn, (int)(quote ? (size_t)(quote - v->reason) : strlen(v->reason)), v->reason);
}

static void add_log(struct text *said, const struct book_log *log) {
	const struct kel *kel = &log->kel;
	char text[CESR_TEXT];

	text_add(said, "%s first %" PRIu64 " frozen %d delegator %s, %zu seals\n", kel->aid, log->first,
		log->frozen, kel->delegator, kel->nseals);
	for (uint64_t sn = 0; kel_said(kel, sn, text); sn++)
		text_add(said, "  %s\n", text);
	for (size_t i = 0; i < kel->nests; i++) {
		const struct kel_est *est = &kel->ests[i];

		text_add(said, "  %.*s anchored by %" PRIu64 " %s, %zu keys:", (int)est->ev.said.n,
			est->ev.said.p, est->anchor_sn, est->anchor, est->nkeys);
		text_bytes(said, est->ev.keys.p, est->ev.keys.n);
		for (size_t k = 0; k < est->nwitnesses; k++)
			text_add(said, " %s", cesr_encode(CESR_ED25519N, est->witnesses[k], text));
		text_add(said, "\n");
	}
	text_bytes(said, log->fresh, log->nfresh);
	text_bytes(said, log->evidence, log->nevidence);
	text_add(said, "\n");
}

/* A book that notes its verdicts; what it says in the end. */
static struct book open_book(struct text *said, bool forgiving) {
	return (struct book){.forgiving = forgiving, .record = forgiving, .report = note, .ctx = said};
}

static void close_book(struct book *book, struct text *said) {
	uint64_t events = book->events;

	text_add(said, "%s, %" PRIu64 " bodies\n", book_finish(book) ? "complete" : "failed", events);
	for (size_t i = 0; i < book->nlogs; i++)
		add_log(said, book->logs[i]);
	book_free(book);
}

/* With every signature checked in its turn. */
static struct text read_whole(struct span stream, bool forgiving) {
	struct text said = {0};
	struct book book = open_book(&said, forgiving);

	ahead = false;
	book_read(&book, stream);
	ahead = true;
	close_book(&book, &said);
	return said;
}

/* ---- in parts ---- */

/* Where a part that starts at `from` ends: never before from + 1. */
struct cuts {
	size_t every;		/* bytes; or */
	struct chance *chance;	/* of any length; or */
	const size_t *messages; /* a byte behind the end of each message: one at a time */
	bool late;		/* that a part was the last is only known when nothing comes */
};

static size_t next_cut(const struct cuts *cuts, size_t from) {
	const size_t *at = cuts->messages;

	if (cuts->every)
		return from + cuts->every;
	if (cuts->chance)
		return from + 1 + chance_below(cuts->chance, 700);
	while (*at <= from)
		at++;
	return *at;
}

/* Reads a part that is gone afterwards, and was never longer: what was left, and the stream up to `to`.
 * False where input stops. */
static bool read_part(struct book *book, struct span stream, size_t *left, size_t to, bool last) {
	struct span exact = bytes_copy(stream.p + *left, to - *left), part = exact;
	bool good = book_read_part(book, &part, last);

	assert_true(!good || part.n == 0 || !last);
	assert_true(part.n == 0 || part.p + part.n == exact.p + exact.n);
	*left = to - part.n;
	bytes_free(exact);
	return good;
}

static struct text read_in_parts(struct span stream, struct cuts cuts, bool forgiving) {
	struct text said = {0};
	struct book book = open_book(&said, forgiving);
	size_t left = 0, to = 0;
	bool good = read_part(&book, stream, &left, 0, false), last = false;

	while (good && !last) {
		last = to == stream.n;
		to = next_cut(&cuts, to);
		to = to < stream.n ? to : stream.n;
		last = last || (to == stream.n && !cuts.late);
		good = read_part(&book, stream, &left, to, last);
	}
	close_book(&book, &said);
	return said;
}

static void expect_same(
	const char *name, struct span stream, const struct text *whole, struct cuts cuts, bool forgiving) {
	struct text parts = read_in_parts(stream, cuts, forgiving);

	if (parts.n != whole->n || memcmp(parts.p, whole->p, parts.n) != 0)
		fail_msg("%s, %s:\n%s\nin parts (%zu):\n%s", name, forgiving ? "forgiving" : "strict",
			whole->p, cuts.every, parts.p);
	text_free(&parts);
}

/* ---- one message after the other ---- */

/* Then the keys are guessed from nothing but the log. */
static void expect_same_by_message(
	const char *name, struct span stream, const struct text *whole, bool forgiving) {
	size_t *ends = calloc(stream.n + 1, sizeof *ends), n = 0;
	struct span rest = stream;
	struct cesr_message message;

	assert_non_null(ends);
	while (cesr_message(&rest, &message, NULL) == CESR_ITEM)
		ends[n++] = stream.n - rest.n + 1;
	ends[n] = SIZE_MAX;
	expect_same(name, stream, whole, (struct cuts){.messages = ends}, forgiving);
	free(ends);
}

/* ---- vectors ---- */

#define SMALL 3000 /* bytes */

static void cut_vector(const char *name, struct span stream) {
	struct chance chance = {stream.n};
	size_t sizes = stream.n <= SMALL ? stream.n : 3;

	for (int forgiving = 0; forgiving < 2; forgiving++) {
		struct text whole = read_whole(stream, forgiving);

		expect_same(name, stream, &whole, (struct cuts){.every = stream.n + 1}, forgiving);
		expect_same_by_message(name, stream, &whole, forgiving);
		for (int i = 0; i < 4; i++)
			expect_same(name, stream, &whole, (struct cuts){.chance = &chance, .late = i % 2},
				forgiving);
		for (size_t every = 1; every <= sizes; every += 1 + every / 2)
			expect_same(name, stream, &whole,
				(struct cuts){
					.every = stream.n <= SMALL ? every : 997 * every, .late = every % 2},
				forgiving);
		text_free(&whole);
	}
}

static void vectors_say_the_same(void **state) {
	(void)state;
	assert_true(each_vector(cut_vector) > 50);
}

/* Every part size from one byte to all of it, with and without a last part of nothing. */
static void every_size_of_a_part(void **state) {
	struct id boss = {.name = "boss", .nwitnesses = 1}, del = {.name = "del", .delegator = &boss};
	struct text stream = {0}, message = {0}, whole;

	(void)state;
	say(&stream, &boss, draft_icp(&boss));
	say_delegated(&stream, &message, &boss, &del, draft_icp(&del));
	text_join(&stream, &message);
	say(&stream, &boss, draft_rot(&boss));
	whole = read_whole(text_span(&stream), false);
	assert_non_null(strstr(whole.p, "complete, 4 bodies"));
	for (size_t every = 1; every <= stream.n + 1; every++)
		for (int late = 0; late < 2; late++)
			expect_same("a log", text_span(&stream), &whole,
				(struct cuts){.every = every, .late = late}, false);
	text_free(&whole);
	text_free(&message);
	text_free(&stream);
}

/* An event without signatures is cut short where the stream ends, and refused where it goes on. */
static void nothing_but_a_body(void **state) {
	static const char *const rest[] = {"", "x", "{\"v\":\"KE"};
	static const char *const verdicts[] = {"verdict 1 on 0, ", "verdict 0 on 0, ", "verdict 0 on 0, "};

	(void)state;
	for (size_t i = 0; i < COUNT(rest); i++) {
		struct id id = {.name = "one"};
		struct text stream = id_state(&id, draft_icp(&id)), whole;

		text_add(&stream, "%s", rest[i]);
		whole = read_whole(text_span(&stream), false);
		assert_memory_equal(whole.p, verdicts[i], strlen(verdicts[i]));
		for (size_t every = 1; every <= stream.n; every++)
			expect_same(
				"a body", text_span(&stream), &whole, (struct cuts){.every = every}, false);
		text_free(&whole);
		text_free(&stream);
	}
}

/* ---- streams by chance ---- */

#define MESSAGES 24

struct scene {
	struct chance *chance;
	struct id ids[3]; /* the last one is delegated by the first */
	struct id forks[3];
	bool calm;			    /* nothing wrong but what is done to it */
	struct text messages[MESSAGES * 2]; /* in the order of the stream */
	size_t n;
};

static struct draft draft_next(const struct scene *scene, const struct id *id) {
	struct draft d;

	if (id->sn == 0)
		return draft_icp(id);
	if (chance_below(scene->chance, 3))
		return draft_ixn(id, "[]");
	d = draft_rot(id);
	/* for once one that will be refused; what follows is signed with its keys */
	if (!scene->calm && chance_below(scene->chance, 8) == 0)
		draft_set(&d, "br", "[\"BK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"]");
	return d;
}

/* Signatures that expose next keys by indices of their own, and couples or receipts. */
static void attach(struct scene *scene, struct text *to, const struct id *id, struct span body) {
	unsigned n = id_nkeys(id);

	if (!scene->calm && chance_below(scene->chance, 8) == 0)
		return;
	if (chance_below(scene->chance, 2)) {
		add_attachments(to, id, body);
		return;
	}
	add_counter(to, 'A', n);
	for (unsigned i = n; i-- > 0;) {
		struct key key = key_of(id->name, id->round, i);

		add_signature(to, body, &key, "2A", i, i);
	}
	if (id->nwitnesses)
		add_counter(to, 'C', id->nwitnesses);
	for (unsigned i = 0; i < id->nwitnesses; i++) {
		struct key witness = key_of("witness", 0, i);

		add_couple(to, body, &witness);
	}
	if (id->anchor[0])
		add_source_seal(to, id->anchor_sn, id->anchor);
}

static void state_next(struct scene *scene, struct id *id) {
	struct id *boss = id == &scene->ids[2] ? &scene->ids[0] : NULL;
	struct draft d = draft_next(scene, id);
	bool sealed = boss && boss->sn && !draft_is(&d, "ixn");
	struct text *to = &scene->messages[scene->n++], body = id_state(id, d);

	if (sealed) {
		say(&scene->messages[scene->n++], boss, draft_sealing(boss, id));
		anchor_in(id, boss);
	}
	text_join(to, &body);
	attach(scene, to, id, text_span(&body));
	if (chance_below(scene->chance, 6) == 0 && scene->n < COUNT(scene->messages)) {
		add_rct(&scene->messages[scene->n], id->aid, id->sn - 1, id->said);
		add_receipts(&scene->messages[scene->n++], text_span(&body), 0, id->nwitnesses);
	}
	id->anchor[0] = 0;
	text_free(&body);
}

static void build(struct scene *scene) {
	static const char *const names[] = {"one", "two", "del"};

	for (size_t i = 0; i < COUNT(scene->ids); i++)
		scene->ids[i] = (struct id){.name = names[i],
			.nkeys = 1 + (unsigned)chance_below(scene->chance, 3),
			.kt = chance_below(scene->chance, 2) ? NULL : "\"1\"",
			.nwitnesses = (unsigned)chance_below(scene->chance, 3)};
	scene->ids[2].delegator = &scene->ids[0];
	state_next(scene, &scene->ids[0]);
	while (scene->n < MESSAGES) {
		size_t which = chance_below(scene->chance, COUNT(scene->ids));
		struct id *id = &scene->ids[which];

		/* now and then one goes back to where it was: a recovery, a fork, or the same again */
		if (!scene->calm && chance_below(scene->chance, 10) == 0 && scene->forks[which].sn)
			*id = scene->forks[which];
		else if (chance_below(scene->chance, 3) == 0)
			scene->forks[which] = *id;
		state_next(scene, id);
	}
}

/* Messages that are lost, come twice or early. */
static void shuffle(struct scene *scene) {
	for (size_t times = chance_below(scene->chance, 4); times > 0; times--) {
		size_t a = chance_below(scene->chance, scene->n), b = chance_below(scene->chance, scene->n);
		struct text other = scene->messages[a];

		switch (chance_below(scene->chance, 3)) {
		case 0:
			scene->messages[a] = scene->messages[b];
			scene->messages[b] = other;
			break;
		case 1:
			scene->messages[a].n = 0;
			break;
		default:
			if (a != b)
				text_join(&scene->messages[a], &scene->messages[b]);
		}
	}
}

/* Bytes that are bent, and an end that comes too early. */
static void damage(struct scene *scene, struct text *stream) {
	static const char structural[] = "{}[]:,\"\\-#0A";

	for (size_t times = chance_below(scene->chance, 3); times > 0 && stream->n; times--) {
		size_t at = chance_below(scene->chance, stream->n);

		if (chance_below(scene->chance, 2))
			stream->p[at] ^= (char)(1 << chance_below(scene->chance, 8));
		else
			stream->p[at] = structural[chance_below(scene->chance, sizeof structural - 1)];
	}
	if (chance_below(scene->chance, 4) == 0)
		stream->n = chance_below(scene->chance, stream->n + 1);
}

static void read_by_chance(struct chance *chance, size_t *complete) {
	struct scene scene = {.chance = chance, .calm = chance_below(chance, 3)};
	struct text stream = {0};

	build(&scene);
	if (chance_below(chance, 2))
		shuffle(&scene);
	for (size_t i = 0; i < scene.n; i++)
		text_join(&stream, &scene.messages[i]);
	if (chance_below(chance, 2))
		damage(&scene, &stream);
	for (int forgiving = 0; forgiving < 2; forgiving++) {
		struct text whole = read_whole(text_span(&stream), forgiving);

		*complete += strstr(whole.p, "complete") != NULL;
		expect_same("by chance", text_span(&stream), &whole, (struct cuts){.every = stream.n + 1},
			forgiving);
		expect_same_by_message("by chance", text_span(&stream), &whole, forgiving);
		for (int i = 0; i < 3; i++)
			expect_same("by chance", text_span(&stream), &whole,
				(struct cuts){.chance = chance, .late = i % 2}, forgiving);
		text_free(&whole);
	}
	for (size_t i = 0; i < scene.n; i++)
		text_free(&scene.messages[i]);
	text_free(&stream);
}

#define STREAMS 60

static void streams_by_chance_say_the_same(void **state) {
	struct chance chance = chance_begin();
	size_t complete = 0;

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		read_by_chance(&chance, &complete);
	print_message("%zu of %d readings were complete\n", complete, 2 * STREAMS);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_say_the_same),
		cmocka_unit_test(every_size_of_a_part),
		cmocka_unit_test(nothing_but_a_body),
		cmocka_unit_test(streams_by_chance_say_the_same),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
