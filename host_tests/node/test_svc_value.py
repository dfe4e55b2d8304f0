# SPDX-License-Identifier: MIT
"""Service module 7, called by programs: statuses, results and what is left as it was."""

import pytest

from bench.node import NodeBench
from hsx.node import tasks as t
from hsxctl import assembler

REGISTER, LOOKUP, GET, SET, LIST, _, PERSIST = range(7)
OK, ENOENT, EPERM, ENOSPC, EINVAL, EEXIST, EBUSY = range(7)
ONE = 0x3C00
TWO = 0x4000


@pytest.fixture
def program(tmp_path):
    """program(calls, data) -> an image that makes the calls and keeps R0 and R1 of each.

    A call is (function, R1, R2, R3, R4) with numbers or labels, or ("sleep", ms)."""

    def built(*calls: tuple, data: str = "", name: str = "app") -> bytes:
        lines = ["    LDI32 R10, log", "    LDI R11, 4"]
        for function, *arguments in calls:
            if function == "sleep":
                lines += [f"    LDI R0, {arguments[0]}", "    SVC MOD=0x6, FN=0x0"]
                continue
            lines += [f"    LDI32 R{n}, {argument}" for n, argument in enumerate(arguments, 1)]
            lines += [f"    SVC MOD=0x7, FN={function}"]
            for result in ("R0", "R1"):
                lines += [f"    ST [R10+0], {result}", "    ADD R10, R10, R11"]
        lines += ["    SVC MOD=0x1, FN=0x0", ".data", "log:", f"    .zero {8 * len(calls)}", data]
        path = tmp_path / "app.mvasm"
        path.write_text("\n".join(lines) + "\n")
        return assembler.image(assembler.assemble(path), name)

    return built


@pytest.fixture
def results(program):
    """results(calls..., data) -> (R0, R1) of each call, from a task that ran to its end."""

    def ran(
        *calls: tuple, data: str = "", bench: NodeBench | None = None
    ) -> list[tuple[int, int]]:
        bench = bench or NodeBench()
        pid = bench.load(program(*calls, data=data))
        while bench.task(pid).state in (t.READY, t.SLEEPING):
            bench.clock.forward(bench.poll())
        assert bench.task(pid).state == t.STOPPED
        return logged(bench, pid, sum(call[0] != "sleep" for call in calls))

    return ran


