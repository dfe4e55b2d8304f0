# SPDX-License-Identifier: MIT
"""Ways from a host to nodes: the engines of `hsx.link` over what a host has, a file for each.

`serial` and `can` are ports; `line`, `bus` and `repl` are what commands see of them: `Nodes`. What
goes wrong on the way is a ToolError with status NO_NODE; what a node refuses an errno or an
HsxError.
"""

from collections.abc import Callable, Collection
from typing import Protocol

# Blocks of a stream, of 512 bytes, that are sent unasked; nodes have the others already.
Plan = Collection[int]

# A node, bytes that it has, bytes in all.
Progress = Callable[[int, int, int], None]


class Nodes(Protocol):
    """The nodes that one link reaches, each under its number; 127: one that has none, which only a
    line reaches. `place`: the port or bus, as errors name it."""

    place: str

    def present(self) -> list[int]:
        """Who answers."""

    def ask(self, node: int, message: bytes) -> bytes:
        """The reply to a message of the node protocol."""

    def events(self, node: int, seconds: float) -> list[bytes]:
        """Events that a node has sent and nobody fetched yet; listens for so long."""

    def push(
        self,
        nodes: list[int],
        header: bytes,
        stream: bytes,
        digest: bytes,
        progress: Progress,
        plan: Plan | None = None,
    ) -> dict[int, int]:
        """Sends a stream with its signed header; the errno of each node, 0: it is there, whole.
        `digest`: what a node must have read back; `plan`: a link may send the rest unasked all the
        same, and sends what a node asks for. On Ctrl-C the nodes are told that it is over,
        then KeyboardInterrupt goes on."""

    def close(self) -> None:
        """Gives the port back."""
