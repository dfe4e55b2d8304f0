// SPDX-License-Identifier: MIT
//
// What the files of the core share and no caller needs.
#ifndef HSX_INTERNAL_H
#define HSX_INTERNAL_H

#include "hsxvm.h"

// C99 has no _Static_assert: an array of negative size stops the compiler.
#define HSX_STATIC_ASSERT(name, condition) typedef char hsx_assert_##name[(condition) ? 1 : -1]

// task.c
hsx_task_t *hsx_find(const hsx_vm_t *vm, uint32_t pid);    // NULL: free or out of range
int hsx_find_loaded(const hsx_vm_t *vm, uint32_t pid, hsx_task_t **task);  // ESRCH, EBUSY
bool hsx_take(const hsx_vm_t *vm, hsx_block_t *block, uint32_t size);      // false: no room
void hsx_release(hsx_task_t *task);                        // both blocks, back to the pool

// vm.c: the PSW from and to its parts; the code word at any address within the code
uint32_t hsx_get_psw(const hsx_run_t *run);
void hsx_set_psw(hsx_run_t *run, uint32_t psw);
uint32_t hsx_code_word(const hsx_run_t *run, uint32_t pc);

// crc32.c: CRC-32 of spec/hxe_v2.md section 3, running; starts with 0, as zlib's
uint32_t hsx_crc32(uint32_t crc, const uint8_t *buf, size_t len);

// float16.c: f16 arithmetic of spec/vm_isa.md section 7. Operands: bits 15:0; results: 16 bits
uint32_t hsx_f16_add(uint32_t a, uint32_t b);
uint32_t hsx_f16_sub(uint32_t a, uint32_t b);
uint32_t hsx_f16_mul(uint32_t a, uint32_t b);
uint32_t hsx_f16_div(uint32_t a, uint32_t b);
uint32_t hsx_f16_from_int(uint32_t value);
uint32_t hsx_f16_to_int(uint32_t a);

#endif
