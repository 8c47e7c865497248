/* signatures.c: checks signatures ahead of their turn; see signatures.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sched.h>
#include <sodium.h>
#include <string.h>

#include "signatures.h"

/* A thread costs about as much as one signature: fewer than these are not worth one. */
#define WORTH_A_THREAD 8

static bool is_good(
	const uint8_t raw[static CESR_SIG_RAW], struct span body, const uint8_t key[static CESR_RAW]) {
	return crypto_sign_verify_detached(raw, body.p, body.n, key) == 0;
}

bool signature_good(const struct signatures *known, const uint8_t raw[static CESR_SIG_RAW], struct span body,
	const uint8_t key[static CESR_RAW]) {
	if (known && known->trusted)
		return true;
	for (size_t i = 0; known && i < known->n; i++) {
		const struct signature *s = &known->list[i];

		if (s->body.p == body.p && s->body.n == body.n && memcmp(s->raw, raw, CESR_SIG_RAW) == 0 &&
			memcmp(s->key, key, CESR_RAW) == 0)
			return s->good;
	}
	return is_good(raw, body, key);
}

/* The next one that nobody has begun; NULL when there is none, and none will come. */
static struct signature *take(struct crew *crew) {
	struct signature *found = NULL;

	pthread_mutex_lock(&crew->lock);
	while (crew->begun == crew->n && !crew->complete)
		pthread_cond_wait(&crew->more, &crew->lock);
	if (crew->begun < crew->n)
		found = &crew->list[crew->begun++];
	pthread_mutex_unlock(&crew->lock);
	return found;
}

static void *work(void *arg) {
	struct signature *s;

	while ((s = take(arg)))
		s->good = is_good(s->raw, s->body, s->key);
	return NULL;
}

/* One thread less than there are cores for this process; the caller works, too. */
static void start_helpers(struct crew *crew) {
	size_t room = sizeof crew->helpers / sizeof crew->helpers[0];

	for (int more = crew->cores - 1; more > 0 && crew->threads < room; more--)
		if (pthread_create(&crew->helpers[crew->threads], NULL, work, crew) == 0)
			crew->threads++;
}

void crew_begin(struct crew *crew) {
	cpu_set_t cores;

	crew->cores = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
	crew->n = crew->begun = crew->threads = 0;
	crew->complete = false;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->more, NULL);
}

void crew_add(struct crew *crew, const uint8_t raw[static CESR_SIG_RAW], struct span body,
	const uint8_t key[static CESR_RAW]) {
	struct signature *s;

	pthread_mutex_lock(&crew->lock);
	s = &crew->list[crew->n++];
	s->body = body;
	memcpy(s->raw, raw, CESR_SIG_RAW);
	memcpy(s->key, key, CESR_RAW);
	pthread_cond_signal(&crew->more);
	pthread_mutex_unlock(&crew->lock);
	if (crew->n == WORTH_A_THREAD)
		start_helpers(crew);
}

void crew_end(struct crew *crew) {
	pthread_mutex_lock(&crew->lock);
	crew->complete = true;
	pthread_cond_broadcast(&crew->more);
	pthread_mutex_unlock(&crew->lock);
	work(crew);
	for (size_t i = 0; i < crew->threads; i++)
		pthread_join(crew->helpers[i], NULL);
	pthread_mutex_destroy(&crew->lock);
	pthread_cond_destroy(&crew->more);
}
