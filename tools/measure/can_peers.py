# SPDX-License-Identifier: MIT
"""The same bytes over the same bus with what others use: `canopen` and `can-isotp`, as installed.

Their code makes the frames and waits for the answers; the bus of `can_bus` takes the time. As with
our own engines the node gets to what it heard some milliseconds later. `canopen` has no server
that takes a block download, so its answers are written here (CiA 301, blocks of 127 segments, the
most there may be).
"""

import queue
import struct
from typing import Any

import canopen
import isotp
from canopen.sdo import SdoClient

from hsxctl.simulate.can_bus import Bus, Frame, Station

_NODE = 5
_REQUEST = 0x600 + _NODE
_ANSWER = 0x580 + _NODE
_SEGMENTS = 127
_QUIET = 10_000_000  # bits without an answer: the peer is stuck
# can-isotp looks at the host's clock, ms, and the time here is the bus's.
_NO_TIMEOUTS = {"rx_flowcontrol_timeout": 1 << 30, "rx_consecutive_frame_timeout": 1 << 30}


class _SdoServer(Station):
    """The answers of a node to one block download."""

    def __init__(self, bus: Bus, latency: int) -> None:
        super().__init__(bus)
        self._latency = latency * bus.per_ms
        self.data = bytearray()
        self._in_block = False
        self._unused = 0
        bus.listeners.append(self._hear)

    def _hear(self, sender: Station, frame: Frame, at: int) -> None:
        if sender is not self:
            self.bus.at(at + self._latency, lambda _: self._take(frame[1]))

    def _take(self, data: bytes) -> None:
        if self._in_block:
            self.data += data[1:]
            last = data[0] & 0x80
            if last or data[0] == _SEGMENTS:
                self._in_block = not last
                self.send((_ANSWER, bytes([0xA2, data[0] & 0x7F, _SEGMENTS]) + bytes(5)))
        elif data[0] & 0xE1 == 0xC0:  # initiate
            self._in_block = True
            self.send((_ANSWER, b"\xa4" + data[1:4] + bytes([_SEGMENTS, 0, 0, 0])))
        elif data[0] & 0xE1 == 0xC1:  # end: so many bytes of the last segment count for nothing
            del self.data[len(self.data) - (data[0] >> 2 & 7) :]
            self.send((_ANSWER, b"\xa1" + bytes(7)))


class _Responses(queue.Queue):
    """Whoever waits for an answer lets the bus run until it is there."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self._bus = bus

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._bus.run(lambda: not self.empty(), self._bus.now + _QUIET)
        return super().get(block=False)


class _Network(canopen.Network):
    """canopen's, over a station of ours."""

    def __init__(self, station: Station) -> None:
        super().__init__()
        self._station = station

    def send_message(self, can_id: int, data: bytes, remote: bool = False) -> None:
        self._station.send((can_id, bytes(data)))


def canopen_bits(stream: bytes, bitrate: int, latency: int) -> int:
    """Bit times of an SDO block download, from the request to the last answer; `latency` in ms."""
    bus = Bus(bitrate)
    server, host = _SdoServer(bus, latency), Station(bus)
    client = SdoClient(_REQUEST, _ANSWER, canopen.ObjectDictionary())
    client.network = _Network(host)
    client.responses = _Responses(bus)

    def hear(sender: Station, frame: Frame, at: int) -> None:
        if sender is server:
            client.on_response(frame[0], frame[1], at / bitrate)

    bus.listeners.append(hear)
    with client.open(0x1F50, 1, "wb", size=len(stream), block_transfer=True) as file:
        file.write(stream)
    if bytes(server.data) != stream:
        raise AssertionError("canopen lost bytes")
    return bus.now


class _IsoTp(Station):
    """One end of can-isotp. `latency` in ms before it gets to what it heard."""

    def __init__(self, bus: Bus, sends: int, hears: int, latency: int) -> None:
        super().__init__(bus)
        self._heard: list[isotp.CanMessage] = []
        self._latency = latency * bus.per_ms
        self.layer = isotp.TransportLayerLogic(
            rxfn=lambda timeout: self._heard.pop(0) if self._heard else None,
            txfn=lambda message: self.send((message.arbitration_id, bytes(message.data))),
            address=isotp.Address(isotp.AddressingMode.Normal_11bits, txid=sends, rxid=hears),
            params={"stmin": 0, "blocksize": 0, "max_frame_size": 1 << 20, **_NO_TIMEOUTS},
        )
        bus.listeners.append(self._hear)

    def _hear(self, sender: Station, frame: Frame, at: int) -> None:
        if sender is not self:
            message = isotp.CanMessage(arbitration_id=frame[0], data=frame[1])
            self.bus.at(at + self._latency, lambda _: self._take(message))

    def _take(self, message: isotp.CanMessage) -> None:
        self._heard.append(message)
        self.layer.process()

    def sent(self, at: int) -> None:
        if not self.queue:
            self.layer.process()


def isotp_bits(stream: bytes, bitrate: int, latency: int) -> int:
    """Bit times of one message, from its first frame to a one-frame answer (as UDS gives one);
    `latency` in ms."""
    bus = Bus(bitrate)
    host, node = _IsoTp(bus, 0x7E0, 0x7E8, 0), _IsoTp(bus, 0x7E8, 0x7E0, latency)
    host.layer.send(stream)
    host.layer.process()
    bus.run(node.layer.available, _QUIET)
    if node.layer.recv() != stream:
        raise AssertionError("can-isotp lost bytes")
    node.layer.send(struct.pack("<B", 0x76))
    node.layer.process()
    bus.run(host.layer.available, _QUIET)
    return bus.now
