#!/usr/bin/env bash
# test_fetch_rights.sh: who speaks with the network and who reads what comes have no rights, and may die.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

# where everybody may run it
install -m 755 "${B:-build}/verimesh" "$LAB/verimesh"
chmod 755 "$LAB"
verimesh=$LAB/verimesh
streams=$LAB/streams
host=$LAB/host

ok() {
    echo "ok $1"
}
fail() {
    echo "    $*"
    [ ! -e "$LAB/err" ] || sed 's/^/    | /' "$LAB/err"
    echo "not ok $STEP"
    exit 1
}

# The child of a process, as soon as there is one that has given up its rights.
child_of() { # child_of PID
    CHILD=$(cat "/proc/$1/task/$1/children") && CHILD=${CHILD% }
    [ -n "$CHILD" ] && grep -q '^NoNewPrivs:.1$' "/proc/$CHILD/status"
}

# What /proc says of a process.
without_rights() { # without_rights PID SECCOMP UID
    local line id
    id=$(printf '\t%s\t%s\t%s\t%s' "$3" "$3" "$3" "$3")
    for line in CapInh:$'\t'0000000000000000 CapPrm:$'\t'0000000000000000 CapEff:$'\t'0000000000000000 \
        CapAmb:$'\t'0000000000000000 NoNewPrivs:$'\t'1 "Seccomp:"$'\t'"$2" "Uid:$id" "Gid:$id" \
        'Groups:'$'\t '; do
        grep -Fqx -- "$line" "/proc/$1/status" || fail "not $line: $(cat "/proc/$1/status")"
    done
    [ "$3" != 65534 ] || grep -Fqx "CapBnd:"$'\t'0000000000000000 "/proc/$1/status" || fail 'it may get rights'
}

# A pipe as standard error that takes nothing more: who wants to say something waits.
full_pipe() {
    rm -f "$LAB/pipe"
    mkfifo -m 666 "$LAB/pipe"
    exec 3<>"$LAB/pipe"
    dd if=/dev/zero bs=4096 count=16 status=none >&3
}
drain() {
    cat "$LAB/pipe" >"$LAB/drained" 3>&- &
    drained=$!
    exec 3>&-
}
drained() {
    wait $drained
    tr -d '\0' <"$LAB/drained" >"$LAB/err"
}

new_host() { # new_host SOURCE...
    rm -rf "$host"
    mkdir -p "$host/etc/verimesh"
    cat >"$host/etc/verimesh/verimesh.conf" <<END
[Interface]
Self = me
FetchEvery = 1s
[Peer victim]
AID = $victim
$(printf 'Source = %s\n' "$@")
[Peer honest]
AID = $honest
Source = file:$streams/honest
END
}
has() { # has AID
    [ -s "$host/var/lib/verimesh/kel/$1.cesr" ]
}

mkdir "$streams"
ip link set lo up
for name in victim honest; do
    mkdir "$LAB/$name"
    "$verimesh" init h1 --self $name --root "$LAB/$name" >/dev/null
    "$verimesh" export --root "$LAB/$name" >"$streams/$name"
done
victim=$(cat "$LAB/victim/var/lib/verimesh/identity/aid")
honest=$(cat "$LAB/honest/var/lib/verimesh/identity/aid")
cp "$streams/victim" "$streams/newer"
for _ in {1..40000}; do echo -n '{"v":"KERI10JSON000019_"}'; done >"$streams/tiny"
setpriv --pdeathsig KILL python3 tests/e2e/hostile_server.py 8080 "$streams" &
soon bash -c '</dev/tcp/127.0.0.1/8080' 2>/dev/null

STEP='who asks a Source has no rights, and the server that stalls cannot hold up the lock'
new_host http://127.0.0.1:8080/stalls_in_middle
"$verimesh" fetch --root "$host" 2>"$LAB/err" &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
without_rights "$CHILD" 2 65534
soon has "$honest" || fail 'the other was not imported'
timeout 5 "$verimesh" import "$streams/victim" --root "$host" >/dev/null || fail 'an import cannot begin'
ok "$STEP"

STEP='who is killed leaves nobody behind'
kill -KILL $pid
wait $pid 2>/dev/null || true
soon [ ! -e "/proc/$CHILD/exe" ] || fail 'a child is left'
ok "$STEP"

STEP='when who asks dies that is said, and what came is imported'
new_host http://127.0.0.1:8080/stalls_in_middle
"$verimesh" fetch --root "$host" 2>"$LAB/err" &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
soon has "$honest" || fail 'the other was not imported'
child_of $pid
kill -SEGV "$CHILD"
status=0 && wait $pid || status=$?
[ $status -eq 3 ] || fail "status $status"
grep -qx 'verimesh: the process that asks Sources died; some were not asked' "$LAB/err" || fail 'it says nothing'
ok "$STEP"

