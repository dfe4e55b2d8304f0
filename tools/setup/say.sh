# SPDX-License-Identifier: MIT
# How the setup scripts speak; sourced by them at the project's root. One line when work begins,
# the tail of the log and the next step when it fails, nothing else.

# fail WHAT NEXT-STEP: says both and ends the setup.
fail() {
    printf 'setup: %s\nsetup: %s\n' "$1" "$2" >&2
    exit 1
}

# logged NAME WHAT NEXT-STEP COMMAND...: runs COMMAND with its output in build/setup/NAME.log.
logged() {
    log=build/setup/$1.log
    what=$2
    next=$3
    shift 3
    mkdir -p build/setup
    if ! "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "$what failed; all of its output is in $log." "$next"
    fi
}
