// SPDX-License-Identifier: MIT
//
// STM32F405RG: RM0090, and the memory map and alternate functions of its data sheet.

#include "flash_f4.h"
#include "gpio.h"
#include "pwr_f4.h"
#include "rcc_f4.h"
#include "parts.h"

#define PORT(n) {.base = 0x40020000 + 0x400 * (n), .gate = AHB1(n)}

static const Port ports[] = {
    {0x40020000, AHB1(0), 0xa8000000, 0x0c000000, 0x64000000, false},
    {0x40020400, AHB1(1), 0x00000280, 0x000000c0, 0x00000100, false},
    PORT(2), PORT(3), PORT(4), PORT(5), PORT(6), PORT(7), PORT(8),
};

static void build(void) {
    static const RccF4 rcc = {
        .enable = {0x607411ff, 0xc0, 1, 0x36fec9ff, 0x75f33},
        .reset = {0x206011ff, 0xc0, 1, 0x36fec9ff, 0x74933},
        .most_hz = 168000000,
    };
    memory_ram(0x20000000, 0x20000);
    memory_ram(0x10000000, 0x10000);
    flash_f4_add(0x100000, 3);
    rcc_f4_add(&rcc);
    pwr_f4_add(false);
    gpio_add(ports, sizeof ports / sizeof *ports);
}

const Part part_f405 = {
    .name = "STM32F405", .core = CORTEX_M4, .irqs = 82, .reset_hz = 16000000,
    .boot = 0, .build = build,
};
