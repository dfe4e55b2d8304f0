// SPDX-License-Identifier: MIT
//
// What programs for the G474 share: clocks and pins. After a reset all buses have 16 MHz.
#pragma once

#include "bare.h"

enum {
    RCC = 0x40021000, RCC_CR = RCC, RCC_CFGR = RCC + 0x08, PLLCFGR = RCC + 0x0c,
    APB1RSTR1 = RCC + 0x38, AHB2ENR = RCC + 0x4c, APB1ENR1 = RCC + 0x58, APB1ENR2 = RCC + 0x5c,
    APB2ENR = RCC + 0x60, CCIPR = RCC + 0x88, BDCR = RCC + 0x90, RCC_CSR = RCC + 0x94,
};
enum { HSEON = 1 << 16, HSERDY = 1 << 17, PLLON = 1 << 24, PLLRDY = 1 << 25 };
enum { PWR_CR1 = 0x40007000, PWR_CR5 = 0x40007080, PWR_CLOCK = 1 << 28, DBP = 1 << 8 };
enum { FLASH_ACR = 0x40022000 };
enum { GPIOA = 0x48000000, GPIOB = GPIOA + 0x400, GPIOC = GPIOB + 0x400 };
enum { MODER = 0x00, OTYPER = 0x04, IDR = 0x10, BSRR = 0x18, AFR = 0x20 };
enum { SYST_CTRL = 0xe000e010, SYST_LOAD = 0xe000e014, SYST_VAL = 0xe000e018 };

static inline void change(uint32_t address, uint32_t clear, uint32_t set) {
    REG(address) = (REG(address) & ~clear) | set;
}

static inline void pin_function(uint32_t port, unsigned pin, unsigned number, bool open_drain) {
    unsigned nibble = pin % 8 * 4;
    change(port + AFR + pin / 8 * 4, 15u << nibble, number << nibble);
    change(port + OTYPER, 1u << pin, (uint32_t)open_drain << pin);
    change(port + MODER, 3u << 2 * pin, 2u << 2 * pin);
}

// Clock periods of the core since `start`, which is what it gives for 0; at most a second's.
static inline uint32_t cycles(uint32_t start) {
    REG(SYST_LOAD) = 0xffffff;
    REG(SYST_CTRL) = 5;
    return (0xffffff - REG(SYST_VAL) - start) & 0xffffff;
}

static inline void wait_cycles(uint32_t count) {
    uint32_t start = cycles(0);
    while (cycles(start) < count) {
    }
}
