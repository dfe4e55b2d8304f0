# SPDX-License-Identifier: MIT
"""The fakes against MicroPython's type stubs, and what they do that the device does."""

import ast
import inspect
from collections.abc import Iterator
from importlib.metadata import files
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import Misuse, Reset, machine, machine_can, pyb
from fakes.canbus import Frame
from fakes.clock import Clock
from fakes.fram import Fram, Power, PowerCut
from fakes.machine import I2C, UART, WDT, Pin, SoftI2C, Timer
from fakes.pyb import CAN, Switch
from fakes.sdcard import SDCard

# ---- names, parameters and defaults -----------------------------------------------------------

_MISSING = inspect.Parameter.empty
Signature = list[tuple[str, Any, Any]]  # name, kind, default: a literal, _MISSING, or ... for any


def stub(name: str) -> ast.Module:
    """A module of micropython-stm32-stubs."""
    for file in files("micropython-stm32-stubs") or []:
        if str(file) == name:
            return ast.parse(file.read_text())
    raise LookupError(name)


def constants(tree: ast.Module) -> dict[str, Any]:
    """Literal values of a module's and its classes' names, so that defaults can name them."""
    values = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            values[ast.unparse(node.target)] = node.value.value
    return values


def default(node: ast.expr, names: dict[str, Any]) -> Any:
    """A default's value; `...` where the stub does not say."""
    return eval(ast.unparse(node), {}, names)


