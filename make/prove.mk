# The long versions of the tests: what `make test` shows at smaller counts. Every part prints what it ran.

TARGET := x86_64-unknown-linux-gnu
CORE_CRATES := -p skbpool-pool -p skbpool-deliver -p skbpool-nic -p skbpool-wire -p skbpool-engine \
	-p skbpool-flow -p skbpool-capi

# $(call needs,program,what installs it)
needs = command -v $(1) > /dev/null || { echo 'make $@ needs $(1): $(2)' >&2; exit 1; }

.PHONY: prove
prove: prove-loom prove-shuttle prove-model prove-stress prove-asan prove-valgrind prove-service ## The long tests

# Without link-time optimisation, which would cost each program more than it saves.
test-shuttle prove-model prove-stress: export CARGO_PROFILE_RELEASE_LTO := off
test-shuttle prove-model prove-stress: export CARGO_PROFILE_RELEASE_CODEGEN_UNITS := 16
test-shuttle prove-model prove-stress: export CARGO_PROFILE_RELEASE_DEBUG := false

.PHONY: prove-loom
prove-loom: export LOOM_MAX_PREEMPTIONS ?= 3
prove-loom: export LOOM_MAX_DURATION ?= 300
prove-loom: ## Models with one more preemption than in `make test`, each for 300 s at most: LOOM_MAX_DURATION=300
	$(MAKE) test-loom

# Shuttle too is another configuration of the whole crate graph. Its atomics take every ordering for
# SeqCst, and would say so at each.
.PHONY: test-shuttle
test-shuttle: export SHUTTLE_SILENCE_WARNINGS := 1
test-shuttle: export RUSTFLAGS := --cfg shuttle
test-shuttle: export CARGO_TARGET_DIR := $(CARGO_TARGET_DIR)/shuttle
test-shuttle: ## Four to eight threads under random schedules with shuttle: SKBPOOL_SCHEDULES=200
	$(CARGO) test $(WORKSPACE) --release -p skbpool-pool -p skbpool-deliver --lib schedules -- --nocapture

.PHONY: prove-shuttle
prove-shuttle: export SKBPOOL_SCHEDULES ?= 10000
prove-shuttle: ## The same, 10,000 random and 10,000 PCT schedules a scenario
	$(MAKE) test-shuttle

.PHONY: prove-model
prove-model: export PROPTEST_CASES ?= 125000
prove-model: ## Ten million random operations against the reference model: PROPTEST_CASES=125000
	$(CARGO) test $(WORKSPACE) --release -p skbpool-pool --test model -- --nocapture
	PROPTEST_CASES=$$((PROPTEST_CASES / 25)) $(CARGO) test $(WORKSPACE) --release -p skbpool-deliver \
		--test conservation -- --nocapture

.PHONY: prove-stress
prove-stress: export SKBPOOL_STRESS ?= 20
prove-stress: ## 2, 8 and 32 threads with an audit, forks, detached drivers: SKBPOOL_STRESS=20
	$(CARGO) test $(WORKSPACE) --release -p skbpool-pool --test stress --test fork -- --nocapture
	$(CARGO) test $(WORKSPACE) --release -p skbpool-deliver --test fork -- --nocapture
	$(CARGO) test $(WORKSPACE) --release -p skbpool-nic --test detach -- --nocapture

# Naming the target keeps build scripts and macros uninstrumented. Address sanitizer brings the leak
# sanitizer with it. What a thread frees is kept by that thread up to 64 MiB: the list of all threads has a
# lock that the sanitizer does not take for a fork, and a child that then needs it waits for ever. 5 × 200 cycles of a driver that is detached while views of its frames are out.
.PHONY: prove-asan
prove-asan: export RUSTC_BOOTSTRAP := 1
prove-asan: export RUSTFLAGS := -Zsanitizer=address
prove-asan: export CARGO_TARGET_DIR := $(CARGO_TARGET_DIR)/asan
prove-asan: export CARGO_PROFILE_DEV_DEBUG := line-tables-only
prove-asan: export ASAN_OPTIONS := detect_leaks=1:thread_local_quarantine_size_kb=65536
prove-asan: ## The Rust tests, and 1,000 detached drivers, under the address and leak sanitizers
	$(CARGO) test $(WORKSPACE) --target $(TARGET) --no-fail-fast --tests \
		$(CORE_CRATES)
	SKBPOOL_STRESS=5 $(CARGO) test $(WORKSPACE) --target $(TARGET) -p skbpool-nic --test detach -- \
		--nocapture

.PHONY: prove-valgrind
prove-valgrind: export CARGO_TARGET_$(subst -,_,$(shell echo $(TARGET) | tr a-z A-Z))_RUNNER := valgrind \
	--quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
# By the C library's system calls, which valgrind knows; of others it takes what they return for
# uninitialised.
prove-valgrind: export RUSTFLAGS := --cfg rustix_use_libc
prove-valgrind: export CARGO_TARGET_DIR := $(CARGO_TARGET_DIR)/valgrind
prove-valgrind: ## The pool's tests, run by valgrind
	@$(call needs,valgrind,install the package valgrind)
	$(CARGO) test $(WORKSPACE) -p skbpool-pool --test pool --test lifecycle --test foreign_accounts \
		-- --test-threads=1

# The suite's limit of a minute a test is for its smaller counts.
.PHONY: prove-service
prove-service: export SKBPOOL_KILLS ?= 100
prove-service: export SKBPOOL_LEASE_REQUESTS ?= 100000
prove-service: export SKBPOOL_MUTATED_REQUESTS ?= 100000
prove-service: export SKBPOOL_CONNECTIONS ?= 10000
prove-service: setup ## 100 killed lease clients each on Unix sockets and TCP, 100,000 made-up requests each of leases and every RPC, 10,000 connections
	$(PYTEST) -q -s --timeout 1800 service/tests/process/test_sessions_end.py \
		service/tests/rpc/test_lease_fuzz.py service/tests/rpc/test_every_rpc_fuzz.py \
		service/tests/process/test_ten_thousand.py
