// SPDX-License-Identifier: MIT
//
// I2C of the G474 and H743 as a master: RM0440 chapter 41, RM0433 chapter 47. Each bit is driven
// on the wires, in the times that TIMINGR and the kernel clock give. Left out: the slave (own
// addresses may be set, and are never recognized), 10-bit addresses, DMA, SMBus with its time-outs
// and PEC, clock stretching by a second master.

#include "i2c_v2.h"

#include <stdlib.h>

enum {
    CR1 = 0x00, CR2 = 0x04, OAR1 = 0x08, OAR2 = 0x0c, TIMINGR = 0x10, TIMEOUTR = 0x14,
    ISR = 0x18, ICR = 0x1c, PECR = 0x20, RXDR = 0x24, TXDR = 0x28,
};
// CR1; the interrupts are enabled by TXIE and RXIE, NACKIE, STOPIE, TCIE, ERRIE
enum {
    PE = 1 << 0, TXIE = 1 << 1, RXIE = 1 << 2, NACKIE = 1 << 4, STOPIE = 1 << 5, TCIE = 1 << 6,
    ERRIE = 1 << 7, ANFOFF = 1 << 12, FILTERS = ANFOFF | 15 << 8,
};
// CR2
enum {
    RD_WRN = 1 << 10, START = 1 << 13, STOP = 1 << 14, NACK = 1 << 15, RELOAD = 1 << 24,
    AUTOEND = 1 << 25,
};
// ISR
enum {
    TXE = 1 << 0, TXIS = 1 << 1, RXNE = 1 << 2, NACKF = 1 << 4, STOPF = 1 << 5, TC = 1 << 6,
    TCR = 1 << 7, BERR = 1 << 8, ARLO = 1 << 9, BUSY = 1 << 15,
    CLEARED_BY_ICR = NACKF | STOPF | BERR | ARLO,
};

typedef enum {
    IDLE,
    WAITS_FOR_BUS,   // START is set, somebody holds the bus
    STARTS,          // SDA is low, SCL goes low next
    LOW_BEFORE,      // SCL is low, SDA still has the last bit
    LOW_AFTER,       // SDA has the next bit
    RISES,           // SCL is released; somebody may hold it
    HIGH,
    HOLDS_BYTE,      // SCL is held low: a byte is needed
    HOLDS_ACK,       // SCL is held low: RXDR is full
    HOLDS_END,       // SCL is held low: TC or TCR
    RESTARTS,        // SCL is high, SDA goes low next
    STOPS,           // SCL is high, SDA goes high next
} State;

// What the next clock pulse is for
typedef enum { PULSE_BIT, PULSE_ACK, PULSE_RESTART, PULSE_STOP } Pulse;

typedef struct {
    const I2cV2Part *part;
    Device device;
    Function *scl[I2C_V2_PINS], *sda[I2C_V2_PINS];
    uint32_t flags;
    State state;
    Pulse pulse;
    Event step;
    bool address, reading, sda_out;  // `sda_out`: what it puts on SDA; 1 is released
    unsigned bits;  // of the byte that have passed
    uint8_t shift, transmit, received;
    unsigned left;  // bytes of NBYTES
} I2c;

static uint32_t *kept(const I2c *i2c, uint32_t offset) {
    return device_value(&i2c->device, offset);
}

static bool is_set(const I2c *i2c, uint32_t bits) {
    return *kept(i2c, CR2) & bits;
}

// Wires ------------------------------------------------------------------------------------------

static Function *selected(Function *const *functions) {
    for (unsigned i = 0; i < I2C_V2_PINS && functions[i]; i++) {
        if (function_selected(functions[i])) {
            return functions[i];
        }
    }
    return NULL;
}

static void drive(Function *const *functions, bool level) {
    for (unsigned i = 0; i < I2C_V2_PINS && functions[i]; i++) {
        function_drive(functions[i], level ? DRIVE_NONE : DRIVE_LOW);
    }
}

static bool level(Function *const *functions) {
    Function *function = selected(functions);
    return function && function_level(function);
}

