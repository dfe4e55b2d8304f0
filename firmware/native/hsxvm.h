// SPDX-License-Identifier: MIT
//
// HSX virtual machine: streaming loader for HXE images and the interpreter that runs them.
//
// The core neither allocates nor prints and has no state of its own: the caller gives the pool
// that all task memory comes from, the task table, and the hsx_vm_t that ties them together.
// Formats and instructions are those of spec/hxe_v2.md and spec/vm_isa.md.
//
//     hsx_vm_t vm;
//     static hsx_task_t tasks[4];
//     static uint8_t pool[32768];
//     hsx_cfg_t cfg = {.pool = pool, .pool_len = sizeof pool, .tasks = tasks, .task_count = 4};
//     hsx_init(&vm, &cfg);
//     int pid = hsx_load(&vm, image, image_len, 0);
//     int stop = hsx_clock(&vm, pid, 1000);        // stop & 0xFF is HSX_STOP_..., stop >> 8 detail
//
// All lengths, addresses and sizes are bytes. Calls return 0 or a positive result, or one of the
// negative numbers below. A call that fails leaves everything as it was, except a load: that is
// refused as a whole and its memory is given back. Nothing is re-entrant: one caller at a time.
#ifndef HSXVM_H
#define HSXVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Limits
enum {
    HSX_MAX_TASKS = 32,          // PIDs at once, task_count of hsx_cfg_t
    HSX_MAX_SECTION = 0x10000,   // code, rodata, bss: at most this each
    HSX_DATA_BASE = 0x4000,      // guest address of rodata, bss behind it
    HSX_DATA_TOP = 0xEFFC,       // rodata + bss end here at the latest
    HSX_STACK_TOP = 0xFFFC,      // first stack pointer; the word above it can be read
    HSX_STACK_DEFAULT = 1536,    // stack where 0 is asked for
    HSX_STACK_FLAT = 4096,       // the same in the flat profile, as the reference has it
    HSX_MAX_STEPS = 0x3FFFFFFF,  // largest budget of hsx_clock()
};

// Errors: Linux's numbers, negative.
enum {
    HSX_ESRCH = -3,     // no such PID
    HSX_EBUSY = -16,    // PID is in another state than the call needs
    HSX_EINVAL = -22,   // argument out of range
    HSX_ENOSPC = -28,   // no task slot or no pool memory
    HSX_EBADMSG = -74,  // image is malformed
};

// Rules of an image, as spec/hxe_v2.md section 9 numbers them. What is missing there is checked
// by the layer above (sections, names) or cannot happen here.
enum {
    HSX_RULE_NONE = 0,
    HSX_RULE_SHORT = 1,
    HSX_RULE_VERSION = 2,
    HSX_RULE_SHORT_V2 = 3,
    HSX_RULE_RESERVED = 4,
    HSX_RULE_NAME_ASCII = 5,
    HSX_RULE_MAGIC = 6,
    HSX_RULE_TOO_LARGE = 7,
    HSX_RULE_ALIGN = 8,
    HSX_RULE_CRC = 9,
    HSX_RULE_TRUNCATED = 10,
    HSX_RULE_ENTRY = 11,
    HSX_RULE_TABLE_OVERLAP = 12,
    HSX_RULE_MEMORY = 17,
    HSX_RULE_DATA_WINDOW = 20,  // rodata + bss reach beyond HSX_DATA_TOP
};

// States of a PID
enum {
    HSX_FREE = 0,
    HSX_LOADING = 1,
    HSX_FAILED = 2,  // load refused, memory is back; hsx_load_abort() gives back the PID
    HSX_READY = 3,
    HSX_PARKED = 4,  // faulted, exited or returned; kept until hsx_unload() or a PC is set
};

// What hsx_clock() stopped for, bits 7:0 of its result; bits 31:8 are the detail.
enum {
    HSX_STOP_OK = 0,        // budget used up
    HSX_STOP_SVC = 1,       // detail: module << 8 | function; PC is behind the SVC
    HSX_STOP_BRK = 2,       // detail: code of the BRK; PC is behind it
    HSX_STOP_FAULT = 3,     // detail: HSX_FAULT_...; parked
    HSX_STOP_EXIT = 4,      // SVC TASK_EXIT, R0 is the exit code; parked
    HSX_STOP_RETURNED = 5,  // RET at call depth 0, R0 is the exit code; parked
    HSX_STOP_SLEEP = 6,     // SVC EXEC_SLEEP_MS; R0 holds the ms (not 0) until the caller clears it
};

