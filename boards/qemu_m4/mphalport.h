// SPDX-License-Identifier: MIT
// What MicroPython's core and drivers ask of this port.
#ifndef QEMU_M4_MPHALPORT_H
#define QEMU_M4_MPHALPORT_H

#include <stddef.h>
#include <stdint.h>

#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/ticks.h"
#include "shared/runtime/interrupt_char.h"

#define MICROPY_BEGIN_ATOMIC_SECTION() interrupts_off()
#define MICROPY_END_ATOMIC_SECTION(state) interrupts_restore(state)

// The soft timer heap is touched by PendSV, which waits while interrupts are off.
#define MICROPY_PY_PENDSV_ENTER uint32_t pendsv_state = interrupts_off()
#define MICROPY_PY_PENDSV_EXIT interrupts_restore(pendsv_state)

// SysTick wakes the processor each millisecond, which is as exact as any timeout here.
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) do { (void)(TIMEOUT_MS); wait_for_interrupt(); } while (0)

#define mp_hal_ticks_ms ticks_ms
#define mp_hal_ticks_us ticks_us
#define mp_hal_ticks_cpu ticks_cycles
#define mp_hal_delay_us_fast mp_hal_delay_us

// SoftI2C's pins: the two lines of the I2C connector, open drain.
typedef struct _machine_pin_obj_t machine_pin_obj_t;
#define mp_hal_pin_obj_t const machine_pin_obj_t *
#define MP_HAL_PIN_FMT "%q"
mp_hal_pin_obj_t mp_hal_get_pin_obj(void *pin);
uint32_t mp_hal_pin_name(mp_hal_pin_obj_t pin);
int mp_hal_pin_read(mp_hal_pin_obj_t pin);
void mp_hal_pin_od_low(mp_hal_pin_obj_t pin);
void mp_hal_pin_od_high(mp_hal_pin_obj_t pin);
#define mp_hal_pin_open_drain(pin) mp_hal_pin_od_high(pin)

#endif
