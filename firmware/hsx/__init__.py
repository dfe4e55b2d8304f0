# SPDX-License-Identifier: MIT
"""HSX node: what a person types at the REPL. Everything else is loaded when it is needed.

>>> import hsx
>>> hsx.ps()                      what runs
>>> hsx.load("/sd/blink.hxe")     load and start an image
>>> hsx.kill(2)                   end a task and give its memory back
>>> hsx.info("/sd/blink.hxe")     what is in an image, without loading it
>>> hsx.log()                     what happened last
>>> hsx.values()                  the apps' values
>>> hsx.set(2, 257, 21.5)         set one: PID, OID, number
>>> hsx.commands()                what the apps can be asked to do
>>> hsx.call(2, 272)              ask: PID, OID
>>> hsx.boot_report()             what the last boot tried, and why not
>>> hsx.safe_mode()               reset, and start nothing
>>> hsx.run()                     the node alone until Ctrl-C
>>> hsx.start(), hsx.poll()       on stock firmware: start the node; a turn without a timer

>>> hsx.persist("/sd/blink.hxe")  stage an image for the set that the node keeps
>>> hsx.activate()                run the staged set, on trial
>>> hsx.confirm()                 the set on trial is good
>>> hsx.rollback()                back to the set before
>>> hsx.status(), hsx.slots()     what the store says, what is in its banks
>>> hsx.format()                  make the store, or say what that would erase
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
    """Loads an image file, starts it and returns its PID. `options`: replace (True: in the place
    of the app of the same name), pid (the wanted one), priority (0 to 255), quantum
    (instructions), stack, heap (bytes), sha256 (32 bytes: of the file). Raises HsxError, and
    OSError for the file."""
    return runtime().load(path, **options)


def kill(pid: int) -> None:
    """Ends a task; memory, PID and name are free again. Raises ESRCH, EBUSY."""
    from .boot import lock

    lock.run(runtime().service.kill, pid)


def info(path: str) -> "dict[str, Any]":
    """Checks an image file, prints what is in it and returns it. Raises EBADMSG for a bad one."""
    from . import console
    from .image.verify import verify

    with open(path, "rb") as file:
        header, metadata, length = verify(file.readinto, memoryview(bytearray(256)))
    facts = console.image_info(header, metadata, length)
    console.print_image(facts)
    return facts


def values(pid: "int | None" = None) -> "Rows":
    """Prints the values of a task, or of all, and returns them: dicts as in
    node.values.Values.rows()."""
    from . import console
    from .boot import lock

    rows = lock.run(runtime().node.values.rows, pid)
    console.print_values(rows)
    return console.Rows(rows)


def set(pid: int, oid: int, number: float) -> None:
    """Sets a value as its task may: to the nearest f16. Raises ENOENT, EPERM (read-only), EBUSY
    (too soon after the last change)."""
    from .boot import lock
    from .node.float16 import from_float

    lock.run(runtime().node.set_value, pid, oid, from_float(number))


def commands(pid: "int | None" = None) -> "Rows":
    """Prints the commands of a task, or of all, and returns them: dicts as in
    node.commands.Commands.rows()."""
    from . import console
    from .boot import lock

    registry = runtime().node.commands
    rows = lock.run(registry.rows, pid) if registry is not None else []
    console.print_commands(rows)
    return console.Rows(rows)


def call(pid: int, oid: int, token: "str | None" = None) -> "int | None":
    """Calls a command of a task, as the task itself may; gives R0 of its handler. Raises ENOENT,
    ESRCH, EPERM (it needs its token), EBUSY (the task does not run), EIO (it did not return)."""
    from .boot import lock

    return lock.run(runtime().node.call, pid, oid, token)


def log(count: int = 20) -> "Rows":
    """Prints the last `count` events and returns them: tuples (seq, ts, type, pid, data)."""
    from . import console
    from .boot import lock

    events = runtime().events
    rows = lock.run(events.since, max(0, events.seq - count))
    console.print_events(rows)
    return console.Rows(rows)


def persist(*images: "str | int", only: bool = False, **options: "Any") -> None:
    """Stages images, files or PIDs that were loaded from files, beside the set that runs: they
    replace those of the same names in it, or are added; with `only`, they are the whole set. The
    staged set is read back; `activate()` makes it run. Interrupted, the same call goes on where
    it was. `options` of all the images: priority, quantum, stack, heap (bytes), version (text),
    pid (the wanted one), grants (1 load, 2 abort, 4 fmap: what they may ask module 9 for).
    Raises EBADMSG, EBUSY (a set is on trial), ENODEV (no store), ENOSPC."""
    runtime().persist(images, only, options)
    status()


def activate() -> bool:
    """Runs the staged set, on trial: `confirm()` it, or it confirms itself after a quiet minute.
    One that does not start gives way to the set before. Returns whether a set runs. Raises EBUSY
    if none is staged."""
    result = runtime().activate()
    status()
    return result


def confirm(floor: int = 0) -> None:
    """The set on trial is good: it stays. `floor`: from now on no set with an older epoch than
    this, or than its own, is taken. Raises EBUSY if none is on trial."""
    from .boot import lock

    lock.run(runtime().provisioning.confirm, floor)
    status()


def rollback() -> bool:
    """Runs the previous set again; returns whether one runs. Raises ENOENT if there is none."""
    result = runtime().rollback()
    status()
    return result


def status() -> "dict[str, Any]":
    """Prints the state of the store in a line and returns it. Raises ENODEV without a store."""
    from . import console
    from .boot import lock

    facts = lock.run(runtime().provisioning.status)
    console.print_status(facts)
    return console.Facts(facts)


def slots() -> "Rows":
    """Prints what is in the banks and returns it: a dict a bank. Raises ENODEV without a store."""
    from . import console
    from .boot import lock

    rows = lock.run(runtime().provisioning.slots)
    console.print_slots(rows)
    return console.Rows(rows)


def format(confirmation: str = "") -> None:
    """Makes an empty store; sets, saved values and counters are gone. `confirmation` must be
    "erase everything"; without it, says so and raises EPERM."""
    from .boot import lock

    lock.run(runtime().provisioning.format, confirmation)
    status()


def boot_report() -> "Rows":
    """Prints what the boot tried, in which order, and what came of it, and the boot faults that
    the store has counted; returns the rows: tuples (source, result, errno's name, detail, ms)."""
    from . import console
    from .boot import lock

    service: "Any" = runtime().service
    console.print_report(service.report)
    if service.KEEPS_SETS and service.valid():
        console.print_faults(lock.run(service.boot_faults))
    return console.Rows(service.report)


def safe_mode() -> None:
    """Resets the node; it then starts nothing, until the reset after that."""
    runtime().service.reset(True)


def run() -> None:
    """Runs the node in this loop instead of the timer, until Ctrl-C."""
    runtime().run()


def start() -> "str | None":
    """Starts the node on firmware whose boot code does not: the board is the module `board`.
    Raises EBUSY if one runs. Returns what the REPL shows where the port has no timer: `poll`."""
    import gc

    from .errors import EBUSY, HsxError

    if _kept:
        raise HsxError(EBUSY, "boot", "a node runs already")
    # Modules are in RAM here, and without this what their import leaves lies between them. The
    # number as in boot.start.
    if hasattr(gc, "threshold"):
        gc.threshold(2048)
    import board  # type: ignore[import-not-found]  # of the firmware, or a file of the user

    from .boot.start import run

    run(board)
    return "no timer: the node runs in hsx.poll() and hsx.run()" if runtime().by_hand else None


def poll(ms: int = 10) -> int:
    """One turn of the node, for ports without a timer; returns milliseconds until the next is
    wanted. `ms`: how long it was since the last one, for ports that have no clock either."""
    return runtime().turn(ms)
