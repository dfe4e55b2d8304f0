// SPDX-License-Identifier: MIT
//
// An SDHC card: SD Physical Layer Simplified Specification 6.00, chapters 4 and 5, SD bus mode.
// Its blocks are a file. (A real SDHC card has more than 2 GB; this one may be smaller.)
//
// A command that its state does not allow has no response, and sets ILLEGAL_COMMAND in the next
// one. Optional commands that it has not (SCR says so) are such. Refused, as they are legal but
// not modelled: erase, write protection, lock, CMD11, CMD15, and commands for a card that is
// powered up too short a time or clocked too fast.
//
// Times, by settings in us: card_ready (50000) from the first ACMD41 on, card_latency (500) before
// the first block of a read, card_write (2000) after each block.

#include "sd_card.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_UNIT (512 * 1024)
#define RCA 0xb368u
#define GAP (20 * US)  // between blocks of a read
#define FIRST_CLOCKS 74
#define SLOW_HZ 400000u
#define DEFAULT_HZ 25000000u
#define HIGH_SPEED_HZ 50000000u

typedef enum {
    IDLE, READY, IDENTIFIED, STANDBY, TRANSFER, SENDING, RECEIVING, PROGRAMMING, DISCONNECTED,
} State;

enum {
    OUT_OF_RANGE = 1u << 31, BLOCK_LENGTH_ERROR = 1u << 29, ILLEGAL_COMMAND = 1u << 22,
    READY_FOR_DATA = 1u << 8, APP_CMD = 1u << 5,
};
enum { OCR_READY = 1u << 31, OCR_HIGH_CAPACITY = 1u << 30, OCR_VOLTAGES = 0x00ff8000 };

static struct {
    uint8_t *bytes;  // NULL: no card
    size_t size;
    Wire *detect;
    unsigned detect_driver;
    Time ready, latency, write;  // times of the settings
    // What a card forgets without power
    State state;
    uint32_t rca, errors;
    bool app, knows_host, wide, high_speed;
    Time initialized_at;  // 0: it has not begun
    uint32_t address;     // the next block
    bool multiple;        // blocks until CMD12
    uint8_t answer[64];   // what it sends that is no block; answer_size 0: blocks
    size_t answer_size;
    Time sends_at, busy_until;
    bool left;            // it was taken out within the block that the host takes
    // The host's clock
    uint32_t hz;
    Time clocked_since;
} card;

static struct {
    Function *clock, *command, *data[4];
} lines;  // of the slot

static void forget(void) {
    card.state = IDLE;
    card.rca = card.errors = 0;
    card.app = card.knows_host = card.wide = card.high_speed = false;
    card.initialized_at = card.busy_until = 0;
    card.sends_at = SD_NEVER;
    card.multiple = false;
}

// Registers of the card --------------------------------------------------------------------------

static uint8_t crc7(const uint8_t *bytes, unsigned count) {
    unsigned crc = 0;
    for (unsigned i = 0; i < 8 * count; i++) {
        unsigned bit = bytes[i / 8] >> (7 - i % 8) & 1;
        crc = (crc << 1 ^ ((crc >> 6 ^ bit) & 1 ? 0x09 : 0)) & 0x7f;
    }
    return (uint8_t)(crc << 1 | 1);
}

static SdResponse long_response(uint8_t bytes[16]) {
    SdResponse response = {.kind = SD_LONG, .index = 0x3f};
    bytes[15] = crc7(bytes, 15);
    for (unsigned i = 0; i < 16; i++) {
        response.words[i / 4] = response.words[i / 4] << 8 | bytes[i];
    }
    return response;
}

static SdResponse identification(void) {
    uint8_t bytes[16] = {0x1b, 'S', 'M', 'E', 'M', 'U', 'L', 'A', 0x10, 0, 0, 0, 1, 1, 0x71};
    return long_response(bytes);
}

static SdResponse specific_data(void) {
    uint32_t size = (uint32_t)(card.size / CAPACITY_UNIT) - 1;
    uint8_t bytes[16] = {
        0x40, 0x0e, 0x00, card.high_speed ? 0x5a : 0x32, 0x5b, 0x59, 0x00, (uint8_t)(size >> 16),
        (uint8_t)(size >> 8), (uint8_t)size, 0x7f, 0x80, 0x0a, 0x40, 0x00,
    };
    return long_response(bytes);
}

