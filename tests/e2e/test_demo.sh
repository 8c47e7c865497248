#!/usr/bin/env bash
# test_demo.sh: what the demo shows, and then what happens on its hosts when something is broken.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# With db1 broken by one command nobody comes in over the mesh, the console stays open, and after
# another command all is well again.
broken() {
    step "$1: remote logins refused, the console open"
    run db1 "$2"
    gave 0
    run alice@web1 "ssh $ADDRESS_B true"
    gave 255
    run db1 "verimesh gate --user alice --from $ADDRESS_A"
    gave 1
    run db1 'su - alice -c "echo in"'
    gave 0 '^in$'
    run db1 'pamtester login alice acct_mgmt'
    gave 0
    run db1 "$3"
    gave 0
    run alice@web1 "ssh $ADDRESS_B true"
    gave 0
    passed
}

demo

map=/var/lib/verimesh/peers.cdb
ring="\$(cat /run/verimesh/${HOST_IF[db1]}.ring)"

step 'names are for everybody on the host'
run alice@web1 'getent hosts db1.clinic-b.mesh.internal'
gave 0 'db1\.clinic-b\.mesh\.internal'
passed

broken 'no map' "rm $map" 'verimesh sync'
broken 'half a map' "head -c 1500 $map > $map.half; mv $map.half $map" 'verimesh sync'
broken 'a map that others may write' "chmod 666 $map" "chmod 644 $map"
broken "a map that is not root's" "chown alice $map" "chown root $map"
broken 'an empty keyring' "keyctl clear $ring" 'verimesh sync'
broken 'no keyring' "keyctl revoke $ring" 'verimesh sync'
broken 'no way to the keyring' "rm /run/verimesh/${HOST_IF[db1]}.ring" 'verimesh sync'

step 'a configuration that cannot be read: one clear line, and the last good map stays in force'
run db1 'echo "Colour = red" >> /etc/verimesh/verimesh.conf; verimesh sync'
gave 2 '^verimesh: /etc/verimesh/verimesh\.conf:[0-9]+: .*Colour'
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'more than one line'
run alice@web1 "ssh $ADDRESS_B true"
gave 0
run db1 "sed -i '\$d' /etc/verimesh/verimesh.conf; verimesh sync"
gave 0
passed

demo_down
