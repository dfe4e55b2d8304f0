# SPDX-License-Identifier: MIT
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.images import EXIT, an_image
from bench.node import Clock, NodeBench
from hsx import ticks
from hsx.errors import EBADMSG, EBUSY, EINVAL, EIO, ENOENT, ENOSPC, EPERM, HsxError
from hsx.image.build import value_section
from hsx.image.metadata import Value
from hsx.node import tasks as t
from hsx.node import values as v
from hsx.node.values import Values
from hsx.store.file_region import FileRegion
from hsx.store.store import CONFIRMATION, Store

RO = 1
PERSIST = 2
ONE = 0x3C00
TWO = 0x4000
OID = 7 << 8 | 1


class Saved:
    """Saved bits in a dict; errors on demand."""

    def __init__(self, **bits: int) -> None:
        self.bits = {int(key[1:]): value for key, value in bits.items()}
        self.changes: list[tuple[int, int, int, int]] = []
        self.error: OSError | None = None

    def restore(self, key: int) -> int | None:
        if self.error:
            raise self.error
        return self.bits.get(key)

    def change(self, key: int, bits: int, now: int, debounce_ms: int) -> None:
        if self.error:
            raise self.error
        self.changes.append((key, bits, now, debounce_ms))


def a_value(id: int = 1, init: int = ONE, key: int = 0, **more) -> Value:
    fields = {"group": 7, "flags": 0, "auth": 0, "name": "speed", "unit": "rpm", "epsilon": 0}
    fields |= {"min": 0, "max": 0, "group_name": "drive"} | more
    return Value(id=id, init=init, persist_key=key, **fields)


def image(*values: Value, **more) -> bytes:
    return an_image(EXIT, sections=(value_section(list(values)),), **more)


def told(bench: NodeBench, kind: str) -> list[dict]:
    return [data for event, _, data in bench.events if event == kind]


def bits(bench: NodeBench, pid: int, id: int = 1) -> int:
    return bench.node.get_value(pid, 7 << 8 | id)


# ---- registering ------------------------------------------------------------------------------


@pytest.mark.requirement("P-31", "P-34")
def test_what_an_image_declares_is_there_before_it_starts():
    bench = NodeBench()
    pid = bench.load(image(a_value(auth=3, min=ONE, max=TWO, key=5)), start=False)
    assert bench.node.values.rows(pid) == [
        {
            "pid": pid,
            "oid": OID,
            "group": 7,
            "id": 1,
            "name": "speed",
            "unit": "rpm",
            "group_name": "drive",
            "bits": ONE,
            "value": 1.0,
            "flags": PERSIST,
            "auth": 3,
            "min": 1.0,
            "max": 2.0,
            "key": 5,
        }
    ]
    assert bench.node.ps()[0]["values"] == 1
    assert told(bench, "value_registered") == [{"count": 1, "restored": 0}]


def test_two_instances_have_the_same_oids_and_their_own_values():
    bench = NodeBench()
    first, second = (bench.load(image(a_value())) for _ in range(2))
    bench.node.set_value(second, OID, TWO)
    assert (bits(bench, first), bits(bench, second)) == (ONE, TWO)
    assert len(bench.node.values.rows()) == 2


@pytest.mark.requirement("P-13", "P-31", "P-92f")
def test_a_load_that_does_not_fit_leaves_nothing_and_the_next_one_fits():
    bench = NodeBench()
    many = [a_value(id) for id in range(40)]
    bench.load(image(*many))
    before = bench.state()
    with pytest.raises(HsxError) as refused:
        bench.load(image(*many))
    assert refused.value.errno == ENOSPC
    assert bench.state() == before
    bench.load(image(*many[:24]))
    assert len(bench.node.values.rows()) == 64


@pytest.mark.requirement("P-92f")
def test_texts_are_bounded_and_come_free_with_their_task():
    bench = NodeBench()
    wordy = image(*(a_value(id, name="n" * 200 + str(id)) for id in range(15)))
    pid = bench.load(wordy)
    with pytest.raises(HsxError) as refused:
        bench.load(wordy)
    assert refused.value.errno == ENOSPC
    bench.node.kill(pid)
    bench.load(wordy)


