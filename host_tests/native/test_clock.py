# SPDX-License-Identifier: MIT
"""Running: budgets, stops and their details, parking, the trace of the last instruction."""

import pytest

import hsxvm as n
from bench.images import BRK, EXIT, RET, SLEEP, SPIN, STEPS, an_image, ldi, ldi32, svc, words
from hsx import errors
from hsx.image.build import build
from native.programs import word

LD, ST, LDB, STB, LDH, STH = 0x02, 0x03, 0x06, 0x08, 0x07, 0x09
PUSH, POP, CALL, DIV, MOV = 0x40, 0x41, 0x24, 0x13, 0x04


def a_task(*code: int, stack: int = 64, bss: int = 8) -> "tuple[n.VM, int]":
    vm = n.VM(bytearray(4096), 1)
    return vm, vm.load(an_image(*code, bss_size=bss), stack)


def fault_of(*code: int, regs: dict, stack: int = 64) -> tuple:
    """Stop, PC, steps and R0 of a program that is run with these registers."""
    vm, pid = a_task(*code, stack=stack)
    for which, value in regs.items():
        vm.set(pid, which, value)
    stop = vm.clock(pid, 100)
    assert vm.state(pid) == n.PARKED
    return stop, vm.get(pid, n.PC), vm.get(pid, n.STEPS), vm.get(pid, 0)


@pytest.mark.parametrize("budget", [0, 1, 2, 3, 99, 1000])
def test_a_budget_is_the_number_of_instructions(budget):
    vm, pid = a_task(ldi(1, 1), SPIN)
    assert vm.clock(pid, budget) == n.OK
    assert vm.get(pid, n.STEPS) == budget


def test_budgets_add_up_wherever_they_are_cut():
    for first in range(12):
        for second in range(12):
            vm, pid = a_task(ldi(1, 1), ldi(2, 2), ldi(3, 3), SPIN)
            vm.clock(pid, first)
            vm.clock(pid, second)
            assert vm.get(pid, n.STEPS) == first + second
            assert vm.get(pid, n.PC) == (first + second) % 4 * 4


@pytest.mark.parametrize("budget", [-1, 1 << 30, 1 << 32, 1 << 40])
def test_a_budget_out_of_range_is_einval(budget):
    vm, pid = a_task(SPIN)
    with pytest.raises(OSError) as refused:
        vm.clock(pid, budget)
    assert refused.value.errno == errors.EINVAL


def test_the_largest_budget_is_taken():
    vm, pid = a_task(EXIT)
    assert vm.clock(pid, (1 << 30) - 1) == n.EXIT


def test_a_budget_beyond_one_run_of_the_loop_goes_on():
    # 2**28 instructions are one run of the interpreter; this one stops at a step count just above.
    vm, pid = a_task(0x10110000 | 2 << 12, 0x23000000, EXIT)  # ADD R1,R1,R2; JNZ 0; exit
    vm.set(pid, 1, 0x100000000 - (1 << 27) - 5)
    vm.set(pid, 2, 1)
    assert vm.clock(pid, (1 << 30) - 1) == n.EXIT
    assert vm.get(pid, n.STEPS) == 2 * ((1 << 27) + 5) + 1


def test_steps_wrap_at_32_bits():
    vm, pid = a_task(SPIN)
    vm.set(pid, n.STEPS, 0xFFFFFFFE)
    vm.clock(pid, 5)
    assert vm.get(pid, n.STEPS) == 3


# ---- Stops --------------------------------------------------------------------------------------


def test_svc_tells_module_and_function_and_goes_on_behind():
    vm, pid = a_task(svc(5, 2), ldi(1, 3), EXIT)
    assert vm.clock(pid, 10) == n.SVC | 0x502 << 8
    assert (vm.get(pid, n.PC), vm.state(pid)) == (4, n.READY)
    assert vm.clock(pid, 10) == n.EXIT
    assert vm.get(pid, 1) == 3


def test_brk_tells_its_code_and_goes_on_behind():
    vm, pid = a_task(BRK | 0xF5A, SPIN | 4)
    assert vm.clock(pid, 10) == n.BRK | 0x5A << 8
    assert vm.clock(pid, 10) == n.OK


def test_exit_keeps_r0_and_parks():
    vm, pid = a_task(ldi(0, 42), EXIT, SPIN)
    assert vm.clock(pid, 10) == n.EXIT
    assert (vm.get(pid, 0), vm.get(pid, n.PC), vm.get(pid, n.STEPS)) == (42, 8, 2)
    assert vm.state(pid) == n.PARKED


