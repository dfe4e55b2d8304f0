// SPDX-License-Identifier: MIT
//
// NVIC: which exception is pending, active, and preempts. ARMv7-M ARM B1.5.4 (priorities and
// preemption), B3.4 (registers). Four bits of priority, as all STM32 with a Cortex-M4 or M7 have.

#include <string.h>

#include "core.h"

#define EXCEPTIONS 256
enum { ISER = 0, ICER = 0x80, ISPR = 0x100, ICPR = 0x180, IABR = 0x200, IPR = 0x300 };
enum { LOWEST = 256 };  // what runs outside of any exception

static struct {
    bool level[EXCEPTIONS], pending[EXCEPTIONS], enabled[EXCEPTIONS], active[EXCEPTIONS];
    uint8_t priority[EXCEPTIONS];
    unsigned stack[EXCEPTIONS], depth;  // the active ones, in the order of their entry
    unsigned pending_count;             // of those that are enabled
    unsigned exceptions, prigroup;
} nvic;

// Priorities: -2 NMI, -1 hard fault, then what software sets.
static int priority_of(unsigned exception) {
    if (exception == EXCEPTION_NMI || exception == EXCEPTION_HARD_FAULT) {
        return (int)exception - 4;
    }
    return nvic.priority[exception];
}

static int group_of(int priority) {
    return priority < 0 ? priority : priority >> (nvic.prigroup + 1) << (nvic.prigroup + 1);
}

static void count_pending(void) {
    nvic.pending_count = 0;
    for (unsigned i = 1; i < nvic.exceptions; i++) {
        nvic.pending_count += nvic.pending[i] && nvic.enabled[i];
    }
    core_check_exceptions();
}

static void set_pending(unsigned exception, bool pending) {
    if (nvic.pending[exception] != pending) {
        nvic.pending[exception] = pending;
        count_pending();
    }
}

void nvic_pend(unsigned exception) {
    set_pending(exception, true);
}

void nvic_unpend(unsigned exception) {
    set_pending(exception, false);
}

bool nvic_is_pending(unsigned exception) {
    return nvic.pending[exception];
}

bool nvic_pending(void) {
    return nvic.pending_count != 0;
}

void irq_line(unsigned irq, bool level) {
    unsigned exception = EXCEPTION_IRQ0 + irq;
    bool rises = level && !nvic.level[exception];
    nvic.level[exception] = level;
    if (rises) {
        nvic_pend(exception);
    }
}

// B1.5.4, ExecutionPriority
static int execution_priority(Masks masks) {
    int priority = LOWEST;
    for (unsigned i = 0; i < nvic.depth; i++) {
        int active = group_of(priority_of(nvic.stack[i]));
        priority = active < priority ? active : priority;
    }
    if (masks.basepri && group_of(masks.basepri) < priority) {
        priority = group_of(masks.basepri);
    }
    if (masks.primask && priority > 0) {
        priority = 0;
    }
    if (masks.faultmask && priority > -1) {
        priority = -1;
    }
    return priority;
}

unsigned nvic_due(Masks masks) {
    if (!nvic.pending_count) {
        return 0;
    }
    unsigned best = 0;
    for (unsigned i = 1; i < nvic.exceptions; i++) {
        if (nvic.pending[i] && nvic.enabled[i] &&
            (!best || priority_of(i) < priority_of(best))) {
            best = i;
        }
    }
    return best && group_of(priority_of(best)) < execution_priority(masks) ? best : 0;
}

bool nvic_wakes(Masks masks) {
    masks.primask = false;
    return nvic_due(masks);
}

unsigned nvic_escalate(unsigned exception, Masks masks) {
    int running = execution_priority(masks);
    if (nvic.enabled[exception] && group_of(priority_of(exception)) < running) {
        return exception;
    }
    if (running <= priority_of(EXCEPTION_HARD_FAULT)) {
        refuse("exception %u in a hard fault or NMI: the core locks up", exception);
    }
    scb_hard_fault(exception != EXCEPTION_HARD_FAULT);
    return EXCEPTION_HARD_FAULT;
}

