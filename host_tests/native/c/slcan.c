// SPDX-License-Identifier: MIT
//
// SLCAN lines in memory allocated to the byte.

#include "unit.h"

#include <string.h>

#include "slcan.h"

static int parse(const char *text, uint8_t data[8]) {
    size_t len = strlen(text);
    uint8_t *line = malloc(len != 0 ? len : 1);
    CHECK(line != NULL);
    memcpy(line, text, len);
    int got = hsx_slcan_parse(line, len, data);
    free(line);
    return got;
}

static void what_is_formatted_is_parsed_to_the_same(void) {
    for (uint32_t ident = 0; ident <= 0x7FF; ident++) {
        size_t len = ident % 9;
        uint8_t line[HSX_SLCAN_LINE];
        uint8_t data[8];
        uint8_t got[8];
        for (size_t i = 0; i < 8; i++) {
            data[i] = (uint8_t)(ident * 7 + i * 37);
        }
        size_t size = hsx_slcan_format(ident, data, len, line);
        CHECK_EQ(size, 6 + 2 * len);
        CHECK_EQ(line[size - 1], '\r');
        CHECK_EQ(hsx_slcan_parse(line, size - 1, got), ident | len << 11);
        CHECK(memcmp(data, got, len) == 0);
    }
}

static void both_cases_of_letters_are_digits_and_nothing_else_is(void) {
    uint8_t data[8];
    CHECK_EQ(parse("t7Af1aB", data), 0x7AF | 1 << 11);
    CHECK_EQ(data[0], 0xAB);
    for (int c = 1; c < 256; c++) {
        char text[] = "t1231A0";
        text[5] = (char)c;
        bool digit = strchr("0123456789abcdefABCDEF", c) != NULL;
        CHECK(parse(text, data) == (digit ? (0x123 | 1 << 11) : HSX_SLCAN_BAD));
    }
}

static void a_line_of_another_length_or_kind_is_no_frame(void) {
    static const char *const wrong[] = {
        "", "t", "t123", "t1231", "t1231A", "t1231ABC", "t1230A", "t1239001122334455667788",
        "t123A", "t8000", "tFFF0", "T1230", "r1230", " t1230", "t1230 ",
    };
    uint8_t data[8];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(parse(wrong[i], data) == HSX_SLCAN_BAD);
    }
    CHECK_EQ(parse("t1230", data), 0x123);
}

void run_slcan_tests(void) {
    RUN(what_is_formatted_is_parsed_to_the_same);
    RUN(both_cases_of_letters_are_digits_and_nothing_else_is);
    RUN(a_line_of_another_length_or_kind_is_no_frame);
}
