# shellcheck shell=bash disable=SC2154 # work, verimesh, interface and keyring are of the script that sources it
# command.sh: what cases about the command are made of: hosts that are folders, runs, what they say.
# SPDX-License-Identifier: LGPL-2.1-or-later

fail() {
    echo "$*"
    exit 1
}

# Runs the command; its output is in $work/out and $work/err, and kept to look for secrets in it.
run() { # run STATUS WORD...
    local wanted=$1 status=0
    shift
    "$verimesh" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    cat "$work/out" "$work/err" >>"$work/said"
    [ "$status" -eq "$wanted" ] || fail "$* gave $status, not $wanted: $(cat "$work/err")"
    ! grep -avE '^verimesh: [ -~]+: [ -~]+$' "$work/err" || fail "$* is not in the form WHERE: WHAT"
}

# The same with the stream FILE as standard input.
run_with() { # run_with FILE STATUS WORD...
    local file=$1 wanted=$2 status=0
    shift 2
    "$verimesh" "$@" <"$file" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err" >>"$work/said"
    [ "$status" -eq "$wanted" ] || fail "$* < $file gave $status, not $wanted: $(cat "$work/err")"
}

says() { # says LINE: that alone stands on stderr
    [ "$(cat "$work/err")" = "$1" ] || fail "said: $(cat "$work/err")"
}
matches() { # matches EXPRESSION: stderr is one such line
    { [ "$(wc -l <"$work/err")" -eq 1 ] && grep -Eqx -- "$1" "$work/err"; } || fail "said: $(cat "$work/err")"
}
quiet() { # quiet out|err
    [ ! -s "$work/$1" ] || fail "std$1: $(cat "$work/$1")"
}

# All files below a host's root, with modes, owners and contents.
# Without what only spares time: it is written anew whenever a file is not the one that was read before.
state() {
    find "$1" -printf '%P %M %u %y\n' | sort
    find "$1" -type f ! -name verified -exec sha256sum {} + | sort
}
unchanged() { # unchanged BEFORE ROOT
    [ "$1" = "$(state "$2")" ] || fail "$2 changed: $(diff <(echo "$1") <(state "$2") || true)"
}

host() { # host NAME: an empty root
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    echo "$work/$1"
}
# A host with an identity; its configuration names the test's interface.
organisation() { # organisation ROOT PETNAME LABEL [OPTION...]
    local root=$1 self=$2 label=$3
    shift 3
    run 0 init "$label" --self "$self" --root "$root" "$@"
    sed -i "s/^#Name = .*/Name = $interface/" "$root/etc/verimesh/verimesh.conf"
}
aid() {
    cat "$1/var/lib/verimesh/identity/aid"
}
conf() {
    echo "$1/etc/verimesh/verimesh.conf"
}
map() {
    echo "$1/var/lib/verimesh/peers.cdb"
}
knows() { # knows ROOT NAME: the map has that name
    grep -aqF "$2" "$(map "$1")" || fail "the map has no $2"
}
knows_no() { # knows_no ROOT NAME
    ! grep -aqF "$2" "$(map "$1")" || fail "the map has $2"
}
printed() { # printed EXPRESSION: some line of stdout matches
    grep -aEq -- "$1" "$work/out" || fail "no $1: $(cat "$work/out")"
}

# A sync in which nothing goes wrong but what an ordinary user may not do.
synced() {
    if [ "$keyring" = yes ]; then
        run 0 sync --root "$1"
    else
        run 3 sync --root "$1"
        sed -i '/^verimesh: kernel keyring: /d' "$work/err"
    fi
    quiet err
    quiet out
}
