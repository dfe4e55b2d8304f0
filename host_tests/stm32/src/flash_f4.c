// SPDX-License-Identifier: MIT
//
// Flash of the F405 and F446, with OTP and unique id: RM0090 3 and 39.1, RM0390 3 and 33.1.
//
// An operation takes its typical time of the data sheets, with 32 bits of parallelism; meanwhile
// the core, which fetches from this flash, stands still. If power fails in it, bits of the word or
// the sector have any value between the old and the new one. Left out: option bytes, write and
// read protection, caches and prefetch.

#include "flash_f4.h"

#include <string.h>

#include "rcc_f4.h"

enum { ACR = 0x00, KEYR = 0x04, SR = 0x0c, CR = 0x10, OPTCR = 0x14 };
enum { EOP = 1, WRPERR = 16, PGAERR = 32, PGPERR = 64, PGSERR = 128, BSY = 0x10000 };
enum { ERRORS = WRPERR | PGAERR | PGPERR | PGSERR };
enum { PG = 1, SER = 2, MER = 4, STRT = 0x10000, EOPIE = 1 << 24, ERRIE = 1 << 25 };
#define LOCK 0x80000000u

#define FLASH 0x08000000u
#define SYSTEM 0x1fff7000u  // the page with OTP, unique id and the size of the flash
enum { SYSTEM_SIZE = 0x1000, OTP = 0x800, OTP_LOCKS = 0xa00, OTP_SIZE = 528, IRQ = 4 };
enum { UNIQUE_ID = 0xa10, FLASH_SIZE = 0xa22 };

static Device flash;
static uint8_t *bytes, *otp;
static uint8_t system_page[SYSTEM_SIZE] __attribute__((aligned(4096)));
static uint32_t flash_size;
static unsigned keys;  // that CR has been given

static struct {
    Event end;
    uint8_t *at;
    uint32_t address, size;
    bool erase;
    uint32_t value;
} operation;

static uint32_t *kept(uint32_t offset) {
    return device_value(&flash, offset);
}

static void update_irq(void) {
    uint32_t status = *kept(SR), control = *kept(CR);
    irq_line(IRQ, (status & EOP && control & EOPIE) || (status & ERRORS && control & ERRIE));
}

void flash_f4_check_latency(uint32_t hclk_hz) {
    // At 2.7 V to 3.6 V, RM0090 table 10 and RM0390 table 5
    unsigned wait_states = *kept(ACR) & 15;
    if (hclk_hz > 30000000 * (wait_states + 1)) {
        refuse("HCLK %u Hz with FLASH_ACR.LATENCY %u", (unsigned)hclk_hz, wait_states);
    }
}

static void begin(uint8_t *at, uint32_t address, uint32_t size, Time takes) {
    operation.at = at;
    operation.address = address;
    operation.size = size;
    *kept(SR) |= BSY;
    event_in(&operation.end, takes);
    core_stall(takes);
}

static void apply(uint32_t keep) {
    // Bits in `keep` stay as they were.
    for (uint32_t i = 0; i < operation.size; i++) {
        uint8_t kept_bits = (uint8_t)(keep ? machine_random() & keep : 0);
        uint8_t target = operation.erase ? 0xff : (uint8_t)(operation.value >> 8 * i);
        if (operation.erase) {
            operation.at[i] |= target & (uint8_t)~kept_bits;
        } else {
            operation.at[i] &= target | kept_bits;
        }
    }
    memory_changed(operation.address, operation.size);
    memcpy(otp, system_page + OTP, OTP_SIZE);
}

static void end(void *self) {
    (void)self;
    apply(0);
    *kept(SR) &= ~(uint32_t)BSY;
    if (*kept(CR) & EOPIE) {
        *kept(SR) |= EOP;
    }
    update_irq();
}

// Programs: a store of the core.
static void program(uint8_t *at, uint32_t address, uint32_t value, unsigned size, bool locked) {
    uint32_t control = *kept(CR), error = 0;
    if (*kept(SR) & BSY) {
        refuse("a store at %08x while the flash is busy", (unsigned)address);
    }
    if (!(control & PG) || control & LOCK) {
        error = PGSERR;
    } else if (locked) {
        error = WRPERR;
    } else if (size != 1u << (control >> 8 & 3)) {
        error = PGPERR;
    } else if (address % size) {
        error = PGAERR;
    }
    if (error) {
        trace("flash: store at %08x refused, SR %02x", (unsigned)address, (unsigned)error);
        *kept(SR) |= error;
        update_irq();
        return;
    }
    operation.erase = false;
    operation.value = value;
    begin(at, address, size, 16 * US);
}