def test_an_image_whose_digest_is_wrong_registers_nothing():
    bench = NodeBench()
    with pytest.raises(HsxError) as refused:
        bench.load(image(a_value()), sha256=bytes(32))
    assert refused.value.errno == EBADMSG
    assert bench.state() == bench.idle
    assert bench.events == []


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=40))
def test_dropping_a_task_leaves_the_others_rows_in_their_order(steps):
    """(pid, id) registers one more value; id 0 drops the task."""
    saved = Saved()
    values = Values(Clock(), saved=saved, capacity=16)
    model: list[tuple[int, int, str]] = []
    for pid, id in steps:
        if not id:
            values.drop(pid)
            model = [row for row in model if row[0] != pid]
            continue
        name = f"{pid}.{id}"
        details = (0, 0, 0, 0, pid << 8 | id, id)
        status = values.register(pid, id, PERSIST, details, (name, None, None))
        if any(row[:2] == (pid, id) for row in model):
            assert status == v.EEXIST
        elif len(model) == 16:
            assert status == v.ENOSPC
        else:
            assert status == v.OK
            assert values.set(pid, id, pid << 8 | id) == v.OK
            model.append((pid, id, name))
    assert [(row["pid"], row["oid"], row["name"]) for row in values.rows()] == model
    for pid, id, _ in model:
        assert values.get(pid, id) == pid << 8 | id
        assert values.set(pid, id, 0) == v.OK
        assert saved.changes[-1] == (pid << 8 | id, 0, 0, id)  # key and debounce_ms


# ---- get and set ------------------------------------------------------------------------------


def number(bits: int) -> float:
    return struct.unpack("<e", struct.pack("<H", bits))[0]


@given(
    flags=st.sampled_from([0, RO, PERSIST]),
    level=st.integers(0, 3),
    epsilon=st.sampled_from([0, 0x0001, ONE, 0x7C00]),
    rate=st.sampled_from([0, 1, 100, 0xFFFF]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([OID, OID + 1]),
            st.integers(0, 0xFFFF),
            st.sampled_from([0, 1, 2, 3, v.OWNER]),
            st.integers(0, 70000),
        ),
        max_size=12,
    ),
)
def test_a_set_is_refused_in_the_order_of_the_specification(flags, level, epsilon, rate, steps):
    clock = Clock((1 << 29) - 50_000)  # it wraps on the way
    values = Values(clock)
    values.declare(1, [a_value(flags=flags, auth=level, epsilon=epsilon)])
    # An image has no field for rate_ms: a second value has it, and no level.
    details = (epsilon, rate, 0, 0, 0, 0)
    values.register(1, OID + 1, flags, details, (None, None, None))
    kept = {OID: ONE, OID + 1: 0}
    levels = {OID: level, OID + 1: 0}
    rates = {OID: 0, OID + 1: rate}
    last: dict[int, int] = {}
    elapsed = 0
    for oid, bits, auth, pause in steps:
        elapsed += pause
        clock.forward(pause)
        if auth < levels[oid] or flags & RO:
            expected = v.EPERM
        elif oid in last and elapsed - last[oid] < rates[oid]:
            expected = v.EBUSY
        else:
            expected = v.OK
            if not (epsilon and abs(number(bits) - number(kept[oid])) < number(epsilon)):
                kept[oid] = bits
                last[oid] = elapsed
        assert values.set(1, oid, bits, auth) == expected
        assert values.get(1, oid) == kept[oid]
        assert values.get(1, oid, auth) == (kept[oid] if auth >= levels[oid] else -v.EPERM)
    assert values.set(1, OID + 2, 0) == v.ENOENT
    assert values.set(2, OID, 0) == v.ENOENT
    assert values.get(2, OID) == -v.ENOENT


@pytest.mark.parametrize("now", [0, 1, (1 << 29) - 1])
def test_the_first_change_passes_at_any_time_and_the_next_one_waits(now):
    clock = Clock(now)
    values = Values(clock)
    values.register(1, OID, 0, (0, 10, 0, 0, 0, 0), (None, None, None))
    assert values.set(1, OID, 1) == v.OK
    clock.forward(9)
    assert values.set(1, OID, 2) == v.EBUSY
    clock.forward(1)
    assert values.set(1, OID, 2) == v.OK


def test_a_value_that_rested_for_days_is_not_busy():
    clock = Clock()
    values = Values(clock)
    values.register(1, OID, 0, (0, 0xFFFF, 0, 0, 0, 0), (None, None, None))
    assert values.set(1, OID, 1) == v.OK
    clock.now = ticks.add(clock.now, (1 << 28) + 1000)  # the clock calls it the future
    assert values.set(1, OID, 2) == v.OK


def test_calls_from_outside_act_as_the_owner_unless_a_level_is_given():
    bench = NodeBench()
    pid = bench.load(image(a_value(auth=2), a_value(2, flags=RO)))
    bench.node.set_value(pid, OID, TWO)
    assert bench.node.get_value(pid, OID, 2) == TWO
    for call in (
        lambda: bench.node.get_value(pid, OID, 1),
        lambda: bench.node.set_value(pid, OID, ONE, 1),
        lambda: bench.node.set_value(pid, OID + 1, TWO),
    ):
        with pytest.raises(HsxError) as refused:
            call()
        assert refused.value.errno == EPERM
    bench.node.set_value(pid, OID, TWO)  # no change
    assert told(bench, "value_changed") == [{"oid": OID, "old": ONE, "new": TWO}]


