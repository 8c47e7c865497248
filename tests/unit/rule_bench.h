/* rule_bench.h: on top of builder.h, a log whose last event is bent in one place, and what becomes of it. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TEST_RULE_BENCH_H
#define VERIMESH_TEST_RULE_BENCH_H

#include <ctype.h>

#include "book.h"
#include "builder.h"
#include "bytes.h"

/* What is expected of the last event: one of these, or an enum verdict_kind. */
#define GOOD (-1)  /* it is accepted, and what it says is the state */
#define AGAIN (-2) /* no refusal, and no effect */

#define BENCH_EVENTS 16

struct bench {
	struct id id;		    /* behind the event stated last */
	struct id standing;	    /* behind the last one that is right: the state without the bent one */
	struct id at[BENCH_EVENTS]; /* before the event with this sn */
	char saids[BENCH_EVENTS][SAID]; /* of the event with this sn, the last one stated */
	struct text stream;
	size_t last;	      /* where the last message starts */
	uint64_t bodies;      /* in the stream */
	uint64_t bent;	      /* which of them is bent */
	size_t size;	      /* of the body that is being bent */
	char names[26][SAID]; /* what a test calls A to Z */
};

static inline void bench_free(struct bench *b) {
	text_free(&b->stream);
}

/* ---- values ---- */

/* What stands between < and >, a letter and up to two numbers:
 * kR.N  key N of round R; bR.N: with code B; cR.N: with code C; pR.N: with a pad bit set
 * nR.N  the digest of that key's text; mR.N: of that with code B; rR.N: of the raw key
 * wN    witness N; vN: with code D
 * eN    SAID of the event at sn N;  i: the identifier;  x: a digest of something else;  gN: the number N
 * zN    the body's size and N; yN: less N; Z: in upper case
 * lN    that many lists, one in the other
 * A     what the test calls so, but for Z */
static inline void expand_one(struct text *to, const struct bench *b, const char *what) {
	char *end, text[PRIMITIVE], digest[PRIMITIVE];
	unsigned first = (unsigned)strtoul(what + 1, &end, 10);
	unsigned second = *end == '.' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
	struct key key = key_of(b->id.name, first, second), witness = key_of("witness", 0, first);

	key_text(strchr("bm", *what) ? "B"
		 : *what == 'c'	     ? "C"
				     : "D",
		strchr("wv", *what) ? &witness : &key, text);
	switch (*what) {
	case 'p':
		text[1] = *number_text(16U + (unsigned)(text[1] - 'A'), 1, digest);
		break;
	case 'n':
	case 'm':
		memcpy(text, digest_of(text, strlen(text), digest), sizeof digest);
		break;
	case 'r':
		digest_of(key.pub, sizeof key.pub, text);
		break;
	case 'w':
		witness_text(first, text);
		break;
	case 'e':
		memcpy(text, b->saids[first], SAID);
		break;
	case 'i':
		memcpy(text, b->id.aid, SAID);
		break;
	case 'x':
		digest_of("", 0, text);
		break;
	case 'g':
		snprintf(text, sizeof text, "0AAAAAAAAAAAAAAAAAAAAA%s", number_text(first, 2, digest));
		break;
	case 'z':
	case 'y':
		snprintf(text, sizeof text, "%06zx", *what == 'z' ? b->size + first : b->size - first);
		break;
	case 'Z':
		snprintf(text, sizeof text, "%06zX", b->size);
		break;
	case 'l':
		memset(text, '[', first);
		memset(text + first, ']', first);
		text[2 * first] = 0;
		break;
	default:
		if (isupper((unsigned char)*what))
			memcpy(text, b->names[*what - 'A'], SAID);
	}
	text_add(to, "%s", text);
}

/* A form with <…> filled in; ' stands for ". */
static inline struct text expand(const struct bench *b, const char *form, size_t n) {
	struct text text = {0};

	text_add(&text, "%s", "");
	for (const char *c = form; c < form + n; c++) {
		if (*c == '<') {
			expand_one(&text, b, c + 1);
			c = strchr(c, '>');
		} else {
			text_add(&text, "%c", *c == '\'' ? '"' : *c);
		}
	}
	return text;
}

/* ---- bends ---- */

static inline size_t draft_size(const struct draft *d) {
	size_t n = 1;

	for (size_t i = 0; i < d->n; i++)
		n += 1 + strlen(d->field[i].name) + 3 + d->field[i].value.n;
	return n;
}

/* One bend: `name=value` sets a field, `+name=value` adds one at the end, `-name` takes one away, `~name`
 * swaps it with the next. */
