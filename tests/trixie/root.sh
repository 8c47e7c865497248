# shellcheck shell=bash
# root.sh: systems of Debian in folders, fetched once, and commands in them.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced, from the repository's root.
#     fetch_system SUITE DIRECTORY    the least that there is of it, from the network
#     within DIRECTORY COMMAND...     runs a command there, this repository read-only as its working directory

# The mirror that this machine's apt uses, if it is one of Debian's.
mirror() {
    # shellcheck disable=SC2016 # apt's variable
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null |
        grep -m 1 . || echo http://deb.debian.org/debian
}

# Runs a command in a root. It is pivoted to, not chroot: inside, the tests make user namespaces.
# shellcheck disable=SC2016 # expanded there
within() {
    unshare --mount --propagation private --pid --fork --kill-child sh -ec '
        mount --bind "$1" "$1"
        mkdir -p "$1/src"
        mount -o bind,ro . "$1/src"
        mount -t proc proc "$1/proc"
        mount --rbind /sys "$1/sys"
        mount --rbind /dev "$1/dev"
        mount -t tmpfs tmpfs "$1/run"
        mount -t tmpfs tmpfs "$1/tmp"
        cd "$1"
        pivot_root . mnt
        umount -l /mnt
        cd /src
        shift
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 B=/build "$@"' sh "$@"
}

fetch_system() {
    local suite=$1 root=$2
    rm -rf "$root.new"
    mkdir -p "$root.new"
    debootstrap --variant=minbase "$suite" "$root.new" "$(mirror)" >"$root.log" 2>&1 ||
        { cat "$root.log" >&2 && return 1; }
    mv "$root.new" "$root"
}
