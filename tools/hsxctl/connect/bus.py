# SPDX-License-Identifier: MIT
"""The nodes on a CAN bus that have a number."""

import secrets
from collections.abc import Callable, Mapping

from hsx.errors import EBUSY, ETIMEDOUT
from hsx.link.can_client import CanClient
from hsx.link.can_framing import BLOCK_SIZE, FRAMES
from hsx.link.can_master import CanMaster
from hsx.link.can_messages import short_id

from .. import clock
from ..errors import NO_NODE, REFUSED, ToolError
from . import Plan, Progress
from .can import CanLink

BITRATE = 500_000
_PATIENCE = 8  # ms, of CanMaster
_SLOW_PATIENCE = 60  # behind a serial line hundreds of frames may wait, on a desk fifty processes
_SLOW = ("slcan", "hsx-bench")
_ANSWER = 250  # ms, of CanClient
_LISTEN = 0.25  # seconds for answers to WHO: 126 of them take 30 ms at 500 kbit/s
_TRIES = 2  # of them; one frame may be lost


class BusNodes:
    """`Nodes` of a bus. `share`: the part of its time that a push may take. The rest as CanLink;
    without a bit rate, that of the adapter's own settings is taken to be 500 kbit/s."""

    def __init__(
        self,
        interface: str | None,
        channel: str | None,
        bitrate: int | None = None,
        share: float = 1.0,
        options: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        self.place = ":".join(part for part in (interface, channel) if part) or "CAN"
        self._bitrate = bitrate or BITRATE
        self._share = share
        patience = _SLOW_PATIENCE if interface in _SLOW else _PATIENCE
        self._patience = int(clock.patient(patience))
        self._link = CanLink(interface, channel, bitrate, options)
        self._client = CanClient(secrets.randbelow(128), patience=int(clock.patient(_ANSWER)))
        # A node takes a request with all bytes of an earlier one for a repetition of it.
        self._tag = secrets.token_bytes(1)
        self._heard: list[tuple[int, bytes]] = []

    def present(self) -> list[int]:
        """As Nodes.present."""
        return sorted(self.short_ids())

    def short_ids(self) -> dict[int, bytes]:
        """Numbers of who answers, with what WHO shows of each."""
        self._client.present.clear()
        for _ in range(_TRIES):
            self._client.who()
            self._listen(clock.patient(_LISTEN))
        return dict(self._client.present)

    def number(self, unique_id: bytes, number: int) -> bool:
        """Gives a node that has none its number; whether it answers under it."""
        wanted = short_id(unique_id)
        for _ in range(_TRIES):
            self._client.number(wanted, number)
            self._listen(clock.patient(_LISTEN))
            if self._client.present.get(number) == wanted:
                return True
        return False

    def ask(self, node: int, message: bytes) -> bytes:
        """As Nodes.ask."""
        tagged = message[:1] + self._tag + message[2:]
        self._client.message(node, tagged, clock.tick())
        self._link.run(self._client, lambda: not self._client.busy)
        answer = self._client.answer
        if not isinstance(answer, bytes):
            raise ToolError(
                f"node {node} does not answer",
                self.place,
                "Check its number ('hsxctl nodes'), the bit rate, the wires and the terminators.",
                NO_NODE,
            )
        return answer

    def events(self, node: int, seconds: float) -> list[bytes]:
        """As Nodes.events."""
        self._listen(seconds)
        self._heard += self._client.told
        self._client.told.clear()
        found = [message for sender, message in self._heard if sender == node]
        self._heard = [pair for pair in self._heard if pair[0] != node]
        return found

    def heard(self, seconds: float) -> list[tuple[int, bytes]]:
        """What nodes say of their own within so long: numbers and messages."""
        self._listen(seconds)
        found = self._heard + list(self._client.told)
        self._client.told.clear()
        self._heard = []
        return found

    def push(
        self,
        nodes: list[int],
        header: bytes,
        stream: bytes,
        digest: bytes,
        progress: Progress,
        plan: Plan | None = None,
    ) -> dict[int, int]:
        """As Nodes.push. ToolError: another master has the bus, or the adapter sends nothing."""
        session, chance = secrets.randbelow(1 << 16), secrets.randbelow(1000) / 1000
        master = CanMaster(
            stream,
            header,
            nodes,
            digest,
            session,
            chance,
            clock.tick(),
            self._bitrate,
            self._share,
            plan,
            patience=self._patience,
        )
        self._link.run(
            master,
            _once_more(lambda: master.over),
            lambda at: master.abort(at, ETIMEDOUT),
            lambda: _tell(master, len(stream), progress),
        )
        if master.error == EBUSY:
            raise ToolError(
                "EBUSY: another master is sending on this bus",
                self.place,
                "Nothing was sent: wait until it is done, or end it.",
                REFUSED,
            )
        if master.error:
            raise ToolError(
                "the CAN interface sends nothing",
                self.place,
                "Check the bit rate, the wires, and that a node is switched on to acknowledge.",
                NO_NODE,
            )
        return master.results

    def close(self) -> None:
        """As Nodes.close."""
        self._link.close()

    def _listen(self, seconds: float) -> None:
        end = clock.monotonic() + seconds
        self._link.run(self._client, _once_more(lambda: clock.monotonic() >= end))


def _once_more(over: Callable[[], bool]) -> Callable[[], bool]:
    """True from the call after the first one that finds it over: what is left to send goes out."""
    found = [False, False]

    def is_over() -> bool:
        found[0], found[1] = found[1], over()
        return found[0]

    return is_over


def _tell(master: CanMaster, total: int, progress: Progress) -> None:
    """How far each node is, as far as a master knows: what has left for all of them, from the
    first block that one of them lacks on."""
    joined = [peer for peer in master.peers.values() if peer.joined]
    start = min((peer.first for peer in joined), default=0)
    sent = max(0, master.on_wire - master.repairs) * FRAMES // (FRAMES + 1) * 8
    on_bus = min(total, start * BLOCK_SIZE + sent)
    for peer in master.peers.values():
        if peer.error == 0:
            progress(peer.number, total, total)
        elif peer.joined and peer.error is None:
            # Once all was sent a node has said what it lacks: much, if it was off meanwhile.
            lacks = peer.missing * BLOCK_SIZE if peer.ending else 0
            progress(peer.number, max(0, min(on_bus, total - lacks)), total)
