# SPDX-License-Identifier: MIT
"""Does with nodes what a roll-out decides, and keeps what came of it."""

import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from hsx.errors import ETIMEDOUT
from hsx.link import command as c
from hsx.node.float16 import to_float

from .. import clock, sending
from ..bank_image import BankImage
from ..errors import NO_NODE, ToolError
from ..reach import Reach
from . import rollout as r
from .record import Record

_ROUND = 1.0  # seconds between looks at nodes on watch
_BACK = 15.0  # seconds that a node may take to go back
_NO_DIGEST = bytes(16)


class Work:
    """With the nodes of `reach` and the set `sent`. `expect`: values, with the range of each."""

    def __init__(
        self, reach: Reach, sent: BankImage, expect: list[tuple[str, float, float]]
    ) -> None:
        self._reach = reach
        self._sent = sent
        self._expect = expect

    def do(self, step: r.Step, rollout: r.Rollout) -> Iterator[tuple[int, r.Event]]:
        """What comes of it at each node. ToolError where the link is lost, or another master has
        it: for a while nothing can be known."""
        if step.kind == r.SEND:
            yield from self._send(list(step.nodes))
        elif step.kind == r.WATCH:
            for node in step.nodes:
                yield node, self._look(node, watch=True)
            clock.sleep(_ROUND)
        else:
            for node in step.nodes:
                if step.kind == r.CONFIRM:
                    yield node, self._confirm(node)
                elif step.kind == r.UNDO:
                    yield node, self._undo(node, rollout.nodes[node].before)
                else:
                    yield node, self._look(node)
            if any(rollout.nodes[node].state == r.UNSURE for node in step.nodes):
                clock.sleep(_ROUND)

    def _send(self, nodes: list[int]) -> Iterator[tuple[int, r.Event]]:
        reach = self._reach
        results, _ = sending.send(reach, nodes, self._sent, c.STAGE, c.FLAG_ACTIVATE)
        for node, errno in sorted(results.items()):
            if not errno:
                yield node, r.Done()
                continue
            refusal = reach.refused(node, "push", reach.reason(node, errno))
            yield node, r.Trouble(refusal.what, answered=errno != ETIMEDOUT)

    def _look(self, node: int, watch: bool = False) -> r.Event:
        try:
            return self._seen(node, watch)
        except ToolError as error:
            return _trouble(error)

    def _seen(self, node: int, watch: bool) -> r.Seen:
        new = self._sent.digest
        slots = self._reach.rows(node, "slots")
        gave_up = any(slot["digest"] == new and slot["state"] == "reverted" for slot in slots)
        digest, state, images = "", "none", []
        for number, slot in enumerate(slots):
            if slot["active"]:
                digest, state = slot["digest"].hex(), slot["state"]
                if slot["images"] and not watch:
                    images = self._reach.rows(node, "images", number)
        trouble, is_fault = "", False
        if watch and digest == new.hex():
            trouble, is_fault = self._trouble(node)
        may_yet = False
        if not watch and digest != new.hex():
            status = self._reach.ask(node, "status")
            may_yet = bool(status.get("changing")) or status["digest"] == new
        told = tuple({**row, "sha256": row.get("sha256", b"").hex()} for row in images)
        return r.Seen(digest, state, gave_up, trouble, is_fault, told, may_yet)

    def _trouble(self, node: int) -> tuple[str, bool]:
        """What is wrong with the set that runs, and whether it is a fault."""
        tasks = self._reach.rows(node, "ps")
        for task in tasks:
            if task["state"] == "faulted":
                return f"{task['app_name']} has faulted: {task['stop']}", True
        there = {task["app_name_base"] for task in tasks}
        for image in self._sent.images:
            if image.name not in there:
                return f"{image.name} does not run", False
        values = self._reach.rows(node, "values") if self._expect else []
        for name, low, high in self._expect:
            found = [to_float(row["bits"]) for row in values if row["name"] == name]
            if not found:
                return f"there is no value {name}", False
            if not low <= found[0] <= high:
                return f"{name} is {found[0]:g}, not {low:g} to {high:g}", False
        return "", False

    def _confirm(self, node: int) -> r.Event:
        try:
            acts_on = self._sent.digest + struct.pack("<I", 0)
            self._reach.command(node, "confirm", c.CONFIRM, acts_on)
        except ToolError as error:
            seen = self._look(node)
            if not isinstance(seen, r.Seen) or seen.state != "confirmed":
                return _trouble(error)
        return r.Done()

    def _undo(self, node: int, before: str) -> r.Event:
        """What runs after it; a node that does not run the set is left as it is."""
        seen = self._look(node)
        if not isinstance(seen, r.Seen) or seen.digest != self._sent.digest.hex():
            return seen
        try:
            acts_on = bytes.fromhex(before) or _NO_DIGEST
            self._reach.command(node, "rollback", c.ROLLBACK, acts_on)
        except ToolError as error:
            return _trouble(error)
        end = clock.monotonic() + clock.patient(_BACK)
        while isinstance(seen, r.Seen) and seen.digest != before and clock.monotonic() < end:
            clock.sleep(0.1)
            seen = self._look(node)
        return seen


def carry_out(
    record: Record,
    do: Callable[[r.Step, r.Rollout], Iterator[tuple[int, r.Event]]],
    note: Callable[[int, r.Node], Any],
    now: Callable[[], float] = time.time,
) -> None:
    """Until the roll-out is over. It is in its file before anything is done, and after all that
    happens; `note(number, node)` hears of each change."""
    rollout = record.rollout
    while True:
        step = r.next_step(rollout)
        if step.kind == r.OVER:
            record.save(now())
            return
        r.began(rollout, step)
        record.save(now())
        for number, event in do(step, rollout):
            before = rollout.nodes[number].state
            r.happened(rollout, number, event, now())
            record.save(now())
            if rollout.nodes[number].state != before:
                note(number, rollout.nodes[number])


def _trouble(error: ToolError) -> r.Trouble:
    return r.Trouble(error.what, answered=error.status != NO_NODE)
