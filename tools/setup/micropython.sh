#!/bin/sh
# SPDX-License-Identifier: MIT
# The MicroPython source and its cross compiler. The source is Debian's, found through the mirror
# that this machine's apt uses and checked by hash; MICROPYTHON_DIR names a checkout of your own.
set -eu
cd "$(dirname "$0")/../.."
. tools/setup/say.sh

VERSION=1.25.0
SHA256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea
# Debian 13 has this version; its sources are of use on Debian 12 as they are.
SUITE=trixie

CACHE=${CACHE:-$PWD/.cache}
own=$CACHE/micropython-$VERSION
dir=${MICROPYTHON_DIR:-$own}
tarball=$CACHE/micropython_$VERSION+ds.orig.tar.xz
by_hand="Put that file there by hand, or name a checkout: make setup MICROPYTHON_DIR=/path/to/it"

# apt_private ARGUMENTS...: apt-get with lists, sources and archives of its own, so that it needs
# no rights and leaves the machine's apt as it is.
apt_private() {
    apt-get -c "$state/apt.conf" "$@"
}

# Fetches into $1, from the first of the machine's mirrors that has it.
download() {
    state=$1
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    cat >"$state/apt.conf" <<CONF
Dir::State::Lists "$state/lists";
Dir::Cache "$state/cache";
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    mirrors=$(apt-get update --print-uris 2>/dev/null |
        sed -n "s|^'\(.*\)/dists/[^/']*/InRelease'.*|\1|p" | grep -v security | awk '!seen[$0]++')
    for mirror in $mirrors; do
        # trusted: an older Debian 12 lacks the key of Debian 13. The hash below is what is trusted.
        echo "deb-src [trusted=yes] $mirror $SUITE main" >"$state/sources.list"
        if apt_private update && (cd "$state" && apt_private source --download-only micropython)
        then
            [ -f "$state/${tarball##*/}" ] && return 0
        fi
    done
    echo "none of these mirrors has micropython $VERSION in $SUITE: ${mirrors:-(no mirror)}"
    return 1
}

unpack() {
    mkdir -p "$own.part" &&
        tar -xJf "$tarball" -C "$own.part" --strip-components=1 &&
        mkdir -p "$own.part/lib/micropython-lib" &&
        # Debian's package leaves the library out; the build only looks whether this file is there.
        echo "Not part of this source." >"$own.part/lib/micropython-lib/README.md" &&
        mv "$own.part" "$own"
}

if [ "$dir" != "$own" ]; then
    [ -f "$dir/py/mpconfig.h" ] || fail "MICROPYTHON_DIR=$dir is no MicroPython source." \
        "Name the folder that holds py/ and ports/, or leave it out."
elif [ ! -d "$own" ]; then
    mkdir -p "$CACHE"
    if [ ! -f "$tarball" ]; then
        echo "setup: fetching the MicroPython $VERSION source" >&2
        fetched=$(mktemp -d "$CACHE/fetch.XXXXXX")
        trap 'rm -rf "$fetched"' EXIT
        logged micropython "Fetching $tarball" "$by_hand" download "$fetched"
        mv "$fetched/${tarball##*/}" "$tarball"
    fi
    if ! echo "$SHA256  $tarball" | sha256sum --check --status; then
        rm -f "$tarball"
        fail "$tarball did not have the SHA-256 $SHA256 and was removed." \
            "Run make setup again. $by_hand"
    fi
    rm -rf "$own.part"
    logged unpack "Unpacking $tarball" "Is the disk full? Then make setup again." unpack
fi

if [ ! -x "$dir/mpy-cross/build/mpy-cross" ]; then
    echo "setup: building mpy-cross" >&2
    logged mpy-cross "Building mpy-cross" "See the compiler's message above." \
        make -C "$dir/mpy-cross" -j"$(nproc)" USER_C_MODULES=
fi
