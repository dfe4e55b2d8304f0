# SPDX-License-Identifier: MIT
"""What may run on this node, and who may ask for it: every check that is not about the bytes of an
image themselves. What a board or its configuration says is put into the attributes of a Policy.

| refused for | errno |
|---|---|
| capabilities or ABI that the node lacks | ENOTSUP |
| more code, data, stack, values, commands or mailboxes than an image may have | ENOSPC |
| a version that is not the manifest's | EBADMSG |
| no signature, or none by a key that may sign images, where one is required | EACCES |
| an epoch below the floor of the store | EPERM |
"""

from micropython import const

from .. import native
from ..errors import EACCES, EBADMSG, EINVAL, ENOSPC, ENOTSUP, EPERM, HsxError
from ..image.signature import KEY_ID, MANIFEST_CONTEXT, SIZE, ImageDigest, is_good
from ..node import svc_core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Emit
    from ..image.header import Header
    from ..image.manifest import Manifest
    from ..image.sections import Metadata
    from ..node.svc import Svc
    from ..store.store import Store

OFF = const(0)  # signatures are not looked at
WARN = const(1)  # what is not well signed is told, and runs
REQUIRE = const(2)  # what is not well signed is refused

PUBLIC = const(0)  # roles, and the auth levels of values and commands (spec/svc_abi.md section 7)
USER = const(1)
ADMIN = const(2)  # may sign images and ask for sets
FACTORY = const(3)


