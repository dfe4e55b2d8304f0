// SPDX-License-Identifier: MIT
//
// SDMMC1 of the H743 with its own DMA: RM0433 chapter 55, for one SD card.
//
// Bits take the time that the clock gives them. Data pass in pieces of eight words, half of the
// FIFO; a block of 64 bytes or less comes into the FIFO as a whole, as the HAL reads both words of
// the SCR once the FIFO is not empty. Left out, and refused: double buffers, stream mode, SDIO
// cards, MMC, eight lines, boot, DDR and what a transceiver needs, the hold of transfers, hardware
// flow control, NEGEDGE. A busy card after a response is not detected (BUSYD0, BUSYD0END).

#include "sdmmc.h"

#include <string.h>

#include "sd_card.h"

#define FIFO_WORDS 16
#define HALF 8
#define RESPONSE_WAIT 8    // clocks between a command and its response
#define RESPONSE_LIMIT 64  // clocks that the controller waits for one
#define BLOCK_END 18       // CRC, start and end bit of a block
#define AF_SDMMC 12
#define AXI_SRAM 0x24000000u
#define AXI_SRAM_SIZE 0x80000u

enum {
    POWER = 0x00, CLKCR = 0x04, ARG = 0x08, CMD = 0x0c, RESPCMD = 0x10, RESP1 = 0x14,
    DTIMER = 0x24, DLEN = 0x28, DCTRL = 0x2c, DCOUNT = 0x30, STA = 0x34, ICR = 0x38, MASK = 0x3c,
    IDMACTRL = 0x50, IDMABASE0 = 0x58, FIFO = 0x80,
};
enum { ON = 3, CLKDIV = 0x3ff, PWRSAV = 1 << 12, WIDE = 1 << 14 };
enum { CMDTRANS = 1 << 6, CMDSTOP = 1 << 7, WAITRESP = 3 << 8, CPSMEN = 1 << 12 };
enum { DTEN = 1 << 0, TO_HOST = 1 << 1, DTMODE = 3 << 2, BLOCK_SIZE = 15 << 4, FIFORST = 1 << 13 };
enum { STOPPED_BY_CMD12 = 3 << 2 };  // a mode of DTMODE: several blocks
enum { IDMAEN = 1 };
enum {
    CCRCFAIL = 1 << 0, DCRCFAIL = 1 << 1, CTIMEOUT = 1 << 2, DTIMEOUT = 1 << 3,
    TXUNDERR = 1 << 4, RXOVERR = 1 << 5, CMDREND = 1 << 6, CMDSENT = 1 << 7, DATAEND = 1 << 8,
    DABORT = 1 << 11, DPSMACT = 1 << 12, CPSMACT = 1 << 13, TXFIFOHE = 1 << 14,
    RXFIFOHF = 1 << 15, TXFIFOF = 1 << 16, RXFIFOF = 1 << 17, TXFIFOE = 1 << 18,
    RXFIFOE = 1 << 19, STATIC = 0x1fe00fff,
};

// The data path state machine
typedef enum { IDLE, WAIT_RECEIVE, RECEIVE, DRAIN, WAIT_SEND, SEND, BUSY } Path;

static struct {
    SdmmcPart part;
    Device device;
    uint32_t flags;  // of the static ones
    uint32_t respcmd, resp[4];
    bool sending_command;
    SdResponse response;
    Path path;
    uint32_t dcount;  // bytes that are still to come
    uint8_t block[SD_BLOCK];
    size_t block_at;
    bool block_bad;
    uint32_t fifo[FIFO_WORDS];
    unsigned first, count;
    uint32_t asked;    // words that software has still to move
    uint32_t dma_at;   // where the DMA goes on
    Event command_sent, command_over, data_step, data_limit;
} sdmmc;

static uint32_t *kept(uint32_t offset) {
    return device_value(&sdmmc.device, offset);
}

