# shellcheck shell=bash disable=SC2317,SC2154 # cases are called by their names; suite and who are of the script
# system.sh: the packages in a system of Debian's: built, installed, used, upgraded, removed and purged there.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sourced, from the repository's root, by debian_12.sh and the like, with $suite and $who. Tests the source
# package in B/packages/deb. What is fetched is kept in B/packages/SUITE: the least system, one with what the
# build depends on, and one with what the packages depend on. All that changes one is in memory. How far the
# units are exposed is told in B/packages/SUITE/figures.
# shellcheck disable=SC2016 # dpkg's variables
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

[ "$(id -u)" -eq 0 ] || { echo "skip $who: needs root" && exit 0; }
[ -n "${PACKAGES_PRIVATE:-}" ] || PACKAGES_PRIVATE=1 exec unshare --mount --propagation private "$0"
unset PACKAGES_PRIVATE

# shellcheck source=tests/trixie/root.sh
. tests/trixie/root.sh
cache=$(realpath -m "${B:-build}")/packages
sources=$cache/deb
work=$(mktemp -d)
interface=vd$((SRANDOM % 1000000))
finish() {
    local ring
    if ring=$(keyctl search @u keyring "verimesh:$interface" 2>/dev/null); then
        keyctl unlink "$ring" @u
    fi
    umount -l "$work" || true
    rmdir "$work"
}
trap finish EXIT
trap 'exit 143' TERM
mount -t tmpfs -o mode=755 packages "$work"
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}
quiet() { # quiet COMMAND...: its output is told only if it fails
    "$@" >"$work/said" 2>&1 </dev/null || fail "$(grep -A 40 FAIL "$work/said"; tail -n 60 "$work/said")"
}

