#!/usr/bin/env bash
# test_readme_dkms.sh: README's set-up of an organisation whose DKMS is another program, signify-ts.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euo pipefail

# shellcheck source=tests/interop/signify.sh
. tests/interop/signify.sh
[ -z "$WHY" ] || { echo "skip An organisation with its own DKMS: $WHY" && exit 0; }

# shellcheck source=tests/e2e/readme.sh
. tests/e2e/readme.sh

readme_two_servers
readme_host dkms 198.51.100.30
cp -r tests/interop/dkms.mjs "$interop/node_modules" "$LAB/dkms/root/root/"
readme_host lab1 198.51.100.9
readme 'An organisation with its own DKMS'

# What db1 knows of lab1 after it took in one more file from there.
carry() {
    run db1 "scp 198.51.100.9:$1 . && verimesh import $1 && verimesh sync"
    gave 0
    run db1 'getent hosts lab1.clinic-c.mesh.internal'
}

step 'a next card, anchored in a rotation: the first is void even before the next is seen'
aid=${REAL[EG6wHDWBgQXMLRL1vHKy76Ph3nO15aKYLTLapBOJ6dzh]}
run lab1 "verimesh issue lab1 --aid $aid \$(verimesh key) --login bob > card.cesr"
gave 0 '^\{"i":"E[^"]{43}","s":"1","d":"E[^"]{43}"\}$'
run dkms "echo '$OUT' | node dkms.mjs rotate"
gave 0
run dkms 'scp kel.cesr 198.51.100.9:'
gave 0
carry kel.cesr
gave 2
carry card.cesr
gave 0
run db1 "verimesh gate --user alice --from ${OUT%% *}"
gave 1 'refused: no login of lab1\.clinic-c\.mesh\.internal becomes alice'
passed
