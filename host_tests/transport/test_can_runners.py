# SPDX-License-Identifier: MIT
"""What both runners over a CAN controller promise, in time that a test owns."""

import itertools
import random

import pytest

from fakes import can_pyb as pyb_drivers
from fakes import machine, machine_can, pyb
from fakes.bxcan import RF0R, RF1R
from fakes.canbus import Frame
from hsx.transport import can_machine, can_pyb
from transport.stub_engine import StubEngine, bulk

FRAME_US = 222  # 8 bytes at 500 kbit/s, without stuffing
PERIOD_MS = 10  # between polls of a node
STALLS = range(1, 21)  # ms

NORMAL = pyb.CAN.NORMAL

PYB = {"baudrate": 500_000, "auto_restart": True}
BXCAN = {"fifos": (machine.mem32, RF0R, RF1R)}

# By class of MicroPython and controller: class of the runner, its controller, how that is opened,
# as MicroPython has one object a bus, and what the board tells the runner.
MAKERS = {
    "pyb bxCAN": (
        can_pyb.CanRunner,
        lambda: pyb.CAN(1, NORMAL),
        lambda can: can.init(NORMAL, **PYB),
        BXCAN,
    ),
    "pyb FDCAN": (
        can_pyb.CanRunner,
        lambda: pyb_drivers.FdCan(1, NORMAL),
        lambda can: can.init(NORMAL, **PYB),
        {},
    ),
    "machine bxCAN": (
        can_machine.CanRunner,
        lambda: machine_can.CAN(1, 500_000),
        lambda can: can.init(500_000),
        BXCAN,
    ),
    "machine FDCAN": (
        can_machine.CanRunner,
        lambda: machine_can.FdCan(1, 500_000),
        lambda can: can.init(500_000),
        {},
    ),
}


class Node:
    """A runner over a simulated controller, on a bus whose time a test passes."""

    def __init__(self, kind, **options):
        self.clock = machine.sim_power_on()
        runner, controller, self._init, of_board = MAKERS[kind]
        self.kind = kind
        self.can = controller()
        self.engine = StubEngine()
        self.states = []
        self.runner = runner(
            self.open_can, self.engine, changed=self.states.append, **of_board, **options
        )
        self.runner.open()

    def open_can(self):
        self._init(self.can)
        return self.can

    def poll(self):
        return self.runner.poll(self.clock.ticks_ms() & 0x1FFFFFFF)

    def feed(self, frames, every_us=FRAME_US):
        """Frames come one after the other, while time passes."""
        frames = list(frames)

        def next_one():
            if frames:
                self.can.sim_receive(Frame(*frames.pop(0)))
                self.clock.sim_at(every_us, next_one)

        self.clock.sim_at(every_us, next_one)

    def feed_now(self, *frames):
        for frame in frames:
            self.can.sim_receive(Frame(*frame))

    def run(self, ms, stall_ms=0, every_ms=50):
        """Polls as the node's timer does; every `every_ms` the main loop stands still for
        `stall_ms`, as while it collects garbage: interrupts are served, polls are late."""
        end = self.clock.ticks_ms() + ms
        next_stall = self.clock.ticks_ms() + every_ms
        while self.clock.ticks_ms() < end:
            self.clock.sleep_ms(PERIOD_MS)
            if stall_ms and self.clock.ticks_ms() >= next_stall:
                self.clock.sleep_ms(stall_ms)
                next_stall += every_ms
            self.poll()

    def lost(self):
        stats = self.runner.stats()
        return stats["lost"], stats["overruns"]


@pytest.fixture(params=MAKERS)
def node(request):
    return Node(request.param)


# ---- receiving --------------------------------------------------------------------------------


