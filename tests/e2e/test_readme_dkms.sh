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

# The tunnel key follows a rotation of the DKMS: lab1 makes it, its card has a time from which it is used,
# and one event of the DKMS rotates its keys and anchors that card.
step 'a key that is used from a time on, anchored in a rotation: the tunnel changes it then, the session stays'
run db1 "sed -i 's/^Logins = alice\$/Logins = alice bob/' /etc/verimesh/verimesh.conf"
run db1 'verimesh watch > watch.log 2>&1 &'
run lab1 'cat kel.cesr card.cesr | verimesh import - && verimesh sync'
gave 0
run lab1 'verimesh watch > watch.log 2>&1 &'
run lab1 'wg show verimesh0 public-key'
old=$OUT
run lab1 "from=\$(date -u -d '+9 seconds' +%FT%TZ); verimesh issue lab1 --aid $aid \$(verimesh key --renew) \\
    --from \$from --login bob --addr 10.77.3.5 --endpoint 198.51.100.9:51820 > next.cesr"
gave 0 '^\{"i":"E[^"]{43}","s":"1","d":"E[^"]{43}"\}$'
run dkms "echo '$OUT' | node dkms.mjs rotate"
gave 0
run dkms 'scp kel.cesr 198.51.100.9:'
gave 0
run lab1 'cat kel.cesr next.cesr | verimesh import - && verimesh show --json lab1.clinic-c.mesh.internal'
gave 0 '"next":"[^"]{44}"'
new=$(sed -n 's/.*"next":"\([^"]*\)".*/\1/p' <<<"$OUT")
run db1 'scp 198.51.100.9:kel.cesr . && scp 198.51.100.9:next.cesr . && cat kel.cesr next.cesr | verimesh import -'
gave 0
# shellcheck disable=SC2016 # the session's own
as alice lab1 ssh bob@db1.clinic-b.mesh.internal 'for i in $(seq 130); do echo $i; sleep 0.1; done; echo end' \
    >"$LAB/session" 2>&1 &
session=$!
uses() { # uses HOST KEY
    [ "$(on "$1" wg show verimesh0 public-key)" = "$2" ]
}
knows() { # knows HOST KEY: a peer of that key has the addresses
    on "$1" wg show verimesh0 allowed-ips | grep -F "$2" | grep -q fd
}
uses lab1 "$old" || failed 'too early'
for ((i = 0; i < 15; i++)); do
    ! uses lab1 "$new" || break
    sleep 1
done
uses lab1 "$new" || failed 'lab1 still has its old key'
soon knows db1 "$new" || failed 'db1 still knows lab1 by its old key'
run alice@lab1 'ssh bob@db1.clinic-b.mesh.internal hostname'
gave 0 '^db1$'
wait "$session" || failed 'the session ended'
[ "$(tail -n 1 "$LAB/session")" = end ] || failed "the session broke off: $(tail -n 3 "$LAB/session")"
run db1 "wg show verimesh0 peers"
! grep -qF "$old" <<<"$OUT" || failed 'the old key is still a peer'
passed
