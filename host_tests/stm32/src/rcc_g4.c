// SPDX-License-Identifier: MIT
//
// RCC of the G474: RM0440 chapter 7. Oscillators and the PLL take time to start, as the data sheet
// says typically. Left out: the clock security systems, clock outputs (MCO, LSCO), interrupts of
// clocks, an external clock at OSC_IN or OSC32_IN, the step of AHB by 2 that a switch to more than
// 80 MHz needs for 1 us, and clocks during sleep (a peripheral keeps its own).

#include "rcc_g4.h"

#include "flash_g4.h"
#include "pwr_g4.h"
#include "rtc.h"
#include "tamp.h"

enum {
    CR = 0x00, ICSCR = 0x04, CFGR = 0x08, PLLCFGR = 0x0c, CIER = 0x18, CIFR = 0x1c, CICR = 0x20,
    AHB1RSTR = 0x28, AHB2RSTR = 0x2c, AHB3RSTR = 0x30, APB1RSTR1 = 0x38, APB1RSTR2 = 0x3c,
    APB2RSTR = 0x40, AHB1ENR = 0x48, AHB2ENR = 0x4c, AHB3ENR = 0x50, APB1ENR1 = 0x58,
    APB1ENR2 = 0x5c, APB2ENR = 0x60, AHB1SMENR = 0x68, AHB2SMENR = 0x6c, AHB3SMENR = 0x70,
    APB1SMENR1 = 0x78, APB1SMENR2 = 0x7c, APB2SMENR = 0x80, CCIPR = 0x88, BDCR = 0x90,
    CSR = 0x94, CRRCR = 0x98, CCIPR2 = 0x9c,
};
// CR
enum {
    HSION = 1 << 8, HSIKERON = 1 << 9, HSIRDY = 1 << 10, HSEON = 1 << 16, HSERDY = 1 << 17,
    PLLON = 1 << 24, PLLRDY = 1 << 25,
};
// BDCR, CSR and CRRCR
enum { LSEON = 1, LSERDY = 2, LSEDRV = 3 << 3, RTCSEL = 3 << 8, RTCEN = 1 << 15, BDRST = 1 << 16 };
enum { LSION = 1, LSIRDY = 2, RMVF = 1 << 23 };
enum { HSI48ON = 1, HSI48RDY = 2 };
#define RESET_FLAGS 0xfe000000u
enum { PINRSTF = 1 << 26, BORRSTF = 1 << 27, SFTRSTF = 1 << 28, IWDGRSTF = 1 << 29 };
enum { FROM_HSI = 1, FROM_HSE, FROM_PLL };
enum { LSI_HZ = 32000, HSI_HZ = 16000000, HSI48_HZ = 48000000 };
enum { PLL_OUTPUTS = 1 << 16 | 1 << 20 | 1 << 24 };  // PLLPEN, PLLQEN, PLLREN

static Device rcc;
static struct {
    uint32_t hse_hz, lse_hz;
} board;
static Time hse_ready_at, hsi_ready_at, pll_ready_at, lse_ready_at, lsi_ready_at, hsi48_ready_at;
static uint32_t hclk_hz;

static uint32_t *kept(uint32_t offset) {
    return device_value(&rcc, offset);
}

static uint32_t ready_bits(void) {
    uint32_t control = *kept(CR);
    return (control & HSION && now() >= hsi_ready_at ? HSIRDY : 0) |
           (control & HSEON && now() >= hse_ready_at ? HSERDY : 0) |
           (control & PLLON && now() >= pll_ready_at ? PLLRDY : 0);
}

// Clocks -----------------------------------------------------------------------------------------

static uint32_t pll_input(void) {
    switch (*kept(PLLCFGR) & 3) {
    case 2:
        return ready_bits() & HSIRDY ? HSI_HZ : 0;
    case 3:
        return ready_bits() & HSERDY ? board.hse_hz : 0;
    default:
        return 0;
    }
}

