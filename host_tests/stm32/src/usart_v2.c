// SPDX-License-Identifier: MIT
//
// USART and LPUART of the G474 and H743: RM0440 37 and 38, RM0433 48 and 49. Asynchronous only,
// frames as a whole: a byte that the host sends has no bit times of its own, and arrives in those
// of the receiver. Left out: DMA, flow control by RTS, CTS and DE, parity, framing and noise
// errors, character match, receiver timeout, auto baud rate, synchronous mode, LIN, IrDA,
// smartcard, wake-up.

#include "usart_v2.h"

#include <stdlib.h>
#include <string.h>

enum {
    CR1 = 0x00, CR2 = 0x04, CR3 = 0x08, BRR = 0x0c, GTPR = 0x10, RTOR = 0x14, RQR = 0x18,
    ISR = 0x1c, ICR = 0x20, RDR = 0x24, TDR = 0x28, PRESC = 0x2c,
};
// ISR; with FIFOs RXNE is RXFNE and TXE is TXFNF
enum {
    ORE = 1 << 3, IDLE = 1 << 4, RXNE = 1 << 5, TC = 1 << 6, TXE = 1 << 7, BUSY = 1 << 16,
    TEACK = 1 << 21, REACK = 1 << 22, TXFE = 1 << 23, RXFF = 1 << 24, RXFT = 1 << 26,
    TXFT = 1 << 27,
};
// CR1; the interrupts of ISR's bits 4 to 7 have the same places
enum {
    UE = 1 << 0, RE = 1 << 2, TE = 1 << 3, M0 = 1 << 12, OVER8 = 1 << 15, M1 = 1 << 28,
    FIFOEN = 1 << 29, TXFEIE = 1 << 30, SAME_PLACE = IDLE | RXNE | TC | TXE,
};
#define RXFFIE (1u << 31)
// CR3
enum { EIE = 1 << 0, OVRDIS = 1 << 12, TXFTIE = 1 << 23, RXFTIE = 1 << 28 };
enum { RXFRQ = 1 << 3, TXFRQ = 1 << 4 };
enum { PINS = 4, MOST = 16 };

typedef struct {
    uint8_t bytes[MOST];
    unsigned count;
} Fifo;

typedef struct {
    const UsartV2 *part;
    Device device;
    Line *line;
    Function *tx[PINS], *rx[PINS];
    uint32_t flags;  // ORE, IDLE and TC; the rest of ISR follows from the FIFOs
    Fifo received, waiting;
    uint8_t shifted, arriving, last;
    bool shifting, receiving;
    Event shift, receive;
} Usart;

static uint32_t *kept(const Usart *usart, uint32_t offset) {
    return device_value(&usart->device, offset);
}

static unsigned depth(const Usart *usart) {
    return *kept(usart, CR1) & FIFOEN ? usart->part->fifo : 1;
}

static void put(Fifo *fifo, uint8_t byte) {
    fifo->bytes[fifo->count++] = byte;
}

static uint8_t take(Fifo *fifo) {
    uint8_t byte = fifo->bytes[0];
    memmove(fifo->bytes, fifo->bytes + 1, --fifo->count);
    return byte;
}

// Bytes at which a threshold of CR3 is reached (RM0440 37.8.4).
static unsigned threshold(unsigned size, uint32_t code) {
    static const uint8_t eighths[] = {1, 2, 4, 6, 7, 8};
    return size * eighths[code < 6 ? code : 5] / 8;
}

static uint32_t status(const Usart *usart) {
    uint32_t control = *kept(usart, CR1), bits = usart->flags, size = depth(usart);
    bits |= usart->received.count ? RXNE : 0;
    bits |= usart->waiting.count < size ? TXE : 0;
    bits |= usart->receiving || usart->shifting ? BUSY : 0;
    bits |= (control & (UE | TE)) == (UE | TE) ? TEACK : 0;
    bits |= (control & (UE | RE)) == (UE | RE) ? REACK : 0;
    if (control & FIFOEN) {
        uint32_t thresholds = *kept(usart, CR3);
        bits |= usart->waiting.count ? 0 : TXFE;
        bits |= usart->received.count == size ? RXFF : 0;
        bits |= usart->received.count >= threshold(size, thresholds >> 25 & 7) ? RXFT : 0;
        bits |= size - usart->waiting.count >= threshold(size, thresholds >> 29) ? TXFT : 0;
    }
    return bits;
}

static void update_irq(const Usart *usart) {
    uint32_t first = *kept(usart, CR1), third = *kept(usart, CR3), bits = status(usart);
    irq_line(
        usart->part->irq,
        (first & UE) &&
            ((first & bits & SAME_PLACE) || (bits & ORE && (first & RXNE || third & EIE)) ||
             (first & TXFEIE && bits & TXFE) || (first & RXFFIE && bits & RXFF) ||
             (third & RXFTIE && bits & RXFT) || (third & TXFTIE && bits & TXFT))
    );
}

