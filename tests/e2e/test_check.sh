#!/usr/bin/env bash
# test_check.sh: check finds nothing wrong with a sound installation, and each thing broken alone; show live.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for db1

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# db1's findings must be these lines and no other.
finds() {
    local wanted=0 lines=''
    [ $# -eq 0 ] || wanted=1 lines=$(printf 'verimesh: %s\n' "$@")
    run db1 'verimesh check 2>&1 >/dev/null'
    [ "$OUT" = "$lines" ] || failed "not as wanted: $(diff <(echo "$lines") <(echo "$OUT"))"
    gave "$wanted"
}

# With db1 broken by one command check finds these lines, and after another one nothing.
broken() {
    step "$1"
    run db1 "$2"
    gave 0
    finds "${@:4}"
    run db1 "$3"
    gave 0
    finds
    passed
}

demo_hosts
demo_identities
demo_exchange
demo_policy
demo_up

conf=/etc/verimesh/verimesh.conf
identity=/var/lib/verimesh/identity
map=/var/lib/verimesh/peers.cdb
nsswitch='/etc/nsswitch.conf: hosts %s; write hosts: files verimesh [NOTFOUND=return] dns'
pam='/etc/pam.d/sshd: %s; make `account required pam_verimesh.so` its first account line'
section=$(on db1 grep -n '^\[Peer clinic-a\]' $conf | cut -d: -f1)
KEY_A=$(on web1 wg show verimesh0 public-key)

step 'a sound installation: nothing to find'
run db1 'verimesh check'
gave 0
[ "$OUT" = "ok   configuration, store and claims
note /var/lib/verimesh/identity/next: holds the next signing key; take it offline
ok   identity files
ok   own card
ok   Sources
ok   peer map
ok   interface
ok   kernel keyring
ok   name service
ok   PAM stack of sshd
ok   programs" ] || failed 'not as wanted'
run db1 "mv $identity/next /root; verimesh check | grep -c '^note'; mv /root/next $identity"
gave 0 '^0$'
passed

step 'who is not root sees what everybody may'
run alice@db1 'verimesh check'
gave 0
[ "$OUT" = "ok   configuration, store and claims
skipped: identity files: needs root
skipped: own card: needs root
ok   Sources
skipped: peer map: needs root
skipped: interface: needs root
skipped: kernel keyring: needs root
ok   name service
ok   PAM stack of sshd
ok   programs" ] || failed 'not as wanted'
passed

step 'a word too many'
run db1 'verimesh check all'
gave 2 '^verimesh: check: takes no words'
passed

# ---- configuration, store, claims ----

broken 'a configuration with a wrong key' "cp $conf conf; sed -i '1i Colour = red' $conf" "mv conf $conf" \
    "$conf:1: misplaced \"Colour = red\"; allowed: [Interface], [Peer NAME], KEY = VALUE"
broken 'a configuration that others may write' "chmod g+w $conf" "chmod g-w $conf" \
    "$conf: others may write it, and so decide who logs in; chmod go-w $conf"
step 'what needs no configuration is looked at without one'
run db1 "mv $conf conf; verimesh check"
gave 1 '^ok   identity files' '^ok   name service' '^skipped: peer map: needs the configuration' \
    "^verimesh: $conf: is missing; "
run db1 "mv conf $conf"
finds
passed

broken 'a claim that is refused' \
    "cp $conf conf; sed -i 's|^AllowedIPs = 10.77.1.0/24|AllowedIPs = 10.77.9.0/24|' $conf; verimesh sync || [ \$? = 1 ]" \
    "mv conf $conf; verimesh sync" \
    'web1.clinic-a: claims 10.77.1.5/32, which no AllowedIPs holds; add it to [Peer clinic-a] if it is theirs'
broken 'a peer without a log' \
    "cp $conf conf; printf '[Peer c]\nAID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2\n' >> $conf; verimesh sync 2>&1" \
    "mv conf $conf; verimesh sync" \
    'c: no log of EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 yet; get its stream and verimesh import it'

step 'a damaged store'
run db1 "cd /var/lib/verimesh/kel; cp $AID_A.cesr /root; sed -i '0,/\"kt\":\"1\"/s//\"kt\":\"2\"/' $AID_A.cesr; verimesh check"
gave 1 "^verimesh: /var/lib/verimesh/kel/$AID_A.cesr: damaged at event 0: .*; restore it, or remove it and import again\$"
run db1 "mv /root/$AID_A.cesr /var/lib/verimesh/kel/"
finds
passed

for source in http://10.77.1.5/oobi 'https://user@[fd00::77]:8443/oobi' http://web1.clinic-a.MESH.internal/; do
    broken "a Source within the mesh: $source" \
        "cp $conf conf; sed -i '/^\[Peer clinic-a\]/a AllowedIPs = fd00::/64\nSource = $source' $conf; verimesh sync" \
        "mv conf $conf; verimesh sync" \
        "$conf:$section: Source $source of clinic-a lies in the mesh itself; give one that is reached outside the tunnel"
done
step 'Sources outside it are sound'
run db1 "cp $conf conf; for source in file:/root/x https://192.0.2.1/10.77.1.5 https://dkms.example/ http://mesh.internal.example/; do \
    sed -i \"/^\[Peer clinic-a\]/a Source = \$source\" $conf; done; verimesh sync"
finds
run db1 "mv conf $conf; verimesh sync"
finds
passed

# ---- this host's own ----

broken 'a seed that others may read' "chmod 644 $identity/seed" "chmod 600 $identity/seed" \
    "$identity/seed: others may read or write it; chmod -R go= $identity"
broken "a secret that is not root's" "chown bob $identity/tunnel" "chown root $identity/tunnel" \
    "$identity/tunnel: is another user's; chown -R root $identity"
broken 'an identity that others may list' "chmod 755 $identity" "chmod 700 $identity" \
    "$identity: others may read or write it; chmod -R go= $identity"
broken 'a card of another key' "cp $identity/tunnel tunnel; wg genkey > $identity/tunnel" \
    "mv tunnel $identity/tunnel" \
    'db1.clinic-b: its card names another key than this host has; verimesh issue db1'
broken 'no tunnel key' "mv $identity/tunnel tunnel" "mv tunnel $identity/tunnel" \
    "$identity/tunnel: not there; make this host's key with verimesh issue db1"

issue='verimesh issue db1 --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login alice'
step 'the last quarter of its card, and then its end'
run db1 "$issue --until 8s && verimesh sync && sleep 6.2; verimesh check 2>&1 >/dev/null"
gave 1 '^verimesh: db1\.clinic-b: its card ends at 20[0-9T:-]+Z; verimesh issue db1$'
run db1 "sleep 2; verimesh sync"
gave 0
run db1 'verimesh check'
gave 1 '^verimesh: db1\.clinic-b: its last card ended at 20[0-9T:-]+Z \(card E.{43}, anchored by event sn [0-9]+\); verimesh issue db1$'
run db1 "$issue && verimesh sync"
finds
passed

# ---- what sync makes ----

broken 'no map' "rm $map" 'verimesh sync' "$map: No such file or directory; verimesh sync"
broken 'a map cut short' "head -c 1500 $map > $map.half; mv $map.half $map" 'verimesh sync' \
    "$map: is damaged; verimesh sync"
broken 'a map that others may write' "chmod 666 $map" "chmod 644 $map" \
    "$map: is not root's alone; chown root and chmod go-w it and its directory"
broken 'a map of another domain' "cp $conf conf; sed -i 's/^#Domain = .*/Domain = mesh.test/' $conf" \
    "mv conf $conf" "$map: is not what the store and the configuration give; verimesh sync"
broken 'an older map' \
    "verimesh issue db2 --key \$(wg genkey | wg pubkey) && cp $map map && verimesh sync && cp map $map" \
    'verimesh sync' "$map: is not what the store and the configuration give; verimesh sync"

broken 'no interface' 'ip link del verimesh0' 'verimesh up' 'verimesh0: is not there; verimesh up'
broken 'an interface that up did not make' 'mv /run/verimesh/verimesh0.up up' 'mv up /run/verimesh/verimesh0.up' \
    'verimesh0: verimesh0 has 0 peers that verimesh does not know, and verimesh up did not make it; set Adopt = yes, choose another Name, or, if nobody needs it, remove it (ip link del verimesh0)'

# What differs is told as the first command of those that would mend it.
differs() {
    broken "$1" "$2" 'verimesh sync' "verimesh0: differs; verimesh sync will run: $3"
}

ADDRESS_A=$(on web1 ip -6 -o addr show dev verimesh0 scope global | awk '{ print $4 }')
OTHER=$(wg genkey | wg pubkey)
differs 'a peer of somebody else' "wg set verimesh0 peer $OTHER" "wg set verimesh0 peer $OTHER remove"
differs 'a peer that is missing' "wg set verimesh0 peer $KEY_A remove" \
    "wg set verimesh0 peer $KEY_A endpoint 192.0.2.1:51820 allowed-ips 10.77.1.5/32,$ADDRESS_A"
differs 'a peer with other addresses' "wg set verimesh0 peer $KEY_A allowed-ips 10.0.0.0/8" \
    "wg set verimesh0 peer $KEY_A allowed-ips 10.77.1.5/32,$ADDRESS_A"
differs 'another key' 'wg genkey | wg set verimesh0 private-key /dev/stdin' \
    'wg set verimesh0 private-key /dev/stdin'
differs 'another port' 'wg set verimesh0 listen-port 51111' 'wg set verimesh0 listen-port 51820'
differs 'an address that is missing, and with it what is sent from it' 'ip addr del 10.77.2.5/32 dev verimesh0' \
    'ip address add 10.77.2.5/32 dev verimesh0 metric 118 ...'
differs 'a route that is missing' 'ip route del 10.77.1.0/24 dev verimesh0' \
    'ip route add 10.77.1.0/24 dev verimesh0 src 10.77.2.5 proto 118'
differs 'a link that is down' 'ip link set verimesh0 down' 'ip link set dev verimesh0 up ...'

ring='$(cat /run/verimesh/verimesh0.ring)'
broken 'no way to the keyring' 'rm /run/verimesh/verimesh0.ring' 'verimesh sync' \
    'kernel keyring: ring verimesh:verimesh0: No such file or directory; verimesh sync'
broken 'another ring' 'keyctl newring verimesh:verimesh1 @u > /run/verimesh/verimesh0.ring' \
    'verimesh sync; keyctl unlink %:verimesh:verimesh1 @u' \
    'kernel keyring: ring verimesh:verimesh0: is not as verimesh makes it; verimesh sync'
broken 'a ring that was revoked' "keyctl revoke $ring" 'verimesh sync' \
    'kernel keyring: ring verimesh:verimesh0: Key has been revoked; verimesh sync'
broken 'an empty ring' "keyctl clear $ring" 'verimesh sync' \
    'kernel keyring: lacks the key of db2.clinic-b; verimesh sync'
broken 'a key that was revoked' "keyctl revoke \$(keyctl search $ring user $KEY_A)" 'verimesh sync' \
    'kernel keyring: lacks the key of web1.clinic-a; verimesh sync'

# ---- what the system is told ----

while IFS='|' read -r hosts what; do
    # shellcheck disable=SC2059 # the form is ours
    broken "nsswitch: $hosts" "cp /etc/nsswitch.conf saved; sed -i '/^hosts:/d' /etc/nsswitch.conf; echo '$hosts' >> /etc/nsswitch.conf" \
        'mv saved /etc/nsswitch.conf' "$(printf "$nsswitch" "$what")"
done <<'END'
hosts: files dns|does not name verimesh
#hosts: files verimesh [NOTFOUND=return] dns|does not name verimesh
hosts: files dns verimesh [NOTFOUND=return]|has verimesh behind dns
hosts: files resolve [!UNAVAIL=return] verimesh [NOTFOUND=return]|has verimesh behind dns
hosts: files verimesh dns|lets names that verimesh does not know go on to dns
hosts: files verimesh [SUCCESS=return] dns # [NOTFOUND=return]|lets names that verimesh does not know go on to dns
END
step 'nsswitch: other ways to write it'
for hosts in 'hosts:files verimesh [notfound=return] dns' ' hosts : verimesh [NOTFOUND=return SUCCESS=return] files'; do
    run db1 "cp /etc/nsswitch.conf saved; sed -i '/^hosts:/d' /etc/nsswitch.conf; echo '$hosts' >> /etc/nsswitch.conf"
    finds
    run db1 'mv saved /etc/nsswitch.conf'
done
passed

step 'nsswitch: a peer with accounts'
run db1 "cp /etc/nsswitch.conf saved; sed -i '/^passwd:/d;/^group:/d' /etc/nsswitch.conf
    printf 'passwd: verimesh files\ngroup: files # verimesh\n' >> /etc/nsswitch.conf"
finds
run db1 "cp $conf conf; echo 'Accounts = yes' >> $conf; verimesh sync"
finds '/etc/nsswitch.conf: passwd has verimesh before files; write passwd: files verimesh' \
    '/etc/nsswitch.conf: group does not name verimesh; write group: files verimesh'
run db1 "sed -i 's/^passwd:.*/passwd: files verimesh/; s/^group:.*/group: files systemd verimesh/' /etc/nsswitch.conf"
finds
run db1 "mv saved /etc/nsswitch.conf; mv conf $conf; verimesh sync"
passed

nss=$(on db1 sh -c 'ls /usr/lib/*/libnss_verimesh.so.2')
module=$(on db1 sh -c 'ls /usr/lib/*/security/pam_verimesh.so')
broken 'no NSS module' "mv $nss saved" "mv saved $nss" \
    'libnss_verimesh.so.2: is not installed; install it, then ldconfig'
broken 'no PAM module' "mv $module saved" "mv saved $module" \
    'pam_verimesh.so: is not installed; install it, or nobody logs in'

while IFS='|' read -r stack what; do
    # shellcheck disable=SC2059 # the form is ours
    broken "PAM: $stack" "cp /etc/pam.d/sshd saved; printf '$stack\n' > /etc/pam.d/sshd" 'mv saved /etc/pam.d/sshd' \
        "$(printf "$pam" "$what")"
done <<'END'
account required pam_unix.so|does not ask pam_verimesh.so
auth required pam_verimesh.so|does not ask pam_verimesh.so
#account required pam_verimesh.so|does not ask pam_verimesh.so
account sufficient pam_unix.so\naccount required pam_verimesh.so|pam_unix.so may end it before pam_verimesh.so
account [success=done default=ignore] pam_unix.so\naccount required pam_verimesh.so|pam_unix.so may end it before pam_verimesh.so
account [success=2 default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_verimesh.so|a success before pam_verimesh.so jumps over it
account [success=ok default=ignore] pam_verimesh.so|pam_verimesh.so is but [success=ok default=ignore]
account optional pam_verimesh.so|pam_verimesh.so is but optional
account sufficient pam_verimesh.so|pam_verimesh.so is but sufficient
END
step 'PAM: other ways to write it'
for stack in 'account requisite /lib/security/pam_verimesh.so debug' 'account [success=ok default=die] pam_verimesh.so' \
    'account [success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_verimesh.so' \
    'auth sufficient pam_unix.so\naccount required pam_verimesh.so\naccount sufficient pam_unix.so'; do
    run db1 "cp /etc/pam.d/sshd saved; printf '$stack\n' > /etc/pam.d/sshd"
    finds
    run db1 'mv saved /etc/pam.d/sshd'
done
passed

step 'PAM: stacks that are included count'
run db1 "cp /etc/pam.d/sshd saved; printf 'account requisite pam_verimesh.so\n' > /etc/pam.d/mesh"
for line in '@include mesh' 'account include mesh' '-account substack mesh'; do
    run db1 "echo '$line' > /etc/pam.d/sshd"
    finds
done
run db1 "printf 'account sufficient pam_permit.so\n' > /etc/pam.d/mesh; printf '@include mesh\naccount required pam_verimesh.so\n' > /etc/pam.d/sshd"
# shellcheck disable=SC2059 # the form is ours
finds "$(printf "$pam" 'pam_permit.so may end it before pam_verimesh.so')"
run db1 "echo '@include mesh' > /etc/pam.d/mesh; echo '@include mesh' > /etc/pam.d/sshd"
# shellcheck disable=SC2059 # the form is ours
finds "$(printf "$pam" 'does not ask pam_verimesh.so')"
run db1 'rm /etc/pam.d/sshd; verimesh check'
gave 0 '^skipped: PAM stack of sshd: no /etc/pam.d/sshd$'
run db1 'mv saved /etc/pam.d/sshd'
finds
passed

wg=$(on db1 sh -c 'command -v wg')
broken 'no wg' "mv $wg saved" "mv saved $wg" \
    'verimesh0: wg: No such file or directory; install wireguard-tools and iproute2' \
    'wg: is not installed; install wireguard-tools'
broken 'no ip' "for f in /usr/bin/ip /usr/sbin/ip /bin/ip /sbin/ip; do ! test -e \$f || mv \$f \$f.not; done" \
    "for f in /usr/bin/ip /usr/sbin/ip /bin/ip /sbin/ip; do ! test -e \$f.not || mv \$f.not \$f; done" \
    'ip: is not installed; install iproute2'

# ---- show, of what is live ----

step 'show: the tunnel and the keyring'
run db1 "wg set verimesh0 peer $KEY_A remove; verimesh sync; verimesh show web1"
gave 0 '^  handshake     never$' '^  live_endpoint 192\.0\.2\.1:51820$' '^  keyring       has the key$'
run db1 'verimesh show --json web1'
gave 0 '"handshake":null,"live_endpoint":"192\.0\.2\.1:51820","keyring":true\}$'
run db1 'busybox ping -c 1 -W 5 10.77.1.5'
gave 0
run db1 'verimesh show --json web1'
gave 0 '"handshake":"20[0-9]{2}-[0-9-]+T[0-9:.]+\+00:00","live_endpoint":"192\.0\.2\.1:51820","keyring":true\}$'
run db1 'verimesh show 10.77.1.5'
gave 0 '^web1\.clinic-a\.mesh\.internal$' '^  handshake     20[0-9]{2}-[0-9-]+T[0-9:.]+\+00:00$'
run db1 'verimesh show'
gave 0 "^clinic-a  $AID_A  sn 1\$" '^  web1         handshake 20[0-9T:-]{14}  until 20[0-9T:-]{14}  fd[0-9a-f:]+ 10\.77\.1\.5$' \
    '^  db1          handshake this host         until '
run db1 'verimesh show db1'
gave 0 '^  handshake     this host$'
run db1 "keyctl clear $ring; wg set verimesh0 peer $KEY_A remove; verimesh show $KEY_A"
gave 0 '^  handshake     no peer$' '^  keyring       has not the key$'
run db1 "verimesh sync; ip link del verimesh0; verimesh show web1"
gave 0 '^  handshake     down$' '^  keyring       has the key$'
run db1 'verimesh up'
run alice@db1 'verimesh show web1'
gave 0 '^  handshake     needs root$' '^  keyring       needs root$'
run alice@db1 'verimesh show'
gave 0 "^clinic-b  $AID_B  sn [0-9]+$" '^  db1          handshake this host ' '^  web1         handshake needs root '
run alice@db1 'verimesh show db1.clinic-b'
gave 0 "^  aid           $AID_B$"
run db1 'mv /var/lib/verimesh/peers.cdb /root/map'
run alice@db1 'verimesh show'
gave 0 '^clinic-b  needs root$'
run db1 'mv /root/map /var/lib/verimesh/peers.cdb'
passed

step 'the signing seed may be elsewhere: the tunnel does not need it'
run db1 'mv /var/lib/verimesh/identity/seed /root; verimesh sync; keyctl search $(cat /run/verimesh/verimesh0.ring) user identity'
gave 1 'Required key not available'
run db1 'verimesh check'
gave 0
run db1 'mv /root/seed /var/lib/verimesh/identity/; verimesh sync'
gave 0
passed

step 'show, check and sync see the same hosts: none has the key of this one, also while that has no card'
on web1 verimesh issue twin --key "$(on db1 wg show verimesh0 public-key)"
on web1 verimesh export | on db1 verimesh import -
on db1 verimesh withdraw db1
run db1 'verimesh sync'
gave 1 "^verimesh: twin\.clinic-a: claims tunnel key .*, which is this host's; "
run db1 'verimesh show twin'
gave 1 "^verimesh: twin\.clinic-a: claims tunnel key .*, which is this host's; "
run db1 'verimesh check'
gave 1 "^verimesh: twin\.clinic-a: claims tunnel key .*, which is this host's; " '^ok   peer map$'
on web1 verimesh withdraw twin
on web1 verimesh export | on db1 verimesh import -
run db1 "$issue && verimesh sync"
finds
passed

# ---- an interface of somebody else, shared ----

step 'a shared interface: its other peers are none of ours'
run db1 "verimesh down; ip link add wg0 type wireguard || wireguard-go wg0"
gave 0
soon on db1 wg show wg0 >/dev/null 2>&1
run db1 "wg genkey > key; wg set wg0 listen-port 51821 private-key key peer \$(wg genkey | wg pubkey) allowed-ips 10.9.0.2/32; ip link set wg0 up"
run db1 "sed -i 's/^#Name = .*/Name = wg0/; s/^#Adopt = no/Adopt = yes/' $conf; $issue && verimesh up"
gave 0
finds
passed
broken 'a peer that is missing there' "wg set wg0 peer $KEY_A remove" 'verimesh sync' \
    "wg0: differs; verimesh sync will run: wg set wg0 peer $KEY_A endpoint 192.0.2.1:51820 allowed-ips 10.77.1.5/32,$ADDRESS_A"
broken 'another key there' 'wg genkey > key2; wg set wg0 private-key key2' 'wg set wg0 private-key key' \
    'db1.clinic-b: its card names another key than wg0 has; verimesh issue db1'
broken 'not shared any more' 'verimesh down' 'verimesh up' 'wg0: is not shared yet; verimesh up' \
    'kernel keyring: ring verimesh:wg0: No such file or directory; verimesh sync'
