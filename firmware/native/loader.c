// SPDX-License-Identifier: MIT
//
// HXE images come in, in pieces of any size (spec/hxe_v2.md).
//
// Phases: HEADER (first the 32 bytes that say the version, then the rest), CODE, RODATA, META.
// Every check is made at a place in the image, never at a place in a piece, so that any split
// gives the same result. Code and rodata are copied once, to where they run.

#include <string.h>

#include "internal.h"
#include "memory.h"
#include "opcodes.h"

enum { HEADER = 0, CODE = 1, RODATA = 2, META = 3 };
enum { HEADER_V1 = 32, HEADER_V2 = 96 };

// Offsets of header fields
enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    ENTRY = 0x08,
    CODE_LEN = 0x0C,
    RO_LEN = 0x10,
    BSS_SIZE = 0x14,
    CRC = 0x1C,
    APP_NAME = 0x20,
    META_OFFSET = 0x40,
    RESERVED = 0x48,
};

HSX_STATIC_ASSERT(header_fits, sizeof(((hsx_load_t *)0)->header) == HEADER_V2);
HSX_STATIC_ASSERT(data_top_aligned, HSX_DATA_TOP % 4 == 0 && HSX_DATA_BASE % 4 == 0);

static int fail(hsx_vm_t *vm, int err, uint32_t offset, uint32_t rule) {
    vm->error.err = err;
    vm->error.offset = offset;
    vm->error.rule = rule;
    return err;
}

static int malformed(hsx_vm_t *vm, uint32_t offset, uint32_t rule) {
    return fail(vm, HSX_EBADMSG, offset, rule);
}

// A PID that takes bytes: ESRCH, EBUSY.
static int find_loading(hsx_vm_t *vm, uint32_t pid, hsx_task_t **task) {
    *task = hsx_find(vm, pid);
    if (*task == NULL) {
        return fail(vm, HSX_ESRCH, 0, HSX_RULE_NONE);
    }
    if ((*task)->state != HSX_LOADING) {
        return fail(vm, HSX_EBUSY, 0, HSX_RULE_NONE);
    }
    return 0;
}

static void refuse(hsx_task_t *task) {
    hsx_release(task);
    task->state = HSX_FAILED;
}

// ---- Header -----------------------------------------------------------------------------------

static uint32_t field(const hsx_load_t *load, uint32_t offset) {
    return get_be32(load->header + offset);
}

// Rules 4 and 5: what only version 2 has.
static int check_v2(hsx_vm_t *vm, const hsx_load_t *load) {
    for (uint32_t i = RESERVED; i < HEADER_V2; i++) {
        if (load->header[i] != 0) {
            return malformed(vm, i, HSX_RULE_RESERVED);
        }
    }
    for (uint32_t i = APP_NAME; i < META_OFFSET && load->header[i] != 0; i++) {
        if (load->header[i] > 0x7F) {
            return malformed(vm, i, HSX_RULE_NAME_ASCII);
        }
    }
    return 0;
}

// Rules 6, 7, 8, 11, 12 and 20. The sums cannot overflow: each term has passed rule 7.
static int check_fields(hsx_vm_t *vm, const hsx_load_t *load) {
    uint32_t entry = field(load, ENTRY);
    uint32_t code_len = field(load, CODE_LEN);
    uint32_t ro_len = field(load, RO_LEN);
    uint32_t bss_size = field(load, BSS_SIZE);
    if (memcmp(load->header + MAGIC, "HSXE", 4) != 0) {
        return malformed(vm, MAGIC, HSX_RULE_MAGIC);
    }
    for (uint32_t i = CODE_LEN; i <= BSS_SIZE; i += 4) {
        if (field(load, i) > HSX_MAX_SECTION) {
            return malformed(vm, i, HSX_RULE_TOO_LARGE);
        }
    }
    if (code_len % 4 != 0) {
        return malformed(vm, CODE_LEN, HSX_RULE_ALIGN);
    }
    if (entry % 4 != 0) {
        return malformed(vm, ENTRY, HSX_RULE_ALIGN);
    }
    if (entry >= code_len) {
        return malformed(vm, ENTRY, HSX_RULE_ENTRY);
    }
    if (load->have == HEADER_V2) {
        uint32_t meta_offset = field(load, META_OFFSET);
        if (meta_offset != 0 && meta_offset < HEADER_V2 + code_len + ro_len) {
            return malformed(vm, META_OFFSET, HSX_RULE_TABLE_OVERLAP);
        }
    }
    if (ro_len + bss_size > HSX_DATA_TOP - HSX_DATA_BASE) {
        return malformed(vm, RO_LEN, HSX_RULE_DATA_WINDOW);
    }
    return 0;
}

