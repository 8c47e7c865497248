#!/usr/bin/env bash
# test_command.sh: the command by what goes in and what comes out: status, lines, files.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_command.sh   from the repository's root; B=build: the folder with verimesh
# Each host is a directory for --root. As root it runs all again as nobody.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C
umask 022

B=${B:-build}
VECTORS=$PWD/tests/vectors
work=$(mktemp -d)
verimesh=$work/verimesh
cp "$B/verimesh" "$verimesh"
chmod 755 "$work" "$verimesh"
interface=vt$((SRANDOM % 1000000))
who=$(id -un)
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh
# shellcheck source=tests/modules/command.sh
. tests/modules/command.sh

# The kernel's keyring belongs to root; a container may have none.
keyring=no
[ "$(id -u)" -ne 0 ] || ! keyctl show @u >/dev/null 2>&1 || keyring=yes

finish() {
    local ring
    if [ "$keyring" = yes ] && ring=$(keyctl search @u keyring "verimesh:$interface" 2>/dev/null); then
        keyctl unlink "$ring" @u
    fi
    rm -rf "$work"
}
trap finish EXIT

# ---- calling it ----

verbs='init key issue withdraw rotate export verify import sync up down show check gate'

each_verb_explains_itself() {
    for verb in $verbs; do
        run 0 "$verb" --help
        quiet err
        grep -q "^verimesh $verb" "$work/out" || fail "$verb --help"
        run 0 "$verb" -h
    done
    run 0 --help
    for verb in $verbs; do
        grep -q "^  verimesh $verb" "$work/out" || fail "--help leaves out $verb"
    done
    run 0 --version
    quiet err
    run 2
}

# Each gives 2, one line on stderr that says how to get help, and nothing on stdout.
a_wrong_call_is_2() {
    local root call
    root=$(host usage)
    organisation "$root" a db1
    while read -r call; do
        # shellcheck disable=SC2086
        run 2 $call
        quiet out
        [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$call: $(cat "$work/err")"
        # shellcheck disable=SC2086
        case $call in
        *ROOT*) ;;
        *)
            run 2 $call --root "$root"
            quiet out
            ;;
        esac
    done <<'END'
frobnicate
--frobnicate
INIT
init
init a b
init A
init -
init a.b
init a --self
init a --self A
init a --self b --self c
init a --frobnicate
init a --addr
init a --addr 10.0.0.1/8
init a --addr 010.0.0.1
init a --addr ::FFFF
init a --route 0.0.0.0/0
init a --route 10.0.0.1/8
init a --route 10.0.0.1
init a --endpoint example.org:51820
init a --endpoint 192.0.2.1
init a --endpoint 192.0.2.1:0
init a --login Alice
init a --login =x
init a --until yesterday
init a --until 2020-01-01T00:00:00Z
init a --until 2026-02-30T00:00:00Z
init a --until 99999999d
init a --until -1d
init a --until 0s
init a --until 1d --until 2d
init a --from soon
init a --from 1970-01-01T00:00:00.000000+10:00
init a --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
init a --key x
init a --journal x
init a --endpoint 192.0.2.1:1","logins":["x
init a --login a","b
init a --journal D"
init a --addr 10.0.0.1\
issue
issue a b
issue a --self b
issue a --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8
issue a --aid EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2
issue a --aid EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
issue a --aid CDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
init a --aid EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2
withdraw
withdraw a b
withdraw A
withdraw a --aid
withdraw a --aid a
withdraw a --self b
withdraw a --until 1d
withdraw a --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
rotate a
rotate --at
rotate --at soon
rotate --recover
rotate --recover x
rotate --recover -1
rotate --recover 99999999999999999999
rotate --next
rotate --key hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
key a
key --new
key --renew a
--root
--root /ROOT/that/is/not/there init a
export x
export --json
verify
verify --json
verify a b
verify --jason x
verify --json --json
import
import a b
import --force
sync x
sync --force
up x
down x
gate
gate --user alice
gate --from 10.0.0.1
gate --user alice --from 10.0.0.256
gate --user alice --from db1
gate --user alice --from 10.0.0.1 x
gate --user alice --from
gate --who alice --from 10.0.0.1
sync --root
sync --root=
sync --root /ROOT/that/is/not/there
END
}

what_it_is_called_with_is_not_echoed_raw() {
    run 2 $'\e[31mred'
    run 2 init a --addr $'\e[31mred'
    run 3 verify $'/\e[31mred\nverimesh: all is well'
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail 'two lines'
}

# ---- init ----

init_makes_an_identity_and_a_card() {
    local root
    root=$(host init)
    run 0 init db1 --self clinic-a --addr 10.77.1.5 --route 10.80.0.0/16 --login alice --root "$root"
    quiet err
    grep -qx "identity $(aid "$root")" "$work/out" || fail "no identity: $(cat "$work/out")"
    printed 'no witnesses'
    run 0 export --root "$root"
    cp "$work/out" "$work/stream"
    run 0 verify --json "$work/stream"
    printed "^\\{\"aid\":\"$(aid "$root")\",\"sn\":1,.*\"witnesses\":\\[\\]"
    grep -aq '"addr":\["10.77.1.5"\],"routes":\["10.80.0.0/16"\],"logins":\["alice"\]' "$work/stream"
    sed -i "s/^#Name = .*/Name = $interface/" "$(conf "$root")"
    synced "$root"
    knows "$root" "db1.clinic-a.mesh.internal"
    knows "$root" "db1.$(aid "$root").mesh.internal"
}

its_files_have_their_modes_under_any_umask() {
    local root mask list
    for mask in 000 022 077; do
        root=$(host umask)
        (umask "$mask" && run 0 init db1 --root "$root")
        sed -i "s/^#Name = .*/Name = $interface/" "$(conf "$root")"
        synced "$root"
        list=$(cd "$root" && find . -mindepth 1 -printf '%m %P\n' | sed 's/E[^ ]\{43\}/AID/' | sort -k 2)
        diff <(echo "$list" | grep -v ' run\| .*\.cdb') - <<'END' || fail "umask $mask"
755 etc
755 etc/verimesh
644 etc/verimesh/verimesh.conf
755 var
755 var/lib
755 var/lib/verimesh
700 var/lib/verimesh/identity
600 var/lib/verimesh/identity/aid
600 var/lib/verimesh/identity/events
600 var/lib/verimesh/identity/next
600 var/lib/verimesh/identity/seed
600 var/lib/verimesh/identity/tunnel
755 var/lib/verimesh/kel
644 var/lib/verimesh/kel/AID.cesr
644 var/lib/verimesh/ledger
600 var/lib/verimesh/lock
644 var/lib/verimesh/verified
END
        [ "$(stat -c %a "$(map "$root")")" = 644 ] || fail 'the map'
        [ -z "$(find "$root" ! -user "$who")" ] || fail "owners"
    done
}

a_second_init_is_refused() {
    local root before
    root=$(host second)
    organisation "$root" a db1
    before=$(state "$root")
    run 3 init db1 --root "$root"
    says "verimesh: /var/lib/verimesh/identity: holds $(aid "$root") already; use verimesh issue for cards"
    quiet out
    run 3 init db2 --self b --root "$root"
    unchanged "$before" "$root"
}

# A call that fails leaves no configuration that the next one would stumble over.
a_failed_init_can_be_repeated() {
    local root addrs='' i
    root=$(host failed)
    for i in $(seq 17); do
        addrs="$addrs --addr 10.0.0.$i"
    done
    # shellcheck disable=SC2086
    run 2 init db1 $addrs --root "$root"
    matches 'verimesh: init: bad or too many in "addr": .*'
    [ ! -e "$(conf "$root")" ] || fail 'a configuration was written'
    [ ! -e "$root/var/lib/verimesh/identity/seed" ] || fail 'a seed was written'
    run 0 init web1 --self b --root "$root"
    run 0 export --root "$root"
}

