# SPDX-License-Identifier: Apache-2.0
# The project's commands. Each is short here; what it does stands in mk/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
RIG = "$$(swift build --show-bin-path)/ringway-rig"

include mk/guest.mk
include mk/sel4.mk

.PHONY: help setup build check test test-long models fuzz hostile bench bench-vm demo rig clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## checks the machine, and installs missing Debian packages (as root)
	@mk/setup.sh

build: ## the ordinary build: the rig, and the agent as a host program
	swift build

check: ## format, build, unit tests
	@mk/test.sh check

test: setup ## all tests, and every scenario in short form
	@mk/test.sh short

test-long: setup ## all tests and every scenario in full
	@mk/test.sh long

models: ## checks the models of the protocols with spin
	@mk/tests/models.sh

fuzz: ## fuzzes everything that reads what a peer or a user wrote; FUZZ_SECONDS=n for each target (10)
	@mk/tests/fuzz.sh

hostile: ## a hostile peer against the agent; MUTATIONS=n (100000), SEED=s
	@mk/tests/hostile.sh

bench: ## the ring against its peers, and the guard's cost; ROUNDS=n (12), STRICT=1, COMPARE=file
	@mk/bench.sh $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(STRICT),--strict) $(if $(COMPARE),--compare $(COMPARE))

bench-vm: ## USB over the ring against TCP in two virtual machines; ROUNDS=n (10), JSON=file, STRICT=1, ARCH=aarch64
	@$(MAKE) --no-print-directory guest-$(or $(ARCH),x86_64) >&2 && swift build --product ringway-rig >&2
	@$(RIG) bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(JSON),--json $(JSON)) $(if $(STRICT),--strict) \
	    $(if $(ARCH),--arch $(ARCH))

demo: setup ## a USB disk crosses two virtual machines; ARCH=aarch64, KEEP=1 leaves them up
	@mk/demo.sh $(or $(ARCH),x86_64) $(if $(KEEP),--keep)

rig: ## lists the scenarios; SCENARIO=name runs one, ARCH=aarch64, FULL=1 in its long form
	@swift build --product ringway-rig >&2
	@$(if $(SCENARIO),$(MAKE) --no-print-directory guest >&2 && $(RIG) run $(SCENARIO) \
	    $(if $(ARCH),--arch $(ARCH)) $(if $(FULL),--full),$(RIG) list)

clean: ## removes what was built; downloaded packages stay
	rm -rf .build .build-asan .build-bench .build-count .build-fuzz .build-results .build-sel4 \
	    .build-guest/x86_64 .build-guest/aarch64
