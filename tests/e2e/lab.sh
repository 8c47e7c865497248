# shellcheck shell=bash
# lab.sh: hosts to test on, each with its own network, processes, mounts and copy of this system.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced by a script that runs from the repository's root, as root. A host is a set of namespaces
# whose root is an overlay of the real one: it may change any file and the real host sees none of
# it. Hosts are joined by veth pairs, each with each. Only kernel keyrings are shared, so each host
# has an interface of its own name. All of it lives in a mount namespace of the script's own and
# ends with the script, however that ends; lab_stop, its exit trap, removes what would stay: the
# keyrings and an empty directory.
#
#     host_start NAME ADDRESS   a host with users alice and bob, verimesh installed, sshd running
#     on HOST COMMAND...        runs a command there, as root
#     as USER HOST COMMAND...   the same as another user, in his home
#     soon COMMAND...           repeats a command until it succeeds, for 5 seconds
#     ${HOST_IF[NAME]}          the name that the host's mesh interface is to have
#     host_log NAME             what was logged there
set -euo pipefail

[ "$(id -u)" -eq 0 ] || { echo "$0: needs root" >&2 && exit 1; }

# A script under way here has private mounts; the variable is not for what it starts.
[ -n "${LAB_PRIVATE:-}" ] || LAB_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
unset LAB_PRIVATE

LAB=$(mktemp -d /tmp/verimesh-lab.XXXXXX)
LAB_ID=$(printf '%06x' $((SRANDOM & 0xffffff)))
declare -A HOST_PID=() HOST_HOLDER=() HOST_ADDR=() HOST_IF=()

lab_stop() {
    local host ring
    trap '' HUP INT TERM
    for host in "${!HOST_HOLDER[@]}"; do
        kill -KILL "${HOST_PID[$host]:-${HOST_HOLDER[$host]}}" 2>/dev/null || true
        wait "${HOST_HOLDER[$host]}" 2>/dev/null || true
        if ring=$(keyctl search @u keyring "verimesh:${HOST_IF[$host]}" 2>/dev/null); then
            keyctl unlink "$ring" @u
        fi
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
    nsenter --target "${HOST_PID[$host]}" --mount --root --uts --ipc --net --pid \
        env -i -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
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

# Becomes the first process of a host, within its new namespaces.
# shellcheck disable=SC2016 # expanded there
HOST_INIT='
    set -e
    hostname "$2"
    mount -t proc proc "$1/proc"
    mount -t sysfs sysfs "$1/sys"
    cd "$1"
    pivot_root . mnt
    umount -l /mnt
    ip link set lo up
    exec env --ignore-signal=CHLD sleep infinity'

host_is_up() {
    HOST_PID[$1]=$(cat "/proc/${HOST_HOLDER[$1]}/task/${HOST_HOLDER[$1]}/children")
    HOST_PID[$1]=${HOST_PID[$1]% }
    [ -n "${HOST_PID[$1]}" ] && [ "$(cat "/proc/${HOST_PID[$1]}/comm")" = sleep ]
}

# Joins a new host with one that is there.
host_join() {
    local new=$1 old=$2
    ip link add "to-$old" netns "${HOST_PID[$new]}" type veth \
        peer name "to-$new" netns "${HOST_PID[$old]}"
    on "$new" ip addr add "${HOST_ADDR[$new]}" peer "${HOST_ADDR[$old]}" dev "to-$old"
    on "$old" ip addr add "${HOST_ADDR[$old]}" peer "${HOST_ADDR[$new]}" dev "to-$new"
    on "$new" ip link set "to-$old" up
    on "$old" ip link set "to-$new" up
}

host_start() {
    local name=$1 root=$LAB/$1/root directory other
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

    HOST_ADDR[$name]=$2
    HOST_IF[$name]=$name-$LAB_ID
    setpriv --pdeathsig KILL unshare --mount --propagation private --uts --ipc --net --pid --fork \
        --kill-child=KILL sh -c "$HOST_INIT" sh "$root" "$name" >"$LAB/$name/init" 2>&1 &
    HOST_HOLDER[$name]=$!
    soon host_is_up "$name" 2>/dev/null || { cat "$LAB/$name/init" >&2 && return 1; }
    for other in "${!HOST_PID[@]}"; do
        [ "$other" = "$name" ] || host_join "$name" "$other"
    done
    on "$name" busybox syslogd -O /var/log/messages
    # From 9.8 on sshd shuts out for a while whoever was refused; earlier ones do not know the option.
    on "$name" /usr/sbin/sshd -o PerSourcePenalties=no 2>/dev/null || on "$name" /usr/sbin/sshd
    soon on "$name" test -S /dev/log -a -s /run/sshd.pid
}
