# SPDX-License-Identifier: MIT
"""Service calls of apps: which module answers which number (spec/svc_abi.md).

Arguments are in R1 to R5, the result goes into R0. Bad arguments never fault the task: an unknown
module or function gives its status and the app goes on. TASK_EXIT, EXEC_SLEEP_MS and
CORE_GET_STEPS never come here, the core answers them.
"""

from micropython import const

from . import svc_core, svc_files, svc_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import native
    from ..contracts import CanSink, TextSink
    from .tasks import Task
    from .values import Values

_ENOSYS = const(0xFFFFFF01)


class Svc:
    """Dispatch for all tasks of a node, and for their `values`.

    `stdout(task, view, stream)` gets text (stream 1 out, 2 err), a piece of at most `io_size`
    bytes at a time, and an empty view for an empty write. `can_tx(task, ident, view) -> bool` gets
    CAN frames and says whether the frame was taken. Either may be None.
    """

    def __init__(
        self,
        vm: "native.VM",
        values: "Values",
        stdout: "TextSink | None" = None,
        can_tx: "CanSink | None" = None,
        io_size: int = 256,
    ) -> None:
        self.vm = vm
        self.values = values
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
