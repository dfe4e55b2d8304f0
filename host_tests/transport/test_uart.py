# SPDX-License-Identifier: MIT
"""The runner over the simulated `machine.UART`, and both runners over a pty with real bytes."""

import itertools
import random
import threading
import time

import pytest

from bench.pty_uart import PtyUart
from bench.uart_engines import HEADER, Echo, StrictSink
from fakes import machine
from hsx import ticks
from hsx.errors import EACCES, HsxError
from hsx.link.uart_master import IDLE, UartMaster
from hsx.link.uart_node import UartNode
from hsx.transport.uart import UartRunner
from hsxctl.connect.serial import SerialLink
from hsxctl.errors import NO_NODE, ToolError

DATA = random.Random(11).randbytes(20_000)


# ---- over the simulated driver ----------------------------------------------------------------


class Desk:
    """A runner over the fake UART, and a host's engine that hands its bytes over."""

    def __init__(self, room: int = 1048) -> None:
        self.clock = machine.sim_power_on()
        self.sink, self.echo = StrictSink(), Echo()
        self.uarts: list[machine.UART] = []
        node = UartNode(self.sink, self.echo, "UART:2")
        self.runner = UartRunner(lambda: self._opened(room), node)
        self.master = UartMaster(lambda: 5)
        self.read = 0

    def _opened(self, room):
        self.uarts.append(machine.UART(2, 115200, rxbuf=room, timeout=0))
        return self.uarts[-1]

    @property
    def now(self) -> int:
        return ticks.wrap(self.clock.ticks_ms())

    def round(self, most: int = 400) -> int:
        """Some bytes each way, and 10 ms."""
        uart = self.uarts[-1]
        while uart.any() < most:
            frame = self.master.output(self.now)
            if not frame:
                break
            uart.sim_receive(frame)
        wait = self.runner.poll(self.now)
        self.master.receive(bytes(uart.sim_sent[self.read :]), self.now)
        self.read = len(uart.sim_sent)
        self.clock.sleep_ms(10)
        self.master.poll(self.now)
        return wait


@pytest.mark.requirement("P-66", "P-73")
def test_a_transfer_passes_the_runner():
    desk = Desk()
    desk.runner.open()
    desk.master.begin(HEADER, DATA)
    while desk.master.phase != IDLE:
        desk.round()
    assert desk.master.outcome == "done" and bytes(desk.sink.medium.data) == DATA
    assert desk.sink.source == "UART:2"
    stats = desk.runner.stats()
    assert stats["received"] > len(DATA) and stats["broken"] == 0
    assert desk.uarts[0].sim_lost == 0


def test_a_driver_that_loses_bytes_costs_repeats_only():
    desk = Desk(room=300)  # less than a frame
    desk.runner.open()
    desk.master = UartMaster(lambda: 5, chunk=256)
    desk.master.begin(HEADER, DATA[:4000])
    while desk.master.phase != IDLE:
        desk.round()
    assert desk.uarts[0].sim_lost > 0 and desk.master.repeats > 0
    assert desk.master.outcome == "done" and bytes(desk.sink.medium.data) == DATA[:4000]


def test_a_runner_that_is_not_open_touches_no_driver():
    desk = Desk()
    assert desk.runner.poll(0) > 0
    desk.runner.close()
    assert desk.uarts == []


def test_opening_twice_takes_the_port_once_and_closing_gives_it_back():
    desk = Desk()
    desk.runner.open()
    desk.runner.open()
    assert len(desk.uarts) == 1
    desk.runner.close()
    desk.runner.close()
    with pytest.raises(Exception, match="deinit"):
        desk.uarts[0].any()
    desk.runner.open()
    assert len(desk.uarts) == 2


def test_a_poll_writes_a_little_and_says_that_more_waits():
    desk = Desk()
    desk.runner.open()
    desk.master.request(bytes(range(1, 201)))
    assert desk.round() == 0
    assert len(desk.uarts[0].sim_sent) == 64
    for _ in range(4):
        desk.round()
    assert desk.master.question.reply == bytes(range(200, 0, -1))
    assert desk.round() > 0


@pytest.mark.parametrize("takes", [[1], [7], [63], [64], [1, 64, None, 5], [None, 20]])
def test_a_driver_that_takes_a_part_of_what_is_written_gets_all_the_rest_later(takes):
    message = bytes(range(1, 201))
    sent = []
    for parts in (takes, [1000]):
        desk, turns = Desk(), itertools.cycle(parts)
        desk.runner.open()
        (uart,) = desk.uarts
        write = uart.write

        def partly(buf, write=write, turns=turns):
            most = next(turns)
            return None if most is None else write(buf[:most])

        uart.write = partly
        question = desk.master.request(message)
        while not question.over():
            wait = desk.round()
            assert wait == 0 or question.over()
        assert (question.reply, question.tries) == (message[::-1], 0)
        sent.append(uart.sim_sent)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 1000])
