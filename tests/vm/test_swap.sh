#!/bin/sh
# test_swap.sh: keys that change in step, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh swap tests/e2e/test_swap.sh
