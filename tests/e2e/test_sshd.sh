#!/usr/bin/env bash
# test_sshd.sh: however people log in by the real sshd, the gate is asked, and is told the right address.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# shellcheck source=tests/e2e/sshd.sh
. tests/e2e/sshd.sh

# What alice types when she is asked for her password on db1, which is "right".
typed() {
    on web1 install -m 755 /dev/stdin /usr/local/bin/askpass <<END
#!/bin/sh
echo "$1"
END
}

# Accepts connections on a port of db1 as inetd does: of both families, by one socket.
inetd() {
    on db1 sh -c '"$@" >/dev/null 2>&1 &' sh busybox nc -ll -p "$1" -e "${@:2}"
    soon on db1 sh -c "ss -Hltn | grep -q '\*:$1 '" || failed "nothing listens on $1"
}

sshd_mesh
OUTSIDE='192.0.2.1: 192.0.2.1 is outside the mesh'

step 'more daemons on db1, each with ways of its own; alice has a password there'
host_sshd db1 -p 2201 -o KbdInteractiveAuthentication=yes -o PubkeyAuthentication=no
host_sshd db1 -p 2202 -o KbdInteractiveAuthentication=yes \
    -o AuthenticationMethods=publickey,keyboard-interactive
host_sshd db1 -p 2203 -o UseDNS=yes
host_sshd db1 -p 2204 -o ListenAddress=::
run db1 'sed -i "s|^alice:[^:]*|alice:$(busybox mkpasswd -m sha512 right)|" /etc/shadow; ss -Hltn'
gave 0 ':2201 ' ':2202 ' ':2203 ' '\]:2204 '
on web1 sed -i 's/^BatchMode yes/BatchMode no\nNumberOfPasswordPrompts 1/' /etc/ssh/ssh_config
comes() {
    run alice@web1 "SSH_ASKPASS=askpass SSH_ASKPASS_REQUIRE=force ssh $* id -un"
}
passed

step 'by a public key'
comes $V4
let_in $FROM_V4
comes 192.0.2.2
kept_out "$OUTSIDE"
passed

step 'by a password, keyboard-interactive; a wrong one does not even get to the gate'
typed right
comes $V4 -p 2201
let_in $FROM_V4
comes 192.0.2.2 -p 2201
kept_out "$OUTSIDE"
typed wrong
comes $V4 -p 2201
gave 255 'Permission denied \(keyboard-interactive\)'
said
passed

step 'by both, one after the other'
comes $V4 -p 2202
gave 255 'Permission denied \(keyboard-interactive\)'
said
typed right
comes $V4 -p 2202 -o PubkeyAuthentication=no
gave 255 'Permission denied \(publickey\)'
said
comes 192.0.2.2 -p 2202
kept_out "$OUTSIDE"
comes $V4 -p 2202
let_in $FROM_V4
passed

step 'by nothing else, where the gate stands in auth on purpose: the tunnel is the proof'
service sshd <<'END'
auth    required   pam_verimesh.so
account required   pam_verimesh.so
account required   pam_unix.so
session required   pam_unix.so
END
typed nothing
comes $V4 -p 2201
gave 0 '^alice$'
said "$(admitted auth $FROM_V4 web1)" "$(admitted account $FROM_V4 web1)"
comes 192.0.2.2 -p 2201
gave 255 '^This login is not admitted here\.'
said "$(refused auth alice "$OUTSIDE")"
comes bob@$V4 -p 2201
gave 255 '^This login is not admitted here\.'
said "$(refused auth bob "$FROM_V4 $(whose web1): no login of ${NAME[web1]} becomes bob")"
passed

step 'by IPv4 and IPv6; a daemon for IPv6 alone'
sshd_lines | service sshd
comes "$V6"
let_in "$FROM_V6"
comes "$V6" -p 2204
let_in "$FROM_V6"
comes $V4 -p 2204
gave 255 'Connection refused'
said
on web1 ip addr add 2001:db8::1/64 dev eth0 nodad
on db1 ip addr add 2001:db8::2/64 dev eth0 nodad
comes 2001:db8::2 -p 2204
kept_out '2001:db8::1: 2001:db8::1 is outside the mesh'
passed

step 'from an address that is good on one link only'
linklocal() {
    on "$1" ip -6 addr show dev eth0 scope link | sed -n 's|.*inet6 \(.*\)/64.*|\1|p'
}
comes "$(linklocal db1)%eth0"
kept_out "$(linklocal web1): $(linklocal web1) is outside the mesh"
passed

step 'by sshd -i on a socket of both families: IPv4 is IPv4, and IPv6 stays what it is'
inetd 2205 /usr/sbin/sshd -i
comes $V4 -p 2205
let_in $FROM_V4
comes "$V6" -p 2205
let_in "$FROM_V6"
comes 192.0.2.2 -p 2205
kept_out "$OUTSIDE"
passed

step 'by sshd -i behind pipes nobody can tell from where, on the mesh or not'
inetd 2206 bash -c 'exec 3< <(exec cat); /usr/sbin/sshd -i <&3 | cat; kill $!'
comes $V4 -p 2206
kept_out 'UNKNOWN: what is no address is outside the mesh'
comes 192.0.2.2 -p 2206
kept_out 'UNKNOWN: what is no address is outside the mesh'
passed

step 'UseDNS: the name of a mesh address changes nothing'
tells_rhost='account optional pam_exec.so quiet log=/tmp/rhost /usr/bin/printenv PAM_RHOST'
sshd_lines | sed "1i $tells_rhost" | service sshd
rhost_was() {
    run db1 'tail -n 1 /tmp/rhost'
    gave 0 "^$1\$"
}
comes $V4 -p 2203
let_in $FROM_V4
rhost_was web1.clinic-a.mesh.internal
passed

step 'UseDNS: nor does any name that an attacker gives his own address'
for name in laptop.example web1.clinic-a.mesh.internal $FROM_V4.example; do
    on db1 tee /etc/hosts >/dev/null <<<"192.0.2.1 $name"
    comes 192.0.2.2 -p 2203
    kept_out "$OUTSIDE"
    rhost_was "$name"
done
on db1 tee /etc/hosts >/dev/null <<<"192.0.2.1 $FROM_V4"
comes 192.0.2.2 -p 2203
kept_out "$OUTSIDE"
rhost_was 192.0.2.1
comes $V4 -p 2203
let_in $FROM_V4
passed
