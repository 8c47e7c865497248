/* tunnel.h: reads a WireGuard device: peers, allowed IPs, handshakes; who owns an address. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TUNNEL_H
#define VERIMESH_TUNNEL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"

/* What the reader hands out, in the device's order. A peer may come in several pieces (netlink
 * continues one in the next message): pieces of one peer have one key and follow each other. */
struct tunnel_peer {
	uint8_t key[WG_KEY_BYTES];
	uint8_t psk_set;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} endpoint;	   /* sa_family 0: none known */
	int64_t handshake; /* seconds since 1970 of the latest; 0: never */
	uint64_t rx_bytes, tx_bytes;
	uint16_t keepalive; /* seconds; 0: off */
};

struct tunnel_device {
	uint8_t public_key[WG_KEY_BYTES]; /* all zero: none set */
	uint16_t port;
	bool userspace; /* answers on its UAPI socket, not on netlink */
};

/* Called for the device once, then for each peer, then for each of that peer's prefixes. A call
 * back that is NULL is left out. */
struct tunnel_visitor {
	void *ctx;
	void (*device)(void *ctx, const struct tunnel_device *device);
	void (*peer)(void *ctx, const struct tunnel_peer *peer);
	void (*prefix)(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix);
};

/* Reads the device whole: generic netlink, else /var/run/wireguard/INTERFACE.sock (the socket must
 * be uid 0's). Buffers, which hold the private key, are wiped. 0, or an errno value (ENODEV: no
 * such interface, or none of WireGuard's). Bounded in time. errno is preserved. */
int tunnel_read(const char *interface, const struct tunnel_visitor *visitor);

/* The peer that owns addr: longest prefix over all peers, /0 included. 0, ENOENT when none does, or
 * as tunnel_read. */
int tunnel_owner(const char *interface, const struct addr *addr, uint8_t key[static WG_KEY_BYTES],
	struct prefix *by);

#endif
