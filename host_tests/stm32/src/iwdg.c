// SPDX-License-Identifier: MIT
//
// The independent watchdog: RM0090 21, RM0440 42, RM0433 45. LSI has 32 kHz here; that of a part
// may have 17 to 47 kHz. Left out: start by option bytes.

#include "iwdg.h"

enum { KR = 0x00, PR = 0x04, RLR = 0x08, SR = 0x0c, WINR = 0x10, LSI_HZ = 32000 };
enum { PVU = 1, RVU = 2, WVU = 4 };

static Device device;
static bool running, open;
static Time fed;
static Time updated_at[3];  // PVU, RVU, WVU clear then
static Event expiry;
static void (*lsi)(void);

static uint32_t *kept(uint32_t offset) {
    return device_value(&device, offset);
}

static Time tick(void) {
    uint32_t prescaler = *kept(PR) & 7;
    return (SEC / LSI_HZ) << (prescaler > 6 ? 8 : prescaler + 2);
}

static void feed(void) {
    uint32_t passed = (uint32_t)((now() - fed) / tick());
    if (running && device.span > WINR && *kept(RLR) - passed > *kept(WINR)) {
        machine_reset(RESET_IWDG);
    }
    fed = now();
    event_in(&expiry, tick() * (*kept(RLR) + 1));
}

static void expire(void *self) {
    (void)self;
    trace("the watchdog was not fed for %u ms", (unsigned)((now() - fed) / MS));
    machine_reset(RESET_IWDG);
}

static void write_key(uint32_t value) {
    switch (value) {
    case 0x5555:
        open = true;
        break;
    case 0xaaaa:
        open = false;
        if (running) {
            feed();
        }
        break;
    case 0xcccc:
        open = false;
        lsi();
        if (!running) {
            fed = now();
        }
        running = true;
        feed();
        break;
    default:
        refuse("write of %04x to IWDG.KR", (unsigned)value);
    }
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    if (offset != SR) {
        return offset == KR ? 0 : *kept(offset);
    }
    uint32_t status = 0;
    for (unsigned i = 0; i < 3; i++) {
        status |= (uint32_t)(now() < updated_at[i]) << i;
    }
    return status;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    if (offset == KR) {
        write_key(value);
        return;
    }
    unsigned which = offset == PR ? 0 : offset == RLR ? 1 : 2;
    if (!open) {
        refuse("write of %03x to IWDG+%02x without its key", (unsigned)value, (unsigned)offset);
    }
    if (read(self, SR) >> which & 1) {
        refuse("write of %03x to IWDG+%02x before SR says so", (unsigned)value, (unsigned)offset);
    }
    *kept(offset) = value;
    updated_at[which] = now() + 5 * (SEC / LSI_HZ);
    if (offset == WINR && running) {
        feed();  // a write of the window reloads the counter
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    running = open = false;
    updated_at[0] = updated_at[1] = updated_at[2] = 0;
    event_cancel(&expiry);
}

void iwdg_add(uint32_t base, bool has_window, void (*need_lsi)(void)) {
    static Register registers[] = {
        {KR, "KR", .writable = 0xffff},  {PR, "PR", .writable = 7},
        {RLR, "RLR", 0xfff, 0xfff, 0, 0}, {SR, "SR", .writable = 0},
        {WINR, "WINR", 0xfff, 0xfff, 0, 0}, {0},
    };
    if (!has_window) {
        registers[4].name = NULL;
    }
    lsi = need_lsi;
    expiry.fire = expire;
    device = (Device){
        .name = "IWDG", .base = base, .registers = registers, .read = read, .write = write,
        .reset = reset,
    };
    device_add(&device);
}
