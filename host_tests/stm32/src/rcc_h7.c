// SPDX-License-Identifier: MIT
//
// RCC of the H743, revision V: RM0433 chapter 8. Oscillators and PLLs take time to start, as the
// data sheet says typically. Left out: the clock security systems, clock outputs (MCO), interrupts
// of clocks, an external clock at OSC_IN or OSC32_IN, kernel clocks during stop, autonomous mode
// of the D3 domain, the reset by the window watchdog, and clocks during sleep (a peripheral keeps
// its own).

#include "rcc_h7.h"

#include "flash_h7.h"
#include "pwr_h7.h"
#include "rtc.h"

enum {
    CR = 0x00, HSICFGR = 0x04, CRRCR = 0x08, CSICFGR = 0x0c, CFGR = 0x10, D1CFGR = 0x18,
    D2CFGR = 0x1c, D3CFGR = 0x20, PLLCKSELR = 0x28, PLLCFGR = 0x2c, PLL1DIVR = 0x30,
    PLL1FRACR = 0x34, D1CCIPR = 0x4c, D2CCIP1R = 0x50, D2CCIP2R = 0x54, D3CCIPR = 0x58,
    CIER = 0x60, CIFR = 0x64, CICR = 0x68, BDCR = 0x70, CSR = 0x74, AHB3RSTR = 0x7c,
    APB4RSTR = 0x9c, RSR = 0xd0, AHB3ENR = 0xd4, AHB3LPENR = 0xfc,
};
// CR
enum {
    HSION = 1 << 0, HSIKERON = 1 << 1, HSIRDY = 1 << 2, HSIDIV = 3 << 3, HSIDIVF = 1 << 5,
    CSION = 1 << 7, CSIRDY = 1 << 8, CSIKERON = 1 << 9, HSI48ON = 1 << 12, HSI48RDY = 1 << 13,
    HSEON = 1 << 16, HSERDY = 1 << 17, PLL1ON = 1 << 24, PLL1RDY = 1 << 25, PLL2ON = 1 << 26,
    PLL3ON = 1 << 28,
    READY = HSIRDY | HSIDIVF | CSIRDY | HSI48RDY | HSERDY | 0x2a000000,
};
enum { LSEON = 1, LSERDY = 2, LSEDRV = 3 << 3, RTCSEL = 3 << 8, RTCEN = 1 << 15, BDRST = 1 << 16 };
enum { LSION = 1, LSIRDY = 2, RMVF = 1 << 16, RESET_FLAGS = 0x55fa0000 };
enum {
    CPURSTF = 1 << 17, D1RSTF = 1 << 19, D2RSTF = 1 << 20, BORRSTF = 1 << 21, PINRSTF = 1 << 22,
    PORRSTF = 1 << 23, SFTRSTF = 1 << 24, IWDG1RSTF = 1 << 26,
};
enum { FROM_HSI, FROM_CSI, FROM_HSE, FROM_PLL1 };
enum { LSI_HZ = 32000, HSI_HZ = 64000000, HSI48_HZ = 48000000, CSI_HZ = 4000000 };
enum { PLLS = 3, OUTPUT_P = 0, OUTPUT_Q = 1, OUTPUT_R = 2 };

typedef struct {
    uint32_t on, ready;
    Time takes, ready_at;
} Oscillator;

enum { HSI, CSI, HSI48, HSE, PLL1, PLL2, PLL3, OSCILLATORS };

static Device rcc;
static struct {
    uint32_t hse_hz, lse_hz;
} board;
static Oscillator oscillators[OSCILLATORS] = {
    {HSION, HSIRDY | HSIDIVF, 2 * US, 0}, {CSION, CSIRDY, 2 * US, 0},
    {HSI48ON, HSI48RDY, 3 * US, 0},       {HSEON, HSERDY, 2 * MS, 0},
    {PLL1ON, PLL1RDY, 50 * US, 0},        {PLL2ON, PLL2ON << 1, 50 * US, 0},
    {PLL3ON, PLL3ON << 1, 50 * US, 0},
};
static Time lse_ready_at, lsi_ready_at;
static uint32_t core, hclk;  // Hz

static uint32_t *kept(uint32_t offset) {
    return device_value(&rcc, offset);
}

static uint32_t field(uint32_t offset, unsigned shift, unsigned width) {
    return *kept(offset) >> shift & ((1u << width) - 1);
}

// Clocks -----------------------------------------------------------------------------------------

static bool is_ready(unsigned which) {
    return *kept(CR) & oscillators[which].on && now() >= oscillators[which].ready_at;
}

