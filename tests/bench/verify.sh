#!/usr/bin/env bash
# verify.sh: gives verify.c an empty directory to measure in.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/bench/verify.sh    from the repository's root, after `make benches`
set -euo pipefail

b=$(realpath "${B:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$dir"
"$b/bench/verify" "$b/verimesh"
