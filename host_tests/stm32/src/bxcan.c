// SPDX-License-Identifier: MIT
//
// bxCAN: RM0090 chapter 32, RM0390 chapter 30; error counters as ISO 11898-1 12.1.4.
//
// Left out, and refused: time triggered communication (TTCM, TGT), automatic wake-up and the
// interrupt of a wake-up (AWUM, WKUIE), loop back to a bus that others are on (LBKM without SILM).
// The debug freeze (DBF) has no effect, as no debugger stops the core.
//
// A mode is acknowledged one bit time after its request, or at the end of the frame that is on the
// bus. A FIFO is released (RFOM) three clocks later, and before the next access of software to the
// controller, which takes as long.

#include "bxcan.h"

#include <string.h>

#define BOXES 3
#define DEPTH 3
#define BANKS 28
#define BUS_OFF_SEQUENCES 128
#define AF_CAN 9

enum {
    MCR = 0x00, MSR = 0x04, TSR = 0x08, RF0R = 0x0c, RF1R = 0x10, IER = 0x14, ESR = 0x18,
    BTR = 0x1c, TI0R = 0x180, TX_END = 0x1b0, RI0R = 0x1b0, RX_END = 0x1d0, FMR = 0x200,
    FM1R = 0x204, FS1R = 0x20c, FFA1R = 0x214, FA1R = 0x21c, F0R1 = 0x240,
    FILTERS_END = F0R1 + 8 * BANKS,
};
enum {
    INRQ = 1u << 0, SLEEP = 1u << 1, TXFP = 1u << 2, RFLM = 1u << 3, NART = 1u << 4,
    ABOM = 1u << 6, RESET = 1u << 15, DBF = 1u << 16,
    MCR_BITS = INRQ | SLEEP | TXFP | RFLM | NART | ABOM | DBF,
};
enum {
    INAK = 1u << 0, SLAK = 1u << 1, ERRI = 1u << 2, WKUI = 1u << 3, SLAKI = 1u << 4,
    TXM = 1u << 8, RXM = 1u << 9, SAMP = 1u << 10, RX = 1u << 11,
};
enum {  // of mailbox 0; the others' are 8 bits higher each
    RQCP = 1u << 0, TXOK = 1u << 1, ALST = 1u << 2, TERR = 1u << 3, ABRQ = 1u << 7,
    OUTCOME = RQCP | TXOK | ALST | TERR,
};
enum { FULL = 1u << 3, FOVR = 1u << 4, RFOM = 1u << 5 };
enum {
    TMEIE = 1u << 0, FMPIE0 = 1u << 1, FFIE0 = 1u << 2, FOVIE0 = 1u << 3, EWGIE = 1u << 8,
    EPVIE = 1u << 9, BOFIE = 1u << 10, LECIE = 1u << 11, ERRIE = 1u << 15, SLKIE = 1u << 17,
    IER_BITS = 0x7f | EWGIE | EPVIE | BOFIE | LECIE | ERRIE | SLKIE,
};
enum { EWGF = 1u << 0, EPVF = 1u << 1, BOFF = 1u << 2, LEC = 7u << 4 };
enum { SILM = 1u << 31, LBKM = 1u << 30 };
enum { TXRQ = 1u << 0, RTR = 1u << 1, IDE = 1u << 2 };

typedef struct {
    uint32_t id, length, low, high;  // as TIR, TDTR, TDLR, TDHR
} Box;

typedef struct {
    Box boxes[DEPTH];
    unsigned count;
    uint32_t flags;  // FULL, FOVR
    bool releasing;
} Fifo;

typedef struct Bxcan {
    BxcanPart part;
    Device device;
    CanStation station;
    Function *rx, *tx;
    uint32_t mcr, msr, ier, btr, lec;
    Box boxes[BOXES];
    uint32_t outcome[BOXES];  // RQCP, TXOK, ALST, TERR, ABRQ
    uint64_t asked[BOXES];    // the order of the requests
    uint64_t requests;
    int sending;  // the mailbox whose frame is on the bus; -1: none
    Fifo fifos[2];
    unsigned tec, rec;
    bool off, recovers;
    unsigned sequences;  // that are still to come until it is on the bus again
    bool synchronizes;   // waits for its first sequence after initialization or sleep
    Event mode, loop, releases;
} Bxcan;

