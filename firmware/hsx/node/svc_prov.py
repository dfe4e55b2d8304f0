# SPDX-License-Identifier: MIT
"""Service module 9 (provisioning), functions in the order of spec/provisioning.md P-86.

An app may look at itself. To load, to abort and to see saved values takes a grant of the set's
manifest, and goes the way of a host's request, through the same policy: what does it is handed in
as `Node.provisioner`.
"""

import json

from micropython import const

from ..errors import HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_INFO = const(0)
_LOAD = const(1)
_ABORT = const(2)
_FMAP = const(3)

_OK = const(0)  # statuses as of values and commands
_ENOENT = const(1)
_EPERM = const(2)
_EFAIL = const(7)
_ENOSYS = const(0xFFFFFF01)
_PATH = const(128)  # bytes


def call(svc: "Svc", task: "Task", function: int) -> int:
    """The status.

    INFO: R1 PID (the caller's own), R2 address, R3 bytes there: the task's row of `ps` as JSON,
    cut where the room ends; how many bytes it is goes into R1. LOAD: R1 address of a path: the
    image is loaded and started by the polls that follow, and events tell how it ends. ABORT: R1
    PID of a load. FMAP: R1 key, R2 address: the two bytes of the saved value. Without the grant
    EPERM; ENOENT: nothing is saved; EFAIL: the call was refused."""
    if function > _FMAP:
        return _ENOSYS
    vm = svc.vm
    pid = task.pid
    if function == _INFO:
        if vm.get(pid, 1) != pid:
            return _EPERM
        text = json.dumps(svc.node.row(task)).encode()
        room = vm.get(pid, 3) & 0xFFFF
        vm.set(pid, 1, vm.write(pid, vm.get(pid, 2) & 0xFFFF, text[:room]))
        return _OK
    provisioner = svc.node.provisioner
    if not task.grants >> function - 1 & 1 or provisioner is None:
        return _EPERM
    try:
        if function == _LOAD:
            provisioner.load_later(svc.string(task, vm.get(pid, 1) & 0xFFFF, _PATH))
        elif function == _ABORT:
            provisioner.abort(vm.get(pid, 1))
        else:
            return _fmap(svc, pid)
    except HsxError:
        return _EFAIL
    return _OK


def _fmap(svc: "Svc", pid: int) -> int:
    vm = svc.vm
    saved = svc.node.values.saved
    bits = saved.restore(vm.get(pid, 1) & 0xFFFF) if saved is not None else None
    if bits is None:
        return _ENOENT
    written = vm.write(pid, vm.get(pid, 2) & 0xFFFF, bytes((bits & 0xFF, bits >> 8)))
    return _OK if written == 2 else _EFAIL
