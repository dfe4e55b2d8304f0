// SPDX-License-Identifier: MIT
//
// RTC of the F405, F446 and H743 with its backup registers: RM0090 26, RM0390 22, RM0433 46; of the
// G474 without them: RM0440 35. It goes on through system resets. Left out: alarms, wake-up timer, time stamps,
// tamper detection, calibration, output, 12-hour format; a calendar beyond 2099.

#include "rtc.h"

enum {
    TR = 0x00, DR = 0x04, CR = 0x08, ISR = 0x0c, PRER = 0x10, WPR = 0x24, SSR = 0x28, TAFCR = 0x40,
    OR = 0x4c, BKP = 0x50,
};
enum { RSF = 0x20, INITF = 0x40, INIT = 0x80, INITS = 0x10, BYPSHAD = 0x20 };
enum { ALARMS_WRITABLE = 7 };

static Device device;
static const Rtc *part;
static unsigned keys;  // that WPR has been given
static bool in_init, shadow_locked, set;
static Time synchronized_at;  // RSF is set then
static uint32_t locked_date;
static uint64_t base_ticks;  // of the subsecond counter since 2000, at `base_time`
static Time base_time;
static uint32_t counting_hz;

// The offset that a register has in this part.
static uint32_t part_offset(uint32_t offset) {
    switch (part->version_3 ? offset : 0) {
    case SSR:
        return 0x08;
    case CR:
        return 0x18;
    default:
        return offset;
    }
}

// The one that the F4 has it at.
static uint32_t f4_offset(uint32_t offset) {
    switch (part->version_3 ? offset : 0) {
    case 0x08:
        return SSR;
    case 0x18:
        return CR;
    default:
        return offset;
    }
}

static uint32_t *kept(uint32_t offset) {
    return device_value(&device, part_offset(offset));
}

static uint32_t ticks_per_second(void) {
    return (*kept(PRER) & 0x7fff) + 1;
}

static uint64_t ticks_now(void) {
    if (in_init || !counting_hz) {
        return base_ticks;
    }
    Time passed = now() - base_time;
    uint32_t prescaler = (*kept(PRER) >> 16 & 0x7f) + 1;
    // Split, as picoseconds times hertz do not fit into 64 bits for longer than minutes.
    uint64_t clocks = passed / SEC * counting_hz + passed % SEC / NS * counting_hz / 1000000000;
    return base_ticks + clocks / prescaler;
}

static void restart(uint64_t ticks) {
    base_ticks = ticks;
    base_time = now();
    counting_hz = part->clock();
}

void rtc_clock_changed(void) {
    restart(ticks_now());
}

// Calendar ---------------------------------------------------------------------------------------

static uint32_t to_bcd(uint32_t value) {
    return value / 10 << 4 | value % 10;
}

static uint32_t from_bcd(uint32_t bcd) {
    return (bcd >> 4) * 10 + (bcd & 15);
}

static uint32_t month_days(uint32_t year, uint32_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && year % 4 == 0 ? 1u : 0u);
}

static uint32_t time_register(uint64_t seconds) {
    uint32_t second = (uint32_t)(seconds % 86400);
    return to_bcd(second / 3600) << 16 | to_bcd(second / 60 % 60) << 8 | to_bcd(second % 60);
}

static uint32_t weekday_offset;  // software sets the day of the week as it likes

static uint32_t date_register(uint64_t seconds) {
    uint32_t day = (uint32_t)(seconds / 86400), year = 0, month = 1;
    uint32_t weekday = (day + weekday_offset) % 7 + 1;
    while (day >= (year % 4 ? 365u : 366u)) {
        day -= year++ % 4 ? 365 : 366;
    }
    while (day >= month_days(year, month)) {
        day -= month_days(year, month++);
    }
    return to_bcd(year % 100) << 16 | weekday << 13 | to_bcd(month) << 8 | to_bcd(day + 1);
}

static uint64_t seconds_of(uint32_t time, uint32_t date) {
    uint32_t year = from_bcd(date >> 16 & 255), month = from_bcd(date >> 8 & 31);
    uint32_t day = from_bcd(date & 63);
    uint32_t hour = from_bcd(time >> 16 & 63), minute = from_bcd(time >> 8 & 127);
    uint32_t second = from_bcd(time & 127);
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
        minute > 59 || second > 59 || !(date >> 13 & 7)) {
        refuse("RTC date %06x, time %06x", (unsigned)date, (unsigned)time);
    }
    uint64_t days = day - 1;
    for (uint32_t y = 0; y < year; y++) {
        days += y % 4 ? 365 : 366;
    }
    for (uint32_t m = 1; m < month; m++) {
        days += month_days(year, m);
    }
    weekday_offset = (uint32_t)(((date >> 13 & 7) + 6 + 7 - days % 7) % 7);
    return days * 86400 + hour * 3600 + minute * 60 + second;
}

// Registers --------------------------------------------------------------------------------------

