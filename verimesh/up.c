/* up.c: `verimesh up` and `down`: the interface comes and goes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "keyring_build.h"
#include "sync.h"
#include "verimesh.h"
#include "wireguard.h"

static bool make_interface(struct mesh *mesh, struct err *err) {
	struct wireguard *wireguard = &mesh->wireguard;
	const struct policy *policy = &mesh->policy;

	if (wireguard->state == INTERFACE_FOREIGN)
		return wireguard_refuse(wireguard, &mesh->roster, err);
	if (wireguard->state == INTERFACE_SHARED)
		return wireguard->in_use = true;
	if (wireguard->state == INTERFACE_NONE && policy->adopt)
		return err_set(err, ERR_ENV,
			"%s: not there; start it first (wg-quick up %s), or set Adopt = no",
			policy->interface, policy->interface);
	if (!mesh_has_key(mesh, err))
		return false;
	if (wireguard->state == INTERFACE_NONE && !interface_make(mesh->root, policy->interface, err))
		return false;
	wireguard->state = INTERFACE_OURS;
	return wireguard->in_use = true;
}

static bool bring_up(struct mesh *mesh, struct err *err) {
	if (!mesh->roster.self)
		return err_set(err, ERR_ENV, "%s.%s: has no card in force; issue one, or set Host and Self",
			mesh->policy.host, mesh->policy.self);
	return mesh_only_name(mesh, err) && make_interface(mesh, err);
}

int verb_up(const struct command *command) {
	struct mesh mesh;
	struct err err;
	int status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!mesh_open(&mesh, command->root, true, mesh_print, NULL, &err))
		return problem(&err);
	status = bring_up(&mesh, &err) ? mesh_sync(&mesh) : problem(&err);
	mesh_close(&mesh);
	return status;
}

/* Takes one interface down, whatever is left of it. */
static int take_down(const char *root, const char *name, bool adopt) {
	bool ours = interface_marked(root, name, "up");
	bool shared = !ours && interface_marked(root, name, "peers");
	int status = shared ? wireguard_release(root, name) : 0;
	struct err err;

	if (status == 0 && !interface_remove(root, name, &err))
		status = problem(&err);
	if (!ours && !shared && !adopt && if_nametoindex(name)) {
		err_set(&err, ERR_ENV, "%s: verimesh up did not make it, so down leaves it alone", name);
		status = problem(&err);
	}
	if (!keyring_remove(root, name, &err))
		status = problem(&err);
	return status;
}

/* And those that had the Name before. A configuration that cannot be read keeps none of them up. */
static int take_all_down(const char *root) {
	char name[IFNAMSIZ];
	struct policy policy;
	struct err err;
	int status, others = 0;

	if (policy_load(root, &policy, &err))
		status = take_down(root, policy.interface, policy.adopt);
	else
		status = problem(&err);
	while (others == 0 && interface_other(root, policy.interface, false, name))
		others = take_down(root, name, true);
	policy_free(&policy);
	return status ? status : others;
}

int verb_down(const struct command *command) {
	struct err err;
	int lock, status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	lock = store_lock(command->root, &err);
	if (lock < 0)
		return problem(&err);
	status = take_all_down(command->root);
	close(lock);
	return status;
}
