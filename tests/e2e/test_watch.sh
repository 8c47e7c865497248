#!/usr/bin/env bash
# test_watch.sh: the service that stays: what it notices, does, prints and tells systemd; killed at any moment.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host
#
# usage: tests/e2e/test_watch.sh   KILLS=20: how often it is killed

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

conf=/etc/verimesh/verimesh.conf

# Starts it on the hub; its lines go to /root/log. EVERY variable of its environment is a word.
watch() {
    on hub env "$@" sh -c 'echo $$ >/run/watch.pid; exec verimesh watch >>/root/log 2>&1' </dev/null 2>/dev/null &
    WATCH=$!
    soon on hub sh -c '[ -s /run/watch.pid ] && [ -d /proc/$(cat /run/watch.pid)/fdinfo ]'
}

# Sends it a signal; sets STATUS to how it ended, if it was to.
signal() {
    on hub sh -c "kill -$1 \$(cat /run/watch.pid)"
    STATUS=0
    [ "$1" = HUP ] || wait "$WATCH" || STATUS=$?
}

# What of its lines there is since the last `fresh`.
fresh() {
    on hub sh -c ': >>/root/log; wc -l </root/log >/root/seen'
}
lines() {
    on hub sh -c 'tail -n +$(($(cat /root/seen) + 1)) /root/log'
}
has_said() {
    local n
    n=$(lines | grep -Ec -- "$2")
    [ "$n" = "$1" ] || { [ "$1" = some ] && [ "$n" -gt 0 ]; }
}

# It prints, within a moment, as many lines that match, and no more.
says() {
    soon has_said "$1" "$2" || true
    lines | sed 's/^/    | /'
    has_said "$1" "$2" || failed "not $1 times: $2"
}

# Settled: nothing is under way for a moment.
still() {
    local before after
    before=$(lines | wc -l)
    for _ in {1..20}; do
        sleep 0.5
        after=$(lines | wc -l)
        [ "$before" -ne "$after" ] || return 0
        before=$after
    done
    failed 'it is not still'
}

edit() {
    on hub sed -i "$1" $conf
}

# The spoke's organisation shows something new; the hub gets it by hand, or a Source has it.
spoke_issues() {
    on spoke verimesh issue spoke --endpoint 192.0.2.2:51820 "$@" >/dev/null
}
carry() {
    on spoke verimesh export | on hub sh -c 'cat >/root/spoke.cesr; verimesh import /root/spoke.cesr' >/dev/null
}
publish() {
    on spoke verimesh export | on hub sh -c 'cat >/root/spoke.new; mv /root/spoke.new /root/source.cesr'
}

knows() {
    on hub getent ahosts spoke.org2.mesh.internal | grep -q "^$1 "
}
knows_not() {
    ! knows "$1"
}

own_sn() {
    on hub sh -c 'verimesh export | verimesh verify --json -' | sed -n 's/.*"sn":\([0-9]*\).*/\1/p'
}
step 'two hosts; no watch yet'
host_start hub 192.0.2.1
host_start spoke 192.0.2.2
on hub verimesh init hub --self org1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --until never >/dev/null
on spoke verimesh init spoke --self org2 --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login alice >/dev/null
on hub tee -a $conf >/dev/null <<END

[Peer org2]
AID = $(on spoke cat /var/lib/verimesh/identity/aid)
AllowedIPs = 10.77.2.0/24
END
carry
edit 's/^#FetchEvery.*/FetchEvery = 1h/; s/^AllowedIPs = 10.77.1.5.*/AllowedIPs = 10.77.1.0\/24/'
run hub 'verimesh up'
gave 0
passed

step 'it syncs, then tells systemd that it is ready'
on hub tee /root/listen.py >/dev/null <<'END'
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/notify")
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)
END
on hub sh -c 'python3 /root/listen.py >>/root/notified' &
soon on hub test -S /run/notify
on hub rm /var/lib/verimesh/peers.cdb
fresh
watch NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=1000000
says 1 '^synced: 2 hosts of 2 peers$'
soon on hub grep -q '^READY=1 STATUS=2 hosts of 2 peers' /root/notified || failed 'READY=1 was not sent'
knows 10.77.2.5 || failed 'there is no map'
soon on hub sh -c '[ $(grep -c ^WATCHDOG=1 /root/notified) -ge 3 ]' || failed 'the watchdog is not fed'
run hub 'cat /root/notified'
gave 0
passed

