// SPDX-License-Identifier: MIT
//
// FM24V10, 128 KiB of FRAM on an I2C bus: its data sheet (001-84463), "Two-wire interface" and
// "Memory operation".
//
// It sees the two wires and no registers of a master, so it goes on giving its bit while a master
// is reset. A byte is in the memory when its eighth bit has ended, before the acknowledge. The
// times are those of Fast-mode Plus, 1 MHz at most. A time that was too short is refused at the
// next edge of SCL, so that an edge which a reset of the master makes counts for nothing. Left
// out, and refused: the high speed mode, the device ID and sleep. The write protect pin is at
// ground.

#include "fram.h"

#include "machine.h"

#define SIZE 0x20000
#define POWER_UP (250 * US)
#define DEVICE 0x50       // its address without A16
#define AT_REST (50 * US)  // a clock that stood so long was not in a transfer

// Times in ns, as the data sheet's AC table names them. T_LOW is 500 there: the clock of a master in
// software is too fast here, as an instruction takes one period, and a real core's more.
enum { T_LOW = 270, T_HIGH = 260, T_BUF = 500, T_HD_STA = 260, T_SU_STA = 260, T_SU_DAT = 50,
       T_SU_STO = 260 };

typedef enum { IDLE, ADDRESS, HIGH_BYTE, LOW_BYTE, WRITE, READ } State;

static struct {
    uint8_t *bytes;
    Wire *scl, *sda;
    unsigned driver;
    bool powered;
    State state;
    unsigned bit;  // 0..7, 8: acknowledge
    uint8_t shift;
    bool reads;            // what the address asked for
    bool taken;            // the master has acknowledged the byte that was read
    uint32_t latch;        // the address of the next byte
    uint32_t high;         // the first address byte of a write
    bool starts;           // SCL is still high after START
    Time powered_at, scl_rose, scl_fell, sda_changed, started_at, stopped_at;
    struct {
        const char *what;  // NULL: no time was too short
        unsigned least;
        Time passed, at;
    } violated;
} fram;

static void check(Time since, unsigned least, const char *what) {
    Time passed = now() - since;
    if (passed < least * NS) {
        fram.violated.what = what;
        fram.violated.least = least;
        fram.violated.passed = passed;
        fram.violated.at = now();
    }
}

static void check_past(void) {
    if (fram.violated.what && now() - fram.violated.at < AT_REST) {
        refuse("FRAM: %s is %u ns, at least %u are needed", fram.violated.what,
               (unsigned)(fram.violated.passed / NS), fram.violated.least);
    }
    fram.violated.what = NULL;
}

static void drive(bool high) {
    wire_drive(fram.sda, fram.driver, high ? DRIVE_NONE : DRIVE_LOW);
}

static void next_byte(State state) {
    fram.state = state;
    fram.bit = 0;
    fram.shift = state == READ ? fram.bytes[fram.latch] : 0;
}

static void start(void) {
    check(fram.powered_at, POWER_UP / NS, "the time after power up");
    check(fram.scl_rose, T_SU_STA, "the set-up time of START");
    check(fram.stopped_at, T_BUF, "the time between STOP and START");
    fram.started_at = now();
    fram.starts = true;
    drive(true);
    next_byte(ADDRESS);
}

static void stop(void) {
    check(fram.scl_rose, T_SU_STO, "the set-up time of STOP");
    fram.stopped_at = now();
    drive(true);
    fram.state = IDLE;
}

static void sda_changed(void *self, bool level) {
    (void)self;
    fram.sda_changed = now();
    if (!fram.powered || !wire_level(fram.scl)) {
        return;
    }
    if (level) {
        stop();
    } else {
        start();
    }
}