init_obeys_the_configuration_that_is_there() {
    local root
    root=$(host there)
    mkdir -p "$root/etc/verimesh"
    printf '[Interface]\nSelf = a\nHost = db1\nName = %s\n' "$interface" >"$(conf "$root")"
    run 2 init web1 --root "$root"
    says "verimesh: $(conf "$root"): Host is db1, not web1; make them agree"
    run 2 init db1 --self b --root "$root"
    says "verimesh: $(conf "$root"): Self is a, not b; make them agree"
    echo 'Colour = red' >>"$(conf "$root")"
    run 2 init db1 --root "$root"
    matches "verimesh: $(conf "$root"):5: unknown key \"Colour\" .*"
    sed -i '$d' "$(conf "$root")"
    printf '[Peer a]\nAID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2\n' >>"$(conf "$root")"
    run 2 init db1 --root "$root"
    says "verimesh: $(conf "$root"):5: [Peer a] has an AID already; remove it there to make a new identity"
    [ ! -e "$root/var/lib/verimesh/identity" ] || fail 'an identity was made'
    sed -i '5,$d' "$(conf "$root")"
    run 0 init db1 --root "$root"
    [ "$(wc -l <"$(conf "$root")")" -eq 4 ] || fail 'the configuration was written over'
}

seeds_without_their_aid_are_not_written_over() {
    local root before verb
    root=$(host halved)
    organisation "$root" a db1
    rm "$root/var/lib/verimesh/identity/aid"
    before=$(state "$root")
    for verb in 'init db1' 'issue db1' export sync; do
        # shellcheck disable=SC2086
        run 3 $verb --root "$root"
        matches "verimesh: $root/var/lib/verimesh/identity/seed: is there without its aid; restore .*"
    done
    unchanged "$before" "$root"
}

# ---- issue, export ----

issue_replaces_a_card() {
    local root
    root=$(host issue)
    organisation "$root" a db1 --addr 10.0.0.1
    run 0 issue db1 --addr 10.0.0.2 --endpoint '[2001:db8::7]:51820' --until never --root "$root"
    quiet err
    run 0 export --root "$root"
    cp "$work/out" "$work/stream"
    run 0 verify --json "$work/stream"
    printed '"sn":2,'
    grep -aEq '"a":\[\{"i":"E.{43}","s":"1","d":"E.{43}"\}\]' "$work/stream" || fail 'nothing was voided'
    [ "$(grep -ao '"key":"C.\{43\}"' "$work/stream" | sort -u | wc -l)" -eq 1 ] || fail 'the key changed'
    [ "$(grep -ao '"until"' "$work/stream" | wc -l)" -eq 1 ] || fail 'until'
}

issue_for_another_host_needs_its_key() {
    local root key=hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8= before
    root=$(host other)
    organisation "$root" a db1
    before=$(state "$root")
    run 2 issue web1 --root "$root"
    matches 'verimesh: web1: is not this host \(Host in verimesh.conf\); give its --key'
    run 2 issue db1 --key "$key" --root "$root"
    says 'verimesh: --key: is for other hosts; this one has its own'
    unchanged "$before" "$root"
    run 0 issue web1 --key "$key" --login alice --login bob --login alice --root "$root"
    synced "$root"
    knows "$root" web1.a.mesh.internal
    run 0 export --root "$root"
    grep -aq '"host":"web1","key":"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_".*"logins":\["alice","bob"\]' \
        "$work/out" || fail 'the card'
}

