#!/usr/bin/env bash
# test_recover.sh: a thief of the signing key anchors a card and logs in; recovered, it is gone, and so is he.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euo pipefail

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# Quietly: what one organisation exports comes to a host of another.
carry() { # carry FROM TO
    on "$1" verimesh export >"$LAB/stream"
    on "$2" verimesh import - <"$LAB/stream" >/dev/null
    on "$2" verimesh sync
}
login() { # login HOST ACCOUNT: whether it gets in at db1 over the mesh
    as alice "$1" timeout 20 ssh -o ConnectTimeout=5 "$2@db1.clinic-b.mesh.internal" hostname >/dev/null 2>&1
}
# The first packets may be lost while a tunnel finds its way.
comes_in() { # comes_in HOST ACCOUNT
    local tries
    for tries in 1 2 3 4; do
        ! login "$1" "$2" || return 0
        sleep "0.$tries"
    done
    return 1
}
key_of() { # key_of HOST
    on "$1" wg show verimesh0 public-key
}
is_peer() { # is_peer HOST KEY
    on "$1" wg show verimesh0 peers | grep -qxF "$2"
}
in_ring() { # in_ring HOST KEY
    on "$1" sh -c "keyctl show \$(cat /run/verimesh/verimesh0.ring)" | grep -qF "user: $2"
}
# A key is in none of the places that admit somebody.
is_gone() { # is_gone HOST KEY
    ! is_peer "$1" "$2" || failed "$1 has $2 as a peer"
    ! in_ring "$1" "$2" || failed "$1 has $2 in its keyring"
    ! on "$1" verimesh show "$2" >/dev/null 2>&1 || failed "$1 knows whose $2 is"
}

demo_hosts
demo_identities
demo_exchange
demo_policy
demo_up
say 'db1 keeps nothing of the names it looked up; alice of web1 may log in there.'
login web1 alice || failed 'no login to begin with'

step 'a thief has the signing key: he anchors a card for a host of his, and logs in'
host_start evil 192.0.2.66
on web1 tar -C / -c etc/verimesh var/lib/verimesh | on evil tar -C / -x
on evil sed -i 's/^Host = .*/Host = evil/' /etc/verimesh/verimesh.conf
run evil 'verimesh issue evil --endpoint 192.0.2.66:51820 --login alice && verimesh up'
gave 0
carry evil db1
comes_in evil alice || failed 'the thief is refused: this shows nothing'
stolen=$(key_of evil)
is_peer db1 "$stolen" || failed 'the thief is no peer'
passed

step 'his card is seen, and stops a rotation; recovered, it is gone, and he is cut off'
carry evil web1
run web1 'verimesh rotate --at now'
gave 1 '^verimesh: evil\.clinic-a: card E.* was not issued by this host; .* verimesh rotate --at now --recover [0-9]+$'
sn=$(sed -n 's/.*--recover //p' <<<"$OUT")
old=$(key_of web1)
run web1 "verimesh rotate --recover $sn --at now && verimesh sync"
gave 0 '^web1\.clinic-a: key '
! grep -q '^evil.*: key' <<<"$OUT" || failed 'his card is still listed'
grep -q '^evil\.clinic-a: card .* is superseded' <<<"$OUT" || failed 'it is not told'
carry web1 db1
is_gone db1 "$stolen"
is_gone db1 "$old"
! login evil alice || failed 'the thief still logs in'
# nor does he by the key of web1, whose seed he has
run evil "sed -i 's/^Host = .*/Host = web1/' /etc/verimesh/verimesh.conf; ip addr add 10.77.1.5 dev verimesh0
    wg set verimesh0 private-key /var/lib/verimesh/identity/tunnel"
! login evil alice || failed 'the thief logs in as web1'
comes_in web1 alice || failed 'web1 does not log in any more'
# what he signs from here on counts for nobody who saw the recovery
run evil "sed -i 's/^Host = .*/Host = evil/' /etc/verimesh/verimesh.conf; verimesh issue evil --login alice"
gave 0
on evil verimesh export >"$LAB/stream"
on db1 tee /root/evil.cesr <"$LAB/stream" >/dev/null
run db1 'verimesh import evil.cesr'
gave 1
run db1 'verimesh sync'
gave 0
is_gone db1 "$stolen"
comes_in web1 alice || failed 'web1 does not log in any more'
passed