static SdResponse status(void) {
    SdResponse response = {.kind = SD_SHORT};
    bool ready = now() >= card.busy_until;
    response.words[0] = card.errors | (uint32_t)card.state << 9 | (ready ? READY_FOR_DATA : 0) |
                        (card.app ? APP_CMD : 0);
    card.errors = 0;
    return response;
}

static SdResponse nothing(void) {
    return (SdResponse){.kind = SD_NO_RESPONSE};
}

static SdResponse illegal(void) {
    card.errors |= ILLEGAL_COMMAND;
    return nothing();
}

// Data -------------------------------------------------------------------------------------------

// Its response, and then `size` bytes of `answer`.
static SdResponse answer_with(size_t size) {
    SdResponse response = status();
    card.answer_size = size;
    card.multiple = false;
    card.state = SENDING;
    card.sends_at = now() + 10 * US;
    return response;
}

static bool is_in_range(uint32_t block) {
    return block < card.size / SD_BLOCK;
}

static SdResponse transfer_blocks(State to, uint32_t block, bool multiple) {
    if (!is_in_range(block)) {
        card.errors |= OUT_OF_RANGE;
        return status();
    }
    SdResponse response = status();
    card.answer_size = 0;
    card.address = block;
    card.multiple = multiple;
    card.state = to;
    card.sends_at = to == SENDING ? now() + card.latency : SD_NEVER;
    return response;
}

static SdResponse configuration(void) {
    static const uint8_t bytes[8] = {0x02, 0x35, 0x80};
    memcpy(card.answer, bytes, sizeof bytes);
    return answer_with(sizeof bytes);
}

static SdResponse sd_status(void) {
    memset(card.answer, 0, sizeof card.answer);
    card.answer[0] = card.wide ? 0x80 : 0;
    card.answer[8] = 0x04;
    card.answer[10] = 0x90;
    return answer_with(64);
}

static SdResponse switch_function(uint32_t argument) {
    // 100 mA, and the functions of the groups 6 to 1: the first only; of speed the second, too
    static const uint8_t groups[14] = {
        0, 100, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 3,
    };
    unsigned speed = argument & 15;
    memset(card.answer, 0, sizeof card.answer);
    memcpy(card.answer, groups, sizeof groups);
    card.answer[16] = (uint8_t)(speed == 15 ? card.high_speed : speed < 2 ? speed : 15);
    if (argument >> 31 && speed < 2) {
        card.high_speed = speed;
    }
    return answer_with(64);
}

bool sd_card_is_wide(void) {
    return card.wide;
}

static Time block_time(void) {
    enum { CRC_AND_MARKS = 18 };
    size_t bytes = card.answer_size ? card.answer_size : SD_BLOCK;
    return (bytes * 8 / (card.wide ? 4 : 1) + CRC_AND_MARKS) * (SEC / card.hz);
}

static void end_block(Time at) {
    card.sends_at = SD_NEVER;
    if (!card.multiple) {
        card.state = TRANSFER;
    } else if (is_in_range(++card.address)) {
        card.sends_at = at + GAP;
    } else {
        card.errors |= OUT_OF_RANGE;
    }
}

// Blocks that the host did not take, or not to their end, are over by now.
static void pass_blocks(void) {
    while (card.hz && card.sends_at != SD_NEVER && now() > card.sends_at + block_time()) {
        end_block(card.sends_at + block_time());
    }
}

Time sd_card_sends_at(void) {
    pass_blocks();
    return card.bytes ? card.sends_at : SD_NEVER;
}

size_t sd_card_send(uint8_t *block) {
    size_t size = card.answer_size ? card.answer_size : SD_BLOCK;
    card.left = !card.bytes;
    if (card.answer_size) {
        memcpy(block, card.answer, size);
    } else if (card.bytes) {
        memcpy(block, card.bytes + (size_t)card.address * SD_BLOCK, size);
    }
    return size;
}

bool sd_card_sent(void) {
    if (card.left || card.sends_at == SD_NEVER) {
        return false;
    }
    end_block(now());
    return true;
}

bool sd_card_receive(const uint8_t *block, size_t size) {
    if (!card.bytes || card.state != RECEIVING || size != SD_BLOCK || !is_in_range(card.address)) {
        return false;
    }
    memcpy(card.bytes + (size_t)card.address++ * SD_BLOCK, block, SD_BLOCK);
    card.busy_until = now() + card.write;
    card.state = card.multiple ? RECEIVING : PROGRAMMING;
    return true;
}

Time sd_card_busy_until(void) {
    return card.bytes ? card.busy_until : 0;
}

