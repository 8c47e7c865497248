/* sync.c: `verimesh sync`: store and policy into map, keyring and WireGuard. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "confine.h"
#include "file.h"
#include "identity.h"
#include "keyring_build.h"
#include "map.h"
#include "map_build.h"
#include "parcel.h"
#include "paths.h"
#include "sync.h"
#include "verimesh.h"
#include "wireguard.h"

void mesh_print(void *ctx, const struct err *what) {
	(void)ctx;
	problem(what);
}

/* A peer of whom nothing is known, or nothing new is taken, is no failure, but nobody would see why its
 * names are missing or old. */
static void report_peers(const struct mesh *mesh, mesh_report *report, void *ctx) {
	struct err err;

	for (size_t i = 0; i < mesh->policy.npeers; i++) {
		const struct policy_peer *peer = &mesh->policy.peers[i];
		const struct book_log *log = book_log(&mesh->store.book, peer->aid);

		/* of the own organisation only root may know which it is; damage is told by itself */
		if (!peer->aid[0] || strstr(mesh->store.damage.text, peer->aid))
			continue;
		if (!book_kel(&mesh->store.book, peer->aid))
			err_set(&err, ERR_NO, "%s: no log of %s yet; get its stream and verimesh import it",
				peer->name, peer->aid);
		else if (log->frozen)
			err_set(&err, ERR_NO,
				"%s: showed two versions of an event and is frozen; ask them which one "
				"holds, then verimesh import --resolve %s FILE",
				peer->name, peer->aid);
		else
			continue;
		report(ctx, &err);
	}
}

/* The own organisation's AID as the map, which is for everybody, has it. */
static void read_map(struct mesh *mesh) {
	const struct policy *policy = &mesh->policy;
	char path[PATH_MAX], name[2 * LABEL_MAX + DOMAIN_MAX + 3];
	struct map_card card;
	struct map map;

	snprintf(name, sizeof name, "%s.%s.%s", policy->host, policy->self, policy->domain);
	if (!file_path(path, mesh->root, PATH_MAP, NULL, NULL) || map_open(&map, path) != 0)
		return;
	if (map_card(&map, MAP_NAME, span_str(name), time(NULL), &card))
		span_copy(card.aid, mesh->aid, sizeof mesh->aid);
	map_close(&map);
}

/* The own organisation's section is implied where its identity is (DESIGN.md 5.5). Who only reads and may
 * not read that takes what the map says, or goes on without it. */
static bool settle_self(struct mesh *mesh, bool writing, struct err *err) {
	const struct policy_peer *own = policy_peer(&mesh->policy, mesh->policy.self);
	bool known = identity_aid(mesh->root, mesh->aid, err);

	if (!known && (writing || errno != EACCES))
		return false;
	mesh->holds = known && mesh->aid[0];
	if (!known)
		read_map(mesh);
	if (mesh->aid[0])
		return policy_imply_self(&mesh->policy, mesh->aid, err);
	return !known || !own || own->aid[0] ||
	       err_set(err, ERR_USAGE,
		       PATH_CONF ":%u: [Peer %s] has no AID, and this host holds no identity; set "
				 "its AID, or run verimesh init",
		       own->line, own->name);
}

/* An interface that another made, or is to make, has its own key, and ours are not used. */
static bool is_shared(const struct mesh *mesh) {
	return mesh->policy.adopt && mesh->wireguard.state != INTERFACE_OURS;
}

/* One that is not there is no error; who only reads goes on without those that he may not read. */
static bool read_secrets(struct mesh *mesh, bool writing, struct err *err) {
	if (is_shared(mesh))
		return true;
	mesh->has_secret = secret_read(mesh->root, SECRET_TUNNEL, mesh->secret, err);
	if (mesh->has_secret || errno == ENOENT) {
		mesh->has_next = secret_read(mesh->root, SECRET_TUNNEL_NEXT, mesh->next, err);
		if (mesh->has_next || errno == ENOENT)
			return true;
	}
	mesh->unread = *err;
	return !writing;
}

/* The public key of this host's interface. False: it has none, or (err) that cannot be found out. */
static bool own_key(const struct mesh *mesh, uint8_t key[static WG_KEY_BYTES], struct err *err) {
	*err = (struct err){0};
	if (is_shared(mesh))
		return mesh->wireguard.state == INTERFACE_SHARED && mesh->wireguard.error == 0 &&
		       wireguard_public(mesh->policy.interface, key, err);
	if (mesh->has_secret)
		tunnel_public(mesh->secret, key);
	return mesh->has_secret;
}

