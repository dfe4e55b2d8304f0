# SPDX-License-Identifier: MIT
"""Runtime: the running node. A soft timer polls it; calls from the REPL go through the lock.

Polls carry on the work that changes the running set: boot, activation, revert (`service.work`). A
Ctrl-C at the REPL only ends the waiting for it.
"""

import os

from micropython import const

from .. import native, ticks
from ..errors import EBUSY, EINVAL, ENODEV, HsxError
from . import clock, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..contracts import Board, ReadInto, TimerHandle
    from ..node.occupancy import Occupancy
    from ..node.tasks import Task
    from ..service.loads import Loads
    from ..service.provisioning import Provisioning
    from ..service.session import Session
    from ..service.work import Change
    from ..store.bank import Image
    from .ask import Ask
    from .guard import Guard
    from .links import Links
    from .sources import Sources

_PERIOD = const(10)  # ms between polls
_SLICE = const(5)  # ms that work may take of one poll
_FEED = const(500)  # ms between two feeds of the watchdog of a node that was stopped
_BUF = const(256)  # bytes that the REPL reads of a file at a time


class Runtime:
    """Made by `wiring.build`. `service`: a Provisioning, or Loads for a board without a store.
    `chunk`: the buffer of loads from the REPL. `watchdog`: what healthy polls feed."""

    # Class attributes: an instance spends heap on those that it changes.
    watchdog: "Any" = None
    _ask: "Ask | None" = None
    _trouble = ""  # the last error that a poll has met
    _over = False  # the boot was told to be over
    by_hand = False  # nothing polls but `turn`
    _session: "Session | None" = None  # the load that the REPL asked for
    _asked: "Iterator[None] | None" = None  # a load that an app asked for

    def __init__(
        self, board: "Board", service: "Loads", sources: "Sources", chunk: "memoryview"
    ) -> None:
        self._board = board
        self._clock = service.clock
        self.sources = sources
        self._scan = sources.scans["sd"]
        self._chunk = chunk
        self._timer: "TimerHandle | None" = None
        self._booted = False
        self._has_set = False  # whether what runs is a set that the node keeps
        service.work.wrapper = self
        self.node = service.node
        self.events = service.events
        self.service = service
        self.node.provisioner = self
        self.occupancy: "Occupancy | None" = None  # put in by who knows the limits
        self.links: "Links | None" = None  # put in by who has some
        self.guard: "Guard | None" = None  # put in by who has a configuration

    def start(self) -> None:
        """Polls from now on by the board's timer; the boot runs in them. A board without one
        tells so, and `turn` has to be called instead."""
        hard = self._board.reset_cause() != "soft"
        self.service.work.begin(self._guarded(self.sources.boot(hard)))
        self._timer = self._board.timer(_PERIOD, self._tick)
        if self._timer is None:
            self.by_hand = True
            self.events.warn("timer", HsxError(ENODEV, "boot", "no timer: call hsx.poll()"))

    def stop(self) -> None:
        """Ends polls and apps, these in order, as before a soft reset."""
        if self._timer is not None:
            self._timer.deinit()
            self._timer = None
            if self.watchdog is not None:
                # It can't be stopped: what was ended in order is no fault.
                self._timer = self._board.timer(_FEED, self._feed)
        if self.links is not None:
            self.links.close()
        self.node.stop()
        self.service.close()

    def booted(self) -> bool:
        """Whether the boot is over: what is to run runs."""
        return self._booted

    def poll(self, now: int) -> int:
        """One bounded slice of everything; returns milliseconds until the next is wanted.

        Called in scheduler context only (`lock.run`, or a soft timer)."""
        work = self.service.work
        if work.is_busy():
            change = work.step()
            while change is None and ticks.diff(self._clock(), now) < _SLICE:
                change = work.step()
            if change is not None:
                self._end(change)
        self.service.poll(now)
        if not work.is_busy() and (self.links is None or not self.links.is_busy()):
            # A card that starts holds a poll up, and MicroPython masks the interrupts of CAN
            # while it reads one: no transfer is to pay for that.
            card = self._scan.watch(now, self._takes_cards())
            if card is not None:
                work.begin(card)
        if not self._booted:
            if self.watchdog is not None:
                self.watchdog.feed()
            return 0
        if self._asked is not None:
            self._go_on()
        if self.occupancy is not None:
            self.occupancy.poll(now)
        if self.links is not None:
            self.links.poll(now)
        if self._ask is not None:
            self._go_on_asking(self._ask, now)
        if self.guard is not None:
            self.guard.poll(now)
        wait = self.node.poll(now)
        if self.watchdog is not None:
            self.watchdog.feed()
        return wait

    def load_later(self, path: str) -> None:
        """Loads a file and starts it in the polls that follow: for apps, which can't wait. EBUSY
        while another such load is on its way."""
        if self._asked is not None:
            raise HsxError(EBUSY, "begin", "another load is on its way")
        self._asked = self._load(path)

    def abort(self, pid: int) -> None:
        """Gives up a load, for apps. Errors as Loads.abort."""
        self.service.abort(pid)

    def load(self, path: str, replace: bool = False, **options: "Any") -> int:
        """Loads a file and starts it; returns its PID. Raises HsxError and the file system's
        OSError; then nothing is left of it. Ctrl-C gives the load up. `replace`: in the place of
        the app of the same name, under its PID; the file is checked whole before that one ends,
        and if the new one does not start, the old one is loaded again (P-59, P-60)."""
        if replace:
            return self._replace(path, options)
        with open(path, "rb") as file:
            size = os.stat(path)[6]
            session = lock.run(self._begin, path, size, options)
            try:
                while lock.run(self._advance, session, file.readinto):
                    pass
            except BaseException:
                lock.run(session.abort)
                raise
            native.settle()  # what the image needed may have come with it
            return session.pid

    @property
    def provisioning(self) -> "Provisioning":
        """The keeper of the set. ENODEV for a board without a store."""
        service: "Any" = self.service
        if not service.KEEPS_SETS:
            raise HsxError(ENODEV, "begin", "the board has no store")
        return service

    def persist(
        self, items: "tuple[str | int, ...]", only: bool, options: "dict[str, Any]"
    ) -> None:
        """Stages the active set with these images, files or PIDs that were loaded from files, in
        their places, and reads it back. `options`: priority, quantum, stack of all of them,
        version. Raises HsxError and the file system's OSError; what is in place by then stays, so
        that the same call goes on with it. EINVAL for a PID whose image is in no file."""
        paths = [item if isinstance(item, str) else self._path(item) for item in items]
        buf = memoryview(bytearray(_BUF))
        images = [self._describe(path, options, buf) for path in paths]
        staging = lock.run(self.provisioning.stage, images, only)
        self._steps(staging.carry_over())
        for number, path in enumerate(paths):
            image = images[number]
            index = staging.images.index(image)
            at = staging.resume_at(index)
            with open(path, "rb") as file:
                file.seek(at)
                while at < image.length:
                    got = file.readinto(buf[: min(_BUF, image.length - at)])
                    if not got:
                        break  # the file became shorter: the read-back refuses it
                    lock.run(staging.write, index, at, buf[:got])
                    at += got
        self._steps(self.provisioning.end_staging(staging))

    def activate(self) -> bool:
        """Runs the staged set; whether a set runs now. Raises as Provisioning.activate."""
        return self._changed(self.provisioning.activate())

    def rollback(self) -> bool:
        """Runs the previous set; whether a set runs now. Raises as Provisioning.rollback."""
        return self._changed(self.provisioning.rollback())

    def run(self) -> None:
        """Gives the node all the time that the REPL does not need, until Ctrl-C. The timer goes
        on, so that the node never depends on how this loop ends."""
        while True:
            clock.pass_ms(min(_PERIOD, lock.run(self._poll)))

    def turn(self, ms: int) -> int:
        """One poll, from the REPL or a program's own loop; returns milliseconds until the next is
        wanted. `ms`: since the last one, for a port without a clock."""
        clock.advance(ms)
        return lock.run(self._poll)

    def _guarded(self, steps: "Generator[None, None, bool]") -> "Generator[None, None, bool]":
        """The boot, whatever happens in it: what nobody expected leaves a node that can be
        reached, and a set on trial gives way."""
        try:
            self._has_set = yield from steps
        except Exception as error:  # noqa: BLE001  the node outlives whatever a boot meets
            self.sources.failed(error)
            yield from self._give_way("boot failed")
        return self._has_set

    def around(self, steps: "Generator[None, None, bool]") -> "Generator[None, None, bool]":
        """A change of the set that runs, and what comes next if none runs after it."""
        try:
            self._has_set = yield from self.sources.after(steps)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  the node outlives whatever a change meets
            # The event comes last: it takes heap, of which there may be none.
            yield from self._give_way("change failed")
            self.events.emit("warning", 0, {"source": "work", "detail": repr(error)})
            raise
        return self._has_set

    def _give_way(self, reason: str) -> "Generator[None, None, None]":
        """Notes that no set runs, and reverts a set that is on trial."""
        self._has_set = False
        service: "Any" = self.service
        if service.KEEPS_SETS and service.valid() and service.on_trial():
            self._has_set = yield from service.revert(reason)

    def _takes_cards(self) -> bool:
        """Whether a card that comes in is scanned: if nothing better runs."""
        return not self._has_set and not self.sources.safe and self.sources.takes_cards

    def _end(self, change: "Change") -> None:
        if not self._booted:
            self._booted = True
            if self.links is not None:
                self.links.open()
        if self.sources.asks and self._ask is None and self.links is not None:
            self.begin_asking(self.links)
        if self._ask is None:
            self._tell_over()
        failure = change.failure()
        if isinstance(failure, OSError) and not change.awaited:
            self.events.warn("FRAM", failure)

    def _tell_over(self) -> None:
        if not self._over:
            self._over = True
            self.events.emit("boot", 0, {"state": "over", "source": self.sources.source()})

    def begin_asking(self, links: "Links") -> None:
        """Asks the CAN master for a set from now on, if there is one."""
        self.sources.asks = False
        if not links.can_ask():
            return
        from .ask import Ask

        self._ask = Ask(links, self.service, self.sources.config)
        self.events.emit("boot", 0, {"state": "asking", "source": "CAN"})

    def _go_on_asking(self, ask: "Ask", now: int) -> None:
        """Until a set has come; the boot does not wait for ever."""
        ask.poll(now)
        answered = self._has_set and ask.answered()
        if answered:
            self.sources.got("runs", ask.since)
        elif not ask.waits and not self._over:
            self.sources.got("no answer", ask.since)
        if answered or self.sources.runs and not ask.waits:
            self._ask = None
        if answered or not ask.waits:
            self._tell_over()

    def _feed(self, timer: "Any") -> None:
        self.watchdog.feed()

    def _changed(self, steps: "Generator[None, None, bool]") -> bool:
        """A change that the REPL asks for and waits for."""
        return self._result(lock.run(self.service.work.change, steps, True))

    def _result(self, change: "Change") -> "Any":
        """Waits for work, and takes its result or its error."""
        try:
            while not change.done:
                lock.run(self._poll)
        except BaseException:
            change.awaited = False
            raise
        native.settle()  # what the image needed may have come with it
        failure = change.failure()
        if failure is not None:
            raise failure
        return change.result

    def _steps(self, steps: "Iterator[None]") -> None:
        """Takes all steps of a staging, each under the lock. A Ctrl-C between two of them ends it
        there; what runs stays as it is."""
        while lock.run(self._more, steps):
            pass

    def _more(self, steps: "Iterator[None]") -> bool:
        try:
            next(steps)
            return True
        except StopIteration:
            return False

    def _path(self, pid: int) -> str:
        source = lock.run(self.node.tasks.find, pid).source
        path = self._scan.path(source)
        try:
            os.stat(path)
        except OSError:
            raise HsxError(EINVAL, "begin", "the image of this PID is in no file")
        return path

    def _describe(self, path: str, options: "dict[str, Any]", buf: "memoryview") -> "Image":
        from ..service.provisioning import describe

        with open(path, "rb") as file:
            version = options.get("version", "")
            image = describe(self.service.policy, file.readinto, path, buf, version)
        for key in options:
            if key not in ("priority", "quantum", "stack", "heap", "version", "pid", "grants"):
                raise HsxError(EINVAL, "begin", "unknown option " + key)
            if key == "grants":
                image.flags |= options[key]
            elif key != "version":
                setattr(image, key, options[key])
        return image

    def _replace(self, path: str, options: "dict[str, Any]") -> int:
        from ..image.verify import verify
        from ..node import names

        policy = self.service.policy
        admission = policy.admission()
        with open(path, "rb") as file:
            header, metadata, _ = verify(file.readinto, memoryview(bytearray(_BUF)), admission)
        admission.end(metadata)
        app = names.base(header.app_name, path, 0)
        change = lock.run(self.service.work.begin, self._replacing(app, path, options), True)
        try:
            return self._result(change)
        except KeyboardInterrupt:
            while not change.done:  # the old one comes back; another Ctrl-C does not wait for it
                lock.run(self._poll)
            raise

    def _replacing(
        self, app: str, path: str, options: "dict[str, Any]"
    ) -> "Generator[None, None, int]":
        """The PID of the image of a file, once it runs in the place of an app; whatever keeps it
        from that, a Ctrl-C of whoever waits included, brings all instances of the old one back."""
        old = [task for task in self.node.tasks.order if task.app == app]
        if old:
            options.setdefault("pid", old[0].pid)
        self.service.free(app)
        try:
            with open(path, "rb") as file:
                session = self.service.begin(path, os.stat(path)[6], label=path, **options)
                while session.step(file.readinto, self._chunk):
                    yield
                    if not self.service.work.is_awaited():
                        session.abort()
                        break
                else:
                    self.node.start(session.pid)
                    return session.pid
        except Exception:
            yield from self._bring_back(old)
            raise
        yield from self._bring_back(old)
        return 0

    def _bring_back(self, tasks: "list[Task]") -> "Generator[None, None, None]":
        """Loads what these tasks ran once more, from the bank or the files that it came from, and
        starts it. What can't be had is told."""
        for task in tasks:
            try:
                if task.source.startswith("FRAM:"):
                    readinto, size = self._in_bank(task)
                    yield from self._load_again(task, readinto, size)
                else:
                    path = self._scan.path(task.source)
                    with open(path, "rb") as file:
                        yield from self._load_again(task, file.readinto, os.stat(path)[6])
            except OSError as error:
                self.events.warn(task.source, error)

    def _in_bank(self, task: "Task") -> "tuple[ReadInto, int]":
        keeper = self.provisioning
        reader = keeper.store.commit.reader(keeper.active())
        for index in range(reader.count):
            image = reader.image(index)
            if image.name == task.app:
                return reader.source(index).readinto, image.length
        raise HsxError(EINVAL, "begin", "the bank has no such image any more")

    def _load_again(
        self, task: "Task", readinto: "ReadInto", size: int
    ) -> "Generator[None, None, None]":
        session = self.service.begin(
            task.source,
            size,
            label=task.app,
            priority=task.priority,
            quantum=task.quantum,
            pid=task.pid,
            grants=task.grants,
        )
        while session.step(readinto, self._chunk):
            yield
        self.node.start(session.pid)

    def _load(self, path: str) -> "Iterator[None]":
        """A load in steps; what is wrong is told and ends it."""
        try:
            with open(path, "rb") as file:
                session = self.service.begin(path, os.stat(path)[6], label=path)
                while session.step(file.readinto, self._chunk):
                    yield
            self.node.start(session.pid)
        except OSError as error:
            self.events.warn(path, error)

    def _go_on(self) -> None:
        try:
            assert self._asked is not None
            next(self._asked)
        except StopIteration:
            self._asked = None

    def _begin(self, path: str, size: int, options: "dict[str, Any]") -> "Session":
        if self._session is not None:
            # There is one REPL: a load that is still open was left by a Ctrl-C.
            self._session.abort()
        self._session = self.service.begin(path, size, label=path, **options)
        return self._session

    def _advance(self, session: "Session", readinto: "ReadInto") -> bool:
        if session.step(readinto, self._chunk):
            return True
        self.node.start(session.pid)
        return False

    def _poll(self) -> int:
        return self.poll(self._clock())

    def _tick(self, timer: "Any") -> None:
        try:
            self.poll(self._clock())
        except Exception as error:  # noqa: BLE001  the node outlives whatever a poll meets
            told = repr(error)
            if told != self._trouble:  # each poll may meet it
                self._trouble = told
                self.events.emit("warning", 0, {"source": "poll", "detail": told})
