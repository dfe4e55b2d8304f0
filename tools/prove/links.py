# SPDX-License-Identifier: MIT
"""Checks of the lines: questions, and a load into memory, over each."""

import time

from hsxctl import clock

from .desk import Desk, app
from .report import Failed, Figures, Skip

LOADED = 8192  # bytes, of what is sent into memory
_SLOW = 500.0  # ms that an answer may take


def questions(desk: Desk, kind: str) -> Figures:
    """Asks often, and measures how long an answer takes."""
    with desk.node(kind) as node:
        hello = node.request("hello")
        times = []
        for _ in range(desk.tries(200, 20)):
            began = time.monotonic()
            node.request("status" if hello["active"] else "hello")
            times.append((time.monotonic() - began) * 1000)
    found = {
        "board": hello["board"],
        "node": node.number,
        "questions": len(times),
        "ms, least": round(min(times), 1),
        "ms, mean": round(sum(times) / len(times), 1),
        "ms, most": round(max(times), 1),
    }
    if found["ms, mean"] > clock.patient(_SLOW):
        raise Failed(
            "answers are late: questions had to be asked again",
            "Check the ground between board and adapter, and the baud or bit rate.",
            found,
        )
    return found


def load(desk: Desk, kind: str) -> Figures:
    """Sends an image into memory, some times, and ends it again: nothing is stored."""
    with desk.node(kind) as node:
        if any(row["app_name_base"] == "prove" for row in node.rows("ps")):
            raise Skip("an app of the name 'prove' runs already")
        image = app("prove", node.size(LOADED))
        paces = [node.load(image) for _ in range(desk.tries(5, 1))]
    return {
        "bytes": len(image),
        "bytes a second": round(sum(paces) / len(paces)),
        "slowest": round(min(paces)),
    }
