# SPDX-License-Identifier: MIT
"""What of a set need not be sent, because the nodes have it: whole images of the set that runs.

A plan only saves time. A node that lacks what was left out asks for it, and its read-back judges
all of it the same.
"""

from collections.abc import Iterable

from hsx.link.can_framing import BLOCK_SIZE

from .bank_image import BankImage
from .errors import ToolError
from .reach import Reach

Held = set[tuple[int, bytes]]  # length and SHA-256 of images


def held(reach: Reach, node: int) -> Held:
    """The images of the set that a node runs; none of a node that does not say."""
    try:
        for number, slot in enumerate(reach.rows(node, "slots")):
            if slot["active"] and slot["images"]:
                images = reach.rows(node, "images", number)
                return {(image["length"], image.get("sha256", b"")) for image in images}
    except ToolError:
        pass
    return set()


def blocks(sent: BankImage, of_nodes: Iterable[Held]) -> set[int] | None:
    """The blocks that hold more than what all of the nodes have; None: all of them."""
    found = list(of_nodes)
    common = set.intersection(*found) if found else set()
    new = [image for image in sent.images if (image.length, image.sha256) not in common]
    if len(new) == len(sent.images):
        return None
    pieces = [(0, sent.images[0].offset)]  # the directory
    pieces += [(image.offset, image.offset + image.length) for image in new]
    return {
        block
        for start, end in pieces
        for block in range(start // BLOCK_SIZE, (end - 1) // BLOCK_SIZE + 1)
    }
