#!/usr/bin/env bash
# test_keyring.sh: on the demo's hosts, users forge, steal and fill up what the kernel's keyring holds.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# Puts a script of a user's own making on db1.
script() {
    on db1 tee "/usr/bin/$1" >/dev/null
    on db1 chmod 755 "/usr/bin/$1"
}

# Everything that keyctl can do with a key or ring; says what was allowed.
script_fiddle() {
    script fiddle <<'END'
#!/bin/sh
for id; do
    while read -r verb rest; do
        if keyctl "$verb" $rest >/dev/null 2>&1 </dev/null; then echo "allowed: $verb"; fi
    done <<COMMANDS
rdescribe $id
print $id
rlist $id
search $id user tunnel
link $id @u
move $id @u @s
timeout $id 9
newring mine $id
add user mine x $id
update $id x
chown $id 2001
setperm $id 0x3f3f3f3f
restrict_keyring $id
unlink $id @u
clear $id
invalidate $id
revoke $id
COMMANDS
done
END
}

# Runs a command with two rings of the mesh's name, in the caller's @u and @s, each with web1's key in it
# and with the rights that verimesh gives.
script_forge() {
    local key text
    key=$(on web1 wg show verimesh0 public-key)
    text=$(on db1 sh -c "keyctl print \$(keyctl search $ring user '$key')")
    script forge <<END
#!/bin/sh -e
keyctl link @u @s
for at in @u @s; do
    ring=\$(keyctl newring verimesh:verimesh0 \$at)
    key=\$(keyctl add user '$key' '$text' "\$ring")
    keyctl setperm "\$key" 0x3f3f0000
    keyctl setperm "\$ring" 0x3f3f0000
done
exec "\$@"
END
}

# Runs a command as alice, in a session keyring of her own, with her forged rings.
forged() {
    run alice@db1 "keyctl session - forge $1"
}

# What root does to the real ring, and what the module then says; sync mends it.
disbelieved() {
    step "$1: alice's own rings do not stand in for it"
    run db1 "$2"
    gave 0
    forged "$ask"
    gave 1
    logged db1 "refused account=alice .*: $3"
    run db1 'verimesh sync'
    gave 0
    forged "$ask"
    gave 0
    logged db1 'admitted account=alice'
    passed
}

demo_hosts
demo_identities
demo_exchange
demo_policy
demo_up
demo_names
demo_admitted

file=/run/verimesh/verimesh0.ring
ring="\$(cat $file)"
key="\$(keyctl search $ring user \$(wg show verimesh0 peers))"
script_fiddle
script_forge

# As su does it: the caller is the real user, root the effective one. The module is asked about a
# login from web1.
on db1 install -m 4755 /usr/bin/pamtester /usr/bin/pamtester-su
ask="pamtester-su -I rhost=$ADDRESS_A login alice acct_mgmt"

