#!/usr/bin/env bash
# test_show.sh: show: whose a name, an AID, a key, an address or a login is, or why nobody's.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_show.sh   from the repository's root; B=build: the folder with verimesh
# Each host is a directory for --root, without an interface. As root it runs all again as nobody.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

B=${B:-build}
VECTORS=$PWD/tests/vectors/card
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
verimesh=$work/verimesh
cp "$B/verimesh" "$verimesh"
chmod 755 "$work" "$verimesh"
interface=vs$((SRANDOM % 1000000))
who=$(id -un)
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh

# What only root can see.
KEYRING=null KEYRING_TEXT='needs root'
[ "$(id -u)" -ne 0 ] || KEYRING=false KEYRING_TEXT='has not the key'

# The host db1 of the golden cards.
AID=EGw6m53qIwpwmE5qWvOz-mTCVF0E7rLd36djPVtHX8tP
KEY=hu29hnQZTzZEqYg/MN0mHVKXzr7LXL4+p9grKGJMgz8=
ADDRESS=fd8c:c948:ee32:5c7e:c895:91b5:44a2:8638

fail() {
    echo "$*"
    exit 1
}

run() { # run STATUS WORD...
    local wanted=$1 status=0
    shift
    "$verimesh" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || fail "$* gave $status, not $wanted: $(cat "$work/err")"
}
says() { # says LINE: that alone stands on stderr, and nothing on stdout
    [ "$(cat "$work/err")" = "$1" ] || fail "said: $(cat "$work/err")"
    [ ! -s "$work/out" ] || fail "stdout: $(cat "$work/out")"
}
prints() { # prints TEXT: that alone stands on stdout, and nothing on stderr
    diff <(echo "$1") "$work/out" || fail 'not as wanted'
    [ ! -s "$work/err" ] || fail "stderr: $(cat "$work/err")"
}
shows() { # shows NAME...: the hosts of these names, in this order
    [ "$(grep -v '^ ' "$work/out" | grep .)" = "$(printf '%s\n' "$@")" ] || fail "shows $(cat "$work/out")"
}

object() { # one line of several
    tr -d '\n'
}

# A host of nobody that meshes with the organisation of the golden cards, as of STREAM.
golden() { # golden STREAM [LINE...]: lines of its section
    root=$work/golden
    rm -rf "$root"
    mkdir -p "$root/etc/verimesh"
    printf '%s\n' '[Interface]' 'Self = me' 'Host = here' "Name = $interface" '[Peer clinic-b]' "AID = $AID" \
        'AllowedIPs = 10.77.2.0/24' "${@:2}" >"$root/etc/verimesh/verimesh.conf"
    run 0 import "$VECTORS/$1" --root "$root"
}

# An organisation of this host's own, clinic-a with web1.
own() {
    root=$work/own
    rm -rf "$root"
    mkdir "$root"
    run 0 init web1 --self clinic-a --addr 10.77.1.5 --login alice --root "$root"
    sed -i "s/^#Name = .*/Name = $interface/; s/^AllowedIPs = .*/AllowedIPs = 10.77.0.0\/16 10.80.0.0\/16/" \
        "$root/etc/verimesh/verimesh.conf"
}
key() {
    head -c 32 /dev/urandom | base64
}

# ---- all there is to say ----

a_host_in_full() {
    golden golden-1-issued.cesr 'Logins = alice bob=rsmith'
    run 0 show db1 --root "$root"
    prints "db1.clinic-b.mesh.internal
  alias         db1.$AID.mesh.internal
  aid           $AID
  peer          clinic-b
  label         db1
  sn            1
  said          EDb6lsEv4mX5KkQz49pLBsr_cXyw8Ql8j8bVTWatCgQ7
  witnesses     0
  card          EHrpaxeZMQKxs10HsHFVU4ytlHyqs_rTlCvFWkaWIcEi
  anchor        sn 1, EDb6lsEv4mX5KkQz49pLBsr_cXyw8Ql8j8bVTWatCgQ7
  key           $KEY
  until         never
  addresses     $ADDRESS 10.77.2.5
  login         alice: account alice
  login         bob: account rsmith
  endpoint      198.51.100.7:51820
  handshake     down
  keyring       $KEYRING_TEXT"
}