@pytest.mark.parametrize("last", [RET, EXIT, 0, 0x13000000])
def test_a_parked_task_goes_on_from_a_pc_that_is_set(last):
    vm, pid = a_task(last, ldi(1, 7), SPIN | 8)
    vm.clock(pid, 10)
    vm.set(pid, 1, 5)
    assert vm.state(pid) == n.PARKED
    vm.set(pid, n.PC, 4)
    assert vm.state(pid) == n.READY
    assert vm.clock(pid, 10) == n.OK
    assert vm.get(pid, 1) == 7


def test_a_return_from_the_top_stays_on_the_ret_uncounted():
    vm, pid = a_task(ldi(0, 42), RET)
    assert vm.clock(pid, 10) == n.RETURNED
    assert (vm.get(pid, 0), vm.get(pid, n.PC), vm.get(pid, n.STEPS)) == (42, 4, 1)


def test_a_stop_that_does_not_count_needs_budget_all_the_same():
    vm, pid = a_task(ldi(0, 42), RET)
    assert vm.clock(pid, 1) == n.OK
    assert vm.clock(pid, 0) == n.OK
    assert vm.clock(pid, 1) == n.RETURNED


def test_a_parked_task_gives_its_stop_again_untouched():
    vm, pid = a_task(BRK, 0x05000000)
    vm.clock(pid, 10)
    stop = vm.clock(pid, 10)
    assert stop == n.FAULT | n.FAULT_ILLEGAL << 8
    before = [vm.get(pid, which) for which in range(27)]
    assert vm.clock(pid, 10) == vm.clock(pid, 0) == stop
    assert [vm.get(pid, which) for which in range(27)] == before


def test_sleep_stops_with_the_time_in_r0():
    vm, pid = a_task(ldi(0, 250), SLEEP, ldi(1, 1), EXIT)
    assert vm.clock(pid, 10) == n.SLEEP
    assert (vm.get(pid, 0), vm.get(pid, n.PC), vm.state(pid)) == (250, 8, n.READY)


def test_sleeping_no_time_does_not_stop():
    vm, pid = a_task(SLEEP, SLEEP, EXIT)
    assert vm.clock(pid, 10) == n.EXIT
    assert vm.get(pid, n.STEPS) == 3


def test_steps_are_answered_inside_without_the_asking_one():
    vm, pid = a_task(ldi(1, 1), STEPS, word(MOV, 5, 0), STEPS, EXIT)
    for _ in range(5):
        stop = vm.clock(pid, 1)
    assert stop == n.EXIT
    assert (vm.get(pid, 5), vm.get(pid, 0)) == (1, 3)


@pytest.mark.parametrize("budget", range(1, 8))
def test_an_answered_svc_uses_up_one_step(budget):
    vm, pid = a_task(STEPS, SPIN)
    vm.clock(pid, budget)
    assert vm.get(pid, n.STEPS) == budget


# ---- Faults -------------------------------------------------------------------------------------


def fault(number: int, pc: int, steps: int, r0: int) -> tuple:
    return n.FAULT | number << 8, pc, steps, r0


def test_division_by_zero():
    assert fault_of(ldi(1, 5), word(DIV, 2, 1, 3), regs={}) == fault(
        n.FAULT_DIV_ZERO, 4, 1, 0xFFFFFF05
    )


def test_an_illegal_opcode_counts_and_keeps_r0():
    for opcode in (0x00, 0x05, 0x0A, 0x18, 0x26, 0x36, 0x42, 0x56, 0x61, 0x7E, 0x80, 0xFF):
        assert fault_of(ldi(0, 9), opcode << 24, SPIN, regs={}) == fault(n.FAULT_ILLEGAL, 8, 2, 9)


def test_running_off_the_code_keeps_r0():
    for budget in (1, 2, 3, 100):
        vm, pid = a_task(ldi(0, 9), ldi(1, 9))
        while (stop := vm.clock(pid, budget)) == n.OK:
            pass
        assert stop == n.FAULT | n.FAULT_PC_RANGE << 8
        assert (vm.get(pid, n.PC), vm.get(pid, n.STEPS), vm.get(pid, 0)) == (8, 2, 9)


def test_a_budget_that_ends_with_the_code_is_used_up_first():
    for count in range(1, 6):
        vm, pid = a_task(*[ldi(1, 9)] * count)
        assert vm.clock(pid, count) == n.OK
        assert vm.clock(pid, 1) == n.FAULT | n.FAULT_PC_RANGE << 8


@pytest.mark.parametrize("target", [8, 9, 5, 6, 7, 0xFFC, 0xFFF])
def test_a_jump_beyond_the_code_retires_and_the_fetch_faults(target):
    assert fault_of(ldi(0, 9), 0x21000000 | target, regs={}) == fault(
        n.FAULT_PC_RANGE, target, 2, 9
    )


