#!/bin/sh
# test_networkd.sh: an interface of systemd-networkd's, which needs WireGuard in the kernel.
# SPDX-License-Identifier: LGPL-2.1-or-later
if [ ! -x /lib/systemd/systemd-networkd ]; then
    echo "skip networkd: systemd-networkd is not installed"
    exit 0
fi
exec tests/vm/boot.sh networkd tests/vm/networkd.sh
