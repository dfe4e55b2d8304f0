# SPDX-License-Identifier: MIT
"""Checks of CAN: a full bus, frames with a DLC above 8, bus-off."""

import contextlib
import socket
import struct
import time
from typing import Any

import can
import serial

from hsx.link.can_client import CanClient
from hsxctl import clock
from hsxctl.errors import NO_NODE, ToolError
from hsxctl.simulate import can_bus

from .desk import Desk
from .report import Failed, Figures, Skip

_IDENT = 0x400  # a value that is set
_NOBODY = 0x75  # at a node that is not there
_DATA = bytes((0, 0, 0, 0, _NOBODY, 0, 0, 0))
_FRAME_BITS = can_bus.bits(_IDENT, _DATA)
_REST = 1.0  # seconds without a frame, until an adapter has sent all that it was given
_CODES = {10_000: 0, 20_000: 1, 50_000: 2, 100_000: 3, 125_000: 4, 250_000: 5, 500_000: 6,
          800_000: 7, 1_000_000: 8}  # fmt: skip
_BACK = 15.0  # seconds until a node answers again
# A node whose bus is dead hears no question: it is told of one, and answers.
_ANSWER = """
for runner in hsx.runtime().links.runners:
    if 'CAN' in runner.name:
        lock.run(runner._engine.frame, %d, %r, time.ticks_ms())
"""
_STATS = "lock.run(lambda: [r.stats() for r in hsx.runtime().links.runners if 'CAN' in r.name])"


def stats(desk: Desk) -> Figures:
    """Counters of the node's CAN link; none without a REPL."""
    if desk.port["REPL"] is None:
        return {}
    with desk.repl() as repl:
        found = repl.value(_STATS)
    return found[0] if found else {}


def burst(desk: Desk) -> Figures:
    """Fills the bus with frames for nobody, and asks the node afterwards."""
    with desk.node("CAN"):
        pass  # it answers
    before = stats(desk)
    seconds = desk.tries(30, 3)
    sent = 0
    with _open(desk) as bus:
        frame = can.Message(
            arbitration_id=_IDENT,
            data=_DATA,
            is_extended_id=False,
        )
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if sent * _FRAME_BITS > passed * desk.bitrate:
                _drop(bus, 0.001)  # the bus takes no more
                continue
            try:
                bus.send(frame, 1.0)
                sent += 1
            except (can.CanError, OSError):
                _drop(bus, 0.001)  # its buffer is full
        _let_out(desk, bus)
    found: Figures = {"frames given to the adapter": sent, "seconds": seconds}
    found["seconds until it answers"] = _answers(desk, found)
    after = stats(desk)
    for key in ("received", "lost", "overruns", "passive", "off"):
        if key in after:
            found[key] = after[key] - before.get(key, 0)
    if not before:
        return found
    # An adapter that is full refuses frames, and python-can does not tell.
    seen = found["received"] + found["lost"]
    found["load of the bus that the node has seen"] = round(
        seen * _FRAME_BITS / seconds / desk.bitrate, 2
    )
    if seen < 0:
        raise Failed("the node has started anew meanwhile", "Send this report.", found)
    if not seen:
        raise Failed(
            "the node has received none of the frames",
            "Can this adapter send? Is another node there to acknowledge?",
            found,
        )
    return found


def long_frames(desk: Desk) -> Figures:
    """Sends classic frames with a DLC of 9 to 15: 8 bytes each, as ISO 11898-1 says."""
    with desk.node("CAN"):
        pass
    interface, channel = desk.can_channel()
    count = desk.tries(700, 70)
    if interface == "slcan":
        _long_slcan(desk, channel, count)
    elif interface == "socketcan":
        _long_socketcan(channel, count)
    else:
        raise Skip(f"this check knows slcan and socketcan, not {interface}")
    found: Figures = {"frames sent": count}
    found["seconds until it answers"] = _answers(desk, found)
    if desk.port["REPL"] is not None:
        with desk.repl() as repl:
            found["heap free"] = repl.value("(gc.collect(), gc.mem_free())[1]")
    return found


