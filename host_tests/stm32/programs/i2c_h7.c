// SPDX-License-Identifier: MIT
//
// I2C1 of the H743 and the FRAM at it: a read that loads NBYTES anew at each byte, as MicroPython
// does, and one kernel clock after the other.

#include "h7.h"

enum {
    I2C = 0x40005400, CR1 = I2C, CR2 = I2C + 0x04, TIMINGR = I2C + 0x10, ISR = I2C + 0x18,
    ICR = I2C + 0x1c, RXDR = I2C + 0x24, TXDR = I2C + 0x28,
};
enum { PE = 1, RD_WRN = 1 << 10, START = 1 << 13, RELOAD = 1 << 24, AUTOEND = 1 << 25 };
enum { TXIS = 2, RXNE = 4, STOPF = 32, TC = 64, TCR = 128 };
enum { FRAM = 0x50 << 1, I2C1_CLOCK = 1 << 21, BYTES = 4, FROM_HSI = 2 << 12, FROM_CSI = 3 << 12 };
enum { CSION = 1 << 7, CSIRDY = 1 << 8 };

static void put(uint32_t byte) {
    wait_until(ISR, TXIS, TXIS);
    REG(TXDR) = byte;
}

static void transfer(void) {
    static const uint8_t bytes[BYTES] = {0x11, 0x80, 0x00, 0xff};
    REG(CR2) = FRAM | (2 + BYTES) << 16 | AUTOEND | START;
    put(0x12);
    put(0x34);
    for (unsigned i = 0; i < BYTES; i++) {
        put(bytes[i]);
    }
    wait_until(ISR, STOPF, STOPF);
    REG(ICR) = STOPF;
    wait_cycles(64);  // between STOP and START
    REG(CR2) = FRAM | 2 << 16 | START;
    put(0x12);
    put(0x34);
    wait_until(ISR, TC, TC);
    // Without START a byte more does not go on with what is complete.
    REG(CR2) = FRAM | RD_WRN | RELOAD | 1 << 16;
    wait_cycles(6400);
    EQUAL(REG(ISR) & TC, TC);
    REG(CR2) |= START;
    for (unsigned i = 0; i < BYTES; i++) {
        wait_until(ISR, RXNE, RXNE);
        EQUAL(REG(RXDR), bytes[i]);
        if (i + 1 < BYTES) {
            REG(CR2) = FRAM | RD_WRN | 1 << 16 | (i + 2 < BYTES ? RELOAD : AUTOEND);
        }
    }
    wait_until(ISR, STOPF, STOPF);
    REG(ICR) = STOPF;
}

void test(void) {
    REG(AHB4ENR) |= 2;
    REG(APB1LENR) |= I2C1_CLOCK;
    wait_cycles(20000);  // the FRAM needs 250 us of power
    pin_function(GPIOB, 8, 4, true);
    pin_function(GPIOB, 9, 4, true);
    // Of 64 MHz: 32 periods low, 32 high, and what it takes to see an edge
    REG(TIMINGR) = 3u << 28 | 3 << 20 | 7 << 8 | 7;
    REG(CR1) = PE;
    transfer();
    say("pclk1\n");
    REG(CR1) = 0;
    REG(RCC_CR) |= CSION;
    wait_until(RCC_CR, CSIRDY, CSIRDY);
    REG(D2CCIP2R) = FROM_CSI;  // 4 MHz
    REG(TIMINGR) = 1 << 20 | 2 << 8 | 4;
    REG(CR1) = PE;
    transfer();
    say("csi\n");
}