step 'a second one is refused'
run hub 'timeout 5 verimesh watch'
gave 3 '^verimesh: /var/lib/verimesh/watch\.lock: verimesh watch is running already, process [0-9]+$'
passed

step 'the store changes: it syncs by itself, once'
fresh
spoke_issues --addr 10.77.2.6
carry
soon knows 10.77.2.6 || failed 'the new address is not known'
still
says 1 '^synced: 2 hosts of 2 peers$'
passed

step 'the configuration changes; broken, it is told once, and the last good state stays until it is mended'
fresh
edit 's/^AllowedIPs = 10.77.2.0.*/AllowedIPs = 10.77.3.0\/24/'
soon knows_not 10.77.2.6 || failed 'the claim is not refused'
says 1 '^verimesh: .*10\.77\.2\.6'
on hub sh -c "echo nonsense >>$conf"
says 1 '^verimesh: /etc/verimesh/verimesh.conf:[0-9]+: misplaced "nonsense"'
on hub touch $conf
still
has_said 1 nonsense || failed 'it is told again'
says 0 '^mended: '
on hub getent hosts spoke.org2.mesh.internal >/dev/null || failed 'the last good state is gone'
edit 's/^AllowedIPs = 10.77.3.0.*/AllowedIPs = 10.77.2.0\/24/; /^nonsense/d'
soon knows 10.77.2.6 || failed 'the claim is not admitted'
says 1 '^mended: .*10\.77\.2\.6'
says 1 '^mended: /etc/verimesh/verimesh.conf:[0-9]+: misplaced "nonsense"'
passed

step 'the identity changes'
fresh
on hub touch /var/lib/verimesh/identity/next
says 1 '^synced: '
passed

step 'a card ends: its peer goes at that moment'
spoke_issues --addr 10.77.2.6 --until 3s
key=$(on spoke wg show verimesh0 public-key 2>/dev/null || on spoke sh -c 'wg pubkey </var/lib/verimesh/identity/tunnel')
fresh
carry
says 1 '^synced: 2 hosts of 2 peers$'
run hub 'wg show verimesh0 peers'
grep -qxF "$key" <<<"$OUT" || failed 'it is no peer'
says 1 '^synced: 1 hosts of 2 peers$'
run hub 'wg show verimesh0 peers'
! grep -qxF "$key" <<<"$OUT" || failed 'it still is a peer'
passed

step 'a Source is asked every FetchEvery; what is wrong is told once, and when it is right again'
spoke_issues --addr 10.77.2.7
fresh
edit "s/^FetchEvery.*/FetchEvery = 1s/; s/^AllowedIPs = 10.77.2.0.*/&\nSource = file:\/root\/source.cesr/"
says 1 '^verimesh: org2: file:/root/source.cesr: No such file'
sleep 2
has_said 1 source.cesr || failed 'it is told at every round'
publish
soon knows 10.77.2.7 || failed 'the Source was not asked'
says 1 '^mended: org2: file:/root/source.cesr: No such file'
says 1 ': sn [0-9]+, [0-9]+ bytes added$'
passed

step 'SIGHUP: it is asked at once, and systemd is told'
edit 's/^FetchEvery.*/FetchEvery = 1h/'
still
on hub sh -c ': >/root/notified'
spoke_issues --addr 10.77.2.8
publish
sleep 1.2
knows_not 10.77.2.8 || failed 'it is asked too early'
signal HUP
soon knows 10.77.2.8 || failed 'the Source was not asked'
soon on hub sh -c 'grep -q "^READY=1 " /root/notified' || failed 'READY=1 was not sent'
run hub 'cat /root/notified'
gave 0 '^RELOADING=1 MONOTONIC_USEC=[0-9]+$' '^READY=1 STATUS=2 hosts of 2 peers; fetched 20'
passed

step 'own cards past half of their life are renewed; not what has no end, is withdrawn, or changes its key'
first=$(on hub sh -c 'wg genkey | wg pubkey') second=$(on hub sh -c 'wg genkey | wg pubkey')
fresh
on hub verimesh issue web --key "$first" --until 3s --login carol=/root/.ssh/id_ed25519.pub --addr 10.77.1.7 \
    --route 10.77.1.128/25 --endpoint 192.0.2.9:51820 >/dev/null
