#!/usr/bin/env bash
# rpm.sh: the packages for Fedora and RHEL: what is in them, what their scripts do, whether the modules work.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/rpm.sh   from the repository's root; tests what is committed
# The macros of systemd and SELinux are stand-ins: packaging/rpm/macros. Nothing is installed: packages are
# unpacked, and their modules used in a mount namespace.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

work=$(mktemp -d)
chmod 755 "$work"
interface=vr$((SRANDOM % 1000000))
finish() {
    local ring
    if ring=$(keyctl search @u keyring "verimesh:$interface" 2>/dev/null); then
        keyctl unlink "$ring" @u
    fi
    rm -rf "$work"
}
trap finish EXIT
who=rpm
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}
for tool in git rpmbuild rpm2cpio cpio rpmlint pamtester; do
    command -v "$tool" >/dev/null || {
        echo "skip $who: needs $tool"
        exit 0
    }
done
git rev-parse --git-dir >/dev/null 2>&1 || {
    echo "skip $who: needs the git tree, out of which the packages are built"
    exit 0
}
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
arch=$(rpm --eval '%{_arch}') libdir=$(rpm --eval '%{_libdir}')
out=$work/rpm root=$work/root

package() { echo "$out/$1-$version-1.${2:-$arch}.rpm"; }
query() { rpm -qp --nosignature "$@"; }
files() { query --qf '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]' "$1" | sort -k 3; }
# The package has these files, `LIB` in them being the folder of libraries.
has() { # has PACKAGE-FILE, and the list
    diff <(sed "s,LIB,$libdir,; s,VERSION,$version," | sort -k 3) <(files "$1") || fail 'other files'
}

