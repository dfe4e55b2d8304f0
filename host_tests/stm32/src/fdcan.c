// SPDX-License-Identifier: MIT
//
// FDCAN, Bosch's M_CAN: RM0440 chapter 44 (G4: sections of fixed size in the message RAM), RM0433
// chapter 56 (H7: sections as configured); error states as ISO 11898-1 12.1.4.
//
// Left out, and refused where software asks for it: frames in FD format on the bus (the bus does
// not model them), external loop back, restricted operation after an error, the timeout counter,
// the RAM watchdog, external time stamps, control of the TX pin; of the H7 dedicated Rx buffers,
// dedicated Tx buffers beside a FIFO or queue, debug messages, TTCAN and the calibration of the
// clock. A write to a protected register without CCE, which the part drops, is refused. The core may
// read bytes of the message RAM, but has to write words. TEST.RX is always recessive.

#include "fdcan.h"

#include <string.h>

#define CONTROLLERS 3
#define RAM_WORDS 2560

typedef enum {
    CREL, ENDN, DBTP, TEST, RWD, CCCR, NBTP, TSCC, TSCV, TOCC, TOCV, ECR, PSR, TDCR,
    IR, IE, ILS, ILE, GFC, SIDFC, XIDFC, XIDAM, HPMS, NDAT1, NDAT2,
    RXF0C, RXF0S, RXF0A, RXBC, RXF1C, RXF1S, RXF1A, RXESC,
    TXBC, TXESC, TXFQS, TXBRP, TXBAR, TXBCR, TXBTO, TXBCF, TXBTIE, TXBCIE,
    TXEFC, TXEFS, TXEFA, CKDIV, TTOCF, NAMES,
} Name;

// CCCR
enum {
    INIT = 1, CCE = 2, ASM = 4, CSA = 8, CSR = 16, MON = 32, DAR = 64, TESTING = 128, FDOE = 256,
    BRSE = 512, PXHD = 1 << 12, EFBI = 1 << 13, TXP = 1 << 14, NISO = 1 << 15,
};
enum { PROTECTED_BITS = DAR | FDOE | BRSE | PXHD | EFBI | TXP | NISO };
enum { LBCK = 1 << 4, TEST_RX = 1 << 7 };
// Bits that only CCE lets software set, and anybody clears
enum { SET_WITH_CCE = ASM | MON | TESTING };
// PSR
enum {
    LEC = 7, ACT = 3 << 3, EP = 1 << 5, EW = 1 << 6, BO = 1 << 7, DLEC = 7 << 8, PXE = 1 << 14,
    RESI = 1 << 11, RBRS = 1 << 12, REDL = 1 << 13,
};
enum { NO_CHANGE = 7, BIT0_ERROR = 5 };
enum { ACT_SYNCHRONIZING = 0, ACT_IDLE = 1 << 3, ACT_RECEIVER = 2 << 3, ACT_TRANSMITTER = 3 << 3 };

// Interrupts as IR of the H7 has them; the G4 has fewer, closer together.
enum {
    RFN = 1 << 0, RFW = 1 << 1, RFF = 1 << 2, RFL = 1 << 3,  // of FIFO 1: four bits to the left
    HPM = 1 << 8, TC = 1 << 9, TCF = 1 << 10, TFE = 1 << 11, TEFN = 1 << 12, TEFW = 1 << 13,
    TEFF = 1 << 14, TEFL = 1 << 15, TSW = 1 << 16, ELO = 1 << 22, IR_EP = 1 << 23,
    IR_EW = 1 << 24, IR_BO = 1 << 25, PEA = 1 << 27,
};
static const uint8_t g4_interrupts[] = {
    0, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 22, 23, 24, 25, 26, 27, 28, 29,
};
// The bits of ILS on the G4, each for a group of interrupts in its IR
static const uint32_t g4_groups[] = {0x7, 0x38, 0x1c0, 0x1e00, 0xe000, 0x30000, 0xfc0000};

// Elements in the message RAM
#define EXTENDED (1u << 30)
#define REMOTE (1u << 29)
enum { EVENT_WANTED = 1 << 23, FD_FORMAT = 1 << 21, RATE_SWITCH = 1 << 20 };
#define NO_FILTER (1u << 31)
enum { EVENT_WORDS = 2, WITH_64_BYTES = 18 };
enum {
    DISABLED, TO_FIFO_0, TO_FIFO_1, REJECT, PRIORITY, PRIORITY_FIFO_0, PRIORITY_FIFO_1, BUFFER,
};

typedef struct {
    uint32_t at, count, words, watermark;
} Section;

typedef struct {
    uint32_t fill, get, put;
} Fifo;

typedef struct {
    const FdcanPart *part;
    Device device;
    CanStation station;
    Function *tx, *rx;
    Fifo rx_fifo[2], tx_fifo, events;
    uint32_t interrupts;  // IR, as the H7 has it
    unsigned tec, rec;
    bool receive_passive;
    unsigned sequences;  // of 11 recessive bits that it waits for before it is on the bus
    bool sending, acting;
    unsigned sent_buffer;
    CanFrame sent_frame;
    Event loop_back, wrap;
    Time counted_from;
} Fdcan;

