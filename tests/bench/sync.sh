#!/usr/bin/env bash
# sync.sh: a host with 10,000 peers on WireGuard in userspace, where sync.c measures.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/bench/sync.sh [PEERS]    from the repository's root, as root, after `make bench` built it

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

b=${B:-build}
host_start hub 192.0.2.1
on hub verimesh init hub --endpoint 192.0.2.1:51820 --self hub --addr 10.0.0.1 >/dev/null
"$b/bench/stream" "${1:-10000}" 2>"$LAB/aid" | on hub tee /root/bench.cesr >/dev/null
on hub tee -a /etc/verimesh/verimesh.conf >/dev/null <<END

[Peer bench]
AID = $(cat "$LAB/aid")
AllowedIPs = 10.0.0.0/8
END
on hub verimesh import /root/bench.cesr
on hub verimesh up
on hub tee /usr/local/bin/bench-sync >/dev/null <"$b/bench/sync"
on hub chmod 755 /usr/local/bin/bench-sync
on hub /usr/local/bin/bench-sync verimesh0
