# SPDX-License-Identifier: MIT
"""The instruction set once more, written from spec/vm_isa.md as plainly as Python allows.

Independent of the C core: flags at once, every check at every instruction, no idea of runs or
budgets. Differential tests hold the core against it.
"""

import math
import struct

OK, SVC, BRK, FAULT, EXIT, RETURNED, SLEEP = range(7)
UNDERFLOW, OVERFLOW, MEM, DIV_ZERO, ILLEGAL, PC_RANGE = range(2, 8)
Z, C, N, V = 1, 2, 4, 8
M32 = 0xFFFFFFFF


def signed(value: int, bits: int = 32) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def f16_value(half: int) -> float:
    return struct.unpack("<e", struct.pack("<H", half & 0xFFFF))[0]


def f16_bits(x: float) -> int:
    """Section 7: one rounding, NaN without sign, and below 2**-14 never up to it."""
    if math.isnan(x):
        return 0x7E00
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if abs(x) >= 65520:
        return sign | 0x7C00
    half = struct.unpack("<H", struct.pack("<e", abs(x)))[0]
    return sign | (0x3FF if half == 0x400 and abs(x) < 2**-14 else half)


def f16_operation(op: int, a: int, b: int) -> int:
    x, y = f16_value(a), f16_value(b)
    if op == 0x53:
        y = math.inf if y == 0 else y
        return f16_bits(math.nan if math.isinf(x) and math.isinf(y) else x / y)
    if op == 0x52:
        return f16_bits(x * y)
    return f16_bits(x + y if op == 0x50 else x - y)


def f16_to_int(half: int) -> int:
    x = f16_value(half)
    if math.isnan(x):
        return 0
    if math.isinf(x):
        return 0x7FFFFFFF if x > 0 else 0x80000000
    return int(x) & M32


class NotRetiredError(Exception):
    """An instruction that does not retire. `fault`: 0 for a RET at depth 0."""

    def __init__(self, fault: int) -> None:
        self.fault = fault


