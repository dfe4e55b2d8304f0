// SPDX-License-Identifier: MIT
//
// DMA of the F4: RM0090 chapter 10, RM0390 chapter 9, as SDIO needs it: words between a peripheral
// that controls the flow and memory, through the FIFO.
//
// A stream moves the words of a request at once: memory and the bus are faster than any peripheral
// here. Left out, and refused: the direct mode, other widths than words, flow control by the DMA,
// memory to memory, circular and double buffer mode. A burst that would cross a boundary of 1 KiB
// is refused, as the manual says that the bus then has an error which nobody reports.

#include "dma_f4.h"

#include <string.h>

#define FIFO_WORDS 4

enum { LISR = 0x00, HISR = 0x04, LIFCR = 0x08, HIFCR = 0x0c, STREAMS = 0x10, STREAM_SIZE = 0x18 };
enum { CR = 0x00, NDTR = 0x04, PAR = 0x08, M0AR = 0x0c, M1AR = 0x10, FCR = 0x14 };
enum {
    EN = 1 << 0, DMEIE = 1 << 1, TEIE = 1 << 2, HTIE = 1 << 3, TCIE = 1 << 4, PFCTRL = 1 << 5,
    TO_PERIPHERAL = 1 << 6, MINC = 1 << 10, WORDS = 2 << 11 | 2 << 13,
    MBURST = 3 << 23, MBURST_4 = 1 << 23, CHANNEL = 7 << 25,
    INTERRUPTS = DMEIE | TEIE | HTIE | TCIE,
    // What is fixed here: the direction's upper bit, CIRC, PINC, the sizes, DBM, CT.
    FIXED = PFCTRL | 1 << 7 | 1 << 8 | 1 << 9 | MINC | 0xf << 11 | 3 << 18,
};
enum { DMDIS = 1 << 2, FTH = 3, FTH_FULL = 3, FEIE = 1 << 7, FS_EMPTY = 4 << 3 };
enum { FEIF = 1 << 0, DMEIF = 1 << 2, TEIF = 1 << 3, HTIF = 1 << 4, TCIF = 1 << 5 };

typedef struct {
    uint32_t cr, ndtr, par, m0ar, m1ar, fcr, flags;
    uint32_t at;  // in memory
    uint32_t fifo[FIFO_WORDS];
    unsigned count;
} Stream;

typedef struct {
    DmaF4Part part;
    Device device;
    Stream streams[DMA_STREAMS];
} Dma;

static Dma controllers[2];

static uint32_t without(uint32_t value, uint32_t bits) {
    return value & ~bits;
}

static unsigned flags_shift(unsigned stream) {
    static const unsigned shifts[] = {0, 6, 16, 22};
    return shifts[stream % 4];
}

static void update_line(const Dma *dma, unsigned i) {
    const Stream *stream = &dma->streams[i];
    irq_line(
        dma->part.irqs[i],
        (stream->flags & TCIF && stream->cr & TCIE) ||
            (stream->flags & HTIF && stream->cr & HTIE) ||
            (stream->flags & TEIF && stream->cr & TEIE) ||
            (stream->flags & DMEIF && stream->cr & DMEIE) ||
            (stream->flags & FEIF && stream->fcr & FEIE)
    );
}

static void end(Dma *dma, Stream *stream) {
    stream->cr = without(stream->cr, EN);
    stream->flags |= TCIF;
    stream->count = 0;
    update_line(dma, (unsigned)(stream - dma->streams));
}

static void start(Dma *dma, unsigned i) {
    Stream *stream = &dma->streams[i];
    const char *name = dma->part.name;
    if ((stream->cr & FIXED) != (PFCTRL | MINC | WORDS) || !(stream->fcr & DMDIS)) {
        refuse("%s stream %u: CR %08x FCR %08x is not modelled", name, i, (unsigned)stream->cr,
               (unsigned)stream->fcr);
    }
    uint32_t burst = stream->cr & MBURST;
    if (burst > MBURST_4 || (burst && (stream->fcr & FTH) != FTH_FULL)) {
        refuse("%s stream %u: a burst does not fit the threshold of the FIFO", name, i);
    }
    if (stream->flags) {
        refuse("%s stream %u is enabled, but its flags %02x are set", name, i,
               (unsigned)stream->flags);
    }
    if (stream->m0ar % 4 || stream->par % 4) {
        refuse("%s stream %u: addresses %08x and %08x are not of words", name, i,
               (unsigned)stream->m0ar, (unsigned)stream->par);
    }
    stream->at = stream->m0ar;
    stream->ndtr = 0xffff;
    stream->count = 0;
}

// What is next in memory, for one burst of the FIFO.
static void move(Dma *dma, Stream *stream, unsigned words) {
    uint32_t size = 4 * words;
    if (words > 1 && stream->cr & MBURST && stream->at / 1024 != (stream->at + size - 1) / 1024) {
        refuse("%s: a burst at %08x crosses a boundary of 1 KiB", dma->part.name,
               (unsigned)stream->at);
    }
    if (stream->cr & TO_PERIPHERAL) {
        memory_read(stream->at, stream->fifo, size);
    } else {
        memory_write(stream->at, stream->fifo, size);
    }
    stream->at += size;
}

static void take(Dma *dma, Stream *stream, const DmaRequest *request, unsigned words, bool last) {
    for (; words > 0; words--) {
        stream->fifo[stream->count++] = request->read(request->self);
        stream->ndtr--;
        if (stream->count == FIFO_WORDS) {
            move(dma, stream, FIFO_WORDS);
            stream->count = 0;
        }
    }
    if (last) {
        for (unsigned i = 0; i < stream->count; i++) {
            stream->fifo[0] = stream->fifo[i];
            move(dma, stream, 1);
        }
        end(dma, stream);
    }
}

