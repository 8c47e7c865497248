# Verimesh for Linux. `make demo` and `make check` are the two commands to know; see README.md.
# SPDX-License-Identifier: LGPL-2.1-or-later

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
MULTIARCH  := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR     ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
SBINDIR    ?= $(PREFIX)/sbin
PAMDIR     ?= $(LIBDIR)/security
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share/verimesh
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
DEPS       ?= yes
VERSION    := 0.1.0

CFLAGS     ?= -O2 -g
WERROR     ?=
WARNINGS   := -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wstrict-prototypes -Wvla $(WERROR)
HARDENING  := -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow \
              -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
              $(if $(filter x86_64-% i%86-%,$(shell $(CC) -dumpmachine 2>/dev/null)),-fcf-protection)
STRICT     := -std=gnu17 -D_GNU_SOURCE -DVERIMESH_VERSION='"$(VERSION)"' -Ilibcommon \
              -fPIC -fvisibility=hidden -ffunction-sections -MMD -MP
LINKING    := -Wl,-z,relro,-z,now,-z,defs,-z,noexecstack,--as-needed,--gc-sections
ALL_CFLAGS  = $(STRICT) $(WARNINGS) $(HARDENING) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(LINKING) $(LDFLAGS)

B := build
# verbose with V=1
ifeq ($(V),)
Q := @
say = @printf '  %-8s%s\n' $1 $2
else
say = @:
endif