a_host_as_json() {
    golden golden-1-issued.cesr 'Logins = alice bob=rsmith'
    run 0 show --json db1 --root "$root"
    prints "$(object <<END
{"name":"db1.clinic-b.mesh.internal","alias":"db1.$AID.mesh.internal",
"aid":"$AID","peer":"clinic-b","label":"db1",
"sn":1,"said":"EDb6lsEv4mX5KkQz49pLBsr_cXyw8Ql8j8bVTWatCgQ7","delegator":null,"witnesses":0,"frozen":false,
"card":"EHrpaxeZMQKxs10HsHFVU4ytlHyqs_rTlCvFWkaWIcEi","anchor":{"sn":1,"said":"EDb6lsEv4mX5KkQz49pLBsr_cXyw8Ql8j8bVTWatCgQ7"},
"key":"$KEY","next":null,"from":null,"until":null,"lapsed":null,
"addresses":["$ADDRESS","10.77.2.5"],"routes":[],
"logins":[{"login":"alice","account":"alice","uid":null,"gid":null},{"login":"bob","account":"rsmith","uid":null,"gid":null}],
"endpoint":"198.51.100.7:51820","handshake":null,"live_endpoint":null,"keyring":$KEYRING}
END
    )"
    cp "$work/out" "$work/json"
    run 0 show db1 --json --root "$root"
    cmp "$work/out" "$work/json"
    run 0 show --json --root "$root"
    cmp "$work/out" "$work/json"
}

# The card of the second event, which the log rotated its keys in; and only the logins that policy admits.
a_host_whose_card_was_replaced() {
    golden golden-2-replaced.cesr 'Logins = bob'
    run 0 show --json db1 --root "$root"
    prints "$(object <<END
{"name":"db1.clinic-b.mesh.internal","alias":"db1.$AID.mesh.internal",
"aid":"$AID","peer":"clinic-b","label":"db1",
"sn":2,"said":"EA2G07EpOoSPuKQevhYYPiIwpz9nefCfa64EC30pke_U","delegator":null,"witnesses":0,"frozen":false,
"card":"EEmUDF3lPIkFzLBrW0ZhLno8iNJuF_IGVRhT2q9mdmlC","anchor":{"sn":2,"said":"EA2G07EpOoSPuKQevhYYPiIwpz9nefCfa64EC30pke_U"},
"key":"4Tq8QZN6RB8zIsH0C8dF7ageWa6ynm7cgCKLSTOG0Ro=","next":null,"from":"2026-02-01T00:10:00.000000+00:00","until":null,"lapsed":null,
"addresses":["$ADDRESS","10.77.2.5"],"routes":[],
"logins":[],
"endpoint":"198.51.100.7:51820","handshake":null,"live_endpoint":null,"keyring":$KEYRING}
END
    )"
}

accounts_of_our_own_have_numbers() {
    golden golden-2-replaced.cesr 'Logins = alice' 'Accounts = yes'
    run 0 show db1 --root "$root"
    grep -qx '  login         alice: account alice@clinic-b, uid 1997202310, gid 2074118273' "$work/out"
    run 0 show --json db1 --root "$root"
    grep -qF '"logins":[{"login":"alice","account":"alice@clinic-b","uid":1997202310,"gid":2074118273}]' "$work/out"
}

a_key_that_is_to_come() {
    local now next
    own
    now=$(key) next=$(key)
    run 0 issue web2 --key "$now" --endpoint '[2001:db8::7]:51820' --until 10d --root "$root"
    run 0 issue web2 --key "$next" --from 2h --until never --root "$root"
    run 0 show --json web2 --root "$root"
    grep -qE '"sn":3,.*"anchor":\{"sn":2,' "$work/out"
    grep -qF "\"key\":\"$now\",\"next\":\"$next\",\"from\":" "$work/out"
    grep -qE '"from":"20[^"]{17}\.[0-9]{6}\+00:00","until":"20[^"]{30}",' "$work/out"
    grep -qF '"endpoint":"[2001:db8::7]:51820"' "$work/out"
    cp "$work/out" "$work/json"
    run 0 show --json "$next" --root "$root"
    cmp "$work/out" "$work/json"
    run 0 show web2 --root "$root"
    grep -qx "  next          $next" "$work/out"
}

