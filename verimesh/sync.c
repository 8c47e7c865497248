/* sync.c: `verimesh sync`: store and policy into map, keyring and WireGuard. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

static void show_claim(void *ctx, const struct err *claim)
{
	(void)ctx;
	problem(claim);
}

/* A peer of whom nothing is known yet is no failure, but nobody would see why its names are
 * missing. */
static void show_unknown_peers(const struct mesh *mesh)
{
	struct err err;

	for (size_t i = 0; i < mesh->policy.npeers; i++) {
		const struct policy_peer *peer = &mesh->policy.peers[i];

		if (book_kel(&mesh->store.book, peer->aid))
			continue;
		err_set(&err, ERR_NO, "%s: no log of %s yet; get its stream and verimesh import it",
			peer->name, peer->aid);
		problem(&err);
	}
}

bool mesh_open(struct mesh *mesh, const char *root, struct err *err)
{
	char aid[CESR_TEXT];

	*mesh = (struct mesh){.root = root, .store.lock = -1};
	if (policy_load(root, &mesh->policy, err) && identity_aid(root, aid, err) &&
		policy_imply_self(&mesh->policy, aid, err) &&
		store_open(&mesh->store, root, true, err) &&
		roster_build(&mesh->roster, &mesh->policy, &mesh->store.book, time(NULL),
			show_claim, NULL, err)) {
		show_unknown_peers(mesh);
		return true;
	}
	mesh_close(mesh);
	return false;
}

void mesh_close(struct mesh *mesh)
{
	roster_free(&mesh->roster);
	store_close(&mesh->store);
	policy_free(&mesh->policy);
}

/* The ring holds the peers' keys, this host's secrets, and the seed where the identity is. */
static bool sync_keyring(
	const struct mesh *mesh, const uint8_t secret[static WG_KEY_BYTES], struct err *err)
{
	const char *interface = mesh->policy.interface;
	struct identity identity = {0};
	char aid[CESR_TEXT];
	int32_t ring;
	bool good;

	if (!keyring_make(mesh->root, interface, &ring, err))
		return false;
	good = keyring_sync(ring, &mesh->roster, err);
	good = keyring_put(ring, "tunnel", span_of(secret, WG_KEY_BYTES), good ? err : NULL) &&
	       good;
	if (!identity_aid(mesh->root, aid, good ? err : NULL))
		return false;
	if (!aid[0])
		return good;
	good = identity_load(mesh->root, &identity, good ? err : NULL) &&
	       keyring_put(
		       ring, "identity", span_of(identity.seed, SEED_BYTES), good ? err : NULL) &&
	       good;
	identity_wipe(&identity);
	return good;
}

static bool sync_interface(
	const struct mesh *mesh, const uint8_t secret[static WG_KEY_BYTES], struct err *err)
{
	switch (wireguard_state(mesh->root, mesh->policy.interface)) {
	case WIREGUARD_OURS:
		return wireguard_sync(&mesh->roster, secret, err);
	case WIREGUARD_FOREIGN:
		return wireguard_refuse_foreign(&mesh->roster, mesh->policy.interface, err);
	default:
		return true;
	}
}

bool mesh_sync(const struct mesh *mesh, struct err *err)
{
	uint8_t secret[WG_KEY_BYTES];
	char path[PATH_MAX];
	struct err *first = err;
	bool good = file_path(path, mesh->root, PATH_MAP, NULL, err) &&
		    map_build(&mesh->roster, path, err);

	first = good ? err : NULL;
	if (!tunnel_secret_read(mesh->root, secret, first))
		return false;
	good = sync_keyring(mesh, secret, first) && good;
	first = good ? err : NULL;
	good = sync_interface(mesh, secret, first) && good;
	sodium_memzero(secret, sizeof secret);
	return good;
}

int verb_sync(const struct command *command)
{
	struct mesh mesh;
	struct err err;
	int status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!mesh_open(&mesh, command->root, &err))
		return problem(&err);
	status = mesh_sync(&mesh, &err) ? 0 : problem(&err);
	if (status == 0 && mesh.roster.refused)
		status = ERR_NO;
	mesh_close(&mesh);
	return status;
}
