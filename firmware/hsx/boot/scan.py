# SPDX-License-Identifier: MIT
"""The scan of a card: what it offers is loaded, image by image, then started together.

An image that is refused is reported and the next one follows (P-64); no app starts before all
have been looked at. The work is cut into steps of one chunk, so that polls stay short.
"""

from ..errors import ENODEV, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..image.manifest import Entry
    from ..service.loads import Loads
    from ..transport.sdcard import SdCard


class Scan:
    """Scans one card into the node of `loads`; `buf` is the chunk."""

    def __init__(self, card: "SdCard", loads: "Loads", buf: "memoryview") -> None:
        self._card = card
        self._loads = loads
        self._events = loads.events
        self._buf = buf

    def mount(self) -> None:
        """Makes the files of a card readable without loading any; no card is no error."""
        try:
            self._card.mount()
        except HsxError as error:
            if error.errno != ENODEV:
                raise

    def path(self, source: str) -> str:
        """Where the file is that `ps` shows as `source`."""
        mark = self._card.name + ":"
        return self._card.path(source[len(mark) :]) if source.startswith(mark) else source

    def run(self) -> "Iterator[None]":
        """Scans, one chunk a step."""
        card = self._card
        self._events.emit("scan", 0, {"source": card.name, "state": "started"})
        try:
            card.mount()
            manifest = card.manifest()
            self._loads.policy.check_manifest(manifest)
            entries = manifest.entries
        except OSError as error:
            line = getattr(error, "offset", -1)
            more = {"line": line} if line >= 0 else {}
            self._events.warn(card.name, error, **more)
            entries = []
        yield
        pids: "list[int]" = []
        for entry in entries:
            yield from self._load(entry, pids)
        for pid in pids:
            self._loads.node.start(pid)
        data = {"source": card.name, "state": "done", "listed": len(entries)}
        data["started"] = len(pids)
        self._events.emit("scan", 0, data)

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
            while session.step(file.readinto, self._buf):
                yield
            pids.append(session.pid)
        except OSError:
            pass  # the session has told it
        finally:
            file.close()


def _places(wishes: "dict | None") -> "dict[str, Any]":
    """The wishes that are options of a load, and the rest of them."""
    if wishes is None:
        return {}
    pid, fixed = wishes.get("pid", 0), wishes.get("pid_fixed", False)
    return {"pid": pid, "fixed_pid": fixed, "wishes": wishes}
