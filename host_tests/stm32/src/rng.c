// SPDX-License-Identifier: MIT
//
// The random number generator: RM0090 24, RM0440 26, RM0433 33. Its numbers come from the seed of
// the machine. Left out: seed errors; a clock error is refused.

#include "rng.h"

enum { CR = 0, SR = 4, DR = 8, RNGEN = 4, IE = 8, DRDY = 1 };

static Device device;
static Clock clock_of;
static unsigned line, cycles_of;
static Event number;
static bool ready;

static uint32_t control(void) {
    return *device_value(&device, CR);
}

static void update_irq(void) {
    irq_line(line, ready && control() & IE);
}

static void make_number(void) {
    uint32_t hz = clock_of();
    if (hz < core_hz() / 16) {
        refuse("RNG at %u Hz, less than HCLK / 16", (unsigned)hz);
    }
    event_in(&number, cycles_of * (SEC / hz));
}

static void made(void *self) {
    (void)self;
    ready = true;
    update_irq();
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    switch (offset) {
    case CR:
        return control();
    case SR:
        return ready ? DRDY : 0;
    default:
        if (!ready) {
            refuse("RNG.DR is read before SR.DRDY");
        }
        ready = false;
        update_irq();
        if (control() & RNGEN) {
            make_number();
        }
        return machine_random();
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    if (offset == CR) {
        bool starts = value & RNGEN & ~control();
        *device_value(&device, CR) = value;
        if (starts && !ready) {
            make_number();
        } else if (!(value & RNGEN)) {
            event_cancel(&number);
        }
        update_irq();
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    ready = false;
    event_cancel(&number);
    update_irq();
}

void rng_add(uint32_t base, unsigned irq, Gate gate, Clock clock, unsigned cycles) {
    static const Register registers[] = {
        {CR, "CR", .writable = RNGEN | IE},
        {SR, "SR", .writable = 0x60},  // the latched errors clear by a 0
        {DR, "DR", .writable = 0},
        {0},
    };
    clock_of = clock;
    line = irq;
    cycles_of = cycles;
    number.fire = made;
    device = (Device){
        .name = "RNG", .base = base, .registers = registers, .read = read, .write = write,
        .reset = reset, .gate = gate,
        // MicroPython's rng_get looks whether it is on before it gives it a clock.
        .silent_without_clock = true,
    };
    device_add(&device);
}
