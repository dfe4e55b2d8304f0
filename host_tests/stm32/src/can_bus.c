// SPDX-License-Identifier: MIT
//
// A CAN bus: ISO 11898-1, classic frames; and the host on it, an adapter that speaks SLCAN
// (LAWICEL's ASCII protocol). A third station sends one frame again and again, if it is told to.
//
// The bus knows where a frame begins and ends, and no single bits: who has offered a frame when
// the bus falls idle takes part in the arbitration, all others receive. Each listening station
// hears at the end of the frame how it went, receivers one bit later than ISO 11898-1 says. An
// error frame takes 17 bits if all stations see the error at once, 23 if the flag of one is the
// error of the others. Not modelled: FD frames (refused), overload frames, the difference between
// a receiver that saw an error first and one that saw its flag, rounding of clocks that differ by
// less than one percent.

#include "can_bus.h"

#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define STATIONS 6
#define TAIL 13  // bits behind the CRC: delimiters, acknowledgement, end, intermission
#define INTERMISSION 3
#define SEQUENCE 11  // recessive bits that end a frame, or let a station come onto the bus
#define SUSPEND 8    // bits that a passive station leaves to others after its own frame
#define ERROR_AT_ONCE 17
#define ERROR_ANSWERED 23

enum { STUFF_ERROR = 1, FORM_ERROR, ACK_ERROR, RECESSIVE_BIT_ERROR };

static CanStation *stations;

static struct {
    bool busy;
    CanFrame frame;
    CanStation *senders[STATIONS], *receivers[STATIONS];
    unsigned sender_count, receiver_count;
    unsigned sender_error, receiver_error;  // 0: the frame was good
    CanStation *suspended[STATIONS];        // they may not send until `suspended_until`
    unsigned suspended_count;
    Time suspended_until, disturbed_until;
    Event end, idle, sequence;
} bus;

// Lengths ----------------------------------------------------------------------------------------

typedef struct {
    unsigned count, run, last, crc;
} Bits;

static void add_bit(Bits *bits, unsigned bit) {
    bits->count++;
    bits->run = bit == bits->last ? bits->run + 1 : 1;
    bits->last = bit;
    if (bits->run == 5) {
        bits->count++;
        bits->last = !bit;
        bits->run = 1;
    }
}

static void add_bits(Bits *bits, uint32_t value, unsigned count) {
    while (count-- > 0) {
        unsigned bit = value >> count & 1;
        add_bit(bits, bit);
        bits->crc = (bits->crc << 1 ^ ((bits->crc >> 14 ^ bit) & 1 ? 0x4599 : 0)) & 0x7fff;
    }
}

static unsigned data_bytes(const CanFrame *frame) {
    return frame->remote ? 0 : frame->dlc > 8 ? 8 : frame->dlc;
}

// The bits up to the CRC that a frame has with stuff bits, which ends with it.
static Bits stuffed(const CanFrame *frame) {
    Bits bits = {.last = 2};
    add_bits(&bits, 0, 1);
    if (frame->extended) {
        add_bits(&bits, frame->id >> 18 & 0x7ff, 11);
        add_bits(&bits, 3, 2);
        add_bits(&bits, frame->id & 0x3ffff, 18);
        add_bits(&bits, frame->remote, 1);
        add_bits(&bits, 0, 2);
    } else {
        add_bits(&bits, frame->id & 0x7ff, 11);
        add_bits(&bits, frame->remote, 1);
        add_bits(&bits, 0, 2);
    }
    add_bits(&bits, frame->dlc, 4);
    for (unsigned i = 0; i < data_bytes(frame); i++) {
        add_bits(&bits, frame->data[i], 8);
    }
    add_bits(&bits, bits.crc, 15);
    return bits;
}

unsigned can_frame_bits(const CanFrame *frame) {
    return stuffed(frame).count + TAIL;
}

// Arbitration ------------------------------------------------------------------------------------

// What stations compare bit by bit; the lower one wins.
static uint32_t rank(const CanFrame *frame) {
    if (frame->extended) {
        return (frame->id >> 18 & 0x7ff) << 21 | 3u << 19 | (frame->id & 0x3ffff) << 1 |
               frame->remote;
    }
    return (frame->id & 0x7ff) << 21 | (uint32_t)frame->remote << 20;
}

static bool same_bits(const CanFrame *one, const CanFrame *other) {
    return one->dlc == other->dlc && !memcmp(one->data, other->data, data_bytes(one));
}

static bool is_passive(const CanStation *station) {
    return station->passive && station->passive(station->self);
}

static bool is_suspended(const CanStation *station) {
    for (unsigned i = 0; i < bus.suspended_count && now() < bus.suspended_until; i++) {
        if (bus.suspended[i] == station) {
            return true;
        }
    }
    return false;
}