/* What the roster asks of the interface. */
static bool is_foreign_key(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	const struct wireguard_peer *peer = wireguard_find(interface, key);

	return peer && !peer->ours;
}

static bool is_foreign_prefix(void *interface, const struct prefix *prefix) {
	return wireguard_has_foreign(interface, prefix);
}

/* What cannot be read may have it. */
static bool has_peer(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	const struct wireguard *wireguard = interface;

	return wireguard->error || wireguard_find(wireguard, key);
}

static bool had_handshake(void *interface, const uint8_t key[static WG_KEY_BYTES]) {
	const struct wireguard_peer *peer = wireguard_find(interface, key);

	return peer && peer->live.handshake;
}

static bool build_roster(
	struct mesh *mesh, const uint8_t *key, mesh_report *report, void *ctx, struct err *err) {
	bool up = mesh->wireguard.state == INTERFACE_OURS || mesh->wireguard.state == INTERFACE_SHARED;
	struct roster_sources sources = {.locals = &mesh->locals,
		.policy = &mesh->policy,
		.book = &mesh->store.book,
		.ledger = &mesh->store.ledger,
		.own_aid = mesh->holds ? mesh->aid : NULL,
		.own_key = key,
		.now = time(NULL),
		.interface = &mesh->wireguard,
		.is_foreign_key = up ? is_foreign_key : NULL,
		.is_foreign_prefix = up ? is_foreign_prefix : NULL,
		.has_peer = up ? has_peer : NULL,
		.had_handshake = up ? had_handshake : NULL,
		.report = report,
		.ctx = ctx};

	return roster_build(&mesh->roster, &sources, err);
}

/* Takes a secret that waits for its card, if that is in force now. */
static bool take_waiting(struct mesh *mesh, const char *name) {
	uint8_t secret[SEED_BYTES], key[WG_KEY_BYTES];
	bool named = secret_read(mesh->root, name, secret, NULL);

	if (named) {
		tunnel_public(secret, key);
		named = memcmp(key, mesh->roster.self->key, sizeof key) == 0;
	}
	if (named)
		memcpy(mesh->secret, secret, sizeof secret);
	mesh->has_secret |= named;
	sodium_memzero(secret, sizeof secret);
	return named;
}

/* This host must have the key that its own card names; one that waited for its card takes its place when
 * that is in force. key: what own_key found, or NULL. False: it has another, or (writing) the place was not
 * taken on disk. */
static bool settle_key(struct mesh *mesh, const uint8_t *key, bool writing, struct err *err) {
	/* the latter where a rotation was cut off behind its event */
	static const char *const waiting[] = {SECRET_TUNNEL_NEXT, SECRET_STAGED};
	const struct roster_host *self = mesh->roster.self;

	if (!self || (key && memcmp(key, self->key, WG_KEY_BYTES) == 0))
		return true;
	for (size_t i = 0; !is_shared(mesh) && i < sizeof waiting / sizeof waiting[0]; i++) {
		if (!take_waiting(mesh, waiting[i]))
			continue;
		mesh->has_next &= i > 0;
		return !writing || tunnel_secret_promote(mesh->root, waiting[i], err);
	}
	return !key ||
	       err_set(err, ERR_NO, "%s.%s: its card names another key than %s has; %s%s", self->label,
		       self->peer->name, is_shared(mesh) ? mesh->policy.interface : "this host",
		       mesh->aid[0] ? "verimesh issue " : "see verimesh key, then issue its card with --key",
		       mesh->aid[0] ? self->label : "");
}

/* What a roster is compiled for, and where to. */
struct compile {
	struct mesh *mesh;
	const uint8_t *key; /* own_key's, or NULL */
	mesh_report *report;
	void *ctx;
	FILE *out;
};

/* Reads the store, and makes of it what the policy makes of it. */
static bool compile_store(const struct compile *c, struct err *err) {
	struct mesh *mesh = c->mesh;

	if (!store_load(&mesh->store, NULL, err) || !build_roster(mesh, c->key, c->report, c->ctx, err))
		return false;
	mesh->damaged = mesh->store.damage.text[0];
	if (mesh->damaged)
		c->report(c->ctx, &mesh->store.damage);
	report_peers(mesh, c->report, c->ctx);
	return true;
}

