#!/usr/bin/env bash
# test_sessions.sh: sudo and su live by the login's record; require_ssh_key; what users forge.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # what stands in such quotes is for a host

# The audit session of whoever runs this, if any: pam_loginuid on the hosts could not give others.
[ "$(id -u)" -ne 0 ] || echo 4294967295 2>/dev/null >/proc/self/loginuid || true

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# A login of alice's over the mesh that stays: login begins it, inside runs a command in it as run does.
login() {
    coproc LOGIN { as alice web1 ssh -q db1.clinic-b.mesh.internal 'exec bash' 2>&1; }
    LOGIN_SSH=$LOGIN_PID # which is unset once it ended
    inside 'id -un; cat /proc/self/sessionid'
    gave 0 '^alice$'
    SESSION=$(tail -n 1 <<<"$OUT")
}

inside() {
    local line
    printf '  %salice@db1, in her login$ %s%s\n' "$BOLD" "$1" "$PLAIN"
    OUT=''
    printf 'OUT=$({ %s; } 2>&1); printf "%%s\\nend %%d\\n" "$OUT" $?\n' "$1" >&"${LOGIN[1]}"
    while read -r -t 20 line <&"${LOGIN[0]}" && [[ $line != end\ * ]]; do
        OUT+=$line$'\n'
    done
    OUT=${OUT%$'\n'} STATUS=${line#end }
    [ -z "$OUT" ] || printf '    %s\n' "${OUT//$'\n'/$'\n'    }"
    [ "$STATUS" = 0 ] || printf '    (exit status %s)\n' "$STATUS"
}

logout() {
    echo exit >&"${LOGIN[1]}"
    wait "$LOGIN_SSH" || true
}

# The record of alice's login: there, or none.
record() {
    on db1 sh -c "keyctl pipe \$(keyctl search \$(cat /run/verimesh/verimesh0.ring) user session:$SESSION)" 2>&1
}

no_record() {
    ! record >/dev/null
}

# Writes the lines of a PAM service on db1.
service() {
    on db1 tee "/etc/pam.d/$1" >/dev/null
}

sshd_with() {
    service sshd <<END
account required   pam_verimesh.so $1
account required   pam_unix.so
session required   pam_loginuid.so
$2
END
}

# web1's card, with these options, gets to db1.
web1_card() {
    run web1 "verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 $1"
    gave 0
    demo_carry web1 db1 clinic-a.cesr
    run db1 'verimesh sync'
    gave 0
}

demo_hosts
demo_identities
demo_exchange
demo_policy
demo_up

if ! on db1 sh -c 'echo 2001 >/proc/self/loginuid; [ "$(cat /proc/self/sessionid)" != 4294967295 ]' 2>/dev/null; then
    echo "skip sessions: a process here cannot get an audit session: $(cat /proc/self/loginuid) is its loginuid, and to stay"
    exit 0
fi

step 'db1: sshd leaves records of logins, sudo and su ask for them'
sshd_with '' 'session required   pam_verimesh.so'
service sudo <<'END'
account required   pam_verimesh.so session
account required   pam_unix.so
END
service su <<'END'
auth    sufficient pam_permit.so
account required   pam_verimesh.so session
account required   pam_unix.so
END
service login <<'END'
account required   pam_verimesh.so
account required   pam_unix.so
session required   pam_loginuid.so
session required   pam_verimesh.so
END
on db1 sh -c 'echo 127.0.1.1 db1 >>/etc/hosts; echo "alice ALL = (ALL) NOPASSWD: ALL" >/etc/sudoers.d/alice; chmod 440 /etc/sudoers.d/alice'
passed

step 'in a login over the mesh sudo and su work, and it says where it is from'
login
inside 'env | grep ^VERIMESH_ | sort'
gave 0 "^VERIMESH_AID=$AID_A\$" '^VERIMESH_HOST=web1\.clinic-a\.mesh\.internal$' '^VERIMESH_LOGIN=alice$'
[ "$(record)" = "alice alice web1.clinic-a.mesh.internal $(on web1 wg show verimesh0 public-key)" ] ||
    failed "the record: $(record)"
inside 'sudo -n id -un'
gave 0 '^root$'
logged db1 'admitted account=alice from=- host=web1\.clinic-a\.mesh\.internal .* becomes alice$'
inside 'su bob -c "id -un"'
gave 0 '^bob$'
passed

step 'nobody else has a part in it: who she became, and who is no part of the login'
inside 'su bob -c "sudo -n true; su alice -c true"'
gave 1
logged db1 'refused account=bob .*: session:[0-9]+ is of account alice$'
run alice@db1 'sudo -n id -un'
gave 1
logged db1 'refused account=alice from=-: this process is of no audit session$'
passed

step 'a console login goes on as before, and has no record for sudo and su'
run db1 'pamtester login alice acct_mgmt open_session close_session'
gave 0
run db1 'echo 2001 > /proc/self/loginuid; setpriv --reuid alice --regid alice --init-groups sudo -n id -un'
gave 1
logged db1 'refused account=alice from=-: session:[0-9]+ in the keyring: Required key not available$'
run db1 'su - alice -c "id -un; sudo -n id -un"'
gave 1 '^alice$'
logged db1 'refused account=alice from=-: this process is of no audit session$'
passed

step 'nor has a login from elsewhere, let in by the administrator'
sshd_with outside=ignore 'session required   pam_verimesh.so outside=ignore'
run alice@web1 'ssh 192.0.2.2 "env | grep ^VERIMESH; sudo -n id -un"'
gave 1
! grep -q '^VERIMESH' <<<"$OUT" || failed 'the environment speaks of the mesh'
logged db1 'refused account=alice from=-: session:[0-9]+ in the keyring: Required key not available$'
sshd_with '' 'session required   pam_verimesh.so'
passed

step 'logged out: the record is revoked, and what was left running has no sudo any more'
inside 'setsid nohup sh -c "until [ -e /tmp/go ]; do sleep 0.05; done; sudo -n id -un; echo \$? >/tmp/went" >/tmp/said 2>&1 & sleep 0.2; sudo -n id -un'
gave 0 '^root$'
logout
soon no_record || failed 'the record is still there'
run db1 'touch /tmp/go'
soon on db1 test -s /tmp/went || failed 'it did not go on'
run db1 'cat /tmp/said /tmp/went'
gave 0 '^1$'
! grep -q '^root$' <<<"$OUT" || failed 'it had sudo'
logged db1 "refused account=alice from=-: session:$SESSION in the keyring: Key has been revoked\$"
passed

step 'a new login does not revive it'
on db1 rm -f /tmp/go /tmp/went
login
inside 'setsid nohup sh -c "until [ -e /tmp/go ]; do sleep 0.05; done; sudo -n id -un; echo \$? >/tmp/went" >/tmp/said 2>&1 & sleep 0.2'
gave 0
logout
soon no_record || failed 'the record is still there'
login
inside 'sudo -n id -un; touch /tmp/go; until [ -s /tmp/went ]; do sleep 0.05; done; cat /tmp/went'
gave 0 '^root$' '^1$'
passed

step 'web1 is withdrawn while alice is logged in: within a second she has no sudo'
inside 'setsid nohup sh -c "while sleep 0.1; do sudo -n true; echo \$?; done" >/tmp/tries 2>/dev/null & sleep 0.5; cat /tmp/tries'
gave 0 '^0$'
run web1 'verimesh withdraw web1'
gave 0
demo_carry web1 db1 clinic-a.cesr
run db1 'verimesh sync; sleep 1; tail -n 1 /tmp/tries'
gave 0 '^1$'
logged db1 "refused account=alice from=- key=[^ ]*: key [^ ]* in the keyring: "
[ -n "$(record)" ] || failed 'the login had ended before'
on db1 pkill -u alice
kill "$LOGIN_SSH" 2>/dev/null || true
wait "$LOGIN_SSH" || true
passed

step 'require_ssh_key: a key on the card opens the session, another that sshd accepts does not'
run alice@web1 'ssh-keygen -q -t ed25519 -N "" -C new -f .ssh/new; cat .ssh/new.pub'
gave 0
on db1 tee -a /home/alice/.ssh/authorized_keys >/dev/null <<<"$OUT"
web1_card '--login alice=/home/alice/.ssh/new.pub'
ssh_by='ssh -o IdentitiesOnly=yes db1.clinic-b.mesh.internal -i .ssh/'
run alice@web1 "${ssh_by}id_ed25519 true && ${ssh_by}new true"
gave 0
sshd_with '' 'session required   pam_verimesh.so require_ssh_key'
run alice@web1 "${ssh_by}new 'id -un; sudo -n id -un'"
gave 0 '^alice$' '^root$'
run alice@web1 "${ssh_by}id_ed25519 'id -un; touch /tmp/was-here'"
[ "$STATUS" -ne 0 ] || failed 'that key was let in'
logged db1 'refused account=alice .* no login of web1\.clinic-a\.mesh\.internal becomes alice by the SSH key that was shown$'
! on db1 test -e /tmp/was-here || failed 'its command ran'
passed

step 'what users write in ~/.pam_environment changes nothing'
on db1 tee /home/alice/.pam_environment >/dev/null <<END
FORGED DEFAULT=forged
SSH_CONNECTION DEFAULT="10.77.1.5 1 10.77.2.5 22"
SSH_AUTH_INFO_0 DEFAULT="publickey $(on web1 cut -d ' ' -f 1,2 /home/alice/.ssh/new.pub)"
END
on db1 chown alice: /home/alice/.pam_environment
sshd_with outside=ignore 'auth    required   pam_env.so user_readenv=1
session required   pam_env.so user_readenv=1
session required   pam_verimesh.so'
run alice@web1 'ssh 192.0.2.2 "touch /tmp/was-here"'
[ "$STATUS" -ne 0 ] || failed 'a login from outside was let in'
logged db1 'refused account=alice from=192\.0\.2\.1: 192\.0\.2\.1 is outside the mesh$'
run alice@web1 "${ssh_by}new 'env | grep -E \"^(FORGED|VERIMESH)\" | sort'"
gave 0 '^FORGED=forged$' '^VERIMESH_LOGIN=alice$'
logged db1 'admitted account=alice from=fd[0-9a-f:]+ host=web1'
sshd_with '' 'auth    required   pam_env.so user_readenv=1
session required   pam_verimesh.so require_ssh_key
session required   pam_env.so user_readenv=1'
run alice@web1 "${ssh_by}id_ed25519 'touch /tmp/was-here'"
[ "$STATUS" -ne 0 ] || failed 'that key was let in'
run alice@web1 "${ssh_by}new 'sudo -n id -un; env | grep ^FORGED'"
gave 0 '^root$' '^FORGED=forged$'
! on db1 test -e /tmp/was-here || failed 'a command ran'
passed
