# shellcheck shell=bash
# readme.sh: runs a set-up of README.md on hosts of the lab, command by command as it is printed there.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     readme_host NAME ADDRESS [behind ROUTER]   a host on which verimesh is installed, no more
#     readme TITLE                               runs what the section of that title prints
#     readme_two_servers                         the first set-up with its hosts, which others build on
#
# A line `host# COMMAND` or `user@host$ COMMAND` is a command, with its here-document and what follows
# a backslash at its end; it must succeed. Lines below it are its output: if there are any they must be
# all of it. In them … stands for anything, alone on a line for any lines. An example of an identifier,
# key or derived address stands for what the first output that has it really gave, from there on, in
# commands too.

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

EXAMPLE='[A-Z][A-Za-z0-9_-]{43}|[A-Za-z0-9+/]{43}=|fd[0-9a-f:]{9,}'
declare -A REAL=()

readme_host() {
    host_start "$@"
    on "$1" sed -i '/pam_verimesh/d' /etc/pam.d/sshd /etc/pam.d/su /etc/pam.d/login /etc/pam.d/other
    on "$1" sed -i 's/ verimesh \[NOTFOUND=return\]//' /etc/nsswitch.conf
    on "$1" sh -c 'command -v ping >/dev/null || ln -s busybox /usr/bin/ping'
    # says nothing of host keys that it sees for the first time
    on "$1" tee -a /etc/ssh/ssh_config >/dev/null <<<'LogLevel ERROR'
}

section() {
    awk -v title="### $1" '
        /^##/ { inside = $0 == title }
        inside && /^(    |$)/ { print substr($0, 5) }' README.md
}

# Reads a printed line: TEXT is what it stands for here, PATTERN an expression for that, NEW are the
# examples in it of which nothing real is known yet.
interpret() {
    local rest=$1 found
    TEXT='' PATTERN='' NEW=()
    while [[ $rest =~ $EXAMPLE|… ]]; do
        found=${BASH_REMATCH[0]}
        literal "${rest%%"$found"*}"
        rest=${rest#*"$found"}
        if [ "$found" = … ]; then
            PATTERN+='.*'
        elif [ -n "${REAL[$found]:-}" ]; then
            literal "${REAL[$found]}"
        else
            PATTERN+="($EXAMPLE)"
            NEW+=("$found")
        fi
    done
    literal "$rest"
}

literal() {
    TEXT+=$1
    # shellcheck disable=SC2001
    PATTERN+=$(sed 's/[][\\.*^$+?(){}|]/\\&/g' <<<"$1")
}

# The line of output that a printed line stands for; its examples become known.
same() {
    local i
    interpret "$2"
    [[ $1 =~ ^$PATTERN$ ]] || return 1
    for i in "${!NEW[@]}"; do
        REAL[${NEW[i]}]=${BASH_REMATCH[i + 1]}
    done
}

# Output and what is printed of it, both line by line; white space counts as one blank.
compare() {
    local real printed line any=no i=0
    mapfile -t real < <(sed 's/[[:space:]]\+/ /g; s/^ //; s/ $//' <<<"$1")
    mapfile -t printed < <(sed 's/[[:space:]]\+/ /g; s/^ //; s/ $//' <<<"$2")
    for line in "${printed[@]}"; do
        [ "$line" != … ] || { any=yes && continue; }
        until [ "$i" -lt "${#real[@]}" ] && same "${real[i]}" "$line"; do
            if [ "$any" = no ] || [ "$i" -ge "${#real[@]}" ]; then
                failed "README prints: $line"
            fi
            i=$((i + 1))
        done
        any=no i=$((i + 1))
    done
    [ "$any" = yes ] || [ "$i" -eq "${#real[@]}" ] || failed "README does not print: ${real[i]}"
}

# Runs the command that was read last, if any, and looks at its output.
readme_run() {
    [ -n "$COMMAND" ] || return 0
    interpret "$COMMAND"
    [ "${#NEW[@]}" -eq 0 ] || failed "nothing printed before gives ${NEW[*]}"
    run "$WHO" "$TEXT"
    gave 0
    [ -z "$PRINTED" ] || compare "$OUT" "${PRINTED%$'\n'}"
}

readme() {
    local line end='' WHO='' COMMAND='' PRINTED=''
    step "$1"
    while IFS= read -r -u 3 line; do
        if [ -n "$end" ]; then
            COMMAND+=$'\n'$line
            [ "$line" != "$end" ] || end=''
        elif [[ $COMMAND == *\\ ]]; then
            COMMAND+=$'\n'$line
        elif [[ $line =~ ^([a-z0-9]+#|[a-z]+@[a-z0-9]+\$)\  ]]; then
            readme_run
            WHO=${line%%[#$] *} COMMAND=${line#*[#$] } PRINTED=''
            [[ ! $COMMAND =~ \<\<([A-Z]+)$ ]] || end=${BASH_REMATCH[1]}
        elif [ -n "$line" ]; then
            [ -n "$COMMAND" ] || failed "README has no command above: $line"
            PRINTED+=$line$'\n'
        fi
    done 3< <(section "$1")
    [ -n "$COMMAND" ] || failed "README.md has no commands under '### $1'"
    readme_run
    passed
}

readme_two_servers() {
    readme_host db1 198.51.100.7
    host_start router 198.51.100.20
    readme_host web1 192.168.1.10 behind router
    readme 'Two servers, one of them behind NAT'
}
