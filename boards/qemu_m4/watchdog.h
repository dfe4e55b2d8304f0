// SPDX-License-Identifier: MIT
// The CMSDK watchdog. At its first zero it raises the NMI, whose handler resets the machine at once
// and notes why: the reset at the second zero would say nothing of itself.
#ifndef QEMU_M4_WATCHDOG_H
#define QEMU_M4_WATCHDOG_H

#include <stdint.h>

// Starts it, or starts it again with another time; nothing but a reset stops it.
void watchdog_start(uint32_t timeout_ms);

// Counts from the start again.
void watchdog_feed(void);

void NMI_Handler(void);

#endif
