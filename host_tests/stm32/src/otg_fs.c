// SPDX-License-Identifier: MIT
//
// USB OTG_FS of the F405 and F446 without a cable: RM0090 34, RM0390 31. Registers keep what they
// are given; resets and flushes end at once; no interrupt ever comes, as no host does. Left out:
// all of the traffic, host mode, the suspend that an idle bus without VBUS sensing would show.

#include "otg_fs.h"

enum { GRSTCTL = 0x10 };
enum { AHBIDL = 1u << 31, FLUSHES_AND_RESETS = 0x37 };

static Device otg;

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = *device_value(&otg, offset);
    return offset == GRSTCTL ? (value & ~(uint32_t)FLUSHES_AND_RESETS) | AHBIDL : value;
}

void otg_fs_add(uint32_t base, Gate gate) {
    // Bits that are cleared by a 1 are never set here, so that what is written to them is ignored.
    static const Register registers[] = {
        {0x00, "GOTGCTL", 0x10000, 0x0f02, UINT32_MAX, 0},
        {0x04, "GOTGINT", 0, 0, UINT32_MAX, 0},
        {0x08, "GAHBCFG", .writable = 0x181},
        {0x0c, "GUSBCFG", 0x0a00, 0xe0003fcf, 0x0a00, 0},
        {GRSTCTL, "GRSTCTL", 0x20000000, 0x7f7, UINT32_MAX, 0},
        {0x14, "GINTSTS", 0x04000020, 0, UINT32_MAX, 0},
        {0x18, "GINTMSK", .writable = UINT32_MAX},
        {0x24, "GRXFSIZ", 0x200, 0xffff, 0, 0},
        {0x28, "DIEPTXF0", 0x02000200, UINT32_MAX, 0, 0},
        {0x38, "GCCFG", .writable = UINT32_MAX},
        {0x3c, "CID", 0x1200, UINT32_MAX, 0, 0},
        // HAL_PCD_Init clears 15 of them, though there are three.
        {0x104, "DIEPTXF", 0x02000400, UINT32_MAX, 0, 15},
        {0x800, "DCFG", 0x02200000, 0x1fff, UINT32_MAX, 0},
        {0x804, "DCTL", 2, 0xf83, 0, 0},
        {0x808, "DSTS", 0x10, 0, 0, 0},
        {0x810, "DIEPMSK", .writable = UINT32_MAX},
        {0x814, "DOEPMSK", .writable = UINT32_MAX},
        {0x818, "DAINT", .ignored = UINT32_MAX},
        {0x81c, "DAINTMSK", .writable = UINT32_MAX},
        {0x834, "DIEPEMPMSK", .writable = UINT32_MAX},
        {0x900, "DIEP0", .writable = UINT32_MAX, .count = 48},
        {0xb00, "DOEP0", .writable = UINT32_MAX, .count = 48},
        {0xe00, "PCGCCTL", .writable = 0x13},
        {0},
    };
    otg = (Device){
        .name = "OTG_FS", .base = base, .registers = registers, .read = read, .gate = gate,
    };
    device_add(&otg);
}