static struct {
    uint32_t fmr, fm1r, fs1r, ffa1r, fa1r, banks[BANKS][2];
} filters;

static uint32_t without(uint32_t value, uint32_t bits) {
    return value & ~bits;
}

// Clock and interrupts ---------------------------------------------------------------------------

static uint32_t bit_ns(void *self) {
    const Bxcan *can = self;
    uint32_t quanta = 3 + (can->btr >> 16 & 15) + (can->btr >> 20 & 7);
    uint64_t clocks = (uint64_t)((can->btr & 0x3ff) + 1) * quanta;
    return (uint32_t)(clocks * 1000000000 / can->part.clock());
}

static void update_lines(const Bxcan *can) {
    uint32_t outcomes = can->outcome[0] | can->outcome[1] | can->outcome[2];
    irq_line(can->part.irq_tx, can->ier & TMEIE && outcomes & RQCP);
    for (unsigned i = 0; i < 2; i++) {
        const Fifo *fifo = &can->fifos[i];
        uint32_t enabled = can->ier >> 3 * i;
        irq_line(
            i ? can->part.irq_rx1 : can->part.irq_rx0,
            (enabled & FMPIE0 && fifo->count) || (enabled & FFIE0 && fifo->flags & FULL) ||
                (enabled & FOVIE0 && fifo->flags & FOVR)
        );
    }
    irq_line(
        can->part.irq_sce,
        (can->ier & ERRIE && can->msr & ERRI) || (can->ier & SLKIE && can->msr & SLAKI)
    );
}

// Errors -----------------------------------------------------------------------------------------

static uint32_t error_flags(const Bxcan *can) {
    return (can->tec >= 96 || can->rec >= 96 ? EWGF : 0) |
           (can->tec > 127 || can->rec > 127 ? EPVF : 0) | (can->off ? BOFF : 0);
}

static void error_happened(Bxcan *can, uint32_t flags_before, unsigned code) {
    uint32_t set = error_flags(can) & ~flags_before;
    can->lec = code;
    if ((set & EWGF && can->ier & EWGIE) || (set & EPVF && can->ier & EPVIE) ||
        (set & BOFF && can->ier & BOFIE) || (code && can->ier & LECIE)) {
        can->msr |= ERRI;
    }
    update_lines(can);
}

static void go_off(Bxcan *can) {
    can->off = true;
    can->recovers = can->mcr & ABOM;
    can->sequences = BUS_OFF_SEQUENCES;
}

// Modes ------------------------------------------------------------------------------------------

static bool is_running(const Bxcan *can) {
    return !(can->msr & (INAK | SLAK)) && !can->synchronizes;
}

static bool is_isolated(const Bxcan *can) {
    return can->btr & SILM && can->btr & LBKM;
}

static void loop_next(Bxcan *can);

static void enter_mode(void *self) {
    Bxcan *can = self;
    if (is_running(can) && (can_bus_busy() || can->sending >= 0)) {
        event_in(&can->mode, bit_ns(can) * NS);
    } else if (can->mcr & SLEEP) {
        can->msr = without(can->msr, INAK) | SLAK | (can->ier & SLKIE ? SLAKI : 0);
        can->synchronizes = false;
    } else if (can->mcr & INRQ) {
        can->msr = without(can->msr, SLAK | SLAKI) | INAK;
        can->synchronizes = false;
    } else if (can->msr & (INAK | SLAK)) {
        if (can->btr & LBKM && !(can->btr & SILM)) {
            refuse("%s: loop back to the bus (LBKM without SILM) is not modelled",
                   can->part.name);
        }
        if (!is_isolated(can) && !function_selected(can->rx)) {
            refuse("%s leaves initialization, but %s is not its pin", can->part.name,
                   can->part.rx);
        }
        can->synchronizes = true;
        if (is_isolated(can)) {
            // What it receives of itself is recessive.
            can->msr = without(can->msr, INAK | SLAK | SLAKI);
            can->synchronizes = false;
            loop_next(can);
        } else {
            can_bus_wake();
        }
    }
    update_lines(can);
}

