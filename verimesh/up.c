/* up.c: `verimesh up` and `down`: the interface comes and goes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "keyring_build.h"
#include "paths.h"
#include "sync.h"
#include "verimesh.h"
#include "wireguard.h"

static bool make_interface(const struct mesh *mesh, struct err *err) {
	const char *interface = mesh->policy.interface;

	if (mesh->policy.adopt)
		return err_set(err, ERR_ENV,
			PATH_CONF
			": Adopt = yes is not supported yet; give verimesh an interface of its own");
	if (!mesh->roster.self)
		return err_set(err, ERR_ENV, "%s.%s: has no card in force; issue one, or set Host and Self",
			mesh->policy.host, mesh->policy.self);
	if (!mesh->has_secret)
		return mesh_no_secret(err);
	switch (wireguard_state(mesh->root, interface)) {
	case WIREGUARD_NONE:
		return wireguard_make(mesh->root, interface, err);
	case WIREGUARD_FOREIGN:
		return wireguard_refuse_foreign(&mesh->roster, interface, err);
	default:
		return true;
	}
}

int verb_up(const struct command *command) {
	struct mesh mesh;
	struct err err;
	int status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!mesh_open(&mesh, command->root, true, mesh_print, NULL, &err))
		return problem(&err);
	status = make_interface(&mesh, &err) ? mesh_sync(&mesh) : problem(&err);
	mesh_close(&mesh);
	return status;
}

int verb_down(const struct command *command) {
	struct policy policy;
	struct err err;
	bool good;
	int lock;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!policy_load(command->root, &policy, &err))
		return problem(&err);
	lock = store_lock(command->root, &err);
	if (lock < 0) {
		policy_free(&policy);
		return problem(&err);
	}
	if (wireguard_state(command->root, policy.interface) == WIREGUARD_FOREIGN)
		good = err_set(&err, ERR_ENV, "%s: verimesh up did not make it, so down leaves it alone",
			policy.interface);
	else
		good = wireguard_remove(command->root, policy.interface, &err);
	good = keyring_remove(command->root, policy.interface, good ? &err : NULL) && good;
	close(lock);
	policy_free(&policy);
	return good ? 0 : problem(&err);
}
