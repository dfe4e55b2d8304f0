// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *name;
    uint32_t base;
    Gate gate;
    Clock clock;  // PCLK1
    unsigned number;  // 0: CAN1, which has the filters; 1: CAN2
    unsigned irq_tx, irq_rx0, irq_rx1, irq_sce;
    const char *rx, *tx;  // the pins that the board's transceiver is at
} BxcanPart;

// Adds the controller; it is on the bus while both pins are its own.
void bxcan_add(const BxcanPart *part);
