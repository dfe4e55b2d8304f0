# SPDX-License-Identifier: MIT
"""Service module 7 (values): spec/svc_abi.md sections 6 and 7. A task reaches only its own."""

from micropython import const

from ..image import text
from . import values as v

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_REGISTER = const(0)
_LOOKUP = const(1)
_GET = const(2)
_SET = const(3)
_LIST = const(4)
_SUB = const(5)
_PERSIST = const(6)

# Descriptors in guest memory: type, 0, address of the next; then what the type says.
_GROUP = const(1)
_NAME = const(2)
_UNIT = const(3)
_RANGE = const(4)
_SAVED = const(5)
_SIZES = (0, 6, 6, 12, 8, 8)  # bytes, by type
_LAST = const(0xFFFF)  # "next" of the last one
_CHAIN = const(16)  # descriptors; a longer chain is a loop, or as good as one
_TEXT = const(64)  # bytes of a name; the rest is cut off, so that no task can fill the heap


def call(svc: "Svc", task: "Task", function: int) -> int:
    """The status; GET gives the bits in its place where there is no error."""
    vm = svc.vm
    pid = task.pid
    values = svc.values
    oid = vm.get(pid, 1) & 0xFFFF
    if function == _GET:
        bits = values.get(pid, oid)
        return bits if bits >= 0 else -bits
    if function == _SET:
        return values.set(pid, oid, vm.get(pid, 2) & 0xFFFF)
    if function == _PERSIST:
        return values.persist(pid, oid, vm.get(pid, 2) & 0xFF)
    if function == _LIST:
        return _list(svc, task, oid & 0xFF)
    if function in (_REGISTER, _LOOKUP):
        oid = (oid & 0xFF) << 8 | vm.get(pid, 2) & 0xFF
        if function == _REGISTER:
            status = _register(svc, task, oid)
        else:
            status = v.OK if values.has(pid, oid) else v.ENOENT
        if status == v.OK:
            vm.set(pid, 1, oid)
        return status
    if function == _SUB:
        from . import svc_mailbox

        return svc_mailbox.subscribe(svc, task, oid)
    return v.EINVAL


def _list(svc: "Svc", task: "Task", group: int) -> int:
    """R1: group, R2: address, R3: how many OIDs fit there. Gives their number in R1."""
    vm = svc.vm
    pid = task.pid
    addr = vm.get(pid, 2) & 0xFFFF
    room = vm.get(pid, 3) & 0xFFFF
    count = 0
    for oid in svc.values.oids(pid, group):
        view = svc.guest(task, addr, 2)
        if count == room or len(view) < 2:
            break  # the memory ends here
        view[0] = oid & 0xFF
        view[1] = oid >> 8
        vm.write(pid, addr, view)
        addr += 2
        count += 1
    vm.set(pid, 1, count)
    return v.OK


def _register(svc: "Svc", task: "Task", oid: int) -> int:
    vm = svc.vm
    addr = vm.get(task.pid, 4) & 0xFFFF
    details = [0] * 6  # as Values.register() takes them
    texts: "list[str | None]" = [None] * 3
    if addr and addr != _LAST and not _read_chain(svc, task, addr, details, texts):
        return v.EINVAL
    flags = vm.get(task.pid, 3) & 0xFF
    return svc.values.register(task.pid, oid, flags, details, tuple(texts))


def _read_chain(
    svc: "Svc", task: "Task", addr: int, details: "list[int]", texts: "list[str | None]"
) -> bool:
    """Reads a chain of descriptors; of two of one type the first counts. False if it is broken."""
    seen = 0
    for _ in range(_CHAIN):
        view = svc.guest(task, addr, 12)
        kind = view[0] if len(view) else 0
        if not _GROUP <= kind <= _SAVED or len(view) < _SIZES[kind]:
            return False
        addr = view[2] | view[3] << 8
        if not seen & 1 << kind:
            seen |= 1 << kind
            first = view[4] | view[5] << 8
            if kind == _GROUP:
                texts[2] = svc.string(task, first, _TEXT)
            elif kind == _NAME:
                texts[0] = svc.string(task, first, _TEXT)
            elif kind == _UNIT:
                details[0] = view[8] | view[9] << 8
                details[1] = view[10] | view[11] << 8
                texts[1] = text.ascii_only(view[4:8])
            else:
                at = 2 if kind == _RANGE else 4
                details[at] = first
                details[at + 1] = view[6] | view[7] << 8
        if addr == _LAST:
            return True
    return False
