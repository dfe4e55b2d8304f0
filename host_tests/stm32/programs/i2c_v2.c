// SPDX-License-Identifier: MIT
//
// I2C3 of the G474 and the FRAM at it: flags of transfers, and their times. What the part refuses:
// CASE > 0.

#include "g4.h"

#ifndef CASE
#define CASE 0
#endif

enum {
    I2C = 0x40007800, CR1 = I2C, CR2 = I2C + 0x04, TIMINGR = I2C + 0x10, ISR = I2C + 0x18,
    ICR = I2C + 0x1c, RXDR = I2C + 0x24, TXDR = I2C + 0x28,
};
enum { PE = 1, RD_WRN = 1 << 10, START = 1 << 13, RELOAD = 1 << 24, AUTOEND = 1 << 25 };
enum {
    TXE = 1, TXIS = 2, RXNE = 4, NACKF = 16, STOPF = 32, TC = 64, TCR = 128, BUSY = 1 << 15,
};
enum { FRAM = 0x50 << 1, NOBODY = 0x48 << 1, I2C3_CLOCK = 1 << 30 };

static void initialize(bool open_drain) {
    wait_cycles(5000);  // the FRAM needs 250 us of power
    REG(AHB2ENR) |= 5;
    REG(APB1ENR1) |= I2C3_CLOCK;
    pin_function(GPIOA, 8, 2, open_drain);
    pin_function(GPIOC, 9, 8, open_drain);
    // At 16 MHz: 1.25 us low, 1 us high
    REG(TIMINGR) = 3 << 20 | 15 << 8 | 19;
    REG(CR1) = PE;
    EQUAL(REG(ISR), TXE);
}

static void stopped(void) {
    wait_until(ISR, STOPF, STOPF);
    EQUAL(REG(ISR) & BUSY, 0);
    EQUAL(REG(CR2) & START, 0);
    REG(ICR) = STOPF;
}

static void put(uint32_t byte) {
    wait_until(ISR, TXIS, TXIS);
    REG(TXDR) = byte;
}

static uint32_t get(void) {
    wait_until(ISR, RXNE, RXNE);
    return REG(RXDR);
}

static void whole_transfers(void) {
    uint32_t start = cycles(0);
    REG(CR2) = FRAM | 4 << 16 | AUTOEND | START;
    put(0x12);
    put(0x34);
    put(0xa5);
    put(0x5a);
    stopped();
    // 45 bits of 2.25 us and what it takes to see the edges, START and STOP
    uint32_t took = cycles(start);
    CHECK(took > 45 * 36 && took < 45 * 60);
    REG(CR2) = FRAM | 2 << 16 | START;
    put(0x12);
    put(0x34);
    wait_until(ISR, TC, TC);
    EQUAL(REG(ISR) & BUSY, BUSY);
    REG(CR2) = FRAM | RD_WRN | 2 << 16 | AUTOEND | START;
    EQUAL(REG(ISR) & TC, 0);
    EQUAL(get(), 0xa5);
    EQUAL(get(), 0x5a);
    stopped();
}

// The clock stands still while nobody takes the byte that has come.
static void slow_reader(void) {
    REG(CR2) = FRAM | 2 << 16 | START;
    put(0x12);
    put(0x34);
    wait_until(ISR, TC, TC);
    REG(CR2) = FRAM | RD_WRN | 2 << 16 | AUTOEND | START;
    wait_cycles(16000);
    EQUAL(REG(ISR) & (RXNE | STOPF), RXNE);
    EQUAL(REG(RXDR), 0xa5);
    EQUAL(get(), 0x5a);
    stopped();
}

static void byte_by_byte(void) {
    static const uint8_t bytes[] = {0x00, 0x10, 0x77};
    REG(CR2) = FRAM | 1 << 16 | RELOAD | START;
    for (unsigned i = 0; i < sizeof bytes; i++) {
        put(bytes[i]);
        if (i + 1 < sizeof bytes) {
            wait_until(ISR, TCR, TCR);
            REG(CR2) = FRAM | 1 << 16 | (i + 2 < sizeof bytes ? RELOAD : AUTOEND);
            EQUAL(REG(ISR) & TCR, 0);
        }
    }
    stopped();
}

static void nobody(void) {
    REG(CR2) = NOBODY | AUTOEND | START;
    wait_until(ISR, STOPF, STOPF);
    EQUAL(REG(ISR) & NACKF, NACKF);
    REG(ICR) = NACKF;
    stopped();
    // Without AUTOEND the end waits for software.
    REG(CR2) = FRAM | START;
    wait_until(ISR, TC, TC);
    REG(CR2) |= AUTOEND;
    stopped();
}

static void forbidden(void) {
    initialize(CASE != 4);
    switch (CASE) {
        case 1:
            REG(TIMINGR) = 0;
            break;
        case 2:
            REG(TXDR) = 1;
            REG(TXDR) = 2;
            break;
        case 3:
            REG(CR1) = 0;
            REG(CR2) = FRAM | START;
            break;
        case 4:
            REG(CR2) = FRAM | START;
            wait_cycles(1000);
            break;
        case 5:
            REG(CR2) = 1 << 11;
            break;
        case 6:
            REG(CR2) = FRAM | 4 << 16 | START;
            wait_cycles(100);
            REG(CR2) = NOBODY | START;
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    initialize(true);
    whole_transfers();
    slow_reader();
    byte_by_byte();
    nobody();
}
