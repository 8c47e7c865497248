/* card.h: tunnel cards: parse, SAID, schema, and what is derived from them (DESIGN.md 5.2, 5.3). */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_CARD_H
#define VERIMESH_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"
#include "cesr.h"
#include "err.h"
#include "span.h"

/* SAID of packaging/schema/tunnel-card.schema.json. */
#define CARD_SCHEMA "EIMwJjaS2DG8SaQXJW8ppKYDgllMoAheSTiFzVfgonZa"

#define LABEL_MAX 40		      /* characters of a host label, of a petname */
#define LOGIN_MAX 32		      /* characters of a login */
#define TIME_TEXT 33		      /* a time as KERI writes it, and a NUL */
#define ENDPOINT_TEXT (ADDR_TEXT + 8) /* the longest endpoint, and a NUL */
#define NEVER INT64_MAX		      /* a time that does not come */
#define CARD_ADDRS_MAX 16
#define CARD_ROUTES_MAX 64
#define CARD_LOGINS_MAX 256
#define CARD_LOGINKEYS_MAX 512
#define CARD_HOSTKEYS_MAX 8

/* All spans point into the body; the caller keeps it. A field that the card leaves out is empty. */
struct card {
	struct span body;
	struct span said, issuer, registry; /* d, i, ri */
	struct span host;		    /* label */
	bool has_key;			    /* false: this card withdraws the host */
	uint8_t key[WG_KEY_BYTES];
	int64_t issued, from, until; /* microseconds since 1970; from 0 and until NEVER when left out */
	struct span endpoint, journal, rosenpass;
	/* raw lists of strings, all elements checked; walk them with event_next_text */
	struct span addrs, routes, logins, loginkeys, hostkeys;
};

/* SAID of any ACDC whose version string cesr_message has checked: canonical JSON, v and d first, and
 * d must be the digest of the body. said gets d. */
bool card_check_said(struct span body, char said[static CESR_TEXT], struct err *err);

/* Reads a tunnel card: SAID, schema, field order, every value canonical. On failure *card is half
 * filled. */
bool card_parse(struct span body, struct card *card, struct err *err);

/* What a new card says; spans and lists of the caller. */
struct card_content {
	const char *issuer, *host;
	const uint8_t *key;	     /* 32 bytes, or NULL to withdraw the host */
	int64_t issued, from, until; /* microseconds; from 0 and until NEVER are left out */
	char **addrs, **routes, **logins, **loginkeys, **hostkeys; /* NULL-terminated, or NULL */
	const char *endpoint, *journal, *rosenpass;		   /* or NULL */
};

/* Writes the card's body; *body is malloc'd, the caller's. What card_parse would refuse is an
 * error, so that a host never issues a card that others do not take. */
bool card_write(const struct card_content *content, uint8_t **body, size_t *n, struct err *err);

/* [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most LABEL_MAX (DESIGN.md 5.2). */
bool label_valid(struct span text);
/* [a-z_][a-z0-9_-]{0,31} (DESIGN.md 5.2). */
bool login_valid(struct span text);

/* As addr_parse, and the text must be the canonical one. */
bool addr_parse_canonical(struct span text, struct addr *out);
/* "10.77.2.0/24": the canonical text and no other, so the host bits are zero. */
bool prefix_parse(struct span text, struct prefix *out);
/* "198.51.100.7:51820" or "[2001:db8::7]:51820", canonical. */
bool endpoint_parse(struct span text, struct addr *addr, uint16_t *port);
char *endpoint_format(const struct addr *addr, uint16_t port, char text[static ENDPOINT_TEXT]);

/* The address that the host owns by its name alone (DESIGN.md 5.3), and the /48 of its
 * organisation. */
struct addr derived_addr(const char *aid, struct span label);
struct prefix derived_prefix(const char *aid);

/* The first 8 bytes of the digest, for the uid of a login, and, with login empty, the gid of the
 * organisation (DESIGN.md 5.6). */
uint64_t derived_number(const char *aid, struct span login);

/* Time as KERI writes it: 2026-01-01T00:00:00.000000+00:00, microseconds since 1970. Only the
 * offset +00:00 is written; any offset of hours and minutes is read. */
bool time_parse(struct span text, int64_t *micros);
char *time_format(int64_t micros, char text[static TIME_TEXT]);

#endif