the_table() {
    golden golden-1-issued.cesr '[Peer clinic-c]' 'AID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2'
    run 0 show --root "$root"
    prints "clinic-b  $AID  sn 1
  db1          handshake down              until never             $ADDRESS 10.77.2.5
clinic-c  no log yet"
    own
    for i in 1 2 3 4; do
        set -- "$@" --addr "10.77.3.$i"
    done
    run 0 issue web2 --key "$(key)" --until 2099-01-02T03:04:05Z "$@" --root "$root"
    run 0 show --root "$root"
    grep -Eqx '  web1         handshake this host         until 20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}  fd[0-9a-f:]+ 10\.77\.1\.5' "$work/out"
    grep -Eqx '  web2         handshake down              until 2099-01-02T03:04  fd[0-9a-f:]+ 10\.77\.3\.1 10\.77\.3\.2 \.\.\.' "$work/out"
    ! grep -v '^  ' "$work/out" | grep -v '^clinic-a  E.*  sn 2$'
}

# Two of its versions: what was in force stays, and is told to be in doubt.
a_frozen_identity() {
    local other=$work/fork
    own
    rm -rf "$other"
    cp -r "$root" "$other"
    run 0 issue web1 --addr 10.77.1.6 --root "$other"
    run 0 export --root "$other"
    cp "$work/out" "$work/stream"
    run 0 issue web1 --addr 10.77.1.7 --root "$root"
    run 0 show web1 --root "$root"
    ! grep frozen "$work/out" || fail 'frozen too early'
    run 1 import "$work/stream" --root "$root"
    run 0 show web1 --root "$root"
    grep -qx '  frozen        it showed two versions of an event; see verimesh import --resolve' "$work/out" ||
        fail "$(cat "$work/out")"
    grep -q '^  addresses .* 10\.77\.1\.7$' "$work/out"
    run 0 show --json web1 --root "$root"
    grep -qF '"witnesses":0,"frozen":true,"card":' "$work/out"
    run 0 show --root "$root"
    grep -q '^clinic-a  E.*  sn 2  frozen$' "$work/out"
    run 1 show web2 --root "$root"
    run 1 show clinic-c --root "$root"
}

# ---- what finds a host ----

# A Source of an organisation answered this host that long ago.
answered() { # answered AID SECONDS
    sed -i '/^src /d' "$root/var/lib/verimesh/ledger"
    echo "src $1 - $(($(date +%s) - $2))" >>"$root/var/lib/verimesh/ledger"
}

a_peer_that_lapsed() {
    local since
    golden golden-1-issued.cesr 'Source = file:/nowhere' 'Logins = alice'
    answered "$AID" 86390
    run 0 show db1 --root "$root"
    ! grep lapsed "$work/out" || fail 'lapsed too early'
    answered "$AID" 90000
    since=$(date -u -d "@$(($(sed -n 's/^src .* - //p' "$root/var/lib/verimesh/ledger") + 86400))" +%FT%T)
    run 0 show db1 --root "$root"
    grep -qx "  lapsed        $since.000000+00:00" "$work/out" || fail "$(cat "$work/out")"
    run 0 show --json 10.77.2.5 --root "$root"
    grep -qF "\"until\":null,\"lapsed\":\"$since.000000+00:00\",\"addresses\":" "$work/out"
    run 0 show --root "$root"
    grep -qx "  db1          handshake down              lapse ${since%:*}  $ADDRESS 10.77.2.5" "$work/out"
}

# Who holds the identity has its log at first hand; who does not knows its hosts by the Sources.
an_organisation_of_our_own_that_lapsed() {
    own
    run 0 issue web2 --key "$(key)" --root "$root"
    sed -i 's/^\[Peer clinic-a\].*/&\nSource = file:\/nowhere/' "$root/etc/verimesh/verimesh.conf"
    run 0 show --json web1 --root "$root"
    AID_A=$(sed 's/.*"aid":"\([^"]*\)".*/\1/' "$work/out")
    answered "$AID_A" 90000
    run 0 show --root "$root"
    ! grep lapse "$work/out" || fail 'lapsed at first hand'
    mv "$root/var/lib/verimesh/identity" "$root/away"
    sed -i "s/^\[Peer clinic-a\].*/&\nAID = $AID_A/" "$root/etc/verimesh/verimesh.conf"
    run 0 show --root "$root"
    grep -q '^  web1 .* until 20' "$work/out"
    grep -q '^  web2 .* lapse 20' "$work/out"
}

