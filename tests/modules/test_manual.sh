#!/usr/bin/env bash
# test_manual.sh: --help, the man pages, the completion and what the programs accept say the same.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_manual.sh   from the repository's root; B=build: the folder with verimesh
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
export LC_ALL=C

B=${B:-build}
MAN=packaging/man
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
verimesh=$work/verimesh
cp "$B/verimesh" "$verimesh"
who=$(id -un)
# shellcheck source=tests/modules/cases.sh
. tests/modules/cases.sh
# shellcheck source=tests/modules/command.sh
. tests/modules/command.sh

same() { # same WHAT ONE OTHER: texts, line by line
    [ -n "$2" ] || fail "$1: nothing was found"
    diff <(echo "$2") <(echo "$3") || fail "$1"
}

# ---- what the command says ----

usage_lines() {
    "$verimesh" --help | sed -n 's/^  \(verimesh .*\)/\1/p' | sed 's/  */ /g; s/ $//'
}
verbs() {
    usage_lines | cut -d ' ' -f 2
}
# The options in its first line, with their values.
verb_options() { # verb_options VERB
    usage_lines | sed -n "s/^verimesh $1 //p" | sed 's/card options//' |
        grep -o -- '--[a-z]*\( [^] -][^] ]*\)\?' || true
}
card_options() {
    "$verimesh" issue --help | sed -n '/^Card options/,$s/^  \(--[^ ]* [^ *]*\).*/\1/p'
}

# ---- what the pages say ----

# No line is broken but at its end.
page() {
    mandoc -T ascii -O width=1000 "$MAN/$1" | col -bx
}
section() { # section PAGE TITLE
    page "$1" | sed -n "/^$2\$/,/^[A-Z]/{/^ /p}"
}
subsection() { # subsection PAGE TITLE
    page "$1" | sed -n "/^   $2\$/,/^ \{0,3\}[^ ]/{/^    /p}"
}
# The heads of a list.
heads() { # heads PAGE TITLE MACRO
    sed -n "/^\.S[sh] $2\$/,/^\.S[sh] /s/^\.It $3 //p" "$MAN/$1" | sed 's/ Ns.*//'
}

needs_mandoc() {
    command -v mandoc >/dev/null || {
        echo 'mandoc is not there' >"$work/skip"
        exit 0
    }
}

# ---- the pages ----

every_page_is_well_formed() {
    local file
    needs_mandoc
    for file in "$MAN"/*.[0-9]; do
        mandoc -T lint -W warning "$file" || fail "$file"
        grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later$' <(head -2 "$file") || fail "$file: no licence"
    done
    [ "$(cd "$MAN" && echo *)" = 'libnss_verimesh.so.2.8 nss_verimesh.8 pam_verimesh.8 verimesh-card.5 '\
'verimesh.7 verimesh.8 verimesh.conf.5' ] || fail 'not these pages'
}

pages_refer_to_pages_that_are_there() {
    local name number
    while read -r name number; do
        [ -e "$MAN/$name.$number" ] || fail "there is no $name($number)"
    done < <(sed -n 's/^\.Xr \([^ ]*verimesh[^ ]*\) \([0-9]\).*/\1 \2/p' "$MAN"/*)
}

# ---- the command ----

each_verb_has_its_synopsis() {
    local verb
    needs_mandoc
    same 'synopsis of --help and page' "$(usage_lines)" "$(section verimesh.8 SYNOPSIS | sed 's/^ *//')"
    for verb in $(verbs); do
        grep -qxF -- "$("$verimesh" "$verb" --help | sed -n '1s/ $//; 1p')" <(usage_lines) || fail "$verb --help"
        [ -n "$(subsection verimesh.8 "$verb")" ] || fail "the page says nothing of $verb"
    done
}

each_option_is_explained() {
    local verb option
    needs_mandoc
    for verb in $(verbs); do
        same "options of $verb" "$verb: $(verb_options "$verb")" \
            "$verb: $(subsection verimesh.8 "$verb" | sed -n 's/  *$//; s/^     \(--[^ ]*\( [^ ][^ ]*\)\?\).*/\1/p')"
    done
    same 'card options' "$(card_options)" \
        "$(subsection verimesh.8 'Card options' | sed -n 's/  *$//; s/^     \(--[^ ]*\( [^ ][^ ]*\)\?\).*/\1/p')"
    for option in $(card_options | grep -o -- '--[a-z]*'); do
        run 2 init a "$option" # it takes a value
    done
    same 'what all take' "$("$verimesh" --help | sed '1,/^$/d' | grep -o -- '--[a-z]*' | tail -3)" \
        "$(section verimesh.8 DESCRIPTION | sed '/^   [^ ]/,$d' | grep -o -- '--[a-z]*')"
    run 0 --version
}