// Commands ---------------------------------------------------------------------------------------

static SdResponse interface_condition(uint32_t argument) {
    if ((argument >> 8 & 15) != 1) {
        return nothing();  // a voltage that it does not know
    }
    card.knows_host = true;
    return (SdResponse){.kind = SD_SHORT, .words = {argument & 0xfff}};
}

static SdResponse operating_condition(uint32_t argument) {
    SdResponse response = {.kind = SD_SHORT_WITHOUT_CRC, .index = 0x3f, .words = {OCR_VOLTAGES}};
    if (!(argument & OCR_VOLTAGES)) {
        return response;  // only a question
    }
    if (!card.initialized_at) {
        card.initialized_at = now() + card.ready;
    }
    bool fits = card.knows_host && argument & OCR_HIGH_CAPACITY;
    if (fits && now() >= card.initialized_at) {
        card.state = READY;
        response.words[0] |= OCR_READY | OCR_HIGH_CAPACITY;
    }
    return response;
}

static SdResponse select_card(uint32_t argument) {
    bool mine = argument >> 16 == card.rca;
    SdResponse response = nothing();
    if (mine && (card.state == STANDBY || card.state == DISCONNECTED)) {
        response = status();
        card.state = card.state == STANDBY ? TRANSFER : PROGRAMMING;
    } else if (mine) {
        response = illegal();
    } else if (card.state == TRANSFER || card.state == SENDING) {
        card.state = STANDBY;
        card.sends_at = SD_NEVER;
    } else if (card.state == PROGRAMMING) {
        card.state = DISCONNECTED;
    } else if (card.state != STANDBY && card.state != DISCONNECTED) {
        response = illegal();
    }
    return response;
}

static SdResponse stop_transmission(void) {
    SdResponse response = status();
    if (card.state == SENDING) {
        card.state = TRANSFER;
        card.sends_at = SD_NEVER;
    } else {
        card.state = PROGRAMMING;
    }
    return response;
}

static SdResponse command(unsigned index, uint32_t argument);

static SdResponse application_command(unsigned index, uint32_t argument) {
    bool transfers = card.state == TRANSFER;
    switch (index) {
        case 6:
            if (!transfers) {
                return illegal();
            }
            card.wide = (argument & 3) == 2;
            return status();
        case 13: return transfers ? sd_status() : illegal();
        case 22:
            refuse("SD card: ACMD22 is not modelled");
        case 23:
        case 42: return transfers ? status() : illegal();
        case 41: return card.state == IDLE ? operating_condition(argument) : illegal();
        case 51: return transfers ? configuration() : illegal();
    }
    return command(index, argument);  // 4.3.9.1: what is no ACMD is an ordinary command
}

static SdResponse command(unsigned index, uint32_t argument) {
    State state = card.state;
    bool mine = argument >> 16 == card.rca, transfers = state == TRANSFER;
    switch (index) {
        case 0:
            forget();
            return nothing();
        case 2:
            if (state != READY) {
                return illegal();
            }
            card.state = IDENTIFIED;
            return identification();
        case 3: {
            if (state != IDENTIFIED && state != STANDBY) {
                return illegal();
            }
            uint32_t all = status().words[0];
            uint32_t bits = (all >> 8 & 0xc000) | (all >> 6 & 0x2000) | (all & 0x1fff);
            card.state = STANDBY;
            card.rca = RCA;
            return (SdResponse){.kind = SD_SHORT, .words = {RCA << 16 | bits}};
        }
        case 6: return transfers ? switch_function(argument) : illegal();
        case 7: return state < STANDBY ? illegal() : select_card(argument);
        case 8: return state == IDLE ? interface_condition(argument) : illegal();
        case 9: return state != STANDBY ? illegal() : mine ? specific_data() : nothing();
        case 10: return state != STANDBY ? illegal() : mine ? identification() : nothing();
        case 12: return state == SENDING || state == RECEIVING ? stop_transmission() : illegal();
        case 13: return state < STANDBY ? illegal() : mine ? status() : nothing();
        case 16:
            if (!transfers) {
                return illegal();
            }
            card.errors |= argument > SD_BLOCK ? BLOCK_LENGTH_ERROR : 0;
            return status();
        case 17: return transfers ? transfer_blocks(SENDING, argument, false) : illegal();
        case 18: return transfers ? transfer_blocks(SENDING, argument, true) : illegal();
        case 24: return transfers ? transfer_blocks(RECEIVING, argument, false) : illegal();
        case 25: return transfers ? transfer_blocks(RECEIVING, argument, true) : illegal();
        case 55:
            if (state == READY || state == IDENTIFIED) {
                return illegal();
            }
            if (!mine) {
                return nothing();
            }
            card.app = true;
            return status();
        case 11: case 15: case 27: case 28: case 29: case 30: case 32: case 33: case 38: case 42:
        case 56:
            refuse("SD card: CMD%u is not modelled", index);
    }
    return illegal();
}

