// SPDX-License-Identifier: MIT
//
// USART2 of the F4 on PA2 and PA3 at 16 MHz: gives back what it receives, and what happened.

#include "bare.h"

enum { RCC_AHB1ENR = 0x40023830, RCC_APB1ENR = 0x40023840, GPIOA = 0x40020000 };
enum { USART = 0x40004400, SR = USART, DR = USART + 4, BRR = USART + 8, CR1 = USART + 12 };
enum { ORE = 8, IDLE = 16, RXNE = 32, TC = 64, TXE = 128, RXNEIE = 32, ON = 0x200c };

#ifndef CASE
#define CASE 0
#endif

static volatile unsigned received;
static uint8_t bytes[16];

static void on_byte(void) {
    CHECK(REG(SR) & RXNE);
    bytes[received++] = (uint8_t)REG(DR);
}

static void send(uint8_t byte) {
    wait_until(SR, TXE, TXE);
    REG(DR) = byte;
}

static void echo(void) {
    REG(CR1) = ON | RXNEIE;
    on_irq(38, on_byte);
    say("ready\n");
    while (received < 5) {
        wait_for_interrupt();
    }
    for (unsigned i = 0; i < 5; i++) {
        send(bytes[i]);
    }
    EQUAL(REG(SR) & TC, 0);
    wait_until(SR, TC, TC);
}

// Nobody reads the first byte in time: the second one is lost, and ORE says so.
static void overrun(void) {
    say("ready\n");
    wait_until(SR, ORE, ORE);
    EQUAL(REG(SR) & (RXNE | ORE), RXNE | ORE);
    EQUAL(REG(DR), 'a');
    EQUAL(REG(SR) & (RXNE | ORE), 0);
    wait_until(SR, IDLE, IDLE);
    (void)REG(SR);
    (void)REG(DR);
    EQUAL(REG(SR) & IDLE, 0);
}

void test(void) {
    REG(RCC_AHB1ENR) |= 1;
    REG(RCC_APB1ENR) |= 1 << 17;
    REG(GPIOA) |= 0xa0;           // PA2, PA3: alternate function
    REG(GPIOA + 0x20) = 0x7700;  // 7
    EQUAL(REG(SR), 0xc0);
#if CASE != 2
    REG(BRR) = 139;  // 115,107 bit/s
#endif
    REG(CR1) = ON;
    switch (CASE) {
    case 1:
        overrun();
        break;
    case 2:  // no bit rate
        REG(DR) = 'a';
        break;
    case 3:  // the transmitter is off
        REG(CR1) = 0;
        REG(DR) = 'a';
        break;
    case 4:  // DR is full
        REG(DR) = 'a';
        REG(DR) = 'b';
        REG(DR) = 'c';
        break;
    default:
        echo();
    }
}
