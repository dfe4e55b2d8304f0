// SPDX-License-Identifier: MIT
//
// The general-purpose and advanced timers as counters: RM0090 17 to 19, RM0390 16 to 18. They
// count up and give interrupts at update and compare. Outputs drive no pin; left out are counting
// down, slave modes, capture, the repetition counter, DMA and break.

#include "tim.h"

#include <stdlib.h>

enum {
    CR1 = 0x00, CR2 = 0x04, SMCR = 0x08, DIER = 0x0c, SR = 0x10, EGR = 0x14, CCMR = 0x18,
    CCER = 0x20, CNT = 0x24, PSC = 0x28, ARR = 0x2c, RCR = 0x30, CCR = 0x34, BDTR = 0x44,
};
enum { CEN = 1, UDIS = 2, URS = 4, OPM = 8, ARPE = 128, UG = 1, UIF = 1 };
enum { CHANNELS = 4 };

typedef struct {
    const Tim *part;
    Device device;
    uint32_t prescaler, top, compare[CHANNELS];  // the active ones of PSC, ARR, CCR
    uint32_t count;                              // at `since`
    Time since;
    Event next;
} Timer;

static uint32_t *kept(const Timer *timer, uint32_t offset) {
    return device_value(&timer->device, offset);
}

static bool counts(const Timer *timer) {
    return *kept(timer, CR1) & CEN && timer->top;
}

// Picoseconds of one count, at the full resolution of the clock for many of them
static Time counts_to_time(const Timer *timer, uint64_t count) {
    uint64_t clocks = count * (timer->prescaler + 1), hz = timer->part->clock();
    return clocks / hz * SEC + clocks % hz * (SEC / US) / hz * US +
           clocks % hz * (SEC / US) % hz * US / hz;
}

static uint32_t count_now(const Timer *timer) {
    if (!counts(timer)) {
        return timer->count;
    }
    uint64_t hz = timer->part->clock(), passed = now() - timer->since;
    uint64_t clocks = passed / US * hz / 1000000 + passed % US * (hz / 1000) / (SEC / 1000);
    uint64_t count = timer->count + clocks / (timer->prescaler + 1);
    return count > timer->top ? timer->top : (uint32_t)count;
}

static void update_irqs(const Timer *timer) {
    uint32_t due = *kept(timer, SR) & *kept(timer, DIER);
    bool update = due & UIF, compare = due & 0x1e;
    if (timer->part->update_irq == timer->part->compare_irq) {
        irq_line(timer->part->update_irq, update || compare);
    } else {
        irq_line(timer->part->update_irq, update);
        irq_line(timer->part->compare_irq, compare);
    }
}

// The next count at which something happens: a compare value, or the one after the top.
static void plan(Timer *timer) {
    event_cancel(&timer->next);
    if (!counts(timer)) {
        return;
    }
    uint64_t wanted = (uint64_t)timer->top + 1;
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (timer->compare[i] > timer->count && timer->compare[i] < wanted) {
            wanted = timer->compare[i];
        }
    }
    event_at(&timer->next, timer->since + counts_to_time(timer, wanted - timer->count));
}

static void restart(Timer *timer, uint32_t count) {
    timer->count = count;
    timer->since = now();
    plan(timer);
}

static void compare_at(Timer *timer, uint32_t count) {
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (timer->compare[i] == count) {
            *kept(timer, SR) |= 2u << i;
        }
    }
}

static void load_preloaded(Timer *timer) {
    timer->prescaler = *kept(timer, PSC);
    timer->top = *kept(timer, ARR);
    for (unsigned i = 0; i < CHANNELS; i++) {
        timer->compare[i] = *kept(timer, CCR + 4 * i);
    }
}