static uint32_t hsi(void) {
    return is_ready(HSI) ? HSI_HZ >> field(CR, 3, 2) : 0;
}

static uint32_t csi(void) {
    return is_ready(CSI) ? CSI_HZ : 0;
}

static uint32_t hse(void) {
    return is_ready(HSE) ? board.hse_hz : 0;
}

static uint32_t lse(void) {
    return *kept(BDCR) & LSEON && now() >= lse_ready_at ? board.lse_hz : 0;
}

static uint32_t lsi(void) {
    return *kept(CSR) & LSION && now() >= lsi_ready_at ? LSI_HZ : 0;
}

static uint32_t hsi48(void) {
    return is_ready(HSI48) ? HSI48_HZ : 0;
}

bool rcc_h7_csi_ready(void) {
    return csi();
}

static uint32_t pll_source(void) {
    switch (field(PLLCKSELR, 0, 2)) {
    case FROM_HSI:
        return hsi();
    case FROM_CSI:
        return csi();
    case FROM_HSE:
        return hse();
    default:
        return 0;
    }
}

// The frequency of a VCO; refused outside of the ranges that PLLCFGR says (8.5.5).
static uint64_t vco(unsigned pll) {
    static const uint32_t least[] = {1000000, 2000000, 4000000, 8000000};
    uint32_t m = field(PLLCKSELR, 4 + 8 * pll, 6), config = *kept(PLLCFGR) >> 4 * pll & 15;
    uint32_t n = field(PLL1DIVR + 8 * pll, 0, 9) + 1, range = config >> 2;
    uint64_t fraction = config & 1 ? field(PLL1FRACR + 8 * pll, 3, 13) : 0;
    uint32_t input = m ? pll_source() / m : 0;
    uint64_t hz = (uint64_t)input * n + (input * fraction >> 13);
    bool medium = config & 2;
    uint64_t lowest = medium ? 150000000 : 192000000, highest = medium ? 420000000 : 960000000;
    if (input < least[range] || input > 2 * least[range] || n < 4 || hz < lowest || hz > highest ||
        (medium && range)) {
        refuse("RCC.PLL%u: M %u, N %u of %u Hz, PLLCFGR %08x", pll + 1, (unsigned)m, (unsigned)n,
               (unsigned)pll_source(), (unsigned)*kept(PLLCFGR));
    }
    return hz;
}

static uint32_t pll(unsigned which, unsigned output) {
    static const uint8_t shifts[] = {9, 16, 24};
    if (!is_ready(PLL1 + which) || !field(PLLCFGR, 16 + 3 * which + output, 1)) {
        return 0;
    }
    uint32_t divider = field(PLL1DIVR + 8 * which, shifts[output], 7) + 1;
    if (which == 0 && output == OUTPUT_P && divider > 1 && divider % 2) {
        refuse("RCC.PLL1DIVR: P is %u", (unsigned)divider);
    }
    return (uint32_t)(vco(which) / divider);
}

static uint32_t system_clock(uint32_t source) {
    switch (source) {
    case FROM_HSI:
        return hsi();
    case FROM_CSI:
        return csi();
    case FROM_HSE:
        return hse();
    case FROM_PLL1:
        return pll(0, OUTPUT_P);
    default:
        return 0;
    }
}

// 0 to 7: not divided; then 2, 4, 8, 16, 64, 128, 256, 512.
static uint32_t divide(uint32_t hz, uint32_t code) {
    unsigned shift = code < 8 ? 0 : code - 7;
    return hz >> (shift > 4 ? shift + 1 : shift);
}

static uint32_t apb(uint32_t offset, unsigned shift) {
    uint32_t code = field(offset, shift, 3);
    return code < 4 ? hclk : hclk >> (code - 3);
}

static uint32_t pclk1(void) {
    return apb(D2CFGR, 4);
}

static uint32_t pclk2(void) {
    return apb(D2CFGR, 8);
}

static uint32_t pclk4(void) {
    return apb(D3CFGR, 4);
}

uint32_t rcc_h7_timer1(void) {
    return pclk1() == hclk ? hclk : 2 * pclk1();
}

static uint32_t serial(unsigned shift, uint32_t pclk) {
    switch (field(D2CCIP2R, shift, 3)) {
    case 0:
        return pclk;
    case 1:
        return pll(1, OUTPUT_Q);
    case 2:
        return pll(2, OUTPUT_Q);
    case 3:
        return hsi();
    case 4:
        return csi();
    case 5:
        return lse();
    default:
        return 0;
    }
}

