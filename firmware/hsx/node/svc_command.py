# SPDX-License-Identifier: MIT
"""Service module 8 (commands): spec/svc_abi.md section 9. A task reaches only its own.

A handler runs as a call on the stack of its task, with registers of its own: it begins with R0 =
0, ends with RET, and R0 is its result. Then the task has its registers back, whatever the handler
did. One that does not return within its steps, that faults, sleeps or waits is given up: EFAIL.
"""

import struct
from array import array

from micropython import const

from .. import native
from . import commands as c
from . import mailboxes as m
from . import svc_mailbox
from . import tasks as t
from .mailbox import HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .svc import Svc
    from .tasks import Task

_REGISTER = const(0)
_LOOKUP = const(1)
_CALL = const(2)
_CALL_ASYNC = const(3)
_HELP = const(4)

_NAME = const(0x10)  # the one type of descriptor: type, 0, next, name, help
_LAST = const(0xFFFF)  # "next" of the last one
_CHAIN = const(16)  # descriptors; a longer chain is a loop, or as good as one
_TEXT = const(64)  # bytes of a name, a token
_LONG_TEXT = const(128)  # bytes of a help text

_STEPS = const(10_000)  # of a handler: some milliseconds
_SAVED = const(20)  # R0 to R15, PC, SP, PSW, depth: their numbers follow each other
_PUBLIC = const(0)  # authority of a call by a task, its owner's too


def call(svc: "Svc", task: "Task", function: int) -> int:
    """The status."""
    vm = svc.vm
    pid = task.pid
    oid = vm.get(pid, 1) & 0xFFFF
    if function in (_REGISTER, _LOOKUP):
        oid = (oid & 0xFF) << 8 | vm.get(pid, 2) & 0xFF
        if function == _REGISTER:
            status = _register(svc, task, oid)
        else:
            status = c.OK if c.of(svc.node).has(pid, oid) else c.ENOENT
        if status == c.OK:
            vm.set(pid, 1, oid)
        return status
    if function == _CALL:
        status, result = invoke(svc, task, oid, _token(svc, task), _PUBLIC)
        if result is not None:
            vm.set(pid, 1, result)
        return status
    if function == _CALL_ASYNC:
        return _call_async(svc, task, oid)
    if function == _HELP:
        return _help(svc, task, oid)
    return c.EINVAL


def invoke(
    svc: "Svc", task: "Task", oid: int, token: "str | None", auth: int
) -> "tuple[int, int | None]":
    """Calls a command of a task that is READY, SLEEPING or WAITING: (status, R0 of the handler;
    None: it has none, or has not ended). OK, ENOENT, EPERM, EFAIL."""
    commands = c.of(svc.node)
    status = commands.allow(task.pid, oid, token, auth)
    if status != c.OK:
        return status, None
    handler = commands.handler(task.pid, oid)
    if handler == c.NO_HANDLER:
        return c.OK, None
    if commands.running:
        return c.EFAIL, None  # a command that calls a command
    commands.running = True
    try:
        result = _run(svc, task, handler)
    finally:
        commands.running = False
    return (c.EFAIL if result is None else c.OK), result


def _run(svc: "Svc", task: "Task", handler: int) -> "int | None":
    """R0 of a handler that has returned; None: it has not. The task is as it was."""
    vm = svc.vm
    pid = task.pid
    before = array("I", [vm.get(pid, which) for which in range(_SAVED)])
    state = task.state
    wake = task.wake
    task.state = t.READY
    vm.set(pid, 0, 0)
    vm.set(pid, native.DEPTH, 0)
    vm.set(pid, native.PC, handler)
    try:
        stop = svc.node.scheduler.advance(task, _STEPS)
        result = vm.get(pid, 0) if stop & 0xFF == native.RETURNED else None
    finally:
        for which in range(_SAVED):
            vm.set(pid, which, before[which])
        if task.state == t.WAITING and state != t.WAITING:
            m.of(svc.node).waiting.remove(task)
        task.state = state
        task.wake = wake
    if state == t.WAITING:
        svc_mailbox.wake(svc)  # what came for it in the meantime
    return result


def _token(svc: "Svc", task: "Task") -> "str | None":
    addr = svc.vm.get(task.pid, 2) & 0xFFFF
    return svc.string(task, addr, _TEXT) if addr else None


def _call_async(svc: "Svc", task: "Task", oid: int) -> int:
    """The command runs at once, and its end is a message: OID, status, and the result if there is
    one. Its handle goes into R1. ENOSPC: no mailbox or handle for it, nothing has run."""
    vm = svc.vm
    pid = task.pid
    commands = c.of(svc.node)
    if not commands.has(pid, oid):
        return c.ENOENT
    if not commands.is_async(pid, oid):
        return c.ENOASYNC
    token = _token(svc, task)
    status = commands.allow(pid, oid, token, _PUBLIC)
    if status != c.OK:
        return status
    status = svc_mailbox.opened(svc, task, vm.get(pid, 3) & 0xFFFF)
    if status != c.OK:
        return c.ENOSPC if status == m.NO_DESCRIPTOR else c.EINVAL
    number = vm.get(pid, 1)
    status, result = invoke(svc, task, oid, token, _PUBLIC)
    record = svc_mailbox.record(pid, 0, 0, 4 if result is None else 8)
    struct.pack_into("<HH", record, HEADER, oid, status)
    if result is not None:
        struct.pack_into("<I", record, HEADER + 4, result)
    boxes = m.of(svc.node)
    handle = boxes.find(pid, number)
    if isinstance(handle, int) or boxes.send(pid, handle, record) != c.OK:
        boxes.close(pid, number)
        return c.EFAIL
    svc_mailbox.wake(svc)
    return c.OK


def _help(svc: "Svc", task: "Task", oid: int) -> int:
    """R2: address, R3: bytes there. Gives the bytes written in R1, without the NUL behind them."""
    vm = svc.vm
    pid = task.pid
    help = c.of(svc.node).help(pid, oid)
    if help is None:
        return c.ENOENT
    room = vm.get(pid, 3) & 0xFFFF
    text = help.encode()[: max(room - 1, 0)]
    if room:
        vm.write(pid, vm.get(pid, 2) & 0xFFFF, text + b"\0")
    vm.set(pid, 1, len(text))
    return c.OK


def _register(svc: "Svc", task: "Task", oid: int) -> int:
    vm = svc.vm
    addr = vm.get(task.pid, 4) & 0xFFFF
    name = None
    help = ""
    for link in range(_CHAIN + 1):
        if addr == _LAST or (not addr and not link):
            flags = vm.get(task.pid, 3) & 0xFF
            return c.of(svc.node).register(task.pid, oid, flags, name, help)
        view = svc.guest(task, addr, 8)
        if len(view) < 8 or view[0] != _NAME:
            return c.EINVAL
        addr = view[2] | view[3] << 8
        texts = (view[4] | view[5] << 8, view[6] | view[7] << 8)
        if not link:  # of two descriptors the first counts
            name = svc.string(task, texts[0], _TEXT)
            help = svc.string(task, texts[1], _LONG_TEXT) if texts[1] else ""
    return c.EINVAL
