// SPDX-License-Identifier: MIT
//
// What programs for FDCAN share: FDCAN1 of the G474 at 500 kbit/s.
#pragma once

#include "g4.h"

enum {
    CAN = 0x40006400, TEST = CAN + 0x10, CCCR = CAN + 0x18, NBTP = CAN + 0x1c, TSCC = CAN + 0x20,
    TSCV = CAN + 0x24, ECR = CAN + 0x40, PSR = CAN + 0x44, IR = CAN + 0x50, IE = CAN + 0x54,
    ILS = CAN + 0x58, ILE = CAN + 0x5c, RXGFC = CAN + 0x80, XIDAM = CAN + 0x84, HPMS = CAN + 0x88,
    RXF0S = CAN + 0x90, RXF0A = CAN + 0x94, RXF1S = CAN + 0x98, RXF1A = CAN + 0x9c,
    TXBC = CAN + 0xc0, TXFQS = CAN + 0xc4, TXBRP = CAN + 0xc8, TXBAR = CAN + 0xcc,
    TXBCR = CAN + 0xd0, TXBTO = CAN + 0xd4, TXBCF = CAN + 0xd8, TXBTIE = CAN + 0xdc,
    TXBCIE = CAN + 0xe0, TXEFS = CAN + 0xe4, TXEFA = CAN + 0xe8,
};
enum {
    RAM = 0x4000a400, STANDARD = RAM, EXTENDED = RAM + 0x70, FIFO0 = RAM + 0xb0,
    FIFO1 = RAM + 0x188, EVENTS = RAM + 0x260, BUFFERS = RAM + 0x278, ELEMENT = 72,
};
enum {
    INIT = 1, CCE = 2, CSA = 8, CSR = 16, MON = 32, DAR = 64, TESTING = 128, FDOE = 256, LBCK = 16,
};
enum { RF0N = 1, RF0F = 2, RF0L = 4, RF1N = 8, TC = 1 << 7, TFE = 1 << 9, BO_CHANGED = 1 << 19 };
enum { EP = 1 << 5, EW = 1 << 6, BO = 1 << 7 };
enum { IRQ0 = 21, IRQ1 = 22, CAN_CLOCK = 1 << 25 };

#define BIT_CYCLES 32
#define ISOLATED (TESTING | MON)
#define REJECT_OTHERS 0x3cu

// Into configuration mode; `mode` is ISOLATED, or 0 for the bus.
static inline void configure(uint32_t mode, uint32_t options) {
    REG(RCC_CR) |= HSEON;
    wait_until(RCC_CR, HSERDY, HSERDY);
    REG(AHB2ENR) |= 1;
    REG(APB1ENR1) |= CAN_CLOCK;
    REG(APB1RSTR1) |= CAN_CLOCK;
    REG(APB1RSTR1) &= ~CAN_CLOCK;
    pin_function(GPIOA, 11, 9, false);
    pin_function(GPIOA, 12, 9, false);
    REG(CCCR) |= INIT;
    wait_until(CCCR, INIT, INIT);
    REG(CCCR) |= CCE;
    REG(CCCR) |= mode | options;
    if (mode & TESTING) {
        REG(TEST) |= LBCK;
    }
    REG(NBTP) = 1 << 25 | 35 << 8 | 10;  // 24 MHz / (1 + 36 + 11)
    REG(RXGFC) = REJECT_OTHERS;
}

static inline void go(void) {
    REG(CCCR) &= ~INIT;
    wait_until(CCCR, INIT, 0);
}

// Puts a frame into the next element of the Tx FIFO and asks for it; `id` as in its first word.
static inline unsigned send_one(uint32_t id, uint32_t second, uint32_t low, uint32_t high) {
    unsigned put = REG(TXFQS) >> 16 & 3;
    uint32_t at = BUFFERS + ELEMENT * put;
    REG(at) = id;
    REG(at + 4) = second;
    REG(at + 8) = low;
    REG(at + 12) = high;
    REG(TXBAR) = 1u << put;
    return put;
}

static inline uint32_t standard(uint32_t id) {
    return id << 18;
}

static inline uint32_t extended(uint32_t id) {
    return id | 1u << 30;
}

static inline uint32_t length(uint32_t dlc) {
    return dlc << 16;
}
