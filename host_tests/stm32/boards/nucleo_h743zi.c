// SPDX-License-Identifier: MIT
//
// NUCLEO_H743ZI as boards/NUCLEO_H743ZI/README.md wires it. HSE is the debugger's 8 MHz, the
// crystal of LSE (32.768 kHz) is fitted; the button ties PC13 to 3.3 V, a resistor to ground.

#include "boards.h"
#include "can_bus.h"
#include "fram.h"
#include "parts.h"
#include "rcc_h7.h"
#include "sd_card.h"

static void build(void) {
    rcc_h7_oscillators(8000000, 32768);
    can_host_add();
    fram_add("PB8", "PB9");
    sd_card_slot("PG2");
    wire_pull(pin_wire("PC13"), PULL_DOWN);
}

const Board board_nucleo_h743zi = {"NUCLEO_H743ZI", &part_h743, build};
