// SPDX-License-Identifier: MIT
//
// The interpreter (spec/vm_isa.md sections 1 to 4 and 6).
//
// Budget. `end` is where `ip` would be when the budget is used up if all code were one straight
// line, less the longest run of the image: taking n instructions moves ip by 4n, a jump moves
// both. So nothing is counted per instruction, and a jump has only to see that `end - ip` is not
// negative to know that the budget covers the run that it begins.
//
// What is checked when. Wherever a straight run begins (entry, every jump taken, after an SVC that
// was answered here) its address and the budget are checked. If the budget covers the longest run,
// nothing needs to be checked until the next jump, because the word behind the code is illegal and
// stops a run that leaves it. Otherwise, and at odd addresses, each instruction of the run passes
// `checked`, which looks at both. Memory, stack and divisor are checked always.
//
// Flags are values. Z and N are those of `result`; C and V are in `kind`, or follow from operands
// and result of the last ADD, SUB or CMP. No instruction reads N or V, so this costs one move.
//
// Exits know the last instruction: the one at hand, or for a used-up budget the one that
// `checked` or a jump has noted. So the trace costs the fast path nothing.

// The loop is compiled for speed whatever the rest of the firmware is, and each instruction keeps
// a dispatch of its own: merged, they cost a branch more for every instruction executed.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O2", "no-crossjumping")
#endif

#include "internal.h"
#include "memory.h"
#include "opcodes.h"

enum {
    KIND_BOTH = HSX_FLAG_N,  // N although `result` is 0: only a PSW that was set from outside
    KIND_ADD = 0x10,         // C and V of left + right = result
    KIND_SUB = 0x20,         // C and V of left - right = result
};

enum {
    BUDGET_PER_RUN = 0x10000000,  // (end - ip) stays below 2**31 on 32-bit machines
};

// SVCs that are answered here: module << 8 | function (spec/svc_abi.md section 2)
enum { SVC_GET_STEPS = 0x000, SVC_TASK_EXIT = 0x100, SVC_SLEEP_MS = 0x600 };

// One operation of a word; the compiler makes one instruction of each.
#define RD(w) ((w) >> 20 & 15)
#define RS1(w) ((w) >> 16 & 15)
#define RS2(w) ((w) >> 12 & 15)
#define UIMM(w) ((w) & 0xFFF)
#define SIMM(w) ((uint32_t)((int32_t)((w) << 20) >> 20))

static uint32_t carry_of(uint32_t result, uint32_t kind, uint32_t left, uint32_t right) {
    if (kind == KIND_ADD) {
        return result < left;
    }
    if (kind == KIND_SUB) {
        return left >= right;
    }
    return kind >> 1 & 1;
}

uint32_t hsx_get_psw(const hsx_run_t *run) {
    uint32_t flags = run->kind & (HSX_FLAG_V | HSX_FLAG_N);
    uint32_t differ = run->left ^ (run->kind == KIND_ADD ? ~run->right : run->right);
    if (run->kind >= KIND_ADD) {
        flags |= (differ & (run->left ^ run->result)) >> 31 ? HSX_FLAG_V : 0;
    }
    flags |= carry_of(run->result, run->kind, run->left, run->right) ? HSX_FLAG_C : 0;
    flags |= run->result == 0 ? HSX_FLAG_Z : 0;
    flags |= run->result >> 31 ? HSX_FLAG_N : 0;
    return flags;
}

void hsx_set_psw(hsx_run_t *run, uint32_t psw) {
    run->kind = psw & (HSX_FLAG_C | HSX_FLAG_V);
    if ((psw & HSX_FLAG_Z) == 0) {
        run->result = (psw & HSX_FLAG_N) != 0 ? 0x80000000 : 1;
    } else {
        run->result = 0;
        run->kind |= psw & HSX_FLAG_N;
    }
}

// The word at any address of the code, which is held in words of the machine's own order.
uint32_t hsx_code_word(const hsx_run_t *run, uint32_t pc) {
    uint32_t high = get_native32(run->code + (pc & ~(uint32_t)3));
    uint32_t shift = pc % 4 * 8;
    if (shift == 0) {
        return high;
    }
    return high << shift | get_native32(run->code + (pc & ~(uint32_t)3) + 4) >> (32 - shift);
}

