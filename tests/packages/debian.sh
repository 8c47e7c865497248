#!/usr/bin/env bash
# debian.sh: what is in Debian's packages, what lintian and blhc say of them, and whether two builds are the same.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/debian.sh   from the repository's root; B=build; tests the packages in B/packages/deb
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
who=debian
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}
for tool in dpkg-buildpackage dh_installnss lintian blhc apparmor_parser faketime; do
    command -v "$tool" >/dev/null || {
        echo "skip $who: needs $tool"
        exit 0
    }
done
out=$(realpath -m "${B:-build}")/packages/deb
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
arch=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
names=(libnss-verimesh libpam-verimesh verimesh)
package() { echo "$out/${1}_$version-1_$arch.deb"; }
field() { dpkg-deb -f "$(package "$1")" "$2"; }
# Its files, but for documentation; those of systemd where that is before and after the move to /usr.
files() {
    dpkg-deb -c "$(package "$1")" | awk '$6 !~ /\/$/ || $6 ~ /^\.\/etc\/verimesh/ { print $1, $2, substr($6, 2) }' |
        sed -E "s,(usr/)?lib/systemd/,usr/lib/systemd/,; s,/$triplet/,/TRIPLET/,; /\/usr\/share\/(doc|lintian)\//d" | sort -k 3
}
has() { diff - <(files "$1") || fail 'other files'; }

the_version_is_that_of_the_makefile() {
    local name
    for name in "${names[@]}"; do
        [ "$(field "$name" Version)" = "$version-1" ] || fail "$name: $(field "$name" Version)"
    done
    mkdir -p "$work/other/packaging"
    cp -r packaging/debian packaging/deb.sh "$work/other/packaging"
    sed 's/^VERSION *:= */&9/' Makefile >"$work/other/Makefile"
    ! "$work/other/packaging/deb.sh" "$work/other/out" >"$work/said" 2>&1 || fail 'two versions, and it builds'
    grep -q "changelog begins with version $version-1, Makefile has 9$version" "$work/said" || fail "$(cat "$work/said")"
}
the_command() {
    has verimesh <<-'END'
		drwxr-xr-x root/root /etc/verimesh/
		-rw-r--r-- root/root /usr/lib/systemd/system/verimesh-up.service
		-rw-r--r-- root/root /usr/lib/systemd/system/verimesh-watch.service
		-rw-r--r-- root/root /usr/lib/sysusers.d/verimesh.conf
		-rw-r--r-- root/root /usr/lib/tmpfiles.d/verimesh.conf
		-rwxr-xr-x root/root /usr/sbin/verimesh
		-rw-r--r-- root/root /usr/share/bash-completion/completions/verimesh
		-rw-r--r-- root/root /usr/share/man/man5/verimesh-card.5.gz
		-rw-r--r-- root/root /usr/share/man/man5/verimesh.conf.5.gz
		-rw-r--r-- root/root /usr/share/man/man7/verimesh.7.gz
		-rw-r--r-- root/root /usr/share/man/man8/verimesh.8.gz
		-rw-r--r-- root/root /usr/share/verimesh/tunnel-card.schema.json
	END
}
the_nss_module() {
    has libnss-verimesh <<-'END'
		-rw-r--r-- root/root /etc/apparmor.d/abstractions/nameservice.d/verimesh
		-rw-r--r-- root/root /usr/lib/TRIPLET/libnss_verimesh.so.2
		-rw-r--r-- root/root /usr/share/man/man8/libnss_verimesh.so.2.8.gz
		-rw-r--r-- root/root /usr/share/man/man8/nss_verimesh.8.gz
	END
}
the_pam_module() {
    has libpam-verimesh <<-'END'
		-rw-r--r-- root/root /usr/lib/TRIPLET/security/pam_verimesh.so
		-rw-r--r-- root/root /usr/share/man/man8/pam_verimesh.8.gz
		-rw-r--r-- root/root /usr/share/pam-configs/verimesh
	END
}
modules_of_two_architectures_share_all_but_the_module() {
    local name file
    for name in libnss-verimesh libpam-verimesh; do
        [ "$(field "$name" Multi-Arch)" = same ] || fail "$name"
        mkdir "$work/$name"
        dpkg-deb -x "$(package "$name")" "$work/$name"
        while read -r file; do
            ! grep -q "$triplet\|$arch" "$file" || fail "$file names the architecture"
        done < <(find "$work/$name" -type f ! -path "*/$triplet/*")
    done
    [ "$(field verimesh Multi-Arch)" = foreign ] || fail verimesh
}
needs() { field "$1" Depends | sed 's/([^)]*)//g; s/ *, */\n/g; s/ *$//' | sed 's/t64 *$//' | sort | tr -s ' \n' ' '; }
modules_bring_no_library_but_those_of_the_design() {
    [ "$(needs libnss-verimesh)" = 'libc6 verimesh ' ] || fail "nss: $(needs libnss-verimesh)"
    [ "$(needs libpam-verimesh)" = 'libc6 libkeyutils1 libmnl0 libpam-runtime libpam0g verimesh ' ] ||
        fail "pam: $(needs libpam-verimesh)"
}
parts_of_one_build_belong_together() {
    local name
    for name in libnss-verimesh libpam-verimesh; do
        field "$name" Depends | grep -Fq "verimesh (= $version-1)" || fail "$name"
        field verimesh Recommends | grep -Fq "$name (= $version-1)" || fail "$name is not recommended"
    done
}
the_profile_is_of_account_and_session_and_off() {
    local profile=packaging/pam/verimesh
    grep -qx 'Default: no' "$profile" || fail 'not off'
    [ "$(sed -nE 's/^([A-Z][a-z]+)-Type: .*/\1/p' "$profile" | tr '\n' ' ')" = 'Account Session ' ] || fail 'other phases'
    ! grep pam_verimesh.so "$profile" | grep -v 'outside=ignore' || fail 'it would refuse who is not on the mesh'
}
programs_in_confinement_may_read_the_map() {
    mkdir -p "$work/apparmor"
    cp -r /etc/apparmor.d/{abi,abstractions,tunables} "$work/apparmor"
    mkdir -p "$work/apparmor/abstractions/nameservice.d"
    cp packaging/apparmor/verimesh "$work/apparmor/abstractions/nameservice.d"
    cat >"$work/profile" <<-'END'
		include <tunables/global>
		profile verimesh-test /nonexistent { include <abstractions/nameservice> }
	END
    apparmor_parser --skip-kernel-load --skip-cache --base "$work/apparmor" --debug "$work/profile" \
        >"$work/said" 2>&1 || fail "$(tail -n 20 "$work/said")"
    grep -Eq '/var/lib/verimesh/peers\.cdb' "$work/said" || fail "$(tail -n 20 "$work/said")"
}

