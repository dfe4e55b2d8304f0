# SPDX-License-Identifier: MIT
"""Job: work that takes longer than one poll may, cut into steps."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Job:
    """`steps`: a generator; each step is bounded. What it returns is `result`, what it raises
    `error`, once `done`. `awaited`: somebody waits and takes the error."""

    def __init__(self, steps: "Iterator[None]", awaited: bool = False) -> None:
        self._steps = steps
        self.awaited = awaited
        self.done = False
        self.result: "Any" = None
        self.error: "OSError | None" = None

    def step(self) -> bool:
        """Takes the next step; True while there is more to do."""
        if self.done:
            return False
        try:
            next(self._steps)
            return True
        except StopIteration as end:
            self.result = end.value
        except OSError as error:
            self.error = error
        self.done = True
        return False