static bool other_rate(const CanStation *one, const CanStation *other) {
    uint32_t a = one->bit_ns(one->self), b = other->bit_ns(other->self);
    return (a > b ? a - b : b - a) * 100 > b;
}

static Time bits_of(const CanStation *station, unsigned count) {
    return count * station->bit_ns(station->self) * NS;
}

static void destroy(unsigned sender_error, unsigned receiver_error) {
    bus.sender_error = sender_error;
    bus.receiver_error = receiver_error;
}

// How the frame on the bus will go, and how many bits it takes.
static unsigned judge(bool collides) {
    unsigned acknowledged = 0, whole = can_frame_bits(&bus.frame);
    unsigned early = bus.frame.extended ? 39 : 19;  // bits up to the length, unstuffed
    const CanStation *sender = bus.senders[0];
    destroy(0, 0);
    if (now() < bus.disturbed_until || collides) {
        destroy(RECESSIVE_BIT_ERROR, STUFF_ERROR);
        return early + ERROR_ANSWERED;
    }
    for (unsigned i = 0; i < bus.receiver_count; i++) {
        CanStation *station = bus.receivers[i];
        bool fits = !other_rate(station, sender), acts = station->acknowledges(station->self);
        if (!fits && acts && !is_passive(station)) {
            destroy(RECESSIVE_BIT_ERROR, STUFF_ERROR);
            return early + ERROR_ANSWERED;
        }
        acknowledged += fits && acts;
    }
    if (!acknowledged && bus.sender_count == 1) {
        destroy(ACK_ERROR, FORM_ERROR);
        return whole - TAIL + 2 + ERROR_AT_ONCE;
    }
    return whole;
}

static void start_frame(void) {
    CanFrame offers[STATIONS];
    CanStation *offering[STATIONS];
    unsigned offer_count = 0, best = 0;
    bus.sender_count = bus.receiver_count = 0;
    for (CanStation *station = stations; station; station = station->next) {
        CanFrame *offer = &offers[offer_count];
        memset(offer, 0, sizeof *offer);
        if (!station->listening(station->self)) {
            continue;
        }
        if (!is_suspended(station) && station->offer(station->self, offer)) {
            if (offer->fd) {
                refuse("%s sends a CAN FD frame, which the bus does not model", station->name);
            }
            best = rank(offer) < rank(&offers[best]) ? offer_count : best;
            offering[offer_count++] = station;
        } else {
            bus.receivers[bus.receiver_count++] = station;
        }
    }
    if (!offer_count) {
        return;
    }
    bool collides = false;
    bus.frame = offers[best];
    for (unsigned i = 0; i < offer_count; i++) {
        if (rank(&offers[i]) == rank(&bus.frame)) {
            bus.senders[bus.sender_count++] = offering[i];
            collides |= !same_bits(&offers[i], &bus.frame);
        } else {
            bus.receivers[bus.receiver_count++] = offering[i];
            offering[i]->lost_arbitration(offering[i]->self, &offers[i]);
        }
    }
    bus.busy = true;
    event_cancel(&bus.idle);
    event_cancel(&bus.sequence);
    event_in(&bus.end, bits_of(bus.senders[0], judge(collides) - INTERMISSION));
}

// Time -------------------------------------------------------------------------------------------

static void tell_sequence(void) {
    bool dominant = now() < bus.disturbed_until;
    for (CanStation *station = stations; station; station = station->next) {
        if (!dominant && station->counts && station->counts(station->self)) {
            station->recessive(station->self, SEQUENCE);
        }
    }
}

// The next sequence of an idle bus, if somebody counts them. The bit time of the first who does.
static void watch_idle(void) {
    for (CanStation *station = stations; station; station = station->next) {
        if (!bus.sequence.armed && station->counts && station->counts(station->self)) {
            event_in(&bus.sequence, bits_of(station, SEQUENCE));
        }
    }
}

static void on_sequence(void *self) {
    (void)self;
    tell_sequence();
    watch_idle();
}

static void on_idle(void *self) {
    (void)self;
    bus.busy = false;
    start_frame();
    if (!bus.busy) {
        if (bus.suspended_count && now() < bus.suspended_until) {
            event_at(&bus.idle, bus.suspended_until);
        }
        watch_idle();
    }
}

