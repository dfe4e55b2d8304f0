// SPDX-License-Identifier: MIT
//
// Flash of the H743, with its unique id: RM0433 chapters 4 and 61.
//
// A flash word of 256 bits is programmed at once, with its error correction code, when the write
// buffer of its bank has all of it. A second programming without an erase would leave a code that
// does not fit, and is refused. If power fails during an operation, bits of a flash word have any
// value between the old and the new one and do not fit the code: a read has a double error, which
// is a bus fault, with DBECCERR. Such words are kept in the file of the setting "ecc", as the flash
// itself in that of "flash".
//
// The banks work side by side: the core stands still during an operation only if it executes from
// the same bank. Data that it reads of a bank that is busy come at once, and not after the
// operation. Left out: single-bit errors, errors in what the core fetches as an instruction or what
// DMA reads, option bytes, write and read protection, secure areas, swapped banks, the CRC module.

#include "flash_h7.h"

#include <string.h>

#include "pwr_h7.h"
#include "rcc_h7.h"

enum {
    ACR = 0x00, KEYR = 0x04, OPTKEYR = 0x08, CR = 0x0c, SR = 0x10, CCR = 0x14, OPTCR = 0x18,
    OPTSR = 0x1c, PRAR = 0x28, SCAR = 0x30, WPSN = 0x38, BOOT = 0x40, ECC_FA = 0x60,
    SECOND = 0x100,
};
enum {
    BSY = 1 << 0, WBNE = 1 << 1, QW = 1 << 2, EOP = 1 << 16, PGSERR = 1 << 18, STRBERR = 1 << 19,
    INCERR = 1 << 21, DBECCERR = 1 << 26, ERRORS = PGSERR | STRBERR | INCERR,
    CLEARED = 0x1fef0000,  // the flags of what is left out are never set
};
enum {
    LOCK = 1 << 0, PG = 1 << 1, SER = 1 << 2, BER = 1 << 3, PSIZE = 3 << 4, FW = 1 << 6,
    START = 1 << 7, SNB = 7 << 8, INTERRUPTS = 0x1fef0000,
};

#define FLASH 0x08000000u
#define SYSTEM 0x1ff1e000u
enum { SIZE = 0x200000, BANKS = 2, BANK = SIZE / BANKS, SECTOR = 0x20000, WORD = 32, IRQ = 4 };
enum { SECTORS = SIZE / SECTOR, WORDS = SIZE / WORD };
enum { SYSTEM_SIZE = 0x1000, UNIQUE_ID = 0x800, FLASH_SIZE = 0x880 };

typedef struct {
    unsigned keys;  // that CR has been given
    // The write buffer
    uint8_t buffer[WORD];
    uint32_t address, filled;  // of a flash word; a bit for each byte that has been written
    // The operation
    Event end;
    uint32_t begin, size;
    bool erase;
} Bank;

static Device flash;
static Bank banks[BANKS];
static uint8_t *bytes, *broken;  // `broken`: a byte for each flash word, 1 if it has errors
static bool watched[SECTORS];    // whether reads of it are looked at
static uint8_t system_memory[SYSTEM_SIZE] __attribute__((aligned(4096)));

static uint32_t *kept(unsigned bank, uint32_t offset) {
    return device_value(&flash, bank * SECOND + offset);
}

static unsigned bank_of(uint32_t address) {
    return (address - FLASH) / BANK;
}

static void update_irq(void) {
    uint32_t due = 0;
    for (unsigned i = 0; i < BANKS; i++) {
        due |= *kept(i, SR) & *kept(i, CR) & INTERRUPTS;
    }
    irq_line(IRQ, due);
}

static void raise(unsigned bank, uint32_t flags) {
    *kept(bank, SR) |= flags;
    update_irq();
}

// RM0433 table 17
void flash_h7_check_latency(uint32_t hclk_hz) {
    static const struct {
        uint32_t wait_states, signal_delay;  // LATENCY, WRHIGHFREQ
        uint32_t most[4];                    // by the level of the voltage
    } rows[] = {
        {0, 0, {70000000, 70000000, 55000000, 45000000}},
        {1, 1, {140000000, 140000000, 110000000, 90000000}},
        {2, 1, {185000000, 185000000, 165000000, 135000000}},
        {2, 2, {210000000, 210000000, 165000000, 135000000}},
        {3, 2, {225000000, 225000000, 225000000, 180000000}},
        {4, 2, {240000000, 240000000, 225000000, 225000000}},
    };
    uint32_t wait_states = *kept(0, ACR) & 15, delay = *kept(0, ACR) >> 4 & 3, most = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].wait_states <= wait_states && rows[i].signal_delay <= delay) {
            most = rows[i].most[pwr_h7_level()];
        }
    }
    if (hclk_hz > most) {
        refuse("HCLK %u Hz with FLASH.ACR %02x", (unsigned)hclk_hz, (unsigned)*kept(0, ACR));
    }
}