static uint32_t ck_hz(void) {
    uint32_t divider = *kept(CLKCR) & CLKDIV, hz = sdmmc.part.clock();
    if ((*kept(POWER) & 3) != ON) {
        return 0;
    }
    return divider ? hz / (2 * divider) : hz;
}

static Time clocks(uint64_t count) {
    if (!ck_hz()) {
        refuse("SDMMC1: a transfer without a clock for the card");
    }
    return count * (SEC / ck_hz());
}

static bool by_dma(void) {
    return *kept(IDMACTRL) & IDMAEN;
}

static bool to_host(void) {
    return *kept(DCTRL) & TO_HOST;
}

// Flags ------------------------------------------------------------------------------------------

static uint32_t status(void) {
    uint32_t value = sdmmc.flags | (sdmmc.sending_command ? CPSMACT : 0);
    value |= sdmmc.path == IDLE ? 0 : DPSMACT;
    if (sdmmc.path >= WAIT_SEND && !by_dma()) {
        return value | (sdmmc.count ? 0 : TXFIFOE) | (sdmmc.count == FIFO_WORDS ? TXFIFOF : 0) |
               (FIFO_WORDS - sdmmc.count >= HALF && sdmmc.asked ? TXFIFOHE : 0);
    }
    return value | (sdmmc.count ? 0 : RXFIFOE) | (sdmmc.count == FIFO_WORDS ? RXFIFOF : 0) |
           (sdmmc.count >= HALF ? RXFIFOHF : 0);
}

static void update_line(void) {
    irq_line(sdmmc.part.irq, status() & *kept(MASK));
}

static void set_flags(uint32_t flags) {
    sdmmc.flags |= flags;
    update_line();
}

// FIFO and DMA -----------------------------------------------------------------------------------

static void push(uint32_t word) {
    sdmmc.fifo[(sdmmc.first + sdmmc.count++) % FIFO_WORDS] = word;
}

static uint32_t pop(void) {
    uint32_t word = sdmmc.fifo[sdmmc.first];
    sdmmc.first = (sdmmc.first + 1) % FIFO_WORDS;
    sdmmc.count--;
    return word;
}

// Commands ---------------------------------------------------------------------------------------

static void start_data(void);
static void wait_for_block(void);
static void path_to(Path path);

static void check_pins(void) {
    if (!sd_card_lines_ready(*kept(CLKCR) & WIDE)) {
        refuse("SDMMC1: a command, but not all of its lines are at pins");
    }
}

static void command_over(void *self) {
    (void)self;
    unsigned wanted = (*kept(CMD) & WAITRESP) >> 8;
    sdmmc.sending_command = false;
    if (!wanted) {
        set_flags(CMDSENT);
    } else if (sdmmc.response.kind == SD_NO_RESPONSE) {
        set_flags(CTIMEOUT);
        return;
    } else {
        bool fits = (sdmmc.response.kind == SD_LONG) == (wanted == 3);
        bool has_crc = sdmmc.response.kind != SD_SHORT_WITHOUT_CRC;
        sdmmc.respcmd = sdmmc.response.index;
        memcpy(sdmmc.resp, sdmmc.response.words, sizeof sdmmc.resp);
        sdmmc.resp[3] &= ~1u;
        // WAITRESP 2: a short response whose CRC is not looked at.
        set_flags(fits && (has_crc || wanted == 2) ? CMDREND : CCRCFAIL);
    }
    if (*kept(CMD) & CMDTRANS && !to_host()) {
        start_data();
    }
}

static void command_sent(void *self) {
    uint32_t command = *kept(CMD);
    unsigned wanted = (command & WAITRESP) >> 8;
    sdmmc.response = sd_card_command(command & 0x3f, *kept(ARG));
    if (command & CMDTRANS && to_host()) {
        start_data();
    } else if (sdmmc.path == WAIT_RECEIVE) {
        wait_for_block();
    }
    if (command & CMDSTOP && sdmmc.path != IDLE) {
        path_to(IDLE);
        set_flags(DABORT);
    }
    if (!wanted) {
        command_over(self);
    } else if (sdmmc.response.kind == SD_NO_RESPONSE) {
        event_in(&sdmmc.command_over, clocks(RESPONSE_LIMIT));
    } else {
        event_in(&sdmmc.command_over, clocks(RESPONSE_WAIT + (wanted == 3 ? 136 : 48)));
    }
}