def signature(node: ast.FunctionDef, names: dict[str, Any]) -> "Signature | None":
    """Parameters without self; None where the stub only has *args."""
    arguments = node.args
    if arguments.vararg is not None:
        return None
    parameter = inspect.Parameter
    ordered = [(a, parameter.POSITIONAL_ONLY) for a in arguments.posonlyargs]
    ordered += [(a, parameter.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    missing = [_MISSING] * (len(ordered) - len(arguments.defaults))
    defaults = missing + [default(value, names) for value in arguments.defaults]
    result = [(a.arg, kind, value) for (a, kind), value in zip(ordered, defaults, strict=True)]
    for a, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        given = _MISSING if value is None else default(value, names)
        result.append((a.arg, parameter.KEYWORD_ONLY, given))
    return [entry for entry in result if entry[0] != "self"]


def functions(body: "list[ast.stmt]", name: str) -> list[ast.FunctionDef]:
    """All overloads of a function."""
    return [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]


def differences(where: str, function: FunctionType, overloads: "list[Signature]") -> list[str]:
    """How a fake's parameters differ from what the stub's overloads allow, together."""
    fake = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    order = [p.name for p in fake]
    found = []
    for overload in overloads:
        places = [order.index(name) for name, _, _ in overload if name in order]
        if len(places) < len(overload):
            found.append(f"{where}: lacks one of {[name for name, _, _ in overload]}")
        positional = [
            order.index(name)
            for name, kind, _ in overload
            if name in order and kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        if positional != sorted(positional):
            found.append(f"{where}: parameters are in another order")
    for p in fake:
        entries = [e for overload in overloads for e in overload if e[0] == p.name]
        if not entries:
            found.append(f"{where}({p.name}): the device has no such parameter")
        in_all = len(entries) == len(overloads)
        if p.default is _MISSING and not in_all:
            found.append(f"{where}({p.name}): can be left out on the device")
        required = all(value is _MISSING for _, _, value in entries)
        if in_all and required and p.default is not _MISSING:
            found.append(f"{where}({p.name}): cannot be left out on the device")
        for _, kind, value in entries:
            if kind is not p.kind:
                found.append(f"{where}({p.name}): is {p.kind.name}, not {kind.name}")
            optional = value is not _MISSING
            if (
                value not in (_MISSING, ...)
                and p.default != value
                and p.default is not machine._ABSENT
            ):
                found.append(f"{where}({p.name}): default is {p.default!r}, not {value!r}")
            if optional and p.default is _MISSING:
                found.append(f"{where}({p.name}): can be left out on the device")
    return found


_DUNDERS = ("__init__", "__call__")


def public(owner: "ModuleType | type") -> Iterator[tuple[str, Any]]:
    """What code under test could use: neither private, nor a test's own, nor imported."""
    bases = [owner] if isinstance(owner, ModuleType) else owner.__mro__[-2::-1]
    home = owner.__name__ if isinstance(owner, ModuleType) else "fakes"
    for name, value in {
        name: value for base in bases for name, value in vars(base).items()
    }.items():
        if name.startswith(("sim_", "_")) and name not in _DUNDERS:
            continue
        if getattr(value, "__module__", home).startswith(home) and not isinstance(
            value, ModuleType | bool
        ):
            yield name, value


def owner_differences(
    owner: "ModuleType | type", body: "list[ast.stmt]", tree: ast.Module
) -> list[str]:
    """How the functions and constants of a fake differ from those in the body of its stub."""
    names = constants(tree)
    stated = {ast.unparse(n.target): n.value for n in body if isinstance(n, ast.AnnAssign)}
    found = []
    for name, value in public(owner):
        where = f"{owner.__name__}.{name}"
        if isinstance(value, FunctionType):
            overloads = [signature(node, names) for node in functions(body, name)]
            known = [overload for overload in overloads if overload is not None]
            found += [] if overloads else [f"{where}: the device has no such function"]
            found += differences(where, value, known) if known else []
        elif not isinstance(value, type):
            if name not in stated:
                found.append(f"{where}: the device has no such constant")
            elif getattr(stated[name], "value", value) != value:
                found.append(f"{where}: has another value on the device")
    return found


def class_body(tree: ast.Module, name: str) -> "list[ast.stmt]":
    """What stands in a class of a stub."""
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name).body


@pytest.mark.parametrize("cls", [Pin, Timer, UART, WDT, I2C, SoftI2C, machine_can.CAN])
def test_machine_class_has_the_signatures_of_the_stub(cls: type) -> None:
    tree = stub("machine.pyi")
    assert owner_differences(cls, class_body(tree, cls.__name__), tree) == []


@pytest.mark.parametrize("cls", [CAN, SDCard, Switch])
def test_pyb_class_has_the_signatures_of_the_stub(cls: type) -> None:
    tree = stub("pyb.pyi")
    assert owner_differences(cls, class_body(tree, cls.__name__), tree) == []


def test_clock_has_the_functions_of_time() -> None:
    # Its constructor alone is a test's own: on the device these are functions of a module.
    tree = stub("time.pyi")
    found = owner_differences(Clock, tree.body, tree)
    assert found == ["Clock.__init__: the device has no such function"]


@pytest.mark.parametrize("module", [machine, pyb])
def test_module_has_only_names_of_the_device(module: ModuleType) -> None:
    tree = stub(module.__name__.split(".")[1] + ".pyi")
    assert owner_differences(module, tree.body, tree) == []
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {name for name, value in public(module) if isinstance(value, type)} <= classes


@pytest.mark.parametrize("name", ["readblocks", "writeblocks", "ioctl"])
def test_sd_card_is_a_block_device_as_vfs_wants_it(name: str) -> None:
    tree = stub("vfs.pyi")
    overloads = [
        signature(node, {}) or [] for node in functions(class_body(tree, "AbstractBlockDev"), name)
    ]
    # FAT asks for whole blocks, with two arguments; `offset` is littlefs's.
    two = [overload for overload in overloads if len(overload) == 2]
    assert differences(name, getattr(SDCard, name), two) == []


def a_function(a: int, b: int = 1, *, c: int = 2) -> None:
    """Something to compare."""


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("def f(a: int, b: int = 1, *, c: int = 2): ...", None),
        ("def f(a: int, b: int = 3, *, c: int = 2): ...", "default is 1, not 3"),
        ("def f(a: int, b: int = 1, c: int = 2): ...", "is KEYWORD_ONLY"),
        ("def f(a: int, b: int = 1): ...", "no such parameter"),
        ("def f(a: int, b: int = 1, *, c: int = 2, d: int): ...", "lacks one of"),
        ("def f(a: int = 0, b: int = 1, *, c: int = 2): ...", "can be left out"),
        ("def f(a: int, b: int, *, c: int = 2): ...", "cannot be left out"),
        ("def f(b: int = 1, a: int = 0, *, c: int = 2): ...", "another order"),
    ],
)
def test_comparison_finds_each_kind_of_difference(text: str, difference: "str | None") -> None:
    known = signature(functions(ast.parse(text).body, "f")[0], {})
    found = differences("f", a_function, [known or []])
    assert found == [] if difference is None else any(difference in line for line in found)


# ---- time -------------------------------------------------------------------------------------


