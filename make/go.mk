# The Go module beside the protocol. Its modules and what is built of it lie where Go keeps them, none in
# the work tree.

# $(call with_go,commands): run them in proto/go. Where Go is missing, or cannot build the module, that is
# said and they are left out; under SKBPOOL_REQUIRE_ALL=1 it fails.
define with_go
@cd proto/go; \
if go list -deps -test ./... > /dev/null; then $(1); \
else echo '$@ is left out: it needs Go as proto/go/go.mod names it' >&2; \
	test "$${SKBPOOL_REQUIRE_ALL:-0}" != 1; fi
endef

.PHONY: lint-go
lint-go: ## gofmt, go vet; without Go left out. lint-proto tells whether what is generated is fresh
	$(call with_go,gofmt -l . | { ! grep .; } && go vet ./...)

.PHONY: test-go
test-go: ## Run the tests of the Go module; without Go left out. test-e2e runs its client
	$(call with_go,go test ./...)
