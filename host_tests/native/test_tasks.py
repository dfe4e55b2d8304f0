# SPDX-License-Identifier: MIT
"""PIDs, their states, their memory in the pool, and what get, set, read and write reach."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import hsxvm as n
from bench.images import RET, SPIN, an_image, words
from hsx import errors
from hsx.image.build import build

IMAGE = build(words(0x01000007, RET), b"abcdefgh", name="app", bss_size=8)
HELD = 8 + 4 + 16 + 1536 + 4  # code, word behind it, data, stack, word above it
GOOD_PID = 1


def a_vm(pool: int = 8192, tasks: int = 4, flat: bool = False) -> n.VM:
    return n.VM(bytearray(pool), tasks, flat)


def errno_of(call, *args) -> int:
    with pytest.raises(OSError) as refused:
        call(*args)
    return refused.value.errno


# ---- PIDs ---------------------------------------------------------------------------------------


@pytest.mark.requirement("P-17", "P-21")
def test_pids_are_the_lowest_free_ones():
    vm = a_vm()
    assert [vm.load_begin() for _ in range(4)] == [1, 2, 3, 4]
    vm.load_abort(2)
    vm.load_abort(1)
    assert vm.load_begin() == 1
    assert vm.pids() == (1, 3, 4)


@pytest.mark.requirement("P-17", "P-22", "P-46b")
def test_one_more_pid_than_slots_is_enospc():
    vm = a_vm(tasks=1)
    vm.load_begin()
    assert errno_of(vm.load_begin) == errors.ENOSPC
    assert vm.error() == (errors.ENOSPC, 0, errors.RULE_MEMORY)


@pytest.mark.requirement("P-22")
@pytest.mark.parametrize("tasks", [0, -1, 33, 1 << 40])
def test_a_table_of_another_size_than_1_to_32_is_einval(tasks):
    assert errno_of(n.VM, bytearray(64), tasks) == errors.EINVAL


@pytest.mark.requirement("P-22")
def test_the_largest_table_holds_32():
    vm = a_vm(tasks=32)
    assert [vm.load_begin() for _ in range(32)] == list(range(1, 33))


STATES = ["free", "loading", "failed", "ready", "parked"]
CALLS = {
    "load_write": lambda vm: vm.load_write(GOOD_PID, b""),
    "load_end": lambda vm: vm.load_end(GOOD_PID),
    "load_abort": lambda vm: vm.load_abort(GOOD_PID),
    "unload": lambda vm: vm.unload(GOOD_PID),
    "state": lambda vm: vm.state(GOOD_PID),
    "clock": lambda vm: vm.clock(GOOD_PID, 0),
    "get": lambda vm: vm.get(GOOD_PID, 0),
    "set": lambda vm: vm.set(GOOD_PID, 0, 1),
    "read": lambda vm: vm.read(GOOD_PID, 0, bytearray(1)),
    "write": lambda vm: vm.write(GOOD_PID, 0, b"x"),
}
# What each call gives in each state; 0: it works. load_end of nothing is a malformed image.
VERDICTS = {
    "load_write": (errors.ESRCH, 0, errors.EBUSY, errors.EBUSY, errors.EBUSY),
    "load_end": (errors.ESRCH, errors.EBADMSG, errors.EBUSY, errors.EBUSY, errors.EBUSY),
    "load_abort": (errors.ESRCH, 0, 0, errors.ESRCH, errors.ESRCH),
    "unload": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
    "state": (errors.ESRCH, 0, 0, 0, 0),
    "clock": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
    "get": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
    "set": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
    "read": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
    "write": (errors.ESRCH, errors.EBUSY, errors.EBUSY, 0, 0),
}


def vm_with_pid_in(state: str) -> n.VM:
    vm = a_vm()
    if state == "loading":
        vm.load_begin()
    elif state == "failed":
        vm.load_begin()
        errno_of(vm.load_end, GOOD_PID)
    elif state in ("ready", "parked"):
        vm.load(IMAGE)
    if state == "parked":
        vm.clock(GOOD_PID, 10)
    return vm


@pytest.mark.requirement("P-13", "P-18", "P-19", "P-20", "P-21", "P-46c", "P-46d")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", STATES)
def test_every_call_in_every_state(call, state):
    vm = vm_with_pid_in(state)
    verdict = VERDICTS[call][STATES.index(state)]
    if verdict:
        assert errno_of(CALLS[call], vm) == verdict
    else:
        CALLS[call](vm)


@pytest.mark.parametrize(
    ("state", "number"),
    [("loading", n.LOADING), ("failed", n.FAILED), ("ready", n.READY), ("parked", n.PARKED)],
)
def test_state_tells_them_apart(state, number):
    assert vm_with_pid_in(state).state(GOOD_PID) == number


@pytest.mark.requirement("P-13", "P-46c")
@pytest.mark.parametrize("pid", [-1, 0, 5, 33, 1 << 32, (1 << 32) + 1])
def test_a_pid_out_of_range_is_esrch(pid):
    vm = vm_with_pid_in("ready")
    assert errno_of(vm.state, pid) == errors.ESRCH
    assert errno_of(vm.clock, pid, 1) == errors.ESRCH
    assert errno_of(vm.load_write, pid, b"") == errors.ESRCH


def test_a_refused_call_changes_nothing():
    vm = vm_with_pid_in("ready")
    before = vm.free(), vm.pids()
    errno_of(vm.load_abort, GOOD_PID)
    errno_of(vm.load_write, GOOD_PID, IMAGE)
    errno_of(vm.load_end, GOOD_PID)
    assert (vm.free(), vm.pids(), vm.state(GOOD_PID)) == (*before, n.READY)


# ---- Pool ---------------------------------------------------------------------------------------


def test_memory_is_taken_with_the_header_and_the_stack_at_the_end():
    vm = a_vm()
    pid = vm.load_begin()
    vm.load_write(pid, IMAGE[:95])
    assert vm.free() == 8192
    vm.load_write(pid, IMAGE[95:96])
    assert vm.free() == 8192 - 28
    vm.load_write(pid, IMAGE[96:])
    vm.load_end(pid)
    assert vm.free() == 8192 - HELD
    assert vm.get(pid, n.ARENA) == HELD
    vm.unload(pid)
    assert vm.free() == 8192


def test_a_flat_task_holds_64_kib_and_its_code():
    vm = a_vm(70000, flat=True)
    pid = vm.load(IMAGE)
    assert vm.get(pid, n.ARENA) == 8 + 4 + 0x10000
    assert vm.get(pid, n.STACK_LIMIT) == 0xEFFC


def test_stack_sizes_are_rounded_up_to_4():
    vm = a_vm()
    for stack, limit in ((1, 4), (4, 4), (5, 8), (0, 1536)):
        pid = vm.load(IMAGE, stack)
        assert vm.get(pid, n.STACK_LIMIT) == 0xFFFC - limit
        vm.unload(pid)


def test_a_hole_is_used_again():
    vm = a_vm(3 * HELD)
    for _ in range(3):
        vm.load(IMAGE)
    assert vm.free() == 0
    vm.unload(2)
    assert vm.load(IMAGE) == 2
    assert vm.free() == 0


def test_tasks_do_not_see_each_other():
    vm = a_vm(4 * HELD)
    for pid in (1, 2, 3, 4):
        vm.load(IMAGE)
        vm.write(pid, 0x4000, bytes([pid]) * 16)
        vm.write(pid, 0xFFFC - 1536, bytes([pid]) * 1540)
    for pid in (1, 2, 3, 4):
        data = bytearray(16)
        stack = bytearray(1540)
        vm.read(pid, 0x4000, data)
        vm.read(pid, 0xFFFC - 1536, stack)
        assert set(data) == set(stack) == {pid}
        assert vm.clock(pid, 100) == n.RETURNED
        assert vm.get(pid, 0) == 7


class Pool(RuleBasedStateMachine):
    """Loads of all sizes in any order, whole, cut off or refused, against plain sums."""

    def __init__(self) -> None:
        super().__init__()
        self.vm = n.VM(bytearray(12000), 5)
        self.held: dict[int, int] = {}

    @rule(code=st.integers(1, 600), bss=st.integers(0, 2000), stack=st.integers(1, 3000))
    def load(self, code: int, bss: int, stack: int) -> None:
        image = build(words(SPIN) * code, bss_size=bss)
        try:
            pid = self.vm.load(image, stack)
        except OSError as e:
            assert e.errno == errors.ENOSPC
            return
        self.held[pid] = 4 * code + 4 + (bss + 3 & ~3) + (stack + 3 & ~3) + 4
        assert self.vm.get(pid, n.ARENA) == self.held[pid]
        self.vm.write(pid, 0x4000, bytes([pid]) * bss)
        self.vm.write(pid, 0xFFFC - (stack + 3 & ~3), bytes([pid]) * (stack + 4))

    @precondition(lambda self: len(self.held) < 5)
    @rule(code=st.integers(1, 600), cut=st.integers(0, 2500))
    def abort(self, code: int, cut: int) -> None:
        pid = self.vm.load_begin()
        try:
            self.vm.load_write(pid, build(words(SPIN) * code)[:cut])
        except OSError as e:
            assert e.errno == errors.ENOSPC
        self.vm.load_abort(pid)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def unload(self, data) -> None:
        pid = data.draw(st.sampled_from(sorted(self.held)))
        self.vm.unload(pid)
        del self.held[pid]

    @invariant()
    def sums_agree(self) -> None:
        assert self.vm.pids() == tuple(sorted(self.held))
        assert self.vm.free() == 12000 - sum(self.held.values())

    @invariant()
    def memory_is_each_ones_own(self) -> None:
        for pid in self.held:
            base = self.vm.get(pid, n.STACK_LIMIT)
            stack = bytearray(0x10000 - base)
            assert self.vm.read(pid, base, stack) == len(stack)
            assert stack[:-4] == bytes([pid]) * (len(stack) - 4) or not stack[:-4]
            assert self.vm.clock(pid, 10) == n.OK  # the code is whole


TestPool = Pool.TestCase
TestPool.settings = settings(stateful_step_count=20, max_examples=50)


# ---- Registers and memory -----------------------------------------------------------------------


def test_a_fresh_task_has_the_state_of_the_first_task_of_the_reference():
    vm = a_vm()
    pid = vm.load(build(words(RET, RET), entry=4))
    assert [vm.get(pid, number) for number in range(16)] == [0] * 16
    assert vm.get(pid, n.PC) == 4
    assert vm.get(pid, n.SP) == 0xFFFC
    assert [vm.get(pid, which) for which in (n.PSW, n.DEPTH, n.STEPS)] == [0, 0, 0]
    assert (vm.get(pid, n.LAST_PC), vm.get(pid, n.LAST_WORD)) == (0xFFFFFFFF, 0)


@pytest.mark.parametrize("which", [*range(16), n.PC, n.SP, n.DEPTH, n.STEPS])
@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_what_is_set_is_read_back(which, value):
    vm = vm_with_pid_in("ready")
    vm.set(GOOD_PID, which, value)
    assert vm.get(GOOD_PID, which) == value


@pytest.mark.parametrize("flags", range(16))
def test_any_combination_of_flags_can_be_set(flags):
    vm = vm_with_pid_in("ready")
    vm.set(GOOD_PID, n.PSW, flags | 0xF0)
    assert vm.get(GOOD_PID, n.PSW) == flags


def test_values_are_taken_modulo_2_to_the_32():
    vm = vm_with_pid_in("ready")
    vm.set(GOOD_PID, 3, -1)
    assert vm.get(GOOD_PID, 3) == 0xFFFFFFFF
    vm.set(GOOD_PID, 3, (1 << 40) + 5)
    assert vm.get(GOOD_PID, 3) == 5


READ_ONLY = [n.STACK_LIMIT, n.CODE_LEN, n.RO_LEN, n.ARENA, n.LAST_PC, n.LAST_WORD]


@pytest.mark.parametrize("which", [*READ_ONLY, 27, 1000, -1])
def test_what_cannot_be_set_is_einval(which):
    assert errno_of(vm_with_pid_in("ready").set, GOOD_PID, which, 0) == errors.EINVAL


@pytest.mark.parametrize("which", [27, 1000, -1, 1 << 32])
def test_what_does_not_exist_is_einval(which):
    assert errno_of(vm_with_pid_in("ready").get, GOOD_PID, which) == errors.EINVAL


@pytest.mark.parametrize(
    ("addr", "length", "copied"),
    [
        (0x4000, 16, 16),
        (0x4000, 17, 16),
        (0x400F, 5, 1),
        (0x4010, 5, 0),
        (0x3FFF, 5, 0),
        (0, 5, 0),
        (0xFFFC - 1536, 4000, 1540),
        (0xFFFB - 1536, 4, 0),
        (0xFFFF, 9, 1),
        (0x14000, 16, 16),  # addresses wrap at 64 KiB
        (0x4000, 0, 0),
    ],
)
def test_copies_end_with_the_window(addr, length, copied):
    vm = vm_with_pid_in("ready")
    assert vm.write(GOOD_PID, addr, b"\x77" * length) == copied
    seen = bytearray(length)
    assert vm.read(GOOD_PID, addr, seen) == copied
    assert seen == b"\x77" * copied + bytes(length - copied)


@given(st.integers(0, 0xFFFF), st.binary(max_size=40))
def test_flat_memory_is_all_there(addr, data):
    vm = a_vm(70000, flat=True)
    pid = vm.load(IMAGE)
    fits = min(len(data), 0x10000 - addr)
    assert vm.write(pid, addr, data) == fits
    seen = bytearray(len(data))
    assert vm.read(pid, addr, seen) == fits
    assert seen[:fits] == data[:fits]


def test_an_image_without_data_has_only_a_stack():
    vm = a_vm()
    pid = vm.load(an_image(RET))
    assert vm.read(pid, 0x4000, bytearray(4)) == 0
    assert vm.get(pid, n.ARENA) == 4 + 4 + 1540
