// SPDX-License-Identifier: MIT
//
// STM32F405RG: RM0090, and the memory map and alternate functions of its data sheet.

#include "dma_f4.h"
#include "exti_f4.h"
#include "bxcan.h"
#include "flash_f4.h"
#include "gpio.h"
#include "i2c_v1.h"
#include "iwdg.h"
#include "otg_fs.h"
#include "parts.h"
#include "pwr_f4.h"
#include "rcc_f4.h"
#include "rng.h"
#include "rtc.h"
#include "sdio.h"
#include "spi.h"
#include "tim.h"
#include "usart_v1.h"

#define PORT(n) {.base = 0x40020000 + 0x400 * (n), .gate = AHB1(n)}

static const Port ports[] = {
    {0x40020000, AHB1(0), 0xa8000000, 0x0c000000, 0x64000000, false},
    {0x40020400, AHB1(1), 0x00000280, 0x000000c0, 0x00000100, false},
    PORT(2), PORT(3), PORT(4), PORT(5), PORT(6), PORT(7), PORT(8),
};

static const UsartV1 usarts[] = {
    {"USART1", "uart1", 0x40011000, 37, APB2(4), rcc_f4_pclk2,
     {{"PA9", 7}, {"PB6", 7}}, {{"PA10", 7}, {"PB7", 7}}},
    {"USART2", "uart2", 0x40004400, 38, APB1(17), rcc_f4_pclk1, {{"PA2", 7}}, {{"PA3", 7}}},
    {"USART3", "uart3", 0x40004800, 39, APB1(18), rcc_f4_pclk1,
     {{"PB10", 7}, {"PC10", 7}}, {{"PB11", 7}, {"PC11", 7}}},
    {"UART4", "uart4", 0x40004c00, 52, APB1(19), rcc_f4_pclk1,
     {{"PA0", 8}, {"PC10", 8}}, {{"PA1", 8}, {"PC11", 8}}},
    {"USART6", "uart6", 0x40011400, 71, APB2(5), rcc_f4_pclk2, {{"PC6", 8}}, {{"PC7", 8}}},
};

static const Tim timers[] = {
    {"TIM2", 0x40000000, 28, 28, APB1(0), rcc_f4_timer1, true, false},
    {"TIM3", 0x40000400, 29, 29, APB1(1), rcc_f4_timer1, false, false},
    {"TIM4", 0x40000800, 30, 30, APB1(2), rcc_f4_timer1, false, false},
    {"TIM5", 0x40000c00, 50, 50, APB1(3), rcc_f4_timer1, true, false},
};

static const Rtc rtc = {
    .base = 0x40002800, .clock = rcc_f4_rtc, .open = pwr_f4_backup_open, .backup_registers = 20,
};

static const I2cV1Part i2cs[] = {
    {"I2C1", 0x40005400, APB1(21), rcc_f4_pclk1, 31, 32, false,
     {{"PB6", 4}, {"PB8", 4}}, {{"PB7", 4}, {"PB9", 4}}},
    {"I2C2", 0x40005800, APB1(22), rcc_f4_pclk1, 33, 34, false,
     {{"PB10", 4}, {"PF1", 4}}, {{"PB11", 4}, {"PF0", 4}}},
};

static const BxcanPart cans[] = {
    {"CAN1", 0x40006400, APB1(25), rcc_f4_pclk1, 0, 19, 20, 21, 22, "PB8", "PB9"},
    {"CAN2", 0x40006800, APB1(26), rcc_f4_pclk1, 1, 63, 64, 65, 66, "PB12", "PB13"},
};

static const DmaF4Part dmas[] = {
    {"DMA1", 0x40026000, AHB1(21), 1, {11, 12, 13, 14, 15, 16, 17, 47}},
    {"DMA2", 0x40026400, AHB1(22), 2, {56, 57, 58, 59, 60, 68, 69, 70}},
};

static const SdioPart sdio = {0x40012c00, APB2(11), rcc_f4_pll48, 49};

static const SpiPart spis[] = {
    {"SPI1", 0x40013000, APB2(12)},
    {"SPI2", 0x40003800, APB1(14)},
    {"SPI3", 0x40003c00, APB1(15)},
};

static void build(void) {
    static const RccF4 rcc = {
        .enable = {0x607411ff, 0xc0, 1, 0x36fec9ff, 0x75f33},
        .reset = {0x206011ff, 0xc0, 1, 0x36fec9ff, 0x74933},
        .most_hz = 168000000,
    };
    memory_ram(0x20000000, 0x20000);
    memory_ram(0x10000000, 0x10000);
    flash_f4_add(0x100000, 3);
    rcc_f4_add(&rcc);
    pwr_f4_add(false);
    gpio_add(ports, sizeof ports / sizeof *ports);
    for (unsigned i = 0; i < 2; i++) {
        i2c_v1_add(&i2cs[i]);
        bxcan_add(&cans[i]);
        dma_f4_add(&dmas[i]);
    }
    exti_f4_add(sizeof ports / sizeof *ports, (Gate)APB2(14));
    sdio_add(&sdio);
    rtc_add(&rtc);
    iwdg_add(0x40003000, false, rcc_f4_need_lsi);
    rng_add(0x50060800, 80, (Gate)AHB2(6), rcc_f4_pll48, 40);
    otg_fs_add(0x50000000, (Gate)AHB2(7));
    for (unsigned i = 0; i < sizeof timers / sizeof *timers; i++) {
        tim_add(&timers[i]);
    }
    for (unsigned i = 0; i < sizeof spis / sizeof *spis; i++) {
        spi_add(&spis[i]);
    }
    for (unsigned i = 0; i < sizeof usarts / sizeof *usarts; i++) {
        usart_v1_add(&usarts[i]);
    }
}

const Part part_f405 = {
    .name = "STM32F405", .core = CORTEX_M4, .irqs = 82, .reset_hz = 16000000,
    .boot = 0, .build = build,
};