// Double errors ----------------------------------------------------------------------------------

static void read_broken(uint32_t address) {
    uint32_t word = (address - FLASH) / WORD;
    if (broken[word]) {
        unsigned bank = bank_of(address);
        if (!(*kept(bank, SR) & DBECCERR)) {
            *kept(bank, ECC_FA) = word % (WORDS / BANKS);
        }
        raise(bank, DBECCERR);
        bus_fault(address);
    }
}

static void set_broken(uint32_t address, bool is_broken) {
    uint32_t sector = (address - FLASH) / SECTOR;
    broken[(address - FLASH) / WORD] = is_broken;
    if (is_broken && !watched[sector]) {
        watched[sector] = true;
        memory_watch_reads(FLASH + sector * SECTOR, SECTOR, read_broken);
    }
}

// Operations -------------------------------------------------------------------------------------

static void begin(unsigned which, uint32_t address, uint32_t size, Time takes) {
    Bank *bank = &banks[which];
    bank->begin = address;
    bank->size = size;
    *kept(which, SR) |= BSY | QW;
    event_in(&bank->end, takes);
    if (bank_of(core_pc()) == which) {
        core_stall(takes);
    }
}

static void apply(Bank *bank, bool whole) {
    uint8_t *at = bytes + (bank->begin - FLASH);
    for (uint32_t i = 0; i < bank->size; i++) {
        uint8_t target = bank->erase ? 0xff : bank->buffer[i % WORD], before = at[i];
        uint8_t mixed = whole ? 0 : (uint8_t)machine_random();
        at[i] = (uint8_t)((before & mixed) | (target & ~mixed));
    }
    for (uint32_t i = 0; i < bank->size; i += WORD) {
        set_broken(bank->begin + i, !whole);
    }
    memory_changed(bank->begin, bank->size);
}

static void end(void *self) {
    Bank *bank = self;
    unsigned which = (unsigned)(bank - banks);
    apply(bank, true);
    bank->filled = 0;
    *kept(which, SR) &= ~(uint32_t)(BSY | QW | WBNE);
    *kept(which, CR) &= ~(uint32_t)(START | FW);
    raise(which, EOP);
}

static void cut(Bank *bank) {
    if (bank->end.armed) {
        event_cancel(&bank->end);
        apply(bank, false);
    }
    bank->filled = 0;
}

static void power_changed_at(void *self, bool on) {
    if (!on) {
        cut(self);
    }
}

static void program(unsigned which) {
    static const uint16_t us[] = {290, 180, 130, 100};  // by PSIZE, as the data sheet says
    Bank *bank = &banks[which];
    for (unsigned i = 0; i < WORD; i++) {
        if (bytes[bank->address - FLASH + i] != 0xff) {
            refuse("the flash word at %08x is programmed twice", (unsigned)bank->address);
        }
        if (!(bank->filled >> i & 1)) {
            bank->buffer[i] = 0xff;
        }
    }
    bank->erase = false;
    begin(which, bank->address, WORD, us[*kept(which, CR) >> 4 & 3] * US);
}

// A store of the core.
static void write_flash(uint32_t address, uint32_t value, unsigned size) {
    unsigned which = bank_of(address);
    Bank *bank = &banks[which];
    uint32_t control = *kept(which, CR), at = address % WORD, mask = ((1u << size) - 1) << at;
    uint32_t error = 0;
    if (*kept(which, SR) & BSY) {
        refuse("a store at %08x while the bank is busy", (unsigned)address);
    }
    if (!(control & PG) || control & LOCK || *kept(which, SR) & ERRORS) {
        error = PGSERR;
    } else if (bank->filled && address - at != bank->address) {
        error = INCERR;
    } else if (bank->filled & mask) {
        error = STRBERR;
    }
    if (error) {
        trace("flash: store at %08x refused, SR %06x", (unsigned)address, (unsigned)error);
        raise(which, error);
        return;
    }
    bank->address = address - at;
    memcpy(bank->buffer + at, &value, size);
    bank->filled |= mask;
    *kept(which, SR) |= WBNE;
    if (bank->filled == UINT32_MAX) {
        program(which);
    }
}

static void erase(unsigned which, uint32_t control) {
    static const uint16_t ms[] = {2000, 1800, 1100, 1000};  // of a sector, by PSIZE
    uint32_t start = FLASH + which * BANK, sectors = control & BER ? BANK / SECTOR : 1;
    start += control & BER ? 0 : (control & SNB) / (SNB & -SNB) * SECTOR;
    banks[which].erase = true;
    begin(which, start, sectors * SECTOR, sectors * ms[control >> 4 & 3] * MS);
}

