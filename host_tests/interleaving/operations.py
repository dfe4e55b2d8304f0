# SPDX-License-Identifier: MIT
"""What changes a node, cut into its steps: each operation is a generator that may be left between
any two of them. What it is answered is an errno, 0 for done.

    polls     the node's own work: a fault, a card, the end of a trial
    link      transfers and signed commands
    REPL      calls, each of whose steps takes the lock (`hsx.boot.lock`)
"""

import hashlib
import threading
from collections.abc import Callable, Iterator

from bench.images import IDLE, an_image
from bench.service import ServiceBench, a_set
from hsx.boot import lock
from hsx.errors import EIO
from hsx.link import command as c
from hsx.node import tasks as t
from hsx.service.transfer import Transfer
from hsx.store.store import CONFIRMATION
from powercut.medium import Medium

Operation = Callable[["Site"], Iterator[None]]

PATIENCE = 400  # polls until work that is under way must be over


def _image(name: str, version: int) -> bytes:
    return an_image(*IDLE, name=name, rodata=b"version %d" % version)


SETS = {
    "first": a_set(_image("pump", 1), _image("valve", 1)),
    "second": a_set(_image("pump", 2), _image("lamp", 1)),
    "third": a_set(_image("fan", 1), _image("valve", 2)),
}


class Site:
    """A node in one of the STATES. `answers`: of each operation. `folder`: files of images."""

    def __init__(self, state: str, folder) -> None:
        self.folder = folder
        self.node = node = ServiceBench(Medium(bytearray(prepared(state))))
        node.provisioning.again = lambda name: False
        self.links: list[Transfer] = []
        self.answers: list[tuple[str, int]] = []
        for _ in self.settled():
            pass
        if state == "staged":
            for _ in _stage("third", 0)(self):
                pass
            self.answers.clear()

    def link(self) -> Transfer:
        """The receiving end of a link of its own."""
        self.links.append(Transfer(self.node.service, self.node.commands))
        return self.links[-1]

    def settled(self) -> Iterator[None]:
        """Polls until no work is under way."""
        for _ in range(PATIENCE):
            self.node.board.tick(None)
            if not self.node.service.work.is_busy():
                return
            yield
        raise AssertionError("work does not end")


_PREPARED: dict[str, bytes] = {}


def prepared(state: str) -> bytes:
    """A medium that was brought into a state by pushes and nothing else."""
    if state in ("confirmed", "staged"):
        state = "two confirmed"
    if state not in _PREPARED:
        node = ServiceBench()
        if state != "empty":
            for name in ("first", "second"):
                sent = SETS[name]
                assert node.send(node.stage(sent), sent.data) == 0
                if name == "first" or state == "two confirmed":
                    node.provisioning.confirm()
        _PREPARED[state] = bytes(node.store_part.memory)
    return _PREPARED[state]


STATES = ("empty", "trial", "two confirmed", "staged")


def answer(call: Callable[..., object], *args: object, **options: object) -> int:
    """0, or the errno that the call raises."""
    try:
        call(*args, **options)
    except OSError as error:
        return error.errno or EIO
    return 0


# ---- of a link ---------------------------------------------------------------------------------


def _stage(name: str, flags: int) -> Operation:
    def steps(site: Site) -> Iterator[None]:
        node, sent = site.node, SETS[name]
        header = node.stage(sent, flags=flags)
        transfer = site.link()
        there = transfer.begin(memoryview(header), len(sent.data), "UART:1")
        result = min(there, 0)
        yield
        for at in range(0, len(sent.data), 512):
            if result:
                break
            result = transfer.write(at, memoryview(sent.data)[at : at + 512])
            yield
        if not result:
            result = transfer.end()
        while result >= 0:
            yield
            result = transfer.poll(node.clock())
            if not result:
                break
            site.node.board.tick(None)
        yield from site.settled()
        site.answers.append((f"push {name}", -result))

    return steps


def _load(site: Site) -> Iterator[None]:
    node, image, transfer = site.node, _image("guest", 1), site.link()
    header = node.command(c.LOAD, hashlib.sha256(image).digest(), total=len(image))
    result = min(0, transfer.begin(memoryview(header), len(image), "UART:1"))
    yield
    if not result:
        result = transfer.write(0, memoryview(image))
        yield
    if not result:
        result = transfer.end()
        yield
    while result >= 0:
        result = transfer.poll(node.clock())
        if not result:
            break
    site.answers.append(("load by link", -result))


