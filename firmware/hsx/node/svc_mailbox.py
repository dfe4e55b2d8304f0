# SPDX-License-Identifier: MIT
"""Service module 5 (mailboxes): spec/svc_abi.md sections 4 and 5.

Only RECV waits. A task that does stands at its call with its arguments still in R1 to R5: whatever
may end its waiting answers the call again.
"""

import struct

from micropython import const

from .. import ticks
from . import mailboxes as m
from . import tasks as t
from . import values as v
from .mailbox import HEADER, OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .mailbox import Handle
    from .svc import Svc
    from .tasks import Task

_OPEN = const(0)
_BIND = const(1)
_SEND = const(2)
_RECV = const(3)
_PEEK = const(4)
_TAP = const(5)
_CLOSE = const(6)

_TARGET = const(128)  # bytes of a target that are read: 32 characters
_FOR_EVER = const(0xFFFF)  # timeout
_OVERRUN = const(8)  # flag


def call(svc: "Svc", task: "Task", function: int) -> int:
    """The status; what else a call gives is in R1 to R4."""
    try:
        return _call(svc, task, function)
    except MemoryError:
        return m.INTERNAL_ERROR


def _call(svc: "Svc", task: "Task", function: int) -> int:
    vm = svc.vm
    pid = task.pid
    boxes = m.of(svc.node)
    first = vm.get(pid, 1) & 0xFFFF
    if function == _OPEN:
        return opened(svc, task, first)
    if function == _BIND:
        capacity = vm.get(pid, 2) & 0xFFFF
        bound = boxes.bind(
            pid, svc.string(task, first, _TARGET), capacity, vm.get(pid, 3) & 0xFFFF
        )
        if isinstance(bound, int):
            return bound
        vm.set(pid, 1, bound.number)
        return OK
    if function == _CLOSE:
        return boxes.close(pid, first)
    if not _SEND <= function <= _TAP:
        return m.INTERNAL_ERROR
    handle = boxes.find(pid, first)
    if isinstance(handle, int):
        return handle
    if function == _SEND:
        return _send(svc, task, handle)
    if function == _RECV:
        return _receive(svc, task, handle)
    if function == _TAP:
        return boxes.tap(pid, handle, vm.get(pid, 2) & 1)
    depth, used, length = handle.box.peek(handle)
    vm.set(pid, 1, depth)
    vm.set(pid, 2, used)
    vm.set(pid, 3, length)
    return OK


def opened(svc: "Svc", task: "Task", addr: int) -> int:
    """Opens the mailbox whose target is at `addr`; its handle goes into R1."""
    number = m.of(svc.node).open(task.pid, svc.string(task, addr, _TARGET))
    if number < 0:
        return -number
    svc.vm.set(task.pid, 1, number)
    return OK


def record(pid: int, flags: int, channel: int, message: int) -> "bytearray":
    """A record of task `pid` with room for a message of so many bytes."""
    made = bytearray(HEADER + message)
    struct.pack_into("<HHHH", made, 0, message, flags, pid, channel)
    return made


def _send(svc: "Svc", task: "Task", handle: "Handle") -> int:
    vm = svc.vm
    pid = task.pid
    size = vm.get(pid, 3) & 0xFFFF
    largest = max(handle.box.capacity - HEADER, 0)
    # One byte more than fits is enough to see that it does not.
    made = record(pid, vm.get(pid, 4) & 0xFFFF, vm.get(pid, 5) & 0xFFFF, min(size, largest + 1))
    got = vm.read(pid, vm.get(pid, 2), memoryview(made)[HEADER:])
    if got < len(made) - HEADER:  # the memory ends before
        made = made[: HEADER + got]
        struct.pack_into("<H", made, 0, got)
    status = m.of(svc.node).send(pid, handle, made)
    if status == OK:
        vm.set(pid, 1, got)
        wake(svc)
    return status


