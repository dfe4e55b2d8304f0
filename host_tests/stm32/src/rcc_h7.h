// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void rcc_h7_add(void);
// Of the board: crystals. Without one: 0.
void rcc_h7_oscillators(uint32_t hse_hz, uint32_t lse_hz);

uint32_t rcc_h7_hclk(void);
uint32_t rcc_h7_timer1(void);  // of the timers on APB1
uint32_t rcc_h7_rtc(void);
bool rcc_h7_csi_ready(void);
void rcc_h7_need_lsi(void);  // IWDG switches it on
// PWR asks after a change of the voltage whether the clocks fit to it; refused if not.
void rcc_h7_check_clocks(void);
// Kernel clocks, as D1CCIPR, D2CCIP1R, D2CCIP2R and D3CCIPR select them
uint32_t rcc_h7_usart16(void);
uint32_t rcc_h7_usart234578(void);
uint32_t rcc_h7_i2c123(void);
uint32_t rcc_h7_i2c4(void);
uint32_t rcc_h7_fdcan(void);
uint32_t rcc_h7_rng(void);
uint32_t rcc_h7_sdmmc(void);

// Gates. Offsets of the enable and the reset registers differ by 0x58.
#define H7_GATE(enable, bit) {(enable), (enable) - 0x58, 1u << (bit)}
#define H7_AHB3(bit) H7_GATE(0xd4, bit)
#define H7_AHB1(bit) H7_GATE(0xd8, bit)
#define H7_AHB2(bit) H7_GATE(0xdc, bit)
#define H7_AHB4(bit) H7_GATE(0xe0, bit)
#define H7_APB1(bit) H7_GATE(0xe8, bit)
#define H7_APB1_HIGH(bit) H7_GATE(0xec, bit)
#define H7_APB2(bit) H7_GATE(0xf0, bit)
#define H7_APB4(bit) H7_GATE(0xf4, bit)
