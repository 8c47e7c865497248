/* err.c: fills error values; see err.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

#undef err_set /* what err.h tells an analyser */
#undef err_at

bool err_vset(struct err *err, enum err_status status, const char *fmt, va_list args) {
	int saved = errno;

	if (!err)
		return false;
	err->status = status;
	vsnprintf(err->text, sizeof err->text, fmt, args);
	for (char *p = err->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	errno = saved;
	return false;
}

bool err_set(struct err *err, enum err_status status, const char *fmt, ...) {
	va_list args;

	va_start(args, fmt);
	err_vset(err, status, fmt, args);
	va_end(args);
	return false;
}

bool err_at(struct err *err, const char *fmt, ...) {
	char where[sizeof err->text / 2], what[sizeof err->text];
	va_list args;

	if (!err)
		return false;
	va_start(args, fmt);
	vsnprintf(where, sizeof where, fmt, args);
	va_end(args);
	memcpy(what, err->text, sizeof what);
	return err_set(err, err->status, "%s: %s", where, what);
}
