// SPDX-License-Identifier: MIT
//
// The System Control Block, ARMv7-M ARM B3.2, with the registers of the FPU (B3.2.20 ff.), the MPU
// (B3.5), the caches (B4.5) and of the cycle counter (C1.8.3, C1.6.5). MPU and caches have
// registers only: regions and cache operations are kept and have no effect, which is right for a
// part without cache, and for one with it hides what firmware forgets to clean.

#include "core.h"

enum {
    CPUID = 0x00, ICSR = 0x04, VTOR = 0x08, AIRCR = 0x0c, SCR = 0x10, CCR = 0x14, SHPR = 0x18,
    SHCSR = 0x24, CFSR = 0x28, HFSR = 0x2c, MMFAR = 0x34, BFAR = 0x38, CCSIDR = 0x80,
    CSSELR = 0x84, CPACR = 0x88, MPU_TYPE = 0x90, DEMCR = 0xfc, STIR = 0x200,
};

static const Part *part;
static Device scb;
static uint32_t counter_from;  // what the cycle counter read when the core's count was 0
static uint64_t counter_stopped;

static uint32_t *kept(uint32_t offset) {
    return device_value(&scb, offset);
}

uint32_t scb_vector_table(void) {
    return *kept(VTOR);
}

bool scb_deep_sleep(void) {
    return *kept(SCR) & 4;
}

void scb_fault_status(uint32_t cfsr, uint32_t address) {
    *kept(CFSR) |= cfsr;
    if (cfsr & 0x8000) {
        *kept(BFAR) = address;
    }
}

void scb_hard_fault(bool forced) {
    *kept(HFSR) |= forced ? 0x40000000 : 0x80000000;
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    if (offset == ICSR) {
        unsigned active = nvic_active();
        return active | (nvic_active_count() < 2 ? 0x800u : 0) | (nvic_pending() ? 0x400000u : 0) |
               (uint32_t)nvic_is_pending(EXCEPTION_SYSTICK) << 26 |
               (uint32_t)nvic_is_pending(EXCEPTION_PENDSV) << 28 |
               (uint32_t)nvic_is_pending(EXCEPTION_NMI) << 31;
    }
    if (offset >= SHPR && offset < SHCSR) {
        uint32_t value = 0;
        for (unsigned i = 0; i < 4; i++) {
            value |= (uint32_t)nvic_priority(4 + offset - SHPR + i) << 8 * i;
        }
        return value;
    }
    return *kept(offset);
}

static void write_icsr(uint32_t value) {
    static const struct {
        uint8_t exception, set, clear;
    } bits[] = {{EXCEPTION_PENDSV, 28, 27}, {EXCEPTION_SYSTICK, 26, 25}, {EXCEPTION_NMI, 31, 30}};
    for (unsigned i = 0; i < 3; i++) {
        if (value >> bits[i].set & 1) {
            nvic_pend(bits[i].exception);
        } else if (value >> bits[i].clear & 1) {
            nvic_unpend(bits[i].exception);
        }
    }
}

