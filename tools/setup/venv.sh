#!/bin/sh
# SPDX-License-Identifier: MIT
# .venv with everything of requirements.txt, by hash, and this project in it: hsxctl, hsx and the
# C core, used in place. Does again only what has changed; the stamps in .venv say from what.
set -eu
cd "$(dirname "$0")/../.."
. tools/setup/say.sh

made=.venv/.setup-place
packages=.venv/.setup-packages
project=.venv/.setup-project

# An environment knows its own path: one that was moved or copied here runs another's programs.
if ! .venv/bin/python -c '' 2>/dev/null || [ "$(cat $made 2>/dev/null || pwd)" != "$(pwd)" ]; then
    python=$(sh tools/setup/find_python.sh)
    [ -n "$python" ] || fail "No Python 3.11 or newer with venv, pip and headers was found." \
        "Name one: make setup PYTHON=/path/to/python3"
    echo "setup: making .venv with $python" >&2
    logged venv "Making .venv" "Remove .venv and try again, or name another PYTHON=." \
        "$python" -m venv --clear .venv
fi
pwd >$made

now=$(sha256sum tools/setup/requirements.txt)
if [ "$(cat $packages 2>/dev/null)" != "$now" ]; then
    echo "setup: installing Python packages into .venv" >&2
    logged pip "Installing Python packages" \
        "pip uses this machine's own index settings: check them, or the network; then make setup." \
        .venv/bin/python -m pip --disable-pip-version-check install \
        --require-hashes --no-deps -r tools/setup/requirements.txt
    .venv/bin/python tools/setup/typings.py .venv/typings
    echo "$now" >$packages
fi

sh tools/setup/monocypher.sh

now=$(
    {
        echo pyproject.toml
        echo setup.py
        find firmware/native -name '*.[ch]' ! -name '_core.c'
        echo firmware/native/bindings/cffi_build.py
    } | sort | xargs sha256sum
)
built=$(find firmware/native/bindings -name '_core*.so')
if [ -z "$built" ] || [ "$(cat $project 2>/dev/null)" != "$now" ]; then
    echo "setup: building the C core and hsxctl" >&2
    # It would be kept where only a header has changed.
    rm -f firmware/native/bindings/_core*.so
    logged project "Building the C core" "Mend what the compiler names above, then make setup." \
        .venv/bin/python -m pip --disable-pip-version-check install \
        --no-index --no-build-isolation --no-deps -e .
    echo "$now" >$project
fi
