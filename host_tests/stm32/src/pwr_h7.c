// SPDX-License-Identifier: MIT
//
// PWR of the H743, revision V, with the LDO as its supply: RM0433 chapter 6. Until software has
// written CR3 once after power has come, the part stays in Run* mode, in which the voltage may not
// be scaled; RAM may not be written there either, which is not checked. Left out: stop, standby,
// wake-up pins, the voltage and temperature detectors, the supply by BYPASS, the charging of VBAT,
// the regulator of USB, and the backup SRAM. The regulator of the backup SRAM is ready at once.

#include "pwr_h7.h"

#include "rcc_h7.h"

enum { CR1 = 0x00, CSR1 = 0x04, CR2 = 0x08, CR3 = 0x0c, CPUCR = 0x10, D3CR = 0x18, WKUPCR = 0x20 };
enum { DBP = 1 << 8, SVOS = 3 << 14, BREN = 1 << 0, BRRDY = 1 << 16 };
enum {
    LDOEN = 1 << 1, SCUEN = 1 << 2, SUPPLY = 7, USB33DEN = 1 << 24, USB33RDY = 1 << 26,
};
enum { ACTVOSRDY = 1 << 13, VOSRDY = 1 << 13, VOS_SHIFT = 14 };
#define CHANGE_TIME (50 * US)

static Device pwr;
static bool overdrive;
static unsigned level, next_level;
static Event changed;

static uint32_t *kept(uint32_t offset) {
    return device_value(&pwr, offset);
}

bool pwr_h7_backup_open(void) {
    return *kept(CR1) & DBP;
}

unsigned pwr_h7_level(void) {
    return level;
}

// Data sheet, tables of the clocks by the level of the voltage
void pwr_h7_check(uint32_t core_hz, uint32_t hclk_hz) {
    static const uint32_t most[] = {480000000, 400000000, 300000000, 200000000};
    if (core_hz > most[level] || hclk_hz > most[level] / 2) {
        refuse("the core at %u Hz and HCLK %u Hz at voltage VOS%u of PWR", (unsigned)core_hz,
               (unsigned)hclk_hz, level);
    }
}

void pwr_h7_check_apb(uint32_t hz) {
    // VOS3 allows 50 MHz, where the part itself has the 64 MHz of HSI after a reset.
    static const uint32_t most[] = {120000000, 100000000, 75000000, 64000000};
    if (hz > most[level]) {
        refuse("an APB bus at %u Hz at voltage VOS%u of PWR", (unsigned)hz, level);
    }
}

static void reached(void *self) {
    (void)self;
    level = next_level;
}

static void scale(void) {
    uint32_t vos = *kept(D3CR) >> VOS_SHIFT & 3;
    if (*kept(CR3) & SCUEN) {
        refuse("PWR.D3CR.VOS is changed before CR3 has been written");
    }
    if (!vos || (overdrive && vos != 3)) {
        refuse("PWR.D3CR.VOS is %u, SYSCFG.PWRCR.ODEN %u", (unsigned)vos, overdrive);
    }
    next_level = overdrive ? 0 : 4 - vos;
    if (next_level > level) {
        level = next_level;  // the clocks must be lower before
        rcc_h7_check_clocks();
    }
    event_in(&changed, CHANGE_TIME);
}

void pwr_h7_overdrive(bool on) {
    if (on != overdrive) {
        overdrive = on;
        scale();
    }
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    bool configured = !(*kept(CR3) & SCUEN);
    switch (offset) {
    case CSR1:
        return (level ? 4 - level : 3) << VOS_SHIFT | (configured ? ACTVOSRDY : 0);
    case CR2:
        return *kept(CR2) | (*kept(CR2) & BREN ? BRRDY : 0);
    case CR3:
        return *kept(CR3) | (*kept(CR3) & USB33DEN ? USB33RDY : 0);
    case D3CR:
        return *kept(D3CR) | (changed.armed ? 0 : VOSRDY);
    default:
        return *kept(offset);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t was = *kept(offset);
    uint32_t writable = pwr.index[offset / 4]->writable;
    value = (was & ~writable) | (value & writable);
    if (offset == CR2 && value != was && !pwr_h7_backup_open()) {
        refuse("write of %08x to PWR.CR2 without PWR_CR1.DBP", (unsigned)value);
    }
    if (offset == CR3) {
        bool written = !(was & SCUEN);
        if ((value & SUPPLY) != LDOEN && (written || (value ^ was) & SUPPLY)) {
            refuse("write of %08x to PWR.CR3: the supply is the LDO", (unsigned)value);
        }
    }
    *kept(offset) = value;
    if (offset == D3CR && value != was) {
        scale();
    }
}

static void reset(void *self, bool power_on) {
    (void)self;
    // Only the loss of power ends the supply's configuration; CR2 is in the backup domain.
    if (!power_on) {
        uint32_t supply = *kept(CR3) & SUPPLY, backup = *kept(CR2);
        for (uint32_t offset = 0; offset < pwr.span; offset += 4) {
            *kept(offset) = pwr.index[offset / 4] ? pwr.index[offset / 4]->reset : 0;
        }
        *kept(CR3) = supply;
        *kept(CR2) = backup;
    }
    overdrive = false;
    level = next_level = 3;
    event_cancel(&changed);
}

void pwr_h7_add(void) {
    static const Register registers[] = {
        {CR1, "CR1", 0xf0000000 | SVOS, DBP | SVOS, 0, 0},
        {CSR1, "CSR1", 0, 0, 0, 0},
        {CR2, "CR2", 0, BREN, BRRDY, 0},
        {CR3, "CR3", LDOEN | SCUEN, SUPPLY | USB33DEN, USB33RDY, 0},
        {CPUCR, "CPUCR", 0, 0, 0, 0},
        {D3CR, "D3CR", 1 << VOS_SHIFT, 3 << VOS_SHIFT, VOSRDY, 0},
        {WKUPCR, "WKUPCR", 0, 0x3f, 0, 0},
        {0x24, "WKUPFR", 0, 0, 0, 0},
        {0x28, "WKUPEPR", 0, 0, 0, 0},
        {0},
    };
    changed.fire = reached;
    pwr = (Device){
        .name = "PWR", .base = 0x58024800, .registers = registers, .read = read, .write = write,
        .reset = reset, .kept = true,
    };
    device_add(&pwr);
}
