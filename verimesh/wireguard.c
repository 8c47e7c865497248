/* wireguard.c: reads the mesh interface and sets what differs: key, port, peers; see wireguard.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "identity.h"
#include "paths.h"
#include "run.h"
#include "verimesh.h"
#include "wireguard.h"

#define KEEPALIVE 25 /* seconds (DESIGN.md 6) */
#define SESSION 180  /* seconds after a handshake for which a session can live */

static int worse(int a, int b) {
	return a > b ? a : b;
}

/* Peers, notes and what is wanted start with the key, by which they are sorted. */
static int compare_keys(const void *a, const void *b) {
	return memcmp(a, b, WG_KEY_BYTES);
}

static void *find(const uint8_t key[static WG_KEY_BYTES], const void *list, size_t n, size_t size) {
	return n ? bsearch(key, list, n, size, compare_keys) : NULL;
}

const struct wireguard_peer *wireguard_find(
	const struct wireguard *wireguard, const uint8_t key[static WG_KEY_BYTES]) {
	return find(key, wireguard->peers, wireguard->npeers, sizeof *wireguard->peers);
}

static const struct wireguard_note *find_note(
	const struct wireguard *wireguard, const uint8_t key[static WG_KEY_BYTES]) {
	return find(key, wireguard->notes, wireguard->nnotes, sizeof *wireguard->notes);
}

/* ---- the notes ---- */

/* A line of the file: a peer's public key, and the endpoint of its card or "-". */
static bool read_note(struct span line, struct wireguard_note *note) {
	return line.n > WG_KEY_TEXT && wg_key_decode((const char *)line.p, WG_KEY_TEXT - 1, note->key) &&
	       span_copy(span_from(line, WG_KEY_TEXT), note->endpoint, sizeof note->endpoint);
}

/* Those of an interface that is gone are void. */
static bool read_notes(
	struct wireguard *wireguard, const char *root, const char *interface, struct err *err) {
	size_t lines = 0, n;

	wireguard->in_use = interface_noted(root, interface, "peers", &wireguard->text);
	for (const char *p = wireguard->text; p && *p; p++)
		lines += *p == '\n';
	wireguard->notes = calloc(lines + 1, sizeof *wireguard->notes);
	if (!wireguard->notes)
		return err_set(err, ERR_ENV, "out of memory");
	for (const char *line = wireguard->text; lines > 0; lines--, line += n + 1) {
		n = strcspn(line, "\n");
		wireguard->nnotes += read_note(span_of(line, n), &wireguard->notes[wireguard->nnotes]);
	}
	qsort(wireguard->notes, wireguard->nnotes, sizeof *wireguard->notes, compare_keys);
	return true;
}

/* ---- the device ---- */

/* Prefixes of peers that are not ours are kept apart. */
static bool end_peer(struct wireguard *w, const struct tunnel_peer *live) {
	const struct wireguard_peer *last = w->npeers ? &w->peers[w->npeers - 1] : NULL;
	struct wireguard_peer peer = {.live = *live, .first = last ? last->first + last->nprefixes : 0};

	peer.ours = w->state == INTERFACE_OURS || find_note(w, live->key);
	while (!peer.ours && w->nprefixes > peer.first)
		if (!array_append(
			    &w->foreign, &w->nforeign, &w->prefixes[--w->nprefixes], sizeof *w->foreign))
			return false;
	peer.nprefixes = w->nprefixes - peer.first;
	if (peer.nprefixes)
		qsort(w->prefixes + peer.first, peer.nprefixes, sizeof *w->prefixes, prefix_compare);
	return array_append(&w->peers, &w->npeers, &peer, sizeof peer);
}

static void add_peer(void *ctx, const struct tunnel_peer *live, const struct prefix *prefix) {
	struct wireguard *w = ctx;

	if (prefix ? !array_append(&w->prefixes, &w->nprefixes, prefix, sizeof *prefix) : !end_peer(w, live))
		w->error = ENOMEM;
}

static void read_device(struct wireguard *wireguard, const char *interface) {
	int rc = EINTR;

	for (int tries = 3; tries > 0 && rc == EINTR; tries--) {
		wireguard->npeers = wireguard->nprefixes = wireguard->nforeign = 0;
		rc = tunnel_read(interface, add_peer, wireguard, &wireguard->port);
	}
	if (rc != 0)
		wireguard->error = rc;
	if (wireguard->error)
		wireguard->npeers = 0;
	if (wireguard->npeers)
		qsort(wireguard->peers, wireguard->npeers, sizeof *wireguard->peers, compare_keys);
	if (wireguard->nforeign)
		qsort(wireguard->foreign, wireguard->nforeign, sizeof *wireguard->foreign, prefix_compare);
}

