#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints a path of a folder that make takes: its own, or a link's where its own has a blank or
# another character that make or a shell reads as one of its signs. Usage: place.sh FOLDER
set -eu

# odd PATH: whether make would not take it.
odd() {
    case $1 in
    *[[:space:]]* | *[\"\#\$%\&\'\(\)*,:\;\<\>?!\[\\\]^\`{\|}]*) return 0 ;;
    *) return 1 ;;
    esac
}

folder=$1
case $folder in
. | */.) folder=$(cd -P "$folder" && pwd -P) ;;
esac
# Where there is no such folder, whoever reads it says so.
if ! odd "$folder" || [ ! -d "$folder" ]; then
    printf '%s\n' "$folder"
    exit 0
fi

folder=$(cd -P "$folder" && pwd -P)
links=${XDG_CACHE_HOME:-${HOME:-}/.cache}/hsx-provision
link=$links/$(printf %s "$folder" | sha256sum | cut -c 1-16)
linked() {
    [ "$(readlink "$link")" = "$folder" ] || ln -sfn "$folder" "$link"
}
if odd "$links" || ! mkdir -p "$links" || ! linked; then
    echo "setup: make takes no blank in $folder, and there can be no link to it in $links:" \
        "move it, or set XDG_CACHE_HOME to a folder whose path has no blank." >&2
    exit 1
fi
printf '%s\n' "$link"