uint32_t rcc_h7_usart16(void) {
    return serial(3, pclk2());
}

uint32_t rcc_h7_usart234578(void) {
    return serial(0, pclk1());
}

static uint32_t i2c(uint32_t selected, uint32_t pclk) {
    return selected == 0 ? pclk : selected == 1 ? pll(2, OUTPUT_R) : selected == 2 ? hsi() : csi();
}

uint32_t rcc_h7_i2c123(void) {
    return i2c(field(D2CCIP2R, 12, 2), pclk1());
}

uint32_t rcc_h7_i2c4(void) {
    return i2c(field(D3CCIPR, 8, 2), pclk4());
}

uint32_t rcc_h7_fdcan(void) {
    switch (field(D2CCIP1R, 28, 2)) {
    case 0:
        return hse();
    case 1:
        return pll(0, OUTPUT_Q);
    case 2:
        return pll(1, OUTPUT_Q);
    default:
        return 0;
    }
}

uint32_t rcc_h7_rng(void) {
    switch (field(D2CCIP2R, 8, 2)) {
    case 0:
        return hsi48();
    case 1:
        return pll(0, OUTPUT_Q);
    case 2:
        return lse();
    default:
        return lsi();
    }
}

uint32_t rcc_h7_sdmmc(void) {
    return field(D1CCIPR, 16, 1) ? pll(1, OUTPUT_R) : pll(0, OUTPUT_Q);
}

void rcc_h7_check_clocks(void) {
    static const struct {
        uint16_t offset, shift;
    } buses[] = {{D1CFGR, 4}, {D2CFGR, 4}, {D2CFGR, 8}, {D3CFGR, 4}};
    pwr_h7_check(core, hclk);
    for (unsigned i = 0; i < sizeof buses / sizeof *buses; i++) {
        pwr_h7_check_apb(apb(buses[i].offset, buses[i].shift));
    }
    flash_h7_check_latency(hclk);
}

static void set_system_clock(void) {
    uint32_t source = *kept(CFGR) & 7, hz = system_clock(source);
    if (!hz) {
        refuse("RCC.CFGR.SW selects clock %u, which is not ready", (unsigned)source);
    }
    core = divide(hz, field(D1CFGR, 8, 4));
    hclk = divide(core, field(D1CFGR, 0, 4));
    rcc_h7_check_clocks();
    core_clock(core);
}

uint32_t rcc_h7_hclk(void) {
    return hclk;
}

// The backup domain ------------------------------------------------------------------------------

uint32_t rcc_h7_rtc(void) {
    uint32_t domain = *kept(BDCR), divider = field(CFGR, 8, 6);
    if (!(domain & RTCEN)) {
        return 0;
    }
    switch (domain >> 8 & 3) {
    case 1:
        return lse();
    case 2:
        return *kept(CSR) & LSION ? LSI_HZ : 0;
    case 3:
        return divider > 1 ? hse() / divider : 0;
    default:
        return 0;
    }
}

void rcc_h7_need_lsi(void) {
    if (!(*kept(CSR) & LSION)) {
        *kept(CSR) |= LSION;
        lsi_ready_at = now() + 80 * US;
    }
}

static void write_bdcr(uint32_t value) {
    uint32_t *domain = kept(BDCR), before = *domain;
    value &= rcc.index[BDCR / 4]->writable;
    if (!pwr_h7_backup_open() && value != before) {
        refuse("write of %08x to RCC.BDCR without PWR_CR1.DBP", (unsigned)value);
    }
    if (value & BDRST) {
        *domain = BDRST;
        rtc_backup_reset();
        return;
    }
    if (before & RTCSEL && (before ^ value) & RTCSEL) {
        refuse("RCC.BDCR.RTCSEL is changed without a reset of the backup domain");
    }
    if (value & LSEON & ~before) {
        // Without a crystal LSERDY never comes.
        lse_ready_at = board.lse_hz ? now() + 300 * MS : UINT64_MAX;
    }
    *domain = value;
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
        for (unsigned i = 0; i < OSCILLATORS; i++) {
            value |= is_ready(i) ? oscillators[i].ready : 0;
        }
        return value;
    case CFGR:
        return value | (value & 7) << 3;
    case BDCR:
        return value | (value & LSEON && now() >= lse_ready_at ? LSERDY : 0);
    case CSR:
        return value | (lsi() ? LSIRDY : 0);
    default:
        return value;
    }
}

