#!/usr/bin/env bash
# test_sshd_paths.sh: an address counts only by the way on which its owner's tunnel brings it; real sshd.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# shellcheck source=tests/e2e/sshd.sh
. tests/e2e/sshd.sh

sshd_mesh
OWN="key=${KEY[web1]}:"

# Nobody asks the kernel of these hosts to drop what comes by an unexpected way.
loose() {
    on "$1" sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done'
}

# web1 sends what is for db1's mesh address over the plain network, as it may: db1 has that address, too.
plainly() {
    on web1 ip rule "$1" to $V4 lookup 5 pref 5
}

# Adds or deletes the way by which db1 answers web1's mesh addresses over the plain network, to mallory.
lured() {
    on db1 ip route "$1" $FROM_V4 via 192.0.2.9
    on db1 ip route "$1" "$FROM_V6" via 2001:db8::9
}

loose web1
loose db1
on web1 ip route add default via 192.0.2.2 dev eth0 src 192.0.2.1 table 5

step "to db1's mesh address, but not by the tunnel: the address that is called proves nothing"
comes $V4
let_in $FROM_V4
plainly add
comes $V4
kept_out '192.0.2.1: 192.0.2.1 is outside the mesh'
plainly del
comes $V4
let_in $FROM_V4
passed

step "from web1's mesh address, but not by the tunnel, though the answers go by it"
plainly add
comes $V4 -b $FROM_V4
kept_out "$FROM_V4 $OWN the connection of $FROM_V4 arrived on eth0"
plainly del
comes $V4 -b $FROM_V4
let_in $FROM_V4
passed

step "mallory on the plain network takes web1's mesh addresses, and has db1 answer there"
host_start mallory 192.0.2.9
loose mallory
for host in db1/2 mallory/9; do
    on "${host%/*}" ip addr add "2001:db8::${host#*/}/64" dev eth0 nodad
done
on mallory ip addr add $FROM_V4/32 dev eth0
on mallory ip addr add "$FROM_V6/128" dev eth0 nodad
lured add
CLIENT=mallory comes 192.0.2.2 -b $FROM_V4
kept_out "$FROM_V4 $OWN the reply to $FROM_V4 leaves through eth0"
CLIENT=mallory comes 2001:db8::2 -b "$FROM_V6"
kept_out "$FROM_V6 $OWN the reply to $FROM_V6 leaves through eth0"
lured del
comes $V4
let_in $FROM_V4
comes "$V6"
let_in "$FROM_V6"
passed

step "and with a rule of db1's that sends sshd's answers there, and nothing else"
on db1 ip route add default via 192.0.2.9 table 9
on db1 ip -6 route add default via 2001:db8::9 table 9
on db1 ip rule add to $FROM_V4 ipproto tcp sport 22 lookup 9 pref 9
on db1 ip -6 rule add to "$FROM_V6" ipproto tcp sport 22 lookup 9 pref 9
CLIENT=mallory comes 192.0.2.2 -b $FROM_V4
kept_out "$FROM_V4 $OWN the connection of $FROM_V4 arrived on eth0"
CLIENT=mallory comes 2001:db8::2 -b "$FROM_V6"
kept_out "$FROM_V6 $OWN the connection of $FROM_V6 arrived on eth0"
on db1 ip rule del pref 9
on db1 ip -6 rule del pref 9
comes $V4
let_in $FROM_V4
comes "$V6"
let_in "$FROM_V6"
passed

step 'web1 is a hub, too: a network stands behind it'
host_start ws 10.80.0.7 behind web1
BEHIND="10.80.0.0/24 to peer ${KEY[web1]}"
run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr $FROM_V4 --login alice --route 10.80.0.0/24"
gave 0
SN[web1]=2
on db1 sed -i 's|^AllowedIPs = 10.77.1.0/24|&, 10.80.0.0/24|' /etc/verimesh/verimesh.conf
demo_carry web1 db1 clinic-a.cesr
run db1 'verimesh sync; wg show verimesh0 allowed-ips'
gave 0 ' 10\.80\.0\.0/24 '
passed

step 'who stands behind a hub is not known, and is not let in'
CLIENT=ws comes $V4
kept_out "10.80.0.7 $OWN 10.80.0.7 is only routed by $BEHIND"
comes $V4
let_in $FROM_V4
passed

step 'unless the hub speaks for him in its own name: a tunnel proves the hub, not who is behind it'
on web1 nft -f - <<<'table ip speaks {
    chain out { type nat hook postrouting priority 100; oifname verimesh0 masquerade; }
}'
CLIENT=ws comes $V4
let_in $FROM_V4
on web1 nft delete table ip speaks
CLIENT=ws comes $V4
kept_out "10.80.0.7 $OWN 10.80.0.7 is only routed by $BEHIND"
passed

# The card of ward, of clinic-c, gets to db1.
ward_card() {
    run ward "verimesh $1"
    gave 0
    demo_carry ward db1 clinic-c.cesr
    AIDS[ward]=$AID
    run db1 'verimesh sync; wg show verimesh0 allowed-ips'
    gave 0
}

step "ward, of another organisation, has one address in that network; it is a hub for one around web1's"
host_start ward 192.0.2.3
run ward 'verimesh init ward --self clinic-c --endpoint 192.0.2.3:51820 --addr 10.80.0.5 --login alice'
gave 0
on ward tee -a /etc/verimesh/verimesh.conf >/dev/null <<END

[Peer clinic-b]
AID = $AID_B
AllowedIPs = 10.77.2.0/24
END
demo_carry db1 ward clinic-b.cesr
run ward 'verimesh up'
gave 0
on db1 tee -a /etc/verimesh/verimesh.conf >/dev/null <<END

[Peer clinic-c]
AID = $(on ward cat /var/lib/verimesh/identity/aid)
AllowedIPs = 10.80.0.5/32, 10.77.0.0/23
Logins = alice
END
ward_card 'issue ward --endpoint 192.0.2.3:51820 --addr 10.80.0.5 --login alice --route 10.77.0.0/23'
gave 0 '10\.77\.0\.0/23'
NAME[ward]=ward.clinic-c.mesh.internal SN[ward]=2 KEY[ward]=$(on ward wg show verimesh0 public-key)
on ward ip addr add 10.77.0.9/32 dev lo
on ward ip addr add $FROM_V4/32 dev lo
on ws ip addr add 10.80.0.5/24 dev eth0
passed

step 'of two prefixes, one in the other, the longest says whose an address is'
CLIENT=ward comes $V4 -b 10.80.0.5
let_in 10.80.0.5 ward
CLIENT=ws comes $V4 -b 10.80.0.7
kept_out "10.80.0.7 $OWN 10.80.0.7 is only routed by $BEHIND"
comes $V4
let_in $FROM_V4
CLIENT=ward comes $V4 -b 10.77.0.9
kept_out "10.77.0.9 key=${KEY[ward]}: 10.77.0.9 is only routed by 10.77.0.0/23 to peer ${KEY[ward]}"
passed

step "and from no other's tunnel does it come at all"
CLIENT=ws comes $V4 -b 10.80.0.5 -o ConnectTimeout=1
gave 255 'Connection timed out'
CLIENT=ward comes $V4 -b $FROM_V4 -o ConnectTimeout=1
gave 255 'Connection timed out'
said
passed

step 'the longer one withdrawn: the address is one of many behind the hub'
ward_card 'withdraw ward'
CLIENT=ws comes $V4 -b 10.80.0.5
kept_out "10.80.0.5 $OWN 10.80.0.5 is only routed by $BEHIND"
comes $V4
let_in $FROM_V4
passed
