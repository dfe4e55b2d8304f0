# SPDX-License-Identifier: MIT
"""The sources of a boot, one after the other, until something runs (docs/boot.md).

Sources are not merged: the first one that gives something to run wins. One whose rule is `update`
is looked at even then, and becomes an update of the set that the store keeps if it is newer.
Whatever was tried is in the report, and whatever is wrong with one source leaves the others.
"""

from micropython import const

from .. import errors, ticks
from ..errors import ENODEV, ENOENT, ETIMEDOUT, HsxError
from .config import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ..service.loads import Loads
    from .config import Config
    from .guard import Guard
    from .scan import Scan

_DETAIL = const(40)  # characters


class Sources:
    """`scans`: of the sources that are read as cards are, under their names."""

    # Class attributes: an instance spends heap on those that it changes.
    runs = ""  # the source that runs
    asks = False  # whether the CAN master is to be asked

    def __init__(
        self, service: "Loads", config: "Config", guard: "Guard", scans: "dict[str, Scan]"
    ) -> None:
        self._service = service
        self.config = config
        self._guard = guard
        self.scans = scans
        self.safe = guard.safe()  # who asked for it, "" if nobody did

    def boot(self, hard: bool) -> "Generator[None, None, bool]":
        """The first start. Returns whether a set of the store runs."""
        self._report("reset", self._guard.cause)
        keeper: "Any" = self._service
        if keeper.KEEPS_SETS and not (yield from keeper.open()):
            self._report("bank", "failed", None, "there is no store")
        faulted = self._guard.faulted
        if faulted and keeper.KEEPS_SETS:
            keeper.noted(self._guard.cause, "")
        if self.safe:
            self._report("safe mode", self.safe)
            self._mount()
            return False
        return (yield from self._all(hard, faulted))

    def after(self, steps: "Generator[None, None, bool]") -> "Generator[None, None, bool]":
        """A change of the set that runs; what comes next if none runs after it. As `boot`."""
        runs = yield from steps
        self.runs = "bank" if runs else ""
        if runs or self.safe or self.config.on_failure != "next":
            self._mount()
            return runs
        for name in self._order():
            if name in self.scans and not self.runs and self._rule(name) != "ignore":
                yield from self._scan(name)
        self.asks = self._wants_master()
        return False

    def failed(self, error: Exception) -> None:
        """An error that nobody expected has ended the boot: it counts as a fault."""
        keeper: "Any" = self._service
        self._report("boot", "failed", None, repr(error))
        if keeper.KEEPS_SETS:
            keeper.noted("exception", repr(error))

    @property
    def takes_cards(self) -> bool:
        """Whether a card counts."""
        return self.config.sd != "ignore"

    def source(self) -> str:
        """What events call the source that runs."""
        runs = self.runs
        if runs == "bank":
            return "FRAM"
        return runs.upper() if runs in ("sd", "can") else runs or "none"

    def got(self, result: str, since: int) -> None:
        """What became of the question to the CAN master."""
        self._report("can", result, None, "", since)
        if result == "runs":
            self.runs = "can"

    # ---- inside -------------------------------------------------------------------------------

    def _all(self, hard: bool, faulted: bool) -> "Generator[None, None, bool]":
        for name in self._order():
            rule = self._rule(name)
            if rule == "ignore":
                self._report(name, "ignored")
            elif name == "can" or name != "bank" and name not in self.scans:
                continue
            elif name == "bank":
                if not self.runs and self._service.KEEPS_SETS:
                    yield from self._bank(hard, faulted)
            elif name == "sd" and rule == "update" and self._updates():
                yield from self._update(name)
            elif not self.runs:
                yield from self._scan(name)
            else:
                self._report(name, "not needed")
            if self._stops(name):
                break
        self._mount()
        self.asks = self._wants_master()
        return self.runs == "bank"

    def _stops(self, name: str) -> bool:
        """Whether a source that had something has failed, and no other is to be tried."""
        if self.runs or self.config.on_failure == "next":
            return False
        last = self._service.report[-1]
        return last[0] == name and last[1] == "failed" and last[2] != "ENODEV"

    def _order(self) -> "list[str]":
        return (self.config.order or ORDER).split()

    def _rule(self, name: str) -> str:
        return getattr(self.config, name)

    def _wants_master(self) -> bool:
        if "can" not in self._order() or self.safe:
            return False
        rule = self.config.can
        return rule == "update" or rule == "load" and not self.runs

    def _updates(self) -> bool:
        """Whether a set could be kept."""
        keeper: "Any" = self._service
        return keeper.KEEPS_SETS and keeper.has_banks()

    def _bank(self, hard: bool, faulted: bool) -> "Generator[None, None, None]":
        """R9 and, after a reset that a fault made, R10."""
        keeper: "Any" = self._service
        since = self._service.clock()
        if not keeper.valid():
            return
        before = keeper.active()
        if not before:
            self._report("bank", "empty", None, "", since)
            return
        steps = keeper.boot(hard)
        if faulted and keeper.on_trial():
            steps = keeper.revert(self._guard.cause)
        elif faulted and not self._guard.may_start():
            steps = self._rejected(keeper)
        try:
            if (yield from self._limited(steps)):
                self.runs = "bank"
                state = keeper.status()["state"]
                kept = "" if keeper.active() == before else "the set before"
                self._report("bank", "runs", None, kept or state, since)
            else:
                self._report("bank", "failed", None, self._reason(), since)
        except OSError as error:
            keeper.stop()
            self._report("bank", "failed", error, "", since)

    def _rejected(self, keeper: "Any") -> "Generator[None, None, bool]":
        after = yield from keeper.reject(self._guard.cause)
        return after and (yield from keeper.run_active())

    def _reason(self) -> str:
        """The newest event that says why."""
        service = self._service
        for event in reversed(service.events.since(max(0, service.events.seq - 8))):
            data = event[4]
            if "detail" in data:
                return data["detail"]
            if "reason" in data:
                return data["reason"]
        return ""

    def _scan(self, name: str) -> "Generator[None, None, None]":
        scan = self.scans[name]
        since = self._service.clock()
        scan.error = None
        try:
            yield from self._limited(scan.run())
        except OSError as error:
            scan.stop()
            self._report(name, "failed", error, "", since)
            return
        if scan.started:
            self.runs = name
        result = "runs" if scan.started else "failed" if scan.error or scan.listed else "empty"
        self._report(name, result, scan.error, "%d of %d" % (scan.started, scan.listed), since)

    def _update(self, name: str) -> "Generator[None, None, None]":
        from .update import update

        keeper: "Any" = self._service
        since = self._service.clock()
        runs = self.runs
        try:
            if (yield from self._limited(update(self.scans[name], keeper, bool(runs)))):
                self.runs = "bank"
                self._report(name, "update", None, keeper.status()["state"], since)
            else:
                self.runs = "bank" if runs and keeper.is_running() else ""
                self._report(name, "failed", None, self._reason(), since)
        except OSError as error:
            self._report(name, "refused" if runs else "failed", error, "", since)
            if not runs and error.errno not in (ENODEV, ENOENT):
                yield from self._scan(name)  # what can't be kept may run

    def _limited(self, steps: "Any") -> "Generator[None, None, Any]":
        """The steps, within the time that a source has. ETIMEDOUT."""
        clock = self._service.clock
        until = ticks.add(clock(), self.config.limit_ms)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            if ticks.reached(clock(), until):
                steps.close()
                raise HsxError(ETIMEDOUT, "boot", "the source took too long")
            yield

    def _mount(self) -> None:
        """The files of a card can be read whatever runs."""
        if "sd" in self.scans:
            self.scans["sd"].mount()

    def _report(
        self,
        source: str,
        result: str,
        error: "OSError | None" = None,
        detail: str = "",
        since: int = -1,
    ) -> None:
        code = ""
        if error is not None:
            code = errors.name(error.errno)
            detail = getattr(error, "detail", "error of the medium")
        if len(detail) > _DETAIL:
            detail = detail[:_DETAIL]
        took = ticks.diff(self._service.clock(), since) if since >= 0 else 0
        self._service.report.append((source, result, code, detail, took))
