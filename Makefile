# The menu. `make` alone prints it; CI calls the same targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := menu

# Tests run optimised (see Cargo.toml). The demo is built without optimising: that takes a third of the
# time, and 484,000 rows are read in 16 s all the same. `make run PROFILE=release` runs what ships.
PROFILE ?= quick
run: PROFILE = dev
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
PROGRAMS ?= -p inventory-api -p prefetch-worker -p d365-simulator -p launcher
# With the harness' own programs: benchmarks, the fault rig, the histories.
RIG ?= $(PROGRAMS) -p integration-tests

# Flags of the demo, each of them optional.
DEMO_FLAGS = \
	$(if $(ONCE),--once) \
	$(if $(ITEMS),--items $(ITEMS)) \
	$(if $(WAREHOUSES),--warehouses $(WAREHOUSES)) \
	$(if $(API_PORT),--api-port $(API_PORT)) \
	$(if $(API_MANAGEMENT_PORT),--api-management-port $(API_MANAGEMENT_PORT)) \
	$(if $(WORKER_PORT),--worker-port $(WORKER_PORT)) \
	$(if $(WORKER_MANAGEMENT_PORT),--worker-management-port $(WORKER_MANAGEMENT_PORT)) \
	$(if $(SIMULATOR_PORT),--simulator-port $(SIMULATOR_PORT))

.PHONY: menu run build bench bench-auth bench-demand bench-prefetch test ci fmt fmt-check lint doc deny api-fuzz fuzz faults histories redis redis-of-demo redis-image oidc-server shell-check clean

menu: ## This list
	@echo "make ..."
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' Makefile | expand -t 16
	@echo
	@echo "demo:  make run [ONCE=1] [ITEMS=50000] [WAREHOUSES=10] [API_PORT=8080] [API_MANAGEMENT_PORT=8081]"
	@echo "                [WORKER_PORT=8090] [WORKER_MANAGEMENT_PORT=8091] [SIMULATOR_PORT=8070]"
	@echo "       CONNECTOR__REDIS__URL=redis://host:port make run    uses your Redis instead of a private one"

run: redis-of-demo build ## The demo: D365 simulator, two workers, one API; ONCE=1 ends after the replies
	@exec $(BUILT)/demo $(DEMO_FLAGS)

build: ## The programs of the demo
	@cargo build --locked --profile $(PROFILE) $(PROGRAMS) --bins

test: redis redis-image oidc-server ## All tests; sets up what they need by itself
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace --cargo-profile $(PROFILE) $(if $(CI),--profile ci) && \
		cargo test --locked --workspace --profile $(PROFILE) --doc --quiet; \
	else \
		cargo test --locked --workspace --profile $(PROFILE); \
	fi

# With the whole workspace the programs and the tests share one build of the dependencies.
ci: export PROGRAMS := --workspace
ci: export RIG := --workspace
ci: ## All gates, as CI runs them; prints what each took
	@scripts/timed --forget
	@scripts/timed "format" $(MAKE) --no-print-directory fmt-check
	@scripts/timed "shell scripts" $(MAKE) --no-print-directory shell-check
	@scripts/timed "dependencies" $(MAKE) --no-print-directory deny
	@scripts/timed "lints" $(MAKE) --no-print-directory lint
	@scripts/timed "documentation" $(MAKE) --no-print-directory doc
	@scripts/timed "tests" $(MAKE) --no-print-directory test
	@scripts/timed "faults" $(MAKE) --no-print-directory faults QUICK=1 FAULTS_FLAGS="--tries 2"
	@scripts/timed "demo" $(MAKE) --no-print-directory run ONCE=1 PROFILE=$(PROFILE)
	@API_FUZZ_SECONDS=30 scripts/timed "OpenAPI fuzzing" $(MAKE) --no-print-directory api-fuzz
	@scripts/timed --summary

fmt: ## Formats the sources
	@cargo fmt --all

fmt-check: ## Fails if a source is not formatted
	@cargo fmt --all --check

