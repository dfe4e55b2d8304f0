// SPDX-License-Identifier: MIT
// From the reset vector to main(), and the way out of a fault.

#include <stdint.h>

#include "boards/qemu_m4/moment.h"
#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/ticks.h"
#include "boards/qemu_m4/uart.h"
#include "boards/qemu_m4/watchdog.h"

extern uint32_t _data_load, _data_start, _data_end, _bss_start, _bss_end;
extern uint32_t _stack_guard, _stack_start, _stack_end, _fault_stack_end;

int main(void);

void Reset_Handler(void) {
    // The FPU first: the compiler may use its registers anywhere.
    M4_CPACR |= 0xFu << 20;
    __asm volatile ("dsb\n isb");

    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_bss_start; to < &_bss_end;) {
        *to++ = 0;
    }

    M4_MPU_RNR = 0;
    M4_MPU_RBAR = (uint32_t)&_stack_guard;
    M4_MPU_RASR = M4_MPU_RASR_CLOSED_1K;
    M4_MPU_CTRL = M4_MPU_CTRL_ON;
    __asm volatile ("dsb\n isb");

    reset_init();
    uart_init();
    ticks_init();
    moment_init();
    main();
    reset_now(RESET_FAULT);
}

static void report(const char *name, uint32_t value) {
    static const char digits[] = "0123456789abcdef";
    char text[8];
    for (int i = 7; i >= 0; i--) {
        text[i] = digits[value & 15];
        value >>= 4;
    }
    uart_panic_write(name);
    for (int i = 0; i < 8; i++) {
        uart_panic_write((const char[]) {text[i], 0});
    }
}

// Runs on its own stack: the fault may be that the other one is used up.
__attribute__((used, noreturn)) static void fault_report(const uint32_t *frame, uint32_t exc_return) {
    static const char *const names[] = {
        "  r0=", "  r1=", "  r2=", "  r3=", " r12=", "  lr=", "  pc=", " psr=",
    };
    interrupts_off();
    uart_panic_write("\r\nFAULT");
    report(" cfsr=", M4_CFSR);
    report(" hfsr=", M4_HFSR);
    report(" bfar=", M4_BFAR);
    report(" sp=", (uint32_t)frame);
    report(" exc=", exc_return);
    uart_panic_write("\r\n");
    if (frame >= &_stack_start && frame + 8 <= &_stack_end) {
        for (int i = 0; i < 8; i++) {
            report(names[i], frame[i]);
        }
    } else {
        uart_panic_write("stack overflow: no register frame");
    }
    uart_panic_write("\r\nresetting\r\n");
    reset_now(RESET_FAULT);
}

__attribute__((naked)) void Fault_Handler(void) {
    __asm volatile (
        "mrs r0, msp\n"
        "mov r1, lr\n"
        "ldr r2, =_fault_stack_end\n"
        "mov sp, r2\n"
        "b fault_report\n");
}


__attribute__((used, section(".vectors"))) static const void *const vectors[16 + 32] = {
    [0] = &_stack_end,
    [1] = Reset_Handler,
    [2] = NMI_Handler, // the watchdog
    [3] = Fault_Handler, // hard fault; memory, bus and usage faults escalate to it
    [4] = Fault_Handler,
    [5] = Fault_Handler,
    [6] = Fault_Handler,
    [11] = Fault_Handler, // SVC
    [12] = Fault_Handler, // debug monitor
    [14] = PendSV_Handler,
    [15] = SysTick_Handler,
    [16 + 0] = uart_irq_handler, // UART0 receive, transmit, and so on in pairs
    [16 + 1] = uart_irq_handler,
    [16 + 2] = uart_irq_handler,
    [16 + 3] = uart_irq_handler,
    [16 + 4] = uart_irq_handler,
    [16 + 5] = uart_irq_handler,
    [16 + MPS2_TIMER_IRQ] = moment_irq_handler,
    [16 + 18] = uart_irq_handler, // UART3
    [16 + 19] = uart_irq_handler,
    [16 + 20] = uart_irq_handler, // UART4
    [16 + 21] = uart_irq_handler,
};
