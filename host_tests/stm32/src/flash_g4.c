// SPDX-License-Identifier: MIT
//
// Flash of the G474 in dual-bank mode, with OTP and unique id: RM0440 chapters 5 and 48.
//
// A double word is programmed at once, with its error correction code: a second programming is an
// error unless it writes zeros. If power fails during an operation, bits of a double word have any
// value between the old and the new one and do not fit the code: a read gives a double error,
// which is an NMI with ECCR.ECCD. Such double words are kept in the file of the setting "ecc", as
// the flash itself in that of "flash". An operation takes its typical time of the data sheet;
// meanwhile the core stands still, even if it executes from the other bank or RAM. Left out:
// single-bit errors, errors in what the core fetches as an instruction, fast programming, option
// bytes, write and read protection, secure areas, caches and prefetch.

#include "flash_g4.h"

#include <string.h>

#include "pwr_g4.h"

enum {
    ACR = 0x00, PDKEYR = 0x04, KEYR = 0x08, OPTKEYR = 0x0c, SR = 0x10, CR = 0x14, ECCR = 0x18,
    OPTR = 0x20, PCROP = 0x24, PCROP2 = 0x44, SECR = 0x70,
};
enum {
    EOP = 1 << 0, PROGERR = 1 << 3, WRPERR = 1 << 4, PGAERR = 1 << 5, SIZERR = 1 << 6,
    PGSERR = 1 << 7, ERRORS = PROGERR | WRPERR | PGAERR | SIZERR | PGSERR, BSY = 1 << 16,
    OTHER_ERRORS = 0xc302,  // OPERR, MISERR, FASTERR, RDERR, OPTVERR: never set
};
enum {
    PG = 1 << 0, PER = 1 << 1, MER1 = 1 << 2, BKER = 1 << 11, MER2 = 1 << 15, STRT = 1 << 16,
    EOPIE = 1 << 24, ERRIE = 1 << 25,
};
#define LOCK (1u << 31)
#define OPTLOCK (1u << 30)
#define ECCD (1u << 31)
enum { ECCC = 1 << 30, BK_ECC = 1 << 21, SYSF_ECC = 1 << 22 };

#define FLASH 0x08000000u
#define SYSTEM 0x1fff7000u  // the page with OTP, unique id and the size of the flash
enum { SIZE = 0x80000, BANK = 0x40000, PAGE = 0x800, DOUBLES = SIZE / 8, IRQ = 4 };
enum { SYSTEM_SIZE = 0x1000, OTP_SIZE = 0x400, PACKAGE = 0x500, UNIQUE_ID = 0x590 };
enum { FLASH_SIZE = 0x5e0 };

static Device flash;
static uint8_t *bytes, *otp, *broken;  // `broken`: a byte for each double word, 1 if it has errors
static uint8_t system_page[SYSTEM_SIZE] __attribute__((aligned(4096)));
static unsigned keys;  // that CR has been given

static struct {
    bool waits;  // the first word is there
    uint32_t address, word;
} half;

static struct {
    Event end;
    uint8_t *at;
    uint32_t address, size;
    bool erase;
    uint64_t value;
} operation;

static uint32_t *kept(uint32_t offset) {
    return device_value(&flash, offset);
}

static void update_irq(void) {
    uint32_t status = *kept(SR), control = *kept(CR);
    irq_line(IRQ, (status & EOP && control & EOPIE) || (status & ERRORS && control & ERRIE));
}

void flash_g4_check_latency(uint32_t hclk_hz) {
    unsigned wait_states = *kept(ACR) & 15;
    if (hclk_hz > pwr_g4_step_hz() * (wait_states + 1)) {
        refuse("HCLK %u Hz with FLASH.ACR.LATENCY %u", (unsigned)hclk_hz, wait_states);
    }
}

// Double errors ----------------------------------------------------------------------------------

static void read_broken(uint32_t address) {
    uint32_t offset = address - FLASH;
    if (broken[offset / 8] && !(*kept(ECCR) & ECCD)) {
        *kept(ECCR) = (*kept(ECCR) & ~(BK_ECC | SYSF_ECC | 0x7ffffu)) | ECCD |
                      (offset >= BANK ? BK_ECC : 0) | (offset % BANK & ~7u);
        nmi();
    }
}

static void set_broken(uint32_t address, bool is_broken) {
    uint32_t at = (address - FLASH) / 8;
    if (address - FLASH >= SIZE) {
        return;
    }
    broken[at] = is_broken;
    if (is_broken) {
        memory_watch_reads(FLASH + 8 * at, 8, read_broken);
    }
}

// Operations -------------------------------------------------------------------------------------

static void begin(uint8_t *at, uint32_t address, uint32_t size, Time takes) {
    operation.at = at;
    operation.address = address;
    operation.size = size;
    *kept(SR) |= BSY;
    event_in(&operation.end, takes);
    core_stall(takes);
}

static void apply(bool whole) {
    uint64_t target = operation.erase ? UINT64_MAX : operation.value;
    for (uint32_t i = 0; i < operation.size; i += 8) {
        uint64_t before, after = target;
        memcpy(&before, operation.at + i, 8);
        if (!whole) {
            uint64_t mixed = (uint64_t)machine_random() << 32 | machine_random();
            after = (before & mixed) | (target & ~mixed);
        }
        memcpy(operation.at + i, &after, 8);
        set_broken(operation.address + i, !whole && after != before);
    }
    memory_changed(operation.address, operation.size);
    memcpy(otp, system_page, OTP_SIZE);
}

