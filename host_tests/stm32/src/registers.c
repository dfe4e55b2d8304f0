// SPDX-License-Identifier: MIT
//
// The registers of all devices: finding them, and the checks that each access has to pass.

#include <stdlib.h>

#include "core.h"

#define DEVICES 128

static Device *devices[DEVICES];  // by address
static unsigned device_count;
static bool (*gate_enabled)(uint16_t enable_offset, uint32_t bit);

static unsigned words(const Register *reg) {
    return reg->count ? reg->count : 1;
}

void device_add(Device *device) {
    for (const Register *reg = device->registers; reg->name; reg++) {
        uint32_t end = reg->offset + 4 * words(reg);
        device->span = end > device->span ? end : device->span;
    }
    device->index = calloc(device->span / 4, sizeof *device->index);
    device->values = calloc(device->span / 4, sizeof *device->values);
    for (const Register *reg = device->registers; reg->name; reg++) {
        for (unsigned i = 0; i < words(reg); i++) {
            device->index[reg->offset / 4 + i] = reg;
        }
    }
    if (device_count == DEVICES) {
        refuse("the part has more than %u devices", DEVICES);
    }
    unsigned at = device_count++;
    for (; at > 0 && devices[at - 1]->base > device->base; at--) {
        devices[at] = devices[at - 1];
    }
    devices[at] = device;
}

uint32_t *device_value(const Device *device, uint32_t offset) {
    return &device->values[offset / 4];
}

static void reset(Device *device, bool power_on) {
    if (power_on || !device->kept) {
        for (unsigned i = 0; i < device->span / 4; i++) {
            device->values[i] = device->index[i] ? device->index[i]->reset : 0;
        }
    }
    if (device->reset) {
        device->reset(device->self, power_on);
    }
}

void devices_power_reset(bool power_on) {
    for (unsigned i = 0; i < device_count; i++) {
        reset(devices[i], power_on);
    }
}

void devices_reset(uint16_t reset_offset, uint32_t bits) {
    for (unsigned i = 0; i < device_count; i++) {
        Gate gate = devices[i]->gate;
        if (gate.bit & bits && gate.reset == reset_offset) {
            reset(devices[i], false);
        }
    }
}

void devices_gated_by(bool (*enabled)(uint16_t enable_offset, uint32_t bit)) {
    gate_enabled = enabled;
}

static Device *find(uint32_t address) {
    static Device *last;
    if (last && address - last->base < last->span) {
        return last;
    }
    unsigned low = 0, high = device_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (devices[middle]->base <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || address - devices[low - 1]->base >= devices[low - 1]->span) {
        return NULL;
    }
    last = devices[low - 1];
    return last;
}

static bool has_clock(const Device *device) {
    return !device->gate.bit || gate_enabled(device->gate.enable, device->gate.bit);
}

// The register that an access may reach: it is modelled, aligned, and has a clock.
static const Register *check(const Device *device, uint32_t address, const char *what) {
    if (!device) {
        refuse("%s at %08x, where no device is modelled", what, (unsigned)address);
    }
    uint32_t offset = address - device->base;
    if (!device->silent_without_clock && !has_clock(device)) {
        refuse("%s at %s+%03x, which has no clock", what, device->name, (unsigned)offset);
    }
    const Register *reg = device->index[offset / 4];
    if (!reg) {
        refuse("%s at %s+%03x, which is not modelled", what, device->name, (unsigned)offset);
    }
    return reg;
}

static uint32_t word(Device *device, uint32_t offset) {
    return device->read ? device->read(device->self, offset) : device->values[offset / 4];
}

static uint32_t mask_of(unsigned size) {
    return size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;
}

uint32_t registers_read(uint32_t address, unsigned size) {
    Device *device = find(address);
    check(device, address, "read");
    if (!has_clock(device)) {
        return 0;
    }
    uint32_t offset = address - device->base;
    return word(device, offset & ~3u) >> 8 * (offset % 4) & mask_of(size);
}

void registers_write(uint32_t address, uint32_t value, unsigned size) {
    Device *device = find(address);
    const Register *reg = check(device, address, "write");
    if (!has_clock(device)) {
        return;
    }
    uint32_t offset = address - device->base, shift = 8 * (offset % 4);
    uint32_t mask = mask_of(size) << shift, placed = value << shift & mask;
    uint32_t bad = (placed ^ reg->reset) & ~(reg->writable | reg->ignored) & mask;
    if (bad) {
        refuse(
            "write of %08x to %s.%s: bits %08x are not to be changed", (unsigned)placed,
            device->name, reg->name, (unsigned)bad
        );
    }
    if (device->narrow) {
        device->write(device->self, offset, value & mask_of(size), size);
        return;
    }
    offset &= ~3u;
    if (size != 4) {
        placed |= word(device, offset) & ~mask;
    }
    if (device->write) {
        device->write(device->self, offset, placed, 4);
    } else {
        uint32_t *kept = &device->values[offset / 4];
        *kept = (*kept & ~reg->writable) | (placed & reg->writable);
    }
}
