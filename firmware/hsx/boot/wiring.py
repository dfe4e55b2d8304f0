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
from .config import Config
from .guard import Guard
from .links import Links
from .runtime import Runtime
from .scan import Scan
from .sources import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board

_TASKS = const(8)
_LOG = const(2176)  # bytes of the event log: 64 events of 34 bytes
_CHUNK = const(512)  # bytes: one sector of a card


def build(board: "Board", minimal: bool = False) -> "Runtime":
    """Everything a node needs, made once, at boot; nothing runs yet. `minimal`: with transports
    only, for a board on which the rest could not be made.

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
    config = Config()
    has_flash = not minimal and _configured(board, config, events)
    text = AppText(events, now, said).text
    node = Node(native.VM(pool, _TASKS), now, stdout=text, emit=events.emit)
    service = _service(board, node, events, chunk, config, minimal)
    guard = Guard(board, config, now)
    sources = Sources(service, config, guard, _scans(board, service, chunk, config, has_flash))
    if minimal:
        sources.safe = "minimal"
    runtime = Runtime(board, service, sources, chunk)
    runtime.guard = guard
    runtime.occupancy = Occupancy(node, events.emit, _TASKS)
    runtime.links = Links(board, service)
    service.reset = guard.reset
    if service.KEEPS_SETS:
        runtime.provisioning.again = guard.may_start
    if config.watchdog_ms:
        runtime.watchdog = board.watchdog(config.watchdog_ms)
    return runtime


def _configured(board: "Board", config: Config, events: Events) -> bool:
    """Fills the configuration; whether there is a flash file system."""
    for name, value in board.BOOT:
        setattr(config, name, value)
    try:
        board.mount_flash("/flash")
    except OSError:
        return False
    from . import config_file

    file, error = config_file.read(config)
    if error is not None:
        more = {"line": error.offset} if error.offset >= 0 else {}
        events.warn(file, error, **more)
    config.safe = "file" if config_file.asks_for_safe_mode() else config.safe
    return True


def _scans(
    board: "Board", service: Loads, chunk: "memoryview", config: Config, has_flash: bool
) -> "dict[str, Scan]":
    """Of the sources that there are."""
    found = {"sd": Scan(SdCard(board), service, chunk)}
    if has_flash:
        from .config_file import APPS, has_apps

        if has_apps():
            found["flash"] = Scan(SdCard(_Folder(), APPS, "flash"), service, chunk)
    if board.IMAGES:
        from .frozen import Frozen

        found["frozen"] = Scan(Frozen(board.IMAGES), service, chunk)
    for name in found:
        found[name].depend = config.depend
    return found


class _Folder:
    """A folder as a slot: it is there."""

    def sdcard_present(self) -> bool:
        return True

    def mount_sdcard(self, root: str) -> None:
        pass

    def unmount_sdcard(self, root: str) -> None:
        pass


def _service(
    board: "Board",
    node: Node,
    events: Events,
    chunk: "memoryview",
    config: Config,
    minimal: bool,
) -> Loads:
    """A Provisioning; the bare Loads for a board without a store, which then does not pay for the
    code's RAM either."""
    policy = Policy(node.svc, events.emit)
    board.policy(policy)
    _configure(policy, config)
    try:
        medium = None if minimal else board.fram()
        if medium is not None:
            from ..service.provisioning import Provisioning
            from ..store.store import Store

            store = Store(medium, events.emit, config.attempts)
            quiet = 1000 * config.confirm_s
            return Provisioning(node, events, now, policy, store, chunk, quiet)
    except OSError as error:
        events.warn("FRAM", error)
    return Loads(node, events, now, policy)


def _configure(policy: Policy, config: Config) -> None:
    """What the configuration says, where it says anything."""
    if config.number != 127:
        policy.number = config.number
    if config.network:
        policy.network = config.network
    levels = ("off", "warn", "require")
    policy.signatures = max(policy.signatures, levels.index(config.signatures))
    policy.commands = max(policy.commands, levels.index(config.commands))
    if config.key:
        from .config_file import keys

        for public, role in keys(config.key):
            policy.trust(public, role)
