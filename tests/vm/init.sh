#!/bin/sh
# init.sh: the guest's first process: loads modules, mounts the host's root and goes on there.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -e
/bin/busybox --install -s /bin
for module in /modules/*; do
    insmod "$module"
done
# What is below does not change meanwhile: the guest may keep what it has read.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
mount -t tmpfs changes /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work root /merged
exec switch_root /merged "$REPO/tests/vm/guest.sh" "$@"
