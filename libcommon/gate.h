/* gate.h: may this remote login happen, and why (DESIGN.md 5.9). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_GATE_H
#define VERIMESH_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

/* What is asked. */
struct gate_request {
	const char *root;    /* "" or the directory that all paths are below */
	const char *account; /* the local account that is wanted */
	struct addr remote;  /* where the login comes from; family 0: what is no address */
	int fd;		     /* the connected socket when the caller holds it, else -1 */
	/* Not from where a login comes, but the record that it left decides: that of this audit session,
	 * which must be the account's. NULL: as said above. */
	const char *session;
	/* The login must be one that has this SSH key: SSH_AUTH_INFO_0 as sshd gives it. NULL: any. */
	const char *ssh_auth;
};

/* The conditions, in the order in which they are looked at. */
enum gate_condition {
	GATE_MAP,     /* the map is there and can be believed */
	GATE_RECORD,  /* the session has a record of this account (only with session) */
	GATE_MESH,    /* the address may be a mesh address (else, for certain: outside) */
	GATE_OWNER,   /* one peer of the interface owns it, by a /32 or /128 */
	GATE_ROUTE,   /* the reply route leaves through the interface */
	GATE_INGRESS, /* the connection arrived on it (only with fd) */
	GATE_KEY,     /* that tunnel key is in the kernel keyring */
	GATE_CARD,    /* the map has a live card for the key, with that address */
	GATE_LOGIN,   /* a login of the card maps to the account, and has the SSH key */
	GATE_CONDITIONS
};

enum gate_answer {
	GATE_NOT_ASKED, /* an earlier condition failed, or it does not apply */
	GATE_MET,
	GATE_FAILED,
};

enum gate_verdict {
	GATE_REFUSE,
	GATE_ADMIT,
	GATE_OUTSIDE, /* the address is not on the mesh: for the caller's policy to decide */
};

struct gate_decision {
	enum gate_verdict verdict;
	enum gate_answer answers[GATE_CONDITIONS];
	char details[GATE_CONDITIONS][160]; /* a few words on each that was asked: what was found */
	char reason[200];		    /* one line: why refused, or by what admitted */
	/* whose tunnel it is, as far as found; "" if not */
	char login[33], host[256], aid[45], said[45], key[45];
	char interface[16];
	uint64_t sn;
};

/* Decides. Changes nothing, keeps nothing, resolves no name. errno is preserved. Every condition
 * must be met for GATE_ADMIT; whatever cannot be found out is GATE_REFUSE. */
void gate_decide(const struct gate_request *request, struct gate_decision *decision);

/* Leaves the record of an admitted login for the audit session: a key of the ring, whose serial *record
 * becomes (DESIGN.md 5.9, Session record). 0, or an errno value. */
int gate_record(const struct gate_request *request, const struct gate_decision *decision,
	const char *session, int32_t *record);

/* Takes out of a word for the log what could pass for another field, or line. */
void gate_quote(char *text);

/* A short name for a condition ("address owned by one peer"), for `verimesh gate`. */
const char *gate_condition_name(enum gate_condition condition);

/* Where a login comes from, out of a service's sockets and texts (DESIGN.md 5.9, Remote end). */
enum gate_remote {
	GATE_REMOTE_ADDR,    /* *out is filled */
	GATE_REMOTE_NONE,    /* no remote end: rhost null or empty and nothing else */
	GATE_REMOTE_OUTSIDE, /* a value that is no address; *out has family 0 */
	GATE_REMOTE_REFUSE,  /* the sources disagree, there are several peers, or no telling */
};

/* rhost: PAM_RHOST or NULL; connection: SSH_CONNECTION of the PAM environment or NULL (callers in
 * session phases pass NULL); sockets: whether descriptors of this process may be looked at (not
 * with PAM_RUSER set, not with a real uid other than 0); where looking fails, whatever speaks of a
 * remote end is refused, and a console stays one. *fd is the socket that was used, or
 * -1; the process keeps owning it. May change errno. */
enum gate_remote gate_remote_end(
	const char *rhost, const char *connection, bool sockets, struct addr *out, int *fd);

#endif
