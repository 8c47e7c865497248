/* tunnel.h: reads a WireGuard device: peers, allowed IPs, handshakes; who owns an address. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TUNNEL_H
#define VERIMESH_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"

#define ENDPOINT_TEXT 80 /* longest text of an endpoint, with a zone; NUL included */

/* What the reader hands out, in the device's order. */
struct tunnel_peer {
	uint8_t key[WG_KEY_BYTES];
	/* "198.51.100.7:51820" or "[2001:db8::7]:51820"; "": none known */
	char endpoint[ENDPOINT_TEXT];
	uint64_t handshake; /* seconds since 1970 of the latest; 0: never */
};

struct tunnel_device {
	/* all zero: none set, or a userspace device: its socket tells only the private key, from
	 * which sshd's module, without cryptography, cannot derive it */
	uint8_t public_key[WG_KEY_BYTES];
	uint16_t port;
	bool userspace; /* answers on its UAPI socket, not on netlink */
};

/* Called for the device once, then for each peer, then for each of that peer's prefixes; a peer
 * that netlink continues in its next message is told once. A NULL call back is left out. */
struct tunnel_visitor {
	void *ctx;
	void (*device)(void *ctx, const struct tunnel_device *device);
	void (*peer)(void *ctx, const struct tunnel_peer *peer);
	void (*prefix)(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix);
};

/* Reads the device whole: generic netlink, else /var/run/wireguard/INTERFACE.sock (socket and
 * directory must be uid 0's). Buffers, which hold the private key, are wiped. 0, or an errno value:
 * ENODEV no such interface in this network namespace, or none of WireGuard's; EPERM no right to
 * read it, or a socket that is not root's; EPROTO a socket that does not keep to the protocol;
 * ETIMEDOUT after about two seconds; EINTR the device was changed meanwhile: what was told does not
 * count, read again. errno is preserved. */
int tunnel_read(const char *interface, const struct tunnel_visitor *visitor);

/* The peer that owns addr: longest prefix over all peers, /0 included. A prefix inside IPv4-mapped
 * IPv6 is an entry of its own and owns no IPv4 address. 0, ENOENT when none does, or as
 * tunnel_read. */
int tunnel_owner(
	const char *interface, const struct addr *addr, uint8_t key[static WG_KEY_BYTES], struct prefix *by);

#endif