static const uint16_t g4_offsets[NAMES] = {
    [CREL] = 0x00, [ENDN] = 0x04, [DBTP] = 0x0c, [TEST] = 0x10, [RWD] = 0x14, [CCCR] = 0x18,
    [NBTP] = 0x1c, [TSCC] = 0x20, [TSCV] = 0x24, [TOCC] = 0x28, [TOCV] = 0x2c, [ECR] = 0x40,
    [PSR] = 0x44, [TDCR] = 0x48, [IR] = 0x50, [IE] = 0x54, [ILS] = 0x58, [ILE] = 0x5c,
    [GFC] = 0x80, [XIDAM] = 0x84, [HPMS] = 0x88, [RXF0S] = 0x90, [RXF0A] = 0x94, [RXF1S] = 0x98,
    [RXF1A] = 0x9c, [TXBC] = 0xc0, [TXFQS] = 0xc4, [TXBRP] = 0xc8, [TXBAR] = 0xcc, [TXBCR] = 0xd0,
    [TXBTO] = 0xd4, [TXBCF] = 0xd8, [TXBTIE] = 0xdc, [TXBCIE] = 0xe0, [TXEFS] = 0xe4,
    [TXEFA] = 0xe8, [CKDIV] = 0x100,
};
static const uint16_t h7_offsets[NAMES] = {
    [CREL] = 0x00, [ENDN] = 0x04, [DBTP] = 0x0c, [TEST] = 0x10, [RWD] = 0x14, [CCCR] = 0x18,
    [NBTP] = 0x1c, [TSCC] = 0x20, [TSCV] = 0x24, [TOCC] = 0x28, [TOCV] = 0x2c, [ECR] = 0x40,
    [PSR] = 0x44, [TDCR] = 0x48, [IR] = 0x50, [IE] = 0x54, [ILS] = 0x58, [ILE] = 0x5c,
    [GFC] = 0x80, [SIDFC] = 0x84, [XIDFC] = 0x88, [XIDAM] = 0x90, [HPMS] = 0x94, [NDAT1] = 0x98,
    [NDAT2] = 0x9c, [RXF0C] = 0xa0, [RXF0S] = 0xa4, [RXF0A] = 0xa8, [RXBC] = 0xac, [RXF1C] = 0xb0,
    [RXF1S] = 0xb4, [RXF1A] = 0xb8, [RXESC] = 0xbc, [TXBC] = 0xc0, [TXFQS] = 0xc4, [TXESC] = 0xc8,
    [TXBRP] = 0xcc, [TXBAR] = 0xd0, [TXBCR] = 0xd4, [TXBTO] = 0xd8, [TXBCF] = 0xdc,
    [TXBTIE] = 0xe0, [TXBCIE] = 0xe4, [TXEFC] = 0xf0, [TXEFS] = 0xf4, [TXEFA] = 0xf8,
    [TTOCF] = 0x108,
};

static Fdcan controllers[CONTROLLERS];
static unsigned controller_count;
static Device ram;

static uint32_t *reg(const Fdcan *can, Name name) {
    const uint16_t *offsets = can->part->kind == FDCAN_G4 ? g4_offsets : h7_offsets;
    return device_value(&can->device, offsets[name]);
}

static Name name_at(const Fdcan *can, uint32_t offset) {
    const uint16_t *offsets = can->part->kind == FDCAN_G4 ? g4_offsets : h7_offsets;
    unsigned name = 1;  // all but CREL have an offset that is not 0
    while (name < NAMES && offsets[name] != offset) {
        name++;
    }
    return name < NAMES ? (Name)name : CREL;
}

static bool is_set(const Fdcan *can, uint32_t bits) {
    return *reg(can, CCCR) & bits;
}

// Message RAM ------------------------------------------------------------------------------------

// The words of an element. An index of software or a section outside of the RAM would be an access
// that the part does not define.
static uint32_t *element(const Fdcan *can, Section section, uint32_t index) {
    uint32_t at = can->part->ram + section.at + index * section.words;
    if (index >= section.count || (at + section.words) * 4 > ram.span) {
        refuse("%s: element %u at word %u of the message RAM", can->part->name, (unsigned)index,
               (unsigned)at);
    }
    return device_value(&ram, at * 4);
}

static uint32_t words_of_size(uint32_t code) {
    static const uint8_t bytes[] = {8, 12, 16, 20, 24, 32, 48, 64};
    return 2 + bytes[code & 7] / 4u;
}

static Section standard_filters(const Fdcan *can) {
    if (can->part->kind == FDCAN_G4) {
        return (Section){0, *reg(can, GFC) >> 16 & 31, 1, 0};
    }
    uint32_t config = *reg(can, SIDFC);
    return (Section){config >> 2 & 0x3fff, config >> 16 & 0xff, 1, 0};
}

static Section extended_filters(const Fdcan *can) {
    if (can->part->kind == FDCAN_G4) {
        return (Section){28, *reg(can, GFC) >> 24 & 15, 2, 0};
    }
    uint32_t config = *reg(can, XIDFC);
    return (Section){config >> 2 & 0x3fff, config >> 16 & 0x7f, 2, 0};
}

static Section rx_section(const Fdcan *can, unsigned fifo) {
    if (can->part->kind == FDCAN_G4) {
        return (Section){44 + 54 * fifo, 3, WITH_64_BYTES, 0};
    }
    uint32_t config = *reg(can, fifo ? RXF1C : RXF0C);
    return (Section){
        config >> 2 & 0x3fff, config >> 16 & 0x7f, words_of_size(*reg(can, RXESC) >> 4 * fifo),
        config >> 24 & 0x7f,
    };
}

static bool overwrites(const Fdcan *can, unsigned fifo) {
    if (can->part->kind == FDCAN_G4) {
        return *reg(can, GFC) >> (fifo ? 8 : 9) & 1;
    }
    return *reg(can, fifo ? RXF1C : RXF0C) >> 31;
}

static Section event_section(const Fdcan *can) {
    if (can->part->kind == FDCAN_G4) {
        return (Section){152, 3, EVENT_WORDS, 0};
    }
    uint32_t config = *reg(can, TXEFC);
    return (Section){
        config >> 2 & 0x3fff, config >> 16 & 0x3f, EVENT_WORDS, config >> 24 & 0x3f,
    };
}

static uint32_t dedicated(const Fdcan *can) {
    return can->part->kind == FDCAN_G4 ? 0 : *reg(can, TXBC) >> 16 & 0x3f;
}

static Section tx_section(const Fdcan *can) {
    if (can->part->kind == FDCAN_G4) {
        return (Section){158, 3, WITH_64_BYTES, 0};
    }
    uint32_t config = *reg(can, TXBC);
    return (Section){
        config >> 2 & 0x3fff, dedicated(can) + (config >> 24 & 0x3f),
        words_of_size(*reg(can, TXESC)), 0,
    };
}

