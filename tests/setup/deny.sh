#!/bin/sh
# Checks the dependencies against deny.toml. What is known to be unsound comes from the RustSec
# database: where that cannot be fetched, this one check is skipped, and says so.
#
#     tests/setup/deny.sh PATH-OF-CARGO-DENY
set -eu

cd "$(dirname "$0")/../.."
deny="$1 --log-level error"

$deny check bans licenses sources
if fetched=$($deny fetch db 2>&1); then
    $deny check advisories
else
    case $fetched in
    *"failed to fetch advisory database"*)
        echo "skipped: advisories: the RustSec database could not be fetched" ;;
    *)
        echo "$fetched" >&2
        exit 1 ;;
    esac
fi