STEP='when who asks is held up for longer than any Source may be, that is the same'
new_host http://127.0.0.1:8080/stalls_in_middle
"$verimesh" fetch --root "$host" 2>"$LAB/err" &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
kill -STOP "$CHILD"
start=$SECONDS status=0
wait $pid || status=$?
[ $status -eq 3 ] || fail "status $status"
[ $((SECONDS - start)) -lt 25 ] || fail "it took $((SECONDS - start)) s"
grep -qx 'verimesh: the process that asks Sources died; some were not asked' "$LAB/err" || fail 'it says nothing'
[ ! -e "/proc/$CHILD/exe" ] || fail 'a child is left'
ok "$STEP"

STEP='who reads what a Source showed has no rights'
new_host "file:$streams/tiny" "file:$streams/victim"
full_pipe
"$verimesh" fetch --root "$host" >"$LAB/out" 2>&3 3>&- &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
soon grep -q '^State:.S' "/proc/$CHILD/status" || fail 'it is not held up'
without_rights "$CHILD" 2 65534
ls -l "/proc/$CHILD/fd" >"$LAB/fds"
! grep -Eq 'identity|shadow|\.key' "$LAB/fds" || fail 'it has what it must not'
ok "$STEP"

STEP='when it dies of a stream that is said, and costs only that stream'
kill -SEGV "$CHILD"
drain
status=0 && wait $pid || status=$?
drained
[ $status -eq 1 ] || fail "status $status"
[ "$(cat "$LAB/err")" = "verimesh: file:$streams/tiny: the process that read it died: Segmentation fault" ] ||
    fail 'not that line'
{ has "$victim" && has "$honest"; } || fail 'the others were not imported'
ok "$STEP"

STEP='killed while it reads, it leaves nobody behind, and no lock'
new_host
full_pipe
"$verimesh" import "$streams/tiny" --root "$host" >"$LAB/out" 2>&3 3>&- &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
without_rights "$CHILD" 2 65534
kill -KILL $pid
wait $pid 2>/dev/null || true
soon [ ! -e "/proc/$CHILD/exe" ] || fail 'a child is left'
exec 3>&-
timeout 5 "$verimesh" import "$streams/victim" --root "$host" >"$LAB/out" 2>"$LAB/err" || fail 'not imported'
ok "$STEP"

STEP='an ordinary user, too, gives up what he has'
new_host
chown -R nobody: "$host"
full_pipe
setpriv --reuid nobody --regid nogroup --clear-groups \
    "$verimesh" import "$streams/tiny" --root "$host" >"$LAB/out" 2>&3 3>&- &
pid=$!
soon child_of $pid || fail 'it has no child without rights'
soon grep -q '^Seccomp:.2' "/proc/$CHILD/status" || fail 'its calls are not filtered'
kill -KILL $pid
wait $pid 2>/dev/null || true
exec 3>&-
setpriv --reuid nobody --regid nogroup --clear-groups \
    "$verimesh" import "$streams/victim" --root "$host" >"$LAB/out" 2>"$LAB/err" || fail 'not imported'
has "$victim" || fail 'not imported'
ok "$STEP"

STEP='below a directory that only root may enter'
new_host "http://127.0.0.1:8080/file/victim"
install -d -m 700 "$LAB/secret"
rm -rf "$LAB/secret/host"
mv "$host" "$LAB/secret/host"
"$verimesh" fetch --root "$LAB/secret/host" >"$LAB/out" 2>"$LAB/err" || fail 'not fetched'
[ -s "$LAB/secret/host/var/lib/verimesh/kel/$victim.cesr" ] || fail 'not imported'
"$verimesh" fetch --root "$LAB/secret/host" >"$LAB/out" 2>"$LAB/err" || fail 'not fetched again'
ok "$STEP"

STEP='in a user namespace that has one id'
for user in 0 65534; do
    new_host "http://127.0.0.1:8080/file/victim"
    chown -R "$user:$user" "$host"
    setpriv --reuid $user --regid $user --clear-groups \
        unshare -r "$verimesh" fetch --root "$host" >"$LAB/out" 2>"$LAB/err" || fail 'not fetched'
    { has "$victim" && has "$honest"; } || fail 'not imported'
done
ok "$STEP"

STEP='import from standard input, a pipe and a named one'
# shellcheck disable=SC2016 # the variables are those of the shell inside
for way in 'import - <"$1"' 'cat "$1" | import -' 'import /dev/stdin <"$1"' 'import <(cat "$1")'; do
    new_host
    verimesh=$verimesh host=$host bash -c "import() { \"\$verimesh\" import \"\$@\" --root \"\$host\"; }
        $way" bash "$streams/victim" >"$LAB/out" 2>"$LAB/err" || fail "$way"
    has "$victim" || fail "not imported: $way"
done
ok "$STEP"
