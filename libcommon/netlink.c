/* netlink.c: asks the kernel over netlink; see netlink.h. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"

/* NLMSG_ERROR, and NLMSG_DONE in which a dump says how it went (libmnl's own handler does not look):
 * both start with 0 or an errno value, mostly negative. */
static int end_message(const struct nlmsghdr *message, void *data) {
	int code = EPROTO;

	(void)data;
	if (mnl_nlmsg_get_payload_len(message) >= sizeof code)
		memcpy(&code, mnl_nlmsg_get_payload(message), sizeof code);
	errno = abs(code);
	return code ? MNL_CB_ERROR : MNL_CB_STOP;
}

int netlink_ask(int bus, void *buf, size_t size, mnl_cb_t answer, void *data) {
	mnl_cb_t ends[] = {[NLMSG_ERROR] = end_message, [NLMSG_DONE] = end_message};
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int rc = MNL_CB_OK;
	ssize_t n = -1;

	if (!nl)
		return errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0)
		n = mnl_socket_sendto(nl, buf, ((struct nlmsghdr *)buf)->nlmsg_len);
	while (n >= 0 && rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, size);
		if (n < 0)
			break;
		errno = EPROTO; /* a message without sense */
		rc = mnl_cb_run2(buf, (size_t)n, 0, mnl_socket_get_portid(nl), answer, data, ends,
			MNL_ARRAY_SIZE(ends));
	}
	rc = n < 0 || rc < 0 ? errno : 0;
	explicit_bzero(buf, size);
	mnl_socket_close(nl);
	return rc;
}
