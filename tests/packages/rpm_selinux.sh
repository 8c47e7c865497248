#!/usr/bin/env bash
# rpm_selinux.sh: the SELinux module in a whole policy: what it allows, to whom, and what it does not.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/rpm_selinux.sh   from the repository's root; DEPS=no: downloads nothing
# The policy is Debian's, which has no domain for sshd-session; one of that name is added, as Fedora's has it.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
who=selinux
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}
missing() { # missing WHAT: ends the script
    echo "skip $who: needs $1"
    exit 0
}
devel=/usr/share/selinux/devel/Makefile modules=/usr/share/selinux/default
for tool in checkmodule semodule_link semodule_expand semodule_unpackage sesearch; do
    command -v "$tool" >/dev/null || missing "$tool"
done
[ -e "$devel" ] || missing "$devel"
if [ ! -e "$modules/base.pp.bz2" ]; then
    [ "${DEPS:-yes}" != no ] || missing "$modules/base.pp.bz2"
    # not installed: that would give this machine a policy
    (cd "$work" && apt-get download -q selinux-policy-default >/dev/null 2>&1 && dpkg-deb -x ./*.deb policy) ||
        missing "the package selinux-policy-default"
    modules=$work/policy$modules
fi

mkdir "$work/build"
cp packaging/selinux/verimesh.* "$work/build"
cat >"$work/build/split.te" <<'END'
policy_module(split, 1.0.0)
type sshd_session_t;
domain_type(sshd_session_t)
END
for module in base apache ssh staff sudo unconfined; do
    bzcat "$modules/$module.pp.bz2" >"$work/$module.pp"
done

it_compiles_without_a_word() {
    make -C "$work/build" -f "$devel" verimesh.pp split.pp >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    ! grep -iE 'warning|error|deprecated' "$work/said" || fail "$(cat "$work/said")"
}
it_breaks_no_rule_of_the_policy() {
    cd "$work"
    semodule_link -o linked {base,apache,ssh,staff,sudo,unconfined,build/split,build/verimesh}.pp >said 2>&1 ||
        fail "$(cat said)"
    semodule_expand linked with >said 2>&1 || fail "$(cat said)"
    semodule_link -o linked {base,apache,ssh,staff,sudo,unconfined,build/split}.pp >said 2>&1
    semodule_expand linked without >said 2>&1
}
it_needs_no_domain_for_sshd_session() {
    cd "$work"
    semodule_link -o linked {base,ssh,unconfined,build/verimesh}.pp >said 2>&1 || fail "$(cat said)"
    semodule_expand linked small >said 2>&1 || fail "$(cat said)"
    sesearch small -A -s sshd_t -t verimesh_t -c key -p search | grep . >/dev/null || fail 'sshd reads no keys'
}
files_have_their_labels() {
    semodule_unpackage "$work/build/verimesh.pp" "$work/mod" "$work/fc"
    diff - <(grep -E '^/' "$work/fc" | tr -s '\t ' ' ') <<-'END' || fail 'other labels'
		/etc/verimesh(/.*)? system_u:object_r:verimesh_etc_t:s0
		/usr/s?bin/verimesh -- system_u:object_r:verimesh_exec_t:s0
		/var/lib/verimesh(/.*)? system_u:object_r:verimesh_var_lib_t:s0
		/var/lib/verimesh/peers\.cdb(\.new)? -- system_u:object_r:verimesh_map_t:s0
		/run/verimesh(/.*)? system_u:object_r:verimesh_run_t:s0
	END
}

# Each of the permissions, by the rules that hold always.
may() { # may SOURCE TARGET CLASS PERMISSION...
    local source=$1 target=$2 class=$3 permission granted
    shift 3
    granted=$(sesearch "$work/with" -A -s "$source" -t "$target" -c "$class" | sed "/]:/d; s/.*:$class//")
    for permission in "$@"; do
        grep -Fqw -- "$permission" <<<"$granted" || fail "$source may not $permission $target:$class"
    done
}
may_not() { # may_not POLICY SOURCE TARGET CLASS PERMISSION
    ! sesearch "$work/$1" -A -s "$2" -t "$3" -c "$4" -p "$5" | grep . || fail "$2 may $5 $3:$4"
}
becomes() { # becomes SOURCE TARGET CLASS TYPE [NAME]
    sesearch "$work/with" -T -s "$1" -t "$2" -c "$3" | grep -Fx "type_transition $1 $2:$3 $4${5:+ $5};" >/dev/null ||
        fail "$1 makes of $2:$3 no $4"
}

sshd_asks_wireguard_and_the_routes() {
    local domain
    for domain in sshd_t sshd_session_t; do
        may "$domain" "$domain" netlink_generic_socket create bind getattr setopt read write
        may "$domain" "$domain" netlink_route_socket create bind getattr setopt read write nlmsg_read
        may "$domain" "$domain" capability net_admin
        may_not without "$domain" "$domain" netlink_generic_socket create
        may_not with "$domain" "$domain" netlink_route_socket nlmsg_write
    done
    may sshd_session_t sshd_t tcp_socket getattr getopt setopt
}
sshd_reads_the_map_and_the_keys() {
    local domain
    for domain in sshd_t sshd_session_t; do
        may "$domain" verimesh_map_t file open getattr read map
        may "$domain" verimesh_run_t file open getattr read
        may "$domain" verimesh_t key view search read
        may_not with "$domain" verimesh_map_t file write
        may_not with "$domain" verimesh_run_t file write
        may_not with "$domain" verimesh_t key setattr
        may_not with "$domain" verimesh_var_lib_t file read
        may_not with "$domain" verimesh_etc_t file read
    done
}
sshd_keeps_the_record_of_a_session_as_itself_and_as_the_user() {
    local domain owner
    for domain in sshd_t sshd_session_t; do
        may "$domain" verimesh_t key write
        for owner in "$domain" staff_t unconfined_t; do
            may "$domain" "$owner" key create view read write search link setattr
        done
    done
}
sudo_of_confined_users_reads_that_record() {
    local owner
    for owner in verimesh_t sshd_t sshd_session_t staff_t; do
        may staff_sudo_t "$owner" key view search read
    done
    may_not with staff_sudo_t verimesh_t key write
    may staff_sudo_t verimesh_run_t file open getattr read
}
whoever_looks_up_names_reads_the_map_and_nothing_else() {
    may httpd_t verimesh_var_lib_t dir getattr search
    may httpd_t verimesh_map_t file open getattr read map
    may_not with httpd_t verimesh_var_lib_t file read
    may_not with httpd_t verimesh_map_t file write
    may_not with httpd_t verimesh_t key search
    may_not with httpd_t verimesh_run_t file read
}
the_command_has_a_domain_whoever_starts_it() {
    local domain
    for domain in init_t unconfined_t sysadm_t; do
        becomes "$domain" verimesh_exec_t process verimesh_t
        may "$domain" verimesh_t process transition
    done
    may init_t verimesh_t process2 nnp_transition
    may verimesh_t verimesh_t netlink_generic_socket create
    may verimesh_t verimesh_map_t file create write rename
    may verimesh_t sshd_t key search write setattr
}
what_the_command_makes_has_its_label_at_once() {
    becomes verimesh_t etc_t dir verimesh_etc_t verimesh
    becomes verimesh_t var_lib_t dir verimesh_var_lib_t verimesh
    becomes verimesh_t var_run_t dir verimesh_run_t verimesh
    becomes verimesh_t verimesh_var_lib_t file verimesh_map_t peers.cdb
    becomes verimesh_t verimesh_var_lib_t file verimesh_map_t peers.cdb.new
}

run_cases it_compiles_without_a_word it_breaks_no_rule_of_the_policy it_needs_no_domain_for_sshd_session \
    files_have_their_labels sshd_asks_wireguard_and_the_routes sshd_reads_the_map_and_the_keys \
    sshd_keeps_the_record_of_a_session_as_itself_and_as_the_user sudo_of_confined_users_reads_that_record \
    whoever_looks_up_names_reads_the_map_and_nothing_else the_command_has_a_domain_whoever_starts_it \
    what_the_command_makes_has_its_label_at_once
exit "$failed"
