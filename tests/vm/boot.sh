#!/usr/bin/env bash
# boot.sh: boots Debian's kernel under qemu, where tests run on the kernel's own WireGuard.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/vm/boot.sh NAME PROGRAM...    from the repository's root, after tests/vm/kernel.sh
#
# The guest sees the host's files, read-only; what it changes stays in its memory. Prints what
# tests/run prints there. B/vm/NAME.console has the kernel's messages. Exit status 0 only if all
# cases passed. The processor is emulated: a /dev/kvm that can be opened need not work.
set -euo pipefail

b=${B:-build} name=$1
shift
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "check-vm: qemu-system-x86_64 is missing; in Debian it is in the package qemu-system-x86" >&2
    exit 1
fi

# shellcheck disable=SC2054 # the commas are qemu's
qemu=(
    qemu-system-x86_64 -accel tcg -cpu max -m 1G
    -nodefaults -no-user-config -no-reboot -display none
    -kernel "$b/vm/kernel/vmlinuz" -initrd "$b/vm/initramfs"
    -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap
    -device virtio-9p-pci,fsdev=host,mount_tag=host
    -serial "file:$b/vm/$name.console" -serial stdio
    # norandmaps: code that stays where it is need not be translated again for every process
    -append "console=ttyS0 panic=-1 norandmaps mitigations=off REPO=\"$PWD\" B=\"$b\" SOON=20 -- $*"
)
timeout --foreground 280 "${qemu[@]}" </dev/null | tee "$b/vm/$name.result" || true
if ! tail -n 1 "$b/vm/$name.result" | grep -Eqx '[1-9][0-9]* passed, 0 failed, 0 skipped'; then
    echo "the kernel's last words:"
    tail -n 20 "$b/vm/$name.console"
    exit 1
fi
