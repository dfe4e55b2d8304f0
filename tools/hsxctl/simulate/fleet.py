# SPDX-License-Identifier: MIT
"""The nodes of a bench bus: processes with a number, a unique id and a FRAM file of their own.

What a node keeps is in its file, so that one that was killed and started again goes on where it
was. A file that is not there yet is made, with an empty store in it.
"""

import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hsx.link import can_framing as can
from hsx.link.can_messages import short_id
from hsx.store.file_region import FileRegion
from hsx.store.store import CONFIRMATION, Store

from ..errors import USAGE, ToolError
from .bench import Bench, NodePort, Port
from .qemu import FRAM_SIZE, QemuNode
from .unix import UnixNode

MOST = 126  # numbers there are
M4, UNIX = "m4", "unix"

_LEAVE = 2.0  # seconds in which nodes end by themselves


class Member:
    """One node of the fleet, on or off."""

    def __init__(self, number: int, kind: str, folder: Path) -> None:
        self.number = number
        self.kind = kind
        self.name = f"node {number}"
        self.uid = f"node{number}"
        self.fram = folder / f"node-{number}.fram"
        self.log = folder / f"node-{number}.log"
        self.node: UnixNode | QemuNode | None = None
        self.port: NodePort | None = None

    @property
    def state(self) -> str:
        """off; starting, until it is on the bus; on."""
        if self.node is None or self.port is None:
            return "off"
        return "on" if self.port.is_open else "starting"

    def facts(self) -> dict[str, Any]:
        """What there is to know of it."""
        facts: dict[str, Any] = {"node": self.number, "kind": self.kind, "state": self.state}
        if self.node is not None:
            facts["pid"] = self.node.pid
        return {**facts, "uid": self.uid, "fram": str(self.fram), "log": str(self.log)}


class Fleet:
    """Nodes 1 to `count` on a bench, the last `m4` of them in QEMU. `programs`: what each kind is
    started from. `asks`: unix nodes without a set ask the master of the bus for one. ToolError: a
    program is missing, or a machine does not start."""

    def __init__(
        self,
        bench: Bench,
        count: int,
        m4: int,
        programs: dict[str, Path],
        folder: Path,
        asks: bool = True,
    ) -> None:
        self.bench = bench
        self.members = {
            n: Member(n, M4 if n > count - m4 else UNIX, folder) for n in range(1, count + 1)
        }
        self._programs = programs
        self._asks = asks
        bench.gone = self._gone
        self.ended: list[int] = []  # nodes that have ended by themselves, not yet told
        try:
            for number in self.members:
                self.start(number)
        except BaseException:
            self.close()
            raise

    def member(self, number: int) -> Member:
        """ToolError: there is none."""
        if number not in self.members:
            raise ToolError(f"there is no node {number}", "", "See 'nodes'.", USAGE)
        return self.members[number]

    def start(self, number: int) -> None:
        """Switches a node on. Does nothing to one that is on."""
        member = self.member(number)
        if member.node is not None:
            return
        if not member.fram.exists():
            _make(member.fram)
        ours, theirs = socket.socketpair()
        program = self._programs[member.kind]
        try:
            if member.kind == M4:
                member.node = QemuNode(program, fram=member.fram, uart3=theirs, uid=member.uid)
            else:
                member.node = UnixNode(
                    program,
                    fram=member.fram,
                    bus=theirs,
                    uid=member.uid,
                    number=number,
                    log=member.log,
                    asks=self._asks,
                )
        except BaseException:
            ours.close()
            theirs.close()
            raise
        greeting = None
        if member.kind == M4:  # a machine has no number of its own
            data = bytes([number, can.NUMBER]) + short_id(member.uid.encode())
            greeting = (can.ident(can.LOAD, can.MASTER), data)
        member.port = self.bench.add_node(ours, member.name, greeting)

    def kill(self, number: int) -> None:
        """Cuts a node's power: it gets to finish nothing. Does nothing to one that is off."""
        member = self.member(number)
        node, port = member.node, member.port
        member.node = member.port = None
        if isinstance(node, QemuNode):
            _keep_log(member, node)
            node.kill()
        elif node is not None:
            node.close()
        if port is not None:
            self.bench.drop(port)

    def are_on(self, numbers: Iterable[int]) -> bool:
        """Whether all of these are on the bus."""
        return all(self.members[number].state == "on" for number in numbers)

    def close(self) -> None:
        """Ends all nodes: each stops its apps in order if it can within two seconds."""
        self.bench.gone = lambda port: None
        for member in self.members.values():
            if member.port is not None:
                self.bench.drop(member.port)
                member.port = None
        end = time.monotonic() + _LEAVE
        for member in self.members.values():
            node = member.node
            member.node = None
            if isinstance(node, UnixNode):
                node.wait(max(0.0, end - time.monotonic()))
            elif node is not None:
                _keep_log(member, node)
            if node is not None:
                node.close()

    def _gone(self, port: Port) -> None:
        for member in self.members.values():
            if member.port is port:
                member.port = None
                self.kill(member.number)
                self.ended.append(member.number)


def _make(path: Path) -> None:
    region = FileRegion(str(path), FRAM_SIZE)
    try:
        store = Store(region)
        store.open()
        store.format(CONFIRMATION)
    finally:
        region.close()


def _keep_log(member: Member, node: QemuNode) -> None:
    with open(member.log, "ab") as log:
        log.write(node.console_log)
