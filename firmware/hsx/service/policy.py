# SPDX-License-Identifier: MIT
"""What may run on this node: every check that is not about the bytes of an image themselves."""

from ..errors import EBADMSG, ENOTSUP, HsxError
from ..node import svc_core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..image.header import Header
    from ..image.sections import Metadata
    from ..node.svc import Svc


def admit(svc: "Svc", header: "Header", metadata: "Metadata | None", version: str = "") -> None:
    """Whether an image may be loaded. `metadata`: None before it is there, when only the header
    can be judged; `version`: what a manifest says, "" for nothing.

    Raises ENOTSUP (the node lacks capabilities, or has another ABI than the image needs), EBADMSG
    (the image is another version than the manifest says)."""
    missing = header.req_caps & ~svc_core.capabilities(svc)
    if missing:
        raise HsxError(ENOTSUP, "verify", "the node lacks capabilities 0x%x" % missing)
    info = metadata.info if metadata is not None else None
    if info is None:
        return
    abi = info.abi
    if abi and (abi >> 16 != svc_core.ABI >> 16 or abi > svc_core.ABI):
        words = (abi >> 16, abi & 0xFFFF, svc_core.ABI >> 16, svc_core.ABI & 0xFFFF)
        raise HsxError(ENOTSUP, "verify", "the app needs ABI %d.%d, the node has %d.%d" % words)
    if version and info.version and version != info.version:
        raise HsxError(EBADMSG, "verify", "version differs from the manifest")