static void check_clock(unsigned index) {
    uint64_t clocks = (now() - card.clocked_since) / US * card.hz / 1000000;
    if (clocks < FIRST_CLOCKS) {
        refuse("SD card: CMD%u after %u clocks, a card needs 74 before the first command", index,
               (unsigned)clocks);
    }
    bool identifies = index == 41 || (index >= 1 && index <= 3) || index == 8;
    if (identifies && card.state < STANDBY && card.hz > SLOW_HZ) {
        refuse("SD card: CMD%u at %u Hz, at most 400000 until it has an address", index,
               (unsigned)card.hz);
    }
    uint32_t most = card.high_speed ? HIGH_SPEED_HZ : DEFAULT_HZ;
    if (card.state >= TRANSFER && card.hz > most) {
        refuse("SD card: CMD%u at %u Hz, more than its speed class has", index, (unsigned)card.hz);
    }
}

SdResponse sd_card_command(unsigned index, uint32_t argument) {
    if (!card.bytes) {
        return nothing();
    }
    check_clock(index);
    pass_blocks();
    if (card.state == PROGRAMMING && now() >= card.busy_until) {
        card.state = TRANSFER;
    }
    bool app = card.app;
    card.app = false;
    SdResponse response = app ? application_command(index, argument) : command(index, argument);
    if (response.kind == SD_SHORT) {
        response.index = (uint8_t)index;
        // The response to a command of an application says that it was taken as one.
        response.words[0] |= app ? APP_CMD : 0;
    }
    return response;
}

void sd_card_clock(uint32_t hz) {
    if (hz && !card.hz) {
        card.clocked_since = now();
    }
    card.hz = hz;
}

// The slot ---------------------------------------------------------------------------------------

static void set_detect(bool in) {
    if (card.detect) {
        wire_drive(card.detect, card.detect_driver, in ? DRIVE_LOW : DRIVE_NONE);
    }
}

static void check_size(void) {
    if (card.bytes && (card.size == 0 || card.size % CAPACITY_UNIT)) {
        refuse("SD card: %zu bytes are no multiple of 512 KiB", card.size);
    }
}

static const char *change(void *self, const char *arguments) {
    (void)self;
    card.left = true;
    card.bytes = NULL;
    forget();
    if (!strncmp(arguments, "in ", 3)) {
        card.bytes = file_bytes(arguments + 3, &card.size);
        check_size();
        card.clocked_since = now();
    } else if (strcmp(arguments, "out")) {
        return "card in PATH, or card out";
    }
    set_detect(card.bytes);
    return NULL;
}

static void power_changed_at(void *self, bool on) {
    (void)self, (void)on;
    card.left = true;
    card.hz = 0;
    forget();
}

static Time time_of(const char *name, unsigned us) {
    const char *text = setting(name);
    return (text ? strtoull(text, NULL, 0) : us) * US;
}

void sd_card_lines(unsigned function) {
    static const char *const data_pins[] = {"PC8", "PC9", "PC10", "PC11"};
    lines.clock = pin_function("PC12", function, false);
    lines.command = pin_function("PD2", function, false);
    for (unsigned i = 0; i < 4; i++) {
        lines.data[i] = pin_function(data_pins[i], function, false);
    }
}

bool sd_card_lines_ready(bool wide) {
    bool ready = function_selected(lines.clock) && function_selected(lines.command);
    for (unsigned i = 0; i < (wide ? 4 : 1); i++) {
        ready &= function_selected(lines.data[i]);
    }
    return ready;
}

void sd_card_slot(const char *detect_pin) {
    card.bytes = setting_file("card", &card.size);
    card.ready = time_of("card_ready", 50000);
    card.latency = time_of("card_latency", 500);
    card.write = time_of("card_write", 2000);
    check_size();
    forget();
    if (detect_pin) {
        card.detect = pin_wire(detect_pin);
        card.detect_driver = wire_driver(card.detect);
    }
    set_detect(card.bytes);
    command_add("card", change, NULL);
    power_watch(power_changed_at, NULL);
}
