#!/bin/sh
# test_recover.sh: a thief of the signing key is cut off, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh recover tests/e2e/test_recover.sh