static void write_flash(uint32_t address, uint32_t value, unsigned size) {
    program(bytes + (address - FLASH), address, value, size, false);
}

static void write_system(uint32_t address, uint32_t value, unsigned size) {
    uint32_t at = address - SYSTEM;
    if (at < OTP || at + size > OTP + OTP_SIZE) {
        bus_fault(address);
        return;
    }
    unsigned block = at < OTP_LOCKS ? (at - OTP) / 32 : 0;
    bool locked = at < OTP_LOCKS && system_page[OTP_LOCKS + block] == 0;
    program(system_page + at, address, value, size, locked);
}

static void erase(uint32_t control) {
    static const Time takes[] = {250 * MS, 550 * MS, 1000 * MS};  // of 16, 64 and 128 KiB
    operation.erase = true;
    if (control & MER) {
        begin(bytes, FLASH, flash_size, flash_size / 0x20000 * SEC);
        return;
    }
    unsigned sector = control >> 3 & 15, kind = sector < 4 ? 0 : sector == 4 ? 1 : 2;
    uint32_t start = sector < 4 ? sector * 0x4000 : sector == 4 ? 0x10000 : (sector - 4) * 0x20000;
    if (start >= flash_size) {
        refuse("FLASH_CR.SNB %u: the part has no such sector", sector);
    }
    begin(bytes + start, FLASH + start, kind == 0 ? 0x4000 : 0x10000u << (kind - 1), takes[kind]);
}

static void write_control(uint32_t value) {
    uint32_t *control = kept(CR);
    if (*control & LOCK) {
        refuse("write of %08x to FLASH.CR, which is locked", (unsigned)value);
    }
    if (*kept(SR) & BSY) {
        refuse("write of %08x to FLASH.CR while the flash is busy", (unsigned)value);
    }
    if (value & LOCK) {
        keys = 0;
    }
    *control = value & ~(uint32_t)STRT;
    update_irq();
    if (value & STRT) {
        if (value & PG || !(value & (SER | MER))) {
            refuse("FLASH.CR %08x starts no erase", (unsigned)value);
        }
        erase(value);
    }
}

static void write_key(uint32_t value) {
    static const uint32_t right[] = {0x45670123, 0xcdef89ab};
    // Keys for an open register are an error, too: it would lock until the next reset.
    if (keys == 2 || value != right[keys]) {
        refuse("write of %08x to FLASH.KEYR", (unsigned)value);
    }
    if (++keys == 2) {
        *kept(CR) &= ~LOCK;
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    switch (offset) {
    case ACR:
        *kept(ACR) = value;
        flash_f4_check_latency(core_hz());
        break;
    case KEYR:
        write_key(value);
        break;
    case SR:
        *kept(SR) &= ~(value & (EOP | ERRORS));
        update_irq();
        break;
    case CR:
        write_control(value);
        break;
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    keys = 0;
    if (operation.end.armed) {
        // A reset, or the loss of power, ends the operation in the middle.
        event_cancel(&operation.end);
        apply(0xff);
    }
}

void flash_f4_add(uint32_t size, unsigned latency_bits) {
    static Register registers[] = {
        {ACR, "ACR", 0, 0x1f00, 0, 0},
        {KEYR, "KEYR", .writable = UINT32_MAX},
        {SR, "SR", 0, EOP | 2 | ERRORS, BSY, 0},
        {CR, "CR", LOCK, LOCK | 0x0301037f, 0, 0},
        {OPTCR, "OPTCR", 0x0fffaaed, 0, 0, 0},
        {0},
    };
    registers[0].writable |= (1u << latency_bits) - 1;
    flash = (Device){
        .name = "FLASH", .base = 0x40023c00, .registers = registers, .write = write,
        .reset = reset,
    };
    operation.end.fire = end;
    flash_size = size;
    bytes = setting_bytes("flash", size, 0xff);
    otp = setting_bytes("otp", OTP_SIZE, 0xff);
    memcpy(system_page + OTP, otp, OTP_SIZE);
    // Three words: place on the wafer, lot and wafer number in letters (RM0090 39.1).
    for (unsigned i = 0; i < 12; i++) {
        uint32_t number = machine_random();
        system_page[UNIQUE_ID + i] = (uint8_t)(i < 4 ? number : '0' + number % 10);
    }
    memcpy(system_page + FLASH_SIZE, (uint8_t[]){(uint8_t)(size >> 10), (uint8_t)(size >> 18)}, 2);
    device_add(&flash);
    memory_rom(FLASH, size, bytes, write_flash);
    memory_rom(0, size, bytes, NULL);
    memory_rom(SYSTEM, SYSTEM_SIZE, system_page, write_system);
}