// In the image block: code, one illegal word, data. The word stops a run that leaves the code.
static uint8_t *code_of(const hsx_vm_t *vm, const hsx_task_t *task) {
    return vm->pool + task->image.offset;
}

static uint8_t *data_of(const hsx_vm_t *vm, const hsx_task_t *task) {
    return code_of(vm, task) + task->code_len + 4;
}

static uint8_t *rodata_of(const hsx_vm_t *vm, const hsx_task_t *task) {
    return data_of(vm, task) + (vm->flat ? HSX_DATA_BASE : 0);
}

// All of the header is here: memory for what it announces.
static int take_image(hsx_vm_t *vm, hsx_task_t *task) {
    hsx_load_t *load = &task->as.load;
    uint32_t size;
    task->code_len = field(load, CODE_LEN);
    task->ro_len = field(load, RO_LEN);
    task->data_len = (task->ro_len + field(load, BSS_SIZE) + 3) & ~(uint32_t)3;
    size = task->code_len + 4 + (vm->flat ? 0x10000 : task->data_len);
    if (!hsx_take(vm, &task->image, size)) {
        return fail(vm, HSX_ENOSPC, load->have, HSX_RULE_MEMORY);
    }
    memset(code_of(vm, task) + task->code_len, 0, 4);
    load->crc = hsx_crc32(0, load->header, CRC);
    return 0;
}

// Called with `need` bytes in: once at 32, for version 2 again at 96.
static int header_done(hsx_vm_t *vm, hsx_task_t *task) {
    hsx_load_t *load = &task->as.load;
    uint32_t version = get_be16(load->header + VERSION);
    int err = 0;
    if (version != 1 && version != 2) {
        return malformed(vm, VERSION, HSX_RULE_VERSION);
    }
    if (version == 2 && load->need == HEADER_V1) {
        load->need = HEADER_V2;
        return 0;
    }
    if (version == 2) {
        err = check_v2(vm, load);
    }
    if (err == 0) {
        err = check_fields(vm, load);
    }
    if (err == 0) {
        err = take_image(vm, task);
    }
    if (err == 0) {
        load->phase = CODE;
        load->have = 0;
        load->need = task->code_len;
    }
    return err;
}

// ---- Pieces -----------------------------------------------------------------------------------

// Copies what of `len` bytes belongs to the present phase: how many.
static size_t fill(hsx_load_t *load, uint8_t *to, const uint8_t *buf, size_t len) {
    size_t n = load->need - load->have;
    if (n > len) {
        n = len;
    }
    memcpy(to + load->have, buf, n);
    load->have += (uint32_t)n;
    return n;
}

// One step: takes at least one of `len` (not 0) bytes and sets `*taken`.
static int take_bytes(
    hsx_vm_t *vm, hsx_task_t *task, const uint8_t *buf, size_t len, size_t *taken
) {
    hsx_load_t *load = &task->as.load;
    if (load->phase == HEADER) {
        *taken = fill(load, load->header, buf, len);
        return load->have == load->need ? header_done(vm, task) : 0;
    }
    if (load->phase == META) {
        *taken = len;
    } else {
        bool code = load->phase == CODE;
        *taken = fill(load, code ? code_of(vm, task) : rodata_of(vm, task), buf, len);
        if (load->have == load->need) {
            load->phase = code && task->ro_len != 0 ? RODATA : META;
            load->have = 0;
            load->need = task->ro_len;
        }
    }
    load->crc = hsx_crc32(load->crc, buf, *taken);
    return 0;
}

