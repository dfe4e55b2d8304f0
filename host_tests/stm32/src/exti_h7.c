// SPDX-License-Identifier: MIT
//
// EXTI and SYSCFG of the H743: RM0433 20 and 12. EXTI sees the pins' lines 0 to 15 only; those of
// the RTC, USB and other peripherals never come. Left out: events, wake-up of the D3 domain, the
// analog switches, the boost of analog inputs, locks, and the user registers of SYSCFG. The I/O
// compensation cell is ready as soon as it is on and has CSI.

#include "exti_h7.h"

#include <stdio.h>

#include "pwr_h7.h"
#include "rcc_h7.h"

enum { RTSR1 = 0x00, FTSR1 = 0x04, SWIER1 = 0x08, IMR1 = 0x80, EMR1 = 0x84, PR1 = 0x88 };
enum { GROUP = 0x20, MASKS = 0x10 };  // from the registers of lines 0 to 31 to the next ones
enum { PMCR = 0x04, EXTICR = 0x08, CFGR = 0x18, CCCSR = 0x20, PWRCR = 0x2c };
enum { CELL_ON = 1, CELL_READY = 1 << 8, ODEN = 1 };
enum { PINS = 16, PORTS = 11, CONFIGURABLE = 0x3fffff };

static Device exti, syscfg;

static uint32_t *kept(uint32_t offset) {
    return device_value(&exti, offset);
}

static void update_irqs(void) {
    uint32_t due = *kept(PR1) & *kept(IMR1);
    for (unsigned line = 0; line < 5; line++) {
        irq_line(6 + line, due >> line & 1);
    }
    irq_line(23, due & 0x03e0);
    irq_line(40, due & 0xfc00);
}

typedef struct {
    uint8_t port, pin;
} Watched;

static void pin_changed(void *self, bool level) {
    const Watched *watched = self;
    unsigned pin = watched->pin;
    uint32_t selected = *device_value(&syscfg, EXTICR + pin / 4 * 4) >> pin % 4 * 4 & 15;
    if (selected == watched->port && *kept(level ? RTSR1 : FTSR1) >> pin & 1) {
        *kept(PR1) |= 1u << pin;
        update_irqs();
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    switch (offset) {
    case PR1:
    case PR1 + MASKS:
    case PR1 + 2 * MASKS:
        *kept(offset) &= ~value;
        break;
    case SWIER1:
        *kept(PR1) |= value;  // the bits clear by themselves
        break;
    default:
        *kept(offset) = value;
    }
    update_irqs();
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    update_irqs();
}

static uint32_t read_syscfg(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = *device_value(&syscfg, offset);
    bool ready = offset == CCCSR && value & CELL_ON && rcc_h7_csi_ready();
    return value | (ready ? CELL_READY : 0);
}

static void write_syscfg(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    *device_value(&syscfg, offset) = value & syscfg.index[offset / 4]->writable;
    if (offset == PWRCR) {
        pwr_h7_overdrive(value & ODEN);
    }
}

void exti_h7_add(unsigned ports, Gate syscfg_gate) {
    static const Register registers[] = {
        {RTSR1, "RTSR1", .writable = CONFIGURABLE},
        {FTSR1, "FTSR1", .writable = CONFIGURABLE},
        {SWIER1, "SWIER1", .writable = CONFIGURABLE},
        {GROUP + RTSR1, "RTSR2", .writable = 0xa0000},
        {GROUP + FTSR1, "FTSR2", .writable = 0xa0000},
        {2 * GROUP + RTSR1, "RTSR3", .writable = 0x740000},
        {2 * GROUP + FTSR1, "FTSR3", .writable = 0x740000},
        {IMR1, "CPUIMR1", 0xffc00000, UINT32_MAX, 0, 0},
        {EMR1, "CPUEMR1", .writable = UINT32_MAX},
        {PR1, "CPUPR1", .writable = CONFIGURABLE},
        {MASKS + IMR1, "CPUIMR2", UINT32_MAX, 0xffffdfff, 0, 0},
        {MASKS + EMR1, "CPUEMR2", .writable = 0xffffdfff},
        {MASKS + PR1, "CPUPR2", .writable = 0xa0000},
        {2 * MASKS + IMR1, "CPUIMR3", 0x01ffffff, 0x00f5ffff, 0, 0},
        {2 * MASKS + EMR1, "CPUEMR3", .writable = 0x00f5ffff},
        {2 * MASKS + PR1, "CPUPR3", .writable = 0x740000},
        {0},
    };
    static const Register syscfg_registers[] = {
        {PMCR, "PMCR", .writable = 0xff},
        {EXTICR, "EXTICR", .writable = 0xffff, .count = 4},
        {CFGR, "CFGR", .writable = 0},
        {CCCSR, "CCCSR", 0, CELL_ON, CELL_READY, 0},  // HAL_EnableCompensationCell reads it back
        {PWRCR, "PWRCR", .writable = ODEN},
        {0},
    };
    static Watched watched[PORTS * PINS];
    exti = (Device){
        .name = "EXTI", .base = 0x58000000, .registers = registers, .write = write,
        .reset = reset,
    };
    syscfg = (Device){
        .name = "SYSCFG", .base = 0x58000400, .registers = syscfg_registers, .read = read_syscfg,
        .write = write_syscfg, .gate = syscfg_gate,
    };
    device_add(&exti);
    device_add(&syscfg);
    for (unsigned i = 0; i < PINS * ports; i++) {
        char name[16];
        watched[i] = (Watched){(uint8_t)(i / PINS), (uint8_t)(i % PINS)};
        snprintf(name, sizeof name, "P%c%u", (char)('A' + i / PINS), i % PINS);
        wire_watch(pin_wire(name), pin_changed, &watched[i]);
    }
}