def test_ticks_wrap_within_the_first_second() -> None:
    clock = Clock()
    before = clock.ticks_ms()
    clock.sleep_ms(1000)
    assert clock.ticks_ms() < before
    assert clock.ticks_diff(clock.ticks_ms(), before) == 1000


@given(st.integers(0, (1 << 30) - 1), st.integers(-(1 << 29) + 1, (1 << 29) - 1))
def test_ticks_diff_undoes_ticks_add(ticks: int, delta: int) -> None:
    clock = Clock()
    assert clock.ticks_diff(clock.ticks_add(ticks, delta), ticks) == delta


def test_tick_computed_by_hand_is_misuse() -> None:
    clock = Clock()
    with pytest.raises(Misuse):
        clock.ticks_diff(clock.ticks_ms() + 1000, clock.ticks_ms())


# ---- watchdog ---------------------------------------------------------------------------------


def test_watchdog_resets_when_it_is_not_fed() -> None:
    clock = machine.sim_power_on()
    dog = WDT(timeout=100)
    for _ in range(5):
        clock.sleep_ms(90)
        dog.feed()
    with pytest.raises(Reset):
        clock.sleep_ms(110)


# ---- timer ------------------------------------------------------------------------------------


def test_timer_calls_each_period_and_not_after_deinit() -> None:
    clock = machine.sim_power_on()
    calls = []
    timer = Timer(-1, period=10, callback=calls.append, hard=False)
    clock.sleep_ms(35)
    timer.deinit()
    clock.sleep_ms(100)
    assert calls == [timer] * 3


def test_one_shot_timer_calls_once() -> None:
    clock = machine.sim_power_on()
    calls = []
    timer = Timer(-1)
    timer.init(mode=Timer.ONE_SHOT, period=10, callback=calls.append, hard=False)
    clock.sleep_ms(100)
    assert calls == [timer]


def test_fifth_callback_behind_a_locked_scheduler_is_refused() -> None:
    clock = machine.sim_power_on()
    calls = []
    Timer(-1, period=10, callback=calls.append, hard=False)
    with machine.sim_scheduler_locked() as board:
        clock.sleep_ms(60)
        assert calls == []
    assert (len(calls), board.refused) == (4, 2)


def test_timer_whose_hardness_is_left_open_is_misuse() -> None:
    with pytest.raises(Misuse):
        Timer(-1, period=10, callback=print)


# ---- reset ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "cause"),
    [(machine.reset, machine.HARD_RESET), (machine.soft_reset, machine.SOFT_RESET)],
)
def test_reset_gives_its_cause_at_the_next_start(function: FunctionType, cause: int) -> None:
    with pytest.raises(Reset) as reset:
        function()
    machine.sim_power_on(cause=reset.value.cause)
    assert machine.reset_cause() == cause


# ---- pin --------------------------------------------------------------------------------------


def test_writing_an_input_is_misuse() -> None:
    pin = Pin("X1", Pin.IN, Pin.PULL_UP)
    assert pin() == 1
    with pytest.raises(Misuse):
        pin.on()


# ---- UART -------------------------------------------------------------------------------------


def test_bytes_beyond_the_receive_buffer_are_lost_and_counted() -> None:
    uart = UART(1, 115200, rxbuf=4)
    uart.sim_receive(b"abcdef")
    buf = bytearray(8)
    assert (uart.any(), uart.readinto(buf), bytes(buf[:4]), uart.sim_lost) == (4, 4, b"abcd", 2)


def test_reading_nothing_gives_none_after_the_timeout() -> None:
    clock = machine.sim_power_on()
    uart = UART(1, 115200, timeout=7)
    before = clock.ticks_ms()
    assert uart.read(1) is None
    assert clock.ticks_diff(clock.ticks_ms(), before) == 7


def test_writing_takes_the_time_of_the_line() -> None:
    clock = machine.sim_power_on()
    uart = UART(1, 1000)
    before = clock.ticks_ms()
    assert uart.write(b"12345") == 5
    assert clock.ticks_diff(clock.ticks_ms(), before) == 50
    assert uart.sim_sent == b"12345"


def test_handler_runs_when_bytes_arrive() -> None:
    uart = UART(1)
    calls = []
    uart.irq(calls.append, UART.IRQ_RXIDLE)
    uart.sim_receive(b"x")
    assert calls == [uart]


# ---- I2C and FRAM -----------------------------------------------------------------------------