bool wireguard_read(
	struct wireguard *wireguard, const char *root, const char *interface, bool adopt, struct err *err) {
	*wireguard = (struct wireguard){0};
	if (!read_notes(wireguard, root, interface, err))
		return false;
	if (interface_marked(root, interface, "up")) {
		wireguard->state = INTERFACE_OURS;
		wireguard->in_use = true;
	} else if (if_nametoindex(interface)) {
		wireguard->state = adopt ? INTERFACE_SHARED : INTERFACE_FOREIGN;
	}
	if (wireguard->state != INTERFACE_NONE)
		read_device(wireguard, interface);
	return true;
}

void wireguard_free(struct wireguard *wireguard) {
	free(wireguard->peers);
	free(wireguard->prefixes);
	free(wireguard->foreign);
	free(wireguard->notes);
	free(wireguard->text);
	*wireguard = (struct wireguard){0};
}

bool wireguard_has_foreign(const struct wireguard *wireguard, const struct prefix *prefix) {
	return wireguard->nforeign &&
	       bsearch(prefix, wireguard->foreign, wireguard->nforeign, sizeof *prefix, prefix_compare);
}

/* ---- what is wanted ---- */

/* A peer that the interface is to have. */
struct want {
	uint8_t key[WG_KEY_BYTES];
	char endpoint[ENDPOINT_TEXT]; /* "-": none is known */
	uint16_t keepalive;
	const struct roster_host *host; /* whose addresses and routes it has; NULL: none */
};

struct wants {
	struct want *list; /* sorted by key */
	size_t n;
};

/* Ours, and no longer wanted. */
static bool is_leaving(const struct wireguard_peer *peer, const struct wants *wants) {
	return peer->ours && !find(peer->live.key, wants->list, wants->n, sizeof *wants->list);
}

static struct want *add_want(struct wants *wants, const uint8_t key[static WG_KEY_BYTES],
	const struct addr *endpoint, uint16_t port) {
	struct want *want = &wants->list[wants->n++];

	memcpy(want->key, key, WG_KEY_BYTES);
	if (endpoint->family)
		endpoint_format(endpoint, port, want->endpoint);
	else
		want->endpoint[0] = '-';
	return want;
}

static bool list_wants(const struct wireguard *wireguard, const struct roster *roster, struct wants *wants) {
	/* a host that nobody can reach by itself keeps its tunnels open (DESIGN.md 6) */
	const bool reachable = roster->self && roster->self->endpoint.family;

	*wants = (struct wants){calloc(2 * roster->nhosts + 1, sizeof *wants->list), 0};
	if (!wants->list)
		return false;
	for (const struct roster_host *host = roster->hosts; host < roster->hosts + roster->nhosts; host++) {
		const struct roster_next *next = &host->next;
		const struct wireguard_peer *live;
		struct want *want;

		if (host->self)
			continue;
		want = add_want(wants, host->key, &host->endpoint, host->endpoint_port);
		want->host = host;
		want->keepalive = reachable ? 0 : KEEPALIVE;
		if (!next->from)
			continue;
		/* a key that its host has not yet gets no addresses; when the time comes, and it is known
		 * where the host is, keepalive starts the handshake (DESIGN.md 8), unless the host itself
		 * did, which is given a second, for if two start one at once, none comes of it */
		live = wireguard_find(wireguard, host->key);
		if (next->endpoint.family || !live)
			want = add_want(wants, next->key, &next->endpoint, next->endpoint_port);
		else
			want = add_want(wants, next->key, &live->live.endpoint, live->live.endpoint_port);
		if (want->endpoint[0] != '-' && time(NULL) > next->from)
			want->keepalive = KEEPALIVE;
	}
	qsort(wants->list, wants->n, sizeof *wants->list, compare_keys);
	return true;
}

/* ---- writing the notes ---- */

static void write_notes(
	FILE *out, const struct wireguard *wireguard, const struct wants *wants, bool leaving) {
	char key[WG_KEY_TEXT];

	for (const struct want *want = wants->list; want < wants->list + wants->n; want++) {
		const struct wireguard_peer *live = wireguard_find(wireguard, want->key);

		wg_key_encode(want->key, key);
		if (!live || live->ours)
			fprintf(out, "%s %s\n", key, want->endpoint);
	}
	for (size_t i = 0; leaving && i < wireguard->npeers; i++)
		if (is_leaving(&wireguard->peers[i], wants)) {
			wg_key_encode(wireguard->peers[i].live.key, key);
			fprintf(out, "%s -\n", key);
		}
}