def test_frames_come_to_the_engine_in_their_order_with_the_time_of_the_poll(node):
    frames = [(0x680, b"\x01"), (0x780, b"12345678"), (0x700, b""), (0x440, b"abc")]
    node.can.sim_latency_us = 100
    node.feed(frames)
    node.clock.sleep_ms(2)
    assert node.engine.received == []
    assert node.poll() == 100
    assert node.engine.received == frames
    assert node.engine.now == node.clock.ticks_ms() & 0x1FFFFFFF
    assert node.runner.stats()["received"] == 4


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize("stall_ms", STALLS)
@pytest.mark.parametrize("kind", MAKERS)
def test_stall_of_the_main_loop_at_full_rate(kind, stall_ms):
    """Between two polls 10 ms and the stall pass: the ring holds 16 ms of a full bus."""
    node = Node(kind)
    frames = bulk(2000)
    node.can.sim_latency_us = 60
    node.feed(frames)
    node.run(460, stall_ms)
    node.poll()
    if PERIOD_MS + stall_ms <= 16:
        assert node.lost() == (0, 0)
        assert node.engine.received == frames
    else:
        lost, overruns = node.lost()
        assert (lost > 0, overruns) == (True, 0)
        assert len(node.engine.received) == len(frames) - lost
        assert set(node.engine.received) < set(frames)


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize("kind", MAKERS)
def test_five_milliseconds_of_stall_anywhere_lose_nothing(kind):
    node = Node(kind)
    frames = bulk(3000)
    seed = random.Random(7)
    node.feed(frames)
    while len(node.engine.received) < len(frames):
        node.can.sim_latency_us = seed.randrange(0, 600)
        node.clock.sleep_ms(PERIOD_MS + seed.randrange(0, 6))
        node.poll()
    assert node.lost() == (0, 0)
    assert node.engine.received == frames


@pytest.mark.parametrize("kind", MAKERS)
def test_ring_holds_all_that_comes_in_sixteen_milliseconds(kind):
    node = Node(kind)
    frames = bulk(72)
    node.feed(frames)
    node.clock.sleep_ms(16)
    node.poll()
    assert node.engine.received == frames
    assert node.lost() == (0, 0)


@pytest.mark.parametrize("latency_us", [0, 100, 300, 600, 660])
@pytest.mark.parametrize("kind", MAKERS)
def test_late_interrupts_lose_nothing_within_three_frames(kind, latency_us):
    node = Node(kind)
    frames = bulk(200)
    node.can.sim_latency_us = latency_us
    node.feed(frames)
    node.run(60)
    assert node.engine.received == frames
    assert node.lost() == (0, 0)


@pytest.mark.parametrize("masked_ms", STALLS)
@pytest.mark.parametrize("kind", MAKERS)
def test_masked_interrupts_lose_frames_and_say_so(kind, masked_ms):
    """No program can help here: a bxCAN keeps the first two frames and the last, an FDCAN the
    first three."""
    node = Node(kind)
    frames = bulk(200)
    node.feed(frames)
    node.clock.sleep_us(50 * FRAME_US)
    with node.can.sim_irq_masked():
        node.clock.sleep_ms(masked_ms)
    node.clock.sleep_us(FRAME_US)
    node.poll()
    node.run(60)
    came = masked_ms * 1000 // FRAME_US
    assert node.lost() == (0, 1)
    kept, again = (53, 50 + came) if kind.endswith("FDCAN") else (52, 50 + came - 1)
    assert node.engine.received == frames[:kept] + frames[again:]


def test_fifo_of_the_rest_overflows_for_itself(node):
    for n in range(5):
        node.can.sim_receive(Frame(0x700 + n, b"d"))
    with node.can.sim_irq_masked():
        for n in range(5):
            node.can.sim_receive(Frame(0x400 + n, b"v"))
    node.poll()
    assert [ident for ident, _ in node.engine.received] == [
        0x700,
        0x701,
        0x702,
        0x703,
        0x704,
        0x400,
        0x401,
        0x402 if node.kind.endswith("FDCAN") else 0x404,
    ]
    assert node.lost() == (0, 1)


def test_load_frame_never_overtakes_the_bulk_frames_before_it(node):
    with node.can.sim_irq_masked():
        node.can.sim_receive(Frame(0x780, b"1"))
        node.can.sim_receive(Frame(0x700, b"2"))
        node.can.sim_receive(Frame(0x680, b"3"))
    node.poll()
    assert [data for _, data in node.engine.received] == [b"1", b"2", b"3"]


