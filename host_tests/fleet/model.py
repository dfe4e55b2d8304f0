# SPDX-License-Identifier: MIT
"""Nodes as a roll-out sees them, in steps and without time: what it is tested against.

A node keeps two sets, like a real one: what runs, and what ran before. What goes wrong with it is
in its `plan`. `Interrupted` may come before and after every effect and every word about one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hsxctl.fleet import rollout as r

OLD, NEW, OTHER = "01" * 16, "02" * 16, "03" * 16

# What goes wrong with a node.
FINE = "fine"
ABSENT = "absent"  # from the start
REFUSES = "refuses"
FAULTS = "faults"  # on trial, and has gone back by itself at the first look
CREEPS = "creeps"  # faults, and stays with the set
UNWELL = "unwell"  # its value is never in range
WHIMS = "whims"  # unwell at first
FLAPS = "flaps"  # well, then unwell for a moment
MUTE = "mute"  # takes the set, and its answer is lost
SLOW = "slow"  # the same, and runs it only some looks later: it reads it back
DEAF = "deaf"  # does not take it, and does not answer
DIES = "dies"  # takes it, and never answers again
KEEPS = "keeps"  # refuses to go back
STRAYS = "strays"  # goes back to something else
HAS = "has"  # runs the set already
PLANS = (FINE, ABSENT, REFUSES, FAULTS, CREEPS, UNWELL, WHIMS, FLAPS, MUTE, DEAF, DIES, KEEPS)
PLANS += (HAS, SLOW)
ENDS_WELL = (FINE, WHIMS, FLAPS, MUTE, SLOW, KEEPS)


_BETWEEN = 4  # points from one time that it is kept to the next, and more
_UNWELL = {WHIMS: (1, 2), FLAPS: (2,)}  # at these looks


class Interrupted(BaseException):
    """Ctrl-C, or the host's end."""


@dataclass
class Model:
    """`bank`: trial, confirmed; `sent`, `undone`: how often it was told."""

    plan: str
    runs: str = OLD
    before: str = ""
    bank: str = "confirmed"
    gave_up: bool = False
    looks: int = 0  # while the set runs
    sent: int = 0
    undone: int = 0
    reads: int = 0  # looks until a SLOW one runs the set

    def __post_init__(self) -> None:
        if self.plan == HAS:
            self.runs, self.before = NEW, OLD

    def is_mute(self) -> bool:
        return self.plan == ABSENT or (self.plan == DIES and self.sent > 0)

    def look(self) -> r.Event:
        if self.is_mute():
            return r.Trouble("does not answer")
        trouble, is_fault = "", False
        if self.reads:
            self.reads -= 1
            if not self.reads:
                self._run()
            return r.Seen(self.before if self.runs == NEW else self.runs, self.bank, may_yet=True)
        if self.runs == NEW and self.plan != HAS:
            self.looks += 1
            if self.plan == FAULTS:
                self.runs, self.bank, self.gave_up = OLD, "confirmed", True
            elif self.plan == CREEPS:
                trouble, is_fault = "pump has faulted", True
            elif self.plan == UNWELL or self.looks in _UNWELL.get(self.plan, ()):
                trouble = "level is 9"
            elif self.looks > 4:
                self.bank = "confirmed"  # by itself
        return r.Seen(self.runs, self.bank, self.gave_up, trouble, is_fault)

    def send(self) -> r.Event:
        if self.is_mute():
            return r.Trouble("does not answer")
        self.sent += 1
        if self.plan == REFUSES:
            return r.Trouble("ENOSPC", answered=True)
        if self.plan == DEAF:
            return r.Trouble("ETIMEDOUT")
        if self.plan == SLOW and self.runs != NEW:
            self.reads = 4
            return r.Trouble("ETIMEDOUT")
        self._run()
        if self.plan in (DIES, MUTE):
            return r.Trouble("ETIMEDOUT")
        return r.Done()

    def _run(self) -> None:
        if self.runs != NEW:
            self.runs, self.before, self.bank, self.gave_up = NEW, self.runs, "trial", False

    def confirm(self) -> r.Event:
        self.bank = "confirmed"
        return r.Done()

    def undo(self) -> r.Event:
        if self.is_mute():
            return r.Trouble("does not answer")
        if self.reads:
            # Who is told to go back waits until the node is through with what it does.
            self.reads = 0
            self._run()
        if self.runs == NEW:
            if self.plan == KEEPS:
                return r.Trouble("EBUSY", answered=True)
            self.undone += 1
            self.runs, self.before, self.bank = self.before, NEW, "confirmed"
            if self.plan == STRAYS:
                self.runs = OTHER
        return r.Seen(self.runs, self.bank)


class Fleet:
    """Drives a roll-out over models, kept as data after each word as a file would keep it.
    `stop_at`: the points at which it is interrupted, counted from 0."""

    def __init__(self, models: dict[int, Model], stop_at: "set[int] | None" = None) -> None:
        self.models = models
        self.now = 0.0
        self.points = 0
        self.kept: dict = {}
        self.steps: list[r.Step] = []
        self.seen_states: dict[int, list[str]] = {number: [] for number in models}
        self._stop_at = stop_at or set()

    def run(self, rollout: r.Rollout) -> r.Rollout:
        """Until it is over, through all interruptions."""
        self.kept = r.to_data(rollout)
        while True:
            try:
                return self._drive(r.from_data(self.kept))
            except Interrupted:
                rollout = r.from_data(self.kept)
                r.resumed(rollout)
                self.kept = r.to_data(rollout)

    def _drive(self, rollout: r.Rollout) -> r.Rollout:
        for _ in range(10_000):
            step = r.next_step(rollout)
            assert step == r.next_step(rollout)
            if step.kind == r.OVER:
                self.kept = r.to_data(rollout)
                return rollout
            r.began(rollout, step)
            self._keep(rollout)
            for number, event in self.do(step, rollout):
                r.happened(rollout, number, event, self.now)
                self.seen_states[number].append(rollout.nodes[number].state)
                self._keep(rollout)
        raise AssertionError("it does not end")

    def do(self, step: r.Step, _: r.Rollout) -> Iterator[tuple[int, r.Event]]:
        """As `Work.do`, with the models."""
        self.steps.append(step)
        self.now += 1
        for number in step.nodes:
            self._may_stop()
            event = self._do(step.kind, self.models[number])
            self._may_stop()
            yield number, event

    def _do(self, kind: str, model: Model) -> r.Event:
        does = {r.SEND: model.send, r.CONFIRM: model.confirm, r.UNDO: model.undo}
        return does.get(kind, model.look)()

    def _keep(self, rollout: r.Rollout) -> None:
        """As a file would: at least where it may be stopped before the next time."""
        if any(0 <= point - self.points < _BETWEEN for point in self._stop_at):
            self.kept = r.to_data(rollout)
        self._may_stop()

    def _may_stop(self) -> None:
        self.points += 1
        if self.points - 1 in self._stop_at:
            raise Interrupted


def a_rollout(models: dict[int, Model], **options) -> r.Rollout:
    options = {"canaries": 1, "healthy": 2.0, "patience": 12.0, **options}
    return r.Rollout(NEW, nodes={number: r.Node() for number in models}, **options)