static void wipe_secrets(struct mesh *mesh) {
	sodium_memzero(mesh->secret, sizeof mesh->secret);
	sodium_memzero(mesh->next, sizeof mesh->next);
}

/* In front of the parcel that comes out of it. */
struct outcome {
	unsigned char good, damaged; /* anybody may have written it: not bool */
	struct err err;		     /* why it is not good */
};

static int compile_confined(void *ctx) {
	const struct compile *c = ctx;
	struct mesh *mesh = c->mesh;
	struct outcome outcome = {0};

	wipe_secrets(mesh);
	/* the number that an account got is on disk before anybody sees it */
	outcome.good = compile_store(c, &outcome.err) &&
		       ledger_save(&mesh->store.ledger, &mesh->store.state, &outcome.err);
	outcome.damaged = mesh->damaged;
	return fwrite(&outcome, sizeof outcome, 1, c->out) == 1 &&
			       (!outcome.good || parcel_make(c->out, &mesh->roster)) && fflush(c->out) == 0
		       ? 0
		       : ERR_ENV;
}

/* Takes what the process without rights left in the file. */
static bool take_outcome(struct mesh *mesh, int fd, struct err *err) {
	struct outcome outcome;
	struct stat st = {0};

	fstat(fd, &st);
	mesh->nparcel = (size_t)st.st_size;
	mesh->parcel = mmap(NULL, mesh->nparcel, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mesh->parcel == MAP_FAILED)
		mesh->parcel = NULL;
	if (!mesh->parcel || mesh->nparcel < sizeof outcome)
		return err_set(err, ERR_ENV, "the process that read the store left nothing");
	memcpy(&outcome, mesh->parcel, sizeof outcome);
	outcome.err.text[sizeof outcome.err.text - 1] = 0;
	if (!outcome.good)
		return err_set(err, outcome.err.status, "%s", outcome.err.text);
	mesh->damaged = outcome.damaged;
	return parcel_open(&mesh->roster, &mesh->policy, &mesh->locals,
		       span_from(span_of(mesh->parcel, mesh->nparcel), sizeof outcome)) ||
	       err_set(err, ERR_ENV, "the process that read the store left what makes no sense");
}

/* Nothing of what peers wrote is read with root's rights. */
static bool compile_apart(struct compile *c, struct err *err) {
	int fd = memfd_create("verimesh", MFD_CLOEXEC);
	bool good = false;

	c->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!c->out)
		err_set(err, ERR_ENV, "memfd_create: %m");
	else if (confined(&c->mesh->store.state, fd, compile_confined, c, err) >= 0)
		good = take_outcome(c->mesh, fd, err);
	if (c->out)
		fclose(c->out);
	else if (fd >= 0)
		close(fd);
	return good;
}

static bool open_roster(struct mesh *mesh, bool writing, mesh_report *report, void *ctx, struct err *err) {
	uint8_t key[WG_KEY_BYTES];
	struct err why;
	bool has_key = own_key(mesh, key, &why);
	struct compile compile = {mesh, has_key ? key : NULL, report, ctx, NULL};

	if (!(writing ? compile_apart(&compile, err) : compile_store(&compile, err)))
		return false;
	mesh->strange_key =
		(!has_key && why.text[0]) || !settle_key(mesh, has_key ? key : NULL, writing, &why);
	if (mesh->strange_key)
		report(ctx, &why);
	return true;
}

bool mesh_open(
	struct mesh *mesh, const char *root, bool writing, mesh_report *report, void *ctx, struct err *err) {
	*mesh = (struct mesh){.root = root, .store = {.lock = -1, .state.fd = -1}};
	if (policy_load(root, &mesh->policy, err) && settle_self(mesh, writing, err) &&
		locals_read(&mesh->locals, root, &mesh->policy, err) &&
		store_enter(&mesh->store, root, writing, err) &&
		wireguard_read(&mesh->wireguard, root, mesh->policy.interface, mesh->policy.adopt, err) &&
		read_secrets(mesh, writing, err) && open_roster(mesh, writing, report, ctx, err))
		return true;
	mesh_close(mesh);
	return false;
}

void mesh_close(struct mesh *mesh) {
	wipe_secrets(mesh);
	wireguard_free(&mesh->wireguard);
	roster_free(&mesh->roster);
	if (mesh->parcel)
		munmap(mesh->parcel, mesh->nparcel);
	store_close(&mesh->store);
	locals_free(&mesh->locals);
	policy_free(&mesh->policy);
}