@pytest.mark.parametrize("oid", [OID + 1, -1, OID + (1 << 16), OID - (1 << 16)])
def test_a_value_that_does_not_exist_is_unknown(oid):
    bench = NodeBench()
    first, second = (bench.load(image(a_value())) for _ in range(2))
    for call in (
        lambda: bench.node.get_value(first, oid),
        lambda: bench.node.get_value(second, oid),
        lambda: bench.node.set_value(first, oid, ONE),
        lambda: bench.node.get_value(99, OID),
    ):
        with pytest.raises(HsxError) as refused:
            call()
        assert refused.value.errno == ENOENT


@pytest.mark.parametrize("wrong", [-1, 0x10000])
def test_what_is_no_f16_is_refused(wrong):
    bench = NodeBench()
    pid = bench.load(image(a_value()))
    with pytest.raises(HsxError) as refused:
        bench.node.set_value(pid, OID, wrong)
    assert refused.value.errno == EINVAL
    assert bits(bench, pid) == ONE


MINUS, NAN, INFINITE, LARGE = 0xBC00, 0x7E00, 0x7C00, 0x4400


@pytest.mark.parametrize("wrong", [MINUS, LARGE, NAN, INFINITE])
def test_a_number_outside_the_declared_range_is_refused_to_all_but_the_app(wrong):
    bench = NodeBench()
    pid = bench.load(image(a_value(min=ONE, max=TWO)))
    with pytest.raises(HsxError, match="outside the value's range") as refused:
        bench.node.set_value(pid, OID, wrong)
    assert refused.value.errno == EINVAL and bits(bench, pid) == ONE
    bench.node.set_value(pid, OID, TWO)
    assert bench.node.values.set(pid, OID, wrong) == v.OK  # as its own service call does
    assert bits(bench, pid) == wrong


@pytest.mark.parametrize("number", [MINUS, LARGE, INFINITE])
def test_a_value_without_a_range_takes_any_number(number):
    bench = NodeBench()
    pid = bench.load(image(a_value()))
    bench.node.set_value(pid, OID, number)
    assert bits(bench, pid) == number


def test_a_value_that_is_read_only_says_so_whatever_the_number():
    bench = NodeBench()
    pid = bench.load(image(a_value(flags=1, min=ONE, max=TWO)))
    with pytest.raises(HsxError) as refused:
        bench.node.set_value(pid, OID, LARGE)
    assert refused.value.errno == EPERM


def test_a_change_that_comes_too_early_is_busy():
    bench = NodeBench()
    pid = bench.load(image())
    bench.node.values.register(pid, OID, 0, (0, 50, 0, 0, 0, 0), (None, None, None))
    bench.node.set_value(pid, OID, ONE)
    with pytest.raises(HsxError) as refused:
        bench.node.set_value(pid, OID, TWO)
    assert refused.value.errno == EBUSY


# ---- saved values -----------------------------------------------------------------------------


@pytest.mark.requirement("P-55", "P-85")
def test_saved_bits_win_over_init_and_are_there_before_the_start():
    bench = NodeBench(saved=Saved(k5=TWO))
    pid = bench.load(image(a_value(key=5), a_value(2, key=6), a_value(3)), start=False)
    assert bench.task(pid).state == t.LOADED
    assert [bits(bench, pid, id) for id in (1, 2, 3)] == [TWO, ONE, ONE]
    assert told(bench, "value_registered") == [{"count": 3, "restored": 1}]
    assert told(bench, "warning") == [{"detail": "nothing saved: default value", "count": 1}]


def test_zero_is_saved_like_any_other_value():
    bench = NodeBench(saved=Saved(k5=0))
    assert bits(bench, bench.load(image(a_value(key=5)))) == 0


def test_each_accepted_change_is_handed_on_and_no_other():
    bench = NodeBench(saved=Saved(k5=ONE, k6=ONE))
    pid = bench.load(image(a_value(key=5, epsilon=ONE), a_value(2, key=6, flags=RO), a_value(3)))
    bench.clock.forward(1234)
    node = bench.node
    node.set_value(pid, OID, 0x4200)
    node.set_value(pid, OID, 0x4201)  # less than epsilon away
    node.set_value(pid, OID + 2, TWO)  # no key
    with pytest.raises(HsxError):
        node.set_value(pid, OID + 1, TWO)
    assert bench.node.saved.changes == [(5, 0x4200, 1234, 0)]