they_are_built_out_of_what_is_committed() {
    packaging/rpm/build.sh "$out" || fail 'no packages'
    diff - <(cd "$out" && printf '%s\n' *) <<-END || fail 'other packages'
		nss_verimesh-$version-1.$arch.rpm
		pam_verimesh-$version-1.$arch.rpm
		verimesh-$version-1.src.rpm
		verimesh-$version-1.$arch.rpm
		verimesh-selinux-$version-1.noarch.rpm
	END
}
two_builds_are_the_same() {
    local file
    git clone -q . "$work/another/place"
    (cd "$work/another/place" && umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 packaging/rpm/build.sh "$work/again")
    for file in "$out"/*."$arch".rpm "$out"/*.noarch.rpm; do
        cmp "$file" "$work/again/${file##*/}" || fail "${file##*/} differs"
    done
    # rpm writes the spec with all macros expanded into its header, the builder's folders among them
    cmp <(rpm2cpio "$out"/*.src.rpm) <(rpm2cpio "$work/again"/*.src.rpm) || fail 'the sources differ'
}
rpmlint_finds_nothing() {
    rpmlint -c packaging/rpm/rpmlint.toml packaging/rpm/verimesh.spec "$out"/*.rpm >"$work/lint" 2>&1 || true
    grep -Eq '5 packages and 1 specfiles checked; 0 errors, 0 warnings' "$work/lint" || fail "$(cat "$work/lint")"
}

the_command_and_its_units() {
    has "$(package verimesh)" <<-'END'
		drwxr-xr-x root:root /etc/verimesh
		-rw-r--r-- root:root /usr/lib/systemd/system/verimesh-up.service
		-rw-r--r-- root:root /usr/lib/systemd/system/verimesh-watch.service
		-rw-r--r-- root:root /usr/lib/sysusers.d/verimesh.conf
		-rw-r--r-- root:root /usr/lib/tmpfiles.d/verimesh.conf
		drwxr-xr-x root:root /usr/libexec/verimesh
		-rwxr-xr-x root:root /usr/libexec/verimesh/authselect-profile
		-rwxr-xr-x root:root /usr/sbin/verimesh
		-rw-r--r-- root:root /usr/share/bash-completion/completions/verimesh
		drwxr-xr-x root:root /usr/share/doc/verimesh-VERSION
		-rw-r--r-- root:root /usr/share/doc/verimesh-VERSION/NEWS
		-rw-r--r-- root:root /usr/share/doc/verimesh-VERSION/README-authselect.md
		-rw-r--r-- root:root /usr/share/doc/verimesh-VERSION/README.md
		-rw-r--r-- root:root /usr/share/doc/verimesh-VERSION/SECURITY.md
		drwxr-xr-x root:root /usr/share/licenses/verimesh-VERSION
		-rw-r--r-- root:root /usr/share/licenses/verimesh-VERSION/LICENSE
		-rw-r--r-- root:root /usr/share/man/man5/verimesh-card.5.gz
		-rw-r--r-- root:root /usr/share/man/man5/verimesh.conf.5.gz
		-rw-r--r-- root:root /usr/share/man/man7/verimesh.7.gz
		-rw-r--r-- root:root /usr/share/man/man8/verimesh.8.gz
		drwxr-xr-x root:root /usr/share/verimesh
		-rw-r--r-- root:root /usr/share/verimesh/tunnel-card.schema.json
		drwxr-xr-x root:root /var/lib/verimesh
	END
}
the_nss_module() {
    has "$(package nss_verimesh)" <<-'END'
		-rwxr-xr-x root:root LIB/libnss_verimesh.so.2
		drwxr-xr-x root:root /usr/share/licenses/nss_verimesh-VERSION
		-rw-r--r-- root:root /usr/share/licenses/nss_verimesh-VERSION/LICENSE
		-rw-r--r-- root:root /usr/share/man/man8/libnss_verimesh.so.2.8.gz
		-rw-r--r-- root:root /usr/share/man/man8/nss_verimesh.8.gz
	END
}
the_pam_module() {
    has "$(package pam_verimesh)" <<-'END'
		-rwxr-xr-x root:root LIB/security/pam_verimesh.so
		drwxr-xr-x root:root /usr/share/licenses/pam_verimesh-VERSION
		-rw-r--r-- root:root /usr/share/licenses/pam_verimesh-VERSION/LICENSE
		-rw-r--r-- root:root /usr/share/man/man8/pam_verimesh.8.gz
	END
}
the_selinux_module() {
    has "$(package verimesh-selinux noarch)" <<-'END'
		drwxr-xr-x root:root /usr/share/licenses/verimesh-selinux-VERSION
		-rw-r--r-- root:root /usr/share/licenses/verimesh-selinux-VERSION/LICENSE
		-rw-r--r-- root:root /usr/share/selinux/devel/include/distributed/verimesh.if
		drwxr-xr-x root:root /usr/share/selinux/packages/targeted
		-rw-r--r-- root:root /usr/share/selinux/packages/targeted/verimesh.pp.bz2
		---------- root:root /var/lib/selinux/targeted/active/modules/200/verimesh
	END
}
all_that_make_install_installs_is_packaged() {
    # what the spec installs besides; the modules are executable for Fedora, manual pages compressed
    local package
    for package in verimesh nss_verimesh pam_verimesh; do
        files "$(package "$package")"
    done | awk '$1 ~ /^-/ { print $3 }' | grep -vE '/usr/(libexec|share/(doc|licenses))/' | sort >"$work/packaged"
    git archive --prefix=source/ HEAD | tar -x -C "$work"
    make -s -C "$work/source" DEPS=no DESTDIR="$work/installed" LIBDIR="$libdir" >"$work/said" 2>&1 install ||
        fail "$(cat "$work/said")"
    (cd "$work/installed" && find . -type f -o -type l) | sed -E 's,^\.,,; /\/man\//s/$/.gz/' | sort |
        diff - "$work/packaged" || fail 'other files'
}

scripts() { query --scripts "$(package "$@")" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d'; }
the_command_is_started_by_the_administrator_only() {
    diff - <(scripts verimesh) <<-'END' || fail 'other scripts'
		postinstall scriptlet (using /bin/sh):
		if [ $1 -eq 1 ]; then systemctl preset verimesh-up.service verimesh-watch.service >/dev/null 2>&1 || :; fi
		preuninstall scriptlet (using /bin/sh):
		if [ $1 -eq 0 ]; then systemctl disable --now verimesh-up.service verimesh-watch.service >/dev/null 2>&1 || :; fi
		postuninstall scriptlet (using /bin/sh):
		if [ $1 -ge 1 ]; then systemctl daemon-reload >/dev/null 2>&1 || :; fi
		if [ $1 -ge 1 ]; then systemctl try-restart verimesh-watch.service >/dev/null 2>&1 || :; fi
	END
}
the_nss_module_has_no_script() {
    [ -z "$(scripts nss_verimesh)" ] || fail "$(scripts nss_verimesh)"
}
the_pam_module_leaves_no_stack_that_names_it() {
    local script
    script=$(query --qf '%{PREUN}' "$(package pam_verimesh)")
    [ "$(scripts pam_verimesh | grep -c scriptlet)" -eq 1 ] || fail "$(scripts pam_verimesh)"
    mkdir "$work/bin"
    cat >"$work/bin/authselect" <<-'END'
		#!/bin/sh
		[ "$1" != current ] || echo "$selected"
		echo "$*" >>"$called"
	END
    chmod 755 "$work/bin/authselect"
    removed() { # removed REMAINING SELECTED
        : >"$work/called"
        selected=$2 called=$work/called sh -ec "${script//\/usr\/bin\/authselect/$work/bin/authselect}" preun "$1"
        sed '/^current/d' "$work/called"
    }
    [ "$(removed 0 'custom/verimesh with-verimesh-gate')" = 'disable-feature with-verimesh-gate' ] || fail 'it stays'
    [ -z "$(removed 1 'custom/verimesh with-verimesh-gate')" ] || fail 'an upgrade takes it out'
    [ -z "$(removed 0 'custom/verimesh with-verimesh')" ] || fail 'not selected'
    [ -z "$(removed 0 'sssd')" ] || fail 'not ours'
}
the_selinux_module_comes_and_goes() {
    scripts verimesh-selinux noarch >"$work/scripts"
    grep -c '^semodule -s targeted -X 200 -i /usr/share/selinux/packages/targeted/verimesh.pp.bz2 ||' "$work/scripts" |
        grep -qx 1 || fail "$(cat "$work/scripts")"
    grep -FA 2 "if [ \$1 -eq 0 ]; then" "$work/scripts" | grep -q '^semodule -s targeted -X 200 -r verimesh ||' ||
        fail "$(cat "$work/scripts")"
}
no_macro_is_left_in_a_script() {
    ! query --scripts "$out"/*.rpm | grep -E '%[{a-z]' || fail 'a macro'
}

needs() { query --requires "$1" | sed -n 's/^\(lib[^(]*\).*/\1/p' | sort -u | tr '\n' ' '; }
modules_bring_no_library_but_those_of_the_design() {
    [ "$(needs "$(package nss_verimesh)")" = 'libc.so.6 ' ] || fail "nss: $(needs "$(package nss_verimesh)")"
    [ "$(needs "$(package pam_verimesh)")" = 'libc.so.6 libkeyutils.so.1 libmnl.so.0 libpam.so.0 ' ] ||
        fail "pam: $(needs "$(package pam_verimesh)")"
}
parts_of_one_build_belong_together() {
    local package
    for package in nss_verimesh pam_verimesh; do
        query --requires "$(package "$package")" | grep -qx "verimesh = $version-1" || fail "$package"
    done
    query --requires "$(package verimesh)" |
        grep -Fqx "(verimesh-selinux = $version-1 if selinux-policy-targeted)" || fail selinux
}
the_version_is_that_of_the_makefile() {
    [ "$(sed -n 's/^Version: *//p' packaging/rpm/verimesh.spec)" = "$version" ] || fail 'another version'
    [ "$(query --qf '%{CHANGELOGTEXT}' --changelog "$(package verimesh)" | grep -c -- "- $version-1$")" -eq 1 ] ||
        fail 'the changelog does not begin with it'
}

# The unpacked modules as programs find them, with a map that the unpacked command made.
unpacked() {
    local package
    [ ! -d "$root" ] || return 0
    mkdir -p "$root" "$work/lib" "$work/pam.d"
    for package in verimesh nss_verimesh pam_verimesh; do
        (cd "$root" && rpm2cpio "$(package "$package")" | cpio -idm --quiet)
    done
    cat >"$root/etc/verimesh/verimesh.conf" <<-END
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
    "$root/usr/sbin/verimesh" import tests/vectors/card/golden-1-issued.cesr --root "$root"
    "$root/usr/sbin/verimesh" sync --root "$root"
    mv "$root/var/lib/verimesh" "$work/lib/"
}
within() { # within COMMAND...: with the map and the services of this test in the system's places
    # shellcheck disable=SC2016 # expanded inside
    work=$work unshare -m sh -ec '
        mount --make-rprivate /
        mount --bind "$work/lib" /var/lib
        mount --bind "$work/pam.d" /etc/pam.d
        exec "$@"' within "$@"
}
may_mount() {
    [ "$(id -u)" -eq 0 ] && unshare -m mount --make-rprivate / 2>/dev/null && return
    echo 'needs root and mount namespaces' >"$work/skip"
    return 1
}
names_and_accounts_resolve_through_the_packaged_module() {
    may_mount || return 0
    unpacked
    local answer
    answer=$(LD_LIBRARY_PATH=$root$libdir within getent -s hosts:verimesh ahostsv4 db1.clinic-b.mesh.internal) ||
        fail "no such name: $answer"
    grep -Eq '^10\.77\.2\.5 +STREAM db1\.clinic-b\.mesh\.internal$' <<<"$answer" || fail "$answer"
    answer=$(LD_LIBRARY_PATH=$root$libdir within getent -s verimesh passwd alice@clinic-b) || fail "no such account"
    [[ $answer == alice@clinic-b:* ]] || fail "$answer"
}
service() { # service OPTION...
    printf '%s\n' "account required $root$libdir/security/pam_verimesh.so $*" 'account required pam_permit.so' \
        "session required $root$libdir/security/pam_verimesh.so $*" 'session required pam_permit.so' >"$work/pam.d/packaged"
}
asked() { within pamtester -I "rhost=$1" packaged root acct_mgmt >"$work/said" 2>&1; }
logins_are_decided_by_the_packaged_module() {
    may_mount || return 0
    unpacked
    service outside=ignore
    asked '' || fail "the console: $(cat "$work/said")"
    asked 198.51.100.99 || fail "outside: $(cat "$work/said")"
    ! asked 10.77.2.5 || fail 'the mesh is down, and a login came over it'
    service
    ! asked 198.51.100.99 || fail 'outside was admitted'
    service nosuch
    ! asked '' || fail 'an unknown option'
    within pamtester packaged root open_session >"$work/said" 2>&1 && fail 'a session with an unknown option'
    service outside=ignore
    within pamtester packaged root open_session >"$work/said" 2>&1 || fail "a session: $(cat "$work/said")"
}

# Really installed, upgraded and removed, on top of this system in memory.
installed_upgraded_and_removed_they_leave_nothing() {
    may_mount || return 0
    local over=$work/over
    mkdir "$over"
    cat >"$work/cycle" <<-'END'
		mount --make-rprivate /
		mount -t tmpfs tmpfs "$over"
		mkdir "$over/upper" "$over/work" "$over/system"
		mount -t overlay overlay -o "lowerdir=/,upperdir=$over/upper,workdir=$over/work" "$over/system" || exit 77
		mount --rbind /dev "$over/system/dev"
		inside() { chroot "$over/system" "$@"; }
		inside rpm --force-debian --nodeps -i "$@"
		inside rpm --nodeps -V verimesh nss_verimesh pam_verimesh
		inside rpm --force-debian --nodeps -U --force "$@"
		inside rpm --nodeps -V verimesh nss_verimesh pam_verimesh
		inside /usr/sbin/verimesh --help >/dev/null
		inside rpm --force-debian -e verimesh verimesh-selinux nss_verimesh pam_verimesh
		# whatever is new or other than before, apart from Debian's place for rpm's database; a character
		# device stands for what this system had and the removal took, empty folders of verimesh's
		cd "$over/upper"
		find . ! -type d ! -path './*/verimesh' ! -path './root/.rpmdb/*' ! -path './tmp/*' -printf 'left: %P\n'
		find . -name '*verimesh*' ! -type c ! -path './tmp/*' -printf 'left: %P\n'
	END
    local status=0
    over=$over unshare -m sh -eu "$work/cycle" "$out"/*."$arch".rpm "$out"/*.noarch.rpm >"$work/said" 2>&1 || status=$?
    if [ "$status" -eq 77 ]; then
        echo "needs an overlay filesystem" >"$work/skip"
        return
    fi
    [ "$status" -eq 0 ] || fail "$(cat "$work/said")"
    ! grep '^left:' "$work/said" || fail 'that is left'
}

run_cases they_are_built_out_of_what_is_committed
[ "$failed" -eq 0 ] || exit 1
run_cases two_builds_are_the_same rpmlint_finds_nothing \
    the_command_and_its_units the_nss_module the_pam_module the_selinux_module \
    all_that_make_install_installs_is_packaged the_command_is_started_by_the_administrator_only \
    the_nss_module_has_no_script the_pam_module_leaves_no_stack_that_names_it the_selinux_module_comes_and_goes \
    no_macro_is_left_in_a_script modules_bring_no_library_but_those_of_the_design \
    parts_of_one_build_belong_together the_version_is_that_of_the_makefile \
    installed_upgraded_and_removed_they_leave_nothing \
    names_and_accounts_resolve_through_the_packaged_module logins_are_decided_by_the_packaged_module
exit "$failed"
