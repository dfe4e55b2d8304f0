// SPDX-License-Identifier: MIT
//
// EXTI and SYSCFG of the G474: RM0440 15 and 10. EXTI sees the pins' lines 0 to 15 only; those of
// the RTC, comparators and other peripherals never come. Left out: events (EMR), remapping of
// memory, protection of the CCM SRAM, analog switches.

#include "exti_g4.h"

#include <stdio.h>

enum { IMR1 = 0x00, EMR1 = 0x04, RTSR1 = 0x08, FTSR1 = 0x0c, SWIER1 = 0x10, PR1 = 0x14 };
enum { SECOND = 0x20, MEMRMP = 0x00, CFGR1 = 0x04, EXTICR = 0x08, SCSR = 0x18 };
enum { PINS = 16, PORTS = 7, CONFIGURABLE = 0x607fffff };

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
        *kept(PR1) &= ~value;
        *kept(SWIER1) &= ~value;
        break;
    case SWIER1:
        *kept(PR1) |= value & ~*kept(SWIER1) & *kept(IMR1);
        *kept(SWIER1) |= value;
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

void exti_g4_add(unsigned ports, Gate syscfg_gate) {
    static const Register registers[] = {
        {IMR1, "IMR1", 0x1f840000, UINT32_MAX, 0, 0},
        {EMR1, "EMR1", .writable = UINT32_MAX},
        {RTSR1, "RTSR1", .writable = CONFIGURABLE},
        {FTSR1, "FTSR1", .writable = CONFIGURABLE},
        {SWIER1, "SWIER1", .writable = CONFIGURABLE},
        {PR1, "PR1", .writable = CONFIGURABLE},
        {SECOND + IMR1, "IMR2", 0xfffffc3c, 0xfff, 0, 0},
        {SECOND + EMR1, "EMR2", .writable = 0xfff},
        {SECOND + RTSR1, "RTSR2", .writable = 0x3c3},
        {SECOND + FTSR1, "FTSR2", .writable = 0x3c3},
        {0},
    };
    static const Register syscfg_registers[] = {
        {MEMRMP, "MEMRMP", .writable = 0},
        {CFGR1, "CFGR1", 0x7c000001, 0, 0, 0},
        {EXTICR, "EXTICR", .writable = 0xffff, .count = 4},
        {SCSR, "SCSR", .writable = 0},
        {0},
    };
    static Watched watched[PORTS * PINS];
    exti = (Device){
        .name = "EXTI", .base = 0x40010400, .registers = registers, .write = write,
        .reset = reset,
    };
    syscfg = (Device){
        .name = "SYSCFG", .base = 0x40010000, .registers = syscfg_registers, .gate = syscfg_gate,
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
