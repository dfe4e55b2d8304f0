#!/bin/sh
# SPDX-License-Identifier: MIT
# Debian packages that the builds, the emulator and the tests need. Installs what is missing, as
# root or through sudo; without either, says which packages to install.
set -eu
cd "$(dirname "$0")/../.."
. tools/setup/say.sh

# libc6-dev: gcc only recommends it. clang and Debian 12's libclang-rt-14-dev: a second opinion on
# the C core, and its sanitizers. xz-utils: the MicroPython source is a .tar.xz. lrzsz: what the UART
# link is compared with.
WANTED="
    gcc libc6-dev make git ca-certificates xz-utils
    clang libclang-rt-14-dev
    gcc-arm-none-eabi libnewlib-arm-none-eabi
    qemu-system-arm mtools dosfstools lrzsz
"

command -v dpkg-query >/dev/null 2>&1 ||
    fail "This is no Debian system, so packages cannot be checked." \
        "On Debian they are:$(echo " $WANTED" | tr -s ' \n' ' ')python3-venv python3-dev."

# shellcheck disable=SC2086  # a list of words
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $WANTED 2>/dev/null |
    sed -n 's/^installed //p' || true)
missing=
for package in $WANTED; do
    echo "$have" | grep -qx "$package" || missing="$missing $package"
done
# Another Python than Debian's may do, so this one is asked for, not looked up.
[ -n "$(sh tools/setup/find_python.sh)" ] || missing="$missing python3 python3-venv python3-dev"
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=env
elif command -v sudo >/dev/null 2>&1; then
    # Without a terminal nobody can type a password.
    if [ -t 0 ]; then as_root=sudo; else as_root="sudo -n"; fi
    $as_root true 2>/dev/null ||
        fail "Debian packages are missing, and sudo refuses." \
            "As root: apt-get update && $install"
else
    fail "Debian packages are missing, and this user is neither root nor has sudo." \
        "As root: apt-get update && $install"
fi

echo "setup: installing Debian packages:$missing" >&2
# A third party's repository may be broken without harm: what counts is whether the install works.
mkdir -p build/setup
$as_root apt-get update >build/setup/apt-update.log 2>&1 ||
    echo "setup: apt-get update reported errors, see build/setup/apt-update.log" >&2
# shellcheck disable=SC2086  # as_root and install are lists of words
logged apt "Installing Debian packages" "Try it by hand, as root: apt-get update && $install" \
    $as_root env DEBIAN_FRONTEND=noninteractive $install -o DPkg::Lock::Timeout=300
[ -n "$(sh tools/setup/find_python.sh)" ] ||
    fail "Python 3.11 or newer with venv, pip and headers was not found." \
        "Install one and name it: make setup PYTHON=/path/to/python3"
