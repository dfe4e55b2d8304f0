# SPDX-License-Identifier: MIT
"""A card as an update: what is newer on it becomes the set that the store keeps, on trial."""

from ..errors import EBADMSG, EBUSY, EINVAL, EPERM, HsxError
from ..service.provisioning import describing
from ..store.entries import take_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ..image.manifest import Entry
    from ..store.bank import Image
    from .scan import Scan


def numbers(version: str) -> "list[int] | None":
    """`1.2.10` as numbers; None for a version that is none of numbers and points."""
    parts = version.split(".")
    for part in parts:
        if not part.isdigit():
            return None
    return [int(part) for part in parts]


def is_newer(images: "list[Image]", kept: "list[Image]") -> bool:
    """Whether a set is newer than another: one of its images is, or is new, and none is older. Of
    two versions that are not of numbers and points none is newer."""
    found = False
    for image in images:
        old = [other for other in kept if other.name == image.name]
        if not old:
            found = True
            continue
        ours, theirs = numbers(old[0].version), numbers(image.version)
        if ours is None or theirs is None:
            continue
        if theirs < ours:
            return False
        found = found or theirs > ours
    return found


def update(scan: "Scan", keeper: "Any", runs: bool) -> "Generator[None, None, bool]":
    """Reads what the card has and, if it may, puts it into the inactive bank and runs it; in
    steps. Returns whether a set runs. `runs`: one does already: then only what is newer counts.
    EPERM: it is not newer, or was tried and reverted; EBUSY: a set is on trial; and all that a
    manifest, an image or a staging is refused for."""
    if keeper.on_trial():
        raise HsxError(EBUSY, "begin", "a set is on trial")
    images: "list[Image]" = []
    entries = scan.entries()
    for entry in entries:
        images.append((yield from _described(scan, keeper.policy, entry)))
    if not images:
        raise HsxError(EINVAL, "begin", "the card lists no image")
    if runs and not is_newer(images, keeper.images()):
        raise HsxError(EPERM, "begin", "it is not newer")
    if keeper.was_reverted(images):
        raise HsxError(EPERM, "begin", "it was reverted before")
    staging = keeper.stage(images, True)
    try:
        for index, entry in enumerate(entries):
            at = staging.resume_at(index)
            file, _ = scan.open(entry)
            try:
                if at:
                    file.seek(at)
                while at < images[index].length:
                    got = file.readinto(scan.buf[: images[index].length - at])
                    if not got:
                        break
                    staging.write(index, at, scan.buf[:got])
                    at += got
                    yield
            finally:
                file.close()
        return (yield from keeper.activate())
    except OSError:
        keeper.give_up(staging)
        raise


def _described(scan: "Scan", policy: "Any", entry: "Entry") -> "Generator[None, None, Image]":
    file, _ = scan.open(entry)
    try:
        image = yield from describing(policy, file.readinto, entry.file, scan.buf, entry.version)
    finally:
        file.close()
    if entry.sha256 is not None and entry.sha256 != image.sha256:
        raise HsxError(EBADMSG, "verify", "SHA-256 differs from the manifest")
    take_over(image, entry)
    return image
