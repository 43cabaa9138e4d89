# `make run` starts a server; `make help` says what else there is.

ARGS ?=
# How long `make fuzz` spends on each target.
FUZZ_SECONDS ?= 60
PEERAGE := target/release/peerage

# The page is built where web/ is; without it the server still builds, and says so at `/`.
HAS_WEB := $(wildcard web/package.json)
WEB_SOURCES := $(if $(HAS_WEB),$(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*'))
PAGE := $(if $(HAS_WEB),web/app/dist/index.html)
WEB_PACKAGES := $(if $(HAS_WEB),web/node_modules/.package-lock.json)

.PHONY: help run build test test-packages lint bench bench-instructions fuzz clean cargo node
.DEFAULT_GOAL := help

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'
	@echo "Flags go into ARGS: make run ARGS='--log-level debug', make bench ARGS=--quick"

run: build ## Build everything and run a server
	$(PEERAGE) serve $(ARGS)

build: cargo $(PAGE) ## Build the page and the server
	cargo build --release --locked

test: cargo test-packages $(PAGE) ## Run all tests; installs by apt what they need
	$(if $(HAS_WEB),npm --prefix web test)
	cargo build --locked
	@if cargo nextest --version >/dev/null 2>&1; then \
		echo "cargo nextest run --locked && cargo test --locked --doc"; \
		cargo nextest run --locked && cargo test --locked --doc && \
		echo "the relay once more, one datagram a call" && \
		SUITE_WITHOUT_BATCHING=1 cargo nextest run --locked --test conformance -E 'not test(overload)'; \
	else \
		echo "cargo test --locked"; \
		cargo test --locked && \
		echo "the relay once more, one datagram a call" && \
		SUITE_WITHOUT_BATCHING=1 cargo test --locked --test conformance -- --skip overload; \
	fi
	@if [ -f tests/browser/package.json ]; then \
		echo "browser suite"; \
		cd tests/browser && npm ci --no-audit --no-fund && npm test; \
	fi

lint: cargo $(WEB_PACKAGES) ## Check format and lints
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(if $(HAS_WEB),npm --prefix web run lint --if-present)

bench: cargo ## Measure
	cargo bench --locked --bench signaling -- $(ARGS)
	cargo bench --locked --bench relay -- $(ARGS)

bench-instructions: cargo ## Count instructions, and fail if there are more than accepted
	cargo bench --locked --bench instructions -- $(ARGS)

fuzz: cargo ## Look for inputs that break the server, FUZZ_SECONDS a target; needs cargo-fuzz
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	@for target in $$(cargo fuzz list --fuzz-dir tests/fuzz); do \
		found=tests/fuzz/target/found/$$target; mkdir -p $$found; \
		cargo fuzz run --fuzz-dir tests/fuzz -s none $$target $$found tests/fuzz/corpora/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -max_len=700 || exit 1; \
	done

clean: ## Remove what was built
	rm -rf target tests/fuzz/target web/app/dist web/sdk/dist web/node_modules tests/browser/node_modules tests/bench/signaling/node_modules

test-packages:
	@tests/install-packages.sh

web/node_modules/.package-lock.json: web/package.json web/package-lock.json | node
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/app/dist/index.html: $(WEB_PACKAGES) $(WEB_SOURCES) | node
	cd web && npm run build
	@touch $@

cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or later from https://rustup.rs" >&2; exit 1; }

node:
	@command -v node >/dev/null || { echo "node is missing: install Node.js 20 or later, https://nodejs.org" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is missing: it comes with Node.js 20, on Debian as the package npm" >&2; exit 1; }