def test_a_poll_does_not_wait_for_more_and_lets_no_ctrl_c_out(size):
    """The driver raises it wherever it waits, and forgets the bytes that it has taken."""
    desk = Desk()
    desk.runner.open()
    desk.uarts[-1].sim_receive(bytes(size))
    machine.sim_interrupt()
    before = desk.clock.ticks_us()
    desk.runner.poll(desk.now)
    assert desk.clock.ticks_diff(desk.clock.ticks_us(), before) == 0
    assert desk.runner.stats()["received"] == size
    assert machine.sim_interrupted()  # the main program gets it


def test_a_flood_does_not_hold_a_poll():
    desk = Desk(room=100_000)
    desk.runner.open()
    desk.uarts[0].sim_receive(bytes(50_000))
    desk.runner.poll(desk.now)
    assert desk.uarts[0].any() >= 40_000


# ---- over a pty -------------------------------------------------------------------------------


@pytest.fixture
def board():
    """A node on a pty, polled by a thread; `path` is the host's end."""
    made = Board()
    yield made
    made.unplug()


class Board:
    def __init__(self) -> None:
        self._uart = PtyUart()
        self.path = self._uart.path
        self.sink, self.echo = StrictSink(), Echo()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.reset()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def reset(self) -> None:
        with self._lock:
            self.sink = StrictSink(medium=self.sink.medium)
            self.engine = UartNode(self.sink, self.echo, "UART:2")
            self.runner = UartRunner(lambda: self._uart, self.engine)
            self.runner.open()

    def _run(self) -> None:
        while not self._over.is_set():
            with self._lock:
                wait = self.runner.poll(ticks.wrap(int(time.monotonic() * 1000)))
            self._over.wait(min(wait, 2) / 1000)

    def unplug(self) -> None:
        """The board is gone, and its end of the line with it."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self._uart.close()


@pytest.mark.requirement("P-73")
@pytest.mark.parametrize("chunk", [256, 512, 1024])
def test_real_bytes_through_pyserial(board, chunk):
    told = []
    with SerialLink(board.path, 921600, chunk) as link:
        assert link.hello()["chunk"] == 1024
        digest = link.push(HEADER, DATA, lambda placed, total: told.append((placed, total)))
    assert bytes(board.sink.medium.data) == DATA and digest == DATA[-4:]
    assert told == sorted(set(told)) and told[-1] == (len(DATA), len(DATA))


def test_requests_and_events_through_pyserial(board):
    with SerialLink(board.path) as link:
        link.hello()
        assert link.request(bytes(500)) == bytes(500)
        with board._lock:
            assert board.engine.tell(b"something happened")
        assert link.events(0.2) == [b"something happened"]


def test_a_reset_in_the_middle_is_resumed_through_pyserial(board):
    first = board.sink

    def progress(placed, total):
        if placed > total // 2 and board.sink is first:
            board.reset()

    with SerialLink(board.path, 921600) as link:
        link.push(HEADER, DATA, progress)
    assert bytes(board.sink.medium.data) == DATA
    assert board.sink._written.count(0) > 9000  # what was in place stayed


def test_a_refusal_comes_with_its_errno(board):
    board.sink.refuse = EACCES
    with SerialLink(board.path) as link, pytest.raises(HsxError) as refused:
        link.push(HEADER, DATA)
    assert refused.value.errno == EACCES and refused.value.where == "begin"


def test_ctrl_c_aborts_the_session_on_the_node(board):
    def progress(placed, total):
        if placed:
            raise KeyboardInterrupt

    with SerialLink(board.path, 921600) as link, pytest.raises(KeyboardInterrupt):
        link.push(HEADER, DATA, progress)
    assert board.sink.aborted == 1 and not board.sink.open


def test_any_url_of_pyserial_is_a_line():
    with SerialLink("loop://") as link, pytest.raises(ToolError) as silent:
        link.hello(0.2)
    assert silent.value.status == NO_NODE


def test_a_port_that_is_not_there_is_said():
    with pytest.raises(ToolError) as absent:
        SerialLink("/dev/no-such-port")
    assert absent.value.status == NO_NODE and "no-such-port" in str(absent.value)


def test_a_port_that_goes_away_is_said(board):
    with SerialLink(board.path, 921600) as link, pytest.raises(ToolError) as lost:
        link.push(HEADER, DATA, lambda placed, total: board.unplug() if placed else None)
    assert lost.value.status == NO_NODE
