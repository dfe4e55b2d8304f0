# SPDX-License-Identifier: MIT
"""HSX node: what a person types at the REPL. Everything else is loaded when it is needed.

>>> import hsx
>>> hsx.ps()                      what runs
>>> hsx.load("/sd/blink.hxe")     load and start an image
>>> hsx.kill(2)                   end a task and give its memory back
>>> hsx.info("/sd/blink.hxe")     what is in an image, without loading it
>>> hsx.log()                     what happened last
>>> hsx.run()                     the node alone until Ctrl-C
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .boot.runtime import Runtime
    from .console import Rows

_kept: "list[Runtime]" = []  # the running node, once the boot code has made it


def attach(runtime: "Runtime") -> None:
    """Makes `runtime` the one that the calls below speak to (the boot code's business)."""
    _kept[:] = [runtime]


def runtime() -> "Runtime":
    """The running node. Raises ENODEV if the boot code made none."""
    if not _kept:
        from .errors import ENODEV, HsxError

        raise HsxError(ENODEV, "boot", "no node runs: see the boot log")
    return _kept[0]


def ps() -> "Rows":
    """Prints the task table and returns it: a dict a task, keys as in node.node.Node.ps()."""
    from . import console
    from .boot import lock

    rows = lock.run(runtime().node.ps)
    console.print_tasks(rows)
    return console.Rows(rows)


def load(path: str, **options: "Any") -> int:
    """Loads an image file, starts it and returns its PID. `options`: priority (0 to 255), quantum
    (instructions), stack (bytes), sha256 (32 bytes). Raises HsxError, and OSError for the file."""
    return runtime().load(path, **options)


def kill(pid: int) -> None:
    """Ends a task; memory, PID and name are free again. Raises ESRCH, EBUSY."""
    from .boot import lock

    lock.run(runtime().node.kill, pid)


def info(path: str) -> "dict[str, Any]":
    """Checks an image file, prints what is in it and returns it. Raises EBADMSG for a bad one."""
    from . import console
    from .image.verify import verify

    with open(path, "rb") as file:
        header, metadata, length = verify(file.readinto, memoryview(bytearray(256)))
    facts = console.image_info(header, metadata, length)
    console.print_image(facts)
    return facts


def log(count: int = 20) -> "Rows":
    """Prints the last `count` events and returns them: tuples (seq, ts, type, pid, data)."""
    from . import console
    from .boot import lock

    events = runtime().events
    rows = lock.run(events.since, max(0, events.seq - count))
    console.print_events(rows)
    return console.Rows(rows)


def run() -> None:
    """Runs the node in this loop instead of the timer, until Ctrl-C."""
    runtime().run()
