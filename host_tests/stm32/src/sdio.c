// SPDX-License-Identifier: MIT
//
// SDIO of the F4: RM0090 chapter 31, RM0390 chapter 30, for one SD card.
//
// Bits take the time that the clock gives them, and data pass in pieces of eight words, half of
// what makes a burst. Left out, and refused: stream mode, SDIO cards (read wait, suspend), CE-ATA,
// MMC's eight lines, waiting for an interrupt or for the end of data (WAITINT, WAITPEND), hardware
// flow control and NEGEDGE, which the errata advise against.

#include "sdio.h"

#include <string.h>

#include "dma_f4.h"
#include "sd_card.h"

#define FIFO_WORDS 32
#define BURST 8
#define RESPONSE_WAIT 8   // clocks between a command and its response
#define RESPONSE_LIMIT 64  // clocks that the controller waits for one
#define BLOCK_END 18       // CRC, start and end bit of a block
#define AF_SDIO 12

enum {
    POWER = 0x00, CLKCR = 0x04, ARG = 0x08, CMD = 0x0c, RESPCMD = 0x10, RESP1 = 0x14,
    DTIMER = 0x24, DLEN = 0x28, DCTRL = 0x2c, DCOUNT = 0x30, STA = 0x34, ICR = 0x38, MASK = 0x3c,
    FIFOCNT = 0x48, FIFO = 0x80,
};
enum { CLKDIV = 0xff, CLKEN = 1 << 8, PWRSAV = 1 << 9, BYPASS = 1 << 10, WIDE = 1 << 11 };
enum { CPSMEN = 1 << 10, WAITRESP = 3 << 6 };
enum { DTEN = 1 << 0, TO_HOST = 1 << 1, DMAEN = 1 << 3, BLOCK_SIZE = 15 << 4 };
enum {
    CCRCFAIL = 1 << 0, DCRCFAIL = 1 << 1, CTIMEOUT = 1 << 2, DTIMEOUT = 1 << 3,
    TXUNDERR = 1 << 4, RXOVERR = 1 << 5, CMDREND = 1 << 6, CMDSENT = 1 << 7, DATAEND = 1 << 8,
    STBITERR = 1 << 9, DBCKEND = 1 << 10, CMDACT = 1 << 11, TXACT = 1 << 12, RXACT = 1 << 13,
    TXFIFOHE = 1 << 14, RXFIFOHF = 1 << 15, TXFIFOF = 1 << 16, RXFIFOF = 1 << 17,
    TXFIFOE = 1 << 18, RXFIFOE = 1 << 19, TXDAVL = 1 << 20, RXDAVL = 1 << 21,
    STATIC = 0x7ff,
};

// The data path state machine
typedef enum { IDLE, WAIT_RECEIVE, RECEIVE, WAIT_SEND, SEND, BUSY } Path;

static struct {
    SdioPart part;
    Device device;
    uint32_t power, clkcr, arg, cmd, respcmd, resp[4], dtimer, dlen, dctrl, mask;
    uint32_t flags;  // of the static ones
    bool sending_command;
    SdResponse response;
    Path path;
    bool to_host;     // the direction of the data in the FIFO
    uint32_t dcount;  // bytes that are still to come
    uint8_t block[SD_BLOCK];
    size_t block_at;
    bool block_bad;
    uint32_t fifo[FIFO_WORDS];
    unsigned first, count;
    uint32_t asked;  // words that DMA or software have still to move
    DmaRequest dma;
    Event command_sent, command_over, data_step, data_limit;
} sdio;

static uint32_t without(uint32_t value, uint32_t bits) {
    return value & ~bits;
}

static uint32_t ck_hz(void) {
    uint32_t hz = sdio.part.clock();
    if (sdio.power != 3 || !(sdio.clkcr & CLKEN)) {
        return 0;
    }
    return sdio.clkcr & BYPASS ? hz : hz / ((sdio.clkcr & CLKDIV) + 2);
}

static Time clocks(uint64_t count) {
    if (!ck_hz()) {
        refuse("SDIO: a transfer without a clock for the card");
    }
    return count * (SEC / ck_hz());
}

// Flags ------------------------------------------------------------------------------------------

static uint32_t status(void) {
    uint32_t value = sdio.flags | (sdio.sending_command ? CMDACT : 0);
    bool receives = sdio.path == WAIT_RECEIVE || sdio.path == RECEIVE;
    bool sends = sdio.path == WAIT_SEND || sdio.path == SEND || sdio.path == BUSY;
    if (sends) {
        value |= TXACT | (sdio.count ? TXDAVL : TXFIFOE) |
                 (sdio.count == FIFO_WORDS ? TXFIFOF : 0) |
                 (FIFO_WORDS - sdio.count >= BURST ? TXFIFOHE : 0);
    } else if (receives || sdio.count) {
        value |= (receives ? RXACT : 0) | (sdio.count ? RXDAVL : RXFIFOE) |
                 (sdio.count == FIFO_WORDS ? RXFIFOF : 0) | (sdio.count >= BURST ? RXFIFOHF : 0);
    } else {
        value |= TXFIFOE | RXFIFOE;
    }
    return value;
}

