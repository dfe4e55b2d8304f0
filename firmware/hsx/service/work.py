# SPDX-License-Identifier: MIT
"""Work: the one owner of what changes the running set, the banks and the superblock.

At most one piece of work is under way. It is a generator that polls carry on, one bounded step at
a time; what happens between two of its steps may be anything but another change: whoever wants one
asks here first, and is refused with EBUSY. No exception leaves a piece of work unfinished.
"""

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any


class Change:
    """A piece of work. Once `done`, `result` is what its generator has returned, and `failure()`
    what it has raised. `awaited`: somebody waits and takes the error."""

    def __init__(self, steps: "Iterator[None]", awaited: bool = False) -> None:
        self._steps = steps
        self.awaited = awaited
        self.done = False
        self.inside = False  # a step is being taken: what it calls belongs to the work
        self.result: "Any" = None
        self._error: "Exception | None" = None

    def step(self) -> bool:
        """Takes the next step; True while there are more. It raises nothing, and takes no heap to
        end: the heap may be full."""
        if self.done:
            return False
        try:
            next(self._steps)
            return True
        except StopIteration as end:
            self.result = end.value
        except Exception as error:  # noqa: BLE001  whatever it is, the work is over
            self._error = error
        self.done = True
        return False

    def failure(self) -> "Exception | None":
        """The exception that has ended it, ENOSPC in the place of a MemoryError, or None."""
        if isinstance(self._error, MemoryError):
            return errors.heap_full("write")
        return self._error


class Work:
    """Holds the piece of work that is under way on a node, if there is one.

    `wrapper.around(steps)` gives the steps of a change of the set, with what has to follow them;
    the runtime puts it in."""

    # Class attributes: an instance spends heap on those that it changes.
    _change: "Change | None" = None
    wrapper: "Any" = None

    def is_busy(self) -> bool:
        """Whether a piece of work is under way."""
        return self._change is not None

    def is_awaited(self) -> bool:
        """Whether somebody still waits for the piece of work that is under way."""
        return self._change is not None and self._change.awaited

    def ask(self) -> None:
        """To be called before anything changes. EBUSY while a piece of work is under way that the
        caller is no part of."""
        if self._change is not None and not self._change.inside:
            self._refuse()

    def begin(self, steps: "Iterator[None]", awaited: bool = False) -> Change:
        """Has polls take these steps. EBUSY while another piece of work is under way."""
        if self._change is not None:
            self._refuse()
        change = Change(steps, awaited)
        self._change = change
        return change

    def change(self, steps: "Generator[None, None, bool]", awaited: bool = False) -> Change:
        """The same, for steps that change the set that runs."""
        if self.wrapper is not None:
            steps = self.wrapper.around(steps)
        return self.begin(steps, awaited)

    def step(self) -> "Change | None":
        """Takes one step; the piece of work if that was its last one."""
        change = self._change
        if change is None:
            return None
        change.inside = True
        more = change.step()
        change.inside = False
        if more:
            return None
        self._change = None
        return change

    def _refuse(self) -> None:
        raise errors.HsxError(errors.EBUSY, "begin", "the set that runs is being changed")
