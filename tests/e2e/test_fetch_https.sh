#!/usr/bin/env bash
# test_fetch_https.sh: Sources by https, by redirects and in files; two that disagree.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh
# shellcheck source=tests/e2e/sources.sh
. tests/e2e/sources.sh

conf=/etc/verimesh/verimesh.conf
kel=/var/lib/verimesh/kel

# db1's Sources of clinic-a.
sources() { # sources URL...
    on db1 sh -c "sed -i '/^\[Peer clinic-a\]/,\$d' $conf; cat >>$conf" <<END
[Peer clinic-a]
AID = $A
AllowedIPs = 10.77.1.0/24
$(printf 'Source = %s\n' "$@")
END
}
forget() {
    on db1 sh -c "rm -f $kel/$A.*"
}
arrived() {
    run db1 'verimesh fetch'
    gave 0 "^$A: sn [0-9]+, [0-9]+ bytes added\$"
}
# Nothing arrives, and one line says why.
refused() { # refused EXPRESSION
    run db1 'verimesh fetch'
    gave 1 "^verimesh: clinic-a: $1\$"
    [ "$(wc -l <<<"$OUT")" -eq 1 ] || failed 'more than one line'
    on db1 test ! -e "$kel/$A.cesr" || failed 'it arrived'
}
publish() { # publish NAME: what web1's organisation exports now
    on web1 sh -c "mkdir -p /srv/oobi; verimesh export >/srv/oobi/$1"
}

step 'a host with a web server, and one that fetches'
host_start web1 192.0.2.1
host_start db1 192.0.2.2
for host in web1 db1; do
    on "$host" tee -a /etc/hosts >/dev/null <<<'192.0.2.1 dkms.example other.example'
done
run web1 'verimesh init web1 --self clinic-a --endpoint 192.0.2.1:51820 --addr 10.77.1.5'
gave 0
A=$(sed -n 's/^identity //p' <<<"$OUT")
on web1 cp -a /var/lib/verimesh/. /root/before
publish old
run web1 'verimesh issue web1 --addr 10.77.1.5 --login alice'
gave 0
publish log
run db1 'verimesh init db1 --self clinic-b'
gave 0
B=$(sed -n 's/^identity //p' <<<"$OUT")
sources_authority good
sources_authority evil
sources_trust db1 good
sources_certificate web1 good dkms.example
# shellcheck disable=SC2016 # nginx's variables
sources_serve web1 'location = /loop { return 302 $scheme://$host/loop; }' \
    'location = /down { return 302 http://dkms.example/oobi/log; }' \
    'location = /up { return 301 https://dkms.example/oobi/log; }' \
    'location = /one { return 307 /oobi/log; }' 'location = /two { return 308 /one; }' \
    'location = /three { return 303 /two; }' 'location = /four { return 302 /three; }' \
    'location = /file { return 302 file:///srv/oobi/log; }'
passed

step 'by https, from a server whose CA this host trusts'
sources https://dkms.example/oobi/log
arrived
passed

step 'by http'
forget
sources http://dkms.example/oobi/log
arrived
passed

step 'a name that the certificate is not for, and an address'
forget
sources https://other.example/oobi/log
refused 'https://other\.example/oobi/log: SSL: no alternative certificate subject name matches .*'
sources https://192.0.2.1/oobi/log
refused 'https://192\.0\.2\.1/oobi/log: SSL: no alternative certificate subject name matches .*'
passed

step 'a certificate that is expired'
sources https://dkms.example/oobi/log
sources_certificate web1 good dkms.example -days=-1
sources_again web1
refused 'https://dkms\.example/oobi/log: SSL certificate problem: certificate has expired'
passed

step 'a certificate of another CA'
sources_certificate web1 evil dkms.example
sources_again web1
refused 'https://dkms\.example/oobi/log: SSL certificate problem: unable to get local issuer certificate'
sources_certificate web1 good dkms.example
sources_again web1
arrived
passed

step 'redirects are followed, three of them, and into the private but never out of it'
for path in one two three up; do
    forget
    sources http://dkms.example/$path
    arrived
done
forget
for scheme in http https; do
    sources $scheme://dkms.example/loop
    refused "$scheme://dkms\\.example/loop: Maximum \\(3\\) redirects followed"
    sources $scheme://dkms.example/four
    refused "$scheme://dkms\\.example/four: Maximum \\(3\\) redirects followed"
    sources $scheme://dkms.example/file
    refused "$scheme://dkms\\.example/file: Protocol \"file\" .*"
