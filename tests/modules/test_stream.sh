#!/usr/bin/env bash
# test_stream.sh: `verimesh verify` on streams that come slowly, are long, or cannot be read; its progress.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_stream.sh   from the repository's root; B=build: the folder with verimesh
# As root it runs all again as nobody.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C
umask 022

work=$(mktemp -d)
verimesh=$work/verimesh
who=$(id -un)
cp "${B:-build}/verimesh" "$verimesh"
chmod 755 "$work" "$verimesh"
trap 'rm -rf "$work"' EXIT
good=$PWD/tests/vectors/kel/good
part=$((1 << 20)) # bytes that verify reads at once
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}

# Verifies what comes from standard input; the answer is in $work/out, $work/err.
verify() { # verify STATUS
    local status=0
    "$verimesh" verify --json - >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq "$1" ] || fail "status $status, not $1: $(cat "$work/err" "$work/out")"
}
one_line() { # one_line EXPRESSION: stderr is that, and stdout empty
    [ ! -s "$work/out" ] || fail "printed: $(cat "$work/out")"
    { [ "$(wc -l <"$work/err")" -eq 1 ] && grep -Eqx -- "$1" "$work/err"; } || fail "said: $(cat "$work/err")"
}
# The answer is the one to this file.
same_as() { # same_as FILE
    "$verimesh" verify --json "$1" >"$work/wanted"
    cmp "$work/out" "$work/wanted"
    [ ! -s "$work/err" ] || fail "said: $(cat "$work/err")"
}

groups() { # groups BYTES: attachments of that length that say nothing
    { yes -- -AAA | tr -d '\n' || true; } 2>/dev/null | head -c "$1"
}
repeated() { # repeated TIMES FILE
    local i
    for ((i = 0; i < $1; i++)); do
        cat "$2"
    done
}

# ---- how it comes ----

in_small_writes() {
    local name
    for name in a_single_sig e5_separate_rct_messages f_delegated_dip_drt g_big200; do
        dd if="$good/$name.cesr" bs=7 status=none | verify 0
        same_as "$good/$name.cesr"
    done
}

with_pauses() {
    { head -c 500; sleep 0.2; cat; } <"$good/g_big200.cesr" | verify 0
    same_as "$good/g_big200.cesr"
}

# A message that is longer than what is read at once, and one that ends where that does.
a_message_longer_than_a_part() {
    local log=$good/a_single_sig.cesr size bytes
    size=$(stat -c %s "$log")
    [ $((size % 4)) -eq 0 ] # as what groups prints
    for bytes in $((part - 4)) "$part" $((part + 4)) $((2 * part)) $((7 * part + 8)); do
        { cat "$log"; groups $((bytes - size)); } | verify 0
        same_as "$log"
        # and another log behind it
        { cat "$log"; groups $((bytes - size)); cat "$good/b_multisig_kt2.cesr"; } | verify 0
        [ "$(wc -l <"$work/out")" -eq 2 ]
    done
}

a_stream_cut_short() {
    repeated 30 "$good/g_big200.cesr" >"$work/long"
    head -c $((2 * part + 4711)) "$work/long" | verify 1
    "$verimesh" verify --json "$good/g_big200.cesr" >"$work/wanted"
    head -n 1 "$work/out" | cmp - "$work/wanted"
    jq -se '.[1] | .verdict == "truncated" and .event > 4000' "$work/out" >/dev/null || fail "$(cat "$work/out")"
}

damage_behind_the_first_part() {
    { repeated 30 "$good/g_big200.cesr"; echo; cat "$good/a_single_sig.cesr"; } | verify 1
    jq -se '.[1] | .verdict == "refused" and .event == 30 * 201 and .aid == null' "$work/out" >/dev/null ||
        fail "$(cat "$work/out")"
    [ "$(wc -l <"$work/out")" -eq 2 ]
}

# ---- how much it takes ----