static uint32_t pll_vco(void) {
    uint32_t config = *kept(PLLCFGR), m = (config >> 4 & 15) + 1, n = config >> 8 & 127;
    uint32_t input = pll_input() / m;
    uint64_t vco = (uint64_t)input * n;
    if (n < 8 || input < 2660000 || input > 16000000 || vco < 96000000 || vco > 344000000) {
        refuse("RCC.PLLCFGR %08x: M %u, N %u of %u Hz", (unsigned)config, (unsigned)m,
               (unsigned)n, (unsigned)pll_input());
    }
    return (uint32_t)vco;
}

static uint32_t pll_output(unsigned enable, unsigned shift) {
    uint32_t config = *kept(PLLCFGR);
    if (!(ready_bits() & PLLRDY) || !(config >> enable & 1)) {
        return 0;
    }
    return pll_vco() / (2 * ((config >> shift & 3) + 1));
}

static uint32_t system_clock(uint32_t source) {
    switch (source) {
    case FROM_HSI:
        return ready_bits() & HSIRDY ? HSI_HZ : 0;
    case FROM_HSE:
        return ready_bits() & HSERDY ? board.hse_hz : 0;
    case FROM_PLL:
        return pll_output(24, 25);
    default:
        return 0;
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

static uint32_t pclk1(void) {
    return divide(hclk_hz, *kept(CFGR) >> 8 & 7, 4);
}

static uint32_t pclk2(void) {
    return divide(hclk_hz, *kept(CFGR) >> 11 & 7, 4);
}

uint32_t rcc_g4_timer1(void) {
    return pclk1() == hclk_hz ? hclk_hz : 2 * pclk1();
}

uint32_t rcc_g4_timer2(void) {
    return pclk2() == hclk_hz ? hclk_hz : 2 * pclk2();
}

static uint32_t lse(void) {
    return *kept(BDCR) & LSEON && now() >= lse_ready_at ? board.lse_hz : 0;
}

static uint32_t kernel(unsigned shift, uint32_t pclk) {
    switch (*kept(CCIPR) >> shift & 3) {
    case 0:
        return pclk;
    case 1:
        return system_clock(*kept(CFGR) & 3);
    case 2:
        return ready_bits() & HSIRDY ? HSI_HZ : 0;
    default:
        return lse();
    }
}

uint32_t rcc_g4_usart1(void) {
    return kernel(0, pclk2());
}

uint32_t rcc_g4_usart2(void) {
    return kernel(2, pclk1());
}

uint32_t rcc_g4_usart3(void) {
    return kernel(4, pclk1());
}

uint32_t rcc_g4_uart4(void) {
    return kernel(6, pclk1());
}

uint32_t rcc_g4_uart5(void) {
    return kernel(8, pclk1());
}

uint32_t rcc_g4_lpuart1(void) {
    return kernel(10, pclk1());
}

uint32_t rcc_g4_i2c1(void) {
    return kernel(12, pclk1());
}

uint32_t rcc_g4_i2c2(void) {
    return kernel(14, pclk1());
}

uint32_t rcc_g4_i2c3(void) {
    return kernel(16, pclk1());
}

uint32_t rcc_g4_fdcan(void) {
    switch (*kept(CCIPR) >> 24 & 3) {
    case 0:
        return ready_bits() & HSERDY ? board.hse_hz : 0;
    case 1:
        return pll_output(20, 21);
    case 2:
        return pclk1();
    default:
        return 0;
    }
}

uint32_t rcc_g4_clk48(void) {
    switch (*kept(CCIPR) >> 26 & 3) {
    case 0:
        return *kept(CRRCR) & HSI48ON && now() >= hsi48_ready_at ? HSI48_HZ : 0;
    case 2:
        return pll_output(20, 21);
    default:
        return 0;
    }
}

static void set_system_clock(void) {
    uint32_t config = *kept(CFGR), source = config & 3, hz = system_clock(source);
    if (!hz) {
        refuse("RCC.CFGR.SW selects clock %u, which is not ready", (unsigned)source);
    }
    pwr_g4_check(hz);
    hclk_hz = divide(hz, config >> 4 & 15, 8);
    flash_g4_check_latency(hclk_hz);
    core_clock(hclk_hz);
}

// The backup domain ------------------------------------------------------------------------------

uint32_t rcc_g4_rtc(void) {
    uint32_t domain = *kept(BDCR);
    if (!(domain & RTCEN)) {
        return 0;
    }
    switch (domain >> 8 & 3) {
    case 1:
        return lse();
    case 2:
        return *kept(CSR) & LSION ? LSI_HZ : 0;
    case 3:
        return ready_bits() & HSERDY ? board.hse_hz / 32 : 0;
    default:
        return 0;
    }
}

void rcc_g4_need_lsi(void) {
    if (!(*kept(CSR) & LSION)) {
        *kept(CSR) |= LSION;
        lsi_ready_at = now() + 80 * US;
    }
}

static void write_bdcr(uint32_t value) {
    uint32_t *domain = kept(BDCR), before = *domain;
    value &= rcc.index[BDCR / 4]->writable;
    if (!pwr_g4_backup_open() && value != before) {
        refuse("write of %08x to RCC.BDCR without PWR_CR1.DBP", (unsigned)value);
    }
    if (value & BDRST) {
        *domain = BDRST;
        rtc_backup_reset();
        tamp_backup_reset();
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
        return value | ready_bits();
    case CFGR:
        return value | (value & 3) << 2;
    case BDCR:
        return value | (value & LSEON && now() >= lse_ready_at ? LSERDY : 0);
    case CSR:
        return value | (value & LSION && now() >= lsi_ready_at ? LSIRDY : 0);
    case CRRCR:
        return value | (value & HSI48ON && now() >= hsi48_ready_at ? HSI48RDY : 0);
    default:
        return value;
    }
}

static void write_cr(uint32_t value) {
    uint32_t *control = kept(CR), was = *control, source = *kept(CFGR) & 3;
    uint32_t pll_from = source == FROM_PLL ? *kept(PLLCFGR) & 3 : 0;
    bool hse_needed = source == FROM_HSE || pll_from == 3;
    bool hsi_needed = source == FROM_HSI || pll_from == 2;
    if ((source == FROM_PLL && !(value & PLLON)) || (hse_needed && !(value & HSEON)) ||
        (hsi_needed && !(value & HSION))) {
        refuse("RCC.CR %08x switches the system clock off", (unsigned)value);
    }
    *control = value & rcc.index[CR / 4]->writable;
    if (value & HSION & ~was) {
        hsi_ready_at = now() + 1 * US;
    }
    if (value & HSEON & ~was) {
        hse_ready_at = board.hse_hz ? now() + 2 * MS : UINT64_MAX;
    }
    if (value & PLLON & ~was) {
        pll_vco();
        pll_ready_at = now() + 15 * US;
    }
}

static void write_pllcfgr(uint32_t value) {
    uint32_t *config = kept(PLLCFGR);
    if (*kept(CR) & PLLON && (value ^ *config) & ~(uint32_t)PLL_OUTPUTS) {
        refuse("write of %08x to RCC.PLLCFGR while the PLL is on", (unsigned)value);
    }
    *config = value;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    uint32_t *was = kept(offset);
    switch (offset) {
    case CR:
        write_cr(value);
        return;
    case PLLCFGR:
        write_pllcfgr(value);
        return;
    case CFGR:
        *was = value & rcc.index[CFGR / 4]->writable;
        set_system_clock();
        return;
    case BDCR:
        write_bdcr(value);
        return;
    case CSR:
        if (value & LSION & ~*was) {
            lsi_ready_at = now() + 80 * US;
        }
        *was = (value & RMVF ? 0 : *was & RESET_FLAGS) | (value & LSION);
        rtc_clock_changed();
        return;
    case CRRCR:
        if (value & HSI48ON & ~*was) {
            hsi48_ready_at = now() + 3 * US;
        }
        break;
    case AHB1RSTR:
    case AHB2RSTR:
    case AHB3RSTR:
    case APB1RSTR1:
    case APB1RSTR2:
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
        [RESET_POWER] = PINRSTF | BORRSTF,
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
    core_clock(HSI_HZ);
}

void rcc_g4_oscillators(uint32_t hse_hz, uint32_t lse_hz) {
    board.hse_hz = hse_hz;
    board.lse_hz = lse_hz;
}

void rcc_g4_add(void) {
    static const Register registers[] = {
        // HAL_RCC_OscConfig reads and writes with the ready bits.
        {CR, "CR", HSION, HSION | HSIKERON | HSEON | PLLON, HSIRDY | HSERDY | PLLRDY, 0},
        // The calibration of the part is read-only.
        {ICSCR, "ICSCR", 0x40000000, 0x7f000000, 0x00ff0000, 0},
        // SWS is read-only.
        {CFGR, "CFGR", FROM_HSI, 0x00003ff3, 0x0000000c, 0},
        {PLLCFGR, "PLLCFGR", 0x1000, 0xfb737ff3 | PLL_OUTPUTS, 0, 0},
        {CIER, "CIER", 0, 0, 0, 0},
        {CIFR, "CIFR", 0, 0, 0, 0},
        {CICR, "CICR", 0, 0, 0, 0},
        {AHB1RSTR, "AHB1RSTR", 0, 0x0000111f, 0, 0},
        {AHB2RSTR, "AHB2RSTR", 0, 0x040f607f, 0, 0},
        {AHB3RSTR, "AHB3RSTR", 0, 0x00000101, 0, 0},
        {APB1RSTR1, "APB1RSTR1", 0, 0xd2fec13f, 0, 0},
        {APB1RSTR2, "APB1RSTR2", 0, 0x00000103, 0, 0},
        {APB2RSTR, "APB2RSTR", 0, 0x0437f801, 0, 0},
        {AHB1ENR, "AHB1ENR", 0x100, 0x0000111f, 0, 0},
        {AHB2ENR, "AHB2ENR", 0, 0x040f607f, 0, 0},
        {AHB3ENR, "AHB3ENR", 0, 0x00000101, 0, 0},
        {APB1ENR1, "APB1ENR1", 0x400, 0xd2fecd3f, 0, 0},
        {APB1ENR2, "APB1ENR2", 0, 0x00000103, 0, 0},
        {APB2ENR, "APB2ENR", 0, 0x0437f801, 0, 0},
        {AHB1SMENR, "AHB1SMENR", 0x130f, 0x131f, 0, 0},
        {AHB2SMENR, "AHB2SMENR", 0x050f667f, 0x050f667f, 0, 0},
        {AHB3SMENR, "AHB3SMENR", 0x101, 0x101, 0, 0},
        {APB1SMENR1, "APB1SMENR1", 0xd2fecd3f, 0xd2fecd3f, 0, 0},
        {APB1SMENR2, "APB1SMENR2", 0x103, 0x103, 0, 0},
        {APB2SMENR, "APB2SMENR", 0x0437f801, 0x0437f801, 0, 0},
        {CCIPR, "CCIPR", 0, UINT32_MAX, 0, 0},
        // HAL_RCCEx_PeriphCLKConfig writes back what it has read.
        {BDCR, "BDCR", 0, LSEON | LSEDRV | RTCSEL | RTCEN | BDRST, LSERDY, 0},
        {CSR, "CSR", 0, LSION | RMVF, LSIRDY | RESET_FLAGS, 0},
        {CRRCR, "CRRCR", 0, HSI48ON, HSI48RDY | 0xff80, 0},
        {CCIPR2, "CCIPR2", 0, 0x00300003, 0, 0},
        {0},
    };
    rcc = (Device){
        .name = "RCC", .base = 0x40021000, .registers = registers, .read = read, .write = write,
        .reset = reset, .kept = true,
    };
    device_add(&rcc);
    devices_gated_by(enabled);
}
