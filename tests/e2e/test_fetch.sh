#!/usr/bin/env bash
# test_fetch.sh: five hosts of four organisations, who know of each other only what Sources show.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh
# shellcheck source=tests/e2e/sources.sh
. tests/e2e/sources.sh

conf=/etc/verimesh/verimesh.conf
hosts=(web1 db1 db2 lab1 dkms)
declare -A address=([web1]=192.0.2.1 [db1]=192.0.2.2 [db2]=192.0.2.3 [lab1]=192.0.2.4 [dkms]=192.0.2.5)
declare -A peer=([web1]=clinic-a [db1]=clinic-b [db2]=clinic-b [lab1]=lab-c [dkms]=dkms-d)
declare -A net=([clinic-a]=10.77.1 [clinic-b]=10.77.2 [lab-c]=10.77.3 [dkms-d]=10.77.4)
declare -A aid=()

# An organisation's own tool puts its log where all find it.
publish() { # publish HOST
    local org=${peer[$1]}
    on "$1" verimesh export | on dkms sh -c "mkdir -p /srv/oobi/${aid[$org]} && cat >/srv/oobi/${aid[$org]}/witness.new &&
        mv /srv/oobi/${aid[$org]}/witness.new /srv/oobi/${aid[$org]}/witness"
}

# Both sides of a host's configuration are its administrator's; only AIDs went from hand to hand.
peers() { # peers HOST
    local org
    on "$1" sed -i "/^\[Peer ${peer[$1]}\]/,\$d" $conf
    for org in clinic-a clinic-b lab-c dkms-d; do
        printf '\n[Peer %s]\nAID = %s\nAllowedIPs = %s.0/24\nSource = http://%s/oobi/%s/witness\n' \
            $org "${aid[$org]}" "${net[$org]}" "${address[dkms]}" "${aid[$org]}"
    done | on "$1" tee -a $conf >/dev/null
}

fetch_and_sync() { # fetch_and_sync HOST
    run "$1" 'verimesh fetch && verimesh sync'
    gave 0
}

meshed() { # meshed FROM TO
    run "$1" "read -rt 5 < /dev/tcp/$2.${peer[$2]}.mesh.internal/22 && echo \$REPLY"
    gave 0 '^SSH-2\.0-'
}

# The peers of lab1 and what is theirs; a device in userspace lists them in any order.
tunnels() {
    on lab1 wg show verimesh0 allowed-ips | tr '\t ' '\n' | sort
}

step 'five hosts of four organisations, and one of them has a web server'
for host in "${hosts[@]}"; do
    host_start "$host" "${address[$host]}"
done
sources_serve dkms
passed

step 'each organisation makes its identity; the second host of one has only a seed'
for host in web1 db1 lab1 dkms; do
    org=${peer[$host]}
    run "$host" "verimesh init $host --self $org --endpoint ${address[$host]}:51820 --addr ${net[$org]}.5"
    gave 0
    aid[$org]=$(sed -n 's/^identity //p' <<<"$OUT")
done
run db2 "mkdir -p /etc/verimesh; printf '[Interface]\nSelf = clinic-b\n' > $conf; verimesh key"
gave 0 '^--key '
run db1 "verimesh issue db2 --endpoint ${address[db2]}:51820 --addr 10.77.2.6 $OUT"
gave 0
passed

step 'all is published, and what a Source shows is all that anybody has'
for host in web1 db1 lab1 dkms; do
    publish "$host"
done
run web1 "curl -si http://192.0.2.5/oobi/${aid[clinic-b]}/witness | head -c 400"
gave 0 '^Content-Type: application/json\+cesr'
for host in "${hosts[@]}"; do
    peers "$host"
    run "$host" 'verimesh fetch'
    gave 0 "^${aid[dkms-d]}: sn 1, [0-9]+ bytes added\$|^${aid[clinic-a]}: sn 1, "
    run "$host" 'verimesh up'
    gave 0
done
passed