static void set_sda(I2c *i2c, bool high) {
    i2c->sda_out = high;
    drive(i2c->sda, high);
}

// Time -------------------------------------------------------------------------------------------

static Time kernel_periods(const I2c *i2c, uint64_t count) {
    uint32_t hz = i2c->part->clock();
    if (!hz) {
        refuse("%s has no kernel clock", i2c->part->name);
    }
    return count * SEC / hz;
}

// The time of a field of TIMINGR.
static Time field(const I2c *i2c, unsigned shift, unsigned width) {
    uint32_t timing = *kept(i2c, TIMINGR), count = (timing >> shift & ((1u << width) - 1)) + 1;
    return kernel_periods(i2c, (uint64_t)count * ((timing >> 28) + 1));
}

// How late it sees an edge (RM0440 41.4.9, tSYNC1 and tSYNC2): filters, and 3 periods for the
// synchronization. The analog filter delays by 50 ns to 260 ns, typically 90 ns.
static Time seen_after(const I2c *i2c) {
    uint32_t control = *kept(i2c, CR1);
    return (control & ANFOFF ? 0 : 90 * NS) + kernel_periods(i2c, 3 + (control >> 8 & 15));
}

static Time low_time(const I2c *i2c) {
    return seen_after(i2c) + field(i2c, 0, 8);
}

static Time high_time(const I2c *i2c) {
    return seen_after(i2c) + field(i2c, 8, 8);
}

// From the falling edge of SCL to the change of SDA.
static Time data_time(const I2c *i2c) {
    uint32_t timing = *kept(i2c, TIMINGR);
    uint64_t count = (uint64_t)(timing >> 16 & 15) * ((timing >> 28) + 1);
    return seen_after(i2c) + kernel_periods(i2c, count + 1);
}

// Flags ------------------------------------------------------------------------------------------

static void update_irqs(const I2c *i2c) {
    uint32_t enabled = *kept(i2c, CR1), flags = i2c->flags;
    irq_line(
        i2c->part->irq_event,
        (enabled & TXIE && flags & TXIS) || (enabled & RXIE && flags & RXNE) ||
            (enabled & NACKIE && flags & NACKF) || (enabled & STOPIE && flags & STOPF) ||
            (enabled & TCIE && flags & (TC | TCR))
    );
    irq_line(i2c->part->irq_error, enabled & ERRIE && flags & (BERR | ARLO));
}

static void raise(I2c *i2c, uint32_t flags) {
    i2c->flags |= flags;
    update_irqs(i2c);
}

// Protocol ---------------------------------------------------------------------------------------

static void go_low(I2c *i2c, Pulse pulse) {
    i2c->pulse = pulse;
    i2c->state = LOW_BEFORE;
    drive(i2c->scl, false);
    event_in(&i2c->step, data_time(i2c));
}

// SCL goes on after it was held low.
static void resume(I2c *i2c, Pulse pulse) {
    i2c->pulse = pulse;
    i2c->state = LOW_BEFORE;
    event_in(&i2c->step, data_time(i2c));
}

static void release(I2c *i2c) {
    i2c->state = IDLE;
    event_cancel(&i2c->step);
    drive(i2c->scl, true);
    set_sda(i2c, true);
}

static void begin_byte(I2c *i2c, uint8_t byte) {
    i2c->shift = byte;
    i2c->bits = 0;
}

// The transmit register goes into the shift register.
static void load(I2c *i2c) {
    begin_byte(i2c, i2c->transmit);
    i2c->flags |= TXE;
    if (i2c->left > 1) {
        raise(i2c, TXIS);
    }
}

static void hold(I2c *i2c, State state, uint32_t flags) {
    i2c->state = state;
    raise(i2c, flags);
}

