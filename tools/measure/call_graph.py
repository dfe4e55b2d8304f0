# SPDX-License-Identifier: MIT
"""How deep the stack gets, from the call graphs that gcc writes (-fcallgraph-info=su)."""

import re
from collections.abc import Iterable
from pathlib import Path

_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "[^"]*?(?:\\n(\d+) bytes \((\w+)[^"]*)?"')
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')


class CallGraph:
    """The functions of some compiled files. `frames`: bytes of each one's own frame."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.frames: dict[str, int] = {}
        self._calls: dict[str, set[str]] = {}
        for file in files:
            for line in file.read_text().splitlines():
                node, edge = _NODE.match(line), _EDGE.match(line)
                if node and node[2]:
                    if node[3] != "static":
                        raise ValueError(f"{node[1]}: the frame is {node[3]}, not fixed")
                    self.frames[node[1]] = int(node[2])
                if edge:
                    self._calls.setdefault(edge[1], set()).add(edge[2])

    def deepest(self, function: str, above: tuple[str, ...] = ()) -> list[str]:
        """The chain of calls from `function` on that takes most stack. What has no frame here
        (a compiler's own routine) counts as 0. ValueError for recursion."""
        if function in above:
            raise ValueError(f"{function} calls itself")
        chains = [
            self.deepest(callee, (*above, function)) for callee in self._calls.get(function, ())
        ]
        return [function, *max(chains, key=self.depth, default=[])]

    def depth(self, chain: list[str]) -> int:
        """Bytes of stack that a chain of calls takes."""
        return sum(self.frames.get(function, 0) for function in chain)

    def unknown(self, roots: Iterable[str] | None = None) -> list[str]:
        """Functions that are called and have no frame here: by `roots`, directly or through one
        another, or by any."""
        found: set[str] = set()
        looking = list(self._calls if roots is None else roots)
        while looking:
            callees = self._calls.get(looking.pop(), set()) - found
            found |= callees
            looking += callees
        return sorted(found - set(self.frames))
