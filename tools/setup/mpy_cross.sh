#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the package as the firmware's build does: MicroPython's compiler refuses syntax that the
# host takes. Usage: mpy_cross.sh MPY_CROSS OUTPUT-FOLDER
set -eu
cd "$(dirname "$0")/../.."
find firmware/hsx boards -name '*.py' ! -name manifest.py | sort | {
    failed=0
    while read -r file; do
        mkdir -p "$2/$(dirname "$file")"
        "$1" -s "$file" -o "$2/${file%.py}.mpy" "$file" || failed=1
    done
    exit $failed
}