static void happen(void *self) {
    Timer *timer = self;
    uint64_t count = timer->top;
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (timer->compare[i] > timer->count && timer->compare[i] <= count) {
            count = timer->compare[i];
        }
    }
    bool overflows = count == timer->top && now() - timer->since >
                     counts_to_time(timer, count - timer->count);
    if (!overflows) {
        compare_at(timer, (uint32_t)count);
        restart(timer, (uint32_t)count);
        update_irqs(timer);
        return;
    }
    if (!(*kept(timer, CR1) & UDIS)) {
        load_preloaded(timer);
        *kept(timer, SR) |= UIF;
    }
    if (*kept(timer, CR1) & OPM) {
        *kept(timer, CR1) &= ~(uint32_t)CEN;
    }
    restart(timer, 0);
    compare_at(timer, 0);
    update_irqs(timer);
}

static uint32_t read(void *self, uint32_t offset) {
    Timer *timer = self;
    return offset == CNT ? count_now(timer) : *kept(timer, offset);
}

static void generate(Timer *timer, uint32_t value) {
    if (value & UG) {
        load_preloaded(timer);
        if (!(*kept(timer, CR1) & (URS | UDIS))) {
            *kept(timer, SR) |= UIF;
        }
        restart(timer, 0);
    }
    *kept(timer, SR) |= value & 0x1e;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    Timer *timer = self;
    uint32_t count = count_now(timer);
    switch (offset) {
    case SR:
        *kept(timer, SR) &= value;
        break;
    case EGR:
        generate(timer, value);
        break;
    case CNT:
        restart(timer, value);
        break;
    case CR1:
        *kept(timer, CR1) = value;
        restart(timer, count);
        break;
    case ARR:
        *kept(timer, ARR) = value;
        if (!(*kept(timer, CR1) & ARPE)) {
            timer->top = value;
            restart(timer, count > value ? 0 : count);
        }
        break;
    default:
        *kept(timer, offset) = value;
        if (offset >= CCR && offset < CCR + 4 * CHANNELS) {
            unsigned channel = (offset - CCR) / 4;
            bool preload = *kept(timer, CCMR + channel / 2 * 4) >> (channel % 2 * 8) & 8;
            if (!preload) {
                timer->compare[channel] = value;
                restart(timer, count);
            }
        }
    }
    update_irqs(timer);
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    Timer *timer = self;
    event_cancel(&timer->next);
    load_preloaded(timer);
    timer->count = 0;
    update_irqs(timer);
}

void tim_add(const Tim *part) {
    uint32_t counter = part->wide ? UINT32_MAX : 0xffff;
    const Register registers[] = {
        {CR1, "CR1", .writable = CEN | UDIS | URS | OPM | ARPE | 0x300},
        {CR2, "CR2", .writable = 0x70},
        {SMCR, "SMCR", .writable = 0x80},
        {DIER, "DIER", .writable = 0x1f},
        // timer.c of MicroPython and the HAL clear a flag by writing ones to all other bits.
        {SR, "SR", .writable = 0x1f, .ignored = UINT32_MAX},
        {EGR, "EGR", .writable = 0x1f},
        {CCMR, "CCMR", .writable = 0xfcfc, .count = 2},
        {CCER, "CCER", .writable = 0xffff},
        {CNT, "CNT", .writable = counter},
        {PSC, "PSC", .writable = 0xffff},
        {ARR, "ARR", counter, counter, 0, 0},
        {RCR, "RCR", .writable = 0},
        {CCR, "CCR", .writable = counter, .count = CHANNELS},
        {part->advanced ? BDTR : RCR, part->advanced ? "BDTR" : "RCR", .writable = 0xffff},
        {0},
    };
    Timer *timer = calloc(1, sizeof *timer);
    Register *own = calloc(1, sizeof registers);
    for (unsigned i = 0; i < sizeof registers / sizeof *registers; i++) {
        own[i] = registers[i];
    }
    timer->part = part;
    timer->next = (Event){.fire = happen, .self = timer};
    timer->device = (Device){
        .name = part->name, .base = part->base, .registers = own, .self = timer, .read = read,
        .write = write, .reset = reset, .gate = part->gate,
    };
    device_add(&timer->device);
}