// Whether the system clock, or a PLL that is on, comes from an oscillator.
static bool is_needed(unsigned oscillator) {
    static const uint8_t sources[] = {[HSI] = FROM_HSI, [CSI] = FROM_CSI, [HSE] = FROM_HSE};
    uint32_t system = *kept(CFGR) & 7, plls = *kept(CR) & (PLL1ON | PLL2ON | PLL3ON);
    if (oscillator == PLL1) {
        return system == FROM_PLL1;
    }
    if (oscillator > HSE || oscillator == HSI48) {
        return false;
    }
    return system == sources[oscillator] ||
           (plls && field(PLLCKSELR, 0, 2) == sources[oscillator]);
}

static void write_cr(uint32_t value) {
    uint32_t *control = kept(CR), was = *control;
    for (unsigned i = 0; i < OSCILLATORS; i++) {
        Oscillator *oscillator = &oscillators[i];
        if (was & ~value & oscillator->on && is_needed(i)) {
            refuse("RCC.CR %08x switches off what a clock comes from", (unsigned)value);
        }
    }
    if ((was ^ value) & HSIDIV && (was & (PLL1ON | PLL2ON | PLL3ON)) &&
        field(PLLCKSELR, 0, 2) == FROM_HSI) {
        refuse("RCC.CR.HSIDIV is changed while a PLL has HSI");
    }
    *control = value & rcc.index[CR / 4]->writable;
    for (unsigned i = 0; i < OSCILLATORS; i++) {
        Oscillator *oscillator = &oscillators[i];
        if (value & ~was & oscillator->on) {
            oscillator->ready_at = now() + oscillator->takes;
            if (i == HSE && !board.hse_hz) {
                oscillator->ready_at = UINT64_MAX;
            } else if (i >= PLL1) {
                vco(i - PLL1);
            }
        }
    }
    if (core) {
        set_system_clock();
    }
}

// What a PLL that is on does not let software change.
static uint32_t fixed_by_plls(uint32_t offset) {
    uint32_t fixed = 0, control = *kept(CR);
    for (unsigned i = 0; i < PLLS; i++) {
        if (!(control & PLL1ON << 2 * i)) {
            continue;
        }
        switch (offset) {
        case PLLCKSELR:
            fixed |= 3 | 63u << (4 + 8 * i);
            break;
        case PLLCFGR:
            fixed |= 14u << 4 * i | 7u << (16 + 3 * i);
            break;
        default:
            fixed |= offset == PLL1DIVR + 8 * i ? UINT32_MAX : 0;
        }
    }
    return fixed;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t *was = kept(offset);
    if (offset == CR) {
        write_cr(value);
        return;
    }
    if (offset == BDCR) {
        write_bdcr(value);
        return;
    }
    if ((value ^ *was) & fixed_by_plls(offset)) {
        refuse("write of %08x to RCC+%02x while the PLL is on", (unsigned)value,
               (unsigned)offset);
    }
    if (offset >= AHB3RSTR && offset <= APB4RSTR) {
        devices_reset((uint16_t)offset, value & ~*was);
    } else if (offset == CSR && value & LSION & ~*was) {
        lsi_ready_at = now() + 80 * US;
    } else if (offset == RSR) {
        *was = value & RMVF ? 0 : *was;
        return;
    }
    *was = value & rcc.index[offset / 4]->writable;
    if (offset == CSR) {
        rtc_clock_changed();
    } else if (offset >= CFGR && offset <= D3CFGR) {
        set_system_clock();
    }
}

// A system reset leaves the backup domain and the flags of resets as they are.
static void reset(void *self, bool power_on) {
    (void)self;
    // Table 55
    static const uint32_t flags[] = {
        [RESET_POWER] = PORRSTF | PINRSTF | BORRSTF | D2RSTF | D1RSTF | CPURSTF,
        [RESET_PIN] = PINRSTF | CPURSTF,
        [RESET_SOFTWARE] = SFTRSTF | PINRSTF | CPURSTF,
        [RESET_IWDG] = IWDG1RSTF | PINRSTF | CPURSTF,
    };
    for (uint32_t offset = 0; offset < rcc.span && !power_on; offset += 4) {
        const Register *reg = rcc.index[offset / 4];
        if (reg && offset != BDCR && offset != RSR) {
            *kept(offset) = reg->reset;
        }
    }
    *kept(RSR) |= flags[reset_cause()];
    oscillators[HSI].ready_at = 0;
    core = hclk = HSI_HZ;
    core_clock(HSI_HZ);
}

void rcc_h7_oscillators(uint32_t hse_hz, uint32_t lse_hz) {
    board.hse_hz = hse_hz;
    board.lse_hz = lse_hz;
}

