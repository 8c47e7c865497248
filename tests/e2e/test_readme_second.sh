#!/usr/bin/env bash
# test_readme_second.sh: README's set-up of a second server, which joins the first set-up.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/readme.sh
. tests/e2e/readme.sh

readme_two_servers
readme_host db2 198.51.100.8
readme 'A second server of your own'

step "db2 has a seed of its own, and nothing of the identity's"
run db2 'ls /var/lib/verimesh/identity'
[ "$OUT" = $'hostseed\ntunnel' ] || failed 'not these two'
passed

step 'without its card it is gone again'
run db1 'verimesh withdraw db2 && verimesh sync && verimesh export > clinic-b.cesr'
gave 0
run db1 'scp clinic-b.cesr alice@web1.clinic-a.mesh.internal:'
gave 0
run web1 'verimesh import ~alice/clinic-b.cesr && verimesh sync'
gave 0
run web1 'getent hosts db2.clinic-b.mesh.internal'
gave 2
run web1 'wg show verimesh0 peers | wc -l'
gave 0 '^1$'
run alice@web1 'ssh db1.clinic-b.mesh.internal hostname'
gave 0 '^db1$'
passed