class SlowVm:
    """One task. `windows`: (first address, bytearray) each, none overlapping."""

    def __init__(self, code: bytes, windows: list, stack_limit: int) -> None:
        self.code = code
        self.windows = windows
        self.stack_limit = stack_limit
        self.regs = [0] * 16
        self.pc = 0
        self.sp = 0xFFFC
        self.flags = 0
        self.depth = 0
        self.steps = 0
        self.last = M32  # address of the last instruction that retired or stopped

    def _find(self, addr: int, size: int) -> "tuple[bytearray, int]":
        for base, memory in self.windows:
            if base <= addr and addr + size <= base + len(memory):
                return memory, addr - base
        raise NotRetiredError(MEM)

    def _load(self, addr: int, size: int) -> int:
        memory, at = self._find(addr, size)
        return int.from_bytes(memory[at : at + size], "little")

    def _store(self, addr: int, size: int, value: int) -> None:
        memory, at = self._find(addr, size)
        memory[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def _set_zn(self, value: int) -> None:
        self.flags &= ~(Z | N)
        self.flags |= (Z if value == 0 else 0) | (N if value >> 31 else 0)

    def _set_cv(self, c: bool, v: bool) -> None:
        self.flags = self.flags & ~(C | V) | (C if c else 0) | (V if v else 0)

    def _push(self, value: int) -> None:
        if self.sp - 4 < max(0, self.stack_limit) or self.sp > 0x10000:
            raise NotRetiredError(OVERFLOW)
        self._store(self.sp - 4, 4, value)
        self.sp -= 4
        self.regs[15] = self.sp

    def _pop(self) -> int:
        if self.sp >= 0x10000:
            raise NotRetiredError(UNDERFLOW)
        value = self._load(self.sp, 4)
        self.sp += 4
        self.regs[15] = self.sp
        return value

    def _alu(self, op: int, a: int, b: int) -> int:
        """Result of the operations that set all flags."""
        carry = self.flags & C != 0
        if op == 0x10:
            out = (a + b) & M32
            self._set_cv(a + b > M32, (a ^ b) >> 31 == 0 and (a ^ out) >> 31 == 1)
        elif op in (0x11, 0x20):
            out = (a - b) & M32
            self._set_cv(a >= b, (a ^ b) >> 31 == 1 and (a ^ out) >> 31 == 1)
        elif op == 0x34:
            wrapped = (b + carry) & M32
            out = (a + b + carry) & M32
            self._set_cv(a + b + carry > M32, (a ^ wrapped) >> 31 == 0 and (a ^ out) >> 31 == 1)
        elif op == 0x35:
            taken = b + 1 - carry
            out = (a - taken) & M32
            self._set_cv(a >= taken, (a ^ taken & M32) >> 31 == 1 and (a ^ out) >> 31 == 1)
        elif op == 0x12:
            out = a * b & M32
            self._set_cv(a * b > M32, a * b > M32)
        elif op == 0x13:
            if b == 0:
                raise NotRetiredError(DIV_ZERO)
            x, y = signed(a), signed(b)
            out = (abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)) & M32
            self._set_cv(False, False)
        elif op in (0x31, 0x32, 0x33):
            n = b & 31
            last = a >> (32 - n) if op == 0x31 else a >> (n - 1) if n else 0
            out = {0x31: a << n, 0x32: a >> n, 0x33: signed(a) >> n}[op] & M32
            self._set_cv(last & 1 != 0 if n else carry, False)
        else:
            out = {0x14: a & b, 0x15: a | b, 0x16: a ^ b, 0x17: ~a & M32}[op]
            self._set_cv(False, False)
        self._set_zn(out)
        return out

    def _execute(self, word: int) -> int:
        """Everything but counting: stop and detail. The PC is moved on before."""
        op = word >> 24
        rd, rs1, rs2 = word >> 20 & 15, word >> 16 & 15, word >> 12 & 15
        imm = word & 0xFFF
        here = self.pc
        a, b = self.regs[rs1], self.regs[rs2]
        address = (a + signed(imm, 12)) & 0xFFFF
        then = here + 4
        if op == 0x01:
            self.regs[rd] = signed(imm, 12) & M32
        elif op in (0x02, 0x06, 0x07):
            self.regs[rd] = self._load(address, {2: 4, 6: 1, 7: 2}[op])
        elif op in (0x03, 0x08, 0x09):
            self._store(address, {3: 4, 8: 1, 9: 2}[op], b)
        elif op == 0x04:
            self.regs[rd] = a
        elif op == 0x20:
            self._alu(op, a, b)
        elif op in (*range(0x10, 0x18), *range(0x31, 0x36)):
            self.regs[rd] = self._alu(op, a, b)
        elif op == 0x21 or op == 0x22 and self.flags & Z or op == 0x23 and not self.flags & Z:
            then = imm
        elif op in (0x22, 0x23):
            pass
        elif op == 0x24:
            self._push(here + 4)
            self.depth = self.depth + 1 & M32
            then = ((a if rs1 else here) + 4 * signed(imm, 12)) & 0xFFFF
        elif op == 0x25:
            if self.depth == 0:
                raise NotRetiredError(0)
            then = self._pop()
            self.depth -= 1
        elif op == 0x30:
            if imm == 0x000:
                self.regs[0] = self.steps
            elif imm != 0x600 or self.regs[0] != 0:
                self.pc = then
                stops = {0x100: EXIT, 0x600: SLEEP}
                return stops.get(imm, SVC | imm << 8)
        elif op == 0x40:
            self._push(a)
        elif op == 0x41:
            self.regs[rd] = self._pop()
        elif 0x50 <= op <= 0x53:
            self.regs[rd] = self.regs[rd] & 0xFFFF0000 | f16_operation(op, a, b)
        elif op == 0x54:
            self.regs[rd] = self.regs[rd] & 0xFFFF0000 | f16_bits(float(signed(a)))
        elif op == 0x55:
            self.regs[rd] = f16_to_int(a)
        elif op == 0x60:
            if here + 8 > len(self.code):
                raise NotRetiredError(PC_RANGE)
            self.regs[rd] = int.from_bytes(self.code[here + 4 : here + 8], "big")
            then = here + 8
        elif op == 0x7F:
            self.pc = then
            return BRK | (imm & 0xFF) << 8
        else:
            self.pc = then
            return FAULT | ILLEGAL << 8
        self.pc = then
        return OK

    def clock(self, steps: int) -> int:
        """As `hsxvm.VM.clock`, but a task that stopped is run again."""
        while steps:
            self.last = self.pc
            if self.pc + 4 > len(self.code):
                return FAULT | PC_RANGE << 8
            try:
                stop = self._execute(int.from_bytes(self.code[self.pc : self.pc + 4], "big"))
            except NotRetiredError as e:
                if e.fault == 0:
                    return RETURNED
                if e.fault < ILLEGAL:
                    self.regs[0] = 0xFFFFFF00 | e.fault
                return FAULT | e.fault << 8
            self.steps = self.steps + 1 & M32
            steps -= 1
            if stop != OK:
                return stop
        return OK