on hub verimesh issue gone --key "$second" --until 3s >/dev/null
on hub verimesh withdraw gone >/dev/null
on hub verimesh issue turn --key "$(on hub sh -c 'wg genkey | wg pubkey')" --until 8s >/dev/null
on hub verimesh issue turn --key "$(on hub sh -c 'wg genkey | wg pubkey')" --from 1s --until 3s >/dev/null
says some '^web\.org1: card renewed$'
still
run hub "verimesh export | sed 's/{\"v\"/\n&/g' | grep -a '^{\"v\":\"ACDC.*\"host\":\"web\"' | sed 's/.*\"a\"://'"
gave 0 '"logins":\["carol"\]'
times='s/"(dt|until)":"[^"]*"//g'
[ "$(sort -u <<<"$OUT" | wc -l)" -eq 2 ] || failed 'it is the same card'
[ "$(sed -E "$times" <<<"$OUT" | sort -u | wc -l)" -eq 1 ] || failed 'more than its times changed'
sleep 1
says 0 '^(gone|turn|hub)\.org1: card renewed$'
signal TERM
[ "$STATUS" -eq 0 ] || failed "exit status $STATUS"
passed

step 'those that ended while it was not there come back, in one event, which voids what they replace'
on hub verimesh issue web --key "$first" --until 2s >/dev/null
on hub verimesh issue wob --key "$second" --until 2s >/dev/null
sleep 2.1
run hub 'verimesh sync; getent hosts web.org1.mesh.internal wob.org1.mesh.internal'
gave 2
sn=$(own_sn)
fresh
watch
says some '^web\.org1: card renewed$'
says some '^wob\.org1: card renewed$'
[ "$(own_sn)" -eq $((sn + 1)) ] || failed 'not in one event'
soon on hub getent hosts wob.org1.mesh.internal >/dev/null || failed 'it is not back'
run hub "tail -c 2000 /var/lib/verimesh/kel/\$(cat /var/lib/verimesh/identity/aid).cesr | grep -ao '\"a\":\[{\"i\".*}\]}'"
gave 0 '^"a":\[\{"i":"[^"]+","s":"1","d":"[^"]+"\},\{"i":"[^"]+","s":"1","d":"[^"]+"\}\]\}$'
on hub sh -c 'verimesh withdraw wob; verimesh withdraw web' >/dev/null
still
passed

step 'where a Source shows a longer log nothing is signed, until that is here'
signal TERM
on hub verimesh issue web --key "$first" --until 1s >/dev/null
sleep 0.6
run hub 'mkdir -p /root/other/var/lib /root/other/etc; cp -a /var/lib/verimesh /root/other/var/lib; cp -a /etc/verimesh /root/other/etc
verimesh issue other --root /root/other --key $(wg genkey | wg pubkey) >/dev/null; verimesh export --root /root/other >/root/own.cesr'
gave 0
edit 's/^AllowedIPs = 10.77.1.0.*/&\nSource = file:\/root\/own.cesr/'
fresh
watch
says 1 '^verimesh: file:/root/own\.cesr: has sn [0-9]+ of the own log, this host only sn [0-9]+'
says some '^web\.org1: card renewed$'
says 1 '^mended: file:/root/own\.cesr: has sn'
on hub verimesh withdraw web >/dev/null
still
passed

# A child waits as long as somebody else has the store.
hold() {
    on hub flock /var/lib/verimesh/lock sh -c 'touch /run/held; until [ -e /run/free ]; do sleep 0.02; done; rm /run/free' &
    HOLDER=$!
    soon on hub rm /run/held 2>/dev/null
    on hub touch $conf
    soon child >/dev/null || failed 'there is no child'
}
release() {
    on hub touch /run/free
    wait "$HOLDER"
}
child() {
    on hub sh -c 'pgrep -P $(cat /run/watch.pid)'
}
childless() {
    ! on hub pgrep -x verimesh >/dev/null
}

step 'a child that dies takes nobody along; the next one mends it'
fresh
hold
on hub kill -SEGV "$(child)"
says 1 '^verimesh: sync: killed by signal 11$'
release
on hub touch $conf
says 1 '^mended: sync: killed by signal 11$'
passed