static inline void bend_once(struct draft *d, struct bench *b, const char *what, size_t n) {
	const char *equals = memchr(what, '=', n), *start = what + (strchr("+-~", *what) != NULL);
	char name[8] = "";
	struct text value;

	memcpy(name, start, (size_t)((equals ? equals : what + n) - start));
	if (*what == '-')
		draft_drop(d, draft_find(d, name));
	if (*what == '~')
		draft_swap(d, draft_find(d, name));
	if (!equals)
		return;
	b->size = draft_size(d);
	value = expand(b, equals + 1, (size_t)(what + n - equals - 1));
	if (*what == '+')
		draft_add(d, name, "%s", value.p);
	else
		draft_set(d, name, value.p);
	text_free(&value);
}

/* Bends, separated by "; ": those that start with `N:` are for the event with sn N, others for the last. */
static inline void bend(struct draft *d, struct bench *b, const char *bends, bool last) {
	while (bends && *bends) {
		const char *end = strstr(bends, "; ");
		size_t n = end ? (size_t)(end - bends) : strlen(bends);
		bool numbered = isdigit((unsigned char)bends[0]) && bends[1] == ':';

		if (numbered ? b->id.sn == (uint64_t)(bends[0] - '0') : last)
			bend_once(d, b, bends + 2 * numbered, n - 2 * numbered);
		bends += n + (end ? 2 : 0);
	}
}

/* ---- attachments ---- */

/* An item as written in attach. */
static inline void attach_item(
	struct bench *b, struct text *to, const struct text *body, char group, const char *word) {
	bool couple = group == 'C', big = *word == '2' || *word == '0';
	char code[3] = "", *end;
	unsigned round = b->id.round, number, index, ondex;
	struct span what = strchr(word, '!') ? span_str("another message") : text_span(body);
	size_t before = to->n;
	struct key key;

	memcpy(code, word, couple ? 0 : 1 + (size_t)big);
	number = (unsigned)strtoul(word + strlen(code), &end, 10);
	if (*end == ':') {
		round = number;
		number = (unsigned)strtoul(end + 1, &end, 10);
	}
	index = *end == '@' ? (unsigned)strtoul(end + 1, &end, 10) : number;
	ondex = *end == '.' ? (unsigned)strtoul(end + 1, &end, 10) : strcmp(code, "2B") == 0 ? 0 : index;
	key = group == 'A' ? key_of(b->id.name, round, number) : key_of("witness", 0, number);
	if (couple)
		add_couple(to, what, &key);
	else if (strcmp(code, "0B") == 0) {
		add_couple(to, what, &key);
		memmove(to->p + before, to->p + before + SAID - 1, to->n - before - (SAID - 1) + 1);
		to->n -= SAID - 1;
	} else {
		add_signature(to, what, &key, code, index, ondex);
	}
	if (*end == '^') /* the highest pad bit, behind code and index */
		to->p[before + 2] = (char)(to->p[before + 2] - 'A' + 'g');
	for (char *c = to->p + before; *end == '%' && *c; c++)
		*c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
}

/* Where words put what they say. */
struct attaching {
	struct text *out, frame;
	char code[4], group;
	int more; /* quadlets that a frame claims besides what it holds */
};

static inline void attach_word(
	struct bench *b, struct attaching *a, const struct text *body, const char *word) {
	struct text *to = a->code[0] ? &a->frame : a->out, raw;
	char digits[6];

	if (*word == '(') {
		a->more = atoi(word + strcspn(word, "V") + 1);
		snprintf(a->code, sizeof a->code, "-%.*s", (int)strcspn(word + 1, "V") + 1, word + 1);
	} else if (*word == ')') {
		number_text((unsigned)((int)a->frame.n / 4 + a->more), a->code[1] == 'V' ? 2 : 5, digits);
		text_add(a->out, "%s%s", a->code, digits);
		text_join(a->out, &a->frame);
		text_free(&a->frame);
		a->code[0] = 0;
	} else if (*word == '-') {
		a->group = word[1];
		add_counter(to, a->group, (unsigned)strtoul(word + 2, NULL, 10));
	} else if (*word == '=') {
		raw = expand(b, word + 1, strlen(word + 1));
		text_join(to, &raw);
		text_free(&raw);
	} else {
		attach_item(b, to, body, a->group, word);
	}
}

/* A message as its words say, which are separated by blanks. NULL: with all that it needs.
 * -XN    the counter of group X and N
 * A1     an indexed signature by key 1, in the code A; A1:2: by key 2 of round 1; 2A2@0.1: at index 0 with
 *        ondex 1; behind -B by that witness; behind -C a couple, without a code: `1`
 *        and at its end: ! it signs something else, ^ a pad bit is set, % in the other base64
 * (V )   a frame around the words in it, (0V and (-V a big one; (V+1: it claims a quadlet more
 * =TEXT  just that
 * body   the body stands here, and not first; rct: a receipt message of it, which has what follows */