static void update_line(void) {
    irq_line(sdio.part.irq, status() & sdio.mask);
}

static void set_flags(uint32_t flags) {
    sdio.flags |= flags;
    update_line();
}

// FIFO -------------------------------------------------------------------------------------------

static void push(void *self, uint32_t word) {
    (void)self;
    sdio.fifo[(sdio.first + sdio.count++) % FIFO_WORDS] = word;
}

static uint32_t pop(void *self) {
    (void)self;
    uint32_t word = sdio.fifo[sdio.first];
    sdio.first = (sdio.first + 1) % FIFO_WORDS;
    sdio.count--;
    return word;
}

// Asks the DMA for what a burst moves, or for the rest.
static void ask_dma(void) {
    unsigned before = sdio.count;
    if (!(sdio.dctrl & DMAEN) || !sdio.asked) {
        return;
    }
    if (sdio.to_host) {
        bool last = sdio.count == sdio.asked;
        if (sdio.count >= BURST || last) {
            dma_f4_request(&sdio.dma, true, sdio.count, last);
        }
        sdio.asked -= before - sdio.count;
        return;
    }
    unsigned room = FIFO_WORDS - sdio.count;
    if (room >= BURST) {
        unsigned words = room < sdio.asked ? room : sdio.asked;
        dma_f4_request(&sdio.dma, false, words, words == sdio.asked);
    }
    sdio.asked -= sdio.count - before;
}

// Commands ---------------------------------------------------------------------------------------

static void check_pins(void) {
    if (!sd_card_lines_ready(sdio.clkcr & WIDE)) {
        refuse("SDIO: a command, but not all of its lines are at pins");
    }
}

static void wait_for_block(void);

static void command_over(void *self) {
    (void)self;
    unsigned wanted = (sdio.cmd & WAITRESP) >> 6;
    sdio.sending_command = false;
    if (!(wanted & 1)) {
        set_flags(CMDSENT);
    } else if (sdio.response.kind == SD_NO_RESPONSE) {
        set_flags(CTIMEOUT);
    } else {
        bool fits = (sdio.response.kind == SD_LONG) == (wanted == 3);
        sdio.respcmd = sdio.response.index;
        memcpy(sdio.resp, sdio.response.words, sizeof sdio.resp);
        sdio.resp[3] = without(sdio.resp[3], 1);
        // An R3 has ones in the place of its CRC.
        set_flags(fits && sdio.response.kind != SD_SHORT_WITHOUT_CRC ? CMDREND : CCRCFAIL);
    }
}

static void command_sent(void *self) {
    unsigned wanted = (sdio.cmd & WAITRESP) >> 6;
    sdio.response = sd_card_command(sdio.cmd & 0x3f, sdio.arg);
    if (sdio.path == WAIT_RECEIVE) {
        wait_for_block();
    }
    if (!(wanted & 1)) {
        command_over(self);
    } else if (sdio.response.kind == SD_NO_RESPONSE) {
        event_in(&sdio.command_over, clocks(RESPONSE_LIMIT));
    } else {
        event_in(&sdio.command_over, clocks(RESPONSE_WAIT + (wanted == 3 ? 136 : 48)));
    }
}

static void start_command(void) {
    check_pins();
    sdio.sending_command = true;
    event_in(&sdio.command_sent, clocks(48));
}

// Data -------------------------------------------------------------------------------------------

static void path_to(Path path) {
    sdio.path = path;
    if (path == IDLE) {
        event_cancel(&sdio.data_step);
        event_cancel(&sdio.data_limit);
    } else if (path == WAIT_RECEIVE || path == BUSY) {
        event_in(&sdio.data_limit, clocks(sdio.dtimer));
    } else {
        event_cancel(&sdio.data_limit);
    }
    update_line();
}

static void fail(uint32_t flags) {
    path_to(IDLE);
    set_flags(flags);
}

static uint32_t lines(void) {
    return sdio.clkcr & WIDE ? 4 : 1;
}

static size_t host_block(void) {
    return (size_t)1 << ((sdio.dctrl & BLOCK_SIZE) >> 4);
}

static void wait_for_block(void) {
    Time at = sd_card_sends_at();
    if (at != SD_NEVER && at < now()) {
        refuse("SDIO: the data path is enabled when the card sends already");
    }
    if (at != SD_NEVER) {
        event_at(&sdio.data_step, at);
    }
}

