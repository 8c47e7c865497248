#!/usr/bin/env bash
# rpm_arch.sh: the package for Arch Linux, built by Debian's makepkg.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/rpm_arch.sh   from the repository's root; tests what is committed
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
who=arch
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}
for tool in git makepkg fakeroot bsdtar shellcheck; do
    command -v "$tool" >/dev/null || {
        echo "skip $who: needs $tool"
        exit 0
    }
done
git rev-parse --git-dir >/dev/null 2>&1 || {
    echo "skip $who: needs the git tree, out of which the package is built"
    exit 0
}
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# makepkg does not work for root.
as_nobody() {
    local run=()
    [ "$(id -u)" -ne 0 ] || run=(setpriv --reuid nobody --regid nogroup --clear-groups)
    HOME=$PWD "${run[@]}" "$@"
}
made() { # made FOLDER: the package, built in that folder
    mkdir -p "$work/$1"
    cp packaging/arch/PKGBUILD packaging/arch/verimesh.install "$work/$1"
    git archive --prefix="verimesh-$version/" HEAD | gzip -n9 >"$work/$1/verimesh-$version.tar.gz"
    [ "$(id -u)" -ne 0 ] || chown -R nobody "$work/$1"
    # as makepkg.conf has it on Arch
    (cd "$work/$1" && export CFLAGS="-O2 -g -ffile-prefix-map=$PWD=." &&
        as_nobody makepkg --nodeps --nocheck --noconfirm >said 2>&1) || fail "$(cat "$work/$1/said")"
}
built=$work/one/verimesh-$version-1-$(uname -m).pkg.tar.gz

the_scripts_are_clean() {
    bash -n packaging/arch/PKGBUILD
    bash -n packaging/arch/verimesh.install
    shellcheck packaging/arch/PKGBUILD packaging/arch/verimesh.install
}
the_version_is_that_of_the_makefile() {
    grep -qx "pkgver=$version" packaging/arch/PKGBUILD || fail 'another version'
}
it_is_built_out_of_what_is_committed() {
    made one
    [ -s "$built" ] || fail "no package: $(ls "$work/one")"
    ! grep WARNING "$work/one/said" | grep -v 'Skipping dependency checks' || fail 'a warning'
}
it_has_what_make_install_installs() {
    git archive --prefix=source/ HEAD | tar -x -C "$work"
    make -s -C "$work/source" DEPS=no DESTDIR="$work/installed" PREFIX=/usr SBINDIR=/usr/bin LIBDIR=/usr/lib \
        PAMDIR=/usr/lib/security SYSCONFDIR=/etc install >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    (cd "$work/installed" && find . -mindepth 1 -printf '%M %P\n') |
        sed -E '/\/man\/.*\.[0-9]$/s/$/.gz/' | sort >"$work/wanted"
    bsdtar -tvf "$built" | awk '{ print $1, $9 }' | sed 's,/$,,; / \./d' | sort | diff "$work/wanted" - ||
        fail 'other files'
    bsdtar -tvf "$built" | awk '$3 $4 != "rootroot"' | grep . && fail 'of another owner'
    diff <(bsdtar -tf "$built" | grep '^\.' | sort) <(printf '%s\n' .BUILDINFO .INSTALL .MTREE .PKGINFO)
}
its_folders_are_those_of_arch() {
    local file
    for file in usr/bin/verimesh usr/lib/libnss_verimesh.so.2 usr/lib/security/pam_verimesh.so; do
        bsdtar -tf "$built" | grep -qxF "$file" || fail "no $file"
    done
    ! bsdtar -tf "$built" | grep -E '^(lib|sbin|usr/sbin|usr/lib64|var|run)/' || fail 'links of the package filesystem'
}
two_builds_are_the_same() {
    made two
    # the folder of the build, and where that is said
    mkdir "$work/x" "$work/y"
    bsdtar -xf "$built" -C "$work/x" --exclude .BUILDINFO --exclude .MTREE
    bsdtar -xf "$work/two/${built##*/}" -C "$work/y" --exclude .BUILDINFO --exclude .MTREE
    diff -r "$work/x" "$work/y" || fail 'other contents'
}
removal_names_the_stacks_that_would_refuse_everybody() {
    local said
    mkdir "$work/pam.d"
    printf '#account required pam_verimesh.so\n' >"$work/pam.d/other"
    # shellcheck disable=SC1090 # the package's script, looking at other stacks
    . <(sed "s,/etc/pam.d,$work/pam.d," packaging/arch/verimesh.install)
    [ -z "$(pre_remove)" ] || fail "said: $(pre_remove)"
    printf 'account required pam_verimesh.so\n' >"$work/pam.d/sshd"
    said=$(pre_remove)
    [ "$(tail -n 1 <<<"$said")" = "$work/pam.d/sshd" ] || fail "said: $said"
}

run_cases the_scripts_are_clean the_version_is_that_of_the_makefile it_is_built_out_of_what_is_committed
[ "$failed" -eq 0 ] || exit 1
run_cases it_has_what_make_install_installs its_folders_are_those_of_arch two_builds_are_the_same \
    removal_names_the_stacks_that_would_refuse_everybody
exit "$failed"
