# SPDX-License-Identifier: MIT
"""A host's engine on python-can: the virtual bus, adapters that are full or gone, Ctrl-C."""

import itertools
import threading
import time

import can
import pytest

from bench.pty_uart import PtyUart
from hsx.transport.can_slcan import SlcanRunner
from hsxctl.connect.can import CanLink
from hsxctl.errors import NO_NODE, ToolError
from transport.stub_engine import StubEngine, bulk

CHANNELS = itertools.count()


@pytest.fixture
def channel():
    """A virtual bus of its own."""
    return f"connect-{next(CHANNELS)}"


@pytest.fixture
def link(channel):
    with CanLink("virtual", channel) as link:
        yield link


@pytest.fixture
def station(channel, link):
    """Another station on the bus of `link`."""
    with can.Bus(interface="virtual", channel=channel) as bus:
        yield bus


def sent_by(bus, count):
    """The next frames on the bus."""
    messages = [bus.recv(10) for _ in range(count)]
    return [(message.arbitration_id, bytes(message.data)) for message in messages]


class HostEngine(StubEngine):
    """Counts what the adapter took."""

    left = 0

    def sent(self, now):
        self.left += 1


def test_engine_sends_and_receives(link, station):
    engine = HostEngine()
    engine.to_send = bulk(100)
    for n in range(5):
        station.send(can.Message(arbitration_id=0x685, data=[n], is_extended_id=False))
    begin = time.monotonic()
    link.run(engine, lambda: engine.left == 100 and len(engine.received) == 5)
    assert time.monotonic() - begin > 100 * 111 / 500_000  # the wire's time, not the program's
    assert sent_by(station, 100) == bulk(100)
    assert engine.received == [(0x685, bytes([n])) for n in range(5)]
    assert engine.left == 100


def test_engine_that_wants_no_word_of_what_left_gets_none(link, station):
    engine = StubEngine()
    engine.to_send = [(0x600, b"")]
    link.run(engine, lambda: not engine.to_send)
    assert sent_by(station, 1) == [(0x600, b"")]


@pytest.mark.parametrize(
    "foreign",
    [
        {"arbitration_id": 0x123, "is_extended_id": False},
        {"arbitration_id": 0x700, "is_extended_id": True},
        {"arbitration_id": 0x700, "is_extended_id": False, "is_remote_frame": True},
    ],
)
def test_foreign_frames_do_not_reach_the_engine(link, station, foreign):
    engine = StubEngine()
    station.send(can.Message(**foreign))
    station.send(can.Message(arbitration_id=0x685, is_extended_id=False))
    link.run(engine, lambda: engine.received)
    assert engine.received == [(0x685, b"")]


def test_adapter_that_is_full_is_waited_for_and_nothing_is_lost(link, station, monkeypatch):
    engine = HostEngine()
    engine.to_send = bulk(200)
    send = link._bus.send
    tries = itertools.count()

    def full_for_a_while(message, timeout=None):
        if next(tries) % 5 < 3:
            raise can.CanOperationError("Transmit buffer full", 105)
        send(message, timeout)

    monkeypatch.setattr(link._bus, "send", full_for_a_while)
    link.run(engine, lambda: engine.left == 200)
    assert sent_by(station, 200) == bulk(200)


def test_adapter_that_stays_full_leaves_the_engine_its_timers_and_the_bus(
    link, station, monkeypatch
):
    engine = HostEngine()
    engine.to_send = [(0x600, b"")]

    def full(message, timeout=None):
        raise can.CanOperationError("Transmit buffer full", 105)

    monkeypatch.setattr(link._bus, "send", full)
    station.send(can.Message(arbitration_id=0x685, is_extended_id=False))
    link.run(engine, lambda: engine.polls > 20)
    assert engine.received == [(0x685, b"")]
    assert engine.left == 0


