# SPDX-License-Identifier: Apache-2.0
# `make guest`: what runs in a guest, for both architectures, in .build-guest/<arch>/.
# One architecture is one run of mk/guest-arch.mk; the two are independent and may run side by side.

GUEST_ARCHES := x86_64 aarch64
GUEST_TARGETS := $(GUEST_ARCHES:%=guest-%)

.PHONY: guest $(GUEST_TARGETS)
guest: $(GUEST_TARGETS) ## the guests' programs (static musl, Embedded Swift), x86_64 and aarch64

$(GUEST_TARGETS): guest-%:
	+@$(MAKE) --no-print-directory -f mk/guest-arch.mk ARCH=$*

# What the preload library's tests run; not part of what a guest gets. After the guest's: two runs of
# mk/guest-arch.mk for one architecture would write the same objects and the same package lists.
.PHONY: probes $(GUEST_ARCHES:%=probes-%)
probes: $(GUEST_ARCHES:%=probes-%)
$(GUEST_ARCHES:%=probes-%): probes-%: guest-%
	+@$(MAKE) --no-print-directory -f mk/guest-arch.mk ARCH=$* probes