def logged(bench: NodeBench, pid: int, count: int) -> list[tuple[int, int]]:
    log = bytearray(8 * count)
    assert bench.vm.read(pid, 0x4000, log) == len(log)
    numbers = [int.from_bytes(log[at : at + 4], "little") for at in range(0, len(log), 4)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def memory(bench: NodeBench, pid: int, addr: int, size: int) -> bytes:
    view = bytearray(size)
    assert bench.vm.read(pid, addr, view) == size
    return bytes(view)


def rows(bench: NodeBench, *fields: str) -> list[tuple]:
    return [tuple(row[field] for field in fields) for row in bench.node.values.rows()]


def test_a_value_is_registered_found_set_and_read(results):
    assert results(
        (REGISTER, 7, 1, 0, 0),
        (LOOKUP, 7, 1),
        (GET, 0x701),
        (SET, 0x701, TWO),
        (GET, 0x701),
        (LOOKUP, 7, 2),
    ) == [(OK, 0x701), (OK, 0x701), (0, 0x701), (OK, 0x701), (TWO, 0x701), (ENOENT, 7)]


def test_only_the_low_bits_of_arguments_count(results):
    assert results(
        (REGISTER, 0xABCD07, 0xFF01, 0xFF00, 0xABCD0000),
        (LOOKUP, 0x107, 0x201),
        (SET, 0xABCD0701, 0x12340000 | TWO),
        (GET, 0x80000701),
    ) == [(OK, 0x701), (OK, 0x701), (OK, 0xABCD0701), (TWO, 0x80000701)]


def test_what_is_refused_changes_no_other_register(results):
    assert results(
        (REGISTER, 7, 1, 1, 0xFFFF),
        (REGISTER, 7, 1, 0, 0),
        (SET, 0x701, TWO),
        (GET, 0x702),
        (SET, 0x702, TWO),
        (PERSIST, 0x702, 1),
        (PERSIST, 0x701, 3),
        (PERSIST, 0x701, 0x102),
    ) == [
        (OK, 0x701),
        (EEXIST, 7),
        (EPERM, 0x701),
        (ENOENT, 0x702),
        (ENOENT, 0x702),
        (ENOENT, 0x702),
        (EINVAL, 0x701),
        (OK, 0x701),
    ]


@pytest.mark.parametrize("function", [7, 0x77, 0xFF])
def test_a_function_that_there_is_not_is_invalid(results, function):
    assert results((REGISTER, 7, 1, 0, 0), (function, 0x701, 0x4000))[1] == (EINVAL, 0x701)


def test_a_registry_that_is_full_says_so_and_goes_on(results):
    bench = NodeBench()
    calls = [(REGISTER, 7, id, 0, 0) for id in range(65)]
    statuses = [status for status, _ in results(*calls, bench=bench)]
    assert statuses == [OK] * 64 + [ENOSPC]
    bench.node.kill(1)
    assert bench.state() == bench.idle


def test_a_task_reaches_only_its_own_values(program):
    bench = NodeBench()
    calls = ((REGISTER, 7, 1, 0, 0), (SET, 0x701, ONE), ("sleep", 5), (GET, 0x701))
    first = bench.load(program(*calls))
    second = bench.load(
        program(
            (LOOKUP, 7, 1),
            (GET, 0x701),
            (SET, 0x701, TWO),
            (LIST, 0xFF, "list", 9),
            data="list: .zero 4",
            name="other",
        )
    )
    bench.poll()
    bench.clock.forward(5)
    bench.poll()
    assert logged(bench, second, 4) == [(ENOENT, 7), (ENOENT, 0x701), (ENOENT, 0x701), (OK, 0)]
    assert logged(bench, first, 3)[2] == (ONE, 0x701)


def test_what_the_node_sets_is_what_the_app_reads(program):
    bench = NodeBench()
    pid = bench.load(program((REGISTER, 7, 1, 0, 0), ("sleep", 5), (GET, 0x701)))
    bench.poll()
    bench.node.set_value(pid, 0x701, TWO)
    bench.clock.forward(5)
    bench.poll()
    assert logged(bench, pid, 2)[1] == (TWO, 0x701)


# ---- LIST -------------------------------------------------------------------------------------

THREE = ((REGISTER, 8, 2, 0, 0), (REGISTER, 7, 1, 0, 0), (REGISTER, 8, 1, 0, 0))


@pytest.mark.parametrize(
    ("group", "room", "expected"),
    [
        (0xFF, 9, "02080107010800000000"),
        (0xFF, 3, "02080107010800000000"),
        (0xFF, 2, "02080107000000000000"),
        (0xFF, 0, "00000000000000000000"),
        (8, 9, "02080108000000000000"),
        (9, 9, "00000000000000000000"),
    ],
)
def test_a_list_holds_oids_as_far_as_there_is_room(results, group, room, expected):
    bench = NodeBench()
    found = results(*THREE, (LIST, group, "list", room), data="list: .zero 10", bench=bench)
    assert memory(bench, 1, 0x4020, 10).hex() == expected
    assert found[3] == (OK, 5 - expected.count("0000"))


@pytest.mark.parametrize(("left", "count"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)])
def test_a_list_ends_where_the_memory_ends(results, left, count):
    # The stack ends at 0x10000, and addresses do not wrap.
    assert results(*THREE, (LIST, 0xFF, 0x10000 - left, 9))[3] == (OK, count)


# ---- REGISTER with descriptors ----------------------------------------------------------------

ALL_TYPES = """
group: .byte 1, 7
    .half name, drive
name: .byte 2, 0
    .half unit, speed
unit: .byte 3, 0
    .half range
    .ascii "rpm"
    .byte 0
    .half 0x3C00, 50
range: .byte 4, 0
    .half saved, 0xBC00, 0x4000
saved: .byte 5, 0
    .half 0xFFFF, 5, 100
drive: .asciz "drive"
speed: .asciz "speed"
"""