def test_adapter_that_is_gone_is_an_error_with_what_to_do(link, monkeypatch):
    def gone(timeout=None):
        raise can.CanOperationError("Failed to receive: Network is down", 100)

    monkeypatch.setattr(link._bus, "recv", gone)
    with pytest.raises(ToolError, match="Network is down.*Plug it in") as error:
        link.run(StubEngine(), lambda: False)
    assert error.value.status == NO_NODE


@pytest.mark.parametrize(
    ("interface", "options", "word"),
    [
        ("nosuch", {}, "nosuch"),
        ("slcan", {"sleep_after_open": 0}, "no-such-port"),
        ("socketcan", {}, ""),
    ],
)
def test_adapter_that_cannot_be_opened_is_an_error_with_what_to_do(interface, options, word):
    with pytest.raises(ToolError, match=f"cannot open the CAN interface: .*{word}") as error:
        CanLink(interface, "no-such-port", 500_000, options)
    assert (error.value.status, error.value.where) == (NO_NODE, f"{interface}:no-such-port")
    assert error.value.remedy.startswith("Check interface, channel and bit rate")


def test_ctrl_c_lets_the_engine_say_that_it_gives_up(link, station):
    engine = HostEngine()
    engine.to_send = bulk(10)
    calls = itertools.count()

    def step():
        if next(calls) == 3:
            raise KeyboardInterrupt

    def abort(now):
        engine.to_send = [(0x680, b"abort")]

    with pytest.raises(KeyboardInterrupt):
        link.run(engine, lambda: False, abort, step)
    assert sent_by(station, 11) == [*bulk(10), (0x680, b"abort")]


@pytest.mark.parametrize("interface", ["virtual", "slcan"])
def test_link_that_is_closed_has_left_the_bus_and_may_be_closed_again(channel, interface):
    uart = PtyUart()
    where, options = (
        (uart.path, {"sleep_after_open": 0}) if interface == "slcan" else (channel, {})
    )
    try:
        link = CanLink(interface, where, 500_000, options)
        link.close()
        engine = StubEngine()
        with pytest.raises(ToolError, match="the CAN interface is lost") as error:
            link.run(engine, lambda: engine.polls > 1)
        assert error.value.status == NO_NODE
        link.close()
    finally:
        uart.close()


@pytest.mark.parametrize("gone", [can.CanOperationError("Network is down"), OSError(19, "gone")])
def test_adapter_that_is_gone_can_be_closed(channel, monkeypatch, gone):
    def shutdown():
        raise gone

    with CanLink("virtual", channel) as link:
        close = link._bus.shutdown
        monkeypatch.setattr(link._bus, "shutdown", shutdown)
    close()


def test_a_line_of_a_serial_adapter_that_has_lost_bytes_is_a_lost_frame():
    uart = PtyUart()
    host = HostEngine()
    try:
        with CanLink("slcan", uart.path, 500_000, {"sleep_after_open": 0}) as link:
            uart.write(b"t68520\rt68\rt6852071\rt685107\r")
            link.run(host, lambda: len(host.received) == 1)
        assert host.received == [(0x685, b"\x07")]
    finally:
        uart.close()


@pytest.mark.requirement("P-66")
def test_engine_reaches_a_node_over_slcan():
    uart = PtyUart()
    node, host = StubEngine(), HostEngine()
    runner = SlcanRunner(uart, node)
    over = threading.Event()

    def polls():
        while not over.wait(0.002):
            runner.poll(0)

    thread = threading.Thread(target=polls)
    thread.start()
    try:
        host.to_send = bulk(300)
        node.to_send = [(0x685, bytes([n & 255])) for n in range(60)]
        with CanLink("slcan", uart.path, 500_000, {"sleep_after_open": 0}) as link:
            link.run(host, lambda: len(node.received) == 300 and len(host.received) == 60)
    finally:
        over.set()
        thread.join()
        uart.close()
    assert node.received == bulk(300)
    assert host.received == [(0x685, bytes([n])) for n in range(60)]
