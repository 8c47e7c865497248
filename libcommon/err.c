/* err.c: fills error values; see err.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

static void make_printable(char *text) {
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

bool err_set(struct err *err, enum err_status status, const char *fmt, ...) {
	int saved = errno;
	va_list args;

	if (err) {
		err->status = status;
		va_start(args, fmt);
		vsnprintf(err->text, sizeof err->text, fmt, args);
		va_end(args);
		make_printable(err->text);
	}
	errno = saved;
	return false;
}

bool err_at(struct err *err, const char *fmt, ...) {
	int saved = errno;
	char where[sizeof err->text / 2], what[sizeof err->text];
	va_list args;

	if (err) {
		va_start(args, fmt);
		vsnprintf(where, sizeof where, fmt, args);
		va_end(args);
		memcpy(what, err->text, sizeof what);
		if (snprintf(err->text, sizeof err->text, "%s: %s", where, what) < 0)
			err->text[0] = 0;
		make_printable(err->text);
	}
	errno = saved;
	return false;
}
