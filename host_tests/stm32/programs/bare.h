// SPDX-License-Identifier: MIT
//
// What the bare-metal programs share, which test the models of an emulated STM32 from inside.
//
// A program has a function `test`. It reports by semihosting, the breakpoint 0xab of Arm's
// specification: a check that fails writes its place and ends the program with exit code 1; the end
// of `test` is exit code 0. What the machine refuses ends it with exit code 3.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define REG16(address) (*(volatile uint16_t *)(address))
#define REG8(address) (*(volatile uint8_t *)(address))

void test(void);

static inline int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void say(const char *text) {
    semihosting(4, text);
}

static inline _Noreturn void finish(bool passed) {
    semihosting(0x18, (const void *)(passed ? 0x20026 : 0x20023));
    for (;;) {
    }
}

// A number in hexadecimal, for messages.
static inline void say_number(uint32_t value) {
    char text[10];
    for (int i = 0; i < 8; i++) {
        text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    }
    text[8] = ' ';
    text[9] = 0;
    say(text);
}

static inline void check_failed(const char *place, uint32_t has, uint32_t wanted) {
    say(place);
    say(": ");
    say_number(has);
    say("is not ");
    say_number(wanted);
    say("\n");
    finish(false);
}

#define TEXT_OF(x) #x
#define LINE_TEXT(x) TEXT_OF(x)
#define EQUAL(has, wanted)                                                       \
    do {                                                                         \
        uint32_t has_ = (uint32_t)(has), wanted_ = (uint32_t)(wanted);           \
        if (has_ != wanted_) {                                                   \
            check_failed(__FILE__ ":" LINE_TEXT(__LINE__) " " #has, has_, wanted_); \
        }                                                                        \
    } while (0)
#define CHECK(condition) EQUAL(!!(condition), 1)

// The handler of an exception; a program sets it before the exception comes.
typedef void (*Handler)(void);
extern Handler handlers[256];  // by exception number: 16 and more are interrupts

static inline void on_irq(unsigned irq, Handler handler) {
    handlers[16 + irq] = handler;
    REG(0xe000e100 + irq / 32 * 4) = 1u << irq % 32;
}

static inline void irqs_off(void) {
    __asm__ volatile("cpsid i" ::: "memory");
}

static inline void irqs_on(void) {
    __asm__ volatile("cpsie i" ::: "memory");
}

static inline void wait_for_interrupt(void) {
    __asm__ volatile("wfi" ::: "memory");
}

// Waits until `register & mask` is `value`; the machine's limit ends a wait for ever.
static inline void wait_until(uint32_t address, uint32_t mask, uint32_t value) {
    while ((REG(address) & mask) != value) {
    }
}

// Waits for clock cycles of the core, about.
static inline void delay(uint32_t cycles) {
    for (uint32_t i = 0; i < cycles / 4; i++) {
        __asm__ volatile("nop");
    }
}
