# SPDX-License-Identifier: MIT
"""Images that are frozen into the firmware, read as those of a card are."""

from ..errors import ENOENT, HsxError
from ..image.manifest import Entry, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Source


class Frozen:
    """`images`: pairs of file name and bytes, in the order in which they are loaded."""

    name = "frozen"

    def __init__(self, images: "tuple[tuple[str, bytes], ...]") -> None:
        self._images = images

    def present(self) -> bool:
        """They are always there."""
        return True

    def mount(self) -> None:
        """There is nothing to mount."""

    def unmount(self) -> bool:
        """They are never out."""
        return False

    def manifest(self) -> "Manifest":
        """All of them, with the defaults."""
        found = Manifest()
        for place, (name, _) in enumerate(self._images):
            found.entries.append(Entry(name, place + 1))
        return found

    def path(self, name: str) -> str:
        """They are in no file."""
        return name

    def open(self, name: str) -> "tuple[Source, int]":
        """One of them, to be read. ENOENT."""
        for known, data in self._images:
            if known == name:
                return _Bytes(data), len(data)
        raise HsxError(ENOENT, "begin", "the firmware has no such image")


class _Bytes:
    """Bytes, read from their start as a file is."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def readinto(self, buf: "memoryview") -> int:
        count = min(len(buf), len(self._data))
        buf[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def close(self) -> None:
        """Nothing to give back."""
