/* seeds.c: writes first inputs for the fuzzers that tests/vectors has none for, or none that mend.h
 * can sign: `seeds DIR` fills DIR/verify, DIR/map, DIR/policy and DIR/ledger, which are there. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <unistd.h>

#include "builder.h"
#include "file.h"
#include "map_build.h"
#include "map_sample.h"

static void write_seed(const char *name, struct text *seed) {
	struct err err;

	if (!file_replace(name, text_span(seed), 0644, &err)) {
		fprintf(stderr, "seeds: %s\n", err.text);
		exit(3);
	}
	text_free(seed);
}

static void plain(void) {
	struct id id = {.name = "one"}, fork;
	struct text stream = {0};

	say(&stream, &id, draft_icp(&id));
	say(&stream, &id, draft_ixn(&id, "[{\"d\":\"EK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi\"}]"));
	say(&stream, &id, draft_rot(&id));
	fork = id;
	say(&stream, &fork, draft_ixn(&fork, "[]"));
	say(&stream, &id, draft_rot(&id)); /* supersedes it */
	say(&stream, &id, draft_ixn(&id, "[]"));
	write_seed("verify/plain", &stream);
}

static void weighted(void) {
	struct id id = {.name = "two",
		.nkeys = 3,
		.kt = "[\"1/2\",\"1/2\",\"1/2\"]",
		.nt = "[[\"1/2\",\"1/2\",\"1/3\"]]"};
	struct text stream = {0};

	say(&stream, &id, draft_icp(&id));
	say(&stream, &id, draft_rot(&id));
	write_seed("verify/weighted", &stream);
}

/* Receipts in messages of their own, before and behind. */
static void witnessed(void) {
	struct id id = {.name = "one", .nwitnesses = 3, .bt = "\"2\""};
	struct text stream = {0}, body = id_state(&id, draft_icp(&id));
	struct key witness = key_of("witness", 0, 1);

	add_rct(&stream, id.aid, 0, id.said);
	add_counter(&stream, 'C', 1);
	add_couple(&stream, text_span(&body), &witness);
	text_join(&stream, &body);
	add_signatures(&stream, &id, text_span(&body));
	add_rct(&stream, id.aid, 0, id.said);
	add_receipts(&stream, text_span(&body), 0, 1);
	say(&stream, &id, draft_rot(&id));
	text_free(&body);
	write_seed("verify/witnessed", &stream);
}

static void delegated(void) {
	struct id boss = {.name = "boss"}, del = {.name = "del", .delegator = &boss};
	struct text stream = {0}, messages = {0};

	say(&stream, &boss, draft_icp(&boss));
	say_delegated(&stream, &messages, &boss, &del, draft_icp(&del));
	say_delegated(&stream, &messages, &boss, &del, draft_rot(&del));
	say(&messages, &del, draft_ixn(&del, "[]"));
	text_join(&stream, &messages);
	text_free(&messages);
	write_seed("verify/delegated", &stream);
}

/* A card, and the next one in its place from some time on. */
static void carded(void) {
	struct id id = {.name = "one"};
	struct text stream = {0}, seals = {0};
	char said[2][SAID], *logins[] = {"alice", "bob", NULL}, *addrs[] = {"10.77.2.5", NULL};
	struct card card;
	struct err err;

	say(&stream, &id, draft_icp(&id));
	for (int i = 0; i < 2; i++) {
		struct key key = key_of("tunnel", 0, (unsigned)i);
		struct card_content content = {.issuer = id.aid,
			.host = "db1",
			.key = key.pub,
			.issued = 1000000,
			.from = i ? 2000000 : 0,
			.until = NEVER,
			.addrs = addrs,
			.logins = logins,
			.endpoint = "198.51.100.7:51820"};
		uint8_t *body;
		size_t n;

		if (!card_write(&content, &body, &n, &err) || !card_parse(span_of(body, n), &card, &err))
			abort();
		span_copy(card.said, said[i], SAID);
		text_bytes(&stream, body, n);
		free(body);
	}
	text_add(&seals, "[{\"d\":\"%s\"},{\"i\":\"%s\",\"s\":\"1\",\"d\":\"%s\"}]", said[0], said[0],
		said[1]);
	say(&stream, &id, draft_ixn(&id, seals.p));
	text_free(&seals);
	write_seed("verify/carded", &stream);
}

static void others(void) {
	struct text policy = {0}, ledger = {0};
	struct sample sample;
	struct err err;

	sample_init(&sample);
	if (!map_build(&sample.roster, "map/sample", &err)) {
		fprintf(stderr, "seeds: %s\n", err.text);
		exit(3);
	}
	text_add(&policy,
		"[Interface]\nName = vm0\nSelf = a\nHost = db1\nDomain = mesh.internal\nListenPort = 51820\n"
		"Adopt = no\nFetchEvery = 5m\nMaxAge = 24h\nIdRange = 1879048192-2130706431\n"
		"Home = /home/%%u@%%p\nShell = /bin/bash\n[Peer b] # one\nAID = " SAMPLE_AID_B "\n"
		"Logins = alice bob=rsmith\nAllowedIPs = 10.77.2.0/24, fd77::/33\nAccounts = yes\n"
		"Source = https://b.example/oobi\nSource = file:/b\nUid.alice = 1900000000\nGid = 5000\n");
	write_seed("policy/sample", &policy);
	text_add(&ledger, "uid " SAMPLE_AID_A " alice 1900000000\ngid " SAMPLE_AID_A " - 5000\n"
			  "key " SAMPLE_AID_B " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 1700000000\n");
	write_seed("ledger/sample", &ledger);
}

int main(int argc, char **argv) {
	if (argc != 2 || chdir(argv[1]) != 0 || sodium_init() < 0) {
		fputs("usage: seeds DIR\n", stderr);
		return 2;
	}
	plain();
	weighted();
	witnessed();
	delegated();
	carded();
	others();
	return 0;
}
