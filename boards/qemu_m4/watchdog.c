// SPDX-License-Identifier: MIT

#include "boards/qemu_m4/watchdog.h"
#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/uart.h"

void watchdog_start(uint32_t timeout_ms) {
    MPS2_WDOG_LOAD = timeout_ms * (MPS2_CLOCK_HZ / 1000);
    MPS2_WDOG_INTCLEAR = 1;
    MPS2_WDOG_CTRL = MPS2_WDOG_CTRL_ON;
}

void watchdog_feed(void) {
    MPS2_WDOG_INTCLEAR = 1;
}

void NMI_Handler(void) {
    uart_panic_write("\r\nWATCHDOG\r\nresetting\r\n");
    reset_now(RESET_WATCHDOG);
}