static Time frame_time(const Usart *usart) {
    static const uint8_t stop_halves[] = {2, 1, 4, 3};
    static const uint16_t prescalers[] = {1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256};
    uint32_t brr = *kept(usart, BRR), control = *kept(usart, CR1), clock = usart->part->clock();
    uint32_t code = *kept(usart, PRESC), least = usart->part->low_power ? 0x300 : 16;
    // 1/256 periods of the clock for a bit
    uint64_t bit = (uint64_t)brr * 256;
    if (usart->part->low_power) {
        bit = brr;
    } else if (control & OVER8) {
        bit = (uint64_t)((brr & 0xfff0) | (brr & 7) << 1) * 128;
    }
    if (brr < least || !clock || code > 11) {
        refuse("%s is used with BRR %x, PRESC %u at %u Hz", usart->part->name, (unsigned)brr,
               (unsigned)code, (unsigned)clock);
    }
    uint64_t halves = (control & M1 ? 16u : control & M0 ? 20u : 18u) +
                      stop_halves[*kept(usart, CR2) >> 12 & 3];
    return halves * bit * prescalers[code] * (SEC / clock) / 512;
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
    usart->shifted = take(&usart->waiting);
    usart->shifting = true;
    event_in(&usart->shift, frame_time(usart));
}

static void shifted(void *self) {
    Usart *usart = self;
    usart->shifting = false;
    if (any_selected(usart->tx)) {
        line_put(usart->line, usart->shifted);
    }
    if (usart->waiting.count) {
        begin_shift(usart);
    } else {
        usart->flags |= TC;
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
        usart->flags |= IDLE;
        update_irq(usart);
        return;
    }
    if (receives(usart)) {
        if (usart->received.count < depth(usart)) {
            put(&usart->received, usart->arriving);
        } else if (*kept(usart, CR3) & OVRDIS) {
            usart->received.bytes[usart->received.count - 1] = usart->arriving;
        } else {
            usart->flags |= ORE;
        }
    }
    begin_receive(usart);
    update_irq(usart);
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
    case ISR:
        return status(usart);
    case RDR:
        if (usart->received.count) {
            usart->last = take(&usart->received);
            update_irq(usart);
        }
        return usart->last;
    default:
        return *kept(usart, offset);
    }
}

static void transmit(Usart *usart, uint32_t value) {
    if ((*kept(usart, CR1) & (UE | TE)) != (UE | TE)) {
        refuse("%s.TDR is written while the transmitter is off", usart->part->name);
    }
    if (usart->waiting.count == depth(usart)) {
        refuse("%s.TDR is written before TXE: a byte is lost", usart->part->name);
    }
    put(&usart->waiting, (uint8_t)value);
    usart->flags &= ~(uint32_t)TC;
    if (!usart->shifting) {
        begin_shift(usart);
    }
}

static void stop(Usart *usart) {
    event_cancel(&usart->shift);
    event_cancel(&usart->receive);
    usart->shifting = usart->receiving = false;
    usart->received.count = usart->waiting.count = 0;
    usart->flags = TC;
}

// What only a USART that is off may be given (RM0440 37.8).
static uint32_t fixed_while_on(uint32_t offset) {
    switch (offset) {
    case CR1:
        return M0 | M1 | OVER8 | FIFOEN;
    case CR2:
        return 3 << 12;
    case CR3:
        return OVRDIS;
    default:
        return offset == BRR || offset == PRESC ? UINT32_MAX : 0;
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    Usart *usart = self;
    uint32_t was = *kept(usart, offset);
    if (*kept(usart, CR1) & UE && (value ^ was) & fixed_while_on(offset) &&
        !(offset == CR1 && !(value & UE))) {
        refuse("write of %08x to %s+%02x while it is on", (unsigned)value, usart->part->name,
               (unsigned)offset);
    }
    switch (offset) {
    case CR1:
        *kept(usart, CR1) = value;
        if (was & UE && !(value & UE)) {
            stop(usart);
        }
        break;
    case RQR:
        if (value & RXFRQ) {
            usart->received.count = 0;
        }
        if (value & TXFRQ) {
            usart->waiting.count = 0;
        }
        break;
    case ICR:
        usart->flags &= ~(value & (ORE | IDLE | TC));
        break;
    case TDR:
        transmit(usart, value);
        break;
    default:
        *kept(usart, offset) = value;
    }
    update_irq(usart);
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    stop(self);
    update_irq(self);
}

static void find_pins(Function **functions, const UsartV2Pin *pins) {
    for (unsigned i = 0; i < PINS && pins[i].pin; i++) {
        functions[i] = pin_function(pins[i].pin, pins[i].number, false);
    }
}

void usart_v2_add(const UsartV2 *part) {
    static const Register registers[] = {
        {CR1, "CR1", .writable = 0xf00090fd},
        {CR2, "CR2", .writable = 0x00003000},
        {CR3, "CR3", .writable = 0xfe801801},
        {BRR, "BRR", .writable = 0x000fffff},
        {GTPR, "GTPR", .writable = 0},
        {RTOR, "RTOR", .writable = 0},
        {RQR, "RQR", .writable = RXFRQ | TXFRQ},
        {ISR, "ISR", TC | TXE, 0, 0, 0},
        // The flags of what is left out are never set.
        {ICR, "ICR", .writable = 0x00123b7f},
        {RDR, "RDR", .writable = 0},
        {TDR, "TDR", .writable = 0x1ff},
        {PRESC, "PRESC", .writable = 15},
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
