#!/usr/bin/env bash
# test_interrupt.sh: a demo that is interrupted leaves nothing behind on the real host.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euo pipefail

out=$(mktemp)
trap 'rm -f "$out"' EXIT

# A process and all that descend from it.
family() {
    ps -e -o pid=,ppid= | awk -v top="$1" '
        { parent[$1] = $2 }
        END {
            for (pid in parent)
                for (p = pid; p > 1; p = parent[p])
                    if (p == top) { print pid; break }
        }'
}

# What is left of a demo: its processes $1, its directory $2. A process that only waits to be reaped
# has no /proc/PID/exe.
left() {
    local pid
    for pid in $1; do
        [ ! -e "/proc/$pid/exe" ] || echo "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    [ ! -e "$2" ] || echo "directory $2"
    ! grep "$2" /proc/self/mounts || echo "mount of $2"
}

# What the real host has of the kind that a demo makes: nothing of it may change.
real_host() {
    keyctl search @u keyring verimesh:verimesh0 2>&1 || true
    ip -o link show verimesh0 2>&1 || true
}

# Sends a signal to a demo's process group once its output has a line that matches.
interrupt() {
    local signal=$1 moment=$2 status=0 demo processes directory rest before
    before=$(real_host)
    # Without job control the shell has background processes ignore SIGINT; a terminal does not.
    env --default-signal=INT setsid tests/e2e/demo.sh >"$out" 2>&1 &
    demo=$!
    until grep -Eq "$moment" "$out"; do
        [ -d "/proc/$demo" ] || { cat "$out" && break; }
        sleep 0.05
    done
    processes=$(family "$demo")
    directory=$(grep -o '/tmp/verimesh-lab\.[A-Za-z0-9]*' "/proc/$demo/mountinfo" | head -n 1)
    kill "-$signal" -- "-$demo"
    wait "$demo" || status=$?
    rest=$(left "$processes" "$directory")$(diff <(echo "$before") <(real_host) || true)
    if [ "$status" -eq $((128 + $(kill -l "$signal"))) ] && [ -z "$rest" ]; then
        echo "ok SIG$signal at '$moment' leaves nothing behind"
    else
        cat "$out"
        printf 'exit status %d; left: %s\n' "$status" "$rest"
        echo "not ok SIG$signal at '$moment' leaves nothing behind"
        return 1
    fi
}

interrupt INT 'two hosts'
interrupt INT 'wg show'
interrupt TERM 'may log in'