static void write_control(unsigned which, uint32_t value) {
    uint32_t *control = kept(which, CR);
    if (*control & LOCK) {
        refuse("write of %08x to FLASH.CR%u, which is locked", (unsigned)value, which + 1);
    }
    if (*kept(which, SR) & BSY && (value ^ *control) & ~(uint32_t)INTERRUPTS) {
        refuse("write of %08x to FLASH.CR%u while the bank is busy", (unsigned)value, which + 1);
    }
    if (value & LOCK) {
        banks[which].keys = 0;
    }
    bool starts = value & ~*control & START;
    *control = value;
    update_irq();
    if (value & FW && banks[which].filled) {
        program(which);
    }
    if (starts) {
        if (value & PG || !(value & (SER | BER)) || *kept(which, SR) & (ERRORS | WBNE)) {
            refuse("FLASH.CR%u %08x starts no erase, SR %08x", which + 1, (unsigned)value,
                   (unsigned)*kept(which, SR));
        }
        erase(which, value);
    }
}

static void write_key(unsigned which, uint32_t value) {
    static const uint32_t right[] = {0x45670123, 0xcdef89ab};
    Bank *bank = &banks[which];
    // Keys for an open register are an error, too: it would lock until the next reset.
    if (bank->keys == 2 || value != right[bank->keys]) {
        refuse("write of %08x to FLASH.KEYR%u", (unsigned)value, which + 1);
    }
    if (++bank->keys == 2) {
        *kept(which, CR) &= ~(uint32_t)LOCK;
    }
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = *device_value(&flash, offset);
    if (offset % SECOND == SR && value & QW) {
        core_skip_to_event();  // the erase of a sector takes a second
    }
    return value;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    unsigned which = offset / SECOND;
    switch (offset % SECOND) {
    case ACR:
        *kept(0, ACR) = value;
        flash_h7_check_latency(rcc_h7_hclk());
        break;
    case KEYR:
        write_key(which, value);
        break;
    case CR:
        write_control(which, value);
        break;
    case CCR:
        *kept(which, SR) &= ~(value & CLEARED);
        update_irq();
        break;
    }
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    for (unsigned i = 0; i < BANKS; i++) {
        banks[i].keys = 0;
        cut(&banks[i]);  // a reset ends the operation in the middle
    }
}

#define OF_A_BANK(base, number) \
    {(base) + KEYR, "KEYR" number, .writable = UINT32_MAX}, \
    {(base) + CR, "CR" number, LOCK | PSIZE, INTERRUPTS | 0x7ff, 0, 0}, \
    {(base) + SR, "SR" number, 0, 0, 0, 0}, \
    {(base) + CCR, "CCR" number, 0, CLEARED, 0, 0}, \
    {(base) + PRAR, "PRAR" number, 0xff, 0, 0, 2}, \
    {(base) + SCAR, "SCAR" number, 0xff, 0, 0, 2}, \
    {(base) + WPSN, "WPSN" number, 0xff, 0, 0, 2}, \
    {(base) + ECC_FA, "ECC_FA" number, 0, 0, 0, 0}

void flash_h7_add(void) {
    static const Register registers[] = {
        {ACR, "ACR", 0x37, 0x3f, 0, 0},
        OF_A_BANK(0, "1"),
        OF_A_BANK(SECOND, "2"),
        {OPTCR, "OPTCR", 1, 0, 0, 0},
        {OPTSR, "OPTSR", 0x1feeaaf0, 0, 0, 2},  // as the part is delivered
        {BOOT, "BOOT", 0x1ff00800, 0, 0, 2},
        {0},
    };
    flash = (Device){
        .name = "FLASH", .base = 0x52002000, .registers = registers, .read = read,
        .write = write, .reset = reset,
    };
    bytes = setting_bytes("flash", SIZE, 0xff);
    broken = setting_bytes("ecc", WORDS, 0);
    // Three words: place on the wafer, wafer and lot number in letters (RM0433 61.1).
    for (unsigned i = 0; i < 12; i++) {
        uint32_t random = machine_random();
        system_memory[UNIQUE_ID + i] = (uint8_t)(i < 4 ? random : '0' + random % 10);
    }
    memcpy(system_memory + FLASH_SIZE, (uint8_t[]){(uint8_t)(SIZE >> 10), SIZE >> 18}, 2);
    device_add(&flash);
    memory_rom(FLASH, SIZE, bytes, write_flash);
    memory_rom(SYSTEM, SYSTEM_SIZE, system_memory, NULL);
    for (unsigned i = 0; i < BANKS; i++) {
        banks[i].end = (Event){.fire = end, .self = &banks[i]};
        power_watch(power_changed_at, &banks[i]);
    }
    for (uint32_t i = 0; i < WORDS; i++) {
        if (broken[i]) {
            set_broken(FLASH + WORD * i, true);
        }
    }
}
