/* fuzz_card.c: fuzzes how tunnel cards are read, and the values in them. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>

#include "card.h"
#include "fuzz.h"
#include "mend.h"

static void check_time(int64_t micros) {
	char text[TIME_TEXT];
	int64_t back;

	if (micros < 0 || micros == NEVER)
		return;
	assert(time_parse(span_str(time_format(micros, text)), &back));
	assert(back == micros);
}

static void check_good(const struct card *card) {
	struct span rest = card->addrs, text;
	char said[CESR_TEXT];
	struct addr addr;
	uint16_t port;

	assert(card_check_said(card->body, said, NULL) && span_is(card->said, said));
	assert(label_valid(card->host));
	assert(!card->endpoint.p || endpoint_parse(card->endpoint, &addr, &port));
	check_time(card->from);
	check_time(card->until);
	while (event_next_text(&rest, &text))
		assert(addr_parse_canonical(text, &addr));
	rest = card->logins;
	while (event_next_text(&rest, &text))
		assert(login_valid(text));
	addr = derived_addr(said, card->host);
	assert(addr.bytes[0] == 0xfd);
}

static void check_body(struct span body) {
	struct err err = {0};
	struct card card;

	if (card_parse(body, &card, &err))
		check_good(&card);
	else
		assert(err.text[0]);
}

/* The last ACDC of a stream, or all of it. */
static struct span find_card(struct span stream) {
	struct span found = stream;
	struct cesr_message msg;

	while (cesr_message(&stream, &msg, NULL) == CESR_ITEM)
		if (msg.acdc)
			found = msg.body;
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span all = span_of(data, size), body = find_card(all);
	uint8_t *copy = malloc(body.n + 1);
	struct addr addr;
	uint16_t port;
	int64_t micros;

	assert(copy);
	check_body(body);
	memcpy(copy, body.p, body.n);
	mend_body(copy, body.n);
	check_body(span_of(copy, body.n));
	free(copy);
	if (time_parse(all, &micros))
		check_time(micros);
	if (endpoint_parse(all, &addr, &port))
		assert(port > 0);
	return 0;
}
