# SPDX-License-Identifier: MIT
"""Service module 4 (files): standard input and output only (spec/svc_abi.md section 3).

A node gives apps no file system; descriptors 0, 1 and 2 exist from the start. Reading gives 0
bytes, as the reference does.
"""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_READ = const(1)
_WRITE = const(2)
_FAILED = const(0xFFFFFFFF)


def call(svc: "Svc", task: "Task", function: int) -> int:
    """READ and WRITE give the number of bytes; every other function gives -1."""
    if function == _READ:
        return 0
    if function != _WRITE:
        return _FAILED
    vm = svc.vm
    fd = vm.get(task.pid, 1) & 0xFFFF
    size = vm.get(task.pid, 3) & 0xFFFF
    if fd not in (1, 2) or not size:
        return 0
    svc.send_text(task, vm.get(task.pid, 2) & 0xFFFF, size, fd)
    return size
