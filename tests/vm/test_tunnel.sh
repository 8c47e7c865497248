#!/bin/sh
# test_tunnel.sh: the tunnel's reader and the PAM module, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh tunnel "${B:-build}/tests/test_tunnel" "${B:-build}/tests/test_pam"
