// SPDX-License-Identifier: MIT
//
// What programs for the H743 share: clocks and pins. After a reset all buses have 64 MHz.
#pragma once

#include "bare.h"

enum {
    RCC = 0x58024400, RCC_CR = RCC, RCC_CFGR = RCC + 0x10, D1CFGR = RCC + 0x18,
    D2CFGR = RCC + 0x1c, D3CFGR = RCC + 0x20, PLLCKSELR = RCC + 0x28, PLLCFGR = RCC + 0x2c,
    PLL1DIVR = RCC + 0x30, D2CCIP2R = RCC + 0x54, BDCR = RCC + 0x70, RSR = RCC + 0xd0,
    AHB3ENR = RCC + 0xd4, AHB4ENR = RCC + 0xe0, APB1LENR = RCC + 0xe8, APB1HENR = RCC + 0xec,
    APB2ENR = RCC + 0xf0, APB4ENR = RCC + 0xf4,
};
enum { HSEON = 1 << 16, HSERDY = 1 << 17, PLL1ON = 1 << 24, PLL1RDY = 1 << 25 };
enum {
    PWR_CR1 = 0x58024800, PWR_CSR1 = PWR_CR1 + 0x04, PWR_CR2 = PWR_CR1 + 0x08,
    PWR_CR3 = PWR_CR1 + 0x0c, PWR_D3CR = PWR_CR1 + 0x18, DBP = 1 << 8, LDOEN = 2,
    ACTVOSRDY = 1 << 13, VOSRDY = 1 << 13,
};
enum { SYSCFG_CLOCK = 2, SYSCFG_PWRCR = 0x5800042c };
enum { FLASH_ACR = 0x52002000 };
enum { GPIOA = 0x58020000, GPIOB = GPIOA + 0x400, GPIOC = GPIOB + 0x400, GPIOD = GPIOC + 0x400 };
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

// Clock periods of the core since `start`, which is what it gives for 0; at most 16 million.
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
