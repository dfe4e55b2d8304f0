// SPDX-License-Identifier: MIT
//
// RCC of the F405 and F446: RM0090 7.3, RM0390 6.3. Oscillators and PLLs take time to start, as
// the data sheets say typically. Left out: the clock security system, clock outputs (MCO), spread
// spectrum, and clocks during sleep (a peripheral keeps its own).

#include "rcc_f4.h"

#include <string.h>

#include "flash_f4.h"
#include "pwr_f4.h"
#include "rtc.h"

enum {
    CR = 0x00, PLLCFGR = 0x04, CFGR = 0x08, CIR = 0x0c, AHB3RSTR = 0x18, AHB3ENR = 0x38,
    LPENR = 0x50, BDCR = 0x70, CSR = 0x74, PLLI2SCFGR = 0x84, PLLSAICFGR = 0x88, DCKCFGR = 0x8c,
    CKGATENR = 0x90, DCKCFGR2 = 0x94,
};
// CR
enum {
    HSION = 1, HSIRDY = 2, HSEON = 1 << 16, HSERDY = 1 << 17, HSEBYP = 1 << 18, PLLON = 1 << 24,
    PLLRDY = 1 << 25, PLLI2SON = 1 << 26, PLLI2SRDY = 1 << 27, PLLSAION = 1 << 28,
    PLLSAIRDY = 1 << 29,
};
// BDCR and CSR
enum { LSEON = 1, LSERDY = 2, RTCSEL = 3 << 8, RTCEN = 1 << 15, BDRST = 1 << 16 };
enum { LSION = 1, LSIRDY = 2, RMVF = 1 << 24 };
enum { BORRSTF = 1u << 25, PINRSTF = 1u << 26, PORRSTF = 1u << 27, SFTRSTF = 1u << 28 };
enum { IWDGRSTF = 1u << 29 };
enum { SYSTEM_HSI, SYSTEM_HSE, SYSTEM_PLL };

typedef struct {
    uint32_t on, ready;
    Time takes, ready_at;
} Oscillator;

static Oscillator oscillators[] = {
    {HSION, HSIRDY, 2 * US, 0},
    {HSEON, HSERDY, 2 * MS, 0},
    {PLLON, PLLRDY, 100 * US, 0},
    {PLLI2SON, PLLI2SRDY, 100 * US, 0},
    {PLLSAION, PLLSAIRDY, 100 * US, 0},
};
#define OSCILLATORS (sizeof oscillators / sizeof *oscillators)

static Device rcc;
static const RccF4 *part;
static struct {
    uint32_t hse_hz, lse_hz;
    bool bypass;
} board;
static Time lse_ready_at, lsi_ready_at;
static uint32_t hclk_hz;

static uint32_t *kept(uint32_t offset) {
    return device_value(&rcc, offset);
}

static uint32_t ready_bits(void) {
    uint32_t bits = 0;
    for (unsigned i = 0; i < OSCILLATORS; i++) {
        const Oscillator *oscillator = &oscillators[i];
        if (*kept(CR) & oscillator->on && now() >= oscillator->ready_at) {
            bits |= oscillator->ready;
        }
    }
    return bits;
}

// Clocks -----------------------------------------------------------------------------------------

static uint32_t pll_input(void) {
    return *kept(PLLCFGR) & 1u << 22 ? board.hse_hz : HSI_HZ;
}

static uint32_t pll_vco(void) {
    uint32_t config = *kept(PLLCFGR), m = config & 63, n = config >> 6 & 511;
    uint32_t input = pll_input() / m;
    if (m < 2 || n < 50 || n > 432 || input < 950000 || input > 2100000 ||
        input * n < 100000000 || input * n > 432000000) {
        refuse("RCC.PLLCFGR %08x: M %u, N %u of %u Hz", (unsigned)config, (unsigned)m,
               (unsigned)n, (unsigned)pll_input());
    }
    return (uint32_t)((uint64_t)pll_input() * n / m);
}

