#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes a board's firmware by the first way that finds the board: DFU (dfu-util), then an ST-Link
# (st-flash, else OpenOCD). Usage: flash.sh BOARD-FOLDER BUILD-FOLDER [dfu|stlink|openocd]
set -eu
folder=$1
build=$2
via=${3:-}
board=$(basename "$folder")

# fail CODE WHAT WHAT-TO-DO...
fail() {
    code=$1
    shift
    echo "flash: $board: $1" >&2
    shift
    for line in "$@"; do echo "  $line" >&2; done
    exit "$code"
}

have() { command -v "$1" >/dev/null 2>&1; }
dfu_found() { have dfu-util && dfu-util -l 2>/dev/null | grep -q '0483:df11'; }
stlink_found() { have st-info && st-info --probe 2>/dev/null | grep -q 'Found [1-9]'; }

# With `shutdown` alone OpenOCD ends well only if it could open the probe and the part.
openocd_run() { openocd -f interface/stlink.cfg -f "target/$target.cfg" -c "$1"; }
openocd_found() { have openocd && openocd_run "init; shutdown" >/dev/null 2>&1; }

[ -f "$folder/board.json" ] || fail 2 "there is no board of this name." \
    "Boards are the folders of boards/ that have a board.json."
case $(sed -n 's/.*"mcu": *"\(STM32..\).*/\1/p' "$folder/board.json") in
STM32F4) target=stm32f4x ;;
STM32F7) target=stm32f7x ;;
STM32G4) target=stm32g4x ;;
STM32H7) target=stm32h7x ;;
*) fail 2 "OpenOCD's name for the mcu of board.json is not known." "Add it to tools/flash/flash.sh." ;;
esac
[ -f "$build/firmware.hex" ] || fail 1 "there is no $build/firmware.hex." \
    "Build it first: make firmware BOARD=$board MICROPYTHON_DIR=/path/to/micropython"

if [ -z "$via" ]; then
    if dfu_found; then
        via=dfu
    elif stlink_found; then
        via=stlink
    elif openocd_found; then
        via=openocd
    else
        set --
        have dfu-util || set -- "$@" "dfu-util is not installed: it writes through the USB plug."
        have st-info || have openocd ||
            set -- "$@" "Neither stlink-tools nor openocd is installed: they write by an ST-Link."
        fail 3 "no board was found, neither by DFU nor at an ST-Link." "$@" \
            "DFU: connect BOOT0 to 3V3, reset, and the part answers as USB 0483:df11." \
            "ST-Link: connect its USB plug. Linux: does your user have the udev rules of the tool?"
    fi
fi

echo "flash: $board by $via" >&2
case $via in
dfu)
    have dfu-util || fail 1 "dfu-util is not installed." "On Debian: apt-get install dfu-util"
    dfu_found || fail 3 "no part in DFU mode (USB 0483:df11)." "Connect BOOT0 to 3V3 and reset."
    dfu-util -a 0 -d 0483:df11 -D "$build/firmware.dfu" -s :leave ||
        fail 1 "dfu-util failed, see above." "Take the plug out, put the part into DFU mode again."
    ;;
stlink)
    have st-flash || fail 1 "st-flash is not installed." "On Debian: apt-get install stlink-tools"
    stlink_found || fail 3 "no ST-Link was found." "Connect its USB plug."
    st-flash --reset --format ihex write "$build/firmware.hex" ||
        fail 1 "st-flash failed, see above." "Hold the reset button while it starts, or use VIA=openocd."
    ;;
openocd)
    have openocd || fail 1 "openocd is not installed." "On Debian: apt-get install openocd"
    openocd_found || fail 3 "OpenOCD finds no ST-Link or no $target." \
        "Connect its USB plug. Is this the board that BOARD names?"
    openocd_run "program $build/firmware.hex verify reset exit" ||
        fail 1 "OpenOCD failed, see above." "Hold the reset button while it starts."
    ;;
*) fail 2 "VIA=$via: not a way to write a board." "Ways: dfu, stlink, openocd." ;;
esac
