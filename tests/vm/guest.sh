#!/bin/bash
# guest.sh: the guest's first process on the host's root: runs the tests that boot.sh names.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What it prints goes out by the second serial line; the first has the kernel's messages.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
mount -t tmpfs -o mode=755 run /run
ip link set lo up
# without it nothing can stand in for the kernel
rm -f "$(command -v wireguard-go)"
cd "$REPO"
{
    stty -F /dev/ttyS1 -onlcr
    JOBS=1 tests/run "$@" || true
} >/dev/ttyS1 2>&1 </dev/null
echo o >/proc/sysrq-trigger
sleep infinity
