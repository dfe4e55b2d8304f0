// SPDX-License-Identifier: MIT
//
// spec/vm_isa.md sections 1 to 4, written down: one switch, flags computed by each instruction,
// no check of addresses, stack, budget per run or anything else but the end of the budget.

#include "plain_vm.h"

#include "internal.h"
#include "memory.h"
#include "opcodes.h"

enum { Z = 1, C = 2, N = 4, V = 8 };

static uint32_t zn(uint32_t result) {
    return (result == 0 ? Z : 0) | (result >> 31 ? N : 0);
}

static uint32_t add_flags(uint32_t a, uint32_t b, uint32_t result, uint32_t carry) {
    return zn(result) | (carry ? C : 0) | ((~(a ^ b) & (a ^ result)) >> 31 ? V : 0);
}

static uint32_t sub_flags(uint32_t a, uint32_t b, uint32_t result, uint32_t carry) {
    return zn(result) | (carry ? C : 0) | (((a ^ b) & (a ^ result)) >> 31 ? V : 0);
}

static uint32_t half_into(uint32_t old, uint32_t half) {
    return (old & 0xFFFF0000) | half;
}

int plain_run(plain_vm_t *vm, uint32_t budget) {
    uint32_t *regs = vm->regs;
    uint8_t *mem = vm->mem;
    const uint8_t *code = vm->code;
    uint32_t pc = vm->pc;
    uint32_t sp = vm->sp;
    uint32_t psw = vm->psw;
    uint32_t left = budget;
    int stop = PLAIN_OK;

    while (left != 0) {
        uint32_t w = get_be32(code + pc);
        uint32_t rd = w >> 20 & 15;
        uint32_t a = regs[w >> 16 & 15];
        uint32_t b = regs[w >> 12 & 15];
        uint32_t uimm = w & 0xFFF;
        uint32_t simm = (uint32_t)((int32_t)(w << 20) >> 20);
        uint32_t ea = (a + simm) & 0xFFFF;
        uint32_t r;
        pc += 4;
        left--;
        switch (w >> 24) {
            case HSX_OP_LDI: regs[rd] = simm; break;
            case HSX_OP_LDI32: regs[rd] = get_be32(code + pc); pc += 4; break;
            case HSX_OP_MOV: regs[rd] = a; break;
            case HSX_OP_LD: regs[rd] = get_le32(mem + ea); break;
            case HSX_OP_LDB: regs[rd] = mem[ea]; break;
            case HSX_OP_LDH: regs[rd] = get_le16(mem + ea); break;
            case HSX_OP_ST: put_le32(mem + ea, b); break;
            case HSX_OP_STB: mem[ea] = (uint8_t)b; break;
            case HSX_OP_STH: put_le16(mem + ea, b); break;
            case HSX_OP_ADD:
                r = a + b;
                psw = add_flags(a, b, r, r < a);
                regs[rd] = r;
                break;
            case HSX_OP_SUB:
                r = a - b;
                psw = sub_flags(a, b, r, a >= b);
                regs[rd] = r;
                break;
            case HSX_OP_CMP:
                r = a - b;
                psw = sub_flags(a, b, r, a >= b);
                break;
            case HSX_OP_ADC: {
                uint32_t c = (psw & C) != 0;
                uint64_t sum = (uint64_t)a + b + c;
                r = (uint32_t)sum;
                psw = add_flags(a, b + c, r, sum >> 32 != 0);
                regs[rd] = r;
                break;
            }
            case HSX_OP_SBC: {
                uint64_t taken = (uint64_t)b + 1 - ((psw & C) != 0);
                r = a - (uint32_t)taken;
                psw = sub_flags(a, (uint32_t)taken, r, a >= taken);
                regs[rd] = r;
                break;
            }
            case HSX_OP_MUL: {
                uint64_t product = (uint64_t)a * b;
                r = (uint32_t)product;
                psw = zn(r) | (product >> 32 != 0 ? C | V : 0);
                regs[rd] = r;
                break;
            }
            case HSX_OP_DIV:
                r = b == 0xFFFFFFFF ? 0 - a : (uint32_t)((int32_t)a / (int32_t)b);
                psw = zn(r);
                regs[rd] = r;
                break;
            case HSX_OP_AND: regs[rd] = r = a & b; psw = zn(r); break;
            case HSX_OP_OR: regs[rd] = r = a | b; psw = zn(r); break;
            case HSX_OP_XOR: regs[rd] = r = a ^ b; psw = zn(r); break;
            case HSX_OP_NOT: regs[rd] = r = ~a; psw = zn(r); break;
            case HSX_OP_LSL:
                b &= 31;
                r = a << b;
                psw = zn(r) | (b == 0 ? psw & C : (a >> (32 - b) & 1) != 0 ? C : 0);
                regs[rd] = r;
                break;
            case HSX_OP_LSR:
                b &= 31;
                r = a >> b;
                psw = zn(r) | (b == 0 ? psw & C : (a >> (b - 1) & 1) != 0 ? C : 0);
                regs[rd] = r;
                break;
            case HSX_OP_ASR:
                b &= 31;
                r = (uint32_t)((int32_t)a >> b);
                psw = zn(r) | (b == 0 ? psw & C : (a >> (b - 1) & 1) != 0 ? C : 0);
                regs[rd] = r;
                break;
            case HSX_OP_FADD: regs[rd] = half_into(regs[rd], hsx_f16_add(a, b)); break;
            case HSX_OP_FSUB: regs[rd] = half_into(regs[rd], hsx_f16_sub(a, b)); break;
            case HSX_OP_FMUL: regs[rd] = half_into(regs[rd], hsx_f16_mul(a, b)); break;
            case HSX_OP_FDIV: regs[rd] = half_into(regs[rd], hsx_f16_div(a, b)); break;
            case HSX_OP_I2F: regs[rd] = half_into(regs[rd], hsx_f16_from_int(a)); break;
            case HSX_OP_F2I: regs[rd] = hsx_f16_to_int(a); break;
            case HSX_OP_PUSH:
                sp -= 4;
                put_le32(mem + (sp & 0xFFFF), a);
                regs[15] = sp;
                break;
            case HSX_OP_POP:
                r = get_le32(mem + (sp & 0xFFFF));
                sp += 4;
                regs[15] = sp;
                regs[rd] = r;
                break;
            case HSX_OP_CALL:
                sp -= 4;
                put_le32(mem + (sp & 0xFFFF), pc);
                pc = (((w >> 16 & 15) != 0 ? a : pc - 4) + 4 * simm) & 0xFFFF;
                regs[15] = sp;
                vm->depth++;
                break;
            case HSX_OP_RET:
                if (vm->depth == 0) {
                    stop = PLAIN_RETURNED;
                    pc -= 4;
                    left++;
                    goto out;
                }
                pc = get_le32(mem + (sp & 0xFFFF));
                sp += 4;
                regs[15] = sp;
                vm->depth--;
                break;
            case HSX_OP_JMP: pc = uimm; break;
            case HSX_OP_JZ:
                if ((psw & Z) != 0) {
                    pc = uimm;
                }
                break;
            case HSX_OP_JNZ:
                if ((psw & Z) == 0) {
                    pc = uimm;
                }
                break;
            case HSX_OP_SVC:
                if (uimm == 0) {
                    regs[0] = vm->steps + (budget - left) - 1;
                    break;
                }
                stop = uimm == 0x100 ? PLAIN_EXIT : PLAIN_SVC;
                goto out;
            default: stop = PLAIN_OTHER; goto out;
        }
    }
out:
    vm->pc = pc;
    vm->sp = sp;
    vm->psw = psw;
    vm->steps += budget - left;
    return stop;
}
