# SPDX-License-Identifier: MIT
"""Checks of updates. Those that lose what the board keeps need --erase."""

import contextlib
from typing import Any

from hsx.link import command as c
from hsxctl.bank_image import BankImage

from .desk import Desk, Node, app, bank
from .repl import returned
from .report import Failed, Figures, Skip

_BIG = 12_000  # bytes of a set that is staged


class _Enough(Exception):
    """A push has come as far as it should."""


def erase(desk: Desk) -> Figures:
    """Makes an empty store."""
    desk.needs_erase()
    with desk.repl() as repl:
        repl.run("hsx.format('erase everything')")
        return {"store": repl.value("lock.run(hsx.runtime().provisioning.status)['state']")}


def cycle(desk: Desk, kind: str) -> Figures:
    """Stages, activates and confirms a set, then another one, and rolls back to the first."""
    desk.needs_erase()
    with desk.node(kind) as node:
        size = node.size(16384) // 4
        names = [f"{kind}{number}" for number in range(4)]
        first = bank(app(names[0], size), app(names[1], size // 2))
        second = bank(app(names[2], size), app(names[3], size // 2))
        paces = [node.push(first, activate=False)]
        node.command(c.ACTIVATE, first.digest)
        node.runs(*names[:2])
        node.command(c.CONFIRM, first.digest)
        paces.append(node.push(second, activate=True))
        node.runs(*names[2:])
        node.command(c.ROLLBACK)
        node.runs(*names[:2])
        (active,) = (slot for slot in node.rows("slots") if slot["active"])
    found = {"bytes": len(first.data), "bytes a second": round(sum(paces) / 2)}
    if active["state"] != "confirmed" or active["digest"] != first.digest:
        raise Failed(f"after a rollback the store says {active['state']}", figures=found)
    return found


def resumed(desk: Desk) -> Figures:
    """Resets the board by its REPL in the middle of a staging; the push goes on where it was."""
    desk.needs("REPL", "UART")
    tries = desk.tries(5, 1)
    kept = []
    for number in range(tries):
        sent = bank(app(f"half{number}", _BIG))  # another one each time
        with desk.node("UART") as node:
            _may_stage(desk, node.request("status"), node.rows("slots"))

            with contextlib.suppress(_Enough):
                node.push(sent, activate=False, progress=_half)
            with desk.repl() as repl:
                repl.leave("machine.reset()")
        with returned(str(desk.port["REPL"])):
            pass
        with desk.node("UART") as node:
            kept.append(_rest(node, sent))
            node.command(c.ABORT)
    found = {"resets": tries, "bytes": len(sent.data), "kept over a reset": kept}
    if min(kept) == 0:
        raise Failed("a reset has cost what was staged", "Send this report.", found)
    return found


def _may_stage(desk: Desk, status: Figures, slots: list[Any]) -> None:
    """Skip: a staging would lose a set that can still be gone back to, or one that waits."""
    if status["state"] == "trial":
        raise Skip("a set is on trial, which resets count against: confirm it first")
    if not desk.erase and status["total"]:
        raise Skip("a staged set waits: activate or abort it first")
    if not desk.erase and any(s["state"] == "confirmed" and not s["active"] for s in slots):
        raise Skip("it loses the set before this one: ERASE=yes allows it")


def _half(node: int, done: int, total: int) -> None:
    if done > total // 2:
        raise _Enough


def _rest(node: Node, sent: BankImage) -> int:
    """Sends what the node lacks of a set; the bytes that it had."""
    had: list[int] = []
    node.push(sent, activate=False, progress=lambda number, done, total: had.append(done))
    return had[0]