// A byte and its acknowledgement are over, and SCL is low.
static void next_byte(I2c *i2c) {
    if (is_set(i2c, STOP)) {
        resume(i2c, PULSE_STOP);
    } else if (!i2c->left && is_set(i2c, RELOAD)) {
        hold(i2c, HOLDS_END, TCR);
    } else if (!i2c->left && is_set(i2c, AUTOEND)) {
        resume(i2c, PULSE_STOP);
    } else if (!i2c->left) {
        hold(i2c, HOLDS_END, TC);
    } else if (i2c->reading) {
        begin_byte(i2c, 0);
        resume(i2c, PULSE_BIT);
    } else if (i2c->flags & TXE) {
        hold(i2c, HOLDS_BYTE, TXIS);
    } else {
        load(i2c);
        resume(i2c, PULSE_BIT);
    }
}

static void begin_address(I2c *i2c) {
    uint32_t control = *kept(i2c, CR2);
    i2c->address = true;
    i2c->reading = control & RD_WRN;
    i2c->left = control >> 16 & 0xff;
    i2c->state = STARTS;
    begin_byte(i2c, (uint8_t)((control & 0xfe) | (i2c->reading ? 1 : 0)));
    set_sda(i2c, false);
    event_in(&i2c->step, high_time(i2c));
}

static void try_start(I2c *i2c) {
    if (!selected(i2c->scl) || !selected(i2c->sda)) {
        refuse("%s.CR2.START without its pins", i2c->part->name);
    }
    i2c->state = WAITS_FOR_BUS;
    if (!(i2c->flags & BUSY) && level(i2c->scl) && level(i2c->sda)) {
        begin_address(i2c);
    }
}

static void acknowledged(I2c *i2c, bool ack) {
    bool was_address = i2c->address;
    i2c->address = false;
    if (was_address) {
        *kept(i2c, CR2) &= ~(uint32_t)START;
    }
    if (!ack && (was_address || !i2c->reading)) {
        raise(i2c, NACKF);
        resume(i2c, PULSE_STOP);
        return;
    }
    i2c->left -= !was_address && !i2c->reading;
    next_byte(i2c);
}

// The eighth bit of a byte that comes in is over, and SCL is low. It counts from now on, before it
// is acknowledged: MicroPython's i2c_read loads NBYTES anew when it sees RXNE.
static void byte_received(I2c *i2c) {
    if (i2c->flags & RXNE) {
        i2c->state = HOLDS_ACK;
        return;
    }
    i2c->received = i2c->shift;
    i2c->left--;
    raise(i2c, RXNE);
    resume(i2c, PULSE_ACK);
}

static void after_pulse(I2c *i2c) {
    drive(i2c->scl, false);
    if (i2c->pulse == PULSE_ACK) {
        acknowledged(i2c, !(i2c->shift & 1));
    } else if (++i2c->bits < 8) {
        resume(i2c, PULSE_BIT);
    } else if (i2c->address || !i2c->reading) {
        resume(i2c, PULSE_ACK);
    } else {
        byte_received(i2c);
    }
}

static bool next_sda(const I2c *i2c) {
    bool receives = i2c->reading && !i2c->address;
    switch (i2c->pulse) {
    case PULSE_BIT:
        return receives || i2c->shift >> 7;
    case PULSE_ACK:
        // The last byte that it wants is not acknowledged.
        return !receives || (!i2c->left && !is_set(i2c, RELOAD));
    case PULSE_RESTART:
        return true;
    default:
        return false;
    }
}

static void lose_arbitration(I2c *i2c) {
    release(i2c);
    *kept(i2c, CR2) &= ~(uint32_t)(START | STOP);
    raise(i2c, ARLO);
}

// SCL is high: what SDA has counts.
static void scl_high(I2c *i2c) {
    bool sda = level(i2c->sda), receives = i2c->reading && !i2c->address;
    if (i2c->pulse == PULSE_RESTART || i2c->pulse == PULSE_STOP) {
        i2c->state = i2c->pulse == PULSE_STOP ? STOPS : RESTARTS;
        event_in(&i2c->step, high_time(i2c));
        return;
    }
    bool drives = i2c->pulse == PULSE_BIT ? !receives : receives;
    if (drives && i2c->sda_out && !sda) {
        lose_arbitration(i2c);
        return;
    }
    i2c->shift = (uint8_t)(i2c->shift << 1 | sda);
    i2c->state = HIGH;
    event_in(&i2c->step, high_time(i2c));
}

