# shellcheck shell=bash disable=SC2154 # work, who and verimesh are of the script that sources it
# cases.sh: runs a script's cases by their names, and all of it again as an ordinary user.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced from the repository's root by a script that has made $work, a folder that others may enter,
# $verimesh, a copy of the command in it, and $who, its user. A case fails by its exit status; one that
# cannot run writes why into $work/skip.

failed=0

run_cases() { # run_cases NAME...
    local name status
    for name in "$@"; do
        rm -f "$work/skip"
        set +e # in a condition it would not hold inside
        (set -e && "$name") >"$work/case" 2>&1
        status=$?
        set -e
        if [ "$status" -ne 0 ]; then
            sed 's/^/    /' "$work/case"
            echo "not ok $who: $name"
            failed=1
        elif [ -e "$work/skip" ]; then
            echo "skip $who: $name: $(cat "$work/skip")"
        else
            echo "ok $who: $name"
        fi
    done
}

# What an ordinary user may do is tested as one, too. Ends the script.
run_again_as_nobody() {
    if [ "$(id -u)" -eq 0 ]; then
        mkdir -p "$work/nobody/tests/vectors" "$work/nobody/tests/modules"
        cp "$verimesh" "$0" "$work/nobody"
        cp tests/modules/cases.sh tests/modules/command.sh "$work/nobody/tests/modules"
        cp -r tests/vectors/card tests/vectors/kel "$work/nobody/tests/vectors"
        cd "$work/nobody"
        B=. setpriv --reuid nobody --regid nogroup --clear-groups bash "./${0##*/}" || failed=1
    fi
    exit "$failed"
}
