# SPDX-License-Identifier: MIT
"""SetTasks: the tasks that run a set of images from a bank, loaded all or none."""

from ..node import tasks as t
from ..store.bank import FIXED_PID, GRANTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..store.bank import BankReader
    from .loads import Loads
    from .session import Session


class SetTasks:
    """`loads` loads them; `chunk`: the buffer that it takes."""

    def __init__(self, loads: "Loads", chunk: "memoryview") -> None:
        self._loads = loads
        self._node = loads.node
        self._chunk = chunk
        self._tasks: "list[t.Task]" = []

    def load(self, reader: "BankReader", where: str) -> "Iterator[None]":
        """Loads every image of an open bank in place of the set that ran, one chunk a step, each
        checked as it streams by (R9). `where` goes before the names in `ps`. What an image
        raises goes on when all have been given back; ENOSPC stands for a MemoryError."""
        self.stop()
        session = None
        try:
            for index in range(reader.count):
                image = reader.image(index)
                self._make_room(image.name)
                session = self._loads.begin(
                    where + image.name,
                    image.length,
                    label=image.name,
                    priority=image.priority,
                    quantum=image.quantum,
                    stack=image.stack,
                    heap=image.heap,
                    sha256=image.sha256,
                    pid=image.pid,
                    fixed_pid=bool(image.flags & FIXED_PID),
                    grants=image.flags & GRANTS,
                )
                readinto = reader.source(index).readinto
                while session.step(readinto, self._chunk):
                    yield
                self._tasks.append(self._node.tasks.find(session.pid))
        except MemoryError:
            self._give_up(session)  # first: it gives heap back
            from ..errors import heap_full

            raise heap_full("write")
        except BaseException:
            self._give_up(session)
            raise

    def start(self) -> None:
        """Starts what `load` has loaded and nothing has ended since."""
        for task in self._tasks:
            if task in self._node.tasks.order:
                self._node.start(task.pid)

    def stop(self) -> None:
        """Ends the tasks, last loaded first; who must not disturb a debugger asks `locked`."""
        while self._tasks:
            task = self._tasks.pop()
            if task in self._node.tasks.order:
                task.locked = False
                self._node.kill(task.pid)

    def runs(self) -> bool:
        """Whether there are any."""
        return len(self._tasks) > 0

    def locked(self) -> int:
        """The PID of a task that is under debug (P-45), 0 if none is."""
        for task in self._tasks:
            if task.locked:
                return task.pid
        return 0

    def faulted(self) -> "t.Task | None":
        """The first of the tasks that was parked by an error."""
        for task in self._tasks:
            if task.state == t.FAULTED:
                return task
        return None

    def _give_up(self, session: "Session | None") -> None:
        if session is not None:
            session.abort()
        self.stop()

    def _make_room(self, app: str) -> None:
        """The set's app takes the place of the same one from elsewhere."""
        for task in list(self._node.tasks.order):
            if task.app == app and task not in self._tasks:
                task.locked = False
                if task.state == t.LOADING:
                    self._loads.abort(task.pid)
                else:
                    self._node.kill(task.pid)
