# SPDX-License-Identifier: MIT
"""Shapes that layers hand to each other: for the type checker, never on the target."""

from collections.abc import Callable
from typing import Any, Protocol

from .image.header import Header
from .image.sections import Metadata
from .node.tasks import Task
from .store.region import Region

Admit = Callable[[Header, Metadata | None], None]  # raises for what may not be loaded
Changed = Callable[[int, int, int, int], None]  # PID, OID, old bits, new bits of a value
CheckToken = Callable[[int, int, str], bool]  # PID, OID, token of a command with PIN
Clock = Callable[[], int]  # ticks, see hsx.ticks
Emit = Callable[[str, int, dict[str, Any]], None]  # event type, PID (0: the node), data
ReadInto = Callable[[memoryview], int | None]  # bytes read, 0 at the end
TextSink = Callable[[Task, memoryview, int], None]  # text, stream 1 out, 2 err
CanSink = Callable[[Task, int, memoryview], bool]  # identifier, 0 to 8 bytes; taken?

class Stream(Protocol):
    """Where text goes; never blocks, what does not fit is dropped."""

    def write(self, data: Any, /) -> Any: ...

class Source(Protocol):
    """An open image: a file or anything like it."""

    def readinto(self, buf: memoryview, /) -> int | None: ...
    def close(self) -> None: ...

class Sink(Protocol):
    """Where the bytes of a transfer go, on a node. No method raises."""

    needs_order: bool  # once begin() gave >= 0: bytes must come in order
    digest: bytes  # once poll() gave 0: of what was read back

    # Judges the signed header; >= 0: bytes in place from the start, < 0: -errno.
    def begin(self, header: memoryview, total: int, source: str, /) -> int: ...
    def write(self, offset: int, data: memoryview, /) -> int: ...  # 0, or -errno: it is over
    def end(self) -> int: ...  # all bytes are in, verifying begins: 0, or -errno
    def poll(self, now: int, /) -> int: ...  # 1 still verifying, 0 done, < 0: -errno
    def abort(self) -> None: ...  # over without end; idempotent

class Requests(Protocol):
    """Who answers messages of the node protocol."""

    def message(self, message: memoryview, now: int, /) -> bytes: ...  # the reply

class Runner(Protocol):
    """A driver joined to an engine."""

    def open(self) -> None: ...
    def poll(self, now: int, /) -> int: ...  # ms until the next call; never blocks
    def close(self) -> None: ...
    def stats(self) -> dict[str, int]: ...

class Uart(Protocol):
    """What a runner needs of `machine.UART`."""

    def readinto(self, buf: bytearray, /) -> int | None: ...
    def write(self, buf: memoryview, /) -> int | None: ...
    def deinit(self) -> None: ...

class SavedBits(Protocol):
    """16 bits under a 16-bit key, kept over power-off. Both may raise OSError."""

    def restore(self, key: int, /) -> int | None: ...
    def change(self, key: int, bits: int, now: int, debounce_ms: int, /) -> None: ...

class TimerHandle(Protocol):
    def deinit(self) -> Any: ...

class Board(Protocol):
    """What boards/<NAME>/board.py offers. No driver is touched before its function is called."""

    NAME: str
    POOL: int  # bytes of arena memory

    def console(self) -> Stream: ...
    def mount_sdcard(self, root: str, /) -> None: ...  # read-only; OSError: no card, no FAT
    def fram(self) -> Region | None: ...  # the medium of the store; None: a board without one
    def hard_reset(self) -> bool: ...  # whether the last reset was any but a soft one
    def timer(self, period_ms: int, callback: Callable[[Any], None], /) -> TimerHandle: ...
