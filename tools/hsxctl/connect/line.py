# SPDX-License-Identifier: MIT
"""The node at the end of a serial line."""

from hsx.errors import EBADMSG, EIO, HsxError
from hsx.link.host_messages import pack_request, unpack_reply

from . import Plan, Progress
from .serial import BAUD, SerialLink


class LineNodes:
    """`Nodes` of one node. ToolError: no port, or nobody answers on it."""

    def __init__(self, url: str, baud: int = BAUD) -> None:
        self.place = url
        self._link = SerialLink(url, baud)
        try:
            self._link.hello()
        except BaseException:
            self._link.close()
            raise

    def present(self) -> list[int]:
        """As Nodes.present."""
        return [unpack_reply(self._link.request(pack_request("hello"))).require().values["node"]]

    def ask(self, node: int, message: bytes) -> bytes:
        """As Nodes.ask."""
        return self._link.request(message)

    def events(self, node: int, seconds: float) -> list[bytes]:
        """As Nodes.events."""
        return self._link.events(seconds)

    def push(
        self,
        nodes: list[int],
        header: bytes,
        stream: bytes,
        digest: bytes,
        progress: Progress,
        plan: Plan | None = None,
    ) -> dict[int, int]:
        """As Nodes.push; all is sent, from the first byte that the node misses."""
        (node,) = nodes
        try:
            read = self._link.push(header, stream, lambda done, total: progress(node, done, total))
        except HsxError as error:
            return {node: error.errno or EIO}
        return {node: 0 if read == digest[:4] else EBADMSG}

    def close(self) -> None:
        """As Nodes.close."""
        self._link.close()
