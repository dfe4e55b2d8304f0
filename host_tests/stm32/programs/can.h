// SPDX-License-Identifier: MIT
//
// What programs for bxCAN share: CAN1 at 500 kbit/s.
#pragma once

#include "f4.h"

enum {
    CAN = 0x40006400, MCR = CAN, MSR = CAN + 4, TSR = CAN + 8, RF0R = CAN + 0xc,
    RF1R = CAN + 0x10, IER = CAN + 0x14, ESR = CAN + 0x18, BTR = CAN + 0x1c,
    TI0R = CAN + 0x180, RI0R = CAN + 0x1b0, FMR = CAN + 0x200, FM1R = CAN + 0x204,
    FS1R = CAN + 0x20c, FFA1R = CAN + 0x214, FA1R = CAN + 0x21c, F0R1 = CAN + 0x240,
};
enum {
    INRQ = 1 << 0, SLEEP = 1 << 1, TXFP = 1 << 2, RFLM = 1 << 3, NART = 1 << 4, ABOM = 1 << 6,
};
enum { INAK = 1 << 0, SLAK = 1 << 1, ERRI = 1 << 2 };
enum { FULL = 1 << 3, FOVR = 1 << 4, RFOM = 1 << 5 };
enum { RQCP = 1, TXOK = 2, ALST = 4, TERR = 8, ABRQ = 1 << 7, TME = 7 << 26 };
enum { EWGF = 1, EPVF = 2, BOFF = 4 };
enum { CAN1_BIT = 1 << 25, TX_IRQ = 19, RX0_IRQ = 20, RX1_IRQ = 21, SCE_IRQ = 22 };

#define NORMAL 0u
#define ISOLATED (3u << 30)  // silent, and looped back
#define BIT_CYCLES 32

static inline void initialize(uint32_t mode, uint32_t options) {
    REG(AHB1ENR) |= 2;
    REG(APB1ENR) |= CAN1_BIT;
    REG(APB1RSTR) |= CAN1_BIT;
    REG(APB1RSTR) &= ~CAN1_BIT;
    pin_function(GPIOB, 8, 9, false);
    pin_function(GPIOB, 9, 9, false);
    REG(MCR) &= ~SLEEP;
    REG(MCR) |= INRQ;
    wait_until(MSR, INAK | SLAK, INAK);
    REG(MCR) |= options;
    REG(BTR) = mode | 2 << 20 | 11 << 16 | 1;  // 16 MHz / 2 / (1 + 12 + 3)
}

static inline void go(void) {
    REG(MCR) &= ~INRQ;
    wait_until(MSR, INAK | SLAK, 0);
}

// A filter bank that is active: `wide` and `list` as FS1R and FM1R, for FIFO `fifo`.
static inline void filter(unsigned bank, bool wide, bool list, unsigned fifo, uint32_t one,
                          uint32_t other) {
    uint32_t bit = 1u << bank;
    REG(FMR) |= 1;
    change(FA1R, bit, 0);
    change(FS1R, bit, wide ? bit : 0);
    change(FM1R, bit, list ? bit : 0);
    change(FFA1R, bit, fifo ? bit : 0);
    REG(F0R1 + 8 * bank) = one;
    REG(F0R1 + 8 * bank + 4) = other;
    change(FA1R, 0, bit);
    REG(FMR) &= ~1u;
}

// Asks for a frame; `id` as in TIR, without TXRQ.
static inline void request(unsigned mailbox, uint32_t id, unsigned length, uint32_t low) {
    uint32_t box = TI0R + 16 * mailbox;
    REG(box + 4) = length;
    REG(box + 8) = low;
    REG(box + 12) = 0;
    REG(box) = id | 1;
}

static inline uint32_t standard(uint32_t id) {
    return id << 21;
}

static inline uint32_t extended(uint32_t id) {
    return id << 3 | 4;
}
