# SPDX-License-Identifier: Apache-2.0
# The fuzzers: the guests' modules as ordinary Swift with libFuzzer's coverage and AddressSanitizer, and one program
# whose target an argument names, .build-fuzz/fuzz.

FUZZ_BUILD := .build-fuzz
FUZZ_SANITIZE := -sanitize=fuzzer,address
# Optimised, since each second counts. With -enable-testing internal names can be used.
FUZZ_SWIFT := swiftc -swift-version 6 -O -wmo -parse-as-library -enable-testing $(FUZZ_SANITIZE) \
    -I $(FUZZ_BUILD) -Xcc -fmodule-map-file=Sources/CShim/include/module.modulemap -I Sources/CShim/include
FUZZ_HEADERS := $(wildcard Sources/CShim/include/*)
FUZZ_LIBRARY = $(sort $(shell find Sources/$(1) -name '*.swift'))
# The tests' plain models and samples serve here as well.
FUZZ_SHARED := $(addprefix Tests/USBIPTests/,KernelModel.swift GuardSession.swift Samples.swift Bytes.swift)
FUZZ_SOURCES := $(sort $(wildcard Fuzz/*.swift)) $(FUZZ_SHARED)

# fuzz_module NAME, modules that it imports
define fuzz_module
$(FUZZ_BUILD)/$(1).o: $(call FUZZ_LIBRARY,$(1)) $(2:%=$(FUZZ_BUILD)/%.o) mk/fuzz.mk $(FUZZ_HEADERS) | $(FUZZ_BUILD)
	$(FUZZ_SWIFT) $(FUZZ_DEFINES) -module-name $(1) -emit-module-path $(FUZZ_BUILD)/$(1).swiftmodule -c \
	    $(call FUZZ_LIBRARY,$(1)) -o $$@
endef
$(eval $(call fuzz_module,RingBuffer,))
$(eval $(call fuzz_module,USBIP,))
$(eval $(call fuzz_module,RingTransport,RingBuffer))
$(eval $(call fuzz_module,GuestAgent,RingBuffer USBIP RingTransport))

FUZZ_MODULES := $(addprefix $(FUZZ_BUILD)/,RingBuffer.o USBIP.o RingTransport.o GuestAgent.o)
FUZZ_C := $(patsubst Sources/CShim/%.c,$(FUZZ_BUILD)/%.o,$(wildcard Sources/CShim/*.c))
$(FUZZ_C): $(FUZZ_BUILD)/%.o: Sources/CShim/%.c $(FUZZ_HEADERS) | $(FUZZ_BUILD)
	clang -O1 -g -fsanitize=address -fsanitize-coverage=inline-8bit-counters,pc-table -ISources/CShim/include -c $< -o $@

$(FUZZ_BUILD)/fuzz: $(FUZZ_SOURCES) $(FUZZ_MODULES) $(FUZZ_C)
	$(FUZZ_SWIFT) -use-ld=lld -module-name Fuzz $(FUZZ_SOURCES) $(FUZZ_MODULES) $(FUZZ_C) -o $@

$(FUZZ_BUILD):
	mkdir -p $@

.PHONY: fuzz-program
fuzz-program: $(FUZZ_BUILD)/fuzz