@pytest.mark.parametrize("pc", [8, 5, 0x10000, 0x7FFFFFFC, 0xFFFFFFFC, 0xFFFFFFFF])
def test_a_start_beyond_the_code_faults(pc):
    assert fault_of(ldi(0, 9), SPIN, regs={n.PC: pc}) == fault(n.FAULT_PC_RANGE, pc, 0, 0)


def test_ldi32_without_its_second_word_faults_on_itself():
    assert fault_of(ldi(0, 9), 0x60100000, regs={}) == fault(n.FAULT_PC_RANGE, 4, 1, 9)


def test_a_return_may_go_anywhere_and_faults_there():
    code = (word(PUSH, rs1=1), RET)
    regs = {1: 0xDEADBEEC, n.DEPTH: 1}
    assert fault_of(*code, regs=regs) == fault(n.FAULT_PC_RANGE, 0xDEADBEEC, 2, 0)


@pytest.mark.parametrize(
    ("addr", "op", "inside"),
    [
        (0x3FFF, LDB, False),
        (0x3FFE, LD, False),
        (0x4000, LD, True),
        (0x4004, LD, True),
        (0x4005, LD, False),
        (0x4006, LDH, True),
        (0x4007, LDH, False),
        (0x4007, LDB, True),
        (0x4008, LDB, False),
        (0x4005, ST, False),
        (0x4007, STH, False),
        (0x4007, STB, True),
        (0xFFFC - 64, LD, True),
        (0xFFFC - 65, LD, False),
        (0xFFFC - 65, LDB, False),
        (0xFFFC, LD, True),
        (0xFFFD, LD, False),
        (0xFFFE, LDH, True),
        (0xFFFF, LDH, False),
        (0xFFFF, LDB, True),
        (0xFFFF, STB, True),
        (0, LDB, False),
        (0x14000, LD, True),
    ],
)
def test_memory_ends_where_its_windows_end(addr, op, inside):
    vm, pid = a_task(word(op, 2, 1, 3), SPIN)
    vm.set(pid, 1, addr)
    stop = vm.clock(pid, 5)
    assert stop == (n.OK if inside else n.FAULT | n.FAULT_MEM << 8)
    assert vm.get(pid, 0) == (0 if inside else 0xFFFFFF04)


def test_a_store_that_faults_writes_nothing():
    vm, pid = a_task(word(ST, 0, 1, 2), SPIN)
    vm.set(pid, 1, 0x4005)
    vm.set(pid, 2, 0xFFFFFFFF)
    vm.clock(pid, 1)
    data = bytearray(8)
    vm.read(pid, 0x4000, data)
    assert data == bytes(8)


def test_flat_memory_faults_only_across_its_top():
    for addr, op, inside in ((0, LDB, True), (0xFFFC, LD, True), (0xFFFD, LD, False)):
        vm = n.VM(bytearray(70000), 1, True)
        pid = vm.load(an_image(word(op, 2, 1), SPIN))
        vm.set(pid, 1, addr)
        assert (vm.clock(pid, 5) == n.OK) is inside


def test_flat_memory_has_no_seam_at_the_stack_limit():
    vm = n.VM(bytearray(70000), 1, True)
    pid = vm.load(an_image(word(ST, 0, 1, 2), word(LD, 3, 1), SPIN))
    for addr in range(0xEFF8, 0xF000):
        vm.set(pid, n.PC, 0)
        vm.set(pid, 1, addr)
        vm.set(pid, 2, 0x12345678 + addr)
        vm.clock(pid, 2)
        assert vm.get(pid, 3) == 0x12345678 + addr
        seen = bytearray(4)
        assert vm.read(pid, addr & ~7, seen) == 4


