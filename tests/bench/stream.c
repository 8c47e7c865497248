/* stream.c: writes the stream of an organisation with many hosts, for the benches. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "card_builder.h"

#define EVENT_CARDS 100 /* that one event anchors */

/* Host number n: a key of its own, an address, an endpoint. */
static void add_host(struct text *cards, const struct id *org, unsigned n, char said[static SAID]) {
	uint8_t key[WG_KEY_BYTES] = {(uint8_t)n, (uint8_t)(n >> 8), 1};
	char text[SAID], attributes[256];

	snprintf(attributes, sizeof attributes,
		"\"host\":\"h%u\",\"key\":\"%s\",\"addr\":[\"10.%u.%u.%u\"],\"endpoint\":\"198.18.%u.%u:"
		"51820\"",
		n, cesr_encode(CESR_X25519, key, text), 1 + (n >> 16), n >> 8 & 255, n & 255, n >> 8 & 255,
		n & 255);
	add_card(cards, org, NULL, attributes, said);
}

/* usage: stream HOSTS */
int main(int argc, char **argv) {
	unsigned hosts = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	struct id org = {.name = "bench"};
	struct text stream = {0};

	incept(&stream, &org, "");
	for (unsigned n = 0; n < hosts;) {
		struct text cards = {0}, seals = {0};
		char said[SAID], seal[SEAL];

		for (unsigned i = 0; i < EVENT_CARDS && n < hosts; i++, n++) {
			add_host(&cards, &org, n, said);
			text_add(&seals, "%s%s", i ? "," : "", anchor_seal(said, seal));
		}
		interact(&stream, &org, seals.p);
		text_join(&stream, &cards);
		text_free(&cards);
		text_free(&seals);
	}
	fwrite(stream.p, 1, stream.n, stdout);
	fprintf(stderr, "%s\n", org.aid);
	text_free(&stream);
	return fflush(stdout) == 0 ? 0 : 1;
}