a_long_stream_takes_little_memory() {
    local pid peak n=800
    [ $((n * $(stat -c %s "$good/g_big200.cesr"))) -gt $((64 << 20)) ]
    mkfifo "$work/fifo"
    "$verimesh" verify --json - <"$work/fifo" >"$work/out" 2>"$work/err" &
    pid=$!
    exec 3>"$work/fifo"
    repeated "$n" "$good/g_big200.cesr" >&3
    # all but the end has come
    peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status")
    exec 3>&-
    wait "$pid"
    same_as "$good/g_big200.cesr"
    echo "$peak KiB"
    [ "$peak" -lt 32768 ]
}

a_message_without_end() {
    verify 3 < <(cat "$good/a_single_sig.cesr"; groups $((65 << 20)) || true)
    one_line 'verimesh: standard input: File too large'
}

# ---- what cannot be read ----

no_stream() {
    local status
    for name in "$work" "$work/none" "$verimesh/none"; do
        status=0
        "$verimesh" verify "$name" >"$work/out" 2>"$work/err" || status=$?
        [ "$status" -eq 3 ] || fail "$name: status $status"
        one_line "verimesh: $name: (Is a directory|No such file or directory|Not a directory)"
    done
    verify 3 <"$work"
    one_line 'verimesh: standard input: Is a directory'
}

a_file_of_somebody_else() {
    local status=0
    cp "$good/a_single_sig.cesr" "$work/theirs"
    chmod 000 "$work/theirs"
    if [ "$(id -u)" -eq 0 ]; then
        echo "root reads every file" >"$work/skip"
        return
    fi
    "$verimesh" verify "$work/theirs" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq 3 ] || fail "status $status"
    one_line "verimesh: $work/theirs: Permission denied"
}

no_bytes() {
    verify 1 </dev/null
    jq -e '.verdict == "refused" and .reason == "empty"' "$work/out" >/dev/null || fail "$(cat "$work/out")"
}

# ---- progress ----

# A terminal's standard error when the stream takes so many seconds, in two parts.
on_a_terminal() { # on_a_terminal SECONDS [REDIRECTION]
    repeated 15 "$good/g_big200.cesr" >"$work/long"
    export work verimesh
    # shellcheck disable=SC2016 # the variables are those of the shell inside
    script -qec '{ cat "$work/long"; sleep '"$1"'; cat "$work/long"; sleep 0.3; cat "$work/long"; } |
        "$verimesh" verify --json - >"$work/out" '"${2-}" /dev/null </dev/null >"$work/terminal"
    "$verimesh" verify --json "$good/g_big200.cesr" | cmp - "$work/out"
}

progress_is_shown_and_wiped() {
    on_a_terminal 1.2
    grep -aEq $'^(\r[0-9]+ events, [0-9]+ a second\033\\[K)+\r\033\\[K$' "$work/terminal" ||
        fail "$(cat -v "$work/terminal")"
}

no_progress_when_it_is_quick() {
    on_a_terminal 0
    [ ! -s "$work/terminal" ] || fail "$(cat -v "$work/terminal")"
}

no_progress_without_a_terminal() {
    # shellcheck disable=SC2016 # the variable is that of the shell inside
    on_a_terminal 1.2 '2>"$work/err"'
    [ ! -s "$work/terminal" ] || fail "$(cat -v "$work/terminal")"
    [ ! -s "$work/err" ] || fail "$(cat -v "$work/err")"
}

run_cases \
    in_small_writes \
    with_pauses \
    a_message_longer_than_a_part \
    a_stream_cut_short \
    damage_behind_the_first_part \
    a_long_stream_takes_little_memory \
    a_message_without_end \
    no_stream \
    a_file_of_somebody_else \
    no_bytes \
    progress_is_shown_and_wiped \
    no_progress_when_it_is_quick \
    no_progress_without_a_terminal
run_again_as_nobody
