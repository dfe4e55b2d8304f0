// SPDX-License-Identifier: MIT
//
// Reset of a bare-metal program: data, bss, the FPU, then `test`. All exceptions go through
// `handlers`; one without a handler fails the program.

#include "bare.h"

extern uint32_t stack_top, data_start, data_end, data_image, bss_start, bss_end;

Handler handlers[256];

void reset(void);

void any_exception(void) {
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    if (!handlers[number]) {
        check_failed("unexpected exception", number, 0);
    }
    handlers[number]();
}

void reset(void) {
    uint32_t *from = &data_image;
    for (uint32_t *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    REG(0xe000ed88) = 0xf00000;  // CPACR: the FPU is used
    __asm__ volatile("dsb\nisb");
    test();
    finish(true);
}

__attribute__((section(".vectors"), used)) static void *const vectors[256] = {
    &stack_top, (void *)reset, [2 ... 255] = (void *)any_exception,
};