int hsx_load_begin(hsx_vm_t *vm, uint32_t wanted) {
    if (wanted > vm->task_count) {
        return fail(vm, HSX_EINVAL, 0, 0);
    }
    if (wanted != 0 && vm->tasks[wanted - 1].state != HSX_FREE) {
        return fail(vm, HSX_EBUSY, 0, 0);
    }
    for (uint32_t pid = wanted != 0 ? wanted : 1; pid <= vm->task_count; pid++) {
        hsx_task_t *task = &vm->tasks[pid - 1];
        if (task->state == HSX_FREE) {
            memset(task, 0, sizeof *task);
            task->state = HSX_LOADING;
            task->as.load.need = HEADER_V1;
            return (int)pid;
        }
    }
    return fail(vm, HSX_ENOSPC, 0, HSX_RULE_MEMORY);
}

int hsx_load_write(hsx_vm_t *vm, uint32_t pid, const uint8_t *buf, size_t len, size_t *body) {
    hsx_task_t *task;
    size_t at = 0;
    int err = find_loading(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    hsx_load_t *load = &task->as.load;
    *body = len;
    while (at < len) {
        size_t taken = 0;
        if (load->phase == META && *body == len) {
            *body = at;
        }
        err = take_bytes(vm, task, buf + at, len - at, &taken);
        if (err != 0) {
            refuse(task);
            return err;
        }
        load->offset = taken > UINT32_MAX - load->offset ? UINT32_MAX
                                                         : load->offset + (uint32_t)taken;
        at += taken;
    }
    return 0;
}

// ---- End --------------------------------------------------------------------------------------

// Rules 1, 3, 9 and 10, in the reference's order: a body that is cut is first of all one whose
// checksum differs.
static int check_end(hsx_vm_t *vm, const hsx_load_t *load) {
    if (load->phase == HEADER) {
        uint32_t rule = load->need == HEADER_V1 ? HSX_RULE_SHORT : HSX_RULE_SHORT_V2;
        return malformed(vm, load->offset, rule);
    }
    if (load->crc != field(load, CRC)) {
        return malformed(vm, CRC, HSX_RULE_CRC);
    }
    if (load->phase != META) {
        return malformed(vm, load->offset, HSX_RULE_TRUNCATED);
    }
    return 0;
}

// Stack for a task of the given data size, below HSX_STACK_TOP and above the data window.
static int take_stack(hsx_vm_t *vm, hsx_task_t *task, uint32_t *stack) {
    if (*stack == 0) {
        *stack = vm->flat ? HSX_STACK_FLAT : HSX_STACK_DEFAULT;
    }
    if (*stack > HSX_STACK_TOP - HSX_DATA_BASE - task->data_len) {
        return HSX_ENOSPC;
    }
    *stack = (*stack + 3) & ~(uint32_t)3;
    if (!vm->flat && !hsx_take(vm, &task->stack, *stack + 4)) {
        return HSX_ENOSPC;
    }
    return 0;
}

int hsx_load_heap(hsx_vm_t *vm, uint32_t pid, uint32_t size) {
    hsx_task_t *task;
    int err = find_loading(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    if (task->image.size == 0) {
        return fail(vm, HSX_EBUSY, 0, HSX_RULE_NONE);
    }
    hsx_block_t old = task->image;
    uint32_t more = size > HSX_STACK_TOP ? HSX_STACK_TOP : (size + 3) & ~(uint32_t)3;
    bool fits = more <= HSX_STACK_TOP - HSX_DATA_BASE - task->data_len;
    if (!vm->flat && more != 0) {
        task->image.size = 0;  // its own place counts as free: it may grow where it is
        fits = fits && hsx_take(vm, &task->image, old.size + more);
        if (fits) {
            memmove(vm->pool + task->image.offset, vm->pool + old.offset, old.size);
            task->data_len += more;
        } else {
            task->image = old;
        }
    }
    if (!fits) {
        err = fail(vm, HSX_ENOSPC, task->as.load.offset, HSX_RULE_MEMORY);
        refuse(task);
    }
    return err;
}

// Turns the code into words of the machine's own order, and finds how many instructions can follow
// each other at most until one that always leaves the line (JMP, CALL, RET, SVC, BRK, or 0, which
// is illegal and stands behind the code). A word behind one that looks like LDI32 may be its
// operand, so it is not relied on.
static uint32_t prepare_code(uint8_t *code, uint32_t code_len) {
    uint32_t longest = 0;
    uint32_t run = 0;
    uint32_t before = 0;
    for (uint32_t pc = 0; pc < code_len + 4; pc += 4) {
        uint32_t word = get_be32(code + pc);
        uint32_t op = word >> 24;
        bool leaves = op == HSX_OP_JMP || op == HSX_OP_CALL || op == HSX_OP_RET ||
                      op == HSX_OP_SVC || op == HSX_OP_BRK || op == 0;
        run++;
        if (run > longest) {
            longest = run;
        }
        if (leaves && before != HSX_OP_LDI32) {
            run = 0;
        }
        before = op;
        put_native32(code + pc, word);
    }
    return longest;
}

// The load state ends here: the running state takes its place.
static void start(const hsx_vm_t *vm, hsx_task_t *task, uint32_t stack) {
    hsx_run_t *run = &task->as.run;
    uint8_t *data = data_of(vm, task);
    uint32_t entry = field(&task->as.load, ENTRY);
    uint32_t ro_end = (vm->flat ? HSX_DATA_BASE : 0) + task->ro_len;
    uint8_t *stack_mem = vm->pool + task->stack.offset;
    memset(run, 0, sizeof *run);
    run->pc = entry;
    run->sp = HSX_STACK_TOP;
    run->result = 1;  // no flag set
    run->last_pc = UINT32_MAX;
    run->code = code_of(vm, task);
    run->code_len = task->code_len;
    run->code_words = task->code_len / 4;
    run->longest_run = prepare_code(code_of(vm, task), task->code_len);
    if (vm->flat) {
        memset(data, 0, HSX_DATA_BASE);
        memset(data + ro_end, 0, 0x10000 - ro_end);
        run->data = (hsx_window_t){0, 0x10000 - 4, data};
        stack_mem = data + HSX_STACK_TOP - stack;
    } else {
        memset(data + ro_end, 0, task->data_len - ro_end);
        memset(stack_mem, 0, stack + 4);
        run->data = (hsx_window_t){HSX_DATA_BASE, task->data_len - 4, data};
    }
    run->stack = (hsx_window_t){HSX_STACK_TOP - stack, stack, stack_mem};
    if (!vm->flat && task->data_len == 0) {
        run->data = run->stack;  // no data: the one window twice
    }
}

int hsx_load_end(hsx_vm_t *vm, uint32_t pid, uint32_t stack) {
    hsx_task_t *task;
    int err = find_loading(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    err = check_end(vm, &task->as.load);
    if (err == 0 && take_stack(vm, task, &stack) != 0) {
        err = fail(vm, HSX_ENOSPC, task->as.load.offset, HSX_RULE_MEMORY);
    }
    if (err != 0) {
        refuse(task);
        return err;
    }
    start(vm, task, stack);
    task->state = HSX_READY;
    return 0;
}

int hsx_load_abort(hsx_vm_t *vm, uint32_t pid) {
    hsx_task_t *task = hsx_find(vm, pid);
    if (task == NULL || (task->state != HSX_LOADING && task->state != HSX_FAILED)) {
        return fail(vm, HSX_ESRCH, 0, HSX_RULE_NONE);
    }
    hsx_release(task);
    task->state = HSX_FREE;
    return 0;
}

int hsx_load(hsx_vm_t *vm, const uint8_t *buf, size_t len, uint32_t stack) {
    size_t body;
    int pid = hsx_load_begin(vm, 0);
    int err;
    if (pid < 0) {
        return pid;
    }
    err = hsx_load_write(vm, (uint32_t)pid, buf, len, &body);
    if (err == 0) {
        err = hsx_load_end(vm, (uint32_t)pid, stack);
    }
    if (err != 0) {
        hsx_load_abort(vm, (uint32_t)pid);
        return err;
    }
    return pid;
}

const hsx_error_t *hsx_load_error(const hsx_vm_t *vm) {
    return &vm->error;
}
