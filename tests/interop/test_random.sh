#!/usr/bin/env bash
# test_random.sh: random logs and cards by signify-ts, and the same spoiled: verify and import agree with it.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/interop/test_random.sh   from the repository's root; B=build: the folder with verimesh;
#                                       SEED=: makes again what a failed run has made; STREAMS=20: how many
# As root it lets nobody run the command.
set -euo pipefail
umask 022

# shellcheck source=tests/interop/signify.sh
. tests/interop/signify.sh
[ -z "$WHY" ] && ! command -v node >/dev/null && WHY='node is not there'
[ -z "$WHY" ] || { echo "skip random logs of signify-ts: $WHY" && exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "${B:-build}/verimesh" tests/interop/*.mjs "$work"
ln -s "$(realpath "$interop/node_modules")" "$work/node_modules"
mkdir "$work/streams"
[ "$(id -u)" -ne 0 ] || chown nobody "$work/streams"

SEED=${SEED:-$SRANDOM}
echo "SEED=$SEED"
node "$work/random.mjs" "$work/verimesh" "$work/streams" "$SEED" "${STREAMS:-20}"
