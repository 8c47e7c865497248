#!/usr/bin/env bash
# units.sh: in the guest: systemd starts the units as they are installed, with all that they are denied.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euo pipefail

failed() {
    echo "not ok $step: $1"
    inside journalctl --no-pager -n 40 2>/dev/null || inside systemctl --no-pager status 'verimesh*' || true
    exit 1
}
soon() {
    local tries=120
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.5
    done
}
# In systemd's namespaces.
inside() {
    nsenter --target "$systemd" --pid --mount --cgroup "$@"
}
is() { # is STATE UNIT
    [ "$(inside systemctl show -P ActiveState "$2")" = "$1" ]
}

step='the account, the directory and the units are there once installed'
make -s B="$B" DEPS=no install
systemd-sysusers /usr/lib/sysusers.d/verimesh.conf
[ "$(id -g _verimesh)" != 0 ] || failed 'no _verimesh'
systemd-tmpfiles --create /usr/lib/tmpfiles.d/verimesh.conf
# what a distribution's package does with a profile of PAM or nsswitch.conf is not for here
mkdir -p /etc/systemd/system
cat >/etc/systemd/system/test.target <<'END'
[Unit]
Wants=verimesh-up.service verimesh-watch.service
END
# that one would go through all of the host's /tmp
for unit in systemd-tmpfiles-setup systemd-journal-flush systemd-tmpfiles-setup-dev; do
    ln -sf /dev/null "/etc/systemd/system/$unit.service"
done
rm -rf /etc/verimesh /var/lib/verimesh
mkdir -p /root/other /sys/fs/cgroup
verimesh init db1 --self clinic-a --endpoint 192.0.2.1:51820 --login alice >/dev/null
verimesh --root /root/other init web1 --self clinic-b --endpoint 192.0.2.2:51820 --login alice >/dev/null
verimesh --root /root/other export >/root/b.cesr
cat >>/etc/verimesh/verimesh.conf <<END
[Peer clinic-b]
AID = $(cat /root/other/var/lib/verimesh/identity/aid)
Source = file:/root/b.cesr
END
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup /sys/fs/cgroup
echo "ok $step"

step='systemd starts them: the interface, its peer, its names'
unshare --pid --mount --cgroup --fork --mount-proc env -i container=test PATH="$PATH" \
    /lib/systemd/systemd --system --unit=test.target --log-target=journal-or-kmsg >/root/systemd.log 2>&1 &
systemd=''
find_systemd() {
    systemd=$(pgrep -x systemd | head -n 1)
}
soon find_systemd || failed 'systemd did not start'
soon is active verimesh-up.service || failed 'verimesh-up is not active'
soon is active verimesh-watch.service || failed 'verimesh-watch is not active'
peers() {
    [ "$(wg show verimesh0 peers | wc -l)" -eq 1 ]
}
soon peers || failed 'the peer that a Source shows is not there'
keyctl search @u keyring verimesh:verimesh0 >/dev/null || failed 'no ring'
[ "$(stat -c '%U %a' /run/verimesh/verimesh0.ring)" = 'root 644' ] || failed 'no serial'
[ "$(inside systemctl show -P StatusText verimesh-watch.service | cut -c -19)" = '2 hosts of 2 peers;' ] ||
    failed "status: $(inside systemctl show -P StatusText verimesh-watch.service)"
echo "ok $step"

step='a key changes in step, under watch'
old=$(wg show verimesh0 public-key)
verimesh rotate --at 10s >/dev/null
changed() {
    [ "$(wg show verimesh0 public-key)" != "$old" ]
}
soon changed || failed 'it did not'
echo "ok $step"

step='reload, restart and stop: watch comes back, the interface goes'
inside systemctl reload verimesh-watch.service || failed 'reload'
soon is active verimesh-watch.service || failed 'it is not active after a reload'
pkill -KILL -x verimesh
soon is active verimesh-watch.service || failed 'it was not restarted'
inside systemctl reload verimesh-up.service || failed 'sync'
inside systemctl stop verimesh-watch.service verimesh-up.service || failed 'stop'
! ip link show verimesh0 >/dev/null 2>&1 || failed 'the interface is still there'
! keyctl search @u keyring verimesh:verimesh0 >/dev/null 2>&1 || failed 'the ring is still there'
inside systemctl --no-pager --failed --quiet | grep -q verimesh && failed 'a unit failed'
echo "ok $step"
