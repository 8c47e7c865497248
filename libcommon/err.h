/* err.h: an error as a value: what went wrong, where, and the mend, in one line. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_ERR_H
#define VERIMESH_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* Exit status of the command that an error leads to (DESIGN.md 6). */
enum err_status {
	ERR_NO = 1,    /* the answer is no, or only part was done */
	ERR_USAGE = 2, /* called wrongly, or a configuration that cannot be read */
	ERR_ENV = 3,   /* the environment failed: file, permission, device */
};

struct err {
	enum err_status status;
	char text[512]; /* "WHERE: WHAT", printable, without a line end */
};

/* Fills *err; text is cut to fit and every byte that is not printable ASCII
 * becomes '?', so that hostile input can be quoted. Returns false, so that a caller
 * can `return err_set(...)`. err may be NULL. errno is preserved. */
bool err_set(struct err *err, enum err_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

bool err_vset(struct err *err, enum err_status status, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Puts "WHERE: " in front of the text that is there. Returns false. */
bool err_at(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* It sees one file at a time: what comes back is false. */
#define err_set(...) (err_set(__VA_ARGS__), 0)
#define err_at(...) (err_at(__VA_ARGS__), 0)
#endif

#endif
