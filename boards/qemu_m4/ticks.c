// SPDX-License-Identifier: MIT

#include <stdbool.h>

#include "py/mphal.h"
#include "shared/runtime/softtimer.h"

#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/ticks.h"

#define CYCLES_PER_MS (MPS2_CLOCK_HZ / 1000)
#define CYCLES_PER_US (MPS2_CLOCK_HZ / 1000000)

static volatile uint32_t now_ms;
static volatile uint32_t counter_at_ms; // the counter when now_ms began

static volatile bool alarm_set;
static volatile uint32_t alarm_ms;

void ticks_init(void) {
    counter_at_ms = MPS2_COUNTER;
    M4_SHPR[15 - 4] = PRIORITY_SYSTICK;
    M4_SHPR[14 - 4] = PRIORITY_PENDSV;
    M4_SYST_RVR = CYCLES_PER_MS - 1;
    M4_SYST_CVR = 0;
    M4_SYST_CSR = 7; // on, interrupt, processor clock
}

// Interrupts are off. Returns the cycles within the current millisecond.
static uint32_t advance(void) {
    uint32_t cycles = MPS2_COUNTER - counter_at_ms;
    uint32_t whole = cycles / CYCLES_PER_MS;
    now_ms += whole;
    counter_at_ms += whole * CYCLES_PER_MS;
    return cycles - whole * CYCLES_PER_MS;
}

void ticks_round_up(void) {
    uint32_t state = interrupts_off();
    counter_at_ms += advance();
    now_ms = (now_ms / 10000 + 1) * 10000;
    M4_SYST_CVR = 0;
    interrupts_restore(state);
}

uint32_t ticks_ms(void) {
    uint32_t state = interrupts_off();
    advance();
    uint32_t ms = now_ms;
    interrupts_restore(state);
    return ms;
}

uint32_t ticks_us(void) {
    uint32_t state = interrupts_off();
    uint32_t us = advance() / CYCLES_PER_US;
    us += now_ms * 1000;
    interrupts_restore(state);
    return us;
}

uint32_t ticks_cycles(void) {
    return MPS2_COUNTER;
}

void SysTick_Handler(void) {
    uint32_t ms = ticks_ms();
    if (alarm_set && soft_timer_ticks_diff(alarm_ms, ms) <= 0) {
        alarm_set = false;
        M4_ICSR = M4_ICSR_PENDSVSET;
    }
}

void PendSV_Handler(void) {
    soft_timer_handler();
}

// What shared/runtime/softtimer.c asks of a port.

uint32_t soft_timer_get_ms(void) {
    return ticks_ms();
}

void soft_timer_schedule_at_ms(uint32_t at_ms) {
    uint32_t state = interrupts_off();
    alarm_ms = at_ms;
    alarm_set = true;
    interrupts_restore(state);
}
