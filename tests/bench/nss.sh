#!/usr/bin/env bash
# nss.sh: sets the scenes in which nss.c measures lookups, each with files and daemons of its own, and draws them.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/bench/nss.sh    from the repository's root, as root, after `make benches`
#                              SVG=FILE (build/bench/nss.svg), RESOLVED=PROGRAM
#
# All of it is in private namespaces, which end with it: nothing of this host is changed, no service of its
# is asked. Both modules are found through a cache of ld.so, as installed ones are.
set -euo pipefail

[ "$(id -u)" -eq 0 ] || { echo "$0: needs root" >&2 && exit 2; }
[ -n "${BENCH_PRIVATE:-}" ] ||
    BENCH_PRIVATE=1 exec unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc "$0" "$@"

umask 022
b=$(realpath "${B:-build}")
svg=$(realpath -m "${SVG:-$b/bench/nss.svg}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$dir"

# Hosts (and accounts) in the maps: with 1k, 100k and 1M records, and as many as are compared with files.
maps=(137 1000 10000 13700 137000)
files=(100 1000 10000 100000)
resolved=${RESOLVED:-/lib/systemd/systemd-resolved}
missed=0

# miss STATUS: 1 is a missed goal, any other a bench that does not work
miss() {
    [ "$1" -eq 1 ] || exit "$1"
    missed=1
}

mkdir modules
cp "$b/libnss_verimesh.so.2" "$b/bench/libnss_vmfloor.so.2" modules/
cp "$b/bench/nss_once" .
printf '%s\n' "$dir/modules" 'include /etc/ld.so.conf' >ld.so.conf
ldconfig -C ld.so.cache -f ld.so.conf 2>/dev/null
ip link set lo up

printf 'maps%39s %9s %9s\n%9s %9s %9s %9s %9s %9s\n' '' 'MiB, with' 'goals:' \
    records hosts MiB seconds 'a roster' '2 s, 512'
for n in "${maps[@]}"; do
    mkdir "map-$n"
    "$b/bench/nss_make" map "map-$n" "$n" || miss $?
done
for n in "${files[@]}"; do
    mkdir "lists-$n"
    "$b/bench/nss_make" files "lists-$n" "$n"
done

scenes=()
# scene KIND HOSTS SERVICE [NAMESERVER]: what is etc, run and /var/lib in there
scene() {
    local to=$1-$2
    scenes+=("$to")
    mkdir -p "$to"/etc "$to"/run/nscd "$to"/lib/verimesh
    ln ld.so.cache "$to/etc/"
    echo 'multi on' >"$to/etc/host.conf"
    echo "nameserver ${4:-127.0.0.1}" >"$to/etc/resolv.conf"
    printf '%s: %s\n' hosts "$3" passwd "${3/dns/files}" group "${3/dns/files}" >"$to/etc/nsswitch.conf"
    if [ -d "map-$2" ]; then
        ln "map-$2/peers.cdb" "$to/lib/verimesh/"
    fi
    case "$1" in files | nscd | resolved) ln "lists-$2"/* "$to/etc/" ;; esac
}

# inside SCENE COMMAND...: a daemon of this scene
inside() {
    # shellcheck disable=SC2016 # the inner shell's
    unshare --mount --propagation private sh -ec '
        mount --bind "$0/etc" /etc
        mount --bind "$0/run" /run
        exec "$@"' "$@" >>"$1/log" 2>&1 &
}

# soon WHAT COMMAND...: repeats it for 20 seconds, until it succeeds
soon() {
    local what=$1 tries=200
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((tries -= 1)) -gt 0 ] || { echo "bench: $what does not answer" >&2 && exit 2; }
        sleep 0.1
    done
}

# DNS on a loopback address answers, whatever it answers.
listens() {
    grep -q "$1:0035 " /proc/net/udp
}

for n in "${maps[@]}"; do
    scene floor "$n" vmfloor
    scene verimesh "$n" verimesh
done
for n in "${files[@]}"; do
    scene files "$n" files
done

at=1
for n in "${files[@]}"; do
    at=$((at + 1))
    scene dnsmasq "$n" dns "127.0.0.$at"
    dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group=root --pid-file= \
        --no-resolv --no-hosts --addn-hosts="$dir/lists-$n/hosts" --local=/mesh.internal/ \
        --bind-interfaces --listen-address="127.0.0.$at" --except-interface=none >>"dnsmasq-$n/log" 2>&1 &
    soon "dnsmasq with $n hosts" listens "$(printf '%02X00007F' "$at")"
done

for n in "${files[@]}"; do
    scene nscd "$n" files
    printf '%s\n' 'threads 4' >"nscd-$n/etc/nscd.conf"
    for database in hosts passwd group; do
        printf '%s %s %s\n' enable-cache "$database" yes shared "$database" yes persistent "$database" no \
            positive-time-to-live "$database" 3600 suggested-size "$database" 10007 >>"nscd-$n/etc/nscd.conf"
    done
    inside "nscd-$n" nscd --foreground
    soon "nscd with $n hosts" test -S "nscd-$n/run/nscd/socket"
done

if [ -x "$resolved" ]; then
    scene resolved 1000 dns 127.0.0.53
    mkdir resolved-1000/run/systemd
    sed -i '$a systemd-resolve:*:998:998::/:/bin/false' resolved-1000/etc/passwd
    inside resolved-1000 "$resolved"
    soon systemd-resolved listens 3500007F
else
    printf '\nsystemd-resolved: not measured, there is none at %s\n' "$resolved"
fi

"$b/bench/nss" plot "${scenes[@]}" || miss $?

# In colours that are read on white and on black.
curves=
while read -r kind colour dash title; do
    if grep "^$kind " plot >"plot.$kind"; then
        curves+="'plot.$kind' using 2:(\$3/1e9) with linespoints pointtype 7 pointsize 0.6"
        curves+=" linewidth 2 dashtype $dash linecolor rgb '#$colour' title '$title', "
    fi
done <<END
files d04040 1 files
resolved 9060c0 1 systemd-resolved
dnsmasq c08020 1 dnsmasq
verimesh 2080d0 1 verimesh
floor 808080 2 a constant
nscd 30a060 1 nscd, warm
END
gnuplot - >nss.svg <<END
set terminal svg size 640,360 font "sans-serif,13" dashed
set logscale xy
set xrange [80:180000]
set format x "10^{%L}"
set format y "%.0s %cs"
set border 3 linecolor rgb "#808080"
set tics nomirror textcolor rgb "#808080"
set xlabel "hosts" textcolor rgb "#808080"
set title "gethostbyname2_r, a call" noenhanced textcolor rgb "#808080"
set key outside right samplen 2 textcolor rgb "#808080"
set grid ytics linecolor rgb "#80808040"
plot ${curves%, }
END
# the licence, which gnuplot does not know of, behind the first line
sed "1a <!-- SPDX-License-Identifier: LGPL-2.1-or-later -->" nss.svg >"$svg"
printf '\nplot: %s\n' "$svg"
[ "$missed" -eq 0 ] || { echo "a goal was missed" && exit 1; }
echo "all goals met"
