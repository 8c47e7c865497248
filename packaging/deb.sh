#!/usr/bin/env bash
# deb.sh: builds Debian's packages, source and binary, out of what is committed; without git, of what is there.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: deb.sh DIRECTORY    which is emptied, and has the packages and the log of the build afterwards
# The network is not asked. DEB_BUILD_OPTIONS=nocheck leaves the tests out.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:?usage: deb.sh DIRECTORY}")
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
packaged=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
[ "${packaged%-*}" = "$version" ] || {
    echo "deb: packaging/debian/changelog begins with version $packaged, Makefile has $version" >&2
    exit 1
}

rm -rf "$out"
source=$out/source/verimesh-$version
mkdir -p "$source"
orig=$out/verimesh_$version.orig.tar.gz
if git rev-parse --git-dir >/dev/null 2>&1; then
    git -c tar.umask=022 archive --format=tar --prefix="verimesh-$version/" HEAD
else
    tar -c --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
        --mtime="$(dpkg-parsechangelog -l packaging/debian/changelog -S Date)" \
        --transform="s,^\.,verimesh-$version," --exclude=./build --exclude="$out" .
fi | gzip -n9 >"$orig"
tar -xpzf "$orig" -C "$out/source"
mv "$orig" "$out/source"
cp -rp "$source/packaging/debian" "$source/debian"

# What make was told is not for the make in there.
log=$out/verimesh_${packaged}_$(dpkg --print-architecture).build
(cd "$source" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage --no-sign) >"$log" 2>&1 </dev/null || {
    tail -n 60 "$log" >&2
    echo "deb: the build failed; all of it is in $log" >&2
    exit 1
}
find "$out/source" -maxdepth 1 -type f -exec mv {} "$out" \;
rm -rf "$out/source"
(cd "$out" && ls -l -- *.deb)
