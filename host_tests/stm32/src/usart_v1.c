// SPDX-License-Identifier: MIT
//
// USART of the F405 and F446: RM0090 30, RM0390 25. Asynchronous only, frames as a whole: a byte
// that the host sends has no bit times of its own, and arrives in those of the receiver. Left out:
// DMA, flow control by RTS and CTS, parity errors, synchronous mode, LIN, IrDA, smartcard,
// wake-up.

#include "usart_v1.h"

#include <stdlib.h>

enum { SR = 0x00, DR = 0x04, BRR = 0x08, CR1 = 0x0c, CR2 = 0x10, CR3 = 0x14, GTPR = 0x18 };
enum { ORE = 8, IDLE = 16, RXNE = 32, TC = 64, TXE = 128 };
enum { RE = 4, TE = 8, IDLEIE = 16, RXNEIE = 32, TCIE = 64, TXEIE = 128, M = 0x1000 };
enum { UE = 0x2000, OVER8 = 0x8000 };
enum { PINS = 4 };

typedef struct {
    const UsartV1 *part;
    Device device;
    Line *line;
    Function *tx[PINS], *rx[PINS];
    uint32_t status, seen;  // `seen`: flags that a read of SR has shown
    uint8_t received, transmit, shifted;
    bool shifting, receiving;
    uint8_t arriving;
    Event shift, receive;
} Usart;

static uint32_t *kept(const Usart *usart, uint32_t offset) {
    return device_value(&usart->device, offset);
}

static void update_irq(const Usart *usart) {
    uint32_t control = *kept(usart, CR1), status = usart->status;
    irq_line(
        usart->part->irq,
        (control & RXNEIE && status & (RXNE | ORE)) || (control & TXEIE && status & TXE) ||
            (control & TCIE && status & TC) || (control & IDLEIE && status & IDLE)
    );
}

static Time frame_time(const Usart *usart) {
    static const uint8_t stop_halves[] = {2, 1, 4, 3};
    uint32_t brr = *kept(usart, BRR), control = *kept(usart, CR1), clock = usart->part->clock();
    uint32_t divisor = control & OVER8 ? (brr >> 4) * 8 + (brr & 7) : brr;
    if (divisor < (control & OVER8 ? 8 : 16) || !clock) {
        refuse("%s is used with BRR %x at %u Hz", usart->part->name, (unsigned)brr,
               (unsigned)clock);
    }
    uint64_t halves = (control & M ? 20u : 18u) + stop_halves[*kept(usart, CR2) >> 12 & 3];
    return halves * divisor * (SEC / clock) / 2;
}

static bool any_selected(Function *const *functions) {
    for (unsigned i = 0; i < PINS && functions[i]; i++) {
        if (function_selected(functions[i])) {
            return true;
        }
    }
    return false;
}

static void begin_shift(Usart *usart) {
    usart->shifted = usart->transmit;
    usart->shifting = true;
    usart->status |= TXE;
    event_in(&usart->shift, frame_time(usart));
}

static void shifted(void *self) {
    Usart *usart = self;
    usart->shifting = false;
    if (any_selected(usart->tx)) {
        line_put(usart->line, usart->shifted);
    }
    if (usart->status & TXE) {
        usart->status |= TC;
    } else {
        begin_shift(usart);
    }
    update_irq(usart);
}

static bool receives(const Usart *usart) {
    return (*kept(usart, CR1) & (UE | RE)) == (UE | RE) && any_selected(usart->rx);
}

// The next frame begins, if a byte waits. Nobody hears what comes while the receiver is off.
static void begin_receive(Usart *usart) {
    int byte = line_take(usart->line);
    while (byte >= 0 && !receives(usart)) {
        byte = line_take(usart->line);
    }
    usart->receiving = byte >= 0;
    if (byte >= 0) {
        usart->arriving = (uint8_t)byte;
        event_in(&usart->receive, frame_time(usart));
    }
}

// A frame has ended, or a frame's time without one.
static void received(void *self) {
    Usart *usart = self;
    if (!usart->receiving) {
        usart->status |= IDLE;
        update_irq(usart);
        return;
    }
    if (usart->status & RXNE) {
        trace("%s: overrun", usart->part->name);
        usart->status |= ORE;
    } else if (receives(usart)) {
        usart->received = usart->arriving;
        usart->status |= RXNE;
    }
    update_irq(usart);
    begin_receive(usart);
    if (!usart->receiving && receives(usart)) {
        event_in(&usart->receive, frame_time(usart));
    }
}

static void arrived(void *self) {
    Usart *usart = self;
    if (!usart->receiving) {
        begin_receive(usart);
    }
}

static uint32_t read(void *self, uint32_t offset) {
    Usart *usart = self;
    switch (offset) {
    case SR:
        usart->seen = usart->status;
        return usart->status;
    case DR:
        usart->status &= ~(uint32_t)(RXNE | (usart->seen & (ORE | IDLE)));
        usart->seen = 0;
        update_irq(usart);
        return usart->received;
    default:
        return *kept(usart, offset);
    }
}

static void transmit(Usart *usart, uint32_t value) {
    if ((*kept(usart, CR1) & (UE | TE)) != (UE | TE)) {
        refuse("%s.DR is written while the transmitter is off", usart->part->name);
    }
    if (!(usart->status & TXE)) {
        refuse("%s.DR is written before TXE: a byte is lost", usart->part->name);
    }
    usart->transmit = (uint8_t)value;
    usart->status &= ~(uint32_t)(TXE | (usart->seen & TC));
    if (!usart->shifting) {
        begin_shift(usart);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    Usart *usart = self;
    switch (offset) {
    case SR:  // a written 0 clears these
        usart->status &= value | ~(uint32_t)(RXNE | TC);
        break;
    case DR:
        transmit(usart, value);
        break;
    default:
        *kept(usart, offset) = value;
    }
    update_irq(usart);
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    Usart *usart = self;
    event_cancel(&usart->shift);
    event_cancel(&usart->receive);
    usart->status = TXE | TC;
    usart->seen = 0;
    usart->shifting = usart->receiving = false;
    update_irq(usart);
}

static void find_pins(Function **functions, const UsartPin *pins) {
    for (unsigned i = 0; i < PINS && pins[i].pin; i++) {
        functions[i] = pin_function(pins[i].pin, pins[i].number, false);
        function_drive(functions[i], DRIVE_NONE);
    }
}

void usart_v1_add(const UsartV1 *part) {
    static const Register registers[] = {
        // HAL_UART_Init of MicroPython's uart_init clears error flags by reading only; SR is
        // written to clear TC, with ones at all other places (stm32f4xx_hal_uart.h).
        {SR, "SR", 0xc0, RXNE | TC, 0xffffffff, 0},
        {DR, "DR", .writable = 0x1ff},
        {BRR, "BRR", .writable = 0xffff},
        {CR1, "CR1", .writable = 0xb7fc},
        {CR2, "CR2", .writable = 0x3000},
        {CR3, "CR3", .writable = 0x801},
        {GTPR, "GTPR", .writable = 0},
        {0},
    };
    Usart *usart = calloc(1, sizeof *usart);
    usart->part = part;
    usart->device = (Device){
        .name = part->name, .base = part->base, .registers = registers, .self = usart,
        .read = read, .write = write, .reset = reset, .gate = part->gate,
    };
    usart->shift = (Event){.fire = shifted, .self = usart};
    usart->receive = (Event){.fire = received, .self = usart};
    find_pins(usart->tx, part->tx);
    find_pins(usart->rx, part->rx);
    usart->line = line_open(part->line, arrived, usart);
    device_add(&usart->device);
}