every_name_key_address_and_login_finds_it() {
    local word
    golden golden-1-issued.cesr 'Logins = alice bob=rsmith'
    run 0 show db1 --root "$root"
    cp "$work/out" "$work/db1"
    for word in db1 DB1 clinic-b Clinic-B db1.clinic-b db1.clinic-b.mesh.internal db1.clinic-b.mesh.internal. \
        DB1.CLINIC-B.MESH.INTERNAL db1.$AID "db1.$AID.mesh.internal" "db1.${AID,,}.mesh.internal" \
        $AID $KEY $ADDRESS "${ADDRESS^^}" 10.77.2.5 ::ffff:10.77.2.5 \
        alice bob rsmith alice@clinic-b bob@clinic-b; do
        run 0 show "$word" --root "$root"
        cmp "$work/out" "$work/db1" || fail "$word"
    done
}

what_nobody_has() {
    local word
    golden golden-1-issued.cesr 'Logins = alice bob=rsmith'
    for word in db db11 db1.clinic db1.clinic-b.mesh db1.clinic-b.mesh.internal.x clinic-b.mesh.internal \
        .clinic-b x.db1 ALICE alice@clinic-c carol 10.77.2.6 ${ADDRESS}1 fd8c:: 198.51.100.7 "${KEY%=}" "${KEY,,}" me \
        here "$interface" a$'\n'b; do
        run 1 show "$word" --root "$root"
        says "verimesh: ${word//$'\n'/?}: no host in force has this name, key, address or login"
        run 1 show --json "$word" --root "$root"
    done
}

a_word_may_find_several() {
    own
    run 0 issue alice --key "$(key)" --root "$root"
    run 0 issue web2 --key "$(key)" --login alice --root "$root"
    sed -i '/^AllowedIPs/a Logins = alice' "$root/etc/verimesh/verimesh.conf"
    run 0 show alice --root "$root"
    shows alice.clinic-a.mesh.internal web1.clinic-a.mesh.internal web2.clinic-a.mesh.internal
    [ "$(grep -c '^$' "$work/out")" -eq 2 ]
    run 0 show clinic-a --json --root "$root"
    [ "$(grep -c '^{"name":"[a-z0-9]*\.clinic-a\.mesh\.internal",.*}$' "$work/out")" -eq 3 ]
    run 0 show web2 --root "$root"
    shows web2.clinic-a.mesh.internal
}

# The longest prefix counts; an address of a host's own comes before all.
an_address_behind_a_route() {
    own
    run 0 issue gw --key "$(key)" --addr 10.80.1.1 --route 10.80.0.0/16 --root "$root"
    run 0 issue gw2 --key "$(key)" --route 10.80.1.0/24 --route 10.80.1.7/32 --root "$root"
    while read -r address host route; do
        run 0 show "$address" --root "$root"
        shows "$host.clinic-a.mesh.internal"
        [ "$(sed -n 's/^  route  //p' "$work/out")" = "${route:+       to $address, by $route}" ] || fail "$address"
    done <<'END'
10.80.2.1 gw 10.80.0.0/16
10.80.1.2 gw2 10.80.1.0/24
10.80.1.7 gw2 10.80.1.7/32
10.80.1.1 gw
END
    run 0 show gw2 --root "$root"
    grep -qx '  routes        10.80.1.0/24 10.80.1.7/32' "$work/out"
    run 0 show --json 10.80.2.1 --root "$root"
    grep -qF '"addresses":["fd' "$work/out"
    grep -qF '"10.80.1.1"],"routes":["10.80.0.0/16"]' "$work/out"
}

# ---- why a host is not in force ----

a_host_that_was_withdrawn() {
    local word
    golden golden-3-withdrawn.cesr
    for word in db1 db1.clinic-b.mesh.internal db1.$AID clinic-b $AID; do
        run 1 show "$word" --root "$root"
        says 'verimesh: db1.clinic-b: withdrawn (card EO249hmr2chQY7DDTa5Oa-c14IXpgPytj0wcOum4CkxX, anchored by event sn 3)'
    done
    run 1 show "$KEY" --root "$root"
    says "verimesh: $KEY: no host in force has this name, key, address or login"
    run 0 show --root "$root"
    prints "clinic-b  $AID  sn 3"
}

a_card_that_is_void() {
    golden golden-4-successor-withheld.cesr
    run 1 show --json DB1 --root "$root"
    says 'verimesh: db1.clinic-b: its last card is void (card EHrpaxeZMQKxs10HsHFVU4ytlHyqs_rTlCvFWkaWIcEi, anchored by event sn 1)'
}

