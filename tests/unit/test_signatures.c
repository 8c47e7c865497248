/* test_signatures.c: a crew of threads gives the answers that one check after the other gives. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sodium.h>
#include <cmocka.h>

#include "builder.h"
#include "bytes.h"
#include "chance.h"
#include "signatures.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int start(void **state) {
	(void)state;
	return sodium_init() < 0;
}

/* ---- signatures of every kind ---- */

enum kind { GOOD, OTHER_KEY, OTHER_BODY, BENT_KEY, BENT_SIGNATURE, NO_POINT, KINDS };

struct sample {
	uint8_t key[CESR_RAW], raw[CESR_SIG_RAW];
	struct span body;
	bool good;
};

#define SAMPLES 48 /* two good ones for each bad one */

static void bend(uint8_t *bytes, size_t n, struct chance *chance) {
	bytes[chance_below(chance, n)] ^= (uint8_t)(1 << chance_below(chance, 8));
}

static struct sample make_sample(enum kind kind, unsigned number, struct chance *chance) {
	struct key key = key_of("signer", 0, number), other = key_of("signer", 1, number);
	uint8_t bytes[300];
	struct sample s = {.good = kind == GOOD};

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)chance_below(chance, 256);
	s.body = bytes_copy(bytes, chance_below(chance, sizeof bytes));
	memcpy(s.key, kind == OTHER_KEY ? other.pub : key.pub, sizeof s.key);
	crypto_sign_detached(s.raw, NULL, kind == OTHER_BODY ? bytes + 1 : s.body.p,
		kind == OTHER_BODY ? sizeof bytes - 1 : s.body.n, key.secret);
	if (kind == BENT_KEY)
		bend(s.key, sizeof s.key, chance);
	else if (kind == BENT_SIGNATURE)
		bend(s.raw, sizeof s.raw, chance);
	else if (kind == NO_POINT)
		memset(s.raw, 0xff, 32);
	assert_true(signature_good(NULL, s.raw, s.body, s.key) == s.good);
	return s;
}

static void make_samples(struct sample samples[static SAMPLES], struct chance *chance) {
	for (unsigned i = 0; i < SAMPLES; i++)
		samples[i] = make_sample(i % 3 ? GOOD : (enum kind)(i / 3 % KINDS), i, chance);
}

static void free_samples(struct sample samples[static SAMPLES]) {
	for (size_t i = 0; i < SAMPLES; i++)
		bytes_free(samples[i].body);
}

/* ---- crews ---- */

/* Has a crew check n of the samples, drawn by chance. Returns how many threads helped. */
static size_t check_many(struct crew *crew, const struct sample *samples, size_t n, struct chance *chance) {
	const struct sample *drawn[CREW_MAX];
	struct signatures known = {.list = crew->list, .n = n};

	crew_begin(crew);
	for (size_t i = 0; i < n; i++) {
		drawn[i] = &samples[chance_below(chance, SAMPLES)];
		crew_add(crew, drawn[i]->raw, drawn[i]->body, drawn[i]->key);
	}
	crew_end(crew);
	assert_int_equal(crew->n, n);
	for (size_t i = 0; i < n; i++) {
		const struct sample *s = drawn[i];

		if (crew->list[i].good != s->good)
			fail_msg("number %zu of %zu: %s", i, n, s->good ? "refused" : "taken");
		assert_true(signature_good(&known, s->raw, s->body, s->key) == s->good);
	}
	return crew->threads;
}

/* Few, many, all, and some numbers between. */
static void check_all_numbers(struct crew *crew, const struct sample *samples, size_t threads) {
	static const size_t numbers[] = {0, 1, 2, 7, 8, 9, 16, CREW_MAX - 1, CREW_MAX};
	struct chance chance = chance_begin();

	for (size_t i = 0; i < COUNT(numbers) + 5; i++) {
		size_t n = i < COUNT(numbers) ? numbers[i] : chance_below(&chance, CREW_MAX);
		size_t helped = check_many(crew, samples, n, &chance);

		/* a few are not worth a thread */
		assert_int_equal(helped, n < 8 ? 0 : threads);
	}
}

static void a_crew_gives_the_same_answers(void **state) {
	struct crew *crew = calloc(1, sizeof *crew);
	struct chance chance = chance_begin();
	struct sample samples[SAMPLES];
	cpu_set_t all, one;
	size_t cores, first = 0;

	(void)state;
	assert_non_null(crew);
	make_samples(samples, &chance);
	assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
	cores = (size_t)CPU_COUNT(&all);
	if (cores == 1)
		print_message("one core: nothing is shared with a thread here\n");
	check_all_numbers(crew, samples, cores > 16 ? 15 : cores - 1);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	check_all_numbers(crew, samples, 0);
	assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
	free_samples(samples);
	free(crew);
}