COMMON := $(patsubst %.c,$B/o/%.o,$(wildcard libcommon/*.c))
TOOL   := $(patsubst %.c,$B/o/%.o,$(wildcard verimesh/*.c))
NSS    := $(patsubst %.c,$B/o/%.o,$(wildcard nss_verimesh/*.c))
PAM    := $(patsubst %.c,$B/o/%.o,$(wildcard pam_verimesh/*.c))
UNITS  := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
MODULES := $(patsubst tests/modules/%.c,$B/tests/%,$(wildcard tests/modules/test_*.c))
PROGRAMS := $B/verimesh $B/libnss_verimesh.so.2 $B/pam_verimesh.so
SCRIPTS := $(wildcard tests/modules/test_*.sh tests/interop/test_*.sh tests/e2e/test_*.sh)

all: $(PROGRAMS)
tests: $(UNITS) $(MODULES)

$B/libcommon.a: $(COMMON)
	$(call say,AR,$@)
	$Qrm -f $@ && $(AR) rcs $@ $^

$B/verimesh: $(TOOL) $B/libcommon.a
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -pie -o $@ $^ -lsodium -lkeyutils -lcdb -lmnl -lcurl

$B/libnss_verimesh.so.2: $(NSS) $B/libcommon.a nss_verimesh/nss_verimesh.map
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete,-soname,libnss_verimesh.so.2 \
		-Wl,--version-script=nss_verimesh/nss_verimesh.map -o $@ $(filter %.o %.a,$^)

$B/pam_verimesh.so: $(PAM) $B/libcommon.a pam_verimesh/pam_verimesh.map
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete \
		-Wl,--version-script=pam_verimesh/pam_verimesh.map -o $@ $(filter %.o %.a,$^) \
		-lpam -lkeyutils -lmnl

$B/o/%.o: %.c
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -c -o $@ $<

$B/tests/%: tests/unit/%.c $B/libcommon.a
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $< $B/libcommon.a \
		-lcmocka -lsodium -lkeyutils -lcdb -lmnl

$B/tests/%: tests/modules/%.c $B/libcommon.a
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $< $B/libcommon.a \
		-lcmocka -lpam -lsodium -lkeyutils -lcdb -lmnl

# Packages first, then the build in a make of its own that finds the compiler.
ROOT := $(filter 0,$(shell id -u))
need  = $Q[ "$(DEPS)" = no ] || packaging/deps.sh $1
build = $Q+$(MAKE) --no-print-directory -j2

deps:
	$(call need,build test lab interop vm trixie lint sanitize fuzz)

check:
	$(call need,build test $(if $(ROOT),lab interop))
	$(build) all tests
	$QB=$B tests/run $(UNITS) $(MODULES) $(SCRIPTS)

demo:
	$Q[ -n "$(ROOT)" ] || { echo "make demo needs root; run: sudo make demo" >&2; exit 1; }
	$(call need,build lab)
	$(build) all
	$QB=$B tests/e2e/demo.sh

# The tests of units and modules with every access and every arithmetic step watched; those with threads
# for races; and in valgrind, which sees, besides, what is used and was never written.
SANITIZE := HARDENING= CFLAGS="-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=
# Who reads a stream has its signatures checked by threads; the two that read the most are left out.
THREADED := $(filter-out %/test_sweep %/test_hostile,$(patsubst %.c,$B/tests/%,$(notdir $(shell grep -lE \
		'pthread_create|crew_begin|window_fill|book_read' tests/unit/*.c tests/modules/*.c))))
SLOW     := $B/tests/test_book $B/tests/test_sweep $B/tests/test_hostile $B/tests/test_parts
sanitize:
	$(call need,build test sanitize)
	$(build) B=$B/asan $(SANITIZE)address,undefined" all tests
	$QB=$B/asan tests/run $(patsubst $B/%,$B/asan/%,$(UNITS) $(MODULES))
	$(build) B=$B/tsan $(SANITIZE)thread" all threaded
	$QB=$B/tsan TSAN_OPTIONS=report_thread_leaks=0 UNDER="$$(setarch -R echo setarch -R 2>&-)" \
		tests/run $(THREADED:$B/%=$B/tsan/%)
	$(build) all tests
	@echo "not in valgrind, which takes minutes for it: $(notdir $(SLOW))"
	$QB=$B TIMEOUT=600 UNDER="valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite" tests/run $(filter-out $(SLOW),$(UNITS) $(MODULES))
threaded: $(THREADED)

# Both compilers, without a warning, fuzzers in the only one that has libFuzzer; what clang-tidy and cppcheck
# find; the layout; the scripts.
TIDY := $(patsubst %.c,$B/tidy/%,$(wildcard */*.c tests/*/*.c))
lint:
	$(call need,build test lint fuzz)
	$(build) B=$B/gcc CC=gcc WERROR=-Werror all tests benches
	$(build) B=$B/clang CC=clang WERROR=-Werror all tests benches fuzzers
	$(build) -k tidy
	$Qcppcheck --quiet --std=c11 --enable=warning,performance,portability,unusedFunction \
		--suppressions-list=.cppcheck --error-exitcode=1 $(filter -D% -I%,$(STRICT)) \
		libcommon nss_verimesh pam_verimesh verimesh || case "$$(cppcheck --version)" in *" 2.10"*) \
		exit 1;; *) echo "lint: this is advice: others than cppcheck 2.10 find other things";; esac
	$Qcase "$$(clang-format --version)" in *" 14."*) clang-format --dry-run -Werror \
		$(wildcard */*.[ch] tests/*/*.[ch]);; *) echo "lint: layout not checked:" \
		"clang-format is not version 14, and others differ in details";; esac
	$Qshellcheck $(wildcard .ci/run tests/run tests/*/run packaging/*.sh packaging/*/*.sh tests/*/*.sh) packaging/completion/verimesh \
		packaging/authselect/authselect-profile packaging/debian/tests/login $(wildcard packaging/debian/*.p[or]*)

tidy: $(TIDY)
$B/tidy/%: %.c .clang-tidy tests/.clang-tidy $(wildcard */*.h tests/*/*.h)
	$(call say,TIDY,$<)
	$Qmkdir -p $(@D)
	$Qclang-tidy --quiet $< -- $(filter-out -M%,$(STRICT)) -Iverimesh -Itests/unit >$@ 2>&1 || \
		{ cat $@; rm $@; exit 1; }

# WireGuard in the kernel: Debian's, which runs on this host's files in an emulator.
check-vm:
	$(call need,build test lab vm)
	$(build) all tests
	$QDEPS=$(DEPS) B=$B tests/vm/kernel.sh
	$QB=$B tests/run $(wildcard tests/vm/test_*.sh)

# The real sshd, sudo and su of Debian 13, built and run there.
check-trixie:
	$(call need,trixie)
	$QDEPS=$(DEPS) B=$B tests/trixie/run $(wildcard tests/e2e/test_sshd*.sh) tests/e2e/test_sessions.sh

# Each fuzzer for FUZZ_SECONDS (60); what they find is in $B/fuzz.
FUZZERS := $(patsubst tests/fuzz/%.c,$B/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz:
	$(call need,build fuzz)
	$(build) B=$B/fuzz CC=clang CFLAGS="-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
		-fsanitize=fuzzer-no-link,address,undefined" HARDENING= fuzzers
	$Qtests/fuzz/run $(FUZZERS:$B/%=$B/fuzz/%)
fuzzers: $(FUZZERS) $B/seeds
$B/fuzz_%: tests/fuzz/fuzz_%.c $B/libcommon.a
	$(call say,CC,$@)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $< $B/libcommon.a \
		-lsodium -lkeyutils -lcdb -lmnl
$B/seeds: tests/fuzz/seeds.c $B/libcommon.a
	$(call say,CC,$@)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $< $B/libcommon.a -lsodium -lcdb

# Exits 1 if a goal is missed, but for those of pam.sh; tests/bench/*.sh run alone, too.
bench:
	$Q[ -n "$(ROOT)" ] || { echo "make bench needs root; run: sudo make bench" >&2; exit 1; }
	$(call need,build test lab bench)
	$(build) all benches
	$Qmet=0; for bench in verify sync fetch pam nss rotate; do B=$B tests/bench/$$bench.sh || met=1; done; exit $$met
FLOOR := $B/bench/libnss_vmfloor.so.2
benches: $(filter-out $B/bench/floor,$(patsubst tests/bench/%.c,$B/bench/%,$(wildcard tests/bench/*.c))) $(FLOOR)
$(FLOOR): tests/bench/floor.c
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete,-soname,$(@F) -o $@ $<
$B/bench/sync: $(patsubst %,$B/o/verimesh/%.o,clock confine identity interface run sealed sync wireguard)
# As little as a login service has: what the modules need they load.
$B/bench/pam: tests/bench/pam.c
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -lpam
$B/bench/%: tests/bench/%.c $B/libcommon.a
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $(filter %.c %.o,$^) \
		$B/libcommon.a -lsodium -lkeyutils -lcdb -lmnl

# Source and binary packages of what is committed, in $B/rpm.
rpm:
	$(call need,build rpm)
	$Qpackaging/rpm/build.sh $B/rpm

# The same for Debian, in $B/deb; its tests are left out by DEB_BUILD_OPTIONS=nocheck.
deb:
	$(call need,build test deb)
	$Qpackaging/deb.sh $B/deb

# Debian's packages are looked at, and built, installed, used, upgraded and purged in Debian 12 and 13, which
# are fetched once, into $B/packages; those for others are built and looked at.
PACKAGES := $(addprefix tests/packages/debian,_13.sh _12.sh .sh) $(wildcard tests/packages/rpm*.sh)
check-packages:
	$Q[ -n "$(ROOT)" ] || { echo "make check-packages needs root; run: sudo make check-packages" >&2; exit 1; }
	$(call need,build test deb packages rpm foreign)
	$QDEB_BUILD_OPTIONS=nocheck packaging/deb.sh $B/packages/deb
	$QB=$B DEPS=$(DEPS) TIMEOUT=1200 tests/run $(PACKAGES)
	$Qcat $B/packages/*/figures

coverage:
	@echo "make $@: not yet" >&2; exit 1

# What is installed, but for the units, which name the command's place: MODE:FROM:TO.
UNITS_OF_SYSTEMD := verimesh-up.service verimesh-watch.service
INSTALLED = 755:$B/verimesh:$(SBINDIR)/verimesh \
	644:$B/libnss_verimesh.so.2:$(LIBDIR)/libnss_verimesh.so.2 \
	644:$B/pam_verimesh.so:$(PAMDIR)/pam_verimesh.so \
	644:packaging/completion/verimesh:$(COMPLETIONDIR)/verimesh \
	644:packaging/schema/tunnel-card.schema.json:$(DATADIR)/tunnel-card.schema.json \
	644:packaging/systemd/verimesh.sysusers:$(SYSUSERSDIR)/verimesh.conf \
	644:packaging/systemd/verimesh.tmpfiles:$(TMPFILESDIR)/verimesh.conf \
	$(foreach page,$(wildcard packaging/man/*.[578]),\
		644:$(page):$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

install: all
	$Qinstall -d $(DESTDIR)$(SYSCONFDIR)/verimesh $(DESTDIR)$(UNITDIR)
	$Qfor file in $(INSTALLED); do to=$${file##*:} file=$${file%:*}; \
		install -D -m $${file%%:*} $${file#*:} "$(DESTDIR)$$to" || exit 1; done
	$Qfor unit in $(UNITS_OF_SYSTEMD); do sed 's|/usr/sbin/|$(SBINDIR)/|' packaging/systemd/$$unit \
		>$(DESTDIR)$(UNITDIR)/$$unit && chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done

# The configuration stays: it is the administrator's.
uninstall:
	$Qfor file in $(INSTALLED); do rm -f "$(DESTDIR)$${file##*:}" || exit 1; done
	$Qrm -f $(UNITS_OF_SYSTEMD:%=$(DESTDIR)$(UNITDIR)/%)
	$Qfor dir in $(DATADIR) $(SYSCONFDIR)/verimesh; do [ ! -d "$(DESTDIR)$$dir" ] || \
		rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$dir" || exit 1; done

clean:
	rm -rf $B

.PHONY: all tests threaded tidy check check-packages check-vm check-trixie demo bench benches fuzz fuzzers \
	lint coverage sanitize deps install uninstall deb rpm clean
-include $(wildcard $B/o/*/*.d $B/tests/*.d $B/bench/*.d $B/*.d)