def bus_off(desk: Desk) -> Figures:
    """Has a person short the wires while the node sends, and waits for it to come back."""
    desk.needs("REPL", "CAN")
    with desk.node("CAN"):
        pass  # it has a number, and so it answers
    before = stats(desk)
    desk.ask_person("Connect CANH with CANL at the board, now.")
    with desk.repl() as repl:
        repl.run(_ANSWER % _who())
    time.sleep(_REST)
    within = stats(desk)
    desk.ask_person("Take the short away.")
    found: Figures = {"before": before, "with the short": within}
    found["seconds until it answers"] = _answers(desk, found)
    found["after"] = after = stats(desk)
    if "off" in after and after["off"] == before["off"]:
        raise Skip("the controller did not leave the bus: was the short in place?")
    return found


def _who() -> tuple[int, bytes]:
    """The frame that asks who is there."""
    client, buf = CanClient(), bytearray(8)
    client.who()
    ident = client.next_frame(buf)
    return ident, bytes(buf[: client.buf_len])


def _let_out(desk: Desk, bus: Any) -> None:
    """Waits until the adapter has sent all: it forgets the rest when it is closed."""
    _drop(bus, _REST)
    before = -1
    while (now := stats(desk).get("received", before)) != before:
        before = now
        _drop(bus, _REST)


def _drop(bus: Any, seconds: float) -> None:
    """Takes what comes, frames and the adapter's answers: nobody else reads them."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(IndexError, ValueError):  # a line that has lost bytes
            bus.recv(left)


def _answers(desk: Desk, figures: Figures) -> float:
    """How long it takes until the node answers on the bus. Failed: it does not."""
    began = time.monotonic()
    while True:
        try:
            with desk.node("CAN") as node:
                node.request("hello")
            return round(time.monotonic() - began, 1)
        except (ToolError, Failed):
            if time.monotonic() - began > clock.patient(_BACK):
                figures["counters"] = stats(desk)
                raise Failed(
                    "the node does not answer on CAN any more",
                    "Send this report; a reset of the board brings it back.",
                    figures,
                ) from None


def _open(desk: Desk) -> Any:
    interface, channel = desk.can_channel()
    try:
        return can.Bus(interface=interface, channel=channel, bitrate=desk.bitrate)
    except (can.CanError, OSError, ValueError) as error:
        raise ToolError(
            f"cannot open the CAN interface: {error}",
            f"{interface}:{channel}",
            "Check interface and channel, and whether another program has it.",
            NO_NODE,
        ) from None


def _long_slcan(desk: Desk, channel: str, count: int) -> None:
    if desk.bitrate not in _CODES:
        raise Skip(f"slcan has no code for {desk.bitrate} bit/s")
    with serial.Serial(channel, 115_200, write_timeout=5) as port:
        port.write(f"C\rS{_CODES[desk.bitrate]}\rO\r".encode())
        time.sleep(0.1)
        for number in range(count):
            # Its data is what the adapter's firmware takes for this DLC: 8 bytes.
            frame = f"t{_IDENT:03X}{9 + number % 7:X}{_DATA.hex()}\r"
            port.write(frame.encode())
            time.sleep(0.002)
            port.read(port.in_waiting)
        time.sleep(_REST)
        port.write(b"C\r")
        time.sleep(0.1)
        port.read(port.in_waiting)


def _long_socketcan(channel: str, count: int) -> None:
    """A frame of SocketCAN has its length, and beside it the DLC that goes onto the wire; the
    interface must allow it (`ip link set can0 type can cc-len8-dlc on`)."""
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as raw:
        raw.bind((channel,))
        for number in range(count):
            raw.send(struct.pack("=IBBBB8s", _IDENT, 8, 0, 0, 9 + number % 7, _DATA))
            time.sleep(0.002)
