// SPDX-License-Identifier: MIT
//
// PIDs, their memory in the pool, and access to their state.
//
// The pool holds no headers: what is taken is written in the task table alone, two blocks a PID.
// The first place that is large enough is taken.

#include <string.h>

#include "internal.h"
#include "memory.h"

int hsx_init(hsx_vm_t *vm, const hsx_cfg_t *cfg) {
    if (cfg->task_count < 1 || cfg->task_count > HSX_MAX_TASKS) {
        return HSX_EINVAL;
    }
    memset(vm, 0, sizeof *vm);
    vm->pool = cfg->pool;
    vm->pool_len = cfg->pool_len > INT32_MAX ? INT32_MAX : (uint32_t)cfg->pool_len;
    vm->tasks = cfg->tasks;
    vm->task_count = cfg->task_count;
    vm->flat = cfg->flat;
    memset(vm->tasks, 0, vm->task_count * sizeof *vm->tasks);
    return 0;
}

hsx_task_t *hsx_find(const hsx_vm_t *vm, uint32_t pid) {
    if (pid < 1 || pid > vm->task_count || vm->tasks[pid - 1].state == HSX_FREE) {
        return NULL;
    }
    return &vm->tasks[pid - 1];
}

int hsx_find_loaded(const hsx_vm_t *vm, uint32_t pid, hsx_task_t **task) {
    *task = hsx_find(vm, pid);
    if (*task == NULL) {
        return HSX_ESRCH;
    }
    return (*task)->state < HSX_READY ? HSX_EBUSY : 0;
}

// ---- Pool -------------------------------------------------------------------------------------

// End of a block that overlaps [offset, offset + size), 0 if there is none.
static uint32_t overlap_end(const hsx_vm_t *vm, uint32_t offset, uint32_t size) {
    for (uint32_t i = 0; i < vm->task_count; i++) {
        const hsx_block_t *blocks[2] = {&vm->tasks[i].image, &vm->tasks[i].stack};
        for (uint32_t j = 0; j < 2; j++) {
            const hsx_block_t *block = blocks[j];
            if (block->size != 0 && offset < block->offset + block->size &&
                block->offset < offset + size) {
                return block->offset + block->size;
            }
        }
    }
    return 0;
}

bool hsx_take(const hsx_vm_t *vm, hsx_block_t *block, uint32_t size) {
    uint32_t offset = 0;
    uint32_t end;
    do {
        if (size > vm->pool_len - offset) {
            return false;
        }
        end = overlap_end(vm, offset, size);
        if (end != 0) {
            offset = end;  // nothing fits between: a start before this end overlaps as well
        }
    } while (end != 0);
    block->offset = offset;
    block->size = size;
    return true;
}

void hsx_release(hsx_task_t *task) {
    task->image.size = 0;
    task->stack.size = 0;
}

uint32_t hsx_free(const hsx_vm_t *vm) {
    uint32_t bytes = vm->pool_len;
    for (uint32_t i = 0; i < vm->task_count; i++) {
        bytes -= vm->tasks[i].image.size + vm->tasks[i].stack.size;
    }
    return bytes;
}

// ---- PIDs -------------------------------------------------------------------------------------

int hsx_unload(hsx_vm_t *vm, uint32_t pid) {
    hsx_task_t *task;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err == 0) {
        hsx_release(task);
        task->state = HSX_FREE;
    }
    return err;
}

int hsx_state(const hsx_vm_t *vm, uint32_t pid) {
    const hsx_task_t *task = hsx_find(vm, pid);
    return task == NULL ? HSX_ESRCH : (int)task->state;
}

static uint32_t last_word(const hsx_run_t *run) {
    return run->last_pc > run->code_len - 4 ? 0 : hsx_code_word(run, run->last_pc);
}

int hsx_get(const hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t *value) {
    hsx_task_t *task;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    const hsx_run_t *run = &task->as.run;
    if (which < 16) {
        *value = run->regs[which];
        return 0;
    }
    switch (which) {
        case HSX_PC:
            *value = run->pc;
            return 0;
        case HSX_SP:
            *value = run->sp;
            return 0;
        case HSX_PSW:
            *value = hsx_get_psw(run);
            return 0;
        case HSX_DEPTH:
            *value = run->depth;
            return 0;
        case HSX_STEPS:
            *value = run->steps;
            return 0;
        case HSX_STACK_LIMIT:
            *value = run->stack.base;
            return 0;
        case HSX_CODE_LEN:
            *value = task->code_len;
            return 0;
        case HSX_RO_LEN:
            *value = task->ro_len;
            return 0;
        case HSX_ARENA:
            *value = task->image.size + task->stack.size;
            return 0;
        case HSX_LAST_PC:
            *value = run->last_pc;
            return 0;
        case HSX_LAST_WORD:
            *value = last_word(run);
            return 0;
        default:
            return HSX_EINVAL;
    }
}

int hsx_set(hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t value) {
    hsx_task_t *task;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    hsx_run_t *run = &task->as.run;
    if (which < 16) {
        run->regs[which] = value;
        return 0;
    }
    switch (which) {
        case HSX_PC:
            run->pc = value;
            task->state = HSX_READY;
            return 0;
        case HSX_SP:
            run->sp = value;
            return 0;
        case HSX_PSW:
            hsx_set_psw(run, value & 15);
            return 0;
        case HSX_DEPTH:
            run->depth = value;
            return 0;
        case HSX_STEPS:
            run->steps = value;
            return 0;
        default:
            return HSX_EINVAL;
    }
}

// ---- Guest memory -----------------------------------------------------------------------------

// Up to `len` bytes at `addr` that are in one window: how many; `*mem` is where.
static size_t guest_span(const hsx_run_t *run, uint32_t addr, size_t len, uint8_t **mem) {
    const hsx_window_t *window = &run->stack;
    uint32_t offset = (addr & 0xFFFF) - window->base;
    if (offset >= window->last + 4) {
        window = &run->data;
        offset = (addr & 0xFFFF) - window->base;
        if (offset >= window->last + 4) {
            return 0;
        }
    }
    size_t room = window->last + 4 - offset;
    *mem = window->mem + offset;
    return len < room ? len : room;
}

int hsx_read(const hsx_vm_t *vm, uint32_t pid, uint32_t addr, uint8_t *buf, size_t len) {
    hsx_task_t *task;
    uint8_t *mem;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    len = guest_span(&task->as.run, addr, len, &mem);
    if (len != 0) {
        memcpy(buf, mem, len);
    }
    return (int)len;
}

int hsx_write(hsx_vm_t *vm, uint32_t pid, uint32_t addr, const uint8_t *buf, size_t len) {
    hsx_task_t *task;
    uint8_t *mem;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    len = guest_span(&task->as.run, addr, len, &mem);
    if (len != 0) {
        memcpy(mem, buf, len);
    }
    return (int)len;
}
