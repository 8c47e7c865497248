# shellcheck shell=bash disable=SC2034 # interop and WHY are for the script that sources it
# signify.sh: fetches signify-ts, as package-lock.json has it, into the build folder: once for all tests.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced from the repository's root. The library is in $interop/node_modules, or WHY says why it is not.

interop=${B:-build}/interop
WHY=

signify_there() {
    [ -e "$interop/node_modules/.package-lock.json" ] &&
        cmp -s tests/interop/package-lock.json "$interop/package-lock.json"
}
signify_fetch() {
    local lock
    if [ "${DEPS:-yes}" = no ]; then
        WHY='signify-ts is not there, and DEPS=no forbids to fetch it'
    elif ! mkdir -p "$interop" 2>/dev/null || [ ! -w "$interop" ]; then
        WHY="signify-ts is not there, and $interop is not writable"
    else
        # two tests may want it at the same time
        exec {lock}>"$interop/lock"
        flock "$lock"
        if ! signify_there; then
            cp tests/interop/package.json tests/interop/package-lock.json "$interop/"
            timeout 90 npm ci --prefix "$interop" --ignore-scripts --no-audit --no-fund --fetch-retries=1 \
                >"$interop/log" 2>&1 {lock}>&- || WHY="npm ci: $(grep -vm 1 ' warn ' "$interop/log" || true)"
        fi
        exec {lock}>&-
    fi
}

signify_there || signify_fetch