each_member_that_show_prints_is_explained() {
    local root members
    root=$(host show)
    run 0 init db1 --root "$root"
    run 0 show --json --root "$root"
    members=$(jq -r 'keys[]' "$work/out")
    same '--help' "$members" "$("$verimesh" show --help | sed -n 's/^  \([a-z].*\)/\1/p' |
        sed 's/   *.*//; s/:\[[^]]*\]//g; s/:{[^}]*}//g' | tr ' ' '\n' | sort)"
    same 'page' "$members" "$(heads verimesh.8 show Va | sed 's/ , /\n/g' | sort)"
}

# In examples and where a page refers to one.
no_verb_is_made_up() {
    local verb
    for verb in $(sed -n 's/^\.Nm verimesh \([a-z-]*\).*/\1/p; s/^verimesh \([a-z-]*\).*/\1/p' "$MAN"/*) \
        $(grep -o '[`#] \?verimesh [a-z-][a-z-]*' README.md | sed 's/.* //'); do
        grep -qx -- "$verb" <(verbs) || fail "there is no verimesh $verb"
    done
}

# ---- the configuration ----

# KEY DEFAULT of each key that the program takes.
accepted_keys() { # accepted_keys host|peer
    sed -n "/$1_settings\\[\\] = /,/^};/s/^\t{\"\\([A-Za-z.]*\\)\", [A-Z]*, [^,]*, [^,]*, \"\\?\\([^\",]*\\).*/\\1 \\2/p" \
        libcommon/policy.c | sed 's/ NULL$//; s/ $//'
}
explained_keys() { # explained_keys TITLE WITH-DEFAULT
    awk -v title=".Ss $1" '
        /^\.Ss / { inside = $0 == title }
        inside && /^\.(It|El)/ && key != "" { print key (value == "" ? "" : " " value); key = "" }
        inside && /^\.It Ic / { key = $3; value = "" }
        inside && /^\.Li / && last == "Default:" { value = $2 }
        { last = $0 }' "$MAN/verimesh.conf.5"
}

each_key_is_explained_with_its_default() {
    same '[Interface]' "$(accepted_keys host)" "$(explained_keys 'The section Interface')"
    same '[Peer]' "$(accepted_keys peer)" "$(explained_keys 'A section Peer' | sed 's/^Accounts no$/Accounts/')"
}

each_explained_key_is_accepted() {
    local root key
    root=$(host keys)
    mkdir -p "$root/etc/verimesh"
    for key in $(heads verimesh.conf.5 'The section Interface' Ic); do
        printf '[Interface]\n%s = %%\n' "$key" >"$(conf "$root")"
        run 2 key --root "$root"
        grep -q ": bad value \"%\" of $key; " "$work/err" || fail "$key: $(cat "$work/err")"
    done
    for key in $(heads verimesh.conf.5 'A section Peer' Ic); do
        printf '[Interface]\nSelf = a\n[Peer b]\n%s = %%\n' "${key/LOGIN/alice}" >"$(conf "$root")"
        run 2 key --root "$root"
        grep -q ": bad value \"%\" of ${key/LOGIN/alice}; " "$work/err" || fail "$key: $(cat "$work/err")"
    done
}

the_configurations_example_is_accepted() {
    local root
    root=$(host example)
    mkdir -p "$root/etc/verimesh"
    sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$MAN/verimesh.conf.5" | grep -v '^\.' >"$(conf "$root")"
    grep -q '^AID = ' "$(conf "$root")" || fail 'there is none'
    run 0 key --root "$root"
}

init_writes_each_key() {
    local root
    root=$(host written)
    run 0 init db1 --root "$root"
    same 'keys of [Interface]' "$(heads verimesh.conf.5 'The section Interface' Ic | sort)" \
        "$(sed '/Peer/,$d' "$(conf "$root")" | sed -n 's/^#\?\([A-Z][A-Za-z]*\) = .*/\1/p' | sort)"
}

# ---- cards and modules ----

each_field_of_a_card_is_explained() {
    local schema=packaging/schema/tunnel-card.schema.json
    same 'card' "$(jq -r '.properties | keys_unsorted[]' "$schema")" "$(heads verimesh-card.5 'The card' Cm)"
    same 'block' "$(jq -r '.properties.a.properties | keys_unsorted[]' "$schema")" \
        "$(heads verimesh-card.5 'The block' Cm)"
    grep -qF "$(jq -r '."$id"' "$schema")" "$MAN/verimesh-card.5" || fail "the schema's SAID"
}

each_option_of_the_pam_module_is_explained() {
    same 'options' "$(sed -n 's/^\t\t{"\([a-z_=]*\)", &options.*/\1/p; s/.*strncmp(text, "\(root=\)\/".*/\1/p' \
        pam_verimesh/pam_verimesh.c | sort)" "$(heads pam_verimesh.8 OPTIONS Cm | sort)"
}

# ---- the completion ----

# What is offered behind these words, line by line; the last one is begun.
offered() { # offered WORD...
    (
        set +e
        # shellcheck source=/dev/null
        . packaging/completion/verimesh
        compopt() { :; }
        COMP_WORDS=("$verimesh" "$@")
        COMP_CWORD=$#
        _verimesh "$verimesh" "${!#}"
        printf '%s\n' "${COMPREPLY[@]}" | sort
    )
}

the_completion_knows_verbs_and_options() {
    local verb options
    same 'verbs' "$(verbs | sort)" "$(offered '')"
    same 'begun' "$(verbs | grep '^i' | sort)" "$(offered i)"
    same 'before a verb' $'--help\n--root\n--version' "$(offered -)"
    for verb in $(verbs); do
        options=$(verb_options "$verb")
        ! grep -q "^verimesh $verb .*card options" <(usage_lines) || options+=" $(card_options)"
        same "options of $verb" "$( (grep -o -- '--[a-z]*' <<<"$options"; printf '%s\n' --root --help) | sort)" \
            "$(offered "$verb" -)"
    done
}

the_completion_knows_what_comes_where() {
    local root empty
    root=$(host complete)
    empty=$(host empty)
    run 0 init db1 --self clinic-a --root "$root"
    cat >>"$(conf "$root")" <<'END'
[Peer clinic-b]
AID = EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2
[ peer lab ]
END
    : >"$work/my.pub"
    same 'peers' $'clinic-b\nlab' "$(offered --root "$root" fetch '')"
    same 'peers, with =' $'clinic-b' "$(offered fetch --root = "$root" c)"
    same 'AIDs' EDP1vHcw_wc4M__Fj53-cJaBnZZASd-aMTaSyWEQ-PC2 "$(offered import --root "$root" --resolve '')"
    sed -i '/peer lab/d' "$(conf "$root")"
    same 'hosts' $'clinic-b\ndb1.clinic-a' "$(offered show --json --root "$root" '')"
    same 'one host' db1.clinic-a "$(offered show --root "$root" d)"
    same 'own hosts' db1 "$(offered issue --root "$root/" --until never d)"
    same 'files' "$work/my.pub" "$(offered import "$work/m")"
    same 'key files' "$work/my.pub" "$(offered issue --login alice = "$work/m")"
    same 'the next seed' "$work/my.pub" "$(offered rotate --next = "$work/m")"
    same 'times' now "$(offered rotate --at '')"
    same 'times, with =' never "$(offered issue --until =)"
    same 'directories' "$root" "$(offered --root "$work/c")"
    same 'users' root "$(offered gate --user roo)"
    [ -z "$(offered fetch --root "$empty" '')$(offered show --root "$empty" '')" ] || fail 'out of nothing'
    [ -z "$(offered sync '')$(offered issue --addr '')" ] || fail 'where nothing is known'
}

# ---- the release ----

the_news_are_of_this_version() {
    run 0 --version
    grep -q "^Verimesh $(cut -d ' ' -f 2 "$work/out")\\>" NEWS || fail "NEWS does not name $(cat "$work/out")"
}

run_cases \
    every_page_is_well_formed \
    pages_refer_to_pages_that_are_there \
    each_verb_has_its_synopsis \
    each_option_is_explained \
    each_member_that_show_prints_is_explained \
    no_verb_is_made_up \
    each_key_is_explained_with_its_default \
    each_explained_key_is_accepted \
    the_configurations_example_is_accepted \
    init_writes_each_key \
    each_field_of_a_card_is_explained \
    each_option_of_the_pam_module_is_explained \
    the_completion_knows_verbs_and_options \
    the_completion_knows_what_comes_where \
    the_news_are_of_this_version
exit "$failed"
