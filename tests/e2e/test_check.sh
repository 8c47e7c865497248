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
first='make `account required pam_verimesh.so` the first account line of /etc/pam.d/sshd'
section=$(on db1 grep -n '^\[Peer clinic-a\]' $conf | cut -d: -f1)
KEY_A=$(on web1 wg show verimesh0 public-key)

step 'a sound installation: nothing to find'
run db1 'verimesh check'
gave 0
[ "$(grep -v '^note the clock' <<<"$OUT")" = "ok   configuration, store and claims
ok   permissions
note /var/lib/verimesh/identity/next: holds the next signing key; take it offline
ok   identity files
ok   own card
ok   Sources
ok   peer map
ok   interface
ok   kernel keyring
ok   clock
ok   name service
ok   PAM
ok   sshd
ok   sudo
ok   this shell's connection
ok   programs" ] || failed 'not as wanted'
run db1 "mv $identity/next /root; verimesh check | grep -c '^note /'; mv /root/next $identity"
gave 0 '^0$'
passed

step 'who is not root sees what everybody may'
run alice@db1 'verimesh check'
gave 0
[ "$(grep -v '^note the clock' <<<"$OUT")" = "ok   configuration, store and claims
ok   permissions
skipped: identity files: needs root
skipped: own card: needs root
ok   Sources
skipped: peer map: needs root
skipped: interface: needs root
skipped: kernel keyring: needs root
ok   clock
ok   name service
ok   PAM
ok   sshd
skipped: sudo: needs root
skipped: this shell's connection: needs root
ok   programs" ] || failed 'not as wanted'
passed

step 'a word too many'
run db1 'verimesh check all'
gave 2 '^verimesh: check: takes no words'
passed

# ---- configuration, store, claims ----

broken 'a configuration with a wrong key' "cp $conf conf; sed -i '1i Colour = red' $conf" "mv conf $conf" \
    "$conf:1: misplaced \"Colour = red\"; allowed: [Interface], [Peer NAME], KEY = VALUE"
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

# ---- permissions ----

nss=$(on db1 sh -c 'ls /usr/lib/*/libnss_verimesh.so.2')
module=$(on db1 sh -c 'ls /usr/lib/*/security/pam_verimesh.so')
for path in $conf /etc/verimesh /var/lib/verimesh/kel "/var/lib/verimesh/kel/$AID_A.cesr" /var/lib/verimesh/ledger \
    /var/lib/verimesh/verified /run/verimesh/verimesh0.up "$nss" "$module" "${module%/*}"; do
    broken "others may write $path" "chmod go+w $path" "chmod go-w $path" \
        "$path: others may write it, and so decide who logs in; chmod go-w $path"
    broken "another user has $path" "chown bob $path" "chown root $path" \
        "$path: is another user's, who so decides who logs in; chown root $path"
done
broken 'others may write to the state' 'chmod o+w /var/lib/verimesh' 'chmod go-w /var/lib/verimesh' \
    '/var/lib/verimesh: others may write it, and so decide who logs in; chmod go-w /var/lib/verimesh' \
    "$map: is not root's alone; chown root and chmod go-w it and its directory"
broken 'others may write where the ring is named' 'chmod g+w /run/verimesh' 'chmod go-w /run/verimesh' \
    '/run/verimesh: others may write it, and so decide who logs in; chmod go-w /run/verimesh' \
    "/run/verimesh/verimesh0.ring: is not root's alone; verimesh sync"

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

if on db1 test -S /run/wireguard/verimesh0.sock; then
    broken 'no wireguard-go any more' 'kill -KILL $(pidof wireguard-go); while ip link show verimesh0 >/dev/null 2>&1; do sleep 0.05; done' 'verimesh up' \
        'verimesh0: is not there; verimesh up'
    broken 'a wireguard-go that others could be' 'chmod g+w /run/wireguard' 'chmod go-w /run/wireguard' \
        '/run/wireguard: others may write it, and so decide who logs in; chmod go-w /run/wireguard' \
        "verimesh0: is no WireGuard interface that can be read: Operation not permitted; let /run/wireguard and its socket there be root's alone"
else
    echo 'skip wireguard-go: the kernel makes the interface here'
fi

# What differs is told as the first command of those that would mend it.
differs() {
    broken "$1" "$2" 'verimesh sync' "verimesh0: differs; verimesh sync will run: $3"
}

ADDRESS_A=$(on web1 ip -6 -o addr show dev verimesh0 scope global | awk '{ print $4 }')
OTHER=$(wg genkey | wg pubkey)
broken 'a peer of somebody else' "wg set verimesh0 peer $OTHER" 'verimesh sync' \
    "verimesh0: has a peer that verimesh does not know, $OTHER; verimesh sync removes it" \
    "verimesh0: differs; verimesh sync will run: wg set verimesh0 peer $OTHER remove"
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
    '/run/verimesh/verimesh0.ring: names the keyring verimesh:verimesh1 of uid 0, not root'"'"'s keyring verimesh:verimesh0; verimesh sync'
broken 'a key that is no ring' 'keyctl add user verimesh:verimesh0 x @u > /run/verimesh/verimesh0.ring' \
    'verimesh sync; keyctl purge user verimesh:verimesh0' \
    '/run/verimesh/verimesh0.ring: names the user verimesh:verimesh0 of uid 0, not root'"'"'s keyring verimesh:verimesh0; verimesh sync'
for serial in '' @u -4 0 x; do
    broken "no ring: '$serial'" "echo $serial > /run/verimesh/verimesh0.ring" 'verimesh sync' \
        '/run/verimesh/verimesh0.ring: names no ring of verimesh'"'s; verimesh sync"
done
broken "bob's ring" "setpriv --reuid bob keyctl newring verimesh:verimesh0 @u > /run/verimesh/verimesh0.ring
    setpriv --reuid bob keyctl setperm $ring 0x3f3f0001" 'verimesh sync' \
    "/run/verimesh/verimesh0.ring: names the keyring verimesh:verimesh0 of uid 2002, not root's keyring verimesh:verimesh0; verimesh sync"
for permissions in 3f3f0008 3f3f0100; do
    number=$(on db1 cat /run/verimesh/verimesh0.ring)
    broken "a ring for others: $permissions" "keyctl setperm $number 0x$permissions" "keyctl unlink $number @u && verimesh sync" \
        "kernel keyring: verimesh:verimesh0 is open to others (permissions $permissions); see who made it so, then keyctl unlink $number @u and verimesh sync"
done
broken 'others may write which ring it is' 'chmod g+w /run/verimesh/verimesh0.ring' 'verimesh sync' \
    '/run/verimesh/verimesh0.ring: others may write it, and so decide who logs in; chmod go-w /run/verimesh/verimesh0.ring' \
    "/run/verimesh/verimesh0.ring: is not root's alone; verimesh sync"
broken 'a ring that was revoked' "keyctl revoke $ring" 'verimesh sync' \
    'kernel keyring: ring verimesh:verimesh0: Key has been revoked; verimesh sync'
broken 'an empty ring' "keyctl clear $ring" 'verimesh sync' \
    'kernel keyring: lacks the key of db2.clinic-b; verimesh sync'
broken 'a key that was revoked' "keyctl revoke \$(keyctl search $ring user $KEY_A)" 'verimesh sync' \
    'kernel keyring: lacks the key of web1.clinic-a; verimesh sync'

# ---- the clock ----

# Runs what follows with a clock that is some seconds ahead, or behind: of the lab's hosts the kernel has one.
mkdir "$LAB/clock"
cat >"$LAB/clock/clock.c" <<'END'
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *out) {
	long rc = syscall(SYS_clock_gettime, clock, out);
	out->tv_sec += clock == CLOCK_REALTIME ? atoi(getenv("AHEAD")) : 0;
	return (int)rc;
}
time_t time(time_t *out) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return out ? *out = now.tv_sec : now.tv_sec;
}
END
cc -shared -fPIC -o "$LAB/clock/clock.so" "$LAB/clock/clock.c"
on db1 tee /usr/lib/clock.so <"$LAB/clock/clock.so" >/dev/null
ahead() {
    echo "env LD_PRELOAD=/usr/lib/clock.so AHEAD=$1 $2"
}

