# SPDX-License-Identifier: Apache-2.0
# Builds `ringway` and `libringway-preload.so` for one architecture as Embedded Swift:
#     make -f mk/guest-arch.mk ARCH=x86_64|aarch64
# The sources are the ordinary ones. SwiftPM is not used, because it can neither give one module its
# own optimisation level for one product nor link against a libc that the toolchain does not know.

ARCH ?= x86_64
OUT := .build-guest/$(ARCH)
OBJ := $(OUT)/obj
SYSROOT := .build-guest/sysroot/$(ARCH)

# The compiler says where its toolchain is; that holds for a symbolic link and for a version manager.
SWIFTC := swiftc
TOOLCHAIN := $(shell $(SWIFTC) -print-target-info 2>/dev/null | \
    sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1|p')
ifeq ($(TOOLCHAIN),)
$(error no Swift toolchain found: is `swiftc` (6.3) on PATH?)
endif
CLANG := $(TOOLCHAIN)/bin/clang
OBJCOPY := $(TOOLCHAIN)/bin/llvm-objcopy

ifeq ($(ARCH),x86_64)
SWIFT_TARGET := x86_64-unknown-none-elf
else ifeq ($(ARCH),aarch64)
SWIFT_TARGET := aarch64-none-none-elf
else
$(error ARCH is '$(ARCH)': it must be x86_64 or aarch64)
endif
C_TARGET := $(ARCH)-linux-gnu
UNICODE := $(TOOLCHAIN)/lib/swift/embedded/$(SWIFT_TARGET)/libswiftUnicodeDataTables.a

# The bare-metal target knows no operating system, but the headers ask for one.
SYSTEM_HEADERS := -nostdlibinc -isystem $(SYSROOT)/include
LINUX_MACROS := -D__linux__=1 -D__gnu_linux__=1 -D__unix__=1
CFLAGS := --target=$(C_TARGET) -std=gnu11 -Oz -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables \
    -fstack-protector-strong -ffunction-sections -fdata-sections -Wall -Wextra -Werror $(SYSTEM_HEADERS)
# The preload library must load under either libc, so it takes as little from it as it can.
# Threads are cancelled, and handlers throw, through the calls that it replaces.
SHIM_CFLAGS := $(filter-out -fstack-protector-strong -fno-asynchronous-unwind-tables,$(CFLAGS)) -funwind-tables \
    $(if $(filter aarch64,$(ARCH)),-mno-outline-atomics)
# Link-time optimisation sees all modules at once, and the outliner shares what repeats: a tenth each. Constants are
# shorter where they are used than kept in a register from afar, and nothing is inlined that makes the caller larger.
comma := ,
LTO := -lto=llvm-full
LTO_LINK := -Wl,-O2 -Wl,--lto-O2 $(addprefix -Wl$(comma)-mllvm$(comma), \
    -enable-machine-outliner=always -disable-constant-hoisting -inline-threshold=-1000 -disable-lsr \
    -min-jump-table-entries=8 -tail-merge-size=2)
# Passes of the compiler that make these programs larger: a copy of a function for each closure that it is called with,
# and retains and releases written out at each use.
SMALLER := -Xllvm -inline-threshold=-1000 \
    $(addprefix -Xllvm -sil-disable-pass=,closure-specialize release-hoisting release-devirtualizer \
    loop-rotate)
SWIFTFLAGS := $(SMALLER) -target $(SWIFT_TARGET) -swift-version 6 -enable-experimental-feature Embedded \
    -Xcc -fomit-frame-pointer -wmo $(LTO) -parse-as-library -warnings-as-errors \
    -module-cache-path $(OBJ)/module-cache -I $(OBJ) \
    -Xfrontend -function-sections -Xcc -fPIC -Xcc -ffunction-sections -Xcc -fdata-sections \
    -Xcc -fmodule-map-file=Sources/CShim/include/module.modulemap -I Sources/CShim/include \
    $(foreach flag,$(SYSTEM_HEADERS) $(LINUX_MACROS),-Xcc $(flag))
# lld: GNU ld refuses the copy relocations of Embedded Swift's protected symbols.
LINK := $(CLANG) --target=$(C_TARGET) -fuse-ld=lld -nostdlib \
    -Wl,--gc-sections -Wl,--icf=all -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--fatal-warnings $(LTO_LINK)

sources = $(sort $(shell find Sources/$(1) -name '*.swift' 2>/dev/null))
say = @printf '%8s  %s\n' $(ARCH) '$(1)'

.DELETE_ON_ERROR:
.PHONY: all force
all: $(OUT)/ringway $(OUT)/libringway-preload.so $(OUT)/tests/uncooperative $(OUT)/ringway-guest-bench

# One stamp a list of inputs: it changes when a source is added or removed, or when the flags do.
define stamp
@mkdir -p $(@D); printf '%s\n' '$(1)' >$@.new; \
    if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef
$(OBJ)/settings: force
	$(call stamp,$(TOOLCHAIN) $(SWIFTFLAGS) $(CFLAGS) $(LINK))
$(OBJ)/%.sources: force
	$(call stamp,$(call sources,$*))

$(SYSROOT)/packages: mk/sysroot.sh
	$(call say,musl and libgcc from Debian packages)
	@mk/sysroot.sh $(ARCH) $(SYSROOT)

# $(1) module  $(2) optimisation  $(3) modules that it imports  $(4) further flags
define swift_module
$(OBJ)/$(1).o: $$(call sources,$(1)) $(OBJ)/$(1).sources $(OBJ)/settings $(C_HEADERS) $(3:%=$(OBJ)/%.o) \
        | $(SYSROOT)/packages
	$$(call say,$(1))
	@rm -f $$@ # the compiler keeps an object whose intermediate code is the same, whatever the flags
	@$(SWIFTC) $(SWIFTFLAGS) $(2) $(4) -module-name $(1) -emit-module -emit-module-path $(OBJ)/$(1).swiftmodule \
	    -c $$(call sources,$(1)) -o $$@
endef
C_HEADERS := $(wildcard Sources/CShim/include/*)
SHIM_HEADERS := $(wildcard Sources/SocketShim/raw/include/*)
SHIM_FLAGS := -Xcc -fmodule-map-file=Sources/SocketShim/raw/include/module.modulemap -I Sources/SocketShim/raw/include

$(eval $(call swift_module,RingBuffer,-O,,))
$(eval $(call swift_module,RingTransport,-Osize,RingBuffer,))
$(eval $(call swift_module,USBIP,-Osize,,))
$(eval $(call swift_module,GuestAgent,-Osize,RingBuffer RingTransport USBIP,))
$(eval $(call swift_module,SocketShim,-Osize,RingBuffer,$(SHIM_FLAGS)))
$(eval $(call swift_module,GuestBench,-O,,))
$(OBJ)/SocketShim.o: $(SHIM_HEADERS)

CSHIM := $(patsubst Sources/CShim/%.c,$(OBJ)/CShim-%.o,$(wildcard Sources/CShim/*.c))
$(OBJ)/CShim-%.o: Sources/CShim/%.c $(C_HEADERS) $(OBJ)/settings | $(SYSROOT)/packages
	$(call say,CShim/$*.c)
	@$(CLANG) $(CFLAGS) -I Sources/CShim/include -c $< -o $@
$(OBJ)/main.o: Sources/ringway/main.c $(OBJ)/settings | $(SYSROOT)/packages
	@$(CLANG) $(CFLAGS) -c $< -o $@
SUPPORT := $(patsubst Sources/EmbeddedSupport/%.c,$(OBJ)/support-%.o,$(wildcard Sources/EmbeddedSupport/*.c))
$(OBJ)/support-%.o: Sources/EmbeddedSupport/%.c $(OBJ)/settings | $(SYSROOT)/packages
	@$(CLANG) $(CFLAGS) -c $< -o $@
SHIM_C := $(patsubst Sources/SocketShim/raw/%.c,$(OBJ)/SocketShim-%.o,$(wildcard Sources/SocketShim/raw/*.c))
$(OBJ)/SocketShim-%.o: Sources/SocketShim/raw/%.c $(SHIM_HEADERS) $(OBJ)/settings | $(SYSROOT)/packages
	$(call say,SocketShim/raw/$*.c)
	@$(CLANG) $(SHIM_CFLAGS) -I Sources/SocketShim/raw/include -c $< -o $@

# Nobody unwinds through these: they have returned before the kernel waits, or wait below Swift, which has no tables.
$(OBJ)/SocketShim-direct.o $(OBJ)/SocketShim-direct_calls.o $(OBJ)/SocketShim-stack_guard.o \
    $(OBJ)/SocketShim-system_calls.o $(OBJ)/SocketShim-temporaries.o: \
    SHIM_CFLAGS += -fno-unwind-tables -fno-asynchronous-unwind-tables

# A static PIE: the agent reads what a hostile peer writes, so its addresses should not be known.
STATIC_PIE := -static-pie -Wl,-e,ringway_start -Wl,--pack-dyn-relocs=relr
AGENT_OBJECTS := $(OBJ)/main.o $(OBJ)/GuestAgent.o $(OBJ)/RingTransport.o $(OBJ)/RingBuffer.o $(OBJ)/USBIP.o \
    $(CSHIM) $(SUPPORT)
# The kernel reads segments only; without section headers the file is a KiB shorter.
$(OUT)/ringway: $(AGENT_OBJECTS) $(OBJ)/settings
	$(call say,ringway)
	@$(LINK) $(STATIC_PIE) $(SYSROOT)/lib/rcrt1.o $(SYSROOT)/lib/crti.o $(AGENT_OBJECTS) $(UNICODE) \
	    -L$(SYSROOT)/lib -lc -lgcc $(SYSROOT)/lib/crtn.o -o $@.unstripped
	@$(OBJCOPY) --strip-sections $@.unstripped $@

# Linked against nothing: what it calls is found in whatever libc the process has, glibc or musl.
SHIM_OBJECTS := $(OBJ)/SocketShim.o $(OBJ)/RingBuffer.o $(SHIM_C)
$(OUT)/libringway-preload.so: $(SHIM_OBJECTS) Sources/SocketShim/exports.map $(OBJ)/settings
	$(call say,libringway-preload.so)
	@$(LINK) -shared -Wl,-soname,libringway-preload.so -Wl,-z,nodelete \
	    -Wl,--version-script=Sources/SocketShim/exports.map $(SHIM_OBJECTS) -o $@.unstripped
	@$(OBJCOPY) --strip-all $@.unstripped $@

# A peer that misbehaves, for scenarios.
UNCOOPERATIVE := $(sort $(wildcard Tests/UncooperativePeer/*.swift))
$(OBJ)/UncooperativePeer.o: $(UNCOOPERATIVE) $(OBJ)/USBIP.o $(OBJ)/settings $(C_HEADERS) | $(SYSROOT)/packages
	$(call say,UncooperativePeer)
	@rm -f $@
	@$(SWIFTC) $(SWIFTFLAGS) -Osize -module-name UncooperativePeer -c $(UNCOOPERATIVE) -o $@
PEER_OBJECTS := $(OBJ)/main.o $(OBJ)/UncooperativePeer.o $(OBJ)/USBIP.o $(CSHIM) $(SUPPORT)
$(OUT)/tests/uncooperative: $(PEER_OBJECTS)
	@mkdir -p $(@D)
	@$(LINK) $(STATIC_PIE) $(SYSROOT)/lib/rcrt1.o $(SYSROOT)/lib/crti.o $(PEER_OBJECTS) $(UNICODE) \
	    -L$(SYSROOT)/lib -lc -lgcc $(SYSROOT)/lib/crtn.o -o $@

# What `ringway-rig bench` times requests with; put into no other image.
BENCH_OBJECTS := $(OBJ)/main.o $(OBJ)/GuestBench.o $(CSHIM) $(SUPPORT)
$(OUT)/ringway-guest-bench: $(BENCH_OBJECTS)
	$(call say,ringway-guest-bench)
	@$(LINK) $(STATIC_PIE) $(SYSROOT)/lib/rcrt1.o $(SYSROOT)/lib/crti.o $(BENCH_OBJECTS) $(UNICODE) \
	    -L$(SYSROOT)/lib -lc -lgcc $(SYSROOT)/lib/crtn.o -o $@

# The program that the preload library's tests run, once for each libc.
PROBES := $(OUT)/tests/probe-glibc $(OUT)/tests/probe-musl $(OUT)/tests/busybox-musl
PROBE := Tests/SocketShimTests/Probe/probe.c
PROBE_PARTS := $(wildcard Tests/SocketShimTests/Probe/*.h)
GNU_CC := $(if $(filter $(ARCH),$(shell uname -m)),gcc,$(ARCH)-linux-gnu-gcc)
.PHONY: probes
probes: $(PROBES)
$(OUT)/tests/probe-glibc: $(PROBE) $(PROBE_PARTS) $(OBJ)/settings
	@mkdir -p $(@D)
	@$(GNU_CC) -O1 -Wall -Wextra -Werror $< -Wl,--export-dynamic-symbol=memcpy -o $@
$(OUT)/tests/probe-musl: $(PROBE) $(PROBE_PARTS) $(OBJ)/settings | $(SYSROOT)/packages
	@mkdir -p $(@D)
	@$(CLANG) $(CFLAGS) $< $(SYSROOT)/lib/crt1.o $(SYSROOT)/lib/crti.o $(SYSROOT)/lib/crtn.o \
	    -fuse-ld=lld -nostdlib -no-pie -L$(SYSROOT)/musl -lc -o $@
# Programs of musl for the guests of a scenario.
$(OUT)/tests/busybox-musl: mk/musl-programs.sh | $(SYSROOT)/packages
	$(call say,busybox with musl)
	@mk/musl-programs.sh $(ARCH) $(@D) $(SYSROOT) $(GNU_CC)