// The part sends dedicated buffers in the order in which it sends those of a queue: RM0433 56.4.8.
static bool is_queue(const Fdcan *can) {
    return dedicated(can) || *reg(can, TXBC) >> (can->part->kind == FDCAN_G4 ? 24 : 30) & 1;
}

static unsigned bytes_of(uint32_t dlc, bool fd) {
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64};
    return fd ? bytes[dlc] : dlc > 8 ? 8 : dlc;
}

// Interrupts -------------------------------------------------------------------------------------

// Between IR as the H7 has it and as this part does.
static uint32_t part_interrupts(const Fdcan *can, uint32_t interrupts) {
    uint32_t bits = 0;
    if (can->part->kind == FDCAN_H7) {
        return interrupts;
    }
    for (unsigned i = 0; i < sizeof g4_interrupts; i++) {
        bits |= (interrupts >> g4_interrupts[i] & 1) << i;
    }
    return bits;
}

static uint32_t model_interrupts(const Fdcan *can, uint32_t bits) {
    uint32_t interrupts = 0;
    if (can->part->kind == FDCAN_H7) {
        return bits;
    }
    for (unsigned i = 0; i < sizeof g4_interrupts; i++) {
        interrupts |= (bits >> i & 1) << g4_interrupts[i];
    }
    return interrupts;
}

static void update_lines(Fdcan *can) {
    uint32_t active = part_interrupts(can, can->interrupts) & *reg(can, IE);
    uint32_t second = *reg(can, ILS);
    if (can->part->kind == FDCAN_G4) {
        second = 0;
        for (unsigned i = 0; i < sizeof g4_groups / sizeof *g4_groups; i++) {
            second |= *reg(can, ILS) >> i & 1 ? g4_groups[i] : 0;
        }
    }
    irq_line(can->part->irq[0], active & ~second && *reg(can, ILE) & 1);
    irq_line(can->part->irq[1], active & second && *reg(can, ILE) & 2);
}

static void raise(Fdcan *can, uint32_t interrupts) {
    can->interrupts |= interrupts;
    update_lines(can);
}

// Time -------------------------------------------------------------------------------------------