def _receive(svc: "Svc", task: "Task", handle: "Handle") -> int:
    """RECV; the task may wait then."""
    if _take(svc, task, handle):
        return OK
    timeout = svc.vm.get(task.pid, 4) & 0xFFFF
    if not timeout:
        svc.vm.set(task.pid, 1, 0)
        _inform(svc, task, m.NO_DATA, 0, 0, 0, 0)
        return m.NO_DATA
    waiting = m.of(svc.node).waiting
    if task not in waiting:
        waiting.append(task)
    task.state = t.WAITING
    task.wake = t.NEVER if timeout == _FOR_EVER else ticks.add(svc.node.clock(), timeout)
    return OK


def _take(svc: "Svc", task: "Task", handle: "Handle") -> bool:
    """Gives the task its next message, if there is one."""
    vm = svc.vm
    pid = task.pid
    taken = m.of(svc.node).receive(handle)
    if taken is None:
        return False
    made, overrun = taken
    length, flags, source, channel = struct.unpack_from("<HHHH", made, 0)
    length = min(length, vm.get(pid, 3) & 0xFFFF)
    vm.write(pid, vm.get(pid, 2), memoryview(made)[HEADER : HEADER + length])
    if overrun:
        flags |= _OVERRUN
    _answer(svc, task, OK, length, flags, channel, source)
    return True


def _answer(
    svc: "Svc", task: "Task", status: int, length: int, flags: int, channel: int, source: int
) -> None:
    vm = svc.vm
    pid = task.pid
    vm.set(pid, 1, length)
    vm.set(pid, 2, flags)
    vm.set(pid, 3, channel)
    vm.set(pid, 4, source)
    _inform(svc, task, status, length, flags, channel, source)


def _inform(
    svc: "Svc", task: "Task", status: int, length: int, flags: int, channel: int, source: int
) -> None:
    """The info struct, where the call has asked for one."""
    addr = svc.vm.get(task.pid, 5) & 0xFFFF
    if addr:
        info = struct.pack("<IIIII", status, length, flags, channel, source)
        svc.vm.write(task.pid, addr, info)


def subscribe(svc: "Svc", task: "Task", oid: int) -> int:
    """SUB of module 7, R2: address of a target. Each change of the value goes there; the handle is
    in R1, and closing it ends that. A status of module 7."""
    if not svc.values.has(task.pid, oid):
        return v.ENOENT
    status = opened(svc, task, svc.vm.get(task.pid, 2) & 0xFFFF)
    if status != OK:
        return v.ENOSPC if status == m.NO_DESCRIPTOR else v.EINVAL
    handle = m.of(svc.node).find(task.pid, svc.vm.get(task.pid, 1))
    if not isinstance(handle, int):
        handle.value = oid
    svc.values.changed = lambda pid, oid, old, new: publish(svc, pid, oid, old, new)
    return v.OK


def publish(svc: "Svc", pid: int, oid: int, old: int, new: int) -> None:
    """Sends the change of a value to its subscribers: OID, old bits, new bits."""
    made = record(pid, 0, 0, 6)
    struct.pack_into("<HHH", made, HEADER, oid, old, new)
    m.of(svc.node).publish(pid, oid, made)
    wake(svc)


def wake(svc: "Svc") -> None:
    """Lets those who wait go on for whom there is a message, in the order in which they came, and
    those whose mailbox has gone."""
    boxes = svc.node.mailboxes
    if boxes is None or not boxes.waiting:
        return
    for task in list(boxes.waiting):
        if task.state != t.WAITING:
            continue  # its command is running
        handle = boxes.find(task.pid, svc.vm.get(task.pid, 1) & 0xFFFF)
        if isinstance(handle, int):
            _go_on(svc, task, handle)
        elif _take(svc, task, handle):
            _go_on(svc, task, OK)


def expired(svc: "Svc", task: "Task") -> None:
    """Ends the waiting of a task whose time has come."""
    _answer(svc, task, m.TIMEOUT, 0, 0, 0, 0)
    _go_on(svc, task, m.TIMEOUT)


def _go_on(svc: "Svc", task: "Task", status: int) -> None:
    svc.vm.set(task.pid, 0, status)
    m.of(svc.node).waiting.remove(task)
    task.state = t.READY
