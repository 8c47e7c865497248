#!/bin/sh
# test_sync.sh: sync, and an interface of wg-quick's, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh sync tests/e2e/test_sync.sh tests/e2e/test_adopt.sh