static void a_crew_that_gets_no_threads_works_alone(void **state) {
	struct crew *crew = calloc(1, sizeof *crew);
	struct chance chance = chance_begin();
	struct sample samples[SAMPLES];
	pthread_attr_t before, huge;

	(void)state;
	assert_non_null(crew);
	make_samples(samples, &chance);
	assert_int_equal(pthread_getattr_default_np(&before), 0);
	assert_int_equal(pthread_attr_init(&huge), 0);
	assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
	assert_int_equal(pthread_setattr_default_np(&huge), 0);
	assert_int_equal(check_many(crew, samples, CREW_MAX, &chance), 0);
	assert_int_equal(pthread_setattr_default_np(&before), 0);
	pthread_attr_destroy(&before);
	pthread_attr_destroy(&huge);
	free_samples(samples);
	free(crew);
}

/* Threads of this process; one that was joined may be listed for a moment yet. */
static size_t threads_now(void) {
	DIR *dir = opendir("/proc/self/task");
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* In pages. */
static unsigned long address_space(void) {
	FILE *f = fopen("/proc/self/statm", "r");
	char line[256], *end;
	unsigned long pages;

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	pages = strtoul(line, &end, 10);
	assert_true(end > line);
	return pages;
}

#define ROUNDS 100

static void nothing_is_left_of_many_rounds(void **state) {
	struct crew *crew = calloc(1, sizeof *crew);
	struct chance chance = chance_begin();
	struct sample samples[SAMPLES];
	size_t threads = threads_now();
	unsigned long pages = 0;

	(void)state;
	assert_non_null(crew);
	make_samples(samples, &chance);
	for (int round = 0; round < ROUNDS; round++) {
		check_many(crew, samples, chance_below(&chance, 24), &chance);
		if (round == ROUNDS / 10)
			pages = address_space();
	}
	for (int i = 0; i < 1000 && threads_now() > threads; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_int_equal(threads_now(), threads);
	/* a thread that nobody joined keeps its stack, of 8 MiB as a rule */
	assert_in_range(address_space(), 0, pages + (256UL << 20) / 4096);
	free_samples(samples);
	free(crew);
}

/* ---- what was checked ahead ---- */

/* Known is the wrong answer, so that it shows where an answer comes from. */
static void only_the_very_same_is_looked_up(void **state) {
	struct key key = key_of("signer", 0, 0), other = key_of("signer", 0, 1);
	struct signature list[2] = {{.good = true}, {.good = false}}, asked;
	struct signatures known = {.list = list, .n = 2};
	struct span body = bytes_copy("what is signed", 14), same = bytes_copy("what is signed", 14);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		list[i].body = body;
		memcpy(list[i].key, i ? key.pub : other.pub, CESR_RAW);
		crypto_sign_detached(list[i].raw, NULL, body.p, body.n, key.secret);
	}
	assert_true(signature_good(&known, list[0].raw, body, list[0].key));
	assert_false(signature_good(&known, list[1].raw, body, list[1].key));
	/* not at another place, not a part of it, not when it is not listed */
	assert_false(signature_good(&known, list[0].raw, same, list[0].key));
	assert_true(signature_good(&known, list[1].raw, same, list[1].key));
	assert_false(signature_good(&known, list[0].raw, span_cut(body, 0, 13), list[0].key));
	assert_false(signature_good(&known, list[0].raw, span_from(body, 1), list[0].key));
	known.n = 0;
	assert_false(signature_good(&known, list[0].raw, body, list[0].key));
	assert_false(signature_good(NULL, list[0].raw, body, list[0].key));
	known.n = 1;
	assert_true(signature_good(&known, list[1].raw, body, list[1].key));
	/* no byte of key and signature may be another one */
	for (size_t i = 0; i < CESR_RAW + CESR_SIG_RAW; i++) {
		asked = list[0];
		*(i < CESR_RAW ? &asked.key[i] : &asked.raw[i - CESR_RAW]) ^= 0x10;
		assert_false(signature_good(&known, asked.raw, body, asked.key));
	}
	bytes_free(body);
	bytes_free(same);
}

static void what_is_trusted_is_good(void **state) {
	struct signatures known = {.trusted = true};
	uint8_t key[CESR_RAW] = {0}, raw[CESR_SIG_RAW] = {0};

	(void)state;
	assert_true(signature_good(&known, raw, span_str("anything"), key));
	known.trusted = false;
	assert_false(signature_good(&known, raw, span_str("anything"), key));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crew_gives_the_same_answers),
		cmocka_unit_test(a_crew_that_gets_no_threads_works_alone),
		cmocka_unit_test(nothing_is_left_of_many_rounds),
		cmocka_unit_test(only_the_very_same_is_looked_up),
		cmocka_unit_test(what_is_trusted_is_good),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
