// SPDX-License-Identifier: MIT
//
// I2C of the F4: RM0090 chapter 27, RM0390 chapter 24, as a master.
//
// It drives SCL and SDA bit by bit; a bit has the low and the high time that CCR, DUTY and the
// clock give. SDA changes at the falling edge of SCL. A rising edge takes no time, so TRISE is
// only checked for being set. Whoever holds SCL low stretches it.
//
// Left out, and refused by the table of registers: slave mode (ACK with an own address, STOPF),
// 10-bit addresses as far as ADD10 goes, DMA, SMBus, PEC and the digital filter. Refused as the
// manual leaves it undefined: START with wrong FREQ, CCR or TRISE, or without pins; CCR, TRISE,
// FREQ and FLTR while PE is set; CR1 while START or STOP is pending, unless PE is cleared; DR
// written without SB or TXE; DR read or written with BTF, or written with SB, when SR1 was not
// read before; STOP without a transfer; a third byte received with POS.

#include "i2c_v1.h"

enum {
    CR1 = 0x00, CR2 = 0x04, OAR1 = 0x08, OAR2 = 0x0c, DR = 0x10, SR1 = 0x14, SR2 = 0x18,
    CCR = 0x1c, TRISE = 0x20, FLTR = 0x24,
};
enum {
    PE = 1 << 0, START = 1 << 8, STOP = 1 << 9, ACK = 1 << 10, POS = 1 << 11, SWRST = 1 << 15,
};
enum { FREQ = 0x3f, ITERREN = 1 << 8, ITEVTEN = 1 << 9, ITBUFEN = 1 << 10 };
enum {
    SB = 1 << 0, ADDR = 1 << 1, BTF = 1 << 2, RXNE = 1 << 6, TXE = 1 << 7, BERR = 1 << 8,
    ARLO = 1 << 9, AF = 1 << 10, ERRORS = BERR | ARLO | AF,
};
enum { MSL = 1 << 0, BUSY = 1 << 1, TRA = 1 << 2 };
enum { DUTY = 1 << 14, FAST = 1 << 15, CCR_MASK = 0xfff };

// What is on the wires. In all but IDLE and the two steps that begin a START, SCL is held low or
// clocked by this master.
typedef enum {
    IDLE,
    FREE,       // the time between STOP and START
    START_HELD, // SDA is low, SCL still high
    LOW,        // a bit: SCL is low
    HIGH,       // a bit: SCL is high, or about to be
    WAITING,    // between two bytes: SCL is low until software has done something
    RESTART_LOW,
    RESTART_HIGH,
    STOP_LOW,
    STOP_HIGH,
} Step;

typedef enum { ADDRESS, SEND, RECEIVE } Kind;

typedef struct {
    I2cV1Part part;
    Device device;
    Function *scl[I2C_PINS], *sda[I2C_PINS];
    unsigned scl_count, sda_count;
    uint32_t cr1, cr2, oar1, oar2, ccr, trise, fltr;
    uint32_t sr1, seen;  // flags, and those that were set when SR1 was read
    bool master, busy, transmitter, disabling;
    uint8_t data, shift;
    bool shift_full;  // a byte that waits for DR, after its acknowledge
    Kind kind;
    Step step;
    unsigned bit;      // 0..7, 8: acknowledge
    unsigned received; // bytes since the address
    bool acknowledge;  // what POS has put off
    bool nacked;       // no further byte until STOP or START
    bool sda_out, scl_out;
    bool scl_was, sda_was;
    Event next;
} I2c;

static uint32_t without(uint32_t value, uint32_t bits) {
    return value & ~bits;
}

// Wires ------------------------------------------------------------------------------------------

// The level that arrives at the peripheral: high while no pin is its own.
static bool level(Function *const *functions, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (function_selected(functions[i])) {
            return function_level(functions[i]);
        }
    }
    return true;
}

static bool is_connected(Function *const *functions, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (function_selected(functions[i])) {
            return true;
        }
    }
    return false;
}

static bool scl(const I2c *i2c) {
    return level(i2c->scl, i2c->scl_count);
}

static bool sda(const I2c *i2c) {
    return level(i2c->sda, i2c->sda_count);
}

static void drive_scl(I2c *i2c, bool high) {
    i2c->scl_out = high;
    for (unsigned i = 0; i < i2c->scl_count; i++) {
        function_drive(i2c->scl[i], high ? DRIVE_NONE : DRIVE_LOW);
    }
}

static void drive_sda(I2c *i2c, bool high) {
    i2c->sda_out = high;
    for (unsigned i = 0; i < i2c->sda_count; i++) {
        function_drive(i2c->sda[i], high ? DRIVE_NONE : DRIVE_LOW);
    }
}

