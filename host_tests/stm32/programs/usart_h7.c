// SPDX-License-Identifier: MIT
//
// USART2 of the H743 with a host at its line: FIFOs of 16 bytes, and a kernel clock that is
// selected.

#include "h7.h"

enum {
    USART = 0x40004400, CR1 = USART, BRR = USART + 0x0c, ISR = USART + 0x1c, RDR = USART + 0x24,
    TDR = USART + 0x28, USART2_CLOCK = 1 << 17, FROM_CSI = 4,
};
enum { UE = 1, RE = 4, TE = 8, FIFOEN = 1 << 29 };
enum { ORE = 8, RXFNE = 32, TC = 64, TXFNF = 128, RXFF = 1 << 24 };
enum { CSION = 1 << 7, CSIRDY = 1 << 8, FIFO = 16, FRAME = 10 * 16 * 64 / 4 };

void test(void) {
    REG(AHB4ENR) |= 8;
    REG(APB1LENR) |= USART2_CLOCK;
    pin_function(GPIOD, 5, 7, false);
    pin_function(GPIOD, 6, 7, false);
    REG(RCC_CR) |= CSION;
    wait_until(RCC_CR, CSIRDY, CSIRDY);
    REG(D2CCIP2R) = FROM_CSI;
    REG(BRR) = 16;  // 250,000 bit/s of 4 MHz
    REG(CR1) = FIFOEN | UE | RE | TE;
    uint32_t start = cycles(0);
    REG(TDR) = '1';
    wait_until(ISR, TC, TC);
    uint32_t took = cycles(start);
    CHECK(took > FRAME - 20 && took < FRAME + 100);
    wait_until(ISR, ORE, ORE);
    EQUAL(REG(ISR) & RXFF, RXFF);
    for (uint32_t byte = 0; byte < FIFO; byte++) {
        EQUAL(REG(RDR), byte);
    }
    EQUAL(REG(ISR) & RXFNE, 0);
    // One goes to the shift register, 16 wait.
    for (uint32_t byte = 100; byte < 100 + FIFO + 1; byte++) {
        EQUAL(REG(ISR) & TXFNF, TXFNF);
        REG(TDR) = byte;
    }
    EQUAL(REG(ISR) & TXFNF, 0);
    wait_until(ISR, TC, TC);
}
