#!/usr/bin/env bash
# test_swap.sh: a host changes its tunnel key, in step and at once, and what runs over the tunnel goes on.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host
#
# usage: tests/e2e/test_swap.sh   SOON=4: seconds in which both sides know of a change that is to come

# The audit session of whoever runs this, if any: pam_loginuid on the hosts could not give others.
[ "$(id -u)" -ne 0 ] || echo 4294967295 2>/dev/null >/proc/self/loginuid || true

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

: "${SOON:=4}"

# The time so many seconds from now.
moment() {
    date -u -d "@$((EPOCHSECONDS + $1))" +%Y-%m-%dT%H:%M:%SZ
}
until_then() {
    sleep $(($1 > EPOCHSECONDS ? $1 - EPOCHSECONDS : 0))
}

# `verimesh watch` on a host.
watch() {
    on "$1" sh -c 'echo $$ >/run/watch.pid; exec verimesh watch >>/root/log 2>&1' </dev/null 2>/dev/null &
    soon on "$1" sh -c '[ -s /run/watch.pid ] && [ -d /proc/$(cat /run/watch.pid)/fdinfo ]'
}
unwatch() {
    on "$1" sh -c 'kill $(cat /run/watch.pid)'
    soon on "$1" sh -c '[ ! -d /proc/$(cat /run/watch.pid) ]'
}

# What the organisation of a host says now gets to the other one.
carry() {
    on "$1" verimesh export | on "$2" sh -c 'cat >/root/in.cesr; verimesh import /root/in.cesr' >/dev/null
}

key() {
    on "$1" wg show verimesh0 public-key
}
# Whether the peer of that key is the only one of web1 or db1 there, with all addresses.
has_only() {
    [ "$(on "$1" wg show verimesh0 allowed-ips | grep -c .)" -eq 1 ] &&
        on "$1" wg show verimesh0 allowed-ips | grep -F "$2" | grep -q '10\.77\..*/32'
}
differs() {
    [ "$(key "$1")" != "$2" ]
}
is_peer() {
    on "$1" wg show verimesh0 peers | grep -qxF "$2"
}
is_no_peer() {
    ! is_peer "$@"
}
reaches() {
    on "$1" busybox ping -c 1 -W 1 "$2" >/dev/null 2>&1
}
not_in_ring() {
    ! in_ring "$@"
}
in_ring() {
    on "$1" sh -c "keyctl search \$(cat /run/verimesh/verimesh0.ring) user '$2'" >/dev/null 2>&1
}

# Packets both ways and an echo by TCP, every 20 ms each, over the mesh; the longest silence of each, in ms.
traffic() {
    local host
    for host in web1 db1; do
        on "$host" rm -f /root/stop /root/silence
    done
    on db1 python3 /root/traffic.py serve 10.77.2.5 &
    soon on db1 test -e /root/serves
    on web1 python3 /root/traffic.py send 10.77.1.5 10.77.2.5 &
    TRAFFIC=$!
    sleep 1
}
silence() {
    sleep 1
    on web1 touch /root/stop
    wait "$TRAFFIC" || failed 'the TCP connection did not survive'
    run web1 'cat /root/silence'
    gave 0 '^[0-9]+ [0-9]+ [0-9]+$'
    read -r SENT BACK ECHO <<<"$OUT"
    say "longest silence: to db1 $SENT ms, to web1 $BACK ms, in a TCP connection $ECHO ms"
    [ "$SENT" -le 1000 ] || failed 'that is too long'
    [ "$BACK" -le 1000 ] || failed 'that is too long'
    [ "$ECHO" -le 1000 ] || failed 'that is too long'
}

# A host is going to change its key, at the moment `at`, in so many seconds.
in_step() {
    at=$((EPOCHSECONDS + $2))
    run "$1" "verimesh rotate --at $(moment "$2")"
    gave 0 "^$1\.clinic-[ab]: key "
}

