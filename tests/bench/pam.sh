#!/usr/bin/env bash
# pam.sh: hosts with 10 and with 1,000 peers, on which pam.c measures a login that comes from one of them.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/bench/pam.sh [PEERS...]    from the repository's root, as root, after `make benches`
#
# It says which goals are met, and does not fail for one that is not.

# The audit session of whoever runs this, if any: sessions that are measured are of one of their own.
[ "$(id -u)" -ne 0 ] || echo 4294967295 2>/dev/null >/proc/self/loginuid || true

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

b=${B:-build}
[ $# -gt 0 ] || set -- 10 1000

# peer HOST OF NAME PREFIXES: what OF exports becomes a peer of HOST's
peer() {
    on "$2" verimesh export >"$LAB/stream"
    on "$1" verimesh import - <"$LAB/stream" >/dev/null
    section "$1" "$(on "$1" verimesh verify --json - <"$LAB/stream" | sed -n 's/^{"aid":"\([^"]*\)".*/\1/p')" \
        "$3" "$4"
}

section() { # section HOST AID NAME PREFIXES
    on "$1" tee -a /etc/verimesh/verimesh.conf >/dev/null <<END

[Peer $3]
AID = $2
AllowedIPs = $4
Logins = alice
END
}

# service HOST NAME MODULE: an account service of one module, in account and in session
service() {
    on "$1" tee "/etc/pam.d/bench-$2" >/dev/null <<END
auth required pam_permit.so
account required $3
session required ${4:-$3}
END
}

host_start web1 192.0.2.1
on web1 verimesh init web1 --self web --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login alice >/dev/null
at=1
for peers in "$@"; do
    at=$((at + 1)) hub=hub$peers
    host_start "$hub" "192.0.2.$at"
    on "$hub" verimesh init "$hub" --self "$hub" --endpoint "192.0.2.$at:51820" --addr "10.77.2.$at" >/dev/null
    peer "$hub" web1 web 10.77.1.0/24
    peer web1 "$hub" "$hub" "10.77.2.$at/32"
    "$b/bench/stream" $((peers - 1)) 2>"$LAB/aid" | on "$hub" verimesh import - >/dev/null
    section "$hub" "$(cat "$LAB/aid")" bench 10.0.0.0/9
    on "$hub" verimesh up >/dev/null
    service "$hub" permit pam_permit.so
    service "$hub" verimesh pam_verimesh.so
    service "$hub" access 'pam_access.so accessfile=/etc/bench-access'
    service "$hub" unix pam_unix.so
    service "$hub" exec 'pam_exec.so quiet /bin/true'
    printf '%s\n' '+:alice:10.77.1.5' '-:ALL:ALL' | on "$hub" tee /etc/bench-access >/dev/null
    on "$hub" tee /usr/local/bin/bench-pam >/dev/null <"$b/bench/pam"
    on "$hub" chmod 755 /usr/local/bin/bench-pam
done
on web1 verimesh up >/dev/null

at=1
for peers in "$@"; do
    at=$((at + 1)) hub=hub$peers
    on "$hub" sh -c 'echo 2001 2>/dev/null >/proc/self/loginuid; exec bench-pam "$@"' sh \
        "$peers" verimesh0 "10.77.2.$at" &
    bench=$!
    # shellcheck disable=SC2016 # the host's
    soon on web1 bash -c 'exec 2>/dev/null 3<>"/dev/tcp/$1/2222" && exec cat <&3' bash "10.77.2.$at"
    wait $bench
done