static void mode_asked(Bxcan *can) {
    uint32_t wanted = can->mcr & SLEEP ? SLAK : can->mcr & INRQ ? INAK : 0;
    bool there = (can->msr & (INAK | SLAK)) == wanted && !(wanted && can->synchronizes);
    if (there) {
        event_cancel(&can->mode);
    } else {
        event_in(&can->mode, bit_ns(can) * NS);
    }
}

static bool counts(void *self) {
    const Bxcan *can = self;
    return can->synchronizes || (can->off && can->recovers && is_running(can));
}

static void recessive(void *self, unsigned bits) {
    (void)bits;
    Bxcan *can = self;
    if (can->synchronizes) {
        can->synchronizes = false;
        can->msr = without(can->msr, INAK | SLAK | SLAKI);
        if (can->off) {
            can->recovers = true;
            can->sequences = BUS_OFF_SEQUENCES;
        }
        can_bus_wake();
    } else if (--can->sequences == 0) {
        can->off = can->recovers = false;
        can->tec = can->rec = 0;
        can_bus_wake();
    }
}

// Sending ----------------------------------------------------------------------------------------

static uint32_t rank(const Box *box) {
    if (box->id & IDE) {
        return (box->id >> 21) << 21 | 3u << 19 | (box->id >> 3 & 0x3ffff) << 1 |
               (box->id >> 1 & 1);
    }
    return (box->id >> 21) << 21 | (box->id >> 1 & 1) << 20;
}

static bool is_pending(const Bxcan *can, unsigned i) {
    return can->boxes[i].id & TXRQ;
}

static bool goes_before(const Bxcan *can, unsigned one, unsigned other) {
    if (can->mcr & TXFP) {
        return can->asked[one] < can->asked[other];
    }
    return rank(&can->boxes[one]) < rank(&can->boxes[other]);
}

// The pending mailbox that is first, or last; -1: none.
static int pick(const Bxcan *can, bool last) {
    int best = -1;
    for (unsigned i = 0; i < BOXES; i++) {
        if (is_pending(can, i) &&
            (best < 0 || (last ? !goes_before(can, i, (unsigned)best)
                               : goes_before(can, i, (unsigned)best)))) {
            best = (int)i;
        }
    }
    return best;
}

static void empty(Bxcan *can, unsigned i, uint32_t outcome) {
    can->boxes[i].id = without(can->boxes[i].id, TXRQ);
    can->outcome[i] = RQCP | outcome;
    update_lines(can);
}

static void failed(Bxcan *can, uint32_t outcome) {
    unsigned i = (unsigned)can->sending;
    can->sending = -1;
    if (can->mcr & NART || can->outcome[i] & ABRQ) {
        empty(can, i, outcome);
    } else {
        can->outcome[i] |= outcome;
    }
}

static void box_to_frame(const Box *box, CanFrame *frame) {
    *frame = (CanFrame){
        .extended = box->id & IDE, .remote = box->id & RTR, .dlc = box->length & 15,
        .id = box->id & IDE ? box->id >> 3 : box->id >> 21,
    };
    memcpy(frame->data, &box->low, 4);
    memcpy(frame->data + 4, &box->high, 4);
}

static bool offer(void *self, CanFrame *frame) {
    Bxcan *can = self;
    int first = pick(can, false);
    bool leaves = can->mcr & (SLEEP | INRQ);
    if (first < 0 || leaves || can->btr & SILM || !function_selected(can->tx)) {
        return false;
    }
    can->sending = first;
    can->outcome[first] = without(can->outcome[first], TXOK | ALST | TERR);
    box_to_frame(&can->boxes[first], frame);
    return true;
}

