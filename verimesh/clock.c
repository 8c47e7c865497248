/* clock.c: notes how the clock stands, and sees that it was set; see clock.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

#include "clock.h"
#include "interface.h"

#define SUFFIX "clock"

/* Seconds since 1970 at boot, by what the clock says now: keeping the clock right by its speed leaves it as
 * it is. */
static int64_t boot_time(void) {
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (int64_t)now.tv_sec - up.tv_sec;
}

bool clock_note(const char *root, const char *interface, struct err *err) {
	char text[24];

	snprintf(text, sizeof text, "%" PRId64 "\n", boot_time());
	return interface_note(root, interface, SUFFIX, text, 0644, err);
}

int64_t clock_jump(const char *root, const char *interface) {
	int64_t jump = 0;
	char *text;

	if (interface_noted(root, interface, SUFFIX, &text) && text)
		jump = boot_time() - strtoll(text, NULL, 10);
	free(text);
	return jump;
}

bool clock_is_loose(void) {
	return adjtimex(&(struct timex){0}) == TIME_ERROR;
}
