# SPDX-License-Identifier: MIT
"""Signed commands: whether one counts here, and what it does (link.command has their bytes).

Refused are: EBADMSG, one that is malformed; EACCES, one for another network or node, without a
signature where one is needed, by a key that is not trusted or whose role does not reach, or with a
wrong signature; EPERM, one that was seen before; ENODEV, where no store keeps counters.
"""

import hashlib
import struct

from micropython import const

from ..errors import EACCES, EBADMSG, ENODEV, ENOENT, EPERM, HsxError, name
from ..link import command as c
from .policy import ADMIN, FACTORY, OFF, USER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..store.counters import Counters
    from .loads import Loads

_ID = const(8)  # bytes: what a counter record calls its key by (store.counters)
_DIGEST = const(16)  # bytes of a set's
# The least role, by action.
_NEEDS = bytes((FACTORY, ADMIN, ADMIN, ADMIN, ADMIN, ADMIN, USER, USER, ADMIN, ADMIN, ADMIN))


class SignedCommands:
    """For the node of `loads`. `local`: whoever asks is trusted and need not sign (the REPL)."""

    def __init__(self, loads: "Loads", local: bool = False) -> None:
        self._loads = loads
        self._local = local

    def judge(self, command: "bytes | memoryview") -> int:
        """The role of whoever asks; nothing has happened yet. Raises as the module says."""
        known = len(command) == c.SIZE and 0 < command[4] < len(_NEEDS)
        if not known or command[6] or command[7]:
            raise HsxError(EBADMSG, "begin", "command is malformed")
        policy = self._loads.policy
        if struct.unpack_from("<I", command, 0)[0] != policy.network:
            raise HsxError(EACCES, "begin", "command is for another network")
        if not c.names(command, policy.number):
            raise HsxError(EACCES, "begin", "command is for another node")
        key_id = bytes(command[c.AT_KEY : c.AT_KEY + c.KEY_ID])
        if key_id == bytes(c.KEY_ID):
            if policy.commands != OFF and not self._local:
                raise HsxError(EACCES, "begin", "command is not signed")
            return FACTORY
        key, role = policy.trusted(key_id)
        if role < _NEEDS[command[4]]:
            raise HsxError(EACCES, "begin", "the key's role does not reach")
        if c.counter(command) <= self._counter(key):
            raise HsxError(EPERM, "begin", "command was seen before")
        message = c.CONTEXT + bytes(command[: c.BODY])
        if not policy.good(key, message, bytes(command[c.BODY :])):
            raise HsxError(EACCES, "begin", "signature is not the command's")
        return role

    def consume(self, command: "bytes | memoryview") -> None:
        """From now on the command, and any older one by its key, is refused (C1): to be called
        before it acts, after `judge`. EPERM if it was seen since; the medium's errors."""
        key_id = bytes(command[c.AT_KEY : c.AT_KEY + c.KEY_ID])
        if key_id != bytes(c.KEY_ID):
            key, _ = self._loads.policy.trusted(key_id)
            counters = self._counters()
            try:
                counters.advance(_id(key), c.counter(command))
            except HsxError as error:
                if error.errno != ENOENT:
                    raise
                counters.enrol(_id(key), c.counter(command))  # its first command

    def perform(self, command: "bytes | memoryview") -> "int | None":
        """Judges a command that no stream follows, and does what it says; the result of a CALL.
        ACTIVATE and ROLLBACK go on in polls. Raises as `judge` and as what it asks for; EBUSY
        while another change of the set waits. A refusal is told as a warning."""
        try:
            return self._perform(command)
        except OSError as error:
            data = {"source": "command", "code": name(error.errno)}
            data["detail"] = getattr(error, "detail", "error of the medium")
            self._loads.tell_refusal("warning", data)
            raise

    def _perform(self, command: "bytes | memoryview") -> "int | None":
        role = self.judge(command)
        loads = self._loads
        action = command[4]
        acts_on = bytes(command[c.AT_OBJECT : c.BODY])
        pid, oid, bits = struct.unpack_from("<BxHH", acts_on)
        if action in (c.LOAD, c.STAGE):
            raise HsxError(EBADMSG, "begin", "command has no stream")
        self._check(action, acts_on)
        self.consume(command)
        if action == c.SET:
            loads.node.set_value(pid, oid, bits, role)
        elif action == c.CALL:
            token = acts_on[4:].rstrip(b"\0")
            return loads.node.call(pid, oid, str(token, "utf-8") if token else None, role)
        elif action == c.KILL:
            loads.kill(pid)
        elif action == c.RESET:
            loads.reset_later(bool(pid))
        elif action == c.ABORT:
            loads.cancel()
        else:
            keeper = loads.keeper()
            if action == c.CONFIRM:
                keeper.confirm(struct.unpack_from("<I", acts_on, _DIGEST)[0])
            elif action == c.ACTIVATE:
                loads.work.change(keeper.activate())
            else:
                loads.work.change(keeper.rollback())
        return None

    def _check(self, action: int, acts_on: bytes) -> None:
        """Whether a command about sets speaks of the ones that are here."""
        if not c.ACTIVATE <= action <= c.ROLLBACK:
            if action == c.CALL:
                try:
                    str(acts_on[4:], "utf-8")
                except UnicodeError:
                    raise HsxError(EBADMSG, "begin", "token is no UTF-8")
            return
        keeper = self._loads.keeper()
        self._loads.work.ask()
        if action == c.ACTIVATE:
            self._loads.require_no_transfer()
        digest = acts_on[:_DIGEST]
        if action == c.ROLLBACK and digest == bytes(_DIGEST):
            return
        if digest != keeper.digest_for(action):
            raise HsxError(ENOENT, "begin", "command is about another set")

    def _counter(self, key: bytes) -> int:
        try:
            return self._counters().value(_id(key))
        except HsxError as error:
            if error.errno != ENOENT:
                raise
        return 0

    def _counters(self) -> "Counters":
        store = self._loads.policy.store
        if store is None:
            raise HsxError(ENODEV, "begin", "no store keeps counters of commands")
        return store.counters


def _id(key: bytes) -> bytes:
    """What the counter of a public key stands under (docs/fram_layout.md)."""
    return hashlib.sha256(key).digest()[:_ID]
