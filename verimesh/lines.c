/* lines.c: reads the system's configuration line by line; see lines.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "lines.h"

bool text_open(struct text *text, const char *root, const char *dir, const char *name) {
	size_t n;

	*text = (struct text){0};
	if (!file_path(text->path, root, dir, name, NULL) ||
		!file_read(text->path, 1 << 20, (uint8_t **)&text->data, &n, NULL))
		return false;
	text->rest = text->data;
	return true;
}

void text_close(struct text *text) {
	free(text->data);
}

bool text_next(struct text *text) {
	bool more;

	text->line = text->rest;
	text->number = text->lines + 1;
	do {
		strsep(&text->rest, "\n");
		text->lines++;
		more = text->rest && text->rest - text->line > 1 && text->rest[-2] == '\\' &&
		       text->line[strspn(text->line, BLANK)] != '#';
		if (more)
			text->rest[-2] = text->rest[-1] = ' ';
	} while (more);
	if (text->line)
		text->line[strcspn(text->line, "#")] = 0;
	return text->line;
}

void text_where(const struct text *text, char where[static WHERE_SIZE]) {
	snprintf(where, WHERE_SIZE, "%s:%u", text->path, text->number);
}

char *next_word(char **rest) {
	char *word = *rest + strspn(*rest, BLANK);
	char *end = *word == '[' ? strchrnul(word, ']') : word + strcspn(word, BLANK);

	end += *end == ']';
	*rest = *end ? end + 1 : end;
	*end = 0;
	return word;
}
