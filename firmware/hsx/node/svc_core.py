# SPDX-License-Identifier: MIT
"""Service modules 1 (text), 2 (CAN) and 6 (executive): spec/svc_abi.md section 2."""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_EINVAL = const(0xFFFFFFEA)  # -22
_EBUSY = const(0xFFFFFFF0)  # -16
ABI = const(0x00010000)  # 1.0: major in the high half
_CAP_MAILBOXES = const(0x01)  # capability bits as in spec/hxe_v2.md section 5
_CAP_VALUES = const(0x02)  # and commands
_CAP_FRAM = const(0x04)
_CAP_CAN = const(0x08)
_CAP_UART = const(0x10)


def uart_write(svc: "Svc", task: "Task") -> int:
    """0x101: R1 address, R2 length (& 0xFFFF). Gives the length as it was asked for."""
    vm = svc.vm
    size = vm.get(task.pid, 2) & 0xFFFF
    svc.send_text(task, vm.get(task.pid, 1) & 0xFFFF, size, 1)
    return size


def can_tx(svc: "Svc", task: "Task") -> int:
    """0x200: R1 identifier (& 0x7FF), R2 address, R3 length. 0; -22 for more than 8 bytes or
    bytes that do not exist; -16 if the frame can't be taken now."""
    vm = svc.vm
    size = vm.get(task.pid, 3) & 0xFF
    if size > 8:
        return _EINVAL
    view = svc.guest(task, vm.get(task.pid, 2) & 0xFFFF, size)
    if len(view) != size:
        return _EINVAL
    if svc.can_tx is None or svc.can_tx(task, vm.get(task.pid, 1) & 0x7FF, view):
        return 0
    return _EBUSY


def capabilities(svc: "Svc") -> int:
    """What this node has, as bits."""
    bits = _CAP_MAILBOXES | _CAP_VALUES
    if svc.values.saved is not None:
        bits |= _CAP_FRAM
    if svc.can_tx is not None:
        bits |= _CAP_CAN
    if svc.stdout is not None:
        bits |= _CAP_UART
    return bits


def get_version(svc: "Svc", task: "Task") -> int:
    """0x601: R0 ABI version, R1 capability bits of this node."""
    svc.vm.set(task.pid, 1, capabilities(svc))
    return ABI