step 'killed, it leaves no child; asked to end while one waits, it does'
hold
signal KILL
soon childless || failed 'a child is left'
release
watch
hold
signal TERM
[ "$STATUS" -eq 0 ] || failed "exit status $STATUS"
soon childless || failed 'a child is left'
release
passed

# What there is for names, in the kernel and on the wire.
state() {
    on hub sh -c 'cksum </var/lib/verimesh/peers.cdb; ring=$(cat /run/verimesh/verimesh0.ring)
        keyctl rlist $(keyctl search $ring keyring peers:0) | xargs -n 1 sh -c "keyctl rdescribe \$0; keyctl print \$0" | sort
        wg show verimesh0 allowed-ips | sort; wg show verimesh0 endpoints | sort
        ip -6 route show dev verimesh0; ip route show dev verimesh0; ip -o addr show dev verimesh0 scope global | cut -d" " -f2-7'
}

# Cards of both organisations come and go.
changes() {
    local i
    for ((i = 1; ; i++)); do
        spoke_issues --addr "10.77.2.$((10 + i % 200))"
        publish
        carry
        on hub verimesh issue "h$((i % 3))" --key "$second" --until $((1 + i % 2))s >/dev/null
        [ $((i % 4)) -gt 0 ] || on hub verimesh withdraw "h$((i % 3))" >/dev/null
    done
}

step "killed ${KILLS:=20} times while cards change, it ends where an undisturbed one does"
edit 's/^FetchEvery.*/FetchEvery = 1s/'
changes &
CHANGES=$!
for ((i = 0; i < KILLS; i++)); do
    watch
    sleep "0.$((SRANDOM % 30 + 10))"
    signal KILL
done
kill $CHANGES
wait $CHANGES 2>/dev/null || true
on hub sh -c 'for label in h0 h1 h2; do verimesh withdraw $label; done' >/dev/null 2>&1 || true
on hub verimesh issue web --key "$first" --until never >/dev/null
spoke_issues --addr 10.77.2.9 --until never
edit '/^Source = file:.root.own/d'
publish
fresh
watch
soon knows 10.77.2.9 || failed 'the last card is not known'
still
says 0 '^verimesh: '
signal TERM
[ "$STATUS" -eq 0 ] || failed "exit status $STATUS"
disturbed=$(state)
run hub 'verimesh export | verimesh verify -'
gave 0
run hub 'verimesh down; rm -r /var/lib/verimesh/peers.cdb /var/lib/verimesh/verified; verimesh up'
gave 0
diff <(echo "$disturbed") <(state) || failed 'the states differ'
passed

step 'idle, it takes next to nothing'
edit 's/^FetchEvery.*/FetchEvery = 5m/'
watch WATCHDOG_USEC=30000000
still
run hub 'ticks() { awk "{ print \$14 + \$15 + \$16 + \$17 }" /proc/$(cat /run/watch.pid)/stat; }
before=$(ticks); sleep 2; echo $(($(ticks) - before)) of $((2 * $(getconf CLK_TCK))) ticks of a core
grep -E "^(VmRSS|RssAnon):" /proc/$(cat /run/watch.pid)/status'
gave 0 '^VmRSS:'
[ "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' <<<"$OUT")" -lt 8192 ] || failed 'it takes more than 8 MiB'
signal INT
[ "$STATUS" -eq 0 ] || failed "exit status $STATUS"
passed

step 'a fresh host with no more than its configuration starts by watch alone'
on hub sh -c 'verimesh down; rm -rf /var/lib/verimesh /run/verimesh; sed -i "/^\[Peer org1\]/,/^$/d" '$conf
edit 's/^Self = .*/Self = org3/'
publish
fresh
watch
soon knows 10.77.2.9 || failed 'the Source was not asked'
says 1 ': sn [0-9]+, [0-9]+ bytes added$'
passed

step 'the directory of the configuration is replaced: that is noticed at once'
still
fresh
on hub sh -c 'cp -a /etc/verimesh /etc/new; echo nonsense >>/etc/new/verimesh.conf
    mv /etc/verimesh /etc/old; mv /etc/new /etc/verimesh'
says 1 '^verimesh: /etc/verimesh/verimesh.conf:[0-9]+: misplaced "nonsense"'
signal TERM
[ "$STATUS" -eq 0 ] || failed "exit status $STATUS"
passed