static void sent(void *self, const CanFrame *frame) {
    (void)frame;
    Bxcan *can = self;
    uint32_t before = error_flags(can);
    unsigned i = (unsigned)can->sending;
    can->sending = -1;
    can->tec -= can->tec > 0;
    empty(can, i, TXOK);
    error_happened(can, before, 0);
}

static void lost_arbitration(void *self, const CanFrame *frame) {
    (void)frame;
    failed(self, ALST);
}

static void error(void *self, bool transmitter, unsigned code) {
    enum { ACK_ERROR = 3 };
    Bxcan *can = self;
    uint32_t before = error_flags(can);
    if (transmitter) {
        // A passive station that nobody acknowledges may be alone: it stays on the bus.
        bool alone = code == ACK_ERROR && before & EPVF;
        can->tec += alone ? 0 : 8;
        failed(can, TERR);
        if (can->tec > 255) {
            go_off(can);
        }
    } else {
        can->rec += can->rec < 255;
    }
    error_happened(can, before, code);
}

// Receiving --------------------------------------------------------------------------------------

static unsigned filters_of(unsigned bank) {
    bool list = filters.fm1r >> bank & 1, wide = filters.fs1r >> bank & 1;
    return (wide ? 1u : 2u) << list;
}

// Which filter of the bank takes the identifier; -1: none.
static int match_bank(unsigned bank, uint32_t id) {
    const uint32_t *words = filters.banks[bank];
    bool list = filters.fm1r >> bank & 1;
    if (filters.fs1r >> bank & 1) {
        if (list) {
            return id == words[0] ? 0 : id == words[1] ? 1 : -1;
        }
        return (id ^ words[0]) & words[1] ? -1 : 0;
    }
    uint32_t half = (id >> 21) << 5 | (id & RTR) << 3 | (id & IDE) << 1 | (id >> 18 & 7);
    for (int i = 0; i < 2; i++) {
        uint32_t low = words[i] & 0xffff, high = words[i] >> 16;
        if (list && (half == low || half == high)) {
            return 2 * i + (half != low);
        }
        if (!list && !((half ^ low) & high)) {
            return i;
        }
    }
    return -1;
}

// The FIFO that takes the identifier, and its filter's number there; -1: no filter does. Wide
// filters go before narrow ones, lists before masks, then the lower number.
static int match(const Bxcan *can, uint32_t id, uint32_t *index) {
    unsigned split = filters.fmr >> 8 & 0x3f, first = can->part.number ? split : 0;
    unsigned end = can->part.number || split > BANKS ? BANKS : split;
    unsigned numbers[2] = {0, 0};
    int fifo = -1, best = -1;
    for (unsigned bank = first; bank < end; bank++) {
        unsigned to = filters.ffa1r >> bank & 1;
        int kind = (int)(2 * (filters.fs1r >> bank & 1) + (filters.fm1r >> bank & 1));
        int at = filters.fa1r >> bank & 1 ? match_bank(bank, id) : -1;
        if (at >= 0 && kind > best) {
            best = kind;
            fifo = (int)to;
            *index = numbers[to] + (unsigned)at;
        }
        numbers[to] += filters_of(bank);
    }
    return fifo;
}

static void store(Bxcan *can, const Box *box) {
    uint32_t index = 0;
    int which = filters.fmr & 1 ? -1 : match(can, box->id, &index);
    if (which < 0) {
        return;
    }
    Fifo *fifo = &can->fifos[which];
    unsigned at = fifo->count;
    if (fifo->count < DEPTH) {
        fifo->count++;
        fifo->flags |= fifo->count == DEPTH ? FULL : 0;
    } else {
        can_frame_lost(fifo->flags & FOVR);
        fifo->flags |= FOVR;
        if (can->mcr & RFLM) {
            return;
        }
        at = DEPTH - 1;
    }
    fifo->boxes[at] = *box;
    fifo->boxes[at].length = (box->length & 15) | index << 8;
}