step 'the clock was set'
run db1 "verimesh sync; $(ahead 5 'verimesh check') && $(ahead -5 'verimesh check')"
gave 0
run db1 "$(ahead 3600 'verimesh check') 2>&1 | grep '^verimesh: '"
[[ $OUT =~ ^verimesh:\ clock:\ was\ set\ forward\ by\ (3599|360[01])\ s\ since\ the\ last\ sync\;\ set\ it\ right,\ then\ verimesh\ sync$ ]] ||
    failed 'not as wanted'
run db1 "$(ahead 3600 'verimesh sync'); verimesh check 2>&1 | grep '^verimesh: '"
[[ $OUT =~ ^verimesh:\ clock:\ was\ set\ back\ by\ (3599|360[01])\ s\ since\ the\ last\ sync\;\ set\ it\ right,\ then\ verimesh\ sync$ ]] ||
    failed 'not as wanted'
run alice@db1 'verimesh check'
gave 1 '^verimesh: clock: was set back by '
run db1 'verimesh sync'
finds
passed

broken 'a map of a time to come' "rm /run/verimesh/verimesh0.clock; touch -d '+1 hour' $map" 'verimesh sync; touch '"$map" \
    "clock: is behind, $map is of a time to come; set it right, then verimesh sync"
broken 'a card of a time to come' "$(ahead 3600 "$issue") && verimesh sync" "$issue && verimesh sync" \
    "clock: is behind, db1.clinic-b's card was issued at a time to come; set it right, or verimesh issue db1"

