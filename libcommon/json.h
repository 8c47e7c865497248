/* json.h: strict pull reader of canonical JSON: no white space, one order, one spelling. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_JSON_H
#define VERIMESH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

#define JSON_DEPTH 32	 /* deepest nesting, the outermost map counted */
#define JSON_MEMBERS 256 /* most members of a map that json_value passes over */

/* A reader on bytes it does not own. The first error sticks: from then on every call returns its
 * false or empty value, so that a caller may read a whole message and look at `error` once. */
struct json {
	struct span rest;  /* what is still to be read */
	const char *error; /* NULL, or a few words on what is wrong there */
	unsigned depth;	   /* maps and lists open */
	bool first;	   /* no member or element of the innermost open map or list was read yet */
};

void json_init(struct json *j, struct span text);

/* Opens a map ('{') or list ('['); members follow with json_field, elements with json_next. */
void json_open(struct json *j, char brace);

/* Closes it, with '}' or ']'; a further member or element here is an error. */
void json_close(struct json *j, char brace);

/* Reads the name of the next member of a map, which must be `name`; the value follows. */
void json_field(struct json *j, const char *name);

/* The same if the next member has this name; false, and nothing read, if it has another or the
 * map ends. */
bool json_optional(struct json *j, const char *name);

/* In a list (closing ']'): true when another element follows (its comma is read), false at the end
 * (the closing bracket is read) or on error. */
bool json_next(struct json *j, char closing);

/* A string: the raw characters between the quotes. Valid UTF-8; escapes only where they must be,
 * in their shortest form (\" \\ \b \f \n \r \t, \u00xx lower case for other controls). */
struct span json_string(struct json *j);

/* Any value, checked whole: depth to JSON_DEPTH, no duplicate names in any map, no white space,
 * strings as above, numbers as in RFC 8259. Returns its raw text. O(n); at most JSON_DEPTH calls
 * deep, on 140 KB of stack. */
struct span json_value(struct json *j);

/* The first byte of the value that comes next, or 0 at the end: '"', '{', '[', a digit … */
char json_peek(const struct json *j);

/* True when no error stands and every byte was read. */
bool json_done(const struct json *j);

#endif
