// SPDX-License-Identifier: MIT
//
// What programs for the F4 share: clocks and pins. After a reset all buses have 16 MHz.
#pragma once

#include "bare.h"

enum {
    RCC = 0x40023800, AHB1RSTR = RCC + 0x10, APB1RSTR = RCC + 0x20, APB2RSTR = RCC + 0x24,
    AHB1ENR = RCC + 0x30, APB1ENR = RCC + 0x40, APB2ENR = RCC + 0x44,
};
enum { GPIOA = 0x40020000, GPIOB = GPIOA + 0x400, GPIOC = GPIOB + 0x400, GPIOD = GPIOC + 0x400 };
enum { MODER = 0x00, OTYPER = 0x04, PUPDR = 0x0c, IDR = 0x10, BSRR = 0x18, AFR = 0x20 };
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

static inline void pin_open_drain(uint32_t port, unsigned pin) {
    REG(port + BSRR) = 1u << pin;
    change(port + OTYPER, 0, 1u << pin);
    change(port + MODER, 3u << 2 * pin, 1u << 2 * pin);
}

static inline bool pin_level(uint32_t port, unsigned pin) {
    return REG(port + IDR) >> pin & 1;
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
