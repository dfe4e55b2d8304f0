// SPDX-License-Identifier: MIT
//
// SPI as far as a soft reset of MicroPython touches it: RM0090 28, RM0440 39. It disables every SPI
// (HAL_SPI_DeInit), also those that have no clock, which reads 0 and writes nothing. All else is
// left out, and refused.

#include "spi.h"

void spi_add(const SpiPart *part) {
    enum { MOST = 4 };
    static Device devices[MOST];
    static unsigned count;
    static const Register registers[] = {{.offset = 0x00, .name = "CR1"}, {.name = NULL}};
    if (count == MOST) {
        refuse("the part has more than %d SPI", MOST);
    }
    Device *device = &devices[count++];
    *device = (Device){
        .name = part->name, .base = part->base, .registers = registers, .gate = part->gate,
        .silent_without_clock = true,
    };
    device_add(device);
}