@pytest.mark.requirement("P-57")
def test_a_failing_store_costs_a_warning_and_not_the_value():
    bench = NodeBench(saved=Saved(k5=ONE))
    pid = bench.load(image(a_value(key=5)))
    bench.node.saved.error = OSError(EIO)
    for number in (2, 3):
        bench.node.set_value(pid, OID, number)
        assert bits(bench, pid) == number
    failed = {"code": "EIO", "detail": "value not saved", "key": 5}
    assert told(bench, "warning") == [failed]
    bench.node.saved.error = None
    bench.node.set_value(pid, OID, 4)
    bench.node.saved.error = OSError(EIO)
    bench.node.set_value(pid, OID, 5)
    assert told(bench, "warning") == [failed] * 2
    bench.node.kill(pid)
    bench.node.saved.error = None
    pid = bench.load(image(a_value(key=5)))
    bench.node.saved.error = OSError(EIO)
    bench.node.set_value(pid, OID, 6)
    assert told(bench, "warning") == [failed] * 3


@pytest.mark.requirement("P-57")
def test_a_store_that_can_not_be_read_gives_defaults_and_a_warning():
    bench = NodeBench(saved=Saved(k5=TWO))
    bench.node.saved.error = OSError(EIO)
    pid = bench.load(image(a_value(key=5), a_value(2, key=6)))
    assert bits(bench, pid) == ONE
    assert told(bench, "warning") == [
        {"detail": "saved value not read: default value", "count": 2}
    ]


def test_without_a_store_values_are_volatile_and_nothing_is_said():
    bench = NodeBench()
    pid = bench.load(image(a_value(key=5), a_value(2, key=5)))
    bench.node.set_value(pid, OID, TWO)
    assert told(bench, "warning") == []


def test_a_store_may_come_later():
    bench = NodeBench()
    pid = bench.load(image(a_value(key=5)))
    bench.node.saved = Saved(k5=TWO, k6=TWO)
    assert bits(bench, pid) == ONE
    assert bits(bench, bench.load(image(a_value(key=6)))) == TWO
    bench.node.set_value(pid, OID, TWO)
    assert bench.node.saved.changes == [(5, TWO, 0, 0)]


def test_a_second_instance_is_volatile_and_that_is_told():
    bench = NodeBench(saved=Saved(k5=TWO))
    first, second = (bench.load(image(a_value(key=5))) for _ in range(2))
    assert (bits(bench, first), bits(bench, second)) == (TWO, ONE)
    assert told(bench, "warning") == [{"detail": "key of another value: not saved", "count": 1}]
    bench.node.set_value(second, OID, 7)
    assert bench.node.saved.changes == []
    row = bench.node.values.rows(second)[0]
    assert (row["key"], row["flags"]) == (0, 0)
    bench.node.kill(first)
    assert bits(bench, bench.load(image(a_value(key=5)))) == TWO


@pytest.mark.requirement("P-54")
def test_the_reserved_key_is_none():
    bench = NodeBench(saved=Saved())
    pid = bench.load(image(a_value(key=0xFFFF), a_value(2, key=0xFFFF)))
    bench.node.set_value(pid, OID, TWO)
    assert bench.node.saved.changes == []
    assert told(bench, "warning") == []


@pytest.mark.requirement("P-38")
def test_a_failed_load_and_a_kill_free_keys_too():
    bench = NodeBench(saved=Saved(k5=TWO))
    with pytest.raises(HsxError):
        bench.load(image(a_value(key=5), *(a_value(id) for id in range(2, 70))))
    assert bench.state() == bench.idle
    pid = bench.load(image(a_value(key=5)))
    assert bits(bench, pid) == TWO
    bench.node.kill(pid)
    assert bench.state() == bench.idle
    assert bits(bench, bench.load(image(a_value(key=5)))) == TWO


@pytest.mark.requirement("P-55", "P-101")
def test_values_come_back_from_a_real_store_after_power_off(tmp_path):
    def after_power_up(change: int | None = None) -> int:
        """The value once the app is loaded; then it is changed."""
        region = FileRegion(str(tmp_path / "fram.bin"), 8192)
        store = Store(region)
        if not store.open():
            store.format(CONFIRMATION)
        bench = NodeBench(saved=store.values)
        pid = bench.load(image(a_value(key=5)))
        before = bits(bench, pid)
        if change is not None:
            bench.node.set_value(pid, OID, change)
        region.close()
        return before

    assert [after_power_up(TWO), after_power_up(0x4200), after_power_up()] == [ONE, TWO, 0x4200]
