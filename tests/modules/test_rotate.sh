#!/usr/bin/env bash
# test_rotate.sh: `verimesh rotate`: what it anchors, what stops it, and what is left where it is killed.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_rotate.sh   from the repository's root; B=build: the folder with verimesh
# Each host is a directory for --root. As root it runs all again as nobody.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C
umask 022

work=$(mktemp -d)
verimesh=$work/verimesh
cp "${B:-build}/verimesh" "$verimesh"
chmod 755 "$work" "$verimesh"
trap 'rm -rf "$work"' EXIT
who=$(id -un)
interface=vt0
key1=wJXhO2DJCWDWQRzxdBGWlR4hb+LXJRmd6nUHlvHZqz0=
key2=xZbJfXHSUrZTaUKZmmxoZ9Vj+g+Py+Xg5nTEn+jqEFQ=
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh
# shellcheck source=tests/modules/command.sh
. tests/modules/command.sh

identity() { # identity ROOT FILE
    echo "$1/var/lib/verimesh/identity/$2"
}
# The key state of a host's own log: one member of what verify prints.
own() { # own ROOT MEMBER
    "$verimesh" export --root "$1" >"$work/own.cesr"
    "$verimesh" verify --json "$work/own.cesr" | sed -E "s/.*\"$2\":(\"[^\"]*\"|\[[^]]*\]|[^,}]*).*/\1/" | tr -d '[]"'
}
# The tunnel public key of a secret.
public() { # public FILE
    wg pubkey <"$1"
}
tells() { # tells TEXT: some line of stdout has it
    grep -aqF -- "$1" "$work/out" || fail "no $1: $(cat "$work/out")"
}
# The last card of a host as the log has it.
card() { # card ROOT LABEL
    "$verimesh" export --root "$1" | tr '{' '\n' | grep -a "\"host\":\"$2\"" | tail -n 1
}
# What a thief has of a host: all of it.
thief() { # thief ROOT NAME
    host "$2" >/dev/null
    cp -r "$1/." "$work/$2"
    echo "$work/$2"
}
# A host takes what another shows.
shown() { # shown FROM TO
    run 0 export --root "$1"
    cp "$work/out" "$work/shown.cesr"
    run 0 import "$work/shown.cesr" --root "$2"
}

# ---- what it anchors ----

the_committed_key_signs_and_another_is_committed_to() {
    local root next
    root=$(host plain)
    organisation "$root" a db1
    next=$(own "$root" next)
    run 0 rotate --root "$root"
    quiet err
    [ "$(own "$root" sn)" = 2 ] || fail "sn $(own "$root" sn)"
    [ "$(own "$root" next)" != "$next" ] || fail 'the commitment is the old one'
    # What signs now is what was committed to, or verify would not take it; and it can go on.
    run 0 issue db2 --key "$key1" --root "$root"
    run 0 rotate --at now --root "$root"
    [ "$(own "$root" sn)" = 4 ] || fail "sn $(own "$root" sn)"
    [ "$(find "$(identity "$root" .)" -type f -printf '%f %m\n' | sort | tr '\n' ' ')" = \
        'aid 600 events 600 next 600 seed 600 tunnel 600 tunnel.next 600 ' ] ||
        fail "$(ls -l "$(identity "$root" .)")"
}