step 'ring, secrets and peer keys are closed to other users, whatever they try'
run db1 "for name in tunnel identity; do keyctl search $ring user \$name; done; echo $key; cat $file"
gave 0
ids=${OUT//$'\n'/ }
[ "$(wc -w <<<"$ids")" -eq 4 ] || failed 'not four keys'
run alice@db1 "keyctl session - sh -c 'fiddle \$(keyctl add user mine x @s)'"
gave 0 'allowed: rdescribe' 'allowed: print' 'allowed: update' 'allowed: setperm' 'allowed: invalidate'
run alice@db1 "keyctl session - fiddle $ids"
gave 0
! grep allowed <<<"$OUT" || failed 'that was allowed'
run alice@web1 "ssh $ADDRESS_B true"
gave 0
passed

disbelieved "web1's key is revoked" "keyctl revoke $key" 'Key has been revoked'
disbelieved "web1's key is gone" "keyctl clear $ring" 'Required key not available'
disbelieved 'the ring is revoked' "keyctl revoke $ring" 'Key has been revoked'
disbelieved 'the ring is gone' "keyctl unlink $ring @u; while keyctl rdescribe $ring; do sleep 0.02; done 2>&1" \
    'Required key not available'
disbelieved 'the serial file is gone' "rm $file" 'No such file or directory'
disbelieved 'the serial is @u' "echo -4 > $file" 'Operation not permitted'
disbelieved 'the serial is @s' "echo -3 > $file" 'Operation not permitted'

step "a serial that names alice's ring, open to everybody, is not believed"
forged "sh -c 'keyctl search @u keyring verimesh:verimesh0 > forged; keyctl setperm \$(cat forged) 0x3f3f3f3f'"
gave 0
run db1 "cat /home/alice/forged > $file; keyctl rdescribe $ring"
gave 0 '^keyring;2001;.*;verimesh:verimesh0$'
run db1 "verimesh gate --user alice --from $ADDRESS_A"
gave 1 'Operation not permitted'
run alice@web1 "ssh $ADDRESS_B true"
gave 255
run db1 'verimesh sync'
gave 0
run alice@web1 "ssh $ADDRESS_B true"
gave 0
passed

# util-linux' su keeps the caller's session keyring. Here it asks for no password.
step "root by su, in alice's session: the tool and the gate keep to root's own ring"
run db1 'sed -i "1i auth sufficient pam_permit.so" /etc/pam.d/su'
gave 0
forged 'su root -c "id -u; keyctl search @s keyring verimesh:verimesh0"'
gave 0 '^0$'
run db1 "keyctl revoke $ring"
gave 0
forged "su root -c 'verimesh gate --user alice --from $ADDRESS_A'"
gave 1 'Key has been revoked'
forged "su root -c 'verimesh sync && verimesh gate --user alice --from $ADDRESS_A'"
gave 0
run db1 "[ \$(keyctl search @u keyring verimesh:verimesh0) = $ring ] && keyctl rdescribe $ring"
gave 0 '^keyring;0;.*;3f3f0000;verimesh:verimesh0$'
run alice@web1 "ssh $ADDRESS_B true"
gave 0
passed

step 'the identity moved to another host: its seed leaves the keyring, the tunnel stays'
run db1 "cd /var/lib/verimesh/identity; mkdir /root/away; mv aid seed next /root/away
sed -i '/^\\[Peer clinic-b\\]/a AID = $AID_B' /etc/verimesh/verimesh.conf; verimesh sync"
gave 0
run db1 "keyctl search $ring user tunnel && keyctl search $ring user identity"
gave 1 'Required key not available'
run alice@web1 "ssh $ADDRESS_B true"
gave 0
passed

# Root of bob's own user namespace has bob's quota: 200 keys.
step 'a full quota: one line with the mend, and what was there stays'
script full <<'END'
#!/bin/sh -e
export PATH=$PATH:/usr/sbin
verimesh init solo --self solo --root mesh >/dev/null
verimesh sync --root mesh
ring=$(cat mesh/run/verimesh/verimesh0.ring)
n=0
while keyctl add user fill$n x @s >/dev/null 2>&1; do n=$((n + 1)); done
verimesh sync --root mesh && echo unchanged
keyctl revoke "$(keyctl search "$ring" user tunnel)"
verimesh sync --root mesh || echo "status $?"
keyctl pipe "$(keyctl search "$ring" user identity)" | wc -c
keyctl clear @s
sleep 0.5
verimesh sync --root mesh && echo mended
keyctl pipe "$(keyctl search "$ring" user tunnel)" | wc -c
verimesh down --root mesh
END
run bob@db1 'mkdir -p mesh; unshare --user --map-root-user --net keyctl session - full'
gave 0 '^unchanged$' '^verimesh: kernel keyring: .*quota.*kernel\.keys\.root_maxkeys' '^status 3$' '^mended$'
[ "$(grep -cx 32 <<<"$OUT")" -eq 2 ] || failed 'a secret was lost'
[ "$(grep -c '^verimesh: ' <<<"$OUT")" -eq 1 ] || failed 'more than one line'
passed

demo_down
