#!/bin/sh
# test_rotate.sh: keys that change, missed rotations, a thief, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh rotate tests/e2e/test_rotate.sh
