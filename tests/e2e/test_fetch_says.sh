#!/usr/bin/env bash
# test_fetch_says.sh: whom fetch asks, what it says and how it exits; a disk that is full.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

verimesh=$(realpath "${B:-build}/verimesh")
host=$LAB/host

ok() {
    echo "ok $STEP"
}
fail() {
    echo "    $*"
    sed 's/^/    | /' "$LAB/out" "$LAB/err"
    echo "not ok $STEP"
    exit 1
}
# Its exit status, and each of its lines on stderr.
fetch() { # fetch STATUS WORD...
    local wanted=$1 status=0
    shift
    "$verimesh" fetch "$@" --root "$host" >"$LAB/out" 2>"$LAB/err" || status=$?
    [ $status -eq "$wanted" ] || fail "status $status, not $wanted"
}
says() { # says EXPRESSION...
    local expression
    [ "$(wc -l <"$LAB/err")" -eq $# ] || fail "not $# lines"
    for expression in "$@"; do
        grep -Eqx -- "verimesh: $expression" "$LAB/err" || fail "does not say: $expression"
    done
}
has() { # has NAME...: the store has their logs, and no other's
    [ "$(cd "$host/var/lib/verimesh/kel" && echo *.cesr)" = "$(printf '%s.cesr\n' "$@" | sort | xargs)" ] ||
        fail "not the logs of $*"
}

for name in one two; do
    mkdir "$LAB/$name"
    "$verimesh" init h1 --self $name --root "$LAB/$name" >/dev/null
    "$verimesh" export --root "$LAB/$name" >"$LAB/$name.cesr"
done
one=$(cat "$LAB/one/var/lib/verimesh/identity/aid")
two=$(cat "$LAB/two/var/lib/verimesh/identity/aid")
ip link set lo up
mkdir -p "$host/etc/verimesh"
cat >"$host/etc/verimesh/verimesh.conf" <<END
[Interface]
Self = me
[Peer one]
AID = $one
Source = file:$LAB/one.cesr
[Peer two]
AID = $two
Source = file:$LAB/two.cesr
Source = http://127.0.0.1:1/two
[Peer three]
AID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2
END
conf='/etc/verimesh/verimesh\.conf'

STEP='who is named alone is asked'
fetch 0 one
says
has "$one"
ok

STEP='a Source that does not answer is told of, the other one does'
fetch 1 one two
says 'two: http://127\.0\.0\.1:1/two: Failed to connect to 127\.0\.0\.1 port 1.*'
has "$one" "$two"
ok

STEP='who is not there, who has no Source, what is no name'
fetch 2 four
says "$conf: no \\[Peer four\\]; add it"
fetch 2 one three
says "$conf: no Source in \\[Peer three\\]"
fetch 2 --all
says 'fetch: takes names of peers .*'
ok

STEP='without names all are asked; on a terminal it says how far it is, and wipes that'
script -qec "'$verimesh' fetch --root '$host'" /dev/null </dev/null >"$LAB/out" || true
grep -aq $'^\r1 of 3 Sources\033\\[K\r2 of 3 Sources\033\\[K\r3 of 3 Sources\033\\[K\r\033\\[Kverimesh: two: ' "$LAB/out" ||
    fail 'it does not'
[ "$(tail -c 5 "$LAB/out")" = $'\r\033[K' ] || [ "$(tail -c 4 "$LAB/out")" = $'\r\033[K' ] || fail 'something is left'
ok

STEP='without a Source there is nothing to do'
sed -i /^Source/d "$host/etc/verimesh/verimesh.conf"
fetch 0
says
ok

STEP='on a disk that is full all stays as it was, and goes on where there is room again'
rm -rf "${host:?}/var"
mkdir "$host/var"
mount -t tmpfs -o size=64k var "$host/var"
sed -i "s/^AID = $one/&\\nSource = file:$(sed 's/\//\\\//g' <<<"$LAB")\\/one.cesr/" "$host/etc/verimesh/verimesh.conf"
fetch 0
before=$(cd "$host/var/lib/verimesh" && cksum kel/* ledger)
"$verimesh" issue h1 --login alice --root "$LAB/one" >/dev/null
"$verimesh" export --root "$LAB/one" >"$LAB/one.cesr"
dd if=/dev/zero of="$host/var/filler" bs=4k status=none 2>/dev/null || true
fetch 3
says ".*/var/lib/verimesh/(kel/$one\\.cesr|ledger)[.new]*: No space left on device"
[ "$before" = "$(cd "$host/var/lib/verimesh" && cksum kel/* ledger)" ] || fail 'something changed'
rm "$host/var/filler"
fetch 0
grep -Eqx "$one: sn 2, [0-9]+ bytes added" "$LAB/out" || fail 'nothing was added'
ok
