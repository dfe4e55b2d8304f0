# SPDX-License-Identifier: MIT
"""What an image or its manifest wishes for its values and mailboxes (image.wishes), done."""

from ..errors import EBADMSG, ENOENT, ENOTSUP, HsxError
from ..image.metadata import Mailbox
from . import svc_core
from .float16 import from_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..image.sections import Metadata
    from .node import Node

_RDWR = 3


def prepare(node: "Node", metadata: "Metadata", wishes: dict) -> None:
    """Before anything is registered: judges the wishes, and makes the records say them. Raises
    ENOTSUP (capabilities), EBADMSG (another version, a value that the image does not have), ENOENT
    (a saved value that is required is not there)."""
    missing = wishes.get("caps", 0) & ~svc_core.capabilities(node.svc)
    if missing:
        raise HsxError(ENOTSUP, "verify", "the node lacks capabilities 0x%x" % missing)
    version = wishes.get("version", "")
    info = metadata.info
    if version and info is not None and info.version and info.version != version:
        raise HsxError(EBADMSG, "verify", "version differs from the manifest")
    for item in wishes.get("fram_keys", ()):
        if item.get("required", False):
            saved = node.values.saved
            if saved is None or saved.restore(item["key"]) is None:
                raise HsxError(ENOENT, "end", "key %d is required, not saved" % item["key"])
    for item in wishes.get("values", ()):
        for record in metadata.values:
            if record.group << 8 | record.id == item["oid"]:
                record.init = from_float(item["value"])
                break
        else:
            raise HsxError(EBADMSG, "verify", "the image has no value %d" % item["oid"])
    targets = [box.target for box in metadata.mailboxes]
    boxes = [
        Mailbox(target, 0, _RDWR, None, [], None, False)
        for target in wishes.get("mailboxes", ())
        if target not in targets
    ]
    if boxes:
        metadata.mailboxes = list(metadata.mailboxes) + boxes


def settle(node: "Node", pid: int, metadata: "Metadata", wishes: dict) -> None:
    """Once the values are registered: which of them are only restored, or only saved (P-54)."""
    for item in wishes.get("fram_keys", ()):
        mode = item.get("mode", "loadsave")
        for record in metadata.values:
            if record.persist_key == item["key"]:
                oid = record.group << 8 | record.id
                if mode == "load":
                    node.values.persist(pid, oid, 0)
                elif mode == "save":
                    node.values.begin_with(pid, oid, record.init)