def test_load_frame_does_not_overtake_the_bulk_frames_that_came_as_its_interrupt_began(node):
    """A value begins the interrupt; before that looks for frames, one of bulk and a LOAD come."""
    look = "any" if hasattr(node.can, "any") else "recv"
    driver = getattr(node.can, look)

    def late(*args):
        setattr(node.can, look, driver)
        node.feed_now((0x780, b"1"), (0x680, b"2"))
        return driver(*args)

    setattr(node.can, look, late)
    node.feed_now((0x440, b"value"))
    node.poll()
    came = [data for _, data in node.engine.received]
    assert sorted(came) == [b"1", b"2", b"value"]
    assert [data for data in came if data != b"value"] == [b"1", b"2"]


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x3FF, b"below the base"),
        Frame(0x080),
        Frame(0x700, b"remote", rtr=True),
        Frame(0x640, rtr=True),
        Frame(0x700 << 18, b"extended", extframe=True),
        Frame((0x780 << 18) + 5, b"extended", extframe=True),
        Frame(0x440 << 18, b"extended", extframe=True),
        Frame(0x701, b"extended", extframe=True),
    ],
)
def test_foreign_frame_does_not_reach_the_engine(node, frame):
    node.can.sim_receive(frame._replace(data=frame.data[:8]))
    node.poll()
    assert node.engine.received == []


@pytest.mark.parametrize("ident", [*range(0x400, 0x800, 37), 0x7FF])
def test_every_operation_passes(node, ident):
    node.can.sim_receive(Frame(ident, b"x"))
    node.poll()
    assert node.engine.received == [(ident, b"x")]


@pytest.mark.parametrize("kind", MAKERS)
def test_base_of_the_identifiers_can_be_another(kind):
    node = Node(kind, base=0)
    for ident in (0x300, 0x280, 0x000, 0x700, 0x400):
        node.can.sim_receive(Frame(ident))
    node.poll()
    assert sorted(ident for ident, _ in node.engine.received) == [0x000, 0x280, 0x300]


@pytest.mark.requirement("P-88")
def test_flood_ends_a_poll_and_asks_for_another_at_once():
    node = Node("pyb bxCAN", frames=4)
    original = node.engine.frame

    def again(ident, data, now):
        original(ident, data, now)
        node.can.sim_receive(Frame(0x700, b"more"))

    node.runner._frame = again
    node.can.sim_receive(Frame(0x700, b"first"))
    assert node.poll() == 0
    assert len(node.engine.received) == 4


# ---- sending ----------------------------------------------------------------------------------


def on_the_bus(node, polls=50):
    """What leaves, when the bus takes a frame after each poll."""
    sent = []
    for _ in range(polls):
        node.poll()
        frame = node.can.sim_transmit()
        if frame is not None:
            sent.append((frame.id, frame.data))
    return sent


@pytest.mark.requirement("P-68")
def test_frames_of_one_identifier_leave_in_their_order(node):
    frames = [(0x685, bytes([n])) for n in range(12)]
    node.engine.to_send = list(frames)
    assert on_the_bus(node) == frames
    assert node.runner.stats()["sent"] == 12


@pytest.mark.parametrize("kind", MAKERS)
def test_order_holds_however_fast_the_bus_is(kind):
    for seed in range(200):
        chance = random.Random(seed)
        node = Node(kind)
        frames = [(chance.choice([0x685, 0x605]), bytes([n])) for n in range(20)]
        node.engine.to_send = list(frames)
        send, sent = node.can.send, []

        def leaves(node=node, sent=sent):
            frame = node.can.sim_transmit()
            if frame is not None:
                sent.append((frame.id, frame.data))

        def hurried(*args, send=send, chance=chance, leaves=leaves):
            if chance.random() < 0.4:
                leaves()
            return send(*args)

        node.can.send = hurried
        for _ in range(100):
            node.poll()
            if chance.random() < 0.5:
                leaves()
        for ident in (0x685, 0x605):
            mine = [data for own, data in frames if own == ident]
            assert [data for own, data in sent if own == ident] == mine, seed


def test_full_controller_keeps_frames_for_later(node):
    node.engine.to_send = [(0x685, b"%d" % n) for n in range(9)]
    for _ in range(20):
        node.poll()
    assert len(node.engine.to_send) >= 5  # three places, and one that the runner holds
    assert [data for _, data in on_the_bus(node)] == [b"%d" % n for n in range(9)]


def test_frame_has_its_length(node):
    frames = [(0x600 + n, bytes(range(n))) for n in range(9)]
    node.engine.to_send = list(frames)
    assert on_the_bus(node) == frames


