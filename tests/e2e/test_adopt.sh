#!/usr/bin/env bash
# test_adopt.sh: an interface that wg-quick made is shared, and nothing of its owner's is touched.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# What wg-quick made on web1: key, port, fwmark and the peer that it has, its address and its routes.
# In it verimesh's own is left out, by the marks that verimesh gives.
owners() {
    on web1 sh -c 'wg showconf wg0 | awk -v RS= -v key="$1" "/^\[Interface\]/ || index(\$0, key)"
        ip route show dev wg0; ip -6 route show dev wg0; ip -o addr show dev wg0' sh "$LAPTOP" |
        grep -Ev 'proto 118|metric 118'
}

untouched() {
    [ "$BEFORE" = "$(owners)" ] || failed "something of the owner's changed: $(diff <(echo "$BEFORE") <(owners))"
}

# The one line of the last command.
one_line() {
    [ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'not one line'
}

# web1 learns of what db1's organisation says now.
carry() {
    on db1 verimesh export | on web1 verimesh import -
}

issue_db1() {
    on db1 verimesh issue db1 --endpoint 192.0.2.2:51820 --login alice "$@"
    carry
}

step "web1 has a tunnel by wg-quick, in which a laptop is"
host_start web1 192.0.2.1
host_start db1 192.0.2.2
LAPTOP=$(wg genkey | wg pubkey)
on web1 mkdir -p /etc/wireguard
on web1 sh -c 'umask 077; cat >/etc/wireguard/wg0.conf' <<END
[Interface]
PrivateKey = $(wg genkey)
ListenPort = 51833
Address = 10.9.0.1/24, fd09::1/64

[Peer]
PublicKey = $LAPTOP
PresharedKey = $(wg genpsk)
AllowedIPs = 10.9.0.0/24, 10.66.0.0/16, fd09::2/128
Endpoint = 192.0.2.99:7
PersistentKeepalive = 17
END
on web1 mkdir -p /etc/verimesh
on web1 tee /etc/verimesh/verimesh.conf >/dev/null <<'END'
[Interface]
Name = wg0
Self = clinic-a
Adopt = yes

[Peer clinic-a]
AllowedIPs = 10.77.1.0/24
END
on web1 wg-quick up wg0 2>/dev/null
BEFORE=$(owners) CONF=$(on web1 wg showconf wg0)
grep -q '^10\.66\.0\.0/16 ' <<<"$BEFORE" || failed 'wg-quick set no route'
passed

step "its card names the key that wg0 has"
run web1 'verimesh init web1 --endpoint 192.0.2.1:51833 --addr 10.77.1.5 --login alice'
gave 0
run db1 'verimesh init db1 --self clinic-b --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login alice'
gave 0
demo_carry web1 db1 clinic-a.cesr
AID_A=$AID
demo_carry db1 web1 clinic-b.cesr
AID_B=$AID
on db1 tee -a /etc/verimesh/verimesh.conf >/dev/null <<END
[Peer clinic-a]
AID = $AID_A
AllowedIPs = 10.77.1.0/24
Logins = alice
END
on web1 tee -a /etc/verimesh/verimesh.conf >/dev/null <<END
[Peer clinic-b]
AID = $AID_B
AllowedIPs = 10.77.2.0/24 10.66.0.0/16 10.9.0.2/32
END
run db1 'verimesh up; wg show verimesh0 peers'
gave 0 "^$(on web1 wg show wg0 public-key | sed 's/+/\\+/g')$"
untouched
passed

step 'a sync before up leaves the interface alone'
run web1 'verimesh sync'
gave 0
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface changed'
passed

step 'up: tunnel, names and a login, and the owner sees no difference'
run web1 'verimesh up'
gave 0
untouched
run alice@web1 "ssh db1.clinic-b.mesh.internal 'echo \$SSH_CONNECTION'"
gave 0 '^fd[0-9a-f:]+ [0-9]+ fd[0-9a-f:]+ 22$'
run alice@web1 "ssh 10.77.2.5 'echo \$SSH_CONNECTION'"
gave 0 '^10\.77\.1\.5 [0-9]+ 10\.77\.2\.5 22$'
run web1 'keyctl show $(cat /run/verimesh/wg0.ring)'
gave 0 'user: [A-Za-z0-9+/]{43}='
! grep -q 'user: tunnel' <<<"$OUT" || failed 'a key of the owner is in the keyring'
passed

step 'a route that the owner has is left to him, also where it goes to the mesh'
run web1 'ip route show 10.66.0.0/16'
gave 0 '^10\.66\.0\.0/16 dev wg0 scope link *$'
one_line
passed

step 'up and sync again: nothing changes'
all=$(on web1 wg showconf wg0 | sort)
run web1 'verimesh up && verimesh sync'
gave 0
[ "$all" = "$(on web1 wg showconf wg0 | sort)" ] || failed 'the interface changed'
untouched
passed

step "an address of the laptop's is not given to db1: one line, and all else goes on"
issue_db1 --addr 10.77.2.5 --addr 10.9.0.2 --route 10.66.0.0/16
run web1 'verimesh sync'
gave 1 '^verimesh: db1\.clinic-b: claims 10\.66\.0\.0/16, which a peer of wg0 has that verimesh did not add'
one_line
untouched
run alice@web1 'ssh 10.77.2.5 true'
gave 0
# 10.9.0.2/32 lies within the laptop's 10.9.0.0/24: nested prefixes are no conflict
run web1 'wg show wg0 allowed-ips'
gave 0 '10\.9\.0\.2/32'
issue_db1 --addr 10.77.2.5
run web1 'verimesh sync'
gave 0
passed

step "the laptop's key is not another host's"
on db1 verimesh issue db2 --addr 10.77.2.6 --key "$LAPTOP"
carry
run web1 'verimesh sync'
gave 1 '^verimesh: db2\.clinic-b: claims tunnel key .* a peer that verimesh did not add'
one_line
untouched
on db1 verimesh withdraw db2
carry
run web1 'verimesh sync'
gave 0
run alice@web1 'ssh 10.77.2.5 true'
gave 0
passed

step 'a withdrawn host goes, and comes again'
on db1 verimesh withdraw db1
carry
run web1 'verimesh sync; wg show wg0 peers'
gave 0
one_line
untouched
issue_db1 --addr 10.77.2.5
run web1 'verimesh sync; wg show wg0 peers | wc -l'
gave 0 '^2$'
passed

step 'what cannot be noted is not added; what is withdrawn goes all the same'
on web1 mkdir /run/verimesh/wg0.peers.new
on db1 verimesh withdraw db1
carry
run web1 'verimesh sync'
gave 3 '^verimesh: /run/verimesh/wg0\.peers\.new: '
run web1 'wg show wg0 peers'
[ "$OUT" = "$LAPTOP" ] || failed 'the peer is still there'
on db1 verimesh issue db2 --addr 10.77.2.6 --key "$(wg genkey | wg pubkey)"
carry
run web1 'verimesh sync'
gave 3
run web1 'wg show wg0 peers'
[ "$OUT" = "$LAPTOP" ] || failed 'a peer was added'
on db1 verimesh withdraw db2
issue_db1 --addr 10.77.2.5
on web1 rmdir /run/verimesh/wg0.peers.new
run web1 'verimesh sync; wg show wg0 peers | wc -l'
gave 0 '^2$'
passed

step 'wg0 gets another key: the card no longer fits, which is said'
on web1 sh -c 'umask 077; wg show wg0 private-key >/root/key; wg genkey | wg set wg0 private-key /dev/stdin'
run web1 'verimesh sync'
gave 1 '^verimesh: web1\.clinic-a: its card names another key than wg0 has; verimesh issue web1$'
one_line
on web1 wg set wg0 private-key /root/key
run web1 'verimesh sync'
gave 0
untouched
passed

step "the identity rotates: the interface keeps its key, which the new card names, at once"
run web1 'verimesh rotate && verimesh sync'
gave 0 "^web1\\.clinic-a: key $(on web1 wg show wg0 public-key | sed 's/+/\\+/g'), card "
untouched
run web1 'ls /var/lib/verimesh/identity'
gave 0
! grep -q tunnel <<<"$OUT" || failed 'it has a tunnel key of its own'
on web1 verimesh export | on db1 verimesh import - >/dev/null
run db1 'verimesh sync'
gave 0
run alice@web1 'ssh db1.clinic-b.mesh.internal hostname'
gave 0 '^db1$'
passed

step 'down: all of verimesh is gone, all of the owner is there'
run web1 'verimesh down'
gave 0
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
untouched
run web1 'ip route; ip -6 route; ip addr show dev wg0'
gave 0
! grep -Eq ' 118|10\.77' <<<"$OUT" || failed 'a route or an address is left'
run web1 'keyctl search @u keyring verimesh:wg0'
gave 1
run web1 'verimesh down && verimesh sync'
gave 0
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
passed

step 'wg-quick makes it anew: up shares it again'
run web1 'verimesh up'
gave 0
on web1 wg-quick down wg0 2>/dev/null
run web1 'verimesh sync'
gave 0
on web1 wg-quick up wg0 2>/dev/null
run web1 'verimesh sync'
gave 0
run alice@web1 'ssh 10.77.2.5 true'
gave 0
on web1 verimesh down
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
passed

step 'a link that its owner set down is his to set up: one line'
on web1 verimesh up
on web1 ip link set wg0 down
run web1 'verimesh sync'
gave 3 '^verimesh: wg0: is down; set it up \(ip link set wg0 up\) and run verimesh sync$'
one_line
on web1 ip link set wg0 up
run web1 'verimesh sync'
gave 0
run alice@web1 'ssh 10.77.2.5 true'
gave 0
on web1 verimesh down
passed

step 'made anew, and down without a sync in between: that ends the sharing, too'
run web1 'verimesh up'
gave 0
on web1 wg-quick down wg0 2>/dev/null
on web1 wg-quick up wg0 2>/dev/null
run web1 'verimesh down; ls /run/verimesh'
gave 0
[ -z "$OUT" ] || failed 'something is left'
run web1 'verimesh sync; ls /run/verimesh'
gave 0
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
run web1 'verimesh down'
passed

step 'without the interface: one line'
on web1 wg-quick down wg0 2>/dev/null
run web1 'verimesh up'
gave 3 '^verimesh: wg0: not there; start it first \(wg-quick up wg0\), or set Adopt = no$'
one_line
passed

step 'without Adopt it is left alone'
on web1 wg-quick up wg0 2>/dev/null
on web1 sed -i 's/^Adopt = yes/Adopt = no/' /etc/verimesh/verimesh.conf
run web1 'verimesh up'
gave 3
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
passed

step 'an interface that up made stays its own with Adopt = yes'
on web1 wg-quick down wg0 2>/dev/null
on web1 sed -i 's/^Name = wg0/Name = wg1/' /etc/verimesh/verimesh.conf
on web1 verimesh issue web1 --addr 10.77.1.5 --login alice
run web1 'verimesh up'
gave 0
on web1 sed -i 's/^Adopt = no/Adopt = yes/' /etc/verimesh/verimesh.conf
run web1 'verimesh sync; verimesh down; ip -brief link'
gave 0
! grep -q wg1 <<<"$OUT" || failed 'it is still there'
passed
