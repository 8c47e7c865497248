#!/usr/bin/env bash
# test_readme_two.sh: README's set-up of two servers, one of them behind NAT.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/readme.sh
. tests/e2e/readme.sh

readme_two_servers

step 'web1 has no address of its own out there'
run db1 'wg show verimesh0 endpoints'
gave 0 '198\.51\.100\.20:[0-9]+$'
run alice@db1 'ssh -o ConnectTimeout=2 192.168.1.10 true'
gave 255
passed