void nvic_enter(unsigned exception) {
    nvic.active[exception] = true;
    nvic.stack[nvic.depth++] = exception;
    nvic_unpend(exception);
}

void nvic_leave(unsigned exception) {
    nvic.active[exception] = false;
    unsigned at = nvic.depth - 1;
    while (nvic.stack[at] != exception) {
        at--;
    }
    for (nvic.depth--; at < nvic.depth; at++) {
        nvic.stack[at] = nvic.stack[at + 1];
    }
    if (nvic.level[exception]) {
        nvic_pend(exception);
    }
    core_check_exceptions();
}

bool nvic_is_active(unsigned exception) {
    return nvic.active[exception];
}

unsigned nvic_active_count(void) {
    return nvic.depth;
}

unsigned nvic_active(void) {
    return nvic.depth ? nvic.stack[nvic.depth - 1] : 0;
}

void nvic_set_priority(unsigned exception, uint8_t priority) {
    nvic.priority[exception] = priority & 0xf0;
    core_check_exceptions();
}

uint8_t nvic_priority(unsigned exception) {
    return nvic.priority[exception];
}

void nvic_enable(unsigned exception, bool enabled) {
    nvic.enabled[exception] = enabled;
    count_pending();
}

void nvic_group(unsigned prigroup) {
    nvic.prigroup = prigroup;
    core_check_exceptions();
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = 0;
    if (offset >= IPR) {
        for (unsigned i = 0; i < 4; i++) {
            value |= (uint32_t)nvic.priority[EXCEPTION_IRQ0 + offset - IPR + i] << 8 * i;
        }
        return value;
    }
    const bool *bits = offset < ISPR ? nvic.enabled : offset < IABR ? nvic.pending : nvic.active;
    unsigned first = EXCEPTION_IRQ0 + offset % 0x80 * 8;
    for (unsigned i = 0; i < 32; i++) {
        value |= (uint32_t)bits[first + i] << i;
    }
    return value;
}

static void write_bit(uint32_t offset, unsigned exception) {
    if (offset < ICER) {
        nvic_enable(exception, true);
    } else if (offset < ISPR) {
        nvic_enable(exception, false);
    } else if (offset < ICPR) {
        nvic_pend(exception);
    } else if (!nvic.level[exception]) {
        nvic_unpend(exception);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self;
    if (offset >= IPR) {
        for (unsigned i = 0; i < size; i++) {
            nvic_set_priority(EXCEPTION_IRQ0 + offset - IPR + i, (uint8_t)(value >> 8 * i));
        }
        return;
    }
    for (unsigned i = 0; i < 8 * size; i++) {
        if (value >> i & 1) {
            write_bit(offset, EXCEPTION_IRQ0 + offset % 0x80 * 8 + i);
        }
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    unsigned exceptions = nvic.exceptions;
    memset(&nvic, 0, sizeof nvic);
    nvic.exceptions = exceptions;
    // Faults of memory, bus and usage are enabled by SHCSR.
    for (unsigned i = 1; i < EXCEPTION_IRQ0; i++) {
        nvic.enabled[i] = i < EXCEPTION_MEM_FAULT || i > EXCEPTION_USAGE_FAULT;
    }
}

void nvic_build(unsigned irqs) {
    static Register registers[] = {
        {ISER, "ISER", .writable = UINT32_MAX}, {ICER, "ICER", .writable = UINT32_MAX},
        {ISPR, "ISPR", .writable = UINT32_MAX}, {ICPR, "ICPR", .writable = UINT32_MAX},
        {IABR, "IABR", .writable = 0}, {IPR, "IPR", .writable = 0xf0f0f0f0}, {0},
    };
    static Device device = {
        .name = "NVIC", .base = 0xe000e100, .registers = registers, .read = read, .write = write,
        .reset = reset, .narrow = true,
    };
    nvic.exceptions = EXCEPTION_IRQ0 + irqs;
    for (unsigned i = 0; registers[i].name; i++) {
        registers[i].count = (uint16_t)(registers[i].offset == IPR ? irqs / 4 + 1 : irqs / 32 + 1);
    }
    device_add(&device);
}
