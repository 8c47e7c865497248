/* fuzz_map.c: fuzzes what lookups do with a map file, whatever its bytes are. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>

#include "fuzz.h"
#include "map.h"

/* Reads every byte that an answer points to. */
static void touch(struct span bytes) {
	for (size_t i = 0; i < bytes.n; i++)
		(void)*(const volatile uint8_t *)&bytes.p[i];
}

static void touch_card(bool found, const struct map_card *card) {
	const struct span parts[] = {card->name, card->alias, card->aid, card->said, card->v4, card->v6};
	struct span logins = card->logins, login, account;

	if (!found)
		return;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		touch(parts[i]);
	while (map_login_next(&logins, &login, &account)) {
		touch(login);
		touch(account);
	}
}

static void look_for_accounts(const struct map *map) {
	static const enum map_type types[] = {MAP_USER, MAP_GROUP, MAP_USERS, MAP_GROUPS};
	static const char *const names[] = {"carol@clinic-b", "clinic-b"};
	struct map_account account;
	uint32_t place;
	bool found;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		place = 0;
		found = i < 2 ? map_account(map, types[i], span_str(names[i]), 0, &account)
			      : map_account_next(map, types[i], 0, &place, &account);
		for (size_t k = 0; found && k < MAP_TEXTS; k++)
			touch(account.texts[k]);
	}
}

/* As map_open gives it, but for the mapping: memory of just this size, so that a read past its end
 * shows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const names[] = {"db1.clinic-b.mesh.internal", "OLD.clinic-b.mesh.internal.", ""};
	static const char *const addrs[] = {"10.77.2.5", "fd77:2::5"};
	struct map map = {data, size};
	struct map_header header;
	struct map_card card;
	struct addr addr;

	if (!map_header(&map, &header))
		return 0;
	touch(header.interface);
	touch(header.domain);
	touch(header.prefixes);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		map_in_domain(&map, span_str(names[i]));
		touch_card(map_card(&map, MAP_NAME, span_str(names[i]), 0, &card), &card);
	}
	for (size_t i = 0; i < sizeof addrs / sizeof addrs[0]; i++) {
		assert(addr_parse(span_str(addrs[i]), &addr));
		map_in_mesh(&map, &addr);
		touch_card(map_card(&map, MAP_ADDR, addr_span(&addr), 0, &card), &card);
	}
	look_for_accounts(&map);
	if (size >= WG_KEY_BYTES)
		touch_card(
			map_card(&map, MAP_KEY, span_of(data + size - WG_KEY_BYTES, WG_KEY_BYTES), 0, &card),
			&card);
	return 0;
}