static Time clocks(const I2c *i2c, uint32_t count) {
    return count * (SEC / i2c->part.clock());
}

static Time low_time(const I2c *i2c) {
    uint32_t factor = !(i2c->ccr & FAST) ? 1 : i2c->ccr & DUTY ? 16 : 2;
    return clocks(i2c, (i2c->ccr & CCR_MASK) * factor);
}

static Time high_time(const I2c *i2c) {
    uint32_t factor = i2c->ccr & FAST && i2c->ccr & DUTY ? 9 : 1;
    return clocks(i2c, (i2c->ccr & CCR_MASK) * factor);
}

static void step(I2c *i2c, Step to, Time wait) {
    i2c->step = to;
    event_in(&i2c->next, wait);
}

// Interrupts and flags ---------------------------------------------------------------------------

static void update_lines(const I2c *i2c) {
    uint32_t events = SB | ADDR | BTF | (i2c->cr2 & ITBUFEN ? TXE | RXNE : 0);
    irq_line(i2c->part.irq_event, i2c->cr2 & ITEVTEN && i2c->sr1 & events);
    irq_line(i2c->part.irq_error, i2c->cr2 & ITERREN && i2c->sr1 & ERRORS);
}

static void set_flags(I2c *i2c, uint32_t flags) {
    i2c->sr1 |= flags;
    update_lines(i2c);
}

static void clear_flags(I2c *i2c, uint32_t flags) {
    i2c->sr1 = without(i2c->sr1, flags);
    i2c->seen = without(i2c->seen, flags);
    update_lines(i2c);
}

// Back to no communication: what PE = 0 resets is reset now.
static void settle(I2c *i2c) {
    i2c->master = false;
    i2c->step = IDLE;
    event_cancel(&i2c->next);
    if (!(i2c->cr1 & PE)) {
        i2c->cr1 = 0;
        i2c->transmitter = i2c->shift_full = false;
        clear_flags(i2c, UINT32_MAX);
    }
    i2c->disabling = false;
}

static void check_timing(const I2c *i2c) {
    uint32_t hz = i2c->part.clock(), freq = i2c->cr2 & FREQ, count = i2c->ccr & CCR_MASK;
    bool fast = i2c->ccr & FAST;
    if (freq != hz / 1000000 || freq < (fast ? 4 : 2)) {
        refuse("%s.CR2: FREQ is %u, the clock %u Hz", i2c->part.name, (unsigned)freq,
               (unsigned)hz);
    }
    if (count < (fast && i2c->ccr & DUTY ? 1 : 4)) {
        refuse("%s.CCR: the clock divider is %u", i2c->part.name, (unsigned)count);
    }
    Time period = low_time(i2c) + high_time(i2c);
    if (period < (fast ? 2500 : 10000) * NS - clocks(i2c, 1)) {
        refuse("%s.CCR: SCL has a period of %u ns", i2c->part.name, (unsigned)(period / NS));
    }
    if (!i2c->trise) {
        refuse("%s.TRISE is 0", i2c->part.name);
    }
    if (!is_connected(i2c->scl, i2c->scl_count) || !is_connected(i2c->sda, i2c->sda_count)) {
        refuse("%s: START, but SCL or SDA is at no pin", i2c->part.name);
    }
}

// The bus ----------------------------------------------------------------------------------------

// A START that was asked for, if the bus is free.
static void start_if_free(I2c *i2c) {
    bool asked = i2c->cr1 & START && i2c->cr1 & PE;
    if (asked && !i2c->master && i2c->step == IDLE && !i2c->busy) {
        step(i2c, FREE, low_time(i2c));
    }
}

static void start_byte(I2c *i2c, Kind kind) {
    i2c->kind = kind;
    i2c->bit = 0;
    drive_sda(i2c, kind == RECEIVE || i2c->shift >> 7);
    step(i2c, LOW, low_time(i2c));
}

static void send_next(I2c *i2c) {
    i2c->shift = i2c->data;
    clear_flags(i2c, BTF);
    set_flags(i2c, TXE);
    start_byte(i2c, SEND);
}

