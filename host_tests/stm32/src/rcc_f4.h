// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// What differs between the parts: the bits of peripherals that exist, in AHB1, AHB2, AHB3, APB1,
// APB2.
typedef struct {
    uint32_t enable[5], reset[5];
    bool has_clock_configuration;  // DCKCFGR, CKGATENR, DCKCFGR2 and the PLL of SAI: the F446
    uint32_t most_hz;
} RccF4;

void rcc_f4_add(const RccF4 *rcc);
// Of the board: a crystal, or a clock at OSC_IN (`bypass`). Without LSE: 0.
void rcc_f4_oscillators(uint32_t hse_hz, bool bypass, uint32_t lse_hz);

uint32_t rcc_f4_hclk(void);
uint32_t rcc_f4_pclk1(void);
uint32_t rcc_f4_pclk2(void);
// The clocks of the timers on APB1 and APB2: twice PCLK, if it is divided.
uint32_t rcc_f4_timer1(void);
uint32_t rcc_f4_timer2(void);
uint32_t rcc_f4_pll48(void);  // of USB, SDIO and RNG
uint32_t rcc_f4_rtc(void);
bool rcc_f4_lsi_on(void);  // IWDG switches it on
void rcc_f4_need_lsi(void);

enum { LSI_HZ = 32000, HSI_HZ = 16000000 };

// Offsets of the gates
enum {
    AHB1RSTR = 0x10, AHB2RSTR = 0x14, APB1RSTR = 0x20, APB2RSTR = 0x24,
    AHB1ENR = 0x30, AHB2ENR = 0x34, APB1ENR = 0x40, APB2ENR = 0x44,
};
#define AHB1(bit) {AHB1ENR, AHB1RSTR, 1u << (bit)}
#define AHB2(bit) {AHB2ENR, AHB2RSTR, 1u << (bit)}
#define APB1(bit) {APB1ENR, APB1RSTR, 1u << (bit)}
#define APB2(bit) {APB2ENR, APB2RSTR, 1u << (bit)}
