#!/bin/sh
# Makes sure that Rust can compile for wasm32-wasip1. Silent when it can.
#
# Ordinarily `rustup target add` is all. Where rustup cannot download the target, Debian's rustc-web
# and its library source do: the library is built once (about a minute), and .tools/wasm.env tells
# the Makefile which compiler and linker go with it.
#
# PORTCULLIS_WASM_TARGET=debian takes the second way at once, to try it.
set -eu

cd "$(dirname "$0")/../.."
target=wasm32-wasip1
debian=/usr/bin/rustc

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Compiles nothing, but finds a library that is missing or of another compiler's version.
can_compile() {
    [ -x "$(command -v "$1")" ] &&
        echo | "$1" --target "$target" --crate-type lib --emit dep-info=- - >/dev/null 2>&1
}

# === the ordinary way ===

if [ "${PORTCULLIS_WASM_TARGET:-}" != debian ]; then
    if ! can_compile rustc && ! { [ -f .tools/wasm.env ] && can_compile "$debian"; }; then
        echo "setup: adding the Rust target $target"
        rustup target add "$target" || echo "setup: rustup could not add it" >&2
    fi
    if can_compile rustc; then
        rm -f .tools/wasm.env
        exit 0
    fi
fi

# === Debian's compiler ===

linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
packages="rustc-web rust-web-src wasi-libc"

if ! can_compile "$debian"; then
    command -v apt-get >/dev/null || fail "the Rust target $target is missing:" \
        "run 'rustup target add $target' where rustup can download it"
    [ "$(id -u)" = 0 ] || fail "the Rust target $target is missing and rustup cannot download it:" \
        "run 'make setup' once as root, to install $packages and the library built from them"
    [ -x "$linker" ] || fail "rust-lld is missing from $(rustc --print sysroot): install Rust from https://rustup.rs"

    echo "setup: installing $packages, and building Rust's library for $target"
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --no-install-recommends $packages >/dev/null

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -R /usr/lib/rustlib/src/rust/library "$work"
    # The two settings that the library's own build gives itself: a stable compiler may use unstable
    # features, and the crates it depends on count as part of it.
    env -u CARGO_ENCODED_RUSTFLAGS RUSTC="$debian" RUSTC_BOOTSTRAP=1 \
        __CARGO_DEFAULT_LIB_METADATA=stablestd \
        RUSTFLAGS="-Cembed-bitcode=yes -Zforce-unstable-if-unmarked" \
        cargo build --quiet --release --target "$target" \
        --manifest-path "$work/library/sysroot/Cargo.toml" --target-dir "$work/target"

    lib=$("$debian" --print target-libdir --target "$target")
    mkdir -p "$lib/self-contained"
    rm -f "$lib"/*.rlib
    cp "$work/target/$target"/release/deps/*.rlib "$lib"
    for object in crt1-command.o crt1-reactor.o libc.a; do
        cp "/usr/lib/wasm32-wasi/$object" "$lib/self-contained"
    done
    can_compile "$debian" || fail "$debian still cannot compile for $target"
fi

mkdir -p .tools
printf '%s\n' "RUSTC=$debian" "CARGO_TARGET_WASM32_WASIP1_LINKER=$linker" >.tools/wasm.env
