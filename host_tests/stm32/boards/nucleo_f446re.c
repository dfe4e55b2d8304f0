// SPDX-License-Identifier: MIT
//
// The NUCLEO-F446RE, with what boards/NUCLEO_F446RE wires to it. HSE is the debugger's 8 MHz.

#include "boards.h"
#include "can_bus.h"
#include "fram.h"
#include "parts.h"
#include "rcc_f4.h"
#include "sd_card.h"

static void build(void) {
    rcc_f4_oscillators(8000000, true, 32768);
    wire_pull(pin_wire("PC13"), PULL_UP);  // the button B1 pulls it down
    can_host_add();
    fram_add("PB10", "PB3");
    sd_card_slot("PC4");
}

const Board board_nucleo_f446re = {"NUCLEO_F446RE", &part_f446, build};
