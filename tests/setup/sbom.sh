#!/bin/sh
# Writes what the module consists of, as CycloneDX: every crate in it, with version, licence and
# checksum. The same sources give the same bytes.
#
#     tests/setup/sbom.sh PATH-OF-CARGO-CYCLONEDX FILE
#
# The tool knows a package as a whole, and would list what only the command and the tests need. So it
# is shown a package that has the dependencies of the module and no others, and what it says is
# compared with what Cargo compiles.
set -eu

cd "$(dirname "$0")/../.."
tool=$1
file=$2
target=wasm32-wasip1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
touch "$work/src/lib.rs"
cp Cargo.lock README.md "$work"
# Of Cargo.toml the package, the library and the dependencies of the core.
awk '/^\[/ { keep = /^\[(package|lib|dependencies)\]/ } keep' Cargo.toml >"$work/Cargo.toml"

(
    cd "$work"
    # No time and no random number.
    SOURCE_DATE_EPOCH=0 "$OLDPWD/$tool" cyclonedx --quiet --target "$target" --format json \
        --spec-version 1.5 --no-build-deps --override-filename sbom
)

mkdir -p "$(dirname "$file")"
# The folder is no part of what was built.
sed "s|path+file://$work#|pkg:cargo/|g" "$work/sbom.json" >"$work/plugin.json"

crates() {
    cargo tree --locked --target "$target" --edges normal --prefix none --format '{p}' |
        sed 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/' | grep -v '^portcullis ' | sort -u
}
listed() {
    python3 -c '
import json, sys
for it in json.load(open(sys.argv[1]))["components"]:
    print(it["name"], it["version"])' "$work/plugin.json" | sort -u
}
crates >"$work/crates"
listed >"$work/listed"
if ! diff "$work/crates" "$work/listed" >&2; then
    echo "sbom: $tool lists other crates than Cargo compiles" >&2
    exit 1
fi
cp "$work/plugin.json" "$file"
