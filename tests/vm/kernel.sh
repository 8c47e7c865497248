#!/usr/bin/env bash
# kernel.sh: fetches Debian's kernel into build/vm/, installs nothing, and packs its first root.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/vm/kernel.sh    from the repository's root; B=build; DEPS=no: only what was fetched
# Makes B/vm/kernel, with vmlinuz and modules/ in the order to load them, and B/vm/initramfs. It is
# the generic kernel: the one for clouds cannot see the host's files (it has no 9p).
set -euo pipefail

vm=${B:-build}/vm
made_by=$(cksum <"$0" | cut -d ' ' -f 1) # what another version unpacked may lack a module
modules=(virtio_pci 9pnet_virtio 9p overlay wireguard veth bridge tun nft_masq nft_chain_nat)

fail() {
    echo "check-vm: $1" >&2
    exit 1
}

# The name of the package's file, which tells the version; linux-image-amd64 itself is empty.
candidate() {
    local package
    package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p')
    [ -n "$package" ] && apt-get download --print-uris "$package" | awk '{ print $2 }'
}

download() {
    file=$(candidate) || return
    kernel=${file%.deb}.$made_by
    [ -d "$vm/$kernel" ] ||
        (cd "$vm" && apt-get download -q -o APT::Sandbox::User= "$(cut -d _ -f 1 <<<"$file")")
}

# Keeps of a package what is needed; modprobe knows which module needs which.
unpack() {
    local deb=$vm/$file root=$vm/unpacked out=$vm/new release module n=100
    rm -rf "$root" "$out"
    mkdir -p "$out/modules"
    dpkg-deb -x "$deb" "$root"
    [ -d "$root/lib" ] || ln -s usr/lib "$root/lib" # so in Debian 13
    release=$(basename "$root"/lib/modules/*)
    depmod -b "$root" "$release"
    cp "$root/boot/vmlinuz-$release" "$out/vmlinuz"
    while read -r _ module _; do
        cp "$module" "$out/modules/$((n += 1))-${module##*/}"
    done < <(modprobe -d "$root" -S "$release" --show-depends -a "${modules[@]}" | awk '!seen[$2]++')
    find "$out/modules" -name '*.xz' -exec xz -d {} +
    mv "$out" "$vm/$kernel"
    rm -rf "$deb" "$root"
}

# The first root: busybox, the modules and init.
pack() {
    local root=$vm/root busybox
    busybox=$(command -v busybox) || fail "busybox is missing"
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/host" "$root/changes" "$root/merged"
    cp "$busybox" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    { ldd "$busybox" || true; } | grep -o '/[^ ]*' | xargs -r cp -L --parents -t "$root"
    cp -r "$vm/kernel/modules" "$root/"
    cp tests/vm/init.sh "$root/init"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$vm/initramfs"
}

mkdir -p "$vm"
if [ "${DEPS:-yes}" != no ]; then
    # a list that is old may name what is no longer there
    download || { apt-get update -q && download; } || fail "no kernel: apt-get has no linux-image-amd64"
    [ -d "$vm/$kernel" ] || unpack
    ln -sfn "$kernel" "$vm/kernel"
fi
[ -e "$vm/kernel/vmlinuz" ] || fail "no kernel in $vm, and DEPS=no forbids to fetch one"
pack
