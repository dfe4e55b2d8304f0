# SPDX-License-Identifier: MIT
"""The one place where objects meet: a board becomes a Runtime."""

import time

from micropython import const

from .. import native, ticks
from ..console import Console
from ..node.node import Node
from ..service.events import Events
from ..transport.sdcard import SdCard
from .runtime import Runtime
from .scan import Scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board
    from ..service.provisioning import Provisioning

_TASKS = const(8)
_LOG = const(3072)  # bytes of the event log: 64 events and more
_CHUNK = const(512)  # bytes: one sector of a card


def now() -> int:
    """The node's clock: milliseconds of the port as ticks."""
    # The stubs hide that it is an int.
    return ticks.wrap(time.ticks_ms())  # type: ignore[arg-type]


def build(board: "Board") -> "Runtime":
    """Everything a node needs, made once, at boot; nothing runs yet.

    The pool comes first, while the heap is one piece."""
    pool = bytearray(board.POOL)
    chunk = memoryview(bytearray(_CHUNK))
    console = Console(board.console(), ("provisioning.aborted",))
    events = Events(now, _LOG, console.event)
    node = Node(native.VM(pool, _TASKS), now, stdout=console.text, emit=events.emit)
    scan = Scan(SdCard(board.mount_sdcard), node, events, now, chunk)
    provisioning = _provisioning(board, node, events, chunk)
    return Runtime(board, now, node, events, scan, provisioning, chunk)


def _provisioning(
    board: "Board", node: Node, events: Events, chunk: "memoryview"
) -> "Provisioning | None":
    """None for a board without a store, which then does not pay for the code's RAM either."""
    try:
        medium = board.fram()
        if medium is None:
            return None
        from ..service.provisioning import Provisioning
        from ..store.store import Store

        return Provisioning(node, events, now, Store(medium, events.emit), chunk)
    except OSError as error:
        events.warn("FRAM", error)
        return None