a_card_that_ended() {
    own
    run 0 issue web2 --key "$(key)" --until 1s --root "$root"
    sleep 1.1
    run 1 show web2 --root "$root"
    grep -Eqx 'verimesh: web2\.clinic-a: its last card ended at 20[0-9T:-]{17}Z \(card E.{43}, anchored by event sn 2\)' "$work/err" ||
        fail "$(cat "$work/err")"
}

a_claim_that_was_refused() {
    own
    run 0 issue web2 --key "$KEY" --root "$root"
    cat >>"$root/etc/verimesh/verimesh.conf" <<END
[Peer clinic-b]
AID = $AID
AllowedIPs = 10.77.2.0/24
END
    run 0 import "$VECTORS/golden-1-issued.cesr" --root "$root"
    run 1 show db1 --root "$root"
    says "verimesh: db1.clinic-b: claims tunnel key $KEY, which is web2.clinic-a's; issue its card with a key of its own"
    run 0 show "$KEY" --root "$root"
    shows web2.clinic-a.mesh.internal
}

a_peer_without_a_log() {
    golden golden-1-issued.cesr '[Peer clinic-c]' 'AID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2'
    run 1 show clinic-c --root "$root"
    says 'verimesh: clinic-c: no log of EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 yet; get its stream and verimesh import it'
}

# ---- files ----

it_changes_nothing() {
    local before
    golden golden-1-issued.cesr 'Logins = alice' 'Accounts = yes'
    before=$(find "$root" -type f -exec sha256sum {} + | sort)
    chmod -R a-w "$root"
    run 0 show --root "$root"
    chmod -R u+w "$root"
    [ "$before" = "$(find "$root" -type f -exec sha256sum {} + | sort)" ]
}

# Who may not read the identity sees the others, as they are.
an_identity_that_may_not_be_read() {
    if [ "$(id -u)" -eq 0 ]; then
        echo 'root may read it' >"$work/skip"
        return
    fi
    own
    printf '[Peer clinic-b]\nAID = %s\n' "$AID" >>"$root/etc/verimesh/verimesh.conf"
    run 0 import "$VECTORS/golden-1-issued.cesr" --root "$root"
    chmod 0 "$root/var/lib/verimesh/identity"
    run 0 show --root "$root"
    prints "clinic-a  needs root
clinic-b  $AID  sn 1
  db1          handshake down              until never             $ADDRESS"
    run 1 show web1 --root "$root"
    says 'verimesh: web1: no host in force has this name, key, address or login'
    run 3 sync --root "$root"
    chmod 700 "$root/var/lib/verimesh/identity"
}

a_damaged_store() {
    local file
    golden golden-1-issued.cesr
    file=$root/var/lib/verimesh/kel/$AID.cesr
    sed -i 's/"kt":"1"/"kt":"2"/' "$file"
    run 3 show db1 --root "$root"
    says "verimesh: $file: damaged at event 0: d is not the digest of the body; restore it, or remove it and import again"
    run 3 show --root "$root"
    grep -qx 'clinic-b  no log yet' "$work/out"
}

calls() {
    golden golden-1-issued.cesr
    run 2 show db1 db2 --root "$root"
    says 'verimesh: show: takes --json and one word (see verimesh show --help)'
    for word in --jason -j '' '--json --json'; do
        # shellcheck disable=SC2086 # two words may be one line
        run 2 show ${word:-''} --root "$root"
    done
    rm "$root/etc/verimesh/verimesh.conf"
    run 3 show --root "$root"
    run 0 show --help
    for member in name alias aid peer label sn said delegator witnesses frozen card anchor key next from until lapsed \
        addresses \
        routes endpoint logins handshake live_endpoint keyring; do
        grep -qw "$member" "$work/out" || fail "--help leaves out $member"
    done
}

run_cases \
    a_host_in_full \
    a_host_as_json \
    a_host_whose_card_was_replaced \
    accounts_of_our_own_have_numbers \
    a_key_that_is_to_come \
    the_table \
    a_frozen_identity \
    a_peer_that_lapsed \
    an_organisation_of_our_own_that_lapsed \
    every_name_key_address_and_login_finds_it \
    what_nobody_has \
    a_word_may_find_several \
    an_address_behind_a_route \
    a_host_that_was_withdrawn \
    a_card_that_is_void \
    a_card_that_ended \
    a_claim_that_was_refused \
    a_peer_without_a_log \
    it_changes_nothing \
    an_identity_that_may_not_be_read \
    a_damaged_store \
    calls
run_again_as_nobody
