/* tunnel.h: reads a WireGuard device: peers, handshakes, allowed IPs; who owns an address. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_TUNNEL_H
#define VERIMESH_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "base64.h"

struct tunnel_peer {
	uint8_t key[WG_KEY_BYTES];
	uint64_t handshake;	/* seconds since 1970 of the latest; 0: never */
	struct addr endpoint;	/* family 0: none */
	uint16_t endpoint_port; /* host byte order */
	uint16_t keepalive;	/* seconds; 0: off */
};

/* Called in the device's order: for each prefix of a peer, when no more than the key may be known yet,
 * and then once, with prefix NULL, for the peer itself. */
typedef void tunnel_visit(void *ctx, const struct tunnel_peer *peer, const struct prefix *prefix);

/* Reads the device whole: generic netlink, else /var/run/wireguard/INTERFACE.sock (socket and directory
 * must be root's alone). visit may be NULL; so may port, which becomes the port that the device listens
 * on, 0 for none. Buffers, which hold the private key, are wiped. 0, or an errno value: ENODEV no such
 * interface in this network namespace, or none of WireGuard's; EPERM no right to read it, or a socket that
 * is not root's; EPROTO a socket that does not keep to the protocol; ETIMEDOUT after some seconds; EINTR the
 * device was changed meanwhile: what was told does not count, read again. */
int tunnel_read(const char *interface, tunnel_visit *visit, void *ctx, uint16_t *port);

/* The peer that owns addr: longest prefix over all peers, /0 included. A prefix inside IPv4-mapped
 * IPv6 is an entry of its own and owns no IPv4 address. 0, ENOENT when none does, or as tunnel_read. */
int tunnel_owner(
	const char *interface, const struct addr *addr, uint8_t key[static WG_KEY_BYTES], struct prefix *by);

#endif
