// SPDX-License-Identifier: MIT
//
// NUCLEO_G474RE as boards/NUCLEO_G474RE/README.md wires it. Its crystals X3 (24 MHz, HSE) and X2
// (32.768 kHz, LSE) are fitted; the button ties PC13 to 3.3 V, a resistor to ground.

#include "boards.h"
#include "can_bus.h"
#include "fram.h"
#include "parts.h"
#include "rcc_g4.h"

static void build(void) {
    rcc_g4_oscillators(24000000, 32768);
    can_host_add();
    fram_add("PA8", "PC9");
    wire_pull(pin_wire("PC13"), PULL_DOWN);
}

const Board board_nucleo_g474re = {"NUCLEO_G474RE", &part_g474, build};