static uint32_t bit_ns(void *self) {
    const Fdcan *can = self;
    // Only FDCAN1 has CKDIV, which is for all.
    static const uint8_t dividers[] = {1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    uint32_t timing = *reg(can, NBTP), hz = can->part->clock();
    bool divides = can->part->kind == FDCAN_G4;
    uint32_t divider = divides ? dividers[*reg(&controllers[0], CKDIV) & 15] : 1;
    uint64_t quanta = (timing >> 8 & 0xff) + (timing & 0x7f) + 3;
    uint64_t periods = ((timing >> 16 & 0x1ff) + 1) * quanta * divider;
    return hz ? (uint32_t)(periods * 1000000000u / hz) : 0;
}

static Time count_time(const Fdcan *can) {
    return bit_ns((void *)can) * NS * ((*reg(can, TSCC) >> 16 & 15) + 1);
}

static uint32_t timestamp(const Fdcan *can) {
    if ((*reg(can, TSCC) & 3) != 1 || is_set(can, INIT)) {
        return 0;
    }
    return (uint32_t)((now() - can->counted_from) / count_time(can)) & 0xffff;
}

static void count_from_zero(Fdcan *can) {
    can->counted_from = now();
    event_cancel(&can->wrap);
    if ((*reg(can, TSCC) & 3) == 1 && !is_set(can, INIT)) {
        event_in(&can->wrap, count_time(can) << 16);
    }
}

static void wrapped(void *self) {
    Fdcan *can = self;
    event_in(&can->wrap, count_time(can) << 16);
    raise(can, TSW);
}

// Receiving --------------------------------------------------------------------------------------

static void store(Fdcan *can, unsigned fifo, const CanFrame *frame, uint32_t filter) {
    Fifo *to = &can->rx_fifo[fifo];
    Section section = rx_section(can, fifo);
    unsigned shift = 4 * fifo;
    if (to->fill == section.count) {
        if (!section.count || !overwrites(can, fifo)) {
            can_frame_lost(can->interrupts & (uint32_t)RFL << shift);
            raise(can, (uint32_t)RFL << shift);
            return;
        }
        to->get = (to->get + 1) % section.count;
        to->fill--;
    }
    uint32_t *words = element(can, section, to->put);
    words[0] = frame->extended ? EXTENDED | frame->id : frame->id << 18;
    words[0] |= frame->remote ? REMOTE : 0;
    words[1] = filter | (uint32_t)frame->dlc << 16 | timestamp(can);
    words[1] |= (frame->fd ? FD_FORMAT : 0) | (frame->brs ? RATE_SWITCH : 0);
    unsigned size = frame->remote ? 0 : bytes_of(frame->dlc, frame->fd);
    unsigned room = (section.words - 2) * 4;
    memcpy(words + 2, frame->data, size < room ? (size + 3) & ~3u : room);
    to->put = (to->put + 1) % section.count;
    to->fill++;
    uint32_t flags = RFN;
    flags |= to->fill == section.count ? RFF : 0;
    flags |= section.watermark && to->fill == section.watermark ? RFW : 0;
    raise(can, flags << shift);
}

static bool filter_matches(
    uint32_t type, uint32_t one, uint32_t other, uint32_t id, uint32_t mask
) {
    switch (type) {
    case 0:  // a range; of extended identifiers behind XIDAM
        return (id & mask) >= one && (id & mask) <= other;
    case 1:
        return (id & mask) == one || (id & mask) == other;
    case 2:
        return !((id & mask & other) ^ (one & other));
    default:  // a range without XIDAM; a standard filter of this type is off
        return mask != UINT32_MAX && id >= one && id <= other;
    }
}

// What the first filter that matches says is to be done, and `which` it is.
static uint32_t filtered(const Fdcan *can, const CanFrame *frame, uint32_t *which) {
    Section section = frame->extended ? extended_filters(can) : standard_filters(can);
    for (uint32_t i = 0; i < section.count; i++) {
        const uint32_t *words = element(can, section, i);
        uint32_t what, type, one, other, mask;
        if (frame->extended) {
            what = words[0] >> 29;
            type = words[1] >> 30;
            one = words[0] & 0x1fffffff;
            other = words[1] & 0x1fffffff;
            mask = *reg(can, XIDAM);
        } else {
            what = words[0] >> 27 & 7;
            type = words[0] >> 30;
            one = words[0] >> 16 & 0x7ff;
            other = words[0] & 0x7ff;
            mask = UINT32_MAX;
        }
        if (what != DISABLED && filter_matches(type, one, other, frame->id, mask)) {
            *which = i;
            return what;
        }
    }
    *which = UINT32_MAX;
    return DISABLED;
}

static void accept(Fdcan *can, const CanFrame *frame) {
    uint32_t global = *reg(can, GFC), which;
    if (frame->remote && global & (frame->extended ? 1 : 2)) {
        return;
    }
    uint32_t what = filtered(can, frame, &which);
    if (what == DISABLED) {
        uint32_t fifo = global >> (frame->extended ? 2 : 4) & 3;
        if (fifo < 2) {
            store(can, fifo, frame, NO_FILTER);
        }
        return;
    }
    if (what == BUFFER) {
        refuse("%s: filter %u stores into an Rx buffer", can->part->name, (unsigned)which);
    }
    uint32_t fifo = what == TO_FIFO_0 || what == PRIORITY_FIFO_0 ? 0 : 1;
    bool stores = what != REJECT && what != PRIORITY;
    if (what >= PRIORITY) {
        uint32_t state = stores ? can->rx_fifo[fifo].put | (2 + fifo) << 6 : 0;
        *reg(can, HPMS) = state | which << 8 | (frame->extended ? 1u << 15 : 0);
        raise(can, HPM);
    }
    if (stores) {
        store(can, fifo, frame, which << 24);
    }
}

static uint32_t rx_status(const Fdcan *can, unsigned fifo) {
    const Fifo *of = &can->rx_fifo[fifo];
    uint32_t count = rx_section(can, fifo).count;
    return of->fill | of->get << 8 | of->put << 16 |
           (uint32_t)(count && of->fill == count) << 24 |
           (can->interrupts >> 4 * fifo & RFL ? 1u << 25 : 0);
}

// Software has read the elements up to `index`.
static void acknowledge(const Fdcan *can, Fifo *fifo, uint32_t count, uint32_t index) {
    uint32_t freed = index < count ? (index + count - fifo->get) % count + 1 : UINT32_MAX;
    if (freed > fifo->fill) {
        refuse("%s: element %u of a FIFO that holds %u from %u is released", can->part->name,
               (unsigned)index, (unsigned)fifo->fill, (unsigned)fifo->get);
    }
    fifo->get = (index + 1) % count;
    fifo->fill -= freed;
}

// Error states -----------------------------------------------------------------------------------

static void leave_bus(Fdcan *can);

static void update_state(Fdcan *can) {
    uint32_t *status = reg(can, PSR), was = *status;
    *status &= ~(uint32_t)(EP | EW | BO);
    *status |= can->tec > 127 || can->receive_passive ? EP : 0;
    *status |= can->tec >= 96 || can->rec >= 96 || can->receive_passive ? EW : 0;
    *status |= can->tec > 255 ? BO : 0;
    uint32_t changed = was ^ *status;
    if (changed & BO && *status & BO) {
        trace("%s: bus-off", can->part->name);
        leave_bus(can);
    }
    uint32_t flags = (changed & EP ? IR_EP : 0) | (changed & EW ? IR_EW : 0);
    raise(can, flags | (changed & BO ? IR_BO : 0));
}

static void count_error(Fdcan *can, bool transmitter, unsigned amount) {
    uint32_t *counters = reg(can, ECR);
    if (transmitter) {
        can->tec += amount;
    } else if (can->rec + amount > 127) {
        can->receive_passive = true;
        can->rec = 127;
    } else {
        can->rec += amount;
    }
    if (*counters >> 16 == 0xff) {
        raise(can, ELO);
    } else {
        *counters += 1 << 16;
    }
    update_state(can);
}

static uint32_t read_ecr(Fdcan *can) {
    uint32_t value = *reg(can, ECR) | (can->tec > 255 ? 255 : can->tec) | can->rec << 8 |
                     (can->receive_passive ? 1u << 15 : 0);
    *reg(can, ECR) = 0;
    return value;
}

static uint32_t activity(const Fdcan *can) {
    if (is_set(can, INIT) || can->sequences) {
        return ACT_SYNCHRONIZING;
    }
    if (can->sending) {
        return ACT_TRANSMITTER;
    }
    return can_bus_busy() ? ACT_RECEIVER : ACT_IDLE;
}

static uint32_t read_psr(Fdcan *can) {
    uint32_t *status = reg(can, PSR), value = *status | activity(can);
    *status = (*status | LEC | DLEC) & ~(uint32_t)(RESI | RBRS | REDL | PXE);
    return value;
}

static void set_lec(Fdcan *can, uint32_t code) {
    *reg(can, PSR) = (*reg(can, PSR) & ~(uint32_t)LEC) | code;
}

// Transmitting -----------------------------------------------------------------------------------

static uint32_t tx_status(const Fdcan *can) {
    uint32_t count = tx_section(can).count, pending = *reg(can, TXBRP);
    if (dedicated(can)) {
        refuse("%s.TXFQS is read, and there is neither a FIFO nor a queue", can->part->name);
    }
    if (!is_queue(can)) {
        const Fifo *fifo = &can->tx_fifo;
        return (count - fifo->fill) | fifo->get << 8 | fifo->put << 16 |
               (uint32_t)(fifo->fill == count) << 21;
    }
    uint32_t put = 0;
    while (put < count && pending >> put & 1) {
        put++;
    }
    return put < count ? put << 16 : 1u << 21;
}

static CanFrame tx_frame(const Fdcan *can, uint32_t index) {
    const uint32_t *words = element(can, tx_section(can), index);
    CanFrame frame = {
        .extended = words[0] & EXTENDED,
        .remote = words[0] & REMOTE,
        .dlc = (uint8_t)(words[1] >> 16 & 15),
        .fd = words[1] & FD_FORMAT && is_set(can, FDOE),
    };
    frame.brs = frame.fd && words[1] & RATE_SWITCH && is_set(can, BRSE);
    frame.id = frame.extended ? words[0] & 0x1fffffff : words[0] >> 18 & 0x7ff;
    memcpy(frame.data, words + 2, frame.remote ? 0 : bytes_of(frame.dlc, frame.fd));
    return frame;
}

// Frames of the queue are compared as on the bus.
static uint64_t rank(const CanFrame *frame) {
    uint64_t base = frame->extended ? frame->id >> 18 : frame->id;
    return base << 20 | (frame->extended ? 1u << 19 | (frame->id & 0x3ffff) : 0);
}

// The buffer that the part sends next. At least one has to be pending.
static uint32_t first_buffer(const Fdcan *can) {
    uint32_t pending = *reg(can, TXBRP), index = can->tx_fifo.get;
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; is_queue(can) && i < tx_section(can).count; i++) {
        CanFrame frame = tx_frame(can, i);
        if (pending >> i & 1 && rank(&frame) < best) {
            best = rank(&frame);
            index = i;
        }
    }
    return index;
}

