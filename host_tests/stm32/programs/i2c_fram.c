// SPDX-License-Identifier: MIT
//
// I2C1 and the FRAM at it: the sequences of flags, and what the part refuses (CASE > 0).

#include "f4.h"

#ifndef CASE
#define CASE 0
#endif

enum {
    I2C = 0x40005400, CR1 = I2C, CR2 = I2C + 4, DR = I2C + 0x10, SR1 = I2C + 0x14,
    SR2 = I2C + 0x18, CCR = I2C + 0x1c, TRISE = I2C + 0x20,
};
enum { PE = 1, START = 1 << 8, STOP = 1 << 9, ACK = 1 << 10, POS = 1 << 11, SWRST = 1 << 15 };
enum {
    SB = 1, ADDR = 2, BTF = 4, RXNE = 1 << 6, TXE = 1 << 7, AF = 1 << 10,
};
enum { MSL = 1, BUSY = 2, TRA = 4 };
enum { SCL = 6, SDA = 7, WRITE = 0xa0, READ = 0xa1 };
enum { I2C1_BIT = 1 << 21, EVENT_IRQ = 31, ERROR_IRQ = 32 };

static void set_up(void) {
    REG(AHB1ENR) |= 2;
    REG(APB1ENR) |= I2C1_BIT;
    pin_function(GPIOB, SCL, 4, true);
    pin_function(GPIOB, SDA, 4, true);
    REG(APB1RSTR) |= I2C1_BIT;
    REG(APB1RSTR) &= ~I2C1_BIT;
    EQUAL(REG(TRISE), 2);
    REG(CR2) = 16;
    REG(CCR) = 0xc002;  // 16 MHz / 50: 320 kHz
    REG(TRISE) = 5;
    REG(CR1) = PE;
}

static void start(void) {
    REG(CR1) |= START;
    wait_until(SR1, SB, SB);
    EQUAL(REG(CR1) & START, 0);
    EQUAL(REG(SR2) & (MSL | BUSY), MSL | BUSY);
}

static void address(uint32_t byte) {
    start();
    EQUAL(REG(SR1), SB);
    REG(DR) = byte;
    while (!(REG(SR1) & (ADDR | AF))) {
    }
}

// Until the flags that end ADDR are read.
static void address_written(uint32_t byte) {
    address(byte);
    EQUAL(REG(SR1), ADDR);
    EQUAL(REG(SR2) & TRA, byte & 1 ? 0 : TRA);
    EQUAL(REG(SR1), byte & 1 ? 0 : TXE);
}

static void send(uint32_t byte) {
    REG(DR) = byte;
    wait_until(SR1, BTF, BTF);
    EQUAL(REG(SR1), TXE | BTF);
}

static void stop(void) {
    REG(CR1) |= STOP;
    wait_until(CR1, STOP, 0);
    EQUAL(REG(SR2), 0);
}

static void write_at(uint32_t device, uint32_t at, const uint8_t *bytes, unsigned count) {
    address_written(device);
    send(at >> 8);
    send(at & 0xff);
    for (unsigned i = 0; i < count; i++) {
        send(bytes[i]);
    }
    stop();
}

static void point_to(uint32_t device, uint32_t at) {
    address_written(device);
    send(at >> 8);
    send(at & 0xff);
}

static uint32_t read_one(uint32_t device) {
    address(device);
    REG(CR1) &= ~ACK;
    REG(SR2);
    REG(CR1) |= STOP;
    wait_until(SR1, RXNE, RXNE);
    uint32_t byte = REG(DR);
    EQUAL(REG(SR1), 0);
    wait_until(CR1, STOP, 0);
    return byte;
}

static uint32_t read_two(void) {
    address(READ);
    REG(CR1) |= POS;
    REG(CR1) &= ~ACK;
    REG(SR2);
    wait_until(SR1, BTF, BTF);
    EQUAL(REG(SR1), RXNE | BTF);
    REG(CR1) |= STOP;
    uint32_t first = REG(DR);
    EQUAL(REG(SR1) & RXNE, RXNE);
    uint32_t second = REG(DR);
    wait_until(CR1, STOP, 0);
    REG(CR1) &= ~POS;
    return first << 8 | second;
}

static uint32_t read_three(void) {
    address(READ);
    REG(CR1) |= ACK;
    REG(SR2);
    wait_until(SR1, BTF, BTF);
    // SCL is low until DR is read, however long that takes.
    wait_cycles(20000);
    EQUAL(REG(SR1), RXNE | BTF);
    EQUAL(pin_level(GPIOB, SCL), 0);
    REG(CR1) &= ~ACK;
    uint32_t bytes = REG(DR) << 16;
    wait_until(SR1, BTF, BTF);
    REG(CR1) |= STOP;
    bytes |= REG(DR) << 8;
    bytes |= REG(DR);
    wait_until(CR1, STOP, 0);
    return bytes;
}

static void transfers(void) {
    static const uint8_t bytes[] = {0x11, 0x22, 0x80, 0x44};
    write_at(WRITE, 0x1234, bytes, 4);
    point_to(WRITE, 0x1234);
    EQUAL(read_one(READ), 0x11);  // by a repeated START
    EQUAL(read_one(READ), 0x22);  // at the current address
    point_to(WRITE, 0x1235);
    EQUAL(read_two(), 0x2280);
    point_to(WRITE, 0x1234);
    EQUAL(read_three(), 0x112280);
    write_at(WRITE | 2, 0x1234, bytes + 2, 1);  // A16
    point_to(WRITE | 2, 0x1234);
    EQUAL(read_one(READ | 2), 0x80);
    point_to(WRITE, 0x1234);
    EQUAL(read_one(READ), 0x11);
    // The address latch has 17 bits.
    write_at(WRITE, 0xffff, bytes, 2);
    point_to(WRITE | 2, 0);
    EQUAL(read_one(READ | 2), 0x22);
}