# A new key for a host, which replaces the one it has at once, so that it may change it in step again.
at_once() {
    local before
    before=$(key "$1")
    run "$1" 'verimesh rotate --at now && verimesh sync'
    gave 0
    carry "$1" "$2"
    differs "$1" "$before" || failed 'the key did not change'
    soon has_only "$2" "$(key "$1")" || failed 'the key was not replaced'
}

login() {
    logout
    coproc LOGIN { as alice web1 ssh -q db1.clinic-b.mesh.internal 'exec bash' 2>&1; }
    LOGIN_SSH=$LOGIN_PID
    inside 'id -un; cat /proc/self/sessionid'
    gave 0 '^alice$'
    SESSION=$(tail -n 1 <<<"$OUT")
}
logout() {
    [ -n "${LOGIN_SSH:-}" ] || return 0
    kill "$LOGIN_SSH" 2>/dev/null || true
    wait "$LOGIN_SSH" 2>/dev/null || true
}
inside() {
    local line
    printf '  %salice@db1, in her login$ %s%s\n' "$BOLD" "$1" "$PLAIN"
    OUT=''
    printf 'OUT=$({ %s; } 2>&1); printf "%%s\\nend %%d\\n" "$OUT" $?\n' "$1" >&"${LOGIN[1]}"
    while read -r -t 20 line <&"${LOGIN[0]}" && [[ $line != end\ * ]]; do
        OUT+=$line$'\n'
    done
    OUT=${OUT%$'\n'} STATUS=${line#end }
    [ -z "$OUT" ] || printf '    %s\n' "${OUT//$'\n'/$'\n'    }"
    [ "$STATUS" = 0 ] || printf '    (exit status %s)\n' "$STATUS"
}

# sudo in her login; where there are no audit sessions, only the login itself.
sudo_works() {
    inside "${SESSION:+sudo -n }id -un"
    gave 0 "^$([ -n "$SESSION" ] && echo root || echo alice)$"
}

demo_hosts
demo_identities
demo_exchange
demo_policy
demo_up
step 'both watch'
for host in web1 db1; do
    on "$host" tee /root/traffic.py >/dev/null <<'END'
import os, select, socket, sys, time

# in seconds
def gap(times):
    return max(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else 9

def serve(own):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((own, 7000))
    tcp = socket.create_server((own, 7000))
    open("/root/serves", "w").close()
    link, _ = tcp.accept()
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    heard, peer, due = [], None, 0
    while True:
        ready = select.select([udp, link], [], [], max(0, due - time.time()))[0]
        if udp in ready:
            peer = udp.recvfrom(64)[1]
            heard.append(time.time())
        if link in ready:
            data = link.recv(4096)
            if not data or b"!" in data:
                heard.append(time.time())
                link.sendall(b"%d\n" % (1000 * gap(heard)))
                break
            link.sendall(data)
        if time.time() >= due:
            due = time.time() + 0.02
            if peer:
                udp.sendto(b"x", peer)
    os.unlink("/root/serves")

def send(own, other):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((own, 7000))
    link = socket.create_connection((other, 7000), 10, (own, 0))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    heard, echoed, due = [], [], 0
    while not os.path.exists("/root/stop"):
        ready = select.select([udp, link], [], [], max(0, due - time.time()))[0]
        if udp in ready:
            udp.recv(64)
            heard.append(time.time())
        if link in ready:
            assert link.recv(4096)
            echoed.append(time.time())
        if time.time() >= due:
            due = time.time() + 0.02
            udp.sendto(b"x", (other, 7000))
            link.sendall(b"x" * 100)
    heard.append(time.time())
    echoed.append(time.time())
    link.sendall(b"!")
    rest = b""
    while not rest.endswith(b"\n"):
        rest += link.recv(4096)
    sent = int(rest.strip(b"x\n"))
    open("/root/silence", "w").write("%d %d %d\n" % (sent, 1000 * gap(heard), 1000 * gap(echoed)))

{"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
END
done
watch web1
watch db1
passed

step 'db1: sshd leaves records of logins, sudo asks for them'
on db1 tee /etc/pam.d/sshd >/dev/null <<'END'
account required   pam_verimesh.so
account required   pam_unix.so
session required   pam_loginuid.so
session required   pam_verimesh.so
END
on db1 tee /etc/pam.d/sudo >/dev/null <<'END'
account required   pam_verimesh.so session
account required   pam_unix.so
END
on db1 sh -c 'echo 127.0.1.1 db1 >>/etc/hosts; echo "alice ALL = (ALL) NOPASSWD: ALL" >/etc/sudoers.d/alice; chmod 440 /etc/sudoers.d/alice'
login
if [ "$SESSION" = 4294967295 ]; then
    say 'a process here cannot get an audit session: without sudo'
    SESSION=''
fi
sudo_works
passed

step 'before its time a new key is known to everything, and has no addresses'
old=$(key web1)
in_step web1 "$SOON"
new=$(sed -n 's/^web1\.clinic-a: key \([^ ]*\) from .*/\1/p' <<<"$OUT")
carry web1 db1
soon in_ring db1 "$new" || failed 'the keyring has it not'
in_ring db1 "$old" || failed 'the keyring has the old one no more'
run db1 'wg show verimesh0 allowed-ips'
grep -qxF "$new	(none)" <<<"$OUT" || failed 'the new key has addresses'
grep -qF "$old	10.77.1.5/32 fd" <<<"$OUT" || failed 'the old key has no addresses'
sudo_works
passed

step 'then the tunnel follows, under running traffic, and an open login goes on'
traffic
[ "$(key web1)" = "$old" ] || failed 'that took too long'
until_then "$at"
soon differs web1 "$old" || failed 'the key did not change'
[ "$(key web1)" = "$new" ] || failed 'it is another key'
soon has_only db1 "$new" || failed 'the addresses did not move'
silence
soon not_in_ring db1 "$old" || failed 'the keyring has the old one'
sudo_works
inside 'hostname'
gave 0 '^db1$'
run alice@web1 'ssh db1.clinic-b.mesh.internal id -un'
gave 0 '^alice$'
passed

step 'both at once'
at_once web1 db1
at_once db1 web1
login
old_web1=$(key web1) old_db1=$(key db1)
in_step web1 "$SOON"
in_step db1 $((at - EPOCHSECONDS))
carry web1 db1
carry db1 web1
traffic
[ "$(key web1)" = "$old_web1" ] || failed 'that took too long'
until_then "$at"
soon differs web1 "$old_web1" || failed 'the key of web1 did not change'
soon differs db1 "$old_db1" || failed 'the key of db1 did not change'
soon has_only db1 "$(key web1)" || failed 'the addresses of web1 did not move'
soon has_only web1 "$(key db1)" || failed 'the addresses of db1 did not move'
silence
sudo_works
passed

step "db1's clock is ahead: it changes its key two seconds before the others expect it; then it is behind"
unwatch db1
at_once db1 web1
in_step db1 $((SOON + 1))
carry db1 web1
new=$(on db1 sh -c 'wg pubkey </var/lib/verimesh/identity/tunnel.next')
soon is_peer web1 "$new" || failed 'it is no peer'
traffic
sleep 1
on db1 wg set verimesh0 private-key /var/lib/verimesh/identity/tunnel.next
soon has_only web1 "$new" || failed 'the addresses did not move'
[ "$EPOCHSECONDS" -lt "$at" ] || failed 'that took too long'
silence
until_then $((at + 1))
run db1 'verimesh sync'
gave 0
[ "$(key db1)" = "$new" ] || failed 'it has another key'
at_once db1 web1
old=$(key db1)
in_step db1 "$SOON"
carry db1 web1
traffic
until_then $((at + 2))
[ "$(key db1)" = "$old" ] || failed 'it has another key already'
run db1 'verimesh sync'
gave 0
soon has_only web1 "$(key db1)" || failed 'the addresses did not move'
[ "$(key db1)" != "$old" ] || failed 'the key did not change'
silence
watch db1
passed

step 'web1 begins anew: db1, which has a session with it, hears of that at once'
run web1 'verimesh down; verimesh up'
gave 0
reached=$EPOCHREALTIME
reaches db1 10.77.1.5 || failed 'it is not reached'
say "reached $(((${EPOCHREALTIME/./} - ${reached/./}) / 1000)) ms after that"
passed

step 'db1 is down while web1 changes its key, and comes back later'
at_once web1 db1
unwatch db1
on db1 verimesh down
old=$(key web1)
in_step web1 1
soon differs web1 "$old" || failed 'the key did not change'
carry web1 db1
run db1 'verimesh up; wg show verimesh0 allowed-ips'
gave 0
has_only db1 "$(key web1)" || failed 'the new key is not in force'
reaches db1 10.77.1.5 || failed 'it is not reached'
passed

step 'db1 misses ten changes, of the last one the time has come'
for _ in {1..9}; do
    on web1 verimesh rotate --at now >/dev/null
done
on web1 verimesh sync
old=$(key web1)
in_step web1 1
soon differs web1 "$old" || failed 'the key did not change'
carry web1 db1
run db1 'verimesh sync; wg show verimesh0 allowed-ips'
gave 0
has_only db1 "$(key web1)" || failed 'the last key is not in force'
reaches db1 10.77.1.5 || failed 'it is not reached'
watch db1
passed

step 'whoever uses his next key is let in from the moment that it has his addresses, before the next sync'
old=$(wg genkey | wg pubkey) new=$(wg genkey | wg pubkey)
on web1 verimesh issue spare --key "$old" --login alice >/dev/null
carry web1 db1
soon is_peer db1 "$old" || failed 'it is no peer'
at=$((EPOCHSECONDS + SOON))
on web1 verimesh issue spare --key "$new" --login alice --from "$(moment $((at - 3600 - EPOCHSECONDS)))" >/dev/null
carry web1 db1
soon is_peer db1 "$new" || failed 'the new key is no peer'
spare=$(on db1 getent hosts spare.clinic-a.mesh.internal)
for key in "$old" "$new"; do
    on db1 wg set verimesh0 peer "$key" allowed-ips "${spare%% *}/128"
    run db1 "verimesh gate --user alice --from ${spare%% *}"
    gave 0 'spare\.clinic-a\.mesh\.internal'
    grep -qF "$key" <<<"$OUT" || failed 'it is by another key'
done
on db1 wg set verimesh0 peer "$old" allowed-ips "${spare%% *}/128"
passed

step 'an hour past its time a replaced key is refused, even if nobody met the new one'
[ "$EPOCHSECONDS" -lt "$at" ] || failed 'that took too long'
is_peer db1 "$old" || failed 'the old key has no tunnel already'
in_ring db1 "$old" || failed 'the keyring has the old key no more'
until_then "$at"
soon is_no_peer db1 "$old" || failed 'the old key still has a tunnel'
soon not_in_ring db1 "$old" || failed 'the keyring has the old key'
run db1 "verimesh show spare.clinic-a.mesh.internal; wg show verimesh0 allowed-ips"
gave 0
! grep -qF "$old" <<<"$OUT" || failed 'the map has the old key'
grep -qxF "$new	${spare%% *}/128" <<<"$OUT" || failed 'the new key has no addresses'
on web1 verimesh withdraw spare >/dev/null
carry web1 db1
soon is_no_peer db1 "$new" || failed 'it is not withdrawn'
passed

step 'a stolen key is replaced at once: its sessions have no sudo, and it opens nothing'
login
sudo_works
on web1 sh -c 'umask 077; wg show verimesh0 private-key >/root/stolen'
at_once web1 db1
if [ -n "$SESSION" ]; then
    inside 'sudo -n id -un'
    gave 1
    logged db1 'refused account=alice from=- key=[^ ]*: key [^ ]* in the keyring: '
fi
run alice@web1 'ssh db1.clinic-b.mesh.internal id -un'
gave 0 '^alice$'
unwatch web1
on web1 wg set verimesh0 private-key /root/stolen
! reaches web1 10.77.2.5 || failed 'it opens the tunnel'
passed
