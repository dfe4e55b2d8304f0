# SPDX-License-Identifier: MIT
"""The SD card: a FAT volume with a manifest that lists images (docs/sd_manifest.md)."""

import hashlib
import os

from ..errors import EBADMSG, ENODEV, ENOENT, HsxError
from ..image.signature import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Slot, Source
    from ..image.manifest import Manifest

_MANIFESTS = (("hsx.toml", True), ("hsx.json", False))  # the first that exists counts
_SIGNATURE = "hsx.sig"  # of the manifest: image.signature


class SdCard:
    """The slot of a `slot`, which mounts and unmounts what is in it below `root`; `name` as `ps`
    shows it."""

    def __init__(self, slot: "Slot", root: str = "/sd", name: str = "SD") -> None:
        self.name = name
        self._slot = slot
        self._root = root
        self._mounted = False

    def present(self) -> bool:
        """Whether there is a card in the slot, mounted or not."""
        return self._slot.sdcard_present()

    def mount(self) -> None:
        """Makes the card readable, unless it is. ENODEV: no card, or no FAT on it."""
        if self._mounted:
            return
        try:
            self._slot.mount_sdcard(self._root)
        except OSError:
            raise HsxError(ENODEV, "begin", "no card with a FAT volume")
        self._mounted = True

    def unmount(self) -> bool:
        """Forgets a card that is out; whether it had been mounted."""
        if not self._mounted:
            return False
        self._mounted = False
        self._slot.unmount_sdcard(self._root)
        return True

    def manifest(self) -> "Manifest":
        """The manifest. ENOENT: there is none; EBADMSG: a wrong one, with its line as the error's
        offset."""
        # Here, because a node that boots from its store never reads a card.
        from ..image.manifest import MANIFEST_MAX, parse_manifest

        for name, is_toml in _MANIFESTS:
            path = self.path(name)
            try:
                size = os.stat(path)[6]
            except OSError:
                continue
            if size > MANIFEST_MAX:
                raise HsxError(EBADMSG, "begin", "manifest is larger than 8 KiB")
            with open(path, "rb") as file:
                text = file.read()
            found = parse_manifest(text, is_toml)
            found.digest = hashlib.sha256(text).digest()
            found.signature = self._signature()
            return found
        raise HsxError(ENOENT, "begin", "no hsx.toml or hsx.json on the card")

    def _signature(self) -> bytes:
        try:
            with open(self.path(_SIGNATURE), "rb") as file:
                return file.read(SIZE + 1)  # one that is too long is none
        except OSError:
            return b""

    def path(self, name: str) -> str:
        """Where a file of the card is found while it is mounted."""
        return self._root + "/" + name

    def open(self, name: str) -> "tuple[Source, int]":
        """A file of the card, open for `readinto`, and its length in bytes. ENOENT."""
        path = self.path(name)
        try:
            return open(path, "rb"), os.stat(path)[6]  # noqa: SIM115  the caller closes it
        except OSError as error:
            if error.errno == ENOENT:
                raise HsxError(ENOENT, "begin", "the card has no such file")
            raise
