# SPDX-License-Identifier: MIT
"""Service calls of apps: which module answers which number (spec/svc_abi.md).

Arguments are in R1 to R5, the result goes into R0. Bad arguments never fault the task: an unknown
module or function gives its status and the app goes on. TASK_EXIT, EXEC_SLEEP_MS and
CORE_GET_STEPS never come here, the core answers them.
"""

from micropython import const

from ..image import text
from . import svc_core, svc_files, svc_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import CanSink, TextSink
    from .node import Node
    from .tasks import Task

_ENOSYS = const(0xFFFFFF01)


class Svc:
    """Dispatch for all tasks of a `node`; what not every node needs is imported on first use.

    `stdout(task, view, stream)` gets text (stream 1 out, 2 err), a piece of at most `io_size`
    bytes at a time, and an empty view for an empty write. `can_tx(task, ident, view) -> bool` gets
    CAN frames and says whether the frame was taken. Either may be None.
    """

    def __init__(
        self,
        node: "Node",
        stdout: "TextSink | None" = None,
        can_tx: "CanSink | None" = None,
        io_size: int = 256,
    ) -> None:
        self.node = node
        self.vm = node.vm
        self.values = node.values
        self.stdout = stdout
        self.can_tx = can_tx
        self._buf = memoryview(bytearray(io_size))

    def call(self, task: "Task", number: int) -> None:
        """Answers one call: `number` = module << 8 | function."""
        module = number >> 8
        function = number & 0xFF
        if module == 1 and function == 1:
            result = svc_core.uart_write(self, task)
        elif module == 2 and function == 0:
            result = svc_core.can_tx(self, task)
        elif module == 4:
            result = svc_files.call(self, task, function)
        elif module == 7:
            result = svc_value.call(self, task, function)
        elif module == 5:
            from . import svc_mailbox

            result = svc_mailbox.call(self, task, function)
        elif module == 8:
            from . import svc_command

            result = svc_command.call(self, task, function)
        elif module == 9:
            from . import svc_prov

            result = svc_prov.call(self, task, function)
        elif module == 6 and function == 1:
            result = svc_core.get_version(self, task)
        else:
            result = _ENOSYS
        self.vm.set(task.pid, 0, result)

    def guest(self, task: "Task", addr: int, size: int) -> "memoryview":
        """At most one buffer of the task's memory; shorter where the memory ends. The view is
        valid until the next call."""
        view = self._buf if size >= len(self._buf) else self._buf[:size]
        got = self.vm.read(task.pid, addr, view)
        return view if got == len(view) else view[:got]

    def string(self, task: "Task", addr: int, limit: int) -> str:
        """The text from `addr` to a NUL, the end of the memory or `limit` bytes; what is no UTF-8
        loses all that is not ASCII."""
        view = self.guest(task, addr, limit)
        size = 0
        while size < len(view) and view[size]:
            size += 1
        decoded = text.decode(view[:size])
        return text.ascii_only(view[:size]) if decoded is None else decoded

    def send_text(self, task: "Task", addr: int, size: int, stream: int) -> None:
        """Hands `size` bytes of guest memory to the text sink, as far as they exist."""
        if self.stdout is None:
            return
        while True:
            view = self.guest(task, addr, size)
            self.stdout(task, view, stream)
            size -= len(view)
            addr += len(view)
            if size <= 0 or len(view) < len(self._buf):
                return
