# Verimesh for Linux. `make demo` and `make check` are the two commands to know; see README.md.
# SPDX-License-Identifier: LGPL-2.1-or-later

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
MULTIARCH  := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR     ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
SBINDIR    ?= $(PREFIX)/sbin
PAMDIR     ?= $(LIBDIR)/security
DEPS       ?= yes
VERSION    := 0.1.0

CFLAGS     ?= -O2 -g
WARNINGS   := -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wstrict-prototypes -Wvla -Werror
HARDENING  := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
              -fcf-protection -fno-strict-overflow
STRICT     := -std=gnu17 -D_GNU_SOURCE -DVERIMESH_VERSION='"$(VERSION)"' -Ilibcommon \
              -fPIC -fvisibility=hidden -MMD -MP
LINKING    := -Wl,-z,relro,-z,now,-z,defs,-z,noexecstack,--as-needed
ALL_CFLAGS  = $(STRICT) $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = $(LINKING) $(LDFLAGS)

B := build
# verbose with V=1
ifeq ($(V),)
Q := @
say = @printf '  %-8s%s\n' $1 $2
else
say = @:
endif

COMMON := $(patsubst %.c,$B/%.o,$(wildcard libcommon/*.c))
TOOL   := $(patsubst %.c,$B/%.o,$(wildcard verimesh/*.c))
NSS    := $(patsubst %.c,$B/%.o,$(wildcard nss_verimesh/*.c))
PAM    := $(patsubst %.c,$B/%.o,$(wildcard pam_verimesh/*.c))
UNITS  := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
PROGRAMS := $B/verimesh $B/libnss_verimesh.so.2 $B/pam_verimesh.so

all: $(PROGRAMS)

$B/libcommon.a: $(COMMON)
	$(call say,AR,$@)
	$Qrm -f $@ && $(AR) rcs $@ $^

$B/verimesh: $(TOOL) $B/libcommon.a
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -pie -o $@ $^ -lsodium -lkeyutils -lcdb -lmnl

$B/libnss_verimesh.so.2: $(NSS) $B/libcommon.a nss_verimesh/nss_verimesh.map
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete,-soname,libnss_verimesh.so.2 \
		-Wl,--version-script=nss_verimesh/nss_verimesh.map -o $@ $(filter %.o %.a,$^)

$B/pam_verimesh.so: $(PAM) $B/libcommon.a pam_verimesh/pam_verimesh.map
	$(call say,LD,$@)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete \
		-Wl,--version-script=pam_verimesh/pam_verimesh.map -o $@ $(filter %.o %.a,$^) \
		-lpam -lkeyutils -lmnl

$B/%.o: %.c
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -c -o $@ $<

$B/tests/%: tests/unit/%.c $B/libcommon.a
	$(call say,CC,$@)
	$Qmkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $< $B/libcommon.a \
		-lcmocka -lsodium -lkeyutils -lcdb -lmnl

clean:
	rm -rf $B

.PHONY: all clean
-include $(wildcard $B/*/*.d $B/tests/*.d)
