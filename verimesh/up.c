/* up.c: `verimesh up` and `down`: the interface comes and goes. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "keyring_build.h"
#include "sync.h"
#include "verimesh.h"
#include "wireguard.h"

/* Interfaces of an earlier Name would go on with what was right then. */
static bool refuse_earlier(const struct mesh *mesh, struct err *err) {
	char earlier[IFNAMSIZ];

	return !interface_earlier(mesh->root, mesh->policy.interface, earlier) ||
	       err_set(err, ERR_ENV, "%s: is still up, from when it was the Name; run verimesh down first",
		       earlier);
}

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
	if (!mesh->has_secret)
		return mesh_no_secret(err);
	if (wireguard->state == INTERFACE_NONE && !interface_make(mesh->root, policy->interface, err))
		return false;
	wireguard_free(wireguard);
	if (!wireguard_read(wireguard, mesh->root, policy->interface, policy->adopt, err))
		return false;
	wireguard->keyed = false; /* whatever key it has: set it anew */
	return interface_set_up(policy->interface, err);
}

static bool bring_up(struct mesh *mesh, struct err *err) {
	if (!mesh->roster.self)
		return err_set(err, ERR_ENV, "%s.%s: has no card in force; issue one, or set Host and Self",
			mesh->policy.host, mesh->policy.self);
	return refuse_earlier(mesh, err) && make_interface(mesh, err);
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
	enum interface_state state = interface_state(root, name, false);
	bool good = true;
	struct err err;
	int status = 0;

	if (state == INTERFACE_FOREIGN && interface_marked(root, name, "peers"))
		status = wireguard_release(root, name);
	else if (state != INTERFACE_FOREIGN)
		good = interface_remove(root, name, &err);
	else if (!adopt)
		good = err_set(
			&err, ERR_ENV, "%s: verimesh up did not make it, so down leaves it alone", name);
	if (!good)
		status = problem(&err);
	if (!keyring_remove(root, name, &err))
		status = problem(&err);
	return status;
}

int verb_down(const struct command *command) {
	char name[IFNAMSIZ];
	struct policy policy;
	struct err err;
	int lock, status;

	if (command->nargs != 1)
		return usage(command, "takes no words");
	if (!policy_load(command->root, &policy, &err))
		return problem(&err);
	lock = store_lock(command->root, &err);
	if (lock < 0) {
		policy_free(&policy);
		return problem(&err);
	}
	status = take_down(command->root, policy.interface, policy.adopt);
	/* and one that had the Name before */
	while (status == 0 && interface_earlier(command->root, policy.interface, name))
		status = take_down(command->root, name, false);
	close(lock);
	policy_free(&policy);
	return status;
}