step 'each reaches each, by name, through the mesh'
for host in "${hosts[@]}"; do
    for other in "${hosts[@]}"; do
        [ "$host" = "$other" ] || meshed "$host" "$other" >/dev/null
    done
    say "$host reaches all"
done
passed

step 'fetched again, nothing changes but when it was heard'
before=$(on web1 sh -c 'cd /var/lib/verimesh; cksum kel/* peers.cdb')
on web1 sed -i 's/^\(src .* \)[0-9]*$/\11/' /var/lib/verimesh/ledger
fetch_and_sync web1
[ -z "$OUT" ] || failed 'it says something'
run web1 'cat /var/lib/verimesh/ledger'
gave 0
for org in "${!aid[@]}"; do
    grep -Eq "^src ${aid[$org]} - [0-9]{10}\$" <<<"$OUT" || failed "it does not know when $org answered"
done
[ "$(on web1 sh -c 'cd /var/lib/verimesh; cksum kel/*')" = "$(head -n -1 <<<"$before")" ] || failed 'the store changed'
passed

step 'a host that is withdrawn at its Source is gone everywhere after one fetch'
run db1 'verimesh withdraw db2'
gave 0
publish db1
for host in "${hosts[@]}"; do
    run "$host" 'verimesh fetch; verimesh sync'
    [ "$host" = db2 ] || gave 0
    run "$host" 'getent hosts db2.clinic-b.mesh.internal || getent hosts 10.77.2.6'
    gave 2
    run "$host" "wg show verimesh0 allowed-ips | grep 10.77.2.6"
    gave 1
done
meshed web1 db1
passed

step 'who restores his identity from a backup is kept from forking it'
run db1 'cp -a /var/lib/verimesh /root/backup; verimesh issue db1 --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login alice'
gave 0
publish db1
run db1 'rm -rf /var/lib/verimesh; cp -a /root/backup /var/lib/verimesh; verimesh issue db1 --addr 10.77.2.5'
gave 1 'has sn [0-9]+ of the own log, this host only sn [0-9]+; verimesh import it first'
run db1 'verimesh fetch clinic-b'
gave 0 "^${aid[clinic-b]}: sn [0-9]+, [0-9]+ bytes added"
run db1 'verimesh issue db1 --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login bob'
gave 0
card=$(sed -n 's/^db1: card //p' <<<"$OUT")
publish db1
fetch_and_sync web1
run web1 'verimesh show --json db1.clinic-b.mesh.internal'
gave 0 "\"card\":\"$card\""
meshed web1 db1
passed

step 'a Source inside the mesh is silent for longer than MaxAge, and brings all back by itself'
run lab1 "sed -i 's/^\[Interface\]/&\nMaxAge = 5s/; s/http:\/\/192.0.2.5\/oobi\/${aid[dkms-d]}/http:\/\/10.77.4.5\/oobi\/${aid[dkms-d]}/' $conf"
gave 0
fetch_and_sync lab1
run lab1 'getent hosts dkms.dkms-d.mesh.internal'
gave 0
tunnels=$(tunnels)
sleep 7
run lab1 'getent hosts dkms.dkms-d.mesh.internal'
gave 2
run lab1 'verimesh sync'
gave 1 'dkms-d: lapsed'
[ "$(tunnels)" = "$tunnels" ] || failed 'not the tunnels that there were'
heard=$(on lab1 sed -n "s/^src ${aid[dkms-d]} - //p" /var/lib/verimesh/ledger)
fetch_and_sync lab1
run lab1 'getent hosts dkms.dkms-d.mesh.internal'
gave 0
[ "$(on lab1 sed -n "s/^src ${aid[dkms-d]} - //p" /var/lib/verimesh/ledger)" -ge $((heard + 7)) ] || failed 'not heard anew'
[ "$(on lab1 grep -c "^src ${aid[dkms-d]} " /var/lib/verimesh/ledger)" -eq 1 ] || failed 'not one line'
passed
