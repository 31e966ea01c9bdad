# The one command surface: people, pre-commit and CI call these targets. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BOOTSTRAP_PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := $(CURDIR)/.venv
PYTHON := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
PIP := PATH="$(VENV)/bin:$$PATH" $(PYTHON) -m pip --disable-pip-version-check
PYTEST := $(PYTHON) -m pytest

CARGO_TARGET_DIR ?= $(CURDIR)/core/target
CARGO := cargo
WORKSPACE := --manifest-path core/Cargo.toml
export CARGO_TARGET_DIR

# What the wheel is made from. The list of Cython sources reaches build.rs by the environment,
# since cargo cannot see that a file was added.
CYTHON_SOURCES := $(sort $(wildcard $(addprefix python/skbpool/,*.pyx *.pxd include/*.h)))
LIBRARY_SOURCES := $(sort pyproject.toml LICENSE $(shell find core python \
	\( -name target -o -name tests -o -name benches -o -name __pycache__ -o -path core/fuzz \) -prune -o -type f \
	-regex '.*\.\(rs\|toml\|lock\|py\|pyi\|pyx\|pxd\|h\|typed\)' -print))
SERVICE_SOURCES := $(sort service/pyproject.toml $(shell find service/skbpool_service \
	-name __pycache__ -prune -o -type f -print))
export PYO3_PYTHON := $(PYTHON)
export SKBPOOL_CYTHON_SOURCES := $(CYTHON_SOURCES)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### environment

.PHONY: setup
setup: $(STAMPS)/checked ## Make .venv: locked tools, skbpool and skbpool-service built and installed

$(STAMPS)/requirements: requirements/dev.txt
	@$(BOOTSTRAP_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'skbpool needs Python 3.11 or newer: make BOOTSTRAP_PYTHON=/path/to/python' >&2; exit 1; }
	@test -x $(PYTHON) || $(BOOTSTRAP_PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --requirement requirements/dev.txt
	@mkdir -p $(STAMPS) && touch $@

# Rewritten only when a file was added or removed, which no time stamp of a file tells.
$(STAMPS)/files: FORCE | $(STAMPS)/requirements
	@printf '%s\n' $(LIBRARY_SOURCES) $(SERVICE_SOURCES) | cmp -s - $@ \
		|| printf '%s\n' $(LIBRARY_SOURCES) $(SERVICE_SOURCES) > $@

# Without build isolation cargo keeps its target folder between builds.
$(STAMPS)/library: $(STAMPS)/requirements $(STAMPS)/files $(LIBRARY_SOURCES)
	$(PIP) install --quiet --no-build-isolation --no-deps --force-reinstall .
	@touch $@

$(STAMPS)/service: $(STAMPS)/requirements $(STAMPS)/files $(SERVICE_SOURCES) | $(STAMPS)/library
	$(PIP) install --quiet --no-build-isolation --no-deps --force-reinstall ./service
	@touch $@

$(STAMPS)/checked: $(STAMPS)/library $(STAMPS)/service
	@$(PIP) check
	@touch $@

.PHONY: FORCE
FORCE:

.PHONY: lock
lock: $(STAMPS)/requirements ## Renew requirements/*.txt and Cargo.lock from the ranges; UPGRADE=1 takes the newest
	for set in runtime dev; do \
		env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND='make lock' $(PYTHON) -m piptools compile \
			--quiet $(if $(UPGRADE),--upgrade) --strip-extras --allow-unsafe \
			--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
			--output-file requirements/$$set.txt requirements/$$set.in; \
	done
	$(CARGO) $(if $(UPGRADE),update,metadata --format-version 1 --quiet) $(WORKSPACE) > /dev/null

.PHONY: generate
generate: $(STAMPS)/requirements ## Generate python/skbpool/v1 and proto/go from proto/, and the Grafana dashboard
	$(PYTHON) tools/generate_protos.py
	$(PYTHON) deploy/grafana/generate.py

##### running

.PHONY: demo
demo: setup ## Start the daemon, drive it at 1 Gbit/s for 10 s, show what arrived, leave nothing behind
	$(PYTHON) bench/demo.py

.PHONY: bench-floor
bench-floor: setup ## Show that the floor for speed holds: 1 GbE line rate by gRPC, ten times that in process
	$(PYTHON) bench/floor.py

# Stops at a variable of another target's, which would be passed over: $(call takes,ROUNDS OPS).
VARIABLES = ROUNDS OPS SECONDS SECONDS_EACH TABLE ONLY LIST
takes = $(foreach name,$(filter-out $(1),$(VARIABLES)),$(if $(filter command,$(origin $(name))), \
	$(error make $@ takes no $(name)=; it takes $(or $(strip $(1:%=%=)),none of these))))

# ROUNDS= and OPS= (names, separated by commas) choose; SECONDS_EACH= is the length of a sample.
BENCH_OPTIONS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

.PHONY: bench-core
bench-core: $(STAMPS)/requirements ## Measure the core beside DPDK: ROUNDS=5 OPS=alloc_free_1,rx_64
	$(call takes,ROUNDS SECONDS_EACH OPS)$(PYTHON) bench/core.py $(BENCH_OPTIONS) $(if $(OPS),--ops $(OPS))

.PHONY: bench-python
bench-python: setup ## Measure the Python API beside memoryview, bytes and dpkt: ROUNDS=5
	$(call takes,ROUNDS SECONDS_EACH)$(PYTHON) bench/python_api.py $(BENCH_OPTIONS)

.PHONY: bench-grpc
bench-grpc: setup ## Measure the daemon beside a bare grpcio server: ROUNDS=5 OPS=ingest_64_unix,start
	$(call takes,ROUNDS SECONDS_EACH OPS)$(PYTHON) bench/over_grpc.py $(BENCH_OPTIONS) $(if $(OPS),--paths $(OPS))

.PHONY: bench-grpc-memory
bench-grpc-memory: setup ## Show the daemon's memory at full rate, then the bare server's: SECONDS=600 each
	$(call takes,SECONDS)$(PYTHON) bench/over_grpc.py --paths memory --soak $(or $(SECONDS),600) --no-write

.PHONY: charts
charts: setup ## Draw what was measured, as SVG in bench/results, and write the figures into README.md
	$(PYTHON) bench/charts.py
	$(PYTHON) bench/figures.py

##### tests

.PHONY: test
test: setup test-rust test-fuzz test-loom test-shuttle test-python test-service test-bench test-tools test-go test-e2e ## Run every test

.PHONY: test-rust
test-rust: ## Run the Rust tests, doc tests and seed tests included
	$(CARGO) test $(WORKSPACE)

.PHONY: test-fuzz
test-fuzz: ## Replay the corpora of the fuzz targets
	$(CARGO) test $(WORKSPACE) -p skbpool-fuzz

# A nightly run takes what is given here; CI replays only.
.PHONY: fuzz
fuzz: ## Fuzz everything that takes bytes from outside: SECONDS=300 ONLY=capture,capi
	$(call takes,SECONDS ONLY)$(BOOTSTRAP_PYTHON) core/fuzz/fuzz.py run $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(ONLY),--only $(ONLY))

.PHONY: fuzz-merge
fuzz-merge: ## Add to the corpora what make fuzz found that reaches new code: ONLY=capture,capi
	$(BOOTSTRAP_PYTHON) core/fuzz/fuzz.py merge $(if $(ONLY),--only $(ONLY))

# Loom is another configuration of the whole crate graph, so it builds in a folder of its own, and
# without link-time optimisation, which would cost more than it saves.
.PHONY: test-loom
test-loom: export RUSTFLAGS := --cfg loom
test-loom: export CARGO_TARGET_DIR := $(CARGO_TARGET_DIR)/loom
test-loom: export CARGO_PROFILE_RELEASE_LTO := off
test-loom: export CARGO_PROFILE_RELEASE_CODEGEN_UNITS := 16
test-loom: export CARGO_PROFILE_RELEASE_DEBUG := false
test-loom: ## Model-check the lock-free structures with loom
	$(CARGO) test $(WORKSPACE) --release -p skbpool-pool -p skbpool-deliver -p skbpool-engine \
		--lib -- --nocapture

.PHONY: test-python
test-python: setup ## Run the tests of the Python package
	$(PYTEST) -m 'not e2e' python/tests

.PHONY: test-service
test-service: setup ## Run the tests of the daemon
	$(PYTEST) -m 'not e2e' service/tests

.PHONY: test-bench
test-bench: setup ## Test how the benchmarks read what they measure; no times
	$(PYTEST) bench/tests

.PHONY: test-tools
test-tools: $(STAMPS)/requirements ## Test the tools: that every ordering of the core has a mutation
	$(PYTEST) tools/tests

.PHONY: mutants
mutants: ## Break the core on purpose, see what notices: ONLY=stack; all in one to two hours, TABLE=generated in 15 min
	$(call takes,TABLE ONLY LIST)PYTHONPATH=tools $(BOOTSTRAP_PYTHON) -m mutants $(if $(TABLE),--table $(TABLE)) \
		$(if $(ONLY),--only '$(ONLY)') $(if $(LIST),--list)

.PHONY: test-e2e
test-e2e: setup ## Run the tests with real processes: daemon, emulator, subscribers, Prometheus
	$(PYTEST) -m e2e

.PHONY: test-seed
test-seed: setup ## Run the tests of S1 to S10 and print what each observed
	$(CARGO) test $(WORKSPACE) --workspace --exclude skbpool-python --test 'seed_*' -- \
		--nocapture --test-threads=1
	$(PYTEST) -p no:cacheprovider -q -s -m seed python/tests/seed

include make/prove.mk
include make/go.mk

##### lint

.PHONY: lint
lint: lint-size lint-rust lint-python lint-proto lint-go ## Run every lint; warnings are errors

.PHONY: lint-size
lint-size: ## Fail on a source file of more than 400 lines
	$(BOOTSTRAP_PYTHON) tools/check_size.py

# With maturin's environment and the release profile, clippy shares build scripts and macros with the
# build of the wheel instead of taking turns in rebuilding them.
lint-rust: export PYO3_BUILD_EXTENSION_MODULE := 1
lint-rust: export PYO3_ENVIRONMENT_SIGNATURE = $(shell $(PYTHON) -c 'import sys; \
	print(f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}-64bit")')
.PHONY: lint-rust
lint-rust: setup ## rustfmt, clippy, rustdoc, Cargo.lock fresh
	$(CARGO) metadata $(WORKSPACE) --locked --format-version 1 > /dev/null
	$(CARGO) fmt $(WORKSPACE) --all --check
	SKBPOOL_LINT_ONLY=1 $(CARGO) clippy $(WORKSPACE) --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(WORKSPACE) --release --no-deps --document-private-items

# Modules that are compiled; the others carry their types themselves.
STUBBED := skbpool._native skbpool._flow skbpool._skb skbpool._skb_batch
.PHONY: lint-python
lint-python: setup ## ruff, mypy, cython-lint, stubtest
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict
	for tests in python/tests service/tests; do $(PYTHON) -m mypy $$tests; done
	PATH="$(VENV)/bin:$$PATH" cython-lint python/skbpool
	$(PYTHON) -m mypy.stubtest $(STUBBED) --allowlist tools/stubtest-allowlist.txt

.PHONY: lint-proto
lint-proto: $(STAMPS)/requirements ## buf lint, generated code fresh
	$(VENV)/bin/buf lint
	$(PYTHON) tools/generate_protos.py --check
	$(PYTHON) deploy/grafana/generate.py --check

.PHONY: fmt
fmt: $(STAMPS)/requirements ## Format Rust, Python and proto files
	$(CARGO) fmt $(WORKSPACE) --all
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .
	$(VENV)/bin/buf format --write

##### cleaning

.PHONY: clean
clean: ## Remove what was built; .venv stays
	rm -rf core/target dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(STAMPS)/library $(STAMPS)/service $(STAMPS)/checked

.PHONY: distclean
distclean: clean ## Remove what was built and .venv
	rm -rf $(VENV) .ci/tools
