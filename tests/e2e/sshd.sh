# shellcheck shell=bash
# sshd.sh: a mesh of web1 and db1, logins of web1's alice at db1, and what the gate said of each.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2034 # V4 and the like are for who sources this
#
# Sourced, from the repository's root, by the tests of the real sshd.
#     comes [USER@]ADDRESS [OPTION...]    tries a login by ssh, to run `id -un`, from CLIENT (web1)
# It must end as told, and db1's gate must have said that, on authpriv, and nothing else:
#     let_in ADDRESS [HOST]               admitted from there, as alice of HOST (web1)
#     kept_out ADDRESS: REASON            refused; all that is logged behind "account=alice from="
#     said LINE...                        these lines, in full but for time, host and process
# A login that must be refused stands beside the same one let in, or it would prove nothing.

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# By host: its name, the AID of its organisation, the sn of its card, its public key.
declare -A NAME=() AIDS=() SN=() KEY=()
V4=10.77.2.5 FROM_V4=10.77.1.5 # db1 and web1 on the mesh
SAID=0 # lines of the gate's that were looked at

# The mesh, where alice of web1 becomes alice, and bob is no login of web1's. The tests' sshd has one
# line of the gate in PAM, in account, where it belongs.
sshd_mesh() {
    demo_hosts
    demo_identities
    demo_exchange
    demo_policy
    demo_up
    NAME=([web1]=web1.clinic-a.mesh.internal)
    AIDS=([web1]=$AID_A)
    SN=([web1]=1)
    KEY=([web1]=$(on web1 wg show verimesh0 public-key))
    V6=$(on web1 getent hosts db1.clinic-b.mesh.internal | cut -d ' ' -f 1)
    FROM_V6=$(on db1 getent hosts web1.clinic-a.mesh.internal | cut -d ' ' -f 1)
    sshd_lines | service sshd
    SAID=$(gate_lines | wc -l)
}

sshd_lines() {
    printf '%s pam_unix.so\n' 'auth required' 'account required' 'session required'
    echo 'account required pam_verimesh.so'
}

# Writes the lines of a PAM service on db1.
service() {
    on db1 tee "/etc/pam.d/$1" >/dev/null
}

# What the gate on db1 has said. From 9.8 on the process is not called sshd.
gate_lines() {
    on db1 sed -nE 's/^.{15} db1 ([a-z.]+) [a-z-]+\[[0-9]+\]: (pam_verimesh\()/\1 \2/p' /var/log/messages
}

news() {
    gate_lines | tail -n "+$((SAID + 1))"
}

news_are() {
    [ "$(news)" = "$1" ]
}

# The log follows a moment behind.
said() {
    local line lines
    lines=$(printf '%s\n' "$@")
    soon news_are "$lines" || failed "the gate said $(news)"$'\n'"and not $lines"
    for line in "$@"; do
        printf '    gate: %s\n' "$line"
    done
    SAID=$((SAID + $#))
}

# Whose tunnel it is, of a host.
whose() {
    printf 'host=%s aid=%s sn=%s key=%s' "${NAME[$1]}" "${AIDS[$1]}" "${SN[$1]}" "${KEY[$1]}"
}

# The line of a login of alice's from an address of a host, admitted in a phase; and of one refused.
admitted() {
    printf 'authpriv.info pam_verimesh(sshd:%s): admitted account=alice from=%s ' "$1" "$2"
    printf '%s: login alice of %s becomes alice' "$(whose "$3")" "${NAME[$3]}"
}

refused() {
    printf 'authpriv.notice pam_verimesh(sshd:%s): refused account=%s from=%s' "$1" "$2" "$3"
}

comes() {
    run "alice@${CLIENT:-web1}" "ssh $* id -un"
}

let_in() {
    gave 0 '^alice$'
    said "$(admitted account "$1" "${2:-web1}")"
}

kept_out() {
    gave 255 '^This login is not admitted here\.'
    said "$(refused account alice "$1")"
}
