// SPDX-License-Identifier: MIT
//
// GPIO: RM0090 chapter 8, RM0390 7, RM0440 9, RM0433 11. Left out: the lock register, and what
// analog mode and speed do to a signal.

#include "gpio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define PORTS 11
#define FUNCTIONS 64

enum {
    MODER = 0x00, OTYPER = 0x04, OSPEEDR = 0x08, PUPDR = 0x0c, IDR = 0x10, ODR = 0x14,
    BSRR = 0x18, AFRL = 0x20, BRR = 0x28,
};
enum { MODE_INPUT, MODE_OUTPUT, MODE_FUNCTION, MODE_ANALOG };

typedef struct {
    Device device;
    Register registers[11];
    Wire wires[16];
    char names[16][16];
    unsigned drivers[16];
} GpioPort;

struct Function {
    GpioPort *port;
    unsigned pin, number;
    bool needs_open_drain;
    Drive drive;
};

static GpioPort gpio[PORTS];
static unsigned port_count;
static Function functions[FUNCTIONS];
static unsigned function_count;

static uint32_t field(const GpioPort *port, uint32_t offset, unsigned pin, unsigned width) {
    uint32_t value = *device_value(&port->device, offset);
    return value >> width * pin & ((1u << width) - 1);
}

static unsigned function_number(const GpioPort *port, unsigned pin) {
    return field(port, AFRL + pin / 8 * 4, pin % 8, 4);
}

static Function *selected_function(const GpioPort *port, unsigned pin) {
    for (unsigned i = 0; i < function_count; i++) {
        if (functions[i].port == port && functions[i].pin == pin &&
            functions[i].number == function_number(port, pin)) {
            return &functions[i];
        }
    }
    return NULL;
}

static void drive_pin(GpioPort *port, unsigned pin) {
    static const Pull pulls[] = {PULL_NONE, PULL_UP, PULL_DOWN, PULL_NONE};
    unsigned mode = field(port, MODER, pin, 2);
    bool open_drain = field(port, OTYPER, pin, 1);
    Drive drive = DRIVE_NONE;
    if (mode == MODE_OUTPUT) {
        bool high = field(port, ODR, pin, 1);
        drive = !high ? DRIVE_LOW : open_drain ? DRIVE_NONE : DRIVE_HIGH;
    } else if (mode == MODE_FUNCTION) {
        const Function *function = selected_function(port, pin);
        drive = function ? function->drive : DRIVE_NONE;
        // MicroPython's mp_hal_pin_config makes a pin open drain just after it gives it to I2C.
        if (drive == DRIVE_HIGH && (open_drain || function->needs_open_drain)) {
            drive = DRIVE_NONE;
        }
    }
    wire_pin_pull(&port->wires[pin], pulls[field(port, PUPDR, pin, 2)]);
    wire_drive(&port->wires[pin], port->drivers[pin], drive);
}

static void drive_all(GpioPort *port) {
    for (unsigned pin = 0; pin < 16; pin++) {
        drive_pin(port, pin);
    }
}

static uint32_t read(void *self, uint32_t offset) {
    GpioPort *port = self;
    uint32_t value = 0;
    if (offset != IDR) {
        return *device_value(&port->device, offset);
    }
    for (unsigned pin = 0; pin < 16; pin++) {
        bool analog = field(port, MODER, pin, 2) == MODE_ANALOG;
        value |= (uint32_t)(!analog && wire_level(&port->wires[pin])) << pin;
    }
    return value;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    GpioPort *port = self;
    uint32_t *output = device_value(&port->device, ODR), before = *output;
    if (offset == BSRR) {
        *output = (*output & ~(value >> 16)) | (value & 0xffff);
    } else if (offset == BRR) {
        *output &= ~value;
    } else {
        *device_value(&port->device, offset) = value;
        if (offset != ODR) {
            drive_all(port);
            return;
        }
    }
    for (unsigned pin = 0; pin < 16; pin++) {
        if ((before ^ *output) >> pin & 1) {
            drive_pin(port, pin);
        }
    }
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    drive_all(self);
}

