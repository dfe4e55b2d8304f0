# SPDX-License-Identifier: MIT
"""Shapes that layers hand to each other: for the type checker, never on the target."""

from collections.abc import Callable
from typing import Any, Protocol

from .boot.links import Links
from .image.header import Header
from .image.sections import Metadata
from .node.tasks import Task
from .service.policy import Policy
from .store.region import Region

Changed = Callable[[int, int, int, int], None]  # PID, OID, old bits, new bits of a value
CheckToken = Callable[[int, int, str], bool]  # PID, OID, token of a command with PIN
Clock = Callable[[], int]  # ticks, see hsx.ticks
Emit = Callable[[str, int, dict[str, Any]], None]  # event type, PID (0: the node), data
ReadInto = Callable[[memoryview], int | None]  # bytes read, 0 at the end
TextSink = Callable[[Task, memoryview, int], None]  # text, stream 1 out, 2 err
CanSink = Callable[[Task, int, memoryview], bool]  # identifier, 0 to 8 bytes; taken?

class Listener(Protocol):
    """Sees an image as it comes by."""

    def begin(self, header: Header, head: bytearray | memoryview, /) -> None: ...
    def update(self, offset: int, view: memoryview, hole: tuple[int, int], /) -> None: ...

class Admission(Listener, Protocol):
    """Raises for what may not be loaded: service.policy.Admission."""

    def memory(self, header: Header, stack: int, heap: int, /) -> None: ...
    def end(self, metadata: Metadata, /) -> None: ...

class Judge(Protocol):
    """Sees an image that is read back; either call raises for one that may not be here."""

    def write(self, view: memoryview, /) -> None: ...
    def end(self) -> None: ...

class Sink(Protocol):
    """Where a link's transfer goes. Nothing here raises: errors are negative errno numbers."""

    needs_order: bool  # after a good begin(): blocks must come in their order
    digest: bytes  # once poll() has given 0: of what was read back, 4 bytes and more

    # Judges the signed header of a stream of `total` bytes; the bytes in place from its start.
    def begin(self, header: memoryview, total: int, source: str, /) -> int: ...
    def write(self, offset: int, data: memoryview, /) -> int: ...
    # Whether bytes that were not sent will be in place all the same (of images carried over).
    def holds(self, offset: int, size: int, /) -> bool: ...
    def end(self) -> int: ...  # all bytes are in: begins to verify
    def poll(self, now: int, /) -> int: ...  # after end(): 1 still at it, 0 done
    def abort(self) -> None: ...  # over without an end; may be called at any time

class Stream(Protocol):
    """Where text goes; never blocks, what does not fit is dropped."""

    def write(self, data: Any, /) -> Any: ...

class Source(Protocol):
    """An open image: a file or anything like it."""

    def readinto(self, buf: memoryview, /) -> int | None: ...
    def close(self) -> None: ...

class Uart(Protocol):
    """What a runner needs of `machine.UART`."""

    def any(self) -> int: ...
    def readinto(self, buf: bytearray, size: int, /) -> int | None: ...
    def write(self, buf: memoryview, /) -> int | None: ...
    def deinit(self) -> None: ...

class SavedBits(Protocol):
    """16 bits under a 16-bit key, kept over power-off. The first two may raise OSError."""

    def restore(self, key: int, /) -> int | None: ...
    def change(self, key: int, bits: int, now: int, debounce_ms: int, /) -> None: ...
    def occupancy(self) -> int: ...  # percent of the places for keys

class Provisioner(Protocol):
    """What an app with a grant may ask for. Both raise HsxError."""

    def load_later(self, path: str, /) -> None: ...
    def abort(self, pid: int, /) -> None: ...

class TimerHandle(Protocol):
    def deinit(self) -> Any: ...

class Slot(Protocol):
    """The board's SD card, a FAT volume."""

    def sdcard_present(self) -> bool: ...  # asked four times a second; True if nobody can tell
    def mount_sdcard(self, root: str, /) -> None: ...  # read-only; OSError: no card, no FAT
    def unmount_sdcard(self, root: str, /) -> None: ...  # after the card was taken out

class Board(Slot, Protocol):
    """What boards/<NAME>/board.py offers. No driver is touched before its function is called."""

    NAME: str
    POOL: int  # bytes of arena memory
    # Of boot.config, keys and values that are the board's own; images in the firmware.
    @property
    def BOOT(self) -> tuple[tuple[str, Any], ...]: ...  # noqa: N802
    @property
    def IMAGES(self) -> tuple[tuple[str, bytes], ...]: ...  # noqa: N802
    # For boot log and apps' text; None: they are not written.
    def console(self) -> Stream | None: ...
    def fram(
        self,
    ) -> (
        Region | None
    ): ...  # the medium of the store; None: a board without one. OSError: it does not answer
    def policy(self, policy: Policy, /) -> None: ...  # configures it, names the trusted keys
    def unique_id(self) -> bytes: ...  # what tells it from all other boards
    def links(self, links: Links, /) -> list[Runner]: ...  # with engines of links.uart(), .can()
    def reset_cause(self) -> str: ...  # soft, power-on, hard, watchdog, brown-out, hard fault
    def reset(self) -> None: ...  # does not return on a machine
    def kept(self) -> int: ...  # a word below 2**30 that outlives every reset but power-on
    def keep(self, word: int, /) -> None: ...
    def safe_pin(self) -> bool: ...  # whether a switch asks for the safe mode
    def watchdog(self, ms: int, /) -> Any: ...  # with feed(); None: the board has none
    def mount_flash(self, root: str, /) -> None: ...  # OSError: no flash file system
    # None: the port has no timer, and somebody has to call `hsx.poll()`.
    def timer(self, period_ms: int, callback: Callable[[Any], None], /) -> TimerHandle | None: ...

class CanEngine(Protocol):
    """A protocol on a CAN bus, without the bus: 11-bit identifiers, up to 8 bytes of data."""

    buf_len: int  # bytes of the frame that next_frame() gave last

    # One received frame; `data` is valid during the call only.
    def frame(self, ident: int, data: memoryview, now: int, /) -> object: ...
    def poll(self, now: int, /) -> int: ...  # ms until it wants to be called again
    def next_frame(self, buf: bytearray, /) -> int: ...  # identifier, data in `buf`; -1: none

class Runner(Protocol):
    """A driver joined to an engine. Nothing happens before open() or after close()."""

    name: str  # how events call it

    def open(self) -> None: ...  # raises what the driver raises
    def poll(self, now: int, /) -> int: ...  # ms until it wants to be called again
    def close(self) -> None: ...
    def stats(self) -> dict[str, int]: ...  # counts since it was made

class Messages(Protocol):
    """What answers messages of the node protocol."""

    def message(self, data: memoryview, now: int, /) -> bytes: ...  # the reply, b"": none

class Requests(Messages, Protocol):
    """What answers on a bus for the rest of the node. Numbers are errno, 0: done."""

    def get(self, pid: int, oid: int, /) -> tuple[int, int]: ...  # errno, bits; PID 0: any
    def set(self, pid: int, oid: int, bits: int, /) -> int: ...
    def call(self, pid: int, oid: int, /) -> tuple[int, int]: ...  # errno, the handler's R0
    def number(self, number: int, /) -> int: ...  # keeps the number that the node takes