class Policy:
    """`svc`: of the node that it is for. `emit` takes the warnings."""

    # Of the class: what a board leaves as it is takes no heap.
    signatures = OFF
    commands = OFF  # OFF: remote requests need no signature; REQUIRE: they do
    network = 0  # u32: what is signed for another one is not for this node
    number = 127  # of this node on its bus, 1 to 126; 127: it has none
    capabilities = 0xFFFF  # of what the node has, what images may need
    max_code = 0x10000  # bytes; this and the following: the most that one image may take
    max_data = 0x10000  # bytes of rodata and bss
    max_stack = 0xBFFC  # bytes
    max_values = 64
    max_commands = 16
    max_mailboxes = 16
    store: "Store | None" = None  # whose epoch floor counts

    def __init__(self, svc: "Svc", emit: "Emit | None" = None) -> None:
        self._svc = svc
        self._emit = emit
        self._keys: "list[tuple[bytes, int]]" = []

    def configure(self, settings: "dict") -> None:
        """Takes what a board or its configuration says: the attributes above by their names.
        EINVAL for one that is not there."""
        for name in settings:
            if name[0] == "_" or not isinstance(getattr(Policy, name, None), int):
                raise HsxError(EINVAL, "begin", "policy has no " + name)
            setattr(self, name, settings[name])

    def trust(self, key: bytes, role: int) -> None:
        """From now on what `key` (32 bytes, an Ed25519 public key) signs counts as said by `role`.
        EINVAL for anything else."""
        if len(key) != 32 or not PUBLIC < role <= FACTORY:
            raise HsxError(EINVAL, "begin", "a trusted key has 32 bytes and a role")
        self.distrust(key)
        self._keys.append((bytes(key), role))

    def distrust(self, key: bytes) -> None:
        """Forgets a key."""
        self._keys = [pair for pair in self._keys if pair[0] != key]

    def trusted(self, key_id: bytes) -> "tuple[bytes, int]":
        """The key that begins with `key_id` (8 bytes), and its role. EACCES for a stranger."""
        for pair in self._keys:
            if pair[0][:KEY_ID] == key_id:
                return pair
        raise HsxError(EACCES, "verify", "the key is not trusted here")

    def good(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether it is the key's signature of the message. ENOTSUP: the core was built without
        signatures."""
        try:
            return native.ed25519_verify(key, message, signature)
        except ImportError:
            raise HsxError(ENOTSUP, "verify", "this node can check no signature")

    def floor(self) -> int:
        """The lowest epoch that may run."""
        store = self.store
        return store.superblocks.state.floor if store is not None and store.valid else 0

    def admission(self, version: str = "") -> "Admission":
        """The judge of one image; `version`: what a manifest says of it, "" for nothing."""
        return Admission(self, version)

    def check_header(self, header: "Header") -> None:
        """What can be judged before the VM sees a byte of an image."""
        missing = header.req_caps & ~(svc_core.capabilities(self._svc) & self.capabilities)
        if missing:
            raise HsxError(ENOTSUP, "verify", "the node lacks capabilities 0x%x" % missing)
        _limit("code", header.code_len, self.max_code)
        _limit("data", header.ro_len + header.bss_size, self.max_data)

    def check_memory(self, header: "Header", stack: int, heap: int) -> None:
        """Before the stack and the heap of a task are taken."""
        _limit("stack", stack, self.max_stack)
        _limit("data", header.ro_len + header.bss_size + heap, self.max_data)

    def check_metadata(self, metadata: "Metadata", version: str) -> None:
        """What the sections of an image say, before any of it is registered."""
        info = metadata.info
        if info is not None:
            abi = info.abi
            if abi and (abi >> 16 != svc_core.ABI >> 16 or abi > svc_core.ABI):
                words = (abi >> 16, abi & 0xFFFF, svc_core.ABI >> 16, svc_core.ABI & 0xFFFF)
                detail = "the app needs ABI %d.%d, the node has %d.%d" % words
                raise HsxError(ENOTSUP, "verify", detail)
            if version and info.version and version != info.version:
                raise HsxError(EBADMSG, "verify", "version differs from the manifest")
        if (info.epoch if info is not None else 0) < self.floor():
            raise HsxError(EPERM, "verify", "epoch is below the floor")
        _limit("values", len(metadata.values), self.max_values)
        _limit("commands", len(metadata.commands), self.max_commands)
        _limit("mailboxes", len(metadata.mailboxes), self.max_mailboxes)

    def check_manifest(self, manifest: "Manifest") -> None:
        """The list of a card, before any of its images is loaded: whom it is for, how old it is
        and who signed it. EACCES, EPERM."""
        if manifest.nodes and self.number not in manifest.nodes:
            raise HsxError(EACCES, "verify", "manifest is for other nodes")
        if manifest.epoch < self.floor():
            raise HsxError(EPERM, "verify", "epoch is below the floor")
        if self.signatures != OFF:
            self.check_signature(manifest.signature, MANIFEST_CONTEXT + manifest.digest)

    def check_signature(self, payload: "bytes | memoryview | None", message: bytes) -> None:
        """What signs an image or a manifest: the payload of its section, over `message`."""
        try:
            if not payload:
                raise HsxError(EACCES, "verify", "it is not signed")
            key, role = self.trusted(bytes(payload[:KEY_ID]))
            if role < ADMIN:
                raise HsxError(EACCES, "verify", "the key may not sign images")
            if len(payload) != SIZE or not is_good(payload, message, key, self.good):
                raise HsxError(EACCES, "verify", "the signature is another's")
        except HsxError as error:
            if self.signatures == REQUIRE:
                raise
            if self._emit is not None:
                self._emit("warning", 0, {"source": "policy", "detail": error.detail})


class Admission:
    """What a Policy says of one image, as its bytes come by (`contracts.Admission`)."""

    def __init__(self, policy: Policy, version: str) -> None:
        self._policy = policy
        self._version = version
        self._digest = ImageDigest() if policy.signatures != OFF else None

    def begin(self, header: "Header", head: "bytearray | memoryview") -> None:
        """The header is complete and has not reached the VM."""
        self._policy.check_header(header)
        if self._digest is not None:
            self._digest.begin(header, head)

    def update(self, offset: int, view: "memoryview", hole: "tuple[int, int]") -> None:
        """Bytes behind the header, as signature.ImageDigest.update."""
        if self._digest is not None:
            self._digest.update(offset, view, hole)

    def memory(self, header: "Header", stack: int, heap: int) -> None:
        """What is about to be taken: bytes of stack, 0 for the default, and behind the bss."""
        self._policy.check_memory(header, stack, heap)

    def end(self, metadata: "Metadata") -> None:
        """The image is whole, and none of what it declares is registered."""
        self._policy.check_metadata(metadata, self._version)
        if self._digest is not None:
            self._policy.check_signature(metadata.signature, self._digest.message())


def _limit(what: str, size: int, most: int) -> None:
    if size > most:
        raise HsxError(ENOSPC, "verify", "%s: %d, at most %d" % (what, size, most))
