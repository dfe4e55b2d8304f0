# SPDX-License-Identifier: MIT
"""The bench bus as an interface of python-can: what python-can promises of any interface, two
stations back to back; and clients that are written for python-can, not for us."""

import contextlib
import socket
import threading
import time

import can
import canopen
import isotp
import pytest

from bench_bus.running import Running
from hsxctl.simulate.python_can import QUEUE
from waiting import PATIENCE, until

CLASSIC = [
    can.Message(arbitration_id=ident, is_extended_id=is_extended, data=data)
    for ident, is_extended in ((0, False), (0x7FF, False), (0x7FF, True), (0x1FFFFFFF, True))
    for data in (b"", b"\0", bytes(range(8)))
] + [
    can.Message(arbitration_id=0x123, is_extended_id=False, is_remote_frame=True, dlc=5),
    can.Message(arbitration_id=0x123456, is_remote_frame=True, dlc=0),
]


@pytest.fixture
def running():
    with Running(fast=True) as running:
        yield running


@pytest.fixture
def station(running):
    """Opens stations of the bus."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            can.Bus(interface="hsx-bench", channel=running.channel, **options)
        )


@pytest.fixture
def pair(station):
    return station(), station()


def standard(ident, data=b""):
    return can.Message(arbitration_id=ident, is_extended_id=False, data=data)


def received(bus, count):
    """The identifiers of `count` frames and of those that come soon after them."""
    found = [bus.recv(PATIENCE).arbitration_id for _ in range(count)]
    while (message := bus.recv(0.1)) is not None:
        found.append(message.arbitration_id)
    return found


@pytest.mark.parametrize("message", CLASSIC, ids=str)
def test_frame_arrives_as_it_was_sent(pair, message):
    here, there = pair
    here.send(message)
    got = there.recv(PATIENCE)
    assert got is not None and got.equals(message, timestamp_delta=None, check_channel=False)
    assert got.is_rx
    there.send(got)
    assert here.recv(PATIENCE).equals(message, timestamp_delta=None, check_channel=False)


def test_who_sends_does_not_hear_itself(pair):
    here, there = pair
    here.send(standard(1))
    assert there.recv(PATIENCE) is not None
    assert here.recv(0.05) is None


def test_who_wants_hears_itself_in_the_order_of_the_bus(station):
    here, there = station(receive_own_messages=True), station()
    for n in range(5):
        here.send(standard(0x100 + n))
    own = [here.recv(PATIENCE) for _ in range(5)]
    assert [message.arbitration_id for message in own] == [0x100 + n for n in range(5)]
    assert not any(message.is_rx for message in own)
    heard = [there.recv(PATIENCE) for _ in range(5)]
    assert [m.timestamp for m in heard] == pytest.approx([m.timestamp for m in own], abs=1e-5)


def test_time_stamps_are_the_bus_s_and_only_grow(pair):
    here, there = pair
    for n in range(20):
        here.send(standard(n, bytes(8)))
    stamps = [there.recv(PATIENCE).timestamp for _ in range(20)]
    assert stamps == sorted(set(stamps))
    assert all(
        later - earlier > 0.0002 for earlier, later in zip(stamps, stamps[1:], strict=False)
    )


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_receive_gives_up_after_its_time(pair, timeout):
    began = time.monotonic()
    assert pair[0].recv(timeout) is None
    assert timeout <= time.monotonic() - began < PATIENCE


def test_receive_without_a_limit_waits_for_a_frame(pair):
    here, there = pair
    timer = threading.Timer(0.1, lambda: there.send(standard(7)))
    timer.start()
    assert here.recv().arbitration_id == 7
    timer.join()


@pytest.mark.parametrize(
    ("filters", "passed"),
    [
        ([{"can_id": 0x120, "can_mask": 0x7F0, "extended": False}], [0x120, 0x12F]),
        ([{"can_id": 0x120, "can_mask": 0x7F0}], [0x120, 0x12F, 0x121]),
        ([{"can_id": 0x121, "can_mask": 0x1FFFFFFF, "extended": True}], [0x121]),
        (
            [
                {"can_id": 0x200, "can_mask": 0x7FF, "extended": False},
                {"can_id": 0x12F, "can_mask": 0x7FF, "extended": False},
            ],
            [0x12F, 0x200],
        ),
        (None, [0x120, 0x12F, 0x130, 0x200, 0x121]),
    ],
)
def test_filters_pass_what_they_name(station, filters, passed):
    here, there = station(), station(can_filters=filters)
    for ident in (0x120, 0x12F, 0x130, 0x200):
        here.send(standard(ident))
    here.send(can.Message(arbitration_id=0x121, is_extended_id=True))
    assert received(there, len(passed)) == passed


def test_filters_can_be_changed(pair):
    here, there = pair
    there.set_filters([{"can_id": 1, "can_mask": 0x7FF, "extended": False}])
    here.send(standard(1))
    here.send(standard(2))
    assert received(there, 1) == [1]
    there.set_filters(None)
    here.send(standard(2))
    assert received(there, 1) == [2]


def test_listener_hears_and_can_send_nothing(station):
    here, there = station(), station(listen_only=True)
    there.send(standard(1))
    here.send(standard(2))
    assert there.recv(PATIENCE).arbitration_id == 2
    assert here.recv(0.1) is None


def test_periodic_frames_go_on_until_they_are_stopped(pair):
    here, there = pair
    task = here.send_periodic(standard(0x55), 0.01)
    assert [there.recv(PATIENCE).arbitration_id for _ in range(5)] == [0x55] * 5
    task.stop()
    here.send(standard(0x56))
    while there.recv(PATIENCE).arbitration_id != 0x56:
        pass
    assert there.recv(0.1) is None


def test_notifier_hands_frames_to_listeners(pair):
    here, there = pair
    reader = can.BufferedReader()
    notifier = can.Notifier(there, [reader])
    here.send(standard(3))
    assert reader.get_message(PATIENCE).arbitration_id == 3
    notifier.stop()


def test_many_frames_both_ways_at_once_are_all_there_in_their_order(pair):
    def send(bus, base):
        for n in range(300):
            bus.send(standard(base + n))

    threads = [
        threading.Thread(target=send, args=(bus, base))
        for bus, base in zip(pair, (0, 0x400), strict=True)
    ]
    for thread in threads:
        thread.start()
    heard = [[bus.recv(PATIENCE).arbitration_id for _ in range(300)] for bus in reversed(pair)]
    for thread in threads:
        thread.join()
    assert heard == [list(range(300)), list(range(0x400, 0x400 + 300))]


@pytest.mark.parametrize(
    "message",
    [can.Message(is_fd=True, data=bytes(12)), can.Message(is_error_frame=True)],
    ids=["fd", "error"],
)
def test_what_the_bus_does_not_carry_is_refused(pair, message):
    with pytest.raises(can.CanOperationError):
        pair[0].send(message)
    assert pair[1].recv(0.05) is None


def test_full_adapter_says_so_in_time_and_takes_frames_again():
    with Running(bitrate=10_000) as running:
        channel = running.channel
        with (
            can.Bus(interface="hsx-bench", channel=channel) as here,
            can.Bus(interface="hsx-bench", channel=channel) as there,
        ):
            taken = 0
            with pytest.raises(can.CanTimeoutError):
                for n in range(3 * QUEUE):
                    here.send(standard(n, bytes(8)), 0)
                    taken += 1
            assert taken >= QUEUE
            here.send(standard(0x701), PATIENCE)
            assert received(there, taken + 1) == [*range(taken), 0x701]


def test_bus_that_ends_is_told_to_both_ways():
    with Running() as running:
        bus = can.Bus(interface="hsx-bench", channel=running.channel)
    with pytest.raises(can.CanOperationError):
        bus.recv(PATIENCE)
    with pytest.raises(can.CanOperationError):
        bus.send(standard(1))
    bus.shutdown()


def test_no_bus_is_an_initialization_error():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for channel in (port, "no port"):
        with pytest.raises(can.CanInitializationError):
            can.Bus(interface="hsx-bench", channel=channel)


def test_leaving_the_bus_sends_what_is_under_way(station, running):
    there = station()
    with can.Bus(interface="hsx-bench", channel=running.channel) as here:
        for n in range(QUEUE):
            here.send(standard(n))
    assert received(there, QUEUE) == list(range(QUEUE))


def test_python_can_s_own_slcan_interface_works_too(running, station):
    there = station()
    channel = f"socket://{running.channel}"
    with can.Bus(interface="slcan", channel=channel, bitrate=500_000, sleep_after_open=0) as here:
        message = None
        while message is None:  # the bus opens the port when it reads the command for that
            there.send(standard(0x77, b"ab"))
            message = here.recv(0.2)
        assert (message.arbitration_id, bytes(message.data)) == (0x77, b"ab")
        here.send(standard(0x78))
        assert there.recv(PATIENCE).arbitration_id == 0x78


# ---- clients that nobody here wrote ------------------------------------------------------------


def dictionary():
    found = canopen.ObjectDictionary()
    text = canopen.objectdictionary.ODVariable("text", 0x2000)
    text.data_type = canopen.objectdictionary.VISIBLE_STRING
    text.access_type = "rw"
    beat = canopen.objectdictionary.ODVariable("beat", 0x1017)
    beat.data_type = canopen.objectdictionary.UNSIGNED16
    beat.access_type = "rw"
    for variable in (text, beat):
        found.add_object(variable)
    return found


def test_canopen_speaks_over_it(running):
    with contextlib.ExitStack() as stack:
        networks = []
        for _ in range(2):
            network = canopen.Network()
            network.connect(interface="hsx-bench", channel=running.channel)
            stack.callback(network.disconnect)
            networks.append(network)
        there = networks[1].create_node(5, dictionary())
        node = networks[0].add_node(5, dictionary())
        node.sdo.RESPONSE_TIMEOUT = PATIENCE
        text = "longer than one segment, and than two"
        node.sdo["text"].raw = text
        assert there.sdo["text"].raw == text
        assert node.sdo["text"].raw == text
        node.sdo["beat"].raw = 10
        there.nmt.state = "PRE-OPERATIONAL"
        node.nmt.wait_for_heartbeat(PATIENCE)
        node.nmt.state = "OPERATIONAL"
        until(lambda: there.nmt.state == "OPERATIONAL")


# Milliseconds for the next frame of the other end.
PATIENT = dict.fromkeys(("rx_flowcontrol_timeout", "rx_consecutive_frame_timeout"), 100_000)


def test_isotp_brings_a_long_message_over_it(station):
    stacks = []
    for sends, hears in ((0x7E0, 0x7E8), (0x7E8, 0x7E0)):
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=sends, rxid=hears)
        stacks.append(isotp.CanStack(station(), address=address, params=PATIENT))
    for stack in stacks:
        stack.start()
    try:
        data = bytes(range(256)) * 8
        stacks[0].send(data)
        assert stacks[1].recv(block=True, timeout=PATIENCE) == data
    finally:
        for stack in stacks:
            stack.stop()
