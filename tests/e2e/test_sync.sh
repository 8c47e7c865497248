#!/usr/bin/env bash
# test_sync.sh: sync carries out what differs and nothing else, and takes nothing from others.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# By host: its public key, and an expression for that.
declare -A KEY=() PEER=()

has_key() {
    KEY[$1]=$2 PEER[$1]=${2//+/\\+}
}

# A host with an organisation of its own, which gives the hub its log; N is the last number of its
# addresses.
spoke() {
    local host=$1 n=$2
    host_start "$host" "192.0.2.$n"
    on "$host" verimesh init "$host" --self "org$n" --endpoint "192.0.2.$n:51820" \
        --addr "10.77.$n.5" --login alice >/dev/null
    knows "$host" "$n" hub 1
    knows hub 1 "$host" "$n"
    on "$host" verimesh up
    has_key "$host" "$(on "$host" wg show verimesh0 public-key)"
}

# TO takes FROM's log again.
carry() {
    on "$1" verimesh export | on "$2" verimesh import -
}

# TO learns of FROM's organisation, which has number N.
knows() {
    local from=$1 n=$2 to=$3
    on "$to" tee -a /etc/verimesh/verimesh.conf >/dev/null <<END

[Peer org$n]
AID = $(on "$from" cat /var/lib/verimesh/identity/aid)
AllowedIPs = 10.77.$n.0/24
END
    carry "$from" "$to"
}

# Sets EXECUTED to what a sync of the hub has others do, beside the look at the interface's key; it must end
# with this status.
syncs() {
    on hub rm -f /tmp/executed
    run hub 'verimesh sync'
    gave "$@"
    EXECUTED=$(on hub sh -c 'grep -vx "wg show verimesh0 public-key" /tmp/executed || true')
    [ -z "$EXECUTED" ] || printf '    executed: %s\n' "${EXECUTED//$'\n'/$'\n'              }"
}

executed() {
    local expression
    for expression in "$@"; do
        grep -Eq -- "$expression" <<<"$EXECUTED" || failed "not executed: $expression"
    done
}

not_executed() {
    ! grep -Eq -- "$1" <<<"$EXECUTED" || failed "executed: $1"
}

# What the hub has of a peer, or of all, without the bytes that came and went, which may go on.
peers() {
    on hub wg show verimesh0 dump | awk -v key="${1:+${KEY[$1]}}" -v OFS=' ' '
        key == "" || $1 == key { $6 = $7 = ""; print }' | sort
}

# How many bytes came from a peer: after it was taken away and set again, none.
received() {
    on hub wg show verimesh0 transfer | awk -v key="${KEY[$1]}" '$1 == key { print $2 }'
}

endpoint() {
    on hub wg show verimesh0 endpoints | awk -v key="${KEY[$1]}" '$1 == key { print $2 }'
}

reaches() {
    run "$1" "busybox ping -c 1 -W 5 $2"
    gave 0
}

conf() {
    run hub "sed -i '$1' /etc/verimesh/verimesh.conf"
    gave 0
}

step 'a hub and three others'
host_start hub 192.0.2.1
on hub verimesh init hub --self org1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 >/dev/null
on hub verimesh up
for n in 2 3 4; do
    spoke "spoke$n" $n
done
# what verimesh executes is noted, with the lines that ip reads
on hub rm -f /usr/sbin/ip /usr/sbin/wg
on hub tee /usr/sbin/wg /usr/sbin/ip >/dev/null <<'END'
#!/bin/sh
program=/usr/bin/${0##*/}
echo "${0##*/} $*" >>/tmp/executed
[ "$2" != -batch ] || { tee -a /tmp/executed | "$program" "$@"; exit; }
exec "$program" "$@"
END
on hub chmod 755 /usr/sbin/ip /usr/sbin/wg
syncs 0
for n in 2 3 4; do
    reaches hub "10.77.$n.5"
done
passed

step 'nothing differs: the key is looked at, nothing else is executed, and no session notices'
before=$(peers) bytes=$(received spoke3)
syncs 0
[ "$(on hub cat /tmp/executed)" = 'wg show verimesh0 public-key' ] || failed 'something was executed'
[ "$before" = "$(peers)" ] || failed 'the device changed'
[ "$bytes" -gt 0 ] || failed 'there was no session'
[ "$bytes" -le "$(received spoke3)" ] || failed 'a session was lost'
passed

step 'one peer changes: nobody else is touched'
on spoke2 verimesh issue spoke2 --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --addr 10.77.2.6
carry spoke2 hub
before=$(peers spoke3)$(peers spoke4) bytes=$(received spoke2)
handshakes=$(on hub wg show verimesh0 latest-handshakes | sort)
syncs 0
executed "^wg set verimesh0 peer ${PEER[spoke2]} allowed-ips 10\.77\.2\.5/32,10\.77\.2\.6/32,fd[0-9a-f:]+/128$"
[ "$(wc -l <<<"$EXECUTED")" -eq 1 ] || failed 'more than that was executed'
[ "$before" = "$(peers spoke3)$(peers spoke4)" ] || failed 'another peer changed'
[ "$handshakes" = "$(on hub wg show verimesh0 latest-handshakes | sort)" ] || failed 'a session was not kept'
[ "$bytes" -le "$(received spoke2)" ] || failed 'its session was not kept'
passed

step 'a peer that roams keeps the endpoint it has, as long as its session lives'
on spoke2 wg set verimesh0 listen-port 51999
reaches spoke2 10.77.1.5
[ "$(endpoint spoke2)" = 192.0.2.2:51999 ] || failed 'it did not roam'
syncs 0
[ -z "$EXECUTED" ] || failed 'something was executed'
passed

step 'it gets the one of its card when that names another, or the session is over'
on spoke2 verimesh issue spoke2 --endpoint 192.0.2.2:51998 --addr 10.77.2.5
carry spoke2 hub
syncs 0
executed "^wg set verimesh0 peer ${PEER[spoke2]} endpoint 192\.0\.2\.2:51998 allowed-ips "
on hub wg set verimesh0 peer "${KEY[spoke3]}" remove
on hub wg set verimesh0 peer "${KEY[spoke3]}" endpoint 192.0.2.3:9 allowed-ips 10.77.3.5/32
syncs 0
executed "^wg set verimesh0 peer ${PEER[spoke3]} endpoint 192\.0\.2\.3:51820 allowed-ips "
not_executed "${PEER[spoke2]}"
reaches hub 10.77.3.5
passed

step 'a host without an endpoint keeps its tunnels open'
on hub verimesh issue hub --addr 10.77.1.5
syncs 0
executed "peer ${PEER[spoke4]} persistent-keepalive 25( |$)"
on hub verimesh issue hub --endpoint 192.0.2.1:51820 --addr 10.77.1.5
syncs 0
executed "peer ${PEER[spoke4]} persistent-keepalive 0( |$)"
passed

step 'key and port are put right, peers of others go, and the secret is no argument'
on hub wg set verimesh0 listen-port 51111 peer "$(wg genkey | wg pubkey)" allowed-ips 10.77.4.5/32
syncs 0
executed '^wg set verimesh0 listen-port 51820$' '^wg set verimesh0 peer [^ ]* remove peer '
reaches hub 10.77.4.5
on hub sh -c 'wg genkey | wg set verimesh0 private-key /dev/stdin'
syncs 0
executed '^wg set verimesh0 private-key /dev/stdin peer '
for n in 2 3 4; do
    executed "^wg set verimesh0 private-key /dev/stdin .*peer ${PEER[spoke$n]} persistent-keepalive 25 peer ${PEER[spoke$n]} persistent-keepalive 0( |$)"
done
[ "$(wc -l <<<"$EXECUTED")" -eq 1 ] || failed 'more than that was executed'
reaches hub 10.77.4.5
passed

step 'what this host routes for the others lies behind it, not in the tunnel'
on hub sh -c 'ip link add site0 type bridge; ip addr add 10.60.0.1/16 dev site0; ip link set site0 up'
on hub sed -i 's|^AllowedIPs = 10.77.1.5.*|& 10.60.0.0/16 10.61.0.0/16|' /etc/verimesh/verimesh.conf
on hub verimesh issue hub --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --route 10.60.0.0/16
syncs 0
run hub 'ip route'
gave 0 '^10\.60\.0\.0/16 dev site0 ' '^10\.61\.0\.0/16 dev verimesh0 proto 118'
passed

step 'a link that was set down comes up again, with all that it had'
on hub ip link set verimesh0 down
syncs 0
executed '^link set dev verimesh0 up$'
reaches hub 10.77.4.5
passed

step 'routes come and go with AllowedIPs; those of others stay'
conf 's/^AllowedIPs = 10\.77\.4\.0/AllowedIPs = 10.94.0.0\/16, fd94::\/16, 10.77.4.0/'
on hub ip route add 10.95.0.0/16 dev verimesh0
syncs 0
run hub 'ip route show proto 118; ip -6 route show proto 118'
gave 0 '^10\.94\.0\.0/16 dev verimesh0' '^fd94::/16 dev verimesh0' '^10\.77\.3\.0/24 dev verimesh0'
conf 's/10\.94\.0\.0\/16, fd94::\/16, //'
syncs 0
executed '^route del 10\.94\.0\.0/16 dev verimesh0 ' '^route del fd94::/16 dev verimesh0 '
run hub 'ip route; ip -6 route'
gave 0 '^10\.95\.0\.0/16 dev verimesh0' '^10\.77\.3\.0/24 dev verimesh0'
! grep -Eq '^(10\.94\.|fd94::/16)' <<<"$OUT" || failed 'a route is left'
passed

step 'a route that another interface has is not taken; the others are set'
on hub ip link add lan0 type bridge
on hub ip addr add 10.96.0.1/24 dev lan0
on hub ip addr add fd96::1/64 dev lan0
on hub ip link set lan0 up
conf 's/^AllowedIPs = 10\.77\.4\.0/AllowedIPs = 10.96.0.0\/24, fd96::\/64, 10.97.0.0\/24, 10.77.4.0/'
syncs 1 '^verimesh: verimesh0: lan0 has the route to 10\.96\.0\.0/24; .*AllowedIPs' \
    '^verimesh: verimesh0: lan0 has the route to fd96::/64; '
[ "$(wc -l <<<"$OUT")" -eq 2 ] || failed 'not two lines'
run hub 'ip route; ip -6 route'
gave 0 '^10\.96\.0\.0/24 dev lan0' '^10\.97\.0\.0/24 dev verimesh0' '^fd96::/64 dev lan0'
! grep -Eq '(96::/64|96\.0\.0/24) dev verimesh0' <<<"$OUT" || failed 'the route was taken'
on hub ip link del lan0
syncs 0
run hub 'ip route'
gave 0 '^10\.96\.0\.0/24 dev verimesh0'
passed

step 'a line that ip refuses is named, and the others are carried out'
on hub ip route add unreachable 10.99.0.0/24
conf 's/10\.96\.0\.0\/24, fd96::\/64, /10.99.0.0\/24, 10.100.0.0\/24, /'
syncs 3 '^verimesh: verimesh0: ip route add 10\.99\.0\.0/24 dev verimesh0 src 10\.77\.1\.5 proto 118: .*File exists; '
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
run hub 'ip route'
gave 0 '^10\.100\.0\.0/24 dev verimesh0'
conf 's/10\.99\.0\.0\/24, 10\.100\.0\.0\/24, 10\.97\.0\.0\/24, //'
syncs 0
passed

step 'without IPv6: one line that names it, and IPv4 goes on'
on hub sysctl -qw net.ipv6.conf.verimesh0.disable_ipv6=1
syncs 1 '^verimesh: verimesh0: IPv6 is disabled.*net\.ipv6\.conf\.verimesh0\.disable_ipv6=0'
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
reaches hub 10.77.4.5
on hub sysctl -qw net.ipv6.conf.verimesh0.disable_ipv6=0
syncs 0
executed '^address add fd[0-9a-f:]+/128 dev verimesh0 nodad metric 118$' '^route add fd[0-9a-f:]+/48 dev verimesh0 '
run hub 'getent hosts spoke4.org4.mesh.internal'
gave 0 '^fd'
reaches hub "${OUT%% *}"
passed

step 'addresses come and go with the card; those of others stay'
on hub ip addr add 10.95.0.1/32 dev verimesh0
conf 's/^AllowedIPs = 10\.77\.1\..*/AllowedIPs = 10.77.1.0\/24/'
on hub verimesh issue hub --endpoint 192.0.2.1:51820 --addr 10.77.1.6
syncs 0
executed '^address del 10\.77\.1\.5/32 dev verimesh0 ' '^address add 10\.77\.1\.6/32 dev verimesh0 '
run hub 'ip addr show dev verimesh0'
gave 0 'inet 10\.95\.0\.1/32' 'inet 10\.77\.1\.6/32' 'inet6 fd'
! grep -q '10\.77\.1\.5' <<<"$OUT" || failed 'the address is still there'
carry hub spoke3
on spoke3 verimesh sync
reaches hub 10.77.3.5
passed

step 'a withdrawn host is gone at once'
on spoke4 verimesh withdraw spoke4
carry spoke4 hub
before=$(peers spoke3)
syncs 0
executed "^wg set verimesh0 peer ${PEER[spoke4]} remove$"
[ -z "$(peers spoke4)" ] || failed 'its peer is still there'
[ "$before" = "$(peers spoke3)" ] || failed 'another peer changed'
passed

# The second host of spoke3's organisation, whose keys it makes itself.
step 'a host with keys of its own: they come into use when its card names them'
host_start second 192.0.2.5
on second mkdir -p /etc/verimesh
on second tee /etc/verimesh/verimesh.conf >/dev/null <<END
[Interface]
Self = org3
[Peer org3]
AID = $(on spoke3 cat /var/lib/verimesh/identity/aid)
AllowedIPs = 10.77.3.0/24
END
knows hub 1 second
issue_second() {
    # shellcheck disable=SC2086 # several words
    on spoke3 verimesh issue second ${ENDPOINT---endpoint 192.0.2.5:51820} --addr 10.77.3.6 $KEYS "$@"
    carry spoke3 second
    carry spoke3 hub
}
keys() {
    KEYS=$(on second verimesh key "$@")
    has_key second "$(cut -d ' ' -f 2 <<<"$KEYS")"
}
keys
issue_second
run second 'verimesh up; wg show verimesh0 public-key'
gave 0 "^${PEER[second]}$"
syncs 0
executed "peer ${PEER[second]} endpoint 192\.0\.2\.5:51820 allowed-ips 10\.77\.3\.6/32,"
reaches hub 10.77.3.6
passed

step 'a card that names a key which its host has not: one line there'
right=$KEYS
KEYS="--key $(wg genkey | wg pubkey)"
issue_second
run second 'verimesh sync'
gave 1 '^verimesh: second\.org3: its card names another key than this host has; see verimesh key, then issue'
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
KEYS=$right
issue_second
run second 'verimesh sync'
gave 0
syncs 0
passed

step 'before its time a new key has a peer without addresses; then it takes over, and the old one goes'
old=${PEER[second]}
keys --renew
run second 'verimesh sync; keyctl show $(cat /run/verimesh/verimesh0.ring); wg show verimesh0 public-key'
gave 0 'user: tunnel\.next$' "^$old$"
from=$((EPOCHSECONDS + 8))
ENDPOINT='' issue_second --from "$(date -u -d "@$from" +%Y-%m-%dT%H:%M:%S.000000+00:00)"
syncs 0
executed "^wg set verimesh0 peer ${PEER[second]} endpoint 192\.0\.2\.5:51820$"
[ "$(wc -l <<<"$EXECUTED")" -eq 1 ] || failed 'more than that was executed'
run second 'verimesh sync; wg show verimesh0 public-key'
gave 0 "^$old$"
reaches hub 10.77.3.6
hex() {
    base64 -d <<<"$1" | od -An -v -tx1 -w32
}
say 'where both change their keys, one of them begins: the one whose key is the lower number'
on hub sh -c 'wg genkey | wg set verimesh0 private-key /dev/stdin'
syncs 0
if [[ $(hex "$(on hub wg show verimesh0 public-key)") < $(hex "${KEY[second]}") ]]; then
    executed "peer ${PEER[second]} persistent-keepalive 25 peer ${PEER[second]} persistent-keepalive 0$"
else
    not_executed "peer ${PEER[second]} "
fi
executed "peer $old persistent-keepalive 25 peer $old persistent-keepalive 0 "
reaches hub 10.77.3.6
sleep $((from >= EPOCHSECONDS ? from + 1 - EPOCHSECONDS : 0))
syncs 0
executed "^wg set verimesh0 peer ${PEER[second]} persistent-keepalive 25$"
run second 'verimesh sync; wg show verimesh0 public-key; keyctl show $(cat /run/verimesh/verimesh0.ring)'
gave 0 "^${PEER[second]}$" 'user: tunnel$'
! grep -q 'tunnel\.next' <<<"$OUT" || failed 'the key still waits'
shook_hands() {
    peers second | awk '{ exit $5 == 0 }'
}
soon shook_hands || failed 'the new key has no handshake'
syncs 0
executed "peer $old remove peer ${PEER[second]} persistent-keepalive 0 allowed-ips 10\.77\.3\.6/32,"
reaches hub 10.77.3.6
passed

step 'what verimesh notes is for root'
run hub 'stat -c "%a %U %n" /run/verimesh/*'
gave 0 '^600 root /run/verimesh/verimesh0\.peers$'
passed

step "a host that has lost its tunnel key is told where that comes from"
on hub mv /var/lib/verimesh/identity/tunnel /root/tunnel
syncs 3 "^verimesh: /var/lib/verimesh/identity/tunnel: not there; make this host's key with verimesh issue hub$"
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
run hub 'verimesh check'
gave 1 '^verimesh: .*/tunnel: not there; .* verimesh issue hub$'
on hub sh -c 'umask 077; wg genkey >/var/lib/verimesh/identity/tunnel'
syncs 1 '^verimesh: hub\.org1: its card names another key than this host has; verimesh issue hub$'
on hub mv /root/tunnel /var/lib/verimesh/identity/tunnel
syncs 0
on second mv /var/lib/verimesh/identity/tunnel /root/tunnel
run second 'verimesh sync'
gave 3 "^verimesh: .*/tunnel: not there; make this host's key with verimesh key$"
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
on second mv /root/tunnel /var/lib/verimesh/identity/tunnel
run second 'verimesh sync'
gave 0
passed

step 'an interface of an earlier Name is named by up, sync and check, and removed by down'
conf '0,/^# *Name *=.*/s//Name = mesh1/; s/^Name = verimesh0/Name = mesh1/'
left='^verimesh: verimesh0: is still up, from when it was the Name; run verimesh down first$'
run hub 'verimesh up'
gave 3 "$left"
run hub 'verimesh sync'
gave 3 "$left"
run hub 'verimesh check'
gave 1 "$left"
run hub 'verimesh down; ls /run/verimesh; ip -brief link'
gave 0
! grep -Eq 'verimesh0|mesh1' <<<"$OUT" || failed 'something of it is left'
run hub 'verimesh up; wg show interfaces'
gave 0 '^mesh1$'
reaches hub 10.77.3.5
passed

step 'a ring of an earlier Name, whose interface never came up, goes with down, too'
run hub 'verimesh down'
conf 's/^Name = mesh1/Name = mesh2/'
run hub 'verimesh sync; ls /run/verimesh'
gave 0 '^mesh2\.ring$'
conf 's/^Name = mesh2/Name = mesh1/'
run hub 'verimesh up && verimesh down; ls /run/verimesh; ! keyctl search @u keyring verimesh:mesh2'
gave 0
! grep -q '^mesh' <<<"$OUT" || failed 'something of it is left'
passed

step 'what down cannot remove it names, and ends'
run hub 'mkdir -p /run/verimesh/mesh3.up; timeout 20 verimesh down'
gave 3 '^verimesh: /run/verimesh/mesh3\.up: Is a directory$'
on hub rmdir /run/verimesh/mesh3.up
passed

step 'down does its work without a configuration that can be read'
run hub 'verimesh up'
gave 0
on hub sh -c 'echo Colour >>/etc/verimesh/verimesh.conf'
run hub 'verimesh down'
gave 2 '^verimesh: /etc/verimesh/verimesh\.conf:[0-9]+: '
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
run hub 'ls /run/verimesh; ip -brief link; ! keyctl search @u keyring verimesh:mesh1'
gave 0
! grep -Eq '^mesh1' <<<"$OUT" || failed 'something of it is left'
conf '$d'
passed

# As after a boot with a /run that stayed, or in a container that was started anew.
step "an interface in another network namespace is not ours, whatever its name and number"
run hub 'unshare --net sh -ec "verimesh up; ip -o link show mesh1; ip link del mesh1"'
gave 0
admin='ip link add mesh1 type wireguard 2>/dev/null || wireguard-go mesh1 2>/dev/null
until wg set mesh1 private-key /root/key peer "$(wg genkey | wg pubkey)" allowed-ips 10.0.0.0/8; do sleep 0.1; done 2>/dev/null
before=$(wg showconf mesh1)'
run hub "umask 077; wg genkey >/root/key; unshare --net sh -c '$admin
verimesh sync; echo sync \$?; verimesh down; echo down \$?
[ \"\$before\" = \"\$(wg showconf mesh1)\" ] && echo as it was; ip link del mesh1'"
gave 0 '^verimesh: mesh1: mesh1 has 1 peers that verimesh does not know' '^sync 3$' '^down 3$' '^as it was$' '^verimesh: mesh1: verimesh up did not make it'
passed
