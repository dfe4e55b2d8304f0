// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// A slot. The setting `card` names the file of a card that is in it when the machine starts;
// `card in PATH` and `card out` of the control channel change it. The detect pin, if there is one,
// is connected to ground while a card is in.
void sd_card_slot(const char *detect_pin);

// For the host controller ------------------------------------------------------------------------

#define SD_BLOCK 512
#define SD_NEVER UINT64_MAX

typedef enum { SD_NO_RESPONSE, SD_SHORT, SD_SHORT_WITHOUT_CRC, SD_LONG } SdKind;

typedef struct {
    SdKind kind;
    uint8_t index;      // as it stands in the response
    uint32_t words[4];  // the first one alone, if it is short
} SdResponse;

// The lines of the slot at PC8 to PC12 and PD2, by this alternate function of theirs.
void sd_card_lines(unsigned function);
// Whether the lines of one or of four data lines are at their pins.
bool sd_card_lines_ready(bool wide);
// The clock that the host gives; 0: none.
void sd_card_clock(uint32_t hz);
// A command has arrived.
SdResponse sd_card_command(unsigned index, uint32_t argument);
// Whether it uses four data lines.
bool sd_card_is_wide(void);
// When it begins to send a block; SD_NEVER: it does not.
Time sd_card_sends_at(void);
// The block that it begins to send now: its size.
size_t sd_card_send(uint8_t *block);
// The block is over; false: the card was taken out, or stopped by a command, before its end.
bool sd_card_sent(void);
// A block has arrived; false: its CRC status does not come, or is negative.
bool sd_card_receive(const uint8_t *block, size_t size);
// Until when it holds D0 low.
Time sd_card_busy_until(void);