def _command(action: int, name: str, acts_on: Callable[[Site], bytes]) -> Operation:
    def steps(site: Site) -> Iterator[None]:
        node = site.node
        sent = node.command(action, acts_on(site))
        site.answers.append((name, answer(node.commands.perform, sent)))
        yield
        yield from site.settled()

    return steps


def _digest(action: int) -> Callable[[Site], bytes]:
    def find(site: Site) -> bytes:
        try:
            return site.node.provisioning.digest_for(action)
        except OSError:
            return bytes(16)

    return find


def _a_pid(site: Site) -> bytes:
    order = site.node.node.tasks.order
    return bytes([order[0].pid if order else 1])


# ---- of the REPL -------------------------------------------------------------------------------


def _repl(name: str, call: Callable[[Site], object]) -> Operation:
    """The REPL's thread goes on only while it is stepped, one turn of the lock at a time."""

    def steps(site: Site) -> Iterator[None]:
        turn, done = threading.Semaphore(0), threading.Semaphore(0)
        left = [True]
        real = lock.run

        def locked(function, *args):
            if threading.current_thread() is not thread:
                return real(function, *args)
            done.release()
            turn.acquire()
            return real(function, *args)

        def body() -> None:
            turn.acquire()
            site.answers.append((name, answer(call, site)))
            left[0] = False
            done.release()

        thread = threading.Thread(target=body)
        lock.run = locked
        try:
            thread.start()
            while left[0]:
                turn.release()
                done.acquire()
                yield
        finally:
            while left[0]:  # the operation was left: it goes on by itself
                turn.release()
                done.acquire()
            thread.join()
            lock.run = real
        yield from site.settled()

    return steps


def _path(site: Site, name: str, version: int) -> str:
    path = site.folder / f"{name}.hxe"
    path.write_bytes(_image(name, version))
    return str(path)


def _persist(site: Site) -> None:
    site.node.runtime.persist((_path(site, "valve", 3),), False, {})


def _replace(site: Site) -> None:
    site.node.runtime.load(_path(site, "pump", 3), replace=True)


def _load_file(site: Site) -> None:
    site.node.runtime.load(_path(site, "visitor", 1))


# ---- of the node itself ------------------------------------------------------------------------


def _fault(site: Site) -> Iterator[None]:
    """A task of the set that runs faults."""
    node = site.node
    for task in node.node.tasks.order:
        if task.source.startswith("FRAM:") and task.state not in (t.LOADING, t.LOADED):
            task.state = t.FAULTED
            break
    yield
    yield from site.settled()


def _quiet(site: Site) -> Iterator[None]:
    """The minute after which a set on trial confirms itself."""
    site.node.clock.forward(61_000)
    yield
    yield from site.settled()


OPERATIONS: dict[str, Operation] = {
    "push second": _stage("second", c.FLAG_ACTIVATE),
    "push third": _stage("third", c.FLAG_ACTIVATE),
    "stage third": _stage("third", 0),
    "load by link": _load,
    "command activate": _command(c.ACTIVATE, "command activate", _digest(c.ACTIVATE)),
    "command rollback": _command(c.ROLLBACK, "command rollback", lambda site: bytes(16)),
    "command confirm": _command(
        c.CONFIRM, "command confirm", lambda site: _digest(c.CONFIRM)(site) + bytes(4)
    ),
    "command kill": _command(c.KILL, "command kill", _a_pid),
    "command abort": _command(c.ABORT, "command abort", lambda site: b""),
    "persist": _repl("persist", _persist),
    "activate": _repl("activate", lambda site: site.node.runtime.activate()),
    "rollback": _repl("rollback", lambda site: site.node.runtime.rollback()),
    "confirm": _repl("confirm", lambda site: lock.run(site.node.provisioning.confirm)),
    "format": _repl("format", lambda site: lock.run(site.node.provisioning.format, CONFIRMATION)),
    "kill": _repl("kill", lambda site: lock.run(site.node.service.kill, _a_pid(site)[0])),
    "load": _repl("load", _load_file),
    "replace": _repl("replace", _replace),
    "fault": _fault,
    "quiet": _quiet,
}
REPL = ("persist", "activate", "rollback", "confirm", "format", "kill", "load", "replace")
