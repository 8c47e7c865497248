#!/usr/bin/env bash
# networkd.sh: in the guest: an interface that systemd-networkd made is shared and left as it was.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

NETWORKD=/lib/systemd/systemd-networkd

is_made() {
    on web1 ip route show dev wg0 | grep -q '^10\.66\.0\.0/16 '
}

# All of the interface, without what verimesh marks as its own.
rest() {
    on web1 sh -c 'ip route show dev wg0; ip -o addr show dev wg0 scope global' |
        grep -Ev 'proto 118|metric 118'
}

step 'web1 has a tunnel by systemd-networkd, in which a laptop is'
host_start web1 192.0.2.1
host_start db1 192.0.2.2
on web1 tee -a /etc/passwd >/dev/null <<<'systemd-network:x:998:998::/:/usr/sbin/nologin'
on web1 tee -a /etc/group >/dev/null <<<'systemd-network:x:998:'
on web1 mkdir -p /run/systemd/network
on web1 tee /run/systemd/network/wg0.netdev >/dev/null <<END
[NetDev]
Name=wg0
Kind=wireguard
[WireGuard]
PrivateKey=$(wg genkey)
ListenPort=51833
[WireGuardPeer]
PublicKey=$(wg genkey | wg pubkey)
AllowedIPs=10.9.0.0/24,10.66.0.0/16
END
on web1 tee /run/systemd/network/wg0.network >/dev/null <<'END'
[Match]
Name=wg0
[Network]
Address=10.9.0.1/24
[Route]
Destination=10.66.0.0/16
Scope=link
END
# where /sys cannot be written it knows that there is no udev to wait for
nsenter --target "${HOST_PID[web1]}" --mount --root mount -o remount,ro /sys
on web1 sh -c "SYSTEMD_LOG_TARGET=console $NETWORKD >/root/networkd 2>&1 &"
soon is_made || { on web1 cat /root/networkd; failed 'it made nothing'; }
CONF=$(on web1 wg showconf wg0) REST=$(rest)
passed

step 'up: names and a login'
on web1 mkdir -p /etc/verimesh
on web1 tee /etc/verimesh/verimesh.conf >/dev/null <<'END'
[Interface]
Name = wg0
Self = clinic-a
Adopt = yes
END
run web1 'verimesh init web1 --endpoint 192.0.2.1:51833 --login alice'
gave 0
run db1 'verimesh init db1 --self clinic-b --endpoint 192.0.2.2:51820 --login alice'
gave 0
demo_carry web1 db1 clinic-a.cesr
on db1 tee -a /etc/verimesh/verimesh.conf >/dev/null <<END
[Peer clinic-a]
AID = $AID
Logins = alice
END
demo_carry db1 web1 clinic-b.cesr
on web1 tee -a /etc/verimesh/verimesh.conf >/dev/null <<END
[Peer clinic-b]
AID = $AID
END
run db1 'verimesh up'
gave 0
run web1 'verimesh up'
gave 0
run alice@web1 'ssh db1.clinic-b.mesh.internal id -un'
gave 0 '^alice$'
[ "$REST" = "$(rest)" ] || failed 'addresses or routes changed'
passed

step 'networkd reads its files again: what verimesh added stays or comes back with a sync'
on web1 pkill -x systemd-network
on web1 sh -c "SYSTEMD_LOG_TARGET=console $NETWORKD >/root/networkd 2>&1 &"
sleep 3
run web1 'verimesh sync'
gave 0
run alice@web1 'ssh db1.clinic-b.mesh.internal id -un'
gave 0 '^alice$'
[ "$REST" = "$(rest)" ] || failed 'addresses or routes changed'
passed

step 'down: all is as it was'
run web1 'verimesh down'
gave 0
[ "$CONF" = "$(on web1 wg showconf wg0)" ] || failed 'the interface is not as it was'
run web1 'ip route; ip -6 route; ip addr show dev wg0'
gave 0
! grep -q ' 118' <<<"$OUT" || failed 'something is left'
[ "$REST" = "$(rest)" ] || failed 'addresses or routes changed'
passed