static void write_command(uint32_t value) {
    if (sdmmc.sending_command) {
        refuse("SDMMC1.CMD is written while a command is sent");
    }
    *kept(CMD) = value;
    if (value & CPSMEN) {
        check_pins();
        *kept(CMD) &= ~(uint32_t)CPSMEN;
        sdmmc.sending_command = true;
        event_in(&sdmmc.command_sent, clocks(48));
    }
}

// Data -------------------------------------------------------------------------------------------

static void path_to(Path path) {
    sdmmc.path = path;
    if (path == IDLE) {
        *kept(DCTRL) &= ~(uint32_t)DTEN;
        event_cancel(&sdmmc.data_step);
        event_cancel(&sdmmc.data_limit);
    } else if (path == WAIT_RECEIVE || path == BUSY) {
        event_in(&sdmmc.data_limit, clocks(*kept(DTIMER)));
    } else {
        event_cancel(&sdmmc.data_limit);
    }
    update_line();
}

static void fail(uint32_t flags) {
    path_to(IDLE);
    set_flags(flags);
}

static void finish(void) {
    path_to(IDLE);
    set_flags(DATAEND);
}

static uint32_t lines(void) {
    return *kept(CLKCR) & WIDE ? 4 : 1;
}

static size_t host_block(void) {
    return (size_t)1 << ((*kept(DCTRL) & BLOCK_SIZE) >> 4);
}

static void wait_for_block(void) {
    Time at = sd_card_sends_at();
    if (at != SD_NEVER && at < now()) {
        refuse("SDMMC1: the data path is enabled when the card sends already");
    }
    if (at != SD_NEVER) {
        event_at(&sdmmc.data_step, at);
    }
}

static size_t piece_bytes(void) {
    size_t left = host_block() - sdmmc.block_at, most = 4 * HALF;
    return left < most || host_block() <= 4 * FIFO_WORDS ? left : most;
}

static void next_piece(void) {
    uint32_t bits = (uint32_t)piece_bytes() * 8 / lines();
    event_in(&sdmmc.data_step, clocks(bits ? bits : BLOCK_END));
}

static void begin_receive(void) {
    size_t size = sd_card_send(sdmmc.block);
    sdmmc.block_at = 0;
    sdmmc.block_bad = size != host_block() || sd_card_is_wide() != (lines() == 4);
    path_to(RECEIVE);
    next_piece();
}

static void received_block(void) {
    if (!sd_card_sent() || sdmmc.block_bad) {
        fail(DCRCFAIL);
    } else if (sdmmc.dcount) {
        path_to(WAIT_RECEIVE);
        wait_for_block();
    } else if (sdmmc.count) {
        path_to(DRAIN);
    } else {
        finish();
    }
}

static void receive_piece(void) {
    size_t bytes = piece_bytes();
    if (!bytes) {
        received_block();
        return;
    }
    if (by_dma()) {
        memory_write(sdmmc.dma_at, sdmmc.block + sdmmc.block_at, bytes);
        sdmmc.dma_at += (uint32_t)bytes;
    } else if (sdmmc.count + bytes / 4 > FIFO_WORDS) {
        fail(RXOVERR);
        return;
    } else {
        for (size_t i = 0; i < bytes; i += 4) {
            uint32_t word;
            memcpy(&word, sdmmc.block + sdmmc.block_at + i, 4);
            push(word);
        }
    }
    sdmmc.block_at += bytes;
    sdmmc.dcount -= (uint32_t)bytes;
    next_piece();
    update_line();
}

