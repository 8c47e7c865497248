#!/usr/bin/env bash
# build.sh: builds source and binary packages out of what is committed, without asking the network.
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: build.sh DIRECTORY    which is emptied, and has the packages afterwards
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."

out=$(realpath -m "${1:?usage: build.sh DIRECTORY}")
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) || {
    echo "rpm: the packages are built out of a git tree; here is none" >&2
    exit 1
}
export SOURCE_DATE_EPOCH

rm -rf "$out"
mkdir -p "$out/top/SOURCES"
trap 'rm -rf "$out/top"' EXIT
git archive --format=tar --prefix="verimesh-$version/" HEAD | gzip -n9 >"$out/top/SOURCES/verimesh-$version.tar.gz"
git show HEAD:packaging/rpm/verimesh.spec >"$out/top/verimesh.spec"

# Two builds are the same; `make check` has run the tests.
options=(--define "_topdir $out/top" --define "_buildhost localhost" --without check
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1")
# not on Fedora: packages have other names here, and the macros are missing
if [ "$(rpm --eval '%{?_unitdir}')" = "" ]; then
    options+=(--nodeps --load packaging/rpm/macros)
fi
# Apart, for the source package's header names folders of this machine, and -ba puts its digest into the others.
for kind in -bs -bb; do
    rpmbuild --quiet "${options[@]}" "$kind" "$out/top/verimesh.spec"
done
find "$out/top" -name '*.rpm' -exec mv {} "$out/" \;
