# SPDX-License-Identifier: MIT
"""What became of a change of the set that runs: a node answers when it has begun one, and starts
the apps in the polls that follow."""

from typing import Any

from . import clock
from .errors import NO_NODE, REFUSED, ToolError
from .reach import Reach

_PATIENCE = 120.0  # seconds: a bank of 500 KB behind a slow FRAM takes half a minute
_ROUND = 0.05  # seconds between two looks


def settled(reach: Reach, node: int) -> dict[str, Any]:
    """The node's status, once no change is under way. ToolError: it takes too long, refused."""
    end = clock.monotonic() + clock.patient(_PATIENCE)
    while True:
        status = reach.ask(node, "status")
        if not status.get("changing"):  # an older node does not say so
            return status
        if clock.monotonic() >= end:
            raise ToolError(
                "the node is still changing its set",
                reach.where(node),
                "'hsxctl status' says when it is through.",
                NO_NODE,
            )
        clock.sleep(_ROUND)


def running(reach: Reach, node: int, digest: bytes) -> dict[str, Any]:
    """The slot of a set that was to run, once it does. ToolError: it does not, and why."""
    status = settled(reach, node)
    slots = reach.rows(node, "slots")
    for slot in slots:
        if slot["active"] and slot["digest"] == digest and status.get("runs", True):
            return slot
    left = [slot for slot in slots if slot["active"]]
    now = f"bank {left[0]['bank']} is active" if left else "no set is active"
    why = _why(reach, node)
    raise ToolError(
        f"the set does not run: {why}; {now}" if why else f"the set does not run; {now}",
        reach.where(node),
        "'hsxctl log' tells what happened.",
        REFUSED,
        {"node": node, "digest": digest.hex(), "reason": why},
    )


def _why(reach: Reach, node: int) -> str:
    """The newest reasons that the node's log has."""
    found = {"provisioning.error": "", "provisioning.rollback": ""}
    for kind, data in reach.latest(node):
        if kind == "provisioning.error":
            found[kind] = f"{data['code']}: {data['detail']}"
        elif kind in found:
            found[kind] = data["reason"]
    return ", ".join(text for text in found.values() if text)