static void try_to_send(void) {
    if (by_dma() || sdmmc.count) {
        sdmmc.block_at = 0;
        path_to(SEND);
        next_piece();
    }
    update_line();
}

static void block_sent(void) {
    bool fits = sd_card_is_wide() == (lines() == 4);
    if (!fits || !sd_card_receive(sdmmc.block, host_block())) {
        fail(DCRCFAIL);
        return;
    }
    path_to(BUSY);
    Time until = sd_card_busy_until();
    event_at(&sdmmc.data_step, until > now() ? until : now());
}

static void send_piece(void) {
    size_t bytes = piece_bytes();
    if (!bytes) {
        block_sent();
        return;
    }
    if (by_dma()) {
        memory_read(sdmmc.dma_at, sdmmc.block + sdmmc.block_at, bytes);
        sdmmc.dma_at += (uint32_t)bytes;
    } else if (sdmmc.count < bytes / 4) {
        fail(TXUNDERR);
        return;
    } else {
        for (size_t i = 0; i < bytes; i += 4) {
            uint32_t word = pop();
            memcpy(sdmmc.block + sdmmc.block_at + i, &word, 4);
        }
    }
    sdmmc.block_at += bytes;
    sdmmc.dcount -= (uint32_t)bytes;
    next_piece();
    update_line();
}

static void programmed_block(void) {
    if (sdmmc.dcount == 0) {
        finish();
    } else {
        path_to(WAIT_SEND);
        try_to_send();
    }
}