static void write_aircr(uint32_t value) {
    if (value >> 16 != 0x05fa) {
        refuse("write of %08x to SCB.AIRCR without its key", (unsigned)value);
    }
    *kept(AIRCR) = 0xfa050000 | (value & 0x700);
    nvic_group(value >> 8 & 7);
    if (value & 4) {
        machine_reset(RESET_SOFTWARE);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self;
    if (offset >= SHPR && offset < SHCSR) {
        for (unsigned i = 0; i < size; i++) {
            nvic_set_priority(4 + offset - SHPR + i, (uint8_t)(value >> 8 * i));
        }
        return;
    }
    if (size != 4) {
        refuse("write of %u bytes to SCB+%02x", size, (unsigned)offset);
    }
    switch (offset) {
    case ICSR:
        write_icsr(value);
        break;
    case AIRCR:
        write_aircr(value);
        break;
    case SHCSR:
        for (unsigned i = EXCEPTION_MEM_FAULT; i <= EXCEPTION_USAGE_FAULT; i++) {
            nvic_enable(i, value >> (16 + i - EXCEPTION_MEM_FAULT) & 1);
        }
        *kept(SHCSR) = value;
        break;
    case STIR:
        nvic_pend(EXCEPTION_IRQ0 + value);
        break;
    case CFSR:
    case HFSR:
        *kept(offset) &= ~value;
        break;
    default:
        *kept(offset) = value;
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    *kept(CPUID) = part->core == CORTEX_M4 ? 0x410fc241 : 0x411fc271;
    *kept(VTOR) = part->boot;
    // The data cache of the H743: 16 KiB, 4 ways of 128 lines of 32 bytes.
    *kept(CCSIDR) = part->core == CORTEX_M4 ? 0 : 0xf00fe019;
    *kept(MPU_TYPE) = part->core == CORTEX_M4 ? 0x800 : 0x1000;
}

// The cycle counter: it stands still while the core sleeps.
enum { DWT_CTRL = 0, DWT_CYCCNT = 4 };

static bool counting;

static uint32_t counter_read(void *self, uint32_t offset) {
    (void)self;
    if (offset == DWT_CTRL) {
        return 0x40000000 | counting;
    }
    return counter_from + (uint32_t)(counting ? core_cycles() : counter_stopped);
}

static void counter_write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t at = counter_read(NULL, DWT_CYCCNT);
    if (offset == DWT_CTRL) {
        counting = (value & 1) && *kept(DEMCR) & 0x01000000;
    }
    counter_stopped = core_cycles();
    counter_from = (offset == DWT_CYCCNT ? value : at) - (uint32_t)counter_stopped;
}

static void counter_reset(void *self, bool power_on) {
    (void)self;
    if (power_on) {
        counting = false;
        counter_stopped = core_cycles();
        counter_from = -(uint32_t)counter_stopped;
    }
}

void scb_build(const Part *built) {
    static const Register registers[] = {
        {CPUID, "CPUID", 0, 0, 0, 0},
        {ICSR, "ICSR", .writable = 0xde000000, .ignored = 0x00c3ffff},
        {VTOR, "VTOR", .writable = 0xffffff80},
        {AIRCR, "AIRCR", 0xfa050000, 0xffff0707, 0, 0},
        // SLEEPONEXIT and SEVONPEND are not modelled.
        {SCR, "SCR", .writable = 4},
        {CCR, "CCR", 0x200, 0x3031b, 0, 0},
        {SHPR, "SHPR", .writable = 0xf0f0f0f0, .count = 3},
        {SHCSR, "SHCSR", .writable = 0x70000},
        {CFSR, "CFSR", .writable = 0x030fbfbb},
        {HFSR, "HFSR", .writable = 0xc0000002},
        {MMFAR, "MMFAR", .writable = UINT32_MAX},
        {BFAR, "BFAR", .writable = UINT32_MAX},
        {CCSIDR, "CCSIDR", 0, 0, 0, 0},
        {CSSELR, "CSSELR", .writable = 15},
        {CPACR, "CPACR", .writable = 0xf00000},
        {MPU_TYPE, "MPU_TYPE", 0, 0, 0, 0},
        {0x94, "MPU_CTRL", .writable = 7},
        {0x98, "MPU_RNR", .writable = 15},
        {0x9c, "MPU_RBAR", .writable = UINT32_MAX},
        {0xa0, "MPU_RASR", .writable = 0x173fff3f},
        {DEMCR, "DEMCR", .writable = 0x01000000},
        {STIR, "STIR", .writable = 0x7f},
        {0x234, "FPCCR", 0xc0000000, 0xc0000000, 0, 0},
        {0x23c, "FPDSCR", .writable = 0x07c00000},
        // Operations on caches, B2.2.7: by address, by set and way, all of the instruction cache.
        {0x250, "ICIALLU", .writable = UINT32_MAX},
        {0x258, "ICIMVAU", .writable = UINT32_MAX, .count = 8},
        {0},
    };
    static const Register counter_registers[] = {
        {DWT_CTRL, "CTRL", 0x40000000, 1, 0, 0},
        {DWT_CYCCNT, "CYCCNT", .writable = UINT32_MAX},
        {0},
    };
    static Device counter = {
        .name = "DWT", .base = 0xe0001000, .registers = counter_registers, .read = counter_read,
        .write = counter_write, .reset = counter_reset,
    };
    part = built;
    scb = (Device){
        .name = "SCB", .base = 0xe000ed00, .registers = registers, .read = read, .write = write,
        .reset = reset, .narrow = true,
    };
    device_add(&scb);
    device_add(&counter);
}
