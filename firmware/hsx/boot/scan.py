# SPDX-License-Identifier: MIT
"""The scan of a card: what it offers is loaded, image by image, then started together.

An image that is refused is reported and the next one follows (P-64); no app starts before all
have been looked at. The work is cut into steps of one chunk, so that polls stay short.

A card may come and go while the node runs. What was loaded from one goes on without it; one that
comes in is scanned, and what runs from its like already is left alone.
"""

from micropython import const

from .. import ticks
from ..errors import ENODEV, ENOENT, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..image.manifest import Entry
    from ..service.loads import Loads
    from ..transport.sdcard import SdCard
    from .frozen import Frozen


_LOOK = const(250)  # ms between two looks at the slot


class Scan:
    """Scans one card into the node of `loads`; `buf` is the chunk."""

    # Class attributes: an instance spends heap on those that it changes.
    listed = 0  # images, and how many of them were started: of the last run
    started = 0
    error: "OSError | None" = None  # what was wrong in it
    depend = False  # a priority level starts only after whole ones
    _pids: "list[int] | None" = None

    def __init__(self, card: "SdCard | Frozen", loads: "Loads", buf: "memoryview") -> None:
        self._card = card
        self._loads = loads
        self._events = loads.events
        self.buf = buf
        self._looked = loads.clock()
        self._seen = False  # a card in the slot, once: its contacts may still bounce
        self._known = False  # the card in the slot has been dealt with

    def watch(self, now: int, load: bool) -> "Iterator[None] | None":
        """Sees a card that went or came, some 250 ms to 500 ms later. One that came is mounted,
        or with `load` scanned: the steps of that."""
        if ticks.diff(now, self._looked) < _LOOK:
            return None
        self._looked = now
        if not self._card.present():
            self._seen = self._known = False
            if self._card.unmount():
                self._events.emit("scan", 0, {"source": self._card.name, "state": "removed"})
            return None
        if self._known:
            return None
        if not self._seen:
            self._seen = True
            return None
        if load:
            return self.run()
        self._events.emit("scan", 0, {"source": self._card.name, "state": "inserted"})
        self.mount()
        return None

    def mount(self) -> None:
        """Makes the files of a card readable without loading any; no card is no error."""
        self._known = self._card.present()
        try:
            self._card.mount()
        except HsxError as error:
            if error.errno != ENODEV:
                raise

    def path(self, source: str) -> str:
        """Where the file is that `ps` shows as `source`."""
        mark = self._card.name + ":"
        return self._card.path(source[len(mark) :]) if source.startswith(mark) else source

    def entries(self) -> "list[Entry]":
        """What the card lists. Raises what is wrong with it."""
        self._card.mount()
        manifest = self._card.manifest()
        self._loads.policy.check_manifest(manifest)
        return manifest.entries

    def open(self, entry: "Entry") -> "Any":
        """The file of an entry, and its length in bytes. ENOENT."""
        return self._card.open(entry.file)

    def run(self) -> "Iterator[None]":
        """Scans, one chunk a step."""
        card = self._card
        self._known = card.present()
        self._events.emit("scan", 0, {"source": card.name, "state": "started"})
        self.error = None
        entries: "list[Entry]" = []
        try:
            entries = self.entries()
        except OSError as error:
            self.error = error
            line = getattr(error, "offset", -1)
            more = {"line": line} if line >= 0 else {}
            self._events.warn(card.name, error, **more)
        yield
        self.listed = len(entries)
        pids: "list[int]" = []
        self._pids = pids
        whole = 256  # the first priority level of which an image is missing
        sources = [task.source for task in self._loads.node.tasks.order]
        for entry in entries:
            if not card.present():
                self.error = HsxError(ENODEV, "begin", "the card was taken out")
                self._events.warn(card.name, self.error)
                break
            if card.name + ":" + entry.file not in sources:
                before = len(pids)
                yield from self._load(entry, pids)
                if len(pids) == before:
                    whole = min(whole, entry.priority)
        self._start(pids, whole)
        data = {"source": card.name, "state": "done", "listed": len(entries)}
        data["started"] = self.started
        self._events.emit("scan", 0, data)

    def _start(self, pids: "list[int]", whole: int) -> None:
        """Starts what was loaded; with `depend` only up to the level `whole`."""
        node = self._loads.node
        self.started = 0
        for pid in pids:
            if self.depend and node.tasks.find(pid).priority > whole:
                self.error = HsxError(ENOENT, "boot", "a priority level before is not whole")
                node.kill(pid)
            else:
                node.start(pid)
                self.started += 1
        if self.error is not None and self.depend and self.started < len(pids):
            self._events.warn(self._card.name, self.error)

    def stop(self) -> None:
        """Ends what a run that was given up had loaded."""
        for pid in self._pids or ():
            if pid in self._loads.node.vm.pids():
                self._loads.node.kill(pid)
        self._pids = None

    def _load(self, entry: "Entry", pids: "list[int]") -> "Iterator[None]":
        name = self._card.name + ":" + entry.file
        try:
            file, size = self._card.open(entry.file)
        except OSError as error:
            self._events.warn(name, error)
            return
        try:
            session = self._loads.begin(
                name,
                size,
                entry.version,
                label=entry.file,
                priority=entry.priority,
                quantum=entry.quantum,
                stack=entry.stack,
                heap=entry.heap,
                sha256=entry.sha256,
                grants=entry.grants,
                **_places(entry.wishes),
            )
            try:
                while session.step(file.readinto, self.buf):
                    yield
            except GeneratorExit:
                session.abort()  # the time of the source is up
                raise
            pids.append(session.pid)
        except OSError as error:
            self.error = error  # the session has told it
        finally:
            file.close()


def _places(wishes: "dict | None") -> "dict[str, Any]":
    """The wishes that are options of a load, and the rest of them."""
    if wishes is None:
        return {}
    pid, fixed = wishes.get("pid", 0), wishes.get("pid_fixed", False)
    return {"pid": pid, "fixed_pid": fixed, "wishes": wishes}