static bool next_buffer(const Fdcan *can, uint32_t *index) {
    if (!*reg(can, TXBRP) || is_set(can, INIT | ASM | MON | CSR) || can->sequences) {
        return false;
    }
    *index = first_buffer(can);
    return true;
}

// A request has ended, by success or by cancellation.
static void free_buffer(Fdcan *can, uint32_t index) {
    uint32_t *pending = reg(can, TXBRP), count = tx_section(can).count;
    *pending &= ~(1u << index);
    *reg(can, TXBCR) &= ~(1u << index);
    if (is_queue(can)) {
        return;
    }
    bool held = can->tx_fifo.fill;
    while (can->tx_fifo.fill && !(*pending >> can->tx_fifo.get & 1)) {
        can->tx_fifo.get = (can->tx_fifo.get + 1) % count;
        can->tx_fifo.fill--;
    }
    if (held && !can->tx_fifo.fill) {
        raise(can, TFE);
    }
}

static void cancelled(Fdcan *can, uint32_t index) {
    *reg(can, TXBCF) |= 1u << index;
    free_buffer(can, index);
    if (*reg(can, TXBCIE) >> index & 1) {
        raise(can, TCF);
    }
}

static void store_event(Fdcan *can, uint32_t index, bool in_spite) {
    const uint32_t *sent = element(can, tx_section(can), index);
    Section section = event_section(can);
    Fifo *to = &can->events;
    if (!(sent[1] & EVENT_WANTED)) {
        return;
    }
    if (to->fill == section.count) {
        raise(can, TEFL);
        return;
    }
    uint32_t *words = element(can, section, to->put);
    words[0] = sent[0];
    words[1] = (sent[1] & 0xff3f0000) | (in_spite ? 2u : 1u) << 22 | timestamp(can);
    to->put = (to->put + 1) % section.count;
    to->fill++;
    raise(can, TEFN | (to->fill == section.count ? TEFF : 0) |
                   (section.watermark && to->fill == section.watermark ? TEFW : 0));
}

static uint32_t event_status(const Fdcan *can) {
    const Fifo *of = &can->events;
    uint32_t count = event_section(can).count;
    return of->fill | of->get << 8 | of->put << 16 |
           (uint32_t)(count && of->fill == count) << 24 |
           (can->interrupts & TEFL ? 1u << 25 : 0);
}

static void succeed(Fdcan *can) {
    uint32_t index = can->sent_buffer;
    bool in_spite = *reg(can, TXBCR) >> index & 1;
    *reg(can, TXBTO) |= 1u << index;
    if (in_spite) {
        cancelled(can, index);
    } else {
        free_buffer(can, index);
    }
    store_event(can, index, in_spite);
    if (*reg(can, TXBTIE) >> index & 1) {
        raise(can, TC);
    }
}

// The frame was not sent: it is repeated, unless software has other wishes.
static void fail(Fdcan *can) {
    uint32_t index = can->sent_buffer;
    if (is_set(can, DAR) || *reg(can, TXBCR) >> index & 1) {
        cancelled(can, index);
    }
}

// Internal loop back: the frame takes its time and comes back; no bus sees it.
static bool loops_back(const Fdcan *can) {
    return *reg(can, TEST) & LBCK && is_set(can, MON);
}

static void start_loop_back(Fdcan *can) {
    if (!loops_back(can) || can->sending || !*reg(can, TXBRP) || is_set(can, INIT)) {
        return;
    }
    can->sending = true;
    can->sent_buffer = first_buffer(can);
    can->sent_frame = tx_frame(can, can->sent_buffer);
    event_in(&can->loop_back, can_frame_bits(&can->sent_frame) * bit_ns(can) * NS);
}

static void looped_back(void *self) {
    Fdcan *can = self;
    can->sending = false;
    succeed(can);
    accept(can, &can->sent_frame);
    start_loop_back(can);
}

static void start(Fdcan *can) {
    if (loops_back(can)) {
        start_loop_back(can);
    } else {
        can_bus_wake();
    }
}

