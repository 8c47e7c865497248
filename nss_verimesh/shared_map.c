/* shared_map.c: the map, mapped once for all threads of a process; see shared_map.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdatomic.h>

#include "paths.h"
#include "shared_map.h"

#define LIVE (1U << 31) /* it is open to further users */
#define BUSY (LIVE - 1) /* one thread is opening or closing it */

static struct map shared;
static _Atomic uint32_t state; /* 0: not mapped; BUSY; or how many use it, and LIVE or not */

static bool enter(void) {
	uint32_t seen = state;

	while (seen & LIVE)
		if (atomic_compare_exchange_weak(&state, &seen, seen + 1))
			return true;
	return false;
}

/* With retire nobody may enter any more. The last one out closes what is not LIVE. */
static void leave(bool retire) {
	uint32_t seen = state, rest;

	do
		rest = (seen - 1) & (retire ? BUSY : LIVE | BUSY);
	while (!atomic_compare_exchange_weak(&state, &seen, rest ? rest : BUSY));
	if (rest == 0) {
		map_close(&shared);
		state = 0;
	}
}

/* A thread cancelled meanwhile would leave a descriptor or a mapping behind. */
static bool open_map(struct map *map) {
	bool good;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	good = map_open(map, PATH_MAP) == 0;
	pthread_setcancelstate(cancel, &cancel);
	return good;
}

void shared_map_use(shared_map_user *use, void *ctx) {
	bool inside = enter();
	uint32_t held = 0; /* what the state was instead */
	struct map own;

	if (inside && map_superseded(&shared)) {
		leave(true);
		inside = false;
	}
	if (!inside && atomic_compare_exchange_strong(&state, &held, BUSY)) {
		inside = open_map(&shared);
		state = inside ? LIVE + 1 : 0;
	}
	if (inside) {
		use(&shared, ctx);
		leave(false);
	} else if (held && open_map(&own)) {
		use(&own, ctx);
		map_close(&own);
	}
}