static void give(Dma *dma, Stream *stream, const DmaRequest *request, unsigned words, bool last) {
    while (words > 0) {
        unsigned burst = words < FIFO_WORDS ? words : FIFO_WORDS;
        move(dma, stream, burst);
        for (unsigned i = 0; i < burst; i++) {
            request->write(request->self, stream->fifo[i]);
        }
        stream->ndtr -= burst;
        words -= burst;
    }
    if (last) {
        end(dma, stream);
    }
}

void dma_f4_request(const DmaRequest *request, bool to_memory, unsigned words, bool last) {
    Dma *dma = &controllers[request->controller - 1];
    for (unsigned i = 0; i < DMA_STREAMS; i++) {
        Stream *stream = &dma->streams[i];
        bool fits = (stream->cr & CHANNEL) >> 25 == request->channel &&
                    !(stream->cr & TO_PERIPHERAL) == to_memory;
        if (!(stream->cr & EN) || !fits) {
            continue;
        }
        if (stream->par != request->address) {
            refuse("%s stream %u: PAR is %08x, and not the data register %08x", dma->part.name, i,
                   (unsigned)stream->par, (unsigned)request->address);
        }
        if (to_memory) {
            take(dma, stream, request, words, last);
        } else {
            give(dma, stream, request, words, last);
        }
        return;
    }
}

// Registers --------------------------------------------------------------------------------------

static uint32_t *stream_word(Stream *stream, uint32_t offset) {
    switch (offset) {
        case CR: return &stream->cr;
        case NDTR: return &stream->ndtr;
        case PAR: return &stream->par;
        case M0AR: return &stream->m0ar;
        case M1AR: return &stream->m1ar;
    }
    return &stream->fcr;
}

static uint32_t read(void *self, uint32_t offset) {
    Dma *dma = self;
    uint32_t value = 0;
    if (offset >= STREAMS) {
        offset -= STREAMS;
        return *stream_word(&dma->streams[offset / STREAM_SIZE], offset % STREAM_SIZE);
    }
    for (unsigned i = 0; i < 4 && offset <= HISR; i++) {
        value |= dma->streams[offset + i].flags << flags_shift(i);
    }
    return value;
}

static void write_stream(Dma *dma, unsigned i, uint32_t offset, uint32_t value) {
    Stream *stream = &dma->streams[i];
    uint32_t *word = stream_word(stream, offset);
    bool enabled = stream->cr & EN;
    uint32_t free = offset == CR ? EN | INTERRUPTS : offset == FCR ? FEIE : 0;
    if (enabled && without(value ^ *word, free)) {
        refuse("%s stream %u: register %02x is changed while it is enabled", dma->part.name, i,
               (unsigned)offset);
    }
    *word = value;
    if (offset == FCR) {
        *word = (value & (FEIE | DMDIS | FTH)) | FS_EMPTY;
    } else if (offset == CR && enabled && !(value & EN)) {
        end(dma, stream);
    } else if (offset == CR && !enabled && value & EN) {
        start(dma, i);
    }
    update_line(dma, i);
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)size;
    Dma *dma = self;
    if (offset >= STREAMS) {
        offset -= STREAMS;
        write_stream(dma, offset / STREAM_SIZE, offset % STREAM_SIZE, value);
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        unsigned which = (offset == HIFCR ? 4 : 0) + i;
        Stream *stream = &dma->streams[which];
        stream->flags = without(stream->flags, value >> flags_shift(i));
        update_line(dma, which);
    }
}

static void reset(void *self, bool power_on) {
    (void)power_on;
    Dma *dma = self;
    memset(dma->streams, 0, sizeof dma->streams);
    for (unsigned i = 0; i < DMA_STREAMS; i++) {
        dma->streams[i].fcr = FS_EMPTY | 1;
        update_line(dma, i);
    }
}

void dma_f4_add(const DmaF4Part *part) {
    enum {
        FLAGS = FEIF | DMEIF | TEIF | HTIF | TCIF, FOUR = 1 | 1 << 6 | 1 << 16 | 1 << 22,
        STREAM_BITS = 0x0fefffff,
    };
    // IFCR: the HAL clears the reserved bit of each stream with its flags.
#define STREAM(n)                                                                       \
    {STREAMS + STREAM_SIZE * (n) + CR, "S" #n "CR", 0, STREAM_BITS, 0, 0},              \
        {STREAMS + STREAM_SIZE * (n) + NDTR, "S" #n "NDTR", 0, 0xffff, 0, 0},           \
        {STREAMS + STREAM_SIZE * (n) + PAR, "S" #n "PAR", 0, UINT32_MAX, 0, 3},         \
        {STREAMS + STREAM_SIZE * (n) + FCR, "S" #n "FCR", 0x21, 0x87, 0x38, 0}
    static const Register registers[] = {
        {LISR, "LISR", 0, 0, 0, 2},
        {LIFCR, "LIFCR", 0, FLAGS * FOUR, 2 * FOUR, 2},
        STREAM(0), STREAM(1), STREAM(2), STREAM(3), STREAM(4), STREAM(5), STREAM(6), STREAM(7),
        {.name = NULL},
    };
#undef STREAM
    Dma *dma = &controllers[part->number - 1];
    dma->part = *part;
    dma->device = (Device){
        .name = part->name, .base = part->base, .registers = registers, .self = dma,
        .read = read, .write = write, .reset = reset, .gate = part->gate,
    };
    device_add(&dma->device);
}