def a_bus(*devices: Fram) -> I2C:
    """A bus on a board that has just come up."""
    machine.sim_power_on()
    bus = I2C(1)
    for device in devices:
        bus.sim_attach(device)
    return bus


def test_two_devices_answer_and_an_absent_address_does_not() -> None:
    bus = a_bus(Fram(0x50), Fram(0x51))
    assert bus.scan() == [0x50, 0x51]
    with pytest.raises(OSError) as error:
        bus.writeto(0x52, b"")
    assert error.value.errno == 19


@given(st.integers(0, 0xFFF0), st.binary(min_size=1, max_size=16))
def test_written_bytes_are_read_back(at: int, data: bytes) -> None:
    bus = a_bus(Fram(0x50))
    bus.writeto_mem(0x50, at, data, addrsize=16)
    assert bus.readfrom_mem(0x50, at, len(data), addrsize=16) == data


@pytest.mark.parametrize("cut", range(8))
def test_power_lost_at_a_byte_leaves_the_bytes_before_it(cut: int) -> None:
    power = Power(cut_after=cut)
    memory = bytearray(Fram.SIZE)
    bus = a_bus(Fram(0x50, memory, power))
    with pytest.raises(PowerCut):
        bus.writeto_mem(0x50, 0x10, b"\x01" * 8, addrsize=16)
    assert memory[0x10:0x18] == b"\x01" * cut + bytes(8 - cut)
    with pytest.raises(PowerCut):
        bus.readfrom(0x50, 1)


def test_uncut_run_tells_the_writes_to_cut_at() -> None:
    power = Power()
    bus = a_bus(Fram(0x50, power=power), Fram(0x51, power=power))
    bus.writeto_mem(0x50, 0, b"abc", addrsize=16)
    bus.writeto_mem(0x51, 9, b"d", addrsize=16)
    assert (power.writes, power.written) == ([(0x50, 0, 3), (0x51, 9, 1)], 4)


def test_device_that_stops_acknowledging_takes_fewer_bytes() -> None:
    fram = Fram(0x50, bytearray(Fram.SIZE))
    bus = a_bus(fram)
    fram.nack_after = 1
    assert bus.writevto(0x50, (b"\0\0", b"abc")) == 3
    assert fram.memory[:3] == b"a\0\0"
    fram.nack_after = 1
    with pytest.raises(Misuse):
        bus.writeto_mem(0x50, 0, b"abc", addrsize=16)


@pytest.mark.parametrize("length", [1, 2])
def test_transfer_across_the_end_of_a_device_is_misuse(length: int) -> None:
    bus = a_bus(Fram(0x50))
    bus.writeto_mem(0x50, 0xFFFF, b"x", addrsize=16)
    if length == 1:
        assert bus.readfrom_mem(0x50, 0xFFFF, 1, addrsize=16) == b"x"
        return
    with pytest.raises(Misuse):
        bus.writeto_mem(0x50, 0xFFFF, b"xy", addrsize=16)
    with pytest.raises(Misuse):
        bus.readfrom_mem(0x50, 0xFFFF, 2, addrsize=16)


def test_transfer_takes_the_time_of_the_bus() -> None:
    bus = SoftI2C("X9", "X10", freq=9000)
    bus.sim_attach(Fram(0x50))
    clock = machine.sim_power_on()
    before = clock.ticks_ms()
    bus.writeto_mem(0x50, 0, bytes(7), addrsize=16)
    assert clock.ticks_diff(clock.ticks_ms(), before) == 10


# ---- SD card ----------------------------------------------------------------------------------


def a_card() -> SDCard:
    """A card of four blocks, each filled with its number, mounted."""
    card = SDCard(bytearray(b"".join(bytes([n]) * 512 for n in range(4))))
    assert card.ioctl(1, 0) == 0
    return card


def test_card_reads_and_writes_whole_blocks() -> None:
    card = a_card()
    buf = bytearray(1024)
    assert card.writeblocks(2, b"\x07" * 512)
    assert card.readblocks(1, buf)
    assert buf == b"\x01" * 512 + b"\x07" * 512
    assert (card.ioctl(4, 0), card.ioctl(5, 0), card.info()) == (4, 512, (2048, 512, 0))


def test_card_refuses_a_bad_block_and_one_beyond_its_end() -> None:
    card = a_card()
    card.sim_bad.add(2)
    buf = bytearray(512)
    assert [card.readblocks(n, buf) for n in range(5)] == [True, True, False, True, False]
    assert not card.writeblocks(4, buf)


