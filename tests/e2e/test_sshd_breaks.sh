#!/usr/bin/env bash
# test_sshd_breaks.sh: whatever breaks, the real sshd lets nobody in, and the console stays open.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# shellcheck source=tests/e2e/sshd.sh
. tests/e2e/sshd.sh

# A login at db1's console, by all that gives one: no tunnel is asked, and nothing is refused.
console() {
    run db1 'pamtester login alice acct_mgmt open_session close_session'
    gave 0
    run db1 'su - alice -c "id -un"'
    gave 0 '^alice$'
    run db1 'timeout 20 script -qec "exec login -f alice" /dev/null </dev/null'
    gave 0 '^alice at a terminal.?$'
    said
}

# The way back: a command, after which alice is let in as before. That db1 has lost its part of the tunnel,
# web1 would find out by itself in 15 seconds; so db1 speaks first.
mended() {
    run db1 "$1; busybox ping -c 1 -W 5 $FROM_V4 >/dev/null"
    gave 0
    comes $V4
    let_in $FROM_V4
    console
    passed
}

# A login from web1's mesh address over the plain network, on which db1 answers when it has no tunnel.
comes_plainly() {
    comes 192.0.2.2 -b $FROM_V4
}

sshd_mesh
OWN="key=${KEY[web1]}:"
RING=$(on db1 cat /run/verimesh/verimesh0.ring)
on db1 ip route add default via 192.0.2.1
on db1 tee /home/alice/.bash_profile >/dev/null <<<'[ ! -t 0 ] || { echo "$(id -un) at a terminal"; exit; }'

step 'nothing is broken'
comes $V4
let_in $FROM_V4
console
passed

step 'the map is removed: nobody from anywhere'
on db1 rm /var/lib/verimesh/peers.cdb
nobody() {
    comes $V4
    kept_out "$FROM_V4: map /var/lib/verimesh/peers.cdb: $1"
    comes 192.0.2.2
    kept_out "192.0.2.1: map /var/lib/verimesh/peers.cdb: $1"
    console
}
nobody 'No such file or directory'
mended 'verimesh sync'

step 'the map can be written by others, or is cut off'
on db1 chmod o+w /var/lib/verimesh/peers.cdb
nobody "not root's alone"
on db1 chmod o-w /var/lib/verimesh/peers.cdb
on db1 truncate -s 1000 /var/lib/verimesh/peers.cdb
nobody 'damaged, or of another version'
mended 'verimesh sync'

step 'the keyring is cleared'
on db1 keyctl clear "$RING"
comes $V4
kept_out "$FROM_V4 $OWN key ${KEY[web1]} in the keyring: Required key not available"
console
mended 'verimesh sync'

step 'the keyring is revoked'
on db1 keyctl revoke "$RING"
comes $V4
kept_out "$FROM_V4 $OWN keyring verimesh:verimesh0: Key has been revoked"
console
mended 'verimesh sync'

step 'nothing tells which keyring it is'
on db1 rm /run/verimesh/verimesh0.ring
comes $V4
kept_out "$FROM_V4 $OWN keyring verimesh:verimesh0: No such file or directory"
console
mended 'verimesh sync'

step 'the interface is down'
on db1 ip link set verimesh0 down
comes $V4 -o ConnectTimeout=1
gave 255 'Connection timed out'
comes_plainly
kept_out "$FROM_V4 $OWN the reply to $FROM_V4 leaves through eth0"
console
mended 'verimesh up'

step 'the interface is deleted'
on db1 ip link del verimesh0
comes_plainly
kept_out "$FROM_V4: verimesh0: No such device"
console
mended 'verimesh up'

if ! on db1 pgrep -x wireguard-go >/dev/null; then
    echo "skip wireguard-go is killed: the kernel's own WireGuard carries this mesh"
    echo "skip wireguard-go hangs: the kernel's own WireGuard carries this mesh"
else
    step 'wireguard-go is killed'
    on db1 pkill -KILL -x wireguard-go
    soon on db1 sh -c '! ip link show verimesh0 >/dev/null 2>&1' || failed 'the interface is still there'
    comes_plainly
    kept_out "$FROM_V4: verimesh0: No such device"
    console
    on db1 ip link add verimesh0 type bridge
    comes_plainly
    kept_out "$FROM_V4: verimesh0: Connection refused"
    console
    on db1 ip link del verimesh0
    mended 'verimesh up'

    step 'wireguard-go hangs'
    on db1 pkill -STOP -x wireguard-go
    on db1 ip route add $FROM_V4 via 192.0.2.1
    comes_plainly
    on db1 ip route del $FROM_V4 via 192.0.2.1
    kept_out "$FROM_V4: verimesh0: Connection timed out"
    console
    mended 'pkill -CONT -x wireguard-go'
fi

# A session of alice's over the mesh, which gives back what it is given.
session() {
    coproc SESSION { as alice web1 ssh -q $V4 cat; }
    answers
    said "$(admitted account $FROM_V4 web1)"
}

answers() {
    local line=
    echo hello >&"${SESSION[1]}"
    read -r -t 20 line <&"${SESSION[0]}" || true
    [ "$line" = hello ] || failed 'the running session does not answer'
    say 'the running session answers'
}

step 'her login is taken away while alice is logged in: no new one once sync is done; the running one stays'
session
run db1 "sed -i 's/^Logins = alice bob/Logins = bob/' /etc/verimesh/verimesh.conf; verimesh sync"
gave 0
comes $V4
kept_out "$FROM_V4 $(whose web1): no login of ${NAME[web1]} becomes alice"
answers
console
on db1 sed -i 's/^Logins = bob/Logins = alice bob/' /etc/verimesh/verimesh.conf
mended 'verimesh sync'

step 'web1 is withdrawn meanwhile: not even its packets get in, and the session waits'
answers
run web1 'verimesh withdraw web1'
gave 0
demo_carry web1 db1 clinic-a.cesr
run db1 'verimesh sync'
gave 0
comes $V4 -o ConnectTimeout=1
gave 255 'Connection timed out'
on db1 ip route add $FROM_V4 via 192.0.2.1
comes_plainly
kept_out "$FROM_V4: $FROM_V4 is owned by no peer of verimesh0"
on db1 ip route del $FROM_V4 via 192.0.2.1
console
run db1 'pgrep -u alice -x cat'
gave 0
run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr $FROM_V4 --login alice"
gave 0
demo_carry web1 db1 clinic-a.cesr
SN[web1]=3
mended 'verimesh sync'

step 'back again: the session goes on, to its end'
answers
pid=$SESSION_PID
eval "exec ${SESSION[1]}>&-"
wait "$pid" || failed 'the session broke off'
passed
