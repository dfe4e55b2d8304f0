// SPDX-License-Identifier: MIT
//
// The pyboard v1.1 with an STM32F405.

#include "parts.h"
#include "rcc_f4.h"
#include "boards.h"
#include "can_bus.h"
#include "fram.h"
#include "sd_card.h"

static void build(void) {
    rcc_f4_oscillators(12000000, false, 32768);
    can_host_add();
    fram_add("PB6", "PB7");
    sd_card_slot("PA8");
}

const Board board_pybv11 = {"PYBV11", &part_f405, build};
