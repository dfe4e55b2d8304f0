# SPDX-License-Identifier: MIT
"""Requests: what a host asks a node over a link, answered (docs/provisioning_protocol.md).

Reading is free. Plain requests change only what is PUBLIC; everything else takes a signed command
(design.md section 8).
"""

from micropython import const

from .. import errors, ticks
from ..errors import EBADMSG, EINVAL, ENOENT, ENOSPC, ENOTSUP, HsxError
from ..link import messages as m
from ..link.wire import Writer
from ..node import svc_core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .events import Subscription
    from .loads import Loads

_PUBLIC = const(0)  # auth level of who asks
_WINDOW = const(64)  # events: the most that may be on their way
_SILENCE = const(30000)  # ms without a request after which a host gets no more events
_PIDS = const(256)


class Requests:
    """One for each link of the node of `loads`. `uid`: what tells it from all others; `board`: its
    name. `command(view)` judges and does a signed command and gives its result, or raises
    (`signed_commands.SignedCommands.perform`).
    """

    def __init__(
        self,
        loads: "Loads",
        uid: bytes,
        board: str,
        command: "Callable[[memoryview], int | None]",
    ) -> None:
        self._loads = loads
        self._node = loads.node
        self._uid = uid
        self._board = board
        self._command = command
        self._out = memoryview(bytearray(m.MAX))
        self._event = self._out[m.EVENT_HEAD :]
        self._subscription: "Subscription | None" = None
        self._heard = 0  # tick of the last request

    # ---- messages -----------------------------------------------------------------------------

    def message(self, view: "memoryview", now: int) -> bytes:
        """The reply to a message, b"" if it wants none. Never raises: what is wrong with it, or
        with what it asks for, is the reply."""
        op = view[0] if len(view) else 0
        if op & m.REPLY:
            return b""  # one reply must not beget another
        self._heard = now
        out = self._out
        whole = len(view) > 1
        out[0] = m.REPLY | op if whole else m.REPLY
        out[1] = view[1] if whole else 0
        out[2] = 0
        writer = Writer(out, 3, m.MAX)
        try:
            self._answer(op, view, writer)
            return bytes(out[: writer.at]) if op != m.ACK else b""
        except OSError as error:
            out[2] = (error.errno or errors.EIO) & 0xFF
            told = (getattr(error, "where", ""), getattr(error, "detail", "error of the medium"))
        except MemoryError:
            out[2] = ENOSPC
            told = ("begin", "the node's heap is full")
        writer.at = 3
        writer.full = False
        for text in told:
            writer.text(text)
        return bytes(out[: writer.at])

    def event(self, now: int) -> bytes:
        """The next event for a host that has subscribed, as a message; b"": none, or none now."""
        subscription = self._subscription
        if subscription is None:
            return b""
        if ticks.diff(now, self._heard) > _SILENCE:
            self._subscription = None
            return b""
        size = subscription.next(self._event)
        if not size:
            return b""
        return m.pack_told(self._out, subscription.sent, size)

    def _answer(self, op: int, view: "memoryview", writer: "Writer") -> None:
        if len(view) < 2:
            raise HsxError(EBADMSG, "begin", "message ends early")
        if not 0 < op <= len(m.TABLE):
            raise HsxError(ENOTSUP, "begin", "this node has no such request")
        if op == m.COMMAND:
            writer.value(self._command(view[2:]))
            return
        numbers = m.unpack_request(view)
        if m.TABLE[op - 1][3]:
            self._list(op, numbers, writer)
            return
        for value in self._values(op, numbers):
            writer.value(value)

    def _values(self, op: int, numbers: "list[int]") -> "tuple[Any, ...]":
        """What the reply to a request that is no list has."""
        if op == m.HELLO:
            return self._hello()
        if op == m.STATUS:
            return _of(m.TABLE[m.STATUS - 1][2], self._loads.keeper().status())
        if op == m.LOAD:
            return _of(m.TABLE[m.LOAD - 1][2], self._loads.load_status(numbers[0]))
        if op == m.GET:
            return (self._get(numbers[0], numbers[1]),)
        if op == m.SET:
            self._set(numbers[0], numbers[1], numbers[2])
        elif op == m.CALL:
            return (self._call(numbers[0], numbers[1]),)
        elif op == m.EVENTS:
            since, window = numbers
            if not 0 < window <= _WINDOW:
                raise HsxError(EINVAL, "begin", "window is not 1 to 64")
            self._subscription = self._loads.events.subscribe(since, window)
            return (self._loads.events.seq,)
        elif op == m.ACK:
            if self._subscription is None:
                raise HsxError(ENOENT, "begin", "there is no subscription")
            self._subscription.ack(numbers[0])
        return ()

    def _hello(self) -> "tuple[Any, ...]":
        loads = self._loads
        policy = loads.policy
        active = state = None
        try:
            status = loads.keeper().status()
            active = status["active"]
            state = status["state"]
        except OSError:
            pass  # a node without a store says hello, too
        capabilities = svc_core.capabilities(self._node.svc) & policy.capabilities
        return (
            m.VERSION,
            policy.number,
            self._uid,
            policy.network,
            self._board,
            svc_core.ABI,
            capabilities,
            self._node.vm.free(),
            policy.max_code,
            policy.max_data,
            policy.max_stack,
            policy.max_values,
            policy.max_commands,
            policy.max_mailboxes,
            loads.events.seq,
            active,
            state,
        )

    # ---- lists --------------------------------------------------------------------------------

    def _list(self, op: int, numbers: "list[int]", writer: "Writer") -> None:
        """Whole rows from `from` on; where they end to fit, and what that is of, at 3."""
        out = self._out
        out[3] = out[4] = 0
        writer.at = 5
        writer.text_max = m.ROW_TEXT
        at = numbers[0]
        banks = self._banks(numbers) if op in (m.SLOTS, m.IMAGES) else ()
        while True:
            row = self._row(op, at, banks)
            if row is None:
                return
            if row:
                start = writer.at
                writer.byte(0)
                for value in row:
                    writer.value(value)
                if writer.full:
                    writer.at = start
                    out[3] = at & 0xFF
                    out[4] = at >> 8
                    return
                out[start] = writer.at - start - 1
            at += 1

    def _row(self, op: int, at: int, banks: "Any") -> "tuple[Any, ...] | None":
        """The row `at` of a list; () where there is none, None where there are no more."""
        node = self._node
        if op == m.VALUES:
            return node.values.row(at)
        if op == m.COMMANDS:
            return node.commands.row(at) if node.commands is not None else None
        if op == m.BOOT:
            report = self._loads.report
            return report[at] if at < len(report) else None
        if op != m.PS:
            return banks[at] if at < len(banks) else None
        for task in node.tasks.order:
            if task.pid == at:
                return _of(m.TABLE[m.PS - 1][3], node.row(task))
        return () if at < _PIDS else None

    def _banks(self, numbers: "list[int]") -> "list[tuple[Any, ...]]":
        """The banks, or with a second number the images in one of them."""
        slots = self._loads.keeper().slots()
        names = m.TABLE[m.IMAGES - 1][3]
        if len(numbers) == 1:
            for slot in slots:
                if slot["images"] is not None:
                    slot["images"] = len(slot["images"])
            names = m.TABLE[m.SLOTS - 1][3]
        elif numbers[1] < len(slots):
            slots = slots[numbers[1]]["images"] or []
        else:
            raise HsxError(EINVAL, "begin", "banks are 0 and 1")
        return [_of(names, slot) for slot in slots]

    # ---- values and commands ------------------------------------------------------------------

    def get(self, pid: int, oid: int) -> "tuple[int, int]":
        """(errno, bits) of a value; PID 0: of the first instance that has one with this OID."""
        try:
            return 0, self._get(pid, oid)
        except OSError as error:
            return error.errno or errors.EIO, 0

    def set(self, pid: int, oid: int, bits: int) -> int:
        """Sets a PUBLIC value: errno."""
        try:
            self._set(pid, oid, bits)
            return 0
        except OSError as error:
            return error.errno or errors.EIO

    def call(self, pid: int, oid: int) -> "tuple[int, int]":
        """Calls a PUBLIC command: (errno, R0 of its handler, 0 if it has none)."""
        try:
            return 0, self._call(pid, oid) or 0
        except OSError as error:
            return error.errno or errors.EIO, 0

    def number(self, number: int) -> int:
        """The number that a master gives to this node, which has none: errno."""
        self._loads.policy.number = number
        return 0

    def _get(self, pid: int, oid: int) -> int:
        return self._node.get_value(pid or self._node.values.owner(oid), oid)

    def _set(self, pid: int, oid: int, bits: int) -> None:
        self._node.set_value(pid or self._node.values.owner(oid), oid, bits, _PUBLIC)

    def _call(self, pid: int, oid: int) -> "int | None":
        commands = self._node.commands
        if not pid and commands is not None:
            pid = commands.owner(oid)
        if not pid:
            raise HsxError(ENOENT, "begin", "no task has such a command")
        return self._node.call(pid, oid, None, _PUBLIC)


def _of(names: "tuple[str, ...]", row: "dict[str, Any]") -> "tuple[Any, ...]":
    return tuple([row.get(name) for name in names])
