# shellcheck shell=bash
# lab.sh: hosts to test on, each with its own network, processes, mounts and copy of this system.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced by a script that runs from the repository's root, as root. A host is a set of namespaces
# whose root is an overlay of the real one: it may change any file and the real host sees none of
# it. Its user namespace maps every id to itself: there for the sake of the kernel's keyrings, which
# each user namespace has for itself. Hosts stand on one network, the public one, or behind a router
# that translates addresses. All of it lives in namespaces of the script's own and ends with the
# script, however that ends; lab_stop, its exit trap, removes what would stay: an empty directory.
#
#     host_start NAME ADDRESS                 a host with users alice and bob, verimesh installed,
#                                             sshd running; the network is the address's /24
#     host_start NAME ADDRESS behind ROUTER   the same with a private address; ROUTER is a host
#     on HOST COMMAND...                      runs a command there, as root
#     as USER HOST COMMAND...                 the same as another user, in his home
#     host_sshd NAME OPTION...                starts another sshd there
#     soon COMMAND...                         repeats a command until it succeeds, for 5 seconds
#     host_log NAME                           what was logged there
set -euo pipefail

[ "$(id -u)" -eq 0 ] || { echo "$0: needs root" >&2 && exit 1; }

# A script under way here has a private network and mounts; the variable is not for what it starts.
[ -n "${LAB_PRIVATE:-}" ] ||
    LAB_PRIVATE=1 exec unshare --net --mount --propagation private "$0" "$@"
unset LAB_PRIVATE

LAB=$(mktemp -d /tmp/verimesh-lab.XXXXXX)
declare -A HOST_PID=() HOST_HOLDER=()

lab_stop() {
    local host
    trap '' HUP INT TERM
    for host in "${!HOST_HOLDER[@]}"; do
        kill -KILL "${HOST_PID[$host]:-${HOST_HOLDER[$host]}}" 2>/dev/null || true
        wait "${HOST_HOLDER[$host]}" 2>/dev/null || true
    done
    umount -l "$LAB" || true
    rmdir "$LAB"
}
trap lab_stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mount -t tmpfs -o mode=755 lab "$LAB"
ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB/id_ed25519"
ip link add switch type bridge
ip link set switch up

soon() {
    local tries=100
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.05
    done
}

