/* netlink.h: asks the kernel over netlink. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_NETLINK_H
#define VERIMESH_NETLINK_H

#include <libmnl/libmnl.h>
#include <stddef.h>

/* Sends the request that stands at the start of buf over a socket of this bus (NETLINK_GENERIC,
 * NETLINK_ROUTE) and hands each message of the answer to `answer`, until that returns MNL_CB_STOP or the
 * dump ends. The answers are read into buf, too, which is wiped in the end. The kernel answers while it is
 * asked: nothing to wait for is an error. 0, or an errno value: what the kernel says, EPROTO a message
 * without sense, EINTR what was dumped changed meanwhile. */
int netlink_ask(int bus, void *buf, size_t size, mnl_cb_t answer, void *data);

#endif