def test_card_that_was_taken_out_answers_nothing() -> None:
    card = a_card()
    card.sim_remove()
    assert not card.present()
    assert card.info() is None
    assert not card.readblocks(0, bytearray(512))
    assert card.ioctl(1, 0) == -1


def test_part_of_a_block_is_misuse() -> None:
    with pytest.raises(Misuse):
        a_card().readblocks(0, bytearray(100))


# ---- CAN --------------------------------------------------------------------------------------

_ALL = (0, 0, 0, 0)  # two masks that look at no bit


def a_controller(mode: int = CAN.NORMAL, params: tuple[int, int, int, int] = _ALL) -> CAN:
    """A controller that takes what `params` say, as masks, into FIFO 0."""
    machine.sim_power_on()
    can = CAN(1, mode)
    can.setfilter(0, CAN.MASK16, 0, params)
    return can


def test_fourth_frame_overwrites_the_third_and_says_so() -> None:
    can = a_controller()
    reasons = []
    can.rxcallback(0, lambda bus, reason: reasons.append(reason))
    for n in range(4):
        can.sim_receive(Frame(n))
    assert [can.recv(0)[0] for _ in range(3)] == [0, 1, 3]
    assert (reasons, can.sim_lost(0)) == ([0, 1, 2], 1)


def test_callback_comes_again_only_after_the_fifo_was_emptied() -> None:
    can = a_controller()
    reasons = []
    can.rxcallback(0, lambda bus, reason: reasons.append(reason))
    can.sim_receive(Frame(1))
    can.sim_receive(Frame(2))
    can.recv(0)
    can.sim_receive(Frame(3))
    assert reasons == [0]
    can.recv(0)
    can.recv(0)
    can.sim_receive(Frame(4))
    assert reasons == [0, 0]


def test_frame_that_waits_calls_a_new_callback_at_once() -> None:
    can = a_controller()
    can.sim_receive(Frame(1))
    reasons = []
    can.rxcallback(0, lambda bus, reason: reasons.append(reason))
    assert reasons == [0]


def test_reception_into_a_list_uses_the_buffer_given() -> None:
    can = a_controller()
    buf = bytearray(8)
    slot = [0, 0, 0, 0, memoryview(buf)]
    for data in (b"12345678", b"ab", b"1234"):
        can.sim_receive(Frame(0x123, data))
        can.recv(0, slot)
        assert (slot[:4], bytes(slot[4])) == ([0x123, False, False, 0], data)
    assert buf[:4] == b"1234"


def test_empty_fifo_times_out() -> None:
    can = a_controller()
    assert not can.any(0)
    with pytest.raises(OSError) as error:
        can.recv(0, timeout=0)
    assert error.value.errno == 110


def test_fourth_frame_to_send_is_refused() -> None:
    can = a_controller()
    for n in range(3):
        can.send(b"", n)
    with pytest.raises(OSError) as error:
        can.send(b"", 3)
    assert error.value.errno == 16
    assert can.info()[5] == 3


def test_mailboxes_leave_in_the_order_of_their_ids() -> None:
    can = a_controller()
    for n in (0x402, 0x401, 0x400):
        can.send(b"x", n)
    frames = [can.sim_transmit() for _ in range(4)]
    assert [frame and frame.id for frame in frames] == [0x400, 0x401, 0x402, None]


@given(st.integers(0, 0x7FF), st.integers(0, 0x7FF), st.integers(0, 0x7FF))
def test_mask_takes_the_ids_that_agree_in_its_bits(id: int, value: int, mask: int) -> None:
    can = a_controller(params=(value, mask, value, mask))
    can.sim_receive(Frame(id))
    assert can.any(0) == ((id ^ value) & mask == 0)


def test_list_goes_before_mask_and_into_its_own_fifo() -> None:
    can = a_controller()
    can.setfilter(1, CAN.LIST16, 1, (1, 2, 3, 0x400))
    can.sim_receive(Frame(0x400))
    can.sim_receive(Frame(0x401))
    assert can.recv(1)[:4] == (0x400, False, False, 3)
    assert can.recv(0)[0] == 0x401