static void on_end(void *self) {
    (void)self;
    CanStation *sender = bus.senders[0];
    CanFrame frame = bus.frame;
    event_in(&bus.idle, bits_of(sender, INTERMISSION));
    bus.suspended_count = 0;
    if (!sender->listening(sender->self)) {
        destroy(bus.sender_error, STUFF_ERROR);  // it was reset within the frame
    }
    unsigned error = bus.receiver_error ? bus.receiver_error : STUFF_ERROR;
    for (unsigned i = 0; i < bus.receiver_count; i++) {
        CanStation *station = bus.receivers[i];
        if (!station->listening(station->self)) {
            continue;
        }
        if (bus.receiver_error || other_rate(station, sender)) {
            station->error(station->self, false, error);
        } else {
            station->received(station->self, &frame);
        }
    }
    for (unsigned i = 0; i < bus.sender_count; i++) {
        CanStation *station = bus.senders[i];
        if (!station->listening(station->self)) {
            continue;
        }
        if (is_passive(station)) {
            bus.suspended[bus.suspended_count++] = station;
            bus.suspended_until = now() + bits_of(station, INTERMISSION + SUSPEND);
        }
        if (bus.sender_error) {
            station->error(station->self, true, bus.sender_error);
        } else {
            station->sent(station->self, &frame);
        }
    }
    tell_sequence();
}

void can_bus_wake(void) {
    // Not at once: what woke the bus is told of the start only when it has done.
    if (!bus.busy) {
        event_in(&bus.idle, 0);
    }
}

bool can_bus_busy(void) {
    return bus.busy;
}

static const char *disturb(void *self, const char *arguments) {
    (void)self;
    char *end;
    unsigned long long wait = strtoull(arguments, &end, 0);
    if (end == arguments || *end) {
        return "disturb TIME";
    }
    can_bus_disturb(now() + wait * NS);
    return NULL;
}

static unsigned frames_lost, flags_set;

void can_frame_lost(bool told) {
    frames_lost++;
    flags_set += !told;
}

static const char *lost(void *self, const char *arguments) {
    (void)self, (void)arguments;
    answer("%u %u", frames_lost, flags_set);
    return NULL;
}

void can_bus_join(CanStation *station) {
    unsigned count = 1;
    CanStation **at = &stations;
    for (; *at; at = &(*at)->next) {
        count++;
    }
    if (count > STATIONS) {
        refuse("the CAN bus has more than %d stations", STATIONS);
    }
    *at = station;
    bus.end.fire = on_end;
    bus.idle.fire = on_idle;
    bus.sequence.fire = on_sequence;
}

void can_bus_disturb(Time end) {
    bus.disturbed_until = end;
}

// The host ---------------------------------------------------------------------------------------

#define QUEUE 256  // frames that the adapter takes before it answers "full"
#define TEXT 32    // characters of a line: T, 8 digits, length, 16 digits
#define FULL '\a'

static struct {
    Line *line;
    char text[TEXT];
    unsigned length;
    bool open, listens_only, sending;
    uint32_t bit_ns;
    CanFrame queue[QUEUE];
    unsigned first, count;
} host;

static void put_text(const char *text) {
    while (*text) {
        line_put(host.line, (uint8_t)*text++);
    }
}

static void put_hex(uint32_t value, unsigned digits) {
    while (digits-- > 0) {
        line_put(host.line, (uint8_t)"0123456789ABCDEF"[value >> 4 * digits & 15]);
    }
}

static uint32_t host_bit_ns(void *self) {
    (void)self;
    return host.bit_ns;
}

static bool host_listening(void *self) {
    (void)self;
    return host.open;
}

static bool host_acknowledges(void *self) {
    (void)self;
    return host.open && !host.listens_only;
}

static bool host_offer(void *self, CanFrame *frame) {
    (void)self;
    if (!host.count) {
        return false;
    }
    *frame = host.queue[host.first];
    host.sending = true;
    return true;
}

static void host_sent(void *self, const CanFrame *frame) {
    (void)self;
    // Whoever closed the channel meanwhile has emptied the queue.
    if (host.sending) {
        host.first = (host.first + 1) % QUEUE;
        host.count--;
        put_text(frame->extended ? "Z\r" : "z\r");
    }
}

static void host_lost(void *self, const CanFrame *frame) {
    (void)self, (void)frame;
}

static void host_received(void *self, const CanFrame *frame) {
    (void)self;
    static const char kinds[2][2] = {{'t', 'r'}, {'T', 'R'}};
    line_put(host.line, (uint8_t)kinds[frame->extended][frame->remote]);
    put_hex(frame->id, frame->extended ? 8 : 3);
    put_hex(frame->dlc, 1);
    for (unsigned i = 0; i < data_bytes(frame); i++) {
        put_hex(frame->data[i], 2);
    }
    line_put(host.line, '\r');
}

// The adapter repeats what was destroyed, and is never off the bus.
static void host_error(void *self, bool transmitter, unsigned code) {
    (void)self, (void)transmitter, (void)code;
}