static void nobody(void) {
    address(0x42);
    EQUAL(REG(SR1), AF);
    REG(SR1) = ~AF;
    EQUAL(REG(SR1), 0);
    stop();
}

static void aborted_write(void) {
    static const uint8_t bytes[] = {0x5a};
    write_at(WRITE, 0x100, bytes, 1);
    point_to(WRITE, 0x100);
    REG(DR) = 0xff;
    wait_cycles(100);  // some bits, and then the master is reset
    REG(CR1) = SWRST;
    REG(CR1) = 0;
    set_up();
    wait_cycles(200);
    REG(APB1RSTR) |= I2C1_BIT;
    REG(APB1RSTR) &= ~I2C1_BIT;
    set_up();
    point_to(WRITE, 0x100);
    EQUAL(read_one(READ), 0x5a);
}

// A byte at 320 kHz takes nine bits of 50 clocks.
static void rate(void) {
    address_written(WRITE);
    uint32_t before = cycles(0);
    send(0);
    uint32_t took = cycles(before);
    CHECK(took > 440 && took < 500);
    stop();
}

static volatile unsigned events, errors;

static void on_event(void) {
    events++;
    REG(CR2) = 16;
}

static void on_error(void) {
    errors++;
    REG(SR1) = ~AF;
}

static void interrupts(void) {
    on_irq(EVENT_IRQ, on_event);
    on_irq(ERROR_IRQ, on_error);
    REG(CR2) = 16 | 1 << 8 | 1 << 9;
    REG(CR1) |= START;
    while (!events) {
    }
    EQUAL(REG(SR1), SB);
    REG(CR2) = 16 | 1 << 8;
    REG(DR) = 0x42;
    while (!errors) {
    }
    EQUAL(REG(SR1), 0);
    EQUAL(errors, 1);
    EQUAL(events, 1);
    stop();
    REG(CR2) = 16;
}

// The FRAM gives a 0 when the master is reset: the bus is stuck until nine clocks free it.
static void stuck(void) {
    static const uint8_t zeros[] = {0, 0};
    write_at(WRITE, 0x200, zeros, 2);
    point_to(WRITE, 0x200);
    address(READ);
    REG(CR1) |= ACK;
    REG(SR2);
    wait_cycles(100);
    REG(APB1RSTR) |= I2C1_BIT;
    REG(APB1RSTR) &= ~I2C1_BIT;
    set_up();
    EQUAL(REG(SR2), BUSY);
    EQUAL(pin_level(GPIOB, SCL), 1);
    EQUAL(pin_level(GPIOB, SDA), 0);
    REG(CR1) |= START;
    wait_cycles(50000);
    EQUAL(REG(SR1), 0);
    EQUAL(REG(CR1) & START, START);
    REG(CR1) &= ~PE;
    EQUAL(REG(CR1), 0);
    pin_open_drain(GPIOB, SCL);
    pin_open_drain(GPIOB, SDA);
    unsigned clocks = 0;
    while (!pin_level(GPIOB, SDA)) {
        REG(GPIOB + BSRR) = 1 << (16 + SCL);
        wait_cycles(80);
        REG(GPIOB + BSRR) = 1 << SCL;
        wait_cycles(80);
        clocks++;
    }
    CHECK(clocks > 1 && clocks <= 9);
    set_up();
    point_to(WRITE, 0x200);
    EQUAL(read_one(READ), 0);
}

static void forbidden(void) {
    switch (CASE) {
        case 1:
            REG(CCR) = 0xc003;
            break;
        case 2:
            REG(DR) = 1;
            break;
        case 3:
            REG(CR1) = 0;
            REG(CR2) = 42;
            REG(CR1) = PE;
            REG(CR1) |= START;
            break;
        case 4:
            address_written(WRITE);
            REG(CR1) |= STOP;
            REG(CR1) |= ACK;
            break;
        case 5:
            change(GPIOB + OTYPER, 1 << SDA, 0);
            start();
            break;
        case 6:
            pin_open_drain(GPIOB, SCL);
            for (unsigned i = 0; i < 2; i++) {
                REG(GPIOB + BSRR) = 1 << (16 + SCL);
                REG(GPIOB + BSRR) = 1 << SCL;
            }
            break;
        case 7:
            address(0xf8);
            break;
        case 8:
            address(READ);
            REG(CR1) |= POS | ACK;
            REG(SR2);
            wait_until(SR1, BTF, BTF);
            REG(DR);
            wait_cycles(2000);
            break;
        case 9:
            address(READ);
            REG(CR1) |= ACK;
            REG(SR2);
            wait_cycles(5000);
            REG(DR);
            break;
        case 10:
            REG(CR1) |= STOP;
            break;
        case 11:
            REG(CR2) |= 1 << 11;
            break;
        case 12:
            address_written(WRITE);
            REG(DR) = 1;
            REG(DR) = 2;
            REG(DR) = 3;
            break;
        case 13:
            start();
            REG(CR1) |= STOP;
            break;
        case 14:
            REG(APB1ENR) &= ~I2C1_BIT;
            REG(CR1);
            break;
    }
}

void test(void) {
    wait_cycles(5000);  // the FRAM powers up
    set_up();
    if (CASE == 20) {  // bytes 1, 2, ... from address 0 on, for power cuts
        point_to(WRITE, 0);
        for (unsigned i = 1; i < 20; i++) {
            send(i);
        }
        stop();
    } else if (CASE) {
        forbidden();
    } else {
        transfers();
        nobody();
        aborted_write();
        rate();
        interrupts();
        stuck();
    }
}