static uint32_t system_clock(uint32_t source) {
    switch (source) {
    case SYSTEM_HSI:
        return HSI_HZ;
    case SYSTEM_HSE:
        return board.hse_hz;
    case SYSTEM_PLL:
        return pll_vco() / (2 * ((*kept(PLLCFGR) >> 16 & 3) + 1));
    default:
        refuse("RCC.CFGR.SW is 3");
    }
}

static uint32_t divide(uint32_t hz, uint32_t code, uint32_t first) {
    // 0 to first - 1: not divided; then 2, 4, 8, 16, and for AHB without 32: 64, 128, 256, 512
    if (code < first) {
        return hz;
    }
    unsigned shift = code - first + 1;
    return hz >> (shift > 4 ? shift + 1 : shift);
}

uint32_t rcc_f4_hclk(void) {
    return hclk_hz;
}

static uint32_t apb(unsigned shift) {
    return divide(hclk_hz, *kept(CFGR) >> shift & 7, 4);
}

uint32_t rcc_f4_pclk1(void) {
    return apb(10);
}

uint32_t rcc_f4_pclk2(void) {
    return apb(13);
}

uint32_t rcc_f4_timer1(void) {
    return rcc_f4_pclk1() == hclk_hz ? hclk_hz : 2 * rcc_f4_pclk1();
}

uint32_t rcc_f4_timer2(void) {
    return rcc_f4_pclk2() == hclk_hz ? hclk_hz : 2 * rcc_f4_pclk2();
}

uint32_t rcc_f4_pll48(void) {
    uint32_t q = *kept(PLLCFGR) >> 24 & 15;
    return ready_bits() & PLLRDY && q > 1 ? pll_vco() / q : 0;
}

static void check_apb(void *self) {
    (void)self;
    uint32_t pclk1 = rcc_f4_pclk1(), pclk2 = rcc_f4_pclk2();
    if (pclk1 > part->most_hz / 4 || pclk2 > part->most_hz / 2) {
        refuse("PCLK1 %u Hz, PCLK2 %u Hz", (unsigned)pclk1, (unsigned)pclk2);
    }
}

static Event apb_check = {.fire = check_apb};

static void set_system_clock(uint32_t config) {
    static const uint32_t ready[] = {HSIRDY, HSERDY, PLLRDY, 0};
    uint32_t source = config & 3;
    if (!(ready_bits() & ready[source])) {
        refuse("RCC.CFGR.SW selects clock %u, which is not ready", (unsigned)source);
    }
    hclk_hz = divide(system_clock(source), config >> 4 & 15, 8);
    if (hclk_hz > part->most_hz) {
        refuse("HCLK %u Hz", (unsigned)hclk_hz);
    }
    flash_f4_check_latency(hclk_hz);
    // HAL_RCC_ClockConfig selects the PLL some microseconds before it divides the clocks of APB.
    event_in(&apb_check, 100 * US);
    core_clock(hclk_hz);
}

// The backup domain ------------------------------------------------------------------------------

bool rcc_f4_lsi_on(void) {
    return *kept(CSR) & LSION;
}

void rcc_f4_need_lsi(void) {
    if (!rcc_f4_lsi_on()) {
        *kept(CSR) |= LSION;
        lsi_ready_at = now() + 40 * US;
    }
}

uint32_t rcc_f4_rtc(void) {
    uint32_t bdcr = *kept(BDCR);
    if (!(bdcr & RTCEN)) {
        return 0;
    }
    switch (bdcr >> 8 & 3) {
    case 1:
        return bdcr & LSEON && now() >= lse_ready_at ? board.lse_hz : 0;
    case 2:
        return rcc_f4_lsi_on() ? LSI_HZ : 0;
    default:
        return 0;
    }
}

