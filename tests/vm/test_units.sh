#!/bin/sh
# test_units.sh: the systemd units, with systemd and the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
if [ ! -x /lib/systemd/systemd ]; then
    echo "skip units: systemd is not installed"
    exit 0
fi
exec tests/vm/boot.sh units tests/vm/units.sh