// Faults. 2 to 5 put 0xFFFFFF00 | number into R0, are not counted, PC on the instruction.
enum {
    HSX_FAULT_STACK_UNDERFLOW = 2,
    HSX_FAULT_STACK_OVERFLOW = 3,
    HSX_FAULT_MEM = 4,
    HSX_FAULT_DIV_ZERO = 5,
    HSX_FAULT_ILLEGAL = 6,   // counted, PC behind it, R0 unchanged
    HSX_FAULT_PC_RANGE = 7,  // not counted, PC as it is, R0 unchanged
};

// What hsx_get() and hsx_set() name; 0 to 15 are R0 to R15.
enum {
    HSX_PC = 16,
    HSX_SP = 17,
    HSX_PSW = 18,          // HSX_FLAG_... bits
    HSX_DEPTH = 19,        // call depth
    HSX_STEPS = 20,        // retired instructions, wraps
    HSX_STACK_LIMIT = 21,  // lowest stack address; this and the following cannot be set
    HSX_CODE_LEN = 22,
    HSX_RO_LEN = 23,
    HSX_ARENA = 24,      // bytes of the pool that the PID holds
    HSX_LAST_PC = 25,    // last instruction that retired or stopped; 0xFFFFFFFF before the first
    HSX_LAST_WORD = 26,  // its word; 0 where there is none (PC outside the code)
};

enum { HSX_FLAG_Z = 1, HSX_FLAG_C = 2, HSX_FLAG_N = 4, HSX_FLAG_V = 8 };

// A part of guest memory that exists: `base` .. `base + last + 3`, held at `mem`.
typedef struct hsx_window {
    uint32_t base;
    uint32_t last;  // size - 4: a word access at this offset is the last one inside
    uint8_t *mem;
} hsx_window_t;

// Running state of a task; valid from hsx_load_end() on.
typedef struct hsx_run {
    uint32_t regs[16];
    uint32_t pc;
    uint32_t sp;
    uint32_t result;  // this and the next three: the flags, as vm.c says at its top
    uint32_t kind;
    uint32_t left;
    uint32_t right;
    uint32_t depth;
    uint32_t steps;
    uint32_t code_len;     // not 0, multiple of 4
    uint32_t code_words;   // code_len / 4
    uint32_t longest_run;  // instructions that can follow each other without a jump: upper bound
    uint32_t last_pc;
    const uint8_t *code;  // words in the machine's order, then one illegal word
    hsx_window_t stack;   // from the stack limit up; tried first
    hsx_window_t data;    // in the flat profile all of the memory
} hsx_run_t;

// One image on its way in; valid from hsx_load_begin() to hsx_load_end().
typedef struct hsx_load {
    uint8_t header[96];
    uint32_t phase;  // private
    uint32_t have;   // bytes of this phase that are in
    uint32_t need;   // bytes of this phase
    uint32_t offset; // bytes of the image that are in, up to 2**32 - 1
    uint32_t crc;    // running CRC-32 over the bytes that it covers
} hsx_load_t;

// A piece of the pool; size 0: none.
typedef struct hsx_block {
    uint32_t offset;
    uint32_t size;
} hsx_block_t;

// One PID
typedef struct hsx_task {
    uint32_t state;        // HSX_FREE ...
    uint32_t stop;         // of a PARKED task: what hsx_clock() returns
    uint32_t code_len;     // this and the next two: from the header once it is in
    uint32_t ro_len;
    uint32_t data_len;     // size of the data window
    hsx_block_t image;     // code and data, taken when the header is in
    hsx_block_t stack;     // taken at the end; none in the flat profile
    union {
        hsx_load_t load;  // LOADING
        hsx_run_t run;    // READY, PARKED
    } as;
} hsx_task_t;

// Why the last load call failed
typedef struct hsx_error {
    int err;          // negative errno, 0: none failed yet
    uint32_t offset;  // byte of the image: the field at fault, else how far the image reached
    uint32_t rule;    // HSX_RULE_...
} hsx_error_t;