// SCL is low between two bytes: what comes next?
static void go_on(I2c *i2c) {
    bool receives = !i2c->transmitter;
    i2c->step = WAITING;
    event_cancel(&i2c->next);
    if (i2c->sr1 & (SB | ADDR)) {
        return;
    }
    if (i2c->cr1 & STOP) {
        drive_sda(i2c, false);
        step(i2c, STOP_LOW, low_time(i2c));
    } else if (i2c->cr1 & START) {
        drive_sda(i2c, true);
        step(i2c, RESTART_LOW, low_time(i2c));
    } else if (i2c->nacked || i2c->disabling || (receives && i2c->shift_full)) {
        return;
    } else if (receives) {
        if (i2c->cr1 & POS && i2c->received == 2) {
            refuse("%s: a third byte is received with POS", i2c->part.name);
        }
        // With POS the bit ACK is for the byte after the one that is received now.
        i2c->acknowledge = !(i2c->cr1 & POS) || i2c->received == 0 || i2c->acknowledge;
        start_byte(i2c, RECEIVE);
    } else if (!(i2c->sr1 & TXE)) {
        send_next(i2c);
    }
}

static void started(I2c *i2c) {
    drive_scl(i2c, false);
    i2c->master = true;
    i2c->cr1 = without(i2c->cr1, START);
    i2c->transmitter = i2c->shift_full = i2c->nacked = false;
    clear_flags(i2c, TXE | BTF);
    set_flags(i2c, SB);
    i2c->step = WAITING;
}

static void stopped(I2c *i2c) {
    i2c->cr1 = without(i2c->cr1, STOP);
    clear_flags(i2c, TXE | (i2c->transmitter ? BTF : 0));
    i2c->transmitter = false;
    settle(i2c);
    start_if_free(i2c);
}

static void take_received(I2c *i2c) {
    if (i2c->sr1 & RXNE) {
        i2c->shift_full = true;
        set_flags(i2c, BTF);
    } else {
        i2c->data = i2c->shift;
        set_flags(i2c, RXNE);
    }
}

static void byte_over(I2c *i2c, bool acknowledged) {
    if (i2c->kind == RECEIVE) {
        i2c->received++;
        i2c->nacked = i2c->sda_out;
        take_received(i2c);
    } else if (!acknowledged) {
        i2c->nacked = true;
        set_flags(i2c, AF);
    } else if (i2c->kind == ADDRESS) {
        i2c->transmitter = !(i2c->shift & 1);
        i2c->received = 0;
        set_flags(i2c, ADDR);
    } else if (i2c->sr1 & TXE) {
        set_flags(i2c, BTF);
    }
    go_on(i2c);
}

static void lose(I2c *i2c) {
    drive_scl(i2c, true);
    drive_sda(i2c, true);
    i2c->transmitter = false;
    clear_flags(i2c, TXE | BTF);
    settle(i2c);
    set_flags(i2c, ARLO);
}

// The acknowledge that the master gives to the byte that it has received.
static bool gives_acknowledge(I2c *i2c) {
    if (!(i2c->cr1 & POS)) {
        return i2c->cr1 & ACK;
    }
    bool now_given = i2c->acknowledge;
    i2c->acknowledge = i2c->cr1 & ACK;
    return now_given;
}

// The end of a bit: SCL goes low.
static void bit_over(I2c *i2c) {
    bool in = sda(i2c);
    bool sends = i2c->kind != RECEIVE && i2c->bit < 8;
    if (sends && i2c->sda_out && !in) {
        lose(i2c);
        return;
    }
    drive_scl(i2c, false);
    if (i2c->bit == 8) {
        byte_over(i2c, !in);
        return;
    }
    if (i2c->kind == RECEIVE) {
        i2c->shift = (uint8_t)(i2c->shift << 1 | in);
    }
    i2c->bit++;
    if (i2c->kind == RECEIVE) {
        drive_sda(i2c, i2c->bit < 8 || !gives_acknowledge(i2c));
    } else {
        drive_sda(i2c, i2c->bit == 8 || (i2c->shift >> (7 - i2c->bit) & 1));
    }
    step(i2c, LOW, low_time(i2c));
}

// SCL is let go; the high time begins when it is high.
static void raise_scl(I2c *i2c, Step to) {
    i2c->step = to;
    drive_scl(i2c, true);
    if (scl(i2c)) {
        event_in(&i2c->next, high_time(i2c));
    }
}

static void on_next(void *self) {
    I2c *i2c = self;
    switch (i2c->step) {
        case IDLE:
        case WAITING:
            break;
        case FREE:
            if (!(i2c->cr1 & START) || i2c->busy) {
                i2c->step = IDLE;
                break;
            }
            step(i2c, START_HELD, high_time(i2c));
            drive_sda(i2c, false);
            break;
        case START_HELD:
            started(i2c);
            break;
        case LOW:
            raise_scl(i2c, HIGH);
            break;
        case HIGH:
            bit_over(i2c);
            break;
        case RESTART_LOW:
            raise_scl(i2c, RESTART_HIGH);
            break;
        case RESTART_HIGH:
            if (!sda(i2c)) {
                lose(i2c);
                break;
            }
            step(i2c, START_HELD, high_time(i2c));
            drive_sda(i2c, false);
            break;
        case STOP_LOW:
            raise_scl(i2c, STOP_HIGH);
            break;
        case STOP_HIGH:
            drive_sda(i2c, true);  // its rising edge, when nobody holds it any more, is the STOP
            break;
    }
}