// The number in `count` hexadecimal digits; false: something else.
static bool take_hex(const char **text, unsigned count, uint32_t *value) {
    *value = 0;
    for (; count > 0; count--, (*text)++) {
        const char *digits = "0123456789abcdef";
        const char *digit = **text ? strchr(digits, **text | 0x20) : NULL;
        if (!digit) {
            return false;
        }
        *value = *value << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

static bool parse_frame(const char *text, CanFrame *frame) {
    *frame = (CanFrame){
        .extended = *text == 'T' || *text == 'R', .remote = *text == 'r' || *text == 'R',
    };
    uint32_t dlc, byte;
    text++;
    if (!take_hex(&text, frame->extended ? 8 : 3, &frame->id) || !take_hex(&text, 1, &dlc) ||
        frame->id >= (frame->extended ? 1u << 29 : 1u << 11)) {
        return false;
    }
    frame->dlc = (uint8_t)dlc;
    for (unsigned i = 0; i < data_bytes(frame); i++) {
        if (!take_hex(&text, 2, &byte)) {
            return false;
        }
        frame->data[i] = (uint8_t)byte;
    }
    return !*text;
}

static bool take_frame(const char *text) {
    CanFrame *frame = &host.queue[(host.first + host.count) % QUEUE];
    if (!host_acknowledges(NULL) || host.count == QUEUE || !parse_frame(text, frame)) {
        return false;
    }
    host.count++;
    can_bus_wake();
    return true;
}

static bool set_rate(char digit) {
    static const uint32_t bit_ns[] = {100000, 50000, 20000, 10000, 8000, 4000, 2000, 1333, 1000};
    if (host.open || digit < '0' || digit > '8') {
        return false;
    }
    host.bit_ns = bit_ns[digit - '0'];
    return true;
}

static bool open_channel(bool listens_only) {
    host.open = true;
    host.listens_only = listens_only;
    can_bus_wake();
    return true;
}

static bool close_channel(void) {
    host.open = host.sending = false;
    host.count = 0;
    return true;
}

static void take_line(void) {
    const char *text = host.text;
    bool done = false;
    if (*text && strchr("tTrR", *text)) {
        if (!take_frame(text)) {
            line_put(host.line, FULL);
        }
        return;  // the answer comes when the frame has left
    }
    if (*text == 'V') {
        put_text("V1010");
        done = true;
    } else if (*text == 'N') {
        put_text("NHSXE");
        done = true;
    } else if (*text == 'F') {
        put_text("F00");
        done = true;
    } else if (*text == 'S') {
        done = set_rate(text[1]);
    } else if (*text == 'O' || *text == 'L') {
        done = open_channel(*text == 'L');
    } else if (*text == 'C') {
        done = close_channel();
    } else {
        done = !*text;  // hosts send empty lines to end what stands in the buffer
    }
    line_put(host.line, done ? '\r' : FULL);
}

static void host_arrived(void *self) {
    (void)self;
    for (int byte; (byte = line_take(host.line)) >= 0;) {
        if (byte == '\r') {
            host.text[host.length] = 0;
            host.length = 0;
            take_line();
        } else {
            // Of a line that is too long the last character is overwritten: it is no frame.
            host.text[host.length] = (char)byte;
            host.length += host.length < TEXT - 1;
        }
    }
}

// A station that fills all idle time of the bus ----------------------------------------------------

static struct {
    CanFrame frame;
    bool on;
} filler;

static bool filler_offer(void *self, CanFrame *frame) {
    (void)self;
    *frame = filler.frame;
    return filler.on;
}

static bool filler_listening(void *self) {
    (void)self;
    return filler.on;
}

static void filler_ignore(void *self, const CanFrame *frame) {
    (void)self, (void)frame;
}

static const char *fill(void *self, const char *arguments) {
    (void)self;
    filler.on = strcmp(arguments, "off");
    if (filler.on && !parse_frame(arguments, &filler.frame)) {
        filler.on = false;
        return "fill FRAME, as SLCAN has it, or fill off";
    }
    can_bus_wake();
    return NULL;
}

void can_host_add(void) {
    static CanStation filling = {
        .name = "filler", .bit_ns = host_bit_ns, .listening = filler_listening,
        .acknowledges = filler_listening, .offer = filler_offer, .sent = filler_ignore,
        .lost_arbitration = filler_ignore, .received = filler_ignore, .error = host_error,
    };
    static CanStation station = {
        .name = "host", .bit_ns = host_bit_ns, .listening = host_listening,
        .acknowledges = host_acknowledges, .offer = host_offer, .sent = host_sent,
        .lost_arbitration = host_lost, .received = host_received, .error = host_error,
    };
    host.bit_ns = 2000;
    host.line = line_open("can", host_arrived, NULL);
    can_bus_join(&station);
    can_bus_join(&filling);
    command_add("disturb", disturb, NULL);
    command_add("fill", fill, NULL);
    command_add("lost", lost, NULL);
}
