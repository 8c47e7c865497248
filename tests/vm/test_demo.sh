#!/bin/sh
# test_demo.sh: the demo and what follows it, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh demo tests/e2e/test_demo.sh
