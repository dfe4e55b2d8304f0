// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void rcc_g4_add(void);
// Of the board: crystals. Without one: 0.
void rcc_g4_oscillators(uint32_t hse_hz, uint32_t lse_hz);

uint32_t rcc_g4_timer1(void);  // of the timers on APB1 and APB2: twice PCLK, if it is divided
uint32_t rcc_g4_timer2(void);
uint32_t rcc_g4_rtc(void);
void rcc_g4_need_lsi(void);  // IWDG switches it on
// Kernel clocks, as CCIPR selects them
uint32_t rcc_g4_usart1(void);
uint32_t rcc_g4_usart2(void);
uint32_t rcc_g4_usart3(void);
uint32_t rcc_g4_uart4(void);
uint32_t rcc_g4_uart5(void);
uint32_t rcc_g4_lpuart1(void);
uint32_t rcc_g4_i2c1(void);
uint32_t rcc_g4_i2c2(void);
uint32_t rcc_g4_i2c3(void);
uint32_t rcc_g4_fdcan(void);
uint32_t rcc_g4_clk48(void);

// Gates. Offsets of the enable and the reset registers differ by 0x20.
#define G4_GATE(enable, bit) {(enable), (enable) - 0x20, 1u << (bit)}
#define G4_AHB1(bit) G4_GATE(0x48, bit)
#define G4_AHB2(bit) G4_GATE(0x4c, bit)
#define G4_APB1(bit) G4_GATE(0x58, bit)
#define G4_APB1_2(bit) G4_GATE(0x5c, bit)
#define G4_APB2(bit) G4_GATE(0x60, bit)
