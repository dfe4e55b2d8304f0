// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

#define DMA_STREAMS 8

typedef struct {
    const char *name;
    uint32_t base;
    Gate gate;
    unsigned number;  // 1 or 2
    unsigned irqs[DMA_STREAMS];
} DmaF4Part;

void dma_f4_add(const DmaF4Part *part);

// The request line of a peripheral that controls the flow, and its data register.
typedef struct {
    unsigned controller, channel;
    uint32_t address;
    uint32_t (*read)(void *self);
    void (*write)(void *self, uint32_t word);
    void *self;
} DmaRequest;

// The peripheral has, or wants, so many words; `last`: no more will follow. Without a stream that
// serves the request nothing happens.
void dma_f4_request(const DmaRequest *request, bool to_memory, unsigned words, bool last);