static void step(void *self) {
    I2c *i2c = self;
    switch (i2c->state) {
    case STARTS:
        go_low(i2c, PULSE_BIT);
        break;
    case LOW_BEFORE:
        set_sda(i2c, next_sda(i2c));
        i2c->state = LOW_AFTER;
        // SCLDEL is the least time of data before the clock; SCLL that of the whole low phase.
        event_in(&i2c->step, field(i2c, 20, 4) > low_time(i2c) - data_time(i2c)
                                 ? field(i2c, 20, 4)
                                 : low_time(i2c) - data_time(i2c));
        break;
    case LOW_AFTER:
        i2c->state = RISES;
        drive(i2c->scl, true);
        if (i2c->state == RISES && level(i2c->scl)) {
            scl_high(i2c);
        }
        break;
    case HIGH:
        after_pulse(i2c);
        break;
    case RESTARTS:
        begin_address(i2c);
        break;
    case STOPS:
        i2c->state = IDLE;
        set_sda(i2c, true);
        *kept(i2c, CR2) &= ~(uint32_t)STOP;
        raise(i2c, STOPF);
        break;
    default:
        break;
    }
}

static void scl_changed(void *self, bool high) {
    I2c *i2c = self;
    if (high && i2c->state == RISES && level(i2c->scl)) {
        scl_high(i2c);
    } else if (high && i2c->state == WAITS_FOR_BUS) {
        try_start(i2c);
    }
}