static void request(Fdcan *can, uint32_t buffers) {
    uint32_t *pending = reg(can, TXBRP), count = tx_section(can).count;
    if (is_set(can, CCE)) {
        refuse("%s: TXBAR %x with CCE set", can->part->name, (unsigned)buffers);
    }
    if (buffers & *pending || (count < 32 && buffers >> count)) {
        refuse("%s: TXBAR %x, of %u buffers %x wait", can->part->name, (unsigned)buffers,
               (unsigned)count, (unsigned)*pending);
    }
    *pending |= buffers;
    *reg(can, TXBTO) &= ~buffers;
    *reg(can, TXBCF) &= ~buffers;
    for (; buffers && !is_queue(can); can->tx_fifo.fill++) {
        uint32_t put = can->tx_fifo.put;
        if (can->tx_fifo.fill == count || !(buffers >> put & 1)) {
            refuse("%s: TXBAR %x, the put index is %u", can->part->name, (unsigned)buffers,
                   (unsigned)put);
        }
        buffers &= ~(1u << put);
        can->tx_fifo.put = (put + 1) % count;
    }
    start(can);
}

static void cancel(Fdcan *can, uint32_t buffers) {
    if (is_set(can, CCE)) {
        refuse("%s: TXBCR %x with CCE set", can->part->name, (unsigned)buffers);
    }
    buffers &= *reg(can, TXBRP);
    for (uint32_t i = 0; buffers >> i; i++) {
        if (buffers >> i & 1) {
            *reg(can, TXBCR) |= 1u << i;
            if (!can->sending || i != can->sent_buffer) {
                cancelled(can, i);
            }
        }
    }
}

// The bus ----------------------------------------------------------------------------------------

static bool listening(void *self) {
    const Fdcan *can = self;
    return can->part->tx && !is_set(can, INIT) && !can->sequences && !loops_back(can) &&
           function_selected(can->tx) && function_selected(can->rx);
}

static bool acknowledges(void *self) {
    return !is_set(self, MON);
}

static bool passive(void *self) {
    return *reg(self, PSR) & EP;
}

static bool offer(void *self, CanFrame *frame) {
    Fdcan *can = self;
    uint32_t index = 0;
    if (!next_buffer(can, &index)) {
        return false;
    }
    can->sending = true;
    can->sent_buffer = index;
    *frame = can->sent_frame = tx_frame(can, index);
    return true;
}

static void sent(void *self, const CanFrame *frame) {
    Fdcan *can = self;
    (void)frame;
    if (!can->sending) {
        return;  // software has left the bus in the middle
    }
    can->sending = false;
    can->tec -= can->tec > 0;
    set_lec(can, 0);
    succeed(can);
    update_state(can);
}

static void lost_arbitration(void *self, const CanFrame *frame) {
    Fdcan *can = self;
    (void)frame;
    can->sending = false;
    fail(can);
}

static void received(void *self, const CanFrame *frame) {
    Fdcan *can = self;
    if (!listening(can)) {
        return;
    }
    if (can->receive_passive) {
        can->receive_passive = false;  // ISO 11898-1: to a value from 119 to 127
        can->rec = 119;
    } else {
        can->rec -= can->rec > 0;
    }
    set_lec(can, 0);
    update_state(can);
    accept(can, frame);
}

static void error(void *self, bool transmitter, unsigned code) {
    Fdcan *can = self;
    if (!listening(can)) {
        return;
    }
    can->sending = false;
    set_lec(can, code);
    // A passive transmitter that only misses its acknowledgement does not count (exception A).
    bool exempt = transmitter && code == 3 && passive(can);
    if (transmitter) {
        fail(can);
    }
    raise(can, PEA);
    if (!exempt) {
        count_error(can, transmitter, transmitter ? 8 : 1);
    }
}

static bool counts(void *self) {
    const Fdcan *can = self;
    return can->part->tx && can->sequences;
}

static void recessive(void *self, unsigned bits) {
    Fdcan *can = self;
    (void)bits;
    if (*reg(can, PSR) & BO) {
        set_lec(can, BIT0_ERROR);
    }
    if (--can->sequences) {
        return;
    }
    if (*reg(can, PSR) & BO) {
        can->tec = can->rec = 0;
        can->receive_passive = false;
        trace("%s: back from bus-off", can->part->name);
        update_state(can);
    }
    can_bus_wake();
}

static void leave_bus(Fdcan *can) {
    *reg(can, CCCR) |= INIT;
    can->sequences = 0;
    can->sending = false;
    event_cancel(&can->loop_back);
    event_cancel(&can->wrap);
}

static void enter_bus(Fdcan *can) {
    if (!bit_ns(can)) {
        refuse("%s leaves INIT without a kernel clock", can->part->name);
    }
    count_from_zero(can);
    if (loops_back(can)) {
        start_loop_back(can);
        return;
    }
    if (*reg(can, TEST) & LBCK) {
        refuse("%s: external loop back", can->part->name);
    }
    if (!can->part->tx || !function_selected(can->tx) || !function_selected(can->rx)) {
        refuse("%s leaves INIT without its pins", can->part->name);
    }
    can->sequences = *reg(can, PSR) & BO ? 129 : 1;
    can_bus_wake();
}

// Registers --------------------------------------------------------------------------------------

// Setting CCE resets what belongs to frames (RM0440 44.3.3).
static void forget_frames(Fdcan *can) {
    static const Name names[] = {HPMS, TXBRP, TXBCR, TXBTO, TXBCF};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        *reg(can, names[i]) = 0;
    }
    memset(can->rx_fifo, 0, sizeof can->rx_fifo);
    can->tx_fifo = can->events = (Fifo){0};
}