/* Notes what is ours, if that is not what the file says: before anything is added, and with what is about
 * to go (leaving), so that no crash leaves a peer that nobody knows to be ours. */
static int note(struct wireguard *wireguard, const char *root, const char *interface,
	const struct wants *wants, bool leaving) {
	struct err err = {.status = ERR_ENV, .text = "out of memory"};
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	bool good = out;

	if (out) {
		write_notes(out, wireguard, wants, leaving);
		good = fclose(out) == 0;
	}
	if (good && (!wireguard->text || strcmp(text, wireguard->text) != 0)) {
		good = interface_note(root, interface, "peers", text, 0600, &err);
		free(wireguard->text);
		wireguard->text = good ? text : NULL;
		text = good ? NULL : text;
	}
	free(text);
	return good ? 0 : problem(&err);
}

/* ---- peers, by wg set ---- */

#define PEER_PREFIXES (1 + CARD_ADDRS_MAX + CARD_ROUTES_MAX)
#define BATCH_MAX 65536 /* bytes after which a batch takes no further peer */

/* Runs a command that sets something of the interface, argv[2], or, dry, tells of it. */
static int set(const char *const argv[], struct span input, bool dry) {
	char words[sizeof((struct err *)0)->text];
	struct err err;
	size_t n = 0;

	if (!dry && run(argv, input, &err))
		return 0;
	if (!dry) {
		err_at(&err, "%s: %s", argv[2], argv[3]);
		return problem(&err);
	}
	for (size_t i = 1; argv[i] && n < sizeof words; i++)
		n += (size_t)snprintf(words + n, sizeof words - n, i > 1 ? " %s" : "%s", argv[i]);
	return interface_differs(argv[2], argv[0], words);
}

/* Arguments of wg for many peers at once, a line each, of which none is secret. */
struct batch {
	FILE *words; /* NULL: nothing yet, or no memory */
	char *text;
	size_t size;
	const char *interface;
	const uint8_t *secret; /* the key that the interface is to get by the first call; NULL: it has it */
	const uint8_t *own;    /* its public one: the peers are to hear of it; NULL: nothing to hear */
	bool dry;
	int status;
};

static int no_memory(void) {
	struct err err;

	err_set(&err, ERR_ENV, "out of memory");
	return problem(&err);
}

/* False: out of memory. */
static bool batch_begin(struct batch *batch) {
	if (!batch->words) {
		batch->words = open_memstream(&batch->text, &batch->size);
		if (batch->words && batch->secret)
			fputs("private-key\n/dev/stdin\n", batch->words);
	}
	if (!batch->words)
		batch->status = no_memory();
	return batch->words;
}

static void batch_run(struct batch *batch) {
	bool good = batch->words && fclose(batch->words) == 0;
	const char **argv = good ? calloc(batch->size + 4, sizeof *argv) : NULL;
	char *rest = batch->text, secret[WG_KEY_TEXT] = "";
	size_t n = 0;

	if (batch->secret)
		wg_key_encode(batch->secret, secret);
	if (argv) {
		argv[n++] = "wg";
		argv[n++] = "set";
		for (argv[n++] = batch->interface; *rest; n++)
			argv[n] = strsep(&rest, "\n");
		batch->status = worse(batch->status, set(argv, span_str(secret), batch->dry));
	} else {
		batch->status = no_memory();
	}
	sodium_memzero(secret, sizeof secret);
	free(argv);
	free(batch->text);
	batch->words = NULL;
	batch->text = NULL;
	batch->secret = NULL;
}

/* False: out of memory. */
static bool batch_peer(struct batch *batch, const uint8_t key[static WG_KEY_BYTES]) {
	char text[WG_KEY_TEXT];

	if (batch->words && ftell(batch->words) > BATCH_MAX)
		batch_run(batch);
	if (!batch_begin(batch))
		return false;
	wg_key_encode(key, text);
	fprintf(batch->words, "peer\n%s\n", text);
	return true;
}

static void batch_keepalive(struct batch *batch, uint16_t seconds) {
	fprintf(batch->words, "persistent-keepalive\n%u\n", seconds);
}

static void batch_allowed(struct batch *batch, const struct prefix *prefixes, size_t n) {
	char text[PREFIX_TEXT];

	fputs("allowed-ips\n", batch->words);
	for (size_t i = 0; i < n; i++)
		fprintf(batch->words, "%s%s", i ? "," : "", prefix_format(&prefixes[i], text));
	fputc('\n', batch->words);
}

