// SPDX-License-Identifier: MIT
//
// f16 arithmetic of spec/vm_isa.md section 7, the only floating point in the core.
//
// Operands become float exactly, the operation rounds to 24 bits, encoding rounds to 11: for
// + - * / of two f16 that gives the same as one rounding, because 24 >= 2 * 11 + 2. So single
// precision, which small cores have in hardware, is enough. Conversions work on the bits, or are
// the core's own where it has them.

#include <string.h>

#include "internal.h"

HSX_STATIC_ASSERT(float_is_binary32, sizeof(float) == sizeof(uint32_t));

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Bits 15:0 as float; a NaN becomes some NaN.
static float decode(uint32_t half);

// `value` rounded once, to nearest, ties to even, and as IEEE 754 has it: subnormals, infinity for
// what is too large. Any NaN for NaN.
static uint32_t round_to_half(float value);

#if defined(__ARM_FP) && ((__ARM_FP & 2) != 0 || defined(__ARM_ARCH_7EM__))

// The core converts by itself. (For Cortex-M4 and M7 compilers leave out the bit that says so.)
static float decode(uint32_t half) {
    float value = from_bits(half);
    __asm__("vcvtb.f32.f16 %0, %0" : "+t"(value));
    return value;
}

static uint32_t round_to_half(float value) {
    __asm__("vcvtb.f16.f32 %0, %0" : "+t"(value));
    return to_bits(value) & 0xFFFF;
}

#else

static float decode(uint32_t half) {
    uint32_t sign = (half & 0x8000) << 16;
    uint32_t magnitude = half & 0x7FFF;
    if (magnitude >= 0x7C00) {
        return from_bits(sign | 0x7F800000 | magnitude << 13);
    }
    if (magnitude < 0x0400) {  // 0, subnormal: a small integer times 2**-24, exact
        float value = (float)(int32_t)magnitude * from_bits(0x33800000);
        return sign != 0 ? -value : value;
    }
    return from_bits(sign | ((magnitude << 13) + 0x38000000));
}

// Shifts right by `n` (1 .. 31), rounds to nearest, ties to even.
static uint32_t shift_rounded(uint32_t value, uint32_t n) {
    uint32_t kept = value >> n;
    uint32_t rest = value & ((1u << n) - 1);
    uint32_t half = 1u << (n - 1);
    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

static uint32_t round_to_half(float value) {
    uint32_t bits = to_bits(value);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
        return 0x7E00;
    }
    if (magnitude >= 0x477FF000) {
        return sign | 0x7C00;  // 65520 and above
    }
    if (magnitude >= 0x38800000) {  // normal: a carry out of the mantissa raises the exponent
        return sign | (shift_rounded(magnitude, 13) - (112u << 10));
    }
    if (magnitude < 0x33000000) {
        return sign;  // below 2**-25
    }
    return sign | shift_rounded((magnitude & 0x7FFFFF) | 0x800000, 126 - (magnitude >> 23));
}

#endif

// f16 of `value` as the reference encodes it.
static uint32_t encode(float value) {
    uint32_t half = round_to_half(value);
    if ((half & 0x7FFF) > 0x7C00) {
        return 0x7E00;  // every NaN, without its sign
    }
    // The one deviation from IEEE 754: what lies below 2**-14 is not rounded up to it.
    if ((half & 0x7FFF) == 0x0400 && (to_bits(value) & 0x7FFFFFFF) < 0x38800000) {
        return half - 1;
    }
    return half;
}

uint32_t hsx_f16_add(uint32_t a, uint32_t b) {
    return encode(decode(a) + decode(b));
}

uint32_t hsx_f16_sub(uint32_t a, uint32_t b) {
    return encode(decode(a) - decode(b));
}

uint32_t hsx_f16_mul(uint32_t a, uint32_t b) {
    return encode(decode(a) * decode(b));
}

uint32_t hsx_f16_div(uint32_t a, uint32_t b) {
    if ((b & 0x7FFF) == 0) {
        b = 0x7C00;  // a divisor of +0 or -0 counts as +infinity
    }
    return encode(decode(a) / decode(b));
}

uint32_t hsx_f16_from_int(uint32_t value) {
    uint32_t sign = value >> 16 & 0x8000;
    uint32_t magnitude = sign != 0 ? 0 - value : value;
    if (magnitude >= 65520) {
        return sign | 0x7C00;
    }
    return sign | encode((float)(int32_t)magnitude);  // exact: below 2**24
}

uint32_t hsx_f16_to_int(uint32_t a) {
    uint32_t exponent = a >> 10 & 31;
    uint32_t mantissa = (a & 0x3FF) | 0x400;
    uint32_t magnitude;
    if (exponent == 31) {
        if ((a & 0x3FF) != 0) {
            return 0;
        }
        return (a & 0x8000) != 0 ? 0x80000000 : 0x7FFFFFFF;
    }
    if (exponent < 15) {
        return 0;
    }
    magnitude = exponent < 25 ? mantissa >> (25 - exponent) : mantissa << (exponent - 25);
    return (a & 0x8000) != 0 ? 0 - magnitude : magnitude;
}