# One of the systems that are kept. Its name ends in the digest of all that it is made of.
# shellcheck disable=SC2016 # expanded there
kept() { # kept NAME STAMP SCRIPT: sets $system; SCRIPT makes it of the least system
    local name
    name=$1-$(sha256sum <<<"$2 $3" | cut -c 1-12)
    system=$cache/$suite/$name
    [ ! -d "$system" ] || return 0
    if [ "${DEPS:-yes}" = no ]; then
        echo "skip $who: $system is not there, and DEPS=no forbids to fetch it"
        exit 0
    fi
    mkdir -p "$cache/$suite"
    rm -rf "$cache/$suite/$1"-*
    [ -d "$cache/$suite/least" ] || fetch_system "$suite" "$cache/$suite/least"
    cp -a "$cache/$suite/least" "$system.new"
    printf '#!/bin/sh\nexit 101\n' >"$system.new/usr/sbin/policy-rc.d"
    chmod 755 "$system.new/usr/sbin/policy-rc.d"
    mkdir "$system.new/packages"
    cp "$sources"/*.dsc "$sources"/*.tar.* "$system.new/packages"
    within "$system.new" env DEBIAN_FRONTEND=noninteractive sh -ec "
        apt-get -q update
        apt-get -q -y upgrade
        $3
        apt-get clean
        rm -r /packages" >"$system.log" 2>&1 </dev/null || { tail -n 60 "$system.log" && exit 1; }
    mv "$system.new" "$system"
}

over() { # over NAME: $system becomes one that only lives here, over what it was
    mkdir "$work/$1.upper" "$work/$1.work" "$work/$1"
    mount -t overlay -o "lowerdir=$system,upperdir=$work/$1.upper,workdir=$work/$1.work" "$1" "$work/$1" || {
        echo "skip $who: needs an overlay filesystem"
        exit 0
    }
    system=$work/$1
}
inside() { within "$system" env DEBIAN_FRONTEND=noninteractive "$@"; }
# All that they need is there.
apt() { quiet inside unshare --net sh -ec "apt-get -q -y --no-install-recommends $*"; }

# Everything in the system: name, type, rights, owner, where it leads, what is in it.
state() {
    (cd "$system" && find . -xdev \( -path ./src -o -path ./packages -o -path ./proc -o -path ./sys -o \
        -path ./dev -o -path ./run -o -path ./tmp \) -prune -o -printf '%P %y %m %U:%G %l\n' && find . -xdev \
        \( -path ./src -o -path ./packages \) -prune -o -type f -exec sha256sum {} + |
        sed -E 's,^([0-9a-f]+)  \./(.*),\2 \1,') | sort | grep -vE "$1"
}
# What is other than before after a purge, and is not verimesh's doing: the state and logs of dpkg, apt and
# debconf; caches of ldconfig; copies that systemd-sysusers and userdel make before they write, and their lock;
# the logs of logins.
OTHERS='^(var/lib/(dpkg|apt)/|var/cache/(apt|debconf|ldconfig)/|var/log/(apt/|dpkg\.log |lastlog |wtmp )'
OTHERS+='|etc/ld\.so\.cache |etc/(passwd|group|shadow|gshadow|subuid|subgid)- |etc/\.pwd\.lock )'

they_build_as_anybody_without_a_network() {
    # shellcheck disable=SC2016 # expanded there
    quiet inside sh -ec '
        mkdir /tmp/build
        cp /packages/* /tmp/build
        chown -R nobody /tmp/build
        cd /tmp/build
        unshare --net sh -ec "
            ip link set lo up 2>/dev/null || true
            exec setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent sh -ec \"
                dpkg-source -x *.dsc source
                cd source
                dpkg-buildpackage --build=full --no-sign\""
        mkdir /packages/built
        cp /tmp/build/verimesh_* /tmp/build/*.deb /packages/built'
    grep -Eq '^[0-9]+ passed, 0 failed' "$work/said" || fail "its tests: $(tail -n 60 "$work/said")"
    cp "$work/said" "$system/packages/built/build"
}
lintian_and_blhc_of_this_debian_find_nothing() {
    # the standards are those of the oldest Debian that it is for
    inside sh -c 'lintian --allow-root --display-info --pedantic --display-experimental --fail-on none \
        --suppress-tags out-of-date-standards-version /packages/built/*.changes' >"$work/said" 2>&1 ||
        fail "$(cat "$work/said")"
    ! grep -E '^[EWIPXC]:' "$work/said" || fail 'lintian does'
    inside blhc --all /packages/built/build >"$work/said" 2>&1 || fail "$(cat "$work/said")"
}

they_install_without_a_question() {
    state "$OTHERS" >"$work/before"
    cp -a "$system/etc/nsswitch.conf" "$system/etc/pam.d" "$work"
    # a frontend that would ask, of a terminal
    quiet inside env DEBIAN_FRONTEND=teletype unshare --net script -qefc \
        "apt-get -q -y --no-install-recommends install ${packages[*]}" /dev/null
    ! grep -iE 'PAM profiles|\[(yes/)?no\]|warning|error|unable' "$work/said" || fail "$(cat "$work/said")"
    [ "$(inside dpkg-query -W -f '${Status}\n' verimesh libnss-verimesh libpam-verimesh | sort -u)" = \
        'install ok installed' ] || fail 'not installed'
    inside dpkg -V verimesh libnss-verimesh libpam-verimesh || fail 'not as packaged'
}
nsswitch_conf_has_them_where_they_belong() {
    sed -E '/^(passwd|group):/s/$/ verimesh/; /^hosts:/s/ dns/ verimesh [NOTFOUND=return]&/' \
        "$work/nsswitch.conf" | diff - "$system/etc/nsswitch.conf" || fail 'not so'
    grep -Eq '^hosts: .* verimesh \[NOTFOUND=return\] dns' "$system/etc/nsswitch.conf" || fail 'hosts'
}
no_pam_stack_has_changed() {
    diff -r "$work/pam.d" "$system/etc/pam.d" || fail 'it has'
}
the_readers_have_a_user_that_owns_nothing() {
    [[ $(inside getent passwd _verimesh) == _verimesh:*:/:*/nologin ]] || fail "$(inside getent passwd _verimesh)"
    [ -z "$(find "$system" -xdev -uid "$(inside id -u _verimesh)")" ] || fail 'it does'
}
units_are_enabled_and_sound() {
    local unit level
    rm -f "$cache/$suite/figures"
    for unit in verimesh-up verimesh-watch; do
        [ "$(inside systemctl is-enabled "$unit.service")" = enabled ] || fail "$unit is not enabled"
        quiet inside systemd-analyze verify --man=no "/usr/lib/systemd/system/$unit.service"
        ! grep "$unit" "$work/said" || fail "$unit"
        quiet inside systemd-analyze security --no-pager --offline=true "/usr/lib/systemd/system/$unit.service"
        level=$(sed -nE 's/.*Overall exposure level for .*: ([0-9.]+) .*/\1/p' "$work/said")
        echo "$who: $unit.service: exposure $level, of 10" >>"$cache/$suite/figures"
        awk -v l="$level" 'BEGIN { exit !(l != "" && l < 3.0) }' || fail "$unit: exposure $level"
    done
}
the_folder_of_what_is_live_is_made() {
    [ "$(inside sh -ec 'systemd-tmpfiles --create verimesh.conf; stat -c "%a %U:%G" /run/verimesh')" = \
        '755 root:root' ] || fail 'it is not'
}

