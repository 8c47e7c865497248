/* sync.c: `verimesh sync`: store and policy into map, keyring and WireGuard. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "file.h"
#include "identity.h"
#include "keyring_build.h"
#include "map_build.h"
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

/* The own organisation's section is implied where its identity is (DESIGN.md 5.5). Who only reads and may
 * not read that goes on without a log of it. */
static bool settle_self(struct mesh *mesh, bool writing, struct err *err) {
	const struct policy_peer *own = policy_peer(&mesh->policy, mesh->policy.self);
	char aid[CESR_TEXT];

	if (!identity_aid(mesh->root, aid, err))
		return !writing && errno == EACCES;
	if (aid[0])
		return policy_imply_self(&mesh->policy, aid, err);
	return !own || own->aid[0] ||
	       err_set(err, ERR_USAGE,
		       PATH_CONF ":%u: [Peer %s] has no AID, and this host holds no identity; set "
				 "its AID, or run verimesh init",
		       own->line, own->name);
}

static bool read_secret(struct mesh *mesh, struct err *err) {
	mesh->has_secret = tunnel_secret_read(mesh->root, false, mesh->secret, err);
	return mesh->has_secret || errno == ENOENT;
}

static bool build_roster(struct mesh *mesh, mesh_report *report, void *ctx, struct err *err) {
	uint8_t key[WG_KEY_BYTES];
	struct roster_sources sources = {.root = mesh->root,
		.policy = &mesh->policy,
		.book = &mesh->store.book,
		.ledger = &mesh->store.ledger,
		.own_key = mesh->has_secret ? key : NULL,
		.now = time(NULL),
		.report = report,
		.ctx = ctx};

	if (mesh->has_secret)
		tunnel_public(mesh->secret, key);
	return roster_build(&mesh->roster, &sources, err);
}

bool mesh_open(
	struct mesh *mesh, const char *root, bool writing, mesh_report *report, void *ctx, struct err *err) {
	*mesh = (struct mesh){.root = root, .store.lock = -1};
	if (policy_load(root, &mesh->policy, err) && settle_self(mesh, writing, err) &&
		(!writing || read_secret(mesh, err)) && store_open(&mesh->store, root, writing, err) &&
		build_roster(mesh, report, ctx, err) &&
		(!writing || ledger_save(&mesh->store.ledger, root, err))) {
		if (mesh->store.damage.text[0])
			report(ctx, &mesh->store.damage);
		report_peers(mesh, report, ctx);
		return true;
	}
	mesh_close(mesh);
	return false;
}

void mesh_close(struct mesh *mesh) {
	sodium_memzero(mesh->secret, sizeof mesh->secret);
	roster_free(&mesh->roster);
	store_close(&mesh->store);
	policy_free(&mesh->policy);
}

bool mesh_no_secret(struct err *err) {
	return err_set(
		err, ERR_ENV, PATH_IDENTITY "/tunnel: not there; make this host's key with verimesh init");
}

static bool sync_map(const struct mesh *mesh, struct err *err) {
	char path[PATH_MAX];

	return file_path(path, mesh->root, PATH_MAP, NULL, err) && map_build(&mesh->roster, path, err);
}

static bool put_seed(const struct mesh *mesh, int32_t ring, struct err *err) {
	struct identity identity;
	char aid[CESR_TEXT];
	bool good;

	if (!identity_aid(mesh->root, aid, err))
		return false;
	if (!aid[0])
		return true;
	good = identity_load(mesh->root, &identity, err) &&
	       keyring_put(ring, "identity", span_of(identity.seed, SEED_BYTES), err);
	identity_wipe(&identity);
	return good;
}

/* The ring holds the peers' keys, this host's secret, and the seed where the identity is. */
static bool sync_keyring(const struct mesh *mesh, struct err *err) {
	int32_t ring;

	return keyring_make(mesh->root, mesh->policy.interface, &ring, err) &&
	       keyring_sync(ring, &mesh->roster, err) &&
	       (!mesh->has_secret ||
		       keyring_put(ring, "tunnel", span_of(mesh->secret, WG_KEY_BYTES), err)) &&
	       put_seed(mesh, ring, err);
}

static bool sync_interface(const struct mesh *mesh, struct err *err) {
	switch (wireguard_state(mesh->root, mesh->policy.interface)) {
	case WIREGUARD_OURS:
		return mesh->has_secret ? wireguard_sync(&mesh->roster, mesh->secret, err)
					: mesh_no_secret(err);
	case WIREGUARD_FOREIGN:
		return wireguard_refuse_foreign(&mesh->roster, mesh->policy.interface, err);
	default:
		return true;
	}
}

int mesh_sync(const struct mesh *mesh) {
	int status = mesh->store.damage.text[0] ? ERR_ENV : mesh->roster.refused ? ERR_NO : 0;
	struct err err;

	if (!sync_map(mesh, &err))
		status = problem(&err);
	if (!sync_keyring(mesh, &err))
		status = problem(&err);
	if (!sync_interface(mesh, &err))
		status = problem(&err);
	return status;
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
