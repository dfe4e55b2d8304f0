// SPDX-License-Identifier: MIT
//
// SysTick, ARMv7-M ARM B3.3. Its external clock is HCLK / 8, as all STM32 have it.

#include "core.h"

enum { CTRL = 0, LOAD = 4, VAL = 8, CALIB = 12 };
enum { ENABLE = 1, TICKINT = 2, CLKSOURCE = 4, COUNTFLAG = 0x10000 };

static struct {
    uint32_t control, load;
    uint32_t stopped_at;  // the value while it does not count
    uint32_t period;      // what it counts down from now
    Time started;         // when it was at `period`
    Event zero;
} tick;

static Time ticks_to_time(uint64_t ticks) {
    uint32_t hz = tick.control & CLKSOURCE ? core_hz() : core_hz() / 8;
    return ticks * (SEC / hz) + ticks * (SEC % hz) / hz;
}

static uint32_t value_now(void) {
    if (!tick.zero.armed) {
        return tick.stopped_at;
    }
    uint32_t hz = tick.control & CLKSOURCE ? core_hz() : core_hz() / 8;
    Time passed = now() - tick.started;
    uint64_t ticks = passed / SEC * hz + passed % SEC / US * hz / 1000000 +
                     passed % US * (hz / 1000) / (SEC / 1000);
    return ticks >= tick.period ? 0 : tick.period - (uint32_t)ticks;
}

static void count_from(uint32_t value) {
    tick.period = value;
    tick.started = now();
    event_at(&tick.zero, now() + ticks_to_time(value));
}

// The counter goes from 1 to 0; the next clock reloads it.
static void reach_zero(void *self) {
    (void)self;
    tick.control |= COUNTFLAG;
    if (tick.control & TICKINT) {
        nvic_pend(EXCEPTION_SYSTICK);
    }
    if (tick.load) {
        count_from(tick.load + 1);
    } else {
        tick.stopped_at = 0;
    }
}

void systick_clock_changed(void) {
    if (tick.zero.armed) {
        count_from(tick.period);
    }
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t control = tick.control;
    switch (offset) {
    case CTRL:
        tick.control &= ~(uint32_t)COUNTFLAG;
        return control;
    case LOAD:
        return tick.load;
    case VAL:
        return value_now() % (tick.load + 1);
    default:
        return 0xc0000000;  // no calibration value
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t at = value_now();
    switch (offset) {
    case CTRL:
        tick.control = (tick.control & COUNTFLAG) | (value & (ENABLE | TICKINT | CLKSOURCE));
        if (!(value & ENABLE)) {
            event_cancel(&tick.zero);
            tick.stopped_at = at;
        } else if (at || tick.load) {
            count_from(at ? at : tick.load + 1);
        }
        break;
    case LOAD:
        tick.load = value;
        break;
    case VAL:  // any write clears it
        tick.control &= ~(uint32_t)COUNTFLAG;
        tick.stopped_at = 0;
        if (tick.zero.armed) {
            count_from(tick.load + 1);
        }
        break;
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    event_cancel(&tick.zero);
    tick.control = 0;
    tick.load = tick.stopped_at = 0;
}

void systick_build(void) {
    static const Register registers[] = {
        {CTRL, "CTRL", .writable = 7, .ignored = COUNTFLAG},
        {LOAD, "LOAD", .writable = 0xffffff},
        {VAL, "VAL", .writable = UINT32_MAX},
        {CALIB, "CALIB", 0xc0000000, 0, 0, 0},
        {0},
    };
    static Device device = {
        .name = "SysTick", .base = 0xe000e010, .registers = registers, .read = read,
        .write = write, .reset = reset,
    };
    tick.zero.fire = reach_zero;
    device_add(&device);
}