static inline void attach(struct bench *b, const struct text *body, const char *words) {
	struct attaching a = {.out = &b->stream};
	bool placed = words && strstr(words, "body");

	if (!placed) {
		b->bent = b->bodies++;
		text_join(&b->stream, body);
	}
	if (!words)
		add_attachments(&b->stream, &b->id, text_span(body));
	while (words && *words) {
		size_t n = strcspn(words, " ");
		char word[256] = "";

		memcpy(word, words, n);
		words += n + (words[n] == ' ');
		if (strcmp(word, "body") == 0) {
			b->bent = b->bodies++;
			text_join(&b->stream, body);
		} else if (strcmp(word, "rct") == 0) {
			b->bodies++;
			add_rct(&b->stream, b->id.aid, b->id.sn - 1, b->id.said);
		} else {
			attach_word(b, &a, body, word);
		}
	}
}

/* ---- events ---- */

/* The body of the next event, i, x or r: inception, interaction or rotation. */
static inline struct text bench_body(struct bench *b, char letter, const char *bends, bool last) {
	struct draft d = letter == 'i'	 ? draft_icp(&b->id)
			 : letter == 'r' ? draft_rot(&b->id)
					 : draft_ixn(&b->id, "[]");
	uint64_t sn = b->id.sn;
	struct text body;

	b->at[sn] = b->id;
	bend(&d, b, bends, last);
	body = id_state(&b->id, d);
	memcpy(b->saids[sn], b->id.said, SAID);
	b->last = b->stream.n;
	return body;
}

static inline void bench_event(
	struct bench *b, char letter, const char *bends, const char *words, bool last) {
	struct text body = bench_body(b, letter, bends, last);

	attach(b, &body, last ? words : NULL);
	text_free(&body);
	if (!last)
		b->standing = b->id;
}

/* States the events of a script, one letter each; = says the last message again, /N goes back to before
 * sn N. The last event is bent and signed as said. */
static inline void bench_play(struct bench *b, const char *script, const char *bends, const char *words) {
	for (const char *c = script; *c; c++) {
		if (*c == '=') {
			text_room(&b->stream, b->stream.n);
			text_bytes(&b->stream, b->stream.p + b->last, b->stream.n - b->last);
			b->standing = b->id;
			b->bodies++;
		} else if (*c == '/') {
			b->id = b->at[*++c - '0'];
		} else {
			bench_event(b, *c, bends, words, c[1] == 0);
		}
	}
}

/* ---- reading ---- */

struct bench_result {
	struct book book;
	size_t n;
	struct verdict verdict; /* the last one */
};

static inline void bench_note(void *ctx, const struct verdict *verdict) {
	struct bench_result *r = ctx;

	r->verdict = *verdict;
	r->n++;
}

/* The stream is gone as soon as it was read. */
static inline void bench_read(struct bench_result *r, const struct text *stream) {
	struct span exact = bytes_copy(stream->p, stream->n);

	*r = (struct bench_result){.book = {.keep = true, .report = bench_note, .ctx = r}};
	book_read(&r->book, exact);
	bytes_free(exact);
	book_finish(&r->book);
}

/* These print what is not as expected, and return false. */
static inline bool is_state(const struct bench_result *r, const char *rule, const struct id *id) {
	const struct kel *kel = book_kel(&r->book, id->aid);
	char said[CESR_TEXT] = "";
	uint64_t count = kel ? kel->count : 0;

	if (kel)
		kel_said(kel, count - 1, said);
	if (count == id->sn && strcmp(said, id->sn ? id->said : "") == 0)
		return true;
	print_error("%s: %d events accepted, not %d; the last is %s\n", rule, (int)count, (int)id->sn, said);
	return false;
}

/* verdict: GOOD, AGAIN, or the kind of the only verdict, which is on body number `event`, and in whose
 * reason this stands. */
static inline bool is_verdict(
	const struct bench_result *r, const char *rule, int verdict, uint64_t event, const char *reason) {
	const struct verdict *v = &r->verdict;

	if (verdict < 0 ? r->n == 0
			: r->n == 1 && (int)v->kind == verdict && v->event == event &&
				  strstr(v->reason, reason))
		return true;
	print_error("%s: %zu verdicts; kind %d on event %d: \"%s\", not %d on %d: \"%s\"\n", rule, r->n,
		(int)v->kind, (int)v->event, v->reason, verdict, (int)event, reason);
	return false;
}

#endif
