# SPDX-License-Identifier: MIT
"""Loading: one image on its way into the VM, all or nothing.

Bytes come in pieces of any size; the header is looked at here before the core takes memory (name
conflicts cost nothing), code and rodata go straight into the core's arena, what lies behind them
goes to the metadata reader. Whatever fails, and wherever, the PID, the arena, the task, its name
and what it declares are given back before the error leaves.
"""

import hashlib

from micropython import const

from ..errors import EBADMSG, EBUSY, EINVAL, HsxError, detail
from ..image import header as hxe_header
from ..image import sections
from . import names
from . import tasks as t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import native
    from ..contracts import Admission
    from .node import Node

_DEFAULT_PRIORITY = const(10)
_DEFAULT_QUANTUM = const(1000)

# Phases. A closed loading answers write() and end() with EBUSY; abort() stays allowed.
_HEADER = const(0)
_BODY = const(1)
_CLOSED = const(2)


def _attribute(vm: "native.VM", error: OSError, where: str) -> HsxError:
    """The core's bare OSError with what the core knows about it."""
    errno, offset, rule = vm.error()
    if errno != error.errno:
        return HsxError(error.errno or EINVAL, where, "the VM refused the call")
    return HsxError(errno, where, detail(rule), rule, offset)


class Loading:
    """Begin is the constructor: it takes a PID (ENOSPC: none is free).

    `source` is what `ps` shows; `label` is what a nameless image is called after (a path).
    `sha256`: 32 bytes that the whole image must hash to, or None. `stack`, and `heap`, the memory
    behind its bss: bytes, 0 for what the image asks for, or else the profile's default. `pid`: the
    wanted one, 0 for any (EBUSY: it is in use). `grants`: what service module 9 does for the task
    (node.svc_prov). `wishes`: of a manifest, before those of the image itself (image.wishes).
    `admission` watches the bytes and raises if the image may not be loaded: before the core sees
    one, before stack and heap are taken, and when all is checked, before anything of it is
    registered.
    """

    def __init__(
        self,
        node: "Node",
        source: str,
        label: str = "",
        priority: int = _DEFAULT_PRIORITY,
        quantum: int = _DEFAULT_QUANTUM,
        stack: int = 0,
        heap: int = 0,
        sha256: "bytes | None" = None,
        pid: int = 0,
        grants: int = 0,
        wishes: "dict | None" = None,
        admission: "Admission | None" = None,
    ) -> None:
        self._node = node
        self._vm = node.vm
        self._table = node.tasks
        self._label = label
        self._stack = stack
        self._heap = heap
        self._admission = admission
        self._wishes = wishes
        self._digest = sha256
        self._hash = hashlib.sha256() if sha256 is not None else None
        self._head = bytearray(hxe_header.HEADER_V2)
        self._metadata: "sections.MetadataReader | None" = None
        self._phase = _HEADER
        self.done = 0  # bytes taken so far
        try:
            self.pid = node.vm.load_begin(pid)
        except OSError as error:
            raise _attribute(node.vm, error, "begin")
        try:
            self._task = t.Task(self.pid, source, priority, quantum)
            self._task.grants = grants
            node.tasks.add(self._task)
        except BaseException:
            node.vm.load_abort(self.pid)
            raise

    def write(self, view: "memoryview") -> None:
        """Takes the next bytes of the image, any number.

        Raises EBADMSG, ENOSPC, EEXIST, what `admit` raises (all is given back), EBUSY (the loading
        has ended)."""
        if self._phase == _CLOSED:
            raise HsxError(EBUSY, "write", "this load has ended")
        try:
            if self._hash is not None:
                self._hash.update(view)
            used = 0
            if self._phase == _HEADER:
                used = self._take_header(view)
                if self._phase == _HEADER:
                    return
                if used < len(view):
                    view = view[used:]
                else:
                    return
            self._take_body(view)
        except BaseException:
            self.abort()
            raise

    def end(self) -> int:
        """Checks the whole image and registers what it declares, saved values restored; the task
        is then LOADED. Returns its PID.

        Raises EBADMSG, ENOSPC, what `admit` raises (all is given back), EBUSY."""
        if self._phase == _CLOSED:
            raise HsxError(EBUSY, "end", "this load has ended")
        vm = self._vm
        stack, heap = self._stack, self._heap
        if self._metadata is not None:
            hints = self._metadata.memory_hints()
            stack, heap = stack or hints[0], heap or hints[1]
        try:
            try:
                if self._phase == _HEADER:
                    # The core has seen none of a header that never became complete.
                    vm.load_write(self.pid, memoryview(self._head)[: self.done])
                if self._admission is not None and self._task.header is not None:
                    self._admission.memory(self._task.header, stack, heap)
                if heap and self._task.header is not None:
                    vm.load_heap(self.pid, heap)
                vm.load_end(self.pid, stack)
            except HsxError:
                raise
            except OSError as error:
                raise _attribute(vm, error, "end")
            assert self._metadata is not None  # the core took a whole image, header included
            metadata = self._metadata.end(self.done)
            if self._hash is not None and self._hash.digest() != self._digest:
                raise HsxError(EBADMSG, "end", "SHA-256 differs from the manifest")
            if self._admission is not None:
                self._admission.end(metadata)
            self._declare(metadata)
        except BaseException:
            self.abort()
            raise
        # These records are not needed any more.
        metadata.values = metadata.commands = metadata.mailboxes = ()
        if metadata.info is not None:
            metadata.info = None
        if metadata.signature is not None:
            metadata.signature = None
        if metadata.wishes is not None:
            metadata.wishes = None
        self._task.metadata = metadata
        self._task.state = t.LOADED
        self._phase = _CLOSED
        return self.pid

    def _declare(self, metadata: "sections.Metadata") -> None:
        wishes = metadata.wishes
        if self._wishes:
            wishes = dict(wishes or ())
            wishes.update(self._wishes)
        if wishes is None:
            self._node.declare(self.pid, metadata)
            return
        from . import wishes as granting  # most images have none

        granting.prepare(self._node, metadata, wishes)
        self._node.declare(self.pid, metadata)
        granting.settle(self._node, self.pid, metadata, wishes)

    def abort(self) -> None:
        """Gives everything back. Allowed at any time; after the end it does nothing."""
        if self._phase == _CLOSED:
            return
        self._phase = _CLOSED
        self._table.remove(self._task)
        self._node.drop(self.pid)
        try:
            self._vm.load_abort(self.pid)
        except OSError:
            # load_end() had already made the PID a task of the core.
            self._vm.unload(self.pid)

    def _take_header(self, view: "memoryview") -> int:
        """Collects header bytes; when all are there, checks them and the name, and hands them to
        the core. Returns how many bytes of `view` were header."""
        used = 0
        head = self._head
        need = hxe_header.needed(head, self.done)
        while used < len(view):
            head[self.done] = view[used]  # byte by byte: slices would be heap
            self.done += 1
            used += 1
            if self.done == need:
                need = hxe_header.needed(head, self.done)
            if self.done < need:
                continue
            if need < len(head):
                head = head[:need]
            header = hxe_header.parse(head)
            if self._admission is not None:
                self._admission.begin(header, head)
            task = self._task
            app = names.base(header.app_name, self._label, self.pid)
            task.instance = names.instance(app, self._table.names(), header.allow_multiple)
            task.app = app
            task.header = header
            self._metadata = sections.MetadataReader(header)
            self._phase = _BODY
            self._core_write(head)
            return used
        return used

    def _take_body(self, view: "memoryview") -> None:
        start = self.done
        size = len(view)
        first = self._core_write(view)
        self.done = start + size
        if self._metadata is not None:
            if first < size:
                self._metadata.write(start + first, view[first:])
            if self._admission is not None:
                self._admission.update(start, view, self._metadata.hole)

    def _core_write(self, view: "bytearray | memoryview") -> int:
        try:
            return self._vm.load_write(self.pid, view)
        except OSError as error:
            raise _attribute(self._vm, error, "write")
