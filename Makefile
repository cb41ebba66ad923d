# Everything that is done with Portcullis. `make` lists the targets.

TARGET := $(or $(CARGO_TARGET_DIR),target)
# The compiler and linker for wasm32-wasip1, where they are not rustup's (tests/setup/wasm-target.sh).
WASM := env $$(cat .tools/wasm.env 2>/dev/null)
MAX_BYTES := 1048576
MACHETE := .tools/cargo-machete-0.9.2
DENY := .tools/cargo-deny-0.20.2
FUZZ := .tools/cargo-fuzz-0.13.2
CYCLONEDX := .tools/cargo-cyclonedx-0.5.9
# For each target.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup build demo run test test-peers lint bench soak fuzz image push clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name what; do printf '%-10s %s\n' "$$name" "$$what"; done

setup: ## install what the other targets need, and is missing
	@tests/setup/needs.sh
	@tests/setup/wasm-target.sh
	@for name in envoy-1.40 envoy-1.36 httpbin kubectl; do tests/setup/venv.sh $$name || exit; done

build: setup ## build the plugin, dist/plugin.wasm
	@$(WASM) cargo build --release --lib --target wasm32-wasip1
	@cargo build --example trim
	@mkdir -p dist
	@$(TARGET)/debug/examples/trim $(TARGET)/wasm32-wasip1/release/portcullis.wasm dist/plugin.wasm $(MAX_BYTES)

demo: setup build ## play the demonstration: a gateway, an issuer, allowed and refused requests
	@cargo run --quiet --example demo -- --play

run: setup build ## start the same gateway, and keep it running to try by hand
	@cargo run --quiet --example demo

test: setup build ## run every test; REQUIRE=all fails where one would be skipped
	@cargo test

# Programs in Go, each from a list of pinned modules.
test-peers: setup build ## play with the real programs at the other end; PEERS="istiod istioctl" chooses
	@for list in tests/setup/peers/*/; do tests/setup/peer.sh $$(basename $$list) || exit; done
	@cargo run --quiet --example peers

# The commit, if all that is built from is in it.
REVISION = $(shell test -z "$$(git status --porcelain 2>&1)" && git rev-parse HEAD)
CONTENT = $(addprefix --revision ,$(REVISION)) $(addprefix --source ,$(SOURCE))

image: build $(CYCLONEDX) ## write dist/image, and the list of dependencies; SOURCE=URL names the source
	@cargo run --quiet -- image --output dist/image $(CONTENT)
	@tests/setup/sbom.sh $(CYCLONEDX)/bin/cargo-cyclonedx dist/plugin.cdx.json

push: $(if $(IMAGE),image) ## push the image: make push IMAGE=HOST/NAME:TAG; PUSH=OPTIONS for `portcullis push`
	@test -n "$(IMAGE)" || { echo "push: say where to, such as IMAGE=ghcr.io/example/portcullis:0.1.0" >&2; exit 1; }
	@cargo run --quiet -- push $(CONTENT) $(PUSH) $(IMAGE)

lint: setup $(MACHETE) $(DENY) ## check format, code, documentation and dependencies
	@cargo fmt --check
	@cargo clippy --all-targets -- -D warnings
	@if [ -f .tools/wasm.env ]; then echo "skipped: clippy for wasm32-wasip1: it needs the target from rustup"; \
	else cargo clippy --lib --target wasm32-wasip1 -- -D warnings; fi
	@RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --document-private-items
	@$(MACHETE)/bin/cargo-machete
	@tests/setup/deny.sh $(DENY)/bin/cargo-deny

# Unoptimised, since it compiles in half the time and runs in an instant all the same.
$(MACHETE) $(DENY) $(FUZZ) $(CYCLONEDX):
	@echo "installing $(@F), which takes some minutes"
	@cargo install --quiet --locked --debug --root $@ $(subst -0,@0,$(@F))

bench: setup build ## measure what the plugin adds to a request
	@cargo run --quiet --release --example bench-core -- --bench --quiet
	@cargo run --quiet --release --example bench-instructions
	@cargo run --quiet --example bench

soak: setup build ## play an hour of a gateway in ten minutes; SOAK_SECONDS, SOAK_RATE
	@cargo run --quiet --example soak

fuzz: setup $(FUZZ) ## feed the readers of hostile input with all sorts of bytes; needs a C++ compiler
	@for target in $$($(FUZZ)/bin/cargo-fuzz list --fuzz-dir tests/fuzz); do \
	$(FUZZ)/bin/cargo-fuzz run --fuzz-dir tests/fuzz --target-dir $(TARGET)/fuzz --sanitizer none $$target \
	-- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 || exit; done

clean: ## remove everything that was built or installed here
	@cargo clean --quiet
	@rm -rf dist .tools
