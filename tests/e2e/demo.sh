#!/usr/bin/env bash
# demo.sh: two organisations mesh two hosts, one login is admitted and two are refused; narrated.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs from the repository's root, as root (`make demo`). Every command and its output is real.
# Exit status 0 only if each step gave what it must. May be sourced, for what its functions do.

# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

PLAIN='' BOLD='' GOOD='' BAD='' MARK=ok
if [ -t 1 ]; then
    PLAIN=$'\e[0m' BOLD=$'\e[1m' GOOD=$'\e[32m' BAD=$'\e[31m' MARK=✓
fi

say() {
    printf '  %s\n' "$@"
}

step() {
    STEP=$1
    printf '\n%s%s%s\n' "$BOLD" "$STEP" "$PLAIN"
}

# Runs a shell command on a host, as root or as USER@HOST; prints both sides, keeps OUT and STATUS.
run() {
    local host=${1#*@} user=${1%@*} prompt="$1\$"
    local command=(on "$host" bash -c "cd; $2")
    if [ "$user" = "$1" ]; then
        prompt="$1#"
    else
        command=(as "$user" "$host" bash -c "cd; $2")
    fi
    printf '  %s %s\n' "$BOLD$prompt" "${2//$'\n'/$'\n'  }$PLAIN"
    STATUS=0
    OUT=$("${command[@]}" 2>&1) || STATUS=$?
    [ -z "$OUT" ] || printf '    %s\n' "${OUT//$'\n'/$'\n'    }"
    [ "$STATUS" -eq 0 ] || printf '    (exit status %d)\n' "$STATUS"
}

failed() {
    local host
    for host in "${!HOST_PID[@]}"; do
        printf '  %s, end of its log:\n' "$host"
        host_log "$host" | tail -n 20 | sed 's/^/    /'
    done
    printf '%snot ok %s%s: %s\n' "$BAD" "$STEP" "$PLAIN" "$1"
    exit 1
}

# What the last command must have given: an exit status, and lines that match each expression.
gave() {
    local status=$1 expression
    shift
    [ "$STATUS" -eq "$status" ] || failed "exit status $STATUS, not $status"
    for expression in "$@"; do
        grep -Eq -- "$expression" <<<"$OUT" || failed "no line matches: $expression"
    done
}

last_answer() {
    on "$1" grep pam_verimesh /var/log/messages | tail -n 1 | grep -Eq "$2"
}

# What the PAM module said last must match; the log follows a moment behind.
logged() {
    soon last_answer "$1" "$2" || true
    run "$1" 'grep pam_verimesh /var/log/messages | tail -n 1'
    gave 0 "$2"
}

passed() {
    printf '%s%s %s%s\n' "$GOOD" "$MARK" "$STEP" "$PLAIN"
}

# Both hosts up, each with its own address on one network; nothing of a mesh yet.
demo_hosts() {
    step 'two hosts, two organisations, one network'
    host_start web1 192.0.2.1
    host_start db1 192.0.2.2
    run web1 'ip -4 route'
    gave 0 '^192\.0\.2\.0/24 dev eth0 '
    run alice@web1 'ssh 192.0.2.2 true'
    gave 255
    say "sshd on db1 asks verimesh about every login, and so far admits nobody."
    passed
}

demo_identities() {
    step 'each organisation makes its identity and its host a tunnel card'
    run web1 'verimesh init web1 --self clinic-a --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login alice'
    gave 0
    run db1 'verimesh init db1 --self clinic-b --endpoint 192.0.2.2:51820 --addr 10.77.2.5 --login alice'
    gave 0
    passed
}

# Carries what FROM's organisation exports to TO, which verifies and imports it; sets AID.
demo_carry() {
    local from=$1 to=$2 file=$3
    run "$from" "verimesh export > $file"
    gave 0
    say "($file goes to $to by mail, by disk or from a web server: it proves itself)"
    on "$from" cat "/root/$file" | on "$to" tee "/root/$file" >/dev/null
    run "$to" "verimesh verify --json $file"
    gave 0 '^\{"aid":"E'
    AID=$(sed -n 's/^{"aid":"\([^"]*\)".*/\1/p' <<<"$OUT")
    run "$to" "verimesh import - < $file"
    gave 0
}

demo_exchange() {
    step 'they exchange key event logs and verify them'
    SECONDS=0
    demo_carry web1 db1 clinic-a.cesr
    SECONDS_CARRY=$SECONDS
    AID_A=$AID
    demo_carry db1 web1 clinic-b.cesr
    AID_B=$AID
    passed
}

demo_policy() {
    step 'each administrator allows the other organisation what it may'
    run db1 "cat >> /etc/verimesh/verimesh.conf << END

[Peer clinic-a]
AID = $AID_A
AllowedIPs = 10.77.1.0/24
Logins = alice bob
END"
    gave 0
    run web1 "cat >> /etc/verimesh/verimesh.conf << END

[Peer clinic-b]
AID = $AID_B
AllowedIPs = 10.77.2.0/24
END"
    gave 0
    passed
}

demo_up() {
    step 'the tunnels come up'
    run web1 'verimesh up'
    gave 0
    run db1 'verimesh up'
    gave 0
    run web1 'wg show verimesh0'
    gave 0 '^interface: ' '^peer: ' 'endpoint: 192\.0\.2\.2:51820' '10\.77\.2\.5/32' 'fd[0-9a-f:]+/128'
    passed
}

demo_names() {
    step "db1 has a name on web1, an alias and a way back"
    run web1 'getent hosts db1.clinic-b.mesh.internal'
    gave 0 '^fd[0-9a-f:]+ +db1\.clinic-b\.mesh\.internal'
    ADDRESS_B=${OUT%% *}
    run web1 "getent ahostsv4 db1.clinic-b.mesh.internal"
    gave 0 '^10\.77\.2\.5 '
    run web1 "getent hosts db1.$AID_B.mesh.internal"
    gave 0 "^$ADDRESS_B +db1\.clinic-b\.mesh\.internal.* db1\.$AID_B\.mesh\.internal"
    run web1 "getent hosts $ADDRESS_B"
    gave 0 "^$ADDRESS_B +db1\.clinic-b\.mesh\.internal"
    run web1 'getent hosts nobody.clinic-b.mesh.internal'
    gave 2
    passed
}

demo_admitted() {
    step 'alice of clinic-a may log in: the tunnel says whose host she comes from'
    run alice@web1 "ssh db1.clinic-b.mesh.internal 'id -un; hostname; echo \$SSH_CONNECTION'"
    gave 0 '^alice$' '^db1$' '^fd[0-9a-f:]+ [0-9]+ fd[0-9a-f:]+ 22$'
    ADDRESS_A=$(sed -n 's/^\(fd[^ ]*\) .*/\1/p' <<<"$OUT")
    logged db1 'admitted account=alice .* host=web1\.clinic-a'
    run db1 "getent hosts $ADDRESS_A"
    gave 0 'web1\.clinic-a\.mesh\.internal'
    run db1 'wg show verimesh0 latest-handshakes'
    gave 0 '=\s[1-9]'
    passed
}

demo_refused() {
    step "bob may not: clinic-a's card of web1 has no such login"
    run alice@web1 'ssh bob@db1.clinic-b.mesh.internal id -un'
    gave 255
    logged db1 'refused account=bob .* host=web1\.clinic-a'
    passed
}

demo_outside() {
    step 'nor may alice from outside the mesh, over the bare network'
    run alice@web1 'ssh 192.0.2.2 id -un'
    gave 255
    logged db1 'refused account=alice from=192\.0\.2\.1: .* outside the mesh'
    passed
}

demo_gate() {
    step 'the gate explains each decision'
    run db1 "verimesh gate --user alice --from $ADDRESS_A"
    gave 0
    run db1 "verimesh gate --user bob --from $ADDRESS_A"
    gave 1
    run db1 'verimesh gate --user alice --from 192.0.2.1'
    gave 1
    passed
}

demo_keyring() {
    step "the keys are in the kernel's keyring, root's alone"
    run db1 "keyctl show \$(cat /run/verimesh/verimesh0.ring)"
    gave 0 'keyring: verimesh:verimesh0' 'user: tunnel' 'keyring: peers:' 'user: [A-Za-z0-9+/]{43}='
    passed
}

# Keys change while lines run through an ssh session and a number every 20 ms; SECONDS_CARRY is how long
# it takes to carry a log.
demo_rotation() {
    local ahead=$((4 + 3 * SECONDS_CARRY)) transfer probe
    step 'the keys rotate under a running transfer: tunnel, names and logins stay'
    run web1 'verimesh watch > watch.log 2>&1 &'
    run db1 'verimesh watch > watch.log 2>&1 &'
    cp tests/e2e/silence.py "$LAB/web1/root/usr/local/bin/"
    cp tests/e2e/silence.py "$LAB/db1/root/usr/local/bin/"
    on db1 silence.py answer 7777 &
    probe=$!
    run db1 "wg show verimesh0 peers"
    gave 0
    say 'alice sends lines to db1 by ssh, ten a second.'
    as alice web1 ssh db1.clinic-b.mesh.internal 'wc -l' >"$LAB/transfer" 2>&1 \
        < <(for ((i = 0; i < 10 * (ahead + 4); i++)); do echo "$i" && sleep 0.1; done) &
    transfer=$!
    run web1 "verimesh rotate --at ${ahead}s"
    gave 0 'web1\.clinic-a: key [A-Za-z0-9+/]{43}= from '
    NEXT_A=$(sed -n 's/^web1.clinic-a: key \([^ ]*\) from .*/\1/p' <<<"$OUT")
    demo_carry web1 db1 clinic-a.cesr
    run web1 "silence.py ask db1.clinic-b.mesh.internal 7777 $((ahead + 2))"
    gave 0 'came back, longest silence [0-9]+ ms'
    SILENCE=${OUT##* silence }
    run db1 "wg show verimesh0 peers"
    gave 0
    [ "$OUT" = "$NEXT_A" ] || failed "db1 knows web1 by $OUT"
    wait "$transfer"
    say "The transfer went on: of $((10 * (ahead + 4))) lines $(cat "$LAB/transfer") came."
    [ "$(cat "$LAB/transfer")" = $((10 * (ahead + 4))) ] || failed 'lines are missing'
    run alice@web1 "ssh db1.clinic-b.mesh.internal 'id -un'"
    gave 0 '^alice$'
    logged db1 'admitted account=alice .* host=web1\.clinic-a'
    kill "$probe"
    run web1 'pkill verimesh'
    run db1 'pkill verimesh'
    say "The longest silence in the tunnel was $SILENCE."
    passed
}

demo_down() {
    step 'down again: no interface, no key is left'
    local host
    for host in web1 db1; do
        run "$host" 'verimesh down; ip -brief link'
        gave 0
        ! grep -q verimesh0 <<<"$OUT" || failed 'the interface is still there'
        run "$host" 'keyctl search @u keyring verimesh:verimesh0'
        gave 1
    done
    passed
}

demo() {
    demo_hosts
    demo_identities
    demo_exchange
    demo_policy
    demo_up
    demo_names
    demo_admitted
    demo_refused
    demo_outside
    demo_gate
    demo_keyring
}

if [ "$0" = "${BASH_SOURCE[0]}" ]; then
    demo
    demo_rotation
    demo_down
fi
