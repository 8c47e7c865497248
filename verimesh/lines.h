/* lines.h: reads the system's configuration line by line, word by word. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_LINES_H
#define VERIMESH_LINES_H

#include <limits.h>
#include <stdbool.h>

#define BLANK " \t"
#define WHERE_SIZE (PATH_MAX + 16) /* FILE:LINE */
#define INCLUDED_MAX 64		   /* files that one may include */

/* A text file that is read line by line. */
struct text {
	char path[PATH_MAX];
	char *data, *rest;
	char *line;		/* the one under way, without its comment */
	unsigned number, lines; /* its number, and how many were read */
};

/* Opens root + dir (+ "/" + name). One that cannot be read has no lines: false. text_close in any case. */
bool text_open(struct text *text, const char *root, const char *dir, const char *name);
void text_close(struct text *text);

/* Takes the next line, and those that go on behind a backslash at its end. */
bool text_next(struct text *text);

/* FILE:LINE of the line under way. */
void text_where(const struct text *text, char where[static WHERE_SIZE]);

/* Takes the next word, "" at the end; one in brackets may hold blanks. */
char *next_word(char **rest);

#endif