// Enable, reset and low-power registers of a bus; the reset register has no bits of memories.
#define BUS(place, name, resets, enables, at_reset, sleeps) \
    {AHB3RSTR + (place), name "RSTR", 0, resets, 0, 0}, \
    {AHB3ENR + (place), name "ENR", at_reset, enables, 0, 0}, \
    {AHB3LPENR + (place), name "LPENR", sleeps, sleeps, 0, 0}

void rcc_h7_add(void) {
    static const Register registers[] = {
        // HAL_RCC_OscConfig reads and writes with the ready bits.
        {CR, "CR", HSION,
         HSION | HSIKERON | HSIDIV | CSION | CSIKERON | HSI48ON | HSEON | PLL1ON | PLL2ON | PLL3ON,
         READY, 0},
        // The calibration of the part is read-only.
        {HSICFGR, "HSICFGR", 0x40000000, 0x7f000000, 0x00000fff, 0},
        {CRRCR, "CRRCR", 0, 0, 0, 0},
        {CSICFGR, "CSICFGR", 0x20000000, 0x3f000000, 0x000000ff, 0},
        // SWS is read-only.
        {CFGR, "CFGR", FROM_HSI, 0x00003f07, 0x00000038, 0},
        {D1CFGR, "D1CFGR", 0, 0xf7f, 0, 0},
        {D2CFGR, "D2CFGR", 0, 0x770, 0, 0},
        {D3CFGR, "D3CFGR", 0, 0x70, 0, 0},
        {PLLCKSELR, "PLLCKSELR", 0x02020200, 0x03f3f3f3, 0, 0},
        {PLLCFGR, "PLLCFGR", 0x01ff0000, 0x01ff0fff, 0, 0},
        {PLL1DIVR, "PLL1DIVR", 0x01010280, 0x7f7fffff, 0, 0},
        {PLL1FRACR, "PLL1FRACR", 0, 0xfff8, 0, 0},
        {PLL1DIVR + 8, "PLL2DIVR", 0x01010280, 0x7f7fffff, 0, 0},
        {PLL1FRACR + 8, "PLL2FRACR", 0, 0xfff8, 0, 0},
        {PLL1DIVR + 16, "PLL3DIVR", 0x01010280, 0x7f7fffff, 0, 0},
        {PLL1FRACR + 16, "PLL3FRACR", 0, 0xfff8, 0, 0},
        {D1CCIPR, "D1CCIPR", 0, 0x30010033, 0, 0},
        {D2CCIP1R, "D2CCIP1R", 0, 0xb13771c7, 0, 0},
        {D2CCIP2R, "D2CCIP2R", 0, 0x70f0333f, 0, 0},
        {D3CCIPR, "D3CCIPR", 0, 0x77e3ff07, 0, 0},
        {CIER, "CIER", 0, 0, 0, 0},
        {CIFR, "CIFR", 0, 0, 0, 0},
        {CICR, "CICR", 0, 0, 0, 0},
        // HAL_RCCEx_PeriphCLKConfig writes back what it has read.
        {BDCR, "BDCR", 0, LSEON | LSEDRV | RTCSEL | RTCEN | BDRST, LSERDY, 0},
        {CSR, "CSR", 0, LSION, LSIRDY, 0},
        {RSR, "RSR", 0, RMVF, RESET_FLAGS, 0},
        BUS(0x00, "AHB3", 0x00015031, 0x00015031, 0, 0xf0015131),
        BUS(0x04, "AHB1", 0x0a008023, 0x1e038023, 0, 0x1e038023),
        BUS(0x08, "AHB2", 0x00000241, 0xe0000241, 0, 0xe0000241),
        BUS(0x0c, "AHB4", 0x032807ff, 0x132807ff, 0, 0x312807ff),
        BUS(0x10, "APB3", 0x00000008, 0x00000048, 0, 0x00000048),
        BUS(0x14, "APB1L", 0xe8ffc3ff, 0xe8ffc3ff, 0, 0xe8ffc3ff),
        BUS(0x18, "APB1H", 0x00000136, 0x00000136, 0, 0x00000136),
        BUS(0x1c, "APB2", 0x31d73033, 0x31d73033, 0, 0x31d73033),
        BUS(0x20, "APB4", 0x0020deaa, 0x0021deaa, 0x00010000, 0x0021deaa),
        {0},
    };
    rcc = (Device){
        .name = "RCC", .base = 0x58024400, .registers = registers, .read = read, .write = write,
        .reset = reset, .kept = true,
    };
    device_add(&rcc);
    devices_gated_by(enabled);
}