bool mesh_has_key(const struct mesh *mesh, struct err *err) {
	if (mesh->has_secret || is_shared(mesh))
		return true;
	if (mesh->unread.text[0])
		*err = mesh->unread;
	else
		err_set(err, ERR_ENV,
			PATH_IDENTITY "/tunnel: not there; make this host's key with verimesh %s%s",
			mesh->aid[0] ? "issue " : "key", mesh->aid[0] ? mesh->policy.host : "");
	return false;
}

bool mesh_only_name(const struct mesh *mesh, struct err *err) {
	char other[IFNAMSIZ];

	return !interface_other(mesh->root, mesh->policy.interface, true, other) ||
	       err_set(err, ERR_ENV, "%s: is still up, from when it was the Name; run verimesh down first",
		       other);
}

static bool put_seed(const struct mesh *mesh, int32_t ring, struct err *err) {
	struct identity identity = {0};
	bool good;

	/* one that is sealed is for those who have its passphrase */
	if (!mesh->aid[0] || identity_is_sealed(mesh->root))
		return keyring_drop(ring, "identity", err);
	good = identity_load(mesh->root, &identity, err);
	if (good)
		good = keyring_put(ring, "identity", span_of(identity.seed, SEED_BYTES), err);
	else if (errno == ENOENT) /* it was taken away: the tunnel does not need it */
		good = keyring_drop(ring, "identity", err);
	identity_wipe(&identity);
	return good;
}

static bool put_secret(int32_t ring, const char *name, bool has, const uint8_t secret[static WG_KEY_BYTES],
	struct err *err) {
	return has ? keyring_put(ring, name, span_of(secret, WG_KEY_BYTES), err)
		   : keyring_drop(ring, name, err);
}

/* The ring holds the peers' keys, this host's secrets, and the seed where the identity is. */
static bool sync_keyring(const struct mesh *mesh, struct err *err) {
	int32_t ring;

	return keyring_make(mesh->root, mesh->policy.interface, &ring, err) &&
	       keyring_sync(ring, &mesh->roster, err) &&
	       put_secret(ring, "tunnel", mesh->has_secret, mesh->secret, err) &&
	       put_secret(ring, "tunnel.next", mesh->has_next, mesh->next, err) && put_seed(mesh, ring, err);
}

int mesh_sync_interface(struct mesh *mesh, bool dry) {
	struct wireguard *wireguard = &mesh->wireguard;
	bool ours = wireguard->state == INTERFACE_OURS;
	/* of a key that is not the card's check has told already */
	bool keyed = ours && mesh->has_secret && !(dry && mesh->strange_key);
	struct err err;
	int peers, rest;

	if (wireguard->state == INTERFACE_FOREIGN) {
		wireguard_refuse(wireguard, &mesh->roster, &err);
		return problem(&err);
	}
	if (wireguard->state == INTERFACE_NONE || !wireguard->in_use)
		return 0;
	peers = wireguard_sync(wireguard, mesh->root, &mesh->roster, keyed ? mesh->secret : NULL, dry);
	rest = interface_sync(&mesh->roster, ours, dry);
	if (!dry && !clock_note(mesh->root, mesh->policy.interface, &err))
		return problem(&err);
	return peers > rest ? peers : rest;
}

static bool sync_map(struct mesh *mesh, struct err *err) {
	char path[PATH_MAX];

	return file_path(path, mesh->root, PATH_MAP, NULL, err) && map_build(&mesh->roster, path, err);
}

int mesh_sync(struct mesh *mesh) {
	bool refused = mesh->roster.refused || mesh->strange_key;
	int status = mesh->damaged ? ERR_ENV : refused ? ERR_NO : 0, failed;
	struct err err;

	if (mesh->roster.self && !mesh_has_key(mesh, &err))
		status = problem(&err);
	if (!mesh_only_name(mesh, &err))
		status = problem(&err);
	if (!sync_map(mesh, &err))
		status = problem(&err);
	if (!sync_keyring(mesh, &err))
		status = problem(&err);
	failed = mesh_sync_interface(mesh, false);
	return failed > status ? failed : status;
}

int verb_sync(const struct command *command) {
	struct mesh mesh;
	struct err err;
	int status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!mesh_open(&mesh, command->root, true, mesh_print, NULL, &err))
		return problem(&err);
	status = mesh_sync(&mesh);
	mesh_close(&mesh);
	return status;
}