@pytest.mark.parametrize("kind", MAKERS)
def test_frame_that_the_driver_refuses_is_sent_later(kind):
    node = Node(kind)
    node.engine.to_send = [(0x685, b"first"), (0x685, b"second")]
    send = node.can.send

    def refused(*args):
        raise OSError(5)

    node.can.send = refused
    node.poll()
    node.can.send = send
    assert on_the_bus(node) == [(0x685, b"first"), (0x685, b"second")]


# ---- interrupts -------------------------------------------------------------------------------

BULK, REST = (0x700, b"bulk"), (0x680, b"rest")


class Interrupted:
    """Frames that come as the driver is asked something for the `call`-th time, before it answers:
    while a callback of the runner is on its way."""

    def __init__(self, node, call, frames, asked=("any", "recv")):
        self.node = node
        self.left = call
        self.frames = frames
        self.made = False
        for name in asked:
            if hasattr(node.can, name):
                setattr(node.can, name, self.before(getattr(node.can, name)))

    def before(self, driver):
        def call(*args):
            self.left -= 1
            if self.left == -1:
                self.made = True
                self.node.feed_now(*self.frames)
            return driver(*args)

        return call

    def over(self):
        """Nothing comes that has not come yet."""
        self.left = -1


@pytest.mark.parametrize("call", range(10))
@pytest.mark.parametrize("first", [BULK, REST])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_node_hears_whatever_came_while_it_was_interrupted(kind, call, first):
    """In any interleaving of arrivals and callbacks: one poll later every interrupt is on."""
    for late in [[BULK], [REST], *itertools.product((BULK, REST), repeat=2)]:
        node = Node(kind)
        other = Interrupted(node, call, late)
        node.feed_now(first)
        node.poll()
        other.over()
        came = [first, *late] if other.made else [first]
        assert sorted(node.engine.received) == sorted(came)
        # Each FIFO holds three frames: without its interrupt the others would be lost.
        node.feed([BULK, REST] * 9)
        node.clock.sleep_ms(15)
        node.poll()
        assert node.engine.received[len(came) :] == [BULK, REST] * 9
        assert node.lost() == (0, 0)


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("ident", [0x700, 0x680])
def test_an_overrun_while_a_callback_runs_is_counted(node, call, ident):
    """Six frames come at once, before the runner looks whether one was lost: it is counted, once,
    whatever the driver does with the flag."""
    six = [(ident, bytes([n])) for n in range(6)]
    other = Interrupted(node, call, six, asked=("any",))
    if node.kind == "machine bxCAN":
        address = RF0R if ident == 0x700 else RF1R
        machine.sim_register(address, other.before(machine.mem32.peripherals[address]))
    elif node.kind == "machine FDCAN":
        node.can.recv = other.before(node.can.recv)
    node.feed_now((ident, b"x"))
    node.poll()
    node.poll()
    lost = sum(node.can.sim_lost(fifo) for fifo in (0, 1))
    assert node.lost() == (0, int(lost > 0))
    assert len(node.engine.received) + lost == (7 if other.made else 1)


def test_interrupts_that_are_masked_at_random_leave_the_node_hearing(node):
    """20,000 frames at full rate, up to 1 ms without interrupts again and again."""
    frames = [REST if at % 8 == 0 else frame for at, frame in enumerate(bulk(20_000))]
    seed = random.Random(5)
    node.feed(frames)
    for _ in range(2_000):  # 2.5 ms each on the average: 5 s, and the frames take 4.4
        with node.can.sim_irq_masked():
            node.clock.sleep_us(seed.randrange(1_000))
        node.can.sim_latency_us = seed.randrange(0, 200)
        node.clock.sleep_us(seed.randrange(4_000))
        node.poll()
    lost = sum(node.can.sim_lost(fifo) for fifo in (0, 1))
    told = sum(node.can.sim_overruns(fifo) for fifo in (0, 1))
    assert lost > 0
    assert len(node.engine.received) == len(frames) - lost
    assert node.lost() == (0, told)
    node.engine.received.clear()
    node.can.sim_latency_us = 0
    node.feed_now((0x680, b"WHO"))
    node.poll()
    assert node.engine.received == [(0x680, b"WHO")]


@pytest.mark.parametrize("dlc", range(9, 16))
@pytest.mark.parametrize("ident", [0x700, 0x440])
def test_a_frame_that_claims_more_than_eight_bytes_writes_nowhere_else(node, dlc, ident):
    node.can.sim_receive(Frame(ident, bytes(8), dlc=dlc))
    node.can.sim_receive(Frame(0x700, b"next"))
    node.poll()
    assert node.engine.received == [(0x700, b"next")]