keys_come_out_of_files() {
    local root key
    root=$(host keys)
    organisation "$root" a db1
    if ! command -v ssh-keygen >/dev/null; then
        echo 'ssh-keygen is not there' >"$work/skip"
        return
    fi
    ssh-keygen -q -t ed25519 -N '' -C 'a comment' -f "$work/key"
    ssh-keygen -q -t ecdsa -N '' -f "$work/ecdsa"
    ln -s key.pub "$work/link.pub"
    head -c 5000 /dev/urandom >"$work/rosenpass"
    run 0 issue db1 --login "alice=$work/key.pub" --login "bob=$work/link.pub" \
        --hostkey "$work/key.pub" --rosenpass "$work/rosenpass" --root "$root"
    run 0 export --root "$root"
    key=$(cut -d ' ' -f 2 "$work/key.pub" | base64 -d | tail -c 32 | base64 | tr '+/' '-_' | tr -d =)
    # in front of a key of 32 bytes CESR puts a zero byte, so that only its last characters agree
    key=$( (printf '\0'; cut -d ' ' -f 2 "$work/key.pub" | base64 -d | tail -c 32) | base64 -w 0 | tr '+/' '-_')
    key=D${key#?}
    grep -aqF "\"loginkeys\":[\"alice:$key\",\"bob:$key\"],\"hostkeys\":[\"$key\"]" "$work/out" || fail "$key"
    run 2 issue db1 --hostkey "$work/ecdsa.pub" --root "$root"
    run 2 issue db1 --hostkey "$work/key" --root "$root"
    run 2 issue db1 --hostkey "$work/rosenpass" --root "$root"
    run 3 issue db1 --hostkey "$work/not-there" --root "$root"
    run 3 issue db1 --hostkey "$work" --root "$root"
}

without_an_identity_there_is_nothing_to_issue() {
    local root
    root=$(host none)
    run 3 export --root "$root"
    says 'verimesh: /var/lib/verimesh/identity: this host holds no identity; make one with verimesh init'
    run 3 issue db1 --root "$root"
    matches "verimesh: $(conf "$root"): is missing; write it, or let .verimesh init. on the first host"
    mkdir -p "$root/etc/verimesh"
    printf '[Interface]\nSelf = a\nHost = db1\n' >"$(conf "$root")"
    run 3 issue db1 --root "$root"
    matches 'verimesh: /var/lib/verimesh/identity: this host holds no identity; make one with verimesh init'
    quiet out
}

a_lost_log_is_told() {
    local root
    root=$(host lost)
    organisation "$root" a db1
    rm "$root"/var/lib/verimesh/kel/*
    run 3 export --root "$root"
    matches "verimesh: /var/lib/verimesh/kel: no log of $(aid "$root"); restore it from a backup"
    quiet out
    : >"$root/var/lib/verimesh/kel/$(aid "$root").cesr"
    run 3 export --root "$root"
    quiet out
    run 3 issue db1 --root "$root"
}

# ---- withdraw ----

key1=hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
key2=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=

# The SAID of the card that the last call made.
card_said() {
    grep -o 'card E[A-Za-z0-9_-]\{43\}' "$work/out" | cut -d ' ' -f 2
}
exported() { # exported ROOT: into $work/stream, in which every event and body holds
    run 0 export --root "$1"
    cp "$work/out" "$work/stream"
    run 0 verify "$work/stream"
}

withdraw_voids_the_last_card() {
    local root card
    root=$(host withdraw)
    organisation "$root" a db1
    run 0 issue web1 --key "$key1" --login alice --root "$root"
    card=$(card_said)
    synced "$root"
    knows "$root" web1.a.mesh.internal
    run 0 withdraw web1 --root "$root"
    quiet err
    cp "$work/out" "$work/said-by-withdraw"
    exported "$root"
    grep -aqF "\"s\":\"3\",\"p\":" "$work/stream" || fail 'no event'
    ! grep -aqF "\"s\":\"4\",\"p\":" "$work/stream" || fail 'more than one event'
    cp "$work/said-by-withdraw" "$work/out"
    diff "$work/out" - <<END
web1: withdrawn by card $(card_said)
verimesh sync makes it known on this host, verimesh export to others.
END
    grep -aqF "\"a\":[{\"i\":\"$card\",\"s\":\"1\",\"d\":\"$(card_said)\"}]}" "$work/stream" || fail 'the seal'
    # like golden-3: nothing but the time and the host
    grep -aoE "\"d\":\"$(card_said)\",\"i\":\"$(aid "$root")\",\"s\":\"E[^\"]*\",\"a\":\{[^}]*\}\}" "$work/stream" |
        grep -Eq '"a":\{"dt":"[^"]{32}","host":"web1"\}\}$' || fail 'the card'
    synced "$root"
    knows_no "$root" web1.a.
    knows "$root" db1.a.mesh.internal
}

a_host_without_a_card_is_not_withdrawn() {
    local root before label
    root=$(host unknown)
    organisation "$root" a db1
    run 0 issue web1 --key "$key1" --root "$root"
    run 0 withdraw web1 --root "$root"
    before=$(state "$root")
    for label in web1 web2; do
        run 1 withdraw "$label" --root "$root"
        says "verimesh: $label: has no card to withdraw"
        quiet out
    done
    unchanged "$before" "$root"
    rm -r "$root/var/lib/verimesh/identity"
    run 3 withdraw db1 --root "$root"
    says 'verimesh: /var/lib/verimesh/identity: this host holds no identity; make one with verimesh init'
}

a_withdrawn_host_comes_back_with_a_new_card() {
    local root card
    root=$(host back)
    organisation "$root" a db1
    run 0 withdraw db1 --root "$root"
    card=$(card_said)
    synced "$root"
    knows_no "$root" db1.a.
    run 0 issue db1 --root "$root"
    cp "$work/out" "$work/issued"
    exported "$root"
    cp "$work/issued" "$work/out"
    grep -aqF "{\"i\":\"$card\",\"s\":\"1\",\"d\":\"$(card_said)\"}" "$work/stream" || fail 'not voided'
    synced "$root"
    knows "$root" db1.a.mesh.internal
}

# Two changes of key at once would leave a gap (DESIGN.md 8).
a_change_of_key_is_waited_for() {
    local root before from
    root=$(host waiting)
    organisation "$root" a db1
    for from in "$(date -u -d '20 minutes' +%FT%TZ)" "$(date -u -d '-50 minutes' +%FT%TZ)"; do
        run 0 issue web1 --key "$key1" --root "$root"
        run 0 issue web1 --key "$key2" --from "$from" --root "$root"
        before=$(state "$root")
        run 1 issue web1 --key "$key1" --root "$root"
        says "verimesh: web1: changes its key; wait until $(date -u -d "$from 1 hour" +%FT%T.000000+00:00), or withdraw it"
        quiet out
        unchanged "$before" "$root"
        run 1 issue web1 --aid "$(aid "$root")" --key "$key1" --root "$root"
        grep -q 'changes its key' "$work/err" || fail 'not with --aid'
        run 0 issue web2 --key "$key1" --root "$root"
        run 0 withdraw web1 --root "$root"
    done
    run 0 issue web1 --key "$key1" --from "$(date -u -d '-61 minutes' +%FT%TZ)" --root "$root"
    run 0 issue web1 --key "$key2" --root "$root"
}

# ---- issue, withdraw --aid: an organisation with its own DKMS ----

# What comes out is a card on stdout and its seal on stderr.
drafts() { # drafts SEAL WORD...: SEAL has CARD for the card's SAID
    local seal=$1 card
    shift
    "$verimesh" "$@" >"$work/card" 2>"$work/err" </dev/null || fail "$*: $(cat "$work/err")"
    card=$(sed 's/^{"v":"ACDC10JSON[0-9a-f]\{6\}_","d":"\(E[^"]\{43\}\)",.*/\1/' "$work/card")
    [ "${#card}" -eq 44 ] || fail "no card: $(cat "$work/card")"
    [ "$(wc -l <"$work/card")" -eq 0 ] || fail 'a line end, which is no CESR'
    says "${seal//CARD/$card}"
}

a_card_for_another_log_is_printed() {
    local root before other=EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2
    root=$(host dkms)
    before=$(state "$root")
    # the first card: neither a store nor a configuration is needed
    drafts '{"d":"CARD"}' issue db1 --aid "$other" --key "$key1" --addr 10.77.2.5 --until never --root "$root"
    grep -Eq "\"i\":\"$other\",\"s\":\"E[^\"]*\",\"a\":\{\"dt\":\"[^\"]{32}\",\"host\":\"db1\",\"key\":\"CIbtvYZ0GU82RKmIPzDdJh1Sl86-y1y-PqfYKyhiTIM_\",\"addr\":\[\"10.77.2.5\"\]\}\}\$" "$work/card" || fail "$(cat "$work/card")"
    unchanged "$before" "$root"
    run 1 withdraw db1 --aid "$other" --root "$root"
    says 'verimesh: db1: has no card to withdraw'
    quiet out
    unchanged "$before" "$root"
}

a_card_for_another_log_voids_the_last_one() {
    local before golden=EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP
    local first=EHrpaxeZMQKxs10HsHFVU4ytlHyqs_rTlCvFWkaWIcEi
    local second=EEmUDF3lPIkFzLBrW0ZhLno8iNJuF_IGVRhT2q9mdmlC
    local last=EO249hmr2chQY7DDTa5Oa-c14IXpgPytj0wcOum4CkxX
    two
    run 0 import "$VECTORS/card/golden-1-issued.cesr" --root "$b"
    before=$(state "$b")
    drafts "{\"i\":\"$first\",\"s\":\"1\",\"d\":\"CARD\"}" issue db1 --aid "$golden" --key "$key1" --root "$b"
    drafts "{\"i\":\"$first\",\"s\":\"1\",\"d\":\"CARD\"}" withdraw db1 --aid "$golden" --root "$b"
    grep -Eq '"a":\{"dt":"[^"]{32}","host":"db1"\}\}$' "$work/card" || fail "$(cat "$work/card")"
    drafts '{"d":"CARD"}' issue web1 --aid "$golden" --key "$key1" --root "$b"
    # of another organisation, though of the same label
    drafts '{"d":"CARD"}' issue web1 --aid "$(aid "$b")" --key "$key1" --root "$b"
    unchanged "$before" "$b"
    # the log and the card behind it are one stream
    cat "$VECTORS/card/golden-1-issued.cesr" "$work/card" >"$work/stream"
    run_with "$work/stream" 0 import - --root "$b"
    matches 'verimesh: -: card E.{43}: no log seals it; left out'
    run 0 import "$VECTORS/card/golden-2-replaced.cesr" --root "$b"
    drafts "{\"i\":\"$second\",\"s\":\"1\",\"d\":\"CARD\"}" withdraw db1 --aid "$golden" --root "$b"
    run 0 import "$VECTORS/card/golden-3-withdrawn.cesr" --root "$b"
    drafts "{\"i\":\"$last\",\"s\":\"1\",\"d\":\"CARD\"}" issue db1 --aid "$golden" --key "$key1" --root "$b"
    run 1 withdraw db1 --aid "$golden" --root "$b"
    says 'verimesh: db1: has no card to withdraw'
    # its last card may be in the part that cannot be read
    printf x >>"$b/var/lib/verimesh/kel/$golden.cesr"
    run 3 issue db1 --aid "$golden" --key "$key1" --root "$b"
    grep -q "/$golden.cesr: damaged at event" "$work/err" || fail "$(cat "$work/err")"
    quiet out
}

# ---- key ----

# A host whose organisation's identity is somewhere else.
sibling() { # sibling ROOT AID LABEL
    mkdir -p "$1/etc/verimesh"
    printf '[Interface]\nSelf = a\nHost = %s\nName = %s\n[Peer a]\nAID = %s\n' "$3" "$interface" "$2" \
        >"$(conf "$1")"
}
identity() { # identity ROOT FILE
    cat "$1/var/lib/verimesh/identity/$2"
}

key_makes_what_issue_takes() {
    local a b words mask
    a=$(host a)
    organisation "$a" a db1
    for mask in 000 077; do
        b=$(host "b$mask")
        sibling "$b" "$(aid "$a")" db2
        (umask "$mask" && run 0 key --root "$b")
        quiet err
        words=$(cat "$work/out")
        [[ $words =~ ^--key\ [A-Za-z0-9+/]{43}=\ --journal\ D[A-Za-z0-9_-]{43}$ ]] || fail "$words"
        [ "$(cd "$b/var/lib/verimesh" && stat -c '%a %n' identity identity/* | tr '\n' ' ')" = \
            '700 identity 600 identity/hostseed 600 identity/tunnel ' ] || fail 'files'
        run 0 key --root "$b"
        [ "$(cat "$work/out")" = "$words" ] || fail 'not the same again'
        rm "$b/var/lib/verimesh/identity/tunnel" # as after a crash
        run 0 key --root "$b"
        [ "$(cat "$work/out")" = "$words" ] || fail 'not the same after a crash'
        if command -v wg >/dev/null; then
            [[ $words == "--key $(identity "$b" tunnel | wg pubkey) "* ]] || fail 'not the key on disk'
        fi
    done
    # shellcheck disable=SC2086
    run 0 issue db2 $words --root "$a"
    exported "$a"
    run 0 import "$work/stream" --root "$b"
    synced "$b"
    knows "$b" db2.a.mesh.internal
    synced "$a"
    knows "$a" db2.a.mesh.internal
}

# The key in use stays until the card that names the new one is in force.
key_renew_leaves_the_key_in_use() {
    local root words renewed tunnel
    root=$(host renew)
    sibling "$root" EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 db2
    run 0 key --renew --root "$root"
    words=$(cat "$work/out")
    tunnel=$(identity "$root" tunnel)
    [ ! -e "$root/var/lib/verimesh/identity/tunnel.next" ] || fail 'the first key has to wait'
    run 0 key --renew --root "$root"
    quiet err
    renewed=$(cat "$work/out")
    [[ ${renewed% --*} != "${words% --*}" && ${renewed##* } != "${words##* }" ]] || fail 'the same'
    [ "$(identity "$root" tunnel)" = "$tunnel" ] || fail 'the key in use was replaced'
    [ "$(identity "$root" tunnel.next)" != "$tunnel" ] || fail 'the next key is the old one'
    run 0 key --root "$root"
    [ "$(cat "$work/out")" = "$renewed" ] || fail 'not what waits'
    run 1 key --renew --root "$root"
    says 'verimesh: /var/lib/verimesh/identity/tunnel.next: waits for a card with what verimesh key prints; issue it and sync'
    quiet out
    rm "$root/var/lib/verimesh/identity/tunnel.next" # as after a crash
    run 0 key --root "$root"
    [ "$(cat "$work/out")" = "$renewed" ] || fail 'not the same after a crash'
    [ "$(identity "$root" tunnel)" = "$tunnel" ] || fail 'the key in use was replaced'
}

keys_grow_from_the_identity_where_that_is() {
    local root before
    root=$(host grown)
    run 3 key --root "$root"
    matches "verimesh: $(conf "$root"): .*"
    organisation "$root" a db1
    before=$(state "$root")
    run 1 key --root "$root"
    says "verimesh: /var/lib/verimesh/identity: holds $(aid "$root"); this host's keys grow from the identity"
    run 1 key --renew --root "$root"
    quiet out
    unchanged "$before" "$root"
}

init_takes_no_place_of_a_hosts_keys() {
    local root before
    root=$(host taken)
    sibling "$root" EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 db2
    run 0 key --root "$root"
    sed -i '/^\[Peer a\]/,$d' "$(conf "$root")"
    before=$(state "$root")
    run 3 init db2 --root "$root"
    says "verimesh: $root/var/lib/verimesh/identity: holds the keys of verimesh key; move it away to make an identity here"
    unchanged "$before" "$root"
    : >"$root/var/lib/verimesh/identity/hostseed"
    run 3 key --root "$root"
    says "verimesh: $root/var/lib/verimesh/identity/hostseed: damaged; restore it from a backup"
    quiet out
}

# Adopt = yes: cards name the key that the interface has, which is nobody's to change.
a_shared_interface_has_its_own_key() {
    local root sibling interface=${interface}s # wireguard-go needs time to go
    if [ "$(id -u)" -ne 0 ] || ! unshare --net true 2>/dev/null; then
        echo 'needs root and a network of its own' >"$work/skip"
        return
    fi
    root=$(host adopt) sibling=$(host adopting)
    mkdir -p "$root/etc/verimesh"
    printf '[Interface]\nSelf = a\nHost = db1\nAdopt = yes\nName = %s\n' "$interface" >"$(conf "$root")"
    sibling "$sibling" EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 db2
    sed -i 's/^Host = .*/&\nAdopt = yes/' "$(conf "$sibling")"
    run 3 init db1 --root "$root"
    grep -q "^verimesh: $interface: " "$work/err" || fail "$(cat "$work/err")"
    [ ! -e "$root/var/lib/verimesh/identity" ] || fail 'an identity was made'
    export verimesh root sibling interface work
    # shellcheck disable=SC2016 # what it is given is for the shell inside
    unshare --net bash -euxc '
        trap "ip link delete \$interface" EXIT
        ip link add "$interface" type wireguard 2>/dev/null || wireguard-go "$interface" 2>/dev/null
        (umask 077 && wg genkey >"$work/wg0.key")
        wg set "$interface" private-key "$work/wg0.key"
        public=$(wg show "$interface" public-key)
        named() { # in how many cards
            "$verimesh" export --root "$root" | grep -ao "\"key\":\"C[^\"]*\"" | sort -u | wc -l
        }
        "$verimesh" init db1 --root "$root"
        "$verimesh" issue db1 --root "$root"
        [ ! -e "$root/var/lib/verimesh/identity/tunnel" ]
        [ "$(named)" -eq 1 ]
        "$verimesh" key --root "$sibling" >"$work/words"
        grep -Fq -- "--key $public --journal D" "$work/words"
        [ ! -e "$sibling/var/lib/verimesh/identity/tunnel" ]
        status=0
        "$verimesh" key --renew --root "$sibling" 2>"$work/err" || status=$?
        [ "$status" -eq 1 ]
        [ "$(cat "$work/err")" = "verimesh: $interface: has its own key (Adopt = yes); renew it where it is made" ]
        "$verimesh" key --root "$sibling" | cmp - "$work/words"
        "$verimesh" issue web1 --key "$public" --root "$root"
        [ "$(named)" -eq 1 ]
        [ "$(wg show "$interface" public-key)" = "$public" ]
    '
}

secrets_that_others_can_open_are_not_used() {
    local root verb file
    root=$(host open)
    organisation "$root" a db1
    for file in '' /aid /seed; do
        chmod g+r "$root/var/lib/verimesh/identity$file"
        for verb in 'issue db1' 'withdraw db1'; do
            # shellcheck disable=SC2086
            run 3 $verb --root "$root"
            says "verimesh: $root/var/lib/verimesh/identity$file: others may read or write it; chmod -R go= $root/var/lib/verimesh/identity"
        done
        chmod -R go= "$root/var/lib/verimesh/identity"
    done
    chmod g+r "$root/var/lib/verimesh/identity/tunnel"
    run 3 sync --root "$root"
    grep -q 'tunnel: others may read or write it' "$work/err" || fail "$(cat "$work/err")"
    root=$(host openseed)
    sibling "$root" EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 db2
    mkdir -p "$root/var/lib/verimesh/identity"
    run 3 key --root "$root"
    says "verimesh: $root/var/lib/verimesh/identity: others may read or write it; chmod -R go= $root/var/lib/verimesh/identity"
    [ ! -e "$root/var/lib/verimesh/identity/hostseed" ] || fail 'a seed where others can read'
}

# ---- verify, import ----

verify_touches_nothing() {
    local root before
    root=$(host verify)
    before=$(state "$root")
    run 0 verify --root "$root" "$VECTORS/card/golden-1-issued.cesr"
    run 0 verify --json "$VECTORS/card/golden-3-withdrawn.cesr" --root "$root"
    unchanged "$before" "$root"
    run_with "$VECTORS/card/golden-1-issued.cesr" 0 verify --json -
    run 0 verify <(cat "$VECTORS/card/golden-1-issued.cesr") || fail 'a pipe'
    ln -s "$VECTORS/card/golden-1-issued.cesr" "$work/link.cesr"
    run 0 verify "$work/link.cesr"
    run 3 verify "$work/not-there"
    says "verimesh: $work/not-there: No such file or directory"
    run 3 verify "$work"
    says "verimesh: $work: Is a directory"
}

# Two organisations, each of which is to have the other's stream.
two() {
    a=$(host a) b=$(host b)
    organisation "$a" clinic-a web1 --addr 10.77.1.5 --login alice --endpoint 192.0.2.1:51820
    organisation "$b" clinic-b db1 --addr 10.77.2.5 --endpoint 192.0.2.2:51820
    "$verimesh" export --root "$a" >"$work/a.cesr"
    "$verimesh" export --root "$b" >"$work/b.cesr"
    printf '\n[Peer clinic-b]\nAID = %s\nAllowedIPs = 10.77.2.0/24\n' "$(aid "$b")" >>"$(conf "$a")"
    printf '\n[Peer clinic-a]\nAID = %s\nAllowedIPs = 10.77.1.0/24\nLogins = alice=nobody\n' \
        "$(aid "$a")" >>"$(conf "$b")"
}

an_exported_stream_is_imported() {
    local before
    two
    if [ "$keyring" = yes ]; then
        run 0 sync --root "$b"
        says "verimesh: clinic-a: no log of $(aid "$a") yet; get its stream and verimesh import it"
    fi
    run 0 import "$work/a.cesr" --root "$b"
    quiet err
    printed "^$(aid "$a"): sn 1, [0-9]+ bytes added\$"
    before=$(state "$b")
    run_with "$work/a.cesr" 0 import - --root "$b"
    quiet out
    quiet err
    unchanged "$before" "$b"
    synced "$b"
    knows "$b" web1.clinic-a.mesh.internal
    knows "$b" db1.clinic-b.mesh.internal
    run 0 export --root "$b"
    cmp "$work/out" "$work/b.cesr"
}

what_does_not_verify_is_not_imported() {
    local before n size
    two
    before=$(state "$b")
    head -c 3000 /dev/urandom >"$work/garbage"
    : >"$work/empty"
    for file in garbage empty; do
        run 1 import "$work/$file" --root "$b"
        matches "verimesh: $work/$file: event 0: refused: .*"
        quiet out
        unchanged "$before" "$b"
    done
    size=$(stat -c %s "$work/a.cesr")
    for n in 1 10 20 200 "$((size / 3))" "$((size / 2))" "$((size - 1))"; do
        head -c "$n" "$work/a.cesr" >"$work/cut"
        run 1 import "$work/cut" --root "$b"
        matches "verimesh: $work/cut: event [0-9]+.*: (truncated|refused): .*"
    done
    # what came whole has been taken; the rest completes it
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    knows "$b" web1.clinic-a.mesh.internal
}

# An organisation restored from a snapshot issues a second event 2.
a_fork_freezes_until_resolved() {
    local a fork c before
    a=$(host fa) fork=$work/ff c=$(host fc)
    rm -rf "$fork"
    run 0 init a1 --root "$a"
    run 0 export --root "$a"
    cp "$work/out" "$work/first.cesr"
    cp -a "$a" "$fork"
    run 0 issue a1 --login alice --root "$a"
    run 0 export --root "$a"
    cp "$work/out" "$work/a.cesr"
    run 0 issue a1 --login mallory --root "$fork"
    run 0 export --root "$fork"
    cp "$work/out" "$work/fork.cesr"
    run 0 import "$work/a.cesr" --root "$c"
    before=$(sha256sum <"$c/var/lib/verimesh/kel/$(aid "$a").cesr")

    run 1 import --resolve "$(aid "$a")" "$work/fork.cesr" --root "$c"
    says "verimesh: $(aid "$a"): is not frozen"
    run 1 import "$work/fork.cesr" --root "$c"
    grep -q 'duplicitous: another event was accepted at sn 2; frozen until verimesh import --resolve$' \
        "$work/err" || fail "said: $(cat "$work/err")"
    [ "$before" = "$(sha256sum <"$c/var/lib/verimesh/kel/$(aid "$a").cesr")" ] || fail "the log changed"
    grep -q '"t":"ixn"' "$c/var/lib/verimesh/kel/$(aid "$a").duplicity" || fail "no evidence"

    # what is known is no news; nothing new is taken of it, and of others all
    run 0 import "$work/first.cesr" --root "$c"
    run 0 issue a1 --login bob --root "$a"
    run 0 export --root "$a"
    cp "$work/out" "$work/more.cesr"
    run 0 init b1 --root "$(host fb)"
    run 0 export --root "$work/fb"
    cp "$work/out" "$work/other.cesr"
    cat "$work/out" >>"$work/more.cesr"
    run 1 import "$work/more.cesr" --root "$c"
    grep -q 'refused: frozen by duplicity; see verimesh import --resolve$' "$work/err" || fail "$(cat "$work/err")"
    [ "$before" = "$(sha256sum <"$c/var/lib/verimesh/kel/$(aid "$a").cesr")" ] || fail "the log changed"
    [ -e "$c/var/lib/verimesh/kel/$(aid "$work/fb").cesr" ] || fail "the other one was not taken"

    # a sync says so, and what was in force stays
    mkdir -p "$c/etc/verimesh"
    printf '%s\n' '[Interface]' "Name = $interface" 'Self = c' 'Host = c1' '[Peer a]' "AID = $(aid "$a")" \
        >"$c/etc/verimesh/verimesh.conf"
    run "$([ "$keyring" = yes ] && echo 0 || echo 3)" sync --root "$c"
    grep -q "^verimesh: a: showed two versions of an event and is frozen; .* import --resolve $(aid "$a") FILE$" \
        "$work/err" || fail "$(cat "$work/err")"
    knows "$c" a1.a.mesh.internal

    # only a whole log, from inception, settles it
    before=$(state "$c/var/lib/verimesh/kel")
    head -c 900 "$work/fork.cesr" >"$work/half.cesr"
    run 1 import --resolve "$(aid "$a")" "$work/half.cesr" --root "$c"
    grep -q "half.cesr: does not settle $(aid "$a"); nothing was changed$" "$work/err" || fail "$(cat "$work/err")"
    run 1 import --resolve "$(aid "$a")" "$work/other.cesr" --root "$c"
    unchanged "$before" "$c/var/lib/verimesh/kel"
    run 0 import --resolve "$(aid "$a")" "$work/fork.cesr" --root "$c"
    quiet err
    run 0 import "$work/fork.cesr" --root "$c"
    run 1 import "$work/a.cesr" --root "$c"
    grep -q 'duplicitous: ' "$work/err" || fail "$(cat "$work/err")"
    run 2 import --resolve nobody "$work/a.cesr" --root "$c"
    matches 'verimesh: import: one FILE.*'
}

# A host restored from a snapshot must not sign its own log's fork (DESIGN.md 7).
a_longer_log_at_a_source_stops_issue() {
    local root kel before
    root=$(host snapshot)
    organisation "$root" me h1
    kel=$root/var/lib/verimesh/kel/$(aid "$root").cesr
    cp "$kel" "$work/old"
    run 0 issue h1 --login alice --root "$root"
    run 0 export --root "$root"
    cp "$work/out" "$work/shown"
    printf '[Peer me]\nSource = file:%s\nSource = file:///nonexistent\n' "$work/shown" >>"$(conf "$root")"
    run 0 issue h1 --root "$root"
    cp "$work/old" "$kel"
    before=$(state "$root")
    run 1 issue h1 --root "$root"
    says "verimesh: file:$work/shown: has sn 2 of the own log, this host only sn 1; verimesh import it first"
    run 1 withdraw h1 --root "$root"
    unchanged "$before" "$root"
    run 0 import "$work/shown" --root "$root"
    run 0 issue h1 --login bob --root "$root"

    # of the same length, but another one
    run 0 export --root "$root"
    cp "$work/out" "$work/shown"
    cp "$work/old" "$kel"
    run 0 import "$work/old" --root "$root"
    sed -i '/^Source/d' "$(conf "$root")"
    run 0 issue h1 --login carol --root "$root"
    run 0 issue h1 --login dave --root "$root"
    printf 'Source = file://%s\n' "$work/shown" >>"$(conf "$root")"
    run 1 issue h1 --root "$root"
    says "verimesh: file://$work/shown: has another event at sn 2 of the own log; find out which one holds; if it is the one here, run verimesh rotate --at now --recover 2"
}

a_tampered_stream_is_refused() {
    local before
    two
    before=$(state "$b")
    sed 's/"kt":"1"/"kt":"2"/' "$work/a.cesr" >"$work/bad"
    run 1 import "$work/bad" --root "$b"
    grep -qx "verimesh: $work/bad: event 0 of $(aid "$a") sn 0: refused: d is not the digest of the body" \
        "$work/err" || fail "$(cat "$work/err")"
    unchanged "$before" "$b"
    # the card alone
    sed 's/"logins":\["alice"\]/"logins":["mallo"]/' "$work/a.cesr" >"$work/bad"
    run 1 import "$work/bad" --root "$b"
    matches "verimesh: $work/bad: event [0-9]+: refused: d is not the digest of the body"
    run 1 verify --json "$work/bad"
    printed '^\{"verdict":"refused","aid":null,"event":[0-9]+,"sn":null,'
    quiet err
    synced "$b"
    knows_no "$b" web1.clinic-a.mesh.internal
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    knows "$b" web1.clinic-a.mesh.internal
}

# Neither is a refusal, and neither makes a host.
a_card_that_does_not_count_makes_no_host() {
    local golden=EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP stream card
    local other=EP1-J4ZESgLgsj12KzkXnPi3xftecCjyQgRHa3MAj2da
    two
    printf '[Peer golden]\nAID = %s\n[Peer other]\nAID = %s\n' "$golden" "$other" >>"$(conf "$b")"
    stream=$(cat "$VECTORS/card/golden-1-issued.cesr")
    card="{\"v\":\"ACDC${stream#*\{\"v\":\"ACDC}"
    printf '%s%s' "${stream%%\{\"v\":\"KERI10JSON0000ff*}" "$card" >"$work/unanchored"
    for file in "$work/unanchored" "$VECTORS/card/other-schema.cesr"; do
        run 0 verify "$file"
        run 0 import "$file" --root "$b"
        matches "verimesh: $file: card E[A-Za-z0-9_-]{43}: (no log seals it; left out|not of the tunnel card's schema)"
    done
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    knows_no "$b" .golden.
    knows_no "$b" .other.
    run 0 import "$VECTORS/card/golden-1-issued.cesr" --root "$b"
    if [ "$keyring" = yes ]; then
        run 1 sync --root "$b"
    else
        run 3 sync --root "$b"
        sed -i '/^verimesh: kernel keyring: /d' "$work/err"
    fi
    says 'verimesh: db1.golden: claims 10.77.2.5/32, which AllowedIPs give to clinic-b; narrow those or the card'
    knows "$b" db1.golden.mesh.internal
    run 0 import "$VECTORS/card/golden-4-successor-withheld.cesr" --root "$b"
    synced "$b"
    knows_no "$b" db1.golden.
}

# ---- sync ----

a_bad_configuration_leaves_the_last_good_map() {
    local good line
    two
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    cp "$(map "$b")" "$work/map"
    cp "$(conf "$b")" "$work/conf"
    good=$(wc -l <"$work/conf")
    while read -r line; do
        cp "$work/conf" "$(conf "$b")"
        echo "$line" >>"$(conf "$b")"
        run 2 sync --root "$b"
        matches "verimesh: $(conf "$b"):$((good + 1)): .*"
        quiet out
        cmp "$work/map" "$(map "$b")"
    done <<'END'
Colour = red
AID
[Peer]
[Peer clinic-a]
[Interface]
AllowedIPs = 0.0.0.0/0
Logins = root
END
    for line in EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC '' x \
        CDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2=; do
        sed "s/^AID = $(aid "$a")/AID = $line/" "$work/conf" >"$(conf "$b")"
        run 2 sync --root "$b"
        matches "verimesh: $(conf "$b"):[0-9]+: .*AID.*"
        cmp "$work/map" "$(map "$b")"
    done
    sed "s/^\[Peer clinic-a\]/&x/" "$work/conf" >"$(conf "$b")"
    run 2 sync --root "$b"
    rm "$(conf "$b")"
    run 3 sync --root "$b"
    cmp "$work/map" "$(map "$b")"
    ! diff <(ls "$b/var/lib/verimesh") - <<'END' | grep . || fail 'something was left behind'
identity
kel
lock
peers.cdb
END
}

a_failed_issue_leaves_the_tunnel_key() {
    local root tunnel addrs=() i
    root=$(host failed)
    organisation "$root" a db1
    tunnel=$(cat "$root/var/lib/verimesh/identity/tunnel")
    sed -i 's/^Host = .*/Host = db3/' "$(conf "$root")"
    for i in {1..20}; do addrs+=(--addr "10.1.0.$i"); done
    run 2 issue db3 "${addrs[@]}" --root "$root"
    [ "$(cat "$root/var/lib/verimesh/identity/tunnel")" = "$tunnel" ]
    run 0 issue db3 --root "$root"
    [ "$(cat "$root/var/lib/verimesh/identity/tunnel")" != "$tunnel" ]
}

a_damaged_store_hurts_nobody_else() {
    local file
    two
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    cp "$(map "$b")" "$work/map"
    file=$b/var/lib/verimesh/kel/$(aid "$a").cesr
    sed -i '0,/"kt":"1"/s//"kt":"2"/' "$file"
    run 3 sync --root "$b"
    grep -Eqx "verimesh: $b/var/lib/verimesh/kel/$(aid "$a").cesr: damaged at event [0-9]+: .*; restore it, or remove it and import again" "$work/err"
    knows_no "$b" .clinic-a.
    knows "$b" db1.clinic-b.mesh.internal
    run 3 import "$work/a.cesr" --root "$b"
    rm "$file"
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    cmp "$work/map" "$(map "$b")"
}

a_damaged_identity_leaves_the_last_good_map() {
    local root
    root=$(host damaged)
    organisation "$root" a db1
    synced "$root"
    cp "$(map "$root")" "$work/map"
    for file in aid tunnel; do
        cp "$root/var/lib/verimesh/identity/$file" "$work/kept"
        truncate -s 20 "$root/var/lib/verimesh/identity/$file"
        run 3 sync --root "$root"
        matches "verimesh: .*/identity/$file: damaged; restore it from a backup"
        cmp "$work/map" "$(map "$root")"
        cp "$work/kept" "$root/var/lib/verimesh/identity/$file"
    done
}

# A host of an organisation whose identity another host holds.
sync_needs_no_identity() {
    local root
    two
    root=$(host sibling)
    mkdir -p "$root/etc/verimesh"
    printf '[Interface]\nSelf = clinic-a\nHost = web2\nName = %s\n[Peer clinic-a]\n' "$interface" >"$(conf "$root")"
    run 2 sync --root "$root"
    says 'verimesh: /etc/verimesh/verimesh.conf:5: [Peer clinic-a] has no AID, and this host holds no identity; set its AID, or run verimesh init'
    printf 'AID = %s\nAllowedIPs = 10.77.1.0/24\n' "$(aid "$a")" >>"$(conf "$root")"
    run 0 import "$work/a.cesr" --root "$root"
    synced "$root"
    knows "$root" web1.clinic-a.mesh.internal
    run 3 up --root "$root"
    matches 'verimesh: web2.clinic-a: has no card in force; issue one, or set Host and Self'
    # nor is a section of its own needed
    printf '[Interface]\nSelf = clinic-b\nHost = web2\nName = %s\n' "$interface" >"$(conf "$root")"
    synced "$root"
    knows_no "$root" web1.clinic-a.
}

an_interface_of_somebody_else_is_left_alone() {
    local root before
    root=$(host foreign)
    organisation "$root" a db1
    sed -i "s/^Name = .*/Name = lo/" "$(conf "$root")"
    before=$(ip -o address show dev lo)
    for verb in up sync down; do
        run 3 "$verb" --root "$root"
        grep -q '^verimesh: lo: .*verimesh up did not make it' "$work/err" || fail "$(cat "$work/err")"
        quiet out
    done
    [ "$before" = "$(ip -o address show dev lo)" ] || fail 'lo changed'
    [ "$keyring" = no ] || ! keyctl search @u keyring verimesh:lo 2>/dev/null || fail 'the ring stayed'
}

the_keyring_holds_what_it_should() {
    local root ring
    if [ "$keyring" = no ]; then
        echo 'the kernel keyring is for root' >"$work/skip"
        return
    fi
    two
    run 0 import "$work/a.cesr" --root "$b"
    synced "$b"
    ring=$(cat "$b/run/verimesh/$interface.ring")
    keyctl list "$ring" >"$work/ring"
    for key in tunnel identity peers:0; do
        grep -q ": $key\$" "$work/ring" || fail "no $key"
    done
    run 0 down --root "$b"
    quiet out
    quiet err
    [ ! -e "$b/run/verimesh/$interface.ring" ] || fail 'the serial stayed'
    ! keyctl search @u keyring "verimesh:$interface" 2>/dev/null || fail 'the ring stayed'
    run 0 down --root "$b"
}

# In a network of its own: the interface by the kernel or by wireguard-go.
an_interface_has_the_addresses_of_the_card() {
    local root
    if [ "$keyring" = no ] || ! unshare --net true 2>/dev/null; then
        echo 'needs root and a network of its own' >"$work/skip"
        return
    fi
    root=$(host addresses)
    organisation "$root" a db1 --addr 10.9.0.1 --addr fd00::1
    sed -i 's/^AllowedIPs = 10.9.0.1/AllowedIPs = 10.9.0.0\/24/' "$(conf "$root")"
    export verimesh root interface
    # shellcheck disable=SC2016 # what it is given is for the shell inside
    unshare --net bash -euxc '
        addresses() {
            ip -o address show dev "$interface" scope global | awk "{ print \$4 }" | sort | tr "\n" " "
        }
        state() {
            ip -o route show dev "$interface" | sed "s/ src [^ ]*//"
            wg show "$interface" public-key
        }
        trap "\$verimesh down --root \$root" EXIT
        "$verimesh" up --root "$root"
        derived=$(addresses | tr " " "\n" | grep "^fd" | grep -v "^fd00::1/")
        [ "$(addresses)" = "$(printf "%s\n" 10.9.0.1/32 fd00::1/128 "$derived" | sort | tr "\n" " ")" ]
        ip route get 10.9.0.77 | grep -w "$interface"
        ip -6 route get fd00::1 | grep -w local
        [ "$(wg show "$interface" public-key)" = "$(wg pubkey <"$root/var/lib/verimesh/identity/tunnel")" ]
        before=$(state)
        ip address add 192.0.2.1/24 dev "$interface"
        "$verimesh" issue db1 --addr 10.9.0.2 --root "$root"
        "$verimesh" sync --root "$root"
        [ "$(addresses)" = "10.9.0.2/32 192.0.2.1/24 $derived " ]
        ip address del 192.0.2.1/24 dev "$interface"
        [ "$(state)" = "$before" ]
        "$verimesh" up --root "$root"
        "$verimesh" down --root "$root"
        ! ip link show dev "$interface"
        [ ! -e "$root/run/verimesh/$interface.up" ]
    '
}

# ---- gate ----

gate_explains() {
    local root
    root=$(host gate)
    run 1 gate --user alice --from 10.77.1.5 --root "$root"
    quiet err
    printed '^alice from 10.77.1.5: refused: '
    printed '^  no   map to be believed                   map .*/var/lib/verimesh/peers\.cdb: No such file or directory$'
    printed '^  -    login that becomes the account       -$'
    printed '^  mend verimesh sync$'
    run 1 gate --from ::ffff:10.77.1.5 --user alice --root "$root"
    printed '^  mend verimesh sync$'
}

# ---- check ----

# All that is wrong below a root is found there, changes nothing, and mended by what the lines say is gone.
check_names_what_is_wrong_and_the_mend() {
    local root etc before first
    root=$(host check) etc=$root/etc
    organisation "$root" a db1
    mkdir "$etc/pam.d" "$etc/ssh"
    printf 'hosts: files dns\n' >"$etc/nsswitch.conf"
    printf 'account sufficient pam_unix.so\naccount required pam_verimesh.so outside=allow\n' >"$etc/pam.d/sshd"
    printf 'account required pam_verimesh.so session\n' >"$etc/pam.d/su"
    printf 'UsePAM no\n' >"$etc/ssh/sshd_config"
    chmod g+w "$(conf "$root")"
    before=$(state "$root")
    run 1 check --root "$root"
    unchanged "$before" "$root"
    grep -e "$etc/" "$work/err" >"$work/found"
    # shellcheck disable=SC2016 # quotes of the line
    first='make `account required pam_verimesh.so` the first account line of /etc/pam.d/sshd'
    cat >"$work/wanted" <<END
verimesh: $(conf "$root"): others may write it, and so decide who logs in; chmod go-w $(conf "$root")
verimesh: $etc/nsswitch.conf:1: hosts does not name verimesh; write hosts: files verimesh [NOTFOUND=return] dns
verimesh: $etc/pam.d/sshd:1: pam_unix.so may skip pam_verimesh.so; $first
verimesh: $etc/pam.d/sshd:2: unknown option outside=allow, with which pam_verimesh.so refuses everybody; remove it
verimesh: $etc/pam.d/su:1: asks for records of logins, which $etc/pam.d/sshd does not leave; write \`session required pam_verimesh.so\` there, behind pam_loginuid.so
verimesh: $etc/ssh/sshd_config:1: sshd does not ask PAM, so pam_verimesh.so admits and refuses nobody; write UsePAM yes and have sshd read it (systemctl reload ssh)
END
    diff "$work/wanted" "$work/found"
    chmod go-w "$(conf "$root")"
    echo 'hosts: files verimesh [NOTFOUND=return] dns' >"$etc/nsswitch.conf"
    sed -i 's/ outside=allow//; 1i account required pam_verimesh.so' "$etc/pam.d/sshd"
    printf 'session required pam_loginuid.so\nsession required pam_verimesh.so\n' >>"$etc/pam.d/sshd"
    echo 'UsePAM yes' >"$etc/ssh/sshd_config"
    run 1 check --root "$root"
    ! grep -e "$etc/" "$work/err" || fail 'something is left'
}

# Whatever stands in those files.
check_reads_any_text() {
    local root text
    root=$(host texts)
    organisation "$root" a db1
    mkdir "$root/etc/pam.d" "$root/etc/ssh"
    # shellcheck disable=SC1003 # lines that end in a backslash
    for text in '' '\n\n' '\\' '\\\n' '\\\n\\\n' 'account' 'account [' 'account [success=' 'account [=9999999999999] x' '@include' \
        '@include sshd' 'account substack ../pam.d/sshd' 'hosts' 'hosts:' 'hosts: [' 'Include' 'Include sshd_config' 'Include *' \
        'session include sshd\nDefaults' 'account required pam_verimesh.so [' '\r\n' '\0\0account\0'; do
        # shellcheck disable=SC2059 # they are forms
        printf "$text" | tee "$root/etc/nsswitch.conf" "$root/etc/sudoers" "$root/etc/pam.d/sudo" "$root/etc/pam.d/sshd" \
            >"$root/etc/ssh/sshd_config"
        run 1 check --root "$root"
        grep -q 'hosts does not name verimesh' "$work/err"
    done
}

# ---- streams, signals, neighbours ----

a_full_disk_is_told() {
    local root verb status
    root=$(host full)
    organisation "$root" a db1
    for verb in export --help "verify $VECTORS/card/golden-1-issued.cesr" 'issue db1'; do
        status=0
        # shellcheck disable=SC2086
        "$verimesh" $verb --root "$root" >/dev/full 2>"$work/err" || status=$?
        [ "$status" -eq 3 ] || fail "$verb: $status"
        says 'verimesh: standard output: cannot be written'
    done
}

# What is opened first would take the place of the stream that is closed.
closed_streams_do_no_harm() {
    local root status=0
    root=$(host closed)
    "$verimesh" init db1 --root "$root" <&- >&- 2>&- || fail 'init'
    printf '[Peer b]\nAID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2\n' >>"$(conf "$root")"
    sed -i "s/^#Name = .*/Name = $interface/" "$(conf "$root")"
    "$verimesh" sync --root "$root" 2>&- || true
    [ ! -s "$root/var/lib/verimesh/lock" ] || fail 'messages in the lock'
    "$verimesh" issue db1 --root "$root" >&- 2>&- || fail 'issue'
    run 0 export --root "$root"
    cp "$work/out" "$work/stream"
    run 0 verify "$work/stream"
    "$verimesh" import /nowhere --root "$root" <&- >&- 2>&- || status=$?
    [ "$status" -eq 3 ] || fail "$status"
}

writers_wait_for_each_other() {
    local root i
    root=$(host writers)
    organisation "$root" a db1
    for i in 1 2 3 4 5 6 7 8; do
        "$verimesh" issue db1 --addr "10.0.0.$i" --root "$root" >/dev/null 2>>"$work/said" &
    done
    wait
    run 0 export --root "$root"
    cp "$work/out" "$work/stream"
    run 0 verify --json "$work/stream"
    printed '"sn":9,'
}

# Killed at any moment, the next call goes on from the old state or the new one.
a_killed_writer_leaves_a_good_store() {
    local root i
    root=$(host killed)
    organisation "$root" a db1
    for i in $(seq 40); do
        timeout -s KILL "0.00$((i % 10))$((i % 7))" "$verimesh" issue db1 --root "$root" >/dev/null 2>&1 || true
        run 0 export --root "$root"
    done
    run 0 issue db1 --addr 10.0.0.9 --root "$root"
    run 0 export --root "$root"
    cp "$work/out" "$work/stream"
    run 0 verify "$work/stream"
}

# Killed at any moment, an import leaves of each log the file that was or the one that is to be, and what it
# kept of its verification is right; called again, it completes.
a_killed_import_leaves_old_or_new_logs() {
    local i name old new start took killed=0 rounds=50
    [ "$(id -u)" -eq 0 ] || rounds=20
    old=$(host old) new=$(host new)
    : >"$work/old.cesr"
    : >"$work/new.cesr"
    for i in $(seq 8); do
        organisation "$(host org)" a "db$i"
        run 0 export --root "$work/org"
        cat "$work/out" >>"$work/old.cesr"
        run 0 issue "db$i" --addr "10.0.0.$i" --root "$work/org"
        run 0 export --root "$work/org"
        cat "$work/out" >>"$work/new.cesr"
    done
    run 0 import "$work/old.cesr" --root "$old"
    cp -a "$old/." "$new"
    start=${EPOCHREALTIME/./}
    run 0 import "$work/new.cesr" --root "$new"
    took=$((${EPOCHREALTIME/./} - start))
    for i in $(seq "$rounds"); do
        cp -a "$old/." "$(host killed)"
        timeout -s KILL "$(printf '0.%06d' $((SRANDOM % (took * 11 / 10 + 1))))" \
            "$verimesh" import "$work/new.cesr" --root "$work/killed" >/dev/null 2>&1 || killed=$((killed + 1))
        for name in "$old"/var/lib/verimesh/kel/*.cesr; do
            name=var/lib/verimesh/kel/${name##*/}
            cmp -s "$work/killed/$name" "$old/$name" || cmp "$work/killed/$name" "$new/$name"
        done
        [ "$((i % 3))" -ne 0 ] || touch "$work"/killed/var/lib/verimesh/{verified,kel/"$(basename "$name")"}.new
        run 0 import "$work/new.cesr" --root "$work/killed"
        quiet err
        diff -r "$work/killed/var/lib/verimesh/kel" "$new/var/lib/verimesh/kel" | grep -v '\.new$' && fail 'not completed'
        run 0 import "$work/new.cesr" --root "$work/killed"
        quiet out
    done
    [ "$killed" -gt 5 ] || fail "only $killed were killed in time"
}

# Killed at any moment, init can be called again, or has made all.
a_killed_init_can_be_repeated() {
    local root i status made=0
    for i in $(seq 40); do
        root=$(host "init$i")
        timeout -s KILL "0.00$((i % 10))$((i % 7))" "$verimesh" init db1 --root "$root" >/dev/null 2>&1 || true
        status=0
        "$verimesh" init db1 --root "$root" >"$work/out" 2>"$work/err" </dev/null || status=$?
        if [ "$status" -ne 0 ]; then
            says "verimesh: /var/lib/verimesh/identity: holds $(aid "$root") already; use verimesh issue for cards"
            made=$((made + 1))
        fi
        run 0 issue db1 --root "$root"
        exported "$root"
        [ ! -e "$root/var/lib/verimesh/identity.new" ] || fail 'something was left behind'
    done
    [ "$made" -lt 40 ] || fail 'none was killed in time'
}

root_may_stand_before_the_verb() {
    local root
    root=$(host before)
    run 0 --root "$root" init db1
    run 0 "--root=$root" export
    cp "$work/out" "$work/stream"
    run 0 export --root "$root"
    cmp "$work/out" "$work/stream"
    run 0 --help --root "$root" issue
    grep -q '^verimesh issue' "$work/out" || fail 'not of the verb'
    run 2 --root "$root"
    run 2 --root "$root" frobnicate
    says 'verimesh: frobnicate: no such verb (see verimesh --help)'
}

roots_may_be_relative() {
    local root
    root=$(host relative)
    (cd "$work" && run 0 init db1 --root relative && run 0 export --root ./relative/../relative)
    [ -e "$root/etc/verimesh/verimesh.conf" ]
}

a_stranger_may_not_write() {
    local root before
    if [ "$(id -u)" -eq 0 ]; then
        echo 'root may' >"$work/skip"
        return
    fi
    root=$(host stranger)
    organisation "$root" a db1
    before=$(state "$root")
    chmod 555 "$root/var/lib/verimesh" "$root/var/lib/verimesh/kel"
    chmod 500 "$root/var/lib/verimesh/identity"
    chmod 400 "$root"/var/lib/verimesh/kel/*
    for verb in 'issue db1' sync "import $VECTORS/card/golden-1-issued.cesr"; do
        # shellcheck disable=SC2086
        run 3 $verb --root "$root"
        grep -q 'Permission denied$' "$work/err" || fail "$(cat "$work/err")"
    done
    chmod 755 "$root/var/lib/verimesh" "$root/var/lib/verimesh/kel"
    chmod 700 "$root/var/lib/verimesh/identity"
    chmod 644 "$root"/var/lib/verimesh/kel/*
    rm -f "$(map "$root")"*
    unchanged "$before" "$root"
}

# Last: all that was ever printed, against all seeds that were ever made.
no_secret_was_printed() {
    local file n=0
    for file in "$work"/*/var/lib/verimesh/identity/{seed,next,tunnel,hostseed}; do
        ! grep -aqFf "$file" "$work/said" || fail "$file was printed"
        tail -c +2 "$file" | head -c 42 >"$work/inner"
        ! grep -aqFf "$work/inner" "$work/said" || fail "part of $file was printed"
        n=$((n + 1))
    done
    [ "$n" -gt 20 ] || fail "only $n secrets were found"
    [ -s "$work/said" ]
}

# ---- all of them ----

run_cases \
    each_verb_explains_itself \
    a_wrong_call_is_2 \
    what_it_is_called_with_is_not_echoed_raw \
    init_makes_an_identity_and_a_card \
    its_files_have_their_modes_under_any_umask \
    a_second_init_is_refused \
    a_failed_init_can_be_repeated \
    init_obeys_the_configuration_that_is_there \
    seeds_without_their_aid_are_not_written_over \
    issue_replaces_a_card \
    issue_for_another_host_needs_its_key \
    keys_come_out_of_files \
    without_an_identity_there_is_nothing_to_issue \
    a_lost_log_is_told \
    withdraw_voids_the_last_card \
    a_host_without_a_card_is_not_withdrawn \
    a_withdrawn_host_comes_back_with_a_new_card \
    a_change_of_key_is_waited_for \
    a_card_for_another_log_is_printed \
    a_card_for_another_log_voids_the_last_one \
    key_makes_what_issue_takes \
    key_renew_leaves_the_key_in_use \
    keys_grow_from_the_identity_where_that_is \
    init_takes_no_place_of_a_hosts_keys \
    a_shared_interface_has_its_own_key \
    secrets_that_others_can_open_are_not_used \
    verify_touches_nothing \
    an_exported_stream_is_imported \
    what_does_not_verify_is_not_imported \
    a_fork_freezes_until_resolved \
    a_longer_log_at_a_source_stops_issue \
    a_tampered_stream_is_refused \
    a_card_that_does_not_count_makes_no_host \
    a_bad_configuration_leaves_the_last_good_map \
    a_failed_issue_leaves_the_tunnel_key \
    a_damaged_store_hurts_nobody_else \
    a_damaged_identity_leaves_the_last_good_map \
    sync_needs_no_identity \
    an_interface_of_somebody_else_is_left_alone \
    the_keyring_holds_what_it_should \
    an_interface_has_the_addresses_of_the_card \
    gate_explains \
    check_names_what_is_wrong_and_the_mend \
    check_reads_any_text \
    a_full_disk_is_told \
    closed_streams_do_no_harm \
    writers_wait_for_each_other \
    a_killed_writer_leaves_a_good_store \
    a_killed_import_leaves_old_or_new_logs \
    a_killed_init_can_be_repeated \
    root_may_stand_before_the_verb \
    roots_may_be_relative \
    a_stranger_may_not_write \
    no_secret_was_printed
run_again_as_nobody
