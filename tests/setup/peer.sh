#!/bin/sh
# Builds the programs of tests/setup/peers/NAME into .tools/NAME-VERSION:
#
#     tests/setup/peer.sh NAME
#
# They are the tools that its go.mod names, and its own packages; the checksums of everything are in
# go.sum. Silent when they are there, and kind where Go is missing. The stamp is written last, so an
# interrupted run starts over; it holds the checksum of what is built from.
set -eu

cd "$(dirname "$0")/../.."
list=tests/setup/peers/$1
version=$(sed -n 's|^// version: ||p' "$list/go.mod")
tags=$(sed -n 's|^// tags: ||p' "$list/go.mod")
folder=$PWD/.tools/$1-$version
stamp=$(find "$list" -type f | sort | xargs cat | cksum)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "setup: $1 is not built, since Go is missing: https://go.dev/dl"
    exit 0
fi

echo "setup: building $1 $version, which takes some minutes the first time"
rm -rf "$folder"
mkdir -p "$folder"
cd "$list"
go build -mod=readonly -tags "$tags" -trimpath -ldflags='-s -w' -o "$folder/" tool
if [ -n "$(go list ./... 2>/dev/null)" ]; then
    go build -mod=readonly -tags "$tags" -trimpath -ldflags='-s -w' -o "$folder/" ./...
fi
echo "$stamp" >"$folder/stamp"
