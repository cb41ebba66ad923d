#!/bin/sh
# Says which of the programs that the build needs are missing, and how to get them.
set -eu

missing=0
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "setup: $1 is missing: $2" >&2
    missing=1
}

need cargo "install Rust from https://rustup.rs"
need rustc "install Rust from https://rustup.rs"
need cc "Debian and Ubuntu: apt-get install build-essential; macOS: xcode-select --install"
need python3 "Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python"
exit "$missing"