// A byte from the master is whole; gives whether it is acknowledged.
static bool take_byte(void) {
    switch (fram.state) {
        case ADDRESS:
            if (fram.shift >> 1 == 0xf8 >> 1 || fram.shift >> 3 == 1) {
                refuse("FRAM: device ID, sleep and high speed are not modelled");
            }
            if ((fram.shift >> 1 & ~1) != DEVICE) {
                return false;
            }
            fram.latch = (fram.latch & 0xffff) | (uint32_t)(fram.shift >> 1 & 1) << 16;
            fram.reads = fram.shift & 1;
            return true;
        case HIGH_BYTE:
            fram.high = fram.shift;
            return true;
        case LOW_BYTE:
            fram.latch = (fram.latch & 0x10000) | fram.high << 8 | fram.shift;
            return true;
        default:
            fram.bytes[fram.latch] = fram.shift;
            fram.latch = (fram.latch + 1) % SIZE;
            return true;
    }
}

static void after_acknowledge(void) {
    static const State then[] = {
        [ADDRESS] = HIGH_BYTE, [HIGH_BYTE] = LOW_BYTE, [LOW_BYTE] = WRITE, [WRITE] = WRITE,
    };
    if (fram.state == READ && !fram.taken) {
        fram.state = IDLE;
        return;
    }
    bool reads = fram.state == READ || (fram.state == ADDRESS && fram.reads);
    next_byte(reads ? READ : then[fram.state]);
    drive(!reads || fram.shift >> 7);
}

static void scl_fell(void) {
    check_past();
    check(fram.scl_rose, T_HIGH, "the high time of SCL");
    check(fram.started_at, T_HD_STA, "the hold time of START");
    fram.scl_fell = now();
    if (fram.state == IDLE || fram.starts) {
        fram.starts = false;
        return;
    }
    bool was_last = fram.bit == 7, was_acknowledge = fram.bit == 8;
    fram.bit++;
    if (was_acknowledge) {
        drive(true);
        after_acknowledge();
    } else if (fram.state == READ) {
        if (was_last) {
            fram.latch = (fram.latch + 1) % SIZE;
        }
        drive(was_last || fram.shift >> (7 - fram.bit) & 1);
    } else if (was_last) {
        bool acknowledged = take_byte();
        drive(!acknowledged);
        fram.state = acknowledged ? fram.state : IDLE;
    }
}

static void scl_rose(void) {
    check_past();
    check(fram.scl_fell, T_LOW, "the low time of SCL");
    fram.scl_rose = now();
    if (fram.state == IDLE) {
        return;
    }
    check(fram.sda_changed, T_SU_DAT, "the set-up time of SDA");
    bool level = wire_level(fram.sda);
    if (fram.state == READ) {
        fram.taken = !level;
    } else if (fram.bit < 8) {
        fram.shift = (uint8_t)(fram.shift << 1 | level);
    }
}

static void scl_changed(void *self, bool level) {
    (void)self;
    if (!fram.powered) {
        return;
    }
    if (level) {
        scl_rose();
    } else {
        scl_fell();
    }
}

static void power_changed_at(void *self, bool on) {
    (void)self;
    fram.powered = false;
    fram.state = IDLE;
    fram.violated.what = NULL;
    drive(true);
    wire_pull(fram.scl, on ? PULL_UP : PULL_NONE);
    wire_pull(fram.sda, on ? PULL_UP : PULL_NONE);
    fram.scl_rose = fram.scl_fell = fram.stopped_at = fram.started_at = 0;
    fram.powered_at = now();
    fram.powered = on;
}

void fram_add(const char *scl_pin, const char *sda_pin) {
    if (!setting("fram")) {
        return;
    }
    fram.bytes = setting_bytes("fram", SIZE, 0);
    fram.scl = pin_wire(scl_pin);
    fram.sda = pin_wire(sda_pin);
    fram.driver = wire_driver(fram.sda);
    wire_watch(fram.scl, scl_changed, NULL);
    wire_watch(fram.sda, sda_changed, NULL);
    power_watch(power_changed_at, NULL);
}
