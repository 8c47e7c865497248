#!/usr/bin/env bash
# test_fetch_hostile.sh: Sources that lie, stall or flood: the good state stays, and nobody else waits.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each way to lie has a host of its own, which is a directory for --root with two peers: the victim, whose
# Source lies, and one whose Source is honest. All of them fetch at the same time.

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

verimesh=$(realpath "${B:-build}/verimesh")
server=http://127.0.0.1:8080
streams=$LAB/streams
failed=0 pids=()

fail() {
    echo "    $*"
    [ ! -e "$host/err" ] || head -n 5 "$host/err" | sed 's/^/    | /'
    good=no
}

# An organisation whose log is shown at three times: NAME.old, NAME.now, NAME.newer.
organisation() { # organisation NAME
    local root=$LAB/$1
    mkdir "$root"
    "$verimesh" init h1 --self "$1" --root "$root" >/dev/null
    "$verimesh" export --root "$root" >"$streams/$1.old"
    cp -a "$root" "$root.fork"
    "$verimesh" issue h1 --login alice --root "$root" >/dev/null
    "$verimesh" export --root "$root" >"$streams/$1.now"
    "$verimesh" issue h1 --login bob --root "$root" >/dev/null
    "$verimesh" export --root "$root" >"$streams/$1.newer"
}

# A host that knows the two as they are now.
new_host() { # new_host LIE
    host=$LAB/host/$1
    mkdir -p "$host/etc/verimesh"
    cat >"$host/etc/verimesh/verimesh.conf" <<END
[Interface]
Self = me
FetchEvery = 1s
[Peer victim]
AID = $victim
Source = $server/$1
[Peer honest]
AID = $honest
Source = $server/file/honest.newer
END
    cat "$streams/victim.now" "$streams/honest.now" | "$verimesh" import - --root "$host" >/dev/null
    cp "$(kel "$victim").cesr" "$host/before"
}

kel() { # kel AID
    echo "$host/var/lib/verimesh/kel/$1"
}

# The store has just what a stream has, if perhaps in another order.
has() { # has AID STREAM
    cmp -s <(messages <"$(kel "$1").cesr") <(messages <"$streams/$2")
}
messages() {
    sed 's/{"v"/\n&/g' | sort
}

# Fetches, and notes in $host/early whether the honest one was there while the liar was still asked.
fetch() { # fetch LIE
    local host=$LAB/host/$1 pid status=0
    /usr/bin/time -o "$host/cost" -f '%e %M' "$verimesh" fetch --root "$host" >"$host/out" 2>"$host/err" &
    pid=$!
    sleep 8
    if [ -d "/proc/$pid" ]; then
        has "$honest" honest.newer && echo yes >"$host/early" || echo no >"$host/early"
    fi
    wait $pid || status=$?
    echo $status >"$host/status"
}

# What there is to say about a lie: the exit status, the line on stderr, and what was gained: nothing, all
# that is newer, or part of it.
check() { # check LIE STATUS GAIN EXPRESSION
    local lie=$1 status=$2 gain=$3 expression=$4 seconds kib line now
    host=$LAB/host/$lie good=yes
    read -r seconds kib <<<"$(tail -n 1 "$host/cost")"
    now=$(kel "$victim").cesr
    [ "$(cat "$host/status")" -eq "$status" ] || fail "exit status $(cat "$host/status"), not $status"
    case $gain in
    nothing) cmp "$host/before" "$now" >/dev/null || fail 'the log changed' ;;
    all) has "$victim" victim.newer || fail 'not the newer log' ;;
    part)
        cmp -n "$(stat -c %s "$host/before")" "$host/before" "$now" >/dev/null || fail 'the log changed'
        "$verimesh" verify "$now" >/dev/null || fail 'the log does not verify'
        ;;
    esac
    line=$(cat "$host/err")
    if [ "$status" -eq 0 ]; then
        [ -z "$line" ] || fail 'it complains'
    else
        grep -Eqx -- "verimesh: .*127\.0\.0\.1:8080/$lie: $expression" <<<"$line" || fail "does not say: $expression"
    fi
    [ "$(wc -l <"$host/err")" -le 1 ] || fail "$(wc -l <"$host/err") lines"
    ! grep -q '[^ -~]' "$host/err" || fail 'it says what is not printable'
    has "$honest" honest.newer || fail 'the honest Source was not heard'
    [ "$(find "$host/var/lib/verimesh/kel" -name '*.cesr' | wc -l)" -eq 2 ] || fail 'it keeps what nobody asked for'
    ! grep -Eq '^stall|^drip' <<<"$lie" || [ -e "$host/early" ] || fail 'it was not waited for'
    [ ! -e "$host/early" ] || grep -q yes "$host/early" || fail 'the honest Source had to wait'
    [ ! -e "$(kel "$victim").duplicity" ] || [ "$lie" = file/victim.fork ] || fail 'it was frozen'
    awk "BEGIN { exit !($seconds < 25) }" || fail "took $seconds s"
    [ "$kib" -lt $((160 << 10)) ] || fail "took $kib KiB"
    if [ "$good" = yes ]; then
        echo "ok $lie: $seconds s, $kib KiB"
    else
        echo "not ok $lie" && failed=1
    fi
}

