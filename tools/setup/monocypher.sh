#!/bin/sh
# SPDX-License-Identifier: MIT
# Monocypher's two files, for checking signatures: from the source distribution of a Python package
# that carries them, through pip and by hash. MONOCYPHER_DIR names a folder of your own.
set -eu
cd "$(dirname "$0")/../.."
. tools/setup/say.sh

CACHE=${CACHE:-$PWD/.cache}
own=$CACHE/monocypher-4.0.3
dir=${MONOCYPHER_DIR:-$own}

# Fetches and unpacks into $own; $1 is for what is only on its way. pip compares the hash before it
# runs anything of the package.
fetch() {
    .venv/bin/python -m pip --disable-pip-version-check download --require-hashes --no-deps \
        --no-binary :all: --no-build-isolation -d "$1" -r tools/setup/monocypher.txt &&
        tar -xzf "$1"/pymonocypher-*.tar.gz -C "$1" --strip-components=1 &&
        mkdir -p "$own.part" &&
        mv "$1/monocypher.c" "$1/monocypher.h" "$own.part" &&
        mv "$own.part" "$own"
}

if [ "$dir" != "$own" ]; then
    [ -f "$dir/monocypher.h" ] || fail "MONOCYPHER_DIR=$dir is no Monocypher source." \
        "Name the folder that holds monocypher.c and monocypher.h, or leave it out."
elif [ ! -d "$own" ]; then
    mkdir -p "$CACHE"
    rm -rf "$own.part"
    fetched=$(mktemp -d "$CACHE/fetch.XXXXXX")
    trap 'rm -rf "$fetched"' EXIT
    logged monocypher "Fetching Monocypher" \
        "pip uses this machine's own index settings: check them, or the network; then make setup. \
Or name a copy: make setup MONOCYPHER_DIR=/path/to/it" fetch "$fetched"
fi