lint: ## Clippy on everything, warnings are errors
	@cargo clippy --locked --workspace --all-targets --profile $(PROFILE) --quiet -- -D warnings

doc: ## The Rust documentation, warnings are errors; target/doc/shared/index.html
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --profile $(PROFILE) --quiet

deny: ## Licences, bans, sources and (online) known vulnerabilities of the dependencies
	@scripts/ensure-cargo-tool cargo-deny 0.20.2
	@scripts/deny

bench: redis ## Requests/s and CPU beside redis-benchmark, webdis and a constant reply (needs wrk, webdis)
	@for tool in wrk webdis redis-benchmark redis-cli; do command -v $$tool >/dev/null || { \
		echo "make bench needs $$tool (Debian: apt-get install wrk webdis redis-tools)"; exit 1; }; done
	@cargo build --locked --release $(RIG) --bins
	@target/release/lab bench $(BENCH_FLAGS)

bench-prefetch: redis ## Rows/s, CPU and memory of 1, 2 and 4 workers beside the floor; browsing beside a prefetch
	@cargo build --locked --release $(RIG) --bins
	@exec target/release/lab bench-prefetch $(BENCH_FLAGS)

bench-demand: redis ## Age of the 1,000 SKUs asked for most between snapshots, and the calls it costs; 10 min for each setting
	@cargo build --locked --release $(RIG) --bins
	@exec target/release/lab bench-demand $(BENCH_FLAGS)

bench-auth: ## Cost of a caller: token seen before, first look at a token, password
	@cargo bench --locked --quiet -p shared --bench authentication

faults: redis ## The fault rig: QUICK=1 for CI's rows, ROWS=F3,F8, SEED=n; writes target/faults.md
	@cargo build --locked --profile $(PROFILE) $(RIG) --bins
	@$(CC) -shared -fPIC -O2 -Wall -Wextra -o $(BUILT)/clock_shim.so integration-tests/clock-shim/clock_shim.c
	@exec env CONNECTOR_CLOCK_SHIM=$(abspath $(BUILT)/clock_shim.so) $(BUILT)/lab faults \
		$(if $(QUICK),--quick) $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(FAULTS_FLAGS)

histories: redis ## Random histories of orders: HISTORIES=100000, SEED=n
	@cargo build --locked --profile $(PROFILE) $(RIG) --bins
	@exec $(BUILT)/lab histories $(if $(HISTORIES),--histories $(HISTORIES)) $(if $(SEED),--seed $(SEED)) $(HISTORIES_FLAGS)

api-fuzz: redis build ## Attacks the live OpenAPI documents of both services (schemathesis)
	@scripts/api-fuzz $(BUILT)/demo

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= request_body odata_page configuration

fuzz: ## Attacks the parsers for FUZZ_SECONDS each; finds are in integration-tests/fuzz/artifacts
	@scripts/ensure-cargo-tool cargo-fuzz 0.13.1
	@for target in $(FUZZ_TARGETS); do \
		scripts/fuzz $$target $(FUZZ_SECONDS); done

redis: ## Finds redis-server or installs it
	@scripts/ensure-redis

# With a Redis of your own only redis-cli is needed, to show what is stored.
redis-of-demo:
	@scripts/ensure-redis $(if $(CONNECTOR__REDIS__URL),--cli-only)

redis-image: redis ## The image of the container tests, built here where none can be pulled
	@scripts/redis-image

oidc-server: ## The OpenID Connect server of the sign-in tests, from PyPI
	@scripts/ensure-oidc-server

shell-check: ## Syntax of the scripts; shellcheck's opinion where it is installed
	@for script in scripts/* .ci/run; do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then shellcheck scripts/* .ci/run; \
		else echo "shellcheck is not installed: only the syntax was checked"; fi

clean: ## Removes everything that was built, and the test image
	@cargo clean
	@docker image rm inventory-connector-redis:test >/dev/null 2>&1 || true
