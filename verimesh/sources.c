/* sources.c: what the Sources of the own organisation show; see sources.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "book.h"
#include "sources.h"
#include "stream.h"

/* file:/PATH or file:///PATH; NULL for another. */
static const char *path_of(const char *source) {
	if (strncmp(source, "file:", 5) != 0)
		return NULL;
	return strncmp(source + 5, "//", 2) == 0 ? source + 7 : source + 5;
}

static bool agrees(const char *source, const struct kel *kel, struct err *err) {
	const char *path = path_of(source);
	struct book book = {.forgiving = true};
	char ours[CESR_TEXT], theirs[CESR_TEXT];
	const struct kel *shown;
	bool good = true;

	if (!path || !stream_verify(path, &book, NULL))
		return true; /* a Source that cannot be asked does not disagree */
	shown = book_kel(&book, kel->aid);
	if (shown && shown->count > kel->count)
		good = err_set(err, ERR_NO,
			"%s: has sn %" PRIu64 " of the own log, this host only sn %" PRIu64
			"; verimesh import it first",
			source, shown->count - 1, kel->count - 1);
	else if (shown && kel_said(kel, shown->count - 1, ours) &&
		 kel_said(shown, shown->count - 1, theirs) && strcmp(ours, theirs) != 0)
		good = err_set(err, ERR_NO,
			"%s: has another event at sn %" PRIu64 " of the own log; find out which one holds",
			source, shown->count - 1);
	book_free(&book);
	return good;
}

bool sources_agree(const struct policy *policy, const struct kel *kel, struct err *err) {
	const struct policy_peer *own = policy_peer(policy, policy->self);

	for (size_t i = 0; own && i < own->nsources; i++)
		if (!agrees(own->sources[i], kel, err))
			return false;
	return true;
}