static size_t list_prefixes(const struct roster_host *host, struct prefix prefixes[static PEER_PREFIXES]) {
	size_t n = 0;

	for (size_t i = 0; host && i < host->naddrs; i++)
		prefixes[n++] = prefix_host(&host->addrs[i]);
	for (size_t i = 0; host && i < host->nroutes; i++)
		prefixes[n++] = host->routes[i];
	qsort(prefixes, n, sizeof *prefixes, prefix_compare);
	return n;
}

/* Whether the card's endpoint is to be set: a peer that roamed keeps its own while its session lives,
 * unless the card names another one now. */
static bool moves(
	const struct want *want, const struct tunnel_peer *live, const struct wireguard_note *note) {
	char text[ENDPOINT_TEXT];

	if (want->endpoint[0] == '-')
		return false;
	if (!live->endpoint.family)
		return true;
	if (strcmp(want->endpoint, endpoint_format(&live->endpoint, live->endpoint_port, text)) == 0)
		return false;
	return (uint64_t)time(NULL) > live->handshake + SESSION ||
	       (note && strcmp(want->endpoint, note->endpoint) != 0);
}

/* Whoever sets keepalive where there was none sends a packet at once, and with a new key so a handshake. */
static void wake(struct batch *batch, const struct want *want) {
	const uint16_t steps[] = {0, KEEPALIVE, want->keepalive};

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (batch_peer(batch, want->key))
			batch_keepalive(batch, steps[i]);
}

/* One peer that is wanted: what differs. */
static void change_peer(struct batch *batch, const struct wireguard *wireguard, const struct want *want) {
	static const struct wireguard_peer nothing = {0};
	const struct wireguard_peer *live = wireguard_find(wireguard, want->key),
				    *have = live ? live : &nothing;
	struct prefix wanted[PEER_PREFIXES];
	size_t n = list_prefixes(want->host, wanted);
	bool endpoint = moves(want, &have->live, find_note(wireguard, want->key));
	bool allowed = n != have->nprefixes ||
		       (n && memcmp(wanted, &wireguard->prefixes[have->first], n * sizeof *wanted) != 0);
	/* of two hosts that change their keys at once only one may begin a handshake of the next ones: those
	 * who cross end each other's, and WireGuard then waits for five seconds */
	bool wakes = batch->own && (endpoint || have->live.endpoint.family) &&
		     (want->host || memcmp(batch->own, want->key, WG_KEY_BYTES) < 0);
	bool keepalive = !wakes && have->live.keepalive != want->keepalive;

	if (live && !live->ours)
		return;
	if ((!live || endpoint || keepalive || allowed) && batch_peer(batch, want->key)) {
		if (endpoint)
			fprintf(batch->words, "endpoint\n%s\n", want->endpoint);
		if (keepalive)
			batch_keepalive(batch, want->keepalive);
		if (allowed)
			batch_allowed(batch, wanted, n);
	}
	if (wakes)
		wake(batch, want);
}

/* The key, if it is another, then removals: what is taken away does not depend on what can be added. */
static int change_peers(const struct wireguard *wireguard, const char *interface, const struct wants *wants,
	const uint8_t *secret, bool adding, bool dry) {
	struct batch batch = {.interface = interface, .secret = secret, .dry = dry};
	uint8_t own[WG_KEY_BYTES];

	if (secret && batch_begin(&batch) && !dry) {
		tunnel_public(secret, own);
		batch.own = own;
	}
	for (size_t i = 0; i < wireguard->npeers; i++)
		if (is_leaving(&wireguard->peers[i], wants) &&
			batch_peer(&batch, wireguard->peers[i].live.key))
			fputs("remove\n", batch.words);
	for (size_t i = 0; adding && i < wants->n; i++)
		if (wants->list[i].host)
			change_peer(&batch, wireguard, &wants->list[i]);
	for (size_t i = 0; adding && i < wants->n; i++)
		if (!wants->list[i].host)
			change_peer(&batch, wireguard, &wants->list[i]);
	if (batch.words)
		batch_run(&batch);
	return batch.status;
}

/* ---- hosts that change their key ---- */

int wireguard_move(const char *root, const char *interface, bool adopt, const struct wireguard_swap *swaps,
	size_t n, size_t *moved) {
	struct batch batch = {.interface = interface};
	const struct wireguard_peer *old, *new;
	struct wireguard wireguard;
	struct err err;

	*moved = 0;
	if (!wireguard_read(&wireguard, root, interface, adopt, &err) || wireguard.error)
		batch.status = ERR_ENV;
	for (const struct wireguard_swap *swap = swaps; swap < swaps + n; swap++) {
		old = wireguard_find(&wireguard, swap->key);
		new = wireguard_find(&wireguard, swap->next);
		if (!old || !old->ours || !old->nprefixes || !new || !new->ours || !new->live.handshake ||
			!batch_peer(&batch, swap->next))
			continue;
		batch_allowed(&batch, &wireguard.prefixes[old->first], old->nprefixes);
		++*moved;
	}
	if (batch.words)
		batch_run(&batch);
	wireguard_free(&wireguard);
	return batch.status;
}

