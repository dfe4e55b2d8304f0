# SPDX-License-Identifier: MIT
"""The one lock: node state changes only in the interpreter's scheduler context.

MicroPython runs scheduled callbacks one at a time, never inside one another, and raises no
KeyboardInterrupt while one runs: it waits until the callback is over (`py/scheduler.c`; the
bytecode loop looks at pending exceptions only when the scheduler is unlocked). Polls come from a
soft timer, which is such a callback. A call from the REPL is made one here. So a poll and a REPL
call can't meet, and Ctrl-C never tears node state; it is raised in the caller as soon as the step
is over.
"""

from micropython import schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Job:
    def __init__(self, call: "Callable[..., Any]", args: "tuple[Any, ...]") -> None:
        self.work: "tuple[Callable[..., Any], tuple[Any, ...]] | None" = (call, args)
        self.result: "Any" = None
        self.error: "Exception | None" = None


def _work(job: "_Job") -> None:
    assert job.work is not None  # a job is scheduled once
    call, args = job.work
    try:
        job.result = call(*args)
    except Exception as error:  # noqa: BLE001  it belongs to the caller, who gets it from run()
        job.error = error
    finally:
        # The scheduler's queue keeps the job until its place is used again; what it held may go.
        job.work = None


def run(call: "Callable[..., Any]", *args: "Any") -> "Any":
    """`call(*args)` under the lock: its result or its exception, ENOSPC in the place of a
    MemoryError.

    For bounded steps, from the main program only (inside a callback it would wait for itself). A
    KeyboardInterrupt leaves the step whole: done, or about to be."""
    job = _Job(call, args)
    while True:
        try:
            schedule(_work, job)
            break
        except RuntimeError:  # queue full: the loop lets pending callbacks run
            pass
    while job.work is not None:
        pass
    result, error = job.result, job.error
    job.result = job.error = None
    if isinstance(error, MemoryError):
        from ..errors import heap_full

        raise heap_full("begin")
    if error is not None:
        raise error
    return result