def test_mask_lets_an_extended_frame_with_the_same_first_bits_pass() -> None:
    can = a_controller(params=(0x400, 0x7FF, 0x400, 0x7FF))
    can.sim_receive(Frame(0x400 << 18, b"", extframe=True))
    assert can.recv(0)[1] is True


def test_mask_that_asks_for_data_frames_drops_remote_ones() -> None:
    can = a_controller()
    can.setfilter(0, CAN.MASK16, 0, _ALL, rtr=(False, False))
    can.sim_receive(Frame(1, rtr=True))
    assert not can.any(0)


def test_controller_off_the_bus_sends_nothing_until_restarted() -> None:
    can = a_controller()
    can.send(b"", 1)
    can.sim_state = CAN.BUS_OFF
    assert can.sim_transmit() is None
    can.restart()
    assert can.sim_transmit() == Frame(1)


def test_loopback_receives_what_it_sends() -> None:
    can = a_controller(CAN.LOOPBACK)
    can.send(b"hi", 5)
    can.sim_transmit()
    assert can.recv(0)[4] == b"hi"


@pytest.mark.parametrize(
    "use",
    [
        lambda can: can.send(b"", 0x800),
        lambda can: can.send(b"", 1, timeout=10),
        lambda can: can.setfilter(14, CAN.LIST16, 0, (1, 2, 3, 4)),
        lambda can: can.setfilter(0, CAN.LIST16, 0, (1, 2, 3, 0x800)),
        lambda can: (
            can.sim_receive(Frame(0x7FF, bytes(8), dlc=9)),
            can.recv(0, [0, 0, 0, 0, memoryview(bytearray(8))]),
        ),
        lambda can: (can.deinit(), can.send(b"", 1)),
    ],
)
def test_what_the_controller_would_take_in_silence_is_misuse(use: FunctionType) -> None:
    with pytest.raises(Misuse):
        use(a_controller())


def test_interrupt_that_is_late_finds_all_frames() -> None:
    can = a_controller()
    can.sim_latency_us = 500
    found: list[int] = []

    def emptied(bus: CAN, reason: int) -> None:
        while bus.any(0):
            found.append(bus.recv(0)[0])

    can.rxcallback(0, emptied)
    for n in range(3):
        assert found == []
        can.sim_receive(Frame(n))
        machine.sim_clock().sleep_us(200)
    assert found == [0, 1, 2]


def test_callback_that_leaves_a_full_fifo_alone_hears_of_its_frames_once_more() -> None:
    can = a_controller()
    reasons: list[int] = []
    can.rxcallback(0, lambda bus, reason: reasons.append(reason))
    with can.sim_irq_masked():
        for n in range(3):
            can.sim_receive(Frame(n))
    assert reasons == [1, 0]


@pytest.mark.parametrize(("frames", "reason"), [(1, 0), (2, 0), (3, 1), (4, 2), (9, 2)])
def test_masked_interrupt_comes_once_with_the_worst_reason(frames: int, reason: int) -> None:
    can = a_controller()
    reasons: list[int] = []

    def emptied(bus: CAN, why: int) -> None:
        reasons.append(why)
        while bus.any(0):
            bus.recv(0)

    can.rxcallback(0, emptied)
    with can.sim_irq_masked():
        for n in range(frames):
            can.sim_receive(Frame(n))
        assert reasons == []
    assert reasons == [reason]
    can.sim_receive(Frame(1))
    assert reasons == [reason, 0]


def test_callback_does_not_interrupt_that_of_the_other_fifo() -> None:
    can = a_controller(params=(0x100, 0x7FF, 0x100, 0x7FF))
    can.setfilter(1, CAN.MASK16, 1, (0x200, 0x7FF, 0x200, 0x7FF))
    order: list[str] = []

    def first(bus: CAN, reason: int) -> None:
        order.append("begins")
        bus.sim_receive(Frame(0x200))
        order.append("ends")

    can.rxcallback(0, first)
    can.rxcallback(1, lambda bus, reason: order.append("other"))
    can.sim_receive(Frame(0x100))
    assert order == ["begins", "ends", "other"]


def test_callback_stays_off_after_init_until_it_is_taken_away_and_set_again() -> None:
    can = a_controller()
    reasons: list[int] = []

    def note(bus: CAN, reason: int) -> None:
        reasons.append(reason)

    can.rxcallback(0, note)
    can.deinit()
    can.init(CAN.NORMAL)
    can.setfilter(0, CAN.MASK16, 0, _ALL)
    can.rxcallback(0, note)
    can.sim_receive(Frame(1))
    assert reasons == []
    can.rxcallback(0, None)
    can.rxcallback(0, note)
    assert reasons == [0]