hosts_of_a_mesh_admit_each_others_people() {
    local status=0
    inside packaging/debian/tests/login >"$work/said" 2>&1 </dev/null || status=$?
    [ "$status" -ne 77 ] || { cat "$work/said" >"$work/skip" && return; }
    [ "$status" -eq 0 ] || fail "$(cat "$work/said")"
    no_pam_stack_has_changed
}
names_resolve_by_what_is_installed() {
    cat >"$system/etc/verimesh/verimesh.conf" <<-END
		[Interface]
		Self = me
		Host = here
		Name = $interface
		[Peer clinic-b]
		AID = EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP
		AllowedIPs = 10.77.2.0/24
		Logins = alice
		Accounts = yes
	END
    quiet inside verimesh import tests/vectors/card/golden-1-issued.cesr
    quiet inside sh -ec 'mkdir /run/verimesh; verimesh sync'
    local answer
    answer=$(inside getent ahostsv4 db1.clinic-b.mesh.internal) || fail "no such name: $answer"
    grep -Eq '^10\.77\.2\.5 +STREAM db1\.clinic-b\.mesh\.internal$' <<<"$answer" || fail "$answer"
    answer=$(inside setpriv --reuid nobody --clear-groups getent passwd alice@clinic-b) || fail 'no such account'
    [[ $answer == alice@clinic-b:* ]] || fail "$answer"
    inside getent group clinic-b >/dev/null || fail 'no such group'
    answer=$(inside getent hosts localhost) || fail 'this host itself'
}
logins_are_decided_once_the_profile_is_enabled() {
    asked() { inside pamtester -I "rhost=$1" sshd root acct_mgmt >"$work/said" 2>&1; }
    asked 10.77.2.5 || fail "nobody asked for it: $(cat "$work/said")"
    quiet inside pam-auth-update --enable verimesh
    ! diff -r "$work/pam.d" "$system/etc/pam.d" >"$work/said" || fail 'no stack has changed'
    grep -E '^[<>]|^Only' "$work/said" | grep -vE '^[<>] *(#|$)' | sort | diff - <(
        echo "> account	required	pam_verimesh.so outside=ignore"
        # common-session, and that of what is not interactive
        echo "> session	required	pam_verimesh.so outside=ignore"
        echo "> session	required	pam_verimesh.so outside=ignore"
    ) || fail 'other lines'
    asked '' || fail "the console: $(cat "$work/said")"
    asked 198.51.100.99 || fail "outside: $(cat "$work/said")"
    ! asked 10.77.2.5 || fail 'the mesh is down, and a login came over it'
    quiet inside pamtester login root open_session
}

