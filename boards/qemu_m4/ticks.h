// SPDX-License-Identifier: MIT
// Time since start. SysTick interrupts every millisecond; how much time has passed is read from the
// board's free-running counter, so that ticks the emulator swallows under load are not lost.
#ifndef QEMU_M4_TICKS_H
#define QEMU_M4_TICKS_H

#include <stdint.h>

void ticks_init(void);
void ticks_round_up(void); // it is now the next whole ten seconds, to the cycle
uint32_t ticks_ms(void); // wraps at 2^32
uint32_t ticks_us(void); // wraps at 2^32
uint32_t ticks_cycles(void); // 25 MHz, wraps at 2^32

void SysTick_Handler(void);
void PendSV_Handler(void);

#endif