static void write_bdcr(uint32_t value) {
    uint32_t *bdcr = kept(BDCR), before = *bdcr;
    if (!pwr_f4_backup_open() && value != before) {
        refuse("write of %08x to RCC.BDCR without PWR_CR.DBP", (unsigned)value);
    }
    if (value & BDRST) {
        *bdcr = BDRST;
        rtc_backup_reset();
        return;
    }
    if (before & RTCSEL && (before ^ value) & RTCSEL) {
        refuse("RCC.BDCR.RTCSEL is changed without a reset of the backup domain");
    }
    if (value & LSEON & ~before) {
        if (!board.lse_hz) {
            refuse("RCC.BDCR.LSEON: the board has no such crystal");
        }
        lse_ready_at = now() + 200 * MS;
    }
    *bdcr = value & ~(uint32_t)LSERDY;
    rtc_clock_changed();
}

// Registers --------------------------------------------------------------------------------------

static bool enabled(uint16_t enable_offset, uint32_t bit) {
    return *kept(enable_offset) & bit;
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = *kept(offset);
    switch (offset) {
    case CR:
        return value | ready_bits();
    case CFGR:
        return value | (value & 3) << 2;
    case BDCR:
        return value | (value & LSEON && now() >= lse_ready_at ? LSERDY : 0);
    case CSR:
        return value | (value & LSION && now() >= lsi_ready_at ? LSIRDY : 0);
    default:
        return value;
    }
}

static void write_cr(uint32_t value) {
    uint32_t *cr = kept(CR), source = *kept(CFGR) & 3;
    bool pll_needed = source == SYSTEM_PLL;
    bool hse_needed = source == SYSTEM_HSE || (pll_needed && *kept(PLLCFGR) & 1u << 22);
    if ((pll_needed && !(value & PLLON)) || (hse_needed && !(value & HSEON)) ||
        (source == SYSTEM_HSI && !(value & HSION))) {
        refuse("RCC.CR %08x switches the system clock off", (unsigned)value);
    }
    // A clock at OSC_IN passes the oscillator, too: MicroPython relies on that.
    if (value & HSEBYP && !board.bypass) {
        refuse("RCC.CR.HSEBYP: the board has a crystal");
    }
    for (unsigned i = 0; i < OSCILLATORS; i++) {
        if (value & oscillators[i].on & ~*cr) {
            oscillators[i].ready_at = now() + oscillators[i].takes;
        }
    }
    *cr = value & rcc.index[CR / 4]->writable;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t *was = kept(offset);
    switch (offset) {
    case CR:
        write_cr(value);
        return;
    case PLLCFGR:
        if (*kept(CR) & PLLON && value != *was) {
            refuse("write of RCC.PLLCFGR while the PLL is on");
        }
        break;
    case CFGR:
        *was = value & rcc.index[CFGR / 4]->writable;
        set_system_clock(*was);
        return;
    case BDCR:
        write_bdcr(value);
        return;
    case CSR:
        if (value & LSION & ~*was) {
            lsi_ready_at = now() + 40 * US;
        }
        *was = (*was & 0xfe000000 & (value & RMVF ? 0 : UINT32_MAX)) | (value & LSION);
        rtc_clock_changed();
        return;
    case AHB1RSTR:
    case AHB2RSTR:
    case AHB3RSTR:
    case APB1RSTR:
    case APB2RSTR:
        devices_reset((uint16_t)offset, value & ~*was);
        break;
    default:
        break;
    }
    *was = value & rcc.index[offset / 4]->writable;
}

// A system reset leaves the backup domain and the flags of resets as they are.
static void reset(void *self, bool power_on) {
    (void)self;
    static const uint32_t flags[] = {
        [RESET_POWER] = PORRSTF | PINRSTF | BORRSTF,
        [RESET_PIN] = PINRSTF,
        [RESET_SOFTWARE] = SFTRSTF | PINRSTF,
        [RESET_IWDG] = IWDGRSTF | PINRSTF,
    };
    for (uint32_t offset = 0; offset < rcc.span && !power_on; offset += 4) {
        const Register *reg = rcc.index[offset / 4];
        if (reg && offset != BDCR && offset != CSR) {
            *kept(offset) = reg->reset;
        }
    }
    *kept(CSR) = (*kept(CSR) & ~(uint32_t)LSION) | flags[reset_cause()];
    hclk_hz = HSI_HZ;
    event_cancel(&apb_check);
    core_clock(HSI_HZ);
}