// Without power no pin drives or pulls.
static void power_changed_at(void *self, bool on) {
    GpioPort *port = self;
    for (unsigned pin = 0; pin < 16 && !on; pin++) {
        wire_pin_pull(&port->wires[pin], PULL_NONE);
        wire_drive(&port->wires[pin], port->drivers[pin], DRIVE_NONE);
    }
}

void gpio_add(const Port *ports, unsigned count) {
    static const char *const names[PORTS] = {
        "GPIOA", "GPIOB", "GPIOC", "GPIOD", "GPIOE", "GPIOF",
        "GPIOG", "GPIOH", "GPIOI", "GPIOJ", "GPIOK",
    };
    port_count = count;
    for (unsigned i = 0; i < count; i++) {
        GpioPort *port = &gpio[i];
        const Register registers[11] = {
            {MODER, "MODER", ports[i].mode, UINT32_MAX, 0, 0},
            {OTYPER, "OTYPER", .writable = 0xffff},
            {OSPEEDR, "OSPEEDR", ports[i].speed, UINT32_MAX, 0, 0},
            {PUPDR, "PUPDR", ports[i].pull, UINT32_MAX, 0, 0},
            {IDR, "IDR", .writable = 0},
            {ODR, "ODR", .writable = 0xffff},
            {BSRR, "BSRR", .writable = UINT32_MAX},
            {AFRL, "AFR", .writable = UINT32_MAX, .count = 2},
            {BRR, ports[i].has_brr ? "BRR" : NULL, .writable = 0xffff},
        };
        memcpy(port->registers, registers, sizeof registers);
        port->device = (Device){
            .name = names[i], .base = ports[i].base, .registers = port->registers, .self = port,
            .read = read, .write = write, .reset = reset, .gate = ports[i].gate,
        };
        for (unsigned pin = 0; pin < 16; pin++) {
            char *name = port->names[pin];
            snprintf(name, sizeof port->names[pin], "P%c%u", 'A' + (char)i, pin);
            port->wires[pin].name = name;
            port->drivers[pin] = wire_driver(&port->wires[pin]);
        }
        device_add(&port->device);
        power_watch(power_changed_at, port);
    }
}

static GpioPort *find_pin(const char *name, unsigned *pin) {
    unsigned port = (unsigned)(name[1] - 'A');
    char *end;
    *pin = (unsigned)strtoul(name + 2, &end, 10);
    if (name[0] != 'P' || port >= port_count || *pin > 15 || *end || end == name + 2) {
        refuse("the part has no pin %s", name);
    }
    return &gpio[port];
}

Wire *pin_wire(const char *name) {
    unsigned pin;
    GpioPort *port = find_pin(name, &pin);
    return &port->wires[pin];
}

Function *pin_function(const char *name, unsigned number, bool needs_open_drain) {
    if (function_count == FUNCTIONS) {
        refuse("the part has more than %d functions of pins", FUNCTIONS);
    }
    Function *function = &functions[function_count++];
    function->port = find_pin(name, &function->pin);
    function->number = number;
    function->needs_open_drain = needs_open_drain;
    return function;
}

void function_drive(Function *function, Drive drive) {
    if (function->drive == drive) {
        return;
    }
    function->drive = drive;
    if (function_selected(function)) {
        if (function->needs_open_drain && !field(function->port, OTYPER, function->pin, 1)) {
            refuse("%s is push-pull, its function needs open drain",
                   function->port->names[function->pin]);
        }
        drive_pin(function->port, function->pin);
    }
}

bool function_level(const Function *function) {
    return wire_level(&function->port->wires[function->pin]);
}

bool function_selected(const Function *function) {
    return field(function->port, MODER, function->pin, 2) == MODE_FUNCTION &&
           function_number(function->port, function->pin) == function->number;
}