the_tunnel_key_follows_from_two_fetchevery_on() {
    local root old new at
    root=$(host tunnel)
    organisation "$root" a db1 --login alice --addr 10.77.1.5 --until 10d
    old=$(public "$(identity "$root" tunnel)")
    sed -i 's/^#FetchEvery = .*/FetchEvery = 90s/' "$(conf "$root")"
    at=$(date +%s)
    run 0 rotate --root "$root"
    [ "$(public "$(identity "$root" tunnel)")" = "$old" ] || fail 'the tunnel key changed'
    new=$(public "$(identity "$root" tunnel.next)")
    [ "$new" != "$old" ] || fail 'the next one is the old one'
    tells "db1.a: key $new from 2"
    at=$(($(date -d "$(card "$root" db1 | sed 's/.*"from":"\([^"]*\)".*/\1/')" +%s) - at))
    { [ "$at" -ge 180 ] && [ "$at" -le 185 ]; } || fail "from is $at s ahead"
    # The rest of the card is as it was; its life begins anew.
    card "$root" db1 | grep -q '"addr":\["10.77.1.5"\],"logins":\["alice"\]' || fail "$(card "$root" db1)"
    at=$(($(date -d "$(card "$root" db1 | sed 's/.*"until":"\([^"]*\)".*/\1/')" +%s) - $(date +%s)))
    { [ "$at" -ge $((864000 + 170)) ] && [ "$at" -le $((864000 + 190)) ]; } || fail "it ends in $at s"
    # Until then the host has the old key, and the map the old card.
    "$verimesh" sync --root "$root" 2>/dev/null || true
    [ "$(public "$(identity "$root" tunnel)")" = "$old" ] || fail 'sync changed the key'
}

at_a_time_or_now() {
    local root when new
    root=$(host at)
    organisation "$root" a db1
    when=$(date -u -d '+3 seconds' +%FT%TZ)
    run 0 rotate --at "$when" --root "$root"
    printed "^db1\\.a: key .* from $when, card"
    new=$(public "$(identity "$root" tunnel.next)")
    "$verimesh" sync --root "$root" 2>/dev/null || true
    [ "$(public "$(identity "$root" tunnel)")" != "$new" ] || fail 'too early'
    sleep 4
    "$verimesh" sync --root "$root" 2>/dev/null || true
    [ "$(public "$(identity "$root" tunnel)")" = "$new" ] || fail 'too late'
    [ ! -e "$(identity "$root" tunnel.next)" ] || fail 'the next one stays'
    # Now: without `from`, and at once.
    run 0 rotate --at now --root "$root"
    ! card "$root" db1 | grep -q '"from"' || fail "$(card "$root" db1)"
    new=$(public "$(identity "$root" tunnel.next)")
    "$verimesh" sync --root "$root" 2>/dev/null || true
    [ "$(public "$(identity "$root" tunnel)")" = "$new" ] || fail 'not at once'
}

a_change_that_is_under_way_is_waited_for() {
    local root before
    root=$(host waits)
    organisation "$root" a db1
    run 0 rotate --root "$root"
    before=$(state "$root")
    run 1 rotate --root "$root"
    matches 'verimesh: db1: changes its key; wait until [0-9T:.+-]*, or verimesh rotate --at now'
    unchanged "$before" "$root"
    run 1 rotate --at 1h --root "$root"
    run 1 issue db1 --root "$root"
    matches 'verimesh: db1: changes its key; .*'
    unchanged "$before" "$root"
    run 0 rotate --at now --root "$root"
    run 0 rotate --at now --root "$root"
}

every_live_card_is_listed() {
    local root
    root=$(host lists)
    organisation "$root" a db1
    run 0 issue db2 --key "$key1" --root "$root"
    run 0 issue db3 --key "$key2" --root "$root"
    run 0 withdraw db3 --root "$root"
    run 0 rotate --root "$root"
    [ "$(grep -c '^db' "$work/out")" = 2 ] || fail "$(cat "$work/out")"
    tells "db2.a: key $key1, card E"
    # A host without a card of its own only rotates the keys.
    run 0 withdraw db1 --root "$root"
    run 0 rotate --root "$root"
    [ "$(grep -c '^db' "$work/out")" = 1 ] || fail "$(cat "$work/out")"
    run 0 issue db1 --root "$root"
    run 0 show --json db1.a.mesh.internal --root "$root"
    tells "\"key\":\"$(public "$(identity "$root" tunnel)")\""
}

peers_take_it() {
    local root peer
    root=$(host shows)
    peer=$(host takes)
    organisation "$root" a db1
    organisation "$peer" b web1
    printf '[Peer a]\nAID = %s\n' "$(aid "$root")" >>"$(conf "$peer")"
    shown "$root" "$peer"
    run 0 rotate --at 30s --root "$root"
    shown "$root" "$peer"
    run 0 show --json db1.a.mesh.internal --root "$peer"
    tells "\"key\":\"$(public "$(identity "$root" tunnel)")\",\"next\":\"$(public "$(identity "$root" tunnel.next)")\""
    run 0 rotate --at now --root "$root"
    shown "$root" "$peer"
    run 0 show --json db1.a.mesh.internal --root "$peer"
    tells "\"key\":\"$(public "$(identity "$root" tunnel.next)")\",\"next\":null"
}

# All that a card says is said again, but for the keys and the times.
the_new_card_says_what_the_old_one_did() {
    local root old new
    root=$(host says)
    ssh-keygen -q -t ed25519 -N '' -f "$work/sshkey" <<<y >/dev/null
    echo rosenpass >"$work/rosenpass"
    organisation "$root" a db1 --addr 10.77.1.5 --addr 10.77.1.6 --route 10.80.0.0/16 --endpoint 192.0.2.1:51820 \
        --login "alice=$work/sshkey.pub" --login bob --hostkey "$work/sshkey.pub" --rosenpass "$work/rosenpass"
    old=$(card "$root" db1)
    run 0 rotate --at 30m --root "$root"
    new=$(card "$root" db1)
    without() { sed -E 's/"(d|key|dt|from|until|journal)":"[^"]*",?//g' <<<"$1"; }
    [ "$(without "$old")" = "$(without "$new")" ] || fail "$(without "$old") became $(without "$new")"
    grep -q '"journal":"D[A-Za-z0-9_-]\{43\}"' <<<"$new" || fail 'no journal key'
    for field in key journal; do
        [ "$(grep -o "\"$field\":\"[^\"]*" <<<"$old")" != "$(grep -o "\"$field\":\"[^\"]*" <<<"$new")" ] ||
            fail "$field is the old one"
    done
}

# The hour behind the time, too.
within_the_hour_it_waits() {
    local root
    root=$(host hour)
    organisation "$root" a db1
    run 0 rotate --at "$(date -u -d '-50 minutes' +%FT%TZ)" --root "$root"
    run 1 rotate --root "$root"
    run 1 issue db1 --root "$root"
    matches 'verimesh: db1: changes its key; .*'
    root=$(host hours)
    organisation "$root" a db1
    run 0 rotate --at "$(date -u -d '-61 minutes' +%FT%TZ)" --root "$root"
    run 0 rotate --root "$root"
}

# ---- the next seed ----

the_next_seed_may_be_offline() {
    local root before
    root=$(host away)
    organisation "$root" a db1
    cp "$(identity "$root" seed)" "$work/first"
    mv "$(identity "$root" next)" "$work/offline"
    before=$(state "$root")
    run 3 rotate --root "$root"
    matches 'verimesh: /var/lib/verimesh/identity/next: not there; give the file into which it was taken .*--next FILE'
    run 3 rotate --next "$work/nowhere" --root "$root"
    matches "verimesh: $work/nowhere: No such file or directory"
    run 1 rotate --next "$work/first" --root "$root"
    matches "verimesh: $work/first: is not the key to which the log commits since event sn 0; .*"
    echo nonsense >"$work/nonsense"
    run 3 rotate --next "$work/nonsense" --root "$root"
    matches "verimesh: $work/nonsense: damaged; .*"
    unchanged "$before" "$root"
    run 0 rotate --next "$work/offline" --root "$root"
    # The one behind it is there, to be taken offline, too.
    cmp -s "$(identity "$root" seed)" "$work/offline" || fail 'the seed is not the one that was offline'
    ! cmp -s "$(identity "$root" next)" "$work/offline" || fail 'the next one is the same'
    run 1 rotate --next "$work/offline" --at now --root "$root"
    run 0 rotate --at now --root "$root"
}

# It may come from a program that decrypts it.
the_next_seed_may_come_by_a_pipe() {
    local root
    root=$(host piped)
    organisation "$root" a db1
    mv "$(identity "$root" next)" "$work/piped-next"
    run 0 rotate --next <(cat "$work/piped-next") --root "$root"
    with secret 0 rotate --at now --seal --root "$root"
    mv "$(identity "$root" next)" "$work/piped-next"
    with secret 0 rotate --at now --next <(cat "$work/piped-next") --root "$root"
}

# What is done is done where nobody hears of it, and leaves nothing behind.
an_output_that_fails_is_told_once() {
    local root status=0
    root=$(host full)
    organisation "$root" a db1
    "$verimesh" rotate --root "$root" >/dev/full 2>"$work/err" || status=$?
    [ "$status" -eq 3 ] || fail "status $status"
    says 'verimesh: standard output: cannot be written'
    [ "$(own "$root" sn)" = 2 ] || fail "sn $(own "$root" sn)"
    [ -z "$(find "$(identity "$root" .)" -name 'rotation*')" ] || fail 'something is left'
}

# ---- a stolen key ----

# A thief who has the signing seed anchors a card; so the host rotates and gets rid of it.
a_card_of_a_thief_stops_it_until_it_is_recovered() {
    local root other
    root=$(host robbed)
    organisation "$root" a db1 --login alice
    run 0 issue db2 --key "$key1" --root "$root"
    other=$(thief "$root" thief)
    run 0 issue evil --key "$key2" --login root --root "$other"
    shown "$other" "$root"
    before=$(state "$root")
    run 1 rotate --root "$root"
    [ "$(wc -l <"$work/err")" -eq 2 ] || fail "$(cat "$work/err")"
    grep -Eqx 'verimesh: evil\.a: card E[A-Za-z0-9_-]{43} was not issued by this host; issue or withdraw evil here, if that is right or a backup was restored, or supersede the event: verimesh rotate --at now --recover 3' \
        "$work/err" || fail "$(cat "$work/err")"
    unchanged "$before" "$root"
    run 1 rotate --recover 4 --root "$root"
    matches 'verimesh: --recover 4: only events since the last rotation can be superseded: 1 to 3'
    run 1 rotate --recover 0 --root "$root"
    unchanged "$before" "$root"
    run 0 rotate --recover 3 --at now --root "$root"
    quiet err
    [ "$(own "$root" sn)" = 3 ] || fail "sn $(own "$root" sn)"
    [ "$(grep -c '^db' "$work/out")" = 2 ] || fail "$(cat "$work/out")"
    run 1 show evil.a.mesh.internal --root "$root"
    run 0 show db2.a.mesh.internal --root "$root"
    # The thief's seed signs nothing any more, even for those who saw his card.
    shown "$root" "$other"
    run 1 show evil.a.mesh.internal --root "$other"
    run 1 issue evil --key "$key2" --root "$other"
    matches 'verimesh: /var/lib/verimesh/identity/seed: is not the key that signs this log now; .*'
    run 1 rotate --recover 3 --at now --root "$root"
    matches 'verimesh: --recover 3: there are no events since the last rotation'
}

# What this host issued behind the thief's event stands again, a withdrawal, too.
what_this_host_issued_stands_again() {
    local root other name
    root=$(host again)
    organisation "$root" a db1 --login alice
    run 0 issue db2 --key "$key1" --root "$root"
    run 0 issue db3 --key "$key2" --root "$root"
    other=$(thief "$root" thief)
    run 0 issue db4 --key "$key1" --root "$other"
    shown "$other" "$root"
    run 0 issue db1 --login bob --root "$root"
    run 0 issue db2 --key "$key1" --login carol --root "$root"
    run 0 withdraw db3 --root "$root"
    run 0 issue db5 --key "$key2" --root "$root"
    run 0 rotate --recover 4 --root "$root"
    quiet err
    for name in db3 db4; do
        run 1 show "$name.a.mesh.internal" --root "$root"
    done
    run 0 show db1.a.mesh.internal --root "$root"
    card "$root" db1 | grep -q '"logins":\["bob"\]' || fail "$(card "$root" db1)"
    run 0 show --json db2.a.mesh.internal --root "$root"
    card "$root" db2 | grep -q '"logins":\["carol"\]' || fail "$(card "$root" db2)"
    run 0 show db5.a.mesh.internal --root "$root"
    tells "$key2"
    [ "$(own "$root" sn)" = 4 ] || fail "sn $(own "$root" sn)"
}

# A withdrawal, a void and a replaced card are as foreign as a new one.
whatever_a_thief_does_to_a_card_is_seen() {
    local root other
    for verb in 'withdraw db2' "issue db2 --key $key2"; do
        root=$(host robbed)
        organisation "$root" a db1
        run 0 issue db2 --key "$key1" --root "$root"
        other=$(thief "$root" thief)
        # shellcheck disable=SC2086
        run 0 $verb --root "$other"
        shown "$other" "$root"
        run 1 rotate --root "$root"
        grep -q '^verimesh: db2\.a: card .* was not issued by this host' "$work/err" || fail "$(cat "$work/err")"
        # Who takes it for his own says so by a card of his own.
        run 0 issue db2 --key "$key1" --root "$root"
        run 0 rotate --root "$root"
        tells "db2.a: key $key1, card"
    done
}

# A card that the thief keeps to himself would be there for ever, once a rotation stood behind it.
what_a_thief_does_not_show_stops_it_too() {
    local root other before
    root=$(host robbed)
    organisation "$root" a db1
    other=$(thief "$root" thief)
    run 0 issue evil --key "$key2" --root "$other"
    run 0 export --root "$other"
    # without the body of his card
    # shellcheck disable=SC2016 # of perl
    perl -0777 -pe '$at = rindex($_, "{\"v\":\"ACDC10JSON", index($_, "\"host\":\"evil\""));
        substr($_, $at, hex substr($_, $at + 16, 6)) = ""' "$work/out" >"$work/cut.cesr"
    ! grep -aq '"host":"evil"' "$work/cut.cesr" || fail 'the body is still there'
    run 0 import "$work/cut.cesr" --root "$root"
    [ "$(own "$root" sn)" = 2 ] || fail 'his event did not come in'
    before=$(state "$root")
    run 1 rotate --root "$root"
    grep -Eqx 'verimesh: a: event sn 2, which this host did not make, seals E[A-Za-z0-9_-]{43}, which is no card that is here; supersede it: verimesh rotate --at now --recover 2' \
        "$work/err" || fail "$(cat "$work/err")"
    unchanged "$before" "$root"
    run 0 rotate --at now --recover 2 --root "$root"
    run 0 export --root "$root"
    cp "$work/out" "$work/recovered.cesr"
    run 0 import "$work/recovered.cesr" --root "$other"
    run 1 show evil.a.mesh.internal --root "$other"
}

# A Source that still shows what was superseded is only old.
after_a_recovery_an_old_source_is_no_trouble() {
    local root other
    root=$(host behind)
    organisation "$root" a db1
    printf '[Peer a]\nSource = file:%s\n' "$work/behind.cesr" >>"$(conf "$root")"
    other=$(thief "$root" thief)
    run 0 issue evil --key "$key2" --root "$other"
    run 0 issue evil --key "$key1" --root "$other"
    run 0 export --root "$other"
    cp "$work/out" "$work/behind.cesr"
    run 1 rotate --at now --root "$root"
    says "verimesh: file:$work/behind.cesr: has sn 3 of the own log, this host only sn 1; verimesh import it first"
    run 0 import "$work/behind.cesr" --root "$root"
    run 0 rotate --at now --recover 2 --root "$root"
    printed '^evil\.a: card E.* is superseded, and the host gone$'
    run 0 issue db2 --key "$key1" --root "$root"
    run 0 rotate --at now --root "$root"
}

# The thief and the owner both signed an event of one number.
a_fork_is_recovered_from_before_and_after_it_froze() {
    local root other
    root=$(host forked)
    organisation "$root" a db1
    other=$(thief "$root" thief)
    run 0 issue evil --key "$key2" --root "$other"
    run 0 issue db2 --key "$key1" --root "$root"
    run 0 export --root "$other"
    cp "$work/out" "$work/fork.cesr"
    other=$(thief "$root" copy)
    printf '[Peer a]\nSource = file:%s\n' "$work/fork.cesr" >>"$(conf "$root")"
    run 1 rotate --at now --root "$root"
    matches "verimesh: file:$work/fork.cesr: has another event at sn 2 of the own log; .* verimesh rotate --at now --recover 2"
    run 0 rotate --at now --recover 2 --root "$root"
    printed '^db2\.a: key '
    # where it was imported
    root=$other
    run 1 import "$work/fork.cesr" --root "$root"
    before=$(state "$root")
    run 1 rotate --at now --recover 2 --root "$root"
    matches 'verimesh: a: two versions of an event of the own log were seen, and it is frozen; first run verimesh export > own.cesr, then verimesh import --resolve E[A-Za-z0-9_-]* own.cesr'
    unchanged "$before" "$root"
    run 0 export --root "$root"
    cp "$work/out" "$work/mine.cesr"
    run 0 import --resolve "$(aid "$root")" "$work/mine.cesr" --root "$root"
    run 0 rotate --at now --recover 2 --root "$root"
    printed '^db2\.a: key '
}

# Without the list of what was made here nothing is known, and no new list begins by itself.
a_lost_list_of_events_is_told() {
    local root before
    root=$(host lost)
    organisation "$root" a db1
    rm "$(identity "$root" events)"
    before=$(state "$root")
    for call in 'issue db2 --key '"$key1" 'rotate'; do
        # shellcheck disable=SC2086
        run 3 $call --root "$root"
        matches 'verimesh: /var/lib/verimesh/identity/events: is lost; restore it from a backup, or make it empty and issue every card anew'
    done
    unchanged "$before" "$root"
    install -m 600 /dev/null "$(identity "$root" events)"
    run 1 rotate --root "$root"
    run 0 issue db1 --root "$root"
    run 0 rotate --root "$root"
}

# ---- a restored snapshot ----

a_restored_snapshot_does_not_fork() {
    local root old before
    root=$(host restored)
    organisation "$root" a db1
    printf '[Peer a]\nSource = file:%s\n' "$work/own-source.cesr" >>"$(conf "$root")"
    run 0 export --root "$root"
    cp "$work/out" "$work/own-source.cesr"
    old=$(thief "$root" old)
    run 0 rotate --root "$root"
    run 0 export --root "$root"
    cp "$work/out" "$work/own-source.cesr"
    before=$(state "$old")
    run 1 rotate --root "$old"
    says "verimesh: file:$work/own-source.cesr: has sn 2 of the own log, this host only sn 1; verimesh import it first"
    run 1 issue db1 --root "$old"
    unchanged "$before" "$old"
    # With the log, but the seeds of before, it signs nothing, either.
    run 0 fetch a --root "$old"
    run 1 rotate --at now --root "$old"
    matches 'verimesh: /var/lib/verimesh/identity/next: is not the key to which the log commits since event sn 2; .*'
    run 1 issue db2 --key "$key1" --root "$old"
    matches 'verimesh: /var/lib/verimesh/identity/seed: is not the key that signs this log now; .*'
}

# ---- seeds sealed by a passphrase ----

with() { # with LINE STATUS WORD...: the passphrase, as standard input
    local line=$1 wanted=$2 status=0
    shift 2
    printf '%b\n' "$line" | "$verimesh" "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq "$wanted" ] || fail "$* gave $status, not $wanted: $(cat "$work/err")"
}
sealed() { # sealed ROOT: both seeds are, and what stays in the clear is no seed
    local file
    for file in seed next; do
        grep -qx 'argon2id 3 65536 [A-Za-z0-9+/=]*' "$(identity "$1" "$file")" || fail "$file is not sealed"
        [ "$(stat -c %a "$(identity "$1" "$file")")" = 600 ] || fail "the mode of $file"
    done
}

sealed_seeds_need_their_passphrase_and_stay_sealed() {
    local root before
    root=$(host sealed)
    with 'xyzzy\tplugh' 0 init db1 --self a --seal --root "$root"
    sealed "$root"
    # The tunnel is kept apart, so that the host starts without anybody.
    "$verimesh" sync --root "$root" 2>"$work/err" || true
    ! grep -q passphrase "$work/err" || fail "$(cat "$work/err")"
    before=$(state "$root")
    for call in 'issue db1' 'withdraw db1' rotate; do
        # shellcheck disable=SC2086
        with wrong 1 $call --root "$root"
        matches "verimesh: $root/var/lib/verimesh/identity/(seed|next): wrong passphrase"
        # shellcheck disable=SC2086
        run 2 $call --root "$root"
        says 'verimesh: passphrase: empty, with a NUL, or longer than 1023 bytes'
    done
    unchanged "$before" "$root"
    with 'xyzzy\tplugh' 0 issue db1 --root "$root"
    mv "$(identity "$root" next)" "$work/sealed-next"
    with 'xyzzy\tplugh' 0 rotate --next "$work/sealed-next" --root "$root"
    sealed "$root"
    with 'xyzzy\tplugh\nplover' 0 rotate --at now --seal --root "$root"
    sealed "$root"
    with 'xyzzy\tplugh' 1 issue db2 --key "$key1" --root "$root"
    with plover 0 issue db2 --key "$key1" --root "$root"
    mkdir -p "$work/credentials"
    echo plover >"$work/credentials/verimesh.passphrase"
    CREDENTIALS_DIRECTORY=$work/credentials run 0 rotate --at now --root "$root"
    ! grep -rq 'xyzzy\|plover' "$root" || fail 'a passphrase is on disk'
}

seeds_are_sealed_later() {
    local root
    root=$(host later)
    organisation "$root" a db1
    with secret 0 rotate --seal --root "$root"
    sealed "$root"
    with secret 0 rotate --at now --root "$root"
    sealed "$root"
}

# ---- kill -9 anywhere ----

# One rotation, whole: the log has it, the seeds are its seeds, and the host has its key.
whole() { # whole ROOT
    [ -z "$(find "$(identity "$1" .)" -name 'rotation*')" ] || fail 'something is left'
    # The next key of the host is that of its card,
    run 0 show --json db1.a.mesh.internal --root "$1"
    tells "\"next\":\"$(public "$(identity "$1" tunnel.next)")\""
    # no second rotation was made,
    run 1 rotate --at 1h --root "$1"
    # and the seeds are those of the log: they sign a card, and another rotation.
    run 0 issue db9 --key "$key2" --root "$1"
    run 0 rotate --at now --root "$1"
}
# Rotates, and is killed at the Nth of such calls. 137: it was.
rotate_killed() { # rotate_killed ROOT CALL N
    # shellcheck disable=SC2016 # the inner shell's, which tells of the kill
    bash -c '"$@"; exit $?' - strace -qq -o "$work/trace" -e "trace=$2" -e "inject=$2:signal=KILL:when=$3" \
        "$verimesh" rotate --at 1h --root "$1" >"$work/out" 2>"$work/err"
}

killed_anywhere_it_is_done_by_the_next_run() {
    local root before call n sn status kills=0
    command -v strace >/dev/null || { echo 'strace is not installed' >"$work/skip" && return; }
    root=$(host whole)
    organisation "$root" a db1
    run 0 issue db2 --key "$key1" --root "$root" # sn 2
    before=$root.before
    rm -rf "$before"
    cp -r "$root" "$before"
    # what is opened and made shows in the first of these behind it
    for call in write fsync rename unlink rmdir; do
        for ((n = 1; ; n++)); do
            rm -rf "$root"
            cp -r "$before" "$root"
            status=0
            rotate_killed "$root" "$call" "$n" || status=$?
            [ "$status" -ne 0 ] || break
            [ "$status" -eq 137 ] || fail "$call $n: status $status: $(cat "$work/err")"
            kills=$((kills + 1))
            sn=$(own "$root" sn)
            case $((n % 3)) in
            0) ;; # who called it calls it again
            1) "$verimesh" sync --root "$root" 2>/dev/null || true ;;
            2)
                # A card in between finds it undone, or makes it whole.
                run 0 issue db2 --key "$key1" --root "$root"
                [ "$sn" -eq 2 ] || { whole "$root" && continue; }
                ;;
            esac
            echo "$call $n"
            run 0 rotate --at 1h --root "$root"
            quiet err
            tells "db1.a: key $(public "$(identity "$root" tunnel.next)") from "
            [ "$(own "$root" sn)" -eq $((n % 3 == 2 ? 4 : 3)) ] || fail "$call $n: sn $(own "$root" sn)"
            whole "$root"
        done
    done
    [ "$kills" -ge 30 ] || fail "only $kills kills"
}

# Another call is another one.
what_was_cut_off_is_no_answer_to_another_call() {
    local root n
    command -v strace >/dev/null || { echo 'strace is not installed' >"$work/skip" && return; }
    for ((n = 1; ; n++)); do
        root=$(host other)
        organisation "$root" a db1
        ! rotate_killed "$root" rename "$n" || fail 'no kill leaves it with its event in the log'
        [ "$(own "$root" sn)" -eq 1 ] || break
    done
    run 1 rotate --at now --root "$root"
    says 'verimesh: a: a rotation that was cut off is complete now, as event sn 2; if you mean another one, run this again'
    run 0 rotate --at now --root "$root"
    [ "$(own "$root" sn)" -eq 3 ] || fail 'the other call was not done'
    ! card "$root" db1 | grep -q '"from"' || fail "$(card "$root" db1)"
}

run_cases \
    the_new_card_says_what_the_old_one_did within_the_hour_it_waits the_next_seed_may_come_by_a_pipe \
    an_output_that_fails_is_told_once what_a_thief_does_not_show_stops_it_too \
    after_a_recovery_an_old_source_is_no_trouble a_fork_is_recovered_from_before_and_after_it_froze \
    a_lost_list_of_events_is_told what_was_cut_off_is_no_answer_to_another_call \
    the_committed_key_signs_and_another_is_committed_to the_tunnel_key_follows_from_two_fetchevery_on \
    at_a_time_or_now a_change_that_is_under_way_is_waited_for every_live_card_is_listed peers_take_it \
    the_next_seed_may_be_offline a_card_of_a_thief_stops_it_until_it_is_recovered \
    what_this_host_issued_stands_again whatever_a_thief_does_to_a_card_is_seen \
    a_restored_snapshot_does_not_fork sealed_seeds_need_their_passphrase_and_stay_sealed seeds_are_sealed_later killed_anywhere_it_is_done_by_the_next_run
run_again_as_nobody
