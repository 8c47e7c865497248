# shellcheck shell=bash
# sources.sh: Sources on the lab's hosts: a web server as KERI witnesses have it, and a CA.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced after demo.sh. The web server is nginx with what a host has in /srv, as application/json+cesr:
# by http, and where sources_certificate made one, by https with the certificate in /srv/tls.
#
#     sources_serve HOST [LINE...]             starts it; each line goes into its server's section
#     sources_again HOST                       it reads its configuration and certificate anew
#     sources_authority NAME                   a CA
#     sources_trust HOST AUTHORITY             the host trusts it, besides those of the system
#     sources_certificate HOST AUTHORITY NAME [OPTION...]   for that name; options of `openssl x509`

sources_serve() {
    local host=$1 tls=''
    shift
    ! on "$host" test -e /srv/tls/certificate ||
        tls='listen 443 ssl; ssl_certificate /srv/tls/certificate; ssl_certificate_key /srv/tls/key;'
    on "$host" mkdir -p /srv/oobi /var/log/nginx
    on "$host" tee /etc/nginx/sources.conf >/dev/null <<END
user root;
worker_processes 1;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    types { }
    default_type application/json+cesr;
    access_log /var/log/nginx/access.log;
    server {
        listen 80;
        $tls
        root /srv;
        location /tls/ { return 403; }
$(printf '        %s\n' "$@")
    }
}
END
    on "$host" nginx -c /etc/nginx/sources.conf
    soon on "$host" test -s /run/nginx.pid
}

sources_again() {
    on "$1" nginx -c /etc/nginx/sources.conf -s reload
    sleep 0.3
}

sources_authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext keyUsage=critical,keyCertSign -keyout "$LAB/$1.key" -out "$LAB/$1.pem" 2>/dev/null
}

sources_trust() {
    on "$1" tee -a /etc/ssl/certs/ca-certificates.crt >/dev/null <"$LAB/$2.pem"
}

sources_certificate() {
    local host=$1 authority=$2 name=$3
    shift 3
    on "$host" mkdir -p /srv/tls
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$LAB/server.key" -out "$LAB/server.csr" 2>/dev/null
    openssl x509 -req -in "$LAB/server.csr" -CA "$LAB/$authority.pem" -CAkey "$LAB/$authority.key" \
        -extfile <(echo "subjectAltName = DNS:$name") -out "$LAB/server.pem" "${@:--days=2}" 2>/dev/null
    on "$host" tee /srv/tls/certificate >/dev/null <"$LAB/server.pem"
    on "$host" tee /srv/tls/key >/dev/null <"$LAB/server.key"
}
