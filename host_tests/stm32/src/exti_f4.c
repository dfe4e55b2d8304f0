// SPDX-License-Identifier: MIT
//
// EXTI and SYSCFG of the F405 and F446: RM0090 12 and 9, RM0390 10 and 8. EXTI sees the pins'
// lines 0 to 15 only; those of the RTC, USB and the voltage detector never come. Left out: events
// (EMR), remapping of memory, the compensation cell.

#include <stdio.h>

#include "exti_f4.h"

enum { IMR = 0x00, EMR = 0x04, RTSR = 0x08, FTSR = 0x0c, SWIER = 0x10, PR = 0x14 };
enum { MEMRMP = 0x00, PMC = 0x04, EXTICR = 0x08, CMPCR = 0x20 };
enum { LINES = 23, PORTS = 9 };

static Device exti, syscfg;

static uint32_t *kept(uint32_t offset) {
    return device_value(&exti, offset);
}

static void update_irqs(void) {
    static const uint8_t irqs[LINES] = {
        6, 7, 8, 9, 10, 23, 23, 23, 23, 23, 40, 40, 40, 40, 40, 40, 1, 41, 42, 62, 76, 2, 3,
    };
    uint32_t due = *kept(PR) & *kept(IMR);
    for (unsigned line = 0; line < LINES;) {
        unsigned irq = irqs[line];
        bool level = false;
        for (; line < LINES && irqs[line] == irq; line++) {
            level |= due >> line & 1;
        }
        irq_line(irq, level);
    }
}

typedef struct {
    uint8_t port, pin;
} Watched;

static void pin_changed(void *self, bool level) {
    const Watched *watched = self;
    unsigned pin = watched->pin;
    uint32_t selected = *device_value(&syscfg, EXTICR + pin / 4 * 4) >> pin % 4 * 4 & 15;
    if (selected == watched->port && *kept(level ? RTSR : FTSR) >> pin & 1) {
        *kept(PR) |= 1u << pin;
        update_irqs();
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    switch (offset) {
    case PR:
        *kept(PR) &= ~value;
        *kept(SWIER) &= ~value;
        break;
    case SWIER:
        *kept(PR) |= value & ~*kept(SWIER) & *kept(IMR);
        *kept(SWIER) |= value;
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

void exti_f4_add(unsigned ports, Gate syscfg_gate) {
    static const Register registers[] = {
        {IMR, "IMR", .writable = 0x7fffff},   {EMR, "EMR", .writable = 0x7fffff},
        {RTSR, "RTSR", .writable = 0x7fffff}, {FTSR, "FTSR", .writable = 0x7fffff},
        {SWIER, "SWIER", .writable = 0x7fffff}, {PR, "PR", .writable = 0x7fffff}, {0},
    };
    static const Register syscfg_registers[] = {
        {MEMRMP, "MEMRMP", .writable = 0},
        {PMC, "PMC", .writable = 0},
        {EXTICR, "EXTICR", .writable = 0xffff, .count = 4},
        {CMPCR, "CMPCR", .writable = 0},
        {0},
    };
    static Watched watched[PORTS * 16];
    exti = (Device){
        .name = "EXTI", .base = 0x40013c00, .registers = registers, .write = write,
        .reset = reset,
    };
    syscfg = (Device){
        .name = "SYSCFG", .base = 0x40013800, .registers = syscfg_registers, .gate = syscfg_gate,
    };
    device_add(&exti);
    device_add(&syscfg);
    for (unsigned i = 0; i < 16 * ports; i++) {
        char name[16];
        watched[i] = (Watched){(uint8_t)(i / 16), (uint8_t)(i % 16)};
        snprintf(name, sizeof name, "P%c%u", (char)('A' + i / 16), i % 16);
        wire_watch(pin_wire(name), pin_changed, &watched[i]);
    }
}