static void write_cccr(Fdcan *can, uint32_t value) {
    uint32_t *control = reg(can, CCCR), was = *control, changed = was ^ value;
    bool open = was & CCE && was & INIT;
    if (changed & PROTECTED_BITS && !open) {
        refuse("write of %04x to %s.CCCR, which is %04x", (unsigned)value, can->part->name,
               (unsigned)was);
    }
    if (changed & value & SET_WITH_CCE && !open) {
        refuse("write of %04x to %s.CCCR, which is %04x", (unsigned)value, can->part->name,
               (unsigned)was);
    }
    if (changed & value & CCE && !(was & INIT)) {
        refuse("%s.CCCR.CCE is set without INIT", can->part->name);
    }
    if (!(value & INIT)) {
        value &= ~(uint32_t)CCE;
    }
    if (!(value & TESTING)) {
        *reg(can, TEST) &= ~(uint32_t)LBCK;
    }
    // A clock that is to stop: the bus is left, and the clock may stop at once.
    if (value & CSR) {
        value |= INIT | CSA;
    } else {
        value &= ~(uint32_t)CSA;
    }
    *control = value;
    if (changed & value & CCE) {
        forget_frames(can);
    }
    if (value & INIT && !(was & INIT)) {
        leave_bus(can);
    } else if (was & INIT && !(value & INIT)) {
        enter_bus(can);
    }
}

static bool is_protected(Name name) {
    switch (name) {
    case DBTP:
    case NBTP:
    case TSCC:
    case TDCR:
    case GFC:
    case SIDFC:
    case XIDFC:
    case XIDAM:
    case RXF0C:
    case RXF1C:
    case RXBC:
    case RXESC:
    case TXBC:
    case TXESC:
    case TXEFC:
    case CKDIV:
        return true;
    default:
        return false;
    }
}

