// SPDX-License-Identifier: MIT
//
// STM32H743ZI of revision V: RM0433, and the memory map and alternate functions of its data sheet.
// Left out: the RAM of the domains D2 and D3 and the backup SRAM (an access is a bus fault), USB
// with a cable, Ethernet, ADC, DAC, SPI (but for what a soft reset does to them), the DMA
// controllers, LPUART1, LCD, and the hardware semaphores.

#include "dac.h"
#include "dbgmcu.h"
#include "exti_h7.h"
#include "fdcan.h"
#include "flash_h7.h"
#include "fmc.h"
#include "gpio.h"
#include "i2c_v2.h"
#include "iwdg.h"
#include "otg_fs.h"
#include "parts.h"
#include "pwr_h7.h"
#include "rcc_h7.h"
#include "rng.h"
#include "rtc.h"
#include "sdmmc.h"
#include "spi.h"
#include "tim.h"
#include "usart_v2.h"

#define PORT(n) {0x58020000 + 0x400 * (n), H7_AHB4(n), UINT32_MAX, 0, 0, false}

static const Port ports[] = {
    {0x58020000, H7_AHB4(0), 0xabffffff, 0x0c000000, 0x64000000, false},
    {0x58020400, H7_AHB4(1), 0xfffffebf, 0x000000c0, 0x00000100, false},
    PORT(2), PORT(3), PORT(4), PORT(5), PORT(6), PORT(7), PORT(8), PORT(9), PORT(10),
};

static const UsartV2 usarts[] = {
    {"USART1", "uart1", 0x40011000, 37, 16, false, H7_APB2(4), rcc_h7_usart16,
     {{"PA9", 7}, {"PB6", 7}, {"PB14", 4}}, {{"PA10", 7}, {"PB7", 7}, {"PB15", 4}}},
    {"USART2", "uart2", 0x40004400, 38, 16, false, H7_APB1(17), rcc_h7_usart234578,
     {{"PA2", 7}, {"PD5", 7}}, {{"PA3", 7}, {"PD6", 7}}},
    {"USART3", "uart3", 0x40004800, 39, 16, false, H7_APB1(18), rcc_h7_usart234578,
     {{"PB10", 7}, {"PC10", 7}, {"PD8", 7}}, {{"PB11", 7}, {"PC11", 7}, {"PD9", 7}}},
    {"USART6", "uart6", 0x40011400, 71, 16, false, H7_APB2(5), rcc_h7_usart16,
     {{"PC6", 7}, {"PG14", 7}}, {{"PC7", 7}, {"PG9", 7}}},
};

static const I2cV2Part i2cs[] = {
    {"I2C1", 0x40005400, H7_APB1(21), rcc_h7_i2c123, 31, 32,
     {{"PB6", 4}, {"PB8", 4}}, {{"PB7", 4}, {"PB9", 4}}},
    {"I2C2", 0x40005800, H7_APB1(22), rcc_h7_i2c123, 33, 34,
     {{"PB10", 4}, {"PF1", 4}}, {{"PB11", 4}, {"PF0", 4}}},
    {"I2C4", 0x58001c00, H7_APB4(7), rcc_h7_i2c4, 95, 96,
     {{"PF14", 4}, {"PB6", 6}, {"PB8", 6}}, {{"PF15", 4}, {"PB7", 6}, {"PB9", 6}}},
};

static const Tim timers[] = {
    {"TIM2", 0x40000000, 28, 28, H7_APB1(0), rcc_h7_timer1, true, false},
    {"TIM3", 0x40000400, 29, 29, H7_APB1(1), rcc_h7_timer1, false, false},
    {"TIM4", 0x40000800, 30, 30, H7_APB1(2), rcc_h7_timer1, false, false},
    {"TIM5", 0x40000c00, 50, 50, H7_APB1(3), rcc_h7_timer1, true, false},
};

static const Rtc rtc = {
    .base = 0x58004000, .clock = rcc_h7_rtc, .open = pwr_h7_backup_open, .backup_registers = 32,
    .has_options = true, .gate = H7_APB4(16),
};

static const FdcanPart cans[] = {
    {"FDCAN1", FDCAN_H7, 0x4000a000, 0, {19, 21}, H7_APB1_HIGH(8), rcc_h7_fdcan, "PD1", "PD0", 9},
    {"FDCAN2", FDCAN_H7, 0x4000a400, 0, {20, 22}, H7_APB1_HIGH(8), rcc_h7_fdcan, NULL, NULL, 0},
};

// The one that MicroPython has on this board.
static const SpiPart spi = {"SPI3", 0x40003c00, H7_APB1(15)};

static const SdmmcPart sdmmc = {0x52007000, H7_AHB3(16), rcc_h7_sdmmc, 49};

static void build(void) {
    memory_ram(0x00000000, 0x10000);   // ITCM
    memory_ram(0x20000000, 0x20000);   // DTCM
    memory_ram(0x24000000, 0x80000);   // AXI SRAM
    flash_h7_add();
    rcc_h7_add();
    pwr_h7_add();
    fmc_add(0x52004000, (Gate)H7_AHB3(12));
    dbgmcu_add(0x5c001000, 0x20036450);
    gpio_add(ports, sizeof ports / sizeof *ports);
    exti_h7_add(sizeof ports / sizeof *ports, (Gate)H7_APB4(1));
    rtc_add(&rtc);
    iwdg_add(0x58004800, true, rcc_h7_need_lsi);
    rng_add(0x48021800, 80, (Gate)H7_AHB2(6), rcc_h7_rng, 40);
    otg_fs_add(0x40080000, (Gate)H7_AHB1(27));
    sdmmc_add(&sdmmc);
    spi_add(&spi);
    dac_add(0x40007400, (Gate)H7_APB1(29));
    for (unsigned i = 0; i < sizeof timers / sizeof *timers; i++) {
        tim_add(&timers[i]);
    }
    for (unsigned i = 0; i < sizeof usarts / sizeof *usarts; i++) {
        usart_v2_add(&usarts[i]);
    }
    for (unsigned i = 0; i < sizeof i2cs / sizeof *i2cs; i++) {
        i2c_v2_add(&i2cs[i]);
    }
    fdcan_ram_add(0x4000ac00, 2560, (Gate)H7_APB1_HIGH(8));
    fdcan_calibration_add(0x4000a800, (Gate)H7_APB1_HIGH(8));
    for (unsigned i = 0; i < sizeof cans / sizeof *cans; i++) {
        fdcan_add(&cans[i]);
    }
}

const Part part_h743 = {
    .name = "STM32H743", .core = CORTEX_M7, .irqs = 150, .reset_hz = 64000000,
    .boot = 0x08000000, .build = build,
};
