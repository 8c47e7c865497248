#!/bin/sh
# test_wg0.sh: README's set-ups behind NAT and on an interface of wg-quick's, on the kernel's WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
exec tests/vm/boot.sh wg0 tests/e2e/test_readme_wg0.sh
