/* test_shared_map.c: the one mapping of a process: who may use it, and when it goes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nss_module.h"

#include "../../nss_verimesh/shared_map.c"

/* What a use of the map has seen. */
struct look {
	const uint8_t *base;
	unsigned times;
	bool found;
	void (*then)(void); /* what happens meanwhile */
};

static void see(const struct map *map, void *ctx) {
	struct look *look = ctx;
	struct map_card card;

	look->base = map->base;
	look->times++;
	look->found = map_card(map, MAP_NAME, span_str(DB1_B), 0, &card);
	if (look->then)
		look->then();
	/* what is used stays where it is */
	look->found = look->found == map_card(map, MAP_NAME, span_str(DB1_B), 0, &card) && look->found;
}

static struct look use(void (*then)(void)) {
	struct look look = {.then = then};

	shared_map_use(see, &look);
	return look;
}

static bool finds(void) {
	struct look look = use(NULL);

	return look.times == 1 && look.found;
}

static void assert_mapped(size_t all, size_t gone) {
	assert_int_equal(mapped(false), all);
	assert_int_equal(mapped(true), gone);
}

static void used_again(void) {
	const uint8_t *base = shared.base;
	struct look inner = use(NULL);

	assert_ptr_equal(inner.base, base);
	assert_true(inner.found);
	assert_mapped(1, 0);
}

static void users_share_it(void **unused) {
	struct look outer;

	(void)unused;
	need_private_state();
	build_map();
	outer = use(used_again);
	assert_true(outer.times == 1 && outer.found);
	assert_int_equal(state, LIVE);
	assert_mapped(1, 0);
}

static void replaced_while_in_use(void) {
	struct look inner;

	sample.roster.nhosts = 1;
	build_map();
	assert_mapped(1, 1);
	inner = use(NULL); /* which has db1 of clinic-b no more */
	assert_true(inner.times == 1 && !inner.found && inner.base != shared.base);
	assert_mapped(1, 1);
}

static void a_replaced_one_goes_with_its_last_user(void **unused) {
	struct look outer;

	(void)unused;
	need_private_state();
	outer = use(replaced_while_in_use);
	assert_true(outer.times == 1 && outer.found);
	assert_mapped(0, 0);
	assert_int_equal(state, 0);
	assert_true(use(NULL).times == 1);
	assert_mapped(1, 0);
	restore_map();
	assert_true(finds());
	assert_mapped(1, 0);
}

static void removed_while_in_use(void) {
	remove_map();
	assert_int_equal(use(NULL).times, 0);
	assert_mapped(1, 1);
}

static void without_another_there_is_none(void **unused) {
	(void)unused;
	need_private_state();
	assert_true(use(removed_while_in_use).found);
	assert_mapped(0, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(use(NULL).times, 0);
	assert_int_equal(state, 0);
	build_map();
	assert_true(finds());
}

/* A process forks with a thread in here that the child does not have, and that never leaves. */
static void forks_while_in_use(void) {
	pid_t child = fork();
	int status;

	if (child == 0) {
		bool good = finds() && mapped(false) == 1;

		for (int i = 0; good && i < 10; i++) {
			if (i % 2)
				build_map();
			good = finds() && mapped(false) == 1;
		}
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_child_of_a_process_in_here_waits_for_nobody(void **unused) {
	(void)unused;
	need_private_state();
	assert_true(use(forks_while_in_use).found);
	assert_true(finds());
	assert_mapped(1, 0);
}

/* Likewise while that thread opens or closes the map. */
static void who_finds_it_busy_maps_for_himself(void **unused) {
	(void)unused;
	need_private_state();
	remove_map();
	assert_int_equal(use(NULL).times, 0);
	build_map();
	state = BUSY;
	for (int i = 0; i < 3; i++) {
		assert_true(finds());
		assert_mapped(0, 0);
		build_map();
	}
	remove_map();
	assert_int_equal(use(NULL).times, 0);
	assert_int_equal(state, BUSY);
	state = 0;
	build_map();
	assert_true(finds());
	assert_mapped(1, 0);
}

static int set_up(void **unused) {
	(void)unused;
	sample_init(&sample);
	private_state = private_state_enter();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_share_it),
		cmocka_unit_test(a_replaced_one_goes_with_its_last_user),
		cmocka_unit_test(without_another_there_is_none),
		cmocka_unit_test(a_child_of_a_process_in_here_waits_for_nobody),
		cmocka_unit_test(who_finds_it_busy_maps_for_himself),
	};

	return cmocka_run_group_tests_name("shared map", tests, set_up, NULL);
}
