// SPDX-License-Identifier: MIT
// Registers of the MPS2 board with the AN386 FPGA image that this port touches. Numbers follow
// ARM's application note AN386 and the CMSDK peripherals; the M4 core's own are in the second half.
#ifndef QEMU_M4_MPS2_H
#define QEMU_M4_MPS2_H

#include <stdint.h>

#define MPS2_REG(address) (*(volatile uint32_t *)(address))

#define MPS2_CLOCK_HZ (25000000u)

// FPGAIO: free-running counter at the clock above, 32 bits, wraps after 171 s.
#define MPS2_COUNTER MPS2_REG(0x40028018u)

// CMSDK APB timer 0, counts down at the clock above.
#define MPS2_TIMER_CTRL MPS2_REG(0x40000000u)
#define MPS2_TIMER_CTRL_ON (1u << 0)
#define MPS2_TIMER_CTRL_INT (1u << 3)
#define MPS2_TIMER_VALUE MPS2_REG(0x40000004u)
#define MPS2_TIMER_RELOAD MPS2_REG(0x40000008u)
#define MPS2_TIMER_INTCLEAR MPS2_REG(0x4000000Cu)
#define MPS2_TIMER_IRQ (8)

// CMSDK APB watchdog, counts down at the clock above: an NMI at the first zero, a reset at the next.
#define MPS2_WDOG_LOAD MPS2_REG(0x40008000u)
#define MPS2_WDOG_CTRL MPS2_REG(0x40008008u)
#define MPS2_WDOG_CTRL_ON (3u) // interrupt and reset
#define MPS2_WDOG_INTCLEAR MPS2_REG(0x4000800Cu) // any write: counts from LOAD again

// SBCon I2C: pins are set and cleared by mask, open drain; reading gives the levels.
#define MPS2_I2C_READ MPS2_REG(0x4002A000u)
#define MPS2_I2C_SET MPS2_REG(0x4002A000u)
#define MPS2_I2C_CLEAR MPS2_REG(0x4002A004u)
#define MPS2_I2C_SCL (1u << 0)
#define MPS2_I2C_SDA (1u << 1)

// CMSDK APB UART.
typedef struct {
    volatile uint32_t data;
    volatile uint32_t state;
    volatile uint32_t ctrl;
    volatile uint32_t intstatus; // writing 1 clears
    volatile uint32_t bauddiv; // at least 16
} mps2_uart_t;

#define MPS2_UART_STATE_TXFULL (1u << 0)
#define MPS2_UART_STATE_RXFULL (1u << 1)
#define MPS2_UART_CTRL_TXEN (1u << 0)
#define MPS2_UART_CTRL_RXEN (1u << 1)
#define MPS2_UART_CTRL_TXINT (1u << 2)
#define MPS2_UART_CTRL_RXINT (1u << 3)
#define MPS2_UART_INT_TX (1u << 0)
#define MPS2_UART_INT_RX (1u << 1)

// Cortex-M4 system control.
#define M4_SYST_CSR MPS2_REG(0xE000E010u)
#define M4_SYST_RVR MPS2_REG(0xE000E014u)
#define M4_SYST_CVR MPS2_REG(0xE000E018u)
#define M4_NVIC_ISER MPS2_REG(0xE000E100u)
#define M4_NVIC_IPR ((volatile uint8_t *)0xE000E400u)
#define M4_ICSR MPS2_REG(0xE000ED04u)
#define M4_ICSR_PENDSVSET (1u << 28)
#define M4_AIRCR MPS2_REG(0xE000ED0Cu)
#define M4_AIRCR_SYSRESETREQ (0x05FA0004u)
#define M4_SHPR ((volatile uint8_t *)0xE000ED18u) // [n - 4] for exception n
#define M4_CFSR MPS2_REG(0xE000ED28u)
#define M4_HFSR MPS2_REG(0xE000ED2Cu)
#define M4_BFAR MPS2_REG(0xE000ED38u)
#define M4_CPACR MPS2_REG(0xE000ED88u)
#define M4_MPU_CTRL MPS2_REG(0xE000ED94u)
#define M4_MPU_CTRL_ON (5u) // on, with the default map where no region is
#define M4_MPU_RNR MPS2_REG(0xE000ED98u)
#define M4_MPU_RBAR MPS2_REG(0xE000ED9Cu)
#define M4_MPU_RASR MPS2_REG(0xE000EDA0u)
#define M4_MPU_RASR_CLOSED_1K (1u << 28 | 9u << 1 | 1u) // no access, no execution

// Interrupt priorities, lower is more urgent. Soft timers run in PendSV, below all drivers.
#define PRIORITY_MOMENT (0x00)
#define PRIORITY_SYSTICK (0x20)
#define PRIORITY_UART (0x40)
#define PRIORITY_PENDSV (0xF0)

static inline uint32_t interrupts_off(void) {
    uint32_t primask;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (primask) : : "memory");
    return primask;
}

static inline void interrupts_restore(uint32_t primask) {
    __asm volatile ("msr primask, %0" : : "r" (primask) : "memory");
}

static inline void wait_for_interrupt(void) {
    __asm volatile ("wfi" : : : "memory");
}

#endif
