#!/usr/bin/env bash
# rpm_authselect.sh: the profile that authselect-profile makes, and what authselect would make of it.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/packages/rpm_authselect.sh   from the repository's root
# authselect is not in Debian: a stand-in copies and links profiles as its manual says, and its templates are
# evaluated here.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
who=authselect
export AUTHSELECT_CUSTOM=$work/custom WORK=$work
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

fail() {
    echo "$*"
    exit 1
}

mkdir "$work/bin"
cat >"$work/bin/authselect" <<'END'
#!/bin/bash
set -e
echo "$*" >>"$WORK/called"
case $1 in
current) cat "$WORK/selected" 2>/dev/null || exit 2 ;;
create-profile)
    [ "$3" = --base-on ] && [[ " $* " == *" --symlink-meta --symlink-pam --symlink-dconf "* ]]
    base=$WORK/default/$4
    [[ $4 != custom/* ]] || base=$WORK/$4
    [ -d "$base" ] && mkdir "$AUTHSELECT_CUSTOM/$2"
    for file in README REQUIREMENTS system-auth password-auth; do
        ln -s "$base/$file" "$AUTHSELECT_CUSTOM/$2"
    done
    cp "$base/nsswitch.conf" "$AUTHSELECT_CUSTOM/$2"
    ;;
apply-changes) ;;
*) exit 1 ;;
esac
END
chmod 755 "$work/bin/authselect"
PATH=$work/bin:$PATH

# A profile as those of Fedora are written.
base() { # base NAME
    rm -rf "$work/called" "$work/selected" "$work/custom" "$work/default"
    mkdir -p "$work/custom" "$work/default/$1"
    printf '%s\n' 'Local users only' '================' '' 'Text.' >"$work/default/$1/README"
    printf '%s\n' 'auth required pam_env.so' >"$work/default/$1/system-auth"
    touch "$work/default/$1/REQUIREMENTS"
    cat >"$work/default/$1/nsswitch.conf" <<-'END'
		passwd:     files {if "with-altfiles":altfiles }systemd {exclude if "with-custom-passwd"}
		shadow:     files systemd
		group:      files systemd   {exclude if "with-merging"}
		group:      files [SUCCESS=merge] systemd [SUCCESS=merge] {include if "with-merging"}
		hosts:      files myhostname {if "with-mdns4":mdns4_minimal [NOTFOUND=return] }resolve [!UNAVAIL=return] dns
	END
    cat >"$work/default/$1/password-auth" <<-'END'
		auth        required   pam_env.so
		auth        sufficient pam_unix.so {if not "without-nullok":nullok}

		account     required   pam_access.so    {include if "with-pamaccess"}
		account     sufficient pam_localuser.so
		account     required   pam_unix.so

		password    required   pam_deny.so

		-session    optional   pam_systemd.so
		session     required   pam_unix.so
	END
}
# What authselect writes for FEATURE..., its templates' words with one space between them.
evaluated() { # evaluated FILE FEATURE...
    local file=$1 name
    shift
    for name in "$@"; do
        set -- "$@" -e "s/\{include if \"$name\"\}//; /\{exclude if \"$name\"\}/d" \
            -e "s/\{if \"$name\":([^{}|]*)\}/\1/g; s/\{if not \"$name\":[^{}|]*\}//g"
        shift
    done
    sed -E "$@" -e '/\{include if /d; s/\{exclude if [^{}]*\}//; s/\{if "[^{}|]*\}//g; s/\{if not "[^":]*":([^{}|]*)\}/\1/g' \
        "$work/custom/verimesh/$file" | sed -E 's/[[:space:]]+/ /g; s/ $//; /^$/d'
}
stands() { # stands LINE FILE FEATURE...
    local line=$1
    shift
    evaluated "$@" | grep -Fxq -- "$line" || fail "no '$line' in: $(evaluated "$@")"
}
make_profile() { packaging/authselect/authselect-profile "$@" >"$work/said" 2>&1; }

names_are_asked_before_the_network_and_accounts_last() {
    base local
    make_profile local || fail "$(cat "$work/said")"
    stands 'hosts: files verimesh [NOTFOUND=return] myhostname resolve [!UNAVAIL=return] dns' \
        nsswitch.conf with-verimesh
    stands 'passwd: files systemd verimesh' nsswitch.conf with-verimesh
    stands 'passwd: files altfiles systemd verimesh' nsswitch.conf with-verimesh with-altfiles
    stands 'group: files systemd verimesh' nsswitch.conf with-verimesh
    stands 'group: files [SUCCESS=merge] systemd [SUCCESS=merge] verimesh' nsswitch.conf with-verimesh with-merging
    stands 'shadow: files systemd' nsswitch.conf with-verimesh
}
names_come_before_a_resolver_that_stands_first() {
    base local
    sed -i 's/^hosts: .*/hosts: resolve [!UNAVAIL=return] files dns/' "$work/default/local/nsswitch.conf"
    make_profile local
    stands 'hosts: verimesh [NOTFOUND=return] resolve [!UNAVAIL=return] files dns' nsswitch.conf with-verimesh
}
the_gate_stands_first_in_account_and_session_only() {
    base local
    make_profile local
    diff - <(evaluated password-auth with-verimesh-gate) <<-'END' || fail 'not so'
		auth required pam_env.so
		auth sufficient pam_unix.so nullok
		account required pam_verimesh.so outside=ignore
		account sufficient pam_localuser.so
		account required pam_unix.so
		password required pam_deny.so
		session required pam_verimesh.so outside=ignore
		-session optional pam_systemd.so
		session required pam_unix.so
	END
    [ "$work/default/local/system-auth" -ef "$work/custom/verimesh/system-auth" ] || fail 'system-auth is another'
}
without_its_features_it_is_the_base() {
    base local
    make_profile local
    local file features
    for file in nsswitch.conf password-auth; do
        for features in '' 'with-altfiles with-merging' 'with-mdns4 with-pamaccess without-nullok'; do
            # shellcheck disable=SC2086 # words
            evaluated "$file" $features >"$work/mine"
            mv "$work/custom/verimesh" "$work/custom/made"
            ln -s "$work/default/local" "$work/custom/verimesh"
            # shellcheck disable=SC2086
            evaluated "$file" $features >"$work/theirs"
            rm "$work/custom/verimesh"
            mv "$work/custom/made" "$work/custom/verimesh"
            diff "$work/theirs" "$work/mine" || fail "$file with '$features' differs"
        done
    done
}
the_selected_profile_and_its_features_are_kept() {
    base sssd
    echo 'sssd with-altfiles without-nullok' >"$work/selected"
    make_profile || fail "$(cat "$work/said")"
    grep -qxF '    authselect select custom/verimesh with-altfiles without-nullok with-verimesh [with-verimesh-gate]' \
        "$work/said" || fail "$(cat "$work/said")"
    ! grep -q '^apply-changes' "$work/called" || fail 'it was applied'
}
made_again_it_takes_new_templates_and_applies_them() {
    base sssd
    make_profile sssd
    echo 'custom/verimesh with-verimesh' >"$work/selected"
    sed -i 's/pam_access.so /pam_other.so /' "$work/default/sssd/password-auth"
    make_profile || fail "$(cat "$work/said")"
    stands 'account required pam_other.so' password-auth with-pamaccess
    [ "$(tail -n 1 "$work/called")" = apply-changes ] || fail 'not applied'
    [ "$(ls "$work/custom")" = verimesh ] || fail "left: $(ls "$work/custom")"
}
a_profile_of_the_administrator_can_be_the_base() {
    base local
    mv "$work/default/local" "$work/custom/mine"
    make_profile custom/mine || fail "$(cat "$work/said")"
    echo 'custom/verimesh' >"$work/selected"
    make_profile || fail "$(cat "$work/said")"
    grep -q '^create-profile verimesh.new --base-on custom/mine ' "$work/called" || fail "$(cat "$work/called")"
}
what_cannot_be_done_leaves_the_old_profile() {
    base local
    make_profile local
    sed -i '/^hosts:/d' "$work/default/local/nsswitch.conf"
    ! make_profile local || fail 'it was made'
    grep -qx 'authselect-profile: local/nsswitch.conf has no hosts line' "$work/said" || fail "$(cat "$work/said")"
    grep -q '^hosts:' "$work/custom/verimesh/nsswitch.conf" || fail 'the old one is gone'
    [ "$(ls "$work/custom")" = verimesh ] || fail "left: $(ls "$work/custom")"
    ! make_profile || fail 'made of no profile'
    ! make_profile nosuch || fail 'made of a profile that is not there'
}
it_says_what_its_features_are() {
    base local
    make_profile local
    [ "$(head -n 1 "$work/custom/verimesh/README")" = 'Local users only, and Verimesh' ] || fail 'the name'
    grep -qx 'with-verimesh::' "$work/custom/verimesh/README" || fail 'with-verimesh'
    grep -qx 'with-verimesh-gate::' "$work/custom/verimesh/README" || fail 'with-verimesh-gate'
}

run_cases names_are_asked_before_the_network_and_accounts_last names_come_before_a_resolver_that_stands_first \
    the_gate_stands_first_in_account_and_session_only without_its_features_it_is_the_base \
    the_selected_profile_and_its_features_are_kept made_again_it_takes_new_templates_and_applies_them \
    a_profile_of_the_administrator_can_be_the_base what_cannot_be_done_leaves_the_old_profile \
    it_says_what_its_features_are
exit "$failed"