def test_frames_of_one_interrupt_keep_their_order(node):
    """A LOAD is behind the BLOCK and DATA that came before it, also those that came after the
    callback had looked into their FIFO."""
    for call in range(12):
        fresh = Node(node.kind)
        Interrupted(fresh, call, [(0x780, b"1"), (0x680, b"2")])
        fresh.feed_now((0x440, b"value"))
        fresh.poll()
        came = [data for _, data in fresh.engine.received if data != b"value"]
        assert came in ([], [b"1", b"2"])


# ---- errors, opening, closing -----------------------------------------------------------------


def test_error_states_are_told_once_each(node):
    node.poll()
    for state in (2, 3, 3, 2, 1):
        node.can.sim_state = state
        node.poll()
    assert node.states == [1, 2, 3, 2, 1]
    assert node.runner.stats()["passive"] == 1


@pytest.mark.requirement("P-68")
def test_node_comes_back_from_bus_off_and_never_waits_for_an_idle_bus(node):
    node.poll()
    node.engine.to_send = [(0x685, b"one"), (0x605, b"two")]
    node.can.sim_stuck = True
    node.can.sim_state = 4
    for _ in range(999):  # opening it anew fails for as long as the bus is held down
        node.clock.sleep_ms(10)
        node.poll()
        if node.kind != "machine FDCAN":  # it opens without looking at the bus
            assert node.runner.stats()["state"] == 4
    node.can.sim_stuck = False
    if hasattr(node.can, "sim_idle"):
        node.can.sim_idle()
    node.clock.sleep_ms(1000)
    node.poll()
    node.poll()
    assert node.states == [1, 4, 1]
    assert node.runner.stats()["off"] == 1
    node.can.sim_receive(Frame(0x700, b"back"))
    assert (0x605, b"two") in on_the_bus(node)
    assert node.engine.received == [(0x700, b"back")]


def test_closed_runner_leaves_the_bus_and_can_be_opened_again(node):
    node.can.sim_receive(Frame(0x700, b"a"))
    node.poll()
    node.runner.close()
    node.can.sim_receive(Frame(0x700, b"b"))
    node.runner.open()
    node.can.sim_receive(Frame(0x700, b"c"))
    node.poll()
    assert [data for _, data in node.engine.received] == [b"a", b"c"]


def test_frames_and_overruns_that_were_counted_outlive_closing_and_opening_again(node):
    for n in range(1, 4):
        for first in (0x700, 0x440):  # a FIFO each: of five frames it keeps three
            with node.can.sim_irq_masked():
                node.feed_now(*[(first + at, b"x") for at in range(5)])
        node.engine.to_send = [(0x685, b"x")]
        node.poll()
        for _ in range(2):
            stats = node.runner.stats()
            counted = [stats[name] for name in ("received", "sent", "lost", "overruns")]
            assert counted == [6 * n, n, 0, 2 * n]
            node.runner.close()
            node.runner.open()


@pytest.mark.parametrize(("state", "name"), [(3, "passive"), (4, "off")])
def test_error_states_are_counted_across_closing_and_opening(node, state, name):
    for n in range(1, 4):
        node.can.sim_state = state
        node.poll()
        for _ in range(2):
            assert node.runner.stats()[name] == n
            node.runner.close()
            assert node.runner.stats()[name] == n
            node.runner.open()


def test_bit_rate_that_cannot_be_is_refused_by_the_driver():
    node = Node("machine bxCAN")
    node.runner.close()
    with pytest.raises(ValueError):
        can_machine.CanRunner(lambda: machine_can.CAN(1, 5), node.engine).open()


def test_fdcan_gets_filters_of_its_kind(monkeypatch):
    """`pyb.CAN` of an FDCAN has MASK with one pair, and no MASK16."""
    pairs = []
    monkeypatch.setattr(
        pyb_drivers.FdCan, "setfilter", lambda can, *arguments: pairs.append(arguments)
    )
    Node("pyb FDCAN")
    assert pairs == [
        (0, 2, 0, (0x700, 0x700)),
        (1, 2, 1, (0x400, 0x600)),
        (2, 2, 1, (0x600, 0x700)),
    ]
