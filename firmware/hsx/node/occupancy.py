# SPDX-License-Identifier: MIT
"""How full the node is: a warning at 80 % of what there is of a thing, its end at 70 % (P-93)."""

from micropython import const

from .. import ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Emit
    from .node import Node

_WARN = const(80)  # percent
_CLEAR = const(70)
_PERIOD = const(1000)  # ms between two looks

_SOURCES = ("memory", "pids", "values", "commands", "mailboxes", "saved_values")


class Occupancy:
    """Looks at `node`, whose pool is still empty and which has `tasks` PIDs. `emit` gets a
    `warning` with `source`, one of the names above, `reason` occupancy, `percent`, and `state`
    "high" or "over"."""

    def __init__(self, node: "Node", emit: "Emit", tasks: int) -> None:
        self._node = node
        self._emit = emit
        self._pool = node.vm.free()
        self._tasks = tasks
        self._high = 0  # bits: of which sources that was told
        self._due = 0  # tick of the next look

    def poll(self, now: int) -> None:
        """Looks, if a second has gone by. Allocates nothing while there is nothing to tell."""
        if ticks.reached(now, self._due):
            self._due = ticks.add(now, _PERIOD)
            for source in range(len(_SOURCES)):
                self._judge(source, self.percent(source))

    def percent(self, source: int) -> int:
        """How full the source of this number is; 0 for what the node has none of yet."""
        node = self._node
        if source == 0:
            return 100 - 100 * node.vm.free() // self._pool
        if source == 1:
            return 100 * len(node.tasks.order) // self._tasks
        if source == 2:
            return node.values.occupancy()
        if source == 3:
            return 0 if node.commands is None else node.commands.occupancy()
        if source == 4:
            return 0 if node.mailboxes is None else node.mailboxes.occupancy()
        return 0 if node.saved is None else node.saved.occupancy()

    def _judge(self, source: int, percent: int) -> None:
        bit = 1 << source
        if percent >= _WARN and not self._high & bit:
            state = "high"
        elif percent <= _CLEAR and self._high & bit:
            state = "over"
        else:
            return
        self._high ^= bit
        data = {"source": _SOURCES[source], "reason": "occupancy", "percent": percent}
        data["state"] = state
        self._emit("warning", 0, data)