static void received(void *self, const CanFrame *frame) {
    Bxcan *can = self;
    uint32_t before = error_flags(can);
    Box box = {
        .id = (frame->extended ? frame->id << 3 | IDE : frame->id << 21) |
              (frame->remote ? RTR : 0),
        .length = frame->dlc,
    };
    memcpy(&box.low, frame->data, 4);
    memcpy(&box.high, frame->data + 4, 4);
    can->rec = can->rec > 127 ? 127 : can->rec - (can->rec > 0);
    store(can, &box);
    error_happened(can, before, 0);
}

static void release(void *self) {
    Bxcan *can = self;
    for (unsigned i = 0; i < 2; i++) {
        Fifo *fifo = &can->fifos[i];
        if (fifo->releasing && fifo->count > 0) {
            fifo->count--;
            memmove(&fifo->boxes[0], &fifo->boxes[1], sizeof(Box) * (DEPTH - 1));
        }
        fifo->releasing = false;
    }
    update_lines(can);
}

// Loop back --------------------------------------------------------------------------------------

static void loop_next(Bxcan *can) {
    int first = pick(can, false);
    if (is_isolated(can) && is_running(can) && can->sending < 0 && first >= 0) {
        CanFrame frame;
        box_to_frame(&can->boxes[first], &frame);
        can->sending = first;
        event_in(&can->loop, can_frame_bits(&frame) * bit_ns(can) * NS);
    }
}

static void loop_sent(void *self) {
    Bxcan *can = self;
    Box box = can->boxes[can->sending];
    box.id = without(box.id, TXRQ);
    store(can, &box);
    sent(can, NULL);
    loop_next(can);
}

// The bus ----------------------------------------------------------------------------------------

static bool listening(void *self) {
    const Bxcan *can = self;
    return is_running(can) && !can->off && !is_isolated(can) &&
           function_selected(can->rx);
}

static bool acknowledges(void *self) {
    const Bxcan *can = self;
    return listening(self) && !(can->btr & SILM) && function_selected(can->tx);
}

