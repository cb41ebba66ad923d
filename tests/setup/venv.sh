#!/bin/sh
# Makes the Python environment .tools/NAME from the pinned list tests/setup/NAME.txt:
#
#     tests/setup/venv.sh NAME
#
# Silent when it is there. The stamp is written last, so an interrupted run starts over; it holds
# the checksum of the list and the folder, since an environment can be neither edited nor moved.
set -eu

cd "$(dirname "$0")/../.."
list=tests/setup/$1.txt
env=.tools/$1
stamp="$(cksum <"$list") $PWD"
if [ -x "$env/bin/python" ] && [ "$(cat "$env/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

echo "setup: installing $1 into $env"
rm -rf "$env"
mkdir -p .tools
if ! python3 -m venv "$env" >"$env.log" 2>&1; then
    cat "$env.log" >&2
    echo "setup: python3 cannot make a virtual environment (Debian and Ubuntu: apt-get install python3-venv)" >&2
    rm -rf "$env"
    exit 1
fi
rm "$env.log"
"$env/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$list"
echo "$stamp" >"$env/stamp"
