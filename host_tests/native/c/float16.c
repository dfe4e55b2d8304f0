// SPDX-License-Identifier: MIT
//
// f16: the cases that spec/vm_isa.md section 7 names, and laws over all numbers. Every result of
// every operation is held against the model elsewhere (fuzz/).

#include "unit.h"

#include "internal.h"

enum { ONE = 0x3C00, INF = 0x7C00, QUIET_NAN = 0x7E00, LARGEST = 0x7BFF, SIGN = 0x8000 };

static bool is_nan(uint32_t half) {
    return (half & 0x7FFF) > INF;
}

static void adding_nothing_gives_every_number_back(void) {
    for (uint32_t a = 0; a < 0x10000; a++) {
        uint32_t same = is_nan(a) ? QUIET_NAN : a;
        CHECK_EQ(hsx_f16_sub(a, 0), same);
        CHECK_EQ(hsx_f16_mul(a, ONE), same);
        CHECK_EQ(hsx_f16_div(a, ONE), same);
    }
}

static void bits_above_the_half_do_not_matter(void) {
    for (uint32_t a = 0; a < 0x10000; a += 0x101) {
        CHECK_EQ(hsx_f16_add(0xABCD0000 | a, 0x12340000 | ONE), hsx_f16_add(a, ONE));
        CHECK_EQ(hsx_f16_to_int(0xABCD0000 | a), hsx_f16_to_int(a));
    }
}

static void every_integer_that_fits_comes_back(void) {
    for (uint32_t i = 0; i <= 2048; i++) {
        CHECK_EQ(hsx_f16_to_int(hsx_f16_from_int(i)), i);
        CHECK_EQ(hsx_f16_to_int(hsx_f16_from_int(0 - i)), 0 - i);
    }
}

static void conversions_round_and_end_where_they_should(void) {
    CHECK_EQ(hsx_f16_from_int(2049), hsx_f16_from_int(2048));  // a tie goes to even
    CHECK_EQ(hsx_f16_from_int(2051), hsx_f16_from_int(2052));
    CHECK_EQ(hsx_f16_from_int(65519), LARGEST);
    CHECK_EQ(hsx_f16_from_int(65520), INF);
    CHECK_EQ(hsx_f16_from_int(0x80000000), SIGN | INF);
    CHECK_EQ(hsx_f16_to_int(0xBE00), 0xFFFFFFFF);  // -1.5
    CHECK_EQ(hsx_f16_to_int(INF), 0x7FFFFFFF);
    CHECK_EQ(hsx_f16_to_int(SIGN | INF), 0x80000000);
    CHECK_EQ(hsx_f16_to_int(QUIET_NAN), 0);
    CHECK_EQ(hsx_f16_to_int(0x7C01), 0);
}

static void a_divisor_of_zero_counts_as_infinity(void) {
    CHECK_EQ(hsx_f16_div(ONE, 0), 0);
    CHECK_EQ(hsx_f16_div(SIGN | ONE, SIGN), SIGN);
    CHECK_EQ(hsx_f16_div(0, 0), 0);
    CHECK_EQ(hsx_f16_div(INF, SIGN), QUIET_NAN);
}

static void nothing_rounds_up_to_the_smallest_normal(void) {
    // 0x7FF * 2**-25 lies half way between 0x3FF and 0x400: even would be 0x400
    CHECK_EQ(hsx_f16_mul(0x07FF, 0x3800), 0x03FF);
    CHECK_EQ(hsx_f16_add(0x03FF, 0x0001), 0x0400);  // exact
}

static void what_is_no_number_is_one_nan(void) {
    CHECK_EQ(hsx_f16_sub(INF, INF), QUIET_NAN);
    CHECK_EQ(hsx_f16_mul(INF, 0), QUIET_NAN);
    CHECK_EQ(hsx_f16_add(0xFFFF, ONE), QUIET_NAN);
    CHECK_EQ(hsx_f16_div(INF, INF), QUIET_NAN);
}

void run_float16_tests(void) {
    RUN(adding_nothing_gives_every_number_back);
    RUN(bits_above_the_half_do_not_matter);
    RUN(every_integer_that_fits_comes_back);
    RUN(conversions_round_and_end_where_they_should);
    RUN(a_divisor_of_zero_counts_as_infinity);
    RUN(nothing_rounds_up_to_the_smallest_normal);
    RUN(what_is_no_number_is_one_nan);
}
