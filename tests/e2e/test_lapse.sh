#!/usr/bin/env bash
# test_lapse.sh: a peer whose Sources are silent lapses without anybody's doing, and comes back with an answer.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

conf=/etc/verimesh/verimesh.conf
ledger=/var/lib/verimesh/ledger
name=web1.clinic-a.mesh.internal

# A Source of clinic-a answered db1 so many seconds ago; less than none: the clock was set back since.
answered() {
    run db1 "sed -i '/^src $AID_A /d' $ledger; echo src $AID_A - \$((\$(date +%s) - $1)) >> $ledger"
    gave 0
}

# All that a peer has by name is there, or nothing is.
there() {
    run db1 "getent hosts $name $ADDRESS_A; getent passwd carol@clinic-a; getent group clinic-a"
    gave 0 "^$ADDRESS_A +$name" '^carol@clinic-a:' '^clinic-a:'
    run db1 "keyctl search \$(cat /run/verimesh/verimesh0.ring) user $KEY_A"
    gave 0
    run alice@web1 "ssh $ADDRESS_B id -un"
    gave 0 '^alice$'
    logged db1 'admitted account=alice .* host=web1\.clinic-a'
}
gone() {
    local key
    for key in "hosts $name" "hosts web1.$AID_A.mesh.internal" "hosts $ADDRESS_A" 'hosts 10.77.1.5' \
        'passwd carol@clinic-a' "passwd $ID" 'group clinic-a'; do
        run db1 "getent $key"
        gave 2
    done
    run db1 'getent passwd; getent group'
    ! grep clinic-a <<<"$OUT" || failed 'it is in a list'
    run db1 "keyctl search \$(cat /run/verimesh/verimesh0.ring) user $KEY_A"
    gave 1 'Required key not available|Key has expired'
    run alice@web1 "ssh $ADDRESS_B id -un"
    gave 255
    logged db1 "refused account=alice .*: (Required key not available|Key has expired)"
}

# WireGuard goes on as before: a Source inside the mesh can still be reached.
tunnelled() {
    run db1 'wg show verimesh0 allowed-ips; ip -6 route show dev verimesh0; ip route show dev verimesh0'
    [ "$OUT" = "$TUNNELS" ] || failed 'not the tunnels that there were'
    run db1 "read -rt 5 < /dev/tcp/10.77.1.5/22 && echo \$REPLY"
    gave 0 '^SSH-2\.0-'
}

lapsed='^verimesh: clinic-a: lapsed at [-0-9]+T[:0-9]+Z, MaxAge after a Source answered; .*verimesh fetch clinic-a$'

demo_hosts
demo_identities
demo_exchange
demo_policy
step 'db1 knows a Source of clinic-a, which lies inside the mesh, and gives its people accounts'
run db1 "sed -i 's/^Logins = alice bob/Logins = alice=alice carol\nAccounts = yes\nSource = http:\/\/10.77.1.5\/clinic-a.cesr/
s/^\[Interface\]/&\nMaxAge = 1h/' $conf; sed -i 's/^\(passwd\|group\): files/& verimesh/' /etc/nsswitch.conf"
gave 0
passed
demo_up
demo_names
demo_admitted
KEY_A=$(on web1 wg show verimesh0 public-key)
ID=$(on db1 id -u carol@clinic-a)
TUNNELS=$(on db1 bash -c 'wg show verimesh0 allowed-ips; ip -6 route show dev verimesh0; ip route show dev verimesh0')

step 'a Source that this host has never asked is silent from the first sync on'
run db1 "cat $ledger; date +%s"
gave 0 "^src $AID_A - [0-9]+\$"
[ $((${OUT##*$'\n'} - $(sed -n "s/^src $AID_A - //p" <<<"$OUT"))) -lt 600 ] || failed 'not of now'
there
passed

step 'the hour ends: names, accounts and logins go by themselves; nobody runs sync'
answered $((3600 - 20))
run db1 "verimesh sync; cksum /var/lib/verimesh/peers.cdb"
gave 0
map=$OUT
there
for _ in {1..300}; do
    on db1 getent hosts $name >/dev/null || break
    sleep 0.1
done
sleep 1 # the key may go that much later than the map's records
gone
run db1 'cksum /var/lib/verimesh/peers.cdb'
[ "$OUT" = "$map" ] || failed 'the map is another'
tunnelled
passed

step 'sync, check and show say so, and what to do'
run db1 'verimesh sync'
gave 1 "$lapsed"
[ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'more than one line'
run db1 'cksum /var/lib/verimesh/peers.cdb'
[ "$OUT" = "$map" ] || failed 'the map is another'
run db1 'verimesh check'
gave 1 "$lapsed" '^ok   peer map$' '^ok   interface$' '^ok   kernel keyring$'
run alice@db1 "verimesh show $name"
gave 0 '^  lapsed +[-0-9]+T'
run db1 'verimesh show'
gave 0 '^  web1 .* lapse [-0-9]+T'
run db1 "verimesh gate --user alice --from $ADDRESS_A"
gave 1
gone
tunnelled
passed

step 'it stays so when the interface is made anew, and the tunnel comes back'
run db1 'verimesh down; verimesh up'
gave 1 "$lapsed"
tunnelled
gone
passed

step 'the Source answers, through the tunnel: all of it is back'
run db1 'verimesh fetch'
gave 1 '^verimesh: .*10\.77\.1\.5'
run db1 'verimesh sync'
gave 1 "$lapsed"
run web1 'mkdir /srv/log; cp clinic-a.cesr /srv/log; busybox httpd -p 10.77.1.5:80 -h /srv/log'
gave 0
run db1 'verimesh fetch; verimesh sync'
gave 0
there
run db1 'verimesh check'
gave 1 '^verimesh: .* lies in the mesh itself' '^ok   peer map$' '^ok   kernel keyring$'
! grep -q lapsed <<<"$OUT" || failed 'it still is'
run db1 "verimesh show $name"
! grep lapsed <<<"$OUT" || failed 'it still is'
tunnelled
passed

step 'the clock is set back: an answer yet to come counts as one of now'
answered -31536000
run db1 "verimesh sync; cat $ledger; date +%s"
gave 0
[ "$(grep -c "^src $AID_A " <<<"$OUT")" -eq 1 ] || failed 'not one line'
[ "$(sed -n "s/^src $AID_A - //p" <<<"$OUT")" -le "${OUT##*$'\n'}" ] || failed 'it was not mended'
there
passed

step 'the clock is set forward: it lapses; and MaxAge is policy'
answered 31536000
run db1 'verimesh sync'
gave 1 "$lapsed"
gone
run db1 "sed -i 's/^MaxAge = .*/MaxAge = 366d/' $conf; verimesh sync"
gave 0
there
passed

step 'a peer without a Source never lapses; its card does'
run db1 "sed -i 's/^MaxAge = .*/MaxAge = 1s/; /^Source/d' $conf; verimesh sync"
gave 0
there
run db1 "grep ': [0-9]*\$' /proc/keys | grep -F $KEY_A"
gave 0 ' 4w '
passed

demo_down