// Bytes that pass until the next step: few of a short block, which software reads word by word.
static size_t piece_bytes(void) {
    size_t left = host_block() - sdio.block_at, most = host_block() > 64 ? 4 * BURST : 4;
    return left < most ? left : most;
}

static void next_piece(void) {
    uint32_t bits = (uint32_t)piece_bytes() * 8 / lines();
    event_in(&sdio.data_step, clocks(bits ? bits : BLOCK_END));
}

static void begin_receive(void) {
    size_t size = sd_card_send(sdio.block);
    sdio.block_at = 0;
    sdio.block_bad = size != host_block() || sd_card_is_wide() != (lines() == 4);
    path_to(RECEIVE);
    next_piece();
}

static void received_block(void) {
    if (!sd_card_sent() || sdio.block_bad) {
        fail(DCRCFAIL);
        return;
    }
    set_flags(DBCKEND);
    if (sdio.dcount == 0) {
        path_to(IDLE);
        set_flags(DATAEND);
    } else {
        path_to(WAIT_RECEIVE);
        wait_for_block();
    }
}

static void receive_piece(void) {
    size_t bytes = piece_bytes();
    if (!bytes) {
        received_block();
        return;
    }
    for (size_t i = 0; i < bytes; i += 4) {
        if (sdio.count == FIFO_WORDS) {
            fail(RXOVERR);
            return;
        }
        uint32_t word;
        memcpy(&word, sdio.block + sdio.block_at + i, 4);
        push(NULL, word);
    }
    sdio.block_at += bytes;
    sdio.dcount -= (uint32_t)bytes;
    ask_dma();
    next_piece();
    update_line();
}

// Data are in the FIFO, or the DMA may bring them.
static void try_to_send(void) {
    ask_dma();
    if (sdio.count) {
        sdio.block_at = 0;
        path_to(SEND);
        next_piece();
    } else if (sdio.dctrl & DMAEN) {
        event_in(&sdio.data_step, clocks(BURST * 32 / lines()));
    }
    update_line();
}

static void block_sent(void) {
    bool fits = sd_card_is_wide() == (lines() == 4);
    if (!fits || !sd_card_receive(sdio.block, host_block())) {
        fail(DCRCFAIL);
        return;
    }
    path_to(BUSY);
    Time until = sd_card_busy_until();
    event_at(&sdio.data_step, until > now() ? until : now());
}

static void send_piece(void) {
    size_t bytes = piece_bytes();
    if (!bytes) {
        block_sent();
        return;
    }
    for (size_t i = 0; i < bytes; i += 4) {
        if (!sdio.count) {
            fail(TXUNDERR);
            return;
        }
        uint32_t word = pop(NULL);
        memcpy(sdio.block + sdio.block_at + i, &word, 4);
    }
    sdio.block_at += bytes;
    sdio.dcount -= (uint32_t)bytes;
    ask_dma();
    next_piece();
    update_line();
}

static void programmed_block(void) {
    set_flags(DBCKEND);
    if (sdio.dcount == 0) {
        path_to(IDLE);
        set_flags(DATAEND);
    } else {
        path_to(WAIT_SEND);
        try_to_send();
    }
}

static void data_step(void *self) {
    (void)self;
    switch (sdio.path) {
        case IDLE: break;
        case WAIT_RECEIVE: begin_receive(); break;
        case RECEIVE: receive_piece(); break;
        case WAIT_SEND: try_to_send(); break;
        case SEND: send_piece(); break;
        case BUSY: programmed_block(); break;
    }
}

static void data_limit(void *self) {
    (void)self;
    fail(DTIMEOUT);
}

static void start_data(void) {
    if (!ck_hz() || sdio.dlen == 0 || sdio.dlen % host_block() || host_block() < 4 ||
        host_block() > SD_BLOCK) {
        refuse("SDIO.DCTRL: data of %u bytes in blocks of %zu", (unsigned)sdio.dlen, host_block());
    }
    sdio.dcount = sdio.dlen;
    sdio.asked = sdio.dlen / 4;
    sdio.first = sdio.count = 0;
    sdio.to_host = sdio.dctrl & TO_HOST;
    if (sdio.to_host) {
        path_to(WAIT_RECEIVE);
        wait_for_block();
    } else {
        path_to(WAIT_SEND);
        try_to_send();
    }
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    if (offset >= FIFO) {
        if (!sdio.count || !sdio.to_host) {
            refuse("SDIO.FIFO is read, but holds no data");
        }
        uint32_t word = pop(NULL);
        sdio.asked--;
        update_line();
        return word;
    }
    switch (offset) {
        case POWER: return sdio.power;
        case CLKCR: return sdio.clkcr;
        case ARG: return sdio.arg;
        case CMD: return sdio.cmd;
        case RESPCMD: return sdio.respcmd;
        case DTIMER: return sdio.dtimer;
        case DLEN: return sdio.dlen;
        case DCTRL: return sdio.dctrl;
        case DCOUNT: return sdio.dcount;
        case STA: return status();
        case ICR: return 0;
        case MASK: return sdio.mask;
        case FIFOCNT: return sdio.asked;
    }
    return sdio.resp[(offset - RESP1) / 4];
}