static void sda_changed(void *self, bool high) {
    I2c *i2c = self;
    if (!(*kept(i2c, CR1) & PE) || !level(i2c->scl) || level(i2c->sda) != high) {
        return;
    }
    if (i2c->state == HIGH) {
        raise(i2c, BERR);  // START or STOP in the middle of a byte
    }
    i2c->flags = high ? i2c->flags & ~(uint32_t)BUSY : i2c->flags | BUSY;
    if (high && i2c->state == WAITS_FOR_BUS) {
        try_start(i2c);
    }
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read_data(I2c *i2c) {
    uint8_t byte = i2c->received;
    i2c->flags &= ~(uint32_t)RXNE;
    update_irqs(i2c);
    if (i2c->state == HOLDS_ACK) {
        byte_received(i2c);
    }
    return byte;
}

static uint32_t read(void *self, uint32_t offset) {
    I2c *i2c = self;
    switch (offset) {
    case ISR:
        return i2c->flags;
    case RXDR:
        return read_data(i2c);
    case TXDR:
        return i2c->transmit;
    default:
        return *kept(i2c, offset);
    }
}

static void disable(I2c *i2c) {
    release(i2c);
    i2c->flags = TXE;
    *kept(i2c, CR2) &= ~(uint32_t)(START | STOP | NACK);
}

static void write_cr1(I2c *i2c, uint32_t value) {
    uint32_t was = *kept(i2c, CR1);
    if (was & PE && value & PE && (value ^ was) & FILTERS) {
        refuse("write of %08x to %s.CR1: a filter is changed while it is on", (unsigned)value,
               i2c->part->name);
    }
    *kept(i2c, CR1) = value;
    if (!(value & PE)) {
        disable(i2c);
    }
    update_irqs(i2c);
}

static void write_cr2(I2c *i2c, uint32_t value) {
    uint32_t was = *kept(i2c, CR2), set = value & ~was & (START | STOP);
    bool ends = i2c->state == HOLDS_END, complete = ends && i2c->flags & TC;
    if (!(*kept(i2c, CR1) & PE) && set) {
        refuse("write of %08x to %s.CR2 while it is off", (unsigned)value, i2c->part->name);
    }
    if (was & START && (value ^ was) & 0x00ff07ff) {
        refuse("write of %08x to %s.CR2 while START is set", (unsigned)value, i2c->part->name);
    }
    // A written 0 does not clear START and STOP.
    *kept(i2c, CR2) = value | (was & (START | STOP));
    if (set & START) {
        i2c->flags &= ~(uint32_t)(TC | TCR);
        if (complete) {
            resume(i2c, PULSE_RESTART);
        } else if (i2c->state == IDLE) {
            try_start(i2c);
        } else {
            refuse("%s.CR2.START is set in the middle of a transfer", i2c->part->name);
        }
    } else if (complete && (set & STOP || value & AUTOEND)) {
        // AUTOEND that comes late counts, too: MicroPython's i2c.c relies on it for no bytes.
        i2c->flags &= ~(uint32_t)TC;
        resume(i2c, PULSE_STOP);
    } else if (i2c->state != IDLE && !complete && !(was & START) && !i2c->left &&
               value >> 16 & 0xff) {
        i2c->left = value >> 16 & 0xff;
        i2c->flags &= ~(uint32_t)TCR;
        if (ends) {
            next_byte(i2c);
        }
    }
    update_irqs(i2c);
}

static void write_txdr(I2c *i2c, uint32_t value) {
    if (!(i2c->flags & TXE)) {
        refuse("%s.TXDR is written before TXE: a byte is lost", i2c->part->name);
    }
    i2c->transmit = (uint8_t)value;
    i2c->flags &= ~(uint32_t)(TXE | TXIS);
    if (i2c->state == HOLDS_BYTE) {
        load(i2c);
        resume(i2c, PULSE_BIT);
    }
    update_irqs(i2c);
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    I2c *i2c = self;
    switch (offset) {
    case CR1:
        write_cr1(i2c, value);
        return;
    case CR2:
        write_cr2(i2c, value);
        return;
    case TIMINGR:
        if (*kept(i2c, CR1) & PE && value != *kept(i2c, TIMINGR)) {
            refuse("%s.TIMINGR is changed while PE is set", i2c->part->name);
        }
        break;
    case ISR:
        i2c->flags |= value & TXE;  // the byte that waits is dropped
        return;
    case ICR:
        i2c->flags &= ~(value & CLEARED_BY_ICR);
        update_irqs(i2c);
        return;
    case TXDR:
        write_txdr(i2c, value);
        return;
    default:
        break;
    }
    *kept(i2c, offset) = value;
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    disable(self);
    update_irqs(self);
}

static void find_pins(
    I2c *i2c, Function **functions, const I2cV2Pin *pins, void (*changed)(void *self, bool level)
) {
    for (unsigned i = 0; i < I2C_V2_PINS && pins[i].pin; i++) {
        functions[i] = pin_function(pins[i].pin, pins[i].function, true);
        wire_watch(pin_wire(pins[i].pin), changed, i2c);
    }
}

void i2c_v2_add(const I2cV2Part *part) {
    static const Register registers[] = {
        {CR1, "CR1", .writable = 0x00001fff & ~8u},
        {CR2, "CR2", .writable = 0x03ffe4ff},
        {OAR1, "OAR1", .writable = 0x87ff},
        {OAR2, "OAR2", .writable = 0x87fe},
        {TIMINGR, "TIMINGR", .writable = 0xf0ffffff},
        {TIMEOUTR, "TIMEOUTR", .writable = 0},
        {ISR, "ISR", TXE, TXE, 0, 0},
        {ICR, "ICR", .writable = 0x3f38},
        {PECR, "PECR", .writable = 0},
        {RXDR, "RXDR", .writable = 0},
        {TXDR, "TXDR", .writable = 0xff},
        {0},
    };
    I2c *i2c = calloc(1, sizeof *i2c);
    i2c->part = part;
    i2c->device = (Device){
        .name = part->name, .base = part->base, .registers = registers, .self = i2c,
        .read = read, .write = write, .reset = reset, .gate = part->gate,
        // pyb_i2c_deinit_all of MicroPython disables every I2C at a soft reset.
        .silent_without_clock = true,
    };
    i2c->step = (Event){.fire = step, .self = i2c};
    find_pins(i2c, i2c->scl, part->scl, scl_changed);
    find_pins(i2c, i2c->sda, part->sda, sda_changed);
    device_add(&i2c->device);
}
