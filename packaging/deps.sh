#!/usr/bin/env bash
# deps.sh: installs the Debian packages that building and testing need, and starts no service.
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: deps.sh GROUP...    groups: build test lab interop vm trixie lint sanitize fuzz bench deb packages
#     rpm foreign
set -euo pipefail

declare -A packages=(
    [build]="gcc make libc6-dev libsodium-dev libkeyutils-dev libcdb-dev libmnl-dev libpam0g-dev
        libcurl4-openssl-dev"
    [test]="libcmocka-dev binutils tinycdb jq mandoc strace iproute2 wireguard-tools wireguard-go"
    [lab]="iproute2 nftables wireguard-tools wireguard-go openssh-server openssh-client keyutils pamtester
        busybox util-linux procps sudo login python3 nginx-light curl
        openssl time"
    [interop]="npm"
    [vm]="qemu-system-x86 busybox kmod xz-utils"
    [trixie]="debootstrap debian-archive-keyring util-linux"
    [lint]="clang clang-format clang-tidy cppcheck shellcheck"
    [sanitize]="iproute2 util-linux valgrind"
    [fuzz]="clang libclang-rt-dev"
    [bench]="util-linux curl dnsmasq-base nscd gnuplot-nox"
    [deb]="build-essential debhelper dh-nss dpkg-dev git"
    [packages]="apparmor blhc debootstrap debian-archive-keyring faketime keyutils lintian locales
        util-linux"
    [rpm]="bzip2 git rpm selinux-policy-dev"
    [foreign]="checkpolicy cpio fakeroot keyutils libarchive-tools makepkg pacman-package-manager pamtester
        rpm2cpio rpmlint semodule-utils setools shellcheck"
)

declare -A missing=()
for group in "$@"; do
    for package in ${packages[$group]}; do
        # it may be there without a package, and the package brings hundreds along
        [ "$package" != npm ] || ! command -v npm >/dev/null || continue
        case "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" in
        *" installed") ;;
        *) missing[$package]=yes ;;
        esac
    done
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "deps: no apt-get here; install what corresponds to these Debian packages," \
        "then use DEPS=no: ${!missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "deps: missing ${!missing[*]}; run: sudo make deps" >&2
    exit 1
fi

# invoke-rc.d and deb-systemd-invoke ask this file before they start a service; 101 is "no".
policy=/usr/sbin/policy-rc.d
saved=$(mktemp -d)
restore() {
    trap '' HUP INT TERM
    rm -f "$policy"
    if [ -e "$saved/policy" ] || [ -L "$saved/policy" ]; then
        mv "$saved/policy" "$policy"
    fi
    rm -rf "$saved"
}
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -e "$policy" ] || [ -L "$policy" ]; then
    mv "$policy" "$saved/policy"
fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "deps: installing ${!missing[*]}"
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt-get update -q || echo "deps: apt-get update failed; trying with the lists that are there" >&2
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${!missing[@]}" </dev/null

# nor at the next boot
declare -A services=([openssh-server]=ssh [nginx-light]=nginx [nscd]=nscd)
for package in "${!services[@]}"; do
    [ -n "${missing[$package]:-}" ] || continue
    systemctl --quiet disable "${services[$package]}.service" 2>/dev/null || true
    update-rc.d "${services[$package]}" disable 2>/dev/null || true
done
