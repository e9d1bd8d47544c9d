# The targets that people and CI call; what they do is in dev/.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run up down test check fmt documents soak campaign bench bench-read bench-search bench-stream bench-overload coverage fuzz sbom clean-data
AUDIT_DATA_DIR ?= data
export AUDIT_DATA_DIR

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the service with a local PostgreSQL, until Ctrl-C
	@dev/run.sh

up: ## the production shape in the background: PostgreSQL, SQS and Lambda, OpenSearch, gateway
	@dev/up.sh up

down: ## stop what `make up` started; the data of log and index stays
	@dev/up.sh down

test: check ## all checks, then all tests on real databases
	@dev/test.sh

check: ## format, lints, documentation, dependencies, fast tests
	@dev/check.sh

fmt: ## format the code
	@cargo fmt --all && cargo fmt --manifest-path fuzz/Cargo.toml

documents: ## docs/openapi.json, the Postman collection and the .http file anew, from the code
	@AUDIT_TEST_REWRITE=1 cargo test --locked --quiet -p api --test it openapi::files::the_files_in_docs

soak: ## the long tests in full, built for release
	@dev/test.sh --soak

campaign: SEEDS ?= 200
campaign: REPORT := $(abspath $(AUDIT_DATA_DIR))/campaign/report.md
campaign: ## faults of all kinds against the whole shape, SEEDS=200 of them, and a report
	@mkdir -p '$(dir $(REPORT))'
	@AUDIT_TEST_SOAK=1 AUDIT_TEST_SEEDS='$(SEEDS)' AUDIT_TEST_CAMPAIGN_REPORT='$(REPORT)' \
	  dev/test.sh --test it campaign:: -- --nocapture; code=$$?; echo 'report: $(REPORT)'; exit $$code

bench: ## the benchmark of writing, on a release build and a PostgreSQL of its own
	@dev/bench.sh

bench-read: ## the same of reading, over a log of 5 million entries
	@dev/bench.sh read -- export-slow

bench-search: ## the way to the search index, searches there, and an outage, each on parts of its own
	@worst=0; dev/bench.sh search || worst=$$?; \
	dev/bench.sh search-outage || { code=$$?; [ $$code -le $$worst ] || worst=$$code; }; exit $$worst

bench-stream: ## from a commit to those who watch, and what watching costs
	@dev/bench.sh stream

bench-overload: ## what becomes of others while too much is asked for
	@dev/bench.sh overload

coverage: ## how much of the code all tests run, in lines; fails under 85 %
	@dev/coverage.sh

fuzz: ## bytes that nobody thought of, SECONDS=600 for each target or for TARGET=one, JOBS=1 at a time
	@FUZZ_SECONDS=$(or $(SECONDS),600) FUZZ_JOBS=$(or $(JOBS),1) dev/fuzz.sh run $(TARGET)

sbom: ## what the programs are made of, as CycloneDX, in target/sbom
	@dev/sbom.sh

clean-data: ## delete what `make run` and `make up` have stored, after asking
	@read -rp 'delete the databases and the index in $(AUDIT_DATA_DIR)? type yes: ' answer; \
	if [ "$$answer" = yes ]; then \
	  dev/postgres.sh drop '$(AUDIT_DATA_DIR)/postgres' && dev/up.sh drop; \
	else echo 'kept'; fi
