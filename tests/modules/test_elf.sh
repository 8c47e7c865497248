#!/usr/bin/env bash
# test_elf.sh: what the modules bring into other people's processes: libraries, symbols, memory.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_elf.sh   B=build: the folder with the modules
set -euo pipefail
export LC_ALL=C

B=${B:-build}
nss=$B/libnss_verimesh.so.2 pam=$B/pam_verimesh.so
failed=0

result() { # result NAME yes|no
    if [ "$2" = yes ]; then
        echo "ok $1"
    else
        echo "not ok $1"
        failed=1
    fi
}
# Some line of TEXT matches PATTERN.
with() { # with NAME PATTERN TEXT
    if grep -qE "$2" <<<"$3"; then result "$1" yes; else result "$1" no; fi
}
# No line of TEXT matches PATTERN; those that do are shown.
without() { # without NAME PATTERN TEXT
    if grep -E "$2" <<<"$3"; then result "$1" no; else result "$1" yes; fi
}
# The lines of TEXT, sorted, are these.
equal() { # equal NAME TEXT LINE...
    local name=$1 text=$2
    shift 2
    if diff <(printf '%s\n' "$@" | sort) <(sort <<<"$text"); then
        result "$name" yes
    else
        result "$name" no
    fi
}

# How many functions run when FILE is loaded (init) or ends (fini), beside the compiler's own one.
own_functions() { # own_functions FILE init|fini
    local bytes width=4 own=0
    bytes=$(readelf -dW "$1" | sed -n "s/.*(${2^^}_ARRAYSZ) *\([0-9]*\).*/\1/p")
    [[ $(readelf -hW "$1") != *ELF64* ]] || width=8
    [[ $(nm "$1") != *" frame_dummy"* ]] || own=1
    [ -z "$bytes" ] && echo 0 || echo $((bytes / width - own))
}
# The sections that are read-only once the loader has done its work.
read_only_later() {
    local segment
    segment=$(readelf -lW "$1" | sed -n '/^  Type/,/^$/p' | sed 1d | awk '/GNU_RELRO/ { print NR - 1 }')
    readelf -lW "$1" | sed -n "s/^ *$(printf %02d "$segment") *\(\..*\)/\1/p"
}
needed() { readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
wanted() { nm -D --undefined-only "$1" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }'; }
exported() { nm -D --defined-only "$1" | awk '{ print $3 }'; }

common() { # common NAME FILE
    local dynamic segments
    dynamic=$(readelf -dW "$2")
    segments=$(readelf -lW "$2")
    with "$1 binds every symbol when it is loaded" 'BIND_NOW' "$dynamic"
    with "$1 is never unloaded" 'NODELETE' "$dynamic"
    without "$1 brings no search path" 'RPATH|RUNPATH' "$dynamic"
    without "$1 relocates no code" 'TEXTREL' "$dynamic"
    with "$1 makes its relocations read-only" 'GNU_RELRO' "$segments"
    with "$1 makes its table of addresses read-only" '\.got' "$(read_only_later "$2")"
    with "$1 has a stack without code" 'GNU_STACK.* RW ' "$segments"
    without "$1 has no writable code" ' (RWE|WE|W E|RW E) ' "$segments"
    with "$1 does nothing when it is loaded" '^0$' "$(own_functions "$2" init)"
    with "$1 does nothing when a process ends" '^0$' "$(own_functions "$2" fini)"
    without "$1 has no thread-local storage" '^ *TLS' "$segments"
}

if nm -D "$nss" | grep -q __asan_; then
    echo "skip modules: built with AddressSanitizer, which brings its own library"
    exit 0
fi
common nss "$nss"
equal "nss needs libc alone" "$(needed "$nss")" libc.so.6
equal "nss exports its entry points alone" "$(exported "$nss")" \
    _nss_verimesh_gethostby{name,name2,name3,name4,addr,addr2}_r \
    _nss_verimesh_get{pwnam,pwuid,pwent,grnam,grgid,grent}_r \
    _nss_verimesh_{set,end}{pw,gr}ent _nss_verimesh_initgroups_dyn
with "nss is what glibc looks for" 'SONAME.*\[libnss_verimesh\.so\.2\]' "$(readelf -dW "$nss")"
# nothing that allocates, locks, starts a thread, reads the environment, asks a network; what the compiler
# makes of open, memcpy and the like has several names
without "nss calls nothing of libc but what reads a file and memory" . "$(wanted "$nss" | grep -vxE \
    '(__)?open(64)?(_2)?|(__fx?|__x)?f?stat(64)?|close|mmap(64)?|munmap|(__)?mem(chr|cmp|cpy|move|set)(_chk)?|bcmp|'\
'str(len|chr|rchr)|time|(__)?snprintf(_chk)?|inet_(ntop|pton)|pthread_setcancelstate|__errno_location|'\
'__stack_chk_(fail|guard)|__tls_get_addr' || true)"
# what begins with _, and completed.0, is the compiler's own
equal "nss keeps one mapping and its places in two lists alone" \
    "$(nm "$nss" | awk '$2 ~ /^[bBdDC]$/ && $3 !~ /^(_|completed\.)/ { print $3 }')" shared state users groups
common pam "$pam"
without "pam needs no other library" . \
    "$(needed "$pam" | grep -vxE 'libc\.so\.6|libpam\.so\.0|libkeyutils\.so\.1|libmnl\.so\.0' || true)"
without "pam exports nothing but entry points" . "$(exported "$pam" | grep -v '^pam_sm_' || true)"
with "pam exports its gate" '^pam_sm_acct_mgmt$' "$(exported "$pam")"
exit "$failed"