typedef struct hsx_cfg {
    uint8_t *pool;        // all task memory; must stay where it is. Aligned to 4 it is fastest
    size_t pool_len;      // what exceeds 2**31 - 1 is not used
    hsx_task_t *tasks;    // task table; need not be cleared
    uint32_t task_count;  // 1 to HSX_MAX_TASKS
    bool flat;            // each task gets the reference's 64 KiB data space
} hsx_cfg_t;

typedef struct hsx_vm {
    uint8_t *pool;
    uint32_t pool_len;
    hsx_task_t *tasks;
    uint32_t task_count;
    bool flat;
    hsx_error_t error;
} hsx_vm_t;

// Takes over pool and table. EINVAL: task_count out of range.
int hsx_init(hsx_vm_t *vm, const hsx_cfg_t *cfg);

// ---- Load -------------------------------------------------------------------------------------

// A new PID in LOADING, `wanted` or, for 0, the lowest free one from 1 on; no pool memory yet.
// ENOSPC: no slot; EBUSY: the wanted one is in use; EINVAL: it is out of range.
int hsx_load_begin(hsx_vm_t *vm, uint32_t wanted);

// Takes the next `len` bytes of the image, any number. `*body` is the index in `buf` of the first
// byte behind the rodata, `len` if there is none: from there on it is metadata, the caller's.
// The header is checked, and memory for code and data taken, as soon as the header is complete.
// EBADMSG, ENOSPC: PID is FAILED, its memory is back. ESRCH; EBUSY: not LOADING.
int hsx_load_write(hsx_vm_t *vm, uint32_t pid, const uint8_t *buf, size_t len, size_t *body);

// Once the code and the rodata are in: `size` bytes more (rounded up to 4) of data, behind the bss;
// what is in the arena may move for it. The flat profile has them anyway. ENOSPC: PID is FAILED.
// ESRCH; EBUSY: not LOADING, or the header is not in.
int hsx_load_heap(hsx_vm_t *vm, uint32_t pid, uint32_t size);

// Checks length and CRC, takes `stack` bytes of stack (rounded up to 4; 0: the profile's default)
// and makes the PID READY. ENOSPC also where the stack would reach down into the data window.
// Errors as hsx_load_write().
int hsx_load_end(hsx_vm_t *vm, uint32_t pid, uint32_t stack);

// Gives back a LOADING or FAILED PID. ESRCH in any other state.
int hsx_load_abort(hsx_vm_t *vm, uint32_t pid);

// Begin, write and end in one: PID, or an error after which nothing is left.
int hsx_load(hsx_vm_t *vm, const uint8_t *buf, size_t len, uint32_t stack);

// The last load call that failed; stays until the next one fails.
const hsx_error_t *hsx_load_error(const hsx_vm_t *vm);

// ---- Tasks ------------------------------------------------------------------------------------

// Gives back a READY or PARKED PID. ESRCH; EBUSY: LOADING or FAILED.
int hsx_unload(hsx_vm_t *vm, uint32_t pid);

// State of a PID; ESRCH: free or out of range.
int hsx_state(const hsx_vm_t *vm, uint32_t pid);

// Bytes of the pool that no PID holds.
uint32_t hsx_free(const hsx_vm_t *vm);

// Runs at most `steps` counted instructions: HSX_STOP_... | detail << 8. A PARKED task gives its
// stop again. SVC CORE_GET_STEPS and EXEC_SLEEP_MS with 0 ms are answered inside.
// ESRCH; EBUSY: LOADING or FAILED; EINVAL: steps > HSX_MAX_STEPS.
int hsx_clock(hsx_vm_t *vm, uint32_t pid, uint32_t steps);

// A register or one of the numbers above. ESRCH; EBUSY: LOADING or FAILED; EINVAL: no such number,
// or one that cannot be set. The PSW takes its low four bits. A PARKED task whose PC is set is READY.
int hsx_get(const hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t *value);
int hsx_set(hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t value);

// Copy guest memory at `addr` (& 0xFFFF) out or in, to the end of the window at most: bytes
// copied, 0 where nothing is mapped. ESRCH; EBUSY: LOADING or FAILED.
int hsx_read(const hsx_vm_t *vm, uint32_t pid, uint32_t addr, uint8_t *buf, size_t len);
int hsx_write(hsx_vm_t *vm, uint32_t pid, uint32_t addr, const uint8_t *buf, size_t len);

#endif