void rcc_f4_oscillators(uint32_t hse_hz, bool bypass, uint32_t lse_hz) {
    board.hse_hz = hse_hz;
    board.bypass = bypass;
    board.lse_hz = lse_hz;
}

void rcc_f4_add(const RccF4 *described) {
    static Register registers[32];
    const uint32_t *en = described->enable, *rst = described->reset;
    // The reset values of the registers for sleep are those of an F405; a part has no clock
    // that is missing in `enable`.
    const Register all[] = {
        // HSICAL and the ready bits are read-only.
        {CR, "CR", 0x83, 0x050d00f9 | (described->has_clock_configuration ? PLLSAION : 0),
         0x3a02ff02, 0},
        // HAL_RCC_OscConfig writes 0 to the reserved bit 29, whose reset value is 1.
        {PLLCFGR, "PLLCFGR", 0x24003010,
         0x0f437fff | (described->has_clock_configuration ? 0x70000000 : 0), 0x20000000, 0},
        {CFGR, "CFGR", 0, 0x001ffcf3, 0x0000000c, 0},
        {CIR, "CIR", 0, 0, 0, 0},
        {AHB1RSTR, "AHB1RSTR", 0, rst[0], 0, 0},
        {AHB2RSTR, "AHB2RSTR", 0, rst[1], 0, 0},
        {AHB3RSTR, "AHB3RSTR", 0, rst[2], 0, 0},
        {APB1RSTR, "APB1RSTR", 0, rst[3], 0, 0},
        {APB2RSTR, "APB2RSTR", 0, rst[4], 0, 0},
        {AHB1ENR, "AHB1ENR", 0x00100000, en[0], 0, 0},
        {AHB2ENR, "AHB2ENR", 0, en[1], 0, 0},
        {AHB3ENR, "AHB3ENR", 0, en[2], 0, 0},
        {APB1ENR, "APB1ENR", 0, en[3], 0, 0},
        {APB2ENR, "APB2ENR", 0, en[4], 0, 0},
        {LPENR, "AHB1LPENR", 0x7e6791ff, UINT32_MAX, 0, 0},
        {LPENR + 4, "AHB2LPENR", 0xf1, UINT32_MAX, 0, 0},
        {LPENR + 8, "AHB3LPENR", 1, UINT32_MAX, 0, 0},
        {LPENR + 16, "APB1LPENR", 0x36fec9ff, UINT32_MAX, 0, 0},
        {LPENR + 20, "APB2LPENR", 0x75f33, UINT32_MAX, 0, 0},
        {BDCR, "BDCR", 0, 0x18305, LSERDY, 0},
        {CSR, "CSR", 0x0e000000, LSION | RMVF, LSIRDY | 0xfe000000, 0},
        {PLLI2SCFGR, "PLLI2SCFGR", 0x20003000, 0x70007fc0, 0, 0},
        // The rest is of the F446 only.
        {PLLSAICFGR, described->has_clock_configuration ? "PLLSAICFGR" : NULL, 0x24003010,
         0x0f037fff, 0, 0},
        {DCKCFGR, "DCKCFGR", .writable = 0x07f39f1f},
        {CKGATENR, "CKGATENR", .writable = 0x7f},
        {DCKCFGR2, "DCKCFGR2", .writable = 0x3cc00000},
        {0},
    };
    memcpy(registers, all, sizeof all);
    part = described;
    rcc = (Device){
        .name = "RCC", .base = 0x40023800, .registers = registers, .read = read, .write = write,
        .reset = reset, .kept = true,
    };
    device_add(&rcc);
    devices_gated_by(enabled);
}
