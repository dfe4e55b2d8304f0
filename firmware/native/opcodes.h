// SPDX-License-Identifier: MIT
//
// The instruction table: number, name, operand form (spec/vm_isa.md section 3). Read by the
// interpreter, by traces and by the assembler's test. All other numbers are illegal.
//
// A word is op[31:24] rd[23:20] rs1[19:16] rs2[15:12] imm[11:0]. Operand forms, in the order in
// which the assembler writes the operands:
//   RD_SIMM  rd, signed imm          RD_RS1      rd, rs1            NONE  nothing
//   RD_MEM   rd, [rs1 + signed imm]  RD_RS1_RS2  rd, rs1, rs2       RD    rd
//   MEM_RS2  [rs1 + signed imm], rs2 RS1_RS2     rs1, rs2           RS1   rs1
//   UIMM     unsigned imm            CALL        [rs1,] words       SVC   module, function
//   RD_WORD  rd, next word           IMM8        imm[7:0]
#ifndef HSX_OPCODES_H
#define HSX_OPCODES_H

#define HSX_OPCODES(X)         \
    X(0x01, LDI, RD_SIMM)      \
    X(0x02, LD, RD_MEM)        \
    X(0x03, ST, MEM_RS2)       \
    X(0x04, MOV, RD_RS1)       \
    X(0x06, LDB, RD_MEM)       \
    X(0x07, LDH, RD_MEM)       \
    X(0x08, STB, MEM_RS2)      \
    X(0x09, STH, MEM_RS2)      \
    X(0x10, ADD, RD_RS1_RS2)   \
    X(0x11, SUB, RD_RS1_RS2)   \
    X(0x12, MUL, RD_RS1_RS2)   \
    X(0x13, DIV, RD_RS1_RS2)   \
    X(0x14, AND, RD_RS1_RS2)   \
    X(0x15, OR, RD_RS1_RS2)    \
    X(0x16, XOR, RD_RS1_RS2)   \
    X(0x17, NOT, RD_RS1)       \
    X(0x20, CMP, RS1_RS2)      \
    X(0x21, JMP, UIMM)         \
    X(0x22, JZ, UIMM)          \
    X(0x23, JNZ, UIMM)         \
    X(0x24, CALL, CALL)        \
    X(0x25, RET, NONE)         \
    X(0x30, SVC, SVC)          \
    X(0x31, LSL, RD_RS1_RS2)   \
    X(0x32, LSR, RD_RS1_RS2)   \
    X(0x33, ASR, RD_RS1_RS2)   \
    X(0x34, ADC, RD_RS1_RS2)   \
    X(0x35, SBC, RD_RS1_RS2)   \
    X(0x40, PUSH, RS1)         \
    X(0x41, POP, RD)           \
    X(0x50, FADD, RD_RS1_RS2)  \
    X(0x51, FSUB, RD_RS1_RS2)  \
    X(0x52, FMUL, RD_RS1_RS2)  \
    X(0x53, FDIV, RD_RS1_RS2)  \
    X(0x54, I2F, RD_RS1)       \
    X(0x55, F2I, RD_RS1)       \
    X(0x60, LDI32, RD_WORD)    \
    X(0x7F, BRK, IMM8)

enum {
#define HSX_OP(number, name, form) HSX_OP_##name = number,
    HSX_OPCODES(HSX_OP)
#undef HSX_OP
};

#endif
