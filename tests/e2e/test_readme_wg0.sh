#!/usr/bin/env bash
# test_readme_wg0.sh: README's set-up on an interface that wg-quick made.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/readme.sh
. tests/e2e/readme.sh

# wg0 of a host with another host as its one peer.
quick() {
    local host=$1 address=$2 peer=$3
    shift 3
    on "$host" mkdir -p /etc/wireguard
    on "$host" sh -c 'umask 077; cat >/etc/wireguard/wg0.conf' <<END
[Interface]
PrivateKey = $(cat "$LAB/$host.key")
ListenPort = 51820
Address = $address/24

[Peer]
PublicKey = $(wg pubkey <"$LAB/$peer.key")
$(printf '%s\n' "$@")
END
    on "$host" wg-quick up wg0 >"$LAB/$host/wg-quick" 2>&1 || { cat "$LAB/$host/wg-quick" && return 1; }
}

readme_two_servers
readme_host vpn1 198.51.100.10
readme_host laptop 198.51.100.40
(umask 077 && wg genkey >"$LAB/vpn1.key" && wg genkey >"$LAB/laptop.key")
quick vpn1 10.9.0.1 laptop 'AllowedIPs = 10.9.0.2/32'
quick laptop 10.9.0.2 vpn1 'AllowedIPs = 10.9.0.0/24' 'Endpoint = 198.51.100.10:51820'
readme 'A WireGuard interface that is there already'

step 'made anew it is shared anew; who has a card may log in, the laptop not'
run vpn1 'wg-quick up wg0 && verimesh up'
gave 0
# who keeps a session with the interface that is gone would find out after 15 seconds
run laptop 'wg-quick down wg0 && wg-quick up wg0'
gave 0
run alice@vpn1 'ssh db1.clinic-b.mesh.internal hostname'
gave 0 '^db1$'
run vpn1 "sed -i '1i account required pam_verimesh.so' /etc/pam.d/sshd"
gave 0
run vpn1 'printf "Logins = alice\n" >> /etc/verimesh/verimesh.conf && verimesh sync'
gave 0
run alice@db1 'ssh vpn1.clinic-d.mesh.internal hostname'
gave 0 '^vpn1$'
run alice@laptop 'ssh 10.9.0.1 hostname'
gave 255
logged vpn1 'refused account=alice from=10\.9\.0\.2'
passed
