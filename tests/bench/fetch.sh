#!/usr/bin/env bash
# fetch.sh: what fetch and sync cost a host with many peers, each with a Source, when nearly nothing changed.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/bench/fetch.sh [PEERS]    from the repository's root, as root, after `make bench` built it
#
# nginx on this machine serves the streams, so that no network is measured. The floors: curl, which fetches
# the same files and does nothing with them, and cat, which reads the store. What fetch writes is on the disk
# that the build is on; sync is measured on a host of the lab, with keyring and interface.

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/sources.sh
. tests/e2e/sources.sh

b=${B:-build}
peers=${1:-10000}
goal=5 # per cent

# Seconds that a command takes.
seconds() {
    local start=$EPOCHREALTIME status=0
    "$@" >"$LAB/out" 2>&1 || status=$?
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }'
    [ $status -eq 0 ] || { head -n 3 "$LAB/out" >&2 && exit 1; }
}
least() { # least TIMES COMMAND...
    local times=$1 i
    shift
    for ((i = 0; i < times; i++)); do
        seconds "$@"
    done | sort -n | head -n 1
}
line() { # line WHAT SECONDS
    printf '%-58s %8.2f s\n' "$1" "$2"
}
ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}
fetch() { # fetch ROOT
    "$b/verimesh" fetch --root "$1"
}

# A root with the first so many peers.
new_root() { # new_root ROOT PEERS
    mkdir -p "$1/etc/verimesh"
    { printf '[Interface]\nSelf = me\n' && head -n $((5 * $2)) "$LAB/sections"; } >"$1/etc/verimesh/verimesh.conf"
    sed -n 's/^Source = \(.*\)/url = \1\noutput = \/dev\/null/p' "$1/etc/verimesh/verimesh.conf" >"$1/urls"
}

disk=$(mktemp -d "$b/bench/XXXXXX")
trap 'rm -rf "$disk"; lab_stop' EXIT
host_start hub 192.0.2.1
ip addr add 192.0.2.2/24 dev switch
on hub mkdir -p /srv/peers
mkdir "$LAB/peers"
"$b/bench/peers" "$peers" "$LAB/peers" >"$LAB/aids"
tar -C "$LAB/peers" -c . | on hub tar -C /srv/peers -x
sources_serve hub 'access_log off;'
on hub verimesh init hub --self hub --endpoint 192.0.2.1:51820 >/dev/null
awk '{ printf "\n[Peer p%d]\nAID = %s\nAllowedIPs = 10.%d.%d.0/24\nSource = http://192.0.2.1/peers/%d\n",
    NR - 1, $1, (NR - 1) / 256, (NR - 1) % 256, NR - 1 }' "$LAB/aids" >"$LAB/sections"
on hub tee -a /etc/verimesh/verimesh.conf >/dev/null <"$LAB/sections"
new_root "$disk/some" 1000
new_root "$disk/all" "$peers"
curl=(curl -sfZ --parallel-max 16 -K)

echo "1,000 peers"
line 'verimesh fetch, the first time' "$(seconds fetch "$disk/some")"
floor=$(least 5 "${curl[@]}" "$disk/some/urls")
again=$(least 5 fetch "$disk/some")
line 'verimesh fetch, nothing changed' "$again"
line 'curl fetches the same' "$floor"
echo "ratio: $(ratio "$again" "$floor")"

echo "$peers peers"
cold_fetch=$(seconds fetch "$disk/all")
line 'verimesh fetch, the first time' "$cold_fetch"
on hub verimesh up >/dev/null 2>&1 || true # nobody is known yet
on hub verimesh fetch >/dev/null
cold_sync=$(seconds on hub verimesh sync)
line 'verimesh sync, the first time' "$cold_sync"
floor=$(least 5 "${curl[@]}" "$disk/all/urls")
again=$(least 5 fetch "$disk/all")
line 'verimesh fetch, nothing changed' "$again"
line 'curl fetches the same' "$floor"
line 'cat of the store' "$(least 5 sh -c "cat $disk/all/var/lib/verimesh/kel/* $disk/all/var/lib/verimesh/verified")"
echo "ratio of fetch to curl: $(ratio "$again" "$floor")"
on hub mv /srv/peers/0.later /srv/peers/0
warm_fetch=$(seconds fetch "$disk/all")
[ "$(wc -l <"$LAB/out")" -eq 1 ] # what was added
on hub verimesh fetch >/dev/null
warm_sync=$(seconds on hub verimesh sync)
line 'verimesh fetch, one changed' "$warm_fetch"
line 'verimesh sync, one changed' "$warm_sync"
percent=$(awk -v a="$warm_fetch" -v b="$warm_sync" -v c="$cold_fetch" -v d="$cold_sync" \
    'BEGIN { printf "%.1f", 100 * (a + b) / (c + d) }')
met=$(awk -v p="$percent" -v g=$goal 'BEGIN { print p < g ? "met" : "missed" }')
echo "goal: both under $goal % of the first time: $percent %: $met"
[ "$met" = met ]