on() {
    local host=$1
    shift
    nsenter --target "${HOST_PID[$host]}" --user --mount --root --uts --ipc --net --pid \
        env -i -C / PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

as() {
    local user=$1 host=$2
    shift 2
    on "$host" setpriv --reuid "$user" --regid "$user" --init-groups \
        env HOME="/home/$user" USER="$user" "$@"
}

host_log() {
    on "$1" cat /var/log/messages
}

# The devices that a host needs, in a /dev of its own: it has its own /dev/log and terminals.
host_devices() {
    local dev=$1/dev name
    mount -t tmpfs -o mode=755 dev "$dev"
    mkdir "$dev/pts" "$dev/shm" "$dev/net"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dev/pts"
    mknod -m 666 "$dev/null" c 1 3
    mknod -m 666 "$dev/zero" c 1 5
    mknod -m 666 "$dev/full" c 1 7
    mknod -m 666 "$dev/random" c 1 8
    mknod -m 666 "$dev/urandom" c 1 9
    mknod -m 666 "$dev/tty" c 5 0
    mknod -m 600 "$dev/net/tun" c 10 200
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    for name in 0:stdin 1:stdout 2:stderr; do
        ln -s "/proc/self/fd/${name%:*}" "$dev/${name#*:}"
    done
}

# A home with the lab's key, which every host's alice and bob accept from everybody.
host_home() {
    local home=$1 id=$2
    mkdir -p "$home/.ssh"
    cp "$LAB/id_ed25519" "$LAB/id_ed25519.pub" "$home/.ssh/"
    cp "$LAB/id_ed25519.pub" "$home/.ssh/authorized_keys"
    chown -R "$id:$id" "$home"
    chmod -R go= "$home"
}

# Accounts, name service, sshd and PAM. Nothing of the real host's is used, so that it does not
# matter what it has; what stands under real names is ours.
host_files() {
    local root=$1 name=$2 etc=$1/etc service
    rm -rf "$root/var/lib/verimesh" "$etc/verimesh" "$etc/pam.d" "$etc/ssh" "$etc/hosts.deny" \
        "$etc/nologin" "$etc/resolv.conf"
    mkdir "$etc/pam.d" "$etc/ssh" "$root/run/sshd"
    echo "$name" >"$etc/hostname"
    echo '127.0.0.1 localhost' >"$etc/hosts"
    echo 'nameserver 127.0.0.1' >"$etc/resolv.conf"
    cat >"$etc/nsswitch.conf" <<'END'
passwd: files
group: files
shadow: files
hosts: files verimesh [NOTFOUND=return] dns
END
    cat >"$etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/bash
alice:x:2001:2001:Alice:/home/alice:/bin/bash
bob:x:2002:2002:Bob:/home/bob:/bin/bash
sshd:x:102:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
    printf '%s\n' root:x:0: tty:x:5: shadow:x:42: alice:x:2001: bob:x:2002: nogroup:x:65534: \
        >"$etc/group"
    printf '%s:*:20000:0:99999:7:::\n' root alice bob sshd nobody >"$etc/shadow"
    chmod 640 "$etc/shadow"
    host_home "$root/root" 0
    host_home "$root/home/alice" 2001
    host_home "$root/home/bob" 2002
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$etc/ssh/ssh_host_ed25519_key"
    cat >"$etc/ssh/sshd_config" <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
END
    # In an emulator the post-quantum key exchange, the default, takes as long as all the rest.
    cat >"$etc/ssh/ssh_config" <<'END'
BatchMode yes
ConnectTimeout 20
KexAlgorithms curve25519-sha256
StrictHostKeyChecking accept-new
END
    for service in sshd su login other; do
        cat >"$etc/pam.d/$service" <<'END'
auth    sufficient pam_rootok.so
auth    required   pam_unix.so
account required   pam_verimesh.so
account required   pam_unix.so
session required   pam_unix.so
END
    done
}

# Becomes the first process of a host, within its new namespaces. That of users comes after the
# mounts, which would need more there, and waits for its map; a change of rights forgets the signal.
# shellcheck disable=SC2016 # expanded there
HOST_INIT='
    set -e
    hostname "$2"
    mount -t proc proc "$1/proc"
    cd "$1"
    pivot_root . mnt
    umount -l /mnt
    exec unshare --user --net sh -ec "
        until grep -q . /proc/self/gid_map; do sleep 0.01; done
        ip link set lo up
        exec setpriv --pdeathsig KILL env --ignore-signal=CHLD sleep infinity"'

host_is_new() {
    HOST_PID[$1]=$(cat "/proc/${HOST_HOLDER[$1]}/task/${HOST_HOLDER[$1]}/children")
    HOST_PID[$1]=${HOST_PID[$1]% }
    echo 0 0 4294967295 >"/proc/${HOST_PID[$1]}/uid_map"
}

host_is_up() {
    [ "$(cat "/proc/${HOST_PID[$1]}/comm")" = sleep ]
}

# Connects a host to the switch in the network of a process.
host_join() {
    local name=$1 address=$2 process=$3
    ip link add eth0 netns "${HOST_PID[$name]}" type veth peer name "$name" netns "$process"
    nsenter --target "$process" --net ip link set "$name" master switch up
    on "$name" ip addr add "$address/24" dev eth0
    on "$name" ip link set eth0 up
}

# Makes a host the router of a network of its own, once.
host_route() {
    local name=$1 address=$2
    ! on "$name" ip link show switch >/dev/null 2>&1 || return 0
    on "$name" ip link add switch type bridge
    on "$name" ip addr add "$address/24" dev switch
    on "$name" ip link set switch up
    on "$name" tee /proc/sys/net/ipv4/ip_forward >/dev/null <<<1
    on "$name" nft -f - <<<'table ip nat {
        chain out { type nat hook postrouting priority 100; oifname eth0 masquerade; }
    }'
}

# From 9.8 on sshd shuts out for a while whoever was refused; earlier ones do not know the option.
host_sshd() {
    local name=$1
    shift
    on "$name" /usr/sbin/sshd -o PerSourcePenalties=no "$@" 2>/dev/null || on "$name" /usr/sbin/sshd "$@"
}

host_start() {
    local name=$1 address=$2 router=${4:-} root=$LAB/$1/root directory
    mkdir -p "$root" "$LAB/$name/upper" "$LAB/$name/work"
    mount -t overlay -o "lowerdir=/,upperdir=$LAB/$name/upper,workdir=$LAB/$name/work" "$name" "$root"
    for directory in run tmp root home var/log; do
        mount -t tmpfs -o mode=755 tmpfs "$root/$directory"
    done
    chmod 1777 "$root/tmp"
    host_devices "$root"
    host_files "$root" "$name"
    env -u MAKEFLAGS -u MAKELEVEL make -s install DESTDIR="$root" B="${B:-build}" >"$LAB/$name/make" 2>&1 ||
        { cat "$LAB/$name/make" >&2 && return 1; }

    setpriv --pdeathsig KILL unshare --mount --propagation private --uts --ipc --pid --fork \
        --kill-child=KILL sh -c "$HOST_INIT" sh "$root" "$name" >"$LAB/$name/init" 2>&1 &
    HOST_HOLDER[$name]=$!
    soon host_is_new "$name" 2>/dev/null || { cat "$LAB/$name/init" >&2 && return 1; }
    echo 0 0 4294967295 >"/proc/${HOST_PID[$name]}/gid_map"
    soon host_is_up "$name" || { cat "$LAB/$name/init" >&2 && return 1; }
    nsenter --target "${HOST_PID[$name]}" --mount --root --net mount -t sysfs sysfs /sys

    if [ -n "$router" ]; then
        host_route "$router" "${address%.*}.1"
        host_join "$name" "$address" "${HOST_PID[$router]}"
        on "$name" ip route add default via "${address%.*}.1"
    else
        host_join "$name" "$address" $$
    fi
    on "$name" busybox syslogd -O /var/log/messages
    host_sshd "$name"
    soon on "$name" test -S /dev/log -a -s /run/sshd.pid
}
