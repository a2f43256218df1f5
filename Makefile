# SPDX-License-Identifier: Apache-2.0
# The project's commands. Each is short here; what it does stands in mk/.

.DEFAULT_GOAL := help
include mk/guest.mk

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
