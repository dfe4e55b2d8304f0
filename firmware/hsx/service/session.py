# SPDX-License-Identifier: MIT
"""Session: one image from a byte source into the VM, a chunk at a time, with its events.

Events are those of spec/provisioning.md section 12: `provisioning.started`, `.progress` (not more
often than PROGRESS_MS, and at the end of a known length), `.complete`; `.error` then `.aborted`
when something fails.
"""

import gc

from micropython import const

from .. import errors, ticks
from . import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Clock, ReadInto
    from ..image.header import Header
    from ..image.sections import Metadata
    from ..node.node import Node
    from .events import Events


PROGRESS_MS = const(250)  # between two progress events of a session (P-82)


class Session:
    """Begins at once. `readinto(buf)` gives bytes read, 0 at the end; `total`: bytes to come, -1
    if unknown; `version`: what the image must say of itself, "" for anything. `options` as for
    node.loading.Loading. Raises what that raises."""

    def __init__(
        self,
        node: "Node",
        events: "Events",
        clock: "Clock",
        readinto: "ReadInto",
        buf: "memoryview",
        source: str,
        total: int = -1,
        version: str = "",
        **options: "Any",
    ) -> None:
        # What is kept from now on (events, a task, its metadata) then lies low in the heap, and
        # what is free stays one piece: 18 KiB of 28 after 100 loads in a row, without this 1 KiB.
        gc.collect()
        self._node = node
        self._version = version
        self._events = events
        self._clock = clock
        self._readinto = readinto
        self._buf = buf
        self._total = total
        self._source = source
        self._told = clock()  # tick of the last event that says how far it is
        self.touched = self._told  # tick of the last step: a session that nobody steps is dead
        self.pid = 0  # of the loaded task, once it is complete
        self.open = True
        try:
            self._loading = node.load_begin(source, admit=self._admit, **options)
        except OSError as error:
            self.open = False
            self._failed(0, error, "begin")
            raise
        data: "dict[str, Any]" = {"source": source, "phase": "LOADING"}
        if total >= 0:
            data["total_bytes"] = total
        events.emit("provisioning.started", self._loading.pid, data)

    def step(self) -> bool:
        """Moves one chunk on; True while there is more to do. When it gives False the image is
        LOADED as `pid`. After an error everything has been given back."""
        self.touched = self._clock()
        try:
            got = self._readinto(self._buf)
            if got:
                self._loading.write(self._buf if got == len(self._buf) else self._buf[:got])
                self._progress()
                return True
            self.pid = self._loading.end()
        except OSError as error:
            self.open = False
            self._loading.abort()
            self._failed(self._loading.pid, error, "write")
            raise
        except MemoryError:
            self.open = False
            self._loading.abort()
            starved = errors.HsxError(errors.ENOSPC, "write", "the node's heap is full")
            self._failed(self._loading.pid, starved, "write")
            raise starved
        self.open = False
        data = {"phase": "READY", "ready": True, "source": self._source}
        data["bytes_written"] = self._loading.done
        self._events.emit("provisioning.complete", self.pid, data)
        return False

    def abort(self) -> None:
        """Gives everything back (P-91); a session that has ended is left alone."""
        if not self.open:
            return
        self.open = False
        self._loading.abort()
        data = {"phase": "ABORTING", "source": self._source}
        self._events.emit("provisioning.aborted", self._loading.pid, data)

    def _admit(self, header: "Header", metadata: "Metadata | None") -> None:
        policy.admit(self._node.svc, header, metadata, self._version)

    def _progress(self) -> None:
        total = self._total
        done = self._loading.done
        if done != total and ticks.diff(self.touched, self._told) < PROGRESS_MS:
            return
        self._told = self.touched
        data: "dict[str, Any]" = {"phase": "LOADING", "source": self._source}
        data["bytes_written"] = done
        if total > 0:
            data["total_bytes"] = total
            data["percent"] = min(100, done * 100 // total)
        self._events.emit("provisioning.progress", self._loading.pid, data)

    def _failed(self, pid: int, error: "OSError", where: str) -> None:
        data = {"phase": "FAILED", "source": self._source, "code": errors.name(error.errno)}
        data["where"] = getattr(error, "where", where)
        data["detail"] = getattr(error, "detail", "read error of the medium")
        self._events.emit("provisioning.error", pid, data)
        if pid:
            data = {"phase": "ABORTING", "source": self._source}
            self._events.emit("provisioning.aborted", pid, data)