lintian_finds_nothing() {
    # experimental ones, too; those that are overridden give a reason where they are
    lintian --allow-root --display-info --pedantic --display-experimental --fail-on none \
        "$out"/*.changes >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    ! grep -E '^[EWIPXC]:' "$work/said" || fail 'it does'
}
blhc_finds_nothing() {
    blhc --all "$out"/*.build >"$work/said" || fail "$(cat "$work/said")"
    [ ! -s "$work/said" ] || fail "$(cat "$work/said")"
}
# In another folder, at another time, in another time zone, on a host of another name, with another language,
# whose sorting differs, and another umask.
two_builds_are_the_same() {
    local file
    git clone -q . "$work/another/place" 2>/dev/null || cp -r . "$work/another/place"
    mkdir "$work/locale"
    localedef -i en_US -f UTF-8 "$work/locale/en_US.UTF-8" >/dev/null 2>&1 || [ -d "$work/locale/en_US.UTF-8" ] ||
        fail 'no locale to build in'
    [ "$(printf '%s\n' a.c ab.c a_c.c | LOCPATH=$work/locale LC_ALL=en_US.UTF-8 sort | tr '\n' ' ')" != \
        'a.c a_c.c ab.c ' ] || fail 'it sorts as C does'
    (cd "$work/another/place" && umask 027 && LOCPATH=$work/locale LC_ALL=en_US.UTF-8 TZ=Asia/Tokyo \
        DEB_BUILD_OPTIONS='nocheck parallel=1' faketime '+400 days +7 hours' packaging/deb.sh "$work/again") \
        >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    [ "$(find "$out" -name '*.deb' | wc -l)" -eq 6 ] || fail 'not six packages'
    for file in "$out"/*.deb "$out"/*.dsc "$out"/*.tar.*; do
        cmp "$file" "$work/again/${file##*/}" || fail "${file##*/} differs"
    done
}
run_cases the_version_is_that_of_the_makefile the_command the_nss_module the_pam_module \
    modules_of_two_architectures_share_all_but_the_module modules_bring_no_library_but_those_of_the_design \
    parts_of_one_build_belong_together the_profile_is_of_account_and_session_and_off \
    programs_in_confinement_may_read_the_map lintian_finds_nothing blhc_finds_nothing two_builds_are_the_same
exit "$failed"
