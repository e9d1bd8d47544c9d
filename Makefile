# The targets that people and CI call; what they do is in dev/.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test check fmt soak bench bench-read clean-data
AUDIT_DATA_DIR ?= data

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the service with a local PostgreSQL, until Ctrl-C
	@dev/run.sh

test: check ## all checks, then all tests on real databases
	@dev/test.sh

check: ## format, lints, documentation, dependencies, fast tests
	@dev/check.sh

fmt: ## format the code
	@cargo fmt --all

soak: ## the long tests in full, built for release
	@dev/test.sh --soak

bench: ## the benchmark of writing, on a release build and a PostgreSQL of its own
	@dev/bench.sh

bench-read: ## the same of reading, over a log of 5 million entries
	@dev/bench.sh read -- export-slow

clean-data: ## delete what `make run` has stored, after asking
	@read -rp 'delete the database in $(AUDIT_DATA_DIR)/postgres? type yes: ' answer; \
	if [ "$$answer" = yes ]; then dev/postgres.sh drop '$(AUDIT_DATA_DIR)/postgres'; else echo 'kept'; fi