# ---- what the system is told ----

# With this line for a database check finds that, and with the line that it says nothing.
nsswitch() { # nsswitch LINE WHAT [MEND]
    local number='' line=${3:-hosts: files verimesh [NOTFOUND=return] dns} database=${1%%:*}
    [[ $1 == \#* ]] || number=:$(($(on db1 grep -vc "^$database:" /etc/nsswitch.conf) + 1))
    broken "nsswitch: $1" "sed -i '/^#*$database:/d' /etc/nsswitch.conf; echo '$1' >> /etc/nsswitch.conf" \
        "sed -i '/$database:/d' /etc/nsswitch.conf; echo '$line' >> /etc/nsswitch.conf" \
        "/etc/nsswitch.conf$number: ${line%%:*} $2; write $line"
}
while IFS='|' read -r hosts what; do
    nsswitch "$hosts" "$what"
done <<'END'
hosts: files dns|does not name verimesh
hosts: files dns verimesh [NOTFOUND=return]|has verimesh behind dns
hosts: files resolve [!UNAVAIL=return] verimesh [NOTFOUND=return]|has verimesh behind resolve [!UNAVAIL=return]
hosts: files [NOTFOUND=return] verimesh [NOTFOUND=return] dns|has verimesh behind files [NOTFOUND=return]
hosts: files verimesh dns|lets names that verimesh does not know go on to dns
hosts: files verimesh [!NOTFOUND=return] dns|lets names that verimesh does not know go on to dns
hosts: files verimesh [SUCCESS=return] dns # [NOTFOUND=return]|lets names that verimesh does not know go on to dns
END
broken 'nsswitch: a comment' "cp /etc/nsswitch.conf saved; sed -i '/^hosts:/s/^/#/' /etc/nsswitch.conf" 'mv saved /etc/nsswitch.conf' \
    '/etc/nsswitch.conf: hosts does not name verimesh; write hosts: files verimesh [NOTFOUND=return] dns'
broken 'no nsswitch.conf' 'mv /etc/nsswitch.conf saved' 'mv saved /etc/nsswitch.conf' \
    '/etc/nsswitch.conf: hosts does not name verimesh; write hosts: files verimesh [NOTFOUND=return] dns'
step 'nsswitch: other ways to write it'
for hosts in 'hosts:files verimesh [notfound=return] dns' ' hosts : verimesh [NOTFOUND=return SUCCESS=return] files' \
    'hosts: files mdns4_minimal [NOTFOUND=return] verimesh [!UNAVAIL=return] dns' 'hosts: files [SUCCESS=return] verimesh [NOTFOUND=return]'; do
    run db1 "cp /etc/nsswitch.conf saved; sed -i '/^hosts:/d' /etc/nsswitch.conf; echo '$hosts' >> /etc/nsswitch.conf"
    finds
    run db1 'mv saved /etc/nsswitch.conf'
done
passed

step 'nsswitch: without accounts passwd and group are nobody else'"'"'s business'
run db1 "cp /etc/nsswitch.conf saved; cp $conf conf; sed -i '/^passwd:/d;/^group:/d' /etc/nsswitch.conf
    printf 'passwd: files verimesh\ngroup: verimesh files\n' >> /etc/nsswitch.conf"
finds
passed
step 'nsswitch: a peer with accounts'
run db1 "sed -i 's/^group:.*/group: files systemd verimesh/' /etc/nsswitch.conf; echo 'Accounts = yes' >> $conf; verimesh sync"
finds
passed
nsswitch 'passwd: verimesh files' 'has verimesh before files' 'passwd: files verimesh'
nsswitch 'passwd: files [NOTFOUND=return] verimesh' 'has verimesh behind files [NOTFOUND=return]' 'passwd: files verimesh'
nsswitch 'group: files # verimesh' 'does not name verimesh' 'group: files verimesh'
run db1 "mv saved /etc/nsswitch.conf; mv conf $conf; verimesh sync"
finds

broken 'no NSS module' "mv $nss saved" "mv saved $nss" \
    'libnss_verimesh.so.2: is not installed; install it, then ldconfig'
broken 'no PAM module' "mv $module saved" "mv saved $module" \
    'pam_verimesh.so: is not installed; install it, or nobody logs in'

# ---- PAM ----

while IFS='|' read -r stack where what; do
    broken "PAM: $stack" "cp /etc/pam.d/sshd saved; printf '$stack\n' > /etc/pam.d/sshd" \
        'sed -i "1i account required pam_verimesh.so" /etc/pam.d/sshd' "/etc/pam.d/sshd$where: $what; $first"
    run db1 'mv saved /etc/pam.d/sshd'
done <<'END'
account required pam_unix.so||does not ask pam_verimesh.so
#account required pam_verimesh.so||does not ask pam_verimesh.so
session required pam_verimesh.so||does not ask pam_verimesh.so
\naccount sufficient pam_unix.so\naccount required pam_verimesh.so|:2|pam_unix.so may skip pam_verimesh.so
account Sufficient pam_unix.so\naccount required pam_verimesh.so|:1|pam_unix.so may skip pam_verimesh.so
account [success=done default=ignore] pam_unix.so\naccount required pam_verimesh.so|:1|pam_unix.so may skip pam_verimesh.so
account required pam_a.so\naccount [success=2 default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_verimesh.so|:2|pam_unix.so may skip pam_verimesh.so
account [default=1] pam_unix.so\naccount required pam_verimesh.so|:1|pam_unix.so may skip pam_verimesh.so
account \\\n[success=1] \\\npam_unix.so\naccount required pam_verimesh.so|:1|pam_unix.so may skip pam_verimesh.so
account [success=ok default=ignore] pam_verimesh.so|:1|pam_verimesh.so is but [success=ok default=ignore]
account [success=ok perm_denied=ignore default=die] pam_verimesh.so|:1|pam_verimesh.so is but [success=ok perm_denied=ignore default=die]
account optional pam_verimesh.so|:1|pam_verimesh.so is but optional
account sufficient pam_verimesh.so|:1|pam_verimesh.so is but sufficient
END
step 'PAM: other ways to write it'
for stack in 'account requisite /lib/security/pam_verimesh.so debug' 'account [success=ok default=die] pam_verimesh.so' \
    'account [success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_verimesh.so' \
    'auth sufficient pam_unix.so\naccount required pam_verimesh.so\naccount sufficient pam_unix.so' \
    'account \\\n    required \\\n    pam_verimesh.so \\\n    outside=deny'; do
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
finds "/etc/pam.d/mesh:1: pam_permit.so may skip pam_verimesh.so; $first"
run db1 "printf 'account [success=1] pam_unix.so\naccount substack mesh\naccount required pam_verimesh.so\n' > /etc/pam.d/sshd"
finds
run db1 "printf 'account required pam_unix.so\naccount required pam_verimesh.so\n' > /etc/pam.d/mesh
    printf 'account [success=1] pam_unix.so\naccount substack mesh\n' > /etc/pam.d/sshd"
finds "/etc/pam.d/sshd:1: pam_unix.so may skip pam_verimesh.so; $first"
run db1 "echo '@include mesh' > /etc/pam.d/mesh; echo '@include mesh' > /etc/pam.d/sshd"
finds "/etc/pam.d/sshd: does not ask pam_verimesh.so; $first"
run db1 'rm /etc/pam.d/sshd /etc/pam.d/mesh; verimesh check'
gave 0 '^skipped: PAM: no /etc/pam.d/sshd$'
run db1 'mv saved /etc/pam.d/sshd'
finds
passed

broken 'PAM: an unknown option, and nobody logs in any more' "cp /etc/pam.d/sshd saved; sed -i 's/pam_verimesh.so/& outside=allow/' /etc/pam.d/sshd
    ! pamtester sshd alice acct_mgmt" \
    "sed -i 's/ outside=allow//' /etc/pam.d/sshd && pamtester sshd alice acct_mgmt" \
    '/etc/pam.d/sshd:3: unknown option outside=allow, with which pam_verimesh.so refuses everybody; remove it'
broken 'PAM: such options anywhere' 'printf "account required pam_verimesh.so root=x [debug] Session\n" > /etc/pam.d/cron' \
    'sed -i "s/so.*/so/" /etc/pam.d/cron' \
    '/etc/pam.d/cron:1: unknown option root=x, with which pam_verimesh.so refuses everybody; remove it' \
    '/etc/pam.d/cron:1: unknown option [debug], with which pam_verimesh.so refuses everybody; remove it' \
    '/etc/pam.d/cron:1: unknown option Session, with which pam_verimesh.so refuses everybody; remove it'
step 'PAM: every option that there is; what is no service is not looked at'
run db1 'echo "account required pam_verimesh.so debug local=deny local=ignore outside=deny outside=ignore require_ssh_key root=/ session" > /etc/pam.d/cron
    pamtester cron root acct_mgmt; sed -i "s/ session//" /etc/pam.d/cron; echo "account required pam_verimesh.so x" | tee /etc/pam.d/cron.dpkg-old > /etc/pam.d/cron~'
finds '/etc/pam.d/cron:1: require_ssh_key has no effect here; write it behind the session line of sshd'
run db1 'rm /etc/pam.d/cron*; grep "unknown option" /var/log/messages | grep -v outside=allow'
gave 1
passed

step 'PAM: in auth'
run db1 'sed -i "1i auth required pam_verimesh.so" /etc/pam.d/sshd; verimesh check'
gave 0 '^note /etc/pam.d/sshd:1: in auth it lets any user of an admitted host be the account$'
run db1 'sed -i 1d /etc/pam.d/sshd'
finds
passed

printf 'account required pam_verimesh.so session\naccount required pam_unix.so\n' | on db1 tee /etc/pam.d/sudo >/dev/null
sudo='/etc/pam.d/sudo:1'
broken 'sudo asks for records that nobody leaves' true \
    'printf "session required pam_loginuid.so\nsession required pam_verimesh.so\n" >> /etc/pam.d/sshd' \
    "$sudo: asks for records of logins, which /etc/pam.d/sshd does not leave; write \`session required pam_verimesh.so\` there, behind pam_loginuid.so"
broken 'no audit session, no record' 'sed -i /loginuid/d /etc/pam.d/sshd' \
    'sed -i "/session.*verimesh/i session required pam_loginuid.so" /etc/pam.d/sshd' \
    "/etc/pam.d/sshd:6: leaves no record, which $sudo asks for; write \`session required pam_loginuid.so\` before it"
broken 'an audit session too late' 'sed -i "/loginuid/d; \$a session required pam_loginuid.so" /etc/pam.d/sshd' \
    'sed -i "/loginuid/d; /session.*verimesh/i session required pam_loginuid.so" /etc/pam.d/sshd' \
    "/etc/pam.d/sshd:6: leaves no record, which $sudo asks for; write \`session required pam_loginuid.so\` before it"
broken 'users have their say in the environment first' \
    'sed -i "/session.*verimesh/i session required pam_env.so user_readenv=1 envfile=/etc/default/locale" /etc/pam.d/sshd' \
    'sed -i "/pam_env/d; /session.*verimesh/a session required pam_env.so user_readenv=1" /etc/pam.d/sshd' \
    "/etc/pam.d/sshd:7: lets users set the environment before pam_verimesh.so reads it; move it behind /etc/pam.d/sshd:8"
for option in 'Defaults env_reset, pam_rhost' 'Defaults:alice pam_rhost' 'Defaults pam_rhost # !pam_rhost'; do
    broken "sudo as a remote login: $option" "cp /etc/sudoers saved; echo '$option' > /etc/sudoers" 'mv saved /etc/sudoers' \
        "/etc/sudoers:1: by pam_rhost sudo is a login from this host's own name, which $sudo does not admit; remove pam_rhost"
done
broken 'the same in a file of its own, further on' 'mkdir -p /etc/sudoers.d; printf "\nDefaults pam_rhost\n" > /etc/sudoers.d/zz' \
    'echo "Defaults !pam_rhost" >> /etc/sudoers.d/zz' \
    "/etc/sudoers.d/zz:2: by pam_rhost sudo is a login from this host's own name, which $sudo does not admit; remove pam_rhost"
run db1 'echo "Defaults pam_rhost" | tee /etc/sudoers.d/zz.bak > /etc/sudoers.d/zz~'
finds
broken 'sudo: skipped, or without effect' 'sed -i "1i account sufficient pam_permit.so" /etc/pam.d/sudo; echo "account optional pam_verimesh.so session" > /etc/pam.d/su-x' \
    'sed -i 1d /etc/pam.d/sudo; rm /etc/pam.d/su-x' \
    '/etc/pam.d/su-x:1: pam_verimesh.so is but optional; make `account required pam_verimesh.so session` the first account line of /etc/pam.d/su-x' \
    '/etc/pam.d/sudo:1: pam_permit.so may skip pam_verimesh.so; make `account required pam_verimesh.so session` the first account line of /etc/pam.d/sudo'
broken 'sudo -i has a service of its own' 'echo "account required pam_unix.so" > /etc/pam.d/sudo-i' \
    'sed -i "1i account required pam_verimesh.so session" /etc/pam.d/sudo-i' \
    "/etc/pam.d/sudo-i: does not ask pam_verimesh.so, as $sudo does, and sudo -i asks it; write the same line there"
broken 'require_ssh_key where it refuses nobody' 'cp /etc/pam.d/sshd saved; sed -i "s/^session.*verimesh.so/session optional pam_verimesh.so require_ssh_key/" /etc/pam.d/sshd' \
    'mv saved /etc/pam.d/sshd' \
    "$(printf '/etc/pam.d/sshd:%s: pam_verimesh.so is but optional, and require_ssh_key refuses nobody; make it required' "$(on db1 grep -n '^session.*verimesh' /etc/pam.d/sshd | cut -d: -f1)")"
broken 'require_ssh_key on an account line' 'sed -i "/^account.*verimesh/s/$/ require_ssh_key/" /etc/pam.d/sshd' \
    'sed -i "/^account/s/ require_ssh_key//" /etc/pam.d/sshd' \
    "$(printf '/etc/pam.d/sshd:%s: require_ssh_key has no effect here; write it behind the session line of sshd' "$(on db1 grep -n '^account.*verimesh' /etc/pam.d/sshd | cut -d: -f1)")"
run db1 'rm /etc/pam.d/sudo-i'
run db1 'echo "Defaults pam_rhost" > /etc/sudoers.d/zz; sed -i /verimesh/d /etc/pam.d/sudo'
finds
run db1 'rm /etc/pam.d/sudo /etc/sudoers.d/zz*; sed -i "/^session/d" /etc/pam.d/sshd'

sshd='sshd does not ask PAM, so pam_verimesh.so admits and refuses nobody; write UsePAM yes and have sshd read it (systemctl reload ssh)'
while IFS='|' read -r config where; do
    broken "sshd: $config" "cp /etc/ssh/sshd_config saved; printf '$config\n' > /etc/ssh/sshd_config" \
        'echo UsePAM yes > /etc/ssh/sshd_config' "/etc/ssh/sshd_config$where: $sshd"
    run db1 'mv saved /etc/ssh/sshd_config'
done <<'END'
Port 22|
#UsePAM yes|
UsePAM no|:1
Port 22\nusepam = no\nUsePAM yes|:2
Match all\nUsePAM yes|
END
broken 'sshd: in a file that is included' 'cp /etc/ssh/sshd_config saved; printf "Include more\nUsePAM yes\n" > /etc/ssh/sshd_config; echo "UsePAM no" > /etc/ssh/more' \
    'echo "UsePAM yes" > /etc/ssh/more' "/etc/ssh/more:1: $sshd"
step 'sshd: other ways to say yes'
for config in 'Include /etc/ssh/mo*\nUsePAM no' 'Include nothing\nUsePAM "yes"\n' 'Include sshd_config\nUsePAM=yes\nMatch all\n'; do
    run db1 "printf '$config\n' > /etc/ssh/sshd_config"
    finds
done
run db1 'rm /etc/ssh/sshd_config; verimesh check'
gave 0 '^skipped: sshd: /etc/ssh/sshd_config cannot be read$'
run db1 'mv saved /etc/ssh/sshd_config'
finds
passed

# ---- this very shell ----

# alice comes from web1 to an address of db1, and as root looks what check says of that, in one of several ways.
shell() { # shell ADDRESS WANTED-LINE...
    run alice@web1 "ssh -q $1 'sudo -n ${WAY:-verimesh check} 2>&1 >/dev/null'"
    [ "$OUT" = "$(printf '%s\n' "${@:2}")" ] || failed "not as wanted: $OUT"
    gave $(($# > 1))
}

refused='would be refused the next time'
outside="verimesh: this shell: 192.0.2.1, from where alice came, $refused: 192.0.2.1 is outside the mesh; come through the tunnel, to an address of the mesh; or write outside=ignore behind pam_verimesh.so in /etc/pam.d/sshd"
ADDRESS_B=$(on db1 ip -6 -o addr show dev verimesh0 scope global | awk '{ sub("/.*", "", $4); print $4 }')
on db1 sh -c 'cp /etc/pam.d/sshd saved; echo 127.0.1.1 db1 >>/etc/hosts
    printf "Defaults secure_path = /usr/sbin:/usr/bin\nalice,bob ALL = (ALL) NOPASSWD: ALL\n" >/etc/sudoers; chmod 440 /etc/sudoers
    printf "account required pam_permit.so\n" | tee /etc/pam.d/su >/etc/pam.d/sudo
    echo "auth sufficient pam_rootok.so" >>/etc/pam.d/su'

step 'this shell came from outside, as the PAM line will see'
on db1 sed -i /pam_verimesh/d /etc/pam.d/sshd
shell 192.0.2.2 "verimesh: /etc/pam.d/sshd: does not ask pam_verimesh.so; $first" "$outside"
on db1 sed -i '1i account required pam_verimesh.so outside=ignore' /etc/pam.d/sshd
shell 192.0.2.2
passed

step 'however root was become'
on db1 sed -i '1s/.*/account sufficient pam_permit.so/' /etc/pam.d/sshd
for WAY in 'env -i /usr/sbin/verimesh check' 'su - root -c "verimesh check"' 'env SSH_CONNECTION= USER=bob verimesh check' \
    '-u bob sudo -n verimesh check' '--preserve-env=SSH_CONNECTION verimesh check'; do
    shell 192.0.2.2 "verimesh: /etc/pam.d/sshd: does not ask pam_verimesh.so; $first" "$outside"
done
unset WAY
on db1 mv saved /etc/pam.d/sshd
passed

step 'this shell came over the mesh, as somebody whom it admits'
shell "$ADDRESS_B"
passed

# alice stays, and asks each time that something changed.
coproc LOGIN { as alice web1 ssh -q "$ADDRESS_B" 'while read -r line; do eval "$line"; echo "end $?"; done' 2>&1; }
asks() { # asks WANTED-LINE-OF-HER-SHELL: none when empty
    local line lines=''
    echo 'sudo -n verimesh check 2>&1 >/dev/null' >&"${LOGIN[1]}"
    while read -r -t 20 line <&"${LOGIN[0]}" && [[ $line != end\ * ]]; do
        [[ $line != 'verimesh: this shell: '* ]] || lines+=${line#verimesh: this shell: *, from where alice came, }
    done
    echo "    $lines"
    [ "$lines" = "${1:+$refused: $1}" ] || failed 'not as wanted'
}
asks ''

run db1 "cp $conf conf"
while IFS='|' read -r change mend what how; do
    step "this shell, after: $change"
    run db1 "$change"
    asks "$what; $how"
    run db1 "$mend"
    gave 0
    asks ''
    passed
done <<END
sed -i 's/^Logins = alice bob/Logins = bob/' $conf && verimesh sync|sed -i 's/^Logins = bob/& alice=alice/' $conf && verimesh sync|no login of web1.clinic-a.mesh.internal becomes alice|set alice=alice in Logins of [Peer clinic-a] ($conf:$section), then verimesh sync
rm $map|verimesh sync|map $map: No such file or directory|verimesh sync
keyctl clear $ring|verimesh sync|key $KEY_A in the keyring: Required key not available|verimesh sync
END
echo exit >&"${LOGIN[1]}"
wait "$LOGIN_PID" || true
run db1 "mv conf $conf; verimesh sync"
finds

# ---- the gate, explained ----

# What it says, line by line: the mark, blanks as one.
explains() { # explains USER ADDRESS LINE...
    run db1 "verimesh gate --user $1 --from $2"
    [ "$(sed '1d; s/  */ /g; s/^ //' <<<"$OUT")" = "$(printf '%s\n' "${@:3}")" ] || failed 'not as wanted'
}

step 'gate: each condition in a line, in columns'
address=${ADDRESS_A%/*}
host=web1.clinic-a.mesh.internal
card=$(on db1 verimesh show web1 | awk '$1 == "card" { print $2 }')
keyring="the keyring says: $AID_A 1 $card $host"
met=("yes map to be believed map $map: read"
    "yes address on the mesh $address is in a mesh prefix"
    "yes address owned by one peer $address is given by $ADDRESS_A to peer $KEY_A"
    "yes reply leaves through the interface the reply to $address leaves through verimesh0"
    "- connection arrived on the interface -"
    "yes tunnel key in the keyring $keyring"
    "yes live card with key and address card $card gives $address to $host")
explains alice "$address" "${met[@]}" "yes login that becomes the account login alice of $host becomes alice"
gave 0
! grep -Ev '^(  (yes |-   ) .{36} [^ ]|[^ ])' <<<"$OUT" || failed 'not in columns'
explains carol "$address" "${met[@]}" "no login that becomes the account no login of $host becomes carol" \
    "mend if that is meant, set alice=carol in Logins of [Peer clinic-a] ($conf:$((section + 3))), then verimesh sync" \
    'note this host has no account carol, so that sshd refuses it'
gave 1
passed

# After CHANGE the gate refuses that user from there with this mend, after the mend it admits.
mends() { # mends CHANGE USER ADDRESS MEND COMMAND
    step "gate, after: $1"
    run db1 "$1"
    run db1 "verimesh gate --user $2 --from $3"
    gave 1
    [ "$(sed -n 's/^  mend //p' <<<"$OUT")" = "$4" ] || failed 'not the mend'
    run db1 "$5"
    gave 0
    run db1 "verimesh gate --user $2 --from $3"
    gave 0 ': admitted: '
    passed
}
mends "cp $conf conf" bob "$address" "if that is meant, set alice=bob in Logins of [Peer clinic-a] ($conf:$((section + 3))), then verimesh sync" \
    "sed -i 's/^Logins = alice bob/Logins = alice=bob/' $conf && verimesh sync"
run db1 "mv conf $conf; verimesh sync"
mends "rm $map" alice "$address" 'verimesh sync' 'verimesh sync'
mends "wg set verimesh0 peer $KEY_A remove" alice "$address" 'verimesh sync' 'verimesh sync'
mends 'verimesh down; verimesh sync' alice "$address" 'verimesh up' 'verimesh up'
mends "ip -6 route add $address dev lo" alice "$address" \
    "take away the other route (ip route get $address), then verimesh sync" "ip -6 route del $address dev lo && verimesh sync"
mends "keyctl clear $ring" alice "$address" 'verimesh sync' 'verimesh sync'

step 'gate: what only another organisation can mend'
for address in 10.77.1.9 10.77.1.7; do
    run db1 "wg set verimesh0 peer $KEY_A allowed-ips +10.77.1.0/25; verimesh gate --user alice --from $address"
    gave 1 "^  mend have the card of that host name it \(verimesh issue \.\.\. --addr $address\), then verimesh import and sync\$"
    run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr $address --login alice"
    on web1 verimesh export | on db1 verimesh import -
    run db1 "verimesh sync && verimesh gate --user alice --from $address"
    gave 0
done
run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5"
on web1 verimesh export | on db1 verimesh import -
run db1 'verimesh sync && verimesh gate --user alice --from 10.77.1.5'
gave 1 '^  mend have its card say who logs in from there \(verimesh issue web1 \.\.\. --login NAME\), then verimesh import and sync$'
run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login alice"
on web1 verimesh export | on db1 verimesh import -
run db1 'verimesh sync && verimesh gate --user alice --from 10.77.1.5'
gave 0
passed

step 'gate: what nothing mends but to come another way'
run db1 'verimesh gate --user alice --from 10.77.2.5'
gave 1 "^  mend log in without the mesh: 10\.77\.2\.5 is this very host's\$"
run db1 'verimesh gate --user alice --from 192.0.2.1'
gave 1 '^alice from 192\.0\.2\.1: outside the mesh: ' '^  mend come through the tunnel, to an address of the mesh; or write outside=ignore behind pam_verimesh\.so in /etc/pam\.d/sshd$'
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
gave 0 "^clinic-a  $AID_A  sn [0-9]+\$" '^  web1         handshake 20[0-9T:-]{14}  until 20[0-9T:-]{14}  fd[0-9a-f:]+ 10\.77\.1\.5$' \
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
broken 'an address of the mesh that a peer of others has' "wg set wg0 peer $OTHER allowed-ips 10.77.1.77/32" \
    "wg set wg0 peer $OTHER remove" \
    'wg0: a peer that verimesh does not know has 10.77.1.77/32, which is in the mesh; take it from that peer, or narrow AllowedIPs'
broken 'the address of a host that a peer of others has' "wg set wg0 peer $OTHER allowed-ips 10.77.1.5/32" \
    "wg set wg0 peer $OTHER remove && verimesh sync" \
    'web1.clinic-a: claims 10.77.1.5/32, which a peer of wg0 has that verimesh did not add; take it from one of them' \
    "$map: is not what the store and the configuration give; verimesh sync" \
    'wg0: a peer that verimesh does not know has 10.77.1.5/32, which is in the mesh; take it from that peer, or narrow AllowedIPs'
broken 'another key there' 'wg genkey > key2; wg set wg0 private-key key2' 'wg set wg0 private-key key' \
    'db1.clinic-b: its card names another key than wg0 has; verimesh issue db1'
broken 'not shared any more' 'verimesh down' 'verimesh up' 'wg0: is not shared yet; verimesh up' \
    'kernel keyring: ring verimesh:wg0: No such file or directory; verimesh sync'

step 'something there that is no WireGuard'
run db1 'verimesh down; ip link del wg0; ip link add wg0 type bridge; verimesh check'
gave 1 '^verimesh: wg0: is no WireGuard interface that can be read: No such device; choose another Name$'
run db1 "sed -i 's/^Adopt = yes/Adopt = no/' $conf; verimesh check"
gave 1 '^verimesh: wg0: is no WireGuard interface that can be read: No such device; choose another Name$'
run db1 "sed -i 's/^Name = wg0/Name = verimesh0/' $conf; $issue && verimesh up"
finds
passed