// Dispatch: a table of label addresses where the compiler has them, else a switch over the same
// cases that passes `checked` every time.
#if defined(__GNUC__) && !defined(HSX_SWITCH)
#define OP(name) op_##name:
#define OP_ILLEGAL op_ILLEGAL:
#define DISPATCH(w) goto *ops[(w) >> 24];
#define NEXT()                 \
    do {                       \
        w = get_native32(ip);  \
        ip += 4;               \
        goto *table[w >> 24];  \
    } while (0)
#else
#define OP(name) case HSX_OP_##name:
#define OP_ILLEGAL default:
#define DISPATCH(w) switch ((w) >> 24)
#define NEXT()                \
    do {                      \
        w = get_native32(ip); \
        ip += 4;              \
        goto checked;         \
    } while (0)
#endif

#define PC_OF(ip) ((uint32_t)((ip) - code))
#define LEFT(ip) ((uint32_t)(end + margin - (uintptr_t)(ip)) / 4)

// Runs `budget` (at most BUDGET_PER_RUN) counted instructions at most: stop and detail.
static uint32_t execute(hsx_run_t *run, uint32_t budget) {
#if defined(__GNUC__) && !defined(HSX_SWITCH)
#define AT(name) &&op_##name
#define BAD &&op_ILLEGAL
#define BAD4 BAD, BAD, BAD, BAD
#define BAD8 BAD4, BAD4
    static const void *const ops[256] = {
        // clang-format off
        /* 00 */ BAD, AT(LDI), AT(LD), AT(ST), AT(MOV), BAD, AT(LDB), AT(LDH),
        /* 08 */ AT(STB), AT(STH), BAD, BAD, BAD4,
        /* 10 */ AT(ADD), AT(SUB), AT(MUL), AT(DIV), AT(AND), AT(OR), AT(XOR), AT(NOT),
        /* 18 */ BAD8,
        /* 20 */ AT(CMP), AT(JMP), AT(JZ), AT(JNZ), AT(CALL), AT(RET), BAD, BAD,
        /* 28 */ BAD8,
        /* 30 */ AT(SVC), AT(LSL), AT(LSR), AT(ASR), AT(ADC), AT(SBC), BAD, BAD,
        /* 38 */ BAD8,
        /* 40 */ AT(PUSH), AT(POP), BAD, BAD, BAD4,
        /* 48 */ BAD8,
        /* 50 */ AT(FADD), AT(FSUB), AT(FMUL), AT(FDIV), AT(I2F), AT(F2I), BAD, BAD,
        /* 58 */ BAD8,
        /* 60 */ AT(LDI32), BAD, BAD, BAD, BAD4,
        /* 68 */ BAD8,
        /* 70 */ BAD8,
        /* 78 */ BAD4, BAD, BAD, BAD, AT(BRK),
        [0x80 ... 0xFF] = BAD,
        // clang-format on
    };
    static const void *const checks[256] = {[0 ... 0xFF] = &&checked};
    const void *const *table;
#endif
    const uint8_t *const code = run->code;
    uint32_t *const regs = run->regs;
    const uintptr_t margin = (uintptr_t)4 * run->longest_run;
    const uint8_t *ip;  // behind the instruction at hand
    uintptr_t end;      // see the top
    uint32_t w;         // the instruction at hand
    uint32_t sp = run->sp;
    uint32_t result = run->result;
    uint32_t kind = run->kind;
    uint32_t left = run->left;
    uint32_t right = run->right;
    uint32_t pc = run->pc;  // where a run begins
    uint32_t budget_left = budget;
    uint32_t stop;
    uint32_t fault;

begin:  // a straight run at pc
    if (budget_left == 0) {
        stop = HSX_STOP_OK;
        goto out;
    }
    if (pc > run->code_len - 4) {
        run->last_pc = pc;
        stop = HSX_STOP_FAULT | HSX_FAULT_PC_RANGE << 8;
        goto out;
    }
    ip = code + pc;
    end = (uintptr_t)ip + (uintptr_t)4 * budget_left - margin;
#if defined(__GNUC__) && !defined(HSX_SWITCH)
    table = pc % 4 == 0 && budget_left >= run->longest_run ? ops : checks;
#endif
    NEXT();

checked:  // one instruction of a run that may exceed budget or code
    ip -= 4;
    pc = PC_OF(ip);
    budget_left = LEFT(ip);
    if (budget_left == 0 || pc > run->code_len - 4) {
        goto begin;
    }
    w = hsx_code_word(run, pc);
    run->last_pc = pc;
    ip += 4;

    DISPATCH(w) {
        // ---- Data -----------------------------------------------------------------------------
        OP(LDI) {
            regs[RD(w)] = SIMM(w);
            NEXT();
        }
        OP(LDI32) {
            if (PC_OF(ip) > run->code_len - 4) {
                goto beyond;
            }
            regs[RD(w)] = hsx_code_word(run, PC_OF(ip));
            ip += 4;
            end += 4;
            NEXT();
        }
        OP(MOV) {
            regs[RD(w)] = regs[RS1(w)];
            NEXT();
        }
        OP(LD) {
            const uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 4);
            if (p == NULL) {
                goto bad_memory;
            }
            regs[RD(w)] = get_le32(p);
            NEXT();
        }
        OP(LDB) {
            const uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 1);
            if (p == NULL) {
                goto bad_memory;
            }
            regs[RD(w)] = *p;
            NEXT();
        }
        OP(LDH) {
            const uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 2);
            if (p == NULL) {
                goto bad_memory;
            }
            regs[RD(w)] = get_le16(p);
            NEXT();
        }
        OP(ST) {
            uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 4);
            if (p == NULL) {
                goto bad_memory;
            }
            put_le32(p, regs[RS2(w)]);
            NEXT();
        }
        OP(STB) {
            uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 1);
            if (p == NULL) {
                goto bad_memory;
            }
            *p = (uint8_t)regs[RS2(w)];
            NEXT();
        }
        OP(STH) {
            uint8_t *p = guest_at(run, (regs[RS1(w)] + SIMM(w)) & 0xFFFF, 2);
            if (p == NULL) {
                goto bad_memory;
            }
            put_le16(p, regs[RS2(w)]);
            NEXT();
        }

        // ---- Arithmetic -----------------------------------------------------------------------
        OP(ADD) {
            left = regs[RS1(w)];
            right = regs[RS2(w)];
            result = left + right;
            kind = KIND_ADD;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(SUB) {
            left = regs[RS1(w)];
            right = regs[RS2(w)];
            result = left - right;
            kind = KIND_SUB;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(CMP) {
            left = regs[RS1(w)];
            right = regs[RS2(w)];
            result = left - right;
            kind = KIND_SUB;
            NEXT();
        }
        OP(ADC) {
            uint32_t a = regs[RS1(w)];
            uint32_t c = carry_of(result, kind, left, right);
            uint32_t b = regs[RS2(w)] + c;  // V is that of a + b with b wrapped
            uint64_t sum = (uint64_t)a + regs[RS2(w)] + c;
            result = (uint32_t)sum;
            kind = (sum >> 32) != 0 ? HSX_FLAG_C : 0;
            kind |= (~(a ^ b) & (a ^ result)) >> 31 ? HSX_FLAG_V : 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(SBC) {
            uint32_t a = regs[RS1(w)];
            uint32_t c = carry_of(result, kind, left, right);
            uint64_t taken = (uint64_t)regs[RS2(w)] + (1 - c);
            uint32_t b = (uint32_t)taken;
            result = a - b;
            kind = a >= taken ? HSX_FLAG_C : 0;
            kind |= ((a ^ b) & (a ^ result)) >> 31 ? HSX_FLAG_V : 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(MUL) {
            uint64_t product = (uint64_t)regs[RS1(w)] * regs[RS2(w)];
            result = (uint32_t)product;
            kind = (product >> 32) != 0 ? HSX_FLAG_C | HSX_FLAG_V : 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(DIV) {
            int32_t dividend = (int32_t)regs[RS1(w)];
            int32_t divisor = (int32_t)regs[RS2(w)];
            if (divisor == 0) {
                fault = HSX_FAULT_DIV_ZERO;
                goto faulted;
            }
            // -1 apart: the quotient of the lowest number by it does not fit
            result = divisor == -1 ? 0 - (uint32_t)dividend : (uint32_t)(dividend / divisor);
            kind = 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(AND) {
            result = regs[RS1(w)] & regs[RS2(w)];
            kind = 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(OR) {
            result = regs[RS1(w)] | regs[RS2(w)];
            kind = 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(XOR) {
            result = regs[RS1(w)] ^ regs[RS2(w)];
            kind = 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(NOT) {
            result = ~regs[RS1(w)];
            kind = 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(LSL) {
            uint32_t value = regs[RS1(w)];
            uint32_t n = regs[RS2(w)] & 31;
            if (n == 0) {
                goto shift_none;
            }
            result = value << n;
            kind = value >> (32 - n) & 1 ? HSX_FLAG_C : 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(LSR) {
            uint32_t value = regs[RS1(w)];
            uint32_t n = regs[RS2(w)] & 31;
            if (n == 0) {
                goto shift_none;
            }
            result = value >> n;
            kind = value >> (n - 1) & 1 ? HSX_FLAG_C : 0;
            regs[RD(w)] = result;
            NEXT();
        }
        OP(ASR) {
            uint32_t value = regs[RS1(w)];
            uint32_t n = regs[RS2(w)] & 31;
            if (n == 0) {
                goto shift_none;
            }
            result = (uint32_t)((int32_t)value >> n);
            kind = value >> (n - 1) & 1 ? HSX_FLAG_C : 0;
            regs[RD(w)] = result;
            NEXT();
        }
    shift_none:  // C stays, V is cleared
        kind = carry_of(result, kind, left, right) ? HSX_FLAG_C : 0;
        result = regs[RS1(w)];
        regs[RD(w)] = result;
        NEXT();

        // ---- f16: the upper half of rd is kept, flags too ----------------------------------------
        OP(FADD) {
            uint32_t half = hsx_f16_add(regs[RS1(w)], regs[RS2(w)]);
            regs[RD(w)] = (regs[RD(w)] & 0xFFFF0000) | half;
            NEXT();
        }
        OP(FSUB) {
            uint32_t half = hsx_f16_sub(regs[RS1(w)], regs[RS2(w)]);
            regs[RD(w)] = (regs[RD(w)] & 0xFFFF0000) | half;
            NEXT();
        }
        OP(FMUL) {
            uint32_t half = hsx_f16_mul(regs[RS1(w)], regs[RS2(w)]);
            regs[RD(w)] = (regs[RD(w)] & 0xFFFF0000) | half;
            NEXT();
        }
        OP(FDIV) {
            uint32_t half = hsx_f16_div(regs[RS1(w)], regs[RS2(w)]);
            regs[RD(w)] = (regs[RD(w)] & 0xFFFF0000) | half;
            NEXT();
        }
        OP(I2F) {
            uint32_t half = hsx_f16_from_int(regs[RS1(w)]);
            regs[RD(w)] = (regs[RD(w)] & 0xFFFF0000) | half;
            NEXT();
        }
        OP(F2I) {
            regs[RD(w)] = hsx_f16_to_int(regs[RS1(w)]);
            NEXT();
        }

        // ---- Stack: never leaves the first window downwards ------------------------------------
        OP(PUSH) {
            uint32_t offset = sp - 4 - run->stack.base;
            if (offset > run->stack.last) {
                fault = HSX_FAULT_STACK_OVERFLOW;
                goto faulted;
            }
            sp -= 4;
            put_le32(run->stack.mem + offset, regs[RS1(w)]);
            regs[15] = sp;
            NEXT();
        }
        OP(POP) {
            const uint8_t *p;
            if (sp >= 0x10000) {
                fault = HSX_FAULT_STACK_UNDERFLOW;
                goto faulted;
            }
            p = guest_at(run, sp, 4);
            if (p == NULL) {
                goto bad_memory;
            }
            sp += 4;
            regs[15] = sp;
            regs[RD(w)] = get_le32(p);
            NEXT();
        }

        // ---- Jumps ----------------------------------------------------------------------------
        OP(CALL) {
            uint32_t base = RS1(w) != 0 ? regs[RS1(w)] : PC_OF(ip) - 4;
            uint32_t offset = sp - 4 - run->stack.base;
            if (offset > run->stack.last) {
                fault = HSX_FAULT_STACK_OVERFLOW;
                goto faulted;
            }
            sp -= 4;
            put_le32(run->stack.mem + offset, PC_OF(ip));
            regs[15] = sp;
            run->depth++;
            pc = (base + 4 * SIMM(w)) & 0xFFFF;
            goto jump;
        }
        OP(RET) {
            const uint8_t *p;
            if (run->depth == 0) {
                stop = HSX_STOP_RETURNED;
                goto uncounted;
            }
            if (sp >= 0x10000) {
                fault = HSX_FAULT_STACK_UNDERFLOW;
                goto faulted;
            }
            p = guest_at(run, sp, 4);
            if (p == NULL) {
                goto bad_memory;
            }
            sp += 4;
            regs[15] = sp;
            run->depth--;
            pc = get_le32(p);
            goto jump;
        }
        OP(JZ) {
            if (result != 0) {
                NEXT();
            }
            pc = UIMM(w);
            goto jump;
        }
        OP(JNZ) {
            if (result == 0) {
                NEXT();
            }
            pc = UIMM(w);
            goto jump;
        }
        OP(JMP) {
            pc = UIMM(w);
            goto jump;
        }

        // ---- Stops ----------------------------------------------------------------------------
        OP(SVC) {
            uint32_t number = UIMM(w);
            budget_left = LEFT(ip);
            if (number == SVC_GET_STEPS) {
                regs[0] = run->steps + (budget - budget_left) - 1;  // those before this one
            } else if (number == SVC_TASK_EXIT) {
                stop = HSX_STOP_EXIT;
                goto counted;
            } else if (number != SVC_SLEEP_MS) {
                stop = HSX_STOP_SVC | number << 8;
                goto counted;
            } else if (regs[0] != 0) {
                stop = HSX_STOP_SLEEP;
                goto counted;
            }
            run->last_pc = PC_OF(ip) - 4;
            pc = PC_OF(ip);
            goto begin;
        }
        OP(BRK) {
            stop = HSX_STOP_BRK | (w & 0xFF) << 8;
            goto counted;
        }
        OP_ILLEGAL {
            if (PC_OF(ip) > run->code_len) {
                goto beyond;  // the word behind the code
            }
            stop = HSX_STOP_FAULT | HSX_FAULT_ILLEGAL << 8;
            goto counted;
        }
    }

jump : {  // to pc; the instruction at hand is the jump. An odd pc gives a huge word number
    uintptr_t slack = end - (uintptr_t)ip;
    if ((intptr_t)slack >= 0 && (pc >> 2 | pc << 30) < run->code_words) {
        ip = code + pc;
        end = (uintptr_t)ip + slack;
        NEXT();
    }
    run->last_pc = PC_OF(ip) - 4;
    budget_left = LEFT(ip);
    goto begin;
}

beyond:
    stop = HSX_STOP_FAULT | HSX_FAULT_PC_RANGE << 8;
    goto uncounted;

bad_memory:
    fault = HSX_FAULT_MEM;
faulted:
    regs[0] = 0xFFFFFF00 | fault;
    stop = HSX_STOP_FAULT | fault << 8;
uncounted:  // the instruction at hand stops without retiring
    ip -= 4;
    run->last_pc = PC_OF(ip);
    pc = PC_OF(ip);
    budget_left = LEFT(ip);
    goto out;

counted:  // the instruction at hand retires and stops
    run->last_pc = PC_OF(ip) - 4;
    pc = PC_OF(ip);
    budget_left = LEFT(ip);
out:
    run->pc = pc;
    run->sp = sp;
    run->result = result;
    run->kind = kind;
    run->left = left;
    run->right = right;
    run->steps += budget - budget_left;
    return stop;
}

int hsx_clock(hsx_vm_t *vm, uint32_t pid, uint32_t steps) {
    hsx_task_t *task;
    uint32_t stop = HSX_STOP_OK;
    int err = hsx_find_loaded(vm, pid, &task);
    if (err != 0) {
        return err;
    }
    if (steps > HSX_MAX_STEPS) {
        return HSX_EINVAL;
    }
    if (task->state == HSX_PARKED) {
        return (int)task->stop;
    }
    while (steps != 0 && stop == HSX_STOP_OK) {
        uint32_t budget = steps < BUDGET_PER_RUN ? steps : BUDGET_PER_RUN;
        stop = execute(&task->as.run, budget);
        steps -= budget;
    }
    uint32_t reason = stop & 0xFF;
    if (reason == HSX_STOP_FAULT || reason == HSX_STOP_EXIT || reason == HSX_STOP_RETURNED) {
        task->state = HSX_PARKED;
        task->stop = stop;
    }
    return (int)stop;
}