class Saved:
    """A store that has 2.0 under key 5."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, int, int, int]] = []

    def restore(self, key: int) -> int | None:
        return TWO if key == 5 else None

    def change(self, key: int, bits: int, now: int, debounce_ms: int) -> None:
        self.changes.append((key, bits, now, debounce_ms))


def test_descriptors_say_what_a_value_is(results):
    bench = NodeBench(saved=Saved())
    status = results(
        (REGISTER, 7, 1, 2, "group"),
        (GET, 0x701),
        (SET, 0x701, 0x4100),  # 2.5: not an epsilon of 1 away
        (SET, 0x701, 0x4200),  # 3.0
        (SET, 0x701, 0x4500),
        ("sleep", 49),
        (SET, 0x701, 0x4500),
        ("sleep", 1),
        (SET, 0x701, 0x4500),
        data=ALL_TYPES,
        bench=bench,
    )
    assert [r0 for r0, _ in status] == [OK, TWO, OK, OK, EBUSY, EBUSY, OK]
    assert rows(bench, "name", "unit", "group_name", "min", "max", "key", "value") == [
        ("speed", "rpm", "drive", -1.0, 2.0, 5, 5.0)
    ]
    assert bench.node.saved.changes == [(5, 0x4200, 0, 100), (5, 0x4500, 50, 100)]


@pytest.mark.requirement("P-54")
def test_a_key_without_the_flag_waits_for_persist(results):
    bench = NodeBench(saved=Saved())
    results(
        (REGISTER, 7, 1, 0, "group"),
        (SET, 0x701, 1),
        (PERSIST, 0x701, 2),
        ("sleep", 100),
        (SET, 0x701, 0x4200),
        (PERSIST, 0x701, 0),
        ("sleep", 100),
        (SET, 0x701, 0x4800),
        data=ALL_TYPES.replace("0x3C00, 50", "0, 50"),
        bench=bench,
    )
    assert bench.node.saved.changes == [(5, 0x4200, 100, 100)]


def test_of_two_descriptors_of_a_type_the_first_counts(results):
    bench = NodeBench()
    data = """
one: .byte 2, 0
    .half two, first
two: .byte 2, 0
    .half 0xFFFF, second
first: .asciz "first"
second: .asciz "second"
"""
    results((REGISTER, 7, 1, 0, "one"), data=data, bench=bench)
    assert rows(bench, "name") == [("first",)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("d: .byte 2, 0\n .half d, 0", "points to itself"),
        ("d: .byte 2, 0\n .half e, 0\ne: .byte 2, 0\n .half d, 0", "a loop of two"),
        ("d: .byte 6, 0\n .half 0xFFFF, 0, 0, 0, 0", "no such type"),
        ("d: .byte 0x10, 0\n .half 0xFFFF, 0, 0, 0, 0", "a command's"),
        ("d: .byte 2, 0\n .half 0, 0", "the next one is where no memory is"),
        ("d: .byte 2, 0\n .half 0x4001", "ends in the middle"),
        ("d: .byte 3, 0\n .half 0xFFFF, 0, 0", "a unit that ends in the middle"),
    ],
)
def test_a_broken_chain_is_invalid_and_registers_nothing(results, data, why):
    bench = NodeBench()
    found = results((REGISTER, 7, 1, 0, "d"), (LOOKUP, 7, 1), data=data, bench=bench)
    assert found == [(EINVAL, 7), (ENOENT, 7)], why
    assert rows(bench) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('.asciz "ok"', "ok"),
        (".byte 0xC3, 0xA9, 0", "é"),
        (".byte 0x61, 0xFF, 0x62, 0", "ab"),
        ('.ascii "ending"', "ending"),  # where the memory does
        (".byte 0", None),
        (f'.asciz "{"n" * 100}"', "n" * 64),
    ],
)
def test_names_end_at_a_nul_and_are_bounded(results, text, name):
    bench = NodeBench()
    data = f"d: .byte 2, 0\n .half 0xFFFF, name\nname: {text}"
    assert results((REGISTER, 7, 1, 0, "d"), data=data, bench=bench)[0] == (OK, 0x701)
    assert rows(bench, "name") == [(name,)]


def test_a_name_where_no_memory_is_is_none(results):
    bench = NodeBench()
    data = "d: .byte 2, 0\n .half 0xFFFF, 0x100"
    assert results((REGISTER, 7, 1, 0, "d"), data=data, bench=bench)[0] == (OK, 0x701)
    assert rows(bench, "name") == [(None,)]


def test_a_descriptor_with_a_taken_oid_is_refused_as_one(results):
    found = results((REGISTER, 7, 1, 0, 0), (REGISTER, 7, 1, 0, "group"), data=ALL_TYPES)
    assert found[1] == (EEXIST, 7)