static void end(void *self) {
    (void)self;
    apply(true);
    *kept(SR) &= ~(uint32_t)BSY;
    if (*kept(CR) & EOPIE) {
        *kept(SR) |= EOP;
    }
    update_irq();
}

static void cut(void) {
    if (operation.end.armed) {
        event_cancel(&operation.end);
        apply(false);
    }
    half.waits = false;
}

static void power_changed_at(void *self, bool on) {
    (void)self;
    if (!on) {
        cut();
    }
}

static uint32_t program_error(
    const uint8_t *at, uint32_t address, uint32_t value, unsigned size
) {
    uint32_t control = *kept(CR);
    if (!(control & PG) || control & LOCK || *kept(SR) & ERRORS) {
        return PGSERR;
    }
    if (size != 4) {
        return SIZERR;
    }
    if (half.waits ? address != half.address + 4 : address % 8) {
        return PGAERR;
    }
    if (half.waits) {
        uint64_t before;
        memcpy(&before, at - 4, 8);
        if (before != UINT64_MAX && (value || half.word)) {
            return PROGERR;
        }
    }
    return 0;
}

// A store of the core: the first or the second word.
static void program(uint8_t *at, uint32_t address, uint32_t value, unsigned size) {
    if (*kept(SR) & BSY) {
        refuse("a store at %08x while the flash is busy", (unsigned)address);
    }
    uint32_t error = program_error(at, address, value, size);
    if (error) {
        trace("flash: store at %08x refused, SR %02x", (unsigned)address, (unsigned)error);
        *kept(SR) |= error;
        half.waits = false;
        update_irq();
        return;
    }
    if (!half.waits) {
        half.waits = true;
        half.address = address;
        half.word = value;
        return;
    }
    half.waits = false;
    operation.erase = false;
    operation.value = (uint64_t)value << 32 | half.word;
    begin(at - 4, address - 4, 8, 82 * US);
}

static void write_flash(uint32_t address, uint32_t value, unsigned size) {
    program(bytes + (address - FLASH), address, value, size);
}

static void write_system(uint32_t address, uint32_t value, unsigned size) {
    if (address - SYSTEM >= OTP_SIZE) {
        bus_fault(address);
        return;
    }
    program(system_page + (address - SYSTEM), address, value, size);
}

static void erase(uint32_t control) {
    uint32_t banks = (control & MER1 ? 1 : 0) | (control & MER2 ? 2 : 0);
    operation.erase = true;
    if (banks) {
        uint32_t start = banks == 2 ? BANK : 0;
        begin(bytes + start, FLASH + start, banks == 3 ? SIZE : BANK, 22 * MS);
        return;
    }
    uint32_t start = (control >> 3 & 127) * PAGE + (control & BKER ? BANK : 0);
    begin(bytes + start, FLASH + start, PAGE, 22 * MS);
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
        if (value & PG || !(value & (PER | MER1 | MER2))) {
            refuse("FLASH.CR %08x starts no erase", (unsigned)value);
        }
        if (*kept(SR) & ERRORS) {
            *kept(SR) |= PGSERR;
            update_irq();
            return;
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
        flash_g4_check_latency(core_hz());
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
    case ECCR:
        *kept(ECCR) &= ~(value & ECCD);
        break;
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    keys = 0;
    cut();  // a reset ends the operation in the middle
}

void flash_g4_add(void) {
    static const Register registers[] = {
        {ACR, "ACR", 0x00040600, 0x00041f0f, 0, 0},
        {KEYR, "KEYR", .writable = UINT32_MAX},
        {SR, "SR", 0, EOP | ERRORS | OTHER_ERRORS, BSY, 0},
        {CR, "CR", LOCK | OPTLOCK, LOCK | 0x03018bff, OPTLOCK, 0},
        {ECCR, "ECCR", 0, ECCD | ECCC, 0x0067ffff, 0},
        {OPTR, "OPTR", 0xffeff8aa, 0, 0, 0},  // as the part is delivered: two banks
        {PCROP, "PCROP1", UINT32_MAX, 0, 0, 4},
        {PCROP2, "PCROP2", UINT32_MAX, 0, 0, 4},
        {SECR, "SECR", 0, 0, 0, 2},
        {0},
    };
    flash = (Device){
        .name = "FLASH", .base = 0x40022000, .registers = registers, .write = write,
        .reset = reset,
    };
    operation.end.fire = end;
    bytes = setting_bytes("flash", SIZE, 0xff);
    broken = setting_bytes("ecc", DOUBLES, 0);
    otp = setting_bytes("otp", OTP_SIZE, 0xff);
    memcpy(system_page, otp, OTP_SIZE);
    // Three words: place on the wafer, wafer and lot number in letters (RM0440 48.1).
    for (unsigned i = 0; i < 12; i++) {
        uint32_t random = machine_random();
        system_page[UNIQUE_ID + i] = (uint8_t)(i < 4 ? random : '0' + random % 10);
    }
    memcpy(system_page + FLASH_SIZE, (uint8_t[]){(uint8_t)(SIZE >> 10), (uint8_t)(SIZE >> 18)}, 2);
    device_add(&flash);
    memory_rom(FLASH, SIZE, bytes, write_flash);
    memory_rom(0, SIZE, bytes, NULL);
    memory_rom(SYSTEM, SYSTEM_SIZE, system_page, write_system);
    power_watch(power_changed_at, NULL);
    for (uint32_t i = 0; i < DOUBLES; i++) {
        if (broken[i]) {
            set_broken(FLASH + 8 * i, true);
        }
    }
}