they_upgrade_and_keep_what_is_there() {
    local package version
    # what the administrator took out stays out
    sed -i '/^group:/s/ verimesh//' "$system/etc/nsswitch.conf"
    state "$OTHERS" >"$work/installed"
    mkdir "$system/packages/newer"
    for package in verimesh libnss-verimesh libpam-verimesh; do
        dpkg-deb -R "$system/packages/built/${package}_"*.deb "$work/newer"
        version=$(dpkg-deb -f "$system/packages/built/${package}_"*.deb Version)
        sed -i "s/$version/$version+1/" "$work/newer/DEBIAN/control"
        dpkg-deb --root-owner-group -b "$work/newer" "$system/packages/newer" >/dev/null
        rm -r "$work/newer"
    done
    apt 'install /packages/newer/*.deb'
    [ "$(inside dpkg-query -W -f '${Version}\n' verimesh libnss-verimesh libpam-verimesh | sort -u)" = \
        "$version+1" ] || fail 'not the newer ones'
    state "$OTHERS" | diff "$work/installed" - || fail 'other than before'
}
removed_they_are_gone_from_nsswitch_and_pam() {
    # the account of root by PAM, while packages go
    apt remove verimesh
    ! inside sh -c 'command -v verimesh' || fail 'it is still there'
    diff "$work/nsswitch.conf" "$system/etc/nsswitch.conf" || fail 'nsswitch.conf'
    no_pam_stack_has_changed
    inside pamtester -I rhost=10.77.2.5 sshd root acct_mgmt >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    [ -e "$system/etc/verimesh/verimesh.conf" ] || fail 'the configuration is gone'
    [ -e "$system/var/lib/verimesh/peers.cdb" ] || fail 'the state is gone'
}
installed_again_they_are_as_before() {
    apt 'install /packages/newer/*.deb'
    nsswitch_conf_has_them_where_they_belong
    inside getent passwd alice@clinic-b >/dev/null || fail 'no accounts'
}
purged_they_leave_nothing() {
    # with an identity, and a mesh that was brought up by hand
    printf '%s\n' '[Interface]' "Name = $interface" 'Self = me' 'Host = here' >"$system/etc/verimesh/verimesh.conf"
    quiet inside unshare --net sh -ec "
        rm -r /var/lib/verimesh
        ip link set lo up
        verimesh init here
        verimesh up
        ip link show $interface
        test -d /var/lib/verimesh/identity
        apt-get -q -y purge verimesh libnss-verimesh libpam-verimesh
        ip link show $interface && exit 1
        test ! -e /run/verimesh"
    ! keyctl search @u keyring "verimesh:$interface" 2>/dev/null || fail 'its keys are in the kernel'
    state "$OTHERS" | diff "$work/before" - || fail 'other than before'
    ! inside dpkg -l '*verimesh*' 2>/dev/null | grep '^[a-z]' || fail 'dpkg knows them'
    ! find "$system" -xdev -name '*verimesh*' ! -path "$system/src/*" ! -path "$system/packages/*" | grep . ||
        fail 'that is left'
}

control=$(sed -n '/^$/q; p' packaging/debian/control)
# buildd's chroots have such a file
kept build "$control" "echo '127.0.0.1 localhost' >/etc/hosts
    apt-get -q -y --no-install-recommends build-dep /packages/*.dsc
    apt-get -q -y --no-install-recommends install blhc lintian"
over build
mkdir "$system/packages"
cp "$sources"/*.dsc "$sources"/*.tar.* "$system/packages"
run_cases they_build_as_anybody_without_a_network
[ "$failed" -eq 0 ] || exit 1
run_cases lintian_and_blhc_of_this_debian_find_nothing
built=$system/packages/built

kept clean '' 'echo "127.0.0.1 localhost" >/etc/hosts
    apt-get -q -y --no-install-recommends install iproute2 openssh-client openssh-server pamtester \
    systemd wireguard-go wireguard-tools
    apt-get -q -y --no-install-recommends satisfy libcdb1 libcurl4 libkeyutils1 libmnl0 libsodium23'
over clean
mkdir "$system/packages"
cp -r "$built" "$system/packages"
packages=()
for package in verimesh libnss-verimesh libpam-verimesh; do
    packages+=("/packages/built/$(cd "$built" && echo "${package}_"*.deb)")
done
run_cases they_install_without_a_question
[ "$failed" -eq 0 ] || exit 1
run_cases nsswitch_conf_has_them_where_they_belong no_pam_stack_has_changed \
    the_readers_have_a_user_that_owns_nothing units_are_enabled_and_sound the_folder_of_what_is_live_is_made \
    hosts_of_a_mesh_admit_each_others_people names_resolve_by_what_is_installed \
    logins_are_decided_once_the_profile_is_enabled they_upgrade_and_keep_what_is_there \
    removed_they_are_gone_from_nsswitch_and_pam installed_again_they_are_as_before purged_they_leave_nothing
exit "$failed"
