# SPDX-License-Identifier: Apache-2.0
# `make sel4-demo`: two Linux guests on seL4. docs/sel4.md

.PHONY: sel4-demo
sel4-demo: ## two guests on seL4; MICROKIT_SDK= and LIBVMM= name what upstream provides, KEEP=1 leaves them up
	@MICROKIT_SDK='$(MICROKIT_SDK)' LIBVMM='$(LIBVMM)' mk/sel4.sh $(if $(KEEP),--keep)

.PHONY: sel4-camkes-demo
sel4-camkes-demo: ## the same on the CAmkES VM; IMAGE= names what an integrator has built, KEEP=1 leaves the guests up
	@IMAGE='$(IMAGE)' mk/sel4-camkes.sh $(if $(KEEP),--keep)
