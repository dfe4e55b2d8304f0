// SPDX-License-Identifier: MIT
//
// The instruction set and the loader's verdict once more, as plainly as C allows, from
// spec/vm_isa.md and spec/hxe_v2.md: flags at once, every check at every instruction, f16 in
// double, the whole image at once. Shares nothing with the core but the numbers in hsxvm.h.
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "hsxvm.h"

// What a whole image is worth: err 0, HSX_EBADMSG with the rule. Memory is not looked at.
typedef struct verdict {
    int err;
    uint32_t rule;
    uint32_t header;  // bytes of header; this and the following where err is 0
    uint32_t entry;
    uint32_t code_len;
    uint32_t ro_len;
    uint32_t bss_size;
} verdict_t;

verdict_t model_judge(const uint8_t *image, size_t len);

// CRC-32 over what the image's CRC covers, bit by bit. `len` at least the header.
uint32_t model_crc(const uint8_t *image, size_t len, size_t header);

// Guest memory `base` .. `base + size - 1`; an access must lie wholly inside one of these.
typedef struct model_window {
    uint32_t base;
    uint32_t size;
    uint8_t *mem;
} model_window_t;

typedef struct model {
    const uint8_t *code;  // as in the image
    uint32_t code_len;
    model_window_t windows[2];  // size 0: none
    uint32_t stack_limit;
    uint32_t regs[16];
    uint32_t pc;
    uint32_t sp;
    uint32_t psw;
    uint32_t depth;
    uint32_t steps;
    uint32_t last_pc;
    uint64_t retired[256];  // how often each opcode was counted
} model_t;

// Fresh task of an image that model_judge() accepts, in the memory that `data` (65,536 bytes) and
// `stack_mem` (65,536 bytes) are. `stack`: bytes, not 0, multiple of 4.
void model_start(model_t *model, const uint8_t *image, const verdict_t *verdict, bool flat,
                 uint32_t stack, uint8_t *data, uint8_t *stack_mem);

// At most `steps` counted instructions: as hsx_clock(), but a task that stopped runs on.
uint32_t model_clock(model_t *model, uint32_t steps);

#endif
