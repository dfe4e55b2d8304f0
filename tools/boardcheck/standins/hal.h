// SPDX-License-Identifier: MIT
// Stands for ST's HAL where there is none: the core's own registers, by CMSIS, which MicroPython's
// source has.
#define __NVIC_PRIO_BITS 4
#define __Vendor_SysTickConfig 0
#define __FPU_PRESENT 1
#define __MPU_PRESENT 1
typedef enum { SysTick_IRQn = -1 } IRQn_Type;
#if defined(STM32H7) || defined(STM32F7)
#define __CM7_REV 0
#define __ICACHE_PRESENT 1
#define __DCACHE_PRESENT 1
#include "core_cm7.h"
#else
#define __CM4_REV 0
#include "core_cm4.h"
#endif