static void wire_changed(void *self, bool unused) {
    (void)unused;
    I2c *i2c = self;
    bool clock = scl(i2c), data = sda(i2c);
    bool rises = clock && !i2c->scl_was, changes = clock && i2c->scl_was && data != i2c->sda_was;
    i2c->scl_was = clock;
    i2c->sda_was = data;
    if (changes && i2c->master && i2c->step == HIGH) {
        set_flags(i2c, BERR);
    }
    if (!clock || !data) {
        i2c->busy = true;
    } else if (changes) {
        i2c->busy = false;
        if (i2c->step == STOP_HIGH && i2c->sda_out) {
            stopped(i2c);
        }
        start_if_free(i2c);
    }
    bool waits_for_scl = i2c->step == HIGH || i2c->step == RESTART_HIGH || i2c->step == STOP_HIGH;
    if (rises && i2c->scl_out && waits_for_scl) {
        event_in(&i2c->next, high_time(i2c));
    }
}

// The pins may have been selected, or the peripheral reset, since the wires changed.
static void look_at_wires(I2c *i2c) {
    i2c->scl_was = scl(i2c);
    i2c->sda_was = sda(i2c);
    i2c->busy |= !i2c->scl_was || !i2c->sda_was;
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read_dr(I2c *i2c) {
    uint8_t byte = i2c->data;
    if (i2c->transmitter || !(i2c->sr1 & RXNE)) {
        return byte;
    }
    if (i2c->sr1 & BTF && !(i2c->seen & BTF)) {
        refuse("%s.DR is read with BTF set, but SR1 was not read", i2c->part.name);
    }
    clear_flags(i2c, BTF | RXNE);
    if (i2c->shift_full) {
        i2c->shift_full = false;
        i2c->data = i2c->shift;
        set_flags(i2c, RXNE);
        if (i2c->step == WAITING) {
            go_on(i2c);
        }
    }
    return byte;
}

static uint32_t read(void *self, uint32_t offset) {
    I2c *i2c = self;
    look_at_wires(i2c);
    switch (offset) {
        case CR1: return i2c->cr1;
        case CR2: return i2c->cr2;
        case OAR1: return i2c->oar1;
        case OAR2: return i2c->oar2;
        case DR: return read_dr(i2c);
        case SR1:
            i2c->seen = i2c->sr1;
            return i2c->sr1;
        case SR2: {
            uint32_t value = (i2c->master ? MSL : 0) | (i2c->busy ? BUSY : 0) |
                             (i2c->transmitter ? TRA : 0);
            if (i2c->seen & ADDR) {
                clear_flags(i2c, ADDR);
                if (i2c->transmitter) {
                    set_flags(i2c, TXE);
                }
                go_on(i2c);
            }
            return value;
        }
        case CCR: return i2c->ccr;
        case TRISE: return i2c->trise;
    }
    return i2c->fltr;
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    I2c *i2c = self;
    i2c->cr1 = i2c->cr2 = i2c->oar1 = i2c->oar2 = i2c->ccr = i2c->fltr = 0;
    i2c->trise = 2;
    settle(i2c);
    i2c->busy = false;
    drive_scl(i2c, true);
    drive_sda(i2c, true);
    look_at_wires(i2c);
}

static void write_cr1(I2c *i2c, uint32_t value) {
    uint32_t pending = i2c->cr1 & (START | STOP);
    if (value & SWRST) {
        reset(i2c, false);
        i2c->cr1 = SWRST;
        return;
    }
    if (pending && value & PE) {
        refuse("%s.CR1 is written while START or STOP is pending", i2c->part.name);
    }
    if (value & STOP && (!i2c->master || i2c->sr1 & SB)) {
        refuse("%s.CR1: STOP, but there is no transfer", i2c->part.name);
    }
    i2c->cr1 = value;
    i2c->disabling = false;
    if (!(value & PE)) {
        // In the midst of a communication it goes on until it is over, which a master that nobody
        // tells to STOP never comes to.
        if (i2c->master) {
            i2c->disabling = true;
            i2c->cr1 = value | (pending & STOP);
        } else {
            settle(i2c);
            drive_sda(i2c, true);
        }
        return;
    }
    if (value & START) {
        check_timing(i2c);
    }
    if (i2c->master && i2c->step == WAITING && value & (START | STOP)) {
        go_on(i2c);
    } else {
        start_if_free(i2c);
    }
}

static void write_dr(I2c *i2c, uint32_t value) {
    if (i2c->sr1 & SB) {
        if (!(i2c->seen & SB)) {
            refuse("%s.DR is written with SB set, but SR1 was not read", i2c->part.name);
        }
        clear_flags(i2c, SB);
        i2c->shift = (uint8_t)value;
        start_byte(i2c, ADDRESS);
        return;
    }
    if (!(i2c->sr1 & TXE)) {
        refuse("%s.DR is written, but neither SB nor TXE is set", i2c->part.name);
    }
    if (i2c->sr1 & BTF && !(i2c->seen & BTF)) {
        refuse("%s.DR is written with BTF set, but SR1 was not read", i2c->part.name);
    }
    i2c->data = (uint8_t)value;
    clear_flags(i2c, TXE | BTF);
    if (i2c->step == WAITING && !i2c->nacked) {
        go_on(i2c);
    }
}

static void check_disabled(const I2c *i2c, const char *name, bool changes) {
    if (i2c->cr1 & PE && changes) {
        refuse("%s.%s is changed while PE is set", i2c->part.name, name);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    I2c *i2c = self;
    if (size == 1) {
        refuse("%s: write of a byte, its registers are half-words or words", i2c->part.name);
    }
    look_at_wires(i2c);
    switch (offset) {
        case CR1:
            write_cr1(i2c, value);
            break;
        case CR2:
            check_disabled(i2c, "CR2", (value ^ i2c->cr2) & FREQ);
            i2c->cr2 = value;
            update_lines(i2c);
            break;
        case OAR1:
            i2c->oar1 = value;
            break;
        case OAR2:
            i2c->oar2 = value;
            break;
        case DR:
            write_dr(i2c, value);
            break;
        case SR1:
            clear_flags(i2c, ~value & ERRORS);
            break;
        case CCR:
            check_disabled(i2c, "CCR", value != i2c->ccr);
            i2c->ccr = value;
            break;
        case TRISE:
            check_disabled(i2c, "TRISE", value != i2c->trise);
            i2c->trise = value;
            break;
        default:
            check_disabled(i2c, "FLTR", value != i2c->fltr);
            i2c->fltr = value;
    }
}

static unsigned add_pins(I2c *i2c, const I2cPin *pins, Function **functions) {
    unsigned count = 0;
    for (; count < I2C_PINS && pins[count].pin; count++) {
        functions[count] = pin_function(pins[count].pin, pins[count].function, true);
        wire_watch(pin_wire(pins[count].pin), wire_changed, i2c);
    }
    return count;
}

void i2c_v1_add(const I2cV1Part *part) {
    // ENPEC, SMBUS and others of CR1 are refused. OAR1: MicroPython's i2c.c keeps a bit of its own
    // there, and leaves bit 14 at 0. SR1: the HAL clears a flag by writing 1 to all others.
    static const Register registers[] = {
        {FLTR, "FLTR", 0, 0x10, 0, 0},  // the first, as not all parts have it
        {CR1, "CR1", 0, PE | START | STOP | ACK | POS | SWRST, 0, 0},
        {CR2, "CR2", 0, FREQ | ITERREN | ITEVTEN | ITBUFEN, 0, 0},
        {OAR1, "OAR1", 0, 0x40ff, 0, 0},
        {OAR2, "OAR2", 0, 0xfe, 0, 0},
        {DR, "DR", 0, 0xff, 0, 0},
        {SR1, "SR1", 0, ERRORS, UINT32_MAX, 0},
        {SR2, "SR2", 0, 0, 0, 0},
        {CCR, "CCR", 0, FAST | DUTY | CCR_MASK, 0, 0},
        {TRISE, "TRISE", 2, 0x3f, 0, 0},
        {.name = NULL},
    };
    static I2c all[3];
    static unsigned count;
    I2c *i2c = &all[count++];
    i2c->part = *part;
    i2c->next = (Event){.fire = on_next, .self = i2c};
    i2c->device = (Device){
        .name = part->name, .base = part->base, .self = i2c, .read = read, .write = write,
        .registers = part->has_filter ? registers : registers + 1,
        .reset = reset, .narrow = true, .gate = part->gate,
    };
    i2c->scl_count = add_pins(i2c, part->scl, i2c->scl);
    i2c->sda_count = add_pins(i2c, part->sda, i2c->sda);
    device_add(&i2c->device);
}