done
sources https://dkms.example/down
refused 'https://dkms\.example/down: Protocol "http" .*'
passed

step 'a server that is not there, and a name that nobody has'
sources http://dkms.example:81/log
refused 'http://dkms\.example:81/log: Failed to connect to dkms\.example port 81.*'
sources https://nobody.example/log
refused 'https://nobody\.example/log: Could not resolve host: nobody\.example'
passed

step 'files: as they are and through a link; a pipe is not waited for'
run db1 "curl -so /srv/log http://dkms.example/oobi/log; cd /srv; ln -s log link; ln -s link2 link2; mkfifo pipe
    mkdir directory; head -c 33M /dev/zero >large; : >empty; ln -s /dev/zero device"
gave 0
for source in file:/srv/log file:///srv/log file:/srv/link; do
    forget
    sources $source
    arrived
done
forget
while IFS='|' read -r name said; do
    sources "file:/srv/$name"
    refused "file:/srv/$name: $said"
done <<'END'
pipe|is no regular file
directory|is no regular file
device|is no regular file
none|No such file or directory
link2|Too many levels of symbolic links
large|.*File too large
END
sources file:/srv/empty
run db1 'verimesh fetch'
gave 1 '^verimesh: file:/srv/empty: event 0: refused: empty$'
passed

step 'a file that only root may read is read, one that nobody may is told of; an ordinary user says so'
sources file:/srv/log
run db1 "chmod 600 /srv/log; mkdir -p /home/alice/etc/verimesh; chown -R alice: /home/alice
    printf '[Interface]\nSelf = me\n[Peer clinic-a]\nAID = $A\nSource = file:/srv/log\n' >/home/alice$conf"
gave 0
arrived
run alice@db1 'verimesh fetch --root /home/alice'
gave 1 '^verimesh: clinic-a: file:/srv/log: Permission denied$'
run db1 'chmod 644 /srv/log'
run alice@db1 'verimesh fetch --root /home/alice; ls /home/alice/var/lib/verimesh/kel'
gave 0 "^$A\\.cesr\$"
passed

step 'an old log takes nothing back'
before=$(on db1 sh -c "cksum $kel/*")
sources http://dkms.example/oobi/old
run db1 'verimesh fetch'
gave 0
[ "$before" = "$(on db1 sh -c "cksum $kel/*")" ] || failed 'the store changed'
passed

step 'two Sources that disagree: frozen, loud, and the evidence is kept'
run web1 'mkdir -p /root/fork/var/lib; cp -a /root/before /root/fork/var/lib/verimesh; cp -a --parents /etc/verimesh /root/fork
    verimesh issue web1 --addr 10.77.1.5 --login mallory --root /root/fork; verimesh export --root /root/fork >/srv/oobi/fork'
gave 0
sources https://dkms.example/oobi/log http://dkms.example/oobi/fork
run db1 'verimesh fetch'
gave 1 "^verimesh: http://dkms\\.example/oobi/fork: event [0-9]+ of $A sn 2: duplicitous: .*; frozen until verimesh import --resolve\$"
run db1 "ls $kel; verimesh sync"
gave 0 "^$A\\.duplicity\$" "^verimesh: clinic-a: showed two versions of an event and is frozen; .* verimesh import --resolve $A FILE\$"
[ "$before" = "$(on db1 sh -c "cksum $kel/*.cesr")" ] || failed 'the log changed'
run web1 'verimesh issue web1 --addr 10.77.1.5 --login bob'
gave 0
publish log
run db1 'verimesh fetch'
gave 1 "frozen by duplicity; see verimesh import --resolve"
[ "$before" = "$(on db1 sh -c "cksum $kel/*.cesr")" ] || failed 'the log grew'
passed

step 'whoever finds out which one holds releases it'
run db1 "curl -so right http://dkms.example/oobi/log; verimesh import --resolve $A right; ls $kel"
gave 0 "^$A\\.cesr\$"
! grep -q duplicity <<<"$OUT" || failed 'it is still frozen'
sources https://dkms.example/oobi/log
run db1 'verimesh fetch && verimesh sync'
gave 0
passed

step 'disagreement is found the first time, too, when nothing is known yet'
forget
sources https://dkms.example/oobi/log http://dkms.example/oobi/fork
run db1 'verimesh fetch'
gave 1 "^$A: sn 3, " 'duplicitous: .*; frozen until verimesh import --resolve$'
run db1 "ls $kel"
gave 0 "^$A\\.cesr\$" "^$A\\.duplicity\$" "^$B\\.cesr\$"
passed
