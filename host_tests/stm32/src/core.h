// SPDX-License-Identifier: MIT
//
// What the core and the host share with each other, and with no model.
#pragma once

#include "machine.h"

#define NEVER UINT64_MAX

// Events and registers
Time events_next(void);
Event *events_take(Time until);  // the next one that is due
void devices_power_reset(bool power_on);
uint32_t registers_read(uint32_t address, unsigned size);
void registers_write(uint32_t address, uint32_t value, unsigned size);

// Core
typedef enum {
    STOP_TIME,   // the time that core_run was given
    STOP_ASKED,  // core_stop
    STOP_CUT,    // power was cut
    STOP_EXIT,   // the program has ended by semihosting
} Stop;

void core_build(const Part *part);
void core_power(bool on);
// Runs until `until`, or less.
Stop core_run(Time until);
// Lets core_run return after the current block of code.
void core_stop(void);
// An event is armed for `at`.
void core_wake_at(Time at);
// An exception may have become due, or may preempt now.
void core_check_exceptions(void);
uint64_t core_cycles(void);
// Power is cut when the core has executed so many cycles.
void core_cut_at_cycle(uint64_t cycle);
// Exit code of a program, for STOP_EXIT
int core_exit_code(void);
// Addresses whose writes are told to `host_watch`.
void core_watch(uint32_t address, uint32_t size);
// Interrupts stay masked until then, as by PRIMASK, whatever the program does.
void core_mask_until(Time until);

// Interrupts
typedef enum {
    EXCEPTION_NMI = 2,
    EXCEPTION_HARD_FAULT,
    EXCEPTION_MEM_FAULT,
    EXCEPTION_BUS_FAULT,
    EXCEPTION_USAGE_FAULT,
    EXCEPTION_SVC = 11,
    EXCEPTION_DEBUG,
    EXCEPTION_PENDSV = 14,
    EXCEPTION_SYSTICK,
    EXCEPTION_IRQ0,
} ExceptionNumber;

// What masks exceptions, besides the active ones
typedef struct {
    bool primask, faultmask;
    uint8_t basepri;
} Masks;

void nvic_build(unsigned irqs);
void nvic_pend(unsigned exception);
void nvic_unpend(unsigned exception);
bool nvic_is_pending(unsigned exception);
bool nvic_pending(void);  // any that is enabled
// The exception that preempts what runs now; 0: none.
unsigned nvic_due(Masks masks);
// Whether an exception would preempt if PRIMASK were 0, which ends WFI (B1.5.19).
bool nvic_wakes(Masks masks);
// The exception that a synchronous one becomes: itself, or the hard fault.
unsigned nvic_escalate(unsigned exception, Masks masks);
void nvic_enter(unsigned exception);
void nvic_leave(unsigned exception);
bool nvic_is_active(unsigned exception);
unsigned nvic_active_count(void);
unsigned nvic_active(void);  // the one that runs; 0: none
void nvic_set_priority(unsigned exception, uint8_t priority);
uint8_t nvic_priority(unsigned exception);
void nvic_enable(unsigned exception, bool enabled);
void nvic_group(unsigned prigroup);

void systick_build(void);
void systick_clock_changed(void);

void scb_build(const Part *part);
uint32_t scb_vector_table(void);
void scb_fault_status(uint32_t cfsr, uint32_t address);
void scb_hard_fault(bool forced);
bool scb_deep_sleep(void);

// Host
// The core sleeps until then, at most a millisecond in live mode.
void host_sleep(Time until);
void host_text(const char *text);
void host_watch(uint32_t address, uint32_t value, unsigned size);
void power_changed(bool on);
