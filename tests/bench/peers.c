/* peers.c: writes the streams of many organisations of one host each, for the benches. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "card_builder.h"

/* Organisation number n issues its host's card, or a later one. */
static void add_card_of(struct text *stream, struct id *org, unsigned n, unsigned later) {
	uint8_t key[WG_KEY_BYTES] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)later, 1};
	char text[SAID], attributes[256], said[SAID];

	snprintf(attributes, sizeof attributes,
		"\"host\":\"h\",\"key\":\"%s\",\"addr\":[\"10.%u.%u.1\"],\"endpoint\":\"198.18.%u.%u:"
		"51820\"",
		cesr_encode(CESR_X25519, key, text), n >> 8 & 255, n & 255, n >> 8 & 255, n & 255);
	issue_card(stream, org, attributes, said);
}

static bool write_stream(const struct text *stream, const char *dir, unsigned n, const char *suffix) {
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof path, "%s/%u%s", dir, n, suffix);
	out = fopen(path, "we");
	return out && fwrite(stream->p, 1, stream->n, out) == stream->n && fclose(out) == 0;
}

/* usage: peers NUMBER DIRECTORY    DIRECTORY/N is the stream of number N, from 0 on, and N.later what number
 * 0 shows later. Prints the identifiers. */
int main(int argc, char **argv) {
	unsigned number = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	bool good = true;

	for (unsigned n = 0; good && n < number; n++) {
		struct text stream = {0};
		struct id org = {0};
		char name[16];

		snprintf(name, sizeof name, "org%u", n);
		org.name = name;
		incept(&stream, &org, "");
		add_card_of(&stream, &org, n, 0);
		puts(org.aid);
		good = write_stream(&stream, argv[2], n, "");
		if (good && n == 0) {
			add_card_of(&stream, &org, n, 1);
			good = write_stream(&stream, argv[2], n, ".later");
		}
		text_free(&stream);
	}
	return good && fflush(stdout) == 0 ? 0 : 1;
}