/* ---- key and port ---- */

/* The text of the public key, or what wg prints where there is none. */
static bool show_key(const char *interface, char *said, size_t size, struct err *err) {
	const char *const show[] = {"wg", "show", interface, "public-key", NULL};

	if (!run_said(show, span_of(NULL, 0), said, size, err))
		return err_at(err, "%s", interface);
	said[strcspn(said, "\n")] = 0;
	return true;
}

bool wireguard_public(const char *interface, uint8_t key[static WG_KEY_BYTES], struct err *err) {
	char said[256];

	return show_key(interface, said, sizeof said, err) &&
	       (wg_key_decode(said, strlen(said), key) ||
		       err_set(err, ERR_ENV, "%s: has no key; give it one (wg set %s private-key FILE)",
			       interface, interface));
}

/* Returns the exit status: ERR_NO when the interface has another key, or none. */
static int compare_key(const char *interface, const uint8_t secret[static WG_KEY_BYTES]) {
	char text[WG_KEY_TEXT], said[256];
	uint8_t key[WG_KEY_BYTES];
	struct err err;

	if (!show_key(interface, said, sizeof said, &err))
		return problem(&err);
	tunnel_public(secret, key);
	wg_key_encode(key, text);
	return strcmp(said, text) == 0 ? 0 : ERR_NO;
}

static int set_port(const char *interface, uint16_t port, bool dry) {
	char text[8];
	const char *const words[] = {"wg", "set", interface, "listen-port", text, NULL};

	snprintf(text, sizeof text, "%u", port);
	return set(words, span_of(NULL, 0), dry);
}

int wireguard_sync(struct wireguard *wireguard, const char *root, const struct roster *roster,
	const uint8_t *secret, bool dry) {
	const struct policy *policy = roster->policy;
	const char *interface = policy->interface;
	struct wants wants;
	struct err err;
	int status = 0, compared, noted;

	if (wireguard->error || !list_wants(wireguard, roster, &wants)) {
		err_set(&err, ERR_ENV, "%s: is no WireGuard interface that can be read: %s", interface,
			strerror(wireguard->error ? wireguard->error : ENOMEM));
		return problem(&err);
	}
	if (secret && wireguard->port != policy->port)
		status = set_port(interface, policy->port, dry);
	compared = secret ? compare_key(interface, secret) : 0;
	if (compared != ERR_NO) {
		status = worse(status, compared);
		secret = NULL;
	}
	noted = dry ? 0 : note(wireguard, root, interface, &wants, true);
	/* what would not be known to be ours later is not added to another's interface */
	status = worse(status, change_peers(wireguard, interface, &wants, secret,
				       noted == 0 || wireguard->state == INTERFACE_OURS, dry));
	if (!dry && noted == 0 && status == 0)
		noted = note(wireguard, root, interface, &wants, false);
	free(wants.list);
	return worse(status, noted);
}

int wireguard_release(const char *root, const char *interface) {
	struct policy policy = {0};
	struct roster nobody = {.policy = &policy};
	struct wireguard wireguard;
	struct err err;
	int status;

	span_copy(span_str(interface), policy.interface, sizeof policy.interface);
	if (!wireguard_read(&wireguard, root, interface, true, &err)) {
		status = problem(&err);
	} else {
		status = wireguard_sync(&wireguard, root, &nobody, NULL, false);
		status = worse(status, interface_sync(&nobody, false, false));
	}
	wireguard_free(&wireguard);
	return status;
}

bool wireguard_refuse(const struct wireguard *wireguard, const struct roster *roster, struct err *err) {
	const char *interface = roster->policy->interface;
	size_t unknown = wireguard->npeers;

	if (wireguard->error)
		return err_set(err, ERR_ENV,
			"%s: is there, and verimesh up did not make it; choose another Name", interface);
	for (size_t i = 0; i < roster->nhosts; i++)
		unknown -= wireguard_find(wireguard, roster->hosts[i].key) != NULL;
	return err_set(err, ERR_ENV,
		"%s: %s has %zu peers that verimesh does not know, and verimesh up did not make it; set "
		"Adopt = yes, choose another Name, or, if nobody needs it, remove it (ip link del %s)",
		interface, interface, unknown, interface);
}