static void write_fifo(uint32_t word) {
    if (!(status() & TXACT) || sdio.count == FIFO_WORDS || !sdio.asked) {
        refuse("SDIO.FIFO is written, but takes no data");
    }
    push(NULL, word);
    sdio.asked--;
    if (sdio.path == WAIT_SEND) {
        // Software needs some clocks to bring the rest of the first burst.
        event_in(&sdio.data_step, clocks(BURST * 8));
    }
}

static void write_dctrl(uint32_t value) {
    sdio.dctrl = value;
    if (!(value & DTEN)) {
        path_to(IDLE);
    } else if (sdio.path == IDLE) {
        // Any write with DTEN starts the data path, even if the bit was set before.
        start_data();
    } else if (sdio.path == WAIT_SEND && value & DMAEN) {
        try_to_send();
    }
}

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    if (offset >= FIFO) {
        write_fifo(value);
        update_line();
        return;
    }
    switch (offset) {
        case POWER:
            if (value == 1 || value == 2) {
                refuse("SDIO.POWER: PWRCTRL is %u", (unsigned)value);
            }
            sdio.power = value;
            sd_card_clock(ck_hz());
            break;
        case CLKCR:
            sdio.clkcr = value;
            sd_card_clock(ck_hz());
            break;
        case ARG:
            sdio.arg = value;
            break;
        case CMD:
            if (sdio.sending_command) {
                refuse("SDIO.CMD is written while a command is sent");
            }
            sdio.cmd = value;
            if (value & CPSMEN) {
                start_command();
            }
            break;
        case DTIMER:
            sdio.dtimer = value;
            break;
        case DLEN:
            sdio.dlen = value;
            break;
        case DCTRL:
            write_dctrl(value);
            break;
        case ICR:
            sdio.flags = without(sdio.flags, value & STATIC);
            break;
        default:
            sdio.mask = value;
    }
    update_line();
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    path_to(IDLE);
    event_cancel(&sdio.command_sent);
    event_cancel(&sdio.command_over);
    sdio.power = sdio.clkcr = sdio.arg = sdio.cmd = sdio.respcmd = 0;
    sdio.dtimer = sdio.dlen = sdio.dctrl = sdio.dcount = sdio.mask = sdio.flags = 0;
    memset(sdio.resp, 0, sizeof sdio.resp);
    sdio.sending_command = false;
    sdio.count = sdio.asked = 0;
    sd_card_clock(0);
    update_line();
}

void sdio_add(const SdioPart *part) {
    // ICR: the HAL's interrupt handler clears flags of the FIFO, too, which have no bits there.
    static const Register registers[] = {
        {POWER, "POWER", 0, 3, 0, 0},
        {CLKCR, "CLKCR", 0, CLKDIV | CLKEN | PWRSAV | BYPASS | WIDE, 0, 0},
        {ARG, "ARG", 0, UINT32_MAX, 0, 0},
        {CMD, "CMD", 0, CPSMEN | WAITRESP | 0x3f, 0, 0},
        {RESPCMD, "RESPCMD", 0, 0, 0, 0},
        {RESP1, "RESP", 0, 0, 0, 4},
        {DTIMER, "DTIMER", 0, UINT32_MAX, 0, 0},
        {DLEN, "DLEN", 0, 0x1ffffff, 0, 0},
        {DCTRL, "DCTRL", 0, DTEN | TO_HOST | DMAEN | BLOCK_SIZE, 0, 0},
        {DCOUNT, "DCOUNT", 0, 0, 0, 0},
        {STA, "STA", 0, 0, 0, 0},
        {ICR, "ICR", 0, STATIC, TXFIFOHE | RXFIFOHF, 0},
        {MASK, "MASK", 0, 0xffffff, 0, 0},
        {FIFOCNT, "FIFOCNT", 0, 0, 0, 0},
        {FIFO, "FIFO", 0, UINT32_MAX, 0, FIFO_WORDS},
        {.name = NULL},
    };
    sdio.part = *part;
    sd_card_lines(AF_SDIO);
    sdio.command_sent.fire = command_sent;
    sdio.command_over.fire = command_over;
    sdio.data_step.fire = data_step;
    sdio.data_limit.fire = data_limit;
    sdio.dma = (DmaRequest){
        .controller = 2, .channel = 4, .address = part->base + FIFO, .read = pop, .write = push,
    };
    sdio.device = (Device){
        .name = "SDIO", .base = part->base, .registers = registers, .read = read, .write = write,
        .reset = reset, .gate = part->gate,
    };
    device_add(&sdio.device);
}