def test_the_stack_faults_at_its_limit_and_not_before():
    for stack in (4, 64):
        vm, pid = a_task(word(PUSH, rs1=1), SPIN, stack=stack)
        for _ in range(stack // 4):
            vm.set(pid, n.PC, 0)
            assert vm.clock(pid, 1) == n.OK
        vm.set(pid, n.PC, 0)
        assert vm.get(pid, n.SP) == vm.get(pid, n.STACK_LIMIT)
        assert vm.clock(pid, 1) == n.FAULT | n.FAULT_STACK_OVERFLOW << 8


@pytest.mark.parametrize("sp", [0x10001, 0x10004, 0, 3, 0x4004, 0xFFFFFFFF, 0x80000000])
def test_a_push_with_the_stack_pointer_elsewhere_overflows(sp):
    assert fault_of(word(PUSH, rs1=1), regs={n.SP: sp}) == fault(
        n.FAULT_STACK_OVERFLOW, 0, 0, 0xFFFFFF03
    )
    assert fault_of(word(CALL, imm=1), SPIN, regs={n.SP: sp})[0] == (
        n.FAULT | n.FAULT_STACK_OVERFLOW << 8
    )


def test_a_push_from_the_very_top_is_allowed():
    vm, pid = a_task(word(PUSH, rs1=1), SPIN)
    vm.set(pid, n.SP, 0x10000)
    vm.set(pid, 1, 77)
    assert vm.clock(pid, 1) == n.OK
    assert (vm.get(pid, n.SP), vm.get(pid, 15)) == (0xFFFC, 0xFFFC)


@pytest.mark.parametrize("sp", [0x10000, 0x10001, 0xFFFFFFFF, 0x80000000])
def test_popping_above_the_top_underflows(sp):
    expected = fault(n.FAULT_STACK_UNDERFLOW, 0, 0, 0xFFFFFF02)
    assert fault_of(word(POP, 1), regs={n.SP: sp}) == expected
    assert fault_of(RET, regs={n.SP: sp, n.DEPTH: 1}) == expected


@pytest.mark.parametrize("sp", [0xFFFD, 0xFFFE, 0xFFFF, 0x1000])
def test_popping_across_the_top_or_from_nowhere_is_a_memory_fault(sp):
    expected = fault(n.FAULT_MEM, 0, 0, 0xFFFFFF04)
    assert fault_of(word(POP, 1), regs={n.SP: sp}) == expected
    assert fault_of(RET, regs={n.SP: sp, n.DEPTH: 1}) == expected


def test_popping_from_the_data_reads_it():
    vm, pid = a_task(word(POP, 1), SPIN)
    vm.set(pid, n.SP, 0x4004)
    vm.write(pid, 0x4004, b"\x01\x02\x03\x04")
    assert vm.clock(pid, 1) == n.OK
    assert vm.get(pid, 1) == 0x04030201


def test_pop_r15_keeps_the_value_popped():
    vm, pid = a_task(word(PUSH, rs1=1), word(POP, 15), SPIN)
    vm.set(pid, 1, 99)
    vm.clock(pid, 2)
    assert (vm.get(pid, 15), vm.get(pid, n.SP)) == (99, 0xFFFC)


# ---- Trace --------------------------------------------------------------------------------------


def trace(vm: n.VM, pid: int) -> tuple:
    return vm.get(pid, n.LAST_PC), vm.get(pid, n.LAST_WORD)


def test_the_trace_follows_every_single_step():
    code = (*ldi32(1, 5), ldi(2, 1), 0x11110000 | 2 << 12, 0x23000008, EXIT)
    vm, pid = a_task(*code)
    seen = []
    while vm.state(pid) == n.READY:
        vm.clock(pid, 1)
        seen.append(vm.get(pid, n.LAST_PC))
        assert vm.get(pid, n.LAST_WORD) == code[seen[-1] // 4]
    assert seen[:4] == [0, 8, 12, 16]
    assert seen[-1] == 20


@pytest.mark.parametrize("budget", range(1, 30))
def test_the_trace_is_the_same_whatever_the_budget(budget):
    code = (*ldi32(1, 5), ldi(2, 1), 0x11110000 | 2 << 12, 0x23000008, EXIT)
    whole, one = a_task(*code), a_task(*code)
    whole[0].clock(whole[1], budget)
    for _ in range(budget):
        one[0].clock(one[1], 1)
    assert trace(*whole) == trace(*one)


def test_the_trace_of_a_fault_is_the_instruction_that_faulted():
    vm, pid = a_task(ldi(1, 5), word(DIV, 2, 1, 3))
    vm.clock(pid, 10)
    assert trace(vm, pid) == (4, word(DIV, 2, 1, 3))


def test_outside_the_code_the_trace_has_an_address_but_no_word():
    for budget in (1, 10):
        vm, pid = a_task(ldi(1, 5), 0x21000800)
        while vm.clock(pid, budget) == n.OK:
            pass
        assert trace(vm, pid) == (0x800, 0)


def test_an_odd_address_has_its_word_in_the_trace():
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(bytes([0x21, 0, 0, 6, 0xAA, 0xBB, 0x01, 0x10, 0, 7, 0xCC, 0xDD])))
    vm.clock(pid, 2)
    assert trace(vm, pid) == (6, 0x01100007)
    assert vm.get(pid, 1) == 7


def test_the_code_is_not_what_the_guest_can_read():
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(words(SPIN)))
    assert vm.read(pid, 0, bytearray(4)) == 0
