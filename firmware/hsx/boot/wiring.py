# SPDX-License-Identifier: MIT
"""The one place where objects meet: a board becomes a Runtime."""

from micropython import const

from .. import native
from ..node.node import Node
from ..node.occupancy import Occupancy
from ..service.app_text import AppText
from ..service.events import Events
from ..service.loads import Loads
from ..service.policy import Policy
from ..transport.sdcard import SdCard
from .clock import now
from .links import Links
from .runtime import Runtime
from .scan import Scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board

_TASKS = const(8)
_LOG = const(3072)  # bytes of the event log: 64 events and more
_CHUNK = const(512)  # bytes: one sector of a card


def build(board: "Board") -> "Runtime":
    """Everything a node needs, made once, at boot; nothing runs yet.

    The pool comes first, while the heap is one piece."""
    pool = bytearray(board.POOL)
    chunk = memoryview(bytearray(_CHUNK))
    stream = board.console()
    told = said = None
    if stream is not None:
        from ..console import Console

        console = Console(stream, ("provisioning.aborted", "stdout"))
        told, said = console.event, console.text
    events = Events(now, _LOG, told)
    text = AppText(events, now, said).text
    node = Node(native.VM(pool, _TASKS), now, stdout=text, emit=events.emit)
    service = _service(board, node, events, chunk)
    scan = Scan(SdCard(board), service, chunk)
    runtime = Runtime(board, service, scan, chunk)
    runtime.occupancy = Occupancy(node, events.emit, _TASKS)
    runtime.links = Links(board, service)
    return runtime


def _service(board: "Board", node: Node, events: Events, chunk: "memoryview") -> Loads:
    """A Provisioning; the bare Loads for a board without a store, which then does not pay for the
    code's RAM either."""
    policy = Policy(node.svc, events.emit)
    board.policy(policy)
    try:
        medium = board.fram()
        if medium is not None:
            from ..service.provisioning import Provisioning
            from ..store.store import Store

            store = Store(medium, events.emit)
            return Provisioning(node, events, now, policy, store, chunk)
    except OSError as error:
        events.warn("FRAM", error)
    return Loads(node, events, now, policy)
