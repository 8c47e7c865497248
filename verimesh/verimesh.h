/* verimesh.h: what the verbs of the command share. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_VERIMESH_H
#define VERIMESH_VERIMESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book.h"
#include "err.h"

/* How a verb was called: its own words, without --root and --help. */
struct command {
	const char *root; /* "" or an absolute directory */
	char **args;	  /* NULL-terminated; args[0] is the verb */
	int nargs;
};

/* A word that starts like an option, which the verb does not have; "-" is none. */
static inline bool is_option(const char *word) {
	return word[0] == '-' && word[1];
}

/* Each verb returns the exit status (DESIGN.md 6): 0, 1, 2 or 3. */
int verb_check(const struct command *command);
int verb_down(const struct command *command);
int verb_export(const struct command *command);
int verb_fetch(const struct command *command);
int verb_gate(const struct command *command);
int verb_import(const struct command *command);
int verb_init(const struct command *command);
int verb_issue(const struct command *command);
int verb_key(const struct command *command);
int verb_rotate(const struct command *command);
int verb_show(const struct command *command);
int verb_sync(const struct command *command);
int verb_up(const struct command *command);
int verb_verify(const struct command *command);
int verb_watch(const struct command *command);
int verb_withdraw(const struct command *command);

/* Prints one problem: "verimesh: WHERE: WHAT" on stderr. Returns its exit status. */
int problem(const struct err *err);

/* The same for a call that is wrong: WHAT, and how to get help. Returns ERR_USAGE. */
int usage(const struct command *command, const char *what);

/* Prints a verdict in the same form; where names the stream. */
void print_verdict(const char *where, const struct verdict *verdict);

#endif