# The lies: a path, an exit status, what is gained, and what is said.
stopped='Operation t(oo slow|imed out).*'
lies=$(cat <<END
garbage                1 nothing event 0: refused: .*
escapes                1 nothing The requested URL returned error: 500
empty                  1 nothing event 0: refused: empty
nothing_at_all         1 nothing Empty reply from server
tiny_messages          1 nothing event 0: refused: .*; and 99999 more
gzip_bomb              1 nothing event 0: refused: .*
gzip_chunked_bomb      1 nothing shows more than 32 MiB
shorter_than_said      1 nothing .*(transfer closed|bytes remaining).*
longer_than_said       1 part    event [0-9]+: truncated: .*
length_is_no_number    1 nothing .*Content-Length.*
two_lengths            1 part    .*
length_of_an_exbibyte  1 nothing .*
endless_body           1 nothing shows more than 32 MiB
endless_log            1 nothing shows more than 32 MiB
a_byte_too_many        1 nothing shows more than 32 MiB
closed_early           1 part    event [0-9]+: truncated: .*
huge_headers           1 nothing .*
many_headers           1 nothing .*
endless_continue       1 nothing .*
chunked_nonsense       1 nothing .*
chunk_too_long         1 nothing .*
chunks_without_end     1 nothing .*
http_0_9               1 nothing Received HTTP/0.9 when not allowed
status_204             1 nothing event 0: refused: empty
status_304             1 nothing event 0: refused: empty
status_404             1 nothing The requested URL returned error: 404
status_500             1 nothing The requested URL returned error: 500
to_itself              1 nothing Maximum \(3\) redirects followed
to_file                1 nothing Protocol .*
to_another_scheme      1 nothing Protocol .*
hops_4                 1 nothing Maximum \(3\) redirects followed
hops_3                 0 all     .*
stalls_before          1 nothing $stopped
stalls_in_header       1 nothing $stopped
stalls_in_middle       1 nothing $stopped
drips                  1 nothing $stopped
drips_headers          1 nothing $stopped
file/victim.old        0 nothing .*
file/victim.bodies     0 part    .*
file/victim.receipts   0 nothing .*
file/victim.stranger   0 all     .*
file/victim.fork       1 nothing event .*: duplicitous: .*; frozen until verimesh import --resolve
END
)

mkdir "$streams" "$LAB/host"
ip link set lo up
organisation victim
organisation honest
organisation stranger
victim=$(cat "$LAB/victim/var/lib/verimesh/identity/aid")
honest=$(cat "$LAB/honest/var/lib/verimesh/identity/aid")
"$verimesh" issue h1 --login mallory --root "$LAB/victim.fork" >/dev/null
"$verimesh" export --root "$LAB/victim.fork" >"$streams/victim.fork"
cp "$streams/victim.newer" "$streams/newer"
cat "$streams/victim.newer" "$streams/stranger.now" >"$streams/victim.stranger"
python3 tests/e2e/streams.py bodies <"$streams/newer" >"$streams/victim.bodies"
python3 tests/e2e/streams.py receipts <"$streams/victim.now" >"$streams/victim.receipts"
setpriv --pdeathsig KILL python3 tests/e2e/hostile_server.py 8080 "$streams" &
soon bash -c '</dev/tcp/127.0.0.1/8080' 2>/dev/null

while read -r lie _; do
    new_host "$lie"
done <<<"$lies"
while read -r lie _; do
    fetch "$lie" &
    pids+=($!)
done <<<"$lies"
wait "${pids[@]}"
while read -r lie status gain expression; do
    check "$lie" "$status" "$gain" "$expression"
done <<<"$lies"
exit $failed
