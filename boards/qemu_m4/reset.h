// SPDX-License-Identifier: MIT
// Why the machine started, kept over a reset in RAM that no loader fills and startup does not clear.
#ifndef QEMU_M4_RESET_H
#define QEMU_M4_RESET_H

#include <stdint.h>

// Numbers of machine.reset_cause(); the first four are those of the STM32 port.
typedef enum {
    RESET_SOFT = 0,
    RESET_POWER_ON = 1,
    RESET_HARD = 2,
    RESET_WATCHDOG = 3,
    RESET_FAULT = 5, // the fault handler reset the machine
} reset_cause_t;

// Once, before main: finds out the cause.
void reset_init(void);

// Why Python started last.
reset_cause_t reset_cause(void);

// main() says that a soft reset is happening; the machine itself keeps running.
void reset_note_soft(void);

// Resets the machine; the next start reports `cause`.
__attribute__((noreturn)) void reset_now(reset_cause_t cause);

// Host file handles that must not be lost over a reset, by place: 0 if none. See modmachine_block.
#define RESET_HANDLES (2)
uint32_t reset_kept_handle(unsigned int place);
void reset_keep_handle(unsigned int place, uint32_t handle);

// A word that outlives every reset but not the loss of power, which leaves 0.
uint32_t reset_kept_word(void);
void reset_keep_word(uint32_t word);

// Ticks until a moment that a reset must not take away: 0 if none. See moment.
uint32_t reset_kept_moment(void);
void reset_keep_moment(uint32_t ticks);

#endif
