# SPDX-License-Identifier: MIT
"""What a directory entry says of its image: one maker for the node and for hosts, so that a set
has the same bytes, and the same digest, whatever the way by which it comes."""

from ..errors import EINVAL, HsxError
from .bank import FIXED_PID, Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..image.manifest import Entry
    from ..image.sections import Metadata

_ON_CARDS = ("caps", "fram_keys", "values", "mailboxes")


def entry(
    name: str, length: int, crc: int, sha256: bytes, metadata: "Metadata", version: str = ""
) -> Image:
    """The entry of an image of `length` bytes with this CRC-32 and SHA-256. `metadata`: what it
    says of itself; `version`: of an image that says none."""
    image = Image(name, length, crc, sha256)
    image.version = version
    if metadata.info is not None:
        image.version = metadata.info.version or version
        image.epoch = metadata.info.epoch
    if metadata.wishes is not None:
        _place(image, metadata.wishes)
    return image


def take_over(image: Image, listed: "Entry") -> None:
    """What a manifest says of the image goes before what it says itself. EINVAL for what only
    a card can give an app."""
    wishes = listed.wishes or {}
    for key in _ON_CARDS:
        if key in wishes:
            raise HsxError(EINVAL, "begin", key + " goes with a card only")
    image.priority, image.quantum = listed.priority, listed.quantum
    image.stack, image.heap = listed.stack, listed.heap
    _place(image, wishes)
    image.flags |= listed.grants


def _place(image: Image, wishes: "dict") -> None:
    image.pid = wishes.get("pid", image.pid)
    if wishes.get("pid_fixed", False):
        image.flags = FIXED_PID