static void data_step(void *self) {
    (void)self;
    switch (sdmmc.path) {
        case IDLE: case DRAIN: break;
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
    uint32_t size = *kept(DLEN), mode = *kept(DCTRL) & DTMODE;
    if (!ck_hz() || size == 0 || size % host_block() || host_block() < 4 ||
        host_block() > SD_BLOCK || (mode && mode != STOPPED_BY_CMD12)) {
        refuse("SDMMC1.DCTRL %04x: data of %u bytes in blocks of %zu", (unsigned)*kept(DCTRL),
               (unsigned)size, host_block());
    }
    sdmmc.dma_at = *kept(IDMABASE0);
    if (by_dma() && (sdmmc.dma_at - AXI_SRAM >= AXI_SRAM_SIZE ||
                     size > AXI_SRAM_SIZE - (sdmmc.dma_at - AXI_SRAM))) {
        refuse("SDMMC1.IDMABASE0 %08x: its DMA reaches the AXI SRAM only", (unsigned)sdmmc.dma_at);
    }
    sdmmc.dcount = size;
    sdmmc.asked = by_dma() ? 0 : size / 4;
    sdmmc.first = sdmmc.count = 0;
    if (to_host()) {
        path_to(WAIT_RECEIVE);
        wait_for_block();
    } else {
        path_to(WAIT_SEND);
        try_to_send();
    }
}

// Registers --------------------------------------------------------------------------------------

static uint32_t read_fifo(void) {
    if (!sdmmc.count || !to_host()) {
        refuse("SDMMC1.FIFO is read, but holds no data");
    }
    uint32_t word = pop();
    sdmmc.asked--;
    if (sdmmc.path == DRAIN && !sdmmc.count) {
        finish();
    }
    update_line();
    return word;
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    switch (offset) {
        case RESPCMD: return sdmmc.respcmd;
        case DCOUNT: return sdmmc.dcount;
        case STA: return status();
        case ICR: return 0;
    }
    if (offset >= RESP1 && offset < DTIMER) {
        return sdmmc.resp[(offset - RESP1) / 4];
    }
    return offset >= FIFO ? read_fifo() : *kept(offset);
}

static void write_fifo(uint32_t word) {
    if (sdmmc.path < WAIT_SEND || sdmmc.count == FIFO_WORDS || !sdmmc.asked) {
        refuse("SDMMC1.FIFO is written, but takes no data");
    }
    push(word);
    sdmmc.asked--;
    if (sdmmc.path == WAIT_SEND && !sdmmc.data_step.armed) {
        // Software needs some clocks to bring the rest of the first half.
        event_in(&sdmmc.data_step, clocks(HALF * 8));
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
            // Only a reset leaves the state "on": the HAL's SDMMC_PowerState_OFF has no effect.
            if ((*kept(POWER) & 3) == ON) {
                break;
            }
            if ((value & 3) == 1) {
                refuse("SDMMC1.POWER: PWRCTRL is 1");
            }
            *kept(POWER) = value;
            sd_card_clock(ck_hz());
            break;
        case CLKCR:
            *kept(CLKCR) = value;
            sd_card_clock(ck_hz());
            break;
        case CMD:
            write_command(value);
            break;
        case DCTRL:
            *kept(DCTRL) = value & ~(uint32_t)FIFORST;
            if (value & FIFORST) {
                sdmmc.count = 0;
            }
            if (value & DTEN && sdmmc.path == IDLE) {
                start_data();
            }
            break;
        case ICR:
            sdmmc.flags &= ~value;
            break;
        case IDMACTRL:
        case IDMABASE0:
            if (sdmmc.path != IDLE && value != *kept(offset)) {
                refuse("write of %08x to SDMMC1+%02x while data pass", (unsigned)value,
                       (unsigned)offset);
            }
            *kept(offset) = value;
            break;
        default:
            *kept(offset) = value;
    }
    update_line();
}

static void reset(void *self, bool power_on) {
    (void)self, (void)power_on;
    path_to(IDLE);
    event_cancel(&sdmmc.command_sent);
    event_cancel(&sdmmc.command_over);
    sdmmc.flags = sdmmc.respcmd = sdmmc.dcount = sdmmc.asked = 0;
    memset(sdmmc.resp, 0, sizeof sdmmc.resp);
    sdmmc.sending_command = false;
    sdmmc.count = 0;
    sd_card_clock(0);
    update_line();
}

void sdmmc_add(const SdmmcPart *part) {
    static const Register registers[] = {
        {POWER, "POWER", 0, 3, 0, 0},
        {CLKCR, "CLKCR", 0, CLKDIV | PWRSAV | WIDE, 0, 0},
        {ARG, "ARG", 0, UINT32_MAX, 0, 0},
        {CMD, "CMD", 0, CPSMEN | WAITRESP | CMDTRANS | CMDSTOP | 0x3f, 0, 0},
        {RESPCMD, "RESPCMD", 0, 0, 0, 0},
        {RESP1, "RESP", 0, 0, 0, 4},
        {DTIMER, "DTIMER", 0, UINT32_MAX, 0, 0},
        {DLEN, "DLEN", 0, 0x1ffffff, 0, 0},
        {DCTRL, "DCTRL", 0, DTEN | TO_HOST | DTMODE | BLOCK_SIZE | FIFORST, 0, 0},
        {DCOUNT, "DCOUNT", 0, 0, 0, 0},
        {STA, "STAR", 0, 0, 0, 0},
        {ICR, "ICR", 0, STATIC, 0, 0},
        {MASK, "MASKR", 0, 0x17e6cfff, 0, 0},
        {IDMACTRL, "IDMACTRLR", 0, IDMAEN, 0, 0},
        {IDMABASE0, "IDMABASE0R", 0, 0xfffffffc, 0, 0},
        {FIFO, "FIFOR", 0, UINT32_MAX, 0, FIFO_WORDS},
        {.name = NULL},
    };
    sdmmc.part = *part;
    sd_card_lines(AF_SDMMC);
    sdmmc.command_sent.fire = command_sent;
    sdmmc.command_over.fire = command_over;
    sdmmc.data_step.fire = data_step;
    sdmmc.data_limit.fire = data_limit;
    sdmmc.device = (Device){
        .name = "SDMMC1", .base = part->base, .registers = registers, .read = read,
        .write = write, .reset = reset, .gate = part->gate,
    };
    device_add(&sdmmc.device);
}
