// SPDX-License-Identifier: MIT
//
// STM32G474RE: RM0440, and the memory map and alternate functions of its data sheet. Left out:
// USB, ADC, DAC, DMA, SPI, comparators and amplifiers, CORDIC, FMAC, HRTIM, UCPD.

#include "exti_g4.h"
#include "fdcan.h"
#include "flash_g4.h"
#include "gpio.h"
#include "i2c_v2.h"
#include "iwdg.h"
#include "parts.h"
#include "pwr_g4.h"
#include "rcc_g4.h"
#include "rng.h"
#include "rtc.h"
#include "tamp.h"
#include "spi.h"
#include "tim.h"
#include "usart_v2.h"

#define PORT(n) {0x48000000 + 0x400 * (n), G4_AHB2(n), UINT32_MAX, 0, 0, true}

static const Port ports[] = {
    {0x48000000, G4_AHB2(0), 0xabffffff, 0x0c000000, 0x64000000, true},
    {0x48000400, G4_AHB2(1), 0xfffffebf, 0x000000c0, 0x00000100, true},
    PORT(2), PORT(3), PORT(4), PORT(5), PORT(6),
};

static const UsartV2 usarts[] = {
    {"USART1", "uart1", 0x40013800, 37, 8, false, G4_APB2(14), rcc_g4_usart1,
     {{"PA9", 7}, {"PB6", 7}, {"PC4", 7}}, {{"PA10", 7}, {"PB7", 7}, {"PC5", 7}}},
    {"USART2", "uart2", 0x40004400, 38, 8, false, G4_APB1(17), rcc_g4_usart2,
     {{"PA2", 7}, {"PB3", 7}}, {{"PA3", 7}, {"PB4", 7}}},
    {"USART3", "uart3", 0x40004800, 39, 8, false, G4_APB1(18), rcc_g4_usart3,
     {{"PB10", 7}, {"PC10", 7}, {"PB9", 7}}, {{"PB11", 7}, {"PC11", 7}, {"PB8", 7}}},
    {"LPUART1", "lpuart1", 0x40008000, 91, 8, true, G4_APB1_2(0), rcc_g4_lpuart1,
     {{"PA2", 12}, {"PB11", 8}, {"PC1", 8}}, {{"PA3", 12}, {"PB10", 8}, {"PC0", 8}}},
};

static const I2cV2Part i2cs[] = {
    {"I2C1", 0x40005400, G4_APB1(21), rcc_g4_i2c1, 31, 32,
     {{"PA15", 4}, {"PB8", 4}}, {{"PB7", 4}, {"PB9", 4}}},
    {"I2C2", 0x40005800, G4_APB1(22), rcc_g4_i2c2, 33, 34,
     {{"PA9", 4}, {"PC4", 4}}, {{"PA8", 4}, {"PF0", 4}}},
    {"I2C3", 0x40007800, G4_APB1(30), rcc_g4_i2c3, 92, 93,
     {{"PA8", 2}, {"PC8", 8}}, {{"PC9", 8}, {"PB5", 8}, {"PC11", 8}}},
};

static const Tim timers[] = {
    {"TIM2", 0x40000000, 28, 28, G4_APB1(0), rcc_g4_timer1, true, false},
    {"TIM3", 0x40000400, 29, 29, G4_APB1(1), rcc_g4_timer1, false, false},
    {"TIM4", 0x40000800, 30, 30, G4_APB1(2), rcc_g4_timer1, false, false},
    {"TIM5", 0x40000c00, 50, 50, G4_APB1(3), rcc_g4_timer1, true, false},
};

static const Rtc rtc = {
    .base = 0x40002800, .clock = rcc_g4_rtc, .open = pwr_g4_backup_open, .version_3 = true,
    .gate = G4_APB1(10),
};

#define SECTIONS 212  // words of the message RAM for each controller

static const FdcanPart cans[] = {
    {"FDCAN1", FDCAN_G4, 0x40006400, 0, {21, 22}, G4_APB1(25), rcc_g4_fdcan, "PA12", "PA11", 9},
    {"FDCAN2", FDCAN_G4, 0x40006800, SECTIONS, {86, 87}, G4_APB1(25), rcc_g4_fdcan,
     NULL, NULL, 0},
    {"FDCAN3", FDCAN_G4, 0x40006c00, 2 * SECTIONS, {88, 89}, G4_APB1(25), rcc_g4_fdcan,
     NULL, NULL, 0},
};

static const SpiPart spis[] = {
    {"SPI1", 0x40013000, G4_APB2(12)},
    {"SPI2", 0x40003800, G4_APB1(14)},
    {"SPI3", 0x40003c00, G4_APB1(15)},
    {"SPI4", 0x40013c00, G4_APB2(15)},
};

static void build(void) {
    memory_ram(0x20000000, 0x20000);
    memory_ram(0x10000000, 0x8000);
    flash_g4_add();
    rcc_g4_add();
    pwr_g4_add();
    gpio_add(ports, sizeof ports / sizeof *ports);
    exti_g4_add(sizeof ports / sizeof *ports, (Gate)G4_APB2(0));
    rtc_add(&rtc);
    tamp_add((Gate)G4_APB1(10), pwr_g4_backup_open);
    iwdg_add(0x40003000, true, rcc_g4_need_lsi);
    rng_add(0x50060800, 90, (Gate)G4_AHB2(26), rcc_g4_clk48, 412);
    for (unsigned i = 0; i < sizeof timers / sizeof *timers; i++) {
        tim_add(&timers[i]);
    }
    for (unsigned i = 0; i < sizeof spis / sizeof *spis; i++) {
        spi_add(&spis[i]);
    }
    for (unsigned i = 0; i < sizeof usarts / sizeof *usarts; i++) {
        usart_v2_add(&usarts[i]);
    }
    for (unsigned i = 0; i < sizeof i2cs / sizeof *i2cs; i++) {
        i2c_v2_add(&i2cs[i]);
    }
    fdcan_ram_add(0x4000a400, 3 * SECTIONS, (Gate)G4_APB1(25));
    for (unsigned i = 0; i < sizeof cans / sizeof *cans; i++) {
        fdcan_add(&cans[i]);
    }
}

const Part part_g474 = {
    .name = "STM32G474", .core = CORTEX_M4, .irqs = 102, .reset_hz = 16000000,
    .boot = 0, .build = build,
};
