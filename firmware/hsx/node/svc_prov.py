# SPDX-License-Identifier: MIT
"""Service module 9 (provisioning), functions in the order of spec/provisioning.md P-86.

An app may look at itself. To load, to abort and to see saved values takes a grant of the set's
manifest, and no manifest gives any.
"""

import json

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_INFO = const(0)
_FMAP = const(3)

_OK = const(0)  # statuses as of values and commands
_EPERM = const(2)
_ENOSYS = const(0xFFFFFF01)


def call(svc: "Svc", task: "Task", function: int) -> int:
    """The status. INFO: R1 PID (the caller's own), R2 address, R3 bytes there: the task's row of
    `ps` as JSON, cut where the room ends; how many bytes it is goes into R1."""
    if function > _FMAP:
        return _ENOSYS
    vm = svc.vm
    pid = task.pid
    if function != _INFO or vm.get(pid, 1) != pid:
        return _EPERM
    text = json.dumps(svc.node.row(task)).encode()
    room = vm.get(pid, 3) & 0xFFFF
    vm.set(pid, 1, vm.write(pid, vm.get(pid, 2) & 0xFFFF, text[:room]))
    return _OK