static uint32_t read(void *self, uint32_t offset) {
    Fdcan *can = self;
    Name name = name_at(can, offset);
    switch (name) {
    case TEST:
        return *reg(can, TEST) | TEST_RX;
    case TSCV:
        return timestamp(can);
    case ECR:
        return read_ecr(can);
    case PSR:
        return read_psr(can);
    case IR:
        return part_interrupts(can, can->interrupts);
    case RXF0S:
    case RXF1S:
        return rx_status(can, name == RXF1S);
    case TXFQS:
        return tx_status(can);
    case TXEFS:
        return event_status(can);
    default:
        return *reg(can, name);
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    Fdcan *can = self;
    Name name = name_at(can, offset);
    uint32_t *kept = reg(can, name);
    unsigned fifo;
    (void)size;
    if (is_protected(name) && !is_set(can, CCE) && value != *kept) {
        refuse("write of %08x to %s+%03x without CCCR.CCE", (unsigned)value, can->part->name,
               (unsigned)offset);
    }
    switch (name) {
    case CCCR:
        write_cccr(can, value);
        return;
    case TEST:
        if (value & LBCK && !is_set(can, TESTING)) {
            refuse("%s.TEST.LBCK is set without CCCR.TEST", can->part->name);
        }
        *kept = value & LBCK;
        return;
    case TSCC:
        if ((value & 3) == 2) {
            refuse("%s.TSCC.TSS selects an external counter", can->part->name);
        }
        *kept = value;
        return;
    case TSCV:
        count_from_zero(can);
        return;
    case TXBC:
        if (can->part->kind == FDCAN_H7 && value >> 16 & 0x3f && value >> 24 & 0x3f) {
            refuse("%s.TXBC has dedicated buffers beside a FIFO or queue", can->part->name);
        }
        break;
    case IR:
        can->interrupts &= ~model_interrupts(can, value);
        update_lines(can);
        return;
    case RXF0A:
    case RXF1A:
        fifo = name == RXF1A;
        acknowledge(can, &can->rx_fifo[fifo], rx_section(can, fifo).count, value);
        break;
    case TXEFA:
        acknowledge(can, &can->events, event_section(can).count, value);
        break;
    case TXBAR:
        request(can, value);
        return;
    case TXBCR:
        cancel(can, value);
        return;
    default:
        break;
    }
    *kept = value;
    if (name == IE || name == ILS || name == ILE) {
        update_lines(can);
    }
}

static void reset(void *self, bool power_on) {
    Fdcan *can = self;
    (void)power_on;
    forget_frames(can);
    event_cancel(&can->loop_back);
    event_cancel(&can->wrap);
    can->interrupts = 0;
    can->tec = can->rec = can->sequences = 0;
    can->receive_passive = can->sending = false;
    update_lines(can);
}

#define COMMON \
    {0x00, "CREL", 0x32141218, 0, 0, 0}, \
    {0x04, "ENDN", 0x87654321, 0, 0, 0}, \
    {0x0c, "DBTP", 0x00000a33, 0x009f1fff, 0, 0}, \
    {0x10, "TEST", 0, LBCK, TEST_RX, 0}, /* HAL_FDCAN_Init reads and writes RX */ \
    {0x14, "RWD", 0, 0, 0, 0}, \
    {0x18, "CCCR", INIT, 0xf3f7, CSA, 0}, /* CSA: HAL_FDCAN_Stop reads and writes */ \
    {0x1c, "NBTP", 0x06000a03, 0xffffff7f, 0, 0}, \
    {0x20, "TSCC", 0, 0x000f0003, 0, 0}, \
    {0x24, "TSCV", 0, 0xffff, 0, 0}, \
    {0x28, "TOCC", 0xffff0000, 0, 0, 0}, \
    {0x2c, "TOCV", 0x0000ffff, 0, 0, 0}, \
    {0x40, "ECR", 0, 0, 0, 0}, \
    {0x44, "PSR", LEC | DLEC, 0, 0, 0}, \
    {0x48, "TDCR", 0, 0x7f7f, 0, 0}, \
    {0x5c, "ILE", 0, 3, 0, 0}

static const Register g4_registers[] = {
    COMMON,
    {0x50, "IR", 0, 0xffffff, 0, 0},
    {0x54, "IE", 0, 0xffffff, 0, 0},
    {0x58, "ILS", 0, 0x7f, 0, 0},
    {0x80, "RXGFC", 0, 0x0f1f033f, 0, 0},
    {0x84, "XIDAM", 0x1fffffff, 0x1fffffff, 0, 0},
    {0x88, "HPMS", 0, 0, 0, 0},
    {0x90, "RXF0S", 0, 0, 0, 0},
    {0x94, "RXF0A", 0, 7, 0, 0},
    {0x98, "RXF1S", 0, 0, 0, 0},
    {0x9c, "RXF1A", 0, 7, 0, 0},
    {0xc0, "TXBC", 0, 1 << 24, 0, 0},
    {0xc4, "TXFQS", 3, 0, 0, 0},
    {0xc8, "TXBRP", 0, 0, 0, 0},
    {0xcc, "TXBAR", 0, 7, 0, 0},
    {0xd0, "TXBCR", 0, 7, 0, 0},
    {0xd4, "TXBTO", 0, 0, 0, 0},
    {0xd8, "TXBCF", 0, 0, 0, 0},
    {0xdc, "TXBTIE", 0, 7, 0, 0},
    {0xe0, "TXBCIE", 0, 7, 0, 0},
    {0xe4, "TXEFS", 0, 0, 0, 0},
    {0xe8, "TXEFA", 0, 3, 0, 0},
    {0x100, "CKDIV", 0, 15, 0, 0},
    {0},
};

static const Register h7_registers[] = {
    COMMON,
    {0x50, "IR", 0, 0x3fcfffff, 0, 0},
    {0x54, "IE", 0, 0x3fcfffff, 0, 0},
    {0x58, "ILS", 0, 0x3fcfffff, 0, 0},
    {0x80, "GFC", 0, 0x3f, 0, 0},
    {0x84, "SIDFC", 0, 0x00fffffc, 0, 0},
    {0x88, "XIDFC", 0, 0x007ffffc, 0, 0},
    {0x90, "XIDAM", 0x1fffffff, 0x1fffffff, 0, 0},
    {0x94, "HPMS", 0, 0, 0, 0},
    // NDAT1 and NDAT2: HAL_FDCAN_Init of the H7 clears them
    {0x98, "NDAT", 0, UINT32_MAX, 0, 2},
    {0xa0, "RXF0C", 0, 0xff7ffffc, 0, 0},
    {0xa4, "RXF0S", 0, 0, 0, 0},
    {0xa8, "RXF0A", 0, 0x3f, 0, 0},
    {0xac, "RXBC", 0, 0xfffc, 0, 0},
    {0xb0, "RXF1C", 0, 0xff7ffffc, 0, 0},
    {0xb4, "RXF1S", 0, 0, 0, 0},
    {0xb8, "RXF1A", 0, 0x3f, 0, 0},
    {0xbc, "RXESC", 0, 0x777, 0, 0},
    {0xc0, "TXBC", 0, 0x7f3ffffc, 0, 0},
    {0xc4, "TXFQS", 0, 0, 0, 0},
    {0xc8, "TXESC", 0, 7, 0, 0},
    {0xcc, "TXBRP", 0, 0, 0, 0},
    {0xd0, "TXBAR", 0, UINT32_MAX, 0, 0},
    {0xd4, "TXBCR", 0, UINT32_MAX, 0, 0},
    {0xd8, "TXBTO", 0, 0, 0, 0},
    {0xdc, "TXBCF", 0, 0, 0, 0},
    {0xe0, "TXBTIE", 0, UINT32_MAX, 0, 0},
    {0xe4, "TXBCIE", 0, UINT32_MAX, 0, 0},
    {0xf0, "TXEFC", 0, 0x3f3ffffc, 0, 0},
    {0xf4, "TXEFS", 0, 0, 0, 0},
    {0xf8, "TXEFA", 0, 0x1f, 0, 0},
    // HAL_FDCAN_Init clears the mode of TTCAN, which is 0.
    {0x108, "TTOCF", 0x00010000, 0, 0, 0},
    {0},
};

static void write_ram(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self;
    if (size != 4) {
        refuse("write of %u bytes to the message RAM at +%03x", size, (unsigned)offset);
    }
    *device_value(&ram, offset) = value;
}

static void reset_ram(void *self, bool power_on) {
    (void)self;
    for (uint32_t offset = 0; power_on && offset < ram.span; offset += 4) {
        *device_value(&ram, offset) = machine_random();
    }
}

void fdcan_ram_add(uint32_t base, uint32_t words, Gate gate) {
    static Register registers[] = {{0, "RAM", .writable = UINT32_MAX}, {0}};
    registers[0].count = (uint16_t)words;
    ram = (Device){
        .name = "SRAMCAN", .base = base, .registers = registers, .write = write_ram,
        .reset = reset_ram, .narrow = true, .kept = true, .gate = gate,
    };
    device_add(&ram);
}

// HAL_FDCAN_IRQHandler asks for its interrupts.
void fdcan_calibration_add(uint32_t base, Gate gate) {
    static const Register registers[] = {
        {0x10, "IR", 0, 0, 0, 0}, {0x14, "IE", 0, 0, 0, 0}, {0},
    };
    static Device device;
    device = (Device){.name = "CCU", .base = base, .registers = registers, .gate = gate};
    device_add(&device);
}

void fdcan_add(const FdcanPart *part) {
    Fdcan *can = &controllers[controller_count++];
    can->part = part;
    can->device = (Device){
        .name = part->name, .base = part->base, .self = can, .read = read, .write = write,
        .registers = part->kind == FDCAN_G4 ? g4_registers : h7_registers, .reset = reset,
        .gate = part->gate,
    };
    can->loop_back = (Event){.fire = looped_back, .self = can};
    can->wrap = (Event){.fire = wrapped, .self = can};
    device_add(&can->device);
    if (part->tx) {
        can->tx = pin_function(part->tx, part->function, false);
        can->rx = pin_function(part->rx, part->function, false);
        can->station = (CanStation){
            .self = can, .name = part->name, .bit_ns = bit_ns, .listening = listening,
            .acknowledges = acknowledges, .passive = passive, .offer = offer, .sent = sent,
            .lost_arbitration = lost_arbitration, .received = received, .error = error,
            .counts = counts, .recessive = recessive,
        };
        can_bus_join(&can->station);
    }
}
