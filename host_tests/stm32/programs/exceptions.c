// SPDX-License-Identifier: MIT
//
// Exceptions: levels, edges, priorities, masks, faults; the FPU's registers; SysTick; WFI.

#include "bare.h"

enum { ICSR = 0xe000ed04, SHCSR = 0xe000ed24, CFSR = 0xe000ed28, BFAR = 0xe000ed38 };
enum { ISPR = 0xe000e200, ICPR = 0xe000e280, IABR = 0xe000e300, IPR = 0xe000e400 };
enum { SYST_CTRL = 0xe000e010, SYST_LOAD = 0xe000e014, SYST_VAL = 0xe000e018 };
enum { HIGH_IRQ = 3, LOW_IRQ = 5 };

static volatile unsigned order[8], events, ticks;

static void note(unsigned what) {
    order[events++] = what;
}

static void high(void) {
    note(1);
}

static void low(void) {
    note(2);
    EQUAL(REG(IABR), 1u << LOW_IRQ);
    EQUAL(REG(ICSR) & 0x1ff, 16 + LOW_IRQ);
    REG(ISPR) = 1u << HIGH_IRQ;  // preempts here
    __asm__ volatile("dsb\nisb");
    note(3);
}

static void priorities(void) {
    REG8(IPR + HIGH_IRQ) = 0x10;
    REG8(IPR + LOW_IRQ) = 0x20;
    on_irq(HIGH_IRQ, high);
    on_irq(LOW_IRQ, low);
    REG(ISPR) = 1u << LOW_IRQ;
    __asm__ volatile("dsb\nisb");
    EQUAL(events, 3);
    EQUAL(order[0], 2);
    EQUAL(order[1], 1);
    EQUAL(order[2], 3);
}

static void masks(void) {
    events = 0;
    irqs_off();
    REG(ISPR) = 1u << HIGH_IRQ;
    __asm__ volatile("dsb\nisb");
    EQUAL(events, 0);
    EQUAL(REG(ISPR) & 1u << HIGH_IRQ, 1u << HIGH_IRQ);
    wait_for_interrupt();  // a masked interrupt ends it
    EQUAL(events, 0);
    irqs_on();
    __asm__ volatile("isb");
    EQUAL(events, 1);
    __asm__ volatile("msr basepri, %0" ::"r"(0x10));
    REG(ISPR) = 1u << HIGH_IRQ;
    __asm__ volatile("dsb\nisb");
    EQUAL(events, 1);
    REG(ICPR) = 1u << HIGH_IRQ;
    __asm__ volatile("msr basepri, %0\nisb" ::"r"(0));
    EQUAL(events, 1);
}

static void clobber(void) {
    __asm__ volatile("vmov.f32 s0, #2.0\nvmov.f32 s15, #3.0" ::: "s0", "s15");
    note(4);
}

static void floating_point(void) {
    float first, last;
    events = 0;
    handlers[HIGH_IRQ + 16] = clobber;
    __asm__ volatile(
        "vmov.f32 s0, #1.0\nvmov.f32 s15, #0.5\nstr %3, [%2]\ndsb\nisb\n"
        "vmov %0, s0\nvmov %1, s15"
        : "=r"(first), "=r"(last)
        : "r"(ISPR), "r"(1u << HIGH_IRQ)
        : "s0", "s15", "memory"
    );
    EQUAL(events, 1);
    CHECK(first == 1.0f && last == 0.5f);
}

static void supervisor_call(void) {
    note(5);
    REG(ICSR) = 1u << 28;
}

static void pend_sv(void) {
    note(6);
}

static void calls(void) {
    events = 0;
    handlers[11] = supervisor_call;
    handlers[14] = pend_sv;
    __asm__ volatile("svc 0");
    EQUAL(events, 2);
    EQUAL(order[0], 5);
    EQUAL(order[1], 6);
}

static volatile uint32_t fault_status, fault_address;

static void fault(void) {
    fault_status = REG(CFSR);
    fault_address = REG(BFAR);
    REG(CFSR) = fault_status;
    finish(fault_status == 0x8200 && fault_address == 0x30000000);
}

static void tick(void) {
    ticks++;
}

static void systick(void) {
    handlers[15] = tick;
    REG(SYST_LOAD) = 15999;
    REG(SYST_VAL) = 0;
    REG(SYST_CTRL) = 7;
    __asm__ volatile("isb");
    CHECK(REG(SYST_VAL) > 15000);
    for (unsigned i = 1; i < 4; i++) {
        wait_for_interrupt();
        EQUAL(ticks, i);
    }
    EQUAL(REG(SYST_CTRL), 0x10007);
    EQUAL(REG(SYST_CTRL), 7);
    REG(SYST_CTRL) = 0;
}

void test(void) {
    priorities();
    masks();
    floating_point();
    calls();
    systick();
    REG(SHCSR) = 1u << 17;
    handlers[5] = fault;
    (void)REG(0x30000000);
    finish(false);
}