// TR and SSR lock what DR will give, until DR is read (26.3.6).
static uint32_t read_calendar(uint32_t offset) {
    if (in_init) {
        return offset == SSR ? 0 : *kept(offset);
    }
    uint64_t ticks = ticks_now(), seconds = ticks / ticks_per_second();
    bool shadow = !(*kept(CR) & BYPSHAD);
    if (offset == DR) {
        uint32_t date = shadow && shadow_locked ? locked_date : date_register(seconds);
        shadow_locked = false;
        return date;
    }
    if (shadow && !shadow_locked) {
        shadow_locked = true;
        locked_date = date_register(seconds);
    }
    if (offset == SSR) {
        return ticks_per_second() - 1 - (uint32_t)(ticks % ticks_per_second());
    }
    return time_register(seconds);
}

static uint32_t read(void *self, uint32_t at) {
    (void)self;
    uint32_t offset = f4_offset(at);
    switch (offset) {
    case TR:
    case DR:
    case SSR:
        return read_calendar(offset);
    case ISR:
        return ALARMS_WRITABLE | (set ? INITS : 0) | (now() >= synchronized_at ? RSF : 0) |
               (in_init ? INIT | INITF : 0);
    default:
        return *kept(offset);
    }
}

static void synchronize(void) {
    // Two periods of RTCCLK; without a clock it does not come.
    uint32_t hz = part->clock();
    synchronized_at = hz ? now() + 2 * SEC / hz : UINT64_MAX;
}

static void write_state(uint32_t value) {
    if (value & INIT && !in_init) {
        uint64_t ticks = ticks_now();
        *kept(TR) = time_register(ticks / ticks_per_second());
        *kept(DR) = date_register(ticks / ticks_per_second());
        restart(ticks);
        in_init = true;
    } else if (!(value & INIT) && in_init) {
        in_init = false;
        set = (*kept(DR) & 0xff0000) != 0;
        restart(seconds_of(*kept(TR), *kept(DR)) * ticks_per_second());
        synchronize();
    }
    if (!(value & RSF)) {
        shadow_locked = false;
        synchronize();
    }
}

static void write_key(uint32_t value) {
    keys = value == (keys == 0 ? 0xca : 0x53) && keys < 2 ? keys + 1 : 0;
}

static void write(void *self, uint32_t at, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t offset = f4_offset(at);
    if (offset == WPR) {
        write_key(value);
        return;
    }
    if (!part->open()) {
        refuse("write of RTC+%02x while the backup domain is closed", (unsigned)offset);
    }
    if (offset < TAFCR && keys != 2) {
        refuse("write of %08x to RTC+%02x without its keys", (unsigned)value, (unsigned)offset);
    }
    if (offset == ISR) {
        write_state(value);
        return;
    }
    if (offset < TAFCR && offset != CR && !in_init) {
        refuse("write of %08x to RTC+%02x outside of INIT", (unsigned)value, (unsigned)offset);
    }
    *kept(offset) = value;
}

void rtc_backup_reset(void) {
    for (const Register *reg = device.registers; reg->name; reg++) {
        for (unsigned i = 0; i == 0 || i < reg->count; i++) {
            *device_value(&device, reg->offset + 4 * i) = reg->reset;
        }
    }
    in_init = shadow_locked = set = false;
    weekday_offset = 0;
    synchronized_at = UINT64_MAX;
    restart(0);
}

static void reset(void *self, bool power_on) {
    (void)self;
    keys = 0;
    if (power_on) {
        rtc_backup_reset();
    } else {
        synchronize();
    }
}

void rtc_add(const Rtc *rtc) {
    static Register registers[] = {
        {TR, "TR", .writable = 0x3f7f7f},
        {DR, "DR", 0x2101, 0xffff3f, 0, 0},
        {CR, "CR", .writable = BYPSHAD},
        // The flags of alarms, wake-up and tampers clear by a 0, and are never set.
        // RTC_EnterInitMode of the HAL writes ones to all bits.
        {ISR, "ISR", 7, INIT | RSF, UINT32_MAX, 0},
        {PRER, "PRER", 0x7f00ff, 0x7f7fff, 0, 0},
        {WPR, "WPR", .writable = 0xff},
        {SSR, "SSR", .writable = 0},
        {TAFCR, "TAFCR", .writable = 0x40000},
        {BKP, "BKPR", .writable = UINT32_MAX},
        {OR, "OR", .writable = 3},
        {0},
    };
    static const Register version_3[] = {
        {0x00, "TR", .writable = 0x3f7f7f},
        {0x04, "DR", 0x2101, 0xffff3f, 0, 0},
        {0x08, "SSR", .writable = 0},
        {0x0c, "ICSR", 7, INIT | RSF, UINT32_MAX, 0},  // as ISR
        {0x10, "PRER", 0x7f00ff, 0x7f7fff, 0, 0},
        {0x18, "CR", .writable = BYPSHAD | 1 << 30},  // TAMPALRM_TYPE
        {0x24, "WPR", .writable = 0xff},
        {0},
    };
    part = rtc;
    registers[8].count = (uint16_t)rtc->backup_registers;
    if (!rtc->has_options) {
        registers[9].name = NULL;
    }
    device = (Device){
        .name = "RTC", .base = rtc->base, .read = read, .write = write, .reset = reset,
        .kept = true,
        .registers = rtc->version_3 ? version_3 : registers, .gate = rtc->gate,
    };
    device_add(&device);
}