static bool passive(void *self) {
    return error_flags(self) & EPVF;
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read_tsr(const Bxcan *can) {
    uint32_t value = 0, pending = 0;
    for (unsigned i = 0; i < BOXES; i++) {
        value |= can->outcome[i] << 8 * i;
        value |= is_pending(can, i) ? 0 : 1u << (26 + i);
        pending += is_pending(can, i);
    }
    int last = pick(can, true);
    if (pending > 1) {
        value |= 1u << (29 + last);
    }
    if (pending == BOXES) {
        return value | (uint32_t)last << 24;
    }
    uint32_t code = 0;
    while (is_pending(can, code)) {
        code++;
    }
    return value | code << 24;
}

static uint32_t read_msr(Bxcan *can) {
    uint32_t value = can->msr | SAMP | RX;
    if (can->sending >= 0) {
        value |= TXM;
    } else if (listening(can) && can_bus_busy()) {
        value |= RXM;
    }
    return value;
}

static uint32_t *box_word(Box *boxes, uint32_t offset) {
    Box *box = &boxes[offset / 16];
    uint32_t *const words[] = {&box->id, &box->length, &box->low, &box->high};
    return words[offset / 4 % 4];
}

static uint32_t *filter_word(uint32_t offset) {
    switch (offset) {
        case FMR: return &filters.fmr;
        case FM1R: return &filters.fm1r;
        case FS1R: return &filters.fs1r;
        case FFA1R: return &filters.ffa1r;
        case FA1R: return &filters.fa1r;
    }
    return &filters.banks[(offset - F0R1) / 8][offset / 4 % 2];
}

static uint32_t read(void *self, uint32_t offset) {
    Bxcan *can = self;
    release(can);
    if (offset >= FMR) {
        return *filter_word(offset);
    }
    if (offset >= RI0R) {
        return *box_word(can->fifos[(offset - RI0R) / 16].boxes, offset % 16);
    }
    if (offset >= TI0R) {
        return *box_word(can->boxes, offset - TI0R);
    }
    switch (offset) {
        case MCR: return can->mcr;
        case MSR: return read_msr(can);
        case TSR: return read_tsr(can);
        case RF0R: return can->fifos[0].count | can->fifos[0].flags;
        case RF1R: return can->fifos[1].count | can->fifos[1].flags;
        case IER: return can->ier;
        case ESR:
            return error_flags(can) | can->lec << 4 | (can->tec & 0xff) << 16 | can->rec << 24;
    }
    return can->btr;
}

static void reset(void *self, bool power_on) {
    Bxcan *can = self;
    (void)power_on;
    event_cancel(&can->mode);
    event_cancel(&can->loop);
    event_cancel(&can->releases);
    can->mcr = DBF | SLEEP;
    can->msr = SLAK;
    can->ier = can->lec = 0;
    can->btr = 0x01230000;
    can->sending = -1;
    can->tec = can->rec = 0;
    can->off = can->recovers = can->synchronizes = false;
    memset(can->boxes, 0, sizeof can->boxes);
    memset(can->outcome, 0, sizeof can->outcome);
    memset(can->fifos, 0, sizeof can->fifos);
    if (can->part.number == 0) {
        memset(&filters, 0, sizeof filters);
        filters.fmr = 0x2a1c0e01;
    }
    update_lines(can);
}

static void write_mcr(Bxcan *can, uint32_t value) {
    if (value & RESET) {
        // The master reset: sleep, empty FIFOs, MCR as after a reset.
        can->mcr = DBF | SLEEP;
        memset(can->fifos, 0, sizeof can->fifos);
    } else {
        can->mcr = value & MCR_BITS;
    }
    mode_asked(can);
    update_lines(can);
}

static void write_tsr(Bxcan *can, uint32_t value) {
    for (unsigned i = 0; i < BOXES; i++, value >>= 8) {
        if (value & RQCP) {
            can->outcome[i] = without(can->outcome[i], OUTCOME);
        }
        can->outcome[i] = without(can->outcome[i], value & OUTCOME);
        if (value & ABRQ && is_pending(can, i)) {
            can->outcome[i] |= ABRQ;
            if (can->sending != (int)i) {
                empty(can, i, 0);
            }
        }
    }
    update_lines(can);
}

static void write_box(Bxcan *can, uint32_t offset, uint32_t value) {
    unsigned i = (offset - TI0R) / 16;
    if (is_pending(can, i)) {
        refuse("%s: write to mailbox %u, which is pending", can->part.name, i);
    }
    *box_word(can->boxes, offset - TI0R) = value;
    if (offset % 16 == 0 && value & TXRQ) {
        can->outcome[i] = 0;
        can->asked[i] = ++can->requests;
        update_lines(can);
        if (is_isolated(can)) {
            loop_next(can);
        } else {
            can_bus_wake();
        }
    }
}

static void write_filter(Bxcan *can, uint32_t offset, uint32_t value) {
    bool initializes = filters.fmr & 1;
    uint32_t *word = filter_word(offset);
    if (can->part.number) {
        refuse("%s has no filters of its own: they are CAN1's", can->part.name);
    }
    bool may = initializes || offset == FMR || offset == FA1R ||
               (offset >= F0R1 && !(filters.fa1r >> (offset - F0R1) / 8 & 1));
    if (!may && value != *word) {
        refuse("%s: write to filter register %03x while FINIT is 0", can->part.name,
               (unsigned)offset);
    }
    *word = offset == FMR ? (value & 0x3f01) | (filters.fmr & 0xffffc0fe) : value;
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    Bxcan *can = self;
    if (size != 4) {
        refuse("%s: write of %u bytes, its registers are words", can->part.name, size);
    }
    release(can);
    if (offset >= FMR) {
        write_filter(can, offset, value);
        return;
    }
    if (offset >= TI0R) {
        write_box(can, offset, value);
        return;
    }
    switch (offset) {
        case MCR:
            write_mcr(can, value);
            return;
        case MSR:
            can->msr &= ~(value & (ERRI | WKUI | SLAKI));
            break;
        case TSR:
            write_tsr(can, value);
            break;
        case RF0R:
        case RF1R:
            can->fifos[offset == RF1R].flags &= ~(value & (FULL | FOVR));
            if (value & RFOM) {
                can->fifos[offset == RF1R].releasing = true;
                event_in(&can->releases, 3 * (SEC / can->part.clock()));
            }
            break;
        case IER:
            can->ier = value;
            break;
        case ESR:
            can->lec = value >> 4 & 7;
            break;
        default:
            if (!(can->msr & INAK)) {
                refuse("%s: write to BTR outside of initialization", can->part.name);
            }
            can->btr = value;
    }
    update_lines(can);
}

void bxcan_add(const BxcanPart *part) {
    static const Register registers[] = {
        {MCR, "MCR", 0x00010002, MCR_BITS | RESET, 0, 0},
        {MSR, "MSR", 0x00000c02, ERRI | WKUI | SLAKI, 0xf03, 0},
        {TSR, "TSR", 0x1c000000, 0x008f8f8f, 0xff000000, 0},
        // MSR, TSR: flags are cleared by writing the flag alone, as can.c does.
        // RF0R, RF1R: FMP is read-only, but can_receive of MicroPython writes back what it reads.
        {RF0R, "RF0R", 0, FULL | FOVR | RFOM, 3, 2},
        {IER, "IER", 0, IER_BITS, 0, 0},
        {ESR, "ESR", 0, LEC, 0, 0},
        {BTR, "BTR", 0x01230000, 0xc37f03ff, 0, 0},
        {TI0R, "TI0R", 0, UINT32_MAX, 0, 1},
        {TI0R + 4, "TDT0R", 0, 15, 0, 1},
        {TI0R + 8, "TDL0R", 0, UINT32_MAX, 0, 2},
        {TI0R + 16, "TI1R", 0, UINT32_MAX, 0, 1},
        {TI0R + 20, "TDT1R", 0, 15, 0, 1},
        {TI0R + 24, "TDL1R", 0, UINT32_MAX, 0, 2},
        {TI0R + 32, "TI2R", 0, UINT32_MAX, 0, 1},
        {TI0R + 36, "TDT2R", 0, 15, 0, 1},
        {TI0R + 40, "TDL2R", 0, UINT32_MAX, 0, 2},
        {RI0R, "RI0R", 0, 0, 0, 8},
        {FMR, "FMR", 0x2a1c0e01, 0x3f01, 0, 0},
        {FM1R, "FM1R", 0, 0x0fffffff, 0, 0},
        {FS1R, "FS1R", 0, 0x0fffffff, 0, 0},
        {FFA1R, "FFA1R", 0, 0x0fffffff, 0, 0},
        {FA1R, "FA1R", 0, 0x0fffffff, 0, 0},
        {F0R1, "FR", 0, UINT32_MAX, 0, 2 * BANKS},
        {.name = NULL},
    };
    static Bxcan controllers[2];
    Bxcan *can = &controllers[part->number];
    can->part = *part;
    can->rx = pin_function(part->rx, AF_CAN, false);
    can->tx = pin_function(part->tx, AF_CAN, false);
    can->mode = (Event){.fire = enter_mode, .self = can};
    can->loop = (Event){.fire = loop_sent, .self = can};
    can->releases = (Event){.fire = release, .self = can};
    can->device = (Device){
        .name = part->name, .base = part->base, .registers = registers, .self = can,
        .read = read, .write = write, .reset = reset, .narrow = true, .gate = part->gate,
        // pyb_can.c clears the filters before it enables the clock.
        .silent_without_clock = true,
    };
    can->station = (CanStation){
        .self = can, .name = part->name, .bit_ns = bit_ns, .listening = listening,
        .acknowledges = acknowledges, .passive = passive, .offer = offer, .sent = sent,
        .lost_arbitration = lost_arbitration, .received = received, .error = error,
        .counts = counts, .recessive = recessive,
    };
    device_add(&can->device);
    can_bus_join(&can->station);
}
