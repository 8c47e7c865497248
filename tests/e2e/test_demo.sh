#!/usr/bin/env bash
# test_demo.sh: what the demo shows; then, on its hosts, what is broken, forged or changed.
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

step "the tunnel is the kernel's own wherever the kernel has WireGuard"
kind=tun processes='^[0-9]+$'
if on web1 ip link add probe type wireguard 2>/dev/null; then
    on web1 ip link del probe
    kind=wireguard processes='^none$'
fi
run web1 'ip -d link show verimesh0'
gave 0 "^ +$kind "
run web1 'pgrep wireguard-go || echo none'
gave 0 "$processes"
passed

map=/var/lib/verimesh/peers.cdb
ring="\$(cat /run/verimesh/verimesh0.ring)"

step 'names are for everybody on the host'
run alice@web1 'getent hosts db1.clinic-b.mesh.internal'
gave 0 'db1\.clinic-b\.mesh\.internal'
passed

step 'the gate does not tell those whom it cannot tell'
run alice@db1 "verimesh gate --user alice --from $ADDRESS_A"
gave 3 '^verimesh: gate: cannot tell: only root may look'
passed

broken 'no map' "rm $map" 'verimesh sync'
broken 'half a map' "head -c 1500 $map > $map.half; mv $map.half $map" 'verimesh sync'
broken 'a map that others may write' "chmod 666 $map" "chmod 644 $map"
broken "a map that is not root's" "chown alice $map" "chown root $map"
broken 'an empty keyring' "keyctl clear $ring" 'verimesh sync'
broken 'no keyring' "keyctl revoke $ring" 'verimesh sync'
broken 'no way to the keyring' "rm /run/verimesh/verimesh0.ring" 'verimesh sync'

step 'a configuration that cannot be read: one clear line, and the last good map stays in force'
run db1 'echo "Colour = red" >> /etc/verimesh/verimesh.conf; verimesh sync'
gave 2 '^verimesh: /etc/verimesh/verimesh\.conf:[0-9]+: .*Colour'
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'more than one line'
run alice@web1 "ssh $ADDRESS_B true"
gave 0
run db1 "sed -i '\$d' /etc/verimesh/verimesh.conf; verimesh sync"
gave 0
passed

# 10.77.2.5 past the tunnel, from 10.77.1.5. The answers take the tunnel; then, with the second route,
# they go past it too.
step 'a mesh address that comes in over the bare network is refused'
run alice@web1 'ssh 10.77.2.5 true'
gave 0
run web1 'ip route add 10.77.2.5/32 via 192.0.2.2 src 10.77.1.5'
run alice@web1 'ssh 10.77.2.5 true'
gave 255
logged db1 'refused account=alice from=10\.77\.1\.5'
run db1 'ip route add 10.77.1.5/32 via 192.0.2.1'
run alice@web1 'ssh 10.77.2.5 true'
gave 255
logged db1 'refused account=alice from=10\.77\.1\.5'
run web1 'ip route del 10.77.2.5/32 via 192.0.2.2'
run db1 'ip route del 10.77.1.5/32 via 192.0.2.1'
run alice@web1 'ssh 10.77.2.5 true'
gave 0
passed

step 'a new card for web1: bob is admitted, alice no longer'
run web1 'verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login bob'
gave 0
demo_carry web1 db1 clinic-a.cesr
run db1 'verimesh sync'
gave 0
run alice@web1 "ssh bob@$ADDRESS_B id -un"
gave 0 '^bob$'
run alice@web1 "ssh $ADDRESS_B id -un"
gave 255
passed

step 'a stream that was tampered with is refused, and nothing changes'
run db1 "sed 's/clinic/clinik/; s/web1/web2/' clinic-a.cesr | verimesh import -"
gave 1 '^verimesh: '
run db1 'head -c 700 clinic-a.cesr | verimesh verify --json -'
gave 1 '"verdict":"truncated"'
run db1 'verimesh sync'
gave 0
run alice@web1 "ssh bob@$ADDRESS_B true"
gave 0
passed

step 'up again is no trouble; an interface of somebody else is left alone'
run db1 'verimesh up'
gave 0
run web1 "verimesh down; ip link add verimesh0 type wireguard || wireguard-go verimesh0"
gave 0
soon on web1 wg show "verimesh0" >/dev/null 2>&1
run web1 "wg set verimesh0 peer \$(wg genkey | wg pubkey); verimesh up"
gave 3 "^verimesh: verimesh0.* 1 peers? that verimesh does not know"
run web1 'verimesh down'
gave 3
run web1 "ip link del verimesh0; verimesh up"
gave 0
run alice@web1 "ssh bob@$ADDRESS_B true"
gave 0
passed

step 'and one more: alice again'
run web1 'verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login alice && verimesh sync'
gave 0
demo_carry web1 db1 clinic-a.cesr
run db1 'verimesh sync'
gave 0
passed

demo_rotation
demo_down