def test_controller_with_automatic_restart_returns_when_the_bus_was_idle() -> None:
    for automatic in (False, True):
        machine.sim_power_on()
        can = CAN(1, CAN.NORMAL, auto_restart=automatic)
        can.sim_state = CAN.BUS_OFF
        can.sim_idle()
        assert (can.state() == CAN.ERROR_ACTIVE) == automatic
        assert can.info()[4] == 1


@pytest.mark.parametrize("make", [a_controller, lambda: machine_can.CAN(1, 500_000)])
def test_restart_on_a_bus_that_is_never_idle_is_misuse(make: Any) -> None:
    can = make()
    can.sim_stuck = True
    with pytest.raises(Misuse):
        can.restart()


# ---- machine.CAN ------------------------------------------------------------------------------


def a_newer_controller(filters: Any = None) -> machine_can.CAN:
    """A machine.CAN with these filters, by default for everything."""
    machine.sim_power_on()
    can = machine_can.CAN(1, 500_000)
    can.set_filters(filters)
    return can


def test_filters_go_to_the_fifos_in_turn_and_the_first_fifo_is_read_first() -> None:
    can = a_newer_controller(((0x100, 0x7FF, 0), (0x200, 0x7FF, 0), (0x300, 0x7FF, 0)))
    for ident in (0x200, 0x300, 0x100, 0x400):
        can.sim_receive(Frame(ident))
    assert [(can.recv() or [None])[0] for _ in range(4)] == [0x300, 0x100, 0x200, None]


def test_filter_looks_at_the_frame_format() -> None:
    can = a_newer_controller(((0x100, 0x7FF, 0),))
    can.sim_receive(Frame(0x100, extframe=True))
    can.sim_receive(Frame(0x100 << 18, extframe=True))
    assert can.recv() is None


def test_handler_is_called_for_frames_and_an_overflow_is_told_by_recv() -> None:
    can = a_newer_controller()
    called: list[int] = []
    can.irq(lambda bus: called.append(1), can.IRQ_RX, True)
    with can.sim_irq_masked():
        for n in range(5):
            can.sim_receive(Frame(n, b"x"))
    assert called == [1]
    got = [can.recv() for _ in range(3)]
    assert [(frame or [])[0] for frame in got] == [0, 1, 4]
    assert [(frame or [])[3] for frame in got] == [can.RECV_ERR_OVERRUN, 0, 0]
    assert can.get_counters()[7] == 1


def test_reception_into_a_list_uses_the_buffer_given_and_remote_frames_are_flagged() -> None:
    can = a_newer_controller()
    buf = bytearray(8)
    slot: list[Any] = [0, memoryview(buf), 0, 0]
    can.sim_receive(Frame(0x123, b"1234"))
    can.sim_receive(Frame(0x124, b"12", rtr=True))
    assert can.recv(slot) is slot
    assert (slot[0], bytes(slot[1]), slot[2]) == (0x123, b"1234", 0)
    can.recv(slot)
    assert (slot[0], bytes(slot[1]), slot[2]) == (0x124, b"\0\0", can.FLAG_RTR)


def test_second_frame_of_an_identifier_is_refused_while_the_first_waits() -> None:
    can = a_newer_controller()
    assert can.send(0x685, b"a") == 0
    assert can.send(0x685, b"b") is None
    assert can.send(0x685, b"b", can.FLAG_UNORDERED) == 1
    assert can.send(0x600, b"c") == 2
    assert can.send(0x601, b"d") is None
    assert can.get_counters()[5] == 3
    assert can.sim_transmit() == Frame(0x600, b"c")


def test_restart_drops_what_waits() -> None:
    can = a_newer_controller()
    can.send(1, b"")
    can.sim_state = can.STATE_BUS_OFF
    can.restart()
    assert (can.state(), can.sim_transmit()) == (can.STATE_ACTIVE, None)


@pytest.mark.parametrize(
    "filters", [((0x800, 0, 0),), ((0, 0x800, 0),), ((0, 0, 1),), [(0, 0, 0)] * 15]
)
def test_filter_that_the_controller_does_not_have_is_refused(filters: Any) -> None:
    with pytest.raises(ValueError):
        a_newer_controller(filters)
