// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef enum { FDCAN_G4, FDCAN_H7 } FdcanKind;

typedef struct {
    const char *name;
    FdcanKind kind;
    uint32_t base;
    uint32_t ram;  // word of the message RAM that its sections are counted from
    unsigned irq[2];
    Gate gate;
    Clock clock;
    // The pins that the board joins to a transceiver, and their alternate function. NULL: none.
    const char *tx, *rx;
    unsigned function;
} FdcanPart;

// The message RAM that the controllers of the part share.
void fdcan_ram_add(uint32_t base, uint32_t words, Gate gate);
// The unit that would calibrate the clock, of the H7.
void fdcan_calibration_add(uint32_t base, Gate gate);
void fdcan_add(const FdcanPart *part);
