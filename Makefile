# SPDX-License-Identifier: Apache-2.0
# The project's commands. Each is short here; what it does stands in mk/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
RIG = "$$(swift build --show-bin-path)/ringway-rig"

include mk/guest.mk

.PHONY: help setup build check test test-long models demo rig clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

demo: setup ## a USB disk crosses two virtual machines; KEEP=1 leaves them up
	@mk/demo.sh $(if $(KEEP),--keep)

rig: ## lists the scenarios; SCENARIO=name runs one, FULL=1 in its long form
	@swift build --product ringway-rig >&2
	@$(if $(SCENARIO),$(MAKE) --no-print-directory guest >&2 && $(RIG) run $(SCENARIO) $(if $(FULL),--full),$(RIG) list)

clean: ## removes what was built; downloaded packages stay
	rm -rf .build .build-results .build-guest/x86_64 .build-guest/aarch64
